//! How firmware and boot loaders go on, and what is told where they do not: of discs that nixpkgs
//! makes, of those that people had trouble with, and of those that other people make.

use std::collections::BTreeSet;

use image_model::{Boot, Outcome};
use image_verify::{el_torito::Loader, hybrid::Bios};

use crate::{
    bytes::{AARCH64, X86_64, archive, efi, elf, gzip},
    image::{
        BASH, Draft, Entry, GRUB, IMAGE, INIT, INITRD, ISOLINUX, KERNEL, LABEL, LOOPBACK, MARKER,
        REGISTRATION, STORE, TOPLEVEL, X64, aarch64, base, bzimage, grub_modules, scripted, store,
        systemd, systemd_boot, systemd_initrd,
    },
    twins::{PROMISE, UNPROVEN, failed, grub, messages, set},
};

/// The messages about what is promised.
fn promises(draft: &Draft) -> Vec<String> {
    messages(draft, PROMISE)
}

/// A disc of somebody else's, of which nobody promises anything.
fn others() -> Draft {
    let mut draft = scripted();
    draft.boots.clear();
    draft.disc.entries.clear();
    draft.fat.entries.clear();
    draft
}

/// What the boot catalog and the first block say is said again.
#[test]
fn what_is_wrong_outside_is_told() {
    let mut draft = scripted();
    draft.bios = Bios::Nothing("no code in the first block".to_owned());
    assert_eq!(promises(&draft), ["bios from usb does not boot: no code in the first block"]);
    draft.bios = Bios::Unknown;
    assert_eq!(failed(&draft), set([UNPROVEN]));
    let line = "bios from usb may boot or not: nobody knows its boot code";
    assert_eq!(messages(&draft, UNPROVEN), [line]);
    let unpromised = Draft { boots: vec![Boot::Bios], bios: Bios::Unknown, ..scripted() };
    assert_eq!(failed(&unpromised), BTreeSet::new());
    assert_eq!(messages(&unpromised, "iso-boot")[0], line);
    assert!(!draft.ways().contains(&"bios from usb".to_owned()));
    // As grub-mkrescue makes it without a GRUB for a BIOS.
    let mut other = aarch64();
    other.bios = Bios::Unknown;
    let line = "bios from usb does not boot: nobody knows its boot code, and no image for it is in \
                the boot catalog";
    assert!(messages(&other, "iso-boot").contains(&line.to_owned()));
    draft.images[1].sound = false;
    let disc = "uefi-x86_64 from disc does not boot: image 2 of the boot catalog is broken";
    assert_eq!(promises(&draft), [disc]);
    let mut draft = scripted();
    draft.fat_is_readable = false;
    assert_eq!(
        promises(&draft),
        ["uefi-x86_64 from disc does not boot: image 2 of the boot catalog is no FAT file system \
          that can be read"]
    );
    draft.images.clear();
    draft.partition = false;
    draft.bios = Bios::Nothing("no master boot record".to_owned());
    let lines = promises(&draft);
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0], "bios from disc does not boot: no boot catalog");
    assert_eq!(lines[2], "uefi-x86_64 from disc does not boot: no boot catalog");
    // NixOS/nixpkgs#393759, NixOS/nixos#248: an image for UEFI without anything for UEFI.
    let mut draft = scripted();
    draft.fat.remove(X64);
    assert_eq!(promises(&draft).len(), 2);
}

/// ISOLINUX reads its names without regard to case, and its configuration in five folders.
#[test]
fn isolinux_looks_where_it_looks() {
    for (from, to, good) in [
        ("/isolinux/", "/boot/isolinux/", true),
        ("/isolinux/", "/syslinux/", true),
        ("/isolinux/", "/", true),
        ("/isolinux/", "/ISOLINUX/", true),
        ("/isolinux/", "/loader/", false),
    ] {
        let mut draft = scripted();
        let paths: Vec<_> = draft.disc.entries.keys().cloned().collect();
        for path in paths.iter().filter(|path| path.starts_with(from)) {
            draft.disc.rename(path, &path.replacen(from, to, 1));
        }
        let expected = if good { BTreeSet::new() } else { set([PROMISE, "iso-isolinux-module"]) };
        // Its own folder may be any, of ISOLINUX alone.
        assert_eq!(failed(&draft), expected, "{to}");
    }
    // Versions before 5 are one file.
    let mut draft = scripted();
    draft.images[0].content = b"ISOLINUX 4.07".to_vec();
    draft.disc.remove("/isolinux/ldlinux.c32");
    assert_eq!(failed(&draft), BTreeSet::new());
    // A menu without its library: ISOLINUX waits at its prompt. Seen in QEMU.
    let mut draft = scripted();
    draft.disc.remove("/isolinux/libutil.c32");
    assert_eq!(failed(&draft), set([PROMISE, "iso-isolinux-module"]));
    let mut draft = scripted();
    draft.disc.remove("/isolinux/vesamenu.c32");
    assert_eq!(failed(&draft), set([PROMISE, "iso-isolinux-file"]));
    draft.disc.edit(ISOLINUX, "UI vesamenu.c32\n", "");
    assert_eq!(failed(&draft), BTreeSet::new());
    draft.disc.remove(ISOLINUX);
    assert_eq!(promises(&draft).len(), 2);
}

