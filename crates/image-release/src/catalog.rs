//! Catalogs: what clients of an ecosystem read to find an image. [`client`] reads them as those
//! clients do.
//!
//! | file | client | where it looks |
//! |---|---|---|
//! | `os_list_imagingutility_v4.json` | Raspberry Pi Imager | `--repo URL`, or a sub-list |
//! | `DistributionInfo.json` | `wsl --install` | `DistributionListUrl(Append)` in the registry |
//! | `NAME-IMAGE.transfer` | systemd-sysupdate | `/etc/sysupdate.d/`, and `SHA256SUMS` |
//! | `STREAM.json` | readers of CoreOS stream metadata | a stream's address |
//! | `simplestreams-index.json`, `…-images.json` | Incus | `streams/v1/` below a remote |

use image_model::{
    Driver, ImageKind, Manifest, OmittedCatalog, ReleaseSignature, ReleaseSpec, Severity,
};

use crate::{
    Document, Image, Release,
    needs::{self, Audience},
};

pub mod client;
mod coreos;
mod imager;
mod incus;
mod json;
mod sysupdate;
#[cfg(test)]
mod tests;
mod wsl;

/// The catalogs of a release.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogs {
    /// Their files. One that is no catalog itself, but is named by one, is a payload.
    pub documents: Vec<Document>,
    /// What was not written, and why.
    pub omitted: Vec<OmittedCatalog>,
}

/// Writes the catalogs of a release, of whose list of checksums there will be these signatures.
///
/// An image that a catalog is for, and that its client could not use, is left out with a reason.
/// Nothing is said of catalogs that no image of the release is for.
pub fn catalogs(release: &Release, signatures: &[ReleaseSignature]) -> Catalogs {
    let mut out = Catalogs::default();
    imager::write(release, &mut out);
    wsl::write(release, &mut out);
    sysupdate::write(release, signatures, &mut out);
    coreos::write(release, &mut out);
    incus::write(release, &mut out);
    out
}

/// The bytes that are hashed before those of an image for [`Image::combined`]; `None` where no catalog
/// wants that digest.
///
/// It is asked for before a [`Release`] is there, so that each image is read only once; no name of a
/// file is in it.
pub fn prefix(
    version: &str,
    spec: &ReleaseSpec,
    epoch: Option<u64>,
    manifest: &Manifest,
) -> Option<Vec<u8>> {
    incus::metadata(version, spec, epoch, manifest).ok()
}

impl Catalogs {
    /// Notes that a catalog is not written.
    fn omit(&mut self, catalog: &str, why: impl Into<String>) {
        let catalog = catalog.to_owned();
        self.omitted.push(OmittedCatalog { catalog, image: None, why: why.into() });
    }

    /// Notes that an image is not in a catalog.
    fn leave_out(&mut self, catalog: &str, image: &Image, why: impl Into<String>) {
        self.omitted.push(OmittedCatalog {
            catalog: catalog.to_owned(),
            image: Some(image.manifest.image.clone()),
            why: why.into(),
        });
    }
}

/// Why something is not written, for catalogs of whole addresses.
const NO_BASE_URL: &str = "`base-url` is not set, and its entries are whole addresses";

/// The images of one of some kinds.
fn of_kinds<'a>(release: &'a Release, kinds: &'a [ImageKind]) -> impl Iterator<Item = &'a Image> {
    release.images.iter().filter(|image| kinds.contains(&image.manifest.kind))
}

/// The processor of an image: `aarch64` of `aarch64-linux`.
fn processor(manifest: &Manifest) -> &str {
    manifest.system.split('-').next().unwrap_or_default()
}

/// What comes before and after the version in the name of a file: `nixos-`, `.img.zst`.
fn around_version<'a>(file: &'a str, version: &str) -> Option<(&'a str, &'a str)> {
    let at = file.rfind(&format!("-{version}."))? + 1;
    Some((file.get(..at)?, file.get(at + version.len()..)?))
}

/// What an audience needs of an image and does not get, where it could not use it at all.
fn unmet(image: &Image, audience: Audience) -> Result<(), String> {
    let needs = needs::of_image(image.manifest.kind, image.payload(), image.content_size);
    let errors = needs
        .into_iter()
        .find(|need| need.audience == audience && need.severity == Severity::Error);
    errors.map_or(Ok(()), |need| Err(need.text))
}

/// What people read of an image: `NixOS on a card 26.05.1`, whether the title has the version already
/// or not. What is no NixOS says so, whatever its definition calls it.
fn title(manifest: &Manifest, version: &str) -> String {
    let Manifest { title, source, .. } = manifest;
    let title = if title.contains(version) { title.clone() } else { format!("{title} {version}") };
    if source.driver == Driver::Mini { format!("{title} (a mini system)") } else { title }
}
