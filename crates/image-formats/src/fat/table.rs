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

/// Bytes of the table that are read at a time to look up an entry.
const PAGE: u64 = 4096;

/// Pages that are remembered: a chain mostly goes on where it is.
const FEW_PAGES: usize = 16;

/// The most bytes of a table that are kept. FAT32 with 16 million clusters has so many.
pub const MAX_KEPT: u64 = 64 << 20;

/// Pages of a larger table that are remembered instead, as many bytes.
const MANY_PAGES: usize = 1 << 14;

/// Bytes of the table that are read at a time to go through all of it: whole entries of each width.
const PIECE: u64 = 3 << 16;

/// One copy of the FAT.
#[derive(Debug)]
pub struct Table {
    region: Region,
    width: Width,
    /// All of it, where it is kept.
    kept: Option<Vec<u8>>,
    /// Number of the page and its bytes, with one of the next page: an entry of 12 bits may need
    /// it.
    pages: Vec<Option<(u64, Vec<u8>)>>,
    max_pages: usize,
}

impl Table {
    /// The copy whose entries are in `region`, as long as [`Geometry::table_len`] says. It is read
    /// where it is asked.
    pub fn new(region: Region, geometry: &Geometry) -> Self {
        let (kept, pages) = (None, Vec::new());
        Self { region, width: geometry.width, kept, pages, max_pages: FEW_PAGES }
    }

    /// The same, for who looks at all of it in any order: as much as [`MAX_KEPT`] is kept in
    /// memory.
    pub fn kept(region: Region, geometry: &Geometry) -> Result<Self, ReadError> {
        let mut table = Self::new(region, geometry);
        let len = table.region.len();
        if len <= MAX_KEPT {
            table.kept = Some(table.region.bytes(WHAT, 0, len, MAX_KEPT)?);
        } else {
            table.max_pages = MANY_PAGES;
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
            let start = usize::try_from(at.rem_euclid(PAGE)).unwrap_or(usize::MAX);
            let page = self.page(at.div_euclid(PAGE))?;
            page.get(start..).and_then(|bytes| decode(bytes, width, odd))
        };
        // Past the end of the table there is nothing; the region says so.
        value.map_or_else(|| self.region.array::<4>(WHAT, at).map(u32::from_le_bytes), Ok)
    }

    fn page(&mut self, number: u64) -> Result<&[u8], ReadError> {
        if self.pages.is_empty() {
            self.pages.resize_with(self.max_pages, || None);
        }
        let pages = u64::try_from(self.max_pages).unwrap_or(1);
        let slot = usize::try_from(number.checked_rem(pages).unwrap_or(0)).unwrap_or(0);
        let known = matches!(self.pages.get(slot), Some(Some((kept, _))) if *kept == number);
        if !known {
            let at = number.saturating_mul(PAGE);
            let len = self.region.len().saturating_sub(at).min(PAGE.saturating_add(1));
            let bytes = self.region.bytes(WHAT, at, len, PAGE.saturating_add(1))?;
            if let Some(slot) = self.pages.get_mut(slot) {
                *slot = Some((number, bytes));
            }
        }
        Ok(self.pages.get(slot).and_then(Option::as_ref).map_or(&[], |(_, bytes)| bytes))
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
            for mut table in [Table::new(region, &geometry), kept] {
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
