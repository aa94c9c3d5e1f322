//! What is asked of a disc that boots, in the order it is asked.

checks! {
    /// The checks of this kind, in the order they are evaluated.
    CHECKS:

    /// A configuration of a boot loader has more than 1 MiB, or its file system does not lead to
    /// all of it. A real one has some kilobytes.
    CONFIG_READ = "iso-config-read", Error;
    reads "isolinux.cfg, grub.cfg, loopback.cfg, loader.conf and entries, refind.conf";
    spec "the limit is ours";

    /// `isolinux.cfg` names a file in other letters than it has in the names of Rock Ridge.
    /// ISOLINUX does not care; others that read the same configuration, such as GRUB and SYSLINUX
    /// on a copy of the files, do.
    FILE_CASE = "iso-file-case", Warning;
    reads "paths in isolinux.cfg, names of files";
    spec "SYSLINUX 6 core/fs/iso9660; GRUB manual, syslinux_configfile";

    /// ISOLINUX consists of modules from version 5 on, and stops with *Failed to load ldlinux.c32*
    /// where the first one is in none of its folders. Others, such as its menu, need libraries
    /// beside them. All have to be of the same version.
    ISOLINUX_MODULE = "iso-isolinux-module", Error;
    reads "isolinux.bin, ldlinux.c32, the names of libraries in other modules";
    spec "SYSLINUX 6 core/elflink/load_env32.c";

    /// An included file is not there, which ISOLINUX passes over in silence, or files include each
    /// other without end.
    ISOLINUX_INCLUDE = "iso-isolinux-include", Warning;
    reads "INCLUDE and MENU INCLUDE in isolinux.cfg";
    spec "SYSLINUX 6 com32/elflink/ldlinux/readconfig.c do_include";

    /// A kernel, initramfs or module that `isolinux.cfg` names is not there. Paths start at the
    /// folder of the file, or, with a slash, at the root of the disc; several slashes are one.
    ISOLINUX_FILE = "iso-isolinux-file", Error;
    reads "KERNEL, LINUX, COM32, INITRD, APPEND and UI in isolinux.cfg";
    spec "SYSLINUX 6 com32/elflink/ldlinux; NixOS/nixpkgs#355893, NixOS/nix#14512";

    /// What is started when nobody chooses: `DEFAULT` has to name a label or a file.
    ISOLINUX_DEFAULT = "iso-isolinux-default", Error;
    reads "DEFAULT, UI and LABEL in isolinux.cfg";
    spec "SYSLINUX 6 com32/elflink/ldlinux/readconfig.c";

    /// What UEFI starts has to be a PE for the processor in its name that says that it is an
    /// application for UEFI.
    EFI_PROGRAM = "iso-efi-program", Error;
    reads "EFI/BOOT/BOOTX64.EFI and BOOTAA64.EFI, programs that boot loaders go on to";
    spec "UEFI 2.10 §2.1.1, §3.5.1.1; NixOS/nixpkgs#244673";

    /// GRUB cannot read its configuration further than to a quote that does not end or a brace that
    /// has no partner. The build of nixpkgs runs `grub-script-check`.
    GRUB_SYNTAX = "iso-grub-syntax", Error;
    reads "grub.cfg and the files it leads to";
    spec "GRUB manual, Shell-like scripting";

    /// GRUB searches for a file, a label or a UUID that no file system of the image has: rEFInd's
    /// entry searches for the serial number of the FAT file system, the others for a file that
    /// marks the disc.
    GRUB_SEARCH = "iso-grub-search", Warning;
    reads "search in grub.cfg; files, labels and UUIDs of the file systems";
    spec "GRUB manual, search; nixpkgs iso-image.nix";

    /// A file that GRUB's configuration names is not there. Paths start at the file system that
    /// `root` is, or at the one in parentheses; the case of letters matters on a disc with Rock
    /// Ridge. What is on another disk, or in a variable that is
    /// set on the machine, is not judged.
    GRUB_FILE = "iso-grub-file", Error;
    reads "linux, initrd, chainloader, configfile and source in grub.cfg";
    spec "GRUB manual, Commands; NixOS/nixpkgs#287798";

    /// An entry of systemd-boot names a file that is not there, or names nothing to start. Paths
    /// start at the root of the same file system.
    ENTRY_FILE = "iso-boot-entry", Error;
    reads "loader/entries/*.conf";
    spec "UAPI Group, Boot Loader Specification, Type #1";

    /// `default` of systemd-boot fits no entry, so it chooses by itself.
    ENTRY_DEFAULT = "iso-boot-entry-default", Warning;
    reads "loader/loader.conf";
    spec "loader.conf(5)";

    /// A unified kernel image is one program with a kernel (`.linux`) in it, and often an initramfs
    /// (`.initrd`) and a command line (`.cmdline`). The kernel is not there, or one of them is cut
    /// off.
    UKI = "iso-uki", Error;
    reads "the sections of EFI/Linux/*.efi, and of the program that UEFI starts";
    spec "UAPI Group, Unified Kernel Image";

    /// A file that rEFInd's configuration names is not on its file system. rEFInd then leaves the
    /// entry out; it finds other boot loaders by itself.
    REFIND_FILE = "iso-refind-file", Warning;
    reads "loader and initrd in refind.conf";
    spec "The rEFInd Boot Manager, Creating Manual Boot Stanzas";

    /// What a boot loader starts has to be a kernel for the processor, and all of it: with the
    /// header of the x86 boot protocol, or of an arm64 kernel or a PE.
    KERNEL = "iso-kernel", Error;
    reads "the first bytes of each kernel, and its size";
    spec "Linux Documentation/arch/x86/boot.rst, arch/arm64/booting.rst";

    /// A kernel takes so many bytes of a command line and ignores the rest: mostly 2047 on x86.
    COMMAND_LINE_LENGTH = "iso-command-line-length", Error;
    reads "cmdline_size of the kernel; each command line";
    spec "Linux Documentation/arch/x86/boot.rst";

    /// An initramfs has to be one or more cpio archives, as they are or compressed, with nothing
    /// but zeros between them, and the last one complete. Linux stops without a root file system
    /// otherwise.
    INITRD = "iso-initrd", Error;
    reads "all of each initramfs, up to 1 GiB of what is in it";
    spec "Linux Documentation/driver-api/early-userspace/buffer-format.rst, init/initramfs.c";

    /// The initramfs is compressed with something that is not looked into here (lz4, lzma, lzo,
    /// bzip2). Linux can read it if it was built to.
    INITRD_COMPRESSION = "iso-initrd-compression", Info;
    reads "the first bytes of each archive in an initramfs";
    spec "Linux lib/decompress.c";

    /// Linux starts `/init` of the initramfs. Without it the initramfs is ignored, and there is no
    /// root to mount.
    INITRD_INIT = "iso-initrd-init", Error;
    reads "/init in each initramfs";
    spec "Linux init/main.c kernel_init_freeable";

    /// The system finds the disc by its label, from the command line (`root=LABEL=`, of the scripts
    /// of stage 1) or from a table in the initramfs (of systemd). It has to be that of the disc
    /// byte for byte, or the boot waits for it in vain. So a disc has to be copied byte for byte as
    /// well: what makes sticks in another way gives them another label.
    ROOT = "iso-root", Error;
    reads "root= and its like in each command line, fstab in the initramfs, the volume identifier";
    spec "nixpkgs iso-image.nix; NixOS/nixpkgs#6265, #17496, #327187, #245915";

    /// The initramfs mounts the store from a file of the disc that is not there, or is no SquashFS
    /// that can be read.
    STORE_FILE = "iso-store-file", Error;
    reads "fstab in the initramfs, the files of the disc";
    spec "nixpkgs iso-image.nix";

    /// A GRUB on another disk starts the image as a file (`findiso=`, from `loopback.cfg`). Only
    /// the scripts of stage 1 know that word; systemd waits for a disc that is not there.
    FINDISO = "iso-findiso", Warning;
    reads "loopback.cfg, findiso= in command lines, the initramfs";
    spec "NixOS/nixpkgs#291750, #245101";

    /// The first program of the system (`init=`) is not in the store that is mounted, is not
    /// executable, or is a script for a program that is not there. The initramfs then asks for a
    /// shell.
    INIT = "iso-init", Error;
    reads "init= of each command line, and what it leads to in the SquashFS";
    spec "bootparam(7); nixpkgs iso-image.nix";

    /// The first program of the system is for another processor than the kernel: an image that was
    /// built for one system and evaluated for another.
    INIT_ARCHITECTURE = "iso-init-architecture", Error;
    reads "the ELF header of the first program, or of the one that runs it";
    spec "System V ABI";

    /// NixOS writes the kernel's parameters beside the first program, and into the boot loaders'
    /// configurations, where entries add to them. If one lacks something, it is from another build.
    KERNEL_PARAMS = "iso-kernel-params", Error;
    reads "command lines, and kernel-params in the folder of init=";
    spec "nixpkgs iso-image.nix";

    /// The first boot loads the list of store paths into Nix's database. Without it, or if it
    /// cannot be read, Nix knows of no path, and copies nothing to the disk it installs to.
    REGISTRATION = "iso-registration", Error;
    reads "nix-path-registration in the SquashFS of the store";
    spec "Nix decodeValidPathInfo; nixpkgs make-squashfs.nix";

    /// A path in the store is not in the list, so Nix does not know it.
    REGISTRATION_COMPLETE = "iso-registration-complete", Error;
    reads "nix-path-registration, the root of the SquashFS";
    spec "nixpkgs make-squashfs.nix";

    /// A path in the list is not in the store: Nix takes for granted what is not there.
    REGISTRATION_PRESENT = "iso-registration-present", Error;
    reads "nix-path-registration, the root of the SquashFS";
    spec "nixpkgs make-squashfs.nix";

    /// A path refers to one that is not in the list, which Nix refuses to load.
    REGISTRATION_REFERENCES = "iso-registration-references", Error;
    reads "the references in nix-path-registration";
    spec "Nix LocalStore::registerValidPaths";

    /// A FAT file system in the image has the label of the disc. udev makes one link for a label,
    /// and on a stick it may lead to the wrong one.
    LABEL = "iso-label", Warning;
    reads "the volume identifier, the labels of FAT file systems";
    spec "udev, 60-persistent-storage.rules";

    /// The image promises to boot in this way, and something on the way is missing. From a disc a
    /// BIOS and UEFI start images of the boot catalog. From a stick, which is a copy byte for byte,
    /// a BIOS starts the first block, and UEFI a FAT file system that a partition table leads to.
    /// Where a stick is all that is promised, one of them has to.
    PROMISED_BOOT = "iso-promised-boot", Error;
    reads "boot catalog, first block, partition tables, boot loaders, kernels";
    spec "El Torito 1.0; UEFI 2.10 §13.3; NixOS/nixpkgs#393759, #7132, #286196, NixOS/nixos#248";

    /// The image promises to boot in this way, and it cannot be told whether it does: nobody knows
    /// the boot code of a stick, or a limit was met on the way. Try it on a machine.
    UNPROVEN_BOOT = "iso-unproven-boot", Warning;
    reads "boot catalog, first block, partition tables, boot loaders, kernels";
    spec "El Torito 1.0; UEFI 2.10 §13.3; the limits are ours";

    /// The image cannot be booted in this way, and nobody said that it can. List the ways under
    /// `boots` in the image definition to make that an error. Boot code that nobody knows may start
    /// it from a stick, or may not.
    BOOT = "iso-boot", Info;
    reads "boot catalog, first block, partition tables, boot loaders, kernels";
    spec "El Torito 1.0; UEFI 2.10 §13.3";

    /// There is more than is followed, and what comes after it is not known: millions of names,
    /// thousands of files, a million references between store paths, or gigabytes in an initramfs.
    /// Ways to boot that met this are not said to boot, nor not to.
    LIMITS = "iso-limits", Warning;
    reads "configurations of boot loaders, names of files, initramfs, nix-path-registration";
    spec "the limits are ours";

    /// Nothing at all boots the image, although it has a boot catalog.
    BOOTABLE = "iso-bootable", Error;
    reads "what all ways need, where the image promises none";
    spec "El Torito 1.0";
}
