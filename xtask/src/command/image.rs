//! `image NAME…`

use image_factory::{Driver, Event, NixOptions, Options, Plan, Route, Target, event::Step};
use serde_json::json;

use super::{Context, definitions, print, print_json};
use crate::{
    Verdict,
    args::{DriverName, Format, ImageArgs, NixArgs, RouteName, SourceArgs},
    failure::Failure,
    progress::Progress,
    text::{self, Paint},
};

pub(super) fn run(context: Context, args: ImageArgs) -> Result<Verdict, Failure> {
    let options =
        Options { threads: args.threads, dist: args.dist, ..options(args.source, args.nix) };
    let plans = plans(&args.names, &options)?;
    if args.dry_run {
        return match context.format {
            Format::Human => print(&plans.iter().map(describe).collect::<String>()),
            Format::Json => print_json(&plans),
        };
    }
    let mut verdict = Verdict::Clean;
    for plan in &plans {
        if make(context, plan)? == Verdict::Defective {
            verdict = Verdict::Defective;
        }
    }
    Ok(verdict)
}

/// What the flags say of where the bytes come from.
pub(super) fn options(source: SourceArgs, nix: NixArgs) -> Options {
    Options {
        driver: source.driver.map(|name| match name {
            DriverName::NixosWsl => Driver::NixosWsl,
            DriverName::NixImage => Driver::NixImage,
            DriverName::NixosGenerators => Driver::NixosGenerators,
            DriverName::Prebuilt => Driver::Prebuilt,
            DriverName::Mini => Driver::Mini,
        }),
        from: source.from,
        flake: source.flake,
        attribute: source.attribute,
        variant: source.variant,
        route: source.route.map(|name| match name {
            RouteName::Auto => Route::Auto,
            RouteName::Variant => Route::Variant,
            RouteName::Generators => Route::Generators,
            RouteName::GeneratorsCli => Route::GeneratorsCli,
            RouteName::Module => Route::Module,
        }),
        profiles: source.profiles,
        nix: nix_options(nix),
        busybox: source.busybox,
        sudo: source.sudo,
        ..Options::default()
    }
}

/// All plans before the first run: a typo in the last name costs no build of the first.
pub(super) fn plans(names: &[String], options: &Options) -> Result<Vec<Plan>, Failure> {
    if options.from.is_some() && names.len() > 1 {
        return Err(Failure::usage("--from FILE makes one image, and several are named"));
    }
    let definitions = definitions(names)?;
    let plans = definitions.iter().map(|definition| image_factory::plan(definition, options));
    Ok(plans.collect::<Result<_, _>>()?)
}

pub(super) fn nix_options(args: NixArgs) -> NixOptions {
    let pairs = args.nix_option.chunks_exact(2);
    NixOptions {
        settings: pairs.map(|pair| (pair[0].clone(), pair[1].clone())).collect(),
        builders: args.builders,
        store: args.store,
        max_jobs: args.max_jobs,
    }
}

fn make(context: Context, plan: &Plan) -> Result<Verdict, Failure> {
    let progress = Progress::new(context.progress);
    let made = image_factory::make(plan, &|event: Event| progress.show(&event));
    progress.clear();
    let made = match made {
        Ok(made) => made,
        Err(error) => {
            if let Some(report) = error.report() {
                let _ = match context.format {
                    Format::Human => print(&text::report("the input", report, Paint::for_stdout())),
                    Format::Json => print_json(&json!({ "image": plan.image, "report": report })),
                }?;
            }
            return Err(error.into());
        }
    };
    let verdict = if made.manifest.is_some() { Verdict::Clean } else { Verdict::Defective };
    match context.format {
        Format::Json => print_json(&json!({
            "image": plan.image,
            "dist": made.manifest.is_some().then_some(&made.dist),
            "manifest": made.manifest,
            "report": made.report,
        }))?,
        Format::Human => {
            let name = made
                .manifest
                .as_ref()
                .and_then(|manifest| manifest.artifacts.first())
                .map_or(plan.image.as_str(), |artifact| artifact.file.as_str());
            let mut text = text::report(name, &made.report, Paint::for_stdout());
            text += &match &made.manifest {
                Some(manifest) => published(&made.dist, manifest),
                None => {
                    format!("{}: not published; {} is as it was\n", plan.image, made.dist.display())
                }
            };
            print(&text)?
        }
    };
    Ok(verdict)
}

fn published(dist: &std::path::Path, manifest: &image_model::Manifest) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let shown = dist.strip_prefix(&here).unwrap_or(dist);
    let mut text = String::new();
    for artifact in &manifest.artifacts {
        text += &format!("{}\n", shown.join(&artifact.file).display());
    }
    text
}

fn describe(plan: &Plan) -> String {
    use image_factory::{
        Input as Source,
        lock::{Input, Pin},
    };
    let mut lines = vec![
        ("image", format!("{} ({})", plan.image, plan.definition.title)),
        ("system", plan.definition.system.clone()),
        ("driver", plan.input.driver().to_string()),
    ];
    let distribution = match &plan.input {
        Source::NixosWsl(input) => {
            lines.push(("flake", input.flake.to_string()));
            lines.push(("attribute", input.attribute.clone()));
            lines.extend(profiles(input.extension.as_ref()));
            lines.push(("nix", input.nix.to_string()));
            "nixos"
        }
        Source::NixImage(input) | Source::NixosGenerators(input) => {
            lines.push(("flake", input.flake.to_string()));
            lines.push(("attribute", input.target.attribute().to_owned()));
            if let Target::Host { name, .. } = &input.target {
                lines.push(("variant", name.clone()));
                lines.push(("route", input.route.to_string()));
            }
            lines.extend(profiles(input.extension.as_ref()));
            lines.push(("nix", input.nix.to_string()));
            "nixos"
        }
        Source::Prebuilt { file } => {
            lines.push(("from", file.display().to_string()));
            "{distribution}"
        }
        Source::Mini { busybox } => {
            let path = busybox.as_ref().map(|path| path.display().to_string());
            lines.push(("busybox", path.unwrap_or_else(|| "$BUSYBOX, or from PATH".to_owned())));
            "mini"
        }
    };
    if let Some(lock) = &plan.lock {
        lines.push(("lock", lock.file.clone()));
        for Input { path, pin } in lock.lock.inputs() {
            if matches!(pin, Pin::Locked(_)) {
                lines.push(("input", format!("{path} {pin}")));
            }
        }
    }
    let verify = &plan.definition.verify;
    let boards = verify.boards.iter().map(|board| board.as_str());
    let promises: Vec<_> = boards.chain(verify.boots.iter().map(|boot| boot.as_str())).collect();
    if !promises.is_empty() {
        lines.push(("promises", promises.join(", ")));
    }
    lines.push(("work", plan.work.display().to_string()));
    lines.push(("output", plan.dist.join(plan.file_name(distribution)).display().to_string()));
    let steps = [Step::Build, Step::Finish, Step::Verify, Step::Publish].map(Step::as_str);
    lines.push(("steps", steps.join(", ")));
    if let Some(notice) = &plan.notice {
        lines.push(("note", notice.clone()));
    }
    for missing in plan.missing() {
        lines.push(("missing", format!("{}: {}", missing.what, missing.why)));
    }
    lines.iter().map(|(key, value)| format!("{key:10} {value}\n")).collect()
}

fn profiles(extension: Option<&image_factory::Extension>) -> Option<(&'static str, String)> {
    extension.map(|extension| ("profiles", extension.profiles.join(", ")))
}
