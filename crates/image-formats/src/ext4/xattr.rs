//! Extended attributes.

use zerocopy::FromBytes as _;

use super::{Inode, raw};

/// `EXT4_XATTR_MAGIC`.
pub const XATTR_MAGIC: u32 = 0xea02_0000;

/// An extended attribute, read and not judged.
#[derive(Clone, Copy, Debug)]
pub struct Xattr<'a> {
    /// The entry.
    pub raw: raw::XattrEntry,
    /// Where the entry is, from where values are counted from.
    pub at: usize,
    /// The name, without what `e_name_index` stands for.
    pub name: &'a [u8],
    /// The value, where it is in the same place.
    pub value: Option<&'a [u8]>,
    /// The value with its padding, where both are there.
    pub padded: Option<&'a [u8]>,
}

impl Xattr<'_> {
    /// True for `system.data`, which holds what of an inline file has no room in `i_block`.
    pub fn is_inline_data(&self) -> bool {
        self.raw.e_name_index == 7 && self.name == b"data"
    }

    /// True for the attribute that says how the file is encrypted: `EXT4_XATTR_INDEX_ENCRYPTION`,
    /// `c`.
    pub fn is_encryption(&self) -> bool {
        self.raw.e_name_index == 9 && self.name == b"c"
    }

    /// `e_value_size`, in bytes.
    pub fn value_size(&self) -> usize {
        usize::try_from(self.raw.e_value_size.get()).unwrap_or(usize::MAX)
    }

    /// Bytes that the entry takes, with its name and padding: `EXT4_XATTR_LEN`.
    pub fn entry_size(&self) -> usize {
        raw::XattrEntry::SIZE.saturating_add(self.name.len()).next_multiple_of(4)
    }

    /// Bytes that the value takes, with padding: `EXT4_XATTR_SIZE`.
    pub fn padded_value_size(&self) -> usize {
        self.value_size().checked_next_multiple_of(4).unwrap_or(usize::MAX)
    }

    /// `ext4_xattr_hash_entry`: what `e_hash` should be, given the words of the value with its
    /// padding, or the hash that an inode with the value has. Some kernels took the bytes of names
    /// for signed numbers, hence two.
    pub fn hashes(&self, words: impl Iterator<Item = u32>) -> [u32; 2] {
        let extend = |byte: u8| [u32::from(byte), i32::from(byte.cast_signed()).cast_unsigned()];
        let mut hashes = [0_u32; 2];
        for byte in self.name {
            for (hash, byte) in hashes.iter_mut().zip(extend(*byte)) {
                *hash = hash.rotate_left(5) ^ byte;
            }
        }
        for word in words {
            hashes.iter_mut().for_each(|hash| *hash = hash.rotate_left(16) ^ word);
        }
        hashes
    }
}

/// The attributes in an inode or a block, in their order. It ends where something does not fit, too.
#[derive(Clone, Debug)]
pub struct Xattrs<'a> {
    values: &'a [u8],
    at: usize,
}

impl<'a> Xattrs<'a> {
    /// The attributes in an inode: `area` begins with the magic number, or there are none.
    pub fn in_inode(area: &'a [u8]) -> Self {
        let magic = area.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
        let values = area.get(4..).filter(|_| magic == Some(XATTR_MAGIC));
        Self { values: values.unwrap_or_default(), at: 0 }
    }

    /// The attributes in a block, after its header.
    pub fn in_block(block: &'a [u8]) -> Self {
        Self { values: block, at: raw::XattrHeader::SIZE }
    }

    /// What offsets of values count in.
    pub fn values(&self) -> &'a [u8] {
        self.values
    }

    /// Where the next entry would be.
    pub fn at(&self) -> usize {
        self.at
    }

    /// True if there is a mark for the end, or no byte is left for one.
    pub fn is_at_end(&self) -> bool {
        match self.values.get(self.at..).and_then(|rest| rest.first_chunk()) {
            Some(mark) => *mark == [0; 4],
            None => true,
        }
    }
}

impl<'a> Iterator for Xattrs<'a> {
    type Item = Xattr<'a>;

    fn next(&mut self) -> Option<Xattr<'a>> {
        if self.is_at_end() {
            return None;
        }
        let at = self.at;
        let (raw, after) = raw::XattrEntry::read_from_prefix(self.values.get(at..)?).ok()?;
        let name = after.get(..usize::from(raw.e_name_len))?;
        let start = usize::from(raw.e_value_offs.get());
        let here = raw.e_value_inum.get() == 0;
        let slice = |len: usize| self.values.get(start..start.checked_add(len)?).filter(|_| here);
        let mut xattr = Xattr { raw, at, name, value: None, padded: None };
        xattr.value = slice(xattr.value_size());
        xattr.padded = slice(xattr.padded_value_size());
        self.at = at.saturating_add(xattr.entry_size());
        Some(xattr)
    }
}

/// The words of a value with its padding.
pub fn words(padded: &[u8]) -> impl Iterator<Item = u32> {
    let words = padded.chunks_exact(4).filter_map(|word| <[u8; 4]>::try_from(word).ok());
    words.map(u32::from_le_bytes)
}

impl Inode<'_> {
    /// Of an inode that is the value of an attribute: the hash of the value, kept in `i_atime`.
    pub fn value_hash(&self) -> u32 {
        self.raw.i_atime.get()
    }

    /// Of an inode that is the value of an attribute: how many attributes use it, kept in `i_ctime`
    /// and the version.
    pub fn value_references(&self) -> u64 {
        u64::from(self.raw.i_ctime.get()) << 32 | u64::from(self.raw.osd1.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_end_with_zeros() {
        let mut area = XATTR_MAGIC.to_le_bytes().to_vec();
        area.extend([4, 7, 24, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
        area.extend(b"data\0\0\0\0abc");
        let mut all = Xattrs::in_inode(&area);
        let first = all.next().unwrap();
        assert!(first.is_inline_data());
        assert_eq!(first.value, Some(&b"abc"[..]));
        assert_eq!((first.entry_size(), first.padded_value_size()), (20, 4));
        assert!(all.next().is_none() && all.is_at_end());
        area[0] = 1;
        assert_eq!(Xattrs::in_inode(&area).count(), 0);
    }

    /// As fs/ext4/xattr.c computes it: `user.a` with the value `b`.
    #[test]
    fn hashes_are_those_of_linux() {
        let mut area = XATTR_MAGIC.to_le_bytes().to_vec();
        area.extend([1, 1, 24, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        area.extend(b"a\0\0\0\0\0\0\0b\0\0\0");
        let first = Xattrs::in_inode(&area).next().unwrap();
        let value = first.padded.unwrap();
        // (0x61 <<< 16) ^ 0x62
        assert_eq!(first.hashes(words(value)), [0x0061_0062; 2]);
    }
}
