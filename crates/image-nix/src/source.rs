//! Sources as they lie in the store: what is looked at does not change while it is looked at, and
//! is copied once.

use std::{collections::BTreeMap, ffi::OsString, fmt, path::Path};

use serde_json::Value;

use crate::{
    build::{Nix, NixError},
    request::{FEATURES, FlakeRef, Options},
};

/// A folder in the store, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its store path.
    pub store_path: String,
    /// Its NAR hash, in SRI form.
    pub nar_hash: String,
    /// The commit, where Nix knows one.
    pub revision: Option<String>,
    /// When that was made, in seconds since 1970.
    pub last_modified: Option<u64>,
    /// The folder below it that has the `flake.nix`, where that is another one.
    pub dir: Option<String>,
}

/// The reference by which a flake names it: nothing is fetched or copied for it.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "path:{}?narHash={}", self.store_path, encoded(&self.nar_hash))?;
        if let Some(revision) = &self.revision {
            write!(f, "&rev={revision}")?;
        }
        if let Some(seconds) = self.last_modified {
            write!(f, "&lastModified={seconds}")?;
        }
        if let Some(dir) = &self.dir {
            write!(f, "&dir={}", encoded(dir))?;
        }
        Ok(())
    }
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let one = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

impl Source {
    /// Reads the output of `nix flake prefetch --json` or of `nix flake metadata --json`.
    /// `None`: it is neither.
    ///
    /// Up to 2.19 the first of these has only `hash` and `storePath`; `locked` came later.
    fn read(json: &Value) -> Option<Self> {
        let text = |pointer: &str| json.pointer(pointer)?.as_str().map(str::to_owned);
        Some(Self {
            store_path: text("/storePath").or_else(|| text("/path"))?,
            nar_hash: text("/hash").or_else(|| text("/locked/narHash"))?,
            revision: text("/locked/rev"),
            last_modified: json.pointer("/locked/lastModified").and_then(Value::as_u64),
            dir: text("/locked/dir").filter(|dir| !dir.is_empty()),
        })
    }
}

/// The reference for a folder that a user named: one that is a Git repository is taken as Git has
/// it, any other as it is, also where it lies in somebody's repository. What is no path is left as
/// it is.
pub fn folder(typed: &str, base: &Path, is_repository: impl Fn(&Path) -> bool) -> FlakeRef {
    let is_url = typed.split_once(':').is_some_and(|(scheme, _)| {
        !scheme.is_empty()
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    });
    if is_url {
        return FlakeRef::new(typed, base);
    }
    let (path, query) = typed.split_at(typed.find('?').unwrap_or(typed.len()));
    let path = base.join(path);
    let scheme = if is_repository(&path) { "git+file" } else { "path" };
    // Only what is relative gets encoded.
    FlakeRef::new(&format!("{scheme}:.{query}"), &path)
}

/// Nothing is fetched over a network, not even the registry of flakes, and nothing is written beside
/// a flake.
const AT_REST: [&str; 5] = ["--offline", "--option", "flake-registry", "", "--no-write-lock-file"];

fn begin(command: &[&str]) -> Vec<OsString> {
    let words = FEATURES.iter().chain(command).chain(&AT_REST);
    words.chain(&["--log-format", "internal-json"]).map(OsString::from).collect()
}

/// `nix flake prefetch` of a folder.
fn prefetch(folder: &FlakeRef, options: &Options) -> Vec<OsString> {
    let mut args = begin(&["flake", "prefetch", "--json"]);
    args.extend(options.evaluation_args());
    args.extend(["--".into(), folder.to_string().into()]);
    args
}

/// `nix flake metadata` with other inputs than those of the lock file.
fn metadata(flake: &str, overrides: &BTreeMap<String, Source>, options: &Options) -> Vec<OsString> {
    let mut args = begin(&["flake", "metadata", "--json"]);
    for (input, source) in overrides {
        args.extend(["--override-input".into(), input.into(), source.to_string().into()]);
    }
    args.extend(options.evaluation_args());
    args.extend(["--".into(), flake.into()]);
    args
}

/// `nix eval` that evaluates afresh, builds nothing, and writes nothing into the store.
fn look(flake: &Source, attribute: &str, apply: &str, options: &Options) -> Vec<OsString> {
    let mut args = begin(&["eval", "--json"]);
    args.extend(["--no-eval-cache", "--read-only", "--pure-eval"].map(OsString::from));
    args.extend(["--option", "allow-import-from-derivation", "false"].map(OsString::from));
    args.extend(["--apply", apply].map(OsString::from));
    args.extend(options.evaluation_args());
    args.extend(["--".into(), format!("{flake}#{attribute}").into()]);
    args
}

