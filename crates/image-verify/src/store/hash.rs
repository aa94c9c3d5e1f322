//! Store paths as Nix hashes them: serialized from the files of the image, on all processors.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use image_formats::nix::{nar, store_path::BaseName};
use image_model::{NarDigest, NarHash};
use sha2::{Digest as _, Sha256};

use super::{
    Proof,
    elf::{Needs, Tap},
    scan::{Found, Known, Scanner},
};
use crate::{
    tree::{Kind, NodeId, Tree, display},
    volume::{self, ContentError, ContentReader, Contents, Volume},
};

/// The most bytes of all files together, each name of a file counted, that are hashed where nobody
/// says otherwise: files may have holes, and many names.
pub(super) const MAX_BYTES: u64 = 64 << 30;

/// How much of what programs need is remembered of one path, in bytes, and how many folders of one
/// program are looked at: names are from the image, and few bytes can make many of them.
const MAX_NEEDS: usize = 64 << 10;
const MAX_FOLDERS: usize = 1024;

/// Of mode bits, the one that Nix looks at: `S_IXUSR`.
const OWNER_EXECUTES: u32 = 0o100;

/// Why a path cannot be hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: NodeId,
    /// What is wrong with it.
    pub what: FaultKind,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Nix refuses its name.
    Name,
    /// It cannot be read, or is nothing that Nix has in its store.
    Unreadable(String),
    /// There is more than is hashed.
    Limit,
}

/// A store path, as it is in the image.
#[derive(Debug)]
pub(super) struct Hashed {
    pub(super) nar: Result<NarDigest, Fault>,
    /// Store paths that are named in it.
    pub(super) found: Found,
    /// What its programs need.
    pub(super) needs: Needed,
}

/// What the programs of a path need.
#[derive(Debug, Default)]
pub(super) struct Needed {
    /// Each with the first program that needs it.
    pub(super) all: BTreeMap<Need, NodeId>,
    /// There is more than is remembered.
    pub(super) is_cut: bool,
    /// Bytes of what is remembered.
    len: usize,
}

/// What a program needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// What loads it.
    Interpreter(Box<[u8]>),
    /// A store path with a folder in which it looks for libraries.
    RunPath(Box<[u8]>),
}

impl Needed {
    fn add(&mut self, need: Need, program: NodeId) {
        let (Need::Interpreter(path) | Need::RunPath(path)) = &need;
        let len = self.len.saturating_add(path.len());
        if self.all.contains_key(&need) {
            return;
        }
        if len > MAX_NEEDS {
            self.is_cut = true;
            return;
        }
        self.len = len;
        self.all.insert(need, program);
    }
}

/// Hashes paths, each the node of a store path; the results are in the same order.
///
/// No more than the digests: who wants to know more asks [`super::verify`].
pub fn hash(volume: &Volume, paths: &[NodeId]) -> Vec<Result<NarDigest, Fault>> {
    let known = Known::new(std::iter::empty());
    let what = What { scans: false, declared: &[], mount: b"", max_bytes: MAX_BYTES };
    work(volume, paths, &known, what, &|_| {}).into_iter().map(|hashed| hashed.nar).collect()
}

/// What is done beside hashing.
#[derive(Clone, Copy)]
pub(super) struct What<'a> {
    /// Contents are searched for paths, and programs for what they need.
    pub(super) scans: bool,
    /// The paths that each path may name, by their numbers, in order; `None`: nobody asks.
    pub(super) declared: &'a [Option<Vec<usize>>],
    /// Where the file system is mounted: `/nix/store`, or nothing for a root.
    pub(super) mount: &'static [u8],
    /// The most bytes of all files together that are hashed.
    pub(super) max_bytes: u64,
}

/// Hashes paths, and looks at what is in them. `progress` is told of all bytes of files, by
/// any thread.
pub(super) fn work(
    volume: &Volume,
    paths: &[NodeId],
    known: &Known,
    what: What<'_>,
    progress: &(dyn Fn(Proof) + Sync),
) -> Vec<Hashed> {
    let tree = &volume.tree;
    let sizes: Vec<u64> = paths.iter().map(|path| size(tree, *path)).collect();
    let mut left = what.max_bytes;
    let within: Vec<bool> = sizes
        .iter()
        .map(|size| {
            let fits = *size <= left;
            left -= if fits { *size } else { 0 };
            fits
        })
        .collect();
    // The largest first, so that none is left for one thread alone at the end.
    let mut queue: Vec<usize> = (0..paths.len()).collect();
    queue.sort_by_key(|index| (std::cmp::Reverse(sizes[*index]), *index));
    progress(Proof::Begins(what.max_bytes - left));
    let next = AtomicUsize::new(0);
    let job = Job { tree, paths, within, queue, known, what, progress, sizes, next };
    let mut results: Vec<Option<Hashed>> = paths.iter().map(|_| None).collect();
    for (index, hashed) in job.parallel(volume.files.contents()).into_iter().flatten() {
        results[index] = Some(hashed);
    }
    progress(Proof::Ends);
    results.into_iter().flatten().collect()
}

