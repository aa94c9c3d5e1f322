//! The drivers `nix-image` and `nixos-generators` against real Nix: three releases, offline, with a
//! store of its own each, and a stand-in for the program `nixos-generate`.

#[path = "support/generators.rs"]
mod generators;
#[path = "../../image-nix/tests/support/rig.rs"]
mod rig;

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

use image_factory::{
    Event, Fault, NixImageInput, NixOptions, Target,
    driver::{
        BuildOutput, Event as DriverEvent,
        nix_image::{self, NixImageError, Purpose, formats},
    },
};
use image_model::{Boot, Driver, Route};
use image_nix::{FlakeRef, Generator};
use rig::{RELEASES, each_release, workspace};

each_release! {
    Rig:
    every_route_leads_to_its_image
    the_image_is_found_wherever_it_is
    what_is_wrong_is_said_before_or_after_the_build
    the_program_is_run_as_it_wants_to_be
}

const SYSTEM: &str = "aarch64-linux";

struct Rig {
    nix: rig::Rig,
    work: PathBuf,
}

/// What is asked of the fixture.
#[derive(Clone)]
struct Asked {
    driver: Driver,
    target: String,
    variant: &'static str,
    route: Route,
    options: NixOptions,
    boots: &'static [Boot],
}

/// An image of a host.
fn host(name: &str) -> Asked {
    Asked {
        driver: Driver::NixImage,
        target: format!("nixosConfigurations.{name}"),
        variant: "sd-card",
        route: Route::Auto,
        options: NixOptions::default(),
        boots: &[],
    }
}

impl Rig {
    fn new(release: &str) -> Self {
        let nix = rig::Rig::new(release);
        let work = nix.path("work");
        Self { nix, work }
    }

    fn build(&self, asked: &Asked) -> (Result<BuildOutput, NixImageError>, Vec<Event>) {
        self.build_with(asked, None)
    }

    fn build_with(
        &self,
        asked: &Asked,
        generator: Option<Generator>,
    ) -> (Result<BuildOutput, NixImageError>, Vec<Event>) {
        let flake = workspace().join("tests/fixtures/image-flake");
        let format = formats::find(asked.variant, SYSTEM).unwrap();
        let is_host = !asked.target.contains("config.") && !asked.target.starts_with("packages.");
        let input = NixImageInput {
            asked: None,
            flake: FlakeRef::new(&format!("path:{}", flake.display()), Path::new("/")),
            target: match is_host {
                true => Target::Host {
                    attribute: asked.target.clone(),
                    name: asked.variant.to_owned(),
                    format,
                },
                false => Target::Attribute(asked.target.clone()),
            },
            extension: None,
            route: asked.route,
            options: asked.options.clone(),
            nix: self.nix.called_nix(),
            generator,
        };
        let _ = fs::remove_dir_all(&self.work);
        fs::create_dir(&self.work).unwrap();
        let events = Mutex::new(Vec::new());
        let purpose = Purpose { system: SYSTEM, boots: asked.boots };
        let built = nix_image::build(asked.driver, &input, purpose, &self.work, &|event| {
            events.lock().unwrap().push(event);
        });
        (built, events.into_inner().unwrap())
    }

    /// The image's own name, which the fixture writes into it, and its route.
    fn image(&self, asked: &Asked) -> (String, String) {
        let built = self.build(asked).0.unwrap_or_else(|error| panic!("{}", chain(&error)));
        let text = fs::read_to_string(&built.file).unwrap();
        assert!(built.source.derivation.is_some(), "{:?}", built.source);
        (text.trim().to_owned(), built.source.route)
    }

    fn error(&self, asked: &Asked) -> String {
        chain(&self.build(asked).0.unwrap_err())
    }
}

/// The error with its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!("; because: {cause}");
        source = cause.source();
    }
    text
}

fn notices(events: &[Event]) -> String {
    let notice = |event: &Event| match event {
        Event::Notice(text) => Some(text.clone()),
        _ => None,
    };
    events.iter().filter_map(notice).collect::<Vec<_>>().join("\n")
}

