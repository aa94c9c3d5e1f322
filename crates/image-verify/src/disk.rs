//! Disks: partition tables, what is in the partitions, and whether the two agree.

mod content;
mod layout;
mod purpose;

use std::sync::Arc;

use image_formats::{
    bytes::{ReadAt, ReadError, Region},
    gpt::Guid,
    mbr::raw::BootRecord,
    units::{BlockSize, ByteOffset, Lba},
};

pub(crate) use crate::container::raw_at as at;
use crate::{
    Recorder, ext4, fat, gpt, iso9660, mbr, squashfs,
    volume::{Trouble, Volume},
};
pub(crate) use content::sniff;
pub(crate) use layout::{Entry, Extent, Layout};
use purpose::Purpose;

checks! {
    /// The checks of a disk as a whole, and of partitions whatever their table is.
    CHECKS:

    /// Disks have blocks. A card writer refuses an image that ends within one, or loses its end.
    SIZE = "disk-size", Error;
    reads "the length of the raw bytes";
    spec "UEFI 2.10 §5.3.1: blocks of 512 bytes at least";

    /// There is neither a partition table nor a file system: nothing finds anything on this disk.
    /// Its first block was overwritten, or the image is no disk.
    TABLE = "disk-table", Error;
    reads "the first 68 KiB, and the last block";
    spec "UEFI 2.10 §5.2, §5.3";

    /// There is a GPT, and a master boot record with partitions that does not announce it. Linux
    /// and U-Boot take the master boot record, other programs the GPT, and each sees another disk.
    ONE_TABLE = "disk-one-table", Error;
    reads "the master boot record, and LBA 1";
    spec "UEFI 2.10 §5.2.3; Linux block/partitions/efi.c is_pmbr_valid";

    /// The last block holds the copy of a GPT that is no longer there. Tools that repair tables
    /// offer to bring it back, and with it partitions that overwrite those of today.
    STALE_GPT = "disk-stale-gpt", Warning;
    reads "the last block of a disk without a GPT";
    spec "UEFI 2.10 §5.3.2; gdisk(8), recovery and transformation options";

    /// A partition table without partitions: nothing can be found on this disk.
    NO_PARTITIONS = "disk-no-partitions", Error;
    reads "all entries of the partition table";
    spec "UEFI 2.10 §5.2.1, §5.3.3";

    /// Linux numbers 255 partitions of a disk, and does not see the others. Neither do we: what
    /// they hold is not judged.
    PARTITION_LIMIT = "disk-partition-limit", Error;
    reads "the numbers of all entries in use";
    spec "Linux include/linux/blkdev.h DISK_MAX_PARTS; the limit is ours as well";

    /// A partition that ends beyond the disk loses what is there. The image was cut short, or was
    /// made for a larger disk. What is inside is not judged.
    PARTITION_INSIDE = "disk-partition-inside", Error;
    reads "the place of every partition, and the length of the raw bytes";
    spec "UEFI 2.10 §5.2.1, §5.3.3";

    /// Two partitions that share bytes destroy each other. What is inside them is not judged.
    PARTITION_OVERLAP = "disk-partition-overlap", Error;
    reads "the places of all partitions, extended ones too";
    spec "UEFI 2.10 §5.2.1, §5.3.1";

    /// A partition over the bytes of its own table: whoever writes to one destroys the other.
    PARTITION_OVER_TABLE = "disk-partition-over-table", Error;
    reads "the places of all partitions, boot records, GPT headers and entry arrays";
    spec "UEFI 2.10 §5.2.1, §5.3.1";

    /// Cards and disks write 4 KiB or more at once. In a file system that does not start at a
    /// multiple of that, each block that is written costs two of the card, which makes it slow and
    /// wears it out. Only partitions with a file system are asked: a boot loader may start
    /// anywhere.
    PARTITION_ALIGNMENT = "disk-partition-alignment", Warning;
    reads "the start of every partition with a file system";
    spec "parted(8), align-check; the multiple is ours";

    /// UEFI firmware reads FAT and nothing else. What is typed as an EFI system partition and is
    /// none has no boot loader for it.
    ESP_FAT = "disk-esp-fat", Error;
    reads "the first 68 KiB of every EFI system partition";
    spec "UEFI 2.10 §13.3";

    /// The type of a partition says one thing, and its first bytes another. Linux does not look at
    /// the type; firmware, installers, Windows (which offers to format what it does not know) and
    /// people do. Any type of FAT is right for FAT of any size.
    TYPE_CONTENT = "disk-type-content", Warning;
    reads "the type and the first 68 KiB of every partition";
    spec "UEFI 2.10 §5.2.2, §5.3.3; UAPI group, Discoverable Partitions Specification";
}

