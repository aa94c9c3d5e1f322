//! The header of an x86 Linux kernel (`bzImage`). Linux, Documentation/arch/x86/boot.rst.

pub mod raw;

use zerocopy::FromBytes as _;

/// The header, read and not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The bytes.
    pub raw: raw::SetupHeader,
}

impl Header {
    /// The header in the first bytes of a file; `None` where there are too few of them.
    pub fn from_prefix(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(raw::SetupHeader::OFFSET..)?;
        raw::SetupHeader::read_from_prefix(bytes).ok().map(|(raw, _)| Self { raw })
    }

    /// True if both magics say that this is an x86 kernel with a boot protocol.
    pub fn has_magic(&self) -> bool {
        self.raw.boot_flag.get() == raw::SetupHeader::BOOT_FLAG
            && self.raw.header == raw::SetupHeader::MAGIC
    }

    /// The version of the boot protocol: 0x020c is 2.12.
    pub fn version(&self) -> u16 {
        self.raw.version.get()
    }

    /// How many bytes of the file the header speaks of: the setup code, and the protected-mode code
    /// in units of 16 bytes. Before 2.04 that number had 16 bits, and nobody could rely on it.
    pub fn len(&self) -> u64 {
        // 0 means 4.
        let setup = match self.raw.setup_sects {
            0 => 4,
            sectors => u64::from(sectors),
        };
        let setup = setup.saturating_add(1).saturating_mul(512);
        setup.saturating_add(u64::from(self.raw.syssize.get()).saturating_mul(16))
    }

    /// True if nothing belongs to the kernel, which cannot be: the setup code alone has a sector.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The longest command line that the kernel takes, without a zero after it: 255 before 2.06.
    pub fn cmdline_size(&self) -> u32 {
        if self.version() >= 0x0206 { self.raw.cmdline_size.get() } else { 255 }
    }

    /// True for a 64-bit kernel. Before 2.12 nothing tells it.
    pub fn is_64_bit(&self) -> Option<bool> {
        let flags = self.raw.xloadflags.get();
        (self.version() >= 0x020c).then_some(flags & raw::SetupHeader::XLF_KERNEL_64 != 0)
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::{FromZeros as _, IntoBytes as _};

    use super::*;

    #[test]
    fn the_header_is_at_0x1f1() {
        let mut header = raw::SetupHeader::new_zeroed();
        header.boot_flag.set(raw::SetupHeader::BOOT_FLAG);
        header.header = raw::SetupHeader::MAGIC;
        header.version.set(0x020f);
        header.cmdline_size.set(2047);
        header.xloadflags.set(raw::SetupHeader::XLF_KERNEL_64);
        header.syssize.set(2);
        let mut bytes = vec![0; raw::SetupHeader::OFFSET];
        bytes.extend(header.as_bytes());
        assert_eq!(&bytes[0x1fe..0x200], [0x55, 0xaa]);
        assert_eq!(&bytes[0x202..0x206], b"HdrS");
        let found = Header::from_prefix(&bytes).unwrap();
        assert!(found.has_magic() && found.is_64_bit() == Some(true) && !found.is_empty());
        assert_eq!((found.len(), found.cmdline_size()), (5 * 512 + 32, 2047));
        header.version.set(0x0205);
        header.setup_sects = 1;
        let old = Header { raw: header };
        assert_eq!((old.len(), old.cmdline_size(), old.is_64_bit()), (1024 + 32, 255, None));
        assert_eq!(Header::from_prefix(&bytes[..0x200]), None);
    }
}
