//! Where the parts of a file system are.

use std::fmt;

use super::raw::{BootSector, DirEntry};

/// Number of a cluster. The first one is 2: the first two entries of the FAT are for other things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cluster(pub u32);

impl Cluster {
    /// The first cluster of the data.
    pub const FIRST: Self = Self(2);
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// How wide the entries of a FAT are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 12 bits.
    Fat12,
    /// 16 bits.
    Fat16,
    /// 32 bits, of which 28 count.
    Fat32,
}

impl Width {
    /// FAT12 has fewer clusters than this. FAT §3.5.
    pub const FAT16_FROM: u32 = 4085;
    /// FAT16 has fewer clusters than this. FAT §3.5.
    pub const FAT32_FROM: u32 = 65525;

    /// The width that Microsoft's rule gives to so many clusters.
    pub fn of_count(clusters: u32) -> Self {
        match clusters {
            0..Self::FAT16_FROM => Self::Fat12,
            Self::FAT16_FROM..Self::FAT32_FROM => Self::Fat16,
            _ => Self::Fat32,
        }
    }

    /// Bits of an entry.
    pub fn bits(self) -> u64 {
        match self {
            Self::Fat12 => 12,
            Self::Fat16 => 16,
            Self::Fat32 => 32,
        }
    }

    /// The bits of an entry that count, all set: the end of a chain.
    pub fn mask(self) -> u32 {
        match self {
            Self::Fat12 => 0xfff,
            Self::Fat16 => 0xffff,
            Self::Fat32 => 0x0fff_ffff,
        }
    }

    /// As `BS_FilSysType` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fat12 => "FAT12",
            Self::Fat16 => "FAT16",
            Self::Fat32 => "FAT32",
        }
    }
}

/// Where the root directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootDirectory {
    /// FAT12 and FAT16: between the FATs and the data.
    Region {
        /// Byte of the volume at which it starts.
        offset: u64,
        /// Its length in bytes.
        len: u64,
    },
    /// FAT32: a chain of clusters.
    Chain(Cluster),
}

/// Where the parts of a file system are, by its boot sector. Offsets are in bytes from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Width of the FAT as Linux, U-Boot, EDK II and fsck.fat see it: FAT32 is what has no
    /// `BPB_FATSz16`, and else the count of clusters decides.
    pub width: Width,
    /// Bytes of a sector.
    pub sector_size: u64,
    /// Bytes of a cluster.
    pub cluster_size: u64,
    /// Start of the first FAT.
    pub fat_offset: u64,
    /// Bytes of one FAT.
    pub fat_len: u64,
    /// How many FATs there are.
    pub fats: u8,
    /// Where the root directory is.
    pub root: RootDirectory,
    /// Start of the first cluster.
    pub data_offset: u64,
    /// How many clusters there are.
    pub clusters: u32,
    /// Bytes of the whole volume.
    pub len: u64,
}

