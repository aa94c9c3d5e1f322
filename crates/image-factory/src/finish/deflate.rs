//! Finds its way through a DEFLATE stream, RFC 1951, so that streams can be joined.
//!
//! The compressor makes a complete stream of each chunk: its last block says that it is the last
//! one, and it ends somewhere inside a byte. To be followed by the next chunk, that one bit must be
//! cleared and the end brought to a byte boundary. Both places are known only to who has read every
//! symbol, because blocks carry no length. [`walk`] reads the symbols and nothing else: it keeps no
//! window and produces no bytes, it only counts how many there would be.
//!
//! zlib's `examples/gzjoin.c` does the same with `inflate(Z_BLOCK)`, and pays for the output.

use std::fmt;

/// Distance in bits from the first bit of a DEFLATE stream; bits of a byte count from the lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BitOffset(pub(crate) u64);

impl fmt::Display for BitOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}.{}", self.0 / 8, self.0 % 8)
    }
}

/// What a walk through a complete stream finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The bit BFINAL of the last block: the only one that is set.
    pub(crate) last_block: BitOffset,
    /// The first bit after the last block.
    pub(crate) end: BitOffset,
    /// How many bytes the stream inflates to.
    pub(crate) output: u64,
}

/// The stream is not as RFC 1951 says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("DEFLATE stream: {defect} at {at}")]
pub(crate) struct Malformed {
    /// About where: the bit at which the walk stopped.
    pub(crate) at: BitOffset,
    /// What is wrong there.
    pub(crate) defect: &'static str,
}

/// An empty stored block without its three header bits: LEN and NLEN, RFC 1951 §3.2.4.
const EMPTY_STORED: [u8; 4] = [0, 0, 0xff, 0xff];

/// An empty block with fixed codes that is the last of its stream: BFINAL, BTYPE 01, and the code
/// of "end of block", which is seven zero bits.
pub(crate) const FINAL_BLOCK: [u8; 2] = [0x03, 0x00];

/// Makes a complete stream one that another stream or [`FINAL_BLOCK`] may follow: its last block is
/// no longer the last, and it ends at a byte boundary, for which an empty stored block is appended.
/// Fails, and changes nothing, if the stream is not complete or does not inflate to `output`
/// bytes.
pub(crate) fn reopen(stream: &mut Vec<u8>, output: u64) -> Result<(), Malformed> {
    let extent = walk(stream)?;
    let bytes = extent.end.0.div_ceil(8);
    if extent.output != output {
        return Err(Malformed { at: extent.end, defect: "another length than was put in" });
    }
    if u64::try_from(stream.len()).ok() != Some(bytes) {
        return Err(Malformed { at: extent.end, defect: "bytes after the last block" });
    }
    let place = usize::try_from(extent.last_block.0 / 8).expect("a place in a slice");
    stream[place] &= !(1 << (extent.last_block.0 % 8));
    // The block header is three zero bits, for which the last byte may have no room.
    if bytes * 8 - extent.end.0 < 3 {
        stream.push(0);
    }
    stream.extend(EMPTY_STORED);
    Ok(())
}

/// Reads a complete stream. Distances are not compared with what came before them: whoever inflates
/// the stream does that.
pub(crate) fn walk(stream: &[u8]) -> Result<Extent, Malformed> {
    let mut bits = Bits::new(stream);
    let mut codes = Codes::new();
    let mut output = 0_u64;
    // Every block takes at least three bits, so the loop ends with the stream.
    loop {
        let last_block = bits.position();
        bits.refill();
        let header = bits.take(3);
        output += match header >> 1 {
            0 => stored(&mut bits)?,
            1 => {
                codes.fixed();
                codes.block(&mut bits)?
            }
            2 => {
                codes.dynamic(&mut bits)?;
                codes.block(&mut bits)?
            }
            _ => return Err(bits.malformed("block type 3")),
        };
        if bits.overrun() {
            return Err(bits.malformed("ends inside a block"));
        }
        if header & 1 == 1 {
            return Ok(Extent { last_block, end: bits.position(), output });
        }
    }
}

/// A block without compression, RFC 1951 §3.2.4.
fn stored(bits: &mut Bits<'_>) -> Result<u64, Malformed> {
    bits.align();
    bits.refill();
    let (len, check) = (bits.take(16), bits.take(16));
    if len ^ check != 0xffff {
        return Err(bits.malformed("NLEN is not the complement of LEN"));
    }
    bits.skip_bytes(len);
    Ok(len)
}

