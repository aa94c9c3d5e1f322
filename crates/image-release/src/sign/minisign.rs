//! Keys and signatures of minisign. <https://jedisct1.github.io/minisign/>
//!
//! A key box and a signature are a comment and a line of base64 each; numbers are little-endian.
//! Written here, because the crate of that name mixes random numbers into its signatures, and keeps
//! secrets in memory that nobody wipes.

use std::fmt;

use blake2::{Blake2b512, Digest as _, digest::consts::U32};
use data_encoding::BASE64;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use image_model::{FileRole, SignatureScheme};
use ssh_key::rand_core::{OsRng, RngCore as _};
use zeroize::Zeroizing;

use super::{
    PassphraseSource, PublicKey, PublicKeyError, SignError, Signer, Verified, VerifyError,
    public::Key, signature_name,
};
use crate::Document;

/// Before the first line of each file.
const COMMENT: &str = "untrusted comment: ";
/// Before the third line of a signature. What follows is signed.
const TRUSTED: &str = "trusted comment: ";
/// `sig_alg` of keys, and of signatures of the message itself, which are not made any more.
const ED25519: [u8; 2] = *b"Ed";
/// `sig_alg` of signatures of the BLAKE2b-512 of the message.
const PREHASHED: [u8; 2] = *b"ED";
/// `kdf_alg` of a key that is encrypted: scrypt.
const SCRYPT: [u8; 2] = *b"Sc";
/// `kdf_alg` of a key that is not.
const PLAIN: [u8; 2] = [0, 0];
/// `cksum_alg`: BLAKE2b-256.
const BLAKE2B: [u8; 2] = *b"B2";
/// Length of a secret key, in bytes: three algorithms, salt, two limits, number, key, checksum.
const SECRET_LEN: usize = 6 + 32 + 8 + 8 + 8 + 64 + 32;
/// Length of what is encrypted in it: number, key, checksum.
const SEALED_LEN: usize = 8 + 64 + 32;
/// Length of a public key, in bytes: algorithm, number, key.
const PUBLIC_LEN: usize = 2 + 8 + 32;
/// Length of a signature, in bytes: algorithm, number of the key, signature.
const SIGNATURE_LEN: usize = 2 + 8 + 64;
/// Most memory that a key may want from whoever decrypts it, in bytes: what minisign itself wants.
const MAX_MEMORY: u64 = 1 << 30;
/// Most operations that a key may want: what minisign itself wants.
const MAX_OPERATIONS: u64 = 1 << 25;
/// Longest signature file that is looked at, in bytes. minisign takes comments of 8 KiB.
const MAX_SIGNATURE_FILE: usize = 64 << 10;

type Blake2b256 = blake2::Blake2b<U32>;

/// A public key.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::sign) struct Public {
    number: [u8; 8],
    key: VerifyingKey,
}

/// A secret key, and its public half.
pub(in crate::sign) struct Secret {
    /// Wiped when it is dropped.
    key: SigningKey,
    number: [u8; 8],
    public: PublicKey,
}

/// Without the secret.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("minisign::Secret").field(&self.public).finish()
    }
}

/// A line of base64 that decodes to so many bytes, the first two of which are `Ed`.
fn decoded(line: &str, len: usize) -> Option<Zeroizing<Vec<u8>>> {
    let line = line.trim();
    if line.len() != len.div_ceil(3) * 4 {
        return None;
    }
    let bytes = Zeroizing::new(BASE64.decode(line.as_bytes()).ok()?);
    (bytes.len() == len && bytes.starts_with(&ED25519)).then_some(bytes)
}

/// The line with the key: the second one, or the only one.
fn key_line(text: &str) -> &str {
    let mut lines = text.trim().lines();
    match lines.next() {
        Some(line) if line.starts_with("untrusted comment:") => lines.next().unwrap_or_default(),
        Some(line) => line,
        None => "",
    }
}

pub(in crate::sign) fn is_secret_key(text: &str) -> bool {
    decoded(key_line(text), SECRET_LEN).is_some()
}

pub(in crate::sign) fn is_public_key(text: &str) -> bool {
    text.trim_start().starts_with("untrusted comment:")
        || decoded(key_line(text), PUBLIC_LEN).is_some()
}

