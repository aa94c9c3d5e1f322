//! Collects what the checks saw.

use std::{borrow::Cow, collections::BTreeMap};

use image_model::{Check, Finding, Location, Outcome, Severity, Totals, Waiver};

/// How many findings of one check a report lists. The rest are counted.
pub const MAX_FINDINGS_PER_CHECK: u64 = 16;

/// The most bytes of a message: names and lists in it are from the image.
const MAX_MESSAGE: usize = 1 << 10;

/// Turns evaluated checks into the body of a report.
#[derive(Debug, Default)]
pub struct Recorder {
    outcomes: BTreeMap<&'static str, Outcome>,
    findings: Vec<Finding>,
    counts: BTreeMap<&'static str, u64>,
}

/// What a [`Recorder`] collected.
#[derive(Debug, Default)]
pub struct Recorded {
    /// Every check that was announced.
    pub outcomes: BTreeMap<Cow<'static, str>, Outcome>,
    /// Sorted by space, offset and check; at most [`MAX_FINDINGS_PER_CHECK`] for each check.
    pub findings: Vec<Finding>,
    /// How many more each check had.
    pub omitted: BTreeMap<Cow<'static, str>, u64>,
    /// Counts over the rest.
    pub totals: Totals,
}

impl Recorder {
    /// Announces the checks of a format, so that those never evaluated are reported as such.
    pub fn announce(&mut self, table: &[&'static Check]) {
        for check in table {
            self.outcomes.entry(check.id).or_insert(Outcome::NotReached);
        }
    }

    /// Records whether `check` holds at the place that `at` tells, and returns it, so that what
    /// depends on the check can be skipped with a plain `if`. The closure runs only where the
    /// check does not hold: it says where, and in one line what was found, then what was
    /// expected.
    pub fn expect(
        &mut self,
        check: &'static Check,
        holds: bool,
        finding: impl FnOnce() -> (Location, String),
    ) -> bool {
        let outcome = self.outcomes.entry(check.id).or_insert(Outcome::NotReached);
        if holds {
            if *outcome == Outcome::NotReached {
                *outcome = Outcome::Held;
            }
            return true;
        }
        *outcome = Outcome::Failed;
        let count = self.counts.entry(check.id).or_default();
        *count = count.saturating_add(1);
        if *count <= MAX_FINDINGS_PER_CHECK {
            let (at, mut message) = finding();
            if message.len() > MAX_MESSAGE {
                let end = (0..=MAX_MESSAGE).rfind(|at| message.is_char_boundary(*at));
                message.truncate(end.unwrap_or(0));
                message.push('…');
            }
            let Check { id, severity, .. } = *check;
            self.findings.push(Finding { check: id.into(), severity, waived: false, at, message });
        }
        false
    }

    /// Records that a check holds which is evaluated so often that only its faults were recorded.
    pub(crate) fn held(&mut self, check: &'static Check, holds: bool) {
        let outcome = self.outcomes.entry(check.id).or_insert(Outcome::NotReached);
        if holds && *outcome == Outcome::NotReached {
            *outcome = Outcome::Held;
        }
    }

    /// Adds what another recorder collected: of a part of the image that another thread read.
    pub(crate) fn absorb(&mut self, other: Self) {
        for (id, outcome) in other.outcomes {
            let ours = self.outcomes.entry(id).or_insert(Outcome::NotReached);
            *ours = match (*ours, outcome) {
                (Outcome::Failed, _) | (_, Outcome::Failed) => Outcome::Failed,
                (Outcome::NotReached, theirs) => theirs,
                (ours, _) => ours,
            };
        }
        self.findings.extend(other.findings);
        for (id, count) in other.counts {
            *self.counts.entry(id).or_default() += count;
        }
    }

    /// The findings so far, from the one with this number on: for who learns later where they are.
    pub(crate) fn findings_from(&mut self, first: usize) -> &mut [Finding] {
        self.findings.get_mut(first..).unwrap_or_default()
    }

    /// True if `check` was evaluated and did not hold.
    pub fn has_failed(&self, check: &'static Check) -> bool {
        self.outcomes.get(check.id) == Some(&Outcome::Failed)
    }

    /// Ends the collection: applies the waivers, sorts, counts. A waiver that waived nothing is a
    /// finding of `unused_waiver`, at `whole`.
    pub fn finish(
        mut self,
        waivers: &[Waiver],
        unused_waiver: &'static Check,
        whole: &Location,
    ) -> Recorded {
        for waiver in waivers {
            let failed = self.outcomes.get_mut(waiver.check.as_str());
            let used = match failed {
                Some(outcome @ Outcome::Failed) => {
                    *outcome = Outcome::Waived;
                    true
                }
                Some(Outcome::Waived) => true,
                _ => false,
            };
            self.expect(unused_waiver, used, || {
                let message = format!("{} did not fail: the waiver is not needed", waiver.check);
                (whole.clone(), message)
            });
        }
        let mut totals = Totals::default();
        for finding in &mut self.findings {
            finding.waived = self.outcomes.get(finding.check.as_ref()) == Some(&Outcome::Waived);
        }
        self.findings.sort_by(|a, b| {
            let key = |f: &Finding| (f.at.space, f.at.offset);
            key(a).cmp(&key(b)).then_with(|| a.check.cmp(&b.check))
        });
        let severity_of: BTreeMap<_, _> =
            self.findings.iter().map(|f| (f.check.clone(), (f.severity, f.waived))).collect();
        for (id, count) in &self.counts {
            match severity_of.get(*id) {
                Some((Severity::Error, false)) => totals.errors += count,
                Some((Severity::Warning, false)) => totals.warnings += count,
                Some((Severity::Info, false)) => totals.infos += count,
                _ => {}
            }
        }
        for outcome in self.outcomes.values() {
            *match outcome {
                Outcome::Held => &mut totals.held,
                Outcome::Failed => &mut totals.failed,
                Outcome::NotReached => &mut totals.not_reached,
                Outcome::Waived => &mut totals.waived,
            } += 1;
        }
        let over = |(id, count): (&'static str, u64)| {
            let rest = count.saturating_sub(MAX_FINDINGS_PER_CHECK);
            (rest > 0).then_some((Cow::Borrowed(id), rest))
        };
        Recorded {
            outcomes: self.outcomes.into_iter().map(|(id, o)| (Cow::Borrowed(id), o)).collect(),
            findings: self.findings,
            omitted: self.counts.into_iter().filter_map(over).collect(),
            totals,
        }
    }
}
