//! Second witnesses: `fsck.fat -n` and mtools on the same bytes.

use std::{
    collections::BTreeSet,
    fs,
    io::{Cursor, Read as _},
    path::Path,
};

use super::{
    hostile,
    image::*,
    judge_bytes, paths,
    twins::{Fsck, TWINS},
};

/// What `fsck.fat -n` thinks of an image, and what it says.
pub(crate) fn fsck(image: &Path) -> (bool, String) {
    let output = tool("dosfstools", &["fsck.fat", "-n", image.to_str().unwrap()]);
    let clean = match output.status.code() {
        Some(0) => true,
        Some(1) => false,
        other => panic!("fsck.fat: {other:?}"),
    };
    (clean, String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn fsck_agrees_or_we_know_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fat.img");
    for bytes in [fat12(), fat16(), fat32()] {
        fs::write(&path, bytes).unwrap();
        let (clean, text) = fsck(&path);
        assert!(clean, "{text}");
    }
    let mut wrong = Vec::new();
    for twin in TWINS {
        fs::write(&path, twin.image()).unwrap();
        let silent = match twin.fsck {
            Fsck::Knows => false,
            Fsck::Silent(why) => !why.is_empty(),
        };
        let (clean, text) = fsck(&path);
        if clean != silent {
            wrong.push(format!("{}: {text}", twin.check));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Metadata with one wrong byte: wherever fsck.fat complains, so do we.
#[test]
fn fsck_knows_no_mutant_that_we_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fat.img");
    let places = hostile::metadata(fat12());
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut missed = Vec::new();
    for _ in 0..300 {
        // xorshift64, Marsaglia 2003.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let at = places[(random >> 8) as usize % places.len()];
        let mut edit = Edit::new(fat12());
        let wrong = edit.bytes[at] ^ (1 << (random % 8));
        edit.put(at, &[wrong]);
        // A flag of which version 4.2 thinks that there is no 8.3 name; later ones do not.
        if at >= edit.entry(b"FIRMWARE   ") && at % 32 == 12 && wrong & 0x20 != 0 {
            continue;
        }
        fs::write(&path, &edit.bytes).unwrap();
        let (clean, text) = fsck(&path);
        if !clean && judge_bytes(&edit.bytes).0.findings.is_empty() {
            missed.push(format!("{at:#x}: {text}"));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

/// mdir lists the names that the tree has; it shows letters that are not ASCII in upper case where
/// the flags of Windows NT ask for lower case.
#[test]
fn mdir_lists_the_tree() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fat.img");
    for bytes in [fat12(), fat16(), fat32()] {
        fs::write(&path, bytes).unwrap();
        let listing = String::from_utf8(mtools(&path, "mdir", &["-/", "-a", "-b", "::"])).unwrap();
        let listed = listing.lines().map(|line| line.strip_prefix("::").unwrap().to_lowercase());
        let tree = judge_bytes(bytes).1.unwrap().tree;
        let ours = paths(&tree).into_iter().map(|path| path.to_lowercase());
        assert_eq!(ours.collect::<BTreeSet<_>>(), listed.collect());
    }
}

/// What is read is what mcopy extracts.
#[test]
fn mcopy_reads_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fat.img");
    for bytes in [fat12(), fat16(), fat32()] {
        fs::write(&path, bytes).unwrap();
        let volume = judge_bytes(bytes).1.unwrap();
        for name in files().keys() {
            let content = mtools(&path, "mcopy", &[&format!("::/{name}"), "-"]);
            let id = volume.find_file(name.as_bytes()).unwrap();
            assert_eq!(volume.content(id, 1 << 20).unwrap(), content, "{name}");
        }
    }
}

/// What is read is what `fatfs` reads, also where files are large and in pieces.
#[test]
fn fatfs_reads_the_same() {
    for bytes in [fat12(), fat16(), fat32()] {
        let volume = judge_bytes(bytes).1.unwrap();
        let options = fatfs::FsOptions::new();
        let theirs = fatfs::FileSystem::new(Cursor::new(bytes.to_vec()), options).unwrap();
        // Its code page is another, which it takes 8.3 names for.
        for name in files().keys().filter(|name| name.is_ascii()) {
            let mut content = Vec::new();
            let mut file = theirs.root_dir().open_file(name).unwrap();
            file.read_to_end(&mut content).unwrap();
            let id = volume.find_file(name.as_bytes()).unwrap();
            assert_eq!(volume.content(id, 1 << 20).unwrap(), content, "{name}");
            // In pieces that end within clusters and at their ends.
            for piece in [1, 7, 512, 4096, 5000] {
                let mut file = volume.open(id).unwrap();
                let mut ours = Vec::new();
                while file.by_ref().take(piece).read_to_end(&mut ours).unwrap() > 0 {}
                assert_eq!(ours, content, "{name}, {piece}");
            }
        }
    }
}

/// Linux, U-Boot and firmware read FAT32 with few clusters or without FSInfo, and so do we.
#[test]
fn odd_fat32_is_read() {
    let content = b"arm_64bit=1\n";
    for odd in [small_fat32(), fat32()] {
        let mut edit = Edit::new(odd);
        edit.boot(48, &[0, 0]);
        let cluster = edit.free().next().unwrap();
        edit.set(cluster, edit.end());
        let at = edit.cluster(cluster);
        edit.put(at, content);
        // Neither mtools nor fatfs writes to the small one.
        let mut file = entry(b"ODD        ", 0x20, cluster);
        file[28] = content.len() as u8;
        let label = edit.entry(b"FIRMWARE   ");
        edit.put(label, &file);
        let volume = judge_bytes(&edit.bytes).1.unwrap();
        let id = volume.find_file(b"ODD").unwrap();
        assert_eq!(volume.content(id, 1 << 20).unwrap(), content);
    }
}
