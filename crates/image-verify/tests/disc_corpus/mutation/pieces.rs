//! Where the metadata of a disc is, and how it is edited.

use std::fmt;

use image_formats::{
    bytes::Region,
    iso9660::Records,
    susp::{Budget, SystemUse},
};

use super::super::random::Random;

const SECTOR: usize = 2048;

/// A structure: what it is, where, and its fields by offset and length.
struct Piece {
    kind: &'static str,
    at: usize,
    fields: Vec<(usize, usize)>,
}

/// One edit of one field.
pub(crate) struct Edit {
    pub(crate) kind: &'static str,
    /// Offset of the field in its structure.
    pub(crate) field: usize,
    pub(crate) at: usize,
    pub(crate) old: Vec<u8>,
    pub(crate) new: Vec<u8>,
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, field, at, old, new } = self;
        write!(f, "{kind}+{field} at {at:#x}: {} to {}", hex(old), hex(new))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The fields of structures whose layout is fixed.
const DESCRIPTOR: &[(usize, usize)] = &[
    (0, 1),
    (1, 5),
    (6, 1),
    (7, 1),
    (8, 32),
    (40, 32),
    (80, 4),
    (84, 4),
    (88, 3),
    (120, 2),
    (122, 2),
    (124, 2),
    (128, 2),
    (130, 2),
    (132, 4),
    (136, 4),
    (140, 4),
    (148, 4),
    (156, 1),
    (158, 4),
    (162, 4),
    (166, 4),
    (170, 4),
    (181, 1),
    (188, 1),
    (318, 8),
    (702, 37),
    (813, 17),
    (830, 17),
    (847, 17),
    (864, 17),
    (881, 1),
    (882, 1),
];
const BOOT_RECORD: &[(usize, usize)] = &[(0, 1), (1, 5), (6, 1), (7, 32), (71, 4)];
const VALIDATION: &[(usize, usize)] = &[(0, 1), (1, 1), (4, 24), (28, 2), (30, 1), (31, 1)];
const CATALOG_ENTRY: &[(usize, usize)] =
    &[(0, 1), (1, 1), (2, 2), (4, 1), (5, 1), (6, 2), (8, 4), (12, 1)];
const INFO_TABLE: &[(usize, usize)] = &[(8, 4), (12, 4), (16, 4), (20, 4), (24, 8)];
const PARTITION: &[(usize, usize)] = &[(0, 1), (1, 3), (4, 1), (5, 3), (8, 4), (12, 4)];
const GPT_HEADER: &[(usize, usize)] = &[
    (0, 8),
    (8, 4),
    (12, 4),
    (16, 4),
    (24, 8),
    (32, 8),
    (40, 8),
    (48, 8),
    (56, 16),
    (72, 8),
    (80, 4),
    (84, 4),
    (88, 4),
];
const GPT_ENTRY: &[(usize, usize)] = &[(0, 16), (16, 16), (32, 8), (40, 8), (48, 8), (56, 20)];
const RECORD: &[(usize, usize)] = &[
    (0, 1),
    (1, 1),
    (2, 4),
    (6, 4),
    (10, 4),
    (14, 4),
    (18, 7),
    (25, 1),
    (26, 1),
    (27, 1),
    (28, 2),
    (30, 2),
    (32, 1),
];

/// A disc, and where its metadata is.
pub(crate) struct Pieces {
    pub(crate) bytes: Vec<u8>,
    pieces: Vec<Piece>,
}

impl Pieces {
    pub(crate) fn find(bytes: Vec<u8>) -> Self {
        let mut found = Self { bytes, pieces: Vec::new() };
        for sector in 16.. {
            let at = sector * SECTOR;
            match found.bytes[at] {
                0 => {
                    found.add("boot record", at, BOOT_RECORD);
                    found.catalog(found.number(at + 71) * SECTOR);
                }
                kind @ (1 | 2) => {
                    let (name, tree) = if kind == 1 {
                        ("primary descriptor", "record")
                    } else {
                        ("Joliet descriptor", "Joliet record")
                    };
                    found.add(name, at, DESCRIPTOR);
                    found.tree(tree, found.number(at + 158), found.number(at + 166));
                    found.path_table(found.number(at + 140) * SECTOR, found.number(at + 132));
                    let big = found.bytes[at + 148..][..4].try_into().unwrap();
                    let big = u32::from_be_bytes(big) as usize * SECTOR;
                    found.path_table(big, found.number(at + 132));
                }
                _ => {
                    found.add("terminator", at, &[(0, 1), (1, 5), (6, 1)]);
                    break;
                }
            }
        }
        if found.bytes[510..512] == [0x55, 0xaa] {
            found.add("boot block", 0, &[(0, 8), (432, 4), (440, 4), (510, 2)]);
            for row in 0..4 {
                found.add("partition record", 446 + row * 16, PARTITION);
            }
        }
        if found.bytes[512..520] == *b"EFI PART" {
            found.add("GPT header", 512, GPT_HEADER);
            for row in 0..2 {
                found.add("GPT entry", 1024 + row * 128, GPT_ENTRY);
            }
        }
        found
    }

