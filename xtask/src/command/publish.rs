//! `publish [VERSION|DIR] --to TARGET`

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use image_factory::{DIST_DIR, Fault, definition};
use image_host::interrupt;
use image_publish::{
    Environment, Object, Options, Patience, PublishError, Published, Target, look, objects, publish,
};
use image_release::MANIFEST;
use serde_json::json;

use super::{Context, print, print_json};
use crate::{
    Verdict,
    args::{Format, PublishArgs},
    failure::Failure,
    progress::Progress,
    text::{bytes, plural},
};

pub(super) fn run(context: Context, args: PublishArgs) -> Result<Verdict, Failure> {
    let parse = |text: &String| text.parse::<Target>().map_err(|e| Failure::usage(e.to_string()));
    let targets: Vec<Target> = args.to.iter().map(parse).collect::<Result<_, _>>()?;
    let release = find(args.release.as_deref(), args.dist.as_deref())?;
    let options = |target: &Target| Options {
        release: release.clone(),
        target: target.clone(),
        parallel: args.parallel,
        patience: Patience::default(),
        environment: Environment::current(),
    };
    if args.dry_run {
        return list(context, &release, &targets, options);
    }
    let progress = Progress::new(context.progress);
    if targets.len() > 1 {
        // Nothing is sent anywhere before it is known that nobody refuses it.
        for target in &targets {
            look(&options(target), &|event| progress.show(&event))?;
        }
    }
    let mut done = Vec::new();
    let mut failed = None;
    for target in &targets {
        match publish(&options(target), &|event| progress.show(&event)) {
            Ok(published) => done.push(published),
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    progress.clear();
    match context.format {
        Format::Human => print(&done.iter().map(human).collect::<String>())?,
        Format::Json => {
            let json = |published: &Published| {
                let Published { sent, present, place } = published;
                json!({ "place": place, "sent": sent, "present": present })
            };
            print_json(&done.iter().map(json).collect::<Vec<_>>())?
        }
    };
    failed.map_or(Ok(Verdict::Clean), |error| Err(error.into()))
}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        Self::by_fault(error.fault(), error)
    }
}

/// The folder of the release: the one that was named, or the only one there is.
fn find(named: Option<&str>, dist: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(folder) = named.map(Path::new).filter(|folder| folder.join(MANIFEST).is_file()) {
        return Ok(folder.to_owned());
    }
    let dist = match dist {
        Some(dist) => dist.to_owned(),
        None => {
            let here =
                std::env::current_dir().map_err(|e| Failure::host("no current folder", e))?;
            // A release may be published where nothing is made, too.
            definition::find_root(&here).unwrap_or(here).join(DIST_DIR)
        }
    };
    let releases = dist.join("release");
    let versions = versions(&releases)?;
    let there = match versions.len() {
        0 => "there is none".to_owned(),
        _ => format!("there {} {}", plural_is(&versions), join(&versions)),
    };
    match named {
        Some(named) if versions.contains(named) => Ok(releases.join(named)),
        Some(named) => {
            let place = releases.display();
            Err(Failure::usage(format!(
                "{named} is no release in {place}, and no folder of one: {there}"
            )))
        }
        None => match versions.first() {
            Some(version) if versions.len() == 1 => Ok(releases.join(version)),
            _ => {
                let place = releases.display();
                Err(Failure::usage(format!("which release of {place} is to be published? {there}")))
            }
        },
    }
}

fn plural_is(versions: &BTreeSet<String>) -> &'static str {
    if versions.len() == 1 { "is" } else { "are" }
}

fn join(versions: &BTreeSet<String>) -> String {
    versions.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// Versions in a folder of releases.
fn versions(releases: &Path) -> Result<BTreeSet<String>, Failure> {
    let fail = |e| Failure::host(format!("cannot read {}", releases.display()), e);
    let entries = match fs::read_dir(releases) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        entries => entries.map_err(fail)?,
    };
    let mut versions = BTreeSet::new();
    for entry in entries {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && entry.path().join(MANIFEST).is_file() {
            versions.insert(name);
        }
    }
    Ok(versions)
}

fn human(published: &Published) -> String {
    let Published { sent, present, place } = published;
    let (new, old) = (sent.len() as u64, present.len() as u64);
    match (new, old) {
        (0, _) => format!("{place}: all {old} objects were there, and are the same\n"),
        (_, 0) => format!("{place}: {new} {} sent and read back\n", plural(new, "object")),
        _ => format!(
            "{place}: {new} {} sent and read back, {old} were there and are the same\n",
            plural(new, "object")
        ),
    }
}

/// What there is to publish, and what of it is not there yet, where that can be asked.
fn list(
    context: Context,
    release: &Path,
    targets: &[Target],
    options: impl Fn(&Target) -> Options,
) -> Result<Verdict, Failure> {
    let (_, objects) = objects(release).map_err(PublishError::from)?;
    let progress = Progress::new(context.progress);
    let mut text = String::new();
    let mut documents = Vec::new();
    let mut refused = None;
    for target in targets {
        // Nobody waits long for an answer that may be had later.
        let options =
            Options { patience: Patience { tries: 1, ..Patience::default() }, ..options(target) };
        let (seen, why) = match look(&options, &|event| progress.show(&event)) {
            Ok(seen) => (Some(seen), None),
            Err(error) if error.fault() == Fault::Host && !interrupt::caused(&error) => {
                (None, Some(with_causes(&error)))
            }
            Err(error) => {
                let why = error.to_string();
                refused.get_or_insert(error);
                (None, Some(why))
            }
        };
        let all: u64 = objects.iter().map(|object| object.size).sum();
        let count = objects.len() as u64;
        text += &format!("{target}: {count} {}, {}\n", plural(count, "object"), bytes(all));
        if let Some(why) = &why {
            text += &format!("  what is there is not known: {why}\n");
        }
        let state = |object: &Object| match &seen {
            None => "unknown",
            Some(seen) if seen.sent.contains(&object.name) => "send",
            Some(seen) if seen.present.contains(&object.name) => "present",
            // The place has no use for it.
            Some(_) => "skip",
        };
        text += &objects.iter().map(|object| line(object, state(object))).collect::<String>();
        documents.push(json!({
            "target": target.to_string(),
            "place": seen.as_ref().map(|seen| &seen.place),
            "unknown": why,
            "objects": objects.iter().map(|object| json!({
                "name": object.name,
                "role": object.role,
                "mediaType": object.media_type,
                "size": object.size,
                "sha256": object.sha256,
                "state": state(object),
            })).collect::<Vec<_>>(),
        }));
    }
    progress.clear();
    match context.format {
        Format::Human => print(&text)?,
        Format::Json => print_json(&documents)?,
    };
    refused.map_or(Ok(Verdict::Clean), |error| Err(error.into()))
}

fn line(object: &Object, state: &str) -> String {
    let Object { name, role, media_type, size, .. } = object;
    format!("  {state:8} {:15} {:>14} {media_type:32} {name}\n", role.as_str(), size)
}

fn with_causes(error: &PublishError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}