/// The key's number, as minisign prints it.
fn id(number: [u8; 8]) -> String {
    format!("{:016X}", u64::from_le_bytes(number))
}

impl Public {
    pub(in crate::sign) fn parse(text: &str) -> Result<Self, PublicKeyError> {
        let fail = |why: &str| PublicKeyError::Malformed {
            scheme: SignatureScheme::Minisign,
            why: why.to_owned(),
        };
        let bytes = decoded(key_line(text), PUBLIC_LEN).ok_or_else(|| {
            fail("its second line is not the base64 of 42 bytes that begin with Ed")
        })?;
        let key = VerifyingKey::from_bytes(&array(&bytes[10..]))
            .map_err(|_| fail("it is not a point of the curve"))?;
        if key.is_weak() {
            return Err(fail("it is one of the weak points of the curve"));
        }
        Ok(Self { number: array(&bytes[2..10]), key })
    }

    pub(in crate::sign) fn id(&self) -> String {
        id(self.number)
    }

    pub(in crate::sign) fn ed25519(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    pub(in crate::sign) fn base64(&self) -> String {
        BASE64.encode(&[&ED25519[..], &self.number, self.key.as_bytes()].concat())
    }

    pub(in crate::sign) fn file(&self) -> String {
        format!("{COMMENT}minisign public key {}\n{}\n", self.id(), self.base64())
    }

    pub(in crate::sign) fn verify(
        &self,
        name: &str,
        bytes: &[u8],
        signature: &[u8],
    ) -> Result<Verified, VerifyError> {
        let malformed = |why: &str| VerifyError::Malformed {
            scheme: SignatureScheme::Minisign,
            why: why.to_owned(),
        };
        let text = signature.get(..MAX_SIGNATURE_FILE.min(signature.len()));
        let text = text.filter(|text| text.len() == signature.len());
        let text = text.ok_or_else(|| malformed("it is longer than 64 KiB"))?;
        let text = std::str::from_utf8(text).map_err(|_| malformed("it is not UTF-8"))?;
        let mut lines = text.lines();
        let mut next = || lines.next().unwrap_or_default();
        if !next().starts_with(COMMENT) {
            return Err(malformed("its first line is not an untrusted comment"));
        }
        let base64 = |line: &str| BASE64.decode(line.trim().as_bytes()).ok();
        let signature = base64(next()).filter(|bytes| bytes.len() == SIGNATURE_LEN);
        let signature =
            signature.ok_or_else(|| malformed("its second line is not the base64 of 74 bytes"))?;
        let comment = next().strip_prefix(TRUSTED);
        let comment = comment.ok_or_else(|| malformed("its third line is no trusted comment"))?;
        let global = base64(next()).filter(|bytes| bytes.len() == 64);
        let global =
            global.ok_or_else(|| malformed("its fourth line is not the base64 of 64 bytes"))?;
        // Nobody signed what comes after it.
        if lines.any(|line| !line.trim().is_empty()) {
            return Err(malformed("it has more than four lines"));
        }

        match array(&signature[..2]) {
            PREHASHED => {}
            ED25519 => {
                let why = "it is of the old format, which is not prehashed and which minisign does \
                           not make any more";
                return Err(VerifyError::Refused(why.to_owned()));
            }
            _ => return Err(malformed("its algorithm is not ED")),
        }
        let number = array(&signature[2..10]);
        if number != self.number {
            return Err(VerifyError::OtherKey { found: id(number), expected: self.id() });
        }
        let raw: [u8; 64] = array(&signature[10..]);
        let holds = |message: &[u8], signature: [u8; 64]| {
            let signature = ed25519_dalek::Signature::from_bytes(&signature);
            self.key.verify_strict(message, &signature).is_ok()
        };
        let signed_comment = [&raw[..], comment.as_bytes()].concat();
        if !holds(&Blake2b512::digest(bytes), raw) || !holds(&signed_comment, array(&global)) {
            return Err(VerifyError::Mismatch);
        }
        // The usual comment says which file this is. A person may have written another one.
        let field = |key: &str| comment.split('\t').find_map(|field| field.strip_prefix(key));
        if let Some(found) = field("file:").filter(|found| *found != name) {
            let (found, expected) = (found.to_owned(), name.to_owned());
            return Err(VerifyError::OtherName { found, expected });
        }
        let time = field("timestamp:").and_then(|seconds| seconds.parse().ok());
        Ok(Verified { time, comment: Some(comment.to_owned()) })
    }
}

impl Secret {
    pub(in crate::sign) fn load(
        key: &str,
        text: &str,
        passphrase: &mut PassphraseSource,
    ) -> Result<Self, SignError> {
        let fail = |why: &str| SignError::Key { key: key.to_owned(), why: why.to_owned() };
        let bytes = decoded(key_line(text), SECRET_LEN)
            .ok_or_else(|| fail("not a secret key of minisign"))?;
        let (head, sealed) = bytes.split_at(SECRET_LEN - SEALED_LEN);
        let mut opened: Zeroizing<[u8; SEALED_LEN]> = Zeroizing::new(array(sealed));
        let kdf: [u8; 2] = array(&head[2..4]);
        if array(&head[4..6]) != BLAKE2B {
            return Err(fail("its checksum is not BLAKE2b"));
        }
        match kdf {
            PLAIN => {}
            SCRYPT => {
                let salt = array(&head[6..38]);
                let operations = u64::from_le_bytes(array(&head[38..46]));
                let memory = u64::from_le_bytes(array(&head[46..54]));
                let params = params(operations, memory)
                    .ok_or_else(|| fail("it wants more than 1 GiB of memory to be decrypted"))?;
                let passphrase = passphrase
                    .get(key)
                    .map_err(|cause| SignError::Passphrase { key: key.to_owned(), cause })?;
                mask(&mut opened, &passphrase, salt, params);
            }
            _ => return Err(fail("it is encrypted in a way that minisign does not know")),
        }
        let number: [u8; 8] = array(&opened[..8]);
        let seed: Zeroizing<[u8; 32]> = Zeroizing::new(array(&opened[8..40]));
        // minisign leaves the checksum of a key that is not encrypted at zero.
        let has_none = kdf == PLAIN && opened[72..].iter().all(|byte| *byte == 0);
        if !has_none && checksum(&opened[..72])[..] != opened[72..] {
            return Err(match kdf {
                PLAIN => fail("its checksum is wrong: the key is damaged"),
                _ => SignError::WrongPassphrase { key: key.to_owned() },
            });
        }
        let secret = Self::new(number, &seed);
        if secret.key.verifying_key().as_bytes()[..] != opened[40..72] {
            return Err(fail("its public half is that of another key"));
        }
        Ok(secret)
    }

