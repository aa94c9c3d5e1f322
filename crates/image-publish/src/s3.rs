//! Storage that speaks S3: each version is a prefix.

mod account;
mod journal;
mod line;
mod parts;
mod source;

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    future::Future,
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use image_model::{Digests, ReleaseManifest, Sha256};
use object_store::{
    Attribute, Attributes, GetOptions, GetRange, ObjectMeta, ObjectStore as _, ObjectStoreExt as _,
    PutMode, PutOptions, PutPayload, aws::AmazonS3, path::Path as Key,
};
use sha2::Digest as _;
use tokio::sync::{Semaphore, SemaphorePermit};

pub use self::source::Stored;
use self::{
    account::Bucket,
    journal::Journal,
    line::{Refused, patience, trouble},
};
use crate::{
    Environment, Object, Options, PublishError, Published,
    blocking::blocking,
    flow::{self, Found, Place, Seen},
    work::{Trouble, Work},
};

/// What is sent or fetched at once, in bytes. All parts of an object but the last have one size,
/// 5 MiB at least.
const PART: u64 = 8 << 20;
/// The most parts of an object.
const MAX_PARTS: u64 = 10_000;
/// What is under way at the same time takes no more memory, in MiB.
const BUDGET: u32 = 64;
/// A larger object would have parts that are larger than that.
const MAX_OBJECT: u64 = MAX_PARTS * ((BUDGET as u64) << 20);
/// What belongs to a version never changes.
const CACHE: &str = "public, max-age=31536000, immutable";

/// Publishes a release there.
pub(crate) async fn publish(
    (bucket, prefix): (&str, &str),
    options: &Options,
    manifest: &ReleaseManifest,
    objects: &[Object],
    work: &Work<'_>,
) -> Result<Published, PublishError> {
    let (environment, parallel) = (&options.environment, options.parallel.get());
    let mut storage = Storage::new((bucket, prefix), &manifest.version, environment, parallel)?;
    storage.check(objects)?;
    if !work.only_looks {
        storage.take_journal(options, work)?;
    }
    flow::run(&storage, objects, work).await
}

/// A version in a bucket.
pub(crate) struct Storage {
    bucket: Bucket,
    /// Address of the version, for people.
    name: String,
    /// What all keys begin with; ends with a slash.
    prefix: String,
    /// The server knows conditions and checksums.
    strict: AtomicBool,
    journal: Journal,
    /// As many requests with a body are under way.
    lanes: Semaphore,
    /// As many MiB of bodies.
    memory: Semaphore,
}

/// What became of an object that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It is there.
    Sent,
    /// There was one of its name: an answer to us got lost, or somebody else was faster.
    WasThere,
}

/// The right to send or fetch some bytes.
struct Lane<'a> {
    _lane: SemaphorePermit<'a>,
    _memory: SemaphorePermit<'a>,
}

