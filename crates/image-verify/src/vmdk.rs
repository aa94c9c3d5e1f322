//! Judges disks of VMware as they are in appliances: stream-optimized, in one file.

mod checks;

use std::collections::BTreeSet;

use flate2::{Decompress, FlushDecompress, Status};
use image_formats::{
    bytes::{ReadCause, ReadError, Region},
    vmdk::{
        self, MAX_DIRECTORY, TABLE_ENTRIES,
        descriptor::Descriptor,
        raw::{Header, Marker, SECTOR},
    },
};
use image_model::{Check, Location};

pub use checks::*;

use crate::{Recorder, container::raw_at};

/// The largest grain that is decompressed, in sectors. Usual ones have 64 KiB.
const MAX_GRAIN: u64 = 2048;

/// How many entries of tables may lead to no grain before all is given up.
const MAX_LOST: u32 = 1 << 12;

/// The most bytes of grains, all disks of an appliance together.
pub const MAX_INFLATED: u64 = 64 << 30;

/// Judges a disk called `name`, and returns its capacity in bytes where it has one. `budget` is how
/// many bytes of grains may still be decompressed. An error is the machine's.
pub fn verify(
    disk: &Region,
    name: &str,
    budget: &mut u64,
    out: &mut Recorder,
) -> Result<Option<u64>, ReadError> {
    out.announce(CHECKS);
    let mut judge = Judge { disk, name, out, budget, lost: 0 };
    let Some(header) = judge.read("VMDK header", &HEADER, Header::read(disk))? else {
        return Ok(None);
    };
    if !judge.header(&header) {
        return Ok(None);
    }
    let capacity = judge.descriptor(&header)?.unwrap_or(header.capacity.get());
    if let Some(header) = judge.footer(header)?
        && judge.out.expect(&STREAM, is_stream(&header), || {
            let (flags, algorithm) = (header.flags.get(), header.compress_algorithm.get());
            let message = format!(
                "flags {flags:#x} and algorithm {algorithm}: not grains of zlib behind markers"
            );
            (judge_at(disk, name, "VMDK header", 0, SECTOR), message)
        })
    {
        judge.grains(&header, capacity)?;
    }
    Ok(capacity.checked_mul(SECTOR))
}

fn is_stream(header: &Header) -> bool {
    header.is_compressed()
        && header.has_markers()
        && header.compress_algorithm.get() == Header::DEFLATE
}

fn judge_at(disk: &Region, name: &str, structure: &'static str, at: u64, len: u64) -> Location {
    Location { path: Some(name.to_owned()), ..raw_at(structure, disk.absolute(at).0, len) }
}

struct Judge<'a> {
    disk: &'a Region,
    name: &'a str,
    out: &'a mut Recorder,
    budget: &'a mut u64,
    /// How many entries of tables led to no grain.
    lost: u32,
}

