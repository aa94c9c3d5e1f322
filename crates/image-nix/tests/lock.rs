//! Lock files beside a flake, with real Nix: one image moves, and the other stays what it was.

#[path = "support/folders.rs"]
mod folders;
#[path = "support/git.rs"]
mod git;
#[path = "support/rig.rs"]
mod rig;

use std::{fs, path::Path};

use image_nix::{
    Failure, FlakeRef, LockFile, NixError, Options, UpdateRequest, lock, read_lock,
    store::FlakeMetadata,
};
use rig::{RELEASES, Rig, each_release, workspace};

each_release! {
    Project:
    one_image_moves_and_the_other_stays
    a_lock_is_needed_by_nobody_else
    other_bytes_are_refused
    a_lock_that_lacks_an_input_is_refused
    a_store_elsewhere_only_builds
}

/// A lock file that lacks an input of `nix/flake.nix`, or has another source for one, is refused by
/// whoever builds its image. `cargo xtask lock update IMAGE` brings it up to date.
#[test]
fn the_locks_of_this_repository_fit_its_flake() {
    let nix = workspace().join("nix");
    let mut locks = vec![nix.join("flake.lock")];
    let entries = fs::read_dir(nix.join("locks")).unwrap();
    locks.extend(entries.map(|entry| entry.unwrap().path()));
    assert!(locks.len() > 1);
    for release in [RELEASES[0], RELEASES[2]] {
        let rig = Rig::new(release);
        let folder = rig.empty("flake");
        fs::copy(nix.join("flake.nix"), folder.join("flake.nix")).unwrap();
        for (number, lock) in locks.iter().enumerate() {
            let work = rig.empty(&number.to_string());
            let flake = FlakeRef::folder(&folder).locked_by(Some(lock.clone()));
            let options = Options::default();
            // Nix before 2.15 is asked in two steps, the first of which would go looking.
            if rig.nix.version().has_reference_lock() {
                let metadata = rig.nix.metadata(&flake, &options).unwrap();
                assert!(metadata.inputs.contains_key("nixpkgs"), "{}", lock.display());
            }
            fs::copy(lock, folder.join("flake.lock")).unwrap();
            let metadata = rig.nix.metadata(&flake, &options).unwrap();
            rig.nix.in_force(&flake, &metadata, &options, &work).unwrap();
            fs::remove_file(folder.join("flake.lock")).unwrap();
        }
    }
}

/// A flake in the folder `nix` of a repository, its inputs, and the Nix that reads them. `b` has an
/// input `c`, and one that follows.
struct Project {
    rig: Rig,
    options: Options,
}

impl Project {
    fn new(release: &str) -> Self {
        let settings = [("flake-registry", ""), ("connect-timeout", "1")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let options = Options { settings, ..Options::default() };
        let project = Self { rig: Rig::new(release), options };
        let dir = project.rig.dir.path().display().to_string();
        for (input, rest) in [
            ("a", "outputs = { self }: { text = \"a 1\"; };".to_owned()),
            ("c", "outputs = { self }: { text = \"c 1\"; };".to_owned()),
            (
                "b",
                format!(
                    "inputs.c.url = \"path:{dir}/c\"; inputs.a.url = \"path:{dir}/a\";
                     outputs = {{ self, a, c }}: {{ text = \"b 1, \" + a.text + c.text; }};"
                ),
            ),
        ] {
            project.rig.write(&format!("{input}/flake.nix"), &format!("{{ {rest} }}"));
        }
        project.rig.write(
            "repository/nix/flake.nix",
            &format!(
                r#"{{
                    inputs.a.url = "path:{dir}/a";
                    inputs.b.url = "path:{dir}/b";
                    inputs.b.inputs.a.follows = "a";
                    outputs = {{ self, a, b }}: {{
                      image = derivation {{
                        name = "image"; builder = "/bin/sh"; system = "x86_64-linux";
                        module = ../module; texts = [ a.text b.text ]; commit = self.rev;
                        source = builtins.toJSON (removeAttrs self.sourceInfo [ "submodules" ]);
                      }};
                    }};
                  }}"#
            ),
        );
        project.rig.write("repository/module", "shared by all images");
        project.rig.commit_all("repository");
        project
    }

    /// An input is another one from now on.
    fn change(&self, input: &str) {
        let path = self.rig.path(&format!("{input}/flake.nix"));
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace(&format!("{input} 1"), &format!("{input} 2"))).unwrap();
    }