impl Storage {
    fn new(
        (bucket, prefix): (&str, &str),
        version: &str,
        environment: &Environment,
        parallel: usize,
    ) -> Result<Self, PublishError> {
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Self {
            bucket: account::open(bucket, environment)?,
            name: format!("s3://{bucket}/{prefix}{version}"),
            prefix: format!("{prefix}{version}/"),
            strict: AtomicBool::new(true),
            journal: Journal::default(),
            lanes: Semaphore::new(parallel.min(Semaphore::MAX_PERMITS)),
            memory: Semaphore::new(BUDGET as usize),
        })
    }

    fn take_journal(&mut self, options: &Options, work: &Work<'_>) -> Result<(), PublishError> {
        let endpoint = self.bucket.endpoint.as_deref().unwrap_or_default();
        let (journal, why) = Journal::open(&options.release, &format!("{endpoint} {}", self.name))?;
        self.journal = journal;
        if let Some(why) = why {
            let text = "what is sent cannot be noted beside the release, so that an upload that is \
                        cut short begins anew";
            work.notice(format!("{text}: {why}"));
        }
        Ok(())
    }

    /// What no storage of this kind takes.
    fn check(&self, objects: &[Object]) -> Result<(), PublishError> {
        let mut needs = Vec::new();
        for object in objects {
            // Amazon S3, Object keys: 1024 bytes of UTF-8.
            let key = format!("{}{}", self.prefix, object.name);
            if key.len() > 1024 || Key::parse(&key).is_err() {
                needs.push(format!("{key:?} is no key of an object"));
            }
            if object.size > MAX_OBJECT {
                let gib = MAX_OBJECT >> 30;
                needs.push(format!("{} is larger than {gib} GiB", object.name));
            }
        }
        match needs.is_empty() {
            true => Ok(()),
            false => Err(PublishError::Unmet { place: self.name.clone(), needs }),
        }
    }

    fn key(&self, name: &str) -> Key {
        self.try_key(name).expect("it was checked before")
    }

    fn try_key(&self, name: &str) -> Option<Key> {
        Key::parse(format!("{}{name}", self.prefix)).ok()
    }

    /// Waits until `bytes` may be sent or fetched.
    async fn lane(&self, bytes: u64) -> Lane<'_> {
        let mib = u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(BUDGET).clamp(1, BUDGET);
        Lane {
            _lane: self.lanes.acquire().await.expect("nobody closes it"),
            _memory: self.memory.acquire_many(mib).await.expect("nobody closes it"),
        }
    }

    fn is_strict(&self) -> bool {
        self.strict.load(Ordering::Relaxed)
    }

    fn store(&self) -> AmazonS3 {
        if self.is_strict() { self.bucket.strict.clone() } else { self.bucket.plain.clone() }
    }

    /// Asks the storage for something until it answers in a way that lasts.
    async fn ask<T, F>(
        &self,
        what: &str,
        work: &Work<'_>,
        question: impl Fn(AmazonS3) -> F,
    ) -> Result<T, PublishError>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        let attempt = || async {
            let was_strict = self.is_strict();
            let refusal = match question(self.store()).await.map_err(trouble) {
                Err(Trouble::Final(source)) if was_strict => source,
                answer => return answer,
            };
            if !refusal.downcast_ref::<Refused>().is_some_and(Refused::is_of_an_old_server) {
                return Err(Trouble::Final(refusal));
            }
            if self.strict.swap(false, Ordering::Relaxed) {
                work.notice(format!(
                    "{} knows no conditions or no checksums, and does without: {refusal}",
                    self.name
                ));
            }
            question(self.store()).await.map_err(trouble)
        };
        work.retry(what, attempt).await.map_err(|source| self.failure(what, source))
    }

    fn failure(&self, what: &str, source: Box<dyn Error + Send + Sync>) -> PublishError {
        let refused = source.downcast_ref::<Refused>();
        let hint = match refused {
            Some(refused) if refused.is_full() => Some(
                "there is no room left, or none for this user: the version does not appear there; \
                 make room, and publish again",
            ),
            Some(refused) if refused.is("RequestTimeTooSkewed") => {
                Some("the clock of this machine is not right")
            }
            Some(refused) if refused.is("NoSuchBucket") => {
                Some("a bucket is not made here: whoever owns the storage makes it")
            }
            Some(refused) if refused.region.is_some() || refused.is("PermanentRedirect") => {
                Some("AWS_REGION, or the profile, has to name the region of the bucket")
            }
            Some(Refused { status: 401 | 403, .. }) => Some(
                "the credentials are those of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or of \
                 the profile AWS_PROFILE in ~/.aws, and need the rights to list, read and write",
            ),
            Some(_) => None,
            None if source.is::<line::NoCredentials>() => Some(
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE with a profile \
                 in ~/.aws",
            ),
            None if self.bucket.endpoint.is_some() => {
                Some("AWS_ENDPOINT_URL, or the profile, says where the server is")
            }
            None => None,
        };
        PublishError::Place { what: what.to_owned(), hint, source }
    }

    fn attributes(&self, object: &Object) -> Attributes {
        Attributes::from_iter([
            (Attribute::ContentType, object.media_type.clone()),
            (Attribute::CacheControl, CACHE.to_owned()),
            (Attribute::Metadata("sha256".into()), object.sha256.to_string()),
        ])
    }

    /// What is there of the version, by name: no more than `limit` objects.
    async fn list(
        &self,
        limit: usize,
        work: &Work<'_>,
    ) -> Result<BTreeMap<String, ObjectMeta>, PublishError> {
        let what = format!("cannot look into {}", self.name);
        let prefix = Key::parse(&self.prefix).map_err(|e| PublishError::place(&what, e))?;
        let listed: Vec<ObjectMeta> = self
            .ask(&what, work, |store| {
                let prefix = prefix.clone();
                async move { store.list(Some(&prefix)).take(limit).try_collect().await }
            })
            .await?;
        let name = |meta: &ObjectMeta| {
            let key = meta.location.as_ref();
            key.strip_prefix(&self.prefix).unwrap_or_default().to_owned()
        };
        Ok(listed.into_iter().map(|meta| (name(&meta), meta)).collect())
    }

    /// Sends an object at once.
    async fn put(&self, object: &Object, work: &Work<'_>) -> Result<Outcome, PublishError> {
        let _lane = self.lane(object.size).await;
        let bytes = parts::whole(object).await?;
        let key = self.key(&object.name);
        let what = format!("cannot send {} to {}", object.name, self.name);
        let put = |store: AmazonS3| {
            let (key, payload) = (key.clone(), PutPayload::from(bytes.clone()));
            let attributes = self.attributes(object);
            let is_strict = self.is_strict();
            async move {
                // Some servers take a condition, and do not keep to it.
                if has(&store, &key).await? {
                    return Ok(Outcome::WasThere);
                }
                let mode = if is_strict { PutMode::Create } else { PutMode::Overwrite };
                let options = PutOptions { mode, attributes, ..PutOptions::default() };
                store.put_opts(&key, payload, options).await?;
                Ok(Outcome::Sent)
            }
        };
        let outcome = match self.ask(&what, work, put).await {
            Err(PublishError::Place { source, .. }) if is_there(&*source) => Outcome::WasThere,
            outcome => outcome?,
        };
        work.advance(object.size);
        Ok(outcome)
    }

    /// A part of an object as it is there, and what the storage knows of all of it.
    async fn get(
        &self,
        name: &str,
        part: Range<u64>,
        tag: Option<&str>,
        work: &Work<'_>,
    ) -> Result<(Bytes, ObjectMeta), PublishError> {
        let key = self.key(name);
        let what = format!("cannot read {name} in {}", self.name);
        let len = part.end - part.start;
        let get = |store: AmazonS3| {
            let key = key.clone();
            // Of nothing there is no part.
            let range = (len > 0).then(|| GetRange::Bounded(part.clone()));
            let options =
                GetOptions { range, if_match: tag.map(str::to_owned), ..GetOptions::default() };
            async move {
                let read = async {
                    let result = store.get_opts(&key, options).await?;
                    let meta = result.meta.clone();
                    Ok((no_more_than(len, result.into_stream()).await?, meta))
                };
                let late = |_| line::late(patience(len));
                tokio::time::timeout(patience(len), read).await.map_err(late)?
            }
        };
        self.ask(&what, work, get).await
    }
}

