//! Why Nix refused.
//!
//! `nix build` exits with 1 whatever happened, so the reason is in the words. They differ between
//! releases; each pattern below says which release writes it. What no pattern knows is told as Nix
//! tells it.

use std::fmt::Write as _;

use crate::log::{Level, Log, Message};

/// Why Nix refused. `Display` is the whole story, for people: one or more lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// A builder ran, and failed.
    #[error("{derivation}: {reason}{}", excerpt(last_lines, log_command))]
    Build {
        /// The derivation that failed itself, not the one that was asked for.
        derivation: String,
        /// What Nix says of it: `builder failed with exit code 3`.
        reason: String,
        /// The last lines of its log, at most [`TAIL_LINES`](crate::log::TAIL_LINES).
        last_lines: Vec<String>,
        /// The command that shows all of them.
        log_command: String,
    },
    /// A builder ran, and took too long.
    #[error("{derivation}: {reason}{}", excerpt(last_lines, log_command))]
    Timeout {
        /// The derivation.
        derivation: String,
        /// What Nix says of it: `timed out after 60 seconds`.
        reason: String,
        /// The last lines of its log.
        last_lines: Vec<String>,
        /// The command that shows all of them.
        log_command: String,
    },
    /// A builder ran again, and made something else.
    #[error("{derivation} may not be deterministic: {output} differs")]
    NotDeterministic {
        /// The derivation.
        derivation: String,
        /// The first of its outputs that is another one, where its files are.
        output: String,
    },
    /// Bytes are not the ones that were agreed on.
    #[error("hash mismatch in {what}\n  specified: {specified}\n  got:       {got}")]
    HashMismatch {
        /// The derivation, or the file that was downloaded.
        what: String,
        /// What the expression says.
        specified: String,
        /// What there is.
        got: String,
    },
    /// Something must be downloaded, and cannot be.
    #[error("no network: {message}")]
    Network {
        /// What Nix says.
        message: String,
    },
    /// The flake could not be evaluated.
    #[error("evaluation failed: {message}")]
    Evaluation {
        /// What Nix says, with its trace.
        message: String,
    },
    /// The flake uses a feature of Nix that is off. The two for flakes are always on.
    #[error(
        "the flake needs the experimental feature {feature} of Nix: \
         --nix-option extra-experimental-features {feature}"
    )]
    ExperimentalFeature {
        /// Its name.
        feature: String,
    },
    /// No machine has what the build asks for.
    #[error("{derivation} needs a machine with {required}; this one has {available}")]
    SystemFeatures {
        /// The derivation.
        derivation: String,
        /// Features, separated by commas.
        required: String,
        /// Features, separated by commas.
        available: String,
    },
    /// No machine is of the kind that the build asks for.
    #[error(
        "{derivation} needs a machine of the system {required}; this one is {available}. A remote \
         builder (--builders), or binfmt and --nix-option extra-platforms {required}, can build it"
    )]
    Platform {
        /// The derivation.
        derivation: String,
        /// `aarch64-linux`.
        required: String,
        /// `x86_64-linux`.
        available: String,
    },
    /// There is no such flake.
    #[error("there is no flake: {message}")]
    Flake {
        /// What Nix says.
        message: String,
    },
    /// The flake has no such attribute.
    #[error("the flake has no attribute {attribute}{}", known_names(known.as_deref()))]
    Attribute {
        /// What was asked for.
        attribute: String,
        /// What there is instead, where that could be found out.
        known: Option<Box<Known>>,
    },
    /// The attribute is there, and cannot be built.
    #[error("the attribute is not a derivation: {message}")]
    NotADerivation {
        /// What Nix says.
        message: String,
    },
    /// The flake is not locked, or not as its inputs say.
    #[error(
        "the lock file of the flake is missing or not up to date; `nix flake lock` in its folder \
         writes it: {message}"
    )]
    LockFile {
        /// What Nix says.
        message: String,
    },
    /// Nix may not use its store, or does not reach the daemon that may.
    #[error(
        "Nix cannot use its store: {message}\nan ordinary user needs the daemon, and the group that \
         may speak to it (Debian: nix-setup-systemd, nix-users), or a store of their own"
    )]
    Store {
        /// What Nix says.
        message: String,
    },
    /// Anything else.
    #[error("{message}")]
    Other {
        /// What Nix says.
        message: String,
    },
}

