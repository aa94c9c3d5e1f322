//! Container images: what a container needs so that it starts.

use image_formats::elf::Machine;
use image_model::Location;

use crate::{
    Recorder,
    docker::Image,
    tree::{Kind, NodeId, Program, Tree, display},
};

checks! {
    /// All checks of this kind.
    CHECKS:

    /// The image is for another system than it should be. A container starts only where somebody
    /// emulates that, if at all.
    PLATFORM = "docker-platform", Error;
    reads "os and architecture in the configuration, and the system that the image is for";
    spec "OCI Image Configuration: GOOS and GOARCH";

    /// The image has no name. It can be used by its digest alone, and is removed as unused.
    UNTAGGED = "docker-untagged", Warning;
    reads "RepoTags in manifest.json";
    spec "docker-load(1), docker-image-prune(1)";

    /// The image does not say what runs in a container. `docker run` wants a program each time.
    COMMAND = "docker-command", Warning;
    reads "Entrypoint and Cmd in the configuration";
    spec "OCI Image Configuration";

    /// The program that a container starts is not in the image, cannot be executed, or is for another
    /// processor.
    PROGRAM = "docker-program", Error;
    reads "Entrypoint, Cmd, Env and WorkingDir in the configuration, and the files of all layers";
    spec "OCI Runtime Specification, process.args; execve(2)";

    /// The user or group that the program runs as has no entry in the image. The container does not
    /// start.
    USER = "docker-user", Error;
    reads "User in the configuration, /etc/passwd and /etc/group in the files of all layers";
    spec "OCI Image Configuration, User; moby/sys/user GetExecUser";
}

/// What no check looks at.
pub(crate) const NOT_VERIFIED: &[&str] = &["whether the program of the container runs"];

/// Where programs are looked for when nobody says it.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How many folders of it are looked into.
const MAX_FOLDERS: usize = 256;
/// Linux's `PATH_MAX`.
const MAX_PATH: usize = 4096;

/// Judges an image as a container. `system` is what it is for, in Nix's words, where somebody said
/// so.
pub fn verify(image: &Image, system: Option<&str>, out: &mut Recorder) {
    platform(image, system, out);
    out.expect(&UNTAGGED, !image.tags.is_empty(), || (image.at.clone(), "no RepoTags".to_owned()));
    let run = &image.config.config;
    let program = run.entrypoint.iter().chain(&run.cmd).next();
    out.expect(&COMMAND, program.is_some(), || {
        (image.at.clone(), "neither Entrypoint nor Cmd".to_owned())
    });
    let Some(tree) = &image.tree else { return };
    if let Some(program) = program {
        let found = start(image, tree, program);
        let wrong = found.err();
        out.expect(&PROGRAM, wrong.is_none(), || {
            wrong.unwrap_or_else(|| (image.at.clone(), String::new()))
        });
    }
    for (path, name) in owners(&run.user) {
        let Some(known) = names(tree, path) else { continue };
        out.expect(&USER, known.contains(&name.as_bytes()), || {
            let name = display(name.as_bytes());
            (image.at.clone(), format!("{name:?} is not in {path}"))
        });
    }
}

/// Processors in the words of Nix and of Go, and of ELF.
const PROCESSORS: [(&str, &str, Option<Machine>); 5] = [
    ("x86_64-linux", "amd64", Some(Machine::X86_64)),
    ("aarch64-linux", "arm64", Some(Machine::AARCH64)),
    ("i686-linux", "386", None),
    ("armv7l-linux", "arm", None),
    ("riscv64-linux", "riscv64", None),
];

