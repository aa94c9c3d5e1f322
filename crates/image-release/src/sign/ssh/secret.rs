//! Secret keys of OpenSSH.

use std::fmt;

use ed25519_dalek::Signer as _;
use rsa::signature::{SignatureEncoding as _, Signer as _};
use ssh_key::{
    Algorithm, HashAlg, LineEnding, PrivateKey, Signature, SshSig, private::KeypairData,
    public::KeyData, rand_core::OsRng, sha2::Sha512,
};
use zeroize::Zeroizing;

use super::{NAMESPACE, Public, document};
use crate::{
    Document,
    sign::{PassphraseSource, PublicKey, SignError, Signer, public::Key},
};

/// A secret key in memory.
pub(in crate::sign) struct Secret {
    kind: Kind,
    data: KeyData,
    public: PublicKey,
}

/// All of them are wiped when they are dropped.
enum Kind {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    /// Made anew from the numbers in the file, because `ssh-key` 0.6 takes one prime for both.
    Rsa(Box<rsa::pkcs1v15::SigningKey<Sha512>>),
    Other(Box<PrivateKey>),
}

/// Without the secret.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ssh::Secret").field(&self.public).finish()
    }
}

/// Reads a secret key, and decrypts it if it has to be.
pub(in crate::sign) fn load(
    key: &str,
    text: &str,
    passphrase: &mut PassphraseSource,
) -> Result<Box<dyn Signer>, SignError> {
    let fail = |why: String| SignError::Key { key: key.to_owned(), why };
    let mut secret = PrivateKey::from_openssh(text)
        .map_err(|e| fail(format!("not a secret key of OpenSSH: {e}")))?;
    if secret.is_encrypted() {
        let passphrase = passphrase
            .get(key)
            .map_err(|cause| SignError::Passphrase { key: key.to_owned(), cause })?;
        secret = secret.decrypt(passphrase.as_bytes()).map_err(|error| match error {
            ssh_key::Error::Crypto => SignError::WrongPassphrase { key: key.to_owned() },
            error => fail(format!("cannot be decrypted: {error}")),
        })?;
    }
    Ok(Box::new(Secret::new(secret).map_err(fail)?))
}

impl Secret {
    fn new(secret: PrivateKey) -> Result<Self, String> {
        let public = Public::new(secret.public_key().clone())?;
        let kind = match secret.key_data() {
            KeypairData::Ed25519(pair) => {
                let seed = Zeroizing::new(pair.private.to_bytes());
                Kind::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&seed)))
            }
            KeypairData::Rsa(pair) => {
                let number = |number| rsa::BigUint::try_from(number);
                let numbers = (|| {
                    let (p, q) = (number(&pair.private.p)?, number(&pair.private.q)?);
                    let (n, e) = (number(&pair.public.n)?, number(&pair.public.e)?);
                    Ok::<_, ssh_key::Error>((n, e, number(&pair.private.d)?, vec![p, q]))
                })();
                let (n, e, d, primes) = numbers.map_err(|e| e.to_string())?;
                let key = rsa::RsaPrivateKey::from_components(n, e, d, primes);
                let key = key.map_err(|e| format!("a damaged RSA key: {e}"))?;
                Kind::Rsa(Box::new(rsa::pkcs1v15::SigningKey::new(key)))
            }
            KeypairData::SkEd25519(_) | KeypairData::SkEcdsaSha2NistP256(_) => {
                return Err(
                    "the secret is in a security key, which the agent asks: `ssh-add` it, \
                            and name the public key"
                        .to_owned(),
                );
            }
            _ => Kind::Other(Box::new(secret)),
        };
        let data = public.0.key_data().clone();
        Ok(Self { kind, data, public: PublicKey(Key::Ssh(Box::new(public))) })
    }

    fn raw(&self, message: &[u8]) -> Result<Signature, ssh_key::Error> {
        match &self.kind {
            Kind::Ed25519(key) => {
                Signature::new(Algorithm::Ed25519, key.sign(message).to_bytes().to_vec())
            }
            Kind::Rsa(key) => {
                let signature = key.try_sign(message).map_err(|_| ssh_key::Error::Crypto)?;
                let algorithm = Algorithm::Rsa { hash: Some(HashAlg::Sha512) };
                Signature::new(algorithm, signature.to_vec())
            }
            Kind::Other(key) => key.try_sign(message).map_err(|_| ssh_key::Error::Crypto),
        }
    }
}

impl Signer for Secret {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, name: &str, bytes: &[u8], _epoch: Option<u64>) -> Result<Document, SignError> {
        let made = (|| {
            let message = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, bytes)?;
            let signature = self.raw(&message)?;
            let data = self.data.clone();
            let signature = SshSig::new(data, NAMESPACE, HashAlg::Sha512, signature)?;
            signature.to_pem(LineEnding::LF)
        })();
        let made = made.map_err(|cause| SignError::sign(&self.public, name, cause))?;
        let document = document(name, made.into_bytes());
        // A fault of the machine in the middle of a signature can give the key away.
        let judged = self.public.verify(name, bytes, &document.bytes);
        judged.map_err(|cause| SignError::sign(&self.public, name, cause))?;
        Ok(document)
    }

    fn ed25519(&self, message: &[u8]) -> Result<Option<[u8; 64]>, SignError> {
        match &self.kind {
            Kind::Ed25519(key) => Ok(Some(key.sign(message).to_bytes())),
            _ => Ok(None),
        }
    }
}

/// A new key: its secret half as a file, its public half, and that as a file.
pub(in crate::sign) fn generate(
    name: &str,
    passphrase: Option<&str>,
) -> Result<(Zeroizing<String>, Public, String), String> {
    let text = |error: ssh_key::Error| error.to_string();
    let mut secret = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).map_err(text)?;
    secret.set_comment(name);
    let public = secret.public_key().clone();
    if let Some(passphrase) = passphrase {
        secret = secret.encrypt(&mut OsRng, passphrase.as_bytes()).map_err(text)?;
    }
    let file = secret.to_openssh(LineEnding::LF).map_err(text)?;
    let line = public.to_openssh().map_err(text)? + "\n";
    Ok((file, Public::new(public)?, line))
}
