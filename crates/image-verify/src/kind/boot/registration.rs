//! `nix-path-registration`: what `nix-store --load-db` reads at the first boot. Nix,
//! `decodeValidPathInfo`.

use std::{collections::BTreeSet, io::Read as _};

use image_model::{Check, Location};

use crate::{
    Recorder,
    tree::{NodeId, display},
    volume::{ContentError, Volume},
};

/// What all paths start with.
const STORE: &[u8] = b"/nix/store/";

/// The longest list that is read. One path takes some 300 bytes, and as much again for four
/// references: an image with all that it was built from has 100,000 paths and more.
const MAX_LIST: u64 = 64 << 20;

/// How many paths, and references of all paths together, are judged.
const MAX_PATHS: usize = 1 << 18;
const MAX_REFERENCES: usize = 1 << 20;

/// Linux's `PATH_MAX`.
const MAX_PATH: usize = 4096;

/// What a list says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Registration<'c> {
    /// The paths.
    pub(crate) paths: BTreeSet<&'c [u8]>,
    /// Paths that refer to others, and the lines with these.
    references: Vec<(&'c [u8], &'c [u8])>,
}

/// Why there is no list to judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// Nix cannot read it either.
    Broken(String),
    /// It has more than is judged here.
    Limit(String),
}

impl From<ContentError> for Unread {
    fn from(error: ContentError) -> Self {
        match error {
            ContentError::TooLarge { .. } => {
                Self::Limit(format!("more than {MAX_LIST} bytes of nix-path-registration"))
            }
            error => Self::Broken(error.to_string()),
        }
    }
}

/// The bytes of a list.
pub(crate) fn read(volume: &Volume, id: NodeId) -> Result<Vec<u8>, Unread> {
    let size = volume.tree.node(id).size;
    if size > MAX_LIST {
        return Err(ContentError::TooLarge { size, limit: MAX_LIST }.into());
    }
    // A vector that grows by itself takes twice as much.
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    volume.open(id)?.take(size).read_to_end(&mut bytes).map_err(ContentError::Broken)?;
    if bytes.len() as u64 != size {
        return Err(ContentError::Broken(std::io::ErrorKind::UnexpectedEof.into()).into());
    }
    Ok(bytes)
}

/// The lines of a list.
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
        self.at += line.len() + 1;
        self.count += 1;
        Some(line)
    }

    fn expect(&mut self, what: &str) -> Result<&'c [u8], Unread> {
        self.next().ok_or_else(|| Unread::Broken(format!("ends before the {what}")))
    }

    /// What is wrong with the line that was read last.
    fn broken(&self, what: &str) -> Unread {
        Unread::Broken(format!("line {}: {what}", self.count))
    }
}

/// Reads a list: for each path a line with it, its hash, its size, who made it or nothing, the
/// number of references, and a line for each of them.
pub(crate) fn parse(content: &[u8]) -> Result<Registration<'_>, Unread> {
    if content.is_empty() {
        return Err(Unread::Broken("empty".to_owned()));
    }
    let mut found = Registration::default();
    let mut references = 0_usize;
    let text = content.strip_suffix(b"\n").unwrap_or(content);
    let mut lines = Lines { text, at: 0, count: 0 };
    while let Some(path) = lines.next() {
        if !path.starts_with(STORE) {
            return Err(lines.broken("no store path"));
        }
        if path.len() > MAX_PATH {
            return Err(lines.broken(&format!("more than {MAX_PATH} bytes")));
        }
        if found.paths.len() >= MAX_PATHS {
            let what = format!("more than {MAX_PATHS} paths in nix-path-registration");
            return Err(Unread::Limit(what));
        }
        if !found.paths.insert(path) {
            return Err(lines.broken("the same path again"));
        }
        let hash = lines.expect("hash")?;
        let digits = hash.strip_prefix(b"sha256:").unwrap_or(hash);
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_alphanumeric) {
            return Err(lines.broken("no hash"));
        }
        if number(lines.expect("size")?).is_none() {
            return Err(lines.broken("no size"));
        }
        lines.expect("deriver")?;
        let count = number(lines.expect("number of references")?);
        let count = count.ok_or_else(|| lines.broken("no number of references"))?;
        let start = lines.at;
        for _ in 0..count {
            lines.expect("references")?;
            references += 1;
            if references > MAX_REFERENCES {
                let what = format!("more than {MAX_REFERENCES} references between store paths");
                return Err(Unread::Limit(what));
            }
        }
        if count > 0 {
            found.references.push((path, &text[start..lines.at - 1]));
        }
    }
    Ok(found)
}

