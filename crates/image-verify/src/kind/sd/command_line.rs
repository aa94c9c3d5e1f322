//! The command line of a kernel: which file system is the root, and what is started in it.

use std::{collections::BTreeMap, rc::Rc};

use image_formats::elf;
use image_model::Location;

use super::{CONSOLE, INIT, INIT_ARCHITECTURE, Judge, KERNEL_PARAMS, Place, ROOT, initrd::Initrd};
use crate::{
    disk::{Partition, PartitionType, Table},
    tree::{Kind, NodeId, Unresolved, display},
    volume::{Family, MAX_TEXT, Volume},
};

/// How much of a program tells what it is.
const HEAD: u64 = 4096;

/// What a word of the command line says about the root.
enum Reference<'a> {
    /// It is this volume.
    Found(Place<'a>),
    /// It is not on this disk, although a name like this should be.
    NotThere(String),
    /// It depends on the machine.
    Unknown,
}

impl<'a> Judge<'a, '_> {
    /// Judges a command line that comes from `place`, once.
    pub(super) fn command_line(
        &mut self,
        place: Place<'a>,
        at: Location,
        line: &str,
        initrds: &[Rc<Initrd>],
    ) {
        if !self.lines.insert((place.0.number, line.to_owned())) {
            return;
        }
        let words = words(line);
        let value = |key: &str| {
            let mut values = words.iter().filter_map(|word| word.strip_prefix(key));
            values.next_back().and_then(|rest| rest.strip_prefix('='))
        };
        let console = words.iter().any(|word| word.starts_with("console="));
        self.expect(
            &CONSOLE,
            console,
            || at.clone(),
            || "no console=: the kernel chooses where its messages go".to_owned(),
        );
        let root = self.root(&at, value("root"), initrds);
        let root = root.or_else(|| self.likely_root(place));
        let Some(root) = root else { return };
        let init = value("init");
        let path = init.unwrap_or("/sbin/init");
        // Which of the file systems then has it is not followed.
        if path.starts_with("/nix/") && initrds.iter().any(|initrd| initrd.mounts_store()) {
            return;
        }
        self.init(&at, root.1, path);
        if let Some(toplevel) = init.and_then(|init| init.strip_suffix("/init")) {
            self.kernel_params(&at, root.1, toplevel, line);
        }
    }

    /// The root that `root=`, or a table in the initramfs, names.
    fn root(
        &mut self,
        at: &Location,
        root: Option<&str>,
        initrds: &[Rc<Initrd>],
    ) -> Option<Place<'a>> {
        let (name, source) = match root {
            // What is unpacked later replaces what is there.
            Some("fstab") | None => {
                let device = initrds.iter().rev().find_map(|initrd| initrd.root_device());
                (device?, "the initramfs's table")
            }
            Some(root) => (root.to_owned(), "root="),
        };
        let found = self.device(&name);
        let missing = match &found {
            Reference::NotThere(what) => Some(what.clone()),
            Reference::Found(_) => None,
            Reference::Unknown => return None,
        };
        self.expect(
            &ROOT,
            missing.is_none(),
            || at.clone(),
            || {
                let all: Vec<String> = self
                    .disk
                    .volumes()
                    .map(|(_, v)| format!("{}: label {:?}, UUID {}", v.name, v.label, v.uuid))
                    .collect();
                format!(
                    "{source} names {name}: no {}; there are {}",
                    missing.unwrap_or_default(),
                    all.join(", ")
                )
            },
        );
        match found {
            Reference::Found(place) => Some(place),
            _ => None,
        }
    }

    /// A device by one of the names that Linux and udev give it.
    fn device(&self, name: &str) -> Reference<'a> {
        let by = |short: &str, long: &str| {
            let long = format!("/dev/disk/by-{long}/");
            name.strip_prefix(short).or_else(|| name.strip_prefix(&long)).map(unescape)
        };
        let found = |what: String, matches: &dyn Fn(&Place<'a>) -> bool| {
            match self.disk.volumes().find(|place| matches(place)) {
                Some(place) => Reference::Found(place),
                // Its name may be that of what is not read.
                None if self.disk.has_unread() => Reference::Unknown,
                None => Reference::NotThere(what),
            }
        };
        let partition = |what: String, matches: &dyn Fn(&Partition) -> bool| {
            let found = self.disk.partitions.iter().find(|partition| matches(partition));
            match found.map(|partition| (partition, partition.volume.as_ref())) {
                Some((partition, Some(volume))) => Reference::Found((partition, volume)),
                Some((_, None)) => Reference::Unknown,
                None => Reference::NotThere(what),
            }
        };
        if let Some(label) = by("LABEL=", "label") {
            return found(format!("file system has the label {label}"), &|(_, v)| v.label == label);
        }
        if let Some(uuid) = by("UUID=", "uuid") {
            let what = format!("file system has the UUID {uuid}");
            return found(what, &|(_, v)| v.uuid.eq_ignore_ascii_case(&uuid));
        }
        if let Some(label) = by("PARTLABEL=", "partlabel") {
            let what = format!("partition has the name {label}");
            return partition(what, &|p| p.label.as_ref() == Some(&label));
        }
        // `/PARTNROFF=1` after it is another partition, counted from this one.
        let uuid = by("PARTUUID=", "partuuid").filter(|uuid| !uuid.contains('/'));
        if let Some(uuid) = uuid {
            let what = format!("partition has the UUID {uuid}");
            return partition(what, &|p| {
                let ours = match (p.kind, self.disk.table) {
                    (PartitionType::Gpt { unique, .. }, _) => unique.to_string(),
                    (_, Some(Table::Mbr { signature })) => {
                        format!("{signature:08x}-{:02x}", p.number)
                    }
                    _ => return false,
                };
                ours.eq_ignore_ascii_case(&uuid)
            });
        }
        if let Some(number) = numbered(name) {
            return partition(format!("partition {number}"), &|p| p.number == number);
        }
        Reference::Unknown
    }

    /// The file system that is the root where nothing says so.
    fn likely_root(&self, place: Place<'a>) -> Option<Place<'a>> {
        let is_root = |volume: &Volume| {
            volume.family == Family::Ext
                && ["/nix/store", "/sbin/init", "/usr/sbin/init", "/init"]
                    .iter()
                    .any(|path| volume.tree.lookup(path.as_bytes()).is_ok())
        };
        let own = Some(place).filter(|(_, volume)| is_root(volume));
        own.or_else(|| self.disk.volumes().find(|(_, volume)| is_root(volume)))
    }

    fn init(&mut self, at: &Location, root: &'a Volume, path: &str) {
        let found = program(root, path.as_bytes());
        let problem = found.as_ref().err().cloned();
        self.expect(
            &INIT,
            problem.is_none(),
            || at.clone(),
            || format!("the first program, {path}: {}", problem.unwrap_or_default()),
        );
        let Ok(mut id) = found else { return };
        let mut name = path.to_owned();
        if let Some(interpreter) = script(root, id) {
            let found = program(root, &interpreter);
            name = display(&interpreter);
            self.expect(
                &INIT,
                found.is_ok(),
                || at.clone(),
                || {
                    let problem = found.as_ref().err().cloned().unwrap_or_default();
                    format!("the first program, {path}, is run by {name}: {problem}")
                },
            );
            let Ok(found) = found else { return };
            id = found;
        }
        let machine = root.head(id, HEAD).ok().and_then(|head| {
            let header = elf::Header::from_prefix(&head)?;
            Some(if header.is_elf64_le() { header.machine().to_string() } else { "32 bits".into() })
                .filter(|_| head.starts_with(b"\x7fELF"))
        });
        let right = machine.as_deref() == Some("aarch64");
        self.expect(
            &INIT_ARCHITECTURE,
            right,
            || root.tree.location(id),
            || match machine {
                Some(machine) => format!("{name} is for {machine}, not for aarch64"),
                None => format!("{name} is neither a script nor an ELF program"),
            },
        );
    }

    /// NixOS writes its parameters beside its first program, and the boot loader's file repeats
    /// them.
    fn kernel_params(&mut self, at: &Location, root: &'a Volume, toplevel: &str, line: &str) {
        let Some(id) = root.find_file(format!("{toplevel}/kernel-params").as_bytes()) else {
            return;
        };
        let Ok(params) = root.content(id, MAX_TEXT) else { return };
        let params = String::from_utf8_lossy(&params);
        let count = |words: Vec<String>| {
            let mut counts = BTreeMap::new();
            for word in words.into_iter().filter(|w| !w.starts_with("init=")) {
                *counts.entry(word).or_insert(0_u32) += 1;
            }
            counts
        };
        // Debian's and systemd's tools put words of their own in front.
        let (ours, theirs) = (count(words(line)), count(words(&params)));
        let lost: Vec<&str> = theirs
            .iter()
            .filter(|(word, n)| ours.get(*word).is_none_or(|m| m < *n))
            .map(|(word, _)| word.as_str())
            .collect();
        let more: Vec<&str> = ours
            .iter()
            .filter(|(word, n)| theirs.get(*word).is_none_or(|m| m < *n))
            .map(|(word, _)| word.as_str())
            .collect();
        let same = lost.is_empty() && more.is_empty();
        self.expect(
            &KERNEL_PARAMS,
            same,
            || at.clone(),
            || {
                let mut parts = Vec::new();
                if !more.is_empty() {
                    parts.push(format!("has {}", more.join(" ")));
                }
                if !lost.is_empty() {
                    parts.push(format!("lacks {}", lost.join(" ")));
                }
                format!("{}, unlike {toplevel}/kernel-params", parts.join(" and "))
            },
        );
    }
}

