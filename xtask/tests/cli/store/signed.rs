//! Signatures that real Nix makes, of every version, with keys that it makes for the test.

use std::{fs, path::Path, process::Stdio};

use image_model::{Trust, VerificationReport};

use super::{Kind, Project, Ran, by_name, findings, nix, store, tree::Tree, verify, versions};
use crate::common::which;

/// A pair of keys.
struct Key {
    secret: String,
    public: String,
}

impl Key {
    fn new(version: &Path, name: &str) -> Self {
        let command = |args: &[&str]| {
            let mut command = nix(version);
            command.args(["--extra-experimental-features", "nix-command", "key"]).args(args);
            command
        };
        let secret = Ran::of(&mut command(&["generate-secret", "--key-name", name])).exits(0).out;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        fs::write(&file, &secret).unwrap();
        let mut convert = command(&["convert-secret-to-public"]);
        convert.stdin(Stdio::from(fs::File::open(&file).unwrap()));
        Self { secret, public: Ran::of(&mut convert).exits(0).out.trim_end().to_owned() }
    }

    /// Signs all that a tree has registered.
    fn sign(&self, version: &Path, tree: &Tree) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        fs::write(&file, &self.secret).unwrap();
        let mut command = nix(version);
        command.args(["--extra-experimental-features", "nix-command", "store", "sign", "--all"]);
        command.args(["--option", "build-users-group", "", "--key-file"]).arg(file);
        Ran::of(command.arg("--store").arg(tree.root()).env("HOME", dir.path())).exits(0);
    }
}

/// The paths that Nix does not trust, by these keys.
fn untrusted(tree: &Tree, keys: &str) -> Vec<String> {
    let mut command = nix(&which("nix", "nix-bin"));
    command.args(["--extra-experimental-features", "nix-command", "store", "verify", "--all"]);
    command.args(["--no-contents", "--option", "build-users-group", "", "--store"]);
    command.arg(tree.root()).args(["--option", "trusted-public-keys", keys]);
    let home = tempfile::tempdir().unwrap();
    let ran = Ran::of(command.env("HOME", home.path()));
    let lines = ran.err.lines().filter(|line| line.contains("is untrusted"));
    let paths: Vec<_> = lines.map(|line| line.split('\'').nth(1).unwrap().to_owned()).collect();
    assert_eq!(ran.code == Some(0), paths.is_empty(), "{ran:#?}");
    paths
}

#[test]
fn what_nix_signs_is_proven_and_what_was_changed_later_is_not() {
    let project = Project::new();
    let tree = Tree::of(Kind::Wsl, &Kind::Wsl.image());
    let keys: Vec<_> = versions()
        .iter()
        .enumerate()
        .map(|(number, version)| {
            let key = Key::new(version, &format!("test-{number}"));
            key.sign(version, &tree);
            key
        })
        .collect();
    let image = project.path("signed.wsl");
    tree.pack(&image);

    // Who signed, as far as their keys are trusted; the names of the keys are in this order.
    let trusted = |keys: &[&Key]| -> String {
        keys.iter().map(|key| &*key.public).collect::<Vec<_>>().join(" ")
    };
    let all: Vec<_> = keys.iter().collect();
    for some in [&all[..], &all[1..2]] {
        let (ran, report) = verify(&project, &image, &["--trusted-public-keys", &trusted(some)]);
        ran.exits(0);
        assert_eq!(findings(&report), [""; 0]);
        let name = |key: &&Key| key.public.split_once(':').unwrap().0.to_owned();
        let names: Vec<_> = some.iter().map(name).collect();
        assert_eq!(store(&report).trusted_keys, names);
        assert_eq!(untrusted(&tree, &trusted(some)), [""; 0]);
        for path in &store(&report).paths {
            assert_eq!(path.trust, Trust::Signed { by: names.clone() }, "{path:?}");
            assert_eq!(path.signatures.len(), keys.len(), "{path:?}");
        }
    }

    // Nobody whom we trust.
    let stranger = Key::new(&versions()[0], "stranger-1");
    let (ran, report) = verify(&project, &image, &["--trusted-public-keys", &stranger.public]);
    ran.exits(0);
    let signed = |path: &&image_model::StorePath| matches!(path.trust, Trust::Signed { .. });
    let trusts_nothing = |keys: &str, report: &VerificationReport| {
        assert_eq!(store(report).paths.iter().find(signed), None);
        // Whose name follows from their content need no signature.
        let others = store(report).paths.iter().filter(|path| path.content_address.is_none());
        assert_eq!(untrusted(&tree, keys).len(), others.count());
    };
    trusts_nothing(&stranger.public, &report);

    // Somebody who calls their key like one that we trust.
    let impostor = Key::new(&versions()[0], "test-0");
    let (ran, report) = verify(&project, &image, &["--trusted-public-keys", &impostor.public]);
    ran.exits(1);
    assert!(findings(&report).iter().all(|told| told.starts_with("store-signature: ")));
    trusts_nothing(&impostor.public, &report);

    // A path that was changed, and registered again as it is now: Nix would not know.
    let path = tree.path("refers-to-nothing");
    tree.rewrite(&tree.file("refers-to-nothing/nothing"), |_| b"something\n".to_vec());
    let dir = tree.root().join(&path[1..]);
    let archive = nix(&which("nix-store", "nix-bin")).arg("--dump").arg(&dir).output().unwrap();
    assert!(archive.status.success());
    let mut hash = nix(&which("nix-hash", "nix-bin"));
    let hash = Ran::of(hash.args(["--type", "sha256"]).arg(&dir)).exits(0).out;
    let sql = "update ValidPaths set hash = 'sha256:' || ?2, narSize = ?3 where path = ?1";
    let database = tree.database();
    let size = i64::try_from(archive.stdout.len()).unwrap();
    database.execute(sql, (&path, hash.trim_end(), size)).unwrap();
    drop(database);
    let image = project.path("forged.wsl");
    tree.pack(&image);
    assert!(tree.nix_verify().content);
    let (ran, report) = verify(&project, &image, &["--trusted-public-keys", &trusted(&all)]);
    ran.exits(1);
    let told = findings(&report);
    let is_told = |line: &String| {
        line.starts_with("store-signature: ") && line.contains("-refers-to-nothing")
    };
    assert!(!told.is_empty() && told.iter().all(is_told), "{told:#?}");
    assert_eq!(untrusted(&tree, &trusted(&all)), [path]);
    let known = by_name(store(&report));
    assert!(!signed(&known["refers-to-nothing"]), "{:?}", known["refers-to-nothing"]);
    assert!(signed(&known["refers-to-itself"]), "{:?}", known["refers-to-itself"]);
}
