//! Where the metadata of a file system is, and how it is edited.

use std::fmt;

use image_formats::{
    bytes::Region,
    fat::{Cluster, Entry, Geometry, RootDirectory, Slot, Table, Width, raw::BootSector},
};
use zerocopy::FromBytes as _;

use super::super::random::Random;

/// Fields as offset and length.
type Fields = &'static [(u64, usize)];

const BOOT: Fields = &[
    (0, 3),
    (3, 8),
    (11, 2),
    (13, 1),
    (14, 2),
    (16, 1),
    (17, 2),
    (19, 2),
    (21, 1),
    (22, 2),
    (24, 2),
    (26, 2),
    (28, 4),
    (32, 4),
    (510, 2),
];
const BOOT_FAT16: Fields = &[(36, 1), (37, 1), (38, 1), (39, 4), (43, 11), (54, 8), (62, 64)];
const BOOT_FAT32: Fields = &[
    (36, 4),
    (40, 2),
    (42, 2),
    (44, 4),
    (48, 2),
    (50, 2),
    (52, 12),
    (64, 1),
    (65, 1),
    (66, 1),
    (67, 4),
    (71, 11),
    (82, 8),
    (90, 64),
];
const FS_INFO: Fields = &[(0, 4), (484, 4), (488, 4), (492, 4), (508, 4)];
const SHORT: Fields = &[
    (0, 1),
    (1, 7),
    (8, 3),
    (11, 1),
    (12, 1),
    (13, 1),
    (14, 2),
    (16, 2),
    (18, 2),
    (20, 2),
    (22, 2),
    (24, 2),
    (26, 2),
    (28, 4),
];
const LONG: Fields = &[(0, 1), (1, 10), (11, 1), (12, 1), (13, 1), (14, 12), (26, 2), (28, 4)];

/// A sector of a backup that is edited too.
const BACKUP: u64 = 6 * 512;

/// What is edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Boot,
    Backup,
    FsInfo,
    Table,
    Label,
    Dot,
    File,
    Long,
    Free,
}

/// One edit: bytes that are written, in one place or in two that have to be equal.
pub(crate) struct Edit {
    pub(crate) kind: Kind,
    /// Where, what was there, and what is there now.
    pub(crate) writes: Vec<(u64, Vec<u8>, Vec<u8>)>,
    /// The field, from the start of its structure.
    pub(crate) field: u64,
    width: Width,
}

