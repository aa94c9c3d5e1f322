//! The static busybox that the mini system is made of: where it is found, and what it must be.

use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use image_formats::{
    bytes::{ReadError, Region},
    elf::{self, Machine},
};
use image_host::tool::Tool;
use image_model::ManifestTool;
use sha2::Digest as _;

use super::Fault;

/// The variable that names a busybox.
pub const VARIABLE: &str = "BUSYBOX";

/// A busybox with every applet, debugging symbols and all, has 10 MiB.
const MAX_BYTES: u64 = 64 << 20;

/// The longest name of an applet that is believed. `start-stop-daemon` has 17 letters.
const MAX_APPLET_NAME: usize = 32;

/// Applets without which the system of the mini driver does not start, or cannot make its user.
const REQUIRED: &[&str] = &[
    "cat", "chmod", "chown", "false", "grep", "id", "login", "ls", "mkdir", "mount", "sh", "true",
];

/// The busybox cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BusyboxError {
    /// Nobody said where it is, and it is not in `PATH`.
    #[error(
        "no busybox: give --busybox FILE, set {VARIABLE}, or have a static one in PATH \
         (Debian: apt-get install busybox-static)"
    )]
    NotFound,
    /// The mini system is not made for such a machine.
    #[error("the driver mini makes x86_64-linux and aarch64-linux, not {system}")]
    System {
        /// What was asked for.
        system: String,
    },
    /// It cannot be opened or read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It is too large, or a folder, or a pipe.
    #[error("{} is not a file of at most {MAX_BYTES} bytes", path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// It is not a program for Linux, or it ends too early.
    #[error("{} is not a 64-bit little-endian ELF program", path.display())]
    NotElf {
        /// The file.
        path: PathBuf,
        /// What could not be read, where something could not.
        #[source]
        cause: Option<ReadError>,
    },
    /// It is for another machine.
    #[error(
        "{} is for {found}, and the image is for {system}: give --busybox FILE",
        path.display()
    )]
    Machine {
        /// The file.
        path: PathBuf,
        /// The machine that its header names.
        found: Machine,
        /// The system of the image.
        system: String,
    },
    /// It needs files that the mini system does not have.
    #[error(
        "{} is linked dynamically: it needs {needs}; a static one is wanted \
         (Debian: package busybox-static)",
        path.display()
    )]
    Dynamic {
        /// The file.
        path: PathBuf,
        /// The interpreter, or a library.
        needs: String,
    },
    /// It holds no table of applets.
    #[error("{} is not busybox: it has no table of applets", path.display())]
    NoApplets {
        /// The file.
        path: PathBuf,
    },
    /// It was built without something that the mini system is made of.
    #[error("{} has no applet {applet}", path.display())]
    Applet {
        /// The file.
        path: PathBuf,
        /// What is missing.
        applet: &'static str,
    },
}

impl BusyboxError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::System { .. } => Fault::Usage,
            _ => Fault::Host,
        }
    }
}

/// A static busybox for the machine of the image.
#[derive(Clone, Debug)]
pub struct Busybox {
    path: PathBuf,
    bytes: Vec<u8>,
    applets: BTreeSet<String>,
}

impl Busybox {
    /// Finds the busybox and checks it: the file that a flag names, else the one that
    /// [`VARIABLE`] names, else `busybox` in `PATH`.
    pub fn find(flag: Option<&Path>, system: &str) -> Result<Self, BusyboxError> {
        let in_path = || Tool::find("busybox").ok().map(|tool| tool.program().to_owned());
        let path = choose(flag, env::var_os(VARIABLE), in_path).ok_or(BusyboxError::NotFound)?;
        Self::read(&path, system)
    }

    /// Reads the busybox at `path` and checks that it is static, and for `system`.
    pub fn read(path: &Path, system: &str) -> Result<Self, BusyboxError> {
        let wanted =
            machine(system).ok_or_else(|| BusyboxError::System { system: system.to_owned() })?;
        let bytes = read_bounded(path)?;
        check_elf(path, &bytes, wanted, system)?;
        let applets = applets(&bytes);
        if applets.is_empty() {
            return Err(BusyboxError::NoApplets { path: path.to_owned() });
        }
        if let Some(applet) = REQUIRED.iter().find(|name| !applets.contains(**name)) {
            return Err(BusyboxError::Applet { path: path.to_owned(), applet });
        }
        Ok(Self { path: path.to_owned(), bytes, applets })
    }

    /// Where it was found.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// True if it was built with the applet `name`.
    pub fn has(&self, name: &str) -> bool {
        self.applets.contains(name)
    }

    /// For the manifest: the version in its banner, and its digest where it has none. It may be
    /// for another machine than this one, so it is not asked.
    pub fn tool(&self) -> ManifestTool {
        let version = banner(&self.bytes).unwrap_or_else(|| {
            let digest = sha2::Sha256::digest(&self.bytes).into();
            format!("sha256:{}", image_model::Sha256(digest))
        });
        ManifestTool { name: "busybox".to_owned(), version }
    }
}

/// The machine of a system in Nix's words.
fn machine(system: &str) -> Option<Machine> {
    match system {
        "x86_64-linux" => Some(Machine::X86_64),
        "aarch64-linux" => Some(Machine::AARCH64),
        _ => None,
    }
}

