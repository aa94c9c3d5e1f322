//! Bits as they lie in a SquashFS 4.0 file system: the names of `squashfs_fs.h` in Linux, no
//! opinion. All numbers are little-endian.

use std::mem::{offset_of, size_of};

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{I16, I32, U16, U32, U64},
    transmute,
};

use crate::bytes::{ReadError, Region};

/// `struct squashfs_super_block`. The first bytes.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct SuperBlock {
    /// +0 [`MAGIC`](Self::MAGIC): `hsqs`.
    pub s_magic: U32,
    /// +4 Number of inodes.
    pub inodes: U32,
    /// +8 When it was made, in seconds since 1970.
    pub mkfs_time: U32,
    /// +12 Bytes of a data block: 4096 to 1048576, a power of two.
    pub block_size: U32,
    /// +16 Number of fragment blocks.
    pub fragments: U32,
    /// +20 What compresses: see [`Compressor`](super::Compressor).
    pub compression: U16,
    /// +22 The logarithm of [`block_size`](Self::block_size).
    pub block_log: U16,
    /// +24 [`UNCOMPRESSED_INODES`](Self::UNCOMPRESSED_INODES) and others.
    pub flags: U16,
    /// +26 Number of owners and groups.
    pub no_ids: U16,
    /// +28 Version: 4.
    pub s_major: U16,
    /// +30 Version: 0.
    pub s_minor: U16,
    /// +32 Where the inode of the root is: see [`MetadataRef`](super::MetadataRef).
    pub root_inode: U64,
    /// +40 Bytes of the file system, without padding.
    pub bytes_used: U64,
    /// +48 The index of the table of owners and groups.
    pub id_table_start: U64,
    /// +56 [`XattrIdTable`], or [`NONE`](Self::NONE).
    pub xattr_id_table_start: U64,
    /// +64 The first block of inodes.
    pub inode_table_start: U64,
    /// +72 The first block of directories.
    pub directory_table_start: U64,
    /// +80 The index of the table of fragments; [`NONE`](Self::NONE) where there are none.
    pub fragment_table_start: U64,
    /// +88 The index of the table from numbers of inodes to their places, or
    /// [`NONE`](Self::NONE).
    pub lookup_table_start: U64,
}

impl SuperBlock {
    /// Its size.
    pub const SIZE: usize = size_of::<Self>();
    /// What `s_magic` is.
    pub const MAGIC: u32 = 0x7371_7368;
    /// A table that is not there.
    pub const NONE: u64 = u64::MAX;
    /// Flag `NOI`: inodes and directories are not compressed.
    pub const UNCOMPRESSED_INODES: u16 = 0x1;
    /// Flag `NOD`: data blocks are not compressed.
    pub const UNCOMPRESSED_DATA: u16 = 0x2;
    /// Flag `CHECK`: of older versions.
    pub const CHECK: u16 = 0x4;
    /// Flag `NOF`: fragments are not compressed.
    pub const UNCOMPRESSED_FRAGMENTS: u16 = 0x8;
    /// Flag `NO_FRAG`: there are no fragments.
    pub const NO_FRAGMENTS: u16 = 0x10;
    /// Flag `ALWAYS_FRAG`: the tails of all files are fragments.
    pub const ALWAYS_FRAGMENTS: u16 = 0x20;
    /// Flag `DUPLICATE`: files with the same content share it.
    pub const DUPLICATES: u16 = 0x40;
    /// Flag `EXPORT`: NFS may find inodes by number.
    pub const EXPORTABLE: u16 = 0x80;
    /// Flag `NOX`: extended attributes are not compressed.
    pub const UNCOMPRESSED_XATTRS: u16 = 0x100;
    /// Flag `NO_XATTR`: there are no extended attributes.
    pub const NO_XATTRS: u16 = 0x200;
    /// Flag `COMP_OPT`: what the compressor was told follows the superblock.
    pub const COMPRESSOR_OPTIONS: u16 = 0x400;
    /// Flag `NOID`: owners and groups are not compressed.
    pub const UNCOMPRESSED_IDS: u16 = 0x800;
    /// The flags that there are.
    pub const FLAGS: u16 = 0xfff;

