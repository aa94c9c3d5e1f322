//! Archives and registrations by real Nix, of three releases: ours are theirs, byte for byte.

#[expect(dead_code, reason = "this test needs only a part of it")]
#[path = "support/program.rs"]
mod program;
#[path = "support/rig.rs"]
mod rig;

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs::{self, Permissions},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt as _, symlink},
    },
    path::{Path, PathBuf},
};

use image_formats::nix::{
    PathInfo, base32,
    database::{self, Database, Limits},
    nar, registration,
};
use image_host::tool::Tool;
use proptest::{
    prelude::*,
    sample::Index,
    strategy::ValueTree as _,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use rig::{Rig, each_release};
use sha2::{Digest as _, Sha256};

each_release! {
    Archives:
    random_trees_are_archived_as_nix_does
    large_and_deep_trees_are_archived_as_nix_does
    what_nix_adds_has_the_hash_that_we_compute
    what_nix_loads_is_what_we_read
    what_nix_has_not_written_back_is_read
}

/// A file, a symlink or a directory.
#[derive(Clone, Debug)]
enum Node {
    File { executable: bool, len: usize, first: u8 },
    Symlink(Vec<u8>),
    Directory(BTreeMap<Vec<u8>, Self>),
}

impl Node {
    fn file(len: usize) -> Self {
        Self::File { executable: false, len, first: 1 }
    }

    fn write(&self, path: &Path) {
        match self {
            Self::File { executable, len, first } => {
                let bytes: Vec<u8> = (0..*len).map(|at| first.wrapping_add(at as u8)).collect();
                fs::write(path, bytes).unwrap();
                let mode = if *executable { 0o755 } else { 0o644 };
                fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
            }
            Self::Symlink(target) => symlink(OsStr::from_bytes(target), path).unwrap(),
            Self::Directory(entries) => {
                fs::create_dir(path).unwrap();
                for (name, entry) in entries {
                    entry.write(&path.join(OsStr::from_bytes(name)));
                }
            }
        }
    }
}

/// Any name that Linux takes, but the two that each directory has.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let plain = prop_oneof![
        3 => "[a-zA-Z0-9._-]{1,9}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(1..=u8::MAX, 1..18),
    ];
    plain.prop_map(|mut name| {
        name.iter_mut().for_each(|byte| *byte = if *byte == b'/' { b'|' } else { *byte });
        if matches!(&name[..], b"." | b"..") { b"...".to_vec() } else { name }
    })
}

fn tree() -> impl Strategy<Value = Node> {
    let file = (any::<bool>(), prop_oneof![4 => 0_usize..18, 1 => 0_usize..70_000], any::<u8>())
        .prop_map(|(executable, len, first)| Node::File { executable, len, first });
    let target = proptest::collection::vec(1..=u8::MAX, 1..40);
    let leaf = prop_oneof![3 => file, 1 => target.prop_map(Node::Symlink)];
    leaf.prop_recursive(6, 60, 8, |node| {
        proptest::collection::btree_map(name(), node, 0..8).prop_map(Node::Directory)
    })
}

/// What is at `path`, as we archive it. The order of a directory's entries is that of the disk.
fn archive<S: FnMut(&[u8])>(path: &Path, out: &mut nar::Writer<S>) {
    let metadata = fs::symlink_metadata(path).unwrap();
    if metadata.is_symlink() {
        out.symlink(fs::read_link(path).unwrap().as_os_str().as_bytes());
    } else if metadata.is_dir() {
        let entries = fs::read_dir(path).unwrap();
        let mut names: Vec<OsString> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        out.directory();
        for name in names {
            assert!(!nar::is_refused(name.as_bytes()));
            out.entry(name.as_bytes());
            archive(&path.join(name), out);
            out.end_entry();
        }
        out.end_directory();
    } else {
        out.file(metadata.permissions().mode() & 0o100 != 0, metadata.len());
        // In pieces that fit nothing.
        fs::read(path).unwrap().chunks(4093).for_each(|piece| out.content(piece));
        assert!(!out.wants_content());
    }
}

