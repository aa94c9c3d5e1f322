//! How a release gets to a place, whatever place that is.

use std::future::Future;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use image_model::{Digests, FileRole};
use image_release::{PAGE, SUMS};

use crate::{Object, PublishError, Published, work::Work};

/// What a place has of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing.
    Absent,
    /// All of it, as far as can be told without reading it.
    Like,
    /// All of it; this program read it there before, and it did not change since.
    Same,
    /// Something else: how it differs, beginning with its name.
    Other(String),
}

/// What a place has of a version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// What it has of each object, in their order.
    pub(crate) found: Vec<Found>,
    /// What else is there that is not of the release: a sentence each.
    pub(crate) strangers: Vec<String>,
}

/// A place for one version.
pub(crate) trait Place {
    /// Where the version is, for people: an address.
    fn name(&self) -> String;

    /// What is there. Changes nothing, and reads no object.
    fn look(
        &self,
        objects: &[Object],
        work: &Work<'_>,
    ) -> impl Future<Output = Result<Seen, PublishError>>;

    /// Puts an object there that was absent. What is sent is hashed on the way: another digest than
    /// that of `object` is [`PublishError::Changed`], and the object does not come to be.
    fn send(
        &self,
        object: &Object,
        work: &Work<'_>,
    ) -> impl Future<Output = Result<(), PublishError>>;

    /// Reads an object as others will.
    fn read_back(
        &self,
        object: &Object,
        work: &Work<'_>,
    ) -> impl Future<Output = Result<Digests, PublishError>>;

    /// Everything is there, and was read back.
    fn finish(&self, work: &Work<'_>) -> impl Future<Output = Result<(), PublishError>>;
}

/// Publishes `objects`, which are in the order of publishing.
pub(crate) async fn run<P: Place>(
    place: &P,
    objects: &[Object],
    work: &Work<'_>,
) -> Result<Published, PublishError> {
    let Seen { found, strangers } = place.look(objects, work).await?;
    let mut differences = strangers;
    differences.extend(found.iter().filter_map(|found| match found {
        Found::Other(how) => Some(how.clone()),
        _ => None,
    }));
    let has_sums = objects.iter().zip(&found).any(|(o, f)| o.name == SUMS && *f != Found::Absent);
    let refuse = |mut differences: Vec<String>| {
        if differences.is_empty() {
            return Ok(());
        }
        if !has_sums {
            let text = format!(
                "it was never complete there, having no {SUMS}: remove what an earlier run left, \
                 and publish again"
            );
            differences.insert(0, text);
        }
        Err(PublishError::conflict(place.name(), differences))
    };
    refuse(differences)?;
    let names = |of: &dyn Fn(&Found) -> bool| {
        let chosen = objects.iter().zip(&found).filter(|(_, found)| of(found));
        chosen.map(|(object, _)| object.name.clone()).collect()
    };
    let published = Published {
        sent: names(&|found| *found == Found::Absent),
        present: names(&|found| *found != Found::Absent),
        place: place.name(),
    };
    if work.only_looks {
        return Ok(published);
    }
    let with = |kind: Found| {
        let of_kind = objects.iter().zip(&found).filter(move |(_, found)| **found == kind);
        of_kind.map(|(object, _)| object).collect::<Vec<_>>()
    };
    let (like, absent) = (with(Found::Like), with(Found::Absent));
    let bytes = |objects: &[&Object]| objects.iter().map(|object| object.size).sum::<u64>();
    work.expect(bytes(&like) + 2 * bytes(&absent));

    // Nothing is sent before everything that is there is known to be of this release.
    let unread = like.iter().map(|object| async move {
        let digests = place.read_back(object, work).await?;
        Ok::<_, PublishError>(compare(object, digests).err())
    });
    let differences: Vec<Option<String>> =
        stream::iter(unread).buffered(work.parallel).try_collect().await?;
    refuse(differences.into_iter().flatten().collect())?;

    for stage in absent.chunk_by(|a, b| stage(a) == stage(b)) {
        let sends = stage.iter().map(|object| async move {
            place.send(object, work).await?;
            let digests = place.read_back(object, work).await?;
            compare(object, digests).map_err(|found| {
                let (place, object) = (place.name(), object.name.clone());
                PublishError::ReadBack { place, object, found }
            })
        });
        stream::iter(sends).buffer_unordered(work.parallel).try_collect::<()>().await?;
    }
    place.finish(work).await?;
    Ok(published)
}

/// Objects of one stage are sent at the same time, and those of the next one after them.
fn stage(object: &Object) -> (FileRole, bool) {
    (object.role, object.name == SUMS || object.name == PAGE)
}

/// Whether what was read is the object; how it differs, where it is not.
pub(crate) fn compare(object: &Object, found: Digests) -> Result<(), String> {
    let Object { name, size, sha256, .. } = object;
    if found.size != *size {
        Err(format!("{name} has {} bytes there, not {size}", found.size))
    } else if found.sha256 != *sha256 {
        Err(format!("{name} has SHA-256 {} there, not {sha256}", found.sha256))
    } else {
        Ok(())
    }
}
