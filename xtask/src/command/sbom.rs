//! `sbom FILE`: the software that an image consists of.

use std::{io::Write as _, path::Path};

use image_factory::{Event, Verification, sbom, verify};
use image_host::{epoch, publish};
use image_verify::{Expected, VerifyError};

use super::{Context, open_image, print_bytes, work_folder, work_hint};
use crate::{
    Verdict,
    args::{SbomArgs, SbomStandard},
    failure::Failure,
    progress::Progress,
    text::plural,
};

pub(super) fn run(context: Context, args: &SbomArgs) -> Result<Verdict, Failure> {
    let path = args.file.as_path();
    let file = open_image(path, "cannot read")?;
    let epoch = epoch::source_date_epoch().map_err(|e| Failure::usage(e.to_string()))?;
    let work = work_folder(args.work.as_deref());
    let name = path.file_name().unwrap_or(path.as_os_str());
    let name = image_verify::tree::display(name.as_encoded_bytes());
    let verification = Verification {
        expected: Expected::Guess,
        system: None,
        file_name: Some(&name),
        boards: &[],
        boots: &[],
        waivers: &[],
        trust: None,
        manifest: None,
        work: &work,
    };
    let progress = Progress::new(context.progress);
    let report = verify::file(file, &verification, &|event: Event| progress.show(&event));
    let report = report.map_err(|e| {
        let hint = match &e {
            VerifyError::Sink(cause) => work_hint(cause).unwrap_or_default(),
            _ => "",
        };
        Failure::host(format!("cannot read {}{hint}", path.display()), e)
    })?;
    let Some(image) = sbom::Image::of(&name, None, &report, epoch) else {
        let mut text = format!("{} has no Nix store whose paths are known", path.display());
        // What is damaged may have had one.
        if !report.passed() {
            text += &format!("; it is defective: see `verify {}`", path.display());
        }
        return Err(Failure::new(Verdict::Defective, text));
    };
    // What is listed is there, whatever is wrong with it.
    if !report.passed() {
        let errors = report.totals.errors;
        let word = plural(errors, "error");
        let file = path.display();
        eprintln!("warning: {errors} {word} in {file}: see `verify {file}`");
    }
    if let Some(out) = &args.cyclonedx {
        write(out, &sbom::cyclonedx(&image))?;
    }
    if let Some(out) = &args.spdx {
        write(out, &sbom::spdx(&image))?;
    }
    if args.cyclonedx.is_some() || args.spdx.is_some() {
        return Ok(Verdict::Clean);
    }
    print_bytes(&match args.standard {
        SbomStandard::Cyclonedx => sbom::cyclonedx(&image),
        SbomStandard::Spdx => sbom::spdx(&image),
    })
}

/// Writes a file whole, or not at all.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let write = publish::publish(path, |file| file.write_all(bytes));
    write.map_err(|e| Failure::file(format!("cannot write {}", path.display()), e))
}
