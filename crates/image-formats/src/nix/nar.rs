//! Nix archives: a file tree as Nix hashes it. Nix, `src/libutil/archive.cc`; the grammar is in
//! E. Dolstra, *The Purely Functional Software Deployment Model*, figure 5.2.
//!
//! Of a file it knows whether it is executable and what is in it, of a symlink its target, of a
//! directory the names, in the order of their bytes. Nothing else is in it: no owner, no time.

/// Writes an archive, piece by piece: no part of it is kept. Who calls it walks the tree, and is
/// trusted to do so in the right order.
#[derive(Debug)]
pub struct Writer<S> {
    sink: S,
    len: u64,
    /// Bytes of the content of a file that are still to come.
    left: u64,
    /// How many zeros follow these.
    padding: usize,
    /// What is between contents is put together here: who hashes pays for each piece.
    piece: Vec<u8>,
}

impl<S: FnMut(&[u8])> Writer<S> {
    /// An archive that starts: one file, symlink or directory has to follow.
    pub fn new(sink: S) -> Self {
        let mut writer = Self { sink, len: 0, left: 0, padding: 0, piece: Vec::new() };
        writer.strings(&[b"nix-archive-1"]);
        writer
    }

    /// How many bytes were written.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// False: there is always its name.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A symlink to `target`.
    pub fn symlink(&mut self, target: &[u8]) {
        self.strings(&[b"(", b"type", b"symlink", b"target", target, b")"]);
    }

    /// A regular file, whose `len` bytes are to be given to [`content`](Self::content).
    pub fn file(&mut self, executable: bool, len: u64) {
        self.collect(&[b"(", b"type", b"regular"]);
        if executable {
            self.collect(&[b"executable", b""]);
        }
        self.collect(&[b"contents"]);
        self.piece.extend_from_slice(&len.to_le_bytes());
        self.put_piece();
        self.left = len;
        self.padding = padding(len);
        self.end_of_content();
    }

    /// The next bytes of a file. More than were promised are not written.
    pub fn content(&mut self, bytes: &[u8]) {
        let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        let Some(bytes) = bytes.get(..len).filter(|bytes| !bytes.is_empty()) else { return };
        self.put(bytes);
        self.left = self.left.saturating_sub(u64::try_from(len).unwrap_or(u64::MAX));
        self.end_of_content();
    }

    /// True if bytes of a file are still to come.
    pub fn wants_content(&self) -> bool {
        self.left > 0
    }

    fn end_of_content(&mut self) {
        if self.left == 0 {
            let zeros = [0; 8];
            self.piece.extend_from_slice(zeros.get(..self.padding).unwrap_or_default());
            self.strings(&[b")"]);
        }
    }

    /// A directory: entries follow, in the order of their names' bytes.
    pub fn directory(&mut self) {
        self.strings(&[b"(", b"type", b"directory"]);
    }

    /// An entry of the directory: what it is follows, and then [`end_entry`](Self::end_entry).
    pub fn entry(&mut self, name: &[u8]) {
        self.strings(&[b"entry", b"(", b"name", name, b"node"]);
    }

    /// The entry ends.
    pub fn end_entry(&mut self) {
        self.strings(&[b")"]);
    }

    /// The directory ends.
    pub fn end_directory(&mut self) {
        self.strings(&[b")"]);
    }

    /// Writes strings.
    fn strings(&mut self, strings: &[&[u8]]) {
        self.collect(strings);
        self.put_piece();
    }

    /// Strings, each with its length before it and zeros up to a multiple of eight behind it.
    fn collect(&mut self, strings: &[&[u8]]) {
        for string in strings {
            let len = u64::try_from(string.len()).unwrap_or(u64::MAX);
            self.piece.extend_from_slice(&len.to_le_bytes());
            self.piece.extend_from_slice(string);
            self.piece.extend_from_slice([0; 8].get(..padding(len)).unwrap_or_default());
        }
    }

    /// Writes what was put together.
    fn put_piece(&mut self) {
        let mut piece = std::mem::take(&mut self.piece);
        self.put(&piece);
        piece.clear();
        self.piece = piece;
    }

    fn put(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            (self.sink)(bytes);
            self.len = self.len.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        }
    }
}

/// How many zeros follow `len` bytes.
fn padding(len: u64) -> usize {
    let over = usize::try_from(len % 8).unwrap_or(0);
    8_usize.saturating_sub(over) % 8
}

/// What Nix appends to the names of files on systems that do not tell cases apart: no archive may
/// have such a name. Nix, `src/libutil/archive.cc`.
pub const CASE_HACK: &[u8] = b"~nix~case~hack~";

/// True if Nix refuses an archive with such a name of a file.
pub fn is_refused(name: &[u8]) -> bool {
    matches!(name, b"" | b"." | b"..")
        || name.contains(&b'/')
        || name.contains(&0)
        || name.windows(CASE_HACK.len()).any(|window| window == CASE_HACK)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `nix-store --dump` writes them; the tests of `image-nix` compare many more with it.
    #[test]
    fn a_tree_is_written() {
        let mut bytes = Vec::new();
        let mut nar = Writer::new(|piece: &[u8]| bytes.extend_from_slice(piece));
        nar.directory();
        nar.entry(b"run");
        nar.file(true, 3);
        assert!(nar.wants_content());
        nar.content(b"a");
        nar.content(b"bcd");
        nar.end_entry();
        nar.entry(b"to");
        nar.symlink(b"run");
        nar.end_entry();
        nar.end_directory();
        let len = nar.len();
        assert_eq!(len, bytes.len() as u64);
        let text = bytes.iter().filter(|byte| **byte >= b' ').copied().collect::<Vec<_>>();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "nix-archive-1(typedirectoryentry(namerunnode(typeregularexecutablecontentsabc))\
             entry(nametonode(typesymlinktargetrun)))"
        );
        assert!(len.is_multiple_of(8));
    }

    #[test]
    fn an_empty_file_has_no_content() {
        let mut bytes = Vec::new();
        let mut nar = Writer::new(|piece: &[u8]| bytes.extend_from_slice(piece));
        nar.file(false, 0);
        assert!(!nar.wants_content());
        nar.content(b"more");
        assert!(bytes.ends_with(b"\x01\0\0\0\0\0\0\0)\0\0\0\0\0\0\0"));
        assert_eq!(bytes.len(), 24 + 16 + 16 + 16 + 16 + 8 + 16);
    }

    #[test]
    fn names_that_nix_refuses() {
        for wrong in [&b""[..], b".", b"..", b"a/b", b"a\0", b"README~nix~case~hack~1"] {
            assert!(is_refused(wrong), "{}", wrong.escape_ascii());
        }
        for right in [&b"..."[..], b"a b", b"\xff", b"~nix~case~"] {
            assert!(!is_refused(right), "{}", right.escape_ascii());
        }
    }
}
