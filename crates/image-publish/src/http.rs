//! A release that is read by http.

mod body;
mod client;
mod reader;

use std::{fmt, io};

use image_release::check::{Entry, Opened, Source, version_in_name};
use url::Url;

pub(crate) use body::Body;
pub(crate) use client::{
    AGENT, Authorization, CONNECT, Client, HttpCause, HttpError, IDLE, Request, explained,
    is_loopback, is_transient, is_transient_status, told, trouble,
};
pub(crate) use reader::{Reader, wait};

use crate::work::Patience;

/// A release below an address. Nobody can list what is there.
pub struct Http {
    base: Url,
    client: Client,
    patience: Patience,
}

impl fmt::Debug for Http {
    /// An address may have a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Http").field(&client::shown(&self.base)).finish()
    }
}

/// No release is read from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It is no address.
    #[error("{address:?} is no address")]
    NoAddress {
        /// What was given.
        address: String,
        /// Why.
        #[source]
        cause: url::ParseError,
    },
    /// It is the address of something else.
    #[error(
        "{address}: releases are read by https and http, and what follows ? or # names no file"
    )]
    NoFolder {
        /// What was given.
        address: String,
    },
    /// There is no client.
    #[error("cannot make a client for https")]
    Client(#[source] io::Error),
}

impl Http {
    /// The release below `address`, with or without a slash at its end.
    pub fn new(address: &str, patience: Patience) -> Result<Self, AddressError> {
        let mut base: Url = address.parse().map_err(|cause| AddressError::NoAddress {
            address: without_password(address),
            cause,
        })?;
        let web = matches!(base.scheme(), "https" | "http");
        if !web || base.query().is_some() || base.fragment().is_some() {
            return Err(AddressError::NoFolder { address: client::shown(&base) });
        }
        if !base.path().ends_with('/') {
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        let client = Client::new(&base).map_err(AddressError::Client)?;
        Ok(Self { base, client, patience })
    }

    /// The address of a file; `None` where its name leads out of the release.
    fn address(&self, name: &str) -> Option<Url> {
        let parts = || name.split('/');
        if parts().any(|part| matches!(part, "" | "." | "..")) {
            return None;
        }
        let mut url = self.base.clone();
        // Each part is percent-encoded: a name may have a `?`, a `#` or a `%`.
        url.path_segments_mut().ok()?.pop_if_empty().extend(parts());
        url.as_str().starts_with(self.base.as_str()).then_some(url)
    }
}

/// What is no address may have a password all the same.
pub(crate) fn without_password(address: &str) -> String {
    address.rsplit('@').next().unwrap_or_default().to_owned()
}

impl Source for Http {
    fn name(&self) -> String {
        client::shown(&self.base)
    }

    fn version(&self) -> Option<String> {
        // The address ends with a slash.
        version_in_name(self.base.path_segments()?.rev().nth(1)?)
    }

    fn list(&self) -> io::Result<Option<Vec<Entry>>> {
        Ok(None)
    }

    fn open(&self, name: &str) -> io::Result<Option<Opened>> {
        let Some(url) = self.address(name) else { return Ok(None) };
        let body = wait(Body::open(&self.client, self.patience, Request::of(url)))?;
        Ok(body.map(|body| Opened { len: body.len(), reader: Box::new(Reader::new(body)) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_joined_and_encoded() {
        for base in ["https://example.org/nixos/26.05", "https://example.org/nixos/26.05/"] {
            let http = Http::new(base, Patience::default()).unwrap();
            let address = |name| http.address(name).map(String::from);
            let inside = |path: &str| Some(format!("https://example.org/nixos/26.05/{path}"));
            assert_eq!(address("SHA256SUMS"), inside("SHA256SUMS"));
            assert_eq!(address("streams/v1/index.json"), inside("streams/v1/index.json"));
            assert_eq!(address("nixos+1 ä.img"), inside("nixos+1%20%C3%A4.img"));
            assert_eq!(address("a?b#c%2f"), inside("a%3Fb%23c%252f"));
            for outside in ["..", "../x", "a/../../x", "", "/etc/passwd", "a//b", "."] {
                assert_eq!(address(outside), None, "{outside}");
            }
            // What encodes a dot is one for the grammar of addresses.
            assert_eq!(address("%2e%2e/x"), inside("%252e%252e/x"));
        }
    }

    #[test]
    fn only_folders_of_the_web_are_releases() {
        for address in ["ftp://example.org/x", "file:///x", "https://example.org/?v=1", "x/y"] {
            assert!(Http::new(address, Patience::default()).is_err(), "{address}");
        }
        let secret = Http::new("https://me:secret@example.org/x", Patience::default()).unwrap();
        assert_eq!(secret.name(), "https://example.org/x/");
        assert_eq!(format!("{secret:?}"), "Http(\"https://example.org/x/\")");
        let port = Http::new("https://me:secret@example.org:x/", Patience::default()).unwrap_err();
        assert!(!format!("{port:?} {port}").contains("secret"), "{port}");
        let query = Http::new("https://me:secret@example.org/?sig=abc", Patience::default());
        let error = query.unwrap_err().to_string();
        assert!(!error.contains("secret") && !error.contains("abc"), "{error}");
    }
}