/// A disk, as far as it could be read.
#[derive(Debug)]
pub struct Disk {
    /// All of its bytes.
    pub bytes: Region,
    /// Its partition table; `None` for a file system without one, and where none can be read.
    pub table: Option<Table>,
    /// Size of a logical block.
    pub block_size: BlockSize,
    /// Its partitions, in the order of their numbers, which need not be that of their places; a
    /// file system without a partition table is the only one, and has number 0. An extended
    /// partition is none, the logical ones in it are.
    pub partitions: Vec<Partition>,
    trouble: Trouble,
}

/// Which partition table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Master boot record, with the disk signature at 0x1b8.
    Mbr {
        /// The disk signature.
        signature: u32,
    },
    /// GUID partition table.
    Gpt {
        /// The GUID of the disk.
        guid: Guid,
    },
}

/// A partition.
#[derive(Debug)]
pub struct Partition {
    /// Its number, as Linux counts.
    pub number: u32,
    /// What its table says it is.
    pub kind: PartitionType,
    /// Firmware that looks for a flag finds it here: *active* in an MBR, *legacy BIOS bootable* in
    /// a GPT.
    pub bootable: bool,
    /// Its name, `PARTLABEL`; only a GPT has names.
    pub label: Option<String>,
    /// The attributes of a GPT; 0 elsewhere.
    pub attributes: u64,
    /// Its bytes, as far as they are in the image.
    pub region: Region,
    /// How many bytes its table gives it: more than `region` has where the image was cut short.
    pub len: u64,
    /// Where its entry is.
    pub entry: ByteOffset,
    /// What its first bytes tell.
    pub content: Content,
    /// The file system in it, if it can be read.
    pub volume: Option<Volume>,
}

/// What a table says a partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionType {
    /// There is no table.
    None,
    /// The type byte of an MBR.
    Mbr(u8),
    /// The type GUID of a GPT, and the GUID of the partition.
    Gpt {
        /// Type.
        kind: Guid,
        /// `PARTUUID`.
        unique: Guid,
    },
}

/// What the first bytes of a partition tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// FAT12, FAT16 or FAT32.
    Fat,
    /// ext2, ext3 or ext4.
    Ext,
    /// ISO 9660.
    Iso9660,
    /// SquashFS.
    Squashfs,
    /// Another file system or container, by the name that `blkid` has for it.
    Other(&'static str),
    /// Zeros.
    Empty,
    /// Nothing that we know.
    Unknown,
}

impl Disk {
    /// A disk of partitions that somebody else opened, of blocks of 512 bytes.
    pub fn new(bytes: Region, table: Option<Table>, partitions: Vec<Partition>) -> Self {
        let (block_size, trouble) = (BlockSize::B512, Trouble::default());
        Self { bytes, table, block_size, partitions, trouble }
    }

    /// The word for reports: of the table, or of the file system where there is none.
    pub fn format(&self) -> &'static str {
        match (self.table, self.partitions.first()) {
            (Some(Table::Mbr { .. }), _) => "mbr",
            (Some(Table::Gpt { .. }), _) => "gpt",
            (None, Some(Partition { volume: Some(volume), .. })) => volume.format,
            // One that cannot be read is called by its family.
            (None, Some(Partition { content: Content::Ext, .. })) => "ext",
            (None, Some(Partition { content: Content::Fat, .. })) => "vfat",
            (None, Some(Partition { content: Content::Squashfs, .. })) => "squashfs",
            (None, _) => "disk",
        }
    }

    /// The file systems, with their partitions.
    pub fn volumes(&self) -> impl Iterator<Item = (&Partition, &Volume)> {
        self.partitions.iter().filter_map(|p| Some((p, p.volume.as_ref()?)))
    }

    /// True if there is something in a partition whose files cannot be read.
    pub fn has_unread(&self) -> bool {
        self.partitions.iter().any(Partition::is_unread)
    }

    /// The failure of the machine that somebody else's crate met, if it met one.
    pub(crate) fn trouble(&self) -> Result<(), ReadError> {
        self.trouble.take()
    }
}

