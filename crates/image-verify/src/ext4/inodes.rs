//! Inodes, in the order of their tables: e2fsck's pass 1. What belongs to one of them is in
//! `file.rs`, `map.rs` and `xattr.rs`.

use image_formats::{
    bytes::ReadError,
    ext4::{Block, Descriptor, FileType, GroupIndex, Ino, Inode, Run, compat, incompat, ro_compat},
};

use super::{Judge, checks::*, groups::has_flags, xattr::Attributes};

/// Pieces of the journal, a quota or the list of orphans that are kept in memory: 24 MiB. A journal
/// of 1 GiB has no more, whatever happened to it.
const MAX_RUNS: usize = 1 << 20;

/// How much of an inode table is read at once.
const PIECE: usize = 1 << 20;

/// How many inodes are compared with nothing at once.
const CHUNK: usize = 16;

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
    /// Its content, names or target are encrypted.
    pub(super) const ENCRYPTED: u8 = 8;
    /// It is the value of an extended attribute.
    pub(super) const VALUE: u8 = 16;

    /// True if this flag is set.
    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Sets a flag.
    pub(super) fn set(&mut self, flag: u8) {
        self.flags |= flag;
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

/// What an inode is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The list of blocks that the disk cannot hold.
    BadBlocks,
    /// A file of the file system itself: the journal, a quota, the list of orphans.
    Metafile,
    /// One that is kept for a file of the file system itself, which there is not.
    Unused,
    /// Another of those that no directory has.
    Reserved,
    /// Whatever a directory may have, the root included.
    File,
}

impl Judge<'_, '_> {
    /// Judges all inodes.
    pub(super) fn inodes(&mut self) -> Result<(), ReadError> {
        let geometry = self.geometry;
        let size = usize::from(geometry.inode_size);
        let mut attributes = Attributes::default();
        self.multi_mount();
        let mut piece = vec![0; PIECE.max(size)];
        let in_piece = (piece.len() / size) as u32;
        let nothing = vec![0; CHUNK * size];
        for (group, descriptor) in (0..).map(GroupIndex).zip(self.groups) {
            let mut count = geometry.inodes_per_group;
            if has_flags(self.superblock) {
                count = count.saturating_sub(descriptor.itable_unused());
                if descriptor.has(Descriptor::INODE_UNINIT) {
                    count = 0;
                }
            }
            let table = geometry.offset(descriptor.inode_table());
            let mut done = 0;
            while done < count {
                let now = in_piece.min(count - done);
                let bytes = &mut piece[..now as usize * size];
                let at = table + u64::from(done) * size as u64;
                self.region.fill("ext4 inode table", at, bytes)?;
                let chunks = piece[..now as usize * size].chunks(nothing.len());
                for (first, chunk) in (done..).step_by(CHUNK).zip(chunks) {
                    // Most of most tables was never used, which is seen at the speed of memory.
                    let has_root = geometry.ino(group, first) <= Ino::ROOT;
                    if chunk == &nothing[..chunk.len()] && !has_root {
                        continue;
                    }
                    for (index, bytes) in (first..).zip(chunk.chunks_exact(size)) {
                        self.inode(geometry.ino(group, index), bytes, &mut attributes)?;
                    }
                }
                done += now;
            }
        }
        self.shared_attributes(attributes)?;
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
        attributes: &mut Attributes,
    ) -> Result<(), ReadError> {
        let inode = Inode::new(bytes);
        let superblock = self.superblock;
        // Those that were never used are zeros, and have no checksum.
        if inode.is_blank() && ino != Ino::ROOT {
            return Ok(());
        }
        let mut sound = true;
        if superblock.ro_compat(ro_compat::METADATA_CSUM) {
            let (stored, computed) = inode.checksum(superblock, ino);
            sound = self.expect(&INODE_CHECKSUM, stored == computed, |judge| {
                let message = format!("stored {stored:#010x}, computed {computed:#010x}");
                (judge.at_inode(ino), message)
            });
        }
        let role = self.role(ino);
        self.deleted(ino, &inode, role);
        let (mode, links) = (inode.raw.i_mode.get(), inode.raw.i_links_count.get());
        if links == 0 && role == Role::File {
            return Ok(());
        }
        sound &= match role {
            Role::BadBlocks => self.bad_blocks(ino, &inode)?,
            Role::Metafile | Role::Unused | Role::Reserved => {
                self.metadata_file(ino, &inode, role, attributes)?
            }
            Role::File => self.file(ino, &inode, attributes)?,
        };
        let mut flags = 0;
        let mut set = |flag: u8, holds: bool| flags |= if holds { flag } else { 0 };
        set(Known::NAMELESS, role != Role::File);
        set(Known::BROKEN, !sound);
        set(Known::ENCRYPTED, inode.has(Inode::ENCRYPT));
        set(Known::VALUE, inode.has(Inode::EA_INODE));
        self.inodes.insert(ino, Known { mode, links, names: 0, flags });
        Ok(())
    }

