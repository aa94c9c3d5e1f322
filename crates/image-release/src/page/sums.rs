//! How a release is checked with what people have.

use image_model::{ReleaseSignature, SignatureScheme};
use maud::{Markup, html};

use super::{
    index::Whole,
    install::{Shell, commands},
    text::{Shown, link, sh},
};
use crate::SUMS;

/// The section that says it.
pub(super) fn section(whole: &Whole<'_>) -> Markup {
    let of_signature = |one: &'_ ReleaseSignature| {
        let signers = (one.scheme == SignatureScheme::Ssh).then(|| ALLOWED_SIGNERS.to_owned());
        [one.file.clone(), one.public_key.clone()].into_iter().chain(signers)
    };
    let fetch: Vec<_> = [SUMS.to_owned()]
        .into_iter()
        .chain(whole.signatures.iter().flat_map(of_signature))
        .filter_map(|file| whole.release.url(&file))
        .map(|url| format!("curl -fLO {}", sh(url.as_str())))
        .collect();
    html! {
        section id="check" aria-labelledby="check-title" {
            h2 id="check-title" { "Check what you downloaded" }
            p {
                (link(SUMS)) " has the SHA-256 of every file. "
                @match whole.signatures.len() {
                    0 => { "Nobody signed it: it shows damage, and not who made the release." }
                    1 => { "It is signed: check the signature first, then the files against the list." }
                    _ => { "It is signed: check one of the signatures first, then the files against the list." }
                }
            }
            .card {
                h3 { "The files" }
                @if !fetch.is_empty() {
                    p { "What is needed for all of it, into the folder with the images:" }
                    (commands(Shell::Posix, &fetch))
                }
                .two {
                    div {
                        p { strong { "Linux" } }
                        (commands(Shell::Posix, &[format!("sha256sum --check --ignore-missing {SUMS}")]))
                    }
                    div {
                        p { strong { "macOS" } }
                        (commands(Shell::Posix, &[format!("shasum -a 256 --check --ignore-missing {SUMS}")]))
                    }
                    div {
                        p { strong { "Windows" } ", in PowerShell: True is said of each file that is right." }
                        (commands(Shell::PowerShell, &[compare()]))
                    }
                    div {
                        p { strong { "All of it" } ", with the program that made it: signatures, sums, \
                            attestations, catalogs, and that nothing is missing or extra." }
                        (commands(Shell::Posix, &[verify_release(whole)]))
                    }
                }
            }
            @for signature in whole.signatures { (signed(whole, signature)) }
        }
    }
}

/// `sha256sum --check --ignore-missing`, as PowerShell says it. about_Split; Get-FileHash.
fn compare() -> String {
    format!(
        "Get-Content {SUMS} | ForEach-Object {{ $sum, $file = $_ -split '  ', 2; \
         if (Test-Path -LiteralPath $file) {{ \
         \"$((Get-FileHash -LiteralPath $file).Hash -eq $sum) $file\" }} }}"
    )
}

fn verify_release(whole: &Whole<'_>) -> String {
    let place = match &whole.release.base_url {
        Some(url) => sh(url.as_str()),
        None => "FOLDER".to_owned(),
    };
    let keys = whole.signatures.iter().map(|one| format!(" --key {}", sh(&one.public_key)));
    format!("cargo xtask verify-release {place}{}", keys.collect::<String>())
}

/// A signature, its key, and the command that checks it.
fn signed(whole: &Whole<'_>, signature: &ReleaseSignature) -> Markup {
    let file = sh(&signature.file);
    let public = sh(&signature.public_key);
    let key = text_of(whole, &signature.public_key);
    let (name, lines) = match signature.scheme {
        SignatureScheme::Minisign => {
            ("minisign", vec![format!("minisign -Vm {SUMS} -x {file} -p {public}")])
        }
        SignatureScheme::Ssh => {
            let allowed = sh(ALLOWED_SIGNERS);
            let principal = sh(principal(whole).unwrap_or("SIGNER"));
            let verify = format!(
                "ssh-keygen -Y verify -f {allowed} -I {principal} -n file -s {file} < {SUMS}"
            );
            ("SSH", vec![verify])
        }
        SignatureScheme::Openpgp => {
            let import = format!("gpg --import {public}");
            ("OpenPGP", vec![import, format!("gpg --verify {file} {SUMS}")])
        }
    };
    html! {
        .card id={ "signed-" (signature.scheme.as_str()) } {
            h3 { "The signature by " (name) }
            dl.sums {
                div {
                    dt { "Key id" }
                    dd { code.all { (Shown(&signature.key_id).to_string()) } }
                }
                @if let Some(key) = key {
                    div {
                        dt { "Public key, as in " (link(&signature.public_key)) }
                        dd { code.all { (Shown(key).to_string()) } }
                    }
                }
            }
            p.soft {
                "The key came with the release. Compare it once with what you have from elsewhere, "
                "and keep it."
            }
            (commands(Shell::Posix, &lines))
            p {
                "Signature: " (link(&signature.file)) " · public key: " (link(&signature.public_key))
                @if signature.scheme == SignatureScheme::Ssh {
                    " · signers: " (link(ALLOWED_SIGNERS))
                }
            }
        }
    }
}

/// What `ssh-keygen -Y verify -f` reads.
const ALLOWED_SIGNERS: &str = "allowed_signers";

/// The longest key that is shown: one line of a person's length.
const MAX_KEY: usize = 1000;

/// A public key that is one line of text, beside comments. minisign(1); sshd(8).
fn text_of<'a>(whole: &Whole<'a>, file: &str) -> Option<&'a str> {
    let key = whole.keys.iter().find(|key| key.file == file)?;
    let text = std::str::from_utf8(&key.bytes).ok()?;
    let comment = |line: &&str| !line.starts_with("untrusted comment:") && !line.is_empty();
    let mut lines = text.lines().filter(comment);
    let only = lines.next().filter(|line| line.len() <= MAX_KEY)?;
    lines.next().is_none().then_some(only)
}

/// Whom the key of SSH is of: the first word of the file. ssh-keygen(1), "ALLOWED SIGNERS".
fn principal<'a>(whole: &Whole<'a>) -> Option<&'a str> {
    let signers = whole.keys.iter().find(|key| key.file == ALLOWED_SIGNERS)?;
    let text = std::str::from_utf8(&signers.bytes).ok()?;
    let line = text.lines().find(|line| !line.is_empty() && !line.starts_with('#'))?;
    line.split_whitespace().next()?.split(',').next()
}
