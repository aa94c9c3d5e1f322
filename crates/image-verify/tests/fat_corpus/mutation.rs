//! Thousands of edits in metadata, each of one field or one bit: wherever `fsck.fat -n` complains we
//! complain, and wherever it does not we do not, or a rule says why.

mod pieces;
mod rules;

use std::{collections::BTreeMap, fs::OpenOptions, os::unix::fs::FileExt as _};

use super::{
    image::make,
    random::Random,
    rig::{on_two_threads, print},
    volume::{Fsck, Volume, errors, told},
};
use pieces::{Edit, Pieces};
use rules::RULES;

/// How many edits are tried; the variable `IMAGE_FACTORY_MUTATIONS` asks for more.
const EDITS: usize = 4_000;
/// How many are made in one copy of a base.
const AT_ONCE: usize = 100;

/// The file systems that are edited: length, and what mkfs.fat is told.
const BASES: [(u64, &[&str]); 4] = [
    (1_474_560, &[]),
    (5 << 20, &["-F", "16", "-s", "1"]),
    (5 << 20, &["-F", "16", "-s", "1", "-f", "1", "-R", "4"]),
    (34 << 20, &["-F", "32", "-s", "1"]),
];

/// One edit, and what both say.
pub(crate) struct Case {
    pub(crate) edit: Edit,
    /// The checks of severity error.
    pub(crate) ours: Vec<String>,
    /// What we found, of every severity.
    pub(crate) told: String,
    pub(crate) theirs: Fsck,
}

impl Case {
    fn agrees(&self) -> bool {
        self.theirs.clean() == self.ours.is_empty()
    }

    /// True if we are the only ones who complain, and of these checks only.
    pub(crate) fn only_we(&self, checks: &[&str]) -> bool {
        self.theirs.clean()
            && !self.ours.is_empty()
            && self.ours.iter().all(|id| checks.contains(&id.as_str()))
    }

    fn line(&self) -> String {
        let Self { edit, told, theirs, .. } = self;
        format!("{edit} | ours: {told} | fsck.fat {}: {}", theirs.status, theirs.words())
    }
}

#[test]
fn edits_are_judged_as_fsck_does() {
    let edits = std::env::var("IMAGE_FACTORY_MUTATIONS")
        .map_or(EDITS, |number| number.parse().expect("IMAGE_FACTORY_MUTATIONS is a number"));
    let bases = BASES.map(|(len, mkfs)| {
        let volume = Volume::new();
        make(&volume.path, len, mkfs);
        let pieces = Pieces::find(&volume.region());
        (volume, pieces)
    });
    let jobs: Vec<_> = (0..edits.div_ceil(AT_ONCE)).collect();
    let cases: Vec<Case> = on_two_threads(&jobs, |job| {
        // FAT12 is the fastest, FAT32 the slowest.
        let (base, pieces) = &bases[[0, 1, 0, 2, 3][job % 5]];
        let volume = Volume::new();
        std::fs::copy(&base.path, &volume.path).unwrap();
        let file = OpenOptions::new().write(true).open(&volume.path).unwrap();
        let mut random = Random::new(*job as u64);
        let case = |_| {
            let edit = pieces.edit(&mut random);
            for (at, _, new) in &edit.writes {
                file.write_all_at(new, *at).unwrap();
            }
            let (findings, theirs) = (volume.judge(), volume.fsck());
            for (at, old, _) in &edit.writes {
                file.write_all_at(old, *at).unwrap();
            }
            let ours = errors(&findings).into_iter().collect();
            Case { edit, ours, told: told(&findings), theirs }
        };
        (0..AT_ONCE).map(case).collect::<Vec<_>>()
    })
    .into_iter()
    .flatten()
    .collect();

    let mut totals = BTreeMap::<_, usize>::new();
    let mut used = BTreeMap::<_, usize>::new();
    let mut unexplained = Vec::new();
    for case in &cases {
        *totals.entry((case.ours.is_empty(), case.theirs.clean())).or_default() += 1;
        if case.agrees() {
            continue;
        }
        match RULES.iter().find(|rule| (rule.applies)(case)) {
            Some(rule) => *used.entry(rule.name).or_default() += 1,
            None => unexplained.push(case.line()),
        }
    }
    let total = |ours, theirs| totals.get(&(ours, theirs)).copied().unwrap_or(0);
    let rate = |part: usize, whole: usize| part as f64 * 100.0 / whole.max(1) as f64;
    let (both, only_theirs) = (total(false, false), total(true, false));
    let (neither, only_ours) = (total(true, true), total(false, true));
    print(&format!(
        "{} edits: fsck.fat complains about {}, and we about {:.2} % of these; it accepts {}, and we \
         {:.2} % of these; differences that no rule explains: {}",
        cases.len(),
        both + only_theirs,
        rate(both, both + only_theirs),
        neither + only_ours,
        rate(neither, neither + only_ours),
        unexplained.len(),
    ));
    for rule in RULES {
        let times = used.get(rule.name).copied().unwrap_or(0);
        print(&format!("  {times:4} {}: {}", rule.name, rule.reason));
    }
    assert!(unexplained.is_empty(), "{unexplained:#?}");
}
