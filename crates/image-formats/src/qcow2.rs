//! Disks of virtual machines as QEMU keeps them: `docs/interop/qcow2` in QEMU, versions 2 and 3.
//!
//! [`raw`] holds the bits.

pub mod raw;
