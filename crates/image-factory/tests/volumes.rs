//! One tree in all formats, laid there by the real tools: all of them list and read the same as the
//! folder that it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs::{self, File},
    io::Write as _,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileExt as _, PermissionsExt as _, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
};

use image_factory::folder;
use image_formats::bytes::Region;
use image_verify::{
    Recorder, ext4, fat, iso9660, squashfs, tar,
    tree::{Kind, NodeId, Tree},
    volume::{ContentError, Trouble, Volume},
};

/// Runs a tool that has to succeed, with a limit of time.
fn run(folder: &Path, argv: &[&str]) {
    let output = Command::new("timeout")
        .args(["-k", "2", "60"])
        .args(argv)
        .current_dir(folder)
        .env("LC_ALL", "C")
        // No test is skipped: mtools takes images that are no floppies without asking.
        .env("MTOOLS_SKIP_CHECK", "1")
        .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap()))
        .output()
        .unwrap();
    assert_ne!(output.status.code(), Some(127), "{} is not there: run tests/setup.sh", argv[0]);
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{argv:?}: {words}");
}

/// A tree with one of everything. `all` of it, or only what FAT can hold.
fn fill(root: &Path, all: bool) {
    let pattern = |len: usize, seed: usize| -> Vec<u8> {
        (0..len).map(|at| (at / 3 + at / 4096 * seed + seed) as u8).collect()
    };
    fs::create_dir(root).unwrap();
    for directory in ["bin", "empty", "nix", "nix/store", "nix/store/deep"] {
        fs::create_dir(root.join(directory)).unwrap();
    }
    for (path, content) in [
        ("empty-file", Vec::new()),
        ("bin/tool", pattern(70_000, 1)),
        ("nix/store/large", pattern(3_000_001, 2)),
        ("nix/store/one", vec![7]),
        ("nix/store/deep/block", pattern(131_072, 3)),
        ("nix/store/deep/a long name, with blanks and more.txt", pattern(5000, 4)),
    ] {
        fs::write(root.join(path), content).unwrap();
    }
    for number in 0..300 {
        let path = root.join(format!("nix/store/deep/{number}"));
        fs::write(path, pattern(number * 7, number)).unwrap();
    }
    fs::set_permissions(root.join("bin/tool"), fs::Permissions::from_mode(0o755)).unwrap();
    if !all {
        return;
    }
    fs::write(root.join(OsStr::from_bytes(b"bin/\xff\xfe not UTF-8")), "bytes").unwrap();
    symlink("../bin/tool", root.join("nix/tool")).unwrap();
    symlink("/nowhere", root.join("nix/store/dangling")).unwrap();
    fs::hard_link(root.join("bin/tool"), root.join("nix/store/same")).unwrap();
    // Holes, at the end as well.
    let sparse = File::create(root.join("nix/store/sparse")).unwrap();
    sparse.write_all_at(&pattern(5000, 5), 1 << 20).unwrap();
    sparse.set_len(3 << 20).unwrap();
}

