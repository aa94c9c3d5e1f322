//! Images that QEMU makes, and edits of them.

use std::{fs, sync::OnceLock};

use image_formats::qcow2::{
    ClusterSize, L2Entry,
    raw::{AdditionalFields, Header, HeaderV3},
};
use zerocopy::FromBytes as _;

use super::folder::Folder;

impl Folder {
    /// Makes an image of this size with these options, and lets qemu-io do something to it.
    pub(crate) fn make(&self, options: &str, size: &str, commands: &[&str]) -> String {
        let path = self.path("disk.qcow2").to_str().unwrap().to_owned();
        self.succeed(&["qemu-img", "create", "-q", "-f", "qcow2", "-o", options, &path, size]);
        self.write_to(&path, commands);
        path
    }

    pub(crate) fn write_to(&self, path: &str, commands: &[&str]) {
        for command in commands {
            let output = self.succeed(&["qemu-io", "-f", "qcow2", "-c", command, path]);
            let words = String::from_utf8_lossy(&output.stdout);
            assert!(!words.contains("failed"), "{command}: {words}");
        }
    }
}

/// Bytes of a cluster of the small images.
pub(crate) const CLUSTER: u64 = 4096;

/// An image with all that there is: data, compressed data, zeros, a snapshot and a bitmap.
pub(crate) fn good() -> Edit {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = BYTES.get_or_init(|| {
        let folder = Folder::new();
        let path = folder.make(
            "cluster_size=4096",
            "4M",
            &[
                "write -P 1 0 12k",
                "write -c -P 2 64k 4k",
                "write -c -P 3 68k 4k",
                "write -z 100k 8k",
            ],
        );
        folder.succeed(&["qemu-img", "snapshot", "-c", "before", &path]);
        // Into one cluster of its own and one of the snapshot, and far away.
        folder.write_to(&path, &["write -P 4 8k 8k", "write -P 5 3M 4k"]);
        folder.succeed(&["qemu-img", "bitmap", "--add", "-g", "512", &path, "changed"]);
        folder.write_to(&path, &["write -P 6 3M 512"]);
        fs::read(path).unwrap()
    });
    Edit { bytes: bytes.clone() }
}

/// An image without snapshots and bitmaps.
pub(crate) fn plain(options: &str) -> Edit {
    let folder = Folder::new();
    let path = folder.make(options, "4M", &["write -P 1 0 64k", "write -P 2 3M 64k"]);
    Edit { bytes: fs::read(path).unwrap() }
}

/// An image of 10 MiB in which 6 GiB are compressed: one cluster, and all lead to it.
pub(crate) fn bomb() -> Edit {
    const CLUSTERS: u16 = 3000;
    let folder = Folder::new();
    let path = folder.make("cluster_size=2M", "6G", &["write -c -P 1 0 2M"]);
    let mut image = Edit { bytes: fs::read(path).unwrap() };
    let first = image.l2(0);
    let entry = image.number(first);
    for cluster in 0..CLUSTERS {
        image.set(first + 8 * u64::from(cluster), entry);
    }
    let data = image.compressed(0) as u64;
    image.refcount(data, CLUSTERS);
    image
}

/// An image that is edited.
#[derive(Clone)]
pub(crate) struct Edit {
    pub(crate) bytes: Vec<u8>,
}

impl Edit {
    pub(crate) fn header(&mut self) -> &mut Header {
        Header::mut_from_bytes(&mut self.bytes[..72]).unwrap()
    }

    pub(crate) fn v3(&mut self) -> &mut HeaderV3 {
        HeaderV3::mut_from_bytes(&mut self.bytes[72..104]).unwrap()
    }

    pub(crate) fn additional(&mut self) -> &mut AdditionalFields {
        AdditionalFields::mut_from_bytes(&mut self.bytes[104..112]).unwrap()
    }

    pub(crate) fn number(&self, at: u64) -> u64 {
        u64::from_be_bytes(self.bytes[at as usize..][..8].try_into().unwrap())
    }

    pub(crate) fn set(&mut self, at: u64, number: u64) {
        self.bytes[at as usize..][..8].copy_from_slice(&number.to_be_bytes());
    }

    pub(crate) fn edit(&mut self, at: u64, edit: impl Fn(u64) -> u64) {
        self.set(at, edit(self.number(at)));
    }

    /// The bytes of an entry of the active L1 table.
    pub(crate) fn l1(&mut self, index: u64) -> u64 {
        self.header().l1_table_offset.get() + 8 * index
    }

    /// The bytes of the entry for a cluster of the disk.
    pub(crate) fn l2(&mut self, cluster: u64) -> u64 {
        let size = u64::from(self.header().cluster_bits.get());
        let per_table = (1 << size) / 8;
        let l1 = self.l1(cluster / per_table);
        (self.number(l1) & 0x00ff_ffff_ffff_fe00) + 8 * (cluster % per_table)
    }

    /// Where a compressed cluster of the disk is.
    pub(crate) fn compressed(&mut self, cluster: u64) -> usize {
        let at = self.l2(cluster);
        let entry = L2Entry(self.number(at));
        assert!(entry.is_compressed());
        let size = ClusterSize::new(self.header().cluster_bits.get()).unwrap();
        entry.compressed(size).offset as usize
    }

    /// The bytes of an entry of the refcount table.
    pub(crate) fn refcount_table(&mut self, index: u64) -> u64 {
        self.header().refcount_table_offset.get() + 8 * index
    }

    /// Sets the refcount of 16 bits of the cluster with this byte.
    pub(crate) fn refcount(&mut self, byte: u64, count: u16) {
        let table = self.refcount_table(0);
        let at = self.number(table) + 2 * (byte >> self.header().cluster_bits.get());
        self.bytes[at as usize..][..2].copy_from_slice(&count.to_be_bytes());
    }

    /// The data of a header extension.
    pub(crate) fn extension(&mut self, kind: u32) -> u64 {
        let mut at = u64::from(self.v3().header_length.get());
        loop {
            let number = self.number(at);
            if (number >> 32) as u32 == kind {
                return at + 8;
            }
            assert_ne!(number, 0, "no such extension");
            at += 8 + (number & 0xffff_ffff).next_multiple_of(8);
        }
    }

    /// The end of the header extensions: 8 zeros, and free room behind them.
    pub(crate) fn end_of_extensions(&mut self) -> u64 {
        let mut at = u64::from(self.v3().header_length.get());
        while self.number(at) != 0 {
            at += 8 + (self.number(at) & 0xffff_ffff).next_multiple_of(8);
        }
        at
    }
}
