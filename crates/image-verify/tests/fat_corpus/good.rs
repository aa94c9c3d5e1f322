//! File systems of other people, in which nothing is wrong.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    rig::{compare, expand, fetched, listed, names, on_two_threads, print, reader},
    volume::{Volume, errors, told},
};

/// The FAT file systems that were fetched, by a name that tells where from.
fn images() -> Vec<(String, PathBuf)> {
    let mut images = Vec::new();
    let mut add = |from: &str, wanted: &dyn Fn(&str) -> bool| {
        let folder = fetched(from);
        for name in names(&folder).into_iter().filter(|name| wanted(name)) {
            images.push((format!("{from}/{name}"), folder.join(name)));
        }
    };
    let is_fat = |name: &str| name.starts_with("fat") || name.starts_with("small-fat32");
    add("util-linux", &is_fat);
    add("e2fsprogs/blkid", &|name| is_fat(name) && name.ends_with(".bz2"));
    add("forensics", &|name| name.contains("vfat"));
    add("dissect", &is_fat);
    images
}

/// We find no fault, but for those that are listed with a reason; and fsck.fat agrees.
#[test]
fn no_false_alarm() {
    let cases = on_two_threads(&images(), |(name, path)| {
        let volume = Volume::new();
        expand(reader(path), &volume.path);
        volume.keep_partition();
        let findings = volume.judge();
        (name.clone(), errors(&findings), told(&findings), volume.fsck())
    });
    let mut found = BTreeMap::new();
    print(&format!("{:<70} {:<6} {:>11}  findings", "image", "ours", "fsck.fat -n"));
    for (name, errors, told, theirs) in &cases {
        let ours = if errors.is_empty() { "clean" } else { "error" };
        print(&format!("{name:<70} {ours:<6} {:>11}  {told}", theirs.status));
        if !errors.is_empty() || !theirs.clean() {
            found.insert(name.clone(), format!("{told}; fsck.fat: {}", theirs.words()));
        }
    }
    print(&format!("{} images, {} with faults", cases.len(), found.len()));
    compare("faults.txt", &listed(include_str!("faults.txt")), &found);
}
