//! `--profile` against real Nix: three releases, offline, with a store of its own each.

#[path = "../../image-nix/tests/support/folders.rs"]
mod folders;
#[path = "../../image-nix/tests/support/git.rs"]
mod git;
#[path = "../../image-nix/tests/support/rig.rs"]
mod rig;

use std::fs;

use image_factory::{
    Extension, Fault, NixImageInput, NixOptions, Target,
    driver::{
        BuildOutput,
        nix_image::{self, NixImageError, Purpose, formats},
    },
};
use image_host::tool::Tool;
use image_model::{Driver, Route};
use image_nix::FlakeRef;
use rig::{Rig, each_release, environment, workspace};

each_release! {
    Project:
    profiles_reach_the_image_by_every_route
    what_cannot_be_set_is_refused_before_the_build
    the_flake_is_told_and_not_the_one_around_it
}

const SYSTEM: &str = "aarch64-linux";

/// The fixture in the folder `nix` of a repository, and a Nix that reads it.
struct Project {
    rig: Rig,
}

impl Project {
    fn new(release: &str) -> Self {
        let rig = Rig::new(release);
        let fixture = workspace().join("tests/fixtures/profile-flake/flake.nix");
        rig.write("repository/nix/flake.nix", &fs::read_to_string(fixture).unwrap());
        rig.commit_all("repository");
        Self { rig }
    }

    fn commit(&self) -> String {
        self.rig.git("repository", &["rev-parse", "HEAD"]).trim().to_owned()
    }

    /// Builds the image of a host, or an attribute.
    fn build(
        &self,
        attribute: &str,
        route: Route,
        profiles: &[&str],
    ) -> Result<BuildOutput, NixImageError> {
        let profiles: Vec<_> = profiles.iter().map(|name| name.to_string()).collect();
        let name = "sd-card".to_owned();
        let format = formats::find(&name, SYSTEM).unwrap();
        let target = match attribute.contains(".config.") {
            true => Target::Attribute(attribute.to_owned()),
            false => Target::Host { attribute: attribute.to_owned(), name, format },
        };
        let input = NixImageInput {
            asked: Some("./nix".to_owned()),
            flake: FlakeRef::new("./repository/nix", self.rig.dir.path()),
            target,
            extension: (!profiles.is_empty()).then(|| Extension::of(attribute, profiles).unwrap()),
            route,
            options: NixOptions::default(),
            nix: image_nix::Nix::with(environment(
                self.rig.dir.path(),
                Tool::at(self.rig.nix.program()),
            ))
            .unwrap(),
            generator: None,
        };
        let work = self.rig.empty("work");
        let purpose = Purpose { system: SYSTEM, boots: &[] };
        nix_image::build(Driver::NixImage, &input, purpose, &work, &|_| ())
    }

    /// What the image is made of: its profiles, and the commit.
    fn content(&self, attribute: &str, route: Route, profiles: &[&str]) -> String {
        let built = self.build(attribute, route, profiles).unwrap();
        fs::read_to_string(built.file).unwrap().trim().to_owned()
    }
}

fn profiles_reach_the_image_by_every_route(project: &Project) {
    let commit = project.commit();
    let image = "nixosConfigurations.module.config.system.build.sdImage";
    for (attribute, route) in [
        ("nixosConfigurations.variant", Route::Auto),
        ("nixosConfigurations.variant", Route::Variant),
        ("nixosConfigurations.module", Route::Module),
        (image, Route::Auto),
    ] {
        let content = |profiles: &[&str]| project.content(attribute, route, profiles);
        assert_eq!(content(&[]), format!("essential {commit}"), "{attribute}");
        // In the order in which they were named.
        assert_eq!(content(&["security", "full"]), format!("security full {commit}"));
    }
    // What is not committed is in the image, and said where Nix says it.
    project.rig.write("repository/nix/file", "new");
    project.rig.git("repository", &["add", "."]);
    let content = |host: &str, profiles: &[&str]| {
        project.content(&format!("nixosConfigurations.{host}"), Route::Auto, profiles)
    };
    let dirty = match project.rig.nix.version().release {
        (2, 8) => "none".to_owned(),
        _ => format!("{commit}-dirty"),
    };
    assert_eq!(content("variant", &[]), format!("essential {dirty}"));
    assert_eq!(content("variant", &["kubernetes"]), format!("kubernetes {dirty}"));
    // What the host sets itself is not changed.
    assert_eq!(content("numbered", &["kubernetes"]), "kubernetes 1.0");
    // One of an older module has no such option.
    assert_eq!(content("older", &["kubernetes"]), "kubernetes none");
}

fn what_cannot_be_set_is_refused_before_the_build(project: &Project) {
    let refused = |attribute: &str, route: Route, profiles: &[&str]| {
        let error = project.build(attribute, route, profiles).unwrap_err();
        assert_eq!(error.fault(), Fault::Usage, "{error}");
        error.to_string()
    };
    assert_eq!(
        refused("nixosConfigurations.variant", Route::Auto, &["full", "kubernets"]),
        "no profile of nixosConfigurations.variant is called \"kubernets\", did you mean \
         \"kubernetes\"?; known are essential, full, kubernetes, security"
    );
    assert_eq!(
        refused("nixosConfigurations.plain", Route::Auto, &["full"]),
        "nixosConfigurations.plain has no option imageFactory.profiles, which --profile sets: \
         import nixosModules.default of the image factory's flake in it"
    );
    let text = refused("nixosConfigurations.varaint", Route::Auto, &["full"]);
    assert!(text.contains("has no nixosConfigurations.varaint"), "{text}");
    // A package is not made of the host that it is called like.
    let text = refused("nixosConfigurations.variant", Route::Generators, &["full"]);
    assert!(text.contains("the image would be packages.aarch64-linux.variant"), "{text}");
    // Nothing was built for any of these.
    let out = project.rig.path("work/result");
    assert!(fs::symlink_metadata(out).is_err());
}

fn the_flake_is_told_and_not_the_one_around_it(project: &Project) {
    let host = "nixosConfigurations.variant";
    let plain = project.build(host, Route::Auto, &[]).unwrap().source;
    let source = project.build(host, Route::Auto, &["full", "security"]).unwrap().source;
    assert_eq!(source.profiles, ["full", "security"]);
    assert_eq!(plain.profiles, [""; 0]);
    let commit = project.commit();
    let locked = source.locked.as_ref().unwrap();
    assert!(locked.starts_with(&format!("git+file:?dir=nix&rev={commit}&narHash=")), "{locked}");
    assert_ne!(source.derivation, plain.derivation);
    let told = |source: &image_model::Source| {
        (
            source.locked.clone(),
            source.flake.clone(),
            source.inputs.clone(),
            source.attribute.clone(),
        )
    };
    assert_eq!(told(&source), told(&plain));
    // Asked for what it has, the host is what it was.
    let same = project.build(host, Route::Auto, &["essential"]).unwrap().source;
    assert_eq!(same.derivation, plain.derivation);
}
