//! ISO 9660 file systems. ECMA-119, 4th edition; Joliet Specification, May 1995.
//!
//! [`Descriptors`] are what says where everything is, [`Record`] is an entry of a directory with
//! its system use area, [`PathTable`] the list of all directories. Any bytes parse; whether they
//! make sense is for others to say.

mod date;
mod descriptor;
mod name;
mod path_table;
pub mod raw;
mod record;

pub use date::Moment;
pub use descriptor::{Block, BlockSize, Descriptor, Descriptors, Joliet, MAX_DESCRIPTORS};
pub use name::{joliet_name, primary_name, trimmed};
pub use path_table::{ByteOrder, PathTable, PathTableEntry, PathTableFault};
pub use record::{MAX_RECORD, Record, RecordFault, Records, SECTOR};
