use std::path::Path;

use image_model::CompressionSpec;

use super::*;

fn definition(attribute: &str, variant: &str) -> Definition {
    let text = format!(
        "kind = \"sd\"\nsystem = \"aarch64-linux\"\ntitle = \"t\"\n[build]\n\
         driver = \"nix-image\"\nflake = \".\"\nattribute = \"{attribute}\"\n{variant}\n"
    );
    Definition {
        name: "card".to_owned(),
        spec: toml::from_str(&text).unwrap(),
        root: "/srv".into(),
    }
}

/// The target as text: `attribute`, or `host: variant`.
fn shown(definition: &Definition, flake: &str, options: &Options) -> Result<String, String> {
    let flake = FlakeRef::new(flake, Path::new("/"));
    match target::resolve(definition, options, &flake) {
        Ok(Target::Attribute(attribute)) => Ok(attribute),
        Ok(Target::Host { attribute, name, .. }) => Ok(format!("{attribute}: {name}")),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn a_target_is_a_host_or_a_derivation() {
    let card = definition("nixosConfigurations.card", "variant = \"sd-card\"");
    let plain = Options::default();
    let shown = |flake: &str| shown(&card, flake, &plain).unwrap();
    assert_eq!(shown("."), "nixosConfigurations.card: sd-card");
    assert_eq!(shown(".#"), "nixosConfigurations.card: sd-card");
    assert_eq!(shown(".#mine"), "nixosConfigurations.mine: sd-card");
    assert_eq!(shown(".#\"a.b\""), "nixosConfigurations.\"a.b\": sd-card");
    assert_eq!(shown(".#\"config.a\""), "nixosConfigurations.\"config.a\": sd-card");
    assert_eq!(shown(".#nixosConfigurations.mine"), "nixosConfigurations.mine: sd-card");
    for derivation in
        ["nixosConfigurations.mine.config.system.build.sdImage", "packages.aarch64-linux.card"]
    {
        assert_eq!(shown(&format!(".#{derivation}")), derivation);
    }
}

#[test]
fn the_command_line_comes_before_the_definition_and_the_kind() {
    let attribute = |attribute: &str| Some(attribute.to_owned());
    let card = definition("nixosConfigurations.card", "");
    let plain = Options::default();
    assert_eq!(shown(&card, ".", &plain).unwrap(), "nixosConfigurations.card: sd-card");
    let other = Options { variant: Some("raw-efi".to_owned()), ..Options::default() };
    assert_eq!(shown(&card, ".", &other).unwrap(), "nixosConfigurations.card: raw-efi");
    let other = Options { variant: Some("raw-fei".to_owned()), ..Options::default() };
    assert!(shown(&card, ".", &other).unwrap_err().contains("did you mean \"raw-efi\"?"));
    let own = Options { attribute: attribute("packages.x.y"), ..Options::default() };
    assert_eq!(shown(&card, ".#mine", &own).unwrap(), "packages.x.y");
    let both = Options { route: Some(Route::Module), ..own };
    assert!(shown(&card, ".", &both).unwrap_err().starts_with("packages.x.y is a derivation"));
}

#[test]
fn the_name_of_a_file_says_what_is_around_it() {
    let mut spec = definition("nixosConfigurations.card", "").spec;
    let mut name = |kind, compression| {
        spec.kind = kind;
        spec.finish.compression = compression;
        spec.file_name().rsplit_once('}').map(|(_, ending)| ending.to_owned()).unwrap()
    };
    let xz = CompressionSpec::Xz { level: 6 };
    assert_eq!(name(ImageKind::Iso, None), ".iso");
    assert_eq!(name(ImageKind::Iso, Some(xz)), ".iso.xz");
    assert_eq!(name(ImageKind::Sd, None), ".img.zst");
    assert_eq!(name(ImageKind::Sd, Some(CompressionSpec::None)), ".img");
    assert_eq!(name(ImageKind::Wsl, Some(CompressionSpec::None)), ".wsl");
}

#[test]
fn what_is_made_for_wsl_is_no_card() {
    let card = definition("nixosConfigurations.card", "");
    for driver in [Driver::Mini, Driver::NixosWsl] {
        let options = Options { driver: Some(driver), ..Options::default() };
        let error = plan(&card, &options).unwrap_err();
        assert!(error.is_usage() && matches!(error, PlanError::OtherKind { .. }), "{error}");
    }
    let file = Some(PathBuf::from("card.img"));
    let options = Options { from: file, variant: Some("iso".to_owned()), ..Options::default() };
    assert!(matches!(plan(&card, &options), Err(PlanError::VariantUnwanted { .. })));
}

#[test]
fn profiles_are_of_a_configuration() {
    let options = |names: &[&str]| Options {
        profiles: names.iter().map(|name| name.to_string()).collect(),
        ..Options::default()
    };
    let profiles = |attribute: &str, names: &[&str]| extension(attribute, &options(names));
    let host = "nixosConfigurations.card";
    assert_eq!(profiles(host, &[]).unwrap(), None);
    let twice = profiles(host, &["b", "a", "b"]).unwrap().unwrap();
    assert_eq!(
        (twice.host.as_str(), &twice.profiles[..]),
        ("card", &["b", "a"].map(str::to_owned)[..])
    );
    let below = profiles("nixosConfigurations.card.config.x", &["a"]).unwrap().unwrap();
    assert_eq!(below.host, "card");
    let error = profiles("packages.x.card", &["a"]).unwrap_err();
    assert!(error.is_usage() && matches!(error, PlanError::ProfilesOfOther { .. }), "{error}");

    let card = definition(host, "");
    for driver in [Driver::NixosGenerators, Driver::Prebuilt] {
        let options = Options { driver: Some(driver), ..options(&["a"]) };
        let error = plan(&card, &options).unwrap_err();
        assert!(matches!(error, PlanError::ProfilesUnwanted { .. }), "{error}");
    }
}

#[test]
fn without_nix_there_is_no_other_card() {
    let error = PlanError::NoNix { driver: Driver::NixImage, mini: false };
    let text = error.to_string();
    assert!(text.contains("install it") && !text.contains("mini system"), "{text}");
    assert!(!error.is_usage());
}