fn platform(image: &Image, system: Option<&str>, out: &mut Recorder) {
    let (os, architecture) = (&image.config.os, &image.config.architecture);
    let wanted = system.and_then(|system| PROCESSORS.iter().find(|known| known.0 == system));
    let good = match wanted {
        Some((_, wanted, _)) => architecture == wanted,
        None => !architecture.is_empty(),
    };
    out.expect(&PLATFORM, os == "linux" && good, || {
        let found = format!("{}/{}", display(os.as_bytes()), display(architecture.as_bytes()));
        let wanted = wanted.map_or("a processor", |(_, wanted, _)| *wanted);
        (image.at.clone(), format!("{found}, not linux/{wanted}"))
    });
}

/// Follows what a container runtime does to start `program`.
fn start(image: &Image, tree: &Tree, program: &str) -> Result<(), (Location, String)> {
    let run = &image.config.config;
    let shown = display(program.as_bytes());
    let absent = |place: &str| {
        let shown = display(program.as_bytes());
        Err((image.at.clone(), format!("{shown:?} is not in {place}")))
    };
    if program.len() > MAX_PATH || run.working_dir.len() > MAX_PATH {
        return absent("the image");
    }
    let is_path = program.contains('/');
    let path = run.env.iter().rev().find_map(|entry| entry.strip_prefix("PATH="));
    let folders = if is_path { "." } else { path.unwrap_or(DEFAULT_PATH) }.split(':');
    let folders = folders.take(MAX_FOLDERS).filter(|folder| folder.len() <= MAX_PATH);
    let found = folders.filter_map(|folder| {
        let path = if is_path { program.to_owned() } else { format!("{folder}/{program}") };
        tree.resolve(below(&run.working_dir, &path).as_bytes()).ok()
    });
    let found: Vec<_> = found.map(|found| found.node).collect();
    // One that cannot be executed does not end the search, as with execvp.
    let is_program = |id: &&NodeId| {
        matches!(tree.node(**id).kind, Kind::File(_)) && tree.node(**id).mode & 0o111 != 0
    };
    let Some(id) = found.iter().find(is_program) else {
        return Err(match found.first() {
            Some(id) => {
                let (kind, mode) = (tree.node(*id).kind.as_str(), tree.node(*id).mode);
                (tree.location(*id), format!("{shown:?} is a {kind} of mode {mode:04o}"))
            }
            None if is_path => return absent("the image"),
            None => return absent("the folders of PATH"),
        });
    };
    let Kind::File(Some(kind)) = &tree.node(*id).kind else { return Ok(()) };
    let processor = PROCESSORS.iter().find(|known| known.1 == image.config.architecture);
    let machine = processor.and_then(|(_, _, machine)| *machine);
    let wrong = match (kind, machine) {
        (Program::Elf(found), Some(machine)) if *found != machine => {
            Some(format!("is for {found}, the image for {}", image.config.architecture))
        }
        (Program::ForeignElf, Some(_)) => Some("is an ELF program of another layout".to_owned()),
        (Program::Unknown, _) => Some("is neither ELF nor a script".to_owned()),
        _ => None,
    };
    wrong.map_or(Ok(()), |wrong| Err((tree.location(*id), format!("{shown:?} {wrong}"))))
}

/// A path as a process in this folder sees it.
fn below(folder: &str, path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{folder}/{path}") }
}

/// The names in `User`, each with the file that has to know it. Numbers need no entry.
fn owners(user: &str) -> impl Iterator<Item = (&'static str, &str)> {
    let (user, group) = user.split_once(':').unwrap_or((user, ""));
    [("/etc/passwd", user), ("/etc/group", group)]
        .into_iter()
        .filter(|(_, name)| !name.is_empty() && !name.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The names in a file of users or groups; `None` where it could not be read, and none where there
/// is no such file.
fn names<'a>(tree: &'a Tree, path: &str) -> Option<Vec<&'a [u8]>> {
    let Ok(found) = tree.resolve(path.as_bytes()) else { return Some(Vec::new()) };
    let lines = tree.kept(found.node)?.split(|byte| *byte == b'\n');
    Some(lines.filter_map(|line| line.split(|byte| *byte == b':').next()).collect())
}
