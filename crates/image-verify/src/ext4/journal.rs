//! The journal: e2fsck's `check_ext3_journal`, and what Linux asks of it before a mount.

mod fast_commit;
mod log;

use image_formats::{
    bytes::ReadError,
    ext4::{Block, FileType, Ino, Inode, Run, compat, incompat},
    jbd2::{self, Header},
};
use zerocopy::IntoBytes as _;

use super::{Judge, checks::*, fs::find, inodes::Metafile, superblock::location};
use log::{End, Fault, Log};

/// `EXT3_JNL_BACKUP_BLOCKS`.
const BACKUP_OF_BLOCKS: u8 = 1;

impl Judge<'_, '_> {
    /// Judges the journal, if there is one or should be.
    pub(super) fn journal(&mut self) -> Result<(), ReadError> {
        let raw = &self.superblock.raw;
        let has = self.superblock.compat(compat::HAS_JOURNAL);
        let recover = self.superblock.incompat(incompat::RECOVER);
        let (ino, device) = (Ino(raw.s_journal_inum.get()), raw.s_journal_dev.get());
        let elsewhere = raw.s_journal_uuid != [0; 16];
        if !has && !recover && ino.0 == 0 && device == 0 && !elsewhere {
            return Ok(());
        }
        let at_superblock = |judge: &Self| location(judge.region, judge.name, 1024);
        self.note(&JOURNAL_FEATURE, has, |judge| {
            (at_superblock(judge), "has_journal is not set, and there are traces of one".to_owned())
        });
        if !self.note(&JOURNAL_DEVICE, !elsewhere && (device == 0 || !has), |judge| {
            let message = format!("s_journal_dev {device:#x}, and a UUID: on another device");
            let both = format!("s_journal_dev {device:#x}, and s_journal_inum {}", ino.0);
            (at_superblock(judge), if elsewhere { message } else { both })
        }) {
            return Ok(());
        }
        if !has && !recover && ino.0 == 0 {
            return Ok(());
        }
        let file = self.metafile(ino)?;
        let block_size = u64::from(self.geometry.block_size);
        let found = file.as_ref().map_or(Err("no file that is sound"), |file| {
            let inode = Inode::new(&file.inode);
            if inode.raw.i_links_count.get() == 0 {
                Err("not in use")
            } else if inode.file_type() != Some(FileType::File) || inode.has(Inode::ENCRYPT) {
                Err("no plain file")
            } else {
                let blocks = inode.size() / block_size;
                let blocks = u32::try_from(blocks).unwrap_or(u32::MAX);
                if blocks < jbd2::Superblock::MIN_BLOCKS {
                    Err("smaller than 1024 blocks")
                } else if !is_dense(&file.runs, blocks) {
                    Err("with holes")
                } else {
                    Ok(blocks)
                }
            }
        });
        let Ok(blocks) = found else {
            let why = found.err().unwrap_or_default();
            self.note(&JOURNAL, false, |judge| {
                (at_superblock(judge), format!("s_journal_inum {}, which is {why}", ino.0))
            });
            return Ok(());
        };
        self.note(&JOURNAL, true, |judge| (at_superblock(judge), String::new()));
        let Some(file) = file else { return Ok(()) };
        self.journal_backup(&file);
        self.journal_superblock(&file, blocks, recover)
    }

    /// The copy of the inode in the superblock.
    fn journal_backup(&mut self, file: &Metafile) {
        let raw = &self.superblock.raw;
        if raw.s_jnl_backup_type == 0 {
            return;
        }
        let inode = Inode::new(&file.inode);
        let (blocks, size) = raw.s_jnl_blocks.split_at(15);
        let same = raw.s_jnl_backup_type == BACKUP_OF_BLOCKS
            && blocks.as_bytes() == inode.block_area()
            && size.as_bytes() == [inode.raw.i_size_high, inode.raw.i_size_lo].as_bytes();
        self.note(&JOURNAL_BACKUP, same, |judge| {
            let at = location(judge.region, judge.name, 1024);
            (at, format!("s_jnl_blocks are not those of {}", file.ino))
        });
    }

