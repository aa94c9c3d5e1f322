//! Inodes, in the order of their tables: e2fsck's pass 1.

use std::collections::BTreeMap;

use image_formats::{
    bytes::ReadError,
    ext4::{
        Block, Descriptor, FileType, GroupIndex, Ino, Inode, Run, checksum, compat, incompat, raw,
        ro_compat,
    },
};
use zerocopy::FromBytes as _;

use super::{
    Judge,
    checks::*,
    directories::Directory,
    fs::blocks,
    groups::has_flags,
    map::{Map, max_indirect},
    volume::{inline_data, is_fast},
};

/// How much of an inode table is read at once.
const PIECE: usize = 1 << 20;

/// `EXT4_XATTR_MAGIC`.
const XATTR_MAGIC: u32 = 0xea02_0000;

/// What the later passes need to know of an inode in use.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    /// `i_mode`.
    pub(super) mode: u16,
    /// `i_links_count`.
    pub(super) links: u16,
    /// How many names were found.
    pub(super) names: u32,
    flags: u8,
}

impl Known {
    const IN_USE: u8 = 1;
    /// Not meant to have a name.
    pub(super) const NAMELESS: u8 = 2;
    /// What is wrong with it has been told.
    pub(super) const BROKEN: u8 = 4;

    /// True if this flag is set.
    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// What it is, where the mode has a sense.
    pub(super) fn file_type(self) -> Option<FileType> {
        FileType::from_mode(self.mode)
    }
}

/// The inodes in use: 12 bytes for each, and for those beside it.
#[derive(Debug)]
pub(super) struct Inodes {
    /// For every 64 inodes their place among the pages, from 1 on; 0 where none is in use. What is
    /// never written here takes no memory.
    index: Vec<u32>,
    pages: Vec<[Known; Self::PAGE as usize]>,
}

impl Inodes {
    const PAGE: u32 = 64;

    /// None of `count` inodes is in use.
    pub(super) fn new(count: u32) -> Self {
        Self { index: vec![0; count.div_ceil(Self::PAGE) as usize], pages: Vec::new() }
    }

    fn place(ino: Ino) -> Option<(usize, usize)> {
        let at = ino.0.checked_sub(1)?;
        Some(((at / Self::PAGE) as usize, (at % Self::PAGE) as usize))
    }

    /// An inode, if it is in use.
    pub(super) fn get(&self, ino: Ino) -> Option<&Known> {
        let (page, at) = Self::place(ino)?;
        let page = (*self.index.get(page)? as usize).checked_sub(1)?;
        self.pages.get(page)?.get(at).filter(|known| known.has(Known::IN_USE))
    }

    /// An inode, if it is in use.
    pub(super) fn get_mut(&mut self, ino: Ino) -> Option<&mut Known> {
        let (page, at) = Self::place(ino)?;
        let page = (*self.index.get(page)? as usize).checked_sub(1)?;
        self.pages.get_mut(page)?.get_mut(at).filter(|known| known.has(Known::IN_USE))
    }

    fn insert(&mut self, ino: Ino, known: Known) {
        let Some((page, at)) = Self::place(ino) else { return };
        let Some(index) = self.index.get_mut(page) else { return };
        if *index == 0 {
            self.pages.push([Known::default(); Self::PAGE as usize]);
            *index = self.pages.len() as u32;
        }
        self.pages[*index as usize - 1][at] = Known { flags: known.flags | Known::IN_USE, ..known };
    }

    /// The first inode in use from `from` on, and before `end`.
    pub(super) fn next(&self, from: Ino, end: Ino) -> Option<(Ino, Known)> {
        let mut ino = from.0.max(1);
        while ino < end.0 {
            let (page, _) = Self::place(Ino(ino))?;
            if *self.index.get(page)? == 0 {
                // On to the next page.
                let next = (page as u64 + 1) * u64::from(Self::PAGE) + 1;
                ino = u32::try_from(next).ok()?;
            } else if let Some(known) = self.get(Ino(ino)) {
                return Some((Ino(ino), *known));
            } else {
                ino = ino.checked_add(1)?;
            }
        }
        None
    }

    /// All inodes in use from `first` on, and before `end`, in their order.
    pub(super) fn range(&self, first: Ino, end: Ino) -> impl Iterator<Item = (Ino, Known)> {
        let mut from = first;
        std::iter::from_fn(move || {
            let (ino, known) = self.next(from, end)?;
            from = Ino(ino.0.checked_add(1)?);
            Some((ino, known))
        })
    }
}

/// A file of the file system itself: the journal, a quota, the list of orphans. It was judged like
/// any file.
#[derive(Debug)]
pub(super) struct Metafile {
    /// Its number.
    pub(super) ino: Ino,
    /// Its bytes.
    pub(super) inode: Box<[u8]>,
    /// Its blocks.
    pub(super) runs: Vec<Run>,
}

