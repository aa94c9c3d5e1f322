//! What kinds of images that boot have in common: kernels, archives for the initramfs, command
//! lines, configurations of boot loaders, and the list of store paths.

pub(crate) mod command_line;
pub(crate) mod grub;
pub(crate) mod init;
pub(crate) mod initrd;
pub(crate) mod kernel;
pub(crate) mod loader;
pub(crate) mod paths;

use std::fmt;

use image_formats::{elf, pe};

/// The processor that an image is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Processor {
    /// 64-bit x86.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
}

impl Processor {
    /// In an ELF program.
    pub(crate) fn elf(self) -> elf::Machine {
        match self {
            Self::X86_64 => elf::Machine::X86_64,
            Self::Aarch64 => elf::Machine::AARCH64,
        }
    }

    /// In a program for UEFI.
    pub(crate) fn pe(self) -> pe::Machine {
        match self {
            Self::X86_64 => pe::Machine::X86_64,
            Self::Aarch64 => pe::Machine::ARM64,
        }
    }

    /// In the names of boot loaders: UEFI 2.10 §3.5.1.1; Boot Loader Specification.
    pub(crate) fn efi(self) -> &'static str {
        match self {
            Self::X86_64 => "x64",
            Self::Aarch64 => "aa64",
        }
    }
}

impl fmt::Display for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        })
    }
}
