//! What is written is what it should be, and its clients read it.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use image_model::{
    Board, Compression, Digests, Generator, ImageKind, RELEASE_SCHEMA, ReleaseFile,
    ReleaseManifest, ReleasedImage, Sha256, SignatureScheme,
};

use super::{
    client::{Facts, sysupdate::Sum},
    *,
};
use crate::testing;

mod imager;
mod incus;
mod stream;
mod sysupdate;
mod version;
mod wsl;

/// The sample, with two images for WSL on two processors and one that nothing is known to boot.
fn release() -> Release {
    let mut release = testing::release();
    let arm =
        testing::image(ImageKind::Wsl, "wsl-aarch64", "aarch64-linux", "nixos-aarch64-26.05.1.wsl");
    release.images.insert(1, arm);
    release
}

/// Its catalogs, where OpenPGP signs it.
fn catalogs(release: &Release) -> Catalogs {
    super::catalogs(release, &[signature(SignatureScheme::Openpgp)])
}

fn signature(scheme: SignatureScheme) -> ReleaseSignature {
    let of = |part: &str| format!("{part}-{}", scheme.as_str());
    ReleaseSignature { scheme, file: of("file"), key_id: of("id"), public_key: of("key") }
}

/// What a client is told of a release with its catalogs: the manifest, and the list of checksums.
fn published(release: &Release, catalogs: &Catalogs) -> (ReleaseManifest, Vec<Sum>) {
    let payloads = release.images.iter().flat_map(|image| {
        image.manifest.artifacts.iter().map(|artifact| ReleaseFile {
            file: artifact.file.clone(),
            also: None,
            role: image_model::FileRole::Payload,
            media_type: "application/octet-stream".to_owned(),
            size: artifact.digests.size,
            sha256: artifact.digests.sha256,
            of: None,
        })
    });
    let documents = catalogs.documents.iter().map(|document| ReleaseFile {
        file: document.file.clone(),
        also: document.also.clone(),
        role: document.role,
        media_type: document.media_type.to_owned(),
        size: document.bytes.len() as u64,
        sha256: document.sha256(),
        of: None,
    });
    let files: Vec<_> = payloads.chain(documents).collect();
    let sums =
        files.iter().map(|file| Sum { sha256: file.sha256, file: file.file.clone() }).collect();
    let images = release.images.iter().map(|image| ReleasedImage {
        image: image.manifest.image.clone(),
        kind: image.manifest.kind,
        system: image.manifest.system.clone(),
        title: image.manifest.title.clone(),
        distribution: image.manifest.distribution.clone(),
        artifacts: image.manifest.artifacts.clone(),
        manifest: image.beside("manifest.json"),
        verification: image.verification.clone(),
        unverified: None,
    });
    let manifest = ReleaseManifest {
        schema: RELEASE_SCHEMA,
        generator: Generator { name: "image-release".to_owned(), version: "0.1.0".to_owned() },
        version: release.version.clone(),
        release: release.spec.clone(),
        created: None,
        images: images.collect(),
        files,
        signatures: vec![signature(SignatureScheme::Openpgp)],
        omitted: catalogs.omitted.clone(),
    };
    (manifest, sums)
}

/// The bytes of a catalog.
fn document<'a>(catalogs: &'a Catalogs, file: &str) -> &'a [u8] {
    let found = catalogs.documents.iter().find(|document| document.file == file);
    &found.unwrap_or_else(|| panic!("{file} is not there: {:?}", catalogs.omitted)).bytes
}

/// Why an image is not in a catalog, or the catalog not there.
fn why(release: &Release, catalog: &str) -> Vec<String> {
    let omitted = catalogs(release).omitted.into_iter();
    omitted.filter(|omitted| omitted.catalog == catalog).map(|omitted| omitted.why).collect()
}

/// What the client of a catalog finds wrong with it, and with what it says of the release.
fn wrong(release: &Release, catalogs: &Catalogs, file: &str, bytes: &[u8]) -> Vec<String> {
    let (manifest, sums) = published(release, catalogs);
    let facts = Facts { manifest: &manifest, sums: &sums };
    let refusals = match client::read_all(file, bytes, &facts).expect("it is a catalog") {
        Ok(entries) => entries.iter().flat_map(|entry| entry.differences(&manifest)).collect(),
        Err(refusals) => refusals,
    };
    refusals.iter().map(ToString::to_string).collect()
}

/// A program, for a minute at most.
fn tool(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("timeout");
    command.arg("60").arg(program);
    command
}

