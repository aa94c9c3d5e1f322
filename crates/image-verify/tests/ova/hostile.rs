//! Bytes that were made to hurt.

use image_formats::vmdk::raw::SECTOR;
use proptest::prelude::*;

use super::{
    image::{directory, grain, header, vmdk},
    twins::first_entry,
    *,
};

fn of(disk: Vec<u8>) -> BTreeSet<String> {
    failed(&verify(&Package::of(disk).pack()).findings)
}

#[test]
fn numbers_in_a_disk_that_are_too_large() {
    for at in (4..80).step_by(4) {
        for value in [0, 1, 0x7fff_ffff, u32::MAX] {
            let mut disk = vmdk().to_vec();
            disk[at..at + 4].copy_from_slice(&u32::to_le_bytes(value));
            of(disk);
        }
    }
    let at = grain(vmdk());
    for value in [0, 1, 12, 200_000, u32::MAX] {
        let mut disk = vmdk().to_vec();
        disk[at + 8..at + 12].copy_from_slice(&u32::to_le_bytes(value));
        assert!(!of(disk).is_empty(), "{value}");
    }
}

/// All tables, and all grains, are one.
#[test]
fn the_same_place_again_and_again() {
    let mut disk = vmdk().to_vec();
    let entry = first_entry(&disk);
    let sector = (grain(&disk) as u64 / SECTOR) as u32;
    for at in (entry..entry + 2048).step_by(4) {
        disk[at..at + 4].copy_from_slice(&sector.to_le_bytes());
    }
    assert!(of(disk).contains("vmdk-grain-marker"));
    let mut disk = vmdk().to_vec();
    header(&mut disk).capacity.set(1 << 34);
    let at = directory(&disk);
    let end = (at + (1 << 20)).min(disk.len());
    let first: [u8; 4] = disk[at..at + 4].try_into().unwrap();
    disk[at..end].as_chunks_mut::<4>().0.fill(first);
    assert!(!of(disk).is_empty());
}

/// Tables that lead to nothing are given up.
#[test]
fn tables_of_nothing() {
    let mut disk = vmdk().to_vec();
    header(&mut disk).capacity.set(512 * 128 * 40);
    let end = disk.len().next_multiple_of(512) + 512;
    disk.resize(end, 0);
    header(&mut disk).gd_offset.set(end as u64 / SECTOR);
    let first = (end / 512 + 1) as u32;
    let directory: Vec<u8> =
        (0..40).flat_map(|number| (first + number * 4).to_le_bytes()).collect();
    disk.extend(directory);
    disk.resize(end + 512, 0);
    disk.extend([7, 0, 0, 0].repeat(512 * 40));
    let found = of(disk);
    assert!(found.contains("vmdk-grain-marker") && found.contains("vmdk-limits"), "{found:?}");
}

/// A grain that expands to gigabytes ends with the first that is too much.
#[test]
fn grains_that_expand() {
    let mut disk = vmdk().to_vec();
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, &vec![0; 60 << 20]).unwrap();
    let bomb = encoder.finish().unwrap();
    let end = disk.len().next_multiple_of(512);
    disk.resize(end, 0);
    let (entry, sector) = (first_entry(&disk), end as u64 / SECTOR);
    disk[entry..entry + 4].copy_from_slice(&(sector as u32).to_le_bytes());
    disk.extend(0_u64.to_le_bytes());
    disk.extend((bomb.len() as u32).to_le_bytes());
    disk.extend(bomb);
    assert!(of(disk).contains("vmdk-grain-data"));
}

#[test]
fn descriptors_that_are_no_descriptors() {
    let judge = |descriptor: String| {
        let mut package = Package::good();
        package.descriptor = descriptor;
        let report = verify(&package.pack());
        assert!(!report.passed());
        failed(&report.findings)
    };
    let envelope = |body: &str| {
        format!("<Envelope xmlns=\"http://schemas.dmtf.org/ovf/envelope/1\">{body}</Envelope>")
    };
    for text in ["", "<x/>", "\0", "<Envelope/>", &"<a>".repeat(100_000), &" ".repeat(5 << 20)] {
        assert!(judge(text.to_owned()).contains("ova-envelope"));
    }
    judge(envelope(&"<VirtualSystem/>".repeat(20_000)));
    judge(envelope(&format!("<References>{}</References>", "<File/>".repeat(30_000))));
    let nested =
        format!("{}{}", "<VirtualSystem>".repeat(20_000), "</VirtualSystem>".repeat(20_000));
    judge(envelope(&nested));
    let mut package = Package::good();
    package.manifest = Some("SHA1(nixos.ovf)= 00\n".repeat(40_000));
    assert!(failed(&verify(&package.pack()).findings).contains("ova-manifest-line"));
}

/// A cut is an error, wherever it is.
#[test]
fn cuts() {
    let archive = Package::good().pack();
    for len in (512..archive.len()).step_by(archive.len() / 40) {
        assert!(!verify(&archive[..len]).passed(), "{len}");
    }
}

/// A changed byte of a member is an error: there are digests of all.
#[test]
fn a_flipped_bit_is_an_error() {
    let archive = Package::good().pack();
    let end = archive.iter().rposition(|byte| *byte != 0).unwrap();
    for at in (0..end).step_by(end / 60) {
        let mut broken = archive.clone();
        broken[at] ^= 4;
        let report = verify(&broken);
        // What fills the last block of a member is nobody's.
        assert!(!report.passed() || archive[at] == 0, "{at:#x}");
    }
}

#[test]
fn the_same_bytes_give_the_same_report() {
    let mut archive = Package::good().pack();
    let end = archive.len() / 2;
    archive[1024..end].iter_mut().step_by(911).for_each(|byte| *byte ^= 0x55);
    let first = verify(&archive);
    assert!(!first.passed());
    assert_eq!(verify(&archive), first);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn any_edit_of_a_disk_is_judged(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let mut disk = vmdk().to_vec();
        for (index, value) in edits {
            let at = index.index(disk.len().min(100_000));
            disk[at] = value;
        }
        of(disk);
    }
}
