//! A flake around a flake: the same outputs, with another lock or with a changed configuration,
//! and nothing of the user's is written to. Text from text, without effects.
//!
//! Evaluation stays pure, and works offline, with every Nix from 2.8 on: the generated flake has
//! one input, `base`, which is locked to what [`FlakeMetadata`] tells, and whose own inputs are
//! those of the lock in force. A flake that needs no change evaluates to the same derivations as
//! without it.
//!
//! Two things do not come through. `nixConfig` counts only in the flake that is named on the command
//! line; and of a Git tree with changes, `self` no longer has `dirtyRev`, as no lock file may name
//! what has no revision. A configuration that is changed anyway is told it: its option
//! `imageFactory.commit`, where it has that one, is what it is without the flake around.

use serde_json::{Map, Value, json};

use crate::store::FlakeMetadata;

/// The name of the one input.
const BASE: &str = "base";

/// What becomes of one NixOS configuration of the flake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Its name: of `nixosConfigurations.<name>`, without quotes.
    pub host: String,
    /// What its option `imageFactory.profiles` is set to, whatever it sets itself.
    pub profiles: Vec<String>,
}

impl Extension {
    /// Of the configuration that `attribute` is, or is a part of; `None` if it is something else.
    pub fn of(attribute: &str, profiles: Vec<String>) -> Option<Self> {
        let name = attribute.strip_prefix(HOSTS)?;
        let (host, rest) = match name.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => name.split_at(name.find('.').unwrap_or(name.len())),
        };
        let is_whole = !host.is_empty() && (rest.is_empty() || rest.starts_with('.'));
        is_whole.then(|| Self { host: host.to_owned(), profiles })
    }

    /// The attribute of the configuration.
    pub fn attribute(&self) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-'".contains(c);
        match self.host.chars().all(plain) {
            true => format!("{HOSTS}{}", self.host),
            false => format!("{HOSTS}\"{}\"", self.host),
        }
    }
}

/// What the attributes of NixOS configurations begin with.
const HOSTS: &str = "nixosConfigurations.";

/// The two files of the flake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Around {
    /// The content of `flake.nix`.
    pub flake: String,
    /// The content of `flake.lock`.
    pub lock: String,
}

/// There is no flake around this one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAround {
    /// What Nix tells of the flake does not fix its content.
    #[error("Nix tells neither a revision nor a NAR hash of {0}")]
    Unlocked(String),
    /// It is not the content of a `flake.lock`.
    #[error("the lock has no {0}")]
    NotALock(&'static str),
}

/// The flake around `base`, with the inputs of `lock`, or those of its own lock file where there is
/// none; and with one configuration of it changed as `extension` says.
pub fn around(
    base: &FlakeMetadata,
    lock: Option<&Value>,
    extension: Option<&Extension>,
) -> Result<Around, NoAround> {
    let locked = source(base)?;
    // What belongs to the content is the lock's; the rest says where it comes from.
    let mut original = locked.clone();
    original.retain(|name, _| !["lastModified", "narHash", "revCount"].contains(&name.as_str()));
    let dirty = base.source.get("dirtyRev").and_then(Value::as_str);
    let flake = flake(&original, extension, dirty);
    let lock = lock_around(lock.unwrap_or(&base.locks), locked, original)?;
    let lock = serde_json::to_string_pretty(&lock).expect("plain data has no keys but strings");
    Ok(Around { flake, lock: lock + "\n" })
}

/// The locked source of a flake, as a lock file names it. A revision or an archive stays what it
/// is. What has no revision, a folder or a Git tree with changes, is what Nix copied into its
/// store.
fn source(base: &FlakeMetadata) -> Result<Map<String, Value>, NoAround> {
    let attrs = &base.source;
    let text = |name: &str| attrs.get(name).and_then(Value::as_str);
    let has_hash = text("narHash").is_some();
    let fixed = match text("type") {
        Some("path") | None => false,
        Some("git" | "hg") => text("rev").is_some(),
        Some(_) => has_hash || text("rev").is_some(),
    };
    if fixed {
        return Ok(attrs.clone());
    }
    let (true, Some(path)) = (has_hash, &base.path) else {
        return Err(NoAround::Unlocked(base.url.clone()));
    };
    const KEPT: [&str; 3] = ["dir", "lastModified", "narHash"];
    let mut attrs = attrs.clone();
    attrs.retain(|name, _| KEPT.contains(&name.as_str()));
    attrs.insert("type".to_owned(), "path".into());
    attrs.insert("path".to_owned(), path.as_str().into());
    Ok(attrs)
}

