//! What Nix registers of a path, and `nix-path-registration`, the list of it that
//! `nix-store --load-db` reads. Nix, `decodeValidPathInfo` in `src/libstore/store-api.cc`.

use super::base32;

/// Linux's `PATH_MAX`.
const MAX_PATH: usize = 4096;

/// What Nix registers of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathInfo {
    /// The whole path.
    pub path: Box<[u8]>,
    /// SHA-256 of the path as a NAR.
    pub nar_hash: [u8; 32],
    /// Length of that NAR in bytes; 0 where nobody noted it.
    pub nar_size: u64,
    /// The derivation that made it.
    pub deriver: Option<Box<[u8]>>,
    /// Whole paths that it refers to, in the order in which they stand there.
    pub references: Vec<Box<[u8]>>,
    /// It was built where it was registered. Only a database says so.
    pub ultimate: bool,
    /// Signatures: name of a key, `:`, base64. Only a database has them.
    pub signatures: Vec<Box<[u8]>>,
    /// How its name follows from its content, where it does. Only a database says so.
    pub content_address: Option<Box<[u8]>>,
}

/// Where a list ends that Nix cannot read either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It has no line.
    #[error("empty")]
    Empty,
    /// It ends too early.
    #[error("ends before the {0}")]
    Ends(&'static str),
    /// A line is not what it has to be.
    #[error("line {line}: {what}")]
    Line {
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// The paths of a list, one after the other: a line with the path, its hash, its size, who made it
/// or nothing, the number of references, and a line for each of them. An error is the last item.
#[derive(Clone, Debug)]
pub struct Registrations<'c> {
    lines: Lines<'c>,
    /// Nothing follows.
    ended: bool,
}

/// Reads a list.
pub fn read(content: &[u8]) -> Registrations<'_> {
    let text = content.strip_suffix(b"\n").unwrap_or(content);
    Registrations { lines: Lines { text, at: 0, count: 0 }, ended: false }
}

#[derive(Clone, Debug)]
struct Lines<'c> {
    text: &'c [u8],
    /// Where the next line starts: behind the end where there is none.
    at: usize,
    /// How many were read.
    count: usize,
}

impl<'c> Lines<'c> {
    fn next(&mut self) -> Option<&'c [u8]> {
        let line = self.text.get(self.at..)?.split(|byte| *byte == b'\n').next()?;
        self.at = self.at.saturating_add(line.len()).saturating_add(1);
        self.count = self.count.saturating_add(1);
        Some(line)
    }

    fn expect(&mut self, what: &'static str) -> Result<&'c [u8], Broken> {
        self.next().ok_or(Broken::Ends(what))
    }

    /// What is wrong with the line that was read last.
    fn broken(&self, what: &'static str) -> Broken {
        Broken::Line { line: self.count, what }
    }
}

impl Registrations<'_> {
    fn path(&self, line: &[u8]) -> Result<Box<[u8]>, Broken> {
        if !line.starts_with(b"/nix/store/") {
            return Err(self.lines.broken("no store path"));
        }
        if line.len() > MAX_PATH {
            return Err(self.lines.broken("more than 4096 bytes"));
        }
        Ok(line.into())
    }

    fn info(&mut self, first: &[u8]) -> Result<PathInfo, Broken> {
        let path = self.path(first)?;
        let hash = digest(self.lines.expect("hash")?);
        let nar_hash = hash.ok_or_else(|| self.lines.broken("no SHA-256 digest"))?;
        let size = number(self.lines.expect("size")?);
        let nar_size = size.ok_or_else(|| self.lines.broken("no size"))?;
        let deriver = match self.lines.expect("deriver")? {
            b"" => None,
            line => Some(self.path(line)?),
        };
        let count = number(self.lines.expect("number of references")?);
        let count = count.ok_or_else(|| self.lines.broken("no number of references"))?;
        let mut references = Vec::new();
        // Bounded by the lines that are there.
        for _ in 0..count {
            let line = self.lines.expect("references")?;
            references.push(self.path(line)?);
        }
        Ok(PathInfo {
            path,
            nar_hash,
            nar_size,
            deriver,
            references,
            ultimate: false,
            signatures: Vec::new(),
            content_address: None,
        })
    }
}

impl Iterator for Registrations<'_> {
    type Item = Result<PathInfo, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let info = match self.lines.next() {
            Some(b"") if self.lines.text.is_empty() => Err(Broken::Empty),
            Some(first) => self.info(first),
            None => {
                self.ended = true;
                return None;
            }
        };
        self.ended = info.is_err();
        Some(info)
    }
}

/// A SHA-256 digest in any of the forms that Nix reads: hexadecimal or its own base32, with the
/// name of the algorithm or without.
pub fn digest(text: &[u8]) -> Option<[u8; 32]> {
    let text = text.strip_prefix(b"sha256:").unwrap_or(text);
    match text.len() {
        64 => {
            let mut digest = [0; 32];
            for (byte, pair) in digest.iter_mut().zip(text.chunks(2)) {
                let pair = str::from_utf8(pair).ok()?;
                let digits = pair.bytes().all(|digit| digit.is_ascii_hexdigit());
                *byte = u8::from_str_radix(pair, 16).ok().filter(|_| digits)?;
            }
            Some(digest)
        }
        _ => base32::decode(text),
    }
}

fn number(text: &[u8]) -> Option<u64> {
    text.iter().all(u8::is_ascii_digit).then(|| str::from_utf8(text).ok()?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "/nix/store/a\n\
        sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73\n120\n\n2\n\
        /nix/store/a\n/nix/store/b\n\
        /nix/store/b\n\
        e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n96\n\
        /nix/store/b.drv\n0\n";

    fn all(text: &str) -> Result<Vec<PathInfo>, Broken> {
        read(text.as_bytes()).collect()
    }

    #[test]
    fn blocks_are_read() {
        let found = all(GOOD).unwrap();
        let [a, b] = &found[..] else { panic!("{found:?}") };
        assert_eq!((&*a.path, a.nar_size, &a.deriver), (&b"/nix/store/a"[..], 120, &None));
        assert_eq!(a.references, [b"/nix/store/a"[..].into(), b"/nix/store/b"[..].into()]);
        assert_eq!(b.deriver.as_deref(), Some(&b"/nix/store/b.drv"[..]));
        assert_eq!((b.nar_hash, b.nar_size), (a.nar_hash, 96));
        assert!(b.references.is_empty());
    }

    #[test]
    fn damage_is_told() {
        for (from, to, error) in [
            ("\n2\n", "\n3\n", "line 9: no store path"),
            ("\n2\n", "\n99999999999\n", "line 9: no store path"),
            ("120", "-1", "line 3: no size"),
            ("120", "+1", "line 3: no size"),
            ("sha256:0", "sha256:", "line 2: no SHA-256 digest"),
            ("\n0\n", "\n", "ends before the number of references"),
            ("\n0\n", "\n1\n", "ends before the references"),
        ] {
            assert!(GOOD.contains(from));
            let text = GOOD.replacen(from, to, 1);
            assert_eq!(all(&text).unwrap_err().to_string(), error, "{from:?} {to:?}");
        }
        assert_eq!(all(""), Err(Broken::Empty));
        assert_eq!(all("\n"), Err(Broken::Empty));
    }
}
