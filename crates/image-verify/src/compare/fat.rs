//! FAT: what the boot sector says, and where everything is.

use image_formats::{
    bytes::{ReadError, Region},
    fat::{
        Cluster, Entry, Geometry, RootDirectory, Slot, Table as Clusters, Width,
        raw::{BootSector, DirEntry},
    },
};
use zerocopy::transmute;

use super::{
    fields::{
        self, Field,
        Show::{Bytes, Hex, Number, Text},
        field,
    },
    kinds::*,
    map::{Builder, Map, Table, What},
    out::{Out, Told, VolumeNumber},
    present,
};
use crate::{
    tree::{Kind, NodeId, Tree},
    volume::Volume,
};

/// The part of the boot sector that all widths share.
macro_rules! common {
    ($($rest:expr),+ $(,)?) => {
        &[
            field(0, 3, "BS_jmpBoot", &FAT_BOOT_CODE, Bytes),
            field(3, 8, "BS_OEMName", &FAT_OEM_NAME, Text),
            field(11, 2, "BPB_BytsPerSec", &FAT_GEOMETRY, Number),
            field(13, 1, "BPB_SecPerClus", &FAT_GEOMETRY, Number),
            field(14, 2, "BPB_RsvdSecCnt", &FAT_GEOMETRY, Number),
            field(16, 1, "BPB_NumFATs", &FAT_GEOMETRY, Number),
            field(17, 2, "BPB_RootEntCnt", &FAT_GEOMETRY, Number),
            field(19, 2, "BPB_TotSec16", &FAT_GEOMETRY, Number),
            field(21, 1, "BPB_Media", &FAT_PARAMETERS, Hex),
            field(22, 2, "BPB_FATSz16", &FAT_GEOMETRY, Number),
            field(24, 2, "BPB_SecPerTrk", &FAT_PARAMETERS, Number),
            field(26, 2, "BPB_NumHeads", &FAT_PARAMETERS, Number),
            field(28, 4, "BPB_HiddSec", &FAT_PARAMETERS, Number),
            field(32, 4, "BPB_TotSec32", &FAT_GEOMETRY, Number),
            $($rest),+
        ]
    };
}

/// The boot sector of FAT12 and FAT16.
static FAT16: &[Field] = common![
    field(36, 1, "BS_DrvNum", &FAT_PARAMETERS, Hex),
    field(37, 1, "BS_Reserved1", &FAT_PARAMETERS, Hex),
    field(38, 1, "BS_BootSig", &FAT_PARAMETERS, Hex),
    field(39, 4, "BS_VolID", &FAT_SERIAL, Hex),
    field(43, 11, "BS_VolLab", &FAT_LABEL, Text),
    field(54, 8, "BS_FilSysType", &FAT_PARAMETERS, Text),
    field(62, 448, "BS_BootCode", &FAT_BOOT_CODE, Bytes),
    field(510, 2, "Signature_word", &FAT_PARAMETERS, Hex),
];

/// The boot sector of FAT32.
static FAT32: &[Field] = common![
    field(36, 4, "BPB_FATSz32", &FAT_GEOMETRY, Number),
    field(40, 2, "BPB_ExtFlags", &FAT_PARAMETERS, Hex),
    field(42, 2, "BPB_FSVer", &FAT_PARAMETERS, Hex),
    field(44, 4, "BPB_RootClus", &FAT_GEOMETRY, Number),
    field(48, 2, "BPB_FSInfo", &FAT_GEOMETRY, Number),
    field(50, 2, "BPB_BkBootSec", &FAT_GEOMETRY, Number),
    field(52, 12, "BPB_Reserved", &FAT_PARAMETERS, Bytes),
    field(64, 1, "BS_DrvNum", &FAT_PARAMETERS, Hex),
    field(65, 1, "BS_Reserved1", &FAT_PARAMETERS, Hex),
    field(66, 1, "BS_BootSig", &FAT_PARAMETERS, Hex),
    field(67, 4, "BS_VolID", &FAT_SERIAL, Hex),
    field(71, 11, "BS_VolLab", &FAT_LABEL, Text),
    field(82, 8, "BS_FilSysType", &FAT_PARAMETERS, Text),
    field(90, 420, "BS_BootCode32", &FAT_BOOT_CODE, Bytes),
    field(510, 2, "Signature_word", &FAT_PARAMETERS, Hex),
];

