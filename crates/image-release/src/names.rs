//! The names that files have in a release: flat, with the version in them, none twice.
//!
//! A name is read by shells, by `sha256sum -c`, by systemd-sysupdate, as a part of a URL, and on file
//! systems that do not tell upper from lower case. So it has characters that none of them takes for
//! something else, and that GNU coreutils does not escape.

use std::collections::BTreeMap;

/// Longest version. A tag of an OCI registry has up to 128 characters, and versions that people
/// compare have fewer.
const MAX_VERSION: usize = 64;

/// Longest name of a file: `NAME_MAX` of Linux.
const MAX_FILE: usize = 255;

/// Longest name of a payload: less what is put behind it for what belongs to it, of which
/// `.verification.json` is the longest.
const MAX_PAYLOAD: usize = MAX_FILE - 32;

/// What ends the name of an image or of a part of one; of a name such as `nixos-24.05.img.zst` all
/// that says its format, and nothing that says which it is.
const EXTENSIONS: &[&str] = &[
    "bmap", "box", "bz2", "efi", "ext4", "gz", "img", "iso", "ova", "ovf", "qcow2", "raw",
    "squashfs", "tar", "tgz", "txz", "tzst", "vdi", "vhd", "vhdx", "vma", "vmdk", "wsl", "xz",
    "zst",
];

/// Something cannot be called so in a release.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// No version is called so.
    #[error("{version:?} is no version: {why}")]
    Version {
        /// What was asked for.
        version: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No file of a release is called so.
    #[error("{owner} has a file called {file:?}: {why}")]
    File {
        /// Whose it is.
        owner: String,
        /// Its name.
        file: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Two files would be one.
    #[error("{first} and {second} would both be called {file} in the release")]
    Taken {
        /// The name.
        file: String,
        /// Who has it.
        first: String,
        /// Who wants it.
        second: String,
    },
}

/// Tells whether something may be a version: of letters, digits and `. - _ + ~`, such as `26.05.1`.
///
/// A digit has to be in it: `latest` and `stable` are what a place that moves on is called, and who
/// released under such a name once could not do it again.
pub fn check_version(version: &str) -> Result<(), NameError> {
    let fail = |why| Err(NameError::Version { version: version.to_owned(), why });
    let is_plain = |c: char| c.is_ascii_alphanumeric();
    if !version.starts_with(is_plain) || !version.ends_with(is_plain) {
        return fail("it begins and ends with a letter or a digit");
    }
    if !version.chars().all(|c| is_plain(c) || ".-_+~".contains(c)) {
        return fail("it has letters, digits and . - _ + ~ only");
    }
    if !version.contains(|c: char| c.is_ascii_digit()) {
        return fail("it has a digit, other than the names of what moves on, such as latest");
    }
    if version.contains("..") {
        return fail("it has no two dots in a row, which mean something in paths and in git");
    }
    if version.len() > MAX_VERSION {
        return fail("it has more than 64 characters");
    }
    Ok(())
}

/// Tells whether a file of a release may be called so; `owner` is who has it, for the message.
pub fn check_file(owner: &str, file: &str) -> Result<(), NameError> {
    let fail = |why| Err(NameError::File { owner: owner.to_owned(), file: file.to_owned(), why });
    if !is_file_name(file) {
        return fail("a name has letters, digits and . - _ + ~ only, and begins with one of those");
    }
    if file.len() > MAX_FILE {
        return fail("a name has up to 255 characters");
    }
    Ok(())
}

fn is_file_name(file: &str) -> bool {
    file.starts_with(|c: char| c.is_ascii_alphanumeric())
        && file.chars().all(|c| c.is_ascii_alphanumeric() || ".-_+~".contains(c))
}

/// What a file is called in a release: the version goes between its name and its extensions, so that
/// `nixos.img.zst` becomes `nixos-26.05.1.img.zst`.
pub fn released(file: &str, version: &str) -> String {
    let (stem, extensions) = file.split_at(stem_len(file));
    format!("{stem}-{version}{extensions}")
}

/// Length of a name without its extensions.
fn stem_len(file: &str) -> usize {
    let mut len = file.len();
    while let Some((stem, extension)) = file[..len].rsplit_once('.')
        && !stem.is_empty()
        && EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str())
    {
        len = stem.len();
    }
    len
}

/// The names of a release, and whose they are.
#[derive(Debug, Default)]
pub struct Names {
    /// By the name in lower case.
    taken: BTreeMap<String, String>,
}

