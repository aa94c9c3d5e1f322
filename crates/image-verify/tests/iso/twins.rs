//! Every check of the kind has a broken twin here: one edit of a good image, and the report it
//! must give.

use std::collections::{BTreeMap, BTreeSet};

use image_model::{Boot, Outcome, Severity};
use image_verify::{hybrid::Bios, kind::iso};

use crate::{
    bytes::{AARCH64, archive, efi, elf, gzip},
    image::{
        BASH, Draft, Entry, GRUB, INIT, INITRD, ISOLINUX, KERNEL, LABEL, LOADER_ENTRY, PARAMS_FILE,
        REFIND, REGISTRATION, UKI, X64, aarch64, base, scripted, store, systemd, systemd_boot,
        systemd_initrd,
    },
};

type Twin = (&'static str, fn(&mut Draft), &'static [&'static str]);

pub(crate) const PROMISE: &str = "iso-promised-boot";
pub(crate) const UNPROVEN: &str = "iso-unproven-boot";

/// Edits both copies of GRUB's configuration.
pub(crate) fn grub(draft: &mut Draft, from: &str, to: &str) {
    draft.disc.edit(GRUB, from, to);
    draft.fat.edit(GRUB, from, to);
}

/// The twins of the disc with the scripts of stage 1: the check that must fail, the edit, and what
/// must fail with it.
const SCRIPTED: &[Twin] = &[
    ("iso-config-read", |d| d.disc.content(ISOLINUX).resize((1 << 20) + 1, b'\n'), &[PROMISE]),
    ("iso-file-case", |d| d.disc.edit(ISOLINUX, "/boot//nix", "/Boot//nix"), &[]),
    ("iso-isolinux-module", |d| d.disc.remove("/isolinux/ldlinux.c32"), &[PROMISE]),
    ("iso-isolinux-include", |d| d.disc.edit(ISOLINUX, "TIMEOUT 100", "INCLUDE menu.cfg"), &[]),
    ("iso-isolinux-file", |d| d.disc.edit(ISOLINUX, "/boot//nix", "/boot/gone/nix"), &[PROMISE]),
    ("iso-isolinux-default", |d| d.disc.edit(ISOLINUX, "DEFAULT boot", "DEFAULT linux"), &[]),
    ("iso-efi-program", |d| d.fat.file(X64, efi(0x14c, &[])), &[PROMISE]),
    ("iso-grub-syntax", |d| grub(d, "echo \"\"", "echo '"), &[PROMISE]),
    ("iso-grub-search", |d| d.fat.uuid = "2178-694E", &[]),
    ("iso-grub-file", |d| grub(d, "initrd /boot", "initrd /root"), &[PROMISE]),
    ("iso-kernel", |d| d.disc.content(KERNEL).truncate(1024), &[PROMISE]),
    (
        "iso-command-line-length",
        |d| {
            let long = format!("copytoram {}", "x".repeat(2000));
            d.disc.edit(ISOLINUX, " copytoram", &format!(" {long}"));
        },
        &[],
    ),
    (
        "iso-initrd",
        |d| {
            let content = d.disc.content(INITRD);
            content.truncate(content.len() - 9);
        },
        &[],
    ),
    (
        "iso-initrd-compression",
        |d| *d.disc.content(INITRD) = [b"\x02\x21\x4c\x18", &[1; 99][..]].concat(),
        &[],
    ),
    ("iso-initrd-init", |d| *d.disc.content(INITRD) = archive(&[("etc", 0o040_755, "")]), &[]),
    ("iso-root", |d| d.disc.label.make_ascii_uppercase(), &[]),
    ("iso-store-file", |d| d.store_is_readable = false, &[]),
    ("iso-findiso", |d| *d.disc.content(INITRD) = gzip(&systemd_initrd(LABEL)), &[]),
    ("iso-init", |d| d.store.mode(INIT, 0o444), &[]),
    ("iso-init-architecture", |d| *d.store.content(BASH) = elf(AARCH64), &[]),
    ("iso-kernel-params", |d| d.store.edit(PARAMS_FILE, "loglevel=4", "loglevel=7"), &[]),
    ("iso-registration", |d| d.store.edit(REGISTRATION, "4096", "?"), &[]),
    ("iso-registration-complete", |d| d.store.put(base!("hello"), Entry::Directory), &[]),
    (
        "iso-registration-present",
        |d| {
            let more = concat!(store!("hello"), "\nsha256:0abc\n1\n\n0\n");
            d.store.content(REGISTRATION).extend(more.bytes());
        },
        &[],
    ),
    (
        "iso-registration-references",
        |d| {
            let from = concat!("\n", store!("bash"), "\n", store!("bash"));
            let to = concat!("\n", store!("zsh"), "\n", store!("bash"));
            d.store.edit(REGISTRATION, from, to);
        },
        &[],
    ),
    ("iso-label", |d| d.fat.label = LABEL.to_owned(), &[]),
    ("iso-promised-boot", |d| d.partition = false, &[]),
    ("iso-boot", |_| {}, &[]),
    ("iso-limits", |d| grub(d, "clear\n", &"menuentry x {\n}\n".repeat(5000)), &[UNPROVEN]),
    ("iso-unproven-boot", |d| d.bios = Bios::Unknown, &[]),
    (
        "iso-bootable",
        |d| {
            d.boots.clear();
            d.images.iter_mut().for_each(|image| image.sound = false);
            d.bios = Bios::Nothing("no code".to_owned());
            d.partition = false;
        },
        &[],
    ),
];

/// The twins of the disc with systemd-boot.
const SYSTEMD_BOOT: &[Twin] = &[
    ("iso-boot-entry", |d| d.fat.edit(LOADER_ENTRY, "nixos/initrd", "nixos/gone"), &[]),
    ("iso-boot-entry-default", |d| d.fat.edit("/loader/loader.conf", "nixos*", "arch*"), &[]),
    (
        "iso-uki",
        |d| {
            let content = d.fat.content(UKI);
            content.truncate(content.len() - 9);
        },
        &[],
    ),
    ("iso-refind-file", |d| d.fat.edit(REFIND, "nixos\\kernel", "nixos\\linux"), &[]),
];

pub(crate) fn set<'a>(ids: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    ids.into_iter().map(str::to_owned).collect()
}

/// What failed; the ways that nobody promised are not counted.
pub(crate) fn failed(draft: &Draft) -> BTreeSet<String> {
    let outcomes = draft.verify().outcomes;
    let failed = outcomes.iter().filter(|(_, outcome)| **outcome == Outcome::Failed);
    set(failed.map(|(id, _)| id.as_ref()).filter(|id| *id != "iso-boot"))
}

/// The messages of one check.
pub(crate) fn messages(draft: &Draft, id: &str) -> Vec<String> {
    let findings = draft.verify().findings.into_iter();
    findings.filter(|finding| finding.check == id).map(|finding| finding.message).collect()
}

type Named = (&'static str, fn() -> Draft);

const GOOD: [Named; 4] = [
    ("scripted", scripted),
    ("systemd", systemd),
    ("aarch64", aarch64),
    ("systemd-boot", systemd_boot),
];

#[test]
fn good_images_have_no_findings() {
    for (name, draft) in GOOD {
        let report = draft().verify();
        let lines: Vec<_> = report
            .findings
            .iter()
            .filter(|f| f.check != "iso-boot")
            .map(|f| format!("{name}: {} {}: {}", f.check, f.at, f.message))
            .collect();
        assert!(lines.is_empty(), "{}", lines.join("\n"));
        assert_eq!(report.totals.errors + report.totals.warnings, 0);
    }
    // All that is asked of a disc of nixpkgs is asked of this one, and the rest of the other.
    let outcomes = scripted().verify().outcomes;
    let unreached = outcomes.iter().filter(|(_, outcome)| **outcome == Outcome::NotReached);
    let unreached = set(unreached.map(|(id, _)| id.as_ref()));
    let other = SYSTEMD_BOOT.iter().map(|(id, ..)| *id);
    assert_eq!(unreached, set(other.chain(["iso-bootable", "iso-isolinux-include"])));
}

#[test]
fn every_way_has_a_verdict() {
    let all: Vec<_> = [scripted(), aarch64(), systemd_boot()]
        .iter()
        .flat_map(|draft| messages(draft, "iso-boot"))
        .collect();
    insta::assert_snapshot!(all.join("\n"), @r"
    uefi-aarch64 from disc does not boot: no /EFI/BOOT/BOOTAA64.EFI in the image for UEFI
    uefi-aarch64 from usb does not boot: no /EFI/BOOT/BOOTAA64.EFI in a FAT file system that a partition table leads to
    bios from disc does not boot: no image for it in the boot catalog
    bios from usb does not boot: no master boot record
    uefi-x86_64 from disc does not boot: no /EFI/BOOT/BOOTX64.EFI in the image for UEFI
    uefi-x86_64 from usb does not boot: no partition table leads to a FAT file system; only some firmware reads the boot catalog of a stick
    uefi-aarch64 from usb does not boot: no partition table leads to a FAT file system; only some firmware reads the boot catalog of a stick
    bios from disc does not boot: no image for it in the boot catalog
    bios from usb does not boot: no master boot record
    uefi-aarch64 from disc does not boot: no /EFI/BOOT/BOOTAA64.EFI in the image for UEFI
    uefi-aarch64 from usb does not boot: no /EFI/BOOT/BOOTAA64.EFI in a FAT file system that a partition table leads to
    ");
    // Without a promise that is all the same, and some way boots.
    let report = Draft { boots: Vec::new(), ..aarch64() }.verify();
    assert_eq!(report.outcomes["iso-bootable"], Outcome::Held);
    assert!(report.findings.iter().all(|f| f.severity == Severity::Info));
    let stick = Draft { boots: vec![Boot::Usb], ..aarch64() };
    assert_eq!(failed(&stick), set([PROMISE]));
    assert_eq!(failed(&Draft { boots: vec![Boot::Usb], ..scripted() }), BTreeSet::new());
    // A stick is promised for what is promised from a disc.
    let mut draft = aarch64();
    draft.boots.push(Boot::Usb);
    assert_eq!(failed(&draft), set([PROMISE]));
}

#[test]
fn every_check_has_a_twin() {
    let twins: BTreeSet<_> = SCRIPTED.iter().chain(SYSTEMD_BOOT).map(|(id, ..)| *id).collect();
    let declared: BTreeSet<_> = iso::CHECKS.iter().map(|check| check.id).collect();
    assert_eq!(twins, declared);
    let mut wrong = Vec::new();
    for (base, twins) in [(scripted as fn() -> Draft, SCRIPTED), (systemd_boot, SYSTEMD_BOOT)] {
        for (id, edit, also) in twins {
            let mut draft = base();
            edit(&mut draft);
            let mut expected = set([*id].iter().chain(*also).copied());
            expected.remove("iso-boot");
            let found = failed(&draft);
            if found != expected {
                wrong.push(format!("{id}: {found:?}, not {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn golden_reports() {
    let mut reports = BTreeMap::new();
    for (base, twins) in [(scripted as fn() -> Draft, SCRIPTED), (systemd_boot, SYSTEMD_BOOT)] {
        for (id, edit, _) in twins {
            let mut draft = base();
            edit(&mut draft);
            let own = draft.verify().findings.into_iter().filter(|finding| finding.check == *id);
            let lines: Vec<_> = own.map(|f| format!("{}: {}", f.at, f.message)).collect();
            reports.insert(*id, lines);
        }
    }
    insta::assert_json_snapshot!(reports);
}

/// Ids are public: kebab case, unique, and prefixed with the kind.
#[test]
fn ids_are_well_formed() {
    let mut seen = BTreeSet::new();
    for check in iso::CHECKS {
        assert!(seen.insert(check.id), "{}", check.id);
        assert!(check.id.starts_with("iso-"), "{}", check.id);
        assert!(check.id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", check.id);
        assert!(!check.explain.trim().is_empty() && !check.spec.is_empty(), "{}", check.id);
    }
}
