//! Quotas: e2fsck's `quota_compare_and_update`, and what Linux asks of a quota file before a mount.

use image_formats::{
    bytes::ReadError,
    ext4::{Block, Ino, Inode, QuotaEntry, QuotaFile, QuotaType, quota_references, raw, ro_compat},
};
use image_model::Location;

use super::{
    Judge,
    checks::*,
    fs::Fs,
    inodes::Metafile,
    superblock::location,
    usage::{Owners, Used},
};

/// The largest quota file that e2fsck reads.
const MAX_SIZE: u64 = 1 << 31;

/// Size of a block of the tree.
const BLOCK: u64 = QuotaFile::BLOCK_SIZE as u64;

impl Judge<'_, '_> {
    fn quota_ino(&self, kind: QuotaType) -> Ino {
        let raw = &self.superblock.raw;
        Ino(match kind {
            QuotaType::User => raw.s_usr_quota_inum.get(),
            QuotaType::Group => raw.s_grp_quota_inum.get(),
            QuotaType::Project => raw.s_prj_quota_inum.get(),
        })
    }

    /// Judges the quota files, and what they say of the inodes, where these were found sound.
    pub(super) fn quotas(&mut self) -> Result<(), ReadError> {
        if !self.superblock.ro_compat(ro_compat::QUOTA) {
            return Ok(());
        }
        for kind in QuotaType::ALL {
            let ino = self.quota_ino(kind);
            if ino.0 == 0 {
                continue;
            }
            let word = kind.as_str();
            let file = self.metafile(ino)?;
            let reserved = match kind {
                QuotaType::User => ino == Ino::USER_QUOTA,
                QuotaType::Group => ino == Ino::GROUP_QUOTA,
                QuotaType::Project => true,
            };
            let held = file.is_some() && reserved;
            self.note(&QUOTA_INODE, held, |judge| {
                let at = location(judge.region, judge.name, 1024);
                (at, format!("{word} quotas in inode {}, which is no file for them", ino.0))
            });
            if let Some(file) = file.filter(|_| held) {
                self.quota(kind, &file)?;
            }
        }
        Ok(())
    }

    fn quota(&mut self, kind: QuotaType, file: &Metafile) -> Result<(), ReadError> {
        let content = Content::new(self.fs(), file);
        let at = |judge: &Self, block: u32| content.location(judge, block);
        let mut head = [0; QuotaFile::BLOCK_SIZE];
        content.read(0, &mut head)?;
        let Some(start) = QuotaFile::new(&head) else { return Ok(()) };
        let (magic, version) = (start.header.dqh_magic.get(), start.header.dqh_version.get());
        let held =
            content.size >= 32 && magic == kind.magic() && version <= QuotaFile::LAST_VERSION;
        if !self.note(&QUOTA_HEADER, held, |judge| {
            let message = format!(
                "{} bytes, magic {magic:#010x}, not {:#010x}, version {version}, not 0 or 1",
                content.size,
                kind.magic()
            );
            (at(judge, 0), message)
        }) {
            return Ok(());
        }
        let info = &start.info;
        let (blocks, free) = (info.dqi_blocks.get(), info.dqi_free_blk.get());
        let entry = info.dqi_free_entry.get();
        let fits = content.size <= MAX_SIZE && u64::from(blocks) <= content.size.div_ceil(BLOCK);
        if !self.note(&QUOTA_INFO, fits && free < blocks && entry < blocks, |judge| {
            let message = format!(
                "dqi_blocks {blocks}, dqi_free_blk {free}, dqi_free_entry {entry}, in a file of {} \
                 bytes",
                content.size
            );
            (at(judge, 0), message)
        }) {
            return Ok(());
        }
        match self.quota_leaves(&content, &start)? {
            Some(leaves) => self.quota_usage(kind, &content, &start, &leaves),
            None => Ok(()),
        }
    }