/// GRUB reads its configuration where its prefix says, in the file system that it starts from.
#[test]
fn grub_looks_where_it_looks() {
    // By a partition table that is the FAT file system, and by the boot catalog all of the disc, as
    // seen in QEMU. (EDK II takes the catalog of a stick as well, where it refuses its GPT.)
    let mut draft = scripted();
    draft.fat.remove(GRUB);
    assert_eq!(
        promises(&draft),
        ["uefi-x86_64 from usb does not boot: GRUB finds no /EFI/BOOT/grub.cfg on image 2"]
    );
    let mut draft = scripted();
    draft.disc.rename(GRUB, "/grub.cfg");
    draft.disc.remove(LOOPBACK);
    assert_eq!(
        promises(&draft),
        ["uefi-x86_64 from disc does not boot: GRUB finds no /EFI/BOOT/grub.cfg on disc"]
    );
    // NixOS/nixpkgs#287798.
    let mut draft = scripted();
    let modules = grub_modules("/EFI/boot", None);
    *draft.fat.content(X64) = efi(0x8664, &[("mods", &modules)]);
    let disc = "uefi-x86_64 from disc does not boot: GRUB finds no /EFI/boot/grub.cfg on disc";
    assert_eq!(promises(&draft), [disc]);
    let modules = grub_modules("/boot/grub", None);
    *draft.fat.content(X64) = efi(0x8664, &[("mods", &modules)]);
    let disc = "uefi-x86_64 from disc does not boot: GRUB finds no /boot/grub/grub.cfg on disc";
    let usb = "uefi-x86_64 from usb does not boot: GRUB finds no /boot/grub/grub.cfg on image 2";
    assert_eq!(promises(&draft), [disc, usb]);
    // With a device before it.
    let mut other = scripted();
    let modules = grub_modules("(cd0)/loader", None);
    *other.fat.content(X64) = efi(0x8664, &[("mods", &modules)]);
    for part in [&mut other.disc, &mut other.fat] {
        part.rename(GRUB, "/loader/grub.cfg");
    }
    other.disc.file(LOOPBACK, "source /loader/grub.cfg");
    assert_eq!(failed(&other), BTreeSet::new());
    // What is built in may search for the disc.
    let modules = grub_modules("/boot/grub", Some("search --set=root --file /.disk/info\n"));
    *draft.fat.content(X64) = efi(0x8664, &[("mods", &modules)]);
    draft.fat.remove(GRUB);
    assert_eq!(failed(&draft), BTreeSet::new());
    // A shim starts GRUB.
    draft.fat.file(X64, efi(0x8664, &[]));
    draft.fat.file("/EFI/BOOT/grubx64.efi", efi(0x8664, &[("mods", &modules)]));
    assert_eq!(failed(&draft), BTreeSet::new());
    draft.fat.file("/EFI/BOOT/grubx64.efi", "");
    assert_eq!(failed(&draft), set([PROMISE, "iso-efi-program"]));
}

/// The file that marks the disc leads GRUB from FAT to it.
#[test]
fn grub_searches() {
    let mut draft = scripted();
    draft.disc.remove(MARKER);
    assert_eq!(failed(&draft), set([PROMISE, "iso-grub-search", "iso-grub-file"]));
    for search in [
        format!("search --no-floppy --set=root -l {LABEL}"),
        format!("search --label {LABEL} --set root"),
        "search --fs-uuid --set=root 1980-01-01-00-00-00-00 --hint cd0".to_owned(),
        "search.file /version.txt root".to_owned(),
        "set root=(cd0)".to_owned(),
        format!("set name={LABEL}\nsearch --label --set \"$name\""),
    ] {
        grub(&mut draft, "search --set=root --file /EFI/nixos-installer-image", &search);
        assert_eq!(failed(&draft), BTreeSet::new(), "{search}");
        grub(&mut draft, &search, "search --set=root --file /EFI/nixos-installer-image");
    }
    // What depends on the machine is not judged.
    for root in ["set root=(hd0,msdos1)", "set root=$other", "search --set=root -u $other"] {
        grub(&mut draft, "search --set=root --file /EFI/nixos-installer-image", root);
        assert_eq!(failed(&draft), BTreeSet::new(), "{root}");
        grub(&mut draft, root, "search --set=root --file /EFI/nixos-installer-image");
    }
    // A condition may set it, or not.
    let condition = "if [ -f /x ]; then set root=(cd0); fi\n#";
    grub(&mut draft, "search --set=root --file /EFI/nixos-installer-image", condition);
    assert_eq!(failed(&draft), BTreeSet::new());
}

/// Ubuntu's image has a few lines in FAT that lead to the disc.
#[test]
fn grub_goes_on_to_other_files() {
    let mut draft = scripted();
    let modules = grub_modules("/EFI/BOOT", Some("set x=y\n"));
    *draft.fat.content(X64) = efi(0x8664, &[("mods", &modules)]);
    let text = draft.fat.content(GRUB).clone();
    draft.disc.rename(GRUB, "/boot/grub/grub.cfg");
    let stub = format!(
        "search.fs_label {LABEL} root\nset prefix=($root)'/boot/grub'\nconfigfile $prefix/grub.cfg\n"
    );
    *draft.fat.content(GRUB) = stub.into_bytes();
    draft.disc.file(LOOPBACK, "source /boot/grub/grub.cfg");
    assert_eq!(failed(&draft), BTreeSet::new());
    draft.fat.edit(GRUB, "grub.cfg", "menu.cfg");
    assert_eq!(failed(&draft), set(["iso-grub-file"]));
    // Files that lead to each other.
    *draft.fat.content(GRUB) = [text, b"\nsource /EFI/BOOT/grub.cfg\n".to_vec()].concat();
    draft.disc.file("/EFI/BOOT/grub.cfg", "configfile /EFI/BOOT/grub.cfg");
    assert_eq!(failed(&draft), BTreeSet::new());
}

