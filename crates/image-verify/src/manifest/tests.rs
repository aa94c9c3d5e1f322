//! A manifest, and images that are as it says or not.

use image_model::{
    Artifact, Compression, Driver, Finding, Generator, ImageKind, MANIFEST_SCHEMA, NarDigest,
    NarHash, Outcome, ReportSummary, Sha256, Source, Totals, Trust,
};

use super::*;
use crate::container::file_at;

const HELLO: &str = "/nix/store/s66mzxpvicwk07gjbjfw9izjfa797vsw-hello-2.12.1";
const LIBC: &str = "/nix/store/wn7v2vhyyyi6clcyn0s9ixvl7d4d87ic-glibc-2.40-36";
const FILE: Digests = Digests { size: 10, sha256: Sha256([1; 32]) };
const RAW: Digests = Digests { size: 20, sha256: Sha256([2; 32]) };
const OTHER: Digests = Digests { size: 10, sha256: Sha256([3; 32]) };

fn path(name: &str, references: &[&str]) -> StorePath {
    StorePath {
        path: name.to_owned(),
        verdict: PathVerdict::Intact,
        nar: Some(NarDigest { nar_hash: NarHash([7; 32]), nar_size: 120 }),
        registered: None,
        references: references.iter().map(|path| (*path).to_owned()).collect(),
        deriver: None,
        content_address: None,
        signatures: vec!["a-1:AAAA".to_owned()],
        trust: Trust::Unknown,
    }
}

fn store(paths: Vec<StorePath>) -> StoreReport {
    let (volume, registrations) = ("archive".to_owned(), Vec::new());
    StoreReport { volume, registrations, trusted_keys: Vec::new(), paths }
}

fn stores() -> Vec<StoreReport> {
    vec![store(vec![path(HELLO, &[LIBC, HELLO]), path(LIBC, &[])])]
}

fn manifest(stores: &[StoreReport]) -> Manifest {
    let (name, version) = ("image-factory".to_owned(), "0".to_owned());
    Manifest {
        schema: MANIFEST_SCHEMA,
        generator: Generator { name, version },
        image: "wsl".to_owned(),
        kind: ImageKind::Wsl,
        system: "x86_64-linux".to_owned(),
        title: String::new(),
        distribution: "nixos".to_owned(),
        source: Source {
            driver: Driver::Prebuilt,
            route: "file".to_owned(),
            flake: None,
            locked: None,
            inputs: BTreeMap::new(),
            attribute: None,
            profiles: Vec::new(),
            derivation: None,
            store_path: None,
            nar_hash: None,
            input_sha256: None,
        },
        tools: Vec::new(),
        artifacts: vec![Artifact {
            file: "nixos.wsl".to_owned(),
            format: "tar".to_owned(),
            compression: Compression::Gzip,
            digests: FILE,
            raw: RAW,
        }],
        closure: closure(stores),
        verification: ReportSummary {
            file: "verification.json".to_owned(),
            sha256: Sha256([0; 32]),
            totals: Totals::default(),
        },
    }
}

fn judged(manifest: &Manifest, image: Image<'_>) -> (Vec<Finding>, [Outcome; 2]) {
    let mut out = Recorder::default();
    let whole = file_at("file", 0, image.file.size);
    verify(manifest, &image, &whole, &mut out);
    let recorded = out.finish(&[], &crate::UNUSED_WAIVER, &whole);
    let outcome = |check: &'static image_model::Check| recorded.outcomes[check.id];
    let outcomes = [outcome(&ARTIFACT), outcome(&CLOSURE)];
    (recorded.findings, outcomes)
}

/// What is said of an image whose stores are these.
fn said(manifest: &Manifest, stores: &[StoreReport]) -> Vec<String> {
    let image = Image { name: Some("nixos.wsl"), file: FILE, raw: Some(RAW), stores };
    let (findings, _) = judged(manifest, image);
    findings.iter().map(|f| format!("{}: {}", f.check, f.message)).collect()
}

