//! `lock list`, `lock update`, `lock diff`, and `image` with a lock file of its own.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
};

use image_model::Source;

use crate::{
    common::{Project, Ran, program, which},
    nix::{Rig, tests_dir},
};

/// Two images of one host, each with a lock file, and a flake whose input says what is in them.
struct Images {
    rig: Rig,
    nix: PathBuf,
}

impl Images {
    fn new(nix: PathBuf) -> Self {
        let images = Self { rig: Rig::new(), nix };
        let dir = images.rig.project.dir.path().display().to_string();
        for image in ["wsl", "other"] {
            images.define(image, &format!("lock = \"locks/{image}.lock\""));
        }
        images.words("first");
        images.write(
            "system/flake.nix",
            &format!(
                r#"{{
                    inputs.words.url = "path:{dir}/words";
                    inputs.fixture.url = "path:{dir}/flake";
                    inputs.alias.follows = "words";
                    outputs = {{ self, words, fixture, alias }}: {{
                      nixosConfigurations.wsl = fixture.nixosConfigurations.wsl.extendModules {{
                        modules = [ {{ config.imageFactory.profiles.content = [ alias.text ]; }} ];
                      }};
                    }};
                  }}"#
            ),
        );
        let mut lock = images.rig.command();
        lock.args(["lock", "update", "wsl"]).env("IMAGE_FACTORY_NIX", &images.nix);
        Ran::of(&mut lock).exits(0).says("locks/wsl.lock, which was not there, beginning with");
        fs::rename(images.path("locks/wsl.lock"), images.path("system/flake.lock")).unwrap();
        images
    }

    fn path(&self, name: &str) -> PathBuf {
        self.rig.project.path(name)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn define(&self, image: &str, lock: &str) {
        self.write(&format!("images/{image}.toml"), &definition(lock));
    }

    fn words(&self, text: &str) {
        self.write("words/flake.nix", &format!("{{ outputs = _: {{ text = \"{text}\"; }}; }}"));
    }

    fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.rig.command().args(args).env("IMAGE_FACTORY_NIX", &self.nix))
    }

    /// Makes an image, and reads what its manifest says that it was made from.
    fn source(&self, image: &str) -> Source {
        self.run(&["image", image]).exits(0);
        let text = fs::read(self.path(&format!("dist/{image}/manifest.json"))).unwrap();
        serde_json::from_slice::<image_model::Manifest>(&text).unwrap().source
    }
}

fn definition(lock: &str) -> String {
    format!(
        "kind = \"wsl\"\nsystem = \"x86_64-linux\"\ntitle = \"t\"\n\n[build]\n\
         driver = \"nixos-wsl\"\nflake = \"./system\"\n\
         attribute = \"nixosConfigurations.wsl.config.system.build.tarballBuilder\"\n{lock}\n"
    )
}

/// Debian 12's Nix, which has no flag for another lock file.
fn oldest() -> PathBuf {
    which("nix", "nix-bin")
}

fn newest() -> PathBuf {
    let fetched = || tests_dir().parent().unwrap().join("target/nix-versions");
    let dir = std::env::var_os("IMAGE_FACTORY_NIX_DIR").map_or_else(fetched, Into::into);
    let program = dir.join("nix-2.34");
    assert!(program.is_file(), "no {}: run tests/tools/fetch-nix.sh", program.display());
    program
}

#[test]
fn one_image_moves_alone_with_the_oldest_nix() {
    one_image_moves_alone(&Images::new(oldest()));
}

#[test]
fn one_image_moves_alone_with_the_newest_nix() {
    one_image_moves_alone(&Images::new(newest()));
}

