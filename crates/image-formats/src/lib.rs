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

pub mod bytes;
pub mod elf;
pub mod gzip;
pub mod tar;
pub mod units;
