//! Damaged images: we say what Nix says of the same files, and where we say more, it is said here.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, symlink},
};

use image_model::PathVerdict::{self, Changed, Intact, Missing, Unregistered};

use super::{Kind, Project, by_name, findings, store, tool, tree::Tree, verify};

/// What `nix-store --verify --check-contents` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nix {
    /// The path was modified.
    Modified,
    /// The path disappeared.
    Disappeared,
    /// Nothing: it asks only for the hashes of what is registered.
    Nothing,
}

/// One thing that happened to a store.
struct Damage {
    /// The path that it happened to.
    name: &'static str,
    /// What happened.
    happens: fn(&Tree),
    /// The check that tells it: of each kind.
    checks: [&'static str; 3],
    verdict: PathVerdict,
    nix: Nix,
}

const CONTENT: [&str; 3] = ["store-content"; 3];
const COMPLETE: [&str; 3] =
    ["store-complete", "sd-registration-complete", "iso-registration-complete"];
const PRESENT: [&str; 3] = ["store-present", "sd-registration-present", "iso-registration-present"];

/// Nobody has this hash.
const EXTRA: &str = "1b0yz4dg2fmq7x3wi8hvrsncl6ajp95k-extra";

const DAMAGES: &[Damage] = &[
    // One byte of one file.
    Damage {
        name: "sizes",
        happens: |tree| {
            tree.rewrite(&tree.file("sizes/4097"), |mut content| {
                content[2048] ^= 1;
                content
            });
        },
        checks: CONTENT,
        verdict: Changed,
        nix: Nix::Modified,
    },
    // A lost file.
    Damage {
        name: "many",
        happens: |tree| {
            let file = tree.file("many/share/file-7");
            tree.within(file.parent().unwrap(), || fs::remove_file(&file).unwrap());
        },
        checks: CONTENT,
        verdict: Changed,
        nix: Nix::Modified,
    },
    // A file more.
    Damage {
        name: "deep",
        happens: |tree| {
            let file = tree.file("deep/level-0/more");
            tree.within(file.parent().unwrap(), || {
                fs::write(&file, "").unwrap();
                fs::set_permissions(&file, Permissions::from_mode(0o444)).unwrap();
            });
        },
        checks: CONTENT,
        verdict: Changed,
        nix: Nix::Modified,
    },
    // A changed mode bit.
    Damage {
        name: "names",
        happens: |tree| {
            fs::set_permissions(tree.file("names/a"), Permissions::from_mode(0o555)).unwrap();
        },
        checks: CONTENT,
        verdict: Changed,
        nix: Nix::Modified,
    },
    // A symlink that leads elsewhere.
    Damage {
        name: "links",
        happens: |tree| {
            let link = tree.file("links/a/here");
            tree.within(link.parent().unwrap(), || {
                fs::remove_file(&link).unwrap();
                symlink("..", &link).unwrap();
            });
        },
        checks: CONTENT,
        verdict: Changed,
        nix: Nix::Modified,
    },
    // A registration for another hash.
    Damage {
        name: "zeros",
        happens: |tree| {
            const OTHER: &str =
                "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
            let sql = format!("update ValidPaths set hash = '{OTHER}' where path = ?1");
            tree.register("zeros", &sql, |lines| OTHER.clone_into(&mut lines[1]));
        },
        checks: CONTENT,
        verdict: Changed,
        nix: Nix::Modified,
    },
    // An extra path.
    Damage {
        name: "extra",
        happens: |tree| {
            let path = tree.root().join("nix/store").join(EXTRA);
            fs::write(&path, "extra").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
        },
        checks: COMPLETE,
        verdict: Unregistered,
        nix: Nix::Nothing,
    },
    // A registration for another size, which signatures are over.
    Damage {
        name: "folder",
        happens: |tree| {
            let sql = "update ValidPaths set narSize = narSize + 8 where path = ?1";
            tree.register("folder", sql, |lines| {
                lines[2] = (lines[2].parse::<u64>().unwrap() + 8).to_string();
            });
        },
        checks: ["store-nar-size"; 3],
        verdict: Changed,
        nix: Nix::Nothing,
    },
    // A lost path that others refer to.
    Damage {
        name: "ladder-step0",
        happens: |tree| remove(tree, "ladder-step0"),
        checks: PRESENT,
        verdict: Missing,
        nix: Nix::Disappeared,
    },
];

fn remove(tree: &Tree, name: &str) {
    let path = tree.root().join(&tree.path(name)[1..]);
    let mut all = vec![path.clone()];
    while let Some(dir) = all.pop() {
        fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
        let entries = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap());
        all.extend(entries.filter(|e| e.file_type().unwrap().is_dir()).map(|e| e.path()));
    }
    fs::remove_dir_all(path).unwrap();
}

#[test]
fn damage_of_an_archive_is_told() {
    each_damage_is_told_with_its_path_and_nix_says_the_same(Kind::Wsl);
}

#[test]
fn damage_of_a_card_is_told() {
    each_damage_is_told_with_its_path_and_nix_says_the_same(Kind::Card);
}

#[test]
fn damage_of_a_disc_is_told() {
    each_damage_is_told_with_its_path_and_nix_says_the_same(Kind::Disc);
}

