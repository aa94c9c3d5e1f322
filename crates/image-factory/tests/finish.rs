//! Finishing: any archive becomes the one archive that its tree has.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufReader, Read, Write},
    os::unix::ffi::OsStrExt as _,
    path::Path,
    process::{Command, Stdio},
};

use image_factory::finish::{Defect, FinishError, FinishJob, Finished, finish};
use image_formats::tar::{Item, Kind, Reader};
use image_model::{CompressionSpec, ImageKind};
use proptest::prelude::*;
use tar::{Builder, EntryType, Header};

/// What a path is, in an input or an output.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    kind: Kind,
    mode: u32,
    uid: u64,
    gid: u64,
    /// Content of a file, target of a link.
    data: Vec<u8>,
    xattrs: Vec<(String, Vec<u8>)>,
}

impl Node {
    fn new(kind: Kind, data: &[u8]) -> Self {
        let mode = if kind == Kind::Directory { 0o755 } else { 0o644 };
        Self { kind, mode, uid: 0, gid: 0, data: data.to_vec(), xattrs: Vec::new() }
    }
    fn dir() -> Self {
        Self::new(Kind::Directory, b"")
    }
    fn file(content: &str) -> Self {
        Self::new(Kind::File, content.as_bytes())
    }
    fn symlink(target: &str) -> Self {
        Self { mode: 0o777, ..Self::new(Kind::Symlink, target.as_bytes()) }
    }
    fn hard_link(target: &str) -> Self {
        Self::new(Kind::HardLink, target.as_bytes())
    }
}

type Members = Vec<(Vec<u8>, Node)>;

fn members<const N: usize>(list: [(&str, Node); N]) -> Members {
    list.into_iter().map(|(path, node)| (path.into(), node)).collect()
}

/// An archive as GNU tar writes it, by the `tar` crate.
fn archive(members: &Members) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (path, node) in members {
        let xattrs = node.xattrs.iter();
        let xattrs: Vec<_> = xattrs.map(|(k, v)| (format!("SCHILY.xattr.{k}"), v)).collect();
        builder
            .append_pax_extensions(xattrs.iter().map(|(k, v)| (k.as_str(), v.as_slice())))
            .unwrap();
        let long = |builder: &mut Builder<Vec<u8>>, typeflag, value: &[u8]| {
            let mut header = Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..13].copy_from_slice(b"././@LongLink");
            header.set_entry_type(EntryType::new(typeflag));
            header.set_size(value.len() as u64 + 1);
            header.set_cksum();
            builder.append(&header, value.chain(&[0][..])).unwrap();
        };
        let mut header = Header::new_gnu();
        if path.len() > 100 {
            long(&mut builder, b'L', path);
        }
        let name = &path[..path.len().min(100)];
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name);
        header.set_mode(node.mode);
        header.set_uid(node.uid);
        header.set_gid(node.gid);
        header.set_mtime(1_700_000_000);
        header.set_username("builder").unwrap();
        let is_file = node.kind == Kind::File;
        header.set_size(if is_file { node.data.len() as u64 } else { 0 });
        header.set_entry_type(match node.kind {
            Kind::File => EntryType::Regular,
            Kind::HardLink => EntryType::Link,
            Kind::Symlink => EntryType::Symlink,
            Kind::CharDevice => EntryType::Char,
            Kind::BlockDevice => EntryType::Block,
            Kind::Directory => EntryType::Directory,
            Kind::Fifo => EntryType::Fifo,
            Kind::Other(typeflag) => EntryType::new(typeflag),
        });
        if matches!(node.kind, Kind::CharDevice | Kind::BlockDevice) {
            header.set_device_major(5).unwrap();
            header.set_device_minor(1).unwrap();
        }
        if matches!(node.kind, Kind::HardLink | Kind::Symlink) {
            if node.data.len() > 100 {
                long(&mut builder, b'K', &node.data);
            }
            let link = &node.data[..node.data.len().min(100)];
            header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link);
        }
        header.set_cksum();
        builder.append(&header, if is_file { &node.data[..] } else { b"" }).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Finishes `input`; the finished file with what was said about it.
