//! What the file systems of a disk say is free, in their own allocation.
//!
//! Only what they say themselves, and only where they are in order, counts. Whatever is in doubt is
//! not free: partitions that overlap, a journal that is to be replayed, FATs that differ, a group
//! whose bitmap was never written.

use std::{io, ops::Range, sync::Arc};

use image_formats::{
    bytes::{ReadAt, ReadCause, ReadError, Region},
    ext4::{self, Descriptor, GroupIndex, Superblock, incompat},
    fat::{self, Cluster, Entry, Table},
};
use image_verify::{
    Recorder,
    disk::{self, Content, Partition},
};
use zerocopy::FromBytes as _;

/// Shorter pieces of free space are not worth a range of their own: 1 MiB.
pub(super) const MIN_LEN: u64 = 1 << 20;

/// `EXT4_VALID_FS`: the file system was unmounted, and has no errors.
const EXT4_VALID: u16 = 1;
/// No bitmap is larger: a block has 64 KiB at most.
const MAX_BITMAP: u64 = 64 << 10;
/// How much of two FATs is compared at a time.
const PIECE: u64 = 64 << 10;

/// The bytes of a disk that no file system in it reads before it wrote them: at least [`MIN_LEN`]
/// in each range, and no byte in two.
pub(super) fn free(raw: &Arc<dyn ReadAt>) -> io::Result<Vec<Range<u64>>> {
    let disk = disk::verify(raw, &mut Recorder::default()).map_err(io_error)?;
    let mut places: Vec<_> = disk.partitions.iter().map(place).collect();
    places.sort_by_key(|place| place.start);
    if places.windows(2).any(|pair| pair[0].end > pair[1].start) {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    for partition in &disk.partitions {
        // A file system that has errors was not opened.
        if partition.volume.is_none() {
            continue;
        }
        let mut free = Free { base: partition.region.start().0, ranges: Vec::new(), last: 0..0 };
        let read = match partition.content {
            Content::Ext => ext4(&partition.region, &mut free),
            Content::Fat => fat(&partition.region, &mut free),
            _ => Ok(()),
        };
        match read {
            Ok(()) => all.append(&mut free.finish()),
            Err(error) if error.is_defect() => {}
            Err(error) => return Err(io_error(error)),
        }
    }
    all.sort_by_key(|range| range.start);
    Ok(all)
}

fn place(partition: &Partition) -> Range<u64> {
    let start = partition.region.start().0;
    start..start.saturating_add(partition.region.len())
}

fn io_error(error: ReadError) -> io::Error {
    match error.cause {
        ReadCause::Io(cause) => cause,
        _ => io::Error::other(error),
    }
}

/// Joins what follows each other.
struct Free {
    /// Where the file system begins.
    base: u64,
    ranges: Vec<Range<u64>>,
    last: Range<u64>,
}

impl Free {
    /// `len` bytes at `at` of the file system are free. Comes in order.
    fn add(&mut self, at: u64, len: u64) {
        let start = self.base.saturating_add(at);
        let end = start.saturating_add(len);
        if self.last.end == start {
            self.last.end = end;
        } else {
            let done = std::mem::replace(&mut self.last, start..end);
            self.keep(done);
        }
    }

    fn keep(&mut self, range: Range<u64>) {
        if range.end - range.start >= MIN_LEN {
            self.ranges.push(range);
        }
    }

    fn finish(mut self) -> Vec<Range<u64>> {
        let last = self.last.clone();
        self.keep(last);
        self.ranges
    }
}

fn ext4(region: &Region, free: &mut Free) -> Result<(), ReadError> {
    let superblock = Superblock::read(region)?;
    let Some(geometry) = ext4::Geometry::new(&superblock) else { return Ok(()) };
    let clean = superblock.raw.s_state.get() == EXT4_VALID;
    let pending = incompat::RECOVER | incompat::JOURNAL_DEV;
    let len = geometry.blocks_count.saturating_mul(geometry.block_size.into());
    if !clean || superblock.incompat(pending) || len > region.len() {
        return Ok(());
    }
    let cluster = u64::from(geometry.cluster_blocks) * u64::from(geometry.block_size);
    for index in 0..geometry.descriptor_blocks() {
        let at = geometry.offset(geometry.descriptor_block(index));
        let block =
            region.bytes("ext4 group descriptors", at, geometry.block_size.into(), MAX_BITMAP)?;
        let (first, count) = geometry.descriptors_in(index);
        let descriptors = block.chunks_exact(geometry.desc_size.into()).take(count as usize);
        for (group, bytes) in (first.0..).map(GroupIndex).zip(descriptors) {
            let descriptor = Descriptor::new(bytes);
            if descriptor.has(Descriptor::BLOCK_UNINIT) {
                continue;
            }
            let clusters = geometry.clusters_in(group);
            let len = u64::from(clusters.div_ceil(8));
            let at = geometry.offset(descriptor.block_bitmap());
            let bitmap = region.bytes("ext4 block bitmap", at, len, MAX_BITMAP)?;
            let start = geometry.offset(geometry.first_block(group));
            for bit in 0..clusters {
                if bitmap[bit as usize / 8] >> (bit % 8) & 1 == 0 {
                    free.add(start + u64::from(bit) * cluster, cluster);
                }
            }
        }
    }
    Ok(())
}

fn fat(region: &Region, free: &mut Free) -> Result<(), ReadError> {
    let sector = region.array::<512>("FAT boot sector", 0)?;
    let Ok(boot) = fat::raw::BootSector::read_from_bytes(&sector) else { return Ok(()) };
    let Some(geometry) = fat::Geometry::of(&boot) else { return Ok(()) };
    let copy = |copy| {
        let at = geometry.fat(copy).unwrap_or(u64::MAX);
        region.sub("FAT", at, geometry.table_len())
    };
    let table = copy(0)?;
    let same = match geometry.fats {
        1 => true,
        2 => equal(&table, &copy(1)?)?,
        _ => false,
    };
    if same {
        let size = geometry.cluster_size;
        Table::new(table, &geometry).scan(&geometry, |cluster: Cluster, entry| {
            if let (Entry::Free, Some(at)) = (entry, geometry.offset(cluster)) {
                free.add(at, size);
            }
        })?;
    }
    Ok(())
}

/// True if two regions of the same length hold the same bytes.
fn equal(a: &Region, b: &Region) -> Result<bool, ReadError> {
    let mut at = 0;
    while at < a.len() {
        let len = PIECE.min(a.len() - at);
        if a.bytes("FAT", at, len, PIECE)? != b.bytes("FAT", at, len, PIECE)? {
            return Ok(false);
        }
        at += len;
    }
    Ok(true)
}
