//! The entries of directories, and their names.

use std::{borrow::Cow, collections::BTreeMap};

use image_formats::{
    bytes::ReadError,
    ext4::{DirectoryBlock, DirectoryEntry, FileType, Ino, Inode, incompat},
};
use image_model::Location;

use super::{
    Judge, Place,
    checks::*,
    directories::{Directory, Here},
    fs::blocks,
    inodes::Known,
    volume::inline_data,
};
use crate::tree::display;

/// `EXT4_CRYPTO_BLOCK_SIZE`: a name that is encrypted has a block of the cipher at least.
const MIN_ENCRYPTED: usize = 16;

/// How many names of a directory are compared with those in its other parts: 16 MiB of hashes.
const MAX_NAMES: usize = 1 << 21;

/// How many bytes of names are kept to tell which of those with the same hash are the same.
const MAX_REPEATED_BYTES: usize = 1 << 20;

/// Entries that lie together.
pub(super) struct Part<'a> {
    place: Place,
    bytes: &'a [u8],
    /// Which part of the directory this is.
    logical: u64,
    is_inline: bool,
}

impl<'a> Part<'a> {
    pub(super) fn block(place: Place, bytes: &'a [u8], logical: u64) -> Self {
        Self { place, bytes, logical, is_inline: false }
    }

    pub(super) fn inline(ino: Ino, bytes: &'a [u8], logical: u64) -> Self {
        Self { place: Place::Inode(ino), bytes, logical, is_inline: true }
    }
}

/// The names of a directory, by their hashes.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Those of a part, with their places in it.
    here: Vec<(u64, u32)>,
    /// Those of the parts before it.
    all: Vec<u64>,
    keeps_all: bool,
}

impl Names {
    /// Forgets the names, for another directory.
    pub(super) fn clear(&mut self) {
        self.here.clear();
        self.all.clear();
        self.keeps_all = false;
    }

    /// The same name may come in another part, and this is to be told.
    pub(super) fn keep_all(&mut self) {
        self.keeps_all = true;
    }

    /// True if two names of the directory have the same hash.
    pub(super) fn has_repeated(&mut self) -> bool {
        if !self.keeps_all {
            return false;
        }
        self.all.sort_unstable();
        self.all.windows(2).any(|pair| pair[0] == pair[1])
    }

    /// The hashes that come more than once; sorted.
    fn repeated(&self) -> Vec<u64> {
        let pairs = self.all.windows(2).filter(|pair| pair[0] == pair[1]);
        let mut repeated: Vec<u64> = pairs.map(|pair| pair[0]).collect();
        repeated.dedup();
        repeated
    }
}

