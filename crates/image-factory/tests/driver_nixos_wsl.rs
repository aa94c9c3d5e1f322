//! The driver `nixos-wsl` with a builder that behaves like NixOS-WSL's, run in every way.
//!
//! The tests run as root and as an ordinary user alike. Each body runs in a process of its own,
//! this program again, as the user that it is about: root starts it as a user that exists only in
//! the mount namespace of that process, and an ordinary user starts it as root of a namespace.

#[path = "../../image-nix/tests/support/program.rs"]
mod program;

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fs,
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use image_factory::driver::{
    BuildOutput, Event,
    nixos_wsl::{self, NixosWslError, TarballBuilder},
};
use image_host::interrupt;
use image_model::{Driver, Source};

const BUILDER: &str = include_str!("driver/nixos-wsl-tarball-builder");

/// Set in the process that runs the body of a test: the folder that it works in.
const FOLDER: &str = "DRIVER_TEST_FOLDER";

/// Which user the body of a test is about.
#[derive(Clone, Copy, PartialEq)]
enum User {
    Root,
    /// An ordinary user with subordinate ids.
    Ordinary,
    /// An ordinary user without.
    Poor,
}

/// Makes the user of the test, in files that only one mount namespace sees, and becomes it.
const BECOME_USER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/tools/as-user.sh");

const HINT: &str =
    "apt-get install util-linux uidmap; an ordinary user needs 65536 subordinate ids";

fn am_root() -> bool {
    image_host::user::is_root()
}

/// This test in a process of its own, as `user`.
fn again(test: &str, user: User, folder: &Path) -> Command {
    // Where the user of the test may read it.
    let program = folder.join("test");
    program::copy(&env::current_exe().unwrap(), &program);
    let mut command = match (am_root(), user) {
        (true, User::Root) | (false, User::Ordinary) => Command::new(&program),
        (true, User::Ordinary | User::Poor) => {
            let etc = folder.join("etc");
            fs::create_dir(&etc).unwrap();
            let mut command = Command::new(BECOME_USER);
            command.arg(etc).arg(if user == User::Poor { "0" } else { "65536" }).arg(&program);
            command
        }
        (false, User::Root) => {
            let mut command = Command::new("unshare");
            command.args(["--map-root-user", "--map-auto", "--"]).arg(&program);
            command
        }
        // Root of a namespace with one id is nobody who could map others.
        (false, User::Poor) => {
            let mut command = Command::new("unshare");
            command.args(["--user", "--map-user=4242", "--"]).arg(&program);
            command
        }
    };
    command.args(["--exact", test, "--nocapture"]).env(FOLDER, folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A folder that the user of the test may write into, and everybody may read.
fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    folder
}

fn check(output: &Output) {
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success(), "{}: {text}; {HINT}", output.status);
}

/// Runs `body` as `user`, in a folder of its own, and expects that it leaves no temporary folder
/// behind, there or elsewhere.
fn as_user(test: &str, user: User, body: impl FnOnce(&Path)) {
    if let Some(folder) = env::var_os(FOLDER) {
        return body(Path::new(&folder));
    }
    let folder = open_folder();
    check(&again(test, user, folder.path()).output().expect(HINT));
    assert_eq!(left_in(folder.path()), Vec::<PathBuf>::new());
}

/// Temporary folders of the driver below `folder`, two levels deep.
fn left_in(folder: &Path) -> Vec<PathBuf> {
    let list = |dir: &Path| -> Vec<PathBuf> {
        fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    };
    let mut found = list(folder);
    found.extend(found.clone().iter().flat_map(|dir| list(dir)));
    found.retain(|path| path.to_string_lossy().contains("nixos-wsl-build."));
    found
}

fn build(
    folder: &Path,
    script: &str,
    sudo: bool,
) -> (Result<BuildOutput, NixosWslError>, Vec<Event>) {
    let program = folder.join("nixos-wsl-tarball-builder");
    program::write(&program, script);
    let work = folder.join("work");
    fs::create_dir(&work).unwrap();
    let source = Source {
        driver: Driver::NixosWsl,
        route: String::new(),
        flake: Some(".".to_owned()),
        locked: None,
        inputs: BTreeMap::new(),
        attribute: None,
        profiles: Vec::new(),
        derivation: None,
        store_path: None,
        nar_hash: None,
        input_sha256: None,
    };
    let job = TarballBuilder {
        program: &program,
        system: &format!("{}-linux", env::consts::ARCH),
        closure: None,
        work: &work,
        sudo,
        source,
        tools: Vec::new(),
    };
    let mut events = Vec::new();
    let result = nixos_wsl::build(job, &mut |event| events.push(event));
    (result, events)
}

