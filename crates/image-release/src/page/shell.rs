//! What all pages have around them: the head, the style, and the policy that forbids everything
//! else.

use data_encoding::BASE64;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::text::Shown;

/// The style of all pages.
const STYLE: &str = include_str!("style.css");

/// A drawing of a box in a box, as an address that is its own content. RFC 2397.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' \
    viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='3' fill='%230b5394'/%3E%3Cpath \
    d='M3.5 8.5l3 3 6-7' fill='none' stroke='%23fff' stroke-width='2'/%3E%3C/svg%3E";

/// A whole page.
pub(super) struct Shell<'a> {
    /// What the window is called.
    pub(super) title: &'a str,
    /// A sentence about it, for those who list pages.
    pub(super) about: &'a str,
    /// Where the first link leads that a keyboard reaches, and what it is called.
    pub(super) skip: (&'a str, &'a str),
    /// More style, which depends on nothing from an image.
    pub(super) style: &'a str,
}

impl Shell<'_> {
    /// The page around `body`.
    pub(super) fn around(&self, body: &Markup) -> Markup {
        let style = format!("{STYLE}{}", self.style);
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(policy(&style));
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="referrer" content="no-referrer";
                    meta name="color-scheme" content="light dark";
                    meta name="description" content=(format!("{}", Shown(self.about)));
                    title { (format!("{}", Shown(self.title))) }
                    link rel="icon" href=(ICON);
                    style { (PreEscaped(style)) }
                }
                body {
                    a.skip href={ "#" (self.skip.0) } { (self.skip.1) }
                    (body)
                }
            }
        }
    }
}

/// Nothing but this style and the icon. CSP level 3; what `frame-ancestors` and `sandbox` say does
/// not count in a document.
fn policy(style: &str) -> String {
    let digest = BASE64.encode(&Sha256::digest(style));
    format!(
        "default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; \
         form-action 'none'"
    )
}

/// The last words of a page.
pub(super) fn footer(made_by: &str) -> Markup {
    html! {
        footer {
            p {
                "Made by " (Shown(made_by))
                ". This page is one file: it has no scripts, and loads nothing from elsewhere."
            }
        }
    }
}
