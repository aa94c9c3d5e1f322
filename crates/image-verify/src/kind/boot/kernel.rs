//! What firmware and boot loaders start, by its first bytes.

use std::io::{self, BufReader, Read as _};

use image_formats::{arm64_image, bytes::Region, elf, fdt, pe, x86_image};

use super::{Processor, initrd::LEGACY_MAGIC};
use crate::{tree::NodeId, volume::Volume};

/// How much of a file tells what it is.
const HEAD: u64 = 64 << 10;

/// How much of a program is searched for the name of U-Boot: the whole of it has about 700 KiB.
const SEARCHED: u64 = 2 << 20;

/// A program that can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// A Linux kernel, or what has the same header.
    Kernel,
    /// U-Boot, which goes on to read the disk.
    UBoot,
    /// A container of U-Boot, which is not opened.
    Container(&'static str),
}

/// What a file is that a boot loader or the firmware of this processor is to start; or, in words,
/// what it is instead.
pub(crate) fn program(
    processor: Processor,
    volume: &Volume,
    id: NodeId,
) -> Result<Program, String> {
    let head = volume.head(id, HEAD).map_err(|error| error.to_string())?;
    if processor == Processor::X86_64 {
        return x86_kernel(&head, volume.tree.node(id).size).map(|_| Program::Kernel);
    }
    if !head.starts_with(&[0x1f, 0x8b]) {
        let found = of_head(&head)?;
        let named = found == Program::Kernel && is_u_boot(volume, id);
        return Ok(if named { Program::UBoot } else { found });
    }
    let file = volume.open(id).map_err(|error| error.to_string())?;
    let mut inflated = Vec::new();
    let mut decoder = flate2::bufread::GzDecoder::new(BufReader::new(file)).take(HEAD);
    decoder.read_to_end(&mut inflated).map_err(|error| format!("gzip that is damaged: {error}"))?;
    of_head(&inflated).map_err(|what| format!("gzip of {what}"))
}

/// True for U-Boot, which has the header of a kernel or none at all: it names itself.
fn is_u_boot(volume: &Volume, id: NodeId) -> bool {
    let content = volume.head(id, SEARCHED).unwrap_or_default();
    let has = |word: &[u8]| content.windows(word.len()).any(|window| window == word);
    has(b"U-Boot 20")
}

fn of_head(head: &[u8]) -> Result<Program, String> {
    if head.is_empty() {
        return Err("empty".to_owned());
    }
    if let Some(header) = arm64_image::Header::from_prefix(head).filter(|h| h.has_magic()) {
        return match header.is_little_endian() {
            true => Ok(Program::Kernel),
            false => Err("a big-endian kernel".to_owned()),
        };
    }
    if pe::has_dos_magic(head) {
        let image = pe::Image::read(&Region::from(head.to_vec()));
        let image = image.map_err(|error| format!("a PE that is damaged: {error}"))?;
        return match image.machine() {
            pe::Machine::ARM64 if image.has_signature() => Ok(Program::Kernel),
            _ if !image.has_signature() => Err("a program for DOS".to_owned()),
            machine => Err(format!("a PE for {machine}")),
        };
    }
    if let Some(header) = elf::Header::from_prefix(head).filter(|_| head.starts_with(b"\x7fELF")) {
        return Err(match header.is_elf64_le() {
            true => format!("an ELF program for {}", header.machine()),
            false => "an ELF program that is not 64-bit little-endian".to_owned(),
        });
    }
    if fdt::Header::from_prefix(head).is_some_and(|header| header.has_magic()) {
        return Ok(Program::Container("a FIT image"));
    }
    if head.starts_with(&LEGACY_MAGIC) {
        return Ok(Program::Container("a legacy image of U-Boot"));
    }
    if arm64_image::starts_with_branch(head) {
        return Ok(Program::Kernel);
    }
    Err(other(head))
}

/// An x86 kernel of `size` bytes; or, in words, what it is instead.
pub(crate) fn x86_kernel(head: &[u8], size: u64) -> Result<x86_image::Header, String> {
    let header = x86_image::Header::from_prefix(head).filter(x86_image::Header::has_magic);
    if let Some(header) = header {
        // Who signs a kernel adds to it, and nobody may take from it. The last unit of 16 bytes may
        // be begun.
        return match header.len() {
            len if header.version() >= 0x0204 && len.saturating_sub(size) >= 16 => {
                Err(format!("cut short: {size} bytes of a kernel of {len}"))
            }
            _ => Ok(header),
        };
    }
    if arm64_image::Header::from_prefix(head).is_some_and(|header| header.has_magic()) {
        return Err("an arm64 kernel".to_owned());
    }
    if head.starts_with(&[0x1f, 0x8b]) {
        return Err("gzip".to_owned());
    }
    if pe::has_dos_magic(head) {
        let image = pe::Image::read(&Region::from(head.to_vec()));
        let image = image.map_err(|error| format!("a PE that is damaged: {error}"))?;
        return Err(format!("a PE for {} without the header of a kernel", image.machine()));
    }
    if head.starts_with(b"\x7fELF") {
        return Err("an ELF program".to_owned());
    }
    Err(other(head))
}