/// What is asked of a list and the store it is of.
pub(crate) struct Checks {
    /// All that is in the store is in the list.
    pub(crate) complete: &'static Check,
    /// All that is in the list is in the store.
    pub(crate) present: &'static Check,
    /// All that is referred to is in the list.
    pub(crate) references: &'static Check,
}

/// Judges a list by the names that are in the store.
pub(crate) fn compare<'n>(
    found: &Registration<'_>,
    names: impl Iterator<Item = &'n [u8]>,
    is_there: impl Fn(&[u8]) -> bool,
    checks: &Checks,
    out: &mut Recorder,
    at: impl Fn() -> Location,
) {
    let Registration { paths, references } = found;
    for path in names.map(|name| [STORE, name].concat()) {
        out.expect(checks.complete, paths.contains(&*path), || {
            (at(), format!("{} is in the store and not in the list", display(&path)))
        });
    }
    for path in paths {
        let there = path.strip_prefix(STORE).is_some_and(&is_there);
        out.expect(checks.present, there, || {
            (at(), format!("{} is in the list and not in the store", display(path)))
        });
    }
    for (path, lines) in references {
        // None of a path to itself.
        for other in lines.split(|byte| *byte == b'\n').filter(|other| other != path) {
            out.expect(checks.references, paths.contains(other), || {
                let message =
                    format!("{} refers to {}, not in the list", display(path), display(other));
                (at(), message)
            });
        }
    }
}

fn number(text: &[u8]) -> Option<u64> {
    str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "/nix/store/a\nsha256:0abc\n120\n\n2\n/nix/store/a\n/nix/store/b\n\
        /nix/store/b\nsha256:0abd\n96\n/nix/store/b.drv\n0\n";

    #[test]
    fn blocks_are_read() {
        let found = parse(GOOD.as_bytes()).unwrap();
        assert_eq!(found.paths.len(), 2);
        let lines = &b"/nix/store/a\n/nix/store/b"[..];
        assert_eq!(found.references, [(&b"/nix/store/a"[..], lines)]);
    }

    #[test]
    fn damage_is_told() {
        for (from, to, error) in [
            ("\n2\n", "\n3\n", "line 9: no store path"),
            ("\n2\n", "\n99999999999\n", "ends before the references"),
            ("120", "-1", "line 3: no size"),
            ("sha256:0abc", "", "line 2: no hash"),
            ("\n0\n", "\n", "ends before the number of references"),
            ("/nix/store/b\nsha", "/nix/store/a\nsha", "line 8: the same path again"),
        ] {
            assert!(GOOD.contains(from));
            let text = GOOD.replacen(from, to, 1);
            let error = Unread::Broken(error.to_owned());
            assert_eq!(parse(text.as_bytes()).unwrap_err(), error, "{from:?} {to:?}");
        }
        assert!(parse(b"").is_err());
    }

    /// What is more than is judged is no defect.
    #[test]
    fn limits_are_no_damage() {
        let of = |count: usize| {
            let list = format!("/nix/store/a\nsha256:0\n1\n\n{count}\n");
            parse((list + &"/nix/store/a\n".repeat(count)).as_bytes())
                .map(|found| found.paths.len())
        };
        assert_eq!(of(MAX_REFERENCES), Ok(1));
        assert!(matches!(of(MAX_REFERENCES + 1), Err(Unread::Limit(_))));
        let paths = |count: usize| {
            let list = (0..count).map(|n| format!("/nix/store/{n}\nsha256:0\n1\n\n0\n"));
            parse(list.collect::<String>().as_bytes()).map(|found| found.paths.len())
        };
        assert_eq!(paths(MAX_PATHS), Ok(MAX_PATHS));
        assert!(matches!(paths(MAX_PATHS + 1), Err(Unread::Limit(_))));
    }
}
