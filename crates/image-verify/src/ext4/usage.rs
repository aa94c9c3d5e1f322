//! What the owners of files use, for quotas.

use std::collections::BTreeMap;

use image_formats::ext4::Inode;

/// Bytes and inodes of one owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    /// Bytes of clusters.
    pub(super) bytes: u64,
    /// Inodes.
    pub(super) inodes: u64,
}

/// What users, groups and projects use.
#[derive(Debug, Default)]
pub(super) struct Usage {
    pub(super) users: BTreeMap<u32, Used>,
    pub(super) groups: BTreeMap<u32, Used>,
    pub(super) projects: BTreeMap<u32, Used>,
}

impl Usage {
    /// Adds a file to its owners.
    pub(super) fn add(&mut self, inode: &Inode<'_>, bytes: u64, inodes: u64) {
        let owners = [
            (&mut self.users, inode.uid()),
            (&mut self.groups, inode.gid()),
            (&mut self.projects, inode.extra.i_projid.get()),
        ];
        for (all, id) in owners {
            let used = all.entry(id).or_default();
            used.bytes = used.bytes.saturating_add(bytes);
            used.inodes = used.inodes.saturating_add(inodes);
        }
    }
}
