//! What Linux finds when it replays a log: `do_one_pass` of fs/jbd2/recovery.c.
//!
//! A log ends at the first block that does not continue it, and nobody can say whether that was the
//! plan: it is no fault. A fault is what makes Linux give up, and then it does not mount.

use std::cmp::Ordering;

use image_formats::{
    bytes::ReadError,
    ext4::Block,
    jbd2::{
        Commit, Descriptor, Format, Header, Revoke, Superblock, compat, incompat,
        transaction_checksum,
    },
};

/// How many copies that cannot be replayed are remembered, until it is known whether a later
/// transaction takes them back.
const MAX_SUSPECTS: usize = 4096;

/// Reads a block of the journal, as counted from its start. False where there is none.
pub(super) type Read<'r> = dyn FnMut(u64, &mut [u8]) -> Result<bool, ReadError> + 'r;

/// Why Linux would give up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The block of the journal.
    pub(super) at: u64,
    /// What is wrong.
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(at: u64, message: String) -> Self {
        Self { at, message }
    }
}

/// What a walk ends with: a fault, or what was looked for.
type Walked<T> = Result<Result<T, Fault>, ReadError>;

/// A log that is to be replayed.
#[derive(Debug)]
pub(super) struct Log<'a> {
    superblock: &'a Superblock,
    format: Format,
    block_size: usize,
    /// Blocks of the journal.
    blocks: u64,
    /// The ring: its first block, and the one after its last.
    first: u64,
    end: u64,
    /// Blocks of the device, which are as many as those of the file system or more.
    device: u64,
}

/// Where a transaction that is not to be replayed begins, and what stops it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct End {
    /// The first transaction that is not replayed.
    pub(super) sequence: u32,
    /// Its commit block is there, and wrong.
    pub(super) failed: Option<Fault>,
}

/// A place in the log.
#[derive(Clone, Copy)]
struct Cursor {
    at: u64,
    sequence: u32,
}

impl<'a> Log<'a> {
    /// The log of a journal of `blocks` blocks, whose superblock was found sound: so it has room for
    /// a ring.
    pub(super) fn new(
        superblock: &'a Superblock,
        block_size: u32,
        blocks: u32,
        device: u64,
    ) -> Self {
        let raw = &superblock.raw;
        let blocks = blocks.min(raw.s_maxlen.get());
        Self {
            superblock,
            format: superblock.format(),
            block_size: block_size as usize,
            blocks: u64::from(blocks),
            first: u64::from(raw.s_first.get()),
            end: u64::from(blocks.saturating_sub(superblock.fast_commit_blocks())),
            device,
        }
    }

    fn ring(&self) -> u64 {
        self.end.saturating_sub(self.first)
    }

    /// `wrap`: once, as Linux does.
    fn after(&self, at: u64, count: u64) -> u64 {
        let next = at.saturating_add(count);
        if next >= self.end { next - self.ring() } else { next }
    }

    fn start(&self) -> Cursor {
        let raw = &self.superblock.raw;
        Cursor { at: u64::from(raw.s_start.get()), sequence: raw.s_sequence.get() }
    }

    fn read(&self, read: &mut Read<'_>, at: u64, block: &mut [u8]) -> Walked<()> {
        if at < self.blocks && read(at, block)? {
            return Ok(Ok(()));
        }
        let message = format!("the log leads to block {at} of {}", self.blocks);
        Ok(Err(Fault::new(at, message)))
    }

    /// The block at the cursor, if it continues the log, and puts the cursor after it and its
    /// copies.
    fn step(
        &self,
        read: &mut Read<'_>,
        cursor: &mut Cursor,
        block: &mut [u8],
    ) -> Walked<Option<Header>> {
        if let Err(fault) = self.read(read, cursor.at, block)? {
            return Ok(Err(fault));
        }
        let header = Header::new(block).filter(|header| header.sequence == cursor.sequence);
        let Some(header) = header else { return Ok(Ok(None)) };
        cursor.at = self.after(cursor.at, 1);
        match header.kind {
            Header::DESCRIPTOR => cursor.at = self.after(cursor.at, self.copies(block)),
            Header::COMMIT => cursor.sequence = cursor.sequence.wrapping_add(1),
            Header::REVOKE => {}
            _ => return Ok(Ok(None)),
        }
        Ok(Ok(Some(header)))
    }