fn every_route_leads_to_its_image(rig: &Rig) {
    let pair = |file: &str, route: &str| (file.to_owned(), route.to_owned());
    let (built, events) = rig.build(&host("variant"));
    let built = built.unwrap_or_else(|error| panic!("{}", chain(&error)));
    assert_eq!(fs::read_to_string(&built.file).unwrap(), "sd-image/promised.img.zst\n");
    assert_eq!(notices(&events), "");
    let source = &built.source;
    assert_eq!((source.driver, source.route.as_str()), (Driver::NixImage, "images.sd-card"));
    assert_eq!(
        source.attribute.as_deref(),
        Some("nixosConfigurations.variant.config.system.build.images.sd-card")
    );
    assert!(source.nar_hash.as_ref().is_some_and(|hash| hash.starts_with("sha256-")));
    assert!(source.locked.as_ref().is_some_and(|locked| locked.starts_with("path:?narHash=")));
    assert!(built.file.starts_with(source.store_path.as_ref().unwrap()));
    assert_eq!(built.tools[0].name, "nix");
    // Either name leads there.
    let other_name = Asked { variant: "sd-aarch64", ..host("variant") };
    assert_eq!(rig.image(&other_name).1, "images.sd-card");

    assert_eq!(rig.image(&host("module")), pair("sd-image/module.img", "sdImage"));
    assert_eq!(rig.image(&host("formats")), pair("sd-image/formats.img.zst", "formats.sd-aarch64"));
    assert!(notices(&rig.build(&host("formats")).1).contains("deprecated"));

    let packaged = Asked { driver: Driver::NixosGenerators, ..host("packaged") };
    let route = "packages.aarch64-linux.packaged";
    assert_eq!(rig.image(&packaged), pair("sd-image/packaged.img.zst", route));
    let complete = Asked { target: route.to_owned(), ..host("") };
    assert_eq!(rig.image(&complete), pair("sd-image/packaged.img.zst", "attribute"));
    let target = "nixosConfigurations.variant.config.system.build.images.sd-card".to_owned();
    let complete = Asked { target, ..host("") };
    assert_eq!(rig.image(&complete), pair("sd-image/promised.img.zst", "attribute"));
}

fn the_image_is_found_wherever_it_is(rig: &Rig) {
    assert_eq!(rig.image(&host("products")).0, "nixos.ova");
    assert_eq!(rig.image(&host("file")).0, "image");
    let several = rig.error(&host("several"));
    assert!(
        several.ends_with("-several may be the image: sd-image/a.img, sd-image/b.img"),
        "{several}"
    );
    let none = rig.error(&host("none"));
    assert!(
        none.ends_with("-none is known to be an image; there are README, bin/run-vm"),
        "{none}"
    );
}

fn what_is_wrong_is_said_before_or_after_the_build(rig: &Rig) {
    assert_eq!(
        rig.error(&host("other-system")),
        "nixosConfigurations.other-system is for x86_64-linux, and the definition says \
         aarch64-linux: one of them is wrong, or the host does not set nixpkgs.hostPlatform"
    );
    let foreign = rig.error(&host("foreign-builder"));
    assert!(foreign.starts_with("nothing here can build for riscv64-linux: "), "{foreign}");
    assert!(foreign.contains("extra-extra-platforms = riscv64-linux"), "{foreign}");
    // With somebody to send it to, the build starts; what it is to build is no derivation.
    let mut asked = host("foreign-builder");
    asked.options.builders = Some("ssh-ng://nowhere.invalid riscv64-linux".to_owned());
    let error = rig.error(&asked);
    assert!(error.contains("not a derivation"), "{error}");

    let broken = rig.error(&host("broken"));
    assert!(broken.contains("the module of the images is broken"), "{broken}");
    let empty = rig.error(&host("empty"));
    assert!(empty.starts_with("nixosConfigurations.empty has no image sd-card: (1) "), "{empty}");
    let typo = rig.error(&host("variants"));
    assert!(typo.contains("did you mean variant?"), "{typo}");

    // Nothing is built where a promise will not be kept, and all is where nothing is promised.
    for (name, route, place) in [
        ("disc", "images.iso", " in image.modules.iso of the configuration, "),
        ("disc-module", "isoImage", " in the configuration, "),
    ] {
        let disc = Asked { variant: "iso", ..host(name) };
        assert_eq!(rig.image(&disc).1, route);
        let error = rig.error(&Asked { boots: &[Boot::UefiAarch64], ..disc });
        assert!(error.contains(" will not start by uefi-aarch64, "), "{error}");
        assert!(error.contains(&format!("set isoImage.makeEfiBootable = true{place}")), "{error}");
    }

    let explicit = Asked { route: Route::Module, ..host("variant") };
    let text = rig.error(&Asked { variant: "oci", ..explicit });
    assert!(text.contains("nobody asked for this one"), "the generic image: {text}");
}