/// Bytes of all files of a path.
fn size(tree: &Tree, path: NodeId) -> u64 {
    let files = std::iter::once(path).chain(tree.below(path)).map(|id| tree.node(id));
    let files = files.filter(|node| matches!(node.kind, Kind::File(_)));
    files.fold(0, |sum, node| sum.saturating_add(node.size))
}

/// The work of the threads.
struct Job<'a> {
    tree: &'a Tree,
    paths: &'a [NodeId],
    /// Whether each is among what is hashed at all.
    within: Vec<bool>,
    queue: Vec<usize>,
    known: &'a Known,
    what: What<'a>,
    progress: &'a (dyn Fn(Proof) + Sync),
    sizes: Vec<u64>,
    next: AtomicUsize,
}

impl Job<'_> {
    fn parallel(&self, contents: &dyn Contents) -> Vec<Vec<(usize, Hashed)>> {
        let threads = volume::threads([contents]);
        thread::scope(|scope| {
            let others: Vec<_> =
                (1..threads).map(|_| scope.spawn(|| self.run(contents.reader()))).collect();
            let mut all = vec![self.run(contents.reader())];
            all.extend(others.into_iter().map(|thread| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }));
            all
        })
    }

    /// Takes paths until there are none left.
    fn run(&self, reader: Box<dyn ContentReader + '_>) -> Vec<(usize, Hashed)> {
        let mut worker = Worker {
            tree: self.tree,
            what: self.what,
            progress: self.progress,
            told: 0,
            reader,
            scanner: Scanner::new(self.known),
            tap: Tap::default(),
            needs: Needed::default(),
        };
        let mut done = Vec::new();
        while let Some(index) = self.queue.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let path = self.paths[*index];
            worker.scanner.path(self.what.declared.get(*index).and_then(Option::as_deref));
            let nar = match self.within[*index] {
                true => worker.path(path, self.sizes[*index]),
                false => Err(Fault { file: path, what: FaultKind::Limit }),
            };
            let (found, needs) = (worker.scanner.take(), std::mem::take(&mut worker.needs));
            done.push((*index, Hashed { nar, found, needs }));
        }
        done
    }
}

/// One thread.
struct Worker<'a> {
    tree: &'a Tree,
    what: What<'a>,
    progress: &'a (dyn Fn(Proof) + Sync),
    /// Bytes of the path of which that was told.
    told: u64,
    reader: Box<dyn ContentReader + 'a>,
    scanner: Scanner<'a>,
    tap: Tap,
    needs: Needed,
}

/// What is next in an archive.
enum Step<'t> {
    /// A file, and its name where it is an entry of a directory.
    Enter(NodeId, Option<&'t [u8]>),
    /// A directory ends, and whether it is an entry of another.
    Leave(bool),
}

