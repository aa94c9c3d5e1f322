//! File trees: which files were added, removed and changed, and what of them.

use std::{
    collections::BTreeSet,
    io,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use image_formats::{
    bytes::{ReadCause, ReadError, Region},
    units::ByteOffset,
};
use image_model::{ImageSpace, Sizes};
use sha2::{Digest as _, Sha256};

use super::{
    fields::time,
    kinds::{Kind as Way, *},
    out::{Out, Told, VolumeNumber},
};
use crate::{
    tree::{Kind, Node, NodeId, Tree, display},
    volume::{self, ContentError, ContentReader, Contents, Family, Volume},
};

/// Contents up to this size are compared in memory, larger ones by their digests.
const MAX_KEPT: u64 = 4 << 20;

/// The most bytes of the contents of one file system: holes of a hostile one have no end.
const MAX_CONTENTS: u64 = 64 << 30;

/// Two file systems that are compared.
#[derive(Clone, Copy)]
pub(super) struct Pair<'v> {
    pub(super) a: &'v Volume,
    pub(super) b: &'v Volume,
    /// The bytes that they are in, where there are some.
    pub(super) region_a: Option<&'v Region>,
    pub(super) region_b: Option<&'v Region>,
    pub(super) number: VolumeNumber,
    pub(super) name: &'v str,
}

/// Something that both trees have, or one of them.
#[derive(Clone, Copy)]
pub(super) enum Item<'t> {
    /// Both have it, under the same path.
    Both(NodeId, NodeId),
    /// Only the first one has it: in this directory, under this name.
    Removed(NodeId, &'t [u8], NodeId),
    /// Only the second one has it.
    Added(NodeId, &'t [u8], NodeId),
}

/// Walks over two directories of the same path, and shows what is in them: parents first, in the
/// order of names. What `into` refuses is not walked into.
pub(super) fn walk<'t>(
    a: (&'t Tree, NodeId),
    b: (&'t Tree, NodeId),
    into: &dyn Fn(NodeId, NodeId) -> bool,
    show: &mut dyn FnMut(Item<'t>),
) {
    let ((a, root_a), (b, root_b)) = (a, b);
    let mut waiting = vec![(root_a, root_b)];
    // Bounded: a directory has one parent.
    while let Some((of_a, of_b)) = waiting.pop() {
        let first = waiting.len();
        let (mut names_a, mut names_b) = (a.children(of_a).peekable(), b.children(of_b).peekable());
        loop {
            let order = match (names_a.peek(), names_b.peek()) {
                (None, None) => break,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some((a, _)), Some((b, _))) => a.cmp(b),
            };
            match order {
                std::cmp::Ordering::Less => {
                    if let Some((name, id)) = names_a.next() {
                        show(Item::Removed(of_a, name, id));
                    }
                }
                std::cmp::Ordering::Greater => {
                    if let Some((name, id)) = names_b.next() {
                        show(Item::Added(of_b, name, id));
                    }
                }
                std::cmp::Ordering::Equal => {
                    if let (Some((_, id_a)), Some((_, id_b))) = (names_a.next(), names_b.next()) {
                        show(Item::Both(id_a, id_b));
                        let is_directory =
                            |tree: &Tree, id| matches!(tree.node(id).kind, Kind::Directory(_));
                        if is_directory(a, id_a) && is_directory(b, id_b) && into(id_a, id_b) {
                            waiting.push((id_a, id_b));
                        }
                    }
                }
            }
        }
        waiting[first..].reverse();
    }
}

/// What came of comparing two contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Same,
    Different,
    /// One of them cannot be read.
    Unreadable,
}

/// Two nodes of which something may differ, and what of their contents does.
pub(super) struct Judged<'t> {
    pub(super) item: Item<'t>,
    pub(super) content: Verdict,
}

