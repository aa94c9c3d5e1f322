//! Checks of the master boot record and extended partitions. UEFI 2.10, §5.2.

mod extended;

use std::mem::offset_of;

use image_formats::{
    bytes::{ReadError, Region},
    mbr::raw::{BootRecord, PartitionRecord},
    units::{BlockSize, Lba},
};
use image_model::Location;

use crate::{
    Recorder,
    disk::{Entry, Extent, Layout, PartitionType, Table, at},
};

checks! {
    /// All checks of this format, in the order they are evaluated.
    CHECKS:

    /// Without 55 AA at its end the first block is no boot record, and none of its partitions
    /// exists; a GPT behind it is not looked at either.
    SIGNATURE = "mbr-signature", Error;
    reads "Signature";
    spec "UEFI 2.10 §5.2.1; Linux block/partitions/msdos.c msdos_magic_present";

    /// The first byte of an entry is 0x80 for the active partition and 0x00 for others. Where it is
    /// anything else Linux takes the block for the boot sector of a file system, and sees no
    /// partition at all. In an extended partition it does not look, and others do.
    BOOT_INDICATOR = "mbr-boot-indicator", Error;
    reads "BootIndicator of all entries";
    spec "UEFI 2.10 §5.2.1; Linux block/partitions/msdos.c msdos_partition";

    /// More than one partition is active. The boot code of a PC stops with "Invalid partition
    /// table"; U-Boot looks for a system to start in one after the other.
    ACTIVE = "mbr-active", Warning;
    reads "BootIndicator of the four entries of the master boot record";
    spec "UEFI 2.10 §5.2.1";

    /// Without a disk signature every partition has the `PARTUUID` that the same partition has on
    /// other disks without one, so `root=PARTUUID=` may find the wrong disk.
    DISK_SIGNATURE = "mbr-disk-signature", Info;
    reads "UniqueMBRDiskSignature";
    spec "UEFI 2.10 §5.2.1; Linux block/partitions/msdos.c set_info";

    /// An entry has a type and no blocks, or blocks and no type. Linux makes a partition of the
    /// latter, other programs do not, so those after it get other numbers.
    ENTRY = "mbr-entry", Error;
    reads "OSType and SizeInLBA of all entries";
    spec "UEFI 2.10 §5.2.1";

    /// One extended partition can be in a disk. Linux follows others as well; other programs follow
    /// one, and do not see the rest.
    EXTENDED_SINGLE = "mbr-extended-single", Error;
    reads "OSType of the four entries of the master boot record";
    spec "util-linux libfdisk/src/dos.c, \"Ignoring extra extended partition\"";

    /// An extended partition is a chain of boot records, each with one partition and the way to the
    /// next. The chain leads out of its partition, back to where it was, to a block that is no boot
    /// record, or to more records than Linux has numbers for. Partitions from there on are lost.
    EXTENDED_CHAIN = "mbr-extended-chain", Error;
    reads "the boot records of the extended partition";
    spec "Linux block/partitions/msdos.c parse_extended";

    /// A boot record in an extended partition has the partition in its first entry, the link in the
    /// second and nothing in the others. Linux takes whatever there is in any order; others look at
    /// these two.
    EXTENDED_RECORD = "mbr-extended-record", Warning;
    reads "the boot records of the extended partition";
    spec "Linux block/partitions/msdos.c parse_extended";

    /// A logical partition ends beyond the extended partition that it is in. Whoever resizes or
    /// deletes the extended partition loses it.
    LOGICAL_INSIDE = "mbr-logical-inside", Error;
    reads "the places of the logical partitions and of the extended one";
    spec "Linux block/partitions/msdos.c parse_extended";
}

/// Blocks of a master boot record have 512 bytes: it does not say, and only disks with larger ones
/// could.
const BLOCK: BlockSize = BlockSize::B512;

/// True if the entries could be those of a table: what Linux asks, and that they do not start at
/// the first block, as the one does that `mkfs.vfat --mbr` writes into a file system.
pub(crate) fn is_plausible(record: &BootRecord) -> bool {
    let possible = |entry: &PartitionRecord| {
        has_boot_indicator(entry) && (!entry.is_used() || entry.starting_lba != 0)
    };
    record.partition_record.iter().all(possible)
}

/// True if an entry says that there is a GPT.
pub(crate) fn announces_gpt(record: &BootRecord) -> bool {
    record.partition_record.iter().any(|entry| entry.os_type == PartitionRecord::GPT_PROTECTIVE)
}

