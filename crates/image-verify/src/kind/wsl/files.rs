//! What several checks ask of a file.

use image_model::Check;

use super::Judge;
use crate::tree::{Kind, NodeId, Program, Unresolved, display};

/// What Microsoft's validator asks of a file.
pub(super) struct Permissions {
    pub(super) modes: &'static [u32],
    /// Any group will do.
    pub(super) any_group: bool,
    /// The validator follows symlinks to it.
    pub(super) follows: bool,
}

impl Judge<'_, '_> {
    /// Mode and owner of the file at `path`. Whether it is there is asked elsewhere.
    pub(super) fn permissions(&mut self, check: &'static Check, path: &str, want: &Permissions) {
        let Some(id) = self.find(path) else { return };
        let node = self.tree.node(id);
        let in_store = self.in_store(id);
        let mode = node.mode & 0o7777;
        let mode_holds = want.modes.contains(&mode) || in_store && matches!(mode, 0o444 | 0o555);
        let owner_holds = node.uid == 0 && (want.any_group || node.gid == 0);
        let direct = want.follows || in_store || self.tree.at(path.as_bytes()) == Some(id);
        let (uid, gid) = (node.uid, node.gid);
        let real = self.tree.path(id);
        self.expect(check, mode_holds && owner_holds && direct, path, || {
            if !direct {
                return format!(
                    "a symlink to {}, not a file: Microsoft's validator does not follow it",
                    display(&real)
                );
            }
            let modes: Vec<_> = want.modes.iter().map(|mode| format!("{mode:04o}")).collect();
            let group = if want.any_group { "" } else { ":0" };
            format!("{mode:04o} {uid}:{gid}, not {} 0{group}", modes.join(" or "))
        });
    }

    /// Why nobody can execute the file at `path`.
    pub(super) fn not_executable(&self, path: &[u8]) -> Option<String> {
        match self.tree.resolve(path) {
            Err(error) => Some(self.why_not(&error)),
            Ok(found) => match &self.tree.node(found.node).kind {
                Kind::File(Some(_)) => None,
                Kind::File(None) if self.tree.node(found.node).mode & 0o111 != 0 => None,
                Kind::File(None) => Some(format!(
                    "mode {:04o}: nobody may execute it",
                    self.tree.node(found.node).mode & 0o7777
                )),
                other => Some(format!("a {}, not a program", other.as_str())),
            },
        }
    }

    /// What the file at `path` is, if somebody may execute it.
    pub(super) fn program(&self, path: &[u8]) -> Option<(NodeId, Program)> {
        let id = self.tree.resolve(path).ok()?.node;
        match self.tree.node(id).kind {
            Kind::File(Some(program)) => Some((id, program)),
            _ => None,
        }
    }

    /// Why a path leads nowhere, in words.
    pub(super) fn why_not(&self, error: &Unresolved) -> String {
        match error {
            Unresolved::NotFound { path, chain } if chain.is_empty() => {
                format!("{} is not in the image", display(path))
            }
            Unresolved::NotFound { path, chain } => {
                let links: Vec<_> = chain.iter().map(|id| display(&self.tree.path(*id))).collect();
                format!(
                    "leads over {} to {}, which is not in the image",
                    links.join(", "),
                    display(path)
                )
            }
            Unresolved::NotADirectory(id) => {
                format!("{} is no directory", display(&self.tree.path(*id)))
            }
            Unresolved::Loop(id) => {
                format!("symlinks in a circle at {}", display(&self.tree.path(*id)))
            }
        }
    }
}
