//! Reads `release.toml`.
