//! The command line of a kernel: which disc it looks for, and what is started in it.

use std::rc::Rc;

use image_model::Location;

use super::{
    FINDISO, INIT, INIT_ARCHITECTURE, Judge, KERNEL_PARAMS, MAX_LINES, ROOT, STORE_FILE,
    linux::Kernel,
    store::{Mounted, STORE, is_store},
};
use crate::{
    kind::boot::{
        Processor,
        command_line::{Difference, unescape_bytes, value, words},
        init,
        initrd::Initrd,
    },
    squashfs,
    store::Entry,
    tree::display,
    volume::{MAX_TEXT, Volume},
};

/// Words that name the disc by its label: the key, and what stands before the label.
const BY_LABEL: [(&str, &str); 8] = [
    ("root", "LABEL="),
    ("root", "/dev/disk/by-label/"),
    // dracut, of Fedora and openSUSE.
    ("root", "live:CDLABEL="),
    ("root", "live:LABEL="),
    ("root", "live:/dev/disk/by-label/"),
    // Anaconda.
    ("inst.stage2", "hd:LABEL="),
    // archiso.
    ("archisolabel", ""),
    ("misolabel", ""),
];

/// Where the disc is mounted: with and without the root that is being made.
const ISO: [&str; 3] = ["/iso", "/sysroot/iso", "/mnt-root/iso"];

/// Where the SquashFS of the store is mounted.
const RO_STORE: [&str; 3] = ["/nix/.ro-store", "/sysroot/nix/.ro-store", "/mnt-root/nix/.ro-store"];

/// The device that the scripts of stage 1 make of `root=`.
const DEV_ROOT: &str = "/dev/root";

