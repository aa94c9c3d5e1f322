//! Images whose metadata is not compressed, and edits of them.

use std::{
    io::Write as _,
    mem::size_of,
    process::{Command, Stdio},
    sync::OnceLock,
};

use image_formats::{
    bytes::Region,
    squashfs::{
        Body, Compressor, Decoder, DirectoryItem, DirectoryList, Inode, LookupTable,
        MetadataReader, MetadataRef,
        raw::{DirectoryEntry, DirectoryHeader, FragmentEntry, SuperBlock, XattrId, XattrIdTable},
    },
};
use zerocopy::{FromBytes, IntoBytes, little_endian::U64};

use super::{folder::Folder, image::noise};

/// The size of the blocks.
pub(crate) const BLOCK: usize = 4096;

/// Every kind of file and more, of which nothing is compressed: metadata because it must not be,
/// and contents because they are noise.
pub(crate) fn good() -> &'static [u8] {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    IMAGE.get_or_init(|| from_tar(&["-exports", "-noI", "-noF", "-noX"], Compressor::Gzip))
}

/// The same without a table for NFS.
pub(crate) fn bare() -> &'static [u8] {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    IMAGE.get_or_init(|| from_tar(&["-noI", "-noF", "-noX"], Compressor::Gzip))
}

/// The same, and the compressor was told something.
pub(crate) fn told(compressor: Compressor) -> Vec<u8> {
    let level: &[&str] = match compressor {
        Compressor::Gzip => &["-Xcompression-level", "5"],
        Compressor::Xz => &["-Xdict-size", "8K", "-b", "8K"],
        _ => &[],
    };
    from_tar(&[&["-exports", "-noI", "-noF", "-noX"], level].concat(), compressor)
}

/// A directory with an index.
pub(crate) fn indexed() -> &'static [u8] {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let folder = Folder::new();
        let source = folder.path("source");
        super::image::tree(&source, BLOCK);
        folder.make(&source, &["-b", "4K", "-noI"])
    })
}

/// A table of one id that LZ4 made longer.
pub(crate) fn expanded() -> Vec<u8> {
    let folder = Folder::new();
    let source = folder.path("source");
    std::fs::create_dir(&source).unwrap();
    let options = ["-comp", "lz4", "-noI", "-no-exports", "-no-xattrs", "-nopad"];
    let mut edit = Edit { bytes: folder.make(&source, &options) };
    let superblock = edit.superblock();
    let at = superblock.id_table_start.get() as usize - 6;
    superblock.id_table_start.set(at as u64 + 7);
    superblock.bytes_used.set(superblock.bytes_used.get() + 1);
    // Five bytes: four literals, and those.
    edit.bytes.splice(at..at + 2, [5, 0, 0x40]);
    edit.bytes.resize(4096, 0);
    edit.bytes
}

/// As many files with a byte each, which become blocks of a megabyte.
const CLAIMS: usize = 4200;

/// Little that claims to be much.
pub(crate) fn bomb() -> Vec<u8> {
    let folder = Folder::new();
    let source = folder.path("source");
    std::fs::create_dir(&source).unwrap();
    for index in 0..CLAIMS {
        std::fs::write(source.join(format!("{index}")), b"x").unwrap();
    }
    let options = ["-b", "1M", "-noI", "-no-fragments", "-no-duplicates", "-no-exports"];
    let mut edit = Edit { bytes: folder.make(&source, &options) };
    let start = edit.superblock().inode_table_start.get() as usize;
    // All of these inodes have 36 bytes, and each block two more than 8 KiB.
    let place = |at: usize| start + at / 8192 * 8194 + 2 + at % 8192;
    for index in 0..CLAIMS {
        for (offset, word) in [(28, 1_u32 << 20), (32, 1)] {
            for (byte, value) in word.to_le_bytes().into_iter().enumerate() {
                edit.bytes[place(36 * index + offset + byte)] = value;
            }
        }
    }
    edit.bytes
}

fn from_tar(options: &[&str], compressor: Compressor) -> Vec<u8> {
    let folder = Folder::new();
    let image = folder.path("image.sqfs");
    let mut child = Command::new("timeout")
        .args(["60", "mksquashfs", "-"])
        .arg(&image)
        .args(["-tar", "-no-progress", "-quiet", "-mkfs-time", "1000000000"])
        .args(["-b", "4K", "-comp", compressor.as_str()])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&archive()).unwrap();
    let status = child.wait().unwrap();
    assert_ne!(status.code(), Some(127), "mksquashfs: run `apt-get install squashfs-tools`");
    assert!(status.success());
    std::fs::read(image).unwrap()
}

