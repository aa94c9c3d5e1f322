//! Signatures of the list of checksums, and of statements.

use std::fmt;

use image_model::SignatureScheme;

use crate::Document;

/// Somebody who signs. Secrets are in memory only, and are wiped.
pub trait Signer: fmt::Debug + Send + Sync {
    /// How the signature is made.
    fn scheme(&self) -> SignatureScheme;

    /// What names the key, as people and tools write it.
    fn key_id(&self) -> String;

    /// The public key as the tools of the scheme read it: a file of the release.
    fn public_key(&self) -> Document;

    /// A detached signature of `bytes`, which are the contents of the file `name`: a file of the
    /// release. `epoch` is the time that is written into it where the scheme wants one.
    fn sign(&self, name: &str, bytes: &[u8], epoch: Option<u64>) -> Result<Document, SignError>;

    /// A raw Ed25519 signature (RFC 8032) of `message`, for DSSE envelopes; `None` where the key is
    /// another one.
    fn ed25519(&self, message: &[u8]) -> Result<Option<[u8; 64]>, SignError>;
}

/// A key cannot be used, or does not sign.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {}
