//! L2 tables: where each cluster of the disk is.

use image_formats::{
    bytes::ReadError,
    qcow2::{Entries, L1Entry, L2Entry, Subclusters},
};
use zerocopy::{FromBytes as _, big_endian::U64};

use super::{
    COMPRESSED, COPIED, CUT, Disk, Judge, L1_ENTRY, L1_TABLE, L2_ENTRY, LIMITS,
    claims::{Claims, Flag, Role},
    snapshots::L1Table,
};

/// The most L2 tables with compressed clusters whose clusters are decompressed: enough for 64 GiB
/// in the smallest clusters, twice.
const MAX_TABLES: usize = 1 << 21;

/// The compressed clusters.
#[derive(Default)]
pub(super) struct Compressed {
    /// L2 tables that lead to some, in the order in which they were read.
    pub(super) tables: Vec<u64>,
    /// How many there are.
    pub(super) clusters: u64,
}

impl Judge<'_> {
    /// Follows all L1 tables to all clusters of the disk and its snapshots.
    pub(super) fn map(
        &mut self,
        disk: &Disk,
        tables: &[L1Table],
        claims: &mut Claims,
    ) -> Result<Compressed, ReadError> {
        // How many lead to an L2 table counts for all that it leads to.
        for table in tables {
            for (number, entry) in (0..).zip(entries(self, table)?.iter()) {
                self.l1_entry(disk, L1Entry(entry?), table.at + 8 * number, claims);
            }
        }
        self.out.held(&L1_ENTRY, true);
        let mut compressed = Compressed::default();
        let mut bytes = vec![0; disk.cluster.bytes() as usize];
        for table in tables {
            for (number, entry) in (0..).zip(entries(self, table)?.iter()) {
                let entry = L1Entry(entry?);
                let at = entry.offset();
                let cluster = disk.cluster.index(at);
                let is_table = at != 0
                    && disk.is_whole(at)
                    && claims.role(cluster) == Role::L2Table
                    && !claims.has(cluster, Flag::Disputed);
                if !is_table {
                    continue;
                }
                if table.active && entry.is_copied() != claims.has(cluster, Flag::One) {
                    let place = table.at + 8 * number;
                    self.copied(claims, "qcow2 L1 table entry", place, entry.is_copied(), cluster);
                }
                // What it tells counts for all that lead to it, and the disk comes first.
                if claims.has(cluster, Flag::Read) {
                    continue;
                }
                claims.set(cluster, Flag::Read);
                self.file.fill("qcow2 L2 table", at, &mut bytes)?;
                let before = compressed.clusters;
                let first = number.saturating_mul(disk.l2_entries());
                let times = claims.count(cluster);
                let table = L2Table { at, first, times, active: table.active };
                self.l2_table(disk, &bytes, table, claims, &mut compressed);
                if compressed.clusters > before && compressed.tables.len() <= MAX_TABLES {
                    compressed.tables.push(at);
                }
            }
        }
        for check in [&L1_TABLE, &L2_ENTRY, &CUT, &COMPRESSED, &COPIED] {
            self.out.held(check, !tables.is_empty());
        }
        if compressed.tables.len() > MAX_TABLES {
            let at = self.at("qcow2 file", 0, disk.file_len);
            self.fault(&LIMITS, at, || {
                format!("more than {MAX_TABLES} L2 tables lead to compressed clusters")
            });
            compressed = Compressed::default();
        }
        Ok(compressed)
    }

    fn l1_entry(&mut self, disk: &Disk, entry: L1Entry, at: u64, claims: &mut Claims) {
        if entry.0 == 0 {
            return;
        }
        let table = entry.offset();
        let trouble = if entry.reserved() != 0 {
            "reserved bits are set"
        } else if table == 0 {
            "there is no L2 table, and it is said to have a refcount of one"
        } else if !disk.cluster.starts_at(table) {
            "the L2 table does not begin at a cluster"
        } else if !disk.is_whole(table) {
            "the L2 table is beyond the end of the file"
        } else {
            ""
        };
        if disk.is_whole(table) && table != 0 {
            self.claim(claims, disk.cluster.index(table), Role::L2Table, 1);
        } else {
            claims.incomplete = true;
        }
        if !trouble.is_empty() {
            let here = self.at("qcow2 L1 table entry", at, 8);
            self.fault(&L1_ENTRY, here, || format!("{:#x}: {trouble}", entry.0));
        }
    }

    /// Records that a flag is wrong, where the refcount can be read.
    fn copied(
        &mut self,
        claims: &Claims,
        what: &'static str,
        at: u64,
        is_copied: bool,
        cluster: u64,
    ) {
        if claims.has(cluster, Flag::Unknown) {
            return;
        }
        let here = self.at(what, at, 8);
        self.fault(&COPIED, here, || match is_copied {
            true => format!("the refcount of cluster {cluster} is not one, as the entry says"),
            false => format!("the refcount of cluster {cluster} is one, and the entry is without"),
        });
    }

    fn l2_table(
        &mut self,
        disk: &Disk,
        bytes: &[u8],
        table: L2Table,
        claims: &mut Claims,
        compressed: &mut Compressed,
    ) {
        let len = if disk.extended { 16 } else { 8 };
        for (number, entry) in (0..).zip(bytes.chunks_exact(len)) {
            let word = |from: usize| {
                let word = entry.get(from..).and_then(|rest| U64::read_from_prefix(rest).ok());
                word.map_or(0, |(word, _)| word.get())
            };
            let (entry, subclusters) = (L2Entry(word(0)), Subclusters(word(8)));
            if entry.0 == 0 && subclusters.0 == 0 {
                continue;
            }
            let (at, guest) = (table.at + number * len as u64, table.first + number);
            let here = Place { at, guest, table };
            if entry.is_compressed() {
                compressed.clusters += 1;
                self.compressed(disk, entry, subclusters, here, claims);
            } else {
                self.standard(disk, entry, subclusters, here, claims);
            }
        }
    }

    fn compressed(
        &mut self,
        disk: &Disk,
        entry: L2Entry,
        subclusters: Subclusters,
        here: Place,
        claims: &mut Claims,
    ) {
        let what = "qcow2 L2 table entry";
        let trouble = if entry.is_copied() {
            "compressed, and its refcount is said to be one"
        } else if subclusters.0 != 0 {
            "compressed, and with subclusters"
        } else if disk.external {
            "compressed, and in another file"
        } else {
            ""
        };
        if !trouble.is_empty() {
            let at = self.at(what, here.at, 8);
            self.fault(&L2_ENTRY, at, || format!("{:#x}: {trouble}", entry.0));
        }
        if disk.external {
            return;
        }
        let data = entry.compressed(disk.cluster);
        // The last cluster of the file need not be whole, and sectors behind it are only told of.
        let end = data.offset.saturating_add(data.len);
        let limit = disk.file_len.saturating_add(disk.cluster.bytes());
        if data.offset >= disk.file_len || end >= limit {
            let at = self.at(what, here.at, 8);
            self.fault(&COMPRESSED, at, || {
                format!("{} bytes at {:#x}, beyond the end of the file", data.len, data.offset)
            });
            claims.incomplete = true;
            return;
        }
        let last = disk.cluster.index(end.saturating_sub(1));
        for cluster in disk.cluster.index(data.offset)..=last {
            self.claim(claims, cluster, Role::CompressedData, here.table.times);
        }
    }

    fn standard(
        &mut self,
        disk: &Disk,
        entry: L2Entry,
        subclusters: Subclusters,
        here: Place,
        claims: &mut Claims,
    ) {
        let at = entry.offset();
        let trouble = if entry.reserved() != 0 {
            "reserved bits are set"
        } else if entry.is_zero() && (disk.extended || disk.version == 2) {
            "the bit for zeros is set, and means nothing in this image"
        } else if subclusters.allocated() & subclusters.zero() != 0 {
            "subclusters that are there, and read as zeros"
        } else if at == 0 && subclusters.allocated() != 0 && !disk.external {
            "subclusters are there, and the cluster is not"
        } else if at == 0 && entry.is_copied() && !disk.external {
            "there is no cluster, and it is said to have a refcount of one"
        } else if !disk.cluster.starts_at(at) {
            "the cluster does not begin at one"
        } else if at >= disk.file_len && !disk.external {
            "the cluster is beyond the end of the file"
        } else {
            ""
        };
        if !trouble.is_empty() {
            let place = self.at("qcow2 L2 table entry", here.at, 8);
            claims.incomplete |= !disk.cluster.starts_at(at) || at >= disk.file_len;
            self.fault(&L2_ENTRY, place, || format!("{:#x}: {trouble}", entry.0));
        }
        if at == 0 || disk.external || !disk.cluster.starts_at(at) || at >= disk.file_len {
            return;
        }
        let cluster = disk.cluster.index(at);
        if !self.claim(claims, cluster, Role::Data, here.table.times) {
            return;
        }
        if here.table.active && entry.is_copied() != claims.has(cluster, Flag::One) {
            self.copied(claims, "qcow2 L2 table entry", here.at, entry.is_copied(), cluster);
        }
        if disk.is_whole(at) || !here.table.active {
            return;
        }
        let needed = disk.needed(entry, subclusters, here.guest);
        let there = disk.file_len - at;
        if needed > there {
            let place = self.at("qcow2 cluster", at, there);
            self.fault(&CUT, place, || {
                format!("{there} bytes of a cluster of which {needed} are needed")
            });
        }
    }
}

impl Disk {
    /// How many bytes of a standard cluster are read.
    fn needed(&self, entry: L2Entry, subclusters: Subclusters, guest: u64) -> u64 {
        let used = if self.extended {
            let last = 64 - subclusters.allocated().leading_zeros();
            u64::from(last) * self.cluster.bytes() / 32
        } else if entry.is_zero() {
            0
        } else {
            self.cluster.bytes()
        };
        used.min(self.header.size.get().saturating_sub(self.cluster.offset(guest)))
    }
}

/// An L2 table.
#[derive(Clone, Copy)]
struct L2Table {
    at: u64,
    /// The first cluster of the disk that it tells of.
    first: u64,
    /// How many lead to it.
    times: u16,
    /// The disk itself leads to it.
    active: bool,
}

/// An entry of it.
#[derive(Clone, Copy)]
struct Place {
    at: u64,
    /// The cluster of the disk.
    guest: u64,
    table: L2Table,
}

fn entries(judge: &Judge<'_>, table: &L1Table) -> Result<Entries, ReadError> {
    Entries::new(judge.file, "qcow2 L1 table", table.at, table.entries)
}