    /// The one of the file system in `region`.
    pub fn read(region: &Region) -> Result<Self, ReadError> {
        region.array::<{ Self::SIZE }>("SquashFS superblock", 0).map(|bytes| transmute!(bytes))
    }

    /// True if all of these flags are set.
    pub fn has(&self, flags: u16) -> bool {
        self.flags.get() & flags == flags
    }
}

const _: () = {
    assert!(size_of::<SuperBlock>() == 96);
    assert!(offset_of!(SuperBlock, compression) == 20);
    assert!(offset_of!(SuperBlock, root_inode) == 32);
    assert!(offset_of!(SuperBlock, lookup_table_start) == 88);
};

/// `struct comp_opts` of gzip, in a metadata block after the superblock.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct GzipOptions {
    /// +0 1 to 9.
    pub compression_level: I32,
    /// +4 The logarithm of the window: 8 to 15.
    pub window_size: I16,
    /// +6 A bit for each strategy that was tried.
    pub strategy: I16,
}

/// `struct lzo_comp_opts`.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct LzoOptions {
    /// +0 0 to 4: 4 is `lzo1x_999`.
    pub algorithm: I32,
    /// +4 1 to 9 for `lzo1x_999`, or 0.
    pub compression_level: I32,
}

/// `struct disk_comp_opts` of xz.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct XzOptions {
    /// +0 Bytes of the dictionary: 2^n, or 2^n + 2^(n+1).
    pub dictionary_size: I32,
    /// +4 A bit for each filter that was tried.
    pub flags: I32,
}

/// `struct lz4_comp_opts`.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Lz4Options {
    /// +0 [`LEGACY`](Self::LEGACY).
    pub version: I32,
    /// +4 1: high compression.
    pub flags: I32,
}

impl Lz4Options {
    /// The only `version`.
    pub const LEGACY: i32 = 1;
}

/// `struct zstd_comp_opts`.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ZstdOptions {
    /// +0 1 to 22.
    pub compression_level: I32,
}

const _: () = {
    assert!(size_of::<GzipOptions>() == 8);
    assert!(size_of::<LzoOptions>() == 8);
    assert!(size_of::<XzOptions>() == 8);
    assert!(size_of::<Lz4Options>() == 8);
    assert!(size_of::<ZstdOptions>() == 4);
};

/// `struct squashfs_base_inode`: how every inode starts. The offsets of others count from its
/// start.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct InodeHeader {
    /// +0 [`DIRECTORY`](Self::DIRECTORY) and others.
    pub inode_type: U16,
    /// +2 Permission, set-id and sticky bits.
    pub mode: U16,
    /// +4 Owner, as an index into the table of ids.
    pub uid: U16,
    /// +6 Group, as an index into the table of ids.
    pub guid: U16,
    /// +8 Modification time in seconds since 1970.
    pub mtime: U32,
    /// +12 Its number, from 1.
    pub inode_number: U32,
}

impl InodeHeader {
    /// `SQUASHFS_DIR_TYPE`: [`DirectoryInode`].
    pub const DIRECTORY: u16 = 1;
    /// `SQUASHFS_REG_TYPE`: [`FileInode`].
    pub const FILE: u16 = 2;
    /// `SQUASHFS_SYMLINK_TYPE`: [`SymlinkInode`].
    pub const SYMLINK: u16 = 3;
    /// `SQUASHFS_BLKDEV_TYPE`: [`DeviceInode`].
    pub const BLOCK_DEVICE: u16 = 4;
    /// `SQUASHFS_CHRDEV_TYPE`: [`DeviceInode`].
    pub const CHAR_DEVICE: u16 = 5;
    /// `SQUASHFS_FIFO_TYPE`: [`IpcInode`].
    pub const FIFO: u16 = 6;
    /// `SQUASHFS_SOCKET_TYPE`: [`IpcInode`].
    pub const SOCKET: u16 = 7;
    /// `SQUASHFS_LDIR_TYPE`: [`LongDirectoryInode`].
    pub const LONG_DIRECTORY: u16 = 8;
    /// `SQUASHFS_LREG_TYPE`: [`LongFileInode`].
    pub const LONG_FILE: u16 = 9;
    /// `SQUASHFS_LSYMLINK_TYPE`: [`SymlinkInode`], and the index of its attributes after it.
    pub const LONG_SYMLINK: u16 = 10;
    /// `SQUASHFS_LBLKDEV_TYPE`: [`DeviceInode`], and the index of its attributes.
    pub const LONG_BLOCK_DEVICE: u16 = 11;
    /// `SQUASHFS_LCHRDEV_TYPE`: [`DeviceInode`], and the index of its attributes.
    pub const LONG_CHAR_DEVICE: u16 = 12;
    /// `SQUASHFS_LFIFO_TYPE`: [`IpcInode`], and the index of its attributes.
    pub const LONG_FIFO: u16 = 13;
    /// `SQUASHFS_LSOCKET_TYPE`: [`IpcInode`], and the index of its attributes.
    pub const LONG_SOCKET: u16 = 14;
}

