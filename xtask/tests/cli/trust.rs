//! Who vouches for the store paths of an image, and whether it is the one of its manifest: with keys
//! and signatures of real Nix, and on a machine without it.

use std::{fs, path::PathBuf, process::Command};

use image_model::{Manifest, StorePath, Trust, VerificationReport};

use crate::{
    common::{Project, Ran, which},
    nix::tests_dir,
};

/// The folder that a tool of the tests makes.
fn tool(name: &str) -> PathBuf {
    PathBuf::from(
        Ran::of(&mut Command::new(tests_dir().join("tools").join(name))).exits(0).out.trim_end(),
    )
}

/// A project, a Nix whose store has what is in the images, and two keys.
struct Rig {
    project: Project,
    image: PathBuf,
    /// The paths that are signed: the first by one key, the second by both.
    signed: [String; 2],
}

const SIGNED: [&str; 2] = ["-hello-1.0", "-libc-1.0"];

impl Rig {
    fn new() -> Self {
        which("nix", "nix-bin");
        let project = Project::new();
        let image = tool("closure-images.sh").join("good.wsl");
        let mut copy = Command::new("cp");
        copy.args(["-r", "--preserve=mode,timestamps,links"])
            .arg(tool("build-closure.sh").join("root"));
        Ran::of(copy.arg(project.path("root"))).exits(0);
        let conf = "build-users-group =\nsubstituters =\nexperimental-features = nix-command\n";
        fs::write(project.path("nix.conf"), conf).unwrap();
        let mut rig = Self { project, image, signed: Default::default() };
        for name in ["one-1", "two-1"] {
            let secret = rig.nix(&["key", "generate-secret", "--key-name", name]);
            fs::write(rig.project.path(name), secret).unwrap();
        }
        let all = rig.nix(&["path-info", "--all"]);
        rig.signed =
            SIGNED.map(|name| all.lines().find(|path| path.ends_with(name)).unwrap().to_owned());
        let [one, two] = rig.signed.clone();
        for (key, path) in [("one-1", &one), ("one-1", &two), ("two-1", &two)] {
            let key = rig.project.path(key).display().to_string();
            rig.nix(&["store", "sign", "--key-file", &key, path]);
        }
        rig
    }

    /// The environment of a machine with Nix.
    fn with_nix<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        let root = self.project.path("root");
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("NIX_REMOTE", root);
        command.env("NIX_CONF_DIR", self.project.dir.path()).env("NIX_USER_CONF_FILES", "/dev/null")
    }

    fn nix(&self, args: &[&str]) -> String {
        Ran::of(self.with_nix(Command::new("nix").args(args))).exits(0).out
    }

    /// The public half of a key.
    fn public(&self, name: &str) -> String {
        let mut command = Command::new("nix");
        command.args(["key", "convert-secret-to-public"]);
        command.stdin(fs::File::open(self.project.path(name)).unwrap());
        Ran::of(self.with_nix(&mut command)).exits(0).out.trim().to_owned()
    }

    fn verify(&self, has_nix: bool, args: &[&str]) -> (Ran, VerificationReport) {
        let mut command = self.project.command();
        command.args(["--format", "json", "verify", "--work", "."]).arg(&self.image).args(args);
        if has_nix {
            self.with_nix(&mut command);
        }
        let ran = Ran::of(&mut command);
        assert!(ran.code.is_some_and(|code| code < 2), "{ran:#?}");
        let report = serde_json::from_value(ran.json()["report"].clone()).unwrap();
        (ran, report)
    }
}

fn row<'r>(report: &'r VerificationReport, path: &str) -> &'r StorePath {
    report.stores[0].paths.iter().find(|row| row.path == path).unwrap()
}

fn by(names: &[&str]) -> Trust {
    Trust::Signed { by: names.iter().map(|name| (*name).to_owned()).collect() }
}

#[test]
fn signatures_of_the_nix_of_this_machine_count() {
    let rig = Rig::new();
    let [one, two] = &rig.signed;
    let keys = ["one-1", "two-1"].map(|name| rig.public(name));
    let (ran, report) = rig.verify(true, &["--trusted-public-keys", &keys.join(" ")]);
    ran.exits(0);
    assert_eq!(report.stores[0].trusted_keys, ["one-1", "two-1"]);
    assert_eq!(row(&report, one).trust, by(&["one-1"]));
    assert_eq!(row(&report, two).trust, by(&["one-1", "two-1"]));
    let count =
        |of: fn(&Trust) -> bool| report.stores[0].paths.iter().filter(|p| of(&p.trust)).count();
    assert_eq!(count(|trust| matches!(trust, Trust::Signed { .. })), 2);
    assert!(count(|trust| *trust == Trust::ContentAddressed) >= 5);

    // A list a flag is the same, and so is the configuration of Nix.
    let lists = ["--trusted-public-keys", &keys[0], "--trusted-public-keys", &keys[1]];
    assert_eq!(rig.verify(true, &lists).1, report);
    let conf = fs::read_to_string(rig.project.path("nix.conf")).unwrap();
    let conf = format!("{conf}trusted-public-keys = {}\n", keys.join(" "));
    fs::write(rig.project.path("nix.conf"), conf).unwrap();
    assert_eq!(rig.verify(true, &[]).1, report);

    // Nobody else's signature counts, and nobody else is asked.
    let (ran, report) = rig.verify(true, &["--trusted-public-keys", &keys[1]]);
    ran.exits(0);
    assert_eq!(
        (&row(&report, one).trust, &row(&report, two).trust),
        (&Trust::Unknown, &by(&["two-1"]))
    );
    let (ran, report) = rig.verify(false, &[]);
    ran.exits(0);
    assert_eq!(report.stores[0].trusted_keys, ["cache.nixos.org-1"]);
    assert_eq!(row(&report, two).trust, Trust::Unknown);

    // A key that took the name of another.
    let taken = keys[1].replacen("two-1", "one-1", 1);
    let (ran, report) = rig.verify(true, &["--trusted-public-keys", &taken]);
    ran.exits(1);
    let wrong: Vec<_> = report.findings.iter().filter(|f| f.check == "store-signature").collect();
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].message.ends_with(": the signature of one-1 is not for what is registered"));
}

