//! What is asked of `gh`, and what it answers.
//!
//! Of its commands `gh api` is used: it is the same in all versions, names a release by its number
//! (there may be two drafts of one tag), and takes care of credentials, hosts and proxies. Only files
//! are fetched by another one, which writes them where they do not fill the memory.

use std::{
    env::split_paths,
    ffi::OsString,
    path::{Path, PathBuf},
};

use image_host::tool::{Tool, ToolCause, ToolError};
use image_model::Sha256;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{Environment, PublishError, blocking::blocking, work::Trouble};

/// Variables that `gh` reads: credentials, hosts, and how networks are reached.
const PASSED_ON: &[&str] = &[
    "PATH",
    "HOME",
    "XDG_CONFIG_HOME",
    "GH_CONFIG_DIR",
    "GH_HOST",
    "GH_TOKEN",
    "GITHUB_TOKEN",
    "GH_ENTERPRISE_TOKEN",
    "GITHUB_ENTERPRISE_TOKEN",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    // Where the keyring is.
    "DBUS_SESSION_BUS_ADDRESS",
];

/// What `gh` ends with where nobody is logged in.
const NOT_LOGGED_IN: i32 = 4;

/// The program, for one repository.
#[derive(Clone, Debug)]
pub(super) struct Gh {
    tool: Tool,
    repository: String,
}

/// A release.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Release {
    pub(super) id: u64,
    pub(super) tag_name: String,
    pub(super) draft: bool,
    /// Where people see it.
    pub(super) html_url: String,
    /// Where files are sent: a template of RFC 6570.
    pub(super) upload_url: String,
}

/// A file of a release.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Asset {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) size: u64,
    /// `uploaded`; anything else is what an upload left that broke off.
    pub(super) state: String,
    /// `sha256:…`; of files that came before June 2025, and on servers of one's own, there is none.
    #[serde(default)]
    pub(super) digest: Option<String>,
}

impl Asset {
    pub(super) fn is_complete(&self) -> bool {
        self.state == "uploaded"
    }

    /// What GitHub says that its SHA-256 is.
    pub(super) fn sha256(&self) -> Option<Sha256> {
        let hex = self.digest.as_ref()?.strip_prefix("sha256:")?;
        Sha256::try_from(hex.to_owned()).ok()
    }
}

/// The fields of what GitHub says that are read here, as a program of jq.
const RELEASE: &str = "{id, tag_name, draft, html_url, upload_url} | tojson";
const ASSET: &str = "{id, name, size, state, digest} | tojson";

impl Gh {
    /// The program in the `PATH` of `environment`.
    pub(super) fn find(environment: &Environment, repository: &str) -> Result<Self, PublishError> {
        let path = environment.get("PATH").unwrap_or_default();
        let program = split_paths(path).map(|dir| dir.join("gh")).find(|path| path.is_file());
        let Some(program) = program else {
            return Err(PublishError::Place {
                what: format!("cannot publish to github:{repository}"),
                hint: Some("install the program gh of GitHub"),
                source: "gh is not in PATH".into(),
            });
        };
        let quiet =
            [("GH_PROMPT_DISABLED", "1"), ("GH_NO_UPDATE_NOTIFIER", "1"), ("NO_COLOR", "1")];
        let passed = PASSED_ON.iter().filter_map(|name| Some((*name, environment.get(name)?)));
        let tool = passed
            .chain(quiet)
            .fold(Tool::at(program), |tool, (name, value)| tool.env(name, value));
        Ok(Self { tool, repository: repository.to_owned() })
    }

    fn path(&self, rest: &str) -> String {
        format!("repos/{}/{rest}", self.repository)
    }

    /// All releases, drafts among them where we may write.
    pub(super) async fn releases(&self) -> Result<Vec<Release>, Trouble> {
        let path = self.path("releases?per_page=100");
        lines(&self.run(list(&path, RELEASE)).await?)
    }

    /// The files of a release.
    pub(super) async fn assets(&self, release: u64) -> Result<Vec<Asset>, Trouble> {
        let path = self.path(&format!("releases/{release}/assets?per_page=100"));
        lines(&self.run(list(&path, ASSET)).await?)
    }

