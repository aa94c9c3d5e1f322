//! What mksquashfs makes, with its compressors, block sizes and options, against what unsquashfs
//! reads of it.

use super::{folder::Folder, image::*, *};

const COMPRESSORS: &[&str] = &["gzip", "lzo", "lz4", "xz", "zstd", "lzma"];

/// As nixpkgs makes the store of an ISO, but for `-no-hardlinks` where mksquashfs is too old.
const NIXPKGS: &[&str] = &[
    "-keep-as-directory",
    "-all-root",
    "-b",
    "1048576",
    "-comp",
    "zstd",
    "-Xcompression-level",
    "19",
    "-root-mode",
    "0755",
    "-no-hardlinks",
];

/// A recipe, and the size of the blocks for which the files are made.
fn recipes() -> Vec<(Vec<&'static str>, usize)> {
    let mut recipes: Vec<(Vec<&str>, usize)> = Vec::new();
    for comp in COMPRESSORS {
        recipes.push((vec!["-comp", comp, "-b", "4096"], 4096));
        recipes.push((vec!["-comp", comp], 131_072));
    }
    for (size, len) in [("8K", 8192), ("16384", 16384), ("64K", 65536), ("1M", 1 << 20)] {
        recipes.push((vec!["-b", size], len));
    }
    for options in [
        &["-noI"][..],
        &["-noId"],
        &["-noD"],
        &["-noF"],
        &["-noX"],
        &["-noI", "-noD", "-noF", "-noX"],
        &["-no-fragments"],
        &["-always-use-fragments"],
        &["-always-use-fragments", "-no-duplicates"],
        &["-no-duplicates"],
        &["-no-exports"],
        &["-no-xattrs"],
        &["-no-sparse"],
        &["-all-root", "-root-mode", "0700", "-all-time", "0"],
        &["-force-uid", "2000000000", "-force-gid", "65534"],
        &["-nopad"],
        &["-not-reproducible", "-processors", "2"],
        &["-no-hardlinks"],
        &["-p", "dev c 644 0 5 5 1", "-p", "blk b 600 7 2 259 300", "-p", "fifo i 644 3 0 f"],
        &["-p", "socket i 777 0 0 s", "-p", "made f 444 1 1 echo made", "-p", "new d 711 9 9"],
        &["-comp", "gzip", "-Xcompression-level", "1", "-Xwindow-size", "8"],
        &["-comp", "gzip", "-Xstrategy", "default,huffman_only,filtered"],
        &["-comp", "lzo", "-Xalgorithm", "lzo1x_1"],
        &["-comp", "lz4", "-Xhc"],
        &["-comp", "xz", "-Xbcj", "x86,arm"],
        &["-comp", "zstd", "-Xcompression-level", "1"],
    ] {
        recipes.push(([options, &["-b", "4K"]].concat(), 4096));
    }
    for dictionary in ["75%", "8K"] {
        recipes.push((vec!["-b", "16K", "-comp", "xz", "-Xdict-size", dictionary], 16384));
    }
    recipes.push((NIXPKGS.to_vec(), 1 << 20));
    recipes
}

/// Options whose results other people may be surprised by.
fn expected(options: &[&str], image: &[u8]) -> BTreeSet<&'static str> {
    let mut expected = BTreeSet::new();
    if options.contains(&"lzma") {
        expected.insert("squashfs-lzma");
    }
    if !image.len().is_multiple_of(512) {
        expected.insert("squashfs-padding");
    }
    expected
}

#[test]
fn what_mksquashfs_makes_is_silent_and_read_as_unsquashfs_reads_it() {
    let folder = Folder::new();
    let mut sources = BTreeMap::new();
    let mut wrong = Vec::new();
    for (options, block) in recipes() {
        let source = folder.path(&format!("tree {block}"));
        sources.entry(block).or_insert_with(|| tree(&source, block));
        let image = folder.make(&source, &options);
        let (recorded, volume) = judge_bytes(&image);
        let found: BTreeSet<_> = recorded.findings.iter().map(|f| f.check.as_ref()).collect();
        if found != expected(&options, &image) {
            wrong.push(format!("{options:?}: {:#?}", told(&recorded.findings)));
        }
        let Some(volume) = volume else {
            wrong.push(format!("{options:?}: no volume"));
            continue;
        };
        let (ours, theirs) = (entries(&volume), read_back(&folder, &image).unwrap());
        if ours != theirs {
            let names =
                |map: &BTreeMap<Vec<u8>, Entry>| map.keys().cloned().collect::<BTreeSet<_>>();
            let (a, b) = (names(&ours), names(&theirs));
            let names: Vec<_> = a.symmetric_difference(&b).map(|n| tree::display(n)).collect();
            let differ = ours.iter().find(|(name, entry)| theirs.get(*name) != Some(*entry));
            let differ =
                differ.map(|(name, e)| (tree::display(name), e.mode, e.uid, e.gid, e.mtime));
            wrong.push(format!("{options:?}: read otherwise: {names:?} {differ:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Nothing but a root, and nothing but a file.
#[test]
fn little_is_read_as_well() {
    let folder = Folder::new();
    let (empty, file) = (folder.path("empty"), folder.path("file"));
    std::fs::create_dir(&empty).unwrap();
    std::fs::write(&file, b"").unwrap();
    for source in [empty, file] {
        for options in [&["-no-exports"][..], &["-noI", "-comp", "lz4"]] {
            let image = folder.make(&source, options);
            let (recorded, volume) = judge_bytes(&image);
            assert_eq!(told(&recorded.findings), [""; 0]);
            assert_eq!(entries(&volume.unwrap()), read_back(&folder, &image).unwrap());
        }
    }
}
