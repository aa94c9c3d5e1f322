//! Opens a file system that was found sound: its file tree, by a second walk through the
//! directories.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use image_formats::{
    bytes::{ReadError, Region},
    squashfs::{
        Body, Decoder, Directory, DirectoryItem, DirectoryList, Inode, MetadataError,
        MetadataReader, MetadataRef, raw::SuperBlock,
    },
};

use super::{
    Fs, LIMITS, Layout, Sound, files::SquashFiles, inodes::MAX_TARGET, tables::INODE_TABLE,
};
use crate::{
    Recorder, container,
    tree::{Kind, Metadata, NodeId, Tree},
    volume::{Family, Trouble, Volume},
};

/// The most memory that the trees of an image and all else that is open may take, by what follows.
const MAX_MEMORY: usize = 226 << 20;

/// What an open file system keeps but for its tree: metadata blocks, a fragment, and what
/// decompresses them.
const OPEN: usize = 2 << 20;

/// What a file takes: a node, its place in its directory, a name of no bytes, and the byte of its
/// inode.
const NODE: usize = 196;

/// What it takes to know a file with several names again.
const LINKED: usize = 64;

/// How many metadata blocks are kept while the lists are read.
const KEPT: usize = 32;

/// What is left of the memory for all file systems of an image, which are open at the same time.
#[derive(Debug)]
pub struct Memory {
    left: Arc<AtomicUsize>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { left: Arc::new(AtomicUsize::new(MAX_MEMORY)) }
    }
}

/// What all file systems of an image, once they are open, have left for who reads their files.
pub(super) struct Left(Arc<AtomicUsize>);

impl Left {
    /// How many can read at once with so much memory each. For one there always is enough.
    pub(super) fn most(&self, each: usize) -> usize {
        1 + self.0.load(Ordering::Relaxed) / each
    }
}

/// Opens it. One that does not fit into the memory takes none of it.
pub(super) fn open(
    region: &Region,
    name: &str,
    memory: &mut Memory,
    trouble: &Trouble,
    sound: Sound,
    out: &mut Recorder,
) -> Result<Option<Volume>, ReadError> {
    let Sound { mut fs, ids } = sound;
    let tree = Tree::of_volume(format!("{name}, {INODE_TABLE}"), 0);
    let decoder = Decoder::new(fs.reader.compressor());
    let mut lists = MetadataReader::new(region.clone(), decoder);
    // Lists lie side by side.
    lists.keep(KEPT);
    for reader in [&mut lists, &mut fs.reader] {
        reader.allow(fs.layout.reads());
    }
    let left = memory.left.load(Ordering::Relaxed).checked_sub(OPEN);
    let (offsets, linked) = (Vec::new(), HashMap::new());
    let mut walk = Walk { fs: &mut fs, lists, ids: &ids, tree, offsets, left, linked };
    let walked = walk.all();
    let left = walk.left.filter(|_| walk.is_complete());
    let Walk { tree, offsets, .. } = walk;
    let mut at = container::raw_at("", region.start().0, SuperBlock::SIZE as u64);
    at.structure = format!("{name}, SquashFS superblock").into();
    if let Err(error) = walked {
        // All of this was read before, but not in this order.
        let error = error.machine()?;
        out.expect(&LIMITS, false, || (at, error.to_string()));
        return Ok(None);
    }
    out.expect(&LIMITS, left.is_some(), || {
        let message = "more files and longer names, with those of the file systems before it, than \
                       are kept: what is in them is not judged";
        (at.clone(), message.to_owned())
    });
    let Some(left) = left else { return Ok(None) };
    memory.left.store(left, Ordering::Relaxed);
    let left = Left(Arc::clone(&memory.left));
    Ok(Some(Volume {
        name: name.to_owned(),
        family: Family::Squashfs,
        format: "squashfs",
        label: String::new(),
        uuid: String::new(),
        free_bytes: 0,
        free_inodes: None,
        random_seed: None,
        at,
        tree,
        files: Box::new(SquashFiles::new(fs, offsets, left, trouble.clone())),
    }))
}

struct Walk<'a> {
    fs: &'a mut Fs,
    /// A second reader: lists may be long, and are not kept while inodes are read.
    lists: MetadataReader,
    ids: &'a [u32],
    tree: Tree,
    /// For each node, the byte of its inode in the metadata block.
    offsets: Vec<u16>,
    /// Memory that the tree may still take; `None` where it wanted more.
    left: Option<usize>,
    /// Files with several names.
    linked: HashMap<MetadataRef, NodeId>,
}

