//! SquashFS: what mksquashfs makes gives no finding, whatever it is told, and reads as unsquashfs
//! reads it; every check has a broken twin; where unsquashfs fails, there is a finding; and no
//! bytes make the verifier panic.

mod contents;
#[path = "../support/contents.rs"]
mod contents_of;
mod edit;
#[path = "../support/findings.rs"]
mod findings;
#[path = "../support/folder.rs"]
mod folder;
mod hostile;
mod image;
#[path = "../support/limit.rs"]
mod limit;
mod matrix;
mod mutation;
mod samples;
mod twins;

use std::collections::{BTreeMap, BTreeSet};

use findings::{Judged, assert_twins_of, failed, reports, told};
use image_formats::bytes::Region;
use image_model::{ImageSpace, Location};
use image_verify::{
    Recorded, Recorder, UNUSED_WAIVER, squashfs,
    tree::{self, Tree},
    volume::{Trouble, Volume},
};
use twins::TWINS;

/// Judges a file system that is called `disk`.
fn judge(region: &Region) -> (Recorded, Option<Volume>) {
    let (trouble, mut out) = (Trouble::default(), Recorder::default());
    let volume = squashfs::verify(region, "disk", &trouble, &mut out).unwrap();
    let whole = Location {
        structure: "disk".into(),
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

/// What a volume has, as unsquashfs tells it.
fn entries(volume: &Volume) -> BTreeMap<Vec<u8>, image::Entry> {
    let mut entries = BTreeMap::new();
    let mut add = |path: Vec<u8>, id| {
        let node = volume.tree.node(id);
        let kind = match &node.kind {
            tree::Kind::Directory(_) => image::Kind::Directory,
            tree::Kind::File(_) => image::Kind::File(volume.content(id, 64 << 20).unwrap()),
            tree::Kind::Symlink(target) => image::Kind::Symlink(target.to_vec()),
            tree::Kind::Special => image::Kind::Special,
        };
        let (mode, uid, gid, mtime) = (node.mode, node.uid, node.gid, node.mtime);
        entries.insert(path, image::Entry { kind, mode, uid, gid, mtime });
    };
    // A file with several names has one path.
    let mut waiting = vec![(b"/".to_vec(), Tree::ROOT)];
    while let Some((path, id)) = waiting.pop() {
        for (name, child) in volume.tree.children(id) {
            let slash = if id == Tree::ROOT { &b""[..] } else { b"/" };
            waiting.push(([&path, slash, name].concat(), child));
        }
        add(path, id);
    }
    // Both ways to read files give the same.
    for (path, content) in contents_of::contents(volume) {
        assert_eq!(entries[&path].kind, image::Kind::File(content.unwrap()));
    }
    entries
}

#[test]
fn every_check_has_a_twin_that_only_it_reports() {
    assert_twins_of(squashfs::CHECKS, TWINS.iter().map(|twin| twin.check));
    let judged = TWINS.iter().map(|twin| {
        let (recorded, _) = judge_bytes(&twin.image());
        let (check, also) = (twin.check, twin.also);
        Judged { check, also, findings: recorded.findings, totals: recorded.totals }
    });
    let reports: BTreeMap<_, _> = reports(squashfs::CHECKS, judged).into_iter().collect();
    insta::assert_json_snapshot!(reports);
}
