//! The good images: every path has the hash that Nix gives it.

use std::collections::BTreeMap;

use image_model::{NarHash, PathVerdict};

use super::{Kind, Project, Ran, findings, nix, store, tool, tree::Tree, verify, versions};
use crate::common::which;

#[test]
fn nix_agrees_on_an_archive() {
    every_path_has_the_hash_that_nix_gives_it(Kind::Wsl);
}

#[test]
fn nix_agrees_on_a_card() {
    every_path_has_the_hash_that_nix_gives_it(Kind::Card);
}

#[test]
fn nix_agrees_on_a_disc() {
    every_path_has_the_hash_that_nix_gives_it(Kind::Disc);
}

/// By the database that Nix has of the closure, by every version of Nix from the files that other
/// tools take out of the image, and by what Nix loads from the list in it.
#[track_caller]
fn every_path_has_the_hash_that_nix_gives_it(kind: Kind) {
    let project = Project::new();
    let built = built();
    let (_, report) = verify(&project, &kind.image(), &[]);
    assert_eq!(findings(&report), [""; 0], "{kind:?}");
    assert!(report.passed(), "{kind:?}: {:#?}", report.findings);
    let store = store(&report);
    assert_eq!(store.registrations, [kind.registration()]);
    let ours: BTreeMap<_, _> = store
        .paths
        .iter()
        .map(|path| {
            assert_eq!((path.verdict, path.registered), (PathVerdict::Intact, None), "{path:?}");
            (path.path.as_str(), path.nar.unwrap())
        })
        .collect();

    for (path, hash) in &built {
        assert_eq!(ours.get(&**path).map(|nar| nar.nar_hash), Some(*hash), "{kind:?} {path}");
    }
    let tree = Tree::of(kind, &kind.image());
    let names = tree.names();
    let there: Vec<_> = names.iter().map(|name| format!("/nix/store/{name}")).collect();
    assert!(ours.keys().eq(&there), "{kind:?}");
    for version in versions() {
        let mut command = nix(&version);
        command.args(["--extra-experimental-features", "nix-command", "hash", "path"]);
        command.args(&names).current_dir(tree.root().join("nix/store"));
        let said = Ran::of(&mut command).exits(0).out;
        let hashes: Vec<_> = ours.values().map(|nar| nar.nar_hash.to_string()).collect();
        assert!(said.lines().eq(&hashes), "{kind:?}: {} says\n{said}", version.display());
    }

    tree.load().exits(0);
    let infos = tree.path_infos();
    let infos: BTreeMap<_, _> = infos
        .as_array()
        .unwrap()
        .iter()
        .map(|info| (info["path"].as_str().unwrap(), info))
        .collect();
    assert!(infos.keys().eq(ours.keys()), "{kind:?}");
    for path in &store.paths {
        let info = infos[&*path.path];
        assert_eq!(info["narHash"], path.nar.unwrap().nar_hash.to_string(), "{path:?}");
        assert_eq!(info["narSize"], path.nar.unwrap().nar_size, "{path:?}");
        let mut references: Vec<_> = info["references"].as_array().unwrap().clone();
        references.sort_by_key(|path| path.as_str().unwrap().to_owned());
        assert_eq!(references, path.references, "{path:?}");
        assert_eq!(info["deriver"].as_str(), path.deriver.as_deref(), "{path:?}");
        assert_eq!(info["ca"].as_str(), path.content_address.as_deref(), "{path:?}");
    }
    let verdict = tree.nix_verify();
    assert!(verdict.content && verdict.modified.is_empty(), "{kind:?}: {verdict:?}");
}

/// What Nix says of the closure that it built.
fn built() -> BTreeMap<String, NarHash> {
    let closure = tool("build-closure.sh");
    let root = closure.join("root");
    let top = std::fs::read_to_string(closure.join("closure")).unwrap();
    let query = |more: &[&str]| -> Vec<String> {
        let mut command = nix(&which("nix-store", "nix-bin"));
        command.arg("--store").arg(&root).args(["--option", "build-users-group", "", "--query"]);
        let said = Ran::of(command.args(more)).exits(0).out;
        said.lines().map(str::to_owned).collect()
    };
    let paths = query(&["--requisites", top.trim_end()]);
    assert!(paths.len() > 40, "{paths:?}");
    let named: Vec<_> = paths.iter().map(String::as_str).collect();
    let hashes = query(&[&["--hash"], &named[..]].concat());
    let hash = |text: &String| {
        let digits = text.strip_prefix("sha256:").unwrap();
        NarHash(image_formats::nix::base32::decode(digits.as_bytes()).unwrap())
    };
    paths.iter().cloned().zip(hashes.iter().map(hash)).collect()
}
