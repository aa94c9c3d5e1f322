//! The header of a dynamic disk, its table, and its blocks.

use image_formats::{
    bytes::{ReadError, Region},
    units::ByteOffset,
    vhd::{
        self, BlockAllocationTable, SECTOR,
        raw::{DynamicHeader, Footer},
    },
};

use super::{
    BLOCK_INSIDE, BLOCK_OVERLAP, BLOCK_SIZE, DYNAMIC_CHECKSUM, DYNAMIC_HEADER, Judge, LIMITS,
    SECTOR_BITMAP, Span, TABLE, UNUSED_END, VERSION,
};

/// The most entries of a table that are judged.
const MAX_ENTRIES: u32 = 1 << 24;

/// More bytes than this in front of the footer are no alignment. Blocks of Hyper-V and Azure are
/// aligned to 4 KiB and to 1 MiB.
const MAX_GAP: u64 = 1 << 20;

/// How much of a block is read at once.
const STEP: u64 = 64 << 10;

/// A dynamic disk whose table can be read.
struct Dynamic {
    table: BlockAllocationTable,
    /// What is not blocks, with its name.
    taken: Vec<(&'static str, Span)>,
    block_size: u32,
    /// Where the footer is, or the file ends without one.
    end: ByteOffset,
}

impl Dynamic {
    /// Bytes of a block and its bitmap.
    fn span(&self) -> u64 {
        vhd::bitmap_len(self.block_size).saturating_add(u64::from(self.block_size))
    }
}

impl Judge<'_> {
    /// All of a dynamic disk.
    pub(super) fn dynamic(&mut self, footer: &Footer) -> Result<(), ReadError> {
        let Some(header) = self.dynamic_header(footer)? else { return Ok(()) };
        let Some(disk) = self.table(footer, &header)? else { return Ok(()) };
        let Some(starts) = self.blocks(&disk)? else { return Ok(()) };
        self.bitmaps(&disk, &starts)
    }