fn finish_bytes(
    input: &[u8],
    level: u8,
    threads: usize,
) -> Result<(Finished, Vec<u8>), FinishError> {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("input"), dir.path().join("image.wsl"));
    fs::write(&from, input).unwrap();
    let job = FinishJob {
        kind: ImageKind::Wsl,
        bmap: false,
        input: &from,
        work: dir.path(),
        output: &to,
        compression: CompressionSpec::Gzip { level },
        threads,
    };
    let result = finish(&job, &|_, _| {});
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 1 + usize::from(result.is_ok()), "{left:?}");
    result.map(|finished| (finished, fs::read(&to).unwrap()))
}

fn finished(members: &Members) -> Vec<u8> {
    finish_bytes(&archive(members), 1, 2).unwrap().1
}

fn raw(file: &[u8]) -> Vec<u8> {
    let mut raw = Vec::new();
    flate2::bufread::GzDecoder::new(file).read_to_end(&mut raw).unwrap();
    raw
}

/// The tree of a finished file, by our reader.
fn tree(file: &[u8]) -> BTreeMap<Vec<u8>, Node> {
    let raw = raw(file);
    assert_eq!(raw.len() % 10240, 0);
    let mut reader = Reader::new(&raw[..]);
    let mut tree = BTreeMap::new();
    while let Some(item) = reader.next_item().unwrap() {
        let member = match item {
            Item::Member(member) => member,
            Item::End(end) => {
                assert!(end.zero_blocks >= 2 && end.garbage.is_none() && end.truncated.is_none());
                continue;
            }
            other => panic!("{other:?}"),
        };
        assert!(member.path.starts_with(b"./"), "{:?}", member.path.escape_ascii().to_string());
        assert_eq!((member.mtime, &*member.uname, &*member.gname), (1, &b""[..], &b""[..]));
        let mut data = member.link.clone();
        reader.read_to_end(&mut data).unwrap();
        let xattrs = member.pax.iter().filter_map(|(key, value)| {
            let name = key.strip_prefix(b"SCHILY.xattr.")?;
            Some((String::from_utf8(name.to_vec()).unwrap(), value.clone()))
        });
        let node = Node {
            kind: member.kind,
            mode: member.mode,
            uid: member.uid,
            gid: member.gid,
            data,
            xattrs: xattrs.collect(),
        };
        let path = member.path.strip_suffix(b"/").filter(|_| member.path.len() > 2);
        assert_eq!(path.is_some(), member.kind == Kind::Directory && member.path != b"./");
        let path = path.unwrap_or(&member.path).to_vec();
        assert!(tree.insert(path, node).is_none());
    }
    tree
}

/// The same tree by the `tar` crate: paths, kinds, owners and contents.
fn tree_by_tar_crate(file: &[u8]) -> Vec<(Vec<u8>, u64, u64, Vec<u8>)> {
    let raw = raw(file);
    let mut archive = tar::Archive::new(&raw[..]);
    let mut tree = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut path = entry.path_bytes().into_owned();
        if path.ends_with(b"/") && path != b"./" {
            path.pop();
        }
        let mut data = entry.link_name_bytes().map(|l| l.into_owned()).unwrap_or_default();
        entry.read_to_end(&mut data).unwrap();
        let header = entry.header();
        tree.push((path, header.uid().unwrap(), header.gid().unwrap(), data));
    }
    tree.sort();
    tree
}

