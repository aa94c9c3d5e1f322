//! A store whose paths are signed by keys that are made here.

use std::{cell::Cell, collections::BTreeMap};

use data_encoding::BASE64;
use ed25519_dalek::{Signer as _, SigningKey};
use image_formats::nix::signature::fingerprint;
use image_model::NarHash;

use super::*;

const HELLO: &str = "/nix/store/s66mzxpvicwk07gjbjfw9izjfa797vsw-hello-2.12.1";
const LIBC: &str = "/nix/store/wn7v2vhyyyi6clcyn0s9ixvl7d4d87ic-glibc-2.40-36";

/// A key that signs.
struct Key {
    name: &'static str,
    secret: SigningKey,
}

impl Key {
    fn new(name: &'static str, seed: u8) -> Self {
        Self { name, secret: SigningKey::from_bytes(&[seed; 32]) }
    }

    fn public(&self) -> PublicKey {
        let digits = BASE64.encode(self.secret.verifying_key().as_bytes());
        PublicKey::parse(&format!("{}:{digits}", self.name)).unwrap()
    }

    fn sign(&self, path: &StorePath) -> String {
        let nar = path.registered.or(path.nar).unwrap();
        let references = path.references.iter().map(String::as_bytes);
        let (hash, size) = (nar.nar_hash.0, nar.nar_size);
        let message = fingerprint(path.path.as_bytes(), &hash, size, references).unwrap();
        format!("{}:{}", self.name, BASE64.encode(&self.secret.sign(&message).to_bytes()))
    }
}

fn path(name: &str) -> StorePath {
    StorePath {
        path: name.to_owned(),
        verdict: PathVerdict::Intact,
        nar: Some(NarDigest { nar_hash: NarHash([7; 32]), nar_size: 120 }),
        registered: None,
        references: vec![LIBC.to_owned(), name.to_owned()],
        deriver: None,
        content_address: None,
        signatures: Vec::new(),
        trust: Trust::Unknown,
    }
}

/// The ids of the checks that were evaluated, and the messages of those that failed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    evaluated: Vec<&'static str>,
    doubts: Vec<String>,
}

impl From<Judged> for Said {
    fn from(judged: Judged) -> Self {
        let doubts = judged.doubts.into_iter().map(|doubt| {
            assert_eq!(doubt.path, 0);
            format!("{}: {}", doubt.check.id, doubt.message)
        });
        Self {
            doubts: doubts.collect(),
            evaluated: judged.evaluated.into_iter().map(|check| check.id).collect(),
        }
    }
}

/// What is found out about one path, with two keys that are trusted, and what somebody else knows.
fn judged(path: StorePath, known: Option<PathSignatures>) -> (StorePath, Said) {
    let keys = [Key::new("a-1", 1).public(), Key::new("b-1", 2).public()];
    let name = path.path.clone();
    let (volume, registrations) = ("archive".to_owned(), Vec::new());
    let mut report =
        StoreReport { volume, registrations, trusted_keys: Vec::new(), paths: vec![path] };
    let ask = |asked: &[&str]| {
        assert_eq!(asked, [name.as_str()]);
        known.clone().map(|known| (name.clone(), known)).into_iter().collect()
    };
    let vouchers = Vouchers { keys: &keys, signatures: &ask };
    let judged = pure(&mut report, vouchers, &|number| (number == 0).then_some([9; 32]));
    assert_eq!(report.trusted_keys, ["a-1", "b-1"]);
    (report.paths.remove(0), judged.into())
}

fn known(signatures: Vec<String>, built_here: bool) -> Option<PathSignatures> {
    Some(PathSignatures { nar_hash: NarHash([7; 32]), signatures, built_here })
}

fn by(names: &[&str]) -> Trust {
    Trust::Signed { by: names.iter().map(|name| (*name).to_owned()).collect() }
}

#[test]
fn who_signed_is_told_wherever_the_signature_is_from() {
    let mut hello = path(HELLO);
    let [a, b] = [Key::new("a-1", 1), Key::new("b-1", 2)].map(|key| key.sign(&hello));
    hello.signatures = vec![a.clone()];
    let (found, said) = judged(hello.clone(), None);
    assert_eq!((found.trust, &said.doubts[..]), (by(&["a-1"]), &[][..]));
    assert_eq!(said.evaluated, ["store-signature"]);
    let (found, _) = judged(hello.clone(), known(vec![b.clone(), a.clone()], true));
    assert_eq!((found.trust, found.signatures), (by(&["a-1", "b-1"]), vec![a, b.clone()]));

    // Of another path with the same name nothing follows.
    let other = known(vec![b], true);
    let other = other.map(|known| PathSignatures { nar_hash: NarHash([8; 32]), ..known });
    let (found, said) = judged(hello, other);
    assert_eq!((found.trust, found.signatures.len()), (by(&["a-1"]), 1));
    assert!(said.doubts.is_empty());
}

