//! The units of systemd that an image starts.

use std::collections::BTreeSet;

use super::{DISCOURAGED_UNIT, Judge};
use crate::tree::{Kind, NodeId, Unresolved, display};

const DISCOURAGED: [&str; 15] = [
    "NetworkManager-wait-online.service",
    "NetworkManager.service",
    "console-getty.service",
    "hypervkvpd.service",
    "networking.service",
    "systemd-networkd-wait-online.service",
    "systemd-networkd.service",
    "systemd-resolved.service",
    "systemd-tmpfiles-clean.service",
    "systemd-tmpfiles-clean.timer",
    "systemd-tmpfiles-setup-dev-early.service",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-tmpfiles-setup.service",
    "systemd-vconsole-setup.service",
    "tmp.mount",
];

/// Where systemd looks for units. systemd.unit(5).
const FOLDERS: [&str; 4] =
    ["/etc/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd", "/lib/systemd"];

impl Judge<'_, '_> {
    pub(super) fn units(&mut self) {
        let mut seen = BTreeSet::new();
        for scope in ["system", "user"] {
            for folder in FOLDERS {
                let Some(id) = self.find(&format!("{folder}/{scope}")) else { continue };
                // /lib is often a symlink to /usr/lib.
                if seen.insert(id) {
                    self.unit_folder(id, scope);
                }
            }
        }
    }

    fn unit_folder(&mut self, folder: NodeId, scope: &str) {
        let tree = self.tree;
        let lists = tree
            .children(folder)
            .filter(|(name, _)| name.ends_with(b".wants") || name.ends_with(b".requires"));
        for (list, id) in lists {
            let Ok(found) = tree.follow(id) else { continue };
            for (name, id) in tree.children(found.node) {
                let discouraged = self.is_discouraged(name)
                    && !self.is_masked(id)
                    && !tree
                        .lookup(&[format!("/etc/systemd/{scope}/").as_bytes(), name].concat())
                        .is_ok_and(|found| self.is_masked(found.node));
                self.out.expect(&DISCOURAGED_UNIT, !discouraged, || {
                    let (name, list) = (display(name), display(list));
                    (tree.location(id), format!("{list} starts the {scope} unit {name}"))
                });
            }
        }
    }

    fn is_discouraged(&self, unit: &[u8]) -> bool {
        let needed = self.nixos && unit.starts_with(b"systemd-tmpfiles-");
        !needed && DISCOURAGED.iter().any(|name| name.as_bytes() == unit)
    }

    /// A unit that is `/dev/null`, or an empty file, is masked.
    fn is_masked(&self, id: NodeId) -> bool {
        match self.tree.follow(id) {
            Ok(found) => {
                let node = self.tree.node(found.node);
                self.tree.path(found.node) == b"/dev/null"
                    || matches!(node.kind, Kind::File(_)) && node.size == 0
            }
            Err(Unresolved::NotFound { path, .. }) => path == b"/dev/null",
            Err(_) => false,
        }
    }
}
