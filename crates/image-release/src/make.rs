//! Makes a release: gate, names, sums, statements, catalogs, page, signatures; then one rename.
//!
//! All that is written is a function of the images and of [`Options`].

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, path::PathBuf};

use image_factory::{
    Fault, REPORT,
    event::{Event, Events, Step},
    json_file, sbom,
};
use image_host::epoch;
use image_model::{
    Digests, FileRole, Generator, Manifest, OmittedCatalog, RELEASE_SCHEMA, ReleaseFile,
    ReleaseManifest, ReleaseSignature, ReleaseSpec, ReleasedImage, ReportSummary, Severity,
};

use crate::{
    Document, Image, MANIFEST, Release, SUMS, attest, catalog,
    folder::{self, Folder, FolderError},
    gate::{self, Allowed, GateError, Passed},
    media_type,
    names::{self, NameError, Names},
    needs, page,
    sign::{self, SignError, Signer},
    spec::{self, SpecError},
};

/// What is released, and how.
pub struct Options {
    /// The version.
    pub version: String,
    /// Names of the images.
    pub images: Vec<String>,
    /// The folder with the images, each in a folder of its name.
    pub dist: PathBuf,
    /// What releases have in common.
    pub spec: ReleaseSpec,
    /// What may pass the gate all the same.
    pub allowed: Allowed,
    /// `SOURCE_DATE_EPOCH`: seconds since 1970, where somebody set it.
    pub epoch: Option<u64>,
    /// Who signs. Empty only where somebody insisted on a release without signatures.
    pub signers: Vec<Box<dyn Signer>>,
}

/// A release that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// Its folder.
    pub folder: PathBuf,
    /// Its manifest.
    pub manifest: ReleaseManifest,
    /// What somebody should know of it, a sentence each.
    pub notes: Vec<String>,
}

/// There is no release.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MakeError {
    /// What it is released as makes no sense.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// It, or a file of it, cannot be called so.
    #[error(transparent)]
    Name(#[from] NameError),
    /// An image may not be released.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// It cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The folder cannot be written.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

impl MakeError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Name(_) => Fault::Usage,
            Self::Spec(error) if error.is_usage() => Fault::Usage,
            Self::Sign(error) if error.is_usage() => Fault::Usage,
            Self::Folder(error) if error.is_usage() => Fault::Usage,
            Self::Gate(GateError::Refused { .. }) => Fault::Image,
            Self::Gate(GateError::Read { .. }) => Fault::Host,
            Self::Gate(_) => Fault::Usage,
            Self::Spec(_) | Self::Sign(_) | Self::Folder(_) => Fault::Host,
        }
    }
}

/// Makes a release in `<dist>/release/<version>/`. Nothing is there before all of it is; an earlier
/// release of the same version stays until then.
pub fn make(options: &Options, events: Events<'_>) -> Result<Made, MakeError> {
    let Options { version, images, dist, signers, .. } = options;
    let (allowed, epoch) = (options.allowed, options.epoch);
    names::check_version(version)?;
    let spec::Resolved { spec, base_url, latest_url } = spec::resolve(&options.spec, version)?;
    let to = folder::of_version(dist, version);
    folder::check_replaceable(&to).map_err(FolderError::from)?;

    events(Event::Started(Step::Hash));
    let prefix = |manifest: &Manifest| catalog::prefix(version, &spec, epoch, manifest);
    let passed = gate::judge(dist, images, allowed, &prefix, events)?;
    events(Event::Finished(Step::Hash));

    events(Event::Started(Step::Release));
    let release = Release {
        version: version.clone(),
        spec,
        base_url,
        latest_url,
        epoch,
        images: passed.iter().map(|passed| image(passed, version, epoch)).collect(),
    };
    let filled = Contents::of(release, signers)?;
    let folder = Folder::new(&to)?;
    filled.write(&passed, &folder)?;
    folder.publish()?;
    events(Event::Finished(Step::Release));
    let notes = notes(&filled.release);
    Ok(Made { folder: to, manifest: filled.manifest, notes })
}

