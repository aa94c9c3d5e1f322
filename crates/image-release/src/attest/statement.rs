//! In-toto statements. <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>

use std::collections::BTreeMap;

use image_model::Sha256;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{Image, Release};

/// The type of a statement.
pub const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// A statement of this type about the image, and about nothing else.
pub(super) fn about(image: &Image, predicate_type: &str, predicate: &Value) -> Value {
    let payload = image.payload();
    json!({
        "_type": STATEMENT,
        "subject": [{
            "name": payload.file,
            "digest": { "sha256": payload.digests.sha256 },
        }],
        "predicateType": predicate_type,
        "predicate": predicate,
    })
}

/// A `ResourceDescriptor` of a file of the release.
pub(super) fn descriptor(
    release: &Release,
    file: &str,
    sha256: Sha256,
    media_type: &str,
) -> Map<String, Value> {
    let mut descriptor = Map::new();
    descriptor.insert("name".to_owned(), file.into());
    descriptor.insert("digest".to_owned(), json!({ "sha256": sha256 }));
    if let Some(url) = release.url(file) {
        descriptor.insert("downloadLocation".to_owned(), url.as_str().into());
    }
    descriptor.insert("mediaType".to_owned(), media_type.into());
    descriptor
}

/// A statement that was read. What is unknown in it is ignored, as its specification says.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    /// What it is about.
    pub subject: Vec<Subject>,
    /// What is said.
    pub predicate_type: String,
    /// The words of that.
    #[serde(default)]
    pub predicate: Value,
}

/// What a statement is about.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Subject {
    /// Name of the file.
    #[serde(default)]
    pub name: String,
    /// Its digests: of which kind, and which.
    pub digest: BTreeMap<String, String>,
}

/// Not a statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// The envelope says that it is something else.
    #[error("the payload is {0:?}, no in-toto statement")]
    PayloadType(String),
    /// It makes no sense.
    #[error("no in-toto statement: {0}")]
    Malformed(String),
}

impl Statement {
    /// Reads the payload of an envelope.
    pub fn parse(payload: &[u8]) -> Result<Self, StatementError> {
        let malformed = |why: String| StatementError::Malformed(why);
        let statement: Self =
            serde_json::from_slice(payload).map_err(|error| malformed(error.to_string()))?;
        if statement.kind != STATEMENT {
            return Err(malformed(format!("its type is {:?}", statement.kind)));
        }
        Ok(statement)
    }

    /// Whether it is about this file and nothing else.
    pub fn is_about(&self, file: &str, sha256: Sha256) -> bool {
        matches!(&self.subject[..], [subject]
            if subject.name == file && subject.digest.get("sha256") == Some(&sha256.to_string()))
    }
}
