//! Checks of the GUID partition table. UEFI 2.10, §5.3.
//!
//! There are two copies of it. Both are judged in the same way; what firmware would take is what
//! the partitions are read from: the first copy whose checksums hold.

mod copy;
mod protective;

use std::collections::BTreeMap;

use image_formats::{
    bytes::{ReadError, Region},
    gpt::{
        Guid, Header,
        raw::{self, PartitionEntry},
    },
    mbr::raw::BootRecord,
    units::{BlockSize, ByteOffset, Lba},
};
use image_model::Location;

use crate::{
    Recorder,
    disk::{Entry, Extent, Layout, PartitionType, Table},
    mbr,
};
use copy::{Copy, Role};

checks! {
    /// All checks of this format, in the order they are evaluated.
    CHECKS:

    /// In front of a GPT is a master boot record with an entry of type 0xee that starts at LBA 1,
    /// so that programs that know no GPT keep off. Without it Linux, U-Boot and UEFI firmware do
    /// not look for a GPT.
    PROTECTIVE_MBR = "gpt-protective-mbr", Error;
    reads "OSType and StartingLBA of the four entries of the master boot record";
    spec "UEFI 2.10 §5.2.3; Linux block/partitions/efi.c is_pmbr_valid";

    /// The entry of type 0xee does not cover the disk, unless other entries share it (a hybrid
    /// master boot record). The image was cut or grown after its table was made. 0xffffffff is
    /// right for every disk: many programs write nothing else.
    PROTECTIVE_SIZE = "gpt-protective-size", Warning;
    reads "SizeInLBA of the entry of type 0xee, and the length of the raw bytes";
    spec "UEFI 2.10 §5.2.3";

    /// A hybrid master boot record shows partitions of the GPT to programs that know none. An entry
    /// of it is none of the GPT: a tool changed one table and not the other, and programs that read
    /// different ones overwrite each other's data.
    HYBRID_MBR = "gpt-hybrid-mbr", Error;
    reads "the entries of the master boot record beside the one of type 0xee";
    spec "sgdisk(8), --hybrid; Linux block/partitions/efi.c GPT_MBR_HYBRID";

    /// Firmware takes a block for a GPT header only if it starts with `EFI PART`: at LBA 1, and for
    /// the copy at AlternateLBA, which is the last block.
    SIGNATURE = "gpt-signature", Error;
    reads "Signature of both headers";
    spec "UEFI 2.10 §5.3.2";

    /// A header has at least 92 bytes, and at most a block. Firmware ignores others.
    HEADER_SIZE = "gpt-header-size", Error;
    reads "HeaderSize of both headers";
    spec "UEFI 2.10 §5.3.2; Linux block/partitions/efi.c is_gpt_valid";

    /// Firmware ignores a header whose checksum is wrong, and then looks for the copy.
    HEADER_CRC = "gpt-header-crc", Error;
    reads "HeaderSize bytes of both headers, with HeaderCRC32 taken as zero";
    spec "UEFI 2.10 §5.3.2";

    /// There is one revision of the header, 1.0. Nobody knows how to read another.
    REVISION = "gpt-revision", Warning;
    reads "Revision of both headers";
    spec "UEFI 2.10 §5.3.2";

    /// What follows the known fields up to the end of the block is reserved, and zero. It is not
    /// covered by the checksum: nothing else notices that it is damaged.
    RESERVED = "gpt-reserved", Warning;
    reads "Reserved and the rest of the block of both headers";
    spec "UEFI 2.10 §5.3.2";

    /// A header that was copied to another block is not valid there.
    MY_LBA = "gpt-my-lba", Error;
    reads "MyLBA of both headers";
    spec "UEFI 2.10 §5.3.2";

    /// Each header says where the other is. The one at LBA 1 leads out of the disk where the image
    /// was cut short: what was at its end is lost, the second table at least.
    ALTERNATE_LBA = "gpt-alternate-lba", Error;
    reads "AlternateLBA of both headers, and the length of the raw bytes";
    spec "UEFI 2.10 §5.3.2";

    /// The second table belongs to the last block. Where the disk goes on after it the image was
    /// grown without its table: the rest of the disk is not usable, and programs that look for the
    /// copy in the last block do not find it.
    ALTERNATE_LAST = "gpt-alternate-last", Warning;
    reads "AlternateLBA of the header at LBA 1, and the length of the raw bytes";
    spec "UEFI 2.10 §5.3.1";

    /// The size of an entry is 128 × 2ⁿ bytes. Firmware ignores a table with another.
    ENTRY_SIZE = "gpt-entry-size", Error;
    reads "SizeOfPartitionEntry of both headers";
    spec "UEFI 2.10 §5.3.2";

    /// The specification allows larger entries, and Linux reads none but those of 128 bytes: it
    /// sees no partitions at all.
    ENTRY_SIZE_LINUX = "gpt-entry-size-linux", Error;
    reads "SizeOfPartitionEntry of both headers";
    spec "Linux block/partitions/efi.c is_gpt_valid";

    /// The entry array lies in the disk, behind LBA 1, not over a header, and has at most 4 MiB,
    /// which is the most that Linux reads.
    ENTRY_ARRAY = "gpt-entry-array", Error;
    reads "PartitionEntryLBA, NumberOfPartitionEntries, SizeOfPartitionEntry of both headers";
    spec "UEFI 2.10 §5.3.1; Linux block/partitions/efi.c is_gpt_valid";

    /// Firmware ignores a table whose entries do not match their checksum.
    ENTRIES_CRC = "gpt-entries-crc", Error;
    reads "both entry arrays";
    spec "UEFI 2.10 §5.3.2";

    /// The blocks that partitions may use lie between the two tables. Where they do not, the next
    /// partition that a tool makes destroys one.
    USABLE_RANGE = "gpt-usable-range", Error;
    reads "FirstUsableLBA and LastUsableLBA of both headers";
    spec "UEFI 2.10 §5.3.1";

    /// Both copies say the same, and do not: what a user sees depends on which copy is read. Some
    /// tool changed one of them.
    COPIES_AGREE = "gpt-copies-agree", Error;
    reads "both headers, as far as their checksums hold";
    spec "UEFI 2.10 §5.3.2";

    /// A partition lies where none may be, or ends before it starts.
    PARTITION_RANGE = "gpt-partition-range", Error;
    reads "StartingLBA and EndingLBA of all entries in use";
    spec "UEFI 2.10 §5.3.3";

    /// The disk and each partition has a GUID, different from all others. `PARTUUID=` finds any of
    /// those that share one.
    GUIDS = "gpt-guids", Error;
    reads "DiskGUID, and UniquePartitionGUID of all entries in use";
    spec "UEFI 2.10 §5.3.3";

    /// Bits 3 to 47 of the attributes are reserved, and zero.
    ATTRIBUTES = "gpt-attributes", Warning;
    reads "Attributes of all entries in use";
    spec "UEFI 2.10 §5.3.3";

    /// More than one partition has the attribute *legacy BIOS bootable*. Boot code for a PC takes
    /// the first or stops; U-Boot looks for a system to start in one after the other.
    BOOTABLE = "gpt-bootable", Warning;
    reads "bit 2 of Attributes of all entries in use";
    spec "UEFI 2.10 §5.3.3; Syslinux mbr/gptmbr.S";

    /// The name of a partition is UTF-16. What is not shows differently in each program, and
    /// `PARTLABEL=` does not find it.
    NAME = "gpt-name", Warning;
    reads "PartitionName of all entries in use";
    spec "UEFI 2.10 §5.3.3";
}

