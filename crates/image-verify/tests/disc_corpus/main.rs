//! Discs that other people made, against bsdtar, isoinfo and xorriso: no false alarm, the same
//! files, the same boot images; and hundreds of edits of one field.

#[path = "../ext4_corpus/random.rs"]
#[expect(dead_code, reason = "this test needs only a part of it")]
mod random;
#[path = "../ext4_corpus/rig.rs"]
#[expect(dead_code, reason = "this test needs only a part of it")]
mod rig;

mod boot;
mod corpus;
mod judged;
mod listing;
mod matrix;
mod mutation;