impl Walk<'_> {
    /// Whether all of it is in the tree, so far.
    fn is_complete(&self) -> bool {
        self.left.is_some() && self.tree.is_complete()
    }

    fn all(&mut self) -> Result<(), MetadataError> {
        let root = MetadataRef::of(self.fs.layout.superblock.root_inode.get());
        let Some((metadata, _, Some(directory))) =
            inode(&self.fs.layout, &mut self.fs.reader, self.ids, root)?
        else {
            return Ok(());
        };
        self.tree.set_root(metadata);
        self.offsets.push(root.offset);
        let mut waiting = vec![(Tree::ROOT, directory)];
        // Bounded: a directory has one name.
        while let Some((parent, directory)) = waiting.pop() {
            if !self.is_complete() {
                return Ok(());
            }
            self.directory(parent, &directory, &mut waiting)?;
        }
        Ok(())
    }

    fn directory(
        &mut self,
        parent: NodeId,
        directory: &Directory,
        waiting: &mut Vec<(NodeId, Directory)>,
    ) -> Result<(), MetadataError> {
        let Self { fs, lists, ids, tree, offsets, left, linked } = self;
        let Fs { layout, reader } = &mut **fs;
        for found in names(layout, lists, directory) {
            let (name, place) = found?;
            let mut take = |len: usize| {
                *left = left.and_then(|left| left.checked_sub(len));
                left.is_some()
            };
            if !take(NODE + name.len()) {
                break;
            }
            if let Some(node) = linked.get(&place) {
                tree.add_name(parent, &name, *node);
                continue;
            }
            let Some((metadata, links, directory)) = inode(layout, reader, ids, place)? else {
                continue;
            };
            let several = directory.is_none() && links > 1;
            let target = match &metadata.kind {
                Kind::Symlink(target) => target.len(),
                _ => 0,
            };
            if !take(target + if several { LINKED } else { 0 }) {
                break;
            }
            let Some(node) = tree.add_child(parent, &name, metadata) else { continue };
            // Nodes are counted as they are added.
            offsets.resize(node.index(), 0);
            offsets.push(place.offset);
            if let Some(directory) = directory {
                waiting.push((node, directory));
            } else if several {
                linked.insert(place, node);
            }
        }
        Ok(())
    }
}

/// What an inode says; how many names it has; its list, if it has one.
fn inode(
    layout: &Layout,
    reader: &mut MetadataReader,
    ids: &[u32],
    place: MetadataRef,
) -> Result<Option<(Metadata, u32, Option<Directory>)>, MetadataError> {
    let (start, end) = (layout.tables.inodes.start, layout.tables.inodes.end);
    let mut cursor = reader.cursor(start, end, place);
    let (header, Some(inode)) = Inode::read(&mut cursor)? else { return Ok(None) };
    let mut directory = None;
    let (kind, size) = match inode.body {
        Body::Directory(found) => {
            directory = Some(found);
            (Kind::Directory(BTreeMap::new()), u64::from(found.list_len()))
        }
        Body::File(file) => (Kind::File(None), file.size),
        Body::Symlink { len, .. } => {
            // A longer one was reported.
            let target = cursor.bytes(len.min(MAX_TARGET) as usize)?;
            (Kind::Symlink(target.into()), len.into())
        }
        Body::Device { .. } | Body::Ipc(_) => (Kind::Special, 0),
    };
    let id = |index: u16| ids.get(usize::from(index)).copied().unwrap_or(0);
    let metadata = Metadata {
        kind,
        mode: u32::from(header.mode.get() & 0o7777),
        uid: id(header.uid.get()),
        gid: id(header.guid.get()),
        mtime: header.mtime.get().into(),
        size,
        offset: reader.region().absolute(start + place.block),
    };
    Ok(Some((metadata, inode.links, directory)))
}

/// The names in a directory, each with the place of its inode. An error is the last one.
pub(super) fn names<'a>(
    layout: &Layout,
    lists: &'a mut MetadataReader,
    directory: &Directory,
) -> Names<'a> {
    Names { list: Some(layout.list(lists, directory)), block: 0 }
}

/// See [`names`].
pub(super) struct Names<'a> {
    /// `None` where nothing follows.
    list: Option<DirectoryList<'a>>,
    /// The block of inodes that the last header named.
    block: u64,
}

impl Iterator for Names<'_> {
    type Item = Result<(Vec<u8>, MetadataRef), MetadataError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.list.as_mut()?.next_item() {
                Ok(Some(Ok(DirectoryItem::Header { header, .. }))) => {
                    self.block = header.start_block.get().into();
                }
                Ok(Some(Ok(DirectoryItem::Entry { entry, name, .. }))) => {
                    let place = MetadataRef { block: self.block, offset: entry.offset.get() };
                    return Some(Ok((name, place)));
                }
                Ok(Some(Err(_)) | None) => {
                    self.list = None;
                    return None;
                }
                Err(error) => {
                    self.list = None;
                    return Some(Err(error));
                }
            }
        }
    }
}
