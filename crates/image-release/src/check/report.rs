//! What was found out about a release.

use std::{borrow::Cow, cmp::Reverse, collections::BTreeMap};

use image_model::{Check, Outcome, Severity, Sha256, SignatureScheme, Totals};
use image_verify::{MAX_FINDINGS_PER_CHECK, release::CHECKS, tree::display};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of the shape of a [`ReleaseReport`]. Grows when a key changes its meaning or goes away.
pub const RELEASE_REPORT_SCHEMA: u32 = 1;

/// The most bytes of a message: names in it are those of files that somebody put there.
const MAX_MESSAGE: usize = 1 << 10;

/// The result of checking a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseReport {
    /// [`RELEASE_REPORT_SCHEMA`].
    pub schema: u32,
    /// Where the release was read.
    pub place: String,
    /// Its version, as its manifest says. What is not printable is escaped, here and in all that
    /// the release calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// SHA-256 of its list of checksums, on which everything hangs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sums: Option<Sha256>,
    /// Its images.
    pub images: Vec<CheckedImage>,
    /// Its signatures.
    pub signatures: Vec<CheckedSignature>,
    /// How many files were read.
    pub files: u64,
    /// How many bytes these have.
    pub bytes: u64,
    /// Counts over the rest of the report.
    pub totals: Totals,
    /// Every check, by id.
    pub outcomes: BTreeMap<Cow<'static, str>, Outcome>,
    /// What does not hold, the worst first: at most a fixed number for each check.
    pub findings: Vec<ReleaseFinding>,
    /// How many further findings each check had that are not listed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub omitted: BTreeMap<Cow<'static, str>, u64>,
}

impl ReleaseReport {
    /// True if nothing is wrong with the release.
    pub fn passed(&self) -> bool {
        self.totals.errors == 0
    }
}

/// An image of a release that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CheckedImage {
    /// Name of its definition.
    pub image: String,
    /// Name of its file.
    pub file: String,
    /// SHA-256 that the file should have.
    pub sha256: Sha256,
    /// True if its report passed, and nobody had to insist.
    pub verified: bool,
}

/// A signature of a release that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CheckedSignature {
    /// How it is made.
    pub scheme: SignatureScheme,
    /// The file that has it.
    pub file: String,
    /// The key that it is by; absent where it does not match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// True if that key was given, and not only came along.
    pub given: bool,
    /// When it says that it was made, as RFC 3339 writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

/// One thing that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseFinding {
    /// Id of the check.
    pub check: Cow<'static, str>,
    /// Copied from the check, so that a report can be read alone.
    pub severity: Severity,
    /// The file that it is about; absent where it is about all of the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What was found and what was expected, in one line.
    pub message: String,
}

/// Text of strangers, for people: what is not printable is escaped, and what is long is cut.
pub(super) fn printable(text: &str) -> String {
    let mut text = display(text.as_bytes());
    if text.len() > MAX_MESSAGE {
        let end = (0..=MAX_MESSAGE).rfind(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    text
}

/// Collects what the checks find.
#[derive(Debug)]
pub(super) struct Recorder {
    outcomes: BTreeMap<&'static str, Outcome>,
    counts: BTreeMap<&'static str, u64>,
    findings: Vec<ReleaseFinding>,
}

impl Recorder {
    pub(super) fn new() -> Self {
        let outcomes = CHECKS.iter().map(|check| (check.id, Outcome::NotReached)).collect();
        Self { outcomes, counts: BTreeMap::new(), findings: Vec::new() }
    }

    /// Records whether `check` holds of `file` (empty: of all of the release), and returns it. The
    /// closure says what was found, then what was expected; it runs only where the check does not
    /// hold.
    pub(super) fn expect(
        &mut self,
        check: &'static Check,
        holds: bool,
        file: &str,
        message: impl FnOnce() -> String,
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
            self.findings.push(ReleaseFinding {
                check: Cow::Borrowed(check.id),
                severity: check.severity,
                file: (!file.is_empty()).then(|| printable(file)),
                message: printable(&message()),
            });
        }
        false
    }

    /// Records that a check does not hold.
    pub(super) fn fail(&mut self, check: &'static Check, file: &str, message: String) {
        self.expect(check, false, file, || message);
    }

    /// Records that a check holds unless it was found not to.
    pub(super) fn hold(&mut self, check: &'static Check) {
        self.expect(check, true, "", String::new);
    }

    /// Ends the collection: fills in what it knows of a report.
    pub(super) fn finish(self, mut report: ReleaseReport) -> ReleaseReport {
        let totals = &mut report.totals;
        for check in CHECKS {
            let count = self.counts.get(check.id).copied().unwrap_or(0);
            match check.severity {
                Severity::Error => totals.errors += count,
                Severity::Warning => totals.warnings += count,
                Severity::Info => totals.infos += count,
            }
        }
        for (id, outcome) in self.outcomes {
            match outcome {
                Outcome::Held => totals.held += 1,
                Outcome::Failed => totals.failed += 1,
                Outcome::NotReached => totals.not_reached += 1,
                Outcome::Waived => totals.waived += 1,
            }
            report.outcomes.insert(Cow::Borrowed(id), outcome);
        }
        report.findings = self.findings;
        report.findings.sort_by_key(|finding| Reverse(finding.severity));
        for (id, count) in self.counts {
            if count > MAX_FINDINGS_PER_CHECK {
                report.omitted.insert(Cow::Borrowed(id), count - MAX_FINDINGS_PER_CHECK);
            }
        }
        report
    }
}
