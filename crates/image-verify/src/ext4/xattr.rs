//! Extended attributes: in inodes, in blocks that several inodes share, and in inodes of their own.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hasher as _},
};

use image_formats::{
    bytes::ReadError,
    ext4::{
        Block, Ino, Inode, XATTR_MAGIC, Xattr, Xattrs, checksum, compat, incompat, raw, ro_compat,
        words,
    },
};
use zerocopy::FromBytes as _;

use super::{
    Judge, Place,
    checks::*,
    inodes::{Known, Role},
};

/// `XATTR_SIZE_MAX`: the most bytes of a value that is not an inode.
const MAX_VALUE: usize = 1 << 16;

/// What is learned of attributes while inodes are judged.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    /// Blocks, with the inodes that use them.
    blocks: HashMap<Block, Shared>,
    /// Inodes that are values, with the attributes that use them.
    values: BTreeMap<Ino, u64>,
    /// Scratch: the parts of an area that are taken.
    taken: Vec<(usize, usize)>,
}

/// A block of attributes.
#[derive(Clone, Copy, Debug)]
struct Shared {
    /// `h_refcount`; `None` where something is wrong with the block, which was told.
    refcount: Option<u32>,
    users: u32,
    cost: Cost,
    policy: Option<Policy>,
}

/// What attributes add to the space that an inode counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    /// Clusters.
    pub(super) clusters: u64,
    /// Inodes that are values.
    pub(super) inodes: u64,
}

/// How a file is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// A hash of everything but the nonce.
    Known(u64),
    /// Of a version that is not known.
    Other,
    /// It has no sense.
    Broken,
}

impl Policy {
    /// `fscrypt_context`: a version, modes and flags, a key, and a nonce of 16 bytes. fs/crypto/
    /// fscrypt_private.h.
    fn of(context: &[u8]) -> Self {
        match (context.first(), context.len()) {
            (Some(1), 28) | (Some(2), 40) => {
                let mut hasher = DefaultHasher::new();
                hasher.write(&context[..context.len() - 16]);
                Self::Known(hasher.finish())
            }
            (None | Some(0..=2), _) => Self::Broken,
            (Some(_), _) => Self::Other,
        }
    }
}

impl Judge<'_, '_> {
    /// The attributes behind the fields of an inode.
    pub(super) fn inode_attributes(
        &mut self,
        ino: Ino,
        inode: &Inode<'_>,
        attributes: &mut Attributes,
    ) -> Result<(Cost, Option<Policy>), ReadError> {
        let area = inode.xattr_area();
        // Where there is no room for a value nobody looks.
        if area.len() <= 4 || area.first_chunk() != Some(&XATTR_MAGIC.to_le_bytes()) {
            return Ok(Default::default());
        }
        let all = Xattrs::in_inode(area);
        self.attributes(all, 0, (ino, inode), Place::Inode(ino), attributes)
    }

    /// The attributes in the block that an inode names.
    pub(super) fn block_attributes(
        &mut self,
        ino: Ino,
        inode: &Inode<'_>,
        role: Role,
        attributes: &mut Attributes,
    ) -> Result<(Cost, Option<Policy>), ReadError> {
        let block = inode.file_acl(self.superblock);
        let has = self.superblock.compat(compat::EXT_ATTR);
        let (low, high) = (u64::from(self.geometry.first_data_block), self.geometry.blocks_count);
        let inside = block.0 >= low && block.0 < high;
        // Nobody asks for the attributes of a reserved inode.
        if block.0 == 0 || role != Role::File && !(has && inside) {
            return Ok(Default::default());
        }
        if !self.note(&INODE_FLAGS, has, |judge| {
            let message = format!("i_file_acl {block}, and the feature ext_attr is missing");
            (judge.at_inode(ino), message)
        }) {
            return Ok(Default::default());
        }
        if !self.expect(&BLOCK_RANGE, inside, |judge| {
            let message = format!("i_file_acl {block}, of {high} in the file system");
            (judge.at_inode(ino), message)
        }) {
            return Ok(Default::default());
        }
        // Several inodes may have the same attributes.
        if let Some(shared) = attributes.blocks.get_mut(&block) {
            shared.users = shared.users.saturating_add(1);
            return Ok((shared.cost, shared.policy));
        }
        let mut shared = Shared {
            refcount: None,
            users: 1,
            cost: Cost { clusters: 1, inodes: 0 },
            policy: None,
        };
        let claimed = self.used.claim(self.geometry.cluster(block), 1);
        if self.expect(&BLOCK_CLAIM, claimed.is_ok(), |judge| {
            (judge.at_inode(ino), format!("i_file_acl {block} has another owner"))
        }) {
            let mut bytes = vec![0; self.geometry.block_size as usize];
            self.read("ext4 attribute block", block, &mut bytes)?;
            if let Some(refcount) = self.block_header(ino, block, &mut bytes) {
                let place = Place::Block("attribute block", ino, block);
                let all = Xattrs::in_block(&bytes);
                let first = raw::XattrHeader::SIZE;
                let (cost, policy) =
                    self.attributes(all, first, (ino, inode), place, attributes)?;
                shared.refcount = Some(refcount);
                shared.cost.clusters += cost.clusters;
                shared.cost.inodes = cost.inodes;
                shared.policy = policy;
            }
        }
        attributes.blocks.insert(block, shared);
        Ok((shared.cost, shared.policy))
    }

