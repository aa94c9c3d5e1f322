//! Checks of the boot catalog. El Torito Bootable CD-ROM Format Specification 1.0; UEFI 2.10
//! §13.3.2.1.

use image_formats::{
    bytes::{ReadError, Region},
    units::ByteOffset,
};

use crate::{
    Recorder,
    volume::{Trouble, Volume},
};

checks! {
    /// All checks of this format.
    CHECKS:
}

/// Something that firmware is told to boot.
#[derive(Debug)]
pub struct BootImage {
    /// Which firmware: 0 a PC's BIOS, 0xef UEFI, others as the specification has them.
    pub platform: u8,
    /// The entry is marked as bootable.
    pub bootable: bool,
    /// 0 no emulation, 1 to 3 a floppy, 4 a hard disk.
    pub emulation: u8,
    /// Sectors of 512 bytes that the firmware loads.
    pub sector_count: u16,
    /// Its bytes: as far as the catalog, or what is in it, says that they go, and the disc has them.
    pub region: Region,
    /// Where the entry of the catalog is.
    pub entry: ByteOffset,
    /// All checks of the catalog, the entry and the boot information table held.
    pub sound: bool,
    /// The FAT in it, of an image for UEFI.
    pub volume: Option<Volume>,
}

/// Judges the boot catalog of a disc, and opens the file systems that it leads to. An error is the
/// machine's.
pub fn verify(
    _disc: &Region,
    _volume: Option<&Volume>,
    _trouble: &Trouble,
    out: &mut Recorder,
) -> Result<Vec<BootImage>, ReadError> {
    out.announce(CHECKS);
    Ok(Vec::new())
}