impl Judge<'_> {
    fn expect(
        &mut self,
        check: &'static Check,
        holds: bool,
        place: (&'static str, u64, u64),
        message: impl FnOnce() -> String,
    ) -> bool {
        let (disk, name) = (self.disk, self.name);
        let (structure, at, len) = place;
        self.out.expect(check, holds, || (judge_at(disk, name, structure, at, len), message()))
    }

    /// What was read; a finding of `check` where it is not there.
    fn read<T>(
        &mut self,
        structure: &'static str,
        check: &'static Check,
        read: Result<T, ReadError>,
    ) -> Result<Option<T>, ReadError> {
        match read {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_defect() => {
                let at = error.at.0.saturating_sub(self.disk.start().0);
                let limit = matches!(error.cause, ReadCause::OverLimit { .. });
                let check = if limit { &LIMITS } else { check };
                let cause = error.cause.to_string();
                self.expect(check, false, (structure, at, error.len), || {
                    format!("{} bytes of it are needed: {cause}", error.len)
                });
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The numbers in the first sector. False: nothing can be found by them.
    fn header(&mut self, header: &Header) -> bool {
        let place = ("VMDK header", 0, SECTOR);
        let (version, grain) = (header.version.get(), header.grain_size.get());
        let entries = header.num_gtes_per_gt.get();
        let wrong = if !header.has_magic() {
            Some(format!("starts with {}, not KDMV", header.magic_number.escape_ascii()))
        } else if !(1..=3).contains(&version) {
            Some(format!("version {version}, not 1 to 3"))
        } else if !grain.is_power_of_two() || grain <= 8 {
            Some(format!("grains of {grain} sectors, not a power of 2 above 8"))
        } else if entries != TABLE_ENTRIES {
            Some(format!("tables of {entries} entries, not {TABLE_ENTRIES}"))
        } else if header.capacity.get() == 0 || header.tables().is_none() {
            Some(format!("a capacity of {} sectors", header.capacity.get()))
        } else {
            None
        };
        let good = wrong.is_none();
        if !self.expect(&HEADER, good, place, || wrong.unwrap_or_default()) {
            return false;
        }
        let newlines = header.newlines;
        let converted = header.flags.get() & Header::FLAG_NEWLINES != 0;
        self.expect(&NEWLINES, !converted || newlines == Header::NEWLINES, place, || {
            format!("{}, not \\n \\r\\n", newlines.escape_ascii())
        });
        let unclean = header.unclean_shutdown;
        self.expect(&CLOSED, unclean == 0, place, || format!("uncleanShutdown is {unclean}"));
        true
    }

    /// The words that say what the disk is. Returns how many sectors the disk has by them.
    fn descriptor(&mut self, header: &Header) -> Result<Option<u64>, ReadError> {
        let at = header.descriptor_offset.get().saturating_mul(SECTOR);
        let place = ("VMDK descriptor", at, header.descriptor_size.get().saturating_mul(SECTOR));
        let Some(read) = header.descriptor(self.disk) else {
            self.expect(&DESCRIPTOR, false, place, || "there is none".to_owned());
            return Ok(None);
        };
        let Some(bytes) = self.read("VMDK descriptor", &DESCRIPTOR, read)? else {
            return Ok(None);
        };
        let descriptor = Descriptor::parse(&bytes);
        let kind = descriptor.get("createType").unwrap_or("nothing").to_owned();
        let sectors: Option<u64> = descriptor
            .extents
            .iter()
            .map(|extent| extent.sectors.parse::<u64>().ok())
            .try_fold(0_u64, |sum, sectors| sum.checked_add(sectors?));
        let capacity = header.capacity.get();
        // VirtualBox rounds the capacity in the header up to whole grains, and this number not.
        let nominal = sectors.filter(|sectors| {
            let rounded = capacity.checked_sub(*sectors);
            rounded.is_some_and(|more| more < header.grain_size.get())
        });
        let one = descriptor.extents.len() == 1;
        let wrong = if kind != "streamOptimized" {
            Some(format!("createType is {kind}, not streamOptimized"))
        } else if !one || nominal.is_none() {
            let count = descriptor.extents.len();
            let sectors = sectors.map_or("?".to_owned(), |sectors| sectors.to_string());
            Some(format!("{count} extents of {sectors} sectors, not one of {capacity}"))
        } else {
            None
        };
        let good = wrong.is_none();
        self.expect(&DESCRIPTOR, good, place, || wrong.unwrap_or_default());
        let parent = descriptor.get("parentCID").unwrap_or("ffffffff").to_owned();
        self.expect(&PARENT, parent.eq_ignore_ascii_case("ffffffff"), place, || {
            format!("parentCID is {parent}, not ffffffff")
        });
        Ok(nominal.filter(|_| good))
    }

    /// The header that tells where the directory is: the footer, where there is one.
    fn footer(&mut self, header: Header) -> Result<Option<Header>, ReadError> {
        if !header.has_footer() {
            return Ok(Some(header));
        }
        let end = self.disk.len() / SECTOR;
        let read = Header::read_footer(self.disk).and_then(|footer| {
            let marker = |back: u64| Marker::read(self.disk, end.saturating_sub(back));
            Ok((marker(3)?, footer, marker(1)?))
        });
        let Some((before, footer, last)) = self.read("VMDK footer", &FOOTER, read)? else {
            return Ok(None);
        };
        let is_end = last.size.get() == 0 && last.kind() == Marker::END;
        // What else differs is a matter of who wrote it.
        let shape = |header: &Header| {
            (header.capacity, header.grain_size, header.num_gtes_per_gt, header.flags)
        };
        let same = shape(&footer) == shape(&header);
        let wrong = if !self.disk.len().is_multiple_of(SECTOR) {
            Some("the file ends within a sector")
        } else if before.size.get() != 0 || before.kind() != Marker::FOOTER || !footer.has_magic() {
            Some("the last sectors are no footer")
        } else if !is_end {
            Some("the last sector does not end the stream")
        } else if !same || footer.has_footer() {
            Some("the footer differs from the header")
        } else {
            None
        };
        let place = ("VMDK footer", self.disk.len().saturating_sub(3 * SECTOR), 3 * SECTOR);
        let good = wrong.is_none();
        let good = self.expect(&FOOTER, good, place, || wrong.unwrap_or_default().to_owned());
        Ok(good.then_some(footer))
    }

    /// The directory, the tables, and the grains of a disk of `capacity` sectors.
    fn grains(&mut self, header: &Header, capacity: u64) -> Result<(), ReadError> {
        let (disk, grain) = (self.disk, header.grain_size.get());
        let directory_at = header.gd_offset.get().saturating_mul(SECTOR);
        let tables = header.tables().unwrap_or(u64::MAX);
        let within = grain <= MAX_GRAIN && tables.saturating_mul(4) <= MAX_DIRECTORY;
        if !self.expect(&LIMITS, within, ("VMDK header", 0, SECTOR), || {
            let capacity = header.capacity.get();
            format!("{capacity} sectors in grains of {grain}: no grain of it was looked at")
        }) {
            return Ok(());
        }
        let read = header.directory(disk);
        let Some(directory) = self.read("VMDK grain directory", &DIRECTORY, read)? else {
            return Ok(());
        };
        self.expect(&DIRECTORY, true, ("", 0, 0), String::new);
        let mut seen = BTreeSet::new();
        let mut inflate = Inflate::new((grain * SECTOR) as usize);
        for (number, sector) in (0_u64..).zip(directory) {
            if sector == 0 {
                continue;
            }
            let place = ("VMDK grain directory", directory_at.saturating_add(number * 4), 4);
            if !self.expect(&TABLE, seen.insert(sector), place, || {
                format!("entry {number} leads to the table at sector {sector}, as another one does")
            }) {
                continue;
            }
            let read = vmdk::table(disk, sector);
            let Some(table) = self.read("VMDK grain table", &TABLE, read)? else { continue };
            for (index, sector) in (0_u64..).zip(table) {
                // Of those beyond the end of the disk nobody asks; 1 is a grain of zeros.
                let first = (number * u64::from(TABLE_ENTRIES) + index) * grain;
                if sector <= 1 || first >= capacity {
                    continue;
                }
                let wanted = (capacity - first).min(grain) * SECTOR;
                if !self.grain(u64::from(sector), first, wanted, &mut inflate)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// An entry led to no grain. False: enough of them did.
    fn lose(&mut self, sector: u64) -> bool {
        self.lost += 1;
        let place = ("VMDK grain", sector.saturating_mul(SECTOR), 0);
        self.expect(&LIMITS, self.lost < MAX_LOST, place, || {
            format!("{MAX_LOST} entries led to no grain, the others were not looked at")
        })
    }

    /// The grain at `sector` of the file, for the sector `first` of the disk. False: no more grains
    /// are read.
    fn grain(
        &mut self,
        sector: u64,
        first: u64,
        wanted: u64,
        inflate: &mut Inflate,
    ) -> Result<bool, ReadError> {
        let read = Marker::read(self.disk, sector);
        let Some(marker) = self.read("VMDK grain", &GRAIN_MARKER, read)? else {
            return Ok(self.lose(sector));
        };
        let (at, size) = (sector * SECTOR, u64::from(marker.size.get()));
        let place = ("VMDK grain", at, Marker::DATA + size);
        let full = inflate.buffer.len() as u64;
        // zlib adds some bytes to what it cannot compress.
        let fits = size > 0 && size <= full * 2;
        if !self.expect(&GRAIN_MARKER, fits && marker.val.get() == first, place, || {
            let found = marker.val.get();
            format!("{size} bytes for sector {found}, not a grain for sector {first}")
        }) {
            return Ok(self.lose(sector));
        }
        let within = *self.budget >= full;
        if !self.expect(&LIMITS, within, place, || "grains from here on were not looked at".into())
        {
            return Ok(false);
        }
        *self.budget -= full;
        let read = self.disk.bytes("VMDK grain", at + Marker::DATA, size, full * 2);
        let Some(data) = self.read("VMDK grain", &GRAIN_DATA, read)? else { return Ok(true) };
        let inflated = inflate.run(&data);
        let good = inflated.as_ref().is_ok_and(|len| *len >= wanted);
        self.expect(&GRAIN_DATA, good, place, || match inflated {
            Ok(len) => format!("{len} bytes for sector {first}, not {wanted}"),
            Err(error) => format!("the grain for sector {first} cannot be decompressed: {error}"),
        });
        Ok(true)
    }
}

/// Decompresses one grain after the other into the same memory.
struct Inflate {
    stream: Decompress,
    buffer: Vec<u8>,
}

impl Inflate {
    fn new(len: usize) -> Self {
        Self { stream: Decompress::new(true), buffer: vec![0; len] }
    }

    /// How many bytes come out.
    fn run(&mut self, data: &[u8]) -> Result<u64, &'static str> {
        self.stream.reset(true);
        match self.stream.decompress(data, &mut self.buffer, FlushDecompress::Finish) {
            Ok(Status::StreamEnd) => Ok(self.stream.total_out()),
            Ok(_) if self.stream.total_out() == self.buffer.len() as u64 => {
                Err("more than one grain comes out")
            }
            Ok(_) => Err("the data end too early"),
            // The words of the library tell no more.
            Err(_) => Err("the data are damaged"),
        }
    }
}
