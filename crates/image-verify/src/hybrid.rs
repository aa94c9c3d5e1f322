//! Checks of what a disc looks like to a machine that takes it for a disk: the boot code, the
//! master boot record, the GPT and the Apple partition map in its first 32 KiB (its *system area*),
//! which xorriso, SYSLINUX (`isohybrid`) and GRUB write there.
//!
//! The tables of such discs describe the same bytes several times, each for another reader: what is
//! an error in one on a disk may be right here. A GPT behind a master boot record that does not
//! announce it is seen by few; its partitions overlap, and start at the first block. A partition
//! record of type 0 covers the disc: Linux and BIOSes take it for one, and UEFI firmware skips it.

mod apm;
mod checks;
mod code;
mod records;
mod table;

use std::rc::Rc;

use image_formats::{
    bytes::{ReadError, Region},
    isohybrid::{BootCode, Build, Kind},
    mbr::raw::{BootRecord, PartitionRecord},
    units::{BlockSize, Lba},
};

pub use checks::*;

use crate::{
    Recorder,
    disk::{Content, Extent, at, sniff},
    el_torito::{BootImage, Fats, volume_size},
    gpt, mbr,
    tree::{Kind as Node, Tree},
    volume::Volume,
};

/// What a disk of the same bytes is to firmware.
#[derive(Debug)]
pub struct Stick {
    /// What a PC's BIOS does with it.
    pub bios: Bios,
    /// The FAT file systems that UEFI firmware finds by a partition table, as EDK II does. One that
    /// is also an image of the boot catalog is the same volume. EDK II reads the catalog of a stick
    /// as well, and other firmware does not.
    pub efi: Vec<Rc<Volume>>,
    /// The partition table that counts, as reports call it: `gpt` where the master boot record
    /// announces one, `mbr` elsewhere; `None` where there is none.
    pub table: Option<&'static str>,
    /// Its partitions, in the order of their numbers, as far as they are in the disc.
    pub partitions: Vec<StickPartition>,
}

/// A partition of a stick.
#[derive(Debug)]
pub struct StickPartition {
    /// Its number, as Linux counts.
    pub number: u32,
    /// Its bytes, as far as they are in the disc.
    pub region: Region,
    /// What its first bytes tell.
    pub content: Content,
    /// The FAT in it, if it was opened.
    pub volume: Option<Rc<Volume>>,
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

impl Stick {
    fn nothing(why: &str) -> Self {
        let bios = Bios::Nothing(why.to_owned());
        Self { bios, efi: Vec::new(), table: None, partitions: Vec::new() }
    }
}

/// Judges the system area of a disc whose boot catalog names these images. An error is the
/// machine's.
pub(crate) fn verify(
    disc: &Region,
    volume: Option<&Volume>,
    boot: &[BootImage],
    fats: &mut Fats<'_>,
    out: &mut Recorder,
) -> Result<Stick, ReadError> {
    if disc.len() < BootRecord::SIZE as u64 {
        return Ok(Stick::nothing("the disc has no first block"));
    }
    let record = BootRecord::read(disc, Lba(0), BlockSize::B512)?;
    let code = BootCode::read(disc)?;
    let mut judge = Judge { disc, boot, record, code, fats, out };
    judge.apm()?;
    if !judge.is_disk() {
        return Ok(Stick::nothing("no master boot record"));
    }
    judge.out.announce(CHECKS);
    let signed = judge.signature();
    let bios = judge.boot_code(signed)?;
    let data = data_end(disc, volume)?;
    let (mut table, mut found) = ("mbr", judge.records(data)?);
    let announced = mbr::announces_gpt(&judge.record);
    if announced || has_gpt(disc)? {
        let gpt = judge.gpt()?;
        if judge.is_protective() {
            (table, found) = ("gpt", gpt);
        }
    }
    if !signed {
        found.efi.clear();
    }
    let Found { efi, partitions } = found;
    Ok(Stick { bios, efi, table: Some(table), partitions })
}

/// What a partition table leads to.
#[derive(Default)]
struct Found {
    /// What UEFI firmware finds by it.
    efi: Vec<Rc<Volume>>,
    partitions: Vec<StickPartition>,
}

/// True if there is a GPT. One whose first header is zeros is what is left of an older one.
fn has_gpt(disc: &Region) -> Result<bool, ReadError> {
    let Some(headers) = gpt::find(disc)? else { return Ok(false) };
    if headers.is_primary {
        return Ok(true);
    }
    let block = disc.array::<512>("GPT header", headers.block_size.bytes())?;
    Ok(block.iter().any(|byte| *byte != 0))
}

/// Where the last file of the volume ends, or the volume itself without the padding at its end.
fn data_end(disc: &Region, volume: Option<&Volume>) -> Result<u64, ReadError> {
    /// What xorriso adds to a volume, in bytes.
    const PADDING: u64 = 300 << 10;

    if let Some(volume) = volume {
        let files = volume.tree.below(Tree::ROOT);
        let files = files.filter(|id| matches!(volume.tree.node(*id).kind, Node::File(_)));
        let ends = files.filter_map(|id| volume.region(id)).map(|r| r.absolute(r.len()).0);
        return Ok(ends.max().unwrap_or_default());
    }
    Ok(volume_size(disc)?.map_or(0, |size| size.min(disc.len()).saturating_sub(PADDING)))
}

/// What all steps share.
struct Judge<'a, 'b> {
    disc: &'a Region,
    boot: &'a [BootImage],
    record: BootRecord,
    code: BootCode,
    fats: &'a mut Fats<'b>,
    out: &'a mut Recorder,
}

impl Judge<'_, '_> {
    /// True if somebody made a disk of it, which one byte may hide: firmware takes no other first
    /// block for a master boot record, and boot loaders of machines that are no PC may be there.
    fn is_disk(&self) -> bool {
        let known = matches!(self.code.build(), Build::Is(_) | Build::Damaged(..))
            || matches!(self.code.kind(), Kind::Syslinux | Kind::Grub);
        let [first, second] = self.record.signature;
        let [right, also] = BootRecord::SIGNATURE;
        let half = first == right || second == also;
        let used = self.record.partition_record.iter().any(PartitionRecord::is_used);
        // genisoimage signs the block of a hybrid for Macintosh, and leaves it empty.
        let empty = self.record.boot_code.iter().all(|byte| *byte == 0)
            && self.record.partition_record.iter().all(|record| record.size_in_lba == 0);
        self.record.has_signature() && !empty
            || known
            || half && used && mbr::is_plausible(&self.record)
    }

