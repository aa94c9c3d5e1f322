//! Evaluates every output of a flake against checkouts that lie on this machine.
//!
//! The flake and the checkouts are put into the store once, and do not change from then on. Around
//! them a flake is written that has them as its inputs, and answers what is asked; inputs of which
//! there is no checkout are replaced by folders that say so when something needs them. So nothing
//! is fetched, whatever an evaluation wants, and nothing is written into the flake's folder. Each
//! attribute is evaluated by a process of its own, purely, without a cache, and without building.

mod around;
mod queue;

use std::{
    collections::BTreeMap,
    fs, io,
    num::NonZero,
    path::{Path, PathBuf},
    thread,
};

use image_host::{
    interrupt::{self, Interrupted},
    stopwatch::Stopwatch,
};
use image_nix::{FlakeRef, Nix, NixError, Options, Source, version};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tempfile::TempDir;

pub use image_nix::source::folder;

use self::queue::{Queue, State};
use crate::driver::preflight::Missing;

/// The input that is nixpkgs.
const NIXPKGS: &str = "nixpkgs";

/// What is to be checked.
#[derive(Clone, Debug)]
pub struct FlakeCheck {
    /// The Nix that evaluates.
    pub nix: Nix,
    /// Handed on to it.
    pub options: Options,
    /// The flake.
    pub flake: FlakeRef,
    /// Folders in the places of its inputs, by their names: `nixpkgs`, `deploy-rs/utils`.
    pub overrides: BTreeMap<String, FlakeRef>,
    /// A file with an overlay that nixpkgs gets for this evaluation.
    pub overlay: Option<PathBuf>,
    /// Only attributes that begin with one of these; all where there are none.
    pub only: Vec<String>,
    /// What does not evaluate does not end the check.
    pub keep_going: bool,
    /// How many attributes are evaluated at the same time. Each takes about 1 GiB of memory.
    pub jobs: NonZero<usize>,
}

/// What the rows were made with: without it they say nothing.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// Nix and its version.
    pub nix: String,
    /// The flake.
    pub flake: Pinned,
    /// What nixpkgs calls itself: `26.05`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nixpkgs_version: Option<String>,
    /// The folders in the places of inputs.
    pub inputs: BTreeMap<String, Pinned>,
    /// The overlay that nixpkgs got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlay: Option<String>,
    /// Inputs that are not the real thing, and say so themselves. If there are any, then this is no
    /// evaluation of NixOS.
    pub stand_ins: Vec<String>,
    /// Only these attributes were asked for; all where there are none.
    pub only: Vec<String>,
}

/// A folder that cannot change.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pinned {
    /// The commit, where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// NAR hash, in SRI form.
    pub nar_hash: String,
}

impl From<&Source> for Pinned {
    fn from(source: &Source) -> Self {
        Self { revision: source.revision.clone(), nar_hash: source.nar_hash.clone() }
    }
}

/// An attribute that evaluates.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Where it is: `packages.x86_64-linux.default`.
    pub attribute: String,
    /// What it is: `derivation`, `module`, `overlay`, ….
    pub what: String,
    /// The store path of its derivation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub derivation: Option<String>,
    /// The system that builds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// How long that took, with the start of the process.
    pub seconds: f64,
}

/// An attribute that does not.
#[derive(Debug)]
pub struct Refused {
    /// Where it is.
    pub attribute: String,
    /// The input that it needs, and of which there is no checkout.
    pub needs: Option<String>,
    /// What Nix says.
    pub error: NixError,
}

/// What came of it.
#[derive(Debug)]
pub struct Checked {
    /// What the rows were made with.
    pub header: Header,
    /// Where the source of the flake is in the store of this machine.
    pub source: PathBuf,
    /// What evaluates.
    pub rows: Vec<Row>,
    /// What does not: the first such attribute, or all of them.
    pub refused: Vec<Refused>,
}

