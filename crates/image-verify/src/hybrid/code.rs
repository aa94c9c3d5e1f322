//! Boot code, and the boot image that it goes on with.

use image_formats::{
    bytes::{ReadError, Region},
    el_torito::{GRUB_BLOCK_AT, ISOLINUX_MAGIC, SECTOR, grub_block},
    isohybrid::{Build, Kind},
};

use super::{
    BOOT_ADDRESS, BOOT_CODE, Bios, CODE_DAMAGED, CODE_KNOWN, GRUB_BLOCK, ISOLINUX, Judge, at,
};
use crate::el_torito::BootImage;

/// What the boot code is, in bytes.
const CODE: u64 = 432;

impl Judge<'_, '_> {
    /// What a BIOS makes of the first block, which may have a signature or not.
    pub(super) fn boot_code(&mut self, signed: bool) -> Result<Bios, ReadError> {
        let kind = self.code.kind();
        let has_bios = self.boot.iter().any(is_bios);
        if has_bios {
            self.out.expect(&BOOT_CODE, kind != Kind::None, || {
                (at("boot code", 0, CODE), "zeros, and a boot image for a BIOS".to_owned())
            });
        }
        if kind == Kind::None {
            return Ok(Bios::Nothing("there is no boot code".to_owned()));
        }
        let build = self.code.build();
        let damaged = match &build {
            Build::Damaged(name, range) => Some((*name, range.clone())),
            Build::Is(_) | Build::Unknown => None,
        };
        self.out.expect(&CODE_DAMAGED, damaged.is_none(), || {
            let (name, range) = damaged.clone().unwrap_or_default();
            let place = at("boot code", range.start, range.end - range.start);
            (place, format!("not the bytes of {name}, as all around them are"))
        });
        self.out.expect(&CODE_KNOWN, build != Build::Unknown, || {
            let name = match kind {
                Kind::Syslinux => "of SYSLINUX, no build",
                Kind::Grub => "of GRUB, no build",
                Kind::Other | Kind::None => "none",
            };
            (at("boot code", 0, CODE), format!("{name} that is known byte for byte"))
        });
        let starts = self.starts(kind)?;
        Ok(match starts {
            _ if !signed => Bios::Nothing("the first block has no signature".to_owned()),
            _ if damaged.is_some() => Bios::Nothing("the boot code is damaged".to_owned()),
            other => other,
        })
    }

    /// Where the boot code leads.
    fn starts(&mut self, kind: Kind) -> Result<Bios, ReadError> {
        let sector = match kind {
            // What nobody knows may have its address in either form.
            Kind::Other => [Kind::Grub, Kind::Syslinux]
                .into_iter()
                .filter_map(|kind| self.code.sector(kind))
                .find(|sector| self.bios_at(*sector).is_some()),
            kind => self.code.sector(kind),
        };
        let image = sector.and_then(|sector| self.bios_at(sector));
        if kind == Kind::Other {
            return Ok(image.map_or(Bios::Unknown, |image| Bios::Starts(image.number)));
        }
        let found = image.map(|image| (image.number, image.region.clone()));
        let holds = found.is_some();
        self.out.expect(&BOOT_ADDRESS, holds, || {
            let block = match kind {
                Kind::Syslinux => u64::from(self.code.syslinux_address().get()),
                _ => self.code.address.get(),
            };
            let images = self.boot.iter().filter(|image| is_bios(image));
            let images: Vec<_> = images
                .map(|image| format!("{}", image.region.start().0 / 512 + offset(kind)))
                .collect();
            let message = match images.is_empty() {
                true => format!("block {block}, and the catalog has no image for a BIOS"),
                false => format!("block {block}, not {}", images.join(" or ")),
            };
            (at("boot code", CODE, 8), message)
        });
        let Some((number, region)) = found else {
            return Ok(Bios::Nothing("the boot code leads to no boot image".to_owned()));
        };
        let complete = match kind {
            Kind::Syslinux => self.isolinux(number, &region)?,
            _ => self.grub(number, &region)?,
        };
        Ok(if complete {
            Bios::Starts(number)
        } else {
            Bios::Nothing(format!("the boot code does not go on with boot image {number}"))
        })
    }

    fn bios_at(&self, sector: u64) -> Option<&BootImage> {
        let start = sector.checked_mul(SECTOR)?;
        let here = |image: &&BootImage| is_bios(image) && image.region.start().0 == start;
        self.boot.iter().find(here).filter(|image| !image.region.is_empty())
    }

    fn isolinux(&mut self, number: u32, image: &Region) -> Result<bool, ReadError> {
        let (place, magic) = ISOLINUX_MAGIC;
        let found = match image.array::<4>("boot image", place) {
            Err(error) if !error.is_defect() => return Err(error),
            found => found.unwrap_or_default(),
        };
        Ok(self.out.expect(&ISOLINUX, found == magic, || {
            let place = at(format!("boot image {number}"), image.absolute(place).0, 4);
            (place, format!("{found:02x?}, not {magic:02x?}"))
        }))
    }

    fn grub(&mut self, number: u32, image: &Region) -> Result<bool, ReadError> {
        let found = match image.array::<8>("boot image", GRUB_BLOCK_AT) {
            Err(error) if !error.is_defect() => return Err(error),
            found => u64::from_le_bytes(found.unwrap_or_default()),
        };
        let right = grub_block(image.start().0 / SECTOR);
        Ok(self.out.expect(&GRUB_BLOCK, found == right, || {
            let place = at(format!("boot image {number}"), image.absolute(GRUB_BLOCK_AT).0, 8);
            (place, format!("block {found}, not {right}"))
        }))
    }
}

fn is_bios(image: &BootImage) -> bool {
    image.platform == BootImage::BIOS
}

/// How many blocks of the boot image are skipped.
fn offset(kind: Kind) -> u64 {
    if kind == Kind::Grub { 4 } else { 0 }
}
