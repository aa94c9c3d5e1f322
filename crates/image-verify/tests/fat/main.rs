//! FAT: good images give no finding, every check has a broken twin, `fsck.fat` and mtools see the
//! same, and no bytes make the verifier panic.

mod hostile;
mod image;
#[path = "../support/limit.rs"]
mod limit;
mod twins;
mod witnesses;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    ops::Range,
    sync::Arc,
};

use image::*;
use image_formats::bytes::{ReadAt, Region};
use image_model::{ImageSpace, Location, Outcome, Severity};
use image_verify::{
    Recorded, Recorder, UNUSED_WAIVER, fat,
    tree::{Kind, Tree},
    volume::{Trouble, Volume},
};
use twins::{TWINS, Twin};

/// Judges a volume that is called `disk`.
fn judge(region: &Region) -> (Recorded, Option<Volume>) {
    let (trouble, mut out) = (Trouble::default(), Recorder::default());
    let volume = fat::verify(region, "disk", &trouble, &mut out).unwrap();
    let whole = Location {
        structure: "disk".into(),
        space: ImageSpace::Raw,
        offset: 0,
        len: 0,
        path: None,
    };
    trouble.take().unwrap();
    (out.finish(&[], &UNUSED_WAIVER, &whole), volume)
}

fn judge_bytes(bytes: &[u8]) -> (Recorded, Option<Volume>) {
    judge(&Region::from(bytes.to_vec()))
}

fn failed(recorded: &Recorded) -> BTreeSet<String> {
    recorded.findings.iter().map(|finding| finding.check.to_string()).collect()
}

/// Every path of a tree, with `/` after those of directories.
fn paths(tree: &Tree) -> BTreeSet<String> {
    let path = |id| {
        let slash = if matches!(tree.node(id).kind, Kind::Directory(_)) { "/" } else { "" };
        format!("{}{slash}", String::from_utf8(tree.path(id)).unwrap())
    };
    tree.below(Tree::ROOT).map(path).collect()
}

#[test]
fn good_images_are_silent_and_read_as_written() {
    let not_reached: [&[&str]; 2] = [
        &[
            "fat-no-root-entries",
            "fat-small-fat32",
            "fat-version",
            "fat-mirroring",
            "fat-root-cluster",
            "fat-backup-boot-place",
            "fat-backup-boot",
            "fat-fsinfo",
            "fat-free-count",
            "fat-next-free",
        ],
        &[],
    ];
    for (bytes, not_reached) in
        [(fat12(), not_reached[0]), (fat16(), not_reached[0]), (fat32(), not_reached[1])]
    {
        let (recorded, volume) = judge_bytes(bytes);
        assert_eq!(recorded.findings, []);
        let silent = recorded.outcomes.iter().filter(|(_, o)| **o == Outcome::NotReached);
        let silent: BTreeSet<&str> = silent.map(|(id, _)| id.as_ref()).collect();
        assert_eq!(silent, not_reached.iter().copied().collect());

        let volume = volume.unwrap();
        assert_eq!(
            (volume.format, &*volume.label, &*volume.uuid),
            ("vfat", "FIRMWARE", "2178-694E")
        );
        let want: BTreeSet<String> = files()
            .keys()
            .map(|name| format!("/{name}"))
            .chain(directories().iter().map(|name| format!("/{name}/")))
            .collect();
        assert_eq!(paths(&volume.tree), want);
        for (name, content) in files() {
            let id = volume.find_file(name.as_bytes()).unwrap();
            assert_eq!(volume.content(id, 1 << 20).unwrap(), content, "{name}");
            let node = volume.tree.node(id);
            assert_eq!((node.size, node.mtime), (content.len() as u64, MODIFIED as i64), "{name}");
        }
        let directory = volume.find(b"/overlays").unwrap();
        assert!(volume.open(directory).is_err());
        assert!(volume.find_file(b"/CONFIG.TXT").is_some());
    }
}

/// FAT32 of the size from which mkfs.vfat chooses it by itself.
#[test]
fn a_large_fat32_is_silent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fat.img");
    make(&path, 600 << 20, &[]);
    let file = std::fs::File::open(&path).unwrap();
    let (recorded, volume) = judge(&Region::whole(Arc::new(file)).unwrap());
    assert_eq!(recorded.findings, []);
    let volume = volume.unwrap();
    let free = String::from_utf8(mtools(&path, "mdir", &["::"])).unwrap();
    let free = free.lines().find_map(|line| line.trim().strip_suffix(" bytes free")).unwrap();
    let free: String = free.chars().filter(char::is_ascii_digit).collect();
    assert_eq!(volume.free_bytes.to_string(), free);
    assert!(witnesses::fsck(&path).0);
}

