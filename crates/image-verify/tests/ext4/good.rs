//! File systems that the real tools make: nothing is said against them, and the files are those
//! that went in.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read as _,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::Path,
};

use image_verify::{
    tree::Kind,
    volume::{Family, Volume},
};

use super::image::*;

const fn recipe(name: &'static str, args: &'static [&'static str]) -> Recipe {
    Recipe { name, args, mib: 24, debugfs: &[], index: false }
}

/// All that mke2fs makes.
pub(crate) const RECIPES: &[Recipe] = &[
    recipe("ext4, 1 KiB", &["-t", "ext4", "-b", "1024"]),
    recipe("ext4, 4 KiB", &["-t", "ext4", "-b", "4096"]),
    Recipe { index: true, ..recipe("index, 1 KiB", &["-t", "ext4", "-b", "1024"]) },
    Recipe { index: true, ..recipe("index, 4 KiB", &["-t", "ext4", "-b", "4096"]) },
    recipe("ext2", &["-t", "ext2"]),
    recipe("ext2, revision 1, 128 bytes", &["-t", "ext2", "-b", "4096", "-I", "128"]),
    recipe("ext3", &["-t", "ext3"]),
    Recipe { index: true, ..recipe("ext3 with an index", &["-t", "ext3", "-b", "1024"]) },
    recipe("uninit_bg", &["-t", "ext4", "-O", "^metadata_csum,uninit_bg"]),
    recipe("no checksums", &["-t", "ext4", "-O", "^metadata_csum"]),
    recipe("no 64bit", &["-t", "ext4", "-O", "^64bit"]),
    recipe("no flex_bg", &["-t", "ext4", "-O", "^flex_bg", "-b", "1024"]),
    recipe("no journal", &["-t", "ext4", "-O", "^has_journal"]),
    recipe("no resize_inode", &["-t", "ext4", "-O", "^resize_inode"]),
    recipe("bigalloc", &["-t", "ext4", "-O", "bigalloc", "-C", "16384", "-b", "4096"]),
    recipe("bigalloc, 1 KiB", &["-t", "ext4", "-O", "bigalloc", "-C", "8192", "-b", "1024"]),
    recipe("sparse_super2", &["-t", "ext4", "-O", "sparse_super2", "-b", "1024"]),
    recipe("orphan_file", &["-t", "ext4", "-O", "orphan_file,metadata_csum_seed"]),
    recipe("large inodes", &["-t", "ext4", "-I", "1024", "-b", "4096"]),
    // mke2fs does not count what `-d` brings; e2fsck does.
    Recipe { index: true, ..recipe("quota", &["-t", "ext4", "-O", "quota,project"]) },
    recipe("small groups", &["-t", "ext4", "-b", "1024", "-g", "1024", "-G", "4"]),
    recipe("written at once", &["-t", "ext4", "-E", "lazy_itable_init=0,lazy_journal_init=0"]),
    recipe(
        "no sparse_super",
        &["-t", "ext2", "-O", "^sparse_super,^resize_inode", "-b", "1024", "-g", "2048"],
    ),
    Recipe {
        debugfs: &["mknod dev-null c 1 3", "mknod dev-disk b 8 0", "mknod fifo p"],
        ..recipe("devices", &["-t", "ext4"])
    },
    // What `ext4-view` refuses follows.
    recipe("inline_data", &["-t", "ext4", "-O", "inline_data"]),
    recipe("inline_data, large inodes", &["-t", "ext4", "-O", "inline_data", "-I", "512"]),
    recipe("meta_bg", &["-t", "ext4", "-O", "meta_bg,^resize_inode", "-b", "1024", "-g", "1024"]),
    recipe("no filetype", &["-t", "ext2", "-O", "^filetype"]),
    recipe("ea_inode", &["-t", "ext4", "-O", "ea_inode"]),
    recipe("mmp", &["-t", "ext4", "-O", "mmp"]),
    recipe("casefold, encrypt", &["-t", "ext4", "-O", "casefold,encrypt"]),
    recipe("large_dir", &["-t", "ext4", "-O", "large_dir"]),
    Recipe { mib: 128, ..recipe("64 KiB", &["-t", "ext4", "-b", "65536", "-O", "inline_data"]) },
];

/// What is in a folder: path, then type, mode, size and target or content.
type Listing = BTreeMap<Vec<u8>, (&'static str, u32, u64, Vec<u8>)>;

fn list(root: &Path) -> Listing {
    let mut listing = Listing::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes();
            let (kind, size, content) = if metadata.is_dir() {
                waiting.push(path.clone());
                ("directory", 0, Vec::new())
            } else if metadata.is_symlink() {
                let target = fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec();
                ("symlink", target.len() as u64, target)
            } else {
                ("file", metadata.len(), fs::read(&path).unwrap())
            };
            let value = (kind, metadata.mode() & 0o7777, size, content);
            listing.insert([b"/", name].concat(), value);
        }
    }
    listing
}