/// The executable file that a path leads to; or, in words, why there is none.
fn program(root: &Volume, path: &[u8]) -> Result<NodeId, String> {
    let found = root.tree.resolve(path).map_err(|error| match error {
        Unresolved::NotFound { path: missing, .. } if missing == path => "not there".to_owned(),
        Unresolved::NotFound { path, .. } => format!("leads to {}, not there", display(&path)),
        Unresolved::NotADirectory(_) => "leads through a file".to_owned(),
        Unresolved::Loop(_) => "a loop of symlinks".to_owned(),
    })?;
    let node = root.tree.node(found.node);
    match &node.kind {
        Kind::File(_) if node.mode & 0o111 == 0 => {
            Err(format!("mode {:04o}, not executable", node.mode))
        }
        Kind::File(_) if node.size == 0 => Err("empty".to_owned()),
        Kind::File(_) => Ok(found.node),
        other => Err(format!("a {}, not a file", other.as_str())),
    }
}

/// What runs a script; `None` for what is no script.
fn script(root: &Volume, id: NodeId) -> Option<Vec<u8>> {
    let head = root.head(id, HEAD).ok()?;
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let word = line.split(u8::is_ascii_whitespace).find(|word| !word.is_empty())?;
    Some(word.to_vec())
}

/// The words of a command line: double quotes keep spaces together.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_ascii_whitespace() && !quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// The number of the partition in a name such as `/dev/mmcblk0p2`, `/dev/sda2` and `/dev/vda2`.
fn numbered(name: &str) -> Option<u32> {
    let rest = name.strip_prefix("/dev/")?;
    let part = if let Some(rest) = rest.strip_prefix("mmcblk").or_else(|| rest.strip_prefix("nvme"))
    {
        rest.rsplit_once('p')?.1
    } else {
        let rest = rest.strip_prefix("sd").or_else(|| rest.strip_prefix("vd"))?;
        rest.trim_start_matches(|c: char| c.is_ascii_lowercase())
    };
    part.parse().ok()
}

/// A name as udev writes it into a path: `\x20` is a space.
fn unescape(name: &str) -> String {
    let mut text = Vec::new();
    let mut rest = name.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = rest.strip_prefix(b"\\x").and_then(|digits| digits.get(..2));
        let digits = digits.and_then(|digits| str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                text.push(byte);
                rest = &rest[4..];
            }
            None => {
                text.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_devices_are_understood() {
        for (name, number) in [
            ("/dev/mmcblk0p2", Some(2)),
            ("/dev/nvme0n1p12", Some(12)),
            ("/dev/sda1", Some(1)),
            ("/dev/vdab3", Some(3)),
            ("/dev/sda", None),
            ("/dev/mmcblk0", None),
            ("/dev/md0", None),
            ("tmpfs", None),
        ] {
            assert_eq!(numbered(name), number, "{name}");
        }
        assert_eq!(unescape("a\\x20b\\x2"), "a b\\x2");
    }

    #[test]
    fn quotes_keep_spaces() {
        assert_eq!(words(" a=\"b c\"  d\n"), ["a=b c", "d"]);
    }
}
