//! Disks of virtual machines: what the kind `vm` asks of a qcow2 disk.

/// What no check looks at.
pub(crate) const NOT_VERIFIED: &[&str] =
    &["the partition table, file systems and boot loader inside of the qcow2 disk"];
