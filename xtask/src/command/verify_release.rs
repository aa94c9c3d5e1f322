//! `verify-release DIR|URL`

use std::{collections::BTreeSet, path::Path};

use image_factory::Event;
use image_host::interrupt;
use image_model::Severity;
use image_publish::{Environment, Patience, Target, http::Http, oci::Artifacts, s3::Stored};
use image_release::{
    check::{self, Folder, ReleaseReport, Source},
    sign::PublicKey,
};

use super::{Context, print, print_json};
use crate::{
    Verdict,
    args::{Format, VerifyReleaseArgs},
    failure::Failure,
    progress::Progress,
    text::{self, Paint, bytes, plural},
};

pub(super) fn run(context: Context, args: VerifyReleaseArgs) -> Result<Verdict, Failure> {
    let parse = |key: &String| {
        PublicKey::from_argument(key).map_err(|error| Failure::new(Verdict::Usage, error))
    };
    let keys: Vec<_> = args.keys.iter().map(parse).collect::<Result<_, _>>()?;
    let source = open(&args.release)?;
    let progress = Progress::new(context.progress);
    let report = check::check(&*source, &keys, &|event: Event| progress.show(&event));
    progress.clear();
    let report = report.map_err(|error| {
        let stopped = interrupt::caused(&error);
        Failure::new(if stopped { Verdict::Interrupted } else { Verdict::Failed }, error)
    })?;
    match context.format {
        Format::Human => print(&human(&report, Paint::for_stdout()))?,
        Format::Json => print_json(&report)?,
    };
    Ok(if report.passed() { Verdict::Clean } else { Verdict::Defective })
}

/// Where the release is read from.
fn open(place: &str) -> Result<Box<dyn Source>, Failure> {
    let usage = |error: &dyn std::error::Error| Failure::usage(error.to_string());
    let web = |address: &str| -> Result<Box<dyn Source>, Failure> {
        Ok(Box::new(Http::new(address, Patience::default()).map_err(|e| usage(&e))?))
    };
    if place.starts_with("https://") || place.starts_with("http://") {
        return web(place);
    }
    let without = |what: &str| Failure::usage(format!("{place} names no version: {what}"));
    if place.starts_with("oci://") {
        // A port has a colon as well, and is before the last slash.
        let at = place.find('@').or_else(|| {
            let name = place.rfind('/')?;
            Some(name + place.get(name..)?.find(':')?)
        });
        let Some((repository, reference)) = at.map(|at| place.split_at(at)) else {
            return Err(without("oci://REGISTRY/REPOSITORY:VERSION, or @sha256:… at its end"));
        };
        let target: Target = repository.parse().map_err(|e| usage(&e))?;
        let Target::Oci { registry, repository } = &target else {
            return Err(Failure::usage(format!("{place} is no place in a registry")));
        };
        let (names, reference) = ((registry.as_str(), repository.as_str()), &reference[1..]);
        let environment = Environment::current();
        let artifacts = Artifacts::open(names, reference, &environment, Patience::default());
        return Ok(Box::new(artifacts.map_err(|e| Failure::new(Verdict::Failed, e))?));
    }
    if let Some(rest) = place.strip_prefix("github:") {
        let Some((repository, tag)) = rest.rsplit_once('/').filter(|(name, _)| name.contains('/'))
        else {
            return Err(without("github:OWNER/REPOSITORY/VERSION"));
        };
        return web(&format!("https://github.com/{repository}/releases/download/{tag}/"));
    }
    if place.starts_with("s3://") {
        let target: Target = place.parse().map_err(|e| usage(&e))?;
        let Target::S3 { bucket, prefix } = &target else {
            return Err(Failure::usage(format!("{place} is no place in a bucket")));
        };
        if prefix.is_empty() {
            return Err(without("s3://BUCKET/PREFIX/VERSION"));
        }
        let stored = Stored::open(bucket, prefix, &Environment::current(), Patience::default());
        return Ok(Box::new(stored?));
    }
    let folder = Folder::open(Path::new(place));
    Ok(Box::new(folder.map_err(|e| Failure::file(format!("cannot open the folder {place}"), e))?))
}

/// The report for people: what it is, who signed it, what is wrong.
fn human(report: &ReleaseReport, paint: Paint) -> String {
    let mut text = format!("{}: ", report.place);
    text += &match &report.version {
        Some(version) => format!("release {version}"),
        None => "no release that can be read".to_owned(),
    };
    let (images, files) = (report.images.len() as u64, report.files);
    text += &format!(
        ", {images} {}, {files} {}, {}\n",
        plural(images, "image"),
        plural(files, "file"),
        bytes(report.bytes)
    );
    for image in &report.images {
        text += &format!("  {}  {}\n", image.sha256, image.file);
    }
    for signature in &report.signatures {
        let Some(key_id) = &signature.key_id else { continue };
        text += &format!("  signed by the {} key {key_id}", signature.scheme);
        text += if signature.given { ", which was given" } else { ", which came with it" };
        if let Some(time) = &signature.time {
            text += &format!(", at {time}");
        }
        text.push('\n');
    }
    for finding in &report.findings {
        text += &format!("  {} {}: ", paint.severity(finding.severity), finding.check);
        if let Some(file) = &finding.file {
            text += &format!("{file}: ");
        }
        text += &format!("{}\n", finding.message);
    }
    for (check, count) in &report.omitted {
        text += &format!("  … and {count} more of {check}\n");
    }
    let notes = report.findings.iter().filter(|finding| finding.severity == Severity::Info);
    let noted = notes.map(|finding| &finding.check).collect::<BTreeSet<_>>().len() as u64;
    text + &text::verdict(&report.totals, noted, paint)
}