impl Geometry {
    /// What a boot sector tells; `None` where a sector or cluster has no bytes, or nothing is left
    /// for a cluster.
    pub fn of(boot: &BootSector) -> Option<Self> {
        let bpb = &boot.bpb;
        let sector_size = u64::from(bpb.byts_per_sec.get());
        let cluster_size = sector_size.checked_mul(u64::from(bpb.sec_per_clus))?;
        let fat32 = bpb.fat_sz16.get() == 0;
        let fat_sectors = if fat32 {
            u64::from(boot.fat32().fat_sz32.get())
        } else {
            u64::from(bpb.fat_sz16.get())
        };
        let total = match bpb.tot_sec16.get() {
            0 => u64::from(bpb.tot_sec32.get()),
            sectors => u64::from(sectors),
        };
        // Each is a product of at most 32, 16 and 8 bits: nothing here can exceed 64.
        let len = total.checked_mul(sector_size)?;
        let fat_offset = u64::from(bpb.rsvd_sec_cnt.get()).checked_mul(sector_size)?;
        let fat_len = fat_sectors.checked_mul(sector_size)?;
        let root_offset = fat_len.checked_mul(u64::from(bpb.num_fats))?.checked_add(fat_offset)?;
        let entry = u64::try_from(DirEntry::SIZE).ok()?;
        let root_len = u64::from(bpb.root_ent_cnt.get()).checked_mul(entry)?;
        let root_sectors = root_len.checked_next_multiple_of(sector_size)?;
        let data_offset = root_offset.checked_add(root_sectors)?;
        let clusters = len.checked_sub(data_offset)?.checked_div(cluster_size)?;
        let clusters = u32::try_from(clusters).ok().filter(|clusters| *clusters > 0)?;
        let (width, root) = if fat32 {
            (Width::Fat32, RootDirectory::Chain(Cluster(boot.fat32().root_clus.get())))
        } else {
            let narrow = clusters < Width::FAT16_FROM;
            let width = if narrow { Width::Fat12 } else { Width::Fat16 };
            (width, RootDirectory::Region { offset: root_offset, len: root_len })
        };
        let fats = bpb.num_fats;
        Some(Self {
            width,
            sector_size,
            cluster_size,
            fat_offset,
            fat_len,
            fats,
            root,
            data_offset,
            clusters,
            len,
        })
    }

    /// The last cluster.
    pub fn last(&self) -> Cluster {
        Cluster(self.clusters.saturating_add(1))
    }

    /// True if there is a cluster of that number.
    pub fn contains(&self, cluster: Cluster) -> bool {
        (Cluster::FIRST..=self.last()).contains(&cluster)
    }

    /// The byte at which a cluster starts; `None` if there is none of that number.
    pub fn offset(&self, cluster: Cluster) -> Option<u64> {
        let index = u64::from(cluster.0.checked_sub(Cluster::FIRST.0)?);
        let offset = index.checked_mul(self.cluster_size)?.checked_add(self.data_offset)?;
        self.contains(cluster).then_some(offset)
    }

    /// The byte at which a copy of the FAT starts; copies count from 0.
    pub fn fat(&self, copy: u8) -> Option<u64> {
        u64::from(copy).checked_mul(self.fat_len)?.checked_add(self.fat_offset)
    }

    /// Bytes of a FAT that its entries need.
    pub fn table_len(&self) -> u64 {
        let entries = u64::from(self.clusters).saturating_add(2);
        entries.saturating_mul(self.width.bits()).div_ceil(8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::FromZeros as _;

    fn floppy() -> BootSector {
        let mut boot = BootSector::new_zeroed();
        boot.bpb.byts_per_sec.set(512);
        boot.bpb.sec_per_clus = 1;
        boot.bpb.rsvd_sec_cnt.set(1);
        boot.bpb.num_fats = 2;
        boot.bpb.root_ent_cnt.set(224);
        boot.bpb.tot_sec16.set(2880);
        boot.bpb.fat_sz16.set(9);
        boot
    }

    #[test]
    fn a_floppy_is_as_everybody_knows_it() {
        let geometry = Geometry::of(&floppy()).unwrap();
        assert_eq!((geometry.width, geometry.clusters), (Width::Fat12, 2847));
        assert_eq!(geometry.data_offset, 33 * 512);
        assert_eq!(geometry.offset(Cluster(2)), Some(33 * 512));
        assert_eq!(geometry.offset(Cluster(2848)), Some(2879 * 512));
        assert_eq!(geometry.offset(Cluster(2849)), None);
        assert_eq!(geometry.offset(Cluster(1)), None);
        assert_eq!(geometry.table_len(), 4274);
    }

    #[test]
    fn no_number_overflows() {
        let mut boot = BootSector::new_zeroed();
        assert_eq!(Geometry::of(&boot), None);
        boot = floppy();
        boot.bpb.tot_sec16.set(0);
        boot.bpb.tot_sec32.set(u32::MAX);
        assert_eq!(Geometry::of(&boot).unwrap().width, Width::Fat16);
        zerocopy::IntoBytes::as_mut_bytes(&mut boot).fill(0xff);
        assert_eq!(Geometry::of(&boot), None);
    }
}
