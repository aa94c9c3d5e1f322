//! Small images of all formats, made by real tools.

use std::{fs, sync::LazyLock};

use crate::folder::Folder;

/// What is in all of them: their text, and a store path.
const FILES: &[(&str, &str)] = &[
    ("etc/motd", "welcome\n"),
    ("etc/hosts", "127.0.0.1 localhost\n"),
    ("boot/kernel", "a kernel of some bytes\n"),
    ("nix/store/s66mzxpvicwk07gjbjfw9izjfa797vsw-hello-2.12.1/bin/hello", "#!/bin/sh\n"),
];

/// The store path in all images.
pub(crate) const HELLO: &str = "/nix/store/s66mzxpvicwk07gjbjfw9izjfa797vsw-hello-2.12.1";

/// A folder with these files, and a symlink, all of the same time.
pub(crate) fn tree(folder: &Folder, name: &str) -> String {
    for (path, content) in FILES {
        folder.write(&format!("{name}/{path}"), content.as_bytes());
    }
    let root = folder.path(name);
    std::os::unix::fs::symlink("hosts", root.join("etc/link")).unwrap();
    let root = root.to_str().unwrap().to_owned();
    same_time(folder, &root);
    root
}

/// Gives all files of a folder the same time, and reads them, so that they do not change when they
/// are read again.
pub(crate) fn same_time(folder: &Folder, root: &str) {
    folder.succeed(&["find", root, "-exec", "touch", "-h", "-d", "@1000000000", "{}", "+"]);
    folder.succeed(&["sh", "-c", &format!("tar -cf - -C '{root}' . | wc -c")]);
}

/// An ext4 file system of a folder, with these options.
pub(crate) fn ext4(folder: &Folder, root: &str, options: &[&str]) -> Vec<u8> {
    let image = folder.write("image.ext4", b"");
    fs::File::options().write(true).open(&image).unwrap().set_len(4 << 20).unwrap();
    let fixed = [
        "faketime",
        "-f",
        "@2026-01-02 03:04:05",
        "mke2fs",
        "-q",
        "-t",
        "ext4",
        "-b",
        "1024",
        "-U",
        "44444444-4444-4444-8888-888888888888",
        "-L",
        "ROOT",
        "-d",
        root,
    ];
    folder.succeed(&[&fixed, options, &[&image]].concat());
    fs::read(image).unwrap()
}

pub(crate) const SEED: &str = "hash_seed=11111111-1111-4111-8111-111111111111";

/// Without checksums, so that an edit is all that differs.
pub(crate) static EXT4: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = Folder::new();
    let root = tree(&folder, "root");
    ext4(&folder, &root, &["-O", "^metadata_csum", "-E", SEED])
});

pub(crate) static EXT4_CHECKSUMS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = Folder::new();
    let root = tree(&folder, "root");
    ext4(&folder, &root, &["-E", SEED])
});

/// A FAT file system with these options of `mkfs.fat`, and the files of a folder in this order.
pub(crate) fn fat(folder: &Folder, options: &[&str], names: &[&str]) -> Vec<u8> {
    let image = folder.write("image.fat", b"");
    fs::File::options().write(true).open(&image).unwrap().set_len(2 << 20).unwrap();
    let fixed = ["mkfs.fat", "--invariant", "-i", "12345678", "-n", "BOOT"];
    folder.succeed(&[&fixed, options, &[&image]].concat());
    for name in names {
        let file = folder.path(name);
        let copied = [
            "faketime",
            "-f",
            "@2026-01-02 03:04:06",
            "mcopy",
            "-m",
            "-i",
            &image,
            file.to_str().unwrap(),
            "::",
        ];
        folder.succeed(&copied);
    }
    fs::read(image).unwrap()
}

pub(crate) static FAT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = Folder::new();
    let root = tree(&folder, "root");
    fat(&folder, &[], &[&format!("{root}/etc/motd"), &format!("{root}/boot/kernel")])
});

/// A disk that `sfdisk` divides, 8 MiB, with these file systems at these MiB.
pub(crate) fn disk(script: &str, parts: &[(usize, &[u8])]) -> Vec<u8> {
    let folder = Folder::new();
    let image = folder.write("image.disk", &vec![0; 8 << 20]);
    let script = folder.write("script", script.as_bytes());
    let command = format!("sfdisk --no-reread --no-tell-kernel -q '{image}' < '{script}'");
    folder.succeed(&["sh", "-c", &command]);
    let mut bytes = fs::read(image).unwrap();
    for (at, part) in parts {
        bytes[at << 20..(at << 20) + part.len()].copy_from_slice(part);
    }
    bytes
}

