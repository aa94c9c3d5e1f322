//! What ISOLINUX does with a disc: it looks for its modules and its configuration, and follows it.
//! SYSLINUX 6, `core/fs/iso9660`, `core/elflink/load_env32.c`.

use std::collections::BTreeMap;

use image_formats::bytes::Region;
use image_model::Location;

use super::{
    FILE_CASE, ISOLINUX_DEFAULT, ISOLINUX_FILE, ISOLINUX_INCLUDE, ISOLINUX_MODULE, Judge, Place,
    is_file,
    isolinux_cfg::{self, Config, Label, Type},
    linux::Start,
};
use crate::{
    el_torito::BootImage,
    kind::boot::{Processor, paths::lexical},
    tree::{NodeId, display},
    volume::{MAX_TEXT, Volume},
};

/// Where the configuration is looked for, in this order.
const FOLDERS: [&str; 5] = ["/boot/isolinux", "/isolinux", "/boot/syslinux", "/syslinux", "/"];

/// Its names, each in each folder: `isolinux.cfg` first.
const NAMES: [&str; 2] = ["isolinux.cfg", "syslinux.cfg"];

/// The module that all others need, from version 5 on.
const CORE: &str = "ldlinux.c32";

/// How ISOLINUX starts to say what it is.
const NAME: &[u8] = b"ISOLINUX ";

/// Libraries that modules need, from version 5 on.
const LIBRARIES: [&str; 5] =
    ["libcom32.c32", "libutil.c32", "libgpl.c32", "libmenu.c32", "liblua.c32"];

/// The most of a module, and of ISOLINUX itself, that is searched for names.
const MAX_MODULE: u64 = 1 << 20;

/// How many files make one initramfs.
const MAX_INITRDS: usize = 64;

/// How many labels are named where there is none of a name.
const MAX_NAMED: usize = 64;

/// How many modules are searched for the names of libraries.
const MAX_MODULES: usize = 64;

/// Ends of names that are no kernels: they are started in other ways.
const OTHERS: [&str; 7] = [".0", ".bin", ".bs", ".bss", ".com", ".cbt", ".img"];