/// What happens while the flake is checked.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The rows are known that there will be at least.
    Begun(&'a Header, &'a [String]),
    /// An attribute evaluates.
    Row(&'a Row),
    /// An attribute does not.
    Refused(&'a Refused),
}

/// The flake could not be checked at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlakeCheckError {
    /// nixpkgs refuses this Nix.
    #[error(
        "{nix} is too old: nixpkgs needs Nix {}.{} or later. {} names another one",
        version::OLDEST_FOR_NIXPKGS.0, version::OLDEST_FOR_NIXPKGS.1, image_nix::EXECUTABLE
    )]
    TooOld {
        /// The Nix.
        nix: String,
    },
    /// The flake has no such input.
    #[error("the flake has no input {input}; known are {}", known.join(", "))]
    NoInput {
        /// What was to be replaced.
        input: String,
        /// What could be.
        known: Vec<String>,
    },
    /// Only some attributes were asked for, and there are none of them.
    #[error("the flake has no output that begins with {only}; known are {}", known.join(", "))]
    NoOutput {
        /// What was asked for.
        only: String,
        /// What could be.
        known: Vec<String>,
    },
    /// A file could not be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// Nix could not be asked.
    #[error("Nix cannot say what there is")]
    Nix(#[from] NixError),
    /// Somebody asked the factory to stop.
    #[error("stopped")]
    Interrupted(#[from] Interrupted),
}

impl FlakeCheckError {
    /// What was asked for cannot be; the machine is fine.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::NoInput { .. } | Self::NoOutput { .. })
    }
}

/// What is known before anything is evaluated.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct About {
    outputs: Vec<String>,
    stand_ins: Vec<String>,
    nixpkgs: Option<String>,
}

/// An attribute, and which question is asked of it.
#[derive(Clone, Deserialize)]
struct Item {
    path: Vec<String>,
    kind: String,
}

/// What came of it.
#[derive(Deserialize)]
struct Answer {
    what: String,
    derivation: Option<String>,
    system: Option<String>,
    #[serde(default)]
    rows: Vec<Item>,
}

/// What this machine lacks for it; for `doctor`.
pub fn missing(nix: Option<&Nix>) -> Option<Missing> {
    let why = match nix {
        None => "Nix evaluates the flake".to_owned(),
        Some(nix) if nix.version().evaluates_nixpkgs() => return None,
        Some(nix) => FlakeCheckError::TooOld { nix: nix.to_string() }.to_string(),
    };
    Some(Missing { what: "a Nix that evaluates nixpkgs".to_owned(), why, mend: None })
}