/// Where a header says that it is one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Headers {
    pub(crate) block_size: BlockSize,
    /// It is at LBA 1, and not only at the end of the disk.
    pub(crate) is_primary: bool,
    pub(crate) at: ByteOffset,
}

/// Looks for headers, for both sizes of blocks, at LBA 1 and at the end: what is whole comes first.
pub(crate) fn find(disk: &Region) -> Result<Option<Headers>, ReadError> {
    let mut best = None;
    for block_size in [BlockSize::B512, BlockSize::B4096] {
        let last = (disk.len() / block_size.bytes()).saturating_sub(1);
        for lba in [1, last] {
            if lba == 0 || lba > last {
                continue;
            }
            let header = Header::read(disk, Lba(lba), block_size)?;
            let is_whole = header.crc32() == Some(header.raw.header_crc32.get());
            let is_primary = lba == 1;
            // A copy lies at the end of what it was made for only if it says so: the end of a disk
            // may also hold a file that is a disk.
            if !header.has_signature() || !is_primary && header.raw.my_lba != lba {
                continue;
            }
            let at = ByteOffset(lba.saturating_mul(block_size.bytes()));
            let rank = (is_primary, is_whole);
            if best.is_none_or(|(other, _)| rank > other) {
                best = Some((rank, Headers { block_size, is_primary, at }));
            }
        }
    }
    Ok(best.map(|(_, headers)| headers))
}

