//! The manifest of an appliance, and the digests of its members.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use image_formats::{
    bytes::ReadError,
    ovf::{
        Envelope,
        manifest::{self, Digest as Stated},
    },
};
use sha2::Digest as _;

use super::{Judge, MANIFEST, MANIFEST_DIGEST, MANIFEST_FILES, MANIFEST_LINE, shown};
use crate::{container::raw_at, members::Member};

/// How many lines are looked at. One file may be in many.
const MAX_LINES: usize = 4096;

/// The algorithms that manifests use: SHA-1 in version 1 of the format, SHA-256 in version 2, and
/// SHA-512 where somebody chose it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Algorithm {
    Sha1,
    Sha256,
    Sha512,
}

impl Algorithm {
    fn of(stated: &Stated) -> Option<Self> {
        let algorithm = match stated.algorithm.as_str() {
            "SHA1" => Self::Sha1,
            "SHA256" => Self::Sha256,
            "SHA512" => Self::Sha512,
            _ => return None,
        };
        (stated.bytes.len() == algorithm.len()).then_some(algorithm)
    }

    fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    fn digest(self, file: &Member) -> Result<Vec<u8>, ReadError> {
        match self {
            Self::Sha1 => hash(sha1::Sha1::new(), file),
            Self::Sha256 => hash(sha2::Sha256::new(), file),
            Self::Sha512 => hash(sha2::Sha512::new(), file),
        }
    }
}

fn hash<D: sha2::Digest>(mut digest: D, file: &Member) -> Result<Vec<u8>, ReadError> {
    file.each(&mut |bytes| digest.update(bytes))?;
    Ok(digest.finalize().to_vec())
}

impl<'a> Judge<'a, '_> {
    pub(super) fn manifest(
        &mut self,
        envelope: &Envelope,
        descriptor: &'a Member,
    ) -> Result<(), ReadError> {
        let found = self.ending(b".mf").next();
        self.out.expect(&MANIFEST, found.is_some(), || {
            (raw_at("archive", 0, 0), "no member is called *.mf".to_owned())
        });
        let Some(member) = found else { return Ok(()) };
        let place = || member.content_at("OVF manifest", 0, member.content.len());
        let bytes = match member.read(manifest::MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.is_defect() => {
                let why = error.cause.to_string();
                self.out.expect(&MANIFEST_LINE, false, || (place(), why));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut stated = BTreeSet::new();
        // However often a file is named, it is read once for each algorithm.
        let mut digests = BTreeMap::new();
        for (index, line) in manifest::lines(&bytes).enumerate() {
            let number = line.number;
            let known =
                line.digest.as_ref().and_then(|digest| Some((digest, Algorithm::of(digest)?)));
            let within = index < MAX_LINES;
            let Some((digest, algorithm)) = known.filter(|_| within) else {
                let what = if within { "no digest that is known" } else { "one line too many" };
                self.out
                    .expect(&MANIFEST_LINE, false, || (place(), format!("line {number}: {what}")));
                if within { continue } else { break }
            };
            self.out.expect(&MANIFEST_LINE, true, || (place(), String::new()));
            let file = self.members.find_file(digest.name.as_bytes());
            self.out.expect(&MANIFEST_FILES, file.is_some(), || {
                let name = shown(Some(&digest.name));
                (place(), format!("line {number}: {name} is not in the package"))
            });
            let Some(file) = file else { continue };
            stated.insert(file.at);
            let found = match digests.entry((file.at, algorithm)) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(algorithm.digest(file)?),
            };
            self.out.expect(&MANIFEST_DIGEST, *found == digest.bytes, || {
                let (found, wanted) = (hex(found), hex(&digest.bytes));
                let what = file.content_at("content of a member", 0, file.content.len());
                (what, format!("{} is {found}, the manifest says {wanted}", digest.algorithm))
            });
        }
        let files = envelope.files.iter().filter_map(|file| self.member(file));
        let missing: Vec<_> = [descriptor]
            .into_iter()
            .chain(files)
            .filter(|file| !stated.contains(&file.at))
            .collect();
        for file in missing {
            self.out.expect(&MANIFEST_FILES, false, || {
                (place(), format!("no digest of {}", file.name()))
            });
        }
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
