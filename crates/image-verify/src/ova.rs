//! Judges appliances: the archive, its descriptor, the digests in its manifest, and its disks.

mod checks;
mod manifest;

use std::collections::{BTreeMap, BTreeSet};

use image_formats::{
    bytes::{ReadError, Region},
    ovf::{self, Envelope},
    tar::{Dialect, Kind},
    units::ByteOffset,
};
use image_model::Location;

pub use checks::*;

use crate::{
    Recorder,
    container::raw_at,
    members::{self, Member, Members},
    tree::display,
    vmdk,
};

/// The formats of disks in packages, by the start of their URIs, which differ in their ends.
const VMDK_URIS: [&str; 2] = [
    "http://www.vmware.com/interfaces/specifications/vmdk.html",
    "http://www.vmware.com/specifications/vmdk.html",
];

/// The format of discs.
const ISO_URI: &str = "http://www.ecma-international.org/publications/standards/Ecma-119.htm";
/// Where the first descriptor of a disc is.
const ISO_DESCRIPTOR: u64 = 16 * 2048;

/// An appliance, as far as it could be read.
#[derive(Debug)]
pub struct Appliance {
    /// What its descriptor says; `None` where it cannot be read.
    pub envelope: Option<Envelope>,
    /// Where the descriptor starts in the image.
    pub descriptor: ByteOffset,
    /// A certificate is in it, which signs the manifest.
    pub is_signed: bool,
}

/// Judges an appliance. An error is the machine's.
pub fn verify(archive: &Region, out: &mut Recorder) -> Result<Appliance, ReadError> {
    out.announce(CHECKS);
    let checks = members::Checks { sound: &TAR, name: &NAME, limit: &LIMITS };
    let members = Members::read(archive, &checks, out)?;
    let mut judge = Judge { members: &members, out };
    judge.dialects();
    let is_signed = judge.ending(b".cert").next().is_some();
    let Some(descriptor) = judge.descriptor() else {
        return Ok(Appliance { envelope: None, descriptor: ByteOffset(0), is_signed });
    };
    let at = descriptor.content.start();
    let Some(envelope) = judge.envelope(descriptor)? else {
        return Ok(Appliance { envelope: None, descriptor: at, is_signed });
    };
    judge.references(&envelope, descriptor);
    if !judge.out.has_failed(&DESCRIPTOR) && !members.cut {
        judge.order(&envelope, descriptor);
    }
    judge.manifest(&envelope, descriptor)?;
    judge.disks(&envelope, descriptor)?;
    Ok(Appliance { envelope: Some(envelope), descriptor: at, is_signed })
}

struct Judge<'a, 'o> {
    members: &'a Members,
    out: &'o mut Recorder,
}

/// Where an element of the descriptor is.
fn element(descriptor: &Member, structure: &'static str, at: ByteOffset) -> Location {
    descriptor.content_at(structure, at.0, 0)
}

/// Text of the descriptor, for people.
fn shown(text: Option<&str>) -> String {
    text.map_or("nothing".to_owned(), |text| display(text.as_bytes()))
}

