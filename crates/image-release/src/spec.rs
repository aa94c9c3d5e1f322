//! Reads `release.toml`, and fills in the version.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use image_factory::definition::{InvalidFile, Mistake};
use image_model::ReleaseSpec;
use toml::Spanned;
use url::Url;

/// Name of the file, beside `images/`. A project does without.
pub const RELEASE_TOML: &str = "release.toml";

/// What stands for the version in `base-url`.
const VERSION: &str = "{version}";

/// Longest name or stream, in characters.
const MAX_NAME: usize = 63;
/// Longest title, in characters.
const MAX_TITLE: usize = 120;

/// `release.toml` cannot be used, or the flag that replaces a part of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// The machine failed.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The file says something that it cannot say.
    #[error(transparent)]
    Invalid(#[from] InvalidFile),
    /// A value that is not from the file cannot be used.
    #[error("{key}: {message}")]
    Value {
        /// Which.
        key: &'static str,
        /// What is wrong with it.
        message: String,
    },
}

impl SpecError {
    /// True if the machine is not to blame.
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::Read { .. })
    }
}

/// Reads `release.toml` in the folder `root`; the defaults where there is none.
pub fn load(root: &Path) -> Result<ReleaseSpec, SpecError> {
    let path = root.join(RELEASE_TOML);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(parse(&text).map_err(|mistake| mistake.in_file(&path, &text))?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(ReleaseSpec::default()),
        Err(cause) => Err(SpecError::Read { path, cause }),
    }
}

fn parse(text: &str) -> Result<ReleaseSpec, Mistake> {
    let spec: ReleaseSpec = toml::from_str(text)?;
    // All values are text.
    let places: BTreeMap<String, Spanned<String>> = toml::from_str(text)?;
    // Nothing is wrong with those that are not there: they have good defaults, or none.
    check(&spec).map_err(|(key, message)| Mistake::at(&places[key], message))?;
    Ok(spec)
}

/// What a release is released as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// With the version filled in, and addresses as they are used.
    pub spec: ReleaseSpec,
    /// Where the files will be: ends with a slash.
    pub base_url: Option<Url>,
    /// Where the files of the newest release are: ends with a slash.
    pub latest_url: Option<Url>,
}

/// Fills in the version.
pub fn resolve(spec: &ReleaseSpec, version: &str) -> Result<Resolved, SpecError> {
    let value = |(key, message)| SpecError::Value { key, message };
    check(spec).map_err(value)?;
    let base_url = spec.base_url.as_deref();
    let base_url = base_url.map(|text| base(text, version)).transpose().map_err(value)?;
    let latest_url = spec.latest_url.as_deref();
    let latest_url =
        latest_url.map(|text| folder("latest-url", text)).transpose().map_err(value)?;
    let spec = ReleaseSpec {
        base_url: base_url.as_ref().map(Url::to_string),
        latest_url: latest_url.as_ref().map(Url::to_string),
        ..spec.clone()
    };
    Ok(Resolved { spec, base_url, latest_url })
}

