//! What moved between two lock files.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::{LockFile, Locked, Pin, short_hash};

/// One input that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "change")]
pub enum Change {
    /// It is another source, or another revision.
    Moved {
        /// Path of the input.
        input: String,
        /// What it was.
        from: Pin,
        /// What it is.
        to: Pin,
    },
    /// It was not there.
    Added {
        /// Path of the input.
        input: String,
        /// What it is.
        to: Pin,
    },
    /// It is not there any more.
    Removed {
        /// Path of the input.
        input: String,
        /// What it was.
        from: Pin,
    },
}

/// What is in `new` another than in `old`, sorted by the paths of the inputs.
pub fn diff(old: &LockFile, new: &LockFile) -> Vec<Change> {
    let pins = |lock: &LockFile| -> BTreeMap<String, Pin> {
        lock.inputs().into_iter().map(|input| (input.path, input.pin)).collect()
    };
    let (mut old, new) = (pins(old), pins(new));
    let mut changes = Vec::new();
    for (input, to) in new {
        match old.remove(&input) {
            None => changes.push(Change::Added { input, to }),
            Some(from) if from != to => changes.push(Change::Moved { input, from, to }),
            Some(_) => {}
        }
    }
    changes.extend(old.into_iter().map(|(input, from)| Change::Removed { input, from }));
    changes.sort_by(|a, b| a.input().cmp(b.input()));
    changes
}

impl Change {
    /// Path of the input.
    pub fn input(&self) -> &str {
        match self {
            Self::Moved { input, .. } | Self::Added { input, .. } | Self::Removed { input, .. } => {
                input
            }
        }
    }
}

/// What happened to the input, without its path: `8f0500b96605 (2026-07-10) → …`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { to, .. } => write!(f, "added: {to}"),
            Self::Removed { from, .. } => write!(f, "removed: {from}"),
            Self::Moved { from: Pin::Locked(from), to: Pin::Locked(to), .. } => moved(from, to, f),
            Self::Moved { from, to, .. } => write!(f, "{from} → {to}"),
        }
    }
}

/// Says as much of both as it takes to tell them apart.
fn moved(from: &Locked, to: &Locked, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if from.source != to.source {
        write!(f, "{} {from} → {} {to}", from.source, to.source)
    } else if from.to_string() != to.to_string() {
        write!(f, "{from} → {to}")
    } else {
        let hash = |locked: &Locked| locked.nar_hash.as_deref().map_or("?".to_owned(), short_hash);
        write!(f, "{from} {} → {to} {}", hash(from), hash(to))
    }
}