impl Partition {
    /// True if there are files in it that cannot be read: of a file system that is damaged, or that
    /// only its name is known of, or behind encryption.
    pub fn is_unread(&self) -> bool {
        let has_files = !matches!(self.content, Content::Empty | Content::Unknown);
        self.volume.is_none() && has_files && self.content != Content::Other("swap")
    }

    /// What people call it.
    pub fn name(&self) -> String {
        match self.number {
            0 => "disk".to_owned(),
            number => format!("partition {number}"),
        }
    }
}

impl PartitionType {
    /// True if UEFI firmware looks for programs in it.
    pub fn is_efi_system(self) -> bool {
        Purpose::of(self) == Purpose::EfiSystem
    }
}

impl Content {
    /// What reports call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fat => "FAT",
            Self::Ext => "ext",
            Self::Iso9660 => "iso9660",
            Self::Squashfs => "squashfs",
            Self::Other(name) => name,
            Self::Empty => "nothing but zeros",
            Self::Unknown => "nothing that is known",
        }
    }

    /// True if somebody's format was found.
    fn is_known(self) -> bool {
        !matches!(self, Self::Empty | Self::Unknown)
    }
}

/// Judges a disk: its tables, then its file systems. An error is the machine's.
pub fn verify(bytes: &Arc<dyn ReadAt>, out: &mut Recorder) -> Result<Disk, ReadError> {
    let bytes = Region::whole(Arc::clone(bytes)).map_err(|cause| ReadError {
        what: "disk",
        at: ByteOffset(0),
        len: 0,
        cause: cause.into(),
    })?;
    out.announce(CHECKS);
    let (layout, bare) = match tables(&bytes, out)? {
        Found::Layout(layout) => (Some(layout), None),
        Found::FileSystem(content) => (None, Some(content)),
        Found::Nothing => (None, None),
    };
    let block_size = layout.as_ref().map_or(BlockSize::B512, |layout| layout.block_size);
    let (len, block) = (bytes.len(), block_size.bytes());
    out.expect(&SIZE, len != 0 && len.is_multiple_of(block), || {
        let message = format!("{len} bytes, not a multiple of {block}");
        (at("disk", len - len % block, len % block), message)
    });

    let trouble = Trouble::default();
    let mut partitions: Vec<(Partition, bool)> = Vec::new();
    if let Some(layout) = &layout {
        for (entry, sound) in layout.judge(&bytes, out) {
            let partition = read_partition(&bytes, entry)?;
            if sound {
                judge_content(&partition, out);
            }
            partitions.push((partition, sound));
        }
    }
    partitions.extend(bare.map(|content| (whole_disk(&bytes, content), true)));
    let mut memory = squashfs::Memory::default();
    for (partition, _) in partitions.iter_mut().filter(|(_, sound)| *sound) {
        partition.volume = match partition.content {
            Content::Fat => fat::verify(&partition.region, &partition.name(), &trouble, out)?,
            Content::Ext => ext4::verify(&partition.region, &partition.name(), &trouble, out)?,
            Content::Iso9660 => {
                iso9660::verify(&partition.region, &partition.name(), &trouble, out)?
            }
            Content::Squashfs => {
                let (region, name) = (&partition.region, partition.name());
                squashfs::verify_within(region, &name, &mut memory, &trouble, out)?
            }
            _ => None,
        };
    }
    let partitions = partitions.into_iter().map(|(partition, _)| partition).collect();
    let table = layout.map(|layout| layout.table);
    Ok(Disk { bytes, table, block_size, partitions, trouble })
}

/// What a disk is divided by.
enum Found {
    Layout(Layout),
    /// It is not: all of it is this.
    FileSystem(Content),
    Nothing,
}

