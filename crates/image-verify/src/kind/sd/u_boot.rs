//! What U-Boot does with a disk: `scan_dev_for_boot_part` of its distribution boot command, and
//! `sysboot`.

use image_model::Board;

use super::{
    BOOT_FLAG, DEFAULT_LABEL, EXTLINUX_FILE, EXTLINUX_IGNORED, EXTLINUX_INCLUDE, EXTLINUX_READ,
    EXTLINUX_SYNTAX, FDTDIR_BOARD, Judge, KERNEL, Place,
    extlinux::{self, Label},
    firmware,
};
use crate::{
    disk::{Partition, PartitionType},
    kind::boot::paths::{at, find, find_file},
    tree::{Kind, NodeId},
    volume::MAX_TEXT,
};

/// `boot_prefixes`, with `boot_syslinux_conf`.
const CONFIGS: [&str; 2] = ["/extlinux/extlinux.conf", "/boot/extlinux/extlinux.conf"];

/// `boot_prefixes`, with `boot_scripts`.
const SCRIPTS: [&str; 4] = ["/boot.scr.uimg", "/boot.scr", "/boot/boot.scr.uimg", "/boot/boot.scr"];

/// How many labels of one file are followed.
const MAX_FOLLOWED: usize = 64;

impl<'a> Judge<'a, '_> {
    pub(super) fn u_boot(&mut self) {
        let mut found = false;
        let mut startable = false;
        for place in self.u_boot_places() {
            let (_, volume) = place;
            for path in CONFIGS {
                if find_file(volume, path).is_some() {
                    found = true;
                    startable |= self.extlinux(place, path);
                }
            }
            // What a script does is not followed.
            let script = SCRIPTS.iter().any(|path| find_file(volume, path).is_some());
            startable |= script || find_file(volume, super::uefi::REMOVABLE).is_some();
        }
        let looked = self.u_boot_numbers();
        let elsewhere: Vec<Place<'a>> =
            self.disk.volumes().filter(|(p, _)| !looked.contains(&p.number)).collect();
        for (partition, volume) in elsewhere {
            let Some(path) = CONFIGS.iter().find(|path| find_file(volume, path).is_some()) else {
                continue;
            };
            if found || startable {
                continue;
            }
            self.expect(
                &BOOT_FLAG,
                false,
                || at(volume, path),
                || {
                    let looked: Vec<_> = looked.iter().map(ToString::to_string).collect();
                    let (looked, number) = (looked.join(", "), partition.number);
                    format!("on partition {number}, and U-Boot looks at partition {looked}")
                },
            );
        }
        for (_, volume) in self.u_boot_places().into_iter().filter(|_| found) {
            self.expect(&BOOT_FLAG, true, || volume.at.clone(), String::new);
        }
        if !startable {
            let mut looked = self.disk.partitions.iter().filter(|p| looked.contains(&p.number));
            let what = match looked.find(|partition| partition.is_unread()) {
                Some(unread) => format!("nothing is known of {}, which is not read", unread.name()),
                None => "no extlinux.conf with a kernel where U-Boot looks for it".to_owned(),
            };
            self.lacks(Board::UBoot, what);
        }
    }

    /// True if U-Boot has something to start.
    pub(super) fn u_boot_starts(&self) -> bool {
        !self.missing.contains_key(&Board::UBoot)
    }

    /// The partitions that U-Boot looks at: those with a flag, or else the first. On a GPT, the EFI
    /// system partition counts as one with a flag (`disk/part_efi.c`, `is_bootable`).
    fn u_boot_numbers(&self) -> Vec<u32> {
        let partitions = &self.disk.partitions;
        let gpt =
            |p: &&Partition| matches!(p.kind, PartitionType::Gpt { .. }) && p.kind.is_efi_system();
        let flagged: Vec<u32> =
            partitions.iter().filter(|p| p.bootable || gpt(p)).map(|p| p.number).collect();
        if !flagged.is_empty() {
            return flagged;
        }
        partitions.iter().map(|p| p.number).filter(|number| *number <= 1).collect()
    }

    fn u_boot_places(&self) -> Vec<Place<'a>> {
        let numbers = self.u_boot_numbers();
        self.disk.volumes().filter(|(p, _)| numbers.contains(&p.number)).collect()
    }

    /// Judges one file. True if it has a label whose kernel is there.
    fn extlinux(&mut self, place: Place<'a>, path: &str) -> bool {
        let (_, volume) = place;
        let Some(id) = find_file(volume, path) else { return false };
        let at = || volume.tree.location(id);
        let content = volume.content(id, MAX_TEXT);
        let error = content.as_ref().err().map(ToString::to_string);
        if !self.expect(&EXTLINUX_READ, error.is_none(), at, || error.clone().unwrap_or_default()) {
            return false;
        }
        let folder = path.strip_suffix("extlinux.conf").unwrap_or_default();
        let config = extlinux::parse(&content.unwrap_or_default(), &mut |file| {
            let path = relative(folder, file);
            let id = find_file(volume, &path).ok_or("not there")?;
            volume.content(id, MAX_TEXT).map_err(|error| error.to_string())
        });
        for (file, why) in &config.includes {
            self.expect(&EXTLINUX_INCLUDE, why.is_none(), at, || {
                format!("INCLUDE {file}: {}", why.clone().unwrap_or_default())
            });
        }
        self.expect(&EXTLINUX_SYNTAX, config.fatal.is_none(), at, || {
            format!("{}: U-Boot gives up", config.fatal.clone().unwrap_or_default())
        });
        self.expect(&EXTLINUX_IGNORED, config.ignored.is_empty(), at, || {
            format!("U-Boot ignores {}", config.ignored.join("; "))
        });
        let default = config.default.as_deref();
        let named = default.is_some_and(|name| config.labels.iter().any(|l| l.name == name));
        let labels: Vec<_> = config.labels.iter().map(|label| label.name.as_str()).collect();
        // Where it is not there, the first label that starts is taken.
        let chosen = named || default.is_none() && !labels.is_empty();
        self.expect(&DEFAULT_LABEL, chosen, at, || match default {
            None => "no LABEL".to_owned(),
            Some(name) if labels.is_empty() => format!("DEFAULT is {name}, and there is no LABEL"),
            Some(name) => format!("DEFAULT is {name}, and the labels are {}", labels.join(", ")),
        });
        let mut startable = false;
        for label in config.labels.iter().take(MAX_FOLLOWED) {
            startable |= self.label(place, id, folder, label);
        }
        startable && config.fatal.is_none() && config.includes.iter().all(|(_, why)| why.is_none())
    }

    /// Judges one label. True if its kernel is there.
    fn label(&mut self, place: Place<'a>, config: NodeId, folder: &str, label: &Label) -> bool {
        let (_, volume) = place;
        let at = || volume.tree.location(config);
        if label.local {
            return true;
        }
        let mut file = |keyword: &str, file: Option<&String>| {
            let file = file?;
            let id = find_file(volume, &relative(folder, file));
            self.expect(&EXTLINUX_FILE, id.is_some(), at, || {
                let (name, line) = (&label.name, label.line);
                format!("{keyword} of label {name} (line {line}): no file {file}")
            });
            id
        };
        let kernel = file("LINUX", label.kernel.as_ref());
        let initrd = file("INITRD", label.initrd.as_ref());
        let fdt = file("FDT", label.fdt.as_ref());
        let overlays: Vec<_> =
            label.overlays.iter().filter_map(|name| file("FDTOVERLAYS", Some(name))).collect();
        self.expect(&EXTLINUX_FILE, label.kernel.is_some(), at, || {
            format!("label {} (line {}): no LINUX, so U-Boot skips it", label.name, label.line)
        });
        if let Some(id) = kernel {
            self.program(&KERNEL, place, id);
        }
        let initramfs: Vec<_> = initrd.into_iter().map(|id| (place, id)).collect();
        let listed = self.initramfs(&initramfs);
        for id in fdt.into_iter().chain(overlays) {
            self.device_tree(place, id);
        }
        if let Some(fdtdir) = label.fdtdir.as_ref().filter(|_| label.fdt.is_none()) {
            self.fdtdir(place, config, &relative(folder, fdtdir));
        }
        let append = label.append.clone().unwrap_or_default();
        self.command_line(place, at(), &append, &listed);
        kernel.is_some()
    }

    /// U-Boot takes the device tree whose name it was built with, and the firmware's own where that
    /// is not there.
    fn fdtdir(&mut self, place: Place<'a>, config: NodeId, folder: &str) {
        let (_, volume) = place;
        let at = || volume.tree.location(config);
        let id = find(volume, folder);
        let is_folder =
            id.is_some_and(|id| matches!(volume.tree.node(id).kind, Kind::Directory(_)));
        if !self.expect(&EXTLINUX_FILE, is_folder, at, || format!("FDTDIR: no folder {folder}")) {
            return;
        }
        for model in firmware::MODELS {
            let path = format!("{folder}/broadcom/{}", model.u_boot);
            let id = find_file(volume, &path);
            if let Some(id) = id {
                self.device_tree(place, id);
            }
            if self.promised(model.board) {
                self.expect(&FDTDIR_BOARD, id.is_some(), at, || {
                    let (board, name) = (model.board, model.u_boot);
                    format!("no broadcom/{name} for {board}: U-Boot hands on the firmware's")
                });
            }
        }
    }
}

/// A path as U-Boot takes it: from the folder of the file that names it, or from the root.
fn relative(folder: &str, file: &str) -> String {
    if file.starts_with('/') { file.to_owned() } else { format!("{folder}{file}") }
}
