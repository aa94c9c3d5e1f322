//! The flake around the flake that is checked: where its inputs come from, and what is asked of it.
//! Text from text, without effects.

use std::collections::{BTreeMap, VecDeque};

use image_nix::Source;
use serde_json::{Map, Value, json};

/// The input that is the flake.
pub(super) const CHECKED: &str = "checked";

/// The expression that is asked.
pub(super) const QUESTIONS: &str = include_str!("questions.nix");

/// nixpkgs, without being copied.
pub(super) const NIXPKGS: &str = include_str!("nixpkgs.nix");

/// The `flake.nix` around a flake. `linked` are sources that links in its inputs lead to.
pub(super) fn flake(checked: &Source, linked: &[&Source]) -> String {
    let linked: String = linked.iter().map(|source| format!(" ({})", expression(source))).collect();
    format!(
        "{{\n  inputs.{CHECKED}.url = \"{checked}\";\n  outputs =\n    inputs:\n    \
         # Links may lead to what has been evaluated.\n    \
         builtins.seq (toString [{linked} ]) {{\n      \
         questions = import ./questions.nix inputs.{CHECKED};\n    }};\n}}\n"
    )
}

/// A source in the Nix language. Pure evaluation may read it from then on, and copies nothing.
fn expression(source: &Source) -> String {
    let Source { store_path, nar_hash, .. } = source;
    format!(
        "builtins.path {{ name = \"source\"; path = {store_path}; sha256 = {}; }}",
        string(nar_hash)
    )
}

/// The files that stand in the place of nixpkgs' own: names and contents.
pub(super) fn nixpkgs(base: &Source, overlay: Option<&str>) -> Vec<(&'static str, String)> {
    let base = expression(base);
    let flake = "{\n  outputs =\n    { self }:\n    import ./around-nixpkgs.nix {\n      \
                 inherit self;\n      base = import ./base.nix;\n      \
                 overlay = import ./overlay.nix;\n    };\n}\n";
    let default = "args:\nlet\n  overlay = import ./overlay.nix;\n  \
                   more = if overlay == null then [ ] else [ overlay ];\nin\n\
                   import (import ./base.nix) (args // { overlays = args.overlays or [ ] ++ more; })\n";
    vec![
        ("flake.nix", flake.to_owned()),
        ("default.nix", default.to_owned()),
        ("around-nixpkgs.nix", NIXPKGS.to_owned()),
        ("base.nix", base + "\n"),
        ("overlay.nix", overlay.unwrap_or("null\n").to_owned()),
    ]
}

/// An input of which no checkout is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Absent {
    /// Its node in the lock file.
    node: String,
    /// Its name, as `--override-input` takes it.
    pub(super) input: String,
    /// The folder of what is in its place.
    pub(super) dir: String,
}

impl Absent {
    /// The file that is in its place, whether it is a flake or not.
    pub(super) fn files(&self) -> [(&'static str, String); 2] {
        let throw = format!("throw \"{}\"", self.message());
        [("flake.nix", format!("{{ outputs = _: {throw}; }}\n")), ("default.nix", throw + "\n")]
    }

    fn message(&self) -> String {
        format!("the input {} is needed, and no checkout of it is given", self.input)
    }
}

/// The input whose absence is the cause of `message`, if one is.
pub(super) fn needed<'a>(message: &str, absent: &'a [Absent], place: &str) -> Option<&'a str> {
    let meant = |absent: &&Absent| {
        // What follows tells a name from one that begins with it.
        let file = format!("{place}/{}", absent.dir);
        let path = message.match_indices(&file).any(|(at, _)| {
            let next = message[at + file.len()..].chars().next();
            next.is_none_or(|next| !next.is_alphanumeric() && next != '-' && next != '_')
        });
        path || message.contains(&absent.message())
    };
    absent.iter().find(meant).map(|absent| absent.input.as_str())
}

