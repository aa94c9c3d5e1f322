//! Why we may differ from fsck.fat: a rule each.

use super::{Case, pieces::Kind};

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
    Rule {
        name: "cluster size",
        reason: "Linux does not mount a volume whose clusters are not a power of two of sectors",
        applies: |case| case.only_we(&["fat-cluster-size"]),
    },
    Rule {
        name: "label of other letters",
        reason: "fsck.fat takes a char from 0x80 on for a negative number, and so for a control \
                 character",
        applies: |case| {
            case.ours.is_empty()
                && case.edit.kind == Kind::Label
                && case.edit.writes.iter().any(|(_, _, new)| new.iter().any(|byte| *byte >= 0x80))
                && case.said("stored in root directory is not valid")
        },
    },
    Rule {
        name: "no room for a dot entry",
        reason: "fsck.fat says that . or .. is not there, finds no free slot to move the entry to \
                 that is in its place, and changes nothing",
        applies: |case| case.only_we(&["fat-dot-entries"]) && case.said("No free entry found."),
    },
];