/// What a volume says of a file: its kind, and what is in it.
type Listing = BTreeMap<Vec<u8>, (&'static str, bool, Vec<u8>)>;

/// All names, each file read by threads at once, and a second time when it is opened alone.
fn list(volume: &Volume) -> Listing {
    let tree = &volume.tree;
    let mut names = Vec::new();
    let mut waiting = vec![(Tree::ROOT, Vec::new())];
    while let Some((directory, path)) = waiting.pop() {
        for (name, id) in tree.children(directory) {
            let path = [&path[..], b"/", name].concat();
            waiting.push((id, path.clone()));
            names.push((path, id));
        }
    }
    let contents = volume.files.contents();
    let read = |names: &[(Vec<u8>, NodeId)]| -> Listing {
        let mut reader = contents.reader();
        let entry = |(path, id): &(Vec<u8>, NodeId)| {
            let node = tree.node(*id);
            let mut content = Vec::new();
            match &node.kind {
                Kind::Symlink(target) => content = target.to_vec(),
                Kind::File(_) => {
                    let read = reader.read(tree, *id, &mut |piece| content.extend(piece));
                    read.unwrap_or_else(|error| panic!("{}: {error}", path.escape_ascii()));
                    assert_eq!(content.len() as u64, node.size);
                }
                other => {
                    let read = reader.read(tree, *id, &mut |_| panic!("content"));
                    assert!(
                        matches!(read, Err(ContentError::NotAFile(what)) if what == other.as_str())
                    );
                }
            }
            let program = matches!(node.kind, Kind::File(_)) && node.mode & 0o100 != 0;
            (path.clone(), (node.kind.as_str(), program, content))
        };
        names.iter().map(entry).collect()
    };
    let found: Listing = thread::scope(|scope| {
        let parts: Vec<_> = names.chunks(names.len() / 3 + 1).collect();
        let parts: Vec<_> = parts.into_iter().map(|part| scope.spawn(|| read(part))).collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    for (path, id) in &names {
        if let Kind::File(_) = tree.node(*id).kind {
            assert!(volume.content(*id, 8 << 20).unwrap() == found[path].2);
        }
    }
    found
}

/// A format: how the real tools make it of a folder `tree`, and how it is opened.
struct Format {
    name: &'static str,
    make: &'static [&'static [&'static str]],
    open: fn(&Region, &Trouble, &mut Recorder) -> Option<Volume>,
    /// It knows what is executable.
    modes: bool,
    /// It holds all that a folder does.
    all: bool,
}

fn open_tar(region: &Region, trouble: &Trouble, _: &mut Recorder) -> Option<Volume> {
    tar::open(region, trouble).ok()
}

fn open_ext4(region: &Region, trouble: &Trouble, out: &mut Recorder) -> Option<Volume> {
    ext4::verify(region, "disk", trouble, out).unwrap()
}

fn open_squashfs(region: &Region, trouble: &Trouble, out: &mut Recorder) -> Option<Volume> {
    squashfs::verify(region, "disk", trouble, out).unwrap()
}

fn open_iso(region: &Region, trouble: &Trouble, out: &mut Recorder) -> Option<Volume> {
    iso9660::verify(region, "disc", trouble, out).unwrap()
}

fn open_fat(region: &Region, trouble: &Trouble, out: &mut Recorder) -> Option<Volume> {
    fat::verify(region, "disk", trouble, out).unwrap()
}

const FORMATS: &[Format] = &[
    Format {
        name: "tar, pax",
        make: &[&["tar", "-cf", "image", "--format=pax", "-C", "tree", "."]],
        open: open_tar,
        modes: true,
        all: true,
    },
    Format {
        name: "tar, gnu",
        make: &[&["tar", "-cf", "image", "--format=gnu", "-C", "tree", "."]],
        open: open_tar,
        modes: true,
        all: true,
    },
    Format {
        name: "ext4, 4 KiB",
        make: &[&["mke2fs", "-q", "-t", "ext4", "-b", "4096", "-d", "tree", "image", "32M"]],
        open: open_ext4,
        modes: true,
        all: true,
    },
    Format {
        name: "ext4, 1 KiB",
        make: &[&["mke2fs", "-q", "-t", "ext4", "-b", "1024", "-d", "tree", "image", "32M"]],
        open: open_ext4,
        modes: true,
        all: true,
    },
    Format {
        name: "ext2, without extents",
        make: &[&["mke2fs", "-q", "-t", "ext2", "-b", "1024", "-d", "tree", "image", "32M"]],
        open: open_ext4,
        modes: true,
        all: true,
    },
    Format {
        name: "squashfs",
        make: &[&["mksquashfs", "tree", "image", "-quiet", "-no-progress"]],
        open: open_squashfs,
        modes: true,
        all: true,
    },
    Format {
        name: "squashfs, zstd, blocks of 1 MiB",
        make: &[&[
            "mksquashfs",
            "tree",
            "image",
            "-quiet",
            "-no-progress",
            "-comp",
            "zstd",
            "-b",
            "1M",
        ]],
        open: open_squashfs,
        modes: true,
        all: true,
    },
    Format {
        name: "iso9660, Rock Ridge",
        make: &[&["xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", "image", "tree"]],
        open: open_iso,
        modes: true,
        all: true,
    },
    Format {
        name: "FAT32",
        make: &[
            &["truncate", "-s", "64M", "image"],
            &["mkfs.vfat", "-F", "32", "-s", "1", "image"],
            &["sh", "-c", "mcopy -s -i image tree/* ::"],
        ],
        open: open_fat,
        modes: false,
        all: false,
    },
    Format {
        name: "FAT16",
        make: &[
            &["truncate", "-s", "24M", "image"],
            &["mkfs.vfat", "-F", "16", "image"],
            &["sh", "-c", "mcopy -s -i image tree/* ::"],
        ],
        open: open_fat,
        modes: false,
        all: false,
    },
];

#[test]
fn one_tree_is_the_same_in_all_formats() {
    for format in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fill(&tree, format.all);
        for argv in format.make {
            run(dir.path(), argv);
        }
        let image = File::open(dir.path().join("image")).unwrap();
        let region = Region::whole(Arc::new(image)).unwrap();
        let trouble = Trouble::default();
        let volume = (format.open)(&region, &trouble, &mut Recorder::default());
        let volume = volume.unwrap_or_else(|| panic!("{}: no volume", format.name));
        let mut expected = list(&folder::open(&tree).unwrap());
        let mut found = list(&volume);
        trouble.take().unwrap();
        found.remove(&b"/lost+found"[..]);
        if !format.modes {
            for (_, program, _) in expected.values_mut().chain(found.values_mut()) {
                *program = false;
            }
        }
        let names = |listing: &Listing| listing.keys().cloned().collect::<BTreeSet<_>>();
        let differ: Vec<_> = names(&found)
            .symmetric_difference(&names(&expected))
            .map(|name| name.escape_ascii().to_string())
            .collect();
        assert_eq!(differ, [""; 0], "{}", format.name);
        for (path, entry) in &expected {
            let same = found[path] == *entry;
            assert!(same, "{}: {}: {:?}", format.name, path.escape_ascii(), found[path].0);
        }
        assert!(expected.len() > 300);
    }
}

fn file(volume: &Volume, path: &str) -> NodeId {
    volume.find_file(path.as_bytes()).unwrap()
}

fn why(error: &ContentError) -> String {
    match error {
        ContentError::Broken(cause) => cause.to_string(),
        other => other.to_string(),
    }
}

#[test]
fn a_folder_is_not_left_and_not_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let (outside, root) = (dir.path().join("outside"), dir.path().join("root"));
    fs::create_dir_all(outside.join("secret")).unwrap();
    fs::write(outside.join("secret/file"), "secret").unwrap();
    fs::create_dir_all(root.join("inside")).unwrap();
    symlink(outside.join("secret"), root.join("link")).unwrap();
    for name in ["longer", "shorter", "other", "gone", "good", "inside/file"] {
        fs::write(root.join(name), "content").unwrap();
    }
    fs::hard_link(root.join("good"), root.join("same")).unwrap();
    run(&root, &["mkfifo", "fifo"]);
    let _socket = UnixListener::bind(root.join("socket")).unwrap();
    let volume = folder::open(&root).unwrap();
    let tree = &volume.tree;
    let kind = |path: &[u8]| tree.node(tree.resolve(path).unwrap().node).kind.as_str();
    assert_eq!(kind(b"/fifo"), "device or fifo");
    assert_eq!(kind(b"/socket"), "device or fifo");
    // A symlink leads where it would in the image.
    assert!(volume.find(b"/link/file").is_none());
    assert_eq!(file(&volume, "/good"), file(&volume, "/same"));

    File::options().append(true).open(root.join("longer")).unwrap().write_all(b"!").unwrap();
    File::options().write(true).open(root.join("shorter")).unwrap().set_len(1).unwrap();
    fs::remove_file(root.join("other")).unwrap();
    run(&root, &["mkfifo", "other"]);
    fs::remove_file(root.join("gone")).unwrap();
    symlink(outside.join("secret/file"), root.join("gone")).unwrap();
    fs::remove_dir_all(root.join("inside")).unwrap();
    symlink(outside.join("secret"), root.join("inside")).unwrap();
    let mut reader = volume.files.contents().reader();
    let mut read = |path: &str| reader.read(tree, file(&volume, path), &mut |_| ());
    read("/good").unwrap();
    let changed = "changed while the folder was read";
    assert_eq!(why(&read("/longer").unwrap_err()), changed);
    assert_eq!(why(&read("/shorter").unwrap_err()), changed);
    assert_eq!(why(&read("/other").unwrap_err()), changed);
    for path in ["/gone", "/inside/file"] {
        let error = read(path).unwrap_err();
        let ContentError::Broken(cause) = &error else { panic!("{error}") };
        // ELOOP or ENOTDIR.
        assert!(matches!(cause.raw_os_error(), Some(40 | 20)), "{path}: {cause}");
    }
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let error = folder::open(&PathBuf::from("/nonexistent/folder")).unwrap_err();
    assert_eq!(error.to_string(), "cannot read /nonexistent/folder");
}

/// Deeper than a path may be long: names are opened one by one.
#[test]
fn a_folder_may_be_deep() {
    let dir = tempfile::tempdir().unwrap();
    let script = "for i in $(seq 30); do d=$(printf %0200d $i); mkdir $d; cd $d; done; echo x > f";
    run(dir.path(), &["bash", "-c", script]);
    let volume = folder::open(dir.path()).unwrap();
    let last = volume.tree.below(Tree::ROOT).last().unwrap();
    assert!(volume.tree.path(last).len() > 6000);
    assert_eq!(volume.content(last, 10).unwrap(), b"x\n");
    drop(volume);
    run(dir.path(), &["bash", "-c", "rm -rf ./*"]);
}
