//! The broken twins: a good image with one edit, and the check that fails.

use super::{
    image::*,
    twin::{Twin, twin, with},
};

/// A gzip file with one edit.
fn edited_gzip(edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut file = gzip(&good_tar());
    edit(&mut file);
    file
}

/// An archive with one more member, whose header has one edit.
fn edited_entry(mut entry: Entry, edit: impl FnOnce(&mut Entry)) -> Vec<u8> {
    edit(&mut entry);
    tar_with(&[entry])
}

/// A gzip file whose header has the optional field that `flag` announces.
fn gzip_with_field(flag: u8, field: &[u8]) -> Vec<u8> {
    edited_gzip(|f| {
        f[3] = flag;
        f.splice(10..10, field.iter().copied());
    })
}

const TRUNCATED_TAR: &[&str] = &["tar-truncated"];

pub(crate) const TWINS: &[Twin] = &[
    twin("file-not-empty", Vec::new),
    twin("file-container", || b"PK\x03\x04 and so on".to_vec()),
    twin("file-tar-inside", || gzip(b"plain text")),
    // The test expects an image for a board.
    twin("file-kind", good_tar),
    // The test lowers the limit for this one.
    twin("file-expansion-limit", || gzip(&vec![0; 1 << 20])),
    twin("gzip-method", || edited_gzip(|f| f[2] = 7)),
    twin("gzip-reserved-flags", || edited_gzip(|f| f[3] = 0x20)),
    twin("gzip-header-crc", || gzip_with_field(2, b"\0\0")),
    twin("gzip-header-text", || gzip_with_field(8, &[b'n'; 70 << 10])),
    twin("gzip-data", || {
        // The first block of deflate gets the type that does not exist.
        edited_gzip(|f| f[10] |= 0b110)
    }),
    with("gzip-truncated", TRUNCATED_TAR, || edited_gzip(|f| f.truncate(f.len() / 2))),
    twin("gzip-crc", || {
        edited_gzip(|f| {
            let at = f.len() - 8;
            f[at] ^= 1;
        })
    }),
    twin("gzip-size", || {
        edited_gzip(|f| {
            let at = f.len() - 4;
            f[at] ^= 1;
        })
    }),
    twin("gzip-single-member", || [gzip(&good_tar()), gzip(b"")].concat()),
    twin("gzip-trailing-bytes", || edited_gzip(|f| f.extend(b"\0\0\0"))),
    twin("xz-data", || {
        let mut file = xz(&good_tar());
        // In the backward size of the footer: all data came out before it.
        let at = file.len() - 6;
        file[at] ^= 1;
        file
    }),
    twin("zstd-data", || {
        let mut file = zstd(&good_tar());
        let at = file.len() - 1;
        file[at] ^= 1;
        file
    }),
    twin("zstd-content-size", || zstd(&disk())),
    twin("tar-header-checksum", || {
        let mut tar = good_tar();
        let at = tar.len() - 1024 - 1024;
        tar[at] ^= 1;
        tar
    }),
    twin("tar-truncated", || {
        let mut tar = good_tar();
        tar.truncate(tar.len() - 1024 - 100);
        tar
    }),
    twin("tar-end-of-archive", || {
        let mut tar = good_tar();
        tar.truncate(tar.len() - 512);
        tar
    }),
    twin("tar-after-end", || [good_tar(), good_tar()].concat()),
    twin("tar-not-empty", || vec![0; 10240]),
    // The test lowers the limit for this one.
    twin("tar-member-limit", || {
        let files: Vec<_> = (0..100).map(|i| file(&format!("./etc/{i}"), b"")).collect();
        tar_with(&files)
    }),
    twin("tar-size", || edited_entry(file("./a", b""), |e| e.header.size[0] = b'x')),
    twin("tar-no-content", || {
        edited_entry(symlink("./a", "b"), |e| e.header.size = *b"00000000012\0")
    }),
    twin("tar-number", || edited_entry(file("./a", b""), |e| e.header.uid[0] = b'x')),
    twin("tar-extended-limit", || {
        tar_with(&[with_record(file("./a", b""), &" ".repeat((1 << 20) + 1))])
    }),
    twin("tar-extended-order", || {
        let mut twice = with_record(file("./a", b""), "6 a=b\n");
        twice.before.extend_from_within(..);
        tar_with(&[twice])
    }),
    twin("tar-pax-record", || tar_with(&[with_record(file("./a", b""), "9 a=b\n")])),
    twin("tar-padding", || {
        let mut tar = tar_with(&[file("./a", b"content")]);
        let at = tar.len() - 1025;
        tar[at] = 1;
        tar
    }),
    twin("tar-typeflag", || tar_with(&[entry(b'Z', b"./a", 0o644, b"", b"")])),
    twin("tar-name-empty", || tar_with(&[file("", b"")])),
    twin("tar-name-dot-dot", || tar_with(&[file("./../a", b"")])),
    twin("tar-name-absolute", || tar_with(&[file("/a", b"")])),
    twin("tar-name-prefix", || tar_with(&[file("a", b"")])),
    twin("tar-name-component", || tar_with(&[long(&[b"./", &[b'n'; 256][..]].concat())])),
    twin("tar-name-length", || {
        let deep = [&b"./"[..], &b"n/".repeat(257)].concat();
        tar_with(&[long(&deep), long(&[b"./", &[b'n'; 99][..]].concat().repeat(42))])
    }),
    twin("tar-name-utf8", || tar_with(&[entry(b'0', b"./\xff", 0o644, b"", b"")])),
    twin("tar-duplicate", || tar_with(&[file("./bin/sh", b"other")])),
    twin("tar-through-symlink", || tar_with(&[file("./lib/a", b"")])),
    twin("tar-symlink-replaced", || tar_with(&[dir("./lib/"), file("./lib/a", b"")])),
    twin("tar-below-file", || tar_with(&[file("./bin/sh/a", b"")])),
    twin("tar-directory-replaced", || tar_with(&[file("./bin", b"")])),
    twin("tar-parent-member", || tar_with(&[file("./opt/a", b"")])),
    with("tar-hard-link-target", &["tar-hard-link"], || {
        tar_with(&[hard_link("./a", "./b"), file("./b", b"")])
    }),
    twin("tar-hard-link", || tar_with(&[hard_link("./a", "./bin/sh")])),
    twin("tar-link-empty", || tar_with(&[symlink("./a", "")])),
    twin("tar-sparse", || {
        let realsize = b"00000000000";
        edited_entry(entry(b'S', b"./a", 0o644, b"", b""), |e| {
            // +483 `realsize`, GNU tar's `tar.h`.
            e.header.magic = *b"ustar ";
            e.header.version = *b" \0";
            e.header.prefix[138..149].copy_from_slice(realsize);
        })
    }),
    twin("tar-device", || tar_with(&[entry(b'3', b"./null", 0o666, b"", b"")])),
    twin("tar-xattr", || {
        tar_with(&[with_record(file("./a", b""), "35 SCHILY.xattr.security.selinux=x\n")])
    }),
    twin("tar-root-usable", || {
        let mut entries = good_entries();
        entries[0] = entry(b'5', b"./", 0o700, b"", b"");
        tar(&entries)
    }),
    twin("tar-root-mode", || {
        let mut entries = good_entries();
        entries[0] = entry(b'5', b"./", 0o705, b"", b"");
        tar(&entries)
    }),
    twin("tar-nested-root", || tar(&[dir("./root/"), dir("./root/etc/")])),
    twin("tar-oci-layout", || tar(&[file("./index.json", b"{}"), file("./oci-layout", b"{}")])),
];