impl<'a> Judge<'a, '_> {
    /// The files whose names end like this.
    fn ending(&self, end: &'static [u8]) -> impl Iterator<Item = &'a Member> + use<'a> {
        let files = self.members.list.iter().filter(|member| member.kind == Kind::File);
        files.filter(move |member| {
            let (path, len) = (&member.path, member.path.len());
            len > end.len() && path[len - end.len()..].eq_ignore_ascii_case(end)
        })
    }

    fn dialects(&mut self) {
        let other = self.members.list.iter().find(|member| member.dialect != Dialect::Ustar);
        self.out.expect(&USTAR, other.is_none(), || match other {
            Some(member) => (member.location(), format!("{}, not ustar", member.dialect.as_str())),
            None => (raw_at("archive", 0, 0), String::new()),
        });
    }

    /// The descriptor: the first member, and the only one of its kind.
    fn descriptor(&mut self) -> Option<&'a Member> {
        let first = self.members.list.iter().find(|member| member.kind != Kind::Directory);
        let all: Vec<_> = self.ending(b".ovf").take(2).collect();
        let descriptor = all.first().copied();
        let is_first =
            descriptor.is_some_and(|found| first.is_some_and(|first| first.at == found.at));
        self.out.expect(&DESCRIPTOR, is_first && all.len() == 1, || match (descriptor, first) {
            (None, _) | (_, None) => {
                (raw_at("archive", 0, 0), "no member is called *.ovf".to_owned())
            }
            (Some(found), Some(first)) if !is_first => {
                (found.location(), format!("comes after {}", first.name()))
            }
            _ => {
                let second = all.last().map_or(raw_at("archive", 0, 0), |found| found.location());
                (second, "a second descriptor".to_owned())
            }
        });
        descriptor
    }

    fn envelope(&mut self, descriptor: &Member) -> Result<Option<Envelope>, ReadError> {
        let place = || descriptor.content_at("OVF descriptor", 0, descriptor.content.len());
        let parsed = match descriptor.read(ovf::MAX_BYTES) {
            Ok(bytes) => Envelope::parse(&bytes).map_err(|error| error.to_string()),
            Err(error) if error.is_defect() => Err(error.cause.to_string()),
            Err(error) => return Err(error),
        };
        let parsed = parsed.and_then(|envelope| {
            let (name, namespace) = (&envelope.name, &envelope.namespace);
            let known = Envelope::NAMESPACES.contains(&namespace.as_str());
            if name == Envelope::NAME && known {
                return Ok(envelope);
            }
            let (name, namespace) = (display(name.as_bytes()), display(namespace.as_bytes()));
            Err(format!("{name} of {namespace:?}, and no Envelope of DSP0243"))
        });
        self.out.expect(&ENVELOPE, parsed.is_ok(), || {
            (place(), shown(parsed.as_ref().err().map(String::as_str)))
        });
        Ok(parsed.ok())
    }

    /// The member that a file of the descriptor is.
    fn member(&self, file: &ovf::File) -> Option<&'a Member> {
        let href = file.href.as_deref()?.as_bytes();
        // VMware's tools escape a space, as in a URI; VirtualBox does not.
        let escaped = || self.members.find_file(&file.unescaped()?);
        self.members.find_file(href).or_else(escaped)
    }

    fn references(&mut self, envelope: &Envelope, descriptor: &Member) {
        let mut ids = BTreeSet::new();
        for file in &envelope.files {
            let place = || element(descriptor, "OVF File", file.at);
            let id = file.id.as_deref();
            self.out.expect(&IDENTIFIER, id.is_some_and(|id| ids.insert(id)), || {
                (place(), format!("ovf:id is {}, not one of its own", shown(id)))
            });
            let found = self.member(file);
            self.out.expect(&REFERENCE, found.is_some(), || {
                (place(), format!("{} is no file in the package", shown(file.href.as_deref())))
            });
            let size = file.size.as_deref();
            if let Some(found) = found
                && let Some(size) = size
            {
                let len = found.content.len();
                self.out.expect(&REFERENCE_SIZE, size.trim().parse() == Ok(len), || {
                    (
                        place(),
                        format!("{} has {len} bytes, not {}", found.name(), shown(Some(size))),
                    )
                });
            }
            self.out.expect(&REFERENCE_ENCODING, !is_encoded(file), || {
                let href = shown(file.href.as_deref());
                (place(), format!("{href} is compressed or in pieces, and was not judged"))
            });
        }
        let mut ids = BTreeSet::new();
        for disk in &envelope.disks {
            let id = disk.id.as_deref();
            self.out.expect(&IDENTIFIER, id.is_some_and(|id| ids.insert(id)), || {
                let place = element(descriptor, "OVF Disk", disk.at);
                (place, format!("ovf:diskId is {}, not one of its own", shown(id)))
            });
        }
        if self.members.cut {
            return;
        }
        let used: BTreeSet<_> =
            envelope.files.iter().filter_map(|file| Some(self.member(file)?.at)).collect();
        let known = [&b".ovf"[..], b".mf", b".cert"];
        let known: BTreeSet<_> =
            known.into_iter().flat_map(|end| self.ending(end)).map(|member| member.at).collect();
        for member in self.members.list.iter().filter(|member| member.kind == Kind::File) {
            let wanted = used.contains(&member.at) || known.contains(&member.at);
            self.out.expect(&UNREFERENCED, wanted, || {
                (member.location(), "nothing refers to it".to_owned())
            });
        }
    }

    /// Descriptor, manifest, certificate, files; or manifest and certificate at the end.
    fn order(&mut self, envelope: &Envelope, descriptor: &Member) {
        let about: Vec<_> =
            self.ending(b".mf").chain(self.ending(b".cert")).map(|m| m.at).collect();
        // Who refers to a file twice is told so elsewhere.
        let mut seen = BTreeSet::new();
        let members = envelope.files.iter().filter_map(|file| Some(self.member(file)?.at));
        let files: Vec<_> = members.filter(|at| seen.insert(*at)).collect();
        let first = [&[descriptor.at][..], &about, &files].concat();
        let last = [&[descriptor.at][..], &files, &about].concat();
        // What nothing refers to may be anywhere.
        let known: BTreeSet<_> = first.iter().collect();
        let is_known = |at: &ByteOffset| known.contains(at);
        let members = self.members.list.iter().map(|member| member.at);
        let found: Vec<_> = members.filter(is_known).take(first.len()).collect();
        let good = found == first || found == last;
        self.out.expect(&ORDER, good, || {
            let names = self.members.list.iter().filter(|member| is_known(&member.at));
            let names: Vec<_> = names.map(Member::name).collect();
            let message = format!("{}, which is not the order of the references", names.join(", "));
            (raw_at("archive", 0, 0), message)
        });
    }

    fn disks(&mut self, envelope: &Envelope, descriptor: &Member) -> Result<(), ReadError> {
        let mut budget = vmdk::MAX_INFLATED;
        let mut judged = BTreeSet::new();
        let files: BTreeMap<_, _> =
            envelope.files.iter().rev().map(|file| (file.id.as_deref(), file)).collect();
        for disk in &envelope.disks {
            // A disk without a file starts empty.
            let Some(wanted) = disk.file_ref.as_deref() else { continue };
            let place = || element(descriptor, "OVF Disk", disk.at);
            let file = files.get(&Some(wanted)).copied();
            let parent = disk.parent_ref.as_deref();
            self.out.expect(&DISK_FILE, file.is_some() && parent.is_none(), || match parent {
                Some(parent) => {
                    (place(), format!("only what differs from {}", shown(Some(parent))))
                }
                None => (place(), format!("no File has the ovf:id {}", shown(Some(wanted)))),
            });
            let Some(file) = file.filter(|file| !is_encoded(file)) else { continue };
            let Some(member) = self.member(file) else { continue };
            let is_vmdk = starts_with(member, b"KDMV")?;
            let format = disk.format.as_deref().unwrap_or_default();
            let uri = format.split('#').next().unwrap_or_default();
            // A disc that is in the drive of a machine is exported with it.
            if uri == ISO_URI {
                self.out.expect(&DISK_FORMAT, is_iso(member)?, || {
                    (place(), format!("{} is no ISO 9660, ovf:format is {uri}", member.name()))
                });
                continue;
            }
            let says_vmdk = VMDK_URIS.contains(&uri);
            self.out.expect(&DISK_FORMAT, says_vmdk && is_vmdk, || {
                let found = if is_vmdk { "a VMDK" } else { "no VMDK" };
                (
                    place(),
                    format!("{} is {found}, ovf:format is {}", member.name(), shown(Some(format))),
                )
            });
            if !is_vmdk || !judged.insert(member.at) {
                continue;
            }
            let capacity = vmdk::verify(&member.content, &member.name(), &mut budget, self.out)?;
            let Some(capacity) = capacity else { continue };
            self.out.expect(&DISK_CAPACITY, disk.capacity() == Some(capacity), || {
                let (count, units) = (disk.capacity.as_deref(), disk.units.as_deref());
                let units = units.map(|units| format!(" in units of {}", shown(Some(units))));
                let found = shown(count) + &units.unwrap_or_default();
                (place(), format!("ovf:capacity is {found}, the disk has {capacity} bytes"))
            });
        }
        Ok(())
    }
}

fn is_encoded(file: &ovf::File) -> bool {
    let compression = file.compression.as_deref().unwrap_or_default();
    !matches!(compression, "" | "identity") || file.chunk_size.is_some()
}

fn starts_with<const N: usize>(member: &Member, magic: &[u8; N]) -> Result<bool, ReadError> {
    has(member, 0, magic)
}

fn is_iso(member: &Member) -> Result<bool, ReadError> {
    has(member, ISO_DESCRIPTOR + 1, b"CD001")
}

fn has<const N: usize>(member: &Member, at: u64, magic: &[u8; N]) -> Result<bool, ReadError> {
    match member.content.array::<N>("first bytes", at) {
        Ok(found) => Ok(found == *magic),
        Err(error) if error.is_defect() => Ok(false),
        Err(error) => Err(error),
    }
}
