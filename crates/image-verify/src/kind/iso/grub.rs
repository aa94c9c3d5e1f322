//! What GRUB does with its configuration: it searches the file system that it starts from, and
//! starts kernels in it. What a condition decides is not decided here: both ways are followed.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use image_model::Location;

use super::{DISC, FileId, GRUB_FILE, GRUB_SEARCH, GRUB_SYNTAX, Judge, Place, linux::Start};
use crate::{
    kind::boot::{
        Processor,
        grub::{self, Command, Word},
    },
    tree::NodeId,
};

/// How many files one configuration leads to.
const MAX_FILES: usize = 256;

/// How many commands of a file are followed, and how many blocks.
const MAX_COMMANDS: usize = 1 << 16;
const MAX_BLOCKS: usize = 4096;

/// How deep blocks lie in each other.
const MAX_DEPTH: usize = 16;

/// How many variables there are, and how long their values.
const MAX_VARIABLES: usize = 256;
const MAX_VALUE: usize = 1024;

/// The longest command line, and the most files of one initramfs, that are followed.
const MAX_LINE: usize = 64 << 10;
const MAX_INITRDS: usize = 64;

/// How many files are looked for in all.
pub(super) const MAX_LOOKUPS: u32 = 1 << 14;

/// How many bytes are read of all configurations, made of their variables, and remembered of these.
pub(super) const MAX_TOTAL: u64 = 64 << 20;

/// How the name of a device starts that is one or several of the image's file systems: their
/// numbers follow. GRUB itself has no such names.
const OURS: &str = "image:";

/// What a configuration offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Offer {
    /// Kernels that were followed, whether they start or not.
    kernels: usize,
    /// Those that start are for these.
    processors: BTreeSet<Processor>,
    /// Something else, or from another disk.
    other: bool,
}

impl Offer {
    /// True if something starts on this processor, as far as it is known.
    pub(super) fn starts(&self, processor: Processor) -> bool {
        self.processors.contains(&processor) || self.kernels == 0 && self.other
    }
}

/// The value of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Text(String),
    /// Which one it is is decided on the machine.
    Unknown,
}

/// What GRUB knows at some place in a configuration.
#[derive(Clone, Debug)]
struct State {
    /// The file systems that paths are in; `None` for those of another disk.
    root: Option<Vec<usize>>,
    variables: BTreeMap<String, Value>,
}

impl State {
    /// Bytes that are copied where it is remembered.
    fn cost(&self) -> u64 {
        let all = self.variables.iter().map(|(name, value)| match value {
            Value::Text(text) => name.len() + text.len(),
            Value::Unknown => name.len(),
        });
        all.sum::<usize>() as u64
    }
}

/// Where a path leads.
enum Target {
    /// Into one of these.
    Image(Vec<usize>, String),
    /// To another disk, or to what is no file.
    Elsewhere,
}

