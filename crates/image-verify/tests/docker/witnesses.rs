//! What other programs make, and what they say of the same bytes.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use image_formats::bytes::Region;
use image_verify::{
    Recorder,
    tree::{Kind, Tree},
};
use serde_json::{Value, json};

use super::{
    folder::Folder,
    image::{digest, layout},
    *,
};

/// What a tree is made of: paths, each with what is there.
type Listing = BTreeMap<String, String>;

/// The files of the only image in an archive, as the checks saw them.
fn files(archive: &[u8]) -> Listing {
    let region = Region::from(archive.to_vec());
    let mut out = Recorder::default();
    let mut found = Listing::new();
    docker::verify(&region, &Limits::default(), &mut out, &mut |image, _| {
        found = of_tree(image.tree.as_ref().unwrap());
    })
    .unwrap();
    found
}

/// The same of a tree.
fn of_tree(tree: &Tree) -> Listing {
    let describe = |id| {
        let node = tree.node(id);
        match &node.kind {
            Kind::Directory(_) => format!("directory {:o}", node.mode),
            Kind::File(_) => format!("file {:o} {}", node.mode, node.size),
            Kind::Symlink(target) => format!("symlink {}", String::from_utf8_lossy(target)),
            Kind::Special => "special".to_owned(),
        }
    };
    // A file with several names has one path.
    let mut found = Listing::new();
    let mut waiting = vec![(String::new(), Tree::ROOT)];
    while let Some((path, id)) = waiting.pop() {
        for (name, child) in tree.children(id) {
            let path = format!("{path}/{}", String::from_utf8_lossy(name));
            found.insert(path.clone(), describe(child));
            waiting.push((path, child));
        }
    }
    found
}

/// The same of a folder.
fn listing(root: &Path) -> Listing {
    let mut found = Listing::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let mode = metadata.permissions().mode() & 0o7777;
            let what = if metadata.is_dir() {
                waiting.push(path.clone());
                format!("directory {mode:o}")
            } else if metadata.is_symlink() {
                format!("symlink {}", fs::read_link(&path).unwrap().display())
            } else {
                format!("file {mode:o} {}", metadata.len())
            };
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            found.insert(format!("/{name}"), what);
        }
    }
    found
}

/// What umoci unpacks of the image in an archive.
fn unpacked(archive: &[u8]) -> Listing {
    let folder = Folder::new();
    folder.write("image.tar", archive);
    copy(&folder, "docker-archive:image.tar", "oci:layout:latest");
    // What the configuration says of users is not for it: it follows links out of the image.
    folder.succeed(&["umoci", "raw", "unpack", "--image", "layout:latest", "rootfs"]);
    listing(&folder.path("rootfs"))
}

fn copy(folder: &Folder, from: &str, to: &str) {
    folder.succeed(&["skopeo", "--insecure-policy", "copy", "--quiet", from, to]);
}

/// skopeo inspects, and copies layer by layer; umoci puts the layers on each other as we do.
#[test]
fn files_are_those_that_umoci_unpacks() {
    let good = Image::good;
    let through_link = {
        let mut image = good();
        let files = vec![
            ("./lib", image::File::Symlink("usr/lib")),
            ("./usr/lib/", image::File::Directory),
            ("./lib/libc", image::File::Text("c")),
        ];
        image.layers[1] = image::upper(files);
        image
    };
    for image in [good(), Image { compressed: true, ..good() }, through_link] {
        let archive = image.pack();
        assert!(verify(&archive).passed());
        let files = files(&archive);
        assert_eq!(files, unpacked(&archive));
        assert!(!files.contains_key("/old") && files.contains_key("/emptied/new"));
        let folder = Folder::new();
        folder.write("image.tar", &archive);
        let inspect = ["skopeo", "inspect", "--config", "docker-archive:image.tar"];
        let found = folder.succeed(&inspect).stdout;
        let found: Value = serde_json::from_slice(&found).unwrap();
        assert_eq!(found["config"]["Cmd"], json!(["sh"]));
    }
}

/// The two flavors of `docker save`, of an image that umoci makes: by skopeo, and with the index of
/// the layout that it came from.
#[test]
fn images_of_umoci_and_skopeo_are_good() {
    let folder = layout();
    copy(&folder, "oci:layout:latest", "docker-archive:image.tar:nixos:latest");
    let archive = fs::read(folder.path("image.tar")).unwrap();
    let report = verify(&archive);
    assert_eq!(told(&report.findings), [""; 0]);
    assert_eq!(files(&archive), unpacked(&archive));

    let read = |name: &str| -> Value {
        let path = folder.path("layout").join(name);
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    };
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap();
        format!("blobs/sha256/{}", digest.strip_prefix("sha256:").unwrap())
    };
    let manifest = read(&blob(&read("index.json")["manifests"][0]));
    let layers: Vec<_> = manifest["layers"].as_array().unwrap().iter().map(blob).collect();
    let config = blob(&manifest["config"]);
    let list = json!([{ "Config": config, "RepoTags": ["nixos:latest"], "Layers": layers }]);
    folder.write("layout/manifest.json", list.to_string().as_bytes());
    let names = ["blobs", "index.json", "manifest.json", "oci-layout"];
    let argv = ["tar", "-C", "layout", "--sort=name", "-cf", "oci.tar"];
    folder.succeed(&[&argv[..], &names].concat());
    let archive = fs::read(folder.path("oci.tar")).unwrap();
    let report = verify(&archive);
    assert_eq!(told(&report.findings), [""; 0]);
    assert_eq!(report.outcomes["docker-index-image"], Outcome::Held);
    // The layout alone is read by few programs.
    let argv = ["tar", "-C", "layout", "-cf", "alone.tar", "blobs", "index.json", "oci-layout"];
    folder.succeed(&argv);
    let report = verify(&fs::read(folder.path("alone.tar")).unwrap());
    assert_eq!(failed(&report.findings), ["docker-manifest".to_owned()].into());
    assert!(report.findings[0].message.contains("only the index"));
}