    /// True if git has the tag.
    pub(super) async fn has_tag(&self, tag: &str) -> Result<bool, Trouble> {
        let path = self.path(&format!("git/ref/tags/{}", encoded(tag)));
        match self.run(words(&["api", &path, "--silent"])).await {
            Ok(_) => Ok(true),
            Err(Trouble::Final(e)) if e.to_string().contains("(HTTP 404)") => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Begins a release that nobody else sees.
    pub(super) async fn create_draft(
        &self,
        tag: &str,
        title: &str,
        body: &str,
    ) -> Result<Release, Trouble> {
        let path = self.path("releases");
        let mut args = words(&["api", "--method", "POST", &path, "--jq", RELEASE]);
        for (name, value) in [("tag_name", tag), ("name", title), ("body", body)] {
            // A raw field: a value that begins with `@` is no file.
            args.push("--raw-field".into());
            args.push(format!("{name}={value}").into());
        }
        args.extend(words(&["--field", "draft=true"]));
        one(&self.run(args).await?)
    }

    /// Shows a draft to everybody. GitHub makes the tag now, where there is none.
    pub(super) async fn publish(&self, release: u64) -> Result<Release, Trouble> {
        let path = self.path(&format!("releases/{release}"));
        let args = ["api", "--method", "PATCH", &path, "--field", "draft=false", "--jq", RELEASE];
        one(&self.run(words(&args)).await?)
    }

    /// Sends a file.
    pub(super) async fn upload(
        &self,
        release: &Release,
        name: &str,
        media_type: &str,
        file: &Path,
    ) -> Result<Asset, Trouble> {
        let to = release.upload_url.split('{').next().unwrap_or_default();
        let to = format!("{to}?name={}", encoded(name));
        let header = format!("Content-Type: {media_type}");
        let mut args = words(&["api", "--method", "POST", &to, "--header", &header]);
        args.extend([OsString::from("--input"), file.into()]);
        args.extend(words(&["--jq", ASSET]));
        one(&self.run(args).await?)
    }

    /// Removes what is left of an upload that broke off.
    pub(super) async fn remove(&self, asset: u64) -> Result<(), Trouble> {
        let path = self.path(&format!("releases/assets/{asset}"));
        self.run(words(&["api", "--method", "DELETE", &path, "--silent"])).await.map(drop)
    }

    /// Fetches a file into a folder.
    pub(super) async fn download(
        &self,
        tag: &str,
        name: &str,
        dir: &Path,
    ) -> Result<PathBuf, Trouble> {
        let mut args = words(&["release", "download", tag, "--repo", &self.repository]);
        // A try before may have left a part of it.
        args.extend(words(&["--pattern", name, "--clobber", "--dir"]));
        args.push(dir.into());
        self.run(args).await?;
        Ok(dir.join(name))
    }

    async fn run(&self, args: Vec<OsString>) -> Result<Vec<u8>, Trouble> {
        let tool = self.tool.clone();
        blocking(move || tool.run(args).output()).await.map_err(trouble)
    }
}

fn words(args: &[&str]) -> Vec<OsString> {
    args.iter().map(OsString::from).collect()
}

/// All pages of a list, an element a line: versions of `gh` put pages together in different ways.
fn list(path: &str, fields: &str) -> Vec<OsString> {
    words(&["api", "--paginate", path, "--jq", &format!(".[] | {fields}")])
}

fn lines<T: DeserializeOwned>(output: &[u8]) -> Result<Vec<T>, Trouble> {
    let lines = output.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    let parse = |line| {
        serde_json::from_slice(line).map_err(|e| {
            Trouble::Final(format!("gh tells something else than was asked for: {e}").into())
        })
    };
    lines.map(parse).collect()
}

fn one<T: DeserializeOwned>(output: &[u8]) -> Result<T, Trouble> {
    let mut all = lines(output)?;
    match (all.pop(), all.is_empty()) {
        (Some(one), true) => Ok(one),
        _ => Err(Trouble::Final("gh tells something else than was asked for".into())),
    }
}

/// A part of an address.
fn encoded(name: &str) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    let part = |b: u8| if plain(&b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    name.bytes().map(part).collect()
}

/// Why `gh` failed. It tells so in words only.
fn trouble(error: ToolError) -> Trouble {
    let ToolCause::Exit { status, last_words } = &error.cause else {
        return Trouble::Final(error.into());
    };
    let words = last_words.join("; ");
    if status.code() == Some(NOT_LOGGED_IN) || words.contains("(HTTP 401)") {
        let text = format!("{words} (gh is not logged in: gh auth login, or $GH_TOKEN)");
        return Trouble::Final(text.into());
    }
    match is_transient(&words) {
        true => Trouble::Transient(error.into()),
        false => {
            let words = words.strip_prefix("gh: ").unwrap_or(&words);
            Trouble::Final(format!("gh: {words}").into())
        }
    }
}

/// True of words about what may go away by itself.
fn is_transient(words: &str) -> bool {
    let busy = ["(HTTP 408)", "(HTTP 429)", "(HTTP 500)", "(HTTP 502)", "(HTTP 503)", "(HTTP 504)"];
    let broken = [
        "connection refused",
        "connection reset",
        "broken pipe",
        "unexpected EOF",
        ": EOF",
        "i/o timeout",
        "TLS handshake timeout",
        "Client.Timeout exceeded",
        "server closed idle connection",
        "Temporary failure",
        "secondary rate limit",
    ];
    busy.iter().chain(&broken).any(|part| words.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parts_of_addresses() {
        assert_eq!(encoded("nixos-26.05+1.img"), "nixos-26.05%2B1.img");
        assert_eq!(encoded("a b/ä#"), "a%20b%2F%C3%A4%23");
    }

    #[test]
    fn an_element_is_a_line() {
        let output =
            b"{\"id\":1,\"name\":\"a\",\"size\":3,\"state\":\"uploaded\",\"digest\":null}\n";
        let asset: Asset = one(output).unwrap();
        assert_eq!((asset.name.as_str(), asset.sha256()), ("a", None));
        assert!(one::<Asset>(b"").is_err());
        assert!(lines::<Asset>(b"\"x\"\n").is_err());
    }

    #[test]
    fn only_what_may_go_away_is_tried_again() {
        assert!(is_transient("gh: Bad Gateway (HTTP 502)"));
        assert!(is_transient(
            "Post \"https://x\": dial tcp 1.2.3.4:443: connect: connection refused"
        ));
        assert!(!is_transient("gh: Validation Failed (HTTP 422)"));
        assert!(!is_transient("dial tcp: lookup x: no such host"));
    }
}