/// A kernel, until all of its entry was read.
struct Entry<'a> {
    kernel: Option<(Place<'a>, NodeId)>,
    initrds: Vec<(Place<'a>, NodeId)>,
    line: String,
    /// All files of it are there.
    whole: bool,
    /// All of it is known.
    known: bool,
    /// It is started as a BIOS does it.
    bios: bool,
    /// It is memdisk, whose initramfs is an image of a floppy.
    memdisk: bool,
}

/// One file that is being read.
struct Reading<'a, 'p> {
    place: Place<'a>,
    id: NodeId,
    processors: &'p [Processor],
    state: State,
    /// Files that it leads to, each with what is known there.
    next: Vec<(FileId, State)>,
    offer: Offer,
    entry: Option<Entry<'a>>,
    /// It is read where the disc is a file on another disk.
    loopback: bool,
    /// How many conditions are open around the entry.
    outer: usize,
    /// How many are up to the one that asks whether a file is there.
    tested: Option<usize>,
}

impl<'a> Judge<'a, '_> {
    /// Judges a configuration of GRUB on one of these processors, and all files it leads to.
    pub(super) fn grub(
        &mut self,
        place: Place<'a>,
        id: NodeId,
        processors: &[Processor],
        loopback: bool,
    ) -> Offer {
        let first = (place.0, id);
        if let Some(known) = self.grubs.get(&first) {
            return known.clone();
        }
        let state = State { root: Some(vec![place.0]), variables: BTreeMap::new() };
        let mut queue = vec![(first, state)];
        let mut seen = BTreeSet::from([first]);
        let mut offer = Offer::default();
        // Bounded: each file is read once, and MAX_FILES of them.
        while let Some(((number, id), mut state)) = queue.pop() {
            let Some(place) = self.numbered(number) else { continue };
            let Some(text) = self.text(place, id) else { continue };
            if self.spend(text.len() as u64).is_none() {
                break;
            }
            let own = String::from_utf8_lossy(&place.1.tree.path(id)).into_owned();
            let folder = own.rsplit_once('/').map_or("", |(folder, _)| folder);
            let prefix = Value::Text(format!("({OURS}{number}){folder}"));
            for name in ["prefix", "cmdpath", "config_directory"] {
                state.variables.entry(name.to_owned()).or_insert_with(|| prefix.clone());
            }
            let mut reading = Reading {
                place,
                id,
                processors,
                state,
                next: Vec::new(),
                offer: Offer::default(),
                entry: None,
                loopback,
                outer: 0,
                tested: None,
            };
            self.read(&mut reading, &text);
            offer.kernels += reading.offer.kernels;
            offer.other |= reading.offer.other;
            offer.processors.extend(reading.offer.processors);
            for (file, state) in reading.next {
                if seen.contains(&file) {
                    continue;
                }
                if seen.len() >= MAX_FILES {
                    self.limit("more files of GRUB's configuration than are followed");
                    break;
                }
                seen.insert(file);
                queue.push((file, state));
            }
        }
        self.grubs.insert(first, offer.clone());
        offer
    }

    fn numbered(&self, number: usize) -> Option<Place<'a>> {
        self.volumes.iter().find(|(other, _)| *other == number).copied()
    }

    fn read(&mut self, on: &mut Reading<'a, '_>, text: &str) {
        let mut blocks: Vec<(usize, usize, State)> = Vec::new();
        let mut opened = 0;
        let mut sound = true;
        for (index, command) in grub::commands(text).enumerate() {
            if index >= MAX_COMMANDS {
                self.limit("more commands of GRUB than are followed");
                break;
            }
            while let Some((_, outer, state)) = blocks.pop_if(|(depth, ..)| command.depth <= *depth)
            {
                self.finish(on);
                (on.outer, on.state) = (outer, state);
            }
            if let Some(why) = command.broken {
                sound = false;
                let line = command.line;
                self.expect(
                    &GRUB_SYNTAX,
                    false,
                    || on.location(),
                    || format!("line {line}: {why}"),
                );
            }
            let is_block = ["menuentry", "submenu", "hiddenentry", "function"];
            if command.opens && is_block.contains(&command.name()) {
                self.finish(on);
                opened += 1;
                if opened > MAX_BLOCKS || blocks.len() >= MAX_DEPTH {
                    self.limit("more blocks of GRUB's configuration than are followed");
                    break;
                }
                if self.spend(on.state.cost()).is_none() {
                    break;
                }
                blocks.push((command.depth, on.outer, on.state.clone()));
                on.outer = command.conditions;
                continue;
            }
            if self.spend(command.words.len() as u64).is_none() {
                break;
            }
            self.command(on, &command);
        }
        self.finish(on);
        if sound {
            let at = on.location();
            self.expect(&GRUB_SYNTAX, true, || at, String::new);
        }
    }

    fn command(&mut self, on: &mut Reading<'a, '_>, command: &Command) {
        on.tested = on.tested.filter(|conditions| command.conditions >= *conditions);
        let conditional = command.conditions > on.outer;
        match command.name() {
            "[" | "test" => {
                let asks = |word: &Word| matches!(word.text(), Some("-f" | "-e" | "-s"));
                if command.arguments().iter().any(asks) {
                    on.tested = Some(command.conditions);
                }
            }
            "linux" | "linuxefi" | "linux16" => self.linux(on, command),
            "initrd" | "initrdefi" | "initrd16" => self.initrd_of(on, command),
            "search" | "search.file" | "search.fs_label" | "search.fs_uuid" => {
                self.search_for(on, command);
            }
            "set" => {
                if let Some(word) = command.arguments().first() {
                    self.assign(on, word, conditional);
                }
            }
            "source" | "." | "configfile" | "extract_entries_source" => {
                let Some(word) = command.arguments().first() else { return };
                let Some(path) = self.expanded(on, word) else { return };
                let Some(found) = self.file(on, command, &path) else { return };
                let Some(((number, _), id)) = found else { return };
                if on.next.len() >= MAX_FILES {
                    return self.limit("more files of GRUB's configuration than are followed");
                }
                if self.spend(on.state.cost()).is_some() {
                    on.next.push(((number, id), on.state.clone()));
                }
            }
            "chainloader" => {
                let options = |word: &&Word| word.text().is_some_and(|w| w.starts_with("--"));
                let word = command.arguments().iter().find(|word| !options(word));
                let Some(word) = word else { return };
                let Some(path) = self.expanded(on, word) else { return };
                if let Some(Some((place, id))) = self.file(on, command, &path) {
                    on.offer.other = true;
                    self.efi_program(place, id, on.processors);
                }
            }
            "multiboot" | "multiboot2" | "kfreebsd" | "knetbsd" | "kopenbsd" | "xen_hypervisor"
            | "ntldr" | "appleloader" | "freedos" => on.offer.other = true,
            name if name.contains('=') => {
                if let Some(word) = command.words.first() {
                    self.assign(on, word, conditional);
                }
            }
            _ => {
                // `name=$value` has a variable in its first word.
                if let Some(word) = command.words.first().filter(|word| word.text().is_none()) {
                    self.assign(on, word, conditional);
                }
            }
        }
    }

    /// A file that a command names: `None` where nobody knows, `Some(None)` where it is missing,
    /// which is told.
    fn file(
        &mut self,
        on: &Reading<'a, '_>,
        command: &Command,
        path: &str,
    ) -> Option<Option<(Place<'a>, NodeId)>> {
        let Target::Image(numbers, path) = on.target(path) else { return None };
        self.look()?;
        let found = numbers.iter().find_map(|number| {
            let place = self.numbered(*number)?;
            Some((place, self.find_file(place.1, &path)?))
        });
        let (name, line) = (command.name(), command.line);
        if found.is_none() && on.tested.is_some() {
            return Some(None);
        }
        let places: Vec<_> = numbers.iter().filter_map(|number| self.numbered(*number)).collect();
        let other = match found {
            Some(_) => String::new(),
            None => places.iter().map(|(_, volume)| self.misspelled(volume, &path)).collect(),
        };
        self.expect(
            &GRUB_FILE,
            found.is_some(),
            || on.location(),
            || {
                let names: Vec<_> = places.iter().map(|(_, volume)| volume.name.as_str()).collect();
                format!("line {line}, {name}: no file {path} on {}{other}", names.join(" or "))
            },
        );
        Some(found)
    }

    /// Takes bytes from those that may still be read or made.
    fn spend(&mut self, bytes: u64) -> Option<()> {
        match self.text.checked_sub(bytes) {
            Some(left) => {
                self.text = left;
                Some(())
            }
            None => {
                self.limit("more of GRUB's configuration than is followed");
                None
            }
        }
    }

    /// Takes one from the files that may still be looked for.
    fn look(&mut self) -> Option<()> {
        match self.lookups.checked_sub(1) {
            Some(left) => {
                self.lookups = left;
                Some(())
            }
            None => {
                self.limit("more files that GRUB looks for than are followed");
                None
            }
        }
    }

    /// A word with what is known of its variables, if it may still be made.
    fn expanded(&mut self, on: &Reading<'a, '_>, word: &Word) -> Option<String> {
        let text = on.expand(word);
        self.spend(text.len() as u64)?;
        Some(text)
    }

    fn assign(&mut self, on: &mut Reading<'a, '_>, word: &Word, conditional: bool) {
        let Some(text) = self.expanded(on, word) else { return };
        if !on.assign(&text, conditional) {
            self.limit("more variables of GRUB than are followed");
        }
    }

    fn linux(&mut self, on: &mut Reading<'a, '_>, command: &Command) {
        self.finish(on);
        let mut words = Vec::new();
        let mut len = 0;
        for word in command.arguments() {
            let Some(word) = self.expanded(on, word) else { return };
            len += word.len();
            if len > MAX_LINE {
                self.limit("a longer command line of GRUB than is followed");
                break;
            }
            words.push(word);
        }
        let Some((path, rest)) = words.split_first() else { return };
        let Some(kernel) = self.file(on, command, path) else {
            on.offer.other = true;
            return;
        };
        on.offer.kernels += 1;
        let memdisk = path.to_ascii_lowercase().ends_with("memdisk");
        // A variable that nobody sets is nothing.
        let rest: Vec<_> = rest.iter().filter(|word| !word.contains("${")).collect();
        on.entry = Some(Entry {
            kernel,
            initrds: Vec::new(),
            line: grub::line(rest),
            whole: true,
            known: !memdisk,
            bios: command.name() == "linux16",
            memdisk,
        });
    }

    fn initrd_of(&mut self, on: &mut Reading<'a, '_>, command: &Command) {
        for (index, word) in command.arguments().iter().enumerate() {
            if index >= MAX_INITRDS {
                return self.limit("more files of an initramfs than are followed");
            }
            let Some(path) = self.expanded(on, word) else { return };
            let found = self.file(on, command, &path);
            let Some(entry) = &mut on.entry else { continue };
            match found {
                // `newc:` and a variable, for example.
                None => entry.known = false,
                Some(None) => entry.whole = false,
                Some(Some(_)) if entry.memdisk => {}
                Some(Some(found)) => entry.initrds.push(found),
            }
        }
    }

    /// Judges the kernel that was read last.
    fn finish(&mut self, on: &mut Reading<'a, '_>) {
        let Some(entry) = on.entry.take() else { return };
        let Some(kernel) = entry.kernel else { return };
        let start = Start {
            kernel,
            initrds: entry.initrds,
            line: entry.line,
            processors: on.processors,
            at: on.location(),
            complete: entry.known && entry.whole,
            bios: entry.bios,
        };
        let processor = self.start(&start);
        if let Some(processor) = processor.filter(|_| entry.whole) {
            on.offer.processors.insert(processor);
        }
        if on.loopback {
            let listed = self.initramfs(&start.initrds);
            self.findiso(&start.at, "loopback.cfg", &listed);
        }
    }

    fn search_for(&mut self, on: &mut Reading<'a, '_>, command: &Command) {
        let mut by = match command.name() {
            "search.file" => "file",
            "search.fs_label" => "label",
            "search.fs_uuid" => "fs-uuid",
            _ => "",
        };
        // The three commands have the variable as their second word.
        let short = !by.is_empty();
        let mut variable = None;
        let mut names = Vec::new();
        for word in command.arguments() {
            let Some(word) = self.expanded(on, word) else { return };
            match word.as_str() {
                "--file" | "-f" => by = "file",
                "--label" | "-l" | "--fs-label" => by = "label",
                "--fs-uuid" | "-u" => by = "fs-uuid",
                "--set" | "-s" => variable = Some("root".to_owned()),
                _ => match word.strip_prefix("--set=") {
                    Some(name) => variable = Some(name.to_owned()),
                    None if word.starts_with('-') => {}
                    None => names.push(word),
                },
            }
        }
        if short {
            variable = names.get(1).cloned();
        }
        let (Some(name), Some(variable)) = (names.first(), variable) else { return };
        if name.contains("${") {
            return on.forget(&variable);
        }
        if self.look().is_none() {
            return;
        }
        let mut found = Vec::new();
        for (number, volume) in Rc::clone(&self.volumes).iter() {
            let is = match by {
                "file" => self.find(volume, name).is_some(),
                "label" => volume.label == *name,
                "fs-uuid" => volume.uuid.eq_ignore_ascii_case(name),
                _ => false,
            };
            found.extend(is.then_some(*number));
        }
        let line = command.line;
        let volumes = Rc::clone(&self.volumes);
        let holds = self.expect(
            &GRUB_SEARCH,
            !found.is_empty(),
            || on.location(),
            || {
                let words = |(_, v): &Place<'_>| {
                    format!("{}: label {:?}, UUID {}", v.name, v.label, v.uuid)
                };
                let all: Vec<_> = volumes.iter().map(words).collect();
                format!(
                    "line {line}: no file system with {by} {name}; there are {}",
                    all.join(", ")
                )
            },
        );
        if holds {
            on.set_device(&variable, found, command.conditions > on.outer);
        }
    }
}

