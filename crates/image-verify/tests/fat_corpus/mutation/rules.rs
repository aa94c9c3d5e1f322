//! Why we may differ from fsck.fat: a rule each.

use super::Case;

/// A difference that is right.
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) applies: fn(&Case) -> bool,
}

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "media byte",
        reason: "Linux does not mount a volume whose media byte is none (fat_valid_media)",
        applies: |case| case.only_we(&["fat-media"]),
    },
    Rule {
        name: "last sector",
        reason: "the last cluster ends behind the volume, by a sector: fsck.fat tries to read the \
                 last one of those that make pairs",
        applies: |case| case.only_we(&["fat-size"]) && case.edit.changes_sectors_to_odd(),
    },
];
