//! The Nix stores of an image, as text.

use std::collections::BTreeMap;

use image_model::{PathVerdict, StorePath, StoreReport, Trust, VerificationReport};

use super::{bytes, plural, table};

/// A store in one line: how much there is, whether it is as Nix registered it, and who vouches for
/// it. `place` is the file system that it is in, where there are several.
pub(super) fn line(store: &StoreReport, place: Option<&str>) -> String {
    let of = |wanted: PathVerdict| store.paths.iter().filter(|p| p.verdict == wanted).count();
    let bad: Vec<_> = [
        PathVerdict::Changed,
        PathVerdict::Missing,
        PathVerdict::Unregistered,
        PathVerdict::Unreadable,
    ]
    .into_iter()
    .filter(|verdict| of(*verdict) > 0)
    .map(|verdict| format!("{} {}", of(verdict), verdict.as_str()))
    .collect();
    let mut kinds: BTreeMap<(u8, String), usize> = BTreeMap::new();
    for path in store.paths.iter().filter(|path| path.verdict == PathVerdict::Intact) {
        *kinds.entry(kind(path)).or_default() += 1;
    }
    let kinds: Vec<_> =
        kinds.into_iter().map(|((_, what), count)| format!("{count} {what}")).collect();
    let place = place.map(|place| format!(" in {place}")).unwrap_or_default();
    let mut text = format!("store {}{place}: ", amount(store));
    text += &match (bad.is_empty(), store.paths.is_empty()) {
        (_, true) => "nothing is in it".to_owned(),
        (true, _) => "all as Nix registered them".to_owned(),
        (false, _) => bad.join(", "),
    };
    if !kinds.is_empty() {
        text += &format!("; {}", kinds.join(", "));
    }
    text
}

fn amount(store: &StoreReport) -> String {
    let size: u64 = store.paths.iter().filter_map(|path| path.nar).map(|nar| nar.nar_size).sum();
    let count = store.paths.len() as u64;
    format!("{count} {}, {}", plural(count, "path"), bytes(size))
}

/// Who vouches for a path, with a number that sorts.
fn kind(path: &StorePath) -> (u8, String) {
    match &path.trust {
        Trust::Signed { by } => (0, format!("signed by {}", by.join(" and "))),
        Trust::Built => (1, "built here".to_owned()),
        Trust::ContentAddressed => (2, "named by their content".to_owned()),
        Trust::Unknown => (3, "of unknown origin".to_owned()),
    }
}

/// All store paths: what became of each, its size and hash as a NAR, and who vouches for it.
pub(crate) fn paths(report: &VerificationReport) -> String {
    let mut text = String::new();
    for store in &report.stores {
        let header = ["verdict", "NAR size", "NAR hash", "trust", "path"].map(str::to_owned);
        let row = |path: &StorePath| {
            let nar = |cell: fn(&image_model::NarDigest) -> String| {
                path.nar.as_ref().map_or_else(|| "-".to_owned(), cell)
            };
            let trust = match &path.trust {
                Trust::Signed { by } => by.join(" "),
                Trust::Built => "built".to_owned(),
                Trust::ContentAddressed => "content".to_owned(),
                Trust::Unknown => "unknown".to_owned(),
            };
            [
                path.verdict.as_str().to_owned(),
                nar(|nar| nar.nar_size.to_string()),
                nar(|nar| nar.nar_hash.to_string()),
                trust,
                path.path.clone(),
            ]
        };
        let rows: Vec<_> = std::iter::once(header).chain(store.paths.iter().map(row)).collect();
        text += &table(&rows);
        text += &format!("total: {} in {}\n", amount(store), store.volume);
    }
    if report.stores.is_empty() {
        text += "no Nix store was read\n";
    }
    text
}
