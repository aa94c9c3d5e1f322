//! Checks of what is around an image: which compression, if any, and whether an image is inside.

mod archive;

use std::{
    borrow::Cow,
    io::{self, BufRead, Read},
};

use image_formats::{
    bytes::ReadAt,
    gzip, qcow2,
    tar::{self, raw::BLOCK},
    units::ByteOffset,
    vhd, zstd,
};
use image_model::{Check, Compression, ImageSpace, Location};

use crate::{
    Recorder,
    stream::{Sink, Source, read_buffered},
};

checks! {
    /// The checks of the file as a whole.
    CHECKS:

    /// The file has no bytes: a download or a copy that never happened. WSL imports it without an
    /// error and then finds that it is no Linux distribution.
    NOT_EMPTY = "file-not-empty", Error;
    reads "the length of the file";
    spec "measured: bsdtar 3.6.2 exits with 0";

    /// The file is none of gzip, xz, zstd, tar, a disk, a disk of a virtual machine and a disc. What
    /// it is instead is told where its first bytes tell it: a zip archive, a web page that was saved
    /// in its place, ….
    CONTAINER = "file-container", Error;
    reads "the first bytes of the file, and the last 512";
    spec "microsoft/WSL #11787, #12746; src/linux/init/main.cpp hands every file to bsdtar";

    /// The compression is right, but there is neither a tar archive nor a disk or a disc in it.
    TAR_INSIDE = "file-tar-inside", Error;
    reads "the first bytes inside the compression";
    spec "POSIX.1-2017 pax, ustar Interchange Format; UEFI 2.10 §5";

    /// The image is sound as far as that goes, but of another kind than the one that it is meant
    /// for: a disk where WSL wants an archive, an archive where a board wants a disk.
    KIND = "file-kind", Error;
    reads "the first bytes of the image";
    spec "docs/architecture.md";

    /// The file expands to more than the stated limit: 64 GiB, or 200 times its size beyond 1 GiB,
    /// and 4 GiB where it is a disk. Reading stops there. No root file system is like that; a file
    /// made to fill a disk is.
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

    /// A frame of a compressed disk does not say how large its content is, as happens where it was
    /// compressed from a pipe. A program that writes cards wants to know before it writes whether
    /// the card is large enough: Raspberry Pi Imager 2.0.11 refuses every card for such a file.
    ZSTD_CONTENT_SIZE = "zstd-content-size", Error;
    reads "the headers of all frames";
    spec "RFC 8878 §3.1.1.1.4; raspberrypi/rpi-imager #1701, #1726";
}

/// Memory that an xz stream may ask for, in bytes. `xz -9` asks for 65 MiB.
const XZ_MEMORY: u64 = 128 << 20;
/// The largest window of a zstd frame, as a power of two: the `zstd` program's own limit.
const ZSTD_WINDOW_LOG: u32 = 27;

/// How many of the last bytes are looked at: a fixed VHD is a disk with a footer behind it.
const TAIL_LEN: u64 = vhd::SECTOR;

/// How many of the first bytes are looked at: up to the descriptor of ISO 9660.
pub(crate) const HEAD_LEN: usize = 35 << 10;

/// What the first bytes of a file tell.
pub(crate) enum Head {
    /// A compressed image, or something else that is compressed.
    Compressed(Compression),
    /// An image as it is.
    Raw(RawFormat),
    /// Something else, in words.
    Other(&'static str),
}

/// What raw bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawFormat {
    /// A tar archive.
    Tar,
    /// A disk: a partition table, or a file system without one.
    Disk,
    /// A disc: ISO 9660, whatever is in front of it.
    Iso,
    /// An appliance: an archive of the Open Virtualization Format.
    Ova,
    /// A container image: an archive for `docker load`.
    Docker,
    /// A disk of a virtual machine, as QEMU keeps it.
    Qcow2,
    /// A disk of a virtual machine, as Virtual PC, Hyper-V, Azure and Amazon keep it.
    Vhd,
}

impl RawFormat {
    /// True for what can be judged only when all of it is there.
    pub(crate) fn is_kept(self) -> bool {
        !matches!(self, Self::Tar)
    }

    /// The word for reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tar => "tar",
            Self::Disk => "disk",
            Self::Iso => "iso9660",
            Self::Ova => "ova",
            Self::Docker => "docker-archive",
            Self::Qcow2 => "qcow2",
            Self::Vhd => "vhd",
        }
    }

    /// What people call it.
    pub fn what(self) -> &'static str {
        match self {
            Self::Tar => "a tar archive",
            Self::Disk => "a disk",
            Self::Iso => "a disc",
            Self::Ova => "an appliance",
            Self::Docker => "a container image",
            Self::Qcow2 => "a qcow2 disk",
            Self::Vhd => "a VHD disk",
        }
    }
}

