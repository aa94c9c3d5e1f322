//! A registry that speaks the OCI distribution specification.

mod blob;
mod credentials;
mod listing;
mod plan;
mod registry;
mod source;

use std::{collections::BTreeMap, error::Error};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use image_model::{ReleaseManifest, Sha256};
use oci_client::RegistryOperation;
use serde_json::{Value, json};
use sha2::Digest as _;

use self::{
    listing::{Listed, Listing, listing},
    plan::{Plan, digest, no_tag, plan},
    registry::Registry,
};
use crate::{Environment, Object, PublishError, Published, work::Work};

pub use source::{Artifacts, ArtifactsError};

/// Publishes a release there: blobs, manifests, and the index with the tag last.
pub(crate) async fn publish(
    (registry, repository): (&str, &str),
    environment: &Environment,
    manifest: &ReleaseManifest,
    objects: &[Object],
    work: &Work<'_>,
) -> Result<Published, PublishError> {
    let version = &manifest.version;
    let place = format!("oci://{registry}/{repository}:{version}");
    if let Some(need) = no_tag(version) {
        return Err(PublishError::Unmet { place, needs: vec![need] });
    }
    let name = (registry, repository);
    let registry = Registry::open(name, environment, RegistryOperation::Push, work.patience)
        .map_err(|e| PublishError::place(format!("cannot publish to {place}"), e))?;
    let publishing = Publishing { place, registry, plan: plan(manifest, objects), work };
    publishing.run(version, objects).await
}

struct Publishing<'a> {
    place: String,
    registry: Registry,
    plan: Plan<'a>,
    work: &'a Work<'a>,
}

