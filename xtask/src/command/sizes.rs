//! `sizes FILE`: where the bytes of an image are.

use image_factory::sizes::{
    Branch, EntryId, Kind, MeasureError, Measured, Sizes, measure, measure_folder,
};
use serde_json::{Map, Value, json};

use super::{Context, open_image, print, print_json, sbom, work_folder, work_hint};
use crate::{
    Verdict,
    args::{Format, SizesArgs},
    failure::Failure,
    text,
};

/// How many parts of each part people are told.
const TOP: usize = 8;

/// How many characters a bar has that stands for all.
const BAR: u64 = 20;

pub(super) fn run(context: Context, args: &SizesArgs) -> Result<Verdict, Failure> {
    let path = args.file.as_path();
    let name = path.file_name().unwrap_or(path.as_os_str());
    let name = image_verify::tree::display(name.as_encoded_bytes());
    let work = work_folder(args.work.as_deref());
    let measured = if path.is_dir() {
        measure_folder(path, &name)
    } else {
        measure(open_image(path, "cannot read")?, &name, &work)
    };
    let measured = measured.map_err(|error| match error {
        MeasureError::NoImage => {
            Failure::new(Verdict::Defective, format!("{}: {error}", path.display()))
        }
        MeasureError::Io(cause) => {
            let hint = work_hint(&cause).unwrap_or_default();
            Failure::host(format!("cannot read {}{hint}", path.display()), cause)
        }
        MeasureError::Read(cause) => {
            Failure::host(format!("cannot read {}", path.display()), cause)
        }
        MeasureError::Folder(error) => Failure::new(Verdict::Failed, error),
    })?;
    if let Some(cut) = &measured.cut {
        eprintln!("warning: {}: {cut}", path.display());
    }
    if let Some(out) = &args.svg {
        sbom::write(out, measured.svg().as_bytes())?;
    }
    match context.format {
        Format::Human => print(&human(&measured, args)),
        Format::Json => print_json(&json!({
            "file": path.display().to_string(),
            "size": measured.file,
            "compression": measured.compression.as_str(),
            "format": measured.format,
            "raw": measured.raw,
            "tree": node(&measured.sizes, Sizes::ROOT, args.depth, args.top.unwrap_or(usize::MAX)),
        })),
    }
}

/// A part with what is in it; as deep as was asked for, which is not deep.
fn node(sizes: &Sizes, id: EntryId, depth: u8, top: usize) -> Value {
    let entry = sizes.entry(id);
    let mut object = Map::new();
    object.insert("kind".to_owned(), json!(entry.kind));
    object.insert("name".to_owned(), json!(entry.name));
    object.insert("bytes".to_owned(), entry.bytes.into());
    if let Some(stored) = entry.stored {
        object.insert("stored".to_owned(), stored.into());
    }
    if let Some(bytes) = entry.with_references {
        object.insert("withReferences".to_owned(), bytes.into());
    }
    if depth > 0 && !sizes.children(id).is_empty() {
        let mut children = Vec::new();
        for branch in sizes.branches(id, top) {
            match branch {
                Branch::Entry(child) => children.push(node(sizes, child, depth - 1, top)),
                Branch::Others { count, bytes } => {
                    object.insert("others".to_owned(), json!({ "count": count, "bytes": bytes }));
                }
            }
        }
        object.insert("children".to_owned(), children.into());
    }
    object.into()
}

/// The tree for people: how many bytes, which part of the whole that is, and a bar as long as that.
fn human(measured: &Measured, args: &SizesArgs) -> String {
    let sizes = &measured.sizes;
    let root = sizes.entry(Sizes::ROOT);
    let top = args.top.unwrap_or(TOP);
    let mut text = format!("{}: {}\n", args.file.display(), measured.about(text::bytes));
    // The lines that are not yet printed, the next one last: what, what is before it, and how deep.
    let mut todo = vec![(Branch::Entry(Sizes::ROOT), String::new(), String::new(), 0)];
    while let Some((branch, before, below, depth)) = todo.pop() {
        let (bytes, name) = match branch {
            Branch::Entry(id) => (sizes.entry(id).bytes, named(sizes, id)),
            Branch::Others { count, bytes } => (bytes, format!("… {count} smaller")),
        };
        let size = text::bytes(bytes);
        let (percent, bar) = share(bytes, root.bytes);
        text += format!("{size:>12} {percent:>7} {bar}  {before}{name}").trim_end();
        text.push('\n');
        if let Branch::Entry(id) = branch
            && depth < args.depth
        {
            let mut branches = sizes.branches(id, top);
            // What is empty is nothing to look at.
            branches.retain(|branch| match branch {
                Branch::Entry(id) => sizes.entry(*id).bytes != 0,
                Branch::Others { bytes, .. } => *bytes != 0,
            });
            let last = branches.len().saturating_sub(1);
            let lines = branches.into_iter().enumerate().rev().map(|(index, branch)| {
                let (before, after) =
                    if index == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
                (branch, format!("{below}{before}"), format!("{below}{after}"), depth + 1)
            });
            todo.extend(lines);
        }
    }
    text
}

/// The name of a part, and what else there is to say.
fn named(sizes: &Sizes, id: EntryId) -> String {
    let entry = sizes.entry(id);
    let mut notes = Vec::new();
    if entry.kind == Kind::Store {
        let of_store = |id: &&EntryId| sizes.entry(**id).kind == Kind::StorePath;
        let paths = sizes.children(id).iter().filter(of_store).count() as u64;
        notes.push(format!("{paths} {}", text::plural(paths, "path")));
    }
    if let Some(stored) = entry.stored {
        notes.push(format!("takes {}", text::bytes(stored)));
    }
    if let Some(all) = entry.with_references.filter(|all| *all != entry.bytes) {
        notes.push(format!("{} with references", text::bytes(all)));
    }
    let slash = if entry.kind == Kind::Directory { "/" } else { "" };
    let notes = if notes.is_empty() { String::new() } else { format!("  ({})", notes.join(", ")) };
    format!("{}{slash}{notes}", entry.name)
}

/// Which part of `all` this is: in percent, and as a bar.
fn share(bytes: u64, all: u64) -> (String, String) {
    let part = |of: u128| (u128::from(bytes) * of / u128::from(all.max(1))) as u64;
    let tenths = part(1000);
    let eighths = part(u128::from(BAR * 8));
    let mut bar = "█".repeat((eighths / 8) as usize);
    bar.push_str(["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][(eighths % 8) as usize]);
    let bar = format!("{bar:width$}", width = BAR as usize);
    (format!("{}.{} %", tenths / 10, tenths % 10), bar)
}