    /// True if EDK II looks for a GPT.
    fn is_protective(&self) -> bool {
        self.record.partition_record.iter().any(|record| {
            record.os_type == PartitionRecord::GPT_PROTECTIVE && record.starting_lba == 1
        })
    }

    fn signature(&mut self) -> bool {
        self.out.expect(&SIGNATURE, self.record.has_signature(), || {
            let [first, second] = self.record.signature;
            let place = at("MBR", std::mem::offset_of!(BootRecord, signature) as u64, 2);
            (place, format!("{first:02x} {second:02x}, not 55 aa"))
        })
    }

    /// The boot images for UEFI.
    fn efi_images(&self) -> impl Iterator<Item = &BootImage> {
        self.boot.iter().filter(|image| image.platform == BootImage::UEFI)
    }

    /// The boot image for UEFI that starts where the extent does.
    fn efi_image_at(&self, extent: Extent) -> Option<&BootImage> {
        self.efi_images()
            .find(|image| image.region.start().0 == extent.start && !image.region.is_empty())
    }

    /// A partition, as far as it is in the disc.
    fn partition(
        &self,
        number: u32,
        extent: Extent,
        volume: Option<Rc<Volume>>,
    ) -> Result<Option<StickPartition>, ReadError> {
        let inside = Extent { start: extent.start, end: extent.end.min(self.disc.len()) };
        let found = self.content(inside)?;
        Ok(found.map(|(region, content)| StickPartition { number, region, content, volume }))
    }

    /// What is in these bytes, if they are in the disc.
    fn content(&self, extent: Extent) -> Result<Option<(Region, Content)>, ReadError> {
        if extent.end > self.disc.len() || extent.start >= extent.end {
            return Ok(None);
        }
        let region = self.disc.sub("partition", extent.start, extent.len())?;
        let content = sniff(&region)?;
        Ok(Some((region, content)))
    }
}

/// True if a partition of the one length can be an image of the other: tables round up to sectors
/// of the disc.
fn same_length(partition: u64, image: u64) -> bool {
    partition.next_multiple_of(2048) == image.next_multiple_of(2048)
}
