//! Why a verdict may differ.

use super::{Case, E2fsck, Kind};

/// A reason, and the cases that it explains.
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) applies: fn(&Case) -> bool,
}

const fn rule(name: &'static str, applies: fn(&Case) -> bool) -> Rule {
    Rule { name, applies }
}

pub(crate) const RULES: &[Rule] = &[
    rule(
        "e2fsck does not ask where the log starts and how long it is; Linux does not mount that",
        |case| case.kind == Kind::Journal && case.only_we(&["ext4-journal-room"]),
    ),
    rule(
        "e2fsck takes the inode of the journal; Linux does not mount what has a device too",
        |case| case.kind == Kind::Superblock && case.only_we(&["ext4-journal-device"]),
    ),
    rule(
        "e2fsck does not look at the magic number of quotas; Linux does not mount that for writing",
        |case| case.kind == Kind::Quota && case.only_we(&["ext4-quota-header"]),
    ),
    rule("e2fsck takes an error of the journal out, which it cannot write under -n", |case| {
        case.kind == Kind::Journal && case.said("Error writing block")
    }),
    rule(
        "e2fsck prints the wrong checksum of a descriptor, ignores it under -n, and exits with 0; \
         Linux does not mount that",
        |case| {
            case.only_we(&["ext4-group-checksum"]) && case.said("descriptor checksums are invalid")
        },
    ),
    rule(
        "e2fsck takes a copy where the first superblock or the descriptors have no sense, and then \
         finds nothing; Linux does not mount that",
        |case| {
            matches!(case.kind, Kind::Superblock | Kind::Descriptor)
                && !case.ours.is_empty()
                && case.said("trying backup blocks...")
                && case.theirs.as_ref().is_some_and(E2fsck::clean)
        },
    ),
    rule(
        "e2fsck has no hash for a name that is not UTF-8, and goes on with that of the name before",
        |case| {
            let last = case.what.rsplit(" to 0x").next().unwrap_or_default();
            let high = u64::from_str_radix(last, 16).is_ok_and(|v| v & 0x8080_8080_8080_8080 != 0);
            case.base == "casefold"
                && case.kind == Kind::Directory
                && case.ours.is_empty()
                && high
                && (case.said("has bad min hash") || case.said("has bad max hash"))
        },
    ),
    rule(
        "e2fsck prints a size of extra fields that has no room, ignores it under -n, and exits with \
         0; Linux does not mount that",
        |case| case.only_we(&["ext4-extra-size"]) && case.said("extra isize in superblock"),
    ),
];
