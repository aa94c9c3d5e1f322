//! Directories, a block at a time: e2fsck's pass 2.

use image_formats::{
    bytes::ReadError,
    ext4::{
        Block, BlockChecksum, Descriptor, DirectoryBlock, FileType, Ino, Inode, Run, incompat, raw,
        ro_compat,
    },
};

use super::{
    Judge, Place,
    checks::*,
    entries::{Names, Part},
    fs::blocks,
    groups::has_flags,
    index::{Index, MAX_BLOCKS},
    inodes::Known,
    volume::inline_data,
    xattr::Policy,
};

/// How much of a directory is read at once.
const PIECE: usize = 256 << 10;

/// `EXT4_ENC_STRICT_MODE_FL`: names that are no text in the encoding are refused.
const STRICT_ENCODING: u16 = 1;

/// A directory: what is kept of it from when its inode is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Directory {
    /// The first of its blocks, where they are a single run of `len` blocks.
    first: u64,
    /// 0 where its blocks are to be looked up.
    len: u32,
    pub(super) ino: Ino,
    /// The directory that has it; 0 until an entry leads to it.
    pub(super) parent: Ino,
    /// What its `..` says; 0 where it has none.
    pub(super) dotdot: Ino,
    /// Of the checksums of its blocks.
    seed: u32,
    flags: u8,
    /// Whether a way leads here from the root.
    pub(super) way: Way,
}

/// With the twelve bytes of its inode it is 44.
const _: () = assert!(size_of::<Directory>() == 32);

/// Where the parents of a directory lead to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Way {
    /// Not followed yet.
    #[default]
    Unknown,
    /// It is being followed.
    Followed,
    /// To the root.
    Root,
    /// To a directory that is in none, or in itself.
    Nowhere,
}

/// The flags of inodes that matter for directories.
const FLAGS: [u32; 4] = [Inode::INDEX, Inode::INLINE_DATA, Inode::ENCRYPT, Inode::CASEFOLD];

impl Directory {
    /// The directory of `inode`; `run` has all of its blocks, where they are a single one.
    pub(super) fn new(ino: Ino, inode: &Inode<'_>, seed: u32, run: Option<Run>) -> Self {
        let run = run.filter(|run| run.logical == 0 && !run.unwritten);
        let (first, len) = run.map_or((0, 0), |run| (run.block.0, run.len));
        let bits = FLAGS.iter().zip(0_u8..).map(|(flag, bit)| u8::from(inode.has(*flag)) << bit);
        let flags = bits.sum();
        Self { first, len, ino, parent: Ino(0), dotdot: Ino(0), seed, flags, way: Way::default() }
    }

    /// True if its inode has this flag, of those that matter here.
    pub(super) fn has(&self, flag: u32) -> bool {
        FLAGS.iter().zip(0_u8..).any(|(known, bit)| *known == flag && self.flags & 1 << bit != 0)
    }

    fn run(&self) -> Option<Run> {
        let block = Block(self.first);
        (self.len > 0).then_some(Run { logical: 0, block, len: self.len, unwritten: false })
    }
}

/// A directory whose blocks are being judged.
pub(super) struct Here<'n> {
    pub(super) directory: Directory,
    /// The entry that comes next, in the block that is judged: the first two of a directory are `.`
    /// and `..`.
    pub(super) position: u64,
    /// The block that has those.
    start: u64,
    /// What is encrypted has to be so in the same way.
    pub(super) policy: Option<Policy>,
    /// A hash is stored after each name.
    pub(super) has_hashes: bool,
    /// Names have to be text, and do not care for case.
    pub(super) is_strict: bool,
    pub(super) index: Option<Index>,
    pub(super) names: &'n mut Names,
}

impl Judge<'_, '_> {
    /// A directory, by its inode.
    pub(super) fn directory_at(&self, ino: Ino) -> Option<usize> {
        self.directories.binary_search_by_key(&ino, |directory| directory.ino).ok()
    }

    /// How an inode is encrypted, if it is.
    pub(super) fn policy(&self, ino: Ino) -> Option<Policy> {
        let at = self.policies.binary_search_by_key(&ino, |(ino, _)| *ino).ok()?;
        self.policies.get(at).map(|(_, policy)| *policy)
    }

