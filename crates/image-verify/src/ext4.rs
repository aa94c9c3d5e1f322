//! Checks of ext2, ext3 and ext4. Linux, Documentation/filesystems/ext4; in the order of e2fsck.
//!
//! The superblock and the group descriptors come first, then all inodes in the order of their
//! tables with the blocks that they claim, then the directories from the root, then what is
//! counted. What comes later is only judged where what it relies on was sound. No content of a file
//! is read.
//!
//! Every block with metadata belongs to one owner and is read once for it: a claim that fails ends
//! the file that made it. So time and memory follow the size of the file system, whatever is in it.

mod bits;
mod checks;
mod counts;
mod directories;
mod files;
mod groups;
mod index;
mod inodes;
mod map;
mod superblock;

use image_formats::{
    bytes::{ReadError, Region},
    ext4::{Block, Descriptor, Geometry, Ino, Superblock, raw},
};
use image_model::{Check, Location};

use crate::{
    Recorder,
    container::raw_at,
    volume::{Family, Trouble, Volume},
};
use bits::Bits;
pub use checks::*;
use inodes::Entry;

/// Judges the file system in `region`, which people call `name`, and opens it where that is safe.
/// An error is the machine's.
pub fn verify(
    region: &Region,
    name: &str,
    trouble: &Trouble,
    out: &mut Recorder,
) -> Result<Option<Volume>, ReadError> {
    out.announce(CHECKS);
    let whole = region.len() >= Superblock::OFFSET + raw::Superblock::SIZE as u64;
    if !out.expect(&SUPERBLOCK, whole, || {
        let at = superblock::location(region, name, 0);
        (at, format!("{} bytes, not 2048 at least", region.len()))
    }) {
        return Ok(None);
    }
    let superblock = Superblock::read(region)?;
    let Some(geometry) = superblock::verify(region, name, &superblock, out) else {
        return Ok(None);
    };
    let Some(groups) = groups::verify(region, name, &superblock, &geometry, out)? else {
        return Ok(None);
    };
    let mut judge = Judge {
        region,
        name,
        superblock: &superblock,
        geometry: &geometry,
        groups: &groups.descriptors,
        used: groups.used,
        inodes: Vec::new(),
        sound: !superblock.incompat(image_formats::ext4::incompat::RECOVER),
        held: Vec::new(),
        out,
    };
    if !judge.inodes()? {
        return Ok(None);
    }
    judge.journal()?;
    let Some(tree) = judge.directories()? else { return Ok(None) };
    if judge.sound {
        judge.links();
        judge.bitmaps()?;
    }
    if !judge.sound {
        return Ok(None);
    }
    let opaque = files::opaque(&judge.inodes, &tree);
    let files = files::open(region, trouble, opaque);
    let at = superblock::location(region, name, Superblock::OFFSET);
    let files = match files {
        Ok(files) => files,
        Err(reason) => {
            out.expect(&UNREADABLE, false, || (at, reason));
            return Ok(None);
        }
    };
    out.expect(&UNREADABLE, true, || (at.clone(), String::new()));
    Ok(Some(Volume {
        name: name.to_owned(),
        family: Family::Ext,
        format: superblock::format(&superblock),
        label: String::from_utf8_lossy(superblock.label()).into_owned(),
        uuid: uuid(&superblock.raw.s_uuid),
        free_bytes: superblock.free_blocks_count().saturating_mul(u64::from(geometry.block_size)),
        free_inodes: Some(u64::from(superblock.raw.s_free_inodes_count.get())),
        random_seed: random_seed(&superblock),
        at,
        tree,
        files: Box::new(files),
    }))
}

/// The seed of the hashes of names, if it looks drawn at random: a UUID of version 4, as `mke2fs`
/// draws it, and not that of the file system, which is what people take for a fixed one. RFC 9562
/// §5.4.
fn random_seed(superblock: &Superblock) -> Option<String> {
    let words = superblock.raw.s_hash_seed.map(|word| word.get().to_le_bytes());
    let seed: &[u8; 16] = words.as_flattened().try_into().ok()?;
    let random = seed[6] >> 4 == 4 && seed[8] >> 6 == 2;
    (random && *seed != superblock.raw.s_uuid).then(|| uuid(seed))
}

