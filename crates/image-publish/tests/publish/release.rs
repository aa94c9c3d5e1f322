//! A release as `cargo xtask release` leaves it, as far as publishing looks at it.

use std::{
    fs,
    num::NonZero,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use image_factory::event::Event;
use image_model::{
    Artifact, Compression, Digests, FileRole, Generator, ImageKind, RELEASE_SCHEMA, ReleaseFile,
    ReleaseManifest, ReleaseSignature, ReleaseSpec, ReleasedImage, ReportSummary, Sha256,
    SignatureScheme, Totals,
};
use image_publish::{Environment, Options, Patience, PublishError, Published, Target, publish};
use sha2::Digest as _;
use tempfile::TempDir;

pub(crate) const VERSION: &str = "26.05.1";

/// The image that the other files of its name speak of.
const IMAGE: &str = "nixos-26.05.1.wsl";

/// A folder `release/26.05.1`, and whatever the test puts beside it.
pub(crate) struct Release {
    pub(crate) dir: TempDir,
    pub(crate) version: String,
    files: Vec<ReleaseFile>,
}

impl Release {
    /// With a file of each role; the images are small.
    pub(crate) fn new() -> Self {
        let (dir, version) = (tempfile::tempdir().unwrap(), VERSION.to_owned());
        let mut release = Self { dir, version, files: Vec::new() };
        fs::create_dir_all(release.folder()).unwrap();
        let image = IMAGE;
        release.add(image, FileRole::Payload, "application/octet-stream", &pattern(100_000, 1));
        release.add("empty-26.05.1.img", FileRole::Payload, "application/octet-stream", b"");
        for (suffix, role, media_type) in [
            ("manifest.json", FileRole::ImageManifest, "application/json"),
            ("verification.json", FileRole::Report, "application/json"),
            ("cdx.json", FileRole::Sbom, "application/vnd.cyclonedx+json"),
            ("intoto.jsonl", FileRole::Attestation, "application/vnd.in-toto+json"),
            ("sha256", FileRole::Sums, "text/plain; charset=utf-8"),
        ] {
            release.add(&format!("{image}.{suffix}"), role, media_type, suffix.as_bytes());
        }
        release.add("minisign.pub", FileRole::PublicKey, "text/plain", b"a public key\n");
        let index = "simplestreams-index.json";
        release.add(index, FileRole::Catalog, "application/json", b"{}\n");
        release.files.last_mut().unwrap().also = Some("streams/v1/index.json".to_owned());
        release.add("index.html", FileRole::Page, "text/html; charset=utf-8", b"<!DOCTYPE html>\n");
        release.seal();
        release
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.dir.path().join("release").join(VERSION)
    }

    /// Puts a file there; [`seal`](Self::seal) puts it on the lists.
    pub(crate) fn add(&mut self, file: &str, role: FileRole, media_type: &str, bytes: &[u8]) {
        fs::write(self.folder().join(file), bytes).unwrap();
        self.files.retain(|known| known.file != file);
        self.files.push(ReleaseFile {
            file: file.to_owned(),
            also: None,
            role,
            media_type: media_type.to_owned(),
            size: bytes.len() as u64,
            sha256: sha256(bytes),
            of: file.starts_with(IMAGE).then(|| IMAGE.to_owned()),
        });
    }

    /// A large image: its bytes are not kept in memory.
    pub(crate) fn add_large(&mut self, file: &str, size: u64) {
        use std::io::Write as _;
        self.add(file, FileRole::Payload, "application/octet-stream", b"");
        let mut out = fs::File::create(self.folder().join(file)).unwrap();
        let mut hasher = sha2::Sha256::new();
        let (mut left, mut seed) = (size, 0);
        while left > 0 {
            let chunk = pattern(left.min(1 << 20) as usize, seed);
            hasher.update(&chunk);
            out.write_all(&chunk).unwrap();
            (left, seed) = (left - chunk.len() as u64, seed + 1);
        }
        let known = self.files.last_mut().unwrap();
        (known.size, known.sha256) = (size, Sha256(hasher.finalize().into()));
    }

    /// Writes the lists.
    pub(crate) fn seal(&mut self) {
        self.files.sort_by(|a, b| a.file.cmp(&b.file));
        let manifest = ReleaseManifest {
            schema: RELEASE_SCHEMA,
            generator: Generator { name: "image-factory".to_owned(), version: "0".to_owned() },
            version: self.version.clone(),
            release: ReleaseSpec::default(),
            created: None,
            images: vec![self.image()],
            files: self.files.clone(),
            signatures: vec![ReleaseSignature {
                scheme: SignatureScheme::Minisign,
                file: "SHA256SUMS.minisig".to_owned(),
                key_id: "0123456789ABCDEF".to_owned(),
                public_key: "minisign.pub".to_owned(),
            }],
            omitted: Vec::new(),
        };
        let text = String::from_utf8(image_factory::json_file(&manifest)).unwrap();
        let mut sums: Vec<_> = self.files.iter().map(|f| (f.file.as_str(), f.sha256)).collect();
        sums.push(("manifest.json", sha256(text.as_bytes())));
        sums.sort();
        let sums: String = sums.iter().map(|(file, sha256)| sha256.line(file)).collect();
        let write = |file: &str, text: &str| fs::write(self.folder().join(file), text).unwrap();
        write("manifest.json", &text);
        write("SHA256SUMS", &sums);
        write("SHA256SUMS.minisig", "a signature\n");
    }

    fn image(&self) -> ReleasedImage {
        let of = |file: &str| self.files.iter().find(|known| known.file == file).unwrap();
        let (image, report) = (of(IMAGE), of(&format!("{IMAGE}.verification.json")));
        let digests = Digests { size: image.size, sha256: image.sha256 };
        let artifact = Artifact {
            file: IMAGE.to_owned(),
            format: "tar".to_owned(),
            compression: Compression::None,
            digests,
            raw: digests,
        };
        ReleasedImage {
            image: "wsl".to_owned(),
            kind: ImageKind::Wsl,
            system: "x86_64-linux".to_owned(),
            title: "NixOS for WSL".to_owned(),
            distribution: "nixos".to_owned(),
            artifacts: vec![artifact],
            manifest: format!("{IMAGE}.manifest.json"),
            verification: ReportSummary {
                file: report.file.clone(),
                sha256: report.sha256,
                totals: Totals::default(),
            },
            unverified: None,
        }
    }

    /// Names of all objects, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let (_, objects) = image_publish::objects(&self.folder()).unwrap();
        let mut names: Vec<_> = objects.into_iter().map(|object| object.name).collect();
        names.sort();
        names
    }

    /// Publishes it, and what was told meanwhile.
    pub(crate) fn publish(&self, target: &str) -> (Result<Published, PublishError>, Vec<Event>) {
        let told = Mutex::new(Vec::new());
        let published = publish(&self.options(target), &|event| told.lock().unwrap().push(event));
        (published, told.into_inner().unwrap())
    }

    pub(crate) fn options(&self, target: &str) -> Options {
        Options {
            release: self.folder(),
            target: target.parse::<Target>().unwrap(),
            parallel: NonZero::new(4).unwrap(),
            patience: HASTE,
            environment: Environment::default(),
        }
    }
}

/// As often as usual, with shorter waits.
pub(crate) const HASTE: Patience =
    Patience { tries: 6, first: Duration::from_millis(20), longest: Duration::from_millis(200) };

/// Bytes that are not all the same.
pub(crate) fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        // xorshift64.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

pub(crate) fn sha256(bytes: &[u8]) -> Sha256 {
    Sha256(sha2::Sha256::digest(bytes).into())
}

/// Every file below a folder, by its name there.
pub(crate) fn tree(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                files.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}
