//! An appliance as VirtualBox exports it: a disk that qemu-img makes, a descriptor, a manifest, and
//! tar around them.

use std::{fs, sync::LazyLock};

use image_formats::vmdk::raw::{Header, Marker};
use sha2::Digest as _;
use zerocopy::FromBytes;

use super::folder::Folder;

/// Capacity of the disk: two tables of grains, the last grain not whole.
pub(crate) const CAPACITY: usize = (40 << 20) + 5 * 512;

/// What is on the disk: text, noise, and zeros.
pub(crate) fn raw() -> Vec<u8> {
    let mut raw = vec![0; CAPACITY];
    let text = (0..200_000).map(|at| (at / 7 * 31 % 64 + 32) as u8);
    raw[..200_000].copy_from_slice(&text.collect::<Vec<_>>());
    let mut state = 1_u64;
    for byte in &mut raw[33 << 20..(33 << 20) + 100_000] {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *byte = state as u8;
    }
    let end = raw.len() - 512;
    raw[end..].fill(b'e');
    raw
}

/// The disk.
pub(crate) fn vmdk() -> &'static [u8] {
    static VMDK: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let folder = Folder::new();
        folder.write("raw", &raw());
        let options = "subformat=streamOptimized";
        let argv = ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", options, "raw", "disk"];
        folder.succeed(&argv);
        fs::read(folder.path("disk")).unwrap()
    });
    &VMDK
}

/// The same disk as VMware and VirtualBox write it: the place of the directory is told at the end.
pub(crate) fn with_footer() -> Vec<u8> {
    let mut disk = vmdk().to_vec();
    let footer = disk[..512].to_vec();
    header(&mut disk).gd_offset.set(Header::GD_AT_END);
    header(&mut disk).rgd_offset.set(Header::GD_AT_END);
    let mut marker = [0; 512];
    marker[0] = 1;
    marker[12] = Marker::FOOTER as u8;
    disk.extend(marker);
    disk.extend(footer);
    disk.extend([0; 512]);
    disk
}

/// The same disk as VirtualBox writes it: its header has the capacity in whole grains, and the words
/// have the true one.
pub(crate) fn rounded_up() -> Vec<u8> {
    let mut disk = vmdk().to_vec();
    let capacity = header(&mut disk).capacity.get();
    assert!(!capacity.is_multiple_of(128));
    header(&mut disk).capacity.set(capacity.next_multiple_of(128));
    disk
}

/// The header of a disk.
pub(crate) fn header(disk: &mut [u8]) -> &mut Header {
    Header::mut_from_bytes(&mut disk[..512]).unwrap()
}

/// The number that lies here, in sectors, as a place in bytes.
fn place(disk: &[u8], at: usize) -> usize {
    u32::from_le_bytes(disk[at..at + 4].try_into().unwrap()) as usize * 512
}

/// Where the directory is.
pub(crate) fn directory(disk: &[u8]) -> usize {
    u64::from_le_bytes(disk[56..64].try_into().unwrap()) as usize * 512
}

/// Where the first table is.
pub(crate) fn table(disk: &[u8]) -> usize {
    place(disk, directory(disk))
}

/// Where the first grain is.
pub(crate) fn grain(disk: &[u8]) -> usize {
    place(disk, table(disk))
}

/// What is a disc by its first descriptor.
pub(crate) fn disc() -> Vec<u8> {
    let mut disc = vec![0; 20 * 2048];
    disc[16 * 2048..][..6].copy_from_slice(b"\x01CD001");
    disc
}

/// Name of the disk in the package.
pub(crate) const DISK: &str = "nixos-disk001.vmdk";

const DESCRIPTOR: &str = r#"<?xml version="1.0"?>
<Envelope ovf:version="1.0" xml:lang="en-US" xmlns="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
  xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"
  xmlns:vbox="http://www.virtualbox.org/ovf/machine">
  <References>
    <File ovf:id="file1" ovf:href="nixos-disk001.vmdk" ovf:size="SIZE"/>
  </References>
  <DiskSection>
    <Info>List of the virtual disks used in the package</Info>
    <Disk ovf:capacity="CAPACITY" ovf:diskId="vmdisk1" ovf:fileRef="file1"
      ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
  <VirtualSystem ovf:id="NixOS">
    <Info>A virtual machine</Info>
    <OperatingSystemSection ovf:id="101">
      <Info>The kind of installed guest operating system</Info>
      <Description>Linux26_64</Description>
      <vbox:OSType ovf:required="false">Linux26_64</vbox:OSType>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>Virtual hardware requirements for a virtual machine</Info>
      <System>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemType>virtualbox-2.2</vssd:VirtualSystemType>
      </System>
      <Item>
        <rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType>
        <rasd:VirtualQuantity>1</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:AllocationUnits>MegaBytes</rasd:AllocationUnits>
        <rasd:InstanceID>2</rasd:InstanceID>
        <rasd:ResourceType>4</rasd:ResourceType>
        <rasd:VirtualQuantity>1536</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:InstanceID>3</rasd:InstanceID>
        <rasd:ResourceSubType>AHCI</rasd:ResourceSubType>
        <rasd:ResourceType>20</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AddressOnParent>0</rasd:AddressOnParent>
        <rasd:HostResource>/disk/vmdisk1</rasd:HostResource>
        <rasd:InstanceID>5</rasd:InstanceID>
        <rasd:Parent>3</rasd:Parent>
        <rasd:ResourceType>17</rasd:ResourceType>
      </Item>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
