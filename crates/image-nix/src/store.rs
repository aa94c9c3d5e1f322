//! What Nix answers: store paths, and JSON in the shapes that its releases give it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use crate::request::is_remote;

/// Where store paths are when nobody says otherwise.
pub const STORE_DIR: &str = "/nix/store";

/// A valid path of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathInfo {
    /// The whole path.
    pub path: String,
    /// SHA-256 of the path as a NAR, in SRI form.
    pub nar_hash: Option<String>,
    /// Length of that NAR in bytes.
    pub nar_size: Option<u64>,
    /// The derivation that made it.
    pub deriver: Option<String>,
    /// It was built by the Nix that has it, and neither downloaded nor copied.
    pub built_here: bool,
    /// Signatures: name of a key, `:`, base64.
    pub signatures: Vec<String>,
}

/// Reads the output of `nix path-info --json`, whatever the release:
///
/// | release | shape |
/// |---|---|
/// | up to 2.18, and every Lix | `[{"path": …, "valid": false?, …}]` |
/// | from 2.19 | `{"<path>": {…} \| null}` |
/// | from 2.33 with `--json-format 2` | `{"info": {"<base name>": {…} \| null}, "storeDir": …}` |
/// | from 2.35 with `--json-format 3` | the same, and a signature is `{"keyName": …, "sig": …}` |
///
/// A value that is absent and one that is null are the same. Paths that are not valid are left
/// out. `None`: it is none of these.
pub fn read_path_info(json: &Value) -> Option<Vec<PathInfo>> {
    match json {
        Value::Array(infos) => {
            let valid = |info: &&Value| info.get("valid") != Some(&Value::Bool(false));
            infos.iter().filter(valid).map(|info| path_info(text(info, "path")?, info)).collect()
        }
        Value::Object(object) => {
            let store_dir = text(json, "storeDir").unwrap_or_else(|| STORE_DIR.to_owned());
            let infos = match object.get("info") {
                Some(Value::Object(infos)) => infos,
                _ => object,
            };
            let valid = infos.iter().filter(|(_, info)| !info.is_null());
            valid.map(|(path, info)| path_info(normalized(path, &store_dir), info)).collect()
        }
        _ => None,
    }
}

fn path_info(path: String, info: &Value) -> Option<PathInfo> {
    info.is_object().then(|| PathInfo {
        path,
        nar_hash: info.get("narHash").and_then(read_hash),
        nar_size: info.get("narSize").and_then(Value::as_u64),
        deriver: text(info, "deriver"),
        built_here: info.get("ultimate") == Some(&Value::Bool(true)),
        signatures: read_signatures(info),
    })
}

/// A signature is a string, or its parts.
fn read_signatures(info: &Value) -> Vec<String> {
    let signatures = info.get("signatures").and_then(Value::as_array).into_iter().flatten();
    let read = |signature: &Value| match signature {
        Value::String(signature) => Some(signature.clone()),
        parts => Some(format!("{}:{}", text(parts, "keyName")?, text(parts, "sig")?)),
    };
    signatures.filter_map(read).collect()
}

/// A hash is a string in SRI form, or its parts.
fn read_hash(hash: &Value) -> Option<String> {
    match hash {
        Value::String(sri) if sri.contains('-') => Some(sri.clone()),
        Value::Object(_) if text(hash, "format").as_deref() == Some("base64") => {
            Some(format!("{}-{}", text(hash, "algorithm")?, text(hash, "hash")?))
        }
        _ => None,
    }
}

/// A store path; releases from 2.32 on write base names in places.
fn normalized(path: &str, store_dir: &str) -> String {
    if path.contains('/') { path.to_owned() } else { format!("{store_dir}/{path}") }
}

fn text(object: &Value, key: &str) -> Option<String> {
    object.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// What one installable became.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildOutput {
    /// The derivation; absent where a store path was asked for.
    pub derivation: Option<String>,
    /// Store paths by the name of the output: `out`, `dev`, ….
    pub outputs: BTreeMap<String, String>,
}

