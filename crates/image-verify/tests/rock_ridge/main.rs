//! SUSP and Rock Ridge: good images give no finding, every check has a broken twin, and no bytes
//! make the verifier panic.

mod hostile;
mod image;
#[path = "../support/limit.rs"]
mod limit;
mod twins;

use std::collections::BTreeSet;

use image::*;
use image_formats::bytes::Region;
use image_model::{ImageSpace, Location, Outcome};
use image_verify::{
    Recorded, Recorder, UNUSED_WAIVER, iso9660,
    tree::{Kind, NodeId, Tree},
    volume::{Trouble, Volume},
};
use twins::TWINS;

/// Judges a volume that is called `disc`.
fn judge(bytes: &[u8]) -> (Recorded, Option<Volume>) {
    let (trouble, mut out) = (Trouble::default(), Recorder::default());
    let region = Region::from(bytes.to_vec());
    let volume = iso9660::verify(&region, "disc", &trouble, &mut out).unwrap();
    let whole = Location {
        structure: "disc".into(),
        space: ImageSpace::Raw,
        offset: 0,
        len: 0,
        path: None,
    };
    trouble.take().unwrap();
    (out.finish(&[], &UNUSED_WAIVER, &whole), volume)
}

/// The checks of ours that failed.
fn failed(recorded: &Recorded) -> BTreeSet<String> {
    let all = recorded.findings.iter().map(|finding| finding.check.to_string());
    all.filter(|check| check.starts_with("rock-ridge-")).collect()
}

fn names(tree: &Tree) -> BTreeSet<String> {
    tree.below(Tree::ROOT).map(|id| String::from_utf8(tree.path(id)).unwrap()).collect()
}

#[test]
fn good_images_are_silent_and_read_as_written() {
    for (maker, bytes, not_reached) in [
        (
            "xorriso",
            xorriso(),
            &["child-link", "kinds", "parent-link", "relocated", "serial", "zisofs"][..],
        ),
        ("xorriso, relocated", relocated(), &["kinds", "serial", "zisofs"]),
        (
            "xorriso, newest",
            newest(),
            &["child-link", "kinds", "parent-link", "relocated", "zisofs"],
        ),
        ("genisoimage", genisoimage(), &["serial", "zisofs"]),
    ] {
        let (recorded, volume) = judge(bytes);
        let found: Vec<_> = recorded
            .findings
            .iter()
            .filter(|finding| finding.check.starts_with("rock-ridge-"))
            .map(|f| format!("{} at {}: {}", f.check, f.at, f.message))
            .collect();
        assert_eq!(found, [""; 0], "{maker}");
        let silent = recorded.outcomes.iter().filter(|(id, outcome)| {
            id.starts_with("rock-ridge-") && **outcome == Outcome::NotReached
        });
        let silent: Vec<_> = silent.map(|(id, _)| &id["rock-ridge-".len()..]).collect();
        assert_eq!(silent, not_reached, "{maker}");
        let volume = volume.unwrap();
        let Volume { tree, .. } = &volume;
        let at = |path: &str| -> NodeId {
            volume.find(path.as_bytes()).unwrap_or_else(|| panic!("{maker}: no {path}"))
        };
        let deep = at(&format!("{DEEP}/deep"));
        assert_eq!(volume.content(deep, 100).unwrap().len(), 12);
        at(&format!("names/{}", long_name()));
        let link = at("names/öüé");
        assert_eq!(at("names/link"), link, "{maker}");
        let below = names(tree);
        let target = |path: &str| {
            let id = tree.children(Tree::ROOT).find(|(name, _)| *name == path.as_bytes());
            let Kind::Symlink(target) = &tree.node(id.unwrap().1).kind else { panic!("{path}") };
            String::from_utf8_lossy(target).into_owned()
        };
        assert_eq!(target("absolute"), "/names");
        if maker != "genisoimage" {
            assert_eq!(target("long"), long_target());
        }
        assert!(matches!(tree.node(at("null")).kind, Kind::Special));
        assert!(matches!(tree.node(at("fifo")).kind, Kind::Special));
        assert!(!below.iter().any(|path| path.starts_with("/moved/")), "{below:?}");
        assert!(!below.iter().any(|path| path.starts_with("/rr_moved/")), "{below:?}");
    }
}

/// Every check has a twin, and each twin fails what it is made for, and only that.
#[test]
fn twins() {
    let mut wrong = Vec::new();
    for twin in TWINS {
        let (recorded, _) = judge(&twin.image());
        let want: BTreeSet<_> =
            [twin.check].iter().chain(twin.also).map(|check| (*check).to_owned()).collect();
        let found = failed(&recorded);
        if found != want {
            let all = recorded.findings.iter().filter(|f| f.check.starts_with("rock-ridge-"));
            let all: Vec<_> = all.map(|f| format!("{} {}: {}", f.check, f.at, f.message)).collect();
            wrong.push(format!("{}: {all:#?}", twin.check));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let twins: BTreeSet<_> = TWINS.iter().map(|twin| twin.check).collect();
    let checks: BTreeSet<_> = iso9660::rock_ridge::CHECKS.iter().map(|check| check.id).collect();
    assert_eq!(twins, checks);
}