/// The bits of a stream, lowest first. Behind its end there are zeros without end; whether they
/// were reached is asked once a block and once in a while.
#[derive(Clone, Copy)]
struct Bits<'a> {
    stream: &'a [u8],
    /// Bytes of `stream` that are in `buffer`, or would be if it were longer.
    taken: usize,
    buffer: u64,
    /// How many bits of `buffer` count.
    count: u32,
}

impl<'a> Bits<'a> {
    fn new(stream: &'a [u8]) -> Self {
        Self { stream, taken: 0, buffer: 0, count: 0 }
    }

    /// Makes at least 56 bits available.
    #[inline(always)]
    fn refill(&mut self) {
        let word = match self.stream.get(self.taken..).and_then(<[u8]>::first_chunk::<8>) {
            Some(bytes) => u64::from_le_bytes(*bytes),
            None => self.tail(),
        };
        debug_assert!(self.count < 64);
        self.buffer |= word.wrapping_shl(self.count);
        self.taken = self.taken.wrapping_add((63_u32.wrapping_sub(self.count) >> 3) as usize);
        self.count |= 56;
    }

    #[cold]
    fn tail(&self) -> u64 {
        let mut bytes = [0; 8];
        if let Some(rest) = self.stream.get(self.taken..) {
            bytes[..rest.len()].copy_from_slice(rest);
        }
        u64::from_le_bytes(bytes)
    }

    /// Drops `n` bits that a [`refill`](Self::refill) made available.
    #[inline(always)]
    fn drop(&mut self, n: u32) {
        debug_assert!(n <= self.count);
        // Wrapping, as here nothing can wrap and this is the hottest line.
        self.buffer = self.buffer.wrapping_shr(n);
        self.count = self.count.wrapping_sub(n);
    }

    #[inline(always)]
    fn take(&mut self, n: u32) -> u64 {
        let value = self.buffer & ((1 << n) - 1);
        self.drop(n);
        value
    }

    /// Goes to the next byte boundary.
    fn align(&mut self) {
        self.drop(self.count % 8);
    }

    /// Skips whole bytes, from a byte boundary.
    fn skip_bytes(&mut self, n: u64) {
        let at = self.taken - (self.count / 8) as usize;
        self.taken = usize::try_from(n).map_or(usize::MAX, |n| at.saturating_add(n));
        (self.buffer, self.count) = (0, 0);
    }

    fn position(&self) -> BitOffset {
        BitOffset((self.taken as u64).saturating_mul(8).saturating_sub(u64::from(self.count)))
    }

    /// True if bits behind the end were taken.
    fn overrun(&self) -> bool {
        self.position().0 > self.stream.len() as u64 * 8
    }

    fn malformed(&self, defect: &'static str) -> Malformed {
        Malformed { at: self.position(), defect }
    }
}

/// Codes are at most 15 bits long, RFC 1951 §3.2.7.
const MAX_CODE_BITS: usize = 15;
/// Bits that one look into a table decides: literals and lengths, distances, code lengths.
const LITERAL_TABLE_BITS: u32 = 11;
const DISTANCE_TABLE_BITS: u32 = 9;
const LENGTHS_TABLE_BITS: u32 = 7;

const END_OF_BLOCK: u16 = 256;
/// Symbols that exist: literals and lengths 0-285, distances 0-29. Fixed codes are given to two
/// more of either, which "will never actually occur".
const LITERALS: u16 = 286;
const DISTANCES: u16 = 30;

/// The codes of one block.
struct Codes {
    literals: Code<{ 1 << LITERAL_TABLE_BITS }>,
    distances: Code<{ 1 << DISTANCE_TABLE_BITS }>,
    lengths: Code<{ 1 << LENGTHS_TABLE_BITS }>,
    /// What one look at the next bits decides: see [`Step`].
    steps: Box<[Step; 1 << LITERAL_TABLE_BITS]>,
    /// Bits of the distance that the next bits begin with, its extra bits included, or
    /// [`LONG_DISTANCE`].
    distance_bits: Box<[u8; 1 << DISTANCE_TABLE_BITS]>,
}

/// The code of a distance is longer than a look, or there is none.
const LONG_DISTANCE: u8 = u8::MAX;