/// All of it at once: each damage is told by its check, with its path, and nothing else is.
#[track_caller]
fn each_damage_is_told_with_its_path_and_nix_says_the_same(kind: Kind) {
    let project = Project::new();
    let tree = Tree::of(kind, &kind.image());
    let paths: Vec<_> = DAMAGES
        .iter()
        .map(|damage| match damage.name {
            "extra" => format!("/nix/store/{EXTRA}"),
            name => tree.path(name),
        })
        .collect();
    DAMAGES.iter().for_each(|damage| (damage.happens)(&tree));
    let image = project.path(&format!("damaged.{}", kind.suffix()));
    tree.pack(&image);
    drop(tree);

    let (ran, report) = verify(&project, &image, &[]);
    ran.exits(1);
    let told = findings(&report);
    let known = by_name(store(&report));
    for (damage, path) in DAMAGES.iter().zip(&paths) {
        let check = damage.checks[kind as usize];
        let is_told = told
            .iter()
            .any(|line| line.starts_with(&format!("{check}: ")) && names(line, path, kind));
        assert!(is_told, "{kind:?} {check} {path}: {told:#?}");
        assert_eq!(known[damage.name].verdict, damage.verdict, "{kind:?} {path}");
    }
    let is_about_damage = |line: &String| paths.iter().any(|path| names(line, path, kind));
    assert!(told.iter().all(is_about_damage), "{kind:?}: {told:#?}");
    for path in &store(&report).paths {
        let is_damaged = paths.contains(&path.path);
        assert!(is_damaged || path.verdict == Intact, "{kind:?}: {path:?}");
    }

    let tree = Tree::of(kind, &image);
    tree.load().exits(0);
    let verdict = tree.nix_verify();
    let of = |nix: Nix| {
        let those = DAMAGES.iter().zip(&paths).filter(|(damage, _)| damage.nix == nix);
        let mut those: Vec<_> = those.map(|(_, path)| path.clone()).collect();
        those.sort();
        those
    };
    assert!(!verdict.content, "{kind:?}");
    assert_eq!(verdict.modified, of(Nix::Modified), "{kind:?}");
    assert_eq!(verdict.disappeared, of(Nix::Disappeared), "{kind:?}");
}

/// True if a finding names a path. In a SquashFS store paths lie in the root.
fn names(line: &str, path: &str, kind: Kind) -> bool {
    let inner = &path["/nix/store".len()..];
    line.contains(path) || kind == Kind::Disc && line.contains(&format!(": {inner}"))
}

#[test]
fn a_dangling_reference_in_a_list_is_told_and_nix_does_not_load_it() {
    let project = Project::new();
    for kind in [Kind::Card, Kind::Disc] {
        let tree = Tree::of(kind, &kind.image());
        let (path, other) = (tree.path("chain-0"), tree.path("chain-1"));
        tree.register("chain-0", "", Vec::clear);
        remove(&tree, "chain-0");
        let image = project.path(&format!("dangling.{}", kind.suffix()));
        tree.pack(&image);
        drop(tree);

        let (ran, report) = verify(&project, &image, &[]);
        ran.exits(1);
        let told = findings(&report);
        let check = if kind == Kind::Card { "sd" } else { "iso" };
        let start = format!("{check}-registration-references: /nix-path-registration: ");
        let names = |line: &String| {
            line.starts_with(&start) && line.contains(&path) && line.contains(&other)
        };
        assert!(told.iter().any(names), "{kind:?}: {told:#?}");
        let refused = Tree::of(kind, &image).load();
        assert_eq!(refused.code, Some(1), "{refused:?}");
        refused.says(&format!("path '{path}' is not"));
    }
}

/// SQLite has no name any more for what a row refers to, so Nix does not see it.
#[test]
fn a_dangling_reference_in_a_database_is_told() {
    let project = Project::new();
    let tree = Tree::of(Kind::Wsl, &Kind::Wsl.image());
    tree.register("chain-0", "delete from ValidPaths where path = ?1", Vec::clear);
    remove(&tree, "chain-0");
    let image = project.path("dangling.wsl");
    tree.pack(&image);
    assert!(tree.nix_verify().content);
    let (ran, report) = verify(&project, &image, &[]);
    let told = findings(&report);
    ran.exits(1);
    let start = "wsl-nixos-database: /nix/var/nix/db/db.sqlite: ";
    assert!(told.iter().any(|line| line.starts_with(start)), "{told:#?}");
}

/// What Nix wrote and did not yet put into the database, because somebody else had it open.
#[test]
fn what_is_only_in_the_log_of_the_database_counts() {
    let project = Project::new();
    let tree = Tree::of(Kind::Wsl, &Kind::Wsl.image());
    let path = tree.path("refers-to-nothing");
    let sql = "update ValidPaths set narSize = narSize + 8, hash = replace(hash, '1', '2') \
               where path = ?1";
    tree.register("refers-to-nothing", sql, |_| {});

    let list = fs::read_to_string(tool("build-closure.sh").join("registration")).unwrap();
    let start = list.find(&path).unwrap();
    let block: Vec<_> = list[start..].lines().take(5).collect();
    assert_eq!(block[4], "0", "{path} refers to something");
    let reader = tree.database();
    let count = |name: &str| {
        let count = format!("select count(*) from {name}");
        reader.query_row(&count, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert!(count("ValidPaths") > 40);
    tree.load_list(format!("{}\n", block.join("\n")).as_bytes()).exits(0);
    let log = tree.registration().with_extension("sqlite-wal");
    assert!(fs::metadata(&log).unwrap().len() > 4096, "Nix left nothing in the log");

    let image = project.path("logged.wsl");
    tree.pack(&image);
    let (ran, report) = verify(&project, &image, &[]);
    ran.exits(0);
    let told = findings(&report);
    let [line] = &told[..] else { panic!("{told:#?}") };
    assert!(line.starts_with("store-database-closed: /nix/var/nix/db/db.sqlite: "), "{line}");
    assert_eq!(by_name(store(&report))["refers-to-nothing"].verdict, Intact);

    fs::remove_file(&log).unwrap();
    tree.pack(&image);
    let (ran, report) = verify(&project, &image, &[]);
    ran.exits(1);
    assert_eq!(by_name(store(&report))["refers-to-nothing"].verdict, Changed);
}
