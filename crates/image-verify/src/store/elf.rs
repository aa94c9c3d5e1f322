//! What ELF files need, seen while their bytes pass by: who loads them, and where they look for
//! libraries.

use std::{
    io,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use image_formats::{
    bytes::{ReadAt, Region},
    elf::Header,
};

/// So much of the start of a file is kept: program headers, who loads it, and, unless somebody
/// moved them, the strings.
const HEAD: usize = 1 << 20;

/// What a program starts with.
const MAGIC: &[u8] = b"\x7fELF";

/// Where the headers of all programs end that are known.
const HEADERS: usize = 4096;

/// How often a file is read again for a part that was not kept: its program headers, who loads it,
/// its dynamic section, its strings.
const MAX_AGAIN: usize = 4;

/// What is kept of one file.
#[derive(Debug, Default)]
pub(super) struct Tap {
    head: Vec<u8>,
    at: u64,
    is_elf: bool,
    /// A part that is wanted, and what of it was seen.
    wanted: Range<u64>,
    part: Vec<u8>,
}

/// What a file needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// The path of the program that loads it.
    pub(super) interpreter: Option<Vec<u8>>,
    /// Where it looks for libraries.
    pub(super) run_path: Option<Vec<u8>>,
}

impl Tap {
    /// A file begins.
    pub(super) fn start(&mut self) {
        self.head.clear();
        self.part.clear();
        (self.at, self.is_elf, self.wanted) = (0, true, 0..0);
    }

    /// The next bytes of it.
    pub(super) fn piece(&mut self, bytes: &[u8]) {
        if !self.is_elf {
            return;
        }
        if self.head.len() < HEAD {
            let before = self.head.len();
            let mut magic = MAGIC.iter().skip(before).zip(bytes);
            self.is_elf = magic.all(|(expected, byte)| expected == byte);
            if !self.is_elf {
                // Most files are no programs: nothing of them is kept.
                return;
            }
            let len = bytes.len().min(HEAD - before);
            self.head.extend_from_slice(&bytes[..len]);
            if before < HEADERS && self.head.len() >= HEADERS {
                self.want_dynamic();
            }
        }
        self.keep(bytes);
    }

    /// Takes what is wanted of the bytes at `at`.
    fn keep(&mut self, bytes: &[u8]) {
        let end = self.at.saturating_add(bytes.len() as u64);
        let (from, to) = (self.wanted.start.max(self.at), self.wanted.end.min(end));
        if from < to && from == self.wanted.start + self.part.len() as u64 {
            let range = (from - self.at) as usize..(to - self.at) as usize;
            self.part.extend_from_slice(&bytes[range]);
        }
        self.at = end;
    }

    /// The dynamic section is wanted, unless it is kept anyway.
    fn want_dynamic(&mut self) {
        let head = Region::from(self.head[..HEADERS].to_vec());
        let Some(header) = Header::from_prefix(&self.head).filter(Header::is_elf64_le) else {
            return;
        };
        if let Ok(Some(dynamic)) = header.dynamic(&head)
            && dynamic.end > HEAD as u64
        {
            self.wanted = dynamic;
        }
    }

    /// What the file needs, once all of it was seen. `again` gives all of its bytes once more.
    pub(super) fn needs<E>(
        &mut self,
        mut again: impl FnMut(&mut dyn FnMut(&[u8])) -> Result<(), E>,
    ) -> Result<Option<Needs>, E> {
        let header = Header::from_prefix(&self.head).filter(Header::is_elf64_le);
        let Some(header) = header.filter(|_| self.is_elf && self.head.starts_with(MAGIC)) else {
            return Ok(None);
        };
        let len = self.at;
        let kept = Arc::new(Kept {
            len,
            parts: Mutex::new(vec![
                (0, std::mem::take(&mut self.head)),
                (self.wanted.start, std::mem::take(&mut self.part)),
            ]),
            missed: Mutex::default(),
        });
        let source: Arc<dyn ReadAt> = Arc::clone(&kept) as _;
        // What is kept in memory has a length.
        let Ok(file) = Region::whole(source) else { return Ok(None) };
        let mut needs = Needs::default();
        for round in 0..=MAX_AGAIN {
            // What a file says of itself that is wrong is not judged here.
            needs.interpreter = header.interpreter(&file).ok().flatten();
            needs.run_path = header.run_path(&file).ok().flatten();
            let missed = std::mem::take(&mut *lock(&kept.missed));
            let Some(missed) = missed.filter(|_| round < MAX_AGAIN) else { break };
            (self.at, self.wanted) = (0, missed);
            self.part = Vec::new();
            again(&mut |bytes| self.keep(bytes))?;
            lock(&kept.parts).push((self.wanted.start, std::mem::take(&mut self.part)));
        }
        // The memory is for the next file.
        self.head = std::mem::take(&mut lock(&kept.parts)[0].1);
        Ok(Some(needs))
    }
}

