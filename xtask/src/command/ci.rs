//! `ci`: everything that must pass before a change lands.

use std::{path::Path, thread, time::Instant};

use clap::ValueEnum as _;
use image_host::tool::Tool;

use super::{Context, codegen, fuzz};
use crate::{
    Verdict,
    args::{FuzzArgs, FuzzTarget},
    failure::Failure,
};

/// What is run, in the order in which a failure is cheap to find.
const STEPS: &[&[&str]] = &[
    &["fmt", "--all", "--check"],
    &[
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--locked",
        "--",
        "--deny",
        "warnings",
    ],
    // As everybody builds it who does not publish.
    &["clippy", "--package", "xtask", "--all-targets", "--locked", "--", "--deny", "warnings"],
    &["test", "--package", "xtask", "--test", "cli", "--locked", "grow::"],
    &["doc", "--workspace", "--all-features", "--no-deps", "--locked", "--document-private-items"],
    // What takes longest tells all that it found.
    &["test", "--workspace", "--all-features", "--locked", "--no-fail-fast"],
    // A workspace of its own: see docs/architecture.md.
    &["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"],
    &[
        "clippy",
        "--manifest-path",
        "fuzz/Cargo.toml",
        "--all-targets",
        "--locked",
        "--target-dir",
        "target",
        "--",
        "--deny",
        "warnings",
    ],
    &["test", "--manifest-path", "fuzz/Cargo.toml", "--lib", "--locked", "--target-dir", "target"],
];

/// For how long each checker is fed with hostile bytes, in seconds.
const FUZZ_SECONDS: u32 = 20;

/// How many checkers are fed at the same time.
const FUZZ_AT_ONCE: usize = 2;

pub(super) fn run(context: Context) -> Result<Verdict, Failure> {
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
    for targets in FuzzTarget::value_variants().chunks(FUZZ_AT_ONCE) {
        let feed =
            |target| fuzz::run(context, &FuzzArgs { target, seconds: FUZZ_SECONDS, replay: None });
        let verdicts: Vec<_> = thread::scope(|scope| {
            let runs: Vec<_> =
                targets.iter().map(|&target| scope.spawn(move || feed(target))).collect();
            let join = |run: thread::ScopedJoinHandle<'_, _>| {
                run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            runs.into_iter().map(join).collect()
        });
        for verdict in verdicts {
            if verdict? != Verdict::Clean {
                return Ok(Verdict::Defective);
            }
        }
    }
    eprintln!("ci: everything passed");
    Ok(Verdict::Clean)
}
