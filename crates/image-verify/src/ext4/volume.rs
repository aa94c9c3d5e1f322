//! Opens a file system that was found sound: its file tree, and the reader of its files.

use std::collections::{BTreeMap, HashMap};

use image_formats::{
    bytes::{ReadError, Region},
    ext4::{DirectoryBlock, FileType, Ino, Inode, Superblock, Xattr, Xattrs},
    units::ByteOffset,
};

use super::{
    Sound,
    checks::*,
    files::Ext4Files,
    fs::{Fs, blocks},
    superblock,
};
use crate::{
    Recorder,
    tree::{Kind, Metadata, NodeId, Tree},
    volume::{Family, Trouble, Volume},
};

/// Opens it. `None` where it cannot be read for a reason that is told.
pub(super) fn open(
    region: &Region,
    name: &str,
    trouble: &Trouble,
    sound: &Sound,
    out: &mut Recorder,
) -> Result<Option<Volume>, ReadError> {
    let Sound { superblock, geometry, groups } = sound;
    let fs = Fs { region, geometry, groups };
    let mut walk = Walk {
        fs,
        tree: Tree::of_volume(format!("{name}, ext4 inode"), u64::from(geometry.inode_size)),
        linked: HashMap::new(),
        waiting: Vec::new(),
        encrypted: 0,
    };
    walk.root()?;
    walk.directories()?;
    let Walk { tree, encrypted, .. } = walk;
    let at = superblock::location(region, name, Superblock::OFFSET);
    let complete = tree.is_complete();
    out.expect(&UNREADABLE, complete && encrypted == 0, || {
        let message = match complete {
            true => format!("{encrypted} files or directories are encrypted"),
            false => "more names than are kept".to_owned(),
        };
        (at.clone(), message)
    });
    if !complete {
        return Ok(None);
    }
    let files = Ext4Files { region: region.clone(), geometry: *geometry, trouble: trouble.clone() };
    let free_blocks = superblock.free_blocks_count();
    Ok(Some(Volume {
        name: name.to_owned(),
        family: Family::Ext,
        format: superblock::format(superblock),
        label: String::from_utf8_lossy(superblock.label()).into_owned(),
        uuid: uuid(&superblock.raw.s_uuid),
        free_bytes: free_blocks.saturating_mul(u64::from(geometry.block_size)),
        free_inodes: Some(u64::from(superblock.raw.s_free_inodes_count.get())),
        random_seed: random_seed(superblock),
        at,
        tree,
        files: Box::new(files),
    }))
}

/// The seed of the hashes of names, if it looks drawn at random: a UUID of version 4, as `mke2fs`
/// draws it, and not that of the file system, which is what people take for a fixed one. RFC 9562
/// §5.4.
fn random_seed(superblock: &Superblock) -> Option<String> {
    let words = superblock.raw.s_hash_seed.map(|word| word.get().to_le_bytes());
    let seed: &[u8; 16] = words.as_flattened().try_into().ok()?;
    let random = seed[6] >> 4 == 4 && seed[8] >> 6 == 2;
    (random && *seed != superblock.raw.s_uuid).then(|| uuid(seed))
}

/// A UUID as people write it.
fn uuid(bytes: &[u8; 16]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let (a, b, c, d, e) = (&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
    format!("{a}-{b}-{c}-{d}-{e}")
}

/// A walk from the root through all directories.
struct Walk<'a> {
    fs: Fs<'a>,
    tree: Tree,
    /// Files with several names.
    linked: HashMap<Ino, NodeId>,
    /// Directories whose entries are to be read.
    waiting: Vec<(Ino, NodeId)>,
    /// How many files nobody can read who has no key.
    encrypted: u64,
}

