//! What belongs to one machine, or to the one where the image was made, and is now in it.

use super::{
    Judge, MACHINE_ID, PRIVATE_KEY, Place, RANDOM_SEED, SHADOW_MODE, SHELL_HISTORY, SSH_HOST_KEY,
};
use crate::{
    tree::{Kind, NodeId, Tree, display},
    volume::{Family, Volume},
};

/// How many files are searched for keys.
const MAX_SEARCHED: usize = 4096;

/// A key is a small file, and says so in its first lines.
const MAX_KEY: u64 = 64 << 10;
const KEY_HEAD: u64 = 1024;

/// Where people and services keep their keys.
const KEY_FOLDERS: [&[u8]; 4] = [b"/etc", b"/home", b"/root", b"/var"];

/// Names of keys in the store, which everybody on the machine can read as well.
const KEY_NAMES: [&[u8]; 6] = [
    b"id_dsa",
    b"id_ecdsa",
    b"id_ed25519",
    b"id_rsa",
    b"ssh_host_ed25519_key",
    b"ssh_host_rsa_key",
];

const HISTORIES: [&[u8]; 7] = [
    b".bash_history",
    b".zsh_history",
    b".ash_history",
    b".python_history",
    b".sqlite_history",
    b".lesshst",
    b"fish_history",
];

impl<'a> Judge<'a, '_> {
    pub(super) fn leaks(&mut self) {
        let volumes: Vec<Place<'a>> = self.disk.volumes().collect();
        for (_, volume) in volumes {
            if volume.family == Family::Fat {
                self.absent(&RANDOM_SEED, volume, "/loader/random-seed");
                continue;
            }
            self.host_keys(volume);
            self.machine_id(volume);
            self.absent(&RANDOM_SEED, volume, "/var/lib/systemd/random-seed");
            self.shadow(volume);
            self.histories(volume);
            self.private_keys(volume);
        }
    }

    /// A file that every machine makes for itself.
    fn absent(&mut self, check: &'static image_model::Check, volume: &'a Volume, path: &str) {
        let id = volume.find_file(path.as_bytes());
        self.expect(
            check,
            id.is_none(),
            || volume.tree.location(id.unwrap_or(Tree::ROOT)),
            || "in the image, and so the same on all machines".to_owned(),
        );
    }

    fn host_keys(&mut self, volume: &'a Volume) {
        let folder = volume.find(b"/etc/ssh");
        let keys: Vec<NodeId> = folder
            .into_iter()
            .flat_map(|folder| volume.tree.children(folder))
            .filter(|(name, _)| name.starts_with(b"ssh_host_") && name.ends_with(b"_key"))
            .map(|(_, id)| id)
            .collect();
        self.expect(
            &SSH_HOST_KEY,
            keys.is_empty(),
            || volume.tree.location(keys[0]),
            || {
                let names: Vec<String> =
                    keys.iter().map(|id| display(&volume.tree.path(*id))).collect();
                format!("{}: everybody who has the image has it", names.join(", "))
            },
        );
    }

    fn machine_id(&mut self, volume: &'a Volume) {
        for path in ["/etc/machine-id", "/var/lib/dbus/machine-id"] {
            let id = volume.find_file(path.as_bytes());
            let content = id.and_then(|id| volume.head(id, 64).ok()).unwrap_or_default();
            let text = display(content.trim_ascii());
            let empty = matches!(text.as_str(), "" | "uninitialized");
            let at = || volume.tree.location(id.unwrap_or(Tree::ROOT));
            self.expect(&MACHINE_ID, empty, at, || {
                format!("{text}, not empty: the same on all machines")
            });
        }
    }

    fn shadow(&mut self, volume: &'a Volume) {
        for path in ["/etc/shadow", "/etc/gshadow", "/etc/shadow-", "/etc/gshadow-"] {
            let Some(id) = volume.find_file(path.as_bytes()) else { continue };
            let mode = volume.tree.node(id).mode;
            self.expect(
                &SHADOW_MODE,
                mode & 0o007 == 0,
                || volume.tree.location(id),
                || format!("mode {mode:04o}: everybody can read or write it, not only root"),
            );
        }
        self.expect(&SHADOW_MODE, true, || volume.at.clone(), String::new);
    }

    fn histories(&mut self, volume: &'a Volume) {
        let mut found = Vec::new();
        for folder in [&b"/root"[..], b"/home"] {
            let Some(folder) = volume.tree.at(folder) else { continue };
            let files = volume.tree.below(folder).take(MAX_SEARCHED * 16).filter(|id| {
                let node = volume.tree.node(*id);
                let path = volume.tree.path(*id);
                let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
                matches!(node.kind, Kind::File(_)) && node.size > 0 && HISTORIES.contains(&name)
            });
            found.extend(files);
        }
        self.expect(
            &SHELL_HISTORY,
            found.is_empty(),
            || volume.tree.location(found[0]),
            || {
                let size = volume.tree.node(found[0]).size;
                format!("{size} bytes of what somebody typed")
            },
        );
    }

    fn private_keys(&mut self, volume: &'a Volume) {
        let tree = &volume.tree;
        let own = KEY_FOLDERS.iter().filter_map(|path| tree.at(path));
        let own = own.flat_map(|folder| tree.below(folder));
        let store = tree.at(b"/nix/store").into_iter().flat_map(|store| tree.below(store));
        let named = store.filter(|id| {
            let path = tree.path(*id);
            let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            KEY_NAMES.contains(&name)
        });
        let small = |id: &NodeId| {
            let node = tree.node(*id);
            matches!(node.kind, Kind::File(_)) && (1..=MAX_KEY).contains(&node.size)
        };
        let mut held = true;
        for id in own.chain(named).filter(small).take(MAX_SEARCHED) {
            let head = volume.head(id, KEY_HEAD).unwrap_or_default();
            let is_key = head.windows(17).any(|window| window == b"PRIVATE KEY-----\n")
                && head.windows(11).any(|window| window == b"-----BEGIN ");
            held &= self.expect(
                &PRIVATE_KEY,
                !is_key,
                || tree.location(id),
                || "a private key: everybody who has the image has it".to_owned(),
            );
        }
        if held {
            self.expect(&PRIVATE_KEY, true, || volume.at.clone(), String::new);
        }
    }
}