/// The label, in all the ways it is written.
#[test]
fn discs_are_found_by_their_label() {
    // Of systemd it is in the initramfs.
    let mut draft = systemd();
    let wrong = systemd_initrd("nixos-minimal-26.05-x86-64");
    *draft.disc.content(INITRD) = gzip(&wrong);
    assert_eq!(failed(&draft), set(["iso-root"]));
    assert_eq!(
        messages(&draft, "iso-root")[0],
        "the initramfs mounts label nixos-minimal-26.05-x86-64, and the label of the disc is \
         nixos-minimal-26.05-x86_64"
    );
    // NixOS/nixpkgs#327187: the scripts made this link, systemd does not.
    let table = "/dev/root /sysroot/iso iso9660 x-initrd.mount 0 0\n";
    let initrd = archive(&[
        ("etc", 0o040_755, ""),
        ("etc/fstab", 0o100_444, table),
        ("init", 0o120_777, "/usr/lib/systemd/systemd"),
        ("usr", 0o040_755, ""),
        ("usr/lib", 0o040_755, ""),
        ("usr/lib/systemd", 0o040_755, ""),
        ("usr/lib/systemd/systemd", 0o100_755, "ELF"),
    ]);
    *draft.disc.content(INITRD) = gzip(&initrd);
    assert_eq!(failed(&draft), set(["iso-root"]));
    // Nothing says what the scripts should make the link of.
    let mut draft = scripted();
    for path in [ISOLINUX, GRUB] {
        draft.disc.edit(path, &format!("root=LABEL={LABEL} "), "");
    }
    draft.fat.edit(GRUB, &format!("root=LABEL={LABEL} "), "");
    assert_eq!(failed(&draft), set(["iso-root", "iso-kernel-params"]));
    // udev writes a space as \x20.
    let mut draft = systemd();
    draft.disc.label = "NixOS 26.05".to_owned();
    for label in ["NixOS\\x2026.05", "NixOS\\04026.05"] {
        *draft.disc.content(INITRD) = gzip(&systemd_initrd(label));
        assert_eq!(failed(&draft), BTreeSet::new(), "{label}");
    }
    // Other people's.
    for (words, good) in [
        ("root=live:CDLABEL=Fedora-WS-Live-41 rd.live.image", true),
        ("root=live:CDLABEL=Fedora-WS-Live-40 rd.live.image", false),
        ("inst.stage2=hd:LABEL=Fedora-WS-Live-41 quiet", true),
        ("inst.stage2=hd:LABEL=Fedora-E-dvd quiet", false),
        ("archisobasedir=arch archisolabel=Fedora-WS-Live-41", true),
        ("root=/dev/disk/by-label/Fedora-WS-Live-41", true),
        ("root=UUID=1980-01-01-00-00-00-00", true),
        ("root=UUID=1980-01-01-00-00-00-01", false),
        ("root=/dev/sr0 boot=live", true),
        ("root=LABEL=other root=LABEL=Fedora-WS-Live-41 rootwait", true),
    ] {
        let mut draft = others();
        draft.disc.label = "Fedora-WS-Live-41".to_owned();
        draft.disc.file("/isolinux/isolinux.cfg", format!("label a\nkernel k\nappend {words}\n"));
        draft.disc.file("/isolinux/ldlinux.c32", "");
        draft.disc.file("/isolinux/k", bzimage());
        draft.disc.edit("/isolinux/isolinux.cfg", "label a", "default a\nlabel a");
        let expected = if good { BTreeSet::new() } else { set(["iso-root"]) };
        assert_eq!(failed(&draft), expected, "{words}");
    }
}

/// The first program, through symlinks of the running system.
#[test]
fn the_first_program_is_in_the_store() {
    let init = |target: &str| {
        let mut draft = scripted();
        draft.store.remove(INIT);
        draft.store.link(INIT, target);
        draft.store.program(base!("nixos-init/bin/init"), elf(X86_64));
        let mut text = String::from_utf8(draft.store.content("/nix-path-registration").clone());
        let text = text.as_mut().unwrap();
        text.push_str(concat!(store!("nixos-init"), "\nsha256:0abc\n4096\n\n0\n"));
        *draft.store.content("/nix-path-registration") = text.clone().into_bytes();
        draft
    };
    assert_eq!(failed(&init(store!("nixos-init/bin/init"))), BTreeSet::new());
    let relative = concat!("..", base!("nixos-init/bin/init"));
    assert_eq!(failed(&init(relative)), BTreeSet::new());
    let own = format!("{TOPLEVEL}/init");
    for target in [&own, store!("gone/init"), "/run/current-system/init", "../../../etc"] {
        let mut expected = set(["iso-init"]);
        if target.contains("-gone") {
            expected.insert("store-symlink".to_owned());
        }
        assert_eq!(failed(&init(target)), expected, "{target}");
    }
    // What is started is there, and what runs it is not.
    let mut draft = scripted();
    draft.store.edit(INIT, "-bash/", "-zsh/");
    assert_eq!(failed(&draft), set(["iso-init"]));
    // It names another system.
    let mut draft = scripted();
    grub(&mut draft, "nixos-26.05/init", "nixos-25.11/init");
    draft.disc.edit(ISOLINUX, "nixos-26.05/init", "nixos-25.11/init");
    assert_eq!(failed(&draft), set(["iso-init", "store-entry"]));
    assert!(messages(&draft, "iso-init")[0].ends_with("-nixos-system-nixos-25.11/init: not there"));
}

