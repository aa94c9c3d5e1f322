use super::*;
use crate::catalog::client::coreos::Stream;

#[test]
fn a_platform_names_one_image_of_a_format() {
    let mut release = release();
    let more = [
        (ImageKind::Sd, "sd-2", "aarch64-linux", "nixos-sd-2-26.05.1.img.zst"),
        (ImageKind::Sd, "sd-3", "armv7l-linux", "nixos-sd-3-26.05.1.img"),
        (ImageKind::Amazon, "amazon", "x86_64-linux", "nixos-amazon-26.05.1.vhd"),
        (ImageKind::Virtualbox, "virtualbox", "x86_64-linux", "nixos-virtualbox-26.05.1.ova"),
        (ImageKind::Vm, "raw", "aarch64-linux", "nixos-raw-26.05.1.img.gz"),
    ];
    release.images.extend(
        more.iter().map(|(kind, name, system, file)| testing::image(*kind, name, system, file)),
    );
    let catalogs = catalogs(&release);
    let file = "stable.json";
    assert_eq!(why(&release, file), ["aarch64, metal, raw.zst names another image already"]);
    assert_eq!(wrong(&release, &catalogs, file, document(&catalogs, file)), [""; 0]);
    let stream = Stream::read(document(&catalogs, file)).unwrap();
    let at = |architecture, platform, format| {
        let disk = stream.disk(architecture, platform, format);
        disk.map(|disk| disk.location.rsplit('/').next().unwrap().to_owned())
    };
    let file = |name: &str| Some(format!("nixos-{name}"));
    assert_eq!(at("aarch64", "metal", "raw.zst"), file("sd-aarch64-26.05.1.img.zst"));
    assert_eq!(at("armv7l", "metal", "raw"), file("sd-3-26.05.1.img"));
    assert_eq!(at("x86_64", "metal", "iso"), file("iso-26.05.1.iso"));
    assert_eq!(at("x86_64", "qemu", "qcow2"), file("vm-26.05.1.qcow2"));
    assert_eq!(at("aarch64", "qemu", "raw.gz"), file("raw-26.05.1.img.gz"));
    assert_eq!(at("x86_64", "aws", "vhd"), file("amazon-26.05.1.vhd"));
    assert_eq!(at("x86_64", "virtualbox", "ova"), file("virtualbox-26.05.1.ova"));
    assert_eq!(at("x86_64", "metal", "raw.zst"), None);
}

#[test]
fn the_stream_and_the_version_are_those_of_the_release() {
    let mut release = release();
    let catalogs = catalogs(&release);
    let bytes = document(&catalogs, "stable.json").to_owned();
    release.version = "26.05.2".to_owned();
    let wrong = wrong(&release, &catalogs, "stable.json", &bytes);
    assert!(wrong.iter().any(|wrong| wrong.contains("it is 26.05.1, not 26.05.2")), "{wrong:?}");
}
