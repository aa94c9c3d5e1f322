//! What keeps secrets secret, and how they come in.

use std::io::Write as _;

use super::*;
use crate::sign::{passphrase::PASSPHRASE_VARIABLE, secret};

const SCHEMES: [SignatureScheme; 3] =
    [SignatureScheme::Minisign, SignatureScheme::Ssh, SignatureScheme::Openpgp];

#[test]
fn nothing_prints_a_secret() {
    let bench = Bench::new();
    for scheme in SCHEMES {
        let name = scheme.as_str();
        let id = bench.generate(name, scheme, None).key_id();
        let printed = format!("{:?} {:#?}", bench.load(name, None), bench.load(name, None));
        // Nothing but the kind of the key and what is public of it.
        let words = ["Secret", "PublicKey", "minisign", "ssh", "openpgp", "SHA256", id.as_str()];
        let mut rest = printed.replace(&id, "");
        for word in words {
            rest = rest.replace(word, "");
        }
        assert!(rest.chars().all(|c| !c.is_alphanumeric()), "{printed}");
    }
    let source = PassphraseSource::fixed(Some(PASSPHRASE));
    assert_eq!(format!("{source:?}"), "PassphraseSource { fd: None, .. }");
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let bench = Bench::new();
    for scheme in SCHEMES {
        let name = scheme.as_str();
        bench.generate(name, scheme, None);
        for mode in [0o644, 0o640, 0o604, 0o660] {
            let path = bench.path(name);
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let why = bench.why_not(name, None);
            let path = path.display();
            let expected =
                format!("{path} can be read by others (mode {mode:03o}): chmod 600 {path}");
            assert_eq!(why, expected);
        }
        fs::set_permissions(bench.path(name), fs::Permissions::from_mode(0o400)).unwrap();
        bench.load(name, None);
    }
}

#[test]
fn new_keys_are_for_their_owner_and_replace_nothing() {
    let bench = Bench::new();
    for scheme in SCHEMES {
        let name = scheme.as_str();
        bench.generate(name, scheme, None);
        let mode = |name: &str| bench.path(name).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(name), 0o600);
        assert_eq!(mode(&format!("{name}.pub")) & 0o600, 0o600);
        let before = bench.read(name);
        let again = |name: &str| generate(&bench.path(name), scheme, "x", None).unwrap_err();
        assert!(matches!(again(name), GenerateError::Exists(_)));
        assert_eq!(bench.read(name), before);
        // Only the public half is in the way: nothing is left of the other one.
        fs::rename(bench.path(name), bench.path("elsewhere")).unwrap();
        assert!(again(name).to_string().contains(".pub is there already"));
        assert!(!bench.path(name).exists());
        fs::remove_file(bench.path("elsewhere")).unwrap();
    }
    let new = bench.path("new");
    for name in ["", "  ", "two\nlines", &"x".repeat(201)] {
        let error = generate(&new, SignatureScheme::Ssh, name, None).unwrap_err();
        assert!(matches!(error, GenerateError::Name), "{error}");
    }
    for (passphrase, why) in [(Some(""), "is empty"), (None, "--passphrase-fd N")] {
        let mut source = PassphraseSource::fixed(passphrase);
        let error = generate(&new, SignatureScheme::Ssh, "x", Some(&mut source)).unwrap_err();
        assert!(error.is_usage() && chain(&error).contains(why), "{}", chain(&error));
    }
    let nowhere = bench.path("no/such/folder/key");
    let error = generate(&nowhere, SignatureScheme::Ssh, "x", None).unwrap_err();
    assert!(matches!(error, GenerateError::Write { .. }), "{error}");
    assert!(!new.exists());
}