fn archive() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |name: &str, kind, content: &[u8], link: &str, xattrs: &[(&str, &[u8])]| {
        archive.append_pax_extensions(xattrs.iter().copied()).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(if kind == tar::EntryType::Directory { 0o755 } else { 0o644 });
        header.set_mtime(1_000_000_000);
        header.set_size(content.len() as u64);
        header.set_path(name).unwrap();
        if !link.is_empty() {
            header.set_link_name(link).unwrap();
        }
        header.set_uid(if name.contains("special") { 5 } else { 0 });
        header.set_gid(0);
        header.set_device_major(5).unwrap();
        header.set_device_minor(1).unwrap();
        header.set_cksum();
        archive.append(&header, content).unwrap();
    };
    use tar::EntryType as Type;
    let long = noise(3000, 77);
    let label = ("SCHILY.xattr.security.selinux", &long[..]);
    add("directory/", Type::Directory, b"", "", &[]);
    add("directory/inner/", Type::Directory, b"", "", &[]);
    add("directory/inner/last", Type::Regular, &noise(30, 1), "", &[]);
    add("empty/", Type::Directory, b"", "", &[("SCHILY.xattr.user.a", b"b"), label]);
    add("file", Type::Regular, &noise(3 * BLOCK + 100, 2), "", &[label]);
    add("linked", Type::Regular, &noise(50, 3), "", &[("SCHILY.xattr.trusted.x", b"y"), label]);
    add("linked again", Type::Link, b"", "linked", &[]);
    add("one block", Type::Regular, &noise(BLOCK, 4), "", &[]);
    let sparse = [&vec![0; 2 * BLOCK][..], &noise(BLOCK, 5)].concat();
    add("sparse", Type::Regular, &sparse, "", &[]);
    add("special/", Type::Directory, b"", "", &[]);
    add("special/block", Type::Block, b"", "", &[]);
    add("special/char", Type::Char, b"", "", &[("SCHILY.xattr.user.c", b"d")]);
    add("special/fifo", Type::Fifo, b"", "", &[]);
    add("symlink", Type::Symlink, b"", "file", &[("SCHILY.xattr.trusted.x", b"z")]);
    add("zero", Type::Regular, b"", "", &[]);
    archive.into_inner().unwrap()
}

/// An image that is changed.
#[derive(Clone)]
pub(crate) struct Edit {
    pub(crate) bytes: Vec<u8>,
}

/// Where the two structures that say that a file is there start in the image.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    pub(crate) header: usize,
    pub(crate) entry: usize,
    pub(crate) inode: usize,
}

impl Edit {
    pub(crate) fn superblock(&mut self) -> &mut SuperBlock {
        SuperBlock::mut_from_prefix(&mut self.bytes).unwrap().0
    }

    pub(crate) fn at<T: FromBytes + IntoBytes + zerocopy::Immutable>(
        &mut self,
        at: usize,
        change: impl FnOnce(&mut T),
    ) {
        let end = at + size_of::<T>();
        let mut value = T::read_from_bytes(&self.bytes[at..end]).unwrap();
        change(&mut value);
        value.write_to(&mut self.bytes[at..end]).unwrap();
    }

    fn reader(&self) -> (SuperBlock, MetadataReader) {
        let region = Region::from(self.bytes.clone());
        let superblock = SuperBlock::read(&region).unwrap();
        let compressor = Compressor::of(superblock.compression.get()).unwrap();
        (superblock, MetadataReader::new(region, Decoder::new(compressor)))
    }

    /// Where a place of a table is: no structure that is looked for lies in two blocks.
    fn place(start: u64, block: u64, offset: u64) -> usize {
        (start + block + 2 + offset) as usize
    }

    /// Where the inode of the root is, and what it says.
    pub(crate) fn root(&self) -> (usize, Body) {
        let (superblock, mut reader) = self.reader();
        let (start, end) =
            (superblock.inode_table_start.get(), superblock.directory_table_start.get());
        let at = MetadataRef::of(superblock.root_inode.get());
        let (_, inode) = Inode::read(&mut reader.cursor(start, end, at)).unwrap();
        (Self::place(start, at.block, at.offset.into()), inode.unwrap().body)
    }

