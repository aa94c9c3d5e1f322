use super::*;
use crate::catalog::{client::imager::List, imager::FILE};

/// A release of nothing but cards.
fn cards(change: impl Fn(&mut Image)) -> Release {
    let mut release = release();
    release.images.retain(|image| image.manifest.kind == ImageKind::Sd);
    release.images.iter_mut().for_each(change);
    release
}

#[test]
fn a_device_shows_what_boots_on_it() {
    let mut release =
        cards(|image| image.report.boots = vec!["pi-4".to_owned(), "cm-5".to_owned()]);
    let mut old = testing::image(
        ImageKind::Sd,
        "sd-armv7l",
        "armv7l-linux",
        "nixos-sd-armv7l-26.05.1.img.xz",
    );
    old.report.boots = vec!["pi-3".to_owned()];
    old.manifest.artifacts[0].compression = Compression::Xz;
    release.images.push(old);
    let catalogs = catalogs(&release);
    assert_eq!(catalogs.omitted.iter().filter(|omitted| omitted.catalog == FILE).count(), 0);
    assert_eq!(wrong(&release, &catalogs, FILE, document(&catalogs, FILE)), [""; 0]);
    let list = List::read(document(&catalogs, FILE)).unwrap();
    let shown = list.imager.as_ref().unwrap().devices.iter().map(|device| {
        let names: Vec<_> = list.shown(device).iter().map(|image| &*image.architecture).collect();
        format!("{} ({}): {}", device.name, device.description, names.join(" "))
    });
    let shown: Vec<_> = shown.collect();
    assert_eq!(
        shown,
        [
            "Raspberry Pi 3 (Model B): armhf",
            "Raspberry Pi 4 (Model B): armv8",
            "Raspberry Pi 5 (Compute Module 5): armv8",
            "No filtering (Shows every image): armv8 armhf",
        ]
    );
}

#[test]
fn every_raspberry_pi_is_in_a_family() {
    for board in Board::ALL {
        let release = cards(|image| image.report.boots = vec![board.as_str().to_owned()]);
        let listed = why(&release, FILE).is_empty();
        assert_eq!(listed, !matches!(board, Board::UBoot | Board::Uefi), "{board:?}");
    }
}

#[test]
fn what_imager_cannot_write_is_left_out() {
    let reason = |change: &dyn Fn(&mut Image)| why(&cards(change), FILE).concat();
    let reasons = [
        reason(&|image| image.report.boots.clear()),
        reason(&|image| image.report.boots = vec!["uefi".to_owned()]),
        reason(&|image| image.manifest.system = "x86_64-linux".to_owned()),
        reason(&|image| image.manifest.artifacts[0].raw.size += 1),
        reason(&|image| image.content_size = None),
    ];
    insta::assert_snapshot!(reasons.join("\n"), @r"
    the verification names no board that it boots on
    it boots on no Raspberry Pi, but on uefi
    no Raspberry Pi has x86_64 as its processor
    Raspberry Pi Imager writes whole sectors of 512 bytes, which 134217729 are not
    Raspberry Pi Imager takes the length of the card from the header of the zstd frame, which has none, and not 134217728
    ");
    let without = |change: &dyn Fn(&mut Release)| {
        let mut release = cards(|_| {});
        change(&mut release);
        why(&release, FILE).concat()
    };
    let reasons = [
        without(&|release| release.spec.icon = None),
        without(&|release| release.epoch = None),
        without(&|release| release.base_url = None),
    ];
    insta::assert_snapshot!(reasons.join("\n"), @r"
    `icon` is not set, and the schema wants one in every entry
    SOURCE_DATE_EPOCH is not set, and the schema wants the day of the release in every entry
    `base-url` is not set, and its entries are whole addresses
    ");
}

#[test]
fn a_block_map_is_named_with_the_image() {
    let release = cards(|image| {
        let digests = Digests { size: 1000, sha256: Sha256([9; 32]) };
        let mut bmap = image.payload().clone();
        bmap.file = "nixos-sd-aarch64-26.05.1.img.bmap".to_owned();
        (bmap.format, bmap.compression) = ("bmap".to_owned(), Compression::None);
        (bmap.digests, bmap.raw) = (digests, digests);
        image.manifest.artifacts.push(bmap);
    });
    let catalogs = catalogs(&release);
    let list = List::read(document(&catalogs, FILE)).unwrap();
    let url = list.images()[0].bmap_url.clone().unwrap();
    assert_eq!(url, "https://images.example.org/nixos/26.05.1/nixos-sd-aarch64-26.05.1.img.bmap");
    assert_eq!(wrong(&release, &catalogs, FILE, document(&catalogs, FILE)), [""; 0]);
}

#[test]
fn lists_that_imager_stumbles_over_are_refused() {
    let release = cards(|_| {});
    let catalogs = catalogs(&release);
    let text = str::from_utf8(document(&catalogs, FILE)).unwrap();
    let refused = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        wrong(&release, &catalogs, FILE, text.replace(from, to).as_bytes()).join(" & ")
    };
    let all = [
        refused("\"devices\": [\n      {", "\"other\": [\n      {"),
        refused("\"none\"", "\"cloud-init\""),
        refused("2026-08-20", "20.8.2026"),
        refused("https://example.org/nixos.svg", "nixos.svg"),
        refused("https://images.example.org", "ftp://images.example.org"),
        refused("\"pi3-64bit\",\n        \"pi4-64bit\"", "\"pi3\""),
        refused("\"release_date\"", "\"date\""),
        refused("134217728", "134217729"),
        refused("{\n", "{{\n"),
    ];
    insta::assert_snapshot!(all.join("\n"), @r#"
    `imager` has no devices, so that nobody comes past the first page & NixOS as sd-aarch64 26.05.1: no device of the first page has one of ["pi3-64bit", "pi4-64bit"]
    NixOS as sd-aarch64 26.05.1: pruned: "cloud-init" is no `init_format`
    NixOS as sd-aarch64 26.05.1: "20.8.2026" is no day as 2026-08-20
    NixOS as sd-aarch64 26.05.1: "nixos.svg" is no address of an icon
    NixOS as sd-aarch64 26.05.1: ftp://images.example.org/nixos/26.05.1/nixos-sd-aarch64-26.05.1.img.zst: clients fetch by https
    NixOS as sd-aarch64 26.05.1: no device of the first page has one of ["pi3"]
    no such JSON: missing field `release_date` at line 49 column 3
    NixOS as sd-aarch64 26.05.1: 134217729 bytes are no whole sectors of 512 bytes
    no such JSON: key must be a string at line 1 column 2
    "#);
}

#[test]
fn folders_are_looked_into_to_a_depth() {
    let release = cards(|_| {});
    let catalogs = catalogs(&release);
    let value: serde_json::Value = serde_json::from_slice(document(&catalogs, FILE)).unwrap();
    let nested = |depth: usize| {
        let mut items = value["os_list"].clone();
        for _ in 0..depth {
            items = serde_json::json!([{ "name": "more", "description": "", "subitems": items }]);
        }
        let list = serde_json::json!({ "os_list": items }).to_string();
        List::read(list.as_bytes()).unwrap().images().len()
    };
    assert_eq!((nested(0), nested(15), nested(16)), (1, 1, 0));
}
