//! A broken twin for every check: a good image with one edit.

use super::image::{CLUSTER, Edit, bomb, good, plain};

/// A check, and an image that fails it.
pub(crate) struct Twin {
    pub(crate) check: &'static str,
    /// Checks that cannot but fail with it.
    pub(crate) also: &'static [&'static str],
    image: fn() -> Edit,
    edit: fn(&mut Edit),
}

impl Twin {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut image = (self.image)();
        (self.edit)(&mut image);
        image.bytes
    }
}

const fn twin(check: &'static str, edit: fn(&mut Edit)) -> Twin {
    Twin { check, also: &[], image: good, edit }
}

fn set_incompatible(image: &mut Edit, bit: u32) {
    let features = &mut image.v3().incompatible_features;
    features.set(features.get() | 1 << bit);
}

pub(crate) const TWINS: &[Twin] = &[
    twin("qcow2-header", |e| e.bytes.truncate(100)),
    twin("qcow2-version", |e| e.header().version.set(4)),
    twin("qcow2-header-length", |e| e.v3().header_length.set(96)),
    twin("qcow2-cluster-bits", |e| e.header().cluster_bits.set(22)),
    twin("qcow2-size", |e| e.header().size.set((4 << 20) - 1)),
    twin("qcow2-backing-file", |e| {
        let at = e.end_of_extensions() + 8;
        e.bytes[at as usize..][..8].copy_from_slice(b"base.img");
        e.header().backing_file_offset.set(at);
        e.header().backing_file_size.set(8);
    }),
    twin("qcow2-encryption", |e| e.header().crypt_method.set(1)),
    twin("qcow2-dirty", |e| set_incompatible(e, 0)),
    twin("qcow2-corrupt", |e| set_incompatible(e, 1)),
    twin("qcow2-external-data", |e| {
        let features = &mut e.v3().autoclear_features;
        features.set(features.get() | 2);
    }),
    twin("qcow2-incompatible-features", |e| set_incompatible(e, 5)),
    twin("qcow2-autoclear", |e| e.v3().autoclear_features.set(1 << 63 | 1)),
    twin("qcow2-compression-type", |e| e.additional().compression_type = 1),
    twin("qcow2-refcount-order", |e| e.v3().refcount_order.set(7)),
    twin("qcow2-extensions", |e| {
        let at = e.end_of_extensions();
        e.set(at, 0xe279_2aca << 32 | CLUSTER);
    }),
    twin("qcow2-refcount-table", |e| e.header().refcount_table_clusters.set(0)),
    twin("qcow2-refcount-block", |e| {
        let at = e.refcount_table(511);
        e.set(at, 1);
    }),
    twin("qcow2-l1-table", |e| e.header().l1_size.set(1)),
    twin("qcow2-l1-entry", |e| {
        let at = e.l1(0);
        e.edit(at, |entry| entry | 1);
    }),
    twin("qcow2-l2-entry", |e| {
        let at = e.l2(0);
        e.edit(at, |entry| entry | 2);
    }),
    Twin {
        check: "qcow2-cut",
        also: &[],
        image: || plain("cluster_size=4096"),
        edit: |e| {
            let len = e.bytes.len();
            e.bytes.truncate(len - 1);
        },
    },
    twin("qcow2-compressed", |e| {
        // The last one of the file, by far.
        let at = e.l2(16);
        e.edit(at, |entry| entry | 0x100_0000_0000);
    }),
    twin("qcow2-compressed-data", |e| {
        let at = e.compressed(16);
        e.bytes[at] = 0xff;
    }),
    twin("qcow2-copied", |e| {
        let at = e.l2(3);
        e.edit(at, |entry| entry & !(1 << 63));
    }),
    twin("qcow2-overlap", |e| {
        // The L1 table of the disk is where the header says, and a cluster of it as well.
        let (at, table) = (e.l2(3), e.header().l1_table_offset.get());
        e.set(at, table | 1 << 63);
    }),
    twin("qcow2-refcount", |e| {
        let at = e.compressed(17) as u64;
        e.refcount(at, 1);
    }),
    Twin {
        check: "qcow2-leak",
        also: &[],
        image: || plain("cluster_size=4096"),
        edit: |e| {
            let at = e.l2(5);
            e.set(at, 0);
        },
    },
    twin("qcow2-snapshots", |e| {
        // The size of its disk is not told.
        let at = e.header().snapshots_offset.get();
        e.edit(at + 32, |sizes| sizes & !0xffff_ffff);
    }),
    twin("qcow2-bitmaps", |e| {
        let extension = e.extension(0x2385_2875);
        let directory = e.number(extension + 16);
        e.bytes[directory as usize + 16] = 2;
    }),
    twin("qcow2-unused-end", |e| e.bytes.extend([0; 2 * CLUSTER as usize])),
    Twin { check: "qcow2-limits", also: &[], image: bomb, edit: |_| () },
];
