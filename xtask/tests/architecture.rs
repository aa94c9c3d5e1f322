//! Who may import whom. The table is the rule; `docs/architecture.md` quotes it.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

/// Each crate with the crates of this workspace it may depend on.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("image-model", &[]),
    ("image-formats", &[]),
    ("image-verify", &["image-formats", "image-model"]),
    ("image-host", &[]),
    ("image-nix", &["image-host", "image-model"]),
    ("image-factory", &["image-formats", "image-host", "image-model", "image-nix", "image-verify"]),
    (
        "image-release",
        &["image-factory", "image-formats", "image-host", "image-model", "image-verify"],
    ),
    ("image-publish", &["image-factory", "image-host", "image-model", "image-release"]),
    (
        "xtask",
        &[
            "image-factory",
            "image-formats",
            "image-host",
            "image-model",
            "image-publish",
            "image-release",
            "image-verify",
        ],
    ),
];

/// What speaks to a network, or is there for those who do.
const NETWORK: &[&str] = &[
    "curl",
    "h2",
    "hyper",
    "native-tls",
    "object_store",
    "oci-client",
    "openssl",
    "quinn",
    "reqwest",
    "rustls",
    "tokio",
    "ureq",
];

/// What signs releases.
const SIGNATURES: &[&str] = &["minisign", "pgp", "ssh-key"];

/// Names of the packages that are compiled into ours, as `cargo tree` finds them with `args`.
fn compiled_in(args: &[&str]) -> BTreeSet<String> {
    let run = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--edges=normal", "--prefix=none", "--format={p}"])
        .args(args)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let names = String::from_utf8(run.stdout).unwrap();
    names.lines().filter_map(|line| Some(line.split_once(' ')?.0.to_owned())).collect()
}

/// Those of `words` that are among `names`.
fn among<'a>(names: &BTreeSet<String>, words: &'a [&str]) -> Vec<&'a str> {
    words.iter().copied().filter(|&word| names.contains(word)).collect()
}

#[test]
fn one_crate_speaks_to_networks() {
    let with = compiled_in(&["--workspace", "--all-features"]);
    let used = ["object_store", "oci-client", "reqwest", "rustls", "tokio"];
    assert_eq!(among(&with, NETWORK).iter().filter(|name| used.contains(name)).count(), used.len());
    let without = compiled_in(&[
        "--workspace",
        "--all-features",
        "--exclude=image-publish",
        "--prune=image-publish",
    ]);
    assert!(without.contains("xtask") && without.contains("image-release"));
    assert_eq!(among(&without, NETWORK), [""; 0], "only image-publish may");
}

/// The first build that a user waits for.
#[test]
fn who_does_not_publish_compiles_nothing_for_it() {
    let plain = compiled_in(&["--package=xtask"]);
    assert!(plain.contains("image-factory"));
    assert_eq!(among(&plain, NETWORK), [""; 0], "only with the feature `release`");
    assert_eq!(among(&plain, SIGNATURES), [""; 0], "only with the feature `release`");
    assert!(!plain.contains("image-publish") && !plain.contains("image-release"));
}

#[test]
fn imports_follow_the_table() {
    let run = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version=1"])
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    let may: BTreeMap<_, _> = MAY_IMPORT.iter().copied().collect();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let allowed = may.get(name).unwrap_or_else(|| panic!("{name} is not in the table"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let (dep, kind) = (dependency["name"].as_str().unwrap(), &dependency["kind"]);
            let inside = dependency["path"].is_string() && kind.is_null();
            assert!(!inside || allowed.contains(&dep), "{name} may not import {dep}");
        }
    }
}
