//! Checks of what is around an image: which compression, if any, and whether an image is inside.

use std::io::{self, BufRead, Read};

use image_formats::{
    gzip,
    tar::{self, raw::BLOCK},
};
use image_model::{Compression, ImageSpace, Location};

use crate::{
    Recorder,
    stream::{Sink, Source},
};

checks! {
    /// The checks of the file as a whole.
    CHECKS:

    /// The file has no bytes: a download or a copy that never happened. WSL imports it without an
    /// error and then finds that it is no Linux distribution.
    NOT_EMPTY = "file-not-empty", Error;
    reads "the length of the file";
    spec "measured: bsdtar 3.6.2 exits with 0";

    /// The file is none of gzip, xz, zstd and tar. What it is instead is told where its first bytes
    /// tell it: a zip archive, a web page that was saved in its place, a disk image, ….
    CONTAINER = "file-container", Error;
    reads "the first bytes of the file";
    spec "microsoft/WSL #11787, #12746; src/linux/init/main.cpp hands every file to bsdtar";

    /// The compression is right, but there is no tar archive in it.
    TAR_INSIDE = "file-tar-inside", Error;
    reads "the first bytes inside the compression";
    spec "POSIX.1-2017 pax, ustar Interchange Format";

    /// The file expands to more than the stated limit: 64 GiB, or 200 times its size beyond 1 GiB.
    /// Reading stops there. No root file system is like that; a file made to fill a disk is.
    EXPANSION_LIMIT = "file-expansion-limit", Error;
    reads "the length of the uncompressed bytes against that of the compressed ones";
    spec "the limit is ours";
}

checks! {
    /// The checks of xz.
    XZ_CHECKS:

    /// An xz file is damaged, cut short, or needs more than 128 MiB of memory. All of its integrity
    /// checks are verified.
    XZ_DATA = "xz-data", Error;
    reads "the whole file";
    spec "The .xz file format 1.2; microsoft/WSL #11577";
}

checks! {
    /// The checks of zstd.
    ZSTD_CHECKS:

    /// A zstd file is damaged, cut short, or has a window of more than 128 MiB, which the
    /// `zstd` program refuses as well. Content checksums are verified where there are some.
    ZSTD_DATA = "zstd-data", Error;
    reads "the whole file";
    spec "RFC 8878 §3.1.1";
}

/// Memory that an xz stream may ask for, in bytes. `xz -9` asks for 65 MiB.
const XZ_MEMORY: u64 = 128 << 20;
/// The largest window of a zstd frame, as a power of two: the `zstd` program's own limit.
const ZSTD_WINDOW_LOG: u32 = 27;

/// How many of the first bytes are looked at: up to the descriptor of ISO 9660.
pub(crate) const HEAD_LEN: usize = 33 << 10;

/// What the first bytes of a file tell.
pub(crate) enum Head {
    /// An image, maybe compressed.
    Image(Compression),
    /// Something else, in words.
    Other(&'static str),
}

/// Looks at the first bytes of a file. Nothing else tells what it is: names lie.
pub(crate) fn sniff(head: &[u8]) -> Head {
    if head.starts_with(&gzip::raw::Header::MAGIC) {
        return Head::Image(Compression::Gzip);
    }
    if head.starts_with(b"\xfd7zXZ\0") {
        return Head::Image(Compression::Xz);
    }
    if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return Head::Image(Compression::Zstd);
    }
    if is_tar(head) { Head::Image(Compression::None) } else { Head::Other(describe(head)) }
}

/// What is around the raw bytes of an image whose first 512 bytes, at least, these are; `None` if
/// it is no image that can be read.
pub fn compression(head: &[u8]) -> Option<Compression> {
    match sniff(head) {
        Head::Image(compression) => Some(compression),
        Head::Other(_) => None,
    }
}

/// True if a tar archive starts with these bytes: a header, a damaged one, or an end.
pub(crate) fn is_tar(head: &[u8]) -> bool {
    let magic = head.get(257..262) == Some(b"ustar");
    magic || head.get(..BLOCK).is_some_and(tar::is_block)
}

