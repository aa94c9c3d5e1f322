//! Compressed clusters: each is decompressed, by as many threads as there are processors.

use std::{
    collections::BTreeMap,
    num::NonZero,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use image_formats::{
    bytes::{ReadError, Region},
    qcow2::{CompressionType, Decoder, L2Entry},
};
use zerocopy::{FromBytes as _, big_endian::U64};

use super::{COMPRESSED_DATA, Disk, Judge, LIMITS, map::Compressed};
use crate::MAX_FINDINGS_PER_CHECK;

/// The most bytes that are decompressed.
const MAX_LEN: u64 = 64 << 30;
/// Up to so many the ratio does not matter.
const UNCHECKED_LEN: u64 = 4 << 30;
/// The most bytes for each byte of the file, beyond that.
const RATIO: u64 = 200;
/// Each has four clusters in memory: up to 8 MiB.
const MAX_THREADS: usize = 8;

/// What the threads share.
struct Job<'a> {
    file: &'a Region,
    disk: &'a Disk,
    compression: CompressionType,
    tables: &'a [u64],
    next: AtomicUsize,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    /// The first ones, by the place of the entry: which clusters and why.
    faults: BTreeMap<(usize, u64), String>,
    count: u64,
    failed: Option<(usize, ReadError)>,
}

impl Judge<'_> {
    /// Decompresses all compressed clusters.
    pub(super) fn compressed_data(
        &mut self,
        disk: &Disk,
        compressed: &Compressed,
    ) -> Result<(), ReadError> {
        let Some(compression) = disk.compression.filter(|_| !disk.external) else { return Ok(()) };
        let len = compressed.clusters.saturating_mul(disk.cluster.bytes());
        let limit = disk.file_len.saturating_mul(RATIO).clamp(UNCHECKED_LEN, MAX_LEN);
        let at = self.at("qcow2 file", 0, disk.file_len);
        if !self.out.expect(&LIMITS, len <= limit, || {
            let clusters = compressed.clusters;
            (at, format!("{clusters} compressed clusters of {len} bytes, more than {limit}"))
        }) {
            return Ok(());
        }
        let job = Job {
            file: self.file,
            disk,
            compression,
            tables: &compressed.tables,
            next: AtomicUsize::new(0),
            found: Mutex::new(Found::default()),
        };
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let threads = threads.min(MAX_THREADS).min(compressed.tables.len());
        thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|| job.work());
            }
            job.work();
        });
        let found = job.found.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, error)) = found.failed {
            return Err(error);
        }
        let rest = found.count - found.faults.len() as u64;
        for ((_, at), message) in found.faults {
            let here = self.at("qcow2 L2 table entry", at, 8);
            self.fault(&COMPRESSED_DATA, here, || message);
        }
        for _ in 0..rest {
            let here = self.at("qcow2 L2 table entry", 0, 8);
            self.fault(&COMPRESSED_DATA, here, String::new);
        }
        self.out.held(&COMPRESSED_DATA, true);
        Ok(())
    }
}

impl Job<'_> {
    /// Takes tables of the list until there are none left.
    fn work(&self) {
        let size = self.disk.cluster.bytes() as usize;
        let mut decoder = Decoder::new(self.compression);
        let (mut table, mut cluster, mut input) = (vec![0; size], vec![0; size], Vec::new());
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(at) = self.tables.get(index) else { return };
            let mut judge = || {
                self.file.fill("qcow2 L2 table", *at, &mut table)?;
                let step = if self.disk.extended { 16 } else { 8 };
                for (number, entry) in (0..).zip(table.chunks_exact(step)) {
                    let Ok((entry, _)) = U64::read_from_prefix(entry) else { continue };
                    let entry = L2Entry(entry.get());
                    if let Some(message) =
                        self.cluster(entry, &mut decoder, &mut input, &mut cluster)?
                    {
                        self.fault(index, at + number * step as u64, message);
                    }
                }
                Ok(())
            };
            if let Err(error) = judge() {
                let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
                if found.failed.as_ref().is_none_or(|(first, _)| index < *first) {
                    found.failed = Some((index, error));
                }
                // Nobody needs the rest.
                self.next.store(self.tables.len(), Ordering::Relaxed);
            }
        }
    }

    /// Why a compressed cluster is none.
    fn cluster(
        &self,
        entry: L2Entry,
        decoder: &mut Decoder,
        input: &mut Vec<u8>,
        cluster: &mut [u8],
    ) -> Result<Option<String>, ReadError> {
        if !entry.is_compressed() {
            return Ok(None);
        }
        let data = entry.compressed(self.disk.cluster);
        // What is beyond the end of the file is a finding already.
        let len = self.disk.file_len.saturating_sub(data.offset).min(data.len);
        if len == 0 {
            return Ok(None);
        }
        input.resize(len as usize, 0);
        self.file.fill("qcow2 compressed cluster", data.offset, input)?;
        let result = decoder.decompress(input, cluster);
        Ok(result.err().map(|error| {
            let size = cluster.len();
            format!("{len} bytes at {:#x}: {error}, of a cluster of {size}", data.offset)
        }))
    }

    fn fault(&self, index: usize, at: u64, message: String) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.count += 1;
        found.faults.insert((index, at), message);
        if found.faults.len() as u64 > MAX_FINDINGS_PER_CHECK {
            found.faults.pop_last();
        }
    }
}