    pub(in crate::sign) fn new(number: [u8; 8], seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        let public = PublicKey(Key::Minisign(Public { number, key: key.verifying_key() }));
        Self { key, number, public }
    }

    /// The public half.
    pub(in crate::sign) fn public(&self) -> Public {
        Public { number: self.number, key: self.key.verifying_key() }
    }

    /// A new key.
    pub(in crate::sign) fn random() -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        let mut number = [0; 8];
        OsRng.fill_bytes(&mut *seed);
        OsRng.fill_bytes(&mut number);
        Self::new(number, &seed)
    }

    /// The key as a file, encrypted if there is a passphrase.
    pub(in crate::sign) fn file(
        &self,
        comment: &str,
        passphrase: Option<&str>,
    ) -> Zeroizing<String> {
        // What OWASP calls the least of scrypt: 128 MiB. minisign's own 1 GiB is more than some
        // machines of CI have.
        const OPERATIONS: u64 = 4 << 20;
        const MEMORY: u64 = 128 << 20;

        let mut sealed = Zeroizing::new([0; SEALED_LEN]);
        sealed[..8].copy_from_slice(&self.number);
        sealed[8..40].copy_from_slice(self.key.as_bytes());
        sealed[40..72].copy_from_slice(self.key.verifying_key().as_bytes());
        let sum = checksum(&sealed[..72]);
        sealed[72..].copy_from_slice(&sum);
        let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_LEN));
        bytes.extend_from_slice(&ED25519);
        match passphrase {
            None => {
                bytes.extend_from_slice(&PLAIN);
                bytes.extend_from_slice(&BLAKE2B);
                bytes.extend_from_slice(&[0; 48]);
            }
            Some(passphrase) => {
                let mut salt = [0; 32];
                OsRng.fill_bytes(&mut salt);
                let params = params(OPERATIONS, MEMORY).expect("they are within the limits");
                mask(&mut sealed, passphrase, salt, params);
                bytes.extend_from_slice(&SCRYPT);
                bytes.extend_from_slice(&BLAKE2B);
                bytes.extend_from_slice(&salt);
                bytes.extend_from_slice(&OPERATIONS.to_le_bytes());
                bytes.extend_from_slice(&MEMORY.to_le_bytes());
            }
        }
        bytes.extend_from_slice(&*sealed);
        let line = Zeroizing::new(BASE64.encode(&bytes));
        // As large as it gets, so that no copy stays behind.
        let mut file = Zeroizing::new(String::with_capacity(line.len() + comment.len() + 64));
        file.push_str(&format!("{COMMENT}{comment}: minisign secret key\n"));
        file.push_str(&line);
        file.push('\n');
        file
    }
}

