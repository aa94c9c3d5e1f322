//! Whether programs of a foreign system run here: registrations of the kernel's `binfmt_misc`.
//! Linux, Documentation/admin-guide/binfmt-misc.rst.

/// What the kernel tells about one registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The program that runs the others.
    pub interpreter: String,
    /// Flag `F`: it was opened when it was registered, so that it works in a changed root.
    pub fixed: bool,
    /// Where `magic` is looked for in a file.
    pub offset: usize,
    /// The bytes that a file must have.
    pub magic: Vec<u8>,
    /// The bits of them that count; all where it is empty.
    pub mask: Vec<u8>,
}

/// Programs of a system do not run here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotRun {
    /// Nothing is registered for them.
    #[error(
        "this machine is {host} and cannot run {system}: no binfmt_misc registration (Debian: \
         apt-get install qemu-user-static binfmt-support)"
    )]
    NotRegistered {
        /// The machine.
        host: String,
        /// The system.
        system: String,
    },
    /// The interpreter is looked for where it is not.
    #[error(
        "{interpreter}, which runs {system} on this machine, is registered without the flag F, and \
         is not found once the builder changes its root"
    )]
    NotFixed {
        /// The system.
        system: String,
        /// The program that would run it.
        interpreter: String,
    },
}

impl Registration {
    /// Reads a file of `/proc/sys/fs/binfmt_misc`; `None` for one that is disabled, that goes by
    /// the ending of a name, or that is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next()? != "enabled" {
            return None;
        }
        let mut registration = Self {
            interpreter: String::new(),
            fixed: false,
            offset: 0,
            magic: vec![],
            mask: vec![],
        };
        for line in lines {
            // `flags: F` has a colon, the others have none.
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            match key.trim_end_matches(':') {
                "interpreter" => registration.interpreter = value.to_owned(),
                "flags" => registration.fixed = value.contains('F'),
                "offset" => registration.offset = value.parse().ok()?,
                "magic" => registration.magic = bytes(value)?,
                "mask" => registration.mask = bytes(value)?,
                _ => {}
            }
        }
        Some(registration).filter(|r| !r.interpreter.is_empty() && !r.magic.is_empty())
    }

    fn takes(&self, file: &[u8]) -> bool {
        let masks = self.mask.iter().chain(std::iter::repeat(&0xff));
        let Some(part) = file.get(self.offset..) else { return false };
        part.len() >= self.magic.len()
            && part.iter().zip(&self.magic).zip(masks).all(|((a, b), mask)| (a ^ b) & mask == 0)
    }
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.trim().as_bytes();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(pair).collect()
}

/// Whether a machine with the architecture `host` runs programs of `system`.
pub fn runs(host: &str, system: &str, registrations: &[Registration]) -> Result<(), CannotRun> {
    let architecture = system.split('-').next().unwrap_or(system);
    if architecture == host || (host, architecture) == ("x86_64", "i686") {
        return Ok(());
    }
    let program = program(architecture);
    let taken = registrations.iter().find(|r| program.is_some_and(|program| r.takes(&program)));
    match taken {
        Some(registration) if registration.fixed => Ok(()),
        Some(registration) => Err(CannotRun::NotFixed {
            system: system.to_owned(),
            interpreter: registration.interpreter.clone(),
        }),
        None => Err(CannotRun::NotRegistered { host: host.to_owned(), system: system.to_owned() }),
    }
}

/// The first bytes of a program: an ELF header up to `e_version`.
fn program(architecture: &str) -> Option<[u8; 24]> {
    let (class, machine) = match architecture {
        "x86_64" => (2, 0x3e),
        "aarch64" => (2, 0xb7),
        "riscv64" => (2, 0xf3),
        "powerpc64le" => (2, 0x15),
        "i686" => (1, 0x03),
        "armv6l" | "armv7l" => (1, 0x28),
        _ => return None,
    };
    let mut header = [0; 24];
    header[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, 1, 1]);
    (header[16], header[18], header[20]) = (2, machine, 1);
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Debian's qemu-user-static registers it.
    const QEMU: &str = "enabled\ninterpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P\nflags: POCF\n\
        offset 0\nmagic 7f454c460201010000000000000000000200b700\n\
        mask ffffffffffffff00fffffffffffffffffeffffff\n";

    #[test]
    fn a_registration_is_compared_with_a_program() {
        let qemu = Registration::parse(QEMU).unwrap();
        assert_eq!(runs("x86_64", "aarch64-linux", std::slice::from_ref(&qemu)), Ok(()));
        let other = runs("x86_64", "riscv64-linux", &[qemu]).unwrap_err();
        assert!(matches!(other, CannotRun::NotRegistered { .. }), "{other}");
    }

    #[test]
    fn a_native_system_needs_nothing() {
        assert_eq!(runs("aarch64", "aarch64-linux", &[]), Ok(()));
        assert_eq!(runs("x86_64", "i686-linux", &[]), Ok(()));
        assert!(runs("x86_64", "aarch64-linux", &[]).is_err());
    }

    #[test]
    fn flag_f_and_enabled_are_needed() {
        let open = Registration::parse(&QEMU.replace("POCF", "POC")).unwrap();
        let error = runs("x86_64", "aarch64-linux", &[open]).unwrap_err();
        assert!(error.to_string().contains("/usr/libexec/qemu-binfmt"), "{error}");
        assert_eq!(Registration::parse(&QEMU.replace("enabled", "disabled")), None);
        // `register` and `status`, and a registration by extension.
        for text in
            ["", "enabled\n", "enabled\ninterpreter /usr/bin/jexec\nflags: \nextension .jar\n"]
        {
            assert_eq!(Registration::parse(text), None, "{text:?}");
        }
    }
}
