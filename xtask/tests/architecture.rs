//! Who may import whom. The table is the rule; `docs/architecture.md` quotes it.

use std::{collections::BTreeMap, process::Command};

/// Each crate with the crates of this workspace it may depend on.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("image-model", &[]),
    ("image-formats", &[]),
    ("image-verify", &["image-formats", "image-model"]),
    ("image-host", &[]),
    ("image-nix", &["image-host", "image-model"]),
    ("image-factory", &["image-formats", "image-host", "image-model", "image-nix", "image-verify"]),
    ("image-release", &["image-factory", "image-host", "image-model", "image-verify"]),
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