/// `lock` with its root as the input `base` of another root.
fn lock_around(
    lock: &Value,
    locked: Map<String, Value>,
    original: Map<String, Value>,
) -> Result<Value, NoAround> {
    let version = lock.get("version").filter(|version| version.is_u64());
    let version = version.ok_or(NoAround::NotALock("version"))?;
    let root = lock.get("root").and_then(Value::as_str).ok_or(NoAround::NotALock("root"))?;
    let nodes = lock.get("nodes").and_then(Value::as_object);
    let mut nodes = nodes.ok_or(NoAround::NotALock("nodes"))?.clone();
    let Some(Value::Object(mut base)) = nodes.remove(root) else {
        return Err(NoAround::NotALock("node for its root"));
    };
    base.insert("locked".to_owned(), locked.into());
    base.insert("original".to_owned(), original.into());
    let base_key = free_key(&nodes, BASE);
    nodes.insert(base_key.clone(), base.into());
    nodes.values_mut().for_each(count_from_base);
    let root_key = free_key(&nodes, "root");
    nodes.insert(root_key.clone(), json!({ "inputs": { BASE: base_key } }));
    Ok(json!({ "nodes": nodes, "root": root_key, "version": version }))
}

/// Names of inputs that follow others are told from the root on, which is further away now; those
/// of the flake that a relative path counts from as well.
fn count_from_base(node: &mut Value) {
    let prefix = |path: &mut Value| {
        if let Value::Array(path) = path {
            path.insert(0, BASE.into());
        }
    };
    if let Some(Value::Object(inputs)) = node.get_mut("inputs") {
        inputs.values_mut().for_each(prefix);
    }
    node.get_mut("parent").into_iter().for_each(prefix);
}

/// A key that no node has.
fn free_key(nodes: &Map<String, Value>, name: &str) -> String {
    let numbered = (2..).map(|number| format!("{name}_{number}"));
    let mut keys = std::iter::once(name.to_owned()).chain(numbered);
    keys.find(|key| !nodes.contains_key(key)).expect("there are more numbers than nodes")
}

fn flake(
    original: &Map<String, Value>,
    extension: Option<&Extension>,
    dirty: Option<&str>,
) -> String {
    let attrs: String = original
        .iter()
        .map(|(name, value)| format!("    {} = {};\n", quoted(name), literal(value)))
        .collect();
    let outputs = match extension {
        None => "inputs: inputs.base.outputs".to_owned(),
        Some(extension) => extended(extension, dirty),
    };
    format!(
        "# Made by the image factory for one run: a flake around the one that is built.\n\
         {{\n  inputs.base = {{\n{attrs}  }};\n\n  outputs = {outputs};\n}}\n"
    )
}

/// The outputs, one configuration changed. The options are set as `lib.mkForce` and
/// `lib.mkOverride` do it, whose form is fixed: what they are called with may come from another
/// release of nixpkgs.
///
/// The commit of a tree with changes comes before what the flake takes for it by default, which
/// looks for it in `self`, and after what anybody sets.
fn extended(extension: &Extension, dirty: Option<&str>) -> String {
    let host = quoted(&extension.host);
    let profiles: String =
        extension.profiles.iter().map(|name| format!("{} ", quoted(name))).collect();
    let commit = dirty.map_or_else(String::new, |dirty| {
        format!(
            r#" // (if (hosts.{host}.options.imageFactory or {{ }}) ? commit then {{
              commit = {{
                _type = "override";
                priority = 900;
                content = {};
              }};
            }} else {{ }})"#,
            quoted(dirty)
        )
    });
    format!(
        r#"inputs:
    let
      outputs = inputs.base.outputs;
      hosts = outputs.nixosConfigurations;
      extended = hosts.{host}.extendModules {{
        modules = [
          {{
            _file = "the flag --profile";
            config.imageFactory = {{
              profiles = {{
                _type = "override";
                priority = 50;
                content = [ {profiles}];
              }};
            }}{commit};
          }}
        ];
      }};
    in
    outputs // {{ nixosConfigurations = hosts // {{ {host} = extended; }}; }}"#
    )
}

/// A value of an input, which is text, a number or a truth.
fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