pub(crate) const MBR_SCRIPT: &str = "label: dos\nlabel-id: 0x2178694e\n\
    start=2048, size=4096, type=0b\nstart=6144, size=8192, type=83, bootable\n";

pub(crate) const GPT_SCRIPT: &str = "label: gpt\n\
    label-id: 11111111-2222-3333-4444-555555555555\n\
    start=2048, size=4096, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, \
    uuid=66666666-7777-8888-9999-AAAAAAAAAAAA, name=ESP\n\
    start=6144, size=8192, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, \
    uuid=77777777-7777-8888-9999-AAAAAAAAAAAA, name=root\n";

pub(crate) fn mbr(script: &str) -> Vec<u8> {
    disk(script, &[(1, &FAT), (3, &EXT4)])
}

pub(crate) static MBR: LazyLock<Vec<u8>> = LazyLock::new(|| mbr(MBR_SCRIPT));
pub(crate) static GPT: LazyLock<Vec<u8>> = LazyLock::new(|| mbr(GPT_SCRIPT));

/// A SquashFS of a folder.
pub(crate) fn squashfs(folder: &Folder, root: &str, options: &[&str]) -> Vec<u8> {
    let image = folder.path("image.squashfs");
    let _ = fs::remove_file(&image);
    let image = image.to_str().unwrap();
    let fixed = [
        "mksquashfs",
        root,
        image,
        "-quiet",
        "-no-progress",
        "-all-root",
        "-all-time",
        "1000000000",
    ];
    folder.succeed(&[&fixed, options].concat());
    fs::read(image).unwrap()
}

pub(crate) static SQUASHFS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = Folder::new();
    let root = tree(&folder, "root");
    squashfs(&folder, &root, &["-mkfs-time", "1000000000"])
});

/// A disc of a folder, with these options of `xorriso -as mkisofs`.
pub(crate) fn iso(folder: &Folder, root: &str, options: &[&str]) -> Vec<u8> {
    let image = folder.path("image.iso");
    let _ = fs::remove_file(&image);
    let image = image.to_str().unwrap();
    let fixed = [
        "env",
        "SOURCE_DATE_EPOCH=1000000000",
        "xorriso",
        "-as",
        "mkisofs",
        "-quiet",
        "-R",
        "-J",
        "-V",
        "NIXOS",
        "-o",
        image,
    ];
    folder.succeed(&[&fixed, options, &[root]].concat());
    fs::read(image).unwrap()
}

pub(crate) static ISO: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = Folder::new();
    let root = tree(&folder, "root");
    let boot = folder.path("root/boot/kernel");
    fs::write(boot, vec![0x90; 2048]).unwrap();
    same_time(&folder, &root);
    iso(&folder, &root, &["-b", "boot/kernel", "-no-emul-boot", "-boot-load-size", "4"])
});

/// A disc that is also a disk for Macintoshes.
pub(crate) static HYBRID: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = Folder::new();
    let root = tree(&folder, "root");
    iso(&folder, &root, &["-hfsplus", "-apm-block-size", "2048"])
});

/// A tar archive of these members.
pub(crate) fn tar(members: &[(&str, &[u8])], edit: impl Fn(&str, &mut tar::Header)) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(match name.ends_with('/') {
            true => tar::EntryType::Directory,
            false => tar::EntryType::Regular,
        });
        header.set_mode(0o755);
        header.set_mtime(1);
        header.set_size(content.len() as u64);
        if let Some(name) = name.strip_suffix('@') {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            header.set_link_name("motd").unwrap();
            edit(name, &mut header);
            builder.append_data(&mut header, name, &b""[..]).unwrap();
            continue;
        }
        edit(name, &mut header);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

pub(crate) const MEMBERS: &[(&str, &[u8])] = &[
    ("etc/", b""),
    ("etc/motd", b"welcome\n"),
    ("etc/hosts", b"127.0.0.1 localhost\n"),
    ("etc/link@", b""),
    ("nix/", b""),
    ("nix/store/", b""),
    ("nix/store/s66mzxpvicwk07gjbjfw9izjfa797vsw-hello-2.12.1/", b""),
    ("nix/store/s66mzxpvicwk07gjbjfw9izjfa797vsw-hello-2.12.1/hello", b"#!/bin/sh\n"),
];

pub(crate) fn plain_tar() -> Vec<u8> {
    tar(MEMBERS, |_, _| ())
}
