//! Who runs the factory.

/// True for the superuser of the current user namespace.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The number of the effective user.
pub fn id() -> u32 {
    rustix::process::geteuid().as_raw()
}
