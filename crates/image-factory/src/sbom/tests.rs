use image_model::{NarDigest, NarHash, PathVerdict, StorePath, Trust};
use serde_json::json;

use super::{component::Components, *};

const HASHES: [&str; 6] = [
    "00000000000000000000000000000000",
    "10000000000000000000000000000000",
    "20000000000000000000000000000000",
    "30000000000000000000000000000000",
    "40000000000000000000000000000000",
    "50000000000000000000000000000000",
];

/// A path with hash `n`, of the derivation `drv`.
fn path(n: usize, name: &str, drv: Option<&str>, references: &[String]) -> StorePath {
    let digest = NarDigest { nar_hash: NarHash([n as u8; 32]), nar_size: 1000 + n as u64 };
    StorePath {
        path: named(n, name),
        verdict: PathVerdict::Intact,
        nar: Some(digest),
        registered: None,
        references: references.to_vec(),
        deriver: drv.map(|drv| format!("/nix/store/{}-{drv}.drv", HASHES[5 - n])),
        content_address: None,
        signatures: Vec::new(),
        trust: Trust::Built,
    }
}

fn named(n: usize, name: &str) -> String {
    format!("/nix/store/{}-{name}", HASHES[n])
}

fn store(volume: &str, paths: Vec<StorePath>) -> StoreReport {
    let registrations = vec!["/nix-path-registration".to_owned()];
    StoreReport { volume: volume.to_owned(), registrations, trusted_keys: Vec::new(), paths }
}

/// A small system: a C library in two outputs, one of which refers to itself, a program with an odd
/// version, one that is lost, and one that nobody registered.
fn stores() -> Vec<StoreReport> {
    let glibc = named(0, "glibc-2.40-66");
    let lost = StorePath {
        verdict: PathVerdict::Missing,
        nar: None,
        ..path(4, "lost-1.0", Some("lost-1.0"), &[])
    };
    let stray =
        StorePath { verdict: PathVerdict::Unregistered, ..path(3, "stray+x?=1", None, &[]) };
    let system = "nixos-system-demo-25.05.20260101.abcdef0";
    let needs = [glibc.clone(), named(1, "glibc-2.40-66-bin"), named(4, "lost-1.0")];
    vec![store(
        "archive",
        vec![
            path(0, "glibc-2.40-66", Some("glibc-2.40-66"), std::slice::from_ref(&glibc)),
            path(1, "glibc-2.40-66-bin", Some("glibc-2.40-66"), std::slice::from_ref(&glibc)),
            path(2, system, Some(system), &needs),
            stray,
            lost,
        ],
    )]
}

fn image<'a>(stores: &'a [StoreReport], epoch: Option<u64>) -> Image<'a> {
    let digests = Digests { size: 4096, sha256: Sha256([0xab; 32]) };
    let title = Some("A demonstration");
    Image { name: "nixos.wsl", title, version: None, digests, stores, epoch }
}

fn json(document: &[u8]) -> Value {
    serde_json::from_slice(document).unwrap()
}

#[test]
fn the_documents_are_these() {
    let stores = stores();
    let image = image(&stores, Some(1_787_204_541));
    insta::assert_json_snapshot!("cyclonedx", json(&cyclonedx(&image)));
    insta::assert_json_snapshot!("spdx", json(&spdx(&image)));
    assert_eq!((cyclonedx(&image), spdx(&image)), (cyclonedx(&image), spdx(&image)));
}

#[test]
fn without_a_time_there_is_none() {
    let stores = stores();
    let image = image(&stores, None);
    assert_eq!(json(&cyclonedx(&image))["metadata"].get("timestamp"), None);
    assert_eq!(json(&spdx(&image))["creationInfo"]["created"], "1970-01-01T00:00:00Z");
}

/// What one document speaks of, the other does; each reference leads to a component.
#[test]
fn all_that_is_there_is_listed_once_and_references_lead_somewhere() {
    let mut stores = stores();
    // A second file system: with a path that is the same, and one that is not.
    let glibc = stores[0].paths[0].clone();
    let other = NarDigest { nar_hash: NarHash([0xee; 32]), nar_size: 7 };
    let changed =
        StorePath { nar: Some(other), verdict: PathVerdict::Changed, ..stores[0].paths[1].clone() };
    stores.push(store("partition 2", vec![glibc, changed]));
    let image = image(&stores, None);

    let bom = json(&cyclonedx(&image));
    let list = |value: &Value, key: &str| -> Vec<String> {
        value.as_array().unwrap().iter().map(|v| v[key].as_str().unwrap().to_owned()).collect()
    };
    let mut references = list(&bom["components"], "bom-ref");
    let changed = format!("{}#2", named(1, "glibc-2.40-66-bin"));
    let paths = ["glibc-2.40-66", "glibc-2.40-66-bin"].iter().enumerate();
    let mut expected: Vec<_> = paths.map(|(n, name)| named(n, name)).collect();
    expected.push(changed.clone());
    expected.push(named(2, "nixos-system-demo-25.05.20260101.abcdef0"));
    expected.push(named(3, "stray+x?=1"));
    assert_eq!(references, expected);
    references.insert(0, "image".to_owned());
    assert_eq!(list(&bom["dependencies"], "ref"), references);
    for dependency in bom["dependencies"].as_array().unwrap() {
        for on in dependency["dependsOn"].as_array().unwrap() {
            assert!(references.iter().any(|reference| on == reference), "{on}");
            assert_ne!(*on, dependency["ref"]);
        }
    }
    // What nobody needs is what the image consists of.
    assert_eq!(bom["dependencies"][0]["dependsOn"], json!([changed, expected[3], expected[4]]));
    let volumes = |index: usize| {
        let properties = bom["components"][index]["properties"].as_array().unwrap();
        properties.iter().filter(|property| property["name"] == "nix:volume").count()
    };
    assert_eq!((volumes(0), volumes(1), volumes(2)), (2, 1, 1));

    let document = json(&spdx(&image));
    let ids = list(&document["packages"], "SPDXID");
    assert_eq!(ids.len(), 6);
    let relations = document["relationships"].as_array().unwrap();
    for relation in relations {
        for key in ["spdxElementId", "relatedSpdxElement"] {
            let id = relation[key].as_str().unwrap();
            assert!(id == "SPDXRef-DOCUMENT" || ids.iter().any(|known| known == id), "{id}");
        }
    }
    let depends = relations.iter().filter(|r| r["relationshipType"] == "DEPENDS_ON").count();
    assert_eq!(depends, 4);
}

