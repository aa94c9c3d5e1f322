//! With gpg and gpgv.

use super::*;

/// A home of gpg, whose agent is ended with it.
struct Gpg {
    bench: Bench,
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let _ = self.bench.tool("gpgconf", &["--homedir", "home", "--kill", "all"]).output();
    }
}

impl Gpg {
    fn new() -> Self {
        let bench = Bench::new();
        fs::create_dir(bench.path("home")).unwrap();
        fs::set_permissions(bench.path("home"), fs::Permissions::from_mode(0o700)).unwrap();
        Self { bench }
    }

    fn command(&self, passphrase: &str, args: &[&str]) -> Command {
        let usual = [
            "--homedir",
            "home",
            "--batch",
            "--yes",
            "--no-tty",
            "--quiet",
            "--trust-model",
            "always",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            passphrase,
        ];
        self.bench.tool("gpg", &[&usual[..], args].concat())
    }

    #[track_caller]
    fn run(&self, passphrase: &str, args: &[&str]) -> Output {
        succeeded(self.command(passphrase, args))
    }

    /// A new key of `gpg`, and its fingerprint.
    #[track_caller]
    fn key(&self, name: &str, passphrase: &str, args: &[&str]) -> String {
        self.run(passphrase, &[&["--quick-gen-key", name], args].concat());
        let listed = self.run("", &["--with-colons", "--list-keys", name]).stdout;
        let listed = String::from_utf8(listed).unwrap();
        let line = listed.lines().find(|line| line.starts_with("fpr:")).unwrap();
        line.split(':').nth(9).unwrap().to_owned()
    }

    #[track_caller]
    fn export(&self, name: &str, passphrase: &str, args: &[&str]) {
        let bytes = self.run(passphrase, args).stdout;
        self.bench.write(name, bytes);
    }

    /// Signs, and has gpg and gpgv judge it, with nothing but what the release brings.
    #[track_caller]
    fn takes(&self, signer: &dyn Signer) {
        let bench = &self.bench;
        bench.sign(signer);
        // Each with keys of its own.
        let home = bench.path("judge");
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        let judge = |args: &[&str]| {
            let usual = ["--homedir", "judge", "--batch", "--trust-model", "always"];
            bench.tool("gpg", &[&usual[..], args].concat())
        };
        succeeded(judge(&["--import", "openpgp.asc"]));
        succeeded(judge(&["--verify", "SHA256SUMS.gpg", NAME]));
        // Debian's archive keyrings, and those of systemd, are not armored.
        succeeded(judge(&["--yes", "-o", "ring.gpg", "--dearmor", "openpgp.asc"]));
        bench.run("gpgv", &["--keyring", "./ring.gpg", "SHA256SUMS.gpg", NAME]);
        bench.write("changed", [SUMS, b"x"].concat());
        let said = failed(judge(&["--verify", "SHA256SUMS.gpg", "changed"]));
        assert!(said.contains("BAD signature"), "{said}");
        bench.refuses("gpgv", &["--keyring", "./ring.gpg", "SHA256SUMS.gpg", "changed"]);
        let _ = bench.tool("gpgconf", &["--homedir", "judge", "--kill", "all"]).output();
        fs::remove_dir_all(&home).unwrap();
    }
}

#[test]
fn keys_of_gpg_sign_and_it_takes_the_signatures() {
    let gpg = Gpg::new();
    let other = gpg.bench.generate("other", SignatureScheme::Openpgp, None);
    for (kind, passphrase) in
        [("ed25519", ""), ("ed25519", PASSPHRASE), ("rsa3072", ""), ("nistp256", PASSPHRASE)]
    {
        let name = format!("{kind}-{}", passphrase.len());
        let id = gpg.key(&name, passphrase, &[kind, "sign", "never"]);
        gpg.export("binary", passphrase, &["--export-secret-keys", &id]);
        gpg.export("armored", passphrase, &["--armor", "--export-secret-keys", &id]);
        for file in ["binary", "armored"] {
            let given = Some(passphrase).filter(|text| !text.is_empty());
            let signer = gpg.bench.load(file, given);
            assert_eq!(signer.key_id(), id);
            holds(&*signer, &other);
            if file == "armored" {
                gpg.takes(&*signer);
            }
        }
        if !passphrase.is_empty() {
            let why = gpg.bench.why_not("armored", Some("wrong"));
            assert!(why.ends_with("the passphrase is wrong"), "{why}");
            let why = gpg.bench.why_not("armored", None);
            assert!(why.contains("is encrypted: no passphrase"), "{why}");
        }
    }
}