impl Nix {
    /// Puts a folder into the store.
    pub fn source(&self, folder: &FlakeRef, options: &Options) -> Result<Source, NixError> {
        let args = prefetch(folder, options);
        let json = self.json(&args, options, &mut |_| ())?;
        Source::read(&json).ok_or_else(|| self.unreadable(&args, json.to_string()))
    }

    /// Puts a flake into the store, and says what its inputs are locked to with `overrides` in
    /// their places: the content of a `flake.lock`.
    pub fn source_and_locks(
        &self,
        flake: &str,
        overrides: &BTreeMap<String, Source>,
        options: &Options,
    ) -> Result<(Source, Value), NixError> {
        let args = metadata(flake, overrides, options);
        let mut json = self.json(&args, options, &mut |_| ())?;
        let source = Source::read(&json);
        let locks = json.get_mut("locks").map(Value::take);
        source.zip(locks).ok_or_else(|| self.unreadable(&args, json.to_string()))
    }

    /// Evaluates `apply`, a function, of an attribute of a flake in the store: in a process of its
    /// own, without a cache, without building, and without writing.
    pub fn look(
        &self,
        flake: &Source,
        attribute: &str,
        apply: &str,
        options: &Options,
    ) -> Result<Value, NixError> {
        self.json(&look(flake, attribute, apply, options), options, &mut |_| ())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PATH: &str = "/nix/store/pcx27jdwd6z2qdb4x6bmfhppqgdfwv3q-source";
    const HASH: &str = "sha256-wZrk5zq4/ceegjeAfEehDTR+a+SnItg+/xHv5bPJjUo=";

    #[test]
    fn sources_are_read_in_every_shape() {
        let old = Source::read(&json!({"hash": HASH, "storePath": PATH})).unwrap();
        assert_eq!((old.store_path.as_str(), old.nar_hash.as_str()), (PATH, HASH));
        assert_eq!((old.revision.as_ref(), old.last_modified), (None, None));
        assert_eq!(old.to_string(), format!("path:{PATH}?narHash={}", encoded(HASH)));
        assert_eq!(encoded("a+/="), "a%2B/%3D");

        let locked = json!({"narHash": HASH, "rev": "abc", "lastModified": 7, "dir": "nix"});
        for json in [
            json!({"hash": HASH, "storePath": PATH, "locked": locked}),
            json!({"path": PATH, "locked": locked}),
        ] {
            let text = Source::read(&json).unwrap().to_string();
            assert!(text.ends_with("&rev=abc&lastModified=7&dir=nix"), "{text}");
        }
        assert_eq!(Source::read(&json!({"path": PATH})), None);
        assert_eq!(Source::read(&json!([])), None);
    }

    #[test]
    fn folders_are_taken_as_git_has_them_where_they_are_repositories() {
        let git = |path: &Path| path == Path::new("/home/me/nixpkgs");
        let reference = |typed: &str| folder(typed, Path::new("/home/me"), git).to_string();
        assert_eq!(reference("nixpkgs"), "git+file:/home/me/nixpkgs");
        assert_eq!(reference("./nixpkgs?ref=main"), "git+file:/home/me/nixpkgs?ref=main");
        assert_eq!(reference("repo/tests/nixpkgs"), "path:/home/me/repo/tests/nixpkgs");
        assert_eq!(reference("/srv/x?rev=abc"), "path:/srv/x?rev=abc");
        assert_eq!(reference("github:o/r"), "github:o/r");
        assert_eq!(reference("path:./x"), "path:/home/me/x");
        assert_eq!(reference("a/b:c"), "path:/home/me/a/b:c");
        assert_eq!(reference("/srv/my nixpkgs"), "path:/srv/my%20nixpkgs");
    }

    #[test]
    fn nothing_is_fetched_cached_built_or_written() {
        let source = Source::read(&json!({"hash": HASH, "storePath": PATH})).unwrap();
        let args = look(&source, "a", "x: x", &Options::default());
        let args: Vec<_> = args.into_iter().map(|arg| arg.into_string().unwrap()).collect();
        for flag in
            ["--offline", "--no-write-lock-file", "--no-eval-cache", "--read-only", "--pure-eval"]
        {
            assert!(args.iter().any(|arg| arg == flag), "{flag}");
        }
        let overrides = BTreeMap::from([("a/b".to_owned(), source.clone())]);
        let args = metadata("path:/x", &overrides, &Options::default());
        let at = args.iter().position(|arg| arg == "--override-input").unwrap();
        assert_eq!(args[at + 1..at + 3], ["a/b".into(), OsString::from(source.to_string())]);
    }
}
