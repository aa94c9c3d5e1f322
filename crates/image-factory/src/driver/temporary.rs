//! Where the tarball builder lays out its system: a decision over facts, without effects.
//!
//! The builder runs `nixos-install`, which refuses a root below a folder that not everybody can
//! read and enter, and which starts programs of the new system.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// A folder in which a temporary one could be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The folder, without symlinks.
    pub path: PathBuf,
    /// It and the folders above it with their modes; none where it is not there.
    pub modes: Vec<(PathBuf, u32)>,
    /// Bytes that may still be written.
    pub available: u64,
    /// Mounted `noexec`.
    pub forbids_programs: bool,
}

/// Why a folder is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It is not there.
    Absent,
    /// Somebody cannot read or enter this one, which is it or above it.
    Closed(PathBuf),
    /// Programs do not start there.
    ForbidsPrograms,
    /// There is not enough room.
    Full {
        /// Bytes that may still be written.
        available: u64,
    },
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("is not there"),
            Self::Closed(dir) => {
                let dir = dir.display();
                write!(f, "not everybody can read and enter {dir} (chmod o+rx {dir})")
            }
            Self::ForbidsPrograms => f.write_str("is mounted noexec"),
            Self::Full { available } => write!(f, "has {} MiB left", available >> 20),
        }
    }
}

/// No folder can be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no temporary folder for the tarball builder, which needs {} MiB: {}", needed >> 20, told(unfit))]
pub struct NoTemporary {
    /// How many bytes are needed.
    pub needed: u64,
    /// Every folder, and why it is not taken.
    pub unfit: Vec<(PathBuf, Unfit)>,
}

fn told(unfit: &[(PathBuf, Unfit)]) -> String {
    let one = |(path, why): &(PathBuf, Unfit)| format!("{}: {why}", path.display());
    unfit.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// The first folder that fits.
pub fn choose(candidates: &[Candidate], needed: u64) -> Result<&Path, NoTemporary> {
    let mut unfit = Vec::new();
    for candidate in candidates {
        match judge(candidate, needed) {
            None => return Ok(&candidate.path),
            Some(why) => unfit.push((candidate.path.clone(), why)),
        }
    }
    Err(NoTemporary { needed, unfit })
}

fn judge(candidate: &Candidate, needed: u64) -> Option<Unfit> {
    let everybody = 0o005;
    let closed =
        |(dir, mode): &&(PathBuf, u32)| mode & everybody != everybody && dir.parent().is_some();
    if candidate.modes.is_empty() {
        Some(Unfit::Absent)
    } else if let Some((dir, _)) = candidate.modes.iter().find(closed) {
        Some(Unfit::Closed(dir.clone()))
    } else if candidate.forbids_programs {
        Some(Unfit::ForbidsPrograms)
    } else if candidate.available < needed {
        Some(Unfit::Full { available: candidate.available })
    } else {
        None
    }
}

/// How many bytes the builder needs: the closure laid out, and at most as much as its tarball.
pub fn needed(closure: Option<u64>) -> u64 {
    const MARGIN: u64 = 256 << 20;
    closure.unwrap_or(0).saturating_mul(2).saturating_add(MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(path: &str, mode: u32) -> Candidate {
        let above = Path::new(path).ancestors().skip(1).map(|dir| (dir.to_owned(), 0o755));
        let modes = [(path.into(), mode)].into_iter().chain(above).collect();
        Candidate { path: path.into(), modes, available: 1 << 40, forbids_programs: false }
    }

    #[test]
    fn the_first_that_fits_is_taken() {
        let mut work = folder("/home/ann/image", 0o755);
        let tmp = folder("/tmp", 0o1777);
        assert_eq!(choose(&[work.clone(), tmp.clone()], 1), Ok(Path::new("/home/ann/image")));
        work.modes[1].1 = 0o40700;
        assert_eq!(choose(&[work, tmp], 1), Ok(Path::new("/tmp")));
    }

    #[test]
    fn the_error_names_the_folder_and_what_mends_it() {
        let mut home = folder("/home/ann/image", 0o755);
        home.modes[1].1 = 0o40750;
        let noexec = Candidate { forbids_programs: true, ..folder("/var/tmp", 0o1777) };
        let full = Candidate { available: 5 << 20, ..folder("/tmp", 0o1777) };
        let absent = Candidate { modes: Vec::new(), ..folder("/absent", 0) };
        assert_eq!(
            choose(&[home, noexec, full, absent], needed(Some(1 << 30))).unwrap_err().to_string(),
            "no temporary folder for the tarball builder, which needs 2304 MiB: /home/ann/image: \
             not everybody can read and enter /home/ann (chmod o+rx /home/ann); /var/tmp: is mounted \
             noexec; /tmp: has 5 MiB left; /absent: is not there"
        );
    }

    /// As in nixos-install, which does not look at the root of the machine.
    #[test]
    fn the_root_folder_is_not_asked() {
        let mut tmp = folder("/tmp", 0o1777);
        tmp.modes[1].1 = 0o700;
        assert!(choose(&[tmp], 1).is_ok());
    }
}