/// Looks at the first bytes of a file. Nothing else tells what it is: names lie.
pub(crate) fn sniff(head: &[u8]) -> Head {
    if head.starts_with(&gzip::raw::Header::MAGIC) {
        return Head::Compressed(Compression::Gzip);
    }
    if head.starts_with(b"\xfd7zXZ\0") {
        return Head::Compressed(Compression::Xz);
    }
    if zstd::is_zstd(head) {
        return Head::Compressed(Compression::Zstd);
    }
    if head.starts_with(&qcow2::raw::Header::MAGIC) {
        return Head::Raw(RawFormat::Qcow2);
    }
    // One of the two may be damaged.
    let is_dynamic_vhd = head.get(512..).is_some_and(|rest| rest.starts_with(b"cxsparse"));
    if vhd::is_footer(head) || is_dynamic_vhd {
        return Head::Raw(RawFormat::Vhd);
    }
    if is_iso(head) {
        return Head::Raw(RawFormat::Iso);
    }
    // A block of zeros is also the end of an archive, but then nothing follows.
    let is_blank = head.iter().take(BLOCK).all(|b| *b == 0);
    if is_tar(head) && !(is_blank && is_disk(head)) {
        return Head::Raw(archive::format(head));
    }
    match describe(head) {
        // The two bytes that tell a disk are also in what has a better name.
        Description::Vague(_) if is_disk(head) => Head::Raw(RawFormat::Disk),
        Description::Vague(what) | Description::Known(what) => Head::Other(what),
    }
}

/// Looks at the first and the last bytes of a file that is all there. A fixed VHD begins like the
/// disk in it, or like nothing at all.
pub(crate) fn sniff_whole(head: &[u8], tail: &[u8]) -> Head {
    match sniff(head) {
        Head::Raw(RawFormat::Disk) | Head::Other(_) if vhd::is_footer(tail) => {
            Head::Raw(RawFormat::Vhd)
        }
        // A block of zeros is the end of an archive, and the beginning of many a disk.
        Head::Raw(RawFormat::Tar)
            if vhd::is_footer(tail) && head.iter().take(BLOCK).all(|b| *b == 0) =>
        {
            Head::Raw(RawFormat::Vhd)
        }
        head => head,
    }
}

/// The last bytes of a file, as far as they are needed to tell what it is.
pub(crate) fn read_tail(source: &dyn ReadAt) -> io::Result<Vec<u8>> {
    let Some(at) = source.len()?.checked_sub(TAIL_LEN) else { return Ok(Vec::new()) };
    let mut tail = vec![0; TAIL_LEN as usize];
    source.read_exact_at(at, &mut tail)?;
    Ok(tail)
}

/// What raw bytes turn out to be when all of them are there, and not only their beginning.
pub fn refine(format: RawFormat, raw: &dyn ReadAt) -> io::Result<RawFormat> {
    let is_vhd = format == RawFormat::Disk && vhd::is_footer(&read_tail(raw)?);
    Ok(if is_vhd { RawFormat::Vhd } else { format })
}

/// What is around the raw bytes of an image whose first 512 bytes, at least, these are; `None` if
/// it is no image that can be read.
pub fn compression(head: &[u8]) -> Option<Compression> {
    match sniff(head) {
        Head::Compressed(compression) => Some(compression),
        Head::Raw(_) => Some(Compression::None),
        Head::Other(_) => None,
    }
}

/// The same, of an image that can be read anywhere.
pub fn compression_of(source: &dyn ReadAt) -> io::Result<Option<Compression>> {
    let mut head = vec![0; source.len()?.min(512) as usize];
    source.read_exact_at(0, &mut head)?;
    Ok(compression(&head))
}

/// True if a tar archive starts with these bytes: a header, a damaged one, or an end.
pub(crate) fn is_tar(head: &[u8]) -> bool {
    let magic = head.get(257..262) == Some(b"ustar");
    magic || head.get(..BLOCK).is_some_and(tar::is_block)
}

/// True if a disc starts with these bytes: a volume descriptor in the first two places, so that one
/// of them may be damaged. A disk has whatever it likes in front of them.
fn is_iso(head: &[u8]) -> bool {
    let descriptor = |at: usize| head.get(at + 1..).is_some_and(|id| id.starts_with(b"CD001"));
    descriptor(16 * 2048) || descriptor(17 * 2048)
}