fn one_image_moves_alone(images: &Images) {
    let flake_lock = fs::read_to_string(images.path("system/flake.lock")).unwrap();
    images.run(&["image", "wsl"]).exits(2).says(
        "images/wsl.toml names locks/wsl.lock, which is not there: `lock update wsl` makes it",
    );
    for image in ["wsl", "other"] {
        let begun = format!("locks/{image}.lock, which was not there, beginning with system/");
        images.run(&["lock", "update", image]).exits(0).says(&begun);
    }
    let before = images.source("other");
    let words = before.inputs["words"].clone();
    assert_eq!(before.derivation, images.source("wsl").derivation);

    images.words("second");
    images.run(&["lock", "update", "wsl", "fixture"]).exits(0).says("wsl.lock: nothing moved");
    let moved = images.run(&["lock", "update", "wsl", "words", "--format", "json"]).exits(0).json();
    assert_eq!(moved["written"], true);
    let [change] = &moved["changes"].as_array().unwrap()[..] else { panic!("{moved}") };
    assert_eq!((&change["change"], &change["input"]), (&"moved".into(), &"words".into()));
    assert_eq!(change["from"]["narHash"], words.as_str());

    let wsl = images.source("wsl");
    let other = images.source("other");
    // What the builder is handed differs in its times, which is why the factory finishes it.
    assert_eq!(Source { input_sha256: before.input_sha256, ..other }, before);
    assert_ne!(wsl.derivation, before.derivation);
    assert_eq!(change["to"]["narHash"], wsl.inputs["words"].as_str());
    assert_eq!(wsl.inputs.keys().collect::<Vec<_>>(), ["fixture", "words"]);
    assert_eq!(wsl.locked, before.locked);

    // Before anything is built, the plan tells the same.
    let plan = images.run(&["image", "wsl", "--dry-run", "--format", "json"]).exits(0).json();
    assert_eq!(plan[0]["lock"]["file"], "locks/wsl.lock");
    assert_eq!(plan[0]["lock"]["inputs"][2]["narHash"], wsl.inputs["words"].as_str());
    let short = &wsl.inputs["words"][..19];
    images
        .run(&["image", "wsl", "--dry-run"])
        .exits(0)
        .says(&format!("input      words {short} ("));

    let list = images.run(&["lock", "list"]).exits(0);
    let line = |image: &str, hash: &str| {
        let begins = format!("{image:5}  locks/{image}.lock");
        list.out.lines().any(|line| line.starts_with(&begins) && line.contains(&hash[..19]))
    };
    assert!(line("wsl", &wsl.inputs["words"]) && line("other", &words), "{}", list.out);
    let list = images.run(&["lock", "list", "other", "--format", "json"]).exits(0).json();
    assert_eq!((&list[0]["image"], &list[0]["origin"]), (&"other".into(), &"own".into()));
    let alias = serde_json::json!({ "input": "alias", "follows": "words" });
    assert_eq!(list[0]["inputs"][0], alias);

    images.run(&["lock", "diff", "wsl"]).exits(0).says("system/flake.lock → locks/wsl.lock:\n");
    images.run(&["lock", "diff", "wsl", "other"]).exits(0).says("  words  ").says(" → ");
    images.run(&["lock", "diff", "other"]).exits(0).says("have the same revisions");
    // What is not the image's own was never written to.
    assert_eq!(fs::read_to_string(images.path("system/flake.lock")).unwrap(), flake_lock);
    assert_eq!(images.rig.project.list("system"), ["flake.lock", "flake.nix"]);
    assert_eq!(images.rig.project.list("locks"), ["other.lock", "wsl.lock"]);
}

#[test]
fn what_cannot_be_moved_is_named() {
    let images = Images::new(newest());
    let refused = |args: &[&str]| images.run(&[&["lock", "update"], args].concat()).exits(2);
    refused(&["wsl", "wrods"])
        .says("wsl has no input \"wrods\", did you mean \"words\"?; it has fixture, words");
    refused(&["wsl", "--", "--help"]).says("wsl has no input \"--help\"; it has");
    refused(&["wsl", "alias"]).says("alias follows words: move that one");
    refused(&["wls"]).says("did you mean \"wsl\"?");
    images.define("other", "");
    refused(&["other"]).says(
        "other has no lock of its own: add `lock = \"nix/locks/other.lock\"` to [build] in \
         images/other.toml",
    );
    images.run(&["lock", "diff", "other"]).exits(0).says("built with system/flake.lock itself");
    // Of an image whose file is not there, the rest of the list is not withheld.
    let list = images.run(&["lock", "list"]).exits(0);
    assert!(list.out.contains("other  system/flake.lock"), "{}", list.out);
    let absent = "wsl    images/wsl.toml names locks/wsl.lock, which is not there: ";
    assert!(list.out.contains(absent), "{}", list.out);
    assert!(!images.path("locks/wsl.lock").exists());

    // An input that is gone: Nix fails, and nothing was begun.
    fs::remove_dir_all(images.path("words")).unwrap();
    images.run(&["lock", "update", "wsl"]).exits(3).says("words");
    assert!(images.rig.project.list("locks").is_empty());
    assert!(images.rig.project.list("dist").is_empty());
}

