//! Which part of a flake an image is made of.

use image_model::ImageKind;
use image_nix::FlakeRef;
use serde::Serialize;

use super::{Options, PlanError};
use crate::{
    definition::Definition,
    driver::nix_image::{
        HOSTS,
        formats::{self, Format},
    },
};

/// What of a flake is an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// This derivation.
    Attribute(String),
    /// An image of a NixOS configuration: the flake is asked which derivation that is.
    #[serde(rename_all = "camelCase")]
    Host {
        /// The configuration: `nixosConfigurations.<name>`.
        attribute: String,
        /// The image, by the name that it was asked for.
        name: String,
        /// What that name stands for.
        #[serde(skip)]
        format: &'static Format,
    },
}

impl Target {
    /// The attribute of the flake: of the derivation or of the configuration.
    pub fn attribute(&self) -> &str {
        match self {
            Self::Attribute(attribute) | Self::Host { attribute, .. } => attribute,
        }
    }
}

/// What the user put behind the `#` of a flake, if that is not nothing.
fn fragment(flake: &FlakeRef) -> Option<&String> {
    flake.fragment.as_ref().filter(|name| !name.is_empty())
}

/// `--attribute` if there is one; else what the user put behind the `#` of the flake, which names a
/// configuration as `nixos-rebuild --flake` takes it; else the definition's.
pub(super) fn wsl_attribute(
    definition: &Definition,
    options: &Options,
    flake: &FlakeRef,
) -> String {
    match (&options.attribute, fragment(flake)) {
        (Some(attribute), _) => attribute.clone(),
        (None, Some(name)) if name.contains('.') => name.clone(),
        (None, Some(name)) => {
            format!("nixosConfigurations.{name}.config.system.build.tarballBuilder")
        }
        (None, None) => definition.spec.build.attribute.clone(),
    }
}

/// What of the flake is an image, from the same places in the same order. A variant that the
/// definition names is one of the definition's configuration, or of the one that the user names in
/// its place; of a derivation that the user names it says nothing.
pub(super) fn resolve(
    definition: &Definition,
    options: &Options,
    flake: &FlakeRef,
) -> Result<Target, PlanError> {
    let spec = &definition.spec;
    let attribute = match (&options.attribute, fragment(flake)) {
        (Some(attribute), _) => attribute.clone(),
        (None, Some(name)) if name.contains('.') && !name.starts_with('"') => name.clone(),
        (None, Some(name)) => format!("{HOSTS}{name}"),
        (None, None) => spec.build.attribute.clone(),
    };
    if !is_host(&attribute) {
        let own = attribute == spec.build.attribute && spec.build.variant.is_some();
        return match own || options.variant.is_some() || options.route.is_some() {
            true => Err(PlanError::NotAHost { attribute }),
            false => Ok(Target::Attribute(attribute)),
        };
    }
    let own = || spec.build.variant.as_deref().or_else(|| usual_variant(spec.kind));
    let name = options.variant.as_deref().or_else(own);
    let name = name.ok_or_else(|| PlanError::NoVariant { attribute: attribute.clone() })?;
    let format = formats::find(name, &spec.system)?;
    Ok(Target::Host { attribute, name: name.to_owned(), format })
}

/// The image of a configuration that is of a kind, where nobody names one.
pub(crate) fn usual_variant(kind: ImageKind) -> Option<&'static str> {
    match kind {
        ImageKind::Sd => Some("sd-card"),
        ImageKind::Iso => Some("iso"),
        ImageKind::Vm => Some("qemu-efi"),
        ImageKind::Docker => Some("docker"),
        ImageKind::Virtualbox => Some("virtualbox"),
        ImageKind::Amazon => Some("amazon"),
        ImageKind::Wsl => None,
    }
}

/// True for the attribute of a NixOS configuration, and not for one inside of it. A name with dots
/// is in quotes.
pub(crate) fn is_host(attribute: &str) -> bool {
    attribute.strip_prefix(HOSTS).is_some_and(|name| match name.strip_prefix('"') {
        Some(quoted) => quoted.find('"') == quoted.len().checked_sub(1),
        None => !name.is_empty() && !name.contains('.'),
    })
}
