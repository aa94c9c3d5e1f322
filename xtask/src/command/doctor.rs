//! `doctor [NAME…]`

use image_factory::{
    Definition, Options, PlanError,
    driver::preflight::Missing,
    flake_check,
    lock::{self, ImageLockError},
    nix::Nix,
};
use serde_json::json;

use super::{Context, definitions, print, print_json};
use crate::{Verdict, args::Format, failure::Failure, program::Program};

pub(super) fn run(context: Context, names: &[String]) -> Result<Verdict, Failure> {
    let mut text = String::new();
    let mut rows = Vec::new();
    let mut complete = true;
    for definition in definitions(names)? {
        let missing = missing(&definition)?;
        complete &= missing.is_empty();
        let state = if missing.is_empty() { "ready" } else { "not ready" };
        text += &format!("{} ({}): {state}\n", definition.name, definition.spec.build.driver);
        text += &missing.iter().map(describe).collect::<String>();
        rows.push(json!({
            "image": definition.name,
            "driver": definition.spec.build.driver,
            "missing": missing.iter().map(json).collect::<Vec<_>>(),
        }));
    }
    // No image needs it, so it does not count. A Nix that does not answer was told of above.
    if names.is_empty()
        && let Ok(nix) = Nix::discover()
    {
        let missing = flake_check::missing(nix.as_ref());
        let state = if missing.is_none() { "ready" } else { "not ready" };
        text += &format!("flake check: {state}\n");
        text += &missing.iter().map(describe).collect::<String>();
        let missing: Vec<_> = missing.iter().map(json).collect();
        rows.push(json!({ "command": "flake check", "missing": missing }));
    }
    match context.format {
        Format::Human => print(&text)?,
        Format::Json => print_json(&rows)?,
    };
    Ok(if complete { Verdict::Clean } else { Verdict::Failed })
}

fn describe(missing: &Missing) -> String {
    let mut text = format!("  missing: {}\n    {}\n", missing.what, missing.why);
    if let Some(mend) = &missing.mend {
        text += &format!("    $ {mend}\n");
    }
    text
}

/// What a definition needs and this machine does not have.
pub(super) fn missing(definition: &Definition) -> Result<Vec<Missing>, PlanError> {
    // What the definition wants, and not what would be made in its place.
    let options = Options { driver: Some(definition.spec.build.driver), ..Options::default() };
    match image_factory::plan(definition, &options) {
        Ok(plan) => Ok(plan.missing()),
        Err(error @ PlanError::NoNix { .. }) => Ok(vec![Missing {
            what: "nix".to_owned(),
            why: error.to_string(),
            mend: Some("sudo apt-get install nix-setup-systemd".to_owned()),
        }]),
        // One bad file says nothing of the other images.
        Err(PlanError::Lock(error)) => Ok(vec![Missing {
            what: "lock file".to_owned(),
            why: lock::told(&error),
            mend: matches!(error, ImageLockError::Absent { .. })
                .then(|| format!("{} lock update {}", Program::current().typed(), definition.name)),
        }]),
        Err(error) => Err(error),
    }
}

/// For programs.
pub(super) fn json(missing: &Missing) -> serde_json::Value {
    json!({ "what": missing.what, "why": missing.why, "mend": missing.mend })
}
