//! Small disks, described in memory.

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use image_formats::{bytes::Region, gpt::Guid, units::ByteOffset};
use image_model::{Board, Check, ImageSpace, Location, Severity};
use image_verify::{
    Recorded, Recorder,
    disk::{Content, Disk, Partition, PartitionType, Table},
    kind::sd,
    tree::{Kind, Metadata, NodeId, Tree},
    volume::{ContentReader, Contents, Family, Files, Volume, opening},
};

use crate::{
    bytes::{AARCH64, archive, device_tree, efi, elf, gzip, kernel, u_boot},
    entries::finish,
};

pub(crate) use crate::entries::Entry;

/// A partition with a file system.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) number: u32,
    pub(crate) family: Family,
    pub(crate) kind: PartitionType,
    pub(crate) bootable: bool,
    pub(crate) label: &'static str,
    pub(crate) uuid: &'static str,
    /// In MiB.
    pub(crate) start: u64,
    pub(crate) len: u64,
    /// It is a file system that is not read.
    pub(crate) unread: bool,
    pub(crate) free_bytes: u64,
    pub(crate) free_inodes: u64,
    pub(crate) random_seed: Option<String>,
    pub(crate) entries: BTreeMap<String, Entry>,
}

/// A disk, and what is promised of it.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) table: Table,
    pub(crate) parts: Vec<Part>,
    pub(crate) boards: Vec<Board>,
}

struct InMemory(BTreeMap<Vec<u8>, Vec<u8>>);

impl Files for InMemory {
    fn open<'a>(&'a self, tree: &Tree, id: NodeId) -> io::Result<Box<dyn Read + 'a>> {
        let content = self.0.get(&tree.path(id)).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(content.as_slice()))
    }

    fn contents(&self) -> &dyn Contents {
        self
    }
}

impl Contents for InMemory {
    fn reader(&self) -> Box<dyn ContentReader + '_> {
        opening(self)
    }
}

impl Part {
    pub(crate) fn file(&mut self, path: &str, content: impl AsRef<[u8]>) {
        self.put(path, Entry::File(0o444, content.as_ref().to_vec()));
    }

    pub(crate) fn program(&mut self, path: &str, content: impl AsRef<[u8]>) {
        self.put(path, Entry::File(0o555, content.as_ref().to_vec()));
    }

    pub(crate) fn link(&mut self, path: &str, target: &str) {
        self.put(path, Entry::Link(target.to_owned()));
    }

    pub(crate) fn put(&mut self, path: &str, entry: Entry) {
        for (at, _) in path.match_indices('/').filter(|(at, _)| *at > 0) {
            self.entries.entry(path[..at].to_owned()).or_insert(Entry::Directory);
        }
        self.entries.insert(path.to_owned(), entry);
    }

    pub(crate) fn remove(&mut self, path: &str) {
        assert!(self.entries.remove(path).is_some(), "{path}");
    }

    pub(crate) fn content(&mut self, path: &str) -> &mut Vec<u8> {
        match self.entries.get_mut(path) {
            Some(Entry::File(_, content)) => content,
            _ => panic!("{path}"),
        }
    }

    pub(crate) fn mode(&mut self, path: &str, mode: u32) {
        match self.entries.get_mut(path) {
            Some(Entry::File(old, _)) => *old = mode,
            _ => panic!("{path}"),
        }
    }

    /// Replaces a part of a text file, which has to be there.
    pub(crate) fn edit(&mut self, path: &str, from: &str, to: &str) {
        let content = self.content(path);
        let text = String::from_utf8(content.clone()).unwrap();
        assert!(text.contains(from), "{path}: {from}");
        *content = text.replacen(from, to, 1).into_bytes();
    }

    /// The same, with modes of a store, and hashes in the list of it.
    pub(crate) fn finished(&self) -> Self {
        let mut part = self.clone();
        finish(&mut part.entries, |path| path.starts_with("/nix/store/"));
        part
    }

