//! With minisign. Its own keys want 1 GiB and some seconds to be decrypted: one test has such a key.

use super::*;

fn generated(bench: &Bench, name: &str) -> Box<dyn Signer> {
    bench.generate(name, SignatureScheme::Minisign, None);
    bench.load(name, None)
}

#[test]
fn minisign_takes_what_we_sign() {
    let bench = Bench::new();
    let signer = generated(&bench, "key");
    let other = bench.generate("other", SignatureScheme::Minisign, None);
    holds(&*signer, &other);
    bench.sign(&*signer);
    let said = bench.run("minisign", &["-Vm", NAME, "-p", "minisign.pub"]).stdout;
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("timestamp:1600000000\tfile:SHA256SUMS\thashed"), "{said}");
    bench.run("minisign", &["-Vm", NAME, "-P", &signer.public_key().line().unwrap()]);

    bench.refuses("minisign", &["-Vm", NAME, "-p", "other.pub"]);
    let mut changed = SUMS.to_vec();
    changed[0] ^= 1;
    bench.write(NAME, changed);
    bench.refuses("minisign", &["-Vm", NAME, "-p", "minisign.pub"]);
}

#[test]
fn a_signature_is_a_function_of_key_file_name_and_epoch() {
    let signer = crate::sign::minisign::Secret::new(*b"\x08\x07\x06\x05\x04\x03\x02\x01", &[7; 32]);
    let signature = signer.sign(NAME, SUMS, Some(EPOCH)).unwrap();
    // Ed25519 leaves no choice: whoever makes another one has changed the format.
    let expected = "untrusted comment: signature by the minisign key 0102030405060708\n\
        RUQIBwYFBAMCAdUIc/2Uw2K1xtbdu/xiCm37w4f+3mlHWZewdSY63aruBfgRZ+djw4BH/FQ+7q7S/ZA9PruOmiPKYyV9T2j\
        99AQ=\n\
        trusted comment: timestamp:1600000000\tfile:SHA256SUMS\thashed\n\
        aJHwe5/UXhJ353TkW6NZVFo7b8Bt93Rrwuy8CAmSUCv1iFqvHS+9tRHj0sXjYoxu3ToaTm7CIoNhCoKf8i8GBA==\n";
    assert_eq!(String::from_utf8(signature.bytes).unwrap(), expected);
}

#[test]
fn another_name_is_refused() {
    let bench = Bench::new();
    let signer = generated(&bench, "key");
    let signature = signer.sign(NAME, SUMS, None).unwrap();
    let found = signer.public_key().verify("other", SUMS, &signature.bytes);
    let (found_name, expected) = (NAME.to_owned(), "other".to_owned());
    assert_eq!(found, Err(VerifyError::OtherName { found: found_name, expected }));
    // Without an epoch there is no time.
    let verified = signer.public_key().verify(NAME, SUMS, &signature.bytes).unwrap();
    assert_eq!(verified.time, None);
    assert_eq!(verified.comment.as_deref(), Some("file:SHA256SUMS\thashed"));
}

#[test]
fn what_follows_a_signature_is_signed_by_nobody() {
    let bench = Bench::new();
    let signer = generated(&bench, "key");
    let mut signature = signer.sign(NAME, SUMS, None).unwrap().bytes;
    signature.extend(b"\n");
    signer.public_key().verify(NAME, SUMS, &signature).unwrap();
    signature.extend(b"and so on\n");
    let found = signer.public_key().verify(NAME, SUMS, &signature).unwrap_err();
    assert!(found.to_string().ends_with("it has more than four lines"), "{found}");
}

#[test]
fn keys_of_minisign_sign() {
    let bench = Bench::new();
    bench.run("minisign", &["-GW", "-p", "plain.pub", "-s", "plain"]);
    bench.write("passphrase", format!("{PASSPHRASE}\n{PASSPHRASE}\n"));
    let args = ["-G", "-p", "sealed.pub", "-s", "sealed"];
    succeeded(bench.fed("minisign", &args, "passphrase"));
    let other = bench.generate("other", SignatureScheme::Minisign, None);
    for (name, passphrase) in [("plain", None), ("sealed", Some(PASSPHRASE))] {
        let signer = bench.load(name, passphrase);
        holds(&*signer, &other);
        let public = PublicKey::read(&bench.path(&format!("{name}.pub"))).unwrap();
        assert_eq!(&public, signer.public_key());
        bench.sign(&*signer);
        bench.run("minisign", &["-Vm", NAME, "-p", &format!("{name}.pub")]);
    }
    assert!(bench.why_not("sealed", Some("wrong")).ends_with("the passphrase is wrong"));
    let why = bench.why_not("sealed", None);
    assert!(why.contains("is encrypted: no passphrase: give one by --passphrase-fd"), "{why}");
}

#[test]
fn signatures_of_minisign_are_good() {
    let bench = Bench::new();
    let key = generated(&bench, "key");
    let key = key.public_key();
    let verify = || key.verify(NAME, SUMS, &bench.read("SHA256SUMS.minisig"));
    bench.run("minisign", &["-WSm", NAME, "-s", "key"]);
    let verified = verify().unwrap();
    assert!(verified.time.is_some_and(|time| time > EPOCH), "{verified:?}");
    bench.run("minisign", &["-WSm", NAME, "-s", "key", "-t", "of the third day"]);
    assert_eq!(verify().unwrap().comment.as_deref(), Some("of the third day"));
    // The format of old.
    bench.run("minisign", &["-WlSm", NAME, "-s", "key"]);
    let refused = verify().unwrap_err();
    assert!(refused.to_string().contains("not prehashed"), "{refused}");
}

#[test]
fn minisign_signs_with_keys_of_ours() {
    let bench = Bench::new();
    let public = bench.generate("key", SignatureScheme::Minisign, Some(PASSPHRASE));
    bench.write("passphrase", format!("{PASSPHRASE}\n"));
    succeeded(bench.fed("minisign", &["-Sm", NAME, "-s", "key"], "passphrase"));
    bench.run("minisign", &["-Vm", NAME, "-p", "key.pub"]);
    public.verify(NAME, SUMS, &bench.read("SHA256SUMS.minisig")).unwrap();
    assert_eq!(bench.load("key", Some(PASSPHRASE)).public_key(), &public);
    assert!(bench.why_not("key", Some("wrong")).ends_with("the passphrase is wrong"));
}

#[test]
fn damaged_boxes_are_refused() {
    let bench = Bench::new();
    generated(&bench, "key");
    let text = String::from_utf8(bench.read("key")).unwrap();
    let line = text.lines().nth(1).unwrap();
    let bytes = data_encoding::BASE64.decode(line.as_bytes()).unwrap();
    for (at, why) in [
        (4, "its checksum is not BLAKE2b"),
        (2, "encrypted in a way that minisign does not know"),
        (70, "its checksum is wrong: the key is damaged"),
        (157, "its checksum is wrong: the key is damaged"),
    ] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        bench.write("damaged", data_encoding::BASE64.encode(&damaged));
        let found = bench.why_not("damaged", None);
        assert!(found.contains(why), "{at}: {found}");
    }
    // A box that asks for more memory than minisign ever does.
    let mut greedy = bytes;
    greedy[2..4].copy_from_slice(b"Sc");
    greedy[46..54].fill(0xff);
    bench.write("greedy", data_encoding::BASE64.encode(&greedy));
    assert!(bench.why_not("greedy", Some("x")).contains("more than 1 GiB"));
}
