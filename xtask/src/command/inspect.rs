//! `inspect FILE`: every structure of an image as text, without an opinion.

mod appliance;
mod archive;
mod container;
mod disc;
mod disk;
mod ext4;
mod fat;
mod iso9660;
mod members;
mod qcow2;
mod squashfs;
mod vhd;

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, StdoutLock, Write as _},
    path::Path,
};

use image_factory::verify::{self, Raw};
use image_verify::container::{RawFormat, raw_format, refine};
use serde_json::{Map, Value};

use super::{Context, open_image, work_folder, work_hint};
use crate::{
    Verdict,
    args::{Format, InspectArgs},
    failure::Failure,
};

const BUFFER: usize = 256 << 10;

pub(super) fn run(context: Context, args: &InspectArgs) -> Result<Verdict, Failure> {
    let path = args.file.as_path();
    let fail = |e| Failure::file(format!("cannot inspect {}", path.display()), e);
    open_image(path, "cannot inspect")?;
    let work = work_folder(args.work.as_deref());
    match inspect(path, &work, &mut Printer::new(context.format)) {
        // Whoever closed standard output, as `head` does, has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Verdict::Clean),
        Err(error) => Err(match work_hint(&error) {
            // It is not the file that is not there.
            Some(hint) => Failure::host(format!("cannot inspect {}{hint}", path.display()), error),
            None => fail(error),
        }),
        Ok(()) => Ok(Verdict::Clean),
    }
}

fn inspect(path: &Path, work: &Path, out: &mut Printer) -> io::Result<()> {
    let open = || File::open(path).map(|file| BufReader::with_capacity(BUFFER, file));
    let format = raw_format(open()?.get_ref())?;
    let is_archive =
        matches!(format, None | Some(RawFormat::Tar | RawFormat::Ova | RawFormat::Docker));
    if is_archive {
        archive::inspect(open()?, out)?;
    }
    let Some(format) = format.filter(|format| *format != RawFormat::Tar) else {
        return out.out.flush();
    };
    let Raw { bytes: raw, cut } = verify::raw(open()?.into_inner(), work)?;
    if let Some(cut) = cut {
        eprintln!("warning: {}: {cut}", path.display());
    }
    match refine(format, &*raw)? {
        RawFormat::Iso => disc::inspect(&raw, out)?,
        RawFormat::Qcow2 => qcow2::inspect(&raw, out)?,
        RawFormat::Vhd => vhd::inspect(&raw, out)?,
        RawFormat::Ova => appliance::inspect(&raw, out)?,
        RawFormat::Docker => container::inspect(&raw, out)?,
        RawFormat::Disk | RawFormat::Tar => disk::inspect(&raw, out)?,
    }
    out.out.flush()
}

/// Prints structures, a line each.
struct Printer {
    out: BufWriter<StdoutLock<'static>>,
    format: Format,
}

impl Printer {
    fn new(format: Format) -> Self {
        Self { out: BufWriter::new(io::stdout().lock()), format }
    }

    fn print(&mut self, structure: &Structure) -> io::Result<()> {
        match self.format {
            Format::Human => writeln!(self.out, "{}", structure.human()),
            Format::Json => writeln!(self.out, "{}", structure.json()),
        }
    }
}

/// One structure of the image.
struct Structure {
    name: &'static str,
    /// `file` or `raw`.
    space: &'static str,
    offset: u64,
    fields: Vec<(&'static str, Value)>,
}

fn structure(
    name: &'static str,
    space: &'static str,
    offset: u64,
    fields: impl IntoIterator<Item = (&'static str, Value)>,
) -> Structure {
    Structure { name, space, offset, fields: fields.into_iter().collect() }
}

impl Structure {
    fn human(&self) -> String {
        let mut line = format!("{:4} {:#012x} {:14}", self.space, self.offset, self.name);
        for (key, value) in &self.fields {
            match value {
                Value::String(text) => line += &format!(" {key}={text}"),
                other => line += &format!(" {key}={other}"),
            }
        }
        line
    }

    fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("structure".to_owned(), self.name.into());
        object.insert("space".to_owned(), self.space.into());
        object.insert("offset".to_owned(), self.offset.into());
        let fields = self.fields.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
        object.extend(fields);
        Value::Object(object)
    }
}

fn hex(value: u32) -> Value {
    format!("{value:#x}").into()
}

fn text(bytes: &[u8]) -> Value {
    shown(bytes).into()
}

/// Bytes that are not printable are escaped: an image does not write to the terminal.
fn shown(bytes: &[u8]) -> String {
    bytes
        .utf8_chunks()
        .flat_map(|chunk| {
            let valid = chunk.valid().chars().map(|c| {
                if c.is_control() { c.escape_default().to_string() } else { c.to_string() }
            });
            let invalid = chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}"));
            valid.chain(invalid).collect::<Vec<_>>()
        })
        .collect()
}
