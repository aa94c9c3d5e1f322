//! `nixos-generate`, the program of nixos-generators. Its authors call it deprecated.
//!
//! It evaluates a host of a flake together with the module of a format, builds what the module says
//! with `nix build`, and prints the first file whose name ends as the format wants it. It takes
//! `nix` from `PATH`, and expects flakes to be on.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use image_host::tool::{NotFound, Tool, ToolError};

use crate::{
    build::{Nix, is_for_nix},
    request::{FEATURES, FlakeRef, Options},
};

/// Name of the program.
pub const PROGRAM: &str = "nixos-generate";

/// `nixos-generate` on this machine.
#[derive(Clone, Debug)]
pub struct Generator {
    tool: Tool,
}

/// One image of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerateRequest {
    /// The flake.
    pub flake: FlakeRef,
    /// The host: a name below `nixosConfigurations`.
    pub host: String,
    /// The format, as the program calls it.
    pub format: String,
    /// The system of the image.
    pub system: String,
    /// The symlink to the output that it makes.
    pub out_link: PathBuf,
    /// What the user hands on. A store is not among it: the program looks at its outputs where
    /// their store paths say.
    pub options: Options,
}

/// What the program made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// The store path of the output.
    pub store_path: String,
    /// The file that it named, if it named one.
    pub file: Option<PathBuf>,
}

/// There is nothing that the program made.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// It failed.
    #[error("nixos-generate failed")]
    Failed(#[from] ToolError),
    /// It says that it succeeded.
    #[error("nixos-generate succeeded, and did not make the link {}", link.display())]
    NoLink {
        /// The link.
        link: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
}

/// The arguments of the program.
///
/// Its `--flake` splits at the first `#`, and hands the first half to `nix flake metadata`;
/// `--option` reaches the commands that evaluate and build.
pub fn args(request: &GenerateRequest) -> Vec<OsString> {
    let GenerateRequest { flake, host, format, system, out_link, options } = request;
    let flake = format!("{flake}#{host}");
    let mut args: Vec<OsString> =
        ["-f", format, "--flake", &flake, "--system", system, "-o"].map(OsString::from).into();
    args.push(out_link.into());
    let named = |name: &str, value: &Option<String>| Some((name.to_owned(), value.clone()?));
    let more = [named("builders", &options.builders), named("max-jobs", &options.max_jobs)];
    for (name, value) in options.settings.iter().cloned().chain(more.into_iter().flatten()) {
        args.extend(["--option".into(), name.into(), value.into()]);
    }
    args
}

impl Generator {
    /// The program in `PATH`.
    pub fn find() -> Result<Self, NotFound> {
        Ok(Self::with(Tool::find(PROGRAM)?.inherit(is_for_nix)))
    }

    /// The program that `tool` runs, in the environment that it has.
    pub fn with(tool: Tool) -> Self {
        Self { tool }
    }

    /// The executable.
    pub fn program(&self) -> &Path {
        self.tool.program()
    }

    /// Makes an image with `nix`. What the program and Nix tell while they work goes to `on_line`.
    pub fn generate(
        &self,
        nix: &Nix,
        request: &GenerateRequest,
        on_line: impl FnMut(&str),
    ) -> Result<Generated, GenerateError> {
        // The Nix that we found need not be in PATH, nor be called so by the user's settings.
        let paths = env::var_os("PATH").unwrap_or_default();
        let dirs = nix.program().parent().into_iter().map(Path::to_owned);
        let paths = env::join_paths(dirs.chain(env::split_paths(&paths))).unwrap_or(paths);
        let settings = env::var("NIX_CONFIG").unwrap_or_default();
        let settings = format!("{settings}\n{} = {}", &FEATURES[0][2..], FEATURES[1]);
        let tool = self.tool.clone().env("PATH", paths).env("NIX_CONFIG", settings);
        let printed = tool.run(args(request)).stream(on_line)?;
        let printed = String::from_utf8_lossy(&printed);
        let file = printed.lines().map(str::trim).rfind(|line| line.starts_with('/'));
        let link = request.out_link.clone();
        let store_path =
            fs::read_link(&link).map_err(|cause| GenerateError::NoLink { link, cause })?;
        Ok(Generated {
            store_path: store_path.to_string_lossy().into_owned(),
            file: file.map(PathBuf::from),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_those_of_the_program() {
        let mut request = GenerateRequest {
            flake: FlakeRef::new("./flake#x", Path::new("/srv")),
            host: "card".to_owned(),
            format: "sd-aarch64".to_owned(),
            system: "aarch64-linux".to_owned(),
            out_link: "/w/result".into(),
            options: Options::default(),
        };
        let text = |request: &GenerateRequest| {
            let args = args(request).into_iter().map(|arg| arg.into_string().unwrap());
            args.collect::<Vec<_>>().join(" | ")
        };
        let plain = "-f | sd-aarch64 | --flake | /srv/flake#card | --system | aarch64-linux | -o | \
                     /w/result";
        assert_eq!(text(&request), plain);
        request.options = Options {
            settings: vec![("sandbox".to_owned(), "false".to_owned())],
            builders: Some("ssh://h aarch64-linux".to_owned()),
            max_jobs: Some("0".to_owned()),
            store: None,
        };
        let more = " | --option | sandbox | false | --option | builders | ssh://h aarch64-linux | \
                    --option | max-jobs | 0";
        assert_eq!(text(&request), format!("{plain}{more}"));
    }
}
