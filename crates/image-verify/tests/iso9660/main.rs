//! ISO 9660: good images give no finding, every check has a broken twin, bsdtar, isoinfo and xorriso
//! see the same, and no bytes make the verifier panic.

mod image;

use std::collections::BTreeSet;

use image::*;
use image_formats::bytes::Region;
use image_model::{Finding, ImageSpace, Location, Severity};
use image_verify::{
    Recorded, Recorder, UNUSED_WAIVER, iso9660,
    tree::{Kind, Tree},
    volume::{Trouble, Volume},
};

/// Judges a volume that is called `disc`.
fn judge(region: &Region) -> (Recorded, Option<Volume>) {
    let (trouble, mut out) = (Trouble::default(), Recorder::default());
    let volume = iso9660::verify(region, "disc", &trouble, &mut out).unwrap();
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

fn judge_bytes(bytes: &[u8]) -> (Recorded, Option<Volume>) {
    judge(&Region::from(bytes.to_vec()))
}

fn failed(recorded: &Recorded) -> BTreeSet<String> {
    recorded.findings.iter().map(|finding| finding.check.to_string()).collect()
}

/// Every path of a tree, with `/` after those of directories.
fn paths(tree: &Tree) -> BTreeSet<String> {
    let path = |id| {
        let slash = if matches!(tree.node(id).kind, Kind::Directory(_)) { "/" } else { "" };
        format!("{}{slash}", String::from_utf8(tree.path(id)).unwrap())
    };
    tree.below(Tree::ROOT).map(path).collect()
}

/// What xorriso and genisoimage write gives no warning, whatever they are told to write.
#[test]
fn good_images_are_silent() {
    for (maker, options) in MATRIX {
        let (recorded, volume) = judge_bytes(&make(*maker, options));
        let loud = recorded.findings.iter().filter(|f| f.severity != Severity::Info);
        assert_eq!(loud.collect::<Vec<_>>(), [] as [&Finding; 0], "{maker:?} {options:?}");
        assert_eq!(volume.unwrap().label, "nixos-test-x86_64");
    }
}
