//! Root file systems for the Windows Subsystem for Linux: what Microsoft's validator asks, what
//! the import and the first start need, and what NixOS does differently.
//!
//! Where WSL and the validator differ, the check is about what WSL does, and a check of its own,
//! or its text, names the validator. Paths are followed as the started system follows them:
//! through all symlinks, inside the root of the image.

mod checks;
mod config;
mod files;
pub mod grammar;
mod icon;
mod layout;
mod nixos;
mod programs;
mod units;
mod users;

pub use checks::*;

use image_model::{Check, Location};

use super::Image;
use crate::{
    Recorder,
    container::raw_at,
    store,
    tree::{Interests, Kind, NodeId, Tree, display},
};
use grammar::Reading;

const WSL_CONF: &str = "/etc/wsl.conf";
const DISTRIBUTION_CONF_PATH: &str = "/etc/wsl-distribution.conf";

/// The contents that the checks read.
pub static INTERESTS: Interests = Interests {
    paths: &[
        WSL_CONF,
        DISTRIBUTION_CONF_PATH,
        "/etc/passwd",
        "/etc/shadow",
        "/etc/group",
        "/etc/os-release",
        "/etc/machine-id",
        "/etc/hostname",
    ],
    speculative: |path, size| {
        let under = |folder: &[u8]| path.starts_with(folder);
        if let Some(object) = path.strip_prefix(b"/nix/store/") {
            // `<32 digits>-wsl.conf` itself, or a file in `<32 digits>-etc…/`.
            let in_etc = object.get(32..).is_some_and(|name| name.starts_with(b"-etc"));
            return size <= 64 << 10 && (in_etc || !object.contains(&b'/'));
        }
        path.ends_with(b".ico") || under(b"/usr/lib/wsl/") || under(b"/usr/share/wsl/")
    },
    named_in: |path, content| {
        if path != DISTRIBUTION_CONF_PATH {
            return Vec::new();
        }
        let conf = grammar::wsl(content);
        let keys = ["shortcut.icon", "windowsterminal.profiletemplate"];
        keys.iter()
            .filter_map(|key| conf.value(key))
            .map(|path| format!("/{}", path.trim_start_matches('/')).into_bytes())
            .collect()
    },
};

/// Judges the files of an image for WSL.
pub fn verify(image: &Image<'_>, out: &mut Recorder) {
    let mut judge = Judge::new(image, out);
    judge.out.announce(CHECKS);
    judge.file();
    if judge.nixos {
        judge.out.announce(NIXOS_CHECKS);
    }
    if !judge.root() {
        // Whatever else is asked would only tell the same again.
        return;
    }
    judge.layout();
    judge.distribution_conf();
    judge.wsl_conf();
    judge.users();
    judge.programs();
    judge.units();
    if judge.nixos {
        judge.nixos();
    }
}

/// What is recorded of the store of an image that [`verify`] judged: there are checks of this kind
/// for what names and metadata tell of that of NixOS.
pub fn store_checks(tree: &Tree) -> store::Checks {
    match nixos::is_nixos(tree) {
        true => {
            store::Checks { registration: &NIXOS_DATABASE, by_names: false, ..store::Checks::OWN }
        }
        false => store::Checks::OWN,
    }
}

/// One image, and what was learned about it so far.
struct Judge<'a, 'o> {
    image: Image<'a>,
    tree: &'a Tree,
    out: &'o mut Recorder,
    nixos: bool,
    /// `/etc/wsl.conf`; empty where there is none.
    conf: Reading,
    /// `/etc/wsl-distribution.conf`; empty where there is none.
    distribution: Reading,
    users: Vec<users::User>,
}

impl<'a, 'o> Judge<'a, 'o> {
    fn new(image: &Image<'a>, out: &'o mut Recorder) -> Self {
        let tree = image.tree;
        let read = |path: &str| {
            let content =
                tree.resolve(path.as_bytes()).ok().and_then(|found| tree.kept(found.node));
            content.map(grammar::wsl).unwrap_or_default()
        };
        Self {
            image: *image,
            tree,
            out,
            nixos: nixos::is_nixos(tree),
            conf: read(WSL_CONF),
            distribution: read(DISTRIBUTION_CONF_PATH),
            users: Vec::new(),
        }
    }

    /// True if `boot.systemd` is on, as WSL reads it.
    fn systemd(&self) -> bool {
        self.conf.value("boot.systemd").and_then(grammar::boolean) == Some(true)
    }

    /// A setting of `wsl.conf` that is yes or no.
    fn flag(&self, key: &str, default: bool) -> bool {
        self.conf.value(key).and_then(grammar::boolean).unwrap_or(default)
    }

    /// What a path leads to.
    fn find(&self, path: &str) -> Option<NodeId> {
        self.tree.resolve(path.as_bytes()).ok().map(|found| found.node)
    }

    /// The content of the file a path leads to.
    fn content(&self, path: &str) -> Option<&'a [u8]> {
        self.find(path).and_then(|id| self.tree.kept(id))
    }

    /// Where a finding about a path is: its member, or the whole tree where it has none.
    fn at(&self, path: &str) -> Location {
        let found = self.tree.lookup(path.as_bytes()).map(|found| self.tree.location(found.node));
        found.map(|at| Location { path: Some(display(path.as_bytes())), ..at }).unwrap_or_else(
            |_| Location { path: Some(display(path.as_bytes())), ..raw_at("file tree", 0, 0) },
        )
    }

    fn expect(
        &mut self,
        check: &'static Check,
        holds: bool,
        path: &str,
        message: impl FnOnce() -> String,
    ) -> bool {
        let at = (!holds).then(|| self.at(path));
        let at = at.unwrap_or_else(|| raw_at("file tree", 0, 0));
        self.out.expect(check, holds, || (at, message()))
    }

    /// True for what lies in the Nix store, where files have modes of their own.
    fn in_store(&self, id: NodeId) -> bool {
        self.tree.path(id).starts_with(b"/nix/store/")
    }

    fn is_directory(&self, id: NodeId) -> bool {
        matches!(self.tree.node(id).kind, Kind::Directory(_))
    }
}
