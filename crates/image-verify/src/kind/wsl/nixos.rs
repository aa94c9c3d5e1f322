//! What is different, and what more is needed, in a NixOS image.

use super::{
    Judge, NIXOS_AUTOMOUNT, NIXOS_CLOSURE, NIXOS_DATABASE, NIXOS_GENERATED, NIXOS_HOSTNAME,
    NIXOS_INTERPRETER, NIXOS_MARKER, NIXOS_PROGRAMS, NIXOS_STORE_MTIME, NIXOS_STORE_OWNER,
    NIXOS_SYSTEM, NIXOS_USER, WSL_CONF, layout::os_release_value,
};
use crate::tree::{Kind, Tree, Unresolved, display};

const STORE: &[u8] = b"/nix/store";
const SYSTEM: &str = "/nix/var/nix/profiles/system";

/// True for an image with a `/nix/store` and either a system profile or `ID=nixos`.
pub(super) fn is_nixos(tree: &Tree) -> bool {
    let store = tree.at(STORE).is_some_and(|id| matches!(tree.node(id).kind, Kind::Directory(_)));
    let os_release = tree.resolve(b"/etc/os-release").ok().and_then(|found| tree.kept(found.node));
    let named = os_release.and_then(|content| os_release_value(content, "ID")) == Some(b"nixos");
    store && (named || tree.lookup(SYSTEM.as_bytes()).is_ok())
}

impl Judge<'_, '_> {
    pub(super) fn nixos(&mut self) {
        for path in ["/bin/sh", "/bin/bash", "/bin/mount", "/bin/login", "/sbin/init"] {
            let problem = self.not_executable(path.as_bytes());
            self.expect(&NIXOS_PROGRAMS, problem.is_none(), path, || problem.unwrap_or_default());
        }
        // It leads to /init, which WSL makes.
        let wslpath = self.tree.lookup(b"/bin/wslpath").is_ok();
        self.expect(&NIXOS_PROGRAMS, wslpath, "/bin/wslpath", || "is not in the image".to_owned());
        for name in ["activate", "systemd/lib/systemd/systemd"] {
            let path = format!("{SYSTEM}/{name}");
            let problem = self.not_executable(path.as_bytes());
            self.expect(&NIXOS_SYSTEM, problem.is_none(), &path, || problem.unwrap_or_default());
        }
        for (check, path) in
            [(&NIXOS_MARKER, "/etc/NIXOS"), (&NIXOS_DATABASE, "/nix/var/nix/db/db.sqlite")]
        {
            let found = self.find(path).is_some();
            self.expect(check, found, path, || "is not in the image".to_owned());
        }
        self.store();
        self.closure();
        self.interpreters();
        self.nixos_settings();
    }

    fn store(&mut self) {
        let tree = self.tree;
        let Some(store) = tree.at(STORE) else { return };
        for id in tree.below(store) {
            let node = tree.node(id);
            let is_link = matches!(node.kind, Kind::Symlink(_));
            let owned = node.uid == 0 && (is_link || node.mode & 0o022 == 0);
            self.out.expect(&NIXOS_STORE_OWNER, owned, || {
                let message = format!(
                    "mode {:04o}, owner {}: not only root may write it",
                    node.mode, node.uid
                );
                (tree.location(id), message)
            });
            let (mtime, told) = (node.mtime, node.offset.is_some());
            self.out.expect(&NIXOS_STORE_MTIME, mtime == 1 || !told, || {
                (tree.location(id), format!("mtime {mtime}, not 1"))
            });
        }
    }

    /// A symlink in the store must lead to a store object that is there: packages have links of
    /// their own that lead nowhere inside an object. One outside must lead all the way.
    fn closure(&mut self) {
        let tree = self.tree;
        for id in tree.below(Tree::ROOT) {
            let Kind::Symlink(target) = &tree.node(id).kind else { continue };
            let missing = if self.in_store(id) {
                object(target).filter(|path| tree.at(path).is_none()).map(<[u8]>::to_vec)
            } else {
                match tree.follow(id) {
                    Err(Unresolved::NotFound { path, .. }) if object(&path).is_some() => Some(path),
                    _ => None,
                }
            };
            self.out.expect(&NIXOS_CLOSURE, missing.is_none(), || {
                let missing = display(&missing.unwrap_or_default());
                (tree.location(id), format!("leads to {missing}, which is not in the image"))
            });
        }
    }

    /// The loader of a program in the store lies in the store as well, in another object.
    fn interpreters(&mut self) {
        let tree = self.tree;
        for (path, id) in tree.interpreters() {
            // Programs that are never run, as those of an initrd's builder, have their
            // references overwritten with one letter.
            let scrubbed = path.starts_with(b"/nix/store/eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee-");
            let object = object(path).filter(|_| !scrubbed);
            let found = object.is_none_or(|object| tree.at(object).is_some());
            self.out.expect(&NIXOS_INTERPRETER, found, || {
                (
                    tree.location(id),
                    format!("loaded by {}, which is not in the image", display(path)),
                )
            });
        }
    }

    fn nixos_settings(&mut self) {
        for key in ["automount.ldconfig", "automount.mountfstab"] {
            let off = !self.flag(key, true);
            self.expect(&NIXOS_AUTOMOUNT, off, WSL_CONF, || format!("{key} is not false"));
        }
        let hostname = self.conf.value("network.hostname").unwrap_or_default().to_owned();
        if let Some(id) = self.find("/etc/hostname").filter(|id| self.in_store(*id)) {
            let content = self.tree.kept(id).unwrap_or_default().trim_ascii();
            self.expect(&NIXOS_HOSTNAME, content == hostname.as_bytes(), "/etc/hostname", || {
                let content = display(content);
                format!("{content} in the store, and network.hostname is {hostname:?}")
            });
        }
        let hosts = self.find("/etc/hosts").is_some_and(|id| self.in_store(id));
        let generated = self.flag("network.generatehosts", true);
        self.expect(&NIXOS_GENERATED, !(hosts && generated), "/etc/hosts", || {
            "in the store, and WSL writes it as well".to_owned()
        });
        let name = self.conf.value("user.default").map(str::to_owned);
        let found = name.as_ref().and_then(|name| {
            self.users.iter().find(|user| user.name == name.as_bytes()).map(|user| user.uid)
        });
        self.expect(&NIXOS_USER, found == Some(1000), WSL_CONF, || match (name, found) {
            (None, _) => "no user.default: people work as root".to_owned(),
            (Some(name), None) => format!("user.default {name} is not in /etc/passwd"),
            (Some(name), Some(uid)) => format!("user.default {name} has id {uid}, not 1000"),
        });
    }
}

/// The store object in a path: `/nix/store/<name>`.
fn object(path: &[u8]) -> Option<&[u8]> {
    let rest = path.strip_prefix(b"/nix/store/")?;
    let len = rest.iter().take_while(|byte| **byte != b'/').count();
    (len > 0).then(|| &path[..STORE.len() + 1 + len])
}
