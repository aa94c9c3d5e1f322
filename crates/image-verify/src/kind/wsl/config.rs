//! `wsl-distribution.conf`, the files it names, and `wsl.conf`.

use image_model::Check;

use super::{
    CONF_KEYS, CONF_KEYS_DISPUTED, CONF_LINK, CONF_MODE, CONF_VALUES, CONFIG_AMBIGUOUS,
    CONFIG_SYNTAX, DEFAULT_NAME, DISTRIBUTION_CONF, DISTRIBUTION_CONF_KEYS, DISTRIBUTION_CONF_MODE,
    DISTRIBUTION_CONF_PATH, DISTRIBUTION_CONF_VALUES, ICON, ICON_FILE, ICON_FORMAT, ICON_LOCATION,
    ICON_MODE, Judge, OOBE_COMMAND, OOBE_COMMAND_LOCATION, OOBE_COMMAND_MODE, OOBE_DEFAULT_UID,
    PROFILE_FILE, PROFILE_FORMAT, PROFILE_LOCATION, PROFILE_MODE, USER_DEFAULT_SET, WSL_CONF,
    files::Permissions,
    grammar::{self, boolean, integer},
    icon,
};
use crate::tree::{Kind, MAX_CONTENT};

/// The keys of `wsl-distribution.conf`.
const DISTRIBUTION_KEYS: [&str; 7] = [
    "oobe.command",
    "oobe.defaultname",
    "oobe.defaultuid",
    "shortcut.enabled",
    "shortcut.icon",
    "windowsterminal.enabled",
    "windowsterminal.profiletemplate",
];

/// The keys of `wsl.conf` that both WSL and the validator know: `WSL_CONF_KEYS`.
const CONF_KEYS_BOTH: [&str; 20] = [
    "automount.cgroups",
    "automount.enabled",
    "automount.ldconfig",
    "automount.mountfstab",
    "automount.options",
    "automount.root",
    "boot.command",
    "boot.protectbinfmt",
    "boot.systemd",
    "fileserver.enabled",
    "filesystem.umask",
    "gpu.appendlibpath",
    "gpu.enabled",
    "interop.appendwindowspath",
    "interop.enabled",
    "network.generatehosts",
    "network.generateresolvconf",
    "network.hostname",
    "time.usewindowstimezone",
    "user.default",
];

/// Those that WSL reads and the validator refuses.
const CONF_KEYS_WSL: [&str; 5] = [
    "boot.inittimeout",
    "fileserver.logfile",
    "fileserver.loglevel",
    "fileserver.logtruncate",
    "general.guiapplications",
];

/// Those that the validator takes and WSL does not read.
const CONF_KEYS_VALIDATOR: [&str; 1] = ["general.hostname"];

/// The keys of both files that are yes or no.
const BOOLEANS: [&str; 17] = [
    "automount.enabled",
    "automount.ldconfig",
    "automount.mountfstab",
    "boot.protectbinfmt",
    "boot.systemd",
    "fileserver.enabled",
    "fileserver.logtruncate",
    "general.guiapplications",
    "gpu.appendlibpath",
    "gpu.enabled",
    "interop.appendwindowspath",
    "interop.enabled",
    "network.generatehosts",
    "network.generateresolvconf",
    "shortcut.enabled",
    "time.usewindowstimezone",
    "windowsterminal.enabled",
];

/// The keys of both files that are numbers.
const INTEGERS: [&str; 4] =
    ["boot.inittimeout", "fileserver.loglevel", "filesystem.umask", "oobe.defaultuid"];

const DATA: Permissions = Permissions { modes: &[0o644, 0o664], any_group: false, follows: true };

