//! Signatures by real Nix, of three releases: what it signs, and what it tells of paths.

#[path = "support/rig.rs"]
mod rig;

use std::fs;

use image_formats::nix::{PublicKey, signature::Signature};
use image_formats::nix::{base32, signature};
use image_host::tool::Tool;
use image_nix::{Nix, Options};
use rig::{Rig, each_release};

each_release! {
    Signing:
    what_nix_signs_verifies
    paths_that_the_store_has_not_are_left_out
}

/// A store whose paths are called `/nix/store/…`, and two keys.
struct Signing {
    rig: Rig,
    tool: Tool,
    nix: Nix,
    options: Options,
    /// Two files, the second of which names the first.
    paths: [String; 2],
}

impl Signing {
    fn new(release: &str) -> Self {
        let rig = Rig::new(release);
        let tool = Tool::at(rig.nix.program())
            .env("NIX_CONF_DIR", rig.path("etc"))
            .env("NIX_USER_CONF_FILES", "/dev/null")
            .env("XDG_CACHE_HOME", rig.path("cache-of-root"));
        let options =
            Options { store: Some(rig.path("root").display().to_string()), ..Options::default() };
        let nix = Nix::with(tool.clone()).unwrap();
        let mut signing = Self { rig, tool, nix, options, paths: Default::default() };
        for name in ["one", "two"] {
            let secret = signing.run(&["key", "generate-secret", "--key-name", name]);
            fs::write(signing.rig.path(name), secret).unwrap();
        }
        // References as Nix finds them, without a builder.
        let text = "builtins.toFile \"two\" \"${builtins.toFile \"one\" \"1\"}\"";
        let store = signing.options.store.clone().unwrap();
        let two = signing.run(&["eval", "--store", &store, "--raw", "--expr", text]);
        let one = fs::read_to_string(signing.rig.path("root").join(&two[1..])).unwrap();
        signing.paths = [one, two];
        signing
    }

    /// What a command says.
    fn run(&self, args: &[&str]) -> String {
        let features = ["--extra-experimental-features", "nix-command flakes"];
        let run = self.tool.run(features.iter().chain(args));
        String::from_utf8(run.output().unwrap()).unwrap()
    }

    fn sign(&self, key: &str, path: &str) {
        let key = self.rig.path(key).display().to_string();
        let store = self.options.store.as_deref().unwrap();
        self.run(&["store", "sign", "--store", store, "--key-file", &key, path]);
    }

    /// The public half of a key.
    fn public(&self, key: &str) -> PublicKey {
        let secret = fs::File::open(self.rig.path(key)).unwrap();
        let output = std::process::Command::new(self.nix.program())
            .args(["--extra-experimental-features", "nix-command"])
            .args(["key", "convert-secret-to-public"])
            .env("NIX_CONF_DIR", self.rig.path("etc"))
            .stdin(secret)
            .output();
        PublicKey::parse(str::from_utf8(&output.unwrap().stdout).unwrap().trim()).unwrap()
    }
}

fn what_nix_signs_verifies(signing: &Signing) {
    let [one, two] = &signing.paths;
    signing.sign("one", one);
    signing.sign("one", two);
    signing.sign("two", two);
    let infos = signing.nix.known_paths(&[two, one], &signing.options).unwrap();
    let of = |path: &str| infos.iter().find(|info| info.path == path).unwrap();
    let names = |path: &str| -> Vec<_> {
        let signatures = &of(path).signatures;
        signatures.iter().map(|text| Signature::key_of(text).unwrap()).collect()
    };
    assert_eq!((infos.len(), names(one), names(two)), (2, vec!["one"], vec!["one", "two"]));

    let [key, other] = ["one", "two"].map(|name| signing.public(name));
    for (path, references) in [(one, vec![]), (two, vec![one.as_bytes()])] {
        let info = of(path);
        let text = signing.run(&[
            "hash",
            "to-base32",
            "--type",
            "sha256",
            info.nar_hash.as_deref().unwrap(),
        ]);
        let hash = base32::decode(text.trim().as_bytes()).unwrap();
        let size = info.nar_size.unwrap();
        let message = |hash, size, references: &[&[u8]]| {
            signature::fingerprint(path.as_bytes(), hash, size, references.iter().copied()).unwrap()
        };
        let good = message(&hash, size, &references);
        let by = Signature::parse(&info.signatures[0]).unwrap();
        assert!(key.verifies(&good, &by), "{}", good.escape_ascii());
        assert!(!other.verifies(&good, &by));
        let mut changed = hash;
        changed[0] ^= 1;
        assert!(!key.verifies(&message(&changed, size, &references), &by));
        assert!(!key.verifies(&message(&hash, size + 8, &references), &by));
        let more = [&references[..], &[two.as_bytes()]].concat();
        assert!(!key.verifies(&message(&hash, size, &more), &by));
    }
}

fn paths_that_the_store_has_not_are_left_out(signing: &Signing) {
    let [one, _] = &signing.paths;
    let absent = "/nix/store/s66mzxpvicwk07gjbjfw9izjfa797vsw-hello-2.12.1";
    let ask = |paths: &[&str], options: &Options| signing.nix.known_paths(paths, options).unwrap();
    let infos = ask(&[absent, one, "/nix/store", "github:o/r"], &signing.options);
    assert_eq!(infos.iter().map(|info| info.path.as_str()).collect::<Vec<_>>(), [one]);
    assert!(!infos[0].built_here, "{infos:?}");
    // More than one command takes.
    let many: Vec<_> = (0..4000).map(|i| format!("{absent}-{i:04}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert_eq!(ask(&many, &signing.options), []);
    // Of a store that is called something else, nothing is known, which is no error.
    assert_eq!(signing.rig.nix.known_paths(&[absent], &Options::default()).unwrap(), []);
    let nowhere =
        Options { store: Some("ssh-ng://nobody@nowhere.invalid".to_owned()), ..Options::default() };
    let error = signing.nix.known_paths(&many, &nowhere).unwrap_err().to_string();
    assert_eq!(error, "nix path-info");
}
