//! What the first boot of NixOS needs: room, a root that can grow, and the list of what is in the
//! store. An image of something else has none of it, and is not asked.

use super::{
    FIRMWARE_FREE, FREE_BYTES, FREE_INODES, HASH_SEED, Judge, Place, REGISTRATION,
    REGISTRATION_COMPLETE, REGISTRATION_PRESENT, REGISTRATION_REFERENCES, RESIZE, ROOT_LAST,
};
use crate::{
    store,
    tree::{Kind, NodeId, display},
    volume::{Family, MAX_TEXT, Volume},
};

/// The first activation makes a link for each file in `/etc` (a small system has 300), `/var`,
/// homes, and the first units of systemd some hundred files more, all before the root is expanded.
/// An image with 68 free inodes fails (NixOS/nixpkgs#435489).
const MIN_FREE_INODES: u64 = 1000;

/// nixpkgs leaves 16 MiB, of which metadata take a part.
const MIN_FREE_BYTES: u64 = 8 << 20;

/// The part of the firmware partition that should be free: 1 in so many.
const FIRMWARE_FREE_PART: u64 = 16;

/// How many scripts are searched for the program that grows the root.
const MAX_SCRIPTS: usize = 16;

const STORE: &[u8] = b"/nix/store";

impl<'a> Judge<'a, '_> {
    pub(super) fn first_boot(&mut self) -> Vec<store::Judged> {
        self.firmware_room();
        let nixos = |place: &Place<'a>| {
            let (_, volume) = place;
            let store = volume.tree.at(STORE);
            volume.family == Family::Ext
                && store.is_some_and(|id| matches!(volume.tree.node(id).kind, Kind::Directory(_)))
        };
        let root = self.disk.volumes().find(nixos);
        if let Some(root) = root {
            self.room(root);
            self.growth(root);
        }
        self.stores(root)
    }

    /// Updates write the new firmware beside the old.
    fn firmware_room(&mut self) {
        let place = self.disk.volumes().find(|(_, volume)| {
            volume.family == Family::Fat && volume.find_file(b"/config.txt").is_some()
        });
        let Some((partition, volume)) = place else { return };
        let (free, all) = (volume.free_bytes, partition.region.len());
        let enough = free >= all / FIRMWARE_FREE_PART;
        self.expect(
            &FIRMWARE_FREE,
            enough,
            || volume.at.clone(),
            || format!("{free} bytes free of {all}, less than 1 in {FIRMWARE_FREE_PART}"),
        );
    }

    fn room(&mut self, (_, volume): Place<'a>) {
        let at = || volume.at.clone();
        if let Some(free) = volume.free_inodes {
            self.expect(&FREE_INODES, free >= MIN_FREE_INODES, at, || {
                format!("{free} inodes free; the first boot needs {MIN_FREE_INODES}")
            });
        }
        self.expect(&HASH_SEED, volume.random_seed.is_none(), at, || {
            let seed = volume.random_seed.as_deref().unwrap_or_default();
            format!("{seed} was drawn at random: another build has another")
        });
        let free = volume.free_bytes;
        self.expect(&FREE_BYTES, free >= MIN_FREE_BYTES, at, || {
            format!("{free} bytes free; the first boot needs {MIN_FREE_BYTES}")
        });
    }

    fn growth(&mut self, (partition, volume): Place<'a>) {
        let start = partition.region.start();
        let after: Vec<String> = self
            .disk
            .partitions
            .iter()
            .filter(|other| other.region.start() > start)
            .map(|other| other.name())
            .collect();
        self.expect(
            &ROOT_LAST,
            after.is_empty(),
            || volume.at.clone(),
            || format!("{} after the root, which cannot grow", after.join(", ")),
        );
        let toplevels = toplevels(volume);
        if toplevels.is_empty() {
            return;
        }
        let grows = toplevels.iter().any(|toplevel| grows(volume, toplevel));
        self.expect(
            &RESIZE,
            grows,
            || volume.at.clone(),
            || {
                let names: Vec<String> = toplevels.iter().map(|path| display(path)).collect();
                format!(
                    "no expand-root-partition.service, nor resize2fs in a script, in {}",
                    names.join(", ")
                )
            },
        );
    }

    /// Judges the store of the root, and those of others that have one.
    fn stores(&mut self, root: Option<Place<'a>>) -> Vec<store::Judged> {
        let mut stores = Vec::new();
        for (partition, volume) in self.disk.volumes() {
            let is_root = root.is_some_and(|(root, _)| root.number == partition.number);
            let checks = match is_root {
                true => store::Checks {
                    registration: &REGISTRATION,
                    complete: &REGISTRATION_COMPLETE,
                    present: &REGISTRATION_PRESENT,
                    references: &REGISTRATION_REFERENCES,
                    ..store::Checks::OWN
                },
                false => store::Checks::OWN,
            };
            let here = self.entries.iter().filter(|(number, _)| *number == partition.number);
            let entries: Vec<_> = here.map(|(_, entry)| entry.clone()).collect();
            let asked = store::Asked { checks, entries: &entries, ..self.promise.store };
            stores.extend(store::verify(volume, &asked, self.out));
        }
        stores
    }
}

/// The systems in a store.
fn toplevels(volume: &Volume) -> Vec<Vec<u8>> {
    let Some(store) = volume.tree.at(STORE) else { return Vec::new() };
    let systems = volume.tree.children(store).filter(|(name, id)| {
        let named = name.get(32..).is_some_and(|name| name.starts_with(b"-nixos-system-"));
        named && matches!(volume.tree.node(*id).kind, Kind::Directory(_))
    });
    systems.map(|(name, _)| [STORE, b"/", name].concat()).take(MAX_SCRIPTS).collect()
}

/// Units that make a partition larger: of the cards of nixpkgs 26.05, of `boot.growPartition`, and
/// of `systemd.repart`.
const GROWING_UNITS: [&[u8]; 3] =
    [b"expand-root-partition.service", b"growpart.service", b"systemd-repart.service"];

/// True if a system grows its root: by a unit, or by the commands of nixpkgs 25.11.
fn grows(volume: &Volume, toplevel: &[u8]) -> bool {
    let inside = |path: &[u8]| [toplevel, path].concat();
    let unit = |name: &&[u8]| {
        volume.tree.resolve(&inside(&[b"/etc/systemd/system/", *name].concat())).is_ok()
    };
    if GROWING_UNITS.iter().any(unit) {
        return true;
    }
    let mut scripts: Vec<NodeId> = [&b"/init"[..], b"/prepare-root", b"/activate"]
        .iter()
        .filter_map(|name| volume.find_file(&inside(name)))
        .collect();
    let mut at = 0;
    // Bounded: MAX_SCRIPTS scripts, each read once.
    while let Some(id) = scripts.get(at).copied() {
        at += 1;
        let Ok(content) = volume.content(id, MAX_TEXT) else { continue };
        if content.windows(9).any(|window| window == b"resize2fs") {
            return true;
        }
        let text = String::from_utf8_lossy(&content);
        let named = text.split(|c: char| c.is_ascii_whitespace() || "\"'=;()".contains(c));
        for path in named.filter(|word| word.ends_with("-local-cmds")) {
            let script = volume.find_file(path.as_bytes());
            if let Some(script) = script.filter(|id| !scripts.contains(id))
                && scripts.len() < MAX_SCRIPTS
            {
                scripts.push(script);
            }
        }
    }
    false
}
