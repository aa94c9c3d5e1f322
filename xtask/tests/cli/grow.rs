//! `release` and its relatives in a program that was built without them: cargo builds it again, and
//! it becomes that program. Cargo is a script here; a real one is what `cargo xtask` runs.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use crate::common::{Project, Ran, which};

/// A cargo that compiles what `grown` says.
fn with_cargo(grown: &str) -> (Project, Command) {
    let project = Project::new();
    let shell = format!("#!{}\n", which("sh", "dash").display());
    let grown = project.program("grown", &format!("{shell}{grown}"));
    let message = format!(
        r#"{{"reason":"compiler-artifact","target":{{"name":"xtask"}},"executable":"{}"}}"#,
        grown.display()
    );
    let cargo = format!(
        "{shell}echo \"$PWD $*\" >\"$HOME/cargo.args\"\n\
         echo \"key=$IMAGE_FACTORY_SIGNING_KEY proxy=$http_proxy\" >\"$HOME/cargo.env\"\n\
         echo '   Compiling tls v1.0.0' >&2\necho '{message}'\n"
    );
    let cargo = project.program("cargo", &cargo);
    let mut command = project.command();
    command.env("CARGO", cargo);
    (project, command)
}

#[test]
fn the_program_becomes_the_one_with_the_feature() {
    let (project, mut command) = with_cargo(
        "read line; echo \"$line\" \"$@\"; echo \"$IMAGE_FACTORY_SIGNING_KEY\" >&2; exit 7\n",
    );
    let mut run = command
        .args(["release", "--version", "26.05.1", "--unsigned", "wsl"])
        .env("IMAGE_FACTORY_SIGNING_KEY", "kept")
        .env("http_proxy", "near")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    run.stdin.take().unwrap().write_all(b"typed\n").unwrap();
    let output = run.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(7), "{err}");
    assert_eq!(out, "typed release --version 26.05.1 --unsigned wsl\n");
    assert!(err.contains("note: what signs and publishes is compiled now"), "{err}");
    assert!(err.ends_with("kept\n"), "{err}");
    let args = std::fs::read_to_string(project.path("cargo.args")).unwrap();
    let args = args.trim_end().split_once(' ').unwrap().1;
    assert!(args.starts_with("build --package xtask --features release --profile "), "{args}");
    // What compiles does not get the key, which is for the program that it made.
    let environment = std::fs::read_to_string(project.path("cargo.env")).unwrap();
    assert_eq!(environment, "key= proxy=near\n");
}

#[test]
fn it_does_not_grow_again_and_again() {
    let (_project, mut command) = with_cargo("exec \"$PROGRAM\" \"$@\"\n");
    command.env("PROGRAM", env!("CARGO_BIN_EXE_xtask"));
    Ran::of(command.args(["publish", "--to", "x"])).exits(3).says("another build replaced the pr");
}

#[test]
fn what_cannot_be_compiled_is_told() {
    let (project, mut command) = with_cargo("");
    let shell = which("sh", "dash");
    let script = format!("#!{}\necho 'error: no TLS today' >&2\nexit 101\n", shell.display());
    project.program("cargo", &script);
    Ran::of(command.args(["key", "generate", "x"]))
        .exits(3)
        .says("cannot compile what signs and publishes")
        .says("error: no TLS today");
}
