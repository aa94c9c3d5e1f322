//! `devcontainer DIR`

use image_factory::devcontainer::{self, IMAGE};
use serde_json::json;

use super::{Context, definitions, print, print_json};
use crate::{
    Verdict,
    args::{DevContainerArgs, Format},
    failure::Failure,
    program::Program,
};

pub(super) fn run(context: Context, args: &DevContainerArgs) -> Result<Verdict, Failure> {
    let definition = definitions(&[IMAGE.to_owned()])?.remove(0);
    let DevContainerArgs { profiles, force, dir } = args;
    let written = devcontainer::write(&definition, profiles, dir, *force)?;
    let profile = match profiles.as_slice() {
        [] => String::new(),
        profiles => format!(" --profile {}", profiles.join(",")),
    };
    let commands = [
        format!("{} image {IMAGE}{profile}", Program::current().typed()),
        // The flag, and no `<`, which PowerShell does not know.
        format!("docker load --input dist/{IMAGE}/{}", written.archive),
    ];
    match context.format {
        Format::Human => print(&format!(
            "{}\nThe image {} is made and loaded with\n  {}\n  {}\n",
            written.file.display(),
            written.image,
            commands[0],
            commands[1]
        )),
        Format::Json => print_json(&json!({
            "file": written.file,
            "image": written.image,
            "commands": commands,
        })),
    }
}