/// All of a body that has no more than `len` bytes, whatever the server sends.
async fn no_more_than(
    len: u64,
    mut body: impl Stream<Item = object_store::Result<Bytes>> + Unpin,
) -> object_store::Result<Bytes> {
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(len);
    while let Some(chunk) = body.try_next().await? {
        if chunk.len() > len - bytes.len() {
            let source = "the server sends more than it was asked for".into();
            return Err(object_store::Error::Generic { store: "S3", source });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}

/// Whether there is an object of that name.
async fn has(store: &AmazonS3, key: &Key) -> object_store::Result<bool> {
    match store.head(key).await {
        Ok(_) => Ok(true),
        Err(error) if line::refused(&error).is_some_and(|refused| refused.status == 404) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// A condition did not hold: there is an object of that name.
fn is_there(error: &(dyn Error + Send + Sync + 'static)) -> bool {
    error.downcast_ref::<Refused>().is_some_and(|refused| refused.status == 412)
}

fn bare(tag: Option<&String>) -> &str {
    tag.map(|tag| tag.trim_matches('"')).unwrap_or_default()
}

impl Place for Storage {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn look(&self, objects: &[Object], work: &Work<'_>) -> Result<Seen, PublishError> {
        let mut there = self.list(objects.len() + 1000, work).await?;
        let found = objects.iter().map(|object| match there.remove(&object.name) {
            None => Found::Absent,
            Some(meta) if meta.size != object.size => Found::Other(format!(
                "{} has {} bytes there, not {}",
                object.name, meta.size, object.size
            )),
            Some(meta) if self.journal.knows(object, bare(meta.e_tag.as_ref())) => Found::Same,
            Some(_) => Found::Like,
        });
        let found = found.collect();
        // Programs that show buckets as folders make objects of no bytes that stand for folders.
        let mut folders: BTreeSet<&str> = objects
            .iter()
            .flat_map(|object| object.name.match_indices('/').map(|(at, _)| &object.name[..at]))
            .collect();
        folders.insert("");
        let strangers = there
            .iter()
            .filter(|(name, meta)| meta.size > 0 || !folders.contains(name.as_str()))
            .map(|(name, _)| format!("{name} is there, and not of this release"))
            .collect();
        Ok(Seen { found, strangers })
    }

    async fn send(&self, object: &Object, work: &Work<'_>) -> Result<(), PublishError> {
        let outcome = match object.size {
            0..=PART => self.put(object, work).await?,
            _ => self.put_parts(object, work).await?,
        };
        if outcome == Outcome::WasThere {
            work.expect(object.size);
            let digests = self.read_back(object, work).await?;
            flow::compare(object, digests)
                .map_err(|how| PublishError::conflict(self.name(), vec![how]))?;
        }
        Ok(())
    }

    async fn read_back(&self, object: &Object, work: &Work<'_>) -> Result<Digests, PublishError> {
        let first = object.size.min(PART);
        let lane = self.lane(first).await;
        let (bytes, meta) = self.get(&object.name, 0..first, None, work).await?;
        if meta.size != object.size {
            let found = format!("{} bytes, not {}", meta.size, object.size);
            let (place, object) = (self.name.clone(), object.name.clone());
            return Err(PublishError::ReadBack { place, object, found });
        }
        let mut hasher = hash(sha2::Sha256::new(), bytes).await;
        drop(lane);
        work.advance(first);
        // Each part waits for its turn in order, so that the one that is hashed next never waits for
        // those behind it.
        let offsets = (1..object.size.div_ceil(PART)).map(|number| number * PART);
        let tag = meta.e_tag.as_deref();
        let mut parts = stream::iter(offsets)
            .map(|from| async move {
                let len = PART.min(object.size - from);
                let lane = self.lane(len).await;
                let (bytes, _) = self.get(&object.name, from..from + len, tag, work).await?;
                Ok::<_, PublishError>((lane, bytes))
            })
            .buffered(work.parallel);
        let mut size = first;
        while let Some((lane, bytes)) = parts.try_next().await? {
            let len = bytes.len() as u64;
            hasher = hash(hasher, bytes).await;
            drop(lane);
            size += len;
            work.advance(len);
        }
        let digests = Digests { size, sha256: Sha256(hasher.finalize().into()) };
        if digests == (Digests { size: object.size, sha256: object.sha256 }) {
            self.journal.was_read(object, bare(meta.e_tag.as_ref()));
        }
        Ok(digests)
    }

    async fn finish(&self, _work: &Work<'_>) -> Result<(), PublishError> {
        Ok(())
    }
}

async fn hash(mut hasher: sha2::Sha256, bytes: Bytes) -> sha2::Sha256 {
    if bytes.len() < 64 << 10 {
        hasher.update(&bytes);
        return hasher;
    }
    blocking(move || {
        hasher.update(&bytes);
        hasher
    })
    .await
}
