//! A release that is read from a registry.

use std::{error::Error, io};

use image_release::check::{Entry, EntryKind, Opened, Source, version_in_name};
use oci_client::RegistryOperation;

use super::{
    listing::{Listing, listing},
    registry::Registry,
};
use crate::{
    Environment, Patience,
    http::{Reader, wait},
};

/// A release in a registry: the files that its artifacts have.
pub struct Artifacts {
    name: String,
    registry: Registry,
    listing: Listing,
}

/// No release is read from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactsError {
    /// There is no such tag.
    #[error("{name} is not there")]
    Absent {
        /// What was looked for.
        name: String,
    },
    /// It cannot be read.
    #[error("cannot read {name}{}", refusal.as_ref().map(|r| format!(": {r}")).unwrap_or_default())]
    Read {
        /// What was looked for.
        name: String,
        /// Whose credentials were refused.
        refusal: Option<String>,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl Artifacts {
    /// The release that `reference` names in a repository: a tag, or `sha256:…` of an index.
    pub fn open(
        (registry, repository): (&str, &str),
        reference: &str,
        environment: &Environment,
        patience: Patience,
    ) -> Result<Self, ArtifactsError> {
        let mark = if reference.starts_with("sha256:") { '@' } else { ':' };
        let name = format!("oci://{registry}/{repository}{mark}{reference}");
        let fail = |refusal, source| ArtifactsError::Read { name: name.clone(), refusal, source };
        let registry =
            Registry::open((registry, repository), environment, RegistryOperation::Pull, patience)
                .map_err(|e| fail(None, e.into()))?;
        // What ends the wait is kept: somebody may have asked us to stop.
        let of = |source: io::Error| {
            let refusal = source.get_ref().and_then(|e| registry.refusal(e));
            fail(refusal, source.into())
        };
        let top = wait(registry.manifest(reference)).map_err(of)?;
        let Some(top) = top else { return Err(ArtifactsError::Absent { name }) };
        let listing = wait(listing(&registry, &top)).map_err(of)?;
        Ok(Self { name, registry, listing })
    }
}

impl Source for Artifacts {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn version(&self) -> Option<String> {
        // A digest is none.
        version_in_name(self.name.rsplit(':').next()?)
    }

    fn list(&self) -> io::Result<Option<Vec<Entry>>> {
        let entry = |name: &String| Entry { name: name.clone(), kind: EntryKind::File };
        Ok(Some(self.listing.keys().map(entry).collect()))
    }

    fn open(&self, name: &str) -> io::Result<Option<Opened>> {
        let Some(listed) = self.listing.get(name) else { return Ok(None) };
        let body = wait(self.registry.read_blob(&listed.digest))?;
        Ok(body.map(|body| Opened { len: body.len(), reader: Box::new(Reader::new(body)) }))
    }
}
