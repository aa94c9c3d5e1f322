//! `nix-path-registration`: what `nix-store --load-db` reads at the first boot. Nix,
//! `decodeValidPathInfo`.

use std::{collections::BTreeSet, rc::Rc};

use image_model::{Check, Location};

use crate::{Recorder, tree::display};

/// What all paths start with.
const STORE: &[u8] = b"/nix/store/";

/// How many references all paths have together, at most: more than any system.
const MAX_REFERENCES: usize = 1 << 18;

/// Linux's `PATH_MAX`.
const MAX_PATH: usize = 4096;

/// What a list says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Registration {
    /// The paths.
    pub(crate) paths: BTreeSet<Vec<u8>>,
    /// Which path refers to which; none to itself.
    pub(crate) references: Vec<(Rc<[u8]>, Vec<u8>)>,
}

/// Reads a list: for each path a line with it, its hash, its size, who made it or nothing, the
/// number of references, and a line for each of them.
pub(crate) fn parse(content: &[u8]) -> Result<Registration, String> {
    let mut found = Registration::default();
    let text = content.strip_suffix(b"\n").unwrap_or(content);
    let mut lines = text.split(|byte| *byte == b'\n').enumerate();
    if content.is_empty() {
        return Err("empty".to_owned());
    }
    while let Some((index, path)) = lines.next() {
        let line = index + 1;
        if !path.starts_with(STORE) {
            return Err(format!("line {line}: no store path"));
        }
        if path.len() > MAX_PATH {
            return Err(format!("line {line}: more than {MAX_PATH} bytes"));
        }
        let shared: Rc<[u8]> = path.into();
        let mut next = |what: &str| {
            let (_, text) = lines.next().ok_or_else(|| format!("ends before the {what}"))?;
            Ok::<_, String>(text)
        };
        let hash = next("hash")?;
        let digits = hash.strip_prefix(b"sha256:").unwrap_or(hash);
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_alphanumeric) {
            return Err(format!("line {}: no hash", line + 1));
        }
        if number(next("size")?).is_none() {
            return Err(format!("line {}: no size", line + 2));
        }
        next("deriver")?;
        let count = number(next("number of references")?);
        let count = count.ok_or_else(|| format!("line {}: no number of references", line + 4))?;
        for _ in 0..count {
            let reference = next("references")?;
            if found.references.len() >= MAX_REFERENCES {
                return Err(format!("more than {MAX_REFERENCES} references"));
            }
            if reference != path {
                found.references.push((Rc::clone(&shared), reference.to_vec()));
            }
        }
        if !found.paths.insert(path.to_vec()) {
            return Err(format!("line {line}: the same path again"));
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
    found: &Registration,
    names: impl Iterator<Item = &'n [u8]>,
    is_there: impl Fn(&[u8]) -> bool,
    checks: &Checks,
    out: &mut Recorder,
    at: impl Fn() -> Location,
) {
    let Registration { paths, references } = found;
    for path in names.map(|name| [STORE, name].concat()) {
        out.expect(checks.complete, paths.contains(&path), || {
            (at(), format!("{} is in the store and not in the list", display(&path)))
        });
    }
    for path in paths {
        let there = path.strip_prefix(STORE).is_some_and(&is_there);
        out.expect(checks.present, there, || {
            (at(), format!("{} is in the list and not in the store", display(path)))
        });
    }
    for (path, other) in references {
        out.expect(checks.references, paths.contains(other), || {
            let message =
                format!("{} refers to {}, not in the list", display(path), display(other));
            (at(), message)
        });
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
        assert_eq!(found.references, [(b"/nix/store/a"[..].into(), b"/nix/store/b".to_vec())]);
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
            assert_eq!(parse(text.as_bytes()).unwrap_err(), error, "{from:?} {to:?}");
        }
        assert!(parse(b"").is_err());
    }
}
