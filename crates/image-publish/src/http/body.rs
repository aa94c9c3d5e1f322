//! What is read of an answer, in pieces, and from where it broke off where it does.

use std::error::Error;

use bytes::Bytes;
use reqwest::{
    Response, StatusCode,
    header::{self, HeaderMap, HeaderValue},
};

use super::client::{Client, HttpError, Request, is_transient, told};
use crate::work::{Patience, Trouble};

/// The body of an answer. No more than what came at once is in memory.
pub(crate) struct Body {
    client: Client,
    patience: Patience,
    request: Request,
    response: Response,
    /// How much came, in bytes.
    received: u64,
    /// How much of what comes next was received before, in bytes.
    skip: u64,
    /// How often it broke off since something came.
    failures: u32,
}

impl Body {
    /// Asks for something; `None` where there is no such thing.
    pub(crate) async fn open(
        client: &Client,
        patience: Patience,
        request: Request,
    ) -> Result<Option<Self>, Box<dyn Error + Send + Sync>> {
        let client = client.clone();
        let response = match send(&client, patience, &request).await {
            Ok(response) => response,
            Err(e) => match e.downcast_ref::<HttpError>().and_then(HttpError::status) {
                Some(StatusCode::NOT_FOUND | StatusCode::GONE) => return Ok(None),
                _ => return Err(e),
            },
        };
        Ok(Some(Self { client, patience, request, response, received: 0, skip: 0, failures: 0 }))
    }

    /// The length that the server tells, in bytes.
    pub(crate) fn len(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// Waits for the next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Box<dyn Error + Send + Sync>> {
        loop {
            match self.response.chunk().await {
                Ok(None) if self.skip > 0 => {
                    return Err(self.unusable("it is shorter than it was before"));
                }
                Ok(None) => return Ok(None),
                Ok(Some(mut chunk)) => {
                    let len = u64::try_from(chunk.len()).expect("usize fits in u64");
                    let skipped = self.skip.min(len);
                    self.skip -= skipped;
                    let _ = chunk.split_to(usize::try_from(skipped).expect("no more than `len`"));
                    if !chunk.is_empty() {
                        self.failures = 0;
                        self.received += len - skipped;
                        return Ok(Some(chunk));
                    }
                }
                Err(e) => {
                    self.failures += 1;
                    let wait = self.patience.wait(self.failures);
                    let Some(wait) = wait.filter(|_| is_transient(&e)) else {
                        let text = format!("broke off after {} bytes: {}", self.received, told(&e));
                        return Err(HttpError::transport(&self.request.url, text).into());
                    };
                    tokio::time::sleep(wait).await;
                    self.resume().await?;
                }
            }
        }
    }

    /// Asks for what has not come yet. RFC 9110 §14.2.
    async fn resume(&mut self) -> Result<(), Box<dyn Error + Send + Sync>> {
        let validator = validator(self.response.headers()).cloned();
        let mut request = self.request.clone();
        if self.received > 0 {
            let range = HeaderValue::try_from(format!("bytes={}-", self.received));
            request = request.header(header::RANGE, range.expect("it is ASCII"));
            // Of another file we do not want the rest, but to know that it is another.
            if let Some(validator) = &validator {
                request = request.header(header::IF_RANGE, validator.clone());
            }
        }
        let response = send(&self.client, self.patience, &request).await?;
        if self::validator(response.headers()) != validator.as_ref() {
            return Err(self.unusable("it changed while it was read"));
        }
        if response.status() == StatusCode::PARTIAL_CONTENT {
            let begins = format!("bytes {}-", self.received);
            let range = response.headers().get(header::CONTENT_RANGE);
            let range = range.and_then(|value| value.to_str().ok());
            if !range.is_some_and(|range| range.starts_with(&begins)) {
                return Err(self.unusable("the server sends another range than the one asked for"));
            }
            self.skip = 0;
        } else {
            // It knows no ranges: what we have is sent once more.
            self.skip = self.received;
        }
        self.response = response;
        Ok(())
    }

    fn unusable(&self, text: &str) -> Box<dyn Error + Send + Sync> {
        HttpError::answer(&self.request.url, text).into()
    }
}

/// What tells one version of a file from another: a strong tag, else a date. RFC 9110 §13.1.5.
fn validator(headers: &HeaderMap) -> Option<&HeaderValue> {
    let strong = |tag: &&HeaderValue| !tag.as_bytes().starts_with(b"W/");
    let tag = headers.get(header::ETAG).filter(strong);
    tag.or_else(|| headers.get(header::LAST_MODIFIED))
}

async fn send(
    client: &Client,
    patience: Patience,
    request: &Request,
) -> Result<Response, Box<dyn Error + Send + Sync>> {
    let mut tried = 0;
    loop {
        tried += 1;
        match client.attempt(request).await {
            Ok(response) => return Ok(response),
            Err(Trouble::Final(e)) => return Err(e),
            Err(Trouble::Transient(e)) => match patience.wait(tried) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(e),
            },
        }
    }
}
