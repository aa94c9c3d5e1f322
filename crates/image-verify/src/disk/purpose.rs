//! What types of partitions promise about what is inside.

use std::fmt;

use image_formats::{gpt::Guid, mbr::raw::PartitionRecord};

use super::{Content, PartitionType};

/// EFI system partition. UEFI 2.10, §5.3.3.
const EFI_SYSTEM: Guid = Guid::new(0xc12a_7328, 0xf81f, 0x11d2, 0xba4b_00a0_c93e_c93b);
/// Microsoft basic data.
const BASIC_DATA: Guid = Guid::new(0xebd0_a0a2, 0xb9e5, 0x4433, 0x87c0_68b6_b726_99c7);
/// Linux swap, and LVM.
const LINUX_SWAP: Guid = Guid::new(0x0657_fd6d, 0xa4ab, 0x43c4, 0x84e5_0933_c84b_4f4f);
const LINUX_LVM: Guid = Guid::new(0xe6d6_d379, 0xf507, 0x44c2, 0xa23c_238f_2a3d_f928);
/// File systems of Linux: any; `/` of arm64 and x86-64; `/home`, `/srv`, `/usr` of arm64 and
/// x86-64, `/var`. Discoverable Partitions Specification.
const LINUX: [Guid; 8] = [
    Guid::new(0x0fc6_3daf, 0x8483, 0x4772, 0x8e79_3d69_d847_7de4),
    Guid::new(0xb921_b045, 0x1df0, 0x41c3, 0xaf44_4c6f_280d_3fae),
    Guid::new(0x4f68_bce3, 0xe8cd, 0x4db1, 0x96e7_fbca_f984_b709),
    Guid::new(0x933a_c7e1, 0x2eb4, 0x4f13, 0xb844_0e14_e2ae_f915),
    Guid::new(0x3b8f_8425, 0x20e0, 0x4f3b, 0x907f_1a25_a76f_98e8),
    Guid::new(0xb0e0_1050, 0xee5f, 0x4390, 0x949a_9101_b171_04e9),
    Guid::new(0x8484_680c, 0x9521, 0x48c6, 0x9c11_b072_0656_f69e),
    Guid::new(0x4d21_b016, 0xb534, 0x45c2, 0xa9fb_5c16_e091_fd2d),
];

/// What somebody who knows only the type expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// FAT, where firmware looks for programs.
    EfiSystem,
    /// FAT of any size: the types tell them apart, and nobody looks.
    Fat,
    /// FAT, exFAT or NTFS.
    Windows,
    /// A file system of Linux, or what one may be in.
    Linux,
    /// Swap space.
    Swap,
    /// A volume of LVM.
    Lvm,
    /// Nothing that could be told from outside.
    Any,
}

impl Purpose {
    pub(super) fn of(kind: PartitionType) -> Self {
        match kind {
            PartitionType::Mbr(kind) => match kind {
                PartitionRecord::EFI_SYSTEM => Self::EfiSystem,
                0x01 | 0x04 | 0x06 | 0x0b | 0x0c | 0x0e => Self::Fat,
                // The same, hidden from Windows.
                0x11 | 0x14 | 0x16 | 0x1b | 0x1c | 0x1e => Self::Fat,
                0x07 => Self::Windows,
                0x82 => Self::Swap,
                0x83 => Self::Linux,
                0x8e => Self::Lvm,
                _ => Self::Any,
            },
            PartitionType::Gpt { kind, .. } => match kind {
                EFI_SYSTEM => Self::EfiSystem,
                BASIC_DATA => Self::Windows,
                LINUX_SWAP => Self::Swap,
                LINUX_LVM => Self::Lvm,
                kind if LINUX.contains(&kind) => Self::Linux,
                _ => Self::Any,
            },
            PartitionType::None => Self::Any,
        }
    }

    /// True if `content` is nothing that would surprise.
    pub(super) fn allows(self, content: Content) -> bool {
        match self {
            Self::EfiSystem | Self::Fat => content == Content::Fat,
            Self::Windows => {
                matches!(content, Content::Fat | Content::Empty | Content::Other("exfat" | "ntfs"))
            }
            // Zeros are made a file system of at the first start.
            Self::Linux => match content {
                Content::Ext | Content::Iso9660 | Content::Squashfs | Content::Empty => true,
                Content::Other(name) => !matches!(name, "exfat" | "ntfs" | "swap"),
                Content::Fat | Content::Unknown => false,
            },
            // Swap that is encrypted anew at each start looks like noise.
            Self::Swap => matches!(
                content,
                Content::Other("swap" | "crypto_LUKS") | Content::Empty | Content::Unknown
            ),
            Self::Lvm => matches!(content, Content::Other("LVM2_member" | "crypto_LUKS")),
            Self::Any => true,
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EfiSystem => "an EFI system partition, FAT",
            Self::Fat => "FAT",
            Self::Windows => "FAT, exFAT or NTFS",
            Self::Linux => "a file system of Linux",
            Self::Swap => "swap",
            Self::Lvm => "LVM",
            Self::Any => "anything",
        })
    }
}
