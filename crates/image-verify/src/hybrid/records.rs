//! The partition records of the master boot record.

use image_formats::{
    bytes::ReadError,
    isohybrid::Kind,
    mbr::raw::PartitionRecord,
    units::{BlockSize, Lba},
};
use zerocopy::IntoBytes as _;

use super::{
    ACTIVE, BOOT_INDICATOR, COVER, EFI_OTHER, EFI_PARTITION, EFI_SIZE, EFI_TYPE, END, Found, Judge,
    OVERLAP, PROTECTIVE, TYPE, UNUSED, same_length, volume_size,
};
use crate::{
    disk::{Content, Extent},
    mbr::{announces_gpt, entry_at},
};

const NAME: &str = "MBR partition record";

/// Types of the partition that is the disc: of discs with a GPT, of `isohybrid`, of xorriso's
/// `--protective-msdos-label`, of Linux, and others that people ask for.
const TYPES: [u8; 9] = [0x00, 0x07, 0x0c, 0x17, 0x83, 0x96, 0xcd, 0xda, 0xee];

/// A partition record that describes blocks.
#[derive(Clone, Copy)]
struct Used {
    index: usize,
    kind: u8,
    extent: Extent,
    /// It starts with the disc, or with a copy of its volume descriptors.
    is_disc: bool,
}

impl Judge<'_, '_> {
    /// Judges the records of a disc whose files end at `data`. Returns the partitions, and
    /// the file systems that UEFI firmware finds by them.
    pub(super) fn records(&mut self, data: u64) -> Result<Found, ReadError> {
        let records = self.record.partition_record;
        for (index, record) in records.iter().enumerate() {
            let indicator = record.boot_indicator;
            let known = matches!(indicator, 0 | PartitionRecord::ACTIVE);
            self.out.expect(&BOOT_INDICATOR, known, || {
                let message = format!("{indicator:#04x}, neither 0x00 nor 0x80");
                (entry_at(NAME, Lba(0), index), message)
            });
            let zeros = record.as_bytes().iter().all(|byte| *byte == 0);
            self.out.expect(&UNUSED, record.size_in_lba != 0 || zeros, || {
                let message = format!("no blocks, and type {:#04x}, not zeros", record.os_type);
                (entry_at(NAME, Lba(0), index), message)
            });
        }
        self.active();
        let used = self.used()?;
        self.untyped(&used);
        self.cover(&used, data)?;
        let mut found = Found::default();
        let valid = self.is_valid(&used);
        for entry in &used {
            let is_efi = entry.kind == PartitionRecord::EFI_SYSTEM;
            if is_efi {
                self.efi(entry)?;
            }
            if self.efi_image_at(entry.extent).is_some() {
                self.out.expect(&EFI_TYPE, is_efi || entry.kind == 0, || {
                    let message =
                        format!("a boot image for UEFI of type {:#04x}, not 0xef", entry.kind);
                    (entry_at(NAME, Lba(0), entry.index), message)
                });
            }
            if entry.kind == PartitionRecord::GPT_PROTECTIVE {
                continue;
            }
            let number = entry.index as u32 + 1;
            let mut volume = None;
            if entry.kind != 0
                && !entry.is_disc
                && let Some((region, Content::Fat)) = self.content(entry.extent)?
            {
                volume = self.fats.open(&region, &format!("partition {number}"), self.out)?;
                found.efi.extend(volume.clone().filter(|_| valid));
            }
            found.partitions.extend(self.partition(number, entry.extent, volume)?);
        }
        Ok(found)
    }

    fn active(&mut self) {
        let records = &self.record.partition_record;
        let is_active = |r: &&PartitionRecord| r.boot_indicator == PartitionRecord::ACTIVE;
        let active = records.iter().filter(is_active).count();
        if self.code.kind() != Kind::None && !announces_gpt(&self.record) {
            self.out.expect(&ACTIVE, active == 1, || {
                (entry_at(NAME, Lba(0), 0), format!("{active} active records, not one"))
            });
        }
    }

    /// Judges the records that have no type, and those that announce a GPT.
    fn untyped(&mut self, used: &[Used]) {
        let first = used.iter().find(|entry| entry.is_disc).map(|entry| entry.index);
        for entry in used {
            let is_active =
                self.record.partition_record[entry.index].boot_indicator == PartitionRecord::ACTIVE;
            let place = || entry_at(NAME, Lba(0), entry.index);
            if entry.kind == PartitionRecord::GPT_PROTECTIVE {
                self.out.expect(&PROTECTIVE, !is_active, || (place(), "active".to_owned()));
            }
            // xorriso marks one block for BIOSes that want an active partition.
            let is_mark = is_active && entry.extent.len() == BlockSize::B512.bytes();
            let is_image = self.efi_image_at(entry.extent).is_some();
            let holds = entry.kind != 0 || first == Some(entry.index) || is_mark || is_image;
            self.out.expect(&UNUSED, holds, || {
                (place(), format!("no type, and {}, which is neither disc nor image", entry.extent))
            });
        }
    }

