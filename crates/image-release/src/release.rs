//! What is known of a release before anything is said of it: attestations, catalogs and the page are
//! functions of this.

use image_model::{
    Artifact, FileRole, Manifest, ReleaseSpec, ReportSummary, Sha256, VerificationReport,
};
use url::Url;

/// A release.
#[derive(Clone, Debug)]
pub struct Release {
    /// Its version.
    pub version: String,
    /// What releases of the project have in common. `{version}` is filled in.
    pub spec: ReleaseSpec,
    /// Where its files will be: ends with a slash.
    pub base_url: Option<Url>,
    /// Where the files of the newest release are: ends with a slash.
    pub latest_url: Option<Url>,
    /// `SOURCE_DATE_EPOCH`: seconds since 1970, where somebody set it.
    pub epoch: Option<u64>,
    /// The images, in the order in which they were named.
    pub images: Vec<Image>,
}

/// An image of a release. All names of files are those that they have in the release.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its manifest, with these names.
    pub manifest: Manifest,
    /// What the verification said.
    pub report: VerificationReport,
    /// Name and digest of that report.
    pub verification: ReportSummary,
    /// A treemap of what is in it: an SVG element, where there is one.
    pub sizes: Option<String>,
    /// Why it is here although it was not verified.
    pub unverified: Option<String>,
    /// Documents about it: bills of materials, manifest, report.
    pub documents: Vec<Document>,
}

/// A file of a release that is small enough to be kept in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its name, without a folder.
    pub file: String,
    /// Where a client looks for it, below the folder of the release, in addition to its name.
    pub also: Option<String>,
    /// What it is for.
    pub role: FileRole,
    /// Its media type.
    pub media_type: &'static str,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl Document {
    /// Its digest.
    pub fn sha256(&self) -> Sha256 {
        use sha2::Digest as _;
        Sha256(sha2::Sha256::digest(&self.bytes).into())
    }
}

impl Release {
    /// The address of a file, where it is known.
    pub fn url(&self, file: &str) -> Option<Url> {
        self.base_url.as_ref()?.join(file).ok()
    }
}

impl Image {
    /// The image itself: the first of its files.
    pub fn payload(&self) -> &Artifact {
        self.manifest.artifacts.first().expect("a manifest names the image first")
    }

    /// The name of a file that belongs to the image: `nixos-26.05.wsl.cdx.json`.
    pub fn beside(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.payload().file)
    }
}
