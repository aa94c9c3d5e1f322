//! Bytes that nobody writes: no panic, no end that does not come, no file that is not there.

use std::time::Instant;

use super::{
    image::{Edit, both, ce, entry, genisoimage, relocated, xorriso},
    judge,
    limit::LIMIT,
};

/// A generator of numbers: the same ones in each run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }
}

/// Reads all files that a volume says that it has.
fn survive(bytes: &[u8]) {
    let (_, volume) = judge(bytes);
    let Some(volume) = volume else { return };
    for id in volume.tree.below(image_verify::tree::Tree::ROOT) {
        let _ = volume.content(id, 1 << 20);
        let _ = volume.find(&volume.tree.path(id));
    }
}

#[test]
fn entries_of_any_bytes() {
    let paths = [".", "names/.", "names/link", "file-a.txt", "null", "1/2/3/4/5/6/7/8"];
    let mut numbers = Numbers(5);
    for (image, paths) in [(xorriso(), &paths[..5]), (relocated(), &paths), (genisoimage(), &paths)]
    {
        for path in paths {
            let edit = Edit::new(image);
            for (at, bytes) in edit.entries(path) {
                for offset in (numbers.next(2)..bytes.len()).step_by(2) {
                    let mut edit = Edit::new(image);
                    let byte = [0, 1, 0x7f, 0x80, 0xff, numbers.next(256) as u8][numbers.next(6)];
                    edit.put(at + offset, &[byte]);
                    if numbers.next(2) == 0 {
                        edit.put(at + numbers.next(bytes.len()), &[numbers.next(256) as u8]);
                    }
                    survive(&edit.bytes);
                }
            }
        }
    }
}

/// Relocated directories that lead to themselves, to what is above them, to no directory, and to
/// the end of the numbers.
#[test]
fn links_in_circles() {
    let base = Edit::new(relocated());
    let root = base.extent(".");
    let targets =
        [root, base.extent("1/2"), base.extent("moved"), base.extent("file-a.txt"), 0, 0xffff_ffff];
    for target in targets {
        for path in ["1/2/3/4/5/6/7/8", "moved/8", "file-a.txt"] {
            let mut edit = Edit::new(relocated());
            edit.replace(path, "TF", &entry("CL", &both(target)));
            survive(&edit.bytes);
        }
    }
}

/// Every record of the disc goes on in the same long circle, and is done with soon.
#[test]
fn all_records_in_one_circle() {
    let mut edit = Edit::new(xorriso());
    let block = edit.extent("room");
    let circle = ce(block, 0, 16384);
    let area: Vec<u8> = [circle.clone(), entry("NM", b"\x01x").repeat(2300)].concat();
    edit.put(block * 2048, &area);
    for path in ["file-a.txt", "file-b.txt", "names", "room", "absolute", "fifo", "1"] {
        edit.replace(path, "PX", &circle);
    }
    let start = Instant::now();
    survive(&edit.bytes);
    assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
}

#[test]
fn discs_that_were_cut() {
    let mut numbers = Numbers(7);
    for image in [xorriso(), relocated(), genisoimage()] {
        for _ in 0..40 {
            survive(&image[..numbers.next(image.len())]);
        }
    }
}
