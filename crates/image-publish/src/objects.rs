//! What is published of a release, and in which order.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use image_model::{
    FileRole, RELEASE_SCHEMA, ReleaseFile, ReleaseManifest, Sha256, SignatureScheme,
};
use image_release::{MANIFEST, PAGE, SUMS};
use sha2::Digest as _;

/// A manifest, a list of checksums or a signature is never longer, in bytes.
const MAX_DOCUMENT: u64 = 64 << 20;

/// An object to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its name below the place of the version, such as `nixos-26.05.wsl`, `streams/v1/index.json`.
    pub name: String,
    /// The file that has it.
    pub path: PathBuf,
    /// What it is for.
    pub role: FileRole,
    /// Its media type.
    pub media_type: String,
    /// Length in bytes.
    pub size: u64,
    /// SHA-256 of it.
    pub sha256: Sha256,
    /// The image that it belongs to: the name of that file.
    pub of: Option<String>,
}

/// A folder is no release that can be published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectsError {
    /// A file or the folder cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no manifest of a release in it.
    #[error("{} is not the folder of a release: it has no {MANIFEST} of one", folder.display())]
    NoRelease {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with the manifest; absent where there is none.
        source: Option<serde_json::Error>,
    },
    /// Another version of this program wrote it.
    #[error(
        "{}: the {MANIFEST} has schema {schema}, and this program knows {RELEASE_SCHEMA}",
        folder.display()
    )]
    Schema {
        /// The folder.
        folder: PathBuf,
        /// What it says.
        schema: u32,
    },
    /// The folder is not what its manifest and its list of checksums say.
    #[error(
        "{} is no complete release; cargo xtask verify-release says more: {}",
        folder.display(),
        problems.join("; ")
    )]
    Broken {
        /// The folder.
        folder: PathBuf,
        /// All that is wrong.
        problems: Vec<String>,
    },
}

/// The manifest of the release in `folder`, and its objects in the order of publishing.
///
/// Names and sizes are compared, and the two lists of checksums with each other. The files are not
/// hashed but for the small ones that no list has: that is done while they are sent.
pub fn objects(folder: &Path) -> Result<(ReleaseManifest, Vec<Object>), ObjectsError> {
    let text = match document(&folder.join(MANIFEST)) {
        Err(ObjectsError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            // A folder that is not there is another mistake than one without a manifest.
            fs::metadata(folder)
                .map_err(|source| ObjectsError::Read { path: folder.to_owned(), source })?;
            return Err(ObjectsError::NoRelease { folder: folder.to_owned(), source: None });
        }
        text => text?,
    };
    let manifest = manifest(folder, &text)?;
    let sums = document(&folder.join(SUMS))?;
    let mut problems = Vec::new();
    let mut files = manifest.files.clone();
    files.push(of_release(MANIFEST, FileRole::Manifest, "application/json", &text));
    compare(&files, &sums, &mut problems);
    files.push(of_release(SUMS, FileRole::Sums, "text/plain; charset=utf-8", &sums));
    for signature in &manifest.signatures {
        if is_flat(&signature.file) {
            let bytes = document(&folder.join(&signature.file))?;
            let media_type = match signature.scheme {
                SignatureScheme::Minisign | SignatureScheme::Ssh => "text/plain; charset=utf-8",
                SignatureScheme::Openpgp => "application/pgp-signature",
            };
            files.push(of_release(&signature.file, FileRole::Signature, media_type, &bytes));
        } else {
            problems.push(format!("{:?} is no name of a file", signature.file));
        }
    }
    on_disk(folder, &files, &mut problems)?;
    if !is_flat(&manifest.version) {
        problems.push(format!("{:?} is no version", manifest.version));
    }
    let objects = ordered(folder, files, &mut problems);
    if problems.is_empty() {
        Ok((manifest, objects))
    } else {
        Err(ObjectsError::Broken { folder: folder.to_owned(), problems })
    }
}

fn manifest(folder: &Path, text: &[u8]) -> Result<ReleaseManifest, ObjectsError> {
    let folder = folder.to_owned();
    // The number first: a later shape has keys that this one refuses.
    let schema = serde_json::from_slice::<serde_json::Value>(text)
        .ok()
        .and_then(|json| json.get("schema")?.as_u64());
    match schema.and_then(|schema| u32::try_from(schema).ok()) {
        Some(schema) if schema != RELEASE_SCHEMA => Err(ObjectsError::Schema { folder, schema }),
        _ => serde_json::from_slice(text)
            .map_err(|source| ObjectsError::NoRelease { folder, source: Some(source) }),
    }
}

fn document(path: &Path) -> Result<Vec<u8>, ObjectsError> {
    let read = || {
        let mut bytes = Vec::new();
        // Opening a pipe would wait for somebody at its other end.
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        File::open(path)?.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_DOCUMENT {
            return Err(io::Error::other(format!("it is longer than {MAX_DOCUMENT} bytes")));
        }
        Ok(bytes)
    };
    read().map_err(|source| ObjectsError::Read { path: path.to_owned(), source })
}