    fn number(&self, at: usize) -> usize {
        u32::from_le_bytes(self.bytes[at..][..4].try_into().unwrap()) as usize
    }

    fn add(&mut self, kind: &'static str, at: usize, fields: &[(usize, usize)]) {
        self.pieces.push(Piece { kind, at, fields: fields.to_vec() });
    }

    fn catalog(&mut self, at: usize) {
        self.add("validation entry", at, VALIDATION);
        let mut rows = vec![32];
        // A section header, and its entry.
        if matches!(self.bytes[at + 64], 0x90 | 0x91) {
            self.add("section header", at + 64, &[(0, 1), (1, 1), (2, 2), (4, 28)]);
            rows.push(96);
        }
        for row in rows {
            self.add("catalog entry", at + row, CATALOG_ENTRY);
        }
        // The boot information table of the first one, which says where the volume is described.
        let image = self.number(at + 32 + 8) * SECTOR;
        if self.number(image + 8) == 16 {
            self.add("boot information table", image, INFO_TABLE);
        }
    }

    fn path_table(&mut self, at: usize, len: usize) {
        let mut before = 0;
        while before < len {
            let name = usize::from(self.bytes[at + before]);
            let fields = [(0, 1), (1, 1), (2, 4), (6, 2), (8, name)];
            self.add("path table record", at + before, &fields);
            before += 8 + name.next_multiple_of(2);
        }
    }

    fn tree(&mut self, kind: &'static str, extent: usize, len: usize) {
        let mut pending = vec![(extent, len)];
        let volume = Region::from(self.bytes.clone());
        while let Some((extent, len)) = pending.pop() {
            let bytes = self.bytes[extent * SECTOR..][..len].to_vec();
            for (number, sector) in bytes.chunks(SECTOR).enumerate() {
                let at = ((extent + number) * SECTOR) as u64;
                for record in Records::new(sector, at).map(Result::unwrap) {
                    let mut fields = RECORD.to_vec();
                    fields.push((33, record.identifier.len()));
                    self.pieces.push(Piece { kind, at: record.offset as usize, fields });
                    let dots = matches!(record.identifier, [0 | 1]);
                    if record.raw.is_directory() && !dots {
                        let extent = record.raw.extent.get() as usize;
                        pending.push((extent, record.raw.data_len.get() as usize));
                    }
                    let mut budget = Budget::new(&volume);
                    let (area, at) = (record.system_use, record.system_use_offset);
                    let read = SystemUse::read(&volume, 2048, area, at, &mut budget).unwrap();
                    for entry in read.entries() {
                        let rest = entry.len();
                        let mut fields = vec![(0, 2), (2, 1), (3, 1)];
                        fields.extend((4..rest).step_by(4).map(|at| (at, 4.min(rest - at))));
                        // Flags, where a kind has them.
                        fields.extend((rest > 4).then_some((4, 1)));
                        let at = entry.at.0 as usize;
                        self.pieces.push(Piece {
                            kind: kind_of(entry.header.signature),
                            at,
                            fields,
                        });
                    }
                }
            }
        }
    }

    /// An edit of one field: of each kind of structure as many as of any other.
    pub(crate) fn edit(&self, random: &mut Random) -> Edit {
        let mut kinds: Vec<_> = self.pieces.iter().map(|piece| piece.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        loop {
            let kind = *random.pick(&kinds);
            let pieces: Vec<_> = self.pieces.iter().filter(|piece| piece.kind == kind).collect();
            let piece = random.pick(&pieces);
            let (field, len) = *random.pick(&piece.fields);
            if len == 0 {
                continue;
            }
            let at = piece.at + field;
            let old = self.bytes[at..][..len].to_vec();
            let new = edited(random, &old);
            if new != old {
                return Edit { kind, field, at, old, new };
            }
        }
    }
}

fn kind_of(signature: [u8; 2]) -> &'static str {
    let known =
        ["CE", "PD", "SP", "ST", "ER", "PX", "PN", "SL", "NM", "CL", "PL", "RE", "TF", "RR"];
    known.into_iter().find(|known| known.as_bytes() == signature).unwrap_or("other entry")
}

/// A field, differently.
fn edited(random: &mut Random, old: &[u8]) -> Vec<u8> {
    let mut new = old.to_vec();
    let mut number = [0; 8];
    let len = old.len().min(8);
    number[..len].copy_from_slice(&old[..len]);
    let number = u64::from_le_bytes(number);
    let mut put = |value: u64| new[..len].copy_from_slice(&value.to_le_bytes()[..len]);
    match random.below(9) {
        0 => new.fill(0),
        1 => new.fill(0xff),
        2 => put(number.wrapping_add(1)),
        3 => put(number.wrapping_sub(1)),
        4 => put(random.next()),
        5 => put(random.below(300) as u64),
        _ => new[random.below(old.len())] ^= 1 << random.below(8),
    }
    new
}
