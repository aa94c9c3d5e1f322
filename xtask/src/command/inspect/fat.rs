//! FAT file systems: what their boot sector, its copy, FSInfo, FATs and root directory say, also where
//! they contradict each other.

use image_formats::{
    bytes::{ReadError, Region},
    fat::{
        Cluster, Entry, Geometry, RootDirectory, Slot, Table, Width, decode_oem,
        raw::{BootSector, DirEntry, ExtendedBoot, FsInfo},
    },
};
use serde_json::Value;

use super::{Structure, disk::present, hex, structure, text};

/// Where the copy of the boot sector is where nothing else is known: mkfs.fat and Windows put it
/// there.
const USUAL_BACKUP: u64 = 6 * 512;

/// The most slots of the root directory that are looked at for a label.
const MAX_SLOTS: usize = 1 << 16;

/// Describes a file system, as far as it goes.
pub(super) fn describe(region: &Region) -> Result<Vec<Structure>, ReadError> {
    let mut found = Vec::new();
    let Some(first) = boot(region, 0)? else { return Ok(found) };
    let usual = || boot(region, USUAL_BACKUP).map(|boot| boot.filter(is_plausible));
    found.push(boot_sector("fat boot", region, 0, &first, None));
    let sector = u64::from(first.bpb.byts_per_sec.get());
    let geometry = Geometry::of(&first);
    if geometry.is_none_or(|geometry| geometry.width == Width::Fat32) {
        let part = first.fat32();
        let named = u64::from(part.bk_boot_sec.get()).saturating_mul(sector);
        let copy = match named {
            0 => None,
            named => boot(region, named)?.map(|copy| (named, copy)),
        };
        let copy = match copy {
            None => usual()?.map(|copy| (USUAL_BACKUP, copy)),
            named => named,
        };
        if let Some((at, copy)) = &copy {
            found.push(boot_sector("fat backup", region, *at, copy, Some(*copy == first)));
        }
        let info = u64::from(part.fs_info.get()).saturating_mul(sector);
        // FSInfo has a copy, as far behind the copy of the boot sector.
        let copies = [Some(info), copy.map(|(at, _)| at.saturating_add(info))];
        for at in copies.into_iter().flatten().filter(|_| info != 0) {
            if let Some(info) = present(FsInfo::read(region, at))? {
                found.push(fs_info(region, at, &info));
            }
        }
    }
    if let Some(geometry) = geometry {
        found.extend(tables(region, &geometry)?);
        found.extend(label(region, &geometry)?);
    }
    Ok(found)
}

fn boot(region: &Region, at: u64) -> Result<Option<BootSector>, ReadError> {
    present(BootSector::read(region, at))
}

/// True for what cannot be anything else.
fn is_plausible(boot: &BootSector) -> bool {
    boot.signature.get() == BootSector::SIGNATURE
        && boot.fat32().extended.fil_sys_type == *b"FAT32   "
        && Geometry::of(boot).is_some()
}

fn boot_sector(
    name: &'static str,
    region: &Region,
    at: u64,
    boot: &BootSector,
    equal: Option<bool>,
) -> Structure {
    let bpb = &boot.bpb;
    let geometry = Geometry::of(boot);
    let sectors = match bpb.tot_sec16.get() {
        0 => bpb.tot_sec32.get(),
        few => few.into(),
    };
    let mut fields: Vec<(&'static str, Value)> = vec![
        ("oem", text(&boot.oem_name)),
        ("sectorSize", bpb.byts_per_sec.get().into()),
        ("clusterSectors", bpb.sec_per_clus.into()),
        ("reservedSectors", bpb.rsvd_sec_cnt.get().into()),
        ("fats", bpb.num_fats.into()),
        ("rootEntries", bpb.root_ent_cnt.get().into()),
        ("sectors", sectors.into()),
        ("media", hex(bpb.media.into())),
        ("hiddenSectors", bpb.hidd_sec.get().into()),
    ];
    let fat32 = bpb.fat_sz16.get() == 0;
    let extended = if fat32 { boot.fat32().extended } else { boot.fat16().extended };
    if fat32 {
        let part = boot.fat32();
        fields.extend([
            ("fatSectors", part.fat_sz32.get().into()),
            ("extFlags", hex(part.ext_flags.get().into())),
            ("version", part.fs_ver.get().into()),
            ("rootCluster", part.root_clus.get().into()),
            ("fsInfo", part.fs_info.get().into()),
            ("backupBoot", part.bk_boot_sec.get().into()),
        ]);
    } else {
        fields.push(("fatSectors", bpb.fat_sz16.get().into()));
    }
    fields.extend([
        ("flags", hex(extended.reserved1.into())),
        ("extendedSignature", hex(extended.boot_sig.into())),
    ]);
    if extended.boot_sig == ExtendedBoot::PRESENT {
        fields.extend([
            ("serial", hex(extended.vol_id.get())),
            ("volumeLabel", oem(&extended.vol_lab)),
            ("type", text(&extended.fil_sys_type)),
        ]);
    }
    fields.push(("signature", hex(boot.signature.get().into())));
    if let Some(geometry) = geometry {
        fields.extend([
            ("width", geometry.width.as_str().into()),
            ("clusters", geometry.clusters.into()),
            ("dataOffset", geometry.data_offset.into()),
        ]);
    }
    fields.extend(equal.map(|equal| ("equal", equal.into())));
    structure(name, "raw", region.absolute(at).0, fields)
}