fn told(error: &NixosWslError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text += &format!(": {cause}");
        next = cause.source();
    }
    text
}

/// Owner and content of each member of what the builder made.
fn members(file: &Path) -> BTreeMap<String, (u64, u64, String)> {
    let gunzip = Command::new("gzip").arg("-dc").arg(file).output().unwrap();
    assert!(gunzip.status.success());
    let mut archive = tar::Archive::new(&gunzip.stdout[..]);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        let header = entry.header();
        let (uid, gid) = (header.uid().unwrap(), header.gid().unwrap());
        (String::from_utf8(entry.path_bytes().into_owned()).unwrap(), (uid, gid, text))
    });
    entries.collect()
}

fn expect_image(folder: &Path, route: &str) {
    let (result, events) = build(folder, BUILDER, false);
    let output = result.unwrap_or_else(|error| panic!("{}", told(&error)));
    assert_eq!(output.distribution, "nixos");
    assert_eq!(output.source.route, format!("tarball-builder, {route}"));
    assert_eq!(output.source.flake.as_deref(), Some("."));

    let members = members(&output.file);
    let owner = |path: &str| (members[path].0, members[path].1);
    assert_eq!(owner("./"), (0, 0));
    assert_eq!(owner("./home/nixos/"), (1000, 100));
    assert_eq!(owner("./home/nixos/private/file"), (65534, 65534));

    // Nothing of the caller's environment but the PATH goes in.
    let environment = &members["./etc/environment"].2;
    let value = |name: &str| {
        let line = environment.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap_or_else(|| panic!("{name} is not in {environment}")).to_owned()
    };
    assert!(value("HOME").ends_with("/home") && value("TMPDIR").ends_with("/tmp"));
    assert!(!environment.contains(FOLDER) && !environment.contains("USER="), "{environment}");

    // Both streams of the builder, in order; what it says of a failed activation is a warning.
    let log = Event::Log("setting up /etc...".to_owned());
    let warning = Event::Warning("Activation script snippet 'users' failed (1)".to_owned());
    let place = |event| events.iter().position(|other| *other == event);
    assert!(place(log.clone()).is_some() && place(log) < place(warning.clone()), "{events:?}");
    assert!(place(warning).is_some(), "{events:?}");
}

#[test]
fn root_runs_the_builder_directly() {
    as_user("root_runs_the_builder_directly", User::Root, |folder| expect_image(folder, "direct"));
}

#[test]
fn an_ordinary_user_runs_it_in_a_namespace() {
    as_user("an_ordinary_user_runs_it_in_a_namespace", User::Ordinary, |folder| {
        expect_image(folder, "user-namespace");
    });
}

#[test]
fn last_words_on_standard_output_are_told() {
    as_user("last_words_on_standard_output_are_told", User::Root, |folder| {
        let refusing = BUILDER.replace("[ $EUID -ne 0 ]", "true");
        let error = build(folder, &refusing, false).0.unwrap_err();
        let text = told(&error);
        assert!(text.starts_with("the tarball builder failed: "), "{text}");
        assert!(text.ends_with("last words: This script must be run as root!"), "{text}");
    });
}

#[test]
fn a_builder_that_writes_nothing_is_not_believed() {
    as_user("a_builder_that_writes_nothing_is_not_believed", User::Root, |folder| {
        let error = build(folder, "#!/bin/sh\n", false).0.unwrap_err();
        assert!(matches!(error, NixosWslError::NoOutput { .. }), "{error}");
    });
}

#[test]
fn without_a_way_the_three_are_named() {
    as_user("without_a_way_the_three_are_named", User::Poor, |folder| {
        let text = build(folder, BUILDER, false).0.unwrap_err().to_string();
        for part in [
            "(1) directly: ",
            " is not root; (2) in a user namespace: ",
            "/etc/subuid gives 0 ids",
            "(3) with sudo: --sudo was not given",
        ] {
            assert!(text.contains(part), "{text}");
        }
    });
}

