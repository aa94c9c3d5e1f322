//! A layer: an archive in the archive, compressed or not. It is read once to be judged, and again
//! for each image that it is a part of.

use std::io::{self, BufRead, Read as _};

use image_formats::{
    bytes::ReadError,
    tar::{Anomaly, End, Item, Kind, Member as File, Reader},
};
use image_model::{Check, Location};
use sha2::{Digest as _, Sha256};

use super::{
    LAYER_ABSOLUTE, LAYER_BELOW_FILE, LAYER_DUPLICATE, LAYER_END, LAYER_EXPANSION, LAYER_LINK,
    LAYER_NAME, LAYER_TAR, LAYER_TYPE, LIMITS, SYMLINK_REPLACED, WHITEOUT,
};
use crate::{
    Limits, Recorder,
    container::open_raw,
    members::{self, Member, Stream},
    names::{self, Became, Names, components, plain},
    tree::Tree,
    volume::Trouble,
};

/// What marks a file that a layer takes away.
const MARK: &[u8] = b".wh.";
/// What takes away all in its folder.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// What a storage driver of old wrote for itself.
const OF_DRIVER: &[u8] = b".wh..wh.";

/// What was found out about a layer.
#[derive(Debug, Default)]
pub(super) struct Layer {
    /// SHA-256 of it without compression; `None` where it was not read to its end.
    pub(super) diff_id: Option<[u8; 32]>,
    /// It is compressed.
    pub(super) is_compressed: bool,
    /// Its headers are as they were written.
    pub(super) is_sound: bool,
    /// What it takes away from the layers below.
    whiteouts: Vec<Whiteout>,
}

/// What a layer takes away.
#[derive(Debug)]
struct Whiteout {
    /// The path, or the folder of which all is taken away.
    path: Vec<u8>,
    is_opaque: bool,
    /// Header of its member.
    at: u64,
}

/// How a layer is called in findings: its number in an image is that of the first one that has it.
pub(super) struct Named<'a> {
    pub(super) member: &'a Member,
    is_compressed: bool,
}

impl Named<'_> {
    /// Where something in it is. In a compressed layer nothing has a place in the image.
    fn place(&self, structure: &str, at: u64, len: u64, path: Option<&[u8]>) -> Location {
        let layer = short(&self.member.name());
        let inside = match self.is_compressed {
            true => self.member.content_at("", 0, self.member.content.len()),
            false => self.member.content_at("", at, len),
        };
        let path = path.map(names::show).or(inside.path.clone());
        Location { structure: format!("layer {layer}, {structure}").into(), path, ..inside }
    }
}

/// A name without what nobody compares by eye: twelve digits of a digest are what Docker shows.
fn short(name: &str) -> String {
    const DIGITS: usize = 12;
    let is_digest = |part: &&str| super::words::digest_of_name(part).is_some();
    match name.split('/').find(is_digest) {
        Some(part) => part.trim_start_matches("sha256:").chars().take(DIGITS).collect(),
        None => name.to_owned(),
    }
}

/// Opens a layer, with its compression taken off.
fn open<'a>(member: &Member, trouble: &'a Trouble) -> io::Result<Box<dyn BufRead + 'a>> {
    open_raw(Stream::new(member.content.clone(), trouble))
}

/// True if there is a compression around a layer.
fn is_compressed(member: &Member) -> Result<bool, ReadError> {
    let head = member.content.sub("layer", 0, member.content.len().min(512))?;
    let head = head.bytes("layer", 0, head.len(), 512)?;
    let compression = crate::container::compression(&head);
    Ok(compression.is_some_and(|found| found != image_model::Compression::None))
}