/// What a program of Debian says: exit code, output, errors.
fn run(program: &str, arguments: &[&str], python_path: &[&str]) -> (Option<i32>, String, String) {
    let folders: Vec<_> = python_path.iter().map(|folder| parts(folder)).collect();
    let output = tool(program)
        .args(arguments)
        .env("PYTHONPATH", std::env::join_paths(folders).unwrap())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (code, errors) = (output.status.code(), text(output.stderr));
    assert!(code != Some(127), "{program}: {errors}; run tests/setup.sh");
    (code, text(output.stdout), errors)
}

/// A folder of what tests of publishing need.
fn parts(folder: &str) -> PathBuf {
    let parts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/release-parts");
    let folder = parts.join(folder);
    assert!(folder.exists(), "{} is not there: run tests/setup.sh", folder.display());
    folder
}

/// A folder, served on a port of this machine until it is dropped.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let mut process = Command::new("python3")
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"])
            .arg(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It says so once it listens, and closes its output if it ends before.
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.split_once("port ").and_then(|(_, rest)| rest.split(' ').next());
        let port = port.unwrap_or_else(|| panic!("python3 -m http.server says {line:?}"));
        Self { address: format!("http://127.0.0.1:{port}"), process }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn catalogs_of_the_sample() {
    let catalogs = catalogs(&release());
    let mut all = String::new();
    for document in &catalogs.documents {
        let Document { file, also, role, media_type, bytes } = document;
        let also = also.as_deref().unwrap_or("only there");
        all.push_str(&format!("=== {file} ({role}, {media_type}, {also})\n"));
        match str::from_utf8(bytes) {
            Ok(text) => all.push_str(text),
            Err(_) => all.push_str(&format!("{}\n", document.sha256())),
        }
    }
    for omitted in &catalogs.omitted {
        let image = omitted.image.as_deref().unwrap_or("all of it");
        all.push_str(&format!("=== no {}, {image}: {}\n", omitted.catalog, omitted.why));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn every_catalog_is_read_by_its_client_and_names_the_files_of_the_release() {
    let release = release();
    let catalogs = catalogs(&release);
    let (manifest, sums) = published(&release, &catalogs);
    let facts = Facts { manifest: &manifest, sums: &sums };
    let mut found = Vec::new();
    for document in &catalogs.documents {
        let Some(entries) = client::read_all(&document.file, &document.bytes, &facts) else {
            assert_eq!(document.role, image_model::FileRole::Payload, "{}", document.file);
            continue;
        };
        for entry in entries.unwrap_or_else(|refusals| panic!("{}: {refusals:?}", document.file)) {
            assert_eq!(entry.differences(&manifest), [], "{}", document.file);
            found.push(format!("{} {} -> {}", document.file, entry.name, entry.file));
        }
    }
    found.sort();
    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn a_catalog_with_another_digest_size_or_address_is_found_out() {
    let release = release();
    let catalogs = catalogs(&release);
    let mut changed = 0;
    for document in &catalogs.documents {
        let Ok(text) = str::from_utf8(&document.bytes) else { continue };
        let values: Vec<_> = text
            .split('"')
            .filter(|value| {
                let digest = value.len() == 64 && value.bytes().all(|b| b.is_ascii_hexdigit());
                digest || value.starts_with("https://images")
            })
            .map(ToOwned::to_owned)
            .chain(["41943040".to_owned(), "134217728".to_owned()])
            .filter(|value| text.contains(value.as_str()))
            .collect();
        for value in values {
            let (head, last) = value.split_at(value.len() - 1);
            let other = format!("{head}{}", if last == "0" { '1' } else { '0' });
            let bytes = text.replacen(&value, &other, 1).into_bytes();
            // The digest of both files of a virtual machine is for those who read them.
            let combined = value.starts_with("5555");
            let wrong = wrong(&release, &catalogs, &document.file, &bytes);
            assert_eq!(wrong.is_empty(), combined, "{}: {value}: {wrong:?}", document.file);
            changed += 1;
        }
    }
    assert!(changed > 15, "{changed}");
}

#[test]
fn without_addresses_there_are_no_catalogs_of_addresses() {
    let mut release = release();
    (release.base_url, release.latest_url) = (None, None);
    let catalogs = catalogs(&release);
    let files: Vec<_> = catalogs.documents.iter().map(|document| &*document.file).collect();
    assert_eq!(
        files,
        [
            "nixos-vm-26.05.1.qcow2.incus.tar.xz",
            "simplestreams-images.json",
            "simplestreams-index.json",
        ]
    );
    let omitted: Vec<_> = catalogs.omitted.iter().map(|omitted| &*omitted.catalog).collect();
    assert_eq!(
        omitted,
        [
            "os_list_imagingutility_v4.json",
            "DistributionInfo.json",
            "nixos-wsl.transfer",
            "nixos-wsl-aarch64.transfer",
            "nixos-sd-aarch64.transfer",
            "nixos-iso.transfer",
            "nixos-vm.transfer",
            "stable.json",
        ]
    );
}

#[test]
fn nothing_is_said_of_catalogs_that_are_for_no_image() {
    let mut release = release();
    release.images = vec![testing::image(
        ImageKind::Docker,
        "docker",
        "x86_64-linux",
        "nixos-docker-26.05.1.tar.gz",
    )];
    assert_eq!(catalogs(&release), Catalogs::default());
}

#[test]
fn what_is_no_nixos_says_so() {
    let mut release = release();
    for image in &mut release.images {
        image.manifest.source.driver = Driver::Mini;
        image.manifest.distribution = "mini".to_owned();
    }
    let catalogs = catalogs(&release);
    for (file, expected) in [
        (super::imager::FILE, "\"name\": \"NixOS as sd-aarch64 26.05.1 (a mini system)\""),
        (super::wsl::FILE, "\"FriendlyName\": \"NixOS as wsl 26.05.1 (a mini system)\""),
        ("nixos-iso.transfer", "# NixOS as iso 26.05.1 (a mini system), for"),
        (super::incus::IMAGES, "\"os\": \"mini\""),
    ] {
        let text = str::from_utf8(document(&catalogs, file)).unwrap();
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn titles_that_need_escapes_are_what_python_writes() {
    let mut release = release();
    release.spec.title = "Ni\"x\\OS \u{e9}\u{1f600}\u{7f}\u{2028} %v @v".to_owned();
    for image in &mut release.images {
        image.manifest.title = "a\nb\t\u{0}#[Source]\n\u{1b}[31m\u{85}".to_owned();
    }
    let catalogs = catalogs(&release);
    assert_eq!(catalogs.omitted, []);
    let folder = tempfile::tempdir().unwrap();
    for document in &catalogs.documents {
        if document.file.ends_with(METADATA) {
            continue;
        }
        assert_eq!(wrong(&release, &catalogs, &document.file, &document.bytes), [""; 0]);
        let Some(stem) = document.file.strip_suffix(".json") else { continue };
        let indent = if stem.starts_with("os_list") { "2" } else { "4" };
        let path = folder.path().join(&document.file);
        std::fs::write(&path, &document.bytes).unwrap();
        let script = "import json, sys; text = open(sys.argv[1]).read(); \
                      sys.exit(text != json.dumps(json.loads(text), indent=int(sys.argv[2])) + '\\n')";
        let result = run("python3", &["-c", script, path.to_str().unwrap(), indent], &[]);
        assert_eq!(result.0, Some(0), "{}: {result:?}", document.file);
    }
}

const METADATA: &str = super::incus::METADATA_SUFFIX;

/// What comes from a network is read without a panic, whatever it is.
#[test]
fn damaged_catalogs_are_judged_all_the_same() {
    let release = release();
    let catalogs = catalogs(&release);
    let (manifest, sums) = published(&release, &catalogs);
    let facts = Facts { manifest: &manifest, sums: &sums };
    let text = "0\"{}[]:,=@%/\\-\n\u{0}\u{e9}";
    let mut state = 1_u64;
    let mut step = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % below
    };
    let mut accepted = 0;
    for document in &catalogs.documents {
        for _ in 0..300 {
            let mut bytes = document.bytes.clone();
            for _ in 0..=step(3) {
                let (from, to) = (step(bytes.len() + 1), step(bytes.len() + 1));
                match step(3) {
                    0 => bytes.truncate(from),
                    1 => drop(bytes.drain(from.min(to)..from.max(to))),
                    _ => bytes.insert(from, text.as_bytes()[step(text.len())]),
                }
            }
            let _ = client::sysupdate::sums(&bytes);
            let read = client::read_all(&document.file, &bytes, &facts);
            accepted += usize::from(read.is_some_and(|read| read.is_ok()));
        }
        let deep = b"[".repeat(100_000);
        assert!(client::read_all(&document.file, &deep, &facts).is_none_or(|read| read.is_err()));
    }
    // In comments of transfer files, in titles, and in JSON that is not compared as text.
    assert!(accepted < 900, "{accepted}");
}

#[test]
fn the_same_release_makes_the_same_bytes() {
    assert_eq!(catalogs(&release()), catalogs(&release()));
}
