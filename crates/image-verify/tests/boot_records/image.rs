//! Discs that boot, small, made by the tools that others use: with the flags of nixpkgs, with those
//! of `grub-mkrescue`, and with others that people give to xorriso and genisoimage.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use tempfile::TempDir;

/// Size of a sector, in bytes.
pub(crate) const SECTOR: usize = 2048;

/// Where the boot record is.
pub(crate) const RECORD: usize = 17 * SECTOR;

/// What a tool printed, and whether it succeeded.
pub(crate) struct Output {
    pub(crate) text: String,
    pub(crate) success: bool,
}

/// Runs a tool of a Debian package in a folder, for a minute at most.
pub(crate) fn run(package: &str, folder: &Path, argv: &[&str]) -> Output {
    let output = Command::new("timeout")
        .args(["--kill-after=5", "60"])
        .args(argv)
        .current_dir(folder)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .env("MTOOLSRC", "/dev/null")
        .env("SOURCE_DATE_EPOCH", "315532800")
        .output()
        .unwrap_or_else(|e| panic!("timeout: {e}; run `apt-get install coreutils`"));
    let missing = output.status.code() == Some(127);
    assert!(!missing, "{} is missing; run `apt-get install {package}`", argv[0]);
    let text = [output.stdout, output.stderr].concat();
    Output { text: String::from_utf8_lossy(&text).into_owned(), success: output.status.success() }
}

fn must(package: &str, folder: &Path, argv: &[&str]) {
    let output = run(package, folder, argv);
    assert!(output.success, "{}: {}", argv.join(" "), output.text);
}

/// A disc that somebody else made: `tests/tools/fetch-discs.sh` has it.
pub(crate) fn foreign(name: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let path = root.join("target/discs/debian").join(name);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}; run tests/setup.sh", path.display()))
}

/// A number of 32 bits.
pub(crate) fn number(disc: &[u8], at: usize) -> usize {
    u32::from_le_bytes(disc[at..at + 4].try_into().unwrap()) as usize
}

