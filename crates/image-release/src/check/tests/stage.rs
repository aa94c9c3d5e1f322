//! A release in memory, made by the code that makes releases, with edits at each stage of it.

use std::{
    collections::BTreeMap,
    io::{self, Cursor},
    sync::OnceLock,
};

use image_factory::{json_file, sbom};
use image_model::{
    Digests, FileRole, PathVerdict, ReleaseManifest, Sha256, SignatureScheme, StorePath,
    StoreReport, Trust, VerificationReport,
};
use sha2::Digest as _;

use crate::{
    Document, MANIFEST, Release, SUMS,
    check::{Entry, EntryKind, Opened, Source},
    make::Contents,
    media_type,
    sign::{self, PassphraseSource, PublicKey, Signer},
    testing,
};

/// A source in memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// What is there and is no file.
    pub(super) others: Vec<Entry>,
    pub(super) version: Option<String>,
    /// Nobody can list it.
    pub(super) unlisted: bool,
}

impl Source for Memory {
    fn name(&self) -> String {
        "memory".to_owned()
    }

    fn list(&self) -> io::Result<Option<Vec<Entry>>> {
        if self.unlisted {
            return Ok(None);
        }
        let entry = |name: &String| Entry { name: name.clone(), kind: EntryKind::File };
        let mut list: Vec<_> = self.files.keys().map(entry).collect();
        list.extend(self.others.iter().cloned());
        list.sort();
        Ok(Some(list))
    }

    fn open(&self, name: &str) -> io::Result<Option<Opened>> {
        Ok(self.files.get(name).map(|bytes| Opened {
            len: Some(bytes.len() as u64),
            reader: Box::new(Cursor::new(bytes.clone())),
        }))
    }

    fn version(&self) -> Option<String> {
        self.version.clone()
    }
}

/// Who signs: a key of minisign, and one of OpenPGP.
pub(super) struct Keys(Vec<Box<dyn Signer>>);

impl Keys {
    pub(super) fn public(&self) -> Vec<PublicKey> {
        self.0.iter().map(|signer| signer.public_key().clone()).collect()
    }

    /// Signatures for an envelope.
    pub(super) fn ed25519(&self, message: &[u8]) -> Vec<(String, [u8; 64])> {
        let mut signatures = Vec::new();
        for signer in &self.0 {
            let signature = signer.ed25519(message).unwrap();
            signatures.extend(signature.map(|signature| (signer.key_id(), signature)));
        }
        signatures
    }
}

fn generate() -> Keys {
    let dir = tempfile::tempdir().unwrap();
    let schemes = [SignatureScheme::Minisign, SignatureScheme::Openpgp];
    let files = schemes.map(|scheme| {
        let path = dir.path().join(scheme.as_str());
        sign::generate(&path, scheme, "test", None).unwrap();
        path
    });
    Keys(sign::load(&files, &mut PassphraseSource::new(None)).unwrap())
}

/// The keys of all tests.
pub(super) fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(generate)
}

/// The keys of somebody else.
pub(super) fn other_keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(generate)
}

type Edit<T> = Option<Box<dyn FnOnce(&mut T)>>;

/// How a release is made, and what goes wrong on the way.
#[derive(Default)]
pub(super) struct Stage {
    /// The report of the first image, before it is written.
    pub(super) report: Edit<VerificationReport>,
    /// Before other documents are written.
    pub(super) release: Edit<Release>,
    /// Documents of images, before anything is said of them.
    pub(super) beside: Edit<Document>,
    /// Documents, before they are listed.
    pub(super) documents: Edit<Vec<Document>>,
    /// The manifest, before it is listed.
    pub(super) manifest: Edit<ReleaseManifest>,
    /// The list, before it is signed.
    pub(super) sums: Edit<String>,
    /// What is there in the end.
    pub(super) end: Edit<Memory>,
    pub(super) unsigned: bool,
}

