use super::*;

/// Inputs: `nixpkgs`; `wsl` with one that follows, and one of its own; `tool`, which has it too.
fn good() -> Value {
    json!({
        "nodes": {
            "root": { "inputs": { "nixpkgs": "nixpkgs", "wsl": "wsl", "tool": "tool" } },
            "nixpkgs": { "locked": {
                "type": "github", "owner": "NixOS", "repo": "nixpkgs", "lastModified": 1783703440,
                "rev": "8f0500b9660505dc3cb647775fe9a978a74b5283", "narHash": "sha256-O3/Yajj=",
            } },
            "wsl": {
                "inputs": { "nixpkgs": ["nixpkgs"], "compat": "compat", "self": [] },
                "locked": { "type": "git", "url": "https://example.org/wsl", "rev": "787a4c12" },
            },
            "compat": { "flake": false, "locked": {
                "type": "path", "path": "/srv/compat", "narHash": "sha256-vNpUSpF5Nuw8xvDLj2KC=",
            } },
            "tool": { "inputs": { "compat": "compat" }, "locked": { "type": "path" } },
        },
        "root": "root",
        "version": 7,
    })
}

fn lock(json: &Value) -> LockFile {
    LockFile::from_json(json.clone()).unwrap()
}

/// The complaint about [`good`] with the value at `place` replaced.
fn complaint(place: &str, value: Value) -> String {
    let mut json = good();
    let (parent, key) = place.rsplit_once('/').unwrap();
    json.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value);
    LockFile::from_json(json).expect_err(place).to_string()
}

#[test]
fn every_input_is_listed_by_its_path() {
    let shown = |input: &Input| format!("{}: {}", input.path, input.pin);
    let inputs: Vec<_> = lock(&good()).inputs().iter().map(shown).collect();
    assert_eq!(
        inputs,
        [
            "nixpkgs: 8f0500b96605 (2026-07-10)",
            "tool: ?",
            "tool/compat: sha256-vNpUSpF5Nuw8",
            "wsl: 787a4c12",
            "wsl/compat: sha256-vNpUSpF5Nuw8",
            "wsl/nixpkgs: follows nixpkgs",
            "wsl/self: follows the flake itself",
        ]
    );
    let json = serde_json::to_value(&lock(&good()).inputs()[0]).unwrap();
    assert_eq!(
        json,
        json!({
            "input": "nixpkgs", "source": "github:NixOS/nixpkgs", "narHash": "sha256-O3/Yajj=",
            "revision": "8f0500b9660505dc3cb647775fe9a978a74b5283",
            "lastModified": 1783703440, "date": "2026-07-10",
        })
    );
}

#[test]
fn dates_are_those_of_date_1() {
    // `date -u -d @N +%F`
    for (seconds, expected) in [
        (0, "1970-01-01"),
        (86_399, "1970-01-01"),
        (86_400, "1970-01-02"),
        (951_782_399, "2000-02-28"),
        (951_782_400, "2000-02-29"),
        (951_868_800, "2000-03-01"),
        (1_783_703_440, "2026-07-10"),
        (1_787_204_541, "2026-08-20"),
        (4_107_542_399, "2100-02-28"),
        (4_107_542_400, "2100-03-01"),
        (MAX_TIME, "9999-12-31"),
    ] {
        assert_eq!(date(seconds), expected);
    }
}

#[test]
fn only_version_7_is_read() {
    for version in [json!(4), json!(8), json!("7"), json!(7.5), json!(-7), Value::Null] {
        let text = complaint("/version", version.clone());
        assert!(text.starts_with(&format!("is a lock file of version {version}, ")), "{text}");
    }
    let text = LockFile::parse("{}").unwrap_err().to_string();
    assert_eq!(text, "is not a lock file: it has no version");
    assert!(LockFile::parse("{\"version\": 7").unwrap_err().to_string().starts_with("is not JSON"));
    assert!(matches!(LockFile::parse("[]"), Err(LockError::Shape(_))));
    assert!(matches!(LockFile::parse(&"[".repeat(100_000)), Err(LockError::Json(_))));
}

