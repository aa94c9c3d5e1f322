//! What the factory asks a flake before it builds: one evaluation, that looks at names wherever
//! names are enough.

use image_nix::{FlakeRef, Nix, NixError, Options};
use serde::Deserialize;

use super::formats;

/// What a NixOS configuration says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Host {
    /// The system that it is for.
    pub(crate) system: Option<String>,
    /// The system that it is built on: another one where it is cross-compiled.
    pub(crate) build_system: Option<String>,
    /// What is there of `config.system.build.images`.
    pub(crate) images: Option<Names>,
    /// What is there of `config.formats`, by the module `all-formats` of nixos-generators.
    pub(crate) formats: Option<Names>,
    /// Those of the known attributes that are there of `config.system.build`.
    pub(crate) attributes: Vec<String>,
    /// `passthru.filePath` of the variant that was asked for.
    pub(crate) file_path: Option<String>,
    /// What the host's own configuration says of the ISO image that its module makes.
    pub(crate) iso: Option<Iso>,
    /// What the configuration of the variant that was asked for says of its ISO image.
    pub(crate) variant_iso: Option<Iso>,
}

/// What a configuration sets of `isoImage`; `None` where it cannot be evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Iso {
    /// It starts by BIOS.
    pub(crate) make_bios_bootable: Option<bool>,
    /// It starts by UEFI.
    pub(crate) make_efi_bootable: Option<bool>,
    /// Where it starts by BIOS, it does so from USB sticks as well.
    pub(crate) make_usb_bootable: Option<bool>,
}

/// The names of a set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Names {
    Known(Vec<String>),
    /// It is there, and cannot be evaluated. Nix tells why to whoever builds it.
    Broken(bool),
}

impl Names {
    /// True if the name is there, or nobody can tell.
    pub(crate) fn may_have(&self, name: &str) -> bool {
        match self {
            Self::Known(names) => names.iter().any(|other| other == name),
            Self::Broken(_) => true,
        }
    }
}

/// What a derivation says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Derivation {
    /// The system of the image, where the derivation carries its configuration with it.
    pub(crate) system: Option<String>,
    /// The system that it is built on.
    pub(crate) build_system: Option<String>,
    /// What it needs of the machine that builds it.
    pub(crate) features: Vec<String>,
    /// `passthru.filePath`.
    pub(crate) file_path: Option<String>,
}

/// Nix functions for both questions. `tryEval` catches what a module throws; what it does not catch
/// would break the build in the same way.
const COMMON: &str = r#"
  text = value:
    let tried = builtins.tryEval value;
    in if tried.success && builtins.isString tried.value then tried.value else null;
  names = set:
    let tried = builtins.tryEval (builtins.attrNames set);
    in if tried.success then tried.value else false;
  first = a: b: if a != null then a else b;
  truth = value:
    let tried = builtins.tryEval value;
    in if tried.success && builtins.isBool tried.value then tried.value else null;
  iso = config:
    if truth (config ? isoImage) == true then builtins.listToAttrs (map
      (name: { inherit name; value = truth (config.isoImage.${name} or null); })
      [ "makeBiosBootable" "makeEfiBootable" "makeUsbBootable" ]) else null;
"#;

/// A function of a NixOS configuration that returns a [`Host`]. `variant` is the one to ask the
/// path of, and what it sets.
pub(crate) fn about_host(variant: Option<&str>) -> String {
    let quoted = |name: &str| format!("\"{name}\"");
    let known: Vec<_> = formats::attributes().into_iter().map(quoted).collect();
    let passthru = match variant {
        // A promise of another variant would force that one.
        Some(name) => format!(
            "if build ? images && builtins.isList images && builtins.elem \"{name}\" images \
             then build.images.\"{name}\".passthru or {{ }} else {{ }}"
        ),
        None => "{ }".to_owned(),
    };
    format!(
        "host: let{COMMON}
  config = host.config;
  build = config.system.build or {{ }};
  platform = name: first
    (text (config.nixpkgs.${{name}}.system or null))
    (text (host.pkgs.stdenv.${{name}}.system or null));
  images = names build.images;
  passthru = {passthru};
in {{
  system = platform \"hostPlatform\";
  buildSystem = platform \"buildPlatform\";
  images = if build ? images then images else null;
  formats = if config ? formats then names config.formats else null;
  attributes = builtins.filter (name: builtins.hasAttr name build) [ {} ];
  filePath = text (passthru.filePath or null);
  iso = iso config;
  variantIso = iso (passthru.config or {{ }});
}}",
        known.join(" ")
    )
}

/// A function of a derivation that returns a [`Derivation`].
pub(crate) fn about_derivation() -> String {
    format!(
        "image: let{COMMON}
  config = image.passthru.config or {{ }};
in {{
  system = first
    (text (config.nixpkgs.hostPlatform.system or null))
    null;
  buildSystem = text (image.system or null);
  features = image.requiredSystemFeatures or [ ];
  filePath = text (image.passthru.filePath or null);
}}"
    )
}

/// Asks, and reads the answer.
pub(crate) fn ask<T: for<'a> Deserialize<'a>>(
    nix: &Nix,
    flake: &FlakeRef,
    attribute: &str,
    function: &str,
    options: &Options,
) -> Result<T, NixError> {
    let json = nix.eval(flake, attribute, function, options)?;
    let text = json.to_string();
    serde_json::from_value(json).map_err(|_| NixError::Unreadable {
        command: format!("nix eval {flake}#{attribute}"),
        text: text.chars().take(200).collect(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_are_read() {
        let host: Host = serde_json::from_value(json!({
            "system": "aarch64-linux", "buildSystem": null, "images": ["iso", "sd-card"],
            "formats": false, "attributes": ["sdImage"], "filePath": null, "iso": null,
            "variantIso": {
                "makeBiosBootable": true, "makeEfiBootable": false, "makeUsbBootable": null,
            },
        }))
        .unwrap();
        assert!(host.images.as_ref().is_some_and(|names| names.may_have("iso")));
        assert!(!host.images.is_some_and(|names| names.may_have("oci")));
        assert_eq!(host.formats, Some(Names::Broken(false)));
        assert_eq!(host.iso, None);
        assert!(host.variant_iso.is_some_and(|iso| iso.make_efi_bootable == Some(false)));
    }
}
