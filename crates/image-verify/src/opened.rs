//! An image whose file systems are open: for who wants to see what is in it, whoever made it.

mod layout;

use std::sync::Arc;

use image_formats::{
    bytes::{ReadAt, ReadError, Region},
    units::ByteOffset,
};

use crate::{
    Recorder,
    container::RawFormat,
    disc::{self, Disc},
    disk::{self, Disk},
    tar,
    volume::{Trouble, Volume},
};

/// Is shown what was opened.
pub type Tell<'a> = dyn Fn(&Opened) + Sync + 'a;

/// What raw bytes turned out to be.
#[derive(Debug)]
pub enum Opened {
    /// A disk, with its partitions.
    Disk(Disk),
    /// A disc, with what is nested in it.
    Disc(Disc),
    /// An archive; or anything else that has a single file tree.
    Archive(Volume),
    /// Something whose files are not looked at.
    Closed(RawFormat),
}

/// Opens what is in raw bytes, as far as it is safe to follow; what is wrong with it is recorded. An
/// error is the machine's.
pub fn open(
    bytes: &Arc<dyn ReadAt>,
    format: RawFormat,
    out: &mut Recorder,
) -> Result<Opened, ReadError> {
    Ok(match format {
        RawFormat::Disk => Opened::Disk(disk::verify(bytes, out)?),
        RawFormat::Iso => Opened::Disc(disc::verify(bytes, out)?),
        RawFormat::Tar => {
            let whole = Region::whole(Arc::clone(bytes)).map_err(|cause| ReadError {
                what: "archive",
                at: ByteOffset(0),
                len: 0,
                cause: cause.into(),
            })?;
            Opened::Archive(tar::open(&whole, &Trouble::default())?)
        }
        RawFormat::Ova | RawFormat::Docker | RawFormat::Qcow2 | RawFormat::Vhd => {
            Opened::Closed(format)
        }
    })
}

impl Opened {
    /// The failure of the machine that a reader of files met, if it met one.
    pub(crate) fn trouble(&self) -> Result<(), ReadError> {
        match self {
            Self::Disk(disk) => disk.trouble(),
            Self::Disc(disc) => disc.trouble(),
            Self::Archive(_) | Self::Closed(_) => Ok(()),
        }
    }

    /// All file systems that can be read, in the order of the bytes, those in files of another one
    /// after it.
    pub fn volumes(&self) -> Vec<&Volume> {
        match self {
            Self::Disk(disk) => disk.volumes().map(|(_, volume)| volume).collect(),
            Self::Disc(disc) => {
                let images = disc.boot.iter().filter_map(|image| image.volume.as_deref());
                let fats = images.chain(disc.stick.efi.iter().map(AsRef::as_ref));
                let mut volumes: Vec<&Volume> = disc.volume.iter().collect();
                for volume in fats.chain(disc.squashfs.iter().map(|(_, volume)| volume)) {
                    // The same one may be for a disc and for a stick.
                    if !volumes.iter().any(|known| std::ptr::eq(*known, volume)) {
                        volumes.push(volume);
                    }
                }
                volumes
            }
            Self::Archive(volume) => vec![volume],
            Self::Closed(_) => Vec::new(),
        }
    }
}
