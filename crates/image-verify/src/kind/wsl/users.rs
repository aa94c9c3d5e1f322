//! `/etc/passwd`, `/etc/shadow`, `/etc/group`, and who logs in.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    DEFAULT_UID_FREE, GROUP, Judge, LOGIN_SHELL, PASSWD, PASSWD_MODE, PASSWD_ROOT, PASSWD_UID,
    PASSWORD_EMPTY, PASSWORD_HASH, SERVICE_SHELL, SHADOW, SHADOW_MODE, USER_DEFAULT, USER_HOME,
    WSL_CONF, files::Permissions, grammar::integer,
};
use crate::tree::display;

const PASSWD_PATH: &str = "/etc/passwd";
const SHADOW_PATH: &str = "/etc/shadow";
const GROUP_PATH: &str = "/etc/group";

/// The ids that distributions give to people: `UID_MIN` to below `nobody`, `login.defs`.
const PEOPLE: std::ops::Range<u32> = 1000..60_000;

/// Shells of those who are no people, as Nix's build users, whose ids are in the range as well.
const NO_LOGIN: [&[u8]; 2] = [b"nologin", b"false"];

/// A line of `/etc/passwd`. passwd(5).
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) name: Vec<u8>,
    pub(super) password: Vec<u8>,
    pub(super) uid: u32,
    pub(super) gid: Vec<u8>,
    pub(super) home: Vec<u8>,
    shell: Vec<u8>,
    pub(super) line: usize,
}

impl User {
    fn parse(line: usize, text: &[u8]) -> Result<Self, String> {
        let fields: Vec<&[u8]> = text.split(|byte| *byte == b':').collect();
        let [name, password, uid, gid, _, home, shell] = fields[..] else {
            return Err(format!("line {line} has {} fields, not 7", fields.len()));
        };
        let number = std::str::from_utf8(uid).ok().and_then(|uid| uid.parse().ok());
        let uid = number
            .ok_or_else(|| format!("line {line}: user id {:?} is no number", display(uid)))?;
        let [name, password, gid, home, shell] =
            [name, password, gid, home, shell].map(<[u8]>::to_vec);
        Ok(Self { name, password, uid, gid, home, shell, line })
    }

    /// What WSL starts for the user.
    pub(super) fn shell(&self) -> &[u8] {
        if self.shell.is_empty() { b"/bin/sh" } else { &self.shell }
    }
}

impl Judge<'_, '_> {
    pub(super) fn users(&mut self) {
        self.passwd();
        self.shadow();
        self.groups();
        self.default_user();
        self.homes();
        self.shells();
    }

    fn passwd(&mut self) {
        let content = self.content(PASSWD_PATH);
        if !self.expect(&PASSWD, content.is_some(), PASSWD_PATH, || {
            "cannot be read: not there, or no regular file below 1 MiB".to_owned()
        }) {
            return;
        }
        let want = Permissions { modes: &[0o644, 0o664], any_group: false, follows: false };
        self.permissions(&PASSWD_MODE, PASSWD_PATH, &want);
        let mut seen: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        for (index, text) in lines(content.unwrap_or_default()).enumerate() {
            let user = User::parse(index + 1, text);
            self.expect(&PASSWD, user.is_ok(), PASSWD_PATH, || {
                user.as_ref().err().cloned().unwrap_or_default()
            });
            let Ok(user) = user else { continue };
            let other = seen.get(&user.uid).cloned();
            self.expect(&PASSWD_UID, other.is_none(), PASSWD_PATH, || {
                let (name, other) = (display(&user.name), display(&other.unwrap_or_default()));
                format!("line {}: {name} has the user id {} of {other}", user.line, user.uid)
            });
            seen.entry(user.uid).or_insert_with(|| user.name.clone());
            self.users.push(user);
        }
        let root = seen.get(&0);
        self.expect(&PASSWD_ROOT, root.is_some_and(|name| name == b"root"), PASSWD_PATH, || {
            root.map_or("no user with id 0".to_owned(), |name| {
                format!("the user with id 0 is {}, not root", display(name))
            })
        });
        let uid = self.distribution.value("oobe.defaultuid").and_then(integer);
        if let Some(uid) = uid.and_then(|uid| u32::try_from(uid).ok()) {
            let taken = seen.get(&uid);
            self.expect(&DEFAULT_UID_FREE, taken.is_none(), PASSWD_PATH, || {
                format!("user id {uid} is {} already", display(taken.map_or(b"", Vec::as_slice)))
            });
        }
    }