/// What the finished archive of `members` holds.
fn expected(members: &Members) -> BTreeMap<Vec<u8>, Node> {
    let mut tree = BTreeMap::from([(b"./".to_vec(), Node::dir())]);
    let plain = |path: &[u8]| {
        let path = path.strip_prefix(b"./").unwrap_or(path);
        [b"./", path.strip_suffix(b"/").unwrap_or(path)].concat()
    };
    for (path, node) in members {
        let mut node = node.clone();
        while node.kind == Kind::HardLink {
            let target = plain(&node.data);
            node = members.iter().find(|(path, _)| plain(path) == target).unwrap().1.clone();
        }
        node.xattrs.sort();
        let path = plain(path);
        for (n, _) in path.iter().enumerate().skip(2).filter(|(_, byte)| **byte == b'/') {
            tree.entry(path[..n].to_vec()).or_insert_with(Node::dir);
        }
        tree.insert(path, node);
    }
    tree
}

prop_compose! {
    fn any_node(dir: bool)(
        kind in if dir { Just(Kind::Directory).boxed() } else { prop_oneof![
            6 => Just(Kind::File), 2 => Just(Kind::Symlink), 1 => Just(Kind::Fifo),
            1 => Just(Kind::CharDevice), 1 => Just(Kind::BlockDevice),
        ].boxed() },
        mode in 0_u32..=0o7777,
        uid in prop_oneof![Just(0), 0..70_000_u64, Just(1 << 21), Just(u64::from(u32::MAX))],
        gid in prop_oneof![Just(0), Just((1 << 21) - 1), Just(4_000_000)],
        content in prop::collection::vec(any::<u8>(), 0..1500),
        target in "[a-z./é]{1,150}",
        xattrs in prop::collection::btree_map("user\\.[a-z]{1,4}", prop::collection::vec(any::<u8>(), 1..20), 0..3),
    ) -> Node {
        let data = match kind {
            Kind::File => content,
            Kind::Symlink => target.into_bytes(),
            _ => Vec::new(),
        };
        Node { kind, mode, uid, gid, data, xattrs: xattrs.into_iter().collect() }
    }
}