/// A root in a SquashFS, as Debian's live images have.
#[test]
fn live_roots_are_judged() {
    let mut draft = scripted();
    *draft.disc.content(INITRD) = archive(&[("init", 0o100_755, "#!/bin/sh")]);
    for path in [ISOLINUX, GRUB] {
        draft.disc.edit(path, &format!("init={TOPLEVEL}/init"), "init=/sbin/first");
    }
    draft.fat.edit(GRUB, &format!("init={TOPLEVEL}/init"), "init=/sbin/first");
    draft.store.entries.clear();
    draft.store.put("/etc", Entry::Directory);
    draft.store.program("/usr/bin/first", elf(X86_64));
    draft.store.link("/sbin", "usr/bin");
    assert_eq!(failed(&draft), BTreeSet::new());
    *draft.store.content("/usr/bin/first") = elf(AARCH64);
    assert_eq!(failed(&draft), set(["iso-init-architecture"]));
    draft.store.remove("/usr/bin/first");
    assert_eq!(failed(&draft), set(["iso-init"]));
}

/// Before there was a SquashFS the store was on the disc itself.
#[test]
fn stores_of_the_disc_are_judged() {
    let mut draft = scripted();
    draft.store_is_readable = false;
    *draft.disc.content(INITRD) = archive(&[("init", 0o100_755, "#!/bin/sh")]);
    draft.disc.program(&format!("{TOPLEVEL}/init"), elf(X86_64));
    draft.disc.program(concat!(store!("bash"), "/bin/bash"), elf(X86_64));
    let list = draft.store.content(REGISTRATION).clone();
    draft.disc.file(REGISTRATION, list);
    assert_eq!(failed(&draft), BTreeSet::new());
    draft.disc.mode(&format!("{TOPLEVEL}/init"), 0o444);
    assert_eq!(failed(&draft), set(["iso-init"]));
}

#[test]
fn discs_for_aarch64_are_judged() {
    let mut draft = aarch64();
    *draft.disc.content(IMAGE) = bzimage();
    assert_eq!(failed(&draft), set([PROMISE, "iso-kernel"]));
    let mut draft = aarch64();
    *draft.disc.content(IMAGE) = gzip(&draft.disc.content(IMAGE).clone());
    assert_eq!(failed(&draft), BTreeSet::new());
    let mut draft = aarch64();
    *draft.store.content(BASH) = elf(X86_64);
    assert_eq!(failed(&draft), set(["iso-init-architecture"]));
    let mut draft = aarch64();
    draft.disc.edit(GRUB, "-linux-6.18/Image", "-linux-6.18/gone");
    draft.fat.edit(GRUB, "-linux-6.18/Image", "-linux-6.18/gone");
    assert_eq!(failed(&draft), set([PROMISE, "iso-grub-file"]));
    let mut draft = aarch64();
    draft.boots = vec![Boot::UefiAarch64, Boot::Usb];
    assert_eq!(promises(&draft).len(), 1);
}

/// rEFInd is found in the FAT file system, and nowhere else.
#[test]
fn refind_is_found() {
    let mut draft = scripted();
    draft.fat.remove("/EFI/BOOT/refind_x64.efi");
    assert_eq!(failed(&draft), set(["iso-grub-file"]));
    draft.fat.file("/EFI/BOOT/refind_x64.efi", efi(0xaa64, &[]));
    assert_eq!(failed(&draft), set(["iso-efi-program"]));
    draft.fat.remove("/EFI/BOOT/refind_x64.efi");
    // An entry for which GRUB looks whether the file is there.
    let condition = "if [ \"$root\" != \"cd0\" -a -f ($root)/EFI/BOOT/refind_x64.efi ]";
    grub(&mut draft, "if [ \"$root\" != \"cd0\" ]", condition);
    assert_eq!(failed(&draft), BTreeSet::new());
}

/// A disc that finds itself as a file on another disk.
#[test]
fn loopbacks_are_for_scripts() {
    let mut draft = systemd();
    draft.disc.file(LOOPBACK, "source /EFI/BOOT/grub.cfg");
    assert_eq!(failed(&draft), set(["iso-findiso"]));
    let mut draft = systemd();
    draft.disc.edit(ISOLINUX, "copytoram", "findiso=/nixos.iso");
    assert_eq!(failed(&draft), set(["iso-findiso"]));
}

