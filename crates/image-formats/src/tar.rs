//! Tar streams: v7, ustar, pax and GNU. POSIX.1-2017 pax, "ustar Interchange Format" and "pax
//! Interchange Format"; GNU tar's `tar.h`.
//!
//! [`Reader`] turns a stream into [`Item`]s: members with everything that extended headers say
//! applied, what could not be read, and how the archive ended. Any bytes are an archive: what is
//! wrong with them is told and not judged, and the reader goes on at the next header it finds.
//! Memory is bounded by [`MAX_EXTENDED_LEN`], whatever the stream says.

mod item;
pub mod number;
pub mod pax;
pub mod raw;

use std::{
    collections::VecDeque,
    io::{self, BufRead, Read},
};

use zerocopy::{FromBytes as _, IntoBytes as _};

use crate::units::ByteOffset;
pub use item::{
    Anomaly, AnomalyKind, Dialect, End, Global, Item, Kind, Member, Sparse, Truncated,
    TruncatedPart,
};
use pax::PaxRecord;
use raw::{BLOCK, GnuSparse, GnuTail, Header};

/// The most that the extended headers of one member, or all global ones, may hold in bytes.
/// Linux has paths of 4 KiB and extended attributes of 64 KiB.
pub const MAX_EXTENDED_LEN: u64 = 1 << 20;

/// Reads an archive from front to back.
///
/// After [`Item::Member`] the reader itself is a [`BufRead`] over the content of that member; it
/// need not be read. A content that the stream cuts short ends early, and [`End::truncated`]
/// tells so.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use image_formats::tar::{Item, Reader};
/// let stream = vec![0; 1024];
/// let mut reader = Reader::new(stream.as_slice());
/// while let Some(item) = reader.next_item()? {
///     if let Item::Member(member) = item {
///         let bytes = std::io::copy(&mut reader, &mut std::io::sink())?;
///         assert_eq!(bytes, member.size);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    /// Bytes taken from the source.
    position: u64,
    /// Bytes of the current content that were not read yet.
    remaining: u64,
    /// Bytes between the end of the current content and the next block.
    padding: u64,
    /// Items that were found before they were asked for.
    found: VecDeque<Item>,
    extended: Extended,
    global: Vec<PaxRecord>,
    /// Length of all global headers in bytes.
    global_len: u64,
    ended: bool,
}

/// The extended headers before a member.
#[derive(Debug, Default)]
struct Extended {
    /// Offset of the first one.
    start: Option<ByteOffset>,
    /// Length of all of them in bytes.
    len: u64,
    records: Option<Vec<PaxRecord>>,
    /// GNU's `L`.
    path: Option<Vec<u8>>,
    /// GNU's `K`.
    link: Option<Vec<u8>>,
}

impl<R: BufRead> Reader<R> {
    /// Reads the archive that starts at the first byte of `source`.
    pub fn new(source: R) -> Self {
        Self {
            source,
            position: 0,
            remaining: 0,
            padding: 0,
            found: VecDeque::new(),
            extended: Extended::default(),
            global: Vec::new(),
            global_len: 0,
            ended: false,
        }
    }

    /// The source, from which all was read that the archive has.
    pub fn into_inner(self) -> R {
        self.source
    }

    /// Offset of the next byte that is read from the source.
    pub fn position(&self) -> ByteOffset {
        ByteOffset(self.position)
    }

    /// Passes over what was not read of the current member and returns what comes next; `None`
    /// after [`Item::End`]. An error is the source's own.
    pub fn next_item(&mut self) -> io::Result<Option<Item>> {
        while self.found.is_empty() && !self.ended {
            if self.end_member()? {
                self.step()?;
            }
        }
        Ok(self.found.pop_front())
    }

    /// Reads one header and what belongs to it, or the end.
    fn step(&mut self) -> io::Result<()> {
        let at = ByteOffset(self.position);
        let mut block = [0; BLOCK];
        let have = self.fill(&mut block)?;
        if have < BLOCK_LEN {
            if have == 0 {
                self.push_end(at, 0, None, None);
            } else {
                self.end_if_short(TruncatedPart::Header, BLOCK_LEN, have);
            }
            return Ok(());
        }
        if is_zero(&block) {
            return self.end_at_zero(at);
        }
        match checked(&block) {
            Ok(header) => self.read_header(at, header),
            Err(kind) => self.resynchronize(at, kind),
        }
    }