impl<'a> Judge<'a, '_> {
    /// Judges a command line, once. `known` says that all files for the initramfs are.
    pub(super) fn command_line(
        &mut self,
        at: &Location,
        line: &str,
        kernel: Kernel,
        initrds: &[Rc<Initrd>],
        known: bool,
    ) {
        if self.lines.contains(line) {
            return;
        }
        if self.lines.len() >= MAX_LINES {
            return self.limit("more command lines than are judged");
        }
        self.lines.insert(line.to_owned());
        let words = words(line);
        self.label_of(at, &words);
        let store = known.then(|| self.mounts(at, &words, initrds)).flatten();
        if value(&words, "findiso").is_some() {
            self.findiso(at, "findiso=", initrds);
        }
        let Some(path) = value(&words, "init") else { return };
        let Some(mounted) = self.root_of(path, store) else { return };
        self.init(at, mounted, path, kernel);
        if let Some(toplevel) = path.strip_suffix("/init") {
            self.kernel_params(at, mounted, toplevel, line);
        }
    }

    /// The label in the command line.
    fn label_of(&mut self, at: &Location, words: &[String]) {
        let Some((_, disc)) = self.disc() else { return };
        for (key, prefix) in BY_LABEL {
            let Some(label) = value(words, key).and_then(|value| value.strip_prefix(prefix)) else {
                continue;
            };
            // Anaconda has a path after it, which no label of a disc has.
            let label = label.split(':').next().unwrap_or_default();
            self.is_label(at, &format!("{key}={prefix}"), label, disc);
        }
        if let Some(uuid) = value(words, "root").and_then(|root| root.strip_prefix("UUID=")) {
            // A FAT of the image, or the disc by the time it was made.
            let all = self.volumes.iter().map(|(_, volume)| volume.uuid.as_str());
            let all: Vec<String> = all.map(str::to_owned).collect();
            let found = all.iter().any(|known| known.eq_ignore_ascii_case(uuid));
            self.expect(
                &ROOT,
                found,
                || at.clone(),
                || format!("root=UUID={uuid}: no such file system; there are {}", all.join(", ")),
            );
        }
    }

    /// A label has to be that of the disc, byte for byte.
    fn is_label(&mut self, at: &Location, source: &str, label: &str, disc: &Volume) {
        let same = unescape_bytes(label) == disc.label.as_bytes();
        self.expect(
            &ROOT,
            same,
            || at.clone(),
            || {
                format!(
                    "{source}{label}, and the label of the disc is {}",
                    display(disc.label.as_bytes())
                )
            },
        );
    }

    /// What the tables in the initramfs say: the disc, and the SquashFS of the store on it.
    fn mounts(
        &mut self,
        at: &Location,
        words: &[String],
        initrds: &[Rc<Initrd>],
    ) -> Option<&'a Volume> {
        let table = |places: &[&str]| initrds.iter().rev().find_map(|i| i.mounted(places));
        let (_, disc) = self.disc()?;
        let device = table(&ISO);
        if let Some(device) = &device {
            let label = device
                .strip_prefix("/dev/disk/by-label/")
                .or_else(|| device.strip_prefix("LABEL="));
            if let Some(label) = label {
                self.is_label(at, "the initramfs mounts label ", &unoctal(label), disc);
            } else if device == DEV_ROOT {
                let root = value(words, "root");
                let scripted = !is_systemd(initrds);
                let holds = scripted && root.is_some();
                self.expect(
                    &ROOT,
                    holds,
                    || at.clone(),
                    || match scripted {
                        true => "the initramfs mounts /dev/root, and there is no root=".to_owned(),
                        false => {
                            "the initramfs mounts /dev/root, which systemd does not make".to_owned()
                        }
                    },
                );
            }
        }
        let source = table(&RO_STORE)?;
        let path = ISO.iter().find_map(|iso| source.strip_prefix(iso))?;
        let id = disc.find_file(path.as_bytes());
        let found = id.and_then(|id| self.disc.squashfs.iter().find(|(file, _)| *file == id));
        if id.is_some() && found.is_none() && self.out.has_failed(&squashfs::LIMITS) {
            // It may be one that has more than is judged.
            return None;
        }
        self.expect(
            &STORE_FILE,
            found.is_some(),
            || at.clone(),
            || match id {
                None => format!("the initramfs mounts {source}: no file {path} on the disc"),
                Some(_) => {
                    format!("the initramfs mounts {source}: {path} is no SquashFS that can be read")
                }
            },
        );
        found.map(|(_, volume)| volume)
    }

    /// The file system that a path is in, once the system runs; `None` where that is not known.
    fn root_of(&self, path: &str, store: Option<&'a Volume>) -> Option<Mounted<'a>> {
        let squashfs = || self.disc.squashfs.iter().map(|(_, volume)| volume);
        let in_store = path.strip_prefix(STORE).is_some_and(|rest| rest.starts_with('/'));
        if in_store {
            let store = store.or_else(|| {
                let mut stores = squashfs().filter(|volume| is_store(volume));
                stores.next().filter(|_| stores.next().is_none())
            });
            if let Some(volume) = store {
                return Some(Mounted { volume, at: STORE });
            }
            // Before there was a SquashFS the store was on the disc itself.
            let (_, volume) = self.disc().filter(|(_, v)| v.find(STORE.as_bytes()).is_some())?;
            return Some(Mounted { volume, at: "" });
        }
        let is_root = |volume: &&Volume| {
            ["/etc", "/usr"].iter().all(|path| volume.find(path.as_bytes()).is_some())
        };
        let mut roots = squashfs().filter(is_root);
        let volume = roots.next().filter(|_| roots.next().is_none())?;
        Some(Mounted { volume, at: "" })
    }

    fn init(&mut self, at: &Location, mounted: Mounted<'a>, path: &str, kernel: Kernel) {
        let (what, named) = ("init=".to_owned(), path.as_bytes().to_vec());
        self.entries.push((mounted.volume, Entry { what, path: named, at: at.clone() }));
        let found = mounted.program(path.as_bytes());
        self.expect(
            &INIT,
            found.is_ok(),
            || at.clone(),
            || format!("init={path}: {}", found.as_ref().err().cloned().unwrap_or_default()),
        );
        let Ok(mut id) = found else { return };
        let mut name = path.to_owned();
        if let Some(interpreter) = init::script(mounted.volume, id) {
            let found = mounted.program(&interpreter);
            name = display(&interpreter);
            self.expect(
                &INIT,
                found.is_ok(),
                || at.clone(),
                || {
                    let problem = found.as_ref().err().cloned().unwrap_or_default();
                    format!("init={path} is run by {name}: {problem}")
                },
            );
            let Ok(found) = found else { return };
            id = found;
        }
        // A kernel for 32 bits runs other programs.
        if kernel.processor == Processor::X86_64 && !kernel.wide {
            return;
        }
        let fits = init::is_for(kernel.processor, mounted.volume, id, &name);
        self.expect(
            &INIT_ARCHITECTURE,
            fits.is_ok(),
            || mounted.location(id),
            || fits.err().unwrap_or_default(),
        );
    }

    /// NixOS writes its parameters beside its first program. Entries of a menu add to them.
    fn kernel_params(&mut self, at: &Location, mounted: Mounted<'a>, toplevel: &str, line: &str) {
        let Some(id) = mounted.file(&format!("{toplevel}/kernel-params")) else { return };
        let Ok(params) = mounted.volume.content(id, MAX_TEXT) else { return };
        let params = String::from_utf8_lossy(&params);
        let lost = Difference::of(line, &params).lost;
        self.expect(
            &KERNEL_PARAMS,
            lost.is_empty(),
            || at.clone(),
            || format!("lacks {}, unlike {toplevel}/kernel-params", lost.join(" ")),
        );
    }

    /// Only the scripts of stage 1 find an image in a file of another disk.
    pub(super) fn findiso(&mut self, at: &Location, what: &str, initrds: &[Rc<Initrd>]) {
        if initrds.is_empty() {
            return;
        }
        let scripted = !is_systemd(initrds);
        self.expect(
            &FINDISO,
            scripted,
            || at.clone(),
            || format!("{what} is read by the scripts of stage 1, and the initramfs has systemd"),
        );
    }
}

/// True if systemd is the first program of an initramfs.
fn is_systemd(initrds: &[Rc<Initrd>]) -> bool {
    initrds.iter().any(|initrd| initrd.systemd)
}

/// A field of a table of file systems: `\040` is a space.
fn unoctal(field: &str) -> String {
    field.replace("\\040", " ").replace("\\134", "\\")
}
