//! The command line of a kernel: which file system is the root, and what is started in it.

use std::rc::Rc;

use image_model::Location;

use super::{CONSOLE, INIT, INIT_ARCHITECTURE, Judge, KERNEL_PARAMS, Place, ROOT};
use crate::{
    disk::{Partition, PartitionType, Table},
    kind::boot::{
        Processor,
        command_line::{self, Difference, unescape, words},
        init,
        initrd::Initrd,
    },
    store::Entry,
    tree::display,
    volume::{Family, MAX_TEXT, Volume},
};

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
        let value = |key: &str| command_line::value(&words, key);
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
        if init.is_some() {
            let (what, path) = ("init=".to_owned(), path.as_bytes().to_vec());
            self.entries.push((root.0.number, Entry { what, path, at: at.clone() }));
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
        let found = init::program(root, path.as_bytes());
        let problem = found.as_ref().err().cloned();
        self.expect(
            &INIT,
            problem.is_none(),
            || at.clone(),
            || format!("the first program, {path}: {}", problem.unwrap_or_default()),
        );
        let Ok(mut id) = found else { return };
        let mut name = path.to_owned();
        if let Some(interpreter) = init::script(root, id) {
            let found = init::program(root, &interpreter);
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
        let found = init::is_for(Processor::Aarch64, root, id, &name);
        self.expect(
            &INIT_ARCHITECTURE,
            found.is_ok(),
            || root.tree.location(id),
            || found.err().unwrap_or_default(),
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
        // Debian's and systemd's tools put words of their own in front.
        let Difference { more, lost } = Difference::of(line, &params);
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
    }
}
