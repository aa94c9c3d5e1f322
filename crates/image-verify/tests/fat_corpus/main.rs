//! FAT against fsck.fat: its own images, the file systems of other people, what `mkfs.fat` and mtools
//! make, and thousands of edits. A verdict is "no finding of severity error"; that of fsck.fat is the
//! exit status of `fsck.fat -n`.

#[path = "../fat/image.rs"]
#[expect(dead_code, reason = "this test needs only a part of it")]
mod image;
#[path = "../ext4_corpus/random.rs"]
mod random;
#[path = "../ext4_corpus/rig.rs"]
#[expect(dead_code, reason = "this test needs only a part of it")]
mod rig;

mod corpus;
mod good;
mod matrix;
mod mutation;
mod volume;