    /// Judges the entries of all directories. False where there is no root.
    pub(super) fn directories(&mut self) -> Result<bool, ReadError> {
        let root = self.inodes.get(Ino::ROOT).copied();
        // A root that is broken has been told of.
        if root.is_some_and(|root| root.has(Known::BROKEN)) {
            self.sound = false;
            return Ok(false);
        }
        let held = root
            .is_some_and(|root| root.links > 0 && root.file_type() == Some(FileType::Directory));
        if !self.expect(&ROOT, held, |judge| {
            (judge.at_inode(Ino::ROOT), "inode 2 is no directory in use".to_owned())
        }) {
            return Ok(false);
        }
        let strict = self.superblock.incompat(incompat::CASEFOLD)
            && self.superblock.raw.s_encoding_flags.get() & STRICT_ENCODING != 0;
        // What the descriptors say of inodes that were never used has to be right where nothing
        // relies on it as well.
        self.has_idle_flags = !has_flags(self.superblock)
            && self.groups.iter().any(|descriptor| {
                descriptor.has(Descriptor::INODE_UNINIT) || descriptor.itable_unused() > 0
            });
        let mut names = Names::default();
        let mut piece = vec![0; PIECE.max(self.geometry.block_size as usize)];
        for at in 0..self.directories.len() {
            let directory = self.directories[at];
            let encrypted = directory.has(Inode::ENCRYPT);
            let casefold = directory.has(Inode::CASEFOLD);
            let policy = encrypted.then(|| self.policy(directory.ino)).flatten();
            names.clear();
            let mut here = Here {
                directory,
                position: 0,
                start: 0,
                policy,
                has_hashes: casefold && policy.is_some(),
                is_strict: strict && casefold,
                index: None,
                names: &mut names,
            };
            if directory.has(Inode::INLINE_DATA) {
                self.inline_directory(&mut here)?;
            } else {
                self.directory(&mut here, &mut piece)?;
            }
            self.directories[at].dotdot = here.directory.dotdot;
            let index = here.index.take();
            if let Some(index) = index {
                self.index(&directory, index);
            }
            if names.has_repeated() {
                self.repeated_names(&directory, &names)?;
            }
        }
        self.held_in_directories(strict);
        Ok(true)
    }

    /// Tells of the checks that were evaluated in directories that they held, unless they failed:
    /// entries come in millions, and only what is wrong is told of one.
    fn held_in_directories(&mut self, strict: bool) {
        let any = |flag: u32| self.directories.iter().any(|directory| directory.has(flag));
        let in_blocks = self.directories.iter().any(|known| !known.has(Inode::INLINE_DATA));
        let sums = self.superblock.ro_compat(ro_compat::METADATA_CSUM);
        let types = self.superblock.incompat(incompat::FILETYPE);
        let checks = [
            (&DIRECTORY_BLOCKS, true),
            (&DIRECTORY_ENTRY, true),
            (&DIRECTORY_CHECKSUM, sums && in_blocks),
            (&DIRECTORY_NAME, true),
            (&DIRECTORY_DOTS, true),
            (&DIRECTORY_DOT_SIZE, in_blocks),
            (&DIRECTORY_INODE, true),
            (&DIRECTORY_TYPE, true),
            (&DIRECTORY_TYPE_MISSING, types),
            (&DIRECTORY_ENCRYPTED, any(Inode::ENCRYPT)),
            (&DIRECTORY_ENCODING, strict && any(Inode::CASEFOLD)),
            (&DIRECTORY_DUPLICATE, in_blocks),
            (&DIRECTORY_REPEATED, true),
            (&DIRECTORY_INDEX, any(Inode::INDEX)),
            (&DIRECTORY_HASH, any(Inode::INDEX)),
            (&DIRECTORY_PARENT, true),
        ];
        let checks = checks.map(|(check, evaluated)| evaluated.then_some(check));
        for check in checks.into_iter().flatten() {
            self.note(check, true, |judge| (judge.at_inode(Ino::ROOT), String::new()));
        }
    }

    /// The runs of blocks of a directory that was found sound.
    pub(super) fn directory_runs(&self, directory: &Directory) -> Result<Vec<Run>, ReadError> {
        match directory.run() {
            Some(run) => Ok(vec![run]),
            None => {
                let inode = self.fs().inode(directory.ino)?;
                self.fs().runs(&Inode::new(&inode))
            }
        }
    }

    /// A directory in its inode: the parent and the first entries in `i_block`, and more in an
    /// attribute.
    fn inline_directory(&mut self, here: &mut Here<'_>) -> Result<(), ReadError> {
        let ino = here.directory.ino;
        let inode = self.fs().inode(ino)?;
        let inode = Inode::new(&inode);
        let rest = inline_data(&inode).unwrap_or_default();
        let fits = rest.is_empty() || rest.len() >= 12 && rest.len().is_multiple_of(4);
        self.expect(&DIRECTORY_BLOCKS, fits, |judge| {
            let len = rest.len();
            let message = format!("{len} bytes of entries in system.data, not a multiple of 4");
            (judge.at_inode(ino), message)
        });
        let is_indexed = here.directory.has(Inode::INDEX);
        self.expect(&DIRECTORY_INDEX, !is_indexed, |judge| {
            (judge.at_inode(ino), "a directory in its inode has room for none".to_owned())
        });
        let (parent, entries) = inode.block_area().split_at(4);
        let parent = parent.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        here.names.keep_all();
        let part = Part::inline(ino, entries, 0);
        self.inline_dots(here, &part, Ino(parent));
        self.entries(here, &part);
        if fits {
            here.position = 2;
            self.entries(here, &Part::inline(ino, rest, 1));
        }
        Ok(())
    }

