//! Makes the checksums of a disc right: of the boot catalog, of the table that a boot image has
//! about itself, and of a GPT.

use std::sync::Arc;

use image_formats::{
    bytes::{ReadError, Region},
    el_torito::{
        Catalog, Record, SECTOR,
        raw::{BootInfo, BootRecord, Entry},
    },
    gpt::{EntryArray, Header},
    units::{BlockSize, Lba},
};

use crate::input::Image;

/// The longest boot image that is summed.
const MAX_BOOT_IMAGE: u32 = 1 << 20;

/// Where in a header the checksum of the entries and its own one are.
const ENTRIES_CRC: u64 = 88;
const HEADER_CRC: u64 = 16;

/// Makes the checksums of a disc right.
pub fn seal_disc(image: &mut Image) {
    // What cannot be read has no checksum.
    let _ = catalog(image);
    let _ = tables(image);
}

fn region(image: &Image) -> Region {
    Region::whole(Arc::new(image.clone())).expect("memory does not fail")
}

fn catalog(image: &mut Image) -> Result<(), ReadError> {
    let disc = region(image);
    let record = BootRecord::read(&disc, BootRecord::SECTOR)?;
    let at = u64::from(record.boot_catalog.get()).saturating_mul(SECTOR);
    let catalog = Catalog::read(&disc, at)?;
    let sum = catalog.validation.sum();
    let right = catalog.validation.checksum.get().wrapping_sub(sum);
    image.put(at + 28, &right.to_le_bytes());
    for (_, record) in &catalog.records {
        if let Record::Initial(entry) | Record::Section(entry) = record {
            // Another one may be sound where this one is not.
            let _ = boot_image(image, &disc, entry);
        }
    }
    Ok(())
}

fn boot_image(image: &mut Image, disc: &Region, entry: &Entry) -> Result<(), ReadError> {
    let start = entry.offset();
    let content = disc.sub("boot image", start, disc.len().saturating_sub(start))?;
    let info = BootInfo::read(&content)?;
    if info.file == entry.load_rba && info.length.get() <= MAX_BOOT_IMAGE {
        let sum = BootInfo::sum(&content, info.length.get().into())?;
        image.put(start + BootInfo::AT + 12, &sum.to_le_bytes());
    }
    Ok(())
}

fn tables(image: &mut Image) -> Result<(), ReadError> {
    let disc = region(image);
    let first = Header::read(&disc, Lba(1), BlockSize::B512)?;
    if !first.has_signature() {
        return Ok(());
    }
    for lba in [Lba(1), Lba(first.raw.alternate_lba.get())] {
        let header = Header::read(&disc, lba, BlockSize::B512)?;
        let Some(at) = lba.to_offset(BlockSize::B512).filter(|_| header.has_signature()) else {
            continue;
        };
        let entries = EntryArray::read(&disc, &header, BlockSize::B512)?;
        image.put(at.0.saturating_add(ENTRIES_CRC), &entries.crc32().to_le_bytes());
        let header = Header::read(&region(image), lba, BlockSize::B512)?;
        if let Some(sum) = header.crc32() {
            image.put(at.0.saturating_add(HEADER_CRC), &sum.to_le_bytes());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(bytes: &[u8]) -> Image {
        Image::read(bytes.len() as u64, &mut &bytes[..]).unwrap()
    }

    #[test]
    fn catalogs_and_boot_images_sum_up() {
        let mut bytes = vec![0; 24 * 2048];
        bytes[17 * 2048 + 71] = 19;
        bytes[19 * 2048..19 * 2048 + 4].copy_from_slice(&[1, 0, 0, 7]);
        bytes[19 * 2048 + 40] = 20;
        let start = 20 * 2048;
        bytes[start + 12] = 20;
        bytes[start + 16] = 80;
        bytes[start + 70] = 5;
        let mut image = image(&bytes);
        seal_disc(&mut image);
        let disc = region(&image);
        assert_eq!(Catalog::read(&disc, 19 * 2048).unwrap().validation.sum(), 0);
        let boot = disc.sub("boot image", start as u64, 2048).unwrap();
        assert_eq!(BootInfo::read(&boot).unwrap().checksum.get(), 5 << 16);
    }

    #[test]
    fn headers_of_tables_are_right() {
        let mut bytes = vec![0; 64 * 512];
        for (lba, entries) in [(1, 2), (63, 40)] {
            let at = lba * 512;
            bytes[at..at + 8].copy_from_slice(b"EFI PART");
            bytes[at + 12] = 92;
            bytes[at + 32] = 63;
            bytes[at + 72] = entries;
            (bytes[at + 80], bytes[at + 84]) = (4, 128);
            bytes[usize::from(entries) * 512] = 9;
        }
        let mut image = image(&bytes);
        seal_disc(&mut image);
        let disc = region(&image);
        for lba in [Lba(1), Lba(63)] {
            let header = Header::read(&disc, lba, BlockSize::B512).unwrap();
            assert_eq!(header.crc32(), Some(header.raw.header_crc32.get()));
            let entries = EntryArray::read(&disc, &header, BlockSize::B512).unwrap();
            assert_eq!(entries.crc32(), header.raw.partition_entry_array_crc32.get());
        }
    }
}
