use std::{borrow::Cow, collections::HashSet};

use data_encoding::BASE64;
use image_model::{
    Artifact, Compression, Driver, Finding, ImageKind, ImageSpace, Layout, LayoutPart, Location,
    NarDigest, NarHash, OmittedCatalog, Outcome, PathVerdict, ReleaseSignature, Severity,
    SignatureScheme, StorePath, StoreReport, Totals, Trust, Waiver,
};
use proptest::prelude::*;
use scraper::{ElementRef, Html, Node, Selector};
use sha2::{Digest as _, Sha256};

use super::{index, report, text::Shown};
use crate::{Document, Image, Release, catalog::Catalogs, testing};

mod browser;
mod real;

/// What a page is made of.
struct Sample {
    release: Release,
    catalogs: Catalogs,
    signatures: Vec<ReleaseSignature>,
    keys: Vec<Document>,
}

impl Sample {
    /// Every part of a page that a release may have, in which all text is `text`.
    fn of(text: &str) -> Self {
        let owned = || text.to_owned();
        let mut release = testing::release();
        release.version = owned();
        release.spec.title = owned();
        release.spec.name = owned();
        release.spec.stream = owned();
        let kinds = [ImageKind::Docker, ImageKind::Virtualbox, ImageKind::Amazon];
        let more = kinds.map(|kind| testing::image(kind, "more", "aarch64-linux", text));
        release.images.extend(more);
        for image in &mut release.images {
            fill(image, text);
        }
        release.images[1].unverified = Some(owned());
        release.images[2].manifest.source.driver = Driver::Mini;
        let document = |file: &str, role, also: Option<&str>| Document {
            file: file.to_owned(),
            also: also.map(str::to_owned),
            role,
            media_type: "text/plain",
            bytes: text.as_bytes().to_vec(),
        };
        let catalog = image_model::FileRole::Catalog;
        let catalogs = Catalogs {
            documents: vec![
                document("os_list_imagingutility_v4.json", catalog, None),
                document("DistributionInfo.json", catalog, None),
                document(&format!("{text}.transfer"), catalog, None),
                document("simplestreams-index.json", catalog, Some(text)),
                document(text, catalog, None),
            ],
            omitted: vec![OmittedCatalog { catalog: owned(), image: Some(owned()), why: owned() }],
        };
        let schemes = [SignatureScheme::Minisign, SignatureScheme::Ssh, SignatureScheme::Openpgp];
        let signatures = schemes.map(|scheme| ReleaseSignature {
            scheme,
            file: owned(),
            key_id: owned(),
            public_key: owned(),
        });
        let key = image_model::FileRole::PublicKey;
        // One line each, whatever the text is.
        let keys = ["allowed_signers", "openpgp.asc"].map(|file| document(file, key, None));
        Self { release, catalogs, signatures: signatures.into(), keys: keys.into() }
    }

    fn pages(&self) -> Vec<Document> {
        let reports = self.release.images.iter().map(|image| report(&self.release, image));
        let page = index(&self.release, &self.catalogs, &self.signatures, &self.keys);
        [page].into_iter().chain(reports).collect()
    }
}

/// Everything that an image may have.
fn fill(image: &mut Image, text: &str) {
    let owned = || text.to_owned();
    image.manifest.title = owned();
    image.manifest.system = owned();
    image.manifest.image = owned();
    image.manifest.distribution = owned();
    image.manifest.generator.name = owned();
    image.manifest.generator.version = owned();
    let artifact = &mut image.manifest.artifacts[0];
    artifact.file = owned();
    artifact.format = owned();
    let map = Artifact {
        file: format!("{text}.bmap"),
        compression: Compression::None,
        raw: artifact.digests,
        ..artifact.clone()
    };
    image.manifest.artifacts.push(map);
    image.verification.file = owned();
    image.sizes = Some(format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><g><title>x{0}</title>\
         <rect width='3' height='3'/><text>x{0}</text></g></svg>",
        text.chars()
            .filter(|char| !char.is_control() && !matches!(char, '\u{fffe}' | '\u{ffff}'))
            .collect::<String>()
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace("]]>", "]]&gt;")
    ));
    let report = &mut image.report;
    report.boots = vec![owned(); 2];
    report.not_verified = vec![owned()];
    report.subject.format = Some(Cow::Owned(owned()));
    report.layout = Some(Layout {
        table: Some(Cow::Owned(owned())),
        size: 100,
        omitted: 3,
        parts: vec![
            LayoutPart {
                name: owned(),
                start: 1,
                len: 2,
                content: Cow::Owned(owned()),
                label: Some(owned()),
            };
            3
        ],
    });
    let finding = |severity, waived| Finding {
        check: Cow::Owned(owned()),
        severity,
        waived,
        at: Location {
            structure: Cow::Owned(owned()),
            space: ImageSpace::Raw,
            offset: 512,
            len: 0,
            path: Some(owned()),
        },
        message: owned(),
    };
    report.findings = vec![
        finding(Severity::Error, false),
        finding(Severity::Warning, false),
        finding(Severity::Info, false),
        finding(Severity::Warning, true),
    ];
    report.totals = Totals { held: 2, warnings: 1, infos: 1, ..Totals::default() };
    report.omitted = [(Cow::Owned(owned()), 7)].into();
    report.waivers = vec![Waiver { check: owned(), reason: owned() }];
    report.outcomes = [(Cow::Owned(owned()), Outcome::Held)].into();
    let nar = NarDigest { nar_hash: NarHash([7; 32]), nar_size: 4096 };
    let path = |verdict, trust| StorePath {
        path: owned(),
        verdict,
        nar: Some(nar),
        registered: None,
        references: Vec::new(),
        deriver: None,
        content_address: None,
        signatures: Vec::new(),
        trust,
    };
    report.stores = vec![StoreReport {
        volume: owned(),
        registrations: Vec::new(),
        trusted_keys: vec![owned()],
        paths: vec![
            path(PathVerdict::Intact, Trust::Signed { by: vec![owned()] }),
            path(PathVerdict::Changed, Trust::Unknown),
        ],
    }];
}

