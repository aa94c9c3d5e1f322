//! `key generate`, as a user runs it, and what the tools of each scheme say of such a key.

use std::{
    fs,
    io::Write as _,
    os::{fd::OwnedFd, unix::fs::PermissionsExt as _},
    process::{Command, Stdio},
};

use crate::common::{Project, Ran, which};

const SCHEMES: [&str; 3] = ["minisign", "ssh", "openpgp"];

fn mode(project: &Project, name: &str) -> u32 {
    project.path(name).metadata().unwrap().permissions().mode() & 0o777
}

/// The program with a passphrase on its standard input, which is a file descriptor as any other.
fn with_passphrase(project: &Project, args: &[&str], passphrase: &str) -> Ran {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(passphrase.as_bytes()).unwrap();
    drop(writer);
    Ran::of(project.command().args(args).stdin(Stdio::from(OwnedFd::from(reader))))
}

#[test]
fn a_key_pair_is_made_and_explained() {
    let project = Project::new();
    for scheme in SCHEMES {
        let public = format!("{scheme}.pub");
        let args = ["key", "generate", scheme, "--scheme", scheme, "--no-passphrase"];
        let ran = project.run(&[&args[..], &["--name", "Example <release@example.org>"]].concat());
        let ran = ran.exits(0).says("IMAGE_FACTORY_SIGNING_KEY").says("verify-release");
        assert!(!ran.out.contains("IMAGE_FACTORY_PASSPHRASE"), "{}", ran.out);
        assert_eq!((mode(&project, scheme), mode(&project, &public)), (0o600, 0o644));
        // Never a second time.
        let before = fs::read(project.path(scheme)).unwrap();
        project.run(&args).exits(2).says("is there already, and a key is never overwritten");
        assert_eq!(fs::read(project.path(scheme)).unwrap(), before);
        // Nothing of the secret was printed.
        let secret = String::from_utf8(before).unwrap();
        let long = secret.lines().filter(|line| line.len() > 30 && !line.contains(' '));
        for line in long.filter(|line| !line.starts_with('-')) {
            assert!(!ran.out.contains(line) && !ran.err.contains(line));
        }
    }
    assert_eq!(
        project.list(".").into_iter().filter(|name| name.starts_with("minisign")).count(),
        2
    );
}

#[test]
fn a_passphrase_comes_by_descriptor_or_environment() {
    let project = Project::new();
    for scheme in SCHEMES {
        let args = ["--format", "json", "key", "generate", scheme, "--scheme", scheme];
        let fd = [&args[..], &["--passphrase-fd", "0"]].concat();
        let ran = with_passphrase(&project, &fd, "correct horse\n").exits(0);
        let said = ran.json();
        assert_eq!(said["scheme"], scheme);
        assert_eq!(said["encrypted"], true);
        assert_eq!(said["publicFile"], format!("{scheme}.pub"));
        assert!(!ran.out.contains("horse") && !ran.err.contains("horse"));
    }
    // The tools know the passphrase, and what they say of the key is what we said.
    let printed = Command::new(which("ssh-keygen", "openssh-client"))
        .args(["-y", "-P", "correct horse", "-f", "ssh"])
        .current_dir(project.dir.path())
        .output()
        .unwrap();
    assert!(printed.status.success(), "{printed:?}");
    assert_eq!(printed.stdout, fs::read(project.path("ssh.pub")).unwrap());

    let mut command = project.command();
    command.args(["key", "generate", "by-variable"]).env("IMAGE_FACTORY_PASSPHRASE", "x");
    Ran::of(&mut command).exits(0).says("IMAGE_FACTORY_PASSPHRASE").says("minisign -Vm");
}

#[test]
fn without_a_passphrase_or_a_terminal_there_is_no_key() {
    let project = Project::new();
    // What setsid starts has no terminal.
    let mut command = Command::new(which("setsid", "util-linux"));
    command.args(["--wait", env!("CARGO_BIN_EXE_xtask"), "key", "generate", "key"]);
    command.current_dir(project.dir.path()).env_clear().stdin(Stdio::null());
    Ran::of(&mut command)
        .exits(2)
        .says("--passphrase-fd N, in $IMAGE_FACTORY_PASSPHRASE, or at a terminal")
        .says("--no-passphrase");
    with_passphrase(&project, &["key", "generate", "key", "--passphrase-fd", "0"], "\n")
        .exits(2)
        .says("the passphrase is empty");
    project
        .run(&["key", "generate", "key", "--passphrase-fd", "99"])
        .exits(2)
        .says("descriptor 99");
    project.run(&["key", "generate", "no/folder/key", "--no-passphrase"]).exits(3);
    project.run(&["key", "generate", "key", "--no-passphrase", "--name", ""]).exits(2);
    assert!(!project.path("key").exists() && !project.path("key.pub").exists());
}

