//! Compares two images, and tells what differs in terms of their structures.
//!
//! From outside inwards: compression, partition tables, what file systems say of themselves, Nix
//! stores, files. At the end the bytes of two images of the same size are compared, and each that
//! differs is accounted for by a structure that it belongs to, so that what is not explained is
//! told as well. Memory grows with the number of files and not with their size.

mod bytes;
mod container;
mod ext4;
mod fat;
mod fields;
mod files;
mod iso;
mod kinds;
mod map;
mod out;
mod parts;
mod squashfs;
mod store;
mod table;
mod tar;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
    thread,
};

use image_formats::{
    bytes::{ReadAt, ReadCause, ReadError, Region},
    units::ByteOffset,
};
use image_model::{
    COMPARISON_SCHEMA, Compared, Comparison, Compression, DifferenceKind, Digests, Sha256, Sizes,
};
use sha2::Digest as _;

use crate::{
    Recorder,
    container::{compression_of, raw_format, refine},
    disk::Disk,
    opened::{self, Opened},
    volume::Volume,
};
use kinds::*;
use map::Map;
pub use out::MAX_DIFFERENCES_PER_ID;
use out::{AROUND, Out, Told};

/// All ways in which images can differ.
pub fn differences() -> impl Iterator<Item = &'static DifferenceKind> {
    KINDS.iter().map(|kind| &kind.public)
}

/// An image that is compared.
pub enum Source {
    /// A file.
    File {
        /// Its bytes.
        file: Arc<dyn ReadAt>,
        /// The bytes inside its compression; the same where there is none.
        raw: Arc<dyn ReadAt>,
        /// Why those end before the image does, where they do: a sentence about the image.
        cut: Option<String>,
    },
    /// A file tree that is in no file.
    Folder(Box<Volume>),
}

/// An image, as far as it could be opened.
struct Image<'s> {
    file: Option<(Region, Compression, Digests)>,
    raw: Option<Region>,
    opened: Held<'s>,
}

/// What was opened here, or by somebody else.
enum Held<'s> {
    Ours(Box<Opened>),
    Theirs(&'s Volume),
    Nothing,
}

/// Compares two images. `progress` is told of bytes that were compared. An error is the machine's.
pub fn compare(
    a: &Source,
    b: &Source,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Comparison, ReadError> {
    let (file_a, file_b) = (a.file(), b.file());
    let (digest_a, digest_b) = thread::scope(|scope| {
        let other = scope.spawn(|| file_a.map(digests).transpose());
        let of_b = file_b.map(digests).transpose();
        let of_a = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok::<_, ReadError>((of_a?, of_b?))
    })?;
    let same_file = digest_a.is_some() && digest_a == digest_b;
    let cuts = [("first", a.cut()), ("second", b.cut())];
    let (a, b) = (Image::open(a, digest_a, same_file)?, Image::open(b, digest_b, same_file)?);
    let mut job = Job { a, b, out: Out::default(), progress, not_compared: Vec::new() };
    let (mut stores, mut bytes) = (Vec::new(), None);
    if !same_file {
        for (which, cut) in cuts {
            let cut = cut.map(|cut| format!("the rest of the {which} image: {cut}"));
            job.not_compared.extend(cut);
        }
        job.around()?;
        (stores, bytes) = job.inside()?;
        job.stream(bytes.is_some_and(|bytes| bytes.differ == 0))?;
    }
    job.trouble()?;
    let Job { a, b, mut out, not_compared, .. } = job;
    if !same_file && out.is_empty() && digest_a.is_some() && digest_b.is_some() {
        let told = Told { volume: AROUND, place: "file" };
        out.push(AROUND, &BYTES, told.difference(&BYTES, "file"));
    }
    let (differences, omitted) = out.finish();
    Ok(Comparison {
        schema: COMPARISON_SCHEMA,
        a: a.compared(),
        b: b.compared(),
        same: differences.is_empty(),
        differences,
        omitted,
        stores,
        bytes,
        not_compared,
    })
}

impl Source {
    fn file(&self) -> Option<&Arc<dyn ReadAt>> {
        match self {
            Self::File { file, .. } => Some(file),
            Self::Folder(_) => None,
        }
    }

    fn cut(&self) -> Option<&str> {
        match self {
            Self::File { cut, .. } => cut.as_deref(),
            Self::Folder(_) => None,
        }
    }
}

impl<'s> Image<'s> {
    fn open(source: &'s Source, digests: Option<Digests>, closed: bool) -> Result<Self, ReadError> {
        let (file, raw) = match source {
            Source::Folder(volume) => {
                return Ok(Self { file: None, raw: None, opened: Held::Theirs(volume) });
            }
            Source::File { file, raw, .. } => (file, raw),
        };
        let whole = |source: &Arc<dyn ReadAt>| Region::whole(Arc::clone(source)).map_err(machine);
        let region = whole(raw)?;
        let format = raw_format(&**raw).map_err(machine)?;
        let opened = match format {
            Some(format) => {
                let format = refine(format, &**raw).map_err(machine)?;
                if closed {
                    Held::Ours(Box::new(Opened::Closed(format)))
                } else {
                    // What is wrong with it is the question of others.
                    Held::Ours(Box::new(opened::open(raw, format, &mut Recorder::default())?))
                }
            }
            None => Held::Nothing,
        };
        let compression = compression_of(&**file).map_err(machine)?.unwrap_or(Compression::None);
        let file = digests.map(|digests| Ok((whole(file)?, compression, digests))).transpose()?;
        Ok(Self { file, raw: Some(region), opened })
    }

    /// What was opened here.
    fn opened(&self) -> Option<&Opened> {
        match &self.opened {
            Held::Ours(opened) => Some(opened),
            Held::Theirs(_) | Held::Nothing => None,
        }
    }

    fn disk(&self) -> Option<&Disk> {
        match self.opened() {
            Some(Opened::Disk(disk)) => Some(disk),
            _ => None,
        }
    }

    fn format(&self) -> Option<&'static str> {
        match (self.opened(), &self.opened) {
            (Some(Opened::Disk(disk)), _) => Some(disk.format()),
            (Some(Opened::Disc(_)), _) => Some("iso9660"),
            (Some(Opened::Archive(volume)), _) => Some(volume.format),
            (None, Held::Theirs(volume)) => Some(volume.format),
            (Some(Opened::Closed(format)), _) => Some(format.as_str()),
            (None, _) => None,
        }
    }

    fn compared(&self) -> Compared {
        Compared {
            format: self.format().map(Cow::Borrowed),
            compression: self.file.as_ref().map_or(Compression::None, |(_, found, _)| *found),
            file: self.file.as_ref().map(|(_, _, digests)| *digests),
            raw_size: self.raw.as_ref().map(Region::len),
        }
    }
}