fn parse(page: &Document) -> Html {
    let html = Html::parse_document(std::str::from_utf8(&page.bytes).unwrap());
    assert_eq!(html.errors, Vec::<Cow<'_, str>>::new(), "{}", page.file);
    html
}

fn elements(html: &Html) -> impl Iterator<Item = ElementRef<'_>> {
    html.root_element().descendants().filter_map(ElementRef::wrap)
}

/// What a page consists of, without its text.
fn skeleton(html: &Html) -> Vec<(String, Vec<String>)> {
    let of = |element: ElementRef<'_>| {
        let names = element.value().attrs().map(|(name, _)| name.to_owned()).collect();
        (element.value().name().to_owned(), names)
    };
    elements(html).map(of).collect()
}

/// What holds of every page, whatever is written in it.
fn judge(page: &Document) -> Html {
    let html = parse(page);
    let mut ids = HashSet::new();
    for element in elements(&html) {
        let name = element.value().name();
        assert!(!["script", "iframe", "object", "embed", "form", "img", "base"].contains(&name));
        for (key, value) in element.value().attrs() {
            assert!(!key.starts_with("on") && key != "style" && key != "src", "{key}");
            match key {
                "id" => assert!(ids.insert(value.to_owned()), "{value} is there twice"),
                "href" => {
                    let ours = ["#", "./", "https://", "data:image/svg+xml,"];
                    assert!(ours.iter().any(|start| value.starts_with(start)), "{value}");
                    let plain =
                        |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
                    assert!(value.bytes().all(|byte| plain(byte) || name == "link"), "{value:?}");
                }
                _ => {}
            }
        }
    }
    for element in elements(&html) {
        let value = |key| element.value().attr(key);
        let named = ["aria-labelledby", "aria-describedby"].into_iter().filter_map(value);
        for id in named.flat_map(|list| list.split_whitespace()) {
            assert!(ids.contains(id), "nothing is called {id}");
        }
        if let Some(id) = value("href").and_then(|href| href.strip_prefix('#')) {
            assert!(ids.contains(id), "a link leads to {id}");
        }
    }
    let text: String = html.root_element().text().collect();
    let bad =
        |char: &char| matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{7}');
    assert_eq!(text.chars().find(bad), None);
    html
}

/// Texts that break out of one thing or another.
const HOSTILE: &[&str] = &[
    "\"><script>alert(1)</script>",
    "' onmouseover='alert(1)",
    "</title></style></svg></textarea><img src=x onerror=alert(1)>",
    "<!--",
    "]]>",
    "&lt;b&gt;&#x3c;&amp",
    "javascript:alert(1)",
    "../../etc/passwd?x#y",
    "$(reboot) `reboot` ; reboot & | > < ' \" \\",
    "\u{202e}gpj.exe\u{2066}\u{200f}\u{feff}",
    "\0\u{1}\u{7f}\u{85}\r\n\t\u{b}",
    "`<b>` **<i>** *",
    "\u{fffe}\u{ffff}\u{10ffff}\u{fdd0}",
    "--version",
    "שלום עולם",
];

fn hostile(text: &str) {
    for (benign, page) in Sample::of("x").pages().iter().zip(Sample::of(text).pages()) {
        let (expected, found) = (skeleton(&judge(benign)), skeleton(&judge(&page)));
        let differs = expected.iter().zip(&found).position(|(a, b)| a != b);
        let first = differs.map(|at| (&expected[at], &found[at]));
        assert!(first.is_none() && expected.len() == found.len(), "{text:?}: {first:?}");
    }
}

#[test]
fn known_tricks_are_text() {
    for text in HOSTILE {
        hostile(text);
    }
}

