//! Disks for Amazon EC2: what the kind `amazon` asks of a VHD.

/// What no check looks at.
pub(crate) const NOT_VERIFIED: &[&str] =
    &["the partition table, file systems and boot loader inside of the VHD"];