/// The parts of a file that were kept.
struct Kept {
    len: u64,
    parts: Mutex<Vec<(u64, Vec<u8>)>>,
    /// The last part that was asked for and is in none of these.
    missed: Mutex<Option<Range<u64>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ReadAt for Kept {
    fn len(&self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = offset.saturating_add(buf.len() as u64);
        for (start, bytes) in &*lock(&self.parts) {
            let inside = offset.checked_sub(*start).and_then(|from| usize::try_from(from).ok());
            let inside = inside.and_then(|from| bytes.get(from..)?.get(..buf.len()));
            if let Some(inside) = inside {
                buf.copy_from_slice(inside);
                return Ok(());
            }
        }
        *lock(&self.missed) = Some(offset..end);
        Err(io::ErrorKind::NotFound.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file whose parts start at multiples of `at`.
    fn elf(at: usize) -> Vec<u8> {
        let strings = b"\0/nix/store/a/lib:$ORIGIN\0";
        let entries = [(29_u64, 1_u64), (5, 0x1000), (10, strings.len() as u64), (0, 0)];
        let dynamic = entries.map(|(tag, value)| [tag.to_le_bytes(), value.to_le_bytes()].concat());
        let parts =
            [(3, b"/nix/store/a/ld.so\0".to_vec()), (2, dynamic.concat()), (1, strings.to_vec())];
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(64, 0);
        (bytes[32], bytes[54], bytes[56]) = (64, 56, 3);
        for (number, (kind, content)) in parts.iter().enumerate() {
            let mut header = [0; 56];
            header[0] = *kind;
            header[8..16].copy_from_slice(&((at * (number + 1)) as u64).to_le_bytes());
            header[16..24].copy_from_slice(&0x1000_u64.to_le_bytes());
            header[32..40].copy_from_slice(&(content.len() as u64).to_le_bytes());
            bytes.extend(header);
        }
        for (number, (_, content)) in parts.iter().enumerate() {
            bytes.resize(at * (number + 1), 0);
            bytes.extend(content);
        }
        bytes
    }

    fn needs(bytes: &[u8], piece: usize) -> (Option<Needs>, usize) {
        let mut tap = Tap::default();
        tap.start();
        bytes.chunks(piece).for_each(|bytes| tap.piece(bytes));
        let mut again = 0;
        let needs = tap.needs(|sink| {
            again += 1;
            bytes.chunks(piece).for_each(sink);
            Ok::<_, ()>(())
        });
        (needs.unwrap(), again)
    }

    /// Wherever the parts of a file lie, they are found, and the file is read again only for those
    /// that are far.
    #[test]
    fn parts_are_found_wherever_they_lie() {
        let expected = Needs {
            interpreter: Some(b"/nix/store/a/ld.so".to_vec()),
            run_path: Some(b"/nix/store/a/lib:$ORIGIN".to_vec()),
        };
        for (at, rounds) in [(1 << 10, 0), (300 << 10, 0), (1 << 20, 2), (3 << 20, 2)] {
            let bytes = elf(at);
            for piece in [1 << 10, 4000, 256 << 10, usize::MAX] {
                let (found, again) = needs(&bytes, piece);
                assert_eq!(found.as_ref(), Some(&expected), "{at} {piece}");
                assert_eq!(again, rounds, "{at} {piece}");
            }
        }
    }

    #[test]
    fn other_files_need_nothing() {
        for bytes in [&b""[..], b"\x7fEL", b"#!/bin/sh", b"\x7fELF\x01\x01\x01"] {
            assert_eq!(needs(bytes, 1), (None, 0), "{bytes:?}");
        }
        // Cut anywhere, there is an answer.
        let whole = elf(1 << 10);
        for len in (4..whole.len()).step_by(7) {
            let (_, again) = needs(&whole[..len], 1 << 20);
            assert!(again <= MAX_AGAIN);
        }
    }
}
