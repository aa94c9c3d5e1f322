//! Descriptors of the Open Virtualization Format: DMTF DSP0243. Version 1 is what VirtualBox, VMware
//! and others write, version 2 has the same elements where we read it.
//!
//! What is in a descriptor is told as text, as it stands there: what it means is for who asks.

pub mod manifest;

use roxmltree::{Document, Node, ParsingOptions};

use crate::units::ByteOffset;

/// The most bytes of a descriptor. Those of real appliances have some ten kilobytes.
pub const MAX_BYTES: u64 = 1 << 20;

/// The most elements, texts and comments of a descriptor.
const MAX_NODES: u32 = 1 << 16;

/// The most attributes of a tag: they are compared with each other.
const MAX_ATTRIBUTES: usize = 1024;

/// The most declarations of namespaces: each element that has one copies those that are in force.
const MAX_NAMESPACES: usize = 256;

/// A descriptor, as far as appliances are read by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Name of the root element: [`Envelope::NAME`].
    pub name: String,
    /// Its namespace: one of [`Envelope::NAMESPACES`].
    pub namespace: String,
    /// `References`.
    pub files: Vec<File>,
    /// `DiskSection`.
    pub disks: Vec<Disk>,
    /// `VirtualSystem`, in collections or not.
    pub systems: Vec<VirtualSystem>,
}

impl Envelope {
    /// Name of the root element.
    pub const NAME: &str = "Envelope";
    /// Its namespace, in the order of the versions: before 1.0, 1.x and 2.x.
    pub const NAMESPACES: [&str; 3] = [
        "http://www.vmware.com/schema/ovf/1/envelope",
        "http://schemas.dmtf.org/ovf/envelope/1",
        "http://schemas.dmtf.org/ovf/envelope/2",
    ];
}

/// `File`, DSP0243 §7.1: something that is in the package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where the element starts, in the descriptor.
    pub at: ByteOffset,
    /// `ovf:id`.
    pub id: Option<String>,
    /// `ovf:href`: its name, or where it is.
    pub href: Option<String>,
    /// `ovf:size`, in bytes.
    pub size: Option<String>,
    /// `ovf:compression`: `identity`, or what is around it.
    pub compression: Option<String>,
    /// `ovf:chunkSize`: it lies in several pieces.
    pub chunk_size: Option<String>,
}

/// `Disk`, DSP0243 §9.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Where the element starts, in the descriptor.
    pub at: ByteOffset,
    /// `ovf:diskId`.
    pub id: Option<String>,
    /// `ovf:fileRef`: the file that has its content; none for a disk that starts empty.
    pub file_ref: Option<String>,
    /// `ovf:capacity`, in units.
    pub capacity: Option<String>,
    /// `ovf:capacityAllocationUnits`: the unit, bytes where it is not given.
    pub units: Option<String>,
    /// `ovf:format`: a URI.
    pub format: Option<String>,
    /// `ovf:parentRef`: another disk that this one has the changes of.
    pub parent_ref: Option<String>,
}

impl File {
    /// The name of the file in the package, with what is escaped in a URI as it was: `%20`. `None`
    /// where nothing is, or what is there stands for no text.
    pub fn unescaped(&self) -> Option<Vec<u8>> {
        let href = self.href.as_deref()?;
        let mut parts = href.split('%');
        let mut name = parts.next()?.as_bytes().to_vec();
        if name.len() == href.len() {
            return None;
        }
        for part in parts {
            let (digits, rest) = part.split_at_checked(2)?;
            name.extend(manifest::from_hex(digits)?);
            name.extend_from_slice(rest.as_bytes());
        }
        Some(name)
    }
}

impl Disk {
    /// The capacity in bytes, where it is a number of units that we know: `byte`, `byte * 2^20`.
    pub fn capacity(&self) -> Option<u64> {
        let count: u64 = self.capacity.as_deref()?.trim().parse().ok()?;
        let units: String = self.units.as_deref().unwrap_or("byte").split_whitespace().collect();
        let unit = match units.strip_prefix("byte")? {
            "" => 1,
            factor => 1_u64.checked_shl(factor.strip_prefix("*2^")?.parse().ok()?)?,
        };
        count.checked_mul(unit)
    }
}

