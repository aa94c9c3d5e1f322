//! ext2, ext3 and ext4 against e2fsck: its own broken images, the file systems of other people, what
//! `mke2fs` makes, and thousands of edits. A verdict is "no finding of severity error"; that of e2fsck
//! is the exit status of `e2fsck -fn`.

#[path = "../ext4/image.rs"]
#[expect(dead_code, reason = "this test needs only a part of it")]
mod image;

mod contents;
#[path = "../support/contents.rs"]
mod contents_of;
mod corpus;
mod matrix;
mod mutation;
mod others;
mod random;
mod replay;
mod rig;