/// The table of a disk whose first block is `record`; `None` if there is none that could be read.
pub(crate) fn judge(
    disk: &Region,
    record: &BootRecord,
    size: BlockSize,
    out: &mut Recorder,
) -> Result<Option<Layout>, ReadError> {
    out.announce(mbr::CHECKS);
    out.announce(CHECKS);
    let last = (disk.len() / size.bytes()).saturating_sub(1);
    if mbr::judge_signature(record, out) {
        mbr::judge_boot_indicators(record, Lba(0), protective::NAME, out);
        protective::judge(record, last, out);
    }
    let copies = judge_copies(disk, size, Backup::Needed, out)?;
    let Some(copy) = copies.best() else { return Ok(None) };
    let entries = judge_entries(copy, size, Ranges::Usable, out);
    if record.has_signature() {
        protective::judge_hybrid(record, &entries, size, out);
    }
    let mut reserved = vec![("MBR".into(), Extent::of_blocks(Lba(0), 1, size))];
    copies.each().for_each(|copy| reserved.extend(copy.extents(size)));
    let table = Table::Gpt { guid: Guid(copy.header.raw.disk_guid) };
    Ok(Some(Layout { table, block_size: size, entries, extended: Vec::new(), reserved }))
}

/// What the GPT of a disc says.
pub(crate) struct OfDisc {
    /// The partitions that firmware would read.
    pub(crate) entries: Vec<Entry>,
    /// The blocks that they may use.
    pub(crate) usable: Extent,
    /// There is a copy at the end.
    pub(crate) has_backup: bool,
    /// Firmware takes one of the copies.
    pub(crate) holds: bool,
}

/// The GPT of a disc whose first block is `record`, and which is also a disk. One that no master
/// boot record announces is for who looks for nothing else, and its partitions may overlap and
/// start at the first block. `None` if there is no table that could be read.
pub(crate) fn judge_disc(
    disc: &Region,
    record: &BootRecord,
    out: &mut Recorder,
) -> Result<Option<OfDisc>, ReadError> {
    out.announce(CHECKS);
    let size = BlockSize::B512;
    let is_announced = mbr::announces_gpt(record);
    if is_announced {
        let last = (disc.len() / size.bytes()).saturating_sub(1);
        protective::judge(record, last, out);
    }
    let copies = judge_copies(disc, size, Backup::Optional, out)?;
    let Some(copy) = copies.best() else { return Ok(None) };
    let ranges = if is_announced { Ranges::Usable } else { Ranges::Any };
    let entries = judge_entries(copy, size, ranges, out);
    if is_announced {
        protective::judge_hybrid(record, &entries, size, out);
    }
    let header = &copy.header.raw;
    let (first, last) = (header.first_usable_lba.get(), header.last_usable_lba.get());
    let usable = Extent::of_blocks(Lba(first), last.saturating_add(1).saturating_sub(first), size);
    let (has_backup, holds) = (copies.backup.is_some(), copy.holds());
    Ok(Some(OfDisc { entries, usable, has_backup, holds }))
}

/// Both copies of a table.
struct Copies {
    primary: Option<Copy>,
    backup: Option<Copy>,
}

impl Copies {
    fn each(&self) -> impl Iterator<Item = &Copy> {
        self.primary.iter().chain(&self.backup)
    }

    /// The one that firmware takes.
    fn best(&self) -> Option<&Copy> {
        let readable = || self.each().filter(|copy| copy.entries.is_some());
        readable().find(|copy| copy.holds()).or_else(|| readable().next())
    }
}

/// Whether there must be a copy at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backup {
    /// Where it is missing the table is not whole.
    Needed,
    /// It is judged where it is there.
    Optional,
}

fn judge_copies(
    disk: &Region,
    size: BlockSize,
    wanted: Backup,
    out: &mut Recorder,
) -> Result<Copies, ReadError> {
    let last = (disk.len() / size.bytes()).saturating_sub(1);
    let primary = Copy::judge(Role::Primary, Lba(1), disk, size, out)?;
    let alternate = match &primary {
        Some(primary) if primary.header_holds => primary.header.raw.alternate_lba.get(),
        _ => last,
    };
    let is_there = (2..=last).contains(&alternate)
        && (wanted == Backup::Needed || Header::read(disk, Lba(alternate), size)?.has_signature());
    let backup =
        if is_there { Copy::judge(Role::Backup, Lba(alternate), disk, size, out)? } else { None };
    if let (Some(primary), Some(backup)) = (&primary, &backup)
        && primary.header_holds
        && backup.header_holds
    {
        judge_agreement(&primary.header.raw, backup, out);
    }
    Ok(Copies { primary, backup })
}

/// Where partitions may lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ranges {
    /// In the blocks that the header calls usable.
    Usable,
    /// Anywhere.
    Any,
}

