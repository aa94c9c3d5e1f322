//! Checks a release the way a careful user would: signatures, sums, every file, nothing extra, and
//! whether all of it says the same.
//!
//! The list of checksums comes first, and who signed it; then each file is read once and compared with
//! it; then what the documents say is compared with each other. A release is defective if it contradicts
//! itself anywhere, so one that was mixed with another, or rolled back in part, is found by whatever is
//! left of it.

mod catalogs;
mod fetch;
mod files;
mod folder;
mod images;
mod pages;
mod report;
mod signatures;
mod source;
mod statements;
mod sums;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use image_factory::event::{Event, Events, Step};
use image_model::{
    Artifact, Check, RELEASE_SCHEMA, ReleaseFile, ReleaseManifest, ReleasedImage, Sha256, Totals,
};
use image_verify::release::{FILE_EXTRA, LIMITS, MANIFEST as MANIFEST_CHECK, SUMS as SUMS_CHECK};

pub use fetch::CheckError;
pub use folder::Folder;
pub use report::{
    CheckedImage, CheckedSignature, RELEASE_REPORT_SCHEMA, ReleaseFinding, ReleaseReport,
};
pub use source::{Entry, EntryKind, Opened, Source, version_in_name};

use crate::{MANIFEST, SUMS, sign::PublicKey};
use fetch::Meter;
use files::Work;
use report::{Recorder, printable};
use signatures::{SCHEMES, Signatures};

/// The most files of a release. There are a dozen for each image.
pub const MAX_ENTRIES: usize = 1 << 14;
/// The most images of a release.
const MAX_IMAGES: usize = 1 << 10;
/// The longest list of checksums, in bytes: that of so many files with the longest names.
const MAX_SUMS: u64 = MAX_ENTRIES as u64 * (64 + 2 + 255 + 1);
/// The longest manifest of a release, in bytes: a file takes less than a kilobyte.
const MAX_MANIFEST: u64 = (MAX_ENTRIES as u64) << 10;
/// The longest document, in bytes.
pub(crate) const MAX_DOCUMENT: u64 = 64 << 20;
/// The most bytes of documents that are kept in memory.
const MAX_DOCUMENTS: u64 = 256 << 20;

/// What is known of a release once its documents are read.
struct Known<'a> {
    manifest: &'a ReleaseManifest,
    /// Its files, by name.
    files: BTreeMap<&'a str, &'a ReleaseFile>,
    /// The list of checksums.
    sums: &'a BTreeMap<String, Sha256>,
    /// Documents by name, as far as their digests are those of the list. What is missing was told.
    documents: BTreeMap<String, Vec<u8>>,
    signatures: Signatures,
}

impl Known<'_> {
    /// The images, each with its file. One without a file, or with that of another, was told.
    fn images(&self) -> impl Iterator<Item = (&ReleasedImage, &Artifact)> {
        let mut seen = BTreeSet::new();
        let images = self.manifest.images.iter();
        let images = images.filter_map(|image| Some((image, image.artifacts.first()?)));
        images.filter(move |(_, payload)| seen.insert(payload.file.as_str()))
    }

    fn document(&self, file: &str) -> Option<&[u8]> {
        self.documents.get(file).map(Vec::as_slice)
    }

    /// Parses a document, where it is there. That it cannot be parsed is a finding of `check`.
    fn parse<T: serde::de::DeserializeOwned>(
        &self,
        file: &str,
        check: &'static Check,
        out: &mut Recorder,
    ) -> Option<T> {
        let parsed = serde_json::from_slice(self.document(file)?);
        out.expect(check, parsed.is_ok(), file, || {
            parsed.as_ref().err().map(ToString::to_string).unwrap_or_default()
        });
        parsed.ok()
    }
}

/// Checks the release that `source` has. Each of `keys` has to have signed it.
pub fn check(
    source: &dyn Source,
    keys: &[PublicKey],
    events: Events<'_>,
) -> Result<ReleaseReport, CheckError> {
    events(Event::Started(Step::Verify));
    let mut out = Recorder::new();
    let meter = Meter::new(events);
    let mut report = ReleaseReport {
        schema: RELEASE_REPORT_SCHEMA,
        place: source.name(),
        version: None,
        sums: None,
        images: Vec::new(),
        signatures: Vec::new(),
        files: 0,
        bytes: 0,
        totals: Totals::default(),
        outcomes: BTreeMap::new(),
        findings: Vec::new(),
        omitted: BTreeMap::new(),
    };
    judge(source, keys, &meter, &mut report, &mut out)?;
    (report.files, report.bytes) = meter.done();
    events(Event::Finished(Step::Verify));
    Ok(out.finish(report))
}

