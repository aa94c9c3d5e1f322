//! `flake.lock`: which revision of each input a flake is evaluated with.
//!
//! The file is a graph. Its nodes are locked sources; an edge is an input, and names a node, or
//! *follows* another input, whose node it then is. An input has a path, such as
//! `nixos-wsl/nixpkgs`: the names on the way to it, from the flake itself. Whoever writes such a
//! file need not mean well, so a path is followed for a limited number of steps, and every node is
//! entered once.

mod diff;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
};

use image_host::epoch::date;
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::{Map, Value, json};

pub use self::diff::{Change, diff};

/// Version of the format. Nix has written it since flakes have follows, and nothing else.
const VERSION: u64 = 7;

/// Longest path that is followed, in names. Real ones have up to five.
const MAX_NAMES: usize = 30;

/// How often a path may lead to an input that follows another. Real files need two or three.
const MAX_HOPS: usize = 30;

/// Longest name of an input or a node, in bytes.
const MAX_NAME: usize = 200;

/// How many inputs all nodes may have together. Each is told by its path, so this and the limits
/// above say how much memory a file can take.
const MAX_INPUTS: usize = 10_000;

/// The last second of the year 9999. Nix writes the time of a commit; what is later is none.
const MAX_TIME: u64 = image_host::epoch::LAST;

/// Hexadecimal digits of a revision that people are shown.
const SHORT: usize = 12;

/// A lock file that makes sense: what its inputs name is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockFile {
    json: Value,
    root: String,
    nodes: BTreeMap<String, Node>,
}

/// One source, and its own inputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    /// Absent in the root, which is the flake itself.
    locked: Option<Locked>,
    inputs: BTreeMap<String, Edge>,
}

/// What an input is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Edge {
    Node(String),
    /// The path of another input. An empty one means the flake itself.
    Follows(Vec<String>),
}

/// What a source is locked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// The commit; absent where the source is a folder or an archive.
    pub rev: Option<String>,
    /// NAR hash of the files, in SRI form.
    pub nar_hash: Option<String>,
    /// When that was committed, in seconds since 1970.
    pub last_modified: Option<u64>,
    /// The source without its revision, as people write it: `github:NixOS/nixpkgs`.
    pub source: String,
    /// All that the file says, for comparing.
    attributes: Map<String, Value>,
}

/// An input, by its path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Input {
    /// `nixpkgs`, `nixos-wsl/flake-compat`.
    #[serde(rename = "input")]
    pub path: String,
    /// What it is.
    #[serde(flatten)]
    pub pin: Pin,
}

/// What an input is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin {
    /// A source of its own.
    Locked(Locked),
    /// Another input of this path. It is empty for the flake itself.
    Follows(String),
}

/// The file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// It is not JSON.
    #[error("is not JSON: {0}")]
    Json(String),
    /// It is JSON, and not a lock file.
    #[error("is not a lock file: {0}")]
    Shape(String),
    /// Another version of the format.
    #[error(
        "is a lock file of version {found}, and only version {VERSION} is understood: Nix writes \
         it anew with `nix flake lock`"
    )]
    Version {
        /// What it says.
        found: String,
    },
    /// An input is a node that is not there.
    #[error("is broken: the input {input} is the node {node:?}, which is not there")]
    NoNode {
        /// Path of the input.
        input: String,
        /// Name of the node.
        node: String,
    },
    /// An input follows one that is not there.
    #[error("is broken: the input {input} follows {target}, which is not there")]
    NoInput {
        /// Path of the input.
        input: String,
        /// Path of what is not there.
        target: String,
    },
    /// Inputs follow each other, or further than anybody needs.
    #[error("is broken: the input {input} follows others in a circle")]
    Circle {
        /// Path of the input.
        input: String,
    },
}

/// The lock of a flake without inputs.
impl Default for LockFile {
    fn default() -> Self {
        let json = json!({ "nodes": { "root": {} }, "root": "root", "version": VERSION });
        Self::from_json(json).expect("it is one")
    }
}

