//! Paths as boot loaders take them.

use image_model::Location;

use crate::{
    tree::{Kind, NodeId, display},
    volume::{Family, Volume},
};

/// What is at `path`, as boot loaders look for it: from the root of one file system, with `.` and
/// `..`.
pub(crate) fn find(volume: &Volume, path: &str) -> Option<NodeId> {
    match volume.family {
        Family::Ext | Family::Iso9660 | Family::Squashfs | Family::Tar | Family::Folder => {
            volume.find(path.as_bytes())
        }
        Family::Fat => volume.find(lexical(path).as_bytes()),
    }
}

/// The regular file at `path`.
pub(crate) fn find_file(volume: &Volume, path: &str) -> Option<NodeId> {
    find(volume, path).filter(|id| matches!(volume.tree.node(*id).kind, Kind::File(_)))
}

/// A path without `.` and `..`.
pub(crate) fn lexical(path: &str) -> String {
    let mut names = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => _ = names.pop(),
            name => names.push(name),
        }
    }
    names.iter().flat_map(|name| ["/", name]).collect()
}

/// Where a finding about a path is: what is there, or the file system that should have it.
pub(crate) fn at(volume: &Volume, path: &str) -> Location {
    let path = format!("/{}", path.trim_start_matches('/'));
    match find(volume, &path) {
        Some(id) => volume.tree.location(id),
        None => Location { path: Some(display(path.as_bytes())), ..volume.at.clone() },
    }
}
