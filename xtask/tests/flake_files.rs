//! Rules for the files of the flake, and of all Nix in this repository.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Lines that a file below `nix/` has at most: small enough to be read whole.
const MAX_LINES: usize = 200;

/// Lines of `nix/flake.nix`: it says what there is, and nothing else.
const MAX_FLAKE_LINES: usize = 59;

/// What makes an evaluation depend on more than its inputs.
const IMPURE: [&str; 5] =
    ["builtins.getEnv", "--impure", "<nixpkgs", "builtins.currentSystem", "builtins.currentTime"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Files below `dir` that are not made by a build.
fn files(dir: &Path) -> Vec<PathBuf> {
    const MADE: [&str; 4] = ["target", "dist", "result", ".git"];
    let (mut found, mut todo) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() && !MADE.iter().any(|made| entry.file_name() == *made) {
                todo.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

fn is_nix(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "nix")
}

#[test]
fn every_file_of_nix_parses() {
    let nix: Vec<_> = files(root()).into_iter().filter(|path| is_nix(path)).collect();
    assert!(nix.len() > 50, "{}", nix.len());
    let state = tempfile::tempdir().unwrap();
    let script = Command::new(root().join("tests/tools/nix-env.sh")).arg(state.path()).output();
    let exports = String::from_utf8(script.unwrap().stdout).unwrap();
    let variables = exports.lines().map(|line| {
        let (name, value) = line.strip_prefix("export ").unwrap().split_once('=').unwrap();
        (name, value.trim_matches('\''))
    });
    let mut parse = Command::new("nix-instantiate");
    let parsed = parse.arg("--parse").args(&nix).envs(variables).output();
    let parsed = parsed.expect("nix-instantiate: run `apt-get install nix-bin`");
    assert!(parsed.status.success(), "{}", String::from_utf8_lossy(&parsed.stderr));
    assert_eq!(String::from_utf8_lossy(&parsed.stdout).lines().count(), nix.len());
}

#[test]
fn files_of_the_flake_are_small_and_pure() {
    let dir = root().join("nix");
    for path in files(&dir) {
        let name = path.strip_prefix(&dir).unwrap().display();
        // A lock file is what it is.
        if path.extension().is_some_and(|extension| extension == "lock") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().count();
        let max = if path == dir.join("flake.nix") { MAX_FLAKE_LINES } else { MAX_LINES };
        assert!(lines <= max, "nix/{name} has {lines} lines, and {max} are enough");
        for word in IMPURE {
            assert!(!text.contains(word), "nix/{name} has {word}: pass what it needs as an input");
        }
    }
}

/// Each folder has one file that collects the others, and nothing else does.
#[test]
fn folders_of_the_flake_collect_their_files() {
    let dir = root().join("nix");
    let flake = fs::read_to_string(dir.join("flake.nix")).unwrap();
    for entry in fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let imported = flake.lines().any(|line| line.trim() == format!("./{name}"));
        let has_nix = path.is_dir() && files(&path).iter().any(|file| is_nix(file));
        assert_eq!(imported, has_nix, "nix/flake.nix imports each folder of Nix: {name}");
        assert!(
            !has_nix || path.join("default.nix").is_file(),
            "nix/{name}/default.nix is missing"
        );
    }
}
