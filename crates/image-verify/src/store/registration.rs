//! What Nix registered, read from the list and from the database of an image.

use std::{collections::BTreeMap, io::Read as _};

use image_formats::nix::{
    PathInfo,
    database::{self, DatabaseError, Limits, Note},
    registration::{self, Broken},
    store_path::BaseName,
};

use super::{AGREE, Checks, DATABASE_CLOSED, Store};
use crate::{
    Recorder,
    tree::{NodeId, display},
    volume::{ContentError, Volume},
};

/// The longest list that is read. One path takes some 300 bytes, and as much again for four
/// references: an image with all that it was built from has 100,000 paths and more.
const MAX_LIST: u64 = 64 << 20;

/// How many paths, and references of all paths together, are judged.
const MAX_PATHS: usize = 1 << 18;
const MAX_REFERENCES: usize = 1 << 20;

/// What is registered, by path.
pub type Registered = BTreeMap<Box<[u8]>, PathInfo>;

/// Why there is nothing to judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
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

impl From<Broken> for Unread {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken.to_string())
    }
}

/// What the list in an image says.
pub fn list(volume: &Volume, id: NodeId) -> Result<Registered, Unread> {
    collect(registration::read(&content(volume, id)?))
}

/// The bytes of a list.
fn content(volume: &Volume, id: NodeId) -> Result<Vec<u8>, Unread> {
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

/// All that somebody registered, as far as it is judged.
fn collect<E: Into<Unread>>(
    infos: impl Iterator<Item = Result<PathInfo, E>>,
) -> Result<Registered, Unread> {
    let mut registered = Registered::new();
    let mut references = 0_usize;
    for info in infos {
        let info = info.map_err(Into::into)?;
        if registered.len() >= MAX_PATHS {
            return Err(Unread::Limit(format!("more than {MAX_PATHS} paths are registered")));
        }
        references = references.saturating_add(info.references.len());
        if references > MAX_REFERENCES {
            let what = format!("more than {MAX_REFERENCES} references between store paths");
            return Err(Unread::Limit(what));
        }
        if BaseName::of_path(&info.path).is_none() {
            let what = format!("{}: no name of a store path", display(&info.path));
            return Err(Unread::Broken(what));
        }
        if let Some(twice) = registered.insert(info.path.clone(), info) {
            let what = format!("{}: the same path again", display(&twice.path));
            return Err(Unread::Broken(what));
        }
    }
    Ok(registered)
}

impl From<DatabaseError> for Unread {
    fn from(error: DatabaseError) -> Self {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        let text = format!("{error}{}", cause.unwrap_or_default());
        match error {
            DatabaseError::TooLarge { .. } | DatabaseError::TooMuch { .. } => Self::Limit(text),
            _ => Self::Broken(text),
        }
    }
}

/// The most bytes of a database, and of each file beside it.
const MAX_DATABASE: u64 = 64 << 20;

/// What the database in an image says, with what SQLite would do before it reads it.
pub fn database(volume: &Volume, id: NodeId) -> Result<(Registered, Vec<Note>), Unread> {
    let path = volume.tree.path(id);
    let content = |id| {
        let read = volume.content(id, MAX_DATABASE);
        read.map_err(|error| match error {
            ContentError::TooLarge { .. } => Unread::Limit(format!(
                "more than {MAX_DATABASE} bytes of {}",
                display(&volume.tree.path(id))
            )),
            error => error.into(),
        })
    };
    let beside = |end: &str| {
        let id = volume.find_file(&[&path, end.as_bytes()].concat());
        id.map(content).transpose()
    };
    let (wal, journal) = (beside("-wal")?, beside("-journal")?);
    let bytes = content(id)?;
    let limits = Limits::default();
    let found = database::read(bytes, wal.as_deref(), journal.as_deref(), &limits)?;
    if let Some(first) = found.broken.first() {
        let more = match found.broken_count {
            1 => String::new(),
            count => format!(", and {} more", count - 1),
        };
        return Err(Unread::Broken(format!("{first}{more}")));
    }
    let infos = found.paths.into_iter().map(Ok::<_, Unread>);
    Ok((collect(infos)?, found.notes))
}

/// What the image says is registered.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// All of it; `None` where it cannot be read, or there is none.
    pub(super) registered: Option<Registered>,
    /// Where it stands.
    pub(super) files: Vec<NodeId>,
    /// What is more than is judged.
    pub(super) limits: Vec<String>,
}

