//! How directories hang together: e2fsck's pass 3.

use image_formats::ext4::{FileType, Ino, Inode};

use super::{
    Judge,
    checks::*,
    directories::{Directory, Way},
    inodes::Known,
};

impl Judge<'_, '_> {
    /// Every directory hangs on the root, and `..` leads back.
    pub(super) fn connections(&mut self) {
        let mut way = Vec::new();
        // A directory that is broken was not read, nor followed.
        let lost = self.has_lost_entries || self.has_broken_directories();
        for at in 0..self.directories.len() {
            let Directory { ino, parent, dotdot, .. } = self.directories[at];
            let is_root = ino == Ino::ROOT;
            let parent = if is_root { Ino::ROOT } else { parent };
            self.expect(&UNCONNECTED, parent.0 != 0 || lost, |judge| {
                (judge.at_inode(ino), "no directory has this directory".to_owned())
            });
            // What has no `..` was told of.
            if parent.0 != 0 && dotdot.0 != 0 {
                self.expect(&DIRECTORY_DOTS, dotdot == parent, |judge| {
                    (judge.at_inode(ino), format!("`..` is {dotdot}, not {parent}"))
                });
            }
            let is_loop = self.follow(at, &mut way);
            self.expect(&DIRECTORY_LOOP, !is_loop, |judge| {
                (judge.at_inode(ino), "the directory is below itself".to_owned())
            });
        }
        self.lost_and_found();
    }

    fn has_broken_directories(&self) -> bool {
        let end = Ino(self.geometry.inodes_count.saturating_add(1));
        let broken = |known: &Known| {
            known.has(Known::BROKEN) && known.file_type() == Some(FileType::Directory)
        };
        self.inodes.range(Ino(1), end).any(|(_, known)| broken(&known))
    }

    /// Follows the parents of a directory, as far as they were not followed before. True where they
    /// lead back to one of those that were followed now.
    fn follow(&mut self, start: usize, way: &mut Vec<usize>) -> bool {
        way.clear();
        let mut at = Some(start);
        // Bounded: each step sets one that was not set.
        let (end, is_loop) = loop {
            let Some(directory) = at.and_then(|at| self.directories.get_mut(at)) else {
                break (Way::Nowhere, false);
            };
            match directory.way {
                _ if directory.ino == Ino::ROOT => break (Way::Root, false),
                Way::Unknown => directory.way = Way::Followed,
                Way::Followed => break (Way::Nowhere, true),
                found => break (found, false),
            }
            let parent = directory.parent;
            way.extend(at);
            at = self.directory_at(parent);
        };
        for at in way {
            self.directories[*at].way = end;
        }
        is_loop
    }

    /// `e2fsck` needs a place for what it finds in no directory.
    fn lost_and_found(&mut self) {
        let at = self.lost_and_found.and_then(|ino| self.directory_at(ino));
        let good = at.map(|at| self.directories[at]).is_some_and(|directory| {
            !directory.has(Inode::INLINE_DATA) && !directory.has(Inode::ENCRYPT)
        });
        let found = self.lost_and_found;
        self.note(&LOST_AND_FOUND, good, |judge| {
            let known = found.and_then(|ino| judge.inodes.get(ino));
            let what = match (known.and_then(|known| known.file_type()), found) {
                (_, None) => "there is no /lost+found",
                (Some(FileType::Directory), _) => "/lost+found is encrypted, or in its inode",
                _ => "/lost+found is no directory",
            };
            (judge.at_inode(found.unwrap_or(Ino::ROOT)), what.to_owned())
        });
    }
}
