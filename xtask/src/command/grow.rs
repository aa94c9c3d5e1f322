//! What signs and speaks to networks is compiled by those who release, and the first time that they
//! do: this builds the program again, with the feature `release`, and becomes it.

use std::{
    env,
    ffi::OsString,
    io::{IsTerminal as _, stderr},
    path::{Path, PathBuf},
};

use image_factory::{Event, Step, driver};
use image_host::tool::Tool;
use serde_json::Value;

use super::Context;
use crate::{Verdict, failure::Failure, progress::Progress};

/// Set in the program that we become. If that is one without the feature again, somebody else's
/// build came in between, and it is not tried again and again.
const GROWN: &str = "IMAGE_FACTORY_GROWN";

/// What the names of our variables begin with.
const OURS: &str = "IMAGE_FACTORY_";

pub(super) fn run(context: Context) -> Result<Verdict, Failure> {
    if env::var_os(GROWN).is_some() {
        let text = "another build replaced the program while it was started: try again";
        return Err(Failure::new(Verdict::Failed, text));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    if !root.join("Cargo.toml").is_file() {
        return Err(Failure::usage(
            "this program was built without the feature `release`, which releases need, and its \
             source is not here to build it again: cargo build --release --package xtask --features \
             release",
        ));
    }
    // The one that runs us, where one does: another one would compile everything anew.
    let cargo = env::var_os("CARGO").map(PathBuf::from).filter(|cargo| cargo.is_file());
    let cargo = cargo.map_or_else(|| Tool::find("cargo"), |cargo| Ok(Tool::at(cargo)));
    let cargo = cargo.map_err(|e| Failure::host("releases need cargo", e))?;
    // Compilers, proxies and mirrors are told by variables of many names. Ours may be signing keys
    // and their passphrase, which the build scripts of a few hundred crates have no business with.
    let cargo = cargo.inherit(|name| !name.starts_with(OURS));

    let progress = Progress::new(context.progress);
    let show = |event: Event| progress.show(&event);
    let mut compiles = false;
    let run = cargo.run(arguments(&this()?)).dir(root);
    let built = run.stream(|line| {
        let line = line.trim();
        let begins = line.starts_with("Compiling") || line.starts_with("Downloading");
        if begins && !compiles {
            compiles = true;
            show(Event::Notice(
                "what signs and publishes is compiled now, which takes some minutes the first time"
                    .to_owned(),
            ));
            show(Event::Started(Step::Build));
        }
        // In a log, hundreds of lines say no more than that one.
        if begins && stderr().is_terminal() {
            show(Event::Driver(driver::Event::Log(line.to_owned())));
        }
    });
    let built = built.map_err(|e| Failure::host("cannot compile what signs and publishes", e))?;
    if compiles {
        show(Event::Finished(Step::Build));
    }
    progress.clear();
    let Some(program) = executable(&built) else {
        return Err(Failure::new(Verdict::Failed, "cargo does not say where the program is"));
    };
    let cause = Tool::at(program).become_it(env::args_os().skip(1), (GROWN, "1"));
    Err(Failure::host("cannot start what signs and publishes", cause))
}

fn this() -> Result<PathBuf, Failure> {
    env::current_exe().map_err(|e| Failure::host("cannot find this program", e))
}

/// What cargo is told: the profile of this program, so that what it has in common with the other one
/// is not compiled again.
fn arguments(this: &Path) -> Vec<OsString> {
    let folder = this.parent().and_then(Path::file_name);
    let profile = if folder.is_some_and(|name| name == "debug") { "dev" } else { "release" };
    let format = "--message-format=json-render-diagnostics";
    ["build", "--package", "xtask", "--features", "release", "--profile", profile, format]
        .map(OsString::from)
        .into()
}

/// Where the program is, as cargo tells it: a JSON object a line.
fn executable(messages: &[u8]) -> Option<PathBuf> {
    let lines = messages.split(|byte| *byte == b'\n');
    let messages = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let of_xtask = messages.filter(|message| message["target"]["name"] == "xtask");
    of_xtask.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_says_where_the_program_is() {
        let messages =
            br#"{"reason":"compiler-artifact","target":{"name":"serde"},"executable":null}
no json
{"reason":"compiler-artifact","target":{"name":"xtask"},"executable":"/t/release/xtask"}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(executable(messages), Some(PathBuf::from("/t/release/xtask")));
        assert_eq!(executable(b""), None);
    }

    #[test]
    fn the_profile_stays() {
        let profile = |this: &str| arguments(Path::new(this)).swap_remove(6);
        assert_eq!(profile("/t/debug/xtask"), "dev");
        assert_eq!(profile("/t/x86_64-unknown-linux-musl/release/xtask"), "release");
        assert_eq!(profile("/usr/bin/image-factory"), "release");
    }
}
