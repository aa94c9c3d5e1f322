//! A lock file of an image's own against real Nix: three releases, offline, with a store of its own
//! each.

#[path = "../../image-nix/tests/support/folders.rs"]
mod folders;
#[path = "support/generators.rs"]
mod generators;
#[path = "../../image-nix/tests/support/rig.rs"]
mod rig;

use std::{
    fs,
    path::{Path, PathBuf},
};

use image_factory::{
    Extension, NixImageInput, NixOptions, Target,
    driver::{
        BuildOutput,
        nix_image::{self, NixImageError, Purpose, formats},
    },
};
use image_model::{Driver, Route};
use image_nix::{FlakeRef, UpdateRequest, read_lock};
use rig::{Rig, each_release};

each_release! {
    Project:
    an_image_is_made_of_what_its_lock_says
    a_lock_that_moves_meanwhile_does_not_count
    a_lock_that_does_not_fit_says_what_mends_it
}

const SYSTEM: &str = "aarch64-linux";

/// A flake with one host and one input, which says what is in the image.
struct Project {
    rig: Rig,
}

impl Project {
    fn new(release: &str) -> Self {
        let project = Self { rig: Rig::new(release) };
        let dir = project.rig.path("").display().to_string();
        project.rig.write("words/flake.nix", "{ outputs = { self }: { text = \"first\"; }; }");
        project.rig.write(
            "flake/flake.nix",
            &format!(
                r#"{{
  inputs.words.url = "path:{dir}words";
  outputs = {{ self, words }}:
    let
      system = "{}-linux";
      image = profiles: derivation {{
        name = "card";
        inherit system profiles;
        inherit (words) text;
        builder = "/bin/sh";
        args = [ "-euc" ''/bin/busybox mkdir "$out"; echo "$text" $profiles > "$out/card.img.zst"'' ];
      }};
      config = profiles: {{
        imageFactory.knownProfiles = [ "essential" ];
        nixpkgs.hostPlatform.system = "{SYSTEM}";
        nixpkgs.buildPlatform.system = system;
        system.build = {{ images.sd-card = image profiles; sdImage = image profiles; }};
      }};
      # What nixos-generators adds is the module of a format; the factory adds profiles.
      extendModules = {{ modules }}:
        let added = builtins.foldl' (a: b: a // b) {{ }} modules; in
        {{ config = config (added.config.imageFactory.profiles.content or [ ]) // added; }};
    in
    {{ nixosConfigurations.card = {{ config = config [ ]; inherit extendModules; }}; }};
}}"#,
                std::env::consts::ARCH
            ),
        );
        project
    }

    fn flake(&self, lock: Option<PathBuf>) -> FlakeRef {
        FlakeRef::new("path:./flake", self.rig.dir.path()).locked_by(lock)
    }

    /// Writes a lock file with what the input is now.
    fn lock(&self, name: &str) -> PathBuf {
        let request = UpdateRequest {
            flake: self.flake(None),
            inputs: Vec::new(),
            work: self.rig.empty("update"),
            options: NixOptions::default(),
        };
        let text = self.rig.nix.update_lock(&request, &mut |_| ()).unwrap();
        self.rig.write(name, &text);
        self.rig.path(name)
    }

    fn build(&self, route: Route, lock: &Path) -> Result<BuildOutput, NixImageError> {
        self.build_with(route, lock, None, &|| ())
    }

    fn build_with(
        &self,
        route: Route,
        lock: &Path,
        extension: Option<Extension>,
        begun: &(dyn Fn() + Sync),
    ) -> Result<BuildOutput, NixImageError> {
        let (attribute, name) = ("nixosConfigurations.card".to_owned(), "sd-card".to_owned());
        let format = formats::find(&name, SYSTEM).unwrap();
        let input = NixImageInput {
            asked: Some("./flake".to_owned()),
            flake: self.flake(Some(lock.to_owned())),
            target: Target::Host { attribute, name, format },
            extension,
            route,
            options: NixOptions::default(),
            nix: self.rig.called_nix(),
            generator: Some(self.rig.generator()),
        };
        let purpose = Purpose { system: SYSTEM, boots: &[] };
        // Whatever is told, it has begun.
        nix_image::build(Driver::NixImage, &input, purpose, &self.rig.empty("work"), &|_| begun())
    }
}

fn an_image_is_made_of_what_its_lock_says(project: &Project) {
    let first = project.lock("locks/first.lock");
    project.rig.write("words/flake.nix", "{ outputs = { self }: { text = \"second\"; }; }");
    let second = project.lock("locks/second.lock");
    for route in [Route::Variant, Route::Module, Route::GeneratorsCli] {
        for (lock, text) in [(&first, "first"), (&second, "second")] {
            let built = project.build(route, lock).unwrap();
            assert_eq!(fs::read_to_string(&built.file).unwrap().trim(), text, "{route}");
            // What is told is what was locked, and of the flake that was asked for.
            let inputs = read_lock(lock).unwrap().inputs();
            let [words] = &inputs[..] else { panic!("{inputs:?}") };
            let image_nix::lock::Pin::Locked(words) = &words.pin else { panic!("{words:?}") };
            let told = built.source.inputs;
            assert_eq!(told, [("words".to_owned(), words.nar_hash.clone().unwrap())].into());
            assert!(built.source.locked.unwrap().starts_with("path:?narHash=sha256-"));
        }
    }
    // Profiles are added to what the lock says.
    let extension = Extension::of("nixosConfigurations.card", vec!["essential".to_owned()]);
    let built = project.build_with(Route::Variant, &first, extension, &|| ()).unwrap();
    assert_eq!(fs::read_to_string(&built.file).unwrap().trim(), "first essential");
    assert!(!project.rig.path("flake/flake.lock").exists());
}

/// `lock update` while an image is built: the manifest tells what is in it.
fn a_lock_that_moves_meanwhile_does_not_count(project: &Project) {
    let lock = project.lock("own.lock");
    let inputs = || image_nix::store::locked_inputs(read_lock(&lock).unwrap().json());
    let first = inputs();
    project.rig.write("words/flake.nix", "{ outputs = { self }: { text = \"second\"; }; }");
    let second = fs::read(project.lock("new.lock")).unwrap();
    let moves = || fs::write(&lock, &second).unwrap();
    let built = project.build_with(Route::Variant, &lock, None, &moves).unwrap();
    assert_ne!(inputs(), first);
    assert_eq!(built.source.inputs, first);
    assert_eq!(fs::read_to_string(&built.file).unwrap().trim(), "first");
}

fn a_lock_that_does_not_fit_says_what_mends_it(project: &Project) {
    let lock = project.rig.path("own.lock");
    project.rig.write("own.lock", r#"{ "nodes": { "root": {} }, "root": "root", "version": 7 }"#);
    let error = project.build(Route::Auto, &lock).unwrap_err().to_string();
    let says = ["own.lock does not fit the flake", "`lock update IMAGE [INPUT…]`"];
    assert!(says.iter().all(|says| error.contains(says)), "{error}");
    project.rig.write("own.lock", "{}");
    let error = project.build(Route::Auto, &lock).unwrap_err();
    assert!(matches!(&error, NixImageError::Nix(_)), "{error:?}");
}
