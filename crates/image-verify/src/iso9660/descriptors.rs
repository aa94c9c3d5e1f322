//! The volume descriptors.

use std::mem::offset_of;

use image_formats::{
    bytes::ReadError,
    iso9660::{
        BlockSize, Descriptor, Descriptors, Moment, SECTOR,
        raw::{
            Both16, Both32, DescriptorHeader, DirectoryRecord, LongDate, PartitionDescriptor,
            RootRecord, VolumeDescriptor,
        },
    },
};
use zerocopy::IntoBytes as _;

use super::{
    BLOCK_SIZE, BOTH_ENDIAN, DATES, DESCRIPTOR_TYPE, DESCRIPTOR_VERSION, ESCAPE, Judge, LIMITS,
    PARTITION, PRIMARY, PRIMARY_COPY, Place, ROOT, SIGNATURE, STRUCTURE_VERSION, SUPPLEMENTARY,
    TERMINATOR, UNUSED, VOLUME_SET, VOLUME_SIZE,
    paths::{Names, Whose},
};

/// The most trees that are judged. One of each kind is more than anybody writes.
const MAX_TREES: usize = 4;

/// A tree of directories, and what leads to it.
pub(super) struct Source {
    pub(super) names: Names,
    pub(super) descriptor: VolumeDescriptor,
    /// Of the descriptor, from the start of the volume.
    pub(super) offset: u64,
    pub(super) block: BlockSize,
}

impl Source {
    /// A field of the descriptor.
    pub(super) fn field(&self, field: usize, len: u64) -> Place<'static> {
        field_of(self.structure(), self.offset, field, len)
    }

    pub(super) fn root(&self) -> &RootRecord {
        &self.descriptor.root
    }

    /// Of the record of the root, from the start of the volume.
    pub(super) fn root_offset(&self) -> u64 {
        self.offset + offset_of!(VolumeDescriptor, root) as u64
    }

    fn structure(&self) -> &'static str {
        structure(&self.descriptor)
    }
}

/// The descriptors that lead to files.
pub(super) struct Set {
    /// The primary one first.
    pub(super) sources: Vec<Source>,
    /// Where the descriptors end.
    pub(super) end: u64,
    /// Bytes of the volume, by the primary descriptor.
    pub(super) len: u64,
}

impl Set {
    pub(super) fn primary(&self) -> &Source {
        &self.sources[0]
    }
}

fn structure(descriptor: &VolumeDescriptor) -> &'static str {
    if descriptor.header.kind == DescriptorHeader::PRIMARY {
        "primary volume descriptor"
    } else if descriptor.is_enhanced() {
        "enhanced volume descriptor"
    } else if descriptor.joliet().is_some() {
        "Joliet volume descriptor"
    } else {
        "supplementary volume descriptor"
    }
}

fn field_of(structure: &'static str, at: u64, field: usize, len: u64) -> Place<'static> {
    Place { structure, offset: at + field as u64, len, whose: Whose::Nobody }
}

fn all(descriptor: &Descriptor) -> Place<'static> {
    field_of("volume descriptor", descriptor.offset, 0, SECTOR)
}

