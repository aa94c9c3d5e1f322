//! How far the proof of a store is, told while it is hashed.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use super::{Kind, which};
use crate::common::{Project, Ran};

/// Whatever the image is, and however it is packed, the proof is told after the reading and to its
/// end, and neither goes back.
#[test]
fn the_proof_is_told_after_the_reading() {
    let project = Project::new();
    let packed = project.path("disc.iso.zst");
    let mut zstd = Command::new(which("zstd", "zstd"));
    Ran::of(zstd.args(["-q", "-1"]).arg(Kind::Disc.image()).arg("-o").arg(&packed)).exits(0);
    for file in [Kind::Wsl.image(), Kind::Card.image(), packed] {
        is_told(&project, &file);
    }
}

fn is_told(project: &Project, file: &Path) {
    let len = fs::metadata(file).unwrap().len();
    let mut command = project.command();
    command.args(["verify", "--work", ".", "--progress", "json"]).arg(file);
    let ran = Ran::of(&mut command);
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    let events = ran.err.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let steps: Vec<(bool, u64, u64)> = events
        .filter(|event| event["event"] == "progress")
        .map(|event| {
            let number = |key: &str| event[key].as_u64().unwrap();
            let is_proof = event["step"] == "prove";
            assert!(is_proof || event["step"] == "verify", "{event}");
            (is_proof, number("done"), number("total"))
        })
        .collect();
    assert!(steps.is_sorted_by_key(|(is_proof, done, _)| (*is_proof, *done)), "{steps:?}");
    // Its last piece may be told by the proof, where both are done at the same time.
    let read = steps.iter().filter(|(is_proof, ..)| !is_proof);
    let read = read.map(|(_, done, total)| (*done, *total)).next_back();
    let is_read = read.is_some_and(|(done, total)| total == len && len - done <= 1 << 20);
    assert!(is_read, "{}: {read:?}", file.display());
    let (is_proof, done, total) = *steps.last().unwrap();
    assert!(is_proof && done == total && total > 0, "{}: {steps:?}", file.display());
}
