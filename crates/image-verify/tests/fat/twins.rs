//! The broken twins: a good image with one edit, and the check that fails.

use super::image::*;

/// What `fsck.fat -n` says of a twin.
pub(crate) enum Fsck {
    /// It finds fault with it too.
    Knows,
    /// It does not, and why.
    Silent(&'static str),
}

/// One broken image, the check that it is made for, and those that cannot but fail with it.
pub(crate) struct Twin {
    pub(crate) check: &'static str,
    pub(crate) also: &'static [&'static str],
    pub(crate) fsck: Fsck,
    base: fn() -> &'static [u8],
    edit: fn(&mut Edit),
}

impl Twin {
    pub(crate) fn image(&self) -> Vec<u8> {
        let mut edit = Edit::new((self.base)());
        (self.edit)(&mut edit);
        edit.bytes
    }
}

const fn knows(check: &'static str, base: fn() -> &'static [u8], edit: fn(&mut Edit)) -> Twin {
    Twin { check, also: &[], fsck: Fsck::Knows, base, edit }
}

const fn silent(
    check: &'static str,
    why: &'static str,
    base: fn() -> &'static [u8],
    edit: fn(&mut Edit),
) -> Twin {
    Twin { check, also: &[], fsck: Fsck::Silent(why), base, edit }
}

const NOT_READ: &str = "it does not look at this";
const LEFT: &str = "it says so, and leaves it as it is";
const LINUX_TOO: &str = "it reads the volume as Linux does, which does not mind";