impl Stage {
    pub(super) fn make(self) -> Memory {
        let Self { report, mut beside, documents, manifest, sums, end, unsigned, .. } = self;
        let signers: &[Box<dyn Signer>] = if unsigned { &[] } else { &keys().0 };
        let (mut release, payloads) = release(report);
        if let Some(edit) = self.release {
            edit(&mut release);
        }
        for image in &mut release.images {
            let manifest = json_file(&image.manifest);
            let name = image.beside(MANIFEST);
            image.documents.push(document(name, FileRole::ImageManifest, manifest));
        }
        if let Some(edit) = beside.take() {
            let mut all = release.images.iter_mut().flat_map(|image| &mut image.documents);
            edit(all.find(|document| document.role == FileRole::Sbom).unwrap());
        }
        let made = Contents::of(release, signers).unwrap();
        let (mut all, mut listed) = (made.documents, made.manifest);
        all.retain(|document| {
            !matches!(document.role, FileRole::Manifest | FileRole::Signature)
                && document.file != SUMS
        });
        if let Some(edit) = documents {
            edit(&mut all);
        }
        listed.files.retain(|file| {
            file.role == FileRole::Payload || all.iter().any(|document| document.file == file.file)
        });
        for document in &all {
            match listed.files.iter_mut().find(|file| file.file == document.file) {
                Some(file) => {
                    (file.size, file.sha256) = (document.bytes.len() as u64, document.sha256());
                }
                None => panic!("{} is new", document.file),
            }
        }
        let mut list = listed.files.clone();
        if let Some(edit) = manifest {
            edit(&mut listed);
        }
        let manifest = document(MANIFEST.to_owned(), FileRole::Manifest, json_file(&listed));
        list.sort_by(|a, b| a.file.cmp(&b.file));
        let mut text: String = list.iter().map(|file| file.sha256.line(&file.file)).collect();
        text += &manifest.sha256().line(MANIFEST);
        if let Some(edit) = sums {
            edit(&mut text);
        }
        let mut memory = Memory::default();
        for signer in signers {
            let signed = signer.sign(SUMS, text.as_bytes(), Some(1)).unwrap();
            memory.files.insert(sign::signature_name(signer.scheme(), SUMS), signed.bytes);
        }
        memory.files.insert(SUMS.to_owned(), text.into_bytes());
        memory.files.extend(payloads);
        for document in all.into_iter().chain([manifest]) {
            memory.files.insert(document.file, document.bytes);
        }
        if let Some(edit) = end {
            edit(&mut memory);
        }
        memory
    }
}

fn document(file: String, role: FileRole, bytes: Vec<u8>) -> Document {
    Document { file, also: None, role, media_type: media_type::JSON, bytes }
}

/// A release whose images are a few bytes, with reports of these and bills of materials; and the bytes.
fn release(mut edit: Edit<VerificationReport>) -> (Release, BTreeMap<String, Vec<u8>>) {
    let mut release = testing::release();
    let mut payloads = BTreeMap::new();
    let version = release.version.clone();
    let (spec, epoch) = (release.spec.clone(), release.epoch);
    for image in &mut release.images {
        let artifact = &mut image.manifest.artifacts[0];
        let bytes = format!("the bytes of {}\n", artifact.file).repeat(1 << 15).into_bytes();
        let unpacked = artifact.raw != artifact.digests;
        artifact.digests = digests(&bytes);
        if !unpacked {
            artifact.raw = artifact.digests;
        }
        let report = &mut image.report;
        report.subject.size = artifact.digests.size;
        report.subject.sha256 = Some(artifact.digests.sha256);
        report.subject.raw = Some(artifact.raw);
        report.stores = vec![store()];
        if let Some(edit) = edit.take() {
            edit(report);
        }
        let text = json_file(&image.report);
        let bill = sbom::Image::of(&artifact.file, None, &image.report, epoch).unwrap();
        let bills = [(sbom::CYCLONEDX, sbom::cyclonedx(&bill)), (sbom::SPDX, sbom::spdx(&bill))];
        for (suffix, bytes) in bills {
            let name = image.beside(suffix);
            image.documents.push(document(name, FileRole::Sbom, bytes));
        }
        let summary = &mut image.verification;
        summary.sha256 = digests(&text).sha256;
        summary.totals = image.report.totals;
        image.documents.push(document(summary.file.clone(), FileRole::Report, text));
        image.manifest.verification = image.verification.clone();
        let prefix = crate::catalog::prefix(&version, &spec, epoch, &image.manifest);
        image.combined = prefix.map(|prefix| digests(&[&prefix[..], &bytes].concat()).sha256);
        payloads.insert(image.payload().file.clone(), bytes);
    }
    (release, payloads)
}

fn store() -> StoreReport {
    let path = StorePath {
        path: "/nix/store/00000000000000000000000000000000-hello-1.0".to_owned(),
        verdict: PathVerdict::Unregistered,
        nar: None,
        registered: None,
        references: Vec::new(),
        deriver: None,
        content_address: None,
        signatures: Vec::new(),
        trust: Trust::Unknown,
    };
    StoreReport {
        volume: "archive".to_owned(),
        registrations: Vec::new(),
        trusted_keys: Vec::new(),
        paths: vec![path],
    }
}

fn digests(bytes: &[u8]) -> Digests {
    Digests { size: bytes.len() as u64, sha256: Sha256(sha2::Sha256::digest(bytes).into()) }
}