    pub(crate) fn find(&self, path: &str) -> Found {
        let (superblock, mut reader) = self.reader();
        let (inodes, directories) =
            (superblock.inode_table_start.get(), superblock.directory_table_start.get());
        let end = superblock.bytes_used.get();
        let mut body = self.root().1;
        let mut found = None;
        for name in path.split('/') {
            let Body::Directory(directory) = body else { panic!("{path}") };
            let at = MetadataRef { block: directory.start_block.into(), offset: directory.offset };
            let cursor = reader.cursor(directories, end, at);
            let mut list = DirectoryList::new(cursor, directory.list_len());
            let first = Self::place(directories, at.block, at.offset.into());
            let (mut header_at, mut block) = (0, 0);
            let (entry_at, target) = loop {
                match list.next_item().unwrap().expect(path).unwrap() {
                    DirectoryItem::Header { at, header, .. } => {
                        header_at = first + at as usize;
                        block = u64::from(header.start_block.get());
                    }
                    DirectoryItem::Entry { at, entry, name: other } if other == name.as_bytes() => {
                        let target = MetadataRef { block, offset: entry.offset.get() };
                        break (first + at as usize, target);
                    }
                    DirectoryItem::Entry { .. } => {}
                }
            };
            let (_, inode) = Inode::read(&mut reader.cursor(inodes, directories, target)).unwrap();
            body = inode.unwrap().body;
            let inode = Self::place(inodes, target.block, target.offset.into());
            found = Some(Found { header: header_at, entry: entry_at, inode });
        }
        found.unwrap()
    }

    pub(crate) fn inode<T: FromBytes + IntoBytes + zerocopy::Immutable>(
        &mut self,
        path: &str,
        change: impl FnOnce(&mut T),
    ) {
        let at = self.find(path).inode + 16;
        self.at(at, change);
    }

    pub(crate) fn entry(&mut self, path: &str, change: impl FnOnce(&mut DirectoryEntry)) {
        let at = self.find(path).entry;
        self.at(at, change);
    }

    pub(crate) fn header(&mut self, path: &str, change: impl FnOnce(&mut DirectoryHeader)) {
        let at = self.find(path).header;
        self.at(at, change);
    }

    /// Where the first block of a table with an index has its entries.
    fn table<T>(&self, start: u64) -> usize {
        let region = Region::from(self.bytes.clone());
        let table = LookupTable::new::<T>(start, 1);
        Self::place(table.block_at(&region, 0).unwrap(), 0, 0)
    }

    pub(crate) fn fragment(&mut self, change: impl FnOnce(&mut FragmentEntry)) {
        let start = self.superblock().fragment_table_start.get();
        let at = self.table::<FragmentEntry>(start);
        self.at(at, change);
    }

    pub(crate) fn export(&mut self, number: usize, change: impl FnOnce(&mut U64)) {
        let start = self.superblock().lookup_table_start.get();
        let at = self.table::<U64>(start) + 8 * number;
        self.at(at, change);
    }

    pub(crate) fn xattr_id(&mut self, number: usize, change: impl FnOnce(&mut XattrId)) {
        let start = self.superblock().xattr_id_table_start.get() + 16;
        let at = self.table::<XattrId>(start) + 16 * number;
        self.at(at, change);
    }

    /// Where the attributes of the first entry are.
    pub(crate) fn xattr(&mut self) -> usize {
        let mut first = MetadataRef { block: 0, offset: 0 };
        self.xattr_id(0, |id| first = MetadataRef::of(id.xattr.get()));
        let at = self.superblock().xattr_id_table_start.get() as usize;
        let table = XattrIdTable::read_from_bytes(&self.bytes[at..at + 16]).unwrap();
        Self::place(table.xattr_table_start.get(), first.block, first.offset.into())
    }
}

#[test]
fn edits_start_from_good_images() {
    let folder = Folder::new();
    for image in [good(), bare(), indexed()] {
        let (recorded, volume) = super::judge_bytes(image);
        assert_eq!(super::told(&recorded.findings), [""; 0]);
        let volume = volume.unwrap();
        assert_eq!(super::entries(&volume), super::image::read_back(&folder, image).unwrap());
    }
}
