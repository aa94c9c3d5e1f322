//! The files of a volume that was found to be safe: a second, plain walk, because what judges needs
//! no names in memory.

use std::collections::{BTreeMap, HashSet};

use image_formats::{
    bytes::{ReadError, Region},
    iso9660::{
        Block, Record, Records, SECTOR,
        raw::{DirectoryRecord, LongDate, VolumeDescriptor},
    },
    units::ByteOffset,
};
use zerocopy::IntoBytes as _;

use super::{
    FORMAT, Judged, LIMITS,
    descriptors::Source,
    directories::MAX_DEPTH,
    files::{IsoFiles, Piece, piece, with_record},
    joliet::Comparison,
    label::label,
    paths::{Names, Trees},
    rock_ridge::{Attributes, Posix, Reader},
};
use crate::{
    Recorder,
    tree::{Kind, Metadata, NodeId, Tree},
    volume::{Family, Trouble, Volume},
};

/// Opens a volume: with the names of Rock Ridge, else those of Joliet, else its own, as Linux does.
pub(super) fn open(
    region: &Region,
    name: &str,
    trouble: &Trouble,
    judged: Judged,
    out: &mut Recorder,
) -> Result<Option<Volume>, ReadError> {
    let Judged { set, whole, rock_ridge } = judged;
    let joliet = set.sources.iter().position(|source| source.names == Names::Joliet);
    let named = rock_ridge.is_some();
    let index = joliet.filter(|_| !named).unwrap_or(0);
    if !whole[index] {
        return Ok(None);
    }
    let source = &set.sources[index];
    let mut tree = Tree::of_volume(format!("{name}, directory record"), RECORD);
    Walk { region, source, tree: &mut tree, seen: HashSet::new(), rock_ridge }.all()?;
    if let Some(index) = joliet.filter(|joliet| index == 0 && whole[*joliet]) {
        let source = &set.sources[index];
        Comparison { region, name, source, tree: &tree, out }.all()?;
    }
    let primary = set.primary();
    let at = primary.field(0, SECTOR).location(region, name, &Trees::new(region));
    if !out.expect(&LIMITS, tree.is_complete(), || {
        (at.clone(), "more files than are read: what is in them is not judged".to_owned())
    }) {
        return Ok(None);
    }
    let (region, block, trouble) = (region.clone(), source.block, trouble.clone());
    let files = IsoFiles { region, block, trouble, ignores_case: !named };
    Ok(Some(Volume {
        name: name.to_owned(),
        family: Family::Iso9660,
        format: FORMAT,
        label: label(&set),
        uuid: uuid(&primary.descriptor),
        free_bytes: 0,
        free_inodes: None,
        random_seed: None,
        at,
        tree,
        files: Box::new(files),
    }))
}

/// Bytes of a record that has the shortest name.
const RECORD: u64 = 34;

/// What a file is that nothing tells more of: as Linux shows it.
const MODE: u32 = 0o555;

/// As blkid makes it of the date of the last change, or else of the first.
fn uuid(descriptor: &VolumeDescriptor) -> String {
    let set = |date: &&LongDate| {
        date.zone != 0 || date.as_bytes().iter().take(16).any(|digit| *digit != b'0')
    };
    let dates = [&descriptor.modification, &descriptor.creation];
    dates.into_iter().find(set).map_or(String::new(), |date| {
        let LongDate { year, month, day, hour, minute, second, hundredths, .. } = date;
        let parts = [&year[..], month, day, hour, minute, second, hundredths];
        parts.map(|digits| String::from_utf8_lossy(digits)).join("-")
    })
}

impl Attributes {
    /// Says of a file what Rock Ridge says.
    fn apply(&self, metadata: &mut Metadata) {
        metadata.mtime = self.modified.unwrap_or(metadata.mtime);
        let Some(posix) = &self.posix else { return };
        metadata.mode = posix.mode & 0o7777;
        (metadata.uid, metadata.gid) = (posix.uid, posix.gid);
        if matches!(metadata.kind, Kind::Directory(_)) {
            return;
        }
        match (posix.file_type(), &self.target) {
            (Posix::SYMLINK, Some(target)) => {
                metadata.size = target.len() as u64;
                metadata.kind = Kind::Symlink(target.clone().into());
            }
            (Posix::SYMLINK | Posix::CHARACTER | Posix::BLOCK | Posix::FIFO | Posix::SOCKET, _) => {
                metadata.kind = Kind::Special;
            }
            _ => {}
        }
    }
}

/// A directory that is to be read.
struct Pending {
    node: NodeId,
    depth: u32,
    content: Piece,
}

struct Walk<'a> {
    region: &'a Region,
    source: &'a Source,
    tree: &'a mut Tree,
    /// Directories that were met, by where they start.
    seen: HashSet<u64>,
    rock_ridge: Option<Reader>,
}

