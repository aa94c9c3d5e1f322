//! What lies where in an image, for reports: partitions, and what is beside them.

use std::{borrow::Cow, cmp::Reverse};

use image_formats::bytes::{ReadError, Region};
use image_model::{Layout, LayoutPart};

use super::Opened;
use crate::{
    disc::Disc,
    disk::{Content, Disk},
    el_torito::{BootImage, Loader, volume_size},
    hybrid::StickPartition,
    tree::display,
    volume::Volume,
};

/// The most parts that are listed: no picture shows more.
const MAX_PARTS: usize = 128;

impl Opened {
    /// What lies where in a disk or a disc; `None` for anything else, and where nothing was found.
    /// An error is the machine's.
    pub fn layout(&self) -> Result<Option<Layout>, ReadError> {
        let (table, bytes, mut parts) = match self {
            Self::Disk(disk) => {
                (disk.table.map(|_| disk.format()), &disk.bytes, of_disk(disk).collect())
            }
            Self::Disc(disc) => (disc.stick.table, &disc.bytes, of_disc(disc)?),
            Self::Archive(_) | Self::Closed(_) => return Ok(None),
        };
        if table.is_none() && parts.is_empty() {
            return Ok(None);
        }
        // What is around others comes before them. The sort is stable.
        parts.sort_by_key(|part: &LayoutPart| (part.start, Reverse(part.len)));
        let omitted = parts.len().saturating_sub(MAX_PARTS) as u64;
        parts.truncate(MAX_PARTS);
        Ok(Some(Layout { table: table.map(Cow::Borrowed), size: bytes.len(), parts, omitted }))
    }
}

fn of_disk(disk: &Disk) -> impl Iterator<Item = LayoutPart> {
    disk.partitions.iter().map(|partition| {
        let content = (partition.content, partition.volume.as_ref());
        part(partition.name(), &partition.region, content)
    })
}

/// The file system, the partitions of a stick, what firmware boots, and file systems in files.
fn of_disc(disc: &Disc) -> Result<Vec<LayoutPart>, ReadError> {
    let mut parts = vec![whole_disc(disc)?];
    parts.extend(disc.stick.partitions.iter().map(|partition| stick_partition(disc, partition)));
    parts.extend(disc.boot.iter().filter(|image| !image.region.is_empty()).map(boot_image));
    let files = disc.volume.iter().flat_map(|outer| {
        disc.squashfs.iter().filter_map(|(id, inner)| {
            let name = display(&outer.tree.path(*id));
            Some(part(name, &outer.region(*id)?, (Content::Squashfs, Some(inner))))
        })
    });
    parts.extend(files);
    Ok(parts)
}

/// The volume: as long as it says itself, which is less than the file where something is appended
/// to it.
fn whole_disc(disc: &Disc) -> Result<LayoutPart, ReadError> {
    let content = (Content::Iso9660, disc.volume.as_ref());
    let mut whole = part("disc".to_owned(), &disc.bytes, content);
    if let Some(size) = volume_size(&disc.bytes)? {
        whole.len = whole.len.min(size);
    }
    Ok(whole)
}

fn stick_partition(disc: &Disc, partition: &StickPartition) -> LayoutPart {
    let StickPartition { number, region, content, volume } = partition;
    let volume = match content {
        // The volume itself, or a copy of its descriptors for who starts reading here.
        Content::Iso9660 => disc.volume.as_ref(),
        // One without a type is opened as what firmware boots.
        Content::Fat => volume.as_deref().or_else(|| {
            let image = disc.boot.iter().find(|image| image.region.start() == region.start())?;
            image.volume.as_deref()
        }),
        _ => None,
    };
    part(format!("partition {number}"), region, (*content, volume))
}

fn boot_image(image: &BootImage) -> LayoutPart {
    let mut part = part(
        format!("boot image {}", image.number),
        &image.region,
        (Content::Unknown, image.volume.as_deref()),
    );
    if image.volume.is_none() {
        part.content = Cow::Borrowed(match image.loader {
            Loader::Isolinux => "isolinux",
            Loader::Grub => "grub",
            Loader::Other => word(Content::Unknown),
        });
    }
    part
}

fn part(name: String, region: &Region, content: (Content, Option<&Volume>)) -> LayoutPart {
    let (content, volume) = content;
    LayoutPart {
        name,
        start: region.start().0,
        len: region.len(),
        content: Cow::Borrowed(volume.map_or_else(|| word(content), |volume| volume.format)),
        label: volume
            .map(|volume| display(volume.label.as_bytes()))
            .filter(|label| !label.is_empty()),
    }
}

/// The word for reports, of what could not be opened.
fn word(content: Content) -> &'static str {
    match content {
        Content::Fat => "vfat",
        Content::Empty => "zeros",
        Content::Unknown => "unknown",
        other => other.as_str(),
    }
}