#[test]
fn what_is_odd_is_named() {
    for (place, value, expected) in [
        ("/root", json!("nothing"), "its root is not there"),
        ("/root", json!(1), "it names no root"),
        ("/nodes", json!([]), "it has no nodes"),
        ("/nodes/wsl", json!("x"), "the node \"wsl\" is no object"),
        ("/nodes/wsl/inputs/compat", json!(1), "the node \"wsl\" has an input compat that is"),
        ("/nodes/wsl/inputs/a\u{1b}[2J", json!("compat"), "an input called \"a\\u{1b}[2J\""),
        ("/nodes/wsl/inputs/a~b", json!("none"), "the input wsl/a~b is the node \"none\", which"),
        ("/nodes/wsl/inputs/nixpkgs", json!(["nix"]), "the input wsl/nixpkgs follows nix, which"),
        ("/nodes/wsl/inputs/nixpkgs", json!(["wsl", "x"]), "follows wsl/x, which is not there"),
        ("/nodes/wsl/inputs/nixpkgs", json!(["wsl", "nixpkgs"]), "follows others in a circle"),
        ("/nodes/wsl/inputs/nixpkgs", json!([1]), "an input nixpkgs that is nothing"),
        ("/nodes/wsl/locked", json!([]), "the node \"wsl\" is not locked to an object"),
        ("/nodes/wsl/locked/rev", json!("787a\u{1b}"), "is locked to a rev that is none"),
        ("/nodes/wsl/locked/rev", json!("main"), "is locked to a revision that is none"),
        ("/nodes/wsl/locked/lastModified", json!(-1), "was last modified at -1, which is no time"),
        ("/nodes/wsl/locked/lastModified", json!(u64::MAX), "which is no time"),
    ] {
        let text = complaint(place, value);
        assert!(text.contains(expected), "{place}: {text}");
    }
}

#[test]
fn circles_of_every_kind_end() {
    // Two that follow each other, and one that grows with each step.
    let text = complaint("/nodes/root/inputs/nixpkgs", json!(["wsl", "nixpkgs"]));
    assert!(text.ends_with("follows others in a circle"), "{text}");
    let text = complaint("/nodes/root/inputs/x", json!(["x", "x"]));
    assert!(text.ends_with("the input x follows others in a circle"), "{text}");
    // A source may be an input of its own inputs: each is entered once.
    let mut json = good();
    json["nodes"]["compat"]["inputs"] = json!({ "wsl": "wsl", "own": "compat" });
    assert_eq!(lock(&json).inputs().len(), 9);
    // As many paths as there are subsets, if they were all followed.
    let mut nodes = json!({ "root": { "inputs": { "a": "0" } } });
    for i in 0..25 {
        let next = (i + 1).to_string();
        nodes[i.to_string()] = json!({ "inputs": { "a": next, "b": next }, "locked": {} });
    }
    nodes["25"] = json!({ "locked": {} });
    let wide = lock(&json!({ "nodes": nodes, "root": "root", "version": 7 }));
    assert_eq!(wide.inputs().len(), 51);
}

#[test]
fn what_a_file_can_take_has_an_end() {
    let long = "x".repeat(MAX_NAME + 1);
    for (place, value, expected) in [
        (format!("/nodes/{long}"), json!({}), "a node has a name of more than 200 bytes"),
        (format!("/nodes/wsl/inputs/{long}"), json!("compat"), "an input with a name of more than"),
        ("/nodes/wsl/inputs/x".to_owned(), json!(long), "has an input x that is nothing"),
        ("/nodes/wsl/inputs/x".to_owned(), json!([long]), "has an input x that is nothing"),
        (
            "/nodes/wsl/inputs/x".to_owned(),
            json!(vec!["x"; MAX_NAMES + 1]),
            "has an input x that is nothing",
        ),
    ] {
        let text = complaint(&place, value);
        assert!(text.contains(expected) && text.len() < 1000, "{text}");
    }
    // As deep as it goes, and as many as there may be at the end of the path.
    let name = |i: usize| format!("{i:0>MAX_NAME$}");
    let file = |last: usize| {
        let depth = MAX_NAMES - 2;
        let mut nodes = json!({ "root": { "inputs": { name(0): "0" } } });
        for i in 0..depth {
            let inputs = json!({ name(i): (i + 1).to_string() });
            nodes[i.to_string()] = json!({ "inputs": inputs, "locked": {} });
        }
        let leaves: Map<_, _> = (0..last).map(|i| (name(i), json!([name(0)]))).collect();
        nodes[depth.to_string()] = json!({ "inputs": leaves, "locked": {} });
        LockFile::from_json(json!({ "nodes": nodes, "root": "root", "version": 7 }))
    };
    let leaves = MAX_INPUTS - (MAX_NAMES - 1);
    assert_eq!(file(leaves).unwrap().inputs().len(), MAX_INPUTS);
    let text = file(leaves + 1).unwrap_err().to_string();
    assert_eq!(text, "is not a lock file: it has more than 10000 inputs");
}

