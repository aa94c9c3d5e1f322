//! The published folder of an image: `dist/<image>/`.
//!
//! All files are written into the work folder and appear together, by one rename. The manifest is
//! written last: an artifact without a manifest does not exist.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use image_host::publish;
use image_model::{Artifact, Manifest, ReportSummary, Sha256, VerificationReport};
use serde::{Serialize, de::DeserializeOwned};
use sha2::Digest as _;

use crate::{sbom, sizes};

/// Name of the report.
pub const REPORT: &str = "verification.json";
/// Name of the manifest.
pub const MANIFEST: &str = "manifest.json";
/// Name of the list of checksums.
pub const SUMS: &str = "SHA256SUMS";

/// A file of the published folder cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
pub struct DistError {
    /// The file, or the folder where the rename failed.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub cause: io::Error,
}

/// What stands where something is to be published was not published by the factory.
#[derive(Debug, thiserror::Error)]
#[error("{} {what}: it is not an earlier {kind}, and will not be replaced", path.display())]
pub struct NotReplaceable {
    /// The folder.
    pub path: PathBuf,
    /// What is to be published: an image, or a release.
    pub kind: &'static str,
    /// What is wrong with the folder.
    pub what: String,
}

/// Looks whether `folder` may be replaced by another `kind` of the same name: if it is not there, is
/// empty, or holds files that its manifest speaks of, which are `files`, and nothing else. Somebody
/// else's files are never removed.
pub fn check_replaceable<M: DeserializeOwned>(
    folder: &Path,
    kind: &'static str,
    files: impl FnOnce(M) -> Vec<String>,
) -> Result<(), NotReplaceable> {
    let refuse = |what: String| NotReplaceable { path: folder.to_owned(), kind, what };
    let unreadable = |error: io::Error| refuse(format!("cannot be read ({error})"));
    match fs::symlink_metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(error)),
        Ok(metadata) if !metadata.is_dir() => return Err(refuse("is no folder".to_owned())),
        Ok(_) => {}
    }
    let ours = manifest(folder).map(files).unwrap_or_default();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let is_ours = ours.iter().any(|ours| name == ours.as_str());
        // What has the name of a file and is a folder has files in it that nobody speaks of.
        if !is_ours || !entry.file_type().is_ok_and(|found| found.is_file()) {
            return Err(refuse(format!("has {} in it", name.display())));
        }
    }
    Ok(())
}

/// The manifest in `folder`, if there is one that can be read.
fn manifest<M: DeserializeOwned>(folder: &Path) -> Option<M> {
    let path = folder.join(MANIFEST);
    // A pipe would wait for somebody at its other end.
    fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file)?;
    serde_json::from_slice(&fs::read(&path).ok()?).ok()
}

/// Names of the files that are there with a manifest of an image.
pub(crate) fn files(manifest: Manifest) -> Vec<String> {
    let files = manifest.artifacts.into_iter().flat_map(|artifact| {
        let beside = ["sha256", sbom::CYCLONEDX, sbom::SPDX, sizes::SVG];
        let beside = beside.map(|suffix| format!("{}.{suffix}", artifact.file));
        beside.into_iter().chain([artifact.file])
    });
    [MANIFEST, REPORT, SUMS].map(str::to_owned).into_iter().chain(files).collect()
}

/// A file that says something of the image.
#[derive(Debug)]
pub(crate) struct Record {
    file: String,
    sha256: Sha256,
}

/// A folder that is being filled, and is published by [`publish`](Self::publish).
#[derive(Debug)]
pub(crate) struct Dist<'a> {
    folder: &'a Path,
}

impl<'a> Dist<'a> {
    /// A folder that has the artifact already.
    pub(crate) fn new(folder: &'a Path) -> Self {
        Self { folder }
    }

    /// Writes the report, and tells its digest.
    pub(crate) fn report(&self, report: &VerificationReport) -> Result<ReportSummary, DistError> {
        let json = json_file(report);
        self.write(REPORT, &json)?;
        let sha256 = Sha256(sha2::Sha256::digest(&json).into());
        Ok(ReportSummary { file: REPORT.to_owned(), sha256, totals: report.totals })
    }

