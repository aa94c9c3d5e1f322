//! L1 tables: that of the disk, and those of its snapshots.

use image_formats::{
    bytes::ReadError,
    qcow2::raw::{SnapshotEntry, SnapshotExtraData},
};
use zerocopy::{FromBytes as _, transmute};

use super::{
    Disk, Judge, L1_TABLE, SNAPSHOTS,
    claims::{Claims, Role},
};

/// QEMU reads no longer L1 table.
const MAX_L1: u64 = 32 << 20;
/// QEMU reads no more snapshots, and no longer table of them.
const MAX_SNAPSHOTS: u32 = 65536;
const MAX_SNAPSHOT_TABLE: u64 = 1024 * MAX_SNAPSHOTS as u64;
/// QEMU reads no more extra data.
const MAX_EXTRA: u32 = 1024;

/// An L1 table that can be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct L1Table {
    /// Its first byte.
    pub(super) at: u64,
    /// How many entries it has.
    pub(super) entries: u64,
    /// It is that of the disk, and not of a snapshot.
    pub(super) active: bool,
}

/// A snapshot, as its entry tells of it.
struct Snapshot {
    entry: SnapshotEntry,
    /// What the entry has.
    disk_size: Option<u64>,
    len: u64,
}

impl Judge<'_> {
    /// Claims all L1 tables, and the table of the snapshots. The first one is the disk's.
    pub(super) fn l1_tables(
        &mut self,
        disk: &Disk,
        claims: &mut Claims,
    ) -> Result<Vec<L1Table>, ReadError> {
        let mut tables = Vec::new();
        let entries = u64::from(disk.header.l1_size.get());
        let place = (disk.header.l1_table_offset.get(), entries * 8);
        let what = "qcow2 L1 table";
        let needed = disk.header.size.get().div_ceil(disk.l1_span());
        let at = self.at("qcow2 header", 36, 4);
        let fits = self.out.expect(&L1_TABLE, entries >= needed, || {
            (at, format!("{entries} entries, and the disk needs {needed}"))
        });
        claims.incomplete |= !fits;
        let named = (what, Role::L1Table);
        if self.table(disk, claims, &L1_TABLE, named, place, MAX_L1) && fits {
            tables.push(L1Table { at: place.0, entries, active: true });
        }
        self.snapshots(disk, &mut tables, claims)?;
        Ok(tables)
    }

    fn snapshots(
        &mut self,
        disk: &Disk,
        tables: &mut Vec<L1Table>,
        claims: &mut Claims,
    ) -> Result<(), ReadError> {
        let number = disk.header.nb_snapshots.get();
        let start = disk.header.snapshots_offset.get();
        let what = "qcow2 snapshot table";
        // An entry has this length at least, and the table must not be longer.
        let least = u64::from(number) * SnapshotEntry::SIZE as u64;
        let limit = u64::from(MAX_SNAPSHOTS) * SnapshotEntry::SIZE as u64;
        if number == 0 {
            // QEMU looks at the place also where nothing is.
            let holds = disk.cluster.starts_at(start) && i64::try_from(start).is_ok();
            let at = self.at("qcow2 header", 64, 8);
            self.out.expect(&SNAPSHOTS, holds, || {
                (at, format!("no snapshots, and their table is at {start:#x}"))
            });
            return Ok(());
        }
        if !self.is_in_file(disk, claims, &SNAPSHOTS, what, (start, least), limit) {
            return Ok(());
        }
        if disk.external {
            let at = self.at("qcow2 header", 60, 4);
            self.fault(&SNAPSHOTS, at, || "snapshots of an external data file".to_owned());
        }
        let mut snapshots = Vec::new();
        let mut at = start;
        for index in 0..number {
            at = at.next_multiple_of(8);
            let here = self.at("qcow2 snapshot table entry", at, SnapshotEntry::SIZE as u64);
            let snapshot = match self.snapshot(at)? {
                Ok(snapshot) if at + snapshot.len > start + MAX_SNAPSHOT_TABLE => {
                    Err("the table is longer than 64 MiB")
                }
                snapshot => snapshot,
            };
            match snapshot {
                Ok(snapshot) => {
                    at += snapshot.len;
                    snapshots.push((here, snapshot));
                }
                Err(trouble) => {
                    self.fault(&SNAPSHOTS, here, || format!("snapshot {index}: {trouble}"));
                    claims.incomplete = true;
                    break;
                }
            }
        }
        let len = at.min(disk.file_len) - start;
        if !self.claim_all(disk, claims, (start, len), Role::SnapshotTable) {
            return Ok(());
        }
        for (here, Snapshot { entry, disk_size, .. }) in snapshots {
            let entries = u64::from(entry.l1_size.get());
            let place = (entry.l1_table_offset.get(), entries * 8);
            let what = "qcow2 L1 table";
            let size = disk_size.unwrap_or(disk.header.size.get());
            let needed = size.div_ceil(disk.l1_span());
            if entries < needed {
                self.fault(&SNAPSHOTS, here.clone(), || {
                    format!("{entries} entries in its L1 table, and its disk needs {needed}")
                });
            }
            if disk.version == 3 && disk_size.is_none() {
                self.fault(&SNAPSHOTS, here, || "it does not tell the size of its disk".to_owned());
            }
            let named = (what, Role::L1Table);
            if self.table(disk, claims, &SNAPSHOTS, named, place, MAX_L1) {
                tables.push(L1Table { at: place.0, entries, active: false });
            }
        }
        self.out.held(&SNAPSHOTS, true);
        Ok(())
    }

    /// The entry at this byte, or why it cannot be read.
    fn snapshot(&self, at: u64) -> Result<Result<Snapshot, &'static str>, ReadError> {
        let what = "qcow2 snapshot table entry";
        let fixed = SnapshotEntry::SIZE as u64;
        let read = || {
            let bytes = self.file.array::<{ SnapshotEntry::SIZE }>(what, at)?;
            let entry: SnapshotEntry = transmute!(bytes);
            let extra_len = entry.extra_data_size.get();
            if extra_len > MAX_EXTRA {
                return Ok(Err("more than 1024 bytes of extra data"));
            }
            let extra = self.file.bytes(what, at + fixed, extra_len.into(), MAX_EXTRA.into())?;
            let extra = SnapshotExtraData::read_from_prefix(&extra).ok();
            let words = u64::from(entry.id_size.get()) + u64::from(entry.name_size.get());
            let len = fixed + u64::from(extra_len) + words;
            // What is not read here has to be there as well.
            self.file.sub(what, at, len)?;
            let disk_size = extra.map(|(extra, _)| extra.disk_size.get());
            Ok(Ok(Snapshot { entry, disk_size, len }))
        };
        match read() {
            Err(error) if ReadError::is_defect(&error) => Ok(Err("it ends beyond the file")),
            other => other,
        }
    }
}
