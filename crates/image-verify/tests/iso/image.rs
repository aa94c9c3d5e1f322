//! Small discs, described in memory.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    rc::Rc,
};

use image_formats::{arm64_image, bytes::Region, grub, units::ByteOffset, x86_image};
use image_model::{Boot, Check, ImageSpace, Location, Severity};
use image_verify::{
    Recorded, Recorder,
    disc::Disc,
    el_torito::{BootImage, Loader},
    hybrid::{Bios, Stick},
    kind::iso,
    squashfs,
    tree::{Kind, Metadata, NodeId, Tree},
    volume::{ContentReader, Contents, Family, Files, Volume, opening},
};
use zerocopy::{FromZeros as _, IntoBytes as _};

use crate::{
    bytes::{AARCH64, X86_64, archive, efi, elf, gzip},
    entries::finish,
};

pub(crate) use crate::entries::Entry;

/// A file system.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) family: Family,
    pub(crate) label: String,
    pub(crate) uuid: &'static str,
    /// Where it is, in MiB.
    pub(crate) start: u64,
    pub(crate) entries: BTreeMap<String, Entry>,
    /// It has names that boot loaders read without regard to case.
    pub(crate) ignores_case: bool,
}

/// An entry of the boot catalog.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) platform: u8,
    pub(crate) loader: Loader,
    pub(crate) sound: bool,
    /// Its content, where nothing reads it as a file system.
    pub(crate) content: Vec<u8>,
    /// The file that it is.
    pub(crate) file: &'static str,
}

/// A disc, and what is promised of it.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) disc: Part,
    /// The FAT file system that the image for UEFI is.
    pub(crate) fat: Part,
    pub(crate) fat_is_readable: bool,
    /// What `/nix-store.squashfs` is.
    pub(crate) store: Part,
    pub(crate) store_is_readable: bool,
    /// A SquashFS has more than is judged.
    pub(crate) squashfs_limit: bool,
    pub(crate) images: Vec<Image>,
    pub(crate) bios: Bios,
    /// A partition table leads to the FAT file system.
    pub(crate) partition: bool,
    pub(crate) boots: Vec<Boot>,
}

struct InMemory(BTreeMap<Vec<u8>, Vec<u8>>, bool);

impl Files for InMemory {
    fn open<'a>(&'a self, tree: &Tree, id: NodeId) -> io::Result<Box<dyn Read + 'a>> {
        let content = self.0.get(&tree.path(id)).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(content.as_slice()))
    }

    fn contents(&self) -> &dyn Contents {
        self
    }

    fn ignores_case(&self) -> bool {
        self.1
    }
}

impl Contents for InMemory {
    fn reader(&self) -> Box<dyn ContentReader + '_> {
        opening(self)
    }
}

impl Part {
    fn new(name: &str, family: Family, label: &str, uuid: &'static str, start: u64) -> Self {
        let (name, label) = (name.to_owned(), label.to_owned());
        Self { name, family, label, uuid, start, entries: BTreeMap::new(), ignores_case: false }
    }

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

    /// Gives a file another name.
    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        let entry = self.entries.remove(from).unwrap_or_else(|| panic!("{from}"));
        self.put(to, entry);
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

    /// Replaces a part of a text file, which has to be there, everywhere.
    pub(crate) fn edit(&mut self, path: &str, from: &str, to: &str) {
        let content = self.content(path);
        let text = String::from_utf8(content.clone()).unwrap();
        assert!(text.contains(from), "{path}: {from}");
        *content = text.replace(from, to).into_bytes();
    }

    /// The same, with modes of a store, and hashes in the list of it.
    pub(crate) fn finished(&self) -> Self {
        let mut part = self.clone();
        finish(&mut part.entries, is_store_path);
        part
    }