#[test]
fn an_image_is_proven_by_its_manifest_without_nix() {
    let mut rig = Rig::new();
    let mut image = rig.project.command();
    image.args(["image", "wsl", "--from"]).arg(&rig.image);
    Ran::of(rig.with_nix(&mut image)).exits(0).says("paths, ").says("all as Nix registered them");
    let path = rig.project.path("dist/wsl/manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    let manifest: Manifest = serde_json::from_str(&text).unwrap();
    let file = format!("dist/wsl/{}", manifest.artifacts[0].file);
    rig.image = rig.project.path(&file);
    assert!(manifest.closure.len() > 50, "{}", manifest.closure.len());
    assert!(manifest.closure.is_sorted_by(|a, b| a.path < b.path));

    // It has the signatures, too, which the image has not.
    let [one, two] = rig.signed.clone();
    let key = rig.public("one-1");
    let flags = ["--manifest", "dist/wsl/manifest.json", "--trusted-public-keys", &key];
    let (ran, report) = rig.verify(false, &flags);
    ran.exits(0);
    assert_eq!(
        (&row(&report, &one).trust, &row(&report, &two).trust),
        (&by(&["one-1"]), &by(&["one-1"]))
    );
    for check in ["manifest-artifact", "manifest-closure"] {
        assert_eq!(report.outcomes[check], image_model::Outcome::Held);
    }

    // Another manifest.
    let recorded = manifest.closure.iter().find(|path| path.path == two).unwrap();
    let other = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let sha256 = manifest.artifacts[0].digests.sha256.to_string();
    let raw = manifest.artifacts[0].raw.sha256.to_string();
    let edits = [
        ("manifest-closure", text.replace(&recorded.nar_hash.to_string(), other), two.as_str()),
        ("manifest-closure", text.replace(&two, &(two.clone() + "x")), two.as_str()),
        (
            "manifest-artifact",
            text.replace(&sha256, &"0".repeat(64)).replace(&raw, &"0".repeat(64)),
            " in the manifest",
        ),
    ];
    for (check, edited, told) in edits {
        assert_ne!(edited, text);
        fs::write(&path, edited).unwrap();
        let (ran, report) = rig.verify(false, &flags[..2]);
        ran.exits(1);
        let found: Vec<_> = report.findings.iter().filter(|f| f.check == check).collect();
        assert!(found.iter().any(|f| f.message.contains(told)), "{check}: {:?}", report.findings);
    }

    let said = |args: &[&str]| rig.project.run(&[&["verify", &*file], args].concat()).exits(2);
    said(&["--manifest", "dist/wsl/verification.json"]).says("is no manifest that ");
    said(&["--manifest", "dist"]).says("dist is no regular file");
    said(&["--manifest", "nowhere.json"]).says("cannot read nowhere.json");
    said(&["--trusted-public-keys", "one-1:AAAA"])
        .says("\"one-1:AAAA\": one-1: not 32 bytes in base64");
}

#[test]
fn all_paths_are_printed() {
    let project = Project::new();
    let image = tool("closure-images.sh").join("good.iso");
    let image = image.to_str().unwrap();
    let text = project.run(&["verify", "--paths", image]).out;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines[0].split_whitespace().collect::<Vec<_>>().join(" "),
        "verdict NAR size NAR hash trust path"
    );
    let total = lines.iter().position(|line| line.starts_with("total: ")).unwrap();
    assert!(lines[1..total].iter().all(|line| line.starts_with("intact  ")), "{text}");
    assert!(lines[1..total].is_sorted_by_key(|line| line.rsplit(' ').next()), "{text}");
    let count = format!("total: {} paths, ", total - 1);
    assert!(lines[total].starts_with(&count), "{}", lines[total]);
    assert!(text.contains(&format!("\n  store {} paths, ", total - 1)), "{text}");
    // An image without a store has no paths.
    project.run(&["image", "wsl"]).exits(0);
    project.run(&["verify", "--paths", "dist/wsl/mini.wsl"]).exits(0).says("no Nix store was read");
    let manifest =
        project.run(&["verify", "dist/wsl/mini.wsl", "--manifest", "dist/wsl/manifest.json"]);
    manifest.exits(0);
}