impl Signer for Secret {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, name: &str, bytes: &[u8], epoch: Option<u64>) -> Result<Document, SignError> {
        let raw = self.key.sign(&Blake2b512::digest(bytes)).to_bytes();
        // Without an epoch there is no time. minisign shows the comment, and reads none of it.
        let time = epoch.map(|seconds| format!("timestamp:{seconds}\t")).unwrap_or_default();
        let comment = format!("{time}file:{name}\thashed");
        let global = self.key.sign(&[&raw[..], comment.as_bytes()].concat()).to_bytes();
        let line = BASE64.encode(&[&PREHASHED[..], &self.number, &raw].concat());
        let text = format!(
            "{COMMENT}signature by the minisign key {}\n{line}\n{TRUSTED}{comment}\n{}\n",
            self.key_id(),
            BASE64.encode(&global)
        );
        let document = Document {
            file: signature_name(SignatureScheme::Minisign, name),
            also: None,
            role: FileRole::Signature,
            media_type: "text/plain",
            bytes: text.into_bytes(),
        };
        // A fault of the machine in the middle of a signature can give the key away.
        let judged = self.public.verify(name, bytes, &document.bytes);
        judged.map_err(|cause| SignError::sign(&self.public, name, cause))?;
        Ok(document)
    }

    fn ed25519(&self, message: &[u8]) -> Result<Option<[u8; 64]>, SignError> {
        Ok(Some(self.key.sign(message).to_bytes()))
    }
}

/// `pickparams` of libsodium's scrypt: what the two limits of a key box mean. `None` where they are
/// beyond ours.
fn params(operations: u64, memory: u64) -> Option<scrypt::Params> {
    const R: u64 = 8;
    if operations > MAX_OPERATIONS || memory > MAX_MEMORY {
        return None;
    }
    let operations = operations.max(32768);
    let by_operations = operations < memory / 32;
    let most = if by_operations { operations / (R * 4) } else { memory / (R * 128) };
    let log2 = (1..63).find(|log2| 1u64 << log2 > most / 2)?;
    let parallel = if by_operations { 1 } else { ((operations / 4) >> log2).min(0x3fff_ffff) / R };
    let log2 = u8::try_from(log2).ok()?;
    scrypt::Params::new(log2, 8, u32::try_from(parallel).ok()?, 32).ok()
}

/// Encrypts or decrypts: exclusive or with what scrypt makes of the passphrase.
fn mask(sealed: &mut [u8; SEALED_LEN], passphrase: &str, salt: [u8; 32], params: scrypt::Params) {
    let mut stream = Zeroizing::new([0; SEALED_LEN]);
    scrypt::scrypt(passphrase.as_bytes(), &salt, &params, &mut *stream)
        .expect("scrypt makes any number of bytes");
    for (byte, mask) in sealed.iter_mut().zip(stream.iter()) {
        *byte ^= mask;
    }
}

/// Of `sig_alg`, number and key.
fn checksum(number_and_key: &[u8]) -> [u8; 32] {
    Blake2b256::new().chain_update(ED25519).chain_update(number_and_key).finalize().into()
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the caller cut it to this length")
}