/// Compares all of the items: contents are read by all processors.
pub(super) fn judge<'t>(
    pair: Pair<'t>,
    items: Vec<Item<'t>>,
    skip: &BTreeSet<NodeId>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<Judged<'t>>, ReadError> {
    let (mut asked, mut left) = (Vec::new(), MAX_CONTENTS);
    let mut judged: Vec<Judged<'t>> = Vec::with_capacity(items.len());
    for item in items {
        if let Item::Both(a, b) = item {
            let (node_a, node_b) = (pair.a.tree.node(a), pair.b.tree.node(b));
            let are_files = matches!((&node_a.kind, &node_b.kind), (Kind::File(_), Kind::File(_)));
            if are_files && node_a.size == node_b.size && node_a.size > 0 && !skip.contains(&a) {
                // What is not read any more is not called the same.
                let Some(rest) = left.checked_sub(node_a.size) else {
                    judged.push(Judged { item, content: Verdict::Unreadable });
                    continue;
                };
                left = rest;
                asked.push((judged.len(), a, b));
            }
        }
        judged.push(Judged { item, content: Verdict::Same });
    }
    let verdicts = contents(pair, &asked, progress)?;
    for ((index, ..), verdict) in asked.iter().zip(verdicts) {
        if let Some(judged) = judged.get_mut(*index) {
            judged.content = verdict;
        }
    }
    Ok(judged)
}

type Asked = (usize, NodeId, NodeId);

fn contents(
    pair: Pair<'_>,
    asked: &[Asked],
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<Verdict>, ReadError> {
    let (a, b) = (pair.a.files.contents(), pair.b.files.contents());
    let (tree_a, tree_b) = (&pair.a.tree, &pair.b.tree);
    let threads = volume::threads([a, b]).min(asked.len().max(1));
    let next = AtomicUsize::new(0);
    let work = |a: &dyn Contents, b: &dyn Contents| {
        let mut both = Both { tree_a, tree_b, a: a.reader(), b: b.reader(), kept: Vec::new() };
        let mut found = Vec::new();
        // Some at once, so that readers find in the next file what they kept of the last one.
        loop {
            const SOME: usize = 32;
            let start = next.fetch_add(SOME, Ordering::Relaxed);
            let Some(some) = asked.get(start..asked.len().min(start + SOME)) else { break };
            if some.is_empty() {
                break;
            }
            for (offset, (_, a, b)) in some.iter().enumerate() {
                found.push((start + offset, both.compare(*a, *b)?));
                progress(tree_a.node(*a).size);
            }
        }
        Ok(found)
    };
    let found: Vec<Result<Vec<(usize, Verdict)>, ReadError>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(|| work(a, b))).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).collect()
    });
    let mut verdicts = vec![Verdict::Same; asked.len()];
    for part in found {
        for (index, verdict) in part? {
            if let Some(place) = verdicts.get_mut(index) {
                *place = verdict;
            }
        }
    }
    Ok(verdicts)
}

/// What one thread compares with.
struct Both<'t> {
    tree_a: &'t Tree,
    tree_b: &'t Tree,
    a: Box<dyn ContentReader + 't>,
    b: Box<dyn ContentReader + 't>,
    kept: Vec<u8>,
}

impl Both<'_> {
    fn compare(&mut self, a: NodeId, b: NodeId) -> Result<Verdict, ReadError> {
        let Self { tree_a, tree_b, a: of_a, b: of_b, kept } = self;
        let size = tree_a.node(a).size;
        if size > MAX_KEPT {
            let (mut hash_a, mut hash_b) = (Sha256::new(), Sha256::new());
            let read_a = of_a.read(tree_a, a, &mut |bytes| hash_a.update(bytes));
            let read_b = of_b.read(tree_b, b, &mut |bytes| hash_b.update(bytes));
            let same = hash_a.finalize() == hash_b.finalize();
            return verdict(read_a.and(read_b).map(|()| same));
        }
        kept.clear();
        let read_a = of_a.read(tree_a, a, &mut |bytes| {
            // No more than was promised is kept, whatever the reader gives.
            let room = (MAX_KEPT as usize).saturating_sub(kept.len());
            kept.extend(&bytes[..bytes.len().min(room)]);
        });
        let (mut at, mut same) = (0_usize, true);
        let read_b = of_b.read(tree_b, b, &mut |bytes| {
            let end = at.saturating_add(bytes.len());
            same &= kept.get(at..end) == Some(bytes);
            at = end;
        });
        let same = same && at == kept.len();
        verdict(read_a.and(read_b).map(|()| same))
    }
}