/// `struct squashfs_dir_inode`, after its header.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DirectoryInode {
    /// +16 Where its list starts: the block, from the start of the table.
    pub start_block: U32,
    /// +20 2, and 1 for each directory in it.
    pub nlink: U32,
    /// +24 Bytes of its list, and [`EMPTY`](Self::EMPTY) more.
    pub file_size: U16,
    /// +26 Where its list starts: the byte of the uncompressed block.
    pub offset: U16,
    /// +28 Number of the inode of its parent.
    pub parent_inode: U32,
}

impl DirectoryInode {
    /// The size of a directory that is empty: `.` and `..`, which are not on the disk.
    pub const EMPTY: u32 = 3;
}

/// `struct squashfs_ldir_inode`, after its header.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct LongDirectoryInode {
    /// +16 As in [`DirectoryInode`].
    pub nlink: U32,
    /// +20 As in [`DirectoryInode`].
    pub file_size: U32,
    /// +24 As in [`DirectoryInode`].
    pub start_block: U32,
    /// +28 As in [`DirectoryInode`].
    pub parent_inode: U32,
    /// +32 How many [`DirectoryIndex`] follow.
    pub i_count: U16,
    /// +34 As in [`DirectoryInode`].
    pub offset: U16,
    /// +36 Index of its attributes, or [`NO_INDEX`].
    pub xattr: U32,
}

/// No fragment, or no extended attributes.
pub const NO_INDEX: u32 = u32::MAX;

/// `struct squashfs_dir_index`: a place in the list of a directory, so that not all of it must be
/// read for one name.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DirectoryIndex {
    /// +0 Byte of the list at which a [`DirectoryHeader`] is.
    pub index: U32,
    /// +4 The block in which that is, from the start of the table.
    pub start_block: U32,
    /// +8 Bytes of the name of the first entry there, less 1. The name follows.
    pub size: U32,
}

/// `struct squashfs_reg_inode`, after its header.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct FileInode {
    /// +16 Where its first data block is.
    pub start_block: U32,
    /// +20 The fragment block with its tail, or [`NO_INDEX`].
    pub fragment: U32,
    /// +24 Where in the fragment block the tail is.
    pub offset: U32,
    /// +28 Bytes. A [`DataSize`](super::DataSize) for each data block follows.
    pub file_size: U32,
}

/// `struct squashfs_lreg_inode`, after its header.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct LongFileInode {
    /// +16 As in [`FileInode`].
    pub start_block: U64,
    /// +24 As in [`FileInode`].
    pub file_size: U64,
    /// +32 Bytes that are in no block because they are zero.
    pub sparse: U64,
    /// +40 Number of names.
    pub nlink: U32,
    /// +44 As in [`FileInode`].
    pub fragment: U32,
    /// +48 As in [`FileInode`].
    pub offset: U32,
    /// +52 Index of its attributes, or [`NO_INDEX`].
    pub xattr: U32,
}

/// `struct squashfs_symlink_inode`, after its header.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct SymlinkInode {
    /// +16 Number of names.
    pub nlink: U32,
    /// +20 Bytes of the target, which follows.
    pub symlink_size: U32,
}

/// `struct squashfs_dev_inode`, after its header.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DeviceInode {
    /// +16 Number of names.
    pub nlink: U32,
    /// +20 Its number, as Linux writes one in 32 bits.
    pub rdev: U32,
}

