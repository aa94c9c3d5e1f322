//! For each way in which images can differ there is a pair that differs in that and in nothing else;
//! real tools see the same.

#[path = "../support/folder.rs"]
mod folder;
mod hostile;
mod image;
mod pairs;
mod witnesses;

use std::{collections::BTreeSet, sync::Arc};

use image_formats::bytes::ReadAt;
use image_model::{Comparison, Difference};
use image_verify::compare::{Source, compare, differences};
use pairs::{PAIRS, Pair};

/// An image, whose raw bytes are uncompressed where they have to be.
pub(crate) fn source(bytes: Vec<u8>) -> Source {
    let mut raw = Vec::new();
    std::io::Read::read_to_end(&mut image_verify::open_raw(&bytes[..]).unwrap(), &mut raw).unwrap();
    Source::File { file: Arc::new(bytes) as Arc<dyn ReadAt>, raw: Arc::new(raw), cut: None }
}

pub(crate) fn diff(a: Vec<u8>, b: Vec<u8>) -> Comparison {
    compare(&source(a), &source(b), &|_| ()).unwrap()
}

pub(crate) fn ids(comparison: &Comparison) -> BTreeSet<String> {
    comparison.differences.iter().map(|difference| difference.id.to_string()).collect()
}

pub(crate) fn told(comparison: &Comparison) -> Vec<String> {
    let line = |d: &Difference| {
        let path = d.at.path.as_deref().unwrap_or_default();
        format!("{}: {} {path}: {:?} {:?} {:?}", d.id, d.at.structure, d.a, d.b, d.bytes)
    };
    comparison.differences.iter().map(line).collect()
}

#[test]
fn every_difference_has_a_pair_that_differs_in_nothing_else() {
    let declared: BTreeSet<_> = differences().map(|kind| kind.id).collect();
    let paired: BTreeSet<_> = PAIRS.iter().map(|pair| pair.id).collect();
    assert_eq!(declared, paired);
    let mut wrong = Vec::new();
    for Pair { id, also, make } in PAIRS {
        let (a, b) = make();
        let expected: BTreeSet<_> = also.iter().chain([id]).map(|id| (*id).to_owned()).collect();
        // Which one comes first does not matter, but for what was added and removed.
        let there = diff(a.clone(), b.clone());
        let back = diff(b, a);
        let turned: BTreeSet<_> = expected
            .iter()
            .map(|id| match id.rsplit_once('-') {
                Some((what, "added")) => format!("{what}-removed"),
                Some((what, "removed")) => format!("{what}-added"),
                _ => id.clone(),
            })
            .collect();
        for (comparison, expected) in [(&there, &expected), (&back, &turned)] {
            if ids(comparison) != *expected {
                wrong.push(format!("{id}, not {expected:?}: {:#?}", told(comparison)));
            }
            assert_eq!(comparison.same, comparison.differences.is_empty(), "{id}");
            if let Some(bytes) = comparison.bytes
                && (bytes.unexplained() > 0) != (*id == "bytes")
            {
                wrong.push(format!("{id}: {bytes:?} {:#?}", told(comparison)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_image_is_the_same_as_itself() {
    for Pair { id, make, .. } in PAIRS {
        let (a, _) = make();
        let comparison = diff(a.clone(), a);
        assert!(comparison.same, "{id}: {:?}", told(&comparison));
        assert_eq!(comparison.differences, [], "{id}");
    }
}

/// What is written as JSON is read again.
#[test]
fn comparisons_are_written_and_read() {
    let (a, b) = (PAIRS.iter().find(|pair| pair.id == "ext4-hash-seed").unwrap().make)();
    let comparison = diff(a, b);
    let text = serde_json::to_string(&comparison).unwrap();
    assert_eq!(serde_json::from_str::<Comparison>(&text).unwrap(), comparison);
}

/// A comparison does not stop at anything that is in an image.
#[test]
fn damage_is_compared_as_bytes() {
    let good = image::EXT4.clone();
    for len in [0, 100, 1500, 4096, 70_000] {
        let cut = good[..len].to_vec();
        assert!(!diff(good.clone(), cut).same, "{len}");
    }
    let noise: Vec<u8> = (0..good.len()).map(|i| ((i * 7919) >> 5) as u8).collect();
    let comparison = diff(good, noise);
    assert!(comparison.bytes.unwrap().differ > 0);
}

/// Ids are public: none is renamed, none is used again.
#[test]
fn ids_stay() {
    insta::assert_json_snapshot!(differences().map(|kind| kind.id).collect::<Vec<_>>());
}
