//! What can be said at the end: the label, lost clusters, flags and counts.

use std::mem::offset_of;

use image_formats::{
    bytes::ReadError,
    fat::{
        Cluster, Entry, Width, decode_oem,
        raw::{ExtendedBoot, FsInfo},
    },
};

use super::{
    DIRTY, DISK_ERROR, EXTENDED_BOOT, FREE_COUNT, Judge, LABEL, LABEL_TEXT, LOST_CLUSTERS,
    NEXT_FREE,
    boot::{Boot, at, sector},
    directories::{Found, Label},
    tables::{Tables, entry},
};
use crate::tree::display;

impl Judge<'_> {
    /// The label, as blkid prints it.
    pub(super) fn label(&mut self, boot: &Boot, root: Option<&Label>) -> String {
        let field = |field: usize, len| sector(boot.extended_at as usize + field, len);
        let ExtendedBoot { vol_lab: in_boot, boot_sig, .. } = boot.extended;
        let place = field(offset_of!(ExtendedBoot, boot_sig), 1);
        let written =
            self.expect(&EXTENDED_BOOT, boot_sig == ExtendedBoot::PRESENT, &place, || {
                format!(
                    "{boot_sig:#04x}, not {:#04x}: no label, no serial number",
                    ExtendedBoot::PRESENT
                )
            });
        let place = field(offset_of!(ExtendedBoot, vol_lab), 11);
        let named = root.map_or(ExtendedBoot::NO_NAME, |label| label.name);
        if written {
            self.expect(&LABEL, in_boot == named, &place, || {
                let root = match root {
                    Some(_) => format!("{:?}", shown(&named)),
                    None => "none".to_owned(),
                };
                format!(
                    "{:?} in the boot sector, and {root} in the root directory",
                    shown(&in_boot)
                )
            });
        }
        let place = root.map_or(place, |label| at("FAT directory entry", label.offset, 11));
        let label = match root {
            Some(label) => label.name,
            None if written => in_boot,
            None => ExtendedBoot::NO_NAME,
        };
        let bad = label.iter().find(|byte| !may_be_in_label(**byte));
        self.expect(&LABEL_TEXT, bad.is_none() && label[0] != b' ', &place, || {
            let why =
                if bad.is_some() { "has a character that may not" } else { "starts with a space" };
            format!("{:?} {why}", shown(&label))
        });
        if label == ExtendedBoot::NO_NAME { String::new() } else { shown(&label) }
    }

    pub(super) fn summary(
        &mut self,
        boot: &Boot,
        tables: &mut Tables,
        found: &Found,
    ) -> Result<(), ReadError> {
        // What was not followed to its end belongs to somebody all the same.
        if found.whole {
            self.lost_clusters(boot, tables, found)?;
        }
        self.flags(boot, tables)?;
        if let Some((info, at)) = &boot.fs_info {
            self.counts(boot, tables, info, *at);
        }
        Ok(())
    }

    fn lost_clusters(
        &mut self,
        boot: &Boot,
        tables: &Tables,
        found: &Found,
    ) -> Result<(), ReadError> {
        let lost = tables.in_use.saturating_sub(found.used.len());
        let mut first = None;
        if lost > 0 {
            tables.first.scan(&boot.geometry, |cluster, entry| {
                let in_use = !matches!(entry, Entry::Free | Entry::Bad);
                if first.is_none() && in_use && !found.used.contains(cluster) {
                    first = Some(cluster);
                }
            })?;
        }
        let first = first.unwrap_or(Cluster::FIRST);
        self.expect(&LOST_CLUSTERS, lost == 0, &entry(&boot.geometry, first), || {
            format!("{lost} clusters belong to no file, the first is {first}")
        });
        Ok(())
    }

    fn flags(&mut self, boot: &Boot, tables: &mut Tables) -> Result<(), ReadError> {
        let width = boot.geometry.width;
        let at = boot.extended_at as usize + offset_of!(ExtendedBoot, reserved1);
        // Set where all is well; FAT12 has no such bits.
        let value = match width {
            Width::Fat12 => width.mask(),
            Width::Fat16 | Width::Fat32 => tables.first.value(Cluster(1))?,
        };
        let top = width.mask() ^ width.mask() >> 1;
        for (check, in_boot, in_table, what) in [
            (&DIRTY, ExtendedBoot::DIRTY, top, "was not unmounted"),
            (&DISK_ERROR, ExtendedBoot::DISK_ERROR, top >> 1, "had errors of the disk"),
        ] {
            let holds = boot.extended.reserved1 & in_boot == 0;
            self.expect(check, holds, &sector(at, 1), || {
                format!("the boot sector says that the volume {what}")
            });
            let place = entry(&boot.geometry, Cluster(1));
            self.expect(check, value & in_table != 0, &place, || {
                format!("entry 1 of the FAT says that the volume {what}")
            });
        }
        Ok(())
    }

    fn counts(&mut self, boot: &Boot, tables: &Tables, info: &FsInfo, start: u64) {
        let field = |field: usize| at("FSInfo", start + field as u64, 4);
        let (count, free) = (info.free_count.get(), tables.free);
        let holds = count == FsInfo::UNKNOWN || count == free;
        self.expect(&FREE_COUNT, holds, &field(offset_of!(FsInfo, free_count)), || {
            format!("{count} clusters, and {free} are free")
        });
        let next = info.nxt_free.get();
        let holds = next == FsInfo::UNKNOWN || boot.geometry.contains(Cluster(next));
        self.expect(&NEXT_FREE, holds, &field(offset_of!(FsInfo, nxt_free)), || {
            format!("cluster {next}, and there are those from 2 to {}", boot.geometry.last())
        });
    }
}

/// The characters that fsck.fat lets a label have.
fn may_be_in_label(byte: u8) -> bool {
    byte >= 0x20 && !br#""*+,./:;<=>?[\]|"#.contains(&byte)
}

fn shown(label: &[u8; 11]) -> String {
    let text: String = label.iter().map(|byte| decode_oem(*byte)).collect();
    display(text.trim_end_matches(' ').as_bytes())
}
