//! The discs of Debian's packages, libarchive's tests, and a reader in Rust.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use image_model::Severity;
use image_verify::hybrid::Bios;

use super::{
    boot::{efi_partitions, images, summary, xorriso},
    judged::Judged,
    listing::{bsdtar, differences, isoinfo},
    rig::{compare, listed, names, on_two_threads, print},
};

/// The ways in which discs boot, of those that do.
const BOOTS: [(&str, &[&str]); 4] = [
    ("debian/grub-rescue-cdrom.iso", &["bios from disc", "bios from usb"]),
    ("debian/ipxe.iso", &["bios from disc", "bios from usb", "uefi-x86_64 from disc"]),
    ("debian/memtest86+ia32.iso", &["bios from disc", "bios from usb"]),
    (
        "debian/memtest86+x64.iso",
        &["bios from disc", "bios from usb", "uefi-x86_64 from disc", "uefi-x86_64 from usb"],
    ),
];

/// The names and the files of all discs.
fn discs() -> Vec<(String, PathBuf)> {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/discs");
    assert!(fetched.exists(), "{} is not there: run tests/setup.sh", fetched.display());
    let mut discs = Vec::new();
    for folder in ["cdfs", "debian", "libarchive"] {
        let path = fetched.join(folder);
        for name in names(&path).into_iter().filter(|name| name.ends_with(".iso")) {
            discs.push((format!("{folder}/{name}"), path.join(name)));
        }
    }
    assert_eq!(discs.len(), 3 + 4 + 14, "some were not fetched");
    discs
}

/// How the files that we see differ from those that bsdtar and isoinfo see.
fn other_files(path: &Path, judged: &Judged) -> Vec<String> {
    let Some(ours) = &judged.listing else { return vec!["the disc was not opened".to_owned()] };
    let (theirs, read) = bsdtar(path, judged.has_rock_ridge());
    let mut different = differences(ours, &theirs);
    different.extend(read.err());
    let names = match judged.has_rock_ridge() {
        true => "-R",
        false if judged.held("iso9660-escape-sequences") => "-J",
        // It does not print the names of ISO 9660 as they are.
        false => return different,
    };
    let seen = isoinfo(path, &[names]);
    let paths: BTreeSet<_> = ours.keys().map(|path| String::from_utf8_lossy(path).into()).collect();
    different.extend(seen.difference(&paths).map(|path| format!("only isoinfo has {path}")));
    different
}

/// No error where nothing is wrong, the files that bsdtar and isoinfo see, and the boot images that
/// xorriso sees.
#[test]
fn discs_of_others_are_read_as_others_read_them() {
    let discs = discs();
    let judged = on_two_threads(&discs, |(_, path)| {
        let judged = Judged::of(path, true);
        let (other_files, report) = (other_files(path, &judged), xorriso(path, 20));
        (judged, other_files, report)
    });
    let [mut errors, mut listings, mut boots, mut sticks] = [const { BTreeMap::new() }; 4];
    for ((name, _), (judged, mut other_files, report)) in discs.iter().zip(judged) {
        let told = [Severity::Error, Severity::Warning, Severity::Info].map(|s| judged.told(s));
        let [wrong, odd, facts] = &told;
        print(&format!(
            "{name}: {} errors, {} warnings, {} infos, {} files, {} boot images, stick {:?}",
            wrong.len(),
            odd.len(),
            facts.len(),
            judged.listing.as_ref().map_or(0, BTreeMap::len),
            judged.boot.len(),
            judged.bios,
        ));
        told.iter().flatten().for_each(|finding| print(&format!("    {finding}")));
        if !wrong.is_empty() {
            errors.insert(name.clone(), wrong.join(" | "));
        }
        if !other_files.is_empty() {
            let more = other_files.len().saturating_sub(4);
            other_files.truncate(4);
            listings.insert(name.clone(), format!("{} | {more} more", other_files.join(" | ")));
        }
        let want = BOOTS.iter().find(|(disc, _)| disc == name).map(|(_, ways)| *ways);
        let ways: Vec<_> = judged.ways.iter().map(String::as_str).collect();
        assert_eq!(want, (!judged.boot.is_empty()).then_some(&*ways), "{name}");
        let theirs = images(&report);
        if judged.boot != theirs {
            boots.insert(name.clone(), format!("we see {:?}, xorriso {theirs:?}", judged.boot));
        }
        let starts = ["isohybrid", "grub2-mbr"].iter().any(|code| summary(&report).contains(code));
        let theirs = (starts, efi_partitions(&report));
        let ours = (matches!(judged.bios, Bios::Starts(_)), judged.efi.clone());
        if ours != theirs {
            sticks.insert(name.clone(), format!("we see {ours:?}, xorriso {theirs:?}"));
        }
    }
    if let Some(path) = std::env::var_os("IMAGE_FACTORY_DUMP") {
        let all = [&errors, &listings, &boots, &sticks].into_iter().flatten();
        let lines: String = all.map(|(name, what)| format!("{name} {what}\n")).collect();
        std::fs::write(path, lines).unwrap();
    }
    compare("listings.txt", &listed(include_str!("listings.txt")), &listings);
    assert!(errors.is_empty(), "{errors:#?}");
    assert!(boots.is_empty(), "{boots:#?}");
    assert!(sticks.is_empty(), "{sticks:#?}");
}
