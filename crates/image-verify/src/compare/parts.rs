//! The file systems of two images, in pairs.

use std::collections::BTreeSet;

use image_formats::bytes::{ReadError, Region};
use image_model::StoreChange;

use super::{
    Held, Image, ext4, fat,
    files::{self, Item, Pair},
    iso,
    map::Map,
    out::{Out, VolumeNumber},
    squashfs, store, tar,
};
use crate::{
    container::RawFormat,
    disk::Content,
    opened::Opened,
    tree::{NodeId, Tree},
    volume::{Family, Volume},
};

/// A file system of an image, and what it is in.
#[derive(Clone)]
pub(super) struct Part<'i> {
    name: String,
    region: Option<Region>,
    family: Option<Family>,
    volume: Option<&'i Volume>,
    /// The file of another file system that it is in.
    file: Option<NodeId>,
}

/// Those of an image.
pub(super) fn of<'i>(image: &'i Image<'_>) -> Vec<Part<'i>> {
    let alone = |volume: &'i Volume| Part {
        name: volume.name.clone(),
        region: image.raw.clone(),
        family: Some(volume.family),
        volume: Some(volume),
        file: None,
    };
    match (image.opened(), &image.opened) {
        (Some(Opened::Disk(disk)), _) => disk
            .partitions
            .iter()
            .map(|partition| Part {
                name: partition.name(),
                region: Some(partition.region.clone()),
                family: match partition.content {
                    Content::Fat => Some(Family::Fat),
                    Content::Ext => Some(Family::Ext),
                    Content::Iso9660 => Some(Family::Iso9660),
                    Content::Squashfs => Some(Family::Squashfs),
                    Content::Other(_) | Content::Empty | Content::Unknown => None,
                },
                volume: partition.volume.as_ref(),
                file: None,
            })
            .collect(),
        (Some(Opened::Disc(disc)), _) => {
            let mut parts = vec![Part {
                name: "disc".to_owned(),
                region: Some(disc.bytes.clone()),
                family: Some(Family::Iso9660),
                volume: disc.volume.as_ref(),
                file: None,
            }];
            for (file, volume) in &disc.squashfs {
                let region = disc.volume.as_ref().and_then(|outer| outer.region(*file));
                let (name, family) = (volume.name.clone(), Some(Family::Squashfs));
                let part = Part { name, region, family, volume: Some(volume), file: Some(*file) };
                parts.push(part);
            }
            for image in &disc.boot {
                let Some(volume) = image.volume.as_deref() else { continue };
                let known = parts
                    .iter()
                    .any(|part| part.volume.is_some_and(|known| std::ptr::eq(known, volume)));
                if !known {
                    parts.push(Part {
                        name: format!("boot image {}", image.number),
                        region: Some(image.region.clone()),
                        family: Some(Family::Fat),
                        volume: Some(volume),
                        file: image.file,
                    });
                }
            }
            parts
        }
        (Some(Opened::Archive(volume)), _) => vec![alone(volume)],
        (None, Held::Theirs(volume)) => vec![alone(volume)],
        (Some(Opened::Closed(_)), _) | (None, _) => Vec::new(),
    }
}

/// Notes what of an image is compared by its bytes alone.
pub(super) fn unread(
    which: &str,
    parts: &[Part<'_>],
    image: &Image<'_>,
    not_compared: &mut Vec<String>,
) {
    match (image.opened(), &image.opened) {
        (Some(Opened::Closed(format)), _) => {
            let inside = match format {
                RawFormat::Ova | RawFormat::Docker => "members",
                _ => "content",
            };
            not_compared.push(format!("the {inside} of the {which} image, {}", format.what()));
        }
        (None, Held::Nothing) => {
            not_compared.push(format!("the {which} image, of no known format"))
        }
        _ => {}
    }
    for part in parts {
        match part.volume {
            None if part.family.is_some() => {
                not_compared.push(format!(
                    "files of the {which} image, {}: they cannot be read",
                    part.name
                ));
            }
            Some(volume) if !volume.tree.is_complete() => {
                not_compared.push(format!("files of the {which} image, {}: too many", part.name));
            }
            _ => {}
        }
    }
}

/// Two file systems that stand for each other.
pub(super) struct Both<'i> {
    pub(super) number: VolumeNumber,
    pub(super) name: String,
    a: Part<'i>,
    b: Part<'i>,
}

/// Pairs those of the same name. Where both images have one, or one of them is nothing else, the
/// name does not matter.
pub(super) fn pairs<'i>(a: &[Part<'i>], b: &[Part<'i>]) -> Vec<Both<'i>> {
    let mut pairs = Vec::new();
    let mut add = |a: &Part<'i>, b: &Part<'i>| {
        let number = pairs.len() as VolumeNumber + 1;
        pairs.push(Both { number, name: a.name.clone(), a: a.clone(), b: b.clone() });
    };
    for part in a {
        if let Some(other) = b.iter().find(|other| other.name == part.name) {
            add(part, other);
        }
    }
    let largest = |parts: &[Part<'i>]| {
        let len = |part: &&Part<'i>| part.volume.map(|volume| volume.tree.len());
        // Of several that are as large, the first.
        parts.iter().rev().max_by_key(len).cloned()
    };
    if pairs.is_empty()
        && let (Some(of_a), Some(of_b)) = (largest(a), largest(b))
    {
        let number = 1;
        pairs.push(Both { number, name: of_a.name.clone(), a: of_a, b: of_b });
    }
    pairs
}

/// The files of the first image in which a file system is that is compared by itself.
pub(super) fn nested(image: &Image<'_>, pairs: &[Both<'_>]) -> BTreeSet<NodeId> {
    if !matches!(image.opened(), Some(Opened::Disc(_))) {
        return BTreeSet::new();
    }
    pairs.iter().filter(|pair| pair.b.file.is_some()).filter_map(|pair| pair.a.file).collect()
}

