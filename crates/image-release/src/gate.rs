//! The gate: what may be released.

/// What may pass all the same. It is recorded in the manifest and shown on the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Images without a passing report of this version of the factory.
    pub unverified: bool,
    /// Images of the driver `mini`.
    pub mini: bool,
}

/// An image may not be released.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {}