/// As many literals as the bits of one look hold, and the length that follows them, if it does.
#[derive(Clone, Copy, Default)]
struct Step {
    /// Bits of all their codes, without the extra bits of the length.
    bits: u8,
    /// Number of extra bits of the length, plus one of the flags below, if any.
    then: u8,
    /// Bytes they stand for, without the value of the extra bits.
    output: u16,
}

impl Step {
    const EXTRA_BITS: u8 = 0x07;
    /// A length came last, so a distance follows.
    const LENGTH: u8 = 0x40;
    /// "End of block" came last; or, with no bits, the next code is longer than a look or is none.
    const STOP: u8 = 0x80;

    /// What one symbol stands for, with a code of so many bits.
    fn of(symbol: u16, bits: u8) -> Option<Self> {
        match symbol {
            0..END_OF_BLOCK => Some(Self { bits, then: 0, output: 1 }),
            END_OF_BLOCK => Some(Self { bits, then: Self::STOP, output: 0 }),
            _ => length(symbol).map(|(base, extra)| Self {
                bits,
                then: Self::LENGTH | extra,
                output: base,
            }),
        }
    }
}

impl Codes {
    fn new() -> Self {
        Self {
            literals: Code::new(),
            distances: Code::new(),
            lengths: Code::new(),
            steps: Box::new([Step::default(); 1 << LITERAL_TABLE_BITS]),
            distance_bits: Box::new([0; 1 << DISTANCE_TABLE_BITS]),
        }
    }

    /// RFC 1951 §3.2.6.
    fn fixed(&mut self) {
        let mut lengths = [8_u8; 288];
        lengths[144..256].fill(9);
        lengths[256..280].fill(7);
        let made = self.literals.make(&lengths) && self.distances.make(&[5; 32]);
        debug_assert!(made, "the fixed codes are complete");
        self.plan();
    }

