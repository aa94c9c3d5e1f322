//! One inode, and what belongs to it: its fields, its blocks, its size. e2fsck's pass 1.

use image_formats::{
    bytes::ReadError,
    ext4::{ExtentNode, FileType, Ino, Inode, Xattr, Xattrs, compat, incompat, raw, ro_compat},
};

use super::{
    Judge,
    checks::*,
    directories::Directory,
    inodes::Role,
    map::{Map, max_indirect},
    volume::is_fast,
    xattr::{Attributes, Cost, Policy},
};

/// `s_creator_os` of the Hurd, which has its own use for some fields.
const HURD: u32 = 1;

/// From this size on the feature large_file is due.
const LARGE: u64 = 1 << 31;

impl Judge<'_, '_> {
    /// The list of bad blocks: they are claimed, so that no file may have them.
    pub(super) fn bad_blocks(&mut self, ino: Ino, inode: &Inode<'_>) -> Result<bool, ReadError> {
        let raw = &inode.raw;
        // e2fsck reads the low halves of the owners only.
        let held = raw.i_mode.get() == 0
            && (raw.i_uid.get(), raw.i_gid.get()) == (0, 0)
            && raw.i_links_count.get() == 0
            && !inode.has(Inode::INLINE_DATA)
            && raw.i_file_acl_lo.get() == 0;
        self.note(&INODE_RESERVED, held, |judge| {
            let at = judge.at_inode(ino);
            (at, "the list of bad blocks has fields that are not 0".to_owned())
        });
        self.flags(ino, inode, Role::BadBlocks);
        Ok(self.map(ino, inode)?.is_some())
    }

    /// A file of the file system itself, or a reserved inode.
    pub(super) fn metadata_file(
        &mut self,
        ino: Ino,
        inode: &Inode<'_>,
        role: Role,
        attributes: &mut Attributes,
    ) -> Result<bool, ReadError> {
        if role == Role::Unused {
            self.flags(ino, inode, role);
            let clear = inode.raw.i_links_count.get() == 0
                && inode.raw.i_blocks_lo.get() == 0
                && inode.block_area()[..4] == [0; 4];
            self.note(&INODE_RESERVED, clear, |judge| {
                (judge.at_inode(ino), "in use, and the file system has no such file".to_owned())
            });
            // What it has is not free all the same.
            if inode.raw.i_links_count.get() > 0 {
                return self.file(ino, inode, attributes);
            }
            // Of the flags e2fsck looks at these.
            let both = inode.has(Inode::EXTENTS) && inode.has(Inode::INLINE_DATA);
            if both || inode.has(Inode::CASEFOLD) {
                self.flags(ino, inode, role);
            }
            return Ok(true);
        }
        let mode = inode.raw.i_mode.get();
        let file_type = inode.file_type();
        let is_file = file_type == Some(FileType::File);
        let good = match (role, ino) {
            (Role::Metafile, _) => is_file,
            (_, Ino::BOOT_LOADER) => file_type != Some(FileType::Directory),
            (_, Ino::RESIZE) => mode == 0 || is_file,
            _ => mode == 0,
        };
        let sound = self.note(&INODE_RESERVED, good, |judge| {
            (judge.at_inode(ino), format!("i_mode {mode:#o}, which is not for this inode"))
        });
        self.flags(ino, inode, role);
        let blocks = self.blocks(ino, inode, role, Cost::default(), attributes)?;
        Ok(sound & blocks.is_some())
    }

    /// An inode that a directory may have.
    pub(super) fn file(
        &mut self,
        ino: Ino,
        inode: &Inode<'_>,
        attributes: &mut Attributes,
    ) -> Result<bool, ReadError> {
        self.flags(ino, inode, Role::File);
        self.unused_fields(ino, inode);
        let mut sound = self.extra_size(ino, inode);
        let mode = inode.raw.i_mode.get();
        let file_type = inode.file_type();
        if !self.expect(&INODE_MODE, file_type.is_some(), |judge| {
            (judge.at_inode(ino), format!("i_mode {mode:#o} is no type of file"))
        }) {
            return Ok(false);
        }
        let Some(kind) = file_type else { return Ok(false) };
        let (cost, policy) = match sound {
            true => self.inode_attributes(ino, inode, attributes)?,
            false => Default::default(),
        };
        if !matches!(kind, FileType::File | FileType::Directory | FileType::Symlink) {
            sound &= self.special(ino, inode);
        }
        if kind == FileType::Symlink && inode.has(Inode::INLINE_DATA) {
            // As e2fsck does: it has no blocks, so none are counted.
            return Ok(sound
                & self.inline(ino, inode)
                & self.symlink(ino, inode, &Map::default())?);
        }
        let blocks = self.blocks(ino, inode, Role::File, cost, attributes)?;
        let Some((map, from_block)) = blocks else { return Ok(false) };
        if inode.has(Inode::ENCRYPT) {
            self.encryption(ino, policy.or(from_block));
        }
        match kind {
            FileType::Directory => {
                let seed = inode.checksum_seed(self.superblock, ino);
                self.directories.push(Directory::new(ino, inode, seed, map.only_run()));
            }
            FileType::Symlink => sound &= self.symlink(ino, inode, &map)?,
            _ => {}
        }
        Ok(sound)
    }

