//! Keys of OpenSSH, and its signatures of files.
//! <https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.sshsig>

mod agent;
mod secret;

use data_encoding::BASE64;
use image_model::{FileRole, SignatureScheme};
use ssh_key::{Algorithm, EcdsaCurve, HashAlg, SshSig, public::KeyData};

use super::{PublicKeyError, Verified, VerifyError, signature_name};
use crate::Document;

pub(in crate::sign) use self::{
    agent::{Agent, SOCKET},
    secret::{generate, load},
};

/// What signatures are for: they count as nothing else. `ssh-keygen -Y sign -n file`.
pub const NAMESPACE: &str = "file";

/// Who signs, as the file `allowed_signers` of a release calls them:
/// `ssh-keygen -Y verify -f allowed_signers -I release -n file -s SHA256SUMS.sig < SHA256SUMS`.
pub const IDENTITY: &str = "release";

/// Fewest bits of a modulus of RSA. OpenSSH takes 1024, which nobody should.
const MIN_RSA_BITS: usize = 2048;

/// Longest public key that is looked at, in bytes. RSA of 16384 bits has 3 KiB.
const MAX_KEY_LINE: usize = 16 << 10;

/// Longest signature that is looked at, in bytes: twice such a key, and base64.
const MAX_SIGNATURE_FILE: usize = 32 << 10;

/// A public key.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::sign) struct Public(ssh_key::PublicKey);

/// Whether `text` begins as a public key does: with its kind, and base64 that begins with the length
/// of that.
pub(in crate::sign) fn is_public_key(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let (kind, key) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    key.starts_with("AAAA")
        && ["ssh-", "ecdsa-", "sk-"].iter().any(|prefix| kind.starts_with(prefix))
}

impl Public {
    pub(in crate::sign) fn parse(text: &str) -> Result<Self, PublicKeyError> {
        let fail = |why: String| PublicKeyError::Malformed { scheme: SignatureScheme::Ssh, why };
        let text = text.trim();
        if text.len() > MAX_KEY_LINE {
            return Err(fail("it is longer than 16 KiB".to_owned()));
        }
        if text.lines().count() > 1 {
            return Err(fail("there is more than one line of it".to_owned()));
        }
        let key = ssh_key::PublicKey::from_openssh(text).map_err(|e| fail(e.to_string()))?;
        Self::new(key).map_err(fail)
    }

    /// A key, if signatures by it can be judged.
    fn new(key: ssh_key::PublicKey) -> Result<Self, String> {
        match key.key_data() {
            KeyData::Rsa(rsa) => {
                let bits = rsa.n.as_positive_bytes().map_or(0, |bytes| bytes.len() * 8);
                if bits < MIN_RSA_BITS {
                    return Err(format!("RSA of {bits} bits is too short to trust"));
                }
            }
            KeyData::Ed25519(_) | KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_) => {}
            KeyData::Ecdsa(ecdsa) if ecdsa.curve() == EcdsaCurve::NistP256 => {}
            _ => {
                return Err(format!(
                    "keys of the kind {} are not supported: Ed25519, ECDSA with nistp256 and RSA are",
                    key.algorithm()
                ));
            }
        }
        Ok(Self(key))
    }

    pub(in crate::sign) fn id(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }

    pub(in crate::sign) fn ed25519(&self) -> Option<[u8; 32]> {
        self.0.key_data().ed25519().map(|key| key.0)
    }

    /// The key without its comment, which may say who made it where.
    pub(in crate::sign) fn line(&self) -> String {
        let bytes = self.0.to_bytes().expect("it was decoded from such bytes");
        format!("{} {}", self.0.algorithm(), BASE64.encode(&bytes))
    }

    pub(in crate::sign) fn allowed_signers(&self) -> String {
        format!("{IDENTITY} namespaces=\"{NAMESPACE}\" {}\n", self.line())
    }

    pub(in crate::sign) fn verify(
        &self,
        bytes: &[u8],
        signature: &[u8],
    ) -> Result<Verified, VerifyError> {
        let malformed = |why: String| VerifyError::Malformed { scheme: SignatureScheme::Ssh, why };
        if signature.len() > MAX_SIGNATURE_FILE {
            return Err(malformed("it is longer than 32 KiB".to_owned()));
        }
        let signature = SshSig::from_pem(signature).map_err(|e| malformed(e.to_string()))?;
        if signature.public_key() != self.0.key_data() {
            let found = signature.public_key().fingerprint(HashAlg::Sha256).to_string();
            return Err(VerifyError::OtherKey { found, expected: self.id() });
        }
        if signature.namespace() != NAMESPACE {
            let namespace = signature.namespace();
            let why = format!("made for the namespace {namespace:?}, and not for {NAMESPACE:?}");
            return Err(VerifyError::Refused(why));
        }
        // RSA with SHA-1, which RFC 8332 replaced.
        if matches!(signature.algorithm(), Algorithm::Rsa { hash: None }) {
            return Err(VerifyError::Refused("made with SHA-1".to_owned()));
        }
        let judged = self.0.verify(NAMESPACE, bytes, &signature);
        judged.map(|()| Verified::default()).map_err(|_| VerifyError::Mismatch)
    }
}

/// A signature as a file of the release.
fn document(name: &str, bytes: Vec<u8>) -> Document {
    Document {
        file: signature_name(SignatureScheme::Ssh, name),
        also: None,
        role: FileRole::Signature,
        media_type: "text/plain",
        bytes,
    }
}
