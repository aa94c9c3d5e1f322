//! The driver `nixos-wsl`: runs the tarball builder of NixOS-WSL, which Nix built.
//!
//! `config.system.build.tarballBuilder` is a program and not an image, because it must be root: it
//! installs a NixOS into a temporary folder, changes its root to activate it there, and packs what
//! came of that. `modules/build-tarball.nix` in nix-community/NixOS-WSL.

use std::{
    env,
    ffi::OsString,
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use image_host::{
    interrupt::{self, Interrupted},
    tool::{NotFound, Tool, ToolError},
};
use image_model::{Driver, ManifestTool, Source};

use super::{
    BuildOutput, Event,
    binfmt::CannotRun,
    machine, route,
    route::{NoRoute, Route},
    temporary::{self, NoTemporary},
};

/// Name of the distribution.
pub const DISTRIBUTION: &str = "nixos";

/// The tarball builder, and what Nix said about it.
#[derive(Clone, Debug)]
pub struct TarballBuilder<'a> {
    /// `bin/nixos-wsl-tarball-builder` in the output of the derivation.
    pub program: &'a Path,
    /// The system of the image, in Nix's words.
    pub system: &'a str,
    /// The size of the closure in bytes, where it is known.
    pub closure: Option<u64>,
    /// The work folder.
    pub work: &'a Path,
    /// `--sudo` was given.
    pub sudo: bool,
    /// Where the builder came from; the driver adds its route.
    pub source: Source,
    /// Programs that took part so far.
    pub tools: Vec<ManifestTool>,
}

