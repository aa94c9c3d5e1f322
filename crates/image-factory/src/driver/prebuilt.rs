//! The driver `prebuilt`: the file exists already, and is finished and verified like any other.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::unix::{ffi::OsStrExt as _, fs::FileTypeExt as _},
    path::{Path, PathBuf},
};

use image_model::Driver;

use super::{BuildOutput, Fault};

/// Endings that say what is around or inside an image, and nothing about what it holds.
const ENDINGS: &[&str] = &[
    "wsl", "img", "iso", "qcow2", "vhd", "ova", "tar", "gz", "tgz", "xz", "txz", "zst", "tzst",
    "bz2", "tbz2",
];

/// The longest distribution name that WSL takes.
const MAX_NAME: usize = 256;

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrebuiltError {
    /// It cannot be opened or read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It is a folder, a pipe, a device: nothing that can be read twice.
    #[error("{} is {found}, not a regular file", path.display())]
    NotAFile {
        /// What was given.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// It has no bytes.
    #[error("{} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl PrebuiltError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Io { cause, .. } if cause.kind() == io::ErrorKind::NotFound => Fault::Usage,
            Self::Io { .. } => Fault::Host,
            Self::NotAFile { .. } => Fault::Usage,
            Self::Empty { .. } => Fault::Image,
        }
    }
}

/// Looks at `file`, and takes it as it is.
pub fn build(file: &Path) -> Result<BuildOutput, PrebuiltError> {
    let io = |cause| PrebuiltError::Io { path: file.to_owned(), cause };
    // Before it is opened: opening a pipe waits for somebody at its other end.
    let metadata = fs::metadata(file).map_err(io)?;
    if !metadata.is_file() {
        let found = kind_of(metadata.file_type());
        return Err(PrebuiltError::NotAFile { path: file.to_owned(), found });
    }
    File::open(file).map_err(io)?;
    if metadata.len() == 0 {
        return Err(PrebuiltError::Empty { path: file.to_owned() });
    }
    Ok(BuildOutput {
        file: file.to_owned(),
        source: super::source(Driver::Prebuilt, "file"),
        tools: Vec::new(),
        distribution: distribution(file.file_name().unwrap_or_default()),
    })
}

fn kind_of(kind: fs::FileType) -> &'static str {
    if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

/// The name of a distribution from the name of its file: without the endings of images, and
/// with `-` for what WSL does not take in a name.
fn distribution(file_name: &OsStr) -> String {
    let taken = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    let name: String = file_name
        .as_bytes()
        .iter()
        .map(|byte| if taken(byte) { char::from(*byte) } else { '-' })
        .collect();
    let mut stem = name.as_str();
    while let Some((rest, ending)) = stem.rsplit_once('.') {
        if !ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)) {
            break;
        }
        stem = rest;
    }
    let stem = stem.trim_start_matches(['.', '-']);
    let stem = stem.get(..MAX_NAME).unwrap_or(stem);
    if stem.is_empty() { "image".to_owned() } else { stem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_the_endings_of_images_only() {
        let cases = [
            ("nixos.wsl", "nixos"),
            ("nixos.aarch64.wsl", "nixos.aarch64"),
            ("ubuntu-24.04.4-wsl-amd64.wsl", "ubuntu-24.04.4-wsl-amd64"),
            ("rootfs.TAR.GZ", "rootfs"),
            ("arch.tzst", "arch"),
            ("nixos-sd.img.zst", "nixos-sd"),
            (
                "nixos-minimal-26.05.9f0c42f-x86_64-linux.iso",
                "nixos-minimal-26.05.9f0c42f-x86_64-linux",
            ),
            ("memtest.ISO.xz", "memtest"),
            ("nixos-vm.qcow2.gz", "nixos-vm"),
            ("nixos.ova", "nixos"),
            ("no ending", "no-ending"),
            ("caf\u{e9}.tar.xz", "caf--"),
            (".wsl", "image"),
            ("-rf.tgz", "rf"),
        ];
        for (file, name) in cases {
            assert_eq!(distribution(OsStr::new(file)), name, "{file}");
        }
        assert_eq!(distribution(OsStr::new(&"x".repeat(300))).len(), MAX_NAME);
    }
}
