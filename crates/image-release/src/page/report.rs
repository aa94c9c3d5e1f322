//! The report of the verification of an image, as a page.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use image_model::{
    Check, Finding, Outcome, PathVerdict, Severity, StorePath, StoreReport, Totals, Trust,
    VerificationReport,
};
use maud::{Markup, html};

use super::{
    image,
    index::made_by,
    layout,
    shell::{Shell, footer},
    sizes,
    text::{Shown, count, grouped, human, link, markdown, summary},
};
use crate::{Image, PAGE, Release};

/// How many findings the page has.
const MAX_FINDINGS: usize = 1000;
/// How many store paths the page has of a store, those that are not intact first.
const MAX_PATHS: usize = 1000;
/// How many rectangles of the treemap: all of them.
const MAX_RECTS: usize = 10_000;

/// The page.
pub(super) fn page(release: &Release, image: &Image) -> Markup {
    let report = &image.report;
    let file = &image.payload().file;
    let title = format!("Verification of {file}");
    let style = if image.sizes.is_some() { sizes::style() } else { String::new() };
    let shell = Shell {
        title: &title,
        about: &format!("What was checked of {file}, and what was found."),
        skip: ("summary", "Skip to the result"),
        style: &style,
    };
    let waived = report.waivers.is_empty();
    shell.around(&html! {
        header {
            p.over { a href=(super::text::href(PAGE)) { (Shown(&release.spec.title)) " " (Shown(&release.version)) } }
            h1.of-report { "Verification of " (Shown(&image.manifest.title)) }
            dl.facts {
                div { dt { "File" } dd { (link(file)) } }
                div { dt { "Size" } dd { (human(report.subject.size)) " (" (grouped(report.subject.size)) " bytes)" } }
                @if let Some(format) = &report.subject.format {
                    div { dt { "Format" } dd { (Shown(format)) } }
                }
                div { dt { "Verifier" } dd { (Shown(&report.verifier.name)) " " (Shown(&report.verifier.version)) } }
            }
            nav aria-label="On this page" {
                ul.pages {
                    li { a href="#summary" { "Result" } }
                    @if !report.findings.is_empty() { li { a href="#findings" { "Findings" } } }
                    @if !waived { li { a href="#waivers" { "Waivers" } } }
                    @if report.layout.is_some() { li { a href="#layout" { "Partition map" } } }
                    @if !report.stores.is_empty() { li { a href="#stores" { "Nix stores" } } }
                    li { a href="#checks" { "All checks" } }
                }
            }
        }
        main {
            section id="summary" aria-labelledby="summary-title" {
                h2 id="summary-title" { "Result" }
                .card.unproven[image::is_unverified(image)] {
                    p { (image::mark(image)) }
                    @if image::is_unverified(image) {
                        .banner role="note" {
                            p { strong { "Not verified" } }
                            p { (image::why_unverified(image)) }
                        }
                    }
                    (numbers(report))
                    (short(report))
                    dl.sums { (subject(report)) }
                    p.soft { "For programs: " (link(&image.verification.file)) }
                }
            }
            (findings(report))
            @if !waived {
                section id="waivers" aria-labelledby="waivers-title" {
                    h2 id="waivers-title" { "Waivers" }
                    .card { (waivers(report)) }
                }
            }
            @if let Some(layout) = &report.layout {
                section id="layout" aria-labelledby="layout-title" {
                    h2 id="layout-title" { "Partition map" }
                    .card { (layout::map(layout, "image")) }
                }
            }
            (image::treemap(image, "image", MAX_RECTS, true))
            (stores(image))
            (checks(report))
        }
        (footer(&made_by(release)))
    })
}