/// Whether an input of the flake with this lock file is a folder, and not a flake.
pub(super) fn is_folder(locks: &Value, input: &str) -> bool {
    let root = locks["root"].as_str().unwrap_or("root");
    let node =
        input.split('/').try_fold(root, |node, name| locks["nodes"][node]["inputs"][name].as_str());
    node.is_some_and(|node| locks["nodes"][node]["flake"] == false)
}

/// The nodes of a lock file, by the names that lead to them from the flake that is checked.
fn inputs(locks: &Value) -> Vec<(String, String)> {
    let nodes = &locks["nodes"];
    let edges = |node: &str| {
        let inputs = nodes[node]["inputs"].as_object().into_iter().flatten();
        // An array is the way to a node that another edge leads to.
        inputs.filter_map(|(name, to)| Some((name.clone(), to.as_str()?.to_owned())))
    };
    let root = locks["root"].as_str().unwrap_or("root");
    let checked = edges(root).find(|(name, _)| name == CHECKED);
    let mut todo: VecDeque<(String, String)> = VecDeque::new();
    todo.extend(checked.map(|(_, node)| (String::new(), node)));
    let (mut found, mut seen) = (Vec::new(), Vec::new());
    while let Some((path, node)) = todo.pop_front() {
        for (name, to) in edges(&node) {
            let path = if path.is_empty() { name } else { format!("{path}/{name}") };
            found.push((path.clone(), to.clone()));
            if !seen.contains(&to) {
                seen.push(to.clone());
                todo.push_back((path, to));
            }
        }
    }
    found
}

/// The names of the inputs, as `--override-input` takes them.
pub(super) fn input_names(locks: &Value) -> Vec<String> {
    let nodes = &locks["nodes"];
    let direct = locks["root"].as_str().and_then(|root| nodes[root]["inputs"][CHECKED].as_str());
    // Those that follow others as well: they have names too.
    let followers = direct.and_then(|node| nodes[node]["inputs"].as_object()).into_iter().flatten();
    let mut names: Vec<_> = inputs(locks).into_iter().map(|(name, _)| name).collect();
    names.extend(followers.map(|(name, _)| name.clone()));
    names.sort();
    names.dedup();
    names
}

/// The inputs that would have to be fetched.
pub(super) fn absent(locks: &Value) -> Vec<Absent> {
    let mut absent: Vec<Absent> = Vec::new();
    for (input, node) in inputs(locks) {
        let locked = &locks["nodes"][&node]["locked"];
        let text = |name: &str| locked[name].as_str().unwrap_or_default();
        let here = text("type") == "path" || text("url").starts_with("file:");
        if !here && !absent.iter().any(|absent| absent.node == node) {
            let plain =
                |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' };
            let dir = format!("{}-{}", absent.len(), input.chars().map(plain).collect::<String>());
            absent.push(Absent { node, input, dir });
        }
    }
    absent
}

/// The lock file with folders of `place` where inputs are absent.
pub(super) fn locks(mut locks: Value, absent: &[Absent], place: &Source) -> Value {
    for Absent { node, dir, .. } in absent {
        let locked = json!({
            "type": "path",
            "path": place.store_path,
            "narHash": place.nar_hash,
            "lastModified": place.last_modified.unwrap_or(1),
            "dir": dir,
        });
        if let Some(node) = locks["nodes"].get_mut(node).and_then(Value::as_object_mut) {
            node.insert("locked".to_owned(), locked);
            // What it would need itself is nobody's business.
            node.insert("inputs".to_owned(), Value::Object(Map::new()));
        }
    }
    locks
}

/// A list of strings in the Nix language.
pub(super) fn list(words: &[String]) -> String {
    let words: Vec<_> = words.iter().map(|word| string(word)).collect();
    format!("[ {} ]", words.join(" "))
}

/// A string in the Nix language.
pub(super) fn string(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "\\${");
    format!("\"{escaped}\"")
}

