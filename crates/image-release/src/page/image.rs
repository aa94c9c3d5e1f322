//! An image on the page of its release.

use image_model::{Compression, ImageKind, Severity, Totals};
use maud::{Markup, html};

use super::{
    REPORT, files, install, layout, report, sizes,
    text::{Shown, count, grouped, href, human, link},
};
use crate::{
    Image, Release,
    needs::{self, Audience, Need},
};

/// How many rectangles of a treemap this page has, which has several of them; the page of the
/// report has all.
const MAX_RECTS: usize = 600;

/// How many findings this page has of an image.
const MAX_FINDINGS: usize = 12;

/// What it is called in the address of the page.
pub(super) fn id(index: usize, image: &Image) -> String {
    let plain = |char: &char| matches!(char, 'a'..='z' | '0'..='9' | '-');
    let name: String = image.manifest.image.chars().filter(plain).take(64).collect();
    format!("image-{}-{name}", index + 1)
}

/// What it is, in a few words and in a sentence.
pub(super) fn kind(kind: ImageKind) -> (&'static str, &'static str) {
    match kind {
        ImageKind::Wsl => ("for WSL", "A root file system for the Windows Subsystem for Linux."),
        ImageKind::Sd => ("SD card", "An SD card, or another disk that a board starts from."),
        ImageKind::Iso => ("disc or USB stick", "A disc that a PC starts from, or a USB stick."),
        ImageKind::Vm => ("virtual machine", "The disk of a virtual machine, for QEMU and KVM."),
        ImageKind::Docker => ("container", "A container image for Docker and Podman."),
        ImageKind::Virtualbox => ("VirtualBox", "An appliance for VirtualBox."),
        ImageKind::Amazon => ("Amazon EC2", "A disk that Amazon EC2 imports."),
    }
}

/// The processor that it is for, as people call it.
pub(super) fn processor(image: &Image) -> Markup {
    let system = &image.manifest.system;
    html! {
        @match system.strip_suffix("-linux") {
            Some("x86_64") => "64-bit PC (x86-64)",
            Some("aarch64") => "64-bit Arm (AArch64)",
            _ => (Shown(system)),
        }
    }
}

/// True if nobody may say that it was verified.
pub(super) fn is_unverified(image: &Image) -> bool {
    image.unverified.is_some() || !image.report.passed()
}

/// The reason.
pub(super) fn why_unverified(image: &Image) -> Markup {
    html! {
        @match &image.unverified {
            Some(why) => (Shown(why)),
            None => "the report has errors that no waiver covers.",
        }
    }
}

/// The verdict, in two words.
pub(super) fn mark(image: &Image) -> Markup {
    let Totals { warnings, .. } = image.report.totals;
    html! {
        @if is_unverified(image) {
            span.mark.bad { "Not verified" }
        } @else if warnings != 0 {
            span.mark.note { "Verified, " (count(usize::try_from(warnings).unwrap_or(usize::MAX), "warning")) }
        } @else {
            span.mark.good { "Verified" }
        }
        @if files::is_mini(image) { " " span.mark.bad { "Not NixOS" } }
    }
}

/// What people call a board, or a kind of firmware, that an image starts on.
pub(super) fn way(way: &str) -> Option<&'static str> {
    Some(match way {
        "pi-zero-2" => "Raspberry Pi Zero 2 W",
        "pi-3" => "Raspberry Pi 3",
        "pi-3-plus" => "Raspberry Pi 3+",
        "cm-3" => "Compute Module 3",
        "pi-4" => "Raspberry Pi 4",
        "pi-400" => "Raspberry Pi 400",
        "cm-4" => "Compute Module 4",
        "pi-5" => "Raspberry Pi 5",
        "cm-5" => "Compute Module 5",
        "u-boot" => "Boards with U-Boot of their own",
        "uefi" => "Boards with UEFI",
        "bios from disc" => "BIOS, from a disc",
        "bios from usb" => "BIOS, from a USB stick",
        "uefi-x86_64 from disc" => "UEFI on x86-64, from a disc",
        "uefi-x86_64 from usb" => "UEFI on x86-64, from a USB stick",
        "uefi-aarch64 from disc" => "UEFI on AArch64, from a disc",
        "uefi-aarch64 from usb" => "UEFI on AArch64, from a USB stick",
        _ => return None,
    })
}