static FAT16_MAP: Table = Table { fields: FAT16, rest: &FAT_PARAMETERS, other: &FAT_PARAMETERS };
static FAT32_MAP: Table = Table { fields: FAT32, rest: &FAT_PARAMETERS, other: &FAT_PARAMETERS };

/// `FSInfo` of FAT32.
static FS_INFO: &[Field] = &[
    field(488, 4, "FSI_Free_Count", &FAT_FREE, Number),
    field(492, 4, "FSI_Nxt_Free", &FAT_FREE, Number),
];

static FS_INFO_MAP: Table =
    Table { fields: FS_INFO, rest: &FAT_PARAMETERS, other: &FAT_PARAMETERS };

/// A directory entry.
static SLOT: Table = Table {
    fields: &[
        field(13, 1, "DIR_CrtTimeTenth", &FAT_DATE, Number),
        field(14, 2, "DIR_CrtTime", &FAT_DATE, Number),
        field(16, 2, "DIR_CrtDate", &FAT_DATE, Number),
        field(18, 2, "DIR_LstAccDate", &FAT_DATE, Number),
        field(22, 2, "DIR_WrtTime", &FAT_DATE, Number),
        field(24, 2, "DIR_WrtDate", &FAT_DATE, Number),
        field(28, 4, "DIR_FileSize", &FILE_CONTENT, Number),
    ],
    rest: &FAT_DIRECTORY,
    other: &FAT_DIRECTORY,
};

/// The entry with the label.
static LABEL: Table = Table {
    fields: &[
        field(0, 11, "DIR_Name", &FAT_LABEL, Text),
        field(13, 7, "DIR_CrtTimeTenth to DIR_LstAccDate", &FAT_DATE, Bytes),
        field(22, 4, "DIR_WrtTime and DIR_WrtDate", &FAT_DATE, Bytes),
    ],
    rest: &FAT_DIRECTORY,
    other: &FAT_DIRECTORY,
};

/// Where the fields of a boot sector are.
fn table(boot: &BootSector) -> &'static Table {
    if boot.bpb.fat_sz16.get() == 0 { &FAT32_MAP } else { &FAT16_MAP }
}

/// Where FSInfo and the copy of the boot sector are, of FAT32.
fn copies(boot: &BootSector) -> Option<(u64, u64)> {
    let size = u64::from(boot.bpb.byts_per_sec.get());
    let fat32 = boot.fat32();
    let at = |sector: u16| u64::from(sector).saturating_mul(size);
    (boot.bpb.fat_sz16.get() == 0).then(|| (at(fat32.fs_info.get()), at(fat32.bk_boot_sec.get())))
}

/// Compares what two file systems say of themselves.
pub(super) fn compare(
    (a, volume_a): (&Region, Option<&Volume>),
    (b, volume_b): (&Region, Option<&Volume>),
    volume: VolumeNumber,
    name: &str,
    out: &mut Out,
) -> Result<(), ReadError> {
    let read = |region: &Region| present(BootSector::read(region, 0));
    let (Some(boot_a), Some(boot_b)) = (read(a)?, read(b)?) else { return Ok(()) };
    let place = format!("{name}, FAT boot sector");
    let told = Told { volume, place: &place };
    let bytes = |boot: &BootSector| zerocopy::IntoBytes::as_bytes(boot).to_vec();
    let (bytes_a, bytes_b) = (bytes(&boot_a), bytes(&boot_b));
    let (table_a, table_b) = (table(&boot_a), table(&boot_b));
    // Of other widths only what both have is compared, which is enough to tell them apart.
    let shared = if std::ptr::eq(table_a, table_b) { table_a.fields } else { &FAT16[..14] };
    let (at_a, at_b) = (a.start().0, b.start().0);
    fields::compare(out, &told, shared, (&bytes_a, at_a), (&bytes_b, at_b));
    if let (Some((at_a, _)), Some((at_b, _))) = (copies(&boot_a), copies(&boot_b)) {
        let read = |region: &Region, at| present(region.array::<512>("FSInfo", at));
        if let (Some(info_a), Some(info_b)) = (read(a, at_a)?, read(b, at_b)?) {
            let place = format!("{name}, FSInfo");
            let told = Told { volume, place: &place };
            let (at_a, at_b) = (a.absolute(at_a).0, b.absolute(at_b).0);
            fields::compare(out, &told, FS_INFO, (&info_a, at_a), (&info_b, at_b));
        }
    }
    // The label that counts is an entry of the root directory.
    if let (Some(volume_a), Some(volume_b)) = (volume_a, volume_b)
        && volume_a.label != volume_b.label
        && !out.has(volume, &FAT_LABEL)
    {
        let mut difference = told.difference(&FAT_LABEL, &format!("{name}, FAT root directory"));
        difference.a = Some(format!("{:?}", volume_a.label));
        difference.b = Some(format!("{:?}", volume_b.label));
        out.push(volume, &FAT_LABEL, difference);
    }
    Ok(())
}

