//! What the images of a NixOS configuration are called: by nixpkgs, by nixos-generators, and by the
//! modules that make them. One of the variants is our own.
//!
//! nixpkgs, nixos/modules/image/images.nix; nix-community/nixos-generators, formats/.

/// One kind of image, by its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// `config.system.build.images.<variant>`.
    pub variant: Option<&'static str>,
    /// The format of nixos-generators.
    pub generators: Option<&'static str>,
    /// The only system that this name of nixos-generators is for.
    pub system: Option<&'static str>,
    /// `config.system.build.<attribute>`, where the module of the format puts it.
    pub attribute: &'static str,
    /// It is built inside a virtual machine, so its builder needs `/dev/kvm`.
    pub in_vm: bool,
    /// The variant is not one of nixpkgs: the NixOS module of this project adds it.
    pub ours: bool,
    /// How the image of nixpkgs and that of nixos-generators differ, although they stand for each
    /// other.
    pub differs: Option<&'static str>,
}

const fn format(
    variant: &'static str,
    generators: &'static str,
    attribute: &'static str,
    in_vm: bool,
) -> Format {
    const fn given(name: &'static str) -> Option<&'static str> {
        if name.is_empty() { None } else { Some(name) }
    }
    Format {
        variant: given(variant),
        generators: given(generators),
        system: None,
        attribute,
        in_vm,
        ours: false,
        differs: None,
    }
}

impl Format {
    const fn only_for(self, system: &'static str) -> Self {
        Self { system: Some(system), ..self }
    }

    const fn ours(self) -> Self {
        Self { ours: true, ..self }
    }

    const fn differs(self, how: &'static str) -> Self {
        Self { differs: Some(how), ..self }
    }
}

const INSTALLER: &str = "nixos-generators adds the installer to it; the variant of nixpkgs does not, \
                         so the host has to import profiles/installation-device.nix itself";
const ISO: &str = "nixos-generators makes it bootable by UEFI and from USB sticks; the variant of \
                   nixpkgs is so only where the host sets isoImage.makeEfiBootable and \
                   isoImage.makeUsbBootable in image.modules.iso";
const DOCKER: &str = "nixos-generators makes a root file system for docker import, the variant an \
                      archive for docker load";
const DISK: &str = "nixos-generators makes another partition table and takes another boot loader \
                    than the variant of nixpkgs";

/// `""` stands for a name that there is none of.
pub const FORMATS: &[Format] = &[
    format("amazon", "amazon", "amazonImage", true),
    format("azure", "azure", "azureImage", true),
    format("cloudstack", "cloudstack", "cloudstackImage", true),
    format("digital-ocean", "do", "digitalOceanImage", true),
    format("docker", "docker", "tarball", false).ours().differs(DOCKER),
    format("google-compute", "gce", "googleComputeImage", true),
    format("hyperv", "hyperv", "hypervImage", true),
    format("iso", "iso", "isoImage", false).differs(ISO),
    format("iso-installer", "install-iso", "isoImage", false),
    format("iso-installer", "install-iso-hyperv", "isoImage", false)
        .differs("nixos-generators turns virtualisation.hypervGuest on, nixpkgs does not"),
    format("kexec", "kexec", "kexec_tarball", false),
    format("", "kexec-bundle", "kexec_bundle", false),
    format("kubevirt", "kubevirt", "kubevirtImage", true),
    format("linode", "linode", "linodeImage", true),
    format("lxc", "lxc", "tarball", false),
    format("lxc-metadata", "lxc-metadata", "metadata", false),
    format("oci", "", "OCIImage", true),
    format("openstack", "openstack", "openstackImage", true),
    format("openstack-zfs", "", "openstackImage", true),
    format("proxmox", "proxmox", "VMA", true),
    format("proxmox-lxc", "proxmox-lxc", "tarball", false),
    format("qemu", "qcow", "qcow", true).differs(DISK),
    format("qemu-efi", "qcow-efi", "qcow-efi", true).differs(DISK),
    format("raw", "raw", "raw", true).differs(DISK),
    format("raw-efi", "raw-efi", "raw-efi", true).differs(DISK),
    format("sd-card", "sd-aarch64", "sdImage", false).only_for("aarch64-linux"),
    format("sd-card", "sd-aarch64-installer", "sdImage", false)
        .only_for("aarch64-linux")
        .differs(INSTALLER),
    format("sd-card", "sd-x86_64", "sdImage", false).only_for("x86_64-linux"),
    format("vagrant-virtualbox", "vagrant-virtualbox", "vagrantVirtualbox", true),
    format("virtualbox", "virtualbox", "virtualBoxOVA", true),
    format("", "vm", "vm", false),
    format("", "vm-bootloader", "vmWithBootLoader", true),
    format("", "vm-nogui", "vm", false),
    format("vmware", "vmware", "vmwareImage", true),
];

/// No image has the name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no image is called {name:?}{}; known are {}. For an image of your own, name the whole attribute, \
     and no variant",
    nearest.as_ref().map(|name| format!(", did you mean {name:?}?")).unwrap_or_default(),
    names().join(", ")
)]
pub struct UnknownFormat {
    /// What was asked for.
    pub name: String,
    /// The name that looks most like it.
    pub nearest: Option<String>,
}