#[test]
fn an_image_is_as_its_own_manifest_says() {
    for stores in [vec![], stores(), [stores(), stores()].concat()] {
        let image = Image { name: None, file: FILE, raw: Some(RAW), stores: &stores };
        let (findings, outcomes) = judged(&manifest(&stores), image);
        assert_eq!((findings, outcomes), (vec![], [Outcome::Held; 2]));
    }
}

#[test]
fn a_file_is_known_by_its_bytes() {
    let manifest = manifest(&[]);
    let said = |name, file, raw| {
        let (findings, _) = judged(&manifest, Image { name, file, raw, stores: &[] });
        findings.into_iter().map(|finding| finding.message).collect::<Vec<_>>()
    };
    // As it is, unpacked, and packed again by somebody else.
    for (file, raw) in [(FILE, None), (RAW, Some(RAW)), (OTHER, Some(RAW))] {
        assert_eq!(said(None, file, raw), [""; 0]);
    }
    let (found, listed) = ("03".repeat(32), "01".repeat(32));
    assert_eq!(
        said(Some("nixos.wsl"), OTHER, Some(OTHER)),
        [format!("10 bytes with SHA-256 {found}; nixos.wsl has 10 with {listed} in the manifest")]
    );
    assert_eq!(
        said(Some("other"), OTHER, None),
        [format!("10 bytes with SHA-256 {found}: none of nixos.wsl in the manifest")]
    );
}

#[test]
fn each_path_is_compared() {
    type Edit = fn(&mut Vec<StorePath>);
    let manifest = manifest(&stores());
    let cases: [(Edit, &str); 7] = [
        (|paths| drop(paths.pop()), "LIBC: in the manifest, and not in the image"),
        (
            |paths| (paths[1].verdict, paths[1].nar) = (PathVerdict::Missing, None),
            "LIBC: in the manifest, and not in the image",
        ),
        (
            |paths| (paths[1].verdict, paths[1].nar) = (PathVerdict::Unreadable, None),
            "LIBC: cannot be read",
        ),
        (
            |paths| paths.push(path("/nix/store/x", &[])),
            "/nix/store/x: in the image, and not in the manifest",
        ),
        (
            |paths| paths[1].nar = Some(NarDigest { nar_hash: NarHash([0; 32]), nar_size: 128 }),
            "LIBC: sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= of 128 bytes, and in the \
             manifest sha256-BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc= of 120",
        ),
        (
            |paths| drop(paths[0].references.pop()),
            "HELLO: does not refer to HELLO, and in the manifest it does",
        ),
        (
            |paths| paths[1].references.push(HELLO.to_owned()),
            "LIBC: refers to HELLO, and in the manifest it does not",
        ),
    ];
    for (edit, message) in cases {
        let mut paths = stores().remove(0).paths;
        edit(&mut paths);
        let message = message.replace("HELLO", HELLO).replace("LIBC", LIBC);
        assert_eq!(said(&manifest, &[store(paths)]), [format!("manifest-closure: {message}")]);
    }
}

#[test]
fn a_store_that_was_not_read_proves_nothing() {
    let full = manifest(&stores());
    let message = "no Nix store was read, and the manifest has 2 paths of one";
    assert_eq!(said(&full, &[]), [format!("manifest-closure: {message}")]);
    // A manifest without a closure speaks of an image without a store.
    assert_eq!(said(&manifest(&[]), &stores()).len(), 2);
}

#[test]
fn signatures_are_handed_on() {
    let mut stores = stores();
    stores[0].paths[1].signatures.clear();
    let known = signatures(&manifest(&stores));
    let [(name, known)] = &known.into_iter().collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!((name.as_str(), known.nar_hash), (HELLO, NarHash([7; 32])));
    assert_eq!((&known.signatures[..], known.built_here), (&["a-1:AAAA".to_owned()][..], false));
}
