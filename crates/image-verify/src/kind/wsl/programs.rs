//! The programs that a start needs.

use std::collections::BTreeSet;

use image_formats::elf::Machine;
use image_model::Check;

use super::{
    ARCHITECTURE, BIN_BASH, BIN_BASH_MODE, BIN_SH, BIN_SH_MODE, Judge, LOGIN, MOUNT, SBIN_INIT,
    SBIN_INIT_MODE, SBIN_INIT_UNUSED, SYSTEMCTL, files::Permissions,
};
use crate::tree::{Program, display};

const EXECUTABLE: Permissions =
    Permissions { modes: &[0o755, 0o775, 0o555], any_group: false, follows: true };

/// Where shells look without `PATH`: `_PATH_STDPATH` and bash's default.
const STANDARD_PATH: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

impl Judge<'_, '_> {
    pub(super) fn programs(&mut self) {
        self.elf(&BIN_SH, "/bin/sh");
        self.permissions(&BIN_SH_MODE, "/bin/sh", &EXECUTABLE);
        if self.tree.lookup(b"/bin/bash").is_ok() {
            self.elf(&BIN_BASH, "/bin/bash");
            self.permissions(&BIN_BASH_MODE, "/bin/bash", &EXECUTABLE);
        }
        if self.systemd() {
            self.elf(&SBIN_INIT, "/sbin/init");
            self.permissions(&SBIN_INIT_MODE, "/sbin/init", &EXECUTABLE);
            let login = self.not_executable(b"/bin/login");
            self.expect(&LOGIN, login.is_none(), "/bin/login", || login.unwrap_or_default());
            // NixOS's shell is a program that sets a path of its own, which cannot be read off it.
            if !self.nixos {
                for name in ["systemctl", "grep"] {
                    let found = STANDARD_PATH.iter().any(|folder| {
                        self.not_executable(format!("{folder}/{name}").as_bytes()).is_none()
                    });
                    self.expect(&SYSTEMCTL, found, "/usr/bin", || {
                        format!("no {name} in {}", STANDARD_PATH.join(", "))
                    });
                }
            }
        } else if let Some(value) = self.conf.value("boot.systemd").map(str::to_owned) {
            let problem = self.not_elf("/sbin/init");
            self.expect(&SBIN_INIT_UNUSED, problem.is_none(), "/sbin/init", || {
                format!("boot.systemd is {value}: {}", problem.unwrap_or_default())
            });
        }
        if self.flag("automount.mountfstab", true) {
            let mount = self.not_executable(b"/bin/mount");
            self.expect(&MOUNT, mount.is_none(), "/bin/mount", || mount.unwrap_or_default());
        }
        self.architecture();
    }

    fn elf(&mut self, check: &'static Check, path: &str) {
        let problem = self.not_elf(path);
        self.expect(check, problem.is_none(), path, || problem.unwrap_or_default());
    }

    fn not_elf(&self, path: &str) -> Option<String> {
        if let Some(problem) = self.not_executable(path.as_bytes()) {
            return Some(problem);
        }
        match self.program(path.as_bytes())?.1 {
            Program::Elf(_) | Program::ForeignElf => None,
            Program::Script => Some("a script, not an ELF program".to_owned()),
            Program::Unknown => Some("not an ELF program".to_owned()),
        }
    }

    fn architecture(&mut self) {
        let named = match self.image.system {
            Some("x86_64-linux") => Some(Machine::X86_64),
            Some("aarch64-linux") => Some(Machine::AARCH64),
            _ => None,
        };
        let of_shell = match self.program(b"/bin/sh") {
            Some((_, Program::Elf(machine))) => Some(machine),
            _ => None,
        };
        let mut paths: BTreeSet<Vec<u8>> = self.login_shells();
        paths.extend(["/bin/sh", "/bin/bash"].map(|path| path.as_bytes().to_vec()));
        if self.systemd() {
            paths.insert(b"/sbin/init".to_vec());
        }
        let runs = [Machine::X86_64, Machine::AARCH64];
        let mut judged = BTreeSet::new();
        for path in paths {
            let Some((id, program)) = self.program(&path) else { continue };
            let machine = match program {
                Program::Elf(machine) => Some(machine),
                Program::ForeignElf => None,
                Program::Script | Program::Unknown => continue,
            };
            if !judged.insert(id) {
                continue;
            }
            let expected = named.or(of_shell);
            let holds = machine.is_some_and(|machine| {
                runs.contains(&machine) && expected.is_none_or(|expected| expected == machine)
            });
            self.expect(&ARCHITECTURE, holds, &display(&path), || {
                let expected = match expected.filter(|machine| runs.contains(machine)) {
                    Some(machine) => machine.to_string(),
                    None => "x86_64 or aarch64".to_owned(),
                };
                match machine {
                    Some(machine) => format!("for {machine}, not for {expected}"),
                    None => format!("not 64-bit little-endian, so not for {expected}"),
                }
            });
        }
    }
}
