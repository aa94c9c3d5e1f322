//! What is on a disc, by several readers.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::Read as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use image_verify::{
    tree::{Kind, NodeId, Tree},
    volume::Volume,
};
use sha2::{Digest as _, Sha256};

/// Runs a tool of a Debian package, for so many seconds at most.
pub(crate) fn run(package: &str, seconds: u32, argv: &[&str]) -> Output {
    let output = Command::new("timeout")
        .args(["-k", "5", &seconds.to_string()])
        .args(argv)
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .env("SOURCE_DATE_EPOCH", "946730096")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let missing = output.status.code() == Some(127);
    assert!(!missing, "{} is missing; run `apt-get install {package}`", argv[0]);
    output
}

/// A file, as far as a reader knows it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct File {
    kind: &'static str,
    mtime: i64,
    /// Size and SHA-256 of a regular file, where they are told.
    content: Option<(u64, String)>,
    /// Of a symlink.
    target: String,
    /// Mode and owner, of Rock Ridge.
    posix: Option<(u32, u64, u64)>,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, mtime, content, target, posix } = self;
        write!(f, "{kind} {content:?} {target:?} @{mtime} ")?;
        posix.map_or(Ok(()), |(mode, uid, gid)| write!(f, "{mode:o} {uid}:{gid}"))
    }
}

/// Files by path, without a slash before it; the root is `.`.
pub(crate) type Listing = BTreeMap<Vec<u8>, File>;

/// What we say.
pub(crate) fn ours(volume: &Volume, rock_ridge: bool) -> Listing {
    let tree = &volume.tree;
    let file = |id| {
        let node = tree.node(id);
        let (kind, content, target) = match &node.kind {
            Kind::Directory(_) => ("dir", None, String::new()),
            Kind::File(_) => ("file", Some((node.size, digest(volume, id))), String::new()),
            Kind::Symlink(target) => ("link", None, String::from_utf8_lossy(target).into()),
            Kind::Special => ("special", None, String::new()),
        };
        let posix = rock_ridge.then_some((node.mode, node.uid, node.gid));
        File { kind, mtime: node.mtime, content, target, posix }
    };
    let below = tree.below(Tree::ROOT).map(|id| (tree.path(id)[1..].to_vec(), file(id)));
    below.filter(|(path, _)| !path.is_empty()).chain([(b".".to_vec(), file(Tree::ROOT))]).collect()
}

/// The digest of what is in a file, or why it cannot be read.
fn digest(volume: &Volume, id: NodeId) -> String {
    let mut bytes = Vec::new();
    let read = volume.open(id).map(|mut file| file.read_to_end(&mut bytes));
    match read {
        Ok(Ok(_)) => Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    }
}

/// Text in which `\040` is a space.
fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut plain = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 4).filter(|_| bytes[at] == b'\\');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                plain.push(byte);
                at += 4;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    plain
}

/// What bsdtar says of a disc, and whether it could read all of it.
pub(crate) fn bsdtar(disc: &Path, rock_ridge: bool) -> (Listing, Result<(), String>) {
    let from = format!("@{}", disc.display());
    let argv = [
        "bsdtar",
        "--format=mtree",
        "--options=mtree:!all,mtree:type,mtree:mode,mtree:uid,\
                 mtree:gid,mtree:size,mtree:sha256,mtree:time,mtree:link,mtree:nlink",
        "-c",
        "-f",
        "-",
        &from,
    ];
    let output = run("libarchive-tools", 20, &argv);
    let mut listing = Listing::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        if name.is_empty() || name.starts_with('#') {
            continue;
        }
        let fields: BTreeMap<_, _> = words.filter_map(|word| word.split_once('=')).collect();
        let get = |key: &str| fields.get(key).copied().unwrap_or_default();
        let number = |key: &str| get(key).parse().unwrap_or(0);
        let kind = match get("type") {
            "dir" => "dir",
            "file" => "file",
            "link" => "link",
            _ => "special",
        };
        // Of two names of one file only the first one has its content.
        let sized = kind == "file" && !fields.contains_key("nlink");
        let posix = rock_ridge.then_some((
            u32::from_str_radix(get("mode"), 8).unwrap_or(0),
            number("uid"),
            number("gid"),
        ));
        let file = File {
            kind,
            mtime: get("time").split('.').next().unwrap_or_default().parse().unwrap_or(0),
            content: sized.then(|| (number("size"), get("sha256digest").to_owned())),
            target: String::from_utf8_lossy(&unescape(get("link"))).into(),
            posix,
        };
        let name = unescape(name);
        listing.insert(name.strip_prefix(b"./").unwrap_or(&name).to_vec(), file);
    }
    let sound = output.status.success();
    let folder = disc.parent().unwrap().to_str().unwrap();
    let fault = String::from_utf8_lossy(&output.stderr).replace(folder, "");
    (listing, if sound { Ok(()) } else { Err(fault.trim().replace('\n', " | ")) })
}

/// The paths that isoinfo prints: of Rock Ridge or of Joliet, or its own.
pub(crate) fn isoinfo(disc: &Path, names: &[&str]) -> BTreeSet<String> {
    let name = disc.to_str().unwrap();
    let argv = [&["isoinfo", "-j", "utf-8"], names, &["-f", "-i", name]].concat();
    let output = run("genisoimage", 20, &argv);
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    lines.lines().map(|line| line.trim_start_matches('/').trim_end().to_owned()).collect()
}

/// What differs between two listings. Contents that they do not tell do not.
pub(crate) fn differences(ours: &Listing, theirs: &Listing) -> Vec<String> {
    let mut found = Vec::new();
    let show = |path: &Vec<u8>| String::from_utf8_lossy(path).into_owned();
    for (path, file) in ours {
        let Some(other) = theirs.get(path) else {
            found.push(format!("only we have {}", show(path)));
            continue;
        };
        let content = other.content.as_ref().and(file.content.clone());
        if (File { content, ..file.clone() }) != *other {
            found.push(format!("{}: we say {file:?}, they {other:?}", show(path)));
        }
    }
    let missing = theirs.keys().filter(|path| !ours.contains_key(*path));
    found.extend(missing.map(|path| format!("only they have {}", show(path))));
    found
}