    fn volume(&self) -> Volume {
        let part = self.finished();
        let name = format!("partition {}", self.number);
        let mut tree = Tree::of_volume(format!("{name}, inode"), 256);
        let mut files = BTreeMap::new();
        let mut inode = 0;
        for (path, entry) in &part.entries {
            let (parent, name) = path.rsplit_once('/').unwrap();
            let parent = tree.at(parent.as_bytes()).unwrap_or_else(|| panic!("{path}"));
            let (kind, mode, size) = match entry {
                Entry::Directory => (Kind::Directory(BTreeMap::new()), 0o755, 0),
                Entry::StoreDirectory => (Kind::Directory(BTreeMap::new()), 0o555, 0),
                Entry::File(mode, content) => (Kind::File(None), *mode, content.len()),
                Entry::Link(target) => (Kind::Symlink(target.as_bytes().into()), 0o777, 0),
            };
            inode += 256;
            let offset = ByteOffset((self.start << 20) + inode);
            let size = size as u64;
            let metadata = Metadata { kind, mode, uid: 0, gid: 0, mtime: 1, size, offset };
            tree.add_child(parent, name.as_bytes(), metadata).unwrap();
            if let Entry::File(_, content) = entry {
                files.insert(path.as_bytes().to_vec(), content.clone());
            }
        }
        let fat = self.family == Family::Fat;
        Volume {
            at: Location {
                structure: format!("{name}, superblock").into(),
                space: ImageSpace::Raw,
                offset: self.start << 20,
                len: 1024,
                path: None,
            },
            name,
            family: self.family,
            format: if fat { "vfat" } else { "ext4" },
            label: self.label.to_owned(),
            uuid: self.uuid.to_owned(),
            free_bytes: self.free_bytes,
            free_inodes: (!fat).then_some(self.free_inodes),
            random_seed: self.random_seed.clone(),
            tree,
            files: Box::new(InMemory(files)),
        }
    }
}

impl Draft {
    /// A partition by its place in the list.
    pub(crate) fn part(&mut self, number: u32) -> &mut Part {
        self.parts.iter_mut().find(|part| part.number == number).unwrap()
    }

    fn disk(&self) -> Disk {
        let bytes = Region::from(vec![0; 1 << 20]);
        // Nothing reads the bytes; only the place of a region counts, in KiB for each MiB here.
        let partitions = self
            .parts
            .iter()
            .map(|part| Partition {
                number: part.number,
                kind: part.kind,
                bootable: part.bootable,
                label: None,
                attributes: 0,
                region: bytes.sub("partition", part.start << 10, part.len << 10).unwrap(),
                len: part.len << 10,
                entry: ByteOffset(0x1be),
                content: match part.family {
                    _ if part.unread => Content::Other("btrfs"),
                    Family::Fat => Content::Fat,
                    Family::Ext => Content::Ext,
                    Family::Iso9660 => Content::Iso9660,
                    Family::Squashfs => Content::Squashfs,
                    Family::Tar | Family::Folder => {
                        panic!("no partition is an archive or a folder")
                    }
                },
                volume: (!part.unread).then(|| part.volume()),
            })
            .collect();
        Disk::new(bytes, Some(self.table), partitions)
    }

    pub(crate) fn verify(&self) -> Recorded {
        let disk = self.disk();
        let mut out = Recorder::default();
        sd::verify(&disk, sd::Promise { boards: &self.boards, ..sd::Promise::default() }, &mut out);
        static UNUSED: Check =
            Check { id: "unused", severity: Severity::Warning, reads: "", spec: "", explain: "" };
        let whole = Location {
            structure: "file".into(),
            space: ImageSpace::File,
            offset: 0,
            len: 0,
            path: None,
        };
        out.finish(&[], &UNUSED, &whole)
    }
}

/// A store path, as long as a real one.
macro_rules! store {
    ($name:literal) => {
        concat!("/nix/store/0123456789abcdfghijklmnpqrsvwxyz-", $name)
    };
}
pub(crate) use store;

pub(crate) const TOPLEVEL: &str = store!("nixos-system-nixos-26.05");
pub(crate) const EXTLINUX: &str = "/boot/extlinux/extlinux.conf";
pub(crate) const KERNEL: &str = "/boot/nixos/k-linux-6.18-Image";
pub(crate) const INITRD: &str = "/boot/nixos/i-initrd-linux-6.18-initrd";
pub(crate) const DTBS: &str = "/boot/nixos/k-linux-6.18-dtbs/broadcom";
const PARAMS: &str = "console=ttyS0,115200n8 console=tty0 root=fstab loglevel=7";

fn part(number: u32, family: Family, start: u64, len: u64) -> Part {
    Part {
        number,
        family,
        kind: PartitionType::Mbr(if family == Family::Fat { 0x0b } else { 0x83 }),
        bootable: false,
        label: if family == Family::Fat { "FIRMWARE" } else { "NIXOS_SD" },
        uuid: if family == Family::Fat { "2178-694E" } else { ROOT_UUID },
        start,
        len,
        unread: false,
        // Of a region that is smaller than the disk it stands for.
        free_bytes: 16 << 20,
        free_inodes: 20_000,
        random_seed: None,
        entries: BTreeMap::new(),
    }
}

