//! On-disk structures of images: read, not judged.
//!
//! Every byte that comes in is untrusted. The lints below make a panic on image bytes a build
//! error rather than a habit to remember.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used,
        reason = "tests may fail by panicking"
    )
)]

pub mod apm;
pub mod arm64_image;
pub mod bytes;
pub mod cpio;
pub mod docker;
pub mod el_torito;
pub mod elf;
pub mod ext4;
pub mod fat;
pub mod fdt;
pub mod gpt;
pub mod grub;
pub mod gzip;
pub mod iso9660;
pub mod isohybrid;
pub mod jbd2;
pub mod mbr;
pub mod nix;
pub mod ovf;
pub mod pe;
pub mod qcow2;
pub mod sqlite;
pub mod squashfs;
pub mod susp;
pub mod tar;
pub mod units;
pub mod vhd;
pub mod vmdk;
pub mod x86_image;
pub mod zstd;