fn has_boot_indicator(entry: &PartitionRecord) -> bool {
    matches!(entry.boot_indicator, 0 | PartitionRecord::ACTIVE)
}

/// Where an entry is, in the boot record at `lba` whose entries are called `structure`.
pub(crate) fn entry_at(structure: &str, lba: Lba, index: usize) -> Location {
    let record = lba.to_offset(BLOCK).map_or(u64::MAX, |offset| offset.0);
    let entry = offset_of!(BootRecord, partition_record) + index * PartitionRecord::SIZE;
    let offset = record.saturating_add(entry as u64);
    at(format!("{structure} {}", index + 1), offset, PartitionRecord::SIZE as u64)
}

/// Judges what holds for the first block of a disk with any table.
pub(crate) fn judge_signature(record: &BootRecord, out: &mut Recorder) -> bool {
    out.expect(&SIGNATURE, record.has_signature(), || {
        let [first, second] = record.signature;
        let message = format!("{first:02x} {second:02x}, not 55 aa");
        (at("MBR", offset_of!(BootRecord, signature) as u64, 2), message)
    })
}

/// Judges the first bytes of the entries of a record.
pub(crate) fn judge_boot_indicators(
    record: &BootRecord,
    lba: Lba,
    structure: &str,
    out: &mut Recorder,
) {
    for (index, entry) in record.partition_record.iter().enumerate() {
        out.expect(&BOOT_INDICATOR, has_boot_indicator(entry), || {
            let found = entry.boot_indicator;
            (entry_at(structure, lba, index), format!("{found:#04x}, neither 0x00 nor 0x80"))
        });
    }
}

/// Judges the form of an entry.
fn judge_entry(entry: &PartitionRecord, place: impl Fn() -> Location, out: &mut Recorder) {
    out.expect(&ENTRY, entry.is_used() || entry.is_empty(), || {
        let (kind, blocks) = (entry.os_type, entry.size_in_lba);
        (place(), format!("type {kind:#04x} and {blocks} blocks: one of them is missing"))
    });
}

/// The table of a disk whose first block is `record`.
pub(crate) fn judge(
    disk: &Region,
    record: &BootRecord,
    out: &mut Recorder,
) -> Result<Layout, ReadError> {
    const NAME: &str = "MBR partition record";
    out.announce(CHECKS);
    judge_signature(record, out);
    judge_boot_indicators(record, Lba(0), NAME, out);
    let entries = || record.partition_record.iter().enumerate();
    let active = || entries().filter(|(_, e)| e.boot_indicator == PartitionRecord::ACTIVE);
    out.expect(&ACTIVE, active().nth(1).is_none(), || {
        let index = active().nth(1).map_or(0, |(index, _)| index);
        (entry_at(NAME, Lba(0), index), format!("{} are active, not one", active().count()))
    });
    let signature = record.unique_mbr_disk_signature.get();
    out.expect(&DISK_SIGNATURE, signature != 0, || {
        let offset = offset_of!(BootRecord, unique_mbr_disk_signature);
        (at("MBR disk signature", offset as u64, 4), "zero".to_owned())
    });
    let mut layout = Layout {
        table: Table::Mbr { signature },
        block_size: BLOCK,
        entries: Vec::new(),
        extended: Vec::new(),
        reserved: vec![("MBR".into(), Extent { start: 0, end: BootRecord::SIZE as u64 })],
    };
    for (index, entry) in entries() {
        judge_entry(entry, || entry_at(NAME, Lba(0), index), out);
        if !entry.is_used() {
            continue;
        }
        let number = (index + 1) as u32;
        let first = Lba(u64::from(entry.starting_lba.get()));
        let extent = Extent::of_blocks(first, u64::from(entry.size_in_lba.get()), BLOCK);
        if entry.is_extended() {
            out.expect(&EXTENDED_SINGLE, layout.extended.is_empty(), || {
                (entry_at(NAME, Lba(0), index), "another extended partition, not one".to_owned())
            });
            layout.extended.push((number, extent));
        } else {
            let at = entry_at(NAME, Lba(0), index);
            layout.entries.push(read_entry(number, entry, extent, at));
        }
    }
    for (_, extent) in layout.extended.clone() {
        extended::judge(disk, extent, &mut layout, out)?;
    }
    Ok(layout)
}

fn read_entry(number: u32, entry: &PartitionRecord, extent: Extent, at: Location) -> Entry {
    Entry {
        number,
        kind: PartitionType::Mbr(entry.os_type),
        bootable: entry.boot_indicator == PartitionRecord::ACTIVE,
        label: None,
        attributes: 0,
        extent,
        at,
    }
}
