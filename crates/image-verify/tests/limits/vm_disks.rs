//! Disks of virtual machines that try to cost more than they may.

use std::{sync::Arc, time::Instant};

use image_formats::{
    bytes::Region,
    qcow2::raw::{Header, HeaderV3},
    vhd::raw::{DynamicHeader, Footer, Geometry},
};
use image_model::VerificationReport;
use image_verify::{qcow2, vhd};
use zerocopy::{FromZeros as _, IntoBytes as _};

use crate::{
    LESS, alone, finds,
    limit::LIMIT,
    limited,
    made::{Made, SECTOR},
};

/// Three bytes for each of the most clusters that are judged, and clusters for each thread.
const QCOW2: usize = (3 << 26) / LESS as usize + (80 << 20);

/// A number for each of the most blocks that are judged.
const VHD: usize = (4 << 24) + (16 << 20);

/// The most clusters that are judged.
const CLUSTERS: u64 = (1 << 26) / LESS;

const COPIED: u64 = 1 << 63;

/// Where the parts of an image are, in clusters.
struct Layout {
    bits: u32,
    l1: u64,
    l1_entries: u32,
    /// At cluster 1.
    table_clusters: u32,
    size: u64,
    snapshots: u32,
}

/// The header.
fn header(layout: &Layout) -> Vec<u8> {
    let mut header = Header::new_zeroed();
    header.magic = Header::MAGIC;
    header.version.set(3);
    header.cluster_bits.set(layout.bits);
    header.size.set(layout.size);
    header.l1_size.set(layout.l1_entries);
    header.l1_table_offset.set(layout.l1 << layout.bits);
    header.refcount_table_offset.set(1 << layout.bits);
    header.refcount_table_clusters.set(layout.table_clusters);
    header.nb_snapshots.set(layout.snapshots);
    let mut v3 = HeaderV3::new_zeroed();
    v3.refcount_order.set(4);
    v3.header_length.set(104);
    [header.as_bytes(), v3.as_bytes()].concat()
}

/// Entries that lead to clusters one after the other.
fn entries(bits: u32, first: u64, count: u64, flags: u64) -> Vec<u8> {
    (0..count).flat_map(|index| ((first + index) << bits | flags).to_be_bytes()).collect()
}

fn judge_qcow2(made: Made) -> VerificationReport {
    let region = Region::whole(Arc::new(made)).unwrap();
    limited(QCOW2, || qcow2::check(&region).unwrap())
}

/// 4 TiB, and all of it is there: nothing is wrong with that.
#[test]
fn a_disk_of_four_tebibytes() {
    let _alone = alone();
    const BITS: u32 = 16;
    let (blocks, tables) = (CLUSTERS / 32768, CLUSTERS / 8192);
    let (l1, l2) = (2 + blocks, 3 + blocks);
    let data = l2 + tables;
    let clusters = CLUSTERS - data;
    let layout = Layout {
        bits: BITS,
        l1,
        l1_entries: tables as u32,
        table_clusters: 1,
        size: clusters << BITS,
        snapshots: 0,
    };
    let mut made = Made::new(CLUSTERS << BITS);
    made.pieces = vec![
        (0, header(&layout)),
        (1 << BITS, entries(BITS, 2, blocks, 0)),
        (l1 << BITS, entries(BITS, l2, tables, COPIED)),
    ];
    let first = (2_u64 << BITS) / SECTOR as u64;
    made.rule = Some((
        first,
        Box::new(move |number, sector| {
            let at = (first + number) * SECTOR as u64;
            let cluster = at >> BITS;
            if cluster < l1 {
                sector.as_chunks_mut::<2>().0.fill([0, 1]);
            } else if (l2..data).contains(&cluster) {
                let first = (at - (l2 << BITS)) / 8;
                for (guest, entry) in (first..clusters).zip(sector.as_chunks_mut::<8>().0) {
                    *entry = ((data + guest) << BITS | COPIED).to_be_bytes();
                }
            }
        }),
    ));
    let report = judge_qcow2(made);
    assert_eq!(report.findings, []);
    assert_eq!(report.totals.not_reached, 0);
}

/// More clusters than are judged, in a file that is not longer than a disk.
#[test]
fn too_many_clusters() {
    let _alone = alone();
    let layout = Layout { bits: 9, l1: 2, l1_entries: 0, table_clusters: 1, size: 0, snapshots: 0 };
    let mut made = Made::new((1 << 26 << 9) + 1);
    made.pieces = vec![(0, header(&layout))];
    finds(&judge_qcow2(made), "qcow2-limits");
}

/// All entries of the largest L1 table lead to one L2 table, and all of its entries to one cluster.
#[test]
fn everything_leads_to_one_cluster() {
    let _alone = alone();
    const BITS: u32 = 21;
    let entries_of = |count: u64, entry: u64| entry.to_be_bytes().repeat(count as usize);
    let layout = Layout {
        bits: BITS,
        l1: 3,
        l1_entries: 4 << 20,
        table_clusters: 1,
        size: 1 << 50,
        snapshots: 0,
    };
    // Standard clusters, and compressed ones, which would be decompressed.
    for entry in [30 << BITS, 30 << BITS | 1 << 62] {
        let mut made = Made::new(40 << BITS);
        made.pieces = vec![
            (0, header(&layout)),
            (1 << BITS, entries_of(1, 2 << BITS)),
            (3 << BITS, entries_of(4 << 20, 20 << BITS)),
            (20 << BITS, entries_of(1 << 18, entry)),
        ];
        finds(&judge_qcow2(made), "qcow2-refcount");
    }
}

