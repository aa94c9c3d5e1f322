//! `lock list`, `lock update IMAGE`, `lock diff IMAGE`

use std::collections::BTreeMap;

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
    let all = definitions(&[])?;
    let mut definitions = definitions(names)?;
    // What is made without a flake has no inputs.
    definitions.retain(|d| !matches!(d.spec.build.driver, Driver::Mini | Driver::Prebuilt));
    let locks = lock::list(&definitions, &NixOptions::default())?;
    let listed = definitions.iter().zip(locks).map(|(definition, lock)| Listed {
        image: &definition.name,
        lock,
        shared_with: lock::shared_with(definition, &all),
    });
    let listed: Vec<_> = listed.collect();
    match context.format {
        Format::Human => print(&table(&listed)),
        Format::Json => print_json(&listed.iter().map(to_json).collect::<Vec<_>>()),
    }
}

/// An image, the lock file that it is built with or why that cannot be told, and the other images
/// that have it for their own.
struct Listed<'a> {
    image: &'a str,
    lock: Result<ImageLock, String>,
    shared_with: Vec<&'a str>,
}

fn to_json(Listed { image, lock, shared_with }: &Listed<'_>) -> Value {
    match lock {
        Ok(ImageLock { file, origin, lock }) => json!({
            "image": image,
            "file": file,
            "origin": origin,
            "sharedWith": shared_with,
            "inputs": lock.inputs(),
        }),
        Err(why) => json!({ "image": image, "error": why }),
    }
}

/// A line for each input of each image. What follows another input is that one.
fn table(locks: &[Listed<'_>]) -> String {
    let mut rows = Vec::new();
    let mut shared = BTreeMap::new();
    for Listed { image, lock, shared_with } in locks {
        let lock = match lock {
            Ok(lock) => lock,
            Err(why) => {
                rows.push([*image, why, "", "", ""].map(str::to_owned));
                continue;
            }
        };
        let inputs = lock.lock.inputs();
        if inputs.is_empty() {
            rows.push([*image, &lock.file, "no inputs", "", ""].map(str::to_owned));
        }
        for input in inputs {
            if let Pin::Locked(locked) = input.pin {
                let (short, date) = (locked.short(), locked.date().unwrap_or_default());
                rows.push([(*image).to_owned(), lock.file.clone(), input.path, short, date]);
            }
        }
        if !shared_with.is_empty() {
            let mut images = [&[*image], &shared_with[..]].concat();
            images.sort_unstable();
            shared.insert(images.join(", "), &lock.file);
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
    let shared = shared.iter().map(|(images, file)| format!("{file} is shared by {images}\n"));
    rows.iter().map(line).chain(shared).collect()
}

fn update(context: Context, args: LockUpdateArgs) -> Result<Verdict, Failure> {
    let LockUpdateArgs { image, inputs, nix } = args;
    let definition = definition(&image)?;
    let all = definitions(&[])?;
    let shared_with = lock::shared_with(&definition, &all);
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
            "sharedWith": shared_with,
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
            let shared = match &shared_with[..] {
                [] => String::new(),
                others => format!("  which is also the lock file of {}\n", others.join(", ")),
            };
            print(&(text + &lines(&changes) + &shared))
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