/// Puts bytes to a place.
pub(crate) fn put(disc: &mut [u8], at: usize, bytes: &[u8]) {
    disc[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Where the boot catalog is.
pub(crate) fn catalog(disc: &[u8]) -> usize {
    number(disc, RECORD + 0x47) * SECTOR
}

/// Where the image is that the record of this number in the catalog leads to.
pub(crate) fn image(disc: &[u8], record: usize) -> usize {
    number(disc, catalog(disc) + record * 32 + 8) * SECTOR
}

/// What all discs are made of.
struct Parts {
    folder: TempDir,
}

impl Parts {
    fn path(&self) -> &Path {
        self.folder.path()
    }
}

static PARTS: LazyLock<Parts> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["tree/isolinux", "tree/boot/grub"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    let isolinux = Path::new("/usr/lib/ISOLINUX/isolinux.bin");
    let copied = fs::copy(isolinux, root.join("tree/isolinux/isolinux.bin"));
    copied.unwrap_or_else(|e| panic!("{}: {e}; apt-get install isolinux", isolinux.display()));
    fs::write(root.join("tree/isolinux/isolinux.cfg"), "DEFAULT boot\n").unwrap();
    let kernel: Vec<u8> = (0..30_000).map(|at| (at * 7 + at / 251) as u8).collect();
    fs::write(root.join("tree/boot/bzImage"), kernel).unwrap();
    fs::write(root.join("BOOTX64.EFI"), b"MZ").unwrap();

    for (path, sectors) in [("tree/boot/efi.img", 256), ("tree/boot/floppy.img", 2880)] {
        fs::write(root.join(path), vec![0; sectors * 512]).unwrap();
        let argv = ["mkfs.vfat", "--invariant", "-i", "12345678", "-n", "EFIBOOT", path];
        must("dosfstools", root, &argv);
        must("mtools", root, &["mmd", "-i", path, "::/EFI", "::/EFI/BOOT"]);
        must("mtools", root, &["mcopy", "-i", path, "BOOTX64.EFI", "::/EFI/BOOT/"]);
    }
    // A hard disk with one partition, and boot code.
    let mut disk = vec![0; 64 << 10];
    put(&mut disk, 0, &[0xeb, 0xfe]);
    put(&mut disk, 0x1be, &[0x80, 0, 2, 0, 6, 0, 63, 0, 1, 0, 0, 0, 127, 0, 0, 0]);
    put(&mut disk, 510, &[0x55, 0xaa]);
    fs::write(root.join("tree/boot/disk.img"), disk).unwrap();

    // GRUB's boot code, and GRUB for discs, from a disc of GRUB's own package.
    let grub = foreign("grub-rescue-cdrom.iso");
    fs::write(root.join("boot_hybrid.img"), &grub[..512]).unwrap();
    let start = image(&grub, 1);
    let len = number(&grub, start + 16);
    fs::write(root.join("tree/boot/grub/eltorito.img"), &grub[start..start + len]).unwrap();
    Parts { folder }
});

/// The flags that nixpkgs gives for all discs.
const NIXPKGS: &[&str] = &[
    "xorriso",
    "-boot_image",
    "any",
    "gpt_disk_guid=8b6f0c2e5c5b5f3a9d0e1b2c3d4e5f60",
    "-volume_date",
    "all_file_dates",
    "=315532800",
    "-as",
    "mkisofs",
    "-iso-level",
    "3",
    "-volid",
    "nixos-minimal-26.05-x86_64",
    "-appid",
    "nixos",
    "-publisher",
    "nixos",
    "-graft-points",
    "-full-iso9660-filenames",
    "-joliet",
];

/// `makeBiosBootable`.
const BIOS: &[&str] = &[
    "-eltorito-boot",
    "isolinux/isolinux.bin",
    "-eltorito-catalog",
    ".boot.cat",
    "-no-emul-boot",
    "-boot-load-size",
    "4",
    "-boot-info-table",
    "--sort-weight",
    "1",
    "/isolinux",
];

/// `makeUsbBootable` with it.
const USB: &[&str] = &["-isohybrid-mbr", "/usr/lib/ISOLINUX/isohdpfx.bin"];

/// `makeEfiBootable`.
const EFI: &[&str] =
    &["-eltorito-alt-boot", "-e", "boot/efi.img", "-no-emul-boot", "-isohybrid-gpt-basdat"];

/// An image for UEFI, and nothing else about it.
const PLAIN_EFI: &[&str] = &["-eltorito-alt-boot", "-e", "boot/efi.img", "-no-emul-boot"];

/// What `grub-mkrescue` gives, without its file systems for a Mac.
const GRUB: &[&str] = &[
    "-b",
    "boot/grub/eltorito.img",
    "-no-emul-boot",
    "-boot-load-size",
    "4",
    "-boot-info-table",
    "--grub2-boot-info",
    "--grub2-mbr",
    "boot_hybrid.img",
    "--protective-msdos-label",
];

const GRUB_EFI: &[&str] = &["--efi-boot", "boot/efi.img", "-efi-boot-part", "--efi-boot-image"];

/// An image for UEFI that is a partition behind the volume.
const APPENDED: &[&str] = &[
    "-eltorito-alt-boot",
    "-e",
    "--interval:appended_partition_2:all::",
    "-no-emul-boot",
    "-append_partition",
    "2",
    "0xef",
    "tree/boot/efi.img",
];

/// The image for UEFI, and another copy of it as a partition behind the volume.
const COPIED: &[&str] = &["-append_partition", "2", "0xef", "tree/boot/efi.img"];

const XORRISO: &[&str] = &["xorriso", "-as", "mkisofs", "-volid", "disc"];
const GENISOIMAGE: &[&str] = &["genisoimage", "-quiet", "-V", "disc", "-J"];

/// Makes a disc by a list of flags.
fn make(flags: &[&[&str]]) -> Vec<u8> {
    let out = tempfile::tempdir().unwrap();
    let path: PathBuf = out.path().join("disc.iso");
    let path = path.to_str().unwrap();
    let end: &[&str] = match flags[0][0] {
        "xorriso" => &["-r", "-o", path, "tree"],
        _ => &["-R", "-o", path, "tree"],
    };
    let argv = [&flags.concat(), end].concat();
    must(if flags[0][0] == "xorriso" { "xorriso" } else { "genisoimage" }, PARTS.path(), &argv);
    fs::read(path).unwrap()
}

/// A disc that is made when it is asked for.
pub(crate) type Disc = LazyLock<Vec<u8>>;

/// nixpkgs: BIOS, UEFI and stick.
pub(crate) static ALL: Disc = Disc::new(|| make(&[NIXPKGS, BIOS, USB, EFI]));
/// nixpkgs: BIOS and stick.
pub(crate) static BIOS_USB: Disc = Disc::new(|| make(&[NIXPKGS, BIOS, USB]));
/// nixpkgs: BIOS.
pub(crate) static BIOS_ONLY: Disc = Disc::new(|| make(&[NIXPKGS, BIOS]));
/// nixpkgs on aarch64: UEFI.
pub(crate) static EFI_ONLY: Disc = Disc::new(|| make(&[NIXPKGS, EFI]));
/// `grub-mkrescue`: BIOS, UEFI and stick.
pub(crate) static GRUB_ALL: Disc = Disc::new(|| make(&[XORRISO, GRUB, GRUB_EFI]));
/// With an Apple partition map.
pub(crate) static APM: Disc =
    Disc::new(|| make(&[XORRISO, BIOS, USB, EFI, &["-isohybrid-apm-hfsplus"]]));
/// An emulated floppy.
pub(crate) static FLOPPY: Disc =
    Disc::new(|| make(&[XORRISO, &["-b", "boot/floppy.img", "-c", "boot.cat"]]));
/// An emulated hard disk.
pub(crate) static HARD_DISK: Disc = Disc::new(|| {
    make(&[GENISOIMAGE, &["-hard-disk-boot", "-b", "boot/disk.img", "-c", "boot.cat"]])
});
/// An image for UEFI behind the volume, in all three tables.
pub(crate) static APPENDED_ALL: Disc = Disc::new(|| {
    let table = ["-isohybrid-gpt-basdat", "-part_like_isohybrid"];
    make(&[XORRISO, BIOS, USB, APPENDED, &table])
});
/// A partition for UEFI that is not the image of the catalog.
pub(crate) static TWO_EFI: Disc = Disc::new(|| make(&[XORRISO, BIOS, USB, PLAIN_EFI, COPIED]));

/// Good discs by name, and the checks of severity info that tell something about them.
pub(crate) fn good() -> Vec<(&'static str, Vec<u8>, &'static [&'static str])> {
    let efi_mac = ["-isohybrid-gpt-hfsplus"];
    let offset = ["-partition_offset", "16"];
    let as_gpt = ["-appended_part_as_gpt"];
    let bootable = ["--mbr-force-bootable", "-iso_mbr_part_type", "0x83"];
    let hfs = ["-hfsplus", "-apm-block-size", "2048"];
    let whole: Vec<&str> =
        BIOS.iter().copied().filter(|f| !["-boot-load-size", "4"].contains(f)).collect();
    let hidden: &[&str] = &["el-torito-image-hidden"];
    let none: &[&str] = &[];
    vec![
        ("all", ALL.clone(), none),
        ("bios-usb", BIOS_USB.clone(), none),
        ("bios", BIOS_ONLY.clone(), none),
        ("efi", EFI_ONLY.clone(), none),
        ("grub", GRUB_ALL.clone(), none),
        ("apm", APM.clone(), none),
        ("floppy", FLOPPY.clone(), none),
        ("hard-disk", HARD_DISK.clone(), none),
        ("appended-all", APPENDED_ALL.clone(), hidden),
        ("two-efi", TWO_EFI.clone(), &["isohybrid-efi-other"]),
        ("bios-efi", make(&[NIXPKGS, BIOS, EFI]), none),
        ("mips", make(&[XORRISO, &["-mips-boot", "boot/bzImage"]]), none),
        ("mipsel", make(&[XORRISO, &["-mipsel-boot", "isolinux/isolinux.bin"]]), none),
        ("sparc", make(&[XORRISO, &["-sparc-label", "label", "-G", "boot_hybrid.img"]]), none),
        ("usb-efi", make(&[XORRISO, BIOS, USB, PLAIN_EFI]), none),
        ("gpt-hfsplus", make(&[XORRISO, BIOS, USB, PLAIN_EFI, &efi_mac]), none),
        ("appended-gpt", make(&[XORRISO, BIOS, USB, APPENDED, &as_gpt]), hidden),
        ("appended-mbr", make(&[XORRISO, BIOS, USB, APPENDED]), hidden),
        (
            "offset",
            make(&[XORRISO, BIOS, USB, &offset, PLAIN_EFI, COPIED]),
            &["isohybrid-efi-other"],
        ),
        ("grub-marked", make(&[XORRISO, GRUB, GRUB_EFI, &["--mbr-force-bootable"]]), none),
        ("grub-bios", make(&[XORRISO, GRUB]), none),
        ("grub-efi", make(&[XORRISO, GRUB, PLAIN_EFI]), none),
        ("grub-mac", make(&[XORRISO, GRUB, &hfs, GRUB_EFI]), none),
        ("grub-appended", make(&[XORRISO, GRUB, &offset, APPENDED, &as_gpt]), hidden),
        ("grub-bootable", make(&[XORRISO, &GRUB[..9], &offset, APPENDED, &bootable]), hidden),
        ("protective-efi", make(&[XORRISO, &["--protective-msdos-label"], GRUB_EFI]), none),
        ("protective", make(&[XORRISO, &["--protective-msdos-label"]]), none),
        ("load-all", make(&[XORRISO, &whole]), &["el-torito-sector-count-usual"]),
        ("genisoimage", make(&[GENISOIMAGE, &BIOS[..8]]), none),
        ("genisoimage-efi", make(&[GENISOIMAGE, &BIOS[..8], PLAIN_EFI]), none),
        ("no-boot", make(&[GENISOIMAGE]), none),
    ]
}

/// The discs of Debian's packages.
pub(crate) const FOREIGN: &[(&str, &[&str])] = &[
    ("grub-rescue-cdrom.iso", &[]),
    ("ipxe.iso", &[]),
    ("memtest86+ia32.iso", &["el-torito-image-hidden", "isohybrid-code-known"]),
    ("memtest86+x64.iso", &["el-torito-image-hidden", "isohybrid-code-known"]),
];

/// Computes the checksum of a boot information table again.
pub(crate) fn seal_info(disc: &mut [u8], image: usize) {
    let len = number(disc, image + 16);
    let mut bytes = disc[image + 64..image + len].to_vec();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let words = bytes.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap()));
    let sum = words.fold(0, u32::wrapping_add);
    put(disc, image + 20, &sum.to_le_bytes());
}

/// Computes the checksum of the validation entry again.
pub(crate) fn seal_catalog(disc: &mut [u8]) {
    let at = catalog(disc);
    put(disc, at + 28, &[0; 2]);
    let words = disc[at..at + 32].chunks(2);
    let sum = words
        .fold(0_u16, |sum, word| sum.wrapping_add(u16::from_le_bytes(word.try_into().unwrap())));
    put(disc, at + 28, &sum.wrapping_neg().to_le_bytes());
}

/// Computes the checksums of both copies of a GPT again.
pub(crate) fn seal_gpt(disc: &mut [u8]) {
    for header in [512, number(disc, 512 + 32) * 512] {
        let array = number(disc, header + 72) * 512;
        let len = number(disc, header + 80) * number(disc, header + 84);
        let crc = crc32fast::hash(&disc[array..array + len]);
        put(disc, header + 88, &crc.to_le_bytes());
        put(disc, header + 16, &[0; 4]);
        let crc = crc32fast::hash(&disc[header..header + 92]);
        put(disc, header + 16, &crc.to_le_bytes());
    }
}
