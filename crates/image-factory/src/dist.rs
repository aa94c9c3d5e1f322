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
use serde::Serialize;
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

/// What stands where an image is to be published was not published by the factory.
#[derive(Debug, thiserror::Error)]
#[error("{} {what}: it is not an earlier image, and will not be replaced", path.display())]
pub struct NotReplaceable {
    /// The folder.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
}

/// Looks whether `folder` may be replaced: if it is not there, is empty, or holds the files that
/// its manifest names and no others. Somebody else's files are never removed.
pub(crate) fn check_replaceable(folder: &Path) -> Result<(), NotReplaceable> {
    let refuse = |what: String| Err(NotReplaceable { path: folder.to_owned(), what });
    let metadata = match fs::symlink_metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return refuse(format!("cannot be read ({error})")),
        Ok(metadata) => metadata,
    };
    if !metadata.is_dir() {
        return refuse("is no folder".to_owned());
    }
    let ours = ours(folder);
    let entries = match fs::read_dir(folder) {
        Err(error) => return refuse(format!("cannot be read ({error})")),
        Ok(entries) => entries,
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if !ours.iter().any(|ours| name == ours.as_str()) {
            return refuse(format!("has {} in it", name.display()));
        }
    }
    Ok(())
}

/// Names of the files that the manifest in `folder` speaks of; none where there is no manifest.
fn ours(folder: &Path) -> Vec<String> {
    let Some(manifest) = fs::read(folder.join(MANIFEST))
        .ok()
        .and_then(|json| serde_json::from_slice::<Manifest>(&json).ok())
    else {
        return Vec::new();
    };
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
        let json = json(report);
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
            let line = sums_line(&artifact.digests.sha256, &artifact.file);
            self.write(&format!("{}.sha256", artifact.file), line.as_bytes())?;
            lines.push((artifact.file.as_str(), line));
        }
        lines.push((&report.file, sums_line(&report.sha256, &report.file)));
        let records = records.iter().map(|Record { file, sha256 }| (file, sha256));
        lines.extend(records.map(|(file, sha256)| (file.as_str(), sums_line(sha256, file))));
        lines.sort();
        let text: String = lines.into_iter().map(|(_, line)| line).collect();
        self.write(SUMS, text.as_bytes())
    }

    /// Writes the manifest and puts the folder in the place of `to`.
    pub(crate) fn publish(self, manifest: &Manifest, to: &Path) -> Result<(), DistError> {
        self.write(MANIFEST, &json(manifest))?;
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

/// A line that `sha256sum -c` accepts, in the format of GNU coreutils. Names of artifacts have no
/// character that it would escape.
fn sums_line(sha256: &Sha256, file: &str) -> String {
    format!("{sha256}  {file}\n")
}

fn json(value: &impl Serialize) -> Vec<u8> {
    let mut json = serde_json::to_vec_pretty(value).expect("plain data has no keys but strings");
    json.push(b'\n');
    json
}
