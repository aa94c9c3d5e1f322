//! The catalogs of a release, and what their clients are told.

use image_model::FileRole;
use maud::{Markup, html};

use super::{
    index::Whole,
    install::{Shell, commands},
    text::{Shown, link, powershell, sh},
};
use crate::{Document, Release};

/// The catalog of Raspberry Pi Imager.
const IMAGER: &str = "os_list_imagingutility_v4.json";
/// That of WSL.
const WSL: &str = "DistributionInfo.json";
/// The first file that clients of simplestreams ask for.
const SIMPLESTREAMS: &str = "simplestreams-index.json";

/// A kind of catalog.
struct About<'a> {
    title: &'static str,
    text: &'static str,
    shell: Shell,
    lines: Vec<String>,
    files: Vec<&'a Document>,
}

/// Where Raspberry Pi Imager finds its catalog, if there is one and the address is known.
pub(super) fn imager(whole: &Whole<'_>) -> Option<String> {
    let catalog = whole.catalogs.documents.iter().find(|document| document.file == IMAGER)?;
    address(whole.release, &catalog.file)
}

/// The address of a catalog: that of the newest release where there is one, as clients ask again.
fn address(release: &Release, file: &str) -> Option<String> {
    release.latest(file).or_else(|| release.url(file)).map(String::from)
}

/// The section about them; nothing where there is neither one nor a reason for none.
pub(super) fn section(whole: &Whole<'_>) -> Markup {
    let about = list(whole);
    let omitted = &whole.catalogs.omitted;
    if about.is_empty() && omitted.is_empty() {
        return html! {};
    }
    html! {
        section id="catalogs" aria-labelledby="catalogs-title" {
            h2 id="catalogs-title" { "For programs that find images by themselves" }
            @for one in &about {
                .card {
                    h3 { (one.title) }
                    p { (one.text) }
                    (commands(one.shell, &one.lines))
                    p {
                        @for (index, document) in one.files.iter().enumerate() {
                            @if index != 0 { " · " }
                            (link(&document.file))
                            @if let Some(also) = &document.also {
                                " (published also as " code { (Shown(also)) } ")"
                            }
                        }
                    }
                }
            }
            @if !omitted.is_empty() {
                .card {
                    h3 { "What is in no catalog" }
                    ul.found {
                        @for one in omitted {
                            li {
                                strong { (Shown(&one.catalog)) }
                                @if let Some(image) = &one.image { ", " (Shown(image)) }
                                p { (Shown(&one.why)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn list<'a>(whole: &Whole<'a>) -> Vec<About<'a>> {
    let release = whole.release;
    let documents = &whole.catalogs.documents;
    let url = |file: &str| address(release, file);
    let with = |found: &dyn Fn(&Document) -> bool| -> Vec<&'a Document> {
        documents.iter().filter(|document| found(document)).collect()
    };
    let mut about = vec![
        About {
            title: "Raspberry Pi Imager",
            shell: Shell::Posix,
            text: "The cards of this release, in the window of the program that writes them.",
            lines: url(IMAGER).map(|url| format!("rpi-imager --repo {}", sh(&url))).into_iter().collect(),
            files: with(&|document| document.file == IMAGER),
        },
        About {
            title: "wsl --install",
            shell: Shell::PowerShell,
            text: "A value of the registry adds the list to what WSL knows. In PowerShell as \
                   administrator, once; then by anybody:",
            lines: url(WSL).map_or_else(Vec::new, |url| vec![
                format!(
                    "Set-ItemProperty 'HKLM:\\Software\\Microsoft\\Windows\\CurrentVersion\\Lxss' \
                     DistributionListUrlAppend {}",
                    powershell(&url)
                ),
                "wsl --list --online".to_owned(),
            ]),
            files: with(&|document| document.file == WSL),
        },
        About {
            title: "systemd-sysupdate",
            shell: Shell::Posix,
            text: "These files keep the newest version of an image in a folder of a machine. It is \
                   taken only if the key that signed SHA256SUMS.gpg is in \
                   /etc/systemd/import-pubring.pgp; earlier versions of systemd look into \
                   import-pubring.gpg.",
            lines: transfer_lines(documents, release),
            files: with(&|document| document.file.ends_with(".transfer")),
        },
        About {
            title: "Incus",
            shell: Shell::Posix,
            text: "A remote like any other: images are listed, fetched and checked by their digests.",
            lines: simplestreams_lines(release),
            files: with(&|document| document.file.starts_with("simplestreams-")
                && document.role == FileRole::Catalog),
        },
    ];
    let known: Vec<&str> =
        about.iter().flat_map(|one| &one.files).map(|document| document.file.as_str()).collect();
    let rest = with(&|document| {
        document.role == FileRole::Catalog && !known.contains(&document.file.as_str())
    });
    let streams = |document: &&Document| document.file == format!("{}.json", release.spec.stream);
    let (streams, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(streams);
    about.push(About {
        title: "Stream metadata",
        shell: Shell::Posix,
        text: "Address and digests of each image by architecture, in the form of the streams of \
               Fedora CoreOS, for scripts.",
        lines: Vec::new(),
        files: streams,
    });
    about.push(About {
        title: "Others",
        shell: Shell::Posix,
        text: "",
        lines: Vec::new(),
        files: others,
    });
    about.retain(|one| !one.files.is_empty());
    about
}

fn transfer_lines(documents: &[Document], release: &Release) -> Vec<String> {
    let files = documents.iter().filter(|document| document.file.ends_with(".transfer"));
    let mut lines = Vec::new();
    for document in files {
        if let Some(url) = address(release, &document.file) {
            let place = format!("/etc/sysupdate.d/{}", document.file);
            lines.push(format!("sudo curl -fL --create-dirs -o {} {}", sh(&place), sh(&url)));
        }
    }
    lines.push("/usr/lib/systemd/systemd-sysupdate list".to_owned());
    lines
}

fn simplestreams_lines(release: &Release) -> Vec<String> {
    let Some(url) = address(release, SIMPLESTREAMS) else { return Vec::new() };
    let base = url.strip_suffix(SIMPLESTREAMS).unwrap_or(&url);
    let name = sh(&release.spec.name);
    vec![
        format!("incus remote add {name} {} --protocol simplestreams --public", sh(base)),
        format!("incus image list {name}:"),
    ]
}
