//! A broken twin for every check: a good appliance with one edit.

use image_formats::vmdk::raw::Header;

use super::{
    image::{DISK, Package, directory, grain, header, rename, table, vmdk, with_footer},
    twin::{Twin, twin, with},
};

/// An appliance with an edit of what is in it.
fn package(edit: fn(&mut Package)) -> Vec<u8> {
    let mut package = Package::good();
    edit(&mut package);
    package.pack()
}

/// An appliance with another descriptor.
fn descriptor(from: &str, to: &str) -> Vec<u8> {
    let mut package = Package::good();
    package.replace(from, to);
    package.pack()
}

/// An appliance with an edit of its disk.
fn disk(edit: fn(&mut Vec<u8>)) -> Vec<u8> {
    of(vmdk().to_vec(), edit)
}

fn of(mut disk: Vec<u8>, edit: fn(&mut Vec<u8>)) -> Vec<u8> {
    edit(&mut disk);
    Package::of(disk).pack()
}

/// Replaces text in the descriptor of a disk by as much text.
fn words(disk: &mut [u8], from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let at = disk.windows(from.len()).position(|bytes| bytes == from.as_bytes()).unwrap();
    disk[at..at + to.len()].copy_from_slice(to.as_bytes());
}

fn edited(edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut archive = Package::good().pack();
    edit(&mut archive);
    archive
}

const FILE: &str = r#"<File ovf:id="file1" ovf:href="nixos-disk001.vmdk" ovf:size="SIZE"/>"#;

pub(crate) const OVA: &[Twin] = &[
    twin("ova-tar", || edited(|archive| archive.truncate(archive.len() - 1024))),
    twin("ova-ustar", || package(|package| package.format = "gnu")),
    twin("ova-name", || edited(|archive| rename(archive, "nixos.mf", "/nixos.mf"))),
    twin("ova-limits", || {
        let mut builder = tar::Builder::new(Vec::new());
        for number in 0..1 << 16 {
            let mut header = tar::Header::new_ustar();
            header.set_size(0);
            header.set_path(format!("{number:x}.iso")).unwrap();
            header.set_cksum();
            builder.append(&header, &b""[..]).unwrap();
        }
        let good = Package::good().pack();
        let end = good.len() - 1024;
        [&good[..end], &builder.into_inner().unwrap()].concat()
    }),
    twin("ova-descriptor", || package(|package| package.order.swap(0, 1))),
    twin("ova-order", || {
        package(|package| {
            package.replace(FILE, &format!("{FILE}<File ovf:id=\"b\" ovf:href=\"b.iso\"/>"));
            package.extra.push(("b.iso".to_owned(), b"x".to_vec()));
            package.order.insert(2, "b.iso".to_owned());
            let descriptor = package.descriptor.replace("SIZE", &package.disk.len().to_string());
            let lines = [("nixos.ovf", descriptor.as_bytes()), ("b.iso", b"x"), (DISK, vmdk())];
            let lines = lines.map(|(name, content)| Package::line(name, content));
            package.manifest = Some(lines.concat());
        })
    }),
    twin("ova-envelope", || descriptor("<?xml version=\"1.0\"?>", "<!DOCTYPE Envelope>")),
    // The disk is not judged either: there is none.
    with("ova-reference", &["ova-unreferenced"], || descriptor("-disk001.vmdk", "-disk002.vmdk")),
    twin("ova-reference-size", || descriptor("\"SIZE\"", "\"1SIZE\"")),
    twin("ova-reference-encoding", || descriptor("ovf:size=\"SIZE\"", "ovf:compression=\"gzip\"")),
    twin("ova-identifier", || descriptor(FILE, &format!("{FILE}{FILE}"))),
    twin("ova-unreferenced", || {
        package(|package| {
            package.extra.push(("notes.txt".to_owned(), Vec::new()));
            package.order.push("notes.txt".to_owned());
        })
    }),
    twin("ova-manifest", || package(|package| drop(package.order.remove(1)))),
    twin("ova-manifest-line", || {
        package(|package| {
            let descriptor = package.descriptor.replace("SIZE", &package.disk.len().to_string());
            let lines = Package::line("nixos.ovf", descriptor.as_bytes());
            let md5 = "MD5(nixos.ovf)= d41d8cd98f00b204e9800998ecf8427e\n";
            package.manifest = Some(lines + md5 + &Package::line(DISK, &package.disk));
        })
    }),
    twin("ova-manifest-files", || {
        package(|package| package.manifest = Some(Package::line(DISK, &package.disk)))
    }),
    twin("ova-manifest-digest", || {
        edited(|archive| {
            let at = archive.windows(4).position(|bytes| bytes == b"1536").unwrap();
            archive[at] = b'2';
        })
    }),
    twin("ova-disk-file", || {
        descriptor("ovf:fileRef=\"file1\"", "ovf:fileRef=\"file1\" ovf:parentRef=\"base\"")
    }),
    twin("ova-disk-format", || descriptor("vmdk.html", "vhd.html")),
    twin("ova-disk-capacity", || descriptor("ovf:capacity=\"4", "ovf:capacity=\"5")),
];