/// `VirtualSystem`, DSP0243 §7.2: a virtual machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualSystem {
    /// Where the element starts, in the descriptor.
    pub at: ByteOffset,
    /// `ovf:id`.
    pub id: Option<String>,
    /// `OSType` in the `OperatingSystemSection`: VirtualBox's name of what runs in it.
    pub os_type: Option<String>,
    /// `ovf:id` of the `OperatingSystemSection`: a number of CIM.
    pub os_id: Option<String>,
    /// The items of the `VirtualHardwareSection`.
    pub items: Vec<Item>,
}

/// `Item`, `StorageItem` or `EthernetPortItem`, DSP0243 §8.3: a device. Its properties are those of
/// CIM, DSP0004.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Where the element starts, in the descriptor.
    pub at: ByteOffset,
    /// `InstanceID`.
    pub instance_id: Option<String>,
    /// `ResourceType`: [`Item::PROCESSOR`] and others.
    pub resource_type: Option<String>,
    /// `ResourceSubType`: the model.
    pub resource_sub_type: Option<String>,
    /// `Parent`: the instance that it is a part of.
    pub parent: Option<String>,
    /// `HostResource`: what is behind it, `ovf:/disk/ID` or `ovf:/file/ID`.
    pub host_resource: Vec<String>,
    /// `VirtualQuantity`.
    pub quantity: Option<String>,
    /// `AllocationUnits` of the quantity.
    pub units: Option<String>,
}

impl Item {
    /// `ResourceType` of processors.
    pub const PROCESSOR: &str = "3";
    /// `ResourceType` of memory.
    pub const MEMORY: &str = "4";
    /// `ResourceType` of what discs and floppies are in: floppy drives, CD drives, DVD drives.
    pub const REMOVABLE_DRIVES: [&str; 3] = ["14", "15", "16"];
    /// `ResourceType` of disks.
    pub const DISK_DRIVE: &str = "17";
    /// `ResourceType` of what disks are attached to: IDE, parallel SCSI, and other storage, which is
    /// SATA and others by its subtype.
    pub const CONTROLLERS: [&str; 3] = ["5", "6", "20"];
}

/// A descriptor that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is no text.
    #[error("not UTF-8 from byte {} on", .0.valid_up_to())]
    Utf8(#[source] std::str::Utf8Error),
    /// It has more in it than any descriptor has, and reading it would cost time and memory.
    #[error("{0}")]
    Limit(&'static str),
    /// It is no XML, or has a definition of a document type, which nobody needs and which makes
    /// readers read other files, or more memory than there is.
    #[error("{0}")]
    Xml(#[from] roxmltree::Error),
}

impl Envelope {
    /// Reads a descriptor.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let text = std::str::from_utf8(bytes).map_err(Error::Utf8)?;
        // A tag has no other `<` in it. A license after one may be as long as it likes.
        if text.split('<').any(|tag| attributes(tag) > MAX_ATTRIBUTES) {
            return Err(Error::Limit("a tag of more than 1024 attributes"));
        }
        if text.matches("xmlns").count() > MAX_NAMESPACES {
            return Err(Error::Limit("more than 256 declarations of namespaces"));
        }
        let options =
            ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..Default::default() };
        let document = Document::parse_with_options(text, options)?;
        let root = document.root_element();
        let mut envelope = Self {
            name: root.tag_name().name().to_owned(),
            namespace: root.tag_name().namespace().unwrap_or_default().to_owned(),
            ..Self::default()
        };
        // In the order of the document, and without recursion.
        for node in root.descendants().filter(Node::is_element) {
            match node.tag_name().name() {
                "File" if parent_is(node, "References") => envelope.files.push(file(node)),
                "Disk" if parent_is(node, "DiskSection") => envelope.disks.push(disk(node)),
                "VirtualSystem" => envelope.systems.push(system(node)),
                _ => {}
            }
        }
        Ok(envelope)
    }
}

