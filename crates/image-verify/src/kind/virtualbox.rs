//! Appliances for VirtualBox: what has to be in a descriptor so that it makes a machine that starts.

use std::collections::{BTreeMap, BTreeSet};

use image_formats::{
    ovf::{Envelope, Item, VirtualSystem},
    units::ByteOffset,
};
use image_model::Location;

use crate::{Recorder, container::raw_at, ova::Appliance, tree::display};

checks! {
    /// All checks of this kind.
    CHECKS:

    /// There is no virtual machine in the appliance: there is nothing to import.
    SYSTEM = "virtualbox-system", Error;
    reads "every VirtualSystem of the descriptor";
    spec "DSP0243 1.1 §7.2";

    /// A machine has no disk of the appliance: it starts, and finds nothing to boot.
    DISK = "virtualbox-disk", Error;
    reads "HostResource of every disk drive, and every Disk";
    spec "DSP0243 1.1 §8.3, §9.1";

    /// A disk of the appliance is part of no machine. It is not imported.
    ATTACHED = "virtualbox-disk-attached", Warning;
    reads "HostResource of every drive, and every Disk";
    spec "DSP0243 1.1 §9.1";

    /// A disk drive is a part of no controller for disks. VirtualBox refuses the appliance.
    CONTROLLER = "virtualbox-controller", Error;
    reads "Parent of every disk drive, and ResourceType of what it names";
    spec "DSP0243 1.1 §8.3; VirtualBox src/VBox/Main/xml/ovfreader.cpp";

    /// The machine does not say how much memory it has. VirtualBox gives it what it thinks that such
    /// a system needs.
    MEMORY = "virtualbox-memory", Warning;
    reads "VirtualQuantity of the memory of every machine";
    spec "DSP0243 1.1 §8.3";

    /// The machine is told to run another kind of system. VirtualBox switches the 64-bit mode of the
    /// processor off for those that do not need it, and the kernel does not start.
    OS_TYPE = "virtualbox-os-type", Error;
    reads "OSType of every machine, and the system that the image is for";
    spec "VirtualBox src/VBox/Main/src-all/Global.cpp";
}

/// What no check looks at.
const DISKS: &str = "the partition table, file systems and boot loader inside of the disks";

/// What of an appliance no check looks at.
pub(crate) fn not_verified(appliance: &Appliance) -> &'static [&'static str] {
    if appliance.is_signed { &[DISKS, "the certificate"] } else { &[DISKS] }
}

/// Judges an appliance as one for VirtualBox. `system` is what it is for, in Nix's words, where
/// somebody said so.
pub fn verify(appliance: &Appliance, system: Option<&str>, out: &mut Recorder) {
    out.announce(CHECKS);
    let Some(envelope) = &appliance.envelope else { return };
    let place = |structure, at: ByteOffset| {
        raw_at(structure, appliance.descriptor.0.saturating_add(at.0), 0)
    };
    let (systems, whole) = (&envelope.systems, place("OVF descriptor", ByteOffset(0)));
    out.expect(&SYSTEM, !systems.is_empty(), || (whole, "no VirtualSystem".to_owned()));
    let mut attached = BTreeSet::new();
    for machine in systems {
        let at = || place("OVF VirtualSystem", machine.at);
        let found = drives(machine, envelope, &place, out);
        out.expect(&DISK, !found.is_empty(), || (at(), "it has no disk".to_owned()));
        attached.extend(found);
        let removable = |item: &&Item| {
            let kind = item.resource_type.as_deref().unwrap_or_default();
            Item::REMOVABLE_DRIVES.contains(&kind)
        };
        attached.extend(machine.items.iter().filter(removable).flat_map(resources));
        memory(machine, &at, out);
        os_type(machine, system, &at, out);
    }
    if systems.is_empty() {
        return;
    }
    for disk in &envelope.disks {
        let id = disk.id.as_deref().unwrap_or_default();
        out.expect(&ATTACHED, attached.contains(id), || {
            let message = format!("disk {} is part of no machine", display(id.as_bytes()));
            (place("OVF Disk", disk.at), message)
        });
    }
}

/// The disks of the appliance that are in a machine, by their identifiers.
fn drives<'a>(
    machine: &VirtualSystem,
    envelope: &'a Envelope,
    place: &dyn Fn(&'static str, ByteOffset) -> Location,
    out: &mut Recorder,
) -> BTreeSet<&'a str> {
    let disks: BTreeSet<_> = envelope.disks.iter().filter_map(|disk| disk.id.as_deref()).collect();
    let by_id: BTreeMap<_, _> = machine
        .items
        .iter()
        .filter_map(|item| Some((item.instance_id.as_deref()?, item)))
        .collect();
    let kind = |item: &Item| item.resource_type.clone().unwrap_or_default();
    let mut found = BTreeSet::new();
    for item in machine.items.iter().filter(|item| kind(item) == Item::DISK_DRIVE) {
        let parent = item.parent.as_deref().unwrap_or_default();
        let is_controller = by_id
            .get(parent)
            .is_some_and(|parent| Item::CONTROLLERS.contains(&kind(parent).as_str()));
        out.expect(&CONTROLLER, is_controller, || {
            let parent = display(parent.as_bytes());
            (
                place("OVF Item", item.at),
                format!("Parent is {parent:?}, and no controller of disks"),
            )
        });
        found.extend(resources(item).filter_map(|id| disks.get(id).copied()));
    }
    found
}

/// The disks that are behind an item, by their identifiers.
fn resources(item: &Item) -> impl Iterator<Item = &str> {
    // VirtualBox writes no scheme.
    item.host_resource.iter().filter_map(|resource| {
        resource.strip_prefix("ovf:").unwrap_or(resource).strip_prefix("/disk/")
    })
}

fn memory(machine: &VirtualSystem, at: &dyn Fn() -> Location, out: &mut Recorder) {
    let is_memory = |item: &&Item| item.resource_type.as_deref() == Some(Item::MEMORY);
    let quantity = machine.items.iter().find(is_memory).and_then(|item| item.quantity.as_deref());
    let known = quantity.is_some_and(|text| text.parse::<u64>().is_ok_and(|count| count > 0));
    out.expect(&MEMORY, known, || {
        let quantity = display(quantity.unwrap_or("nothing").as_bytes());
        (at(), format!("VirtualQuantity of the memory is {quantity}"))
    });
}

fn os_type(
    machine: &VirtualSystem,
    system: Option<&str>,
    at: &dyn Fn() -> Location,
    out: &mut Recorder,
) {
    let ending = match system {
        Some("x86_64-linux") => "_64",
        Some("aarch64-linux") => "_arm64",
        _ => return,
    };
    let Some(found) = machine.os_type.as_deref() else { return };
    out.expect(&OS_TYPE, found.ends_with(ending), || {
        let (found, system) = (display(found.as_bytes()), system.unwrap_or_default());
        (at(), format!("OSType is {found}, and {system} needs one that ends with {ending}"))
    });
}