impl LockFile {
    /// Reads the text of a lock file.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        let json = serde_json::from_str(text).map_err(|e| LockError::Json(e.to_string()))?;
        Self::from_json(json)
    }

    /// The same of its JSON, which is also in the answer of `nix flake metadata`.
    pub fn from_json(json: Value) -> Result<Self, LockError> {
        let shape = |what: &str| LockError::Shape(what.to_owned());
        let object = json.as_object().ok_or_else(|| shape("it is no object"))?;
        match object.get("version") {
            Some(version) if version.as_u64() == Some(VERSION) => {}
            Some(version) => {
                return Err(LockError::Version { found: version.to_string() });
            }
            None => return Err(shape("it has no version")),
        }
        let root = object.get("root").and_then(Value::as_str);
        let root = root.ok_or_else(|| shape("it names no root"))?.to_owned();
        let nodes = object.get("nodes").and_then(Value::as_object);
        let nodes = nodes.ok_or_else(|| shape("it has no nodes"))?;
        if nodes.keys().any(|name| name.len() > MAX_NAME) {
            return Err(shape(&format!("a node has a name of more than {MAX_NAME} bytes")));
        }
        let nodes = nodes.iter().map(|(name, node)| Ok((name.clone(), Node::read(name, node)?)));
        let nodes = nodes.collect::<Result<BTreeMap<_, _>, LockError>>()?;
        if nodes.values().map(|node| node.inputs.len()).sum::<usize>() > MAX_INPUTS {
            return Err(shape(&format!("it has more than {MAX_INPUTS} inputs")));
        }
        let lock = Self { root, nodes, json };
        if !lock.nodes.contains_key(&lock.root) {
            return Err(shape("its root is not there"));
        }
        lock.check()?;
        Ok(lock)
    }

    /// All inputs, of the flake and of its inputs, sorted by their paths. What several inputs
    /// share is told of the first of them.
    pub fn inputs(&self) -> Vec<Input> {
        let pin = |edge: &Edge| match edge {
            Edge::Follows(target) => Some(Pin::Follows(target.join("/"))),
            Edge::Node(name) => {
                self.nodes.get(name).and_then(|node| node.locked.clone()).map(Pin::Locked)
            }
        };
        let input =
            |(path, edge): (Vec<_>, _)| Some(Input { path: path.join("/"), pin: pin(edge)? });
        let mut inputs: Vec<_> = self.edges().into_iter().filter_map(input).collect();
        inputs.sort_by(|a, b| a.path.cmp(&b.path));
        inputs
    }

    /// What the file says, whole.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// The same, of a file that nobody needs any more.
    pub fn into_json(self) -> Value {
        self.json
    }

    /// Every input names what is there.
    fn check(&self) -> Result<(), LockError> {
        self.edges().iter().try_for_each(|(path, edge)| match edge {
            Edge::Node(name) if self.nodes.contains_key(name) => Ok(()),
            Edge::Node(name) => {
                Err(LockError::NoNode { input: path.join("/"), node: name.clone() })
            }
            Edge::Follows(target) => self.follow(path, target),
        })
    }

    /// All inputs with their paths, breadth first, so that what is shared is reached on its
    /// shortest path. A node is entered once, so this ends.
    fn edges(&self) -> Vec<(Vec<String>, &Edge)> {
        let mut edges = Vec::new();
        let mut seen = BTreeSet::from([&self.root]);
        let mut queue = VecDeque::from([(Vec::new(), &self.root)]);
        while let Some((path, name)) = queue.pop_front() {
            for (input, edge) in self.nodes.get(name).iter().flat_map(|node| &node.inputs) {
                let path = [&path[..], std::slice::from_ref(input)].concat();
                if let Edge::Node(next) = edge
                    && path.len() < MAX_NAMES
                    && seen.insert(next)
                {
                    queue.push_back((path.clone(), next));
                }
                edges.push((path, edge));
            }
        }
        edges
    }

    /// Goes the way that `target` names, for the input `from`.
    fn follow(&self, from: &[String], target: &[String]) -> Result<(), LockError> {
        let input = || from.join("/");
        let mut way: VecDeque<&String> = target.iter().collect();
        let mut at = &self.root;
        let mut hops = 0;
        while let Some(name) = way.pop_front() {
            match self.nodes.get(at).and_then(|node| node.inputs.get(name)) {
                Some(Edge::Node(next)) => at = next,
                Some(Edge::Follows(_)) if hops == MAX_HOPS => {
                    return Err(LockError::Circle { input: input() });
                }
                Some(Edge::Follows(target)) => {
                    hops += 1;
                    at = &self.root;
                    target.iter().rev().for_each(|name| way.push_front(name));
                }
                None => {
                    return Err(LockError::NoInput { input: input(), target: target.join("/") });
                }
            }
            if way.len() > MAX_NAMES {
                return Err(LockError::Circle { input: input() });
            }
        }
        Ok(())
    }
}

