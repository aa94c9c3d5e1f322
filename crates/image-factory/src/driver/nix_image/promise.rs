//! Whether an ISO image can keep what the definition promises of it, by what the configuration
//! sets: nobody has to wait for a build to learn that it cannot.
//!
//! nixpkgs, nixos/modules/installer/cd-dvd/iso-image.nix.

use image_model::Boot;

use super::question::Iso;

/// Promises that the image of a configuration will not keep.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{image} will not start by {}, as the definition promises: set {} {place}, or take the promise \
     back in `boots`",
    boots.iter().map(|boot| boot.as_str()).collect::<Vec<_>>().join(", "),
    options.iter().map(|name| format!("isoImage.{name} = true")).collect::<Vec<_>>().join(" and ")
)]
pub struct Unkept {
    /// The attribute of the image.
    pub image: String,
    /// The promises.
    pub boots: Vec<Boot>,
    /// The options of `isoImage` that are off.
    pub options: Vec<&'static str>,
    /// Where in the configuration they are set.
    pub place: String,
}

/// Which promises for an image of `system` are not kept by what is set, and the options that are in
/// the way. What cannot be told here, the verification tells.
pub(crate) fn unkept(boots: &[Boot], system: &str, iso: &Iso) -> (Vec<Boot>, Vec<&'static str>) {
    let bios = ("makeBiosBootable", iso.make_bios_bootable);
    let efi = ("makeEfiBootable", iso.make_efi_bootable);
    let usb = ("makeUsbBootable", iso.make_usb_bootable);
    let (mut promises, mut options) = (Vec::new(), Vec::new());
    for &boot in boots {
        let needs: &[_] = match (boot, system) {
            (Boot::Bios, "x86_64-linux") => &[bios],
            (Boot::UefiX86_64, "x86_64-linux") | (Boot::UefiAarch64, "aarch64-linux") => &[efi],
            // The partition table of a stick comes with the boot code for BIOS.
            (Boot::Usb, "x86_64-linux") => &[bios, usb],
            _ => &[],
        };
        let off = needs.iter().filter(|(_, value)| *value == Some(false)).map(|(name, _)| *name);
        let before = options.len();
        options.extend(off);
        if options.len() > before {
            promises.push(boot);
        }
    }
    options.sort_unstable();
    options.dedup();
    (promises, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iso(bios: bool, efi: bool, usb: bool) -> Iso {
        Iso {
            make_bios_bootable: Some(bios),
            make_efi_bootable: Some(efi),
            make_usb_bootable: Some(usb),
        }
    }

    const X86: &str = "x86_64-linux";

    #[test]
    fn promises_are_compared_with_options() {
        let all = [Boot::Bios, Boot::UefiX86_64, Boot::Usb];
        let plain = unkept(&all, X86, &iso(true, false, false));
        let both = vec!["makeEfiBootable", "makeUsbBootable"];
        assert_eq!(plain, (vec![Boot::UefiX86_64, Boot::Usb], both));
        assert_eq!(unkept(&all, X86, &iso(true, true, true)), (vec![], vec![]));
        assert_eq!(unkept(&[Boot::Bios], X86, &iso(true, false, false)), (vec![], vec![]));
        let without_bios = unkept(&all, X86, &iso(false, true, true));
        assert_eq!(without_bios, (vec![Boot::Bios, Boot::Usb], vec!["makeBiosBootable"]));
        let arm = unkept(&[Boot::UefiAarch64], "aarch64-linux", &iso(false, false, false));
        assert_eq!(arm, (vec![Boot::UefiAarch64], vec!["makeEfiBootable"]));
        assert_eq!(unkept(&all, X86, &Iso::default()), (vec![], vec![]));
    }

    #[test]
    fn the_message_says_what_to_set() {
        let unkept = Unkept {
            image: "nixosConfigurations.iso.config.system.build.images.iso".to_owned(),
            boots: vec![Boot::UefiX86_64, Boot::Usb],
            options: vec!["makeEfiBootable", "makeUsbBootable"],
            place: "in image.modules.iso of the configuration".to_owned(),
        };
        assert_eq!(
            unkept.to_string(),
            "nixosConfigurations.iso.config.system.build.images.iso will not start by uefi-x86_64, \
             usb, as the definition promises: set isoImage.makeEfiBootable = true and \
             isoImage.makeUsbBootable = true in image.modules.iso of the configuration, or take the \
             promise back in `boots`"
        );
    }
}
