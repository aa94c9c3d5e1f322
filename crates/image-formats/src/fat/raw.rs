//! Bits as they lie in a FAT file system: the names of Microsoft's specification, no opinion.

use std::mem::{offset_of, size_of};

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32},
    transmute,
};

use crate::bytes::{ReadError, Region};

/// The first 512 bytes of the volume. FAT §3.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct BootSector {
    /// +0 `BS_jmpBoot`: `EB xx 90` or `E9 xx xx`, an x86 jump to the boot code.
    pub jmp_boot: [u8; 3],
    /// +3 `BS_OEMName`: who formatted it; some old systems looked at it.
    pub oem_name: [u8; 8],
    /// +11 The BIOS parameter block that all widths share.
    pub bpb: BiosParameterBlock,
    /// +36 What differs: see [`fat16`](Self::fat16) and [`fat32`](Self::fat32).
    pub rest: [u8; 474],
    /// +510 `Signature_word`: [`SIGNATURE`](Self::SIGNATURE), also where sectors are larger.
    pub signature: U16,
}

impl BootSector {
    /// What ends it: `55 AA`.
    pub const SIGNATURE: u16 = 0xaa55;

    /// The one at `at`, or its copy.
    pub fn read(region: &Region, at: u64) -> Result<Self, ReadError> {
        region.array::<{ size_of::<Self>() }>("FAT boot sector", at).map(|bytes| transmute!(bytes))
    }

    /// What follows the common part in FAT12 and FAT16.
    pub fn fat16(&self) -> Fat16Part {
        transmute!(self.rest)
    }

    /// What follows the common part in FAT32.
    pub fn fat32(&self) -> Fat32Part {
        transmute!(self.rest)
    }
}

const _: () = {
    assert!(size_of::<BootSector>() == 512);
    assert!(offset_of!(BootSector, bpb) == 11);
    assert!(offset_of!(BootSector, rest) == 36);
    assert!(offset_of!(BootSector, signature) == 510);
};

/// The part of the BIOS parameter block that all widths share. FAT §3.1; offsets in the sector.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct BiosParameterBlock {
    /// +11 `BPB_BytsPerSec`: 512, 1024, 2048 or 4096.
    pub byts_per_sec: U16,
    /// +13 `BPB_SecPerClus`: a power of two.
    pub sec_per_clus: u8,
    /// +14 `BPB_RsvdSecCnt`: sectors before the first FAT, this one included.
    pub rsvd_sec_cnt: U16,
    /// +16 `BPB_NumFATs`: copies of the FAT, usually 2.
    pub num_fats: u8,
    /// +17 `BPB_RootEntCnt`: slots of the root directory of FAT12 and FAT16; 0 in FAT32.
    pub root_ent_cnt: U16,
    /// +19 `BPB_TotSec16`: all sectors, or 0 where [`tot_sec32`](Self::tot_sec32) says it.
    pub tot_sec16: U16,
    /// +21 `BPB_Media`: `F8` is a fixed disk, `F0` a removable one; also in the first FAT entry.
    pub media: u8,
    /// +22 `BPB_FATSz16`: sectors of one FAT; 0 in FAT32.
    pub fat_sz16: U16,
    /// +24 `BPB_SecPerTrk`: for the BIOS.
    pub sec_per_trk: U16,
    /// +26 `BPB_NumHeads`: for the BIOS.
    pub num_heads: U16,
    /// +28 `BPB_HiddSec`: sectors before the volume, for the BIOS.
    pub hidd_sec: U32,
    /// +32 `BPB_TotSec32`: all sectors, or 0 where [`tot_sec16`](Self::tot_sec16) says it.
    pub tot_sec32: U32,
}

const _: () = {
    assert!(size_of::<BiosParameterBlock>() == 25);
    assert!(offset_of!(BiosParameterBlock, num_fats) == 16 - 11);
    assert!(offset_of!(BiosParameterBlock, media) == 21 - 11);
    assert!(offset_of!(BiosParameterBlock, tot_sec32) == 32 - 11);
};

/// What follows the common part in FAT12 and FAT16. FAT §3.2.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Fat16Part {
    /// +36 Serial number, label and more.
    pub extended: ExtendedBoot,
    /// +62 Boot code.
    pub boot_code: [u8; 448],
}

/// What follows the common part in FAT32. FAT §3.3; offsets in the sector.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Fat32Part {
    /// +36 `BPB_FATSz32`: sectors of one FAT.
    pub fat_sz32: U32,
    /// +40 `BPB_ExtFlags`: see [`NO_MIRROR`](Self::NO_MIRROR).
    pub ext_flags: U16,
    /// +42 `BPB_FSVer`: 0.
    pub fs_ver: U16,
    /// +44 `BPB_RootClus`: first cluster of the root directory, usually 2.
    pub root_clus: U32,
    /// +48 `BPB_FSInfo`: sector of [`FsInfo`], usually 1.
    pub fs_info: U16,
    /// +50 `BPB_BkBootSec`: sector of the copy of the boot sector: 6, or 0 for none.
    pub bk_boot_sec: U16,
    /// +52 `BPB_Reserved`.
    pub reserved: [u8; 12],
    /// +64 Serial number, label and more.
    pub extended: ExtendedBoot,
    /// +90 Boot code.
    pub boot_code: [u8; 420],
}

