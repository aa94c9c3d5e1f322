//! A release as there are some: what pages are looked at with.

use std::borrow::Cow;

use image_factory::sizes;
use image_model::{
    Artifact, Compression, Digests, Driver, FileRole, Finding, ImageKind, ImageSpace, Layout,
    LayoutPart, Location, NarDigest, NarHash, OmittedCatalog, Outcome, PathVerdict,
    ReleaseSignature, Severity, Sha256, SignatureScheme, StorePath, StoreReport, Totals, Trust,
    Waiver,
};

use super::Sample;
use crate::{Document, Image, catalog::Catalogs, testing};

/// Seven images, one of each kind: a verified one, one with warnings, one that nobody verified, and
/// one of the driver `mini`.
pub(super) fn release() -> Sample {
    let mut release = testing::release();
    release.images.extend([
        testing::image(ImageKind::Docker, "docker", "x86_64-linux", "nixos-docker-26.05.1.tar.gz"),
        testing::image(
            ImageKind::Virtualbox,
            "virtualbox",
            "x86_64-linux",
            "nixos-virtualbox-26.05.1.ova",
        ),
        testing::image(ImageKind::Amazon, "amazon", "x86_64-linux", "nixos-amazon-26.05.1.vhd"),
    ]);
    let titles = [
        "NixOS for WSL",
        "NixOS for the Raspberry Pi 3 and 4",
        "NixOS on a disc or a USB stick",
        "NixOS for QEMU and KVM",
        "NixOS packages in a container",
        "NixOS for VirtualBox",
        "NixOS for Amazon EC2",
    ];
    for (image, title) in release.images.iter_mut().zip(titles) {
        title.clone_into(&mut image.manifest.title);
        let size = 912_345_678;
        image.manifest.artifacts[0].digests =
            Digests { size, sha256: Sha256(digest(title.as_bytes()[9])) };
        image.report.subject.size = size;
        image.report.outcomes = image_verify::checks()
            .enumerate()
            .map(|(index, check)| {
                let outcome = match index % 41 {
                    40 => Outcome::Waived,
                    31.. => Outcome::NotReached,
                    _ => Outcome::Held,
                };
                (Cow::Borrowed(check.id), outcome)
            })
            .collect();
        image.report.totals =
            Totals { held: 633, not_reached: 200, waived: 20, infos: 1, ..Totals::default() };
        let is_store = matches!(image.manifest.kind, ImageKind::Wsl | ImageKind::Sd);
        image.sizes = is_store.then(|| treemap(&image.manifest.artifacts[0].file));
        image.documents = documents(image);
    }
    card(&mut release.images[1]);
    disc(&mut release.images[2]);
    release.images[3].report.not_verified = vec![
        "the partition table, file systems and boot loader inside of the qcow2 disk".to_owned(),
    ];
    release.images[5].unverified =
        Some("nothing.ova has no report; --allow-unverified let it pass".to_owned());
    release.images[4].manifest.source.driver = Driver::Mini;
    Sample { release, catalogs: catalogs(), signatures: signatures(), keys: keys() }
}

fn digest(seed: u8) -> [u8; 32] {
    std::array::from_fn(|index| {
        seed.wrapping_mul(97).wrapping_add(u8::try_from(index).unwrap().wrapping_mul(151)) ^ 0x5a
    })
}

fn card(image: &mut Image) {
    let first = image.manifest.artifacts[0].clone();
    image.manifest.artifacts[0].raw = Digests { size: 3_221_225_472, sha256: Sha256(digest(b'r')) };
    image.manifest.artifacts.push(Artifact {
        file: "nixos-sd-aarch64-26.05.1.img.bmap".to_owned(),
        format: "bmap".to_owned(),
        compression: Compression::None,
        digests: Digests { size: 12_345, sha256: Sha256(digest(b'b')) },
        ..first
    });
    image.report.boots = ["pi-zero-2", "pi-3", "pi-3-plus", "cm-3", "pi-4", "pi-400", "cm-4"]
        .map(str::to_owned)
        .into();
    image.report.totals.warnings = 2;
    image.report.findings = vec![
        finding("sd-free-inodes", Severity::Warning, "1204 inodes free; the first boot needs 1000"),
        finding(
            "sd-board",
            Severity::Info,
            "uefi does not boot: no FAT partition with /EFI/BOOT/BOOTAA64.EFI",
        ),
        finding("ext4-free-blocks-count", Severity::Warning, "98, and there are 97 free blocks"),
    ];
    let path = |index: usize| StorePath {
        path: format!(
            "/nix/store/s66mzxpvicwk07gjbjfw9izjfa{index:06}-package-{index}-2.12.{index}"
        ),
        verdict: PathVerdict::Intact,
        nar: Some(NarDigest { nar_hash: NarHash([7; 32]), nar_size: 4096 * (index as u64 + 3) }),
        registered: None,
        references: Vec::new(),
        deriver: None,
        content_address: None,
        signatures: Vec::new(),
        trust: match index % 5 {
            0 => Trust::Built,
            1 => Trust::ContentAddressed,
            2 => Trust::Unknown,
            _ => Trust::Signed { by: vec!["cache.nixos.org-1".to_owned()] },
        },
    };
    image.report.stores = vec![StoreReport {
        volume: "partition 2".to_owned(),
        registrations: vec!["/nix-path-registration".to_owned()],
        trusted_keys: vec!["cache.nixos.org-1".to_owned()],
        paths: (0..1100).map(path).collect(),
    }];
}