/// A hash of a name, of no format: quick, and not safe from who wants collisions.
fn quick_hash(name: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = name.len() as u64;
    for bytes in name.chunks(8) {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        hash = (hash.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(FACTOR);
    }
    hash ^ hash >> 29
}

impl Judge<'_, '_> {
    /// `.` and `..` of a directory in its inode: only the parent is stored.
    pub(super) fn inline_dots(&mut self, here: &mut Here<'_>, part: &Part<'_>, parent: Ino) {
        let has_types = self.superblock.incompat(incompat::FILETYPE);
        let file_type = if has_types { FileType::Directory.in_directory() } else { 0 };
        let dots = [(here.directory.ino, &b"."[..]), (parent, &b".."[..])];
        for (ino, name) in dots {
            let (inode, name_len) = (ino.0, name.len());
            let at = 0;
            self.entry(
                here,
                part,
                &DirectoryEntry {
                    at,
                    inode,
                    rec_len: 12,
                    name_len,
                    file_type,
                    name,
                    after: 0,
                    hash: 0,
                },
            );
            here.position += 1;
        }
    }

    /// Judges the entries in one place. False where they end too early.
    pub(super) fn entries(&mut self, here: &mut Here<'_>, part: &Part<'_>) -> bool {
        let len = part.bytes.len();
        let mut end = 0;
        for entry in DirectoryBlock::new(part.bytes, self.geometry.block_size).entries() {
            let DirectoryEntry { rec_len, name_len, at, .. } = entry;
            let head = if here.has_hashes && here.position > 1 { 16 } else { 8 };
            let fits = rec_len >= head + 4
                && rec_len.is_multiple_of(4)
                && rec_len >= head + name_len
                && rec_len <= len - at;
            if !fits {
                self.expect(&DIRECTORY_ENTRY, false, |judge| {
                    let message =
                        format!("rec_len {rec_len}, name_len {name_len}, at {at} of {len} bytes");
                    (judge.at_entry(here, part, &entry), message)
                });
                self.has_lost_entries = true;
                return false;
            }
            end = at + rec_len;
            self.entry(here, part, &entry);
            here.position += 1;
        }
        if end != len {
            self.expect(&DIRECTORY_ENTRY, false, |judge| {
                let message = format!("the entries end at {end} of {len} bytes");
                (judge.at(part.place), message)
            });
            self.has_lost_entries = true;
            return false;
        }
        self.repeated_in_part(here, part);
        true
    }

    fn at_entry(&self, here: &Here<'_>, part: &Part<'_>, entry: &DirectoryEntry<'_>) -> Location {
        let start = self.at(part.place);
        if part.is_inline {
            return start;
        }
        let offset = start.offset + entry.at as u64;
        let ino = here.directory.ino;
        let path = super::paths::placeholder(ino, Some(entry.name));
        Location { offset, len: entry.rec_len as u64, path: Some(path), ..start }
    }

    fn entry(&mut self, here: &mut Here<'_>, part: &Part<'_>, entry: &DirectoryEntry<'_>) {
        let directory = here.directory.ino;
        let ino = Ino(entry.inode);
        let name = entry.name;
        let has_name = here.position > 1;
        if !has_name {
            self.dots(here, part, entry);
        } else if ino == directory {
            self.expect(&DIRECTORY_PARENT, false, |judge| {
                (judge.at_entry(here, part, entry), "the directory itself".to_owned())
            });
        }
        if entry.inode == 0 {
            return;
        }
        if !self.may_be_named(ino) {
            self.expect(&DIRECTORY_INODE, false, |judge| {
                let what = match ino.0 > judge.geometry.inodes_count {
                    true => "which is not there",
                    false => "which is reserved",
                };
                (judge.at_entry(here, part, entry), format!("{ino}, {what}"))
            });
            return;
        }
        if has_name && (name.is_empty() || matches!(name, b"." | b"..")) {
            self.expect(&DIRECTORY_NAME, false, |judge| {
                (judge.at_entry(here, part, entry), format!("the name {:?}", display(name)))
            });
        } else if has_name && ino == Ino::ROOT {
            self.expect(&DIRECTORY_PARENT, false, |judge| {
                let at = judge.at_entry(here, part, entry);
                (at, "the root, which is in no directory".to_owned())
            });
        }
        let Some(known) = self.inodes.get_mut(ino).filter(|known| known.links > 0) else {
            self.expect(&DIRECTORY_INODE, false, |judge| {
                (judge.at_entry(here, part, entry), format!("{ino}, {}", judge.why_unused(ino)))
            });
            return;
        };
        known.names = known.names.saturating_add(1);
        let known = *known;
        if self.has_idle_flags
            && let Some(message) = self.why_never_used(ino)
        {
            self.expect(&DIRECTORY_INODE, false, |judge| {
                (judge.at_entry(here, part, entry), format!("{ino}, {message}"))
            });
        }
        self.file_type(here, part, entry, known);
        if here.directory.has(Inode::ENCRYPT) && here.policy.is_some() {
            if has_name {
                self.encrypted(here, part, entry, known);
            }
        } else {
            self.characters(here, part, entry);
        }
        if let Some(index) = &mut here.index {
            index.name(entry);
        }
        if has_name && known.file_type() == Some(FileType::Directory) {
            self.parent(here, part, entry);
        }
        if has_name && directory == Ino::ROOT && name == b"lost+found" {
            self.lost_and_found = Some(ino);
        }
        if has_name {
            let key = folded(here, name);
            here.names.here.push((quick_hash(&key), entry.at as u32));
        }
    }

    /// False for the inodes of the file system itself.
    fn may_be_named(&self, ino: Ino) -> bool {
        let raw = &self.superblock.raw;
        let listed = [
            raw.s_usr_quota_inum.get(),
            raw.s_grp_quota_inum.get(),
            raw.s_prj_quota_inum.get(),
            raw.s_orphan_file_inum.get(),
        ];
        (ino == Ino::ROOT || ino >= self.superblock.first_ino())
            && ino.0 <= self.geometry.inodes_count
            && !listed.contains(&ino.0)
    }

    /// Why an inode that a name leads to is not in use.
    fn why_unused(&self, ino: Ino) -> &'static str {
        let flags = super::groups::has_flags(self.superblock);
        let never = if flags { self.why_never_used(ino) } else { None };
        never.unwrap_or("which is not in use")
    }

    /// Why an inode should never have been used, as its group says.
    fn why_never_used(&self, ino: Ino) -> Option<&'static str> {
        let (group, index) = self.geometry.place(ino);
        let descriptor = self.groups.get(group.0 as usize)?;
        let used = self.geometry.inodes_per_group.saturating_sub(descriptor.itable_unused());
        if descriptor.has(image_formats::ext4::Descriptor::INODE_UNINIT) {
            Some("in a group whose inodes are not initialized")
        } else {
            (index >= used).then_some("in the part of the table that is not in use")
        }
    }

    /// `.` and `..`, wherever they are written.
    fn dots(&mut self, here: &mut Here<'_>, part: &Part<'_>, entry: &DirectoryEntry<'_>) {
        let first = here.position == 0;
        let expected: &[u8] = if first { b"." } else { b".." };
        let (directory, found) = (here.directory.ino, Ino(entry.inode));
        let message = if found.0 == 0 {
            Some(format!("no `{}` where it is due", display(expected)))
        } else if entry.name != expected {
            Some(format!("the name {:?}, not `{}`", display(entry.name), display(expected)))
        } else if entry.after != 0 {
            Some(format!("`{}` is not followed by a NUL", display(expected)))
        } else if first && found != directory {
            Some(format!("`.` is {found}, not {directory}"))
        } else {
            None
        };
        if !first && message.is_none() {
            here.directory.dotdot = found;
        }
        if let Some(message) = message {
            self.expect(&DIRECTORY_DOTS, false, |judge| {
                (judge.at_entry(here, part, entry), message)
            });
        }
        if first && entry.rec_len > 24 {
            self.note(&DIRECTORY_DOT_SIZE, false, |judge| {
                let message = format!("rec_len {} of `.`, not 12", entry.rec_len);
                (judge.at_entry(here, part, entry), message)
            });
        }
    }

    fn file_type(
        &mut self,
        here: &Here<'_>,
        part: &Part<'_>,
        entry: &DirectoryEntry<'_>,
        known: Known,
    ) {
        let has_types = self.superblock.incompat(incompat::FILETYPE);
        let file_type = known.file_type().filter(|_| has_types);
        // What an inode is that is nothing was told.
        if has_types && file_type.is_none() {
            return;
        }
        let expected = file_type.map_or(0, FileType::in_directory);
        let found = entry.file_type;
        if found == expected {
            return;
        }
        let tell = |judge: &Self| {
            let what = match file_type {
                Some(file_type) => file_type.as_str(),
                None => "as the file system stores no types",
            };
            let message = format!("type {found}, not {expected}, {what}");
            (judge.at_entry(here, part, entry), message)
        };
        if found == 0 {
            self.note(&DIRECTORY_TYPE_MISSING, false, tell);
        } else {
            self.expect(&DIRECTORY_TYPE, false, tell);
        }
    }

    /// What lies in an encrypted directory is encrypted in the same way, and so are the names.
    fn encrypted(
        &mut self,
        here: &Here<'_>,
        part: &Part<'_>,
        entry: &DirectoryEntry<'_>,
        known: Known,
    ) {
        let len = entry.name_len;
        if len < MIN_ENCRYPTED {
            self.expect(&DIRECTORY_ENCRYPTED, false, |judge| {
                let message = format!("a name of {len} bytes, which cannot be encrypted");
                (judge.at_entry(here, part, entry), message)
            });
        }
        let ino = Ino(entry.inode);
        let policy = self.policy(ino);
        let file_type = match entry.file_type {
            0 => known.file_type(),
            found => [FileType::File, FileType::Directory, FileType::Symlink]
                .into_iter()
                .find(|file_type| file_type.in_directory() == found),
        };
        let needs =
            matches!(file_type, Some(FileType::File | FileType::Directory | FileType::Symlink));
        if policy != here.policy && (policy.is_some() || needs) {
            self.expect(&DIRECTORY_ENCRYPTED, false, |judge| {
                let what = match policy {
                    Some(_) => "encrypted by another policy",
                    None => "not encrypted",
                };
                let message = format!("{ino} is {what}, in an encrypted directory");
                (judge.at_entry(here, part, entry), message)
            });
        }
    }

    /// The bytes of a name that is not encrypted.
    fn characters(&mut self, here: &Here<'_>, part: &Part<'_>, entry: &DirectoryEntry<'_>) {
        let name = entry.name;
        if here.is_strict && str::from_utf8(name).is_err() {
            self.expect(&DIRECTORY_ENCODING, false, |judge| {
                let message = format!("the name {:?} is not UTF-8", display(name));
                (judge.at_entry(here, part, entry), message)
            });
        } else if name.iter().any(|byte| matches!(byte, 0 | b'/')) {
            self.expect(&DIRECTORY_NAME, false, |judge| {
                (judge.at_entry(here, part, entry), format!("the name {:?}", display(name)))
            });
        }
    }

    /// A directory has one name.
    fn parent(&mut self, here: &Here<'_>, part: &Part<'_>, entry: &DirectoryEntry<'_>) {
        let ino = Ino(entry.inode);
        // What is not there is the root, or broken, of which has been told.
        let Some(index) = self.directory_at(ino).filter(|_| ino != Ino::ROOT) else { return };
        let other = self.directories[index].parent;
        if other.0 == 0 {
            self.directories[index].parent = here.directory.ino;
            return;
        }
        self.expect(&DIRECTORY_PARENT, false, |judge| {
            let message = format!("the directory {ino}, which is in {other} as well");
            (judge.at_entry(here, part, entry), message)
        });
    }

    /// The names of a part that are there twice.
    fn repeated_in_part(&mut self, here: &mut Here<'_>, part: &Part<'_>) {
        let mut names = std::mem::take(&mut here.names.here);
        names.sort_unstable();
        let mut first = 0;
        while let Some((hash, _)) = names.get(first) {
            let len = names[first..].iter().take_while(|(other, _)| other == hash).count();
            if len > 1 {
                self.repeated_among(here, part, &mut names[first..first + len]);
            }
            first += len;
        }
        if here.names.all.len() + names.len() > MAX_NAMES {
            here.names.keeps_all = false;
        }
        if here.names.keeps_all {
            here.names.all.extend(names.iter().map(|(hash, _)| hash));
        }
        names.clear();
        here.names.here = names;
    }

    /// The same, among names with the same hash.
    fn repeated_among(&mut self, here: &Here<'_>, part: &Part<'_>, names: &mut [(u64, u32)]) {
        let name = |at: u32| {
            let at = at as usize;
            let len = part.bytes.get(at + 6).map_or(0, |len| usize::from(*len));
            folded(here, part.bytes.get(at + 8..).and_then(|name| name.get(..len)).unwrap_or(&[]))
        };
        names.sort_by(|(_, a), (_, b)| name(*a).cmp(&name(*b)).then(a.cmp(b)));
        let check = if part.is_inline { &DIRECTORY_REPEATED } else { &DIRECTORY_DUPLICATE };
        for pair in names.windows(2) {
            if name(pair[0].1) != name(pair[1].1) {
                continue;
            }
            let bytes = part.bytes.get(pair[1].1 as usize..).unwrap_or_default();
            let entry = DirectoryBlock::new(bytes, self.geometry.block_size).entries().next();
            let Some(entry) = entry else { continue };
            let entry = DirectoryEntry { at: pair[1].1 as usize, ..entry };
            let tell = |judge: &Self| {
                let message = format!("the name {:?} is there twice", display(entry.name));
                (judge.at_entry(here, part, &entry), message)
            };
            match part.is_inline {
                true => self.note(check, false, tell),
                false => self.expect(check, false, tell),
            };
        }
    }

    /// Two names in different parts of a directory have the same hash: tells those that are the
    /// same.
    pub(super) fn repeated_names(
        &mut self,
        directory: &Directory,
        names: &Names,
    ) -> Result<(), ReadError> {
        let repeated = names.repeated();
        let mut seen: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        let mut kept = 0;
        let block_size = self.geometry.block_size;
        let mut look = |judge: &mut Self, part: &Part<'_>| {
            for entry in DirectoryBlock::new(part.bytes, block_size).entries() {
                let hash = quick_hash(entry.name);
                if entry.inode == 0 || repeated.binary_search(&hash).is_err() {
                    continue;
                }
                match seen.get(entry.name) {
                    Some(logical) if *logical != part.logical => {
                        judge.note(&DIRECTORY_REPEATED, false, |judge| {
                            let name = display(entry.name);
                            let message = format!("the name {name:?} is there twice");
                            (judge.at(part.place), message)
                        });
                    }
                    Some(_) => {}
                    None if kept < MAX_REPEATED_BYTES => {
                        kept += entry.name.len() + 64;
                        seen.insert(entry.name.to_vec(), part.logical);
                    }
                    None => {}
                }
            }
        };
        if directory.has(Inode::INLINE_DATA) {
            let inode = self.fs().inode(directory.ino)?;
            let inode = Inode::new(&inode);
            let parts = [&inode.block_area()[4..], inline_data(&inode).unwrap_or_default()];
            for (logical, bytes) in (0..).zip(parts) {
                look(self, &Part::inline(directory.ino, bytes, logical));
            }
            return Ok(());
        }
        let mut bytes = vec![0; block_size as usize];
        for (logical, block) in blocks(&self.directory_runs(directory)?) {
            self.read("ext4 directory block", block, &mut bytes)?;
            let place = Place::Block("directory block", directory.ino, block);
            look(self, &Part::block(place, &bytes, logical));
        }
        Ok(())
    }
}

/// The name by which two are the same. Only ASCII is folded: what more the encoding makes the same
/// is not judged.
fn folded<'n>(here: &Here<'_>, name: &'n [u8]) -> Cow<'n, [u8]> {
    if here.is_strict && name.is_ascii() {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}
