//! The flake around a flake, with real Nix: it evaluates to the same derivations as the flake
//! itself, and what it changes is what it was asked to change.

#[path = "support/folders.rs"]
mod folders;
#[path = "support/git.rs"]
mod git;
#[path = "support/rig.rs"]
mod rig;

use std::fs;

use image_host::tool::Tool;
use image_nix::{Extension, FlakeRef, Options, around::around};
use rig::{RELEASES, Rig, each_release, environment, workspace};
use serde_json::Value;

each_release! {
    Rig:
    derivations_are_those_of_the_flake
    inputs_are_those_of_the_lock
    profiles_change_what_they_are_asked_to
    names_are_quoted
    files_may_be_below_another_root
}

/// Folders with flakes, and the Nix that reads them.
struct Flakes<'a> {
    rig: &'a Rig,
    options: Options,
}

impl<'a> Flakes<'a> {
    fn new(rig: &'a Rig) -> Self {
        // Nothing is to be had from anywhere else.
        let settings = [("flake-registry", ""), ("connect-timeout", "1")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self { rig, options: Options { settings, ..Options::default() } }
    }

    /// Writes the lock file of a flake.
    fn lock(&self, flake: &str) {
        let features = ["--extra-experimental-features", "nix-command flakes", "flake", "lock"];
        let nix = environment(self.rig.dir.path(), Tool::at(self.rig.nix.program()));
        nix.run(features.into_iter().chain([flake])).output().unwrap();
    }

    fn reference(&self, typed: &str) -> FlakeRef {
        FlakeRef::new(typed, self.rig.dir.path())
    }

    /// Where generated flakes are written. Its name has to be encoded in a URL, where Nix decodes it.
    fn work(&self) -> &'static str {
        if is_oldest(self.rig) { "work" } else { "work folder #1" }
    }

    /// The flake around `typed`, written.
    fn around(&self, typed: &str, lock: Option<&Value>, extension: Option<&Extension>) -> FlakeRef {
        let metadata = self.rig.nix.metadata(&self.reference(typed), &self.options).unwrap();
        let around = around(&metadata, lock, extension).unwrap();
        let folder = self.rig.empty(self.work());
        let flake = around.write(&folder).unwrap();
        // It is complete as it is: Nix would write what is missing.
        self.lock(&flake.to_string());
        assert_eq!(fs::read_to_string(folder.join("flake.lock")).unwrap(), around.lock);
        flake
    }

    fn eval(&self, flake: &FlakeRef, attribute: &str, apply: &str) -> Value {
        self.rig.nix.eval(flake, attribute, apply, &self.options).unwrap()
    }

    fn derivation(&self, flake: &FlakeRef, attribute: &str) -> Value {
        self.eval(flake, attribute, "image: image.drvPath")
    }
}

/// Of a folder on this machine it takes no encoded path, and no `?dir=`.
fn is_oldest(rig: &Rig) -> bool {
    rig.nix.version().release == (2, 8)
}

/// A flake in the folder `nix` of a repository, with an input that has inputs itself, some of which
/// follow others, and one that is nothing.
fn repository<'a>(rig: &'a Rig) -> Flakes<'a> {
    let flakes = Flakes::new(rig);
    let dir = rig.dir.path().display();
    rig.write("leaf/flake.nix", "{ outputs = { self }: { name = \"leaf\"; }; }");
    rig.write("other/flake.nix", "{ outputs = { self }: { name = \"other\"; }; }");
    rig.write(
        "branch/flake.nix",
        &format!(
            "{{ inputs.leaf.url = \"path:{dir}/leaf\"; inputs.own.url = \"path:{dir}/other\";
                inputs.unused.url = \"path:{dir}/leaf\";
                outputs = {{ self, leaf, own, unused }}: {{ name = \"branch \" + leaf.name + own.name; }}; }}"
        ),
    );
    rig.write(
        "repository/nix/flake.nix",
        &format!(
            r#"{{
                inputs.leaf.url = "path:{dir}/other";
                inputs.branch.url = "path:{dir}/branch";
                inputs.branch.inputs.leaf.follows = "leaf";
                inputs.branch.inputs.unused.follows = "";
                inputs.alias.follows = "branch/own";
                outputs = {{ self, leaf, branch, alias }}: {{
                  image = derivation {{
                    name = "image"; builder = "/bin/sh"; system = "x86_64-linux";
                    file = ../file; names = [ leaf.name branch.name alias.name ];
                    source = builtins.toJSON (removeAttrs self.sourceInfo [ "submodules" ]);
                  }};
                }};
              }}"#
        ),
    );
    rig.write("repository/file", "of the repository");
    rig.git("repository", &["init", "--quiet"]);
    rig.git("repository", &["add", "."]);
    flakes.lock(&flakes.reference("./repository/nix").to_string());
    rig.commit_all("repository");
    flakes
}

