//! A registry that speaks the OCI distribution specification.
