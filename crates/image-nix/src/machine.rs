//! What the machines that Nix builds on can do: its settings, and the remote builders among them.

use std::path::PathBuf;

use serde_json::Value;

/// The settings that decide which derivations are built, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// `system`: what this machine is.
    pub system: String,
    /// `extra-platforms`: other systems that are built on it.
    pub extra_platforms: Vec<String>,
    /// `system-features`: `kvm`, `big-parallel`, ….
    pub features: Vec<String>,
    /// `max-jobs` is not 0, so something is built on it at all.
    pub builds_here: bool,
    /// `builders`: as it is written, and a file where it begins with `@`.
    pub builders: String,
    /// `trusted-public-keys`: whose signatures count.
    pub trusted_keys: Vec<String>,
}

/// Reads the output of `nix config show --json`: the name of each setting, with what is known of
/// it. `None`: it is something else.
pub fn read_config(json: &Value) -> Option<Config> {
    let value = |name: &str| json.get(name)?.get("value");
    let list = |name: &str| -> Option<Vec<String>> {
        let names = value(name)?.as_array()?.iter();
        Some(names.filter_map(|name| name.as_str().map(str::to_owned)).collect())
    };
    Some(Config {
        system: value("system")?.as_str()?.to_owned(),
        extra_platforms: list("extra-platforms")?,
        features: list("system-features")?,
        builds_here: value("max-jobs") != Some(&Value::from(0)),
        builders: value("builders")?.as_str()?.to_owned(),
        trusted_keys: list("trusted-public-keys")?,
    })
}

/// A remote builder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Builder {
    /// How it is reached.
    pub uri: String,
    /// What it builds for.
    pub systems: Vec<String>,
    /// What it has: `kvm`, `big-parallel`, ….
    pub features: Vec<String>,
    /// What a derivation must ask for to be built there.
    pub mandatory: Vec<String>,
}

impl Builder {
    /// True if a derivation for `system` that requires `features` is sent to it.
    pub fn builds(&self, system: &str, features: &[&str]) -> bool {
        let has = |feature: &str| {
            self.features.iter().chain(&self.mandatory).any(|other| other == feature)
        };
        self.systems.iter().any(|other| other == system)
            && features.iter().all(|feature| has(feature))
            && self.mandatory.iter().all(|feature| features.contains(&feature.as_str()))
    }
}

/// Files name files; whoever writes one that names itself is told nothing, and waits for nothing.
const MAX_FILES: usize = 16;

/// The remote builders of a setting `builders`. `read` gives the text of a file that it names; one
/// that cannot be read has no builders, as in Nix.
///
/// One builder a line, or between `;`: URI, systems, SSH key, jobs, speed, features, mandatory
/// features, host key. `-` and what is left out are the defaults, which for the systems is
/// `local_system`.
pub fn builders(
    setting: &str,
    local_system: &str,
    read: &mut dyn FnMut(PathBuf) -> Option<String>,
) -> Vec<Builder> {
    let mut builders = Vec::new();
    let mut texts = vec![setting.to_owned()];
    let mut files = 0;
    while let Some(text) = texts.pop() {
        for line in text.split(['\n', ';']) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if let Some(path) = line.strip_prefix('@') {
                files += 1;
                texts.extend((files <= MAX_FILES).then(|| read(path.trim().into())).flatten());
                continue;
            }
            let mut fields = line.split_ascii_whitespace();
            let Some(uri) = fields.next() else { continue };
            let fields: Vec<_> = fields.collect();
            let list = |at: usize| -> Vec<String> {
                let text = fields.get(at).filter(|text| **text != "-").copied().unwrap_or_default();
                text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
            };
            let mut systems = list(0);
            if systems.is_empty() {
                systems.push(local_system.to_owned());
            }
            let (features, mandatory) = (list(4), list(5));
            builders.push(Builder { uri: uri.to_owned(), systems, features, mandatory });
        }
    }
    builders
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_are_read() {
        let json = json!({
            "system": {"value": "x86_64-linux", "defaultValue": "x86_64-linux"},
            "extra-platforms": {"value": ["i686-linux"]},
            "system-features": {"value": ["kvm", "nixos-test"]},
            "max-jobs": {"value": 0},
            "builders": {"value": "@/etc/nix/machines"},
            "trusted-public-keys": {"value": ["a-1:AAAA"]},
        });
        let config = read_config(&json).unwrap();
        assert_eq!(config.system, "x86_64-linux");
        assert_eq!(config.extra_platforms, ["i686-linux"]);
        assert_eq!(config.features, ["kvm", "nixos-test"]);
        assert!(!config.builds_here);
        assert_eq!(config.builders, "@/etc/nix/machines");
        assert_eq!(config.trusted_keys, ["a-1:AAAA"]);
        assert_eq!(read_config(&json!([])), None);
    }

    fn read_builders(setting: &str) -> Vec<Builder> {
        builders(setting, "x86_64-linux", &mut |path| match path.to_str() {
            Some("/etc/nix/machines") => Some("# none\n\nssh://b riscv64-linux\n".to_owned()),
            Some("/loop") => Some("@/loop\nssh://c".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn builders_are_read() {
        let setting = "ssh-ng://a x86_64-linux,aarch64-linux - 4 1 kvm,big-parallel big-parallel AAA= ; \
                       @/etc/nix/machines\n@/absent";
        let all = read_builders(setting);
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].uri, "ssh-ng://a");
        assert_eq!(all[0].systems, ["x86_64-linux", "aarch64-linux"]);
        assert_eq!(all[0].features, ["kvm", "big-parallel"]);
        assert_eq!(all[0].mandatory, ["big-parallel"]);
        assert_eq!((all[1].uri.as_str(), &*all[1].systems[0]), ("ssh://b", "riscv64-linux"));
        assert_eq!(read_builders(""), []);
        assert_eq!(read_builders("host")[0].systems, ["x86_64-linux"]);
        assert_eq!(read_builders("host - key")[0].systems, ["x86_64-linux"]);
        assert_eq!(read_builders("@/loop").len(), MAX_FILES);
    }

    #[test]
    fn a_builder_takes_what_it_can_and_wants() {
        let [builder] = &read_builders("a aarch64-linux - 1 1 kvm,big")[..] else { panic!() };
        assert!(builder.builds("aarch64-linux", &[]));
        assert!(builder.builds("aarch64-linux", &["kvm"]));
        assert!(!builder.builds("aarch64-linux", &["kvm", "other"]));
        assert!(!builder.builds("x86_64-linux", &[]));
        let [builder] = &read_builders("a aarch64-linux - 1 1 - kvm")[..] else { panic!() };
        assert!(builder.builds("aarch64-linux", &["kvm"]));
        assert!(!builder.builds("aarch64-linux", &[]));
    }
}
