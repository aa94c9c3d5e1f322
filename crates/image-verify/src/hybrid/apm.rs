//! The Apple partition map of a disc.

use std::mem::offset_of;

use image_formats::{
    apm::{
        MAX_ENTRIES, Map,
        raw::{DriverDescriptor, PartitionEntry},
    },
    bytes::ReadError,
};

use super::{
    APM_BLOCK_SIZE, APM_ENTRY, APM_HFS, APM_INSIDE, APM_TYPE, CHECKS, Judge, at, same_length,
};
use crate::disk::{Content, Extent};

/// Where file systems of a Mac have their signature, and which: HFS, HFS+, and HFSX.
const HFS: (u64, [&[u8; 2]; 3]) = (1024, [b"BD", b"H+", b"HX"]);

impl Judge<'_, '_> {
    /// Judges the map, if there is one.
    pub(super) fn apm(&mut self) -> Result<(), ReadError> {
        let Some(map) = Map::read(self.disc)? else { return Ok(()) };
        self.out.announce(CHECKS);
        let Map { block_size, entries } = map;
        let known = matches!(block_size, 512 | 1024 | 2048);
        if !self.out.expect(&APM_BLOCK_SIZE, known, || {
            let place = at("driver descriptor", offset_of!(DriverDescriptor, block_size) as u64, 2);
            (place, format!("{block_size} bytes, not 512, 1024 or 2048"))
        }) {
            return Ok(());
        }
        let count = entries.first().map_or(0, |(_, entry)| entry.map_blocks.get());
        let mut maps = 0;
        for (index, (place, entry)) in entries.iter().enumerate() {
            let here = || at(format!("partition map entry {}", index + 1), *place, 0x50);
            let right = entry.has_signature() && entry.map_blocks.get() == count;
            if !self.out.expect(&APM_ENTRY, right, || {
                let found = entry.signature.escape_ascii();
                let blocks = entry.map_blocks;
                let message =
                    format!("\"{found}\" and {blocks} entries, not \"PM\" and {count} entries");
                (here(), message)
            }) {
                return Ok(());
            }
            let (start, blocks) = (u64::from(entry.start.get()), u64::from(entry.blocks.get()));
            let extent = Extent { start: start * block_size, end: (start + blocks) * block_size };
            let len = self.disc.len();
            let kind = entry.kind();
            let kind = kind.as_bytes();
            let is_map = kind == PartitionEntry::MAP;
            let is_known =
                is_map || kind == PartitionEntry::HFS || PartitionEntry::FILLERS.contains(&kind);
            self.out.expect(&APM_TYPE, is_known, || {
                (here(), format!("\"{}\", which no disc has", kind.escape_ascii()))
            });
            maps += usize::from(is_map);
            let has_map = !is_map || start == 1 && blocks >= u64::from(count);
            let holds = blocks > 0 && extent.end <= len && has_map;
            self.out.expect(&APM_INSIDE, holds, || {
                let message = match has_map {
                    true => format!("{} is {extent}, and the disc ends at {len:#x}", entry.name()),
                    false => format!("the map is {extent}, and has {count} entries"),
                };
                (here(), message)
            });
            if kind == PartitionEntry::HFS && holds {
                let holds = self.hfs(extent)?;
                self.out.expect(&APM_HFS, holds, || {
                    let message = "neither HFS nor a boot image for UEFI of this length";
                    (here(), format!("{extent}: {message}"))
                });
            }
        }
        self.out.expect(&APM_TYPE, maps == 1, || {
            let message = format!("{maps} of {count} entries are the map, not one");
            (at("partition map", block_size, 0), message)
        });
        let all = !entries.is_empty() && count <= MAX_ENTRIES;
        self.out.expect(&APM_ENTRY, all && entries.len() as u64 == u64::from(count), || {
            let message = format!("{} of {count} entries are in the disc", entries.len());
            (at("partition map", block_size, 0), message)
        });
        Ok(())
    }

    /// True if there is what a partition of a Mac may be.
    fn hfs(&self, extent: Extent) -> Result<bool, ReadError> {
        let Some((region, content)) = self.content(extent)? else { return Ok(false) };
        if content == Content::Fat {
            let image = self.efi_image_at(extent);
            return Ok(image.is_some_and(|i| same_length(extent.len(), i.region.len())));
        }
        let (place, signatures) = HFS;
        match region.array::<2>("volume header", place) {
            Ok(found) => Ok(signatures.contains(&&found)),
            Err(error) if error.is_defect() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
