//! The Nix store in an image: whether each path is what Nix registered, whether all of them are
//! there and nothing else is, and whether anything leads to what is missing.
//!
//! What Nix registered is read from the image itself, and so is every file: each path is
//! serialized as Nix does it, and its hash compared. So a path is proven to be what somebody
//! signed, or built, and not merely to be there.

mod attributes;
mod checks;
mod closure;
mod elf;
mod find;
mod hash;
mod registration;
mod report;
mod scan;
pub mod trust;

use std::fmt;

use image_formats::nix::PathInfo;
use image_model::{Check, Location, StoreReport};

pub use checks::*;
pub use find::{Store, find};
pub use hash::{Fault, FaultKind, hash};
pub use registration::{Registered, Unread, database, list};

use crate::{Recorder, tree::NodeId, volume::Volume};
pub use trust::Vouchers;

/// The checks that are recorded: an image of some kind may have its own for the same defect.
#[derive(Clone, Copy, Debug)]
pub struct Checks {
    /// What is registered can be read.
    pub registration: &'static Check,
    /// All that is in the store is registered.
    pub complete: &'static Check,
    /// All that is registered is in the store.
    pub present: &'static Check,
    /// All that is referred to is registered.
    pub references: &'static Check,
    /// There is no more than is judged.
    pub limits: &'static Check,
    /// Owners, who may write, times, symlinks, and whether the store path of an interpreter is there
    /// are judged here, and not by somebody else.
    pub by_names: bool,
}

impl Checks {
    /// Those that are nobody else's.
    pub const OWN: Self = Self {
        registration: &REGISTRATION,
        complete: &COMPLETE,
        present: &PRESENT,
        references: &REFERENCES,
        limits: &LIMITS,
        by_names: true,
    };

    /// True if this check is asked of a store.
    fn is_asked(&self, check: &'static Check, store: &Store<'_>) -> bool {
        let has_database = store.database.is_some();
        let is_there = match check.id {
            id if id == AGREE.id => has_database && store.list.is_some(),
            id if id == DATABASE_CLOSED.id => has_database,
            _ => true,
        };
        is_there && self.has(check)
    }

    /// True if this check is recorded.
    fn has(&self, check: &'static Check) -> bool {
        let theirs = [
            (&REGISTRATION, self.registration),
            (&COMPLETE, self.complete),
            (&PRESENT, self.present),
            (&REFERENCES, self.references),
            (&LIMITS, self.limits),
        ];
        let replaced = theirs.iter().any(|(own, used)| own.id == check.id && used.id != own.id);
        let by_names = [&SYMLINK, &OWNER, &WRITABLE, &MTIME];
        let is_theirs = !self.by_names && by_names.iter().any(|other| other.id == check.id);
        !replaced && !is_theirs
    }
}

/// Something that starts a system, and leads into its store.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it is, for people: `init=`.
    pub what: String,
    /// The path that it names.
    pub path: Vec<u8>,
    /// Where it stands.
    pub at: Location,
}

/// How far the contents of a store are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// So many bytes of files are to be read.
    Begins(u64),
    /// So many were read since the last time, or cannot be.
    Read(u64),
    /// All were.
    Ends,
}

/// What is asked of a store.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The checks that are recorded.
    pub checks: Checks,
    /// What leads into the store from elsewhere.
    pub entries: &'a [Entry],
    /// Who may vouch for its paths.
    pub vouchers: Vouchers<'a>,
    /// Is told how far the reading is, by any thread.
    pub progress: &'a (dyn Fn(Proof) + Sync),
    /// The most bytes of all files together that are hashed.
    pub max_bytes: u64,
}

impl fmt::Debug for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { checks, entries, vouchers, progress: _, max_bytes } = self;
        f.debug_struct("Asked")
            .field("checks", checks)
            .field("entries", entries)
            .field("vouchers", vouchers)
            .field("max_bytes", max_bytes)
            .finish_non_exhaustive()
    }
}

impl Default for Asked<'_> {
    fn default() -> Self {
        Self {
            checks: Checks::OWN,
            entries: &[],
            vouchers: Vouchers::default(),
            progress: &|_| {},
            max_bytes: hash::MAX_BYTES,
        }
    }
}

/// What was found out about a store, but for the findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Its paths.
    pub report: StoreReport,
    /// What was not judged, because there is more of it than is.
    pub not_verified: Vec<String>,
}

/// A path that is registered, or in the store.
#[derive(Debug)]
struct Path {
    /// All of it.
    path: Box<[u8]>,
    /// Where it is.
    node: Option<NodeId>,
    /// What Nix registered.
    info: Option<PathInfo>,
}

/// Judges the store of a file system, if it has one. Where the machine fails, whoever made the
/// volume knows of it.
pub fn verify(volume: &Volume, asked: &Asked<'_>, out: &mut Recorder) -> Option<Judged> {
    let store = find(volume)?;
    let checks = &asked.checks;
    let announced: Vec<&'static Check> =
        CHECKS.iter().copied().filter(|check| checks.is_asked(check, &store)).collect();
    out.announce(&announced);
    let read = registration::read(&store, checks, out);
    let is_registered = read.registered.is_some();
    let paths = closure::paths(&store, read.registered.unwrap_or_default());
    let mut judge = closure::Judge { store, checks, paths: &paths, is_registered, out };
    judge.names();
    let known = scan::Known::new(paths.iter().map(|path| closure::base_name(&path.path)));
    let (numbers, nodes): (Vec<usize>, Vec<NodeId>) =
        paths.iter().enumerate().filter_map(|(at, path)| Some((at, path.node?))).unzip();
    let mount = if store.is_root() { find::MOUNT } else { b"" };
    let declared: Vec<_> =
        numbers.iter().map(|number| closure::declared(&paths[*number], &known)).collect();
    let what = hash::What { scans: true, declared: &declared, mount, max_bytes: asked.max_bytes };
    let done = hash::work(volume, &nodes, &known, what, asked.progress);
    let mut hashed: Vec<Option<hash::Hashed>> = paths.iter().map(|_| None).collect();
    for (number, done) in numbers.into_iter().zip(done) {
        hashed[number] = Some(done);
    }
    judge.contents(&hashed);
    judge.symlinks();
    judge.entries(asked.entries);
    attributes::judge(&store, checks, judge.out);
    let mut limits = read.limits;
    if hashed.iter().flatten().any(hash::Hashed::is_over_limit) {
        limits.push("more bytes of files than are hashed".to_owned());
    }
    if hashed.iter().flatten().any(|hashed| hashed.needs.is_cut) {
        limits.push("more of what programs need than is judged".to_owned());
    }
    judge.limits(&limits);
    let not_verified =
        limits.iter().map(|what| format!("the Nix store in {}: {what}", volume.name)).collect();
    let nodes: Vec<_> = paths.iter().map(|path| path.node).collect();
    let mut report = report::report(&store, &read.files, paths, &hashed);
    trust::judge(&store, &nodes, asked.vouchers, &mut report, out);
    Some(Judged { report, not_verified })
}
