//! Inodes.

use std::mem::offset_of;

use zerocopy::FromBytes as _;

use super::{Block, Ino, Superblock, checksum, incompat, raw, ro_compat};

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// `S_IFIFO`.
    Fifo,
    /// `S_IFCHR`.
    CharDevice,
    /// `S_IFDIR`.
    Directory,
    /// `S_IFBLK`.
    BlockDevice,
    /// `S_IFREG`.
    File,
    /// `S_IFLNK`.
    Symlink,
    /// `S_IFSOCK`.
    Socket,
}

impl FileType {
    /// The type in the high four bits of a mode.
    pub fn from_mode(mode: u16) -> Option<Self> {
        Some(match mode >> 12 {
            0x1 => Self::Fifo,
            0x2 => Self::CharDevice,
            0x4 => Self::Directory,
            0x6 => Self::BlockDevice,
            0x8 => Self::File,
            0xa => Self::Symlink,
            0xc => Self::Socket,
            _ => return None,
        })
    }

    /// `EXT4_FT_…`: how entries of directories write it.
    pub fn in_directory(self) -> u8 {
        match self {
            Self::File => 1,
            Self::Directory => 2,
            Self::CharDevice => 3,
            Self::BlockDevice => 4,
            Self::Fifo => 5,
            Self::Socket => 6,
            Self::Symlink => 7,
        }
    }

    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fifo => "fifo",
            Self::CharDevice => "character device",
            Self::Directory => "directory",
            Self::BlockDevice => "block device",
            Self::File => "file",
            Self::Symlink => "symlink",
            Self::Socket => "socket",
        }
    }
}

/// An inode, read and not judged.
#[derive(Clone, Copy, Debug)]
pub struct Inode<'a> {
    /// Its first 128 bytes.
    pub raw: raw::Inode,
    /// What follows them; 0 beyond `i_extra_isize`, and where the inode has only 128 bytes.
    pub extra: raw::InodeExtra,
    bytes: &'a [u8],
}

impl<'a> Inode<'a> {
    /// `EXT4_IMMUTABLE_FL`: nobody may change it.
    pub const IMMUTABLE: u32 = 0x10;
    /// `EXT4_APPEND_FL`: it may only grow.
    pub const APPEND: u32 = 0x20;
    /// `EXT4_ENCRYPT_FL`: content, names and target are encrypted.
    pub const ENCRYPT: u32 = 0x800;
    /// `EXT4_INDEX_FL`: the directory has an index.
    pub const INDEX: u32 = 0x1000;
    /// `EXT4_IMAGIC_FL`: AFS.
    pub const IMAGIC: u32 = 0x2000;
    /// `EXT4_HUGE_FILE_FL`: `i_blocks` counts blocks.
    pub const HUGE_FILE: u32 = 0x40000;
    /// `EXT4_EXTENTS_FL`: the file has extents.
    pub const EXTENTS: u32 = 0x80000;
    /// `EXT4_VERITY_FL`: the hash tree lies behind the end of the file.
    pub const VERITY: u32 = 0x10_0000;
    /// `EXT4_EA_INODE_FL`: the inode holds the value of an extended attribute.
    pub const EA_INODE: u32 = 0x20_0000;
    /// `EXT4_INLINE_DATA_FL`: the content is in the inode.
    pub const INLINE_DATA: u32 = 0x1000_0000;
    /// `EXT4_CASEFOLD_FL`: the directory does not care for case.
    pub const CASEFOLD: u32 = 0x4000_0000;

    /// The inode in `bytes`, which are as many as the size of an inode.
    pub fn new(bytes: &'a [u8]) -> Self {
        let mut head = [0; raw::Inode::SIZE];
        head.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        let beyond = bytes.get(raw::Inode::SIZE..).unwrap_or_default();
        let used = match beyond {
            [low, high, ..] => usize::from(u16::from_le_bytes([*low, *high])),
            _ => 0,
        };
        let mut tail = [0; raw::InodeExtra::SIZE];
        // The size itself is there in any case.
        let here = beyond.iter().take(used.max(2));
        tail.iter_mut().zip(here).for_each(|(to, from)| *to = *from);
        // Neither can fail: the sizes are the same.
        let zero = zerocopy::FromZeros::new_zeroed;
        let raw = raw::Inode::read_from_bytes(&head).unwrap_or_else(|_| zero());
        let extra = raw::InodeExtra::read_from_bytes(&tail);
        Self { raw, extra: extra.unwrap_or(zerocopy::FromZeros::new_zeroed()), bytes }
    }

    /// True if the first 128 bytes are 0: it was never used, and has no checksum.
    pub fn is_blank(&self) -> bool {
        self.bytes.get(..raw::Inode::SIZE).unwrap_or(self.bytes) == [0; raw::Inode::SIZE]
    }

    /// True if this flag is set.
    pub fn has(&self, flag: u32) -> bool {
        self.raw.i_flags.get() & flag != 0
    }

    /// What it is, where the mode has a sense.
    pub fn file_type(&self) -> Option<FileType> {
        FileType::from_mode(self.raw.i_mode.get())
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        u64::from(self.raw.i_size_high.get()) << 32 | u64::from(self.raw.i_size_lo.get())
    }