impl<'a> Judge<'a, '_> {
    /// Why ISOLINUX, which is this image, starts nothing; empty if it does.
    pub(super) fn isolinux(&mut self, image: &BootImage) -> Vec<String> {
        let Some(place) = self.disc() else {
            return vec!["ISOLINUX needs files of a disc that cannot be read".to_owned()];
        };
        let (_, volume) = place;
        let mut problems = Vec::new();
        if version(&image.region).is_some_and(|version| version >= 5) {
            let found = FOLDERS.iter().find_map(|folder| self.lookup(volume, folder, CORE));
            let at = || image.file.map_or_else(|| volume.at.clone(), |id| volume.tree.location(id));
            let held = self.expect(&ISOLINUX_MODULE, found.is_some(), at, || {
                format!(
                    "no {CORE} in {}: ISOLINUX 5 and later stops without it",
                    FOLDERS.join(", ")
                )
            });
            if !held {
                problems.push(format!("ISOLINUX finds no {CORE}"));
            }
        }
        let mut configs = FOLDERS.iter().flat_map(|folder| NAMES.map(|name| (*folder, name)));
        let found =
            configs.find_map(|(folder, name)| Some((folder, self.lookup(volume, folder, name)?)));
        let Some((folder, id)) = found else {
            problems.push(format!("ISOLINUX finds no isolinux.cfg in {}", FOLDERS.join(", ")));
            return problems;
        };
        let Some(text) = self.text(place, id) else {
            problems.push("isolinux.cfg cannot be read".to_owned());
            return problems;
        };
        let config = isolinux_cfg::parse(&text, &mut |file| {
            let id = self.lookup(volume, folder, file).ok_or("not there")?;
            let content = volume.content(id, MAX_TEXT).map_err(|error| error.to_string())?;
            Ok(String::from_utf8_lossy(&content).into_owned())
        });
        if !self.labels_of(place, id, folder, &config) {
            let name = display(&volume.tree.path(id));
            problems.push(format!("what {name} starts by itself is not all there"));
        }
        problems
    }

    /// Judges what a configuration says. True if it starts what it starts by itself.
    fn labels_of(&mut self, place: Place<'a>, id: NodeId, folder: &str, config: &Config) -> bool {
        let (_, volume) = place;
        let at = || volume.tree.location(id);
        for (file, why) in &config.includes {
            self.expect(&ISOLINUX_INCLUDE, why.is_none(), at, || {
                format!("INCLUDE {file}: {}", why.clone().unwrap_or_default())
            });
        }
        if config.more {
            self.limit("more of isolinux.cfg than is followed");
        }
        let named = |word: &str| config.labels.iter().position(|label| label.name == word);
        let default = config.default.as_deref().unwrap_or_default();
        let word = first(default);
        let timeout = first(config.ontimeout.as_deref().unwrap_or_default());
        let chosen = named(word);
        // A menu has a choice of its own where DEFAULT is the menu.
        let own = || config.labels.iter().position(|label| label.default && !label.disabled);
        let shown = || config.labels.iter().position(|label| !label.disabled);
        let by_itself = chosen.or_else(own).or_else(shown);
        let late = named(timeout);
        let mut starts = BTreeMap::new();
        let followed = |index: &usize| !config.labels[*index].disabled;
        let others = (0..config.labels.len()).filter(followed);
        for index in by_itself.into_iter().chain(late).chain(others) {
            starts.entry(index).or_insert_with(|| {
                let label = &config.labels[index];
                self.label(place, at(), folder, config, label)
            });
        }
        let ui = config.ui.as_ref();
        let ui = ui.is_some_and(|ui| self.module_of(place, at(), folder, config, ui, "UI"));
        let file = self.lookup(volume, folder, word).filter(|_| !word.is_empty());
        let module = chosen.is_some()
            || is_module(word) && self.module_of(place, at(), folder, config, default, "DEFAULT");
        let something = chosen.is_some() || file.is_some() || is_module(word);
        let nothing = word.is_empty() && config.ui.is_some();
        let labels = || {
            let labels = config.labels.iter().take(MAX_NAMED);
            labels.map(|label| label.name.as_str()).collect::<Vec<_>>().join(", ")
        };
        self.expect(&ISOLINUX_DEFAULT, something || nothing, at, || match word {
            "" => "neither DEFAULT nor UI".to_owned(),
            _ => format!("DEFAULT is {word}, no file, and the labels are {}", labels()),
        });
        let waits = timeout.is_empty()
            || late.is_some()
            || is_module(timeout)
            || self.lookup(volume, folder, timeout).is_some();
        self.expect(&ISOLINUX_DEFAULT, waits, at, || {
            format!("ONTIMEOUT is {timeout}, no file, and the labels are {}", labels())
        });
        // A menu that cannot be loaded leaves a prompt.
        if config.ui.is_some() && !ui || config.ui.is_none() && is_module(word) && !module {
            return false;
        }
        let local = |chosen: &usize| config.labels[*chosen].kind == Type::Local;
        match by_itself {
            // It starts what is on the machine, and the others are for who chooses.
            Some(chosen) if local(&chosen) => starts.values().any(|starts| *starts),
            Some(chosen) => starts.get(&chosen) == Some(&true),
            None => ui || module || file.is_some(),
        }
    }

    /// Judges one label. True if it starts.
    fn label(
        &mut self,
        place: Place<'a>,
        at: Location,
        folder: &str,
        config: &Config,
        label: &Label,
    ) -> bool {
        let (_, volume) = place;
        let what = format!("label {} (line {})", label.name, label.line);
        let name = label.kernel.split_ascii_whitespace().next().unwrap_or_default();
        let lower = name.to_ascii_lowercase();
        match label.kind {
            Type::Local => return false,
            Type::Com32 => {
                return self.module_of(place, at, folder, config, &label.kernel, &what);
            }
            Type::Kernel if is_module(&lower) => {
                return self.module_of(place, at, folder, config, &label.kernel, &what);
            }
            _ => {}
        }
        let kernel = self.lookup(volume, folder, name);
        let here = || at.clone();
        let found = self
            .expect(&ISOLINUX_FILE, kernel.is_some(), here, || format!("{what}: no file {name}"));
        let Some(kernel) = kernel.filter(|_| found) else { return false };
        self.spelling(volume, folder, name, &at);
        let other = label.kind == Type::Kernel && OTHERS.iter().any(|end| lower.ends_with(end));
        if other || matches!(label.kind, Type::Other | Type::Config) {
            return true;
        }
        let append = match label.append.as_deref() {
            None | Some("-") => "",
            Some(append) => append,
        };
        let in_append = append.split_ascii_whitespace().filter_map(|w| w.strip_prefix("initrd="));
        let mut initrds = Vec::new();
        let mut all = true;
        let lists = in_append.chain(label.initrd.as_deref());
        for (index, name) in lists.flat_map(|list| list.split(',')).enumerate() {
            if index >= MAX_INITRDS {
                self.limit("more files of an initramfs than are followed");
                break;
            }
            let name = name.trim();
            if name.is_empty() {
                continue;
            }
            let id = self.lookup(volume, folder, name);
            all &= self.expect(&ISOLINUX_FILE, id.is_some(), here, || {
                format!("INITRD of {what}: no file {name}")
            });
            if id.is_some() {
                self.spelling(volume, folder, name, &at);
            }
            initrds.extend(id.map(|id| (place, id)));
        }
        // What follows the name of a kernel comes before what is appended.
        let more = label.kernel.split_once(|c: char| c.is_ascii_whitespace()).map_or("", |w| w.1);
        let line = format!("{more} {append}");
        // memdisk has the header of a kernel, and its initramfs is an image of a floppy.
        let memdisk = lower.ends_with("memdisk");
        let start = Start {
            kernel: (place, kernel),
            initrds: if memdisk { Vec::new() } else { initrds },
            line: line.trim().to_owned(),
            processors: &[Processor::X86_64],
            at,
            complete: !memdisk,
            bios: true,
        };
        self.start(&start).is_some() && all
    }

    /// Judges a module, and what it needs. `value` has its name, and then its arguments.
    fn module_of(
        &mut self,
        (_, volume): Place<'a>,
        at: Location,
        folder: &str,
        config: &Config,
        value: &str,
        what: &str,
    ) -> bool {
        let name = value.split_ascii_whitespace().next().unwrap_or_default();
        let name = if is_module(name) { name.to_owned() } else { format!("{name}.c32") };
        let found = self.search(volume, folder, config, &name);
        self.expect(
            &ISOLINUX_FILE,
            found.is_some(),
            || at.clone(),
            || format!("{what}: no module {name}"),
        );
        let Some(id) = found else { return false };
        let mut whole = true;
        for library in self.libraries(volume, id) {
            let there = self.search(volume, folder, config, library);
            whole &= self.expect(
                &ISOLINUX_MODULE,
                there.is_some(),
                || volume.tree.location(id),
                || format!("no {library}, which {name} needs"),
            );
        }
        whole
    }

    /// The libraries that a module names: from version 5 on modules are ELF files.
    fn libraries(&mut self, volume: &Volume, id: NodeId) -> Vec<&'static str> {
        if let Some(known) = self.modules.get(&id) {
            return known.clone();
        }
        if self.modules.len() >= MAX_MODULES {
            self.limit("more modules of ISOLINUX than are read");
            return Vec::new();
        }
        let content = volume.head(id, MAX_MODULE).unwrap_or_default();
        let named = |library: &&str| {
            let name = [b"\0", library.as_bytes(), b"\0"].concat();
            content.windows(name.len()).any(|window| window == name)
        };
        let all = LIBRARIES.into_iter().filter(|_| content.starts_with(b"\x7fELF"));
        let found: Vec<_> = all.filter(named).collect();
        self.modules.insert(id, found.clone());
        found
    }

    /// A module, as ISOLINUX finds it: beside its configuration, in PATH, and in the folders where
    /// its first module may be.
    fn search(
        &mut self,
        volume: &Volume,
        folder: &str,
        config: &Config,
        name: &str,
    ) -> Option<NodeId> {
        let more = config.path.iter().map(String::as_str).chain(FOLDERS);
        [folder].into_iter().chain(more).find_map(|folder| self.lookup(volume, folder, name))
    }

    /// A file as ISOLINUX finds it: from a folder, or from the root, whatever the case of its
    /// letters.
    fn lookup(&mut self, volume: &Volume, folder: &str, name: &str) -> Option<NodeId> {
        let path = join(folder, name);
        self.caseless(volume, &path).filter(|id| is_file(volume, *id))
    }

    /// Tells where a file has other letters than its name in a configuration.
    fn spelling(&mut self, volume: &Volume, folder: &str, name: &str, at: &Location) {
        let path = join(folder, name);
        let exact = self.find(volume, &path).is_some();
        let other = if exact { None } else { self.caseless(volume, &path) };
        let other = other.map(|id| display(&volume.tree.path(id))).unwrap_or_default();
        self.expect(
            &FILE_CASE,
            exact,
            || at.clone(),
            || format!("{path} is {other} on {}", volume.name),
        );
    }
}

fn join(folder: &str, name: &str) -> String {
    lexical(&if name.starts_with('/') { name.to_owned() } else { format!("{folder}/{name}") })
}

/// The first word of a value.
fn first(value: &str) -> &str {
    value.split_ascii_whitespace().next().unwrap_or_default()
}

fn is_module(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(".c32")
}

/// The major version that ISOLINUX says it has. What comes after that message is compressed.
fn version(region: &Region) -> Option<u32> {
    let len = region.len().min(MAX_MODULE);
    let bytes = region.bytes("ISOLINUX", 0, len, MAX_MODULE).ok()?;
    let at = bytes.windows(NAME.len()).position(|window| window == NAME)?;
    let digits = bytes[at + NAME.len()..].iter().take(3).take_while(|byte| byte.is_ascii_digit());
    digits.fold(None, |number, digit| Some(number.unwrap_or(0) * 10 + u32::from(digit - b'0')))
}