/// Reads the output of `nix build --json`. A store path that was asked for is an object up to 2.17
/// and a string since. `None`: it is neither.
pub fn read_build_output(json: &Value) -> Option<Vec<BuildOutput>> {
    let store_dir = |path: &str| match path.rsplit_once('/') {
        Some((dir, _)) => dir.to_owned(),
        None => STORE_DIR.to_owned(),
    };
    let opaque = |path: &str| BuildOutput {
        derivation: None,
        outputs: [("out".to_owned(), path.to_owned())].into(),
    };
    json.as_array()?
        .iter()
        .map(|built| match (built, built.get("outputs")) {
            (Value::String(path), _) => Some(opaque(path)),
            (Value::Object(_), Some(Value::Object(outputs))) => {
                let derivation = text(built, "drvPath");
                let dir = derivation.as_deref().map_or_else(|| STORE_DIR.to_owned(), store_dir);
                // An output whose path nobody knows is null.
                let known = outputs.iter().filter_map(|(name, path)| {
                    Some((name.clone(), normalized(path.as_str()?, &dir)))
                });
                Some(BuildOutput { outputs: known.collect(), derivation })
            }
            (Value::Object(_), _) => text(built, "path").map(|path| opaque(&path)),
            _ => None,
        })
        .collect()
}

/// What a flake is locked to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlakeMetadata {
    /// The locked reference, as Nix writes it. It may name a folder of this machine.
    pub url: String,
    /// The same without what belongs to this machine: of a flake that lies in a folder here, the
    /// kind and the hashes are left: `path:?narHash=…`, `git+file:?rev=…&narHash=…`.
    pub locked: String,
    /// The commit; absent for a folder, and for one with changes.
    pub revision: Option<String>,
    /// NAR hash of the flake's files, in SRI form.
    pub nar_hash: Option<String>,
    /// Revision, or NAR hash where there is none, of each direct and indirect input, by the name of
    /// its node in `flake.lock`.
    pub inputs: BTreeMap<String, String>,
    /// What the inputs are called: the names of their nodes, and of their repositories.
    pub projects: BTreeSet<String>,
    /// The locked reference in parts, as a lock file has them.
    pub source: Map<String, Value>,
    /// The store path of the flake's files, from the root of the source on.
    pub path: Option<String>,
    /// The lock file in force, whole.
    pub locks: Value,
}

/// Revision, or NAR hash where there is none, of each input in a lock file, by the name of its
/// node.
pub fn locked_inputs(locks: &Value) -> BTreeMap<String, String> {
    let nodes = locks.get("nodes").and_then(Value::as_object).into_iter().flatten();
    let inputs = nodes.filter_map(|(name, node)| {
        let locked = node.get("locked")?;
        Some((name.clone(), text(locked, "rev").or_else(|| text(locked, "narHash"))?))
    });
    inputs.collect()
}

/// Reads the output of `nix flake metadata --json`. `None`: it has no locked reference.
pub fn read_flake_metadata(json: &Value) -> Option<FlakeMetadata> {
    let url = text(json, "url")?;
    let locked = json.get("locked").unwrap_or(&Value::Null);
    // What Nix notes down for itself is no part of a lock file.
    let parts = locked.as_object().into_iter().flatten();
    let parts = parts.filter(|(name, _)| !name.starts_with("__"));
    let source = parts.map(|(name, value)| (name.clone(), value.clone())).collect();
    let locks = json.get("locks").cloned().unwrap_or_default();
    let revision = text(locked, "rev").or_else(|| text(json, "revision"));
    let nar_hash = text(locked, "narHash");
    let kind = text(locked, "type").unwrap_or_default();
    let here = match kind.as_str() {
        "path" => Some("path"),
        "git" if text(locked, "url").is_some_and(|url| url.starts_with("file:")) => {
            Some("git+file")
        }
        _ => None,
    };
    let locked = match here {
        Some(scheme) => {
            let rev = revision.as_ref().map(|rev| format!("rev={rev}"));
            let dir = text(locked, "dir").map(|dir| format!("dir={dir}"));
            let hash = nar_hash.as_ref().map(|hash| format!("narHash={hash}"));
            let query: Vec<_> = [dir, rev, hash].into_iter().flatten().collect();
            format!("{scheme}:?{}", query.join("&"))
        }
        None => url.clone(),
    };
    let empty = Map::new();
    let nodes = locks.get("nodes").and_then(Value::as_object).unwrap_or(&empty);
    let projects = nodes.iter().filter(|(_, node)| node.get("locked").is_some());
    let projects = projects.flat_map(|(name, node)| {
        let original = node.get("original").unwrap_or(&Value::Null);
        let url = text(original, "url").unwrap_or_default();
        let last = url.trim_end_matches('/').trim_end_matches(".git").rsplit('/').next();
        let last = last.filter(|last| !last.is_empty()).map(str::to_owned);
        [Some(name.clone()), text(original, "repo"), last].into_iter().flatten()
    });
    Some(FlakeMetadata {
        url,
        locked,
        revision,
        nar_hash,
        inputs: locked_inputs(&locks),
        projects: projects.collect(),
        source,
        path: text(json, "path"),
        locks,
    })
}

