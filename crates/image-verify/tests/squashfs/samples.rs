//! File systems that other people made: one for each compressor, of a reader in Python.

use std::path::Path;

use super::{folder::Folder, image::*, *};

#[test]
fn those_of_dissect_are_read_as_unsquashfs_reads_them() {
    let folder = Folder::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/discs/squashfs");
    assert!(root.exists(), "{} is not there: run tests/setup.sh", root.display());
    let mut read = 0;
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let image = std::fs::read(&path).unwrap();
        let (recorded, volume) = judge_bytes(&image);
        // That is how the compressor is called, and the only thing to be said.
        let lzma = path.ends_with("lzma.sqfs").then(|| "squashfs-lzma".to_owned());
        let (found, told) = (failed(&recorded.findings), told(&recorded.findings));
        assert_eq!(found, lzma.into_iter().collect(), "{}: {told:?}", path.display());
        assert_eq!(recorded.totals.errors, 0);
        let theirs = read_back(&folder, &image).unwrap();
        assert_eq!(entries(&volume.unwrap()), theirs, "{}", path.display());
        read += 1;
    }
    assert_eq!(read, 7);
}
