//! `flake check [ATTRIBUTE…]`

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use image_factory::{
    definition,
    flake_check::{self, Checked, Event, FlakeCheck, Header, Pinned, Refused, Row},
    nix::{FlakeRef, Nix},
};
use serde_json::json;

use super::{Context, image::nix_options, print, print_json};
use crate::{
    Verdict,
    args::{FlakeCheckArgs, Format, InputArgs, ProgressStyle},
    failure::Failure,
    text::plural,
};

/// The flake that is meant where none is named, below the folder of `images/`.
const FLAKE: &str = "./nix";

/// Longer attributes do not make the column of all others wider.
const MAX_WIDTH: usize = 64;

pub(super) fn check(context: Context, args: FlakeCheckArgs) -> Result<Verdict, Failure> {
    let jobs = args.jobs;
    let request = request(args)?;
    let width = AtomicUsize::new(0);
    let checked = flake_check::check(&request, &|event| {
        match (context.format, event) {
            (Format::Human, Event::Begun(header, names)) => {
                let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
                width.store(longest.min(MAX_WIDTH), Ordering::Relaxed);
                let title = row("attribute", "derivation", "seconds", longest.min(MAX_WIDTH));
                // A closed pipe is no failure, and what else fails here fails at the end as well.
                let _ = print(&format!("{}\n{title}", describe(header)));
            }
            (Format::Human, Event::Row(it)) => {
                let _ = print(&line(it, width.load(Ordering::Relaxed)));
            }
            (Format::Human, Event::Refused(it)) => {
                let width = width.load(Ordering::Relaxed);
                let _ = print(&row(&it.attribute, "does not evaluate", "", width));
            }
            (Format::Json, Event::Row(Row { attribute, .. }))
            | (Format::Json, Event::Refused(Refused { attribute, .. }))
                if context.progress != ProgressStyle::None =>
            {
                eprintln!("flake check: {attribute}");
            }
            (Format::Json, _) => {}
        }
    })?;
    match context.format {
        Format::Json => print_json(&to_json(&checked))?,
        Format::Human => print(&ending(&checked, jobs.get()))?,
    };
    Ok(if checked.refused.is_empty() { Verdict::Clean } else { Verdict::Defective })
}

/// The Nix of this machine.
pub(super) fn nix() -> Result<Nix, Failure> {
    let nix = Nix::discover().map_err(|e| Failure::host("Nix does not answer", e))?;
    nix.ok_or_else(|| Failure::new(Verdict::Failed, "this needs Nix, which is not on this machine"))
}

fn request(args: FlakeCheckArgs) -> Result<FlakeCheck, Failure> {
    let here = env::current_dir().map_err(|e| Failure::host("no current folder", e))?;
    let nix = nix()?;
    let flake = match &args.flake {
        Some(typed) => FlakeRef::new(typed, &here),
        None => FlakeRef::new(FLAKE, &definition::find_root(&here)?),
    };
    let (overrides, overlay) = inputs(args.inputs, &here)?;
    Ok(FlakeCheck {
        nix,
        options: nix_options(args.nix),
        flake,
        overrides,
        overlay,
        only: args.only,
        keep_going: args.keep_going,
        jobs: args.jobs,
    })
}

/// The folders that are named for inputs, and the file of the overlay.
pub(super) fn inputs(
    args: InputArgs,
    here: &Path,
) -> Result<(BTreeMap<String, FlakeRef>, Option<PathBuf>), Failure> {
    let named = [
        ("nixpkgs", args.nixpkgs),
        ("flake-parts", args.flake_parts),
        ("nixos-wsl", args.nixos_wsl),
        ("home-manager", args.home_manager),
    ];
    let named = named.into_iter().filter_map(|(name, path)| Some((name.to_owned(), path?)));
    let others = args.override_input.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone()));
    let mut overrides = BTreeMap::new();
    for (name, typed) in named.chain(others) {
        let is_repository = |path: &Path| path.join(".git").exists();
        let folder = flake_check::folder(&typed, here, is_repository);
        if overrides.insert(name.clone(), folder).is_some() {
            return Err(Failure::usage(format!("two folders are named for the input {name}")));
        }
    }
    let overlay = args.overlay.map(|path| here.join(path));
    if let Some(path) = overlay.as_ref().filter(|path| !path.is_file()) {
        return Err(Failure::usage(format!("{} is not a file", path.display())));
    }
    Ok((overrides, overlay))
}

