//! Inodes, in the order of their tables: e2fsck's pass 1.

use std::collections::BTreeMap;

use image_formats::{
    bytes::ReadError,
    ext4::{
        Block, Descriptor, FileType, GroupIndex, Ino, Inode, Run, checksum, compat, incompat, raw,
        ro_compat, xattrs,
    },
};
use zerocopy::FromBytes as _;

use super::{
    Judge,
    checks::*,
    groups::has_flags,
    map::{Map, max_indirect},
};
use crate::tree::{Kind, MAX_NODES, Metadata, NodeId};

/// How much of an inode table is read at once.
const PIECE: usize = 1 << 20;

/// `EXT4_XATTR_MAGIC`.
const XATTR_MAGIC: u32 = 0xea02_0000;

/// An inode in use.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) ino: Ino,
    pub(super) mode: u16,
    pub(super) links: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: i64,
    pub(super) size: u64,
    pub(super) body: Body,
    /// How many names were found.
    pub(super) names: u32,
    pub(super) node: Option<NodeId>,
    /// The reader of files would give something else than the kernel does.
    pub(super) opaque: bool,
    /// Not meant to have a name.
    pub(super) nameless: bool,
}

/// What an inode holds, as far as it is looked at.
#[derive(Debug)]
pub(super) enum Body {
    /// Something in a directory, or the map that leads to it.
    Directory(Box<Directory>),
    /// A target.
    Symlink(Box<[u8]>),
    /// A regular file.
    File,
    /// A device, fifo or socket.
    Special,
    /// What is wrong with it has been told.
    Broken,
}

/// Where the entries of a directory are.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) content: Content,
    pub(super) seed: u32,
    pub(super) has_index: bool,
    pub(super) encrypted: bool,
    pub(super) casefold: bool,
}

#[derive(Debug)]
pub(super) enum Content {
    /// In blocks.
    Blocks(Vec<Run>),
    /// In the inode: `i_block`, and an attribute.
    Inline(Box<[u8; 60]>, Box<[u8]>),
}

impl Entry {
    pub(super) fn file_type(&self) -> Option<FileType> {
        FileType::from_mode(self.mode)
    }

    /// What the tree wants to know, but for the offset.
    pub(super) fn metadata(&self, offset: u64) -> Metadata {
        Metadata {
            kind: match &self.body {
                Body::Directory(_) => Kind::Directory(BTreeMap::new()),
                Body::Symlink(target) => Kind::Symlink(target.clone()),
                Body::File => Kind::File(None),
                Body::Special | Body::Broken => Kind::Special,
            },
            mode: u32::from(self.mode & 0o7777),
            uid: self.uid,
            gid: self.gid,
            mtime: self.mtime,
            size: self.size,
            offset: image_formats::units::ByteOffset(offset),
        }
    }
}

impl Judge<'_, '_> {
    /// Judges all inodes. False where there are more than can be judged.
    pub(super) fn inodes(&mut self) -> Result<bool, ReadError> {
        let geometry = self.geometry;
        let size = usize::from(geometry.inode_size);
        let first_ino = self.superblock.first_ino();
        let mut shared = BTreeMap::new();
        self.multi_mount();
        let mut piece = vec![0; PIECE.max(size)];
        let in_piece = (piece.len() / size) as u32;
        for (group, descriptor) in (0..).map(GroupIndex).zip(self.groups) {
            let mut count = geometry.inodes_per_group;
            if has_flags(self.superblock) {
                count -= descriptor.itable_unused();
                if descriptor.has(Descriptor::INODE_UNINIT) {
                    count = 0;
                }
            }
            let table = geometry.offset(descriptor.inode_table());
            let mut done = 0;
            while done < count {
                let now = in_piece.min(count - done);
                let bytes = &mut piece[..now as usize * size];
                self.region.fill(
                    "ext4 inode table",
                    table + u64::from(done) * size as u64,
                    bytes,
                )?;
                for (index, bytes) in (done..).zip(piece[..now as usize * size].chunks_exact(size))
                {
                    let ino = geometry.ino(group, index);
                    // +0x1a `i_links_count`.
                    let free = bytes[0x1a..0x1c] == [0, 0];
                    if free && ino >= first_ino {
                        continue;
                    }
                    if self.inodes.len() >= MAX_NODES {
                        return Ok(self.expect(&LIMIT, false, |judge| {
                            (judge.at_inode(ino), format!("more than {MAX_NODES} inodes in use"))
                        }));
                    }
                    self.inode(ino, bytes, &mut shared)?;
                }
                done += now;
            }
        }
        Ok(true)
    }