    fn flake(&self, lock: Option<&Path>) -> FlakeRef {
        FlakeRef::new("./repository/nix", self.rig.dir.path()).locked_by(lock.map(Path::to_owned))
    }

    /// The text of the lock file `start` with `inputs` moved.
    fn moved(&self, start: Option<&Path>, inputs: &[&str]) -> String {
        let request = UpdateRequest {
            flake: self.flake(start),
            inputs: inputs.iter().map(|input| input.to_string()).collect(),
            work: self.rig.empty("work"),
            options: self.options.clone(),
        };
        let mut said = Vec::new();
        let text = self.rig.nix.update_lock(&request, &mut |event| said.push(event));
        let said = format!("{said:?}");
        assert!(!said.contains("flake.lock") && !said.contains("modified lock file"), "{said}");
        text.unwrap()
    }

    /// The flake in which the lock file is that of a generated one.
    fn around(&self, lock: &Path) -> FlakeRef {
        let flake = self.flake(Some(lock));
        let metadata = self.rig.nix.metadata(&flake, &self.options).unwrap();
        self.rig.nix.complete(&flake, &metadata, &self.rig.empty("work")).unwrap()
    }

    /// What the factory evaluates, and tells of.
    fn in_force(&self, lock: &Path) -> Result<(FlakeRef, FlakeMetadata), NixError> {
        let (nix, flake) = (&self.rig.nix, self.flake(Some(lock)));
        let metadata = nix.metadata(&flake, &self.options)?;
        Ok((nix.in_force(&flake, &metadata, &self.options, &self.rig.empty("work"))?, metadata))
    }

    fn image(&self, flake: &FlakeRef) -> Result<String, Failure> {
        let image = self.rig.nix.eval(flake, "image", "image: image.drvPath", &self.options);
        image
            .map(|path| path.as_str().unwrap().to_owned())
            .map_err(|error| error.failure().unwrap_or_else(|| panic!("{error:?}")).clone())
    }

    /// The derivation of the image with that lock file, the same by both ways.
    fn derivation(&self, lock: &Path) -> String {
        let derivation = self.image(&self.around(lock)).unwrap();
        let flake = self.in_force(lock).unwrap().0;
        assert_eq!(flake.lock.is_some(), self.rig.nix.version().has_reference_lock());
        assert_eq!(self.image(&flake).unwrap(), derivation);
        derivation
    }
}

/// The inputs that moved.
fn changes(from: &str, to: &str) -> Vec<String> {
    let read = |text| LockFile::parse(text).unwrap();
    let changes = lock::diff(&read(from), &read(to));
    changes.iter().map(|change| change.input().to_owned()).collect()
}

fn one_image_moves_and_the_other_stays(project: &Project) {
    let (one, two) = (project.rig.path("one.lock"), project.rig.path("two.lock"));
    let first = project.moved(None, &[]);
    fs::write(&one, &first).unwrap();
    fs::write(&two, &first).unwrap();
    let derivation = project.derivation(&one);
    assert_eq!(project.derivation(&two), derivation);

    project.change("a");
    project.change("c");
    // What changed is not what is locked.
    assert_eq!(project.derivation(&one), derivation);
    let second = project.moved(Some(&one), &["a"]);
    assert_eq!(changes(&first, &second), ["a"]);
    fs::write(&one, &second).unwrap();
    let moved = project.derivation(&one);
    assert_ne!(moved, derivation);
    assert_eq!(project.derivation(&two), derivation);

    // An input of an input, and all that is left.
    assert_eq!(changes(&second, &project.moved(Some(&one), &["b/c"])), ["b/c"]);
    assert_eq!(changes(&first, &project.moved(Some(&two), &["b/c", "a"])), ["a", "b/c"]);
    let third = project.moved(Some(&one), &[]);
    assert_eq!(changes(&second, &third), ["b/c"]);
    assert_eq!(project.moved(Some(&one), &[]), third);
    // The lock file is no part of what it locks, and the flake was never written to.
    assert_eq!(project.derivation(&two), derivation);
    assert!(project.rig.git("repository", &["status", "--porcelain", "--ignored"]).is_empty());
}

