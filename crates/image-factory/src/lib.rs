//! The image factory as a library: plans, builds, finishes, verifies and publishes images.
//!
//! ```no_run
//! use image_factory::{Options, definition};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let checks = image_verify::checks().map(|check| check.id);
//! let definition = definition::load(".".as_ref(), "wsl", checks)?;
//! let plan = image_factory::plan(&definition, &Options::default())?;
//! let made = image_factory::make(&plan, &|event| eprintln!("{event:?}"))?;
//! assert!(made.report.passed());
//! # Ok(())
//! # }
//! ```
//!
//! It prints nothing and never exits: progress comes as [`Event`]s, and a run ends with [`Made`] or
//! an error that says whose fault it is.

pub mod compare;
pub mod definition;
pub mod devcontainer;
mod dist;
pub mod driver;
pub mod event;
mod file_name;
pub mod finish;
pub mod flake_check;
pub mod folder;
pub mod lock;
mod make;
pub mod manifest;
pub mod nix;
mod plan;
pub mod reproduce;
pub mod sbom;
pub mod sizes;
pub mod trust;
pub mod verify;

pub use definition::{Definition, DefinitionError};
pub use dist::{DistError, MANIFEST, NotReplaceable, REPORT, SUMS, check_replaceable, json_file};
pub use driver::Fault;
pub use event::{Event, Step};
pub use image_model::{Driver, Route};
pub use image_nix::Extension;
pub use make::{Made, MakeError, make};
pub use nix::Options as NixOptions;
pub use plan::{
    DIST_DIR, Input, NixImageInput, NixosWslInput, Options, Plan, PlanError, Target, plan,
};
pub use reproduce::{Against, Reproduction, reproduce, reproduce_against};
pub use trust::Trust;
pub use verify::Verification;
