//! Disks of virtual machines: what the kind `vm` asks of a qcow2 disk.

use crate::{Recorder, container::raw_at as at, qcow2::Facts};

/// What no check looks at.
pub(crate) const NOT_VERIFIED: &[&str] =
    &["the partition table, file systems and boot loader inside of the qcow2 disk"];

checks! {
    /// The checks of disks of virtual machines.
    CHECKS:

    /// The image has snapshots: earlier states of the disk, with all that was deleted since, and
    /// maybe the memory of a machine. Whoever publishes it publishes them too.
    SNAPSHOTS = "vm-snapshots", Warning;
    reads "the number of snapshots in the header";
    spec "QEMU docs/interop/qcow2, Snapshots";
}

/// Judges what is known of a qcow2 disk.
pub(crate) fn verify(facts: Facts, out: &mut Recorder) {
    out.announce(CHECKS);
    let number = facts.snapshots;
    out.expect(&SNAPSHOTS, number == 0, || {
        (at("qcow2 header", 60, 4), format!("{number} of them, and nobody starts from them"))
    });
}