/// True for a program that has the boot sector of a kernel of old, and not the header that came
/// after it, such as memtest86+ 4 and 5: a BIOS and what it starts can start it.
pub(crate) fn is_boot_sector(head: &[u8], size: u64) -> bool {
    /// The most sectors of `setup`, and how many are meant where the number is 0.
    const MOST: u8 = 64;
    const OLD: u8 = 4;

    let has_header = x86_image::Header::from_prefix(head).is_some_and(|header| header.has_magic());
    let other = [&b"MZ"[..], b"\x7fELF", &[0x1f, 0x8b]].iter().any(|magic| head.starts_with(magic));
    let signed = head.get(0x1fe..0x200) == Some(&[0x55, 0xaa]);
    let Some(sectors) = head.get(0x1f1).filter(|_| signed && !has_header && !other) else {
        return false;
    };
    let sectors = if *sectors == 0 { OLD } else { *sectors };
    sectors <= MOST && (u64::from(sectors) + 1) * 512 < size
}

/// In words, what starts like this and is no program.
fn other(head: &[u8]) -> String {
    let zimage = head.get(36..40) == Some(&0x016f_2818_u32.to_le_bytes());
    if head.is_empty() {
        "empty".to_owned()
    } else if zimage {
        "a 32-bit arm kernel".to_owned()
    } else if x86_image::Header::from_prefix(head).is_some_and(|header| header.has_magic()) {
        "an x86 kernel".to_owned()
    } else if head.iter().all(|byte| *byte == 0) {
        "zeros".to_owned()
    } else {
        "of no known format".to_owned()
    }
}

/// A program for UEFI on this processor; or, in words, what it is instead.
pub(crate) fn efi_program(
    processor: Processor,
    volume: &Volume,
    id: NodeId,
) -> Result<pe::Image, String> {
    let head = volume.head(id, HEAD).map_err(|error| error.to_string())?;
    if !pe::has_dos_magic(&head) {
        return Err("no PE".to_owned());
    }
    let image = pe::Image::read(&Region::from(head));
    let image = image.map_err(|error| format!("a PE that is damaged: {error}"))?;
    if !image.has_signature() {
        return Err("a program for DOS".to_owned());
    }
    if image.machine() != processor.pe() {
        return Err(format!("a PE for {}", image.machine()));
    }
    if !image.is_efi_application() {
        return Err("a PE that is no application of UEFI".to_owned());
    }
    Ok(image)
}

/// A device tree: its root's `compatible`; or, in words, what is wrong with it.
pub(crate) fn device_tree(volume: &Volume, id: NodeId) -> Result<Vec<String>, String> {
    let content = volume.content(id, fdt::MAX_BYTES).map_err(|error| error.to_string())?;
    let header = fdt::Header::from_prefix(&content).filter(|header| header.has_magic());
    let header = header.ok_or("no flattened device tree")?;
    let (total, len) = (u64::from(header.raw.totalsize.get()), content.len() as u64);
    if total > len {
        return Err(format!("cut short: {len} bytes of {total}"));
    }
    let found = header.structure(&Region::from(content)).map_err(|error| {
        let cause = &error.cause;
        format!("{error}: {cause}")
    })?;
    if let Some((at, why)) = found.broken {
        return Err(format!("broken at {at} of the file: {why}"));
    }
    Ok(found.compatible.iter().map(|name| crate::tree::display(name)).collect())
}

/// The content of a section; `None` where there is none.
pub(crate) fn section<'v>(
    volume: &'v Volume,
    id: NodeId,
    image: &pe::Image,
    name: &str,
) -> Option<io::Result<impl io::Read + use<'v>>> {
    let section = image.section(name)?;
    let start = u64::from(section.pointer_to_raw_data.get());
    let sizes = [section.virtual_size.get(), section.size_of_raw_data.get()];
    let len = sizes.into_iter().filter(|size| *size > 0).min().unwrap_or(0);
    let open = || {
        let mut file = volume.open(id).map_err(io::Error::other)?;
        io::copy(&mut file.by_ref().take(start), &mut io::sink())?;
        Ok(file.take(len.into()))
    };
    Some(open())
}