/// A unified kernel image that firmware starts by itself.
#[test]
fn unified_images_start() {
    let mut draft = systemd_boot();
    let uki = draft.fat.content(crate::image::UKI).clone();
    draft.fat.entries.clear();
    draft.fat.file(X64, uki);
    assert_eq!(failed(&draft), BTreeSet::new());
    draft.fat.file(X64, efi(0x8664, &[(".sdmagic", b"systemd-boot")]));
    let lines = promises(&draft);
    assert!(lines.iter().all(|l| l.ends_with("systemd-boot finds no entry that starts")));
    assert_eq!(lines.len(), 2);
}

/// memtest86+: an image of a floppy, and a kernel that is a program for UEFI.
#[test]
fn memtest_is_right() {
    let mut draft = others();
    draft.images[0].loader = Loader::Other;
    draft.bios = Bios::Unknown;
    draft.fat.file("/EFI/BOOT/bootx64.efi", bzimage());
    assert_eq!(failed(&draft), BTreeSet::new());
    assert_eq!(draft.verify().outcomes["iso-bootable"], Outcome::Held);
}

/// GRUB's rescue disc: its entries are for systems on the machine's disks.
#[test]
fn grub_rescue_is_right() {
    let mut draft = others();
    draft.images.truncate(1);
    draft.images[0].loader = Loader::Grub;
    draft.partition = false;
    draft.disc.file(
        "/boot/grub/grub.cfg",
        "set timeout=30\nset default=gnulinux\nmenuentry \"GNU/Linux\" --id gnulinux {\n\
         \tset root=(hd0,msdos1)\n\tlinux /vmlinuz root=/dev/sda1\n\tinitrd /initrd.img\n}\n\
         menuentry \"GNU\" {\n\tset root=(hd0,msdos1)\n\tmultiboot /boot/gnumach.gz \\\n\
         \t\t--x='${kernel-command-line}'\n}\nmenuentry W { chainloader +1 }\n",
    );
    assert_eq!(failed(&draft), BTreeSet::new());
    draft.boots = vec![Boot::Bios, Boot::Usb];
    assert_eq!(failed(&draft), BTreeSet::new());
    draft.disc.remove("/boot/grub/grub.cfg");
    assert_eq!(promises(&draft)[0], "bios from disc does not boot: GRUB finds no grub.cfg on disc");
}

/// iPXE's disc, and Debian's with its menus.
#[test]
fn other_isolinux_discs_are_right() {
    let mut draft = others();
    draft.disc.file("/isolinux.cfg", "DEFAULT ipxe.lkrn\nLABEL ipxe.lkrn\n KERNEL ipxe.krn\n");
    draft.disc.file("/ipxe.krn", bzimage());
    draft.disc.file("/ldlinux.c32", "");
    draft.fat.file(X64, efi(0x8664, &[]));
    assert_eq!(failed(&draft), BTreeSet::new());

    let mut draft = others();
    let disc = &mut draft.disc;
    let top = "# D-I config version 2.0\npath \ninclude menu.cfg\ndefault vesamenu.c32\nprompt 0\n";
    disc.file("/isolinux/isolinux.cfg", top);
    let menu = "menu hshift 4\nmenu title Debian\ninclude txt.cfg\nmenu begin advanced\n\
        label mainmenu\n menu label ^Back..\n menu exit\nmenu end\nlabel local\n localboot 0x80\n\
        label floppy\n kernel memdisk\n append initrd=dos.img\n";
    disc.file("/isolinux/menu.cfg", menu);
    disc.file(
        "/isolinux/txt.cfg",
        "label install\n\tmenu label ^Install\n\tkernel /install.amd/vmlinuz\n\
         \tappend vga=788 initrd=/install.amd/gtk.gz,/install.amd/more.gz --- quiet\n",
    );
    disc.file("/isolinux/ldlinux.c32", "");
    disc.file("/isolinux/vesamenu.c32", "\x7fELF");
    disc.file("/isolinux/memdisk", bzimage());
    disc.file("/isolinux/dos.img", "FAT");
    disc.file("/install.amd/vmlinuz", bzimage());
    disc.file("/install.amd/gtk.gz", gzip(&archive(&[("init", 0o100_755, "#!/bin/sh")])));
    disc.file("/install.amd/more.gz", gzip(&archive(&[("etc", 0o040_755, "")])));
    let grub = "if [ x$feature_default_font_path = xy ] ; then\n   font=unicode\nelse\n  \
        font=$prefix/font.pf2\nfi\nmenuentry 'Install' {\n    set background_color=black\n    \
        linux    /install.amd/vmlinuz vga=788 --- quiet\n    initrd   /install.amd/gtk.gz\n}\n";
    disc.file("/boot/grub/grub.cfg", grub);
    let modules = grub_modules("/EFI/debian", Some("search --file --set=root /.disk/info\n"));
    draft.fat.file(X64, efi(0x8664, &[]));
    draft.fat.file("/EFI/BOOT/grubx64.efi", efi(0x8664, &[("mods", &modules)]));
    assert_eq!(failed(&draft), BTreeSet::new());
    draft.boots = vec![Boot::Bios, Boot::UefiX86_64, Boot::Usb];
    assert_eq!(failed(&draft), BTreeSet::new());
    draft.disc.remove("/install.amd/more.gz");
    assert_eq!(failed(&draft), set(["iso-isolinux-file", PROMISE]));
}