/// Judges what both headers say.
fn judge_agreement(primary: &raw::Header, backup: &Copy, out: &mut Recorder) {
    let other = &backup.header.raw;
    let differ = [
        ("Revision", primary.revision != other.revision),
        ("HeaderSize", primary.header_size != other.header_size),
        ("FirstUsableLBA", primary.first_usable_lba != other.first_usable_lba),
        ("LastUsableLBA", primary.last_usable_lba != other.last_usable_lba),
        ("DiskGUID", primary.disk_guid != other.disk_guid),
        (
            "NumberOfPartitionEntries",
            primary.number_of_partition_entries != other.number_of_partition_entries,
        ),
        ("SizeOfPartitionEntry", primary.size_of_partition_entry != other.size_of_partition_entry),
        (
            "PartitionEntryArrayCRC32, so the entries",
            primary.partition_entry_array_crc32 != other.partition_entry_array_crc32,
        ),
    ];
    let differ: Vec<_> = differ.iter().filter(|(_, differs)| *differs).map(|(f, _)| *f).collect();
    out.expect(&COPIES_AGREE, differ.is_empty(), || {
        let message = format!("not as in the header at LBA 1: {}", differ.join("; "));
        (backup.at(0, raw::Header::SIZE), message)
    });
}

/// Judges the entries in use.
fn judge_entries(copy: &Copy, size: BlockSize, ranges: Ranges, out: &mut Recorder) -> Vec<Entry> {
    let header = &copy.header.raw;
    let disk_guid = Guid(header.disk_guid);
    out.expect(&GUIDS, disk_guid != Guid::ZERO, || {
        (copy.at(std::mem::offset_of!(raw::Header, disk_guid), 16), "zero".to_owned())
    });
    let mut owners = BTreeMap::from([(disk_guid, 0_u32)]);
    let mut bootable: Option<u32> = None;
    let mut entries = Vec::new();
    for (index, entry) in copy.entries.iter().flat_map(|array| array.entries()).enumerate() {
        if !entry.is_used() {
            continue;
        }
        let number = (index + 1) as u32;
        let place = copy.entry_at(index, size);
        if ranges == Ranges::Usable {
            judge_range(number, &entry, header, &place, out);
        }
        let unique = Guid(entry.unique_partition_guid);
        let other = owners.get(&unique).copied();
        out.expect(&GUIDS, unique != Guid::ZERO && other.is_none(), || {
            let message = match other {
                _ if unique == Guid::ZERO => format!("partition {number} has no GUID"),
                Some(0) | None => format!("partition {number} has the GUID of the disk, {unique}"),
                Some(other) => {
                    format!("partition {number} has the GUID of partition {other}, {unique}")
                }
            };
            (place.clone(), message)
        });
        owners.entry(unique).or_insert(number);
        let attributes = entry.attributes.get();
        let reserved = attributes & PartitionEntry::RESERVED;
        out.expect(&ATTRIBUTES, reserved == 0, || {
            let message =
                format!("partition {number} has {reserved:#x} of the reserved bits, not 0");
            (place.clone(), message)
        });
        let is_bootable = attributes & PartitionEntry::LEGACY_BIOS_BOOTABLE != 0;
        if is_bootable {
            out.expect(&BOOTABLE, bootable.is_none(), || {
                let other = bootable.unwrap_or_default();
                (place.clone(), format!("partition {number} is bootable, and partition {other} is"))
            });
            bootable.get_or_insert(number);
        }
        let name = String::from_utf16(&entry.name());
        out.expect(&NAME, name.is_ok(), || {
            let name = String::from_utf16_lossy(&entry.name());
            (place.clone(), format!("the name of partition {number} is not UTF-16: {name:?}"))
        });
        let first = entry.starting_lba.get();
        let count = entry.ending_lba.get().saturating_add(1).saturating_sub(first);
        entries.push(Entry {
            number,
            kind: PartitionType::Gpt { kind: Guid(entry.partition_type_guid), unique },
            bootable: is_bootable,
            label: Some(name.unwrap_or_else(|_| String::from_utf16_lossy(&entry.name()))),
            attributes,
            extent: Extent::of_blocks(Lba(first), count, size),
            at: place,
        });
    }
    entries
}

fn judge_range(
    number: u32,
    entry: &PartitionEntry,
    header: &raw::Header,
    place: &Location,
    out: &mut Recorder,
) {
    let (first, last) = (entry.starting_lba.get(), entry.ending_lba.get());
    let usable = header.first_usable_lba.get()..=header.last_usable_lba.get();
    let is_usable = first <= last && usable.contains(&first) && usable.contains(&last);
    out.expect(&PARTITION_RANGE, is_usable, || {
        let (from, to) = usable.into_inner();
        let message =
            format!("partition {number} is LBA {first} to {last}, and usable are {from} to {to}");
        (place.clone(), message)
    });
}
