//! Gzip files. RFC 1952, over deflate, RFC 1951.
//!
//! [`Decoder`] turns a stream into [`Event`]s: uncompressed bytes, what each member says and what
//! was computed over it, and how the file ended. It does not judge, and it goes on where it can.

pub mod raw;

use std::io::{self, BufRead};

use flate2::{Decompress, FlushDecompress, Status};
use zerocopy::IntoBytes as _;

use crate::units::ByteOffset;
use raw::{Header, Trailer};

/// The longest file name or comment of a member that is read, in bytes. RFC 1952 sets none.
pub const MAX_TEXT_LEN: usize = 64 << 10;

/// What comes next in a gzip file.
#[derive(Clone, Debug)]
pub enum Event {
    /// The header of a member was read.
    Header(MemberHeader),
    /// So many bytes were written to the start of the buffer; never 0.
    Data(usize),
    /// The member ended.
    Member(MemberEnd),
    /// The file ended, or cannot be read further. Nothing comes after it.
    End(End),
}

/// The header of a member.
#[derive(Clone, Debug)]
pub struct MemberHeader {
    /// Its first byte.
    pub offset: ByteOffset,
    /// Its fixed part.
    pub header: Header,
    /// Length of the extra field in bytes, where there is one.
    pub extra_len: Option<u16>,
    /// The original file name, where there is one.
    pub name: Option<Vec<u8>>,
    /// The comment, where there is one.
    pub comment: Option<Vec<u8>>,
    /// `CRC16` as stored and as computed, where there is one.
    pub crc16: Option<(u16, u16)>,
}

/// What follows a member, and what it should say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberEnd {
    /// First byte of the header of the member.
    pub offset: ByteOffset,
    /// First byte of the trailer.
    pub trailer_offset: ByteOffset,
    /// `CRC32` as stored.
    pub stored_crc32: u32,
    /// The checksum of what was uncompressed.
    pub computed_crc32: u32,
    /// `ISIZE` as stored.
    pub stored_isize: u32,
    /// Length of what was uncompressed, in bytes.
    pub len: u64,
}

/// How a file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// After the trailer of a member; the bytes that follow, if any, are no member.
    Complete {
        /// First byte after the last member.
        offset: ByteOffset,
        /// How many bytes follow.
        trailing: u64,
        /// True if all of them are zero, as on tapes.
        zero: bool,
    },
    /// Within the structure named: the bytes ran out at the offset.
    Truncated(&'static str, ByteOffset),
    /// The deflate data at, or shortly before, the offset cannot be read.
    Corrupt(ByteOffset),
    /// The first bytes are no gzip header.
    NoHeader,
    /// The method of the member at the offset is not deflate.
    Method(ByteOffset),
    /// The file name or comment of the member at the offset is longer than [`MAX_TEXT_LEN`].
    LongText(ByteOffset),
}

/// Reads a gzip file from front to back.
#[derive(Debug)]
pub struct Decoder<R> {
    source: R,
    position: u64,
    state: State,
    inflate: Box<Decompress>,
    /// First byte of the current member, or after the last one.
    member: ByteOffset,
    crc32: crc32fast::Hasher,
    len: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Header { first: bool },
    Data,
    Ended,
}

