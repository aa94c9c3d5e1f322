//! The boot chain of discs, over small discs that are described in memory.

#[path = "../sd/bytes.rs"]
#[expect(dead_code, reason = "this test needs only a part of it")]
mod bytes;

#[path = "../support/entries.rs"]
mod entries;
mod image;
mod real;
#[path = "../support/registration.rs"]
mod registration;
mod twins;
mod ways;
