//! Releases that are published, and what others then find.

mod folder;
mod github;
mod http;
mod oci;
mod registry;
mod release;
mod stub;
