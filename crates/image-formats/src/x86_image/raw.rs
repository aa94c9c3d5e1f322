//! Bits as they lie in the file. Linux, Documentation/arch/x86/boot.rst, "The Real-Mode Kernel
//! Header".

use std::mem::{offset_of, size_of};

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32, U64},
};

/// `struct setup_header`, as far as protocol 2.12. Offsets are those in the file.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct SetupHeader {
    /// +0x1f1 `setup_sects`: sectors of the setup code, without the first; 0 means 4.
    pub setup_sects: u8,
    /// +0x1f2 `root_flags`.
    pub root_flags: U16,
    /// +0x1f4 `syssize`: the protected-mode code, in units of 16 bytes.
    pub syssize: U32,
    /// +0x1f8 `ram_size`, `vid_mode` and `root_dev`.
    pub obsolete: [u8; 6],
    /// +0x1fe `boot_flag`: [`BOOT_FLAG`](Self::BOOT_FLAG).
    pub boot_flag: U16,
    /// +0x200 `jump`: an instruction over the header.
    pub jump: U16,
    /// +0x202 `header`: [`MAGIC`](Self::MAGIC).
    pub header: [u8; 4],
    /// +0x206 `version`: of the boot protocol, major in the upper byte.
    pub version: U16,
    /// +0x208 `realmode_swtch`, `start_sys_seg`, `kernel_version` and `type_of_loader`.
    pub loader: [u8; 9],
    /// +0x211 `loadflags`: bit 0, the protected-mode code is loaded to 1 MiB.
    pub loadflags: u8,
    /// +0x212 `setup_move_size` to `bootsect_kludge`.
    pub addresses: [u8; 18],
    /// +0x224 `heap_end_ptr` and two bytes of the loader's version.
    pub heap: U32,
    /// +0x228 `cmd_line_ptr`.
    pub cmd_line_ptr: U32,
    /// +0x22c `initrd_addr_max`.
    pub initrd_addr_max: U32,
    /// +0x230 `kernel_alignment`.
    pub kernel_alignment: U32,
    /// +0x234 `relocatable_kernel`.
    pub relocatable_kernel: u8,
    /// +0x235 `min_alignment`.
    pub min_alignment: u8,
    /// +0x236 `xloadflags`: bit 0 [`XLF_KERNEL_64`](Self::XLF_KERNEL_64).
    pub xloadflags: U16,
    /// +0x238 `cmdline_size`: bytes, without the zero at the end.
    pub cmdline_size: U32,
    /// +0x23c `hardware_subarch` and its data.
    pub hardware_subarch: [u8; 12],
    /// +0x248 `payload_offset`.
    pub payload_offset: U32,
    /// +0x24c `payload_length`.
    pub payload_length: U32,
    /// +0x250 `setup_data`.
    pub setup_data: U64,
    /// +0x258 `pref_address`.
    pub pref_address: U64,
    /// +0x260 `init_size`.
    pub init_size: U32,
    /// +0x264 `handover_offset`.
    pub handover_offset: U32,
}

impl SetupHeader {
    /// Where it is in the file.
    pub const OFFSET: usize = 0x1f1;
    /// `boot_flag`.
    pub const BOOT_FLAG: u16 = 0xaa55;
    /// `header`.
    pub const MAGIC: [u8; 4] = *b"HdrS";
    /// `xloadflags`, bit 0: there is a 64-bit entry point.
    pub const XLF_KERNEL_64: u16 = 1;
    /// Size in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

const _: () = assert!(SetupHeader::OFFSET + SetupHeader::SIZE == 0x268);
const _: () = assert!(SetupHeader::OFFSET + offset_of!(SetupHeader, header) == 0x202);
const _: () = assert!(SetupHeader::OFFSET + offset_of!(SetupHeader, loadflags) == 0x211);
const _: () = assert!(SetupHeader::OFFSET + offset_of!(SetupHeader, cmd_line_ptr) == 0x228);
const _: () = assert!(SetupHeader::OFFSET + offset_of!(SetupHeader, xloadflags) == 0x236);
const _: () = assert!(SetupHeader::OFFSET + offset_of!(SetupHeader, cmdline_size) == 0x238);
