//! Secret keys of OpenPGP.

use std::fmt;

use image_host::epoch;
use image_model::{FileRole, SignatureScheme};
use pgp::{
    composed::{
        ArmorOptions, DetachedSignature, EncryptionCaps, KeyType, PublicOrSecret,
        SecretKeyParamsBuilder, SignedSecretKey,
    },
    crypto::hash::HashAlgorithm,
    packet::{self, SignatureConfig, SignatureType, Subpacket, SubpacketData},
    ser::Serialize as _,
    types::{
        KeyDetails as _, KeyVersion, Password, S2kParams, SecretParams, SigningKey, StringToKey,
        Timestamp,
    },
};
use ssh_key::rand_core::OsRng;
use zeroize::Zeroizing;

use super::{Public, certificate, single};
use crate::{
    Document,
    sign::{PassphraseSource, PublicKey, SignError, Signer, public::Key, signature_name},
};

/// The key that signs, decrypted; and the certificate that it belongs to.
pub(in crate::sign) struct Secret {
    key: Part,
    /// When it came into being: it signs nothing before.
    since: u64,
    public: PublicKey,
}

/// Both are wiped when they are dropped.
enum Part {
    Primary(packet::SecretKey),
    Sub(packet::SecretSubkey),
}

/// Without the secret.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("openpgp::Secret").field(&self.public).finish()
    }
}

impl Part {
    fn params(&self) -> &SecretParams {
        match self {
            Self::Primary(key) => key.secret_params(),
            Self::Sub(key) => key.secret_params(),
        }
    }

    /// Whether the secret is elsewhere, on a card or with the agent of gpg, and only its name here.
    fn is_stub(&self) -> bool {
        let SecretParams::Encrypted(params) = self.params() else { return false };
        match params.string_to_key_params() {
            S2kParams::Cfb { s2k, .. }
            | S2kParams::MalleableCfb { s2k, .. }
            | S2kParams::Aead { s2k, .. } => matches!(s2k, StringToKey::Private { .. }),
            S2kParams::Unprotected | S2kParams::LegacyCfb { .. } => false,
        }
    }

    fn unlock(&mut self, passphrase: &Password) -> pgp::errors::Result<()> {
        match self {
            Self::Primary(key) => key.remove_password(passphrase),
            Self::Sub(key) => key.remove_password(passphrase),
        }
    }

    fn sign(&self, bytes: &[u8], time: Timestamp) -> pgp::errors::Result<DetachedSignature> {
        match self {
            Self::Primary(key) => sign(key, bytes, time),
            Self::Sub(key) => sign(key, bytes, time),
        }
    }
}

/// A signature of version 4 over bytes: all of it is a function of the arguments.
fn sign(
    key: &impl SigningKey,
    bytes: &[u8],
    time: Timestamp,
) -> pgp::errors::Result<DetachedSignature> {
    let hash = match key.hash_alg() {
        // Curves want at least what fits them.
        hash @ (HashAlgorithm::Sha384 | HashAlgorithm::Sha512) => hash,
        _ => HashAlgorithm::Sha256,
    };
    let mut config = SignatureConfig::v4(SignatureType::Binary, key.algorithm(), hash);
    config.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::SignatureCreationTime(time))?,
        Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint()))?,
    ];
    config.unhashed_subpackets =
        vec![Subpacket::regular(SubpacketData::IssuerKeyId(key.legacy_key_id()))?];
    Ok(DetachedSignature::new(config.sign(key, &Password::empty(), bytes)?))
}