/// How many attributes a tag has, at most: what looks like one.
fn attributes(tag: &str) -> usize {
    let values = tag.split('=').skip(1);
    values.filter(|value| value.trim_start().starts_with(['"', '\''])).count()
}

fn parent_is(node: Node<'_, '_>, name: &str) -> bool {
    node.parent_element().is_some_and(|parent| parent.tag_name().name() == name)
}

fn file(node: Node<'_, '_>) -> File {
    File {
        at: at(node),
        id: attribute(node, "id"),
        href: attribute(node, "href"),
        size: attribute(node, "size"),
        compression: attribute(node, "compression"),
        chunk_size: attribute(node, "chunkSize"),
    }
}

fn disk(node: Node<'_, '_>) -> Disk {
    Disk {
        at: at(node),
        id: attribute(node, "diskId"),
        file_ref: attribute(node, "fileRef"),
        capacity: attribute(node, "capacity"),
        units: attribute(node, "capacityAllocationUnits"),
        format: attribute(node, "format"),
        parent_ref: attribute(node, "parentRef"),
    }
}

fn system(node: Node<'_, '_>) -> VirtualSystem {
    let mut system = VirtualSystem {
        at: at(node),
        id: attribute(node, "id"),
        os_type: None,
        os_id: None,
        items: Vec::new(),
    };
    for section in node.children().filter(Node::is_element) {
        match section.tag_name().name() {
            "OperatingSystemSection" => {
                system.os_id = attribute(section, "id");
                system.os_type = property(section, "OSType");
            }
            "VirtualHardwareSection" => {
                let is_item = |node: &Node<'_, '_>| {
                    let name = node.tag_name().name();
                    node.is_element() && matches!(name, "Item" | "StorageItem" | "EthernetPortItem")
                };
                system.items.extend(section.children().filter(is_item).map(item));
            }
            _ => {}
        }
    }
    system
}

fn item(node: Node<'_, '_>) -> Item {
    let host_resource = node.children().filter(|child| child.has_tag_name_local("HostResource"));
    Item {
        at: at(node),
        instance_id: property(node, "InstanceID"),
        resource_type: property(node, "ResourceType"),
        resource_sub_type: property(node, "ResourceSubType"),
        parent: property(node, "Parent"),
        host_resource: host_resource.filter_map(|child| text(child)).collect(),
        quantity: property(node, "VirtualQuantity"),
        units: property(node, "AllocationUnits"),
    }
}

/// The namespaces of what is in a descriptor depend on its version and on who wrote it, so elements
/// and attributes are found by their names alone.
trait Local {
    fn has_tag_name_local(&self, name: &str) -> bool;
}

