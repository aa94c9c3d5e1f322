//! What QEMU makes, and what it reads of ours.

use std::fs;

use image_formats::vhd::raw::Footer;

use super::{
    folder::Folder,
    image::{self, HEADER, TABLE},
    judge, told,
    twins::TWINS,
};

/// What QEMU reads of it.
fn raw(folder: &Folder, disk: &str) -> Option<Vec<u8>> {
    let raw = folder.path("raw");
    let argv = ["qemu-img", "convert", "-f", "vpc", "-O", "raw", disk, raw.to_str().unwrap()];
    folder.tool(&argv).status.success().then(|| fs::read(raw).unwrap())
}

/// The small disks are what the tests take them for.
#[test]
fn qemu_reads_what_we_wrote() {
    let folder = Folder::new();
    for disk in [image::dynamic(), image::fixed()] {
        let path = folder.write("disk.vhd", &disk.bytes);
        assert_eq!(raw(&folder, &path).as_deref(), Some(&image::content()[..]));
    }
}

#[test]
fn what_qemu_makes_has_no_findings() {
    let folder = Folder::new();
    let path = folder.path("disk.vhd");
    let path = path.to_str().unwrap();
    for subformat in ["dynamic", "fixed"] {
        for force_size in ["on", "off"] {
            // For the last one QEMU and the appendix have two geometries.
            for size in ["512", "1M", "10000000", "64M", "3G", "35642880"] {
                if subformat == "fixed" && size == "3G" {
                    continue;
                }
                let options = format!("subformat={subformat},force_size={force_size}");
                folder.succeed(&[
                    "qemu-img", "create", "-q", "-f", "vpc", "-o", &options, path, size,
                ]);
                let commands = ["write -P 1 0 512", "write -P 2 600k 40k", "write -P 3 63M 1M"];
                for command in commands {
                    // Some are beyond the end of small disks.
                    folder.tool(&["qemu-io", "-f", "vpc", "-c", command, path]);
                }
                let bytes = fs::read(path).unwrap();
                let report = judge(&bytes);
                assert_eq!(told(&report.findings), [""; 0], "{options} {size}");
                // Both mean the same size.
                let footer = Footer::read(&bytes.clone().into(), "", bytes.len() as u64 - 512);
                let info =
                    folder.succeed(&["qemu-img", "info", "-f", "vpc", "--output=json", path]);
                let info: serde_json::Value = serde_json::from_slice(&info.stdout).unwrap();
                assert_eq!(info["virtual-size"], footer.unwrap().current_size.get());
            }
        }
    }
}

/// What QEMU does not open, or cannot read, is an error here as well.
#[test]
fn what_qemu_refuses_is_an_error() {
    let folder = Folder::new();
    let mut refused = 0;
    let mut judge_edit = |bytes: &[u8], what: &str| {
        let path = folder.write("disk.vhd", bytes);
        if raw(&folder, &path).is_none() {
            refused += 1;
            assert!(!judge(bytes).passed(), "{what}");
        }
    };
    for twin in TWINS.iter().filter(|twin| twin.check != "vhd-limits") {
        judge_edit(&twin.bytes(), twin.check);
    }
    let sealed = image::dynamic();
    for at in (0..86).chain(HEADER..HEADER + 40).chain(TABLE..TABLE + 36) {
        let mut disk = sealed.clone();
        disk.bytes[at] ^= 0x41;
        let end = disk.end();
        if at < 86 {
            disk.bytes[end + at] ^= 0x41;
        }
        disk.footer(|_| ());
        disk.header(|_| ());
        judge_edit(&disk.bytes, &format!("byte {at:#x}"));
    }
    assert!(refused > 40, "{refused}");
}
