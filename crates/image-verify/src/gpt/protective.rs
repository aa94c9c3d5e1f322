//! The master boot record in front of a GPT: protective, or hybrid.

use image_formats::{
    mbr::raw::{BootRecord, PartitionRecord},
    units::{BlockSize, Lba},
};

use super::{HYBRID_MBR, PROTECTIVE_MBR, PROTECTIVE_SIZE};
use crate::{
    Recorder,
    disk::{Entry, Extent, at},
    mbr::entry_at,
};

/// What its entries are called.
pub(super) const NAME: &str = "MBR partition record";

fn is_protective(entry: &PartitionRecord) -> bool {
    entry.os_type == PartitionRecord::GPT_PROTECTIVE
}

/// Judges the entry that announces a GPT, on a disk whose last block is `last`.
pub(super) fn judge(record: &BootRecord, last: u64, out: &mut Recorder) {
    let entries = || record.partition_record.iter().enumerate();
    let protective = entries().find(|(_, e)| is_protective(e) && e.starting_lba == 1);
    out.expect(&PROTECTIVE_MBR, protective.is_some(), || {
        let types = record.partition_record.map(|entry| format!("{:#04x}", entry.os_type));
        let message = format!("types {}, not one 0xee from LBA 1 on", types.join(", "));
        (at("MBR", 0, BootRecord::SIZE as u64), message)
    });
    let is_hybrid = entries().filter(|(_, entry)| !entry.is_empty()).nth(1).is_some();
    if let (Some((index, entry)), false) = (protective, is_hybrid) {
        let size = entry.size_in_lba.get();
        let whole = u32::try_from(last).unwrap_or(u32::MAX);
        out.expect(&PROTECTIVE_SIZE, size == whole || size == u32::MAX, || {
            let message = format!("{size} blocks, not {whole}, as many as follow the first");
            (entry_at(NAME, Lba(0), index), message)
        });
    }
}

/// Judges the other entries against the partitions of the GPT.
pub(super) fn judge_hybrid(
    record: &BootRecord,
    partitions: &[Entry],
    size: BlockSize,
    out: &mut Recorder,
) {
    for (index, entry) in record.partition_record.iter().enumerate() {
        if !entry.is_used() || is_protective(entry) {
            continue;
        }
        let first = Lba(u64::from(entry.starting_lba.get()));
        let extent = Extent::of_blocks(first, u64::from(entry.size_in_lba.get()), size);
        let is_one = partitions.iter().any(|partition| partition.extent == extent);
        out.expect(&HYBRID_MBR, is_one, || {
            let message = format!("{extent} is no partition of the GPT");
            (entry_at(NAME, Lba(0), index), message)
        });
    }
}
