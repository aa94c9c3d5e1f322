//! xorriso sees the same boot records.

use std::{fs, sync::Arc};

use image_formats::{
    apm::Map,
    bytes::{ReadAt, Region},
    gpt::{EntryArray, Header},
    isohybrid::{BootCode, Kind},
    mbr::raw::BootRecord,
    units::{BlockSize, Lba},
};
use image_verify::{
    disc::Disc as Judged,
    el_torito::{BootImage, Loader},
    hybrid::Bios,
};

use super::{FOREIGN, foreign, good, image::run, judge_source};

/// What xorriso reports, a list of words for each line, without the words that start it.
struct Report(String);

impl Report {
    fn of(disc: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("disc.iso"), disc).unwrap();
        let argv = [
            "xorriso",
            "-indev",
            "disc.iso",
            "-report_el_torito",
            "plain",
            "-report_system_area",
            "plain",
        ];
        let output = run("xorriso", folder.path(), &argv);
        assert!(output.success, "{}", output.text);
        Self(output.text)
    }

    fn lines(&self, start: &str) -> Vec<Vec<&str>> {
        let rest = self.0.lines().filter_map(|line| line.strip_prefix(start)?.split_once(':'));
        rest.map(|(_, words)| words.split_whitespace().collect()).collect()
    }
}

fn hexadecimal(text: &str) -> u64 {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
}

/// Platform, emulation, sectors that are loaded, and the first sector, of each image.
fn images(report: &Report) -> Vec<(u8, u8, u16, u64)> {
    let lines = report.lines("El Torito boot img");
    let each = lines.iter().map(|words| {
        let platform = match words[1] {
            "BIOS" => 0,
            "UEFI" => 0xef,
            other => panic!("{other}"),
        };
        let emulation = match words[3] {
            "none" => 0,
            "fd1.2" => 1,
            "fd1.4" => 2,
            "fd2.8" => 3,
            "hd" => 4,
            other => panic!("{other}"),
        };
        assert_eq!(words[2], "y");
        (platform, emulation, words[6].parse().unwrap(), words[7].parse().unwrap())
    });
    each.collect()
}

fn our_images(disc: &Judged) -> Vec<(u8, u8, u16, u64)> {
    let first = |image: &BootImage| image.region.start().0 / 2048;
    let each = disc.boot.iter();
    each.map(|i| (i.platform, i.emulation, i.sector_count, first(i))).collect()
}

/// The files that images are, by number.
fn paths(report: &Report) -> Vec<(u32, String)> {
    let lines = report.lines("El Torito img path");
    lines.iter().map(|words| (words[0].parse().unwrap(), words[1].to_owned())).collect()
}

fn our_paths(disc: &Judged) -> Vec<(u32, String)> {
    let volume = disc.volume.as_ref().unwrap();
    let path = |image: &BootImage| {
        let path = volume.tree.path(image.file?);
        Some((image.number, String::from_utf8(path).unwrap()))
    };
    disc.boot.iter().filter_map(path).collect()
}

/// What xorriso calls an image.
fn options(report: &Report) -> Vec<(u32, String)> {
    let lines = report.lines("El Torito img opts");
    lines.iter().map(|words| (words[0].parse().unwrap(), words[1..].join(" "))).collect()
}

fn our_options(disc: &Judged) -> Vec<(u32, String)> {
    let option = |image: &BootImage| {
        let words = match image.loader {
            Loader::Isolinux => "boot-info-table isohybrid-suitable",
            Loader::Grub => "boot-info-table grub2-boot-info",
            Loader::Other => return None,
        };
        Some((image.number, words.to_owned()))
    };
    disc.boot.iter().filter_map(option).collect()
}

/// Number, status, type, first block and blocks of each partition record.
fn records(report: &Report) -> Vec<(u64, u64, u64, u64, u64)> {
    let lines = report.lines("MBR partition      ");
    let number = |word: &str| word.parse().unwrap();
    let each = lines.iter().map(|words| {
        let (status, kind) = (hexadecimal(words[1]), hexadecimal(words[2]));
        (number(words[0]), status, kind, number(words[3]), number(words[4]))
    });
    each.collect()
}

fn our_records(bytes: &Region) -> Vec<(u64, u64, u64, u64, u64)> {
    let record = BootRecord::read(bytes, Lba(0), BlockSize::B512).unwrap();
    if !record.has_signature() {
        return Vec::new();
    }
    let used = record.partition_record.iter().zip(1_u64..).filter(|(r, _)| r.size_in_lba != 0);
    let each = used.map(|(r, number)| {
        let (first, blocks) = (r.starting_lba.get(), r.size_in_lba.get());
        (number, r.boot_indicator.into(), r.os_type.into(), first.into(), blocks.into())
    });
    each.collect()
}

/// Number, first block and blocks of each partition of a GPT or of an Apple partition map.
fn partitions(report: &Report, table: &str) -> Vec<(u64, u64, u64)> {
    let lines = report.lines(table);
    let number = |word: &str| word.parse().unwrap();
    lines.iter().map(|words| (number(words[0]), number(words[1]), number(words[2]))).collect()
}

fn our_gpt(bytes: &Region) -> Vec<(u64, u64, u64)> {
    let header = Header::read(bytes, Lba(1), BlockSize::B512).unwrap();
    if !header.has_signature() {
        return Vec::new();
    }
    let array = EntryArray::read(bytes, &header, BlockSize::B512).unwrap();
    let each = array.entries().zip(1_u64..).filter(|(entry, _)| entry.is_used());
    let each = each.map(|(entry, number)| {
        let first = entry.starting_lba.get();
        (number, first, entry.ending_lba.get() + 1 - first)
    });
    each.collect()
}

/// xorriso leaves the map itself out.
fn our_map(bytes: &Region) -> Vec<(u64, u64, u64)> {
    let Some(map) = Map::read(bytes).unwrap() else { return Vec::new() };
    let each = map.entries.iter().skip(1).zip(1_u64..);
    each.map(|((_, e), number)| (number, e.start.get().into(), e.blocks.get().into())).collect()
}

#[test]
fn xorriso_sees_the_same() {
    let others = FOREIGN.iter().map(|(name, _)| (*name, foreign(name)));
    let ours = good().into_iter().map(|(name, bytes, _)| (name, bytes));
    for (name, bytes) in ours.chain(others) {
        let report = Report::of(&bytes);
        let source: Arc<dyn ReadAt> = Arc::new(bytes);
        let (disc, _) = judge_source(&source);
        let region = Region::whole(source).unwrap();
        assert_eq!(our_images(&disc), images(&report), "{name}");
        assert_eq!(our_paths(&disc), paths(&report), "{name}");
        assert_eq!(our_options(&disc), options(&report), "{name}");
        assert_eq!(our_records(&region), records(&report), "{name}");
        assert_eq!(our_gpt(&region), partitions(&report, "GPT start and size"), "{name}");
        assert_eq!(our_map(&region), partitions(&report, "APM start and size"), "{name}");

        let summary = report.lines("System area summary");
        let says = |word: &str| summary.iter().flatten().any(|found| *found == word);
        let kind = BootCode::read(&region).unwrap().kind();
        assert_eq!(says("isohybrid"), kind == Kind::Syslinux, "{name}: {}", report.0);
        // It goes by the address: memtest86+ has code of its own, and one in this form.
        let starts = matches!(disc.stick.bios, Bios::Starts(_));
        assert_eq!(says("isohybrid") || says("grub2-mbr"), starts, "{name}: {}", report.0);
    }
}
