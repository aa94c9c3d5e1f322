//! Bills of material: what software an image consists of, in the words of CycloneDX and SPDX, from
//! what Nix registered inside of it.
//!
//! Pure functions: the same image gives the same bytes. The number of a document follows from the
//! digest of the image, and its time is `SOURCE_DATE_EPOCH`. Where nobody set one, CycloneDX has no
//! time, and SPDX, which insists on one, has 1970.

mod component;
mod cyclonedx;
mod spdx;
#[cfg(test)]
mod tests;

use std::fmt;

use image_formats::nix::store_path::BaseName;
use image_model::{Digests, Sha256, StoreReport};
use serde::{Serialize, Serializer};
use serde_json::Value;
use sha1::Digest as _;

use component::Name;

pub(crate) use component::parse_drv_name;
pub use cyclonedx::cyclonedx;
pub use spdx::spdx;

/// What is at the end of the name of a CycloneDX document, as its specification proposes.
pub const CYCLONEDX: &str = "cdx.json";
/// What is at the end of the name of an SPDX document, as its specification proposes.
pub const SPDX: &str = "spdx.json";

/// An image whose parts are listed.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// What it is called: the name of its file.
    pub name: &'a str,
    /// One line for people, where somebody wrote one.
    pub title: Option<&'a str>,
    /// Its version; that of the NixOS in it by default.
    pub version: Option<&'a str>,
    /// The file as it is shipped.
    pub digests: Digests,
    /// The Nix stores in it.
    pub stores: &'a [StoreReport],
    /// `SOURCE_DATE_EPOCH`, where it is set.
    pub epoch: Option<u64>,
}

impl<'a> Image<'a> {
    /// An image and what was found in it; `None` where that has no Nix store, or was not read to
    /// its end.
    pub fn of(
        name: &'a str,
        title: Option<&'a str>,
        report: &'a image_model::VerificationReport,
        epoch: Option<u64>,
    ) -> Option<Self> {
        let digests = report.subject.digests()?;
        let stores = report.stores.as_slice();
        let image = Self { name, title, version: None, digests, stores, epoch };
        stores.iter().any(|store| !store.paths.is_empty()).then_some(image)
    }

    /// Its version, as far as one is known.
    fn version(&self) -> Option<&'a str> {
        self.version.or_else(|| {
            let systems = self.stores.iter().flat_map(|store| &store.paths).filter_map(|path| {
                let name = BaseName::of_path(path.path.as_bytes())?.name();
                name.starts_with(b"nixos-system-").then(|| Name::of(path).version).flatten()
            });
            let mut versions: Vec<_> = systems.collect();
            versions.sort_unstable();
            versions.dedup();
            // Of an image with several systems nobody knows which one it is called by.
            if let [version] = versions[..] { Some(version) } else { None }
        })
    }
}

/// A number for a document about the file with this digest: a UUID of version 5, of a name that
/// says which digest that is. RFC 9562, §5.5; RFC 6920, §3.
fn document(about: Sha256, kind: &str) -> Uuid {
    let digest = data_encoding::BASE64URL_NOPAD.encode(&about.0);
    Uuid::v5(Uuid::NAMESPACE_URL, &format!("ni:///sha-256;{digest}#{kind}"))
}

/// RFC 9562.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Uuid([u8; 16]);

impl Uuid {
    /// RFC 9562, §6.6: for names that are URLs.
    const NAMESPACE_URL: Self = Self(0x6ba7b811_9dad_11d1_80b4_00c04fd430c8_u128.to_be_bytes());

    /// RFC 9562, §5.5: from a name.
    fn v5(namespace: Self, name: &str) -> Self {
        let hash = sha1::Sha1::new().chain_update(namespace.0).chain_update(name).finalize();
        let mut bytes: [u8; 16] = std::array::from_fn(|i| hash[i]);
        bytes[6] = bytes[6] & 0x0f | 0x50;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            let dash = if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

/// An array whose elements are made one at a time: a store may have many paths.
struct Array<I>(I);

impl<I: Iterator<Item = Value> + Clone> Serialize for Array<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.clone())
    }
}
