//! The driver against real Nix: three releases, offline, with a store of its own each.

#[path = "support/git.rs"]
mod git;
#[expect(dead_code, reason = "this test needs only a part of it")]
#[path = "support/program.rs"]
mod program;
#[path = "support/rig.rs"]
mod rig;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use image_host::tool::Tool;
use image_nix::{BuildRequest, Built, Event, Failure, FlakeRef, Nix, NixError, Options, request};
use rig::{RELEASES, Rig, each_release, workspace};

const BUILDER: &str = "nixosConfigurations.wsl.config.system.build.tarballBuilder";

each_release! {
    Rig:
    builds_the_fixture
    tells_builder_failures_apart
    tells_refusals_apart
    says_what_there_is
    a_path_in_a_repository_is_git
    settings_are_read_with_what_is_handed_on
}

/// What the tests ask of a Nix.
impl Rig {
    fn request(&self, attribute: &str) -> BuildRequest {
        let flake = format!("path:{}", workspace().join("tests/fixtures/wsl-flake").display());
        BuildRequest {
            flake: FlakeRef::new(&flake, Path::new("/")),
            attribute: attribute.to_owned(),
            out_link: self.path("result"),
            options: Options::default(),
        }
    }

    fn build(&self, request: &BuildRequest) -> (Result<Built, NixError>, Vec<Event>) {
        let mut events = Vec::new();
        let built = self.nix.build(request, &mut |event| events.push(event));
        (built, events)
    }

    /// Why a build of the fixture's attribute fails.
    fn failure(&self, attribute: &str, settings: &[(&str, &str)]) -> Failure {
        let mut request = self.request(attribute);
        let settings = settings.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        request.options.settings = settings.collect();
        let error = self.build(&request).0.unwrap_err();
        error.failure().unwrap_or_else(|| panic!("{error:?}")).clone()
    }
}

fn builds_the_fixture(rig: &Rig) {
    let request = rig.request(BUILDER);
    let (built, events) = rig.build(&request);
    let built = built.unwrap();

    let program = built.physical.join("bin/nixos-wsl-tarball-builder");
    assert!(program.metadata().unwrap().permissions().mode() & 0o111 != 0);
    assert!(built.derivation.ends_with("-nixos-wsl-tarball-builder.drv"), "{built:?}");
    assert_eq!(fs::read_link(&request.out_link).unwrap(), Path::new(&built.store_path));
    assert!(built.flake.locked.starts_with("path:?narHash=sha256-"), "{built:?}");
    assert!(built.flake.inputs.is_empty());

    // Two witnesses of the hash: the database, and the files.
    let tool = Tool::at(rig.nix.program());
    let hash = tool.run(request::hash_path(&built.physical)).output().unwrap();
    assert_eq!(built.nar_hash, String::from_utf8(hash).unwrap().trim());

    assert!(events.contains(&Event::BuildStarted {
        derivation: built.derivation.clone(),
        machine: String::new(),
    }));
    assert!(events.contains(&Event::BuildEnded { derivation: built.derivation.clone() }));
    let numbers = |event: &Event| match event {
        Event::Progress(progress) => Some((progress.builds.done, progress.builds.expected)),
        _ => None,
    };
    assert_eq!(events.iter().filter_map(numbers).next_back(), Some((1, 1)), "{events:?}");

    // What is there already is not built again, and is the same.
    let (again, events) = rig.build(&request);
    assert_eq!(again.unwrap(), built);
    assert!(!events.iter().any(|event| matches!(event, Event::BuildStarted { .. })));
}

