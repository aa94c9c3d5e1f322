//! Path tables: lists of all directories, which Windows looks for files in.

use std::mem::offset_of;

use image_formats::{
    bytes::ReadError,
    iso9660::{Block, ByteOrder, PathTable, PathTableEntry, raw::VolumeDescriptor},
};
use image_model::Check;

use super::{
    Judge, LIMITS, PATH_TABLE, PATH_TABLE_BIG, PATH_TABLE_COPY, PATH_TABLE_ORDER, PATH_TABLE_TREE,
    Place, Set,
    descriptors::Source,
    directories::Found,
    extents::Extents,
    paths::{DirectoryId, Whose, hash},
};

/// The most bytes of a path table that are read. It counts parents to 65535.
const MAX_TABLE: u64 = 16 << 20;

/// A path table that was read.
struct Table {
    bytes: Vec<u8>,
    /// From the start of the volume.
    offset: u64,
}

impl Judge<'_> {
    /// Judges the path tables of a tree.
    pub(super) fn path_tables(
        &mut self,
        set: &Set,
        index: usize,
        found: &Found,
        extents: &mut Extents,
    ) -> Result<(), ReadError> {
        let source = &set.sources[index];
        let descriptor = &source.descriptor;
        let little = offset_of!(VolumeDescriptor, type_l_path_table);
        let big = offset_of!(VolumeDescriptor, type_m_path_table);
        let size = u64::from(descriptor.path_table_size.get());
        let place = source.field(offset_of!(VolumeDescriptor, path_table_size), 8);
        if !self.expect(&LIMITS, size <= MAX_TABLE, &place, || {
            format!("a path table of {size} bytes: it was not read")
        }) {
            return Ok(());
        }
        let optional_little = offset_of!(VolumeDescriptor, optional_type_l_path_table);
        let optional_big = offset_of!(VolumeDescriptor, optional_type_m_path_table);
        let at = (little, descriptor.type_l_path_table.get());
        let little = self.path_table(source, &PATH_TABLE, at, extents)?;
        let at = (optional_little, descriptor.optional_type_l_path_table.get());
        self.path_table_copy(source, little.as_ref(), at, extents)?;
        let at = (big, descriptor.type_m_path_table.get());
        let big = self.path_table(source, &PATH_TABLE_BIG, at, extents)?;
        if let (Some(little), Some(big)) = (&little, &big) {
            self.compare(little, big);
        }
        let at = (optional_big, descriptor.optional_type_m_path_table.get());
        self.path_table_copy(source, big.as_ref(), at, extents)?;
        drop(big);
        let Some(little) = little else { return Ok(()) };
        let entries = self.entries(&little);
        self.order(&little, &entries);
        if found.whole {
            self.against_tree(source, found, &little, &entries);
        }
        Ok(())
    }

    /// Reads the table at a block that the field of the descriptor names.
    fn path_table(
        &mut self,
        source: &Source,
        check: &'static Check,
        (field, block): (usize, u32),
        extents: &mut Extents,
    ) -> Result<Option<Table>, ReadError> {
        let size = u64::from(source.descriptor.path_table_size.get());
        let offset = source.block.offset(Block(block));
        let inside = offset + size <= self.region.len() && block != 0;
        if !self.expect(check, inside && size > 0, &source.field(field, 4), || {
            format!("{size} bytes at block {block}, not in the volume")
        }) {
            return Ok(None);
        }
        let bytes = self.region.bytes("path table", offset, size, MAX_TABLE)?;
        extents.path_table(offset, size);
        Ok(Some(Table { bytes, offset }))
    }

    /// Compares a table with its copy, where there is one.
    fn path_table_copy(
        &mut self,
        source: &Source,
        table: Option<&Table>,
        at: (usize, u32),
        extents: &mut Extents,
    ) -> Result<(), ReadError> {
        if at.1 == 0 {
            return Ok(());
        }
        let copy = self.path_table(source, &PATH_TABLE_COPY, at, extents)?;
        if let (Some(table), Some(copy)) = (table, &copy) {
            let differs = table.bytes.iter().zip(&copy.bytes).position(|(a, b)| a != b);
            let place = table_at(copy, differs.unwrap_or(0), 1);
            self.expect(&PATH_TABLE_COPY, differs.is_none(), &place, || {
                format!("differs from the table at {:#x} from here on", table.offset)
            });
        }
        Ok(())
    }

    /// The entries of a table, as far as they can be read.
    fn entries<'t>(&mut self, table: &'t Table) -> Vec<PathTableEntry<'t>> {
        let mut entries = Vec::new();
        for entry in PathTable::new(&table.bytes, ByteOrder::Little) {
            match entry {
                Ok(entry) => entries.push(entry),
                Err(fault) => {
                    let place = table_at(table, fault.offset, 8);
                    self.fault(&PATH_TABLE, &place, || {
                        "an entry without a name, or one that leaves the table".to_owned()
                    });
                }
            }
        }
        entries
    }

    fn compare(&mut self, little: &Table, big: &Table) {
        let mut first = PathTable::new(&little.bytes, ByteOrder::Little);
        let second = PathTable::new(&big.bytes, ByteOrder::Big);
        let differs = second.into_iter().find(|entry| first.next().as_ref() != Some(entry));
        let offset = match &differs {
            Some(Ok(entry)) => entry.offset,
            Some(Err(fault)) => fault.offset,
            None => 0,
        };
        let same = differs.is_none() && first.next().is_none();
        self.expect(&PATH_TABLE_BIG, same, &table_at(big, offset, 8), || {
            let name = differs.and_then(Result::ok).map(|entry| entry.identifier.escape_ascii());
            let name =
                name.map_or("an entry".to_owned(), |name| format!("the entry of \"{name}\""));
            format!("{name} is another one than in the little-endian table")
        });
    }

    /// Entries are in the order of their parents, then of their names, and parents come first.
    fn order(&mut self, table: &Table, entries: &[PathTableEntry<'_>]) {
        let mut previous: Option<PathTableEntry<'_>> = None;
        for (number, entry) in (1_u32..).zip(entries) {
            let place = table_at(table, entry.offset, entry.len);
            let parent = u32::from(entry.parent);
            let right = if number == 1 { parent == 1 } else { (1..number).contains(&parent) };
            self.expect(&PATH_TABLE_TREE, right, &place, || {
                format!("its parent is number {parent}, and this is number {number}")
            });
            let in_order = previous.is_none_or(|previous| {
                previous.parent < entry.parent
                    || previous.parent == entry.parent
                        && (number == 2 || previous.identifier <= entry.identifier)
            });
            self.expect(&PATH_TABLE_ORDER, in_order, &place, || {
                format!("\"{}\" comes after a later entry", entry.identifier.escape_ascii())
            });
            previous = Some(*entry);
        }
    }

    /// Every directory has its entry.
    fn against_tree(
        &mut self,
        source: &Source,
        found: &Found,
        table: &Table,
        entries: &[PathTableEntry<'_>],
    ) {
        let tree = found.root.tree;
        let mut listed = vec![false; self.trees.len(tree)];
        let block = source.block;
        let start = |entry: &PathTableEntry<'_>| {
            block.offset(entry.extent) + u64::from(entry.extended_attribute_len) * block.bytes()
        };
        let directory =
            |entry: &PathTableEntry<'_>| found.places.get(&start(entry)).map(|(_, id)| *id);
        for entry in entries {
            let name = entry.identifier.escape_ascii();
            let place = table_at(table, entry.offset, entry.len);
            let id = directory(entry);
            if !self.expect(&PATH_TABLE_TREE, id.is_some(), &place, || {
                format!("\"{name}\" at block {}, where no directory is", entry.extent)
            }) {
                continue;
            }
            let Some(id) = id else { continue };
            let known = *self.trees.get(id);
            let parent = usize::from(entry.parent).checked_sub(1).and_then(|at| entries.get(at));
            let same_parent =
                parent.and_then(directory).is_some_and(|parent| parent.index == known.parent);
            let place = Place { whose: Whose::Directory(id), ..place };
            self.expect(&PATH_TABLE_TREE, same_parent, &place, || {
                format!("in another directory than number {}, as the table has it", entry.parent)
            });
            self.expect(&PATH_TABLE_TREE, hash(entry.identifier) == known.hash, &place, || {
                format!("the table calls it \"{name}\"")
            });
            let again = std::mem::replace(&mut listed[id.index as usize], true);
            self.expect(&PATH_TABLE_TREE, !again, &place, || "a second entry".to_owned());
        }
        if let Some(index) = listed.iter().position(|listed| !listed) {
            let missing = listed.iter().filter(|listed| !**listed).count();
            let place = Place {
                whose: Whose::Directory(DirectoryId { tree, index: index as u32 }),
                ..table_at(table, 0, table.bytes.len())
            };
            self.fault(&PATH_TABLE_TREE, &place, || match missing {
                1 => "not in the table".to_owned(),
                _ => format!("not in the table, and neither are {} more", missing - 1),
            });
        }
    }
}

fn table_at(table: &Table, at: usize, len: usize) -> Place<'static> {
    Place {
        structure: "path table",
        offset: table.offset + at as u64,
        len: len as u64,
        whose: Whose::Nobody,
    }
}
