//! Thousands of edits in metadata, each of one field or one bit: wherever `e2fsck -fn` complains we
//! complain, and wherever it does not we do not, or a rule says why.

mod bases;
mod pieces;
mod rules;

use std::{
    collections::BTreeMap, fs::OpenOptions, io::Write as _, ops::Range, os::unix::fs::FileExt as _,
};

use image_formats::bytes::Region;
use image_model::Severity;
use image_verify::ext4;

use super::{
    random::Random,
    rig::{Disk, E2fsck, errors, on_two_threads, print},
};
use bases::Base;
use pieces::{Kind, Piece};
use rules::RULES;

/// How many edits are tried; the variable `IMAGE_FACTORY_MUTATIONS` asks for more.
const EDITS: usize = 2_000;
/// How many in the images of e2fsprogs.
const EDITS_OF_IMAGES: usize = 1_000;
/// How many are made in one copy of a base.
const AT_ONCE: usize = 10;
/// e2fsck does not end on some of them.
const SECONDS: u32 = 20;

/// One edit, and what both say.
pub(crate) struct Case {
    pub(crate) base: String,
    pub(crate) kind: Kind,
    /// Which piece, where in it, and what was done.
    pub(crate) what: String,
    pub(crate) sealed: bool,
    pub(crate) ours: Vec<String>,
    /// What we found, of every severity.
    pub(crate) found: Vec<String>,
    pub(crate) theirs: Option<E2fsck>,
}

impl Case {
    /// `None`: there is nothing to compare with.
    fn agrees(&self) -> Option<bool> {
        self.theirs.as_ref().map(|theirs| theirs.clean() == self.ours.is_empty())
    }

    /// True if e2fsck said this.
    pub(crate) fn said(&self, words: &str) -> bool {
        self.theirs.as_ref().is_some_and(|theirs| theirs.text.contains(words))
    }

    /// True if we are the only ones who complain, and of these checks only.
    pub(crate) fn only_we(&self, checks: &[&str]) -> bool {
        self.theirs.as_ref().is_some_and(E2fsck::clean)
            && !self.ours.is_empty()
            && self.ours.iter().all(|id| checks.contains(&id.as_str()))
    }

    fn line(&self) -> String {
        let (status, words) =
            self.theirs.as_ref().map_or((-1, String::new()), |t| (t.status, t.words()));
        let sealed = if self.sealed { "sealed" } else { "bare" };
        let ours = if self.ours.is_empty() { "clean".into() } else { self.ours.join(" ") };
        let found = self.found.join("; ");
        format!(
            "{} | {} | {sealed} | ours: {ours} ({found}) | e2fsck {status}: {words}",
            self.base, self.what
        )
    }
}

/// How many of these edits are asked for.
fn edits(usual: usize) -> usize {
    std::env::var("IMAGE_FACTORY_MUTATIONS")
        .map_or(usual, |number| number.parse().expect("IMAGE_FACTORY_MUTATIONS is a number"))
}

#[test]
fn edits_are_judged_as_e2fsck_does() {
    try_edits("small file systems", &bases::all(), edits(EDITS));
}

/// The same with what e2fsck itself is tested with, once it is mended.
#[test]
fn edits_of_its_images_are_judged_as_e2fsck_does() {
    try_edits("images of e2fsprogs", &bases::of_e2fsprogs(), edits(EDITS_OF_IMAGES));
}

fn try_edits(what: &str, bases: &[Base], edits: usize) {
    let pieces: Vec<_> = bases.iter().map(|base| pieces::find(&base.image)).collect();
    let jobs: Vec<_> = (0..edits.div_ceil(AT_ONCE)).collect();
    let cases: Vec<_> = on_two_threads(&jobs, |job| {
        let which = job % bases.len();
        edit_some(&bases[which], &pieces[which], *job as u64)
    });
    let cases: Vec<_> = cases.into_iter().flatten().collect();
    report(&format!("{}, {} {what}", cases.len(), bases.len()), &cases);
}

fn report(what: &str, cases: &[Case]) {
    let mut kinds = BTreeMap::<_, [u32; 4]>::new();
    let mut endless = 0;
    let mut explained = BTreeMap::<&str, u32>::new();
    let mut unexplained = Vec::new();
    for case in cases {
        let Some(agrees) = case.agrees() else {
            endless += 1;
            continue;
        };
        let slot = usize::from(!case.ours.is_empty()) * 2
            + usize::from(!case.theirs.as_ref().is_some_and(E2fsck::clean));
        kinds.entry(case.kind).or_default()[slot] += 1;
        if agrees {
            continue;
        }
        match RULES.iter().find(|rule| (rule.applies)(case)) {
            Some(rule) => *explained.entry(rule.name).or_default() += 1,
            None => unexplained.push(case.line()),
        }
    }
    print(&format!(
        "{:<16}{:>12}{:>12}{:>12}{:>12}",
        "edits in", "both clean", "both not", "only e2fsck", "only we"
    ));
    // On a machine that is too slow for its time limit nothing would be compared.
    assert!(endless * 20 <= cases.len(), "e2fsck does not end on {endless} of {}", cases.len());
    let mut sum = [0; 4];
    for (kind, counts) in &kinds {
        for (sum, count) in sum.iter_mut().zip(counts) {
            *sum += count;
        }
        let [clean, theirs, ours, both] = counts;
        print(&format!("{:<16}{clean:>12}{both:>12}{theirs:>12}{ours:>12}", format!("{kind:?}")));
    }
    let [clean, theirs, ours, both] = sum;
    let rate = |part: u32, whole: u32| f64::from(part) * 100.0 / f64::from(whole.max(1));
    print(&format!(
        "edits, in: {what}: of {} that e2fsck complains about we find {both} ({:.2} %); of {} that it does not \
         we are silent on {clean} ({:.2} %); it does not end on {endless}",
        theirs + both,
        rate(both, theirs + both),
        ours + clean,
        rate(clean, ours + clean),
    ));
    for (name, count) in &explained {
        print(&format!("{count:>6} differ by the rule: {name}"));
    }
    if let Some(path) = std::env::var_os("IMAGE_FACTORY_MUTATIONS_DUMP") {
        let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        writeln!(file, "{}", unexplained.join("\n")).unwrap();
    }
    assert!(
        unexplained.is_empty(),
        "{} edits are judged in another way, and no rule says why:\n{}",
        unexplained.len(),
        unexplained.join("\n")
    );
}

