//! The machine: processes, files, signals, and the only clock.
//!
//! No other crate of the workspace starts a process, renames a file into place, reacts to a
//! signal or asks what time it is.

pub mod disk;
pub mod epoch;
pub mod interrupt;
pub mod place;
pub mod publish;
pub mod sparse;
pub mod stopwatch;
pub mod tool;
pub mod user;
pub mod workdir;
