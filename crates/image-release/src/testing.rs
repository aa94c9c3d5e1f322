//! A release for tests: an image of each kind that a catalog wants.

pub(crate) mod dist;

use std::{borrow::Cow, collections::BTreeMap};

use image_model::{
    Artifact, Compression, Digests, Driver, Generator, ImageKind, Layout, LayoutPart,
    MANIFEST_SCHEMA, Manifest, ManifestTool, Outcome, REPORT_SCHEMA, ReleaseSpec, ReportSummary,
    Sha256, Source, Subject, Totals, VerificationReport, Verifier, Waiver,
};

use crate::{Image, Release};

/// Version 26.05.1 with a root file system for WSL, a card, a disc and a disk of a virtual machine.
pub(crate) fn release() -> Release {
    let url = |text: &str| Some(text.parse().expect("it is one"));
    Release {
        version: "26.05.1".to_owned(),
        spec: ReleaseSpec {
            base_url: Some("https://images.example.org/nixos/26.05.1/".to_owned()),
            latest_url: Some("https://images.example.org/nixos/latest/".to_owned()),
            website: Some("https://example.org/nixos".to_owned()),
            icon: Some("https://example.org/nixos.svg".to_owned()),
            ..ReleaseSpec::default()
        },
        base_url: url("https://images.example.org/nixos/26.05.1/"),
        latest_url: url("https://images.example.org/nixos/latest/"),
        epoch: Some(1_787_204_541),
        images: vec![
            image(ImageKind::Wsl, "wsl", "x86_64-linux", "nixos-26.05.1.wsl"),
            image(ImageKind::Sd, "sd-aarch64", "aarch64-linux", "nixos-sd-aarch64-26.05.1.img.zst"),
            image(ImageKind::Iso, "iso", "x86_64-linux", "nixos-iso-26.05.1.iso"),
            image(ImageKind::Vm, "vm", "x86_64-linux", "nixos-vm-26.05.1.qcow2"),
        ],
    }
}

/// An image whose numbers are made up, and are what they should be.
pub(crate) fn image(kind: ImageKind, name: &str, system: &str, file: &str) -> Image {
    let (format, compression) = match kind {
        ImageKind::Wsl => ("tar", Compression::Gzip),
        ImageKind::Sd => ("mbr", Compression::Zstd),
        ImageKind::Iso => ("iso9660", Compression::None),
        ImageKind::Vm => ("qcow2", Compression::None),
        ImageKind::Docker => ("docker", Compression::Gzip),
        ImageKind::Virtualbox => ("ova", Compression::None),
        ImageKind::Amazon => ("vhd", Compression::None),
    };
    let digits = u8::try_from(name.len()).expect("it is short");
    let digests = Digests { size: 40 << 20, sha256: Sha256([digits; 32]) };
    let raw = match compression {
        Compression::None => digests,
        _ => Digests { size: 128 << 20, sha256: Sha256([digits | 0x80; 32]) },
    };
    let artifact =
        Artifact { file: file.to_owned(), format: format.to_owned(), compression, digests, raw };
    let totals = Totals { held: 101, waived: 1, infos: 1, ..Totals::default() };
    let verification = ReportSummary {
        file: format!("{file}.verification.json"),
        sha256: Sha256([0x44; 32]),
        totals,
    };
    let layout = matches!(kind, ImageKind::Sd | ImageKind::Iso).then(|| Layout {
        table: Some(Cow::Borrowed("mbr")),
        size: raw.size,
        parts: vec![
            LayoutPart {
                name: "partition 1".to_owned(),
                start: 8 << 20,
                len: 30 << 20,
                content: Cow::Borrowed("vfat"),
                label: Some("FIRMWARE".to_owned()),
            },
            LayoutPart {
                name: "partition 2".to_owned(),
                start: 38 << 20,
                len: raw.size.saturating_sub(40 << 20),
                content: Cow::Borrowed("ext4"),
                label: Some("NIXOS_SD".to_owned()),
            },
        ],
        omitted: 0,
    });
    let outcomes = [
        ("tar-end-of-archive", Outcome::Held),
        ("gzip-crc", Outcome::Held),
        ("wsl-icon-location", Outcome::Waived),
        ("xz-index", Outcome::NotReached),
    ];
    let report = VerificationReport {
        schema: REPORT_SCHEMA,
        verifier: Verifier {
            name: Cow::Borrowed("image-verify"),
            version: Cow::Borrowed(env!("CARGO_PKG_VERSION")),
        },
        subject: Subject {
            format: Some(Cow::Owned(format.to_owned())),
            compression,
            size: digests.size,
            sha256: Some(digests.sha256),
            raw: Some(raw),
        },
        kind: Some(kind),
        boots: match kind {
            ImageKind::Sd => ["pi-3", "pi-4", "uefi"].map(str::to_owned).into(),
            ImageKind::Iso => ["bios from disc", "uefi-x86_64 from disc"].map(str::to_owned).into(),
            _ => Vec::new(),
        },
        not_verified: Vec::new(),
        layout,
        stores: Vec::new(),
        totals,
        outcomes: outcomes.map(|(id, outcome)| (Cow::Borrowed(id), outcome)).into(),
        findings: Vec::new(),
        omitted: BTreeMap::new(),
        waivers: vec![Waiver {
            check: "wsl-icon-location".to_owned(),
            reason: "NixOS-WSL keeps its icon in /etc/nixos.ico".to_owned(),
        }],
    };
    let manifest = Manifest {
        schema: MANIFEST_SCHEMA,
        generator: Generator { name: "image-factory".to_owned(), version: "0.1.0".to_owned() },
        image: name.to_owned(),
        kind,
        system: system.to_owned(),
        title: format!("NixOS as {name}"),
        distribution: "nixos".to_owned(),
        source: Source {
            driver: Driver::NixImage,
            route: "variant".to_owned(),
            flake: Some("github:example/fleet".to_owned()),
            locked: Some(format!("github:example/fleet/{}", "5".repeat(40))),
            inputs: [("nixpkgs".to_owned(), "9".repeat(40))].into(),
            attribute: Some(format!("nixosConfigurations.{name}")),
            profiles: Vec::new(),
            derivation: Some(format!("/nix/store/{}-{name}.drv", "a".repeat(32))),
            store_path: Some(format!("/nix/store/{}-{name}", "b".repeat(32))),
            nar_hash: None,
            input_sha256: None,
        },
        tools: vec![ManifestTool { name: "nix".to_owned(), version: "2.34.8".to_owned() }],
        artifacts: vec![artifact],
        closure: Vec::new(),
        verification: verification.clone(),
    };
    Image {
        manifest,
        report,
        verification,
        content_size: (compression == Compression::Zstd).then_some(raw.size),
        sizes: None,
        unverified: None,
        combined: (kind == ImageKind::Vm).then_some(Sha256([0x55; 32])),
        documents: Vec::new(),
    }
}