impl Judge<'_, '_> {
    pub(super) fn distribution_conf(&mut self) {
        const PATH: &str = DISTRIBUTION_CONF_PATH;
        if !self.config_file(&DISTRIBUTION_CONF, PATH) {
            return;
        }
        self.permissions(&DISTRIBUTION_CONF_MODE, PATH, &DATA);
        self.both_grammars(PATH);
        let conf = self.distribution.clone();
        for setting in &conf.settings {
            let known = DISTRIBUTION_KEYS.contains(&setting.key.as_str());
            self.expect(&DISTRIBUTION_CONF_KEYS, known, PATH, || {
                format!("line {}: WSL knows no key {}", setting.line, setting.key)
            });
            self.value(&DISTRIBUTION_CONF_VALUES, PATH, setting);
        }

        let name = conf.value("oobe.defaultname");
        self.expect(&DEFAULT_NAME, name.is_some_and(is_name), PATH, || match name {
            None => "no oobe.defaultName".to_owned(),
            Some(name) => format!("oobe.defaultName is {name:?}, which Windows refuses"),
        });
        if let Some(command) = conf.value("oobe.command") {
            let problem = self.not_executable(command.as_bytes());
            self.expect(&OOBE_COMMAND, problem.is_none(), PATH, || {
                format!("oobe.command {command:?}: {}", problem.unwrap_or_default())
            });
            let want = Permissions { modes: &[0o755, 0o775], any_group: false, follows: false };
            self.permissions(&OOBE_COMMAND_MODE, command, &want);
            let folders = ["/usr/lib/wsl", "/usr/libexec/wsl"];
            self.location(&OOBE_COMMAND_LOCATION, "oobe.command", command, &folders);
        }
        if let Some(uid) = conf.value("oobe.defaultuid") {
            self.expect(&OOBE_DEFAULT_UID, uid == "1000", PATH, || {
                format!("oobe.defaultUid is {uid}, not 1000")
            });
        }

        let icon = conf.value("shortcut.icon");
        self.expect(&ICON, icon.is_some(), PATH, || "no shortcut.icon".to_owned());
        if let Some(path) = icon {
            if let Some(bytes) = self.named_file(&ICON_FILE, "shortcut.icon", path) {
                let defect = icon::defect(bytes);
                self.expect(&ICON_FORMAT, defect.is_none(), path, || defect.unwrap_or_default());
            }
            let want = Permissions { follows: false, ..DATA };
            self.permissions(&ICON_MODE, path, &want);
            let folders = ["/usr/lib/wsl", "/usr/share/wsl"];
            self.location(&ICON_LOCATION, "shortcut.icon", path, &folders);
        }
        if let Some(path) = conf.value("windowsterminal.profiletemplate") {
            let key = "windowsterminal.profileTemplate";
            if let Some(bytes) = self.named_file(&PROFILE_FILE, key, path) {
                let defect = profile_defect(bytes);
                self.expect(&PROFILE_FORMAT, defect.is_none(), path, || defect.unwrap_or_default());
            }
            let want = Permissions { modes: &[0o640, 0o660], any_group: false, follows: false };
            self.permissions(&PROFILE_MODE, path, &want);
            self.location(&PROFILE_LOCATION, key, path, &["/usr/lib/wsl"]);
        }
    }

    pub(super) fn wsl_conf(&mut self) {
        if self.tree.lookup(WSL_CONF.as_bytes()).is_err() {
            return;
        }
        if !self.config_file(&CONFIG_SYNTAX, WSL_CONF) {
            return;
        }
        self.permissions(&CONF_MODE, WSL_CONF, &DATA);
        let absolute = self.tree.resolve(WSL_CONF.as_bytes()).ok().and_then(|found| {
            found.chain.into_iter().find(
                |id| matches!(&self.tree.node(*id).kind, Kind::Symlink(to) if to.starts_with(b"/")),
            )
        });
        self.expect(&CONF_LINK, absolute.is_none(), WSL_CONF, || {
            "reached over an absolute symlink, not a regular file".to_owned()
        });
        self.both_grammars(WSL_CONF);
        let conf = self.conf.clone();
        for setting in &conf.settings {
            let (key, line) = (setting.key.as_str(), setting.line);
            let disputed = CONF_KEYS_WSL.contains(&key) || CONF_KEYS_VALIDATOR.contains(&key);
            let known = disputed || CONF_KEYS_BOTH.contains(&key);
            self.expect(&CONF_KEYS, known, WSL_CONF, || {
                format!("line {line}: WSL knows no key {key}")
            });
            self.expect(&CONF_KEYS_DISPUTED, !disputed, WSL_CONF, || {
                if CONF_KEYS_WSL.contains(&key) {
                    format!("line {line}: WSL reads {key}, and Microsoft's validator refuses it")
                } else {
                    format!("line {line}: Microsoft's validator takes {key}; WSL does not read it")
                }
            });
            self.value(&CONF_VALUES, WSL_CONF, setting);
        }
        if !self.nixos {
            let user = conf.value("user.default");
            self.expect(&USER_DEFAULT_SET, user.is_none(), WSL_CONF, || {
                format!("user.default is {}", user.unwrap_or_default())
            });
        }
    }

