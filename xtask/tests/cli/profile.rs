//! `image --profile`.

use image_model::Manifest;

use crate::{
    common::{Project, Ran},
    nix::Rig,
};

fn image(rig: &Rig, args: &[&str]) -> Ran {
    Ran::of(rig.command().args(["image", "wsl", "--flake", "path:flake"]).args(args))
}

fn manifest(rig: &Rig) -> Manifest {
    let text = std::fs::read(rig.project.path("dist/wsl/manifest.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn an_image_has_the_profiles_that_were_asked_for() {
    let rig = Rig::new();
    image(&rig, &[]).exits(0);
    let plain = manifest(&rig).source;
    image(&rig, &["--profile", "essential,kubernetes", "--profile", "essential"]).exits(0);
    let source = manifest(&rig).source;
    assert_eq!(source.profiles, ["essential", "kubernetes"]);
    assert_eq!((&source.locked, &source.attribute), (&plain.locked, &plain.attribute));
    assert_ne!(source.derivation, plain.derivation);
    // The generated flake went with the work folder, and the user's is as it was.
    assert_eq!(rig.project.list("dist"), ["wsl"]);
    assert_eq!(rig.project.list("flake"), ["flake.nix", "store.sh", "tarball-builder.sh"]);
}

#[test]
fn unknown_profiles_are_refused_with_the_known_ones() {
    let rig = Rig::new();
    image(&rig, &["--profile", "kubernets"]).exits(2).says(
        "no profile of nixosConfigurations.wsl is called \"kubernets\", did you mean \
         \"kubernetes\"?; known are essential, kubernetes",
    );
    assert_eq!(rig.project.list("dist"), [""; 0]);
}

#[test]
fn a_dry_run_tells_the_profiles() {
    let rig = Rig::new();
    let args = ["--profile", "essential,kubernetes", "--dry-run"];
    image(&rig, &args).exits(0).says("profiles   essential, kubernetes\n");
    let plan = image(&rig, &[&args[..], &["--format", "json"]].concat()).exits(0).json();
    assert_eq!(plan[0]["input"]["profiles"], serde_json::json!(["essential", "kubernetes"]));
    let plan = image(&rig, &["--dry-run", "--format", "json"]).exits(0).json();
    assert!(plan[0]["input"].get("profiles").is_none(), "{plan}");
}

#[test]
fn what_has_no_profiles_is_refused() {
    let rig = Rig::new();
    let refused = |args: &[&str], says: &str| {
        Ran::of(rig.command().args(["image", "wsl", "--profile", "full"]).args(args))
            .exits(2)
            .says(says);
    };
    refused(&["--driver", "mini"], "--profile goes with the drivers nixos-wsl and nix-image, not");
    refused(&["--from", "x.tar"], "cannot be used with");
    refused(
        &["--attribute", "packages.x86_64-linux.wsl"],
        "--profile sets an option of a NixOS configuration, and packages.x86_64-linux.wsl is no",
    );
    let by_program = ["--driver", "nix-image", "--variant", "iso", "--flake", ".#x"];
    let program = [&by_program[..], &["--route", "generators-cli"]].concat();
    refused(&program, "nixos-generate cannot set profiles");

    // Without Nix there is another system, which has no profiles either.
    let project = Project::new();
    project.run(&["image", "wsl", "--profile", "full"]).exits(3).says("needs Nix");
}
