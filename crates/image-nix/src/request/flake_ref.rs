//! References to flakes.

use std::{
    ffi::OsString,
    fmt,
    path::{Component, Path, PathBuf},
};

/// Flakes are built as they are locked. Without this, Nix would write a `flake.lock` into the
/// user's folder, and build something else tomorrow.
pub(super) const KEEP_LOCK: &str = "--no-update-lock-file";

/// Names the lock file that counts instead of the flake's own. One that is not there is taken for
/// an empty one.
pub(super) const REFERENCE_LOCK: &str = "--reference-lock-file";

/// A flake, as Nix takes it on its command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlakeRef {
    reference: String,
    /// What the user put behind `#`.
    pub fragment: Option<String>,
    /// The lock file that counts instead of the flake's own, from the root of this machine on.
    pub lock: Option<PathBuf>,
    /// A copy of that file, which Nix is given in its place.
    copy: Option<PathBuf>,
}

impl FlakeRef {
    /// Takes what the user typed, in Nix's meaning. Only a relative path changes: it is put below
    /// `base`, so that it does not matter where Nix runs. What is a path, and that a path inside a
    /// Git repository means `git+file`, is for Nix to say.
    pub fn new(typed: &str, base: &Path) -> Self {
        let (reference, fragment) = match typed.split_once('#') {
            Some((reference, fragment)) => (reference, Some(fragment.to_owned())),
            None => (typed, None),
        };
        let (path, query) = match reference.find('?') {
            Some(at) => reference.split_at(at),
            None => (reference, ""),
        };
        let url = ["path:", "git+file:"].into_iter().find(|scheme| path.starts_with(scheme));
        let reference = match url {
            Some(scheme) if !path[scheme.len()..].starts_with('/') => {
                let below = absolute(&path[scheme.len()..], base);
                format!("{scheme}{}{query}", percent_encoded(&below))
            }
            // An empty reference is the current folder. A name without a dot is looked up in the
            // registry.
            None if path.is_empty() || path.starts_with('.') => {
                format!("{}{query}", absolute(path, base).display())
            }
            _ => reference.to_owned(),
        };
        Self { reference, fragment, lock: None, copy: None }
    }

    /// The same flake, evaluated with another lock file than its own.
    #[must_use]
    pub fn locked_by(self, lock: Option<PathBuf>) -> Self {
        Self { lock, copy: None, ..self }
    }

    /// The same, of which Nix is given a copy.
    pub(crate) fn with_copy(self, copy: PathBuf) -> Self {
        Self { copy: Some(copy), ..self }
    }

    /// The file that Nix is given, where it is not the flake's own.
    pub(crate) fn lock_in_force(&self) -> Option<&Path> {
        self.copy.as_deref().or(self.lock.as_deref())
    }

    /// The folder of `flake.nix`, if it is in one of this machine, as far as that can be told
    /// without Nix.
    pub fn local_folder(&self) -> Option<PathBuf> {
        let (path, query) = self.reference.split_once('?').unwrap_or((&self.reference, ""));
        let path = match path.strip_prefix("path:").or_else(|| path.strip_prefix("git+file:")) {
            // An encoded one is for Nix to read, and so is another revision of the files.
            Some(path) if !path.contains('%') => path.strip_prefix("//").unwrap_or(path),
            Some(_) => return None,
            None => path,
        };
        let dir = query.strip_prefix("dir=").unwrap_or_default();
        let known = path.starts_with('/') && (query.is_empty() || !dir.is_empty());
        let plain = known && !dir.contains(['&', '%']);
        plain.then(|| if dir.is_empty() { path.into() } else { Path::new(path).join(dir) })
    }

    /// Which lock file counts, and that Nix leaves it as it is. Nix before 2.15 does not know the
    /// second flag, and says so.
    pub(super) fn lock_args(&self) -> Vec<OsString> {
        let mut args = vec![KEEP_LOCK.into()];
        if let Some(lock) = self.lock_in_force() {
            args.extend([REFERENCE_LOCK.into(), lock.into()]);
        }
        args
    }

    /// The flake in a folder, whatever repository that is in. `folder` is absolute. Nix 2.8 does not
    /// decode URLs of this form, and finds only folders that need no encoding.
    pub fn folder(folder: &Path) -> Self {
        let reference = format!("path:{}", percent_encoded(folder));
        Self { reference, fragment: None, lock: None, copy: None }
    }

    /// The flake and one of its attributes.
    pub(crate) fn installable(&self, attribute: &str) -> String {
        format!("{self}#{attribute}")
    }
}

/// The flake, without an attribute.
impl fmt::Display for FlakeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reference)
    }
}

fn absolute(path: &str, base: &Path) -> PathBuf {
    // `..` stays: only the file system knows what it means behind a symlink.
    base.join(path).components().filter(|part| *part != Component::CurDir).collect()
}

fn percent_encoded(path: &Path) -> String {
    let mut text = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/+=@:".contains(byte) {
            text.push(char::from(*byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(typed: &str) -> String {
        FlakeRef::new(typed, Path::new("/home/me/my flakes")).to_string()
    }

    #[test]
    fn only_relative_paths_change() {
        assert_eq!(reference("."), "/home/me/my flakes");
        assert_eq!(reference(""), "/home/me/my flakes");
        assert_eq!(reference("./tests/flake"), "/home/me/my flakes/tests/flake");
        assert_eq!(reference("../other?dir=sub"), "/home/me/my flakes/../other?dir=sub");
        assert_eq!(reference("path:./a?dir=b"), "path:/home/me/my%20flakes/a?dir=b");
        assert_eq!(reference("git+file:."), "git+file:/home/me/my%20flakes");
        for unchanged in [
            "/srv/flake",
            "nixpkgs",
            "nixpkgs/nixos-26.05",
            "github:nix-community/NixOS-WSL/release-26.05?dir=x",
            "path:/srv/flake",
            "git+file:///srv/flake?ref=main",
            "https://example.org/flake.tar.gz",
        ] {
            assert_eq!(reference(unchanged), unchanged);
        }
    }

    #[test]
    fn a_folder_may_be_called_anything() {
        let folder = FlakeRef::folder(Path::new("/home/me/a b#c?d%e"));
        assert_eq!(folder.to_string(), "path:/home/me/a%20b%23c%3Fd%25e");
    }

    #[test]
    fn a_folder_is_known_without_nix() {
        let folder = |typed: &str| FlakeRef::new(typed, Path::new("/r")).local_folder();
        for (typed, expected) in [
            ("./nix", "/r/nix"),
            ("path:./nix", "/r/nix"),
            (".?dir=nix", "/r/nix"),
            ("git+file:///r?dir=nix", "/r/nix"),
        ] {
            assert_eq!(folder(typed).unwrap(), Path::new(expected), "{typed}");
        }
        for other in ["github:o/r", "nixpkgs", "git+file:.?ref=x", "path:./a%20b", ".?dir=a&rev=1"]
        {
            assert_eq!(folder(other), None, "{other}");
        }
    }

    #[test]
    fn the_fragment_is_kept_apart() {
        let flake = FlakeRef::new("./a?dir=b#host", Path::new("/srv"));
        assert_eq!(flake.to_string(), "/srv/a?dir=b");
        assert_eq!(flake.fragment.as_deref(), Some("host"));
        assert_eq!(flake.installable("x.y"), "/srv/a?dir=b#x.y");
    }
}
