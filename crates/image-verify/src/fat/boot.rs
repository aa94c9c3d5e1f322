//! The boot sector, its copy and FSInfo: `read_boot` of fsck.fat.

use std::mem::offset_of;

use image_formats::{
    bytes::ReadError,
    fat::{
        Geometry, RootDirectory, Width,
        raw::{BiosParameterBlock, BootSector, DirEntry, ExtendedBoot, Fat32Part, FsInfo},
    },
};
use zerocopy::transmute;

use super::{
    BACKUP_BOOT, BACKUP_BOOT_PLACE, BOOT_SECTOR, CLUSTER_COUNT, CLUSTER_SIZE, DATA, FAT_COUNT,
    FSINFO, JUMP, Judge, LAST_SECTOR, MEDIA, MIRRORING, NO_ROOT_ENTRIES, Place, RESERVED,
    ROOT_CLUSTER, ROOT_ENTRIES, SECTOR_SIZE, SIGNATURE, SIZE, SMALL_FAT32, TABLE_SIZE,
    TOTAL_SECTORS, VERSION, paths::Whose,
};

/// The most clusters of FAT32: the numbers above are marks. FAT §4.
const MAX_FAT32_CLUSTERS: u32 = 0x0fff_fff5;

/// What the boot sector told.
pub(super) struct Boot {
    pub(super) geometry: Geometry,
    pub(super) media: u8,
    pub(super) extended: ExtendedBoot,
    /// Where [`extended`](Self::extended) is.
    pub(super) extended_at: u64,
    /// FSInfo and where it is.
    pub(super) fs_info: Option<(FsInfo, u64)>,
    /// The numbers do not contradict each other.
    pub(super) safe: bool,
}

impl Boot {
    /// The serial number as blkid prints it.
    pub(super) fn uuid(&self) -> String {
        let id = self.extended.vol_id.get();
        // 0x28 was there before the label and the type were.
        match self.extended.boot_sig {
            0x28 | ExtendedBoot::PRESENT => format!("{:04X}-{:04X}", id >> 16, id & 0xffff),
            _ => String::new(),
        }
    }
}

/// A place in the boot sector.
pub(super) fn sector(offset: usize, len: u64) -> Place<'static> {
    at("FAT boot sector", offset as u64, len)
}

/// A place that is no file's.
pub(super) fn at(structure: &'static str, offset: u64, len: u64) -> Place<'static> {
    Place { structure, offset, len, whose: Whose::Nobody }
}

fn bpb(field: usize, len: u64) -> Place<'static> {
    sector(offset_of!(BootSector, bpb) + field, len)
}

fn fat32(field: usize, len: u64) -> Place<'static> {
    sector(offset_of!(BootSector, rest) + field, len)
}

