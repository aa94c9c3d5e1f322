//! Checks of what a disc looks like to a machine that takes it for a disk: the boot code, the master
//! boot record, the GPT and the Apple partition map in its first 32 KiB (its *system area*), which
//! xorriso, SYSLINUX (`isohybrid`) and GRUB write there.

use std::rc::Rc;

use image_formats::bytes::{ReadError, Region};

use crate::{
    Recorder,
    el_torito::{BootImage, Fats},
    volume::Volume,
};

checks! {
    /// All checks of this format.
    CHECKS:
}

/// What a disk of the same bytes is to firmware.
#[derive(Debug)]
pub struct Stick {
    /// What a PC's BIOS does with it.
    pub bios: Bios,
    /// The FAT file systems that UEFI firmware finds by a partition table. One that is also an image
    /// of the boot catalog is the same volume.
    pub efi: Vec<Rc<Volume>>,
}

/// What a PC's BIOS does with a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bios {
    /// It starts boot code that leads to this image of the boot catalog, by its
    /// [`number`](BootImage::number).
    Starts(u32),
    /// It starts boot code, and nobody knows what that does.
    Unknown,
    /// It starts nothing, or nothing that goes on: why.
    Nothing(String),
}

/// Judges the system area of a disc whose boot catalog names these images. An error is the
/// machine's.
pub(crate) fn verify(
    _disc: &Region,
    _boot: &[BootImage],
    _fats: &mut Fats<'_>,
    out: &mut Recorder,
) -> Result<Stick, ReadError> {
    out.announce(CHECKS);
    Ok(Stick { bios: Bios::Nothing("no master boot record".to_owned()), efi: Vec::new() })
}
