//! The journal, its superblock and its log.

use image_formats::{
    ext4::{Block, Ino, compat, incompat},
    jbd2::{self, Descriptor, FastCommitTag, Header},
};
use zerocopy::IntoBytes as _;

use super::{Base, Twin, twin};
use crate::image::*;

/// Edits the superblock of the journal, and its checksum.
fn edit_journal(image: &mut Image, edit: impl FnOnce(&mut jbd2::raw::Superblock)) {
    let block = image.first_block(Ino::JOURNAL);
    let bytes = image.block_mut(block);
    let mut superblock = jbd2::Superblock::new(bytes).unwrap();
    edit(&mut superblock.raw);
    if superblock.has_checksums() {
        let sum = superblock.checksum();
        superblock.raw.s_checksum.set(sum);
    }
    bytes[..1024].copy_from_slice(superblock.raw.as_bytes());
}

fn journal(image: &mut Image) -> jbd2::Superblock {
    let block = image.first_block(Ino::JOURNAL);
    jbd2::Superblock::new(image.block_mut(block)).unwrap()
}

/// A block of the journal, which lies in one piece.
fn log_block(image: &mut Image, at: u32) -> &mut [u8] {
    let Block(first) = image.first_block(Ino::JOURNAL);
    image.block_mut(Block(first + u64::from(at)))
}

/// Two transactions with copies and one that revokes, and a fast commit: as debugfs writes them, but
/// for the fast commit, which only Linux writes.
pub(super) fn log() -> Vec<u8> {
    let args = &["-t", "ext4", "-b", "1024", "-J", "size=2"];
    let disk = Recipe { name: "log", args, mib: 24, debugfs: &[], index: false }.make();
    let block = OnDisk::new(&pattern(3072));
    let script = OnDisk::new(
        format!(
            "jo -c\njw -b 20000,20001,20002 {0}\njw -b 20003 {0}\njw -r 20001\njc\n",
            block.name()
        )
        .as_bytes(),
    );
    // The copies are of blocks that nothing uses.
    ok("e2fsprogs", &["debugfs", "-w", "-f", script.name(), disk.name()]);
    let mut image = Image { bytes: disk.bytes() };
    edit_journal(&mut image, |raw| {
        let features = raw.s_feature_incompat.get() | jbd2::incompat::FAST_COMMIT;
        raw.s_feature_incompat.set(features);
    });
    image.edit_superblock(|raw| {
        raw.s_feature_compat.set(raw.s_feature_compat.get() | compat::FAST_COMMIT);
    });
    let superblock = journal(&mut image);
    let sequence = superblock.raw.s_sequence.get() + 3;
    let at = superblock.raw.s_maxlen.get() - superblock.fast_commit_blocks() + 1;
    let fast = log_block(&mut image, at);
    fast[..4].copy_from_slice(&[FastCommitTag::HEAD as u8, 0, 8, 0]);
    fast[8..12].copy_from_slice(&sequence.to_le_bytes());
    fast[12..16].copy_from_slice(&[FastCommitTag::TAIL as u8, 0, 8, 0]);
    fast[16..20].copy_from_slice(&sequence.to_le_bytes());
    let sum = image_formats::ext4::checksum::crc32c(0, &fast[..20]);
    fast[20..24].copy_from_slice(&sum.to_le_bytes());
    image.bytes
}

