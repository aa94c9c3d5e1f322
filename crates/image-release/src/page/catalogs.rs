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
                // A flavor stands for the first of its distributions.
                format!("wsl --install {}", powershell(&release.spec.name)),
            ]),
            files: with(&|document| document.file == WSL),
        },
        About {
            title: "systemd-sysupdate",
            shell: Shell::Posix,
            text: "Each of these files keeps the newest version of an image in a folder of a \
                   machine. It is taken only if the key that signed SHA256SUMS.gpg is in the \
                   keyring. From systemd 258 on /etc/systemd/import-pubring.pgp counts instead, \
                   where it is there.",
            lines: transfer_lines(documents, release),
            files: with(&|document| document.file.ends_with(".transfer")),
        },
        About {
            title: "Incus",
            shell: Shell::Posix,
            text: "A remote like any other: images are listed, fetched and checked by their digests. \
                   Nobody signed their boot loaders for Secure Boot.",
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
    let mut lines = vec![
        "gpg --dearmor < openpgp.asc | sudo tee -a /etc/systemd/import-pubring.gpg > /dev/null"
            .to_owned(),
    ];
    for document in documents {
        let Some(component) = document.file.strip_suffix(".transfer") else { continue };
        if let Some(url) = address(release, &document.file) {
            let place = sh(&format!("/etc/sysupdate.{component}.d/{}", document.file));
            lines.push(format!("sudo curl -fL --create-dirs -o {place} {}", sh(&url)));
        }
        let component = sh(component);
        lines.push(format!(
            "sudo /usr/lib/systemd/systemd-sysupdate --component={component} update"
        ));
    }
    lines
}

fn simplestreams_lines(release: &Release) -> Vec<String> {
    let Some(url) = address(release, SIMPLESTREAMS) else { return Vec::new() };
    let base = url.strip_suffix(SIMPLESTREAMS).unwrap_or(&url);
    let name = sh(&release.spec.name);
    vec![
        format!("incus remote add {name} {} --protocol simplestreams --public", sh(base)),
        format!("incus image list {name}:"),
        format!("incus launch {name}:{name} --vm --config security.secureboot=false"),
    ]
}

#[cfg(test)]
mod tests {
    use image_model::{ReleaseSignature, SignatureScheme};

    use super::*;
    use crate::{catalog, testing};

    /// What the page tells people to do is what the files themselves and their clients ask for.
    #[test]
    fn commands_are_those_of_the_catalogs() {
        let mut release = testing::release();
        release.images.retain(|image| image.manifest.image != "sd-aarch64");
        let signature = ReleaseSignature {
            scheme: SignatureScheme::Openpgp,
            file: "SHA256SUMS.gpg".to_owned(),
            key_id: String::new(),
            public_key: "openpgp.asc".to_owned(),
        };
        let signatures = [signature];
        let catalogs = catalog::catalogs(&release, &signatures);
        let whole =
            Whole { release: &release, catalogs: &catalogs, signatures: &signatures, keys: &[] };
        let about = list(&whole);
        let of = |title: &str| about.iter().find(|one| one.title == title).unwrap();
        let lines = |title: &str| of(title).lines.join("\n");
        insta::assert_snapshot!(lines("wsl --install"), @r"
        Set-ItemProperty 'HKLM:\Software\Microsoft\Windows\CurrentVersion\Lxss' DistributionListUrlAppend https://images.example.org/nixos/latest/DistributionInfo.json
        wsl --list --online
        wsl --install nixos
        ");
        insta::assert_snapshot!(lines("systemd-sysupdate"), @r"
        gpg --dearmor < openpgp.asc | sudo tee -a /etc/systemd/import-pubring.gpg > /dev/null
        sudo curl -fL --create-dirs -o /etc/sysupdate.nixos-wsl.d/nixos-wsl.transfer https://images.example.org/nixos/latest/nixos-wsl.transfer
        sudo /usr/lib/systemd/systemd-sysupdate --component=nixos-wsl update
        sudo curl -fL --create-dirs -o /etc/sysupdate.nixos-iso.d/nixos-iso.transfer https://images.example.org/nixos/latest/nixos-iso.transfer
        sudo /usr/lib/systemd/systemd-sysupdate --component=nixos-iso update
        sudo curl -fL --create-dirs -o /etc/sysupdate.nixos-vm.d/nixos-vm.transfer https://images.example.org/nixos/latest/nixos-vm.transfer
        sudo /usr/lib/systemd/systemd-sysupdate --component=nixos-vm update
        ");
        insta::assert_snapshot!(lines("Incus"), @r"
        incus remote add nixos https://images.example.org/nixos/latest/ --protocol simplestreams --public
        incus image list nixos:
        incus launch nixos:nixos --vm --config security.secureboot=false
        ");
        // The comment of each transfer file says where it belongs, and what takes it from there.
        for document in &of("systemd-sysupdate").files {
            let text = str::from_utf8(&document.bytes).unwrap();
            let name = document.file.strip_suffix(".transfer").unwrap();
            for told in [format!("/etc/sysupdate.{name}.d/"), format!("--component={name} update")]
            {
                assert!(
                    text.contains(&told) && lines("systemd-sysupdate").contains(&told),
                    "{told}"
                );
            }
        }
    }
}
