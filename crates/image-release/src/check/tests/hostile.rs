//! Folders that somebody made who means no good.

use std::{fs, os::unix::fs::symlink, sync::Mutex};

use image_host::tool::Tool;

use super::*;

#[test]
fn no_pipe_is_opened_and_no_link_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::NamedTempFile::new().unwrap();
    let path = |name: &str| dir.path().join(name);
    let memory = Stage::default().make();
    for (name, bytes) in &memory.files {
        fs::write(path(name), bytes).unwrap();
    }
    assert_eq!(failed(&check_with_keys(&Folder::open(dir.path()).unwrap())), [""; 0]);

    // A link to the right bytes leads out of the release all the same.
    fs::write(outside.path(), &memory.files["nixos-26.05.1.wsl"]).unwrap();
    fs::remove_file(path("nixos-26.05.1.wsl")).unwrap();
    symlink(outside.path(), path("nixos-26.05.1.wsl")).unwrap();
    fs::remove_file(path("nixos-iso-26.05.1.iso")).unwrap();
    Tool::find("mkfifo").unwrap().run([path("nixos-iso-26.05.1.iso")]).output().unwrap();
    fs::write(path("two\nlines\u{1b}[31m"), "").unwrap();
    fs::create_dir_all(path("a/b/c/d/e/f/g/h")).unwrap();
    let report = check_with_keys(&Folder::open(dir.path()).unwrap());
    let ids = ["release-file-extra", "release-file-kind", "release-file-missing"];
    assert_eq!(failed(&report), ids);
    let extra = report.findings.iter().find(|f| f.check == "release-file-extra").unwrap();
    assert_eq!(extra.file.as_deref(), Some("two\\nlines\\u{1b}[31m"));

    // Not even where it is the list itself.
    fs::remove_file(path("SHA256SUMS")).unwrap();
    Tool::find("mkfifo").unwrap().run([path("SHA256SUMS")]).output().unwrap();
    let report = check_with_keys(&Folder::open(dir.path()).unwrap());
    assert_eq!(failed(&report), ["release-sums"]);
}

#[test]
fn what_a_release_calls_itself_moves_no_cursor() {
    let evil = "\u{1b}]0;owned\u{7}\n";
    let stage = Stage {
        manifest: Some(Box::new(move |manifest| {
            manifest.version = format!("26.05.1{evil}");
            manifest.images[0].image = evil.to_owned();
            manifest.images[0].artifacts[0].file = evil.to_owned();
            manifest.files[0].also = Some(evil.to_owned());
        })),
        ..Stage::default()
    };
    let report = check_with_keys(&stage.make());
    let shown = "\\u{1b}]0;owned\\u{7}\\n";
    assert_eq!(report.version, Some(format!("26.05.1{shown}")));
    assert_eq!((&*report.images[0].image, &*report.images[0].file), (shown, shown));
    assert!(report.findings.iter().all(|finding| !finding.message.contains(char::is_control)));
}

#[test]
fn a_second_name_leads_nowhere_else() {
    struct Asked(Memory, Mutex<Vec<String>>);
    impl Source for Asked {
        fn name(&self) -> String {
            self.0.name()
        }
        fn list(&self) -> std::io::Result<Option<Vec<Entry>>> {
            self.0.list()
        }
        fn open(&self, name: &str) -> std::io::Result<Option<Opened>> {
            self.1.lock().unwrap().push(name.to_owned());
            self.0.open(name)
        }
    }
    for also in ["../secret", "/etc/passwd", "a//b", "a/./b", "", "two\nlines"] {
        let stage = Stage {
            manifest: Some(Box::new(move |manifest| {
                manifest.files[0].also = Some(also.to_owned());
            })),
            ..Stage::default()
        };
        let source = Asked(stage.make(), Mutex::default());
        assert_eq!(failed(&check_with_keys(&source)), ["release-second-name"], "{also:?}");
        assert!(!source.1.into_inner().unwrap().contains(&also.to_owned()));
    }
}

#[test]
fn each_document_is_read_for_one_image() {
    let stage = Stage {
        manifest: Some(Box::new(|manifest| {
            manifest.images[0].title = "Another one".to_owned();
            for _ in 0..100 {
                manifest.images.push(manifest.images[0].clone());
            }
        })),
        ..Stage::default()
    };
    let report = check_with_keys(&stage.make());
    assert_eq!(failed(&report), ["release-image-files", "release-image-manifest"]);
    let found = report.findings.iter().filter(|found| found.check == "release-image-manifest");
    assert_eq!(found.count(), 1);

    let edits: [fn(&mut ReleasedImage, &ReleasedImage); 2] = [
        |image, other| image.manifest.clone_from(&other.manifest),
        |image, other| image.verification.file.clone_from(&other.verification.file),
    ];
    for edit in edits {
        let stage = Stage {
            manifest: Some(Box::new(move |manifest| {
                let other = manifest.images[1].clone();
                edit(&mut manifest.images[0], &other);
            })),
            ..Stage::default()
        };
        assert!(failed(&check_with_keys(&stage.make())).contains(&"release-image-files"));
    }
}