impl<'a> Reading<'a, '_> {
    fn location(&self) -> Location {
        self.place.1.tree.location(self.id)
    }

    /// A word with what is known of its variables.
    fn expand(&self, word: &Word) -> String {
        word.expand(|name| match name {
            "root" => self.state.root.as_ref().map(|numbers| device(numbers)),
            _ => match self.state.variables.get(name) {
                Some(Value::Text(text)) => Some(text.clone()),
                _ => None,
            },
        })
    }

    /// Where a path leads.
    fn target(&self, path: &str) -> Target {
        if path.contains("${") {
            return Target::Elsewhere;
        }
        if let Some((device, path)) = path.strip_prefix('(').and_then(|path| path.split_once(')')) {
            // A list of blocks is no path.
            return match numbers(device).filter(|_| path.starts_with('/')) {
                Some(numbers) => Target::Image(numbers, path.to_owned()),
                None => Target::Elsewhere,
            };
        }
        match &self.state.root {
            Some(numbers) if path.starts_with('/') => {
                Target::Image(numbers.clone(), path.to_owned())
            }
            _ => Target::Elsewhere,
        }
    }

    /// Sets a variable as `name=value` says. False where there are too many.
    fn assign(&mut self, text: &str, conditional: bool) -> bool {
        let Some((name, value)) = text.split_once('=') else { return true };
        if name == "root" {
            let device = value.trim_start_matches('(').trim_end_matches(')');
            match numbers(device) {
                Some(numbers) => self.set_device(name, numbers, conditional),
                // Perhaps it stays what it was.
                None if conditional => {}
                None => self.state.root = None,
            }
            return true;
        }
        let known = !conditional && !value.contains("${") && value.len() <= MAX_VALUE;
        let value = if known { Value::Text(value.to_owned()) } else { Value::Unknown };
        self.set(name, value)
    }

    /// Sets a variable. False where there are too many.
    fn set(&mut self, name: &str, value: Value) -> bool {
        let variables = &mut self.state.variables;
        let fits = name.len() <= MAX_VALUE
            && (variables.len() < MAX_VARIABLES || variables.contains_key(name));
        if fits {
            variables.insert(name.to_owned(), value);
        }
        fits
    }

    /// Sets a variable to one of these file systems.
    fn set_device(&mut self, name: &str, mut numbers: Vec<usize>, conditional: bool) {
        if name != "root" {
            self.set(name, Value::Text(device(&numbers)));
            return;
        }
        if conditional && let Some(old) = &self.state.root {
            numbers.extend(old);
            numbers.sort_unstable();
            numbers.dedup();
        }
        self.state.root = Some(numbers);
    }

    fn forget(&mut self, name: &str) {
        match name {
            "root" => self.state.root = None,
            _ => _ = self.set(name, Value::Unknown),
        }
    }
}

/// The name of a device that is one of these file systems.
fn device(numbers: &[usize]) -> String {
    let numbers: Vec<_> = numbers.iter().map(ToString::to_string).collect();
    format!("{OURS}{}", numbers.join("+"))
}

/// The file systems that a name of a device stands for; `None` for one of another disk.
fn numbers(device: &str) -> Option<Vec<usize>> {
    if matches!(device, "cd" | "cd0") {
        return Some(vec![DISC]);
    }
    device.strip_prefix(OURS)?.split('+').map(|number| number.parse().ok()).collect()
}
