//! How a program that insists on root gets it: a decision over facts, without effects.
//!
//! NixOS-WSL's tarball builder gives files to users and changes its root, so it wants to be root.
//! Root of a user namespace that maps enough ids is root enough; `sudo` is the last way, and only
//! taken where the user said so.

use std::fmt;

/// Ids that a NixOS system uses: up to 65534, which is `nobody`, and the next one, as whole ranges
/// are handed out.
pub const NEEDED_IDS: u64 = 1 << 16;

/// The first util-linux whose `unshare` has `--map-auto`.
pub const UNSHARE_VERSION: (u32, u32) = (2, 38);

/// A way to be root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Run it: we are root.
    Direct,
    /// Run it as root of a user namespace with mapped ids.
    UserNamespace,
    /// Run it with `sudo`, which may ask for a password.
    Sudo,
}

impl Route {
    /// The word for the manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::UserNamespace => "user-namespace",
            Self::Sudo => "sudo",
        }
    }
}

/// What is known about the machine and the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Name of the user, or the number where it has no name.
    pub user: String,
    /// True for root, also of a user namespace.
    pub is_root: bool,
    /// How many ids are there for us: 2^32 - 1, except in a user namespace.
    pub own_ids: u64,
    /// The version of `unshare`, if it is there and says one.
    pub unshare: Option<(u32, u32)>,
    /// The programs that map ids, and are not in `PATH`.
    pub absent_mappers: Vec<&'static str>,
    /// How many ids `/etc/subuid` gives to the user.
    pub subuids: u64,
    /// How many ids `/etc/subgid` gives to the user.
    pub subgids: u64,
    /// A kernel setting that keeps users from making namespaces, and the value that lets them.
    pub forbidden_by: Option<(&'static str, &'static str)>,
    /// `--sudo` was given.
    pub sudo_allowed: bool,
    /// `sudo` is in `PATH`.
    pub sudo_present: bool,
}

/// Something that a way needs and does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// What is missing.
    pub what: String,
    /// The command that mends it, where one does.
    pub mend: Option<String>,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.mend.iter().try_for_each(|mend| write!(f, " ({mend})"))
    }
}

/// No way is open. Every way, and what it lacks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the tarball builder must be root, and there is no way to be: (1) directly: {}; (2) in a user \
     namespace: {}; (3) with sudo: {}",
    joined(direct),
    joined(user_namespace),
    joined(sudo)
)]
pub struct NoRoute {
    /// What running it directly lacks.
    pub direct: Vec<Lack>,
    /// What a user namespace lacks.
    pub user_namespace: Vec<Lack>,
    /// What `sudo` lacks.
    pub sudo: Vec<Lack>,
}

fn joined(lacks: &[Lack]) -> String {
    lacks.iter().map(Lack::to_string).collect::<Vec<_>>().join(", ")
}

/// The first way that lacks nothing.
pub fn choose(facts: &Facts) -> Result<Route, NoRoute> {
    let (direct, user_namespace, sudo) = (direct(facts), user_namespace(facts), sudo(facts));
    if direct.is_empty() {
        Ok(Route::Direct)
    } else if user_namespace.is_empty() {
        Ok(Route::UserNamespace)
    } else if sudo.is_empty() {
        Ok(Route::Sudo)
    } else {
        Err(NoRoute { direct, user_namespace, sudo })
    }
}

fn lack(what: impl Into<String>, mend: impl Into<String>) -> Lack {
    Lack { what: what.into(), mend: Some(mend.into()) }
}

fn direct(facts: &Facts) -> Vec<Lack> {
    let what = if !facts.is_root {
        format!("{} is not root", facts.user)
    } else if facts.own_ids < NEEDED_IDS {
        format!("this root has {} ids, and {NEEDED_IDS} are needed", facts.own_ids)
    } else {
        return Vec::new();
    };
    vec![Lack { what, mend: None }]
}

fn user_namespace(facts: &Facts) -> Vec<Lack> {
    let mut lacks = Vec::new();
    if facts.is_root {
        lacks.push(Lack { what: "root has no ids to map".to_owned(), mend: None });
        return lacks;
    }
    let (major, minor) = UNSHARE_VERSION;
    match facts.unshare {
        Some(version) if version >= UNSHARE_VERSION => {}
        Some((is_major, is_minor)) => lacks.push(Lack {
            what: format!("unshare is of util-linux {is_major}.{is_minor}, not {major}.{minor}"),
            mend: None,
        }),
        None => lacks.push(lack("unshare is not in PATH", "sudo apt-get install util-linux")),
    }
    if !facts.absent_mappers.is_empty() {
        let what = format!("not in PATH: {}", facts.absent_mappers.join(", "));
        lacks.push(lack(what, "sudo apt-get install uidmap"));
    }
    let user = &facts.user;
    for (file, ids, flag) in [
        ("/etc/subuid", facts.subuids, "--add-subuids"),
        ("/etc/subgid", facts.subgids, "--add-subgids"),
    ] {
        if ids < NEEDED_IDS {
            let what = format!("{file} gives {ids} ids to {user}, not {NEEDED_IDS}");
            lacks.push(lack(what, format!("sudo usermod {flag} 100000-165535 {user}")));
        }
    }
    if let Some((setting, value)) = facts.forbidden_by {
        let what = format!("{setting} forbids it");
        lacks.push(lack(what, format!("sudo sysctl -w {setting}={value}")));
    }
    lacks
}