/// A small drawing of the kind: says nothing that words do not.
pub(super) fn icon(kind: ImageKind) -> Markup {
    let path = match kind {
        ImageKind::Wsl => "M3 5h18v14H3zM3 9h18M7 12.5l2 1.75-2 1.75M12 16h4",
        ImageKind::Sd => "M6 3h9l4 4v14H6zM9.5 6.5v3M12.5 6.5v3M15.5 8v2M9 14h7v4H9z",
        ImageKind::Iso => {
            "M12 3a9 9 0 100 18 9 9 0 000-18zM12 9.5a2.5 2.5 0 100 5 2.5 2.5 0 000-5zM12 6a6 6 0 016 6"
        }
        ImageKind::Vm => "M3 4h18v12H3zM8.5 20h7M12 16v4M7 7h6v5H7zM13 9h4v5h-6v-2",
        ImageKind::Docker => "M3 8l9-4.5L21 8v8.5L12 21l-9-4.5zM3 8l9 4.5L21 8M12 12.5V21",
        ImageKind::Virtualbox => "M4 4h12v12H4zM8 16v4h12V8h-4M8 8h4v4H8z",
        ImageKind::Amazon => {
            "M7 18.5a4.5 4.5 0 01-.6-8.96 6 6 0 0111.5 1.2A3.9 3.9 0 0117.5 18.5zM12 15.5v-5M9.8 12.6l2.2-2.2 2.2 2.2"
        }
    };
    html! { svg.icon viewBox="0 0 24 24" aria-hidden="true" { path d=(path) {} } }
}

/// All that is said of an image.
pub(super) fn article(
    release: &Release,
    index: usize,
    image: &Image,
    imager: Option<&str>,
) -> Markup {
    let id = id(index, image);
    let artifact = image.payload();
    let size = artifact.digests.size;
    let title = format!("{id}-title");
    html! {
        article.card.unproven[is_unverified(image) || files::is_mini(image)] id=(id) aria-labelledby=(title) {
            header {
                (icon(image.manifest.kind))
                div {
                    h3 id=(title) { (Shown(&image.manifest.title)) }
                    p { (kind(image.manifest.kind).1) }
                }
                p.marks { (mark(image)) }
            }
            @if is_unverified(image) {
                .banner role="note" {
                    p { strong { "Not verified" } }
                    p { (why_unverified(image)) }
                }
            }
            @if files::is_mini(image) {
                .banner role="note" {
                    p { strong { "Not NixOS" } }
                    p { "Made by the driver " code { "mini" } ": a small system around busybox." }
                }
            }
            a.get href=(href(&artifact.file)) {
                span { "Download " (Shown(&artifact.file)) } " " span { (human(size)) }
            }
            dl.facts {
                div { dt { "Processor" } dd { (processor(image)) } }
                div { dt { "Size" } dd { (grouped(size)) " bytes" } }
                @if artifact.compression != Compression::None {
                    div {
                        dt { "Unpacked" }
                        dd { (human(artifact.raw.size)) " (" (grouped(artifact.raw.size)) " bytes)" }
                    }
                    div { dt { "Compression" } dd { (artifact.compression.as_str()) } }
                }
                div { dt { "Format" } dd { (Shown(&artifact.format)) } }
            }
            dl.sums { (digests(image)) }
            section {
                h4 { "Install" }
                (needs(image))
                (install::ways(release, image, imager))
            }
            section {
                h4 { "What was verified" }
                (verified(image))
            }
            @if let Some(layout) = &image.report.layout {
                section {
                    h4 { "Partition map" }
                    (layout::map(layout, &id))
                }
            }
            (treemap(image, &id, MAX_RECTS, false))
            section {
                h4 { "Files about it" }
                ul.plain.two.close {
                    @for row in files::about(image) {
                        li { small { (row.what) } br; (link(&row.file)) }
                    }
                }
            }
        }
    }
}

