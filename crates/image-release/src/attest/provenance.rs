//! SLSA provenance: how an image was built. <https://slsa.dev/spec/v1.1/provenance>

use data_encoding::BASE64;
use image_model::{Driver, FileRole, Source};
use serde_json::{Map, Value, json};

use super::statement::{about, descriptor};
use crate::{Image, Release};

/// The type of the predicate.
pub const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// Nix built an image of a NixOS configuration. The project has no address of its own that would
/// outlive it, and a type only has to be a URI that nobody else uses.
pub const BUILD_TYPE_NIX: &str = "urn:image-factory:build-type:nix-image:v1";
/// A file that was there: how it was made, nobody says.
pub const BUILD_TYPE_FOUND: &str = "urn:image-factory:build-type:prebuilt:v1";
/// The factory packed its own minimal system, which is not NixOS.
pub const BUILD_TYPE_MINI: &str = "urn:image-factory:build-type:mini:v1";
/// Who built: the factory, and the Nix that it asked, on the machine of whoever signs this. It says
/// nothing of how that machine is guarded: SLSA build level 1.
pub const BUILDER: &str = "urn:image-factory:builder:local:v1";

/// How the image was built, as far as its manifest knows.
pub(super) fn statement(release: &Release, image: &Image) -> Value {
    let manifest = &image.manifest;
    let source = &manifest.source;
    let build_type = match source.driver {
        Driver::NixosWsl | Driver::NixImage | Driver::NixosGenerators => BUILD_TYPE_NIX,
        Driver::Prebuilt => BUILD_TYPE_FOUND,
        Driver::Mini => BUILD_TYPE_MINI,
    };
    let mut external = Map::new();
    let mut set = |key: &str, value: Value| external.insert(key.to_owned(), value);
    set("image", manifest.image.as_str().into());
    set("kind", json!(manifest.kind));
    set("system", manifest.system.as_str().into());
    set("driver", source.driver.as_str().into());
    if let Some(flake) = &source.flake {
        set("flake", flake.as_str().into());
    }
    if let Some(attribute) = &source.attribute {
        set("attribute", attribute.as_str().into());
    }
    if !source.profiles.is_empty() {
        set("profiles", json!(source.profiles));
    }

    let mut version = Map::new();
    version.insert(manifest.generator.name.clone(), manifest.generator.version.as_str().into());
    for tool in &manifest.tools {
        version.insert(tool.name.clone(), tool.version.as_str().into());
    }
    let predicate = json!({
        "buildDefinition": {
            "buildType": build_type,
            "externalParameters": external,
            "internalParameters": {
                "route": source.route,
                "distribution": manifest.distribution,
            },
            "resolvedDependencies": dependencies(source),
        },
        "runDetails": {
            "builder": { "id": BUILDER, "version": version },
            "byproducts": byproducts(release, image),
        },
    });
    about(image, PROVENANCE, &predicate)
}

/// What went in: the flake, its locked inputs, the derivation; or the file that was there.
fn dependencies(source: &Source) -> Vec<Value> {
    let mut all = Vec::new();
    if let Some(locked) = &source.locked {
        let mut flake = Map::new();
        flake.insert("name".to_owned(), "flake".into());
        flake.insert("uri".to_owned(), locked.as_str().into());
        let digest = digest_of_reference(locked);
        if !digest.is_empty() {
            flake.insert("digest".to_owned(), digest.into());
        }
        all.push(flake.into());
    }
    for (name, lock) in &source.inputs {
        // Its name is that of a node in `flake.lock`, which says where it is from.
        let digest = digest_of_lock(lock);
        let mut input = Map::new();
        input.insert("name".to_owned(), format!("input {name}").into());
        if digest.is_empty() {
            input.insert("uri".to_owned(), lock.as_str().into());
        } else {
            input.insert("digest".to_owned(), digest.into());
        }
        all.push(input.into());
    }
    if let Some(derivation) = &source.derivation {
        all.push(json!({ "name": "derivation", "uri": store_uri(derivation) }));
    }
    if let (Driver::Prebuilt, Some(sha256)) = (source.driver, source.input_sha256) {
        all.push(json!({ "name": "input", "digest": { "sha256": sha256 } }));
    }
    all
}