/// A comparison.
struct Job<'s, 'p> {
    a: Image<'s>,
    b: Image<'s>,
    out: Out,
    progress: &'p (dyn Fn(u64) + Sync),
    not_compared: Vec<String>,
}

impl Job<'_, '_> {
    /// Compares what is around the raw bytes, and what these are.
    fn around(&mut self) -> Result<(), ReadError> {
        let Self { a, b, out, .. } = self;
        if let (Some((file_a, of_a, _)), Some((file_b, of_b, _))) = (&a.file, &b.file) {
            container::compare((file_a, *of_a), (file_b, *of_b), out)?;
        }
        let told = Told { volume: AROUND, place: "image" };
        // A disk with another table is still a disk.
        let disks =
            matches!((a.opened(), b.opened()), (Some(Opened::Disk(_)), Some(Opened::Disk(_))));
        if a.format() != b.format() && !disks {
            let mut difference = told.difference(&IMAGE_FORMAT, told.place);
            let name = |image: &Image<'_>| Some(image.format().unwrap_or("unknown").to_owned());
            (difference.a, difference.b) = (name(a), name(b));
            out.push(AROUND, &IMAGE_FORMAT, difference);
        }
        if let (Some(raw_a), Some(raw_b)) = (&a.raw, &b.raw)
            && raw_a.len() != raw_b.len()
        {
            let mut difference = told.difference(&IMAGE_SIZE, told.place);
            let name = |raw: &Region| Some(format!("{} bytes", raw.len()));
            (difference.a, difference.b) = (name(raw_a), name(raw_b));
            difference.sizes = Some(Sizes { a: Some(raw_a.len()), b: Some(raw_b.len()) });
            out.push(AROUND, &IMAGE_SIZE, difference);
        }
        Ok(())
    }