fn derivations_are_those_of_the_flake(rig: &Rig) {
    let flakes = repository(rig);
    let same = |typed: &str| {
        let plain = flakes.derivation(&flakes.reference(typed), "image");
        let around = flakes.around(typed, None, None);
        assert_eq!(flakes.derivation(&around, "image"), plain, "{typed}");
        fs::read_to_string(rig.path(flakes.work()).join("flake.nix")).unwrap()
    };
    assert!(same("./repository/nix").contains("\"rev\" = "));
    if !is_oldest(rig) {
        assert!(same("path:./repository?dir=nix").contains("\"path\" = "));
    }
    let leaf = flakes.around("path:./leaf", None, None);
    assert_eq!(flakes.eval(&leaf, "name", "name: name"), "leaf");

    // A tree with changes has no revision. What Nix took of it is what is built.
    rig.write("repository/file", "changed");
    let typed = "./repository/nix";
    let plain = flakes.eval(&flakes.reference(typed), "image", "image: baseNameOf image.file");
    let around = flakes.around(typed, None, None);
    rig.write("repository/file", "changed again");
    assert_eq!(flakes.eval(&around, "image", "image: baseNameOf image.file"), plain);
    assert_eq!(flakes.eval(&around, "image", "image: image.names").to_string(), NAMES);
}

/// A flake of the same source, by a path from where it is asked for. Nix before 2.26 could not lock
/// one.
#[test]
fn a_relative_path_counts_from_the_flake() {
    for release in &RELEASES[1..] {
        let rig = Rig::new(release);
        let flakes = Flakes::new(&rig);
        rig.write("repository/nix/sub/flake.nix", "{ outputs = { self }: { name = \"sub\"; }; }");
        rig.write(
            "repository/nix/flake.nix",
            "{ inputs.sub.url = \"path:./sub\"; outputs = { self, sub }: { inherit (sub) name; }; }",
        );
        rig.git("repository", &["init", "--quiet"]);
        rig.git("repository", &["add", "."]);
        let typed = "./repository/nix";
        flakes.lock(&flakes.reference(typed).to_string());
        let around = flakes.around(typed, None, None);
        assert_eq!(flakes.eval(&around, "name", "name: name"), "sub", "dirty, {release}");
        rig.commit_all("repository");
        let around = flakes.around(typed, None, None);
        assert_eq!(flakes.eval(&around, "name", "name: name"), "sub", "{release}");
    }
}

/// What the inputs say, each of the next.
const NAMES: &str = r#"["other","branch otherother","other"]"#;

fn inputs_are_those_of_the_lock(rig: &Rig) {
    let flakes = repository(rig);
    let typed = "./repository/nix";
    let own = rig.nix.metadata(&flakes.reference(typed), &flakes.options).unwrap().locks;
    let file = fs::read_to_string(rig.path("repository/nix/flake.lock")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&file).unwrap(), own);

    // The same flake later, with a lock of its own.
    rig.write("other/flake.nix", "{ outputs = { self }: { name = \"new\"; }; }");
    let around = flakes.around(typed, None, None);
    assert_eq!(flakes.eval(&around, "image", "image: image.names").to_string(), NAMES);
    fs::remove_file(rig.path("repository/nix/flake.lock")).unwrap();
    flakes.lock(&flakes.reference(typed).to_string());
    let later = fs::read_to_string(rig.path("repository/nix/flake.lock")).unwrap();
    rig.git("repository", &["checkout", "--quiet", "."]);
    let later: Value = serde_json::from_str(&later).unwrap();
    assert_ne!(later, own);
    let around = flakes.around(typed, Some(&later), None);
    let names = flakes.eval(&around, "image", "image: image.names").to_string();
    assert_eq!(names, r#"["new","branch newnew","new"]"#);
}

