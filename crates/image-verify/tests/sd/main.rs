//! The boot chain of SD cards, over small disks that are described in memory.

mod bytes;
mod image;
mod real;
#[path = "../support/registration.rs"]
mod registration;
mod twins;
