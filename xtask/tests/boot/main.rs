//! The cards of `tests/fixtures/sd-flake` and the discs of `tests/fixtures/iso-flake`: what real
//! tools say of them, and whether they boot. QEMU emulates, it never uses KVM: that `/dev/kvm`
//! opens says nothing about whether a guest would run.

mod card;
mod disc;
mod discs;
mod machine;
mod store;
mod tool;

use std::time::Duration;

use card::Card;
use machine::{Board, Machine};

/// What stage 1 and stage 2 of the fixture say.
const ROOT_FOUND: &str = "image-factory: root is /dev/";
const REACHED: &str = "image-factory: init reached";

/// Ten times what it takes on two cores.
const GENERIC: Duration = Duration::from_secs(120);
const PI: Duration = Duration::from_secs(480);

#[test]
fn u_boot_boots_an_mbr_card() {
    let card = Card::of("sd");
    let mut machine = Machine::start(&Board::UBoot, &card);
    machine.says("Found /boot/extlinux/extlinux.conf", GENERIC);
    machine.says(ROOT_FOUND, GENERIC);
    machine.says(REACHED, GENERIC);
}

#[test]
fn u_boot_boots_a_gpt_card() {
    let card = Card::of("sd-gpt");
    let mut machine = Machine::start(&Board::UBoot, &card);
    machine.says("Found /boot/extlinux/extlinux.conf", GENERIC);
    machine.says(ROOT_FOUND, GENERIC);
    machine.says(REACHED, GENERIC);
}

#[test]
fn uefi_boots_a_gpt_card() {
    let card = Card::of("sd-gpt");
    let mut machine = Machine::start(&Board::Uefi, &card);
    // The stub in the kernel, which systemd-boot started.
    machine.says("EFI stub: Loaded initrd", GENERIC);
    machine.says(ROOT_FOUND, GENERIC);
    machine.says(REACHED, GENERIC);
}

#[test]
fn a_raspberry_pi_3_boots_the_card_from_its_slot() {
    let card = Card::of("sd");
    let mut machine = Machine::start(&Board::Pi3, &card);
    machine.says("/boot/extlinux/extlinux.conf", PI);
    machine.says("Machine model: Raspberry Pi 3", PI);
    machine.says("image-factory: root is /dev/mmcblk0p2", PI);
    machine.says(REACHED, PI);
}

/// A card that the boot tests would miss if they only looked whether something starts.
#[test]
fn a_card_whose_init_is_missing_stops_in_the_initrd() {
    let card = Card::of("wrong-init");
    let mut machine = Machine::start(&Board::UBoot, &card);
    machine.says(ROOT_FOUND, GENERIC);
    machine.says("-nixos-system-nixos-collected/init is not there", GENERIC);
}

#[test]
fn real_tools_find_nothing_wrong() {
    for host in ["sd", "sd-gpt", "no-dtb", "no-inodes", "wrong-init"] {
        Card::of(host).is_clean();
    }
}

#[test]
fn the_store_is_what_its_registration_says() {
    for host in ["sd", "sd-gpt"] {
        Card::of(host).is_registered();
    }
}
