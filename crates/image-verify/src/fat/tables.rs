//! The FATs as such: `read_fat` of fsck.fat.

use image_formats::{
    bytes::{ReadError, Region},
    fat::{Cluster, Entry, Geometry, Table, Width},
};

use super::{
    COPIES, FIRST_ENTRY, Judge, LINK_RANGE, MEDIA_ENTRY, Place, SECOND_ENTRY, boot::Boot,
    paths::Whose,
};

/// Bytes of two FATs that are compared at a time.
const PIECE: u64 = 1 << 20;

/// How many wrong links are shown to the recorder, which lists fewer.
const MAX_LINKS: usize = 1 << 10;

/// The first FAT, and how many clusters of which sort it knows.
pub(super) struct Tables {
    pub(super) first: Table,
    pub(super) free: u32,
    /// Clusters that are neither free nor bad.
    pub(super) in_use: u32,
    /// No link leads out of the table.
    pub(super) safe: bool,
}

impl Judge<'_> {
    pub(super) fn tables(&mut self, boot: &Boot) -> Result<Tables, ReadError> {
        let geometry = &boot.geometry;
        let len = geometry.table_len();
        let copy = |copy| self.region.sub("FAT", geometry.fat(copy).unwrap_or(u64::MAX), len);
        let (first, second) = (copy(0)?, (geometry.fats > 1).then(|| copy(1)).transpose()?);
        let mut first = Table::kept(first, geometry)?;
        self.first_entries(boot, &mut first)?;
        if let Some(second) = second {
            self.compare(geometry, first.region(), &second)?;
        }
        let (mut free, mut in_use) = (0_u32, 0_u32);
        let mut wrong = Vec::new();
        first.scan(geometry, |cluster, found| match found {
            Entry::Free => free += 1,
            Entry::Bad => {}
            Entry::End => in_use += 1,
            Entry::Next(next) => {
                in_use += 1;
                if !geometry.contains(next) && wrong.len() < MAX_LINKS {
                    wrong.push((cluster, next));
                }
            }
        })?;
        self.expect(&LINK_RANGE, true, &entry(geometry, Cluster(0)), String::new);
        for (cluster, next) in &wrong {
            self.expect(&LINK_RANGE, false, &entry(geometry, *cluster), || {
                let last = geometry.last();
                format!("{next} follows cluster {cluster}, and there are those from 2 to {last}")
            });
        }
        Ok(Tables { first, free, in_use, safe: wrong.is_empty() })
    }

    /// The two entries of no cluster.
    fn first_entries(&mut self, boot: &Boot, first: &mut Table) -> Result<(), ReadError> {
        let geometry = &boot.geometry;
        let mask = geometry.width.mask();
        let (value, place) = (first.value(Cluster(0))? & mask, entry(geometry, Cluster(0)));
        let want = mask & !0xff | u32::from(boot.media);
        let marks = mask & !0xf;
        if self.expect(&FIRST_ENTRY, value & marks == marks, &place, || {
            format!("{value:#x}, not {want:#x}")
        }) {
            self.expect(&MEDIA_ENTRY, value == want, &place, || {
                format!("{value:#x}, not {want:#x}")
            });
        }
        let value = first.value(Cluster(1))? & mask;
        // The upper two bits are flags, which FAT12 has no room for.
        let flags = if geometry.width == Width::Fat12 { 0 } else { mask ^ mask >> 2 };
        let holds = Entry::of(value | flags, geometry.width) == Entry::End;
        self.expect(&SECOND_ENTRY, holds, &entry(geometry, Cluster(1)), || {
            format!("{value:#x}, which is no end mark")
        });
        Ok(())
    }

    fn compare(
        &mut self,
        geometry: &Geometry,
        first: &Region,
        second: &Region,
    ) -> Result<(), ReadError> {
        let mut differs = None;
        let mut at = 0;
        while at < first.len() && differs.is_none() {
            let len = PIECE.min(first.len() - at);
            let ours = first.bytes("FAT", at, len, PIECE)?;
            let theirs = second.bytes("second FAT", at, len, PIECE)?;
            let found = ours.iter().zip(&theirs).position(|(a, b)| a != b);
            differs = found.map(|index| at + index as u64);
            at += len;
        }
        let at = differs.unwrap_or(0);
        let start = geometry.fat(1).unwrap_or(0);
        let offset = start + at;
        let place = Place { structure: "second FAT", offset, len: 1, whose: Whose::Nobody };
        self.expect(&COPIES, differs.is_none(), &place, || {
            let cluster = at * 8 / geometry.width.bits();
            format!("differs from the first FAT from the entry of cluster {cluster} on")
        });
        Ok(())
    }
}

/// The entry of a cluster in the first FAT.
pub(super) fn entry(geometry: &Geometry, cluster: Cluster) -> Place<'static> {
    let bits = geometry.width.bits();
    let offset = geometry.fat_offset + u64::from(cluster.0) * bits / 8;
    Place { structure: "FAT", offset, len: bits.div_ceil(8), whose: Whose::Nobody }
}