/// What else came out: the store path, the bytes before they were finished, and what is said of the
/// image beside it.
fn byproducts(release: &Release, image: &Image) -> Vec<Value> {
    let source = &image.manifest.source;
    let mut all = Vec::new();
    if let Some(path) = &source.store_path {
        let mut output = Map::new();
        output.insert("name".to_owned(), "output".into());
        output.insert("uri".to_owned(), store_uri(path).into());
        if let Some(hash) = &source.nar_hash {
            output.insert("digest".to_owned(), json!({ "narHash": hash }));
        }
        all.push(output.into());
    }
    if let Some(sha256) = source.input_sha256.filter(|_| source.driver != Driver::Prebuilt) {
        all.push(json!({ "name": "unfinished image", "digest": { "sha256": sha256 } }));
    }
    for document in &image.documents {
        if matches!(document.role, FileRole::ImageManifest | FileRole::Report | FileRole::Sbom) {
            let sha256 = document.sha256();
            all.push(descriptor(release, &document.file, sha256, document.media_type).into());
        }
    }
    all
}

/// A path of a store as a URI.
fn store_uri(path: &str) -> String {
    format!("nix:{path}")
}

/// The digests in a locked reference to a flake: `github:owner/name/<rev>`, `git+https://…?rev=<rev>`,
/// `path:…?narHash=sha256-…`.
fn digest_of_reference(reference: &str) -> Map<String, Value> {
    let (place, query) = reference.split_once('?').unwrap_or((reference, ""));
    let hosted = ["github:", "gitlab:", "sourcehut:"].iter().any(|s| place.starts_with(s));
    let last = place.rsplit('/').next().filter(|_| hosted);
    let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
    let get = |key: &str| pairs.iter().find(|(name, _)| name == key).map(|(_, value)| &**value);
    let mut digest = Map::new();
    if let Some(rev) = get("rev").or(last).filter(|rev| is_git(rev)) {
        digest.insert("gitCommit".to_owned(), rev.into());
    }
    // Of a form, where a plus is a space; no hash has one.
    let nar = get("narHash").map(|hash| hash.replace(' ', "+"));
    if let Some(hash) = nar.filter(|hash| is_nar_hash(hash)) {
        digest.insert("narHash".to_owned(), hash.into());
    }
    digest
}

/// The digest of a locked input: its revision, or the hash of its NAR.
fn digest_of_lock(lock: &str) -> Map<String, Value> {
    let mut digest = Map::new();
    if is_git(lock) {
        digest.insert("gitCommit".to_owned(), lock.into());
    } else if is_nar_hash(lock) {
        digest.insert("narHash".to_owned(), lock.into());
    }
    digest
}

/// The number of a commit: SHA-1 or SHA-256.
fn is_git(text: &str) -> bool {
    matches!(text.len(), 40 | 64)
        && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// The hash of a NAR as `flake.lock` has it: `sha256-<base64>`. The digest sets of in-toto have no
/// name for it, and `sha256` is for the bytes of a file; so it is called as Nix calls it.
fn is_nar_hash(text: &str) -> bool {
    let bytes = text.strip_prefix("sha256-").map(|hash| BASE64.decode(hash.as_bytes()));
    matches!(bytes, Some(Ok(bytes)) if bytes.len() == 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_found_in_references() {
        let rev = "9".repeat(40);
        let hash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        let commit = json!({ "gitCommit": rev });
        let both = json!({ "gitCommit": rev, "narHash": hash });
        let nar = json!({ "narHash": hash });
        let cases = [
            (format!("github:NixOS/nixpkgs/{rev}"), &commit),
            (format!("git+https://example.org/a?ref=main&rev={rev}"), &commit),
            (format!("github:NixOS/nixpkgs/{rev}?narHash={hash}"), &both),
            (
                format!(
                    "github:NixOS/nixpkgs/{rev}?narHash={}",
                    hash.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
                ),
                &both,
            ),
            (format!("path:/nix/store/x-source?narHash={hash}"), &nar),
            (format!("tarball+https://example.org/{rev}"), &json!({})),
            ("github:NixOS/nixpkgs/nixos-26.05".to_owned(), &json!({})),
            ("path:/somewhere?narHash=sha256-short".to_owned(), &json!({})),
        ];
        for (reference, digest) in cases {
            assert_eq!(Value::Object(digest_of_reference(&reference)), *digest, "{reference}");
        }
    }
}