/// Where the files of a store are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where their store paths say.
    Here,
    /// Below another root: `--store DIR`.
    Below(PathBuf),
    /// On another machine, or in a cache.
    Elsewhere(String),
}

impl Place {
    /// Of a store as `--store` and `NIX_REMOTE` name it.
    pub fn of_store(store: Option<&str>) -> Self {
        let store = store.unwrap_or("auto");
        if is_remote(store) {
            return Self::Elsewhere(store.to_owned());
        }
        let (name, query) = store.split_once('?').unwrap_or((store, ""));
        let root = query.split('&').find_map(|pair| pair.strip_prefix("root="));
        match (root, name.strip_prefix("local://").unwrap_or(name)) {
            (Some(root), _) => Self::Below(root.into()),
            (None, path) if path.starts_with('/') || path.starts_with("./") => {
                Self::Below(path.into())
            }
            _ => Self::Here,
        }
    }

    /// Where the files of `store_path` are; `None` if not on this machine.
    pub fn physical(&self, store_path: &str) -> Option<PathBuf> {
        match self {
            Self::Here => Some(store_path.into()),
            // Below another root the store is always here, whatever its store paths say.
            Self::Below(root) => {
                Some(root.join("nix/store").join(Path::new(store_path).file_name()?))
            }
            Self::Elsewhere(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PATH: &str = "/nix/store/pcx27jdwd6z2qdb4x6bmfhppqgdfwv3q-builder";

    #[test]
    fn path_info_in_every_shape() {
        let hash = "sha256-wZrk5zq4/ceegjeAfEehDTR+a+SnItg+/xHv5bPJjUo=";
        let signed = "a-1:Y6v0Nm0l==";
        let info = json!({"narHash": hash, "narSize": 7, "ca": null, "deriver": null,
            "signatures": [signed], "ultimate": true});
        let mut with_path = info.clone();
        with_path["path"] = PATH.into();
        let parts = json!({"algorithm": "sha256", "format": "base64", "hash": &hash[7..]});
        let base = &PATH["/nix/store/".len()..];
        for shape in [
            json!([with_path]),
            json!([with_path, {"path": "/nix/store/absent", "valid": false}]),
            json!({PATH: info}),
            json!({PATH: info, "/nix/store/absent": null}),
            json!({"version": 2, "storeDir": "/nix/store", "info": {base: info}}),
            json!({"version": 3, "info": {base: {"narHash": parts, "narSize": 7, "ultimate": true,
                "signatures": [{"keyName": "a-1", "sig": "Y6v0Nm0l=="}]}}}),
        ] {
            let infos = read_path_info(&shape).unwrap();
            let [info] = &infos[..] else { panic!("{shape}") };
            assert_eq!((info.path.as_str(), info.nar_size), (PATH, Some(7)), "{shape}");
            assert_eq!(info.nar_hash.as_deref(), Some(hash), "{shape}");
            assert_eq!((&info.signatures[..], info.built_here), (&[signed.to_owned()][..], true));
        }
        let fetched = json!({PATH: {"narHash": hash, "signatures": null}});
        let [info] = &read_path_info(&fetched).unwrap()[..] else { panic!() };
        assert_eq!((&info.signatures[..], info.built_here), (&[][..], false));
        assert_eq!(read_path_info(&json!({PATH: null})), Some(vec![]));
        for foreign in [json!(null), json!("x"), json!([1]), json!({PATH: 1})] {
            assert_eq!(read_path_info(&foreign), None, "{foreign}");
        }
    }

    #[test]
    fn build_output_in_every_shape() {
        let drv = "/nix/store/2gckgk2br1mppfqxzdrgmcjswmva37n8-builder.drv";
        let full = json!([{"drvPath": drv, "outputs": {"out": PATH, "dev": null}, "startTime": 1}]);
        let base = json!([{"drvPath": drv, "outputs": {"out": &PATH[11..]}}]);
        for shape in [full, base] {
            let built = read_build_output(&shape).unwrap();
            assert_eq!(built[0].derivation.as_deref(), Some(drv));
            assert_eq!(built[0].outputs, [("out".to_owned(), PATH.to_owned())].into());
        }
        for shape in [json!([PATH]), json!([{"path": PATH}])] {
            let built = read_build_output(&shape).unwrap();
            assert_eq!((&built[0].derivation, &*built[0].outputs["out"]), (&None, PATH));
        }
        assert_eq!(read_build_output(&json!({"drvPath": drv})), None);
        assert_eq!(read_build_output(&json!([3])), None);
    }

    #[test]
    fn metadata_names_no_folder_of_this_machine() {
        let folder = json!({
            "url": "path:/home/me/x?lastModified=1&narHash=sha256-a",
            "locked": {"type": "path", "path": "/home/me/x", "narHash": "sha256-a"},
            "locks": {"nodes": {
                "nixpkgs": {"locked": {"rev": "5880", "narHash": "sha256-O"}},
                "compat": {
                    "locked": {"type": "path", "narHash": "sha256-v"},
                    "original": {"type": "git", "url": "https://example.org/a/compat-2.git"},
                },
                "root": {"inputs": {"nixpkgs": "nixpkgs"}},
            }},
        });
        let read = read_flake_metadata(&folder).unwrap();
        assert_eq!(read.locked, "path:?narHash=sha256-a");
        let inputs = [("compat", "sha256-v"), ("nixpkgs", "5880")];
        assert_eq!(read.inputs, inputs.map(|(a, b)| (a.to_owned(), b.to_owned())).into());
        let projects = ["compat", "compat-2", "nixpkgs"].map(str::to_owned);
        assert_eq!(read.projects, projects.into());

        let git = json!({
            "url": "git+file:///home/me/x?rev=abc&dir=sub",
            "revision": "abc",
            "locked": {"type": "git", "url": "file:///home/me/x", "rev": "abc", "dir": "sub"},
        });
        assert_eq!(read_flake_metadata(&git).unwrap().locked, "git+file:?dir=sub&rev=abc");

        let github = json!({"url": "github:o/r/abc", "locked": {"type": "github", "rev": "abc"}});
        assert_eq!(read_flake_metadata(&github).unwrap().locked, "github:o/r/abc");
        assert_eq!(read_flake_metadata(&json!([])), None);
    }

    #[test]
    fn stores_have_places() {
        let place = |store| Place::of_store(Some(store));
        assert_eq!(Place::of_store(None), Place::Here);
        assert_eq!(place("daemon"), Place::Here);
        assert_eq!(place("unix:///run/nix.sock"), Place::Here);
        assert_eq!(place("/srv/root"), Place::Below("/srv/root".into()));
        assert_eq!(place("local?root=/srv/root"), Place::Below("/srv/root".into()));
        assert_eq!(place("local:///srv/root"), Place::Below("/srv/root".into()));
        assert_eq!(place("ssh-ng://host"), Place::Elsewhere("ssh-ng://host".to_owned()));
        let physical = place("/srv/root").physical(PATH);
        assert_eq!(physical, Some(Path::new("/srv/root").join(&PATH[1..])));
    }
}
