//! `wsl --install`: `src/windows/common/Distribution.cpp` and `WslInstall.cpp` of microsoft/WSL; what
//! those who run the list ask for: `distributions/validate-modern.py`, and the text as Python writes
//! it.

use image_model::Sha256;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Entry, Facts, Refusal, Refusals, file_of, json};

/// Keys of an entry; a validator refuses others.
const KEYS: [&str; 5] = ["Name", "FriendlyName", "Default", "Amd64Url", "Arm64Url"];

/// A list.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct List {
    /// By flavor: what is downloaded as a tarball.
    #[serde(default)]
    pub modern_distributions: Map<String, Value>,
    /// What is installed where nobody says a name.
    #[serde(default)]
    pub default: Option<String>,
}

/// What one name stands for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Distribution {
    /// The name.
    pub name: String,
    /// The name for people.
    pub friendly_name: String,
    /// Whether the flavor stands for it.
    #[serde(default)]
    pub default: bool,
    /// For x86-64.
    #[serde(default)]
    pub amd64_url: Option<Archive>,
    /// For ARM.
    #[serde(default)]
    pub arm64_url: Option<Archive>,
}

/// A tarball.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Archive {
    /// Its address.
    pub url: String,
    /// Its digest, in hexadecimal digits of either case, with or without `0x` before them.
    pub sha256: String,
}

/// The processor of the machine that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// x86-64.
    Amd64,
    /// ARM, 64 bits.
    Arm64,
}

impl Distribution {
    /// The tarball for a machine.
    pub fn archive(&self, machine: Machine) -> Option<&Archive> {
        match machine {
            Machine::Amd64 => self.amd64_url.as_ref(),
            Machine::Arm64 => self.arm64_url.as_ref(),
        }
    }
}

impl Archive {
    /// The digest (`ParseHex`).
    pub fn sha256(&self) -> Option<Sha256> {
        let text = &self.sha256;
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        Sha256::try_from(digits.to_ascii_lowercase()).ok()
    }
}

impl List {
    /// Reads a list.
    pub fn read(bytes: &[u8]) -> Result<Self, Vec<Refusal>> {
        json(bytes)
    }

    /// The distributions of all flavors.
    pub fn flavors(&self) -> Result<Vec<(&str, Vec<Distribution>)>, Vec<Refusal>> {
        let flavors = self.modern_distributions.iter().map(|(flavor, value)| {
            let versions = Vec::deserialize(value);
            let versions = versions.map_err(|error| Refusals::all(format!("{flavor}: {error}")))?;
            Ok((flavor.as_str(), versions))
        });
        flavors.collect()
    }

    /// What a machine installs under a name; `None` is `wsl --install` alone
    /// (`LookupDistributionInManifest`, after `ReadFromManifest` has dropped what is not for it).
    pub fn lookup(&self, name: Option<&str>, machine: Machine) -> Option<Distribution> {
        let name = name.or(self.default.as_deref())?;
        let flavors = self.flavors().ok()?;
        flavors.into_iter().find_map(|(flavor, versions)| {
            let of_flavor = flavor.eq_ignore_ascii_case(name);
            versions.into_iter().filter(|version| version.archive(machine).is_some()).find(
                |version| of_flavor && version.default || version.name.eq_ignore_ascii_case(name),
            )
        })
    }
}

/// All entries.
pub(super) fn entries(bytes: &[u8], facts: &Facts<'_>) -> Result<Vec<Entry>, Vec<Refusal>> {
    let list = List::read(bytes)?;
    let value: Value = json(bytes)?;
    let (mut out, mut refusals) = (Vec::new(), Refusals::default());
    if bytes != crate::catalog::json::text(&value, "    ") {
        refusals.push("", "the text is not that of json.dumps(…, indent=4) and a newline");
    }
    for (flavor, versions) in list.flavors()? {
        for (version, value) in versions.iter().zip(values(&list, flavor)) {
            let name = &version.name;
            let mut wrong = |what: String| refusals.push(name, what);
            broken_rules(flavor, version, value).into_iter().for_each(&mut wrong);
            for machine in [Machine::Amd64, Machine::Arm64] {
                let Some(archive) = version.archive(machine) else { continue };
                let sha256 = archive.sha256();
                if sha256.is_none() {
                    wrong(format!("{:?} is no SHA-256 digest", archive.sha256));
                }
                match file_of(&archive.url, facts) {
                    Ok(file) => {
                        out.push(Entry { name: name.clone(), file, sha256, ..Entry::default() });
                    }
                    Err(what) => wrong(what),
                }
            }
        }
        let defaults = versions.iter().filter(|version| version.default).count();
        if defaults != 1 {
            refusals.push(flavor, format!("{defaults} of its entries are the default, not one"));
        }
    }
    let machines = [Machine::Amd64, Machine::Arm64];
    if !machines.iter().any(|machine| list.lookup(None, *machine).is_some()) {
        refusals.push("", "`wsl --install` without a name finds nothing");
    }
    refusals.or(out)
}

/// The entries of a flavor as they are written.
fn values<'a>(list: &'a List, flavor: &str) -> &'a [Value] {
    let versions = list.modern_distributions.get(flavor).and_then(Value::as_array);
    versions.map(Vec::as_slice).unwrap_or_default()
}

/// What the validator does not take of an entry.
fn broken_rules(flavor: &str, version: &Distribution, value: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let Distribution { name, amd64_url, arm64_url, .. } = version;
    if !name.starts_with(flavor) {
        wrong.push(format!("its name does not begin with {flavor:?}"));
    }
    // A name is that of a folder and of the file that is downloaded.
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || !name.bytes().all(allowed) {
        wrong.push("a name is letters, digits, dots, hyphens and underscores".to_owned());
    }
    if amd64_url.is_none() && arm64_url.is_none() {
        wrong.push("it has no address".to_owned());
    }
    let keys = value.as_object().into_iter().flat_map(Map::keys);
    let unknown = keys.filter(|key| !KEYS.contains(&key.as_str()));
    wrong.extend(unknown.map(|key| format!("{key:?} is no key of an entry")));
    wrong
}