/// Bits of a line of what the kernel says of a process: those of signals.
fn signals(pid: u32, line: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mask = status.lines().find_map(|text| text.strip_prefix(line)).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap()
}

#[test]
fn a_passphrase_that_does_not_come_is_not_waited_for() {
    const HUP: u64 = 1 << 0;
    const TERM: u64 = 1 << 14;
    let project = Project::new();
    for (signal, starts) in [("-INT", ""), ("-TERM", ""), ("-INT", "trap '' HUP; ")] {
        let mut command = Command::new(which("sh", "dash"));
        command.args(["-c", &format!("{starts}exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_xtask")]);
        command.args(["key", "generate", "key", "--passphrase-fd", "0"]).env_clear();
        command.current_dir(project.dir.path()).stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Kept open: nobody writes, and nobody ends it.
        let _stdin = child.stdin.take();
        let pid = child.id();
        // The last that it begins to hear.
        while signals(pid, "SigCgt:") & TERM == 0 {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        // As `nohup` starts a program, which may be this one as well, it does not hear that the
        // terminal goes away.
        let ignores = signals(pid, "SigIgn:") & HUP != 0;
        assert!(ignores || starts.is_empty());
        assert_eq!(signals(pid, "SigCgt:") & HUP == 0, ignores);
        let kill = format!("kill {signal} {pid}");
        Ran::of(Command::new("sh").args(["-c", &kill])).exits(0);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{output:?}");
        assert_eq!(output.stderr, b"interrupted\n");
        assert!(!project.path("key").exists());
    }
}

#[test]
fn a_passphrase_is_typed_twice() {
    let project = Project::new();
    let ask = |name: &str, typed: &str| {
        // `script` gives the program a terminal, and types what comes on its standard input.
        let program = env!("CARGO_BIN_EXE_xtask");
        let command = format!("tty > terminal; exec {program} key generate {name}");
        let mut script = Command::new(which("timeout", "coreutils"));
        script.args(["600", utf8(&which("script", "bsdutils")), "-qec", &command, "/dev/null"]);
        script.current_dir(project.dir.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        script.env_remove("IMAGE_FACTORY_PASSPHRASE").env("SHELL", which("sh", "dash"));
        let mut child = script.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut said = Vec::new();
        for line in typed.lines() {
            wait_for(&mut stdout, &mut said, b": ");
            wait_for_silence(fs::read_to_string(project.path("terminal")).unwrap().trim());
            let end = if line == "\x03" { "" } else { "\n" };
            stdin.write_all(format!("{line}{end}").as_bytes()).unwrap();
        }
        std::io::Read::read_to_end(&mut stdout, &mut said).unwrap();
        drop(stdin);
        (child.wait().unwrap().code(), String::from_utf8_lossy(&said).into_owned())
    };
    let (code, said) = ask("key", "correct horse\ncorrect horse\n");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Passphrase for key: ") && said.contains("The same again: "), "{said}");
    assert!(!said.contains("horse"), "{said}");
    let (code, said) = ask("other", "correct horse\nbattery staple\n");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("the two passphrases are not the same"), "{said}");
    assert!(!project.path("other").exists());
    let (code, said) = ask("other", "\x03");
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("interrupted") && !project.path("other").exists(), "{said}");
}

/// Reads until a question was asked. The program before it has a time limit.
fn wait_for(from: &mut impl std::io::Read, said: &mut Vec<u8>, end: &[u8]) {
    let mut byte = [0];
    while from.read(&mut byte).unwrap() == 1 {
        said.push(byte[0]);
        if said.ends_with(end) {
            return;
        }
    }
    panic!("{}", String::from_utf8_lossy(said));
}

/// The question is there a moment before the terminal keeps what is typed to itself.
fn wait_for_silence(terminal: &str) {
    for _ in 0..1000 {
        let settings = Command::new(which("stty", "coreutils")).args(["-F", terminal]).output();
        let settings = String::from_utf8(settings.unwrap().stdout).unwrap();
        if settings.split_whitespace().any(|word| word == "-echo") {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{terminal} shows what is typed");
}

fn utf8(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}