#[test]
fn a_passphrase_is_the_first_line_of_a_descriptor() {
    use std::os::fd::AsRawFd as _;
    let read = |bytes: &[u8]| {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(bytes).unwrap();
        let fd = reader.as_raw_fd().unsigned_abs();
        let mut source = PassphraseSource::new(Some(fd));
        // The writer stays open: a line is enough. Without one, its end is.
        if !bytes.contains(&b'\n') {
            drop(writer);
        }
        let first = source.get("a")?;
        // The second key has the same one.
        assert_eq!(source.get("b")?, first);
        Ok::<_, PassphraseError>(first.to_string())
    };
    assert_eq!(read(b"secret\nrest\n").unwrap(), "secret");
    assert_eq!(read(b"secret\r\n").unwrap(), "secret");
    assert_eq!(read("päss wörd ".as_bytes()).unwrap(), "päss wörd ");
    assert_eq!(read(b"").unwrap(), "");
    assert_eq!(read(&[b'x'; 1024]).unwrap().len(), 1024);
    assert!(matches!(read(&[b'x'; 1025]), Err(PassphraseError::Long)));
    let error = read(b"\xff\n").unwrap_err();
    assert!(chain(&error).contains("not UTF-8"), "{}", chain(&error));
    let error = PassphraseSource::new(Some(987)).get("x").unwrap_err();
    assert!(error.to_string().contains("from file descriptor 987"), "{error}");
    assert!(PassphraseError::Nowhere.to_string().contains(PASSPHRASE_VARIABLE));
}

#[test]
fn keys_survive_what_ci_systems_do_to_them() {
    let bench = Bench::new();
    for scheme in SCHEMES {
        let name = scheme.as_str();
        let id = bench.generate(name, scheme, None).key_id();
        let text = String::from_utf8(bench.read(name)).unwrap();
        let base64 = data_encoding::BASE64.encode(text.as_bytes());
        let wrapped: Vec<_> = base64.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        for given in [
            text.clone(),
            text.trim_end().to_owned(),
            text.replace('\n', "\r\n"),
            text.replace('\n', "\\n"),
            base64.clone(),
            wrapped.join("\n"),
        ] {
            let bytes = secret::from_variable(&given);
            let mut source = PassphraseSource::fixed(None);
            let signer = secret::signer("$KEY", &bytes, &mut source);
            assert_eq!(signer.map(|signer| signer.key_id()).ok(), Some(id.clone()), "{given}");
        }
    }
    // The second line of a key of minisign is all of it.
    let text = String::from_utf8(bench.read("minisign")).unwrap();
    let bytes = secret::from_variable(text.lines().nth(1).unwrap());
    secret::signer("$KEY", &bytes, &mut PassphraseSource::fixed(None)).unwrap();
    // What lost its line ends is not a key any more, and is told so.
    let lost = String::from_utf8(bench.read("ssh")).unwrap().replace('\n', " ");
    let mut source = PassphraseSource::fixed(None);
    let error = secret::signer("$KEY", &secret::from_variable(&lost), &mut source).unwrap_err();
    assert!(error.to_string().contains("line ends"), "{error}");
}

#[test]
fn a_release_has_one_signature_of_each_kind() {
    let bench = Bench::new();
    for scheme in SCHEMES {
        bench.generate(scheme.as_str(), scheme, Some(PASSPHRASE));
        bench.generate(&format!("second-{scheme}"), scheme, None);
    }
    let mut source = PassphraseSource::fixed(Some(PASSPHRASE));
    let mut all = SCHEMES.map(|scheme| bench.path(scheme.as_str()));
    // In whatever order they are named, the release has the same bytes.
    for _ in 0..2 {
        let signers = load(&all, &mut source).unwrap();
        assert!(signers.iter().map(|signer| signer.scheme()).eq(SCHEMES));
        all.reverse();
    }
    let two = [bench.path("ssh"), bench.path("second-ssh")];
    let error = load(&two, &mut source).unwrap_err().to_string();
    assert!(error.contains("second-ssh are both keys of ssh"), "{error}");
    let error = load(&[bench.path("absent")], &mut source).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("cannot read the key"), "{error}");
}
