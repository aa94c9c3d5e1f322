//! `list`

use image_factory::{Definition, Driver, driver::preflight::Missing};
use serde_json::json;

use super::{Context, definitions, doctor, print, print_json};
use crate::{Verdict, args::Format, failure::Failure, text};

pub(super) fn run(context: Context) -> Result<Verdict, Failure> {
    let definitions = definitions(&[])?;
    match context.format {
        Format::Json => print_json(&definitions.iter().map(json).collect::<Vec<_>>()),
        Format::Human => {
            let header = ["image", "kind", "route", "system", "lock", "can be built here"];
            let rows = definitions.iter().map(row);
            let rows: Vec<_> = [header.map(str::to_owned)].into_iter().chain(rows).collect();
            print(&text::table(&rows))
        }
    }
}

/// What the definition needs and this machine does not have; also where its driver cannot be used
/// at all.
fn missing(definition: &Definition) -> Vec<Missing> {
    doctor::missing(definition).unwrap_or_else(|error| {
        vec![Missing { what: error.to_string(), why: String::new(), mend: None }]
    })
}

fn row(definition: &Definition) -> [String; 6] {
    let spec = &definition.spec;
    let missing = missing(definition);
    let here = match missing.is_empty() {
        true => "yes".to_owned(),
        false => {
            let whats: Vec<_> = missing.iter().map(|missing| missing.what.as_str()).collect();
            format!("no: {}", whats.join(", "))
        }
    };
    [
        definition.name.clone(),
        spec.kind.to_string(),
        definition.route(),
        spec.system.clone(),
        match (&spec.build.lock, spec.build.driver) {
            (_, Driver::Mini | Driver::Prebuilt) => "-".to_owned(),
            (Some(lock), _) => lock.clone(),
            (None, _) => "the flake's".to_owned(),
        },
        here,
    ]
}

fn json(definition: &Definition) -> serde_json::Value {
    let missing = missing(definition);
    json!({
        "name": definition.name,
        "kind": definition.spec.kind,
        "route": definition.route(),
        "system": definition.spec.system,
        "lock": definition.spec.build.lock,
        "ready": missing.is_empty(),
        "missing": missing.iter().map(doctor::json).collect::<Vec<_>>(),
        "definition": definition.spec,
    })
}
