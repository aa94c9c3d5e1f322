//! Requests: with limits of time, with redirects that never leave https, and again where the reason
//! for failing may go away by itself.

use std::{error::Error as _, fmt, io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use reqwest::{
    Method, Response, StatusCode,
    header::{self, HeaderMap, HeaderValue},
    redirect,
};
use url::{Host, Url};

use crate::work::Trouble;

/// What we call ourselves.
pub(crate) const AGENT: &str = concat!("image-factory/", env!("CARGO_PKG_VERSION"));

/// How long a connection may take to come about.
pub(crate) const CONNECT: Duration = Duration::from_secs(30);

/// How long a server may be silent. There is no limit for the whole: images are large.
pub(crate) const IDLE: Duration = Duration::from_secs(60);

/// The longest that a server may ask us to wait.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// Redirects that are followed, one after the other.
const MAX_REDIRECTS: usize = 10;

/// What is read of a text that explains an error, in bytes.
const MAX_EXPLANATION: usize = 16 << 10;

/// What is shown of it, in characters.
const MAX_EXPLANATION_SHOWN: usize = 300;

/// Makes the value of the header `Authorization`, where there is one. The argument says that the
/// last one was refused.
pub(crate) type Authorization =
    Arc<dyn Fn(bool) -> BoxFuture<'static, Result<Option<HeaderValue>, Trouble>> + Send + Sync>;

/// A client.
#[derive(Clone, Debug)]
pub(crate) struct Client(reqwest::Client);

/// What is asked for.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) authorization: Option<Authorization>,
}

/// A request failed.
#[derive(thiserror::Error)]
#[error("{}: {what}", shown(.url))]
pub(crate) struct HttpError {
    pub(crate) url: Url,
    pub(crate) what: HttpCause,
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpCause {
    /// The server says so.
    #[error("the server says {status}{}", after_colon(.explanation))]
    Status {
        /// Its status.
        status: StatusCode,
        /// What else it says.
        explanation: String,
    },
    /// There is no answer, or not all of it. The text has what the library knows of the cause.
    #[error("{0}")]
    Transport(String),
    /// The answer cannot be used.
    #[error("{0}")]
    Answer(String),
}

/// `: text`, where there is a text.
fn after_colon(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

impl fmt::Debug for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may have secrets.
        write!(f, "{self}")
    }
}

impl HttpError {
    /// The status of the answer, where there is one that tells of a failure.
    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self.what {
            HttpCause::Status { status, .. } => Some(status),
            _ => None,
        }
    }

    /// There is no answer, or not all of it.
    pub(crate) fn transport(url: &Url, text: String) -> Self {
        Self { url: url.clone(), what: HttpCause::Transport(text) }
    }

    /// The answer cannot be used.
    pub(crate) fn answer(url: &Url, text: impl Into<String>) -> Self {
        Self { url: url.clone(), what: HttpCause::Answer(text.into()) }
    }
}

impl Request {
    /// Asks for what is at `url`.
    pub(crate) fn of(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            authorization: None,
        }
    }

    /// Something else than GET.
    pub(crate) fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// With a header.
    pub(crate) fn header(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers may have secrets.
        write!(f, "{} {}", self.method, shown(&self.url))
    }
}

impl Client {
    /// A client for `server`. Proxies are those of the environment; none is asked for what is on
    /// this machine, of which it has another idea.
    pub(crate) fn new(server: &Url) -> io::Result<Self> {
        // Somebody else may have chosen before; it is the same one for all of the program.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(AGENT)
            .connect_timeout(CONNECT)
            .read_timeout(IDLE)
            .redirect(redirect::Policy::custom(follow));
        if is_loopback(server) {
            builder = builder.no_proxy();
        }
        builder.build().map(Self).map_err(|e| io::Error::other(told(&e)))
    }

    /// An answer that tells of success.
    pub(crate) async fn attempt(&self, request: &Request) -> Result<Response, Trouble> {
        let response = self.once(request, false).await?;
        match response.status() {
            // The token may be too old.
            StatusCode::UNAUTHORIZED if request.authorization.is_some() => {
                judge(request, self.once(request, true).await?).await
            }
            _ => judge(request, response).await,
        }
    }

    async fn once(&self, request: &Request, refused: bool) -> Result<Response, Trouble> {
        let mut headers = request.headers.clone();
        // Bytes as they are: they will be hashed.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(authorization) = &request.authorization
            && let Some(value) = authorization(refused).await?
        {
            headers.insert(header::AUTHORIZATION, value);
        }
        let mut builder = self.0.request(request.method.clone(), request.url.clone());
        builder = builder.headers(headers);
        if request.method == Method::PUT {
            builder = builder.body(request.body.clone());
        }
        builder.send().await.map_err(|e| {
            let again = is_transient(&e);
            trouble(again, HttpError::transport(&request.url, told(&e)))
        })
    }
}

async fn judge(request: &Request, response: Response) -> Result<Response, Trouble> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let wait = response.headers().get(header::RETRY_AFTER).and_then(|v| v.to_str().ok());
    let wait = wait.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    let what = HttpCause::Status { status, explanation: explanation(response).await };
    let again = is_transient_status(status);
    if let (true, Some(wait)) = (again, wait) {
        tokio::time::sleep(wait.min(MAX_PAUSE)).await;
    }
    Err(trouble(again, HttpError { url: request.url.clone(), what }))
}

