//! A release that is read from storage that speaks S3, with the credentials that publish it.

use std::{io, sync::Arc};

use bytes::Bytes;
use image_factory::event::Events;
use image_release::check::{Entry, EntryKind, MAX_ENTRIES, Opened, Source, version_in_name};
use object_store::{ObjectMeta, ObjectStoreExt as _, aws::AmazonS3};

use super::{PART, Storage, line};
use crate::{Environment, Patience, PublishError, http::wait, work::Work};

/// Nobody hears of what is tried again.
const QUIET: Events<'static> = &|_| ();

/// A release in a bucket.
pub struct Stored {
    storage: Arc<Storage>,
    patience: Patience,
}

impl Stored {
    /// The release whose files have names that begin with `prefix` and a slash: what `publish` was
    /// told, and the version.
    pub fn open(
        bucket: &str,
        prefix: &str,
        environment: &Environment,
        patience: Patience,
    ) -> Result<Self, PublishError> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (above, version) = prefix.rsplit_once('/').unwrap_or(("", prefix));
        let storage = Arc::new(Storage::new((bucket, above), version, environment, 1)?);
        Ok(Self { storage, patience })
    }

    fn work(&self) -> Work<'static> {
        Work::new(QUIET, 1, self.patience)
    }
}

impl Source for Stored {
    fn name(&self) -> String {
        self.storage.name.clone()
    }

    fn version(&self) -> Option<String> {
        version_in_name(self.storage.name.trim_end_matches('/').rsplit('/').next()?)
    }

    fn list(&self) -> io::Result<Option<Vec<Entry>>> {
        let work = self.work();
        let listed = self.storage.list(MAX_ENTRIES + 1, &work);
        let listed = wait(async { listed.await.map_err(Into::into) })?;
        // Programs that show buckets as folders make objects of no bytes that stand for folders.
        let stands_for_folder = |name: &str, meta: &ObjectMeta| {
            let below = format!("{name}/");
            let mut behind = listed.range(below.clone()..);
            let has_files = behind.next().is_some_and(|(next, _)| next.starts_with(&below));
            meta.size == 0 && (name.is_empty() || has_files)
        };
        let files = listed.iter().filter(|(name, meta)| !stands_for_folder(name, meta));
        let entry = |(name, _): (&String, _)| Entry { name: name.clone(), kind: EntryKind::File };
        Ok(Some(files.map(entry).collect()))
    }

    fn open(&self, name: &str) -> io::Result<Option<Opened>> {
        if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Ok(None);
        }
        let Some(key) = self.storage.try_key(name) else { return Ok(None) };
        let what = format!("cannot read {name} in {}", self.storage.name);
        let head = |store: AmazonS3| {
            let key = key.clone();
            async move {
                match store.head(&key).await {
                    Ok(meta) => Ok(Some(meta)),
                    Err(error) => match line::refused(&error).map(|refused| refused.status) {
                        Some(404) => Ok(None),
                        _ => Err(error),
                    },
                }
            }
        };
        let work = self.work();
        let asked = self.storage.ask(&what, &work, head);
        let meta = wait(async { asked.await.map_err(Into::into) })?;
        Ok(meta.map(|meta| {
            let (name, len) = (name.to_owned(), meta.size);
            let (storage, work) = (self.storage.clone(), self.work());
            let reader = Reader { storage, work, name, meta, at: 0, chunk: Bytes::new() };
            Opened { len: Some(len), reader: Box::new(reader) }
        }))
    }
}

/// Reads an object in parts, each of which is asked for again where the line breaks.
struct Reader {
    storage: Arc<Storage>,
    work: Work<'static>,
    name: String,
    meta: ObjectMeta,
    /// Where the next part begins.
    at: u64,
    /// What came and is not read yet.
    chunk: Bytes,
}

impl io::Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() && self.at < self.meta.size && !buf.is_empty() {
            let part = self.at..self.meta.size.min(self.at + PART);
            let tag = self.meta.e_tag.as_deref();
            let got = self.storage.get(&self.name, part.clone(), tag, &self.work);
            (self.chunk, _) = wait(async { got.await.map_err(Into::into) })?;
            if self.chunk.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.at += self.chunk.len() as u64;
        }
        let len = buf.len().min(self.chunk.len());
        buf[..len].copy_from_slice(&self.chunk.split_to(len));
        Ok(len)
    }
}