fn tells_builder_failures_apart(rig: &Rig) {
    for attribute in ["failures.builder", "failures.dependency"] {
        let failure = rig.failure(attribute, &[]);
        let Failure::Build { derivation, reason, last_lines, log_command } = &failure else {
            panic!("{failure:?}");
        };
        assert!(derivation.ends_with("-exits-with-3.drv"), "{derivation}");
        assert_eq!(reason, "builder failed with exit code 3");
        let expected: Vec<_> = (11..=30).map(|i| format!("line {i}")).collect();
        assert_eq!(*last_lines, expected);
        assert_eq!(*log_command, format!("nix log {derivation}"));
        assert!(failure.to_string().contains("\n  line 30\nall of it: nix log /"), "{failure}");
    }

    let failure = rig.failure("failures.hash", &[]);
    let Failure::HashMismatch { what, specified, got } = &failure else { panic!("{failure:?}") };
    assert!(what.ends_with("-fixed-output.drv"), "{what}");
    assert_eq!(specified, "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    assert_eq!(got, "sha256-S8RTtTyz2RS0X0slApQjatuiwOCf9vA3k5Sefjn9TME=");

    let failure = rig.failure("failures.slow", &[("timeout", "1")]);
    let Failure::Timeout { derivation, reason, .. } = &failure else { panic!("{failure:?}") };
    assert!(derivation.ends_with("-sleeps.drv"), "{derivation}");
    assert_eq!(reason, "timed out after 1 seconds");

    let failure = rig.failure("failures.feature", &[]);
    let Failure::SystemFeatures { derivation, required, available } = &failure else {
        panic!("{failure:?}");
    };
    assert!(derivation.ends_with("-wants-a-feature.drv"), "{derivation}");
    assert_eq!(required, "no-such-feature");
    assert!(available.contains("big-parallel"), "{available}");

    let failure = rig.failure("failures.platform", &[]);
    let Failure::Platform { required, available, .. } = &failure else { panic!("{failure:?}") };
    assert_eq!((required.as_str(), available.as_str()), ("riscv64-linux", "x86_64-linux"));
}

fn tells_refusals_apart(rig: &Rig) {
    let failure = rig.failure("failures.evaluation", &[]);
    let Failure::Evaluation { message } = &failure else { panic!("{failure:?}") };
    assert!(message.contains("this option was removed"), "{message}");

    for attribute in ["failures.networkEval", "failures.networkBuild"] {
        let failure = rig.failure(attribute, &[("download-attempts", "1")]);
        let Failure::Network { message } = &failure else { panic!("{failure:?}") };
        assert!(message.contains("nowhere.invalid"), "{message}");
    }

    let failure = rig.failure("failures", &[]);
    assert!(matches!(failure, Failure::NotADerivation { .. }), "{failure:?}");

    let other = |reference: &str| {
        let mut request = rig.request("packages.x86_64-linux.x");
        request.flake = FlakeRef::new(reference, rig.dir.path());
        request.options.settings = vec![("flake-registry".to_owned(), String::new())];
        rig.build(&request).0.unwrap_err().failure().unwrap().clone()
    };
    for missing in ["./nowhere", "path:./nowhere", ".", "no-such-name-in-the-registry"] {
        let failure = other(missing);
        assert!(matches!(failure, Failure::Flake { .. }), "{missing}: {failure:?}");
    }

    let dir = rig.path("unlocked");
    fs::create_dir(&dir).unwrap();
    let input = rig.request("").flake;
    let text = format!("{{ inputs.x.url = \"{input}\"; outputs = {{ self, x }}: {{ }}; }}");
    fs::write(dir.join("flake.nix"), text).unwrap();
    let failure = other("path:./unlocked");
    assert!(matches!(failure, Failure::LockFile { .. }), "{failure:?}");
    assert!(!dir.join("flake.lock").exists());
}

fn says_what_there_is(rig: &Rig) {
    let text = |attribute: &str| rig.failure(attribute, &[]).to_string();
    assert_eq!(
        text("nixosConfigurations.wls.config.system.build.tarballBuilder"),
        "the flake has no attribute \
         nixosConfigurations.wls.config.system.build.tarballBuilder: nixosConfigurations has \
         default, defective, wsl; did you mean wsl?"
    );
    assert_eq!(
        text("nixosConfigurations.wsl.config.system.build.isoImage"),
        "the flake has no attribute nixosConfigurations.wsl.config.system.build.isoImage: \
         nixosConfigurations.wsl.config.system.build has tarballBuilder"
    );
    assert_eq!(text("nothing.here"), "the flake has no attribute nothing.here");
    let request = rig.request("");
    let user = rig.nix.eval(
        &request.flake,
        "nixosConfigurations.wsl.config",
        "c: c.wsl.defaultUser",
        &Options::default(),
    );
    assert_eq!(user.unwrap(), "nixos");
}

/// Nix's meaning of a plain path is kept, and what it names of this machine is not recorded.
fn a_path_in_a_repository_is_git(rig: &Rig) {
    let repository = rig.path("repository");
    let fixture = repository.join("tests/wsl-flake");
    fs::create_dir_all(&fixture).unwrap();
    for entry in fs::read_dir(workspace().join("tests/fixtures/wsl-flake")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), fixture.join(entry.file_name())).unwrap();
    }
    rig.commit_all("repository");
    let commit = rig.git("repository", &["rev-parse", "HEAD"]);

    let mut request = rig.request(BUILDER);
    request.flake = FlakeRef::new("./tests/wsl-flake", &repository);
    let flake = rig.build(&request).0.unwrap().flake;
    assert_eq!(flake.revision.as_deref(), Some(commit.trim()));
    let expected = format!("git+file:?dir=tests/wsl-flake&rev={}&narHash=sha256-", commit.trim());
    assert!(flake.locked.starts_with(&expected), "{flake:?}");

    fs::write(fixture.join("flake.nix"), "changed").unwrap();
    let failure = rig.build(&request).0.unwrap_err().failure().unwrap().clone();
    assert!(matches!(failure, Failure::Evaluation { .. }), "{failure:?}");
}