fn list_volume(volume: &Volume) -> Listing {
    let mut listing = Listing::new();
    let tree = &volume.tree;
    // By names, so that both names of a hard link are there.
    let mut waiting = vec![(image_verify::tree::Tree::ROOT, Vec::new())];
    while let Some((dir, path)) = waiting.pop() {
        for (name, id) in tree.children(dir) {
            let path = [&path[..], b"/", name].concat();
            let node = tree.node(id);
            let (size, content) = match &node.kind {
                Kind::Directory(_) => (0, Vec::new()),
                Kind::Symlink(target) => (node.size, target.to_vec()),
                Kind::File(_) => {
                    let mut content = Vec::new();
                    match volume.open(id).unwrap().read_to_end(&mut content) {
                        Ok(_) => (node.size, content),
                        Err(error) => (node.size, error.to_string().into_bytes()),
                    }
                }
                Kind::Special => (0, Vec::new()),
            };
            if matches!(node.kind, Kind::Directory(_)) {
                waiting.push((id, path.clone()));
            }
            listing.insert(path, (node.kind.as_str(), node.mode, size, content));
        }
    }
    listing
}

#[test]
fn good_file_systems_are_silent() {
    let expected = list(source());
    for recipe in RECIPES {
        let disk = recipe.make();
        let bytes = disk.bytes();
        let (report, volume) = judge(&bytes);
        assert_eq!(report.findings, [], "{}", recipe.name);
        let volume = volume.unwrap_or_else(|| panic!("{}", recipe.name));
        let mut found = list_volume(&volume);
        assert!(found.remove(&b"/lost+found"[..]).is_some());
        let added: BTreeSet<_> =
            found.keys().filter(|path| !expected.contains_key(*path)).cloned().collect();
        for path in &added {
            assert_eq!(found[path].0, "device or fifo", "{}", recipe.name);
        }
        assert_eq!(added.len(), recipe.debugfs.len());
        found.retain(|path, _| !added.contains(path));
        for (path, value) in &expected {
            let name = String::from_utf8_lossy(path);
            let found = &found[path];
            // mke2fs 1.47.0 forgets the hole at the end where it may put content into inodes.
            let cut = name == "/boot/sparse" && found.2 < value.2 && recipe.is_inline();
            let size = if cut { found.2 } else { value.2 };
            assert_eq!(
                (found.0, found.1, found.2),
                (value.0, value.1, size),
                "{}: {name}",
                recipe.name
            );
            let content = if cut { &value.3[..size as usize] } else { &value.3 };
            assert!(found.3 == content, "{}: the content of {name}", recipe.name);
        }
        assert_eq!(found.len(), expected.len(), "{}", recipe.name);
        let (clean, text) = e2fsck(&bytes);
        assert!(clean, "{}: {text}", recipe.name);
        let format = ok("util-linux", &["blkid", "-p", "-o", "value", "-s", "TYPE", disk.name()]);
        assert_eq!(volume.format, format.trim(), "{}", recipe.name);
        assert_eq!(volume.label, "NIXOS_SD");
        assert_eq!(volume.uuid, "44444444-4444-4444-8888-888888888888");
        assert_eq!(volume.family, Family::Ext);
        let stats = ok("e2fsprogs", &["dumpe2fs", "-h", disk.name()]);
        let number = |key: &str| -> u64 {
            let line = stats.lines().find_map(|line| line.strip_prefix(key)).unwrap();
            line.trim().parse().unwrap()
        };
        assert_eq!(volume.free_bytes, number("Free blocks:") * number("Block size:"));
        assert_eq!(volume.free_inodes, Some(number("Free inodes:")));
    }
}

/// As nixpkgs makes the root of an SD card: populated as nobody, at a time that does not change,
/// made as small as it can be, and then larger by a little.
#[test]
fn as_nixpkgs_makes_it_is_silent() {
    let disk = OnDisk::new(b"");
    fs::File::create(&disk.path).unwrap().set_len(64 << 20).unwrap();
    let (file, source) = (disk.name(), source().to_str().unwrap());
    let uuid = "44444444-4444-4444-8888-888888888888";
    let faked = ["faketime", "-f", "1970-01-01 00:00:01", "fakeroot"];
    let make = ["mkfs.ext4", "-L", "NIXOS_SD", "-U", uuid, "-d", source, file];
    ok("faketime fakeroot e2fsprogs", &[&faked[..], &make].concat());
    ok("e2fsprogs", &["fsck.ext4", "-n", "-f", file]);
    for size in [24, 20] {
        // To its least size, then 16 MiB more.
        ok("e2fsprogs", &["resize2fs", "-M", file]);
        let dump = ok("e2fsprogs", &["dumpe2fs", "-h", file]);
        let number = |key: &str| -> u64 {
            dump.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().parse().unwrap()
        };
        let least = number("Block count:") * number("Block size:");
        let open = fs::OpenOptions::new().write(true).open(&disk.path).unwrap();
        open.set_len(least + (size << 20)).unwrap();
        ok("e2fsprogs", &["resize2fs", file]);
        let bytes = disk.bytes();
        let (report, volume) = judge(&bytes);
        assert_eq!(report.findings, []);
        let volume = volume.unwrap();
        let (expected, mut found) = (list(super::image::source()), list_volume(&volume));
        found.remove(&b"/lost+found"[..]);
        assert!(expected.keys().eq(found.keys()));
        assert!(found.values().map(|v| &v.3).eq(expected.values().map(|v| &v.3)));
        let tree = &volume.tree;
        for id in tree.below(image_verify::tree::Tree::ROOT) {
            let node = tree.node(id);
            assert_eq!((node.uid, node.gid), (0, 0));
        }
        assert!(e2fsck(&bytes).0);
    }
}
