//! What is around the raw bytes: the headers of compressed files.

use std::io;

use image_formats::{
    bytes::{ReadError, Region},
    gzip, zstd,
};
use image_model::{Compression, Difference, ImageSpace};
use zerocopy::FromBytes as _;

use super::{
    fields::time,
    kinds::*,
    out::{AROUND, Out, Told},
};

/// How much of a file is read at once.
const PIECE: u64 = 1 << 20;

/// Where the header of an xz file says which checksum its blocks have. The .xz File Format, §2.1.1.2.
const XZ_CHECK_AT: u64 = 7;

/// Compares the compression of two files, the second with the first.
pub(super) fn compare(
    (a, of_a): (&Region, Compression),
    (b, of_b): (&Region, Compression),
    out: &mut Out,
) -> Result<(), ReadError> {
    let told = Told { volume: AROUND, place: "file" };
    if of_a != of_b {
        let difference = told.difference(&COMPRESSION, told.place);
        let (a, b) = (Some(of_a.as_str().to_owned()), Some(of_b.as_str().to_owned()));
        out.push(AROUND, &COMPRESSION, Difference { a, b, ..difference });
        return Ok(());
    }
    match of_a {
        Compression::None => Ok(()),
        Compression::Gzip => gzip(a, b, out),
        Compression::Xz => xz(a, b, out),
        Compression::Zstd => zstd(a, b, out),
    }
}

fn push(out: &mut Out, kind: &'static Kind, structure: &str, at: u64, a: String, b: String) {
    if a != b {
        let told = Told { volume: AROUND, place: structure };
        let mut difference = told.difference(kind, structure);
        difference.at.space = Some(ImageSpace::File);
        (difference.at.a, difference.at.b) = (Some(at), Some(at));
        (difference.a, difference.b) = (Some(a), Some(b));
        out.push(AROUND, kind, difference);
    }
}

fn gzip(a: &Region, b: &Region, out: &mut Out) -> Result<(), ReadError> {
    let (Some(head_a), Some(head_b)) = (gzip_header(a)?, gzip_header(b)?) else { return Ok(()) };
    let shown = |mtime: u32| if mtime == 0 { "none".to_owned() } else { time(mtime.into()) };
    let (of_a, of_b) = (head_a.header, head_b.header);
    let mut tell = |kind, name: &str, at, a, b| {
        push(out, kind, &format!("gzip header, {name}"), at, a, b);
    };
    tell(&GZIP_MTIME, "MTIME", 4, shown(of_a.mtime.get()), shown(of_b.mtime.get()));
    tell(&GZIP_OS, "OS", 9, of_a.os.to_string(), of_b.os.to_string());
    tell(&GZIP_HEADER, "FLG", 3, format!("{:#x}", of_a.flg), format!("{:#x}", of_b.flg));
    tell(&GZIP_HEADER, "XFL", 8, of_a.xfl.to_string(), of_b.xfl.to_string());
    let text = |text: &Option<Vec<u8>>| {
        text.as_deref()
            .map_or("none".to_owned(), |text| format!("{:?}", crate::tree::display(text)))
    };
    tell(&GZIP_HEADER, "name", 10, text(&head_a.name), text(&head_b.name));
    tell(&GZIP_HEADER, "comment", 10, text(&head_a.comment), text(&head_b.comment));
    Ok(())
}

/// The header of the first member.
fn gzip_header(file: &Region) -> Result<Option<gzip::MemberHeader>, ReadError> {
    // A name and a comment have a limit, and are all that can be long.
    let most = 2 * gzip::MAX_TEXT_LEN as u64 + (128 << 10);
    let head = file.bytes("gzip header", 0, file.len().min(most), most)?;
    let mut decoder = gzip::Decoder::new(io::BufReader::new(&head[..]));
    let mut buf = [0; 64];
    // Memory has no errors.
    Ok(match decoder.next_event(&mut buf) {
        Ok(Some(gzip::Event::Header(header))) => Some(header),
        _ => {
            gzip::raw::Header::read_from_prefix(&head).ok().map(|(header, _)| gzip::MemberHeader {
                offset: image_formats::units::ByteOffset(0),
                header,
                extra_len: None,
                name: None,
                comment: None,
                crc16: None,
            })
        }
    })
}

