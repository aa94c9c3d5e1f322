//! Feeds the checkers of file systems with bytes that nobody wrote in good faith, through
//! libFuzzer.
//!
//! An input is an [`Image`] that is mostly holes: the pages that have anything but zeros. So what
//! is changed is metadata, and a file system of terabytes is an input of kilobytes. Changes are
//! made to pages, and the checksums of ext4 and of discs are then made right again (most of the
//! time), as somebody hostile would do. SquashFS has none.
//!
//! `cargo xtask fuzz` builds and runs the targets, and makes the first inputs.

mod access;
mod input;
mod mutation;
mod random;
mod seal;
mod seal_disc;

use std::{alloc::System, sync::Arc};

use cap::Cap;
use image_formats::{
    bytes::{ReadAt, ReadError, Region},
    ext4::Superblock,
};
use image_model::{Boot, Check, ImageSpace, Location, VerificationReport};
use image_verify::{Recorder, disc, kind};

pub use input::{Image, PAGE};
pub use mutation::{cross, mutate};
pub use seal::seal;
pub use seal_disc::seal_disc;

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// What a checker may allocate, but for what it needs for each inode.
const MEMORY_LIMIT: usize = 64 << 20;

/// What the checkers of a disc may allocate: those of it, of a FAT in it and of a SquashFS in it,
/// and the trees of all three.
const DISC_MEMORY_LIMIT: usize = 128 << 20;

/// The longest disc, in bytes: data is read as well, and a build for the fuzzer is slow.
const MAX_DISC: u64 = 64 << 20;

/// What the checker of ext4 may allocate more, for each inode.
const MEMORY_OF_INODE: usize = 40;

/// The smallest inode, in bytes.
const INODE: u64 = 128;

/// Writes an image as an input, as much of it as there is room for, and returns how much that is.
pub fn store(image: &Image, room: &mut [u8]) -> usize {
    let input = image.to_input();
    let size = input.len().min(room.len());
    room[..size].copy_from_slice(&input[..size]);
    size
}

/// Judges an ext4 file system with the memory that it may take.
pub fn judge_ext4(image: Image) {
    // No more inodes and clusters than there is room for: images are small.
    let most = image.length() / INODE;
    let clusters = image.length() as usize / 1024;
    let region = region(image);
    let claimed = Superblock::read(&region).map_or(0, |found| found.raw.s_inodes_count.get());
    let inodes = u64::from(claimed).min(most) as usize;
    let limit = MEMORY_LIMIT + inodes * MEMORY_OF_INODE + clusters / 4;
    judge(&region, limit, image_verify::ext4::CHECKS, image_verify::ext4::check);
}

/// Judges a FAT file system with the memory that it may take.
pub fn judge_fat(image: Image) {
    judge(&region(image), MEMORY_LIMIT, image_verify::fat::CHECKS, image_verify::fat::check);
}

/// Judges a SquashFS with the memory that it may take.
pub fn judge_squashfs(image: Image) {
    let region = region(image.cut(MAX_DISC));
    judge(&region, MEMORY_LIMIT, image_verify::squashfs::CHECKS, image_verify::squashfs::check);
}

/// Judges a disc, all that is in it, and what it boots, with the memory that it may take.
pub fn judge_disc(image: Image) {
    let image: Arc<dyn ReadAt> = Arc::new(image.cut(MAX_DISC));
    MEMORY.set_limit(MEMORY.allocated() + DISC_MEMORY_LIMIT).expect("nothing else runs");
    let mut out = Recorder::default();
    let disc = disc::verify(&image, &mut out).expect("memory does not fail");
    kind::iso::verify(
        &disc,
        kind::iso::Promise { boots: &Boot::ALL, ..kind::iso::Promise::default() },
        &mut out,
    );
    drop(disc);
    MEMORY.set_limit(usize::MAX).expect("there is no limit above");
    let whole = Location {
        structure: "disc".into(),
        space: ImageSpace::Raw,
        offset: 0,
        len: 0,
        path: None,
    };
    let unused = image_verify::CHECKS.first().expect("there is one");
    for finding in out.finish(&[], unused, &whole).findings {
        let declared = image_verify::checks().any(|check| check.id == finding.check);
        assert!(declared, "{finding:?}");
    }
}

fn region(image: Image) -> Region {
    Region::whole(Arc::new(image)).expect("memory does not fail")
}

/// Ends the process where the checker takes more than `limit` bytes: what cannot be allocated
/// aborts.
fn judge(
    region: &Region,
    limit: usize,
    checks: &[&'static Check],
    check: impl FnOnce(&Region) -> Result<VerificationReport, ReadError>,
) {
    MEMORY.set_limit(MEMORY.allocated() + limit).expect("nothing else runs");
    let report = check(region);
    MEMORY.set_limit(usize::MAX).expect("there is no limit above");
    let report = report.expect("memory does not fail");
    for finding in &report.findings {
        assert!(checks.iter().any(|check| check.id == finding.check), "{finding:?}");
    }
}
