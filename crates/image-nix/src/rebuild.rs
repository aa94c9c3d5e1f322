//! Builds again what is built, and tells whether it is the same.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::{
    build::{Nix, NixError},
    derivation::Derivation,
    failure::Failure,
    log::Event,
    request::{self, Options},
    store::{self, Place},
};

/// What is built again.
#[derive(Clone, Copy, Debug)]
pub struct RebuildRequest<'a> {
    /// Store path of the derivation. Its outputs are there.
    pub derivation: &'a str,
    /// Store path of the output that counts.
    pub output: &'a str,
    /// What the user hands on.
    pub options: &'a Options,
    /// Where builders have their temporary folders, if no daemon says that.
    pub tmp: &'a Path,
    /// How many processors a builder may use.
    pub cores: usize,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rebuilt {
    /// The same bytes.
    Same,
    /// Something else.
    Differs {
        /// Where the files of the second output are, if they are on this machine and it is the
        /// output that counts which differs.
        check: Option<PathBuf>,
    },
}

/// A derivation that another one is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its store path.
    pub derivation: String,
    /// Store path of its output.
    pub output: String,
    /// Where that is on this machine: a single file.
    pub physical: PathBuf,
}

impl Nix {
    /// Builds a derivation again, and compares. This machine does it, or that of the store, but no
    /// remote builder: Nix asks none for it.
    pub fn rebuild(
        &self,
        request: &RebuildRequest<'_>,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Rebuilt, NixError> {
        let RebuildRequest { derivation, output, options, tmp, cores } = *request;
        let again =
            Self { tool: self.tool.clone().env("TMPDIR", tmp), version: self.version.clone() };
        let mut kept = Vec::new();
        let args = request::rebuild(derivation, cores, options, &self.version);
        let ended = again.run(&args, options, &mut |event| {
            if let Event::Message { text, .. } = &event {
                kept.extend(kept_folder(text));
            }
            on_event(event);
        });
        // They are as large as the image, and nobody asked for them. Those of a daemon may be out
        // of our reach.
        for folder in kept {
            let _ = remove(&folder);
        }
        match ended {
            Ok(_) => Ok(Rebuilt::Same),
            Err(error) => match error.failure() {
                Some(Failure::NotDeterministic { .. }) => {
                    let place = Place::of_store(options.effective_store().as_deref());
                    let check = place.physical(&format!("{output}.check"));
                    let check = check.filter(|path| fs::symlink_metadata(path).is_ok());
                    Ok(Rebuilt::Differs { check })
                }
                _ => Err(error),
            },
        }
    }

    /// The second output that Nix kept is of no use any more: true if it is gone. What stays is
    /// removed by the next garbage collection. It also runs after an interrupt.
    pub fn forget_check(&self, output: &str, options: &Options) -> bool {
        let args = request::delete(&format!("{output}.check"), options);
        self.tool.run(args).cleans_up().output().is_ok()
    }

    /// What a derivation is made of, as far as that is a single file which was built here: the file
    /// system of a disk, the SquashFS of a disc. Programs and their libraries are folders, and what
    /// was downloaded is as it is.
    pub fn parts(&self, derivation: &str, options: &Options) -> Result<Vec<Part>, NixError> {
        let place = options.evaluation_place();
        let mut parts = Vec::new();
        for input in self.derivation(derivation, options)?.inputs {
            for output in self.derivation(&input, options)?.outputs {
                let physical = place.physical(&output.path).filter(|_| !output.fixed);
                let is_file = |path: &PathBuf| {
                    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
                };
                if let Some(physical) = physical.filter(is_file) {
                    parts.push(Part { derivation: input.clone(), output: output.path, physical });
                }
            }
        }
        if parts.is_empty() {
            return Ok(parts);
        }
        let paths = parts.iter().map(|part| part.output.as_str());
        let here = Options { store: None, ..options.clone() };
        let local = options.store.as_ref().filter(|store| !request::is_remote(store));
        let options = if local.is_some() { options } else { &here };
        let args = request::path_infos(paths, options, &self.version);
        let json = self.json(&args, options, &mut |_| ())?;
        let infos =
            store::read_path_info(&json).ok_or_else(|| self.unreadable(&args, json.to_string()))?;
        let built: Vec<_> =
            infos.into_iter().filter(|info| info.built_here).map(|info| info.path).collect();
        parts.retain(|part| built.contains(&part.output));
        Ok(parts)
    }

    fn derivation(&self, path: &str, options: &Options) -> Result<Derivation, NixError> {
        let physical = options.evaluation_place().physical(path).unwrap_or_else(|| path.into());
        let fail = |cause| NixError::Work { path: physical.clone(), cause };
        let text = fs::read(&physical).map_err(fail)?;
        let unknown = || fail(io::Error::other("this is no derivation of a known kind"));
        Derivation::parse(&text).ok_or_else(unknown)
    }
}

/// Removes a folder, and what is in it, also where the builder made that read-only: of such a
/// folder only root can remove anything.
fn remove(folder: &Path) -> io::Result<()> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let mode = fs::symlink_metadata(&folder)?.permissions().mode();
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode | 0o700))?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    fs::remove_dir_all(folder)
}

/// `note: keeping build directory '/tmp/nix-build-card.drv-0'`, in double quotes by 2.34.
fn kept_folder(text: &str) -> Option<PathBuf> {
    let (_, rest) = text.split_once("keeping build directory ")?;
    let quote = rest.chars().next().filter(|quote| ['\'', '"'].contains(quote))?;
    let path = PathBuf::from(rest.split(quote).nth(1)?);
    // Nothing else is removed, whoever wrote this line.
    let named = path.file_name().and_then(|name| name.to_str());
    let ours = path.is_absolute() && named.is_some_and(|name| name.starts_with("nix-"));
    ours.then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_only_folders_are_removed_and_links_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (kept, other) = (dir.path().join("nix-build-x"), dir.path().join("other"));
        fs::create_dir_all(kept.join("a/b")).unwrap();
        fs::create_dir(&other).unwrap();
        fs::write(other.join("file"), "").unwrap();
        std::os::unix::fs::symlink(&other, kept.join("a/link")).unwrap();
        for folder in [kept.join("a/b"), kept.join("a"), other.clone()] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o555)).unwrap();
        }
        remove(&kept).unwrap();
        assert!(!kept.exists() && other.join("file").exists());
        let mode = fs::metadata(&other).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o555);
        fs::set_permissions(other, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn kept_folders_are_known_by_their_name() {
        for (text, path) in [
            ("note: keeping build directory '/tmp/nix-build-x.drv-0'", "/tmp/nix-build-x.drv-0"),
            (
                "note: keeping build directory \"/nix/var/nix/builds/nix-3-4\"",
                "/nix/var/nix/builds/nix-3-4",
            ),
        ] {
            assert_eq!(kept_folder(text).unwrap(), Path::new(path));
        }
        for text in [
            "keeping build directory '/home'",
            "keeping build directory",
            "keeping build directory 'nix-x'",
        ] {
            assert_eq!(kept_folder(text), None, "{text}");
        }
    }
}