impl Publishing<'_> {
    async fn run(self, version: &str, objects: &[Object]) -> Result<Published, PublishError> {
        let tagged = self.compare(version, objects).await?;
        let absent = self.absent().await?;
        let names = |sent: bool| {
            let chosen = objects.iter().filter(|o| absent.contains_key(&o.sha256) == sent);
            chosen.map(|object| object.name.clone()).collect()
        };
        let published =
            Published { sent: names(true), present: names(false), place: self.place.clone() };
        if self.work.only_looks {
            return Ok(published);
        }
        let bytes = |blobs: &mut dyn Iterator<Item = &&Object>| blobs.map(|o| o.size).sum::<u64>();
        let absent_blobs = || self.plan.blobs.iter().filter(|o| absent.contains_key(&o.sha256));
        self.work.expect(bytes(&mut absent_blobs()) + bytes(&mut self.plan.blobs.iter()));

        let config = self.registry.send_bytes(plan::EMPTY, self.work).await;
        config.map_err(|e| self.failed("send a blob to", e))?;
        let sends = absent_blobs().map(|object| async {
            let sent = self.registry.send_blob(object, self.work).await;
            sent.map_err(|e| self.failed(&format!("send {} to", object.name), e))?;
            self.read_back(object).await
        });
        stream::iter(sends).buffer_unordered(self.work.parallel).try_collect::<()>().await?;
        let there = self.plan.blobs.iter().filter(|object| !absent.contains_key(&object.sha256));
        let reads = there.map(|object| self.read_back(object));
        stream::iter(reads).buffer_unordered(self.work.parallel).try_collect::<()>().await?;

        if !tagged {
            self.describe().await?;
            // No registry has a condition for that: somebody may have been faster meanwhile.
            if self.compare(version, objects).await? {
                return Ok(published);
            }
            let index = &self.plan.index;
            let put = self.registry.put(version, index, self.work).await;
            put.map_err(|e| self.failed("tag a release in", e))?;
            self.expect_manifest(version, &index.digest).await?;
        }
        Ok(published)
    }

    /// True if the version is there and is this one. Another one is refused.
    async fn compare(&self, version: &str, objects: &[Object]) -> Result<bool, PublishError> {
        let found = self.registry.manifest(version).await;
        let Some(found) = found.map_err(|e| self.failed("read", e))? else { return Ok(false) };
        if found.digest == self.plan.index.digest {
            return Ok(true);
        }
        let there = listing(&self.registry, &found).await;
        let there = there.map_err(|e| self.failed("read what is in", e))?;
        let listed = |o: &Object| Listed { digest: digest(o.sha256), size: o.size };
        let ours: Listing = objects.iter().map(|o| (o.name.clone(), listed(o))).collect();
        let mut differences = Vec::new();
        for (name, listed) in &ours {
            match there.get(name) {
                None => differences.push(format!("{name} is not there")),
                Some(other) if other != listed => {
                    let (other, listed) = (&other.digest, &listed.digest);
                    differences.push(format!("{name} has {other} there, not {listed}"));
                }
                Some(_) => {}
            }
        }
        let strangers = there.keys().filter(|name| !ours.contains_key(*name));
        differences.extend(strangers.map(|name| format!("{name} is there, and not in this one")));
        if differences.is_empty() {
            // The same files, put into artifacts by another version of this program.
            return Ok(true);
        }
        Err(PublishError::conflict(self.place.clone(), differences))
    }

    /// What is not there, by digest.
    async fn absent(&self) -> Result<BTreeMap<Sha256, ()>, PublishError> {
        let heads = self.plan.blobs.iter().map(|object| async move {
            let has = self.registry.has_blob(object, self.work).await;
            let has = has.map_err(|e| self.failed(&format!("look for {} in", object.name), e))?;
            Ok::<_, PublishError>((!has).then_some((object.sha256, ())))
        });
        let found: Vec<_> = stream::iter(heads).buffered(self.work.parallel).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Reads a blob as others will.
    async fn read_back(&self, object: &Object) -> Result<(), PublishError> {
        let what = format!("read {} back from", object.name);
        let body = self.registry.read_blob(&digest(object.sha256)).await;
        let body = body.map_err(|e| self.failed(&what, e))?;
        let other = |found| PublishError::ReadBack {
            place: self.place.clone(),
            object: object.name.clone(),
            found,
        };
        let Some(mut body) = body else { return Err(other("it is not there".to_owned())) };
        let mut hasher = sha2::Sha256::new();
        let mut size = 0;
        while let Some(chunk) = body.next().await.map_err(|e| self.failed(&what, e))? {
            hasher.update(&chunk);
            let len = u64::try_from(chunk.len()).expect("usize fits in u64");
            size += len;
            self.work.advance(len);
            if size > object.size {
                return Err(other(format!("more than {} bytes", object.size)));
            }
        }
        let found = Sha256(hasher.finalize().into());
        if size == object.size && found == object.sha256 {
            return Ok(());
        }
        Err(other(format!("{size} bytes with SHA-256 {found}")))
    }

    /// Puts the manifests of the artifacts, and lists those that speak of others.
    async fn describe(&self) -> Result<(), PublishError> {
        let mut unlisted: Vec<(&str, Vec<Value>)> = Vec::new();
        for artifact in &self.plan.artifacts {
            let digest = &artifact.text.digest;
            let known = self.registry.put(digest, &artifact.text, self.work).await;
            let known = known.map_err(|e| self.failed("send a manifest to", e))?;
            if let (Some(subject), false) = (&artifact.subject, known) {
                // What a list of referrers says of a manifest is what the manifest says.
                let entry = json!({
                    "mediaType": artifact.text.media_type,
                    "digest": digest,
                    "size": artifact.text.bytes.len(),
                    "annotations": artifact.annotations,
                    "artifactType": artifact.entry.artifact_type,
                });
                match unlisted.last_mut().filter(|(other, _)| other == subject) {
                    Some((_, entries)) => entries.push(entry),
                    None => unlisted.push((subject, vec![entry])),
                }
            }
        }
        for (subject, entries) in &unlisted {
            let listed = self.registry.list_referrers(subject, entries, self.work).await;
            listed.map_err(|e| self.failed("list referrers in", e))?;
        }
        for artifact in &self.plan.artifacts {
            self.expect_manifest(&artifact.text.digest, &artifact.text.digest).await?;
        }
        Ok(())
    }

    /// Reads a manifest as others will.
    async fn expect_manifest(&self, reference: &str, digest: &str) -> Result<(), PublishError> {
        let read = self.registry.manifest(reference).await;
        let found = match read.map_err(|e| self.failed("read a manifest back from", e))? {
            Some(manifest) if manifest.digest == digest => return Ok(()),
            Some(manifest) => manifest.digest,
            None => "it is not there".to_owned(),
        };
        let object = format!("the manifest {reference}");
        Err(PublishError::ReadBack { place: self.place.clone(), object, found })
    }

    fn failed(&self, doing: &str, source: Box<dyn Error + Send + Sync>) -> PublishError {
        let source = match source.downcast::<PublishError>() {
            Ok(ours) => return *ours,
            Err(other) => other,
        };
        let mut what = format!("cannot {doing} {}", self.place);
        if let Some(refusal) = self.registry.refusal(&*source) {
            what = format!("{what}: {refusal}");
        }
        PublishError::place(what, source)
    }
}