#[test]
fn a_list_that_is_none_is_told_of_and_bounded() {
    let mut memory = Memory::default();
    assert_eq!(failed(&check_with_keys(&memory)), ["release-sums"]);

    for list in [&b""[..], b"\n", b"\xff\n", &[b'a'; 1000], b"\0\0\0\0"] {
        memory.files.insert("SHA256SUMS".to_owned(), list.to_vec());
        let report = check_with_keys(&memory);
        assert!(!report.passed());
        assert!(report.findings.len() < 200);
    }

    let line = |number: usize| format!("{}  {number}\n", "0".repeat(64));
    let many: String = (0..=MAX_ENTRIES).map(line).collect();
    let empty = "\n".repeat(6 << 20);
    for list in [many, empty] {
        memory.files.insert("SHA256SUMS".to_owned(), list.into_bytes());
        let report = check_with_keys(&memory);
        assert!(failed(&report).contains(&"release-limits"));
        assert!(report.findings.len() < 200);
    }

    for name in ["../x", "a/b", "a\\b", "..", "", "a\tb", &"x".repeat(300)] {
        let line = format!("{}  {name}\n", "0".repeat(64));
        memory.files.insert("SHA256SUMS".to_owned(), line.into_bytes());
        assert!(failed(&check_with_keys(&memory)).contains(&"release-sums-form"), "{name:?}");
    }
}

#[test]
fn a_file_without_an_end_is_not_read_to_it() {
    struct Endless(Memory);
    impl Source for Endless {
        fn name(&self) -> String {
            self.0.name()
        }
        fn list(&self) -> std::io::Result<Option<Vec<Entry>>> {
            self.0.list()
        }
        fn open(&self, name: &str) -> std::io::Result<Option<Opened>> {
            let endless = name == "nixos-26.05.1.wsl" || name == "index.html";
            if !endless {
                return self.0.open(name);
            }
            Ok(Some(Opened { len: None, reader: Box::new(std::io::repeat(b'x')) }))
        }
    }
    let report = check_with_keys(&Endless(Stage::default().make()));
    assert_eq!(failed(&report), ["release-file-size"]);
    assert_eq!(report.findings.len(), 2);
}

#[test]
fn documents_that_make_no_sense_are_findings() {
    let deep = |_: &str| "[".repeat(100_000).into_bytes();
    let empty = |_: &str| Vec::new();
    let text = |name: &str| format!("{name} is no such thing").into_bytes();
    let makers: [fn(&str) -> Vec<u8>; 3] = [deep, empty, text];
    for make in makers {
        let stage = Stage {
            documents: Some(Box::new(move |all| {
                for document in all {
                    document.bytes = make(&document.file);
                }
            })),
            ..Stage::default()
        };
        let report = check_with_keys(&stage.make());
        let ids = failed(&report);
        for id in [
            "release-attestation",
            "release-catalog",
            "release-checksum-file",
            "release-image-manifest",
            "release-page",
            "release-public-key",
            "release-report-summary",
            "release-sbom-subject",
        ] {
            assert!(ids.iter().any(|found| found.starts_with(id)), "{id} is not in {ids:?}");
        }
    }
}

#[test]
fn what_is_hashed_before_a_disk_is_short() {
    let name = "incus.tar.xz";
    let stage = Stage {
        documents: Some(Box::new(move |all| {
            let found = all.iter_mut().find(|document| document.file.ends_with(name));
            found.unwrap().bytes.resize((1 << 20) + 1, 0);
        })),
        ..Stage::default()
    };
    let report = check_with_keys(&stage.make());
    assert_eq!(failed(&report), ["release-catalog-entry"]);
    let told = |finding: &ReleaseFinding| finding.message.ends_with("and has 1048577 bytes");
    assert!(report.findings.iter().any(told), "{:#?}", report.findings);
}

#[test]
fn a_place_that_fails_is_an_error_and_no_finding() {
    struct Broken(Memory, &'static str);
    impl Source for Broken {
        fn name(&self) -> String {
            self.0.name()
        }
        fn list(&self) -> std::io::Result<Option<Vec<Entry>>> {
            self.0.list()
        }
        fn open(&self, name: &str) -> std::io::Result<Option<Opened>> {
            if name == self.1 {
                return Err(std::io::Error::other("connection reset"));
            }
            self.0.open(name)
        }
    }
    for name in ["SHA256SUMS", "manifest.json", "index.html", "nixos-26.05.1.wsl"] {
        let broken = Broken(Stage::default().make(), name);
        let error = check(&broken, &[], &|_| ()).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot read {name} of memory"));
    }
}