fn xz(a: &Region, b: &Region, out: &mut Out) -> Result<(), ReadError> {
    let check = |file: &Region| {
        let found = super::present(file.array::<1>("xz stream header", XZ_CHECK_AT))?;
        Ok(match found {
            Some([0]) => "none".to_owned(),
            Some([1]) => "CRC32".to_owned(),
            Some([4]) => "CRC64".to_owned(),
            Some([10]) => "SHA-256".to_owned(),
            Some([other]) => format!("type {other}"),
            None => "cut off".to_owned(),
        })
    };
    let (of_a, of_b) = (check(a)?, check(b)?);
    push(out, &XZ_HEADER, "xz stream header, check", XZ_CHECK_AT, of_a, of_b);
    Ok(())
}

/// What the frames of a zstd file come to.
#[derive(PartialEq, Eq)]
struct Frames {
    count: u64,
    sized: bool,
    checksum: bool,
    /// Of the content of the first one.
    first: Option<u64>,
}

fn zstd(a: &Region, b: &Region, out: &mut Out) -> Result<(), ReadError> {
    let shown = |frames: &Frames| {
        let checksum = if frames.checksum { "with" } else { "without" };
        let sized = if frames.sized { "" } else { ", sizes not told" };
        let first =
            frames.first.map_or(String::new(), |size| format!(", the first of {size} bytes"));
        format!("{} frames {checksum} checksums{sized}{first}", frames.count)
    };
    let (a, b) = (frames(a)?, frames(b)?);
    push(out, &ZSTD_FRAMES, "zstd frames", 0, shown(&a), shown(&b));
    Ok(())
}

fn frames(file: &Region) -> Result<Frames, ReadError> {
    let mut found = Frames { count: 0, sized: true, checksum: true, first: None };
    let mut reader = zstd::Frames::default();
    let mut at = 0;
    let mut piece = vec![0; PIECE as usize];
    while at < file.len() {
        let len = (file.len() - at).min(PIECE);
        let piece = &mut piece[..len as usize];
        file.fill("zstd file", at, piece)?;
        reader.feed(piece, |frame| {
            if found.count == 0 {
                found.first = frame.content_size;
            }
            found.count += 1;
            found.sized &= frame.content_size.is_some();
            found.checksum &= frame.checksum;
        });
        at += len;
    }
    Ok(found)
}

/// True if the same bytes were compressed differently, the header aside.
pub(super) fn streams_differ(
    (a, b): (&Region, &Region),
    compression: Compression,
) -> Result<bool, ReadError> {
    if compression != Compression::Gzip {
        // Their headers decide over what follows.
        return Ok(false);
    }
    let (Some(head_a), Some(head_b)) = (gzip_header(a)?, gzip_header(b)?) else { return Ok(false) };
    let (mut at_a, mut at_b) = (header_len(&head_a), header_len(&head_b));
    if a.len().saturating_sub(at_a) != b.len().saturating_sub(at_b) {
        return Ok(true);
    }
    let (mut piece_a, mut piece_b) = (vec![0; PIECE as usize], vec![0; PIECE as usize]);
    while at_a < a.len() {
        let len = (a.len() - at_a).min(PIECE);
        let (piece_a, piece_b) = (&mut piece_a[..len as usize], &mut piece_b[..len as usize]);
        a.fill("gzip file", at_a, piece_a)?;
        b.fill("gzip file", at_b, piece_b)?;
        if piece_a != piece_b {
            return Ok(true);
        }
        (at_a, at_b) = (at_a + len, at_b + len);
    }
    Ok(false)
}

/// Bytes of a header. RFC 1952 §2.3.
fn header_len(header: &gzip::MemberHeader) -> u64 {
    let text = |text: &Option<Vec<u8>>| text.as_ref().map_or(0, |text| text.len() as u64 + 1);
    10 + header.extra_len.map_or(0, |len| 2 + u64::from(len))
        + text(&header.name)
        + text(&header.comment)
        + if header.crc16.is_some() { 2 } else { 0 }
}