impl Both<'_> {
    /// Compares what both say of themselves.
    pub(super) fn compare(&self, out: &mut Out) -> Result<(), ReadError> {
        let Self { number, name, a, b } = self;
        let (Some(of_a), Some(of_b)) = (&a.region, &b.region) else { return Ok(()) };
        match (a.family, b.family) {
            (Some(Family::Ext), Some(Family::Ext)) => ext4::compare(of_a, of_b, *number, name, out),
            (Some(Family::Fat), Some(Family::Fat)) => {
                fat::compare((of_a, a.volume), (of_b, b.volume), *number, name, out)
            }
            (Some(Family::Iso9660), Some(Family::Iso9660)) => {
                iso::compare(of_a, of_b, *number, name, out)
            }
            (Some(Family::Squashfs), Some(Family::Squashfs)) => {
                squashfs::compare(of_a, of_b, *number, name, out)
            }
            _ => Ok(()),
        }
    }

    /// True if they do not start at the same byte.
    pub(super) fn is_moved(&self) -> bool {
        let start = |part: &Part<'_>| part.region.as_ref().map(Region::start);
        start(&self.a) != start(&self.b)
    }

    /// Notes where everything is.
    pub(super) fn map(&self, map_a: &mut Map, map_b: &mut Map) -> Result<(), ReadError> {
        let Self { number, name, .. } = self;
        // What is of two kinds differs as a whole.
        if self.a.family != self.b.family {
            return Ok(());
        }
        for (part, map) in [(&self.a, map_a), (&self.b, map_b)] {
            let Some(region) = &part.region else { continue };
            match part.family {
                Some(Family::Ext) => ext4::map(region, part.volume, *number, name, map)?,
                Some(Family::Fat) => fat::map(region, part.volume, *number, name, map)?,
                Some(Family::Iso9660) => iso::map(region, part.volume, *number, name, map)?,
                Some(Family::Squashfs) => squashfs::map(region, *number, name, map)?,
                Some(Family::Tar) => {
                    if let Some(volume) = part.volume {
                        tar::map(region, volume, *number, name, map);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Both, where the files of both can be read.
    pub(super) fn opened(&self) -> Option<Pair<'_>> {
        Some(Pair {
            a: self.a.volume?,
            b: self.b.volume?,
            region_a: self.a.region.as_ref(),
            region_b: self.b.region.as_ref(),
            number: self.number,
            name: &self.name,
        })
    }
}

/// Compares the files of two file systems, and their Nix stores, of which it tells. `common` gets the
/// files that both have, sorted.
pub(super) fn files(
    pair: Pair<'_>,
    nested: &BTreeSet<NodeId>,
    contents: &mut BTreeSet<(VolumeNumber, NodeId)>,
    common: &mut Vec<(NodeId, NodeId)>,
    progress: &(dyn Fn(u64) + Sync),
    out: &mut Out,
) -> Result<Option<StoreChange>, ReadError> {
    let stores = store::root(pair.a).zip(store::root(pair.b));
    let change = match stores {
        Some(roots) => store::compare(pair, roots, contents, common, progress, out)?,
        None => None,
    };
    let is_store_path = |tree: &Tree, root: NodeId, id: NodeId| {
        tree.parent(id) == Some(root)
            && image_formats::nix::store_path::BaseName::parse(tree.name(id)).is_some()
    };
    let in_store = |item: &Item<'_>| {
        stores.is_some_and(|(root_a, root_b)| match item {
            Item::Both(a, _) | Item::Removed(_, _, a) => is_store_path(&pair.a.tree, root_a, *a),
            Item::Added(_, _, b) => is_store_path(&pair.b.tree, root_b, *b),
        })
    };
    let mut items = vec![Item::Both(Tree::ROOT, Tree::ROOT)];
    let into = |a: NodeId, b: NodeId| !in_store(&Item::Both(a, b));
    files::walk((&pair.a.tree, Tree::ROOT), (&pair.b.tree, Tree::ROOT), &into, &mut |item| {
        if !in_store(&item) {
            items.push(item);
        }
    });
    for item in &items {
        if let Item::Both(a, b) = item {
            common.push((*a, *b));
        }
    }
    common.sort_unstable();
    common.dedup();
    let nothing = BTreeSet::new();
    // Only a disc has others in it.
    let skip = if pair.a.family == Family::Iso9660 { nested } else { &nothing };
    for judged in &files::judge(pair, items, skip, progress)? {
        files::tell(pair, judged, contents, out)?;
    }
    if let (Family::Tar, Family::Tar) = (pair.a.family, pair.b.family) {
        tar::order(pair.a, pair.b, common, (pair.number, pair.name), out);
    }
    Ok(change)
}