    fn volume(&self) -> Volume {
        let part = self.finished();
        let mut tree = Tree::of_volume(format!("{}, file", self.name), 256);
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
        Volume {
            at: Location {
                structure: format!("{}, first block", self.name).into(),
                space: ImageSpace::Raw,
                offset: self.start << 20,
                len: 512,
                path: None,
            },
            name: self.name.clone(),
            family: self.family,
            format: match self.family {
                Family::Fat => "vfat",
                Family::Ext => "ext4",
                Family::Iso9660 => "iso9660",
                Family::Squashfs => "squashfs",
                Family::Tar | Family::Folder => {
                    panic!("no archive and no folder is a part of a disc")
                }
            },
            label: self.label.clone(),
            uuid: self.uuid.to_owned(),
            free_bytes: 0,
            free_inodes: None,
            random_seed: None,
            tree,
            files: Box::new(InMemory(files, self.ignores_case)),
        }
    }
}

impl Draft {
    fn disc(&self) -> Disc {
        let volume = self.disc.volume();
        let find = |path: &str| -> Option<NodeId> { volume.find_file(path.as_bytes()) };
        let fat = Rc::new(self.fat.volume());
        let boot = self
            .images
            .iter()
            .zip(1_u32..)
            .map(|(image, number)| BootImage {
                number,
                platform: image.platform,
                bootable: true,
                emulation: 0,
                sector_count: 4,
                region: Region::from(image.content.clone()),
                file: find(image.file),
                loader: image.loader,
                entry: ByteOffset(0x9000),
                listed: true,
                sound: image.sound,
                volume: (image.platform == 0xef && self.fat_is_readable).then(|| Rc::clone(&fat)),
            })
            .collect();
        let efi = if self.partition { vec![Rc::clone(&fat)] } else { Vec::new() };
        let bios = self.bios.clone();
        let stick = Stick { bios, efi, table: None, partitions: Vec::new() };
        let store = find(STORE).filter(|_| self.store_is_readable);
        let squashfs = store.map(|id| (id, self.store.volume())).into_iter().collect();
        let mut disc = Disc::new(Region::from(vec![0; 1 << 20]), Some(volume), boot, stick);
        disc.squashfs = squashfs;
        disc
    }

    pub(crate) fn verify(&self) -> Recorded {
        self.judge().0
    }

    /// The ways in which it boots.
    pub(crate) fn ways(&self) -> Vec<String> {
        self.judge().1
    }

    fn judge(&self) -> (Recorded, Vec<String>) {
        let disc = self.disc();
        let mut out = Recorder::default();
        let whole = Location {
            structure: "file".into(),
            space: ImageSpace::File,
            offset: 0,
            len: 0,
            path: None,
        };
        if self.squashfs_limit {
            out.expect(&squashfs::LIMITS, false, || (whole.clone(), "many".to_owned()));
        }
        let ways = iso::verify(
            &disc,
            iso::Promise { boots: &self.boots, ..iso::Promise::default() },
            &mut out,
        );
        static UNUSED: Check =
            Check { id: "unused", severity: Severity::Warning, reads: "", spec: "", explain: "" };
        (out.finish(&[], &UNUSED, &whole), ways.boots)
    }
}

/// True in a store path, of the disc or of the SquashFS.
fn is_store_path(path: &str) -> bool {
    path.strip_prefix("/nix/store").unwrap_or(path).starts_with("/0123456789")
}

/// The name of a store path, as long as a real one: the first name in the SquashFS.
macro_rules! base {
    ($name:literal) => {
        concat!("/0123456789abcdfghijklmnpqrsvwxyz-", $name)
    };
}
pub(crate) use base;

/// The path of the same in the running system.
macro_rules! store {
    ($name:literal) => {
        concat!("/nix/store", base!($name))
    };
}
pub(crate) use store;