#[test]
fn nixpkgs_is_known_by_its_source() {
    let source = |attributes: Value| Locked::read(attributes.as_object().unwrap()).unwrap();
    let tarball = |url: &str| source(json!({ "type": "tarball", "url": url })).is_nixpkgs();
    assert!(source(json!({ "type": "github", "owner": "NixOS", "repo": "nixpkgs" })).is_nixpkgs());
    assert!(tarball("https://github.com/NixOS/nixpkgs/archive/8f0500b.tar.gz"));
    assert!(tarball("https://releases.nixos.org/nixos/26.05/nixos-26.05.1/nixexprs.tar.xz"));
    assert!(!tarball("https://example.org/nixpkgs.tar.gz"));
    assert!(!source(json!({ "type": "path", "path": "/srv/nixpkgs" })).is_nixpkgs());
}

#[test]
fn what_moved_is_told_apart() {
    let old = lock(&good());
    assert_eq!(diff(&old, &old), []);
    let mut json = good();
    let nodes = &mut json["nodes"];
    nodes["nixpkgs"]["locked"]["rev"] = json!("5880666fd9eb563038431edb35c2d0aa595884e6");
    nodes["nixpkgs"]["locked"]["lastModified"] = json!(1787204541);
    nodes["compat"]["locked"]["path"] = json!("/srv/other");
    nodes["root"]["inputs"].as_object_mut().unwrap().remove("tool");
    nodes["wsl"]["inputs"]["nixpkgs"] = json!("pkgs");
    nodes["wsl"]["locked"]["narHash"] =
        json!("sha256-499ZAnS4nWV2Wtgoi3WdbIVuZbNoN7KptltceQhZc38=");
    nodes["pkgs"] = json!({ "locked": { "type": "tarball", "url": "https://example.org/t" } });
    nodes["root"]["inputs"]["more"] = json!(["wsl", "compat"]);
    let changes = diff(&old, &lock(&json));
    let shown: Vec<_> = changes.iter().map(|c| format!("{}: {c}", c.input())).collect();
    assert_eq!(
        shown,
        [
            "more: added: follows wsl/compat",
            "nixpkgs: 8f0500b96605 (2026-07-10) → 5880666fd9eb (2026-08-20)",
            "tool: removed: ?",
            "tool/compat: removed: sha256-vNpUSpF5Nuw8",
            "wsl: 787a4c12 ? → 787a4c12 sha256-499ZAnS4nWV2",
            "wsl/compat: path:/srv/compat sha256-vNpUSpF5Nuw8 → path:/srv/other sha256-vNpUSpF5Nuw8",
            "wsl/nixpkgs: follows nixpkgs → ?",
        ]
    );
    let json = serde_json::to_value(&changes[0]).unwrap();
    let expected = json!({ "change": "added", "input": "more", "to": { "follows": "wsl/compat" } });
    assert_eq!(json, expected);
}

#[test]
fn no_edit_of_a_file_makes_it_panic() {
    let text = good().to_string();
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        for byte in [b'"', b'0', b'[', b'}', b','] {
            bytes[at] = byte;
            if let Ok(lock) = LockFile::parse(&String::from_utf8_lossy(&bytes)) {
                let _ = diff(&lock, &lock);
            }
        }
    }
}
