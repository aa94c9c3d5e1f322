//! Bytes that are there only while they are read: zeros, but for some pieces and what a rule makes.

use std::{io, sync::Mutex};

use image_formats::bytes::ReadAt;

/// Bytes of a sector of a disc.
pub(crate) const SECTOR: usize = 2048;

/// Fills the sector with this number, which is zeros before.
type Rule = Box<dyn Fn(u64, &mut [u8]) + Send + Sync>;

/// An image that is mostly not in memory.
pub(crate) struct Made {
    pub(crate) len: u64,
    /// What lies where, in order.
    pub(crate) pieces: Vec<(u64, Vec<u8>)>,
    /// What is in sectors from this number on.
    pub(crate) rule: Option<(u64, Rule)>,
    /// Sectors that were made last, with their numbers: what reads records one by one is not to pay
    /// for the rule.
    last: Mutex<Vec<(u64, [u8; SECTOR])>>,
}

impl Made {
    pub(crate) fn new(len: u64) -> Self {
        let last = Mutex::new(vec![(u64::MAX, [0; SECTOR]); 16]);
        Self { len, pieces: Vec::new(), rule: None, last }
    }

    fn ruled(&self, offset: u64, buf: &mut [u8]) {
        let Some((first, rule)) = &self.rule else { return };
        let (mut at, mut rest) = (offset, buf);
        let mut last = self.last.lock().unwrap();
        while !rest.is_empty() {
            let (number, within) = (at / SECTOR as u64, (at % SECTOR as u64) as usize);
            let len = rest.len().min(SECTOR - within);
            let (now, later) = rest.split_at_mut(len);
            if number >= *first {
                let (made, sector) = &mut last[number as usize % 16];
                if *made != number {
                    sector.fill(0);
                    rule(number - first, sector);
                    *made = number;
                }
                now.copy_from_slice(&sector[within..within + len]);
            }
            at += len as u64;
            rest = later;
        }
    }
}

impl ReadAt for Made {
    fn len(&self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        buf.fill(0);
        self.ruled(offset, buf);
        let end = offset + buf.len() as u64;
        for (start, bytes) in &self.pieces {
            let (from, to) = (offset.max(*start), end.min(start + bytes.len() as u64));
            if from < to {
                let part = &bytes[(from - start) as usize..(to - start) as usize];
                buf[(from - offset) as usize..(to - offset) as usize].copy_from_slice(part);
            }
        }
        Ok(())
    }
}
