//! Who runs the factory.

/// True for the superuser of the current user namespace.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The number of the effective user.
pub fn id() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Lets everybody read what this process and the programs that it starts create: what an image
/// holds must not depend on the umask of whoever makes it. To be called once, by the program.
pub fn set_usual_umask() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
}
