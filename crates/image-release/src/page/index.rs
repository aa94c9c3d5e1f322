//! The page of a release, from top to bottom.

use image_host::epoch;
use image_model::ReleaseSignature;
use maud::{Markup, html};

use super::{
    catalogs, files, image,
    shell::{Shell, footer},
    sizes, sums,
    text::{Shown, count, web},
};
use crate::{Document, Release, catalog::Catalogs};

/// Everything that the page is about.
pub(super) struct Whole<'a> {
    pub(super) release: &'a Release,
    pub(super) catalogs: &'a Catalogs,
    pub(super) signatures: &'a [ReleaseSignature],
    pub(super) keys: &'a [Document],
}

impl Whole<'_> {
    /// The page.
    pub(super) fn page(&self) -> Markup {
        let release = self.release;
        let name = format!("{} {}", release.spec.title, release.version);
        let imager = catalogs::imager(self);
        let about =
            format!("Images of {name}, with checksums and the reports of their verification.");
        let maps = release.images.iter().any(|image| image.sizes.is_some());
        let style = if maps { sizes::style() } else { String::new() };
        let shell = Shell {
            title: &name,
            about: &about,
            skip: ("images", "Skip to the images"),
            style: &style,
        };
        shell.around(&html! {
            (self.head())
            main {
                section id="images" aria-labelledby="images-title" {
                    h2 id="images-title" { "Images" }
                    @for (index, image) in release.images.iter().enumerate() {
                        (image::article(release, index, image, imager.as_deref()))
                    }
                }
                (sums::section(self))
                (catalogs::section(self))
                (files::section(self))
            }
            (footer(&made_by(release)))
        })
    }

    fn head(&self) -> Markup {
        let Release { version, spec, epoch, images, .. } = self.release;
        let has_catalogs = !self.catalogs.documents.is_empty() || !self.catalogs.omitted.is_empty();
        html! {
            header {
                p.over { "Release" }
                h1 { (Shown(&spec.title)) " " span.version { (Shown(version)) } }
                dl.facts {
                    @if let Some(seconds) = *epoch {
                        div {
                            dt { "Date" }
                            dd { time datetime=(epoch::timestamp(seconds)) { (epoch::date(seconds)) } }
                        }
                    }
                    div { dt { "Channel" } dd { (Shown(&spec.stream)) } }
                    div {
                        dt { "Signed with" }
                        dd {
                            @if self.signatures.is_empty() { "nothing" }
                            @for (index, signature) in self.signatures.iter().enumerate() {
                                @if index != 0 { ", " }
                                a href={ "#signed-" (signature.scheme.as_str()) } { (scheme(signature)) }
                            }
                        }
                    }
                    @if let Some(url) = spec.website.as_deref().and_then(web) {
                        div {
                            dt { "Website" }
                            dd { a href=(url) { (Shown(url.host_str().unwrap_or("website"))) } }
                        }
                    }
                }
                (self.banners())
                nav aria-label="Images" {
                    ul.cards {
                        @for (index, one) in images.iter().enumerate() {
                            li {
                                a href={ "#" (image::id(index, one)) } {
                                    (image::icon(one.manifest.kind))
                                    span {
                                        b { (Shown(&one.manifest.title)) }
                                        small { (image::kind(one.manifest.kind).0) ", " (image::processor(one)) }
                                        (image::mark(one))
                                    }
                                }
                            }
                        }
                    }
                }
                nav aria-label="On this page" {
                    ul.pages {
                        li { a href="#check" { "Check what you downloaded" } }
                        @if has_catalogs { li { a href="#catalogs" { "Catalogs" } } }
                        li { a href="#files" { "All files" } }
                    }
                }
            }
        }
    }

    /// What nobody may overlook.
    fn banners(&self) -> Markup {
        let images = &self.release.images;
        let unverified: Vec<_> =
            images.iter().enumerate().filter(|(_, one)| image::is_unverified(one)).collect();
        let mini = images.iter().filter(|one| files::is_mini(one)).count();
        html! {
            @if self.signatures.is_empty() {
                .banner {
                    h2 { "Not signed" }
                    p {
                        "Nobody vouches for this release. The checksums show damage, and not who made "
                        "the files."
                    }
                }
            }
            @if !unverified.is_empty() {
                .banner {
                    h2 { "Not verified: " (count(unverified.len(), "image")) }
                    ul {
                        @for (index, one) in &unverified {
                            li {
                                a href={ "#" (image::id(*index, one)) } { (Shown(&one.manifest.title)) }
                                ": " (image::why_unverified(one))
                            }
                        }
                    }
                }
            }
            @if mini != 0 {
                .banner {
                    h2 { "Not NixOS: " (count(mini, "image")) }
                    p {
                        "Made by the driver " code { "mini" } ": a small system around busybox, which "
                        "shows that everything works, and is of no other use."
                    }
                }
            }
        }
    }
}

fn scheme(signature: &ReleaseSignature) -> &'static str {
    match signature.scheme {
        image_model::SignatureScheme::Minisign => "minisign",
        image_model::SignatureScheme::Ssh => "SSH",
        image_model::SignatureScheme::Openpgp => "OpenPGP",
    }
}

/// The program that made the images.
pub(super) fn made_by(release: &Release) -> String {
    let generator = release.images.first().map(|image| &image.manifest.generator);
    generator.map_or_else(
        || "image-factory".to_owned(),
        |generator| format!("{} {}", generator.name, generator.version),
    )
}
