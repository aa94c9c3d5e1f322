//! Keys and signatures that nobody made in good faith: refused, and never a panic.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

/// A key of each scheme: secret half, public half, signature, all as files.
struct Good {
    secret: Vec<u8>,
    public: Vec<u8>,
    key: PublicKey,
    signature: Vec<u8>,
}

static GOOD: LazyLock<Vec<Good>> = LazyLock::new(|| {
    let schemes = [SignatureScheme::Minisign, SignatureScheme::Ssh, SignatureScheme::Openpgp];
    schemes
        .map(|scheme| {
            let bench = Bench::new();
            bench.generate("key", scheme, None);
            let signer = bench.load("key", None);
            Good {
                secret: bench.read("key"),
                public: bench.read("key.pub"),
                key: signer.public_key().clone(),
                signature: signer.sign(NAME, SUMS, None).unwrap().bytes,
            }
        })
        .into()
});

/// What one does to a file: cut it, change a byte, or put bytes into it.
#[derive(Clone, Debug)]
enum Damage {
    Cut(prop::sample::Index),
    Byte(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<prop::sample::Index>().prop_map(Damage::Cut),
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        (any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 1..40))
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
    ]
}

impl Damage {
    fn done_to(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        match self {
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Byte(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Self::Insert(at, more) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, more.iter().copied());
            }
        }
        bytes
    }
}

/// Binary OpenPGP is reached by few changes of armored text.
fn binary(bytes: &[u8]) -> Vec<u8> {
    use pgp::{composed::PublicOrSecret, ser::Serialize as _};
    match PublicOrSecret::from_reader_many(bytes) {
        Ok((mut keys, _)) => keys.next().unwrap().unwrap().to_bytes().unwrap(),
        Err(_) => bytes.to_vec(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn garbage_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(PublicKey::parse(&bytes).is_err());
        for good in GOOD.iter() {
            prop_assert!(good.key.verify(NAME, SUMS, &bytes).is_err());
        }
        prop_assert!(secret::signer("x", &bytes, &mut PassphraseSource::fixed(None)).is_err());
    }

    #[test]
    fn damaged_signatures_are_refused(damage in damage(), which in 0..3usize) {
        let good = &GOOD[which];
        let damaged = damage.done_to(&good.signature);
        // A comment that nobody signed may change, and white space may.
        if let Ok(verified) = good.key.verify(NAME, SUMS, &damaged) {
            prop_assert_eq!(Ok(verified), good.key.verify(NAME, SUMS, &good.signature));
        }
    }

    #[test]
    fn damaged_public_keys_do_no_harm(damage in damage(), which in 0..3usize, raw: bool) {
        let good = &GOOD[which];
        let bytes = if raw { binary(&good.public) } else { good.public.clone() };
        if let Ok(key) = PublicKey::parse(&damage.done_to(&bytes)) {
            let _ = key.verify(NAME, SUMS, &good.signature);
            let _ = (key.key_id(), key.documents(), key.line(), key.ed25519(), format!("{key:?}"));
        }
    }

    #[test]
    fn damaged_secret_keys_do_no_harm(damage in damage(), which in 0..3usize, raw: bool) {
        let good = &GOOD[which];
        let bytes = if raw { binary(&good.secret) } else { good.secret.clone() };
        let damaged = damage.done_to(&bytes);
        if let Ok(signer) = secret::signer("x", &damaged, &mut PassphraseSource::fixed(None)) {
            let _ = signer.sign(NAME, SUMS, None);
        }
    }
}

#[test]
fn what_is_huge_is_not_read() {
    for good in GOOD.iter() {
        let huge = good.signature.repeat((1 << 20) / good.signature.len());
        assert!(good.key.verify(NAME, SUMS, &huge).is_err());
    }
    let bench = Bench::new();
    bench.write("huge", vec![b'A'; 5 << 20]);
    let found = PublicKey::read(&bench.path("huge"));
    assert!(matches!(found, Err(PublicKeyError::Unknown)), "{found:?}");
    assert!(bench.try_load("huge", None).unwrap_err().to_string().contains("cannot read the key"));
    let endless = PublicKey::read(Path::new("/dev/zero"));
    assert!(matches!(endless, Err(PublicKeyError::Unknown)), "{endless:?}");
}

#[test]
fn each_kind_of_nonsense_has_its_sentence() {
    let parse = |text: &str| PublicKey::parse(text.as_bytes()).unwrap_err().to_string();
    for (text, why) in [
        ("", "not a public key of minisign (56 characters of base64)"),
        ("RWQ", "not a public key of minisign (56 characters of base64)"),
        // The name of a file.
        ("ssh-release.pub", "not a public key of minisign (56 characters of base64)"),
        ("untrusted comment: x\nRWQ", "its second line is not the base64 of 42 bytes"),
        ("ssh-ed25519 AAAA", "not a public key of ssh"),
        ("ssh-ed25519 AAAA\nssh-ed25519 AAAA", "more than one line"),
        ("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n-----END PGP PUBLIC KEY BLOCK-----", "openpgp"),
    ] {
        let found = parse(text);
        assert!(found.contains(why), "{text:?}: {found}");
    }
    for good in GOOD.iter() {
        let error = PublicKey::parse(&good.secret).unwrap_err();
        assert!(matches!(error, PublicKeyError::Secret), "{error}");
    }
    // A key of order one: everything is signed by it.
    let mut weak = [0; 42];
    weak[..2].copy_from_slice(b"Ed");
    weak[10] = 1;
    let found = parse(&data_encoding::BASE64.encode(&weak));
    assert!(found.contains("weak points"), "{found}");
}
