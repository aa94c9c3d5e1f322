//! `explain [CHECK]`

use image_factory::definition::nearest;
use image_model::Check;
use serde_json::json;

use super::{Context, print, print_json};
use crate::{Verdict, args::Format, failure::Failure, text};

pub(super) fn run(context: Context, id: Option<&str>) -> Result<Verdict, Failure> {
    let Some(id) = id else {
        let checks: Vec<_> = image_verify::checks().collect();
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
    let Some(check) = image_verify::checks().find(|check| check.id == id) else {
        let hint = nearest(id, image_verify::checks().map(|check| check.id))
            .map(|name| format!("; did you mean {name:?}?"))
            .unwrap_or_default();
        return Err(Failure::usage(format!("no check is called {id:?}{hint}")));
    };
    match context.format {
        Format::Json => print_json(&to_json(check)),
        Format::Human => print(&text::check(check)),
    }
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
