//! Inodes.

use std::mem::size_of;

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32},
};

/// `struct ext4_inode`, its first 128 bytes, with the part of Linux.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Inode {
    /// +0x0 `i_mode`: type in the high four bits, then permissions.
    pub i_mode: U16,
    /// +0x2 `i_uid`: owner, low 16 bits.
    pub i_uid: U16,
    /// +0x4 `i_size_lo`: size in bytes, low 32 bits.
    pub i_size_lo: U32,
    /// +0x8 `i_atime`: seconds since 1970.
    pub i_atime: U32,
    /// +0xc `i_ctime`: seconds since 1970.
    pub i_ctime: U32,
    /// +0x10 `i_mtime`: seconds since 1970.
    pub i_mtime: U32,
    /// +0x14 `i_dtime`: time of deletion, or the next inode of the list to delete.
    pub i_dtime: U32,
    /// +0x18 `i_gid`: group, low 16 bits.
    pub i_gid: U16,
    /// +0x1a `i_links_count`: names; 0 for a free inode.
    pub i_links_count: U16,
    /// +0x1c `i_blocks_lo`: space in units of 512 bytes, or in blocks with huge_file and its flag.
    pub i_blocks_lo: U32,
    /// +0x20 `i_flags`: flags.
    pub i_flags: U32,
    /// +0x24 `osd1`: `l_i_version`.
    pub osd1: U32,
    /// +0x28 `i_block`: pointers to blocks, the root of the extent tree, inline data, or the target
    /// of a symlink.
    pub i_block: [u8; 60],
    /// +0x64 `i_generation`: generation, for NFS and checksums.
    pub i_generation: U32,
    /// +0x68 `i_file_acl_lo`: block with extended attributes.
    pub i_file_acl_lo: U32,
    /// +0x6c `i_size_high`: size in bytes, high 32 bits; `i_dir_acl` where ext2 had ACLs of
    /// directories.
    pub i_size_high: U32,
    /// +0x70 `i_obso_faddr`: 0.
    pub i_obso_faddr: U32,
    /// +0x74 `l_i_blocks_high`: high 16 bits.
    pub l_i_blocks_high: U16,
    /// +0x76 `l_i_file_acl_high`: high 16 bits.
    pub l_i_file_acl_high: U16,
    /// +0x78 `l_i_uid_high`: high 16 bits.
    pub l_i_uid_high: U16,
    /// +0x7a `l_i_gid_high`: high 16 bits.
    pub l_i_gid_high: U16,
    /// +0x7c `l_i_checksum_lo`: low half of the crc32c of the inode.
    pub l_i_checksum_lo: U16,
    /// +0x7e `l_i_reserved`: 0.
    pub l_i_reserved: U16,
}

impl Inode {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(Inode::SIZE == 128);

/// `struct ext4_inode`, what follows the first 128 bytes; as much as `i_extra_isize` tells.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct InodeExtra {
    /// +0x0 `i_extra_isize`: bytes of this part that are in use.
    pub i_extra_isize: U16,
    /// +0x2 `i_checksum_hi`: high half of the crc32c of the inode.
    pub i_checksum_hi: U16,
    /// +0x4 `i_ctime_extra`: nanoseconds, and two more bits of seconds.
    pub i_ctime_extra: U32,
    /// +0x8 `i_mtime_extra`: nanoseconds, and two more bits of seconds.
    pub i_mtime_extra: U32,
    /// +0xc `i_atime_extra`: nanoseconds, and two more bits of seconds.
    pub i_atime_extra: U32,
    /// +0x10 `i_crtime`: time when it was made.
    pub i_crtime: U32,
    /// +0x14 `i_crtime_extra`: nanoseconds, and two more bits of seconds.
    pub i_crtime_extra: U32,
    /// +0x18 `i_version_hi`: high 32 bits of the version.
    pub i_version_hi: U32,
    /// +0x1c `i_projid`: project.
    pub i_projid: U32,
}

impl InodeExtra {
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(InodeExtra::SIZE == 32);