    /// The block of the multi-mount protection, which is in no file.
    fn multi_mount(&mut self) {
        if !self.superblock.incompat(incompat::MMP) {
            return;
        }
        let block = Block(self.superblock.raw.s_mmp_block.get());
        let at = |judge: &Self| super::superblock::location(judge.region, judge.name, 1024);
        let (low, high) = (u64::from(self.geometry.first_data_block), self.geometry.blocks_count);
        if self.expect(&BLOCK_RANGE, block.0 > low && block.0 < high, |judge| {
            (at(judge), format!("s_mmp_block {block}, of {high} in the file system"))
        }) {
            let claimed = self.used.claim(self.geometry.cluster(block), 1);
            self.expect(&BLOCK_CLAIM, claimed.is_ok(), |judge| {
                (at(judge), format!("s_mmp_block {block} has another owner"))
            });
        }
    }

    fn inode(
        &mut self,
        ino: Ino,
        bytes: &[u8],
        shared: &mut BTreeMap<Block, ()>,
    ) -> Result<(), ReadError> {
        let inode = Inode::new(bytes);
        let superblock = self.superblock;
        let reserved = ino < superblock.first_ino() && ino != Ino::ROOT;
        if reserved && inode.is_zero() {
            return Ok(());
        }
        let raw = &superblock.raw;
        let listed = [
            raw.s_orphan_file_inum.get(),
            raw.s_usr_quota_inum.get(),
            raw.s_grp_quota_inum.get(),
            raw.s_prj_quota_inum.get(),
        ];
        let mut entry = Entry {
            ino,
            mode: inode.raw.i_mode.get(),
            links: inode.raw.i_links_count.get(),
            uid: inode.uid(),
            gid: inode.gid(),
            mtime: inode.mtime(),
            size: inode.size(),
            body: Body::Broken,
            names: 0,
            node: None,
            opaque: inode.has(Inode::ENCRYPT),
            nameless: reserved || listed.contains(&ino.0) || inode.has(Inode::EA_INODE),
        };
        if let Some(body) = self.body(&inode, &mut entry, shared)? {
            entry.body = body;
        }
        self.inodes.push(entry);
        Ok(())
    }

    /// Judges one inode. `None` where it is broken, which has been told then.
    fn body(
        &mut self,
        inode: &Inode<'_>,
        entry: &mut Entry,
        shared: &mut BTreeMap<Block, ()>,
    ) -> Result<Option<Body>, ReadError> {
        let ino = entry.ino;
        let superblock = self.superblock;
        if superblock.ro_compat(ro_compat::METADATA_CSUM) {
            let (stored, computed) = inode.checksum(superblock, ino);
            if !self.expect(&INODE_CHECKSUM, stored == computed, |judge| {
                let message = format!("stored {stored:#010x}, computed {computed:#010x}");
                (judge.at_inode(ino), message)
            }) {
                return Ok(None);
            }
        }
        if ino == Ino::BAD_BLOCKS || entry.nameless && entry.links == 0 {
            // The bad blocks are claimed, so that no file may have them.
            self.map(ino, inode, false)?;
            return Ok(Some(Body::Special));
        }
        if !self.fields(ino, inode, entry.nameless) {
            return Ok(None);
        }
        let Some(file_type) = inode.file_type() else { return Ok(Some(Body::Special)) };
        let attributes = self.xattr_block(ino, inode, shared)?;
        let inline = inode.has(Inode::INLINE_DATA);
        let size = inode.size();
        let fast = size < 60 && !inode.has(Inode::EXTENTS);
        let mapped = match file_type {
            _ if inline => None,
            FileType::File | FileType::Directory => Some(file_type == FileType::Directory),
            FileType::Symlink => (!fast).then_some(true),
            _ => None,
        };
        let map = match mapped {
            Some(keep) => match self.map(ino, inode, keep)? {
                Some(map) => map,
                None => return Ok(None),
            },
            None => Map::default(),
        };
        entry.opaque |= map.has_unwritten && file_type == FileType::File;
        if !self.size(ino, inode, file_type, &map) {
            return Ok(None);
        }
        let clusters = map.clusters + u64::from(attributes);
        let in_cluster =
            u64::from(self.geometry.cluster_blocks) * u64::from(self.geometry.block_size) / 512;
        let (stored, counted) = (inode.sectors(superblock), clusters * in_cluster);
        self.note(&FILE_BLOCKS, stored == counted, |judge| {
            (judge.at_inode(ino), format!("{stored} times 512 bytes, not {counted}"))
        });
        Ok(match file_type {
            FileType::Directory => Some(Body::Directory(Box::new(Directory {
                content: if inline {
                    let rest = inline_data(inode).unwrap_or_default();
                    Content::Inline(Box::new(*inode.block_area()), rest.into())
                } else {
                    Content::Blocks(map.runs)
                },
                seed: inode.checksum_seed(superblock, ino),
                has_index: inode.has(Inode::INDEX),
                encrypted: inode.has(Inode::ENCRYPT),
                casefold: inode.has(Inode::CASEFOLD),
            }))),
            FileType::Symlink => self.symlink(ino, inode, &map, inline)?.map(Body::Symlink),
            FileType::File => {
                if ino == Ino(superblock.raw.s_journal_inum.get()) {
                    self.journal_start(ino, &map)?;
                }
                Some(Body::File)
            }
            _ => Some(Body::Special),
        })
    }

