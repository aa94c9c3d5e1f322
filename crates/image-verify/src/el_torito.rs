//! Checks of the boot catalog. El Torito Bootable CD-ROM Format Specification 1.0; UEFI 2.10
//! §13.3.2.1.

use std::rc::Rc;

use image_formats::{
    bytes::{ReadError, Region},
    units::ByteOffset,
};

use crate::{
    Recorder,
    tree::NodeId,
    volume::{Trouble, Volume},
};

checks! {
    /// All checks of this format.
    CHECKS:
}

/// Something that firmware is told to boot.
#[derive(Debug)]
pub struct BootImage {
    /// Its number: the entries of the catalog count from 1.
    pub number: u32,
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
    /// The file of the disc that it is, if it is one.
    pub file: Option<NodeId>,
    /// What its first bytes tell, of an image for a PC's BIOS.
    pub loader: Loader,
    /// Where the entry of the catalog is.
    pub entry: ByteOffset,
    /// No check of severity error failed: of the boot record, the catalog up to this entry, the
    /// entry, and the image as far as its loader looks at it.
    pub sound: bool,
    /// The FAT in it, of an image for UEFI.
    pub volume: Option<Rc<Volume>>,
}

/// What is known about how an image for a PC's BIOS goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loader {
    /// ISOLINUX: loads itself by its boot information table, then reads its configuration.
    Isolinux,
    /// GRUB: loads itself by its boot information table, then what is built into it.
    Grub,
    /// Another program, or no program of a PC.
    Other,
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