/// How many checks had which outcome.
pub(super) fn numbers(report: &VerificationReport) -> Markup {
    let Totals { held, failed, not_reached, waived, errors, warnings, .. } = report.totals;
    // A check of severity info did not hold, and yet nothing is wrong.
    let notes = report.findings.iter().filter(|one| one.severity == Severity::Info && !one.waived);
    let noted = notes.map(|one| &one.check).collect::<BTreeSet<_>>().len() as u64;
    html! {
        dl.numbers {
            div { dt { "checks held" } dd { (grouped(held)) } }
            div.bad[errors != 0] { dt { "failed" } dd { (grouped(failed.saturating_sub(noted))) } }
            @if warnings != 0 { div { dt { "warnings" } dd { (grouped(warnings)) } } }
            @if noted != 0 { div { dt { "noted" } dd { (grouped(noted)) } } }
            div { dt { "waived" } dd { (grouped(waived)) } }
            div { dt { "not reached" } dd { (grouped(not_reached)) } }
        }
    }
}

/// In which ways the image boots, and what of it nobody looked at.
pub(super) fn short(report: &VerificationReport) -> Markup {
    html! {
        @if !report.boots.is_empty() {
            p { strong { "Boots" } }
            ul.ways {
                @for way in &report.boots {
                    li {
                        span.mark.good {
                            @match image::way(way) { Some(name) => (name), None => (Shown(way)) }
                        }
                    }
                }
             }
        }
        @if !report.not_verified.is_empty() {
            p { strong { "Not looked at by any check" } }
            ul.ways { @for what in &report.not_verified { li { (Shown(what)) } } }
        }
    }
}

/// The bytes that the report is about.
fn subject(report: &VerificationReport) -> Markup {
    html! {
        @if let Some(sha256) = report.subject.sha256 {
            div { dt { "SHA-256 of the file" } dd { code.all { (sha256) } } }
        }
        @if let Some(raw) = report.subject.raw.filter(|raw| Some(raw.sha256) != report.subject.sha256) {
            div {
                dt { "SHA-256 of what is in it, " (human(raw.size)) " (" (grouped(raw.size)) " bytes)" }
                dd { code.all { (raw.sha256) } }
            }
        }
    }
}

/// The checks that are waived, and why.
pub(super) fn waivers(report: &VerificationReport) -> Markup {
    html! {
        @if !report.waivers.is_empty() {
            p { strong { "Waived, by the definition of the image" } }
            ul.found {
                @for waiver in &report.waivers {
                    li {
                        code { (Shown(&waiver.check)) }
                        p { (Shown(&waiver.reason)) }
                    }
                }
            }
        }
    }
}

/// A finding: what and where, and on its own page why it matters.
pub(super) fn finding(finding: &Finding, whole: bool) -> Markup {
    let severity = finding.severity.as_str();
    let mark = match (finding.waived, finding.severity) {
        (true, _) | (_, Severity::Info) => "none",
        (_, Severity::Warning) => "note",
        (_, Severity::Error) => "bad",
    };
    let class = if finding.waived { "" } else { severity };
    html! {
        li class={ "is-" (class) } {
            span class={ "mark " (mark) } { (severity) @if finding.waived { ", waived" } }
            " " code { (Shown(&finding.check)) }
            p { (Shown(&finding.message)) }
            p.soft { small { "at " (Shown(&finding.at.to_string())) } }
            @if whole && let Some(check) = image_verify::checks().find(|check| check.id == finding.check) {
                (explained(check))
            }
        }
    }
}

/// Why a check exists.
fn explained(check: &Check) -> Markup {
    html! {
        details {
            summary { "Why this matters" }
            (markdown(check.explain))
            p.soft { "Reads " (summary(check.reads)) ". Source: " (Shown(check.spec)) "." }
        }
    }
}