impl Worker<'_> {
    /// Hashes one path, with so many bytes of files.
    fn path(&mut self, path: NodeId, size: u64) -> Result<NarDigest, Fault> {
        self.told = 0;
        let hashed = self.archive(path);
        // What cannot be read is done as well.
        (self.progress)(Proof::Read(size.saturating_sub(self.told)));
        hashed
    }

    /// Hashes the archive of a path.
    fn archive(&mut self, path: NodeId) -> Result<NarDigest, Fault> {
        let tree = self.tree;
        let mut hash = Sha256::new();
        let mut archive = nar::Writer::new(|bytes: &[u8]| hash.update(bytes));
        let mut steps = vec![Step::Enter(path, None)];
        // Bounded: a tree is finite, and a directory has one parent.
        while let Some(step) = steps.pop() {
            let (id, name) = match step {
                Step::Enter(id, name) => (id, name),
                Step::Leave(is_entry) => {
                    archive.end_directory();
                    if is_entry {
                        archive.end_entry();
                    }
                    continue;
                }
            };
            if let Some(name) = name {
                if nar::is_refused(name) {
                    return Err(Fault { file: id, what: FaultKind::Name });
                }
                if self.what.scans {
                    self.scanner.name(id, name);
                }
                archive.entry(name);
            }
            let node = tree.node(id);
            match &node.kind {
                Kind::Directory(_) => {
                    archive.directory();
                    steps.push(Step::Leave(name.is_some()));
                    let first = steps.len();
                    steps.extend(tree.children(id).map(|(name, id)| Step::Enter(id, Some(name))));
                    steps[first..].reverse();
                    continue;
                }
                Kind::File(_) => {
                    archive.file(node.mode & OWNER_EXECUTES != 0, node.size);
                    self.file(id, &mut archive).map_err(|what| Fault { file: id, what })?;
                }
                Kind::Symlink(target) => {
                    if self.what.scans {
                        self.scanner.target(id, target);
                    }
                    archive.symlink(target);
                }
                Kind::Special => {
                    let what = format!("a {}, which Nix has not in its store", node.kind.as_str());
                    return Err(Fault { file: id, what: FaultKind::Unreadable(what) });
                }
            }
            if name.is_some() {
                archive.end_entry();
            }
        }
        let nar_size = archive.len();
        Ok(NarDigest { nar_hash: NarHash(hash.finalize().into()), nar_size })
    }

    fn file<S: FnMut(&[u8])>(
        &mut self,
        id: NodeId,
        archive: &mut nar::Writer<S>,
    ) -> Result<(), FaultKind> {
        let Self { tree, what, progress, told, reader, scanner, tap, needs } = self;
        let unreadable = |error: ContentError| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            FaultKind::Unreadable(format!("{error}{}", cause.unwrap_or_default()))
        };
        if what.scans {
            scanner.start(id);
            tap.start();
        }
        let mut len = 0_u64;
        let read = reader.read(tree, id, &mut |piece| {
            archive.content(piece);
            if what.scans {
                scanner.content(piece);
                tap.piece(piece);
            }
            len = len.saturating_add(piece.len() as u64);
            *told = told.saturating_add(piece.len() as u64);
            progress(Proof::Read(piece.len() as u64));
        });
        read.map_err(unreadable)?;
        let size = tree.node(id).size;
        if len != size {
            return Err(FaultKind::Unreadable(format!("{len} bytes can be read of {size}")));
        }
        if !what.scans {
            return Ok(());
        }
        scanner.end();
        let found = tap.needs(|sink| reader.read(tree, id, sink)).map_err(unreadable)?;
        let Some(found) = found else { return Ok(()) };
        of_program(&found, &[what.mount, &tree.path(id)].concat(), |need| needs.add(need, id))
            .unwrap_or_else(|| needs.is_cut = true);
        Ok(())
    }
}

/// Tells what a program at `path` needs of the store; `None` where it is more than is looked at.
fn of_program(needs: &Needs, path: &[u8], mut tell: impl FnMut(Need)) -> Option<()> {
    if let Some(interpreter) = needs.interpreter.as_deref().filter(|path| in_store(path)) {
        tell(Need::Interpreter(interpreter.into()));
    }
    let folders = needs.run_path.as_deref().unwrap_or_default();
    for (count, folder) in folders.split(|byte| *byte == b':').enumerate() {
        if count == MAX_FOLDERS {
            return None;
        }
        let origins = [&b"$ORIGIN"[..], b"${ORIGIN}"];
        let below = origins.iter().find_map(|origin| folder.strip_prefix(*origin));
        let folder = match below {
            Some(rest) => Cow::Owned(lexical(&[path, b"/..", rest].concat())),
            None => Cow::Borrowed(folder),
        };
        // What has no name of a store path was overwritten, and is not looked for.
        if let Some((object, _)) = BaseName::within(&folder) {
            tell(Need::RunPath(object.path().into()));
        }
    }
    Some(())
}

fn in_store(path: &[u8]) -> bool {
    BaseName::within(path).is_some()
}

/// A path without `.` and `..`.
fn lexical(path: &[u8]) -> Vec<u8> {
    let mut names = Vec::new();
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => _ = names.pop(),
            name => names.push(name),
        }
    }
    names.iter().flat_map(|name| [&b"/"[..], name].concat()).collect()
}

impl std::fmt::Display for FaultKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name => f.write_str("no archive may have a file of this name"),
            Self::Unreadable(why) => f.write_str(why),
            Self::Limit => f.write_str("more bytes of files than are hashed"),
        }
    }
}

impl Hashed {
    /// True if it is among what is more than is hashed.
    pub(super) fn is_over_limit(&self) -> bool {
        matches!(self.nar, Err(Fault { what: FaultKind::Limit, .. }))
    }
}

impl Fault {
    /// The file and what is wrong with it, for people.
    pub fn told(&self, tree: &Tree) -> String {
        format!("{}: {}", display(&tree.path(self.file)), self.what)
    }
}
