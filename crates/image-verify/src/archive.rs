//! Archives: what is judged of all of their files, once they have passed.

use image_formats::bytes::ReadError;

use crate::{
    Recorder, kind,
    opened::{Opened, Tell},
    store,
    tar::TarFiles,
    tree::Tree,
    volume::{Trouble, Volume},
};

/// What a report says of a store of which only the names were seen.
const NO_CONTENTS: &str = "the contents of the Nix store, and what Nix registered of them";

/// What a report says of an archive that has more than a tree holds.
const TOO_MUCH: &str =
    "what the files are for, and a Nix store among them: there are more files than are kept";

/// What was found out about an archive, but for the findings.
#[derive(Default)]
pub(crate) struct Judged {
    /// The Nix stores in it.
    pub(crate) stores: Vec<store::Judged>,
    /// What of it no check looked at, for the report.
    pub(crate) not_verified: Vec<String>,
}

/// Judges files as those of an image for WSL.
pub(crate) type Wsl<'a> = dyn Fn(&Tree, &mut Recorder) + 'a;

/// What is asked of an archive.
pub(crate) struct Asked<'a> {
    /// Judges its files as those of an image for WSL, where they are to be that.
    pub(crate) wsl: Option<&'a Wsl<'a>>,
    /// What is asked of a Nix store.
    pub(crate) store: store::Asked<'a>,
    /// Who wants to see what was opened.
    pub(crate) opened: Option<&'a Tell<'a>>,
}

/// Judges the files of an archive. `files` has the contents that were kept. An error is the
/// machine's.
pub(crate) fn judge(
    tree: Tree,
    files: Option<TarFiles>,
    asked: Asked<'_>,
    out: &mut Recorder,
) -> Result<Judged, ReadError> {
    let Asked { wsl, store, opened } = asked;
    let mut judged = Judged::default();
    // Of a part of an image nobody knows what is missing in the whole.
    if !tree.is_complete() {
        judged.not_verified.push(TOO_MUCH.to_owned());
        return Ok(judged);
    }
    if tree.is_empty() {
        return Ok(judged);
    }
    let trouble = Trouble::default();
    let Some(files) = files else {
        if let Some(wsl) = wsl {
            wsl(&tree, out);
        }
        if tree.at(b"/nix/store").is_some() {
            judged.not_verified.push(NO_CONTENTS.to_owned());
        }
        return Ok(judged);
    };
    let volume: Volume = files.volume(tree, trouble.clone());
    let mut checks = store::Checks::OWN;
    if let Some(wsl) = wsl {
        wsl(&volume.tree, out);
        checks = kind::wsl::store_checks(&volume.tree);
    }
    let asked = store::Asked { checks, ..store };
    judged.stores.extend(store::verify(&volume, &asked, out));
    if let Some(tell) = opened {
        tell(&Opened::Archive(volume));
    }
    trouble.take()?;
    Ok(judged)
}