impl Local for Node<'_, '_> {
    fn has_tag_name_local(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}

fn at(node: Node<'_, '_>) -> ByteOffset {
    ByteOffset(u64::try_from(node.range().start).unwrap_or(u64::MAX))
}

fn attribute(node: Node<'_, '_>, name: &str) -> Option<String> {
    let found = node.attributes().find(|attribute| attribute.name() == name)?;
    Some(found.value().to_owned())
}

/// The text of the first child of this name.
fn property(node: Node<'_, '_>, name: &str) -> Option<String> {
    text(node.children().find(|child| child.has_tag_name_local(name))?)
}

fn text(node: Node<'_, '_>) -> Option<String> {
    Some(node.text()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIPTOR: &str = r#"<?xml version="1.0"?>
<Envelope ovf:version="1.0" xmlns="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="urn:rasd" xmlns:vbox="urn:vbox">
  <References><File ovf:href="a.vmdk" ovf:id="file1" ovf:size="12"/></References>
  <DiskSection><Info>Disks</Info>
    <Disk ovf:capacity="2" ovf:capacityAllocationUnits="byte * 2^30" ovf:diskId="d"
      ovf:fileRef="file1" ovf:format="urn:format"/></DiskSection>
  <VirtualSystemCollection><VirtualSystem ovf:id="vm">
    <OperatingSystemSection ovf:id="101"><vbox:OSType>Linux26_64</vbox:OSType>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <System><rasd:InstanceID>0</rasd:InstanceID></System>
      <Item><rasd:HostResource> /disk/d </rasd:HostResource><rasd:InstanceID>5</rasd:InstanceID>
        <rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
    </VirtualHardwareSection></VirtualSystem></VirtualSystemCollection>
</Envelope>"#;

    #[test]
    fn a_descriptor_is_read_whatever_its_prefixes() {
        for text in
            [DESCRIPTOR.to_owned(), DESCRIPTOR.replace("rasd:", "r:").replace(":rasd", ":r")]
        {
            let envelope = Envelope::parse(text.as_bytes()).unwrap();
            assert_eq!(envelope.name, Envelope::NAME);
            assert_eq!(envelope.namespace, Envelope::NAMESPACES[1]);
            let [file] = &envelope.files[..] else { panic!("{envelope:?}") };
            assert_eq!((file.href.as_deref(), file.size.as_deref()), (Some("a.vmdk"), Some("12")));
            assert!(text[file.at.0 as usize..].starts_with("<File "));
            assert_eq!(envelope.disks[0].capacity(), Some(2 << 30));
            let [system] = &envelope.systems[..] else { panic!("{envelope:?}") };
            assert_eq!(system.os_type.as_deref(), Some("Linux26_64"));
            let [item] = &system.items[..] else { panic!("{envelope:?}") };
            assert_eq!(
                (&item.host_resource[..], item.parent.as_deref()),
                (&["/disk/d".to_owned()][..], Some("3"))
            );
        }
    }

    /// What makes other readers of XML take all memory, or read other files, is refused.
    #[test]
    fn hostile_descriptors_are_refused() {
        let laughs = "<!DOCTYPE x [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><x>&b;</x>";
        let file = "<!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><x>&a;</x>";
        for text in [laughs, file, "", "<x>", "<x/><y/>", "\u{0}"] {
            assert!(Envelope::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Envelope::parse(b"<x>\xff</x>").is_err());
        let deep = "<x>".repeat(1 << 18);
        assert!(Envelope::parse(deep.as_bytes()).is_err());
        let many = format!("<x>{}</x>", "<y/>".repeat(1 << 17));
        assert!(Envelope::parse(many.as_bytes()).is_err());
        let attributes: String = (0..100_000).map(|number| format!("a{number}='' ")).collect();
        assert!(Envelope::parse(format!("<x {attributes}/>").as_bytes()).is_err());
        // A license is long, and has quotes and lines in it.
        let license = "the \"license\" is 'as is' ====\n".repeat(10_000);
        assert!(Envelope::parse(format!("<x>{license}</x>").as_bytes()).is_ok());
        let namespaces: String =
            (0..10_000).map(|number| format!("<x xmlns:n{number}='n'>")).collect();
        assert!(Envelope::parse((namespaces + &"</x>".repeat(10_000)).as_bytes()).is_err());
    }

    #[test]
    fn names_are_unescaped() {
        let unescaped = |href: &str| {
            let text = DESCRIPTOR.replace("a.vmdk", href);
            Envelope::parse(text.as_bytes()).unwrap().files[0].unescaped()
        };
        assert_eq!(unescaped("my%20vm%2d1.vmdk").as_deref(), Some(&b"my vm-1.vmdk"[..]));
        for href in ["a.vmdk", "a%2", "a%", "a%zz", "a%2ü"] {
            assert_eq!(unescaped(href), None, "{href}");
        }
    }

    #[test]
    fn capacities_have_units() {
        let disk = |capacity: &str, units: Option<&str>| {
            let (capacity, units) = (Some(capacity.to_owned()), units.map(str::to_owned));
            let (at, id, file_ref, format, parent_ref) = (ByteOffset(0), None, None, None, None);
            Disk { at, id, file_ref, capacity, units, format, parent_ref }.capacity()
        };
        assert_eq!(disk("512", None), Some(512));
        assert_eq!(disk("3", Some("byte*2^20")), Some(3 << 20));
        for (capacity, units) in [
            ("${size}", None),
            ("1", Some("byte * 2^64")),
            ("2", Some("byte * 2^63")),
            ("1", Some("MB")),
        ] {
            assert_eq!(disk(capacity, units), None, "{capacity} {units:?}");
        }
    }
}
