//! What the first bytes of a partition tell. Names of file systems are those of `blkid`.

use image_formats::bytes::{ReadError, Region};

use super::Content;

/// How many of the first bytes are looked at: up to the superblock of btrfs, and the last bytes of
/// the first page of swap where pages have 64 KiB.
const HEAD_LEN: u64 = 68 << 10;

/// Where a name stands that nothing else has there.
const MAGICS: &[(usize, &[u8], &str)] = &[
    (0, b"LUKS\xba\xbe", "crypto_LUKS"),
    (0, b"XFSB", "xfs"),
    (0, b"verity\0\0", "DM_verity_hash"),
    (0, b"\x45\x3d\xcd\x28", "cramfs"),
    (3, b"EXFAT   ", "exfat"),
    (3, b"NTFS    ", "ntfs"),
    (0x400, b"\x10\x20\xf5\xf2", "f2fs"),
    (0x400, b"\xe2\xe1\xf5\xe0", "erofs"),
    (0x1000, b"\xfc\x4e\x2b\xa9", "linux_raid_member"),
    (0x1018, b"\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef", "bcachefs"),
    (0x10040, b"_BHRfS_M", "btrfs"),
];

/// Swap has its name at the end of its first page.
const SWAP_NAME_AT: [usize; 3] = [(4 << 10) - 10, (16 << 10) - 10, (64 << 10) - 10];

/// LVM has its label in one of the first four sectors.
const LVM_LABEL_AT: [usize; 4] = [0, 0x200, 0x400, 0x600];

/// Looks at the first bytes of `region`.
pub(crate) fn sniff(region: &Region) -> Result<Content, ReadError> {
    let head = region.bytes("first bytes", 0, region.len().min(HEAD_LEN), HEAD_LEN)?;
    let has = |at: usize, magic: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(magic));
    if let Some((.., name)) = MAGICS.iter().find(|(at, magic, _)| has(*at, magic)) {
        return Ok(Content::Other(name));
    }
    if has(0, b"hsqs") {
        return Ok(Content::Squashfs);
    }
    if has(0x8001, b"CD001") {
        return Ok(Content::Iso9660);
    }
    if SWAP_NAME_AT.iter().any(|at| has(*at, b"SWAPSPACE2") || has(*at, b"SWAP-SPACE")) {
        return Ok(Content::Other("swap"));
    }
    if LVM_LABEL_AT.iter().any(|at| has(*at, b"LABELONE") && has(*at + 0x18, b"LVM2 001")) {
        return Ok(Content::Other("LVM2_member"));
    }
    // A boot loader in a boot sector is text as well, so the name comes before the numbers, and the
    // numbers of FAT after the name of ext.
    Ok(if has(0x36, b"FAT") || has(0x52, b"FAT32   ") {
        Content::Fat
    } else if has(0x438, b"\x53\xef") {
        Content::Ext
    } else if is_boot_sector(&head) || has_backup(&head) {
        Content::Fat
    } else if head.iter().all(|byte| *byte == 0) {
        Content::Empty
    } else {
        Content::Unknown
    })
}

/// True if there is the copy of a boot sector of FAT32, where mkfs.fat and Windows put it.
fn has_backup(head: &[u8]) -> bool {
    let copy = head.get(6 * 512..).unwrap_or_default();
    is_boot_sector(copy) && copy.get(0x52..).is_some_and(|name| name.starts_with(b"FAT32   "))
}

/// True if the numbers of a FAT boot sector are all possible. Its name is not required to be there.
/// Microsoft, FAT: General Overview of On-Disk Format 1.03, "Boot Sector and BPB".
fn is_boot_sector(head: &[u8]) -> bool {
    let Some(sector) = head.first_chunk::<512>() else { return false };
    let bytes_per_sector = u16::from_le_bytes([sector[0x0b], sector[0x0c]]);
    let reserved_sectors = u16::from_le_bytes([sector[0x0e], sector[0x0f]]);
    let (sectors_per_cluster, fats, media) = (sector[0x0d], sector[0x10], sector[0x15]);
    sector.ends_with(b"\x55\xaa")
        && matches!(sector, [0xeb, _, 0x90, ..] | [0xe9, ..])
        && matches!(bytes_per_sector, 512 | 1024 | 2048 | 4096)
        && sectors_per_cluster.is_power_of_two()
        && reserved_sectors != 0
        && matches!(fats, 1 | 2)
        && matches!(media, 0xf0 | 0xf8..)
}