#[test]
fn identifiers_of_spdx_are_different() {
    let stores = [store("archive", vec![path(0, "a+b", None, &[]), path(0, "a=b", None, &[])])];
    let packages = json(&spdx(&image(&stores, None)));
    let ids: Vec<_> = (0..3).map(|i| packages["packages"][i]["SPDXID"].clone()).collect();
    let hash = HASHES[0];
    let expected = [
        "SPDXRef-Image".to_owned(),
        format!("SPDXRef-{hash}-a.b"),
        format!("SPDXRef-{hash}-a.b.1"),
    ];
    assert_eq!(ids, expected);
}

/// Of the manual of Nix, `builtins.parseDrvName`, and of its tests, `eval-okay-versions.nix`.
#[test]
fn names_and_versions_are_divided_as_nix_does() {
    for (full, name, version) in [
        ("nix-0.12pre12876", "nix", Some("0.12pre12876")),
        ("hello-1.0.2", "hello", Some("1.0.2")),
        ("hello", "hello", None),
        ("915resolution-0.5.2", "915resolution", Some("0.5.2")),
        ("xf86-video-i740-1.1.0", "xf86-video-i740", Some("1.1.0")),
        ("python3.12-requests-2.32.3", "python3.12-requests", Some("2.32.3")),
        ("a--b", "a", Some("-b")),
        ("a-", "a-", None),
        ("-1", "-1", None),
        ("name-é-1", "name", Some("é-1")),
    ] {
        assert_eq!(parse_drv_name(full), (name, version), "{full}");
    }
}

#[test]
fn the_derivation_tells_where_the_version_ends() {
    let name = |full: &str, drv: Option<&str>| {
        let path = path(0, full, drv, &[]);
        let Name { name, version, output } = Name::of(&path);
        format!("{name}|{}|{}", version.unwrap_or_default(), output.unwrap_or_default())
    };
    assert_eq!(name("glibc-2.40-66", Some("glibc-2.40-66")), "glibc|2.40-66|out");
    assert_eq!(name("glibc-2.40-66-bin", Some("glibc-2.40-66")), "glibc|2.40-66|bin");
    assert_eq!(name("glibc-2.40-66-bin", None), "glibc|2.40-66-bin|");
    // Derivations may call their outputs as they like, by `__structuredAttrs` or by hand.
    assert_eq!(name("source", Some("nixpkgs-1")), "source||");
    assert_eq!(name("glibc-2.40-66bin", Some("glibc-2.40-66")), "glibc|2.40-66bin|");
}

/// <https://github.com/package-url/purl-spec>: separators that are none are encoded, `:` never.
#[test]
fn package_urls_are_encoded() {
    let purl = |full: &str, drv: Option<&str>| {
        let stores = [store("archive", vec![path(0, full, drv, &[])])];
        Components::of(&stores).all[0].purl()
    };
    let hash = HASHES[0];
    assert_eq!(
        purl("gtk+-3.24-dev", Some("gtk+-3.24")),
        format!("pkg:nix/gtk%2B@3.24?output=dev&path={hash}-gtk%2B-3.24-dev")
    );
    assert_eq!(purl("a?b=c", Some("a?b=c")), format!("pkg:nix/a%3Fb%3Dc?path={hash}-a%3Fb%3Dc"));
    assert_eq!(purl("x-1_2", None), format!("pkg:nix/x@1_2?path={hash}-x-1_2"));
}

/// RFC 9562, appendix A.4.
#[test]
fn numbers_of_documents_are_those_of_the_specification() {
    let dns = Uuid(0x6ba7b810_9dad_11d1_80b4_00c04fd430c8_u128.to_be_bytes());
    let uuid = Uuid::v5(dns, "www.example.com").to_string();
    assert_eq!(uuid, "2ed6657d-e927-568b-95e1-2665a8aea6a2");
    let (one, other) = (Sha256([1; 32]), Sha256([2; 32]));
    assert_eq!(document(one, "spdx"), document(one, "spdx"));
    assert_ne!(document(one, "spdx"), document(one, "cyclonedx"));
    assert_ne!(document(one, "spdx"), document(other, "spdx"));
}

#[test]
fn an_image_has_the_version_of_its_only_system() {
    let mut stores = stores();
    assert_eq!(image(&stores, None).version(), Some("25.05.20260101.abcdef0"));
    let given = Image { version: Some("7"), ..image(&stores, None) };
    assert_eq!(given.version(), Some("7"));
    stores[0].paths.push(path(5, "nixos-system-demo-25.11", Some("nixos-system-demo-25.11"), &[]));
    assert_eq!(image(&stores, None).version(), None);
}
