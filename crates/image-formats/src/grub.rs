//! What `grub-mkimage` builds into GRUB: the section `mods` of its program for UEFI. GRUB,
//! `include/grub/kernel.h`.

pub mod raw;

use zerocopy::FromBytes as _;

use crate::bytes::{ReadError, Region};

/// GRUB has some hundred modules.
const MAX_MODULES: usize = 4096;

/// The longest prefix, and the longest configuration, that are read.
const MAX_TEXT: u64 = 1 << 20;

/// What is built in, but for the modules themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modules {
    /// The folder of its configuration: `/EFI/BOOT`, or `(cd0)/boot/grub`.
    pub prefix: Option<Vec<u8>>,
    /// A configuration that is read first.
    pub config: Option<Vec<u8>>,
    /// There is an archive with files.
    pub memdisk: bool,
}

impl Modules {
    /// Reads the section, as far as its headers lead.
    pub fn read(section: &Region) -> Result<Self, ReadError> {
        let mut found = Self::default();
        let info: raw::ModuleInfo64 =
            zerocopy::transmute!(section.array::<{ raw::ModuleInfo64::SIZE }>("GRUB modules", 0)?);
        if info.magic != raw::ModuleInfo64::MAGIC {
            return Ok(found);
        }
        let mut at = info.offset.get();
        let end = info.size.get().min(section.len());
        // Bounded by MAX_MODULES.
        for _ in 0..MAX_MODULES {
            if at >= end {
                break;
            }
            let bytes = section.array::<{ raw::ModuleHeader::SIZE }>("GRUB module", at)?;
            let Ok(header) = raw::ModuleHeader::read_from_bytes(&bytes) else { break };
            let size = u64::from(header.size.get());
            let Some(len) = size.checked_sub(raw::ModuleHeader::LEN) else { break };
            let text = || {
                let at = at.saturating_add(raw::ModuleHeader::LEN);
                let bytes = section.bytes("GRUB module", at, len, MAX_TEXT)?;
                // It ends with zeros.
                let text = bytes.iter().take_while(|byte| **byte != 0);
                Ok::<_, ReadError>(text.copied().collect::<Vec<u8>>())
            };
            match header.kind.get() {
                raw::ModuleHeader::PREFIX => found.prefix = Some(text()?),
                raw::ModuleHeader::CONFIG => found.config = Some(text()?),
                raw::ModuleHeader::MEMDISK => found.memdisk = true,
                _ => {}
            }
            at = at.saturating_add(size);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::{FromZeros as _, IntoBytes as _};

    use super::*;

    fn section(modules: &[(u32, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (kind, content) in modules {
            let mut header = raw::ModuleHeader::new_zeroed();
            header.kind.set(*kind);
            header.size.set((raw::ModuleHeader::SIZE + content.len()) as u32);
            body.extend(header.as_bytes());
            body.extend(*content);
        }
        let mut info = raw::ModuleInfo64::new_zeroed();
        info.magic = raw::ModuleInfo64::MAGIC;
        info.offset.set(raw::ModuleInfo64::SIZE as u64);
        info.size.set((raw::ModuleInfo64::SIZE + body.len()) as u64);
        [info.as_bytes(), &body].concat()
    }

    #[test]
    fn what_is_built_in_is_read() {
        let bytes = section(&[(0, b"\x7fELF"), (3, b"/EFI/BOOT\0\0\0"), (2, b"set a=b\n\0")]);
        let found = Modules::read(&Region::from(bytes)).unwrap();
        assert_eq!(found.prefix.as_deref(), Some(&b"/EFI/BOOT"[..]));
        assert_eq!(found.config.as_deref(), Some(&b"set a=b\n"[..]));
        assert!(!found.memdisk);
        let found = Modules::read(&Region::from(section(&[(1, b"tar")]))).unwrap();
        assert!(found.memdisk);
    }

    /// Every cut and every flipped bit gives facts or an error, and no panic.
    #[test]
    fn damage_is_an_error_or_a_fact() {
        let whole = section(&[(3, b"/a\0"), (0, b"x")]);
        for len in 0..whole.len() {
            let _ = Modules::read(&Region::from(whole[..len].to_vec()));
        }
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let _ = Modules::read(&Region::from(bytes));
        }
    }
}