    /// `e2fsck_journal_load`, and `journal_get_superblock` of Linux.
    fn journal_superblock(
        &mut self,
        file: &Metafile,
        blocks: u32,
        recover: bool,
    ) -> Result<(), ReadError> {
        let Some(first) = find(&file.runs, 0) else { return Ok(()) };
        let mut bytes = vec![0; self.geometry.block_size as usize];
        self.read("ext4 journal superblock", first, &mut bytes)?;
        let ino = file.ino;
        let at = |judge: &Self| judge.at_block("journal superblock", ino, first);
        let Some(superblock) = jbd2::Superblock::new(&bytes) else { return Ok(()) };
        let raw = &superblock.raw;
        let (magic, kind) = (raw.s_header.h_magic.get(), raw.s_header.h_blocktype.get());
        let known = matches!(kind, Header::SUPERBLOCK_V1 | Header::SUPERBLOCK_V2);
        if !self.note(&JOURNAL_SUPERBLOCK, magic == Header::MAGIC && known, |judge| {
            (at(judge), format!("magic {magic:#010x} and type {kind}, not 0xc03b3998 and 3 or 4"))
        }) {
            return Ok(());
        }
        let users = raw.s_nr_users.get();
        let fields = [raw.s_feature_compat, raw.s_feature_incompat, raw.s_feature_ro_compat];
        let clean = superblock.is_v2() || users == 0 && fields.iter().all(|field| field.get() == 0);
        self.note(&JOURNAL_VERSION, clean, |judge| {
            (at(judge), "version 1, with features or users".to_owned())
        });
        self.note(&JOURNAL_USERS, !superblock.is_v2() || users <= 1, |judge| {
            (at(judge), format!("{users} file systems, not one"))
        });
        if !self.journal_features(&superblock, at) || !self.journal_size(&superblock, blocks, at) {
            return Ok(());
        }
        let error = raw.s_errno.get().cast_signed();
        self.note(&JOURNAL_ERROR, error == 0, |judge| (at(judge), format!("s_errno {error}")));
        let start = raw.s_start.get();
        self.note(&JOURNAL_START, recover || start == 0, |judge| {
            (at(judge), format!("the log starts at block {start}, without needs_recovery"))
        });
        self.note(&JOURNAL_EMPTY, !recover || start != 0, |judge| {
            (at(judge), "needs_recovery is set".to_owned())
        });
        if recover && start != 0 {
            let log = Log::new(&superblock, self.geometry.block_size, blocks, self.device_blocks());
            self.log(file, &log)?;
        }
        Ok(())
    }

    /// What the journal has that a reader must know, and its checksum. False where nothing more can
    /// be said.
    fn journal_features(
        &mut self,
        superblock: &jbd2::Superblock,
        at: impl Fn(&Self) -> image_model::Location,
    ) -> bool {
        let raw = &superblock.raw;
        let both = |a: bool, b: bool| a && b;
        let v2 = superblock.incompat(jbd2::incompat::CSUM_V2);
        let v3 = superblock.incompat(jbd2::incompat::CSUM_V3);
        let v1 = superblock.compat(jbd2::compat::CHECKSUM);
        let (incompat, ro_compat) = (raw.s_feature_incompat.get(), raw.s_feature_ro_compat.get());
        let unknown =
            superblock.is_v2() && (incompat & !jbd2::incompat::KNOWN != 0 || ro_compat != 0);
        let held = !unknown && !both(v2, v3) && !both(v1, v2 || v3);
        if !self.note(&JOURNAL_FEATURES, held, |judge| {
            let compat = raw.s_feature_compat;
            let message = format!(
                "s_feature_compat {compat:#x}, s_feature_incompat {incompat:#x}, \
                 s_feature_ro_compat {ro_compat:#x}: unknown, or not together"
            );
            (at(judge), message)
        }) {
            return false;
        }
        if !superblock.has_checksums() {
            return true;
        }
        let kind = raw.s_checksum_type;
        let (stored, computed) = (raw.s_checksum.get(), superblock.checksum());
        let held = kind == jbd2::Superblock::CRC32C && stored == computed;
        self.note(&JOURNAL_CHECKSUM, held, |judge| {
            let message = format!("type {kind}, stored {stored:#010x}, computed {computed:#010x}");
            (at(judge), message)
        })
    }