    fn used(&self) -> Result<Vec<Used>, ReadError> {
        let mut used = Vec::new();
        for (index, record) in self.record.partition_record.iter().enumerate() {
            let blocks = u64::from(record.size_in_lba.get());
            if blocks == 0 {
                continue;
            }
            let first = Lba(u64::from(record.starting_lba.get()));
            let extent = Extent::of_blocks(first, blocks, BlockSize::B512);
            let is_disc =
                first.0 <= 1 || matches!(self.content(extent)?, Some((_, Content::Iso9660)));
            used.push(Used { index, kind: record.os_type, extent, is_disc });
        }
        Ok(used)
    }

    fn cover(&mut self, used: &[Used], data: u64) -> Result<(), ReadError> {
        let Some(first) = used.iter().find(|entry| entry.is_disc) else {
            self.out.expect(&COVER, false, || {
                (entry_at(NAME, Lba(0), 0), "no partition starts with the disc".to_owned())
            });
            return Ok(());
        };
        let mut covered = first.extent.end;
        for _ in used {
            let more = used.iter().filter(|entry| entry.extent.start <= covered);
            covered = more.map(|entry| entry.extent.end).max().unwrap_or(covered).max(covered);
        }
        let place = || entry_at(NAME, Lba(0), first.index);
        self.out.expect(&COVER, covered >= data, || {
            (place(), format!("ends at {covered:#x}, and the data of the disc at {data:#x}"))
        });
        let end = first.extent.end;
        let (len, volume) = (self.disc.len(), volume_size(self.disc)?);
        let next = used.iter().any(|other| other.index != first.index && other.extent.start == end);
        // 0xffffffff blocks are right for every disk, of a record that protects a GPT.
        let all = end == u64::from(u32::MAX) * 512 + first.extent.start;
        let holds = next || end == len || Some(end) == volume || all && first.kind == 0xee;
        self.out.expect(&END, holds, || {
            (place(), format!("ends at {end:#x}, and the disc at {len:#x}"))
        });
        self.out.expect(&TYPE, TYPES.contains(&first.kind), || {
            (place(), format!("{:#04x}, which is no type that discs have", first.kind))
        });
        Ok(())
    }

    /// True if EDK II takes the table for one.
    fn is_valid(&mut self, used: &[Used]) -> bool {
        let typed: Vec<&Used> = used.iter().filter(|entry| entry.kind != 0).collect();
        let inside = typed.iter().all(|entry| entry.extent.end <= self.disc.len());
        let mut shared = None;
        for (position, entry) in typed.iter().enumerate() {
            let others = typed.get(position + 1..).unwrap_or_default();
            let other = others.iter().find(|other| other.extent.overlaps(entry.extent));
            shared = shared.or(other.map(|other| (entry.index, other.index)));
        }
        if typed.iter().any(|entry| entry.kind == PartitionRecord::EFI_SYSTEM) {
            self.out.expect(&OVERLAP, shared.is_none(), || {
                let (first, second) = shared.unwrap_or_default();
                let message = format!("partitions {} and {} share blocks", first + 1, second + 1);
                (entry_at(NAME, Lba(0), second), message)
            });
        }
        inside && shared.is_none()
    }

    fn efi(&mut self, entry: &Used) -> Result<(), ReadError> {
        let place = || entry_at(NAME, Lba(0), entry.index);
        let content = self.content(entry.extent)?.map(|(_, content)| content);
        self.out.expect(&EFI_PARTITION, content == Some(Content::Fat), || {
            let message = match content {
                None => format!("{}, and the disc ends at {:#x}", entry.extent, self.disc.len()),
                Some(content) => format!("{} at {}, not FAT", content.as_str(), entry.extent),
            };
            (place(), message)
        });
        let images = self.efi_images().count();
        let image = self.efi_image_at(entry.extent).map(|image| image.region.len());
        if images > 0 {
            self.out.expect(&EFI_OTHER, image.is_some(), || {
                let message = format!("at {:#x}, where no boot image starts", entry.extent.start);
                (place(), message)
            });
        }
        if let Some(len) = image {
            let have = entry.extent.len();
            self.out.expect(&EFI_SIZE, same_length(have, len), || {
                (place(), format!("{have} bytes, and the boot image has {len}"))
            });
        }
        Ok(())
    }
}
