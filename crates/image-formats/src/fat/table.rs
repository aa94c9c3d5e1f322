//! The file allocation table: which cluster follows which. FAT §4.

use super::geometry::{Cluster, Geometry, Width};
use crate::bytes::{ReadError, Region};

/// What an entry of the FAT says of its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Belongs to nobody.
    Free,
    /// This cluster follows. It can be any number, 1 and reserved ones too.
    Next(Cluster),
    /// Must not be used.
    Bad,
    /// The last one of its chain.
    End,
}

impl Entry {
    /// What a value means, of which only the bits that count may be set.
    pub fn of(value: u32, width: Width) -> Self {
        let end = width.mask() & !7;
        match value {
            0 => Self::Free,
            value if value >= end => Self::End,
            value if value == end.saturating_sub(1) => Self::Bad,
            value => Self::Next(Cluster(value)),
        }
    }
}

/// Bytes of a page, and how many are remembered of a table that is read where it is asked: a chain
/// mostly goes on where it is.
const FEW: (usize, usize) = (4096, 16);

/// The most bytes of a table that are kept. FAT32 with 32 million clusters has so many.
pub const MAX_KEPT: u64 = 128 << 20;

/// Bytes of a page, and how many are remembered of a larger table that is looked at in any order:
/// about as many bytes, and little is read for an entry that nothing near is asked after.
const MANY: (usize, usize) = (512, 1 << 18);

/// Bytes of the table that are read at a time to go through all of it: whole entries of each width.
const PIECE: u64 = 3 << 16;

/// One copy of the FAT.
#[derive(Debug)]
pub struct Table {
    region: Region,
    width: Width,
    /// All of it, where it is kept.
    kept: Option<Vec<u8>>,
    pages: Pages,
}

/// Parts of a table that were read, each in the one place where it can be.
#[derive(Debug)]
struct Pages {
    /// Bytes of a page.
    page: usize,
    /// How many places there are.
    places: usize,
    /// Which page is in a place, counted from 1.
    numbers: Vec<u32>,
    /// The pages, each with one byte of the next page: an entry of 12 bits may need it.
    bytes: Vec<u8>,
}

impl Pages {
    fn new((page, places): (usize, usize)) -> Self {
        Self { page, places, numbers: Vec::new(), bytes: Vec::new() }
    }

    /// The bytes of a table from one of them on, up to the end of its page and one more.
    fn from(&mut self, at: u64, region: &Region) -> Result<&[u8], ReadError> {
        let size = u64::try_from(self.page).unwrap_or(u64::MAX);
        let (number, start) = (at.div_euclid(size), at.rem_euclid(size));
        let place = usize::try_from(number).unwrap_or(0).checked_rem(self.places).unwrap_or(0);
        let stride = self.page.saturating_add(1);
        if self.numbers.is_empty() {
            // Zeros, which cost nothing until they are written.
            self.numbers = vec![0; self.places];
            self.bytes = vec![0; self.places.saturating_mul(stride)];
        }
        let first = place.saturating_mul(stride);
        let tag = u32::try_from(number.saturating_add(1)).unwrap_or(u32::MAX);
        let page_at = number.saturating_mul(size);
        let len = region.len().saturating_sub(page_at).min(size.saturating_add(1));
        let len = usize::try_from(len).unwrap_or(0);
        let range = first..first.saturating_add(len);
        if self.numbers.get(place) != Some(&tag) {
            // Where it cannot be read, what was there is gone too.
            self.mark(place, 0);
            let bytes = self.bytes.get_mut(range.clone()).unwrap_or_default();
            region.fill(WHAT, page_at, bytes)?;
            self.mark(place, tag);
        }
        let page = self.bytes.get(range).unwrap_or_default();
        Ok(usize::try_from(start).ok().and_then(|start| page.get(start..)).unwrap_or_default())
    }

    fn mark(&mut self, place: usize, tag: u32) {
        if let Some(number) = self.numbers.get_mut(place) {
            *number = tag;
        }
    }
}

impl Table {
    /// The copy whose entries are in `region`, as long as [`Geometry::table_len`] says. It is read
    /// where it is asked.
    pub fn new(region: Region, geometry: &Geometry) -> Self {
        Self { region, width: geometry.width, kept: None, pages: Pages::new(FEW) }
    }

    /// The same, for who looks at all of it in any order: as much as [`MAX_KEPT`] is kept in
    /// memory.
    pub fn kept(region: Region, geometry: &Geometry) -> Result<Self, ReadError> {
        let mut table = Self::new(region, geometry);
        let len = table.region.len();
        if len <= MAX_KEPT {
            table.kept = Some(table.region.bytes(WHAT, 0, len, MAX_KEPT)?);
        } else {
            table.pages = Pages::new(MANY);
        }
        Ok(table)
    }

    /// The bytes of its entries.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Where in the image the entry of a cluster is.
    pub fn entry_offset(&self, cluster: Cluster) -> u64 {
        self.region.absolute(self.at(cluster)).0
    }

    fn at(&self, cluster: Cluster) -> u64 {
        u64::from(cluster.0).saturating_mul(self.width.bits()).div_euclid(8)
    }

    /// What the table says of a cluster.
    pub fn get(&mut self, cluster: Cluster) -> Result<Entry, ReadError> {
        Ok(Entry::of(self.value(cluster)? & self.width.mask(), self.width))
    }