/// The case of letters matters to GRUB in names of Rock Ridge, and nowhere else.
#[test]
fn grub_minds_the_case_of_rock_ridge() {
    let upper = INITRD.replace("initrd-", "Initrd-");
    let mut draft = scripted();
    draft.disc.rename(INITRD, &upper);
    assert_eq!(failed(&draft), set([PROMISE, "iso-grub-file", "iso-file-case"]));
    let line = &messages(&draft, "iso-grub-file")[0];
    assert!(line.ends_with(&format!("no file {INITRD} on disc, where it is {upper}")), "{line}");
    draft.disc.ignores_case = true;
    assert_eq!(failed(&draft), BTreeSet::new());
    // The file that it searches for.
    let mut draft = scripted();
    draft.disc.rename(MARKER, &MARKER.to_ascii_uppercase());
    assert!(failed(&draft).contains("iso-grub-search"));
    draft.disc.ignores_case = true;
    assert_eq!(failed(&draft), BTreeSet::new());
    // Its own configuration.
    let mut draft = scripted();
    draft.disc.rename(GRUB, "/EFI/BOOT/GRUB.CFG");
    draft.disc.remove(LOOPBACK);
    assert_eq!(failed(&draft), set([PROMISE]));
    draft.disc.ignores_case = true;
    assert_eq!(failed(&draft), BTreeSet::new());
    draft.disc.edit("/EFI/BOOT/GRUB.CFG", "initrd /boot", "initrd /root");
    assert!(failed(&draft).contains("iso-grub-file"));
}

/// A stick is promised and nothing else: some way has to be known to boot it.
#[test]
fn sticks_boot_or_not() {
    let of = |bios: Bios, partition: bool, boots: Vec<Boot>| {
        let report = Draft { boots, bios, partition, ..scripted() }.verify();
        [PROMISE, UNPROVEN, "iso-bootable"].map(|id| report.outcomes[id])
    };
    let nothing = || Bios::Nothing("no code".to_owned());
    let usb = || vec![Boot::Usb];
    let [held, failed, none] = [Outcome::Held, Outcome::Failed, Outcome::NotReached];
    assert_eq!(of(Bios::Unknown, true, usb()), [held, held, none]);
    assert_eq!(of(Bios::Unknown, false, usb()), [none, failed, none]);
    assert_eq!(of(nothing(), false, usb()), [failed, held, none]);
    assert_eq!(of(nothing(), false, Vec::new()), [none, none, held]);
    // Nobody knows whether anything boots it.
    let mut draft = Draft { boots: Vec::new(), bios: Bios::Unknown, ..scripted() };
    draft.images.iter_mut().for_each(|image| image.sound = false);
    draft.partition = false;
    assert_eq!(draft.verify().outcomes["iso-bootable"], Outcome::NotReached);
    assert_eq!(draft.ways(), [""; 0]);
}

/// What the boot catalog and partition tables lack is known, whatever limit a menu meets.
#[test]
fn limits_hide_no_structure() {
    let mut draft = scripted();
    let zeros =
        zstd::encode_all(&mut std::io::Read::take(std::io::repeat(0), (1 << 30) + 1), 1).unwrap();
    *draft.disc.content(INITRD) = zeros;
    draft.images[1].sound = false;
    draft.partition = false;
    assert_eq!(failed(&draft), set(["iso-limits", PROMISE, UNPROVEN]));
    let lines = promises(&draft);
    assert_eq!(
        lines[0],
        "uefi-x86_64 from disc does not boot: image 2 of the boot catalog is broken"
    );
    assert_eq!(lines.len(), 2);
    assert!(messages(&draft, UNPROVEN).iter().all(|line| line.starts_with("bios from ")));
    draft.images.remove(1);
    assert_eq!(
        promises(&draft)[0],
        "uefi-x86_64 from disc does not boot: no image for UEFI in the boot catalog"
    );
}

/// What is not followed to its end is neither said to boot nor not to.
#[test]
fn limits_are_no_verdict() {
    let lookups = format!("menuentry x {{\n{}}}\n", "initrd /gone\n".repeat(20_000));
    let commands = "true\n".repeat(70_000);
    for more in [lookups, commands, "menuentry x {\n}\n".repeat(5000)] {
        let mut draft = scripted();
        for part in [&mut draft.disc, &mut draft.fat] {
            part.content(GRUB).splice(..0, more.bytes());
        }
        let found = failed(&draft);
        assert!(found.contains("iso-limits"), "{found:?}");
        assert!(!found.contains(PROMISE) && !found.contains("iso-bootable"), "{found:?}");
        assert_eq!(draft.ways(), ["bios from disc", "bios from usb"]);
    }
    // An initramfs that is zeros without end, for a BIOS as well.
    let mut draft = scripted();
    let zeros =
        zstd::encode_all(&mut std::io::Read::take(std::io::repeat(0), (1 << 30) + 1), 1).unwrap();
    *draft.disc.content(INITRD) = zeros;
    draft.boots.clear();
    assert_eq!(failed(&draft), set(["iso-limits"]));
    assert_eq!(draft.ways(), [""; 0]);
    // Names of FAT are looked at one by one.
    let mut draft = systemd_boot();
    let many = "loader /EFI/gone\n".repeat(4096);
    draft.fat.file("/EFI/refind/refind.conf", many);
    for number in 0..20_000 {
        draft.fat.file(&format!("/EFI/{number}"), "");
    }
    assert_eq!(failed(&draft), set(["iso-limits", "iso-refind-file"]));
}

