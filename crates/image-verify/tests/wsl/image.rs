//! Small WSL images, described in memory and read back from the bytes of a real tar archive.

use std::{collections::BTreeMap, io::Read as _};

use image_formats::tar::{Item, Reader};
use image_model::{Check, Compression, ImageSpace, Location, Severity};
use image_verify::{
    Recorded, Recorder,
    kind::{Image, wsl},
    tree::Tree,
};

/// `e_machine` of the two systems that WSL runs on.
pub(crate) const X86_64: u16 = 0x3e;
pub(crate) const AARCH64: u16 = 0xb7;

/// One member.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) kind: tar::EntryType,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    pub(crate) mtime: u64,
    pub(crate) content: Vec<u8>,
    pub(crate) link: String,
}

/// An image, and what is known about it from outside.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) entries: BTreeMap<String, Entry>,
    pub(crate) file_name: &'static str,
    pub(crate) system: Option<&'static str>,
    pub(crate) compression: Compression,
}

impl Draft {
    pub(crate) fn empty() -> Self {
        Self {
            entries: BTreeMap::new(),
            file_name: "test.wsl",
            system: None,
            compression: Compression::Gzip,
        }
    }

    fn put(&mut self, path: &str, kind: tar::EntryType, mode: u32) -> &mut Entry {
        let (content, link) = (Vec::new(), String::new());
        let entry = Entry { kind, mode, uid: 0, gid: 0, mtime: 1, content, link };
        self.entries.insert(path.to_owned(), entry);
        self.entry(path)
    }

    pub(crate) fn dir(&mut self, path: &str) -> &mut Entry {
        self.put(path, tar::EntryType::Directory, 0o755)
    }

    pub(crate) fn dirs(&mut self, paths: &str) {
        paths.split_whitespace().for_each(|path| {
            self.dir(path);
        });
    }

    pub(crate) fn file(&mut self, path: &str, mode: u32, content: impl AsRef<[u8]>) -> &mut Entry {
        let entry = self.put(path, tar::EntryType::Regular, mode);
        entry.content = content.as_ref().to_vec();
        entry
    }

    pub(crate) fn link(&mut self, path: &str, target: &str) -> &mut Entry {
        let entry = self.put(path, tar::EntryType::Symlink, 0o777);
        entry.link = target.to_owned();
        entry
    }

    pub(crate) fn program(&mut self, path: &str, mode: u32) -> &mut Entry {
        self.file(path, mode, elf(X86_64))
    }

    pub(crate) fn entry(&mut self, path: &str) -> &mut Entry {
        self.entries.get_mut(path).unwrap_or_else(|| panic!("{path}"))
    }

    pub(crate) fn remove(&mut self, path: &str) {
        assert!(self.entries.remove(path).is_some(), "{path}");
    }

    /// Replaces a part of a text file, which has to be there.
    pub(crate) fn edit(&mut self, path: &str, from: &str, to: &str) {
        let entry = self.entry(path);
        let text = String::from_utf8(entry.content.clone()).unwrap();
        assert!(text.contains(from), "{path}: {from}");
        entry.content = text.replacen(from, to, 1).into_bytes();
    }

    /// The archive: `./` members in the order of their names.
    pub(crate) fn archive(&self) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, entry) in &self.entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(entry.kind);
            header.set_mode(entry.mode);
            header.set_uid(entry.uid);
            header.set_gid(entry.gid);
            header.set_mtime(entry.mtime);
            header.set_size(entry.content.len() as u64);
            if entry.link.is_empty() {
                let path = format!(".{path}");
                archive.append_data(&mut header, path, entry.content.as_slice()).unwrap();
            } else {
                archive.append_link(&mut header, format!(".{path}"), &entry.link).unwrap();
            }
        }
        archive.into_inner().unwrap()
    }

    pub(crate) fn tree(&self) -> Tree {
        read(&self.archive(), Tree::new(&wsl::INTERESTS))
    }

    pub(crate) fn verify(&self) -> Recorded {
        let tree = self.tree();
        let mut out = Recorder::default();
        let image = Image {
            tree: &tree,
            compression: self.compression,
            file_name: Some(self.file_name),
            system: self.system,
        };
        wsl::verify(&image, &mut out);
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

/// Gives every member to `tree`, and in further passes what it misses.
pub(crate) fn read(archive: &[u8], mut tree: Tree) -> Tree {
    pass(archive, |member, reader| {
        let wanted = tree.add(member);
        let mut content = Vec::new();
        reader.take(wanted).read_to_end(&mut content).unwrap();
        if wanted > 0 {
            tree.content(&content);
        }
    });
    for _ in 0..4 {
        let missing = tree.missing();
        if missing.is_empty() {
            break;
        }
        pass(archive, |member, reader| {
            if missing.contains(&member.header_offset.0) {
                let mut content = Vec::new();
                reader.read_to_end(&mut content).unwrap();
                tree.supply(member.header_offset.0, &content);
            }
        });
    }
    tree
}

fn pass(archive: &[u8], mut each: impl FnMut(&image_formats::tar::Member, &mut Reader<&[u8]>)) {
    let mut reader = Reader::new(archive);
    while let Some(item) = reader.next_item().unwrap() {
        if let Item::Member(member) = item {
            each(&member, &mut reader);
        }
    }
}

/// The header of a 64-bit little-endian ELF program: `ET_EXEC`, version 1.
pub(crate) fn elf(machine: u16) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(64, 0);
    bytes[16] = 2;
    bytes[18..20].copy_from_slice(&machine.to_le_bytes());
    bytes[20] = 1;
    bytes
}

