//! What firmware starts: the images of the boot catalog, and of a stick what its first block and
//! its partition tables lead to. El Torito 1.0; UEFI 2.10 §3.5 and §13.3.2.1.

use std::{io::Read as _, rc::Rc};

use image_formats::{bytes::Region, grub, pe};
use image_model::Boot;

use super::{Judge, Medium, Place, WAYS, Way, processor, refind};
use crate::{
    el_torito::{BootImage, Loader},
    hybrid::Bios,
    kind::boot::{Processor, paths::lexical},
    tree::NodeId,
    volume::Volume,
};

/// `platform` of an image for a PC's BIOS, and for UEFI.
const PC: u8 = 0;
const UEFI: u8 = 0xef;

/// Where GRUB's configuration is, in the file system that it starts from or on the disc.
const GRUB_CONFIGS: [&str; 6] = [
    "/EFI/BOOT/grub.cfg",
    "/boot/grub/grub.cfg",
    "/boot/grub2/grub.cfg",
    "/grub/grub.cfg",
    "/EFI/debian/grub.cfg",
    "/EFI/nixos/grub.cfg",
];

/// How a shim names itself, and how much of it is searched for that.
const SHIM: &[u8] = b"UEFI SHIM\n$Version";
const MAX_SHIM: u64 = 2 << 20;

/// What a GRUB reads that finds the image as a file on another disk.
const LOOPBACK: &str = "/boot/grub/loopback.cfg";

/// The most of what is built into GRUB that is read.
const MAX_MODULES: u64 = 32 << 20;

/// What a program for UEFI is.
enum Program {
    Grub(grub::Modules),
    SystemdBoot,
    Unified,
    Other,
}

