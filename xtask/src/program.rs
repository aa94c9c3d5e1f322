//! The name of this program: `cargo xtask` in the workspace, `image-factory` where it is installed.

use std::{env, ffi::OsStr, path::Path};

use clap::{Command, CommandFactory as _, FromArgMatches as _};
use clap_complete::Shell;

use crate::args::Xtask;

/// What the program was started as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// By cargo, in the workspace.
    Xtask,
    /// By itself.
    ImageFactory,
}

impl Program {
    /// What this process was started as.
    pub(crate) fn current() -> Self {
        Self::named(env::args_os().next().as_deref())
    }

    fn named(argv0: Option<&OsStr>) -> Self {
        let file = argv0.and_then(|name| Path::new(name).file_name());
        if file.is_some_and(|name| name == "image-factory") {
            Self::ImageFactory
        } else {
            Self::Xtask
        }
    }

    /// What people type.
    pub(crate) fn typed(self) -> &'static str {
        match self {
            Self::Xtask => "cargo xtask",
            Self::ImageFactory => "image-factory",
        }
    }

    /// The name of the file, which is what shells complete.
    fn file(self) -> &'static str {
        match self {
            Self::Xtask => "xtask",
            Self::ImageFactory => "image-factory",
        }
    }

    /// What its page of the manual is called, and how the pages of its commands begin.
    pub(crate) fn page(self) -> &'static str {
        match self {
            Self::Xtask => "cargo-xtask",
            Self::ImageFactory => "image-factory",
        }
    }

    /// The command line, by the name that was typed.
    pub(crate) fn command(self) -> Command {
        Xtask::command().name(self.typed()).bin_name(self.typed())
    }

    /// A completion script.
    pub(crate) fn completions(self, shell: Shell) -> String {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut self.command(), self.file(), &mut script);
        let script = String::from_utf8(script).expect("our help texts are UTF-8");
        // clap_complete 4.6 writes the hyphen of our name in two ways for bash, and then completes
        // no command.
        script.replace("image__subcmd__factory", "image__factory")
    }

    /// Reads the command line of this process. Ends it where `--help` was asked for, or what cannot
    /// be.
    pub(crate) fn parse(self) -> Xtask {
        let mut command = self.command();
        let matches = command.get_matches_mut();
        Xtask::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_that_of_the_file() {
        let named = |argv0: &str| Program::named(Some(OsStr::new(argv0)));
        assert_eq!(named("image-factory"), Program::ImageFactory);
        assert_eq!(
            named("/nix/store/x-image-factory-0.1.0/bin/image-factory"),
            Program::ImageFactory
        );
        assert_eq!(named("/home/me/image-factory/target/release/xtask"), Program::Xtask);
        assert_eq!(Program::named(None), Program::Xtask);
    }
}