impl Judge<'_, '_> {
    /// Judges all inodes.
    pub(super) fn inodes(&mut self) -> Result<(), ReadError> {
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
                    self.inode(ino, bytes, &mut shared)?;
                }
                done += now;
            }
        }
        Ok(())
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
        let nameless = reserved || listed.contains(&ino.0) || inode.has(Inode::EA_INODE);
        let (mode, links) = (inode.raw.i_mode.get(), inode.raw.i_links_count.get());
        let sound = self.body(ino, &inode, nameless, shared)?;
        let flags =
            (if nameless { Known::NAMELESS } else { 0 }) | (if sound { 0 } else { Known::BROKEN });
        self.inodes.insert(ino, Known { mode, links, names: 0, flags });
        Ok(())
    }

    /// A file of the file system itself, where it was found sound.
    pub(super) fn metafile(&self, ino: Ino) -> Result<Option<Metafile>, ReadError> {
        let sound =
            |known: &&Known| !known.has(Known::BROKEN) && known.file_type() == Some(FileType::File);
        if self.inodes.get(ino).filter(sound).is_none() {
            return Ok(None);
        }
        let inode = self.fs().inode(ino)?;
        let runs = self.fs().runs(&Inode::new(&inode))?;
        Ok(Some(Metafile { ino, inode, runs }))
    }

    /// Judges one inode. False where it is broken, which has been told then.
    fn body(
        &mut self,
        ino: Ino,
        inode: &Inode<'_>,
        nameless: bool,
        shared: &mut BTreeMap<Block, ()>,
    ) -> Result<bool, ReadError> {
        let superblock = self.superblock;
        if superblock.ro_compat(ro_compat::METADATA_CSUM) {
            let (stored, computed) = inode.checksum(superblock, ino);
            if !self.expect(&INODE_CHECKSUM, stored == computed, |judge| {
                let message = format!("stored {stored:#010x}, computed {computed:#010x}");
                (judge.at_inode(ino), message)
            }) {
                return Ok(false);
            }
        }
        if ino == Ino::BAD_BLOCKS || nameless && inode.raw.i_links_count.get() == 0 {
            // The bad blocks are claimed, so that no file may have them.
            return Ok(self.map(ino, inode)?.is_some());
        }
        if !self.fields(ino, inode, nameless) {
            return Ok(false);
        }
        let Some(file_type) = inode.file_type() else { return Ok(true) };
        let attributes = self.xattr_block(ino, inode, shared)?;
        let mapped = match file_type {
            _ if inode.has(Inode::INLINE_DATA) => false,
            FileType::File | FileType::Directory => true,
            FileType::Symlink => !is_fast(inode),
            _ => false,
        };
        let map = match mapped {
            true => match self.map(ino, inode)? {
                Some(map) => map,
                None => return Ok(false),
            },
            false => Map::default(),
        };
        if !self.size(ino, inode, file_type, &map) {
            return Ok(false);
        }
        let clusters = map.clusters + u64::from(attributes);
        let in_cluster =
            u64::from(self.geometry.cluster_blocks) * u64::from(self.geometry.block_size) / 512;
        let (stored, counted) = (inode.sectors(superblock), clusters * in_cluster);
        self.note(&FILE_BLOCKS, stored == counted, |judge| {
            (judge.at_inode(ino), format!("{stored} times 512 bytes, not {counted}"))
        });
        match file_type {
            FileType::Directory => {
                let seed = inode.checksum_seed(superblock, ino);
                self.directories.push(Directory::new(ino, inode, seed, map.only_run()));
            }
            FileType::Symlink => return self.symlink(ino, inode, &map),
            _ => {}
        }
        Ok(true)
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

    fn symlink(&mut self, ino: Ino, inode: &Inode<'_>, map: &Map) -> Result<bool, ReadError> {
        let size = inode.size();
        let inline = inode.has(Inode::INLINE_DATA);
        let mut area = inode.block_area().to_vec();
        if inline {
            area.extend(inline_data(inode).unwrap_or_default());
        } else if map.last.is_some() {
            let run = map.only_run().filter(|_| map.last == Some(0));
            area = vec![0; self.geometry.block_size as usize];
            if let Some(run) = run {
                self.read("ext4 symlink", run.block, &mut area)?;
            }
        }
        let len = area.iter().take_while(|byte| **byte != 0).count() as u64;
        // Ciphertext has NULs.
        let encrypted = inode.has(Inode::ENCRYPT);
        let room = (area.len() as u64).saturating_sub(u64::from(!inline));
        let held = size > 0 && size <= room && (encrypted || len == size);
        Ok(self.expect(&SYMLINK, held, |judge| {
            (judge.at_inode(ino), format!("i_size {size}, and the target has {len} bytes"))
        }))
    }

    /// There is a journal where there should be one.
    pub(super) fn journal(&mut self) -> Result<(), ReadError> {
        let raw = &self.superblock.raw;
        if !self.superblock.compat(compat::HAS_JOURNAL) || raw.s_journal_dev.get() != 0 {
            return Ok(());
        }
        let ino = Ino(raw.s_journal_inum.get());
        let known = self.inodes.get(ino);
        // What else is wrong with it has been told.
        let held = known.is_some_and(|known| {
            known.links > 0
                && (known.file_type() == Some(FileType::File) || known.has(Known::BROKEN))
        });
        if !self.note(&JOURNAL, held, |judge| {
            let at = super::superblock::location(judge.region, judge.name, 1024);
            (at, format!("s_journal_inum {}, which is no file in use", ino.0))
        }) {
            return Ok(());
        }
        let Some(journal) = self.metafile(ino)? else { return Ok(()) };
        let Some((_, block)) = blocks(&journal.runs).next() else { return Ok(()) };
        let mut bytes = vec![0; self.geometry.block_size as usize];
        self.read("ext4 journal superblock", block, &mut bytes)?;
        // Its numbers are big-endian.
        let magic = bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        self.note(&JOURNAL, magic == 0xc03b_3998, |judge| {
            let at = judge.at_block("journal superblock", ino, block);
            (at, format!("magic {magic:#010x}, not 0xc03b3998"))
        });
        Ok(())
    }
}