/// A program that another one loads: one program header, `PT_INTERP`.
pub(crate) fn elf_loaded_by(machine: u16, interpreter: &str) -> Vec<u8> {
    let mut bytes = elf(machine);
    bytes[32] = 64;
    bytes[54] = 56;
    bytes[56] = 1;
    let mut header = [0; 56];
    header[0] = 3;
    header[8] = 64 + 56;
    header[32] = u8::try_from(interpreter.len()).unwrap() + 1;
    bytes.extend(header);
    bytes.extend(interpreter.as_bytes());
    bytes.push(0);
    bytes
}

/// An icon with one picture of 40 bytes.
pub(crate) fn icon() -> Vec<u8> {
    let mut bytes = vec![0, 0, 1, 0, 1, 0, 16, 16, 0, 0, 1, 0, 32, 0];
    bytes.extend(40_u32.to_le_bytes());
    bytes.extend(22_u32.to_le_bytes());
    bytes.resize(22 + 40, 0);
    bytes
}

/// A small distribution with systemd and a first start of its own.
pub(crate) fn plain() -> Draft {
    let mut draft = Draft::empty();
    draft.dirs(
        "/ /boot /dev /etc /etc/ssh /etc/systemd /etc/systemd/system \
         /etc/systemd/system/multi-user.target.wants /proc /root /run /sys /tmp /usr /usr/bin \
         /usr/lib /usr/lib/systemd /usr/lib/systemd/system \
         /usr/lib/systemd/system/sysinit.target.wants /usr/lib/wsl /usr/share /usr/share/wsl",
    );
    draft.link("/bin", "usr/bin");
    draft.link("/sbin", "usr/bin");
    draft.link("/lib", "usr/lib");
    draft.file("/etc/group", 0o644, "root:x:0:\ndaemon:x:1:\n");
    draft.file("/etc/machine-id", 0o444, "uninitialized\n");
    draft.file("/etc/passwd", 0o644, PASSWD);
    draft.file("/etc/shadow", 0o640, "root:*:1::::::\ndaemon:!:1::::::\n").gid = 42;
    draft.link("/etc/os-release", "../usr/lib/os-release");
    draft.file("/usr/lib/os-release", 0o644, "NAME='Test'\nID=test\nVERSION_ID=\"1.0\"\n");
    draft.file("/etc/wsl.conf", 0o644, "# first\n[boot]\nsystemd = true\n");
    draft.file("/etc/wsl-distribution.conf", 0o644, DISTRIBUTION_CONF);
    draft.link("/etc/systemd/system/multi-user.target.wants/cron.service", "/usr/lib/cron.service");
    draft.file("/usr/lib/cron.service", 0o644, "[Unit]\n");
    draft.link(
        "/usr/lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service",
        "../systemd-tmpfiles-setup.service",
    );
    draft.file("/usr/lib/systemd/system/systemd-tmpfiles-setup.service", 0o644, "[Unit]\n");
    draft.link("/etc/systemd/system/systemd-tmpfiles-setup.service", "/dev/null");
    for name in ["bash", "grep", "init", "login", "mount", "nologin", "systemctl"] {
        draft.program(&format!("/usr/bin/{name}"), 0o755);
    }
    draft.link("/usr/bin/sh", "bash");
    draft.file("/usr/lib/wsl/oobe.sh", 0o755, "#!/bin/sh\n");
    draft.file("/usr/lib/wsl/profile.json", 0o640, "{\"profiles\": []}\n");
    draft.file("/usr/share/wsl/test.ico", 0o644, icon());
    draft
}

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/sbin/nologin\n";

const DISTRIBUTION_CONF: &str = "[oobe]
command = /usr/lib/wsl/oobe.sh
defaultUid = 1000
defaultName = Test-1.0
[shortcut]
enabled = true
icon = /usr/share/wsl/test.ico
[windowsterminal]
profileTemplate = /usr/lib/wsl/profile.json
";

/// A store path, as long as a real one.
macro_rules! store {
    ($name:literal) => {
        concat!("/nix/store/", "0123456789abcdfghijklmnpqrsvwxyz", "-", $name)
    };
}
pub(crate) use store;