    fn copies(&self, block: &[u8]) -> u64 {
        Descriptor::new(block, self.format).tags().count() as u64
    }

    /// Looks for the end of the log: `PASS_SCAN`.
    pub(super) fn scan(&self, read: &mut Read<'_>) -> Walked<End> {
        let mut block = vec![0; self.block_size];
        let mut copy = vec![0; self.block_size];
        let mut cursor = self.start();
        let sums = self.superblock.compat(compat::CHECKSUM);
        let asynchronous = self.superblock.incompat(incompat::ASYNC_COMMIT);
        let mut sum = !0;
        // The first block of a transaction whose checksum is wrong: it may be older than the log.
        let mut stale: Option<u64> = None;
        let mut last_time = 0;
        let mut end: Option<u32> = None;
        // Blocks that were read, and those with the copies between them.
        let (mut steps, mut taken) = (0_u64, 0_u64);
        loop {
            let here = cursor;
            let header = match self.step(read, &mut cursor, &mut block)? {
                Ok(Some(header)) => header,
                Ok(None) => break,
                Err(fault) => return Ok(Err(fault)),
            };
            steps += 1;
            taken += 1;
            if steps > self.ring() {
                let message = format!("transaction {} leads around itself", header.sequence);
                return Ok(Err(Fault::new(here.at, message)));
            }
            match header.kind {
                Header::DESCRIPTOR => {
                    let copies = self.copies(&block);
                    taken += copies;
                    if self.is_damaged(&block) {
                        stale.get_or_insert(here.at);
                    }
                    if sums && stale.is_none() && end.is_none() && taken <= self.ring() {
                        sum = transaction_checksum(sum, &block);
                        let mut at = self.after(here.at, 1);
                        for _ in 0..copies {
                            if let Err(fault) = self.read(read, at, &mut copy)? {
                                return Ok(Err(fault));
                            }
                            sum = transaction_checksum(sum, &copy);
                            at = self.after(at, 1);
                        }
                        cursor.at = at;
                    }
                }
                Header::REVOKE if self.is_damaged(&block) => {
                    stale.get_or_insert(here.at);
                }
                Header::COMMIT => {
                    let Some(commit) = Commit::new(&block) else { break };
                    let time = commit.raw.h_commit_sec.get();
                    if let Some(at) = stale {
                        if time < last_time {
                            break;
                        }
                        let message = format!(
                            "transaction {} has a block whose checksum is wrong",
                            header.sequence
                        );
                        return Ok(Err(Fault::new(at, message)));
                    }
                    let failed = || {
                        let which = end.unwrap_or(header.sequence);
                        let message = format!("the checksum of transaction {which} is wrong");
                        Fault::new(here.at, message)
                    };
                    if sums && let Some(sequence) = end {
                        return Ok(Ok(End { sequence, failed: Some(failed()) }));
                    }
                    let damaged = if sums {
                        !is_committed(&commit, sum)
                    } else {
                        self.format.has_checksums() && {
                            let (stored, computed) = self.format.commit_checksum(&block);
                            stored != computed
                        }
                    };
                    if damaged {
                        if time < last_time {
                            break;
                        }
                        if !asynchronous {
                            let end = End { sequence: header.sequence, failed: Some(failed()) };
                            return Ok(Ok(end));
                        }
                        end = Some(header.sequence);
                    } else {
                        sum = !0;
                    }
                    if taken > self.ring() {
                        let message = format!(
                            "up to transaction {} it takes {taken} blocks of {}",
                            header.sequence,
                            self.ring()
                        );
                        return Ok(Err(Fault::new(here.at, message)));
                    }
                    last_time = time;
                }
                _ => {}
            }
        }
        Ok(Ok(End { sequence: end.unwrap_or(cursor.sequence), failed: None }))
    }