/// Partitions in each other.
fn disc(image: &mut Image) {
    let part = |name: &str, start, len, content: &'static str, label: Option<&str>| LayoutPart {
        name: name.to_owned(),
        start,
        len,
        content: Cow::Borrowed(content),
        label: label.map(str::to_owned),
    };
    image.report.layout = Some(Layout {
        table: Some(Cow::Borrowed("mbr")),
        size: 912_345_678,
        omitted: 0,
        parts: vec![
            part("partition 1", 0, 912_345_678, "iso9660", Some("nixos-26.05-x86_64")),
            part("boot image 2", 40_960, 3_145_728, "vfat", Some("EFIBOOT")),
            part("/nix-store.squashfs", 64_000_000, 830_000_000, "squashfs", None),
        ],
    });
    image.report.waivers.push(Waiver {
        check: "iso9660-volume-id".to_owned(),
        reason: "the label is longer than what the smallest of all readers takes".to_owned(),
    });
}

fn finding(check: &'static str, severity: Severity, message: &str) -> Finding {
    Finding {
        check: Cow::Borrowed(check),
        severity,
        waived: false,
        at: Location {
            structure: Cow::Borrowed("partition 2, ext4 superblock"),
            space: ImageSpace::Raw,
            offset: 0x260_0400,
            len: 4,
            path: Some("/etc/\\xff/hostname".to_owned()),
        },
        message: message.to_owned(),
    }
}

/// What packages are called.
fn package(index: u64) -> String {
    let names = ["glibc", "systemd", "linux", "python3", "gcc", "perl", "openssl", "coreutils"];
    match usize::try_from(89 - index).ok().and_then(|index| names.get(index)) {
        Some(name) => (*name).to_owned(),
        None => {
            format!("{}-{}", names[index as usize % 7], ["doc", "lib", "data"][index as usize % 3])
        }
    }
}

/// A folder with packages in it, measured.
fn treemap(name: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("nix/store");
    for index in 0..90_u64 {
        let path = store.join(format!("{:032}-{}-1.{index}", index * 7919, package(index)));
        std::fs::create_dir_all(path.join("lib")).unwrap();
        for (file, part) in [("lib/library.so", 3), ("bin", 1)] {
            let file = std::fs::File::create(path.join(file)).unwrap();
            file.set_len((index * index + 40) * 900 * part).unwrap();
        }
    }
    let measured = sizes::measure_folder(folder.path(), name).unwrap();
    sizes::svg(&measured.sizes, "a folder")
}

fn documents(image: &Image) -> Vec<Document> {
    let document = |suffix: &str, role, length| Document {
        file: image.beside(suffix),
        also: None,
        role,
        media_type: "application/json",
        bytes: vec![b' '; length],
    };
    vec![
        document("cdx.json", FileRole::Sbom, 812_345),
        document("spdx.json", FileRole::Sbom, 912_345),
        document("manifest.json", FileRole::ImageManifest, 2_345),
        document("verification.json", FileRole::Report, 612_345),
    ]
}

fn catalogs() -> Catalogs {
    let document = |file: &str, also: Option<&str>| Document {
        file: file.to_owned(),
        also: also.map(str::to_owned),
        role: FileRole::Catalog,
        media_type: "application/json",
        bytes: vec![b' '; 900],
    };
    Catalogs {
        documents: vec![
            document("os_list_imagingutility_v4.json", None),
            document("DistributionInfo.json", None),
            document("50-nixos-root.transfer", None),
            document("stable.json", None),
            document("simplestreams-index.json", Some("streams/v1/index.json")),
            document("simplestreams-images.json", Some("streams/v1/images.json")),
        ],
        omitted: vec![OmittedCatalog {
            catalog: "DistributionInfo.json".to_owned(),
            image: Some("docker".to_owned()),
            why: "it is no root file system for WSL".to_owned(),
        }],
    }
}

fn signatures() -> Vec<ReleaseSignature> {
    let signature = |scheme, file: &str, key_id: &str, public_key: &str| ReleaseSignature {
        scheme,
        file: file.to_owned(),
        key_id: key_id.to_owned(),
        public_key: public_key.to_owned(),
    };
    vec![
        signature(
            SignatureScheme::Minisign,
            "SHA256SUMS.minisig",
            "E7620F1842B4E81F",
            "minisign.pub",
        ),
        signature(
            SignatureScheme::Ssh,
            "SHA256SUMS.sig",
            "SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8",
            "ssh.pub",
        ),
        signature(
            SignatureScheme::Openpgp,
            "SHA256SUMS.gpg",
            "D1A66E1A23B182C9980F788CFBFCC82A015E7330",
            "openpgp.asc",
        ),
    ]
}

fn keys() -> Vec<Document> {
    let key = |file: &str, text: &str| Document {
        file: file.to_owned(),
        also: None,
        role: FileRole::PublicKey,
        media_type: "text/plain",
        bytes: text.as_bytes().to_vec(),
    };
    let ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    vec![
        key(
            "minisign.pub",
            "untrusted comment: minisign public key E7620F1842B4E81F\n\
             RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\n",
        ),
        key("ssh.pub", &format!("{ssh} release@example.org\n")),
        key("allowed_signers", &format!("release@example.org namespaces=\"file\" {ssh}\n")),
        key("openpgp.asc", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ\n-----END\n"),
    ]
}
