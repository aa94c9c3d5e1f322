//! Boot images and system areas, by xorriso.

use std::path::Path;

use super::listing::run;

/// What xorriso prints of a disc, without what it says of itself.
pub(crate) fn xorriso(disc: &Path, seconds: u32) -> String {
    let name = disc.to_str().unwrap();
    let argv = [
        "xorriso",
        "-no_rc",
        "-abort_on",
        "FATAL",
        "-indev",
        name,
        "-report_el_torito",
        "plain",
        "-report_system_area",
        "plain",
    ];
    let output = run("xorriso", seconds, &argv);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A boot image: platform, bootable, emulation, sectors to load, block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) platform: u8,
    pub(crate) bootable: bool,
    pub(crate) emulation: u8,
    pub(crate) sectors: u16,
    pub(crate) block: u64,
}

/// The boot images that xorriso tells of.
pub(crate) fn images(report: &str) -> Vec<Image> {
    let lines = report.lines().filter_map(|line| line.strip_prefix("El Torito boot img :"));
    let image = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let [_, platform, bootable, emulation, _, _, sectors, block] = words[..] else {
            panic!("{line}")
        };
        Image {
            platform: match platform {
                "BIOS" => 0,
                "PPC" => 1,
                "Mac" => 2,
                "UEFI" => 0xef,
                other => u8::from_str_radix(other.trim_start_matches("0x"), 16).unwrap(),
            },
            bootable: bootable == "y",
            emulation: ["none", "fd1.2", "fd1.4", "fd2.8", "hd"]
                .iter()
                .position(|name| *name == emulation)
                .unwrap() as u8,
            sectors: sectors.parse().unwrap(),
            block: block.parse().unwrap(),
        }
    };
    lines.map(image).collect()
}

/// What xorriso takes the system area for.
pub(crate) fn summary(report: &str) -> &str {
    let summary = |line| str::strip_prefix(line, "System area summary:");
    report.lines().find_map(summary).unwrap_or_default().trim()
}

/// Where the partitions for UEFI start that xorriso tells of, in bytes.
pub(crate) fn efi_partitions(report: &str) -> Vec<u64> {
    let rows = report.lines().filter_map(|line| line.strip_prefix("MBR partition      :"));
    let rows = rows.map(|row| row.split_whitespace().collect::<Vec<_>>());
    let efi = rows.filter(|row| row[2] == "0xef");
    efi.map(|row| row[3].parse::<u64>().unwrap() * 512).collect()
}
