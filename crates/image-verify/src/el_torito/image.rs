//! Boot images: where they lie, and what firmware makes of them.

use std::{mem::offset_of, rc::Rc};

use image_formats::{
    bytes::{ReadError, Region},
    el_torito::{
        Emulation, Head, SECTOR,
        raw::{BootRecord as Descriptor, Entry},
    },
    fat::{Geometry, raw::BootSector},
    mbr::raw::{BootRecord, PartitionRecord},
    units::{BlockSize, ByteOffset, Lba},
};
use image_model::Location;

use super::{
    BootImage, EFI_FAT, EFI_SIZE, FLOPPY, HARD_DISK, IMAGE_FILE, IMAGE_HIDDEN, IMAGE_LENGTH,
    IMAGE_PLACE, IMAGE_ZERO, Judge, LOAD_SEGMENT, LOADER_START, Loader, SECTOR_COUNT,
    SECTOR_COUNT_FEW, SECTOR_COUNT_USUAL, catalog::Listed,
};
use crate::{
    Recorder,
    disk::{Content, at, sniff},
    fat,
    tree::{Kind, NodeId, Tree, display},
    volume::{Trouble, Volume},
};

/// Where a BIOS loads an image whose entry does not say.
const DEFAULT_SEGMENT: u16 = 0x7c0;

/// What a PC has for programs, in bytes: from the end of the tables of the BIOS to the screen.
const MEMORY: std::ops::Range<u64> = 0x600..0xa_0000;

/// The most file systems for UEFI that are judged: discs have one.
const MAX_FATS: usize = 16;

/// The file systems for UEFI that were judged: two tables may lead to one of them.
pub(crate) struct Fats<'a> {
    trouble: &'a Trouble,
    opened: Vec<(Region, Option<Rc<Volume>>)>,
}

impl<'a> Fats<'a> {
    pub(crate) fn new(trouble: &'a Trouble) -> Self {
        Self { trouble, opened: Vec::new() }
    }

    /// Judges the file system in `region`, which people call `name`, if none did so far.
    pub(crate) fn open(
        &mut self,
        region: &Region,
        name: &str,
        out: &mut Recorder,
    ) -> Result<Option<Rc<Volume>>, ReadError> {
        let need = fat_len(region)?.unwrap_or(u64::MAX);
        let same = |(other, _): &&(Region, _)| {
            other.start() == region.start() && other.len().min(need) == region.len().min(need)
        };
        if let Some((_, volume)) = self.opened.iter().find(same) {
            return Ok(volume.clone());
        }
        if self.opened.len() == MAX_FATS {
            return Ok(None);
        }
        let volume = fat::verify(region, name, self.trouble, out)?.map(Rc::new);
        self.opened.push((region.clone(), volume.clone()));
        Ok(volume)
    }
}

/// How many bytes the FAT that starts here has by its boot sector.
pub(crate) fn fat_len(region: &Region) -> Result<Option<u64>, ReadError> {
    if region.len() < 512 {
        return Ok(None);
    }
    Ok(Geometry::of(&BootSector::read(region, 0)?).map(|geometry| geometry.len))
}

/// The files of a disc by their places.
pub(super) struct Files<'a> {
    volume: Option<&'a Volume>,
    /// Start, end and file.
    extents: Vec<(u64, u64, NodeId)>,
}

impl<'a> Files<'a> {
    pub(super) fn of(volume: Option<&'a Volume>) -> Self {
        let files = volume.iter().flat_map(|volume| {
            volume.tree.below(Tree::ROOT).filter_map(|id| {
                matches!(volume.tree.node(id).kind, Kind::File(_)).then_some(())?;
                let region = volume.region(id)?;
                let start = region.start().0;
                Some((start, start.saturating_add(region.len()), id))
                    .filter(|(from, to, _)| from < to)
            })
        });
        let mut extents: Vec<_> = files.collect();
        extents.sort_unstable();
        Self { volume, extents }
    }

