//! Dead Simple Signing Envelopes. <https://github.com/secure-systems-lab/dsse>, version 1.0.2.

use data_encoding::{BASE64, BASE64URL};
use ed25519_dalek::{Signature, VerifyingKey};
use serde::Deserialize;
use serde_json::json;

use super::{Statement, StatementError};

/// What the payload of an envelope is here: an in-toto statement. spec/v1/envelope.md of in-toto.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The longest file of envelopes that is read, in bytes. Statements about an image have some
/// kilobytes, and a line for each of a few thousand checks.
pub const MAX_BYTES: u64 = 16 << 20;
/// The most envelopes of a file.
const MAX_ENVELOPES: usize = 64;
/// The most signatures of an envelope. Each is tried with each key.
const MAX_SIGNATURES: usize = 16;

/// What is signed: `DSSEv1`, the type and the payload, each after its length.
pub(crate) fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// An envelope around `payload`, with signatures by the named keys: one line, without its end.
pub fn seal(payload: &[u8], signatures: &[(String, [u8; 64])]) -> Vec<u8> {
    let signatures: Vec<_> = signatures
        .iter()
        .map(|(key, signature)| json!({ "keyid": key, "sig": BASE64.encode(signature) }))
        .collect();
    let envelope = json!({
        "payloadType": PAYLOAD_TYPE,
        "payload": BASE64.encode(payload),
        "signatures": signatures,
    });
    envelope.to_string().into_bytes()
}

/// An envelope that was read. Nothing of it is to be believed before [`Self::is_signed_by`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// What the payload is.
    pub payload_type: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// Who says that they signed it.
    pub signatures: Vec<EnvelopeSignature>,
}

/// A signature of an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeSignature {
    /// What names the key. It is not signed: a hint.
    pub key_id: String,
    /// The signature.
    pub signature: Vec<u8>,
}

/// Not a file of envelopes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// It has too many bytes, lines or signatures.
    #[error("more {what} than the {limit} that are read")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// How many are read.
        limit: u64,
    },
    /// A line is no envelope.
    #[error("line {line} is no DSSE envelope: {why}")]
    Malformed {
        /// Which line, from 1 on.
        line: usize,
        /// Why not.
        why: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEnvelope {
    payload_type: String,
    payload: String,
    signatures: Vec<RawSignature>,
}

#[derive(Deserialize)]
struct RawSignature {
    #[serde(default)]
    keyid: Option<String>,
    sig: String,
}

/// Reads a file with an envelope a line.
pub fn read(bytes: &[u8]) -> Result<Vec<Envelope>, EnvelopeError> {
    let too_large = |what, limit: usize| EnvelopeError::TooLarge { what, limit: limit as u64 };
    if bytes.len() as u64 > MAX_BYTES {
        return Err(EnvelopeError::TooLarge { what: "bytes", limit: MAX_BYTES });
    }
    let mut envelopes = Vec::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        if envelopes.len() == MAX_ENVELOPES {
            return Err(too_large("envelopes", MAX_ENVELOPES));
        }
        let malformed = |why: String| EnvelopeError::Malformed { line: index + 1, why };
        let raw: RawEnvelope =
            serde_json::from_slice(line).map_err(|error| malformed(error.to_string()))?;
        if raw.signatures.len() > MAX_SIGNATURES {
            return Err(too_large("signatures", MAX_SIGNATURES));
        }
        let decode = |what: &str, text: &str| {
            base64(text).ok_or_else(|| malformed(format!("its {what} is not base64")))
        };
        let signatures = raw.signatures.iter().map(|raw| {
            let key_id = raw.keyid.clone().unwrap_or_default();
            Ok(EnvelopeSignature { key_id, signature: decode("signature", &raw.sig)? })
        });
        envelopes.push(Envelope {
            payload: decode("payload", &raw.payload)?,
            signatures: signatures.collect::<Result<_, _>>()?,
            payload_type: raw.payload_type,
        });
    }
    Ok(envelopes)
}

/// RFC 4648, §4 or §5: a reader takes both.
fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    BASE64.decode(text).or_else(|_| BASE64URL.decode(text)).ok()
}

impl Envelope {
    /// Whether one of the signatures is by this Ed25519 key (RFC 8032), whatever key it names.
    pub fn is_signed_by(&self, key: &[u8; 32]) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(key) else { return false };
        let message = pae(&self.payload_type, &self.payload);
        self.signatures.iter().any(|signature| {
            let signature = Signature::from_slice(&signature.signature);
            signature.is_ok_and(|signature| key.verify_strict(&message, &signature).is_ok())
        })
    }

    /// The statement in it.
    pub fn statement(&self) -> Result<Statement, StatementError> {
        if self.payload_type != PAYLOAD_TYPE {
            return Err(StatementError::PayloadType(self.payload_type.clone()));
        }
        Statement::parse(&self.payload)
    }
}
