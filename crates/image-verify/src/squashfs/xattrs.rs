//! Extended attributes: the entries of the table, and the names and values they lead to.

use std::{collections::HashMap, mem::size_of};

use image_formats::{
    bytes::ReadError,
    squashfs::{
        MetadataError, MetadataRef,
        raw::{XattrEntry, XattrId, XattrValue},
    },
};
use zerocopy::little_endian::U64;

use super::{
    Fs, Judge, LIMITS, Place, Whose, XATTR, XATTR_PREFIX, XATTR_SIZE,
    tables::{XATTR_TABLE, Xattrs},
};

/// `XATTR_NAME_MAX`.
const MAX_NAME: usize = 255;
/// `XATTR_SIZE_MAX`.
const MAX_VALUE: u32 = 1 << 16;

/// The most attributes of an inode that are judged: Linux lists 64 KiB of names.
const MAX_COUNT: u32 = 1 << 16;

/// The most values that are judged and not with their names.
const MAX_FAR: usize = 1 << 20;

/// What attributes may still take: entries that share what they lead to would make little much.
struct Budget {
    /// Bytes of entries and of values that are with them.
    near: u64,
    /// Bytes of values that are elsewhere.
    far: u64,
    /// Where those are that were read, and their lengths: many inodes may share one.
    seen: HashMap<MetadataRef, u32>,
}

impl Judge<'_> {
    /// Judges all of them, whether an inode has them or not.
    pub(super) fn xattrs(&mut self, fs: &mut Fs) -> Result<(), ReadError> {
        const STRUCTURE: &str = "SquashFS xattr id table";
        let Some(xattrs) = fs.layout.tables.xattrs.take() else { return Ok(()) };
        if xattrs.values.whole {
            self.evaluated(&[&XATTR, &XATTR_PREFIX, &XATTR_SIZE]);
            let len = xattrs.values.len;
            let mut budget = Budget { near: len, far: len, seen: HashMap::new() };
            'all: for number in 0..xattrs.ids.index.len() {
                let ids = self.table_block::<XattrId>(fs, STRUCTURE, &xattrs.ids, number)?;
                for id in ids.unwrap_or_default() {
                    let at =
                        xattrs.values.start.saturating_add(MetadataRef::of(id.xattr.get()).block);
                    let place = self.place(XATTR_TABLE, at.min(xattrs.values.end), 0);
                    match self.set(fs, &xattrs, &id, place, &mut budget) {
                        Ok(true) => {}
                        // What overlaps would be read again and again.
                        Ok(false) => break 'all,
                        Err(error) => {
                            self.unreadable(&XATTR, XATTR_TABLE, Whose::Nobody, error)?;
                        }
                    }
                }
            }
        }
        fs.layout.tables.xattrs = Some(xattrs);
        Ok(())
    }

    /// The attributes of an inode. False where they overlap, or no more are judged.
    fn set(
        &mut self,
        fs: &mut Fs,
        xattrs: &Xattrs,
        id: &XattrId,
        place: Place,
        budget: &mut Budget,
    ) -> Result<bool, MetadataError> {
        let (start, end) = (xattrs.values.start, xattrs.values.end);
        let at = MetadataRef::of(id.xattr.get());
        let inside = xattrs.values.position(at.block, at.offset).is_some();
        if !self.xattr(inside, place, || {
            format!("byte {} of block {:#x}, which is not in the table", at.offset, at.block)
        }) {
            return Ok(true);
        }
        let count = id.count.get();
        if !self.limit(count <= MAX_COUNT, place, || {
            format!("{count} attributes of an inode, and {MAX_COUNT} are judged")
        }) {
            return Ok(true);
        }
        let mut values = Vec::new();
        let (mut size, mut known) = (0_u64, true);
        let mut cursor = fs.reader.cursor(start, end, at);
        for _ in 0..count {
            let entry: XattrEntry = cursor.read()?;
            let kind = entry.entry_type.get();
            let prefix = match kind & XattrEntry::PREFIX {
                XattrEntry::USER => "user.",
                XattrEntry::TRUSTED => "trusted.",
                XattrEntry::SECURITY => "security.",
                _ => "",
            };
            if prefix.is_empty() {
                known = false;
                self.expect(&XATTR_PREFIX, false, place, || {
                    format!("type {kind:#x}, and 0 to 2 are known")
                });
            }
            let name_len = usize::from(entry.size.get());
            let len = prefix.len() + name_len;
            let named = name_len > 0 && len <= MAX_NAME;
            if !self.xattr(named, place, || {
                format!("a name of {len} bytes with its prefix: it must have some, to {MAX_NAME}")
            }) {
                return Ok(true);
            }
            cursor.skip(name_len as u64)?;
            size += len as u64 + 1;
            let value: XattrValue = cursor.read()?;
            let value_len = value.vsize.get();
            let far = kind & XattrEntry::OUT_OF_LINE != 0;
            let spent = (size_of::<XattrEntry>() + size_of::<XattrValue>() + name_len) as u64;
            let most = if far { size_of::<U64>() as u32 } else { MAX_VALUE };
            let fits = if far { value_len == most } else { value_len <= most };
            if !self.xattr(fits, place, || format!("a value of {value_len} bytes, not {most}")) {
                return Ok(true);
            }
            let left = budget.near.checked_sub(spent + u64::from(value_len));
            if !self.xattr(left.is_some(), place, overlap) {
                return Ok(false);
            }
            budget.near = left.unwrap_or(0);
            if far {
                values.push(MetadataRef::of(cursor.read::<U64>()?.get()));
            } else {
                size += u64::from(value_len);
                cursor.skip(value_len.into())?;
            }
        }
        for at in values {
            if let Some(len) = budget.seen.get(&at) {
                size += u64::from(*len);
                continue;
            }
            let inside = xattrs.values.position(at.block, at.offset).is_some();
            if !self.xattr(inside, place, || {
                format!("a value at byte {} of block {:#x}, not in the table", at.offset, at.block)
            }) {
                return Ok(true);
            }
            if !self.limit(budget.seen.len() < MAX_FAR, place, || {
                format!("more than the {MAX_FAR} values that are not with their names")
            }) {
                return Ok(false);
            }
            let mut cursor = fs.reader.cursor(start, end, at);
            let len = cursor.read::<XattrValue>()?.vsize.get();
            if !self.xattr(len <= MAX_VALUE, place, || {
                format!("a value of {len} bytes, and {MAX_VALUE} are the most")
            }) {
                return Ok(true);
            }
            let spent = size_of::<XattrValue>() as u64 + u64::from(len);
            let left = budget.far.checked_sub(spent);
            if !self.xattr(left.is_some(), place, overlap) {
                return Ok(false);
            }
            budget.far = left.unwrap_or(0);
            budget.seen.insert(at, len);
            size += u64::from(len);
            cursor.skip(len.into())?;
        }
        let said = u64::from(id.size.get());
        self.expect(&XATTR_SIZE, !known || said == size, place, || {
            format!("{said} bytes of names and values, and they have {size}")
        });
        Ok(true)
    }

    fn limit(&mut self, holds: bool, place: Place, message: impl FnOnce() -> String) -> bool {
        holds || self.expect(&LIMITS, false, place, message)
    }

    fn xattr(&mut self, holds: bool, place: Place, message: impl FnOnce() -> String) -> bool {
        holds || self.expect(&XATTR, false, place, message)
    }
}

fn overlap() -> String {
    "attributes overlap: they have more bytes than the table".to_owned()
}
