//! The Nix store in an image: one that is as Nix registered it gives no finding, in an archive and
//! in a folder that is mounted at `/nix/store`; every check has a broken twin.

mod database;
#[path = "../support/findings.rs"]
mod findings;
mod hostile;
mod image;
mod passing;
#[path = "../support/registration.rs"]
mod registration;
mod trust;
mod twins;
mod witnesses;

use std::{collections::BTreeMap, sync::Arc};

use findings::{Judged, assert_twins_of, failed, reports, told};
use image::{Draft, good, path};
use image_formats::bytes::Region;
use image_model::{Outcome, PathVerdict, StorePath, Trust, VerificationReport};
use image_verify::{Expected, Recorder, Request, store, tar, volume::Trouble};
use twins::TWINS;

/// Judges an archive for nothing.
fn judge(archive: Vec<u8>) -> VerificationReport {
    let request = Request { expected: Expected::AnyKind, ..Request::default() };
    image_verify::verify(Arc::new(archive), request).unwrap()
}

fn row<'r>(report: &'r VerificationReport, name: &str) -> &'r StorePath {
    let [store] = &report.stores[..] else { panic!("{:?}", report.stores) };
    store.paths.iter().find(|path| path.path.ends_with(name)).unwrap_or_else(|| panic!("{name}"))
}

#[test]
fn a_good_store_has_no_findings() {
    let draft = good();
    let report = judge(draft.archive());
    assert_eq!(told(&report.findings), [""; 0]);
    for check in store::CHECKS {
        assert_eq!(report.outcomes[check.id], Outcome::Held, "{}", check.id);
    }
    assert_eq!(report.not_verified, [""; 0]);
    let [store] = &report.stores[..] else { panic!("{:?}", report.stores) };
    assert_eq!(
        (&store.volume[..], &store.registrations[..]),
        ("archive", &draft.registrations()[..])
    );
    assert!(store.paths.is_sorted_by_key(|path| &path.path));
    for path in &store.paths {
        assert_eq!((path.verdict, &path.registered), (PathVerdict::Intact, &None), "{}", path.path);
        let (hash, size) = draft.digest(&path.path);
        let nar = path.nar.unwrap();
        assert_eq!(image_formats::nix::base32::encode(&nar.nar_hash.0), hash, "{}", path.path);
        assert_eq!((nar.nar_size, &path.trust), (size, &Trust::Unknown), "{}", path.path);
    }
    assert_eq!(row(&report, "-app").references.len(), 3);
}

#[test]
fn every_check_has_a_twin_that_only_it_reports() {
    assert_twins_of(store::CHECKS, TWINS.iter().map(|(check, ..)| *check));
    let judged = TWINS.iter().map(|(check, edit, also)| {
        let mut draft = good();
        edit(&mut draft);
        let report = judge(draft.archive());
        Judged { check, also, findings: report.findings, totals: report.totals }
    });
    let reports: BTreeMap<_, _> = reports(store::CHECKS, judged).into_iter().collect();
    insta::assert_json_snapshot!(reports);
}

/// What a table says of a path, whatever is wrong with it.
#[test]
fn every_verdict_is_given() {
    type Edit = fn(&mut Draft);
    let cases: [(PathVerdict, Edit); 5] = [
        (PathVerdict::Intact, |_| {}),
        (PathVerdict::Changed, |d| d.content("data", "/share/text").push(b'x')),
        (PathVerdict::Missing, |d| d.remove("data", "")),
        (PathVerdict::Unregistered, |d| d.unregister("data")),
        (PathVerdict::Unreadable, |d| d.fifo("data", "/share/pipe")),
    ];
    for (verdict, edit) in cases {
        let mut draft = good();
        draft.register();
        edit(&mut draft);
        let report = judge(draft.archive());
        let path = row(&report, "-data");
        assert_eq!(path.verdict, verdict);
        let is_read = !matches!(verdict, PathVerdict::Missing | PathVerdict::Unreadable);
        assert_eq!(path.nar.is_some(), is_read, "{verdict:?}");
        let is_told = !matches!(verdict, PathVerdict::Intact | PathVerdict::Unregistered);
        assert_eq!(path.registered.is_some(), is_told, "{verdict:?}");
        let expected = if verdict == PathVerdict::Intact { 0 } else { 1 };
        assert!(failed(&report.findings).len() >= expected, "{:?}", told(&report.findings));
    }
}

/// Of a file to which Nix's optimizer gave another name, the one in its store path is told.
#[test]
fn files_have_the_names_of_their_paths() {
    let mut draft = good();
    *draft.content("data", "/share/text") = path("gone").into_bytes();
    draft.pooled("data", "/share/text");
    let report = judge(draft.archive());
    let of_store = report.findings.iter().filter(|found| found.check.starts_with("store-"));
    let of_store: Vec<_> = of_store.map(|found| (&*found.check, found.at.path.clone())).collect();
    let expected = ("store-unknown-path", Some(path("data") + "/share/text"));
    assert_eq!(of_store, [expected]);
    assert_eq!(row(&report, "-data").verdict, PathVerdict::Intact);
}

/// A folder in which a store is to be mounted is none.
#[test]
fn an_empty_folder_is_no_store() {
    let mut archive = ::tar::Builder::new(Vec::new());
    let mut header = ::tar::Header::new_gnu();
    header.set_entry_type(::tar::EntryType::Directory);
    header.set_mode(0o755);
    header.set_size(0);
    for path in ["nix/", "nix/store/"] {
        archive.append_data(&mut header, path, &[][..]).unwrap();
    }
    let report = judge(archive.into_inner().unwrap());
    assert_eq!(report.stores, []);
    assert!(report.findings.iter().all(|finding| !finding.check.starts_with("store-")));
}

