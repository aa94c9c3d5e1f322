//! Edits of one bit, drawn by numbers that are the same in each run, of an image for each
//! compressor: where unsquashfs fails, there is an error.
//!
//! Where it does not fail and reads something else, nothing may be there to tell: LZ4, LZO and zstd
//! have no checksum, names and modes neither. Those are counted, and it is said how many.

use super::{folder::Folder, image::*, *};

/// Edits of each image.
const EDITS: usize = 120;

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end
    }
}

#[test]
fn where_unsquashfs_fails_there_is_an_error() {
    let folder = Folder::new();
    let source = folder.path("source");
    small_tree(&source);
    let mut wrong = Vec::new();
    let (mut refused, mut silent, mut only_ours) = (0, 0, 0);
    for (number, comp) in
        ["gzip", "lzo", "lz4", "xz", "zstd", "lzma", "none"].into_iter().enumerate()
    {
        let options: &[&str] = match comp {
            "none" => &["-noI", "-noD", "-noF", "-noX"],
            _ => &["-comp", comp],
        };
        // The same bytes in each run.
        let fixed = ["-b", "4K", "-all-time", "1000000000", "-all-root", "-processors", "1"];
        let good = folder.make(&source, &[&fixed, options].concat());
        let theirs = read_back(&folder, &good).unwrap();
        let superblock =
            image_formats::squashfs::raw::SuperBlock::read(&Region::from(good.clone()));
        let superblock = superblock.unwrap();
        let used = superblock.bytes_used.get() as usize;
        let metadata = superblock.inode_table_start.get() as usize;
        let mut random = Random(number as u64 + 1);
        for edit in 0..EDITS {
            // A third each in the superblock, in metadata, and anywhere.
            let at = match edit % 3 {
                0 => random.below(96),
                1 => metadata + random.below(used - metadata),
                _ => random.below(used),
            };
            let bit = random.below(8);
            let mut image = good.clone();
            image[at] ^= 1 << bit;
            let (recorded, _) = judge_bytes(&image);
            // Linux reads what has the flag of this one.
            let flag = recorded.findings.iter().any(|f| f.check == "squashfs-checksums");
            let errors = recorded.totals.errors > 0 || flag;
            match read_back(&folder, &image) {
                Err(words) if !errors => {
                    let found = told(&recorded.findings);
                    wrong.push(format!("{comp}: bit {bit} of {at:#x}: {words} {found:?}"));
                }
                Err(_) => refused += 1,
                Ok(_) if errors => only_ours += 1,
                Ok(read) => {
                    silent += usize::from(read != theirs);
                    let changed = theirs.iter().filter(|(name, entry)| {
                        read.get(*name).is_none_or(|other| other.kind != entry.kind)
                    });
                    // These two have checksums. What does not compress is as it is, as one file
                    // and the table of owners are here.
                    let guarded = matches!(comp, "gzip" | "xz");
                    for (name, _) in changed.filter(|(name, _)| guarded && *name != b"/etc/noise") {
                        let name = tree::display(name);
                        wrong.push(format!("{comp}: bit {bit} of {at:#x}: {name} changed"));
                    }
                }
            }
        }
    }
    println!("{refused} refused by both, {only_ours} by us only, {silent} read otherwise by both");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Few files, so that much of an image says something.
fn small_tree(folder: &std::path::Path) {
    let write = |name: &str, content: &[u8]| {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    write("bin/tool", &text(9000, 3));
    write("bin/other", &text(12_288, 4));
    write("etc/noise", &noise(5000, 5));
    write("etc/conf", b"a = b\n");
    write("etc/deep/er/file", &text(300, 6));
    write("empty", b"");
    std::fs::hard_link(folder.join("bin/tool"), folder.join("bin/linked")).unwrap();
    std::os::unix::fs::symlink("bin/tool", folder.join("symlink")).unwrap();
    for index in 0..40 {
        write(&format!("many/{index}"), &text(index, index));
    }
}
