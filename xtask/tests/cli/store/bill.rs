//! Bills of material: the schemas of those who wrote the formats take them, and they list what Nix
//! has.

use std::{collections::BTreeMap, path::Path, process::Command};

use serde_json::Value;

use super::{Kind, Project, Ran, tree::Tree};
use crate::nix::tests_dir;

/// Who validates is another program, with another's schema.
#[track_caller]
fn is_valid(schema: &str, file: &Path) {
    let root = tests_dir();
    let schema = root.parent().unwrap().join("target/schemas").join(schema);
    assert!(schema.exists(), "{} is missing: run tests/setup.sh", schema.display());
    let mut command = Command::new(root.join("tools/validate-json.py"));
    Ran::of(command.arg(schema).arg(file)).exits(0);
}

fn read(file: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

#[test]
fn bills_follow_the_schemas_and_list_what_nix_has() {
    let project = Project::new();
    let (cyclonedx, spdx) = (project.path("bill.cdx.json"), project.path("bill.spdx.json"));
    for kind in [Kind::Wsl, Kind::Card, Kind::Disc] {
        let image = kind.image();
        let bills = || {
            let mut command = project.command();
            command
                .args(["sbom", "--work", "."])
                .arg(&image)
                .env("SOURCE_DATE_EPOCH", "1700000000");
            command.arg("--cyclonedx").arg(&cyclonedx).arg("--spdx").arg(&spdx);
            Ran::of(&mut command).exits(0);
            (read(&cyclonedx), read(&spdx))
        };
        let first = bills();
        is_valid("cyclonedx/bom-1.6.SNAPSHOT.schema.json", &cyclonedx);
        is_valid("spdx/spdx_2_3.json", &spdx);
        assert_eq!(first, bills());

        // What Nix has registered of the same image.
        let tree = Tree::of(kind, &image);
        tree.load().exits(0);
        let infos = tree.path_infos();
        let infos = infos.as_array().unwrap();
        let components = first.0["components"].as_array().unwrap();
        let packages = first.1["packages"].as_array().unwrap();
        assert_eq!(components.len(), infos.len(), "{kind:?}");
        let text = (first.0.to_string(), first.1.to_string());
        for info in infos {
            let path = info["path"].as_str().unwrap();
            let digits = path["/nix/store/".len()..].split('-').next().unwrap();
            assert!(text.0.contains(digits) && text.1.contains(digits), "{kind:?}: {path}");
        }
        assert!(packages.len() > infos.len(), "{kind:?}: the image itself is one");
        let references: usize = infos
            .iter()
            .map(|info| {
                let all = info["references"].as_array().unwrap();
                all.iter().filter(|path| **path != info["path"]).count()
            })
            .sum();
        let depends: BTreeMap<_, _> = first.0["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| (entry["ref"].as_str().unwrap(), entry["dependsOn"].as_array()))
            .collect();
        let of_components = components.iter().map(|c| c["bom-ref"].as_str().unwrap());
        let declared: usize = of_components.filter_map(|c| *depends.get(c)?).map(Vec::len).sum();
        assert_eq!(declared, references, "{kind:?}");
    }
}
