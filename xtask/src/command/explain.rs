//! `explain [CHECK]`

use image_factory::definition::nearest;
use image_model::{Check, DifferenceKind};
use image_verify::compare::differences;
use serde_json::json;

use super::{Context, print, print_json};
use crate::{Verdict, args::Format, failure::Failure, text};

pub(super) fn run(context: Context, id: Option<&str>) -> Result<Verdict, Failure> {
    let Some(id) = id else {
        let checks: Vec<_> = all_checks().collect();
        return match context.format {
            Format::Json => print_json(&checks.iter().map(|c| to_json(c)).collect::<Vec<_>>()),
            Format::Human => {
                let line = |c: &&Check| {
                    format!("{:32} {:8} {}\n", c.id, c.severity.as_str(), text::summary(c))
                };
                print(&checks.iter().map(line).collect::<String>())
            }
        };
    };
    let check = all_checks().find(|check| check.id == id);
    // A difference may be called as the check of the same field.
    let difference = differences().find(|difference| difference.id == id);
    if check.is_none() && difference.is_none() {
        let ids = all_checks().map(|check| check.id).chain(differences().map(|d| d.id));
        let hint = nearest(id, ids).map(|name| format!("; did you mean {name:?}?"));
        let hint = hint.unwrap_or_default();
        return Err(Failure::usage(format!("no check and no difference is called {id:?}{hint}")));
    }
    match context.format {
        Format::Json => {
            let found = check.map(to_json).or(difference.map(difference_to_json));
            print_json(&found)
        }
        Format::Human => {
            let found = check.map(text::check).into_iter().chain(difference.map(text::difference));
            print(&found.collect::<Vec<_>>().join("\n"))
        }
    }
}

/// The checks of images, and those of releases.
pub(super) fn all_checks() -> impl Iterator<Item = &'static Check> {
    image_verify::checks().chain(image_verify::release::CHECKS.iter().copied())
}

fn difference_to_json(difference: &DifferenceKind) -> serde_json::Value {
    json!({
        "id": difference.id,
        "level": difference.level,
        "explain": difference.explain.trim(),
    })
}

fn to_json(check: &Check) -> serde_json::Value {
    json!({
        "id": check.id,
        "severity": check.severity,
        "reads": check.reads,
        "spec": check.spec,
        "explain": check.explain.trim(),
    })
}