fn fixture<'a>(rig: &'a Rig) -> Flakes<'a> {
    let flakes = Flakes::new(rig);
    let fixture = workspace().join("tests/fixtures/profile-flake/flake.nix");
    rig.write("fixture/flake.nix", &fs::read_to_string(fixture).unwrap());
    flakes
}

fn extension(host: &str, profiles: &[&str]) -> Extension {
    let profiles = profiles.iter().map(|name| name.to_string()).collect();
    Extension { host: host.to_owned(), profiles }
}

fn profiles_change_what_they_are_asked_to(rig: &Rig) {
    let flakes = fixture(rig);
    let typed = "path:./fixture";
    let plain = flakes.reference(typed);
    let around = flakes.around(typed, None, Some(&extension("variant", &["full", "security"])));
    let variant = "nixosConfigurations.variant.config.system.build.images.sd-card";
    let profiles = |flake: &FlakeRef| flakes.eval(flake, variant, "image: image.profiles");
    assert_eq!(profiles(&plain).to_string(), r#"["essential"]"#);
    assert_eq!(profiles(&around).to_string(), r#"["full","security"]"#);
    for same in ["nixosConfigurations.module.config.system.build.sdImage", "other.attribute"] {
        assert_eq!(flakes.derivation(&around, same), flakes.derivation(&plain, same), "{same}");
    }
    // Asked for what it has anyway, the host is what it was.
    let around = flakes.around(typed, None, Some(&extension("variant", &["essential"])));
    assert_eq!(flakes.derivation(&around, variant), flakes.derivation(&plain, variant));
}

fn names_are_quoted(rig: &Rig) {
    let flakes = fixture(rig);
    let names = ["a b", "\"", "\\", "${x}", "$${x}", "''", "''${x}", "line\nline", "\t\r", "ü☃"];
    let around = flakes.around("path:./fixture", None, Some(&extension("module", &names)));
    let config = "nixosConfigurations.module.config.imageFactory";
    let read = flakes.eval(&around, config, "factory: factory.profiles");
    assert_eq!(read, Value::from(names.to_vec()));
    // A host may have dots in its name.
    let dotted = flakes.around("path:./fixture", None, Some(&extension("a.\"${b}", &[])));
    let hosts = flakes.eval(&dotted, "nixosConfigurations", "builtins.attrNames");
    assert_eq!(hosts.to_string(), r#"["a.\"${b}","module","numbered","older","plain","variant"]"#);
}

/// `--store DIR`: store paths are as ever, and the files are elsewhere.
fn files_may_be_below_another_root(rig: &Rig) {
    let mut flakes = fixture(rig);
    let tool = Tool::at(rig.nix.program())
        .env("NIX_CONF_DIR", rig.path("etc"))
        .env("NIX_USER_CONF_FILES", "/dev/null")
        .env("XDG_CACHE_HOME", rig.path("cache-of-root"));
    let nix = image_nix::Nix::with(tool).unwrap();
    flakes.options.store = Some(rig.path("root").display().to_string());
    let typed = FlakeRef::new("path:./fixture", rig.dir.path());
    let metadata = nix.metadata(&typed, &flakes.options).unwrap();
    assert!(metadata.path.as_ref().unwrap().starts_with("/nix/store/"), "{metadata:?}");
    let around = around(&metadata, None, Some(&extension("module", &["full"]))).unwrap();
    let folder = rig.path("around");
    fs::create_dir(&folder).unwrap();
    let flake = around.write(&folder).unwrap();
    let config = "nixosConfigurations.module.config.imageFactory";
    let read = nix.eval(&flake, config, "factory: factory.profiles", &flakes.options).unwrap();
    assert_eq!(read.to_string(), r#"["full"]"#);
}
