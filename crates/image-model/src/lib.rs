//! The words of the image factory: plain data, no input or output.
//!
//! An image definition is an [`ImageSpec`]; what a check declares is a [`Check`]; what the checks
//! saw is a [`VerificationReport`]; what was made is a [`Manifest`], and what is released a
//! [`ReleaseManifest`]. The JSON Schemas in `schemas/`
//! are generated from these types.

mod artifact;
mod check;
mod closure;
mod difference;
mod manifest;
mod release;
mod report;
mod spec;

pub use artifact::{Artifact, Compression, Digests, Sha256};
pub use check::{Check, Severity};
pub use closure::{ClosurePath, NarDigest, NarHash, PathVerdict, StorePath, StoreReport, Trust};
pub use difference::{
    ByteTotals, COMPARISON_SCHEMA, Compared, Comparison, Difference, DifferenceKind, Level,
    PackageChange, Place, Sizes, StoreChange,
};
pub use manifest::{
    Generator, MANIFEST_SCHEMA, Manifest, ReportSummary, Source, Tool as ManifestTool,
};
pub use release::{
    FileRole, OmittedCatalog, RELEASE_SCHEMA, ReleaseFile, ReleaseManifest, ReleaseSignature,
    ReleaseSpec, ReleasedImage, SignatureScheme,
};
pub use report::{
    Finding, ImageSpace, Layout, LayoutPart, Location, Outcome, REPORT_SCHEMA, Subject, Totals,
    VerificationReport, Verifier,
};
pub use spec::{
    Board, Boot, BuildSpec, CompressionSpec, Driver, Expectation, FinishSpec, ImageKind, ImageSpec,
    ReproduceSpec, Route, VerifySpec, Waiver,
};
