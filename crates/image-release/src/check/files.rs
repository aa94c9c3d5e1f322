//! The files of a release: what is there, what should be, and every byte of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use image_model::{FileRole, ReleaseFile, ReleaseManifest, Sha256};
use image_verify::release::{
    CHECKSUM_FILE, FILE_DIGEST, FILE_EXTRA, FILE_KIND, FILE_MISSING, FILE_SIZE, LIMITS,
    MANIFEST_FILES, PLACE, SECOND_NAME, VERSION,
};

use super::{
    Entry, EntryKind, Known, MAX_DOCUMENT, MAX_DOCUMENTS, Source,
    fetch::{self, CheckError, Fetched, Meter, Wanted},
    report::Recorder,
    signatures, sums,
};
use crate::{MANIFEST, SUMS, names::check_version};

/// The longest file, where nobody says how long it is.
const MAX_FILE: u64 = 1 << 42;
/// The longest catalog, in bytes: an image takes less than a kilobyte.
const MAX_CATALOG: u64 = 1 << 20;
/// Payloads up to this length are kept: small ones may be parts of what a catalog names.
pub(super) const SMALL_PAYLOAD: u64 = 1 << 20;

/// What is read, and compared with the list of checksums.
pub(super) struct Work<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) meter: &'a Meter<'a>,
    pub(super) sums: &'a BTreeMap<String, Sha256>,
    /// What the manifest says of the files that are listed; `None` where there is no manifest.
    declared: Option<BTreeMap<&'a str, &'a ReleaseFile>>,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        source: &'a dyn Source,
        meter: &'a Meter<'a>,
        sums: &'a BTreeMap<String, Sha256>,
        manifest: Option<&'a ReleaseManifest>,
    ) -> Self {
        let declared = manifest.map(|manifest| {
            let listed = manifest.files.iter().filter(|file| sums.contains_key(&file.file));
            listed.map(|file| (file.file.as_str(), file)).collect()
        });
        Self { source, meter, sums, declared }
    }

    fn declared(&self) -> impl Iterator<Item = &'a ReleaseFile> {
        self.declared.iter().flat_map(|files| files.values().copied())
    }

    fn find(&self, name: &str) -> Option<&'a ReleaseFile> {
        self.declared.as_ref()?.get(name).copied()
    }

    /// Reads all documents, and compares them with the list.
    pub(super) fn documents(
        &self,
        out: &mut Recorder,
    ) -> Result<BTreeMap<String, Vec<u8>>, CheckError> {
        let total = self.declared().map(|file| file.size).fold(0, u64::saturating_add);
        self.meter.expect(total);
        let mut room = MAX_DOCUMENTS;
        let mut wanted = Vec::new();
        for file in self.declared().filter(|file| is_document(file)) {
            let name = file.file.as_str();
            let most = if file.role == FileRole::Catalog { MAX_CATALOG } else { MAX_DOCUMENT };
            let fits = file.size <= most.min(room);
            if out.expect(&LIMITS, fits, name, || {
                format!("a document of {} bytes, more than are read", file.size)
            }) {
                room -= file.size;
            }
            let name = name.to_owned();
            wanted.push(Wanted { name, limit: file.size, keep: fits, prefix: None });
        }
        let read = fetch::all(self.source, &wanted, self.meter)?;
        let mut documents = BTreeMap::new();
        for (wanted, fetched) in wanted.into_iter().zip(read) {
            if let Some(fetched) = self.compare(&wanted, fetched, out)
                && wanted.keep
            {
                documents.insert(wanted.name, fetched.bytes);
            }
        }
        Ok(documents)
    }

    /// Reads what is no document, and compares it with the list. Some files are hashed a second time,
    /// after the bytes that `prefixes` has for them; those digests are returned.
    pub(super) fn payloads(
        &self,
        prefixes: &BTreeMap<String, Arc<[u8]>>,
        out: &mut Recorder,
    ) -> Result<BTreeMap<String, Sha256>, CheckError> {
        let rest = self
            .sums
            .keys()
            .filter(|name| name.as_str() != MANIFEST && !self.find(name).is_some_and(is_document));
        let wanted: Vec<_> = rest
            .map(|name| Wanted {
                name: name.clone(),
                limit: self.find(name).map_or(MAX_FILE, |file| file.size),
                keep: false,
                prefix: prefixes.get(name).cloned(),
            })
            .collect();
        let read = fetch::all(self.source, &wanted, self.meter)?;
        let mut combined = BTreeMap::new();
        for (wanted, fetched) in wanted.into_iter().zip(read) {
            let fetched = self.compare(&wanted, fetched, out);
            if let Some(sha256) = fetched.and_then(|fetched| fetched.combined) {
                combined.insert(wanted.name, sha256);
            }
        }
        Ok(combined)
    }

    /// Whether a file is there, as long as the manifest says, and the one that is listed.
    fn compare(
        &self,
        wanted: &Wanted,
        fetched: Option<Fetched>,
        out: &mut Recorder,
    ) -> Option<Fetched> {
        let name = wanted.name.as_str();
        let missing = || "it is listed, and not there".to_owned();
        out.expect(&FILE_MISSING, fetched.is_some(), name, missing);
        let fetched = fetched?;
        let declared = self.find(name).map(|file| file.size);
        let fits = !fetched.longer && declared.is_none_or(|size| size == fetched.size);
        if !out.expect(&FILE_SIZE, fits, name, || {
            let more = if fetched.longer { "more than " } else { "" };
            let (size, declared) = (fetched.size, declared.unwrap_or(MAX_FILE));
            format!("{more}{size} bytes, not {declared}")
        }) {
            return None;
        }
        expect_digest(name, self.sums.get(name), fetched.sha256, out).then_some(fetched)
    }

    /// What is there under a second name has the bytes of the first.
    pub(super) fn second_names(&self, out: &mut Recorder) -> Result<(), CheckError> {
        for file in self.declared() {
            let Some(also) = &file.also else { continue };
            if let Some(why) = also.split('/').find_map(|name| sums::plain(name).err()) {
                out.fail(&SECOND_NAME, also, format!("it is no second name: {why}"));
                continue;
            }
            let wanted = Wanted { name: also.clone(), limit: file.size, keep: false, prefix: None };
            let [Some(fetched)] = &fetch::all(self.source, &[wanted], self.meter)?[..] else {
                // It is written when the release is published.
                continue;
            };
            let same = !fetched.longer && fetched.sha256 == file.sha256;
            out.expect(&SECOND_NAME, same, also, || format!("it differs from {}", file.file));
        }
        Ok(())
    }
}