    /// The places in the journal, which has `blocks` blocks.
    fn journal_size(
        &mut self,
        superblock: &jbd2::Superblock,
        blocks: u32,
        at: impl Fn(&Self) -> image_model::Location,
    ) -> bool {
        let raw = &superblock.raw;
        let (size, len) = (raw.s_blocksize.get(), raw.s_maxlen.get());
        let first = raw.s_first.get();
        let fast = superblock.fast_commit_blocks();
        let least = jbd2::Superblock::MIN_BLOCKS;
        // e2fsck counts without a sign, and so more than there are may be kept for fast commits.
        let room = fast == 0 || len.wrapping_sub(fast) >= least;
        let held = size == self.geometry.block_size && len <= blocks && room;
        if !self.note(&JOURNAL_SIZE, held, |judge| {
            let message = format!(
                "{len} blocks of {size} bytes, {fast} for fast commits; the file has {blocks} of {}",
                judge.geometry.block_size
            );
            (at(judge), message)
        }) {
            return false;
        }
        let held = first != 0
            && u64::from(first) + u64::from(least) <= u64::from(len) + 1
            && u64::from(fast) + u64::from(first) < u64::from(len);
        self.note(&JOURNAL_ROOM, held, |judge| {
            let message =
                format!("the log from block {first} on, {fast} for fast commits, of {len}");
            (at(judge), message)
        })
    }

    /// Blocks of the device that the file system lies on.
    fn device_blocks(&self) -> u64 {
        self.region.len() / u64::from(self.geometry.block_size)
    }

    /// Walks a log as Linux will do.
    fn log(&mut self, file: &Metafile, log: &Log<'_>) -> Result<(), ReadError> {
        let (fs, runs) = (self.fs(), &file.runs);
        let mut read = |at: u64, bytes: &mut [u8]| -> Result<bool, ReadError> {
            let Some(block) = find(runs, at) else { return Ok(false) };
            fs.read("ext4 journal", block, bytes)?;
            Ok(true)
        };
        let mut faults = Vec::new();
        let mut fast = None;
        match log.scan(&mut read)? {
            Err(fault) => faults.push(fault),
            Ok(End { sequence, failed }) => {
                let whole = failed.is_none();
                faults.extend(failed);
                faults.extend(log.replay(&mut read, sequence)?);
                if whole {
                    let mut block = vec![0; self.geometry.block_size as usize];
                    let (area, size) = (log.fast_commits(), self.geometry.inode_size);
                    let fault = fast_commit::judge(&mut read, area, sequence, &mut block, size)?;
                    fast = Some(fault);
                }
            }
        }
        let at = |judge: &Self, fault: Fault| {
            let block = find(runs, fault.at).unwrap_or(Block(0));
            (judge.at_block("journal", file.ino, block), fault.message)
        };
        if faults.is_empty() {
            self.note(&JOURNAL_LOG, true, |judge| at(judge, Fault::new(0, String::new())));
        }
        for fault in faults {
            self.note(&JOURNAL_LOG, false, |judge| at(judge, fault));
        }
        if let Some(fault) = fast {
            self.note(&JOURNAL_FAST_COMMIT, fault.is_none(), |judge| {
                at(judge, fault.unwrap_or_else(|| Fault::new(0, String::new())))
            });
        }
        Ok(())
    }
}

/// True if a file has each of its first `blocks` blocks.
fn is_dense(runs: &[Run], blocks: u32) -> bool {
    let mut next = 0;
    for run in runs {
        if run.logical != next {
            break;
        }
        next += u64::from(run.len);
    }
    next >= u64::from(blocks)
}
