//! Multi-mount protection.

use std::mem::offset_of;

use zerocopy::{FromBytes as _, IntoBytes as _};

use super::{checksum, raw};

/// The block of the multi-mount protection, read and not judged.
#[derive(Clone, Copy, Debug)]
pub struct Mmp {
    /// The bytes.
    pub raw: raw::Mmp,
}

impl Mmp {
    /// `EXT4_MMP_MAGIC`.
    pub const MAGIC: u32 = 0x004d_4d50;
    /// `EXT4_MMP_SEQ_CLEAN`: nobody has it mounted.
    pub const CLEAN: u32 = 0xff4d_4d50;
    /// `EXT4_MMP_SEQ_FSCK`: a check is running.
    pub const FSCK: u32 = 0xe24d_4d50;
    /// `EXT4_MMP_SEQ_MAX`: the last number that a host uses which has it mounted.
    pub const LAST: u32 = 0xe24d_4d4f;

    /// What is in `bytes`: the block. `None` where they are too few.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        raw::Mmp::read_from_prefix(bytes).ok().map(|(raw, _)| Self { raw })
    }

    /// What the checksum should be: `seed` is that of all checksums of the file system.
    pub fn checksum(&self, seed: u32) -> u32 {
        let covered = self.raw.as_bytes().get(..offset_of!(raw::Mmp, mmp_checksum));
        checksum::crc32c(seed, covered.unwrap_or_default())
    }

    /// The name of the host that wrote it, up to its first NUL.
    pub fn host(&self) -> &[u8] {
        self.raw.mmp_nodename.split(|byte| *byte == 0).next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_ends_the_structure() {
        let mut bytes = vec![0; 2048];
        bytes[16..19].copy_from_slice(b"pi4");
        let sum = Mmp::new(&bytes).unwrap().checksum(7);
        bytes[1020..].fill(9);
        let mmp = Mmp::new(&bytes).unwrap();
        assert_eq!((mmp.checksum(7), mmp.host()), (sum, &b"pi4"[..]));
        assert!(Mmp::new(&bytes[..1023]).is_none());
    }
}