/// Reads all that a store has, and compares it where it has two.
pub(super) fn read(store: &Store<'_>, checks: &Checks, out: &mut Recorder) -> Read {
    let mut read = Read::default();
    let tree = &store.volume.tree;
    let mut found = Vec::new();
    let mut whole = true;
    let listed = store.list.map(|id| (id, list(store.volume, id)));
    let known = store.database.map(|id| {
        let known = database(store.volume, id);
        (
            id,
            known.map(|(registered, notes)| {
                closed(store, id, &notes, out);
                registered
            }),
        )
    });
    for (id, registered) in listed.into_iter().chain(known) {
        read.files.push(id);
        match registered {
            Ok(registered) => found.push((id, registered)),
            // Nobody knows whether Nix can read it.
            Err(Unread::Limit(what)) => {
                whole = false;
                read.limits.push(what);
            }
            Err(Unread::Broken(why)) => {
                whole = false;
                out.expect(checks.registration, false, || (tree.location(id), why));
            }
        }
    }
    if read.files.is_empty() {
        out.expect(checks.registration, false, || {
            (tree.location(store.root), "neither nix-path-registration nor a database".to_owned())
        });
        return read;
    }
    if !whole {
        return read;
    }
    out.expect(checks.registration, true, || (tree.location(store.root), String::new()));
    let mut found = found.into_iter();
    let first = found.next();
    let second = found.next();
    read.registered = match (first, second) {
        (Some((list, mut listed)), Some((database, known))) => {
            agree(store, (list, &listed), (database, &known), out);
            // A database says more of a path than a list.
            listed.extend(known);
            Some(listed)
        }
        (first, _) => first.map(|(_, registered)| registered),
    };
    read
}

/// Tells what SQLite has to do before it reads the database.
fn closed(store: &Store<'_>, id: NodeId, notes: &[Note], out: &mut Recorder) {
    let open = notes
        .iter()
        .filter(|note| matches!(note, Note::RolledBack { .. } | Note::WalApplied { .. }));
    let open: Vec<String> = open.map(ToString::to_string).collect();
    out.expect(&DATABASE_CLOSED, open.is_empty(), || {
        (store.volume.tree.location(id), open.join("; "))
    });
}

/// Compares a list with a database.
fn agree(
    store: &Store<'_>,
    (list, listed): (NodeId, &Registered),
    (database, known): (NodeId, &Registered),
    out: &mut Recorder,
) {
    let tree = &store.volume.tree;
    for (path, info) in listed {
        let problem = match known.get(path) {
            None => Some("is in the list and not in the database"),
            Some(other) if other.nar_hash != info.nar_hash => {
                Some("has one hash in the list and another in the database")
            }
            Some(other) if other.nar_size != info.nar_size => {
                Some("has one size in the list and another in the database")
            }
            Some(other) if sorted(other) != sorted(info) => {
                Some("refers to other paths in the list than in the database")
            }
            Some(_) => None,
        };
        out.expect(&AGREE, problem.is_none(), || {
            let problem = problem.unwrap_or_default();
            (tree.location(list), format!("{} {problem}", display(path)))
        });
    }
    for path in known.keys().filter(|path| !listed.contains_key(*path)) {
        out.expect(&AGREE, false, || {
            let message = format!("{} is in the database and not in the list", display(path));
            (tree.location(database), message)
        });
    }
}

fn sorted(info: &PathInfo) -> Vec<&[u8]> {
    let mut references: Vec<&[u8]> = info.references.iter().map(|path| &**path).collect();
    references.sort_unstable();
    references.dedup();
    references
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of store paths that are all different.
    fn path(number: usize) -> String {
        format!("/nix/store/{}-x{number}", "0".repeat(32))
    }

    fn block(path: &str, references: &[String]) -> String {
        let hash = "0".repeat(52);
        let lines: String = references.iter().map(|path| format!("{path}\n")).collect();
        format!("{path}\nsha256:{hash}\n1\n\n{}\n{lines}", references.len())
    }

    fn read(text: &str) -> Result<usize, Unread> {
        collect(registration::read(text.as_bytes())).map(|found| found.len())
    }

    #[test]
    fn damage_is_told() {
        let twice = block(&path(0), &[]).repeat(2);
        let again = Unread::Broken(format!("{}: the same path again", path(0)));
        assert_eq!(read(&twice), Err(again));
        let name = Unread::Broken("/nix/store/a: no name of a store path".to_owned());
        assert_eq!(read(&block("/nix/store/a", &[])), Err(name));
        assert_eq!(read(""), Err(Unread::Broken("empty".to_owned())));
    }

    /// What is more than is judged is no defect.
    #[test]
    fn limits_are_no_damage() {
        let of = |count: usize| read(&block(&path(0), &vec![path(0); count]));
        assert_eq!(of(MAX_REFERENCES), Ok(1));
        assert!(matches!(of(MAX_REFERENCES + 1), Err(Unread::Limit(_))));
        let paths =
            |count: usize| read(&(0..count).map(|n| block(&path(n), &[])).collect::<String>());
        assert_eq!(paths(MAX_PATHS), Ok(MAX_PATHS));
        assert!(matches!(paths(MAX_PATHS + 1), Err(Unread::Limit(_))));
    }
}