fn the_program_is_run_as_it_wants_to_be(rig: &Rig) {
    let mut asked = Asked { route: Route::GeneratorsCli, ..host("variant") };
    asked.options.settings = vec![("connect-timeout".to_owned(), "5".to_owned())];
    let (built, events) = rig.build_with(&asked, Some(rig.nix.generator()));
    let built = built.unwrap_or_else(|error| panic!("{}", chain(&error)));
    assert_eq!(fs::read_to_string(&built.file).unwrap(), "sd-image/generated.img.zst\n");
    assert_eq!(built.source.route, "nixos-generate -f sd-aarch64");
    assert_eq!(built.source.attribute.as_deref(), Some("nixosConfigurations.variant"));
    assert!(built.source.derivation.is_some_and(|path| path.ends_with("-generated.drv")));
    assert!(built.source.nar_hash.is_some());
    assert!(notices(&events).contains("deprecated"), "{events:?}");
    let logged = |event: &Event| matches!(event, Event::Driver(DriverEvent::Log(_)));
    assert!(events.iter().any(logged), "{events:?}");

    // Where it would take the first of two files, we do not.
    let ambiguous = Asked { variant: "iso", ..asked.clone() };
    let error = chain(&rig.build_with(&ambiguous, Some(rig.nix.generator())).0.unwrap_err());
    assert!(error.ends_with("may be the image: iso/a.iso, iso/b.iso"), "{error}");

    let unknown = Asked { variant: "vmware", ..asked.clone() };
    let error = chain(&rig.build_with(&unknown, Some(rig.nix.generator())).0.unwrap_err());
    assert!(error.contains("aborted: format file not found: "), "{error}");

    let absent = rig.error(&asked);
    assert!(absent.contains("route generators-cli: nixos-generate is not in PATH"), "{absent}");

    asked.options.store = Some(rig.work.join("root").display().to_string());
    let error = rig.build_with(&asked, Some(rig.nix.generator())).0.unwrap_err();
    assert!(matches!(error, NixImageError::OtherStore { .. }), "{}", chain(&error));
    assert_eq!(error.fault(), Fault::Usage);
}

#[test]
fn a_folder_without_a_flake_is_told_with_the_flag() {
    let rig = Rig::new(RELEASES[0]);
    fs::create_dir(&rig.work).unwrap();
    let target = Target::Attribute("packages.x86_64-linux.x".to_owned());
    let input = NixImageInput {
        asked: None,
        flake: FlakeRef::new(".", &rig.work),
        target,
        extension: None,
        route: Route::Auto,
        options: NixOptions::default(),
        nix: rig.nix.called_nix(),
        generator: None,
    };
    let purpose = Purpose { system: SYSTEM, boots: &[] };
    let error =
        nix_image::build(Driver::NixImage, &input, purpose, &rig.work, &|_| ()).unwrap_err();
    let expected = format!(
        "there is no flake at {}: name the one to build with --flake REF#NAME",
        rig.work.display()
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.fault(), Fault::Usage);
}