fn judge(
    source: &dyn Source,
    keys: &[PublicKey],
    meter: &Meter<'_>,
    report: &mut ReleaseReport,
    out: &mut Recorder,
) -> Result<(), CheckError> {
    let entries =
        source.list().map_err(|cause| CheckError::List { place: source.name(), cause })?;
    let Some(list) = bounded(source, SUMS, MAX_SUMS, meter, out)? else {
        out.fail(&SUMS_CHECK, SUMS, "there is none, or it is no list".to_owned());
        return Ok(());
    };
    out.hold(&SUMS_CHECK);
    report.sums = Some(list.sha256);
    let sums = sums::read(&list.bytes, out);
    let signatures = signatures::check(source, &list.bytes, keys, meter, out)?;
    report.signatures.clone_from(&signatures.checked);

    let few = sums.len().max(entries.as_ref().map_or(0, Vec::len)) <= MAX_ENTRIES;
    if !out.expect(&LIMITS, few, "", || format!("more than {MAX_ENTRIES} files")) {
        return Ok(());
    }
    let manifest = manifest(source, &sums, meter, out)?;
    let work = Work::new(source, meter, &sums, manifest.as_ref());
    files::kinds(entries.as_deref(), &work, out);
    let documents = work.documents(out)?;
    let Some(manifest) = &manifest else {
        work.payloads(&BTreeMap::new(), out)?;
        return Ok(());
    };
    report.version = Some(printable(&manifest.version));
    report.images = manifest.images.iter().filter_map(images::summary).collect();

    let files = manifest.files.iter().map(|file| (file.file.as_str(), file)).collect();
    let release = Known { manifest, files, sums: &sums, documents, signatures };
    signatures::declared(manifest, &release.signatures, &release.documents, out);
    files::agree(&release, out);
    files::called(manifest, source, out);
    work.second_names(out)?;
    images::check(&release, out);
    statements::check(&release, out);
    let pairs = catalogs::check(&release, out);
    pages::check(&release, out);
    let prefixes = pairs.prefixes(&release, out);
    let combined = work.payloads(&prefixes, out)?;
    pairs.compare(&combined, out);
    Ok(())
}

/// The manifest of the release, if it is the one that is listed.
fn manifest(
    source: &dyn Source,
    sums: &BTreeMap<String, Sha256>,
    meter: &Meter<'_>,
    out: &mut Recorder,
) -> Result<Option<ReleaseManifest>, CheckError> {
    let Some(fetched) = bounded(source, MANIFEST, MAX_MANIFEST, meter, out)? else {
        out.fail(&MANIFEST_CHECK, MANIFEST, "there is none, or it is no manifest".to_owned());
        return Ok(None);
    };
    let listed = sums.get(MANIFEST);
    let why = || "it is not in the list of checksums".to_owned();
    if !out.expect(&FILE_EXTRA, listed.is_some(), MANIFEST, why) {
        return Ok(None);
    }
    if !files::expect_digest(MANIFEST, listed, fetched.sha256, out) {
        return Ok(None);
    }
    let parsed = match serde_json::from_slice::<ReleaseManifest>(&fetched.bytes) {
        Ok(manifest) if manifest.schema == RELEASE_SCHEMA => Ok(manifest),
        Ok(manifest) => Err(format!("schema {}, not {RELEASE_SCHEMA}", manifest.schema)),
        Err(error) => Err(error.to_string()),
    };
    let why = parsed.as_ref().err().cloned();
    out.expect(&MANIFEST_CHECK, why.is_none(), MANIFEST, || why.unwrap_or_default());
    Ok(parsed.ok().filter(|manifest| {
        let few = manifest.files.len() <= MAX_ENTRIES
            && manifest.images.len() <= MAX_IMAGES
            && manifest.signatures.len() <= SCHEMES.len();
        out.expect(&LIMITS, few, MANIFEST, || {
            format!(
                "more than {MAX_ENTRIES} files, {MAX_IMAGES} images, or a signature of each kind"
            )
        })
    }))
}

/// A document, if it is there and not too large.
fn bounded(
    source: &dyn Source,
    name: &str,
    limit: u64,
    meter: &Meter<'_>,
    out: &mut Recorder,
) -> Result<Option<fetch::Fetched>, CheckError> {
    let fetched = fetch::document(source, name, limit, meter)?;
    Ok(fetched.filter(|fetched| {
        out.expect(&LIMITS, !fetched.longer, name, || {
            format!("longer than the {limit} bytes of the longest one")
        })
    }))
}