    /// The bits of an entry, those included that do not count.
    pub fn value(&mut self, cluster: Cluster) -> Result<u32, ReadError> {
        let at = self.at(cluster);
        let width = self.width;
        let odd = cluster.0 & 1 == 1;
        let value = if let Some(kept) = &self.kept {
            let start = usize::try_from(at).unwrap_or(usize::MAX);
            kept.get(start..).and_then(|bytes| decode(bytes, width, odd))
        } else {
            decode(self.pages.from(at, &self.region)?, width, odd)
        };
        // Past the end of the table there is nothing; the region says so.
        value.map_or_else(|| self.region.array::<4>(WHAT, at).map(u32::from_le_bytes), Ok)
    }

    /// Shows every entry of the table, the first two excepted, in one pass over it.
    pub fn scan(
        &self,
        geometry: &Geometry,
        mut visit: impl FnMut(Cluster, Entry),
    ) -> Result<(), ReadError> {
        let mut cluster = 0_u32;
        let mut at = 0_u64;
        while at < self.region.len() {
            let len = self.region.len().saturating_sub(at).min(PIECE);
            let read;
            let mut rest = match &self.kept {
                Some(kept) => usize::try_from(at).ok().and_then(|at| kept.get(at..)).unwrap_or(&[]),
                None => {
                    read = self.region.bytes(WHAT, at, len, PIECE)?;
                    &read
                }
            };
            let len = if self.kept.is_some() { self.region.len() } else { len };
            while cluster <= geometry.last().0 {
                let odd = cluster & 1 == 1;
                let Some(value) = decode(rest, self.width, odd) else { break };
                if cluster >= Cluster::FIRST.0 {
                    visit(Cluster(cluster), Entry::of(value & self.width.mask(), self.width));
                }
                let step = match (self.width, odd) {
                    (Width::Fat12, false) => 1,
                    (Width::Fat12, true) | (Width::Fat16, _) => 2,
                    (Width::Fat32, _) => 4,
                };
                rest = rest.get(step..).unwrap_or_default();
                cluster = cluster.saturating_add(1);
            }
            at = at.saturating_add(len);
        }
        Ok(())
    }
}

/// What is being read, for errors.
const WHAT: &str = "FAT";

/// The entry at the start of `bytes`. An entry of 12 bits is in the first or second half of three
/// bytes: an odd one starts in the middle of its first byte.
fn decode(bytes: &[u8], width: Width, odd: bool) -> Option<u32> {
    match width {
        Width::Fat32 => bytes.first_chunk().copied().map(u32::from_le_bytes),
        _ => {
            let value = bytes.first_chunk().copied().map(u16::from_le_bytes)?;
            Some(u32::from(match (width, odd) {
                (Width::Fat12, false) => value & 0xfff,
                (Width::Fat12, true) => value >> 4,
                _ => value,
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fat::RootDirectory;

    fn geometry(width: Width, clusters: u32) -> Geometry {
        Geometry {
            width,
            sector_size: 512,
            cluster_size: 512,
            fat_offset: 0,
            fat_len: 0,
            fats: 1,
            root: RootDirectory::Chain(Cluster(2)),
            data_offset: 0,
            clusters,
            len: 0,
        }
    }

    /// Both ways to read a table, over the ends of pages and pieces, give what was written.
    #[test]
    fn entries_of_all_widths() {
        for (width, clusters) in
            [(Width::Fat12, 4000_u32), (Width::Fat16, 65000), (Width::Fat32, 200_000)]
        {
            let geometry = geometry(width, clusters);
            let want = |cluster: u32| cluster.wrapping_mul(2_654_435_761) & width.mask();
            let mut bytes = Vec::new();
            for pair in 0..clusters / 2 + 1 {
                let (a, b) = (want(pair * 2), want(pair * 2 + 1));
                match width {
                    Width::Fat12 => {
                        bytes.extend_from_slice(&(a | b << 12).to_le_bytes()[..3]);
                    }
                    Width::Fat16 => {
                        bytes.extend_from_slice(&(a | b << 16).to_le_bytes());
                    }
                    Width::Fat32 => {
                        bytes.extend_from_slice(&(a | 0xa << 28).to_le_bytes());
                        bytes.extend_from_slice(&b.to_le_bytes());
                    }
                }
            }
            bytes.truncate(usize::try_from(geometry.table_len()).unwrap());
            let region = Region::from(bytes);
            let kept = Table::kept(region.clone(), &geometry).unwrap();
            let mut small = Table::new(region.clone(), &geometry);
            small.pages = Pages::new((512, 3));
            for mut table in [Table::new(region, &geometry), kept, small] {
                let mut seen = 0;
                table
                    .scan(&geometry, |cluster, entry| {
                        assert_eq!(entry, Entry::of(want(cluster.0), width), "{cluster}");
                        seen += 1;
                    })
                    .unwrap();
                assert_eq!(seen, clusters);
                for cluster in (2..=geometry.last().0).rev() {
                    let entry = table.get(Cluster(cluster)).unwrap();
                    assert_eq!(entry, Entry::of(want(cluster), width));
                }
                assert!(table.get(Cluster(u32::MAX)).unwrap_err().is_defect());
            }
        }
    }

    #[test]
    fn meanings() {
        assert_eq!(Entry::of(0xff7, Width::Fat12), Entry::Bad);
        assert_eq!(Entry::of(0xff8, Width::Fat12), Entry::End);
        assert_eq!(Entry::of(0xff8, Width::Fat16), Entry::Next(Cluster(0xff8)));
        assert_eq!(Entry::of(0x0fff_ffff, Width::Fat32), Entry::End);
        assert_eq!(Entry::of(1, Width::Fat32), Entry::Next(Cluster(1)));
    }
}
