//! Checks of gzip. RFC 1952.

use std::{io::BufRead, mem::offset_of};

use image_formats::gzip::{
    Decoder, End, Event, MemberEnd, MemberHeader,
    raw::{Header, Trailer},
};

use crate::{Recorder, container::file_at, stream::Sink};

checks! {
    /// All checks of this format, in the order they are evaluated.
    CHECKS:

    /// Deflate is the only method that was ever defined; nothing reads another.
    METHOD = "gzip-method", Error;
    reads "CM of every member";
    spec "RFC 1952 §2.3.1";

    /// A reader must refuse a member whose reserved flags are set: they may announce a field that
    /// it does not know, and then the data does not start where it looks.
    RESERVED_FLAGS = "gzip-reserved-flags", Error;
    reads "FLG of every member";
    spec "RFC 1952 §2.3.1.2";

    /// A header that carries a checksum must match it. Few readers look, so a wrong one goes
    /// unnoticed until one does.
    HEADER_CRC = "gzip-header-crc", Error;
    reads "CRC16 of every member that has one";
    spec "RFC 1952 §2.3.1";

    /// A name or comment of more than 64 KiB is no name: nothing writes one.
    HEADER_TEXT = "gzip-header-text", Error;
    reads "the original file name and the comment of every member";
    spec "RFC 1952 §2.3.1; the limit is ours";

    /// The compressed data is damaged. What follows the damage is lost; WSL fails to import the
    /// file.
    DATA = "gzip-data", Error;
    reads "the deflate data of every member";
    spec "RFC 1951 §3.2";

    /// The file ends too early: the download or the copy was cut short. WSL fails to import it.
    TRUNCATED = "gzip-truncated", Error;
    reads "the end of the file";
    spec "RFC 1952 §2.2";

    /// The data is not what was compressed. **WSL imports such a file without a word**: libarchive
    /// never looks at this checksum, so a flipped byte in a program arrives as it is.
    CRC = "gzip-crc", Error;
    reads "CRC32 of every member, and all uncompressed bytes";
    spec "RFC 1952 §2.3.1; libarchive archive_read_support_filter_gzip.c does not verify it";

    /// The length of the data is not the one that was compressed. libarchive does not look at it
    /// either.
    SIZE = "gzip-size", Error;
    reads "ISIZE of every member, and the length of all uncompressed bytes modulo 2³²";
    spec "RFC 1952 §2.3.1";

    /// Several members in a row are valid, but some readers stop after the first one and take what
    /// they have for all there is.
    SINGLE_MEMBER = "gzip-single-member", Error;
    reads "the bytes after the first member";
    spec "RFC 1952 §2.2";

    /// Bytes after the last member belong to nothing. WSL ignores them, other readers fail, and
    /// none can tell whether they were once data.
    TRAILING_BYTES = "gzip-trailing-bytes", Error;
    reads "the bytes after the last member";
    spec "RFC 1952 §2.2";
}

/// Uncompresses `source` into `sink` and judges what is around the data. True if all of it could
/// be read.
pub(crate) fn decode(source: impl BufRead, sink: &mut Sink, out: &mut Recorder) -> bool {
    out.announce(CHECKS);
    let mut decoder = Decoder::new(source);
    let mut members = 0_u64;
    // A source of ours does not fail: see `stream::Source`.
    while let Ok(Some(event)) = decoder.next_event(sink.space()) {
        match event {
            Event::Header(header) => {
                members += 1;
                if members <= 2 {
                    let offset = header.offset.0;
                    out.expect(&SINGLE_MEMBER, members == 1, || {
                        (
                            file_at("gzip member", offset, 10),
                            "another member, not the end".to_owned(),
                        )
                    });
                }
                judge_header(&header, out);
            }
            Event::Data(len) => {
                if sink.written(len, decoder.position().0).is_err() {
                    return false;
                }
            }
            Event::Member(member) => judge_trailer(&member, out),
            Event::End(end) => return judge_end(end, out),
        }
    }
    false
}

fn judge_header(member: &MemberHeader, out: &mut Recorder) {
    let offset = member.offset.0;
    let flags = member.header.flg & Header::RESERVED;
    out.expect(&METHOD, true, || (file_at("gzip header", offset, 10), String::new()));
    out.expect(&HEADER_TEXT, true, || (file_at("gzip header", offset, 10), String::new()));
    out.expect(&RESERVED_FLAGS, flags == 0, || {
        let at = file_at("gzip header", offset + offset_of!(Header, flg) as u64, 1);
        (at, format!("FLG has {flags:#04x} of the reserved bits, not 0"))
    });
    if let Some((stored, computed)) = member.crc16 {
        out.expect(&HEADER_CRC, stored == computed, || {
            let message = format!("stored {stored:#06x}, computed {computed:#06x}");
            (file_at("gzip header", offset, 10), message)
        });
    }
}

fn judge_trailer(member: &MemberEnd, out: &mut Recorder) {
    let MemberEnd { trailer_offset, stored_crc32, computed_crc32, stored_isize, len, .. } = *member;
    out.expect(&CRC, stored_crc32 == computed_crc32, || {
        let message = format!("stored {stored_crc32:#010x}, computed {computed_crc32:#010x}");
        (file_at("gzip trailer", trailer_offset.0, 4), message)
    });
    out.expect(&SIZE, u64::from(stored_isize) == len % (1 << 32), || {
        let at = file_at("gzip trailer", trailer_offset.0 + offset_of!(Trailer, isize) as u64, 4);
        (at, format!("stored {stored_isize}, uncompressed {len} bytes (modulo 2³²)"))
    });
}

fn judge_end(end: End, out: &mut Recorder) -> bool {
    let nowhere = || (file_at("gzip", 0, 0), String::new());
    if let End::Method(offset) = end {
        return out.expect(&METHOD, false, || {
            (file_at("gzip header", offset.0, 10), "CM is not 8, deflate".to_owned())
        });
    }
    if let End::LongText(offset) = end {
        return out.expect(&HEADER_TEXT, false, || {
            let message = "the file name or comment is longer than 64 KiB".to_owned();
            (file_at("gzip header", offset.0, 10), message)
        });
    }
    let corrupt = if let End::Corrupt(offset) = end { Some(offset) } else { None };
    if !out.expect(&DATA, corrupt.is_none(), || {
        let offset = corrupt.map_or(0, |offset| offset.0);
        (
            file_at("deflate data", offset, 0),
            "the data is damaged here or shortly before".to_owned(),
        )
    }) {
        return false;
    }
    if let End::Truncated(what, offset) = end {
        return out.expect(&TRUNCATED, false, || {
            (file_at("gzip", offset.0, 0), format!("the file ends within {what}"))
        });
    }
    out.expect(&TRUNCATED, true, nowhere);
    if let End::Complete { offset, trailing, zero } = end {
        out.expect(&TRAILING_BYTES, trailing == 0, || {
            let zero = if zero { ", all zero" } else { "" };
            let message = format!("{trailing} bytes follow{zero}, not the end of the file");
            (file_at("trailing bytes", offset.0, trailing), message)
        });
    }
    true
}