    /// Walks the tree, level by level, down to the blocks with entries. `None` where it leads out of
    /// the file.
    fn quota_leaves(
        &mut self,
        content: &Content<'_>,
        start: &QuotaFile,
    ) -> Result<Option<Vec<u32>>, ReadError> {
        let blocks = start.info.dqi_blocks.get();
        let mut bytes = [0; QuotaFile::BLOCK_SIZE];
        let mut level = vec![QuotaFile::ROOT];
        let mut sound = true;
        for _ in 0..QuotaFile::DEPTH {
            // A block that is there twice is read once: its second copy says nothing new.
            let mut seen = vec![false; blocks as usize];
            let mut next = Vec::new();
            for block in level {
                content.read(block, &mut bytes)?;
                for (_, child) in quota_references(&bytes) {
                    sound &= self.note(&QUOTA_TREE, child < blocks, |judge| {
                        let at = content.location(judge, block);
                        (at, format!("block {block} leads to block {child} of {blocks}"))
                    });
                    if let Some(seen) = seen.get_mut(child as usize)
                        && !std::mem::replace(seen, true)
                    {
                        next.push(child);
                    }
                }
            }
            level = next;
        }
        Ok(sound.then_some(level))
    }

    /// Compares what the entries say with what is used.
    fn quota_usage(
        &mut self,
        kind: QuotaType,
        content: &Content<'_>,
        start: &QuotaFile,
        leaves: &[u32],
    ) -> Result<(), ReadError> {
        // Without these nobody can say what is used.
        if !self.sound || self.out.has_failed(&FILE_BLOCKS) {
            return Ok(());
        }
        let word = kind.as_str();
        // Inodes of 128 bytes have no project.
        let small = usize::from(self.geometry.inode_size) == raw::Inode::SIZE;
        let used = match kind {
            QuotaType::Project if small => Owners::default(),
            kind => self.usage.take(kind),
        };
        let mut listed = vec![false; used.all().len()];
        let mut bytes = [0; QuotaFile::BLOCK_SIZE];
        for block in leaves {
            content.read(*block, &mut bytes)?;
            for QuotaEntry { id, inodes, space } in start.entries(&bytes) {
                let place = used.find(id);
                if let Some(listed) = place.and_then(|place| listed.get_mut(place)) {
                    *listed = true;
                }
                let nothing = Used { id, ..Used::default() };
                let real = place.map_or(nothing, |place| used.all()[place]);
                let held = u64::from(real.inodes) == inodes && real.bytes == space;
                self.note(&QUOTA_USAGE, held, |judge| {
                    let message = format!(
                        "{word} {id}: {inodes} inodes and {space} bytes, not {} and {}",
                        real.inodes, real.bytes
                    );
                    (content.location(judge, *block), message)
                });
            }
        }
        for (usage, listed) in used.all().iter().zip(listed) {
            self.note(&QUOTA_USAGE, listed, |judge| {
                let Used { id, inodes, bytes } = *usage;
                let message =
                    format!("{word} {id} has no entry, and {inodes} inodes, {bytes} bytes");
                (content.location(judge, 0), message)
            });
        }
        Ok(())
    }
}

/// The bytes of a quota file; holes read as zeros.
struct Content<'a> {
    fs: Fs<'a>,
    file: &'a Metafile,
    size: u64,
}

impl<'a> Content<'a> {
    fn new(fs: Fs<'a>, file: &'a Metafile) -> Self {
        Self { fs, file, size: Inode::new(&file.inode).size() }
    }

    /// Where a block of 1 KiB is; `None` for a hole, and for what was never written.
    fn place(&self, block: u32) -> Option<u64> {
        let at = u64::from(block) * BLOCK;
        let block_size = u64::from(self.fs.geometry.block_size);
        let runs = &self.file.runs;
        let logical = at / block_size;
        let run = runs.get(runs.partition_point(|run| run.logical <= logical).checked_sub(1)?)?;
        let within = logical - run.logical;
        let written = within < u64::from(run.len) && !run.unwritten && at < self.size;
        let here = Block(run.block.0 + within);
        written.then(|| self.fs.geometry.offset(here) + at % block_size)
    }

    fn read(&self, block: u32, bytes: &mut [u8; QuotaFile::BLOCK_SIZE]) -> Result<(), ReadError> {
        match self.place(block) {
            Some(at) => self.fs.region.fill("ext4 quota file", at, bytes),
            None => {
                bytes.fill(0);
                Ok(())
            }
        }
    }

    fn location(&self, judge: &Judge<'_, '_>, block: u32) -> Location {
        let name = format!("{}, ext4 quota file {}", judge.name, self.file.ino);
        let at = self.place(block).unwrap_or(0);
        super::structure(judge.region, name, at, BLOCK)
    }
}