/// A file that the manifest does not list.
fn of_release(file: &str, role: FileRole, media_type: &str, bytes: &[u8]) -> ReleaseFile {
    ReleaseFile {
        file: file.to_owned(),
        also: None,
        role,
        media_type: media_type.to_owned(),
        size: bytes.len() as u64,
        sha256: Sha256(sha2::Sha256::digest(bytes).into()),
        of: None,
    }
}

/// Compares what the manifest lists with `SHA256SUMS`.
fn compare(files: &[ReleaseFile], sums: &[u8], problems: &mut Vec<String>) {
    let mut listed = BTreeMap::new();
    for line in String::from_utf8_lossy(sums).lines() {
        match sum_line(line) {
            Some((sha256, name)) => {
                if listed.insert(name.to_owned(), sha256).is_some() {
                    problems.push(format!("{SUMS} has {name} twice"));
                }
            }
            None => problems.push(format!("{SUMS} has a line that is no checksum: {line:?}")),
        }
    }
    for file in files {
        match listed.remove(&file.file) {
            None => problems.push(format!("{SUMS} has no {}", file.file)),
            Some(sha256) if sha256 != file.sha256 => {
                problems.push(format!("{SUMS} has another checksum of {}", file.file));
            }
            Some(_) => {}
        }
    }
    problems.extend(listed.keys().map(|name| format!("{MANIFEST} has no {name}")));
}

/// A line as `sha256sum` writes it.
fn sum_line(line: &str) -> Option<(Sha256, &str)> {
    let (digest, name) = line.split_at_checked(64)?;
    let name = name.strip_prefix("  ").or_else(|| name.strip_prefix(" *"))?;
    Some((Sha256::try_from(digest.to_owned()).ok()?, name))
}

/// Compares what is listed with what is in the folder.
fn on_disk(
    folder: &Path,
    files: &[ReleaseFile],
    problems: &mut Vec<String>,
) -> Result<(), ObjectsError> {
    let fail = |source| ObjectsError::Read { path: folder.to_owned(), source };
    let mut there = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let metadata = entry.metadata().map_err(fail)?;
        let size = metadata.is_file().then_some(metadata.len());
        there.insert(entry.file_name().to_string_lossy().into_owned(), size);
    }
    for file in files {
        match there.remove(&file.file) {
            None => problems.push(format!("{} is missing", file.file)),
            Some(None) => problems.push(format!("{} is no regular file", file.file)),
            Some(Some(size)) if size != file.size => problems
                .push(format!("{} has {size} bytes, and {MANIFEST} says {}", file.file, file.size)),
            Some(Some(_)) => {}
        }
    }
    problems.extend(there.keys().map(|name| format!("{name} is of no release")));
    Ok(())
}

/// The objects in the order of publishing: by role, and by name among those of one role; the list
/// of checksums is the last of its kind, and the page the last of all.
fn ordered(folder: &Path, files: Vec<ReleaseFile>, problems: &mut Vec<String>) -> Vec<Object> {
    let mut objects = Vec::new();
    let mut names = BTreeSet::new();
    for file in files {
        if !is_flat(&file.file) {
            problems.push(format!("{:?} is no name of a file", file.file));
        }
        // It becomes a header.
        if !file.media_type.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            problems.push(format!("{:?} of {} is no media type", file.media_type, file.file));
        }
        let also = file.also.as_ref().filter(|also| {
            let fine = also.split('/').all(is_flat);
            if !fine {
                problems.push(format!("{also:?} is no name below a folder"));
            }
            fine
        });
        for name in [Some(&file.file), also].into_iter().flatten() {
            if !names.insert(name.clone()) {
                problems.push(format!("{name} is listed twice"));
            }
            objects.push(Object {
                name: name.clone(),
                path: folder.join(&file.file),
                role: file.role,
                media_type: file.media_type.clone(),
                size: file.size,
                sha256: file.sha256,
                of: file.of.clone(),
            });
        }
    }
    for name in &names {
        for (at, _) in name.match_indices('/').filter(|(at, _)| names.contains(&name[..*at])) {
            problems.push(format!("{} is a file, and the folder of {name}", &name[..at]));
        }
    }
    let last = |name: &str| name == SUMS || name == PAGE;
    objects.sort_by(|a, b| (a.role, last(&a.name), &a.name).cmp(&(b.role, last(&b.name), &b.name)));
    objects
}

/// A name that is a file of the folder on every machine, and part of an address as it is.
fn is_flat(name: &str) -> bool {
    let allowed = |c: char| !c.is_control() && !matches!(c, '/' | '\\');
    !matches!(name, "" | "." | "..") && name.chars().all(allowed) && name.len() <= 255
}
