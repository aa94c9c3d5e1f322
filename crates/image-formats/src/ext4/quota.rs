//! Quotas: a tree of four levels that leads from a number to its entry.

use zerocopy::FromBytes as _;

use super::raw;

/// Whom a quota file is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum QuotaType {
    /// `USRQUOTA`.
    User,
    /// `GRPQUOTA`.
    Group,
    /// `PRJQUOTA`.
    Project,
}

impl QuotaType {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::User, Self::Group, Self::Project];

    /// `V2_INITQMAGICS`: the magic number of the file.
    pub fn magic(self) -> u32 {
        match self {
            Self::User => 0xd9c0_1f11,
            Self::Group => 0xd9c0_1927,
            Self::Project => 0xd9c0_3f14,
        }
    }

    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::Project => "project",
        }
    }
}

/// The start of a quota file, read and not judged.
#[derive(Clone, Copy, Debug)]
pub struct QuotaFile {
    /// The header.
    pub header: raw::QuotaHeader,
    /// What follows it.
    pub info: raw::QuotaInfo,
}

impl QuotaFile {
    /// `QT_BLKSIZE`: size of a block of the tree, in bytes.
    pub const BLOCK_SIZE: usize = 1024;
    /// `QT_TREEOFF`: the block of the root.
    pub const ROOT: u32 = 1;
    /// `QT_TREEDEPTH`: levels of the tree, without the blocks with entries.
    pub const DEPTH: u32 = 4;
    /// The last version that there is.
    pub const LAST_VERSION: u32 = 1;

    /// The start of a file, in `bytes`. `None` where they are too few.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let (header, rest) = raw::QuotaHeader::read_from_prefix(bytes).ok()?;
        let (info, _) = raw::QuotaInfo::read_from_prefix(rest).ok()?;
        Some(Self { header, info })
    }

    /// Size of an entry in bytes.
    pub fn entry_size(&self) -> usize {
        match self.header.dqh_version.get() {
            0 => raw::QuotaEntryR0::SIZE,
            _ => raw::QuotaEntryR1::SIZE,
        }
    }

    /// The entries in `block` that are in use.
    pub fn entries<'a>(&self, block: &'a [u8]) -> impl Iterator<Item = QuotaEntry> + use<'a> {
        let narrow = self.header.dqh_version.get() == 0;
        let entries = block.get(raw::QuotaBlockHeader::SIZE..).unwrap_or_default();
        let used = entries.chunks_exact(self.entry_size());
        let used = used.filter(|entry| entry.iter().any(|byte| *byte != 0));
        used.filter_map(move |entry| {
            if narrow {
                let raw = raw::QuotaEntryR0::read_from_bytes(entry).ok()?;
                let (id, inodes) = (raw.dqb_id.get(), u64::from(raw.dqb_curinodes.get()));
                return Some(QuotaEntry { id, inodes, space: raw.dqb_curspace.get() });
            }
            let raw = raw::QuotaEntryR1::read_from_bytes(entry).ok()?;
            let (id, inodes) = (raw.dqb_id.get(), raw.dqb_curinodes.get());
            Some(QuotaEntry { id, inodes, space: raw.dqb_curspace.get() })
        })
    }
}

/// What somebody uses, read and not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaEntry {
    /// User, group or project.
    pub id: u32,
    /// Inodes in use.
    pub inodes: u64,
    /// Space in use, in bytes.
    pub space: u64,
}

/// The references in a block of the tree, with the byte of the number that each is for; 0 is none.
pub fn quota_references(block: &[u8]) -> impl Iterator<Item = (u8, u32)> + '_ {
    let references = block.as_chunks::<4>().0.iter().map(|number| u32::from_le_bytes(*number));
    (0..=u8::MAX).zip(references).filter(|(_, reference)| *reference != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(version: u8) -> QuotaFile {
        let mut bytes = vec![0; 32];
        bytes[4] = version;
        QuotaFile::new(&bytes).unwrap()
    }

    #[test]
    fn a_block_has_21_entries_of_version_0_and_14_of_version_1() {
        let mut block = vec![1; 1024];
        assert_eq!(file(0).entries(&block).count(), 21);
        assert_eq!(file(1).entries(&block).count(), 14);
        block[16..].fill(0);
        block[16] = 5;
        block[16 + 0x18] = 2;
        block[16 + 0x31] = 4;
        let entry = QuotaEntry { id: 5, inodes: 2, space: 1024 };
        assert_eq!(file(1).entries(&block).collect::<Vec<_>>(), [entry]);
        // The rest of the entry is the second of version 0.
        let first = file(0).entries(&block).next().unwrap();
        assert_eq!(first, QuotaEntry { id: 5, inodes: 0, space: 2 });
        assert_eq!(file(1).entries(&block[..80]).count(), 0);
        assert!(QuotaFile::new(&[0; 31]).is_none());
    }

    #[test]
    fn references_know_their_place() {
        let mut block = vec![0; 1024];
        block[4] = 9;
        block[1020] = 8;
        assert_eq!(quota_references(&block).collect::<Vec<_>>(), [(1, 9), (255, 8)]);
        assert_eq!(quota_references(&block[..7]).count(), 0);
    }
}