/// Every name that [`find`] knows, sorted.
pub fn names() -> Vec<&'static str> {
    let both = FORMATS.iter().flat_map(|format| [format.variant, format.generators]);
    let mut names: Vec<_> = both.flatten().collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The format called `name`, by nixpkgs or by nixos-generators, for `system`.
pub fn find(name: &str, system: &str) -> Result<&'static Format, UnknownFormat> {
    let fits = |format: &&Format| format.system.is_none_or(|only| only == system);
    // A name that both have means the same in both.
    let variant = FORMATS.iter().filter(fits).find(|format| format.variant == Some(name));
    let format = variant.or_else(|| FORMATS.iter().find(|format| format.generators == Some(name)));
    format.ok_or_else(|| UnknownFormat {
        name: name.to_owned(),
        nearest: crate::definition::nearest(name, names().into_iter()),
    })
}

/// Every attribute that a module puts its image into, and the one that all modules of nixpkgs 25.05
/// and later share.
pub fn attributes() -> Vec<&'static str> {
    let mut attributes: Vec<_> = FORMATS.iter().map(|format| format.attribute).collect();
    attributes.push(GENERIC);
    attributes.sort_unstable();
    attributes.dedup();
    attributes
}

/// `config.system.build.image`: whatever image the modules of a host make.
pub const GENERIC: &str = "image";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_lead_to_the_same() {
        for (a, b) in
            [("sd-card", "sd-aarch64"), ("qemu", "qcow"), ("iso-installer", "install-iso")]
        {
            assert_eq!(find(a, "aarch64-linux"), find(b, "aarch64-linux"), "{a}");
        }
        let card = find("sd-card", "x86_64-linux").unwrap();
        assert_eq!(card.generators, Some("sd-x86_64"));
        let docker = find("docker", "x86_64-linux").unwrap();
        assert!(docker.ours && docker.variant == docker.generators, "{docker:?}");
        assert_eq!(find("oci", "x86_64-linux").unwrap().generators, None);
        assert_eq!(find("iso", "x86_64-linux").unwrap().generators, Some("iso"));
    }

    #[test]
    fn every_name_is_found_for_some_system() {
        for name in names() {
            let found = ["x86_64-linux", "aarch64-linux"].map(|system| find(name, system));
            assert!(found.iter().any(Result::is_ok), "{name}");
        }
        // One name of nixos-generators is one row.
        let mut generators: Vec<_> = FORMATS.iter().filter_map(|f| f.generators).collect();
        let count = generators.len();
        generators.sort_unstable();
        generators.dedup();
        assert_eq!(generators.len(), count);
    }

    #[test]
    fn an_unknown_name_is_told_with_the_nearest() {
        let text = find("sd-crad", "aarch64-linux").unwrap_err().to_string();
        assert!(text.starts_with(
            "no image is called \"sd-crad\", did you mean \"sd-card\"?; known are amazon, azure, "
        ));
    }
}
