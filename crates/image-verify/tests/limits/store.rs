//! A Nix store as large as that of a desktop: 5,000 paths with 500,000 files.

use std::{
    fs::File,
    io::{self, Write as _},
    sync::Arc,
};

use ::tar::{EntryType, Header};
use image_formats::{
    bytes::{ReadAt, Region},
    nix::{base32, nar},
    tar::raw::BLOCK,
};
use image_model::{ImageSpace, Location, PathVerdict};
use image_verify::{
    Expected, Recorder, Request, Scratch, UNUSED_WAIVER, store, tar, volume::Trouble,
};
use sha2::{Digest as _, Sha256};

use crate::{LESS, alone, limited};

/// What a store may take, with the tree of all files.
const MEMORY: usize = 256 << 20;

/// What does not get less with the files: the pieces that each thread reads, and a table of digits.
const FIXED: usize = 16 << 20;

const PATHS: usize = 5000 / LESS as usize;
const FILES: usize = 100;

/// Bytes of a file.
const LEN: usize = 500;

/// The names of store paths.
fn name(path: usize) -> String {
    let digits = base32::encode(&Sha256::digest(path.to_le_bytes()).into());
    format!("{}-package-{path}-1.0", &digits[20..])
}

/// What a path refers to.
fn references(path: usize) -> impl Iterator<Item = usize> {
    (path.saturating_sub(9)..path).chain([path])
}

fn file_name(file: usize) -> String {
    format!("documentation-of-part-{file:03}.html")
}

/// The first file of each path names all that the path refers to.
fn content(path: usize, file: usize) -> Vec<u8> {
    let mut text = format!("{path} {file} ");
    if file == 0 {
        references(path).for_each(|path| text += &format!("{} ", &name(path)[..32]));
    }
    let mut bytes = text.into_bytes();
    assert!(bytes.len() <= LEN);
    bytes.resize(LEN, b'.');
    bytes
}

fn header(path: &str, kind: EntryType, size: usize) -> [u8; BLOCK] {
    let mut header = Header::new_gnu();
    header.set_path(path).unwrap();
    header.set_entry_type(kind);
    header.set_size(size as u64);
    let mode = if kind == EntryType::Directory { 0o555 } else { 0o444 };
    header.set_mode(mode);
    header.set_mtime(1);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    *header.as_bytes()
}

/// An archive that is made while it is read.
struct Archive {
    /// What is before the paths.
    head: Vec<u8>,
    /// The names of paths.
    names: Vec<String>,
}

/// Blocks of a path: its own header, and header and content of each file.
const PATH_BLOCKS: usize = 1 + 2 * FILES;

impl Archive {
    fn new() -> Self {
        let names: Vec<String> = (0..PATHS).map(name).collect();
        let mut list = String::new();
        for (path, name) in names.iter().enumerate() {
            let mut hash = Sha256::new();
            let mut archive = nar::Writer::new(|bytes: &[u8]| hash.update(bytes));
            archive.directory();
            for file in 0..FILES {
                archive.entry(file_name(file).as_bytes());
                archive.file(false, LEN as u64);
                archive.content(&content(path, file));
                archive.end_entry();
            }
            archive.end_directory();
            let len = archive.len();
            let hash = base32::encode(&hash.finalize().into());
            let count = references(path).count();
            list += &format!("/nix/store/{name}\nsha256:{hash}\n{len}\n\n{count}\n");
            references(path).for_each(|path| list += &format!("/nix/store/{}\n", names[path]));
        }
        let mut head = Vec::new();
        for folder in ["nix/", "nix/store/"] {
            head.extend(header(folder, EntryType::Directory, 0));
        }
        let file = EntryType::Regular;
        head.extend(header("nix-path-registration", file, list.len()));
        head.extend(list.bytes());
        head.resize(head.len().next_multiple_of(BLOCK), 0);
        Self { head, names }
    }

