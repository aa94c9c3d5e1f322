//! Checks of qcow2, versions 2 and 3, as QEMU reads it.

use image_formats::{
    bytes::{ReadError, Region},
    qcow2::raw::Header,
};

use crate::{Recorder, container::raw_at as at};

checks! {
    /// The checks of qcow2.
    CHECKS:

    /// Versions 2 and 3 are what everybody reads. Version 1 is an older format, *qcow*, which QEMU
    /// still converts; later ones do not exist.
    VERSION = "qcow2-version", Error;
    reads "the header";
    spec "QEMU docs/interop/qcow2, Header";
}

/// Judges the disk in `file`. An error is the machine's.
pub fn verify(file: &Region, out: &mut Recorder) -> Result<(), ReadError> {
    out.announce(CHECKS);
    let version = match Header::read(file) {
        Ok(header) => header.version.get(),
        Err(error) if error.is_defect() => 0,
        Err(error) => return Err(error),
    };
    out.expect(&VERSION, matches!(version, 2 | 3), || {
        (at("qcow2 header", 4, 4), format!("{version}, not 2 or 3"))
    });
    Ok(())
}