/// What is there where an attribute is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The longest part of the attribute path that exists.
    pub parent: String,
    /// The names below it.
    pub names: Vec<String>,
    /// The one that was missing.
    pub missing: String,
}

/// Longer lists of names are cut.
const MAX_NAMES: usize = 20;

fn known_names(known: Option<&Known>) -> String {
    let Some(Known { parent, names, missing }) = known else { return String::new() };
    let mut text = match names.len() {
        0 => format!(": {parent} is empty"),
        count => {
            let shown = names[..count.min(MAX_NAMES)].join(", ");
            let more = if count > MAX_NAMES { ", …" } else { "" };
            format!(": {parent} has {shown}{more}")
        }
    };
    let distance = |name: &&String| strsim::damerau_levenshtein(name, missing);
    // A name that shares less than half of its letters is not what was meant.
    let near = names.iter().min_by_key(distance).filter(|name| distance(name) * 2 <= missing.len());
    if let Some(name) = near {
        let _ = write!(text, "; did you mean {name}?");
    }
    text
}

fn excerpt(last_lines: &[String], log_command: &str) -> String {
    let mut text = String::new();
    if !last_lines.is_empty() {
        let _ = write!(text, "\nthe last {} lines of its log:", last_lines.len());
    }
    for line in last_lines {
        let _ = write!(text, "\n  {line}");
    }
    let _ = write!(text, "\nall of it: {log_command}");
    text
}

/// Recognises one class of failures in one message.
type Class<'a> = dyn Fn(&Message) -> Option<Failure> + 'a;

/// Finds out from what Nix said why it refused. `store` is what `--store` was.
pub fn classify(log: &Log, store: Option<&str>) -> Failure {
    let errors: Vec<&Message> = log.messages().filter(|m| m.level == Level::Error).collect();
    // The first message is the cause, later ones are what it led to; but some first messages are
    // only hints, so each class is looked for in all of them, the most telling class first.
    let classes: [&Class<'_>; 6] = [
        &|message| not_deterministic(&message.text),
        &|message| hash_mismatch(&message.text),
        &|message| missing_feature(&message.text),
        &|message| network(&message.text),
        &|message| builder(message, log, store),
        &|message| flake(message),
    ];
    let known = classes.iter().find_map(|class| errors.iter().find_map(|message| class(message)));
    if let Some(failure) = known {
        return failure;
    }
    // `(use '--show-trace' …)` is a message of its own up to 2.16.
    let told = errors.iter().find(|message| !message.text.starts_with("(use '--show-trace'"));
    let Some(told) = told else {
        // Not a word of Nix: what other programs said has to do.
        let words: Vec<_> = log.messages().map(|message| message.full.as_str()).collect();
        let message = match words.len() {
            0 => "Nix failed and did not say why".to_owned(),
            count => words[count.saturating_sub(crate::log::TAIL_LINES)..].join("\n"),
        };
        return Failure::Other { message };
    };
    let message = without_prefix(&told.full);
    let store_words =
        ["/daemon-socket/", "/var/nix", "/nix/store", "opening lock file", "db.sqlite"];
    let denied = ["Permission denied", "Operation not permitted", "Read-only file system"];
    let refused = ["cannot connect to", "cannot open connection to remote store"];
    if contains_any(&message, &refused)
        || contains_any(&message, &denied) && contains_any(&message, &store_words)
    {
        Failure::Store { message }
    } else if log.last_build().is_none() {
        // Nothing was built yet, so it was the evaluation.
        Failure::Evaluation { message }
    } else {
        Failure::Other { message }
    }
}

fn contains_any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.contains(word))
}

/// `error: x`, and `error:\n       … trace`, without the first word, and without the
/// indentation that this word gives to the rest.
fn without_prefix(full: &str) -> String {
    let text = full.trim().strip_prefix("error:").unwrap_or(full).trim();
    text.lines()
        .map(|line| line.strip_prefix("       ").unwrap_or(line))
        .collect::<Vec<_>>()
        .join("\n")
}

/// What is between `before` and the next `after`.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = &text[text.find(before)? + before.len()..];
    Some(&rest[..rest.find(after)?])
}

/// What follows `label` on its line.
fn labelled(text: &str, label: &str) -> Option<String> {
    text.lines().find_map(|line| Some(line.trim().strip_prefix(label)?.trim().to_owned()))
}

