//! `lock list`, `lock update IMAGE`, `lock diff IMAGE`

use image_factory::{
    Driver, NixOptions,
    lock::{self, Change, ImageLock, Pin},
};
use serde_json::{Value, json};

use super::{Context, definitions, image::nix_options, print, print_json};
use crate::{
    Verdict,
    args::{Format, LockCommand, LockUpdateArgs},
    failure::Failure,
    progress::Progress,
};

pub(super) fn run(context: Context, command: LockCommand) -> Result<Verdict, Failure> {
    match command {
        LockCommand::List { names } => list(context, &names),
        LockCommand::Update(args) => update(context, args),
        LockCommand::Diff { image, other } => diff(context, &image, other.as_deref()),
    }
}

fn list(context: Context, names: &[String]) -> Result<Verdict, Failure> {
    let mut definitions = definitions(names)?;
    // What is made without a flake has no inputs.
    definitions.retain(|d| !matches!(d.spec.build.driver, Driver::Mini | Driver::Prebuilt));
    let locks = lock::list(&definitions, &NixOptions::default())?;
    let names = definitions.iter().map(|definition| definition.name.as_str());
    let locks: Vec<_> = names.zip(locks).collect();
    match context.format {
        Format::Human => print(&table(&locks)),
        Format::Json => print_json(&locks.iter().map(to_json).collect::<Vec<_>>()),
    }
}

type Listed<'a> = (&'a str, Result<ImageLock, String>);

fn to_json((image, lock): &Listed<'_>) -> Value {
    match lock {
        Ok(ImageLock { file, origin, lock }) => {
            json!({ "image": image, "file": file, "origin": origin, "inputs": lock.inputs() })
        }
        Err(why) => json!({ "image": image, "error": why }),
    }
}

/// A line for each input of each image. What follows another input is that one.
fn table(locks: &[Listed<'_>]) -> String {
    let mut rows = Vec::new();
    for (image, lock) in locks {
        let lock = match lock {
            Ok(lock) => lock,
            Err(why) => {
                rows.push([*image, why, "", "", ""].map(str::to_owned));
                continue;
            }
        };
        for input in lock.lock.inputs() {
            if let Pin::Locked(locked) = input.pin {
                let (short, date) = (locked.short(), locked.date().unwrap_or_default());
                rows.push([(*image).to_owned(), lock.file.clone(), input.path, short, date]);
            }
        }
    }
    let width = |column: usize| {
        // An explanation is no column.
        let cells = rows.iter().filter(|row| column == 0 || !row[2].is_empty());
        cells.map(|row| row[column].chars().count()).max().unwrap_or(0)
    };
    let widths: [usize; 5] = std::array::from_fn(width);
    let line = |row: &[String; 5]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

fn update(context: Context, args: LockUpdateArgs) -> Result<Verdict, Failure> {
    let LockUpdateArgs { image, inputs, nix } = args;
    let definition = definition(&image)?;
    let progress = Progress::new(context.progress);
    let show = |event| progress.show(&event);
    let updated = lock::update(&definition, &inputs, &nix_options(nix), &show);
    progress.clear();
    let lock::Updated { file, start, written, changes } = updated?;
    match context.format {
        Format::Json => print_json(&json!({
            "image": image,
            "file": file,
            "start": start,
            "written": written,
            "changes": changes,
        })),
        Format::Human => {
            let anew = if changes.is_empty() { " written anew; no revision moved" } else { "" };
            let text = match start {
                _ if !written => format!("{file}: nothing moved\n"),
                Some(start) if start == file => format!("{file}:{anew}\n"),
                start => {
                    let start = start.as_deref().unwrap_or("nothing");
                    format!("{file}, which was not there, beginning with {start}:\n")
                }
            };
            print(&(text + &lines(&changes)))
        }
    }
}

fn diff(context: Context, image: &str, other: Option<&str>) -> Result<Verdict, Failure> {
    let options = NixOptions::default();
    let definition = definition(image)?;
    let to = lock::of_image(&definition, &options)?;
    let from = match other {
        Some(other) => lock::of_image(&self::definition(other)?, &options)?,
        None => lock::of_flake(&definition, &options)?,
    };
    let changes = lock::diff(&from.lock, &to.lock);
    match context.format {
        Format::Json => print_json(&json!({
            "image": image,
            "from": from.file,
            "to": to.file,
            "changes": changes,
        })),
        Format::Human if from.file == to.file => {
            print(&format!("{image} is built with {} itself\n", from.file))
        }
        Format::Human if changes.is_empty() => {
            print(&format!("{} and {} have the same revisions\n", from.file, to.file))
        }
        Format::Human => print(&format!("{} → {}:\n{}", from.file, to.file, lines(&changes))),
    }
}

fn lines(changes: &[Change]) -> String {
    let width = changes.iter().map(|change| change.input().chars().count()).max().unwrap_or(0);
    let line = |change: &Change| format!("  {:width$}  {change}\n", change.input());
    changes.iter().map(line).collect()
}

fn definition(name: &str) -> Result<image_factory::Definition, Failure> {
    let found = definitions(&[name.to_owned()])?;
    Ok(found.into_iter().next().expect("one was asked for"))
}
