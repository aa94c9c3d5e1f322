//! What Nix writes: names of store paths, archives of them, and what it registered.
//!
//! From the sources of Nix (`src/libstore`, `src/libutil`), which are the specification.

pub mod base32;
pub mod database;
pub mod nar;
pub mod registration;
pub mod signature;
pub mod store_path;

pub use registration::PathInfo;
pub use signature::PublicKey;