/// A tree whose directories have children, with hard links and an order of its own; some
/// directories have no member.
fn any_members() -> impl Strategy<Value = Members> {
    let name = || prop_oneof![4 => "[a-zA-Z0-9._-]{1,12}x", 2 => "[ä-ö中-丰 +]{1,40}x", 1 => "[a-f]{200,250}x"];
    let dir = (name(), name(), any_node(true), any::<bool>());
    let dirs = prop::collection::vec(dir, 1..5);
    let files =
        prop::collection::vec((any::<prop::sample::Index>(), name(), any_node(false)), 0..12);
    let links = prop::collection::vec(
        (any::<prop::sample::Index>(), any::<prop::sample::Index>(), name()),
        0..4,
    );
    (dirs, files, links).prop_map(|(dirs, files, links)| {
        // The prefixes keep the three sorts of names apart.
        let mut tree = BTreeMap::new();
        let mut folders = vec![String::new()];
        for (outer, inner, node, has_member) in dirs {
            let path = format!("d{outer}/d{inner}");
            if has_member {
                tree.insert(path.clone(), node);
            }
            folders.push(path + "/");
        }
        let mut targets = Vec::new();
        for (folder, name, node) in files {
            let path = format!("{}f{name}", folder.get(&folders));
            targets.push(path.clone());
            tree.insert(path, node);
        }
        for (folder, target, name) in links {
            if !targets.is_empty() {
                let path = format!("{}l{name}", folder.get(&folders));
                tree.insert(path, Node::hard_link(&format!("./{}", target.get(&targets))));
            }
        }
        tree.into_iter().map(|(path, node)| (format!("./{path}").into_bytes(), node)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_tree_is_kept_and_the_bytes_depend_on_nothing_else(
        members in any_members(),
        shuffled in any::<u64>(),
    ) {
        prop_assume!(!members.is_empty());
        let file = finished(&members);
        let tree = tree(&file);
        prop_assert_eq!(&tree, &expected(&members));
        let ours: Vec<_> = tree.into_iter().map(|(path, n)| (path, n.uid, n.gid, n.data)).collect();
        for (ours, theirs) in ours.iter().zip(tree_by_tar_crate(&file)) {
            prop_assert_eq!(ours, &theirs);
        }

        let (again, rewritten) = finish_bytes(&file, 1, 1).unwrap();
        prop_assert!(rewritten == file, "twice is once");
        prop_assert_eq!(again.artifacts[0].digests, again.input);

        let mut order: Vec<_> = members.into_iter().enumerate().collect();
        order.sort_by_key(|(n, _)| (*n as u64 + 1).wrapping_mul(shuffled | 1).rotate_left(17));
        let other_order = order.into_iter().map(|(_, member)| member).collect();
        prop_assert!(finished(&other_order) == file, "the order of the input");
    }
}

fn small_image() -> Members {
    let mut tagged = Node::file("tagged\n");
    tagged.xattrs.push(("user.tag".into(), b"value".to_vec()));
    let setuid = Node { mode: 0o4755, uid: 0, ..Node::file("#!\n") };
    members([
        ("./etc/", Node::dir()),
        ("./etc/passwd", Node::file("root:x:0:0::/root:/bin/sh\n")),
        ("./bin/sh", setuid),
        ("./usr/share/", Node::dir()),
        ("./usr/share/tagged", tagged),
        ("./lib", Node::symlink("usr/lib")),
        ("./copy", Node::hard_link("./etc/passwd")),
        (&format!("./{0}/{0}/{0}", "long".repeat(30)), Node::file("deep\n")),
    ])
}

#[test]
fn members_are_in_the_order_of_gnu_tar() {
    let dir = tempfile::tempdir().unwrap();
    for path in ["a", "a/z", "a.b", "a-b", "B", "ab", "a/b/c", "é"] {
        fs::create_dir_all(dir.path().join(path)).unwrap();
    }
    let by_tar = Command::new("tar")
        .arg("-C")
        .arg(dir.path())
        .args(["-c", "--sort=name", "."])
        .output()
        .expect("tar is missing: apt-get install tar");
    let names = |tar: &[u8]| {
        let mut reader = Reader::new(tar);
        let mut names = Vec::new();
        while let Some(item) = reader.next_item().unwrap() {
            if let Item::Member(member) = item {
                names.push(String::from_utf8(member.path).unwrap());
            }
        }
        names
    };
    let (_, file) = finish_bytes(&by_tar.stdout, 1, 1).unwrap();
    assert_eq!(names(&raw(&file)), names(&by_tar.stdout));
    assert_eq!(names(&raw(&file)).len(), 10);
}

#[test]
fn any_container_gives_the_same_file() {
    let tar = archive(&small_image());
    let (finished, file) = finish_bytes(&tar, 5, 1).unwrap();
    assert_eq!(finished.artifacts[0].digests.size, file.len() as u64);
    assert_eq!(finished.artifacts[0].raw.size, raw(&file).len() as u64);
    assert_eq!(finished.artifacts[0].file, "image.wsl");
    assert_eq!(finished.input.size, tar.len() as u64);
    let mut gzip = Vec::new();
    let level = flate2::Compression::new(1);
    flate2::bufread::GzEncoder::new(&tar[..], level).read_to_end(&mut gzip).unwrap();
    let (half, rest) = tar.split_at(1000);
    let mut two_members = Vec::new();
    for part in [half, rest] {
        flate2::bufread::GzEncoder::new(part, level).read_to_end(&mut two_members).unwrap();
    }
    let zstd = zstd::encode_all(&tar[..], 3).unwrap();
    let xz = run("xz", &["-c"], "xz-utils", &tar);
    for input in [gzip, two_members, zstd, xz] {
        assert!(finish_bytes(&input, 5, 3).unwrap().1 == file);
    }
}

/// Runs a tool on some bytes; what it says.
fn run(tool: &str, args: &[&str], package: &str, input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(tool)
        .args(args)
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{tool}: {error}: apt-get install {package}"));
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            // A tool that fails early is told about by its status.
            let _ = stdin.write_all(input);
        });
        child.wait_with_output().unwrap()
    });
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool}: {text}");
    assert!(text.is_empty(), "{tool}: {text}");
    output.stdout
}

