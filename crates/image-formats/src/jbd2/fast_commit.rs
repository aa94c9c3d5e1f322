//! Tags of fast commits.

use zerocopy::FromBytes as _;

use super::raw;

/// A tag of a fast commit, read and not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FastCommitTag<'a> {
    /// `fc_tag`.
    pub tag: u16,
    /// `fc_len`; more than the value has where it leaves the block.
    pub len: usize,
    /// Tag, length and value.
    pub bytes: &'a [u8],
    /// The value.
    pub value: &'a [u8],
}

impl<'a> FastCommitTag<'a> {
    /// `EXT4_FC_TAG_ADD_RANGE`: a file got blocks.
    pub const ADD_RANGE: u16 = 1;
    /// `EXT4_FC_TAG_DEL_RANGE`: a file lost blocks.
    pub const DEL_RANGE: u16 = 2;
    /// `EXT4_FC_TAG_CREAT`: a file was made.
    pub const CREAT: u16 = 3;
    /// `EXT4_FC_TAG_LINK`: a file got a name.
    pub const LINK: u16 = 4;
    /// `EXT4_FC_TAG_UNLINK`: a file lost a name.
    pub const UNLINK: u16 = 5;
    /// `EXT4_FC_TAG_INODE`: an inode, without its blocks.
    pub const INODE: u16 = 6;
    /// `EXT4_FC_TAG_PAD`: the rest of a block.
    pub const PAD: u16 = 7;
    /// `EXT4_FC_TAG_TAIL`: the end of a fast commit.
    pub const TAIL: u16 = 8;
    /// `EXT4_FC_TAG_HEAD`: the start of the first fast commit.
    pub const HEAD: u16 = 9;

    /// The value of a [`HEAD`](Self::HEAD).
    pub fn head(&self) -> Option<raw::FastCommitHead> {
        raw::FastCommitHead::read_from_prefix(self.value).ok().map(|(head, _)| head)
    }

    /// The value of a [`TAIL`](Self::TAIL).
    pub fn tail(&self) -> Option<raw::FastCommitTail> {
        raw::FastCommitTail::read_from_prefix(self.value).ok().map(|(tail, _)| tail)
    }

    /// The value of an [`ADD_RANGE`](Self::ADD_RANGE).
    pub fn add_range(&self) -> Option<raw::FastCommitAddRange> {
        raw::FastCommitAddRange::read_from_prefix(self.value).ok().map(|(range, _)| range)
    }

    /// The value of a [`DEL_RANGE`](Self::DEL_RANGE).
    pub fn del_range(&self) -> Option<raw::FastCommitDelRange> {
        raw::FastCommitDelRange::read_from_prefix(self.value).ok().map(|(range, _)| range)
    }

    /// The value of a [`CREAT`](Self::CREAT), [`LINK`](Self::LINK) or [`UNLINK`](Self::UNLINK), and
    /// the name.
    pub fn dentry(&self) -> Option<(raw::FastCommitDentry, &'a [u8])> {
        raw::FastCommitDentry::read_from_prefix(self.value).ok()
    }

    /// The value of an [`INODE`](Self::INODE): its number, and its bytes.
    pub fn inode(&self) -> Option<(u32, &'a [u8])> {
        let (ino, inode) = self.value.split_first_chunk()?;
        Some((u32::from_le_bytes(*ino), inode))
    }

    /// What of a [`TAIL`](Self::TAIL) its checksum covers.
    pub fn before_checksum(&self) -> &'a [u8] {
        self.bytes.get(..8).unwrap_or(self.bytes)
    }
}

/// The tags in a block. The last one is the first whose length leaves the block, if there is such:
/// its value ends with the block.
pub fn fast_commit_tags(block: &[u8]) -> impl Iterator<Item = FastCommitTag<'_>> {
    let mut rest = block;
    std::iter::from_fn(move || {
        let (head, after) = raw::FastCommitTag::read_from_prefix(rest).ok()?;
        let len = usize::from(head.fc_len.get());
        let whole = raw::FastCommitTag::SIZE.saturating_add(len);
        let tag = FastCommitTag {
            tag: head.fc_tag.get(),
            len,
            bytes: rest.get(..whole).unwrap_or(rest),
            value: after.get(..len).unwrap_or(after),
        };
        rest = rest.get(whole..).unwrap_or_default();
        Some(tag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_follow_each_other() {
        let mut block = vec![9, 0, 8, 0, 0, 0, 0, 0, 5, 0, 0, 0];
        block.extend([4, 0, 11, 0, 2, 0, 0, 0, 12, 0, 0, 0, b'a', b'b', b'c']);
        block.extend([8, 0, 8, 0, 5, 0, 0, 0, 1, 2, 3, 4]);
        block.extend([7, 0, 0xff, 0xff, 0, 0]);
        let tags: Vec<_> = fast_commit_tags(&block).collect();
        assert_eq!(tags.iter().map(|tag| tag.tag).collect::<Vec<_>>(), [9, 4, 8, 7]);
        assert_eq!(tags[0].head().unwrap().fc_tid.get(), 5);
        let (dentry, name) = tags[1].dentry().unwrap();
        assert_eq!((dentry.fc_parent_ino.get(), dentry.fc_ino.get(), name), (2, 12, &b"abc"[..]));
        assert_eq!(tags[1].inode().unwrap().0, 2);
        assert_eq!(tags[2].tail().unwrap().fc_crc.get(), 0x0403_0201);
        assert_eq!(tags[2].before_checksum().len(), 8);
        assert_eq!((tags[3].value, tags[3].len), (&[0, 0][..], 0xffff));
        assert!(tags[3].add_range().is_none() && tags[3].del_range().is_none());
    }
}