/// True of addresses of this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// A failure, and whether it may go away by itself.
pub(crate) fn trouble(again: bool, error: HttpError) -> Trouble {
    match again {
        true => Trouble::Transient(error.into()),
        false => Trouble::Final(error.into()),
    }
}

/// What a server says beside the status.
async fn explanation(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < MAX_EXPLANATION {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            _ => break,
        }
    }
    explained(&bytes)
}

/// The first line of what a server says, or the message in it, without what moves a cursor.
pub(crate) fn explained(body: &[u8]) -> String {
    let json = serde_json::from_slice::<serde_json::Value>(body).ok();
    // OCI Distribution Specification, "Error Codes".
    let message = json.as_ref().and_then(|json| json.pointer("/errors/0/message")?.as_str());
    let text = message.map_or_else(|| String::from_utf8_lossy(body), Into::into);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    // A page explains nothing in its first line.
    if line.starts_with('<') {
        return String::new();
    }
    line.chars().filter(|c| !c.is_control()).take(MAX_EXPLANATION_SHOWN).collect()
}

/// An address without the password that may be in it, and without what is signed into its query.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail only for addresses that have no place for them.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.into()
}

/// What is known of a failure, with its causes: the text of the library says only "error sending
/// request".
pub(crate) fn told(error: &reqwest::Error) -> String {
    let mut causes: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if causes.last().is_none_or(|last| !last.contains(&text)) {
            causes.push(text);
        }
        next = cause.source();
    }
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    // The address stands before it already.
    causes.retain(|cause| !cause.contains("client error (") && cause != "error trying to connect");
    match causes.is_empty() {
        true => "the connection broke off".to_owned(),
        false => causes.join(": "),
    }
}

/// True of a status that may be another one next time. RFC 9110 §15.
pub(crate) fn is_transient_status(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// True of a failure on the way that may go away by itself. What it was caused by tells, however
/// deep that is.
pub(crate) fn is_transient(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(error) = cause.downcast_ref::<reqwest::Error>() {
            if error.is_builder() || error.is_redirect() {
                return false;
            }
            if let Some(status) = error.status() {
                return is_transient_status(status);
            }
        }
        // Who is a stranger now is one later.
        if cause.is::<rustls::Error>() {
            return false;
        }
        // The number is not handed on by the standard library: only the text tells a name that is
        // not there from a name server that is not there.
        let text = cause.to_string();
        if text.contains("failed to lookup address") && !text.contains("Temporary failure") {
            return false;
        }
        // `io::Error::source` skips the error that it wraps.
        let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped.map(|e| e as &(dyn std::error::Error + 'static)).or_else(|| cause.source());
    }
    true
}

fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    match judge_redirect(attempt.previous(), attempt.url()) {
        Ok(()) => attempt.follow(),
        Err(why) => attempt.error(why),
    }
}

/// Whether a redirect is followed: never from https to http, where anybody may write the answer.
fn judge_redirect(previous: &[Url], next: &Url) -> Result<(), &'static str> {
    let is_secure = previous.iter().any(|url| url.scheme() == "https");
    match next.scheme() {
        _ if previous.len() > MAX_REDIRECTS => Err("too many redirects"),
        "https" => Ok(()),
        "http" if !is_secure => Ok(()),
        "http" => Err("the server sends us from https to http"),
        _ => Err("the server sends us to what is neither https nor http"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_redirect_leaves_https() {
        let judge = |previous: &[&str], next: &str| {
            let previous: Vec<Url> = previous.iter().map(|url| url.parse().unwrap()).collect();
            judge_redirect(&previous, &next.parse().unwrap())
        };
        assert_eq!(judge(&["http://a/"], "http://b/"), Ok(()));
        assert_eq!(judge(&["http://a/", "https://a/"], "https://b/"), Ok(()));
        assert!(judge(&["https://a/"], "http://a/").is_err());
        // Neither on a detour.
        assert!(judge(&["http://a/", "https://a/"], "http://a/").is_err());
        assert!(judge(&["https://a/"], "ftp://a/").is_err());
        assert!(judge(&["https://a/"; 11], "https://a/").is_err());
    }

    #[test]
    fn this_machine_is_known() {
        let is_here = |host: &str| is_loopback(&format!("https://{host}/").parse().unwrap());
        for host in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.1.2.3", "[::1]:5000"] {
            assert!(is_here(host), "{host}");
        }
        for host in ["ghcr.io", "localhost.example", "10.0.0.1:5000", "[fe80::1]:80", "127.evil"] {
            assert!(!is_here(host), "{host}");
        }
    }

    #[test]
    fn secrets_of_addresses_are_not_shown() {
        let url = "https://me:secret@example.org/x?X-Amz-Signature=abc".parse().unwrap();
        assert_eq!(shown(&url), "https://example.org/x");
    }

    #[test]
    fn servers_explain_in_a_line() {
        let explain = |text: &str| explained(text.as_bytes());
        assert_eq!(explain("\n  no\x1b[31m more\nthan this"), "no[31m more");
        assert_eq!(explain("<html>"), "");
        let many = r#"{"errors":[{"code":"DENIED","message":"requested access is denied"}]}"#;
        assert_eq!(explain(many), "requested access is denied");
        assert_eq!(explained(&[0xff, b'x']), "\u{fffd}x");
        assert_eq!(explain(&"x".repeat(1000)).len(), MAX_EXPLANATION_SHOWN);
    }
}