    /// Passes over everything up to the next block that has a valid checksum, as libarchive does.
    /// Unlike libarchive it does not stop at a zero block, which content has more often.
    fn resynchronize(&mut self, from: ByteOffset, kind: AnomalyKind) -> io::Result<()> {
        // First of the zero blocks that directly precede the current one.
        let mut zeros: Option<u64> = None;
        let mut block = [0; BLOCK];
        loop {
            let at = self.position;
            let len = |end: u64| end.saturating_sub(from.0);
            if self.fill(&mut block)? < BLOCK_LEN {
                let end = zeros.unwrap_or(self.position);
                self.anomaly(from, len(end), kind);
                let zero_blocks = self.position.saturating_sub(end) / BLOCK_LEN;
                self.push_end(ByteOffset(end), zero_blocks, None, None);
                return Ok(());
            }
            if is_zero(&block) {
                zeros.get_or_insert(at);
                continue;
            }
            zeros = None;
            if let Ok(header) = checked(&block) {
                self.anomaly(from, len(at), kind);
                return self.read_header(ByteOffset(at), header);
            }
        }
    }

    fn read_header(&mut self, at: ByteOffset, header: Header) -> io::Result<()> {
        self.extended.start.get_or_insert(at);
        let extended = matches!(header.typeflag, b'x' | b'g' | b'L' | b'K');
        match number::unsigned(&header.size) {
            Some(size) if extended => self.read_extended(at, header.typeflag, size),
            _ if extended => self.resynchronize(at, AnomalyKind::Size),
            stored_size => self.read_member(at, header, stored_size),
        }
    }

    /// Reads the content of an extended header.
    fn read_extended(&mut self, at: ByteOffset, typeflag: u8, size: u64) -> io::Result<()> {
        let padded = size.checked_next_multiple_of(BLOCK_LEN);
        let Some(padded) = padded.filter(|len| self.position.checked_add(*len).is_some()) else {
            return self.resynchronize(at, AnomalyKind::Size);
        };
        let global = typeflag == b'g';
        let before = if global { self.global_len } else { self.extended.len };
        let len = before.saturating_add(size);
        if len > MAX_EXTENDED_LEN {
            self.anomaly(at, padded, AnomalyKind::ExtendedTooLong { size });
            self.extended.start = self.extended.start.filter(|start| *start != at);
            let skipped = self.skip(padded)?;
            self.end_if_short(TruncatedPart::Extended, padded, skipped);
            return Ok(());
        }
        let mut content = vec![0; usize::try_from(size).map_err(io::Error::other)?];
        let have = self.fill(&mut content)?;
        let padding = padded.saturating_sub(size);
        let skipped = if have == size { self.skip_padding(padding)? } else { 0 };
        if self.end_if_short(TruncatedPart::Extended, padded, have.saturating_add(skipped)) {
            return Ok(());
        }
        let data = ByteOffset(at.0.saturating_add(BLOCK_LEN));
        let repeated = match typeflag {
            b'g' => {
                self.global_len = len;
                let records = self.records(data, &content);
                self.global.extend(records.iter().cloned());
                self.extended.start = self.extended.start.filter(|start| *start != at);
                self.found.push_back(Item::Global(Global { offset: at, records }));
                return Ok(());
            }
            b'x' => {
                let records = self.records(data, &content);
                self.extended.records.replace(records).is_some()
            }
            b'L' => self.extended.path.replace(until_nul(&content)).is_some(),
            _ => self.extended.link.replace(until_nul(&content)).is_some(),
        };
        self.extended.len = len;
        if repeated {
            self.anomaly(at, 0, AnomalyKind::ExtendedRepeated { typeflag });
        }
        Ok(())
    }

    fn records(&mut self, data: ByteOffset, content: &[u8]) -> Vec<PaxRecord> {
        let (records, bad) = pax::records(content);
        if let Some(bad) = bad.and_then(|bad| u64::try_from(bad).ok()) {
            let at = ByteOffset(data.0.saturating_add(bad));
            self.anomaly(at, 0, AnomalyKind::PaxRecord);
        }
        records
    }

    fn read_member(
        &mut self,
        at: ByteOffset,
        header: Header,
        stored_size: Option<u64>,
    ) -> io::Result<()> {
        let extended = std::mem::take(&mut self.extended);
        let Some(mut member) = self.member(at, header, stored_size, extended) else {
            return self.resynchronize(at, AnomalyKind::Size);
        };
        if member.kind == Kind::File && header.typeflag == b'S' {
            let blocks = self.skip_sparse_map(&header)?;
            let Some(blocks) = blocks else { return Ok(()) };
            member.data_offset.0 = member.data_offset.0.saturating_add(blocks);
        }
        self.remaining = member.size;
        self.padding = member.size.wrapping_neg() % BLOCK_LEN;
        self.found.push_back(Item::Member(Box::new(member)));
        Ok(())
    }

