//! What the verification said, as a result of tests.
//! <https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md>, version 0.1.

use std::collections::BTreeMap;

use image_model::{Outcome, Severity, VerificationReport};
use serde::Deserialize;
use serde_json::{Value, json};

use super::statement::{Subject, about, descriptor};
use crate::{Image, Release};

/// The type of the predicate.
pub const TEST_RESULT: &str = "https://in-toto.io/attestation/test-result/v0.1";

/// What the report says of the image; `None` where it speaks of other bytes.
pub(super) fn statement(release: &Release, image: &Image) -> Option<Value> {
    let report = &image.report;
    if report.subject.sha256 != Some(image.payload().digests.sha256) {
        return None;
    }
    let Verdicts { passed, warned, failed } = Verdicts::of(report);
    let summary = &image.verification;
    // What was asked, of what, and what was waived, is in the report itself.
    let mut configuration = descriptor(release, &summary.file, summary.sha256, "application/json");
    let annotations = json!({
        "verifier": format!("{} {}", report.verifier.name, report.verifier.version),
        "kind": report.kind,
        "waivers": report.waivers,
        "notVerified": report.not_verified,
    });
    configuration.insert("annotations".to_owned(), annotations);
    let predicate = json!({
        "result": TestResult::verdict(report),
        "configuration": [configuration],
        "passedTests": passed,
        "warnedTests": warned,
        "failedTests": failed,
    });
    Some(about(image, TEST_RESULT, &predicate))
}

/// Checks by what became of them. Those that were not reached are in no list: nothing is known.
struct Verdicts<'a> {
    passed: Vec<&'a str>,
    warned: Vec<&'a str>,
    failed: Vec<&'a str>,
}

impl<'a> Verdicts<'a> {
    fn of(report: &'a VerificationReport) -> Self {
        // Each check that failed has a finding at least.
        let severity: BTreeMap<&str, Severity> =
            report.findings.iter().map(|f| (f.check.as_ref(), f.severity)).collect();
        let mut all = Self { passed: Vec::new(), warned: Vec::new(), failed: Vec::new() };
        for (check, outcome) in &report.outcomes {
            let check = check.as_ref();
            match (outcome, severity.get(check)) {
                (Outcome::NotReached, _) => {}
                // An info is no warning: the image is as it should be, and it is worth knowing how.
                (Outcome::Held, _) | (Outcome::Failed, Some(Severity::Info)) => {
                    all.passed.push(check);
                }
                (Outcome::Waived, _) | (Outcome::Failed, Some(Severity::Warning)) => {
                    all.warned.push(check);
                }
                (Outcome::Failed, Some(Severity::Error) | None) => all.failed.push(check),
            }
        }
        all
    }
}

/// The predicate, as it is read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestResult {
    /// `PASSED`, `WARNED` or `FAILED`.
    pub result: String,
    /// What was configured: the report.
    pub configuration: Vec<Subject>,
    /// Checks that held.
    #[serde(default)]
    pub passed_tests: Vec<String>,
    /// Checks that did not, and somebody should know of it.
    #[serde(default)]
    pub warned_tests: Vec<String>,
    /// Checks that failed.
    #[serde(default)]
    pub failed_tests: Vec<String>,
}

impl TestResult {
    /// The one word for a report.
    pub fn verdict(report: &VerificationReport) -> &'static str {
        match (report.passed(), Verdicts::of(report).warned.is_empty()) {
            (false, _) => "FAILED",
            (true, false) => "WARNED",
            (true, true) => "PASSED",
        }
    }
}
