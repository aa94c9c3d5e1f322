//! Which keys of a certificate may sign, and when. RFC 9580 §5.2.3 and §10.1.

use image_host::epoch;
use pgp::{
    composed::{SignedPublicKey, SignedPublicSubKey},
    packet::{KeyFlags, Signature, SignatureType, SubpacketData},
    types::{KeyDetails, PublicParams, Tag},
};
use rsa::traits::PublicKeyParts as _;

/// Fewest bits of a modulus of RSA.
const MIN_RSA_BITS: usize = 2048;

/// The primary key of a certificate, or a subkey.
#[derive(Clone, Copy)]
pub(super) enum Key<'a> {
    Primary(&'a SignedPublicKey),
    Sub(&'a SignedPublicKey, &'a SignedPublicSubKey),
}

/// The keys of a certificate: subkeys first, the newest before others, as gpg prefers them.
pub(super) fn keys(certificate: &SignedPublicKey) -> impl Iterator<Item = Key<'_>> {
    let mut subkeys: Vec<_> = certificate.public_subkeys.iter().collect();
    subkeys.sort_by_key(|sub| std::cmp::Reverse(sub.key.created_at()));
    let subkeys = subkeys.into_iter().map(|sub| Key::Sub(certificate, sub));
    subkeys.chain([Key::Primary(certificate)])
}

impl Key<'_> {
    pub(super) fn details(&self) -> &dyn KeyDetails {
        match self {
            Self::Primary(certificate) => &certificate.primary_key,
            Self::Sub(_, sub) => &sub.key,
        }
    }

    pub(super) fn fingerprint(&self) -> String {
        format!("{:X}", self.details().fingerprint())
    }

    /// Whether `signature` is one of `bytes` by this key, whatever that is worth.
    pub(super) fn verify(&self, signature: &Signature, bytes: &[u8]) -> pgp::errors::Result<()> {
        match self {
            Self::Primary(certificate) => signature.verify(&certificate.primary_key, bytes),
            Self::Sub(_, sub) => signature.verify(&sub.key, bytes),
        }
    }

    /// Whether signatures of files that it made at `time`, in seconds since 1970, count. If not, a
    /// sentence says why.
    pub(super) fn may_sign(&self, time: u64) -> Result<(), String> {
        let Life { since, until, signs } = self.life()?;
        let id = self.fingerprint();
        signs.map_err(|why| format!("the key {id} {why}"))?;
        if time < since {
            let (time, since) = (epoch::timestamp(time), epoch::timestamp(since));
            return Err(format!("the key {id} is from {since}, and was not there at {time}"));
        }
        match until {
            Some(until) if time >= until => {
                Err(format!("the key {id} expired at {}", epoch::timestamp(until)))
            }
            _ => Ok(()),
        }
    }

    /// When the key came into being, in seconds since 1970: it signs nothing before.
    pub(super) fn since(&self) -> Result<u64, String> {
        Ok(self.life()?.since)
    }

    fn life(&self) -> Result<Life, String> {
        match self {
            Self::Primary(certificate) => primary(certificate),
            Self::Sub(certificate, sub) => subkey(certificate, sub),
        }
    }
}

/// What is said of a key by those who may.
struct Life {
    /// From when on it is one, in seconds since 1970. What is said of it may be newer: it was said
    /// before as well, and was renewed.
    since: u64,
    /// From when on it is none any more.
    until: Option<u64>,
    /// Whether it signs files; if not, what comes after "the key X" in a sentence.
    signs: Result<(), String>,
}

fn created(signature: &Signature) -> u64 {
    signature.created().map_or(0, |time| u64::from(time.as_secs()))
}

fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>) -> Option<&'a Signature> {
    signatures.max_by_key(|signature| created(signature))
}

/// The flags, if there are any: a key without them is from a time that had none.
fn flags(signature: &Signature) -> Option<&KeyFlags> {
    let mut subpackets = signature.config()?.hashed_subpackets();
    subpackets.find_map(|packet| match &packet.data {
        SubpacketData::KeyFlags(flags) => Some(flags),
        _ => None,
    })
}

