use super::{super::formats, super::question::Names, *};

const HOST: &str = "nixosConfigurations.card";

fn names(names: &[&str]) -> Option<Names> {
    Some(Names::Known(names.iter().map(|name| name.to_string()).collect()))
}

/// What there is; what is not said is not there.
#[derive(Clone, Default)]
struct Flake {
    host: Option<Host>,
    has_generators: bool,
    has_program: bool,
    packages: &'static [&'static str],
}

impl Flake {
    fn with(host: Host) -> Self {
        Self { host: Some(host), ..Self::default() }
    }

    fn choose_as(&self, driver: Driver, route: Route, name: &str) -> Result<Chosen, NoWay> {
        let format = formats::find(name, "aarch64-linux").unwrap();
        let wanted = Wanted { driver, route, host: HOST, format, name, system: "aarch64-linux" };
        let facts = Facts {
            host: self.host.as_ref(),
            has_generators: self.has_generators,
            has_program: self.has_program,
        };
        let packages = || Ok(self.packages.iter().map(|name| name.to_string()).collect());
        choose(&wanted, &facts, packages).unwrap()
    }

    /// The route of `auto`.
    fn route(&self) -> String {
        self.choose_as(Driver::NixImage, Route::Auto, "sd-card").unwrap().route
    }
}

fn everything() -> Flake {
    Flake {
        host: Some(Host {
            images: names(&["iso", "sd-card"]),
            formats: names(&["iso", "sd-aarch64"]),
            attributes: ["sdImage", "image", "vm"].map(str::to_owned).into(),
            ..Host::default()
        }),
        has_generators: true,
        has_program: true,
        packages: &["hello", "card"],
    }
}

#[test]
fn auto_takes_the_first_that_is_there() {
    let mut flake = everything();
    assert_eq!(flake.route(), "images.sd-card");
    flake.host.as_mut().unwrap().images = None;
    assert_eq!(flake.route(), "formats.sd-aarch64");
    flake.host.as_mut().unwrap().formats = None;
    assert_eq!(flake.route(), "packages.aarch64-linux.card");
    flake.packages = &["sd-aarch64"];
    assert_eq!(flake.route(), "packages.aarch64-linux.sd-aarch64");
    flake.packages = &[];
    assert_eq!(flake.route(), "nixos-generate -f sd-aarch64");
    flake.has_program = false;
    assert_eq!(flake.route(), "sdImage");
    flake.host.as_mut().unwrap().attributes.remove(0);
    assert_eq!(flake.route(), "image");
}

#[test]
fn a_route_that_is_named_is_the_only_one() {
    let flake = everything();
    let chosen = |route| flake.choose_as(Driver::NixImage, route, "sd-card").unwrap();
    let attribute = |attribute: &str| Way::Attribute(format!("{HOST}.config.{attribute}"));
    assert_eq!(chosen(Route::Variant).way, attribute("system.build.images.sd-card"));
    assert_eq!(chosen(Route::Generators).way, attribute("formats.sd-aarch64"));
    assert_eq!(chosen(Route::GeneratorsCli).way, Way::Program("sd-aarch64"));
    assert_eq!(chosen(Route::Module).way, attribute("system.build.sdImage"));
    let generators = flake.choose_as(Driver::NixosGenerators, Route::Auto, "sd-card").unwrap();
    assert_eq!(generators.route, "formats.sd-aarch64");
    // It does not fall back on what is no image of nixos-generators.
    let host = Host { images: names(&["sd-card"]), ..Host::default() };
    assert!(Flake::with(host).choose_as(Driver::NixosGenerators, Route::Auto, "sd-card").is_err());
}

#[test]
fn what_happens_to_be_on_the_machine_does_not_decide() {
    let host =
        Host { images: names(&[]), attributes: vec!["sdImage".to_owned()], ..Host::default() };
    let flake = Flake { has_program: true, packages: &["card"], ..Flake::with(host) };
    assert_eq!(flake.route(), "sdImage");
}

