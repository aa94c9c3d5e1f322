//! Drives Nix: any version from 2.8 on, Lix and Determinate Nix among them.
//!
//! What we ask for is in [`request`], what Nix says while it works in [`log`], what it answers in
//! [`store`], what its machines can do in [`machine`], why it refused in [`failure`], what a flake
//! is locked to in [`lock`], what a derivation is made of in [`derivation`], and a flake that changes
//! another one in [`around`]: pure functions all.
//! [`Nix`] runs it; [`Generator`] is another program that does.
//!
//! Remote builders and binary caches are Nix's own; nothing is added to them here.

pub mod around;
mod build;
pub mod derivation;
pub mod failure;
pub mod generator;
pub mod lock;
pub mod log;
pub mod machine;
mod rebuild;
mod relock;
pub mod request;
pub mod source;
pub mod store;
pub mod version;

pub use around::{Around, Extension, NoAround};
pub use build::{Built, EXECUTABLE, Nix, NixError};
pub use derivation::Derivation;
pub use failure::Failure;
pub use generator::{GenerateError, GenerateRequest, Generated, Generator};
pub use lock::{LockError, LockFile};
pub use log::{Event, Level, Progress};
pub use machine::{Builder, Config};
pub use rebuild::{Part, RebuildRequest, Rebuilt};
pub use relock::{ReadLockError, UpdateRequest, read as read_lock};
pub use request::{BuildRequest, FlakeRef, Options};
pub use source::Source;
pub use version::{Flavor, Version};