    /// True for a descriptor or revoke block whose checksum is wrong.
    fn is_damaged(&self, block: &[u8]) -> bool {
        let (stored, computed) = self.format.block_checksum(block);
        self.format.has_checksums() && stored != computed
    }

    /// Judges the copies of all transactions before `end`, as if they were put into place:
    /// `PASS_REVOKE` and `PASS_REPLAY`.
    pub(super) fn replay(&self, read: &mut Read<'_>, end: u32) -> Result<Vec<Fault>, ReadError> {
        let mut block = vec![0; self.block_size];
        let mut copy = vec![0; self.block_size];
        let mut faults = Vec::new();
        let mut suspects: Vec<Suspect> = Vec::new();
        let mut revokes = false;
        let mut cursor = self.start();
        let mut steps = 0_u64;
        // Bounded: a log whose start is not in the ring can lead elsewhere than the scan went.
        while is_before(cursor.sequence, end) && steps <= self.ring() {
            steps += 1;
            let here = cursor;
            let header = match self.step(read, &mut cursor, &mut block)? {
                Ok(Some(header)) => header,
                Ok(None) => break,
                Err(fault) => {
                    faults.push(fault);
                    break;
                }
            };
            if header.kind == Header::REVOKE {
                let revoke = Revoke::new(&block, self.format);
                if revoke.count() as usize > revoke.room() {
                    let (count, room) = (revoke.count(), revoke.room());
                    let message = format!("a revoke block has {count} bytes, of {room}");
                    faults.push(Fault::new(here.at, message));
                    // Linux ends here.
                    return Ok(faults);
                }
                revokes = true;
            }
            if header.kind != Header::DESCRIPTOR {
                continue;
            }
            let mut at = self.after(here.at, 1);
            for tag in Descriptor::new(&block, self.format).tags() {
                if let Err(fault) = self.read(read, at, &mut copy)? {
                    faults.push(fault);
                    return Ok(faults);
                }
                let computed = self.format.tag_checksum(header.sequence, &copy);
                let damaged = self.format.has_checksums() && tag.checksum != computed;
                if (damaged || tag.block.0 >= self.device) && suspects.len() < MAX_SUSPECTS {
                    let sequence = header.sequence;
                    suspects.push(Suspect { block: tag.block, sequence, at, damaged });
                }
                at = self.after(at, 1);
            }
        }
        if revokes && !suspects.is_empty() {
            self.take_back(read, end, &mut suspects)?;
        }
        suspects.sort_by_key(|suspect| (suspect.at, suspect.sequence));
        faults.extend(suspects.into_iter().map(|suspect| {
            let Suspect { block, sequence, at, damaged } = suspect;
            let message = if damaged {
                format!("the copy of {block} in transaction {sequence} has a wrong checksum")
            } else {
                format!("transaction {sequence} writes {block}, of {} there are", self.device)
            };
            Fault::new(at, message)
        }));
        Ok(faults)
    }

    /// Removes those copies that a later transaction revokes, or the same.
    fn take_back(
        &self,
        read: &mut Read<'_>,
        end: u32,
        suspects: &mut Vec<Suspect>,
    ) -> Result<(), ReadError> {
        suspects.sort_by_key(|suspect| suspect.block);
        // The last transaction that takes a block back, at the first suspect that has the block.
        let mut last: Vec<Option<u32>> = vec![None; suspects.len()];
        let mut block = vec![0; self.block_size];
        let mut cursor = self.start();
        let mut steps = 0_u64;
        // Bounded as above.
        while is_before(cursor.sequence, end) && steps <= self.ring() {
            steps += 1;
            let Ok(Some(header)) = self.step(read, &mut cursor, &mut block)? else { break };
            if header.kind != Header::REVOKE {
                continue;
            }
            for number in Revoke::new(&block, self.format).blocks() {
                let first = suspects.partition_point(|suspect| suspect.block < number);
                if suspects.get(first).is_some_and(|suspect| suspect.block == number)
                    && last[first].is_none_or(|before| is_before(before, header.sequence))
                {
                    last[first] = Some(header.sequence);
                }
            }
        }
        let mut last = last.into_iter();
        let mut same: Option<(Block, Option<u32>)> = None;
        suspects.retain(|suspect| {
            let here = last.next().flatten();
            let (_, revoked) = match same {
                Some(group) if group.0 == suspect.block => group,
                _ => *same.insert((suspect.block, here)),
            };
            revoked.is_none_or(|sequence| is_before(sequence, suspect.sequence))
        });
        Ok(())
    }

