//! rEFInd, as far as its configuration names files. It finds kernels and other boot loaders by
//! itself as well.

use super::{Judge, Place, REFIND_FILE};
use crate::tree::NodeId;

/// Where it is, beside its program.
pub(super) const CONFIGS: [&str; 3] =
    ["/EFI/BOOT/refind.conf", "/EFI/refind/refind.conf", "/boot/efi/EFI/refind/refind.conf"];

/// How many lines are followed.
const MAX_LINES: usize = 4096;

impl<'a> Judge<'a, '_> {
    /// Judges a configuration of rEFInd.
    pub(super) fn refind(&mut self, place: Place<'a>, id: NodeId) {
        let (_, volume) = place;
        let Some(text) = self.text(place, id) else { return };
        // `volume` in an entry leads to another file system, which is not followed.
        let mut elsewhere = false;
        for (index, line) in text.lines().enumerate() {
            if index >= MAX_LINES {
                return self.limit("more lines of refind.conf than are followed");
            }
            let mut words = line.split_ascii_whitespace();
            let key = words.next().unwrap_or_default().to_ascii_lowercase();
            match key.as_str() {
                "menuentry" => elsewhere = false,
                "volume" => elsewhere = true,
                "loader" | "initrd" if !elsewhere => {
                    let Some(path) = words.next() else { continue };
                    let path = path.trim_matches('"').replace('\\', "/");
                    let found = self.find_file(volume, &path).is_some();
                    self.expect(
                        &REFIND_FILE,
                        found,
                        || volume.tree.location(id),
                        || format!("line {}, {key}: no file {path} on {}", index + 1, volume.name),
                    );
                }
                _ => {}
            }
        }
    }
}
