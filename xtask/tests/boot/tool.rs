//! Programs of the machine, each with a time limit.

use std::{ffi::OsStr, process::Command};

/// Runs a program and returns what it printed, on both streams. Not to end in time is to fail: there
/// are images on which `e2fsck -fn` runs forever.
#[track_caller]
pub(crate) fn run<S: AsRef<OsStr>>(
    program: &str,
    package: &str,
    args: impl IntoIterator<Item = S>,
) -> String {
    let program = path(program, package);
    let mut command = Command::new("timeout");
    command.arg("60").arg(program).args(args);
    let output = command.output().unwrap();
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text += &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{text}", output.status);
    text
}

/// Where a program is. Those for file systems are not in every user's `PATH`.
#[track_caller]
pub(crate) fn path(program: &str, package: &str) -> std::path::PathBuf {
    let mut dirs: Vec<_> = std::env::split_paths(&std::env::var_os("PATH").unwrap()).collect();
    dirs.extend(["/usr/sbin".into(), "/sbin".into()]);
    dirs.into_iter()
        .map(|dir| dir.join(program))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("the tests need {program}: apt-get install {package}"))
}