/// An attribute path as a person would write it.
pub(super) fn attribute(path: &[String]) -> String {
    let plain = |name: &str| {
        let mut chars = name.chars();
        let first = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        first && chars.all(|c| c.is_ascii_alphanumeric() || "_-'".contains(c))
    };
    let name = |name: &String| if plain(name) { name.clone() } else { string(name) };
    path.iter().map(name).collect::<Vec<_>>().join(".")
}

/// The folders that overrides lead to, by what `--override-input` of the flake around it takes.
pub(super) fn from_around(overrides: &BTreeMap<String, Source>) -> BTreeMap<String, Source> {
    overrides.iter().map(|(name, source)| (format!("{CHECKED}/{name}"), source.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock() -> Value {
        let github = |rev: &str| json!({"type": "github", "rev": rev});
        json!({"root": "root", "version": 7, "nodes": {
            "root": {"inputs": {"checked": "checked"}},
            "checked": {
                "inputs": {"nixpkgs": "nixpkgs", "deploy-rs": "deploy-rs", "same": ["nixpkgs"]},
                "locked": {"type": "path"},
            },
            "nixpkgs": {"locked": {"type": "path", "path": "/nix/store/x-source"}},
            "deploy-rs": {
                "inputs": {"utils": "utils", "nixpkgs": ["checked", "nixpkgs"]},
                "locked": github("d"),
            },
            "utils": {"inputs": {"systems": "systems"}, "locked": github("u"), "flake": false},
            "systems": {"locked": {"type": "git", "url": "file:///srv/systems"}},
        }})
    }

    #[test]
    fn what_would_be_fetched_is_absent_and_nothing_else() {
        let names: Vec<_> = absent(&lock()).into_iter().map(|absent| absent.input).collect();
        assert_eq!(names, ["deploy-rs", "deploy-rs/utils"]);
        let known = ["deploy-rs", "deploy-rs/utils", "deploy-rs/utils/systems", "nixpkgs", "same"];
        assert_eq!(input_names(&lock()), known);
        assert_eq!(absent(&json!({})), []);
    }

    #[test]
    fn absent_inputs_are_told_by_name() {
        let absent = absent(&lock());
        let place = "/nix/store/y-source";
        let [(_, flake), (_, default)] = absent[0].files();
        assert!(flake.contains("the input deploy-rs is needed") && default.starts_with("throw "));
        assert_eq!(needed(&default, &absent, place), Some("deploy-rs"));
        let missing = format!("path '{place}/1-deploy-rs-utils/overlay.nix' does not exist");
        assert_eq!(needed(&missing, &absent, place), Some("deploy-rs/utils"));
        assert_eq!(needed("something else", &absent, place), None);

        let source = Source {
            store_path: place.to_owned(),
            nar_hash: "sha256-a".to_owned(),
            revision: None,
            last_modified: None,
            dir: None,
        };
        let locks = locks(lock(), &absent, &source);
        assert_eq!(locks["nodes"]["utils"]["locked"]["dir"], "1-deploy-rs-utils");
        assert_eq!(locks["nodes"]["utils"]["flake"], false);
        assert_eq!(locks["nodes"]["nixpkgs"], lock()["nodes"]["nixpkgs"]);
    }

    #[test]
    fn folders_are_told_from_flakes() {
        assert!(is_folder(&lock(), "checked/deploy-rs/utils"));
        for flake in ["checked/deploy-rs", "checked/deploy-rs/nixpkgs", "absent"] {
            assert!(!is_folder(&lock(), flake), "{flake}");
        }
    }

    #[test]
    fn names_are_quoted_where_they_must_be() {
        let path = ["packages", "x86_64-linux", "a.b", "2", "${x}\"\\"].map(str::to_owned);
        assert_eq!(attribute(&path), r#"packages.x86_64-linux."a.b"."2"."\${x}\"\\""#);
        assert_eq!(list(&path[..2]), r#"[ "packages" "x86_64-linux" ]"#);
    }
}