/// An image of the shape that NixOS-WSL makes.
pub(crate) fn nixos() -> Draft {
    let mut draft = Draft::empty();
    draft.dirs(
        "/ /bin /dev /etc /etc/nixos /home /nix /nix/store /nix/var /nix/var/nix \
         /nix/var/nix/db /nix/var/nix/profiles /proc /root /run /sys /tmp /usr /var",
    );
    draft.entry("/nix/store").mode = 0o1775;
    draft.entry("/nix/store").gid = 30000;
    let home = draft.dir("/home/nixos");
    (home.mode, home.uid, home.gid) = (0o700, 1000, 100);
    draft.link("/sbin", "/bin");
    draft.link("/nix/var/nix/profiles/system", "system-1-link");
    draft.link("/nix/var/nix/profiles/system-1-link", store!("nixos-system"));
    draft.file("/nix/var/nix/db/db.sqlite", 0o644, "SQLite format 3\0");
    draft.file("/etc/NIXOS", 0o644, "");
    draft.file("/etc/nixos/configuration.nix", 0o644, "{ }\n");
    draft.file("/etc/nixos.ico", 0o644, icon());
    draft.file("/etc/group", 0o644, "root:x:0:\nusers:x:100:nixos\n");
    draft.file("/etc/passwd", 0o644, NIXOS_PASSWD);
    draft.file("/etc/shadow", 0o640, "root:!:1::::::\nnixos:!:1::::::\n");
    draft.file(
        "/etc/wsl-distribution.conf",
        0o644,
        "[oobe]\ndefaultName=NixOS\n[shortcut]\nicon=/etc/nixos.ico\n",
    );
    draft.link("/etc/static", concat!(store!("etc"), "/etc"));
    for name in ["hostname", "os-release", "systemd", "wsl.conf"] {
        draft.link(&format!("/etc/{name}"), &format!("/etc/static/{name}"));
        let target = if name == "systemd" { "units" } else { name };
        draft
            .link(&format!("{}/etc/{name}", store!("etc")), &format!("{}{target}", store!("etc-")));
    }
    for path in [store!("etc"), concat!(store!("etc"), "/etc"), store!("etc-units")] {
        draft.dir(path).mode = 0o555;
    }
    draft.file(store!("ld.so"), 0o555, elf(0x3e));
    draft.file(store!("hello"), 0o555, elf_loaded_by(0x3e, store!("ld.so")));
    draft.file(store!("etc-wsl.conf"), 0o444, NIXOS_CONF);
    draft.file(store!("etc-hostname"), 0o444, "nixos\n");
    draft.file(store!("etc-os-release"), 0o444, "ID=nixos\nVERSION_ID=\"26.05\"\n");
    let wants = concat!(store!("etc-units"), "/system/sysinit.target.wants");
    draft.dir(concat!(store!("etc-units"), "/system")).mode = 0o555;
    draft.dir(wants).mode = 0o555;
    draft.link(
        &format!("{wants}/systemd-tmpfiles-setup.service"),
        "../systemd-tmpfiles-setup.service",
    );
    draft.file(
        concat!(store!("etc-units"), "/system/systemd-tmpfiles-setup.service"),
        0o444,
        "[Unit]\n",
    );
    for path in [
        store!("nixos-system"),
        store!("system-path"),
        concat!(store!("system-path"), "/bin"),
        store!("systemd"),
        concat!(store!("systemd"), "/lib"),
        concat!(store!("systemd"), "/lib/systemd"),
        store!("wrapped-bash"),
    ] {
        draft.dir(path).mode = 0o555;
    }
    draft.link(concat!(store!("nixos-system"), "/sw"), store!("system-path"));
    draft.link(concat!(store!("nixos-system"), "/systemd"), store!("systemd"));
    draft.file(concat!(store!("nixos-system"), "/activate"), 0o555, "#!/bin/sh\n");
    draft.program(concat!(store!("systemd"), "/lib/systemd/systemd"), 0o555);
    draft.program(concat!(store!("wrapped-bash"), "/wrapper"), 0o555);
    draft.program(store!("systemd-shim"), 0o555);
    for name in ["bash", "login", "mount", "nologin"] {
        draft.program(&format!("{}/bin/{name}", store!("system-path")), 0o555);
    }
    // A link of its own inside an object may lead nowhere.
    draft.link(concat!(store!("system-path"), "/broken"), "share/nothing");
    draft.link("/bin/sh", concat!(store!("wrapped-bash"), "/wrapper"));
    draft.link("/bin/bash", concat!(store!("wrapped-bash"), "/wrapper"));
    draft.link("/bin/init", store!("systemd-shim"));
    draft.link("/bin/login", "/run/current-system/sw/bin/login");
    draft.link("/bin/mount", "/run/current-system/sw/bin/mount");
    draft.link("/bin/wslpath", "/init");
    draft
}

const NIXOS_PASSWD: &str = "root:x:0:0:System administrator:/root:/run/current-system/sw/bin/bash
nixos:x:1000:100::/home/nixos:/nix/store/0123456789abcdfghijklmnpqrsvwxyz-wrapped-bash/wrapper
nobody:x:65534:65534::/var/empty:/run/current-system/sw/bin/nologin
";

const NIXOS_CONF: &str = "[automount]
enabled=true
ldconfig=false
mountFsTab=false
options=metadata,uid=1000,gid=100
root=/mnt
[boot]
systemd=true
[network]
generateHosts=true
generateResolvConf=true
hostname=nixos
[user]
default=nixos
";