    /// The fields that stand for themselves.
    fn fields(&mut self, ino: Ino, inode: &Inode<'_>, nameless: bool) -> bool {
        let superblock = self.superblock;
        let room = usize::from(self.geometry.inode_size) - raw::Inode::SIZE;
        let extra = inode.extra.i_extra_isize.get();
        if room > 0 {
            let good =
                extra == 0 || extra.is_multiple_of(4) && (4..=room).contains(&usize::from(extra));
            if !self.expect(&INODE_EXTRA, good, |judge| {
                let message = format!("i_extra_isize {extra}, and {room} bytes are there");
                (judge.at_inode(ino), message)
            }) {
                return false;
            }
        }
        let mode = inode.raw.i_mode.get();
        let file_type = inode.file_type();
        let good = match file_type {
            Some(found) => !nameless || found == FileType::File,
            None => nameless && mode == 0,
        };
        if !self.expect(&INODE_MODE, good, |judge| {
            (judge.at_inode(ino), format!("i_mode {mode:#o} is no type of file, or not one for it"))
        }) {
            return false;
        }
        let is_directory = file_type == Some(FileType::Directory);
        let extents = inode.has(Inode::EXTENTS);
        let inline = inode.has(Inode::INLINE_DATA);
        let index = inode.has(Inode::INDEX);
        let good = (!extents || superblock.incompat(incompat::EXTENTS))
            && (!inline || superblock.incompat(incompat::INLINE_DATA))
            && !(extents && inline)
            && (!index || is_directory && !inline && superblock.compat(compat::DIR_INDEX));
        self.expect(&INODE_FLAGS, good, |judge| {
            let flags = inode.raw.i_flags;
            let message = format!("i_flags {flags:#x} do not fit the features, or each other");
            (judge.at_inode(ino), message)
        })
    }

    /// True if there is a block of extended attributes that the inode counts.
    fn xattr_block(
        &mut self,
        ino: Ino,
        inode: &Inode<'_>,
        shared: &mut BTreeMap<Block, ()>,
    ) -> Result<bool, ReadError> {
        let block = inode.file_acl(self.superblock);
        if block.0 == 0 {
            return Ok(false);
        }
        let (low, high) = (u64::from(self.geometry.first_data_block), self.geometry.blocks_count);
        if !self.expect(&BLOCK_RANGE, block.0 > low && block.0 < high, |judge| {
            let message = format!("i_file_acl {block}, of {high} in the file system");
            (judge.at_inode(ino), message)
        }) {
            return Ok(true);
        }
        // Several inodes may have the same attributes.
        if shared.insert(block, ()).is_some() {
            return Ok(true);
        }
        let claimed = self.used.claim(self.geometry.cluster(block), 1);
        if !self.expect(&BLOCK_CLAIM, claimed.is_ok(), |judge| {
            (judge.at_inode(ino), format!("i_file_acl {block} has another owner"))
        }) {
            return Ok(true);
        }
        let mut bytes = vec![0; self.geometry.block_size as usize];
        self.read("ext4 attribute block", block, &mut bytes)?;
        let header = raw::XattrHeader::read_from_prefix(&bytes).map(|(header, _)| header);
        let (magic, stored) =
            header.map_or((0, 0), |header| (header.h_magic.get(), header.h_checksum.get()));
        let held = magic == XATTR_MAGIC;
        self.expect(&XATTR_BLOCK, held, |judge| {
            let at = judge.at_block("attribute block", ino, block);
            (at, format!("magic {magic:#010x}, not 0xea020000"))
        });
        if held && self.superblock.ro_compat(ro_compat::METADATA_CSUM) {
            bytes[0x10..0x14].fill(0);
            let seed = checksum::crc32c(self.superblock.checksum_seed(), &block.0.to_le_bytes());
            let computed = checksum::crc32c(seed, &bytes);
            self.expect(&XATTR_BLOCK, stored == computed, |judge| {
                let at = judge.at_block("attribute block", ino, block);
                (at, format!("stored {stored:#010x}, computed {computed:#010x}"))
            });
        }
        Ok(true)
    }