pub(crate) const TWINS: &[Twin] = &[
    knows("fat-boot-sector", fat16, |e| e.bytes.truncate(100)),
    silent("fat-signature", LINUX_TOO, fat16, |e| e.put(510, &[0])),
    silent("fat-jump", LINUX_TOO, fat16, |e| e.put(0, &[0])),
    knows("fat-sector-size", fat16, |e| e.put(11, &500_u16.to_le_bytes())),
    knows("fat-cluster-size", fat16, |e| e.put(13, &[3])),
    knows("fat-reserved-sectors", fat16, |e| e.put(14, &[0, 0])),
    knows("fat-count", fat16, |e| e.put(16, &[3])),
    silent("fat-media", "it does not look at this; Linux does not mount it", fat16, |e| {
        e.put(21, &[0xf1]);
        e.set(0, 0xfff1);
    }),
    silent("fat-total-sectors", "it reads the other field only if one is 0", fat16, |e| {
        e.put(32, &61440_u32.to_le_bytes());
    }),
    knows("fat-data", fat16, |e| e.put(19, &100_u16.to_le_bytes())),
    knows("fat-size", fat16, |e| e.put(19, &61500_u16.to_le_bytes())),
    silent("fat-last-sector", "it looks at pairs of sectors", fat16, |e| {
        e.put(19, &61441_u16.to_le_bytes());
    }),
    knows("fat-root-entries", fat16, |e| e.put(17, &500_u16.to_le_bytes())),
    silent("fat-no-root-entries", "it warns, and does not count that", fat32, |e| {
        let sectors = u32::from_le_bytes(e.bytes[32..36].try_into().unwrap());
        e.boot(17, &16_u16.to_le_bytes());
        e.boot(32, &(sectors + 1).to_le_bytes());
        // Room for them, before the first cluster.
        let data = e.cluster(2);
        e.bytes.splice(data..data, [0; 512]);
    }),
    knows("fat-cluster-count", fat32, |e| {
        let sectors = [e.bytes[36], e.bytes[37]];
        e.boot(22, &sectors);
    }),
    silent("fat-small-fat32", "it warns, and does not count that", small_fat32, |_| ()),
    knows("fat-table-size", fat16, |e| e.put(22, &59_u16.to_le_bytes())),
    silent("fat-version", NOT_READ, fat32, |e| e.boot(42, &[1])),
    silent("fat-mirroring", LINUX_TOO, fat32, |e| e.boot(40, &[0x80])),
    knows("fat-root-cluster", fat32, |e| e.boot(44, &1_u32.to_le_bytes())),
    knows("fat-backup-boot-place", fat32, |e| e.boot(50, &[0, 0])),
    silent("fat-backup-boot", "it shows the difference, and calls it harmless", fat32, |e| {
        e.put(6 * 512 + 100, &[0xaa]);
    }),
    knows("fat-fsinfo", fat32, |e| e.put(512 + 484, b"x")),
    knows("fat-first-entry", fat16, |e| e.set(0, 0x0ff8)),
    silent("fat-media-entry", NOT_READ, fat16, |e| e.set(0, 0xfff0)),
    silent("fat-second-entry", NOT_READ, fat16, |e| e.set(1, 0xc123)),
    knows("fat-copies", fat16, |e| {
        let free = e.free().next().unwrap();
        e.set_in(1, free, 5);
    }),
    knows("fat-link-range", fat16, |e| {
        let last = *e.chain(b"KERNEL8 IMG").last().unwrap();
        e.set(last, 0xfff0);
    }),
    knows("fat-first-cluster", fat16, |e| e.change(b"CONFIG  TXT", |f| f.fst_clus_lo.set(1))),
    knows("fat-cycle", fat16, |e| {
        let chain = e.chain(b"KERNEL8 IMG");
        e.set(*chain.last().unwrap(), chain[1]);
    }),
    knows("fat-cross-link", fat16, |e| {
        let last = *e.chain(b"KERNEL8 IMG").last().unwrap();
        e.change(b"BOOTAA64EFI", |f| f.fst_clus_lo.set(last as u16));
    }),
    knows("fat-chain-end", fat16, |e| {
        let last = *e.chain(b"KERNEL8 IMG").last().unwrap();
        e.set(last, e.free().next().unwrap());
    }),
    knows("fat-file-size", fat16, |e| e.change(b"CONFIG  TXT", |f| f.file_size.set(5000))),
    knows("fat-directory-size", fat16, |e| e.change(b"OVERLAYS   ", |f| f.file_size.set(1))),
    silent("fat-directory-length", NOT_READ, fat16, |e| {
        let mut last = *e.chain(b"OVERLAYS   ").last().unwrap();
        for next in e.free().take(1100) {
            e.set(last, next);
            last = next;
        }
        e.set(last, e.end());
    }),
    knows("fat-dot-entries", fat16, |e| {
        let at = e.cluster(e.first(b"DEEP       ")) + 32 + 26;
        e.put(at, &[9, 9]);
    }),
    silent("fat-end-mark", LINUX_TOO, fat16, |e| {
        let at = e.root_end() + 32;
        e.put(at, &entry(b"AFTER   END", 0x20, 0));
    }),
    silent("fat-attributes", NOT_READ, fat16, |e| e.change(b"CONFIG  TXT", |f| f.attr |= 0x40)),
    silent("fat-label-entry", "it takes the first one", fat16, |e| {
        let at = e.root_end();
        e.put(at, &entry(b"AGAIN      ", 0x08, 0));
    }),
    knows("fat-short-name", fat16, |e| e.change(b"CONFIG  TXT", |f| f.name[3] = b'*')),
    silent("fat-short-name-set", NOT_READ, fat16, |e| {
        e.change(b"CONFIG  TXT", |f| f.name[3] = b'f');
    }),
    silent("fat-device-name", NOT_READ, fat16, |e| {
        e.change(b"EMPTY      ", |f| f.name = *b"NUL     TXT");
    }),
    knows("fat-long-name-orphan", fat16, |e| {
        // It has no clusters, which would be lost.
        e.change(b"OVERLA~1DTB", |f| f.name[0] = 0xe5);
    }),
    silent("fat-long-name-order", LEFT, fat16, |e| {
        let at = e.entry(b"BCM271~1DTB") - 32;
        e.put(at, &[2]);
    }),
    silent("fat-long-name-checksum", LEFT, fat16, |e| {
        e.change(b"BCM271~1DTB", |f| f.name[0] = b'A');
    }),
    knows("fat-long-name-fields", fat16, |e| {
        let at = e.entry(b"BCM271~1DTB") - 32 + 12;
        e.put(at, &[1]);
    }),
    silent("fat-long-name-padding", NOT_READ, fat16, |e| {
        let at = e.entry(b"BCM271~1DTB") - 64 + 30;
        e.put(at, b"x");
    }),
    silent("fat-long-name-text", NOT_READ, fat16, |e| {
        let at = e.entry(b"BCM271~1DTB") - 32 + 1;
        e.put(at, b"?");
    }),
    knows("fat-duplicate-name", fat16, |e| {
        e.change(b"EMPTY      ", |f| f.name = *b"KERNEL8 IMG");
    }),
    silent("fat-duplicate-long-name", NOT_READ, fat16, |e| {
        // overlay-number-1.dtbo is another overlay-number-0.dtbo.
        let at = e.entry(b"OVERLA~2DTB") - 64 + 5;
        e.put(at, b"0");
    }),
    silent("fat-depth", "its stack is deep", fat16, |e| {
        let (mut parent, mut slot) = (0, e.root_end());
        for cluster in e.free().take(129) {
            e.set(cluster, e.end());
            e.put(slot, &entry(b"DOWN       ", 0x10, cluster));
            let at = e.cluster(cluster);
            e.put(at, &entry(b".          ", 0x10, cluster));
            e.put(at + 32, &entry(b"..         ", 0x10, parent));
            (parent, slot) = (cluster, at + 64);
        }
    }),
    Twin {
        also: &["fat-directory-length"],
        ..silent("fat-limits", "it has none", fat32, |e| {
            let mut last = *e.chain(b"OVERLAYS   ").last().unwrap();
            // A million slots, of which 16 make a cluster.
            for next in e.free().take(1 << 16) {
                e.set(last, next);
                last = next;
            }
            e.set(last, e.end());
            e.put(512 + 488, &u32::MAX.to_le_bytes());
        })
    },
    knows("fat-extended-boot", fat16, |e| e.put(38, &[0x28])),
    knows("fat-label", fat16, |e| e.put(43, b"OTHER   ")),
    knows("fat-label-text", fat16, |e| {
        e.put(43, b"FIRM?ARE");
        e.change(b"FIRMWARE   ", |f| f.name = *b"FIRM?ARE   ");
    }),
    knows("fat-lost-clusters", fat12, |e| {
        let free = e.free().next().unwrap();
        e.set(free, e.end());
    }),
    knows("fat-dirty", fat16, |e| e.put(37, &[1])),
    silent("fat-disk-error", NOT_READ, fat16, |e| e.put(37, &[2])),
    knows("fat-free-count", fat32, |e| e.put(512 + 488, &[1, 2])),
    silent("fat-next-free", NOT_READ, fat32, |e| e.put(512 + 492, &1_u32.to_le_bytes())),
];
