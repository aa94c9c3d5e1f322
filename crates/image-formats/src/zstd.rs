//! Frames of a zstd file, RFC 8878 §3.1: where they are and what their headers say. Nothing is
//! uncompressed.

use crate::units::ByteOffset;

/// `Magic_Number` of a frame, as it lies in the file.
pub const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// `Magic_Number` of a skippable frame, as it lies in the file, but for its first byte, which is
/// 0x50 to 0x5f. pzstd begins every file with such a frame.
const SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];
/// `Magic_Number` and `Frame_Header_Descriptor`.
const DESCRIPTOR_END: usize = 5;
/// `Magic_Number` and `Frame_Size` of a skippable frame.
const SKIPPABLE_HEADER: usize = 8;
/// `Content_Checksum`.
const CHECKSUM: u64 = 4;

/// True if a zstd file starts with these bytes, be it with frames that hold no data.
pub fn is_zstd(mut head: &[u8]) -> bool {
    loop {
        if head.starts_with(&MAGIC) {
            return true;
        }
        let Some((len, _)) = skippable(head) else { return false };
        let next = usize::try_from(len).ok().and_then(|len| len.checked_add(SKIPPABLE_HEADER));
        match next.and_then(|next| head.get(next..)) {
            Some(rest) if !rest.is_empty() => head = rest,
            // What follows is not seen from here.
            _ => return true,
        }
    }
}

/// `Frame_Size` of a skippable frame, and what follows its header.
fn skippable(head: &[u8]) -> Option<(u32, &[u8])> {
    let (magic, rest) = head.split_first_chunk::<4>()?;
    let [first, others @ ..] = magic;
    if others != &SKIPPABLE || !(0x50..=0x5f).contains(first) {
        return None;
    }
    let (len, rest) = rest.split_first_chunk()?;
    Some((u32::from_le_bytes(*len), rest))
}

/// `Frame_Header`, §3.1.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Where the frame begins in the file.
    pub at: ByteOffset,
    /// `Frame_Content_Size`; `None` where the header has none.
    pub content_size: Option<u64>,
    /// `Content_Checksum_flag`.
    pub checksum: bool,
}

/// Finds the frames of a file whose bytes go by.
#[derive(Debug, Default)]
pub struct Frames {
    state: State,
    /// Bytes that went by.
    at: u64,
    /// The header that is not complete.
    header: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// A header of a frame.
    #[default]
    Frame,
    /// A header of a block, `Block_Header`.
    Block { checksum: bool },
    /// So many bytes, and then what is in the box.
    Skip { left: u64, then: Next },
    /// What is here is no frame.
    Lost,
}

#[derive(Clone, Copy, Debug)]
enum Next {
    Frame,
    Block { checksum: bool },
}

impl Frames {
    /// Takes the next bytes of the file, and tells of each frame whose header ends in them.
    pub fn feed(&mut self, mut bytes: &[u8], mut found: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            match self.state {
                State::Lost => return,
                State::Skip { left, then } => {
                    let here = u64::try_from(bytes.len()).unwrap_or(u64::MAX).min(left);
                    let rest = usize::try_from(here).ok().and_then(|here| bytes.get(here..));
                    bytes = rest.unwrap_or_default();
                    self.at = self.at.saturating_add(here);
                    let left = left.saturating_sub(here);
                    self.state = match then {
                        _ if left > 0 => State::Skip { left, then },
                        Next::Frame => State::Frame,
                        Next::Block { checksum } => State::Block { checksum },
                    };
                }
                State::Frame | State::Block { .. } => {
                    let Some((first, rest)) = bytes.split_first() else { return };
                    bytes = rest;
                    self.header.push(*first);
                    self.at = self.at.saturating_add(1);
                    let next = match self.state {
                        State::Block { checksum } => self.block(checksum),
                        _ => self.frame(&mut found),
                    };
                    if let Some(next) = next {
                        self.state = next;
                        self.header.clear();
                    }
                }
            }
        }
    }

    /// What follows the header, once it is complete.
    fn frame(&self, found: &mut impl FnMut(Frame)) -> Option<State> {
        let header = self.header.as_slice();
        if let Some((len, _)) = skippable(header) {
            return Some(State::Skip { left: len.into(), then: Next::Frame }.or_next());
        }
        let descriptor = *header.get(4)?;
        if !header.starts_with(&MAGIC) {
            let may_be = header.len() < SKIPPABLE_HEADER && header.get(1..4) == Some(&SKIPPABLE);
            return (!may_be).then_some(State::Lost);
        }
        let single_segment = descriptor & 0x20 != 0;
        let checksum = descriptor & 0x04 != 0;
        let window_descriptor = usize::from(!single_segment);
        let dictionary_id = match descriptor & 3 {
            0 => 0,
            1 => 1,
            2 => 2,
            _ => 4,
        };
        let size_len = match descriptor >> 6 {
            0 => usize::from(single_segment),
            1 => 2,
            2 => 4,
            _ => 8,
        };
        let size_at =
            DESCRIPTOR_END.saturating_add(window_descriptor).saturating_add(dictionary_id);
        let end = size_at.saturating_add(size_len);
        let size = match header.get(size_at..end)? {
            [] => None,
            bytes => {
                let value = bytes.iter().rev().fold(0, |value: u64, b| value << 8 | u64::from(*b));
                // "When FCS_Field_Size is 2, the offset of 256 is added."
                Some(if size_len == 2 { value.saturating_add(256) } else { value })
            }
        };
        let len = u64::try_from(end).unwrap_or(u64::MAX);
        let at = ByteOffset(self.at.saturating_sub(len));
        found(Frame { at, content_size: size, checksum });
        Some(State::Block { checksum })
    }

    /// What follows the header of a block, once it is complete.
    fn block(&self, checksum: bool) -> Option<State> {
        let [a, b, c] = self.header.as_slice().try_into().ok()?;
        let bits = u32::from_le_bytes([a, b, c, 0]);
        let content = match bits >> 1 & 3 {
            // Raw_Block, Compressed_Block.
            0 | 2 => u64::from(bits >> 3),
            // RLE_Block.
            1 => 1,
            _ => return Some(State::Lost),
        };
        let is_last = bits & 1 != 0;
        let (left, then) = match (is_last, checksum) {
            (false, _) => (content, Next::Block { checksum }),
            (true, true) => (content.saturating_add(CHECKSUM), Next::Frame),
            (true, false) => (content, Next::Frame),
        };
        Some(State::Skip { left, then }.or_next())
    }
}

