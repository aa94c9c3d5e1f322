//! A broken twin for every check: a good image with one edit.

use serde_json::{Value, json};

use super::{
    image::{
        File::{Directory, HardLink, Other, Program, Symlink, Text},
        Image, digest, gzip, layer, pack, program, upper,
    },
    twin::{Twin, twin, with},
};

/// An image with an edit before its digests are made.
fn image(edit: fn(&mut Image)) -> Vec<u8> {
    let mut image = Image::good();
    edit(&mut image);
    image.pack()
}

/// An image with another configuration.
fn config(pointer: &str, value: Value) -> Vec<u8> {
    let mut image = Image::good();
    *image.config.pointer_mut(pointer).unwrap() = value;
    image.pack()
}

/// An image with an upper layer that has more files.
fn files(files: Vec<(&str, super::image::File)>) -> Vec<u8> {
    let mut image = Image::good();
    image.layers[1] = upper(files);
    image.pack()
}

/// An archive with an edit of its members.
fn parts(edit: fn(&mut Vec<(String, Vec<u8>)>)) -> Vec<u8> {
    let mut parts = Image::good().parts();
    edit(&mut parts);
    pack(&parts)
}

/// The same, of an archive with an index.
fn oci(edit: fn(&mut Vec<(String, Vec<u8>)>)) -> Vec<u8> {
    let mut parts = Image { oci: true, ..Image::good() }.parts();
    edit(&mut parts);
    pack(&parts)
}

/// Edits `manifest.json`.
fn list(edit: fn(&mut Value)) -> Vec<u8> {
    let mut parts = Image::good().parts();
    let text = &mut parts.last_mut().unwrap().1;
    let mut list: Value = serde_json::from_slice(text).unwrap();
    edit(&mut list);
    *text = list.to_string().into_bytes();
    pack(&parts)
}

/// The configuration.
fn config_of(parts: &mut [(String, Vec<u8>)]) -> &mut Vec<u8> {
    let is_config = |name: &str| name.ends_with(".json") && name != "manifest.json";
    &mut parts.iter_mut().find(|(name, _)| is_config(name)).unwrap().1
}

/// The member whose name ends like this.
fn member<'a>(parts: &'a mut [(String, Vec<u8>)], end: &str) -> &'a mut (String, Vec<u8>) {
    parts.iter_mut().find(|(name, _)| name.ends_with(end)).unwrap()
}

fn edited(edit: fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut archive = Image::good().pack();
    edit(&mut archive);
    archive
}

pub(crate) const FORMAT: &[Twin] = &[
    twin("docker-tar", || edited(|archive| archive.truncate(archive.len() - 1024))),
    twin("docker-name", || {
        parts(|parts| {
            let list = [&parts.last().unwrap().1[..], b"\n"].concat();
            parts.push(("manifest.json".to_owned(), list));
        })
    }),
    twin("docker-limits", || {
        list(|list| {
            let item = list[0].clone();
            list.as_array_mut().unwrap().extend(vec![item; 16]);
        })
    }),
    twin("docker-manifest", || parts(|parts| drop(parts.pop()))),
    twin("docker-repo-tags", || list(|list| list[0]["RepoTags"] = json!(["NixOS:latest"]))),
    twin("docker-config", || list(|list| list[0]["Config"] = json!("config.json"))),
    twin("docker-config-name", || parts(|parts| config_of(parts).push(b'\n'))),
    twin("docker-layers", || {
        list(|list| {
            let first = list[0]["Layers"][0].clone();
            list[0]["Layers"] = json!([first]);
        })
    }),
    with("docker-layer-limit", &["docker-history"], || {
        image(|image| {
            let last = image.layers[1].clone();
            image.layers.extend(vec![last; 124]);
        })
    }),
    twin("docker-layer-file", || parts(|parts| drop(parts.remove(1)))),
    with("docker-diff-id", &[], || {
        parts(|parts| {
            let layer = &mut parts[1].1;
            let at = layer.windows(8).position(|bytes| bytes == b"users:x:").unwrap();
            layer[at + 8] = b'2';
        })
    }),
    // What is not read to its end has no digest either.
    twin("docker-layer-tar", || {
        image(|image| {
            let at = image.layers[1].windows(5).position(|bytes| bytes == b"./usr").unwrap();
            image.layers[1][at + 5] = b'!';
        })
    }),
    twin("docker-layer-end", || {
        image(|image| {
            let len = image.layers[1].len();
            image.layers[1].truncate(len - 1024);
        })
    }),
    twin("docker-layer-expansion", || {
        image(|image| {
            image.compressed = true;
            image.layers[1].resize(8 << 20, 0);
        })
    }),
    twin("docker-layer-name", || files(vec![("./a/../../b", Text(""))])),
    twin("docker-layer-absolute", || files(vec![("/a", Text("")), ("/b", Text(""))])),
    twin("docker-layer-type", || files(vec![("./a", Other(b'Z'))])),
    twin("docker-layer-duplicate", || files(vec![("./etc/group", Text("users:x:100:\n"))])),
    twin("docker-layer-below-file", || files(vec![("./a", Text("")), ("./a/b", Text(""))])),
    twin("docker-layer-link", || files(vec![("./a", HardLink("nix/store/a-busybox/bin/busybox"))])),
    twin("docker-whiteout", || files(vec![("./.wh.never", Text(""))])),
    twin("docker-symlink-replaced", || {
        image(|image| {
            image
                .layers
                .push(layer(&[("./usr/bin/", Directory), ("./usr/bin/sh", Symlink("/bin/sh"))]));
            image.config["history"].as_array_mut().unwrap().push(json!({}));
        })
    }),
    twin("docker-created", || config("/created", json!("today"))),
    twin("docker-history", || config("/history", json!([{}]))),
    with("docker-index", &[], || oci(|parts| parts.retain(|(name, _)| name != "oci-layout"))),
    twin("docker-index-image", || {
        oci(|parts| {
            let list = &mut member(parts, "manifest.json").1;
            let text = String::from_utf8(list.clone()).unwrap();
            let value: Value = serde_json::from_str(&text).unwrap();
            let name = value[0]["Config"].as_str().unwrap().to_owned();
            let mut config = member(parts, &name).1.clone();
            config.push(b'\n');
            let other = format!("blobs/sha256/{}", digest(&config));
            member(parts, "manifest.json").1 = text.replace(&name, &other).into_bytes();
            parts.push((other, config));
        })
    }),
    twin("docker-blob", || {
        oci(|parts| {
            parts.push((format!("blobs/sha256/{}", digest(b"a")), b"b".to_vec()));
        })
    }),
];