/// A UUID as people write it.
fn uuid(bytes: &[u8; 16]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let (a, b, c, d, e) = (&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
    format!("{a}-{b}-{c}-{d}-{e}")
}

/// A place in the file system: `at` is relative to it.
fn structure(region: &Region, structure: String, at: u64, len: u64) -> Location {
    let offset = region.absolute(at).0;
    raw_at(structure, offset, len)
}

/// Where something is that is judged: it becomes a location only where that is needed.
#[derive(Clone, Copy)]
enum Place {
    Inode(Ino),
    Block(&'static str, Ino, Block),
}

/// A file system whose superblock and descriptors are sound, and what was learned about it so far.
struct Judge<'a, 'o> {
    region: &'a Region,
    name: &'a str,
    superblock: &'a Superblock,
    geometry: &'a Geometry,
    groups: &'a [Descriptor],
    /// Clusters that have an owner.
    used: Bits,
    /// Inodes in use, in the order of their numbers.
    inodes: Vec<Entry>,
    /// Nothing was found so far that makes the counts senseless, or the files unsafe to read.
    sound: bool,
    /// Checks that held at least once.
    held: Vec<&'static Check>,
    out: &'o mut Recorder,
}

impl Judge<'_, '_> {
    /// Records a check that nothing relies on.
    fn note(
        &mut self,
        check: &'static Check,
        holds: bool,
        finding: impl FnOnce(&Self) -> (Location, String),
    ) -> bool {
        let finding = (!holds).then(|| finding(self));
        if finding.is_none() {
            // The recorder looks an id up; what held before is known without that.
            if self.held.iter().any(|held| std::ptr::eq(*held, check)) {
                return true;
            }
            self.held.push(check);
        }
        let nothing = || (structure(self.region, String::new(), 0, 0), String::new());
        self.out.expect(check, holds, || finding.unwrap_or_else(nothing))
    }

    /// Records a check that what comes later relies on.
    fn expect(
        &mut self,
        check: &'static Check,
        holds: bool,
        finding: impl FnOnce(&Self) -> (Location, String),
    ) -> bool {
        self.sound &= holds;
        self.note(check, holds, finding)
    }

    /// Where an inode is, from the start of the file system.
    fn inode_offset(&self, ino: Ino) -> u64 {
        let (group, index) = self.geometry.place(ino);
        let table = self.groups.get(group.0 as usize).map_or(Block(0), Descriptor::inode_table);
        let within = u64::from(index) * u64::from(self.geometry.inode_size);
        self.geometry.offset(table).saturating_add(within)
    }

    fn at_inode(&self, ino: Ino) -> Location {
        let len = u64::from(self.geometry.inode_size);
        let name = format!("{}, ext4 {ino}", self.name);
        structure(self.region, name, self.inode_offset(ino), len)
    }

    fn at_block(&self, what: &str, ino: Ino, block: Block) -> Location {
        let name = format!("{}, ext4 {what} of {ino}", self.name);
        let len = u64::from(self.geometry.block_size);
        structure(self.region, name, self.geometry.offset(block), len)
    }

    fn at(&self, place: Place) -> Location {
        match place {
            Place::Inode(ino) => self.at_inode(ino),
            Place::Block(what, ino, block) => self.at_block(what, ino, block),
        }
    }

    /// Fills `buf` with blocks, which are inside the file system.
    fn read(&self, what: &'static str, block: Block, buf: &mut [u8]) -> Result<(), ReadError> {
        self.region.fill(what, self.geometry.offset(block), buf)
    }

    /// An inode in use.
    fn entry(&self, ino: Ino) -> Option<usize> {
        self.inodes.binary_search_by_key(&ino, |entry| entry.ino).ok()
    }
}
