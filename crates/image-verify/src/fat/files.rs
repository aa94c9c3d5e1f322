//! Contents of files, through the `fatfs` crate.

use std::io::{self, Read};

use fatfs::{FileSystem, FsOptions, OemCpConverter};
use image_formats::fat::decode_oem;

use super::{
    Judge, UNREAD,
    boot::{Boot, sector},
    names::folded,
};
use crate::volume::{Files, RegionReader, Trouble};

/// fatfs counts the bits of a FAT in 32 bits, and would overflow from here on.
const MAX_FAT_LEN: u64 = 1 << 29;

impl Judge<'_> {
    /// Opens the volume, which was found to be sound: fatfs subtracts without a look from the number
    /// of a cluster, follows chains for as long as they go, and takes a directory that starts at
    /// cluster 0 for the root.
    pub(super) fn files(&mut self, boot: &Boot, trouble: &Trouble) -> Option<Box<dyn Files>> {
        let opened = if boot.geometry.fat_len < MAX_FAT_LEN {
            let reader = RegionReader::new(self.region.clone(), trouble.clone());
            FileSystem::new(reader, FsOptions::new().oem_cp_converter(&CodePage437))
        } else {
            Err(io::Error::other("the FAT has more than 512 MiB"))
        };
        self.expect(&UNREAD, opened.is_ok(), &sector(0, 512), || {
            let why = opened.as_ref().err().map(ToString::to_string);
            format!("contents of files were not read: {}", why.unwrap_or_default())
        });
        Some(Box::new(FatFiles(opened.ok()?)))
    }
}

struct FatFiles(FileSystem<RegionReader>);

impl Files for FatFiles {
    /// Looks for each name as the tree has it. fatfs by itself would also take the 8.3 name of
    /// another file, and has another idea of case.
    fn open<'a>(&'a self, path: &[u8]) -> io::Result<Box<dyn Read + 'a>> {
        let path = str::from_utf8(path).map_err(|_| io::ErrorKind::NotFound)?;
        let mut names = path.split('/').filter(|name| !name.is_empty()).peekable();
        let mut directory = self.0.root_dir();
        while let Some(name) = names.next() {
            let name = folded(name);
            let wanted = |entry: &io::Result<fatfs::DirEntry<'_, _>>| {
                entry.as_ref().map_or(true, |entry| folded(&entry.file_name()) == name)
            };
            let entry = directory.iter().find(wanted).ok_or(io::ErrorKind::NotFound)??;
            match (entry.is_dir(), names.peek()) {
                (true, Some(_)) => directory = entry.to_dir(),
                (false, None) => return Ok(Box::new(entry.to_file())),
                _ => break,
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }
}

/// The code page of 8.3 names, as in the tree.
#[derive(Debug)]
struct CodePage437;

impl OemCpConverter for CodePage437 {
    fn decode(&self, oem_char: u8) -> char {
        decode_oem(oem_char)
    }

    /// For names that are written, which none is.
    fn encode(&self, _: char) -> Option<u8> {
        None
    }
}
