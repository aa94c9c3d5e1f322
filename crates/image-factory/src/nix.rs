//! Builds an attribute of a flake with Nix, and notes down all that the manifest will say of it.

use std::{
    path::{Path, PathBuf},
    sync::Mutex,
};

use image_model::{Driver, ManifestTool, Source};
pub use image_nix::{Event, FlakeRef, Level, Nix, NixError, Options, log::Counts};

use crate::{
    driver::around::{self, AroundError},
    event::{self, Events},
    plan::NixosWslInput,
};

/// What Nix built.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    /// Where the files are on this machine.
    pub(crate) path: PathBuf,
    /// What it was made from.
    pub(crate) source: Source,
    /// Nix itself.
    pub(crate) tools: Vec<ManifestTool>,
}

/// Builds what `input` says, the configuration changed where it says so. The link in `work` keeps
/// the output from Nix's garbage collector as long as the folder is there.
pub(crate) fn build(
    input: &NixosWslInput,
    work: &Path,
    events: Events<'_>,
) -> Result<Output, AroundError> {
    let NixosWslInput { flake, attribute, options, nix, extension, .. } = input;
    let mut on_event = |event| events(event::Event::Nix(event));
    let flake = flake.clone().frozen(work)?;
    let metadata = nix.lock(&flake, options, &mut on_event)?;
    let flake = around::flake(nix, options, &flake, &metadata, extension.as_ref(), work)?;
    let request = image_nix::BuildRequest {
        flake,
        attribute: attribute.clone(),
        out_link: work.join("result"),
        options: options.clone(),
    };
    let built = nix.build_locked(&request, metadata, &mut on_event)?;
    Ok(Output {
        path: built.physical,
        source: Source {
            driver: Driver::NixosWsl,
            route: "nix".to_owned(),
            flake: input.asked.clone(),
            locked: Some(built.flake.locked),
            inputs: built.flake.inputs,
            attribute: Some(attribute.clone()),
            profiles: extension.as_ref().map_or_else(Vec::new, |e| e.profiles.clone()),
            derivation: Some(built.derivation),
            store_path: Some(built.store_path),
            nar_hash: Some(built.nar_hash),
            input_sha256: None,
        },
        tools: vec![ManifestTool { name: "nix".to_owned(), version: nix.version().text.clone() }],
    })
}

/// What a display needs to remember of a run of Nix: the last numbers, and the last line.
#[derive(Debug, Default)]
pub struct Display {
    last: Mutex<(image_nix::Progress, String)>,
}

impl Display {
    /// The state after `event`, in one line.
    pub fn line(&self, event: &Event) -> String {
        let mut last = self.last.lock().expect("no holder of this lock panics");
        match event {
            Event::Progress(progress) => last.0 = *progress,
            other => last.1 = describe(other),
        }
        let (progress, text) = &*last;
        let builds = &progress.builds;
        let mut line = format!("{}/{} built", builds.done, builds.expected);
        if builds.failed > 0 {
            line += &format!(", {} failed", builds.failed);
        }
        let downloads = &progress.downloaded_bytes;
        if downloads.expected > 0 {
            line += &format!(", {}/{} MiB", downloads.done >> 20, downloads.expected >> 20);
        }
        line + " · " + text
    }
}

/// The event in one line.
pub fn describe(event: &Event) -> String {
    match event {
        Event::Progress(_) => String::new(),
        Event::BuildStarted { derivation, machine } if machine.is_empty() => {
            format!("building {}", name(derivation))
        }
        Event::BuildStarted { derivation, machine } => {
            format!("building {} on {machine}", name(derivation))
        }
        Event::Phase { derivation, phase } => format!("{}: {phase}", name(derivation)),
        Event::BuildLine { derivation, line } => format!("{}> {line}", name(derivation)),
        Event::BuildEnded { derivation } => format!("{} ended", name(derivation)),
        Event::Message { text, .. } => text.clone(),
    }
}

/// `hello-2.12` of `/nix/store/<hash>-hello-2.12.drv`.
fn name(derivation: &str) -> &str {
    let base = derivation.rsplit('/').next().unwrap_or(derivation);
    let base = base.split_once('-').map_or(base, |(_, name)| name);
    base.strip_suffix(".drv").unwrap_or(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivations_are_shown_by_name() {
        assert_eq!(name("/nix/store/abc-hello-2.12.drv"), "hello-2.12");
        assert_eq!(name("odd"), "odd");
    }
}
