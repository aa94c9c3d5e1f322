//! `verify FILE…`

use std::{fs::File, path::Path};

use image_factory::{Event, Verification, verify};
use image_model::{ImageKind, VerificationReport, Waiver};
use serde_json::json;

use super::{Context, definitions, print, print_json};
use crate::{
    Verdict,
    args::{Format, KindName, VerifyArgs},
    failure::Failure,
    progress::Progress,
    text::{self, Paint},
};

pub(super) fn run(context: Context, args: &VerifyArgs) -> Result<Verdict, Failure> {
    let waivers: Vec<Waiver> = match &args.image {
        Some(name) => definitions(std::slice::from_ref(name))?.remove(0).spec.verify.waive,
        None => Vec::new(),
    };
    let mut verdict = Verdict::Clean;
    let mut failures = Vec::new();
    for path in &args.files {
        let name = path.display().to_string();
        // A file that cannot be read does not keep the others from being judged.
        let report = match judge(context, args, &waivers, path) {
            Ok(report) => report,
            Err(failure) if failure.verdict() == Verdict::Interrupted => return Err(failure),
            Err(failure) => {
                failures.push(failure);
                continue;
            }
        };
        if !report.passed() {
            verdict = Verdict::Defective;
        }
        let _ = match context.format {
            Format::Human => print(&text::report(&name, &report, Paint::for_stdout())),
            Format::Json => print_json(&json!({ "file": name, "report": report })),
        }?;
    }
    let last = failures.pop();
    failures.iter().for_each(Failure::print);
    last.map_or(Ok(verdict), Err)
}

fn judge(
    context: Context,
    args: &VerifyArgs,
    waivers: &[Waiver],
    path: &Path,
) -> Result<VerificationReport, Failure> {
    let fail = |e| Failure::file(format!("cannot read {}", path.display()), e);
    // Before it is opened: opening a pipe waits for somebody at its other end.
    if !std::fs::metadata(path).map_err(fail)?.is_file() {
        return Err(Failure::usage(format!("{} is not a regular file", path.display())));
    }
    let file = File::open(path).map_err(fail)?;
    let file_name = path.file_name().and_then(|name| name.to_str());
    let verification = Verification {
        kind: match args.kind {
            KindName::Wsl => Some(ImageKind::Wsl),
            KindName::None => None,
        },
        system: args.system.as_deref(),
        file_name,
        waivers,
    };
    let progress = Progress::new(context.progress);
    verify::file(&file, &verification, &|event: Event| progress.show(&event))
        .map_err(|e| Failure::host(format!("cannot verify {}", path.display()), e))
}
