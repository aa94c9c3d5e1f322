//! Bitmaps that tell which parts of the disk were changed.

use image_formats::{
    bytes::ReadError,
    qcow2::{
        Entries, TableEntry,
        raw::{BitmapEntry, BitmapsExtension},
    },
};
use zerocopy::transmute;

use super::{
    BITMAPS, Disk, Judge,
    claims::{Claims, Role},
};

/// QEMU reads no more bitmaps, and no longer directory of them.
const MAX_BITMAPS: u32 = 65535;
const MAX_DIRECTORY: u64 = 1024 * MAX_BITMAPS as u64;
/// QEMU reads no larger table, and no longer name.
const MAX_TABLE: u64 = 0x800_0000;
const MAX_NAME: u16 = 1023;

impl Judge<'_> {
    /// Judges and claims all bitmaps.
    pub(super) fn bitmaps(
        &mut self,
        disk: &Disk,
        extension: &BitmapsExtension,
        claims: &mut Claims,
    ) -> Result<(), ReadError> {
        let number = extension.nb_bitmaps.get();
        let start = extension.bitmap_directory_offset.get();
        let len = extension.bitmap_directory_size.get();
        let what = "qcow2 bitmap directory";
        let here = self.at(what, start, len);
        if number == 0 || number > MAX_BITMAPS || extension.reserved.get() != 0 {
            claims.incomplete = true;
            self.fault(&BITMAPS, here, || {
                format!("{number} bitmaps, not 1 to {MAX_BITMAPS}, or a reserved field is set")
            });
            return Ok(());
        }
        let named = (what, Role::Bitmaps);
        if !self.table(disk, claims, &BITMAPS, named, (start, len), MAX_DIRECTORY) {
            return Ok(());
        }
        let directory = self.file.sub(what, start, len)?;
        let mut at = 0_u64;
        for index in 0..number {
            let entry = match directory.array::<{ BitmapEntry::SIZE }>(what, at) {
                Ok(bytes) => transmute!(bytes),
                Err(error) if error.is_defect() => {
                    claims.incomplete = true;
                    self.fault(&BITMAPS, here.clone(), || {
                        format!("{number} bitmaps, and the directory ends within number {index}")
                    });
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            self.bitmap(disk, &entry, start + at, claims)?;
            let names = u64::from(entry.name_size.get()) + u64::from(entry.extra_data_size.get());
            at = (at + BitmapEntry::SIZE as u64 + names).next_multiple_of(8);
        }
        if at != len {
            self.fault(&BITMAPS, here, || {
                format!("{number} bitmaps take {at} bytes of the directory, which has {len}")
            });
        }
        Ok(())
    }

    fn bitmap(
        &mut self,
        disk: &Disk,
        entry: &BitmapEntry,
        at: u64,
        claims: &mut Claims,
    ) -> Result<(), ReadError> {
        let here = self.at("qcow2 bitmap directory entry", at, BitmapEntry::SIZE as u64);
        let entries = u64::from(entry.bitmap_table_size.get());
        let (flags, bits) = (entry.flags.get(), entry.granularity_bits);
        // A bit for each piece of the disk, in whole clusters.
        let size = disk.header.size.get();
        let bytes = size.div_ceil(1_u64.checked_shl(bits.into()).unwrap_or(1)).div_ceil(8);
        let needed = disk.cluster.count(bytes);
        let trouble = if flags & !BitmapEntry::FLAGS != 0 {
            Some(format!("flags {flags:#x}, of which some are reserved"))
        } else if entry.bitmap_type != BitmapEntry::DIRTY_TRACKING {
            Some(format!("type {}, not 1", entry.bitmap_type))
        } else if !(9..=31).contains(&bits) {
            Some(format!("granularity 2^{bits}, not 2^9 to 2^31"))
        } else if !(1..=MAX_NAME).contains(&entry.name_size.get()) {
            Some(format!("a name of {} bytes, not 1 to {MAX_NAME}", entry.name_size))
        } else if entry.extra_data_size.get() != 0 {
            Some("extra data, of which nothing is known".to_owned())
        } else if entries == 0 || entries > MAX_TABLE {
            Some(format!("{entries} entries in its table"))
        } else if flags & BitmapEntry::IN_USE == 0 && entries != needed {
            Some(format!("{entries} entries in its table, not {needed}"))
        } else {
            None
        };
        if let Some(trouble) = trouble {
            self.fault(&BITMAPS, here, || trouble);
        }
        let what = "qcow2 bitmap table";
        let place = (entry.bitmap_table_offset.get(), entries * 8);
        let named = (what, Role::Bitmaps);
        if !self.table(disk, claims, &BITMAPS, named, place, 8 * MAX_TABLE) {
            return Ok(());
        }
        let table = Entries::new(self.file, what, place.0, entries)?;
        for (number, entry) in (0..).zip(table.iter()) {
            let entry = TableEntry(entry?);
            let cluster = entry.bitmap_cluster();
            let trouble = if entry.reserved_of_bitmap_table() != 0 {
                "reserved bits are set"
            } else if cluster == 0 {
                continue;
            } else if disk.is_whole(cluster) {
                self.claim(claims, disk.cluster.index(cluster), Role::Bitmaps, 1);
                continue;
            } else {
                "that is no cluster of the file"
            };
            claims.incomplete = true;
            let here = self.at("qcow2 bitmap table entry", place.0 + 8 * number, 8);
            self.fault(&BITMAPS, here, || format!("{:#x}: {trouble}", entry.0));
        }
        Ok(())
    }
}
