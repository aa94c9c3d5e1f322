//! Objects that are sent in parts. Each byte of the file is read once: what is read is hashed for
//! the whole file, and is the part that is sent.

use std::{cell::Cell, collections::BTreeMap, fs::File, io, os::unix::fs::FileExt as _, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use image_host::interrupt;
use image_model::Sha256;
use object_store::{
    PutMultipartOptions, PutPayload,
    aws::AmazonS3,
    multipart::{MultipartStore as _, PartId},
    path::Path as Key,
};
use sha2::Digest as _;

use super::{
    MAX_PARTS, Outcome, PART, Storage, has, is_there,
    journal::{Begun, Part},
    line::Refused,
};
use crate::{Object, PublishError, blocking::blocking, work::Work};

/// How large the parts of an object are, in bytes: a whole number of MiB.
fn part_size(size: u64) -> u64 {
    PART.max(size.div_ceil(MAX_PARTS).next_multiple_of(1 << 20))
}

/// All of a small file, which is what the manifest says it is.
pub(super) async fn whole(object: &Object) -> Result<Bytes, PublishError> {
    let (path, len) = (object.path.clone(), object.size);
    let read = blocking(move || {
        let file = File::open(path)?;
        let is_len = file.metadata()?.len() == len;
        let bytes = read(&file, 0, len)?;
        Ok((sha2::Sha256::digest(&bytes), bytes, is_len))
    });
    let (sha256, bytes, is_len) = read.await.map_err(|error| unread(object, error))?;
    if is_len && Sha256(sha256.into()) == object.sha256 { Ok(bytes) } else { Err(changed(object)) }
}

fn read(file: &File, from: u64, len: u64) -> io::Result<Bytes> {
    interrupt::check()?;
    let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes.into())
}

fn unread(object: &Object, source: io::Error) -> PublishError {
    match source.kind() {
        // It is shorter than it was.
        io::ErrorKind::UnexpectedEof => changed(object),
        _ => PublishError::Read { path: object.path.clone(), source },
    }
}

fn changed(object: &Object) -> PublishError {
    PublishError::Changed { path: object.path.clone() }
}

/// The storage does not know the upload any more.
fn is_forgotten(error: &PublishError) -> bool {
    match error {
        PublishError::Place { source, .. } => source
            .downcast_ref::<Refused>()
            .is_some_and(|refused| refused.is("NoSuchUpload") || refused.is("InvalidPart")),
        _ => false,
    }
}

impl Storage {
    /// Sends an object in parts; those that an earlier run sent are there already.
    pub(super) async fn put_parts(
        &self,
        object: &Object,
        work: &Work<'_>,
    ) -> Result<Outcome, PublishError> {
        let part_size = part_size(object.size);
        let key = self.key(&object.name);
        match self.journal.begun(object) {
            Some(begun) if begun.is_of(object, part_size) => {
                match self.put_into(object, part_size, begun, work).await {
                    // Storage forgets uploads that nobody completes.
                    Err(error) if is_forgotten(&error) => self.journal.end(object),
                    result => return result,
                }
            }
            // The release was made anew. Nobody else knows of these parts, which are paid for.
            Some(begun) => {
                let _ = self.store().abort_multipart(&key, &begun.upload).await;
                self.journal.end(object);
            }
            None => {}
        }
        let what = format!("cannot begin to send {} to {}", object.name, self.name);
        let create = |store: AmazonS3| {
            let (key, attributes) = (key.clone(), self.attributes(object));
            async move {
                let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
                store.create_multipart_opts(&key, options).await
            }
        };
        let upload = self.ask(&what, work, create).await?;
        let begun = self.journal.begin(object, part_size, &upload);
        self.put_into(object, part_size, begun, work).await
    }

