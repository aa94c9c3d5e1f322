//! What speaks to networks and signs is compiled by those who publish, and the first time that they
//! do: this builds the program again, with the feature `release`, and becomes it.

use std::{env, path::Path};

use image_host::tool::Tool;

use crate::{Verdict, failure::Failure};

pub(super) fn run() -> Result<Verdict, Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    let this = env::current_exe().map_err(|e| Failure::host("cannot find this program", e))?;
    let built = this.parent().and_then(|profile| Some((profile.file_name()?, profile.parent()?)));
    let (Some((profile, target)), true) = (built, root.join("Cargo.toml").is_file()) else {
        let text =
            "this program was built without the feature `release`, and its source is not here";
        return Err(Failure::usage(text));
    };
    let cargo = Tool::find("cargo").map_err(|e| Failure::host("publishing needs cargo", e))?;
    let cargo = cargo.inherit(|name| name.starts_with("CARGO_") || name.starts_with("RUST"));
    let profile = if profile == "debug" { "dev" } else { "release" };
    let mut args: Vec<std::ffi::OsString> = [
        "build",
        "--package",
        "xtask",
        "--features",
        "release",
        "--profile",
        profile,
        "--target-dir",
    ]
    .map(Into::into)
    .into();
    args.push(target.into());
    let mut compiles = false;
    cargo
        .run(args)
        .dir(root)
        .stream(|line| {
            if line.trim_start().starts_with("Compiling") && !compiles {
                compiles = true;
                eprintln!(
                    "note: compiling what signs and publishes, once; this takes some minutes"
                );
            }
        })
        .map_err(|e| Failure::host("cannot compile what signs and publishes", e))?;
    Err(Failure::host("cannot start", Tool::at(this).become_it(env::args_os().skip(1))))
}