impl Judge<'_> {
    /// `None` where the numbers do not say where anything is.
    pub(super) fn boot(&mut self) -> Result<Option<Boot>, ReadError> {
        let len = self.region.len();
        if !self.expect(&BOOT_SECTOR, len >= 512, &sector(0, len), || {
            format!("the volume has {len} bytes, and a boot sector 512")
        }) {
            return Ok(None);
        }
        let boot = BootSector::read(self.region, 0)?;
        let signature = boot.signature.get();
        let place = sector(offset_of!(BootSector, signature), 2);
        let signed = self.expect(&SIGNATURE, signature == BootSector::SIGNATURE, &place, || {
            format!("{signature:#06x}, not {:#06x}", BootSector::SIGNATURE)
        });
        let jump = matches!(boot.jmp_boot, [0xeb, _, 0x90] | [0xe9, _, _]);
        self.expect(&JUMP, jump, &sector(0, 3), || {
            format!("{:02x?}, not eb .. 90 or e9 .. ..", boot.jmp_boot)
        });
        if !self.units(&boot) {
            return Ok(None);
        }
        let total = self.total_sectors(&boot);
        let Some(geometry) = self.geometry(&boot) else { return Ok(None) };
        let mut safe = signed & total & self.root_entries(&boot, &geometry);
        let mut fs_info = None;
        let mut extended = boot.fat16().extended;
        let mut extended_at = offset_of!(BootSector, rest);
        if geometry.width == Width::Fat32 {
            let part = boot.fat32();
            extended = part.extended;
            extended_at += offset_of!(Fat32Part, extended);
            safe &= self.fat32_part(&part, &geometry);
            self.backup_boot(&boot, &geometry)?;
            fs_info = self.fs_info(&part, &geometry)?;
        }
        Ok(Some(Boot {
            geometry,
            media: boot.bpb.media,
            extended,
            extended_at: extended_at as u64,
            fs_info,
            safe,
        }))
    }

    /// What everything else is counted in. False if it cannot be counted.
    fn units(&mut self, boot: &BootSector) -> bool {
        let BiosParameterBlock { sec_per_clus, num_fats, media, .. } = boot.bpb;
        let bytes = boot.bpb.byts_per_sec.get();
        let place = bpb(offset_of!(BiosParameterBlock, byts_per_sec), 2);
        let sectors = matches!(bytes, 512 | 1024 | 2048 | 4096);
        let sectors = self.expect(&SECTOR_SIZE, sectors, &place, || {
            format!("{bytes} bytes, not 512, 1024, 2048 or 4096")
        });
        let place = bpb(offset_of!(BiosParameterBlock, sec_per_clus), 1);
        let clusters = self.expect(&CLUSTER_SIZE, sec_per_clus.is_power_of_two(), &place, || {
            format!("{sec_per_clus} sectors, which is no power of two")
        });
        let place = bpb(offset_of!(BiosParameterBlock, rsvd_sec_cnt), 2);
        let reserved = self.expect(&RESERVED, boot.bpb.rsvd_sec_cnt.get() > 0, &place, || {
            "no reserved sector, not even the boot sector".to_owned()
        });
        let place = bpb(offset_of!(BiosParameterBlock, num_fats), 1);
        let fats = self.expect(&FAT_COUNT, matches!(num_fats, 1 | 2), &place, || {
            format!("{num_fats} FATs, not 1 or 2")
        });
        let place = bpb(offset_of!(BiosParameterBlock, media), 1);
        self.expect(&MEDIA, media == 0xf0 || media >= 0xf8, &place, || {
            format!("{media:#04x}, not 0xf0, or 0xf8 to 0xff")
        });
        sectors && clusters && reserved && fats
    }

    fn total_sectors(&mut self, boot: &BootSector) -> bool {
        let (few, many) = (boot.bpb.tot_sec16.get(), boot.bpb.tot_sec32.get());
        let place = bpb(offset_of!(BiosParameterBlock, tot_sec32), 4);
        self.expect(&TOTAL_SECTORS, few == 0 || many == 0, &place, || {
            format!("{few} in the field of 16 bits and {many} in that of 32: one of them must be 0")
        })
    }

    fn geometry(&mut self, boot: &BootSector) -> Option<Geometry> {
        let geometry = Geometry::of(boot);
        self.expect(&DATA, geometry.is_some(), &sector(0, 512), || {
            "reserved sectors, FATs and root directory leave no room for a cluster".to_owned()
        });
        let geometry = geometry?;
        let Geometry { width, clusters, len, .. } = geometry;
        let have = self.region.len();
        let place = at("FAT file system", have, 0);
        // fsck.fat looks whether the last sector is there of those that make pairs.
        let pairs = len - len % (2 * geometry.sector_size);
        let data = geometry.data_offset + u64::from(clusters) * geometry.cluster_size;
        let need = pairs.max(data);
        if !self.expect(&SIZE, need <= have, &place, || {
            format!("{len} bytes by its boot sector, and {have} are there")
        }) {
            return None;
        }
        self.expect(&LAST_SECTOR, len <= have, &place, || {
            format!("the last sector is not there; its clusters end at {data:#x}, before that")
        });
        let most = match width {
            Width::Fat32 => MAX_FAT32_CLUSTERS,
            Width::Fat12 | Width::Fat16 => Width::FAT32_FROM - 1,
        };
        let place = bpb(offset_of!(BiosParameterBlock, fat_sz16), 2);
        if !self.expect(&CLUSTER_COUNT, clusters <= most, &place, || {
            format!("{clusters} clusters, and {} counts to {most}", width.as_str())
        }) {
            return None;
        }
        if width == Width::Fat32 {
            let rule = Width::of_count(clusters);
            self.expect(&SMALL_FAT32, rule == width, &place, || {
                format!("FAT32 with {clusters} clusters, which makes it {}", rule.as_str())
            });
        }
        let need = geometry.table_len();
        let place =
            if width == Width::Fat32 { fat32(offset_of!(Fat32Part, fat_sz32), 4) } else { place };
        let fits = self.expect(&TABLE_SIZE, need <= geometry.fat_len, &place, || {
            format!("{} bytes, and {clusters} clusters need {need}", geometry.fat_len)
        });
        fits.then_some(geometry)
    }

    fn root_entries(&mut self, boot: &BootSector, geometry: &Geometry) -> bool {
        let entries = boot.bpb.root_ent_cnt.get();
        let len = u64::from(entries) * DirEntry::SIZE as u64;
        let fat32 = geometry.width == Width::Fat32;
        let place = bpb(offset_of!(BiosParameterBlock, root_ent_cnt), 2);
        let holds = len.is_multiple_of(geometry.sector_size) && (fat32 || entries > 0);
        let holds = self.expect(&ROOT_ENTRIES, holds, &place, || match entries {
            0 => "no entries".to_owned(),
            _ => format!("{entries} entries do not fill whole sectors"),
        });
        if fat32 {
            self.expect(&NO_ROOT_ENTRIES, entries == 0, &place, || {
                format!("{entries} entries, and FAT32 has 0")
            });
        }
        holds
    }

    fn fat32_part(&mut self, part: &Fat32Part, geometry: &Geometry) -> bool {
        let version = part.fs_ver.get();
        let place = fat32(offset_of!(Fat32Part, fs_ver), 2);
        let known = self.expect(&VERSION, version == 0, &place, || {
            format!("version {}.{}, not 0.0", version >> 8, version & 0xff)
        });
        let flags = part.ext_flags.get();
        let place = fat32(offset_of!(Fat32Part, ext_flags), 2);
        let mirrored = flags & Fat32Part::NO_MIRROR == 0;
        let mirrored = self
            .expect(&MIRRORING, mirrored, &place, || format!("only FAT {} is in use", flags & 0xf));
        let place = fat32(offset_of!(Fat32Part, root_clus), 4);
        let RootDirectory::Chain(root) = geometry.root else { return false };
        let rooted = self.expect(&ROOT_CLUSTER, geometry.contains(root), &place, || {
            format!("cluster {root}, and there are those from 2 to {}", geometry.last())
        });
        known && mirrored && rooted
    }

    fn backup_boot(&mut self, boot: &BootSector, geometry: &Geometry) -> Result<(), ReadError> {
        let number = boot.fat32().bk_boot_sec.get();
        let field = fat32(offset_of!(Fat32Part, bk_boot_sec), 2);
        let reserved = boot.bpb.rsvd_sec_cnt.get();
        let at = u64::from(number) * geometry.sector_size;
        // fsck.fat makes one where there is room for it, and needs this much.
        let holds = if number == 0 { reserved < 3 } else { at + 512 <= self.region.len() };
        if !self.expect(&BACKUP_BOOT_PLACE, holds, &field, || match number {
            0 => format!("there is none, and {reserved} sectors are reserved"),
            _ => format!("at sector {number}, which is not there"),
        }) || number == 0
        {
            return Ok(());
        }
        if !self.expect(&BACKUP_BOOT, number < reserved, &field, || {
            format!("at sector {number}, and {reserved} are reserved")
        }) {
            return Ok(());
        }
        let copy = self.region.array::<512>("FAT backup boot sector", at)?;
        let ours: [u8; 512] = transmute!(*boot);
        let differs = ours.iter().zip(&copy).position(|(a, b)| a != b);
        let offset = at + differs.unwrap_or(0) as u64;
        let structure = "FAT backup boot sector";
        let place = Place { structure, offset, len: 1, whose: Whose::Nobody };
        self.expect(&BACKUP_BOOT, differs.is_none(), &place, || {
            let first = differs.unwrap_or(0);
            let bytes = ours.iter().zip(&copy).filter(|(a, b)| a != b).count();
            format!("{bytes} bytes differ from the boot sector, the first is {first:#x}")
        });
        Ok(())
    }

    fn fs_info(
        &mut self,
        part: &Fat32Part,
        geometry: &Geometry,
    ) -> Result<Option<(FsInfo, u64)>, ReadError> {
        let number = part.fs_info.get();
        // mkfs.fat writes 0 where there is no room for it.
        if number == 0 {
            return Ok(None);
        }
        let field = fat32(offset_of!(Fat32Part, fs_info), 2);
        let at = u64::from(number) * geometry.sector_size;
        if !self.expect(&FSINFO, at < geometry.fat_offset, &field, || {
            format!("at sector {number}, which is not one of the reserved sectors")
        }) {
            return Ok(None);
        }
        let info = FsInfo::read(self.region, at)?;
        let mut holds = true;
        for (field, found, want) in [
            (offset_of!(FsInfo, lead_sig), info.lead_sig, FsInfo::LEAD_SIG),
            (offset_of!(FsInfo, struc_sig), info.struc_sig, FsInfo::STRUC_SIG),
            (offset_of!(FsInfo, trail_sig), info.trail_sig, FsInfo::TRAIL_SIG),
        ] {
            let offset = at + field as u64;
            let place = Place { structure: "FSInfo", offset, len: 4, whose: Whose::Nobody };
            holds &= self.expect(&FSINFO, found.get() == want, &place, || {
                format!("signature {:#010x}, not {want:#010x}", found.get())
            });
        }
        Ok(holds.then_some((info, at)))
    }
}