fn not_deterministic(text: &str) -> Option<Failure> {
    // `output 'PATH' differs from 'PATH.check'`, or without the other path where nothing is kept;
    // in double quotes by 2.34.
    let (derivation, output) = text.split_once(" may not be deterministic: output ")?;
    let derivation = between(derivation, "derivation '", "'")?.to_owned();
    let quote = output.chars().next().filter(|quote| ['\'', '"'].contains(quote))?;
    let output = output.split(quote).nth(1)?.to_owned();
    Some(Failure::NotDeterministic { derivation, output })
}

fn hash_mismatch(text: &str) -> Option<Failure> {
    // Releases around 2.26 show both inputs whole: `mismatch in field 'narHash' of input '{…}', got
    // '{…}'`.
    if let Some((_, inputs)) = text.split_once("mismatch in field 'narHash' of input ") {
        let (specified, got) = inputs.split_once(", got ")?;
        let value = |input: &str, key: &str| {
            between(input, &format!("\"{key}\":\""), "\"").map(str::to_owned)
        };
        let named = ["path", "url", "repo"].iter().find_map(|key| value(specified, key));
        let what = named.unwrap_or_else(|| "an input of the flake".to_owned());
        let (specified, got) = (value(specified, "narHash")?, value(got, "narHash")?);
        return Some(Failure::HashMismatch { what, specified, got });
    }
    if !text.contains("hash mismatch") {
        return None;
    }
    let (specified, got) = match (labelled(text, "specified:"), labelled(text, "got:")) {
        (Some(specified), Some(got)) => (specified, got),
        // Of an input of the flake: `NAR hash mismatch in input '…' (…), expected '…', got '…'`.
        _ => {
            (between(text, "expected '", "'")?.to_owned(), between(text, "got '", "'")?.to_owned())
        }
    };
    let what = between(text, "'", "'")?.to_owned();
    Some(Failure::HashMismatch { what, specified, got })
}

fn missing_feature(text: &str) -> Option<Failure> {
    // `experimental Nix feature 'flakes' is disabled`; Lix names itself.
    if text.contains("experimental ") && text.contains("' is disabled") {
        let feature = between(text, " feature '", "'")?.to_owned();
        return Some(Failure::ExperimentalFeature { feature });
    }
    // Each half is `a 'SYSTEM' with features {FEATURES}`.
    let machine = |text: &str| {
        let system = between(text, "'", "'")?.to_owned();
        let features = between(text, "{", "}").unwrap_or_default().to_owned();
        Some((system, features))
    };
    // Up to 2.29, and Lix: `a … is required to build 'DRV', but I am a …`.
    if let Some((required, ours)) = text.split_once(", but I am ") {
        let derivation = between(required, "is required to build '", "'")?.to_owned();
        return Some(missing_machine(derivation, machine(required)?, machine(ours)?));
    }
    // From 2.30 on: `Cannot build 'DRV'.`, then a reason, then what is required and what there is,
    // in one line or in two.
    let derivation = between(text, "Cannot build '", "'")?.to_owned();
    let line = |label: &str| text.lines().find(|line| line.trim().starts_with(label));
    let (system, current) = (line("Required system:"), line("Current system:"));
    let (features, available) = (line("Required features:"), line("Available features:"));
    match (system.zip(current), features.zip(available)) {
        (Some((required, ours)), _) => {
            Some(missing_machine(derivation, machine(required)?, machine(ours)?))
        }
        (None, Some((required, available))) => Some(Failure::SystemFeatures {
            derivation,
            required: between(required, "{", "}")?.to_owned(),
            available: between(available, "{", "}")?.to_owned(),
        }),
        (None, None) => None,
    }
}

fn missing_machine(
    derivation: String,
    required: (String, String),
    ours: (String, String),
) -> Failure {
    if required.0 == ours.0 {
        Failure::SystemFeatures { derivation, required: required.1, available: ours.1 }
    } else {
        Failure::Platform { derivation, required: required.0, available: ours.0 }
    }
}

/// What curl (in Nix and as a builder) and Git say when there is no way to the other machine.
const UNREACHABLE: &[&str] = &[
    "Couldn't resolve host",
    "Could not resolve host",
    "Couldn't connect to server",
    "Could not connect to server",
    "Failed to connect to",
    "Connection refused",
    "Network is unreachable",
    "No route to host",
    "Timeout was reached",
    "Connection timed out",
    "Temporary failure in name resolution",
];

