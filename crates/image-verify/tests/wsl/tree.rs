//! The tree is what bsdtar would make of the same archive, and paths lead where the kernel goes.

use crate::image::{Draft, nixos, read};
use image_verify::{
    kind::wsl,
    tree::{Interests, Kind, MAX_HOPS, Tree, Unresolved},
};

/// A member: path, type, link or content.
type Part<'a> = (&'a str, tar::EntryType, &'a str);

/// An archive of these members in this order.
fn tree(members: &[Part<'_>]) -> Tree {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, kind, text) in members {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        if kind.is_symlink() || kind.is_hard_link() {
            header.set_size(0);
            archive.append_link(&mut header, path, text).unwrap();
        } else {
            header.set_size(text.len() as u64);
            // `append_data` refuses "..", which is among what is tried here.
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            archive.append(&header, text.as_bytes()).unwrap();
        }
    }
    read(&archive.into_inner().unwrap(), Tree::new(&Interests::NONE))
}

const DIR: tar::EntryType = tar::EntryType::Directory;
const FILE: tar::EntryType = tar::EntryType::Regular;
const LINK: tar::EntryType = tar::EntryType::Symlink;
const HARD: tar::EntryType = tar::EntryType::Link;

fn listing(tree: &Tree) -> Vec<String> {
    let name = |id| {
        let kind = match &tree.node(id).kind {
            Kind::Directory(_) => "/".to_owned(),
            Kind::File(_) => format!(" {}", tree.node(id).size),
            Kind::Symlink(target) => format!(" -> {}", String::from_utf8_lossy(target)),
            Kind::Special => " special".to_owned(),
        };
        format!("{}{kind}", String::from_utf8(tree.path(id)).unwrap())
    };
    tree.below(Tree::ROOT).map(name).collect()
}

