//! Second witnesses: bsdtar, isoinfo, xorriso and blkid on the same bytes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read as _,
    path::Path,
};

use image_verify::{
    tree::{Kind, Tree},
    volume::Volume,
};

use super::{image::*, judge_bytes};

/// What a reader says of a file: its type, permissions, size, date, content or target.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    kind: char,
    mode: u32,
    mtime: i64,
    content: Vec<u8>,
}

fn path(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    format!("/{}", text.trim_start_matches("./").trim_matches('/'))
}

/// The files of a volume, as we read them.
fn ours(volume: &Volume) -> BTreeMap<String, Seen> {
    let see = |id| {
        let node = volume.tree.node(id);
        let (kind, content) = match &node.kind {
            Kind::Directory(_) => ('d', Vec::new()),
            Kind::File(_) => ('f', volume.content(id, 1 << 20).unwrap()),
            Kind::Symlink(target) => ('l', target.to_vec()),
            Kind::Special => ('s', Vec::new()),
        };
        if kind == 'f' {
            assert_eq!(node.size, content.len() as u64);
            let region = volume.region(id).unwrap();
            assert_eq!(region.bytes("all", 0, region.len(), 1 << 20).unwrap(), content);
        }
        (path(&volume.tree.path(id)), Seen { kind, mode: node.mode, mtime: node.mtime, content })
    };
    volume.tree.below(Tree::ROOT).map(see).collect()
}

/// The files of an image, as bsdtar reads them: from the archive that it makes of it.
fn bsdtar(image: &Path) -> BTreeMap<String, Seen> {
    let argument = format!("@{}", image.display());
    let archive = succeed("libarchive-tools", &["bsdtar", "-cf", "-", "--format=pax", &argument]);
    let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
    for entry in tar::Archive::new(&*archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = path(&entry.path_bytes());
        let link = entry.link_name_bytes().map(|link| link.into_owned());
        let kind = entry.header().entry_type();
        let (kind, content) = match kind {
            tar::EntryType::Directory => ('d', Vec::new()),
            tar::EntryType::Symlink => ('l', link.unwrap()),
            // It has another name of the same content.
            tar::EntryType::Link => ('f', seen[&path(&link.unwrap())].content.clone()),
            tar::EntryType::Regular => {
                let mut content = Vec::new();
                entry.read_to_end(&mut content).unwrap();
                ('f', content)
            }
            other => panic!("{other:?}"),
        };
        let header = entry.header();
        let (mode, mtime) = (header.mode().unwrap() & 0o7777, header.mtime().unwrap() as i64);
        if name != "/" {
            seen.insert(name, Seen { kind, mode, mtime, content });
        }
    }
    seen
}

/// Compares names, and shows only those that one has and the other has not.
fn same(made: &Made, ours: &BTreeSet<String>, theirs: &BTreeSet<String>) {
    let differ: Vec<&String> = ours.symmetric_difference(theirs).collect();
    assert!(differ.is_empty(), "{}: {differ:#?}", made.options);
}

/// Calls for each image of the matrix, with the image in a file.
fn for_each(test: fn(&Path, &Made, &Volume)) {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("disc.iso");
    for made in matrix() {
        fs::write(&image, &made.bytes).unwrap();
        test(&image, made, &judge_bytes(&made.bytes).1.unwrap());
    }
}

#[test]
fn bsdtar_reads_the_same() {
    for_each(|image, made, volume| {
        let (mut ours, theirs) = (ours(volume), bsdtar(image));
        // It does not show the directory of relocated ones, which Linux does.
        ours.retain(|name, _| !name.ends_with("rr_moved"));
        let names = |seen: &BTreeMap<String, Seen>| seen.keys().cloned().collect::<BTreeSet<_>>();
        same(made, &names(&ours), &names(&theirs));
        for (name, mut seen) in ours {
            // Where nothing tells, each reader has its own.
            if !made.has_rock_ridge {
                seen.mode = theirs[&name].mode;
            }
            assert_eq!(seen, theirs[&name], "{}: {name}", made.options);
        }
    });
}

/// Compares label, UUID and format.
fn blkid(image: &Path, volume: &Volume) {
    let argv = ["blkid", "-p", "-o", "value", "-s"];
    let value = |key: &str| {
        let argv = argv.iter().copied().chain([key, image.to_str().unwrap()]);
        // It fails where there is none.
        let output = tool("util-linux", &argv.collect::<Vec<_>>());
        String::from_utf8(output.stdout).unwrap().trim_end_matches('\n').to_owned()
    };
    assert_eq!(volume.label, value("LABEL"));
    assert_eq!(volume.uuid, value("UUID"));
    assert_eq!(volume.format, value("TYPE"));
}