pub(crate) const STORE: &str = "/nix-store.squashfs";
pub(crate) const LABEL: &str = "nixos-minimal-26.05-x86_64";
pub(crate) const TOPLEVEL: &str = store!("nixos-system-nixos-26.05");
pub(crate) const INIT: &str = base!("nixos-system-nixos-26.05/init");
pub(crate) const PARAMS_FILE: &str = base!("nixos-system-nixos-26.05/kernel-params");
pub(crate) const BASH: &str = base!("bash/bin/bash");
pub(crate) const REGISTRATION: &str = "/nix-path-registration";
pub(crate) const KERNEL: &str = concat!("/boot", store!("linux-6.18/bzImage"));
pub(crate) const IMAGE: &str = concat!("/boot", store!("linux-6.18/Image"));
pub(crate) const INITRD: &str = concat!("/boot", store!("initrd-linux-6.18/initrd"));
pub(crate) const ISOLINUX: &str = "/isolinux/isolinux.cfg";
pub(crate) const GRUB: &str = "/EFI/BOOT/grub.cfg";
pub(crate) const LOOPBACK: &str = "/boot/grub/loopback.cfg";
pub(crate) const MARKER: &str = "/EFI/nixos-installer-image";
pub(crate) const X64: &str = "/EFI/BOOT/BOOTX64.EFI";

/// An x86 kernel that is a program of UEFI as well.
pub(crate) fn bzimage() -> Vec<u8> {
    let mut header = x86_image::raw::SetupHeader::new_zeroed();
    header.setup_sects = 1;
    header.syssize.set(4);
    header.boot_flag.set(x86_image::raw::SetupHeader::BOOT_FLAG);
    header.header = x86_image::raw::SetupHeader::MAGIC;
    header.version.set(0x020f);
    header.cmdline_size.set(2047);
    header.xloadflags.set(x86_image::raw::SetupHeader::XLF_KERNEL_64);
    let mut bytes = efi(0x8664, &[]);
    bytes.resize(x86_image::raw::SetupHeader::OFFSET, 0);
    bytes.extend(header.as_bytes());
    bytes.resize(1024 + 64, 0);
    bytes
}

/// An arm64 kernel.
fn image() -> Vec<u8> {
    let mut header = arm64_image::raw::Header::new_zeroed();
    header.code1.set(0x1400_0000);
    header.flags.set(0xa);
    header.magic = arm64_image::raw::Header::MAGIC;
    [header.as_bytes(), b"Linux version 6.18.0"].concat()
}

/// What `grub-mkimage -p PREFIX` makes: the section with its modules.
pub(crate) fn grub_modules(prefix: &str, config: Option<&str>) -> Vec<u8> {
    let mut body = Vec::new();
    let mut add = |kind: u32, content: &[u8]| {
        let mut header = grub::raw::ModuleHeader::new_zeroed();
        header.kind.set(kind);
        header.size.set((grub::raw::ModuleHeader::SIZE + content.len()) as u32);
        body.extend([header.as_bytes(), content].concat());
    };
    add(0, b"\x7fELF");
    if let Some(config) = config {
        add(grub::raw::ModuleHeader::CONFIG, config.as_bytes());
    }
    add(grub::raw::ModuleHeader::PREFIX, &[prefix.as_bytes(), b"\0"].concat());
    let mut info = grub::raw::ModuleInfo64::new_zeroed();
    info.magic = grub::raw::ModuleInfo64::MAGIC;
    info.offset.set(grub::raw::ModuleInfo64::SIZE as u64);
    info.size.set((grub::raw::ModuleInfo64::SIZE + body.len()) as u64);
    [info.as_bytes(), &body].concat()
}

/// A module of SYSLINUX, and the libraries that it names.
fn module(libraries: &[&str]) -> Vec<u8> {
    let names = libraries.iter().flat_map(|name| [name.as_bytes(), b"\0"].concat());
    b"\x7fELF\x01\x01\x01\0".iter().copied().chain(names).collect()
}

