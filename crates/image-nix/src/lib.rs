//! Drives Nix: any version from 2.8 on, Lix and Determinate Nix among them.
//!
//! What we ask for is in [`request`], what Nix says while it works in [`log`], what it answers in
//! [`store`], why it refused in [`failure`]: pure functions all. [`Nix`] runs it.
//!
//! Remote builders and binary caches are Nix's own; nothing is added to them here.

mod build;
pub mod failure;
pub mod log;
pub mod request;
pub mod store;
pub mod version;

pub use build::{Built, EXECUTABLE, Nix, NixError};
pub use failure::Failure;
pub use log::{Event, Level, Progress};
pub use request::{BuildRequest, FlakeRef, Options};
pub use version::{Flavor, Version};