fn fs_info(region: &Region, at: u64, info: &FsInfo) -> Structure {
    let signatures = [info.lead_sig, info.struc_sig, info.trail_sig];
    let signatures: Vec<Value> = signatures.iter().map(|number| hex(number.get())).collect();
    let known = |number: u32| match number {
        FsInfo::UNKNOWN => Value::Null,
        number => number.into(),
    };
    structure(
        "fat fsinfo",
        "raw",
        region.absolute(at).0,
        [
            ("signatures", signatures.into()),
            ("freeClusters", known(info.free_count.get())),
            ("nextFree", known(info.nxt_free.get())),
        ],
    )
}

/// Each FAT, with its two entries of no cluster: media byte and flags.
fn tables(region: &Region, geometry: &Geometry) -> Result<Vec<Structure>, ReadError> {
    let mut found = Vec::new();
    for copy in 0..geometry.fats {
        let Some(at) = geometry.fat(copy) else { break };
        let Some(bytes) = present(region.sub("FAT", at, geometry.table_len()))? else { break };
        let mut table = Table::new(bytes, geometry);
        let (Some(first), Some(second)) =
            (present(table.value(Cluster(0)))?, present(table.value(Cluster(1)))?)
        else {
            break;
        };
        let entries: Vec<Value> = vec![hex(first), hex(second)];
        found.push(structure(
            "fat table",
            "raw",
            region.absolute(at).0,
            [("copy", copy.into()), ("length", geometry.fat_len.into()), ("first", entries.into())],
        ));
    }
    Ok(found)
}

/// The label in the root directory, as far as that can be followed.
fn label(region: &Region, geometry: &Geometry) -> Result<Option<Structure>, ReadError> {
    let (mut at, mut len, mut cluster) = match geometry.root {
        RootDirectory::Region { offset, len } => (Some(offset), len, None),
        RootDirectory::Chain(first) => (geometry.offset(first), geometry.cluster_size, Some(first)),
    };
    let table = geometry.fat(0).map(|at| region.sub("FAT", at, geometry.table_len())).transpose();
    let Some(Some(table)) = present(table)? else { return Ok(None) };
    let mut table = Table::new(table, geometry);
    let mut slots = 0;
    while let Some(start) = at.filter(|_| slots < MAX_SLOTS) {
        // A cluster that is smaller than a slot counts as well.
        slots += 1;
        let Some(bytes) = present(region.bytes("FAT directory", start, len, 4 << 20))? else {
            break;
        };
        for (offset, slot) in (start..).step_by(DirEntry::SIZE).zip(bytes.as_chunks::<32>().0) {
            slots += 1;
            match Slot::of(*slot) {
                Slot::End => return Ok(None),
                Slot::Short(entry) if entry.is_label() => {
                    let offset = region.absolute(offset).0;
                    let fields = [("name", oem(&entry.name))];
                    return Ok(Some(structure("fat label", "raw", offset, fields)));
                }
                _ => {}
            }
        }
        let Some(current) = cluster else { break };
        cluster = match present(table.get(current))? {
            Some(Entry::Next(next)) => Some(next),
            _ => None,
        };
        (at, len) = (cluster.and_then(|next| geometry.offset(next)), geometry.cluster_size);
    }
    Ok(None)
}

/// Characters of an OEM code page, with their padding.
fn oem(bytes: &[u8]) -> Value {
    let shown: String = bytes.iter().map(|byte| decode_oem(*byte)).collect();
    text(shown.as_bytes())
}
