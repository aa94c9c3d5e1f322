//! What findings say, and whether those of broken twins are the right ones.

use std::collections::BTreeSet;

use image_model::{Check, Finding, Severity, Totals};

/// Findings for people.
pub(crate) fn told(findings: &[Finding]) -> Vec<String> {
    let line =
        |f: &Finding| format!("{} {}: {}: {}", f.severity.as_str(), f.check, f.at, f.message);
    findings.iter().map(line).collect()
}

/// The checks that fail.
pub(crate) fn failed(findings: &[Finding]) -> BTreeSet<String> {
    findings.iter().map(|finding| finding.check.to_string()).collect()
}

/// Every check has a twin, and every twin a check.
pub(crate) fn assert_twins_of(checks: &[&Check], twins: impl Iterator<Item = &'static str>) {
    let declared: BTreeSet<_> = checks.iter().map(|check| check.id).collect();
    assert_eq!(declared, twins.collect());
}

/// What is found in a twin.
pub(crate) struct Judged {
    pub(crate) check: &'static str,
    /// Checks that cannot but fail with it.
    pub(crate) also: &'static [&'static str],
    pub(crate) findings: Vec<Finding>,
    pub(crate) totals: Totals,
}

/// What is told of each twin, of which only its checks report, and as severely as they are declared.
pub(crate) fn reports(
    checks: &[&Check],
    twins: impl Iterator<Item = Judged>,
) -> Vec<(&'static str, Vec<String>)> {
    let (mut wrong, mut reports) = (Vec::new(), Vec::new());
    for Judged { check, also, findings, totals } in twins {
        let expected = also.iter().chain([&check]).map(|id| (*id).to_owned()).collect();
        if failed(&findings) != expected {
            wrong.push(format!("{check}: {:#?}", told(&findings)));
        }
        let declared = checks.iter().find(|declared| declared.id == check).unwrap();
        let severest = findings.iter().map(|finding| finding.severity).max();
        // A disk beyond the limits contradicts what else tells its size, and those are errors.
        if severest != Some(declared.severity) && check != "vmdk-limits" {
            wrong.push(format!("{check}: {severest:?}"));
        }
        assert_eq!(totals.errors > 0, severest == Some(Severity::Error), "{check}");
        reports.push((check, told(&findings)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    reports
}