/// When a key expires, by what `signature` says of it.
fn expires(key: &dyn KeyDetails, signature: &Signature) -> Option<u64> {
    let life = signature.key_expiration_time()?.as_secs();
    // Zero is the same as nothing.
    (life != 0).then(|| u64::from(key.created_at().as_secs()) + u64::from(life))
}

fn primary(certificate: &SignedPublicKey) -> Result<Life, String> {
    let key = &certificate.primary_key;
    let details = &certificate.details;
    let id = format!("{:X}", key.fingerprint());
    // Some tools put a revocation at the end, where it looks like one of the last name.
    let of_users = details.users.iter().flat_map(|user| &user.signatures);
    let mut all = details.revocation_signatures.iter().chain(of_users);
    let is_revocation = |signature: &Signature| {
        signature.typ() == Some(SignatureType::KeyRevocation) && signature.verify_key(key).is_ok()
    };
    if all.any(is_revocation) {
        return Err(format!("the key {id} is revoked"));
    }
    let direct = details.direct_signatures.iter();
    let direct = newest(direct.filter(|signature| signature.verify_key(key).is_ok()));
    let of_user = newest(details.users.iter().filter_map(|user| {
        let own = user
            .signatures
            .iter()
            .filter(|signature| signature.verify_certification(key, Tag::UserId, &user.id).is_ok());
        // The last word on this name may be that it is not one.
        newest(own).filter(|last| last.typ() != Some(SignatureType::CertRevocation))
    }));
    let said: Vec<_> = direct.into_iter().chain(of_user).collect();
    if said.is_empty() {
        return Err(format!("nothing says that the key {id} belongs to anybody"));
    }
    let with_flags = said.iter().copied().filter(|signature| flags(signature).is_some());
    let signs = match newest(with_flags).and_then(flags) {
        Some(flags) if !flags.sign() => Err("is not meant for signing files".to_owned()),
        _ => is_strong(key),
    };
    Ok(Life {
        since: u64::from(key.created_at().as_secs()),
        until: said.iter().filter_map(|signature| expires(key, signature)).min(),
        signs,
    })
}

fn subkey(certificate: &SignedPublicKey, sub: &SignedPublicSubKey) -> Result<Life, String> {
    let above = &certificate.primary_key;
    let owner = primary(certificate)?;
    // Who can make signatures of the primary key can add subkeys to it.
    is_strong(above).map_err(|why| format!("the key {:X} {why}", above.fingerprint()))?;
    let id = format!("{:X}", sub.key.fingerprint());
    let bound = || {
        let own = |signature: &&Signature| signature.verify_subkey_binding(above, &sub.key).is_ok();
        sub.signatures.iter().filter(own)
    };
    let is = |kind| move |signature: &&Signature| signature.typ() == Some(kind);
    if bound().any(|signature| is(SignatureType::SubkeyRevocation)(&signature)) {
        return Err(format!("the subkey {id} is revoked"));
    }
    let Some(binding) = newest(bound().filter(is(SignatureType::SubkeyBinding))) else {
        return Err(format!("the key {:X} does not say that {id} is its own", above.fingerprint()));
    };
    let answers = |back: &Signature| back.verify_primary_key_binding(&sub.key, above).is_ok();
    let signs = if !flags(binding).is_some_and(KeyFlags::sign) {
        Err("is not meant for signing files".to_owned())
    } else if !binding.embedded_signature().is_some_and(answers) {
        // Else everybody could call the signatures of others their own.
        Err(format!("does not say that it belongs to {:X}", above.fingerprint()))
    } else {
        is_strong(&sub.key)
    };
    let since = owner.since.max(u64::from(sub.key.created_at().as_secs()));
    let until = owner.until.into_iter().chain(expires(&sub.key, binding)).min();
    Ok(Life { since, until, signs })
}

fn is_strong(key: &impl KeyDetails) -> Result<(), String> {
    match key.public_params() {
        PublicParams::RSA(rsa) => match rsa.key.n().bits() {
            bits if bits < MIN_RSA_BITS => Err(format!("has {bits} bits of RSA: too few to trust")),
            _ => Ok(()),
        },
        PublicParams::EdDSALegacy(_) | PublicParams::Ed25519(_) | PublicParams::ECDSA(_) => Ok(()),
        _ => Err(format!("is of the kind {:?}, and not RSA, ECDSA or Ed25519", key.algorithm())),
    }
}
