//! Where a release is read from.

use std::{fmt, io};

/// Where a release is read from: a folder, or what a server has.
///
/// What is not there is `None`. An error is one of the way to it, such as a network that fails, and
/// ends the check: nothing can be said of the release then.
pub trait Source: Send + Sync {
    /// Where that is, for people.
    fn name(&self) -> String;

    /// All that is there, sorted by name, with what lies in folders as `folder/name`; `None` where
    /// nobody can list it. At most a little more than [`MAX_ENTRIES`](super::MAX_ENTRIES).
    fn list(&self) -> io::Result<Option<Vec<Entry>>>;

    /// A file, from its first byte; `None` where there is no regular file of that name. Several
    /// threads ask at the same time.
    fn open(&self, name: &str) -> io::Result<Option<Opened>>;

    /// The version that the place is called by, such as the last name of its address: a release of
    /// another version does not belong there. `None` where it is not called by one.
    fn version(&self) -> Option<String> {
        None
    }
}

/// The version that a name is, such as `26.05.1`: something with digits and dots, as nobody calls a
/// folder otherwise.
pub fn version_in_name(name: &str) -> Option<String> {
    let version = name.starts_with(|c: char| c.is_ascii_digit()) && name.contains('.');
    (version && crate::names::check_version(name).is_ok()).then(|| name.to_owned())
}

/// Something that a source has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its name. Bytes that are not UTF-8 are escaped; whatever else a name may have, it has.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What an [`Entry`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A regular file, or an object.
    File,
    /// A folder with nothing in it, or one that is too deep to be looked into.
    Folder,
    /// A symbolic link.
    Link,
    /// A pipe, a socket, or a device.
    Special,
}

impl EntryKind {
    /// The words for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Folder => "a folder",
            Self::Link => "a symbolic link",
            Self::Special => "a pipe, a socket or a device",
        }
    }
}

/// A file that is being read.
pub struct Opened {
    /// Its length in bytes, where that is known before it is read.
    pub len: Option<u64>,
    /// Its bytes.
    pub reader: Box<dyn io::Read + Send>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("len", &self.len).finish_non_exhaustive()
    }
}