impl<'a> Judge<'a, '_> {
    pub(super) fn firmware(&mut self) {
        for way in WAYS {
            let problems = match way {
                (Boot::Bios, medium) => self.bios(medium),
                way => self.uefi(way),
            };
            let certain = problems.is_err();
            for problem in problems.unwrap_or_else(|problems| problems) {
                self.lacks(way, problem);
            }
            // What one way met is remembered for the next.
            if self.limit.is_some() && !certain {
                self.unsure.insert(way);
            }
        }
        self.others();
    }

    /// The processors that something is for: both, where nothing is.
    fn processors(&mut self) -> Vec<Processor> {
        let pc = self.disc.boot.iter().any(|image| image.platform == PC);
        let volumes = Rc::clone(&self.volumes);
        let mut has = |processor: &Processor| {
            let removable = removable(*processor);
            let mut all = volumes.iter();
            all.any(|(_, volume)| self.find_file(volume, &removable).is_some())
                || *processor == Processor::X86_64 && pc
        };
        let all = [Processor::X86_64, Processor::Aarch64];
        let found: Vec<_> = all.iter().copied().filter(|processor| has(processor)).collect();
        if found.is_empty() { all.to_vec() } else { found }
    }

    /// Why a PC's BIOS starts nothing. `Err`: it finds nothing to start, whatever the files say.
    fn bios(&mut self, medium: Medium) -> Result<Vec<String>, Vec<String>> {
        let disc = self.disc;
        let image = match (medium, &disc.stick.bios) {
            (Medium::Disc, _) => disc.boot.iter().find(|i| i.platform == PC && i.bootable),
            (Medium::Usb, Bios::Starts(number)) => disc.boot.iter().find(|i| i.number == *number),
            // There is something for it to start.
            (Medium::Usb, Bios::Unknown) if disc.boot.iter().any(|i| i.platform == PC) => {
                let why = "nobody knows its boot code".to_owned();
                self.unknown.insert((Boot::Bios, medium), why);
                return Ok(Vec::new());
            }
            (Medium::Usb, Bios::Unknown) => {
                return Err(vec![
                    "nobody knows its boot code, and no image for it is in the boot catalog"
                        .to_owned(),
                ]);
            }
            (Medium::Usb, Bios::Nothing(why)) => return Err(vec![why.clone()]),
        };
        let Some(image) = image else {
            return Err(vec![match disc.boot.is_empty() {
                true => "no boot catalog".to_owned(),
                false => "no image for it in the boot catalog".to_owned(),
            }]);
        };
        if let Some(why) = unsound(image, medium) {
            return Err(vec![why]);
        }
        Ok(match image.loader {
            Loader::Isolinux => {
                if !self.isolinux.contains_key(&image.number) {
                    let problems = self.isolinux(image);
                    self.isolinux.insert(image.number, problems);
                }
                self.isolinux[&image.number].clone()
            }
            Loader::Grub => {
                let Some(place) = self.disc() else {
                    return Err(vec!["GRUB needs files of a disc that cannot be read".to_owned()]);
                };
                self.grub_starts(&[place], &GRUB_CONFIGS, Processor::X86_64)
            }
            Loader::Other => Vec::new(),
        })
    }

    /// Why UEFI starts nothing. `Err`: it finds no file system to start anything of.
    fn uefi(&mut self, (firmware, medium): Way) -> Result<Vec<String>, Vec<String>> {
        let disc = self.disc;
        let processor = processor(firmware);
        let removable = removable(processor);
        let mut problems = Vec::new();
        let mut volumes: Vec<&'a Volume> = Vec::new();
        match medium {
            Medium::Usb => volumes.extend(disc.stick.efi.iter().map(|volume| &**volume)),
            Medium::Disc => {
                for image in disc.boot.iter().filter(|i| i.platform == UEFI && i.bootable) {
                    match (unsound(image, medium), &image.volume) {
                        (Some(why), _) => problems.push(why),
                        (None, Some(volume)) => volumes.push(volume),
                        (None, None) => problems.push(format!(
                            "image {} of the boot catalog is no FAT file system that can be read",
                            image.number
                        )),
                    }
                }
            }
        }
        let mut found = false;
        for volume in volumes.iter().copied() {
            let place = self.place(volume);
            let Some(id) = self.find_file(volume, &removable) else { continue };
            found = true;
            let Some(image) = self.efi_program(place, id, &[processor]) else {
                problems.push(format!("{removable} is no program for it"));
                continue;
            };
            let own = self.loader(place, id, &image, processor, medium);
            if own.is_empty() {
                return Ok(Vec::new());
            }
            problems.extend(own);
        }
        if !found && problems.is_empty() {
            problems.push(match (medium, volumes.is_empty()) {
                (Medium::Disc, true) if disc.boot.is_empty() => "no boot catalog".to_owned(),
                (Medium::Disc, true) => "no image for UEFI in the boot catalog".to_owned(),
                (Medium::Disc, false) => format!("no {removable} in the image for UEFI"),
                (Medium::Usb, true) => {
                    "no partition table leads to a FAT file system; only some firmware reads the \
                     boot catalog of a stick"
                        .to_owned()
                }
                (Medium::Usb, false) => {
                    format!("no {removable} in a FAT file system that a partition table leads to")
                }
            });
        }
        if volumes.is_empty() { Err(problems) } else { Ok(problems) }
    }

    /// Why a program of UEFI goes no further.
    fn loader(
        &mut self,
        place: Place<'a>,
        id: NodeId,
        image: &pe::Image,
        processor: Processor,
        medium: Medium,
    ) -> Vec<String> {
        let (_, volume) = place;
        match self.program(volume, id, image) {
            Program::Grub(modules) => self.grub_of(place, &modules, processor, medium),
            Program::SystemdBoot => match self.entries(place, processor) {
                true => Vec::new(),
                false => vec!["systemd-boot finds no entry that starts".to_owned()],
            },
            Program::Unified => match self.uki(place, id, image, processor) {
                true => Vec::new(),
                false => vec!["the unified kernel image is broken".to_owned()],
            },
            Program::Other => {
                // A shim starts the program beside it.
                let name = format!("/EFI/BOOT/grub{}.efi", processor.efi());
                let Some(grub) = self.find_file(volume, &name) else {
                    // A third program beside it may start others.
                    let fallback = format!("/EFI/BOOT/fb{}.efi", processor.efi());
                    let lacks = is_shim(volume, id, processor)
                        && self.find_file(volume, &fallback).is_none();
                    return match lacks {
                        true => vec![format!("the shim finds no {name} beside it")],
                        false => Vec::new(),
                    };
                };
                let Some(image) = self.efi_program(place, grub, &[processor]) else {
                    return vec![format!("{name} is no program for it")];
                };
                match self.program(volume, grub, &image) {
                    Program::Grub(modules) => self.grub_of(place, &modules, processor, medium),
                    _ => Vec::new(),
                }
            }
        }
    }

    /// Why a GRUB of UEFI goes no further.
    fn grub_of(
        &mut self,
        place: Place<'a>,
        modules: &grub::Modules,
        processor: Processor,
        medium: Medium,
    ) -> Vec<String> {
        // Started by the boot catalog it takes all of the disc for what it comes from, and by a
        // partition table the FAT file system. What is built into it may search for the disc.
        let searches = modules.config.is_some() || modules.memdisk;
        let own = (medium == Medium::Usb || searches).then_some(place);
        let disc = (medium == Medium::Disc || searches).then(|| self.disc()).flatten();
        let places: Vec<_> = own.into_iter().chain(disc).collect();
        if places.is_empty() {
            return vec!["GRUB needs files of a disc that cannot be read".to_owned()];
        }
        let prefix = String::from_utf8_lossy(modules.prefix.as_deref().unwrap_or_default());
        // `(cd0)` before it is a device.
        let prefix = prefix.split_once(')').map_or(&*prefix, |(_, path)| path);
        let own = lexical(&format!("{prefix}/grub.cfg"));
        let configs = match searches || prefix.is_empty() {
            true => GRUB_CONFIGS.to_vec(),
            false => vec![own.as_str()],
        };
        let problems = self.grub_starts(&places, &configs, processor);
        // What is in its own memory is not looked into.
        match searches && !self.has_any(&places, &configs) {
            true => Vec::new(),
            false => problems,
        }
    }

    /// Why these configurations of GRUB on these file systems start nothing.
    fn grub_starts(
        &mut self,
        places: &[Place<'a>],
        configs: &[&str],
        processor: Processor,
    ) -> Vec<String> {
        let processors = self.processors();
        for place in places {
            for path in configs {
                let Some(id) = self.find_file(place.1, path) else { continue };
                if self.grub(*place, id, &processors, false).starts(processor) {
                    return Vec::new();
                }
            }
        }
        let names: Vec<_> = places.iter().map(|(_, volume)| volume.name.as_str()).collect();
        let name = match configs {
            [name] => name,
            _ => "grub.cfg",
        };
        vec![match self.has_any(places, configs) {
            true => format!("no entry of grub.cfg starts a kernel for {processor}"),
            false => format!("GRUB finds no {name} on {}", names.join(" and ")),
        }]
    }

    /// Configurations that somebody may choose, and that firmware does not lead to by itself.
    fn others(&mut self) {
        let processors = self.processors();
        for place in Rc::clone(&self.volumes).iter().copied() {
            let (_, volume) = place;
            for path in GRUB_CONFIGS {
                if let Some(id) = self.find_file(volume, path) {
                    self.grub(place, id, &processors, false);
                }
            }
            if let Some(id) = self.find_file(volume, LOOPBACK) {
                self.grub(place, id, &processors, true);
            }
            for path in refind::CONFIGS {
                if let Some(id) = self.find_file(volume, path) {
                    self.refind(place, id);
                }
            }
        }
    }

    /// What a program for UEFI is, by its sections.
    fn program(&mut self, volume: &Volume, id: NodeId, image: &pe::Image) -> Program {
        let has = |name| image.section(name).is_some();
        if has(".linux") {
            return Program::Unified;
        }
        if has(".sdmagic") {
            return Program::SystemdBoot;
        }
        if !has("mods") {
            return Program::Other;
        }
        let mut bytes = Vec::new();
        if let Some(mut content) = self.section(volume, id, image, "mods") {
            _ = content.by_ref().take(MAX_MODULES).read_to_end(&mut bytes);
        }
        match grub::Modules::read(&Region::from(bytes)) {
            Ok(modules) => Program::Grub(modules),
            Err(_) => Program::Grub(grub::Modules::default()),
        }
    }

    /// True if one of these files is on one of these file systems.
    fn has_any(&mut self, places: &[Place<'_>], paths: &[&str]) -> bool {
        let mut all = places.iter().flat_map(|place| paths.iter().map(move |path| (place.1, path)));
        all.any(|(volume, path)| self.find_file(volume, path).is_some())
    }
}

/// What is wrong with an image of the boot catalog, or on the way to it. Code of a stick knows
/// where the image is, and reads no catalog.
fn unsound(image: &BootImage, medium: Medium) -> Option<String> {
    let number = image.number;
    if medium == Medium::Disc && !image.listed {
        return Some(format!("what leads to image {number} of the boot catalog is broken"));
    }
    (!image.sound).then(|| format!("image {number} of the boot catalog is broken"))
}

/// What firmware starts of a disk that nobody chose anything on.
fn removable(processor: Processor) -> String {
    format!("/EFI/BOOT/BOOT{}.EFI", processor.efi().to_ascii_uppercase())
}

/// True for a shim that starts `grubx64.efi`: some have another name in them.
fn is_shim(volume: &Volume, id: NodeId, processor: Processor) -> bool {
    let content = volume.head(id, MAX_SHIM).unwrap_or_default();
    let name = format!("\\grub{}.efi", processor.efi());
    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let has = |word: &[u8]| content.windows(word.len()).any(|window| window == word);
    has(SHIM) && has(&name)
}