/// True if a disk starts with these bytes: a boot sector, a GPT header on disks with either size of
/// blocks, the superblock of ext2 to ext4 or of squashfs, or a boot sector of FAT or its copy, of
/// which the end was lost.
fn is_disk(head: &[u8]) -> bool {
    const MAGICS: &[(usize, &[u8])] = &[
        (510, b"\x55\xaa"),
        (512, b"EFI PART"),
        (4096, b"EFI PART"),
        (1080, b"\x53\xef"),
        (0, b"hsqs"),
        (54, b"FAT12   "),
        (54, b"FAT16   "),
        (82, b"FAT32   "),
        (6 * 512 + 82, b"FAT32   "),
    ];
    MAGICS.iter().any(|(at, magic)| head.get(*at..).is_some_and(|rest| rest.starts_with(magic)))
}

/// What is not an image.
enum Description {
    /// It says itself what it is.
    Known(&'static str),
    /// It looks like this.
    Vague(&'static str),
}

/// Names things that are not an image.
fn describe(head: &[u8]) -> Description {
    const MAGICS: &[(usize, &[u8], &str)] = &[
        (0, b"PK\x03\x04", "a zip archive; the image may be inside"),
        (0, b"PK\x05\x06", "an empty zip archive"),
        (0, b"\x7fELF", "an ELF program"),
        (0, b"BZh", "bzip2; recompress it with gzip"),
        (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive; the image may be inside"),
        (0, b"\x04\x22\x4d\x18", "lz4; recompress it with gzip"),
        (0, b"vhdxfile", "a VHDX disk; import it with --vhd or --import-in-place"),
        (0, b"KDMV", "a VMDK disk image"),
        (0, b"nix-archive-1", "a Nix archive"),
        (8, b"nix-archive-1", "a Nix archive"),
        (0, b"!<arch>\n", "an ar archive, such as a Debian package"),
        (0, b"\xed\xab\xee\xdb", "an RPM package"),
        (0, b"070701", "a cpio archive"),
        (0, b"070702", "a cpio archive"),
        (0, b"version https://git-lfs", "a Git LFS pointer instead of the file itself"),
        (0, b"MZ", "a Windows program"),
    ];
    for (offset, magic, what) in MAGICS {
        if head.get(*offset..).is_some_and(|rest| rest.starts_with(magic)) {
            return Description::Known(what);
        }
    }
    let text = head.get(..head.len().min(BLOCK)).unwrap_or_default();
    let start = text.trim_ascii_start().to_ascii_lowercase();
    if start.starts_with(b"<!doctype html") || start.starts_with(b"<html") {
        let what = "a web page; the download gave an error or a login instead of the file";
        return Description::Known(what);
    }
    let is_text = |b: &u8| b.is_ascii_graphic() || b.is_ascii_whitespace() || *b >= 0x80;
    Description::Vague(match text {
        text if text.iter().all(is_text) => "plain text",
        text if text.iter().all(|b| *b == 0) => "zeros; the copy was never finished",
        _ => "of no known format",
    })
}

/// Uncompresses an xz file into `sink`. True if all of it could be read.
pub(crate) fn decode_xz(source: Source, sink: &mut Sink, out: &mut Recorder) -> bool {
    out.announce(XZ_CHECKS);
    let ended = match xz_decoder(source) {
        Ok(mut decoder) => copy(&mut decoder, |d| d.get_ref().position(), sink),
        Err(error) => Ended::Damaged(0, error),
    };
    whole(&XZ_DATA, Compression::Xz, ended, out)
}

/// Uncompresses a zstd file into `sink`. True if all of it could be read, and where the first frame
/// is that does not tell the size of its content.
pub(crate) fn decode_zstd(
    source: Source,
    sink: &mut Sink,
    out: &mut Recorder,
) -> (bool, Option<ByteOffset>) {
    out.announce(ZSTD_CHECKS);
    let mut unsized_frame = None;
    let ended = match zstd_decoder(FrameWatch::new(source)) {
        Ok(mut decoder) => {
            let ended = copy(&mut decoder, |d| d.get_ref().source.position(), sink);
            unsized_frame = decoder.get_ref().unsized_frame;
            ended
        }
        Err(error) => Ended::Damaged(0, error),
    };
    (whole(&ZSTD_DATA, Compression::Zstd, ended, out), unsized_frame)
}

/// Judges how the reading of a decoder ended.
fn whole(
    check: &'static Check,
    compression: Compression,
    ended: Ended,
    out: &mut Recorder,
) -> bool {
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

/// Looks at the headers of the frames that a decoder reads.
struct FrameWatch {
    source: Source,
    frames: zstd::Frames,
    unsized_frame: Option<ByteOffset>,
}

impl FrameWatch {
    fn new(source: Source) -> Self {
        Self { source, frames: zstd::Frames::default(), unsized_frame: None }
    }
}

impl BufRead for FrameWatch {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.source.fill_buf()
    }

    fn consume(&mut self, len: usize) {
        let Self { source, frames, unsized_frame } = self;
        frames.feed(&source.buffered()[..len], |frame| {
            if frame.content_size.is_none() {
                unsized_frame.get_or_insert(frame.at);
            }
        });
        source.consume(len);
    }
}

impl Read for FrameWatch {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, buf)
    }
}

/// How the reading of a decoder ended.
enum Ended {
    Whole,
    /// Nobody wants the rest.
    Closed,
    /// At or before this byte of the file.
    Damaged(u64, io::Error),
}

fn copy<D: Read>(decoder: &mut D, position: impl Fn(&D) -> u64, sink: &mut Sink) -> Ended {
    loop {
        match decoder.read(sink.space()) {
            Ok(0) => return Ended::Whole,
            Ok(len) if sink.written(len, position(decoder)).is_err() => return Ended::Closed,
            Ok(_) => {}
            Err(error) => return Ended::Damaged(position(decoder), error),
        }
    }
}

/// A place in the file.
pub(crate) fn file_at(structure: &'static str, offset: u64, len: u64) -> Location {
    Location { structure: structure.into(), space: ImageSpace::File, offset, len, path: None }
}

/// A place in the raw bytes.
pub(crate) fn raw_at(structure: impl Into<Cow<'static, str>>, offset: u64, len: u64) -> Location {
    Location { structure: structure.into(), space: ImageSpace::Raw, offset, len, path: None }
}

/// What the raw bytes of an image are; `None` if they cannot be read that far, or are something
/// else. Of a compressed one only the beginning is read: see [`refine`].
pub fn raw_format(source: &dyn ReadAt) -> io::Result<Option<RawFormat>> {
    let mut head = vec![0; source.len()?.min(HEAD_LEN as u64) as usize];
    source.read_exact_at(0, &mut head)?;
    let mut whole = sniff_whole(&head, &read_tail(source)?);
    if matches!(whole, Head::Compressed(_)) {
        head.clear();
        let file = io::BufReader::new(Front { source, at: 0 });
        // Of an image that breaks off, what came before is judged.
        let _ = open_raw(file).and_then(|raw| raw.take(HEAD_LEN as u64).read_to_end(&mut head));
        whole = sniff(&head);
    }
    Ok(match whole {
        Head::Raw(format) => Some(format),
        Head::Compressed(_) | Head::Other(_) => None,
    })
}

/// Reads from front to back.
struct Front<'a> {
    source: &'a dyn ReadAt,
    at: u64,
}

