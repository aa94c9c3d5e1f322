//! What is said to a registry. OCI Distribution Specification 1.1.

use std::{
    error::Error,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::Stream;
use oci_client::{
    Reference, RegistryOperation,
    client::{ClientConfig, ClientProtocol},
    errors::OciDistributionError,
    manifest::{IMAGE_MANIFEST_LIST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE},
    secrets::RegistryAuth,
};
use reqwest::{
    Method, Response, StatusCode,
    header::{self, HeaderName, HeaderValue},
};
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use super::{
    blob,
    credentials::{Credentials, CredentialsError, credentials},
    plan::{Text, digest, digest_of},
};
use crate::{
    Environment, Object, Patience,
    http::{
        AGENT, Authorization, Body, CONNECT, Client, HttpCause, HttpError, IDLE, Request,
        is_loopback, is_transient, is_transient_status, told, trouble,
    },
    work::{Trouble, Work},
};

/// Registries take at least so long a manifest, in bytes, and we take no longer one. OCI
/// Distribution Specification, "Pushing Manifests".
const MAX_MANIFEST: usize = 4 << 20;

/// How long a registry may think about a blob that it has all bytes of: some copy it then.
const COMMIT: Duration = Duration::from_secs(15 * 60);

/// All names and addresses, as variables such as `NO_PROXY` have them.
const EVERYWHERE: &str = "*,0.0.0.0/0,::/0";

/// How often it is looked how far a blob is.
const GLANCE: Duration = Duration::from_millis(100);

/// A document that came, or why there is none.
type Got<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A repository of a registry.
pub(crate) struct Registry {
    client: Client,
    uploads: oci_client::Client,
    reference: Reference,
    base: Url,
    authorization: Authorization,
    credentials: Credentials,
    patience: Patience,
}

/// Nothing can be said to a registry.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error("{0:?} is no host")]
    Host(String),
    #[error("cannot make a client for https")]
    Client(#[source] Box<dyn Error + Send + Sync>),
}

/// A manifest that a registry has.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) digest: String,
    pub(crate) bytes: Vec<u8>,
}

impl Registry {
    /// The repository. Nothing is said to it yet.
    pub(crate) fn open(
        (registry, repository): (&str, &str),
        environment: &Environment,
        operation: RegistryOperation,
        patience: Patience,
    ) -> Result<Self, OpenError> {
        let credentials = credentials(environment, registry, repository)?;
        let reference =
            Reference::with_tag(registry.to_owned(), repository.to_owned(), "none".to_owned());
        let host = reference.resolve_registry();
        let address = |scheme: &str| {
            Url::parse(&format!("{scheme}://{host}/v2/{repository}/"))
                .map_err(|_| OpenError::Host(host.to_owned()))
        };
        let mut base = address("https")?;
        let is_here = is_loopback(&base);
        // What is said to others is encrypted.
        if is_here {
            base = address("http")?;
        }
        let client = Client::new(&base).map_err(|e| OpenError::Client(e.into()))?;
        let config = ClientConfig {
            protocol: if is_here { ClientProtocol::Http } else { ClientProtocol::Https },
            // It takes those of the environment unless it is given one; this one is for nobody.
            http_proxy: is_here.then(|| base.to_string()),
            no_proxy: is_here.then(|| EVERYWHERE.to_owned()),
            // One request with a length: chunks are refused by some registries, and are slow where
            // the way is long.
            use_monolithic_push: true,
            connect_timeout: Some(CONNECT),
            // It would count from the first byte that is sent.
            read_timeout: None,
            user_agent: AGENT,
            platform_resolver: None,
            ..ClientConfig::default()
        };
        let uploads =
            oci_client::Client::try_from(config).map_err(|e| OpenError::Client(e.into()))?;
        let authorization =
            authorization(uploads.clone(), reference.clone(), credentials.auth.clone(), operation);
        Ok(Self { client, uploads, reference, base, authorization, credentials, patience })
    }