impl State {
    /// Nothing to skip is not a state.
    fn or_next(self) -> Self {
        match self {
            Self::Skip { left: 0, then: Next::Frame } => Self::Frame,
            Self::Skip { left: 0, then: Next::Block { checksum } } => Self::Block { checksum },
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(file: &[u8], pieces: usize) -> Vec<Frame> {
        let mut frames = Frames::default();
        let mut found = Vec::new();
        file.chunks(pieces).for_each(|piece| frames.feed(piece, |frame| found.push(frame)));
        found
    }

    /// One raw block, then one of run length, and a checksum.
    fn frame(descriptor: u8, fields: &[u8]) -> Vec<u8> {
        let blocks = [2 << 3, 0, 0, b'a', b'b', 1 | 1 << 1 | 5 << 3, 0, 0, b'c'];
        let sum: &[u8] = if descriptor & 4 == 0 { b"" } else { b"sum!" };
        [&MAGIC[..], &[descriptor], fields, &blocks, sum].concat()
    }

    #[test]
    fn headers_of_all_shapes_are_found() {
        let list = [
            (frame(0x20, &[7]), Some(7), false),
            (frame(0x00, &[0x50]), None, false),
            (frame(0x04, &[0x50]), None, true),
            (frame(0x47, &[0x50, 1, 2, 3, 4, 1, 1]), Some(256 + 257), true),
            (frame(0xa1, &[9, 1, 0, 0, 0x80]), Some(0x8000_0001), false),
            (frame(0xe4, &[0, 0, 0, 0, 0, 0, 0, 1]), Some(1 << 56), true),
        ];
        let skippable = [&[0x5e, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
        let empty = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0];
        let mut file = skippable.clone();
        let mut expected = Vec::new();
        for (frame, content_size, checksum) in list {
            let at = ByteOffset(file.len().try_into().unwrap());
            expected.push(Frame { at, content_size, checksum });
            file.extend(frame);
            file.extend(empty);
        }
        for pieces in [1, 2, 3, 7, file.len()] {
            assert_eq!(frames(&file, pieces), expected);
        }
        assert!(is_zstd(&file) && is_zstd(&skippable) && is_zstd(&MAGIC));
        assert!(is_zstd(&[&empty, &MAGIC[..]].concat()));
        assert!(!is_zstd(b"") && !is_zstd(b"MZ") && !is_zstd(&MAGIC[..3]));
        assert!(!is_zstd(&[&empty[..], b"\x04\x22\x4d\x18"].concat()), "lz4");
    }

    #[test]
    fn garbage_is_not_a_frame() {
        let good = frame(0x20, &[7]);
        for garbage in [&b"garbage and so on"[..], &[0; 100], &good[1..]] {
            assert_eq!(frames(&[&good, garbage, &good].concat(), 5).len(), 1);
        }
        let mut reserved = good.clone();
        reserved[6] |= 3 << 1;
        assert_eq!(frames(&[reserved, good].concat(), 100).len(), 1);
    }
}
