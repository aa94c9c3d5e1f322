//! The discs: by each firmware, as a disc and as a stick.

use std::time::Duration;

use crate::{
    REACHED,
    disc::Disc,
    machine::{Firmware, Machine, Medium},
};

/// What stage 1 of the fixture says.
const DISC_FOUND: &str = "image-factory: the disc is /dev/s";
/// What SeaBIOS says in the end.
const NO_DEVICE: &str = "No bootable device.";

/// Ten times what it takes on two cores.
const LIMIT: Duration = Duration::from_secs(240);

/// Where the volume descriptor with the boot record begins.
const BOOT_RECORD: u64 = 17 * 2048;

#[test]
fn bios_boots_a_disc() {
    let mut machine = Machine::boot(Firmware::Bios, Medium::Disc, Disc::of("iso").image());
    machine.says("ISOLINUX ", LIMIT);
    machine.says(DISC_FOUND, LIMIT);
    machine.says(REACHED, LIMIT);
}

/// By the code in its first block, which a disc has no use for. Here with systemd as stage 1.
#[test]
fn bios_boots_a_stick() {
    let disc = Disc::of("iso-systemd");
    let mut machine = Machine::boot(Firmware::Bios, Medium::Stick, disc.image());
    machine.says("ISOLINUX ", LIMIT);
    machine.says(DISC_FOUND, LIMIT);
    machine.says(REACHED, LIMIT);
}

#[test]
fn uefi_boots_a_disc() {
    let disc = Disc::of("iso-systemd");
    let mut machine = Machine::boot(Firmware::Uefi, Medium::Disc, disc.image());
    machine.says("EFI v2", LIMIT);
    machine.says(DISC_FOUND, LIMIT);
    machine.says(REACHED, LIMIT);
}

#[test]
fn uefi_boots_a_stick() {
    let mut machine = Machine::boot(Firmware::Uefi, Medium::Stick, Disc::of("iso").image());
    machine.says("EFI v2", LIMIT);
    machine.says(DISC_FOUND, LIMIT);
    machine.says(REACHED, LIMIT);
}

#[test]
fn uefi_boots_a_disc_on_aarch64() {
    let disc = Disc::of("iso-aarch64");
    let mut machine = Machine::boot(Firmware::UefiAarch64, Medium::Disc, disc.image());
    machine.says("EFI stub: Booting Linux Kernel", LIMIT);
    machine.says(DISC_FOUND, LIMIT);
    machine.says(REACHED, LIMIT);
}

/// One letter of `EL TORITO SPECIFICATION` is another: what the checks say, firmware does.
#[test]
fn a_disc_with_a_broken_boot_record_is_told_and_does_not_boot() {
    let broken = Disc::of("iso").with(b"e", BOOT_RECORD + 7);
    let promise = "iso-promised-boot: bios from disc does not boot: ";
    broken.is_told(&["bios"], &["el-torito-system-id: ", promise]);
    let mut machine = Machine::boot(Firmware::Bios, Medium::Disc, broken.image());
    machine.says("Booting from DVD/CD...", LIMIT);
    machine.says(NO_DEVICE, LIMIT);
}

/// The same for the last byte of the first block of a stick.
#[test]
fn a_stick_with_a_broken_first_block_is_told_and_does_not_boot() {
    let broken = Disc::of("iso").with(b"\xab", 511);
    let promise =
        "iso-promised-boot: bios from usb does not boot: the first block has no signature";
    broken.is_told(&["bios", "usb"], &["isohybrid-signature: 55 ab, not 55 aa", promise]);
    let mut machine = Machine::boot(Firmware::Bios, Medium::Stick, broken.image());
    machine.says("Booting from Hard Disk...", LIMIT);
    machine.says(NO_DEVICE, LIMIT);
}

/// A disc that the boot tests would miss if they only looked whether something starts.
#[test]
fn a_disc_that_is_looked_for_by_another_label_stops_in_the_initrd() {
    let disc = Disc::of("wrong-label");
    disc.unchanged().is_told(&["bios"], &["iso-root: root=LABEL=NIXOS-26.05-x86_64, "]);
    let mut machine = Machine::boot(Firmware::Bios, Medium::Disc, disc.image());
    machine.says("image-factory: no disc is labeled NIXOS-26.05-x86_64", LIMIT);
}

#[test]
fn real_tools_find_nothing_wrong_with_discs() {
    for (host, boots, system_area, volume) in [
        ("iso", &["BIOS", "UEFI"][..], "MBR isohybrid cyl-align-on GPT", "nixos-26.05-x86_64"),
        ("iso-systemd", &["BIOS", "UEFI"], "MBR isohybrid cyl-align-on GPT", "nixos-26.05-x86_64"),
        ("iso-plain", &["BIOS"], "", "nixos-26.05-x86_64"),
        ("iso-aarch64", &["UEFI"], "", "nixos-26.05-aarch64"),
    ] {
        let disc = Disc::of(host);
        disc.is_clean(boots, system_area, volume);
        if boots.contains(&"UEFI") {
            disc.holds_clean_file_systems();
        }
    }
}