/// Makes some edits, one after the other, each in the base as it was.
fn edit_some(base: &Base, pieces: &[Piece], seed: u64) -> Vec<Case> {
    let mut random = Random::new(seed);
    let disk = Disk::expand(&base.image.bytes[..]);
    let file = OpenOptions::new().write(true).open(&disk.path).unwrap();
    let mut bytes = base.image.bytes.clone();
    let write = |bytes: &[u8], range: &Range<usize>| {
        file.write_all_at(&bytes[range.clone()], range.start as u64).unwrap();
    };
    let mut cases = Vec::new();
    while cases.len() < AT_ONCE {
        let piece = choose(pieces, &mut random);
        // All of a bitmap means something, but most of its bits stand for nothing.
        let part = if random.percent(70) { piece.dense } else { piece.range.len() };
        let (at, what) = edit(&mut bytes[piece.range.clone()][..part], &mut random);
        let mut touched = vec![piece.range.clone()];
        let sealed = random.percent(50);
        if sealed {
            touched.extend(pieces::seal(&base.image, &mut bytes, piece));
        }
        if touched.iter().all(|range| bytes[range.clone()] == base.image.bytes[range.clone()]) {
            continue;
        }
        touched.iter().for_each(|range| write(&bytes, range));
        let findings = ext4::check(&Region::from(bytes.clone())).unwrap().findings;
        let found = findings.iter().filter(|f| f.severity != Severity::Info);
        cases.push(Case {
            base: base.name.clone(),
            kind: piece.kind,
            what: format!(
                "{:?} of {} at {:#x}, +{at:#x} {what}",
                piece.kind, piece.of, piece.range.start
            ),
            sealed,
            ours: errors(&findings).into_iter().collect(),
            found: found.map(|f| format!("{}: {}", f.check, f.message)).take(4).collect(),
            theirs: disk.e2fsck(SECONDS),
        });
        for range in &touched {
            bytes[range.clone()].copy_from_slice(&base.image.bytes[range.clone()]);
            write(&bytes, range);
        }
    }
    cases
}

/// A piece of a kind that is chosen by its weight.
fn choose<'a>(pieces: &'a [Piece], random: &mut Random) -> &'a Piece {
    let mut kinds = BTreeMap::<_, Vec<_>>::new();
    for piece in pieces {
        kinds.entry(piece.kind).or_default().push(piece);
    }
    let total = kinds.keys().map(|kind| kind.weight()).sum();
    let mut left = random.below(total);
    for (kind, pieces) in &kinds {
        if left < kind.weight() {
            return random.pick::<&Piece>(pieces);
        }
        left -= kind.weight();
    }
    unreachable!("the weights add up");
}

/// Edits one field or one bit: where, and what.
fn edit(bytes: &mut [u8], random: &mut Random) -> (usize, String) {
    let width = *random.pick(&[1, 2, 4]);
    let mut at = random.below(bytes.len() / width) * width;
    // What is not zero means something.
    for _ in 0..if random.percent(75) { 8 } else { 0 } {
        if bytes[at..at + width].iter().any(|byte| *byte != 0) {
            break;
        }
        at = random.below(bytes.len() / width) * width;
    }
    let mut word = [0; 8];
    word[..width].copy_from_slice(&bytes[at..at + width]);
    let before = u64::from_le_bytes(word);
    let other = random.below(bytes.len() / width) * width;
    let mut copied = [0; 8];
    copied[..width].copy_from_slice(&bytes[other..other + width]);
    let after = match random.below(10) {
        0..=3 => before ^ 1 << random.below(width * 8),
        4 => 0,
        5 => u64::MAX,
        6 => before.wrapping_add(1),
        7 => before.wrapping_sub(1),
        8 => random.next(),
        _ => u64::from_le_bytes(copied),
    };
    let after = &after.to_le_bytes()[..width];
    bytes[at..at + width].copy_from_slice(after);
    word.fill(0);
    word[..width].copy_from_slice(after);
    (at, format!("{before:#x} to {:#x}", u64::from_le_bytes(word)))
}
