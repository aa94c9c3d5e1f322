//! Why we may differ from the others: a rule each.

use super::Case;

/// A difference that is right.
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) applies: fn(&Case) -> bool,
}

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "path tables",
        reason: "nobody but Windows looks for directories there",
        applies: |case| {
            let sized = case.edit.kind.ends_with("descriptor") && case.edit.field == 132;
            let checks = ["iso9660-path-table", "iso9660-path-table-tree", "iso9660-overlap"];
            case.only_we(if sized { &checks } else { &checks[..2] })
        },
    },
    Rule {
        name: "Joliet",
        reason: "all but Windows show the files of Rock Ridge",
        applies: |case| case.edit.kind.starts_with("Joliet") && case.theirs.is_empty(),
    },
    Rule {
        name: "own record",
        reason: "Linux and Windows read a directory where its own record says that it is, and the \
                 others where the record in its parent does (fs/isofs/isofs.h)",
        applies: |case| case.only_we(&["iso9660-self", "rock-ridge-file-type"]),
    },
    Rule {
        name: "root directory",
        reason: "Linux and Windows read its length in its own record; others read to the end of the \
                 sector, or do not mind",
        applies: |case| {
            case.only_we(&["iso9660-record", "iso9660-self"])
                && case.edit.kind == "primary descriptor"
                && case.edit.field == 166
        },
    },
    Rule {
        name: "extended attributes",
        reason: "the content starts after their record (fs/isofs/inode.c); bsdtar does not skip it",
        applies: |case| case.edit.kind == "record" && case.edit.field == 1,
    },
    Rule {
        name: "RR",
        reason: "Linux looks for no name where it says that there is none (fs/isofs/rock.c)",
        applies: |case| case.only_we(&["rock-ridge-kinds"]),
    },
    Rule {
        name: "boot code",
        reason: "it is nothing to who does not run it",
        applies: |case| case.only_we(&["isohybrid-code-damaged"]),
    },
    Rule {
        name: "boot indicator",
        reason: "BIOSes refuse a table with another one than 0 and 0x80",
        applies: |case| case.only_we(&["isohybrid-boot-indicator"]),
    },
    Rule {
        name: "unused partition",
        reason: "nobody reads a partition record of type 0 without a start; xorriso guesses by it \
                 what wrote it",
        applies: |case| {
            case.edit.kind == "partition record" && case.edit.field == 12 && case.only("xorriso")
        },
    },
    Rule {
        name: "cut entries",
        reason: "Linux takes no entry of the record then (fs/isofs/rock.c), others those before",
        applies: |case| {
            let checks = ["rock-ridge-entry-length", "rock-ridge-entry-size", "rock-ridge-er"];
            case.only_we(&checks)
        },
    },
    Rule {
        name: "rr_moved",
        reason: "bsdtar knows by this name the directory where those are that went elsewhere",
        applies: |case| {
            let known =
                |line: &String| line.contains("RR_MOVED") || line.starts_with("bsdtar: Err");
            case.edit.kind == "NM" && case.theirs.iter().all(known)
        },
    },
    Rule {
        name: "times of a directory",
        reason: "xorriso has those of a directory that went elsewhere from its own record, we and \
                 bsdtar from the one where it was",
        applies: |case| case.edit.kind == "TF" && case.only("xorriso"),
    },
    Rule {
        name: "root record",
        reason: "it has no name but 0, and nobody looks",
        applies: |case| case.only_we(&["iso9660-root"]) && case.edit.field == 188,
    },
    Rule {
        name: "cylinders",
        reason: "of a partition: xorriso guesses by them what wrote it; no BIOS reads them",
        applies: |case| {
            case.edit.kind == "partition record"
                && matches!(case.edit.field, 1 | 5)
                && case.only("xorriso")
        },
    },
    Rule {
        name: "texts",
        reason: "of publisher and others, which isoinfo prints and nothing follows",
        applies: |case| {
            matches!(case.edit.field, 8 | 318 | 702)
                && case.edit.kind.ends_with("descriptor")
                && case.only("isoinfo")
        },
    },
    Rule {
        name: "file unit size",
        reason: "without gaps it means nothing: Linux notes it in its log and goes on, xorriso does \
                 not load the disc",
        applies: |case| case.edit.kind.ends_with("record") && case.edit.field == 26,
    },
];