impl Node {
    fn read(name: &str, json: &Value) -> Result<Self, LockError> {
        let shape = |what: String| LockError::Shape(format!("the node {name:?} {what}"));
        let object = json.as_object().ok_or_else(|| shape("is no object".to_owned()))?;
        let mut inputs = BTreeMap::new();
        for (input, edge) in object.get("inputs").and_then(Value::as_object).into_iter().flatten() {
            // Names are shown to people, and `/` is between them.
            if input.is_empty() || input.contains(|c: char| c.is_control() || c == '/') {
                return Err(shape(format!("has an input called {input:?}")));
            }
            if input.len() > MAX_NAME {
                return Err(shape(format!(
                    "has an input with a name of more than {MAX_NAME} bytes"
                )));
            }
            let name = |name: &Value| {
                Some(name.as_str().filter(|name| name.len() <= MAX_NAME)?.to_owned())
            };
            let names = |path: &Vec<Value>| path.iter().map(name).collect::<Option<Vec<_>>>();
            let edge = match edge {
                Value::String(_) => name(edge).map(Edge::Node),
                Value::Array(path) if path.len() <= MAX_NAMES => names(path).map(Edge::Follows),
                _ => None,
            };
            let edge =
                edge.ok_or_else(|| shape(format!("has an input {input} that is nothing")))?;
            inputs.insert(input.clone(), edge);
        }
        let locked = match object.get("locked") {
            None => None,
            Some(Value::Object(locked)) => Some(Locked::read(locked).map_err(shape)?),
            Some(_) => return Err(shape("is not locked to an object".to_owned())),
        };
        Ok(Self { locked, inputs })
    }
}

impl Locked {
    fn read(attributes: &Map<String, Value>) -> Result<Self, String> {
        let text = |key: &str| match attributes.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if !text.contains(char::is_control) => Ok(Some(text.clone())),
            Some(_) => Err(format!("is locked to a {key} that is none")),
        };
        let last_modified = match attributes.get("lastModified") {
            None => None,
            Some(time) => match time.as_u64().filter(|time| *time <= MAX_TIME) {
                Some(time) => Some(time),
                None => return Err(format!("was last modified at {time}, which is no time")),
            },
        };
        let rev = text("rev")?;
        if rev.as_ref().is_some_and(|rev| !rev.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            return Err("is locked to a revision that is none".to_owned());
        }
        let kind = text("type")?.unwrap_or_default();
        let source = match (text("owner")?, text("repo")?, text("url")?, text("path")?) {
            (Some(owner), Some(repo), ..) => format!("{kind}:{owner}/{repo}"),
            // Nix writes `git` and a URL for what people write as `git+https://…`.
            (_, _, Some(url), _) => format!("{kind}+{url}"),
            (_, _, _, Some(path)) => format!("{kind}:{path}"),
            _ => kind,
        };
        let nar_hash = text("narHash")?;
        Ok(Self { rev, nar_hash, last_modified, source, attributes: attributes.clone() })
    }

    /// True for a nixpkgs of its project, wherever it comes from.
    pub fn is_nixpkgs(&self) -> bool {
        let source = self.source.to_ascii_lowercase();
        source == "github:nixos/nixpkgs"
            || ["github.com/nixos/nixpkgs", "channels.nixos.org/", "releases.nixos.org/nix"]
                .iter()
                .any(|place| source.contains(place))
    }

    /// The day of the commit in UTC, as `2026-07-10`.
    pub fn date(&self) -> Option<String> {
        self.last_modified.map(date)
    }

    /// The revision, or else the NAR hash, as much of it as people compare.
    pub fn short(&self) -> String {
        match (&self.rev, &self.nar_hash) {
            (Some(rev), _) => rev.chars().take(SHORT).collect(),
            (None, Some(hash)) => short_hash(hash),
            (None, None) => "?".to_owned(),
        }
    }
}

/// `sha256-` and as many characters as a revision has.
fn short_hash(hash: &str) -> String {
    hash.chars().take("sha256-".len() + SHORT).collect()
}

/// `5880666fd9eb (2026-08-20)`.
impl fmt::Display for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())?;
        self.date().map_or(Ok(()), |date| write!(f, " ({date})"))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked(locked) => locked.fmt(f),
            Self::Follows(path) if path.is_empty() => f.write_str("follows the flake itself"),
            Self::Follows(path) => write!(f, "follows {path}"),
        }
    }
}

impl Serialize for Pin {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        match self {
            Self::Follows(path) => map.serialize_entry("follows", path)?,
            Self::Locked(locked) => {
                map.serialize_entry("source", &locked.source)?;
                let texts = [("revision", &locked.rev), ("narHash", &locked.nar_hash)];
                for (key, value) in texts {
                    if let Some(value) = value {
                        map.serialize_entry(key, value)?;
                    }
                }
                if let Some(time) = locked.last_modified {
                    map.serialize_entry("lastModified", &time)?;
                    map.serialize_entry("date", &date(time))?;
                }
            }
        }
        map.end()
    }
}