    /// Owner.
    pub fn uid(&self) -> u32 {
        u32::from(self.raw.l_i_uid_high.get()) << 16 | u32::from(self.raw.i_uid.get())
    }

    /// Group.
    pub fn gid(&self) -> u32 {
        u32::from(self.raw.l_i_gid_high.get()) << 16 | u32::from(self.raw.i_gid.get())
    }

    /// Time of modification, in seconds since 1970.
    pub fn mtime(&self) -> i64 {
        seconds(self.raw.i_mtime.get(), self.extra.i_mtime_extra.get())
    }

    /// The times with their nanoseconds: access, change, modification, birth.
    pub fn times(&self) -> [(u32, u32); 4] {
        let (raw, extra) = (&self.raw, &self.extra);
        [
            (raw.i_atime.get(), extra.i_atime_extra.get()),
            (raw.i_ctime.get(), extra.i_ctime_extra.get()),
            (raw.i_mtime.get(), extra.i_mtime_extra.get()),
            (extra.i_crtime.get(), extra.i_crtime_extra.get()),
        ]
    }

    /// The block with extended attributes; 0 where there is none.
    pub fn file_acl(&self, superblock: &Superblock) -> Block {
        let wide = superblock.incompat(incompat::BITS_64);
        let high = if wide { self.raw.l_i_file_acl_high.get() } else { 0 };
        Block(u64::from(high) << 32 | u64::from(self.raw.i_file_acl_lo.get()))
    }

    /// Space in units of 512 bytes.
    pub fn sectors(&self, superblock: &Superblock) -> u64 {
        let low = u64::from(self.raw.i_blocks_lo.get());
        if !superblock.ro_compat(ro_compat::HUGE_FILE) {
            return low;
        }
        let count = u64::from(self.raw.l_i_blocks_high.get()) << 32 | low;
        if !self.has(Self::HUGE_FILE) {
            return count;
        }
        let in_block = superblock.block_size().unwrap_or(0).checked_div(512).unwrap_or(0);
        count.saturating_mul(u64::from(in_block))
    }

    /// The seed of the checksums of its extent blocks and directory blocks.
    pub fn checksum_seed(&self, superblock: &Superblock, ino: Ino) -> u32 {
        let sum = checksum::crc32c(superblock.checksum_seed(), &ino.0.to_le_bytes());
        checksum::crc32c(sum, &self.raw.i_generation.get().to_le_bytes())
    }

    /// `ext4_inode_csum`: what is stored, and what should be. Where the inode has no room for the
    /// high half, both are without it.
    pub fn checksum(&self, superblock: &Superblock, ino: Ino) -> (u32, u32) {
        const LOW: usize = offset_of!(raw::Inode, l_i_checksum_lo);
        const HIGH_IN_EXTRA: usize = offset_of!(raw::InodeExtra, i_checksum_hi);
        let seed = self.checksum_seed(superblock, ino);
        let head = self.bytes.get(..LOW).unwrap_or_default();
        let rest = self.bytes.get(LOW.saturating_add(2)..).unwrap_or_default();
        let sum = checksum::crc32c(checksum::crc32c(seed, head), &[0; 2]);
        let low = u32::from(self.raw.l_i_checksum_lo.get());
        let after_high = HIGH_IN_EXTRA.saturating_add(2);
        if usize::from(self.extra.i_extra_isize.get()) < after_high || self.bytes.len() <= 128 {
            return (low, checksum::crc32c(sum, rest) & 0xffff);
        }
        // `l_i_reserved` and `i_extra_isize` are between the two halves.
        let between = rest.get(..4).unwrap_or_default();
        let after = rest.get(6..).unwrap_or_default();
        let parts = [between, &[0; 2], after];
        let sum = parts.iter().fold(sum, |sum, part| checksum::crc32c(sum, part));
        (u32::from(self.extra.i_checksum_hi.get()) << 16 | low, sum)
    }

    /// `i_block`.
    pub fn block_area(&self) -> &[u8; 60] {
        &self.raw.i_block
    }

    /// What follows the fields: extended attributes, with their magic number.
    pub fn xattr_area(&self) -> &'a [u8] {
        let used = usize::from(self.extra.i_extra_isize.get());
        let at = raw::Inode::SIZE.saturating_add(used);
        self.bytes.get(at..).unwrap_or_default()
    }
}

/// `EXT4_INODE_GET_XTIME`: the 32 bits have a sign, and two more bits are above them.
fn seconds(low: u32, extra: u32) -> i64 {
    i64::from(low.cast_signed()).saturating_add(i64::from(extra & 3) << 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_34_bits() {
        assert_eq!(seconds(1, 0), 1);
        assert_eq!(seconds(u32::MAX, 0), -1);
        // 2038-01-19 03:14:08, where 32 bits with a sign end.
        assert_eq!(seconds(0x8000_0000, 1), 0x8000_0000);
        assert_eq!(seconds(0x7fff_ffff, 3 | 5 << 2), 0x3_7fff_ffff);
    }

    #[test]
    fn any_length_is_an_inode() {
        for len in [0, 1, 128, 129, 131, 160, 256] {
            let bytes = vec![0xff; len];
            let inode = Inode::new(&bytes);
            assert!(inode.xattr_area().is_empty());
            assert_eq!(inode.file_type(), None);
        }
    }
}
