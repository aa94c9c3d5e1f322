//! What other programs say of the same bytes.

use std::{fs, process::Output};

use super::{
    folder::Folder,
    image::{DISK, Package, raw, vmdk, with_footer},
    twins::{OVA, VMDK},
    *,
};

/// What is in an archive, unpacked by bsdtar; how it went.
fn unpacked(archive: &[u8]) -> (Folder, Output) {
    let folder = Folder::new();
    folder.write("package.ova", archive);
    let output = folder.tool(&["bsdtar", "-xf", "package.ova"]);
    (folder, output)
}

/// qemu-img reads what we call good: also with a footer, which it does not write itself.
#[test]
fn qemu_reads_the_good_disks() {
    for disk in [vmdk().to_vec(), with_footer()] {
        let (folder, output) = unpacked(&Package::of(disk).pack());
        assert!(output.status.success(), "{output:?}");
        folder.succeed(&["sha256sum", "-c", "nixos.mf"]);
        let argv = ["qemu-img", "convert", "-f", "vmdk", "-O", "raw", DISK, "raw"];
        folder.succeed(&argv);
        assert!(fs::read(folder.path("raw")).unwrap() == raw());
        folder.succeed(&["qemu-img", "check", "-f", "vmdk", DISK]);
    }
}

/// What sha256sum finds, we find.
#[test]
fn digests_are_those_of_sha256sum() {
    for twin in OVA {
        let archive = (twin.make)();
        let (folder, output) = unpacked(&archive);
        if !output.status.success() || !folder.path("nixos.mf").exists() {
            continue;
        }
        let digests = folder.tool(&["sha256sum", "-c", "--strict", "--quiet", "nixos.mf"]);
        let ours = failed(&verify(&archive).findings);
        let found = ["ova-manifest-digest", "ova-manifest-line"];
        let found = found.iter().any(|check| ours.contains(*check));
        assert_eq!(digests.status.success(), !found, "{}: {digests:?}", twin.check);
    }
}

/// Where qemu-img cannot read a disk there is an error, and where there is none it reads it.
#[test]
fn qemu_refuses_nothing_that_passes() {
    let mut passed_by_qemu = BTreeSet::new();
    for twin in VMDK {
        let archive = (twin.make)();
        let report = verify(&archive);
        let (folder, _) = unpacked(&archive);
        // Of the disk that says that it is larger only what is there is asked for.
        let argv = ["qemu-img", "dd", "-f", "vmdk", "-O", "raw", "bs=1M", "count=40"];
        let files = [&format!("if={DISK}"), "of=raw"];
        let qemu = folder.tool(&[&argv[..], &files].concat());
        let same = fs::read(folder.path("raw")).is_ok_and(|read| read == raw()[..40 << 20]);
        if report.passed() {
            assert!(qemu.status.success() && same, "{}: {qemu:?}", twin.check);
        } else if qemu.status.success() && same {
            passed_by_qemu.insert(twin.check);
        }
    }
    // qemu-img looks at nothing but flags, tables and data.
    let known =
        ["vmdk-descriptor", "vmdk-grain-marker", "vmdk-limits", "vmdk-newlines", "vmdk-parent"];
    assert_eq!(passed_by_qemu, known.into());
}
