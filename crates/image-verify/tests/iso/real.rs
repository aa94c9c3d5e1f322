//! The same disc as real tools make it, and discs that other people made.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use image_model::{Boot, Outcome, VerificationReport};
use image_verify::{Recorder, Request, disc};

use crate::{
    image::{Draft, Entry, LABEL, MARKER, Part, STORE, scripted},
    twins::{PROMISE, set},
};

/// Runs a tool with a time limit, and returns what it prints.
fn tool(package: &str, args: &[&str]) -> String {
    // Distributions keep those that write disks out of the path of people.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = Command::new("timeout")
        .args(["60"])
        .args(args)
        .envs([("PATH", path.as_str()), ("MTOOLS_SKIP_CHECK", "1"), ("SOURCE_DATE_EPOCH", "1")])
        .output()
        .unwrap_or_else(|error| panic!("timeout: {error}: apt-get install coreutils"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let failure = || {
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        format!("{args:?}: {}: {out}{err}: apt-get install {package}?", output.status)
    };
    assert!(output.status.success(), "{}", failure());
    text(&output.stdout)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Writes the files of a part into a folder.
fn lay_out(part: &Part, folder: &Path) {
    fs::create_dir(folder).unwrap();
    let part = &part.finished();
    for (path, entry) in &part.entries {
        let path = folder.join(path.trim_start_matches('/'));
        match entry {
            Entry::Directory | Entry::StoreDirectory => fs::create_dir(&path).unwrap(),
            Entry::Link(target) => symlink(target, &path).unwrap(),
            Entry::File(mode, content) => {
                fs::write(&path, content).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
            }
        }
    }
    // As Nix leaves its store.
    let of_store = |(_, entry): &(&String, &Entry)| matches!(entry, Entry::StoreDirectory);
    for (path, _) in part.entries.iter().filter(of_store) {
        let path = folder.join(path.trim_start_matches('/'));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o555)).unwrap();
    }
    let touch = ["-exec", "touch", "-h", "-d", "@1", "{}", "+"];
    tool("findutils", &[&["find", text(folder)][..], &touch].concat());
}

/// Makes a disc by the steps of nixpkgs: make-squashfs.nix, iso-image.nix, make-iso9660-image.sh.
fn make(draft: &Draft, work: &Path) -> PathBuf {
    let [store, disc, fat] = ["store", "disc", "fat"].map(|name| work.join(name));
    lay_out(&draft.store, &store);
    lay_out(&draft.disc, &disc);
    lay_out(&draft.fat, &fat);
    let squashfs = disc.join(&STORE[1..]);
    fs::remove_file(&squashfs).unwrap();
    let args = ["-all-root", "-b", "1048576", "-comp", "zstd", "-quiet", "-no-progress"];
    tool("squashfs-tools", &[&["mksquashfs", text(&store), text(&squashfs)], &args[..]].concat());

    let image = disc.join("boot/efi.img");
    File::create(&image).unwrap().set_len(2 << 20).unwrap();
    let args = ["mkfs.vfat", "--invariant", "-i", "12345678", "-n", "EFIBOOT", text(&image)];
    tool("dosfstools", &args);
    tool("mtools", &["mcopy", "-s", "-i", text(&image), text(&fat.join("EFI")), "::/"]);

    // xorriso writes a table into it, and ISOLINUX looks at it.
    let isolinux = disc.join("isolinux/isolinux.bin");
    let real = Path::new("/usr/lib/ISOLINUX");
    assert!(real.exists(), "{}: apt-get install isolinux", real.display());
    fs::remove_file(&isolinux).unwrap();
    fs::copy(real.join("isolinux.bin"), &isolinux).unwrap();
    fs::set_permissions(&isolinux, fs::Permissions::from_mode(0o644)).unwrap();

    let iso = work.join("disc.iso");
    let code = real.join("isohdpfx.bin");
    let args = "-as mkisofs -iso-level 3 -appid nixos -publisher nixos -full-iso9660-filenames \
        -joliet -eltorito-boot isolinux/isolinux.bin -eltorito-catalog .boot.cat -no-emul-boot \
        -boot-load-size 4 -boot-info-table -eltorito-alt-boot -e boot/efi.img -no-emul-boot \
        -isohybrid-gpt-basdat -r";
    let mut args: Vec<&str> = args.split_ascii_whitespace().collect();
    args.extend(["-volid", draft.disc.label.as_str(), "-isohybrid-mbr", text(&code)]);
    args.extend(["-output", text(&iso), text(&disc)]);
    tool("xorriso", &[&["xorriso"], &args[..]].concat());
    iso
}

fn verify(path: &Path, boots: &[Boot]) -> VerificationReport {
    let request = Request { boots, ..Request::default() };
    image_verify::verify(Arc::new(File::open(path).unwrap()), request).unwrap()
}

/// The checks of severity error that failed.
fn errors(report: &VerificationReport) -> BTreeSet<String> {
    let wrong = report.findings.iter().filter(|f| f.severity == image_model::Severity::Error);
    set(wrong.map(|finding| finding.check.as_ref()))
}

#[test]
fn real_discs_are_judged() {
    let work = tempfile::tempdir().unwrap();
    let boots = [Boot::Bios, Boot::UefiX86_64, Boot::Usb];
    let good = work.path().join("good");
    fs::create_dir(&good).unwrap();
    let disc = make(&scripted(), &good);
    let report = verify(&disc, &boots);
    assert_eq!(errors(&report), BTreeSet::new(), "{:?}", report.findings);
    for check in ["iso-root", "iso-init", "iso-grub-search", "iso-registration-complete", PROMISE] {
        assert_eq!(report.outcomes[check], Outcome::Held, "{check}");
    }

    // xorriso writes another session when it changes a disc, and boots that.
    let changed = work.path().join("changed.iso");
    let args = ["xorriso", "-indev", text(&disc), "-outdev", text(&changed)];
    let rest = ["-boot_image", "any", "replay", "-rm", "/version.txt", "--", "-commit"];
    tool("xorriso", &[&args[..], &rest].concat());
    let report = verify(&changed, &boots);
    assert_eq!(errors(&report), BTreeSet::new(), "{:?}", report.findings);

    let mut draft = scripted();
    draft.disc.label = LABEL.replace("26.05", "26_05");
    draft.disc.remove(MARKER);
    draft.disc.remove("/isolinux/ldlinux.c32");
    let bad = work.path().join("bad");
    fs::create_dir(&bad).unwrap();
    let report = verify(&make(&draft, &bad), &boots);
    let expected = [PROMISE, "iso-root", "iso-isolinux-module", "iso-grub-file"];
    assert_eq!(errors(&report), set(expected), "{:?}", report.findings);
}

/// What Debian's packages boot on. The boot catalogs and partition tables that xorriso reports say
/// the same.
#[test]
fn discs_of_others_boot_as_they_do() {
    let discs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/discs/debian");
    assert!(discs.exists(), "{} is not there: run tests/setup.sh", discs.display());
    let names = [
        "grub-rescue-cdrom.iso",
        "grub-rescue-floppy.img",
        "ipxe.iso",
        "memtest86+ia32.iso",
        "memtest86+x64.iso",
    ];
    let mut told = BTreeMap::new();
    for name in names {
        let report = verify(&discs.join(name), &[]);
        assert_eq!(errors(&report), BTreeSet::new(), "{name}: {:?}", report.findings);
        assert_eq!(report.outcomes["iso-bootable"], Outcome::Held, "{name}");
        let kind = report.findings.iter().filter(|f| f.check.starts_with("iso-"));
        let lines: Vec<_> = kind.map(|f| f.message.split(':').next().unwrap().to_owned()).collect();
        told.insert(name, lines);
    }
    let lines = told.iter().map(|(name, lines)| format!("{name}: {}", lines.join(", ")));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r"
    grub-rescue-cdrom.iso: uefi-x86_64 from disc does not boot, uefi-x86_64 from usb does not boot, uefi-aarch64 from disc does not boot, uefi-aarch64 from usb does not boot
    grub-rescue-floppy.img: uefi-x86_64 from disc does not boot, uefi-x86_64 from usb does not boot, uefi-aarch64 from disc does not boot, uefi-aarch64 from usb does not boot
    ipxe.iso: uefi-x86_64 from usb does not boot, uefi-aarch64 from disc does not boot, uefi-aarch64 from usb does not boot
    memtest86+ia32.iso: uefi-x86_64 from disc does not boot, uefi-x86_64 from usb does not boot, uefi-aarch64 from disc does not boot, uefi-aarch64 from usb does not boot
    memtest86+x64.iso: uefi-aarch64 from disc does not boot, uefi-aarch64 from usb does not boot
    ");
}

/// Names of Rock Ridge are told from those that boot loaders read without regard to case.
#[test]
fn names_of_rock_ridge_are_known() {
    let discs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/discs/cdfs");
    assert!(discs.exists(), "{} is not there: run tests/setup.sh", discs.display());
    for (name, ignores_case) in [("joliet.iso", true), ("rockridge.iso", false)] {
        let bytes = Arc::new(File::open(discs.join(name)).unwrap()) as _;
        let disc = disc::verify(&bytes, &mut Recorder::default()).unwrap();
        assert_eq!(disc.volume.unwrap().files.ignores_case(), ignores_case, "{name}");
    }
}
