//! `reproduce NAME…`

use std::{collections::BTreeSet, path::Path};

use image_factory::{
    Against, Event, Options, Plan, Reproduction,
    reproduce::{Pair, Verdict as Outcome},
    reproduce_against,
};
use image_model::Expectation;

use super::{Context, diff, image, print, print_json};
use crate::{
    Verdict,
    args::{Format, ReproduceArgs},
    failure::Failure,
    progress::Progress,
    text::Paint,
};

pub(super) fn run(context: Context, args: ReproduceArgs) -> Result<Verdict, Failure> {
    if args.against.is_some() && args.names.len() > 1 {
        return Err(Failure::usage("--against goes with one image, and several are named"));
    }
    let options =
        Options { threads: args.threads, dist: args.dist, ..image::options(args.source, args.nix) };
    let against = args.against.map(|file| match file == Path::new("dist") {
        true => Against::Published,
        false => Against::File(file),
    });
    let mut verdict = Verdict::Clean;
    let mut told = Vec::new();
    for plan in &image::plans(&args.names, &options)? {
        let reproduction = reproduce(context, plan, against.as_ref())?;
        if reproduction.verdict == Outcome::Differs {
            verdict = Verdict::Defective;
        }
        match context.format {
            Format::Human => drop(print(&human(&reproduction, Paint::for_stdout()))?),
            Format::Json => told.push(reproduction),
        }
    }
    if context.format == Format::Json {
        print_json(&told)?;
    }
    Ok(verdict)
}

fn reproduce(
    context: Context,
    plan: &Plan,
    against: Option<&Against>,
) -> Result<Reproduction, Failure> {
    let progress = Progress::new(context.progress);
    let show = |event: Event| progress.show(&event);
    let told = match against {
        None => image_factory::reproduce(plan, &show),
        Some(against) => reproduce_against(plan, against, &show),
    };
    progress.clear();
    Ok(told?)
}

/// The verdict, what it is a verdict of, and what differs.
fn human(told: &Reproduction, paint: Paint) -> String {
    let verdict = told.verdict.as_str();
    let verdict = match told.verdict {
        Outcome::Reproducible => paint.good(verdict),
        Outcome::DiffersAsExpected => paint.noted(verdict),
        Outcome::Differs => paint.bad(verdict),
    };
    let mut text = format!("{}: {verdict}\n", told.image);
    for made in &told.made {
        text += &format!("  {made}\n");
    }
    for note in &told.notes {
        text += &format!("  note: {note}\n");
    }
    let mut explained = BTreeSet::new();
    let mut parts = Vec::new();
    for pair in &told.pairs {
        text += &of_pair(pair, told, &mut explained);
        if pair.derivation.is_some() && !pair.same {
            parts.push(pair.name.as_str());
        } else if pair.same && !parts.is_empty() {
            // Otherwise nobody would understand how it can be the same.
            text += &format!("    made both times of the first {}\n", parts.join(", "));
            parts.clear();
        }
    }
    if !told.expected.is_empty() {
        text += "  expected by the definition:\n";
    }
    for expected in &told.expected {
        let times = match expected.count {
            1 => String::new(),
            count => format!(", {count} times"),
        };
        let reason = &expected.expectation.reason;
        text += &format!("    {}{times}: {reason}\n", what(&expected.expectation));
    }
    for unused in &told.unused {
        text += &format!("  expected, and it is the same: {}\n", what(&unused.expectation));
    }
    text
}

/// What is expected, and where.
fn what(expectation: &Expectation) -> String {
    let path = expectation.path.as_ref().map(|path| format!(" of {path}"));
    format!("{}{}", expectation.difference, path.unwrap_or_default())
}

/// One of the files that were compared.
fn of_pair(pair: &Pair, told: &Reproduction, explained: &mut BTreeSet<String>) -> String {
    if pair.same {
        return format!("  {}: the same\n", pair.name);
    }
    let Some(comparison) = &pair.comparison else {
        return format!("  {}: differs\n", pair.name);
    };
    let differing = comparison.bytes.as_ref().map(diff::differing);
    let mut text = format!("  {}: {}\n", pair.name, differing.as_deref().unwrap_or("differs"));
    for difference in &comparison.differences {
        let expected = told.expected.iter().any(|expected| expected.covers(difference));
        let note = if expected { " (expected)" } else { "" };
        text += &format!("   {}{note}\n", diff::line(difference).trim_end());
        if !expected && explained.insert(difference.id.to_string()) {
            text.extend(explanation(&difference.id).map(|why| format!("       {why}\n")));
        }
    }
    for (id, more) in &comparison.omitted {
        text += &format!("    … and {more} more of {id}\n");
    }
    for what in &comparison.not_compared {
        text += &format!("    not compared: {what}\n");
    }
    text
}

/// What a difference is, and where it usually comes from.
fn explanation(id: &str) -> Option<String> {
    let kind = image_verify::compare::differences().find(|kind| kind.id == id)?;
    let words = kind.explain.split_whitespace().collect::<Vec<_>>();
    Some(words.join(" "))
}