fn network(text: &str) -> Option<Failure> {
    let downloads = ["unable to download", "unable to access", "curl: ("];
    let here = contains_any(text, &downloads) && contains_any(text, UNREACHABLE);
    // Nix gives the output of Git as it was, without telling whose it is.
    let ssh = text.contains("ssh: ") && contains_any(text, UNREACHABLE);
    (here || ssh).then(|| Failure::Network { message: without_prefix(text) })
}

fn builder(message: &Message, log: &Log, store: Option<&str>) -> Option<Failure> {
    let text = &message.text;
    let timed_out = text.contains("timed out after ");
    // Up to 2.29, and Lix: `builder for 'DRV' failed with exit code 3`, `… due to signal 9`, `…
    // failed to produce output path 'PATH'`. From 2.30 on: `Cannot build 'DRV'.\nReason: ….`.
    let (derivation, reason) = if timed_out {
        // Up to 2.29: `building of 'DRV!out' from .drv file timed out after 2 seconds`. Later
        // releases do not name it.
        let named = between(text, "'", ".drv").map(|path| format!("{path}.drv"));
        let named = named.or_else(|| log.last_build().map(str::to_owned))?;
        (named, text[text.find("timed out after ")?..].lines().next()?.to_owned())
    } else if let Some(derivation) = between(text, "builder for '", "'") {
        let said = between(text, &format!("{derivation}' "), "\n");
        let said = said.or_else(|| text.split_once(&format!("{derivation}' ")).map(|s| s.1))?;
        (derivation.to_owned(), format!("builder {}", said.trim_end_matches([';', ':'])))
    } else {
        let derivation = between(text, "Cannot build '", "'")?;
        let reason = labelled(text, "Reason: ")?;
        // What it led to is told of the derivations above it.
        if reason.contains("dependenc") {
            return None;
        }
        (derivation.to_owned(), reason.trim_end_matches('.').to_owned())
    };
    let last_lines = log.tail(&derivation);
    // A builder that downloads, Nix's own among them.
    if let Some(network) = last_lines.iter().find_map(|line| network(line)) {
        return Some(network);
    }
    let store = store.map_or_else(String::new, |store| format!(" --store '{store}'"));
    let log_command = format!("nix log{store} {derivation}");
    Some(if timed_out {
        Failure::Timeout { derivation, reason, last_lines, log_command }
    } else {
        Failure::Build { derivation, reason, last_lines, log_command }
    })
}

fn flake(message: &Message) -> Option<Failure> {
    let text = &message.text;
    let said = || without_prefix(text);
    if text.contains("does not provide attribute") {
        // The names that were tried: with prefixes, the one that was asked for last.
        let tried = text.split_once("does not provide attribute")?.1;
        let attribute = tried.split('\'').nth_back(1)?.to_owned();
        return Some(Failure::Attribute { attribute, known: None });
    }
    if text.contains("requires lock file changes") || text.contains("is not allowed to update") {
        return Some(Failure::LockFile { message: said() });
    }
    let not_a_derivation = [
        // 2.8; later releases; a string that is no path (2.16 and later).
        "is not a derivation",
        "to be a derivation or path",
        "entries in its context",
    ];
    if contains_any(text, &not_a_derivation) {
        return Some(Failure::NotADerivation { message: said() });
    }
    let no_flake = [
        "could not find a flake.nix",
        "does not contain a 'flake.nix'",
        "does not contain a '/flake.nix'",
        "is not part of a flake",
        "in the flake registries",
        // 2.8 with an empty registry.
        "unable to download '': ",
        "is not a valid URL",
        "is not an absolute path",
        "does not represent a commit",
        "is not tracked by Git",
    ];
    let not_there = ["HTTP error 404", "does not exist", "No such file or directory"];
    let fetching = ["while fetching the input", "api.github.com/repos/", "gitlab.com/api/"];
    let missing = contains_any(text, &not_there) && contains_any(&message.full, &fetching);
    (contains_any(text, &no_flake) || missing).then(|| Failure::Flake { message: said() })
}

#[cfg(test)]
#[path = "failure/tests.rs"]
mod tests;