/// `images/wsl.toml` names a file that is not there, and `system/` has no lock either.
fn without_locks(nix: PathBuf) -> Images {
    let images = Images::new(nix);
    fs::remove_file(images.path("system/flake.lock")).unwrap();
    images
}

/// Nix knows an input by what `flake.nix` says of it, too: a branch that has another name is another
/// input, at the same commit.
fn what_an_input_is_called_is_written(nix: PathBuf) {
    let images = Images::new(nix);
    images.run(&["lock", "update", "wsl"]).exits(0);
    let dir = images.rig.project.dir.path().display();
    let flake = fs::read_to_string(images.path("system/flake.nix")).unwrap();
    let named = flake.replace(&format!("path:{dir}/words"), "flake:words");
    assert_ne!(named, flake);
    images.write("system/flake.nix", &named);
    let registry = serde_json::json!({ "version": 2, "flakes": [{
        "from": { "type": "indirect", "id": "words" },
        "to": { "type": "path", "path": format!("{dir}/words") },
    }] });
    images.write("registry.json", &registry.to_string());
    let settings = images.path("nix/etc/nix.conf");
    let mut text = fs::read_to_string(&settings).unwrap();
    text += "extra-experimental-features = nix-command flakes\n";
    text += &format!("flake-registry = {dir}/registry.json\n");
    fs::write(settings, text).unwrap();
    images.run(&["image", "wsl"]).exits(3).says("locks/wsl.lock does not fit the flake");
    let anew = "locks/wsl.lock: written anew; no revision moved\n";
    images.run(&["lock", "update", "wsl", "fixture"]).exits(0).says(anew);
    images.run(&["image", "wsl"]).exits(0);
    images.run(&["lock", "update", "wsl"]).exits(0).says("locks/wsl.lock: nothing moved\n");
}

#[test]
fn what_an_input_is_called_is_written_by_the_oldest_nix() {
    what_an_input_is_called_is_written(oldest());
}

#[test]
fn what_an_input_is_called_is_written_by_the_newest_nix() {
    what_an_input_is_called_is_written(newest());
}

/// An input that no lock file has yet is added by its name, and a name that nothing has is refused
/// before anything is written.
fn what_is_new_is_added_by_its_name(nix: PathBuf) {
    let images = without_locks(nix);
    let refused = images.run(&["lock", "update", "wsl", "wrods"]).exits(2);
    refused.says("wsl has no input \"wrods\", did you mean \"words\"?; it has fixture, words");
    assert!(images.rig.project.list("locks").is_empty());
    let begun = "locks/wsl.lock, which was not there, beginning with nothing:\n";
    images.run(&["lock", "update", "wsl", "words"]).exits(0).says(begun);

    let flake = fs::read_to_string(images.path("system/flake.nix")).unwrap();
    let dir = images.rig.project.dir.path().display();
    let more = format!("{{ inputs.more.url = \"path:{dir}/words\";");
    let more = flake.replacen('{', &more, 1).replace("alias }:", "alias, more }:");
    images.write("system/flake.nix", &more);
    images.words("second");
    let added = images.run(&["lock", "update", "wsl", "more", "--format", "json"]).exits(0).json();
    let [change] = &added["changes"].as_array().unwrap()[..] else { panic!("{added}") };
    assert_eq!((&change["change"], &change["input"]), (&"added".into(), &"more".into()));
    // And one that the flake does not have any more.
    images.write("system/flake.nix", &flake);
    let gone = images.run(&["lock", "update", "wsl", "more"]).exits(0);
    gone.says("  more  removed: ");
}

#[test]
fn what_is_new_is_added_by_its_name_with_the_oldest_nix() {
    what_is_new_is_added_by_its_name(oldest());
}

#[test]
fn what_is_new_is_added_by_its_name_with_the_newest_nix() {
    what_is_new_is_added_by_its_name(newest());
}

/// In a Git repository Nix sees what is in the index. What an image begins with is the file that is
/// there.
fn the_lock_that_is_there_is_the_beginning(nix: PathBuf) {
    let images = Images::new(nix);
    for args in [&["init", "--quiet"][..], &["add", "flake.nix"]] {
        let mut git = Command::new(which("git", "git"));
        Ran::of(git.args(args).current_dir(images.path("system"))).exits(0);
    }
    images.words("second");
    let begun = "locks/wsl.lock, which was not there, beginning with system/flake.lock:\n";
    let moved = images.run(&["lock", "update", "wsl", "fixture"]).exits(0).says(begun);
    assert!(!moved.out.contains("words"), "{}", moved.out);
    let moved = images.run(&["lock", "update", "wsl", "words"]).exits(0);
    assert!(moved.out.contains("  words  "), "{}", moved.out);
}

