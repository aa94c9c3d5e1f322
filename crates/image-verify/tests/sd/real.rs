//! The same disks as real tools make them, and what other readers say of the files in them.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use image_model::{Board, ImageKind, Outcome, VerificationReport};
use image_verify::{Expected, Request, volume::Family};

use crate::{
    bytes::device_tree,
    image::{Draft, Entry, Part, ROOT_UUID, initramfs, pi, uefi},
};

/// Runs a tool, gives it `input`, and returns what it prints.
fn tool(package: &str, name: &str, args: &[&str], input: &[u8]) -> String {
    // Distributions keep those that write disks out of the path of people.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let child = Command::new(name)
        .args(args)
        .env("PATH", path)
        .env("MTOOLS_SKIP_CHECK", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child =
        child.unwrap_or_else(|error| panic!("{name}: {error}: apt-get install {package}"));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let failure = || format!("{name} {args:?}: {}{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}", failure());
    text(&output.stdout)
}

fn inside(folder: &Path, path: &str) -> PathBuf {
    folder.join(path.trim_start_matches('/'))
}

/// Gives files the time that Nix gives them, and directories of store paths their mode.
fn as_in_a_store(folder: &Path, is_of_store: impl Fn(&str) -> bool) {
    let name = folder.to_str().unwrap();
    let listed = tool("findutils", "find", &[name, "-type", "d"], b"");
    for path in listed.lines().filter(|path| is_of_store(path.strip_prefix(name).unwrap())) {
        fs::set_permissions(path, fs::Permissions::from_mode(0o555)).unwrap();
    }
    let touch = ["-exec", "touch", "-h", "-d", "@1", "{}", "+"];
    tool("findutils", "find", &[&[name][..], &touch].concat(), b"");
}

/// Makes the file system of a partition.
fn make(part: &Part, work: &Path) -> PathBuf {
    let folder = work.join(format!("files-{}", part.number));
    fs::create_dir(&folder).unwrap();
    let part = &part.finished();
    for (path, entry) in &part.entries {
        let path = inside(&folder, path);
        match entry {
            Entry::Directory | Entry::StoreDirectory => fs::create_dir(&path).unwrap(),
            Entry::Link(target) => symlink(target, &path).unwrap(),
            Entry::File(mode, content) => {
                fs::write(&path, content).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
            }
        }
    }
    as_in_a_store(&folder, |path| matches!(part.entries.get(path), Some(Entry::StoreDirectory)));
    let image = work.join(format!("part-{}.img", part.number));
    File::create(&image).unwrap().set_len(part.len << 20).unwrap();
    let name = image.to_str().unwrap();
    if part.family == Family::Ext {
        let from = folder.to_str().unwrap();
        let seed = format!("hash_seed={ROOT_UUID}");
        let args = ["-q", "-L", part.label, "-U", ROOT_UUID, "-E", &seed, "-d", from, name];
        tool("e2fsprogs", "mkfs.ext4", &args, b"");
        return image;
    }
    let args = ["--invariant", "-i", "0x2178694e", "-n", part.label, name];
    tool("dosfstools", "mkfs.vfat", &args, b"");
    for (path, entry) in &part.entries {
        let to = format!("::{path}");
        match entry {
            Entry::Directory => tool("mtools", "mmd", &["-i", name, &to], b""),
            _ => {
                let from = inside(&folder, path);
                tool("mtools", "mcopy", &["-i", name, from.to_str().unwrap(), &to], b"")
            }
        };
    }
    image
}

/// Makes the disk.
fn disk(draft: &Draft, work: &Path, table: &str) -> PathBuf {
    let image = work.join("disk.img");
    let end = draft.parts.iter().map(|part| part.start + part.len).max().unwrap();
    let mut file = File::create(&image).unwrap();
    file.set_len((end + 1) << 20).unwrap();
    tool("fdisk", "sfdisk", &["-q", image.to_str().unwrap()], table.as_bytes());
    for part in &draft.parts {
        let mut content = Vec::new();
        File::open(make(part, work)).unwrap().read_to_end(&mut content).unwrap();
        file.seek(SeekFrom::Start(part.start << 20)).unwrap();
        file.write_all(&content).unwrap();
    }
    image
}

fn verify(image: &Path, boards: &[Board]) -> VerificationReport {
    let expected = Expected::Kind(ImageKind::Sd);
    let request = Request { expected, boards, ..Request::default() };
    image_verify::verify(Arc::new(File::open(image).unwrap()), request).unwrap()
}

fn findings(report: &VerificationReport) -> Vec<String> {
    let told = report.findings.iter().filter(|finding| finding.check != "sd-board");
    told.map(|f| format!("{} {}: {}", f.check, f.at, f.message)).collect()
}

/// The card of nixpkgs, by its own steps.
#[test]
fn a_card_for_the_pi_is_good() {
    let work = tempfile::tempdir().unwrap();
    let mut draft = pi();
    draft.part(2).len = 64;
    let table = "label: dos\nlabel-id: 0x2178694e\n\n\
                 start=8M, size=61440, type=b\nstart=38M, type=83, bootable\n";
    let image = disk(&draft, work.path(), table);
    let report = verify(&image, &draft.boards);
    assert_eq!(findings(&report), Vec::<String>::new());
    assert_eq!(report.outcomes["sd-registration-complete"], Outcome::Held);
    // The flag of the second partition.
    let mut file = File::options().write(true).open(&image).unwrap();
    file.seek(SeekFrom::Start(0x1ce)).unwrap();
    file.write_all(&[0]).unwrap();
    let report = verify(&image, &draft.boards);
    assert_eq!(report.outcomes["sd-boot-flag"], Outcome::Failed);
}

#[test]
fn a_disk_for_uefi_is_good() {
    let work = tempfile::tempdir().unwrap();
    let mut draft = uefi();
    draft.part(2).len = 64;
    let table = "label: gpt\n\nstart=1M, size=64M, type=uefi\nstart=65M, type=linux\n";
    let image = disk(&draft, work.path(), table);
    let report = verify(&image, &draft.boards);
    assert_eq!(findings(&report), Vec::<String>::new());
}

/// The files of the fixtures are what they are called.
#[test]
fn witnesses_read_the_files() {
    let listing = tool("cpio", "cpio", &["-t", "--quiet"], &initramfs());
    assert!(listing.lines().any(|line| line == "init"), "{listing}");
    let tree = device_tree(&["raspberrypi,3-model-b", "brcm,bcm2837"]);
    let args = ["-q", "-I", "dtb", "-O", "dts", "-"];
    let source = tool("device-tree-compiler", "dtc", &args, &tree);
    // Versions of dtc write a list of strings in two ways.
    let both = ["raspberrypi,3-model-b", "brcm,bcm2837"].iter().all(|name| source.contains(name));
    assert!(both, "{source}");
    let args = ["-b", "-"];
    let kernel = tool("file", "file", &args, &crate::bytes::kernel());
    assert!(kernel.contains("Linux kernel ARM64 boot executable"), "{kernel}");
    let program = tool("file", "file", &args, &crate::bytes::efi(0xaa64, &[]));
    assert!(program.contains("PE32+ executable (EFI application) Aarch64"), "{program}");
}
