//! Extended partitions.

use image_formats::{
    bytes::{ReadError, Region},
    mbr::{
        Chain, ChainEnd, MAX_EXTENDED_RECORDS,
        raw::{BootRecord, PartitionRecord},
    },
    units::Lba,
};

use super::{
    BLOCK, EXTENDED_CHAIN, EXTENDED_RECORD, LOGICAL_INSIDE, entry_at, judge_boot_indicators,
    judge_entry, read_entry,
};
use crate::{
    Recorder,
    disk::{Extent, Layout, at},
};

const NAME: &str = "EBR partition record";

/// The number of the first logical partition.
const FIRST_LOGICAL: u32 = 5;

/// Judges the extended partition in `whole`, and adds its logical partitions to `layout`.
pub(super) fn judge(
    disk: &Region,
    whole: Extent,
    layout: &mut Layout,
    out: &mut Recorder,
) -> Result<(), ReadError> {
    let chain = Chain::read(disk, Lba(whole.start / BLOCK.bytes()), BLOCK)?;
    let extent_of = |lba: Lba| Extent::of_blocks(lba, 1, BLOCK);
    for (lba, record) in &chain.records {
        let here = extent_of(*lba);
        let is_record = record.has_signature() && whole.contains(here);
        out.expect(&EXTENDED_CHAIN, is_record, || {
            let message = if record.has_signature() {
                format!("a boot record at {here}, and the extended partition is {whole}")
            } else {
                "the extended partition leads to a block that is no boot record".to_owned()
            };
            (at("EBR", here.start, here.len()), message)
        });
        if !record.has_signature() {
            continue;
        }
        layout.reserved.push(("EBR".into(), here));
        judge_boot_indicators(record, *lba, NAME, out);
        judge_form(record, *lba, out);
        for (index, entry) in record.partition_record.iter().enumerate() {
            judge_entry(entry, || entry_at(NAME, *lba, index), out);
            if !entry.is_used() || entry.is_extended() {
                continue;
            }
            let first = Lba(lba.0.saturating_add(u64::from(entry.starting_lba.get())));
            let extent = Extent::of_blocks(first, u64::from(entry.size_in_lba.get()), BLOCK);
            let last = layout.entries.iter().map(|entry| entry.number).max().unwrap_or(0);
            let number = FIRST_LOGICAL.max(last.saturating_add(1));
            let place = entry_at(NAME, *lba, index);
            out.expect(&LOGICAL_INSIDE, whole.contains(extent), || {
                let message =
                    format!("partition {number} is {extent}, and the extended partition {whole}");
                (place.clone(), message)
            });
            layout.entries.push(read_entry(number, entry, extent, place));
        }
    }
    let (to, what) = match chain.end {
        ChainEnd::Last => return Ok(()),
        ChainEnd::Cycle(to) => (to, "where it was before".to_owned()),
        ChainEnd::Outside(to) => (to, "out of the disk".to_owned()),
        ChainEnd::Limit(to) => (to, format!("on after {MAX_EXTENDED_RECORDS} boot records")),
    };
    out.expect(&EXTENDED_CHAIN, false, || {
        let from = chain.records.last().map_or(whole.start, |(lba, _)| extent_of(*lba).start);
        let message = format!("leads to {:#x}, {what}", extent_of(to).start);
        (at("EBR", from, BootRecord::SIZE as u64), message)
    });
    Ok(())
}

/// Judges which entries of a record are in use.
fn judge_form(record: &BootRecord, lba: Lba, out: &mut Recorder) {
    let [partition, link, rest @ ..] = &record.partition_record;
    let is_usual = !partition.is_extended()
        && (link.is_extended() || link.is_empty())
        && rest.iter().all(PartitionRecord::is_empty);
    out.expect(&EXTENDED_RECORD, is_usual, || {
        let offset = Extent::of_blocks(lba, 1, BLOCK).start;
        let types = record.partition_record.map(|entry| format!("{:#04x}", entry.os_type));
        let message = format!("types {}, not a partition and a link", types.join(", "));
        (at("EBR", offset, BootRecord::SIZE as u64), message)
    });
}