/// The initramfs of the scripts of stage 1: the disc is what `root=` says.
pub(crate) fn scripted_initrd() -> Vec<u8> {
    let table =
        "/iso\n/dev/root\nauto\n\n/nix/.ro-store\n/iso/nix-store.squashfs\nsquashfs\nloop\n";
    archive(&[
        ("nix", 0o040_755, ""),
        ("nix/store", 0o040_755, ""),
        ("nix/store/0-initrd-fsinfo", 0o100_444, table),
        ("init", 0o100_755, "#!/bin/ash"),
    ])
}

/// The initramfs of systemd: a table names the disc.
pub(crate) fn systemd_initrd(label: &str) -> Vec<u8> {
    let table = format!(
        "/dev/disk/by-label/{label} /sysroot/iso iso9660 x-initrd.mount 0 0\n\
         /sysroot/iso/nix-store.squashfs /sysroot/nix/.ro-store squashfs x-initrd.mount,loop 0 0\n"
    );
    archive(&[
        ("nix", 0o040_755, ""),
        ("nix/store", 0o040_755, ""),
        ("nix/store/0-initrd-fstab", 0o100_444, &table),
        ("nix/store/0-systemd", 0o100_555, "ELF"),
        ("etc", 0o040_755, ""),
        ("etc/systemd", 0o040_755, ""),
        ("etc/systemd/system", 0o120_777, "/nix/store/0-units"),
        ("init", 0o120_777, "/nix/store/0-systemd"),
    ])
}

/// The SquashFS of a system.
fn nix_store(machine: u16, params: &str) -> Part {
    let mut store = Part::new(STORE, Family::Squashfs, "", "", 64);
    let registration = [(TOPLEVEL, &[TOPLEVEL, store!("bash")][..]), (store!("bash"), &[])];
    let mut text = String::new();
    for (path, references) in registration {
        text.push_str(&format!("{path}\nsha256:0abc\n4096\n\n{}\n", references.len()));
        references.iter().for_each(|path| text.push_str(&format!("{path}\n")));
    }
    store.file(REGISTRATION, text);
    store.program(BASH, elf(machine));
    store.program(INIT, concat!("#! ", store!("bash/bin/bash"), " -e\n"));
    store.file(PARAMS_FILE, params);
    store
}

/// What `isolinux.cfg` of nixpkgs says.
fn isolinux(disc: &mut Part, params: &str) {
    let entry = |name: &str, more: &str| {
        format!(
            "LABEL {name}\nMENU LABEL NixOS\nLINUX /boot/{}\n\
             APPEND init={TOPLEVEL}/init {params}{more}\nINITRD /boot/{}\n\n",
            &KERNEL[5..],
            &INITRD[5..]
        )
    };
    let config = format!(
        "SERIAL 0 115200\nTIMEOUT 100\nUI vesamenu.c32\nMENU BACKGROUND /isolinux/background.png\n\
         MENU TITLE NixOS\nDEFAULT boot\n\n{}{}",
        entry("boot", ""),
        entry("boot-copytoram", " copytoram")
    );
    disc.file(ISOLINUX, config);
    disc.file("/isolinux/isolinux.bin", isolinux_bin());
    disc.file("/isolinux/ldlinux.c32", module(&[]));
    disc.file("/isolinux/vesamenu.c32", module(&["", "libcom32.c32", "libutil.c32", "libc.c32"]));
    disc.file("/isolinux/libcom32.c32", module(&[]));
    disc.file("/isolinux/libutil.c32", module(&[]));
}

pub(crate) fn isolinux_bin() -> Vec<u8> {
    b"\r\nISOLINUX 6.04 20200816 \0".to_vec()
}