#[test]
fn the_lock_that_is_there_is_the_beginning_for_the_oldest_nix() {
    the_lock_that_is_there_is_the_beginning(oldest());
}

#[test]
fn the_lock_that_is_there_is_the_beginning_for_the_newest_nix() {
    the_lock_that_is_there_is_the_beginning(newest());
}

#[test]
fn the_lock_of_an_image_is_for_its_own_flake() {
    let images = Images::new(newest());
    images.run(&["lock", "update", "wsl"]).exits(0);
    let plan = |flake: &str| {
        let args = ["image", "wsl", "--dry-run", "--format", "json", "--flake", flake];
        images.run(&args).exits(0).json()[0].clone()
    };
    for same in ["./system", "./system#wsl", "path:system"] {
        let plan = plan(same);
        assert_eq!(plan["lock"]["origin"], "own", "{plan}");
        assert!(plan.get("notice").is_none(), "{plan}");
    }
    let other = plan("path:flake");
    let notice = other["notice"].as_str().unwrap();
    assert!(
        notice.starts_with("locks/wsl.lock is the lock file of ./system, and path:"),
        "{notice}"
    );
    assert_eq!(other["lock"]["origin"], "flake");
    assert!(other["lock"]["inputs"].as_array().unwrap().is_empty());
}

/// A Nix that writes what is in the file `new.lock` of the project, once there is no file `wait`.
fn quick_nix(project: &Project) {
    let new = project.path("new.lock");
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = --version ] && echo 'nix (Nix) 2.34.8' && exit\n\
         ulimit -S -f unlimited\nwhile [ -e {} ]; do /bin/sleep 0.05; done\n\
         while [ $# -gt 1 ]; do\n\
         [ \"$1\" = --output-lock-file ] && exec /bin/cp {} \"$2\"\nshift\ndone\nexit 1\n",
        project.path("wait").display(),
        new.display()
    );
    project.program("nix", &script);
    fs::create_dir(project.path("locks")).unwrap();
    fs::create_dir(project.path("system")).unwrap();
    fs::write(project.path("system/flake.nix"), "").unwrap();
    project.define(&definition("lock = \"locks/wsl.lock\""));
    let lock = |hash: &str, length: usize| {
        let locked = serde_json::json!({ "type": "path", "path": "/srv", "narHash": hash });
        let nodes = serde_json::json!({
            "root": { "inputs": { "words": "words" } },
            "words": { "locked": locked },
            "unused": { "locked": { "type": "x".repeat(length) } },
        });
        serde_json::json!({ "nodes": nodes, "root": "root", "version": 7 }).to_string()
    };
    fs::write(project.path("locks/wsl.lock"), lock("sha256-old", 0)).unwrap();
    // A block of a disk is shorter than the new one.
    fs::write(new, lock("sha256-new", 2000)).unwrap();
}

/// The lock file is the old one, and nothing lies beside it.
fn is_as_it_was(project: &Project) {
    let text = fs::read_to_string(project.path("locks/wsl.lock")).unwrap();
    assert!(text.contains("sha256-old"), "{text}");
    assert_eq!(project.list("locks"), ["wsl.lock"]);
}

#[test]
fn a_full_disk_leaves_the_old_lock() {
    let project = Project::new();
    quick_nix(&project);
    let mut shell = Command::new("/bin/sh");
    // No file may be larger than a block, and who writes more is told so.
    shell.args(["-c", "trap '' XFSZ; ulimit -S -f 1; exec \"$0\" lock update wsl"]);
    shell.arg(env!("CARGO_BIN_EXE_xtask")).current_dir(project.dir.path()).env_clear();
    shell.env("PATH", project.path("bin"));
    Ran::of(&mut shell).exits(3).says("cannot write ").says("locks/wsl.lock").says("too large");
    is_as_it_was(&project);
    project.run(&["lock", "update", "wsl"]).exits(0).says("  words  sha256-old → sha256-new\n");
    // And it leaves no folder for images that nobody made.
    assert!(!project.path("dist").exists());
}