/// `text` as a string of the Nix language. It has no other escapes than these.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' | '$' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "sha256-r3NLLufUX5rVNaOhDccNpPqp6jRW+EEJWwLhBjKHgsI=";

    fn metadata(source: Value, locks: Value) -> FlakeMetadata {
        let Value::Object(source) = source else { panic!("{source}") };
        FlakeMetadata {
            url: "git+file:///home/me/x".to_owned(),
            source,
            path: Some("/nix/store/7d3li07q2xr1cl896hvj2rzagcjxq81a-source".to_owned()),
            locks,
            ..FlakeMetadata::default()
        }
    }

    fn no_inputs() -> Value {
        json!({ "nodes": { "root": {} }, "root": "root", "version": 7 })
    }

    fn locked(source: Value) -> Value {
        let around = around(&metadata(source, no_inputs()), None, None).unwrap();
        let lock: Value = serde_json::from_str(&around.lock).unwrap();
        assert_eq!(lock["nodes"]["root"], json!({ "inputs": { "base": "base" } }));
        lock["nodes"]["base"]["locked"].clone()
    }

    #[test]
    fn what_has_a_revision_stays_what_it_is() {
        for source in [
            json!({ "type": "git", "url": "file:///x", "rev": "75c5", "dir": "nix",
                    "revCount": 2, "narHash": HASH, "submodules": true }),
            json!({ "type": "github", "owner": "o", "repo": "r", "rev": "75c5" }),
            json!({ "type": "tarball", "url": "https://example.org/x.tar.gz", "narHash": HASH }),
        ] {
            assert_eq!(locked(source.clone()), source);
        }
    }

    #[test]
    fn what_has_none_is_what_the_store_has() {
        let path = "/nix/store/7d3li07q2xr1cl896hvj2rzagcjxq81a-source";
        for (kind, dirty) in [("git", "75c5-dirty"), ("hg", ""), ("path", "")] {
            let source = json!({ "type": kind, "url": "file:///home/me/x", "path": "/home/me/x",
                                 "dir": "nix", "narHash": HASH, "dirtyRev": dirty });
            let expected = json!({ "type": "path", "path": path, "dir": "nix", "narHash": HASH });
            assert_eq!(locked(source), expected, "{kind}");
        }
        let source = json!({ "type": "git", "url": "file:///home/me/x" });
        let error = around(&metadata(source, no_inputs()), None, None).unwrap_err();
        let text = "Nix tells neither a revision nor a NAR hash of git+file:///home/me/x";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn the_inputs_are_below_the_base() {
        let locks = json!({
            "nodes": {
                // Names of nodes are anything, and may be ours.
                "base": { "locked": { "rev": "1" }, "inputs": { "lib": ["nixpkgs", "lib"] } },
                "root": { "locked": { "rev": "2" }, "parent": [] },
                "top": { "inputs": { "nixpkgs": "base", "alias": ["nixpkgs"], "none": [] } },
            },
            "root": "top",
            "version": 7,
        });
        let source = json!({ "type": "github", "owner": "o", "repo": "r", "rev": "3" });
        let base = metadata(source.clone(), no_inputs());
        let around = around(&base, Some(&locks), None).unwrap();
        let lock: Value = serde_json::from_str(&around.lock).unwrap();
        let expected = json!({
            "nodes": {
                "base": {
                    "locked": { "rev": "1" },
                    "inputs": { "lib": ["base", "nixpkgs", "lib"] },
                },
                "base_2": {
                    "locked": source,
                    "original": source,
                    "inputs": {
                        "nixpkgs": "base", "alias": ["base", "nixpkgs"], "none": ["base"],
                    },
                },
                "root": { "locked": { "rev": "2" }, "parent": ["base"] },
                "root_2": { "inputs": { "base": "base_2" } },
            },
            "root": "root_2",
            "version": 7,
        });
        assert_eq!(lock, expected);
    }

    #[test]
    fn what_is_no_lock_is_refused() {
        let base = metadata(json!({ "type": "github", "rev": "3" }), no_inputs());
        for (lock, lacks) in [
            (json!([]), "version"),
            (json!({ "version": 7 }), "root"),
            (json!({ "version": 7, "root": "root" }), "nodes"),
            (json!({ "version": 7, "root": "root", "nodes": {} }), "node for its root"),
        ] {
            let error = around(&base, Some(&lock), None).unwrap_err();
            assert_eq!(error, NoAround::NotALock(lacks), "{lock}");
        }
    }

    #[test]
    fn a_configuration_is_known_by_its_parts() {
        let host = |attribute: &str| Extension::of(attribute, Vec::new());
        for (attribute, name) in [
            ("nixosConfigurations.wsl", "wsl"),
            ("nixosConfigurations.wsl.config.system.build.tarballBuilder", "wsl"),
            ("nixosConfigurations.\"a.b\"", "a.b"),
            ("nixosConfigurations.\"a.b\".config.x", "a.b"),
        ] {
            let extension = host(attribute).unwrap();
            assert_eq!(extension.host, name);
            let own = extension.attribute();
            assert_eq!(
                attribute.strip_prefix(&own).map(|rest| rest.get(..1)),
                match attribute {
                    _ if attribute == own => Some(None),
                    _ => Some(Some(".")),
                }
            );
        }
        for other in [
            "packages.x86_64-linux.wsl",
            "nixosConfigurations",
            "nixosConfigurations.",
            "nixosConfigurations..config",
            "nixosConfigurations.\"a",
            "nixosConfigurations.\"a\"b",
            "nixosConfigurations.\"\"",
        ] {
            assert_eq!(host(other), None, "{other}");
        }
    }

    #[test]
    fn text_is_quoted() {
        assert_eq!(quoted(r#"a"b\c${d}$$"#), r#""a\"b\\c\${d}\$\$""#);
        assert_eq!(quoted("a\nb\tc\rd''"), r#""a\nb\tc\rd''""#);
    }
}
