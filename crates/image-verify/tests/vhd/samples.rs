//! Disks that other programs made: Virtual PC, Hyper-V and Disk2vhd.

use std::{fs, path::Path};

use super::{failed, folder::Folder, judge, told};

/// What there is to be said of each.
const SAMPLES: &[(&str, &[&str])] = &[
    ("d2v-zerofilled.vhd", &[]),
    ("hyperv2012r2-dynamic.vhd", &[]),
    // QEMU sees 127 GiB less 2 MiB.
    ("virtualpc-dynamic.vhd", &["vhd-two-sizes"]),
];

#[test]
fn disks_of_other_programs_are_good() {
    let folder = Folder::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/vm-disks/vhd");
    assert!(root.exists(), "{} is not there: run tests/setup.sh", root.display());
    assert_eq!(fs::read_dir(&root).unwrap().count(), SAMPLES.len());
    for (name, expected) in SAMPLES {
        let packed = root.join(format!("{name}.bz2"));
        let unpacked = folder.tool(&["bzip2", "-d", "-c", packed.to_str().unwrap()]);
        assert!(unpacked.status.success(), "{name}");
        let report = judge(&unpacked.stdout);
        let found = told(&report.findings);
        let expected = expected.iter().map(|id| (*id).to_owned()).collect();
        assert_eq!(failed(&report.findings), expected, "{name}: {found:?}");
        assert!(report.passed());
        let path = folder.write(name, &unpacked.stdout);
        folder.succeed(&["qemu-img", "info", "-f", "vpc", &path]);
    }
}
