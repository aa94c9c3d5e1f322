//! Every byte of the boot records that something looks at is changed in turn: with one of them
//! broken a disc, or a stick, does not boot, and nobody who is in front of the machine is told why.

use std::{collections::BTreeSet, io, sync::Arc};

use image_formats::bytes::ReadAt;
use image_model::Severity;

use super::{image::*, judge_source};

/// What is changed in each byte: a bit at either end, and all of them.
const MASKS: [u8; 3] = [0x01, 0x80, 0xff];

/// A disc, one byte of which is another.
struct Changed {
    disc: &'static [u8],
    at: usize,
    mask: u8,
}

impl ReadAt for Changed {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disc.len() as u64)
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = start.checked_add(buf.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        let bytes = self.disc.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(bytes);
        if let Some(byte) = self.at.checked_sub(start).and_then(|index| buf.get_mut(index)) {
            *byte ^= self.mask;
        }
        Ok(())
    }
}

/// What a structure of a disc is when each of its bytes is changed in turn.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    /// Changes whose worst finding is an error, a warning, an info.
    worst: [usize; 3],
    /// The bytes of which a change is not told, from the start of the structure: first, and end.
    silent: Vec<[usize; 2]>,
}

/// Changes `len` bytes from `start` on.
fn change(disc: &'static [u8], start: usize, len: usize) -> Told {
    let before = findings(disc, 0, 0);
    let mut told = Told { worst: [0; 3], silent: Vec::new() };
    for at in 0..len {
        for mask in MASKS {
            let after = findings(disc, start + at, mask);
            let new = after.iter().filter(|finding| !before.contains(finding));
            let worst = new.map(|(severity, _)| match severity {
                Severity::Error => 0,
                Severity::Warning => 1,
                Severity::Info => 2,
            });
            match (worst.min(), told.silent.last_mut()) {
                (Some(worst), _) => told.worst[worst] += 1,
                (None, Some([_, end])) if *end >= at => *end = at + 1,
                (None, _) => told.silent.push([at, at + 1]),
            }
        }
    }
    told
}

fn findings(disc: &'static [u8], at: usize, mask: u8) -> BTreeSet<(Severity, String)> {
    let bytes: Arc<dyn ReadAt> = Arc::new(Changed { disc, at, mask });
    let (_, recorded) = judge_source(&bytes);
    let each = recorded.findings.into_iter();
    each.map(|f| (f.severity, format!("{} {:#x} {}", f.check, f.at.offset, f.message))).collect()
}

#[test]
fn of_the_boot_record() {
    // What is unused goes on like this to the end of the sector.
    let told = change(&ALL, RECORD, 0x50);
    assert_eq!(told, Told { worst: [105, 0, 135], silent: vec![] });
}

#[test]
fn of_the_catalog() {
    let told = change(&ALL, catalog(&ALL), 5 * 32);
    // The name of a section is whatever somebody wrote. An entry for UEFI may have a sector count
    // of 0, which this one has with that bit, and criteria by which it is selected.
    let silent = vec![[68, 96], [103, 104], [108, 109]];
    assert_eq!(told, Told { worst: [148, 11, 235], silent });
}

#[test]
fn of_the_start_of_isolinux() {
    // The checksum covers what follows.
    let told = change(&ALL, image(&ALL, 1), 80);
    assert_eq!(told, Told { worst: [120, 0, 120], silent: vec![] });
}

/// SYSLINUX looks at half of the address. The others are the signature of the disk, which is any
/// number, and the old way to say where partitions are, which nothing looks at.
#[test]
fn of_the_master_boot_record() {
    let told = change(&ALL, 0, 512);
    let silent = vec![[436, 446], [447, 450], [451, 454], [463, 466], [467, 470]];
    assert_eq!(told, Told { worst: [1360, 19, 91], silent });
}

#[test]
fn of_the_gpt() {
    let told = change(&ALL, 512, 96);
    assert_eq!(told, Told { worst: [276, 12, 0], silent: vec![] });
    let told = change(&ALL, 1024, 256);
    assert_eq!(told, Told { worst: [768, 0, 0], silent: vec![] });
}

#[test]
fn of_grub() {
    let told = change(&GRUB_ALL, 0, 512);
    let silent = vec![[440, 446], [447, 450], [451, 454]];
    assert_eq!(told, Told { worst: [1347, 15, 138], silent });
    // Three bytes behind the first jump are never run.
    let told = change(&GRUB_ALL, image(&GRUB_ALL, 1), 80);
    assert_eq!(told, Told { worst: [111, 0, 120], silent: vec![[5, 8]] });
    let told = change(&GRUB_ALL, image(&GRUB_ALL, 1) + 2540, 24);
    assert_eq!(told, Told { worst: [72, 0, 0], silent: vec![] });
}

/// The names of partitions are for people.
#[test]
fn of_the_partition_map() {
    let told = change(&APM, 0, 8);
    assert_eq!(told, Told { worst: [24, 0, 0], silent: vec![] });
    let told = change(&APM, SECTOR, 0x50);
    let silent = vec![[2, 4], [14, 48], [68, 80]];
    assert_eq!(told, Told { worst: [38, 60, 0], silent });
    let told = change(&APM, 2 * SECTOR, 0x50);
    let silent = vec![[2, 4], [16, 48], [58, 80]];
    assert_eq!(told, Told { worst: [42, 30, 0], silent });
}
