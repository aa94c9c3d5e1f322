//! An image of 2016, of a reader in Rust.

use std::{fs, path::Path};

use super::{folder::Folder, judge, told};

#[test]
fn images_of_other_people_are_judged_as_qemu_judges_them() {
    let folder = Folder::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/vm-disks/qcow2");
    assert!(root.exists(), "{} is not there: run tests/setup.sh", root.display());
    let mut read = 0;
    for entry in fs::read_dir(root).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert_eq!(told(&judge(&bytes).findings), [""; 0]);
        let path = folder.write("disk.qcow2", &bytes);
        folder.succeed(&["qemu-img", "check", "-q", "-f", "qcow2", &path]);
        read += 1;
    }
    assert_eq!(read, 1);
}