    /// Judges the header of a block of attributes. How many inodes share it comes back.
    fn block_header(&mut self, ino: Ino, block: Block, bytes: &mut [u8]) -> Option<u32> {
        let (header, _) = raw::XattrHeader::read_from_prefix(bytes).ok()?;
        let (magic, count) = (header.h_magic.get(), header.h_blocks.get());
        let held = magic == XATTR_MAGIC && count == 1;
        self.note(&XATTR_BLOCK, held, |judge| {
            let at = judge.at_block("attribute block", ino, block);
            (at, format!("magic {magic:#010x}, {count} blocks; not 0xea020000, 1"))
        });
        if self.superblock.ro_compat(ro_compat::METADATA_CSUM) {
            let stored = header.h_checksum.get();
            let field = 0x10..0x14;
            bytes[field.clone()].fill(0);
            let seed = checksum::crc32c(self.superblock.checksum_seed(), &block.0.to_le_bytes());
            let computed = checksum::crc32c(seed, bytes);
            bytes[field].copy_from_slice(&stored.to_le_bytes());
            self.note(&XATTR_BLOCK, stored == computed, |judge| {
                let at = judge.at_block("attribute block", ino, block);
                (at, format!("stored {stored:#010x}, computed {computed:#010x}"))
            });
        }
        held.then_some(header.h_refcount.get())
    }

