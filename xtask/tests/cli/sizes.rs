//! `sizes` and `sbom`, on images of the closure that real Nix builds.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{
    common::{Project, Ran, which},
    store::tool,
};

/// The folder with an image of each kind.
fn images() -> PathBuf {
    tool("closure-images.sh")
}

fn run(args: &[&str], image: &Path) -> Ran {
    let project = Project::new();
    Ran::of(project.command().args(args).arg(image))
}

/// All parts by their names, as far as they are told; each is the sum of what is in it.
fn parts(part: &Value, parts: &mut BTreeMap<String, u64>) {
    let bytes = part["bytes"].as_u64().unwrap();
    if let Some(children) = part["children"].as_array() {
        let sum: u64 = children.iter().map(|child| child["bytes"].as_u64().unwrap()).sum();
        let others = part["others"]["bytes"].as_u64().unwrap_or_default();
        assert_eq!(sum + others, bytes, "{}", part["name"]);
        children.iter().for_each(|child| self::parts(child, parts));
    }
    parts.insert(part["name"].as_str().unwrap().to_owned(), bytes);
}

/// Names and sizes of the store paths of the closure, as `find` tells them. A file with several names
/// is in it once.
fn closure() -> BTreeMap<String, u64> {
    let store = tool("build-closure.sh").join("root/nix/store");
    let entries = fs::read_dir(store).unwrap().map(|entry| entry.unwrap());
    let size = |path: &Path| -> u64 {
        let args = ["-type", "f", "-printf", "%s\n"];
        let output = Command::new("find").arg(path).args(args).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| line.parse::<u64>().unwrap()).sum()
    };
    let named = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        (name, size(&entry.path()))
    };
    // Hard links of the optimizer are no store paths.
    entries.map(named).filter(|(name, _)| name != ".links").collect()
}

#[test]
fn store_paths_are_as_large_as_their_files_in_every_image() {
    let (images, closure) = (images(), closure());
    assert!(closure.len() > 30, "{}", closure.len());
    for (file, raw) in [("good.wsl", None), ("good.img", None), ("good.iso", Some(()))] {
        let image = images.join(file);
        let json = run(&["sizes", "--format", "json", "--depth", "60"], &image).exits(0).json();
        let mut found = BTreeMap::new();
        parts(&json["tree"], &mut found);
        for (name, bytes) in &closure {
            assert_eq!(found.get(name), Some(bytes), "{name} in {file}");
        }
        assert_eq!(json["size"], fs::metadata(&image).unwrap().len());
        // Compressed are only the files in the SquashFS.
        assert_eq!(json["tree"].get("stored").is_some(), raw.is_some(), "{file}");
        let whole = if raw.is_some() { "stored" } else { "bytes" };
        assert_eq!(json["tree"][whole], json["raw"], "{file}");
    }
}

/// Names that are paths of the store bring others with them by what the database says.
#[test]
fn a_folder_has_the_sizes_of_the_archive_of_it() {
    let root = tool("build-closure.sh").join("root");
    let args = ["sizes", "--format", "json", "--depth", "60"];
    let (folder, archive) = (run(&args, &root).exits(0), images().join("good.wsl"));
    let archive = run(&args, &archive).exits(0).json();
    let folder = folder.json();
    assert_eq!(folder["format"], "folder");
    assert_eq!(folder["raw"], folder["tree"]["bytes"]);
    let store = |json: &Value| {
        let children = json["tree"]["children"].as_array().unwrap().clone();
        let store = children.into_iter().find(|child| child["kind"] == "store").unwrap();
        let paths = store["children"].as_array().unwrap().clone();
        let told = |path: Value| {
            let name = path["name"].as_str().unwrap().to_owned();
            (name, (path["bytes"].clone(), path["withReferences"].clone()))
        };
        paths.into_iter().map(told).collect::<BTreeMap<_, _>>()
    };
    let (folder, archive) = (store(&folder), store(&archive));
    let mut brings = 0;
    for (name, path) in folder.iter().filter(|(name, _)| *name != ".links") {
        assert_eq!(archive.get(name), Some(path), "{name}");
        brings += u32::from(path.1.as_u64() > path.0.as_u64());
    }
    assert!(brings > 10, "{brings}");
}

