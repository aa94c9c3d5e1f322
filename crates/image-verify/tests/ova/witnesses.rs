//! What other programs say of the same bytes.

use std::{fs, process::Output};

use super::{
    image::{DISK, Package, raw, succeed, tool, vmdk, with_footer},
    twins::{OVA, VMDK},
    *,
};

/// What is in an archive, unpacked by bsdtar; how it went.
fn unpacked(archive: &[u8]) -> (tempfile::TempDir, Output) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("package.ova"), archive).unwrap();
    let output = tool(dir.path(), &["bsdtar", "-xf", "package.ova"]);
    (dir, output)
}

/// qemu-img reads what we call good: also with a footer, which it does not write itself.
#[test]
fn qemu_reads_the_good_disks() {
    for disk in [vmdk().to_vec(), with_footer()] {
        let (dir, output) = unpacked(&Package::of(disk).pack());
        assert!(output.status.success(), "{output:?}");
        succeed(dir.path(), &["sha256sum", "-c", "nixos.mf"]);
        let argv = ["qemu-img", "convert", "-f", "vmdk", "-O", "raw", DISK, "raw"];
        succeed(dir.path(), &argv);
        assert!(fs::read(dir.path().join("raw")).unwrap() == raw());
        succeed(dir.path(), &["qemu-img", "check", "-f", "vmdk", DISK]);
    }
}

/// What sha256sum finds, we find.
#[test]
fn digests_are_those_of_sha256sum() {
    for twin in OVA {
        let archive = (twin.make)();
        let (dir, output) = unpacked(&archive);
        if !output.status.success() || !dir.path().join("nixos.mf").exists() {
            continue;
        }
        let digests = tool(dir.path(), &["sha256sum", "-c", "--strict", "--quiet", "nixos.mf"]);
        let ours = failed(&verify(&archive));
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
        let (dir, _) = unpacked(&archive);
        // Of the disk that says that it is larger only what is there is asked for.
        let argv = ["qemu-img", "dd", "-f", "vmdk", "-O", "raw", "bs=1M", "count=40"];
        let files = [&format!("if={DISK}"), "of=raw"];
        let qemu = tool(dir.path(), &[&argv[..], &files].concat());
        let same = fs::read(dir.path().join("raw")).is_ok_and(|read| read == raw()[..40 << 20]);
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