    /// The flags fit the features of the file system, and each other.
    fn flags(&mut self, ino: Ino, inode: &Inode<'_>, role: Role) {
        let superblock = self.superblock;
        let has = |flag| inode.has(flag);
        let file_type = inode.file_type();
        let is_directory = file_type == Some(FileType::Directory);
        // What is there for nothing is not asked for an index.
        let judged = !matches!(role, Role::BadBlocks | Role::Unused);
        let mapped = is_directory || file_type == Some(FileType::File);
        let extents = superblock.incompat(incompat::EXTENTS);
        let in_use = inode.raw.i_links_count.get() > 0
            || matches!(ino, Ino::BAD_BLOCKS | Ino::ROOT | Ino::JOURNAL);
        // A map that looks like extents, and nobody says so.
        let looks = || {
            let node = ExtentNode::new(inode.block_area());
            node.is_some_and(|node| {
                let room = node.capacity();
                let (entries, max) = (node.header.eh_entries.get(), node.header.eh_max.get());
                node.header.eh_magic.get() == ExtentNode::MAGIC
                    && entries <= max
                    && (room.saturating_sub(2)..=room).contains(&usize::from(max))
            })
        };
        let problem = if has(Inode::EXTENTS) && has(Inode::INLINE_DATA) {
            Some("extents and inline data at once")
        } else if in_use && has(Inode::EXTENTS) && !extents {
            Some("extents, without the feature extent")
        } else if in_use
            && extents
            && mapped
            && !has(Inode::EXTENTS | Inode::INLINE_DATA)
            && looks()
        {
            Some("i_block looks like extents, and the flag for them is not set")
        } else if role == Role::File
            && has(Inode::INLINE_DATA)
            && !superblock.incompat(incompat::INLINE_DATA)
        {
            Some("inline data, without the feature inline_data")
        } else if has(Inode::CASEFOLD) && !superblock.incompat(incompat::CASEFOLD) {
            Some("a directory that does not care for case, without the feature casefold")
        } else if has(Inode::CASEFOLD) && !is_directory {
            Some("the flag for directories that do not care for case, and it is none")
        } else if role == Role::File
            && has(Inode::IMAGIC)
            && !superblock.compat(compat::IMAGIC_INODES)
        {
            Some("the flag of AFS, without the feature imagic_inodes")
        } else if judged && has(Inode::INDEX) && !superblock.compat(compat::DIR_INDEX) {
            Some("an index, without the feature dir_index")
        } else if judged && has(Inode::INDEX) && !is_directory {
            Some("an index, and it is no directory")
        } else {
            None
        };
        self.expect(&INODE_FLAGS, problem.is_none(), |judge| {
            let flags = inode.raw.i_flags;
            (judge.at_inode(ino), format!("i_flags {flags:#x}: {}", problem.unwrap_or_default()))
        });
    }

    /// Fields that are 0 where the file system has no use for them.
    fn unused_fields(&mut self, ino: Ino, inode: &Inode<'_>) {
        let superblock = self.superblock;
        let raw = &inode.raw;
        let hurd = superblock.raw.s_creator_os.get() == HURD;
        let is_directory = inode.file_type() == Some(FileType::Directory);
        let large_directories = superblock.incompat(incompat::LARGEDIR);
        let fields = [
            ("i_obso_faddr", raw.i_obso_faddr.get() == 0),
            (
                "i_size_high, without the feature large_dir",
                !is_directory || large_directories || raw.i_size_high.get() == 0,
            ),
            (
                "l_i_file_acl_high, without the feature 64bit",
                hurd || superblock.incompat(incompat::BITS_64) || raw.l_i_file_acl_high.get() == 0,
            ),
            (
                "l_i_blocks_high, without the feature huge_file",
                hurd || superblock.ro_compat(ro_compat::HUGE_FILE)
                    || raw.l_i_blocks_high.get() == 0,
            ),
        ];
        let wrong = fields.into_iter().find(|(_, held)| !held);
        self.note(&INODE_UNUSED, wrong.is_none(), |judge| {
            let (field, _) = wrong.unwrap_or_default();
            (judge.at_inode(ino), format!("{field} is not 0"))
        });
    }