    /// Everything about a member; `None` where its size is not known or its end beyond 64 bits.
    fn member(
        &mut self,
        at: ByteOffset,
        header: Header,
        stored_size: Option<u64>,
        extended: Extended,
    ) -> Option<Member> {
        let mut unreadable = Vec::new();
        let mut number = |name: &'static str, bytes: &[u8]| {
            number::field(bytes).unwrap_or_else(|| {
                unreadable.push(name);
                0
            })
        };
        let ustar = header.magic == Header::MAGIC_USTAR;
        let gnu = header.magic.iter().chain(&header.version).eq(&Header::MAGIC_GNU);
        let names = ustar || gnu;
        let is_pax = extended.records.is_some() || !self.global.is_empty();
        let device = matches!(header.typeflag, b'3' | b'4').then(|| {
            let major = number("devmajor", &header.devmajor);
            (unsigned(major), unsigned(number("devminor", &header.devminor)))
        });
        let mut member = Member {
            offset: extended.start.unwrap_or(at),
            header_offset: at,
            data_offset: ByteOffset(self.position),
            size: 0,
            stored_size: 0,
            kind: kind(header.typeflag),
            path: extended.path.unwrap_or_else(|| short_path(&header, ustar)),
            link: extended.link.unwrap_or_else(|| until_nul(&header.linkname)),
            mode: u32::try_from(number("mode", &header.mode) & 0o7777).unwrap_or_default(),
            uid: unsigned(number("uid", &header.uid)),
            gid: unsigned(number("gid", &header.gid)),
            mtime: number("mtime", &header.mtime),
            uname: if names { until_nul(&header.uname) } else { Vec::new() },
            gname: if names { until_nul(&header.gname) } else { Vec::new() },
            device,
            sparse: (header.typeflag == b'S').then(|| Sparse {
                in_header: true,
                real_size: GnuTail::ref_from_bytes(header.as_bytes())
                    .ok()
                    .and_then(|tail| number::unsigned(&tail.realsize))
                    .unwrap_or_default(),
            }),
            dialect: match (is_pax, ustar, gnu) {
                (true, ..) => Dialect::Pax,
                (_, true, _) => Dialect::Ustar,
                (_, _, true) => Dialect::Gnu,
                _ => Dialect::V7,
            },
            pax: extended.records.unwrap_or_default(),
            unreadable,
            header,
        };
        // POSIX: later records win, and those of the member over global ones.
        let mut size = stored_size;
        let mut good = true;
        for (key, value) in &self.global {
            good &= apply(&mut member, &mut size, key, value);
        }
        let records = std::mem::take(&mut member.pax);
        for (key, value) in &records {
            good &= apply(&mut member, &mut size, key, value);
        }
        member.pax = records;
        if !good {
            self.anomaly(member.offset, 0, AnomalyKind::PaxRecord);
        }
        if member.kind == Kind::File && member.path.ends_with(b"/") {
            member.kind = Kind::Directory;
        }
        member.stored_size = size?;
        // POSIX gives pax hard links a content, and all other kinds none. The typeflag decides:
        // v7's directories are files, whose content, if any, follows.
        let has_content = match kind(member.header.typeflag) {
            Kind::File | Kind::Other(_) => true,
            Kind::HardLink => is_pax,
            _ => false,
        };
        member.size = if has_content { member.stored_size } else { 0 };
        let padded = member.size.checked_next_multiple_of(BLOCK_LEN)?;
        self.position.checked_add(padded)?;
        Some(member)
    }

    /// Passes over the blocks between the header of a GNU sparse file and its content, and
    /// returns their length; `None` where the archive ends among them.
    fn skip_sparse_map(&mut self, header: &Header) -> io::Result<Option<u64>> {
        let tail = GnuTail::ref_from_bytes(header.as_bytes());
        let mut more = tail.is_ok_and(|tail| tail.isextended != 0);
        let start = self.position;
        let mut block = [0; BLOCK];
        // The stream bounds this loop, and no memory is kept.
        while more {
            let have = self.fill(&mut block)?;
            if self.end_if_short(TruncatedPart::Header, BLOCK_LEN, have) {
                return Ok(None);
            }
            more = GnuSparse::ref_from_bytes(&block).is_ok_and(|sparse| sparse.isextended != 0);
        }
        Ok(Some(self.position.saturating_sub(start)))
    }

    /// Passes over the rest of the current member. False: the archive ended there.
    fn end_member(&mut self) -> io::Result<bool> {
        let wanted = self.remaining.saturating_add(self.padding);
        let (content, padding) = (self.remaining, self.padding);
        self.remaining = 0;
        self.padding = 0;
        let mut have = self.skip(content)?;
        if have == content {
            have = have.saturating_add(self.skip_padding(padding)?);
        }
        Ok(!self.end_if_short(TruncatedPart::Content, wanted, have))
    }

    /// Reads to the end of the stream: the archive ended at the zero block `at`.
    fn end_at_zero(&mut self, at: ByteOffset) -> io::Result<()> {
        let mut garbage = None;
        loop {
            let bytes = fill_buf(&mut self.source)?;
            if bytes.is_empty() {
                break;
            }
            if garbage.is_none() {
                let first = bytes.iter().position(|b| *b != 0);
                let first = first.and_then(|first| u64::try_from(first).ok());
                garbage = first.map(|first| self.position.saturating_add(first));
            }
            let len = bytes.len();
            self.consumed(len);
        }
        let zeros = garbage.unwrap_or(self.position).saturating_sub(at.0);
        self.push_end(at, zeros / BLOCK_LEN, garbage.map(ByteOffset), None);
        Ok(())
    }

    /// Ends the archive if `have` bytes were read of a structure of `wanted`.
    fn end_if_short(&mut self, what: TruncatedPart, wanted: u64, have: u64) -> bool {
        let missing = wanted.saturating_sub(have);
        if missing > 0 {
            let truncated = Truncated { what, missing };
            self.push_end(ByteOffset(self.position), 0, None, Some(truncated));
        }
        missing > 0
    }

    fn push_end(
        &mut self,
        offset: ByteOffset,
        zero_blocks: u64,
        garbage: Option<ByteOffset>,
        truncated: Option<Truncated>,
    ) {
        self.ended = true;
        self.found.push_back(Item::End(End {
            offset,
            zero_blocks,
            garbage,
            truncated,
            dangling: self.extended.start,
            len: self.position,
        }));
    }

    fn anomaly(&mut self, offset: ByteOffset, len: u64, kind: AnomalyKind) {
        self.found.push_back(Item::Anomaly(Anomaly { offset, len, kind }));
    }

    /// Fills `buf` as far as the stream goes, and returns how far that was.
    fn fill(&mut self, mut buf: &mut [u8]) -> io::Result<u64> {
        let start = self.position;
        while !buf.is_empty() {
            let bytes = fill_buf(&mut self.source)?;
            if bytes.is_empty() {
                break;
            }
            let len = bytes.len().min(buf.len());
            let (to, rest) = buf.split_at_mut(len);
            to.copy_from_slice(bytes.get(..len).unwrap_or_default());
            buf = rest;
            self.consumed(len);
        }
        Ok(self.position.saturating_sub(start))
    }

    /// Passes over `len` bytes as far as the stream goes, and returns how far that was.
    fn skip(&mut self, len: u64) -> io::Result<u64> {
        let mut left = len;
        while left > 0 {
            let bytes = fill_buf(&mut self.source)?;
            let have = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if have == 0 {
                break;
            }
            self.consumed(have);
            left = left.saturating_sub(len_u64(have));
        }
        Ok(len.saturating_sub(left))
    }

    /// As [`skip`](Self::skip), for less than a block that should be zero.
    fn skip_padding(&mut self, len: u64) -> io::Result<u64> {
        let at = ByteOffset(self.position);
        let mut block = [0; BLOCK];
        let padding = usize::try_from(len).ok().and_then(|len| block.get_mut(..len));
        let have = self.fill(padding.unwrap_or_default())?;
        if !is_zero(&block) {
            self.anomaly(at, 0, AnomalyKind::Padding);
        }
        Ok(have)
    }

    fn consumed(&mut self, len: usize) {
        self.source.consume(len);
        self.position = self.position.saturating_add(len_u64(len));
    }
}