/// Names things that are not an image.
fn describe(head: &[u8]) -> &'static str {
    const MAGICS: &[(usize, &[u8], &str)] = &[
        (0, b"PK\x03\x04", "a zip archive; the image may be inside"),
        (0, b"PK\x05\x06", "an empty zip archive"),
        (0, b"\x7fELF", "an ELF program"),
        (0, b"BZh", "bzip2; recompress it with gzip"),
        (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive; the image may be inside"),
        (0, b"\x04\x22\x4d\x18", "lz4; recompress it with gzip"),
        (0, b"vhdxfile", "a VHDX disk; import it with --vhd or --import-in-place"),
        (0, b"conectix", "a VHD disk; import it with --vhd"),
        (0, b"QFI\xfb", "a qcow2 disk image"),
        (0, b"KDMV", "a VMDK disk image"),
        (0, b"hsqs", "a squashfs file system"),
        (0, b"nix-archive-1", "a Nix archive"),
        (8, b"nix-archive-1", "a Nix archive"),
        (0, b"!<arch>\n", "an ar archive, such as a Debian package"),
        (0, b"\xed\xab\xee\xdb", "an RPM package"),
        (0, b"070701", "a cpio archive"),
        (0, b"070702", "a cpio archive"),
        (0, b"version https://git-lfs", "a Git LFS pointer instead of the file itself"),
        (0, b"MZ", "a Windows program"),
        (1080, b"\x53\xef", "an ext4 file system"),
        (32769, b"CD001", "an ISO 9660 image"),
        (510, b"\x55\xaa", "a disk image with a partition table"),
    ];
    for (offset, magic, what) in MAGICS {
        if head.get(*offset..).is_some_and(|rest| rest.starts_with(magic)) {
            return what;
        }
    }
    let text = head.get(..head.len().min(BLOCK)).unwrap_or_default();
    let start = text.trim_ascii_start().to_ascii_lowercase();
    if start.starts_with(b"<!doctype html") || start.starts_with(b"<html") {
        return "a web page; the download gave an error or a login instead of the file";
    }
    let is_text = |b: &u8| b.is_ascii_graphic() || b.is_ascii_whitespace() || *b >= 0x80;
    match text {
        text if text.iter().all(is_text) => "plain text",
        text if text.iter().all(|b| *b == 0) => "zeros; the copy was never finished",
        _ => "of no known format",
    }
}

/// Uncompresses an xz or zstd file into `sink`. True if all of it could be read.
pub(crate) fn decode(
    compression: Compression,
    source: Source,
    sink: &mut Sink,
    out: &mut Recorder,
) -> bool {
    let (check, ended) = if compression == Compression::Xz {
        out.announce(XZ_CHECKS);
        (&XZ_DATA, xz(source).map(|decoder| copy(decoder, |d| d.get_ref().position(), sink)))
    } else {
        out.announce(ZSTD_CHECKS);
        (&ZSTD_DATA, zstd(source).map(|decoder| copy(decoder, |d| d.get_ref().position(), sink)))
    };
    let ended = ended.unwrap_or_else(|error| Ended::Damaged(0, error));
    let damage = if let Ended::Damaged(offset, error) = &ended {
        Some((*offset, error.to_string()))
    } else {
        None
    };
    out.expect(check, damage.is_none(), || {
        let (offset, error) = damage.unwrap_or_default();
        (file_at(compression.as_str(), offset, 0), format!("cannot be read further: {error}"))
    });
    matches!(ended, Ended::Whole)
}

/// How the reading of a decoder ended.
enum Ended {
    Whole,
    /// Nobody wants the rest.
    Closed,
    /// At or before this byte of the file.
    Damaged(u64, io::Error),
}

fn copy<D: Read>(mut decoder: D, position: impl Fn(&D) -> u64, sink: &mut Sink) -> Ended {
    loop {
        match decoder.read(sink.space()) {
            Ok(0) => return Ended::Whole,
            Ok(len) if sink.written(len, position(&decoder)).is_err() => return Ended::Closed,
            Ok(_) => {}
            Err(error) => return Ended::Damaged(position(&decoder), error),
        }
    }
}

/// A place in the file.
pub(crate) fn file_at(structure: &'static str, offset: u64, len: u64) -> Location {
    Location { structure: structure.into(), space: ImageSpace::File, offset, len, path: None }
}

/// Opens an image for reading its raw bytes, with no check but the decoder's own. What is no
/// known compression is read as it is.
pub fn open_raw<'a>(mut source: impl BufRead + 'a) -> io::Result<Box<dyn BufRead + 'a>> {
    const BUFFER: usize = 256 << 10;
    let raw: Box<dyn Read + 'a> = match sniff(source.fill_buf()?) {
        Head::Image(Compression::Gzip) => Box::new(flate2::bufread::MultiGzDecoder::new(source)),
        Head::Image(Compression::Xz) => Box::new(xz(source)?),
        Head::Image(Compression::Zstd) => Box::new(zstd(source)?),
        Head::Image(Compression::None) | Head::Other(_) => return Ok(Box::new(source)),
    };
    Ok(Box::new(io::BufReader::with_capacity(BUFFER, raw)))
}

fn xz<R: BufRead>(source: R) -> io::Result<liblzma::bufread::XzDecoder<R>> {
    let stream = liblzma::stream::Stream::new_stream_decoder(
        XZ_MEMORY,
        liblzma::stream::CONCATENATED | liblzma::stream::TELL_UNSUPPORTED_CHECK,
    )?;
    Ok(liblzma::bufread::XzDecoder::new_stream(source, stream))
}

fn zstd<'a, R: BufRead>(source: R) -> io::Result<zstd::Decoder<'a, R>> {
    let mut decoder = zstd::Decoder::with_buffer(source)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG)?;
    Ok(decoder)
}
