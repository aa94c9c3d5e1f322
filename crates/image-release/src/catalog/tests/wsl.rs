use super::*;
use crate::catalog::{
    client::wsl::{List, Machine},
    wsl::FILE,
};

/// A release of images for WSL, by name of the definition and processor.
fn roots(names: &[(&str, &str)]) -> Release {
    let mut release = release();
    release.images = names
        .iter()
        .map(|(name, processor)| {
            let file = format!("nixos-{name}-26.05.1.wsl");
            testing::image(ImageKind::Wsl, name, &format!("{processor}-linux"), &file)
        })
        .collect();
    release
}

#[test]
fn definitions_for_two_processors_are_one_distribution() {
    let release = roots(&[
        ("wsl", "x86_64"),
        ("wsl-aarch64", "aarch64"),
        ("wsl-minimal", "x86_64"),
        ("wsl-arm64-minimal", "aarch64"),
        ("nixos-wsl-desktop", "x86_64"),
        ("wsl-again", "x86_64"),
        ("wsl-x86_64-again", "x86_64"),
        ("wsl-riscv", "riscv64"),
    ]);
    let catalogs = catalogs(&release);
    let reasons = why(&release, FILE);
    assert_eq!(
        reasons,
        [
            "nixos-again has an image for that processor already",
            "WSL runs on x86_64 and aarch64, not on riscv64",
        ]
    );
    assert_eq!(wrong(&release, &catalogs, FILE, document(&catalogs, FILE)), [""; 0]);
    let list = List::read(document(&catalogs, FILE)).unwrap();
    let installed = |name: Option<&str>, machine| {
        let found = list.lookup(name, machine)?;
        found.archive(machine).map(|archive| archive.url.rsplit('/').next().unwrap().to_owned())
    };
    let file = |name: &str| Some(format!("nixos-{name}-26.05.1.wsl"));
    let (amd, arm) = (Machine::Amd64, Machine::Arm64);
    assert_eq!(installed(None, amd), file("wsl"));
    assert_eq!(installed(None, arm), file("wsl-aarch64"));
    assert_eq!(installed(Some("NixOS"), amd), file("wsl"));
    assert_eq!(installed(Some("nixos-minimal"), amd), file("wsl-minimal"));
    assert_eq!(installed(Some("NixOS-Minimal"), arm), file("wsl-arm64-minimal"));
    assert_eq!(installed(Some("nixos-desktop"), amd), file("nixos-wsl-desktop"));
    assert_eq!(installed(Some("nixos-desktop"), arm), None);
    assert_eq!(installed(Some("nixos-riscv"), amd), None);
}

#[test]
fn what_wsl_does_not_unpack_is_left_out() {
    let mut release = roots(&[("wsl", "x86_64")]);
    for compression in [Compression::None, Compression::Zstd] {
        release.images[0].manifest.artifacts[0].compression = compression;
        assert_eq!(why(&release, FILE).len(), 1);
        assert!(!catalogs(&release).documents.iter().any(|document| document.file == FILE));
    }
}

#[test]
fn lists_that_the_validator_does_not_take_are_refused() {
    let release = roots(&[("wsl", "x86_64"), ("wsl-minimal", "x86_64")]);
    let catalogs = catalogs(&release);
    let text = str::from_utf8(document(&catalogs, FILE)).unwrap();
    let refused = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        wrong(&release, &catalogs, FILE, text.replacen(from, to, 1).as_bytes()).join(" & ")
    };
    let all = [
        refused("\"Default\": true", "\"Default\": false"),
        refused("\"Default\": false", "\"Default\": true"),
        refused("\"Name\": \"nixos\"", "\"Name\": \"NixOS\""),
        refused("\"Name\": \"nixos-minimal\"", "\"Name\": \"nixos/../x\""),
        refused("\"FriendlyName\"", "\"Friendly\""),
        refused("\"Default\": false,", "\"Default\": false, \"Size\": 1,"),
        refused("Amd64Url", "AmdUrl"),
        refused("    ", "  "),
    ];
    insta::assert_snapshot!(all.join("\n"), @r#"
    nixos: 0 of its entries are the default, not one
    nixos: 2 of its entries are the default, not one
    NixOS: its name does not begin with "nixos"
    nixos/../x: a name is letters, digits, dots, hyphens and underscores
    nixos: missing field `FriendlyName`
    the text is not that of json.dumps(…, indent=4) and a newline & nixos-minimal: "Size" is no key of an entry
    nixos: it has no address & nixos: "AmdUrl" is no key of an entry & `wsl --install` without a name finds nothing
    the text is not that of json.dumps(…, indent=4) and a newline
    "#);
}

#[test]
fn a_digest_may_have_a_prefix_and_either_case() {
    let release = roots(&[("wsl", "x86_64")]);
    let catalogs = catalogs(&release);
    let list = str::from_utf8(document(&catalogs, FILE)).unwrap();
    let digest = release.images[0].payload().digests.sha256.to_string();
    let with = |text: &str| {
        wrong(&release, &catalogs, FILE, list.replace(&digest, text).as_bytes()).concat()
    };
    assert_eq!(with(&format!("0x{}", digest.to_uppercase())), "");
    assert_ne!(with(&digest[2..]), "");
    assert_ne!(with(&format!("{}zz", &digest[2..])), "");
}
