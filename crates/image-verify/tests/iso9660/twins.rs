//! The broken twins: a good image with one edit, and the check that fails.

use super::image::*;

/// One broken image, the check that it is made for, and those that cannot but fail with it.
pub(crate) struct Twin {
    pub(crate) check: &'static str,
    pub(crate) also: &'static [&'static str],
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

const fn twin(check: &'static str, base: fn() -> &'static [u8], edit: fn(&mut Edit)) -> Twin {
    Twin { check, also: &[], base, edit }
}

/// A file, and the one after it.
const KERNEL: &[&[u8]] = &[b"KERNEL8.IMG;1"];
const README: &[&[u8]] = &[b"README.TXT;1"];
const EMPTY: &[&[u8]] = &[b"LEER"];
const FIRST: &[&[u8]] = &[b"MANY", b"FILE_N01.CON;1"];
const SECOND: &[&[u8]] = &[b"MANY", b"FILE_N02.CON;1"];

/// Where the name in a record starts.
const NAME: usize = 33;

pub(crate) const TWINS: &[Twin] = &[
    twin("iso9660-signature", nixos, |e| e.put(PVD + 1, b"XX001")),
    twin("iso9660-terminator", nixos, |e| {
        let at = e.descriptor(255);
        e.put(at + 1, b"XX001");
    }),
    twin("iso9660-descriptor-type", nixos, |e| {
        let at = e.descriptor(2);
        e.put(at, &[7]);
    }),
    twin("iso9660-descriptor-version", nixos, |e| e.put(PVD + 6, &[2])),
    twin("iso9660-primary", nixos, |e| e.put(PVD, &[0])),
    twin("iso9660-primary-copy", nixos, |e| {
        let (at, mut copy) = (e.descriptor(2), e.bytes[PVD..PVD + 2048].to_vec());
        copy[40] = b'N';
        e.put(at, &copy);
    }),
    twin("iso9660-block-size", nixos, |e| e.both(PVD + 128, 2, 3000)),
    twin("iso9660-both-endian", nixos, |e| e.put(PVD + 84, &[1])),
    twin("iso9660-volume-set", nixos, |e| e.both(PVD + 120, 2, 2)),
    twin("iso9660-structure-version", nixos, |e| e.put(PVD + 881, &[3])),
    twin("iso9660-unused", nixos, |e| e.put(PVD + 1395 + 7, &[9])),
    twin("iso9660-dates", nixos, |e| e.put(PVD + 813 + 4, b"13")),
    twin("iso9660-root", nixos, |e| e.put(PVD + 156 + NAME, &[1])),
    twin("iso9660-volume-size", nixos, |e| {
        let len = e.bytes.len() - 2048;
        e.bytes.truncate(len);
    }),
    Twin {
        also: &["iso9660-name-characters", "iso9660-name-length"],
        ..twin("iso9660-escape-sequences", enhanced, |e| {
            let at = e.descriptor(2);
            e.put(at + 6, &[1]);
            e.put(at + 881, &[1]);
        })
    },
    twin("iso9660-supplementary", nixos, |e| {
        let at = e.descriptor(2);
        e.both(at + 80, 4, 5);
    }),
    twin("joliet-label", nixos, |e| e.put(PVD + 40, b"N1XOS")),
    twin("iso9660-partition", nixos, |e| {
        let at = e.descriptor(2);
        e.put(at, &[3]);
        e.both(at + 72, 4, 0);
        e.both(at + 80, 4, u32::MAX);
    }),
    twin("iso9660-directory-length", rock, |e| {
        let at = e.record(EMPTY);
        let own = e.content(at);
        e.field(at, LEN, 2000);
        e.field(own, LEN, 2000);
    }),
    twin("iso9660-directory-shared", rock, |e| {
        let (at, root) = (e.record(EMPTY), e.u32(PVD + 158));
        e.field(at, EXTENT, root);
    }),
    twin("iso9660-record", rock, |e| {
        let at = e.content(e.record(EMPTY));
        let parent = at + usize::from(e.bytes[at]);
        let next = parent + usize::from(e.bytes[parent]);
        e.put(next, &[20]);
    }),
    twin("iso9660-padding", rock, |e| {
        let at = e.content(e.record(EMPTY));
        e.put(at + 2000, &[20]);
    }),
    twin("iso9660-self", rock, |e| {
        let at = e.content(e.record(EMPTY));
        e.field(at, LEN, 4096);
    }),
    twin("iso9660-parent", rock, |e| {
        let at = e.content(e.record(EMPTY));
        let parent = at + usize::from(e.bytes[at]);
        e.field(parent, LEN, 2048);
    }),
    twin("iso9660-recording-date", rock, |e| {
        let at = e.record(KERNEL);
        e.put(at + 18 + 1, &[13]);
    }),
    twin("iso9660-flags", rock, |e| {
        let at = e.record(KERNEL);
        e.put(at + 25, &[0x20]);
    }),
    twin("iso9660-interleave", rock, |e| {
        let at = e.record(KERNEL);
        e.put(at + 26, &[1, 1]);
    }),
    twin("iso9660-volume-sequence", rock, |e| {
        let at = e.record(KERNEL);
        e.field(at, SEQUENCE, 2);
    }),
    twin("iso9660-extent", rock, |e| {
        let at = e.record(KERNEL);
        e.field(at, EXTENT, 1 << 20);
    }),
    twin("iso9660-volume-space", rock, |e| {
        let (at, blocks) = (e.record(README), e.bytes.len() / 2048);
        e.bytes.extend([0; 2048]);
        e.field(at, EXTENT, blocks as u32);
    }),
    twin("iso9660-multi-extent", plain, |e| {
        let at = e.record(FIRST);
        e.field(at, LEN, 2048);
        e.put(at + 25, &[0x80]);
    }),
    twin("iso9660-section-size", plain, |e| {
        let (first, second) = (e.record(FIRST), e.record(SECOND));
        e.put(first + 25, &[0x80]);
        e.put(second + NAME, b"FILE_N01.CON;1");
    }),
    Twin {
        also: &["iso9660-name-characters"],
        ..twin("iso9660-name", plain, |e| {
            let at = e.record(KERNEL);
            e.put(at + NAME + 10, b"/");
        })
    },
    twin("iso9660-duplicate-name", plain, |e| {
        let at = e.record(SECOND);
        e.put(at + NAME, b"FILE_N01.CON;1");
    }),
    twin("iso9660-order", plain, |e| {
        let at = e.record(FIRST);
        e.put(at + NAME, b"FILE_NZZ.CON;1");
    }),
    twin("iso9660-depth", deep, |_| ()),
    Twin {
        also: &["iso9660-name-characters"],
        ..twin("iso9660-name-length", untranslated, |_| ())
    },
    twin("iso9660-name-characters", lower, |_| ()),
    twin("iso9660-path-table", nixos, |e| e.put(PVD + 140, &[0, 0, 1, 0])),
    twin("iso9660-path-table-big", nixos, |e| e.put(PVD + 148, &[0, 1, 0, 0])),
    twin("iso9660-path-table-copy", nixos, |e| {
        let little = e.u32(PVD + 140);
        e.put(PVD + 152, &little.to_be_bytes());
    }),
    twin("iso9660-path-table-order", rock, |e| {
        let (first, second) = (e.path_entries(b"LEER"), e.path_entries(b"LONG"));
        for (first, second) in first.into_iter().zip(second) {
            let [a, b] = [first, second].map(|at| e.bytes[at..at + 12].to_vec());
            e.put(first, &b);
            e.put(second, &a);
        }
    }),
    twin("iso9660-path-table-tree", rock, |e| {
        for at in e.path_entries(b"LEER") {
            e.put(at + 2, &[0x12, 0x34, 0x34, 0x12]);
        }
    }),
    twin("iso9660-overlap", rock, |e| {
        let kernel = e.u32(e.record(KERNEL) + EXTENT.0);
        let at = e.record(README);
        e.field(at, EXTENT, kernel + 1);
    }),
    Twin {
        also: &["joliet-names"],
        ..twin("joliet-files", nixos, |e| {
            let at = e.record_below(e.descriptor(2), &[&utf16("readme.txt")]);
            e.field(at, LEN, 0);
        })
    },
    twin("joliet-names", nixos, |e| {
        let at = e.record_below(e.descriptor(2), &[&utf16("readme.txt")]);
        e.put(at + NAME, &utf16("readme.txx"));
    }),
    twin("joliet-name-characters", nixos, |e| {
        let at = e.record_below(e.descriptor(2), &[&utf16("readme.txt")]);
        e.put(at + NAME, &utf16("readme.tx?"));
    }),
    twin("joliet-long-names", joliet_long, |_| ()),
    twin("iso9660-limits", nixos, |e| e.both(PVD + 132, 4, 1 << 28)),
];