impl Names {
    /// Takes the name of a payload for the image `owner`.
    pub fn take_payload(&mut self, file: &str, owner: &str) -> Result<(), NameError> {
        if file.len() > MAX_PAYLOAD {
            let why = "an image has up to 223 characters in its name, so that others fit beside it";
            return Err(NameError::File { owner: owner.to_owned(), file: file.to_owned(), why });
        }
        self.take(file, owner)
    }

    /// Takes a name for `owner`.
    pub fn take(&mut self, file: &str, owner: &str) -> Result<(), NameError> {
        check_file(owner, file)?;
        self.insert(file, owner)
    }

    /// Takes a name below the folder of the release for `owner`, such as `streams/v1/index.json`.
    pub fn take_path(&mut self, path: &str, owner: &str) -> Result<(), NameError> {
        path.split('/').try_for_each(|part| check_file(owner, part))?;
        self.insert(path, owner)
    }

    fn insert(&mut self, file: &str, owner: &str) -> Result<(), NameError> {
        match self.taken.insert(file.to_ascii_lowercase(), owner.to_owned()) {
            None => Ok(()),
            Some(first) => {
                let (file, second) = (file.to_owned(), owner.to_owned());
                Err(NameError::Taken { file, first, second })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_version_goes_before_the_extensions() {
        for (file, expected) in [
            ("nixos.wsl", "nixos-26.05.1.wsl"),
            ("nixos.aarch64.wsl", "nixos.aarch64-26.05.1.wsl"),
            ("nixos-sd-aarch64.img.zst", "nixos-sd-aarch64-26.05.1.img.zst"),
            ("nixos-sd-aarch64.img.bmap", "nixos-sd-aarch64-26.05.1.img.bmap"),
            ("nixos-iso.iso.xz", "nixos-iso-26.05.1.iso.xz"),
            ("nixos.tar.gz", "nixos-26.05.1.tar.gz"),
            ("nixos.qcow2.zst", "nixos-26.05.1.qcow2.zst"),
            ("nixos-24.05.img", "nixos-24.05-26.05.1.img"),
            ("img.zst", "img-26.05.1.zst"),
            ("nixos", "nixos-26.05.1"),
            ("nixos.unknown", "nixos.unknown-26.05.1"),
            ("NIXOS.ISO", "NIXOS-26.05.1.ISO"),
        ] {
            assert_eq!(released(file, "26.05.1"), expected);
        }
    }

    #[test]
    fn versions_are_those_that_everybody_takes_for_one() {
        for good in ["1", "26.05.1", "26.05-rc1", "v1.2+git.5", "26.11~pre", "2026-11-28", "a_1"] {
            assert_eq!(check_version(good), Ok(()), "{good}");
        }
        let long = "1".repeat(65);
        for bad in [
            "", ".", "..", "latest", "stable", "-1", ".1", "1.", "1-", "1 2", "1/2", "../1", "1\n",
            "1\\2", "ä1", "1..2", "1%20", "1:2", "1*", "+1", "~1", &long,
        ] {
            assert!(check_version(bad).is_err(), "{bad}");
        }
        let error = check_version("latest").unwrap_err().to_string();
        assert!(error.starts_with("\"latest\" is no version: it has a digit"), "{error}");
    }

    #[test]
    fn a_name_has_one_owner() {
        let mut names = Names::default();
        names.take("nixos-1.wsl", "wsl").unwrap();
        let error = names.take("NixOS-1.wsl", "wsl-minimal").unwrap_err().to_string();
        assert_eq!(error, "wsl and wsl-minimal would both be called NixOS-1.wsl in the release");
        for bad in ["", ".hidden", "-rf", "a/b", "../a", "a b", "a\nb", "a\\b", "ä"] {
            assert!(names.take(bad, "x").is_err(), "{bad}");
        }
        names.take_payload(&"a".repeat(223), "x").unwrap();
        assert!(names.take_payload(&"b".repeat(224), "x").is_err());
        names.take(&"b".repeat(255), "x").unwrap();
        assert!(names.take(&"c".repeat(256), "x").is_err());
        names.take_path("streams/v1/index.json", "x").unwrap();
        for bad in ["streams/v1/index.json", "/a", "a/", "a//b", "../a", "a/../b", "nixos-1.wsl"] {
            assert!(names.take_path(bad, "x").is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn different_files_stay_different(a in "[a-z.]{1,12}", b in "[a-z.]{1,12}") {
            prop_assume!(a != b);
            prop_assert_ne!(released(&a, "26.05"), released(&b, "26.05"));
        }

        #[test]
        fn what_is_released_can_be_named(file in "[a-z0-9][a-z0-9._+-]{0,60}", v in "[0-9]{1,3}") {
            prop_assert!(check_version(&v).is_ok());
            prop_assert!(check_file("x", &released(&file, &v)).is_ok());
        }
    }
}
