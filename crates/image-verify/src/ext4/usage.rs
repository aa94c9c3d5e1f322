//! What the owners of files use, for quotas.

use image_formats::ext4::{Inode, QuotaType};

/// Added up for a user, group or project.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    /// Who.
    pub(super) id: u32,
    /// Inodes.
    pub(super) inodes: u32,
    /// Bytes of clusters.
    pub(super) bytes: u64,
}

/// All users, all groups or all projects: 16 bytes for each, in the order of their numbers once
/// [`sort`](Self::sort) was called.
#[derive(Debug, Default)]
pub(super) struct Owners {
    all: Vec<Used>,
    /// How many of them are in order already.
    sorted: usize,
}

impl Owners {
    /// How many wait to be put in order, at least.
    const PIECE: usize = 4096;

    /// All of them.
    pub(super) fn all(&self) -> &[Used] {
        &self.all
    }

    /// The place of one.
    pub(super) fn find(&self, id: u32) -> Option<usize> {
        self.all.binary_search_by_key(&id, |used| used.id).ok()
    }

    fn add(&mut self, used: Used) {
        // Whenever as many wait as there are owners, so that time and memory follow their number.
        if self.all.len() >= self.sorted * 2 + Self::PIECE {
            self.sort();
        }
        self.all.push(used);
    }

    fn sort(&mut self) {
        self.all.sort_unstable_by_key(|used| used.id);
        self.all.dedup_by(|next, sum| {
            let same = next.id == sum.id;
            if same {
                sum.inodes = sum.inodes.saturating_add(next.inodes);
                sum.bytes = sum.bytes.saturating_add(next.bytes);
            }
            same
        });
        self.sorted = self.all.len();
    }
}

/// What users, groups and projects use.
#[derive(Debug, Default)]
pub(super) struct Usage([Owners; 3]);

impl Usage {
    /// Adds a file to its owners.
    pub(super) fn add(&mut self, inode: &Inode<'_>, kinds: [bool; 3], bytes: u64, inodes: u32) {
        let owners = [inode.uid(), inode.gid(), inode.extra.i_projid.get()];
        for ((all, id), _) in self.0.iter_mut().zip(owners).zip(kinds).filter(|(_, counts)| *counts)
        {
            all.add(Used { id, inodes, bytes });
        }
    }

    /// Hands out what all users, groups or projects use.
    pub(super) fn take(&mut self, kind: QuotaType) -> Owners {
        let [users, groups, projects] = &mut self.0;
        let mut owners = std::mem::take(match kind {
            QuotaType::User => users,
            QuotaType::Group => groups,
            QuotaType::Project => projects,
        });
        owners.sort();
        owners
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_added_up_in_their_order() {
        let mut owners = Owners::default();
        for number in 0..20_000_u32 {
            owners.add(Used { id: number % 3 * 7, inodes: 1, bytes: 10 });
        }
        owners.sort();
        let used = |(id, inodes)| Used { id, inodes, bytes: u64::from(inodes) * 10 };
        assert_eq!(owners.all(), [(0, 6667), (7, 6667), (14, 6666)].map(used));
        assert_eq!((owners.find(7), owners.find(8)), (Some(1), None));
        // It never keeps much more than there are owners.
        assert!(owners.all.capacity() < 10_000);
    }
}
