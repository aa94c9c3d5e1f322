//! `list`

use serde_json::json;

use super::{Context, definitions, print, print_json};
use crate::{Verdict, args::Format, failure::Failure};

pub(super) fn run(context: Context) -> Result<Verdict, Failure> {
    let definitions = definitions(&[])?;
    match context.format {
        Format::Json => {
            let list: Vec<_> = definitions
                .iter()
                .map(|d| json!({ "name": d.name, "definition": d.spec }))
                .collect();
            print_json(&list)
        }
        Format::Human => {
            let width = definitions.iter().map(|d| d.name.len()).max().unwrap_or(0);
            let line = |d: &image_factory::Definition| {
                let (name, kind) = (&d.name, d.spec.kind.to_string());
                format!("{name:width$} {kind:4} {:14} {}\n", d.spec.system, d.spec.title)
            };
            print(&definitions.iter().map(line).collect::<String>())
        }
    }
}