/// Judges a layer by itself. `budget` is how many bytes of layers may still be read, and `room` how
/// many of what they take away may still be kept.
pub(super) fn judge(
    member: &Member,
    limits: &Limits,
    budget: &mut u64,
    room: &mut u64,
    out: &mut Recorder,
) -> Result<Layer, ReadError> {
    let trouble = Trouble::default();
    let is_compressed = is_compressed(member)?;
    let named = Named { member, is_compressed };
    let mut layer = Layer { is_compressed, is_sound: true, ..Layer::default() };
    let source = match open(member, &trouble) {
        Ok(source) => source,
        Err(error) => {
            trouble.take()?;
            out.expect(&LAYER_TAR, false, || {
                (named.place("compression", 0, 0, None), format!("cannot be read: {error}"))
            });
            return Ok(layer);
        }
    };
    let mut judge = Judge { named, limits, out, room, names: Names::default(), files: 0 };
    let most = member.content.len().max(limits.unchecked_raw_len / limits.ratio);
    let mut reader = Reader::new(Hashed {
        source,
        hash: Some(Sha256::new()),
        len: 0,
        most: if is_compressed { most.saturating_mul(limits.ratio) } else { u64::MAX },
        budget,
        over: None,
    });
    let mut whole = true;
    let ended = loop {
        match reader.next_item() {
            Ok(Some(Item::Member(file))) => {
                if !judge.file(&file, &mut layer.whiteouts) {
                    whole = false;
                    break Ok(());
                }
            }
            Ok(Some(Item::Anomaly(anomaly))) => layer.is_sound &= judge.anomaly(&anomaly),
            Ok(Some(Item::End(end))) => layer.is_sound &= judge.end(&end),
            Ok(Some(Item::Global(_))) => {}
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let at = reader.position().0;
    let Hashed { hash, over, .. } = reader.into_inner();
    trouble.take()?;
    if let Err(error) = ended {
        whole = false;
        match over {
            Some(check) => judge.over(check, at),
            None => judge.expect(&LAYER_TAR, false, ("compression", at, 0), || {
                format!("cannot be read further: {error}")
            }),
        };
    }
    layer.diff_id = hash.filter(|_| whole).map(|hash| hash.finalize().into());
    for check in [&LAYER_TAR, &LAYER_NAME, &LAYER_TYPE, &LAYER_LINK, &LAYER_BELOW_FILE] {
        judge.held(check);
    }
    judge.held(&LAYER_EXPANSION);
    judge.held(&LAYER_DUPLICATE);
    Ok(layer)
}

/// Puts a layer on those below. False: it was not read to its end.
pub(super) fn merge(
    member: &Member,
    layer: &Layer,
    tree: &mut Tree,
    budget: &mut u64,
    out: &mut Recorder,
) -> Result<bool, ReadError> {
    let named = Named { member, is_compressed: layer.is_compressed };
    for whiteout in &layer.whiteouts {
        let Whiteout { path, is_opaque, at } = whiteout;
        if *is_opaque {
            // A folder that is new needs no mark, and has one all the same.
            tree.clear(path);
            continue;
        }
        let found = tree.remove(path);
        out.expect(&WHITEOUT, found, || {
            let message = "takes away what no layer below has".to_owned();
            (named.place("tar member", *at, 512, Some(path)), message)
        });
    }
    let trouble = Trouble::default();
    // It was read before.
    let Ok(source) = open(member, &trouble) else { return Ok(false) };
    let (hash, len, over) = (None, 0, None);
    let mut reader = Reader::new(Hashed { source, hash, len, most: u64::MAX, budget, over });
    let mut over = tree.start_layer();
    let mut content = Vec::new();
    let base = if layer.is_compressed { 0 } else { member.content.start().0 };
    let whole = loop {
        let mut file = match reader.next_item() {
            Ok(Some(Item::Member(file))) => file,
            Ok(Some(_)) => continue,
            Ok(None) => break true,
            Err(_) => break false,
        };
        let name = components(&file.path).last().unwrap_or_default();
        if name.starts_with(MARK) {
            continue;
        }
        let offset = file.header_offset.0;
        file.header_offset.0 =
            if layer.is_compressed { member.content.start().0 } else { base + offset };
        let (wanted, replaced) = tree.add_over(&mut file, &mut over);
        out.expect(&SYMLINK_REPLACED, !replaced, || {
            let message = "a directory where a layer below has a symbolic link".to_owned();
            (named.place("tar member", offset, 512, Some(&file.path)), message)
        });
        if wanted > 0 {
            content.clear();
            if reader.by_ref().take(wanted).read_to_end(&mut content).is_err() {
                break false;
            }
            tree.content(&content);
        }
    };
    trouble.take()?;
    let complete = whole && tree.is_complete();
    out.expect(&LIMITS, complete, || {
        let message = "the files of the image are more than are looked at".to_owned();
        (named.place("tar", 0, 0, None), message)
    });
    Ok(complete)
}

struct Judge<'a, 'o> {
    named: Named<'a>,
    limits: &'a Limits,
    out: &'o mut Recorder,
    room: &'o mut u64,
    names: Names,
    files: u64,
}

impl Judge<'_, '_> {
    fn expect(
        &mut self,
        check: &'static Check,
        holds: bool,
        (structure, at, len): (&'static str, u64, u64),
        message: impl FnOnce() -> String,
    ) -> bool {
        let named = &self.named;
        self.out.expect(check, holds, || (named.place(structure, at, len, None), message()))
    }

    /// What did not fail has held.
    fn held(&mut self, check: &'static Check) {
        if !self.out.has_failed(check) {
            self.expect(check, true, ("", 0, 0), String::new);
        }
    }

    /// A limit was met.
    fn over(&mut self, check: &'static Check, at: u64) -> bool {
        self.expect(check, false, ("tar", at, 0), || {
            format!("from {at:#x} of the layer on nothing was looked at")
        })
    }

    fn anomaly(&mut self, anomaly: &Anomaly) -> bool {
        let place = ("tar header", anomaly.offset.0, anomaly.len);
        self.expect(&LAYER_TAR, members::is_harmless(anomaly), place, || members::told(anomaly))
    }

    /// Judges the end. False: that is not all of the layer.
    fn end(&mut self, end: &End) -> bool {
        let place = ("end of archive", end.offset.0, 0);
        let broken = end.truncated.is_some() || end.dangling.is_some();
        let wrong = members::end_of(end);
        let good = wrong.is_none();
        let wrong = wrong.unwrap_or_default();
        self.expect(&LAYER_TAR, !broken, place, || wrong.clone());
        if !broken {
            self.expect(&LAYER_END, good, place, || wrong);
        }
        !broken
    }

    /// Judges a file. False: no more are looked at.
    fn file(&mut self, file: &File, whiteouts: &mut Vec<Whiteout>) -> bool {
        self.files += 1;
        let at = file.header_offset.0;
        let within = self.files <= self.limits.members && self.names.bytes <= self.limits.names_len;
        if !within {
            self.over(&LIMITS, at);
            return false;
        }
        let path = plain(&file.path);
        let named = &self.named;
        let place = || named.place("tar member", at, 512, Some(&file.path));
        let out = &mut *self.out;
        let unreadable = file.unreadable.join(" and ");
        out.expect(&LAYER_TAR, unreadable.is_empty(), || {
            (place(), format!("{unreadable} is no number"))
        });
        let wrong = wrong_name(&file.path, &path);
        if !out.expect(&LAYER_NAME, wrong.is_none(), || {
            (place(), wrong.unwrap_or_default().to_owned())
        }) {
            return true;
        }
        // Where one layer has such names, all have them that the same program made.
        let absolute = file.path.starts_with(b"/") && !out.has_failed(&LAYER_ABSOLUTE);
        out.expect(&LAYER_ABSOLUTE, !absolute, || {
            (place(), "the first name in a layer that starts with a slash".to_owned())
        });
        let other = if let Kind::Other(flag) = file.kind { Some([flag]) } else { None };
        out.expect(&LAYER_TYPE, other.is_none(), || {
            (place(), format!("typeflag '{}'", other.unwrap_or_default().escape_ascii()))
        });
        let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(at) => (&path[..at], &path[at + 1..]),
            None => (&b""[..], &path[..]),
        };
        if name.starts_with(MARK) {
            return self.whiteout(file, parent, name, whiteouts);
        }
        if !path.is_empty() {
            self.place(file, &path, parent);
        }
        true
    }

    /// Judges what takes away. False: there is no room for more.
    fn whiteout(
        &mut self,
        file: &File,
        parent: &[u8],
        name: &[u8],
        all: &mut Vec<Whiteout>,
    ) -> bool {
        let at = file.header_offset.0;
        let is_opaque = name == OPAQUE;
        if name.starts_with(OF_DRIVER) && !is_opaque {
            return true;
        }
        let hidden = &name[MARK.len()..];
        let path = match (is_opaque, parent) {
            (true, _) => parent.to_vec(),
            (false, b"") => hidden.to_vec(),
            (false, parent) => [parent, b"/", hidden].concat(),
        };
        let named = is_opaque || !matches!(hidden, b"" | b"." | b"..");
        let good = named && file.kind == Kind::File && file.size == 0;
        let place = || self.named.place("tar member", at, 512, Some(&file.path));
        self.out.expect(&WHITEOUT, good, || {
            let (kind, size) = (file.kind.as_str(), file.size);
            (place(), format!("a {kind} of {size} bytes, and no empty file that hides a name"))
        });
        if !named {
            return true;
        }
        let Some(room) = self.room.checked_sub((size_of::<Whiteout>() + path.len()) as u64) else {
            self.over(&LIMITS, at);
            return false;
        };
        *self.room = room;
        all.push(Whiteout { path, is_opaque, at });
        true
    }

    /// What a path is together with those before it in the layer.
    fn place(&mut self, file: &File, path: &[u8], parent: &[u8]) {
        let named = &self.named;
        let place = || named.place("tar member", file.header_offset.0, 512, Some(&file.path));
        if !parent.is_empty() {
            let below = (1..=parent.len())
                .filter(|at| parent.get(*at).is_none_or(|byte| *byte == b'/'))
                .map(|at| &parent[..at])
                .find(|above| {
                    self.names.get(above).is_some_and(|node| node.became == Became::File)
                });
            let good = below.is_none();
            self.out.expect(&LAYER_BELOW_FILE, good, || {
                (place(), format!("{} is a file", names::show(below.unwrap_or_default())))
            });
        }
        let became = match file.kind {
            Kind::Directory => Became::Directory,
            Kind::Symlink => Became::Symlink,
            _ => Became::File,
        };
        if file.kind == Kind::HardLink {
            let target = self.names.get(&plain(&file.link)).map(|node| node.became);
            let good = target.is_some_and(|became| became != Became::Directory);
            self.out.expect(&LAYER_LINK, good, || {
                let found =
                    if target.is_some() { "a directory" } else { "not in the layer so far" };
                (place(), format!("{} is {found}", names::show(&file.link)))
            });
        }
        if file.kind == Kind::Symlink {
            let good = !file.link.is_empty();
            self.out.expect(&LAYER_LINK, good, || (place(), "a link to nothing".to_owned()));
        }
        let before = self.names.insert(path, became, file.header_offset.0);
        let again = before
            .filter(|node| !(node.became == Became::Directory && became == Became::Directory));
        self.out.expect(&LAYER_DUPLICATE, again.is_none(), || {
            let earlier = again.map_or(0, |node| node.offset);
            (place(), format!("the path was at {earlier:#x} of the layer before"))
        });
    }
}

/// What is wrong with a name.
fn wrong_name(name: &[u8], path: &[u8]) -> Option<&'static str> {
    if name.is_empty() {
        Some("no name")
    } else if components(path).any(|part| part == b"..") {
        Some("the name has .. in it")
    } else if components(path).any(|part| part.len() > names::NAME_MAX) {
        Some("a part of the name is longer than 255 bytes")
    } else if path.len() >= names::PATH_MAX || components(path).count() > names::DEPTH_MAX {
        Some("the path is longer than 4095 bytes, or deeper than 256 names")
    } else {
        None
    }
}

/// Counts and hashes what is read.
struct Hashed<'b, R> {
    source: R,
    hash: Option<Sha256>,
    len: u64,
    /// The most bytes that may come.
    most: u64,
    budget: &'b mut u64,
    /// The limit that was met.
    over: Option<&'static Check>,
}

impl<R: BufRead> BufRead for Hashed<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.over = match (self.len > self.most, *self.budget) {
            (true, _) => Some(&LAYER_EXPANSION),
            (false, 0) => Some(&LIMITS),
            (false, _) => None,
        };
        if self.over.is_some() {
            return Err(io::Error::other("a limit was met"));
        }
        self.source.fill_buf()
    }

    fn consume(&mut self, len: usize) {
        if let Some(hash) = &mut self.hash
            && let Ok(bytes) = self.source.fill_buf()
        {
            hash.update(&bytes[..len.min(bytes.len())]);
        }
        self.source.consume(len);
        self.len += len as u64;
        *self.budget = self.budget.saturating_sub(len as u64);
    }
}

impl<R: BufRead> io::Read for Hashed<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        crate::stream::read_buffered(self, buf)
    }
}
