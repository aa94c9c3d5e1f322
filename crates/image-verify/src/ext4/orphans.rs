//! Inodes to delete: the list through their `i_dtime`, and the file that lists them.
//!
//! `ext4_orphan_cleanup` of Linux, and `check_init_orphan_file` of e2fsck.

use image_formats::{
    bytes::ReadError,
    ext4::{Ino, Inode, OrphanBlock, Run, compat, ro_compat},
};

use super::{Judge, checks::*, fs::find, inodes::Metafile, superblock::location};

impl Judge<'_, '_> {
    /// Judges both.
    pub(super) fn orphans(&mut self) -> Result<(), ReadError> {
        self.orphan_list()?;
        self.orphan_file()
    }

    /// Follows the list, which ends with 0.
    fn orphan_list(&mut self) -> Result<(), ReadError> {
        let head = self.superblock.raw.s_last_orphan.get();
        let (first, count) = (self.superblock.first_ino().0, self.geometry.inodes_count);
        let mut ino = head;
        // Brent: the list is held against a place that moves on at each power of two.
        let (mut mark, mut steps, mut power) = (0, 0_u64, 1_u64);
        let mut fault = None;
        while ino != 0 {
            if ino < first || ino > count {
                fault = Some(format!("inode {ino} is not one of {first} to {count}"));
                break;
            }
            if ino == mark {
                fault = Some(format!("inode {ino} comes again"));
                break;
            }
            if steps == power {
                (mark, power) = (ino, power * 2);
            }
            steps += 1;
            let bytes = self.fs().inode(Ino(ino))?;
            let inode = Inode::new(&bytes);
            if inode.raw.i_mode.get() == 0 {
                fault = Some(format!("inode {ino} is not in use"));
                break;
            }
            ino = inode.raw.i_dtime.get();
        }
        self.note(&ORPHAN_LIST, fault.is_none(), |judge| {
            let at = location(judge.region, judge.name, 1024);
            (at, format!("from s_last_orphan {head}: {}", fault.unwrap_or_default()))
        });
        Ok(())
    }

    fn orphan_file(&mut self) -> Result<(), ReadError> {
        let superblock = self.superblock;
        let ino = Ino(superblock.raw.s_orphan_file_inum.get());
        let has = superblock.compat(compat::ORPHAN_FILE);
        let present = superblock.ro_compat(ro_compat::ORPHAN_PRESENT);
        let at = |judge: &Self| location(judge.region, judge.name, 1024);
        if !has {
            self.note(&ORPHAN_PRESENT, !present, |judge| {
                (at(judge), "orphan_present, without orphan_file".to_owned())
            });
            return Ok(());
        }
        let journal = superblock.compat(compat::HAS_JOURNAL);
        self.note(&ORPHAN_FILE, journal, |judge| {
            (at(judge), "there is an orphan file, and no journal".to_owned())
        });
        let file = self.metafile(ino)?;
        let Some(file) = file else {
            self.note(&ORPHAN_FILE, false, |judge| {
                (at(judge), format!("s_orphan_file_inum {}, which is no file in use", ino.0))
            });
            return Ok(());
        };
        let size = Inode::new(&file.inode).size();
        let whole = size.is_multiple_of(u64::from(self.geometry.block_size));
        if !self.note(&ORPHAN_FILE, whole, |judge| {
            (judge.at_inode(ino), format!("i_size {size}, which is not whole blocks"))
        }) {
            return Ok(());
        }
        let pending = self.orphan_blocks(&file, size)?;
        if let Some(pending) = pending {
            self.note(&ORPHAN_PRESENT, present == pending, |judge| {
                let (a, b) = if present { ("", "no") } else { ("no ", "some") };
                (at(judge), format!("{a}orphan_present, and the orphan file has {b} entries"))
            });
        }
        Ok(())
    }

    /// Judges the blocks of the orphan file. True if there are entries; `None` where it is broken.
    fn orphan_blocks(&mut self, file: &Metafile, size: u64) -> Result<Option<bool>, ReadError> {
        let ino = file.ino;
        let seed = Inode::new(&file.inode).checksum_seed(self.superblock, ino);
        let sums = self.superblock.ro_compat(ro_compat::METADATA_CSUM);
        let blocks = size / u64::from(self.geometry.block_size);
        let end = file.runs.last().map_or(0, |run: &Run| run.logical + u64::from(run.len));
        let mut bytes = vec![0; self.geometry.block_size as usize];
        let (mut sound, mut pending) = (true, 0_u64);
        // Bounded by the blocks that the file has: a hole ends it.
        for logical in 0..blocks.max(end) {
            let Some(block) = find(&file.runs, logical) else {
                sound &= self.note(&ORPHAN_FILE, logical >= blocks, |judge| {
                    (judge.at_inode(ino), format!("block {logical} of {blocks} is a hole"))
                });
                break;
            };
            self.read("ext4 orphan file", block, &mut bytes)?;
            let Some(read) = OrphanBlock::new(&bytes) else { break };
            let (magic, stored) = (read.tail.ob_magic.get(), read.tail.ob_checksum.get());
            // Without checksums e2fsck wants a 0.
            let expected = if sums { read.checksum(seed, block) } else { 0 };
            let held = magic == OrphanBlock::MAGIC && stored == expected;
            sound &= self.note(&ORPHAN_FILE, held, |judge| {
                let at = judge.at_block("orphan block", ino, block);
                let message = format!(
                    "magic {magic:#010x}, not 0x0b10ca04, or stored {stored:#010x}, not \
                     {expected:#010x}"
                );
                (at, message)
            });
            if !held {
                continue;
            }
            let mut entries = read.entries().peekable();
            let first = entries.peek().copied();
            let count = entries.count() as u64;
            pending += count;
            self.note(&ORPHAN_ENTRIES, first.is_none(), |judge| {
                let at = judge.at_block("orphan block", ino, block);
                (at, format!("{count} inodes, the first is {}", first.unwrap_or(0)))
            });
        }
        Ok(sound.then_some(pending > 0))
    }
}
