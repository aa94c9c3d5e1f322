//! Extended attributes.

use zerocopy::FromBytes as _;

use super::raw;

/// `EXT4_XATTR_MAGIC`.
const MAGIC: u32 = 0xea02_0000;

/// An extended attribute, read and not judged.
#[derive(Clone, Copy, Debug)]
pub struct Xattr<'a> {
    /// The entry.
    pub raw: raw::XattrEntry,
    /// The name, without what `e_name_index` stands for.
    pub name: &'a [u8],
    /// The value, where it is in the same place.
    pub value: Option<&'a [u8]>,
}

impl Xattr<'_> {
    /// True for `system.data`, which holds what of an inline file has no room in `i_block`.
    pub fn is_inline_data(&self) -> bool {
        self.raw.e_name_index == 7 && self.name == b"data"
    }
}

/// The attributes in an inode: `area` begins with the magic number, or there are none.
pub fn xattrs(area: &[u8]) -> impl Iterator<Item = Xattr<'_>> {
    let magic = area.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
    let values = area.get(4..).filter(|_| magic == Some(MAGIC)).unwrap_or_default();
    let mut rest = values;
    std::iter::from_fn(move || {
        let (raw, after) = raw::XattrEntry::read_from_prefix(rest).ok()?;
        // Four bytes of zeros are the end.
        if rest.iter().take(4).all(|byte| *byte == 0) {
            return None;
        }
        let name_len = usize::from(raw.e_name_len);
        let name = after.get(..name_len)?;
        rest = after.get(name_len.next_multiple_of(4)..).unwrap_or_default();
        let start = usize::from(raw.e_value_offs.get());
        let len = usize::try_from(raw.e_value_size.get()).ok();
        let end = len.and_then(|len| start.checked_add(len));
        let value = end.and_then(|end| values.get(start..end));
        Some(Xattr { raw, name, value: value.filter(|_| raw.e_value_inum.get() == 0) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_end_with_zeros() {
        let mut area = MAGIC.to_le_bytes().to_vec();
        area.extend([4, 7, 24, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
        area.extend(b"data\0\0\0\0abc");
        let all: Vec<_> = xattrs(&area).collect();
        assert_eq!(all.len(), 1);
        assert!(all[0].is_inline_data());
        assert_eq!(all[0].value, Some(&b"abc"[..]));
        area[0] = 1;
        assert_eq!(xattrs(&area).count(), 0);
    }
}
