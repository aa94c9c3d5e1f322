//! CycloneDX 1.6. <https://cyclonedx.org/docs/1.6/json/>

use data_encoding::HEXLOWER;
use image_host::epoch::timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    Array, Image,
    component::{Component, Components},
    document,
};
use crate::dist::json_file;

/// What the image itself is called in the document.
const IMAGE: &str = "image";

/// The keys in the order of the specification.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bom<C: Serialize, D: Serialize> {
    bom_format: &'static str,
    spec_version: &'static str,
    serial_number: String,
    version: u32,
    metadata: Value,
    components: C,
    dependencies: D,
}

/// The document about an image. It says of the hashes of components that they are those of NARs,
/// which is what people compare store paths by.
pub fn cyclonedx(image: &Image<'_>) -> Vec<u8> {
    let parts = Components::of(image.stores);
    let roots = parts.roots().map(|part| part.reference.as_ref());
    let of_image = json!({ "ref": IMAGE, "dependsOn": roots.collect::<Vec<_>>() });
    let of_parts = parts.all.iter().map(|part| {
        let needs: Vec<_> = part.needs.iter().map(|need| &parts.all[*need].reference).collect();
        json!({ "ref": part.reference, "dependsOn": needs })
    });
    json_file(&Bom {
        bom_format: "CycloneDX",
        spec_version: "1.6",
        serial_number: format!("urn:uuid:{}", document(image.digests.sha256, "cyclonedx")),
        version: 1,
        metadata: metadata(image),
        components: Array(parts.all.iter().map(component)),
        dependencies: Array(std::iter::once(of_image).chain(of_parts)),
    })
}

fn metadata(image: &Image<'_>) -> Value {
    let mut about = Map::new();
    if let Some(epoch) = image.epoch {
        about.insert("timestamp".to_owned(), timestamp(epoch).into());
    }
    // The image was there before the document.
    about.insert("lifecycles".to_owned(), json!([{ "phase": "post-build" }]));
    let tool = json!({
        "type": "application",
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
    });
    about.insert("tools".to_owned(), json!({ "components": [tool] }));
    let mut component = Map::new();
    component.insert("type".to_owned(), "operating-system".into());
    component.insert("bom-ref".to_owned(), IMAGE.into());
    component.insert("name".to_owned(), image.name.into());
    if let Some(version) = image.version() {
        component.insert("version".to_owned(), version.into());
    }
    if let Some(title) = image.title {
        component.insert("description".to_owned(), title.into());
    }
    let sha256 = image.digests.sha256.to_string();
    component.insert("hashes".to_owned(), json!([{ "alg": "SHA-256", "content": sha256 }]));
    about.insert("component".to_owned(), component.into());
    about.into()
}

fn component(part: &Component<'_>) -> Value {
    let mut component = Map::new();
    component.insert("type".to_owned(), "application".into());
    component.insert("bom-ref".to_owned(), part.reference.as_ref().into());
    component.insert("name".to_owned(), part.name.name.into());
    if let Some(version) = part.name.version {
        component.insert("version".to_owned(), version.into());
    }
    if let Some(nar) = part.nar {
        let content = HEXLOWER.encode(&nar.nar_hash.0);
        component.insert("hashes".to_owned(), json!([{ "alg": "SHA-256", "content": content }]));
    }
    component.insert("purl".to_owned(), part.purl().into());
    let mut properties = Vec::new();
    let mut property = |name: &str, value: &str| {
        properties.push(json!({ "name": name, "value": value }));
    };
    property("nix:output_path", part.path);
    if let Some(deriver) = part.deriver {
        property("nix:drv_path", deriver);
    }
    if let Some(output) = part.name.output {
        property("nix:output", output);
    }
    if let Some(nar) = part.nar {
        property("nix:hashed", "nar");
        property("nix:nar_size", &nar.nar_size.to_string());
    }
    property("nix:verdict", part.verdict.as_str());
    for volume in &part.volumes {
        property("nix:volume", volume);
    }
    component.insert("properties".to_owned(), properties.into());
    component.into()
}
