//! Paths as the kernel walks them, with the root of the image as `/`.

use super::{Kind, NodeId, Tree};

/// How many symlinks Linux follows in one path: `MAXSYMLINKS`.
pub const MAX_HOPS: usize = 40;

/// Links that NixOS makes in the first seconds of a boot. They lead where this one leads.
const AT_BOOT: [&[u8]; 2] = [b"current-system", b"booted-system"];
const NIXOS_SYSTEM: &[u8] = b"/nix/var/nix/profiles/system";

/// Where a path leads.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// What is there.
    pub node: NodeId,
    /// The symlinks on the way, in order.
    pub chain: Vec<NodeId>,
}

/// Why a path leads nowhere.
#[derive(Clone, Debug)]
pub enum Unresolved {
    /// Nothing has that name.
    NotFound {
        /// The path that is not there, with no symlink in it so far as it goes.
        path: Vec<u8>,
        /// The symlinks on the way, in order.
        chain: Vec<NodeId>,
    },
    /// Something on the way is no directory.
    NotADirectory(NodeId),
    /// More than [`MAX_HOPS`] symlinks: `ELOOP`.
    Loop(NodeId),
}

impl Tree {
    /// Follows `path` and all symlinks. A relative path starts at the root, as a service would.
    pub fn resolve(&self, path: &[u8]) -> Result<Resolved, Unresolved> {
        self.walk(Self::ROOT, path, true)
    }

    /// Follows all symlinks but the last: `lstat`.
    pub fn lookup(&self, path: &[u8]) -> Result<Resolved, Unresolved> {
        self.walk(Self::ROOT, path, false)
    }

    /// Follows a node that may be a symlink.
    pub fn follow(&self, id: NodeId) -> Result<Resolved, Unresolved> {
        let node = self.node(id);
        match &node.kind {
            Kind::Symlink(target) => self.walk(node.parent, target, true),
            _ => Ok(Resolved { node: id, chain: Vec::new() }),
        }
    }

    /// What is at exactly this path, with no symlink anywhere on the way.
    pub fn at(&self, path: &[u8]) -> Option<NodeId> {
        self.descend(&super::components(path)?)
    }

    fn walk(&self, start: NodeId, path: &[u8], last: bool) -> Result<Resolved, Unresolved> {
        let mut at = if path.starts_with(b"/") { Self::ROOT } else { start };
        let mut chain = Vec::new();
        let mut todo: Vec<&[u8]> = names(path).collect();
        // Bounded: each hop adds the names of one target, and there are MAX_HOPS hops.
        while let Some(name) = todo.pop() {
            if !matches!(self.node(at).kind, Kind::Directory(_)) {
                return Err(Unresolved::NotADirectory(at));
            }
            if name == b".." {
                at = self.node(at).parent;
                continue;
            }
            let Some(next) = self.child(at, name) else {
                if let Some(rest) = self.at_boot(at, name, &todo)
                    && self.at(NIXOS_SYSTEM).is_some()
                {
                    todo.truncate(rest);
                    todo.extend(names(NIXOS_SYSTEM));
                    at = Self::ROOT;
                    continue;
                }
                let mut missing = if at == Self::ROOT { Vec::new() } else { self.path(at) };
                for name in std::iter::once(name).chain(todo.iter().rev().copied()) {
                    missing.push(b'/');
                    missing.extend(name);
                }
                return Err(Unresolved::NotFound { path: missing, chain });
            };
            match &self.node(next).kind {
                Kind::Symlink(target) if last || !todo.is_empty() => {
                    chain.push(next);
                    if chain.len() > MAX_HOPS {
                        return Err(Unresolved::Loop(next));
                    }
                    if target.starts_with(b"/") {
                        at = Self::ROOT;
                    }
                    todo.extend(names(target));
                }
                _ => at = next,
            }
        }
        Ok(Resolved { node: at, chain })
    }

    /// How many names stay to be walked if `name` in `at`, which is not there, is on the way to a
    /// link that NixOS makes at boot.
    fn at_boot(&self, at: NodeId, name: &[u8], todo: &[&[u8]]) -> Option<usize> {
        if at == Self::ROOT && name == b"run" {
            let (next, rest) = todo.split_last()?;
            return AT_BOOT.contains(next).then_some(rest.len());
        }
        let in_run = self.child(Self::ROOT, b"run") == Some(at);
        (in_run && AT_BOOT.contains(&name)).then_some(todo.len())
    }
}

/// The names in a path, last first.
fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.rsplit(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b"."))
}
