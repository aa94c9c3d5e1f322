//! FAT12, FAT16 and FAT32 file systems. Microsoft FAT Specification, August 2005, called FAT here.
//!
//! [`Geometry`] says where the parts of a file system are, [`Table`] which cluster follows which,
//! [`Slot`] what the 32 bytes of a directory are, and [`LongNames`] puts the long names together.
//! Any bytes parse; whether they make sense is for others to say.

mod directory;
mod geometry;
mod name;
pub mod raw;
mod table;

pub use directory::{LongFault, LongName, LongNames, Slot};
pub use geometry::{Cluster, Geometry, RootDirectory, Width};
pub use name::{decode_oem, short_checksum, short_name};
pub use table::{Entry, MAX_KEPT, Table};
