//! Folders of this machine.

use std::{
    fs::{self, File},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
};

use image_factory::{Fault, event::Event};
use image_publish::PublishError;

use crate::release::{Release, VERSION, tree};

#[test]
fn a_version_is_there_once_and_as_it_is_here() {
    let mut release = Release::new();
    release.add_large("nixos-large-26.05.1.img", 5 << 20);
    release.seal();
    let out = release.dir.path().join("srv/images");
    let target = out.to_str().unwrap();
    let (published, told) = release.publish(target);
    let published = published.unwrap();
    assert!(published.present.is_empty());
    assert_eq!(published.place, out.join(VERSION).to_str().unwrap());
    let mut sent = published.sent.clone();
    sent.sort();
    assert_eq!(sent, release.names());

    // What is named by others comes before them.
    let at = |name: &str| published.sent.iter().position(|sent| sent == name).unwrap();
    let order = [
        "nixos-26.05.1.wsl",
        "nixos-26.05.1.wsl.intoto.jsonl",
        "manifest.json",
        "SHA256SUMS.minisig",
        "SHA256SUMS",
        "streams/v1/index.json",
        "index.html",
    ];
    assert!(order.map(at).is_sorted(), "{:?}", published.sent);
    assert_eq!(at("index.html") + 1, published.sent.len());

    // The same bytes, and the names that clients look for beside them; nothing else in the folder.
    let mut expected = tree(&release.folder());
    let index = fs::read(release.folder().join("simplestreams-index.json")).unwrap();
    expected.push(("streams/v1/index.json".to_owned(), index));
    expected.sort();
    assert_eq!(tree(&out.join(VERSION)), expected);
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
    let mode = fs::metadata(out.join(VERSION).join("SHA256SUMS")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    let last = told.iter().rev().find_map(|event| match event {
        Event::Progress { done, total, .. } => Some((*done, *total)),
        _ => None,
    });
    assert!(matches!(last, Some((done, Some(total))) if done == total), "{last:?}");

    // Again: nothing is written.
    let inode = |name: &str| fs::metadata(out.join(VERSION).join(name)).unwrap().ino();
    let before = release.names().iter().map(|name| inode(name)).collect::<Vec<_>>();
    let again = release.publish(target).0.unwrap();
    assert!(again.sent.is_empty(), "{again:?}");
    assert_eq!(again.present.len(), release.names().len());
    assert_eq!(release.names().iter().map(|name| inode(name)).collect::<Vec<_>>(), before);
}

#[test]
fn a_version_is_never_changed() {
    let mut release = Release::new();
    let out = release.dir.path().join("images");
    let target = out.to_str().unwrap();
    release.publish(target).0.unwrap();
    let before = tree(&out);

    // Other bytes of the same length, and more of them.
    let file = "nixos-26.05.1.wsl.cdx.json";
    let media_type = "application/vnd.cyclonedx+json";
    release.add(file, image_model::FileRole::Sbom, media_type, b"cdx.jsoN");
    let longer = "nixos-26.05.1.wsl.verification.json";
    release.add(longer, image_model::FileRole::Report, "application/json", b"longer than before");
    release.seal();
    fs::write(out.join(VERSION).join("extra"), "").unwrap();
    let error = release.publish(target).0.unwrap_err();
    assert_eq!(error.fault(), Fault::Image);
    let PublishError::Conflict { differences, .. } = &error else { panic!("{error:?}") };
    assert!(differences.iter().any(|d| d.starts_with(longer)), "{differences:?}");
    assert!(differences.iter().any(|d| d.starts_with("extra is there")), "{differences:?}");
    fs::remove_file(out.join(VERSION).join("extra")).unwrap();
    assert_eq!(tree(&out), before);

    // Where all sizes agree, digests do not.
    release.add(longer, image_model::FileRole::Report, "application/json", b"verification.json");
    release.seal();
    let error = release.publish(target).0.unwrap_err();
    let PublishError::Conflict { differences, .. } = &error else { panic!("{error:?}") };
    assert!(differences.iter().any(|d| d.starts_with(file)), "{differences:?}");
    assert_eq!(tree(&out), before);
}

#[test]
fn what_others_began_is_completed() {
    let release = Release::new();
    let out = release.dir.path().join("images");
    release.publish(out.to_str().unwrap()).0.unwrap();
    let before = tree(&out);
    fs::remove_file(out.join(VERSION).join("SHA256SUMS")).unwrap();
    fs::remove_dir_all(out.join(VERSION).join("streams")).unwrap();
    let published = release.publish(out.to_str().unwrap()).0.unwrap();
    assert_eq!(published.sent, ["SHA256SUMS", "streams/v1/index.json"]);
    assert_eq!(tree(&out), before);
}

#[test]
fn what_a_killed_run_left_is_in_nobodys_way() {
    let release = Release::new();
    let out = release.dir.path().join("images");
    release.publish(out.to_str().unwrap()).0.unwrap();
    let before = tree(&out);
    // It completed a version, which a reader sees, and was in the middle of a file.
    fs::remove_file(out.join(VERSION).join("SHA256SUMS")).unwrap();
    fs::create_dir(out.join(".26.05.1.publish")).unwrap();
    fs::write(out.join(".26.05.1.publish/SHA256SUMS"), "half").unwrap();
    fs::write(out.join(".26.05.1.publish.lock"), "4194305\n").unwrap();
    let published = release.publish(out.to_str().unwrap()).0.unwrap();
    assert_eq!(published.sent, ["SHA256SUMS"]);
    assert_eq!(tree(&out), before);
}

#[test]
fn two_runs_do_not_complete_the_same_version() {
    let release = Release::new();
    let out = release.dir.path().join("images");
    release.publish(out.to_str().unwrap()).0.unwrap();
    fs::remove_file(out.join(VERSION).join("SHA256SUMS")).unwrap();
    let lock = File::create(out.join(".26.05.1.publish.lock")).unwrap();
    lock.lock().unwrap();
    let error = release.publish(out.to_str().unwrap()).0.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("is in use by another run"), "{cause}");
    drop(lock);
    assert_eq!(release.publish(out.to_str().unwrap()).0.unwrap().sent, ["SHA256SUMS"]);
}

