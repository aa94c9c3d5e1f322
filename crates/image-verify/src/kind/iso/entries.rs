//! systemd-boot and unified kernel images. UAPI Group, Boot Loader Specification and Unified Kernel
//! Image.

use std::{io::Read, rc::Rc};

use image_formats::pe;

use super::{
    EFI_PROGRAM, ENTRY_DEFAULT, ENTRY_FILE, Judge, Place, UKI,
    linux::{Kernel, Start},
};
use crate::{
    kind::boot::{
        Processor, initrd,
        kernel::{self, section},
        loader::{glob, pairs, uncounted},
    },
    tree::{NodeId, display},
    volume::Volume,
};

/// How many files of a folder are followed.
const MAX_FOLLOWED: usize = 64;

/// How many lines of one file are followed.
const MAX_LINES: usize = 256;

/// The longest command line of a unified kernel image that is read.
const MAX_COMMAND_LINE: u64 = 64 << 10;

impl<'a> Judge<'a, '_> {
    /// Judges a program for UEFI, once. It has to be for one of these processors.
    pub(super) fn efi_program(
        &mut self,
        (number, volume): Place<'a>,
        id: NodeId,
        processors: &[Processor],
    ) -> Option<pe::Image> {
        let mut found = Err(String::new());
        for processor in processors {
            found = kernel::efi_program(*processor, volume, id);
            if found.is_ok() {
                break;
            }
        }
        if self.efi.insert((number, id)) {
            self.expect(
                &EFI_PROGRAM,
                found.is_ok(),
                || volume.tree.location(id),
                || {
                    let names: Vec<_> = processors.iter().map(ToString::to_string).collect();
                    let what = found.as_ref().err().cloned().unwrap_or_default();
                    format!("{what}, not a program for UEFI on {}", names.join(" or "))
                },
            );
        }
        found.ok()
    }

    /// Follows systemd-boot in a file system. True if something starts on this processor.
    pub(super) fn entries(&mut self, place: Place<'a>, processor: Processor) -> bool {
        let (_, volume) = place;
        let mut starts = self.unified(place, processor);
        let Some(folder) = self.find(volume, "/loader/entries") else { return starts };
        let all: Vec<_> = volume
            .tree
            .children(folder)
            .filter(|(name, _)| name.to_ascii_lowercase().ends_with(b".conf"))
            .map(|(_, id)| id)
            .take(MAX_FOLLOWED + 1)
            .collect();
        for id in self.first(all) {
            starts |= self.entry(place, id, processor);
        }
        self.default_entry(place);
        starts
    }

    /// As many of a folder as are followed.
    fn first(&mut self, mut all: Vec<NodeId>) -> Vec<NodeId> {
        if all.len() > MAX_FOLLOWED {
            self.limit("more entries of systemd-boot than are followed");
            all.truncate(MAX_FOLLOWED);
        }
        all
    }

    fn default_entry(&mut self, place: Place<'a>) {
        let (_, volume) = place;
        let Some(id) = self.find_file(volume, "/loader/loader.conf") else { return };
        let Some(text) = self.text(place, id) else { return };
        let chosen = pairs(&text).filter(|(key, _)| *key == "default").last();
        // `@saved` is decided on the machine, and `auto-…` is what systemd-boot finds itself.
        let named = |value: &str| !value.starts_with('@') && !value.starts_with("auto-");
        let Some((_, pattern)) = chosen.filter(|(_, value)| named(value)) else { return };
        let folders = ["/loader/entries", "/EFI/Linux"].map(|folder| self.find(volume, folder));
        let names: Vec<String> = folders
            .into_iter()
            .flatten()
            .flat_map(|folder| volume.tree.children(folder))
            .map(|(name, _)| uncounted(&String::from_utf8_lossy(name).to_ascii_lowercase()))
            .collect();
        let pattern = pattern.to_ascii_lowercase();
        let fits = |name: &String| {
            let stem = name.strip_suffix(".conf").unwrap_or(name);
            glob(&pattern, name) || glob(&pattern, stem)
        };
        self.expect(
            &ENTRY_DEFAULT,
            names.iter().any(fits),
            || volume.tree.location(id),
            || {
                let names = &names[..names.len().min(MAX_FOLLOWED)];
                format!("default is {pattern}, and the entries are {}", names.join(", "))
            },
        );
    }

    /// Judges one entry. True if it starts.
    fn entry(&mut self, place: Place<'a>, id: NodeId, processor: Processor) -> bool {
        let (_, volume) = place;
        let Some(text) = self.text(place, id) else { return false };
        let at = || volume.tree.location(id);
        let other = |(key, value): (&str, &str)| {
            key == "architecture" && !value.eq_ignore_ascii_case(processor.efi())
        };
        // systemd-boot skips what is for another processor.
        if pairs(&text).any(other) {
            return false;
        }
        let (mut linux, mut initrds, mut options) = (None, Vec::new(), Vec::new());
        let (mut named, mut starts, mut whole) = (false, false, true);
        for (index, (key, value)) in pairs(&text).enumerate() {
            if index >= MAX_LINES {
                self.limit("more lines of an entry of systemd-boot than are followed");
                break;
            }
            match key {
                "options" => options.push(value),
                "linux" | "initrd" | "efi" | "uki" => {
                    named |= key != "initrd";
                    let file = self.find_file(volume, &value.replace('\\', "/"));
                    whole &= self.expect(&ENTRY_FILE, file.is_some(), at, || {
                        format!("{key}: no file {value}")
                    });
                    let Some(file) = file else { continue };
                    match key {
                        "linux" => linux = Some(file),
                        "initrd" => initrds.push((place, file)),
                        _ => starts |= self.efi_program(place, file, &[processor]).is_some(),
                    }
                }
                "uki-url" => (named, starts) = (true, true),
                _ => {}
            }
        }
        self.expect(&ENTRY_FILE, named, at, || "neither linux, efi nor uki".to_owned());
        if let Some(linux) = linux {
            // It is started as a program of UEFI.
            let program = self.efi_program(place, linux, &[processor]);
            let start = Start {
                kernel: (place, linux),
                initrds,
                line: options.join(" "),
                processors: &[processor],
                at: at(),
                complete: whole,
                bios: false,
            };
            starts |= self.start(&start).is_some() && program.is_some();
        }
        starts && whole
    }

    /// The unified kernel images of a file system. True if one starts.
    fn unified(&mut self, place: Place<'a>, processor: Processor) -> bool {
        let (_, volume) = place;
        let Some(folder) = self.find(volume, "/EFI/Linux") else { return false };
        let all: Vec<_> = volume
            .tree
            .children(folder)
            .filter(|(name, _)| name.to_ascii_lowercase().ends_with(b".efi"))
            .map(|(_, id)| id)
            .take(MAX_FOLLOWED + 1)
            .collect();
        let mut starts = false;
        for id in self.first(all) {
            if let Some(image) = self.efi_program(place, id, &[processor]) {
                starts |= self.uki(place, id, &image, processor);
            }
        }
        starts
    }

    /// The content of a section. What is before it is read as well, and costs as much.
    pub(super) fn section<'v>(
        &mut self,
        volume: &'v Volume,
        id: NodeId,
        image: &pe::Image,
        name: &str,
    ) -> Option<impl Read + use<'v>> {
        let start = u64::from(image.section(name)?.pointer_to_raw_data.get());
        if !self.initrd_budget.take(start.min(volume.tree.node(id).size)) {
            self.limit("programs for UEFI have more bytes than are read");
            return None;
        }
        section(volume, id, image, name)?.ok()
    }

    /// Judges a unified kernel image, once. True if it starts.
    pub(super) fn uki(
        &mut self,
        place: Place<'a>,
        id: NodeId,
        image: &pe::Image,
        processor: Processor,
    ) -> bool {
        let file = (place.0, id);
        if let Some(known) = self.unified.get(&file) {
            return *known;
        }
        let starts = self.parts(place, id, image, processor);
        self.unified.insert(file, starts);
        starts
    }

    /// Judges what is in a unified kernel image. True if all of it is there.
    fn parts(
        &mut self,
        (_, volume): Place<'a>,
        id: NodeId,
        image: &pe::Image,
        processor: Processor,
    ) -> bool {
        let at = || volume.tree.location(id);
        let size = volume.tree.node(id).size;
        let mut whole = true;
        for name in [".linux", ".initrd", ".cmdline"] {
            let found = image.section(name);
            if found.is_none() && name != ".linux" {
                continue;
            }
            let end = found.map(|s| {
                u64::from(s.pointer_to_raw_data.get()) + u64::from(s.size_of_raw_data.get())
            });
            whole &= self.expect(&UKI, end.is_some_and(|end| end <= size), at, || match end {
                None => format!("no section {name}"),
                Some(end) => format!("section {name} ends at {end:#x}, and the file at {size:#x}"),
            });
        }
        let mut listed = Vec::new();
        if let Some(content) = self.section(volume, id, image, ".initrd") {
            listed.push(Rc::new(initrd::list(content, &mut self.initrd_budget)));
            self.judge_initrd(&listed[0], at);
            self.initrd_init(&listed, at);
        }
        if let Some(content) = self.section(volume, id, image, ".cmdline") {
            let mut line = Vec::new();
            // What is cut short is told by its section.
            _ = content.take(MAX_COMMAND_LINE).read_to_end(&mut line);
            let line = display(line.trim_ascii_end());
            let line = line.trim_end_matches("\\u{0}");
            let kernel = Kernel { processor, wide: true, cmdline_size: None };
            self.command_line(&at(), line, kernel, &listed, !listed.is_empty());
        }
        whole
    }
}
