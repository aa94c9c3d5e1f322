//! Archives while they pass: how far the proof of their stores is told, and what is not whole is not
//! judged.

use std::{
    io::Write as _,
    sync::{Arc, Mutex},
};

use image_formats::bytes::ReadAt;
use image_model::{Outcome, PathVerdict, VerificationReport};
use image_verify::{Expected, Limits, Progress, Request, UnderWay, store};

use crate::{findings::failed, image::good};

/// Judges a file, compressed or not, and notes what is told meanwhile.
fn judge(file: Vec<u8>, limits: Limits) -> (VerificationReport, Vec<Progress>) {
    let told = Mutex::new(Vec::new());
    let mut scratch = Vec::new();
    let request = Request {
        expected: Expected::AnyKind,
        limits,
        scratch: Some(&mut scratch),
        progress: &|now| told.lock().unwrap().push(now),
        ..Request::default()
    };
    let source: Arc<dyn ReadAt> = Arc::new(file);
    let report = image_verify::verify(source, request).unwrap();
    (report, told.into_inner().unwrap())
}

/// The good store, with a path of some megabytes.
fn large() -> Vec<u8> {
    let mut draft = good();
    *draft.content("data", "/share/text") = vec![b'x'; 5 << 20];
    draft.register();
    draft.archive()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn it_is_told_how_far_the_proof_is() {
    let archive = large();
    for file in [gzip(&archive), archive] {
        let len = file.len() as u64;
        let (report, told) = judge(file, Limits::default());
        assert!(report.passed());
        let numbers = |now: &Progress| [now.read, now.raw, now.proven, now.to_prove];
        for pair in told.windows(2) {
            let (before, after) = (numbers(&pair[0]), numbers(&pair[1]));
            assert!(before.iter().zip(after).all(|(before, after)| *before <= after), "{pair:?}");
            assert!(pair[0].under_way().0 == UnderWay::Reading || pair[1].to_prove > 0);
        }
        let last = told.last().unwrap();
        assert_eq!((last.read, last.total), (len, len));
        assert!(last.to_prove > 5 << 20);
        assert_eq!(last.under_way(), (UnderWay::Proof, last.to_prove, last.to_prove));
        let proofs = told.iter().filter(|now| now.proven > 0 && now.proven < now.to_prove);
        assert!(proofs.count() >= 4, "{told:?}");
    }
}

/// What cannot be hashed is told as done, too.
#[test]
fn a_damaged_store_is_proven_to_its_end() {
    let mut draft = good();
    draft.fifo("data", "/fifo");
    let (report, told) = judge(draft.archive(), Limits::default());
    assert!(!report.passed());
    let last = told.last().unwrap();
    assert!(last.to_prove > 0 && last.proven == last.to_prove, "{last:?}");
}

/// Of a part of an archive nobody knows what the whole would be: it fails, and nothing is said of
/// its store.
#[test]
fn an_archive_that_is_not_whole_has_no_verdicts() {
    let file = gzip(&large());
    let small = Limits { raw_len: 4 << 20, ..Limits::default() };
    let few = Limits { members: 9, ..Limits::default() };
    let all = Limits::default();
    for (file, limits) in [
        (file[..file.len() - 1].to_vec(), all),
        (file[..file.len() - 9].to_vec(), all),
        (file[..file.len() / 2].to_vec(), all),
        (file.clone(), small),
        (file, few),
    ] {
        let (report, told) = judge(file, limits);
        assert!(!failed(&report.findings).is_empty());
        assert_eq!((report.stores, report.subject.raw), (Vec::new(), None));
        for check in store::CHECKS {
            let outcome = report.outcomes.get(check.id);
            assert!(matches!(outcome, None | Some(Outcome::NotReached)), "{}", check.id);
        }
        assert_eq!(told.last().unwrap().to_prove, 0);
    }
}

/// One whose own end is missing is all that there is of it: what is lost is told by path.
#[test]
fn a_cut_archive_has_no_intact_path_that_it_lost() {
    let archive = large();
    let cut = archive[..archive.len() / 2].to_vec();
    for file in [gzip(&cut), cut] {
        let (report, _) = judge(file, Limits::default());
        assert!(!report.passed());
        for store in &report.stores {
            assert!(store.paths.iter().any(|path| path.verdict != PathVerdict::Intact));
        }
    }
}