impl Secret {
    pub(in crate::sign) fn load(
        key: &str,
        bytes: &[u8],
        passphrase: &mut PassphraseSource,
    ) -> Result<Self, SignError> {
        let fail = |why: String| SignError::Key { key: key.to_owned(), why };
        let secret = match single(bytes) {
            Ok(PublicOrSecret::Secret(secret)) => secret,
            Ok(PublicOrSecret::Public(_)) => {
                let why =
                    "a public key of OpenPGP; `gpg --export-secret-keys` gives the secret one";
                return Err(fail(why.to_owned()));
            }
            Err(why) => return Err(fail(format!("not a secret key of OpenPGP: {why}"))),
        };
        if secret.primary_key.version() != KeyVersion::V4 {
            return Err(fail("not a key of version 4, which is what gpg reads".to_owned()));
        }
        let public = Public(secret.to_public_key());
        // Whether a key still is one depends on the day, and nothing that is written does.
        let now = epoch::now();
        let mut whys = Vec::new();
        let mut chosen = None;
        for candidate in certificate::keys(&public.0) {
            if let Err(why) = candidate.may_sign(now) {
                whys.push(why);
                continue;
            }
            let id = candidate.fingerprint();
            match part(&secret, &candidate) {
                Some(part) if part.is_stub() => {
                    whys.push(format!("the secret part of the key {id} is not in it"));
                }
                None => whys.push(format!("the secret part of the key {id} is not in it")),
                Some(part) => {
                    chosen = Some((part, candidate.since().map_err(fail)?));
                    break;
                }
            }
        }
        drop(secret);
        let Some((mut part, since)) = chosen else {
            whys.dedup();
            return Err(fail(format!("nothing in it signs files: {}", whys.join("; "))));
        };
        if part.params().is_encrypted() {
            let passphrase = passphrase
                .get(key)
                .map_err(|cause| SignError::Passphrase { key: key.to_owned(), cause })?;
            part.unlock(&Password::from(passphrase.as_bytes()))
                .map_err(|_| SignError::WrongPassphrase { key: key.to_owned() })?;
        }
        Ok(Self { key: part, since, public: PublicKey(Key::Openpgp(Box::new(public))) })
    }
}

/// The packet with the secret part of a key.
fn part(secret: &SignedSecretKey, key: &certificate::Key<'_>) -> Option<Part> {
    let fingerprint = key.details().fingerprint();
    if secret.primary_key.fingerprint() == fingerprint {
        return Some(Part::Primary(secret.primary_key.clone()));
    }
    let found = secret.secret_subkeys.iter().find(|sub| sub.key.fingerprint() == fingerprint);
    found.map(|sub| Part::Sub(sub.key.clone()))
}

impl Signer for Secret {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, name: &str, bytes: &[u8], epoch: Option<u64>) -> Result<Document, SignError> {
        let fail = |cause: Box<dyn std::error::Error + Send + Sync>| {
            SignError::sign(&self.public, name, cause)
        };
        // A signature has to have a time, and one before the key was there is refused by everybody.
        // That SOURCE_DATE_EPOCH is older than the key is nothing unusual.
        let time = epoch.unwrap_or(self.since).max(self.since);
        let time = u32::try_from(time)
            .map_err(|_| "SOURCE_DATE_EPOCH is after 2106, where the time of OpenPGP ends".into())
            .map_err(fail)?;
        let made = self.key.sign(bytes, Timestamp::from_secs(time));
        let made = made.and_then(|signature| signature.to_bytes()).map_err(|e| fail(e.into()))?;
        let document = Document {
            file: signature_name(SignatureScheme::Openpgp, name),
            also: None,
            role: FileRole::Signature,
            media_type: "application/pgp-signature",
            bytes: made,
        };
        // A fault of the machine in the middle of a signature can give the key away.
        let judged = self.public.verify(name, bytes, &document.bytes);
        judged.map_err(|cause| fail(cause.into()))?;
        Ok(document)
    }

    fn ed25519(&self, _message: &[u8]) -> Result<Option<[u8; 64]>, SignError> {
        // What OpenPGP signs begins with what OpenPGP says; nothing else is signed with such a key.
        Ok(None)
    }
}

/// A new key for certification and signatures, with one name, that does not expire. The algorithm is
/// the one that gpg 2.2 has as well.
pub(in crate::sign) fn generate(
    name: &str,
    passphrase: Option<&str>,
    created: u64,
) -> Result<(Zeroizing<Vec<u8>>, Public), String> {
    let created = u32::try_from(created).map_err(|_| "the clock is after 2106".to_owned())?;
    let text = |error: pgp::errors::Error| error.to_string();
    let params = SecretKeyParamsBuilder::default()
        .key_type(KeyType::Ed25519Legacy)
        .can_certify(true)
        .can_sign(true)
        .can_encrypt(EncryptionCaps::None)
        .created_at(Timestamp::from_secs(created))
        .primary_user_id(name.to_owned())
        .build();
    let mut key = params.map_err(|error| error.to_string())?.generate(OsRng).map_err(text)?;
    let public = Public(key.to_public_key());
    if let Some(passphrase) = passphrase {
        let passphrase = Password::from(passphrase.as_bytes());
        key.primary_key.set_password(OsRng, &passphrase).map_err(text)?;
    }
    let options = ArmorOptions { headers: None, include_checksum: true };
    // As large as it gets, so that no copy stays behind.
    let mut file = Zeroizing::new(Vec::with_capacity(8 << 10));
    key.to_armored_writer(&mut *file, options).map_err(text)?;
    Ok((file, public))
}
