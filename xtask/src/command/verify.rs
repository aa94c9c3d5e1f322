//! `verify FILE…`

use std::path::Path;

use image_factory::{Event, Trust, Verification, definition, manifest, trust::PublicKey, verify};
use image_model::{Board, Boot, ImageKind, Manifest, VerificationReport, VerifySpec};
use image_verify::{Expected, VerifyError};
use serde_json::json;

use super::{Context, definitions, open_image, print, print_json, work_folder, work_hint};
use crate::{
    Verdict,
    args::{Format, KindName, VerifyArgs},
    failure::Failure,
    progress::Progress,
    text::{self, Paint},
};

pub(super) fn run(context: Context, args: &VerifyArgs) -> Result<Verdict, Failure> {
    let (mut expected, mut promised) = (
        match args.kind {
            KindName::Auto => Expected::Guess,
            KindName::Wsl => Expected::Kind(ImageKind::Wsl),
            KindName::Sd => Expected::Kind(ImageKind::Sd),
            KindName::Iso => Expected::Kind(ImageKind::Iso),
            KindName::Vm => Expected::Kind(ImageKind::Vm),
            KindName::Docker => Expected::Kind(ImageKind::Docker),
            KindName::Virtualbox => Expected::Kind(ImageKind::Virtualbox),
            KindName::Amazon => Expected::Kind(ImageKind::Amazon),
            KindName::None => Expected::AnyKind,
        },
        VerifySpec::default(),
    );
    if let Some(name) = &args.image {
        let spec = definitions(std::slice::from_ref(name))?.remove(0).spec;
        if args.kind == KindName::Auto {
            expected = Expected::Kind(spec.kind);
        }
        promised = spec.verify;
    }
    promised.boards.extend(boards(&args.boards)?);
    promised.boots.extend(boots(&args.boots)?);
    let keys = keys(&args.trusted_public_keys)?;
    let mut trust = Trust::of_machine();
    if !args.trusted_public_keys.is_empty() {
        trust = trust.with_keys(keys);
    }
    let manifest = args.manifest.as_deref().map(manifest::read).transpose()?;
    let asked = Asked { expected, promised, trust, manifest };
    let judge = |path: &Path| judge(context, args, &asked, path);
    let mut verdict = Verdict::Clean;
    let mut failures = Vec::new();
    for path in &args.files {
        let name = path.display().to_string();
        // A file that cannot be read does not keep the others from being judged.
        let report = match judge(path) {
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
            Format::Human => {
                let table = if args.paths { text::paths(&report) } else { String::new() };
                print(&(table + &text::report(&name, &report, Paint::for_stdout())))
            }
            Format::Json => print_json(&json!({ "file": name, "report": report })),
        }?;
    }
    let last = failures.pop();
    failures.iter().for_each(Failure::print);
    last.map_or(Ok(verdict), Err)
}

/// What is asked of all files.
struct Asked {
    expected: Expected,
    promised: VerifySpec,
    trust: Trust,
    manifest: Option<Manifest>,
}

fn judge(
    context: Context,
    args: &VerifyArgs,
    asked: &Asked,
    path: &Path,
) -> Result<VerificationReport, Failure> {
    let file = open_image(path, "cannot read")?;
    let work = work_folder(args.work.as_deref());
    let file_name = path.file_name().and_then(|name| name.to_str());
    let Asked { expected, promised, trust, manifest } = asked;
    let verification = Verification {
        expected: *expected,
        system: args.system.as_deref(),
        file_name,
        boards: &promised.boards,
        boots: &promised.boots,
        waivers: &promised.waive,
        trust: Some(trust),
        manifest: manifest.as_ref(),
        work: &work,
    };
    let progress = Progress::new(context.progress);
    verify::file(file, &verification, &|event: Event| progress.show(&event)).map_err(|e| {
        let hint = match &e {
            VerifyError::Sink(cause) => work_hint(cause).unwrap_or_default(),
            _ => "",
        };
        Failure::host(format!("cannot verify {}{hint}", path.display()), e)
    })
}

/// The keys in these lists of them.
fn keys(lists: &[String]) -> Result<Vec<PublicKey>, Failure> {
    let texts = lists.iter().flat_map(|list| list.split_ascii_whitespace());
    let key = |text: &str| {
        let fail = |e| Failure::usage(format!("--trusted-public-keys {text:?}: {e}"));
        PublicKey::parse(text).map_err(fail)
    };
    texts.map(key).collect()
}

/// The boards of these names.
fn boards(names: &[String]) -> Result<Vec<Board>, Failure> {
    named("board", names, &Board::ALL, Board::as_str)
}

/// The ways to boot of these names.
fn boots(names: &[String]) -> Result<Vec<Boot>, Failure> {
    named("way to boot", names, &Boot::ALL, Boot::as_str)
}

/// Those of `all` that have these names; `what` is what one of them is called.
fn named<T: Copy>(
    what: &str,
    names: &[String],
    all: &[T],
    as_str: fn(T) -> &'static str,
) -> Result<Vec<T>, Failure> {
    let find = |name: &String| {
        all.iter().copied().find(|one| as_str(*one) == name).ok_or_else(|| {
            let known: Vec<_> = all.iter().copied().map(as_str).collect();
            let nearest = definition::nearest(name, known.iter().copied());
            let nearest = nearest.map(|name| format!("; did you mean {name:?}?"));
            let nearest = nearest.unwrap_or_default();
            Failure::usage(format!("no {what} is called {name:?}{nearest}: {}", known.join(", ")))
        })
    };
    names.iter().map(find).collect()
}