/// What is written in a page is what is read from it.
#[test]
fn text_comes_back_as_it_was() {
    for text in HOSTILE {
        let sample = Sample::of(text);
        let html = judge(&sample.pages()[0]);
        let titles = Selector::parse("article h3 bdi").unwrap();
        for title in html.select(&titles) {
            assert_eq!(title.text().collect::<String>(), Shown(text).to_string());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_text_breaks_out(text in "\\PC{1,40}|[<>&\"'`*a-z/ =-]{1,30}|[\\x00-\\x7f]{1,20}") {
        hostile(&text);
    }
}

#[test]
fn the_policy_allows_the_style_and_nothing_else() {
    for page in Sample::of("x").pages() {
        let html = parse(&page);
        let style = html.select(&Selector::parse("style").unwrap()).collect::<Vec<_>>();
        let [style] = &style[..] else { panic!("{} styles", style.len()) };
        let digest = BASE64.encode(&Sha256::digest(style.text().collect::<String>()));
        let meta = Selector::parse("meta[http-equiv]").unwrap();
        let policy = html.select(&meta).next().unwrap().value().attr("content").unwrap();
        let expected = format!(
            "default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; \
             form-action 'none'"
        );
        assert_eq!(policy, expected);
        for asks in ["url(", "@import", "http-equiv=\"refresh\"", "<script", "src="] {
            assert!(!std::str::from_utf8(&page.bytes).unwrap().contains(asks), "{asks}");
        }
    }
}

#[test]
fn headings_have_an_order() {
    let selector = Selector::parse("h1, h2, h3, h4, h5, h6").unwrap();
    for page in Sample::of("x").pages() {
        let html = parse(&page);
        let levels: Vec<u32> = html
            .select(&selector)
            .map(|heading| heading.value().name()[1..].parse().unwrap())
            .collect();
        assert_eq!(levels.iter().filter(|level| **level == 1).count(), 1);
        assert_eq!(levels[0], 1);
        assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
    }
}

/// Long lists end, and say that they do.
#[test]
fn pages_do_not_grow_without_bounds() {
    let mut sample = Sample::of("x");
    let image = &mut sample.release.images[0];
    let finding = image.report.findings[0].clone();
    image.report.findings = vec![finding; 5000];
    let path = image.report.stores[0].paths[0].clone();
    image.report.stores[0].paths = vec![path; 200_000];
    let part = image.report.layout.as_ref().unwrap().parts[0].clone();
    image.report.layout.as_mut().unwrap().parts = vec![part; 9000];
    let pages = sample.pages();
    assert!(pages[0].bytes.len() < 400_000, "{}", pages[0].bytes.len());
    assert!(pages[1].bytes.len() < 1_500_000, "{}", pages[1].bytes.len());
    let text: String = judge(&pages[1]).root_element().text().collect();
    for told in [
        "4\u{202f}000 findings more",
        "8\u{202f}803 more are not shown",
        "1\u{202f}000 paths of 200\u{202f}000",
    ] {
        assert!(text.contains(told), "{told}");
    }
}

#[test]
fn nobody_overlooks_what_is_not_proven() {
    let text = |sample: &Sample| -> String {
        let banners = Selector::parse(".banner h2, .card .banner strong").unwrap();
        let html = judge(&sample.pages()[0]);
        let found = html.select(&banners).map(|one| one.text().collect::<String>());
        found.collect::<Vec<_>>().join("; ")
    };
    let mut sample = Sample {
        release: testing::release(),
        catalogs: Catalogs::default(),
        signatures: Vec::new(),
        keys: Vec::new(),
    };
    assert_eq!(text(&sample), "Not signed");
    sample.release.images[0].unverified = Some("nobody looked".to_owned());
    sample.release.images[1].manifest.source.driver = Driver::Mini;
    assert_eq!(
        text(&sample),
        "Not signed; Not verified: 1 image; Not NixOS: 1 image; Not verified; Not NixOS"
    );
}

/// A small release, as a page and its report, without the style.
#[test]
fn pages_as_they_are() {
    let mut release = testing::release();
    release.images.truncate(2);
    release.images.remove(0);
    let catalogs = Catalogs::default();
    let signature = ReleaseSignature {
        scheme: SignatureScheme::Minisign,
        file: "SHA256SUMS.minisig".to_owned(),
        key_id: "E7620F1842B4E81F".to_owned(),
        public_key: "minisign.pub".to_owned(),
    };
    let page = index(&release, &catalogs, &[signature], &[]);
    insta::assert_snapshot!("index", lines(&page));
    insta::assert_snapshot!("report", lines(&report(&release, &release.images[0])));
}

/// An element a line, without what changes with each version of the style.
fn lines(page: &Document) -> String {
    let html = parse(page);
    let mut text = String::new();
    let mut todo = vec![(html.tree.root(), 0)];
    while let Some((node, depth)) = todo.pop() {
        match node.value() {
            Node::Element(element) => {
                let mut attributes: Vec<_> = element.attrs().collect();
                attributes.sort_unstable();
                let attributes = attributes.iter().map(|(key, value)| {
                    let value = if value.contains("sha256-") { "…" } else { value };
                    format!(" {key}={value:?}")
                });
                text +=
                    &format!("{:depth$}{}{}\n", "", element.name(), attributes.collect::<String>());
                if element.name() == "style" {
                    continue;
                }
            }
            Node::Text(words) => text += &format!("{:depth$}| {}\n", "", &**words),
            _ => {}
        }
        todo.extend(
            node.children().collect::<Vec<_>>().into_iter().rev().map(|child| (child, depth + 1)),
        );
    }
    text
}