/// What is said where not everything is real.
pub(super) fn stand_in(header: &Header) -> Option<String> {
    let names = header.stand_ins.join(", ");
    (!names.is_empty()).then(|| format!("stand-in: this is no evaluation of NixOS ({names})"))
}

fn describe(header: &Header) -> String {
    let mut text = String::new();
    let width = header.inputs.keys().map(String::len).max().unwrap_or(0).max("nixpkgs".len());
    let mut tell = |key: &str, value: &str| text += &format!("{key:width$}  {value}\n");
    if let Some(stand_in) = stand_in(header) {
        tell("note", &stand_in);
    }
    tell("nix", &header.nix);
    tell("flake", &pinned(&header.flake));
    for (name, input) in &header.inputs {
        let version = header.nixpkgs_version.as_ref().filter(|_| name == "nixpkgs");
        let version = version.map(|version| format!("{version}, ")).unwrap_or_default();
        tell(name, &(version + &pinned(input)));
    }
    if let Some(overlay) = &header.overlay {
        for line in overlay.lines().filter(|line| !line.trim().is_empty()) {
            tell("overlay", line);
        }
    }
    if !header.only.is_empty() {
        tell("only", &header.only.join(", "));
    }
    text
}

fn pinned(pinned: &Pinned) -> String {
    let revision = pinned.revision.as_ref().map(|revision| format!("{revision}, "));
    revision.unwrap_or_default() + &pinned.nar_hash
}

fn row(attribute: &str, derivation: &str, seconds: &str, width: usize) -> String {
    format!("{attribute:width$}  {seconds:>7}  {derivation}\n")
}

fn line(it: &Row, width: usize) -> String {
    // The folder of the store is the same for all.
    let name = it.derivation.as_deref().map(|path| path.rsplit('/').next().unwrap_or(path));
    let shown = name.map_or_else(|| format!("({})", it.what), str::to_owned);
    row(&it.attribute, &shown, &format!("{:.1}", it.seconds), width)
}

/// Why, in a sentence, and what Nix says of it.
fn refused(it: &Refused) -> (String, String) {
    let needs = it.needs.as_ref().map(|input| {
        format!(
            "needs the input {input}, of which no checkout is given: --override-input {input} PATH"
        )
    });
    let said = it.error.failure().map_or_else(|| it.error.to_string(), ToString::to_string);
    (needs.unwrap_or_else(|| "does not evaluate".to_owned()), said)
}

/// What Nix says without the way that led there, which is told first.
fn cause(said: &str) -> &str {
    let last = said.match_indices("error: ").filter(|(at, _)| {
        let line = &said[..*at];
        line.rsplit('\n').next().is_some_and(|before| before.trim().is_empty())
    });
    last.last().map_or(said, |(at, _)| &said[at..])
}

fn ending(checked: &Checked, jobs: usize) -> String {
    let count = checked.rows.len();
    let seconds = checked.rows.iter().fold(0.0, |sum, row| sum + row.seconds) / jobs as f64;
    let mut text = format!(
        "{count} {} {}, in {seconds:.0} s\n",
        plural(count as u64, "attribute"),
        if count == 1 { "evaluates" } else { "evaluate" }
    );
    for it in &checked.refused {
        let (why, said) = refused(it);
        text += &format!("{}: {why}\n  {}\n", it.attribute, cause(&said).replace('\n', "\n  "));
    }
    if let Some(stand_in) = stand_in(&checked.header) {
        text += &format!("{stand_in}\n");
    }
    text
}

fn to_json(checked: &Checked) -> serde_json::Value {
    json!({
        "standIn": stand_in(&checked.header),
        "header": checked.header,
        "rows": checked.rows,
        "refused": checked.refused.iter().map(|it| {
            let (why, said) = refused(it);
            json!({ "attribute": it.attribute, "needs": it.needs, "why": why, "nix": said })
        }).collect::<Vec<_>>(),
    })
}
