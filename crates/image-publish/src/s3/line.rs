//! The line to the server: what it refuses is read here, where the whole answer is known, and what
//! breaks is told apart from it.

use std::{error::Error, future::Future, pin::Pin, time::Duration};

use futures_util::StreamExt as _;
use object_store::{
    ClientOptions, HeaderValue,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
        HttpResponseBody, HttpService, ReqwestConnector,
    },
};

use crate::{http::is_transient, work::Trouble};

/// How long an answer may take, beside the time for the bytes of the question.
const ANSWER: Duration = Duration::from_secs(60);
/// Putting the parts of an object together takes a server longer.
const ASSEMBLY: Duration = Duration::from_secs(600);
/// A line that is slower, in bytes a second, is taken for a broken one.
const SLOWEST: u64 = 16 << 10;
/// No refusal is longer, in bytes.
const MAX_REFUSAL: usize = 64 << 10;
/// What is shown of it, in characters.
const MAX_SHOWN: usize = 300;
/// No other answer is that is no object, in bytes: a thousand names of 1 KiB, escaped, are less.
const MAX_ANSWER: usize = 16 << 20;

/// How long `bytes` may take.
pub(super) fn patience(bytes: u64) -> Duration {
    ANSWER + Duration::from_secs(bytes / SLOWEST)
}

/// The server answers, and does not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server says {status}{}{}", part(code, " "), part(message, ": "))]
pub(super) struct Refused {
    pub(super) status: u16,
    /// The word of S3 for it, such as `NoSuchBucket`.
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
    /// Where the bucket is, if the server says so.
    pub(super) region: Option<String>,
}

fn part(text: &Option<String>, before: &str) -> String {
    text.as_ref().map(|text| format!("{before}{text}")).unwrap_or_default()
}

/// There are no credentials, neither where people leave them nor where machines have them.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("there are no credentials, and this machine is none of a cloud that has some for it")]
pub(super) struct NoCredentials;

/// The way to the server failed: all that is known of it, from the outside to the inside.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Broken(String);

impl Refused {
    fn new(status: u16, region: Option<&HeaderValue>, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let element = |name: &str| {
            let (_, rest) = text.split_once(&format!("<{name}>"))?;
            let (inner, _) = rest.split_once(&format!("</{name}>"))?;
            let mut inner = inner.trim().to_owned();
            for (escaped, plain) in
                [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
            {
                inner = inner.replace(escaped, plain);
            }
            let shown: String = inner.chars().filter(|c| !c.is_control()).take(MAX_SHOWN).collect();
            (!shown.is_empty()).then_some(shown)
        };
        let region = region.and_then(|value| value.to_str().ok()).map(str::to_owned);
        Self { status, code: element("Code"), message: element("Message"), region }
    }

    pub(super) fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// There is no room, or no more of it for us.
    pub(super) fn is_full(&self) -> bool {
        // Words of Ceph, MinIO and others.
        const FULL: [&str; 4] = [
            "InsufficientStorage",
            "QuotaExceeded",
            "XMinioStorageFull",
            "XMinioAdminBucketQuotaExceeded",
        ];
        self.status == 507 || self.code.as_deref().is_some_and(|code| FULL.contains(&code))
    }

    /// The same question may be answered in another way a moment later.
    fn is_transient(&self) -> bool {
        const MOMENTARY: [&str; 6] = [
            "RequestTimeout",
            "SlowDown",
            "InternalError",
            "ServiceUnavailable",
            "OperationAborted",
            "ConditionalRequestConflict",
        ];
        let named = self.code.as_deref().is_some_and(|code| MOMENTARY.contains(&code));
        named || matches!(self.status, 408 | 429 | 500 | 502..=504) && !self.is_full()
    }

    /// The server does not know conditions or checksums, and not even that it may ignore them.
    pub(super) fn is_of_an_old_server(&self) -> bool {
        let words = format!("{}{}", part(&self.code, " "), part(&self.message, " ")).to_lowercase();
        let about = ["checksum", "if-none-match", "conditional", "unsupported header", "implement"];
        let mismatch = ["BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch"];
        match self.status {
            501 => true,
            400 => {
                about.iter().any(|word| words.contains(word))
                    && !mismatch.iter().any(|code| self.is(code))
            }
            _ => false,
        }
    }
}

/// What a request of the library ended with, without what the library wraps around it.
pub(super) fn trouble(error: object_store::Error) -> Trouble {
    let mut next: Option<&(dyn Error + 'static)> = Some(&error);
    let mut texts: Vec<String> = Vec::new();
    let mut on_the_way = false;
    while let Some(error) = next {
        if let Some(refused) = error.downcast_ref::<Refused>() {
            let source = Box::new(refused.clone());
            return match refused.is_transient() {
                true => Trouble::Transient(source),
                false => Trouble::Final(source),
            };
        }
        if error.is::<NoCredentials>() {
            return Trouble::Final(Box::new(NoCredentials));
        }
        if on_the_way {
            let text = error.to_string();
            if !texts.last().is_some_and(|last| last.ends_with(&text)) {
                texts.push(text);
            }
        }
        // Above it are the words of the library, which name what we name.
        on_the_way |= error.is::<HttpError>();
        next = error.source();
    }
    if !on_the_way {
        return Trouble::Final(Box::new(error));
    }
    let source = Box::new(Broken(texts.join(": ")));
    if is_transient(&error) { Trouble::Transient(source) } else { Trouble::Final(source) }
}

/// The refusal in an error of the library.
pub(super) fn refused(error: &object_store::Error) -> Option<&Refused> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(refused) = error.downcast_ref() {
            return Some(refused);
        }
        next = error.source();
    }
    None
}