#[test]
fn signatures_of_gpg_are_good() {
    let gpg = Gpg::new();
    for kind in ["ed25519", "rsa3072"] {
        let id = gpg.key(kind, "", &[kind, "sign", "never"]);
        gpg.export("public", "", &["--armor", "--export", &id]);
        let key = PublicKey::read(&gpg.bench.path("public")).unwrap();
        assert_eq!(key.key_id(), id);
        let sign = |args: &[&str]| {
            let usual = ["-u", &id, "-o", "signature", "--detach-sign"];
            gpg.run("", &[args, &usual, &[NAME]].concat());
            key.verify(NAME, SUMS, &gpg.bench.read("signature"))
        };
        let verified = sign(&[]).unwrap();
        assert!(verified.time.is_some_and(|time| time > EPOCH));
        sign(&["--armor"]).unwrap();
        sign(&["--digest-algo", "SHA256"]).unwrap();
        for (args, why) in [
            (&["--textmode"][..], "not one of bytes"),
            (&["--default-sig-expire", "7"], "the signature expires"),
            (&["--set-notation", "!a@example.org=b"], "critical"),
        ] {
            let refused = sign(args).unwrap_err().to_string();
            assert!(refused.contains(why), "{args:?}: {refused}");
        }
    }
    let sha1 = ["-u", "rsa3072", "-o", "signature", "--digest-algo", "SHA1", "--detach-sign", NAME];
    gpg.run("", &sha1);
    let key = PublicKey::read(&gpg.bench.path("public")).unwrap();
    let refused = key.verify(NAME, SUMS, &gpg.bench.read("signature")).unwrap_err().to_string();
    assert!(refused.contains("too weak"), "{refused}");
}

#[test]
fn subkeys_sign_where_there_are_some() {
    let gpg = Gpg::new();
    let id = gpg.key("two", PASSPHRASE, &["ed25519", "cert", "never"]);
    gpg.export("certifies", PASSPHRASE, &["--export-secret-keys", &id]);
    let why = gpg.bench.why_not("certifies", None);
    assert!(why.contains(&format!("the key {id} is not meant for signing files")), "{why}");

    gpg.run(PASSPHRASE, &["--quick-add-key", &id, "cv25519", "encr", "never"]);
    gpg.run(PASSPHRASE, &["--quick-add-key", &id, "ed25519", "sign", "never"]);
    gpg.export("whole", PASSPHRASE, &["--armor", "--export-secret-keys", &id]);
    // What people give to CI: the primary key is not in it.
    gpg.export("subkeys", PASSPHRASE, &["--armor", "--export-secret-subkeys", &id]);
    let other = gpg.bench.generate("other", SignatureScheme::Openpgp, None);
    let signatures = ["whole", "subkeys"].map(|file| {
        let signer = gpg.bench.load(file, Some(PASSPHRASE));
        assert_eq!(signer.key_id(), id);
        holds(&*signer, &other);
        gpg.takes(&*signer);
        gpg.bench.read("SHA256SUMS.gpg")
    });
    assert_eq!(signatures[0], signatures[1]);
    // The primary key alone: the secret of the subkey that gpg would take is not in it.
    gpg.export("public", "", &["--export", &id]);
    let why = gpg.bench.why_not("public", None);
    assert!(why.contains("a public key of OpenPGP; `gpg --export-secret-keys`"), "{why}");
}