/// Checks a flake.
pub fn check(
    request: &FlakeCheck,
    on_event: &(dyn Fn(Event<'_>) + Sync),
) -> Result<Checked, FlakeCheckError> {
    if !request.nix.version().evaluates_nixpkgs() {
        return Err(FlakeCheckError::TooOld { nix: request.nix.to_string() });
    }
    let work = tempfile::tempdir().map_err(at(Path::new("a temporary folder")))?;
    let asked = Asked::prepare(request, &work)?;
    let about: About = asked.ask("questions.about")?;
    let header = Header {
        nix: request.nix.version().to_string(),
        flake: Pinned::from(&asked.checked),
        nixpkgs_version: about.nixpkgs.clone(),
        inputs: asked.overrides.iter().map(|(name, s)| (name.clone(), s.into())).collect(),
        overlay: asked.overlay.clone(),
        stand_ins: about.stand_ins.clone(),
        only: request.only.clone(),
    };
    let source = physical(&asked.checked, &request.options);
    let (items, refused) = asked.items(&about, &request.only)?;
    let names: Vec<_> = items.iter().map(|item| around::attribute(&item.path)).collect();
    on_event(Event::Begun(&header, &names));
    if let Some(refused) = refused {
        return Ok(Checked { header, source, rows: Vec::new(), refused: vec![refused] });
    }
    let queue = Queue::new(items);
    thread::scope(|scope| {
        for _ in 0..request.jobs.get() {
            scope.spawn(|| asked.work_off(&queue, on_event));
        }
    });
    interrupt::check()?;
    let State { mut rows, mut refused, failed, .. } = queue.into_state();
    if let Some(error) = failed {
        return Err(error);
    }
    // What lies below an output is known only now. What is not there must not look as if it
    // evaluated.
    if refused.is_empty() {
        let attributes: Vec<_> = rows.iter().map(|row| row.attribute.clone()).collect();
        all_there(&request.only, &attributes, |only, attribute| begins(attribute, only))?;
    }
    // Those that were evaluated at the same time ended in any order.
    rows.sort_by(|a, b| a.attribute.cmp(&b.attribute));
    refused.sort_by(|a, b| a.attribute.cmp(&b.attribute));
    Ok(Checked { header, source, rows, refused })
}

fn at(path: &Path) -> impl Fn(io::Error) -> FlakeCheckError {
    move |cause| FlakeCheckError::File { path: path.to_owned(), cause }
}

/// A flake in the store, with answers.
struct Asked<'a> {
    request: &'a FlakeCheck,
    checked: Source,
    /// The folders that were named.
    overrides: BTreeMap<String, Source>,
    overlay: Option<String>,
    absent: Vec<around::Absent>,
    /// Where the folders are that stand for absent inputs.
    absent_place: String,
    around: Source,
}

impl<'a> Asked<'a> {
    fn prepare(request: &'a FlakeCheck, work: &TempDir) -> Result<Self, FlakeCheckError> {
        let FlakeCheck { nix, options, .. } = request;
        let mut overrides = BTreeMap::new();
        for (name, folder) in &request.overrides {
            overrides.insert(name.clone(), nix.source(folder, options)?);
        }
        let overlay = request.overlay.as_ref().map(|path| read(path)).transpose()?;
        if overlay.is_some() && !overrides.contains_key(NIXPKGS) {
            let input = format!("{NIXPKGS} that an overlay could be put on");
            return Err(FlakeCheckError::NoInput { input, known: overrides.into_keys().collect() });
        }
        let (checked, locks) =
            nix.source_and_locks(&request.flake.to_string(), &overrides, options)?;

        // What is large is not copied again for each attribute.
        let mut used = overrides.clone();
        let mut linked = Vec::new();
        for (name, base) in &overrides {
            let files = match name == NIXPKGS {
                true => around::nixpkgs(base, overlay.as_deref()),
                false if around::is_folder(&locks, name) => Vec::new(),
                false => continue,
            };
            let dir = work.path().join(format!("linked-{}", linked.len()));
            link(&dir, base, &files, options)?;
            // What reads the revision reads the one of what is linked to.
            let (revision, last_modified) = (base.revision.clone(), base.last_modified);
            let source = Source { revision, last_modified, ..put(nix, &dir, options)? };
            used.insert(name.clone(), source);
            linked.push(base);
        }

        let dir = work.path().join("around");
        write(&dir.join("flake.nix"), &around::flake(&checked, &linked))?;
        write(&dir.join("questions.nix"), around::QUESTIONS)?;
        let reference = as_it_is(&dir).to_string();
        let (_, locks) = nix.source_and_locks(&reference, &around::from_around(&used), options)?;
        let known = around::input_names(&locks);
        if let Some(input) = overrides.keys().find(|name| !known.contains(name)) {
            return Err(FlakeCheckError::NoInput { input: input.clone(), known });
        }

        let absent = around::absent(&locks);
        let place = work.path().join("absent");
        write(&place.join("README"), "In the places of inputs of which there is no checkout.\n")?;
        for absent in &absent {
            for (name, text) in absent.files() {
                write(&place.join(&absent.dir).join(name), &text)?;
            }
        }
        let place = put(nix, &place, options)?;
        let locks = around::locks(locks, &absent, &place);
        write(&dir.join("flake.lock"), &locks.to_string())?;
        let around = put(nix, &dir, options)?;
        let absent_place = place.store_path;
        Ok(Self { request, checked, overrides, overlay, absent, absent_place, around })
    }

    fn look<T: for<'de> Deserialize<'de>>(&self, at: &str, apply: &str) -> Result<T, NixError> {
        let FlakeCheck { nix, options, .. } = self.request;
        let json: Value = nix.look(&self.around, at, apply, options)?;
        let text: String = json.to_string().chars().take(200).collect();
        let command = format!("nix eval {at}");
        serde_json::from_value(json).map_err(|_| NixError::Unreadable { command, text })
    }

    fn ask<T: for<'de> Deserialize<'de>>(&self, at: &str) -> Result<T, NixError> {
        self.look(at, "answer: answer")
    }

    /// What is to be evaluated, or the output whose attributes cannot be listed.
    fn items(
        &self,
        about: &About,
        only: &[String],
    ) -> Result<(Vec<Item>, Option<Refused>), FlakeCheckError> {
        let wanted = |output: &&String| only.is_empty() || only.iter().any(|p| overlap(p, output));
        let outputs: Vec<String> = about.outputs.iter().filter(wanted).cloned().collect();
        let missing = |only: &&String| !outputs.iter().any(|output| overlap(only, output));
        if let Some(only) = only.iter().find(missing) {
            let (only, known) = (only.clone(), about.outputs.clone());
            return Err(FlakeCheckError::NoOutput { only, known });
        }
        let rows = |outputs: &[String]| {
            let names = around::list(outputs);
            self.look("questions.rows", &format!("rows: builtins.concatMap rows {names}"))
        };
        let items: Vec<Item> = match rows(&outputs) {
            Ok(items) => items,
            // Something that `tryEval` does not catch. Which output it was, Nix does not say.
            Err(error @ NixError::Failed { .. }) => {
                for output in outputs {
                    let listed: Result<Vec<Item>, _> = rows(std::slice::from_ref(&output));
                    if let Err(error) = listed {
                        return Ok((Vec::new(), Some(self.refused(&[output], error)?)));
                    }
                }
                return Err(error.into());
            }
            Err(error) => return Err(error.into()),
        };
        let attributes: Vec<_> = items.iter().map(|item| around::attribute(&item.path)).collect();
        all_there(only, &attributes, overlap)?;
        let wanted = |item: &Item| {
            let attribute = around::attribute(&item.path);
            only.is_empty() || only.iter().any(|only| overlap(only, &attribute))
        };
        Ok((items.into_iter().filter(wanted).collect(), None))
    }

    /// `error` as what Nix says of an attribute, if it is that.
    fn refused(&self, path: &[String], error: NixError) -> Result<Refused, NixError> {
        let Some(failure) = error.failure() else { return Err(error) };
        let message = failure.to_string();
        let needs = around::needed(&message, &self.absent, &self.absent_place);
        let needs = needs.map(str::to_owned);
        Ok(Refused { attribute: around::attribute(path), needs, error })
    }

    /// Evaluates what is in the queue until it is empty, or something is refused.
    fn work_off(&self, queue: &Queue, on_event: &(dyn Fn(Event<'_>) + Sync)) {
        while let Some(item) = queue.next() {
            let watch = Stopwatch::start();
            let (kind, path) = (around::string(&item.kind), around::list(&item.path));
            let answer = self.look("questions.answer", &format!("answer: answer {kind} {path}"));
            let seconds = watch.elapsed().as_secs_f64();
            let mut state = queue.lock();
            state.running -= 1;
            match answer {
                Ok(Answer { what, derivation, system, rows }) => {
                    if rows.is_empty() {
                        let attribute = around::attribute(&item.path);
                        let row = Row { attribute, what, derivation, system, seconds };
                        on_event(Event::Row(&row));
                        state.rows.push(row);
                    }
                    for item in rows.into_iter().rev() {
                        let attribute = around::attribute(&item.path);
                        let only = &self.request.only;
                        if only.is_empty() || only.iter().any(|only| overlap(only, &attribute)) {
                            state.todo.push_front(item);
                        }
                    }
                }
                Err(error) => match self.refused(&item.path, error) {
                    Ok(refused) => {
                        on_event(Event::Refused(&refused));
                        state.refused.push(refused);
                    }
                    Err(error) => {
                        state.failed.get_or_insert(error.into());
                    }
                },
            }
            let enough = !self.request.keep_going && !state.refused.is_empty();
            if enough || state.failed.is_some() || interrupt::check().is_err() {
                state.todo.clear();
            }
            drop(state);
            queue.wake();
        }
    }
}

/// The attribute path `long` begins with `short`.
fn begins(long: &str, short: &str) -> bool {
    long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// One of the two attribute paths begins with the other.
fn overlap(a: &str, b: &str) -> bool {
    begins(a, b) || begins(b, a)
}

/// Fails for the first of `only` that no attribute matches.
fn all_there(
    only: &[String],
    attributes: &[String],
    matches: impl Fn(&str, &str) -> bool,
) -> Result<(), FlakeCheckError> {
    let is_missing = |only: &&String| !attributes.iter().any(|attribute| matches(only, attribute));
    let Some(only) = only.iter().find(is_missing) else { return Ok(()) };
    // Those that lie beside it, as far as its path leads somewhere.
    let mut parent = only.as_str();
    let mut known = Vec::new();
    while let (true, Some((shorter, _))) = (known.is_empty(), parent.rsplit_once('.')) {
        parent = shorter;
        known = attributes.iter().filter(|name| begins(name, parent)).cloned().collect();
    }
    Err(FlakeCheckError::NoOutput { only: only.clone(), known })
}

fn read(path: &Path) -> Result<String, FlakeCheckError> {
    fs::read_to_string(path).map_err(at(path))
}

fn write(path: &Path, text: &str) -> Result<(), FlakeCheckError> {
    let dir = path.parent().expect("a file lies in a folder");
    fs::create_dir_all(dir).and_then(|()| fs::write(path, text)).map_err(at(path))
}

fn put(nix: &Nix, dir: &Path, options: &Options) -> Result<Source, NixError> {
    nix.source(&as_it_is(dir), options)
}

fn as_it_is(dir: &Path) -> FlakeRef {
    folder(".", dir, |_| false)
}

/// Where the files of a source are on this machine.
fn physical(source: &Source, options: &Options) -> PathBuf {
    let place = options.evaluation_place();
    place.physical(&source.store_path).unwrap_or_else(|| (&source.store_path).into())
}

/// Makes a folder of `files`, and of links to whatever else `base` has.
fn link(
    dir: &Path,
    base: &Source,
    files: &[(&str, String)],
    options: &Options,
) -> Result<(), FlakeCheckError> {
    let physical = physical(base, options);
    fs::create_dir_all(dir).map_err(at(dir))?;
    for entry in fs::read_dir(&physical).map_err(at(&physical))? {
        let name = entry.map_err(at(&physical))?.file_name();
        if !files.iter().any(|(file, _)| name == *file) {
            let link = dir.join(&name);
            std::os::unix::fs::symlink(Path::new(&base.store_path).join(&name), &link)
                .map_err(at(&link))?;
        }
    }
    for (name, text) in files {
        write(&dir.join(name), text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_chosen_by_how_they_begin() {
        assert!(overlap("packages", "packages.x86_64-linux.default"));
        assert!(overlap("packages.x86_64-linux", "packages"));
        assert!(!overlap("packages.x86_64-linux", "packages.x86_64-darwin"));
        assert!(!overlap("package", "packages"));
    }

    #[test]
    fn what_is_not_there_is_told_with_what_is() {
        let attributes = ["packages.x.a", "packages.x.b", "packages.y.a", "templates.t"];
        let attributes = attributes.map(str::to_owned);
        let complaint = |only: &str| {
            let begins = |only: &str, attribute: &str| begins(attribute, only);
            let result = all_there(&[only.to_owned()], &attributes, begins);
            result.err().map(|error| error.to_string())
        };
        assert_eq!(complaint("packages.x"), None);
        assert_eq!(complaint("packages.y.a"), None);
        let known = "the flake has no output that begins with packages.x.c; known are \
                     packages.x.a, packages.x.b";
        assert_eq!(complaint("packages.x.c").as_deref(), Some(known));
        assert!(complaint("templates.t.deeper").unwrap().ends_with("known are templates.t"));
    }
}
