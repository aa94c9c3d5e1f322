//! The header of an arm64 Linux kernel. Linux, Documentation/arch/arm64/booting.rst. U-Boot has the
//! same header where it is built with `CONFIG_LINUX_KERNEL_IMAGE_HEADER`.

pub mod raw;

use zerocopy::FromBytes as _;

/// The header, read and not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The bytes.
    pub raw: raw::Header,
}

impl Header {
    /// The header in the first bytes of a file; `None` where there are too few of them.
    pub fn from_prefix(bytes: &[u8]) -> Option<Self> {
        raw::Header::read_from_prefix(bytes).ok().map(|(raw, _)| Self { raw })
    }

    /// True if the magic says that this is an arm64 kernel.
    pub fn has_magic(&self) -> bool {
        self.raw.magic == raw::Header::MAGIC
    }

    /// True if the kernel runs little-endian, as all firmware starts it.
    pub fn is_little_endian(&self) -> bool {
        self.raw.flags.get() & raw::Header::FLAG_BIG_ENDIAN == 0
    }
}

/// True if the first instruction is an unconditional branch of AArch64 (`b`): how U-Boot and other
/// bare programs begin that have no header.
pub fn starts_with_branch(bytes: &[u8]) -> bool {
    const MASK: u32 = 0xfc00_0000;
    const B: u32 = 0x1400_0000;
    let word = bytes.first_chunk().map(|word| u32::from_le_bytes(*word));
    word.is_some_and(|word| word & MASK == B)
}

#[cfg(test)]
mod tests {
    use zerocopy::IntoBytes as _;

    use super::*;

    #[test]
    fn the_magic_is_at_0x38() {
        let mut header = raw::Header::read_from_bytes(&[0; raw::Header::SIZE]).unwrap();
        header.magic = raw::Header::MAGIC;
        let bytes = header.as_bytes();
        assert_eq!(&bytes[0x38..0x3c], b"ARM\x64");
        let header = Header::from_prefix(bytes).unwrap();
        assert!(header.has_magic() && header.is_little_endian());
        assert_eq!(Header::from_prefix(&bytes[..63]), None);
    }

    /// The first words of U-Boot for the Pi 3 (`b reset`), of x86 code and of text.
    #[test]
    fn a_branch_is_told_from_other_words() {
        assert!(starts_with_branch(&0x1400_000a_u32.to_le_bytes()));
        assert!(!starts_with_branch(b"\xeb\x3c\x90\x90"));
        assert!(!starts_with_branch(b"text"));
        assert!(!starts_with_branch(b"\x0a\0\0"));
    }
}
