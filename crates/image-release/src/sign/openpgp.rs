//! Keys and signatures of OpenPGP: those of version 4, which all tools read. RFC 9580.

mod certificate;
mod secret;

use std::io::BufReader;

use image_model::SignatureScheme;
use pgp::{
    composed::{
        ArmorOptions, Deserializable as _, DetachedSignature, PublicOrSecret, SignedPublicKey,
    },
    crypto::hash::HashAlgorithm,
    packet::{Signature, SignatureType, SignatureVersion, SubpacketData},
    types::{KeyDetails as _, KeyVersion},
};

use super::{PublicKeyError, Verified, VerifyError};

pub(in crate::sign) use self::secret::{Secret, generate};

/// Longest signature that is looked at, in bytes.
const MAX_SIGNATURE_FILE: usize = 64 << 10;

/// Most signatures in one file that are looked at. One suffices.
const MAX_SIGNATURES: usize = 16;

/// A public key: one with all that others said of it.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::sign) struct Public(SignedPublicKey);

/// Whether these are packets that begin with a key, or armor.
pub(in crate::sign) fn is_openpgp(bytes: &[u8]) -> bool {
    // A packet of the new or the old format, RFC 9580 §4.2: secret key is 5, public key is 6.
    let tag = match bytes.first() {
        Some(first) if first & 0xc0 == 0xc0 => first & 0x3f,
        Some(first) if first & 0xc0 == 0x80 => first >> 2 & 0x0f,
        _ => 0,
    };
    let armor = b"-----BEGIN PGP ";
    matches!(tag, 5 | 6) || bytes.windows(armor.len()).any(|window| window == armor)
}

/// The only key in `bytes`, armored or not.
fn single(bytes: &[u8]) -> Result<PublicOrSecret, String> {
    let (mut keys, _) =
        PublicOrSecret::from_reader_many_buf(BufReader::new(bytes)).map_err(|e| e.to_string())?;
    let key = keys.next().ok_or("there is no key in it")?.map_err(|e| e.to_string())?;
    match keys.next() {
        None => Ok(key),
        Some(Ok(_)) => Err("there is more than one key in it".to_owned()),
        Some(Err(error)) => Err(error.to_string()),
    }
}

impl Public {
    pub(in crate::sign) fn parse(bytes: &[u8]) -> Result<Self, PublicKeyError> {
        let fail = |why| PublicKeyError::Malformed { scheme: SignatureScheme::Openpgp, why };
        match single(bytes).map_err(fail)? {
            PublicOrSecret::Public(key) if key.version() != KeyVersion::V4 => {
                Err(fail("it is not of version 4".to_owned()))
            }
            PublicOrSecret::Public(key) => Ok(Self(key)),
            PublicOrSecret::Secret(_) => Err(PublicKeyError::Secret),
        }
    }

    pub(in crate::sign) fn id(&self) -> String {
        format!("{:X}", self.0.fingerprint())
    }

    pub(in crate::sign) fn armored(&self) -> Vec<u8> {
        let options = ArmorOptions { headers: None, include_checksum: true };
        self.0.to_armored_bytes(options).expect("a key in memory can be written")
    }

    pub(in crate::sign) fn verify(
        &self,
        bytes: &[u8],
        signature: &[u8],
    ) -> Result<Verified, VerifyError> {
        let malformed =
            |why: String| VerifyError::Malformed { scheme: SignatureScheme::Openpgp, why };
        if signature.len() > MAX_SIGNATURE_FILE {
            return Err(malformed("it is longer than 64 KiB".to_owned()));
        }
        let mut judged = Err(malformed("there is no signature in it".to_owned()));
        for signature in signatures(signature).map_err(malformed)?.into_iter().take(MAX_SIGNATURES)
        {
            judged = self.verify_one(bytes, &signature);
            if judged.is_ok() {
                break;
            }
        }
        judged
    }

    fn verify_one(&self, bytes: &[u8], signature: &Signature) -> Result<Verified, VerifyError> {
        let refused = |why: &str| Err(VerifyError::Refused(why.to_owned()));
        let Some(config) = signature.config() else {
            return refused("the signature is of a version that nobody knows");
        };
        // Whose it says that it is. That is a hint: the mathematics decides.
        let fingerprints = config.issuer_fingerprint();
        let ids = config.issuer_key_id();
        let is_named = |key: &dyn pgp::types::KeyDetails| {
            fingerprints.contains(&&key.fingerprint())
                || fingerprints.is_empty() && ids.contains(&&key.legacy_key_id())
        };
        let mut keys = certificate::keys(&self.0);
        let Some(key) = keys.find(|key| is_named(key.details())) else {
            let found = match (fingerprints.first(), ids.first()) {
                (Some(fingerprint), _) => format!("{fingerprint:X}"),
                (None, Some(id)) => id.to_string().to_uppercase(),
                (None, None) => "that it does not name".to_owned(),
            };
            return Err(VerifyError::OtherKey { found, expected: self.id() });
        };
        key.verify(signature, bytes).map_err(|_| VerifyError::Mismatch)?;

        if config.version() != SignatureVersion::V4 {
            return refused("the signature is not of version 4");
        }
        if config.typ != SignatureType::Binary {
            return refused(
                "the signature is not one of bytes, but of a text or of something else",
            );
        }
        if !matches!(
            config.hash_alg,
            HashAlgorithm::Sha256
                | HashAlgorithm::Sha384
                | HashAlgorithm::Sha512
                | HashAlgorithm::Sha3_256
                | HashAlgorithm::Sha3_512
        ) {
            let why = format!("the signature uses {}, which is too weak", config.hash_alg);
            return Err(VerifyError::Refused(why));
        }
        let known = |data: &SubpacketData| {
            !matches!(
                data,
                SubpacketData::Notation(_)
                    | SubpacketData::Experimental(..)
                    | SubpacketData::Other(..)
            )
        };
        if config.hashed_subpackets().any(|packet| packet.is_critical && !known(&packet.data)) {
            return refused("the signature has a condition that is critical and that nobody knows");
        }
        let Some(time) = config.created().map(|time| u64::from(time.as_secs())) else {
            return refused("the signature does not say when it was made");
        };
        if signature.signature_expiration_time().is_some_and(|life| life.as_secs() != 0) {
            return refused("the signature expires, and a release does not");
        }
        key.may_sign(time).map_err(VerifyError::Refused)?;
        Ok(Verified { time: Some(time), comment: None })
    }
}

/// The signatures in a file, armored or not.
fn signatures(bytes: &[u8]) -> Result<Vec<Signature>, String> {
    let is_binary = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let parsed: Result<Vec<_>, _> = if is_binary {
        DetachedSignature::from_bytes_many(bytes).and_then(Iterator::collect)
    } else {
        DetachedSignature::from_armor_many_buf(bytes).and_then(|(found, _)| found.collect())
    };
    let parsed = parsed.map_err(|error| error.to_string())?;
    Ok(parsed.into_iter().map(|detached| detached.signature).collect())
}