pub(crate) const VMDK: &[Twin] = &[
    twin("vmdk-header", || disk(|disk| header(disk).grain_size.set(100))),
    twin("vmdk-newlines", || disk(|disk| header(disk).newlines = *b"\n \n\n")),
    twin("vmdk-closed", || disk(|disk| header(disk).unclean_shutdown = 1)),
    twin("vmdk-stream-optimized", || {
        disk(|disk| {
            let flags = &mut header(disk).flags;
            flags.set(flags.get() & !Header::FLAG_MARKERS);
        })
    }),
    twin("vmdk-descriptor", || disk(|disk| words(disk, "streamOptimized", "monolithicSpars"))),
    twin("vmdk-parent", || disk(|disk| words(disk, "parentCID=ffffffff", "parentCID=fffffffe"))),
    twin("vmdk-footer", || of(with_footer(), |disk| disk.truncate(disk.len() - 512))),
    twin("vmdk-directory", || disk(|disk| header(disk).gd_offset.set(1 << 20))),
    twin("vmdk-table", || {
        disk(|disk| {
            let at = directory(disk);
            disk.copy_within(at..at + 4, at + 4);
        })
    }),
    twin("vmdk-grain-marker", || {
        disk(|disk| {
            let at = grain(disk);
            disk[at] = 128;
        })
    }),
    twin("vmdk-grain-data", || {
        disk(|disk| {
            let at = grain(disk);
            disk[at + 100] ^= 1;
        })
    }),
    with("vmdk-limits", &["ova-disk-capacity", "vmdk-descriptor"], || {
        disk(|disk| header(disk).capacity.set(1 << 40))
    }),
];

pub(crate) const VIRTUALBOX: &[Twin] = &[
    twin("virtualbox-system", || {
        package(|package| {
            let start = package.descriptor.find("  <VirtualSystem ").unwrap();
            package.descriptor.replace_range(start.., "</Envelope>\n");
        })
    }),
    with("virtualbox-disk", &["virtualbox-disk-attached"], || {
        descriptor("/disk/vmdisk1", "/disk/vmdisk2")
    }),
    twin("virtualbox-disk-attached", || {
        descriptor(
            "</DiskSection>",
            "<Disk ovf:capacity=\"512\" ovf:diskId=\"empty\"/></DiskSection>",
        )
    }),
    twin("virtualbox-controller", || descriptor("<rasd:Parent>3<", "<rasd:Parent>1<")),
    twin("virtualbox-memory", || descriptor("1536", "some")),
    twin("virtualbox-os-type", || {
        descriptor("<vbox:OSType ovf:required=\"false\">Linux26_64<", "<vbox:OSType>Linux26<")
    }),
];

/// The first entry of the first table.
pub(crate) fn first_entry(disk: &[u8]) -> usize {
    table(disk)
}
