//! Every check of the kind has a broken twin here: one edit of a good image, and the report it
//! must give.

use std::collections::{BTreeMap, BTreeSet};

use image_model::{Board, Outcome, Severity};
use image_verify::kind::sd;

use crate::{
    bytes::{X86_64, archive, device_tree, efi, elf, gzip, kernel},
    image::{
        DTBS, Draft, EXTLINUX, Entry, GRUB, INITRD, KERNEL, LOADER_ENTRY, TOPLEVEL, UKI, initramfs,
        pi, store, u_boot_only, uefi,
    },
};

type Twin = (&'static str, fn(&mut Draft), &'static [&'static str]);

const BOARD: &str = "sd-promised-board";
const KEY: &str =
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbg==\n-----END OPENSSH PRIVATE KEY-----\n";

/// The twins of the card for a Pi: the check that must fail, the edit, and what must fail with it.
const PI: &[Twin] = &[
    ("sd-boot-flag", |d| d.part(2).bootable = false, &[BOARD]),
    ("sd-extlinux-read", |d| d.part(2).content(EXTLINUX).resize((1 << 20) + 1, b'\n'), &[BOARD]),
    (
        "sd-extlinux-include",
        |d| d.part(2).edit(EXTLINUX, "TIMEOUT 50", "INCLUDE extlinux.conf"),
        &[BOARD, "sd-extlinux-default"],
    ),
    (
        "sd-extlinux-syntax",
        |d| d.part(2).edit(EXTLINUX, "FDTDIR ../nixos/k-linux-6.18-dtbs", "FDTDIR"),
        &[BOARD],
    ),
    ("sd-extlinux-ignored", |d| d.part(2).edit(EXTLINUX, "TIMEOUT", "TIME"), &[]),
    ("sd-extlinux-default", |d| d.part(2).edit(EXTLINUX, "DEFAULT nixos", "DEFAULT linux"), &[]),
    ("sd-extlinux-file", |d| d.part(2).edit(EXTLINUX, "../nixos/i-", "nixos/i-"), &[]),
    ("sd-fdtdir-board", |d| d.part(2).remove(&format!("{DTBS}/bcm2711-rpi-cm4.dtb")), &[]),
    ("sd-kernel", |d| *d.part(2).content(KERNEL) = efi(0x8664, &[]), &[]),
    (
        "sd-initrd",
        |d| {
            let content = d.part(2).content(INITRD);
            content.truncate(content.len() - 9);
        },
        &[],
    ),
    (
        "sd-initrd-compression",
        |d| *d.part(2).content(INITRD) = [b"\x02\x21\x4c\x18", &[1; 99][..]].concat(),
        &[],
    ),
    (
        "sd-initrd-init",
        |d| {
            let fstab = "LABEL=NIXOS_SD / ext4\n";
            let members = [("etc", 0o040_755, ""), ("etc/fstab", 0o100_644, fstab)];
            *d.part(2).content(INITRD) = archive(&members);
        },
        &[],
    ),
    (
        "sd-device-tree",
        |d| d.part(2).content(&format!("{DTBS}/bcm2837-rpi-3-b.dtb")).truncate(60),
        &[],
    ),
    (
        "sd-console",
        |d| {
            for path in [EXTLINUX, &format!("{TOPLEVEL}/kernel-params")] {
                d.part(2).edit(path, "console=ttyS0,115200n8 console=tty0 ", "");
            }
        },
        &[],
    ),
    ("sd-root", |d| d.part(2).label = "NIXOS", &[]),
    ("sd-init", |d| d.part(2).mode(&format!("{TOPLEVEL}/init"), 0o444), &[]),
    (
        "sd-init-architecture",
        |d| *d.part(2).content(concat!(store!("bash"), "/bin/bash")) = elf(X86_64),
        &[],
    ),
    ("sd-kernel-params", |d| d.part(2).edit(EXTLINUX, "loglevel=7", "loglevel=4"), &[]),
    ("sd-config-txt", |d| d.part(1).remove("/config.txt"), &[BOARD]),
    (
        "sd-config-line",
        |d| {
            let comment = format!("avoid_warnings=1 {}", "#".repeat(99));
            d.part(1).edit("/config.txt", "avoid_warnings=1", &comment);
        },
        &[],
    ),
    (
        "sd-config-include",
        |d| d.part(1).edit("/config.txt", "enable_uart=1", "include user.txt"),
        &[],
    ),
    ("sd-config-file", |d| d.part(1).remove("/armstub8-gic.bin"), &[BOARD]),
    ("sd-firmware-file", |d| d.part(1).content("/start4.elf").clear(), &[]),
    ("sd-firmware-kernel", |d| *d.part(1).content("/u-boot-rpi3.bin") = elf(X86_64), &[]),
    ("sd-armstub", |d| *d.part(1).content("/armstub8-gic.bin") = elf(0xb7), &[]),
    (
        "sd-device-tree-board",
        |d| {
            let tree = device_tree(&["raspberrypi,y", "brcm,bcm2711"]);
            *d.part(1).content("/bcm2710-rpi-3-b.dtb") = tree;
        },
        &[],
    ),
    (
        "sd-overlay",
        |d| d.part(1).edit("/config.txt", "arm_64bit=1", "arm_64bit=1\ndtoverlay=w1-gpio"),
        &[],
    ),
    ("sd-promised-board", |d| d.part(1).remove("/fixup4.dat"), &[]),
    ("sd-board", |_| {}, &[]),
    (
        "sd-bootable",
        |d| {
            d.boards.clear();
            d.part(1).entries.clear();
            d.part(2).entries.retain(|path, _| !path.starts_with("/boot"));
        },
        &[],
    ),
    ("sd-firmware-free", |d| d.part(1).free_bytes = 1 << 10, &[]),
    ("sd-free-inodes", |d| d.part(2).free_inodes = 68, &[]),
    ("sd-free-space", |d| d.part(2).free_bytes = 1 << 20, &[]),
    ("sd-hash-seed", |d| d.part(2).random_seed = Some("…".to_owned()), &[]),
    ("sd-root-last", |d| d.part(1).start = 300, &[]),
    (
        "sd-resize",
        |d| d.part(2).remove(concat!(store!("units"), "/expand-root-partition.service")),
        &[],
    ),
    ("sd-registration", |d| d.part(2).edit("/nix-path-registration", "4096", "?"), &[]),
    ("sd-registration-complete", |d| d.part(2).put(store!("hello"), Entry::Directory), &[]),
    (
        "sd-registration-present",
        |d| {
            let path = "/nix-path-registration";
            let more = concat!(store!("hello"), "\nsha256:0abc\n1\n\n0\n");
            d.part(2).content(path).extend(more.bytes());
        },
        &[],
    ),
    (
        "sd-registration-references",
        |d| {
            let from = concat!("1\n", store!("bash"));
            d.part(2).edit("/nix-path-registration", from, concat!("1\n", store!("zsh")));
        },
        &[],
    ),
    ("sd-random-seed", |d| d.part(2).file("/var/lib/systemd/random-seed", "seed"), &[]),
    ("sd-ssh-host-key", |d| d.part(2).file("/etc/ssh/ssh_host_rsa_key", "key"), &[]),
    (
        "sd-machine-id",
        |d| d.part(2).file("/etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
        &[],
    ),
    ("sd-shadow-mode", |d| d.part(2).file("/etc/shadow", "root:!:1::::::\n"), &[]),
    ("sd-shell-history", |d| d.part(2).file("/root/.bash_history", "passwd\n"), &[]),
    ("sd-private-key", |d| d.part(2).file("/home/a/.ssh/id_ed25519", KEY), &[]),
];

/// The twins of the disk for UEFI.
const UEFI: &[Twin] = &[
    ("sd-efi-program", |d| *d.part(1).content("/EFI/BOOT/BOOTAA64.EFI") = efi(0x8664, &[]), &[]),
    ("sd-boot-entry", |d| d.part(1).edit(LOADER_ENTRY, "nixos/initrd", "nixos/gone"), &[]),
    (
        "sd-boot-entry-default",
        |d| d.part(1).edit("/loader/loader.conf", "nixos-generation-*", "@saved\ndefault arch"),
        &[],
    ),
    (
        "sd-uki",
        |d| {
            let line = concat!("console=tty0 init=", store!("bash"), "/bin/bash");
            *d.part(1).content(UKI) = efi(0xaa64, &[(".cmdline", line.as_bytes())]);
        },
        &[],
    ),
    ("sd-grub-file", |d| d.part(1).edit(GRUB, "nixos/initrd", "nixos/gone"), &[]),
];

fn set<'a>(ids: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    ids.into_iter().map(str::to_owned).collect()
}

/// What failed; the boards that nobody promised are not counted.
fn failed(draft: &Draft) -> BTreeSet<String> {
    let outcomes = draft.verify().outcomes;
    let failed = outcomes.iter().filter(|(_, outcome)| **outcome == Outcome::Failed);
    set(failed.map(|(id, _)| id.as_ref()).filter(|id| *id != "sd-board"))
}

#[test]
fn good_images_have_no_findings() {
    for (name, draft) in [("pi", pi()), ("u-boot", u_boot_only()), ("uefi", uefi())] {
        let report = draft.verify();
        let lines: Vec<_> = report
            .findings
            .iter()
            .filter(|f| f.check != "sd-board")
            .map(|f| format!("{name}: {} {}: {}", f.check, f.at, f.message))
            .collect();
        assert!(lines.is_empty(), "{}", lines.join("\n"));
        assert_eq!(report.totals.errors + report.totals.warnings, 0);
    }
    // All that is asked of a card for a Pi is asked of this one, and the rest of the other.
    let outcomes = pi().verify().outcomes;
    let unreached = outcomes.iter().filter(|(_, outcome)| **outcome == Outcome::NotReached);
    let unreached = set(unreached.map(|(id, _)| id.as_ref()));
    let uefi = UEFI.iter().map(|(id, ..)| *id);
    let conditional = ["sd-bootable", "sd-config-include", "sd-extlinux-include", "sd-overlay"];
    assert_eq!(unreached, set(uefi.chain(conditional)));
}

/// The other boards are told, each once, and what each of them lacks.
#[test]
fn every_board_has_a_verdict() {
    let report = pi().verify();
    let lines: Vec<_> = report.findings.iter().map(|f| f.message.as_str()).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    pi-5 does not boot: no kernel_2712.img or kernel8.img; no bcm2712-rpi-5-b.dtb
    cm-5 does not boot: no kernel_2712.img or kernel8.img; no bcm2712-rpi-cm5-cm5io.dtb or bcm2712-rpi-cm5-cm4io.dtb or bcm2712-rpi-cm5l-cm5io.dtb or bcm2712-rpi-cm5l-cm4io.dtb
    uefi does not boot: no FAT partition with /EFI/BOOT/BOOTAA64.EFI
    ");
    // Without a promise that is all the same, and some board boots.
    let report = Draft { boards: Vec::new(), ..pi() }.verify();
    assert_eq!(report.outcomes["sd-bootable"], Outcome::Held);
    assert!(report.findings.iter().all(|f| f.severity == Severity::Info));
    let mut draft = pi();
    draft.boards.push(Board::Pi5);
    assert_eq!(failed(&draft), set([BOARD, "sd-fdtdir-board"]));
    // Debian's image has device trees by Linux's names.
    let mut draft = pi();
    let tree = std::mem::take(draft.part(1).content("/bcm2710-rpi-3-b.dtb"));
    draft.part(1).remove("/bcm2710-rpi-3-b.dtb");
    draft.part(1).file("/BCM2837-RPI-3-B.DTB", tree);
    assert_eq!(failed(&draft), set([BOARD]));
    draft.part(1).edit("/config.txt", "enable_uart=1", "upstream_kernel=1");
    assert_eq!(failed(&draft), BTreeSet::new());
}

/// A list of store paths that has more than is judged is not judged.
#[test]
fn limits_of_the_store_are_no_verdict() {
    let mut draft = pi();
    let many = (0..1 << 18).map(|n| format!("/nix/store/{n:032}-x\nsha256:0abc\n1\n\n0\n"));
    let list = draft.part(2).content("/nix-path-registration");
    list.extend(many.collect::<String>().bytes());
    let outcomes = draft.verify().outcomes;
    for id in ["sd-registration", "sd-registration-present", "sd-registration-references"] {
        assert_eq!(outcomes[id], Outcome::NotReached, "{id}");
    }
}

#[test]
fn every_check_has_a_twin() {
    let twins: BTreeSet<_> = PI.iter().chain(UEFI).map(|(id, ..)| *id).collect();
    let declared: BTreeSet<_> = sd::CHECKS.iter().map(|check| check.id).collect();
    assert_eq!(twins, declared);
    let mut wrong = Vec::new();
    for (base, twins) in [(pi as fn() -> Draft, PI), (uefi, UEFI)] {
        for (id, edit, also) in twins {
            let mut draft = base();
            edit(&mut draft);
            let mut expected = set([*id].iter().chain(*also).copied());
            expected.remove("sd-board");
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
    for (base, twins) in [(pi as fn() -> Draft, PI), (uefi, UEFI)] {
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
    for check in sd::CHECKS {
        assert!(seen.insert(check.id), "{}", check.id);
        assert!(check.id.starts_with("sd-"), "{}", check.id);
        assert!(check.id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", check.id);
        assert!(!check.explain.trim().is_empty() && !check.spec.is_empty(), "{}", check.id);
    }
}

/// Archives in a row, compressed or not, with zeros between them.
#[test]
fn initramfs_come_in_several_parts() {
    let microcode = archive(&[("kernel", 0o040_755, "")]);
    let xz = {
        let mut bytes = Vec::new();
        let whole = initramfs();
        let mut encoder = liblzma::read::XzEncoder::new(&whole[..], 1);
        std::io::Read::read_to_end(&mut encoder, &mut bytes).unwrap();
        bytes
    };
    let zstd = zstd::encode_all(&initramfs()[..], 1).unwrap();
    let zeros = vec![0; 100];
    for parts in [
        vec![initramfs()],
        vec![microcode.clone(), gzip(&initramfs())],
        vec![microcode.clone(), zeros.clone(), xz, zeros.clone()],
        vec![zstd, zeros, gzip(&microcode), gzip(&microcode)],
        // With the header of U-Boot's mkimage.
        vec![[&b"\x27\x05\x19\x56"[..], &[1; 60]].concat(), gzip(&initramfs())],
    ] {
        let mut draft = pi();
        *draft.part(2).content(INITRD) = parts.concat();
        assert_eq!(failed(&draft), BTreeSet::new());
    }
    let bomb = gzip(&archive(&[("a", 0o100_644, &" ".repeat(64 << 20))])).repeat(17);
    for (check, content, message) in [
        ("sd-initrd", Vec::new(), "empty"),
        ("sd-initrd", [gzip(&initramfs()), b"junk".to_vec()].concat(), "junk at"),
        ("sd-initrd", b"#!/bin/sh".to_vec(), "of no known format"),
        // Nobody knows what comes after it.
        ("sd-initrd-compression", bomb, "more than"),
    ] {
        let mut draft = pi();
        *draft.part(2).content(INITRD) = content;
        let report = draft.verify();
        let finding = report.findings.iter().find(|f| f.check == check).unwrap();
        assert!(finding.message.contains(message), "{}", finding.message);
    }
}

/// The root by each of its names, and by names that no disk has.
#[test]
fn roots_have_many_names() {
    for (name, good) in [
        ("LABEL=NIXOS_SD", true),
        ("UUID=44444444-4444-4444-8888-888888888888", true),
        ("PARTUUID=2178694e-02", true),
        ("/dev/disk/by-label/NIXOS_SD", true),
        ("/dev/disk/by-partuuid/2178694E-02", true),
        ("/dev/mmcblk0p2", true),
        ("/dev/mapper/x", true),
        ("PARTUUID=2178694e-01/PARTNROFF=1", true),
        ("PARTLABEL=root", false),
        ("LABEL=FIRMWARE2", false),
        ("UUID=44444444-4444-4444-8888-888888888889", false),
        ("PARTUUID=2178694e-03", false),
        ("/dev/mmcblk0p3", false),
    ] {
        let mut draft = pi();
        for path in [EXTLINUX, &format!("{TOPLEVEL}/kernel-params")] {
            draft.part(2).edit(path, "root=fstab", &format!("root={name}"));
        }
        let expected = if good { BTreeSet::new() } else { set(["sd-root"]) };
        assert_eq!(failed(&draft), expected, "{name}");
    }
}

/// A root that is not read may have any name, and may be booted from.
#[test]
fn nothing_is_said_of_what_is_not_read() {
    let mut draft = uefi();
    draft.part(2).unread = true;
    draft.part(1).edit(GRUB, "($drive1)/EFI/nixos/kernel.efi", "($drive1)/boot/kernel");
    for name in ["LABEL=ROOT", "PARTLABEL=root", "/dev/mmcblk0p3"] {
        let mut draft = draft.clone();
        draft.part(1).edit(LOADER_ENTRY, "root=fstab", &format!("root={name}"));
        let expected = if name == "LABEL=ROOT" { BTreeSet::new() } else { set(["sd-root"]) };
        assert_eq!(failed(&draft), expected, "{name}");
    }
    // What is promised has to be proven.
    let mut draft = pi();
    draft.part(2).unread = true;
    assert_eq!(failed(&draft), set([BOARD]));
    draft.boards.clear();
    assert_eq!(failed(&draft), BTreeSet::new());
}

/// U-Boot takes the first label that starts where none is the default one.
#[test]
fn a_default_label_need_not_be_named() {
    let mut draft = pi();
    draft.part(2).edit(EXTLINUX, "DEFAULT nixos-default\n", "");
    assert_eq!(failed(&draft), BTreeSet::new());
    draft.part(2).file(EXTLINUX, "TIMEOUT 50\n");
    assert_eq!(failed(&draft), set([BOARD, "sd-extlinux-default"]));
}

/// Entries of systemd-boot as others write them.
#[test]
fn entries_of_systemd_boot_have_several_forms() {
    let microcode = archive(&[("kernel", 0o040_755, "")]);
    let mut draft = uefi();
    let esp = draft.part(1);
    // Only all files together have `/init`, and the counter is no part of the name.
    esp.file("/EFI/nixos/microcode.efi", &microcode);
    esp.edit(LOADER_ENTRY, "initrd ", "initrd \\EFI\\nixos\\microcode.efi\ninitrd ");
    esp.edit("/loader/loader.conf", "nixos-generation-*", "nixos-generation-1.conf");
    let entry = esp.entries.remove(LOADER_ENTRY).unwrap();
    esp.put("/loader/entries/nixos-generation-1+2-1.conf", entry);
    // For another processor, and of a program elsewhere.
    esp.file("/loader/entries/x86.conf", "architecture x64\nlinux /gone\n");
    esp.file("/loader/entries/net.conf", "uki-url https://example.org/a.efi\n");
    // The command line may be elsewhere.
    let linux = kernel();
    let initrd = initramfs();
    *esp.content(UKI) = efi(0xaa64, &[(".initrd", &initrd), (".linux", &linux)]);
    esp.edit(GRUB, "initrd ", "initrd ($drive1)/EFI/nixos/microcode.efi ");
    assert_eq!(failed(&draft), BTreeSet::new());
    draft.part(1).file("/EFI/nixos/initrd.efi", microcode);
    assert_eq!(failed(&draft), set(["sd-initrd-init"]));
}

/// Firmware of Raspberry Pi OS starts Linux with an initramfs that nobody names.
#[test]
fn raspberry_pi_os_cards_are_judged() {
    let mut draft = pi();
    draft.boards = vec![Board::Pi3, Board::Pi4];
    let firmware = draft.part(1);
    let config = "dtparam=audio=on\nauto_initramfs=1\ndtoverlay=vc4-kms-v3d,cma-256\n\
                  max_framebuffers=2\narm_64bit=1\n\n[cm4]\notg_mode=1\n\n[pi5]\n\
                  dtoverlay=dwc2,dr_mode=host\n\n[all]\n";
    firmware.file("/config.txt", config);
    firmware.file("/overlays/README", "");
    firmware.file("/overlays/vc4-kms-v3d.dtbo", device_tree(&[]));
    firmware.file("/overlays/dwc2.dtbo", device_tree(&[]));
    firmware.file("/kernel8.img", gzip(&kernel()));
    firmware.file("/initramfs8", initramfs());
    let line = "console=serial0,115200 root=LABEL=NIXOS_SD rootwait init=/sbin/first quiet\n";
    firmware.file("/cmdline.txt", line);
    let root = draft.part(2);
    root.entries.clear();
    root.program("/sbin/first", elf(0xb7));
    assert_eq!(failed(&draft), BTreeSet::new());
    // Without an option, and no kernel of 32 bits beside it.
    draft.part(1).edit("/config.txt", "arm_64bit=1", "");
    assert_eq!(failed(&draft), BTreeSet::new());
    draft.part(1).file("/kernel7.img", "32 bits");
    assert_eq!(failed(&draft), set([BOARD]));
    draft.part(1).remove("/kernel7.img");
    draft.part(1).file("/initramfs8", "junk");
    assert_eq!(failed(&draft), set(["sd-initrd"]));
}

/// A store in a file system of its own is not looked for.
#[test]
fn a_store_may_be_mounted() {
    for (place, good) in [("nix", true), ("nix/store", true), ("home", false)] {
        let mut draft = pi();
        let fstab = format!(
            "/dev/disk/by-label/NIXOS_SD /sysroot/ ext4\n/dev/mmcblk0p3 /sysroot/{place} ext4\n"
        );
        let initrd = archive(&[
            ("init", 0o100_755, "ELF"),
            ("etc", 0o040_755, ""),
            ("etc/fstab", 0o100_644, &fstab),
        ]);
        *draft.part(2).content(INITRD) = initrd;
        draft.part(2).remove(&format!("{TOPLEVEL}/init"));
        let expected = if good { BTreeSet::new() } else { set(["sd-init"]) };
        assert_eq!(failed(&draft), expected, "{place}");
    }
}

/// nixpkgs 25.11 grows the root with commands in a script, which the first program names.
#[test]
fn the_root_grows_by_a_script_too() {
    let mut draft = pi();
    draft.part(2).remove(concat!(store!("units"), "/expand-root-partition.service"));
    let script = concat!(store!("bash"), "/x-local-cmds");
    draft.part(2).file(script, "resize2fs $rootPart\n");
    let init = format!("{TOPLEVEL}/init");
    draft.part(2).content(&init).extend(format!("sh {script}\n").bytes());
    assert_eq!(failed(&draft), BTreeSet::new());
}

/// The firmware starts Linux itself, as Debian's image does: no NixOS rule is reached.
#[test]
fn debian_cards_are_judged() {
    let mut draft = pi();
    draft.boards = vec![Board::Pi3, Board::Pi4];
    let config = "arm_64bit=1\nkernel=vmlinuz\ninitramfs initrd.img followkernel\n";
    draft.part(1).file("/config.txt", config);
    draft.part(1).file("/cmdline.txt", "console=tty0 root=LABEL=RASPIROOT rw\n");
    draft.part(1).file("/vmlinuz", gzip(&kernel()));
    draft.part(1).file("/initrd.img", initramfs());
    let root = draft.part(2);
    root.label = "RASPIROOT";
    root.bootable = false;
    root.free_inodes = 0;
    root.entries.clear();
    root.program("/usr/lib/systemd/systemd", elf(0xb7));
    root.link("/sbin", "usr/sbin");
    root.link("/usr/sbin/init", "../lib/systemd/systemd");
    assert_eq!(failed(&draft), BTreeSet::new());
    draft.part(2).remove("/usr/lib/systemd/systemd");
    assert_eq!(failed(&draft), set(["sd-init"]));
}

/// Hostile values give findings, and end.
#[test]
fn hostile_values_are_judged() {
    let mut draft = pi();
    let root = draft.part(2);
    let init = format!("{TOPLEVEL}/init");
    root.link(&init, &init);
    root.link(EXTLINUX, "extlinux.conf");
    assert!(failed(&draft).contains(BOARD));
    let long = "x/".repeat(5000);
    for value in ["..", "../../../..", "/", "//", "\u{e9}", "a b", &long] {
        for (number, path, key) in [
            (2, EXTLINUX, "../nixos/k-linux-6.18-Image"),
            (2, EXTLINUX, "../nixos/k-linux-6.18-dtbs"),
            (1, "/config.txt", "armstub8-gic.bin"),
        ] {
            let mut draft = pi();
            draft.part(number).edit(path, key, value);
            failed(&draft);
        }
    }
    let empty = Draft { parts: Vec::new(), boards: Vec::new(), ..pi() };
    assert_eq!(failed(&empty), set(["sd-bootable"]));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// Whatever is in the files, there is a report.
    #[test]
    fn mutated_files_are_judged(
        base in 0_usize..3,
        file in proptest::prelude::any::<proptest::sample::Index>(),
        edits in proptest::collection::vec(
            (proptest::prelude::any::<proptest::sample::Index>(), proptest::prelude::any::<u8>()),
            1..8,
        ),
        cut in proptest::option::of(proptest::prelude::any::<proptest::sample::Index>()),
    ) {
        let mut draft = [pi, u_boot_only, uefi][base]();
        let mut contents: Vec<&mut Vec<u8>> = Vec::new();
        for part in &mut draft.parts {
            for entry in part.entries.values_mut() {
                if let Entry::File(_, content) = entry {
                    contents.push(content);
                }
            }
        }
        let at = file.index(contents.len());
        let content = &mut *contents[at];
        for (place, byte) in edits {
            if !content.is_empty() {
                let place = place.index(content.len());
                content[place] = byte;
            }
        }
        if let Some(cut) = cut {
            content.truncate(cut.index(content.len() + 1));
        }
        failed(&draft);
    }
}
