//! The driver `mini`: a minimal system for WSL around a static busybox, without root, Nix or a
//! network.
//!
//! Its files are those in `assets/mini`, as they are; what the tables below add is where they lie
//! and which mode they have. The rules it follows are Microsoft's for distributions
//! (`distributions/validate-modern.py` in microsoft/WSL, and "Build a custom Linux distribution
//! for WSL"), so it is also the shortest example of an image without a finding.
//!
//! There is no `resolv.conf`, `hosts` or `hostname`, which WSL writes; no `machine-id`, which must
//! not be the same on two machines; no `/init`, which is WSL's.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use image_model::Driver;
use tar::{EntryType, Header};

use super::{BuildOutput, busybox::Busybox};

/// Name of the distribution. It is never called `nixos`.
pub const DISTRIBUTION: &str = "mini";

/// All files have this time, in seconds since 1970: as in the Nix store.
const MTIME: u64 = 1;

/// The group `shadow` of `assets/mini/group`.
const SHADOW: u64 = 42;

/// Directories and their modes. WSL mounts on most of the empty ones.
const DIRECTORIES: &[(&str, u32)] = &[
    ("", 0o755),
    ("bin", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("mnt", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("sbin", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("usr/bin", 0o755),
    ("usr/lib", 0o755),
    ("usr/lib/wsl", 0o755),
    ("usr/sbin", 0o755),
    ("usr/share", 0o755),
    ("usr/share/wsl", 0o755),
    ("var", 0o755),
    ("var/cache", 0o755),
    ("var/lib", 0o755),
    ("var/log", 0o755),
    ("var/spool", 0o755),
    ("var/tmp", 0o1777),
];

macro_rules! asset {
    ($name:literal) => {
        include_bytes!(concat!("../../assets/mini/", $name))
    };
}

/// Files, their modes and groups.
const FILES: &[(&str, u32, u64, &[u8])] = &[
    ("etc/fstab", 0o644, 0, asset!("fstab")),
    ("etc/group", 0o644, 0, asset!("group")),
    ("etc/motd", 0o644, 0, asset!("motd")),
    ("etc/os-release", 0o644, 0, asset!("os-release")),
    ("etc/passwd", 0o644, 0, asset!("passwd")),
    ("etc/profile", 0o644, 0, asset!("profile")),
    ("etc/shadow", 0o640, SHADOW, asset!("shadow")),
    ("etc/shells", 0o644, 0, asset!("shells")),
    ("etc/wsl-distribution.conf", 0o644, 0, asset!("wsl-distribution.conf")),
    ("etc/wsl.conf", 0o644, 0, asset!("wsl.conf")),
    ("usr/lib/wsl/oobe", 0o755, 0, asset!("oobe")),
    // Microsoft wants this mode, and no other.
    ("usr/lib/wsl/terminal-profile.json", 0o640, 0, asset!("terminal-profile.json")),
    ("usr/share/wsl/mini.ico", 0o644, 0, asset!("mini.ico")),
];

/// Where busybox itself lies.
const BUSYBOX: &str = "bin/busybox";

/// Where its applets lie, one absolute path a line: a part of the `busybox.links` that busybox's
/// own build makes. What a busybox was built without is left out of the image.
const LINKS: &str = include_str!("../../assets/mini/busybox.links");

/// What the driver works from.
#[derive(Clone, Copy, Debug)]
pub struct MiniJob<'a> {
    /// The system of the image, in Nix's words.
    pub system: &'a str,
    /// What `--busybox` names.
    pub busybox: Option<&'a Path>,
    /// The work folder.
    pub work: &'a Path,
}

/// The mini system cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
pub struct MiniError {
    path: PathBuf,
    #[source]
    cause: io::Error,
}

/// Finds a busybox and lays out the mini system around it, as a plain tar in the work folder.
pub fn build(job: &MiniJob<'_>) -> Result<BuildOutput, super::DriverError> {
    let busybox = Busybox::find(job.busybox, job.system)?;
    let file = job.work.join("mini.tar");
    archive(&busybox)
        .and_then(|archive| fs::write(&file, archive))
        .map_err(|cause| MiniError { path: file.clone(), cause })?;
    Ok(BuildOutput {
        file,
        source: super::source(Driver::Mini, "busybox"),
        tools: vec![busybox.tool()],
        distribution: DISTRIBUTION.to_owned(),
    })
}

enum Node<'a> {
    Directory { mode: u32 },
    File { mode: u32, gid: u64, bytes: &'a [u8] },
    Link { target: String },
}

/// The system, as the bytes of a ustar archive: the same busybox gives the same bytes.
fn archive(busybox: &Busybox) -> io::Result<Vec<u8>> {
    let mut archive = Vec::new();
    for (path, node) in layout(busybox) {
        append(&mut archive, path, &node)?;
    }
    // Two blocks of zeros are the end. POSIX.1-2017 pax, "ustar Interchange Format".
    archive.resize(archive.len() + 2 * BLOCK, 0);
    Ok(archive)
}

/// Everything by its path, so that a directory comes before what is in it.
fn layout(busybox: &Busybox) -> BTreeMap<&'static str, Node<'_>> {
    let directories = DIRECTORIES.iter().map(|&(path, mode)| (path, Node::Directory { mode }));
    let files =
        FILES.iter().map(|&(path, mode, gid, bytes)| (path, Node::File { mode, gid, bytes }));
    let links = LINKS
        .lines()
        .map(|line| line.trim_start_matches('/'))
        .filter(|path| path.rsplit('/').next().is_some_and(|applet| busybox.has(applet)))
        .map(|path| (path, Node::Link { target: to_busybox(path) }));
    let program = Node::File { mode: 0o755, gid: 0, bytes: busybox.bytes() };
    directories.chain(files).chain(links).chain([(BUSYBOX, program)]).collect()
}

/// The target of a link at `path` that leads to [`BUSYBOX`] without leaving the image, wherever
/// the image is mounted.
fn to_busybox(path: &str) -> String {
    match path.strip_prefix("bin/") {
        Some(_) => "busybox".to_owned(),
        None => "../".repeat(path.matches('/').count()) + BUSYBOX,
    }
}

const BLOCK: usize = 512;

fn append(archive: &mut Vec<u8>, path: &str, node: &Node<'_>) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(MTIME);
    header.set_size(0);
    let mut name = format!("./{path}");
    let mut content: &[u8] = &[];
    match node {
        Node::Directory { mode } => {
            header.set_entry_type(EntryType::Directory);
            header.set_mode(*mode);
            if !path.is_empty() {
                name.push('/');
            }
        }
        Node::File { mode, gid, bytes } => {
            header.set_entry_type(EntryType::Regular);
            header.set_mode(*mode);
            header.set_gid(*gid);
            header.set_size(bytes.len() as u64);
            content = bytes;
        }
        Node::Link { target } => {
            header.set_entry_type(EntryType::Symlink);
            header.set_mode(0o777);
            header.set_link_name_literal(target)?;
        }
    }
    // Not `set_path`, which would take the `./` away.
    let field = &mut header.as_old_mut().name;
    let place = field.get_mut(..name.len()).ok_or(io::ErrorKind::InvalidFilename)?;
    place.copy_from_slice(name.as_bytes());
    header.set_cksum();
    archive.extend(header.as_bytes());
    archive.extend(content);
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_busybox() {
        assert_eq!(to_busybox("bin/sh"), "busybox");
        assert_eq!(to_busybox("sbin/ip"), "../bin/busybox");
        assert_eq!(to_busybox("usr/bin/id"), "../../bin/busybox");
    }

    #[test]
    fn tables_are_in_order_and_complete() {
        assert!(DIRECTORIES.is_sorted());
        assert!(FILES.iter().map(|file| file.0).is_sorted());
        let links: Vec<_> = LINKS.lines().collect();
        let mut sorted = links.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(links, sorted);
        let is_directory = |path: &str| DIRECTORIES.iter().any(|(dir, _)| *dir == path);
        for path in FILES.iter().map(|file| file.0).chain(LINKS.lines().map(|l| &l[1..])) {
            let (parent, _) = path.rsplit_once('/').unwrap();
            assert!(is_directory(parent), "{path}");
        }
    }

    /// No password hash, and no password that is empty, may leave the factory.
    #[test]
    fn passwords_are_locked() {
        let shadow = std::str::from_utf8(asset!("shadow")).unwrap();
        for line in shadow.lines() {
            assert!(matches!(line.split(':').nth(1), Some("!" | "*")), "{line}");
        }
    }
}
