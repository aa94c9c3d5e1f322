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
        paths::find,
    },
    tree::NodeId,
};

/// How many files one configuration leads to.
const MAX_FILES: usize = 32;

/// How many commands of a file are followed, and how many blocks.
const MAX_COMMANDS: usize = 1 << 16;
const MAX_BLOCKS: usize = 512;

/// How deep blocks lie in each other.
const MAX_DEPTH: usize = 16;

/// How many variables there are, and how long their values.
const MAX_VARIABLES: usize = 256;
const MAX_VALUE: usize = 1024;

/// The longest command line, and the most files of one initramfs, that are followed.
const MAX_LINE: usize = 64 << 10;
const MAX_INITRDS: usize = 64;

/// How many files are looked for in all.
pub(super) const MAX_LOOKUPS: u32 = 1 << 12;

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
                if seen.len() < MAX_FILES && seen.insert(file) {
                    queue.push((file, state));
                }
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
        for command in grub::commands(text).take(MAX_COMMANDS) {
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
                if opened > MAX_BLOCKS {
                    break;
                }
                if blocks.len() < MAX_DEPTH {
                    blocks.push((command.depth, on.outer, on.state.clone()));
                    on.outer = command.conditions;
                }
                continue;
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
                    on.assign(word, conditional);
                }
            }
            "source" | "." | "configfile" | "extract_entries_source" => {
                let Some(word) = command.arguments().first() else { return };
                let path = on.expand(word);
                let Some(found) = self.file(on, command, &path) else { return };
                if let Some(((number, _), id)) = found.filter(|_| on.next.len() < MAX_FILES) {
                    on.next.push(((number, id), on.state.clone()));
                }
            }
            "chainloader" => {
                let options = |word: &&Word| word.text().is_some_and(|w| w.starts_with("--"));
                let word = command.arguments().iter().find(|word| !options(word));
                let Some(word) = word else { return };
                let path = on.expand(word);
                if let Some(Some((place, id))) = self.file(on, command, &path) {
                    on.offer.other = true;
                    self.efi_program(place, id, on.processors);
                }
            }
            "multiboot" | "multiboot2" | "kfreebsd" | "knetbsd" | "kopenbsd" | "xen_hypervisor"
            | "ntldr" | "appleloader" | "freedos" => on.offer.other = true,
            name if name.contains('=') => {
                if let Some(word) = command.words.first() {
                    on.assign(word, conditional);
                }
            }
            _ => {
                // `name=$value` has a variable in its first word.
                if let Some(word) = command.words.first().filter(|word| word.text().is_none()) {
                    on.assign(word, conditional);
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
        self.lookups = self.lookups.checked_sub(1)?;
        let at = on.location();
        let found = numbers.iter().find_map(|number| {
            let place = self.numbered(*number)?;
            Some((place, self.named(place, &path, &at)?))
        });
        let (name, line) = (command.name(), command.line);
        if found.is_none() && on.tested.is_some() {
            return Some(None);
        }
        let volumes = Rc::clone(&self.volumes);
        self.expect(
            &GRUB_FILE,
            found.is_some(),
            || on.location(),
            || {
                let names: Vec<_> =
                    numbers.iter().filter_map(|number| name_of(&volumes, *number)).collect();
                format!("line {line}, {name}: no file {path} on {}", names.join(" or "))
            },
        );
        Some(found)
    }

    fn linux(&mut self, on: &mut Reading<'a, '_>, command: &Command) {
        self.finish(on);
        let mut words = Vec::new();
        let mut len = 0;
        for word in command.arguments() {
            let word = on.expand(word);
            len += word.len();
            if len > MAX_LINE {
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
        // A variable that nobody sets is nothing.
        let rest: Vec<_> = rest.iter().filter(|word| !word.contains("${")).collect();
        on.entry = Some(Entry {
            kernel,
            initrds: Vec::new(),
            line: grub::line(rest),
            whole: true,
            known: true,
        });
    }

    fn initrd_of(&mut self, on: &mut Reading<'a, '_>, command: &Command) {
        for word in command.arguments().iter().take(MAX_INITRDS) {
            let path = on.expand(word);
            let found = self.file(on, command, &path);
            let Some(entry) = &mut on.entry else { continue };
            match found {
                // `newc:` and a variable, for example.
                None => entry.known = false,
                Some(None) => entry.whole = false,
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
            let word = on.expand(word);
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
        let Some(left) = self.lookups.checked_sub(1) else { return };
        self.lookups = left;
        let mut found = Vec::new();
        for (number, volume) in Rc::clone(&self.volumes).iter() {
            let is = match by {
                "file" => find(volume, name).or_else(|| self.caseless(volume, name)).is_some(),
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

fn name_of(volumes: &[Place<'_>], number: usize) -> Option<String> {
    let found = volumes.iter().find(|(other, _)| *other == number);
    found.map(|(_, volume)| volume.name.clone())
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

    /// Sets a variable as `name=value` says.
    fn assign(&mut self, word: &Word, conditional: bool) {
        let text = self.expand(word);
        let Some((name, value)) = text.split_once('=') else { return };
        if name == "root" {
            let device = value.trim_start_matches('(').trim_end_matches(')');
            match numbers(device) {
                Some(numbers) => self.set_device(name, numbers, conditional),
                // Perhaps it stays what it was.
                None if conditional => {}
                None => self.state.root = None,
            }
            return;
        }
        let known = !conditional && !value.contains("${") && value.len() <= MAX_VALUE;
        let value = if known { Value::Text(value.to_owned()) } else { Value::Unknown };
        self.set(name, value);
    }

    fn set(&mut self, name: &str, value: Value) {
        let variables = &mut self.state.variables;
        if name.len() <= MAX_VALUE
            && (variables.len() < MAX_VARIABLES || variables.contains_key(name))
        {
            variables.insert(name.to_owned(), value);
        }
    }

    /// Sets a variable to one of these file systems.
    fn set_device(&mut self, name: &str, mut numbers: Vec<usize>, conditional: bool) {
        if name != "root" {
            return self.set(name, Value::Text(device(&numbers)));
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
            _ => self.set(name, Value::Unknown),
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
