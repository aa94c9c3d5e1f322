//! Disks of virtual machines as QEMU keeps them: `docs/interop/qcow2` in QEMU, versions 2 and 3.
//!
//! [`raw`] holds the bits, [`Extensions`] lists what follows the header, [`L1Entry`], [`L2Entry`]
//! and [`TableEntry`] are the entries of the tables, [`Refcounts`] those of a refcount block, and
//! [`Decoder`] takes the compression off a cluster. Any bytes parse; whether they make sense is for
//! others to say.

mod codec;
mod entry;
mod extension;
pub mod raw;
mod refcount;

pub use codec::{CompressionType, DecodeError, Decoder};
pub use entry::{CompressedCluster, Entries, L1Entry, L2Entry, Subclusters, TableEntry};
pub use extension::{Extension, ExtensionFault, ExtensionType, Extensions};
pub use refcount::{RefcountOrder, Refcounts};

/// Size of a cluster: the unit of which a file is made, and the disk in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterSize {
    bits: u32,
}

impl ClusterSize {
    /// The one with this logarithm; `None` where nobody reads such clusters: they have 512 bytes to
    /// 2 MiB.
    pub fn new(bits: u32) -> Option<Self> {
        (9..=21).contains(&bits).then_some(Self { bits })
    }

    /// Its logarithm.
    pub fn bits(self) -> u32 {
        self.bits
    }

    /// In bytes.
    pub fn bytes(self) -> u64 {
        1_u64.wrapping_shl(self.bits)
    }

    /// Which cluster this byte is in.
    pub fn index(self, at: u64) -> u64 {
        at.wrapping_shr(self.bits)
    }

    /// Where this cluster begins; saturates, as only a hostile number does.
    pub fn offset(self, index: u64) -> u64 {
        index.saturating_mul(self.bytes())
    }

    /// How many clusters so many bytes take.
    pub fn count(self, len: u64) -> u64 {
        len.div_ceil(self.bytes())
    }

    /// True if a cluster begins at this byte.
    pub fn starts_at(self, at: u64) -> bool {
        at.trailing_zeros() >= self.bits
    }
}