/// An image with the names that its files have in the release.
fn image(passed: &Passed, version: &str, epoch: Option<u64>) -> Image {
    let mut manifest = passed.manifest.clone();
    for artifact in &mut manifest.artifacts {
        artifact.file = names::released(&artifact.file, version);
    }
    let payload = manifest.artifacts[0].file.clone();
    let beside = |suffix: &str| format!("{payload}.{suffix}");
    manifest.verification.file = beside(REPORT);
    let verification = manifest.verification.clone();
    let mut documents = Vec::new();
    let title = Some(manifest.title.as_str());
    if let Some(bill) = sbom::Image::of(&payload, title, &passed.report, epoch) {
        let of =
            |suffix, media_type, bytes| document(beside(suffix), FileRole::Sbom, media_type, bytes);
        let cyclonedx = sbom::cyclonedx(&bill);
        documents.push(of(sbom::CYCLONEDX, media_type::CYCLONEDX, cyclonedx));
        documents.push(of(sbom::SPDX, media_type::SPDX, sbom::spdx(&bill)));
    }
    let text = passed.report_text.clone();
    let file = verification.file.clone();
    documents.push(document(file, FileRole::Report, media_type::JSON, text));
    let file = beside(MANIFEST);
    documents.push(document(file, FileRole::ImageManifest, media_type::JSON, json_file(&manifest)));
    Image {
        report: passed.report.clone(),
        verification,
        content_size: passed.content_size,
        combined: passed.combined,
        sizes: passed.sizes.clone(),
        unverified: passed.unverified.clone(),
        documents,
        manifest,
    }
}

fn document(file: String, role: FileRole, media_type: &'static str, bytes: Vec<u8>) -> Document {
    Document { file, also: None, role, media_type, bytes }
}

/// All that is in the folder but the images themselves.
pub(crate) struct Contents {
    release: Release,
    pub(crate) manifest: ReleaseManifest,
    pub(crate) documents: Vec<Document>,
}

impl Contents {
    pub(crate) fn of(mut release: Release, signers: &[Box<dyn Signer>]) -> Result<Self, MakeError> {
        let attested: Vec<_> = release
            .images
            .iter()
            .map(|image| attest::attestations(&release, image, signers))
            .collect::<Result<_, _>>()?;
        for (image, attested) in release.images.iter_mut().zip(attested) {
            image.documents.push(attested);
        }
        let keys: Vec<_> =
            signers.iter().flat_map(|signer| signer.public_key().documents()).collect();
        let signatures: Vec<_> = signers.iter().map(|signer| signature(signer.as_ref())).collect();
        let catalogs = catalog::catalogs(&release, &signatures);
        let page = page::index(&release, &catalogs, &signatures, &keys);

        let mut files = Files::default();
        for image in &release.images {
            files.image(image)?;
            files.add(page::report(&release, image), Some(image))?;
        }
        let others = keys.into_iter().chain(catalogs.documents).chain([page]);
        others.into_iter().try_for_each(|document| files.add(document, None))?;

        let manifest = manifest(&release, files.listed(), signatures, catalogs.omitted);
        let (name, text) = (MANIFEST.to_owned(), json_file(&manifest));
        files.add(document(name, FileRole::Manifest, media_type::JSON, text), None)?;
        let sums = document(SUMS.to_owned(), FileRole::Sums, media_type::TEXT, files.sums());
        for (signer, expected) in signers.iter().zip(&manifest.signatures) {
            let signed = signer.sign(SUMS, &sums.bytes, release.epoch)?;
            let signed = Document { file: expected.file.clone(), ..signed };
            files.add(signed, None)?;
        }
        files.add(sums, None)?;
        Ok(Self { release, manifest, documents: files.documents })
    }

    fn write(&self, passed: &[Passed], folder: &Folder) -> Result<(), FolderError> {
        for (image, passed) in self.release.images.iter().zip(passed) {
            for (artifact, file) in image.manifest.artifacts.iter().zip(&passed.files) {
                folder.place(file, &artifact.file)?;
            }
        }
        self.documents.iter().try_for_each(|document| folder.write(document))
    }
}

fn signature(signer: &dyn Signer) -> ReleaseSignature {
    let scheme = signer.scheme();
    ReleaseSignature {
        scheme,
        file: sign::signature_name(scheme, SUMS),
        key_id: signer.key_id(),
        public_key: sign::public_key_name(scheme).to_owned(),
    }
}