    fn extra_size(&mut self, ino: Ino, inode: &Inode<'_>) -> bool {
        let room = usize::from(self.geometry.inode_size) - raw::Inode::SIZE;
        let extra = inode.extra.i_extra_isize.get();
        let good = room == 0
            || extra == 0
            || extra.is_multiple_of(4) && (4..=room).contains(&usize::from(extra));
        self.expect(&INODE_EXTRA, good, |judge| {
            let message = format!("i_extra_isize {extra}, and {room} bytes are there");
            (judge.at_inode(ino), message)
        })
    }

    /// A device, fifo or socket.
    fn special(&mut self, ino: Ino, inode: &Inode<'_>) -> bool {
        let size = inode.size();
        // What the kernel leaves behind the numbers of a device is no harm, unless it says so.
        let kept = inode.has(Inode::IMMUTABLE | Inode::APPEND)
            && inode.block_area()[16..].iter().any(|byte| *byte != 0);
        let held = size == 0 && !inode.has(Inode::INDEX | Inode::EXTENTS) && !kept;
        self.note(&INODE_SPECIAL, held, |judge| {
            let flags = inode.raw.i_flags;
            (judge.at_inode(ino), format!("i_size {size}, i_flags {flags:#x}"))
        })
    }

    fn encryption(&mut self, ino: Ino, policy: Option<Policy>) {
        let held = matches!(policy, Some(Policy::Known(_) | Policy::Other));
        self.note(&ENCRYPTION_POLICY, held, |judge| {
            let what = if policy.is_none() { "none" } else { "one that has no sense" };
            (judge.at_inode(ino), format!("the policy of an encrypted file: {what}"))
        });
        if let Some(policy) = policy {
            self.policies.push((ino, policy));
        }
    }

    /// The blocks of a file, and what it says of them. `None` where they cannot be followed.
    fn blocks(
        &mut self,
        ino: Ino,
        inode: &Inode<'_>,
        role: Role,
        cost: Cost,
        attributes: &mut Attributes,
    ) -> Result<Option<(Map, Option<Policy>)>, ReadError> {
        let file_type = inode.file_type();
        let (shared, policy) = self.block_attributes(ino, inode, role, attributes)?;
        let inline = inode.has(Inode::INLINE_DATA);
        let mapped = match file_type {
            _ if inline => false,
            Some(FileType::File | FileType::Directory) => true,
            Some(FileType::Symlink) => !is_fast(inode),
            _ => false,
        };
        let map = match mapped {
            true => match self.map(ino, inode)? {
                Some(map) => map,
                None => return Ok(None),
            },
            false => Map::default(),
        };
        let clusters = map.clusters + cost.clusters + shared.clusters;
        self.account(ino, inode, clusters, cost.inodes + shared.inodes);
        let sound = !inline || role != Role::File || self.inline(ino, inode);
        if !sound || !self.size(ino, inode, file_type, &map) {
            return Ok(None);
        }
        let in_cluster =
            u64::from(self.geometry.cluster_blocks) * u64::from(self.geometry.block_size) / 512;
        let (stored, counted) = (inode.sectors(self.superblock), clusters * in_cluster);
        let huge = inode.has(Inode::HUGE_FILE)
            && self.superblock.ro_compat(ro_compat::HUGE_FILE)
            && inode.raw.l_i_blocks_high.get() != 0;
        let hurd = self.superblock.raw.s_creator_os.get() == HURD;
        self.note(&FILE_BLOCKS, hurd || stored == counted && !huge, |judge| {
            (judge.at_inode(ino), format!("{stored} times 512 bytes, not {counted}"))
        });
        let with_extents = inode.has(Inode::EXTENTS) || map.last.is_none();
        let clustered = self.superblock.ro_compat(ro_compat::BIGALLOC)
            && (ino == Ino::ROOT || ino >= self.superblock.first_ino());
        if clustered && mapped && file_type != Some(FileType::Symlink) {
            self.note(&CLUSTER_MAP, with_extents, |judge| {
                (judge.at_inode(ino), "pointers to blocks, and no extents".to_owned())
            });
        }
        Ok(Some((map, policy)))
    }

    /// Content in the inode: an attribute holds what has no room in `i_block`, if only nothing.
    fn inline(&mut self, ino: Ino, inode: &Inode<'_>) -> bool {
        let data = Xattrs::in_inode(inode.xattr_area()).find(Xattr::is_inline_data);
        let size = inode.size();
        let rest = data.and_then(|data| data.value).map(|value| value.len() as u64);
        let room = 60 + rest.unwrap_or(0);
        let exact = matches!(inode.file_type(), Some(FileType::Directory | FileType::Symlink));
        let held = rest.is_some() && (!exact || size == room);
        let sound = self.expect(&INLINE_DATA, held, |judge| {
            let message = match rest {
                None => "no attribute system.data".to_owned(),
                Some(_) => format!("i_size {size}, and {room} bytes are there"),
            };
            (judge.at_inode(ino), message)
        });
        if sound && !exact {
            self.expect(&INLINE_SIZE, size <= room, |judge| {
                (judge.at_inode(ino), format!("i_size {size}, and {room} bytes are there"))
            });
        }
        sound
    }