/// `struct squashfs_ipc_inode`, after its header.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct IpcInode {
    /// +16 Number of names.
    pub nlink: U32,
}

const _: () = {
    assert!(size_of::<InodeHeader>() == 16);
    assert!(size_of::<DirectoryInode>() == 32 - 16);
    assert!(size_of::<LongDirectoryInode>() == 40 - 16);
    assert!(size_of::<DirectoryIndex>() == 12);
    assert!(size_of::<FileInode>() == 32 - 16);
    assert!(size_of::<LongFileInode>() == 56 - 16);
    assert!(size_of::<SymlinkInode>() == 24 - 16);
    assert!(size_of::<DeviceInode>() == 24 - 16);
    assert!(size_of::<IpcInode>() == 20 - 16);
};

/// `struct squashfs_dir_header`: what a run of entries has in common.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DirectoryHeader {
    /// +0 Number of entries that follow, less 1.
    pub count: U32,
    /// +4 The block in which all of their inodes start, from the start of the table.
    pub start_block: U32,
    /// +8 What the numbers of their inodes are counted from.
    pub inode_number: U32,
}

impl DirectoryHeader {
    /// `SQUASHFS_DIR_COUNT`: the most entries after one header.
    pub const MAX_ENTRIES: u32 = 256;
}

/// `struct squashfs_dir_entry`.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DirectoryEntry {
    /// +0 Where in the uncompressed block the inode starts.
    pub offset: U16,
    /// +2 The number of the inode, from that in the header.
    pub inode_number: I16,
    /// +4 Type of the inode, one of the first seven.
    pub entry_type: U16,
    /// +6 Bytes of the name, less 1. The name follows.
    pub size: U16,
}

/// `struct squashfs_fragment_entry`.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct FragmentEntry {
    /// +0 Where the fragment block is.
    pub start_block: U64,
    /// +8 Its [`DataSize`](super::DataSize).
    pub size: U32,
    /// +12 Not used.
    pub unused: U32,
}

/// `struct squashfs_xattr_id_table`, before the index of the table of [`XattrId`].
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct XattrIdTable {
    /// +0 The first block of names and values.
    pub xattr_table_start: U64,
    /// +8 Number of [`XattrId`].
    pub xattr_ids: U32,
    /// +12 Not used.
    pub unused: U32,
}

/// `struct squashfs_xattr_id`: all attributes of an inode.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct XattrId {
    /// +0 Where the first one is: see [`MetadataRef`](super::MetadataRef).
    pub xattr: U64,
    /// +8 Number of attributes.
    pub count: U32,
    /// +12 Bytes of their names, with prefixes and a NUL each, and of their values.
    pub size: U32,
}

/// `struct squashfs_xattr_entry`. The name follows, without prefix, then [`XattrValue`].
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct XattrEntry {
    /// +0 What is before the name: [`USER`](Self::USER) and others.
    pub entry_type: U16,
    /// +2 Bytes of the name.
    pub size: U16,
}

impl XattrEntry {
    /// `SQUASHFS_XATTR_USER`: `user.`.
    pub const USER: u16 = 0;
    /// `SQUASHFS_XATTR_TRUSTED`: `trusted.`.
    pub const TRUSTED: u16 = 1;
    /// `SQUASHFS_XATTR_SECURITY`: `security.`.
    pub const SECURITY: u16 = 2;
    /// `SQUASHFS_XATTR_VALUE_OOL`: the value says where the value is.
    pub const OUT_OF_LINE: u16 = 0x100;
    /// `SQUASHFS_XATTR_PREFIX_MASK`.
    pub const PREFIX: u16 = 0xff;
}

/// `struct squashfs_xattr_val`. The value follows.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct XattrValue {
    /// +0 Bytes of the value.
    pub vsize: U32,
}

const _: () = {
    assert!(size_of::<DirectoryHeader>() == 12);
    assert!(size_of::<DirectoryEntry>() == 8);
    assert!(size_of::<FragmentEntry>() == 16);
    assert!(size_of::<XattrIdTable>() == 16);
    assert!(size_of::<XattrId>() == 16);
    assert!(size_of::<XattrEntry>() == 4);
    assert!(size_of::<XattrValue>() == 4);
};