/// An answer that did not come to its end.
pub(super) fn late(limit: Duration) -> object_store::Error {
    let source = Box::new(too_late(limit));
    object_store::Error::Generic { store: "S3", source }
}

fn too_late(limit: Duration) -> HttpError {
    let text = format!("no answer for {} seconds", limit.as_secs());
    HttpError::new(HttpErrorKind::Timeout, Broken(text))
}

/// Makes lines of the usual kind.
#[derive(Debug)]
pub(super) struct Line {
    /// An object that is put together of parts does not take the place of another one. The library
    /// asks for that only where an object is sent at once.
    pub(super) never_replace: bool,
}

#[derive(Debug)]
struct Client {
    inner: HttpClient,
    never_replace: bool,
}

impl HttpConnector for Line {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Client { inner, never_replace: self.never_replace }))
    }
}

impl HttpService for Client {
    fn call<'this, 'call>(
        &'this self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'call>>
    where
        'this: 'call,
        Self: 'call,
    {
        Box::pin(self.ask(request))
    }
}

impl Client {
    async fn ask(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let method = request.method().as_str();
        let query = request.uri().query().unwrap_or_default();
        let assembles = method == "POST" && query.contains("uploadId=");
        // All answers but the bytes of an object come whole, and soon, or not at all.
        let is_object = matches!(method, "GET" | "HEAD") && !query.contains("list-type=");
        // The address where machines of AWS ask for credentials.
        let asks_machine = request.uri().host() == Some("169.254.169.254");
        if assembles && self.never_replace {
            // Not part of the signature, which is made already: it need not be.
            request.headers_mut().insert("if-none-match", HeaderValue::from_static("*"));
        }
        let limit =
            if assembles { ASSEMBLY } else { patience(request.body().content_length() as u64) };
        let late = |_| too_late(limit);
        let answer =
            tokio::time::timeout(limit, self.inner.execute(request)).await.map_err(late)?;
        let response = match answer {
            Err(_) if asks_machine => {
                return Err(HttpError::new(HttpErrorKind::Unknown, NoCredentials));
            }
            answer => answer?,
        };
        let is_success = response.status().is_success();
        if is_success && is_object {
            return Ok(response);
        }
        if asks_machine {
            return Err(HttpError::new(HttpErrorKind::Unknown, NoCredentials));
        }
        let (head, body) = response.into_parts();
        let most = if is_success { MAX_ANSWER } else { MAX_REFUSAL };
        let body = tokio::time::timeout(limit, beginning(body, most)).await.map_err(late)??;
        // An assembly that takes long begins its answer before it knows how it ends.
        let has_failed =
            !is_success || assembles && body.windows(7).any(|window| window == b"<Error>");
        if !has_failed {
            return Ok(HttpResponse::from_parts(head, body.into()));
        }
        let region = head.headers.get("x-amz-bucket-region");
        let refused = Refused::new(head.status.as_u16(), region, &body);
        Err(HttpError::new(HttpErrorKind::Unknown, refused))
    }
}

/// The first bytes of a body, `most` of them.
async fn beginning(body: HttpResponseBody, most: usize) -> Result<Vec<u8>, HttpError> {
    let mut bytes = Vec::new();
    let mut stream = body.bytes_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        bytes.extend_from_slice(&chunk[..chunk.len().min(most - bytes.len())]);
        if bytes.len() == most {
            break;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str, message: &str) -> Refused {
        let body = format!("<?xml?><Error><Code>{code}</Code><Message>{message}</Message></Error>");
        Refused::new(status, None, body.as_bytes())
    }

    #[test]
    fn a_refusal_is_read() {
        let refusal = refused(404, "NoSuchBucket", "no &quot;b&quot;");
        assert_eq!(refusal.to_string(), "the server says 404 NoSuchBucket: no \"b\"");
        assert!(refusal.is("NoSuchBucket"));
        let bare = Refused::new(403, Some(&HeaderValue::from_static("eu-central-1")), b"");
        assert_eq!(bare.to_string(), "the server says 403");
        assert_eq!(bare.region.as_deref(), Some("eu-central-1"));
    }

    #[test]
    fn only_what_passes_is_transient() {
        for (status, code) in [
            (503, "SlowDown"),
            (500, "InternalError"),
            (429, ""),
            (408, ""),
            (400, "RequestTimeout"),
            (409, "ConditionalRequestConflict"),
            (200, "InternalError"),
        ] {
            assert!(refused(status, code, "").is_transient(), "{status} {code}");
        }
        for (status, code) in [
            (400, "InvalidRequest"),
            (403, "AccessDenied"),
            (404, "NoSuchBucket"),
            (412, "PreconditionFailed"),
            (501, "NotImplemented"),
            (507, ""),
            (500, "XMinioStorageFull"),
            (503, "InsufficientStorage"),
        ] {
            assert!(!refused(status, code, "").is_transient(), "{status} {code}");
        }
    }

    #[test]
    fn an_old_server_is_known_by_what_it_does_not_know() {
        assert!(refused(501, "NotImplemented", "A header you provided").is_of_an_old_server());
        let header = "Unsupported header 'x-amz-checksum-algorithm' received for this API call.";
        assert!(refused(400, "InvalidArgument", header).is_of_an_old_server());
        let mismatch = "The SHA256 you specified did not match the calculated checksum.";
        assert!(!refused(400, "BadDigest", mismatch).is_of_an_old_server());
        assert!(!refused(400, "InvalidPart", "One or more parts").is_of_an_old_server());
    }
}
