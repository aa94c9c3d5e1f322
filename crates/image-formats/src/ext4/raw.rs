//! Bits as they lie on the disk, under the names of the kernel: fs/ext4/ext4.h, ext4_extents.h,
//! namei.c and xattr.h. All little-endian. What only 64bit or an inode of more than 128 bytes has
//! is a part of its own or at the end.

mod directory;
mod extent;
mod group;
mod inode;
mod mmp;
mod orphan;
mod quota;
mod superblock;
mod xattr;

pub use directory::{DirectoryEntry, DirectoryTail, DxCountLimit, DxEntry, DxNode, DxRoot, DxTail};
pub use extent::{Extent, ExtentHeader, ExtentIndex, ExtentTail};
pub use group::GroupDescriptor;
pub use inode::{Inode, InodeExtra};
pub use mmp::Mmp;
pub use orphan::OrphanTail;
pub use quota::{QuotaBlockHeader, QuotaEntryR0, QuotaEntryR1, QuotaHeader, QuotaInfo};
pub use superblock::Superblock;
pub use xattr::{XattrEntry, XattrHeader};
