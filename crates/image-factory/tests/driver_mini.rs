//! The mini system, laid out around the busybox of this machine, read back by bsdtar with the
//! flags of WSL, and used: its shell runs, and its first launch makes a user.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use image_factory::driver::{
    busybox::{Busybox, BusyboxError},
    mini::{self, MiniJob},
};

const SYSTEM: &str = match std::env::consts::ARCH.as_bytes() {
    b"aarch64" => "aarch64-linux",
    _ => "x86_64-linux",
};

/// The other one.
const FOREIGN: &str = match std::env::consts::ARCH.as_bytes() {
    b"aarch64" => "x86_64-linux",
    _ => "aarch64-linux",
};

/// A command that may give files to users and change its root: root may, everybody else may in a
/// user namespace.
fn as_root(program: &str) -> Command {
    let id = Command::new("id").arg("-u").output().unwrap().stdout;
    if id == b"0\n" {
        return Command::new(program);
    }
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--map-auto", program]);
    command
}

fn run(command: &mut Command, input: &[u8], hint: &str) -> Output {
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}; {hint}"));
    // A program that does not want all of it is not at fault.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn succeed(command: &mut Command, input: &[u8], hint: &str) -> String {
    let output = run(command, input, hint);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {stderr}; {hint}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

fn build(work: &Path) -> PathBuf {
    let output = mini::build(&MiniJob { system: SYSTEM, busybox: None, work })
        .unwrap_or_else(|error| panic!("{error}; apt-get install busybox-static"));
    assert_eq!(output.distribution, "mini");
    assert_eq!(output.tools.len(), 1);
    assert_eq!(output.source.route, "busybox");
    output.file
}

/// Imports an archive as WSL does.
fn import(archive: &Path) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let mut bsdtar = as_root("bsdtar");
    bsdtar.arg("-C").arg(root.path());
    bsdtar.args(["-x", "-p", "--xattrs", "--numeric-owner", "-f", "-"]).env("LANG", "C.UTF-8");
    let hint = "apt-get install libarchive-tools, and uidmap where the tests do not run as root";
    succeed(&mut bsdtar, &fs::read(archive).unwrap(), hint);
    root
}

fn chroot(root: &Path, script: &str, input: &str) -> Output {
    let mut chroot = as_root("chroot");
    chroot.arg(root).args(["/bin/sh", "-c", script]).env_clear();
    chroot.env("PATH", "/bin:/sbin:/usr/bin:/usr/sbin");
    run(&mut chroot, input.as_bytes(), "apt-get install coreutils util-linux uidmap")
}

fn chrooted(root: &Path, script: &str, input: &str) -> String {
    let output = chroot(root, script, input);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {}: {stderr}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_same_busybox_gives_the_same_bytes() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert_eq!(fs::read(build(first.path())).unwrap(), fs::read(build(second.path())).unwrap());
}

#[test]
fn members_are_tidy() {
    let work = tempfile::tempdir().unwrap();
    let bytes = fs::read(build(work.path())).unwrap();
    let mut archive = tar::Archive::new(&bytes[..]);
    let mut last = Vec::new();
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        let header = entry.header();
        let path = entry.path_bytes().trim_ascii_end().to_vec();
        assert!(path.starts_with(b"./"), "{}", path.escape_ascii());
        assert_eq!(header.mtime().unwrap(), 1);
        assert_eq!(header.uid().unwrap(), 0);
        assert_eq!(header.username_bytes(), Some(&b""[..]));
        assert!(last <= path, "{}", path.escape_ascii());
        last = path;
    }
    assert!(bytes.ends_with(&[0; 1024]));
}