#[test]
fn a_file_that_changed_after_the_release_is_not_published() {
    let release = Release::new();
    let out = release.dir.path().join("images");
    let name = "nixos-26.05.1.wsl.cdx.json";
    let file = release.folder().join(name);
    fs::write(&file, "cdx.jsoN").unwrap();
    let changes = || {
        let error = release.publish(out.to_str().unwrap()).0.unwrap_err();
        assert!(matches!(&error, PublishError::Changed { path } if *path == file), "{error:?}");
    };
    changes();
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);

    // Neither where the rest of the version is there.
    fs::write(&file, "cdx.json").unwrap();
    release.publish(out.to_str().unwrap()).0.unwrap();
    let there = out.join(VERSION).join(name);
    fs::remove_file(&there).unwrap();
    fs::write(&file, "cdx.jsoN").unwrap();
    changes();
    assert!(!there.exists());
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
}

#[test]
fn a_folder_that_is_no_release_is_refused() {
    let release = Release::new();
    let folder = release.folder();
    let fails = |part: &str| {
        let error = release.publish("out").0.unwrap_err();
        assert!(error.to_string().contains(part), "no {part:?} in {error}");
        error.fault()
    };
    let broken = |name: &str, text: &[u8], part: &str| {
        let path = folder.join(name);
        let good = fs::read(&path).ok();
        fs::write(&path, text).unwrap();
        let fault = fails(part);
        match good {
            Some(good) => fs::write(&path, good).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        fault
    };
    assert_eq!(broken("more", b"", "more is of no release"), Fault::Image);
    broken("nixos-26.05.1.wsl", b"short", "nixos-26.05.1.wsl has 5 bytes");
    broken("SHA256SUMS", b"", "SHA256SUMS has no nixos-26.05.1.wsl");
    broken("SHA256SUMS", &[0xff; 100], "no checksum");
    assert_eq!(broken("manifest.json", b"{}", "not the folder of a release"), Fault::Usage);
    broken("manifest.json", b"{\"schema\": 99}", "schema 99");
    let manifest = fs::read_to_string(folder.join("manifest.json")).unwrap();
    let named = |from: &str, to: &str, part: &str| {
        assert!(manifest.contains(from), "{manifest}");
        broken("manifest.json", manifest.replace(from, to).as_bytes(), part);
    };
    named("streams/v1/index.json", "../index.json", "\"../index.json\" is no name below a folder");
    named("streams/v1/index.json", "/etc/passwd", "\"/etc/passwd\" is no name below a folder");
    named("streams/v1/index.json", "index.html/x", "index.html is a file, and the folder of");
    named("\"SHA256SUMS.minisig\"", "\"../minisig\"", "\"../minisig\" is no name of a file");
    named("text/html; charset", "text/html\\r\\nx: y", "is no media type");
    fs::remove_file(folder.join("index.html")).unwrap();
    fails("index.html is missing");
    fs::create_dir(folder.join("index.html")).unwrap();
    fails("index.html is no regular file");
}

#[test]
fn nothing_is_written_into_the_release() {
    let release = Release::new();
    let before = tree(&release.folder());
    let link = release.dir.path().join("link");
    std::os::unix::fs::symlink(release.folder(), &link).unwrap();
    let above = release.folder().parent().unwrap().to_owned();
    for target in [above, release.folder(), link.join("srv/images")] {
        let error = release.publish(target.to_str().unwrap()).0.unwrap_err();
        assert!(matches!(error, PublishError::Unmet { .. }), "{error:?}");
        assert_eq!(tree(&release.folder()), before);
    }
}

#[test]
fn what_was_never_complete_may_be_removed() {
    let mut release = Release::new();
    let out = release.dir.path().join("images");
    release.publish(out.to_str().unwrap()).0.unwrap();
    release.add("minisign.pub", image_model::FileRole::PublicKey, "text/plain", b"another key\n");
    release.seal();
    let complete = release.publish(out.to_str().unwrap()).0.unwrap_err().to_string();
    assert!(!complete.contains("never complete"), "{complete}");
    fs::remove_file(out.join(VERSION).join("SHA256SUMS")).unwrap();
    let half = release.publish(out.to_str().unwrap()).0.unwrap_err().to_string();
    assert!(half.contains("never complete there, having no SHA256SUMS: remove"), "{half}");
}