    /// Compares the raw bytes.
    fn inside(
        &mut self,
    ) -> Result<(Vec<image_model::StoreChange>, Option<image_model::ByteTotals>), ReadError> {
        let Self { a, b, out, progress, not_compared } = self;
        let same_size = a.raw.as_ref().map(Region::len) == b.raw.as_ref().map(Region::len);
        match (a.opened(), b.opened()) {
            (Some(Opened::Disk(a)), Some(Opened::Disk(b))) => table::disks(a, b, out)?,
            (Some(Opened::Disc(a)), Some(Opened::Disc(b))) => {
                iso::sticks(&a.bytes, &b.bytes, out)?;
            }
            _ => {}
        }
        let (parts_a, parts_b) = (parts::of(a), parts::of(b));
        for (which, parts, image) in [("first", &parts_a, &*a), ("second", &parts_b, &*b)] {
            parts::unread(which, parts, image, not_compared);
        }
        let pairs = parts::pairs(&parts_a, &parts_b);
        let nested = if same_size { parts::nested(a, &pairs) } else { BTreeSet::new() };
        let (mut map_a, mut map_b) = (Map::default(), Map::default());
        if same_size {
            for (image, other, map) in [(&*a, &*b, &mut map_a), (&*b, &*a, &mut map_b)] {
                if let Some(disk) = image.disk() {
                    table::map(disk, other.disk(), map)?;
                }
            }
        }
        let mut stores = Vec::new();
        let mut contents = BTreeSet::new();
        let mut trees = BTreeMap::new();
        let names = pairs.iter().map(|pair| (pair.number, pair.name.as_str())).collect();
        let moved = pairs.iter().filter(|pair| pair.is_moved()).map(|pair| pair.number).collect();
        for pair in &pairs {
            pair.compare(out)?;
            if same_size {
                pair.map(&mut map_a, &mut map_b)?;
            }
            if let Some(opened) = pair.opened() {
                let mut common = Vec::new();
                let (contents, common_of) = (&mut contents, &mut common);
                let store = parts::files(opened, &nested, contents, common_of, *progress, out)?;
                stores.extend(store);
                trees.insert(pair.number, (&opened.a.tree, common));
            }
        }
        let bytes = match (&a.raw, &b.raw) {
            (Some(raw_a), Some(raw_b)) if same_size => {
                let (of_a, of_b) = ((raw_a, &map_a), (raw_b, &map_b));
                let (trees, contents) = (&trees, &contents);
                let known = bytes::Known { trees, contents, names: &names, moved: &moved };
                Some(bytes::compare(of_a, of_b, &known, *progress, out)?)
            }
            _ => None,
        };
        Ok((stores, bytes))
    }

    /// Says so where the same bytes are compressed differently.
    fn stream(&mut self, same_raw: bool) -> Result<(), ReadError> {
        let (Some((file_a, of_a, _)), Some((file_b, of_b, _))) = (&self.a.file, &self.b.file)
        else {
            return Ok(());
        };
        if !same_raw || of_a != of_b || *of_a == Compression::None {
            return Ok(());
        }
        if self.out.is_empty() || container::streams_differ((file_a, file_b), *of_a)? {
            let told = Told { volume: AROUND, place: "file" };
            let mut difference = told.difference(&COMPRESSION_STREAM, told.place);
            let size = |file: &Region| Some(format!("{} bytes", file.len()));
            (difference.a, difference.b) = (size(file_a), size(file_b));
            difference.sizes = Some(Sizes { a: Some(file_a.len()), b: Some(file_b.len()) });
            self.out.push(AROUND, &COMPRESSION_STREAM, difference);
        }
        Ok(())
    }

    /// The failure of the machine that a reader of files met, if one met one.
    fn trouble(&self) -> Result<(), ReadError> {
        for image in [&self.a, &self.b] {
            match image.opened() {
                Some(Opened::Disk(disk)) => disk.trouble()?,
                Some(Opened::Disc(disc)) => disc.trouble()?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// Hashes a file.
fn digests(file: &Arc<dyn ReadAt>) -> Result<Digests, ReadError> {
    const PIECE: u64 = 1 << 20;
    let whole = Region::whole(Arc::clone(file)).map_err(machine)?;
    let mut hash = sha2::Sha256::new();
    let mut piece = vec![0; PIECE as usize];
    let mut at = 0;
    while at < whole.len() {
        let len = (whole.len() - at).min(PIECE);
        let piece = &mut piece[..len as usize];
        whole.fill("image", at, piece)?;
        hash.update(&*piece);
        at += len;
    }
    Ok(Digests { size: whole.len(), sha256: Sha256(hash.finalize().into()) })
}

/// What a defect keeps from being read is not compared.
fn present<T>(read: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_defect() => Ok(None),
        Err(error) => Err(error),
    }
}

fn machine(cause: io::Error) -> ReadError {
    ReadError { what: "image", at: ByteOffset(0), len: 0, cause: ReadCause::Io(cause) }
}