/// A flake whose own lock is out of date is built with that of the image all the same, and the
/// manifest tells of that one.
fn a_lock_is_needed_by_nobody_else(project: &Project) {
    let own = project.rig.path("own.lock");
    fs::write(&own, project.moved(None, &[])).unwrap();
    let before = project.derivation(&own);
    let empty = r#"{ "nodes": { "root": {} }, "root": "root", "version": 7 }"#;
    project.rig.write("repository/nix/flake.lock", empty);
    project.rig.git("repository", &["add", "."]);
    let metadata = project.in_force(&own).unwrap().1;
    assert_eq!(metadata.inputs.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(LockFile::from_json(metadata.locks).unwrap(), read_lock(&own).unwrap());
    project.rig.git("repository", &["rm", "--quiet", "--force", "nix/flake.lock"]);
    assert_eq!(project.derivation(&own), before);

    // Nix takes a file that is not there for an empty one, and says that it lacks everything.
    assert!(project.in_force(&project.rig.path("absent.lock")).is_err());
}

fn other_bytes_are_refused(project: &Project) {
    let lock = project.rig.path("own.lock");
    let text = project.moved(None, &["a"]);
    let hash = text.split("\"narHash\": \"").nth(1).unwrap().split('"').next().unwrap();
    let other = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    fs::write(&lock, text.replace(hash, other)).unwrap();
    let around = project.image(&project.around(&lock));
    let in_force = project.image(&project.in_force(&lock).unwrap().0);
    for failure in [around.unwrap_err(), in_force.unwrap_err()] {
        let Failure::HashMismatch { what, specified, got } = &failure else {
            panic!("{failure:?}");
        };
        assert!(what.contains(&project.rig.path("a").display().to_string()), "{failure:?}");
        let mut hashes = [specified.as_str(), got.as_str()];
        hashes.sort_unstable();
        assert_eq!(hashes, [other, hash], "{failure:?}");
    }
}

fn a_lock_that_lacks_an_input_is_refused(project: &Project) {
    let lock = project.rig.path("own.lock");
    let mut json: serde_json::Value = serde_json::from_str(&project.moved(None, &[])).unwrap();
    json["nodes"]["root"]["inputs"].as_object_mut().unwrap().remove("b");
    fs::write(&lock, json.to_string()).unwrap();
    let error = project.in_force(&lock).unwrap_err();
    assert!(matches!(error, NixError::LockDoesNotFit { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("own.lock does not fit the flake") && text.contains("lock update"));
}

/// `--store ssh-ng://HOST`: the flake is evaluated here, so its files are here.
fn a_store_elsewhere_only_builds(project: &Project) {
    let lock = project.rig.path("own.lock");
    fs::write(&lock, project.moved(None, &[])).unwrap();
    let here = project.in_force(&lock).unwrap().0;
    let here = project.image(&here).unwrap();
    let options = Options { store: Some("ssh-ng://nowhere".to_owned()), ..project.options.clone() };
    let (nix, flake) = (&project.rig.nix, project.flake(Some(&lock)));
    let mut said = Vec::new();
    let metadata = nix.lock(&flake, &options, &mut |event| said.push(event)).unwrap();
    // What the flake has no lock of is nobody's concern.
    assert!(!format!("{said:?}").contains("lock file"), "{said:?}");
    let flake = nix.in_force(&flake, &metadata, &options, &project.rig.empty("work")).unwrap();
    assert_eq!(project.image(&flake).unwrap(), here);
}
