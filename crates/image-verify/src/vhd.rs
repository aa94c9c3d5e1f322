//! Checks of VHD, by Microsoft's Virtual Hard Disk Image Format Specification, as QEMU, Hyper-V and
//! Amazon EC2 read it.
//!
//! In memory is a number for each block that is there, 64 MiB at most. What is read is the headers,
//! the table, the bitmap of each block, and blocks that were not written whole.

mod blocks;
mod checks;

use image_formats::{
    bytes::{ReadError, Region},
    units::ByteOffset,
    vhd::{DiskType, SECTOR, raw::Footer, raw::Geometry},
};
use image_model::{Location, VerificationReport};

pub use checks::*;

use crate::{Recorder, container::raw_at};

/// QEMU, Hyper-V and Azure open no larger disk.
const MAX_SIZE: u64 = 2040 << 30;

/// Judges the disk in `file`, and nothing around it. An error is the machine's.
pub fn check(file: &Region) -> Result<VerificationReport, ReadError> {
    let mut out = Recorder::default();
    verify(file, &mut out)?;
    Ok(crate::report_of_region(file, Some("vhd"), out))
}

/// Judges the disk in `file`. An error is the machine's.
pub fn verify(file: &Region, out: &mut Recorder) -> Result<(), ReadError> {
    out.announce(CHECKS);
    let mut judge = Judge { file, out };
    let Some((footer, at)) = judge.footers()? else { return Ok(()) };
    judge.footer(&footer, at);
    match footer.kind() {
        DiskType::Fixed => judge.fixed(&footer),
        DiskType::Dynamic | DiskType::Differencing => judge.dynamic(&footer)?,
        DiskType::Other(_) => {}
    }
    Ok(())
}

/// What all steps share.
struct Judge<'a> {
    file: &'a Region,
    out: &'a mut Recorder,
}

impl Judge<'_> {
    /// A place in the file.
    fn at(&self, structure: &'static str, at: u64, len: u64) -> Location {
        raw_at(structure, self.file.absolute(at).0, len)
    }

    /// The footer in the 512 bytes at this place, if it is one.
    fn read(&self, what: &'static str, at: u64) -> Result<Option<Footer>, ReadError> {
        match Footer::read(self.file, what, at) {
            Ok(footer) => Ok(Some(footer).filter(Footer::has_cookie)),
            Err(error) if error.is_defect() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The footer, or where that is lost its copy, and where it is.
    fn footers(&mut self) -> Result<Option<(Footer, u64)>, ReadError> {
        let end = self.file.len().saturating_sub(SECTOR);
        let last = self.read("VHD footer", end)?;
        let first = self.read("VHD footer copy", 0)?;
        let here = self.at("VHD footer", end, SECTOR);
        self.out.expect(&FOOTER, last.is_some(), || {
            (here.clone(), "the file does not end with a footer".to_owned())
        });
        if let Some(footer) = last {
            let (found, computed) = (footer.checksum.get(), footer.computed_checksum());
            self.out.expect(&FOOTER_CHECKSUM, found == computed, || {
                (here, format!("{found:#010x}, not {computed:#010x}"))
            });
        }
        let is_fixed = last.is_some_and(|footer| footer.kind() == DiskType::Fixed);
        // What is in front of a fixed disk is the disk.
        if !is_fixed || end == 0 {
            let copy = self.at("VHD footer copy", 0, SECTOR);
            let (sound, message) = match (&first, &last) {
                (None, _) => (false, "no copy of the footer in front"),
                (Some(first), None) => {
                    (first.checksum.get() == first.computed_checksum(), "its checksum is wrong")
                }
                (Some(first), Some(last)) => (first == last, "it is not the footer"),
            };
            self.out.expect(&FOOTER_COPY, sound, || (copy, message.to_owned()));
        }
        Ok(last.map(|footer| (footer, end)).or(first.map(|footer| (footer, 0))))
    }

    /// What the footer says of any disk.
    fn footer(&mut self, footer: &Footer, at: u64) {
        let here = || raw_at("VHD footer", self.file.absolute(at).0, SECTOR);
        let out = &mut *self.out;
        let version = footer.file_format_version.get();
        out.expect(&VERSION, version == Footer::VERSION, || {
            (here(), format!("{version:#010x}, not {:#010x}", Footer::VERSION))
        });
        let features = footer.features.get();
        out.expect(&FEATURES, features == Footer::RESERVED, || {
            let meaning = match features {
                features if features & Footer::TEMPORARY != 0 => "the disk is temporary",
                features if features & Footer::RESERVED == 0 => "bit 1 is not set",
                _ => "bits that mean nothing are set",
            };
            (here(), format!("{features:#x}: {meaning}"))
        });
        let state = footer.saved_state;
        out.expect(&SAVED_STATE, state == 0, || (here(), format!("{state}, not 0")));
        let kind = footer.kind();
        let is_known = !matches!(kind, DiskType::Other(_));
        let number = footer.disk_type.get();
        out.expect(&DISK_TYPE, is_known, || (here(), format!("{number}, not 2, 3 or 4")));
        out.expect(&PARENT, kind != DiskType::Differencing, || {
            (here(), "only the differences from another file".to_owned())
        });
        let size = footer.current_size.get();
        let fits = size != 0 && size <= MAX_SIZE && size.is_multiple_of(SECTOR);
        out.expect(&SIZE, fits, || {
            let what = match size {
                0 => "a disk of no bytes".to_owned(),
                size if size > MAX_SIZE => format!("{size} bytes, more than {MAX_SIZE}"),
                size => format!("{size} bytes, not a multiple of {SECTOR}"),
            };
            (here(), what)
        });
        if !fits {
            return;
        }
        let geometry = footer.disk_geometry;
        let computed = Geometry::of(size / SECTOR);
        let by_geometry = geometry.total().saturating_mul(SECTOR);
        // QEMU tries sizes until a geometry has room, and takes the size of that one, for which the
        // appendix may compute another.
        let is_right = geometry == computed || geometry.is_largest() || by_geometry == size;
        out.expect(&GEOMETRY, is_right, || {
            (here(), format!("{}, not {} for {size} bytes", chs(geometry), chs(computed)))
        });
        let goes_by_geometry = matches!(&footer.creator_application, b"vpc " | b"qemu");
        let is_one = !goes_by_geometry || geometry.is_largest() || by_geometry == size;
        out.expect(&TWO_SIZES, is_one, || {
            (here(), format!("{by_geometry} bytes by the geometry, and {size} by the size"))
        });
    }

    /// The length of a fixed disk.
    fn fixed(&mut self, footer: &Footer) {
        let (size, len) = (footer.current_size.get(), self.file.len());
        let here = self.at("VHD footer", len.saturating_sub(SECTOR), SECTOR);
        self.out.expect(&FIXED_LENGTH, size.checked_add(SECTOR) == Some(len), || {
            (here, format!("a disk of {size} bytes in a file of {len}, not that and 512 more"))
        });
    }
}

/// A geometry in words.
fn chs(geometry: Geometry) -> String {
    let Geometry { cylinder, heads, sectors } = geometry;
    format!("{cylinder} cylinders, {heads} heads, {sectors} sectors")
}

/// Where a range of bytes begins and ends.
#[derive(Clone, Copy)]
struct Span {
    start: ByteOffset,
    end: ByteOffset,
}

impl Span {
    /// `None` where it has no end in 64 bits.
    fn new(start: u64, len: u64) -> Option<Self> {
        let end = start.checked_add(len)?;
        Some(Self { start: ByteOffset(start), end: ByteOffset(end) })
    }

    fn touches(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}