/// What a comparison came to. An error is the machine's.
fn verdict(same: Result<bool, ContentError>) -> Result<Verdict, ReadError> {
    use io::ErrorKind::{InvalidData, InvalidInput, NotFound, Other, UnexpectedEof, Unsupported};
    match same {
        Ok(true) => Ok(Verdict::Same),
        Ok(false) => Ok(Verdict::Different),
        Err(ContentError::Broken(error)) => match error.kind() {
            UnexpectedEof | InvalidData | InvalidInput | NotFound | Other | Unsupported => {
                Ok(Verdict::Unreadable)
            }
            _ => Err(ReadError {
                what: "content",
                at: ByteOffset(0),
                len: 0,
                cause: ReadCause::Io(error),
            }),
        },
        Err(_) => Ok(Verdict::Unreadable),
    }
}

/// Tells of what differs. Returns true if anything does. Contents that differ are noted.
pub(super) fn tell(
    pair: Pair<'_>,
    judged: &Judged<'_>,
    contents: &mut BTreeSet<(VolumeNumber, NodeId)>,
    out: &mut Out,
) -> Result<bool, ReadError> {
    match judged.item {
        Item::Both(a, b) => both(pair, (a, b), judged.content, contents, out),
        Item::Removed(parent, name, id) => {
            alone(pair, (&pair.a.tree, parent, name, id), true, out);
            Ok(true)
        }
        Item::Added(parent, name, id) => {
            alone(pair, (&pair.b.tree, parent, name, id), false, out);
            Ok(true)
        }
    }
}

/// What a node is, for people, and how large: a directory with all that is in it.
pub(super) fn describe(tree: &Tree, id: NodeId) -> (String, u64) {
    let node = tree.node(id);
    match &node.kind {
        Kind::Directory(_) => {
            let (mut files, mut size) = (0_u64, 0_u64);
            for below in tree.below(id) {
                files += 1;
                if matches!(tree.node(below).kind, Kind::File(_)) {
                    size = size.saturating_add(tree.node(below).size);
                }
            }
            (format!("directory with {files} in it"), size)
        }
        Kind::Symlink(target) => (format!("symlink to {}", display(target)), 0),
        Kind::File(_) => ("file".to_owned(), node.size),
        Kind::Special => ("device or fifo".to_owned(), 0),
    }
}

fn alone(
    pair: Pair<'_>,
    (tree, parent, name, id): (&Tree, NodeId, &[u8], NodeId),
    in_a: bool,
    out: &mut Out,
) {
    let told = Told { volume: pair.number, place: pair.name };
    let kind = if in_a { &FILE_REMOVED } else { &FILE_ADDED };
    out.push_with(pair.number, kind, || {
        let mut difference = told.difference(kind, pair.name);
        let mut path = tree.path(parent);
        if path != b"/" {
            path.push(b'/');
        }
        path.extend(name);
        difference.at.path = Some(display(&path));
        let (what, size) = describe(tree, id);
        if in_a {
            difference.a = Some(what);
            difference.sizes = Some(Sizes { a: Some(size), b: None });
        } else {
            difference.b = Some(what);
            difference.sizes = Some(Sizes { a: None, b: Some(size) });
        }
        difference
    });
}