/// What `grub.cfg` of nixpkgs says.
fn grub_config(kernel: &str, params: &str, refind: Option<&str>) -> String {
    let entry = |more: &str| {
        format!(
            "menuentry 'NixOS 26.05 Installer {more}' --class installer {{\n\
             \x20 # Fallback to UEFI console.\n  terminal_output console\n\
             \x20 linux {kernel} ${{isoboot}} init={TOPLEVEL}/init  {params} {more}\n\
             \x20 initrd {INITRD}\n}}\n"
        )
    };
    let refind = refind.map_or_else(String::new, |name| {
        format!(
            "if [ \"$root\" != \"cd0\" ]; then\n  menuentry 'rEFInd' --class refind {{\n\
             \x20   search --set=root --no-floppy --fs-uuid 1234-5678\n\
             \x20   chainloader ($root)/EFI/BOOT/{name}\n  }}\nfi\n"
        )
    });
    format!(
        "set with_fonts=false\nset timeout=10\nif serial; then set with_serial=yes ;fi\n\
         export with_serial\nclear\necho \"\"\n\n# Search using a \"marker file\"\n\
         search --set=root --file {MARKER}\ninsmod gfxterm\n\
         if loadfont ($root)/EFI/BOOT/unicode.pf2; then\n  set with_fonts=true\nfi\n\
         if [ \"$textmode\" != \"true\" -a \"$with_fonts\" == \"true\" ]; then\n\
         \x20 terminal_output gfxterm\nelse\n  set menu_color_normal=cyan/blue\nfi\n\
         hiddenentry 'Text mode' --hotkey 't' {{\n  set textmode=true\n}}\n\
         if [ ${{iso_path}} ] ; then\n  set isoboot=\"findiso=${{iso_path}}\"\nfi\n\
         {}{}submenu \"HiDPI, Quirks and Accessibility\" --class hidpi {{\n\
         submenu \"\" {{return}}\n{}}}\n{refind}\
         menuentry 'Firmware Setup' --class settings {{\n  fwsetup\n  clear\n}}\n\
         menuentry 'Shutdown' --class shutdown {{\n  halt\n}}\n",
        entry(""),
        entry("copytoram"),
        entry("video=1280x720@60"),
    )
}

/// What starts on UEFI, on the disc and in the FAT file system.
fn grub_files(draft: &mut Draft, loader: (&str, u16), refind: Option<(&str, u16)>, config: &str) {
    let modules = grub_modules("/EFI/BOOT", None);
    for part in [&mut draft.disc, &mut draft.fat] {
        part.file(&format!("/EFI/BOOT/{}", loader.0), efi(loader.1, &[("mods", &modules)]));
        if let Some((name, machine)) = refind {
            part.file(&format!("/EFI/BOOT/{name}"), efi(machine, &[]));
        }
        part.file(GRUB, config);
    }
    draft.disc.file(MARKER, "");
}

fn draft(label: &str, store: Part) -> Draft {
    let mut disc = Part::new("disc", Family::Iso9660, label, "1980-01-01-00-00-00-00", 0);
    disc.file(STORE, "hsqs");
    disc.file("/version.txt", "26.05");
    Draft {
        disc,
        fat: Part::new("image 2", Family::Fat, "EFIBOOT", "1234-5678", 32),
        fat_is_readable: true,
        store,
        store_is_readable: true,
        squashfs_limit: false,
        images: Vec::new(),
        bios: Bios::Nothing("no master boot record".to_owned()),
        partition: false,
        boots: Vec::new(),
    }
}

fn efi_image() -> Image {
    Image {
        platform: 0xef,
        loader: Loader::Other,
        sound: true,
        content: Vec::new(),
        file: "/boot/efi.img",
    }
}

fn x86(params: &str, initrd: &[u8]) -> Draft {
    let mut draft = draft(LABEL, nix_store(X86_64, params));
    isolinux(&mut draft.disc, params);
    draft.disc.file(KERNEL, bzimage());
    draft.disc.file(INITRD, gzip(initrd));
    draft.disc.file("/boot/efi.img", "");
    let refind = ("refind_x64.efi", 0x8664);
    let kernel = format!("/boot/{}", &KERNEL[5..]);
    let config = grub_config(&kernel, params, Some(refind.0));
    grub_files(&mut draft, ("BOOTX64.EFI", 0x8664), Some(refind), &config);
    let content = isolinux_bin();
    let file = "/isolinux/isolinux.bin";
    draft.images = vec![
        Image { platform: 0, loader: Loader::Isolinux, sound: true, content, file },
        efi_image(),
    ];
    draft.bios = Bios::Starts(1);
    draft.partition = true;
    draft.boots = vec![Boot::Bios, Boot::UefiX86_64, Boot::Usb];
    draft
}