impl Fat32Part {
    /// Bit 7 of `BPB_ExtFlags`: only the FAT that bits 0 to 3 name is in use.
    pub const NO_MIRROR: u16 = 0x80;
}

const _: () = {
    assert!(size_of::<Fat16Part>() == 474);
    assert!(size_of::<Fat32Part>() == 474);
    assert!(offset_of!(Fat32Part, root_clus) == 44 - 36);
    assert!(offset_of!(Fat32Part, bk_boot_sec) == 50 - 36);
    assert!(offset_of!(Fat32Part, extended) == 64 - 36);
};

/// The extended boot record: at +36 in FAT12 and FAT16, at +64 in FAT32. FAT §3.2, §3.3.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ExtendedBoot {
    /// +0 `BS_DrvNum`: for the BIOS.
    pub drv_num: u8,
    /// +1 `BS_Reserved1`: Windows and Linux keep [`DIRTY`](Self::DIRTY) here.
    pub reserved1: u8,
    /// +2 `BS_BootSig`: [`PRESENT`](Self::PRESENT) where the next three fields are there.
    pub boot_sig: u8,
    /// +3 `BS_VolID`: serial number.
    pub vol_id: U32,
    /// +7 `BS_VolLab`: label, also an entry of the root directory; [`NO_NAME`](Self::NO_NAME).
    pub vol_lab: [u8; 11],
    /// +18 `BS_FilSysType`: for people; the width follows from the count of clusters.
    pub fil_sys_type: [u8; 8],
}

impl ExtendedBoot {
    /// `BS_BootSig` where serial number, label and type are there.
    pub const PRESENT: u8 = 0x29;
    /// `BS_VolLab` of a volume that has no label.
    pub const NO_NAME: [u8; 11] = *b"NO NAME    ";
    /// Bit 0 of `BS_Reserved1`: mounted, and not unmounted since.
    pub const DIRTY: u8 = 1;
    /// Bit 1 of `BS_Reserved1`: a sector could not be read or written.
    pub const DISK_ERROR: u8 = 2;
}

const _: () = {
    assert!(size_of::<ExtendedBoot>() == 26);
    assert!(offset_of!(ExtendedBoot, vol_id) == 3);
    assert!(offset_of!(ExtendedBoot, fil_sys_type) == 18);
};

/// `FSInfo` of FAT32: numbers that spare a walk over the FAT. FAT §5.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct FsInfo {
    /// +0 `FSI_LeadSig`: [`LEAD_SIG`](Self::LEAD_SIG).
    pub lead_sig: U32,
    /// +4 `FSI_Reserved1`.
    pub reserved1: [u8; 480],
    /// +484 `FSI_StrucSig`: [`STRUC_SIG`](Self::STRUC_SIG).
    pub struc_sig: U32,
    /// +488 `FSI_Free_Count`: free clusters, or [`UNKNOWN`](Self::UNKNOWN).
    pub free_count: U32,
    /// +492 `FSI_Nxt_Free`: where to look for a free cluster, or [`UNKNOWN`](Self::UNKNOWN).
    pub nxt_free: U32,
    /// +496 `FSI_Reserved2`.
    pub reserved2: [u8; 12],
    /// +508 `FSI_TrailSig`: [`TRAIL_SIG`](Self::TRAIL_SIG).
    pub trail_sig: U32,
}

impl FsInfo {
    /// What `FSI_LeadSig` is.
    pub const LEAD_SIG: u32 = 0x4161_5252;
    /// What `FSI_StrucSig` is.
    pub const STRUC_SIG: u32 = 0x6141_7272;
    /// What `FSI_TrailSig` is.
    pub const TRAIL_SIG: u32 = 0xaa55_0000;
    /// The one at `at`, or its copy.
    pub fn read(region: &Region, at: u64) -> Result<Self, ReadError> {
        region.array::<{ size_of::<Self>() }>("FSInfo", at).map(|bytes| transmute!(bytes))
    }

    /// A count that nobody keeps.
    pub const UNKNOWN: u32 = 0xffff_ffff;
}

const _: () = {
    assert!(size_of::<FsInfo>() == 512);
    assert!(offset_of!(FsInfo, struc_sig) == 484);
    assert!(offset_of!(FsInfo, free_count) == 488);
    assert!(offset_of!(FsInfo, trail_sig) == 508);
};

