//! Inodes that the superblock names for what the file system has none of.

use image_formats::{
    bytes::ReadError,
    ext4::{Descriptor, Ino, Inode, compat, ro_compat},
};

use super::{Judge, checks::*, groups::has_flags, superblock::location};

impl Judge<'_, '_> {
    /// Judges them: e2fsck's pass 1 keeps them for what they are named for, and wants them empty.
    pub(super) fn unused_metafiles(&mut self) -> Result<(), ReadError> {
        let superblock = self.superblock;
        let raw = &superblock.raw;
        let named = [
            (
                "s_prj_quota_inum",
                raw.s_prj_quota_inum.get(),
                superblock.ro_compat(ro_compat::QUOTA),
            ),
            (
                "s_orphan_file_inum",
                raw.s_orphan_file_inum.get(),
                superblock.compat(compat::ORPHAN_FILE),
            ),
        ];
        for (field, number, used) in named {
            let ino = Ino(number);
            // These have been judged for what they are.
            let others = [
                Ino::BAD_BLOCKS,
                Ino::ROOT,
                Ino::USER_QUOTA,
                Ino::GROUP_QUOTA,
                Ino::JOURNAL,
                Ino(0),
            ];
            let held = used || others.contains(&ino) || !self.is_scanned(ino) || {
                let bytes = self.fs().inode(ino)?;
                let inode = Inode::new(&bytes);
                // A free one is kept for projects nevertheless, against what its bitmap says.
                let kept = field == "s_prj_quota_inum" && ino >= superblock.first_ino();
                !kept
                    && inode.raw.i_links_count.get() == 0
                    && inode.raw.i_blocks_lo.get() == 0
                    && inode.block_area()[..4] == [0; 4]
            };
            self.note(&UNUSED_METAFILE, held, |judge| {
                let at = location(judge.region, judge.name, 1024);
                (at, format!("{field} {number}, without the feature"))
            });
        }
        Ok(())
    }

    /// True if an inode is in the part of its table that was ever used.
    fn is_scanned(&self, ino: Ino) -> bool {
        if ino.0 > self.geometry.inodes_count {
            return false;
        }
        let (group, index) = self.geometry.place(ino);
        let Some(descriptor) = self.groups.get(group.0 as usize) else { return false };
        let unused = if descriptor.has(Descriptor::INODE_UNINIT) {
            self.geometry.inodes_per_group
        } else {
            descriptor.itable_unused()
        };
        !has_flags(self.superblock) || index < self.geometry.inodes_per_group.saturating_sub(unused)
    }
}