/// Finds the table that counts, and judges it.
fn tables(disk: &Region, out: &mut Recorder) -> Result<Found, ReadError> {
    let record = match BootRecord::read(disk, Lba(0), BlockSize::B512) {
        Ok(record) => record,
        Err(error) if error.is_defect() => {
            out.expect(&TABLE, false, || {
                (at("disk", 0, disk.len()), "shorter than one block".to_owned())
            });
            return Ok(Found::Nothing);
        }
        Err(error) => return Err(error),
    };
    let content = sniff(disk)?;
    let headers = gpt::find(disk)?;
    // A boot sector of FAT has the same two bytes at its end, and code or text where a table would
    // be. Linux tells them apart in the same way.
    let is_table = record.has_signature() && (!content.is_known() || mbr::is_plausible(&record));
    let announces_gpt = is_table && mbr::announces_gpt(&record);
    let divides = is_table && record.partition_record.iter().any(|entry| !entry.is_empty());
    let primary = headers.filter(|headers| headers.is_primary);

    let is_gpt = announces_gpt
        || headers.is_some_and(|headers| !divides && (headers.is_primary || !content.is_known()));
    out.expect(&TABLE, is_gpt || is_table || content.is_known(), || {
        let message = format!("starts with {}", content.as_str());
        (at("disk", 0, BlockSize::B512.bytes()), message)
    });
    if is_gpt {
        out.expect(&ONE_TABLE, true, || (at("GPT header", 0, 0), String::new()));
        let size = headers.map_or(BlockSize::B512, |headers| headers.block_size);
        let layout = gpt::judge(disk, &record, size, out)?;
        return Ok(layout.map_or(Found::Nothing, Found::Layout));
    }
    out.expect(&ONE_TABLE, primary.is_none(), || {
        let offset = primary.map_or(0, |headers| headers.at.0);
        let message = "a GPT header, and the master boot record does not announce it";
        (at("GPT header", offset, 92), message.to_owned())
    });
    let stale = headers.filter(|headers| !headers.is_primary);
    out.expect(&STALE_GPT, stale.is_none(), || {
        let offset = stale.map_or(0, |headers| headers.at.0);
        let message = "the copy of a GPT header, and no GPT that it belongs to";
        (at("GPT backup header", offset, 92), message.to_owned())
    });
    Ok(if is_table && (divides || !content.is_known()) {
        Found::Layout(mbr::judge(disk, &record, out)?)
    } else if content.is_known() {
        Found::FileSystem(content)
    } else {
        Found::Nothing
    })
}

fn read_partition(disk: &Region, entry: Entry) -> Result<Partition, ReadError> {
    let Entry { number, kind, bootable, label, attributes, extent, at } = entry;
    let start = extent.start.min(disk.len());
    let len = extent.end.min(disk.len()).saturating_sub(start);
    let region = disk.sub("partition", start, len)?;
    let content = sniff(&region)?;
    Ok(Partition {
        number,
        kind,
        bootable,
        label,
        attributes,
        region,
        len: extent.len(),
        entry: ByteOffset(at.offset),
        content,
        volume: None,
    })
}

fn whole_disk(disk: &Region, content: Content) -> Partition {
    Partition {
        number: 0,
        kind: PartitionType::None,
        bootable: false,
        label: None,
        attributes: 0,
        region: disk.clone(),
        len: disk.len(),
        entry: ByteOffset(0),
        content,
        volume: None,
    }
}

/// Judges what a partition holds against what its table says of it.
fn judge_content(partition: &Partition, out: &mut Recorder) {
    let Partition { kind, content, region, .. } = partition;
    let start = region.start();
    let here = || at(partition.name(), start.0, 0);
    if content.is_known() {
        out.expect(&PARTITION_ALIGNMENT, start.0.is_multiple_of(4 << 10), || {
            (here(), format!("starts at {start}, not at a multiple of 4 KiB"))
        });
    }
    let purpose = Purpose::of(*kind);
    let check = if purpose == Purpose::EfiSystem { &ESP_FAT } else { &TYPE_CONTENT };
    out.expect(check, purpose.allows(*content), || {
        let kind = match kind {
            PartitionType::None => String::new(),
            PartitionType::Mbr(kind) => format!("{kind:#04x}"),
            PartitionType::Gpt { kind, .. } => kind.to_string(),
        };
        (here(), format!("{} inside, and type {kind} says {purpose}", content.as_str()))
    });
}