#[test]
fn keys_that_are_none_any_more_are_refused() {
    let gpg = Gpg::new();
    // Made and used in 2020, for one year.
    let then = ["--faked-system-time", "20200101T000000!"];
    let listed = |name: &str| {
        let listed = gpg.run("", &["--with-colons", "--list-keys", name]).stdout;
        let listed = String::from_utf8(listed).unwrap();
        let line = listed.lines().find(|line| line.starts_with("fpr:")).unwrap().to_owned();
        line.split(':').nth(9).unwrap().to_owned()
    };
    gpg.run("", &[&then[..], &["--quick-gen-key", "old", "ed25519", "sign", "1y"]].concat());
    let id = listed("old");
    gpg.export("expired", "", &["--export-secret-keys", &id]);
    let why = gpg.bench.why_not("expired", None);
    assert!(why.contains(&format!("the key {id} expired at 2020-12-3")), "{why}");
    // What it signed in its time is good.
    gpg.export("public", "", &["--export", &id]);
    let key = PublicKey::read(&gpg.bench.path("public")).unwrap();
    let sign = |time: &str| {
        let args = ["--faked-system-time", time, "--ignore-time-conflict", "-o", "signature"];
        gpg.run("", &[&args[..], &["-u", &id, "--detach-sign", NAME]].concat());
        key.verify(NAME, SUMS, &gpg.bench.read("signature"))
    };
    assert_eq!(sign("20200201T000000!").unwrap().time, Some(1_580_515_200));

    let revoked = gpg.key("revoked", "", &["ed25519", "sign", "never"]);
    let certificate = format!("home/openpgp-revocs.d/{revoked}.rev");
    let text = String::from_utf8(gpg.bench.read(&certificate)).unwrap();
    gpg.run("", &["-u", &revoked, "-o", "signature", "--detach-sign", NAME]);
    gpg.bench.write("certificate", text.replace(":-----BEGIN", "-----BEGIN"));
    gpg.run("", &["--import", "certificate"]);
    gpg.export("gone", "", &["--export-secret-keys", &revoked]);
    let why = gpg.bench.why_not("gone", None);
    assert!(why.contains(&format!("the key {revoked} is revoked")), "{why}");
    gpg.export("public", "", &["--export", &revoked]);
    let key = PublicKey::read(&gpg.bench.path("public")).unwrap();
    let refused = key.verify(NAME, SUMS, &gpg.bench.read("signature")).unwrap_err();
    assert_eq!(refused.to_string(), format!("the key {revoked} is revoked"));
}

#[test]
fn gpg_signs_with_keys_of_ours() {
    let gpg = Gpg::new();
    for passphrase in [None, Some(PASSPHRASE)] {
        let file = if passphrase.is_some() { "sealed" } else { "plain" };
        let public = gpg.bench.generate(file, SignatureScheme::Openpgp, passphrase);
        let signer = gpg.bench.load(file, passphrase);
        gpg.takes(&*signer);
        // The epoch is before the key was made: then the time is when it was made.
        let signature = gpg.bench.read("SHA256SUMS.gpg");
        let made = public.verify(NAME, SUMS, &signature).unwrap().time.unwrap();
        assert!(made > EPOCH);
        assert_eq!(signer.sign(NAME, SUMS, None).unwrap().bytes, signature);
        let later = signer.sign(NAME, SUMS, Some(made + 5)).unwrap();
        assert_eq!(public.verify(NAME, SUMS, &later.bytes).unwrap().time, Some(made + 5));
        let far = chain(&signer.sign(NAME, SUMS, Some(1 << 32)).unwrap_err());
        assert!(far.contains("after 2106"), "{far}");

        let passphrase = passphrase.unwrap_or("");
        gpg.run(passphrase, &["--import", file]);
        let id = public.key_id();
        gpg.run(passphrase, &["-u", &id, "-o", "signature", "--detach-sign", NAME]);
        public.verify(NAME, SUMS, &gpg.bench.read("signature")).unwrap();
        let listed = String::from_utf8(gpg.run("", &["--list-keys", &id]).stdout).unwrap();
        assert!(listed.contains("Rök & Co") && listed.contains("[SC]"), "{listed}");
        assert!(!listed.contains("expires"), "{listed}");
    }
}