fn settings_are_read_with_what_is_handed_on(rig: &Rig) {
    let config = rig.nix.config(&Options::default()).unwrap();
    assert_eq!(config.system, format!("{}-linux", std::env::consts::ARCH));
    assert!(config.builds_here && config.features.iter().any(|name| name == "big-parallel"));

    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let options = Options {
        // `extra-` adds, to a list whose own name begins so too.
        settings: vec![
            set("extra-extra-platforms", "riscv64-linux"),
            set("system-features", "kvm big"),
            set("extra-trusted-public-keys", "a-1:jSz+Ewdi4wqWFzsugqZBN+F1Yaw07Vl5gU42L0jntAY="),
        ],
        builders: Some("ssh-ng://h aarch64-linux".to_owned()),
        max_jobs: Some("0".to_owned()),
        store: None,
    };
    let other = rig.nix.config(&options).unwrap();
    assert!(!other.builds_here);
    assert!(other.extra_platforms.iter().any(|name| name == "riscv64-linux"), "{other:?}");
    assert_eq!(other.extra_platforms.len(), config.extra_platforms.len() + 1);
    assert_eq!(other.features, ["big", "kvm"]);
    let [cache] = &config.trusted_keys[..] else { panic!("{config:?}") };
    assert_eq!(cache, image_formats::nix::signature::DEFAULT_KEY);
    assert_eq!(other.trusted_keys.len(), 2, "{other:?}");
    let [builder] = &Nix::builders(&other)[..] else { panic!("{other:?}") };
    assert!(builder.builds("aarch64-linux", &[]));
}

/// In a sandbox the fixture gets what it needs of the machine file by file.
fn sandbox() -> Vec<(String, String)> {
    let busybox = Tool::find("busybox").expect("apt-get install busybox-static");
    let busybox = busybox.program().display();
    let paths = format!("/bin/sh={busybox} /bin/busybox={busybox}");
    vec![("sandbox".to_owned(), "true".to_owned()), ("sandbox-paths".to_owned(), paths)]
}

/// `--store DIR` keeps the store paths, and puts the files below `DIR`.
#[test]
fn files_of_another_root_are_found() {
    let rig = Rig::new(RELEASES[0]);
    let root = rig.path("root");
    let mut request = rig.request(BUILDER);
    request.options.store = Some(root.display().to_string());
    request.options.settings = sandbox();
    // The other tests have a store directory of their own; this one wants real store paths.
    let tool = Tool::at(rig.nix.program())
        .env("NIX_CONF_DIR", rig.path("etc"))
        .env("NIX_USER_CONF_FILES", "/dev/null")
        .env("XDG_CACHE_HOME", rig.path("cache-of-root"));
    let nix = Nix::with(tool).unwrap();
    let built = nix.build(&request, &mut |_| ()).unwrap();
    assert!(built.store_path.starts_with("/nix/store/"), "{built:?}");
    assert!(built.physical.starts_with(&root), "{built:?}");
    assert!(built.physical.join("libexec/busybox").exists());
    let infos = nix.known_paths(&[&built.store_path], &request.options).unwrap();
    let [info] = &infos[..] else { panic!("{infos:?}") };
    assert!(info.built_here && info.signatures.is_empty(), "{info:?}");
    assert_eq!(info.nar_hash.as_deref(), Some(built.nar_hash.as_str()));
}

/// The host `localhost` of `ssh-ng` is reached without ssh: Nix's own tests do so.
#[test]
fn outputs_of_a_remote_store_are_copied_here() {
    let rig = Rig::new(RELEASES[0]);
    Tool::find("nix-daemon").expect("apt-get install nix-bin");
    let remote = rig.path("remote");
    let mut request = rig.request(BUILDER);
    request.options.store =
        Some(format!("ssh-ng://localhost?remote-store=local?root={}", remote.display()));
    // The daemon there reads its own settings, and it has our environment.
    let conf = rig.path("etc/nix.conf");
    let settings = sandbox().iter().map(|(k, v)| format!("{k} = {v}\n")).collect::<String>();
    fs::write(&conf, fs::read_to_string(&conf).unwrap() + &settings).unwrap();
    let built = rig.build(&request).0.unwrap();
    assert!(built.physical.join("bin/nixos-wsl-tarball-builder").exists());
    let name = built.store_path.rsplit('/').next().unwrap();
    assert!(remote.join("nix/store").join(name).exists());
    assert_eq!(fs::read_link(&request.out_link).unwrap(), Path::new(&built.store_path));

    request.options.store = Some("ssh-ng://nobody@nowhere.invalid".to_owned());
    let error = rig.build(&request).0.unwrap_err();
    let failure = error.failure().unwrap();
    assert!(matches!(failure, Failure::Network { .. } | Failure::Store { .. }), "{failure:?}");
}

#[test]
fn an_old_nix_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let nix = dir.path().join("nix");
    program::write(&nix, "#!/bin/sh\necho 'nix (Nix) 2.3.16'\n");
    let error = Nix::at(&nix).unwrap_err();
    assert!(matches!(error, NixError::TooOld { .. }));
    let text = error.to_string();
    assert!(text.ends_with("nix is Nix 2.3.16; the factory needs 2.8 or later"), "{text}");
}

#[test]
fn the_fixture_is_where_nix_finds_it() {
    let relative = FlakeRef::new("./tests/fixtures/wsl-flake", &workspace());
    assert!(Path::new(&relative.to_string()).join("flake.nix").exists());
}
