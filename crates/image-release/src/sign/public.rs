//! Public keys, and the judgement of signatures.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use image_model::{FileRole, SignatureScheme};

use super::{minisign, openpgp, public_key_name, ssh};
use crate::Document;

/// Largest public key that is read, in bytes: OpenPGP ones have pictures in them.
const MAX_BYTES: u64 = 1 << 20;

/// The public half of a key: of minisign, OpenSSH or OpenPGP.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(pub(super) Key);

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Key {
    Minisign(minisign::Public),
    Ssh(Box<ssh::Public>),
    Openpgp(Box<openpgp::Public>),
}

/// Not a public key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublicKeyError {
    /// The file is not to be read.
    #[error("cannot read the public key {key}")]
    Read {
        /// The file.
        key: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It is of none of the three kinds.
    #[error(
        "not a public key of minisign (56 characters of base64), of OpenSSH (`ssh-ed25519 AAAA…`) \
         or of OpenPGP"
    )]
    Unknown,
    /// Somebody gave away the wrong half.
    #[error("this is a secret key: the public one is asked for")]
    Secret,
    /// It looks like one, and is not.
    #[error("not a public key of {scheme}: {why}")]
    Malformed {
        /// What it looks like.
        scheme: SignatureScheme,
        /// What is wrong with it.
        why: String,
    },
}

/// What a good signature says. All of it is signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// When it says that it was made: seconds since 1970.
    pub time: Option<u64>,
    /// The trusted comment of minisign.
    pub comment: Option<String>,
}

/// A signature is not good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// It is none.
    #[error("not a signature of {scheme}: {why}")]
    Malformed {
        /// What it should be.
        scheme: SignatureScheme,
        /// What is wrong with it.
        why: String,
    },
    /// It may be good, but is not by this key.
    #[error("signed by the key {found}, not by {expected}")]
    OtherKey {
        /// The key that it names.
        found: String,
        /// The key that was asked for.
        expected: String,
    },
    /// It is of a file with another name.
    #[error("a signature of the file {found:?}, not of {expected:?}")]
    OtherName {
        /// The name that was signed.
        found: String,
        /// The name that was asked for.
        expected: String,
    },
    /// The bytes are not those that were signed, or somebody else signed them.
    #[error("the signature does not match")]
    Mismatch,
    /// It matches, and does not count.
    #[error("{0}")]
    Refused(String),
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.scheme(), self.key_id())
    }
}

impl PublicKey {
    /// Reads a key: the contents of a file, or text that somebody typed.
    pub fn parse(bytes: &[u8]) -> Result<Self, PublicKeyError> {
        let text = std::str::from_utf8(bytes).ok().map(str::trim);
        let has = |label: &str| text.is_some_and(|text| text.contains(label));
        if has("PRIVATE KEY") || text.is_some_and(minisign::is_secret_key) {
            return Err(PublicKeyError::Secret);
        }
        if openpgp::is_openpgp(bytes) {
            return Ok(Self(Key::Openpgp(Box::new(openpgp::Public::parse(bytes)?))));
        }
        let text = text.ok_or(PublicKeyError::Unknown)?;
        if ssh::is_public_key(text) {
            return Ok(Self(Key::Ssh(Box::new(ssh::Public::parse(text)?))));
        }
        if minisign::is_public_key(text) {
            return Ok(Self(Key::Minisign(minisign::Public::parse(text)?)));
        }
        Err(PublicKeyError::Unknown)
    }

    /// Reads the key in the file `path`.
    pub fn read(path: &Path) -> Result<Self, PublicKeyError> {
        let fail = |cause| PublicKeyError::Read { key: path.display().to_string(), cause };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(fail)?;
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(fail)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(PublicKeyError::Unknown);
        }
        Self::parse(&bytes)
    }

    /// The key that an argument of a command line means: the key itself, or the file that has it.
    pub fn from_argument(argument: &str) -> Result<Self, PublicKeyError> {
        let path = Path::new(argument);
        match Self::parse(argument.as_bytes()) {
            Err(error) if matches!(error, PublicKeyError::Unknown) || path.exists() => {
                Self::read(path)
            }
            parsed => parsed,
        }
    }

    /// How signatures are made with it.
    pub fn scheme(&self) -> SignatureScheme {
        match &self.0 {
            Key::Minisign(_) => SignatureScheme::Minisign,
            Key::Ssh(_) => SignatureScheme::Ssh,
            Key::Openpgp(_) => SignatureScheme::Openpgp,
        }
    }

    /// What names the key: of minisign 16 hexadecimal digits, of OpenSSH `SHA256:…`, of OpenPGP the
    /// fingerprint in capital letters.
    pub fn key_id(&self) -> String {
        match &self.0 {
            Key::Minisign(key) => key.id(),
            Key::Ssh(key) => key.id(),
            Key::Openpgp(key) => key.id(),
        }
    }

    /// The raw Ed25519 key (RFC 8032), where it is one of minisign or OpenSSH. Keys of OpenPGP sign
    /// what OpenPGP says, and nothing else.
    pub fn ed25519(&self) -> Option<[u8; 32]> {
        match &self.0 {
            Key::Minisign(key) => Some(key.ed25519()),
            Key::Ssh(key) => key.ed25519(),
            Key::Openpgp(_) => None,
        }
    }

    /// The key as one line, where the scheme has such a form: what a user can paste.
    pub fn line(&self) -> Option<String> {
        match &self.0 {
            Key::Minisign(key) => Some(key.base64()),
            Key::Ssh(key) => Some(key.line()),
            Key::Openpgp(_) => None,
        }
    }

    /// The key as the tools of the scheme read it: files of a release. The first one is called
    /// [`public_key_name`]; OpenSSH wants a list of allowed signers besides.
    pub fn documents(&self) -> Vec<Document> {
        let document = |file: &str, media_type, bytes| Document {
            file: file.to_owned(),
            also: None,
            role: FileRole::PublicKey,
            media_type,
            bytes,
        };
        let name = public_key_name(self.scheme());
        match &self.0 {
            Key::Minisign(key) => vec![document(name, "text/plain", key.file().into_bytes())],
            Key::Ssh(key) => vec![
                document(name, "text/plain", (key.line() + "\n").into_bytes()),
                document("allowed_signers", "text/plain", key.allowed_signers().into_bytes()),
            ],
            Key::Openpgp(key) => vec![document(name, "application/pgp-keys", key.armored())],
        }
    }

    /// Judges `signature`, a file as [`Signer::sign`](super::Signer::sign) makes it: is it one of
    /// `bytes`, the contents of the file `name`, by this key?
    pub fn verify(
        &self,
        name: &str,
        bytes: &[u8],
        signature: &[u8],
    ) -> Result<Verified, VerifyError> {
        match &self.0 {
            Key::Minisign(key) => key.verify(name, bytes, signature),
            Key::Ssh(key) => key.verify(bytes, signature),
            Key::Openpgp(key) => key.verify(bytes, signature),
        }
    }
}