/// Why a structure could not be read.
enum Stop {
    Io(io::Error),
    End(End),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl<R: BufRead> Decoder<R> {
    /// Reads the file that starts at the first byte of `source`.
    pub fn new(source: R) -> Self {
        Self {
            source,
            position: 0,
            state: State::Header { first: true },
            inflate: Box::new(Decompress::new(false)),
            member: ByteOffset(0),
            crc32: crc32fast::Hasher::new(),
            len: 0,
        }
    }

    /// How many bytes of the file were read.
    pub fn position(&self) -> ByteOffset {
        ByteOffset(self.position)
    }

    /// What comes next; uncompressed bytes go to `buf`, which must not be empty. `None` after
    /// [`Event::End`]. An error is the source's own.
    pub fn next_event(&mut self, buf: &mut [u8]) -> io::Result<Option<Event>> {
        let event = match self.state {
            State::Header { first } => self.read_header(first),
            State::Data => self.read_data(buf),
            State::Ended => return Ok(None),
        };
        match event {
            Ok(event) => Ok(Some(event)),
            Err(Stop::Io(error)) => Err(error),
            Err(Stop::End(end)) => {
                self.state = State::Ended;
                Ok(Some(Event::End(end)))
            }
        }
    }

    fn read_header(&mut self, first: bool) -> Result<Event, Stop> {
        const WHAT: &str = "a member header";
        self.member = ByteOffset(self.position);
        let mut id = [0; 2];
        let have = self.fill(&mut id)?;
        if id != Header::MAGIC {
            let zero = id == [0; 2];
            return Err(Stop::End(if first { End::NoHeader } else { self.trailing(have, zero)? }));
        }
        let mut fixed = [0; size_of::<Header>()];
        let (magic, rest) = fixed.split_at_mut(id.len());
        magic.copy_from_slice(&id);
        self.exactly(WHAT, rest)?;
        let header: Header = zerocopy::transmute!(fixed);
        if header.cm != Header::DEFLATE {
            return Err(Stop::End(End::Method(self.member)));
        }
        let mut crc = crc32fast::Hasher::new();
        crc.update(header.as_bytes());
        let mut extra_len = None;
        if header.flg & Header::FEXTRA != 0 {
            let mut xlen = [0; 2];
            self.exactly(WHAT, &mut xlen)?;
            crc.update(&xlen);
            let len = u16::from_le_bytes(xlen);
            let mut extra = vec![0; usize::from(len)];
            self.exactly(WHAT, &mut extra)?;
            crc.update(&extra);
            extra_len = Some(len);
        }
        let mut text = |flag| {
            if header.flg & flag == 0 { Ok(None) } else { self.text(WHAT, &mut crc).map(Some) }
        };
        let name = text(Header::FNAME)?;
        let comment = text(Header::FCOMMENT)?;
        let mut crc16 = None;
        if header.flg & Header::FHCRC != 0 {
            let mut stored = [0; 2];
            self.exactly(WHAT, &mut stored)?;
            let computed = u16::try_from(crc.finalize() & 0xffff).unwrap_or_default();
            crc16 = Some((u16::from_le_bytes(stored), computed));
        }
        self.inflate.reset(false);
        self.crc32.reset();
        self.len = 0;
        self.state = State::Data;
        let offset = self.member;
        Ok(Event::Header(MemberHeader { offset, header, extra_len, name, comment, crc16 }))
    }

    fn read_data(&mut self, buf: &mut [u8]) -> Result<Event, Stop> {
        loop {
            let input = self.source.fill_buf()?;
            let at_end = input.is_empty();
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(input, buf, FlushDecompress::None);
            let consumed = usize_len(self.inflate.total_in().saturating_sub(before_in));
            let produced = usize_len(self.inflate.total_out().saturating_sub(before_out));
            self.consume(consumed);
            let bytes = buf.get(..produced).unwrap_or_default();
            self.crc32.update(bytes);
            self.len = self.len.saturating_add(len_u64(produced));
            if produced > 0 {
                // An end or an error is met again at the next call, without a byte of output.
                return Ok(Event::Data(produced));
            }
            match status {
                Ok(Status::StreamEnd) => return self.read_trailer(),
                Ok(_) if at_end => {
                    let at = ByteOffset(self.position);
                    return Err(Stop::End(End::Truncated("compressed data", at)));
                }
                Ok(Status::BufError) if consumed == 0 => return Err(self.corrupt()),
                Ok(_) => {}
                Err(_) => return Err(self.corrupt()),
            }
        }
    }

    fn corrupt(&self) -> Stop {
        Stop::End(End::Corrupt(ByteOffset(self.position)))
    }

    fn read_trailer(&mut self) -> Result<Event, Stop> {
        let trailer_offset = ByteOffset(self.position);
        let mut trailer = [0; size_of::<Trailer>()];
        self.exactly("a member trailer", &mut trailer)?;
        let trailer: Trailer = zerocopy::transmute!(trailer);
        self.state = State::Header { first: false };
        Ok(Event::Member(MemberEnd {
            offset: self.member,
            trailer_offset,
            stored_crc32: trailer.crc32.get(),
            computed_crc32: self.crc32.clone().finalize(),
            stored_isize: trailer.isize.get(),
            len: self.len,
        }))
    }

    /// Counts what follows the last member. `have` bytes of it were read.
    fn trailing(&mut self, have: usize, mut zero: bool) -> io::Result<End> {
        let mut trailing = len_u64(have);
        loop {
            let bytes = self.source.fill_buf()?;
            if bytes.is_empty() {
                return Ok(End::Complete { offset: self.member, trailing, zero });
            }
            zero = zero && bytes.iter().all(|byte| *byte == 0);
            let len = bytes.len();
            trailing = trailing.saturating_add(len_u64(len));
            self.consume(len);
        }
    }

    /// A string ended by NUL.
    fn text(&mut self, what: &'static str, crc: &mut crc32fast::Hasher) -> Result<Vec<u8>, Stop> {
        let mut text = Vec::new();
        while text.len() <= MAX_TEXT_LEN {
            let mut byte = [0];
            self.exactly(what, &mut byte)?;
            crc.update(&byte);
            let [byte] = byte;
            if byte == 0 {
                return Ok(text);
            }
            text.push(byte);
        }
        Err(Stop::End(End::LongText(self.member)))
    }

    fn exactly(&mut self, what: &'static str, buf: &mut [u8]) -> Result<(), Stop> {
        if self.fill(buf)? == buf.len() {
            return Ok(());
        }
        Err(Stop::End(End::Truncated(what, ByteOffset(self.position))))
    }

    /// Fills `buf` as far as the source goes, and returns how far that was.
    fn fill(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0_usize;
        while let Some(to) = buf.get_mut(filled..).filter(|to| !to.is_empty()) {
            let bytes = self.source.fill_buf()?;
            let len = bytes.len().min(to.len());
            if len == 0 {
                break;
            }
            for (to, from) in to.iter_mut().zip(bytes) {
                *to = *from;
            }
            self.consume(len);
            filled = filled.saturating_add(len);
        }
        Ok(filled)
    }

    fn consume(&mut self, len: usize) {
        self.source.consume(len);
        self.position = self.position.saturating_add(len_u64(len));
    }
}

fn len_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// A length that was one of a buffer.
fn usize_len(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn read(file: &[u8]) -> (Vec<u8>, Vec<MemberEnd>, End) {
        let mut decoder = Decoder::new(file);
        let (mut raw, mut members, mut buf) = (Vec::new(), Vec::new(), [0; 64]);
        loop {
            match decoder.next_event(&mut buf).unwrap().unwrap() {
                Event::Header(_) => {}
                Event::Data(len) => raw.extend(&buf[..len]),
                Event::Member(member) => members.push(member),
                Event::End(end) => {
                    assert!(decoder.next_event(&mut buf).unwrap().is_none());
                    return (raw, members, end);
                }
            }
        }
    }

    #[test]
    fn members_follow_each_other() {
        let content: Vec<u8> = (0..2000_u32).flat_map(u32::to_le_bytes).collect();
        let file = [gzip(&content), gzip(b""), gzip(b"end")].concat();
        let (raw, members, end) = read(&file);
        assert_eq!(raw, [&content[..], b"end"].concat());
        assert_eq!(members.iter().map(|m| m.len).collect::<Vec<_>>(), [8000, 0, 3]);
        assert!(members.iter().all(|m| m.stored_crc32 == m.computed_crc32));
        let offset = ByteOffset(file.len() as u64);
        assert_eq!(end, End::Complete { offset, trailing: 0, zero: true });
    }

    #[test]
    fn every_cut_is_told() {
        let file = gzip(b"some content that is not long");
        for len in 0..file.len() {
            match read(&file[..len]).2 {
                End::NoHeader => assert!(len < 2),
                End::Truncated(_, at) => assert_eq!(at.0, len as u64),
                other => panic!("{len}: {other:?}"),
            }
        }
        let (_, _, end) = read(&[&file[..], b"\0\0"].concat());
        assert!(matches!(end, End::Complete { trailing: 2, zero: true, .. }));
        let (_, _, end) = read(&[&file[..], b"x"].concat());
        assert!(matches!(end, End::Complete { trailing: 1, zero: false, .. }));
    }

    #[test]
    fn optional_fields_are_read() {
        let plain = gzip(b"content");
        let mut head = plain[..10].to_vec();
        head[3] = Header::FEXTRA | Header::FNAME | Header::FCOMMENT | Header::FHCRC;
        head.extend(b"\x03\0abcname\0comment\0");
        let crc = crc32fast::hash(&head) & 0xffff;
        head.extend(&crc.to_le_bytes()[..2]);
        head.extend(&plain[10..]);
        let mut decoder = Decoder::new(&head[..]);
        let Some(Event::Header(header)) = decoder.next_event(&mut [0; 9]).unwrap() else {
            panic!("a header")
        };
        assert_eq!(header.name.as_deref(), Some(&b"name"[..]));
        assert_eq!(header.comment.as_deref(), Some(&b"comment"[..]));
        assert_eq!(header.extra_len, Some(3));
        assert!(header.crc16.is_some_and(|(stored, computed)| stored == computed));
        assert_eq!(read(&head).0, b"content");
    }
}
