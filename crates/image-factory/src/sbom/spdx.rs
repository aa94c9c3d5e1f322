//! SPDX 2.3. <https://spdx.github.io/spdx-spec/v2.3/>

use std::collections::BTreeSet;

use image_host::epoch::timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    Array, Image,
    component::{Component, Components},
    document,
};
use crate::dist::json_file;

const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const IMAGE: &str = "SPDXRef-Image";

/// What nobody looked at.
const NO_ASSERTION: &str = "NOASSERTION";

/// The keys in the order of the specification.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a, P: Serialize, R: Serialize> {
    spdx_version: &'static str,
    data_license: &'static str,
    #[serde(rename = "SPDXID")]
    id: &'static str,
    name: &'a str,
    document_namespace: String,
    creation_info: Value,
    packages: P,
    relationships: R,
}

/// The document about an image. Checksums in it are of files, so that of a NAR, which nobody
/// downloads, is a reference to something outside.
pub fn spdx(image: &Image<'_>) -> Vec<u8> {
    let parts = Components::of(image.stores);
    let ids = ids(&parts);
    let packages = ids.iter().zip(&parts.all).map(|(id, part)| package(id, part));
    let contains = ids.iter().map(|id| relation(IMAGE, "CONTAINS", id));
    let depends = ids.iter().zip(&parts.all).flat_map(|(id, part)| {
        part.needs.iter().map(|need| relation(id, "DEPENDS_ON", &ids[*need]))
    });
    let describes = std::iter::once(relation(DOCUMENT, "DESCRIBES", IMAGE));
    json_file(&Document {
        spdx_version: "SPDX-2.3",
        data_license: "CC0-1.0",
        id: DOCUMENT,
        name: image.name,
        document_namespace: format!("urn:uuid:{}", document(image.digests.sha256, "spdx")),
        creation_info: json!({
            "created": timestamp(image.epoch.unwrap_or(0)),
            "creators": [concat!("Tool: ", env!("CARGO_PKG_NAME"), "-", env!("CARGO_PKG_VERSION"))],
        }),
        packages: Array(std::iter::once(operating_system(image)).chain(packages)),
        relationships: Array(describes.chain(contains).chain(depends)),
    })
}

/// Identifiers of all parts: letters, digits, dots and dashes, and no two the same.
fn ids(parts: &Components<'_>) -> Vec<String> {
    let mut taken = BTreeSet::from([DOCUMENT.to_owned(), IMAGE.to_owned()]);
    let id = |(index, part): (usize, &Component<'_>)| {
        let name = part.path.rsplit('/').next().unwrap_or(part.path);
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        let name: String = name.chars().map(|c| if known(c) { c } else { '.' }).collect();
        let mut id = format!("SPDXRef-{name}");
        let mut numbers = index..;
        while !taken.insert(id.clone()) {
            id = format!("SPDXRef-{name}.{}", numbers.next().unwrap_or_default());
        }
        id
    };
    parts.all.iter().enumerate().map(id).collect()
}

fn relation(element: &str, kind: &str, related: &str) -> Value {
    json!({
        "spdxElementId": element,
        "relationshipType": kind,
        "relatedSpdxElement": related,
    })
}

/// The image itself.
fn operating_system(image: &Image<'_>) -> Value {
    let mut package = about(image.name, IMAGE, image.version());
    package.insert("packageFileName".to_owned(), image.name.into());
    let sha256 = image.digests.sha256.to_string();
    package.insert(
        "checksums".to_owned(),
        json!([{ "algorithm": "SHA256", "checksumValue": sha256 }]),
    );
    if let Some(title) = image.title {
        package.insert("summary".to_owned(), title.into());
    }
    // What it is for is not said: the schema of 2.3 and that of 2.3.1 spell it differently.
    package.into()
}

fn package(id: &str, part: &Component<'_>) -> Value {
    let mut package = about(part.name.name, id, part.name.version);
    let refers = |category: &str, kind: &str, locator: String| {
        json!({
            "referenceCategory": category,
            "referenceType": kind,
            "referenceLocator": locator,
        })
    };
    let mut references = vec![refers("PACKAGE-MANAGER", "purl", part.purl())];
    if let Some(nar) = part.nar {
        references.push(refers("OTHER", "nix-nar-hash", nar.nar_hash.to_string()));
    }
    // No space may be in a locator.
    let word = |text: &str| !text.contains(char::is_whitespace);
    if word(part.path) {
        references.push(refers("OTHER", "nix-output-path", part.path.to_owned()));
    }
    if let Some(deriver) = part.deriver.filter(|deriver| word(deriver)) {
        references.push(refers("OTHER", "nix-drv-path", deriver.to_owned()));
    }
    package.insert("externalRefs".to_owned(), references.into());
    let output = part.name.output.map_or(String::new(), |output| format!(", output {output}"));
    let comment = format!("{}{output}: {}", part.path, part.verdict.as_str());
    package.insert("comment".to_owned(), comment.into());
    package.into()
}

/// What all packages have. What their licenses are is not in an image.
fn about(name: &str, id: &str, version: Option<&str>) -> Map<String, Value> {
    let mut package = Map::new();
    package.insert("name".to_owned(), name.into());
    package.insert("SPDXID".to_owned(), id.into());
    if let Some(version) = version {
        package.insert("versionInfo".to_owned(), version.into());
    }
    package.insert("downloadLocation".to_owned(), NO_ASSERTION.into());
    package.insert("filesAnalyzed".to_owned(), false.into());
    for key in ["licenseConcluded", "licenseDeclared", "copyrightText"] {
        package.insert(key.to_owned(), NO_ASSERTION.into());
    }
    package
}
