//! Builds of boot code that are known byte for byte, by their checksums: boot code has none of its
//! own, and a machine whose boot code is damaged says nothing.

use std::ops::Range;

use super::{BootCode, Kind};

/// How many bytes at the start are written over where there is an Apple partition map.
const HEAD: usize = 32;

/// Length of the parts that have a checksum, in bytes.
const PART: usize = 50;

/// A build of boot code.
#[derive(Debug)]
pub struct Known {
    /// Its file, and whose it is.
    pub name: &'static str,
    /// Whose it is.
    pub kind: Kind,
    /// CRC-32 of its first 32 bytes, as they are without and with an Apple partition map.
    heads: [u32; 2],
    /// CRC-32 of each 50 bytes that follow.
    parts: [u32; 8],
}

/// 33 ED, 30 times 90; and `ER`, the size of blocks as if it were 2048, and what xorriso writes
/// behind.
const SYSLINUX_HEADS: [u32; 2] = [0x3fc9_0bd7, 0x254a_0e5a];

/// The builds of SYSLINUX 6.04, which differ in how they find the disk; and that of GRUB 2.06 to
/// 2.12, as Debian ships them.
pub const KNOWN: &[Known] = &[
    Known {
        name: "isohdpfx.bin of SYSLINUX 6.04",
        kind: Kind::Syslinux,
        heads: SYSLINUX_HEADS,
        parts: [
            0x817c_a476,
            0x658d_4373,
            0x99e2_c193,
            0xf8d4_9f28,
            0x4a7a_a8c6,
            0x3cde_d360,
            0xe1bd_a838,
            0x1f87_7c1e,
        ],
    },
    Known {
        name: "isohdppx.bin of SYSLINUX 6.04",
        kind: Kind::Syslinux,
        heads: SYSLINUX_HEADS,
        parts: [
            0x3921_3586,
            0x52ca_fcf8,
            0x3383_d202,
            0xc22d_7587,
            0x464b_ad8e,
            0x5b0f_0b19,
            0xd616_a596,
            0x1f87_7c1e,
        ],
    },
    Known {
        name: "isohdpfx_c.bin of SYSLINUX 6.04",
        kind: Kind::Syslinux,
        heads: SYSLINUX_HEADS,
        parts: [
            0x3993_b97d,
            0x0734_088f,
            0x35df_3515,
            0x2a89_7b25,
            0x30b8_e139,
            0x8d64_9f86,
            0xc548_4519,
            0x1f87_7c1e,
        ],
    },
    Known {
        name: "isohdpfx_f.bin of SYSLINUX 6.04",
        kind: Kind::Syslinux,
        heads: SYSLINUX_HEADS,
        parts: [
            0x9791_3205,
            0x6703_5ccd,
            0x28b7_473c,
            0x22b6_935b,
            0x98c5_7e80,
            0xaa1a_0871,
            0x39c2_f95f,
            0x1f87_7c1e,
        ],
    },
    Known {
        name: "isohdppx_c.bin of SYSLINUX 6.04",
        kind: Kind::Syslinux,
        heads: SYSLINUX_HEADS,
        parts: [
            0x3921_3586,
            0x532a_c38d,
            0xf418_535f,
            0x1da4_89bc,
            0x5ced_8ef2,
            0x7317_b1ec,
            0x2d4f_1a9d,
            0x2876_0eca,
        ],
    },
    Known {
        name: "isohdppx_f.bin of SYSLINUX 6.04",
        kind: Kind::Syslinux,
        heads: SYSLINUX_HEADS,
        parts: [
            0x3921_3586,
            0x4c0b_9553,
            0x7f31_b501,
            0xfbfc_3db1,
            0x7696_ced9,
            0x93fa_6330,
            0x48b3_558e,
            0x1f87_7c1e,
        ],
    },
    Known {
        name: "boot_hybrid.img of GRUB 2.06 to 2.12",
        kind: Kind::Grub,
        heads: [0xfbde_9350, 0x0953_714a],
        parts: [
            0x668c_59be,
            0x6751_9cd7,
            0xc885_c912,
            0x8af5_69b3,
            0xa643_7735,
            0x0ef4_4883,
            0x11a3_1cac,
            0xb1c4_10ff,
        ],
    },
];

/// Parts that may differ in one build that is damaged: two builds share less than that.
const MAX_DAMAGED: usize = 2;

/// How boot code compares with the builds that are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Build {
    /// It is this one.
    Is(&'static str),
    /// It is this one but for some bytes, which are in this range.
    Damaged(&'static str, Range<u64>),
    /// It is none of them.
    Unknown,
}

impl BootCode {
    /// Compares it with the builds that are known.
    pub fn build(&self) -> Build {
        let (head, rest) = self.code.split_at(HEAD);
        // The size of blocks may be another one.
        let head = match head {
            [b'E', b'R', _, _, behind @ ..] => crc32fast::hash(&[b"ER\x08\x00", behind].concat()),
            head => crc32fast::hash(head),
        };
        let sums: Vec<u32> = rest.chunks(PART).map(crc32fast::hash).collect();
        let mut nearest = None;
        for known in KNOWN {
            let parts = known.parts.iter().zip(&sums).enumerate();
            let wrong: Vec<usize> = parts.filter(|(_, (a, b))| a != b).map(|(i, _)| i).collect();
            let is_head = known.heads.contains(&head);
            match (wrong.as_slice(), is_head) {
                ([], true) => return Build::Is(known.name),
                (wrong, is_head) if wrong.len() <= MAX_DAMAGED => {
                    let start = |index: usize| index.saturating_mul(PART).saturating_add(HEAD);
                    let first = wrong.first().map_or(0, |index| start(*index));
                    let first = if is_head { first } else { 0 };
                    let end = wrong.last().map_or(HEAD, |last| start(last.saturating_add(1)));
                    let offset = |at: usize| u64::try_from(at).unwrap_or(u64::MAX);
                    let range = offset(first)..offset(end);
                    nearest = Some(Build::Damaged(known.name, range));
                }
                _ => {}
            }
        }
        nearest.unwrap_or(Build::Unknown)
    }
}
