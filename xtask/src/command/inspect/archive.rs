//! Archives: what is around them, and their members.

use std::{
    cell::RefCell,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    rc::Rc,
};

use image_formats::{
    gzip,
    tar::{Item, Kind, Member, Reader},
};
use image_host::interrupt;
use serde_json::{Map, Value};

use super::{BUFFER, Printer, Structure, hex, shown, structure, text};

type Found = Rc<RefCell<Vec<Structure>>>;

/// Prints the structures in the order in which they lie.
pub(super) fn inspect(mut file: BufReader<File>, out: &mut Printer) -> io::Result<()> {
    let found: Found = Rc::default();
    let is_gzip = file.fill_buf()?.starts_with(&gzip::raw::Header::MAGIC);
    let raw: Box<dyn BufRead> = if is_gzip {
        let decoder = gzip::Decoder::new(file);
        Box::new(BufReader::with_capacity(BUFFER, Gzip { decoder, found: Rc::clone(&found) }))
    } else {
        image_verify::open_raw(file)?
    };
    let mut tar = Reader::new(raw);
    loop {
        interrupt::check()?;
        let item = tar.next_item()?;
        if let Some(item) = &item {
            found.borrow_mut().push(describe(item));
        }
        for structure in found.borrow_mut().drain(..) {
            out.print(&structure)?;
        }
        if item.is_none() {
            return Ok(());
        }
    }
}

/// The raw bytes of a gzip file; what is around them goes to `found`.
struct Gzip<R> {
    decoder: gzip::Decoder<R>,
    found: Found,
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while !buf.is_empty() {
            let found = match self.decoder.next_event(buf)? {
                None => return Ok(0),
                Some(gzip::Event::Data(len)) => return Ok(len),
                Some(gzip::Event::Header(header)) => header_of(&header),
                Some(gzip::Event::Member(end)) => structure(
                    "gzip trailer",
                    "file",
                    end.trailer_offset.0,
                    [
                        ("crc32", hex(end.stored_crc32)),
                        ("computed", hex(end.computed_crc32)),
                        ("isize", end.stored_isize.into()),
                        ("length", end.len.into()),
                    ],
                ),
                Some(gzip::Event::End(end)) => {
                    let offset = self.decoder.position().0;
                    structure("gzip end", "file", offset, [("state", format!("{end:?}").into())])
                }
            };
            self.found.borrow_mut().push(found);
        }
        Ok(0)
    }
}

fn header_of(header: &gzip::MemberHeader) -> Structure {
    let raw = &header.header;
    let mut fields = vec![
        ("method", raw.cm.into()),
        ("flags", hex(raw.flg.into())),
        ("mtime", raw.mtime.get().into()),
        ("extraFlags", raw.xfl.into()),
        ("os", raw.os.into()),
    ];
    fields.extend(header.name.as_ref().map(|name| ("name", text(name))));
    fields.extend(header.comment.as_ref().map(|comment| ("comment", text(comment))));
    structure("gzip header", "file", header.offset.0, fields)
}

pub(super) fn describe(item: &Item) -> Structure {
    match item {
        Item::Member(member) => describe_member(member),
        Item::Global(global) => {
            structure("pax global", "raw", global.offset.0, [("records", records(&global.records))])
        }
        Item::Anomaly(anomaly) => structure(
            "anomaly",
            "raw",
            anomaly.offset.0,
            [("length", anomaly.len.into()), ("what", format!("{:?}", anomaly.kind).into())],
        ),
        Item::End(end) => structure(
            "tar end",
            "raw",
            end.offset.0,
            [
                ("zeroBlocks", end.zero_blocks.into()),
                ("length", end.len.into()),
                ("truncated", end.truncated.map_or(Value::Null, |t| format!("{t:?}").into())),
            ],
        ),
    }
}

fn describe_member(member: &Member) -> Structure {
    let mut fields = vec![
        ("mode", format!("{:04o}", member.mode).into()),
        ("owner", format!("{}:{}", member.uid, member.gid).into()),
        ("size", member.size.into()),
        ("mtime", member.mtime.into()),
        ("format", member.dialect.as_str().into()),
        ("path", text(&member.path)),
    ];
    if matches!(member.kind, Kind::Symlink | Kind::HardLink) {
        fields.push(("target", text(&member.link)));
    }
    if let Some((major, minor)) = member.device {
        fields.push(("device", format!("{major},{minor}").into()));
    }
    if !member.pax.is_empty() {
        fields.push(("pax", records(&member.pax)));
    }
    structure(member.kind.as_str(), "raw", member.header_offset.0, fields)
}

fn records(records: &[(Vec<u8>, Vec<u8>)]) -> Value {
    records
        .iter()
        .map(|(key, value)| (shown(key), text(value)))
        .collect::<Map<String, Value>>()
        .into()
}
