//! `diff A B`

use std::{io, path::Path};

use image_factory::compare;
use image_model::{ByteTotals, Comparison, Difference, Level, Sizes, StoreChange};
use image_verify::compare::{Source, differences};

use super::{Context, open_image, print, print_json, work_folder, work_hint};
use crate::{
    Verdict,
    args::{DiffArgs, Format},
    failure::Failure,
    text::{bytes, plural},
};

pub(super) fn run(context: Context, args: &DiffArgs) -> Result<Verdict, Failure> {
    let work = work_folder(args.work.as_deref());
    let (a, b) = (open(&args.a, &work)?, open(&args.b, &work)?);
    let names = (args.a.display().to_string(), args.b.display().to_string());
    let comparison = compare::images(&a, &b, &|_| ()).map_err(|error| {
        Failure::host(format!("cannot compare {} with {}", names.0, names.1), error)
    })?;
    let _ = match context.format {
        Format::Human => print(&human(&names, &comparison)),
        Format::Json => print_json(&comparison),
    }?;
    Ok(if comparison.same { Verdict::Clean } else { Verdict::Defective })
}

fn open(path: &Path, work: &Path) -> Result<Source, Failure> {
    if path.is_dir() {
        return compare::folder(path)
            .map_err(|error| Failure::host(format!("cannot compare {}", path.display()), error));
    }
    let file = open_image(path, "cannot read")?;
    compare::source(file, work).map_err(|error: io::Error| {
        let hint = work_hint(&error).unwrap_or_default();
        Failure::host(format!("cannot read {}{hint}", path.display()), error)
    })
}

/// A comparison for people: Nix stores first, then all levels from outside.
pub(crate) fn human((a, b): &(String, String), comparison: &Comparison) -> String {
    let mut text = format!("{a} and {b}: ");
    if comparison.same {
        text += "the same\n";
        return text;
    }
    let counts = comparison.counts();
    let count: u64 = counts.values().sum();
    text += &format!("{count} {}\n", plural(count, "difference"));
    comparison.stores.iter().for_each(|change| text += &store(change));
    for level in Level::ALL {
        let of_level = |difference: &&Difference| level_of(&difference.id) == Some(level);
        let mut listed = comparison.differences.iter().filter(of_level).peekable();
        if listed.peek().is_none() {
            continue;
        }
        text += &format!("{}\n", level.as_str());
        listed.for_each(|difference| text += &line(difference));
        for (id, more) in &comparison.omitted {
            if level_of(id) == Some(level) {
                text += &format!("  … and {more} more of {id}\n");
            }
        }
    }
    for what in &comparison.not_compared {
        text += &format!("not compared: {what}\n");
    }
    if let Some(totals) = &comparison.bytes {
        text += &format!("{}\n", differing(totals));
    }
    text
}

/// How many bytes differ, and whether it is known why.
pub(crate) fn differing(totals: &ByteTotals) -> String {
    let ByteTotals { compared, differ, .. } = totals;
    let explained = match totals.unexplained() {
        _ if *differ == 0 => String::new(),
        0 => ", and all of them are explained".to_owned(),
        left => format!(", and {left} of them are not explained"),
    };
    format!("{differ} of {compared} bytes differ{explained}")
}

fn level_of(id: &str) -> Option<Level> {
    differences().find(|kind| kind.id == id).map(|kind| kind.level)
}

/// What happened to a store: as `nix store diff-closures` tells it.
fn store(change: &StoreChange) -> String {
    let StoreChange { volume, paths_a, paths_b, sizes, added, removed, changed, .. } = change;
    let of = |size: Option<u64>| bytes(size.unwrap_or(0));
    let mut text = format!(
        "Nix store of {volume}: {paths_a} {} of {} → {paths_b} of {} ({}); \
         {added} added, {removed} removed, {changed} changed\n",
        plural(*paths_a, "path"),
        of(sizes.a),
        of(sizes.b),
        delta(*sizes)
    );
    let versions = |versions: &[String]| {
        let shown = versions.iter().map(|version| match version.as_str() {
            "" => "ε",
            version => version,
        });
        if versions.is_empty() { "∅".to_owned() } else { shown.collect::<Vec<_>>().join(", ") }
    };
    for package in &change.packages {
        text += &format!("  {}", package.name);
        if !package.a.is_empty() || !package.b.is_empty() {
            text += &format!(" {} → {}", versions(&package.a), versions(&package.b));
        }
        text += &format!(" ({})\n", delta(package.sizes));
    }
    if change.packages_omitted > 0 {
        text += &format!("  … and {} more packages\n", change.packages_omitted);
    }
    text
}

/// How much larger the second one is.
fn delta(sizes: Sizes) -> String {
    let (a, b) = (sizes.a.unwrap_or(0), sizes.b.unwrap_or(0));
    let sign = match b.cmp(&a) {
        std::cmp::Ordering::Less => "-",
        std::cmp::Ordering::Equal => "±",
        std::cmp::Ordering::Greater => "+",
    };
    format!("{sign}{}", bytes(a.abs_diff(b)))
}

/// One difference, as `diff` marks it: `+` is only in the second image, `-` only in the first.
pub(crate) fn line(difference: &Difference) -> String {
    let Difference { id, at, a, b, sizes, bytes: differ } = difference;
    let mark = match sizes {
        Some(Sizes { a: None, b: Some(_) }) => '+',
        Some(Sizes { a: Some(_), b: None }) => '-',
        _ => ' ',
    };
    let mut text = format!("{mark} {id}  {}", at.structure);
    if let Some(path) = &at.path {
        text += &format!(" {path}");
    }
    match (at.a, at.b) {
        (Some(a), Some(b)) if a != b => text += &format!(" at {a:#x} and {b:#x}"),
        (Some(at), _) | (None, Some(at)) => text += &format!(" at {at:#x}"),
        (None, None) => {}
    }
    match (a, b) {
        // Of files with other content the size is told, and it may be the same.
        (Some(a), Some(b)) if a == b => text += &format!(": {a}"),
        (Some(a), Some(b)) => text += &format!(": {a} → {b}"),
        (Some(one), None) | (None, Some(one)) => text += &format!(": {one}"),
        (None, None) => {}
    }
    match sizes {
        Some(Sizes { a: Some(one), b: None } | Sizes { a: None, b: Some(one) }) => {
            text += &format!(", {}", bytes(*one));
        }
        Some(sizes @ Sizes { a: Some(a), b: Some(b) }) if a != b => {
            text += &format!(" ({})", delta(*sizes));
        }
        _ => {}
    }
    if let Some(differ) = differ {
        text += &format!(" ({differ} {})", plural(*differ, "byte"));
    }
    text + "\n"
}
