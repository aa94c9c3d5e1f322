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
    /// Length of its raw bytes, as the header of the first frame of a zstd file has it.
    pub content_size: Option<u64>,
    /// A treemap of what is in it: an SVG element, where there is one.
    pub sizes: Option<String>,
    /// Why it is here although it was not verified.
    pub unverified: Option<String>,
    /// SHA-256 of what [`crate::catalog::prefix`] says and of the image after it, where it says
    /// anything: Incus knows a virtual machine by that.
    pub combined: Option<Sha256>,
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
        self.base_url.as_ref().map(|base| below(base, file))
    }

    /// The address that a file of the newest release has, where it is known.
    pub fn latest(&self, file: &str) -> Option<Url> {
        self.latest_url.as_ref().map(|base| below(base, file))
    }
}

/// The address of `file` in the folder `base`, which ends with a slash. S3 and those who do as it does
/// take a plus for a space, so one is written as `%2B`, which everybody takes for a plus.
pub(crate) fn below(base: &Url, file: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{}", base.path(), file.replace('%', "%25").replace('+', "%2B")));
    url
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

#[cfg(test)]
mod tests {
    use crate::testing;

    #[test]
    fn a_plus_is_no_space_in_an_address() {
        let url = |file: &str| testing::release().url(file).unwrap().to_string();
        assert_eq!(url("a-1.wsl"), "https://images.example.org/nixos/26.05.1/a-1.wsl");
        assert_eq!(url("a-1+b.wsl"), "https://images.example.org/nixos/26.05.1/a-1%2Bb.wsl");
        assert_eq!(url("a~b.wsl"), "https://images.example.org/nixos/26.05.1/a~b.wsl");
        assert_eq!(url("streams/v1/x"), "https://images.example.org/nixos/26.05.1/streams/v1/x");
    }
}