fn findings(report: &VerificationReport) -> Markup {
    if report.findings.is_empty() {
        return html! {};
    }
    // In the order of the bytes within each.
    let groups = [
        ("Errors", Severity::Error, false),
        ("Warnings", Severity::Warning, false),
        ("Notes", Severity::Info, false),
    ];
    let mut left = MAX_FINDINGS;
    let mut take = |severity: Severity, waived: bool| {
        let all = report
            .findings
            .iter()
            .filter(|finding| finding.waived == waived && (waived || finding.severity == severity));
        let taken: Vec<_> = all.take(left).collect();
        left -= taken.len();
        taken
    };
    let groups = groups.map(|(title, severity, waived)| (title, take(severity, waived)));
    let waived = ("Waived", take(Severity::Info, true));
    let shown = MAX_FINDINGS - left;
    let unlisted: u64 = report.omitted.values().sum();
    html! {
        section id="findings" aria-labelledby="findings-title" {
            h2 id="findings-title" { "Findings" }
            @for (title, found) in groups.iter().chain([&waived]).filter(|(_, found)| !found.is_empty()) {
                .card {
                    h3 { (title) }
                    ul.found { @for one in found { (finding(one, true)) } }
                }
            }
            @if shown < report.findings.len() {
                p { (count(report.findings.len() - shown, "finding")) " more are in the report for programs." }
            }
            @if unlisted != 0 {
                p {
                    (grouped(unlisted)) " more were found and not written down: of these checks there "
                    "were too many. "
                    @for (index, (check, number)) in report.omitted.iter().enumerate() {
                        @if index != 0 { ", " }
                        code { (Shown(check)) } " " (grouped(*number))
                    }
                }
            }
        }
    }
}

/// All checks, by format.
fn checks(report: &VerificationReport) -> Markup {
    let known: HashMap<&str, &Check> =
        image_verify::checks().map(|check| (check.id, check)).collect();
    let mut groups: BTreeMap<&str, Vec<(&str, Outcome)>> = BTreeMap::new();
    for (id, outcome) in &report.outcomes {
        groups.entry(format_of(id)).or_default().push((id, *outcome));
    }
    html! {
        section id="checks" aria-labelledby="checks-title" {
            h2 id="checks-title" { "All checks" }
            p {
                (count(report.outcomes.len(), "check"))
                " could have run. One that was not reached is about something that the image does not "
                "have, or follows one that failed."
            }
            @for (format, checks) in &groups {
                (group(format, checks, &known))
            }
        }
    }
}