/// The digests of the file, and of what is in its compression; with the names of both, as people
/// compare one with the other.
pub(super) fn digests(image: &Image) -> Markup {
    let artifact = image.payload();
    html! {
        div {
            dt { "SHA-256 of the file " code { (Shown(&artifact.file)) } }
            dd { code.all { (artifact.digests.sha256) } }
        }
        @if artifact.compression != Compression::None {
            @let raw = install::without_compression(image);
            div {
                dt {
                    "SHA-256 of what is in it"
                    @if raw != artifact.file { ", the file " code { (Shown(raw)) } }
                }
                dd { code.all { (artifact.raw.sha256) } }
            }
        }
    }
}

/// What the report says, in short.
fn verified(image: &Image) -> Markup {
    let report = &image.report;
    let by_severity = |wanted: Severity| {
        report.findings.iter().filter(move |finding| !finding.waived && finding.severity == wanted)
    };
    let findings: Vec<_> = [Severity::Error, Severity::Warning, Severity::Info]
        .into_iter()
        .flat_map(by_severity)
        .collect();
    html! {
        (report::numbers(report))
        (report::short(report))
        @if !findings.is_empty() {
            details open[findings.len() <= 3] {
                summary { (count(findings.len(), "finding")) " that no waiver covers" }
                ul.found {
                    @for finding in findings.iter().take(MAX_FINDINGS) {
                        (report::finding(finding, false))
                    }
                }
                @if findings.len() > MAX_FINDINGS {
                    p.soft { (findings.len() - MAX_FINDINGS) " more are in the report." }
                }
            }
        }
        (report::waivers(report))
        p {
            a href=(href(&image.beside(REPORT))) { "The whole report: every check, and what it says" }
        }
    }
}

/// What those who write or import the image have to know, in the words of the release.
fn needs(image: &Image) -> Markup {
    let told = needs::of_image(image.manifest.kind, image.payload(), image.content_size);
    // Where the files lie is of no interest to who has found them, and the ways to install an image
    // say what is only good to know.
    let matters =
        |need: &&Need| need.audience != Audience::Github && need.severity != Severity::Info;
    let told: Vec<_> = told.iter().filter(matters).collect();
    html! {
        @if !told.is_empty() {
            ul.found {
                @for need in told {
                    li class={ "is-" (need.severity.as_str()) } { (Shown(&capitalized(&need.text))) "." }
                }
            }
        }
    }
}

/// A sentence, from words that could stand within one.
fn capitalized(text: &str) -> String {
    // The names of programs are written as they are.
    let first = text.chars().next().filter(|_| !text.starts_with("balenaEtcher"));
    match first {
        Some(first) => first.to_uppercase().chain(text.chars().skip(1)).collect(),
        None => text.to_owned(),
    }
}

/// The treemap as a section, where there is one: closed on a page with several.
pub(super) fn treemap(image: &Image, id: &str, most: usize, alone: bool) -> Markup {
    let title = format!("Sizes of what is in {}", image.payload().file);
    let drawn = image.sizes.as_deref().and_then(|svg| {
        sizes::read(svg, |map| map.draw(&format!("{id}-sizes-title"), &title, most))
    });
    let Some(drawn) = drawn else { return html! {} };
    let words = html! {
        p.soft {
            "A rectangle is as large as what it stands for. A package has the same color in every "
            "image; point at a rectangle to see its whole name."
        }
        .wide tabindex="0" role="group" aria-label=(Shown(&title).to_string()) { (drawn) }
    };
    html! {
        section {
            @if alone {
                h2 { "Where the bytes are" }
                .card { (words) }
            } @else {
                h4 { "Where the bytes are" }
                details {
                    summary { "Show a map of what is in it" }
                    (words)
                }
            }
        }
    }
}
