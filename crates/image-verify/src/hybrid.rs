//! Checks of what a disc looks like to a machine that takes it for a disk: the boot code, the master
//! boot record, the GPT and the Apple partition map in its first 32 KiB (its *system area*), which
//! xorriso, SYSLINUX (`isohybrid`) and GRUB write there.

use image_formats::bytes::{ReadError, Region};

use crate::{
    Recorder,
    el_torito::BootImage,
    volume::{Trouble, Volume},
};

checks! {
    /// All checks of this format.
    CHECKS:
}

/// What a disk of the same bytes is to firmware.
#[derive(Debug, Default)]
pub struct Stick {
    /// Why a PC's BIOS starts nothing from it; `None` if it starts boot code that leads to a boot
    /// image of the disc.
    pub bios: Option<String>,
    /// The FAT file systems that UEFI firmware finds by a partition table.
    pub efi: Vec<Volume>,
}

/// Judges the system area of a disc whose boot catalog names these images. An error is the
/// machine's.
pub fn verify(
    _disc: &Region,
    _boot: &[BootImage],
    _trouble: &Trouble,
    out: &mut Recorder,
) -> Result<Stick, ReadError> {
    out.announce(CHECKS);
    Ok(Stick::default())
}
