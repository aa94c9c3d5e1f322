//! Signatures of the list of checksums, and of statements.
//!
//! A [`Signer`] has a secret key and makes detached signatures with it; a [`PublicKey`] judges them.
//! Each scheme is one that people have the tool for: minisign, OpenSSH, OpenPGP.
//!
//! A signature is a function of the key, of what is signed, of its name and of
//! `SOURCE_DATE_EPOCH`: Ed25519 (RFC 8032), RSA with PKCS #1 v1.5 and ECDSA as RFC 6979 has it take
//! no random numbers. Only agents and security keys may do otherwise.

mod generate;
mod minisign;
mod openpgp;
mod passphrase;
mod public;
mod secret;
mod ssh;
#[cfg(test)]
mod tests;

use std::{fmt, path::PathBuf};

use image_model::SignatureScheme;

use crate::Document;

pub use generate::{GenerateError, Generated, generate};
pub use passphrase::{PASSPHRASE_VARIABLE, PassphraseError, PassphraseSource};
pub use public::{PublicKey, PublicKeyError, Verified, VerifyError};
pub use secret::{KEY_VARIABLE, from_environment, key_variables, load};
pub use ssh::{IDENTITY as SSH_IDENTITY, NAMESPACE as SSH_NAMESPACE};

/// Somebody who signs. Secrets are in memory only, and are wiped.
pub trait Signer: fmt::Debug + Send + Sync {
    /// The public half of the key.
    fn public_key(&self) -> &PublicKey;

    /// A detached signature of `bytes`, which are the contents of the file `name`: a file of the
    /// release. `epoch`, in seconds since 1970, is the time that is written into it where the scheme
    /// wants one.
    fn sign(&self, name: &str, bytes: &[u8], epoch: Option<u64>) -> Result<Document, SignError>;

    /// A raw Ed25519 signature (RFC 8032) of `message`, for DSSE envelopes; `None` where the key is
    /// another one, or is not at hand. What verifies it is [`PublicKey::ed25519`].
    fn ed25519(&self, message: &[u8]) -> Result<Option<[u8; 64]>, SignError>;

    /// How the signature is made.
    fn scheme(&self) -> SignatureScheme {
        self.public_key().scheme()
    }

    /// What names the key, as people and tools write it.
    fn key_id(&self) -> String {
        self.public_key().key_id()
    }
}

/// A key cannot be used, or does not sign.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The file is not to be read.
    #[error("cannot read the key {key}")]
    Read {
        /// The file.
        key: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A secret that is none any more.
    #[error("{} can be read by others (mode {mode:03o}): chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Not a key, or one that does not sign.
    #[error("{key}: {why}")]
    Key {
        /// The file or variable.
        key: String,
        /// What is wrong with it, and what helps.
        why: String,
    },
    /// The passphrase is another one.
    #[error("{key}: the passphrase is wrong")]
    WrongPassphrase {
        /// The file or variable.
        key: String,
    },
    /// There is no passphrase.
    #[error("{key} is encrypted")]
    Passphrase {
        /// The file or variable.
        key: String,
        /// Why there is none.
        #[source]
        cause: PassphraseError,
    },
    /// A release has one signature file of each scheme.
    #[error(
        "{first} and {second} are both keys of {scheme}, and a release has one signature of that kind"
    )]
    Twice {
        /// The scheme.
        scheme: SignatureScheme,
        /// The first key.
        first: String,
        /// The other one.
        second: String,
    },
    /// The key was there, and did not sign.
    #[error("cannot sign {name} with the {scheme} key {key_id}")]
    Sign {
        /// What was to be signed.
        name: String,
        /// The scheme.
        scheme: SignatureScheme,
        /// The key.
        key_id: String,
        /// Why.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl SignError {
    /// Whether the command line is to be changed, and not the machine.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Read { cause, .. } => cause.kind() == std::io::ErrorKind::NotFound,
            Self::Sign { .. } => false,
            _ => true,
        }
    }

    fn sign(
        key: &PublicKey,
        name: &str,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Sign {
            name: name.to_owned(),
            scheme: key.scheme(),
            key_id: key.key_id(),
            cause: cause.into(),
        }
    }
}

/// The name of the signature of the file `name`: `SHA256SUMS.minisig`.
pub fn signature_name(scheme: SignatureScheme, name: &str) -> String {
    let suffix = match scheme {
        SignatureScheme::Minisign => "minisig",
        SignatureScheme::Ssh => "sig",
        SignatureScheme::Openpgp => "gpg",
    };
    format!("{name}.{suffix}")
}

/// The name of the public key in a release: the first of [`PublicKey::documents`].
pub fn public_key_name(scheme: SignatureScheme) -> &'static str {
    match scheme {
        SignatureScheme::Minisign => "minisign.pub",
        SignatureScheme::Ssh => "ssh.pub",
        SignatureScheme::Openpgp => "openpgp.asc",
    }
}