impl Read for Front<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.source.len()?.saturating_sub(self.at).min(buf.len() as u64);
        self.source.read_exact_at(self.at, &mut buf[..len as usize])?;
        self.at += len;
        Ok(len as usize)
    }
}

/// Opens an image for reading its raw bytes, with no check but the decoder's own. What is no
/// known compression is read as it is.
pub fn open_raw<'a>(mut source: impl BufRead + 'a) -> io::Result<Box<dyn BufRead + 'a>> {
    const BUFFER: usize = 256 << 10;
    let raw: Box<dyn Read + 'a> = match sniff(source.fill_buf()?) {
        Head::Compressed(Compression::Gzip) => {
            Box::new(flate2::bufread::MultiGzDecoder::new(source))
        }
        Head::Compressed(Compression::Xz) => Box::new(xz_decoder(source)?),
        Head::Compressed(Compression::Zstd) => Box::new(zstd_decoder(source)?),
        Head::Compressed(Compression::None) | Head::Raw(_) | Head::Other(_) => {
            return Ok(Box::new(source));
        }
    };
    Ok(Box::new(io::BufReader::with_capacity(BUFFER, raw)))
}

fn xz_decoder<R: BufRead>(source: R) -> io::Result<liblzma::bufread::XzDecoder<R>> {
    let stream = liblzma::stream::Stream::new_stream_decoder(
        XZ_MEMORY,
        liblzma::stream::CONCATENATED | liblzma::stream::TELL_UNSUPPORTED_CHECK,
    )?;
    Ok(liblzma::bufread::XzDecoder::new_stream(source, stream))
}

fn zstd_decoder<'a, R: BufRead>(source: R) -> io::Result<::zstd::Decoder<'a, R>> {
    let mut decoder = ::zstd::Decoder::with_buffer(source)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG)?;
    Ok(decoder)
}