    /// RFC 1951 §3.2.7.
    fn dynamic(&mut self, bits: &mut Bits<'_>) -> Result<(), Malformed> {
        /// The order in which the lengths of the code-length code come.
        const ORDER: [usize; 19] =
            [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        bits.refill();
        let literals = 257 + bits.take(5) as usize;
        let distances = 1 + bits.take(5) as usize;
        let given = 4 + bits.take(4) as usize;
        if literals > usize::from(LITERALS) || distances > usize::from(DISTANCES) {
            return Err(bits.malformed("more codes than symbols"));
        }
        let mut lengths = [0_u8; 19];
        for &symbol in &ORDER[..given] {
            bits.refill();
            lengths[symbol] = bits.take(3) as u8;
        }
        if !self.lengths.make(&lengths) {
            return Err(bits.malformed("impossible code lengths"));
        }
        let mut lengths = [0_u8; LITERALS as usize + DISTANCES as usize];
        let wanted = literals + distances;
        let mut have = 0;
        while have < wanted {
            bits.refill();
            let Some((symbol, taken)) = self.lengths.decode(bits.buffer) else {
                return Err(bits.malformed("a code that stands for nothing"));
            };
            bits.drop(taken);
            let (value, times) = match symbol {
                16 if have == 0 => return Err(bits.malformed("repeats a length before the first")),
                16 => (lengths[have - 1], 3 + bits.take(2) as usize),
                17 => (0, 3 + bits.take(3) as usize),
                18 => (0, 11 + bits.take(7) as usize),
                length => (length as u8, 1),
            };
            if times > wanted - have {
                return Err(bits.malformed("more code lengths than codes"));
            }
            lengths[have..have + times].fill(value);
            have += times;
        }
        if lengths[usize::from(END_OF_BLOCK)] == 0 {
            return Err(bits.malformed("no code for the end of the block"));
        }
        let (literals, distances) = lengths[..wanted].split_at(literals);
        if !self.literals.make(literals) || !self.distances.make(distances) {
            return Err(bits.malformed("impossible code lengths"));
        }
        self.plan();
        Ok(())
    }

    /// Fills `steps` and `distance_bits` from the codes.
    fn plan(&mut self) {
        for (look, step) in self.steps.iter_mut().enumerate() {
            *step = Step::default();
            // Each code takes a bit at least.
            while step.then == 0 {
                let (symbol, bits) = self.literals.table[look >> step.bits];
                let next = Step::of(symbol, bits).filter(|_| bits != 0);
                let Some(next) = next.filter(|n| step.bits + n.bits <= LITERAL_TABLE_BITS as u8)
                else {
                    break;
                };
                step.bits += next.bits;
                step.output += next.output;
                step.then = next.then;
            }
            if step.bits == 0 {
                step.then = Step::STOP;
            }
        }
        for (bits, (symbol, code)) in self.distance_bits.iter_mut().zip(&*self.distances.table) {
            let known = *code != 0 && *symbol < DISTANCES;
            *bits = if known { code + distance_extra_bits(*symbol) as u8 } else { LONG_DISTANCE };
        }
    }

    /// The symbols of one block.
    fn block(&self, stream: &mut Bits<'_>) -> Result<u64, Malformed> {
        // A copy that nobody else sees may stay in registers.
        let mut bits = *stream;
        let mut output = 0_u64;
        loop {
            bits.refill();
            let mut step = self.steps[low(bits.buffer, LITERAL_TABLE_BITS)];
            if step.then & Step::STOP != 0 {
                if step.bits == 0 {
                    step = self.long_step(bits)?;
                }
                if step.then & Step::STOP != 0 {
                    bits.drop(u32::from(step.bits));
                    *stream = bits;
                    return Ok(output + u64::from(step.output));
                }
            }
            // Literals and lengths take the same way, because a processor cannot guess which comes.
            // At most 15 bits of a code, 5 extra bits and 28 bits of a distance: a refill has 56.
            bits.drop(u32::from(step.bits));
            let length = bits.take(u32::from(step.then & Step::EXTRA_BITS));
            output = output.wrapping_add(u64::from(step.output)).wrapping_add(length);
            let mut distance = self.distance_bits[low(bits.buffer, DISTANCE_TABLE_BITS)];
            // All bits are set if a length came last, and none if not.
            distance &= (step.then / Step::LENGTH).wrapping_neg();
            if distance == LONG_DISTANCE {
                distance = self.long_distance(bits)?;
            }
            bits.drop(u32::from(distance));
            if bits.taken > bits.stream.len() + 16 {
                return Err(bits.malformed("ends inside a block"));
            }
        }
    }

    /// A step whose first code is longer than a look.
    #[cold]
    #[inline(never)]
    fn long_step(&self, bits: Bits<'_>) -> Result<Step, Malformed> {
        let Some((symbol, taken)) = self.literals.decode(bits.buffer) else {
            return Err(bits.malformed("a code that stands for nothing"));
        };
        Step::of(symbol, taken as u8).ok_or_else(|| bits.malformed("a length that does not exist"))
    }

    /// The bits of a distance whose code is longer than a look.
    #[cold]
    #[inline(never)]
    fn long_distance(&self, bits: Bits<'_>) -> Result<u8, Malformed> {
        let Some((symbol, taken)) = self.distances.decode(bits.buffer) else {
            return Err(bits.malformed("a code that stands for nothing"));
        };
        if symbol >= DISTANCES {
            return Err(bits.malformed("a distance that does not exist"));
        }
        Ok((taken + distance_extra_bits(symbol)) as u8)
    }
}

/// The lowest `n` bits, as an index.
#[inline(always)]
fn low(buffer: u64, n: u32) -> usize {
    (buffer & ((1 << n) - 1)) as usize
}

/// RFC 1951 §3.2.5, for the distances that exist.
fn distance_extra_bits(symbol: u16) -> u32 {
    u32::from(symbol / 2).saturating_sub(1)
}

/// The least length that a symbol stands for, and the number of extra bits, RFC 1951 §3.2.5.
fn length(symbol: u16) -> Option<(u16, u8)> {
    match symbol {
        257..=264 => Some((symbol - 254, 0)),
        265..=284 => {
            let extra = (symbol - 261) / 4;
            Some((((4 + (symbol - 265) % 4) << extra) + 3, extra as u8))
        }
        285 => Some((258, 0)),
        _ => None,
    }
}

/// One Huffman code. `SIZE` is two to the number of bits that a look into the table decides.
struct Code<const SIZE: usize> {
    /// Indexed by the next bits of the stream: symbol and length of the code that they begin with,
    /// or length 0 if it is longer than that, or there is none.
    table: Box<[(u16, u8); SIZE]>,
    /// How many codes there are of each length.
    counts: [u16; MAX_CODE_BITS + 1],
    /// The symbols, by length and then by value: the order of their codes, §3.2.2.
    symbols: [u16; 288],
}

impl<const SIZE: usize> Code<SIZE> {
    fn new() -> Self {
        Self { table: Box::new([(0, 0); SIZE]), counts: [0; MAX_CODE_BITS + 1], symbols: [0; 288] }
    }