    /// What the superblock and the numbers of inodes say that an inode is for.
    fn role(&self, ino: Ino) -> Role {
        let superblock = self.superblock;
        let raw = &superblock.raw;
        let quotas = [raw.s_usr_quota_inum, raw.s_grp_quota_inum, raw.s_prj_quota_inum];
        let is_quota = superblock.ro_compat(ro_compat::QUOTA)
            && quotas.iter().any(|number| number.get() == ino.0);
        let has = match ino {
            Ino::BAD_BLOCKS => return Role::BadBlocks,
            Ino::ROOT => return Role::File,
            // A journal elsewhere was made in a file that has a name.
            Ino::JOURNAL => raw.s_journal_inum.get() == ino.0,
            Ino::USER_QUOTA | Ino::GROUP_QUOTA => is_quota,
            _ if ino.0 == raw.s_prj_quota_inum.get() => is_quota,
            _ if ino.0 == raw.s_orphan_file_inum.get() => superblock.compat(compat::ORPHAN_FILE),
            _ if ino < superblock.first_ino() => return Role::Reserved,
            _ => return Role::File,
        };
        if has { Role::Metafile } else { Role::Unused }
    }

    /// When an inode was deleted, and whether it was.
    fn deleted(&mut self, ino: Ino, inode: &Inode<'_>, role: Role) {
        let deleted = inode.raw.i_dtime.get();
        let links = inode.raw.i_links_count.get();
        // A number so small is the next one of the list of inodes to delete, unless the clock stood
        // at the start of time when the file system was made.
        let raw = &self.superblock.raw;
        let early = |time: u32| time != 0 && time < self.geometry.inodes_count;
        let times = [raw.s_wtime.get(), raw.s_mtime.get(), raw.s_mkfs_time.get()];
        let listed = early(deleted) && !times.into_iter().any(early);
        let due = links == 0 && role == Role::File && inode.raw.i_mode.get() != 0;
        let held = match deleted {
            0 => !due,
            _ => !listed && (links == 0 || role != Role::File),
        };
        self.note(&INODE_DELETED, held, |judge| {
            let message = match (deleted, links) {
                (0, _) => "no links, and i_dtime is 0".to_owned(),
                (_, 0) => format!("i_dtime {deleted} is a number of an inode, and no time"),
                (_, links) => format!("i_dtime {deleted}, and {links} links"),
            };
            (judge.at_inode(ino), message)
        });
    }

    /// A file of the file system itself, where it was found sound and is not in too many pieces.
    pub(super) fn metafile(&self, ino: Ino) -> Result<Option<Metafile>, ReadError> {
        // The map of one without links may not have been judged.
        let sound = |known: &&Known| {
            known.links > 0
                && !known.has(Known::BROKEN)
                && known.file_type() == Some(FileType::File)
        };
        if self.inodes.get(ino).filter(sound).is_none() {
            return Ok(None);
        }
        let inode = self.fs().inode(ino)?;
        let runs = self.fs().first_runs(&Inode::new(&inode), MAX_RUNS)?;
        // Where files share blocks, or have those of groups, one may be there again and again.
        let blocks: u64 = runs.iter().map(|run| u64::from(run.len)).sum();
        let fits = runs.len() <= MAX_RUNS && blocks <= self.geometry.blocks_count;
        Ok(fits.then_some(Metafile { ino, inode, runs }))
    }
}