    fn directory(&mut self, here: &mut Here<'_>, piece: &mut [u8]) -> Result<(), ReadError> {
        let directory = here.directory;
        let runs = self.directory_runs(&directory)?;
        let mut next = 0;
        let mut hole = None;
        for run in &runs {
            if run.logical != next && hole.is_none() {
                hole = Some(next);
            }
            next = run.logical + u64::from(run.len);
        }
        here.start = runs.first().map_or(0, |run| run.logical);
        if hole == Some(0)
            || hole.is_some() && !self.may_have_holes(directory.ino)?
            || runs.is_empty()
        {
            self.expect(&DIRECTORY_BLOCKS, false, |judge| {
                let what = match hole {
                    Some(block) => format!("no block {block} of {next}"),
                    None => "no block".to_owned(),
                };
                (judge.at_inode(directory.ino), format!("the directory has {what}"))
            });
        }
        if directory.has(Inode::INDEX) && next > MAX_BLOCKS {
            self.expect(&LIMIT, false, |judge| {
                let message = format!("an index over {next} blocks, not {MAX_BLOCKS} at most");
                (judge.at_inode(directory.ino), message)
            });
            self.has_lost_entries = true;
            return Ok(());
        }
        if directory.has(Inode::INDEX) && hole.is_none() && next > 0 {
            here.index = Some(Index::new(next));
        } else if next > 1 {
            here.names.keep_all();
        }
        let size = self.geometry.block_size as usize;
        let mut blocks = blocks(&runs).peekable();
        // Bounded: each block has this directory alone as its owner.
        while let Some((logical, block)) = blocks.next() {
            let mut len = size;
            while len + size <= piece.len()
                && let next = (logical + (len / size) as u64, block.0 + (len / size) as u64)
                && blocks.next_if(|(logical, block)| (*logical, block.0) == next).is_some()
            {
                len += size;
            }
            self.read("ext4 directory block", block, &mut piece[..len])?;
            for (at, bytes) in (0_u64..).zip(piece[..len].chunks_exact(size)) {
                let block = Block(block.0 + at);
                self.directory_block(here, logical + at, block, bytes);
            }
        }
        Ok(())
    }

    /// True for a directory that may have blocks that are not there: with large_dir the blocks that
    /// became empty may be freed, but not from a tree of extents.
    fn may_have_holes(&self, ino: Ino) -> Result<bool, ReadError> {
        let inode = self.fs().inode(ino)?;
        Ok(self.superblock.incompat(incompat::LARGEDIR)
            && !self.superblock.incompat(incompat::INLINE_DATA)
            && !Inode::new(&inode).has(Inode::EXTENTS))
    }

    fn directory_block(&mut self, here: &mut Here<'_>, logical: u64, block: Block, bytes: &[u8]) {
        let directory = here.directory;
        let place = Place::Block("directory block", directory.ino, block);
        let all = DirectoryBlock::new(bytes, self.geometry.block_size);
        let sums = self.superblock.ro_compat(ro_compat::METADATA_CSUM);
        if let Some(index) = &mut here.index
            && let Err(message) = index.begin(logical, all, sums, &directory, self.superblock)
        {
            self.expect(&DIRECTORY_INDEX, false, |judge| (judge.at(place), message));
        }
        let is_node = here.index.as_ref().is_some_and(Index::is_at_node);
        let mut len = bytes.len();
        if sums {
            let found = all.checksums(directory.seed);
            let message = match found {
                BlockChecksum::Tail(stored, computed) | BlockChecksum::Node(stored, computed) => {
                    let tell = || format!("stored {stored:#010x}, computed {computed:#010x}");
                    (stored != computed).then(tell)
                }
                BlockChecksum::NoRoom => Some("the block has no checksum".to_owned()),
                // That is what is told of it then.
                BlockChecksum::Nowhere => None,
            };
            if let Some(message) = message {
                self.expect(&DIRECTORY_CHECKSUM, false, |judge| (judge.at(place), message));
            }
            if !is_node && found != BlockChecksum::NoRoom {
                len -= raw::DirectoryTail::SIZE;
            }
        }
        here.position = if logical == here.start { 0 } else { 2 };
        let whole = self.entries(here, &Part::block(place, &bytes[..len], logical));
        if logical == here.start && whole {
            let position = here.position;
            self.expect(&DIRECTORY_DOTS, position >= 2, |judge| {
                (judge.at(place), format!("{position} entries, and `.` and `..` are due"))
            });
        }
        if is_node
            && let Some(index) = &mut here.index
            && let Err(message) = index.node(all, sums)
        {
            self.expect(&DIRECTORY_INDEX, false, |judge| (judge.at(place), message));
        }
    }
}