#[test]
fn a_signature_for_something_else_is_an_error() {
    let good = path(HELLO);
    let sign = |edit: &dyn Fn(&mut StorePath)| {
        let mut signed = path(HELLO);
        edit(&mut signed);
        Key::new("a-1", 1).sign(&signed)
    };
    let doubt = "store-signature: the signature of a-1 is not for what is registered";
    for wrong in [
        sign(&|path| path.nar.as_mut().unwrap().nar_hash = NarHash([8; 32])),
        sign(&|path| path.nar.as_mut().unwrap().nar_size = 121),
        sign(&|path| drop(path.references.pop())),
        sign(&|path| path.path = LIBC.to_owned()),
        // By another key, which took the name of this one.
        Key::new("a-1", 3).sign(&good),
        "a-1:AAAA".to_owned(),
    ] {
        let mut hello = good.clone();
        hello.signatures = vec![wrong.clone()];
        let (found, said) = judged(hello, known(vec![], true));
        assert_eq!((found.trust, &said.doubts[..]), (Trust::Built, &[doubt.to_owned()][..]));
        let (_, said) = judged(good.clone(), known(vec![wrong], false));
        assert_eq!(said.doubts, [doubt]);
    }
    // A good one of the same key is enough.
    let mut hello = good;
    hello.signatures = vec!["a-1:AAAA".to_owned(), sign(&|_| ())];
    let (found, said) = judged(hello, None);
    assert_eq!((found.trust, &said.doubts[..]), (by(&["a-1"]), &[][..]));
}

#[test]
fn nobody_vouches_for_what_is_not_as_it_was_registered() {
    for verdict in [PathVerdict::Changed, PathVerdict::Missing, PathVerdict::Unreadable] {
        let mut hello = path(HELLO);
        hello.verdict = verdict;
        hello.registered = hello.nar;
        hello.nar = None;
        hello.signatures = vec![Key::new("a-1", 1).sign(&hello)];
        let (found, said) = judged(hello.clone(), known(vec![], true));
        assert_eq!((found.trust, said.doubts.len()), (Trust::Unknown, 0), "{verdict:?}");
        assert_eq!(said.evaluated, ["store-signature"]);
        // That the registration was tampered with is told all the same.
        hello.registered.as_mut().unwrap().nar_size = 7;
        assert_eq!(judged(hello, None).1.doubts.len(), 1, "{verdict:?}");
    }
    let mut hello = path(HELLO);
    hello.signatures = vec![Key::new("a-1", 1).sign(&hello)];
    hello.verdict = PathVerdict::Unregistered;
    let (found, said) = judged(hello, known(vec![], true));
    assert_eq!((found.trust, said), (Trust::Unknown, Said::default()));
}

#[test]
fn names_of_others_count_for_nothing() {
    let mut hello = path(HELLO);
    hello.signatures =
        vec![Key::new("stranger-1", 1).sign(&hello), "no signature".to_owned(), ":AAAA".to_owned()];
    let (found, said) = judged(hello, None);
    assert_eq!((found.trust, said), (Trust::Unknown, Said::default()));
    // What no Nix calls a path is not asked about.
    let (volume, registrations) = ("archive".to_owned(), Vec::new());
    let paths = vec![path("/nix/store/../../etc")];
    let mut report = StoreReport { volume, registrations, trusted_keys: Vec::new(), paths };
    let asked = Cell::new(false);
    let file_hash = |_| {
        asked.set(true);
        None
    };
    let ask = |_: &[&str]| -> BTreeMap<String, PathSignatures> { panic!("asked") };
    let vouchers = Vouchers { keys: &[], signatures: &ask };
    assert_eq!(Said::from(pure(&mut report, vouchers, &file_hash)), Said::default());
    assert!(!asked.get());
}

