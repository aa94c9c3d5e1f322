//! The index of the OCI Image Layout, which newer programs write beside `manifest.json`.

use std::collections::{BTreeMap, BTreeSet};

use image_formats::{
    bytes::ReadError,
    docker::{self, Descriptor, Index, Layout, Manifest},
    units::ByteOffset,
};
use sha2::Digest as _;

use super::{BLOB, INDEX, INDEX_IMAGE, Judge, LIMITS, words};
use crate::{container::raw_at, members::Member};

/// How many indexes and manifests are read.
const MAX_READ: usize = 256;
/// The version of the layout.
const VERSION: &str = "1.0.0";
/// Where blobs are.
const BLOBS: &[u8] = b"blobs/sha256/";

/// The images that an index leads to, by the digests of their configurations: those of the blobs of
/// their layers.
type Images = BTreeMap<String, Vec<String>>;

impl<'a> Judge<'a, '_> {
    /// Judges the index, where there is one, and compares it with the images of `manifest.json`.
    pub(super) fn index(&mut self, items: &[docker::ManifestItem]) -> Result<(), ReadError> {
        let (layout, index) = (self.members.find(b"oci-layout"), self.members.find(b"index.json"));
        if layout.is_none() && index.is_none() {
            return Ok(());
        }
        let absent = || raw_at("archive", 0, 0);
        for (found, name) in [(layout, "oci-layout"), (index, "index.json")] {
            self.out.expect(&INDEX, found.is_some(), || (absent(), format!("there is no {name}")));
        }
        if let Some(layout) = layout
            && let Some(found) = self.json::<Layout>(&INDEX, layout, docker::MAX_LIST)?
        {
            let version = &found.image_layout_version;
            self.out.expect(&INDEX, version == VERSION, || {
                (layout.location(), format!("imageLayoutVersion is {version:?}, not {VERSION}"))
            });
        }
        let Some(index) = index else { return Ok(()) };
        let images = self.images(index)?;
        if self.out.has_failed(&INDEX) {
            return Ok(());
        }
        for item in items {
            let config = item.config.strip_prefix("blobs/sha256/").unwrap_or(&item.config);
            let name =
                |path: &String| path.strip_prefix("blobs/sha256/").unwrap_or(path).to_owned();
            let layers: Vec<_> = item.layers.iter().map(name).collect();
            let same = images.get(config).is_some_and(|found| *found == layers);
            self.out.expect(&INDEX_IMAGE, same, || {
                let name = crate::tree::display(item.config.as_bytes());
                let message = match images.contains_key(config) {
                    true => format!("the image {name} has other layers by index.json"),
                    false => format!("{name} is the configuration of no image in index.json"),
                };
                (index.location(), message)
            });
        }
        Ok(())
    }

    /// All images below an index. Of an index in an index not all images need to be here: it is that
    /// of an image for several processors.
    fn images(&mut self, index: &'a Member) -> Result<Images, ReadError> {
        let mut images = Images::new();
        let mut seen = BTreeSet::new();
        let mut waiting = vec![(index, true, true)];
        let mut read = 0;
        while let Some((member, is_index, is_top)) = waiting.pop() {
            if !seen.insert(member.at) {
                continue;
            }
            read += 1;
            if !self.out.expect(&LIMITS, read <= MAX_READ, || {
                (member.location(), format!("more than {MAX_READ} indexes and manifests"))
            }) {
                break;
            }
            if !is_index {
                self.manifest_of(member, &mut images)?;
                continue;
            }
            let Some(found) = self.json::<Index>(&INDEX, member, docker::MAX_LIST)? else {
                continue;
            };
            let mut here = 0;
            for descriptor in &found.manifests {
                if !is_top && self.blob(descriptor).is_none() {
                    continue;
                }
                if let Some(blob) = self.described(member, descriptor) {
                    here += 1;
                    waiting.push((blob, descriptor.is_index(), false));
                }
            }
            self.out.expect(&INDEX, here > 0, || {
                (member.location(), "no image of it is in the archive".to_owned())
            });
        }
        Ok(images)
    }

    fn manifest_of(&mut self, member: &'a Member, images: &mut Images) -> Result<(), ReadError> {
        let Some(found) = self.json::<Manifest>(&INDEX, member, docker::MAX_LIST)? else {
            return Ok(());
        };
        self.described(member, &found.config);
        for layer in &found.layers {
            self.described(member, layer);
        }
        let hex = |descriptor: &Descriptor| {
            descriptor.digest.strip_prefix("sha256:").unwrap_or_default().to_owned()
        };
        images.insert(hex(&found.config), found.layers.iter().map(hex).collect());
        Ok(())
    }

    /// The blob that a descriptor leads to.
    fn blob(&self, descriptor: &Descriptor) -> Option<&'a Member> {
        words::digest(&descriptor.digest)?;
        let name = descriptor.digest.strip_prefix("sha256:")?;
        self.members.find_file(&[BLOBS, name.as_bytes()].concat())
    }

    /// The blob that a descriptor leads to: it is there, and as long as that says.
    fn described(&mut self, member: &Member, descriptor: &Descriptor) -> Option<&'a Member> {
        let found = self.blob(descriptor);
        let digest = crate::tree::display(descriptor.digest.as_bytes());
        let len = found.map(|blob| blob.content.len());
        let size = descriptor.size.and_then(|size| u64::try_from(size).ok());
        self.out.expect(&INDEX, len.is_some() && len == size, || {
            let message = match len {
                None => format!("{digest} is not in the archive"),
                Some(len) => {
                    let size =
                        descriptor.size.map_or("no size".to_owned(), |size| size.to_string());
                    format!("{digest} has {len} bytes, not {size}")
                }
            };
            (member.location(), message)
        });
        found
    }

    /// Compares all blobs with their names. What was hashed as a layer is not read again.
    pub(super) fn blobs(&mut self) -> Result<(), ReadError> {
        let is_blob = |member: &&Member| {
            member.path.starts_with(BLOBS) && member.kind == image_formats::tar::Kind::File
        };
        for member in self.members.list.iter().filter(is_blob) {
            let name = String::from_utf8_lossy(&member.path);
            let Some(wanted) = words::digest_of_name(&name) else {
                self.out.expect(&BLOB, false, || {
                    (member.location(), "its name is no digest".to_owned())
                });
                continue;
            };
            let found = self.digest(member)?;
            self.out.expect(&BLOB, found == wanted, || {
                (member.location(), format!("its digest is {}", hex(&found)))
            });
        }
        Ok(())
    }

    /// SHA-256 of a member.
    fn digest(&mut self, member: &Member) -> Result<[u8; 32], ReadError> {
        if let Some(layer) = self.layers.get(&member.at)
            && let Some(found) = layer.diff_id.filter(|_| !layer.is_compressed)
        {
            return Ok(found);
        }
        let mut hash = sha2::Sha256::new();
        member.each(&mut |bytes| hash.update(bytes))?;
        Ok(hash.finalize().into())
    }
}

/// Digits for people.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where members are that were judged.
pub(super) type Seen<T> = BTreeMap<ByteOffset, T>;
