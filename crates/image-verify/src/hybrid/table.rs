//! The GPT of a disc.

use image_formats::bytes::ReadError;

use super::{EFI_SIZE, Found, GPT_BACKUP, GPT_EFI, GPT_INSIDE, Judge, at, same_length};
use crate::{
    disk::{Content, Entry, Extent},
    gpt::{self, OfDisc},
};

/// The most partitions whose contents are looked at: discs have less than ten.
const MAX_PARTITIONS: usize = 128;

impl Judge<'_, '_> {
    /// Judges the GPT. Returns its partitions, and the file systems that UEFI firmware finds by
    /// it.
    pub(super) fn gpt(&mut self) -> Result<Found, ReadError> {
        let table = gpt::judge_disc(self.disc, &self.record, self.out)?;
        let Some(OfDisc { mut entries, usable, has_backup, holds: taken }) = table else {
            return Ok(Found::default());
        };
        self.out.expect(&GPT_BACKUP, has_backup, || {
            (at("GPT header", 512, 92), "no copy where the header says that it is".to_owned())
        });
        let mut found = Found::default();
        entries.truncate(MAX_PARTITIONS);
        let mut has_efi = false;
        for entry in &entries {
            let Entry { number, extent, .. } = entry;
            let holds = extent.end <= self.disc.len() && extent.start < extent.end;
            self.out.expect(&GPT_INSIDE, holds, || {
                let whole = Extent { start: 0, end: self.disc.len() };
                let message = format!("partition {number} is {extent}, and the disc {whole}");
                (entry.at.clone(), message)
            });
            if let Some(len) = self.efi_image_at(*extent).map(|image| image.region.len()) {
                has_efi = true;
                self.out.expect(&EFI_SIZE, same_length(extent.len(), len), || {
                    let have = extent.len();
                    (entry.at.clone(), format!("{have} bytes, and the boot image has {len}"))
                });
            }
            let Some((region, Content::Fat)) = self.content(*extent)? else {
                found.partitions.extend(self.partition(*number, *extent, None)?);
                continue;
            };
            has_efi = true;
            // EDK II skips what is not in the blocks that may be used, then what shares some.
            let alone = !entries.iter().any(|other| {
                let counts = other.number != *number && usable.contains(other.extent);
                counts && other.extent.overlaps(*extent)
            });
            let name = format!("partition {number}");
            let volume = self.fats.open(&region, &name, self.out)?;
            found.partitions.extend(self.partition(*number, *extent, volume.clone())?);
            found.efi.extend(volume.filter(|_| taken && alone && usable.contains(*extent)));
        }
        if self.efi_images().next().is_some() {
            self.out.expect(&GPT_EFI, has_efi, || {
                let place = entries.first().map_or(at("GPT", 512, 0), |entry| entry.at.clone());
                (place, "no partition is a boot image for UEFI, or another FAT".to_owned())
            });
        }
        Ok(found)
    }
}
