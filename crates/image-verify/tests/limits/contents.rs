//! What it takes to read files: no more for one of many pieces.

use std::{fs::File, os::unix::fs::FileExt as _, process::Command};

use image_verify::{Recorder, tree::Kind, volume::Trouble};

use super::*;

/// Pieces of the file.
const PIECES: u64 = 10_000;

/// A buffer, and the nodes on the way to a piece.
const MEMORY_OF_A_READER: usize = 384 << 10;

#[test]
fn a_file_of_many_pieces() {
    let _alone = alone();
    for kind in ["ext4", "ext2"] {
        let dir = tempfile::tempdir().unwrap();
        let (tree, image) = (dir.path().join("tree"), dir.path().join("image"));
        std::fs::create_dir(&tree).unwrap();
        let file = File::create(tree.join("file")).unwrap();
        // A block, and a hole as long.
        for piece in 0..PIECES {
            file.write_all_at(&[piece as u8 | 1; 4096], piece * 8192).unwrap();
        }
        let output = Command::new("timeout")
            .args(["60", "mke2fs", "-q", "-F", "-t", kind, "-b", "4096", "-d"])
            .args([&tree, &image])
            .arg("100M")
            .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}; run `apt-get install e2fsprogs`");
        let region = Region::whole(Arc::new(File::open(&image).unwrap())).unwrap();
        let volume = ext4::verify(&region, "disk", &Trouble::default(), &mut Recorder::default());
        let volume = volume.unwrap().unwrap();
        let id = volume.find_file(b"/file").unwrap();
        assert!(matches!(volume.tree.node(id).kind, Kind::File(_)));
        let before = MEMORY.allocated();
        MEMORY.set_limit(before + MEMORY_OF_A_READER).unwrap();
        let mut at = 0_u64;
        let mut reader = volume.files.contents().reader();
        let read = reader.read(&volume.tree, id, &mut |piece| {
            at += piece.len() as u64;
        });
        drop(reader);
        MEMORY.set_limit(usize::MAX).unwrap();
        read.unwrap();
        assert_eq!(at, PIECES * 8192 - 4096);
    }
}