pub(crate) const ROOT_UUID: &str = "44444444-4444-4444-8888-888888888888";

/// The initramfs that nixpkgs makes, as far as it matters.
pub(crate) fn initramfs() -> Vec<u8> {
    let fstab = "/dev/disk/by-label/NIXOS_SD /sysroot/ ext4 x-initrd.mount 0 1\n";
    archive(&[
        ("nix", 0o040_755, ""),
        ("nix/store", 0o040_755, ""),
        ("nix/store/0-initrd-fstab", 0o100_444, fstab),
        ("nix/store/0-systemd", 0o100_555, "ELF"),
        ("init", 0o120_777, "/nix/store/0-systemd"),
    ])
}

/// The root of a NixOS system, without anything of a boot loader.
pub(crate) fn nixos_root(root: &mut Part) {
    let registration = [
        (TOPLEVEL, &[TOPLEVEL, store!("bash"), store!("units")][..]),
        (store!("bash"), &[]),
        (store!("units"), &[store!("bash")]),
    ];
    let mut text = String::new();
    for (path, references) in registration {
        text.push_str(&format!("{path}\nsha256:0abc\n4096\n\n{}\n", references.len()));
        references.iter().for_each(|path| text.push_str(&format!("{path}\n")));
    }
    root.file("/nix-path-registration", text);
    root.program(concat!(store!("bash"), "/bin/bash"), elf(AARCH64));
    root.file(concat!(store!("units"), "/expand-root-partition.service"), "[Unit]\n");
    root.program(&format!("{TOPLEVEL}/init"), concat!("#! ", store!("bash"), "/bin/bash -e\n"));
    root.file(&format!("{TOPLEVEL}/kernel-params"), PARAMS);
    root.put(&format!("{TOPLEVEL}/etc/systemd"), Entry::Directory);
    root.link(&format!("{TOPLEVEL}/etc/systemd/system"), store!("units"));
}

/// What `extlinux-conf-builder.sh` makes.
fn extlinux(root: &mut Part) {
    let config = format!(
        "# Generated file, all changes will be lost on nixos-rebuild!\n\n\
         # Change this to e.g. nixos-42 to temporarily boot to an older configuration.\n\
         DEFAULT nixos-default\n\nTIMEOUT 50\nMENU TITLE -----------\n\n\
         LABEL nixos-default\n  MENU LABEL NixOS - Default\n\
         \x20 LINUX ../nixos/k-linux-6.18-Image\n\
         \x20 INITRD ../nixos/i-initrd-linux-6.18-initrd\n\
         \x20 APPEND init={TOPLEVEL}/init {PARAMS}\n\
         \x20 FDTDIR ../nixos/k-linux-6.18-dtbs\n"
    );
    root.file(EXTLINUX, config);
    root.file(KERNEL, kernel());
    root.file(INITRD, gzip(&initramfs()));
    for name in [
        "bcm2837-rpi-zero-2-w.dtb",
        "bcm2837-rpi-3-b.dtb",
        "bcm2837-rpi-3-b-plus.dtb",
        "bcm2837-rpi-cm3.dtb",
    ] {
        root.file(&format!("{DTBS}/{name}"), device_tree(&["raspberrypi,x", "brcm,bcm2837"]));
    }
    for name in ["bcm2711-rpi-4-b.dtb", "bcm2711-rpi-400.dtb", "bcm2711-rpi-cm4.dtb"] {
        root.file(&format!("{DTBS}/{name}"), device_tree(&["raspberrypi,y", "brcm,bcm2711"]));
    }
}

const CONFIG_TXT: &str = "[pi3]
kernel=u-boot-rpi3.bin
core_freq=250

[pi02]
kernel=u-boot-rpi3.bin

[pi4]
kernel=u-boot-rpi4.bin
enable_gic=1
armstub=armstub8-gic.bin
disable_overscan=1
arm_boost=1

[cm4]
otg_mode=1

[all]
arm_64bit=1
enable_uart=1
avoid_warnings=1
";

