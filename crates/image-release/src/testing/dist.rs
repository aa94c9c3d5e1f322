//! A folder `dist/` for tests, with the images of the release for tests.

use std::{
    fs,
    path::{Path, PathBuf},
};

use image_model::{Artifact, Digests, Manifest, Sha256, VerificationReport};
use sha2::Digest as _;
use tempfile::TempDir;

/// What the images of [`release`](super::release) were made from.
pub(crate) struct Dist {
    pub(crate) dir: TempDir,
    /// Names of the images.
    pub(crate) names: Vec<String>,
}

impl Dist {
    pub(crate) fn new() -> Self {
        let mut dist = Self { dir: tempfile::tempdir().unwrap(), names: Vec::new() };
        for image in super::release().images {
            let (mut manifest, mut report) = (image.manifest, image.report);
            let name = manifest.image.clone();
            let payload = format!("the bytes of {name}").into_bytes();
            let digests = digests(&payload);
            let artifact = &mut manifest.artifacts[0];
            let file = artifact.file.replace("-26.05.1", "");
            *artifact = Artifact { file, digests, raw: digests, ..artifact.clone() };
            report.subject.size = digests.size;
            report.subject.sha256 = Some(digests.sha256);
            report.subject.raw = Some(digests);
            fs::create_dir(dist.dir.path().join(&name)).unwrap();
            fs::write(dist.path(&name, &artifact.file), &payload).unwrap();
            manifest.verification.file = "verification.json".to_owned();
            dist.write(&name, manifest, &report);
            dist.names.push(name);
        }
        dist
    }

    /// A file of an image.
    pub(crate) fn path(&self, name: &str, file: &str) -> PathBuf {
        self.dir.path().join(name).join(file)
    }

    /// Edits what is written of an image, as somebody would who writes it all anew.
    pub(crate) fn edit(
        &self,
        name: &str,
        edit: impl FnOnce(&mut Manifest, &mut VerificationReport),
    ) {
        let read = |file: &str| fs::read(self.path(name, file)).unwrap();
        let mut manifest = serde_json::from_slice(&read("manifest.json")).unwrap();
        let mut report = serde_json::from_slice(&read("verification.json")).unwrap();
        edit(&mut manifest, &mut report);
        self.write(name, manifest, &report);
    }

    fn write(&self, name: &str, mut manifest: Manifest, report: &VerificationReport) {
        let text = serde_json::to_vec(report).unwrap();
        manifest.verification.sha256 = digests(&text).sha256;
        manifest.verification.totals = report.totals;
        fs::write(self.path(name, "verification.json"), text).unwrap();
        let text = serde_json::to_vec(&manifest).unwrap();
        fs::write(self.path(name, "manifest.json"), text).unwrap();
    }
}

pub(crate) fn digests(bytes: &[u8]) -> Digests {
    Digests { size: bytes.len() as u64, sha256: Sha256(sha2::Sha256::digest(bytes).into()) }
}

/// All files of a folder with their bytes, sorted.
pub(crate) fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}
