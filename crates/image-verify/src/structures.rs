//! What can be judged only when all of it is there: disks and discs.

use std::sync::Arc;

use image_formats::{
    bytes::{ReadAt, ReadError, Region},
    units::ByteOffset,
};
use image_model::{Board, Boot, ImageKind};

use crate::{Expected, Recorder, container::RawFormat, disc, disk, kind, qcow2, vhd};

/// What a disk or a disc is expected to be.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) expected: Expected,
    pub(crate) boards: &'a [Board],
    pub(crate) boots: &'a [Boot],
}

/// What was found out about a disk or a disc, but for the findings.
pub(crate) struct Structures {
    /// The word for reports.
    pub(crate) format: &'static str,
    /// What it was judged as.
    pub(crate) kind: Option<ImageKind>,
    /// The ways in which it boots.
    pub(crate) boots: Vec<String>,
    /// What of it no check looks at, for the report.
    pub(crate) not_verified: &'static [&'static str],
}

impl Structures {
    /// What is told of a disk of a virtual machine, in a format that is for this kind.
    fn of_disk(
        format: RawFormat,
        kind: ImageKind,
        wanted: Wanted<'_>,
        not_verified: &'static [&'static str],
    ) -> Self {
        let is_it = match wanted.expected {
            Expected::Kind(wanted) => wanted == kind,
            Expected::Guess => true,
            Expected::AnyKind | Expected::AnyImage => false,
        };
        let (format, kind) = (format.as_str(), is_it.then_some(kind));
        Self { format, kind, boots: Vec::new(), not_verified }
    }
}

/// Judges a disk or a disc, and what it is for. An error is the machine's.
pub(crate) fn judge(
    bytes: &Arc<dyn ReadAt>,
    format: RawFormat,
    wanted: Wanted<'_>,
    out: &mut Recorder,
) -> Result<Structures, ReadError> {
    match format {
        RawFormat::Iso => disc(bytes, wanted, out),
        RawFormat::Qcow2 => {
            let (kind, not_verified) = (ImageKind::Vm, kind::vm::NOT_VERIFIED);
            qcow2::verify(&whole(bytes)?, out)?;
            Ok(Structures::of_disk(format, kind, wanted, not_verified))
        }
        RawFormat::Vhd => {
            let (kind, not_verified) = (ImageKind::Amazon, kind::amazon::NOT_VERIFIED);
            vhd::verify(&whole(bytes)?, out)?;
            Ok(Structures::of_disk(format, kind, wanted, not_verified))
        }
        RawFormat::Disk | RawFormat::Tar => disk(bytes, wanted, out),
        RawFormat::Ova => archive("ova", ImageKind::Virtualbox, wanted),
        RawFormat::Docker => archive("docker-archive", ImageKind::Docker, wanted),
    }
}

/// All bytes of an image.
fn whole(bytes: &Arc<dyn ReadAt>) -> Result<Region, ReadError> {
    let region = Region::whole(Arc::clone(bytes));
    region.map_err(|cause| ReadError {
        what: "disk",
        at: ByteOffset(0),
        len: 0,
        cause: cause.into(),
    })
}

fn disk(
    bytes: &Arc<dyn ReadAt>,
    wanted: Wanted<'_>,
    out: &mut Recorder,
) -> Result<Structures, ReadError> {
    let disk = disk::verify(bytes, out)?;
    let is_sd = match wanted.expected {
        Expected::Kind(kind) => kind == ImageKind::Sd,
        Expected::Guess => disk.table.is_some(),
        Expected::AnyKind | Expected::AnyImage => false,
    };
    let boots = if is_sd {
        kind::sd::verify(&disk, kind::sd::Promise { boards: wanted.boards }, out)
    } else {
        Vec::new()
    };
    disk.trouble()?;
    Ok(Structures {
        format: disk.format(),
        kind: is_sd.then_some(ImageKind::Sd),
        boots,
        not_verified: &[],
    })
}

fn disc(
    bytes: &Arc<dyn ReadAt>,
    wanted: Wanted<'_>,
    out: &mut Recorder,
) -> Result<Structures, ReadError> {
    let disc = disc::verify(bytes, out)?;
    let is_iso = match wanted.expected {
        Expected::Kind(kind) => kind == ImageKind::Iso,
        Expected::Guess => !disc.boot.is_empty(),
        Expected::AnyKind | Expected::AnyImage => false,
    };
    let boots = if is_iso {
        kind::iso::verify(&disc, kind::iso::Promise { boots: wanted.boots }, out)
    } else {
        Vec::new()
    };
    disc.trouble()?;
    Ok(Structures {
        format: "iso9660",
        kind: is_iso.then_some(ImageKind::Iso),
        boots,
        not_verified: &[],
    })
}

fn archive(
    format: &'static str,
    kind: ImageKind,
    wanted: Wanted<'_>,
) -> Result<Structures, ReadError> {
    let is_kind = match wanted.expected {
        Expected::Kind(expected) => kind == expected,
        Expected::Guess => true,
        Expected::AnyKind | Expected::AnyImage => false,
    };
    Ok(Structures {
        format,
        kind: is_kind.then_some(kind),
        boots: Vec::new(),
        not_verified: &["what is in the archive"],
    })
}