    /// Takes the lengths of the codes, at most 288 of at most 15. False if they are impossible:
    /// more codes than bits can tell apart. Fewer are allowed; §3.2.7 wants that for one distance
    /// code, and what has no code is found when it is met.
    fn make(&mut self, lengths: &[u8]) -> bool {
        self.counts = [0; MAX_CODE_BITS + 1];
        for &len in lengths {
            self.counts[usize::from(len)] += 1;
        }
        self.counts[0] = 0;
        let mut next_place = [0_u16; MAX_CODE_BITS + 2];
        let mut next_code = [0_u32; MAX_CODE_BITS + 2];
        for len in 1..=MAX_CODE_BITS {
            next_place[len + 1] = next_place[len] + self.counts[len];
            let end = next_code[len] + u32::from(self.counts[len]);
            if end > 1 << len {
                return false;
            }
            next_code[len + 1] = end << 1;
        }
        self.table.fill((0, 0));
        for (symbol, &len) in lengths.iter().enumerate().filter(|&(_, &len)| len > 0) {
            let l = usize::from(len);
            self.symbols[usize::from(next_place[l])] = symbol as u16;
            next_place[l] += 1;
            let code = next_code[l];
            next_code[l] += 1;
            // Codes come highest bit first into a stream of bits that comes lowest first.
            let first = (code.reverse_bits() >> (32 - u32::from(len))) as usize;
            if 1 << l <= SIZE {
                for entry in self.table[first..].iter_mut().step_by(1 << l) {
                    *entry = (symbol as u16, len);
                }
            }
        }
        true
    }

    /// The symbol whose code the next bits begin with, and the length of its code.
    #[inline(always)]
    fn decode(&self, buffer: u64) -> Option<(u16, u32)> {
        match self.table[(buffer & (SIZE as u64 - 1)) as usize] {
            (_, 0) => self.decode_long(buffer),
            (symbol, len) => Some((symbol, u32::from(len))),
        }
    }