/// True if the dates differ that two entries of directories have, the last write aside.
pub(super) fn other_dates(
    (a, at_a): (&Region, u64),
    (b, at_b): (&Region, u64),
) -> Result<bool, ReadError> {
    let dates = |region: &Region, at: u64| {
        let at = at.saturating_sub(region.start().0);
        let bytes = region.array::<{ DirEntry::SIZE }>("FAT directory entry", at)?;
        let entry: DirEntry = transmute!(bytes);
        Ok((entry.crt_time_tenth, entry.crt_time, entry.crt_date, entry.lst_acc_date))
    };
    Ok(dates(a, at_a)? != dates(b, at_b)?)
}

/// The structures of a file system, and the places of its files.
pub(super) fn map(
    region: &Region,
    opened: Option<&Volume>,
    volume: VolumeNumber,
    name: &str,
    map: &mut Map,
) -> Result<(), ReadError> {
    let Some(boot) = present(BootSector::read(region, 0))? else { return Ok(()) };
    let geometry = Geometry::of(&boot).filter(|_| opened.is_some());
    let mut below = map.layer(volume);
    let start = region.start().0;
    let place = below.name(format!("{name}, clusters of no file"));
    if let Some(geometry) = geometry {
        let reserved = below.name(format!("{name}, FAT reserved sectors"));
        below.add(start, geometry.fat_offset, What::Kind(&FAT_PARAMETERS), reserved);
        let tables = below.name(format!("{name}, FAT"));
        let len = geometry.fat_len.saturating_mul(geometry.fats.into());
        let at = region.absolute(geometry.fat_offset).0;
        below.add(at, len, What::Kind(&FAT_TABLE), tables);
        let data = region.len().saturating_sub(geometry.data_offset);
        let at = region.absolute(geometry.data_offset).0;
        below.add(at, data, What::Kind(&FAT_FREE_CLUSTER), place);
    } else {
        below.add(start, region.len(), What::Kind(&BYTES), place);
    }
    below.finish();
    let mut layer = map.layer(volume);
    let place = layer.name(format!("{name}, FAT boot sector"));
    layer.fields(start, 512, table(&boot), place);
    if let (Some((info, backup)), Some(_)) = (copies(&boot), geometry) {
        let info_place = layer.name(format!("{name}, FSInfo"));
        let copy = layer.name(format!("{name}, copy of the FAT boot sector"));
        layer.fields(region.absolute(info).0, 512, &FS_INFO_MAP, info_place);
        if backup != 0 {
            layer.fields(region.absolute(backup).0, 512, table(&boot), copy);
            let after = backup.saturating_add(geometry.map_or(512, |g| g.sector_size));
            layer.fields(region.absolute(after).0, 512, &FS_INFO_MAP, info_place);
        }
    }
    if let (Some(geometry), Some(opened)) = (geometry, opened) {
        let fat = region.sub("FAT", geometry.fat_offset, geometry.table_len())?;
        let table = Clusters::new(fat, &geometry);
        let mut walk = Walk { region, geometry, table, layer };
        walk.files(&opened.tree, name)?;
        layer = walk.layer;
    }
    layer.finish();
    Ok(())
}

struct Walk<'a, 'm> {
    region: &'a Region,
    geometry: Geometry,
    table: Clusters,
    layer: Builder<'m>,
}

