//! The flake that Nix is given: the one that was asked for, or a generated flake around it. So
//! evaluation stays pure, and nothing of the user's is written to.
//!
//! `--profile` needs one: it sets the option `imageFactory.profiles`, of the factory's own NixOS
//! module. A lock file of an image's own needs one where Nix is older than 2.15.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use image_nix::{Extension, FlakeRef, Nix, NixError, NoAround, Options, store::FlakeMetadata};

use super::{Fault, nix_image::question};
use crate::definition::nearest;

/// There is no such flake.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AroundError {
    /// The configuration does not know the option.
    #[error(
        "{host} has no option imageFactory.profiles, which --profile sets: import \
         nixosModules.default of the image factory's flake in it"
    )]
    NoOption {
        /// The attribute of the configuration.
        host: String,
    },
    /// The configuration has no such profile.
    #[error(
        "no profile of {host} is called {name:?}{}; known are {}",
        nearest.as_ref().map(|name| format!(", did you mean {name:?}?")).unwrap_or_default(),
        known.join(", ")
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// The attribute of the configuration.
        host: String,
        /// The name that looks most like it.
        nearest: Option<String>,
        /// All names.
        known: Vec<String>,
    },
    /// Nix refused.
    #[error(transparent)]
    Nix(#[from] NixError),
    /// What Nix tells of the flake is not enough.
    #[error(transparent)]
    NoAround(#[from] NoAround),
    /// The generated flake cannot be written.
    #[error("cannot write {}", path.display())]
    Io {
        /// Its folder.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

impl AroundError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::NoOption { .. } | Self::Unknown { .. } => Fault::Usage,
            Self::Nix(_) | Self::NoAround(_) | Self::Io { .. } => Fault::Host,
        }
    }
}

/// The flake to build instead of `flake`, which was locked to `metadata`, so that a configuration
/// of it is changed as `extension` says. Names that the configuration does not know are refused
/// here: evaluating it would take longer, and say less. What is generated is written into `work`.
pub(crate) fn flake(
    nix: &Nix,
    options: &Options,
    flake: &FlakeRef,
    metadata: &FlakeMetadata,
    extension: Option<&Extension>,
    work: &Path,
) -> Result<FlakeRef, AroundError> {
    let locked = nix.in_force(flake, metadata, options, work)?;
    let Some(extension) = extension else { return Ok(locked) };
    let host = extension.attribute();
    const KNOWN: &str = "host: host.config.imageFactory.knownProfiles or null";
    let known: Option<Vec<String>> = question::ask(nix, &locked, &host, KNOWN, options)?;
    all_known(&extension.profiles, known, &host)?;
    // What Nix told of the flake has the lock file that counts, also where that is not the flake's.
    let around = image_nix::around::around(metadata, None, Some(extension))?;
    let path = work.join("extended-flake");
    let written = fs::create_dir(&path).and_then(|()| around.write(&path));
    written.map_err(|cause| AroundError::Io { path, cause })
}

fn all_known(names: &[String], known: Option<Vec<String>>, host: &str) -> Result<(), AroundError> {
    let host = host.to_owned();
    let Some(known) = known else { return Err(AroundError::NoOption { host }) };
    let Some(name) = names.iter().find(|name| !known.contains(name)) else { return Ok(()) };
    let nearest = nearest(name, known.iter().map(String::as_str));
    Err(AroundError::Unknown { name: name.clone(), host, nearest, known })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_named_with_what_is() {
        let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        let host = "nixosConfigurations.wsl";
        let known = || Some(names(&["essential", "full", "kubernetes"]));
        assert!(all_known(&names(&["full", "essential"]), known(), host).is_ok());
        let error = all_known(&names(&["full", "kubernets", "x"]), known(), host).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no profile of nixosConfigurations.wsl is called \"kubernets\", did you mean \
             \"kubernetes\"?; known are essential, full, kubernetes"
        );
        let error = all_known(&names(&[""]), known(), host).unwrap_err().to_string();
        assert!(error.contains("is called \"\"; known are"), "{error}");
        let error = all_known(&names(&["full"]), None, host).unwrap_err();
        assert!(matches!(error, AroundError::NoOption { .. }));
        assert_eq!(error.fault(), Fault::Usage);
    }
}
