//! Builds small archives by hand, because broken ones cannot be ordered from a tar program.

use std::io::Write as _;

use image_formats::tar::raw::{BLOCK, Header};
use zerocopy::IntoBytes as _;

/// A member before it is bytes.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) header: Header,
    pub(crate) content: Vec<u8>,
    /// What comes before its header: extended headers.
    pub(crate) before: Vec<u8>,
}

/// A member of type `typeflag`, owned by root.
pub(crate) fn entry(typeflag: u8, path: &[u8], mode: u32, link: &[u8], content: &[u8]) -> Entry {
    let mut header: Header = zerocopy::FromZeros::new_zeroed();
    header.name[..path.len()].copy_from_slice(path);
    header.mode.copy_from_slice(format!("{mode:07o}\0").as_bytes());
    header.uid = *b"0000000\0";
    header.gid = *b"0000000\0";
    header.size.copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    header.mtime = *b"00000000001\0";
    header.typeflag = typeflag;
    header.linkname[..link.len()].copy_from_slice(link);
    header.magic = Header::MAGIC_USTAR;
    header.version = *b"00";
    Entry { header, content: content.to_vec(), before: Vec::new() }
}

pub(crate) fn dir(path: &str) -> Entry {
    entry(b'5', path.as_bytes(), 0o755, b"", b"")
}

pub(crate) fn file(path: &str, content: &[u8]) -> Entry {
    entry(b'0', path.as_bytes(), 0o644, b"", content)
}

pub(crate) fn symlink(path: &str, link: &str) -> Entry {
    entry(b'2', path.as_bytes(), 0o777, link.as_bytes(), b"")
}

pub(crate) fn hard_link(path: &str, link: &str) -> Entry {
    entry(b'1', path.as_bytes(), 0o644, link.as_bytes(), b"")
}

/// A member whose path is of any length.
pub(crate) fn long(path: &[u8]) -> Entry {
    let mut long = entry(b'0', b"./long", 0o644, b"", b"");
    long.before = bytes(&entry(b'L', b"././@LongLink", 0, b"", &[path, b"\0"].concat()));
    long
}

/// A member with one pax record.
pub(crate) fn with_record(mut entry_with: Entry, record: &str) -> Entry {
    entry_with.before = bytes(&entry(b'x', b"PaxHeaders/x", 0o644, b"", record.as_bytes()));
    entry_with
}

/// The bytes of a member, its checksum made true.
pub(crate) fn bytes(entry: &Entry) -> Vec<u8> {
    let mut header = entry.header;
    header.chksum = *b"        ";
    let sum: u32 = header.as_bytes().iter().map(|b| u32::from(*b)).sum();
    header.chksum.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut bytes = [&entry.before, header.as_bytes(), &entry.content].concat();
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

/// The members of a good image. `./lib` is a link, `./etc/hard` is not.
pub(crate) fn good_entries() -> Vec<Entry> {
    vec![
        dir("./"),
        dir("./bin/"),
        file("./bin/sh", b"\x7fELF"),
        dir("./etc/"),
        file("./etc/passwd", b"root:x:0:0::/root:/bin/sh\n"),
        symlink("./lib", "usr/lib"),
        dir("./usr/"),
        dir("./usr/lib/"),
        file("./usr/lib/os-release", b"ID=test\n"),
    ]
}

/// The archive of these members.
pub(crate) fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut tar: Vec<u8> = entries.iter().flat_map(bytes).collect();
    tar.resize(tar.len() + 2 * BLOCK, 0);
    tar
}

pub(crate) fn good_tar() -> Vec<u8> {
    tar(&good_entries())
}

/// A good archive and more members.
pub(crate) fn tar_with(more: &[Entry]) -> Vec<u8> {
    tar(&[good_entries(), more.to_vec()].concat())
}

pub(crate) fn gzip(raw: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(raw).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn xz(raw: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(raw).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(raw: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(raw).unwrap();
    encoder.finish().unwrap()
}

/// What looks like a disk from outside.
pub(crate) fn disk() -> Vec<u8> {
    let mut disk = vec![0; 4 << 10];
    disk[510..512].copy_from_slice(b"\x55\xaa");
    disk
}
