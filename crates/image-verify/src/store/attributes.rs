//! Owners, modes and times of what is in a store. Nix, `src/libstore/posix-fs-canonicalise.cc`.

use super::{Checks, MODE, MTIME, OWNER, Store, WRITABLE};
use crate::{Recorder, tree::Kind, volume::Family};

/// The time that Nix gives to all files: `mtimeStore`.
const MTIME_STORE: i64 = 1;

/// Judges everything in a store.
pub(super) fn judge(store: &Store<'_>, checks: &Checks, out: &mut Recorder) {
    let tree = &store.volume.tree;
    // nixpkgs calls mksquashfs with SOURCE_DATE_EPOCH=0: no time is later than that.
    let is_early = store.volume.family == Family::Squashfs;
    let all = store.names().flat_map(|(_, id)| std::iter::once(id).chain(tree.below(id)));
    for id in all {
        let node = tree.node(id);
        // Of a directory that only names of others imply, nothing is known.
        if node.offset.is_none() {
            continue;
        }
        let (uid, gid, mode, mtime) = (node.uid, node.gid, node.mode, node.mtime);
        if checks.by_names {
            out.expect(&OWNER, (uid, gid) == (0, 0), || {
                (tree.location(id), format!("owner {uid}, group {gid}, not 0 and 0"))
            });
        }
        if !matches!(node.kind, Kind::Symlink(_)) {
            let writable = mode & 0o022 != 0;
            if checks.by_names {
                out.expect(&WRITABLE, !writable, || {
                    (tree.location(id), format!("mode {mode:04o}: not only root may write it"))
                });
            }
            // One defect is told once.
            out.expect(&MODE, writable || matches!(mode, 0o444 | 0o555), || {
                (tree.location(id), format!("mode {mode:04o}, not 0444 or 0555"))
            });
        }
        let is_canonical = mtime == MTIME_STORE || is_early && mtime == 0;
        if checks.by_names {
            out.expect(&MTIME, is_canonical, || {
                (tree.location(id), format!("mtime {mtime}, not {MTIME_STORE}"))
            });
        }
    }
}