"#;

/// What an appliance is made of. Twins edit it before it is packed, or after.
pub(crate) struct Package {
    pub(crate) descriptor: String,
    pub(crate) disk: Vec<u8>,
    /// Its lines are made of the rest where it is not given.
    pub(crate) manifest: Option<String>,
    /// Names of the members, in their order.
    pub(crate) order: Vec<String>,
    /// Further files.
    pub(crate) extra: Vec<(String, Vec<u8>)>,
    /// Dialect of tar.
    pub(crate) format: &'static str,
}

impl Package {
    pub(crate) fn good() -> Self {
        Self::of(vmdk().to_vec())
    }

    /// An appliance with this disk.
    pub(crate) fn of(disk: Vec<u8>) -> Self {
        let descriptor = DESCRIPTOR.replace("CAPACITY", &CAPACITY.to_string());
        Self {
            descriptor,
            disk,
            manifest: None,
            order: ["nixos.ovf", "nixos.mf", DISK].map(str::to_owned).to_vec(),
            extra: Vec::new(),
            format: "ustar",
        }
    }

    /// Replaces something in the descriptor, which has to be there.
    pub(crate) fn replace(&mut self, from: &str, to: &str) {
        assert!(self.descriptor.contains(from), "{from}");
        self.descriptor = self.descriptor.replace(from, to);
    }

    /// With a disc in a drive, which VirtualBox exports when it is told to.
    pub(crate) fn with_disc(disc: Vec<u8>) -> Self {
        let mut package = Self::good();
        package.replace(
            "</References>",
            "<File ovf:id=\"file2\" ovf:href=\"nixos-disk002.iso\"/></References>",
        );
        package.replace(
            "</DiskSection>",
            "<Disk ovf:capacity=\"40960\" ovf:diskId=\"vmdisk2\" ovf:fileRef=\"file2\" \
             ovf:format=\"http://www.ecma-international.org/publications/standards/Ecma-119.htm\"/>\
             </DiskSection>",
        );
        package.replace(
            "</VirtualHardwareSection>",
            "<Item><rasd:HostResource>/disk/vmdisk2</rasd:HostResource>\
             <rasd:InstanceID>6</rasd:InstanceID><rasd:Parent>3</rasd:Parent>\
             <rasd:ResourceType>15</rasd:ResourceType></Item></VirtualHardwareSection>",
        );
        let name = "nixos-disk002.iso";
        let descriptor = package.descriptor.replace("SIZE", &package.disk.len().to_string());
        let lines =
            [("nixos.ovf", descriptor.as_bytes()), (DISK, &package.disk), (name, &disc[..])];
        package.manifest = Some(lines.map(|(name, content)| Self::line(name, content)).concat());
        package.order.push(name.to_owned());
        package.extra.push((name.to_owned(), disc));
        package
    }

    /// A line of the manifest.
    pub(crate) fn line(name: &str, content: &[u8]) -> String {
        let digest = sha2::Sha256::digest(content);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("SHA256({name})= {hex}\n")
    }

    /// The archive that tar makes of it.
    pub(crate) fn pack(self) -> Vec<u8> {
        let folder = Folder::new();
        let descriptor = self.descriptor.replace("SIZE", &self.disk.len().to_string());
        let manifest = self.manifest.unwrap_or_else(|| {
            Self::line("nixos.ovf", descriptor.as_bytes()) + &Self::line(DISK, &self.disk)
        });
        folder.write("nixos.ovf", descriptor.as_bytes());
        folder.write("nixos.mf", manifest.as_bytes());
        folder.write(DISK, &self.disk);
        for (name, content) in &self.extra {
            folder.write(name, content);
        }
        let format = format!("--format={}", self.format);
        let fixed = ["--owner=0", "--group=0", "--numeric-owner", "--mtime=@1", "--mode=0644"];
        let mut argv = vec!["tar", "-cf", "package.ova", "--blocking-factor=2", &format];
        argv.extend(fixed);
        argv.extend(self.order.iter().map(String::as_str));
        folder.succeed(&argv);
        fs::read(folder.path("package.ova")).unwrap()
    }
}

/// Gives the member with this name another one, and the header its checksum.
pub(crate) fn rename(archive: &mut [u8], from: &str, to: &str) {
    let mut name = from.as_bytes().to_vec();
    name.resize(100, 0);
    let at = archive.chunks(512).position(|block| block.starts_with(&name)).unwrap() * 512;
    archive[at..at + 100].fill(0);
    archive[at..at + to.len()].copy_from_slice(to.as_bytes());
    archive[at + 148..at + 156].fill(b' ');
    let sum: u32 = archive[at..at + 512].iter().map(|byte| u32::from(*byte)).sum();
    archive[at + 148..at + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}