impl Walk<'_> {
    fn root(&mut self) -> Result<(), ReadError> {
        let bytes = self.fs.inode(Ino::ROOT)?;
        let metadata = self.metadata(Ino::ROOT, &Inode::new(&bytes))?;
        self.tree.set_root(metadata);
        self.waiting.push((Ino::ROOT, Tree::ROOT));
        Ok(())
    }

    fn directories(&mut self) -> Result<(), ReadError> {
        let block_size = self.fs.geometry.block_size;
        // Bounded: a directory comes here when it gets its node, and has one parent.
        while let Some((ino, node)) = self.waiting.pop() {
            if !self.tree.is_complete() {
                return Ok(());
            }
            let bytes = self.fs.inode(ino)?;
            let inode = Inode::new(&bytes);
            if inode.has(Inode::INLINE_DATA) {
                // The first four bytes are the parent.
                let parts = [&inode.block_area()[4..], inline_data(&inode).unwrap_or_default()];
                for part in parts {
                    self.entries(DirectoryBlock::new(part, block_size), node)?;
                }
                continue;
            }
            let mut bytes = vec![0; block_size as usize];
            for (_, block) in blocks(&self.fs.runs(&inode)?) {
                self.fs.read("ext4 directory block", block, &mut bytes)?;
                // Nodes of an index look like a block without entries.
                self.entries(DirectoryBlock::new(&bytes, block_size), node)?;
            }
        }
        Ok(())
    }

    fn entries(&mut self, block: DirectoryBlock<'_>, parent: NodeId) -> Result<(), ReadError> {
        for entry in block.entries() {
            if entry.inode == 0 || matches!(entry.name, b"." | b"..") {
                continue;
            }
            let ino = Ino(entry.inode);
            if let Some(node) = self.linked.get(&ino) {
                self.tree.add_name(parent, entry.name, *node);
                continue;
            }
            let bytes = self.fs.inode(ino)?;
            let inode = Inode::new(&bytes);
            let metadata = self.metadata(ino, &inode)?;
            let Some(node) = self.tree.add_child(parent, entry.name, metadata) else { continue };
            self.encrypted += u64::from(inode.has(Inode::ENCRYPT));
            if inode.file_type() == Some(FileType::Directory) {
                self.waiting.push((ino, node));
            } else if inode.raw.i_links_count.get() > 1 {
                self.linked.insert(ino, node);
            }
        }
        Ok(())
    }

    fn metadata(&self, ino: Ino, inode: &Inode<'_>) -> Result<Metadata, ReadError> {
        let kind = match inode.file_type() {
            Some(FileType::Directory) => Kind::Directory(BTreeMap::new()),
            Some(FileType::Symlink) => Kind::Symlink(self.target(inode)?),
            Some(FileType::File) => Kind::File(None),
            _ => Kind::Special,
        };
        Ok(Metadata {
            kind,
            mode: u32::from(inode.raw.i_mode.get() & 0o7777),
            uid: inode.uid(),
            gid: inode.gid(),
            mtime: inode.mtime(),
            size: inode.size(),
            offset: ByteOffset(self.fs.region.absolute(self.fs.inode_offset(ino)).0),
        })
    }

    /// The target of a symlink, which was judged.
    fn target(&self, inode: &Inode<'_>) -> Result<Box<[u8]>, ReadError> {
        let mut area = inode.block_area().to_vec();
        if inode.has(Inode::INLINE_DATA) {
            area.extend(inline_data(inode).unwrap_or_default());
        } else if !is_fast(inode) {
            area = vec![0; self.fs.geometry.block_size as usize];
            if let Some(run) = self.fs.runs(inode)?.first() {
                self.fs.read("ext4 symlink", run.block, &mut area)?;
            }
        }
        area.truncate(usize::try_from(inode.size()).unwrap_or(usize::MAX));
        Ok(area.into())
    }
}

/// True if the target of a symlink is where the map of another file is.
pub(super) fn is_fast(inode: &Inode<'_>) -> bool {
    inode.size() < 60 && !inode.has(Inode::EXTENTS | Inode::INLINE_DATA)
}

/// What of an inline file has no room in `i_block`.
pub(super) fn inline_data<'a>(inode: &Inode<'a>) -> Option<&'a [u8]> {
    Xattrs::in_inode(inode.xattr_area()).find(Xattr::is_inline_data)?.value
}