#[test]
fn the_system_runs() {
    let work = tempfile::tempdir().unwrap();
    let root = import(&build(work.path()));
    let mode = |path: &str| {
        let path = root.path().join(path);
        fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o7777
    };
    assert_eq!(mode("tmp"), 0o1777);
    assert_eq!(mode("root"), 0o700);
    assert_eq!(mode("bin/busybox"), 0o755);
    assert_eq!(mode("usr/lib/wsl/oobe"), 0o755);
    assert_eq!(mode("usr/lib/wsl/terminal-profile.json"), 0o640);
    assert_eq!(mode("etc/shadow"), 0o640);
    for absent in ["init", "etc/resolv.conf", "etc/machine-id", "sbin/init"] {
        assert!(!root.path().join(absent).exists(), "{absent}");
    }

    assert!(chrooted(root.path(), "id", "").starts_with("uid=0(root) gid=0(root)"));
    assert_eq!(chrooted(root.path(), "stat -c %u:%G /etc/shadow", ""), "0:shadow\n");
    // Every link leads to a busybox that knows its applet.
    let links = "cd / && for link in bin/* sbin/* usr/bin/* usr/sbin/*; do
            [ -x \"$link\" ] || echo \"$link\"
            busybox --list | grep -qxF \"${link##*/}\" || echo \"$link\"
        done";
    assert_eq!(chrooted(root.path(), links, ""), "");
    // What WSL runs at each start.
    chrooted(root.path(), "/bin/mount -a", "");
    // Windows's folders stay in the PATH, once ours are there.
    let path = "PATH=/mnt/c/Windows:/bin; . /etc/profile; echo \"$PATH\"";
    let path = chrooted(root.path(), path, "");
    assert_eq!(path, "/usr/sbin:/usr/bin:/sbin:/mnt/c/Windows:/bin\n");
}

#[test]
fn first_launch_makes_the_user() {
    let work = tempfile::tempdir().unwrap();
    let root = import(&build(work.path()));
    let conf = fs::read_to_string(root.path().join("etc/wsl-distribution.conf")).unwrap();
    let value = |key: &str| {
        let line = conf.lines().find(|line| line.starts_with(key)).unwrap();
        line.split(" = ").nth(1).unwrap().to_owned()
    };
    let oobe = value("command");

    // Without an answer it fails, as WSL asks again then, and nothing has changed.
    let passwd = fs::read(root.path().join("etc/passwd")).unwrap();
    assert!(!chroot(root.path(), &oobe, "").status.success());
    assert_eq!(fs::read(root.path().join("etc/passwd")).unwrap(), passwd);

    let long = "x".repeat(33);
    let said = chrooted(root.path(), &oobe, &format!("\nAnn\nroot\nshadow\n../a\n{long}\nann\n"));
    assert!(said.contains("There is a user root already."), "{said}");
    assert!(said.contains("There is a group shadow already."), "{said}");
    assert!(said.contains("32 characters at most"), "{said}");
    assert!(said.ends_with("Welcome, ann.\n"), "{said}");

    let uid = value("defaultUid");
    let id = chrooted(root.path(), "id ann; su ann -c 'cd && pwd && touch mine && id -u'", "");
    assert_eq!(id, format!("uid={uid}(ann) gid={uid}(ann) groups={uid}(ann)\n/home/ann\n{uid}\n"));
    assert_eq!(chrooted(root.path(), "grep ann /etc/shadow", ""), "ann:!:0:0:99999:7:::\n");
    assert_eq!(chrooted(root.path(), "stat -c %a:%u:%g /home/ann", ""), "755:1000:1000\n");

    // Once more changes nothing.
    let passwd = fs::read(root.path().join("etc/passwd")).unwrap();
    chrooted(root.path(), &oobe, "bob\n");
    assert_eq!(fs::read(root.path().join("etc/passwd")).unwrap(), passwd);
}

#[test]
fn what_is_no_static_busybox_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let message = |path: &Path, system| Busybox::read(path, system).unwrap_err().to_string();

    let busybox = mini_busybox();
    let error = Busybox::read(&busybox, FOREIGN).unwrap_err();
    assert!(matches!(error, BusyboxError::Machine { .. }), "{error}");
    let expected = format!("and the image is for {FOREIGN}: give --busybox FILE");
    assert!(error.to_string().ends_with(&expected), "{error}");

    // Programs of the machine are linked dynamically. This test is as well, and too large.
    let dynamic = message(Path::new("/usr/bin/env"), SYSTEM);
    assert!(dynamic.contains("ld-linux"), "{dynamic}");
    assert!(dynamic.ends_with("(Debian: package busybox-static)"), "{dynamic}");

    fs::write(path("script"), format!("#!/bin/sh\n{}", "#".repeat(100))).unwrap();
    assert!(
        message(&path("script"), SYSTEM).ends_with("is not a 64-bit little-endian ELF program")
    );
    fs::write(path("empty"), "").unwrap();
    assert!(message(&path("empty"), SYSTEM).ends_with("is not a 64-bit little-endian ELF program"));
    assert!(message(dir.path(), SYSTEM).contains("is not a file of at most"));
    assert!(message(&path("absent"), SYSTEM).starts_with("cannot read"));
    assert!(message(&busybox, "riscv64-linux").ends_with("not riscv64-linux"));

    // A busybox that was built without `login`.
    let mut bytes = fs::read(&busybox).unwrap();
    let table = b"\0login\0logname\0";
    let at = bytes.windows(table.len()).position(|found| found == table).unwrap();
    bytes[at + 1..at + 6].copy_from_slice(b"logia");
    fs::write(path("poor"), bytes).unwrap();
    assert!(message(&path("poor"), SYSTEM).ends_with("has no applet login"));

    // Its header, and nothing of busybox behind it.
    let mut bytes = fs::read(&busybox).unwrap();
    let size = bytes.len();
    bytes.truncate(4096);
    bytes.resize(size, 0);
    fs::write(path("hollow"), bytes).unwrap();
    assert!(message(&path("hollow"), SYSTEM).ends_with("it has no table of applets"));
}

fn mini_busybox() -> PathBuf {
    let busybox = Busybox::find(None, SYSTEM)
        .unwrap_or_else(|error| panic!("{error}; apt-get install busybox-static"));
    assert!(busybox.path().metadata().unwrap().size() > 0);
    busybox.path().to_owned()
}