fn both(
    pair: Pair<'_>,
    (id_a, id_b): (NodeId, NodeId),
    content: Verdict,
    contents: &mut BTreeSet<(VolumeNumber, NodeId)>,
    out: &mut Out,
) -> Result<bool, ReadError> {
    let (a, b) = (pair.a.tree.node(id_a), pair.b.tree.node(id_b));
    let mut any = false;
    let mut tell = |kind: &'static Way, of_a: String, of_b: String, sizes: Option<Sizes>| {
        let told = Told { volume: pair.number, place: pair.name };
        out.push_with(pair.number, kind, || {
            let mut difference = told.difference(kind, pair.name);
            difference.at.path = Some(display(&pair.a.tree.path(id_a)));
            let has_places = pair.region_a.is_some() && pair.region_b.is_some();
            if let (Some(at_a), Some(at_b), true) = (a.offset, b.offset, has_places) {
                difference.at.space = Some(ImageSpace::Raw);
                (difference.at.a, difference.at.b) = (Some(at_a), Some(at_b));
            }
            (difference.a, difference.b, difference.sizes) = (Some(of_a), Some(of_b), sizes);
            difference
        });
        any = true;
    };
    let sizes = Some(Sizes { a: Some(a.size), b: Some(b.size) });
    match (&a.kind, &b.kind) {
        (Kind::Directory(_), Kind::Directory(_)) | (Kind::Special, Kind::Special) => {}
        (Kind::Symlink(to_a), Kind::Symlink(to_b)) => {
            if to_a != to_b {
                tell(&FILE_TARGET, display(to_a), display(to_b), None);
            }
        }
        (Kind::File(_), Kind::File(_)) => {
            if content == Verdict::Unreadable {
                contents.insert((pair.number, id_a));
                tell(&FILE_UNREADABLE, size_of(a), size_of(b), None);
            } else if a.size != b.size || content == Verdict::Different {
                contents.insert((pair.number, id_a));
                tell(&FILE_CONTENT, size_of(a), size_of(b), sizes);
            }
        }
        _ => {
            contents.insert((pair.number, id_a));
            tell(&FILE_TYPE, a.kind.as_str().to_owned(), b.kind.as_str().to_owned(), None);
        }
    }
    // FAT has neither, and what an archive implies is nobody's.
    let both_say = a.offset.is_some() && b.offset.is_some();
    if a.mode != b.mode {
        tell(&FILE_MODE, format!("{:04o}", a.mode), format!("{:04o}", b.mode), None);
    }
    if (a.uid, a.gid) != (b.uid, b.gid) {
        let owner = |node: &Node| format!("{}:{}", node.uid, node.gid);
        tell(&FILE_OWNER, owner(a), owner(b), None);
    }
    if a.mtime != b.mtime && both_say {
        tell(&FILE_MTIME, time(a.mtime), time(b.mtime), None);
    }
    if let (Family::Fat, Family::Fat) = (pair.a.family, pair.b.family) {
        any |= dates(pair, (id_a, id_b), out)?;
    }
    Ok(any)
}

/// Compares the dates that only FAT has.
fn dates(pair: Pair<'_>, (id_a, id_b): (NodeId, NodeId), out: &mut Out) -> Result<bool, ReadError> {
    let at = |volume: &Volume, id| volume.tree.node(id).offset;
    let (Some(at_a), Some(at_b)) = (at(pair.a, id_a), at(pair.b, id_b)) else { return Ok(false) };
    let (Some(a), Some(b)) = (pair.region_a, pair.region_b) else { return Ok(false) };
    if !super::fat::other_dates((a, at_a), (b, at_b))? {
        return Ok(false);
    }
    let told = Told { volume: pair.number, place: pair.name };
    let place = format!("{}, FAT directory entry", pair.name);
    out.push_with(pair.number, &FAT_DATE, || {
        let mut difference = told.difference(&FAT_DATE, &place);
        difference.at.path = Some(display(&pair.a.tree.path(id_a)));
        difference.at.space = Some(ImageSpace::Raw);
        (difference.at.a, difference.at.b) = (Some(at_a), Some(at_b));
        difference
    });
    Ok(true)
}

fn size_of(node: &Node) -> String {
    format!("{} bytes", node.size)
}
