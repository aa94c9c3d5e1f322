//! Checks of the boot catalog. El Torito Bootable CD-ROM Format Specification 1.0; UEFI 2.10
//! §13.3.2.1.
//!
//! Top to bottom in the way that firmware goes: the boot record among the volume descriptors
//! (`record`), the catalog that it leads to (`catalog`), the entries in it and their images
//! (`image`), and the table by which an image for a PC's BIOS finds the rest of itself (`info`).
//! An error is what SeaBIOS, EDK II, ISOLINUX or GRUB stop at.

mod catalog;
mod checks;
mod image;
mod info;
mod record;

use std::rc::Rc;

use image_formats::{
    bytes::{ReadError, Region},
    iso9660::{Descriptor, Descriptors, raw::DescriptorHeader},
    units::ByteOffset,
};
use image_model::{Check, Location, Severity};

pub use checks::*;

use crate::{Recorder, tree::NodeId, volume::Volume};
pub(crate) use image::Fats;

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
    /// Its bytes: as far as the catalog, or what is in it, says that they go, and the disc has
    /// them.
    pub region: Region,
    /// The file of the disc that it is, if it is one.
    pub file: Option<NodeId>,
    /// What its first bytes tell, of an image for a PC's BIOS.
    pub loader: Loader,
    /// Where the entry of the catalog is.
    pub entry: ByteOffset,
    /// No check of severity error failed of what leads to it from a disc: the boot record, the
    /// catalog up to this entry, and the entry.
    pub listed: bool,
    /// No check of severity error failed of the image, as far as its loader looks at it.
    pub sound: bool,
    /// The FAT in it, of an image for UEFI.
    pub volume: Option<Rc<Volume>>,
}

impl BootImage {
    /// Platform ID of a PC's BIOS.
    pub const BIOS: u8 = 0;
    /// Platform ID of UEFI.
    pub const UEFI: u8 = 0xef;
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
pub(crate) fn verify(
    disc: &Region,
    volume: Option<&Volume>,
    fats: &mut Fats<'_>,
    out: &mut Recorder,
) -> Result<Vec<BootImage>, ReadError> {
    let Some(record) = record::find(disc)? else { return Ok(Vec::new()) };
    out.announce(CHECKS);
    let mut judge = Judge { disc, out, sound: true };
    let Some(at) = judge.record(&record) else { return Ok(Vec::new()) };
    let entries = judge.catalog(at)?;
    let files = image::Files::of(volume);
    let size = volume_size(disc)?;
    let mut images = Vec::new();
    for entry in entries {
        judge.sound = true;
        images.extend(judge.image(&entry, &files, size, fats)?);
    }
    Ok(images)
}

/// The bytes of the volume by its primary volume descriptor, where there is one.
pub(crate) fn volume_size(disc: &Region) -> Result<Option<u64>, ReadError> {
    for descriptor in Descriptors::new(disc) {
        match descriptor {
            Ok(descriptor) => {
                let volume = descriptor.volume();
                if is_primary(&descriptor) {
                    let blocks = u64::from(volume.volume_space_size.get());
                    let size = volume.block_size().map(|size| size.bytes());
                    return Ok(size.map(|size| blocks.saturating_mul(size)));
                }
            }
            Err(error) if error.is_defect() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn is_primary(descriptor: &Descriptor) -> bool {
    descriptor.is_one() && descriptor.header().kind == DescriptorHeader::PRIMARY
}

/// What all steps share.
struct Judge<'a> {
    disc: &'a Region,
    out: &'a mut Recorder,
    /// No check of severity error failed so far.
    sound: bool,
}

impl Judge<'_> {
    /// Records whether a check holds.
    fn expect(
        &mut self,
        check: &'static Check,
        holds: bool,
        finding: impl FnOnce() -> (Location, String),
    ) -> bool {
        self.sound &= holds || check.severity != Severity::Error;
        self.out.expect(check, holds, finding)
    }
}
