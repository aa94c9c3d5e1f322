//! Second witnesses: bsdtar as WSL calls it, GNU tar and gzip read the same images.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use super::{image::*, verify};

/// Runs a program with `input` on its standard input. True if it succeeds.
fn run(package: &str, argv: &[&str], input: &[u8]) -> bool {
    let child = Command::new(argv[0])
        .args(&argv[1..])
        .env("LANG", "C.UTF-8")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut child =
        child.unwrap_or_else(|e| panic!("{}: {e}; run `apt-get install {package}`", argv[0]));
    // A program that refuses its input may not read it to its end.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait().unwrap().success()
}

/// Extracts as WSL does.
fn bsdtar(file: &[u8]) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let argv = ["bsdtar", "-C", path, "-x", "-p", "--xattrs", "--numeric-owner", "-f", "-"];
    run("libarchive-tools", &argv, file)
}

/// What bsdtar refuses is an error here, and what it silently takes and should not is one as well.
#[test]
fn bsdtar_refuses_nothing_that_passes() {
    let many = |entries: &[Entry]| gzip(&tar_with(entries));
    let cases: Vec<(&str, bool, Vec<u8>)> = vec![
        ("good", true, gzip(&good_tar())),
        ("below a symlink", false, many(&[file("./lib/a", b"")])),
        ("a directory instead of the symlink", true, many(&[dir("./lib/"), file("./lib/a", b"")])),
        ("two dots", false, many(&[file("./../a", b"")])),
        ("absolute", true, many(&[file("/a", b"")])),
        ("256 bytes", false, many(&[long(&[b"./", &[b'n'; 256][..]].concat())])),
        ("255 bytes", true, many(&[long(&[b"./", &[b'n'; 255][..]].concat())])),
        ("forward hard link", false, many(&[hard_link("./a", "./b"), file("./b", b"")])),
        ("hard link", true, many(&[hard_link("./a", "./bin/sh")])),
        ("twice", true, many(&[file("./bin/sh", b"")])),
        ("below a file", false, many(&[file("./bin/sh/a", b"")])),
        ("a file instead of a directory", false, many(&[file("./bin", b"")])),
        ("not UTF-8", true, many(&[entry(b'0', b"./\xff", 0o644, b"", b"")])),
        ("cut gzip", false, gzip(&good_tar())[..200].to_vec()),
        ("no end", true, good_tar()[..good_tar().len() - 1024].to_vec()),
        ("cut member", false, good_tar()[..good_tar().len() - 1500].to_vec()),
        ("wrong CRC", true, {
            let mut file = gzip(&good_tar());
            let at = file.len() - 8;
            file[at] ^= 1;
            file
        }),
        ("damaged header", true, {
            let mut tar = good_tar();
            tar[512] ^= 1;
            tar
        }),
        ("zeros", true, vec![0; 10240]),
        ("empty", true, Vec::new()),
    ];
    let harmless = ["good", "255 bytes", "hard link", "not UTF-8"];
    for (name, accepted, file) in cases {
        assert_eq!(bsdtar(&file), accepted, "bsdtar on {name}");
        assert_eq!(verify(&file).passed(), harmless.contains(&name), "verify on {name}");
    }
}

#[test]
fn gnu_tar_and_gzip_read_the_good_image() {
    let raw = good_tar();
    assert!(run("tar", &["tar", "-t", "-f", "-"], &raw));
    assert!(run("gzip", &["gzip", "-t"], &gzip(&raw)));
}