impl Walk<'_, '_> {
    fn files(&mut self, tree: &Tree, name: &str) -> Result<(), ReadError> {
        let directories = self.layer.name(format!("{name}, FAT directories"));
        let contents = self.layer.name(format!("{name}, contents of files"));
        let slack = self.layer.name(format!("{name}, ends of files"));
        match self.geometry.root {
            RootDirectory::Region { offset, len } => self.root(offset, len, directories)?,
            RootDirectory::Chain(first) => {
                for (offset, len) in self.chain(first)? {
                    self.root(offset, len, directories)?;
                }
            }
        }
        let width: Width = self.geometry.width;
        for id in tree.below(Tree::ROOT) {
            let node = tree.node(id);
            let Some(at) = node.offset.and_then(|at| at.checked_sub(self.region.start().0)) else {
                continue;
            };
            let bytes = self.region.array::<{ DirEntry::SIZE }>("FAT directory entry", at)?;
            let entry: DirEntry = transmute!(bytes);
            let first = entry.first_cluster(width);
            match node.kind {
                Kind::Directory(_) => self.directory(first, directories)?,
                _ => self.content(id, first, entry.file_size.get().into(), contents, slack)?,
            }
        }
        Ok(())
    }

    /// A part of the root directory, in which one entry is the label.
    fn root(&mut self, offset: u64, len: u64, place: u32) -> Result<(), ReadError> {
        const SLOT_LEN: u64 = DirEntry::SIZE as u64;
        /// The label is among the first entries, and not looked for beyond these.
        const MOST: u64 = 64 << 10;
        let bytes = self.region.bytes("FAT root directory", offset, len.min(MOST), MOST)?;
        let slots = bytes.chunks_exact(DirEntry::SIZE).filter_map(|slot| slot.try_into().ok());
        let label = slots
            .map(Slot::of)
            .take_while(|slot| *slot != Slot::End)
            .position(|slot| matches!(slot, Slot::Short(entry) if entry.is_label()));
        let Some(index) = label else {
            self.slots(offset, len, place);
            return Ok(());
        };
        let at = offset + index as u64 * SLOT_LEN;
        self.slots(offset, at - offset, place);
        self.layer.fields(self.region.absolute(at).0, DirEntry::SIZE as u32, &LABEL, place);
        self.slots(at + SLOT_LEN, len - (at + SLOT_LEN - offset), place);
        Ok(())
    }

    fn slots(&mut self, offset: u64, len: u64, place: u32) {
        let what = What::Fields { table: &SLOT, stride: DirEntry::SIZE as u32, node: None };
        self.layer.add(self.region.absolute(offset).0, len, what, place);
    }

    fn directory(&mut self, first: Cluster, place: u32) -> Result<(), ReadError> {
        for (offset, len) in self.chain(first)? {
            self.slots(offset, len, place);
        }
        Ok(())
    }

    fn content(
        &mut self,
        node: NodeId,
        first: Cluster,
        size: u64,
        place: u32,
        slack: u32,
    ) -> Result<(), ReadError> {
        let mut from = 0;
        for (offset, len) in self.chain(first)? {
            let used = size.saturating_sub(from).min(len);
            let at = self.region.absolute(offset).0;
            self.layer.add(at, used, What::Content { node, from }, place);
            self.layer.add(at.saturating_add(used), len - used, What::Kind(&FILE_SLACK), slack);
            from += len;
        }
        Ok(())
    }

    /// The clusters of a chain, those in a row as one: where they start, and their length.
    fn chain(&mut self, first: Cluster) -> Result<Vec<(u64, u64)>, ReadError> {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        let mut next = Some(first);
        // Bounded: no chain of a file system that was found sound comes back to itself.
        while let Some(cluster) = next {
            let Some(offset) = self.geometry.offset(cluster) else { break };
            let size = self.geometry.cluster_size;
            match runs.last_mut() {
                Some((start, len)) if *start + *len == offset => *len += size,
                _ => runs.push((offset, size)),
            }
            next = match self.table.get(cluster)? {
                Entry::Next(next) => Some(next),
                Entry::Free | Entry::Bad | Entry::End => None,
            };
        }
        Ok(runs)
    }
}