pub(crate) const TWINS: &[Twin] = &[
    twin("ext4-journal", |image| {
        image.edit_inode(Ino::JOURNAL, |raw| raw.i_links_count.set(0));
    }),
    twin("ext4-journal-feature", |image| {
        image.edit_superblock(|raw| {
            raw.s_feature_compat.set(raw.s_feature_compat.get() & !compat::HAS_JOURNAL);
        });
    })
    .silent("it asks whether to clear the journal, and forgets the answer"),
    twin("ext4-journal-device", |image| {
        image.edit_superblock(|raw| raw.s_journal_uuid = [7; 16]);
    }),
    twin("ext4-journal-device", |image| image.edit_superblock(|raw| raw.s_journal_dev.set(0x801)))
        .silent("it takes the inode; Linux does not mount what has both"),
    twin("ext4-journal-backup", |image| {
        image.edit_superblock(|raw| raw.s_jnl_blocks[16].set(7));
    })
    .silent("it writes the copy anew when it may write"),
    twin("ext4-journal-superblock", |image| log_block(image, 0)[0] ^= 1),
    twin("ext4-journal-superblock", |image| log_block(image, 0)[7] = 2),
    twin("ext4-journal-version", |image| {
        edit_journal(image, |raw| {
            raw.s_header.h_blocktype.set(Header::SUPERBLOCK_V1);
            raw.s_feature_compat.set(2);
        });
    })
    .silent("it clears these fields when it may write"),
    twin("ext4-journal-users", |image| edit_journal(image, |raw| raw.s_nr_users.set(2))),
    twin("ext4-journal-features", |image| {
        edit_journal(image, |raw| raw.s_feature_incompat.set(0x40));
    }),
    twin("ext4-journal-features", |image| {
        edit_journal(image, |raw| raw.s_feature_incompat.set(0x1a));
    }),
    twin("ext4-journal-checksum", |image| log_block(image, 0)[0xff] ^= 1).of(Base::Log),
    twin("ext4-journal-size", |image| edit_journal(image, |raw| raw.s_blocksize.set(4096))),
    twin("ext4-journal-size", |image| edit_journal(image, |raw| raw.s_maxlen.set(u32::MAX))),
    twin("ext4-journal-size", |image| edit_journal(image, |raw| raw.s_num_fc_blks.set(1500)))
        .of(Base::Log),
    twin("ext4-journal-room", |image| edit_journal(image, |raw| raw.s_first.set(0)))
        .silent("it does not look at s_first; Linux does not mount this"),
    twin("ext4-journal-room", |image| edit_journal(image, |raw| raw.s_maxlen.set(1000)))
        .silent("it does not ask how many blocks are left; Linux does not mount this"),
    twin("ext4-journal-error", |image| edit_journal(image, |raw| raw.s_errno.set(-5_i32 as u32)))
        .silent("it marks the file system when it may write"),
    twin("ext4-journal-start", |image| edit_journal(image, |raw| raw.s_start.set(1)))
        .silent("it asks whether to run the journal, and forgets the answer"),
    twin("ext4-journal-empty", |image| {
        image.edit_superblock(|raw| {
            raw.s_feature_incompat.set(raw.s_feature_incompat.get() | incompat::RECOVER);
        });
    })
    .also(&["ext4-journal-replay"])
    .silent("it leaves the journal to a run that may write"),
    // The second copy of the first transaction is revoked, so nobody misses it.
    twin("ext4-journal-log", |image| log_block(image, 2)[9] ^= 1)
        .of(Base::Log)
        .silent("it leaves the journal to a run that may write, which fails"),
    twin("ext4-journal-log", |image| {
        let start = journal(image).raw.s_start.get();
        let format = journal(image).format();
        let block = log_block(image, start);
        assert_eq!(Descriptor::new(block, format).tags().count(), 3);
        // `t_blocknr` of the first tag.
        block[12..16].fill(0x7f);
        let end = block.len() - 4;
        let (_, sum) = format.block_checksum(block);
        block[end..].copy_from_slice(&sum.to_be_bytes());
    })
    .of(Base::Log)
    .silent("it leaves the journal to a run that may write"),
    twin("ext4-journal-fast-commit", |image| {
        let superblock = journal(image);
        let at = superblock.raw.s_maxlen.get() - superblock.fast_commit_blocks() + 1;
        log_block(image, at)[20] ^= 1;
    })
    .of(Base::Log)
    .silent("it leaves the journal to a run that may write, which fails"),
];