/// What `nix store add-path` made, and `nix path-info` says of it.
fn folder() -> StorePath {
    let hash = "sha256-Kb/pCu9YKNiGv2MsO32O/W9ohYyo3g7ZeWFChSp3GXU=";
    let address = "fixed:r:sha256:0x8rfwm8ahk1g7chxpm8ij2nhvzxiryknb33py3dha2qxw5fkgr9";
    let nar_hash = NarHash::try_from(hash.to_owned()).unwrap();
    StorePath {
        nar: Some(NarDigest { nar_hash, nar_size: 288 }),
        references: Vec::new(),
        content_address: Some(address.to_owned()),
        ..path("/nix/store/sh3dfhbqwb9ms0j73f1zsx8k72hmdm74-d")
    }
}

#[test]
fn a_name_that_follows_from_the_content_is_proven() {
    let (found, said) = judged(folder(), None);
    assert_eq!(
        (found.trust, &said.evaluated[..]),
        (Trust::ContentAddressed, &["store-content-address"][..])
    );
    assert!(said.doubts.is_empty());
    // A list does not say so.
    let unsaid = StorePath { content_address: None, ..folder() };
    let (found, said) = judged(unsaid, None);
    assert_eq!((found.trust, said), (Trust::ContentAddressed, Said::default()));
    // Its hash would be another one if it named itself.
    let mut own = folder();
    own.references.push(own.path.clone());
    assert_eq!(judged(own, None).0.trust, Trust::Unknown);
    let changed = StorePath { verdict: PathVerdict::Changed, registered: folder().nar, ..folder() };
    assert_eq!(judged(changed, None).0.trust, Trust::Unknown);
}

#[test]
fn a_name_that_does_not_follow_is_an_error() {
    let doubts = |path: StorePath| {
        let (found, said) = judged(path, None);
        assert_eq!(found.trust, Trust::Unknown);
        said.doubts
    };
    let address = folder().content_address.unwrap();
    let mut other = folder();
    other.nar.as_mut().unwrap().nar_hash = NarHash([7; 32]);
    assert_eq!(
        doubts(other),
        [format!("store-content-address: {address} is not the hash of its content")]
    );
    let other = StorePath { path: folder().path + "x", ..folder() };
    assert_eq!(
        doubts(other),
        [format!("store-content-address: {address} is not what its name follows from")]
    );
    let other = StorePath { references: vec![LIBC.to_owned()], ..folder() };
    assert_eq!(
        doubts(other),
        [format!("store-content-address: {address} is not what its name follows from")]
    );

    // Of a file, by its bytes; here they are not those.
    let address = "fixed:sha256:00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq";
    let file = StorePath {
        references: Vec::new(),
        content_address: Some(address.to_owned()),
        ..path("/nix/store/1p9q0bz6f22dyxh4lw8xs08p4201vyq4-f")
    };
    assert_eq!(
        doubts(file),
        [format!("store-content-address: {address} is not the hash of its content")]
    );
}

#[test]
fn a_file_is_proven_by_its_bytes() {
    // SHA-256 of `hello` and a newline.
    let address = "fixed:sha256:00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq";
    let hash: [u8; 32] =
        image_formats::nix::registration::digest(&address.as_bytes()[6..]).unwrap();
    let file = StorePath {
        references: Vec::new(),
        content_address: Some(address.to_owned()),
        ..path("/nix/store/1p9q0bz6f22dyxh4lw8xs08p4201vyq4-f")
    };
    let trust = |hash: Option<[u8; 32]>| {
        let (volume, registrations) = ("archive".to_owned(), Vec::new());
        let paths = vec![file.clone()];
        let mut report = StoreReport { volume, registrations, trusted_keys: Vec::new(), paths };
        let judged = pure(&mut report, Vouchers::default(), &|_| hash);
        (report.paths.remove(0).trust, judged.doubts.len())
    };
    assert_eq!(trust(Some(hash)), (Trust::ContentAddressed, 0));
    assert_eq!(trust(Some([0; 32])), (Trust::Unknown, 1));
    // Who cannot read it does not know.
    assert_eq!(trust(None), (Trust::Unknown, 0));
}

/// Whoever writes a thousand signatures keeps nobody busy.
#[test]
fn few_signatures_are_tried() {
    let mut hello = path(HELLO);
    let good = Key::new("a-1", 1).sign(&hello);
    let many = (0..100).map(|i| format!("a-1:{i:04}"));
    hello.signatures = many.chain([good]).collect();
    let (found, said) = judged(hello, None);
    assert_eq!((found.trust, said.doubts.len()), (Trust::Unknown, 1));
}