    /// The file that has this byte, with its extent.
    fn at(&self, byte: u64) -> Option<(u64, u64, NodeId)> {
        let after = self.extents.partition_point(|(start, ..)| *start <= byte);
        // Of files that share bytes, one that starts here.
        let before = self.extents[..after].iter().rev().take_while(|(start, ..)| *start == byte);
        let here = before.last().or_else(|| self.extents[..after].last());
        here.copied().filter(|(_, end, _)| byte < *end)
    }

    fn name(&self, id: NodeId) -> String {
        self.volume.map_or(String::new(), |volume| display(&volume.tree.path(id)))
    }
}

/// An image, while it is judged.
pub(super) struct Image<'a> {
    pub(super) listed: &'a Listed,
    /// From its first byte to the end of the disc.
    pub(super) rest: Region,
    /// How many bytes its file has, if it is one.
    pub(super) file_len: Option<u64>,
}

impl Image<'_> {
    /// Where so many bytes of it are.
    pub(super) fn at(&self, from: u64, len: u64) -> Location {
        at(format!("boot image {}", self.listed.number), self.rest.absolute(from).0, len)
    }
}

impl Judge<'_> {
    /// Judges the image that an entry leads to, in a volume of so many bytes.
    pub(super) fn image(
        &mut self,
        listed: &Listed,
        files: &Files<'_>,
        volume_size: Option<u64>,
        fats: &mut Fats<'_>,
    ) -> Result<Option<BootImage>, ReadError> {
        let entry = &listed.entry;
        let emulation = entry.emulation().unwrap_or(Emulation::None);
        let start = entry.offset();
        let inside = self.place(listed, emulation, start);
        let from = start.min(self.disc.len());
        let rest = self.disc.sub("boot image", from, self.disc.len() - from)?;
        let file = files.at(start);
        let own = file.filter(|(first, ..)| *first == start);
        let mut found = BootImage {
            number: listed.number,
            platform: listed.platform,
            bootable: entry.boot_indicator == Entry::BOOTABLE,
            emulation: entry.media_type & Entry::EMULATION,
            sector_count: entry.sector_count.get(),
            region: rest.sub("boot image", 0, 0)?,
            file: own.map(|(.., id)| id),
            loader: Loader::Other,
            entry: ByteOffset(listed.at),
            listed: listed.sound,
            sound: false,
            volume: None,
        };
        if rest.is_empty() || !inside && start <= Descriptor::SECTOR * SECTOR {
            return Ok(Some(found));
        }
        let file_len = own.map(|(first, end, _)| end - first);
        let image = Image { listed, rest, file_len };
        self.zero(&image)?;
        self.file(&image, files, file);
        let len = match (listed.platform, emulation) {
            (BootImage::UEFI, _) => self.efi(&image, emulation, volume_size, fats, &mut found)?,
            (_, Emulation::Floppy(len)) => self.floppy(&image, len),
            (_, Emulation::HardDisk) => self.hard_disk(&image)?,
            (BootImage::BIOS, Emulation::None) => self.bios(&image, &mut found)?,
            (_, Emulation::None) => file_len.unwrap_or(entry.loaded()),
        };
        found.region = image.rest.sub("boot image", 0, len.min(image.rest.len()))?;
        found.sound = self.sound;
        Ok(Some(found))
    }

    fn place(&mut self, listed: &Listed, emulation: Emulation, start: u64) -> bool {
        let len = match emulation {
            Emulation::None => listed.entry.loaded(),
            Emulation::Floppy(len) => len,
            Emulation::HardDisk => 512,
        };
        let behind = start > Descriptor::SECTOR * SECTOR;
        let end = start.saturating_add(len.max(1));
        let have = self.disc.len();
        self.expect(&IMAGE_PLACE, behind && end <= have, || {
            let message = if behind {
                format!("{len} bytes at {start:#x}, and the disc ends at {have:#x}")
            } else {
                format!("at {start:#x}, where the volume descriptors are")
            };
            (listed.field(offset_of!(Entry, load_rba), 4), message)
        })
    }

    fn zero(&mut self, image: &Image<'_>) -> Result<(), ReadError> {
        let len = image.rest.len().min(SECTOR);
        let head = image.rest.bytes("boot image", 0, len, SECTOR)?;
        let is_zero = head.iter().all(|byte| *byte == 0);
        self.expect(&IMAGE_ZERO, !is_zero, || {
            (image.at(0, len), format!("its first {len} bytes are zero"))
        });
        Ok(())
    }

    fn file(&mut self, image: &Image<'_>, files: &Files<'_>, file: Option<(u64, u64, NodeId)>) {
        if files.volume.is_none() {
            return;
        }
        let listed = image.listed;
        let place = || listed.field(offset_of!(Entry, load_rba), 4);
        self.expect(&IMAGE_HIDDEN, file.is_some(), || {
            (place(), format!("no file of the disc has {}", image.rest.start()))
        });
        let Some((first, end, id)) = file else { return };
        let start = image.rest.start().0;
        if !self.expect(&IMAGE_FILE, first == start, || {
            let name = files.name(id);
            (place(), format!("at {start:#x}, in the middle of {name}, which starts at {first:#x}"))
        }) {
            return;
        }
        let loaded = listed.entry.loaded();
        let sectors = (end - first).next_multiple_of(SECTOR);
        let emulated = !matches!(listed.entry.emulation(), Some(Emulation::None));
        self.expect(&IMAGE_LENGTH, emulated || loaded <= sectors, || {
            let message = format!("{loaded} bytes, and {} has {}", files.name(id), end - first);
            (listed.field(offset_of!(Entry, sector_count), 2), message)
        });
    }

    /// An image that a BIOS loads. Returns its length.
    fn bios(&mut self, image: &Image<'_>, found: &mut BootImage) -> Result<u64, ReadError> {
        let entry = &image.listed.entry;
        let head = Head::of(&image.rest)?;
        found.loader = match head {
            Head::Isolinux => Loader::Isolinux,
            Head::Grub => Loader::Grub,
            Head::Unknown => Loader::Other,
        };
        let is_known = found.loader != Loader::Other;
        if is_known && image.rest.len() >= SECTOR {
            let starts = head.starts(&image.rest)?.unwrap_or(true);
            self.expect(&LOADER_START, starts, || {
                (image.at(0, 8), "no jump over the boot information table".to_owned())
            });
        }
        self.sector_count(image, 4);
        if is_known {
            let count = entry.sector_count.get();
            self.expect(&SECTOR_COUNT_FEW, count == 0 || count >= 4, || {
                let place = image.listed.field(offset_of!(Entry, sector_count), 2);
                (place, format!("{count} sectors, not 4 or more"))
            });
        }
        let (segment, loaded) = (entry.load_segment.get(), entry.loaded());
        let first = u64::from(if segment == 0 { DEFAULT_SEGMENT } else { segment }) * 16;
        let last = first + loaded;
        let is_usual = first == u64::from(DEFAULT_SEGMENT) * 16;
        // Of other programs it is not known how much of them is needed, nor whether a PC runs them.
        let fits = MEMORY.contains(&first) && (!is_known || is_usual && last <= MEMORY.end);
        self.expect(&LOAD_SEGMENT, fits, || {
            let place = image.listed.field(offset_of!(Entry, load_segment), 2);
            let message = format!("{loaded:#x} bytes to {first:#x}");
            let message = match is_known {
                true => format!("{message}, not to 0x7c00, where the program runs"),
                false => {
                    format!("{message}, and memory is {:#x} to {:#x}", MEMORY.start, MEMORY.end)
                }
            };
            (place, message)
        });
        let table = self.info(image, found.loader)?;
        Ok(table.or(image.file_len).unwrap_or(loaded))
    }

    /// Judges how much a BIOS is told to load: every BIOS loads `usual` sectors.
    fn sector_count(&mut self, image: &Image<'_>, usual: u16) {
        let count = image.listed.entry.sector_count.get();
        let place = || image.listed.field(offset_of!(Entry, sector_count), 2);
        self.expect(&SECTOR_COUNT, count > 0, || (place(), "no sector".to_owned()));
        self.expect(&SECTOR_COUNT_USUAL, count == usual, || {
            (place(), format!("{count} sectors, not {usual} as usual"))
        });
    }

    fn floppy(&mut self, image: &Image<'_>, len: u64) -> u64 {
        self.sector_count(image, 1);
        let file = image.file_len.unwrap_or(len);
        self.expect(&FLOPPY, file == len, || {
            let place = image.listed.field(offset_of!(Entry, media_type), 1);
            (place, format!("a floppy of {len} bytes, and the file has {file}"))
        });
        len
    }

    fn hard_disk(&mut self, image: &Image<'_>) -> Result<u64, ReadError> {
        self.sector_count(image, 1);
        if image.rest.len() < 512 {
            return Ok(image.rest.len());
        }
        let record = BootRecord::read(&image.rest, Lba(0), BlockSize::B512)?;
        let mut used = record.partition_record.iter().filter(|entry| entry.is_used());
        let (first, second) = (used.next(), used.next());
        let kind = image.listed.entry.system_type;
        let holds = record.has_signature()
            && second.is_none()
            && first.is_some_and(|partition| partition.os_type == kind);
        self.expect(&HARD_DISK, holds, || {
            let types = record.partition_record.map(|entry| format!("{:#04x}", entry.os_type));
            let message =
                format!("partitions of types {}, not one of {kind:#04x}", types.join(", "));
            (image.at(0, BootRecord::SIZE as u64), message)
        });
        let end = |partition: &PartitionRecord| {
            let end = partition.starting_lba.get().saturating_add(partition.size_in_lba.get());
            u64::from(end) * 512
        };
        Ok(image.file_len.or(first.map(end)).unwrap_or(512))
    }

    /// An image that UEFI firmware makes a disk of. Returns its length.
    fn efi(
        &mut self,
        image: &Image<'_>,
        emulation: Emulation,
        volume_size: Option<u64>,
        fats: &mut Fats<'_>,
        found: &mut BootImage,
    ) -> Result<u64, ReadError> {
        let listed = image.listed;
        let start = image.rest.start().0;
        let have = image.rest.len();
        let all = listed.entry.sector_count.get() < 2;
        let view = if let Emulation::Floppy(len) = emulation {
            len
        } else if all {
            // What lies behind the volume ends with the disc.
            let end = volume_size.filter(|end| *end > start).unwrap_or(u64::MAX);
            end.min(start.saturating_add(have)).saturating_sub(start)
        } else {
            listed.entry.loaded().next_multiple_of(SECTOR)
        };
        let is_fat = sniff(&image.rest)? == Content::Fat;
        self.expect(&EFI_FAT, is_fat, || (image.at(0, 512), "no FAT".to_owned()));
        let need = fat_len(&image.rest)?.filter(|_| is_fat);
        let len = match image.file_len {
            Some(len) => len.next_multiple_of(512),
            None if all => need.unwrap_or(view),
            None => need.map_or(view, |need| need.max(view)),
        };
        let len = len.min(have);
        if let Some(need) = need {
            self.expect(&EFI_SIZE, need <= view, || {
                let count = listed.entry.sector_count.get();
                let place = listed.field(offset_of!(Entry, sector_count), 2);
                (
                    place,
                    format!("{count} sectors make {view} bytes, and the file system has {need}"),
                )
            });
            let region = image.rest.sub("boot image", 0, len)?;
            let name = format!("boot image {}", listed.number);
            found.volume = fats.open(&region, &name, self.out)?;
        }
        Ok(len)
    }
}