    /// A configuration file has to be a file that can be read.
    fn config_file(&mut self, check: &'static Check, path: &str) -> bool {
        let problem = match self.tree.resolve(path.as_bytes()) {
            Err(error) => Some(self.why_not(&error)),
            Ok(found) if self.tree.kept(found.node).is_none() => {
                let node = self.tree.node(found.node);
                Some(format!("a {} of {} bytes that is not read", node.kind.as_str(), node.size))
            }
            Ok(_) => None,
        };
        self.expect(check, problem.is_none(), path, || problem.unwrap_or_default())
    }

    fn both_grammars(&mut self, path: &str) {
        let Some(bytes) = self.content(path) else { return };
        let ours = grammar::wsl(bytes);
        if !self.expect(&CONFIG_SYNTAX, ours.stop.is_none(), path, || {
            let stop = ours.stop.as_ref();
            stop.map(|stop| format!("line {}: {}", stop.line, stop.what)).unwrap_or_default()
        }) {
            return;
        }
        let differences = grammar::differences(&ours, &grammar::configparser(bytes));
        self.expect(&CONFIG_AMBIGUOUS, differences.is_empty(), path, || {
            let first = &differences[0];
            let more = match differences.len() - 1 {
                0 => String::new(),
                more => format!(", and {more} more"),
            };
            format!("line {}: {}{more}", first.line, first.what)
        });
    }

    fn value(&mut self, check: &'static Check, path: &str, setting: &grammar::Setting) {
        let (key, value) = (setting.key.as_str(), setting.value.as_str());
        let expected = if BOOLEANS.contains(&key) {
            boolean(value).is_none().then_some("true, false, 1 or 0")
        } else if INTEGERS.contains(&key) {
            integer(value).is_none().then_some("a number")
        } else if key == "automount.cgroups" {
            let known = ["v1", "v2"].iter().any(|word| value.eq_ignore_ascii_case(word));
            (!known).then_some("v1 or v2")
        } else {
            None
        };
        self.expect(check, expected.is_none(), path, || {
            let expected = expected.unwrap_or_default();
            format!("line {}: {key} is {value:?}, not {expected}", setting.line)
        });
    }

    /// The content of a file that a setting names, under the conditions that WSL has for it.
    fn named_file(&mut self, check: &'static Check, key: &str, path: &str) -> Option<&[u8]> {
        let found = self.tree.resolve(path.as_bytes());
        let id = found.as_ref().ok().map(|found| found.node);
        let problem = match found {
            _ if path.contains("..") => Some("a path with '..', which WSL refuses".to_owned()),
            Err(error) => Some(self.why_not(&error)),
            Ok(found) => {
                let node = self.tree.node(found.node);
                match node.kind {
                    Kind::File(_) if node.size > MAX_CONTENT => {
                        Some(format!("{} bytes, more than 1 MiB", node.size))
                    }
                    Kind::File(_) => None,
                    _ => Some(format!("a {}, not a file", node.kind.as_str())),
                }
            }
        };
        self.expect(check, problem.is_none(), DISTRIBUTION_CONF_PATH, || {
            format!("{key} {path:?}: {}", problem.as_deref().unwrap_or_default())
        });
        if problem.is_some() { None } else { id.and_then(|id| self.tree.kept(id)) }
    }

    fn location(&mut self, check: &'static Check, key: &str, path: &str, folders: &[&str]) {
        let holds = folders.iter().any(|folder| path.starts_with(folder));
        self.expect(check, holds, path, || {
            format!("{key} is {path}, not under {}", folders.join(" or "))
        });
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=256).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.eq_ignore_ascii_case("legacy")
}

fn profile_defect(bytes: &[u8]) -> Option<String> {
    match serde_json::from_slice::<serde_json::Value>(bytes) {
        Err(error) => Some(format!("not JSON: {error}")),
        Ok(value) => match value.as_object().map(|object| object.get("profiles")) {
            None => Some("JSON, but not an object".to_owned()),
            Some(None) => Some("no key profiles".to_owned()),
            Some(Some(profiles)) if !profiles.is_array() => {
                Some("profiles is not an array".to_owned())
            }
            Some(Some(_)) => None,
        },
    }
}
