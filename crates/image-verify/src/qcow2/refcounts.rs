//! The refcount table and its blocks, and whether they agree with what is there.

use image_formats::{
    bytes::ReadError,
    qcow2::{Entries, Refcounts, TableEntry},
};

use super::{
    Disk, Judge, LEAK, OVERLAP, REFCOUNT, REFCOUNT_BLOCK, REFCOUNT_TABLE, UNUSED_END,
    claims::{Claims, Flag, Role},
};

/// QEMU reads no longer table.
const MAX_TABLE: u64 = 8 << 20;

/// A refcount table that can be read.
pub(super) struct RefcountTable {
    table: Entries,
}

/// One refcount block.
enum Block {
    /// All refcounts are zero.
    None,
    /// At this byte.
    At(u64),
    /// Not where it could be read.
    Broken,
}

impl RefcountTable {
    /// The blocks for the clusters of the file, each with its first cluster.
    fn blocks<'a>(
        &'a self,
        disk: &'a Disk,
        clusters: u64,
    ) -> impl Iterator<Item = Result<(u64, Block), ReadError>> + 'a {
        let span = disk.refcount_order.per_block(disk.cluster.bytes());
        let none = std::iter::repeat_with(|| Ok(0));
        let entries = self.table.iter().chain(none);
        (0..clusters).step_by(span as usize).zip(entries).map(|(first, entry)| {
            let entry = TableEntry(entry?);
            let block = match entry.refcount_block() {
                _ if entry.reserved_of_refcount_table() != 0 => Block::Broken,
                0 => Block::None,
                at if disk.is_whole(at) => Block::At(at),
                _ => Block::Broken,
            };
            Ok((first, block))
        })
    }
}

impl Judge<'_> {
    /// Claims the refcount table and its blocks, and notes which clusters have a refcount of one.
    pub(super) fn refcount_blocks(
        &mut self,
        disk: &Disk,
        claims: &mut Claims,
    ) -> Result<Option<RefcountTable>, ReadError> {
        let at = disk.header.refcount_table_offset.get();
        let len = disk.cluster.offset(disk.header.refcount_table_clusters.get().into());
        let what = "qcow2 refcount table";
        if len == 0 {
            let at = self.at(what, at, 0);
            self.fault(&REFCOUNT_TABLE, at, || "there is none".to_owned());
            return Ok(None);
        }
        let named = (what, Role::RefcountTable);
        if !self.table(disk, claims, &REFCOUNT_TABLE, named, (at, len), MAX_TABLE) {
            return Ok(None);
        }
        self.out.held(&REFCOUNT_TABLE, true);
        let table = RefcountTable { table: Entries::new(self.file, what, at, len / 8)? };
        for (number, entry) in (0..).zip(table.table.iter()) {
            self.refcount_block(disk, TableEntry(entry?), at + 8 * number, claims);
        }
        self.out.held(&REFCOUNT_BLOCK, true);
        let mut bytes = vec![0; disk.cluster.bytes() as usize];
        let span = disk.refcount_order.per_block(disk.cluster.bytes());
        for block in table.blocks(disk, claims.len()) {
            let (first, block) = block?;
            match block {
                Block::At(at) if claims.role(disk.cluster.index(at)) == Role::RefcountBlock => {
                    self.file.fill("qcow2 refcount block", at, &mut bytes)?;
                    let counts = Refcounts::new(&bytes, disk.refcount_order).iter();
                    for (cluster, _) in (first..).zip(counts).filter(|(_, count)| *count == 1) {
                        claims.set(cluster, Flag::One);
                    }
                }
                Block::At(_) | Block::Broken => {
                    let clusters = first..claims.len().min(first.saturating_add(span));
                    clusters.for_each(|cluster| claims.set(cluster, Flag::Unknown));
                }
                Block::None => {}
            }
        }
        Ok(Some(table))
    }

    fn refcount_block(&mut self, disk: &Disk, entry: TableEntry, at: u64, claims: &mut Claims) {
        if entry.0 == 0 {
            return;
        }
        let block = entry.refcount_block();
        let trouble = if entry.reserved_of_refcount_table() != 0 {
            "reserved bits are set"
        } else if !disk.cluster.starts_at(block) {
            "the block does not begin at a cluster"
        } else if !disk.is_whole(block) {
            "the block is beyond the end of the file"
        } else {
            self.claim(claims, disk.cluster.index(block), Role::RefcountBlock, 1);
            return;
        };
        claims.incomplete = true;
        let here = self.at("qcow2 refcount table entry", at, 8);
        self.fault(&REFCOUNT_BLOCK, here, || format!("{:#x}: {trouble}", entry.0));
    }

    /// Compares the refcounts with the claims.
    pub(super) fn compare(
        &mut self,
        disk: &Disk,
        refcounts: &RefcountTable,
        claims: &Claims,
    ) -> Result<(), ReadError> {
        let mut bytes = vec![0; disk.cluster.bytes() as usize];
        let span = disk.refcount_order.per_block(disk.cluster.bytes());
        let mut last = 0;
        for block in refcounts.blocks(disk, claims.len()) {
            let (first, block) = block?;
            let clusters = first..claims.len().min(first.saturating_add(span));
            match block {
                Block::At(at) if claims.role(disk.cluster.index(at)) == Role::RefcountBlock => {
                    self.file.fill("qcow2 refcount block", at, &mut bytes)?;
                    let counts = Refcounts::new(&bytes, disk.refcount_order).iter();
                    for (cluster, refcount) in clusters.zip(counts) {
                        self.refcount(disk, claims, (cluster, refcount), &mut last);
                    }
                }
                Block::None => {
                    clusters
                        .for_each(|cluster| self.refcount(disk, claims, (cluster, 0), &mut last));
                }
                Block::At(_) | Block::Broken => last = clusters.end.saturating_sub(1),
            }
        }
        self.out.held(&REFCOUNT, true);
        self.out.held(&LEAK, !claims.incomplete);
        self.out.held(&OVERLAP, true);
        let end = disk.cluster.offset(last.saturating_add(1));
        let rest = disk.file_len.saturating_sub(end);
        let at = self.at("qcow2 file", end, rest);
        self.out.expect(&UNUSED_END, rest == 0, || {
            (at, format!("{rest} bytes behind the last cluster are nobody's"))
        });
        Ok(())
    }

    /// Compares the refcount of a cluster with its claims. `last`: the last one that is used.
    fn refcount(
        &mut self,
        disk: &Disk,
        claims: &Claims,
        (cluster, refcount): (u64, u64),
        last: &mut u64,
    ) {
        let count = u64::from(claims.count(cluster));
        if refcount != 0 || count != 0 {
            *last = cluster;
        }
        let is_most = count == u64::from(u16::MAX);
        let is_right = refcount == count || (is_most && refcount > count);
        // One finding is enough.
        if is_right || claims.has(cluster, Flag::Disputed) {
            return;
        }
        let (check, clusters) = match refcount < count {
            true => (&REFCOUNT, claims.len()),
            // Nobody can lose what is beyond the end of the file.
            // Who knows what leads there from what could not be followed.
            false if claims.incomplete => return,
            false => (&LEAK, disk.cluster.count(disk.file_len)),
        };
        if cluster >= clusters {
            return;
        }
        let at = self.at("qcow2 cluster", disk.cluster.offset(cluster), disk.cluster.bytes());
        self.fault(check, at, || {
            let what = claims.role(cluster).as_str();
            format!("cluster {cluster}, {what}: refcount {refcount}, and {count} lead to it")
        });
    }
}