    /// The blocks behind the ring for fast commits.
    pub(super) fn fast_commits(&self) -> std::ops::Range<u64> {
        // Linux starts with the second.
        let first =
            if self.superblock.fast_commit_blocks() == 0 { self.blocks } else { self.end + 1 };
        first..self.blocks
    }
}

/// A copy that cannot be replayed, if nobody takes it back.
struct Suspect {
    block: Block,
    sequence: u32,
    at: u64,
    damaged: bool,
}

/// `tid_geq`, the other way round: numbers of transactions go around.
fn is_before(sequence: u32, other: u32) -> bool {
    sequence.wrapping_sub(other).cast_signed().cmp(&0) == Ordering::Less
}

/// True if the crc32 of a transaction is right, or was never computed.
fn is_committed(commit: &Commit, sum: u32) -> bool {
    let raw = &commit.raw;
    match (raw.h_chksum_type, raw.h_chksum_size) {
        (0, 0) => commit.checksum() == 0,
        kind => kind == (Commit::CRC32, Commit::CRC32_SIZE) && commit.checksum() == sum,
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::IntoBytes as _;

    use super::*;

    const SIZE: usize = 1024;

    /// A journal of 1100 blocks in memory, whose log starts at block 1 with transaction 7.
    struct Journal {
        bytes: Vec<u8>,
        reads: u64,
    }

    impl Journal {
        const BLOCKS: u32 = 1100;

        fn new() -> Self {
            let mut journal = Self { bytes: vec![0; SIZE * Self::BLOCKS as usize], reads: 0 };
            let mut superblock = Superblock::new(&journal.bytes).unwrap();
            let raw = &mut superblock.raw;
            raw.s_header.h_blocktype.set(Header::SUPERBLOCK_V2);
            raw.s_maxlen.set(Self::BLOCKS);
            raw.s_first.set(1);
            raw.s_start.set(1);
            raw.s_sequence.set(7);
            journal.bytes[..SIZE].copy_from_slice(superblock.raw.as_bytes());
            journal
        }

        fn block(&mut self, at: u32) -> &mut [u8] {
            &mut self.bytes[at as usize * SIZE..][..SIZE]
        }

        fn header(&mut self, at: u32, kind: u32, sequence: u32) {
            for (part, number) in [Header::MAGIC, kind, sequence].into_iter().enumerate() {
                self.block(at)[part * 4..][..4].copy_from_slice(&number.to_be_bytes());
            }
        }

        /// A descriptor of `count` copies, all of this block.
        fn descriptor(&mut self, at: u32, sequence: u32, count: usize, block: u32) {
            self.header(at, Header::DESCRIPTOR, sequence);
            for index in 0..count {
                let tag = &mut self.block(at)[12 + index * 8..][..8];
                tag[..4].copy_from_slice(&block.to_be_bytes());
                tag[7] = if index + 1 == count { 10 } else { 2 };
            }
        }

        fn revoke(&mut self, at: u32, sequence: u32, block: u32) {
            self.header(at, Header::REVOKE, sequence);
            self.block(at)[12..16].copy_from_slice(&20_u32.to_be_bytes());
            self.block(at)[16..20].copy_from_slice(&block.to_be_bytes());
        }

        fn judge(&mut self) -> (Option<u32>, Vec<String>) {
            let superblock = Superblock::new(&self.bytes).unwrap();
            let log = Log::new(&superblock, SIZE as u32, Self::BLOCKS, 5000);
            let (bytes, reads) = (&self.bytes, &mut self.reads);
            let mut read = |at: u64, block: &mut [u8]| {
                *reads += 1;
                block.copy_from_slice(&bytes[at as usize * SIZE..][..SIZE]);
                Ok(true)
            };
            match log.scan(&mut read).unwrap() {
                Err(fault) => (None, vec![fault.message]),
                Ok(end) => {
                    let mut faults: Vec<_> = end.failed.into_iter().collect();
                    faults.extend(log.replay(&mut read, end.sequence).unwrap());
                    (Some(end.sequence), faults.into_iter().map(|fault| fault.message).collect())
                }
            }
        }
    }

    #[test]
    fn a_log_ends_where_nothing_continues_it() {
        let mut journal = Journal::new();
        assert_eq!(journal.judge(), (Some(7), Vec::new()));
        journal.descriptor(1, 7, 2, 4000);
        // Without its commit block a transaction is none.
        assert_eq!(journal.judge(), (Some(7), Vec::new()));
        journal.header(4, Header::COMMIT, 7);
        journal.descriptor(5, 9, 2, 9999);
        journal.header(8, Header::COMMIT, 9);
        assert_eq!(journal.judge(), (Some(8), Vec::new()));
    }

    #[test]
    fn numbers_of_transactions_go_around() {
        let mut journal = Journal::new();
        journal.block(0)[0x18..0x1c].fill(0xff);
        journal.descriptor(1, u32::MAX, 1, 4000);
        journal.header(3, Header::COMMIT, u32::MAX);
        journal.descriptor(4, 0, 1, 4000);
        journal.header(6, Header::COMMIT, 0);
        assert_eq!(journal.judge(), (Some(1), Vec::new()));
    }

    #[test]
    fn a_copy_that_belongs_nowhere_is_a_fault_unless_it_is_revoked() {
        let mut journal = Journal::new();
        journal.descriptor(1, 7, 1, 9999);
        journal.header(3, Header::COMMIT, 7);
        let (end, faults) = journal.judge();
        assert_eq!((end, faults.len()), (Some(8), 1));
        // Before the copy nothing is revoked, from its own transaction on it is.
        journal.revoke(4, 8, 9998);
        journal.header(5, Header::COMMIT, 8);
        assert_eq!(journal.judge().1.len(), 1);
        journal.revoke(4, 8, 9999);
        assert_eq!(journal.judge(), (Some(9), Vec::new()));
    }

    /// Linux goes around for ever; who judges does not, and reads each block once.
    #[test]
    fn a_log_that_leads_around_itself_ends() {
        let mut journal = Journal::new();
        // Descriptors of 99 copies each, eleven times, are all blocks of the ring but one.
        for index in 0..11 {
            journal.descriptor(1 + index * 100, 7, 99, 4000);
        }
        let (end, faults) = journal.judge();
        assert_eq!(end, Some(7), "{faults:?}");
        // The last one leads back to the first.
        journal.descriptor(1001, 7, 98, 4000);
        let (end, faults) = journal.judge();
        assert_eq!((end, faults), (None, vec!["transaction 7 leads around itself".to_owned()]));
        assert!(journal.reads < 10_000);
    }

    #[test]
    fn hostile_numbers_do_not_overflow() {
        for at in (0x10..0x24).chain(0x54..0x58) {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                for features in [0, 0x20, 0x38] {
                    let mut journal = Journal::new();
                    journal.descriptor(1, 7, 90, 4000);
                    journal.header(92, Header::COMMIT, 7);
                    journal.block(0)[at] = value;
                    journal.block(0)[0x2b] = features;
                    journal.judge();
                }
            }
        }
    }
}
