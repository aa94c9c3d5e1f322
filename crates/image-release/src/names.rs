//! The names that files have in a release: flat, with the version in them, none twice.
