//! Releases that are published, and what others then find.

mod folder;
mod release;
