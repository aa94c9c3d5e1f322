//! The boot chain of SD cards, over small disks that are described in memory.

mod bytes;
#[path = "../support/entries.rs"]
mod entries;
mod image;
mod real;
#[path = "../support/registration.rs"]
mod registration;
mod twins;
