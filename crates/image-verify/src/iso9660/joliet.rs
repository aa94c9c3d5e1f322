//! What the trees of Joliet show of the files, against the primary tree.

use super::{
    JOLIET_FILES, Judge, Place, Set, directories::record_at, extents::Extents, paths::Names,
};

impl Judge<'_> {
    /// The same files are in all trees: a file is known by its content, since names differ.
    pub(super) fn joliet(&mut self, set: &Set, extents: &Extents) {
        for (index, source) in set.sources.iter().enumerate() {
            if source.names != Names::Joliet {
                continue;
            }
            let (primary, joliet) = (1_u8, 1_u8 << index);
            self.evaluated(&[&JOLIET_FILES]);
            for shown in extents.shown() {
                let trees = shown.trees & (primary | joliet);
                if trees == 0 || trees == primary | joliet {
                    continue;
                }
                let place =
                    Place { whose: shown.whose, ..record_at("directory record", shown.record) };
                let (start, len) = (shown.start, shown.len);
                self.fault(&JOLIET_FILES, &place, || {
                    let [this, other] = match trees {
                        1 => ["primary", "Joliet"],
                        _ => ["Joliet", "primary"],
                    };
                    format!(
                        "{len} bytes at {start:#x} are in the {this} tree, not in the {other} one"
                    )
                });
            }
        }
    }
}
