//! A broken twin of a good image.

/// A check, and what fails it.
pub(crate) struct Twin {
    pub(crate) check: &'static str,
    /// Checks that cannot but fail with it.
    pub(crate) also: &'static [&'static str],
    pub(crate) make: fn() -> Vec<u8>,
}

pub(crate) const fn twin(check: &'static str, make: fn() -> Vec<u8>) -> Twin {
    Twin { check, also: &[], make }
}

pub(crate) const fn with(
    check: &'static str,
    also: &'static [&'static str],
    make: fn() -> Vec<u8>,
) -> Twin {
    Twin { check, also, make }
}