impl Edit {
    /// True if it makes the number of sectors an odd one.
    pub(crate) fn changes_sectors_to_odd(&self) -> bool {
        let odd = |(at, _, new): &(u64, Vec<u8>, Vec<u8>)| matches!(at, 19 | 32) && new[0] & 1 == 1;
        self.kind == Kind::Boot && self.writes.iter().any(odd)
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {:?}+{}", self.width.as_str(), self.kind, self.field)?;
        self.writes
            .iter()
            .try_for_each(|(at, old, new)| write!(f, " at {at:#x}: {} to {}", hex(old), hex(new)))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file system, and where its metadata is.
pub(crate) struct Pieces {
    region: Region,
    geometry: Geometry,
    /// Slots of directories, and what they are.
    slots: Vec<(Kind, u64)>,
    /// Clusters in use.
    used: Vec<u32>,
}

impl Pieces {
    pub(crate) fn find(region: &Region) -> Self {
        let sector = region.array::<512>("boot sector", 0).unwrap();
        let geometry = Geometry::of(&BootSector::read_from_bytes(&sector).unwrap()).unwrap();
        let fat = region.sub("FAT", geometry.fat_offset, geometry.table_len()).unwrap();
        let mut table = Table::new(fat, &geometry);
        let mut used = Vec::new();
        let visit = |Cluster(number), entry| {
            if entry != Entry::Free {
                used.push(number);
            }
        };
        table.scan(&geometry, visit).unwrap();
        let mut slots = Vec::new();
        let mut pending = Vec::new();
        let read = |at: u64, len: u64, slots: &mut Vec<_>, pending: &mut Vec<_>| {
            let bytes = region.bytes("directory", at, len, 1 << 20).unwrap();
            let mut free = 0;
            for (index, slot) in (0_u64..).zip(bytes.as_chunks::<32>().0) {
                let kind = match Slot::of(*slot) {
                    Slot::Free => Kind::Free,
                    Slot::End => {
                        free += 1;
                        if free > 2 {
                            break;
                        }
                        Kind::Free
                    }
                    Slot::Long(_) => Kind::Long,
                    Slot::Short(entry) if entry.name[0] == b'.' => Kind::Dot,
                    Slot::Short(entry) if entry.is_label() => Kind::Label,
                    Slot::Short(entry) => {
                        if entry.is_directory() {
                            pending.push(entry.first_cluster(geometry.width));
                        }
                        Kind::File
                    }
                };
                slots.push((kind, at + index * 32));
            }
        };
        match geometry.root {
            RootDirectory::Region { offset, len } => read(offset, len, &mut slots, &mut pending),
            RootDirectory::Chain(first) => pending.push(first),
        }
        while let Some(first) = pending.pop() {
            let mut at = first;
            loop {
                let offset = geometry.offset(at).unwrap();
                read(offset, geometry.cluster_size, &mut slots, &mut pending);
                match table.get(at).unwrap() {
                    Entry::Next(next) => at = next,
                    _ => break,
                }
            }
        }
        Self { region: region.clone(), geometry, slots, used }
    }

    /// An edit of one field or one bit.
    pub(crate) fn edit(&self, random: &mut Random) -> Edit {
        let fat32 = self.geometry.width == Width::Fat32;
        loop {
            let edit = match random.below(100) {
                0..25 => self.boot(random),
                25..30 if fat32 => self.fields(random, Kind::FsInfo, 512, FS_INFO, None),
                25..30 => continue,
                30..55 => self.table(random),
                _ => {
                    let (kind, at) = *random.pick(&self.slots);
                    // There are few of these.
                    let rare = matches!(kind, Kind::Dot | Kind::Label | Kind::Free);
                    if !rare && random.percent(30) {
                        continue;
                    }
                    let fields = if kind == Kind::Long { LONG } else { SHORT };
                    self.fields(random, kind, at, fields, None)
                }
            };
            if edit.writes.iter().any(|(_, old, new)| old != new) {
                return edit;
            }
        }
    }

    fn boot(&self, random: &mut Random) -> Edit {
        let fat32 = self.geometry.width == Width::Fat32;
        let own = if fat32 { BOOT_FAT32 } else { BOOT_FAT16 };
        let fields = if random.percent(50) { BOOT } else { own };
        match random.below(10) {
            0 if fat32 => self.fields(random, Kind::Backup, BACKUP, fields, None),
            1..6 if fat32 => self.fields(random, Kind::Boot, 0, fields, Some(BACKUP)),
            _ => self.fields(random, Kind::Boot, 0, fields, None),
        }
    }

    /// Edits a field of a structure, and of its copy where that is to stay equal.
    fn fields(
        &self,
        random: &mut Random,
        kind: Kind,
        at: u64,
        fields: Fields,
        copy: Option<u64>,
    ) -> Edit {
        let (field, len) = *random.pick(fields);
        let old = self.region.bytes("field", at + field, len as u64, 512).unwrap();
        let new = edited(random, &old);
        let mut writes = vec![(at + field, old.clone(), new.clone())];
        writes.extend(copy.map(|copy| (copy + field, old, new)));
        Edit { kind, writes, field, width: self.geometry.width }
    }

    /// Edits an entry of the FAT, mostly in all copies.
    fn table(&self, random: &mut Random) -> Edit {
        let geometry = &self.geometry;
        let width = geometry.width;
        let last = geometry.last().0;
        let any = |random: &mut Random| 2 + random.below(geometry.clusters as usize) as u32;
        let cluster = match random.below(20) {
            0 => random.below(2) as u32,
            1..4 => any(random),
            4 => last,
            _ => *random.pick(&self.used),
        };
        let (at, shift) = match width {
            Width::Fat12 => (u64::from(cluster) * 3 / 2, 4 * (cluster & 1)),
            Width::Fat16 => (u64::from(cluster) * 2, 0),
            Width::Fat32 => (u64::from(cluster) * 4, 0),
        };
        let len = if width == Width::Fat32 { 4 } else { 2 };
        let start = geometry.fat_offset + at;
        let old = self.region.bytes("entry", start, len, 4).unwrap();
        let mut word = [0; 4];
        word[..old.len()].copy_from_slice(&old);
        let word = u32::from_le_bytes(word);
        let mask = width.mask();
        let value = word >> shift & mask;
        let value = match random.below(14) {
            0 => 0,
            1 => 1,
            2 => cluster,
            3 => *random.pick(&self.used),
            4 => any(random),
            5 => last + 1,
            6 => mask & !0xf,
            7 => mask & !7,
            8 => mask - 8,
            9 => mask,
            10 => value + 1,
            11 => random.next() as u32,
            _ => value ^ 1 << random.below(width.bits() as usize),
        };
        let kept = word & !(mask << shift);
        let new = (kept | (value & mask) << shift).to_le_bytes()[..old.len()].to_vec();
        let (from, to) = match (geometry.fats, random.below(10)) {
            (2, 0) => (0, 1),
            (2, 1) => (1, 2),
            (fats, _) => (0, fats),
        };
        let copies = (from..to).map(|copy| geometry.fat(copy).unwrap() + at);
        let writes = copies.map(|at| (at, old.clone(), new.clone())).collect();
        Edit { kind: Kind::Table, writes, field: u64::from(cluster), width }
    }
}

/// A field, differently.
fn edited(random: &mut Random, old: &[u8]) -> Vec<u8> {
    let mut new = old.to_vec();
    let mut number = [0; 8];
    let len = old.len().min(8);
    number[..len].copy_from_slice(&old[..len]);
    let number = u64::from_le_bytes(number);
    let mut put = |value: u64| new[..len].copy_from_slice(&value.to_le_bytes()[..len]);
    match random.below(10) {
        0 => new.fill(0),
        1 => new.fill(0xff),
        2 => put(number.wrapping_add(1)),
        3 => put(number.wrapping_sub(1)),
        4 => put(random.next()),
        5 => put(random.below(300) as u64),
        6 => new[random.below(old.len())] = b"\x00 .*\x05\xe5a~\x7f\x80"[random.below(10)],
        _ => new[random.below(old.len())] ^= 1 << random.below(8),
    }
    new
}
