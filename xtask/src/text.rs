//! Results as text for people.

mod stores;

use std::{
    collections::BTreeSet,
    io::{IsTerminal as _, stdout},
};

use image_model::{
    Check, Compression, DifferenceKind, Finding, Severity, Totals, VerificationReport,
};

pub(crate) use stores::paths;

/// Paints words on a terminal, unless `NO_COLOR` is set. <https://no-color.org>
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint(bool);

impl Paint {
    pub(crate) fn for_stdout() -> Self {
        let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self(stdout().is_terminal() && !forbidden)
    }

    pub(crate) fn severity(self, severity: Severity) -> String {
        let color = match severity {
            Severity::Error => "31",
            Severity::Warning => "33",
            Severity::Info => "36",
        };
        self.paint(color, severity.as_str())
    }

    /// A word that is good news.
    pub(crate) fn good(self, word: &str) -> String {
        self.paint("32", word)
    }

    /// A word that is no news.
    pub(crate) fn noted(self, word: &str) -> String {
        self.paint("33", word)
    }

    /// A word that is bad news.
    pub(crate) fn bad(self, word: &str) -> String {
        self.paint("31", word)
    }

    fn paint(self, color: &str, text: &str) -> String {
        if self.0 { format!("\x1b[1;{color}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A report: what was judged, one line for each finding, then the totals and the verdict.
pub(crate) fn report(name: &str, report: &VerificationReport, paint: Paint) -> String {
    let subject = &report.subject;
    let mut text = format!("{name}: ");
    text += subject.format.as_deref().unwrap_or("no known format");
    if subject.compression != Compression::None {
        text += &format!(" in {}", subject.compression.as_str());
    }
    text += &format!(", {}", bytes(subject.size));
    if let Some(raw) = subject.raw.filter(|raw| raw.size != subject.size) {
        text += &format!(", {} unpacked", bytes(raw.size));
    }
    text.push('\n');
    if let Some(sha256) = &subject.sha256 {
        text += &format!("  sha256 {sha256}\n");
    }
    if !report.boots.is_empty() {
        text += &format!("  boots {}\n", report.boots.join(", "));
    }
    for store in &report.stores {
        let place = (report.stores.len() > 1).then_some(store.volume.as_str());
        text += &format!("  {}\n", stores::line(store, place));
    }
    for what in &report.not_verified {
        text += &format!("  not verified: {what}\n");
    }
    for finding in &report.findings {
        text += &format!("  {}\n", finding_line(finding, paint));
    }
    for (check, count) in &report.omitted {
        text += &format!("  … and {count} more of {check}\n");
    }
    // A check of severity info did not hold, and yet nothing is wrong.
    let notes = report.findings.iter().filter(|f| f.severity == Severity::Info && !f.waived);
    let noted = notes.map(|finding| &finding.check).collect::<BTreeSet<_>>().len() as u64;
    text + &verdict(&report.totals, noted, paint)
}

/// The last line of a report: how many checks held, and what follows from the others. Of those that
/// did not hold, `noted` are no faults.
pub(crate) fn verdict(totals: &Totals, noted: u64, paint: Paint) -> String {
    let mut text =
        format!("  {} checks held, {} failed", totals.held, totals.failed.saturating_sub(noted));
    if noted > 0 {
        text += &format!(", {noted} noted");
    }
    text += &format!(", {} waived, {} not reached: ", totals.waived, totals.not_reached);
    text += &match (totals.errors, totals.warnings) {
        (1.., _) => paint.paint("31", "defective"),
        (0, 0) => paint.paint("32", "good"),
        (0, n) => paint.paint("33", &format!("good, with {n} {}", plural(n, "warning"))),
    };
    text + "\n"
}

fn finding_line(finding: &Finding, paint: Paint) -> String {
    let waived = if finding.waived { " (waived)" } else { "" };
    format!(
        "{}{waived} {}: {}\n      at {}",
        paint.severity(finding.severity),
        finding.check,
        finding.message,
        finding.at
    )
}

/// A check, as `explain` prints it.
pub(crate) fn check(check: &Check) -> String {
    let lines: Vec<_> = check.explain.lines().map(str::trim).collect();
    format!(
        "{} ({})\n\n{}\n\n  reads  {}\n  source {}\n",
        check.id,
        check.severity.as_str(),
        lines.join("\n").trim(),
        check.reads,
        check.spec
    )
}

/// A way in which images differ, as `explain` prints it.
pub(crate) fn difference(difference: &DifferenceKind) -> String {
    let lines: Vec<_> = difference.explain.lines().map(str::trim).collect();
    let (id, level) = (difference.id, difference.level.as_str());
    format!("{id} (difference, {level})\n\n{}\n", lines.join("\n").trim())
}

/// The first sentence of what a check says about itself.
pub(crate) fn summary(check: &Check) -> String {
    let paragraph = check.explain.split("\n\n").next().unwrap_or_default();
    let line = paragraph.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    line.trim().to_owned()
}

/// A count of bytes in the unit that a person would choose.
pub(crate) fn bytes(count: u64) -> String {
    indicatif::BinaryBytes(count).to_string()
}

/// `word`, or its plural.
pub(crate) fn plural(count: u64, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

/// Rows in columns that are as wide as what is in them. The first row is the header.
pub(crate) fn table<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let mut widths = [0; COLUMNS];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; COLUMNS]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}
