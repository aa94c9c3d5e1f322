//! Boot code that starts a disc which was copied to a disk: a master boot record, written by
//! `isohybrid` of SYSLINUX, or by xorriso with boot code of SYSLINUX or GRUB.
//!
//! Both kinds of boot code have 432 bytes; then follows where the boot image is.

mod known;

use std::mem::{offset_of, size_of};

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U32, U64},
    transmute,
};

use crate::{
    bytes::{ReadError, Region},
    mbr::raw::BootRecord,
};

pub use known::{Build, KNOWN, Known};

/// The first 440 bytes of the disc: what the master boot record has for code, as these programs
/// divide it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct BootCode {
    /// +0x000 Instructions and messages. The first 32 bytes do nothing in that of SYSLINUX: an
    /// Apple partition map may be there.
    pub code: [u8; 432],
    /// +0x1b0 Where the boot image is, in blocks of 512 bytes. SYSLINUX looks at the first 32 bits;
    /// for GRUB it is the block of its image that the boot code goes on with.
    pub address: U64,
}

const _: () = assert!(offset_of!(BootCode, address) == 0x1b0);
const _: () = assert!(size_of::<BootCode>() == offset_of!(BootRecord, unique_mbr_disk_signature));

/// Whose boot code it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Zeros.
    None,
    /// `isohdp*.bin` of SYSLINUX: loads ISOLINUX and knows it by its magic number.
    Syslinux,
    /// `boot_hybrid.img` of GRUB: loads the second part of GRUB's image for discs.
    Grub,
    /// Somebody else's.
    Other,
}

impl BootCode {
    /// The first bytes of a disc.
    pub fn read(disc: &Region) -> Result<Self, ReadError> {
        let bytes = disc.array::<{ size_of::<Self>() }>("boot code", 0)?;
        Ok(transmute!(bytes))
    }

    /// Whose it is: by its bytes, where it is known, or by its messages.
    pub fn kind(&self) -> Kind {
        match self.build() {
            Build::Is(name) | Build::Damaged(name, ..) => {
                let known = KNOWN.iter().find(|known| known.name == name);
                return known.map_or(Kind::Other, |known| known.kind);
            }
            Build::Unknown => {}
        }
        let says = |words: &[u8]| self.code.windows(words.len()).any(|part| part == words);
        if self.code.iter().all(|byte| *byte == 0) {
            Kind::None
        } else if says(b"isolinux.bin missing") || says(b"missing or corrupt.") {
            Kind::Syslinux
        } else if says(b"GRUB \0Geom\0") || says(b"Hard Disk\0Read\0 Error") {
            Kind::Grub
        } else {
            Kind::Other
        }
    }

    /// The sector of the disc at which the boot image starts; `None` where the address is in the
    /// middle of one.
    pub fn sector(&self, kind: Kind) -> Option<u64> {
        let block = match kind {
            Kind::Syslinux => u64::from(self.syslinux_address().get()),
            // It goes on with the second sector.
            _ => self.address.get().checked_sub(4)?,
        };
        block.is_multiple_of(4).then(|| block.checked_div(4))?
    }

    /// What SYSLINUX reads of the address.
    pub fn syslinux_address(&self) -> U32 {
        let [a, b, c, d, ..] = self.address.to_bytes();
        U32::from_bytes([a, b, c, d])
    }
}
