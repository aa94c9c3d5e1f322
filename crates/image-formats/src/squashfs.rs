//! SquashFS 4.0 file systems. Linux, fs/squashfs and Documentation/filesystems/squashfs.rst.
//!
//! [`raw`] holds the bits, [`Decoder`] takes the compression off, [`MetadataReader`] puts metadata
//! blocks together, and [`Inode`] and [`DirectoryList`] are what is in them. Any bytes parse;
//! whether they make sense is for others to say.

mod codec;
mod directory;
mod inode;
mod lzo;
mod metadata;
pub mod raw;
mod table;

pub use codec::{Compressor, DecodeError, Decoder};
pub use directory::{DirectoryItem, DirectoryList, ListFault};
pub use inode::{Body, Directory, File, FileType, Inode};
pub use metadata::{
    Cursor, METADATA_SIZE, MetadataBlock, MetadataError, MetadataHeader, MetadataReader,
    MetadataRef,
};
pub use table::{DataSize, LookupTable};