/// All snapshots have the same L1 table, and all entries of the refcount table the same block.
#[test]
fn everything_is_claimed_again() {
    let _alone = alone();
    const BITS: u32 = 21;
    let layout = Layout {
        bits: BITS,
        l1: 10,
        l1_entries: 1,
        table_clusters: 4,
        size: 512,
        snapshots: 65536,
    };
    let mut first = header(&layout);
    first[64..72].copy_from_slice(&(20_u64 << BITS).to_be_bytes());
    let mut snapshot = [0; 56];
    snapshot[..8].copy_from_slice(&(30_u64 << BITS).to_be_bytes());
    snapshot[8..12].copy_from_slice(&(4_u32 << 20).to_be_bytes());
    snapshot[36..40].copy_from_slice(&16_u32.to_be_bytes());
    let mut made = Made::new(64 << BITS);
    made.pieces = vec![
        (0, first),
        (1 << BITS, (8_u64 << BITS).to_be_bytes().repeat(1 << 20)),
        (20 << BITS, snapshot.repeat(65536)),
        (30 << BITS, (50_u64 << BITS).to_be_bytes().repeat(4 << 20)),
    ];
    finds(&judge_qcow2(made), "qcow2-overlap");
}

/// Each of the most snapshots has the longest L1 table, at one place, in the smallest clusters:
/// four thousand million claims, if all were made.
#[test]
fn long_tables_at_one_place() {
    let _alone = alone();
    const BITS: u32 = 9;
    let layout =
        Layout { bits: BITS, l1: 3, l1_entries: 1, table_clusters: 1, size: 512, snapshots: 65536 };
    let mut first = header(&layout);
    first[64..72].copy_from_slice(&(16_u64 << BITS).to_be_bytes());
    let mut snapshot = [0; 56];
    snapshot[..8].copy_from_slice(&(16_u64 << 20).to_be_bytes());
    snapshot[8..12].copy_from_slice(&(4_u32 << 20).to_be_bytes());
    snapshot[36..40].copy_from_slice(&16_u32.to_be_bytes());
    let mut made = Made::new(64 << 20);
    made.pieces = vec![
        (0, first),
        (1 << BITS, (2_u64 << BITS).to_be_bytes().to_vec()),
        (16 << BITS, snapshot.repeat(65536)),
    ];
    let start = Instant::now();
    finds(&judge_qcow2(made), "qcow2-overlap");
    let took = start.elapsed();
    assert!(took < LIMIT, "{took:?}");
}

/// A dynamic disk with so many entries in its table, of which `rule` makes sectors of 512.
fn dynamic(entries: u32, block_size: u32, len: u64) -> Made {
    let mut footer = Footer::new_zeroed();
    footer.cookie = Footer::COOKIE;
    footer.features.set(Footer::RESERVED);
    footer.file_format_version.set(Footer::VERSION);
    footer.data_offset.set(512);
    footer.current_size.set(u64::from(entries) * u64::from(block_size));
    footer.disk_geometry = Geometry::of(footer.current_size.get() / 512);
    footer.disk_type.set(3);
    footer.checksum.set(footer.computed_checksum());
    let mut header = DynamicHeader::new_zeroed();
    header.cookie = DynamicHeader::COOKIE;
    header.table_offset.set(2048);
    header.header_version.set(DynamicHeader::VERSION);
    header.max_table_entries.set(entries);
    header.block_size.set(block_size);
    header.checksum.set(header.computed_checksum());
    let mut made = Made::new(len);
    made.pieces = vec![
        (0, footer.as_bytes().to_vec()),
        (512, header.as_bytes().to_vec()),
        (len - 512, footer.as_bytes().to_vec()),
    ];
    made
}

fn judge_vhd(made: Made) -> VerificationReport {
    let region = Region::whole(Arc::new(made)).unwrap();
    limited(VHD, || vhd::check(&region).unwrap())
}

/// As many blocks as there may be, each of two sectors, of which the bitmaps say that nothing is
/// there.
#[test]
fn as_many_blocks_as_there_may_be() {
    let _alone = alone();
    let entries = (1 << 24) / LESS as u32;
    let table = 4 * u64::from(entries);
    let first = (2048 + table).next_multiple_of(2048) / 512;
    let blocks = u64::from(entries);
    let mut made = dynamic(entries, 512, (first + 2 * blocks + 1) * 512);
    made.rule = Some((
        1,
        Box::new(move |number, sector| {
            let entry = number * (SECTOR / 4) as u64;
            for (block, entry) in (entry..blocks).zip(sector.as_chunks_mut::<4>().0) {
                *entry = ((first + 2 * block) as u32).to_be_bytes();
            }
        }),
    ));
    assert_eq!(judge_vhd(made).findings, []);
}

/// All entries lead to one block, and more than are judged to none.
#[test]
fn all_blocks_are_one() {
    let _alone = alone();
    let entries = (1 << 24) / LESS as u32;
    let mut made = dynamic(entries, 2 << 20, 1 << 30);
    let sector = (128_u32 << 20) / 512;
    let end = 4 * u64::from(entries) / SECTOR as u64;
    made.rule = Some((
        1,
        Box::new(move |number, bytes| {
            if number < end {
                bytes.as_chunks_mut::<4>().0.fill(sector.to_be_bytes());
            }
        }),
    ));
    finds(&judge_vhd(made), "vhd-block-overlap");
    finds(&judge_vhd(dynamic((1 << 24) + 1, 4096, 1 << 30)), "vhd-limits");
}
