//! The members of an appliance or a container image.

use std::{
    collections::BTreeMap,
    io::{self, BufReader, Read},
    sync::Arc,
};

use image_formats::{
    bytes::{ReadAt, Region},
    tar::{Item, Kind, Member, Reader},
};
use image_host::interrupt;
use serde_json::Value;

use super::{BUFFER, Structure, structure, text};

/// More members than any image has.
const MAX_MEMBERS: usize = 1 << 16;

/// The files of an archive, and where they are.
pub(super) struct Files {
    by_path: BTreeMap<Vec<u8>, Region>,
}

impl Files {
    pub(super) fn read(raw: &Arc<dyn ReadAt>) -> io::Result<Self> {
        let whole = Region::whole(Arc::clone(raw))?;
        let mut by_path = BTreeMap::new();
        let mut links = Vec::new();
        let mut reader = Reader::new(stream(&whole));
        while let Some(item) = reader.next_item()? {
            interrupt::check()?;
            let Item::Member(member) = item else { continue };
            if by_path.len() + links.len() >= MAX_MEMBERS {
                break;
            }
            let path = plain(&member.path);
            match member.kind {
                Kind::File => by_path.extend(content(&whole, &member).map(|found| (path, found))),
                Kind::Symlink | Kind::HardLink => links.push((path, plain(&member.link))),
                _ => {}
            }
        }
        // A link to a member, as skopeo writes it beside a layer.
        for (path, target) in links {
            let target = target.strip_prefix(b"../").unwrap_or(&target);
            if let Some(found) = by_path.get(target).cloned() {
                by_path.insert(path, found);
            }
        }
        Ok(Self { by_path })
    }

    pub(super) fn get(&self, path: &str) -> Option<&Region> {
        self.by_path.get(&plain(path.as_bytes()))
    }

    /// The content of a file that has at most so many bytes.
    pub(super) fn content(&self, path: &str, limit: u64) -> Option<(u64, Vec<u8>)> {
        let region = self.get(path)?;
        let bytes = region.bytes("content", 0, region.len(), limit).ok()?;
        Some((region.start().0, bytes))
    }

    pub(super) fn ending(&self, end: &str) -> impl Iterator<Item = &Region> {
        self.by_path.iter().filter(move |(path, _)| path.ends_with(end.as_bytes())).map(|(_, r)| r)
    }
}

fn content(whole: &Region, member: &Member) -> Option<Region> {
    let at = member.data_offset.0;
    whole.sub("content", at, member.size.min(whole.len().checked_sub(at)?)).ok()
}

fn plain(path: &[u8]) -> Vec<u8> {
    path.strip_prefix(b"./").unwrap_or(path).to_vec()
}

/// The bytes of a region from the first one on.
pub(super) fn stream(region: &Region) -> BufReader<Stream> {
    BufReader::with_capacity(BUFFER, Stream { region: region.clone(), at: 0 })
}

pub(super) struct Stream {
    region: Region,
    at: u64,
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = (self.region.len() - self.at).min(buf.len() as u64) as usize;
        let filled = self.region.fill("content", self.at, &mut buf[..len]);
        filled.map_err(io::Error::other)?;
        self.at += len as u64;
        Ok(len)
    }
}

pub(super) fn word(value: &Option<String>) -> Value {
    value.as_ref().map_or(Value::Null, |value| text(value.as_bytes()))
}

pub(super) fn words(values: &[String]) -> Value {
    values.iter().map(|value| text(value.as_bytes())).collect()
}

/// Something that cannot be read.
pub(super) fn broken(name: &'static str, at: u64, why: &dyn ToString) -> Structure {
    structure(
        "unreadable",
        "raw",
        at,
        [("what", name.into()), ("why", text(why.to_string().as_bytes()))],
    )
}