fn group(format: &str, checks: &[(&str, Outcome)], known: &HashMap<&str, &Check>) -> Markup {
    let marks = [
        (Outcome::Held, None),
        (Outcome::Failed, Some(Severity::Error)),
        (Outcome::Failed, Some(Severity::Warning)),
        (Outcome::Failed, Some(Severity::Info)),
        (Outcome::Waived, None),
        (Outcome::NotReached, None),
    ];
    let marks = marks.into_iter().filter_map(|(wanted, severity)| {
        let is = |(id, outcome): &&(&str, Outcome)| {
            // Of a check that this version does not know, the worst.
            let known = known.get(id).map_or(Severity::Error, |check| check.severity);
            *outcome == wanted && severity.is_none_or(|severity| severity == known)
        };
        let number = checks.iter().filter(is).count();
        (number != 0).then(|| outcome_mark(wanted, severity, Some(number)))
    });
    html! {
        details.box {
            summary { (Shown(format)) @for mark in marks { " " (mark) } }
            .wide tabindex="0" role="group" aria-label={ "Checks of " (Shown(format).to_string()) } {
                table {
                    thead { tr { th scope="col" { "Check" } th scope="col" { "Outcome" } th scope="col" { "What it is about" } } }
                    tbody {
                        @for (id, outcome) in checks {
                            tr {
                                th.names scope="row" { (Shown(id)) }
                                td { (outcome_mark(*outcome, known.get(id).map(|check| check.severity), None)) }
                                td {
                                    @match known.get(id) {
                                        Some(check) => (summary(check.explain)),
                                        None => span.soft { "no check of this version" },
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// An outcome; of how many checks, where there are several.
fn outcome_mark(outcome: Outcome, severity: Option<Severity>, number: Option<usize>) -> Markup {
    let (class, word) = match (outcome, severity) {
        (Outcome::Held, _) => ("good", "held"),
        (Outcome::Failed, Some(Severity::Info)) => ("none", "noted"),
        (Outcome::Failed, Some(Severity::Warning)) => ("note", "warning"),
        (Outcome::Failed, _) => ("bad", "failed"),
        (Outcome::Waived, _) => ("note", "waived"),
        (Outcome::NotReached, _) => ("none", "not reached"),
    };
    html! { span class={ "mark " (class) } { @if let Some(number) = number { (number) " " } (word) } }
}

/// The first word of the id of a check is its format.
fn format_of(id: &str) -> &str {
    match id.split_once('-') {
        _ if id.starts_with("el-torito-") => "el-torito",
        _ if id.starts_with("rock-ridge-") => "rock-ridge",
        Some((format, _)) => format,
        None => id,
    }
}

fn stores(image: &Image) -> Markup {
    if image.report.stores.is_empty() {
        return html! {};
    }
    html! {
        section id="stores" aria-labelledby="stores-title" {
            h2 id="stores-title" { "Nix stores" }
            p {
                "Every path was read from the image, hashed as Nix does it, and compared with what Nix "
                "registered there."
            }
            @for (index, one) in image.report.stores.iter().enumerate() {
                .card { (store(image, index, one)) }
            }
        }
    }
}

fn store(image: &Image, index: usize, store: &StoreReport) -> Markup {
    let bytes = store.paths.iter().filter_map(|path| path.nar).map(|nar| nar.nar_size);
    let bytes = bytes.fold(0, u64::saturating_add);
    let number =
        |is: &dyn Fn(&StorePath) -> bool| store.paths.iter().filter(|path| is(path)).count() as u64;
    let intact = number(&|path| path.verdict == PathVerdict::Intact);
    let broken = store.paths.len() as u64 - intact;
    let mut paths: Vec<_> = store.paths.iter().collect();
    // Stable: those of each verdict stay sorted.
    paths.sort_by_key(|path| path.verdict == PathVerdict::Intact);
    let left_out = paths.len().saturating_sub(MAX_PATHS);
    let caption = format!("store-{}-caption", index + 1);
    html! {
        h3 { "Store of " (Shown(&store.volume)) }
        dl.numbers {
            div { dt { "paths" } dd { (grouped(store.paths.len() as u64)) } }
            div { dt { "of content" } dd { (human(bytes)) } }
            div { dt { "intact" } dd { (grouped(intact)) } }
            @if broken != 0 { div.bad { dt { "not intact" } dd { (grouped(broken)) } } }
        }
        dl.facts {
            div { dt { "Signed" } dd { (grouped(number(&|path| matches!(path.trust, Trust::Signed { .. })))) } }
            div { dt { "Named by their content" } dd { (grouped(number(&|path| path.trust == Trust::ContentAddressed))) } }
            div { dt { "Built there" } dd { (grouped(number(&|path| path.trust == Trust::Built))) } }
            div { dt { "Of unknown origin" } dd { (grouped(number(&|path| path.trust == Trust::Unknown))) } }
        }
        @if !store.trusted_keys.is_empty() {
            p { "Keys that count: " @for (index, key) in store.trusted_keys.iter().enumerate() { @if index != 0 { ", " } code { (Shown(key)) } } }
        }
        details {
            summary { "The paths" }
            .wide tabindex="0" role="group" aria-labelledby=(caption) {
                table {
                    caption id=(caption) {
                        (count(paths.len() - left_out, "path"))
                        @if left_out != 0 {
                            " of " (grouped(paths.len() as u64)) "; all are in " (link(&image.verification.file))
                        }
                    }
                    thead {
                        tr {
                            th scope="col" { "Path" }
                            th scope="col" { "Verdict" }
                            th scope="col" { "Who vouches for it" }
                            th.number scope="col" { "Bytes" }
                        }
                    }
                    tbody { @for path in paths.iter().take(MAX_PATHS) { (row(path)) } }
                }
            }
        }
    }
}

fn row(path: &StorePath) -> Markup {
    html! {
        tr {
            th.name.names scope="row" { (Shown(&path.path)) }
            td {
                @if path.verdict == PathVerdict::Intact { "intact" }
                @else { span.mark.bad { (path.verdict.as_str()) } }
            }
            td {
                @match &path.trust {
                    Trust::Signed { by } => {
                        @for (index, key) in by.iter().enumerate() { @if index != 0 { ", " } (Shown(key)) }
                    }
                    Trust::ContentAddressed => "its content",
                    Trust::Built => "the Nix that built it",
                    Trust::Unknown => span.soft { "nobody known" },
                }
            }
            td.number {
                @match path.nar {
                    Some(nar) => (grouped(nar.nar_size)),
                    None => span.soft { "–" },
                }
            }
        }
    }
}