/// Files of a release, none of which has the name of another.
#[derive(Default)]
struct Files {
    names: Names,
    listed: BTreeMap<String, ReleaseFile>,
    documents: Vec<Document>,
}

impl Files {
    /// The files of an image, and what is said of it.
    fn image(&mut self, image: &Image) -> Result<(), NameError> {
        let of = Some(image.payload().file.clone());
        for artifact in &image.manifest.artifacts {
            self.names.take_payload(&artifact.file, &image.manifest.image)?;
            let Digests { size, sha256 } = artifact.digests;
            let media_type = media_type::of_artifact(artifact).to_owned();
            let (file, of) = (artifact.file.clone(), of.clone());
            let role = FileRole::Payload;
            let listed = ReleaseFile { file, also: None, role, media_type, size, sha256, of };
            self.listed.insert(artifact.file.clone(), listed);
            let line = sha256.line(&artifact.file).into_bytes();
            let name = format!("{}.sha256", artifact.file);
            self.add(document(name, FileRole::Sums, media_type::TEXT, line), Some(image))?;
        }
        image.documents.iter().try_for_each(|document| self.add(document.clone(), Some(image)))
    }

    fn add(&mut self, document: Document, of: Option<&Image>) -> Result<(), NameError> {
        let owner = of.map_or(document.role.as_str(), |image| image.manifest.image.as_str());
        self.names.take(&document.file, owner)?;
        if let Some(also) = &document.also {
            self.names.take_path(also, owner)?;
        }
        let listed = ReleaseFile {
            file: document.file.clone(),
            also: document.also.clone(),
            role: document.role,
            media_type: document.media_type.to_owned(),
            size: document.bytes.len() as u64,
            sha256: document.sha256(),
            of: of.map(|image| image.payload().file.clone()),
        };
        self.listed.insert(document.file.clone(), listed);
        self.documents.push(document);
        Ok(())
    }

    /// Sorted by name.
    fn listed(&self) -> Vec<ReleaseFile> {
        self.listed.values().cloned().collect()
    }

    /// What `sha256sum -c` reads.
    fn sums(&self) -> Vec<u8> {
        let line = |file: &ReleaseFile| file.sha256.line(&file.file);
        self.listed.values().map(line).collect::<String>().into_bytes()
    }
}

fn manifest(
    release: &Release,
    files: Vec<ReleaseFile>,
    signatures: Vec<ReleaseSignature>,
    omitted: Vec<OmittedCatalog>,
) -> ReleaseManifest {
    ReleaseManifest {
        schema: RELEASE_SCHEMA,
        generator: Generator {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        version: release.version.clone(),
        release: release.spec.clone(),
        created: release.epoch.map(epoch::timestamp),
        images: release.images.iter().map(released).collect(),
        files,
        signatures,
        omitted,
    }
}

fn released(image: &Image) -> ReleasedImage {
    let Manifest { image: name, kind, system, title, distribution, artifacts, .. } =
        image.manifest.clone();
    let verification: ReportSummary = image.verification.clone();
    ReleasedImage {
        image: name,
        kind,
        system,
        title,
        distribution,
        artifacts,
        manifest: image.beside(MANIFEST),
        verification,
        unverified: image.unverified.clone(),
    }
}

/// What somebody should know of a release.
fn notes(release: &Release) -> Vec<String> {
    let mut notes = Vec::new();
    for image in &release.images {
        let name = &image.manifest.image;
        notes.extend(image.unverified.as_ref().map(|why| format!("{name} is not verified: {why}")));
        if image.manifest.source.driver == image_model::Driver::Mini {
            notes.push(format!("{name} is a mini system, and not NixOS"));
        }
    }
    if release.epoch.is_none() {
        let variable = epoch::VARIABLE;
        notes.push(format!("{variable} is not set, so nothing in the release tells a time"));
    }
    let needs = needs::of(release);
    let loud = needs.iter().filter(|need| need.severity != Severity::Info);
    notes.extend(loud.map(ToString::to_string));
    notes
}
