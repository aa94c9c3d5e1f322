//! `release --version V NAME…`

use std::path::{Path, PathBuf};

use image_factory::{DIST_DIR, DefinitionError, definition};
use image_host::epoch;
use image_model::{ReleaseManifest, ReleaseSpec};
use image_release::{
    Allowed, Made, MakeError, Options,
    names::check_version,
    sign::{self, PassphraseSource, Signer},
    spec,
};
use serde_json::json;

use super::{Context, definitions, print, print_json};
use crate::{
    Verdict,
    args::{Format, ReleaseArgs},
    failure::Failure,
    program::Program,
    progress::Progress,
    text::{self, Paint},
};

pub(super) fn run(context: Context, args: ReleaseArgs) -> Result<Verdict, Failure> {
    // Before somebody is asked for a passphrase.
    check_version(&args.version).map_err(MakeError::from)?;
    let epoch = epoch::source_date_epoch().map_err(|e| Failure::usage(e.to_string()))?;
    let (spec, dist) = project(&args)?;
    let options = Options {
        signers: signers(&args)?,
        version: args.version,
        images: args.names,
        dist,
        spec,
        allowed: Allowed { unverified: args.allow_unverified, mini: args.allow_mini },
        epoch,
    };
    let progress = Progress::new(context.progress);
    let made = image_release::make(&options, &|event| progress.show(&event));
    progress.clear();
    let made = made?;
    match context.format {
        Format::Human => print(&human(&made, Paint::for_stdout())),
        Format::Json => print_json(&json!({
            "folder": made.folder,
            "manifest": made.manifest,
            "notes": made.notes,
        })),
    }
}

/// What releases of the project have in common, and where its images are. A folder that is named is
/// enough: it may have come from another machine.
fn project(args: &ReleaseArgs) -> Result<(ReleaseSpec, PathBuf), Failure> {
    let here = std::env::current_dir().map_err(|e| Failure::host("no current folder", e))?;
    let (root, dist) = match (definition::find_root(&here), &args.dist) {
        (Ok(root), None) => {
            let dist = root.join(DIST_DIR);
            // A name that is nowhere is a typo, and not an image that is to be made.
            let absent = |name: &&String| !dist.join(name).exists();
            let absent: Vec<_> = args.names.iter().filter(absent).cloned().collect();
            if !absent.is_empty() {
                definitions(&absent)?;
            }
            (root, dist)
        }
        (Ok(root), Some(dist)) => (root, dist.clone()),
        (Err(DefinitionError::NoImages { .. }), Some(dist)) => (here, dist.clone()),
        (Err(error), _) => return Err(error.into()),
    };
    let mut spec = spec::load(&root).map_err(MakeError::from)?;
    if let Some(base_url) = &args.base_url {
        spec.base_url = Some(base_url.clone());
    }
    Ok((spec, dist))
}

/// Whoever signs. Nobody does only where somebody insists on that.
fn signers(args: &ReleaseArgs) -> Result<Vec<Box<dyn Signer>>, Failure> {
    if args.unsigned {
        return Ok(Vec::new());
    }
    let mut passphrase = PassphraseSource::new(args.passphrase.passphrase_fd);
    let signers = if args.keys.is_empty() {
        sign::from_environment(&mut passphrase)
    } else {
        sign::load(&args.keys, &mut passphrase)
    };
    let signers = signers.map_err(MakeError::from)?;
    if signers.is_empty() {
        return Err(Failure::usage(format!(
            "a release is signed: --key FILE or ${} has a key, `{} key generate FILE` makes one, and \
             --unsigned does without",
            sign::KEY_VARIABLE,
            Program::current().typed()
        )));
    }
    Ok(signers)
}

impl From<MakeError> for Failure {
    fn from(error: MakeError) -> Self {
        Self::by_fault(error.fault(), error)
    }
}

fn human(made: &Made, paint: Paint) -> String {
    let Made { folder, manifest, notes } = made;
    let here = std::env::current_dir().unwrap_or_default();
    let shown = folder.strip_prefix(&here).unwrap_or(folder);
    let mut text = String::new();
    for image in &manifest.images {
        let totals = &image.verification.totals;
        let verified = match &image.unverified {
            Some(_) => paint.bad("not verified"),
            None if totals.waived > 0 => {
                let checks = text::plural(totals.waived, "check");
                paint.noted(&format!("verified, {} {checks} waived", totals.waived))
            }
            None => paint.good("verified"),
        };
        let (name, title, system) = (&image.image, &image.title, &image.system);
        text += &format!("{name}: {title}, {system}, {verified}\n");
    }
    text += &files(shown, manifest);
    for signature in &manifest.signatures {
        text += &format!("signed with {} key {}\n", signature.scheme, signature.key_id);
    }
    if manifest.signatures.is_empty() {
        text += &format!("{}\n", paint.bad("not signed"));
    }
    for omitted in &manifest.omitted {
        let of = omitted.image.as_ref().map(|image| format!(" of {image}")).unwrap_or_default();
        text += &format!("no {}{of}: {}\n", omitted.catalog, omitted.why);
    }
    for note in notes {
        text += &format!("note: {note}\n");
    }
    text + &format!("{}\n", shown.display())
}

/// All files with their sizes.
fn files(folder: &Path, manifest: &ReleaseManifest) -> String {
    let listed = manifest.files.iter().map(|file| (file.file.as_str(), Some(file.size)));
    let signatures = manifest.signatures.iter().map(|signature| signature.file.as_str());
    let others = [image_release::MANIFEST, image_release::SUMS].into_iter().chain(signatures);
    let size = |name: &str| folder.join(name).metadata().ok().map(|metadata| metadata.len());
    let mut files: Vec<_> = listed.chain(others.map(|name| (name, size(name)))).collect();
    files.sort_unstable();
    let width = files.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let size = |size: Option<u64>| size.map(text::bytes).unwrap_or_default();
    let line = |(name, bytes): (&str, Option<u64>)| format!("  {name:width$}  {}\n", size(bytes));
    files.into_iter().map(line).collect()
}
