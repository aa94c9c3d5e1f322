//! The boot information table, by which an image for a PC's BIOS finds the rest of itself.

use std::mem::offset_of;

use image_formats::{
    bytes::ReadError,
    el_torito::{MAX_SUMMED_BYTES, raw::BootInfo},
    iso9660::{self, raw::DescriptorHeader},
};

use super::{
    INFO_CHECKSUM, INFO_FILE, INFO_LENGTH, INFO_PVD, INFO_RESERVED, INFO_TABLE, Judge, Loader,
    image::Image,
};

/// What `isolinux.bin` has where nobody wrote a table.
const BLANK: u32 = 0xdead_beef;

impl Judge<'_> {
    /// Judges the table of an image, if there is one, or should be. Returns how long the image is
    /// by it.
    pub(super) fn info(
        &mut self,
        image: &Image<'_>,
        loader: Loader,
    ) -> Result<Option<u64>, ReadError> {
        let have = image.rest.len();
        if have < BootInfo::SUMMED_FROM {
            return Ok(None);
        }
        let table = BootInfo::read(&image.rest)?;
        let (pvd, file) = (u64::from(table.pvd.get()), table.file.get());
        let (length, stored) = (u64::from(table.length.get()), table.checksum.get());
        let sector = image.listed.entry.load_rba.get();
        let most = have.min(MAX_SUMMED_BYTES);
        let is_long = length >= BootInfo::SUMMED_FROM && length <= most;
        let is_length = is_long && image.file_len.is_none_or(|len| len == length);
        let computed = if is_length { Some(BootInfo::sum(&image.rest, length)?) } else { None };
        let right = [
            pvd == iso9660::Descriptor::FIRST,
            file == sector,
            is_length,
            computed == Some(stored),
        ];
        if loader == Loader::Other {
            // One that nobody asked for is one if most of it is right.
            if right.into_iter().filter(|right| *right).count() < 2 {
                return Ok(None);
            }
        } else {
            let is_there = ![0, BLANK].contains(&table.length.get()) || file == sector;
            if !self.expect(&INFO_TABLE, is_there, || {
                (image.at(BootInfo::AT, 16), "no boot information table".to_owned())
            }) {
                return Ok(None);
            }
        }
        let field = |field: usize, len: u64| image.at(BootInfo::AT + field as u64, len);
        // Where a disc was written to again, it is that of the last session.
        let is_pvd = pvd == iso9660::Descriptor::FIRST || {
            let offset = pvd.saturating_mul(iso9660::SECTOR);
            match iso9660::Descriptor::read(self.disc, offset) {
                Ok(found) => found.is_one() && found.header().kind == DescriptorHeader::PRIMARY,
                Err(error) if error.is_defect() => false,
                Err(error) => return Err(error),
            }
        };
        self.expect(&INFO_PVD, is_pvd, || {
            let place = field(offset_of!(BootInfo, pvd), 4);
            (place, format!("sector {pvd}, which has no primary volume descriptor"))
        });
        self.expect(&INFO_FILE, file == sector, || {
            let place = field(offset_of!(BootInfo, file), 4);
            (place, format!("sector {file}, not {sector}, where the image is"))
        });
        self.expect(&INFO_LENGTH, is_length, || {
            let place = field(offset_of!(BootInfo, length), 4);
            let message = match image.file_len {
                Some(len) => format!("{length} bytes, not {len} as the file has"),
                None => format!("{length} bytes, not {} to {most}", BootInfo::SUMMED_FROM),
            };
            (place, message)
        });
        if let Some(computed) = computed {
            self.expect(&INFO_CHECKSUM, stored == computed, || {
                let place = field(offset_of!(BootInfo, checksum), 4);
                (place, format!("stored {stored:#010x}, computed {computed:#010x}"))
            });
        }
        self.expect(&INFO_RESERVED, table.reserved == [0; 40], || {
            let place = field(offset_of!(BootInfo, reserved), 40);
            (place, "reserved bytes are not zero".to_owned())
        });
        Ok(is_length.then_some(length))
    }
}