#[test]
fn a_tree_for_people_is_as_deep_and_as_long_as_they_like() {
    let image = images().join("good.img");
    let text = run(&["sizes", "--depth", "0"], &image).exits(0).out;
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.contains("100.0 % ████████████████████  good.img"), "{text}");
    let text = run(&["sizes", "--top", "1"], &image).exits(0).out;
    assert!(text.contains("├─ partition 2 (ext4, NIXOS_SD)"), "{text}");
    assert!(text.contains("│  ├─ Nix store  ("), "{text}");
    assert!(text.contains("│  │  └─ … "), "{text}");
    let sizes = run(&["sizes", "--top", "999"], &image).exits(0);
    let sizes = sizes.says(" free\n").says("outside of partitions").says(" with references)");
    sizes.says("metadata and padding");
}

#[test]
fn what_is_no_image_has_no_sizes() {
    let project = Project::new();
    fs::write(project.path("a.txt"), "plain text").unwrap();
    project.run(&["sizes", "a.txt"]).exits(1).says("a.txt: it is no image");
    project.run(&["sizes", "absent"]).exits(2).says("absent");
    project.run(&["sbom", "absent"]).exits(2).says("absent");
    project.run(&["sbom", "a.txt"]).exits(1).says("a.txt has no Nix store");
    project.run(&["image", "wsl"]).exits(0);
    project.run(&["sizes", "dist/wsl/mini.wsl"]).exits(0).says("busybox");
    project.run(&["sbom", "dist/wsl/mini.wsl"]).exits(1).says("has no Nix store");
}

/// `rsvg-convert` is what others draw it with.
#[test]
fn a_treemap_is_drawn() {
    let (project, images) = (Project::new(), images());
    let image = images.join("good.iso");
    let mut command = project.command();
    Ran::of(command.args(["sizes", "--svg", "map.svg"]).arg(&image)).exits(0);
    let svg = fs::read_to_string(project.path("map.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    assert!(svg.contains(">Nix store  9") && svg.len() < 100_000, "{svg}");
    let drawn = Command::new(which("rsvg-convert", "librsvg2-bin"))
        .args(["--output", "map.png", "map.svg"])
        .current_dir(project.dir.path())
        .output()
        .unwrap();
    assert!(drawn.status.success() && drawn.stderr.is_empty(), "{drawn:?}");
    let png = fs::read(project.path("map.png")).unwrap();
    assert!(png.starts_with(b"\x89PNG") && png.len() > 10_000, "{}", png.len());
    // Nothing is left of one that cannot be written.
    let mut command = project.command();
    let ran = Ran::of(command.args(["sizes", "--svg", "absent/map.svg"]).arg(&image));
    ran.exits(2).says("absent/map.svg");
}

/// What they say is compared with Nix elsewhere, and with the published schemas.
#[test]
fn a_bill_of_materials_is_printed_or_written() {
    let (project, image) = (Project::new(), images().join("good.wsl"));
    let sbom = |args: &[&str]| {
        let mut command = project.command();
        command.env("SOURCE_DATE_EPOCH", "1787204541").arg("sbom").args(args);
        Ran::of(command.arg(&image)).exits(0).out
    };
    assert_eq!(sbom(&["--cyclonedx", "a.cdx.json", "--spdx", "a.spdx.json"]), "");
    assert_eq!(sbom(&[]), fs::read_to_string(project.path("a.cdx.json")).unwrap());
    let spdx = fs::read_to_string(project.path("a.spdx.json")).unwrap();
    assert_eq!(sbom(&["--standard", "spdx"]), spdx);
    let created = serde_json::from_str::<Value>(&spdx).unwrap()["creationInfo"].clone();
    assert_eq!(created["created"], "2026-08-20T05:42:21Z");
    let mut command = project.command();
    command.env("SOURCE_DATE_EPOCH", "now").arg("sbom").arg(&image);
    Ran::of(&mut command).exits(2).says("SOURCE_DATE_EPOCH is \"now\"");
}