    /// e2fsck's `check_blocks`, at its end.
    fn size(
        &mut self,
        ino: Ino,
        inode: &Inode<'_>,
        file_type: Option<FileType>,
        map: &Map,
    ) -> bool {
        let size = inode.size();
        let block_size = u64::from(self.geometry.block_size);
        if file_type == Some(FileType::File) {
            let held = size < LARGE || self.superblock.ro_compat(ro_compat::LARGE_FILE);
            self.note(&LARGE_FILE, held, |judge| {
                (judge.at_inode(ino), format!("{size} bytes, without the feature large_file"))
            });
        }
        // Not a message yet: this is asked of every inode.
        let (held, least, most) = match file_type {
            // A symlink is judged with its target.
            Some(FileType::Symlink) => return true,
            _ if inode.has(Inode::INLINE_DATA) => return true,
            Some(FileType::Directory) => {
                let blocks = map.last.map_or(0, |last| last + 1);
                let ahead = u64::from(self.superblock.raw.s_prealloc_dir_blocks);
                let whole = size.is_multiple_of(block_size);
                let least = blocks.saturating_sub(ahead);
                let good = whole && (least..=blocks).contains(&(size / block_size));
                (good, least.saturating_mul(block_size), blocks.saturating_mul(block_size))
            }
            _ => {
                let written = map.last_written.unwrap_or(0) * block_size;
                let most = if inode.has(Inode::EXTENTS) {
                    (block_size << 32) - 1
                } else {
                    block_size.saturating_mul(max_indirect(self.geometry.block_size))
                };
                let least = if inode.has(Inode::VERITY) { 0 } else { written };
                (size >= least && size <= most, least, most)
            }
        };
        self.expect(&FILE_SIZE, held, |judge| {
            (judge.at_inode(ino), format!("i_size {size}, not what fits {least} to {most}"))
        })
    }

    fn symlink(&mut self, ino: Ino, inode: &Inode<'_>, map: &Map) -> Result<bool, ReadError> {
        let size = inode.size();
        // What is in an inode was judged with the attribute.
        let inline = inode.has(Inode::INLINE_DATA);
        let fast = is_fast(inode);
        let block;
        let area = if fast || inline {
            &inode.block_area()[..]
        } else {
            let run = map.only_run().filter(|_| map.last == Some(0) && map.is_flat);
            let mut bytes = vec![0; self.geometry.block_size as usize];
            if let Some(run) = run {
                self.read("ext4 symlink", run.block, &mut bytes)?;
            }
            block = bytes;
            &block
        };
        let len = match (inode.has(Inode::ENCRYPT), area) {
            // Ciphertext has NULs, and its length before it.
            (true, [low, high, ..]) => usize::from(u16::from_le_bytes([*low, *high])) + 2,
            _ => area.iter().take_while(|byte| **byte != 0).count(),
        };
        let held = size > 0
            && !inode.has(Inode::INDEX)
            && (inline || len < area.len() && len as u64 == size);
        Ok(self.expect(&SYMLINK, held, |judge| {
            (judge.at_inode(ino), format!("i_size {size}, and the target has {len} bytes"))
        }))
    }

    /// Adds what a file takes to what its owners are told to use.
    fn account(&mut self, ino: Ino, inode: &Inode<'_>, clusters: u64, values: u64) {
        let raw = &self.superblock.raw;
        // e2fsck is done with such a link before it counts what a file takes.
        let inline_symlink =
            inode.file_type() == Some(FileType::Symlink) && inode.has(Inode::INLINE_DATA);
        let counts = self.superblock.ro_compat(ro_compat::QUOTA)
            && ![raw.s_prj_quota_inum.get(), raw.s_orphan_file_inum.get()].contains(&ino.0)
            && (ino == Ino::ROOT || ino >= self.superblock.first_ino())
            && !inode.has(Inode::EA_INODE)
            && !inline_symlink;
        if counts {
            let in_cluster =
                u64::from(self.geometry.cluster_blocks) * u64::from(self.geometry.block_size);
            let inodes = u32::try_from(values + 1).unwrap_or(u32::MAX);
            let kinds = [raw.s_usr_quota_inum, raw.s_grp_quota_inum, raw.s_prj_quota_inum];
            let kinds = kinds.map(|number| number.get() != 0);
            self.usage.add(inode, kinds, clusters * in_cluster, inodes);
        }
    }
}