/// Whether a file is read into memory.
fn is_document(file: &ReleaseFile) -> bool {
    file.role != FileRole::Payload || file.size <= SMALL_PAYLOAD
}

/// Whether a file has the digest that is listed.
pub(super) fn expect_digest(
    name: &str,
    listed: Option<&Sha256>,
    found: Sha256,
    out: &mut Recorder,
) -> bool {
    let Some(listed) = listed else { return false };
    out.expect(&FILE_DIGEST, found == *listed, name, || format!("sha256 {found}, not {listed}"))
}

/// Whether nothing is there that is no file, or that nobody lists.
pub(super) fn kinds(entries: Option<&[Entry]>, work: &Work<'_>, out: &mut Recorder) {
    let Some(entries) = entries else { return };
    let signatures: Vec<_> = signatures::names().collect();
    let also: BTreeSet<_> = work.declared().filter_map(|f| f.also.as_deref()).collect();
    for Entry { name, kind } in entries {
        let is_file = *kind == EntryKind::File;
        if !out.expect(&FILE_KIND, is_file, name, || format!("it is {}", kind.as_str())) {
            continue;
        }
        let name = name.as_str();
        // Without a manifest nobody knows what lies in folders.
        let unknown = work.declared.is_none() && (name.contains('/') || name == MANIFEST);
        let listed = work.sums.contains_key(name)
            || name == SUMS
            || signatures.iter().any(|signature| signature == name)
            || also.contains(name)
            || unknown;
        let why = || "it is not in the list of checksums".to_owned();
        out.expect(&FILE_EXTRA, listed, name, why);
    }
}

/// Whether the manifest and the list of checksums name the same files.
pub(super) fn agree(release: &Known<'_>, out: &mut Recorder) {
    let sums = release.sums;
    let files = &release.manifest.files;
    let sorted = files.is_sorted_by(|a, b| a.file < b.file);
    out.expect(&MANIFEST_FILES, sorted, MANIFEST, || {
        "its files are not sorted by name, or one is there twice".to_owned()
    });
    for file in files {
        let name = file.file.as_str();
        let listed = sums.get(name);
        let same = listed == Some(&file.sha256);
        out.expect(&MANIFEST_FILES, same, name, || match listed {
            Some(listed) => {
                format!("the manifest says sha256 {}, the list {listed}", file.sha256)
            }
            None => "it is in the manifest, and not in the list of checksums".to_owned(),
        });
        let line = name.strip_suffix(".sha256").zip(release.document(name));
        let Some((of, line)) = line.filter(|_| file.role != FileRole::Payload) else { continue };
        let wanted = sums.get(of).map(|sha256| sha256.line(of));
        let same = wanted.is_some_and(|wanted| wanted.as_bytes() == line);
        out.expect(&CHECKSUM_FILE, same, name, || {
            format!("it is not the line of {of} in the list of checksums")
        });
    }
    let named: BTreeSet<_> = files.iter().map(|file| file.file.as_str()).collect();
    for name in sums.keys().map(String::as_str).filter(|name| *name != MANIFEST) {
        out.expect(&MANIFEST_FILES, named.contains(name), name, || {
            "it is in the list of checksums, and not in the manifest".to_owned()
        });
    }
}

/// Whether the place and the images are called by the version.
pub(super) fn called(manifest: &ReleaseManifest, source: &dyn Source, out: &mut Recorder) {
    let version = manifest.version.as_str();
    let valid = check_version(version);
    let is_one = valid.is_ok();
    out.expect(&VERSION, is_one, MANIFEST, || {
        valid.err().map(|e| e.to_string()).unwrap_or_default()
    });
    for image in &manifest.images {
        let Some(payload) = image.artifacts.first() else { continue };
        let file = payload.file.as_str();
        let with = format!("-{version}");
        let fits = file.match_indices(&with).any(|(at, _)| {
            let next = file.get(at + with.len()..).and_then(|rest| rest.chars().next());
            !next.is_some_and(char::is_alphanumeric)
        });
        out.expect(&VERSION, fits, file, || format!("the version {version} is not in its name"));
    }
    if let Some(place) = source.version() {
        out.expect(&PLACE, place == version, "", || {
            format!("the release is {version}, and the place is called {place}")
        });
    }
}
