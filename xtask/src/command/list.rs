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
            let line = |d: &image_factory::Definition| {
                format!("{:16} {:6} {:14} {}\n", d.name, d.spec.kind, d.spec.system, d.spec.title)
            };
            print(&definitions.iter().map(line).collect::<String>())
        }
    }
}