/// The content of the current member.
impl<R: BufRead> Read for Reader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let len = bytes.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..len), bytes.get(..len)) {
            to.copy_from_slice(from);
        }
        self.consume(len);
        Ok(len)
    }
}

/// The content of the current member, without a copy.
impl<R: BufRead> BufRead for Reader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.remaining == 0 {
            return Ok(&[]);
        }
        let bytes = self.source.fill_buf()?;
        let len = bytes.len().min(usize::try_from(self.remaining).unwrap_or(usize::MAX));
        Ok(bytes.get(..len).unwrap_or_default())
    }

    fn consume(&mut self, len: usize) {
        self.consumed(len);
        self.remaining = self.remaining.saturating_sub(len_u64(len));
    }
}

/// The size of a block, as a length in a stream.
const BLOCK_LEN: u64 = 512;

/// [`BufRead::fill_buf`], as often as it is interrupted.
fn fill_buf(source: &mut impl BufRead) -> io::Result<&[u8]> {
    while let Err(error) = source.fill_buf() {
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    source.fill_buf()
}

/// True if a reader takes these bytes, one block, for a header or for the end of an archive.
pub fn is_block(block: &[u8]) -> bool {
    block.first_chunk::<BLOCK>().is_some_and(|block| is_zero(block) || checked(block).is_ok())
}

fn len_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

fn is_zero(block: &[u8]) -> bool {
    block.iter().all(|byte| *byte == 0)
}

fn until_nul(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().take_while(|byte| *byte != 0).collect()
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

/// The header in a block, or why it is none.
fn checked(block: &[u8; BLOCK]) -> Result<Header, AnomalyKind> {
    let header: Header = zerocopy::transmute!(*block);
    let stored = number::field(&header.chksum);
    let [computed, signed] = checksums(&header);
    if stored.is_some_and(|stored| stored == i64::from(computed) || stored == i64::from(signed)) {
        return Ok(header);
    }
    Err(AnomalyKind::Checksum { stored, computed: computed.unsigned_abs() })
}

/// The sum of all bytes of a header, its checksum taken as spaces. POSIX sums unsigned bytes; some
/// old tars summed signed ones, and all readers take both.
fn checksums(header: &Header) -> [i32; 2] {
    let mut header = *header;
    header.chksum = *b"        ";
    let mut sums = [0_i32; 2];
    let [unsigned, signed] = &mut sums;
    for byte in header.as_bytes() {
        // 512 bytes do not overflow.
        *unsigned = unsigned.wrapping_add(i32::from(*byte));
        *signed = signed.wrapping_add(i32::from(byte.cast_signed()));
    }
    sums
}

fn kind(typeflag: u8) -> Kind {
    match typeflag {
        0 | b'0' | b'7' | b'S' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::CharDevice,
        b'4' => Kind::BlockDevice,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        other => Kind::Other(other),
    }
}

/// `prefix`/`name`, where the dialect has a prefix.
fn short_path(header: &Header, ustar: bool) -> Vec<u8> {
    let mut path = if ustar { until_nul(&header.prefix) } else { Vec::new() };
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend(until_nul(&header.name));
    path
}

/// Applies one pax record. False: its value cannot be read.
fn apply(member: &mut Member, size: &mut Option<u64>, key: &[u8], value: &[u8]) -> bool {
    let number = number::decimal(value);
    let natural = number.and_then(|number| u64::try_from(number).ok());
    if value.is_empty() {
        // The record takes an earlier one back. What the header says stands.
        return true;
    }
    let real_size = match key {
        b"path" | b"GNU.sparse.name" => {
            member.path = value.to_vec();
            return true;
        }
        b"linkpath" => {
            member.link = value.to_vec();
            return true;
        }
        b"uname" => {
            member.uname = value.to_vec();
            return true;
        }
        b"gname" => {
            member.gname = value.to_vec();
            return true;
        }
        b"size" => return natural.map(|natural| *size = Some(natural)).is_some(),
        b"uid" => return natural.map(|natural| member.uid = natural).is_some(),
        b"gid" => return natural.map(|natural| member.gid = natural).is_some(),
        b"mtime" => return number.map(|number| member.mtime = number).is_some(),
        b"GNU.sparse.realsize" | b"GNU.sparse.size" => natural,
        _ if key.starts_with(b"GNU.sparse.") => Some(0),
        _ => return true,
    };
    let sparse = member.sparse.get_or_insert(Sparse { in_header: false, real_size: 0 });
    sparse.real_size = sparse.real_size.max(real_size.unwrap_or_default());
    real_size.is_some()
}

#[cfg(test)]
mod tests;
