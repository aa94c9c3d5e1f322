//! What the tree of Joliet shows of the files, against the primary tree.

use std::collections::{HashMap, HashSet};

use image_formats::{
    bytes::{ReadError, Region},
    iso9660::{Record, Records, SECTOR, raw::DirectoryRecord},
};
use image_model::{ImageSpace, Location};

use super::{
    JOLIET_FILES, JOLIET_NAMES, Judge, Place, Set,
    descriptors::Source,
    directories::record_at,
    extents::Extents,
    files::{Piece, piece, with_record},
    paths::Names,
};
use crate::{
    Recorder,
    tree::{Kind, NodeId, Tree, display},
};

/// Names with more letters may have been shortened, each writer in its own way.
const MAX_COMPARED: usize = 60;

impl Judge<'_> {
    /// The same files are in all trees: a file is known by its content, since names differ.
    pub(super) fn joliet(&mut self, set: &Set, extents: &Extents) {
        for (index, source) in set.sources.iter().enumerate() {
            if source.names != Names::Joliet {
                continue;
            }
            let (primary, joliet) = (1_u8, 1_u8 << index);
            self.evaluated(&[&JOLIET_FILES]);
            for shown in extents.shown() {
                let trees = shown.trees & (primary | joliet);
                if trees == 0 || trees == primary | joliet {
                    continue;
                }
                let place =
                    Place { whose: shown.whose, ..record_at("directory record", shown.record) };
                let (start, len) = (shown.start, shown.len);
                self.fault(&JOLIET_FILES, &place, || {
                    let [this, other] = match trees {
                        1 => ["primary", "Joliet"],
                        _ => ["Joliet", "primary"],
                    };
                    format!(
                        "{len} bytes at {start:#x} are in the {this} tree, not in the {other} one"
                    )
                });
            }
        }
    }
}

/// Compares the names of Joliet with those that Linux shows.
pub(super) struct Comparison<'a> {
    pub(super) region: &'a Region,
    /// What people call the volume.
    pub(super) name: &'a str,
    /// Of Joliet.
    pub(super) source: &'a Source,
    /// The files by Rock Ridge.
    pub(super) tree: &'a Tree,
    pub(super) out: &'a mut Recorder,
}

impl Comparison<'_> {
    /// Compares all directories that both have. Those of Joliet were read before.
    pub(super) fn all(mut self) -> Result<(), ReadError> {
        let root = piece(&self.source.root().record, self.source.block);
        let mut pending = vec![(root, Tree::ROOT)];
        // Where Joliet has a name twice, only the first is compared: so each name is read once.
        let mut compared = HashSet::new();
        while let Some((content, node)) = pending.pop() {
            if compared.insert(node) {
                self.directory(content, node, &mut pending)?;
            }
        }
        Ok(())
    }

    fn directory(
        &mut self,
        content: Piece,
        node: NodeId,
        pending: &mut Vec<(Piece, NodeId)>,
    ) -> Result<(), ReadError> {
        let children: HashMap<String, NodeId> = self
            .tree
            .children(node)
            .filter_map(|(name, id)| Some((mapped(str::from_utf8(name).ok()?)?, id)))
            .collect();
        let mut sector = [0; SECTOR as usize];
        let mut more = false;
        for at in (content.start..content.start + content.len).step_by(SECTOR as usize) {
            let left = content.start + content.len - at;
            let sector = &mut sector[..SECTOR.min(left) as usize];
            self.region.fill("directory", at, sector)?;
            for record in Records::new(sector, at).flatten() {
                let dots = [DirectoryRecord::SELF, DirectoryRecord::PARENT];
                // Only the first extent of a file is compared.
                let first = !std::mem::replace(&mut more, record.raw.has_more());
                if first && !dots.contains(&record.identifier) {
                    self.file(&record, node, &children, pending)?;
                }
            }
        }
        Ok(())
    }

    fn file(
        &mut self,
        record: &Record<'_>,
        directory: NodeId,
        children: &HashMap<String, NodeId>,
        pending: &mut Vec<(Piece, NodeId)>,
    ) -> Result<(), ReadError> {
        let text = self.source.names.text(record.identifier);
        let Some(name) = str::from_utf8(&text).ok().and_then(mapped) else { return Ok(()) };
        let content = piece(&record.raw, self.source.block);
        let fault = match children.get(&name) {
            // It may stand for letters that UTF-16 of two bytes, or the writer, does not have.
            None if name.contains('_') => None,
            None => Some("not among the names of Rock Ridge, which Linux shows"),
            Some(id) => match &self.tree.node(*id).kind {
                Kind::Directory(_) if record.raw.is_directory() => {
                    pending.push((content, *id));
                    None
                }
                Kind::File(_) if !record.raw.is_directory() => {
                    let same = self.is_same(content, *id)?;
                    (!same).then_some("another content than the file that Linux shows")
                }
                // genisoimage shows an empty file in place of a symlink.
                Kind::Symlink(_) | Kind::Special => None,
                _ => Some("another kind of file than the one that Linux shows"),
            },
        };
        let (region, volume, tree) = (self.region, self.name, self.tree);
        self.out.expect(&JOLIET_NAMES, fault.is_none(), || {
            let path = [&tree.path(directory)[..], b"/", &text].concat();
            let path = display(&path).replacen("//", "/", 1);
            let at = Location {
                structure: format!("{volume}, Joliet directory record").into(),
                space: ImageSpace::Raw,
                offset: region.absolute(record.offset).0,
                len: record.raw.len.into(),
                path: Some(path),
            };
            (at, fault.unwrap_or_default().to_owned())
        });
        Ok(())
    }

    /// True if a file has its first extent there.
    fn is_same(&self, content: Piece, id: NodeId) -> Result<bool, ReadError> {
        let at = self.tree.node(id).offset.unwrap_or(0) - self.region.start().0;
        let found = with_record(self.region, at, |record| piece(&record.raw, self.source.block))?;
        Ok(found.is_none_or(|found| {
            found.len == content.len && (content.len == 0 || found.start == content.start)
        }))
    }
}

/// A name of ASCII, as every writer has it in a tree of Joliet; `None` where they differ.
fn mapped(name: &str) -> Option<String> {
    let kept = |c: char| if matches!(c, '*' | '/' | ':' | ';' | '?' | '\\') { '_' } else { c };
    let plain = name.is_ascii() && name.len() <= MAX_COMPARED && !name.contains(char::is_control);
    plain.then(|| name.chars().map(kept).collect())
}
