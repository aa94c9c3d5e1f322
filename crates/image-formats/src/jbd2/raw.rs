//! Bits as they lie on the disk, under the names of the kernel: include/linux/jbd2.h, all
//! big-endian, and fs/ext4/fast_commit.h, all little-endian.

mod fast_commit;
mod log;
mod superblock;

pub use fast_commit::{
    FastCommitAddRange, FastCommitDelRange, FastCommitDentry, FastCommitHead, FastCommitTag,
    FastCommitTail,
};
pub use log::{BlockTag, BlockTag3, BlockTail, CommitHeader, Header, RevokeHeader};
pub use superblock::Superblock;
