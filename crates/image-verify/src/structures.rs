//! What can be judged only when all of it is there: disks, discs, and archives whose members refer
//! to each other.

use std::sync::Arc;

use image_formats::{
    bytes::{ReadAt, ReadError, Region},
    units::ByteOffset,
};
use image_model::{Board, Boot, ImageKind, Layout, StoreReport};

use crate::{
    Expected, Limits, Recorder,
    container::RawFormat,
    disc, disk, docker, kind,
    opened::{Opened, Tell},
    ova, qcow2, store, vhd,
    volume::Volume,
};

/// What an image is expected to be.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) expected: Expected,
    pub(crate) system: Option<&'a str>,
    pub(crate) boards: &'a [Board],
    pub(crate) boots: &'a [Boot],
    /// What is asked of Nix stores.
    pub(crate) store: store::Asked<'a>,
    /// Who wants to see what was opened.
    pub(crate) opened: Option<&'a Tell<'a>>,
    pub(crate) limits: Limits,
}

/// What was found out about an image, but for the findings.
pub(crate) struct Structures {
    /// The word for reports.
    pub(crate) format: &'static str,
    /// What it was judged as.
    pub(crate) kind: Option<ImageKind>,
    /// The ways in which it boots.
    pub(crate) boots: Vec<String>,
    /// The Nix stores in it.
    pub(crate) stores: Vec<StoreReport>,
    /// What of it no check looks at, for the report.
    pub(crate) not_verified: Vec<String>,
    /// What lies where.
    pub(crate) layout: Option<Layout>,
}

impl Structures {
    /// What is told of a disk or a disc, now that all of it was judged.
    fn judged(
        opened: &Opened,
        format: &'static str,
        kind: Option<ImageKind>,
        judged: kind::Judged,
        wanted: Wanted<'_>,
    ) -> Result<Self, ReadError> {
        if let Some(tell) = wanted.opened {
            tell(opened);
        }
        opened.trouble()?;
        let kind::Judged { boots, stores } = judged;
        let (layout, not_verified) = (opened.layout()?, Vec::new());
        let mut found = Self { format, kind, boots, stores: Vec::new(), not_verified, layout };
        for store in stores {
            found.stores.push(store.report);
            found.not_verified.extend(store.not_verified);
        }
        Ok(found)
    }

    /// What is told of an image in a format that is for one kind alone.
    fn of_kind(
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
        let not_verified = not_verified.iter().map(|&what| what.to_owned()).collect();
        let (boots, stores) = (Vec::new(), Vec::new());
        Self { format, kind, boots, stores, not_verified, layout: None }
    }
}

/// Judges the Nix stores in what is for no kind.
fn stores<'a>(
    volumes: impl Iterator<Item = &'a Volume>,
    asked: &store::Asked<'_>,
    out: &mut Recorder,
) -> kind::Judged {
    let stores = volumes.filter_map(|volume| store::verify(volume, asked, out)).collect();
    kind::Judged { boots: Vec::new(), stores }
}

/// Judges an image, and what it is for. An error is the machine's.
pub(crate) fn judge(
    bytes: &Arc<dyn ReadAt>,
    format: RawFormat,
    wanted: Wanted<'_>,
    out: &mut Recorder,
) -> Result<Structures, ReadError> {
    match format {
        RawFormat::Iso => disc(bytes, wanted, out),
        RawFormat::Qcow2 => {
            let facts = qcow2::verify(&whole(bytes)?, out)?;
            let not_verified = kind::vm::NOT_VERIFIED;
            let disk = Structures::of_kind(format, ImageKind::Vm, wanted, not_verified);
            if disk.kind.is_some() {
                kind::vm::verify(facts, out);
            }
            Ok(disk)
        }
        RawFormat::Vhd => {
            let (kind, not_verified) = (ImageKind::Amazon, kind::amazon::NOT_VERIFIED);
            vhd::verify(&whole(bytes)?, out)?;
            Ok(Structures::of_kind(format, kind, wanted, not_verified))
        }
        RawFormat::Disk | RawFormat::Tar => disk(bytes, wanted, out),
        RawFormat::Ova => appliance(bytes, wanted, out),
        RawFormat::Docker => {
            let (kind, not_verified) = (ImageKind::Docker, kind::docker::NOT_VERIFIED);
            let found = Structures::of_kind(format, kind, wanted, not_verified);
            let is_container = found.kind.is_some();
            if is_container {
                out.announce(kind::docker::CHECKS);
            }
            docker::verify(&whole(bytes)?, &wanted.limits, out, &mut |image, out| {
                if is_container {
                    kind::docker::verify(image, wanted.system, out);
                }
            })?;
            Ok(found)
        }
    }
}

/// All bytes of an image.
pub(crate) fn whole(bytes: &Arc<dyn ReadAt>) -> Result<Region, ReadError> {
    let region = Region::whole(Arc::clone(bytes));
    region.map_err(|cause| ReadError {
        what: "image",
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
    let Wanted { boards, store, .. } = wanted;
    let judged = if is_sd {
        kind::sd::verify(&disk, kind::sd::Promise { boards, store }, out)
    } else {
        stores(disk.volumes().map(|(_, volume)| volume), &store, out)
    };
    let (format, kind) = (disk.format(), is_sd.then_some(ImageKind::Sd));
    Structures::judged(&Opened::Disk(disk), format, kind, judged, wanted)
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
    let Wanted { boots, store, .. } = wanted;
    let judged = if is_iso {
        kind::iso::verify(&disc, kind::iso::Promise { boots, store }, out)
    } else {
        let inner = disc.squashfs.iter().map(|(_, volume)| volume);
        stores(disc.volume.iter().chain(inner), &store, out)
    };
    let kind = is_iso.then_some(ImageKind::Iso);
    Structures::judged(&Opened::Disc(disc), "iso9660", kind, judged, wanted)
}

fn appliance(
    bytes: &Arc<dyn ReadAt>,
    wanted: Wanted<'_>,
    out: &mut Recorder,
) -> Result<Structures, ReadError> {
    let appliance = ova::verify(&whole(bytes)?, out)?;
    let not_verified = kind::virtualbox::not_verified(&appliance);
    let found = Structures::of_kind(RawFormat::Ova, ImageKind::Virtualbox, wanted, not_verified);
    if found.kind.is_some() {
        kind::virtualbox::verify(&appliance, wanted.system, out);
    }
    Ok(found)
}