/// The archive of what is at `path`.
fn archived(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut out = nar::Writer::new(|piece: &[u8]| bytes.extend_from_slice(piece));
    archive(path, &mut out);
    let len = out.len();
    assert_eq!(len, bytes.len() as u64);
    bytes
}

/// The older commands of a release.
struct Archives {
    rig: Rig,
    store: Tool,
    hash: Tool,
}

impl Archives {
    fn new(release: &str) -> Self {
        let rig = Rig::new(release);
        let [store, hash] = ["nix-store", "nix-hash"].map(|name| {
            Tool::at(sibling(&rig, name))
                .env("NIX_CONF_DIR", rig.path("etc"))
                .env("NIX_USER_CONF_FILES", "/dev/null")
                .env("XDG_CACHE_HOME", rig.path("cache-of-root"))
        });
        Self { rig, store, hash }
    }

    /// `nix-store` with a store whose paths are called `/nix/store/…`.
    fn in_store(&self, store: &str, args: &[&OsStr]) -> Vec<u8> {
        let store = self.rig.path(store);
        let first = [OsStr::new("--store"), store.as_os_str()];
        self.store.run(first.iter().chain(args)).output().unwrap()
    }

    /// The lines that it prints, for such arguments.
    fn lines(&self, store: &str, args: &[&str]) -> Vec<String> {
        let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
        let text = String::from_utf8(self.in_store(store, &args)).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// What a store registered, as `nix-store --load-db` is given it.
    fn load(&self, store: &str, list: &[u8]) {
        let file = self.rig.path("list");
        fs::write(&file, list).unwrap();
        let script = "exec \"$0\" --store \"$1\" --load-db < \"$2\"";
        let shell = Tool::find("sh").unwrap();
        let shell = ["NIX_CONF_DIR", "NIX_USER_CONF_FILES", "XDG_CACHE_HOME"]
            .iter()
            .zip([self.rig.path("etc"), "/dev/null".into(), self.rig.path("cache-of-root")])
            .fold(shell, |shell, (name, value)| shell.env(*name, value));
        let store = self.rig.path(store);
        let args = [OsStr::new("-c"), script.as_ref(), self.store.program().as_os_str()];
        shell.run(args.into_iter().chain([store.as_os_str(), file.as_os_str()])).output().unwrap();
    }

    /// A file of a store's database.
    fn database(&self, store: &str) -> PathBuf {
        self.rig.path(store).join("nix/var/nix/db/db.sqlite")
    }

    /// What we read of a store's database as its files are now.
    fn read(&self, store: &str) -> Database {
        let file = self.database(store);
        let beside = |suffix: &str| {
            let mut name = file.clone().into_os_string();
            name.push(suffix);
            fs::read(name).ok()
        };
        let (wal, journal) = (beside("-wal"), beside("-journal"));
        let bytes = fs::read(&file).unwrap();
        let limits = Limits::default();
        database::read(bytes, wal.as_deref(), journal.as_deref(), &limits).unwrap()
    }

    /// Compares our archive of what is at `path` with that of Nix.
    fn compare(&self, path: &Path) {
        let ours = archived(path);
        let theirs = self.store.run([OsStr::new("--dump"), path.as_os_str()]).output().unwrap();
        assert!(ours == theirs, "{}: {} bytes, {}", path.display(), ours.len(), theirs.len());
        let args = ["--type", "sha256", "--base32"].map(OsStr::new);
        let hash = self.hash.run(args.iter().copied().chain([path.as_os_str()])).output().unwrap();
        let digest = base32::encode(&Sha256::digest(&ours).into());
        assert_eq!(str::from_utf8(&hash).unwrap().trim(), digest);
    }
}

/// Another program of the same release.
fn sibling(rig: &Rig, name: &str) -> PathBuf {
    let program = rig.nix.program();
    let bytes = fs::read(program).unwrap();
    let script = match String::from_utf8(bytes) {
        // A script that starts `nix` with libraries of its own.
        Ok(script) if script.starts_with("#!") => script,
        _ => return program.with_file_name(name),
    };
    assert_eq!(script.matches("/usr/bin/nix\"").count(), 1, "{script}");
    let path = rig.path(name);
    program::write(&path, &script.replace("/usr/bin/nix\"", &format!("/usr/bin/{name}\"")));
    path
}

fn random_trees_are_archived_as_nix_does(archives: &Archives) {
    // The same trees each time.
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let config = ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let strategy = proptest::collection::vec(tree(), 1..5);
    let number = std::cell::Cell::new(0);
    runner
        .run(&strategy, |trees| {
            for tree in trees {
                number.set(number.get() + 1);
                let path = archives.rig.path(&format!("tree-{}", number.get()));
                tree.write(&path);
                archives.compare(&path);
            }
            Ok(())
        })
        .unwrap();
}

/// Every length of padding, files of some MiB, many names, and folders in folders.
fn large_and_deep_trees_are_archived_as_nix_does(archives: &Archives) {
    let lens = (0..=17).chain([(1 << 16) - 1, 1 << 20, (5 << 20) + 3]);
    let files: BTreeMap<_, _> =
        lens.map(|len| (format!("{len}").into_bytes(), Node::file(len))).collect();
    let many = (0..3000_u32)
        .map(|number| (number.wrapping_mul(2_654_435_761).to_string().into_bytes(), Node::file(1)));
    // A name that is another's start, and names on both sides of ASCII.
    let names: [&[u8]; 8] = [b"a", b"a.b", b"a-b", b"ab", b"A", b"\xff", b"\x01", "ä".as_bytes()];
    let names = names.map(|name| (name.to_vec(), Node::Symlink(name.to_vec())));
    let mut deep = Node::Directory(BTreeMap::new());
    // Nix 2.34 refuses more than 64.
    for _ in 0..60 {
        deep = Node::Directory([(b"deep".to_vec(), deep)].into());
    }
    let all = [
        ("files", Node::Directory(files)),
        ("many", Node::Directory(many.collect())),
        ("names", Node::Directory(names.into())),
        ("deep", deep),
        ("empty", Node::file(0)),
        ("symlink", Node::Symlink(b"nowhere/\xfe".to_vec())),
        ("nothing", Node::Directory(BTreeMap::new())),
    ];
    for (name, node) in &all {
        let path = archives.rig.path(name);
        node.write(&path);
        archives.compare(&path);
    }
    for (name, mode) in [("owner", 0o744), ("others", 0o611), ("bits", 0o4755), ("nobody", 0o400)] {
        let path = archives.rig.path(name);
        fs::write(&path, name).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        archives.compare(&path);
    }
}

fn what_nix_adds_has_the_hash_that_we_compute(archives: &Archives) {
    let folder: BTreeMap<_, _> = [
        (b"run".to_vec(), Node::File { executable: true, len: 77, first: 9 }),
        (b"\xe9".to_vec(), Node::Symlink(b"../run".to_vec())),
    ]
    .into();
    let mut added = Vec::new();
    for (name, node) in [("folder", Node::Directory(folder)), ("file", Node::file(4096))] {
        let path = archives.rig.path(name);
        node.write(&path);
        let line = archives.lines("root", &["--add", path.to_str().unwrap()]);
        added.extend(line);
    }
    let found = archives.read("root");
    assert!(found.broken.is_empty());
    added.sort();
    let names: Vec<_> =
        found.paths.iter().map(|info| str::from_utf8(&info.path).unwrap()).collect();
    assert_eq!(names, added);
    for info in &found.paths {
        let path = str::from_utf8(&info.path).unwrap();
        let ours = archived(&archives.rig.path("root").join(&path[1..]));
        assert_eq!(info.nar_hash, <[u8; 32]>::from(Sha256::digest(&ours)));
        assert_eq!(info.nar_size, ours.len() as u64);
        assert!(info.content_address.is_some(), "{path}");
    }
}

/// A list of paths that refer to themselves and to those before them: Nix refuses cycles.
fn list(start: usize) -> Vec<u8> {
    let mut runner = TestRunner::new_with_rng(
        ProptestConfig::default(),
        TestRng::from_seed(RngAlgorithm::ChaCha, &[9; 32]),
    );
    let row = (any::<[u8; 32]>(), 1..1_u64 << 40, any::<bool>(), any::<Vec<Index>>());
    let path = |number: usize| {
        let digest = Sha256::digest((start + number).to_le_bytes());
        let hash = base32::encode(&digest.into());
        format!("/nix/store/{}-package-{number}", &hash[20..])
    };
    let mut text = String::new();
    for number in 0..40 {
        let (hash, size, deriver, references) = row.new_tree(&mut runner).unwrap().current();
        let deriver = if deriver { format!("{}.drv", path(number)) } else { String::new() };
        let mut references: Vec<_> =
            references.iter().take(9).map(|index| path(index.index(number + 1))).collect();
        references.sort();
        references.dedup();
        let hash = base32::encode(&hash);
        let count = references.len();
        text += &format!("{}\nsha256:{hash}\n{size}\n{deriver}\n{count}\n", path(number));
        references.iter().for_each(|reference| text += &format!("{reference}\n"));
    }
    text.into_bytes()
}

/// The same as a list has it: Nix sorts.
fn of_list(list: &[u8]) -> Vec<PathInfo> {
    let mut infos: Vec<_> = registration::read(list).map(Result::unwrap).collect();
    infos.sort_by(|a, b| a.path.cmp(&b.path));
    infos
}

fn what_nix_loads_is_what_we_read(archives: &Archives) {
    let list = list(0);
    let listed = of_list(&list);
    archives.load("loaded", &list);
    let found = archives.read("loaded");
    assert!(found.broken.is_empty());
    assert_eq!(found.paths, listed);
    let paths: Vec<_> = listed.iter().map(|info| str::from_utf8(&info.path).unwrap()).collect();
    let query = |what: &str| archives.lines("loaded", &[&["--query", what], &paths[..]].concat());
    for ((info, hash), size) in listed.iter().zip(query("--hash")).zip(query("--size")) {
        assert_eq!(hash, format!("sha256:{}", base32::encode(&info.nar_hash)));
        assert_eq!(size, info.nar_size.to_string());
    }
    for info in listed.iter().take(8) {
        let path = str::from_utf8(&info.path).unwrap();
        let mut lines = archives.lines("loaded", &["--query", "--references", path]);
        lines.sort();
        let ours = info.references.iter().map(|path| str::from_utf8(path).unwrap().to_owned());
        assert_eq!(lines, ours.collect::<Vec<_>>());
    }
    // What Nix writes of it is a list again.
    let dumped = archives.lines("loaded", &["--dump-db"]).join("\n");
    let mut again = of_list(dumped.as_bytes());
    again.iter_mut().for_each(|info| info.references.sort());
    assert_eq!(again, listed);
}

/// Somebody reads the database while Nix writes: what is new stays in the log.
fn what_nix_has_not_written_back_is_read(archives: &Archives) {
    archives.load("log", &list(0));
    let reader = rusqlite::Connection::open(archives.database("log")).unwrap();
    let count = || {
        let sql = "select count(*) from ValidPaths";
        reader.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap()
    };
    reader.execute_batch("begin").unwrap();
    assert_eq!(count(), 40);
    let more = list(100);
    archives.load("log", &more);
    let found = archives.read("log");
    let note = found.notes.first().map(ToString::to_string).unwrap_or_default();
    assert!(note.contains("are in the log only"), "{note}");
    assert_eq!(found.paths.len(), 80);
    let expected = of_list(&more);
    for info in &expected {
        assert!(found.paths.contains(info), "{}", info.path.escape_ascii());
    }
    // Without the log it is what it was.
    let bytes = fs::read(archives.database("log")).unwrap();
    let without = database::read(bytes, None, None, &Limits::default()).unwrap();
    assert_eq!(without.paths.len(), 40);
    reader.execute_batch("commit").unwrap();
    assert_eq!(count(), 80);
}
