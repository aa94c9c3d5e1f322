//! A file that somebody has, and what is known of how it was made.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use image_model::{Artifact, Digests, Manifest, Source};

use super::{Reproduction, is_absent, name_of};
use crate::{
    dist::MANIFEST,
    driver::Fault,
    finish::Finished,
    manifest::{self, ManifestError},
    plan::Plan,
};

/// What an image is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Against {
    /// What is published: `dist/NAME/`.
    Published,
    /// A file.
    File(PathBuf),
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgainstError {
    /// Nothing was published.
    #[error("{} is not there: publish it with `image {image}`, or name a file", path.display())]
    NotPublished {
        /// Name of the image.
        image: String,
        /// The manifest.
        path: PathBuf,
    },
    /// The manifest cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It is a folder, a pipe, a device.
    #[error("{} is no regular file", path.display())]
    NotAFile {
        /// Which.
        path: PathBuf,
    },
}

impl AgainstError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Read { cause, .. } if !is_absent(cause) => Fault::Host,
            Self::Manifest(error) => error.fault(),
            _ => Fault::Usage,
        }
    }
}

/// The file, and the manifest beside it where there is one that speaks of it.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) file: PathBuf,
    manifest: Option<(Manifest, Artifact)>,
}

/// Looks for the file.
pub(super) fn find(plan: &Plan, against: &Against) -> Result<Published, AgainstError> {
    let (folder, name) = match against {
        Against::Published => (plan.dist.clone(), None),
        Against::File(file) => {
            let read = |cause| AgainstError::Read { path: file.clone(), cause };
            // Before it is opened: opening a pipe waits for somebody at its other end.
            if !fs::metadata(file).map_err(read)?.is_file() {
                return Err(AgainstError::NotAFile { path: file.clone() });
            }
            File::open(file).map_err(read)?;
            (file.parent().unwrap_or(Path::new("")).to_owned(), Some(name_of(file)))
        }
    };
    let path = folder.join(MANIFEST);
    let manifest = match (manifest::read(&path), against) {
        (Err(error), _) if error.is_absent() => None,
        // Whatever lies beside a file that was named is no reason to refuse it.
        (Err(_), Against::File(_)) => None,
        (manifest, _) => Some(manifest?),
    };
    let artifact = manifest.and_then(|manifest| {
        let named = |artifact: &&Artifact| name.as_ref().is_none_or(|name| artifact.file == *name);
        let artifact = manifest.artifacts.iter().find(named)?.clone();
        Some((manifest, artifact))
    });
    match (artifact, against) {
        (manifest, Against::File(file)) => Ok(Published { file: file.clone(), manifest }),
        (Some((manifest, artifact)), Against::Published) => Ok(Published {
            file: folder.join(&artifact.file),
            manifest: Some((manifest, artifact)),
        }),
        (None, Against::Published) => {
            Err(AgainstError::NotPublished { image: plan.image.clone(), path })
        }
    }
}

impl Published {
    /// Says whether the file is the one that was published, and was made of the same things as what
    /// was just made. `read` is what it is.
    pub(super) fn tell(
        &self,
        read: Option<Digests>,
        source: &Source,
        finished: &Finished,
        told: &mut Reproduction,
    ) {
        let file = self.file.display();
        let Some((manifest, artifact)) = &self.manifest else {
            told.notes.push(format!(
                "what {file} was made of is not known: there is no {MANIFEST} for it beside it"
            ));
            return;
        };
        if read.is_some_and(|read| read != artifact.digests) {
            told.made.push(format!(
                "{file} is not the file that the {MANIFEST} beside it speaks of: it was changed \
                 since"
            ));
        }
        let theirs = &manifest.source;
        told.made.extend(origin(theirs, source));
        if theirs.input_sha256.is_some_and(|sha256| sha256 == finished.input.sha256) {
            told.made.push("what was built has the same bytes; finishing made the rest".to_owned());
        }
    }
}

/// What two images were made of: that it is the same, or what differs.
fn origin(theirs: &Source, ours: &Source) -> Vec<String> {
    let mut told = Vec::new();
    if let (Some(a), Some(b)) = (&theirs.derivation, &ours.derivation) {
        told.push(match a == b {
            true => format!("both are made of the derivation {a}"),
            false => format!("made of the derivation {a}, and here of {b}"),
        });
        if a == b {
            return told;
        }
    }
    let mut differs = |what: &str, a: Option<&String>, b: Option<&String>| {
        if a != b {
            let (a, b) = (a.map_or("nothing", String::as_str), b.map_or("nothing", String::as_str));
            told.push(format!("{what}: {a}, and here {b}"));
        }
    };
    differs("flake", theirs.locked.as_ref(), ours.locked.as_ref());
    differs("attribute", theirs.attribute.as_ref(), ours.attribute.as_ref());
    let names: BTreeSet<_> = theirs.inputs.keys().chain(ours.inputs.keys()).collect();
    for name in names {
        differs(&format!("input {name}"), theirs.inputs.get(name), ours.inputs.get(name));
    }
    if theirs.driver != ours.driver {
        told.push(format!("driver: {}, and here {}", theirs.driver, ours.driver));
    }
    if theirs.profiles != ours.profiles {
        let profiles = |source: &Source| source.profiles.join(",");
        told.push(format!("profiles: {:?}, and here {:?}", profiles(theirs), profiles(ours)));
    }
    told
}

#[cfg(test)]
mod tests {
    use image_model::Driver;

    use super::*;

    fn source(derivation: &str, nixpkgs: &str) -> Source {
        Source {
            driver: Driver::NixImage,
            route: "images.sd-card".to_owned(),
            flake: None,
            locked: Some("path:?narHash=sha256-a".to_owned()),
            inputs: [("nixpkgs".to_owned(), nixpkgs.to_owned())].into(),
            attribute: None,
            profiles: Vec::new(),
            derivation: Some(derivation.to_owned()),
            store_path: None,
            nar_hash: None,
            input_sha256: None,
        }
    }

    #[test]
    fn the_same_derivation_is_the_same_definition() {
        let told = origin(&source("/nix/store/a.drv", "1"), &source("/nix/store/a.drv", "1"));
        assert_eq!(told, ["both are made of the derivation /nix/store/a.drv"]);
    }

    #[test]
    fn another_derivation_is_told_with_what_moved() {
        let told = origin(&source("/nix/store/a.drv", "1"), &source("/nix/store/b.drv", "2"));
        assert_eq!(
            told,
            [
                "made of the derivation /nix/store/a.drv, and here of /nix/store/b.drv",
                "input nixpkgs: 1, and here 2"
            ]
        );
    }
}
