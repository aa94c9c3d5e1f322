//! What firmware with UEFI starts: the removable media path, systemd-boot, GRUB and unified kernel
//! images. UEFI 2.10 §3.5; UAPI Group, Boot Loader Specification and Unified Kernel Image.

use std::{io::Read as _, rc::Rc};

use image_formats::pe;
use image_model::Board;

use super::{EFI_PROGRAM, ENTRY_DEFAULT, ENTRY_FILE, GRUB_FILE, Judge, KERNEL, Place, UKI};
use crate::{
    kind::boot::{
        Processor, grub, initrd,
        kernel::{self, section},
        loader::{glob, pairs, uncounted},
        paths::{find, find_file},
    },
    tree::{NodeId, display},
    volume::Family,
};

/// What is started of a disk that nobody chose anything on.
pub(super) const REMOVABLE: &str = "/EFI/BOOT/BOOTAA64.EFI";

/// How many files of a folder are followed.
const MAX_FOLLOWED: usize = 64;

/// How many lines of one file are followed.
const MAX_LINES: usize = 256;

/// The longest command line of a unified kernel image that is read.
const MAX_COMMAND_LINE: u64 = 64 << 10;

/// Where GRUB's configuration is, on any of the file systems.
const GRUB_CONFIGS: [&str; 5] = [
    "/EFI/BOOT/grub.cfg",
    "/boot/grub/grub.cfg",
    "/grub/grub.cfg",
    "/EFI/debian/grub.cfg",
    "/EFI/nixos/grub.cfg",
];