impl Judge<'_> {
    /// `None` where nothing leads to files.
    pub(super) fn descriptors(&mut self) -> Result<Option<Set>, ReadError> {
        let mut set = Set { sources: Vec::new(), end: 0, len: 0 };
        let mut primary: Option<Descriptor> = None;
        let mut others = Vec::new();
        for found in Descriptors::new(self.region) {
            let descriptor = match found {
                Ok(descriptor) => descriptor,
                Err(error) if error.is_defect() => {
                    let at = error.at.0 - self.region.start().0;
                    let place = field_of("volume descriptor", at, 0, 0);
                    let first = at == Descriptor::FIRST * SECTOR;
                    let check = if first { &SIGNATURE } else { &TERMINATOR };
                    self.fault(check, &place, || "the volume ends before it".to_owned());
                    break;
                }
                Err(error) => return Err(error),
            };
            let first = descriptor.offset == Descriptor::FIRST * SECTOR;
            let check = if first { &SIGNATURE } else { &TERMINATOR };
            let place = field_of("volume descriptor", descriptor.offset, 1, 5);
            let identifier = descriptor.header().standard_identifier;
            if !descriptor.is_one() {
                self.fault(check, &place, || {
                    format!("\"{}\", not \"CD001\"", identifier.escape_ascii())
                });
                break;
            }
            self.expect(&SIGNATURE, true, &place, String::new);
            set.end = descriptor.offset + SECTOR;
            self.version(&descriptor);
            match descriptor.header().kind {
                DescriptorHeader::PRIMARY => self.primary(&mut primary, descriptor),
                DescriptorHeader::SUPPLEMENTARY => others.push(descriptor),
                DescriptorHeader::PARTITION => others.push(descriptor),
                DescriptorHeader::TERMINATOR => {
                    self.expect(&TERMINATOR, true, &place, String::new);
                }
                _ => {}
            }
        }
        let last = field_of("volume descriptor", set.end, 0, 0);
        if set.end == 0 {
            return Ok(None);
        }
        self.expect(&PRIMARY, primary.is_some(), &last, || {
            "no primary volume descriptor before this".to_owned()
        });
        let Some(primary) = primary else { return Ok(None) };
        let Some(source) = self.source(&primary) else { return Ok(None) };
        let blocks = source.descriptor.volume_space_size.get();
        set.len = u64::from(blocks) * source.block.bytes();
        let place = source.field(offset_of!(VolumeDescriptor, volume_space_size), 8);
        let have = self.region.len();
        self.expect(&VOLUME_SIZE, set.len <= have, &place, || {
            format!("{} bytes in {blocks} blocks, and {have} are there: it was cut", set.len)
        });
        set.sources.push(source);
        for descriptor in &others {
            if descriptor.header().kind == DescriptorHeader::PARTITION {
                self.partition(descriptor, set.primary().block);
            } else {
                self.supplementary(descriptor, &mut set);
            }
        }
        Ok(Some(set))
    }

    fn version(&mut self, descriptor: &Descriptor) {
        let DescriptorHeader { kind, version, .. } = descriptor.header();
        let place = field_of("volume descriptor", descriptor.offset, 0, 1);
        let known = matches!(kind, 0..=3 | DescriptorHeader::TERMINATOR);
        self.expect(&DESCRIPTOR_TYPE, known, &place, || {
            format!("type {kind}, not 0, 1, 2, 3 or 255")
        });
        let place = field_of("volume descriptor", descriptor.offset, 6, 1);
        let enhanced = kind == DescriptorHeader::SUPPLEMENTARY;
        let right = version == 1 || enhanced && version == VolumeDescriptor::ENHANCED;
        let want = if enhanced { "1 or 2" } else { "1" };
        self.expect(&DESCRIPTOR_VERSION, right || !known, &place, || {
            format!("version {version}, not {want}")
        });
    }

    fn primary(&mut self, primary: &mut Option<Descriptor>, found: Descriptor) {
        let Some(first) = primary else {
            *primary = Some(found);
            return;
        };
        let same = first.volume().as_bytes() == found.volume().as_bytes();
        let at = first.offset;
        self.expect(&PRIMARY_COPY, same, &all(&found), || {
            format!("another primary volume descriptor than the one at {at:#x}")
        });
    }

    /// Judges what has no use in a descriptor.
    fn unused(&mut self, descriptor: &VolumeDescriptor, offset: u64) {
        let unused: [(usize, &[u8]); 5] = [
            (offset_of!(VolumeDescriptor, volume_flags), &[descriptor.volume_flags]),
            (offset_of!(VolumeDescriptor, unused_72), &descriptor.unused_72),
            (offset_of!(VolumeDescriptor, escape_sequences), &descriptor.escape_sequences),
            (offset_of!(VolumeDescriptor, reserved_882), &[descriptor.reserved_882]),
            (offset_of!(VolumeDescriptor, reserved_1395), &descriptor.reserved_1395),
        ];
        // A supplementary one uses two of them.
        let primary = descriptor.header.kind == DescriptorHeader::PRIMARY;
        let used = [
            offset_of!(VolumeDescriptor, volume_flags),
            offset_of!(VolumeDescriptor, escape_sequences),
        ];
        for (field, bytes) in unused {
            if !primary && used.contains(&field) {
                continue;
            }
            let odd = bytes.iter().position(|byte| *byte != 0);
            let at = field + odd.unwrap_or(0);
            let place = field_of(structure(descriptor), offset, at, 1);
            self.expect(&UNUSED, odd.is_none(), &place, || {
                format!("byte {at} of it is {:#04x}, not 0", bytes[at - field])
            });
        }
    }

    /// Judges what a descriptor says of itself. `None` where it leads nowhere.
    fn source(&mut self, found: &Descriptor) -> Option<Source> {
        let descriptor = found.volume();
        let names = match descriptor {
            _ if descriptor.header.kind == DescriptorHeader::PRIMARY => Names::Primary,
            _ if descriptor.joliet().is_some() => Names::Joliet,
            _ => Names::Bytes,
        };
        let at = |field, len| field_of(structure(&descriptor), found.offset, field, len);
        let size = descriptor.logical_block_size;
        let block = descriptor.block_size();
        let place = at(offset_of!(VolumeDescriptor, logical_block_size), 4);
        self.expect(&BLOCK_SIZE, block.is_some(), &place, || {
            format!("{} bytes, not 512, 1024 or 2048", size.get())
        });
        self.both16(&place, "logical block size", size);
        let place = at(offset_of!(VolumeDescriptor, volume_space_size), 8);
        self.both32(&place, "volume space size", descriptor.volume_space_size);
        let place = at(offset_of!(VolumeDescriptor, path_table_size), 8);
        self.both32(&place, "path table size", descriptor.path_table_size);
        let (discs, disc) = (descriptor.volume_set_size, descriptor.volume_sequence_number);
        let place = at(offset_of!(VolumeDescriptor, volume_set_size), 8);
        self.both16(&place, "volume set size", discs);
        self.both16(&place, "volume sequence number", disc);
        let one = discs.get() <= 1 && disc.get() <= 1;
        self.expect(&VOLUME_SET, one, &place, || {
            format!("disc {} of {}, not the only one", disc.get(), discs.get())
        });
        let version = descriptor.file_structure_version;
        let want = if descriptor.is_enhanced() { VolumeDescriptor::ENHANCED } else { 1 };
        let place = at(offset_of!(VolumeDescriptor, file_structure_version), 1);
        self.expect(&STRUCTURE_VERSION, version == want, &place, || {
            format!("version {version}, not {want}")
        });
        self.unused(&descriptor, found.offset);
        for (field, what, date) in [
            (offset_of!(VolumeDescriptor, creation), "creation", descriptor.creation),
            (offset_of!(VolumeDescriptor, modification), "modification", descriptor.modification),
            (offset_of!(VolumeDescriptor, expiration), "expiration", descriptor.expiration),
            (offset_of!(VolumeDescriptor, effective), "effective", descriptor.effective),
        ] {
            self.date(&at(field, size_of::<LongDate>() as u64), what, &date);
        }
        let source = Source { names, descriptor, offset: found.offset, block: block? };
        self.root(&source).then_some(source)
    }

    fn date(&mut self, place: &Place<'_>, what: &str, date: &LongDate) {
        self.expect(&DATES, date.moment() != Moment::Invalid, place, || {
            let digits = &date.as_bytes()[..16];
            format!("{what} date \"{}\", zone {}: not a date", digits.escape_ascii(), date.zone)
        });
    }

    /// False if it is no directory.
    fn root(&mut self, source: &Source) -> bool {
        let RootRecord { record, identifier } = *source.root();
        let place = source.field(offset_of!(VolumeDescriptor, root), 34);
        self.both32(&place, "extent", record.extent);
        self.both32(&place, "data length", record.data_len);
        self.both16(&place, "volume sequence number", record.volume_sequence_number);
        let DirectoryRecord { len, identifier_len, flags, .. } = record;
        let formal = len == 34 && identifier_len == 1 && identifier == 0;
        self.expect(&ROOT, formal && record.is_directory(), &place, || {
            format!(
                "length {len}, name of {identifier_len} bytes, {identifier:#04x} its first, flags \
                 {flags:#04x}: not the record of a root directory"
            )
        });
        record.is_directory()
    }

    fn supplementary(&mut self, found: &Descriptor, set: &mut Set) {
        let descriptor = found.volume();
        let escape = descriptor.escape_sequences;
        let place = field_of(
            structure(&descriptor),
            found.offset,
            offset_of!(VolumeDescriptor, escape_sequences),
            32,
        );
        self.expect(
            &ESCAPE,
            descriptor.is_enhanced() || descriptor.joliet().is_some(),
            &place,
            || {
                let end = escape.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
                format!("\"{}\", not %/@, %/C or %/E", escape[..end].escape_ascii())
            },
        );
        let Some(source) = self.source(found) else { return };
        let primary = &set.primary().descriptor;
        let place = source.field(offset_of!(VolumeDescriptor, volume_space_size), 8);
        let sizes =
            [primary, &descriptor].map(|d| (d.volume_space_size.get(), d.logical_block_size.get()));
        self.expect(&SUPPLEMENTARY, sizes[0] == sizes[1], &place, || {
            let [(blocks, size), (found, found_size)] = sizes;
            format!(
                "{found} blocks of {found_size} bytes, not {blocks} of {size} as the primary one"
            )
        });
        if source.names == Names::Joliet {
            let place = source.field(offset_of!(VolumeDescriptor, volume_identifier), 32);
            self.joliet_label(&set.primary().descriptor, &descriptor, &place);
        }
        // genisoimage lets an enhanced descriptor lead to the primary tree.
        let extent = source.root().record.extent;
        if source.names != Names::Joliet
            && set.sources.iter().any(|other| other.root().record.extent == extent)
        {
            return;
        }
        let room = set.sources.len() < MAX_TREES;
        if self.expect(&LIMITS, room, &source.field(0, SECTOR), || {
            format!("more than {MAX_TREES} trees: what is in this one is not judged")
        }) {
            set.sources.push(source);
        }
    }

    fn partition(&mut self, found: &Descriptor, block: BlockSize) {
        let descriptor = found.partition();
        let (start, size) =
            (descriptor.volume_partition_location, descriptor.volume_partition_size);
        let structure = "volume partition descriptor";
        let at = |field, len| field_of(structure, found.offset, field, len);
        let place = at(offset_of!(PartitionDescriptor, volume_partition_location), 8);
        self.both32(&place, "volume partition location", start);
        self.both32(&place, "volume partition size", size);
        let end = (u64::from(start.get()) + u64::from(size.get())) * block.bytes();
        let have = self.region.len();
        self.expect(&PARTITION, end <= have, &place, || {
            format!("ends at {end:#x}, and the volume at {have:#x}")
        });
    }

    /// Judges a number that is there twice.
    pub(super) fn both16(&mut self, place: &Place<'_>, what: &str, number: Both16) {
        self.expect(&BOTH_ENDIAN, number.agrees(), place, || {
            let Both16 { little, big } = number;
            format!("{what} is {little} in little-endian and {big} in big-endian")
        });
    }

    /// Judges a number that is there twice.
    pub(super) fn both32(&mut self, place: &Place<'_>, what: &str, number: Both32) {
        self.expect(&BOTH_ENDIAN, number.agrees(), place, || {
            let Both32 { little, big } = number;
            format!("{what} is {little} in little-endian and {big} in big-endian")
        });
    }
}