/// `sudo` is a stand-in that shows what it was given; that it makes root is not ours to test.
#[test]
fn sudo_gets_the_environment_as_arguments() {
    let test = "sudo_gets_the_environment_as_arguments";
    if let Some(folder) = env::var_os(FOLDER) {
        let folder = Path::new(&folder);
        let sudo = "#!/bin/sh\nfirst=$1\nshift 3\nexec env -i ARGUMENTS=\"$first\" \"$@\"\n";
        program::write(&folder.join("bin/sudo"), sudo);
        let script = "#!/bin/sh\n{ echo \"$ARGUMENTS\"; env; } > \"$1\"\n";
        let output = build(folder, script, true).0.unwrap_or_else(|e| panic!("{}", told(&e)));
        assert_eq!(output.source.route, "tarball-builder, sudo");
        let text = fs::read_to_string(output.file).unwrap();
        assert!(text.starts_with("--\n"), "{text}");
        for variable in ["HOME=", "TMPDIR=", "PATH=", "LC_ALL=C.UTF-8"] {
            assert!(text.contains(variable), "{text}");
        }
        return;
    }
    let folder = open_folder();
    let path = format!("{}/bin:{}", folder.path().display(), env::var("PATH").unwrap());
    check(&again(test, User::Poor, folder.path()).env("PATH", path).output().expect(HINT));
    assert_eq!(left_in(folder.path()), Vec::<PathBuf>::new());
}

#[test]
fn a_work_folder_that_is_closed_is_not_used_by_the_builder() {
    as_user("a_work_folder_that_is_closed_is_not_used_by_the_builder", User::Ordinary, |folder| {
        let closed = folder.join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        let (result, _) = build(&closed, BUILDER, false);
        let output = result.unwrap_or_else(|error| panic!("{}", told(&error)));
        let environment = &members(&output.file)["./etc/environment"].2;
        let tmp = environment.lines().find_map(|line| line.strip_prefix("TMPDIR=")).unwrap();
        assert!(!tmp.starts_with(closed.to_str().unwrap()), "{tmp}");
        assert!(!Path::new(tmp).exists(), "{tmp}");
    });
}

/// Waits until the builder of `child` is in the middle of its work.
fn wait_for_pause(child: &mut Child, folder: &Path) {
    let start = Instant::now();
    while !folder.join("paused").exists() {
        assert!(start.elapsed() < Duration::from_secs(30), "the builder does not pause");
        if let Some(status) = child.try_wait().unwrap() {
            let mut text = String::new();
            child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
            child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
            panic!("{status}: {text}; {HINT}");
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Interrupts a run in the middle of the builder, as often as `signals` says.
fn interrupted(test: &str, user: User, script: &str, signals: usize) {
    if let Some(folder) = env::var_os(FOLDER) {
        interrupt::listen().unwrap();
        let folder = Path::new(&folder);
        let paused = folder.join("paused");
        let script = script.replace("# @pause@", &format!("touch {}; sleep 60", paused.display()));
        let error = build(folder, &script, false).0.unwrap_err();
        assert!(interrupt::caused(&error), "{}", told(&error));
        return;
    }
    let folder = open_folder();
    let mut child = again(test, user, folder.path()).spawn().expect(HINT);
    wait_for_pause(&mut child, folder.path());
    for _ in 0..signals {
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        thread::sleep(Duration::from_millis(300));
    }
    let start = Instant::now();
    check(&child.wait_with_output().unwrap());
    assert!(start.elapsed() < Duration::from_secs(40), "it waits for the builder");
    assert_eq!(left_in(folder.path()), Vec::<PathBuf>::new());
}

#[test]
fn ctrl_c_as_root_leaves_nothing() {
    interrupted("ctrl_c_as_root_leaves_nothing", User::Root, BUILDER, 1);
}

#[test]
fn ctrl_c_as_a_user_leaves_nothing() {
    interrupted("ctrl_c_as_a_user_leaves_nothing", User::Ordinary, BUILDER, 1);
}

/// It ignores the first signal, and is killed with the second: its files, which belong to others,
/// are removed all the same.
#[test]
fn a_builder_that_is_killed_leaves_nothing() {
    let (start, end) = (BUILDER.find("# @traps@").unwrap(), BUILDER.find("# @end@").unwrap());
    let stubborn = format!("{}trap '' INT\n{}", &BUILDER[..start], &BUILDER[end..]);
    interrupted("a_builder_that_is_killed_leaves_nothing", User::Ordinary, &stubborn, 2);
}