    /// The same for codes that the table does not hold, a bit at a time. With the code so far and
    /// the first code of each length one knows whether it is complete.
    #[cold]
    fn decode_long(&self, mut buffer: u64) -> Option<(u16, u32)> {
        let (mut code, mut first, mut place) = (0_u32, 0_u32, 0_u32);
        for (len, &count) in (0_u32..).zip(&self.counts).skip(1) {
            code |= (buffer & 1) as u32;
            buffer >>= 1;
            let count = u32::from(count);
            if code < first + count {
                return Some((self.symbols[(place + code - first) as usize], len));
            }
            place += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use libdeflater::{CompressionLvl, Compressor};
    use proptest::prelude::*;

    use super::*;

    fn compressed(data: &[u8], level: i32) -> Vec<u8> {
        let mut compressor = Compressor::new(CompressionLvl::new(level).unwrap());
        let mut out = vec![0; compressor.deflate_compress_bound(data.len())];
        let len = compressor.deflate_compress(data, &mut out).unwrap();
        out.truncate(len);
        out
    }

    fn inflated(stream: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut data = Vec::new();
        flate2::bufread::DeflateDecoder::new(stream).read_to_end(&mut data)?;
        Ok(data)
    }

    /// Numbers that look random and are the same in every run.
    fn noise(len: usize, mut state: u64) -> Vec<u8> {
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        (0..len).map(|_| next()).collect()
    }

    fn text(len: usize) -> Vec<u8> {
        let words = ["the ", "stream ", "block\n", "of ", "Huffman ", "codes, ", "0x7f ", "é "];
        let mut text = Vec::new();
        for byte in noise(len, 77) {
            text.extend(words[usize::from(byte % 8)].as_bytes());
            text.truncate(len);
        }
        text
    }

    fn samples() -> Vec<Vec<u8>> {
        let mut mixed = text(100_000);
        mixed.extend(noise(100_000, 3));
        mixed.extend(vec![0; 100_000]);
        mixed.extend(text(300_000));
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let skewed = noise(400_000, 9).iter().map(|b| 1_u8 << (b.trailing_ones() % 8)).collect();
        vec![
            vec![],
            vec![7],
            vec![0; 65_536],
            vec![0; 1_000_003],
            noise(65_535, 1),
            noise(65_536, 1),
            noise(700_001, 2),
            text(31),
            text(500_000),
            mixed,
            skewed,
            own[..own.len().min(2 << 20)].to_vec(),
        ]
    }

    #[test]
    fn every_level_is_walked_to_its_end() {
        for (i, data) in samples().iter().enumerate() {
            for level in 1..=12 {
                let stream = compressed(data, level);
                let extent = walk(&stream).unwrap();
                assert_eq!(extent.output, data.len() as u64, "sample {i}, level {level}");
                assert_eq!(extent.end.0.div_ceil(8), stream.len() as u64);
            }
        }
    }

    /// The proof is another decoder: it must read on through the joint, and end where we say.
    #[test]
    fn joined_streams_inflate_to_the_joined_data() {
        for level in [0, 1, 5, 6, 9, 12] {
            let mut joined = Vec::new();
            let mut data = Vec::new();
            for part in samples() {
                let mut stream = compressed(&part, level);
                reopen(&mut stream, part.len() as u64).unwrap();
                joined.extend(stream);
                data.extend(part);
            }
            joined.extend(FINAL_BLOCK);
            assert!(inflated(&joined).unwrap() == data, "level {level}");
            let extent = walk(&joined).unwrap();
            assert_eq!(extent.output, data.len() as u64);
            assert_eq!(extent.last_block.0, (joined.len() as u64 - 2) * 8);
        }
    }

    /// Streams of another compressor, which chooses its blocks otherwise.
    #[test]
    fn streams_of_zlib_are_walked() {
        for data in samples() {
            for level in [0, 1, 6, 9] {
                let mut stream = Vec::new();
                let level = flate2::Compression::new(level);
                flate2::bufread::DeflateEncoder::new(&*data, level)
                    .read_to_end(&mut stream)
                    .unwrap();
                assert_eq!(walk(&stream).unwrap().output, data.len() as u64);
            }
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        for data in [text(5_000), noise(300, 4), vec![], vec![0; 100_000]] {
            let stream = compressed(&data, 6);
            for len in 0..stream.len() {
                assert!(walk(&stream[..len]).is_err(), "{len} of {}", stream.len());
            }
        }
    }

    #[test]
    fn a_stream_that_is_not_what_was_put_in_is_left_alone() {
        let good = compressed(&text(1000), 6);
        let mut stream = good.clone();
        let error = reopen(&mut stream, 999).unwrap_err();
        assert!(error.to_string().starts_with("DEFLATE stream: another length"), "{error}");
        assert_eq!(stream, good);
        stream.push(0);
        assert_eq!(reopen(&mut stream, 1000).unwrap_err().defect, "bytes after the last block");
    }

    #[test]
    fn what_does_not_exist_is_named() {
        for (stream, defect) in [
            (&[0x07][..], "block type 3"),
            (&[0x01, 1, 0, 0, 0], "NLEN is not the complement of LEN"),
            // HLIT 31: 288 codes.
            (&[0xfd, 0x01, 0, 0], "more codes than symbols"),
            // Fixed codes: symbol 286 is 0b11000110.
            (&[0b0001_1011, 0b11], "a length that does not exist"),
        ] {
            assert_eq!(walk(stream).unwrap_err().defect, defect, "{stream:x?}");
        }
    }

    proptest! {
        #[test]
        fn hostile_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            // What the walk accepts, a decoder may still refuse: distances are not looked at, and
            // incomplete codes are taken.
            let _ = walk(&bytes);
        }

        #[test]
        fn flipped_bits_do_no_harm(at in 0..4000_usize, bit in 0..8_u8) {
            let mut stream = compressed(&text(20_000), 6);
            let at = at % stream.len();
            stream[at] ^= 1 << bit;
            if let (Ok(extent), Ok(data)) = (walk(&stream), inflated(&stream)) {
                prop_assert_eq!(extent.output, data.len() as u64);
            }
        }

        #[test]
        fn any_data_at_any_level(
            data in proptest::collection::vec(prop_oneof![Just(0_u8), 0..4_u8, any::<u8>()], 0..5000),
            level in 0..=12,
        ) {
            let mut stream = compressed(&data, level);
            prop_assert!(reopen(&mut stream, data.len() as u64).is_ok());
            stream.extend(FINAL_BLOCK);
            prop_assert_eq!(inflated(&stream).unwrap(), data);
        }
    }
}