    fn shadow(&mut self) {
        let content = self.content(SHADOW_PATH);
        self.expect(&SHADOW, content.is_some(), SHADOW_PATH, || {
            "cannot be read: not there, or no regular file below 1 MiB".to_owned()
        });
        let want = Permissions { modes: &[0o640, 0o600, 0], any_group: true, follows: false };
        self.permissions(&SHADOW_MODE, SHADOW_PATH, &want);
        for (index, text) in lines(content.unwrap_or_default()).enumerate() {
            let mut fields = text.split(|byte| *byte == b':');
            let (name, password) = (fields.next(), fields.next().unwrap_or_default());
            self.expect(&PASSWORD_EMPTY, !password.is_empty(), SHADOW_PATH, || {
                let name = display(name.unwrap_or_default());
                format!("line {}: {name} needs no password", index + 1)
            });
            let locked = matches!(password.first(), None | Some(b'!' | b'*'));
            self.expect(&PASSWORD_HASH, locked, SHADOW_PATH, || {
                let name = display(name.unwrap_or_default());
                format!("line {}: {name} has a password", index + 1)
            });
        }
        for user in self.users.clone() {
            self.expect(&PASSWORD_EMPTY, !user.password.is_empty(), PASSWD_PATH, || {
                format!("line {}: {} needs no password", user.line, display(&user.name))
            });
            let locked = matches!(user.password.as_slice(), b"" | b"x")
                || matches!(user.password.first(), Some(b'!' | b'*'));
            self.expect(&PASSWORD_HASH, locked, PASSWD_PATH, || {
                format!("line {}: {} has a password", user.line, display(&user.name))
            });
        }
    }

    /// root, `user.default` and people who may log in.
    fn logins(&self) -> Vec<User> {
        let default = self.conf.value("user.default").unwrap_or_default().as_bytes();
        let may = |user: &&User| {
            let shell = user.shell().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            user.uid == 0
                || user.name == default
                || PEOPLE.contains(&user.uid) && !NO_LOGIN.contains(&shell)
        };
        self.users.iter().filter(may).cloned().collect()
    }

    fn groups(&mut self) {
        let Some(content) = self.content(GROUP_PATH) else {
            self.expect(&GROUP, false, GROUP_PATH, || {
                "cannot be read: not there, or no regular file below 1 MiB".to_owned()
            });
            return;
        };
        let ids: BTreeSet<&[u8]> =
            lines(content).filter_map(|line| line.split(|byte| *byte == b':').nth(2)).collect();
        for user in self.logins() {
            self.expect(&GROUP, ids.contains(user.gid.as_slice()), GROUP_PATH, || {
                format!(
                    "no group {}, which is the one of {}",
                    display(&user.gid),
                    display(&user.name)
                )
            });
        }
    }

    fn default_user(&mut self) {
        let Some(name) = self.conf.value("user.default").map(str::to_owned) else { return };
        let known = self.users.iter().any(|user| user.name == name.as_bytes());
        self.expect(&USER_DEFAULT, known, WSL_CONF, || {
            format!("user.default is {name}, who is not in {PASSWD_PATH}")
        });
    }

    fn homes(&mut self) {
        for user in self.logins() {
            let path = display(&user.home);
            let problem = match self.tree.resolve(&user.home) {
                Err(error) => Some(self.why_not(&error)),
                Ok(found) if !self.is_directory(found.node) => Some("no directory".to_owned()),
                Ok(found) => {
                    let owner = self.tree.node(found.node).uid;
                    (owner != u64::from(user.uid))
                        .then(|| format!("belongs to {owner}, not to {}", user.uid))
                }
            };
            self.expect(&USER_HOME, problem.is_none(), &path, || {
                format!("home of {}: {}", display(&user.name), problem.unwrap_or_default())
            });
        }
    }

    fn shells(&mut self) {
        let logins: BTreeSet<u32> = self.logins().iter().map(|user| user.uid).collect();
        for user in self.users.clone() {
            let check = if logins.contains(&user.uid) { &LOGIN_SHELL } else { &SERVICE_SHELL };
            let problem = self.not_executable(user.shell());
            self.expect(check, problem.is_none(), PASSWD_PATH, || {
                let (line, name, shell) = (user.line, display(&user.name), display(user.shell()));
                format!("line {line}: shell {shell} of {name}: {}", problem.unwrap_or_default())
            });
        }
    }

    /// The shells that somebody logs in with.
    pub(super) fn login_shells(&self) -> BTreeSet<Vec<u8>> {
        self.logins().iter().map(|user| user.shell().to_vec()).collect()
    }
}

/// Lines as Python's `readlines` gives them: nothing after the last newline.
fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    let content = content.strip_suffix(b"\n").unwrap_or(content);
    content.split(|byte| *byte == b'\n').take(if content.is_empty() { 0 } else { usize::MAX })
}
