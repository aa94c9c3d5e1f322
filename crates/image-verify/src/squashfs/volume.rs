//! Opens a file system that was found sound: its file tree, by a second walk through the
//! directories.

use std::collections::{BTreeMap, HashMap};

use image_formats::{
    bytes::{ReadError, Region},
    squashfs::{
        Body, Decoder, Directory, DirectoryItem, Inode, MetadataError, MetadataReader, MetadataRef,
        raw::SuperBlock,
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

/// Opens it.
pub(super) fn open(
    region: &Region,
    name: &str,
    trouble: &Trouble,
    sound: Sound,
    out: &mut Recorder,
) -> Result<Option<Volume>, ReadError> {
    let Sound { mut fs, ids } = sound;
    let tree = Tree::of_volume(format!("{name}, {INODE_TABLE}"), 0);
    let decoder = Decoder::new(fs.reader.compressor());
    let lists = MetadataReader::new(region.clone(), decoder);
    let mut walk = Walk { fs: &mut fs, lists, ids: &ids, tree, linked: HashMap::new() };
    let walked = walk.all();
    let tree = walk.tree;
    let mut at = container::raw_at("", region.start().0, SuperBlock::SIZE as u64);
    at.structure = format!("{name}, SquashFS superblock").into();
    if let Err(error) = walked {
        // All of this was read before.
        let error = error.machine()?;
        out.expect(&LIMITS, false, || (at, error.to_string()));
        return Ok(None);
    }
    if !out.expect(&LIMITS, tree.is_complete(), || {
        (at.clone(), "more names than are read: what is in them is not judged".to_owned())
    }) {
        return Ok(None);
    }
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
        files: Box::new(SquashFiles::new(fs, trouble.clone())),
    }))
}

struct Walk<'a> {
    fs: &'a mut Fs,
    /// A second reader: lists may be long, and are not kept while inodes are read.
    lists: MetadataReader,
    ids: &'a [u32],
    tree: Tree,
    /// Files with several names.
    linked: HashMap<MetadataRef, NodeId>,
}

impl Walk<'_> {
    fn all(&mut self) -> Result<(), MetadataError> {
        let root = MetadataRef::of(self.fs.layout.superblock.root_inode.get());
        let Some((metadata, _, Some(directory))) =
            inode(&self.fs.layout, &mut self.fs.reader, self.ids, root)?
        else {
            return Ok(());
        };
        self.tree.set_root(metadata);
        let mut waiting = vec![(Tree::ROOT, directory)];
        // Bounded: a directory has one name.
        while let Some((parent, directory)) = waiting.pop() {
            if !self.tree.is_complete() {
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
        let Self { fs, lists, ids, tree, linked } = self;
        let Fs { layout, reader } = &mut **fs;
        names(layout, lists, directory, |name, place| {
            if let Some(node) = linked.get(&place) {
                tree.add_name(parent, &name, *node);
                return Ok(tree.is_complete());
            }
            let Some((metadata, links, directory)) = inode(layout, reader, ids, place)? else {
                return Ok(true);
            };
            let Some(node) = tree.add_child(parent, &name, metadata) else {
                return Ok(tree.is_complete());
            };
            match directory {
                Some(directory) => waiting.push((node, directory)),
                None if links > 1 => {
                    linked.insert(place, node);
                }
                None => {}
            }
            Ok(true)
        })
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

/// Tells each name in a directory, with the place of its inode, as long as that is wanted.
pub(super) fn names(
    layout: &Layout,
    lists: &mut MetadataReader,
    directory: &Directory,
    mut tell: impl FnMut(Vec<u8>, MetadataRef) -> Result<bool, MetadataError>,
) -> Result<(), MetadataError> {
    let mut list = layout.list(lists, directory);
    let mut block = 0;
    while let Some(item) = list.next_item()? {
        match item {
            Ok(DirectoryItem::Header { header, .. }) => block = header.start_block.get().into(),
            Ok(DirectoryItem::Entry { entry, name, .. }) => {
                if !tell(name, MetadataRef { block, offset: entry.offset.get() })? {
                    break;
                }
            }
            Err(_) => break,
        }
    }
    Ok(())
}
