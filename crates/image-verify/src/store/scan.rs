//! Looks for store paths in contents, as Nix does when it registers a path: 32 digits in a row that
//! are the hash of one. Nix, `RefScanSink` in `src/libstore/path-references.cc`.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use image_formats::nix::{
    base32,
    store_path::{BaseName, HASH_DIGITS, MAX_NAME, STORE_DIR},
};

use crate::tree::NodeId;

/// Digits of a hash.
type Hash = [u8; HASH_DIGITS];

/// What is looked at before a hash, and behind its first digit.
const BEFORE: usize = STORE_DIR.len() + 1;
const AHEAD: usize = HASH_DIGITS + 1 + MAX_NAME;

/// So many digits of a hash are looked up in a table that fits into the cache.
const FIRST_DIGITS: usize = 4;

/// How many paths that nobody has are remembered of one path.
const MAX_UNKNOWN: usize = 16;

/// How many paths that are there and not declared are remembered of one path: far more than are
/// told of all.
const MAX_UNDECLARED: usize = 64;

/// How many bytes are looked at together.
const BLOCK: usize = 8;

/// How far the next block starts behind one: no hash lies so that none of them is all in it.
const STRIDE: usize = HASH_DIGITS - BLOCK + 1;

/// True for a digit of a hash. Without a table, so that the processor does it for a block at once.
fn is_digit(byte: u8) -> bool {
    let is_letter = (byte.wrapping_sub(b'a') < 26)
        & (byte != b'e')
        & (byte != b'o')
        & (byte != b't')
        & (byte != b'u');
    is_letter | (byte.wrapping_sub(b'0') < 10)
}

/// True if a block has nothing but digits.
fn is_digits(block: &[u8; BLOCK]) -> bool {
    let all = |is: fn(u8) -> bool| block.iter().fold(true, |all, byte| all & is(*byte));
    // Nearly all blocks have a byte that is far from all digits, and one comparison tells.
    all(|byte| byte.wrapping_sub(b'0') <= b'z' - b'0') && all(is_digit)
}

/// The hashes of all paths that are known.
#[derive(Debug)]
pub(super) struct Known {
    /// For the first digits of a hash, whether any begins so: a bit each.
    first: Vec<u64>,
    /// Each hash, and the first path that has it.
    hashes: HashMap<Hash, usize>,
}

impl Known {
    /// Of the names of paths, in their order.
    pub(super) fn new<'n>(names: impl Iterator<Item = &'n [u8]>) -> Self {
        let mut known =
            Self { first: vec![0; 1 << (5 * FIRST_DIGITS - 6)], hashes: HashMap::new() };
        for (index, name) in names.enumerate() {
            let Some(hash) = BaseName::parse(name).and_then(|name| hash_at(name.hash(), 0)) else {
                continue;
            };
            let bit = first(&hash);
            known.first[bit / 64] |= 1 << (bit % 64);
            known.hashes.entry(hash).or_insert(index);
        }
        known
    }

    fn get(&self, hash: &Hash) -> Option<usize> {
        let bit = first(hash);
        let may_be = self.first[bit / 64] >> (bit % 64) & 1 == 1;
        if may_be { self.hashes.get(hash).copied() } else { None }
    }

    /// The first path that has the same hash as this one.
    pub(super) fn of_path(&self, path: &[u8]) -> Option<usize> {
        let (name, _) = BaseName::within(path)?;
        self.get(&hash_at(name.hash(), 0)?)
    }
}

fn first(hash: &Hash) -> usize {
    let digits = hash.iter().take(FIRST_DIGITS);
    digits.fold(0, |bits, digit| bits << 5 | usize::from(base32::value(*digit).unwrap_or(0)))
}

fn hash_at(bytes: &[u8], at: usize) -> Option<Hash> {
    bytes.get(at..)?.first_chunk().copied()
}

/// Where something was seen first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) file: NodeId,
    pub(super) place: Place,
}

/// Which part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Content(u64),
    Name,
    Target,
}

/// What was seen in one path.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Paths that are known and not declared, by their number, the first ones of the text.
    pub(super) undeclared: BTreeMap<usize, Seen>,
    /// Text that looks like a path and is none that is known, in the order of the text.
    pub(super) unknown: BTreeMap<Box<[u8]>, Seen>,
}

/// Looks at the files of one path after the other.
#[derive(Debug)]
pub(super) struct Scanner<'k> {
    known: &'k Known,
    /// What the path may name, in order; `None`: nobody asks.
    declared: Option<&'k [usize]>,
    found: Found,
    file: NodeId,
    /// The end of what was seen of a content, of which the first bytes were looked at.
    tail: Vec<u8>,
    done: usize,
    /// Where in the content the tail starts.
    offset: u64,
}

