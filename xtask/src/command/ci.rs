//! `ci`: everything that must pass before a change lands.

use std::{path::Path, time::Instant};

use image_host::tool::Tool;

use super::codegen;
use crate::{Verdict, failure::Failure};

/// What is run, in the order in which a failure is cheap to find.
const STEPS: &[&[&str]] = &[
    &["fmt", "--all", "--check"],
    &["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"],
    &["doc", "--workspace", "--no-deps", "--locked", "--document-private-items"],
    &["test", "--workspace", "--locked"],
];

pub(super) fn run() -> Result<Verdict, Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    let cargo = Tool::find("cargo")
        .map_err(|e| Failure::host("ci needs cargo", e))?
        .inherit(|name| name.starts_with("CARGO_") || name.starts_with("RUST"))
        .inherit(|name| name.starts_with("IMAGE_FACTORY_") || name == "TERM" || name == "NO_COLOR")
        .env("RUSTDOCFLAGS", "--deny warnings");
    eprintln!("ci: codegen --check");
    codegen::run(true)?;
    for step in STEPS {
        let began = Instant::now();
        let run = cargo.run(step.iter().copied()).dir(root);
        eprintln!("ci: {run}");
        run.show().map_err(|error| Failure::new(Verdict::Defective, error))?;
        eprintln!("ci: passed in {:.0} s", began.elapsed().as_secs_f64());
    }
    eprintln!("ci: everything passed");
    Ok(Verdict::Clean)
}
