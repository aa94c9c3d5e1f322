//! Which bytes of the volume are whose: no two structures share some, but all may.

use image_formats::iso9660::{Descriptor, SECTOR};

use super::{
    Judge, OVERLAP, Place, Set,
    directories::record_at,
    paths::{DirectoryId, Whose},
};

/// Whose an extent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Descriptors,
    PathTable,
    Directory,
    File,
}

/// Whose an extent is, and what says so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    what: What,
    /// The tree, and the directory of it that the record is in, or whose record it is.
    tree: u8,
    directory: u32,
    /// The record, from the start of the volume.
    record: u64,
}

impl Owner {
    pub(super) fn directory(id: DirectoryId, record: u64) -> Self {
        Self { what: What::Directory, tree: id.tree, directory: id.index, record }
    }

    /// A file in a directory.
    pub(super) fn file(id: DirectoryId, record: u64) -> Self {
        Self { what: What::File, tree: id.tree, directory: id.index, record }
    }

    fn nobody(what: What) -> Self {
        Self { what, tree: 0, directory: 0, record: 0 }
    }

    fn whose(&self) -> Whose<'static> {
        let id = DirectoryId { tree: self.tree, index: self.directory };
        match self.what {
            What::Descriptors | What::PathTable => Whose::Nobody,
            What::Directory => Whose::Directory(id),
            What::File => Whose::Record(id, self.record),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Extent {
    start: u64,
    len: u64,
    owner: Owner,
}

// There are two million of them at most.
const _: () = assert!(size_of::<Extent>() == 32);

/// The extents of all trees.
#[derive(Default)]
pub(super) struct Extents {
    list: Vec<Extent>,
    /// How many records were read.
    pub(super) records: u32,
}

/// A piece of the volume that files have: which trees show it, and the first record that does.
pub(super) struct Shown {
    pub(super) start: u64,
    pub(super) len: u64,
    /// A bit for each tree.
    pub(super) trees: u8,
    pub(super) record: u64,
    pub(super) whose: Whose<'static>,
}

impl Extents {
    pub(super) fn add(&mut self, start: u64, len: u64, owner: Owner) {
        self.list.push(Extent { start, len, owner });
    }

    pub(super) fn descriptors(&mut self, set: &Set) {
        let start = Descriptor::FIRST * SECTOR;
        self.add(start, set.end - start, Owner::nobody(What::Descriptors));
    }

    pub(super) fn path_table(&mut self, start: u64, len: u64) {
        self.add(start, len, Owner::nobody(What::PathTable));
    }

    /// The content of files, each piece once. They are in order where overlaps were judged.
    pub(super) fn shown(&self) -> impl Iterator<Item = Shown> {
        let files = self.list.iter().filter(|extent| extent.owner.what == What::File);
        let mut files = files.peekable();
        std::iter::from_fn(move || {
            let first = files.next()?;
            let mut trees = 1 << first.owner.tree;
            while let Some(next) =
                files.next_if(|next| (next.start, next.len) == (first.start, first.len))
            {
                trees |= 1 << next.owner.tree;
            }
            let Extent { start, len, owner } = *first;
            Some(Shown { start, len, trees, record: owner.record, whose: owner.whose() })
        })
    }
}

impl Judge<'_> {
    pub(super) fn overlaps(&mut self, set: &Set, extents: &mut Extents) {
        let list = &mut extents.list;
        list.sort_by_key(|extent| {
            let Extent { start, len, owner } = *extent;
            (start, len, owner.what, owner.tree, owner.record)
        });
        let block = set.primary().block.bytes();
        // The extent that reaches farthest of those before.
        let mut last: Option<Extent> = None;
        for extent in list.iter() {
            let end = extent.start + extent.len.next_multiple_of(block);
            let Some(before) = last else {
                last = Some(*extent);
                continue;
            };
            let before_end = before.start + before.len.next_multiple_of(block);
            let same = (before.start, before.len) == (extent.start, extent.len);
            if extent.start < before_end && !same {
                self.overlap(&before, extent);
            }
            if end > before_end {
                last = Some(*extent);
            }
        }
        self.evaluated(&[&OVERLAP]);
    }

    fn overlap(&mut self, before: &Extent, extent: &Extent) {
        // Told of the file, where one of them is none.
        let (this, other) =
            if extent.owner.what < before.owner.what { (before, extent) } else { (extent, before) };
        let whose = this.owner.whose();
        let place = match this.owner.what {
            What::Descriptors | What::PathTable => {
                Place { len: this.len, ..record_at("path table", this.start) }
            }
            What::Directory | What::File => record_at("directory record", this.owner.record),
        };
        self.fault_with(&OVERLAP, &Place { whose, ..place }, |trees| {
            let name = match other.owner.what {
                What::Descriptors => "the volume descriptors".to_owned(),
                What::PathTable => "a path table".to_owned(),
                What::Directory | What::File => trees.path(other.owner.whose()).unwrap_or_default(),
            };
            format!(
                "{} bytes at {:#x} overlap {name}, {} bytes at {:#x}",
                this.len, this.start, other.len, other.start
            )
        });
    }
}