#[test]
fn a_flake_without_hosts_may_have_packages() {
    let flake = Flake { has_generators: true, packages: &["card"], ..Flake::default() };
    assert_eq!(flake.route(), "packages.aarch64-linux.card");
}

#[test]
fn images_that_cannot_be_told_are_tried() {
    let flake = Flake::with(Host { images: Some(Names::Broken(false)), ..Host::default() });
    assert_eq!(flake.route(), "images.sd-card");
}

#[test]
fn generators_are_told_to_be_deprecated_and_different() {
    let flake = everything();
    let notices =
        |route, name| flake.choose_as(Driver::NixImage, route, name).unwrap().notices.join("\n");
    assert_eq!(notices(Route::Variant, "sd-card"), "");
    assert_eq!(
        notices(Route::Generators, "sd-card"),
        "the image is made by nixos-generators (formats.sd-aarch64), which its authors call \
         deprecated; nixpkgs 25.05 and later make it by themselves, as the variant sd-card"
    );
    let qcow = notices(Route::GeneratorsCli, "qemu");
    assert!(qcow.contains("not the same image as the variant qemu: "), "{qcow}");
    let installer = notices(Route::Variant, "sd-aarch64-installer");
    assert!(installer.contains("not the same image as sd-aarch64-installer: "), "{installer}");
}

#[test]
fn nixpkgs_is_not_said_to_have_our_variant() {
    let host = Host { formats: names(&["docker"]), ..Host::default() };
    let chosen = Flake::with(host).choose_as(Driver::NixImage, Route::Auto, "docker").unwrap();
    assert_eq!(
        chosen.notices,
        [
            "the image is made by nixos-generators (formats.docker), which its authors call deprecated",
            "it is not the same image as the variant docker: nixos-generators makes a root file \
             system for docker import, the variant an archive for docker load",
        ]
    );
}

#[test]
fn no_way_is_told_with_what_each_lacks() {
    let host = Host { images: names(&["iso"]), ..Host::default() };
    let flake = Flake::with(host);
    let text = |driver, route, name| flake.choose_as(driver, route, name).unwrap_err().to_string();
    assert_eq!(
        text(Driver::NixImage, Route::Auto, "sd-card"),
        "nixosConfigurations.card has no image sd-card: (1) variant: config.system.build.images has \
         no sd-card, but iso; (2) generators: the host does not import the module all-formats, and \
         the flake has no input nixos-generators; (3) generators-cli: the flake has no input \
         nixos-generators; (4) module: config.system.build has neither sdImage nor image"
    );
    assert_eq!(
        text(Driver::NixosGenerators, Route::Auto, "sd-card"),
        "nixosConfigurations.card has no image sd-card: (1) generators: the host does not import the \
         module all-formats, and packages.aarch64-linux has neither card nor sd-aarch64; (2) \
         generators-cli: nixos-generate is not in PATH (nix profile install \
         github:nix-community/nixos-generators gets it)"
    );
    assert_eq!(
        text(Driver::NixImage, Route::Variant, "vm-nogui"),
        "nixosConfigurations.card has no image vm-nogui: route variant: nixpkgs has no variant that \
         stands for it"
    );
    assert_eq!(
        text(Driver::NixImage, Route::Variant, "docker"),
        "nixosConfigurations.card has no image docker: route variant: config.system.build.images has \
         no docker, but iso; the module `nixosModules.default` of the image factory's flake adds it"
    );
    assert_eq!(
        text(Driver::NixImage, Route::Generators, "oci"),
        "nixosConfigurations.card has no image oci: route generators: nixos-generators has no format \
         that stands for it"
    );
}

#[test]
fn hosts_have_names() {
    assert_eq!(host_name("nixosConfigurations.card"), "card");
    assert_eq!(host_name("nixosConfigurations.\"a.b\""), "a.b");
}