    /// e2fsck's `check_blocks`, at its end.
    fn size(&mut self, ino: Ino, inode: &Inode<'_>, file_type: FileType, map: &Map) -> bool {
        if ino == Ino::RESIZE {
            return true;
        }
        let size = inode.size();
        let block_size = u64::from(self.geometry.block_size);
        let inline = inode.has(Inode::INLINE_DATA);
        let (held, expected) = match file_type {
            _ if inline => {
                let room = 60 + inline_data(inode).unwrap_or_default().len() as u64;
                (size <= room, format!("{room} bytes in the inode"))
            }
            FileType::Directory => {
                let blocks = map.last.map_or(0, |last| last + 1);
                let ahead = u64::from(self.superblock.raw.s_prealloc_dir_blocks);
                let whole = size.is_multiple_of(block_size);
                let good = (blocks.saturating_sub(ahead)..=blocks).contains(&(size / block_size));
                (whole && good, format!("{blocks} blocks"))
            }
            FileType::File => {
                let written = map.last_written.unwrap_or(0) * block_size;
                let most = if inode.has(Inode::EXTENTS) {
                    block_size << 32
                } else {
                    block_size.saturating_mul(max_indirect(self.geometry.block_size))
                };
                let least = if inode.has(Inode::VERITY) { 0 } else { written };
                let good = size >= least && size <= most;
                (good, format!("{least} to {most}"))
            }
            // A symlink is judged with its target, and the others have none.
            _ => return true,
        };
        self.expect(&FILE_SIZE, held, |judge| {
            (judge.at_inode(ino), format!("i_size {size}, not what fits {expected}"))
        })
    }

    fn symlink(
        &mut self,
        ino: Ino,
        inode: &Inode<'_>,
        map: &Map,
        inline: bool,
    ) -> Result<Option<Box<[u8]>>, ReadError> {
        let size = inode.size();
        let block_size = self.geometry.block_size;
        let mut area = inode.block_area().to_vec();
        if inline {
            area.extend(inline_data(inode).unwrap_or_default());
        } else if map.last.is_some() {
            let block = map.runs.first().filter(|run| run.logical == 0 && map.last == Some(0));
            area = vec![0; block_size as usize];
            if let Some(run) = block {
                self.read("ext4 symlink", run.block, &mut area)?;
            }
        }
        let len = area.iter().take_while(|byte| **byte != 0).count() as u64;
        // Ciphertext has NULs.
        let encrypted = inode.has(Inode::ENCRYPT);
        let room = (area.len() as u64).saturating_sub(u64::from(!inline));
        let held = size > 0 && size <= room && (encrypted || len == size);
        if !self.expect(&SYMLINK, held, |judge| {
            (judge.at_inode(ino), format!("i_size {size}, and the target has {len} bytes"))
        }) {
            return Ok(None);
        }
        area.truncate(size as usize);
        Ok(Some(area.into()))
    }

    /// The first block of the journal. Its numbers are big-endian.
    fn journal_start(&mut self, ino: Ino, map: &Map) -> Result<(), ReadError> {
        let Some(run) = map.runs.first().filter(|run| run.logical == 0) else { return Ok(()) };
        let mut bytes = vec![0; self.geometry.block_size as usize];
        self.read("ext4 journal superblock", run.block, &mut bytes)?;
        let magic = bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        self.note(&JOURNAL, magic == 0xc03b_3998, |judge| {
            let at = judge.at_block("journal superblock", ino, run.block);
            (at, format!("magic {magic:#010x}, not 0xc03b3998"))
        });
        Ok(())
    }

    /// There is a journal where there should be one.
    pub(super) fn journal(&mut self) -> Result<(), ReadError> {
        let raw = &self.superblock.raw;
        if !self.superblock.compat(compat::HAS_JOURNAL) || raw.s_journal_dev.get() != 0 {
            return Ok(());
        }
        let ino = Ino(raw.s_journal_inum.get());
        let entry = self.entry(ino).map(|index| &self.inodes[index]);
        // What else is wrong with it has been told.
        let held = entry.is_some_and(|entry| {
            entry.links > 0 && matches!(entry.body, Body::File | Body::Broken)
        });
        self.note(&JOURNAL, held, |judge| {
            let at = super::superblock::location(judge.region, judge.name, 1024);
            (at, format!("s_journal_inum {}, which is no file in use", ino.0))
        });
        Ok(())
    }
}

/// What of an inline file has no room in `i_block`.
fn inline_data<'a>(inode: &Inode<'a>) -> Option<&'a [u8]> {
    xattrs(inode.xattr_area()).find(|attribute| attribute.is_inline_data())?.value
}
