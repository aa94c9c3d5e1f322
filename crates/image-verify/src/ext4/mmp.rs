//! Multi-mount protection: e2fsck's `e2fsck_check_mmp`, and `ext4_multi_mount_protect` of Linux.

use image_formats::{
    bytes::ReadError,
    ext4::{Block, Mmp, incompat, ro_compat},
};

use super::{Judge, checks::*, structure};

/// `EXT4_MMP_MAX_UPDATE_INTERVAL`, in seconds.
const MAX_INTERVAL: u16 = 300;

impl Judge<'_, '_> {
    /// Judges the block of the multi-mount protection; that it is one has been told.
    pub(super) fn mmp(&mut self) -> Result<(), ReadError> {
        let raw = &self.superblock.raw;
        let block = Block(raw.s_mmp_block.get());
        let (low, high) = (u64::from(self.geometry.first_data_block), self.geometry.blocks_count);
        if !self.superblock.incompat(incompat::MMP) || block.0 <= low || block.0 >= high {
            return Ok(());
        }
        let mut bytes = vec![0; self.geometry.block_size as usize];
        self.read("ext4 MMP block", block, &mut bytes)?;
        let Some(mmp) = Mmp::new(&bytes) else { return Ok(()) };
        let at = |judge: &Self| {
            let name = format!("{}, ext4 MMP block", judge.name);
            let len = u64::from(judge.geometry.block_size);
            structure(judge.region, name, judge.geometry.offset(block), len)
        };
        let magic = mmp.raw.mmp_magic.get();
        let (stored, computed) =
            (mmp.raw.mmp_checksum.get(), mmp.checksum(self.superblock.checksum_seed()));
        let sums = self.superblock.ro_compat(ro_compat::METADATA_CSUM);
        let held = magic == Mmp::MAGIC && (!sums || stored == computed);
        if !self.note(&MMP, held, |judge| {
            let message = format!(
                "magic {magic:#010x}, not 0x004d4d50, or stored {stored:#010x}, computed \
                 {computed:#010x}"
            );
            (at(judge), message)
        }) {
            return Ok(());
        }
        let sequence = mmp.raw.mmp_seq.get();
        let host = || String::from_utf8_lossy(mmp.host()).into_owned();
        self.note(&MMP_CHECKED, sequence == Mmp::CLEAN || sequence <= Mmp::LAST, |judge| {
            (at(judge), format!("mmp_seq {sequence:#010x}, by host {:?}", host()))
        });
        self.note(&MMP_IN_USE, sequence > Mmp::LAST, |judge| {
            (at(judge), format!("mmp_seq {sequence:#010x}, by host {:?}", host()))
        });
        let intervals = [raw.s_mmp_interval.get(), mmp.raw.mmp_check_interval.get()];
        self.note(&MMP_INTERVAL, intervals.iter().all(|time| *time <= MAX_INTERVAL), |judge| {
            let [update, check] = intervals;
            let message = format!("s_mmp_interval {update}, mmp_check_interval {check} seconds");
            (at(judge), message)
        });
        Ok(())
    }
}