fn choose(
    flag: Option<&Path>,
    variable: Option<OsString>,
    in_path: impl FnOnce() -> Option<PathBuf>,
) -> Option<PathBuf> {
    let variable = || variable.filter(|value| !value.is_empty()).map(PathBuf::from);
    flag.map(Path::to_owned).or_else(variable).or_else(in_path)
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, BusyboxError> {
    let io = |cause| BusyboxError::Io { path: path.to_owned(), cause };
    let not_a_file = || BusyboxError::NotAFile { path: path.to_owned() };
    // Before it is opened: opening a pipe waits for somebody at its other end.
    if !path.metadata().map_err(io)?.is_file() {
        return Err(not_a_file());
    }
    let mut bytes = Vec::new();
    let mut file = File::open(path).map_err(io)?.take(MAX_BYTES + 1);
    if file.read_to_end(&mut bytes).map_err(io)? as u64 > MAX_BYTES {
        return Err(not_a_file());
    }
    Ok(bytes)
}

fn check_elf(path: &Path, bytes: &[u8], wanted: Machine, system: &str) -> Result<(), BusyboxError> {
    let not_elf = |cause| BusyboxError::NotElf { path: path.to_owned(), cause };
    let region = Region::from(bytes.to_vec());
    let header = elf::Header::read(&region).map_err(|e| not_elf(Some(e)))?;
    if !header.is_elf64_le() {
        return Err(not_elf(None));
    }
    if header.machine() != wanted {
        return Err(BusyboxError::Machine {
            path: path.to_owned(),
            found: header.machine(),
            system: system.to_owned(),
        });
    }
    let linkage = header.linkage(&region).map_err(|e| not_elf(Some(e)))?;
    let needs = match (linkage.interpreter, linkage.libraries) {
        (Some(interpreter), _) => String::from_utf8_lossy(&interpreter).into_owned(),
        (None, 1..) => "shared libraries".to_owned(),
        (None, 0) => return Ok(()),
    };
    Err(BusyboxError::Dynamic { path: path.to_owned(), needs })
}

/// The names of the applets, from the table `applet_names` that busybox searches itself: strings
/// that end in NUL, in ascending order, without gaps. None where there is no such table.
fn applets(bytes: &[u8]) -> BTreeSet<String> {
    // Any name that is always there leads to the table, and into a few error messages.
    const ANCHOR: &[u8] = b"\0mount\0";
    let anchors = bytes.windows(ANCHOR.len()).enumerate().filter(|(_, found)| *found == ANCHOR);
    anchors
        .map(|(at, _)| {
            let (before, from) = bytes.split_at(at + 1);
            let after = ascending(from.split(|byte| *byte == 0), |last, next| last < next);
            // The last piece is empty: `before` ends with the NUL of its last name.
            let mut before =
                ascending(before.rsplit(|byte| *byte == 0).skip(1), |last, next| last > next);
            // Only what follows on from the anchor.
            if before.first() >= after.first() {
                before.clear();
            }
            before.into_iter().chain(after).map(str::to_owned).collect::<BTreeSet<_>>()
        })
        .max_by_key(BTreeSet::len)
        .filter(|names| names.len() >= REQUIRED.len())
        .unwrap_or_default()
}

/// The longest start of `names` that are names of applets, each in order with the one before it.
fn ascending<'a>(
    names: impl Iterator<Item = &'a [u8]>,
    in_order: impl Fn(&str, &str) -> bool,
) -> Vec<&'a str> {
    let name = |bytes: &'a [u8]| {
        let known = |byte: &u8| byte.is_ascii_alphanumeric() || b"[_-.".contains(byte);
        let is_name =
            !bytes.is_empty() && bytes.len() <= MAX_APPLET_NAME && bytes.iter().all(known);
        std::str::from_utf8(bytes).ok().filter(|_| is_name)
    };
    let mut last: Option<&str> = None;
    names
        .map_while(name)
        .take_while(|next| {
            let follows = last.is_none_or(|last| in_order(last, next));
            last = Some(next);
            follows
        })
        .collect()
}

/// `1.36.1` of `BusyBox v1.36.1 (2024-01-01 00:00:00 UTC)`.
fn banner(bytes: &[u8]) -> Option<String> {
    const START: &[u8] = b"BusyBox v";
    let at = bytes.windows(START.len()).position(|found| found == START)?;
    let version: String = bytes[at + START.len()..]
        .iter()
        .map(|byte| char::from(*byte))
        .take_while(|c| c.is_ascii_alphanumeric() || ".-_".contains(*c))
        .take(MAX_APPLET_NAME)
        .collect();
    Some(version).filter(|version| !version.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flag_before_variable_before_path() {
        let flag = Path::new("/flag");
        let variable = || Some(OsString::from("/variable"));
        let in_path = || Some(PathBuf::from("/path"));
        assert_eq!(choose(Some(flag), variable(), in_path), Some("/flag".into()));
        assert_eq!(choose(None, variable(), in_path), Some("/variable".into()));
        assert_eq!(choose(None, Some("".into()), in_path), Some("/path".into()));
        assert_eq!(choose(None, None, || None), None);
    }

    #[test]
    fn applets_are_the_longest_table_in_order() {
        let table =
            "[\0[[\0ash\0cat\0chmod\0chown\0false\0grep\0id\0login\0ls\0mkdir\0mount\0sh\0true\0";
        let text = format!("\x02noise\0mount\0unmount\0\x01\0{table}\u{1}\0zcat\0after\0");
        let found = applets(text.as_bytes());
        let expected: Vec<_> = table.trim_end_matches('\0').split('\0').collect();
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
        assert!(applets(b"a program that says\0mount\0now and then\0").is_empty());
    }

    #[test]
    fn the_banner_gives_the_version() {
        let bytes = b"..\0BusyBox v1.35.0 (Debian 1:1.35.0-4)\0";
        assert_eq!(banner(bytes).as_deref(), Some("1.35.0"));
        assert_eq!(banner(b"BusyBox v"), None);
    }
}
