//! What is attested of each image: how it was built (SLSA provenance), and what the verification said
//! (in-toto test-result), in DSSE envelopes.

use crate::{
    Document, Image, Release,
    sign::{SignError, Signer},
};

/// The attestations of an image, one envelope a line: `<file>.intoto.jsonl`.
pub fn attestations(
    _release: &Release,
    _image: &Image,
    _signers: &[Box<dyn Signer>],
) -> Result<Document, SignError> {
    unreachable!("written by its owner")
}