pub(crate) const KIND: &[Twin] = &[
    with("docker-platform", &["docker-program"], || config("/architecture", json!("arm64"))),
    twin("docker-untagged", || image(|image| image.tags.clear())),
    twin("docker-command", || config("/config/Cmd", json!(null))),
    twin("docker-program", || config("/config/Cmd", json!(["bash"]))),
    twin("docker-user", || config("/config/User", json!("nobody"))),
];

/// Further ways to fail a check.
pub(crate) const MORE: &[Twin] = &[
    twin("docker-program", || config("/config/Cmd", json!(["./etc/group"]))),
    twin("docker-program", || config("/config/Cmd", json!(["/bin"]))),
    twin("docker-program", || config("/config/Env", json!(["PATH=/"]))),
    twin("docker-program", || {
        image(|image| {
            image.layers[1] = upper(vec![("./start", Program(program(0xb7)))]);
            image.config["config"]["Entrypoint"] = json!("/start");
        })
    }),
    twin("docker-program", || {
        image(|image| {
            image.layers[1] = upper(vec![("./start", Program(b"no program".to_vec()))]);
            image.config["config"]["Entrypoint"] = json!(["../start"]);
            image.config["config"]["WorkingDir"] = json!("/etc");
        })
    }),
    // A layer above takes away what the program is, and what leads to it.
    twin("docker-program", || {
        image(|image| {
            image.layers.push(layer(&[("./nix/store/.wh.a-busybox", Text(""))]));
            image.config["history"].as_array_mut().unwrap().push(json!({}));
        })
    }),
    twin("docker-program", || {
        image(|image| {
            let mark = "./nix/store/a-busybox/bin/.wh..wh..opq";
            image.layers.push(layer(&[(mark, Text(""))]));
            image.config["history"].as_array_mut().unwrap().push(json!({}));
        })
    }),
    with("docker-program", &["docker-symlink-replaced"], || {
        image(|image| {
            image.layers.push(layer(&[("./usr/bin/other", Text(""))]));
            image.config["history"].as_array_mut().unwrap().push(json!({}));
        })
    }),
    twin("docker-user", || config("/config/User", json!("0:wheel"))),
    twin("docker-user", || {
        image(|image| {
            image.layers.push(layer(&[("./etc/.wh.passwd", Text(""))]));
            image.config["history"].as_array_mut().unwrap().push(json!({}));
        })
    }),
    twin("docker-whiteout", || files(vec![("./etc/.wh.", Text(""))])),
    twin("docker-layer-link", || files(vec![("./a", Symlink(""))])),
    twin("docker-layer-tar", || image(|image| image.layers[1].truncate(700))),
    twin("docker-config", || parts(|parts| config_of(parts).truncate(100))),
    twin("docker-manifest", || list(|list| *list = json!({}))),
    twin("docker-manifest", || list(|list| *list = json!([]))),
    twin("docker-index", || {
        oci(|parts| {
            let index = &mut member(parts, "index.json").1;
            let text = String::from_utf8(index.clone()).unwrap();
            *index = text.replace("\"size\":", "\"size\":1").into_bytes();
        })
    }),
    twin("docker-layer-tar", || {
        parts(|parts| {
            let layer = &mut parts[0].1;
            *layer = gzip(layer);
            layer.truncate(200);
        })
    }),
];