impl<'a> Judge<'a, '_> {
    pub(super) fn uefi(&mut self) {
        let volumes: Vec<Place<'a>> = self.disk.volumes().collect();
        let fat = |place: &&Place<'a>| place.1.family == Family::Fat;
        let mut started = false;
        for place in volumes.iter().filter(fat) {
            if let Some(id) = find_file(place.1, REMOVABLE) {
                started = true;
                self.efi_program(*place, id);
            }
        }
        if !started {
            self.lacks(Board::Uefi, format!("no FAT partition with {REMOVABLE}"));
        }
        for place in &volumes {
            self.entries(*place);
            if place.1.family == Family::Fat {
                self.unified(*place);
            }
            for path in GRUB_CONFIGS {
                if let Some(id) = find_file(place.1, path) {
                    self.grub(*place, id);
                }
            }
        }
    }

    /// Judges a program for UEFI, once.
    fn efi_program(&mut self, (partition, volume): Place<'a>, id: NodeId) -> Option<pe::Image> {
        let found = kernel::efi_program(Processor::Aarch64, volume, id);
        if self.efi.insert((partition.number, id)) {
            self.expect(
                &EFI_PROGRAM,
                found.is_ok(),
                || volume.tree.location(id),
                || {
                    let what = found.as_ref().err().cloned().unwrap_or_default();
                    format!("{what}, not a program for UEFI on AArch64")
                },
            );
        }
        found.ok()
    }

    /// systemd-boot: type 1 entries.
    fn entries(&mut self, place: Place<'a>) {
        let (_, volume) = place;
        let Some(folder) = find(volume, "/loader/entries") else { return };
        for (name, id) in volume.tree.children(folder).take(MAX_FOLLOWED) {
            if name.to_ascii_lowercase().ends_with(b".conf") {
                self.entry(place, id);
            }
        }
        let Some(id) = find_file(volume, "/loader/loader.conf") else { return };
        let Some(text) = self.text(&ENTRY_FILE, place, id) else { return };
        let chosen = pairs(&text).filter(|(key, _)| *key == "default").last();
        // `@saved` is decided on the machine, and `auto-…` is what systemd-boot finds itself.
        let named = |value: &str| !value.starts_with('@') && !value.starts_with("auto-");
        let Some((_, pattern)) = chosen.filter(|(_, value)| named(value)) else { return };
        // On the EFI system partition, or an extended boot loader partition beside it.
        let folders = self.disk.volumes().flat_map(|(_, volume)| {
            let folders = ["/loader/entries", "/EFI/Linux"].into_iter();
            let folders = folders.filter_map(|folder| find(volume, folder));
            folders.flat_map(|folder| volume.tree.children(folder))
        });
        let names: Vec<String> = folders
            .map(|(name, _)| uncounted(&String::from_utf8_lossy(name).to_ascii_lowercase()))
            .collect();
        let pattern = pattern.to_ascii_lowercase();
        let fits = |name: &String| {
            let stem = name.strip_suffix(".conf").unwrap_or(name);
            glob(&pattern, name) || glob(&pattern, stem)
        };
        let named = names.iter().any(fits);
        self.expect(
            &ENTRY_DEFAULT,
            named,
            || volume.tree.location(id),
            || format!("default is {pattern}, and the entries are {}", names.join(", ")),
        );
    }

    fn entry(&mut self, place: Place<'a>, id: NodeId) {
        let (_, volume) = place;
        let Some(text) = self.text(&ENTRY_FILE, place, id) else { return };
        let at = || volume.tree.location(id);
        let other = |(key, value): (&str, &str)| {
            key == "architecture" && !value.eq_ignore_ascii_case(Processor::Aarch64.efi())
        };
        // systemd-boot skips what is for another processor.
        if pairs(&text).any(other) {
            return;
        }
        let mut initramfs = Vec::new();
        let mut options = Vec::new();
        let mut starts = false;
        for (key, value) in pairs(&text).take(MAX_LINES) {
            if key == "options" {
                options.push(value);
            }
            starts |= matches!(key, "linux" | "efi" | "uki" | "uki-url");
            let is_file = ["linux", "initrd", "efi", "devicetree", "devicetree-overlay", "uki"];
            if !is_file.contains(&key) {
                continue;
            }
            // Only overlays are several in one line.
            let paths = if key == "devicetree-overlay" {
                value.split_ascii_whitespace().collect()
            } else {
                vec![value]
            };
            for path in paths {
                let file = find_file(volume, &path.replace('\\', "/"));
                self.expect(&ENTRY_FILE, file.is_some(), at, || format!("{key}: no file {path}"));
                let Some(file) = file else { continue };
                match key {
                    "linux" => _ = self.program(&KERNEL, place, file),
                    "initrd" => initramfs.push((place, file)),
                    "efi" | "uki" => _ = self.efi_program(place, file),
                    _ => _ = self.device_tree(place, file),
                }
            }
        }
        self.expect(&ENTRY_FILE, starts, at, || "neither linux, efi nor uki".to_owned());
        let listed = self.initramfs(&initramfs);
        if !options.is_empty() {
            self.command_line(place, at(), &options.join(" "), &listed);
        }
    }

    /// systemd-boot: type 2 entries.
    fn unified(&mut self, place: Place<'a>) {
        let (_, volume) = place;
        let Some(folder) = find(volume, "/EFI/Linux") else { return };
        for (name, id) in volume.tree.children(folder).take(MAX_FOLLOWED) {
            if !name.to_ascii_lowercase().ends_with(b".efi") {
                continue;
            }
            let Some(image) = self.efi_program(place, id) else { continue };
            let at = || volume.tree.location(id);
            for name in [".linux", ".initrd", ".cmdline"] {
                let section = image.section(name);
                if section.is_none() && name != ".linux" {
                    continue;
                }
                let size = volume.tree.node(id).size;
                let end = section.map(|s| {
                    u64::from(s.pointer_to_raw_data.get()) + u64::from(s.size_of_raw_data.get())
                });
                self.expect(&UKI, end.is_some_and(|end| end <= size), at, || match end {
                    None => format!("no section {name}"),
                    Some(end) => {
                        format!("section {name} ends at {end:#x}, and the file at {size:#x}")
                    }
                });
            }
            let mut listed = Vec::new();
            if let Some(Ok(content)) = section(volume, id, &image, ".initrd") {
                listed.push(Rc::new(initrd::list(content, &mut self.initrd_budget)));
                self.judge_initrd(&listed[0], at);
                self.initrd_init(&listed, at);
            }
            if let Some(Ok(content)) = section(volume, id, &image, ".cmdline") {
                let mut line = Vec::new();
                // What is cut short is told by its section.
                _ = content.take(MAX_COMMAND_LINE).read_to_end(&mut line);
                let line = display(line.trim_ascii_end());
                let line = line.trim_end_matches("\\u{0}");
                self.command_line(place, at(), line, &listed);
            }
        }
    }

    /// GRUB: the files that stand in its configuration as they are. What a variable or a search
    /// decides is not judged.
    fn grub(&mut self, place: Place<'a>, id: NodeId) {
        let (_, volume) = place;
        let Some(text) = self.text(&GRUB_FILE, place, id) else { return };
        let mut followed = 0;
        for command in grub::commands(&text) {
            let (key, line) = (command.name(), command.line);
            let is_kernel = matches!(key, "linux" | "linuxefi");
            if !is_kernel && !matches!(key, "initrd" | "initrdefi" | "devicetree" | "configfile") {
                continue;
            }
            followed += 1;
            if followed > MAX_LINES {
                break;
            }
            let words = command.arguments().iter().take(MAX_LINES);
            let rest: Vec<String> = words.map(grub::Word::spelled).collect();
            let paths = if matches!(key, "initrd" | "initrdefi") {
                &rest[..]
            } else {
                rest.get(..1).unwrap_or_default()
            };
            let mut initramfs = Vec::new();
            for path in paths {
                // `($drive1)/…` is a file system that was searched for.
                let path =
                    path.strip_prefix('(').and_then(|p| p.split_once(')')).map_or(&**path, |p| p.1);
                if path.contains('$') || !path.starts_with('/') {
                    continue;
                }
                let mut all = self.disk.volumes();
                let found = all.find_map(|p| find_file(p.1, path).map(|id| (p, id)));
                if found.is_none() && self.disk.has_unread() {
                    continue;
                }
                self.expect(
                    &GRUB_FILE,
                    found.is_some(),
                    || volume.tree.location(id),
                    || format!("line {line}, {key}: no file {path} in any file system"),
                );
                let Some((place, file)) = found else { continue };
                match key {
                    "linux" | "linuxefi" => _ = self.program(&KERNEL, place, file),
                    "initrd" | "initrdefi" => initramfs.push((place, file)),
                    "devicetree" => _ = self.device_tree(place, file),
                    _ => {}
                }
            }
            if initramfs.len() == paths.len() {
                self.initramfs(&initramfs);
            }
            let options = grub::line(rest.get(1..).unwrap_or_default());
            if is_kernel && !options.is_empty() && !options.contains('$') {
                self.command_line(place, volume.tree.location(id), &options, &[]);
            }
        }
    }
}
