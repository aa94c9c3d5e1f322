//! Releases that are published, and what others then find.

mod folder;
mod github;
mod http;
mod oci;
mod proxy;
mod registry;
mod release;
mod s3;
mod servers;
mod stub;