#[test]
fn blkid_says_the_same() {
    for_each(|image, _, volume| blkid(image, volume));
}

/// Labels that one of the descriptors cannot have: `blkid` takes the better one.
#[test]
fn blkid_reads_the_same_labels() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("disc.iso");
    for label in ["", " a ", "Größe", "GR__E", "日本 😀", "a_very_long_label_with_31_letters"]
    {
        for joliet in [None, Some("-J")] {
            let options: Vec<&str> = ["-r", "-m", "1"].into_iter().chain(joliet).collect();
            let label = &label[..label.len().min(32)];
            let mut edit = Edit::new(&make_labeled(Maker::Xorriso, &options, label));
            for dates in 0..3 {
                // The date of the last change, then that of the first as well, is not set.
                for at in [847, 830, 813].iter().skip(1).take(dates) {
                    edit.put(PVD + at, b"0000000000000000\0");
                }
                fs::write(&image, &edit.bytes).unwrap();
                blkid(&image, &judge_bytes(&edit.bytes).1.unwrap());
            }
        }
    }
}

/// xorriso knows Rock Ridge alone, and tells where contents are.
#[test]
fn xorriso_finds_the_same_places() {
    for_each(|image, made, volume| {
        if !made.has_rock_ridge {
            return;
        }
        let argv = ["xorriso", "-report_about", "SORRY", "-indev", image.to_str().unwrap()];
        let find = ["-find", "/", "-type", "f", "-exec", "report_lba"];
        let argv: Vec<&str> = argv.into_iter().chain(find).collect();
        let text = String::from_utf8(succeed("xorriso", &argv)).unwrap();
        let theirs: BTreeSet<(String, u64, u64)> = text
            .lines()
            .filter_map(|line| line.strip_prefix("File data lba:"))
            .map(|line| {
                let fields: Vec<&str> = line.split(" , ").map(str::trim).collect();
                let number = |index: usize| fields[index].parse::<u64>().unwrap();
                let name = fields[4].trim_matches('\'').to_owned();
                (name, number(1) * 2048, number(3))
            })
            .filter(|(_, _, size)| *size > 0)
            .collect();
        let ours: BTreeSet<(String, u64, u64)> = volume
            .tree
            .below(Tree::ROOT)
            .filter(|id| matches!(volume.tree.node(*id).kind, Kind::File(_)))
            .map(|id| {
                let region = volume.region(id).unwrap();
                (path(&volume.tree.path(id)), region.start().0, region.len())
            })
            .filter(|(_, _, size)| *size > 0)
            .collect();
        assert_eq!(ours, theirs, "{}", made.options);
    });
}

/// isoinfo lists the names that the tree has. It leaves relocated directories where they are.
#[test]
fn isoinfo_lists_the_same() {
    for_each(|image, made, volume| {
        let names: &[&str] = if made.has_rock_ridge {
            &["-R"]
        } else if made.has_joliet {
            &["-J"]
        } else {
            &[]
        };
        let argv = ["isoinfo", "-f", "-i", image.to_str().unwrap()];
        let argv: Vec<&str> = argv.iter().chain(names).copied().collect();
        let text = succeed("genisoimage", &argv);
        let stays = |name: &String| {
            !made.has_rock_ridge
                || !name.contains("rr_moved") && !name.starts_with("/1/2/3/4/5/6/7/8/")
        };
        // Names of Joliet are in Latin-1.
        let joliet = names == ["-J"];
        let text: String = match joliet {
            true => text.iter().map(|byte| char::from(*byte)).collect(),
            false => String::from_utf8(text).unwrap(),
        };
        let theirs: BTreeSet<String> = text
            .lines()
            .map(|line| line.trim_end_matches(";1").trim_end_matches('.').to_owned())
            .filter(stays)
            .collect();
        let latin = |c: char| if joliet && u32::from(c) > 0xff { '_' } else { c };
        let ours = volume.tree.below(Tree::ROOT).map(|id| path(&volume.tree.path(id)));
        let ours = ours.filter(stays);
        same(made, &ours.map(|name| name.chars().map(latin).collect()).collect(), &theirs);
    });
}