/// A key of `release.toml`, and what is wrong with its value.
type Wrong = (&'static str, String);

fn check(spec: &ReleaseSpec) -> Result<(), Wrong> {
    let ReleaseSpec { title, name, stream, base_url, latest_url, website, icon } = spec;
    if title.trim().is_empty() || title.chars().any(char::is_control) {
        return Err(("title", "a title is a line of text".to_owned()));
    }
    if title.chars().count() > MAX_TITLE {
        return Err(("title", format!("a title has up to {MAX_TITLE} characters")));
    }
    let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !name.starts_with(lower) || !name.chars().all(|c| lower(c) || c == '-') {
        let message = "a name has lower-case letters, digits and hyphens, and begins with none";
        return Err(("name", format!("{message} of the last")));
    }
    let of_stream = |c: char| lower(c) || ".-_".contains(c);
    if !stream.starts_with(lower) || !stream.chars().all(of_stream) {
        let message = "a stream has lower-case letters, digits and . - _, and begins with one of \
                       the first two";
        return Err(("stream", message.to_owned()));
    }
    for (key, text) in [("name", name), ("stream", stream)] {
        if text.len() > MAX_NAME {
            return Err((key, format!("a {key} has up to {MAX_NAME} characters")));
        }
    }
    // A version that every URL can have.
    base_url.as_deref().map(|text| base(text, "1")).transpose()?;
    latest_url.as_deref().map(|text| folder("latest-url", text)).transpose()?;
    website.as_deref().map(|text| address("website", text)).transpose()?;
    icon.as_deref().map(|text| address("icon", text)).transpose()?;
    Ok(())
}

/// Where the files of a version are.
fn base(text: &str, version: &str) -> Result<Url, Wrong> {
    // As in names of files: some take a plus for a space.
    folder("base-url", &text.replace(VERSION, &version.replace('+', "%2B")))
}

/// The address of a folder: ends with a slash.
fn folder(key: &'static str, text: &str) -> Result<Url, Wrong> {
    let mut url = address(key, text)?;
    if url.query().is_some() || url.fragment().is_some() {
        let message = format!("{text:?} has a query or a fragment, and names of files follow it");
        return Err((key, message));
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

fn address(key: &'static str, text: &str) -> Result<Url, Wrong> {
    let fail = |why: &str| Err((key, format!("{text:?} {why}")));
    if text.contains(['{', '}']) {
        return fail(if key == "base-url" {
            "has braces around something else than version"
        } else {
            "has braces: only base-url is different for each version"
        });
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return fail("has white space in it");
    }
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => return fail(&format!("is no address: {error}")),
    };
    if !matches!(url.scheme(), "http" | "https") {
        return fail("is not for https or http");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return fail("has a user or a password in it, and everybody reads it");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"title = "Fleet"
name = "fleet"
stream = "stable"
base-url = "https://example.org/fleet/{version}"
latest-url = "https://example.org/fleet/latest"
website = "https://example.org/?a=b#c"
icon = "http://example.org/icon.svg"
"#;

    fn read(text: &str) -> Result<ReleaseSpec, String> {
        let shown = |mistake: Mistake| mistake.in_file(Path::new("release.toml"), text).to_string();
        parse(text).map_err(shown)
    }

    #[test]
    fn a_good_file_is_read_and_filled_in() {
        let spec = read(GOOD).unwrap();
        let resolved = resolve(&spec, "26.05+1").unwrap();
        assert_eq!(resolved.base_url.unwrap().as_str(), "https://example.org/fleet/26.05%2B1/");
        assert_eq!(resolved.spec.latest_url.unwrap(), "https://example.org/fleet/latest/");
        assert_eq!(resolved.spec.website, spec.website);
        assert_eq!(read("").unwrap(), ReleaseSpec::default());
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load(dir.path()).unwrap(), ReleaseSpec::default());
        fs::create_dir(dir.path().join(RELEASE_TOML)).unwrap();
        assert!(!load(dir.path()).unwrap_err().is_usage());
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (from, to, expected) in [
            ("base-url", "bas-url", "4:1: unknown field `bas-url`, expected one of"),
            ("base-url", "bas-url", "did you mean \"base-url\"?"),
            ("\"Fleet\"", "3", "1:9: invalid type: integer `3`"),
            ("Fleet", " ", "1:9: a title is a line of text"),
            ("Fleet", "a\\nb", "1:9: a title is a line of text"),
            ("\"fleet\"", "\"Fleet\"", "2:8: a name has lower-case letters"),
            ("\"stable\"", "\"../x\"", "3:10: a stream has lower-case letters"),
            ("{version}", "{vresion}", "4:12: \"https://example.org/fleet/{vresion}\" has braces"),
            ("https://example.org/fleet/l", "ftp://l", "5:14: \"ftp://latest\" is not for https"),
            ("/latest", "/{version}", "5:14: "),
            ("/latest", "/?latest", "has a query or a fragment"),
            ("https://example.org/?", "https://a:b@example.org/?", "6:11: "),
            ("http://example.org/icon.svg", "icon.svg", "7:8: \"icon.svg\" is no address: "),
            ("http://example.org/icon.svg", "http://x/ i", "has white space in it"),
        ] {
            let text = GOOD.replacen(from, to, 1);
            assert_ne!(text, GOOD);
            let error = read(&text).unwrap_err();
            assert!(error.starts_with("release.toml:") && error.contains(expected), "{error}");
        }
    }

    #[test]
    fn what_the_command_line_says_is_checked_as_well() {
        let base_url = Some("s3://bucket/x".to_owned());
        let spec = ReleaseSpec { base_url, ..ReleaseSpec::default() };
        let error = resolve(&spec, "1").unwrap_err();
        assert!(error.is_usage());
        assert_eq!(error.to_string(), "base-url: \"s3://bucket/x\" is not for https or http");
    }
}
