//! The commands: each parses its flags, calls one library function, renders, and says how it went.

mod bench;
mod ci;
mod codegen;
mod devcontainer;
mod diff;
mod doctor;
mod explain;
mod flake;
mod fuzz;
#[cfg(not(feature = "release"))]
mod grow;
mod image;
mod inspect;
#[cfg(feature = "release")]
mod key;
mod list;
mod lock;
#[cfg(feature = "release")]
mod publish;
#[cfg(feature = "release")]
mod release;
mod reproduce;
mod sbom;
mod sizes;
mod verify;
#[cfg(feature = "release")]
mod verify_release;

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::Command as Clap;
use image_factory::{Definition, definition, json_file, verify::ScratchError};
use image_host::{interrupt, user};

use crate::{
    Verdict,
    args::{Command, FlakeCommand, Format, ProgressStyle, Xtask},
    failure::Failure,
    program::Program,
};

/// What all commands share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    format: Format,
    progress: ProgressStyle,
}

/// Runs what the command line asks for.
pub(crate) fn run(arguments: Xtask) -> Result<Verdict, Failure> {
    // What we publish, and what builders make for us, is for everybody to read.
    user::set_usual_umask();
    interrupt::listen().map_err(|e| Failure::host("cannot listen for signals", e))?;
    let context = Context { format: arguments.format, progress: arguments.progress };
    match arguments.command {
        Command::Image(args) => image::run(context, args),
        Command::Reproduce(args) => reproduce::run(context, args),
        Command::List => list::run(context),
        Command::Lock(command) => lock::run(context, command),
        Command::Devcontainer(args) => devcontainer::run(context, &args),
        Command::Flake(FlakeCommand::Check(args)) => flake::check(context, args),
        Command::Verify(args) => verify::run(context, &args),
        Command::Inspect(args) => inspect::run(context, &args),
        Command::Diff(args) => diff::run(context, &args),
        Command::Sizes(args) => sizes::run(context, &args),
        Command::Sbom(args) => sbom::run(context, &args),
        #[cfg(feature = "release")]
        Command::Release(args) => release::run(context, args),
        #[cfg(feature = "release")]
        Command::Publish(args) => publish::run(context, args),
        #[cfg(feature = "release")]
        Command::VerifyRelease(args) => verify_release::run(context, args),
        #[cfg(feature = "release")]
        Command::Key(crate::args::KeyCommand::Generate(args)) => key::generate(context, args),
        #[cfg(not(feature = "release"))]
        Command::Release(_) | Command::Publish(_) | Command::VerifyRelease(_) | Command::Key(_) => {
            grow::run(context)
        }
        Command::Explain { check } => explain::run(context, check.as_deref()),
        Command::Doctor { names } => doctor::run(context, &names),
        Command::Ci => ci::run(context),
        Command::Codegen { check } => codegen::run(check),
        Command::Bench(args) => bench::run(context, &args),
        Command::Fuzz(args) => fuzz::run(context, &args),
        Command::Completions { shell } => print(&Program::current().completions(shell)),
        Command::Man { dir } => man(&dir),
    }
}

/// Writes to standard output. Whoever closed it, as `head` does, has seen enough.
fn print_bytes(bytes: &[u8]) -> Result<Verdict, Failure> {
    match io::stdout().lock().write_all(bytes).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::host("cannot write to standard output", error))
        }
        _ => Ok(Verdict::Clean),
    }
}

fn print(text: &str) -> Result<Verdict, Failure> {
    print_bytes(text.as_bytes())
}

fn print_json(value: &impl serde::Serialize) -> Result<Verdict, Failure> {
    print_bytes(&json_file(value))
}

/// Opens an image: a file, or a disk or partition of this machine.
fn open_image(path: &Path, cannot: &str) -> Result<File, Failure> {
    use std::os::unix::fs::FileTypeExt as _;
    let fail = |e| Failure::file(format!("{cannot} {}", path.display()), e);
    // Before it is opened: opening a pipe waits for somebody at its other end.
    let kind = fs::metadata(path).map_err(fail)?.file_type();
    if !kind.is_file() && !kind.is_block_device() {
        let message = format!("{} is neither a regular file nor a block device", path.display());
        return Err(Failure::usage(message));
    }
    File::open(path).map_err(fail)
}

/// Where a compressed disk is unpacked: `given`, else `$TMPDIR`, else a folder that is on a disk,
/// which `/tmp` often is not.
fn work_folder(given: Option<&Path>) -> PathBuf {
    let temporary = std::env::var_os("TMPDIR").filter(|dir| !dir.is_empty());
    let default = || temporary.map_or_else(|| "/var/tmp".into(), PathBuf::from);
    given.map_or_else(default, Path::to_owned)
}

/// What to do about raw bytes that could not be kept in the work folder; `None` if something else
/// is wrong.
fn work_hint(cause: &io::Error) -> Option<&'static str> {
    let scratch = cause.get_ref()?.downcast_ref::<ScratchError>()?;
    Some(match scratch {
        ScratchError::NoRoom(_) => " (--work DIR names a folder with more room)",
        ScratchError::Io { .. } => " (--work DIR names another folder)",
    })
}

/// The definitions called `names`, or all where there are none.
fn definitions(names: &[String]) -> Result<Vec<Definition>, Failure> {
    let here = std::env::current_dir().map_err(|e| Failure::host("no current folder", e))?;
    let root = definition::find_root(&here)?;
    let all = if names.is_empty() { definition::names(&root)? } else { names.to_vec() };
    let ids = || image_verify::checks().map(|check| check.id);
    Ok(all.iter().map(|name| definition::load(&root, name, ids())).collect::<Result<_, _>>()?)
}

fn man(dir: &Path) -> Result<Verdict, Failure> {
    let fail = |e| Failure::host(format!("cannot write man pages into {}", dir.display()), e);
    fs::create_dir_all(dir).map_err(fail)?;
    let program = Program::current();
    let mut todo: Vec<(String, Clap)> = vec![(program.page().to_owned(), program.command())];
    while let Some((name, command)) = todo.pop() {
        let children = command.get_subcommands().filter(|c| c.get_name() != "help");
        todo.extend(children.map(|c| (format!("{name}-{}", c.get_name()), c.clone())));
        let mut page = File::create(dir.join(format!("{name}.1"))).map_err(fail)?;
        clap_mangen::Man::new(command.name(name)).render(&mut page).map_err(fail)?;
    }
    Ok(Verdict::Clean)
}