/// As nixpkgs' streamLayeredImage and buildImage write them: with absolute names in layers, and
/// with folders that have no name of their own.
#[test]
fn images_of_nixpkgs_are_good() {
    let folder = Folder::new();
    folder.write("root/nix/store/a-sh/bin/sh", &image::program(image::X86_64));
    folder.succeed(&["chmod", "0555", "root/nix/store/a-sh/bin/sh"]);
    let tar = ["tar", "--sort=name", "--mtime=@1", "--owner=0", "--group=0", "-C"];
    let absolute = ["root", "-P", "--transform=s,^,/,S", "-cf", "layer.tar", "nix"];
    folder.succeed(&[&tar[..], &absolute].concat());
    let layer = fs::read(folder.path("layer.tar")).unwrap();
    let config = json!({
        "created": "1970-01-01T00:00:01+00:00",
        "architecture": "amd64",
        "os": "linux",
        "config": { "Cmd": ["/nix/store/a-sh/bin/sh"] },
        "rootfs": { "diff_ids": [format!("sha256:{}", digest(&layer))], "type": "layers" },
        "history": [{ "created": "1970-01-01T00:00:01+00:00" }],
    })
    .to_string();
    let (id, name) = (digest(&layer), format!("{}.json", digest(config.as_bytes())));
    let list = json!([{
        "Config": name,
        "RepoTags": ["nixos:latest"],
        "Layers": [format!("{id}/layer.tar")],
    }]);
    folder.write(&format!("image/{id}/layer.tar"), &layer);
    folder.write(&format!("image/{id}/VERSION"), b"1.0");
    folder.write(&format!("image/{name}"), config.as_bytes());
    folder.write("image/manifest.json", list.to_string().as_bytes());
    folder.write("image/repositories", json!({ "nixos": { "latest": id } }).to_string().as_bytes());
    for transform in [&[][..], &["--xform", "s:^./::"]] {
        folder.succeed(&[&tar[..], &["image"], transform, &["-cf", "image.tar", "."]].concat());
        let report = verify(&gzip(&fs::read(folder.path("image.tar")).unwrap()));
        assert_eq!(failed(&report.findings), ["docker-layer-absolute".to_owned()].into());
        assert_eq!(report.findings.len(), 1);
        assert!(report.passed());
        copy(&folder, "docker-archive:image.tar", "oci:copied:latest");
        fs::remove_dir_all(folder.path("copied")).unwrap();
    }
}

/// What skopeo or umoci refuse has an error, and what has none they read.
#[test]
fn skopeo_and_umoci_refuse_nothing_that_passes() {
    let mut passed_by_them = BTreeSet::new();
    for twin in FORMAT.iter().chain(KIND).chain(MORE) {
        let archive = (twin.make)();
        let folder = Folder::new();
        folder.write("image.tar", &archive);
        let (from, to) = ("docker-archive:image.tar", "oci:layout:latest");
        let skopeo = ["skopeo", "--insecure-policy", "copy", "--quiet", from, to];
        let copied = folder.tool(&skopeo);
        let unpack = ["umoci", "raw", "unpack", "--image", "layout:latest", "rootfs"];
        let good = copied.status.success() && folder.tool(&unpack).status.success();
        // An archive of several images is not copied as one.
        if verify_twin(twin).passed() && twin.check != "docker-limits" {
            assert!(good, "{}: {copied:?}", twin.check);
        } else if good {
            passed_by_them.insert(twin.check);
        }
    }
    let known = BTreeSet::from([
        // They read neither tags, nor the index and its blobs, nor what a container starts.
        "docker-blob",
        "docker-index",
        "docker-index-image",
        "docker-platform",
        "docker-program",
        "docker-repo-tags",
        "docker-user",
        // Names are for them what they are, and where an archive ends, it ends.
        "docker-config-name",
        "docker-name",
        "docker-tar",
        // umoci unpacks a layer into the files of those below, takes `..` away, and mounts nothing.
        "docker-layer-limit",
        "docker-layer-link",
        "docker-layer-name",
        // With a lower limit than ours is.
        "docker-layer-expansion",
    ]);
    assert_eq!(passed_by_them, known);
}
