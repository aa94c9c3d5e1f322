//! What a directory record of ISO 9660 says of its file beside name, place and size: the System Use
//! Sharing Protocol (IEEE P1281, called SUSP here), and Rock Ridge (IEEE P1282, called RRIP), which
//! is written in it.
//!
//! [`SystemUse`] collects the entries of a record from its system use area and the areas that this
//! is continued in, [`Entry`] is one of them, [`Name`] and [`Target`] put together what may be in
//! several. Any bytes parse; whether they make sense is for others to say.

mod area;
mod entry;
mod name;
pub mod raw;
mod target;
mod times;

pub use area::{Budget, Continuation, Fault, MAX_AREA, MAX_CONTINUATIONS, SystemUse};
pub use entry::{Entry, Extension};
pub use name::{MAX_NAME, Name, NameFault};
pub use target::{MAX_TARGET, Target, TargetFault};
pub use times::Times;