fn sudo(facts: &Facts) -> Vec<Lack> {
    let mut lacks = Vec::new();
    if !facts.sudo_allowed {
        lacks.push(Lack { what: "--sudo was not given".to_owned(), mend: None });
    }
    if !facts.sudo_present {
        lacks.push(Lack { what: "sudo is not in PATH".to_owned(), mend: None });
    }
    lacks
}

/// How many ids `text`, which is `/etc/subuid` or `/etc/subgid`, gives to a user: those of the
/// first line with its name or number, which is the one that `unshare --map-auto` takes.
/// subuid(5).
pub fn subordinate_ids(text: &str, user: &str, id: u32) -> u64 {
    let id = id.to_string();
    text.lines()
        .map(|line| line.trim().split(':').collect::<Vec<_>>())
        .find(|fields| matches!(fields[..], [name, _, _] if name == user || name == id))
        .and_then(|fields| fields[2].parse().ok())
        .unwrap_or(0)
}

/// How many ids `text`, which is `/proc/self/uid_map`, maps. user_namespaces(7).
pub fn mapped_ids(text: &str) -> u64 {
    text.lines()
        .filter_map(|line| line.split_ascii_whitespace().nth(2)?.parse::<u64>().ok())
        .fold(0, u64::saturating_add)
}

/// `(2, 38)` of `unshare from util-linux 2.38.1`.
pub fn util_linux_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.lines().next()?.rsplit(' ').next()?.split(['.', '-']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> Facts {
        Facts {
            user: "ann".to_owned(),
            is_root: false,
            own_ids: u64::from(u32::MAX),
            unshare: Some((2, 38)),
            absent_mappers: Vec::new(),
            subuids: NEEDED_IDS,
            subgids: NEEDED_IDS,
            forbidden_by: None,
            sudo_allowed: false,
            sudo_present: true,
        }
    }

    #[test]
    fn ways_are_tried_in_order() {
        assert_eq!(choose(&Facts { is_root: true, ..user() }), Ok(Route::Direct));
        assert_eq!(choose(&Facts { sudo_allowed: true, ..user() }), Ok(Route::UserNamespace));
        assert_eq!(choose(&Facts { sudo_allowed: true, subuids: 0, ..user() }), Ok(Route::Sudo));
    }

    #[test]
    fn each_lack_of_a_namespace_is_named_with_what_mends_it() {
        let lacks = |facts: Facts| choose(&facts).unwrap_err().user_namespace;
        let cases = [
            (Facts { unshare: None, ..user() }, "sudo apt-get install util-linux"),
            (Facts { absent_mappers: vec!["newuidmap"], ..user() }, "sudo apt-get install uidmap"),
            (Facts { subuids: 10, ..user() }, "sudo usermod --add-subuids 100000-165535 ann"),
            (Facts { subgids: 0, ..user() }, "sudo usermod --add-subgids 100000-165535 ann"),
            (
                Facts { forbidden_by: Some(("user.max_user_namespaces", "15000")), ..user() },
                "sudo sysctl -w user.max_user_namespaces=15000",
            ),
        ];
        for (facts, mend) in cases {
            let lacks = lacks(facts);
            assert_eq!(lacks.len(), 1, "{lacks:?}");
            assert_eq!(lacks[0].mend.as_deref(), Some(mend));
        }
        assert_eq!(lacks(Facts { unshare: Some((2, 36)), ..user() }).len(), 1);
    }

    #[test]
    fn the_error_names_three_ways_and_what_each_lacks() {
        let facts = Facts { absent_mappers: vec!["newuidmap", "newgidmap"], ..user() };
        let no_sudo = Facts { sudo_present: false, ..facts };
        assert_eq!(
            choose(&no_sudo).unwrap_err().to_string(),
            "the tarball builder must be root, and there is no way to be: (1) directly: ann is not \
             root; (2) in a user namespace: not in PATH: newuidmap, newgidmap (sudo apt-get install \
             uidmap); (3) with sudo: --sudo was not given, sudo is not in PATH"
        );
        let small = Facts { is_root: true, own_ids: 1, ..user() };
        let error = choose(&small).unwrap_err();
        assert_eq!(error.direct[0].what, "this root has 1 ids, and 65536 are needed");
    }

    #[test]
    fn subordinate_ids_are_those_of_the_first_line() {
        let text = "# users\nbob:1:5\nann:100000:65536\nann:200000:7\n";
        assert_eq!(subordinate_ids(text, "ann", 1000), 65536);
        assert_eq!(subordinate_ids("1000:100000:9\n", "ann", 1000), 9);
        for nothing in ["", "ann\n", "ann:1:many\n", "anna:1:5\n"] {
            assert_eq!(subordinate_ids(nothing, "ann", 1000), 0, "{nothing:?}");
        }
    }

    #[test]
    fn maps_and_versions_are_read() {
        assert_eq!(mapped_ids("         0          0 4294967295\n"), u64::from(u32::MAX));
        assert_eq!(mapped_ids("0 1000 1\n1 100000 65535\n"), 65536);
        assert_eq!(util_linux_version("unshare from util-linux 2.38.1\n"), Some((2, 38)));
        assert_eq!(util_linux_version("unshare from util-linux 2.41-rc1\n"), Some((2, 41)));
        assert_eq!(util_linux_version("BusyBox multi-call binary\n"), None);
    }
}