/// The card that nixpkgs makes.
pub(crate) fn pi() -> Draft {
    let mut firmware = part(1, Family::Fat, 8, 30);
    firmware.free_bytes = 8 << 20;
    let videocore = b"\x7fELF\x01\x01\x01";
    for (name, content) in [
        ("bootcode.bin", &b"code"[..]),
        ("fixup.dat", b"data"),
        ("fixup4.dat", b"data"),
        ("start.elf", videocore),
        ("start4.elf", videocore),
        ("config.txt", CONFIG_TXT.as_bytes()),
        ("u-boot-rpi3.bin", &u_boot()),
        ("u-boot-rpi4.bin", &u_boot()),
        ("armstub8-gic.bin", &elf(0)[8..].repeat(2)),
    ] {
        firmware.file(&format!("/{name}"), content);
    }
    firmware.file("/armstub8-gic.bin", [0xa0, 0x00, 0x80, 0xd2]);
    for name in ["3-b", "3-b-plus", "cm3", "zero-2", "zero-2-w"] {
        let tree = device_tree(&["raspberrypi,x", "brcm,bcm2837"]);
        firmware.file(&format!("/bcm2710-rpi-{name}.dtb"), tree);
    }
    for name in ["4-b", "400", "cm4", "cm4s"] {
        let tree = device_tree(&["raspberrypi,y", "brcm,bcm2711"]);
        firmware.file(&format!("/bcm2711-rpi-{name}.dtb"), tree);
    }
    let mut root = part(2, Family::Ext, 38, 200);
    root.bootable = true;
    nixos_root(&mut root);
    extlinux(&mut root);
    Draft {
        table: Table::Mbr { signature: 0x2178_694e },
        parts: vec![firmware, root],
        boards: Board::ALL[..7].iter().copied().chain([Board::UBoot]).collect(),
    }
}

/// A card for a board that has its U-Boot elsewhere: one partition and no flag.
pub(crate) fn u_boot_only() -> Draft {
    let mut draft = pi();
    let mut root = draft.parts.pop().unwrap();
    (root.number, root.bootable) = (1, false);
    Draft { parts: vec![root], boards: vec![Board::UBoot], ..draft }
}

pub(crate) const LOADER_ENTRY: &str = "/loader/entries/nixos-generation-1.conf";
pub(crate) const UKI: &str = "/EFI/Linux/nixos-2.efi";
pub(crate) const GRUB: &str = "/EFI/BOOT/grub.cfg";

/// A disk for UEFI: systemd-boot, a unified kernel image, and a GRUB beside them.
pub(crate) fn uefi() -> Draft {
    let mut esp = part(1, Family::Fat, 1, 64);
    esp.kind = PartitionType::Gpt {
        kind: Guid::new(0xc12a_7328, 0xf81f, 0x11d2, 0xba4b_00a0_c93e_c93b),
        unique: Guid::new(1, 2, 3, 4),
    };
    esp.label = "ESP";
    let options = format!("init={TOPLEVEL}/init {PARAMS}");
    esp.file("/EFI/BOOT/BOOTAA64.EFI", efi(0xaa64, &[]));
    esp.file("/loader/loader.conf", "timeout 5\ndefault nixos-generation-*\n");
    esp.file("/EFI/nixos/kernel.efi", efi(0xaa64, &[]));
    esp.file("/EFI/nixos/initrd.efi", initramfs());
    let entry = format!(
        "title NixOS\nlinux /EFI/nixos/kernel.efi\ninitrd /EFI/nixos/initrd.efi\n\
         options {options}\n"
    );
    esp.file(LOADER_ENTRY, entry);
    let initrd = initramfs();
    let line = format!("{options}\0");
    let sections: [(&str, &[u8]); 3] =
        [(".cmdline", line.as_bytes()), (".initrd", &initrd), (".linux", &kernel())];
    esp.file(UKI, efi(0xaa64, &sections));
    let grub = format!(
        "search --set=drive1 --label ESP\nmenuentry x {{\n\
         linux ($drive1)/EFI/nixos/kernel.efi {options}\n\
         initrd ($drive1)/EFI/nixos/initrd.efi\n}}\nconfigfile ${{prefix}}/custom.cfg\n"
    );
    esp.file(GRUB, grub);
    let mut root = part(2, Family::Ext, 65, 200);
    root.kind = PartitionType::Gpt {
        kind: Guid::new(0xb921_b045, 0x1df0, 0x41c3, 0xaf44_4c6f_280d_3fae),
        unique: Guid::new(5, 6, 7, 8),
    };
    nixos_root(&mut root);
    Draft {
        table: Table::Gpt { guid: Guid::new(9, 9, 9, 9) },
        parts: vec![esp, root],
        boards: vec![Board::Uefi],
    }
}