impl<'k> Scanner<'k> {
    pub(super) fn new(known: &'k Known) -> Self {
        let file = crate::tree::Tree::ROOT;
        let found = Found::default();
        Self { known, declared: None, found, file, tail: Vec::new(), done: 0, offset: 0 }
    }

    /// A path begins, which may name these paths, in order; `None`: nobody asks which it names.
    pub(super) fn path(&mut self, declared: Option<&'k [usize]>) {
        self.declared = declared;
    }

    /// What was seen since the last time.
    pub(super) fn take(&mut self) -> Found {
        std::mem::take(&mut self.found)
    }

    /// Looks at the name of a file.
    pub(super) fn name(&mut self, file: NodeId, name: &[u8]) {
        self.file = file;
        self.range(name, 0..name.len(), |_| Place::Name);
    }

    /// Looks at the target of a symlink. One that nobody has is somebody else's question.
    pub(super) fn target(&mut self, file: NodeId, target: &[u8]) {
        self.file = file;
        self.range(target, 0..target.len(), |_| Place::Target);
    }

    /// A content begins.
    pub(super) fn start(&mut self, file: NodeId) {
        self.file = file;
        (self.done, self.offset) = (0, 0);
        self.tail.clear();
    }

    /// The next piece of a content. What lies across two pieces is found as well.
    pub(super) fn content(&mut self, piece: &[u8]) {
        let mut tail = std::mem::take(&mut self.tail);
        let offset = self.offset;
        let place = |at: usize| Place::Content(offset + at as u64);
        let across = piece.len().min(BEFORE + AHEAD);
        let len = tail.len();
        tail.extend_from_slice(&piece[..across]);
        let end = tail.len().saturating_sub(AHEAD);
        if piece.len() <= BEFORE + AHEAD {
            if end > self.done {
                self.range(&tail, self.done..end, place);
                self.done = end;
            }
            let behind = self.done.saturating_sub(BEFORE);
            tail.drain(..behind);
            self.done -= behind;
            self.offset += behind as u64;
        } else {
            // Here `end` is behind the first bytes of the piece, whose own start is looked at now.
            self.range(&tail, self.done..end, place);
            let (start, from) = (offset + len as u64, end - len);
            let until = piece.len() - AHEAD;
            self.range(piece, from..until, |at| Place::Content(start + at as u64));
            let behind = until - BEFORE;
            tail.clear();
            tail.extend_from_slice(&piece[behind..]);
            self.done = BEFORE;
            self.offset = start + behind as u64;
        }
        self.tail = tail;
    }

    /// A content ends.
    pub(super) fn end(&mut self) {
        let tail = std::mem::take(&mut self.tail);
        let offset = self.offset;
        self.range(&tail, self.done..tail.len(), |at| Place::Content(offset + at as u64));
        self.start(self.file);
        self.tail = tail;
        self.tail.clear();
    }