/// The label that is started by itself is looked for among all.
#[test]
fn defaults_may_be_anywhere() {
    let mut draft = scripted();
    let many: String = (0..500).map(|n| format!("LABEL l{n}\nLOCALBOOT 0\n")).collect();
    draft.disc.edit(ISOLINUX, "DEFAULT boot\n", &format!("DEFAULT boot\n{many}"));
    assert_eq!(failed(&draft), BTreeSet::new());
    draft.disc.remove(KERNEL);
    assert!(failed(&draft).contains("iso-isolinux-file"));
    assert!(promises(&draft).iter().any(|line| line.starts_with("bios from disc")));
    let mut draft = scripted();
    draft.disc.edit(ISOLINUX, "DEFAULT boot\n", "DEFAULT boot\nONTIMEOUT boot-copytoram\n");
    assert_eq!(failed(&draft), BTreeSet::new());
    draft.disc.edit(ISOLINUX, "ONTIMEOUT boot-copytoram", "ONTIMEOUT gone");
    assert_eq!(failed(&draft), set(["iso-isolinux-default"]));
}

/// Menus for many processors and desktops include the same file for each part, and have many
/// entries. A default behind a limit may be there.
#[test]
fn large_menus_are_judged() {
    let mut draft = scripted();
    draft.disc.file("/isolinux/stdmenu.cfg", "MENU COLOR title * #ff #0 *\n");
    let menu = "MENU BEGIN x\nMENU INCLUDE stdmenu.cfg\nMENU END\n".repeat(200);
    draft.disc.edit(ISOLINUX, "DEFAULT boot\n", &format!("DEFAULT boot\n{menu}"));
    assert_eq!(failed(&draft), BTreeSet::new());
    let more = "MENU INCLUDE stdmenu.cfg\n".repeat(100);
    draft.disc.edit(ISOLINUX, "DEFAULT boot\n", &format!("DEFAULT far\n{more}"));
    assert_eq!(failed(&draft), set(["iso-limits", UNPROVEN]));
    // The last of many is judged as the first.
    let mut draft = scripted();
    let many: String = (0..200).map(|n| format!("LABEL l{n}\nKERNEL vesamenu.c32\n")).collect();
    draft.disc.content(ISOLINUX).extend(many.bytes());
    assert_eq!(failed(&draft), BTreeSet::new());
    draft.disc.content(ISOLINUX).extend(b"LABEL last\nLINUX /gone\n");
    assert_eq!(failed(&draft), set(["iso-isolinux-file"]));
    // Modules that are read have an end as well.
    let mut draft = scripted();
    for n in 0..65 {
        draft.disc.file(&format!("/isolinux/m{n}.c32"), "\x7fELF");
        draft.disc.content(ISOLINUX).extend(format!("LABEL m{n}\nCOM32 m{n}.c32\n").bytes());
    }
    assert_eq!(failed(&draft), set(["iso-limits", UNPROVEN]));
}

/// A SquashFS that has more than is judged may be right.
#[test]
fn limits_of_stores_are_no_verdict() {
    let mut draft = Draft { store_is_readable: false, ..scripted() };
    assert_eq!(failed(&draft), set(["iso-store-file"]));
    draft.squashfs_limit = true;
    assert_eq!(failed(&draft), set(["squashfs-limits"]));
    draft.disc.remove(STORE);
    assert_eq!(failed(&draft), set(["iso-store-file", "squashfs-limits"]));
}

/// memtest86+ 4 and 5 have the boot sector of a kernel and no header.
#[test]
fn programs_without_a_header_start() {
    let mut memtest = vec![0; 64 << 10];
    memtest[0x1f1] = 4;
    memtest[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    let mut draft = scripted();
    draft.disc.file("/boot/memtest", &memtest);
    let label = "LABEL memtest\nLINUX /boot/memtest\nAPPEND root=LABEL=x\n";
    draft.disc.content(ISOLINUX).extend(label.bytes());
    let entry = "menuentry m {\n linux16 /boot/memtest root=LABEL=x\n}\n";
    draft.disc.content(GRUB).extend(entry.bytes());
    assert_eq!(failed(&draft), BTreeSet::new());
    draft.disc.edit(GRUB, "linux16", "linux");
    assert_eq!(failed(&draft), set(["iso-kernel"]));
    draft.disc.edit(GRUB, "linux ", "linux16 ");
    draft.disc.content("/boot/memtest").truncate(1024);
    assert!(failed(&draft).contains("iso-kernel"));
}

/// What a program is given as an initramfs may be something else.
#[test]
fn not_all_is_an_initramfs() {
    let mut draft = scripted();
    draft.disc.file("/boot/ipxe.lkrn", bzimage());
    draft.disc.file("/boot/script", "#!ipxe\nautoboot\n");
    let label = "LABEL ipxe\nLINUX /boot/ipxe.lkrn\nINITRD /boot/script\n";
    draft.disc.content(ISOLINUX).extend(label.bytes());
    draft.disc.file("/boot/memdisk", bzimage());
    draft.disc.file("/boot/dos.img", "FAT");
    let entry = "menuentry dos {\n linux16 /boot/memdisk\n initrd16 /boot/dos.img\n}\n";
    draft.disc.content(GRUB).extend(entry.bytes());
    assert_eq!(failed(&draft), BTreeSet::new());
}

/// A shim starts the program beside it, and no other.
#[test]
fn shims_need_their_second_stage() {
    let mut draft = others();
    draft.images.remove(0);
    draft.boots = vec![Boot::UefiX86_64, Boot::Usb];
    let name = "\\grubx64.efi".encode_utf16().flat_map(u16::to_le_bytes);
    let words: Vec<u8> = b"UEFI SHIM\n$Version: 16.1 $".iter().copied().chain(name).collect();
    draft.fat.file(X64, efi(0x8664, &[("/26", &words)]));
    let lines = promises(&draft);
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|l| l.ends_with("the shim finds no /EFI/BOOT/grubx64.efi beside it")));
    draft.fat.file("/EFI/BOOT/grubx64.efi", efi(0x8664, &[]));
    assert_eq!(failed(&draft), BTreeSet::new());
    draft.fat.rename("/EFI/BOOT/grubx64.efi", "/EFI/BOOT/fbx64.efi");
    assert_eq!(failed(&draft), BTreeSet::new());
}