/// Offsets are those of the whole image, not of the volume.
#[test]
fn offsets_are_absolute() {
    let mut edit = Edit::new(fat16());
    let at = edit.entry(b"CONFIG  TXT") as u64;
    edit.change(b"CONFIG  TXT", |file| file.file_size.set(5000));
    let disk = Region::from([vec![0; 8 << 20], edit.bytes].concat());
    let (recorded, volume) = judge(&disk.sub("partition 1", 8 << 20, 30 << 20).unwrap());
    let [finding] = &recorded.findings[..] else { panic!("{:?}", recorded.findings) };
    assert_eq!(finding.at.offset, (8 << 20) + at);
    assert_eq!(finding.at.structure, "disk, FAT directory entry");
    assert_eq!(finding.at.path.as_deref(), Some("/config.txt"));
    assert_eq!(finding.message, "5000 bytes need 3 clusters, and the file has 1");
    // The size lies; the structure does not.
    let volume = volume.unwrap();
    let id = volume.find_file(b"config.txt").unwrap();
    assert_eq!(volume.tree.node(id).offset, Some((8 << 20) + at));
    assert!(volume.content(id, 1 << 20).is_err());
}

/// A disk of which some bytes cannot be read.
struct Bad {
    bytes: &'static [u8],
    bad: Range<u64>,
}

impl ReadAt for Bad {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.len() as u64)
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        if offset < self.bad.end && offset + buf.len() as u64 > self.bad.start {
            return Err(io::Error::other("a bad disk"));
        }
        let start = offset as usize;
        buf.copy_from_slice(&self.bytes[start..start + buf.len()]);
        Ok(())
    }
}

/// What the machine does wrong is not the fault of the image.
#[test]
fn a_disk_that_cannot_be_read_is_an_error_of_the_machine() {
    let verify = |bad| {
        let region = Region::whole(Arc::new(Bad { bytes: fat16(), bad })).unwrap();
        let trouble = Trouble::default();
        (fat::verify(&region, "disk", &trouble, &mut Recorder::default()), trouble)
    };
    for at in [0, 4096, 0xf800] {
        let error = verify(at..at + 1).0.unwrap_err();
        assert!(!error.is_defect(), "{error}");
    }
    let edit = Edit::new(fat16());
    let content = edit.cluster(edit.chain(b"KERNEL8 IMG")[1]) as u64;
    let (volume, trouble) = verify(content..content + 1);
    let volume = volume.unwrap().unwrap();
    let id = volume.find_file(b"KERNEL8.IMG").unwrap();
    assert!(volume.content(id, 1 << 20).is_err());
    assert_eq!(trouble.take().unwrap_err().at.0, content);
}

fn findings(twin: &Twin) -> Recorded {
    judge_bytes(&twin.image()).0
}

#[test]
fn every_check_has_a_twin_that_only_it_reports() {
    let declared: BTreeSet<_> = fat::CHECKS.iter().map(|check| check.id).collect();
    let twins: BTreeSet<_> = TWINS.iter().map(|twin| twin.check).collect();
    assert_eq!(declared, twins);
    let mut wrong = Vec::new();
    for twin in TWINS {
        let expected: BTreeSet<_> =
            twin.also.iter().chain([&twin.check]).map(|id| (*id).to_owned()).collect();
        let recorded = findings(twin);
        let found = failed(&recorded);
        if found != expected {
            wrong.push(format!("{}: {found:?}, not {expected:?}", twin.check));
        }
        let check = fat::CHECKS.iter().find(|check| check.id == twin.check).unwrap();
        assert_eq!(recorded.totals.errors > 0, check.severity == Severity::Error, "{}", check.id);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn golden_reports() {
    let reports: BTreeMap<_, _> = TWINS
        .iter()
        .map(|twin| {
            let lines = findings(twin).findings.into_iter();
            let lines = lines.map(|f| format!("{}: {}: {}", f.severity.as_str(), f.at, f.message));
            (twin.check, lines.collect::<Vec<_>>())
        })
        .collect();
    insta::assert_json_snapshot!(reports);
}
