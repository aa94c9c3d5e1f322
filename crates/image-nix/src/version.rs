//! Which Nix this is, and what it can do.

use std::fmt;

/// The oldest release that the factory works with, and is tested with.
pub const OLDEST: (u32, u32) = (2, 8);

/// The oldest release that evaluates today's nixpkgs, which asks for it in `lib/minfeatures.nix`.
pub const OLDEST_FOR_NIXPKGS: (u32, u32) = (2, 18);

/// Who made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// NixOS/nix.
    Nix,
    /// Determinate Nix, with its own version.
    Determinate(String),
    /// Lix: forked from 2.18, counts on from 2.90.
    Lix,
}

/// What `nix --version` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Who made it.
    pub flavor: Flavor,
    /// Major and minor version: of Nix, or of Lix.
    pub release: (u32, u32),
    /// The line as it was printed: `nix (Nix) 2.35.2`.
    pub text: String,
}

impl Version {
    /// Reads the output of `nix --version`: `nix (Nix) 2.35.2`, `nix (Determinate Nix 3.22.2)
    /// 2.35.2`, `nix (Lix, like Nix) 2.95.3`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.lines().find(|line| line.starts_with("nix "))?.trim();
        let (name, number) = text.strip_prefix("nix (")?.rsplit_once(") ")?;
        let flavor = match name.strip_prefix("Determinate Nix ") {
            Some(version) => Flavor::Determinate(version.to_owned()),
            None if name.starts_with("Lix") => Flavor::Lix,
            None => Flavor::Nix,
        };
        // `2.36pre20260714_88b09c6` is a version too.
        let mut parts = number.split('.').map(|part| {
            let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            part[..digits].parse().ok()
        });
        let release = (parts.next()??, parts.next()??);
        Some(Self { flavor, release, text: text.to_owned() })
    }

    /// The factory works with it: [`OLDEST`] or later.
    pub fn is_supported(&self) -> bool {
        self.release >= OLDEST
    }

    /// It evaluates today's nixpkgs: [`OLDEST_FOR_NIXPKGS`] or later.
    pub fn evaluates_nixpkgs(&self) -> bool {
        self.release >= OLDEST_FOR_NIXPKGS
    }

    /// `nix path-info --json` asks for `--json-format` too, and will insist on it. Since 2.33, and
    /// not in Lix.
    pub fn has_json_format(&self) -> bool {
        self.flavor != Flavor::Lix && self.release >= (2, 33)
    }

    /// A flake can be evaluated with a lock file that is not its own: `--reference-lock-file`.
    /// Since 2.15, and in every Lix.
    pub fn has_reference_lock(&self) -> bool {
        self.flavor == Flavor::Lix || self.release >= (2, 15)
    }

    /// `nix flake update` takes names of inputs. Since 2.19, and in every Lix; before that,
    /// `nix flake lock` did.
    pub fn updates_by_name(&self) -> bool {
        self.flavor == Flavor::Lix || self.release >= (2, 19)
    }

    /// Outputs of a derivation in the store are named by `^*` behind it. Since 2.13, and in every Lix;
    /// before that, a derivation stands for them.
    pub fn names_outputs(&self) -> bool {
        self.flavor == Flavor::Lix || self.release >= (2, 13)
    }

    /// The settings are shown by `nix config show`, and not by `nix show-config`. Since 2.20; Lix
    /// has the older name.
    pub fn has_config_show(&self) -> bool {
        self.flavor != Flavor::Lix && self.release >= (2, 20)
    }
}

/// The name of the program and its version, without the command: `Nix 2.35.2`.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.text.rsplit(' ').next().unwrap_or_default();
        match &self.flavor {
            Flavor::Nix => write!(f, "Nix {number}"),
            Flavor::Lix => write!(f, "Lix {number}"),
            Flavor::Determinate(version) => write!(f, "Determinate Nix {version} (Nix {number})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flavor_is_told_apart() {
        let nix = Version::parse("nix (Nix) 2.35.2\n").unwrap();
        assert_eq!((nix.flavor.clone(), nix.release), (Flavor::Nix, (2, 35)));
        assert!(nix.is_supported() && nix.has_json_format());
        assert!(nix.has_reference_lock() && nix.updates_by_name() && nix.names_outputs());
        assert_eq!(nix.to_string(), "Nix 2.35.2");

        let determinate = Version::parse("nix (Determinate Nix 3.22.2) 2.35.2").unwrap();
        assert_eq!(determinate.flavor, Flavor::Determinate("3.22.2".to_owned()));
        assert_eq!(determinate.release, (2, 35));
        assert_eq!(determinate.to_string(), "Determinate Nix 3.22.2 (Nix 2.35.2)");

        let lix = Version::parse("nix (Lix, like Nix) 2.95.3").unwrap();
        assert_eq!((lix.flavor.clone(), lix.release), (Flavor::Lix, (2, 95)));
        assert!(!lix.has_json_format() && !lix.has_config_show());
        assert!(lix.has_reference_lock() && lix.updates_by_name());
        assert_eq!(lix.to_string(), "Lix 2.95.3");
    }

    #[test]
    fn old_and_unreleased_and_foreign() {
        assert!(!Version::parse("nix (Nix) 2.3.16").unwrap().is_supported());
        assert_eq!(Version::parse("nix (Nix) 2.36pre2026_88b09c6").unwrap().release, (2, 36));
        let old = |text| Version::parse(text).unwrap();
        assert!(!old("nix (Nix) 2.14.1").has_reference_lock());
        assert!(!old("nix (Nix) 2.18.9").updates_by_name());
        assert!(!old("nix (Nix) 2.12.1").names_outputs());
        assert_eq!(Version::parse("busybox 1.35"), None);
        assert_eq!(Version::parse(""), None);
    }
}
