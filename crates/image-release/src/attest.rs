//! What is attested of each image: how it was built (SLSA provenance), and what the verification said
//! (in-toto test-result), in DSSE envelopes.
//!
//! A statement is a function of the release, and its subject is the released file and nothing else.
//! It has no time and no number of a run: nobody knows when Nix built what it took out of a cache, and
//! the same release gives the same statements.

pub(crate) mod dsse;
mod provenance;
mod statement;
mod test_result;
#[cfg(test)]
mod tests;

pub use dsse::{Envelope, EnvelopeError, EnvelopeSignature, MAX_BYTES, PAYLOAD_TYPE, read, seal};
pub use provenance::{BUILD_TYPE_FOUND, BUILD_TYPE_MINI, BUILD_TYPE_NIX, BUILDER, PROVENANCE};
pub use statement::{STATEMENT, Statement, StatementError, Subject};
pub use test_result::{TEST_RESULT, TestResult};

use image_model::FileRole;
use serde_json::Value;

use crate::{
    Document, Image, Release,
    sign::{SignError, Signer},
};

/// What is at the end of the name of a file with attestations.
pub const SUFFIX: &str = "intoto.jsonl";
/// Its media type: a DSSE envelope a line. spec/v1/bundle.md of in-toto.
pub const MEDIA_TYPE: &str = "application/vnd.in-toto+jsonl";

/// The attestations of an image, one envelope a line: `<file>.intoto.jsonl`. Each is signed by those
/// of `signers` who have an Ed25519 key.
pub fn attestations(
    release: &Release,
    image: &Image,
    signers: &[Box<dyn Signer>],
) -> Result<Document, SignError> {
    let mut bytes = Vec::new();
    for statement in statements(release, image) {
        let payload = statement.to_string().into_bytes();
        let message = dsse::pae(PAYLOAD_TYPE, &payload);
        let mut signatures = Vec::new();
        for signer in signers {
            if let Some(signature) = signer.ed25519(&message)? {
                signatures.push((signer.key_id(), signature));
            }
        }
        bytes.extend(seal(&payload, &signatures));
        bytes.push(b'\n');
    }
    Ok(Document {
        file: image.beside(SUFFIX),
        also: None,
        role: FileRole::Attestation,
        media_type: MEDIA_TYPE,
        bytes,
    })
}

/// What is stated of an image.
fn statements(release: &Release, image: &Image) -> Vec<Value> {
    let mut statements = vec![provenance::statement(release, image)];
    // A report of other bytes says nothing of these.
    statements.extend(test_result::statement(release, image));
    statements
}