/// The builder made no image. No variant says that an image is bad: there is none.
#[derive(Debug, thiserror::Error)]
pub enum NixosWslError {
    /// There is no way to be root.
    #[error(transparent)]
    NoRoute(#[from] NoRoute),
    /// Programs of the image's system do not run here.
    #[error(transparent)]
    Foreign(#[from] CannotRun),
    /// There is no place for the temporary folder.
    #[error(transparent)]
    NoTemporary(#[from] NoTemporary),
    /// A program went away since it was looked for.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// A file or a folder cannot be made or read.
    #[error("cannot use {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The builder failed.
    #[error("the tarball builder failed")]
    Builder(#[source] ToolError),
    /// The builder says that it succeeded.
    #[error("the tarball builder succeeded and wrote nothing into {}", path.display())]
    NoOutput {
        /// Where it should have written.
        path: PathBuf,
    },
    /// Somebody asked the factory to stop.
    #[error("stopped")]
    Interrupted(#[from] Interrupted),
}

/// Runs the builder by the first way that is open, and takes its tarball.
pub fn build(
    job: TarballBuilder<'_>,
    events: &mut dyn FnMut(Event),
) -> Result<BuildOutput, NixosWslError> {
    interrupt::check()?;
    machine::runs(job.system)?;
    let route = route::choose(&machine::route_facts(job.sudo))?;
    let candidates = machine::temporary_candidates(job.work);
    let base = temporary::choose(&candidates, temporary::needed(job.closure))?;
    let scratch = Scratch::new(base, route)?;
    let out = job.work.join("nixos-wsl.tar.gz");
    let io = |cause| NixosWslError::Io { path: out.clone(), cause };
    // It stays ours when root writes into it.
    fs::write(&out, "").map_err(io)?;
    let out = fs::canonicalize(&out).map_err(io)?;

    let ways = match route {
        Route::Direct => "as root",
        Route::UserNamespace => "as root of a user namespace",
        Route::Sudo => "with sudo",
    };
    events(Event::Step(format!("running the tarball builder {ways}")));
    run(route, job.program, &scratch, &out, events)?;
    if let Err(error) = scratch.remove() {
        events(Event::Warning(error.to_string()));
    }
    if fs::metadata(&out).map_err(io)?.len() == 0 {
        return Err(NixosWslError::NoOutput { path: out });
    }
    let source = Source {
        driver: Driver::NixosWsl,
        route: format!("tarball-builder, {}", route.as_str()),
        ..job.source
    };
    Ok(BuildOutput { file: out, source, tools: job.tools, distribution: DISTRIBUTION.to_owned() })
}

fn run(
    route: Route,
    program: &Path,
    scratch: &Scratch,
    out: &Path,
    events: &mut dyn FnMut(Event),
) -> Result<(), NixosWslError> {
    let tmp = scratch.path.join("tmp");
    let home = scratch.path.join("home");
    for dir in [&tmp, &home] {
        let made = fs::create_dir(dir)
            .and_then(|()| fs::set_permissions(dir, Permissions::from_mode(0o755)));
        made.map_err(|cause| NixosWslError::Io { path: dir.clone(), cause })?;
    }
    // A home of its own: the builder's `nix` would read the configuration of the caller, write
    // into its home, and look for the same path inside the new system.
    let environment = [("TMPDIR", tmp.as_os_str()), ("HOME", home.as_os_str())];
    let mut command = as_root(route);
    if route == Route::Sudo {
        // `sudo` has its own opinion about environments.
        command.extend(["env", "-i"].map(OsString::from));
        let path = env::var_os("PATH").unwrap_or_default();
        let others = [("PATH", path.as_os_str()), ("LC_ALL", "C.UTF-8".as_ref())];
        command.extend(environment.iter().chain(&others).map(|(name, value)| {
            let mut variable = OsString::from(name);
            variable.push("=");
            variable.push(value);
            variable
        }));
    }
    command.extend([program.into(), out.into()]);
    let (tool, arguments) = find(&command)?;
    let tool = ["USER", "LOGNAME", "XDG_RUNTIME_DIR"].into_iter().fold(tool, Tool::without_env);
    let tool = environment.into_iter().fold(tool, |tool, (name, value)| tool.env(name, value));
    let run = tool.run(arguments).dir(&tmp).stdout_is_log();
    let run = if route == Route::Sudo { run.in_our_group() } else { run };
    let ended = run.stream(|line| {
        let line = line.to_owned();
        events(if speaks_of_trouble(&line) { Event::Warning(line) } else { Event::Log(line) });
    });
    ended.map(drop).map_err(NixosWslError::Builder)
}

/// What stands before a command that is to be run as root: nothing, or a program that makes it
/// root of a user namespace with the ids that the user owns, and a mount namespace with it, since
/// the builder mounts.
fn as_root(route: Route) -> Vec<OsString> {
    let words: &[&str] = match route {
        Route::Direct => &[],
        Route::UserNamespace => &["unshare", "--map-root-user", "--map-auto", "--mount", "--"],
        Route::Sudo => &["sudo", "--"],
    };
    words.iter().map(OsString::from).collect()
}

/// The program that starts `command`, and its arguments.
fn find(command: &[OsString]) -> Result<(Tool, &[OsString]), NotFound> {
    let (program, arguments) = command.split_first().expect("a command has a program");
    let is_path = Path::new(program).is_absolute();
    let tool = if is_path { Tool::at(program) } else { Tool::find(&program.to_string_lossy())? };
    Ok((tool, arguments))
}

/// True for a line that speaks of an error or a warning. The builder goes on after a failed
/// activation, whose only trace is such a line.
fn speaks_of_trouble(line: &str) -> bool {
    const WORDS: &[&str] = &["error", "warning", "failed"];
    let lower = line.to_ascii_lowercase();
    lower.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| WORDS.contains(&word))
}

/// The folder of the builder, whose contents may belong to ids that only a namespace, or root,
/// can remove.
#[derive(Debug)]
struct Scratch {
    path: PathBuf,
    route: Route,
    removed: bool,
}

/// The folder is still there.
#[derive(Debug, thiserror::Error)]
#[error("cannot remove the temporary folder {}", path.display())]
pub struct NotRemoved {
    path: PathBuf,
}

impl Scratch {
    fn new(base: &Path, route: Route) -> Result<Self, NixosWslError> {
        let dir = tempfile::Builder::new()
            .prefix("nixos-wsl-build.")
            .permissions(Permissions::from_mode(0o755))
            .tempdir_in(base)
            .and_then(|dir| {
                // The mode that was asked for went through our umask.
                fs::set_permissions(dir.path(), Permissions::from_mode(0o755))?;
                Ok(dir.keep())
            });
        let path = dir.map_err(|cause| NixosWslError::Io { path: base.to_owned(), cause })?;
        Ok(Self { path, route, removed: false })
    }

    fn remove(mut self) -> Result<(), NotRemoved> {
        self.removed = true;
        remove(&self.path, self.route)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.removed {
            // The error that brought us here is the one to tell.
            let _ = remove(&self.path, self.route);
        }
    }
}

/// Removes a folder whose contents a builder made that ran by `route`: first as we are, then as
/// the builder was. It also runs after an interrupt.
pub fn remove(path: &Path, route: Route) -> Result<(), NotRemoved> {
    // `rm` and not `remove_dir_all`: it does not go into what is still mounted there.
    let rm = ["rm", "-rf", "--one-file-system", "--"].as_slice();
    // Activation makes /var/empty immutable.
    let chattr = ["chattr", "-Rf", "-i", "--"].as_slice();
    for (route, words) in [(Route::Direct, rm), (route, chattr), (route, rm)] {
        if fs::symlink_metadata(path).is_err() {
            break;
        }
        let mut command = as_root(route);
        command.extend(words.iter().map(OsString::from));
        command.push(path.into());
        if let Ok((tool, arguments)) = find(&command) {
            let run = tool.run(arguments).cleans_up();
            let run = if route == Route::Sudo { run.in_our_group() } else { run };
            // What counts is whether the folder is gone.
            let _ = run.output();
        }
    }
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        _ => Err(NotRemoved { path: path.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_a_word_and_not_a_part_of_one() {
        for line in [
            "Activation script snippet 'users' failed (1)",
            "error: opening '/home/ann/.nix-channels'",
            "warning: user 'x' has no group",
            "chown: ERROR",
        ] {
            assert!(speaks_of_trouble(line), "{line}");
        }
        for line in ["setting up /etc...", "copying 3 paths", "libgpg-errors-1.51", "terror"] {
            assert!(!speaks_of_trouble(line), "{line}");
        }
    }
}