    fn block(&self, number: usize) -> Vec<u8> {
        let (path, within) = (number / PATH_BLOCKS, number % PATH_BLOCKS);
        let Some(name) = self.names.get(path) else { return vec![0; BLOCK] };
        let Some(within) = within.checked_sub(1) else {
            let kind = EntryType::Directory;
            return header(&format!("nix/store/{name}/"), kind, 0).to_vec();
        };
        let (file, is_content) = (within / 2, within % 2 == 1);
        if is_content {
            let mut bytes = content(path, file);
            bytes.resize(BLOCK, 0);
            return bytes;
        }
        let path = format!("nix/store/{name}/{}", file_name(file));
        header(&path, EntryType::Regular, LEN).to_vec()
    }
}

impl ReadAt for Archive {
    fn len(&self) -> io::Result<u64> {
        Ok((self.head.len() + (PATHS * PATH_BLOCKS + 2) * BLOCK) as u64)
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let (mut at, mut rest) = (offset as usize, buf);
        while !rest.is_empty() {
            let piece = match at.checked_sub(self.head.len()) {
                None => self.head[at..].to_vec(),
                Some(behind) => self.block(behind / BLOCK)[behind % BLOCK..].to_vec(),
            };
            let len = piece.len().min(rest.len());
            let (now, later) = rest.split_at_mut(len);
            now.copy_from_slice(&piece[..len]);
            at += len;
            rest = later;
        }
        Ok(())
    }
}

#[test]
fn the_store_of_a_desktop() {
    let _alone = alone();
    let region = Region::whole(Arc::new(Archive::new())).unwrap();
    let limit = FIXED + (MEMORY - FIXED) / LESS as usize;
    let recorded = limited(limit, || {
        let mut out = Recorder::default();
        let volume = tar::open(&region, &Trouble::default()).unwrap();
        let judged = store::verify(&volume, &store::Asked::default(), &mut out).unwrap();
        let paths = &judged.report.paths;
        assert_eq!(paths.len(), PATHS);
        assert!(paths.iter().all(|path| path.verdict == PathVerdict::Intact));
        assert!(judged.not_verified.is_empty(), "{:?}", judged.not_verified);
        let structure = "archive".into();
        let whole = Location { structure, space: ImageSpace::Raw, offset: 0, len: 0, path: None };
        out.finish(&[], &UNUSED_WAIVER, &whole)
    });
    assert!(recorded.findings.is_empty(), "{:?}", recorded.findings);
}

/// A file without a name.
struct Spool(File);

impl io::Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Scratch for Spool {
    fn finish(&mut self) -> io::Result<Arc<dyn ReadAt>> {
        Ok(Arc::new(self.0.try_clone()?))
    }
}

/// The same in a compressed archive: its files are kept while it passes, and found again.
#[test]
fn the_store_of_a_desktop_while_it_passes() {
    let _alone = alone();
    let archive = Archive::new();
    let mut packed = zstd::Encoder::new(Vec::new(), 1).unwrap();
    let mut piece = vec![0; 1 << 20];
    let len = ReadAt::len(&archive).unwrap();
    for at in (0..len).step_by(piece.len()) {
        let piece = &mut piece[..(len - at).min(1 << 20) as usize];
        archive.read_exact_at(at, piece).unwrap();
        packed.write_all(piece).unwrap();
    }
    let packed: Arc<dyn ReadAt> = Arc::new(packed.finish().unwrap());
    drop(archive);
    let limit = FIXED + (MEMORY - FIXED) / LESS as usize;
    let report = limited(limit, || {
        let mut scratch = Spool(tempfile::tempfile().unwrap());
        let request = Request {
            expected: Expected::AnyKind,
            scratch: Some(&mut scratch),
            ..Request::default()
        };
        image_verify::verify(packed, request).unwrap()
    });
    let [store] = &report.stores[..] else { panic!("{:?}", report.not_verified) };
    assert_eq!(store.paths.len(), PATHS);
    assert!(store.paths.iter().all(|path| path.verdict == PathVerdict::Intact));
    assert!(report.passed() && report.not_verified.is_empty(), "{:?}", report.findings);
}