    /// Writes the bills of materials of an image.
    pub(crate) fn sboms(&self, image: &sbom::Image<'_>) -> Result<Vec<Record>, DistError> {
        let documents = [
            (sbom::CYCLONEDX, sbom::cyclonedx as fn(&sbom::Image<'_>) -> Vec<u8>),
            (sbom::SPDX, sbom::spdx),
        ];
        let write = |(suffix, document): (&str, fn(&sbom::Image<'_>) -> Vec<u8>)| {
            let file = format!("{}.{suffix}", image.name);
            self.record(file, &document(image))
        };
        documents.into_iter().map(write).collect()
    }

    /// Writes the treemap of the image `name`.
    pub(crate) fn treemap(&self, name: &str, svg: &str) -> Result<Record, DistError> {
        self.record(format!("{name}.{}", sizes::SVG), svg.as_bytes())
    }

    fn record(&self, file: String, bytes: &[u8]) -> Result<Record, DistError> {
        self.write(&file, bytes)?;
        Ok(Record { file, sha256: Sha256(sha2::Sha256::digest(bytes).into()) })
    }

    /// Writes `<file>.sha256` for each artifact, and `SHA256SUMS` for all of them, the report, and
    /// what else is said of the image.
    pub(crate) fn sums(
        &self,
        artifacts: &[Artifact],
        report: &ReportSummary,
        records: &[Record],
    ) -> Result<(), DistError> {
        let mut lines = Vec::new();
        for artifact in artifacts {
            let line = artifact.digests.sha256.line(&artifact.file);
            self.write(&format!("{}.sha256", artifact.file), line.as_bytes())?;
            lines.push((artifact.file.as_str(), line));
        }
        lines.push((&report.file, report.sha256.line(&report.file)));
        lines.extend(records.iter().map(|Record { file, sha256 }| (&**file, sha256.line(file))));
        lines.sort();
        let text: String = lines.into_iter().map(|(_, line)| line).collect();
        self.write(SUMS, text.as_bytes())
    }

    /// Writes the manifest and puts the folder in the place of `to`.
    pub(crate) fn publish(self, manifest: &Manifest, to: &Path) -> Result<(), DistError> {
        self.write(MANIFEST, &json_file(manifest))?;
        let fail = |cause| DistError { path: to.to_owned(), cause };
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(fail)?;
        }
        publish::replace_dir(self.folder, to).map_err(fail)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), DistError> {
        let path = self.folder.join(name);
        let write = || File::create(&path)?.write_all(bytes);
        write().map_err(|cause| DistError { path: path.clone(), cause })
    }
}

/// A document as all that the factory writes are: for people as well, and with an end to its last
/// line.
pub fn json_file(value: &impl Serialize) -> Vec<u8> {
    let mut json = serde_json::to_vec_pretty(value).expect("plain data has no keys but strings");
    json.push(b'\n');
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_elses_files_are_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("wsl");
        let what = || {
            let files = |names: Vec<String>| names;
            check_replaceable(&folder, "image", files).map_err(|error| error.what)
        };
        assert_eq!(what(), Ok(()));
        fs::create_dir(&folder).unwrap();
        assert_eq!(what(), Ok(()));
        fs::write(folder.join("nixos.wsl"), "bytes").unwrap();
        assert_eq!(what(), Err("has nixos.wsl in it".to_owned()));
        fs::write(folder.join(MANIFEST), r#"["manifest.json", "nixos.wsl"]"#).unwrap();
        assert_eq!(what(), Ok(()));
        // A folder of that name has somebody's files in it.
        fs::remove_file(folder.join("nixos.wsl")).unwrap();
        fs::create_dir(folder.join("nixos.wsl")).unwrap();
        assert_eq!(what(), Err("has nixos.wsl in it".to_owned()));
        fs::remove_dir(folder.join("nixos.wsl")).unwrap();
        // A manifest that is a link may be anybody's.
        fs::rename(folder.join(MANIFEST), dir.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), folder.join(MANIFEST)).unwrap();
        assert_eq!(what(), Err("has manifest.json in it".to_owned()));
        fs::remove_dir_all(&folder).unwrap();
        std::os::unix::fs::symlink(dir.path(), &folder).unwrap();
        assert_eq!(what(), Err("is no folder".to_owned()));
    }
}