/// A report is the same however many threads there are, and however often it is made.
#[test]
fn reports_are_the_same_twice() {
    let archive = good().archive();
    assert_eq!(judge(archive.clone()), judge(archive));
}

/// A list and a database say the same, alone or both; and of a database that is not closed, what is
/// in its log counts.
#[test]
fn lists_and_databases_are_read() {
    let both = judge(good().archive());
    let log = "pragma journal_mode = wal; pragma wal_autocheckpoint = 0;
        update ValidPaths set ultimate = 1, sigs = 'key-1:AAAA other-1:BBBB'
        where path like '%-data';";
    for (has_list, changes) in [(true, None), (false, Some("")), (false, Some(log))] {
        let mut draft = good();
        draft.database = changes;
        if !has_list {
            draft.without_list();
        }
        let report = judge(draft.archive());
        let is_open = changes == Some(log);
        let expected = if is_open { vec!["store-database-closed".to_owned()] } else { vec![] };
        assert_eq!(failed(&report.findings), expected.into_iter().collect(), "{changes:?}");
        assert_eq!(report.stores[0].registrations, draft.registrations());
        for (path, other) in both.stores[0].paths.iter().zip(&report.stores[0].paths) {
            let is_changed = is_open && path.path.ends_with("-data");
            assert_eq!(path == other, !is_changed, "{path:?} {other:?}");
            if is_changed {
                assert_eq!(other.signatures, ["key-1:AAAA", "other-1:BBBB"]);
            }
        }
    }
}

/// Without any registration, nobody vouches for anything, and all is hashed.
#[test]
fn nothing_is_registered() {
    let mut draft = good();
    draft.without_list();
    draft.database = None;
    let report = judge(draft.archive());
    assert_eq!(failed(&report.findings), ["store-registration".to_owned()].into());
    assert_eq!(report.outcomes["store-complete"], Outcome::NotReached);
    let [store] = &report.stores[..] else { panic!("{:?}", report.stores) };
    for path in &store.paths {
        assert!(path.verdict == PathVerdict::Unregistered && path.nar.is_some(), "{path:?}");
    }
}

/// A derivation names what it makes, and does not refer to it.
#[test]
fn derivations_name_what_they_do_not_refer_to() {
    let mut draft = good();
    let name = path("app.drv");
    draft.file(
        &name,
        format!("Derive([(\"out\",\"{}\",\"\",\"\")],[],[]) {}", path("app"), path("gone")),
    );
    draft.references.insert(name, Vec::new());
    let report = judge(draft.archive());
    assert_eq!(told(&report.findings), [""; 0]);
}

/// What is more than is hashed is told, and is no defect of the store.
#[test]
fn files_beyond_the_limit_are_not_hashed() {
    let region = Region::from(good().archive());
    let volume = tar::open(&region, &Trouble::default()).unwrap();
    let mut out = Recorder::default();
    let asked = store::Asked { max_bytes: 16, ..store::Asked::default() };
    let judged = store::verify(&volume, &asked, &mut out).unwrap();
    let expected = ["the Nix store in archive: more bytes of files than are hashed"];
    assert_eq!(judged.not_verified, expected);
    let verdicts: Vec<_> = judged.report.paths.iter().map(|path| path.verdict).collect();
    let (small, large) = (PathVerdict::Intact, PathVerdict::Unreadable);
    assert_eq!(verdicts, [large, large, small, small]);
    assert!(out.has_failed(&store::LIMITS) && !out.has_failed(&store::CONTENT));
    assert!(!out.has_failed(&store::READABLE));
}

/// What the kind of an image judges by names is not told a second time; the rest is.
#[test]
fn what_a_kind_judges_is_told_once() {
    let failed = |edit: fn(&mut Draft)| {
        let mut draft = good();
        edit(&mut draft);
        let region = Region::from(draft.archive());
        let volume = tar::open(&region, &Trouble::default()).unwrap();
        let mut out = Recorder::default();
        let checks = store::Checks { by_names: false, ..store::Checks::OWN };
        let asked = store::Asked { checks, ..store::Asked::default() };
        store::verify(&volume, &asked, &mut out).unwrap();
        let failed = store::CHECKS.iter().filter(|check| out.has_failed(check));
        failed.map(|check| check.id).collect::<Vec<_>>()
    };
    fn loaded_by(draft: &mut Draft, loader: &str) {
        *draft.content("app", "/bin/app") = image::elf(loader, "");
    }
    assert_eq!(failed(|_| {}), [""; 0]);
    let found = failed(|d| loaded_by(d, &(path("lib") + "/lib/gone.so")));
    assert_eq!(found, ["store-interpreter"]);
    let found = failed(|d| loaded_by(d, &(path("gone") + "/lib/ld.so")));
    assert_eq!(found, ["store-unknown-path"]);
    assert_eq!(failed(|d| d.member("app", "/bin").mode = 0o777), [""; 0]);
    assert_eq!(failed(|d| d.member("app", "/bin").mode = 0o755), ["store-mode"]);
    assert_eq!(failed(|d| d.member("app", "/bin").uid = 1), [""; 0]);
}
