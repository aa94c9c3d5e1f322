//! The stand-in for the program `nixos-generate`, and a Nix that it finds.

use std::{fs, os::unix::fs::symlink};

use image_host::tool::Tool;
use image_nix::{Generator, Nix};

use crate::rig::{Rig, environment, workspace};

impl Rig {
    /// The same Nix, by the name `nix`: programs that call it know no other.
    pub(crate) fn called_nix(&self) -> Nix {
        let folder = self.path("bin");
        let program = folder.join("nix");
        if !program.exists() {
            fs::create_dir(&folder).unwrap();
            symlink(self.nix.program(), &program).unwrap();
        }
        Nix::with(environment(self.dir.path(), Tool::at(program))).unwrap()
    }

    pub(crate) fn generator(&self) -> Generator {
        let program = workspace().join("tests/tools/nixos-generators/nixos-generate");
        Generator::with(environment(self.dir.path(), Tool::at(program)))
    }
}