    fn dynamic_header(&mut self, footer: &Footer) -> Result<Option<DynamicHeader>, ReadError> {
        let place = footer.data_offset.get();
        let here = self.at("VHD dynamic disk header", place, DynamicHeader::SIZE as u64);
        let header = match DynamicHeader::read(self.file, place) {
            Ok(header) => header,
            Err(error) if error.is_defect() => {
                self.out.expect(&DYNAMIC_HEADER, false, || {
                    (here, format!("{}: {}", error, error.cause))
                });
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let is_it = header.cookie == DynamicHeader::COOKIE;
        if !self.out.expect(&DYNAMIC_HEADER, is_it, || {
            let found = header.cookie.escape_ascii();
            (here.clone(), format!("\"{found}\", not \"cxsparse\""))
        }) {
            return Ok(None);
        }
        let (found, computed) = (header.checksum.get(), header.computed_checksum());
        self.out.expect(&DYNAMIC_CHECKSUM, found == computed, || {
            (here.clone(), format!("{found:#010x}, not {computed:#010x}"))
        });
        let version = header.header_version.get();
        self.out.expect(&VERSION, version == DynamicHeader::VERSION, || {
            (here.clone(), format!("{version:#010x}, not {:#010x}", DynamicHeader::VERSION))
        });
        let size = header.block_size.get();
        let fits = size.is_power_of_two() && u64::from(size) >= SECTOR;
        self.out.expect(&BLOCK_SIZE, fits, || {
            (here, format!("{size}, not a power of two, and 512 at least"))
        });
        Ok(fits.then_some(header))
    }

    fn table(
        &mut self,
        footer: &Footer,
        header: &DynamicHeader,
    ) -> Result<Option<Dynamic>, ReadError> {
        let (place, entries) = (header.table_offset.get(), header.max_table_entries.get());
        let block_size = header.block_size.get();
        let (file_len, len) = (self.file.len(), u64::from(entries) * 4);
        let here = self.at("VHD block allocation table", place, len);
        let needed = footer.current_size.get().div_ceil(u64::from(block_size));
        let span = Span::new(place, len).filter(|span| span.end.0 <= file_len);
        let trouble = if !place.is_multiple_of(SECTOR) {
            Some("it does not begin at a sector".to_owned())
        } else if span.is_none() {
            Some(format!("{entries} entries, of which some are beyond the end of the file"))
        } else if u64::from(entries) < needed {
            Some(format!("{entries} entries for {needed} blocks"))
        } else {
            None
        };
        self.out.expect(&TABLE, trouble.is_none(), || (here.clone(), trouble.unwrap_or_default()));
        let Some(span) = span else { return Ok(None) };
        if !self.out.expect(&LIMITS, entries <= MAX_ENTRIES, || {
            (here, format!("{entries} entries are not judged, more than {MAX_ENTRIES}"))
        }) {
            return Ok(None);
        }
        let table = BlockAllocationTable::new(self.file, place, entries)?;
        let end = match self.out.has_failed(&super::FOOTER) {
            true => file_len,
            false => file_len.saturating_sub(SECTOR),
        };
        let mut taken = vec![("the block allocation table", span)];
        taken.extend(Span::new(0, SECTOR).map(|span| ("the copy of the footer", span)));
        let place = Span::new(footer.data_offset.get(), DynamicHeader::SIZE as u64);
        taken.extend(place.map(|span| ("the dynamic disk header", span)));
        Ok(Some(Dynamic { table, taken, block_size, end: ByteOffset(end) }))
    }

    /// The sectors where blocks begin, in their order; `None` where blocks are not where they could
    /// be read.
    fn blocks(&mut self, disk: &Dynamic) -> Result<Option<Vec<u32>>, ReadError> {
        let file = self.file;
        let here =
            |start: u64| crate::container::raw_at("VHD block", file.absolute(start).0, disk.span());
        let mut starts = Vec::new();
        let (mut inside, mut apart) = (true, true);
        for (number, entry) in (0_u32..).zip(disk.table.entries()) {
            let sector = entry?;
            if sector == BlockAllocationTable::UNUSED {
                continue;
            }
            let start = u64::from(sector) * SECTOR;
            let span = Span::new(start, disk.span()).filter(|span| span.end <= disk.end);
            let Some(span) = span else {
                inside = self.out.expect(&BLOCK_INSIDE, false, || {
                    let end = start.saturating_add(disk.span());
                    let message = format!("block {number} ends at {end:#x}, and the file before");
                    (here(start), message)
                });
                continue;
            };
            starts.push(sector);
            if let Some((what, _)) = disk.taken.iter().find(|(_, taken)| taken.touches(span)) {
                apart = self.out.expect(&BLOCK_OVERLAP, false, || {
                    (here(start), format!("block {number} lies over {what}"))
                });
            }
        }
        starts.sort_unstable();
        for pair in starts.windows(2) {
            let [first, second] = [pair[0], pair[1]].map(|sector| u64::from(sector) * SECTOR);
            if first + disk.span() > second {
                apart = self.out.expect(&BLOCK_OVERLAP, false, || {
                    (here(second), format!("a block that begins at {first:#x} lies over it"))
                });
            }
        }
        self.out.held(&BLOCK_INSIDE, inside);
        self.out.held(&BLOCK_OVERLAP, apart);
        let last = starts.last().map_or(0, |sector| u64::from(*sector) * SECTOR + disk.span());
        let used = disk.taken.iter().map(|(_, span)| span.end.0).max().unwrap_or(0).max(last);
        let gap = disk.end.0.saturating_sub(used);
        self.out.expect(&UNUSED_END, gap <= MAX_GAP, || {
            let at = crate::container::raw_at("VHD file", file.absolute(used).0, gap);
            (at, format!("{gap} bytes before the footer are nobody's"))
        });
        Ok((inside && apart).then_some(starts))
    }

    /// Sectors that were never written are zeros.
    fn bitmaps(&mut self, disk: &Dynamic, starts: &[u32]) -> Result<(), ReadError> {
        let bitmap_len = vhd::bitmap_len(disk.block_size);
        let sectors = u64::from(disk.block_size) / SECTOR;
        let mut bitmap = vec![0; bitmap_len as usize];
        let mut buffer = vec![0; STEP as usize];
        let mut sound = true;
        for start in starts.iter().map(|sector| u64::from(*sector) * SECTOR) {
            self.file.fill("VHD sector bitmap", start, &mut bitmap)?;
            let data = start + bitmap_len;
            let stray = stray_sector(self.file, data, sectors, &bitmap, &mut buffer)?;
            if let Some(sector) = stray {
                let at = self.at("VHD block", data + sector * SECTOR, SECTOR);
                sound = self.out.expect(&SECTOR_BITMAP, false, || {
                    (
                        at,
                        format!("sector {sector} of the block is not zero, and its bit is not set"),
                    )
                });
            }
        }
        self.out.held(&SECTOR_BITMAP, sound);
        Ok(())
    }
}

/// The first sector of a block whose bit is not set, and which is not zero.
fn stray_sector(
    file: &Region,
    data: u64,
    sectors: u64,
    bitmap: &[u8],
    buffer: &mut [u8],
) -> Result<Option<u64>, ReadError> {
    // The bit of the first sector is the highest one of the first byte.
    let is_set = |sector: u64| {
        let byte = bitmap.get((sector / 8) as usize).copied().unwrap_or_default();
        byte & (0x80 >> (sector % 8)) != 0
    };
    let per_step = STEP / SECTOR;
    for first in (0..sectors).step_by(per_step as usize) {
        let count = per_step.min(sectors - first);
        if (first..first + count).all(is_set) {
            continue;
        }
        let bytes = &mut buffer[..(count * SECTOR) as usize];
        file.fill("VHD block", data + first * SECTOR, bytes)?;
        let stray = (first..)
            .zip(bytes.chunks(SECTOR as usize))
            .find(|(sector, bytes)| !is_set(*sector) && bytes.iter().any(|byte| *byte != 0));
        if let Some((sector, _)) = stray {
            return Ok(Some(sector));
        }
    }
    Ok(None)
}
