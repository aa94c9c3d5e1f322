//! Who signed the list of checksums.

use std::collections::BTreeMap;

use image_host::epoch;
use image_model::{ReleaseManifest, SignatureScheme};
use image_verify::release::{
    PUBLIC_KEY, SIGNATURE, SIGNATURES_DECLARED, UNKNOWN_SIGNER, UNSIGNED, WANTED_KEY,
};

use super::{
    Source,
    fetch::{CheckError, Meter, document},
    report::{CheckedSignature, Recorder},
};
use crate::{
    SUMS,
    sign::{PublicKey, public_key_name, signature_name},
};

/// The longest signature, and the longest public key, in bytes: OpenPGP ones may have pictures.
const MAX_BYTES: u64 = 1 << 20;

/// A release has at most one signature of each.
pub(super) const SCHEMES: [SignatureScheme; 3] =
    [SignatureScheme::Minisign, SignatureScheme::Ssh, SignatureScheme::Openpgp];

/// What is known of the signatures.
#[derive(Debug, Default)]
pub(super) struct Signatures {
    pub(super) checked: Vec<CheckedSignature>,
    /// Keys that signed: of these are the signatures of attestations.
    pub(super) signers: Vec<PublicKey>,
}

/// The names that signatures have.
pub(super) fn names() -> impl Iterator<Item = String> {
    SCHEMES.into_iter().map(|scheme| signature_name(scheme, SUMS))
}

/// Checks the signatures of `sums`, with the keys that were given and those that came along.
pub(super) fn check(
    source: &dyn Source,
    sums: &[u8],
    given: &[PublicKey],
    meter: &Meter<'_>,
    out: &mut Recorder,
) -> Result<Signatures, CheckError> {
    let mut all = Signatures::default();
    // Why the key does not count, by its place among those that were given.
    let mut wanted: BTreeMap<usize, String> = (0..given.len())
        .map(|index| {
            (index, format!("there is no {}", signature_name(given[index].scheme(), SUMS)))
        })
        .collect();
    for scheme in SCHEMES {
        let file = signature_name(scheme, SUMS);
        let Some(signature) = document(source, &file, MAX_BYTES, meter)? else { continue };
        let mut by = None;
        for (index, key) in given.iter().enumerate().filter(|(_, key)| key.scheme() == scheme) {
            match key.verify(SUMS, sums, &signature.bytes) {
                Ok(verified) => {
                    wanted.remove(&index);
                    by = Some((key.clone(), true, verified.time));
                }
                Err(error) => {
                    wanted.insert(index, error.to_string());
                }
            }
        }
        let mut why = String::new();
        if by.is_none() {
            match came_along(source, scheme, meter, out)? {
                Some(key) => match key.verify(SUMS, sums, &signature.bytes) {
                    Ok(verified) => by = Some((key, false, verified.time)),
                    Err(error) => why = error.to_string(),
                },
                None => why = "no public key came along that it could be compared with".to_owned(),
            }
        }
        out.expect(&SIGNATURE, by.is_some(), &file, || why);
        let (key_id, given, time) = match &by {
            Some((key, given, time)) => (Some(key.key_id()), *given, *time),
            None => (None, false, None),
        };
        let time = time.filter(|time| *time <= epoch::LAST).map(epoch::timestamp);
        all.checked.push(CheckedSignature { scheme, file, key_id, given, time });
        all.signers.extend(by.map(|(key, ..)| key));
    }
    for (index, key) in given.iter().enumerate() {
        let why = wanted.remove(&index);
        out.expect(&WANTED_KEY, why.is_none(), "", || {
            let (scheme, id) = (key.scheme(), key.key_id());
            let why = why.unwrap_or_default();
            format!("the {scheme} key {id} did not sign this list of checksums: {why}")
        });
    }
    out.expect(&UNSIGNED, !all.checked.is_empty(), "", || "nobody signed the release".to_owned());
    if !all.signers.is_empty() {
        out.expect(&UNKNOWN_SIGNER, !given.is_empty(), "", || {
            "the signatures match the keys that came with the release, which says nothing of who made \
             it: compare them, or give the key"
                .to_owned()
        });
    }
    Ok(all)
}

/// The public key of a scheme that came with the release.
fn came_along(
    source: &dyn Source,
    scheme: SignatureScheme,
    meter: &Meter<'_>,
    out: &mut Recorder,
) -> Result<Option<PublicKey>, CheckError> {
    let file = public_key_name(scheme);
    let Some(fetched) = document(source, file, MAX_BYTES, meter)? else { return Ok(None) };
    Ok(parse(file, &fetched.bytes, scheme, out))
}

fn parse(
    file: &str,
    bytes: &[u8],
    scheme: SignatureScheme,
    out: &mut Recorder,
) -> Option<PublicKey> {
    let key = PublicKey::parse(bytes).map_err(|error| error.to_string());
    let key = key.and_then(|key| match key.scheme() {
        found if found == scheme => Ok(key),
        found => Err(format!("a key of {found}, not of {scheme}")),
    });
    let why = key.as_ref().err().cloned();
    out.expect(&PUBLIC_KEY, why.is_none(), file, || why.unwrap_or_default());
    key.ok()
}

/// Whether the manifest names the signatures that are there, and the keys that came along.
pub(super) fn declared(
    manifest: &ReleaseManifest,
    signatures: &Signatures,
    documents: &BTreeMap<String, Vec<u8>>,
    out: &mut Recorder,
) {
    for declared in &manifest.signatures {
        let file = declared.file.as_str();
        let found = signatures.checked.iter().find(|found| found.file == file);
        let fits = found.is_some_and(|found| found.scheme == declared.scheme);
        out.expect(&SIGNATURES_DECLARED, fits, file, || {
            "the manifest names this signature, and it is not there".to_owned()
        });
        if let Some(key_id) = found.and_then(|found| found.key_id.as_ref()) {
            out.expect(&SIGNATURES_DECLARED, *key_id == declared.key_id, file, || {
                format!("signed by {key_id}; the manifest says by {}", declared.key_id)
            });
        }
        let key = declared.public_key.as_str();
        let bytes = documents.get(key);
        out.expect(&PUBLIC_KEY, bytes.is_some(), key, || {
            "the manifest names this public key, and it is not there".to_owned()
        });
        if let Some(key_id) = bytes.and_then(|b| parse(key, b, declared.scheme, out)) {
            let key_id = key_id.key_id();
            out.expect(&PUBLIC_KEY, key_id == declared.key_id, key, || {
                format!("it is the key {key_id}; the manifest says {}", declared.key_id)
            });
        }
    }
    for found in &signatures.checked {
        let declared = manifest.signatures.iter().any(|declared| declared.file == found.file);
        out.expect(&SIGNATURES_DECLARED, declared, &found.file, || {
            "the manifest does not name this signature".to_owned()
        });
    }
}