    /// What to tell of a failure beside its cause: whose credentials were refused.
    pub(crate) fn refusal(&self, error: &(dyn Error + Send + Sync + 'static)) -> Option<String> {
        let status = error.downcast_ref::<HttpError>()?.status()?;
        matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
            .then(|| format!("{} refuses {}", self.reference.registry(), self.credentials.origin))
    }

    fn request(&self, path: &str) -> Request {
        let url = self.base.join(path).expect("digests and tags are parts of addresses");
        Request { authorization: Some(self.authorization.clone()), ..Request::of(url) }
    }

    /// True if the blob is there, all of it.
    pub(crate) async fn has_blob(&self, object: &Object, work: &Work<'_>) -> Got<bool> {
        let request = self.blob(&digest(object.sha256)).method(Method::HEAD);
        let answer = work.retry(&object.name, || self.client.attempt(&request)).await;
        let Some(response) = some(answer)? else { return Ok(false) };
        let length = response.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        Ok(length.is_none_or(|length| length == object.size))
    }

    /// Asks for a blob.
    pub(crate) fn blob(&self, digest: &str) -> Request {
        self.request(&format!("blobs/{digest}"))
    }

    /// Asks for a blob, and begins to read it.
    pub(crate) async fn read_blob(&self, digest: &str) -> Got<Option<Body>> {
        Body::open(&self.client, self.patience, self.blob(digest)).await
    }

    /// The manifest under a tag or a digest; `None` where there is none.
    pub(crate) async fn manifest(&self, reference: &str) -> Got<Option<Manifest>> {
        let types = HeaderValue::try_from(
            [OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE, IMAGE_MANIFEST_LIST_MEDIA_TYPE]
                .join(", "),
        );
        let request = self
            .request(&format!("manifests/{reference}"))
            .header(header::ACCEPT, types.expect("they are ASCII"));
        let url = request.url.clone();
        let body = Body::open(&self.client, self.patience, request).await?;
        let Some(mut body) = body else { return Ok(None) };
        let mut bytes = Vec::new();
        while let Some(chunk) = body.next().await? {
            if bytes.len() + chunk.len() > MAX_MANIFEST {
                let text = format!("the manifest is longer than {MAX_MANIFEST} bytes");
                return Err(HttpError::answer(&url, text).into());
            }
            bytes.extend_from_slice(&chunk);
        }
        let digest = digest_of(&bytes);
        if reference.starts_with("sha256:") && reference != digest {
            return Err(HttpError::answer(&url, format!("what came has {digest}")).into());
        }
        Ok(Some(Manifest { digest, bytes }))
    }

    /// Puts a manifest under a tag or its digest. True if the registry knows now what it refers to.
    pub(crate) async fn put(&self, reference: &str, text: &Text, work: &Work<'_>) -> Got<bool> {
        let media_type = HeaderValue::from_static(text.media_type);
        let mut request = self
            .request(&format!("manifests/{reference}"))
            .method(Method::PUT)
            .header(header::CONTENT_TYPE, media_type);
        request.body = Bytes::copy_from_slice(&text.bytes);
        let what = format!("manifest {reference}");
        let response = work.retry(&what, || self.client.attempt(&request)).await?;
        Ok(response.headers().contains_key(HeaderName::from_static("oci-subject")))
    }

    /// Lists manifests as referrers of `subject` where the registry does not do so by itself: in an
    /// index under a tag that is made of its digest. OCI Distribution Specification, "Referrers Tag
    /// Schema". Those that others listed there are kept; who writes at the same time may win, since
    /// no registry has a condition for that.
    pub(crate) async fn list_referrers(
        &self,
        subject: &str,
        entries: &[Value],
        work: &Work<'_>,
    ) -> Got<()> {
        let tag = subject.replace(':', "-");
        let mut index = match self.manifest(&tag).await? {
            Some(manifest) => serde_json::from_slice(&manifest.bytes)?,
            None => json!({
                "schemaVersion": 2,
                "mediaType": OCI_IMAGE_INDEX_MEDIA_TYPE,
                "manifests": [],
            }),
        };
        let Some(listed) = index.get_mut("manifests").and_then(Value::as_array_mut) else {
            let text = "it is no index, and referrers are listed there";
            let url = self.request(&format!("manifests/{tag}")).url;
            return Err(HttpError::answer(&url, text).into());
        };
        let before = listed.len();
        for entry in entries {
            if listed.iter().all(|other| other.get("digest") != entry.get("digest")) {
                listed.push(entry.clone());
            }
        }
        if listed.len() > before {
            self.put(&tag, &Text::of(OCI_IMAGE_INDEX_MEDIA_TYPE, &index), work).await?;
        }
        Ok(())
    }

    /// Sends a blob that is in memory.
    pub(crate) async fn send_bytes(&self, bytes: &'static [u8], work: &Work<'_>) -> Got<()> {
        let digest = digest_of(bytes);
        let request = self.blob(&digest).method(Method::HEAD);
        let there = work.retry("blob", || self.client.attempt(&request)).await;
        if some(there)?.is_some() {
            return Ok(());
        }
        let send = || async {
            let stream = futures_util::stream::iter([Ok(Bytes::from_static(bytes))]);
            let length = u64::try_from(bytes.len()).expect("usize fits in u64");
            let sent = self.push(stream, &digest, length);
            sent.await.map(drop).map_err(|e| self.trouble(e))
        };
        work.retry("blob", send).await
    }

    /// Sends a blob, which is read, hashed and sent in pieces. A blob that broke off is begun anew.
    pub(crate) async fn send_blob(&self, object: &Object, work: &Work<'_>) -> Got<()> {
        // What was sent twice is told once.
        let told = AtomicU64::new(0);
        work.retry(&object.name, || self.send_blob_once(object, &told, work)).await
    }

    async fn send_blob_once(
        &self,
        object: &Object,
        told: &AtomicU64,
        work: &Work<'_>,
    ) -> Result<(), Trouble> {
        let sent = Arc::new(AtomicU64::new(0));
        let fault = Arc::new(Mutex::new(None));
        let pieces = blob::pieces(object, sent.clone(), fault.clone());
        let digest = digest(object.sha256);
        let mut push = std::pin::pin!(self.push(pieces, &digest, object.size));
        let mut last = (0, Instant::now());
        let pushed = loop {
            let done = tokio::time::timeout(GLANCE, &mut push).await;
            let now = sent.load(Ordering::Relaxed);
            let before = told.fetch_max(now, Ordering::Relaxed);
            work.advance(now.saturating_sub(before));
            if let Ok(pushed) = done {
                break pushed;
            }
            if now != last.0 {
                last = (now, Instant::now());
            }
            let limit = if now == object.size { COMMIT } else { IDLE };
            if last.1.elapsed() > limit {
                let error = HttpError::transport(&self.base, "no answer in time".to_owned());
                return Err(trouble(true, error));
            }
        };
        if let Some(fault) = fault.lock().expect("no holder of this lock panics").take() {
            return Err(Trouble::Final(Box::new(fault)));
        }
        pushed.map(drop).map_err(|e| self.trouble(e))
    }

    async fn push(
        &self,
        pieces: impl Stream<Item = Result<Bytes, OciDistributionError>> + Send + 'static,
        digest: &str,
        length: u64,
    ) -> Result<String, OciDistributionError> {
        let auth = &self.credentials.auth;
        self.uploads.store_auth_if_needed(self.reference.resolve_registry(), auth).await;
        self.uploads.push_blob_stream(&self.reference, pieces, digest, Some(length)).await
    }

    fn trouble(&self, error: OciDistributionError) -> Trouble {
        failure(&self.base, error)
    }
}

/// Makes tokens, and keeps the last one.
fn authorization(
    client: oci_client::Client,
    reference: Reference,
    auth: RegistryAuth,
    operation: RegistryOperation,
) -> Authorization {
    let kept: Arc<tokio::sync::Mutex<Option<Option<HeaderValue>>>> = Arc::default();
    let host = reference.resolve_registry().to_owned();
    let at = Url::parse(&format!("https://{host}/")).expect("it was parsed before");
    Arc::new(move |refused| {
        let (client, reference, auth) = (client.clone(), reference.clone(), auth.clone());
        let (kept, at) = (kept.clone(), at.clone());
        Box::pin(async move {
            let mut kept = kept.lock().await;
            if let (Some(value), false) = (&*kept, refused) {
                return Ok(value.clone());
            }
            let asked = tokio::time::timeout(IDLE, client.auth(&reference, &auth, operation));
            let token = match asked.await {
                Ok(answer) => answer.map_err(|e| failure(&at, e))?,
                Err(_) => {
                    let error = HttpError::transport(&at, "no answer in time".to_owned());
                    return Err(trouble(true, error));
                }
            };
            let text = match (token, &auth) {
                (Some(token), _) => Some(format!("Bearer {token}")),
                (None, RegistryAuth::Basic(name, password)) => {
                    let pair = format!("{name}:{password}");
                    Some(format!("Basic {}", data_encoding::BASE64.encode(pair.as_bytes())))
                }
                (None, _) => None,
            };
            let value = match text.map(HeaderValue::try_from).transpose() {
                Ok(value) => value.map(|mut value| {
                    value.set_sensitive(true);
                    value
                }),
                Err(_) => {
                    let error = HttpError::answer(&at, "its token is no header");
                    return Err(Trouble::Final(error.into()));
                }
            };
            *kept = Some(value.clone());
            Ok(value)
        })
    })
}

/// What the library says, in our words.
fn failure(url: &Url, error: OciDistributionError) -> Trouble {
    let status = |code, explanation: String| {
        let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let explanation = crate::http::explained(explanation.as_bytes());
        let what = HttpCause::Status { status, explanation };
        trouble(is_transient_status(status), HttpError { url: url.clone(), what })
    };
    match error {
        OciDistributionError::RequestError(e) => {
            trouble(is_transient(&e), HttpError::transport(url, told(&e)))
        }
        OciDistributionError::ServerError { code, message, .. } => status(code, message),
        OciDistributionError::UnauthorizedError { .. } => status(401, String::new()),
        OciDistributionError::AuthenticationFailure(text) => status(401, text),
        other => trouble(false, HttpError::answer(url, other.to_string())),
    }
}

/// What is there; `None` where the registry says that it is not.
fn some(answer: Got<Response>) -> Got<Option<Response>> {
    match answer {
        Ok(response) => Ok(Some(response)),
        Err(e) => match e.downcast_ref::<HttpError>().and_then(HttpError::status) {
            Some(StatusCode::NOT_FOUND) => Ok(None),
            _ => Err(e),
        },
    }
}