#[test]
fn members_become_files_as_bsdtar_does_it() {
    let cases: &[(&[Part<'_>], &[&str])] = &[
        (&[("./a", FILE, "1"), ("a", FILE, "22")], &["/a 2"]),
        (&[("a/b/c", FILE, "1")], &["/a/", "/a/b/", "/a/b/c 1"]),
        (&[("a", FILE, "1"), ("a/", DIR, "")], &["/a/"]),
        (&[("a/b", FILE, "1"), ("a", FILE, "")], &["/a/", "/a/b 1"]),
        (&[("a/b", FILE, "1"), ("a", DIR, "")], &["/a/", "/a/b 1"]),
        (&[("a", DIR, ""), ("a", FILE, "1")], &["/a 1"]),
        (&[("a", LINK, "b"), ("b", DIR, ""), ("a/c", FILE, "1")], &["/a -> b", "/b/"]),
        (&[("a", LINK, "b"), ("a", DIR, ""), ("a/c", FILE, "1")], &["/a/", "/a/c 1"]),
        (&[("/a", FILE, "1"), ("b/../c", FILE, "1")], &["/a 1"]),
        (&[("b", HARD, "a"), ("a", FILE, "1")], &["/a 1"]),
    ];
    for (members, expected) in cases {
        assert_eq!(listing(&tree(members)), *expected, "{members:?}");
    }
    let linked = tree(&[("a", FILE, "1"), ("d/b", HARD, "./a")]);
    let (a, b) = (linked.resolve(b"/a").unwrap(), linked.resolve(b"/d/b").unwrap());
    assert_eq!(a.node, b.node);
    assert_eq!(linked.total_size(), 1);
}

#[test]
fn paths_stay_in_the_image() {
    let tree = tree(&[
        ("usr/bin/sh", FILE, "1"),
        ("bin", LINK, "usr/bin"),
        ("up", LINK, "../../../usr"),
        ("abs", LINK, "/up/bin"),
        ("file", LINK, "usr/bin/sh"),
        ("gone", LINK, "/usr/lib/x/y"),
        ("loop", LINK, "loop/x"),
    ]);
    let led = |path: &str| {
        let found = tree.resolve(path.as_bytes());
        found.map(|found| (String::from_utf8(tree.path(found.node)).unwrap(), found.chain.len()))
    };
    for (path, to, hops) in [
        ("/bin/sh", "/usr/bin/sh", 1),
        ("bin//./sh", "/usr/bin/sh", 1),
        ("/abs/sh", "/usr/bin/sh", 2),
        ("/bin/..", "/usr", 1),
        ("/../../bin/../bin/sh", "/usr/bin/sh", 1),
        ("/", "/", 0),
    ] {
        assert_eq!(led(path).unwrap(), (to.to_owned(), hops), "{path}");
    }
    assert!(matches!(led("/file/x"), Err(Unresolved::NotADirectory(_))));
    assert!(matches!(led("/loop"), Err(Unresolved::Loop(_))));
    let Err(Unresolved::NotFound { path, chain }) = led("/gone/z") else { panic!() };
    assert_eq!((path.as_slice(), chain.len()), (&b"/usr/lib/x/y/z"[..], 1));
    let sh = tree.lookup(b"/file").unwrap().node;
    assert!(matches!(tree.node(sh).kind, Kind::Symlink(_)));
}

#[test]
fn forty_symlinks_are_followed_and_no_more() {
    let names: Vec<_> = (0..=MAX_HOPS).map(|i| (format!("l{i}"), format!("l{}", i + 1))).collect();
    let mut members: Vec<_> = names.iter().map(|(a, b)| (a.as_str(), LINK, b.as_str())).collect();
    let last = format!("l{}", MAX_HOPS + 1);
    members.push((&last, FILE, "1"));
    let tree = tree(&members);
    assert_eq!(tree.resolve(b"/l1").unwrap().chain.len(), MAX_HOPS);
    assert!(matches!(tree.resolve(b"/l0"), Err(Unresolved::Loop(_))));
}

#[test]
fn links_that_nixos_makes_at_boot_are_known() {
    for keep_run in [true, false] {
        let mut draft = nixos();
        if !keep_run {
            draft.remove("/run");
        }
        let tree = draft.tree();
        for path in ["/run/current-system/sw/bin/bash", "/run/booted-system/sw/bin/bash"] {
            assert!(tree.resolve(path.as_bytes()).is_ok(), "{path}");
        }
        assert!(tree.resolve(b"/run/other").is_err());
    }
}

/// The content of `/etc/wsl.conf` is known wherever its symlinks lead, and whenever they come.
#[test]
fn wanted_contents_are_kept_or_missing() {
    for (first, target) in [("/etc/a", "/zzz/b"), ("/etc/z", "/aaa/b"), ("/etc/wsl.conf", "../b")] {
        let mut draft = Draft::empty();
        draft.link("/etc/wsl.conf", first);
        draft.link(first, target);
        let end = if first == "/etc/wsl.conf" { "/b" } else { target };
        draft.file(end, 0o644, "[boot]\nsystemd=true\n");
        let tree = draft.tree();
        let id = tree.resolve(b"/etc/wsl.conf").unwrap().node;
        assert_eq!(tree.kept(id), Some(&b"[boot]\nsystemd=true\n"[..]), "{first} {target}");
    }
    // A NixOS image takes one pass.
    let archive = nixos().archive();
    let mut reader = image_formats::tar::Reader::new(archive.as_slice());
    let mut tree = Tree::new(&wsl::INTERESTS);
    while let Some(item) = reader.next_item().unwrap() {
        if let image_formats::tar::Item::Member(member) = item {
            let wanted = tree.add(&member);
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut std::io::Read::take(&mut reader, wanted), &mut content)
                .unwrap();
            tree.content(&content);
        }
    }
    assert!(tree.missing().is_empty());
}

/// 200,000 members of the shape of a Nix store take less than 60 MiB.
#[test]
fn nodes_are_small() {
    assert!(
        size_of::<image_verify::tree::Node>() <= 112,
        "{}",
        size_of::<image_verify::tree::Node>()
    );
}