/// The file that the next record may tell more of.
struct Open<'a> {
    name: Vec<u8>,
    metadata: Metadata,
    content: Piece,
    directory: &'a Pending,
}

impl Walk<'_> {
    fn all(&mut self) -> Result<(), ReadError> {
        let record = self.source.root().record;
        let content = piece(&record, self.source.block);
        self.tree.set_root(self.metadata(&record, content.start));
        let mut pending = vec![Pending { node: Tree::ROOT, depth: 0, content }];
        // Bounded: no directory is met twice, and a full tree takes no more.
        while let Some(directory) = pending.pop() {
            self.directory(&directory, &mut pending)?;
        }
        Ok(())
    }

    fn directory(
        &mut self,
        directory: &Pending,
        pending: &mut Vec<Pending>,
    ) -> Result<(), ReadError> {
        let Piece { start, len } = directory.content;
        if !self.seen.insert(start) {
            return Ok(());
        }
        let mut open = None;
        let mut sector = [0; SECTOR as usize];
        for at in (start..start + len).step_by(SECTOR as usize) {
            let sector = &mut sector[..SECTOR.min(start + len - at) as usize];
            self.region.fill("directory", at, sector)?;
            for record in Records::new(sector, at).flatten() {
                if let Some(file) = self.record(directory, &mut open, &record)? {
                    pending.extend(self.add(file));
                }
            }
        }
        Ok(())
    }

    fn metadata(&self, raw: &DirectoryRecord, offset: u64) -> Metadata {
        let directory = raw.is_directory();
        Metadata {
            kind: if directory { Kind::Directory(BTreeMap::new()) } else { Kind::File(None) },
            mode: MODE,
            uid: 0,
            gid: 0,
            mtime: raw.recording.moment().seconds().unwrap_or(0),
            size: raw.data_len.get().into(),
            offset: ByteOffset(self.region.absolute(offset).0),
        }
    }

    /// Takes a record, and returns the file that it is the last one of.
    fn record<'d>(
        &mut self,
        directory: &'d Pending,
        open: &mut Option<Open<'d>>,
        record: &Record<'_>,
    ) -> Result<Option<Open<'d>>, ReadError> {
        let raw = &record.raw;
        let own = record.identifier == DirectoryRecord::SELF;
        let is_root = directory.node == Tree::ROOT && own;
        let dots = own && !is_root || record.identifier == DirectoryRecord::PARENT;
        // Linux does not show associated files.
        if dots || raw.flags & DirectoryRecord::ASSOCIATED != 0 {
            return Ok(None);
        }
        let attributes = match &mut self.rock_ridge {
            Some(reader) => reader.attributes(record)?,
            None => Attributes::default(),
        };
        let mut metadata = self.metadata(raw, record.offset);
        attributes.apply(&mut metadata);
        if is_root {
            self.tree.set_root(metadata);
            return Ok(None);
        }
        if attributes.relocated {
            return Ok(None);
        }
        let mut file = match open.take() {
            Some(mut first) => {
                first.metadata.size += u64::from(raw.data_len.get());
                first
            }
            None => Open {
                name: attributes.name.unwrap_or_else(|| self.source.names.text(record.identifier)),
                metadata,
                content: piece(raw, self.source.block),
                directory,
            },
        };
        let elsewhere = |block: &u32| {
            self.rock_ridge.as_ref().is_some_and(|reader| reader.is_relocated(*block))
        };
        if let Some(block) = attributes.child_link.filter(elsewhere) {
            let Some(child) = self.child(block)? else { return Ok(None) };
            file.metadata.kind = Kind::Directory(BTreeMap::new());
            file.metadata.size = child.len;
            file.content = child;
        }
        if raw.has_more() {
            *open = Some(file);
            return Ok(None);
        }
        Ok(Some(file))
    }

    /// The content of a directory that is elsewhere, by its own record.
    fn child(&self, block: u32) -> Result<Option<Piece>, ReadError> {
        let start = self.source.block.offset(Block(block));
        if start >= self.region.len() {
            return Ok(None);
        }
        let own = with_record(self.region, start, |record| record.raw)?;
        let own = own.filter(DirectoryRecord::is_directory);
        let content = own.map(|own| Piece { start, len: own.data_len.get().into() });
        Ok(content.filter(|content| start + content.len <= self.region.len()))
    }

    /// Adds a file to the tree, and returns what is to be read of it.
    fn add(&mut self, file: Open<'_>) -> Option<Pending> {
        let Open { name, metadata, content, directory } = file;
        // A name that is none was reported, and so was one that is there already.
        if matches!(&*name, b"" | b"." | b"..") || name.iter().any(|c| matches!(c, 0 | b'/')) {
            return None;
        }
        let is_directory = matches!(metadata.kind, Kind::Directory(_));
        let node = self.tree.add_child(directory.node, &name, metadata)?;
        let depth = directory.depth + 1;
        (is_directory && depth <= MAX_DEPTH).then_some(Pending { node, depth, content })
    }
}