#[test]
fn real_tools_read_the_file() {
    let file = finished(&small_image());
    run("gzip", &["-t"], "gzip", &file);
    let listed = run("tar", &["--numeric-owner", "-tvzf", "-"], "tar", &file);
    let listed = String::from_utf8(listed).unwrap();
    assert_eq!(listed.lines().count(), tree(&file).len());
    assert!(listed.starts_with("drwxr-xr-x 0/0               0 1970-01-01 "), "{listed}");

    // As WSL does it.
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap();
    let flags = ["-C", root, "-x", "-p", "--xattrs", "--numeric-owner", "-f", "-"];
    run("bsdtar", &flags, "libarchive-tools", &file);
    for (path, node) in tree(&file) {
        let path = dir.path().join(Path::new(std::ffi::OsStr::from_bytes(&path)));
        match node.kind {
            Kind::Directory => assert!(path.is_dir()),
            Kind::Symlink => {
                assert_eq!(fs::read_link(&path).unwrap().as_os_str().as_bytes(), node.data);
            }
            _ => assert_eq!(fs::read(&path).unwrap(), node.data),
        }
    }
}

#[test]
fn hard_links_become_files_in_any_order() {
    let mut owned = Node::file("content");
    (owned.uid, owned.mode) = (7, 0o4711);
    let list = members([
        ("./a", Node::hard_link("./b")),
        ("./b", Node::hard_link("/z/real")),
        ("./l", Node::hard_link("z/link")),
        ("./z/link", Node::symlink("../a")),
        ("./z/real", owned.clone()),
    ]);
    let tree = tree(&finished(&list));
    assert_eq!(tree[&b"./a"[..]], owned);
    assert_eq!(tree[&b"./b"[..]], owned);
    assert_eq!(tree[&b"./l"[..]], Node::symlink("../a"));
    assert_eq!(tree[&b"./z"[..]], Node::dir());
}

#[test]
fn what_wsl_cannot_set_is_left_out_and_told() {
    let mut node = Node::file("x");
    node.xattrs = vec![
        ("security.selinux".into(), b"label".to_vec()),
        ("security.capability".into(), vec![1, 0, 0, 2]),
    ];
    let (finished, file) = finish_bytes(&archive(&members([("./x", node)])), 1, 1).unwrap();
    let kept = [("security.capability".to_owned(), vec![1, 0, 0, 2])];
    assert_eq!(tree(&file)[&b"./x"[..]].xattrs, kept);
    let [notice] = &finished.notices[..] else { panic!("{:?}", finished.notices) };
    assert!(notice.starts_with("1 files had security.selinux"), "{notice}");
}

/// The error of an input that the image's maker must mend.
fn defect(input: &[u8]) -> FinishError {
    let error = finish_bytes(input, 1, 1).unwrap_err();
    assert!(error.is_defect(), "{error:?}");
    assert!(error.report().is_some());
    error
}

#[test]
fn what_would_lose_or_invent_something_is_refused() {
    let file = || Node::file("x");
    let long = "n".repeat(256);
    for (list, words) in [
        (members([("./a/../../etc", file())]), "tar-name-dot-dot"),
        (members([(&format!("./{long}"), file())]), "tar-name-component"),
        (members([("./a", file()), ("./a", file())]), "tar-duplicate"),
        (members([("./bin", Node::symlink("usr")), ("./bin/x", file())]), "tar-through-symlink"),
        (members([("./a", file()), ("./a/b", file())]), "tar-below-file"),
        (members([("./a", Node::new(Kind::Other(b'D'), b""))]), "tar-typeflag"),
        (members([("./a", Node::symlink(""))]), "tar-link-empty"),
    ] {
        let error = defect(&archive(&list)).to_string();
        assert!(error.contains(words), "{error}");
    }
}