/// Hostile values give findings, and end.
#[test]
fn hostile_values_are_judged() {
    let long = "x/".repeat(5000);
    let doubling: String = (0..64).map(|n| format!("set a{}=$a{n}$a{n}\n", n + 1)).collect();
    let nested = "menuentry x {\n".repeat(20_000);
    let variables: String = (0..1000).map(|n| format!("set v{n}={}\n", "x/".repeat(500))).collect();
    let entries = "menuentry x {\nlinux /k\n}\n".repeat(20_000);
    let words = format!("set a={}\nlinux{}", "y".repeat(1000), " $a".repeat(300_000));
    let sources = format!("set a={}\n{}", "y".repeat(1000), "source /EFI/BOOT/x\n".repeat(50_000));
    let initrds = format!("linux /k\ninitrd{}", " /a".repeat(300_000));
    let spread = format!("set a={}\nlinux {}", "y".repeat(1000), "$a".repeat(300_000));
    for text in [
        &words,
        &sources,
        &initrds,
        &doubling,
        &nested,
        &variables,
        &entries,
        &spread,
        "linux",
        "initrd",
        "set",
        "set =",
        "search",
        "search --set=",
        "(",
        "linux (",
        "linux ()",
        "linux (image:",
        "set root=image:9\nlinux /x",
        "set root=(image:0+x)\nlinux /x",
        "source",
        "configfile $prefix/../../..",
        "}}}}",
        "'",
        "${",
    ] {
        let mut draft = scripted();
        *draft.disc.content(GRUB) = text.as_bytes().to_vec();
        *draft.fat.content(GRUB) = text.as_bytes().to_vec();
        failed(&draft);
    }
    for value in ["..", "../../../..", "/", "//", "\u{e9}", "a b", ".", &long] {
        let mut draft = scripted();
        draft.disc.edit(ISOLINUX, "/boot//nix", value);
        draft.disc.edit(GRUB, "/boot//nix", value);
        draft.fat.edit(GRUB, MARKER, value);
        failed(&draft);
    }
    // Each reference has the path that it is of.
    let mut draft = scripted();
    let list = format!("{}{}\nsha256:0abc\n1\n\n250000\n", store!("x"), "x".repeat(210));
    let list = list + &concat!(store!("y"), "\n").repeat(250_000);
    draft.store.file("/nix-path-registration", list);
    assert!(failed(&draft).contains("iso-registration-references"));
    // More than is judged is no defect.
    let many = (0..1 << 18).map(|n| format!("/nix/store/{n:032}-x\nsha256:0abc\n1\n\n0\n"));
    draft.store.content("/nix-path-registration").extend(many.collect::<String>().bytes());
    assert_eq!(failed(&draft), set(["iso-limits"]));
    let mut draft = scripted();
    draft.store.link(STORE, STORE);
    draft.disc.link(KERNEL, KERNEL);
    draft.disc.link(INITRD, "../../../../../../..");
    assert!(failed(&draft).contains(PROMISE));
    let mut empty = others();
    empty.images.clear();
    empty.bios = Bios::Nothing("nothing".to_owned());
    empty.partition = false;
    assert_eq!(failed(&empty), set(["iso-bootable"]));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// Whatever is in the files, there is a report.
    #[test]
    fn mutated_files_are_judged(
        base in 0_usize..4,
        file in proptest::prelude::any::<proptest::sample::Index>(),
        edits in proptest::collection::vec(
            (proptest::prelude::any::<proptest::sample::Index>(), proptest::prelude::any::<u8>()),
            1..8,
        ),
        cut in proptest::option::of(proptest::prelude::any::<proptest::sample::Index>()),
    ) {
        let mut draft = [scripted, systemd, aarch64, systemd_boot][base]();
        let mut contents: Vec<&mut Vec<u8>> = Vec::new();
        for part in [&mut draft.disc, &mut draft.fat, &mut draft.store] {
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