/// nixpkgs' installer with the scripts of stage 1.
pub(crate) fn scripted() -> Draft {
    let params = format!("root=LABEL={LABEL} boot.shell_on_fail loglevel=4");
    let mut draft = x86(&params, &scripted_initrd());
    draft.disc.file(LOOPBACK, "source /EFI/BOOT/grub.cfg");
    draft
}

/// The same with systemd in the initramfs.
pub(crate) fn systemd() -> Draft {
    x86("root=fstab loglevel=4 lsm=landlock,yama,bpf", &systemd_initrd(LABEL))
}

/// The same for AArch64: nothing but UEFI, and only from a disc.
pub(crate) fn aarch64() -> Draft {
    let label = "nixos-minimal-26.05-aarch64";
    let params = "root=fstab loglevel=4";
    let mut draft = draft(label, nix_store(AARCH64, params));
    draft.disc.file(IMAGE, image());
    draft.disc.file(INITRD, gzip(&systemd_initrd(label)));
    draft.disc.file("/boot/efi.img", "");
    let refind = ("refind_aa64.efi", 0xaa64);
    let config = grub_config(IMAGE, params, Some(refind.0));
    grub_files(&mut draft, ("BOOTAA64.EFI", 0xaa64), Some(refind), &config);
    draft.images = vec![efi_image()];
    draft.boots = vec![Boot::UefiAarch64];
    draft
}

pub(crate) const LOADER_ENTRY: &str = "/loader/entries/nixos.conf";
pub(crate) const UKI: &str = "/EFI/Linux/nixos-2.efi";
pub(crate) const REFIND: &str = "/EFI/refind/refind.conf";

/// systemd-boot with an entry and a unified kernel image, and rEFInd beside it.
pub(crate) fn systemd_boot() -> Draft {
    let params = "root=fstab loglevel=4";
    let mut draft = draft(LABEL, nix_store(X86_64, params));
    let initrd = systemd_initrd(LABEL);
    let line = format!("init={TOPLEVEL}/init {params}");
    let fat = &mut draft.fat;
    fat.file(X64, efi(0x8664, &[(".sdmagic", b"#### LoaderInfo: systemd-boot 260 ####")]));
    fat.file("/loader/loader.conf", "timeout 5\ndefault nixos*\n");
    fat.file("/EFI/nixos/kernel.efi", bzimage());
    fat.file("/EFI/nixos/initrd.efi", &initrd);
    let entry = format!(
        "title NixOS\nlinux /EFI/nixos/kernel.efi\ninitrd /EFI/nixos/initrd.efi\noptions {line}\n"
    );
    fat.file(LOADER_ENTRY, entry);
    let line = format!("{line}\0");
    let sections: [(&str, &[u8]); 3] =
        [(".cmdline", line.as_bytes()), (".initrd", &initrd), (".linux", &bzimage())];
    fat.file(UKI, efi(0x8664, &sections));
    fat.file(
        REFIND,
        "timeout 20\n# loader /gone\nmenuentry NixOS {\n    loader \\EFI\\nixos\\kernel.efi\n    \
         initrd /EFI/nixos/initrd.efi\n}\nmenuentry other {\n    volume X\n    loader /vmlinuz\n}\n",
    );
    draft.images = vec![efi_image()];
    draft.partition = true;
    draft.boots = vec![Boot::UefiX86_64, Boot::Usb];
    draft
}