/// What the checks allow because another order, or another tool, makes it right.
#[test]
fn refusals_name_the_member_and_the_place() {
    let file = || Node::file("x");
    for (list, at, want) in [
        (
            members([("./a", Node::hard_link("./b"))]),
            0,
            Defect::LinkToNothing { target: "/b".into() },
        ),
        (
            members([("./a", file()), ("./b", Node::hard_link("./b"))]),
            1024,
            Defect::LinkToNothing { target: "/b".into() },
        ),
    ] {
        let FinishError::Refused { refusal, .. } = defect(&archive(&list)) else { panic!() };
        assert_eq!((refusal.at.0, refusal.defect.clone()), (at, want));
        assert!(refusal.to_string().ends_with(&format!(", at raw {at:#x}")), "{refusal}");
    }
}

#[test]
fn a_damaged_input_does_not_come_out_looking_good() {
    let tar = archive(&small_image());
    for len in (0..tar.len() - 512).step_by(512 - 7) {
        defect(&tar[..len]);
    }
    let mut gzip = Vec::new();
    let level = flate2::Compression::new(6);
    flate2::bufread::GzEncoder::new(&tar[..], level).read_to_end(&mut gzip).unwrap();
    for at in (10..gzip.len()).step_by(13) {
        defect(&gzip[..at]);
        let mut flipped = gzip.clone();
        flipped[at] ^= 0x10;
        defect(&flipped);
    }
    for at in 0..512 {
        let mut flipped = tar.clone();
        flipped[at] ^= 0x01;
        defect(&flipped);
    }
    defect(b"not an archive");
    defect(b"");
}

#[test]
fn a_full_disk_is_told_with_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("input"), dir.path().join("output"));
    fs::write(&input, archive(&small_image())).unwrap();
    std::os::unix::fs::symlink("/dev/full", &output).unwrap();
    let job = FinishJob {
        kind: ImageKind::Wsl,
        bmap: false,
        input: &input,
        work: dir.path(),
        output: &output,
        compression: CompressionSpec::Gzip { level: 1 },
        threads: 1,
    };
    let error = finish(&job, &|_, _| {}).unwrap_err();
    assert!(!error.is_defect());
    let text = error.to_string();
    assert!(text.starts_with("no room for the finished file in "), "{text}");
    assert!(text.contains(": 0 bytes were written and "), "{text}");
    assert!(!output.exists(), "nothing is left");
}

#[test]
fn an_input_that_is_not_there_is_not_a_defect() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing.tar");
    let job = FinishJob {
        kind: ImageKind::Wsl,
        bmap: false,
        input: &missing,
        work: dir.path(),
        output: &dir.path().join("output"),
        compression: CompressionSpec::Gzip { level: 1 },
        threads: 1,
    };
    let error = finish(&job, &|_, _| {}).unwrap_err();
    assert!(!error.is_defect());
    assert_eq!(error.to_string(), format!("cannot read {}", missing.display()));
}

/// The progress of either pass ends at its total.
#[test]
fn progress_ends_at_the_total() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("input");
    let list = members([("./big", Node::new(Kind::File, &vec![7; 20 << 20]))]);
    fs::write(&input, archive(&list)).unwrap();
    let last = std::sync::Mutex::new((0, None));
    let job = FinishJob {
        kind: ImageKind::Wsl,
        bmap: false,
        input: &input,
        work: dir.path(),
        output: &dir.path().join("output"),
        compression: CompressionSpec::Gzip { level: 1 },
        threads: 2,
    };
    finish(&job, &|done, total| *last.lock().unwrap() = (done, total)).unwrap();
    assert_eq!(*last.lock().unwrap(), (20 << 20, Some(20 << 20)));
    let file = File::open(dir.path().join("output")).unwrap();
    let mut raw = flate2::bufread::GzDecoder::new(BufReader::new(file));
    assert!(std::io::copy(&mut raw, &mut std::io::sink()).unwrap() > 20 << 20);
}
