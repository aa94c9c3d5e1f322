//! Checks of VHD, by Microsoft's Virtual Hard Disk Image Format Specification, as QEMU, Hyper-V and
//! Amazon read it.

use image_formats::{
    bytes::{ReadError, Region},
    vhd::{SECTOR, raw::Footer},
};

use crate::{Recorder, container::raw_at as at};

checks! {
    /// The checks of VHD.
    CHECKS:

    /// The last 512 bytes are the footer, by which a VHD is recognized. An image without one was
    /// cut short, or something was appended to it. Hyper-V refuses it; QEMU makes do with the copy
    /// at the beginning, which a fixed disk has not.
    FOOTER = "vhd-footer", Error;
    reads "the last 512 bytes";
    spec "VHD 1.0, Hard Disk Footer Format: Cookie";

    /// The footer is damaged: its checksum is not that of its bytes.
    FOOTER_CHECKSUM = "vhd-footer-checksum", Error;
    reads "the last 512 bytes, but for the checksum";
    spec "VHD 1.0, Hard Disk Footer Format: Checksum";
}

/// Judges the disk in `file`. An error is the machine's.
pub fn verify(file: &Region, out: &mut Recorder) -> Result<(), ReadError> {
    out.announce(CHECKS);
    let end = file.len().saturating_sub(SECTOR);
    let footer = match Footer::read(file, "VHD footer", end) {
        Ok(footer) if footer.has_cookie() => footer,
        Err(error) if !error.is_defect() => return Err(error),
        _ => {
            out.expect(&FOOTER, false, || {
                (at("VHD footer", end, SECTOR), "the file does not end with one".to_owned())
            });
            return Ok(());
        }
    };
    let here = || at("VHD footer", end, SECTOR);
    out.expect(&FOOTER, true, || (here(), String::new()));
    let (found, computed) = (footer.checksum.get(), footer.computed_checksum());
    out.expect(&FOOTER_CHECKSUM, found == computed, || {
        (here(), format!("{found:#010x}, not {computed:#010x}"))
    });
    Ok(())
}