    /// Judges the attributes in one place, of which the first bytes, `taken`, are something else.
    fn attributes(
        &mut self,
        mut all: Xattrs<'_>,
        taken: usize,
        (ino, inode): (Ino, &Inode<'_>),
        place: Place,
        attributes: &mut Attributes,
    ) -> Result<(Cost, Option<Policy>), ReadError> {
        let len = all.values().len();
        let in_inode = taken == 0;
        let mut areas = std::mem::take(&mut attributes.taken);
        areas.clear();
        areas.push((0, taken));
        let (mut cost, mut policy) = (Cost::default(), None);
        let mut problem = None;
        let beside = || Some("entries and values that are not beside each other".to_owned());
        let mut sum = 0_usize;
        // What e2fsck counts down: where it has no room for an entry left, it does not look on.
        let mut room = len;
        while !in_inode || room >= raw::XattrEntry::SIZE {
            let Some(xattr) = all.next() else { break };
            let size = xattr.value_size();
            areas.push((xattr.at, xattr.entry_size()));
            room = room.saturating_sub(xattr.entry_size());
            if xattr.is_encryption() {
                policy = Some(xattr.value.map_or(Policy::Broken, Policy::of));
            }
            if !in_inode && xattr.raw.e_name_index == 0 {
                problem = Some(format!("e_name_index 0 at {:#x}", xattr.at));
                break;
            }
            if xattr.raw.e_value_inum.get() != 0 {
                let value = Ino(xattr.raw.e_value_inum.get());
                if self.value(&xattr, value, (ino, inode), place)? {
                    cost.clusters += self.clusters(xattr.value_size() as u64);
                }
                cost.inodes += 1;
                // Those that are not there were told of, and need not be counted.
                if self.superblock.incompat(incompat::EA_INODE)
                    && value.0 <= self.geometry.inodes_count
                {
                    let users = attributes.values.entry(value).or_default();
                    *users = users.saturating_add(1);
                }
                continue;
            }
            let start = usize::from(xattr.raw.e_value_offs.get());
            let fits = size <= MAX_VALUE && xattr.value.is_some() && (!in_inode || size <= room);
            if !fits {
                problem = Some(format!("{size} bytes of value at {start:#x}, of {len}"));
                break;
            }
            if size > 0 {
                areas.push((start, xattr.padded_value_size()));
            }
            // Values that lie on each other are not hashed again and again.
            sum = sum.saturating_add(xattr.entry_size()).saturating_add(xattr.padded_value_size());
            if sum > len {
                problem = beside();
                break;
            }
            room = room.saturating_sub(size);
            let stored = xattr.raw.e_hash.get();
            let computed = xattr.hashes(words(xattr.padded.unwrap_or_default()));
            // An inode's attributes had no hash once.
            if !computed.contains(&stored) && (!in_inode || stored != 0) {
                problem = Some(format!("e_hash {stored:#010x}, not {:#010x}", computed[0]));
                break;
            }
        }
        if problem.is_none() && !all.is_at_end() && (!in_inode || room >= raw::XattrEntry::SIZE) {
            problem = Some(format!("the entry at {:#x} does not end within {len} bytes", all.at()));
        }
        if problem.is_none() {
            areas.push((all.at(), 4));
            areas.sort_unstable();
            let beyond = areas.iter().any(|(start, size)| start.saturating_add(*size) > len);
            let overlap = areas.windows(2).any(|pair| pair[0].0 + pair[0].1 > pair[1].0);
            if beyond || overlap {
                problem = beside();
            }
        }
        attributes.taken = areas;
        self.note(&XATTR_ENTRY, problem.is_none(), |judge| {
            (judge.at(place), problem.unwrap_or_default())
        });
        Ok((cost, policy))
    }

    /// Clusters that so many bytes take.
    fn clusters(&self, bytes: u64) -> u64 {
        let blocks = bytes.div_ceil(u64::from(self.geometry.block_size));
        blocks.div_ceil(u64::from(self.geometry.cluster_blocks))
    }

    /// Judges an inode that is the value of an attribute. True if its space is that of the file as
    /// well.
    fn value(
        &mut self,
        xattr: &Xattr<'_>,
        value: Ino,
        (ino, inode): (Ino, &Inode<'_>),
        place: Place,
    ) -> Result<bool, ReadError> {
        let known = self.superblock.incompat(incompat::EA_INODE);
        let in_range =
            value >= self.superblock.first_ino() && value.0 <= self.geometry.inodes_count;
        if !self.note(&XATTR_VALUE, in_range, |judge| {
            (judge.at(place), format!("the value is {value}, which is not there"))
        }) {
            return Ok(false);
        }
        let bytes = self.fs().inode(value)?;
        let target = Inode::new(&bytes);
        let stored = xattr.raw.e_hash.get();
        let ours = xattr.hashes(std::iter::once(target.value_hash())).contains(&stored);
        // As Lustre made them: the inode of the value names its only owner.
        let lustre =
            target.raw.i_mtime.get() == ino.0 && target.raw.i_generation == inode.raw.i_generation;
        let held = target.has(Inode::EA_INODE) && (ours || lustre);
        self.note(&XATTR_VALUE, held, |judge| {
            let what = match target.has(Inode::EA_INODE) {
                true => format!("e_hash {stored:#010x}, which is not that of {value}"),
                false if known => format!("the value is {value}, which is none"),
                false => format!("the value is {value}, without the feature ea_inode"),
            };
            (judge.at(place), what)
        });
        Ok(ours)
    }

    /// What can be said of shared attributes when all inodes have been seen.
    pub(super) fn shared_attributes(&mut self, attributes: Attributes) -> Result<(), ReadError> {
        let Attributes { blocks, values, .. } = attributes;
        let mut blocks: Vec<_> = blocks.into_iter().collect();
        blocks.sort_unstable_by_key(|(block, _)| *block);
        for (block, Shared { refcount, users, .. }) in blocks {
            let Some(refcount) = refcount else { continue };
            self.note(&XATTR_REFERENCES, refcount == users, |judge| {
                let name = format!("{}, ext4 attribute block", judge.name);
                let at = judge.geometry.offset(block);
                let at = super::structure(judge.region, name, at, 0);
                (at, format!("h_refcount {refcount}, and {users} inodes use it"))
            });
        }
        let end = Ino(self.geometry.inodes_count.saturating_add(1));
        let mut from = Ino(1);
        while self.superblock.incompat(incompat::EA_INODE)
            && let Some((ino, known)) = self.inodes.next(from, end)
        {
            from = Ino(ino.0.saturating_add(1));
            let users = values.get(&ino).copied().unwrap_or(0);
            // One that no attribute uses is a file like any other.
            if users == 0 || !known.has(Known::VALUE) || known.links == 0 {
                continue;
            }
            if let Some(known) = self.inodes.get_mut(ino) {
                known.set(Known::NAMELESS);
            }
            let bytes = self.fs().inode(ino)?;
            let inode = Inode::new(&bytes);
            let counted = inode.value_references();
            let lustre = inode.raw.i_ctime == inode.raw.i_atime;
            let held = (counted == users || lustre) && known.links == 1;
            self.note(&XATTR_REFERENCES, held, |judge| {
                let links = known.links;
                let message = format!("{links} links, {counted} attributes; {users} use it");
                (judge.at_inode(ino), message)
            });
        }
        Ok(())
    }
}
