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

const FILE: &str = "file-a.txt";

pub(crate) const TWINS: &[Twin] = &[
    twin("rock-ridge-sp", xorriso, |e| e.put_in(".", "SP", 4, &[0xbf])),
    twin("rock-ridge-er", xorriso, |e| e.put_in(".", "ER", 8, b"S")),
    twin("rock-ridge-entry-length", xorriso, |e| e.put_in(FILE, "NM", 2, &[3])),
    twin("rock-ridge-entry-size", xorriso, |e| {
        let flags = e.bytes[e.find(FILE, "TF") + 4];
        e.put_in(FILE, "TF", 4, &[flags | 0x10]);
    }),
    twin("rock-ridge-entry-rest", xorriso, |e| e.put_in(FILE, "TF", 4, &[2])),
    twin("rock-ridge-entry-version", xorriso, |e| e.put_in(FILE, "NM", 3, &[2])),
    twin("rock-ridge-both-endian", xorriso, |e| e.put_in(FILE, "PX", 24, &[1])),
    twin("rock-ridge-repeated", xorriso, |e| {
        let twice = [entry("RE", b""), entry("RE", b"")].concat();
        e.replace("names/.", "TF", &twice);
    }),
    twin("rock-ridge-kinds", genisoimage, |e| e.put_in(FILE, "RR", 4, &[0x81])),
    twin("rock-ridge-continuation", xorriso, |e| {
        e.go_on(FILE, 0, b"");
        e.put_in(FILE, "CE", 4, &both(0xffff_ffff));
    }),
    twin("rock-ridge-continuation-block", xorriso, |e| e.go_on(FILE, 2048 - 20, b"")),
    twin("rock-ridge-continuation-loop", xorriso, |e| {
        let block = e.extent("room");
        e.go_on(FILE, 100, b"");
        let ce = ce(block, 200, 28);
        e.put_in(FILE, "CE", 4, &ce[4..]);
        e.put(block * 2048 + 200, &ce);
    }),
    Twin {
        also: &["rock-ridge-continuation-block"],
        ..twin("rock-ridge-continuation-overlap", xorriso, |e| {
            let block = e.extent("room");
            let ce = ce(block, 0, 16384);
            let rest = [&ce[..], &entry("ST", b"")].concat();
            e.go_on(FILE, 0, &rest);
            e.put_in(FILE, "CE", 4, &ce[4..]);
        })
    },
    twin("rock-ridge-continuation-once", xorriso, |e| {
        let block = e.extent("room");
        let two = [ce(block, 600, 4), ce(block, 700, 4)].concat();
        e.go_on(FILE, 100, &two);
        for at in [600, 700] {
            e.put(block * 2048 + at, &entry("ST", b""));
        }
    }),
    twin("rock-ridge-px", xorriso, |e| e.forget(FILE, "PX")),
    twin("rock-ridge-file-type", xorriso, |e| e.put_in(FILE, "PX", 4, &both(0o40644))),
    twin("rock-ridge-mode", xorriso, |e| e.put_in(FILE, "PX", 4, &both(0o1_100_444))),
    twin("rock-ridge-links", xorriso, |e| e.put_in(FILE, "PX", 12, &both(0))),
    twin("rock-ridge-serial", newest, |e| {
        let other = e.find("file-b.txt", "PX") + 36;
        let serial = e.bytes[other..][..8].to_vec();
        e.put_in(FILE, "PX", 36, &serial);
    }),
    twin("rock-ridge-own-record", xorriso, |e| e.put_in("names/.", "PX", 4, &both(0o40700))),
    twin("rock-ridge-device", xorriso, |e| e.forget("null", "PN")),
    twin("rock-ridge-symlink", xorriso, |e| e.forget("absolute", "SL")),
    twin("rock-ridge-target", xorriso, |e| e.put_in("absolute", "SL", 5, &[0x10])),
    twin("rock-ridge-target-text", xorriso, |e| e.put_in("absolute", "SL", 9, &[0])),
    twin("rock-ridge-name-pieces", xorriso, |e| e.put_in(FILE, "NM", 4, &[1])),
    twin("rock-ridge-name", xorriso, |e| e.put_in(FILE, "NM", 6, b"/")),
    twin("rock-ridge-name-length", xorriso, |e| {
        e.put_in(FILE, "NM", 4, &[1]);
        let piece = |flags: u8| entry("NM", &[&[flags][..], &[b'x'; 128]].concat());
        e.go_on(FILE, 0, &[piece(1), piece(0)].concat());
    }),
    twin("rock-ridge-long-name", xorriso, |e| {
        e.put_in(FILE, "NM", 4, &[1]);
        let last = entry("NM", &[&[0][..], &[b'x'; 244]].concat());
        e.go_on(FILE, 0, &last);
    }),
    twin("rock-ridge-duplicate", xorriso, |e| e.put_in(FILE, "NM", 5, b"file-b.txt")),
    Twin {
        // Nothing else leads to it then.
        also: &["rock-ridge-relocated"],
        ..twin("rock-ridge-child-link", relocated, |e| {
            let file = e.extent(FILE);
            e.put_in("1/2/3/4/5/6/7/8", "CL", 4, &both(file));
        })
    },
    twin("rock-ridge-parent-link", relocated, |e| {
        let other = e.extent("1/2");
        e.put_in("moved/8/..", "PL", 4, &both(other));
    }),
    twin("rock-ridge-relocated", relocated, |e| e.forget("moved/8", "RE")),
    twin("rock-ridge-time", xorriso, |e| e.put_in(FILE, "TF", 6, &[13])),
    twin("rock-ridge-zisofs", xorriso, |e| {
        let zf = entry("ZF", &[&b"pz\x04\x0e"[..], &both(100)].concat());
        e.replace(FILE, "TF", &zf);
    }),
];