/// Two images may have one lock file. They move together, and whoever moves one is told; two runs do
/// not write it at once.
#[test]
fn a_lock_that_is_shared_moves_both() {
    let project = Project::new();
    quick_nix(&project);
    let other = definition("lock = \"./locks/wsl.lock\"");
    fs::write(project.path("images/other.toml"), other).unwrap();
    let list = project.run(&["lock", "list"]).exits(0);
    assert!(list.out.ends_with("\nlocks/wsl.lock is shared by other, wsl\n"), "{}", list.out);
    let list = project.run(&["lock", "list", "wsl", "--format", "json"]).exits(0).json();
    assert_eq!(list[0]["sharedWith"], serde_json::json!(["other"]));

    fs::write(project.path("wait"), "").unwrap();
    let mut first = project.command();
    let mut first = first.args(["lock", "update", "wsl", "--format", "json"]);
    first = first.stdout(std::process::Stdio::piped());
    let first = first.spawn().unwrap();
    let begun = project.path("dist/.locks-wsl.lock.update/start.lock");
    for _ in 0..200 {
        if begun.exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let second = project.run(&["lock", "update", "other"]).exits(3);
    second.says("dist/.locks-wsl.lock.update is in use by another run");
    fs::remove_file(project.path("wait")).unwrap();
    let moved = first.wait_with_output().unwrap();
    let moved: serde_json::Value = serde_json::from_slice(&moved.stdout).unwrap();
    assert_eq!((&moved["written"], &moved["sharedWith"][0]), (&true.into(), &"other".into()));
    let told = project.run(&["lock", "update", "other"]).exits(0);
    told.says("./locks/wsl.lock: nothing moved\n  which is also the lock file of wsl\n");
}

/// What lies where a lock file belongs is nobody's image but the one that names it.
#[test]
fn a_bad_lock_is_a_matter_of_its_image() {
    let project = Project::new();
    quick_nix(&project);
    let other = definition("").replace("nixos-wsl", "mini");
    fs::write(project.path("images/other.toml"), other).unwrap();
    let lock = project.path("locks/wsl.lock");
    let told = |what: &str, doctor: &Ran| {
        assert!(doctor.out.starts_with("other (mini): ready\nwsl (nixos-wsl): not ready\n"));
        let missing = format!("  missing: lock file\n    {}", project.dir.path().display());
        assert!(doctor.out.contains(&missing) && doctor.out.contains(what), "{}", doctor.out);
    };
    let limited = |args: &[&str]| {
        let command = project.command();
        let program = command.get_program().to_owned();
        let mut timeout = Command::new(which("timeout", "coreutils"));
        timeout.args(["-k", "1", "20"]).arg(program).args(args).current_dir(project.dir.path());
        timeout
            .env_clear()
            .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Ran::of(&mut timeout)
    };
    fs::write(&lock, "<<<<<<< HEAD").unwrap();
    told("locks/wsl.lock is not JSON", &project.run(&["doctor"]).exits(3));
    fs::remove_file(&lock).unwrap();
    // Whoever opens a pipe waits for somebody at its other end.
    Ran::of(Command::new(which("mkfifo", "coreutils")).arg(&lock)).exits(0);
    told("is not a lock file: it is no ordinary file", &limited(&["doctor"]).exits(3));
    limited(&["list"]).exits(0).says("no: lock file");
    limited(&["lock", "list"]).exits(0).says("it is no ordinary file");
    limited(&["lock", "update", "wsl"]).exits(3).says("it is no ordinary file");
    limited(&["image", "wsl", "--dry-run"]).exits(3).says("it is no ordinary file");
    fs::remove_file(&lock).unwrap();
    project.run(&["doctor"]).exits(3).says("    $ cargo xtask lock update wsl\n");
    // By the name that it was started by.
    let program = project.path("image-factory");
    program::copy(env!("CARGO_BIN_EXE_xtask").as_ref(), &program);
    let command = project.command();
    let mut installed = Command::new(program);
    installed.arg("doctor").current_dir(project.dir.path()).env_clear();
    installed.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Ran::of(&mut installed).exits(3).says("    $ image-factory lock update wsl\n");
    project.run(&["list"]).exits(0).says("x86_64-linux  -               yes");
}

/// nixpkgs of today does not evaluate with the oldest Nix of the factory; what else is in a flake may.
#[test]
fn an_old_nix_is_missing_a_newer_one_for_nixpkgs() {
    let project = Project::new();
    quick_nix(&project);
    project.define(&definition(""));
    let nixpkgs = |time: u64| {
        let text = fs::read_to_string(tests_dir().join("../nix/flake.lock")).unwrap();
        let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
        json["nodes"]["nixpkgs"]["locked"]["lastModified"] = time.into();
        json["nodes"]["root"]["inputs"] = serde_json::json!({ "nixpkgs": "nixpkgs" });
        fs::write(project.path("system/flake.lock"), json.to_string()).unwrap();
    };
    let doctor = |nix: PathBuf| {
        Ran::of(project.command().args(["doctor", "wsl"]).env("IMAGE_FACTORY_NIX", nix)).out
    };
    nixpkgs(1_787_204_541);
    let told = doctor(oldest());
    let why = "is too old: nixpkgs in system/flake.lock is github:NixOS/nixpkgs";
    assert!(told.contains("missing: a newer nix\n") && told.contains(why), "{told}");
    assert!(told.contains("which needs Nix 2.18 or later"), "{told}");
    // Before anything is fetched.
    let mut image = project.command();
    Ran::of(image.args(["image", "wsl"]).env("IMAGE_FACTORY_NIX", oldest()))
        .exits(3)
        .says("error: a newer nix is missing: ")
        .says("which needs Nix 2.18 or later");
    let told = doctor(newest());
    assert!(!told.contains("a newer nix"), "{told}");
    // One of before needs none.
    nixpkgs(1_700_000_000);
    let told = doctor(oldest());
    assert!(!told.contains("a newer nix"), "{told}");
}

#[test]
fn a_read_only_folder_leaves_the_old_lock() {
    let project = Project::new();
    quick_nix(&project);
    let program = project.path("xtask");
    program::copy(env!("CARGO_BIN_EXE_xtask").as_ref(), &program);
    let locks = project.path("locks");
    fs::set_permissions(&locks, fs::Permissions::from_mode(0o555)).unwrap();
    let mut command = if image_host::user::is_root() {
        let mut give = Command::new("chown");
        Ran::of(give.args(["-R", "4242:4242"]).arg(project.dir.path())).exits(0);
        chown(&locks, Some(0), Some(0)).unwrap();
        let mut command = Command::new(which("setpriv", "util-linux"));
        command.args(["--reuid", "4242", "--regid", "4242", "--clear-groups"]).arg(&program);
        command
    } else {
        Command::new(&program)
    };
    command.args(["lock", "update", "wsl"]).current_dir(project.dir.path()).env_clear();
    command.env("PATH", project.path("bin"));
    Ran::of(&mut command).exits(3).says("cannot write ").says("Permission denied");
    is_as_it_was(&project);
    fs::set_permissions(&locks, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn what_nix_writes_is_read_before_it_counts() {
    let project = Project::new();
    quick_nix(&project);
    for (text, says) in [
        ("", "is not JSON"),
        ("{\"version\": 8}", "is a lock file of version 8, and only version 7"),
    ] {
        fs::write(project.path("new.lock"), text).unwrap();
        project.run(&["lock", "update", "wsl"]).exits(3).says(says);
        is_as_it_was(&project);
    }
    // One that cannot be read is not moved, and not replaced.
    fs::write(project.path("locks/wsl.lock"), "<<<<<<< HEAD sha256-old").unwrap();
    project.run(&["lock", "update", "wsl"]).exits(3).says("locks/wsl.lock is not JSON");
    project.run(&["image", "wsl", "--dry-run"]).exits(3).says("locks/wsl.lock is not JSON");
    is_as_it_was(&project);
}

#[test]
fn without_nix_what_is_here_is_told() {
    let project = Project::new();
    quick_nix(&project);
    fs::remove_file(project.path("bin/nix")).unwrap();
    project.run(&["lock", "list"]).exits(0).says("wsl  locks/wsl.lock  words  sha256-old\n");
    project.run(&["lock", "diff", "wsl"]).exits(0).says("  words  added: sha256-old\n");
    let ran = project.run(&["lock", "update", "wsl"]).exits(3);
    ran.says("moving the inputs of wsl needs Nix, which is not on this machine");
    let flake = definition("").replace("./system", "github:o/r");
    project.define(&flake);
    project.run(&["lock", "list"]).exits(0).says("the lock file of github:o/r needs Nix");
    project.define(&definition(""));
    project.run(&["lock", "list"]).exits(0).says("wsl  system/flake.lock  no inputs\n");
    let lock = definition("lock = \"locks/wsl.lock\"");
    project.define(&lock);
    is_as_it_was(&project);
    assert!(
        Path::new(&project.path("dist")).read_dir().map_or(true, |mut dir| dir.next().is_none())
    );
}
