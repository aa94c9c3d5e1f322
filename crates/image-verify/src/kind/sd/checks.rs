//! What is asked of an SD card, in the order it is asked.

checks! {
    /// The checks of this kind, in the order they are evaluated.
    CHECKS:

    /// U-Boot looks for `extlinux.conf` on the partitions that have the boot flag (*active* in an
    /// MBR, *legacy BIOS bootable* or *EFI system* in a GPT), or on the first one where none has
    /// it. Here the file is on another partition, so it is never found. Set the flag of the
    /// partition with the file: `sfdisk --activate`.
    BOOT_FLAG = "sd-boot-flag", Error;
    reads "the flags of all partitions; /extlinux/extlinux.conf and /boot/extlinux/extlinux.conf";
    spec "U-Boot config_distro_bootcmd.h scan_dev_for_boot_part; NixOS/nixpkgs#477779";

    /// The file has more than 1 MiB, or its file system does not lead to all of it. A real one has
    /// some kilobytes.
    EXTLINUX_READ = "sd-extlinux-read", Error;
    reads "extlinux.conf";
    spec "the limit is ours";

    /// An included file is not there, or files include each other more than 16 deep. U-Boot then
    /// gives up all of `extlinux.conf`.
    EXTLINUX_INCLUDE = "sd-extlinux-include", Error;
    reads "INCLUDE and MENU INCLUDE";
    spec "U-Boot boot/pxe_utils.c handle_include, MAX_NEST_LEVEL";

    /// A keyword without its value. U-Boot then gives up all of `extlinux.conf`.
    EXTLINUX_SYNTAX = "sd-extlinux-syntax", Error;
    reads "extlinux.conf";
    spec "U-Boot boot/pxe_utils.c parse_sliteral";

    /// U-Boot ignores a line whose first word it does not know. Inside of a label such a line also
    /// ends the label, so that the lines after it are lost.
    EXTLINUX_IGNORED = "sd-extlinux-ignored", Warning;
    reads "extlinux.conf";
    spec "U-Boot boot/pxe_utils.c parse_label, parse_pxefile_top";

    /// There has to be a `LABEL`, and `DEFAULT`, if it is there, has to name one: it is what is
    /// started when nobody chooses. Without it U-Boot tries the labels in their order.
    DEFAULT_LABEL = "sd-extlinux-default", Error;
    reads "DEFAULT and LABEL of extlinux.conf";
    spec "U-Boot boot/pxe_utils.c pxe_menu_to_menu, handle_pxe_menu";

    /// A kernel, initramfs or device tree that `extlinux.conf` names is not there. Paths start at
    /// the folder of the file, or, with a slash, at the root of the same file system.
    EXTLINUX_FILE = "sd-extlinux-file", Error;
    reads "LINUX, INITRD, FDT, FDTDIR and FDTOVERLAYS of each label";
    spec "U-Boot boot/pxe_utils.c get_relfile, label_boot";

    /// U-Boot takes the device tree out of `FDTDIR` whose name it was built with. Where that is not
    /// there, it hands on the one that the firmware gave it, which may be made for another kernel.
    FDTDIR_BOARD = "sd-fdtdir-board", Info;
    reads "FDTDIR of each label, for boards that the image promises";
    spec "U-Boot boot/pxe_utils.c label_boot, rpi.c rpi_models; NixOS/nixos-hardware#1431";

    /// What U-Boot, systemd-boot or GRUB start has to be a kernel for AArch64: with the header of
    /// an arm64 kernel or of a PE, as it is or compressed with gzip.
    KERNEL = "sd-kernel", Error;
    reads "the first bytes of each kernel";
    spec "Linux Documentation/arch/arm64/booting.rst; nix-community/nixos-generators#441";

    /// An initramfs has to be one or more cpio archives, as they are or compressed, with nothing
    /// but zeros between them, and the last one complete. Linux stops without a root file system
    /// otherwise.
    INITRD = "sd-initrd", Error;
    reads "all of each initramfs, up to 1 GiB of what is in it";
    spec "Linux Documentation/driver-api/early-userspace/buffer-format.rst, init/initramfs.c";

    /// The initramfs is compressed with something that is not looked into here (lz4, lzma, lzo,
    /// bzip2), or has more than is looked into. Linux can read it if it was built to.
    INITRD_COMPRESSION = "sd-initrd-compression", Info;
    reads "the first bytes of each archive in an initramfs";
    spec "Linux lib/decompress.c";

    /// Linux starts `/init` of the initramfs. Without it the initramfs is ignored, and the root is
    /// mounted without the modules in it.
    INITRD_INIT = "sd-initrd-init", Error;
    reads "/init in each initramfs";
    spec "Linux init/main.c kernel_init_freeable";

    /// A device tree is damaged, cut short, or something else.
    DEVICE_TREE = "sd-device-tree", Error;
    reads "header, structure block and strings block of each device tree that is used";
    spec "Devicetree Specification v0.4 §5";

    /// No `console=`: the kernel takes the first console that it has a driver for, or the one in
    /// the device tree. A board without a screen may then boot in silence.
    CONSOLE = "sd-console", Info;
    reads "the command line of each kernel";
    spec "Linux Documentation/admin-guide/serial-console.rst";

    /// The command line, or the table in the initramfs, names a file system by a label or UUID that
    /// none on the disk has. The boot then waits for it in vain.
    ROOT = "sd-root", Error;
    reads "root= of each command line, fstab in the initramfs; labels, UUIDs of file systems";
    spec "bootparam(7); udev's /dev/disk; nix-community/nixos-generators#244";

    /// The first program of the system (`init=`, or `/sbin/init`) is not there, is not executable,
    /// or is a script for a program that is not there. The kernel panics, or the initramfs asks for
    /// a shell.
    INIT = "sd-init", Error;
    reads "init= of each command line, and what it leads to";
    spec "bootparam(7)";

    /// The first program of the system is for another processor: an image that was built for one
    /// system and evaluated for another.
    INIT_ARCHITECTURE = "sd-init-architecture", Error;
    reads "the ELF header of the first program, or of the one that runs it";
    spec "System V ABI; nix-community/nixos-generators#441";

    /// NixOS writes the kernel's parameters beside the first program, and into the boot loader's
    /// configuration. If they differ, one of them is from another build.
    KERNEL_PARAMS = "sd-kernel-params", Error;
    reads "APPEND or options, and kernel-params in the folder of init=";
    spec "nixpkgs extlinux-conf-builder.sh";

    /// What UEFI starts has to be a PE for AArch64 that says that it is an application for UEFI.
    EFI_PROGRAM = "sd-efi-program", Error;
    reads "EFI/BOOT/BOOTAA64.EFI, programs of boot loader entries, unified kernel images";
    spec "UEFI 2.10 §2.1.1, §3.5.1.1";

    /// An entry of systemd-boot names a file that is not there, or names nothing to start. Paths
    /// start at the root of the same file system.
    ENTRY_FILE = "sd-boot-entry", Error;
    reads "loader/loader.conf and loader/entries/*.conf";
    spec "UAPI Group, Boot Loader Specification, Type #1";

    /// `default` of systemd-boot fits no entry, so it chooses by itself. What counts the attempts
    /// to boot (`+3` at the end of a name) is no part of the name.
    ENTRY_DEFAULT = "sd-boot-entry-default", Warning;
    reads "loader/loader.conf";
    spec "loader.conf(5)";

    /// A unified kernel image is one program with a kernel (`.linux`) in it, and often an initramfs
    /// (`.initrd`) and a command line (`.cmdline`). The kernel is not there, or one of them is cut
    /// off.
    UKI = "sd-uki", Error;
    reads "the sections of EFI/Linux/*.efi";
    spec "UAPI Group, Unified Kernel Image";

    /// A file that stands in GRUB's configuration with its full path is in none of the file
    /// systems. Paths with a variable in them are not judged.
    GRUB_FILE = "sd-grub-file", Error;
    reads "linux, initrd, devicetree and configfile of grub.cfg";
    spec "GRUB manual, Commands";

    /// The firmware of a Raspberry Pi takes its settings from `config.txt`. Without it a Pi 3
    /// starts in 32-bit mode, and no board finds U-Boot.
    CONFIG_TXT = "sd-config-txt", Error;
    reads "config.txt in the first FAT partition";
    spec "Raspberry Pi documentation, config.txt";

    /// The firmware reads the first 98 characters of a line and ignores the rest.
    CONFIG_LINE = "sd-config-line", Warning;
    reads "config.txt and the files it includes";
    spec "Raspberry Pi documentation, config.txt, File format";

    /// An included file is not there, or files include each other without end.
    CONFIG_INCLUDE = "sd-config-include", Error;
    reads "include in config.txt";
    spec "Raspberry Pi documentation, config.txt, Advanced features";

    /// `config.txt` names a file, in a section that applies to some board with a 64-bit processor,
    /// and the file is not there. That board stops at the rainbow screen.
    CONFIG_FILE = "sd-config-file", Error;
    reads "kernel, armstub, device_tree, initramfs, start_file and fixup_file in config.txt";
    spec "Raspberry Pi documentation, config.txt, Boot options";

    /// The firmware itself is empty or is no program: a copy that failed.
    FIRMWARE_FILE = "sd-firmware-file", Error;
    reads "bootcode.bin, start*.elf, fixup*.dat";
    spec "Raspberry Pi documentation, Boot folder contents";

    /// What the firmware starts is neither U-Boot nor a kernel for AArch64.
    FIRMWARE_KERNEL = "sd-firmware-kernel", Error;
    reads "the first bytes of kernel= in config.txt, or of kernel8.img";
    spec "Raspberry Pi documentation, config.txt, arm_64bit; Linux booting.rst";

    /// The stub is plain code that runs before the kernel, at address 0. This one is empty, is a
    /// program with headers, or reaches into the kernel.
    ARMSTUB = "sd-armstub", Error;
    reads "the file of armstub= in config.txt";
    spec "Raspberry Pi documentation, config.txt, armstub; raspberrypi/tools armstubs";

    /// The device tree that the firmware gives a board is for another processor.
    DEVICE_TREE_BOARD = "sd-device-tree-board", Error;
    reads "compatible of the root of the device tree for each board";
    spec "Devicetree Specification v0.4 §2.3.1; NixOS/nixpkgs#333865";

    /// An overlay is not there. The firmware boots without it, and so without what it switches on.
    OVERLAY = "sd-overlay", Warning;
    reads "dtoverlay in config.txt";
    spec "Raspberry Pi documentation, config.txt, dtoverlay";

    /// The image promises to boot on this board, and something that the board needs is missing.
    /// Each Pi wants firmware of its own: up to the Pi 3 `bootcode.bin`, `start.elf` and
    /// `fixup.dat`; the Pi 4 `start4.elf` and `fixup4.dat`; the Pi 5 none. All want a device tree
    /// and a 64-bit kernel, or U-Boot and something that U-Boot starts.
    PROMISED_BOARD = "sd-promised-board", Error;
    reads "config.txt as that board sees it, and the files that it needs";
    spec "Raspberry Pi documentation, Boot folder contents; nix-community/nixos-generators#168";

    /// This board cannot be booted with the image, and nobody said that it can. List boards under
    /// `boards` in the image definition to make that an error.
    BOARD = "sd-board", Info;
    reads "config.txt as each board sees it, and the files that it needs";
    spec "Raspberry Pi documentation, Boot folder contents; NixOS/nixpkgs#260754";

    /// No board at all can be booted with the image: no firmware that is complete, no
    /// `extlinux.conf` where U-Boot looks for it, no `EFI/BOOT/BOOTAA64.EFI`.
    BOOTABLE = "sd-bootable", Error;
    reads "what all boards need, where the image promises none";
    spec "the firmware of each board";

    /// The firmware partition is nearly full, and firmware that is updated later does not fit. Make
    /// it larger; it cannot be grown later, as the root is behind it.
    FIRMWARE_FREE = "sd-firmware-free", Warning;
    reads "the free clusters of the partition with config.txt";
    spec "NixOS/nixpkgs#66850, #108048; nvmd/nixos-raspberrypi#193; the limit, 1 in 16, is ours";

    /// The first boot makes links for all of `/etc`, homes and the state of services before the
    /// root is expanded. With too few inodes it fails halfway, and an image with 68 is known to.
    /// Give `mkfs.ext4` more with `-N` or `-i`.
    FREE_INODES = "sd-free-inodes", Error;
    reads "s_free_inodes_count of the root";
    spec "NixOS/nixpkgs#435489; the limit, 1000, is ours";

    /// The first boot writes before the root is expanded. nixpkgs leaves 16 MiB free for it.
    FREE_BYTES = "sd-free-space", Error;
    reads "s_free_blocks_count of the root";
    spec "NixOS/nixpkgs#125121; the limit, 8 MiB, is ours";

    /// `mkfs.ext4` draws the seed of the hashes of names at random unless `-E hash_seed=UUID` gives
    /// it. Two builds of the same inputs then differ in it, in checksums, and in the order of large
    /// directories, and in nothing else. nixpkgs does not give it.
    HASH_SEED = "sd-hash-seed", Info;
    reads "s_hash_seed of the root: a UUID of version 4 that is not the UUID of the file system";
    spec "e2fsprogs 1.47 misc/mke2fs.c; RFC 9562 §5.4";

    /// The root has to be the last partition: the first boot expands it to the end of the card.
    ROOT_LAST = "sd-root-last", Warning;
    reads "where the partitions start";
    spec "nixpkgs sd-image.nix expandOnBoot";

    /// Nothing in the system expands the root at the first boot, so it stays as small as the image.
    RESIZE = "sd-resize", Warning;
    reads "units that grow partitions, and the scripts that the first program runs";
    spec "nixpkgs sd-image.nix expandOnBoot; NixOS/nixpkgs#554294";

    /// The first boot loads the list of store paths into Nix's database. Without it, or if it
    /// cannot be read, Nix knows of no path, and the first garbage collection deletes the running
    /// system.
    REGISTRATION = "sd-registration", Error;
    reads "/nix-path-registration";
    spec "Nix decodeValidPathInfo; NixOS/nixpkgs#341071";

    /// A path in the store is not in the list, so Nix does not know it, and deletes it.
    REGISTRATION_COMPLETE = "sd-registration-complete", Error;
    reads "/nix-path-registration, /nix/store";
    spec "NixOS/nixpkgs#341071, #557239";

    /// A path in the list is not in the store: Nix takes for granted what is not there.
    REGISTRATION_PRESENT = "sd-registration-present", Error;
    reads "/nix-path-registration, /nix/store";
    spec "NixOS/nixpkgs#341071";

    /// A path refers to one that is not in the list, which Nix refuses to load.
    REGISTRATION_REFERENCES = "sd-registration-references", Error;
    reads "the references in /nix-path-registration";
    spec "Nix LocalStore::registerValidPaths";

    /// A random seed in the image is the same on all machines, and adds nothing to their randomness
    /// that others do not know.
    RANDOM_SEED = "sd-random-seed", Warning;
    reads "/var/lib/systemd/random-seed, /loader/random-seed";
    spec "systemd-random-seed.service(8)";

    /// A host key in the image is known to everybody who downloads it: they can pretend to be any
    /// machine that uses it. Remove the keys; sshd makes new ones.
    SSH_HOST_KEY = "sd-ssh-host-key", Warning;
    reads "/etc/ssh";
    spec "sshd(8)";

    /// A machine id in the image is the same on all machines, which confuses DHCP, logs and
    /// everything that takes it for unique. Ship the file empty, or with `uninitialized`, or not at
    /// all.
    MACHINE_ID = "sd-machine-id", Warning;
    reads "/etc/machine-id, /var/lib/dbus/machine-id";
    spec "machine-id(5), First Boot Semantics";

    /// Everybody on the machine can read the hashes of all passwords.
    SHADOW_MODE = "sd-shadow-mode", Error;
    reads "the modes of /etc/shadow and /etc/gshadow";
    spec "shadow(5)";

    /// What somebody typed while the image was made, passwords perhaps among it.
    SHELL_HISTORY = "sd-shell-history", Warning;
    reads "the histories of shells in /root and /home";
    spec "bash(1), HISTORY";

    /// A private key in the image belongs to everybody who has the image.
    PRIVATE_KEY = "sd-private-key", Warning;
    reads "files up to 64 KiB in /etc, /home, /root and /var, and keys by name in /nix/store";
    spec "RFC 7468 §10";
}