/// A directory entry with an 8.3 name. FAT §6.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DirEntry {
    /// +0 `DIR_Name`: eight and three bytes, padded with spaces, in an OEM code page.
    pub name: [u8; 11],
    /// +11 `DIR_Attr`: [`DIRECTORY`](Self::DIRECTORY) and others.
    pub attr: u8,
    /// +12 `DIR_NTRes`: [`LOWER_BASE`](Self::LOWER_BASE) and others, since Windows NT.
    pub nt_res: u8,
    /// +13 `DIR_CrtTimeTenth`: hundredths of a second, 0 to 199.
    pub crt_time_tenth: u8,
    /// +14 `DIR_CrtTime`.
    pub crt_time: U16,
    /// +16 `DIR_CrtDate`.
    pub crt_date: U16,
    /// +18 `DIR_LstAccDate`.
    pub lst_acc_date: U16,
    /// +20 `DIR_FstClusHI`: upper half of the first cluster, in FAT32 only.
    pub fst_clus_hi: U16,
    /// +22 `DIR_WrtTime`: hours, minutes and two seconds in 5, 6 and 5 bits.
    pub wrt_time: U16,
    /// +24 `DIR_WrtDate`: years since 1980, month and day in 7, 4 and 5 bits.
    pub wrt_date: U16,
    /// +26 `DIR_FstClusLO`: lower half of the first cluster.
    pub fst_clus_lo: U16,
    /// +28 `DIR_FileSize`: in bytes; 0 for a directory.
    pub file_size: U32,
}

impl DirEntry {
    /// Its size, and that of a [`LongEntry`].
    pub const SIZE: usize = size_of::<Self>();
    /// Name of the entry of a directory for itself.
    pub const DOT: [u8; 11] = *b".          ";
    /// Name of the entry of a directory for its parent.
    pub const DOT_DOT: [u8; 11] = *b"..         ";
    /// First byte of the name of an entry that is free.
    pub const FREE: u8 = 0xe5;
    /// First byte of the name of an entry that is free, as all that follow it are.
    pub const END: u8 = 0;
    /// Attribute: not to be written.
    pub const READ_ONLY: u8 = 0x01;
    /// Attribute: not to be listed.
    pub const HIDDEN: u8 = 0x02;
    /// Attribute: of the operating system.
    pub const SYSTEM: u8 = 0x04;
    /// Attribute: no file, but the label.
    pub const VOLUME_ID: u8 = 0x08;
    /// Attribute: a directory.
    pub const DIRECTORY: u8 = 0x10;
    /// Attribute: not backed up.
    pub const ARCHIVE: u8 = 0x20;
    /// The attributes of a [`LongEntry`].
    pub const LONG_NAME: u8 = 0x0f;
    /// The attributes that there are; the upper two bits are reserved.
    pub const ATTRIBUTES: u8 = 0x3f;
    /// Bit 3 of `DIR_NTRes`: the eight are shown in lower case.
    pub const LOWER_BASE: u8 = 0x08;
    /// Bit 4 of `DIR_NTRes`: the three are shown in lower case.
    pub const LOWER_EXT: u8 = 0x10;
    /// Bit 5 of `DIR_NTRes`: patched Linux kernels set it where `DIR_Name` is no name but filler,
    /// and only the long one counts.
    pub const NO_SHORT_NAME: u8 = 0x20;
}

const _: () = {
    assert!(size_of::<DirEntry>() == 32);
    assert!(offset_of!(DirEntry, fst_clus_hi) == 20);
    assert!(offset_of!(DirEntry, fst_clus_lo) == 26);
    assert!(offset_of!(DirEntry, file_size) == 28);
};

/// A piece of a long name. FAT §7.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct LongEntry {
    /// +0 `LDIR_Ord`: number of the piece from 1, and [`LAST`](Self::LAST).
    pub ord: u8,
    /// +1 `LDIR_Name1`: characters 1 to 5 of the piece, UTF-16.
    pub name1: [U16; 5],
    /// +11 `LDIR_Attr`: [`DirEntry::LONG_NAME`].
    pub attr: u8,
    /// +12 `LDIR_Type`: 0.
    pub kind: u8,
    /// +13 `LDIR_Chksum`: over the 8.3 name that follows the pieces.
    pub chksum: u8,
    /// +14 `LDIR_Name2`: characters 6 to 11.
    pub name2: [U16; 6],
    /// +26 `LDIR_FstClusLO`: 0.
    pub fst_clus_lo: U16,
    /// +28 `LDIR_Name3`: characters 12 and 13.
    pub name3: [U16; 2],
}

impl LongEntry {
    /// Bit 6 of `LDIR_Ord`: the last piece of the name, which is the first one on the disk.
    pub const LAST: u8 = 0x40;
    /// The bits of `LDIR_Ord` that number the piece.
    pub const NUMBER: u8 = 0x1f;
    /// Characters in a piece.
    pub const UNITS: usize = 13;
    /// The most pieces: names have at most 255 characters.
    pub const MAX_PIECES: u8 = 20;

    /// The characters of the piece.
    pub fn units(&self) -> [u16; Self::UNITS] {
        let mut units = [0; Self::UNITS];
        let all = self.name1.iter().chain(&self.name2).chain(&self.name3);
        units.iter_mut().zip(all).for_each(|(to, from)| *to = from.get());
        units
    }
}

const _: () = {
    assert!(size_of::<LongEntry>() == 32);
    assert!(offset_of!(LongEntry, chksum) == 13);
    assert!(offset_of!(LongEntry, fst_clus_lo) == 26);
    assert!(offset_of!(LongEntry, name3) == 28);
};