    /// Looks for hashes that start in this range.
    fn range(&mut self, bytes: &[u8], starts: Range<usize>, place: impl Fn(usize) -> Place) {
        // Before this one, no start is left.
        let mut from = starts.start;
        let mut at = from;
        while at < starts.end + HASH_DIGITS
            && let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk())
        {
            if !is_digits(block) {
                at += STRIDE;
                continue;
            }
            let before = bytes[from..at].iter().rposition(|byte| !is_digit(*byte));
            let first = before.map_or(from, |before| from + before + 1);
            let len = bytes[at..].iter().position(|byte| !is_digit(*byte));
            let stop = len.map_or(bytes.len(), |len| at + len);
            for start in first..starts.end.min((stop + 1).saturating_sub(HASH_DIGITS)) {
                self.candidate(bytes, start, &place);
            }
            (from, at) = (stop, stop);
        }
    }

    fn candidate(&mut self, bytes: &[u8], at: usize, place: impl Fn(usize) -> Place) {
        let Some(hash) = hash_at(bytes, at) else { return };
        if let Some(index) = self.known.get(&hash) {
            let is_told = self.declared.is_some_and(|known| known.binary_search(&index).is_err());
            let undeclared = &mut self.found.undeclared;
            if is_told && undeclared.len() < MAX_UNDECLARED {
                let seen = Seen { file: self.file, place: place(at) };
                undeclared.entry(index).or_insert(seen);
            }
            return;
        }
        let is_path = bytes[..at].strip_suffix(b"/").is_some_and(|b| b.ends_with(STORE_DIR))
            && bytes.get(at + HASH_DIGITS) == Some(&b'-');
        let place = place(at);
        if !is_path || place == Place::Target || self.found.unknown.len() >= MAX_UNKNOWN {
            return;
        }
        let known = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+-._?=".contains(byte);
        let len = bytes[at..].iter().take(AHEAD).take_while(known).count();
        let name = bytes[at..at + len].into();
        self.found.unknown.entry(name).or_insert(Seen { file: self.file, place });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &[u8] = b"0123456789abcdfghijklmnpqrsvwxyz-a";
    const B: &[u8] = b"zyxwvsrqpnmlkjihgfdcba9876543210-b";

    fn scan(content: &[u8], pieces: &[usize]) -> Found {
        let known = Known::new([A, B].into_iter());
        let mut scanner = Scanner::new(&known);
        scanner.path(Some(&[]));
        scanner.start(crate::tree::Tree::ROOT);
        let mut rest = content;
        for len in pieces.iter().cycle() {
            let (piece, more) = rest.split_at((*len).min(rest.len()));
            scanner.content(piece);
            rest = more;
            if rest.is_empty() {
                break;
            }
        }
        scanner.end();
        scanner.take()
    }

    fn places(found: &Found) -> Vec<(usize, Place)> {
        found.undeclared.iter().map(|(index, seen)| (*index, seen.place)).collect()
    }

    /// What is found does not depend on how the content was cut.
    #[test]
    fn pieces_do_not_matter() {
        let unknown = b"/nix/store/1123456789abcdfghijklmnpqrsvwxyz-other-1.0/bin";
        for at in [0, 1, 40, 243, 244, 245, 300, 511, 700, 1000] {
            let mut content = vec![b' '; at];
            content.extend_from_slice(unknown);
            content.extend_from_slice(b" xx");
            content.extend_from_slice(&A[..32]);
            content.extend_from_slice(&B[..32]);
            content.resize(content.len() + at, b'a');
            let whole = scan(&content, &[usize::MAX]);
            let first = (at + unknown.len() + 3) as u64;
            let expected = [(0, Place::Content(first)), (1, Place::Content(first + 32))];
            assert_eq!(places(&whole), expected, "{at}");
            let text = b"1123456789abcdfghijklmnpqrsvwxyz-other-1.0";
            let place = whole.unknown.get(&text[..]).map(|seen| seen.place);
            assert_eq!(place, Some(Place::Content(at as u64 + 11)), "{at}");
            for pieces in [&[1][..], &[7, 300, 1], &[255], &[256], &[254, 257], &[31, 33], &[600]] {
                let found = scan(&content, pieces);
                assert_eq!(places(&found), expected, "{at} {pieces:?}");
                assert_eq!(found.unknown, whole.unknown, "{at} {pieces:?}");
            }
        }
    }

    /// What is a digit is what Nix says.
    #[test]
    fn digits_are_those_of_nix() {
        for byte in 0..=u8::MAX {
            assert_eq!(is_digit(byte), base32::value(byte).is_some(), "{byte}");
        }
    }

    /// Where hashes may start is found, whatever is around them.
    #[test]
    fn no_start_is_passed_over() {
        let unknown = &B[..32];
        for (before, after) in (0..50).flat_map(|a| [0, 1, 15, 16, 17, 31, 33].map(|b| (a, b))) {
            for (inside, filler) in [(b'-', b'-'), (b'a', b'-'), (b'-', b'a'), (b'a', b'a')] {
                let parts = [&vec![inside; before][..], &A[..32], &vec![filler; after], unknown];
                let found = scan(&parts.concat(), &[usize::MAX]);
                let second = (before + 32 + after) as u64;
                let expected = [(0, Place::Content(before as u64)), (1, Place::Content(second))];
                assert_eq!(places(&found), expected, "{before} {after} {inside} {filler}");
            }
        }
    }

    #[test]
    fn what_is_no_path_is_passed_over() {
        for text in [
            &b"0123456789abcdfghijklmnpqrsvwxy"[..],
            b"0123456789abcdfghijklmnpqrsvwxye-a",
            b"/nix/store/eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee-gone",
            b"/nix/store/1123456789abcdfghijklmnpqrsvwxyz.drv",
            b"/gnu/store/1123456789abcdfghijklmnpqrsvwxyz-a",
        ] {
            let found = scan(text, &[8]);
            assert!(found.undeclared.is_empty() && found.unknown.is_empty(), "{found:?}");
        }
        assert_eq!(places(&scan(&[b"xyz", A].concat(), &[5])), [(0, Place::Content(3))]);
    }
}
