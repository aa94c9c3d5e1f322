//! LZO1X, the stream without a header that `lzo1x_decompress_safe` reads. Linux,
//! Documentation/staging/lzo.rst.
//!
//! This is here because the crates for it panic on bytes that are no such stream, or take as much
//! memory as it asks for.

use super::DecodeError;

/// What the bytes lead to: `None` where they lead out of what was read or written.
type Step<T> = Option<T>;

/// Fills `out` from its start, and returns how many bytes it took.
pub(super) fn decompress(input: &[u8], out: &mut [u8]) -> Result<usize, DecodeError> {
    let mut stream = Stream { input, out, written: 0, full: false };
    match stream.all() {
        Some(()) if stream.input.is_empty() => Ok(stream.written),
        _ if stream.full => Err(DecodeError::TooLong),
        _ => Err(DecodeError::Corrupt),
    }
}

struct Stream<'a> {
    input: &'a [u8],
    out: &'a mut [u8],
    written: usize,
    /// More was to be written than there is room for.
    full: bool,
}

impl Stream<'_> {
    fn all(&mut self) -> Step<()> {
        // How many literals came last: 4 is "four or more".
        let mut state = 0;
        if let Some(first @ 18..) = self.input.first() {
            let literals = usize::from(first.wrapping_sub(17));
            self.byte()?;
            self.literals(literals)?;
            state = literals.min(4);
        }
        // Bounded: each instruction takes a byte of the input.
        loop {
            let instruction = self.byte()?;
            let (distance, len, next) = match instruction {
                64.. => {
                    let low = instruction.wrapping_shr(2) & 7;
                    let distance = self.byte()?.wrapping_shl(3).wrapping_add(low).wrapping_add(1);
                    (distance, instruction.wrapping_shr(5).wrapping_add(1), instruction & 3)
                }
                32.. => {
                    let len = self.len(instruction & 31, 31)?.wrapping_add(2);
                    let word = self.word()?;
                    (word.wrapping_shr(2).wrapping_add(1), len, word & 3)
                }
                16.. => {
                    let len = self.len(instruction & 7, 7)?.wrapping_add(2);
                    let word = self.word()?;
                    let high = (instruction & 8).wrapping_shl(11);
                    let distance = word.wrapping_shr(2).wrapping_add(high);
                    if distance == 0 {
                        return (len == 3).then_some(());
                    }
                    (distance.wrapping_add(0x4000), len, word & 3)
                }
                _ if state == 0 => {
                    let len = self.len(instruction, 15)?.wrapping_add(3);
                    self.literals(len)?;
                    state = 4;
                    continue;
                }
                _ => {
                    let (least, len) = if state == 4 { (2049, 3) } else { (1, 2) };
                    let high = self.byte()?.wrapping_shl(2);
                    let distance = instruction.wrapping_shr(2).wrapping_add(high);
                    (distance.wrapping_add(least), len, instruction & 3)
                }
            };
            self.repeat(distance, len)?;
            self.literals(next)?;
            state = next;
        }
    }

    fn byte(&mut self) -> Step<usize> {
        let (first, rest) = self.input.split_first()?;
        self.input = rest;
        Some(usize::from(*first))
    }

    fn word(&mut self) -> Step<usize> {
        let (first, rest) = self.input.split_first_chunk()?;
        self.input = rest;
        Some(usize::from(u16::from_le_bytes(*first)))
    }

    /// A length whose bits are all zero goes on in bytes, of which each zero counts 255.
    fn len(&mut self, bits: usize, base: usize) -> Step<usize> {
        if bits != 0 {
            return Some(bits);
        }
        let mut len = base;
        loop {
            match self.byte()? {
                0 => len = len.checked_add(255)?,
                last => return len.checked_add(last),
            }
        }
    }

    /// The next bytes that are to be written.
    fn room(&mut self, from: usize, len: usize) -> Step<&mut [u8]> {
        let end = self.written.checked_add(len)?;
        if end > self.out.len() {
            self.full = true;
            return None;
        }
        self.written = end;
        self.out.get_mut(from..end)
    }

    fn literals(&mut self, len: usize) -> Step<()> {
        let (literals, rest) = self.input.split_at_checked(len)?;
        self.room(self.written, len)?.copy_from_slice(literals);
        self.input = rest;
        Some(())
    }

    /// Writes what was written before once more: it may run into what it writes.
    fn repeat(&mut self, distance: usize, len: usize) -> Step<()> {
        let from = self.written.checked_sub(distance)?;
        let window = self.room(from, len)?;
        let mut filled = distance;
        while filled < window.len() {
            let len = filled.min(window.len().wrapping_sub(filled));
            window.copy_within(..len, filled);
            filled = filled.wrapping_add(len);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(input: &[u8], room: usize) -> Result<Vec<u8>, DecodeError> {
        let mut out = vec![0; room];
        let len = decompress(input, &mut out)?;
        out.truncate(len);
        Ok(out)
    }

    /// Each kind of instruction, put together by hand.
    #[test]
    fn instructions() {
        let end = [17, 0, 0];
        // Five literals; five bytes from a distance of 5; then the end.
        let stream = [&[22][..], b"abcde", &[0b1000_0000 | 4 << 2, 0], &end].concat();
        assert_eq!(text(&stream, 10).unwrap(), b"abcdeabcde");
        assert_eq!(text(&stream, 9), Err(DecodeError::TooLong));
        // One literal, 40 of the same, and two literals with the copy.
        let stream = [&[18][..], b"x", &[0b0010_0000, 7, 2, 0], b"yz", &end].concat();
        assert_eq!(text(&stream, 64).unwrap(), [&[b'x'; 41][..], b"yz"].concat());
        // A long run of literals; after it three bytes from 2049 and more.
        let long: Vec<u8> = (0..2100_u32).map(|at| (at * 7 / 3) as u8).collect();
        let zeros = (2100 - 18) / 255;
        let head = [&vec![0; zeros + 1][..], &[(2100 - 18 - zeros * 255) as u8]].concat();
        let stream = [&head[..], &long, &[1 << 2, 2], &end].concat();
        let at = 2100 - 2049 - 1 - 8;
        assert_eq!(text(&stream, 4096).unwrap(), [&long[..], &long[at..at + 3]].concat());
        // Two bytes from nearby after one literal.
        let stream = [&[18][..], b"q", &[0, 0], &end].concat();
        assert_eq!(text(&stream, 8).unwrap(), b"qqq");
    }

    #[test]
    fn what_is_no_stream() {
        for stream in [
            &b""[..],
            &[17, 0],
            &[17, 0, 0, 0],
            &[0, 0, 0, 0],
            &[64, 0, 17, 0, 0],
            &[22, 1, 2],
            &[16, 0, 0, 0, 0],
        ] {
            assert_eq!(text(stream, 64), Err(DecodeError::Corrupt), "{stream:?}");
        }
    }
}