    /// Sends all parts that an upload does not have, and completes it.
    async fn put_into(
        &self,
        object: &Object,
        part_size: u64,
        begun: Begun,
        work: &Work<'_>,
    ) -> Result<Outcome, PublishError> {
        let (key, upload) = (self.key(&object.name), begun.upload.as_str());
        let path = object.path.clone();
        let opened = blocking(move || File::open(path).and_then(|f| Ok((f.metadata()?.len(), f))));
        let (len, file) = opened.await.map_err(|error| unread(object, error))?;
        if len != object.size {
            return Err(changed(object));
        }
        let reading = Reading { file: Arc::new(file), part_size, hasher: sha2::Sha256::new() };
        // After a failure nothing more is begun; what is under way ends, and is noted.
        let has_failed = Cell::new(false);
        let has_failed = &has_failed;
        let read = stream::unfold((reading, 0), |(reading, number)| async move {
            let from = number as u64 * part_size;
            if from >= object.size || has_failed.get() {
                return None;
            }
            let lane = self.lane(part_size.min(object.size - from)).await;
            match reading.next(object, number).await {
                Ok((reading, bytes, until)) => {
                    Some((Ok((number, bytes, until, lane)), (reading, number + 1)))
                }
                Err((reading, error)) => {
                    has_failed.set(true);
                    Some((Err(error), (reading, number)))
                }
            }
        });
        let parts = &begun.parts;
        let key_of = &key;
        let mut sent = std::pin::pin!(
            read.map(|read| async move {
                let (number, bytes, until, lane) = read?;
                let len = bytes.len() as u64;
                let id = match parts.get(&number).filter(|part| part.until == until) {
                    Some(part) => part.id.clone(),
                    None => {
                        let id = self.put_part(object, key_of, upload, number, bytes, work).await?;
                        self.journal.sent(object, number, Part { id: id.clone(), until });
                        id
                    }
                };
                drop(lane);
                work.advance(len);
                Ok((number, id))
            })
            .buffer_unordered(work.parallel)
        );
        let mut ids = BTreeMap::new();
        let mut result = Ok(());
        while let Some(part) = sent.next().await {
            match part {
                Ok((number, id)) => {
                    ids.insert(number, id);
                }
                Err(error) => {
                    has_failed.set(true);
                    result = result.and(Err(error));
                }
            }
        }
        match result {
            Ok(()) => self.complete(object, &key, upload, ids, work).await,
            Err(error @ PublishError::Changed { .. }) => {
                // These parts are of no file that there is.
                let _ = self.store().abort_multipart(&key, &upload.to_owned()).await;
                self.journal.end(object);
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    async fn put_part(
        &self,
        object: &Object,
        key: &Key,
        upload: &str,
        number: usize,
        bytes: Bytes,
        work: &Work<'_>,
    ) -> Result<String, PublishError> {
        let what = format!("cannot send part {} of {} to {}", number + 1, object.name, self.name);
        let put = |store: AmazonS3| {
            let payload = PutPayload::from(bytes.clone());
            async move { store.put_part(key, &upload.to_owned(), number, payload).await }
        };
        Ok(self.ask(&what, work, put).await?.content_id)
    }

    async fn complete(
        &self,
        object: &Object,
        key: &Key,
        upload: &str,
        ids: BTreeMap<usize, String>,
        work: &Work<'_>,
    ) -> Result<Outcome, PublishError> {
        let parts = || ids.values().map(|id| PartId { content_id: id.clone() }).collect();
        let what = format!("cannot complete {} in {}", object.name, self.name);
        let complete = |store: AmazonS3| {
            let parts = parts();
            async move {
                if has(&store, key).await? {
                    return Ok(Outcome::WasThere);
                }
                store.complete_multipart(key, &upload.to_owned(), parts).await?;
                Ok(Outcome::Sent)
            }
        };
        let outcome = match self.ask(&what, work, complete).await {
            Err(PublishError::Place { source, .. }) if is_there(&*source) => Outcome::WasThere,
            // An earlier try has completed it, and its answer got lost.
            Err(error) if is_forgotten(&error) => {
                let exists = |store: AmazonS3| async move { has(&store, key).await };
                if !self.ask(&what, work, exists).await? {
                    return Err(error);
                }
                Outcome::WasThere
            }
            outcome => outcome?,
        };
        if outcome == Outcome::WasThere {
            // Nobody else knows of the parts; where they are none any more, that is what was wanted.
            let _ = self.store().abort_multipart(key, &upload.to_owned()).await;
        }
        self.journal.end(object);
        Ok(outcome)
    }
}

/// A file that is read from its beginning to its end.
struct Reading {
    file: Arc<File>,
    part_size: u64,
    /// What was read.
    hasher: sha2::Sha256,
}

impl Reading {
    /// The next part, and SHA-256 of everything up to its end. The last one is given out only if the
    /// file is what the manifest says.
    async fn next(
        self,
        object: &Object,
        number: usize,
    ) -> Result<(Self, Bytes, Sha256), (Self, PublishError)> {
        let from = number as u64 * self.part_size;
        let len = self.part_size.min(object.size - from);
        let (reading, result) = blocking(move || {
            let Self { file, part_size, mut hasher } = self;
            let result = read(&file, from, len).map(|bytes| {
                hasher.update(&bytes);
                let until = Sha256(hasher.clone().finalize().into());
                (bytes, until)
            });
            (Self { file, part_size, hasher }, result)
        })
        .await;
        match result {
            Ok((_, until)) if from + len == object.size && until != object.sha256 => {
                Err((reading, changed(object)))
            }
            Ok((bytes, until)) => Ok((reading, bytes, until)),
            Err(error) => Err((reading, unread(object, error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_as_many_as_storage_takes() {
        for size in
            [PART + 1, 4 << 30, MAX_PARTS * PART, MAX_PARTS * PART + 1, super::super::MAX_OBJECT]
        {
            let part = part_size(size);
            assert!(
                size.div_ceil(part) <= MAX_PARTS && part >= PART && part.is_multiple_of(1 << 20)
            );
        }
        assert_eq!(part_size(MAX_PARTS * PART), PART);
    }
}
