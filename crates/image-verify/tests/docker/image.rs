//! Container images in archives: of layers that are put together here, byte by byte, and of what
//! umoci and skopeo make.

use std::fs;

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use sha2::Digest as _;

use super::folder::Folder;

/// A file in a layer.
pub(crate) enum File {
    Directory,
    Program(Vec<u8>),
    Text(&'static str),
    Symlink(&'static str),
    HardLink(&'static str),
    /// Of this type, and empty.
    Other(u8),
}

use File::{Directory, HardLink, Program, Symlink, Text};

/// An archive of these files.
pub(crate) fn layer(files: &[(&str, File)]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, file) in files {
        let (kind, mode, link, content) = match file {
            Directory => (b'5', 0o755, "", &b""[..]),
            Program(content) => (b'0', 0o755, "", &content[..]),
            Text(content) => (b'0', 0o644, "", content.as_bytes()),
            Symlink(target) => (b'2', 0o777, *target, &b""[..]),
            HardLink(target) => (b'1', 0o644, *target, &b""[..]),
            File::Other(kind) => (*kind, 0o644, "", &b""[..]),
        };
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1);
        header.set_size(content.len() as u64);
        // Names are written as they are, also those that no writer would take.
        let raw = header.as_ustar_mut().unwrap();
        raw.name[..name.len()].copy_from_slice(name.as_bytes());
        raw.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        archive.extend_from_slice(header.as_bytes());
        archive.extend_from_slice(content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.extend([0; 1024]);
    archive
}

/// The first bytes of a program for this processor, by its number in ELF.
pub(crate) fn program(machine: u8) -> Vec<u8> {
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(64, 0);
    elf[16] = 2;
    elf[18] = machine;
    elf[20] = 1;
    elf
}

pub(crate) const X86_64: u8 = 0x3e;

/// The lower of the two layers.
pub(crate) fn store() -> Vec<u8> {
    layer(&[
        ("./", Directory),
        ("./nix/", Directory),
        ("./nix/store/", Directory),
        ("./nix/store/a-busybox/", Directory),
        ("./nix/store/a-busybox/bin/", Directory),
        ("./nix/store/a-busybox/bin/busybox", Program(program(X86_64))),
        ("./nix/store/a-busybox/bin/ls", HardLink("./nix/store/a-busybox/bin/busybox")),
        ("./nix/store/b-users/", Directory),
        ("./nix/store/b-users/etc/", Directory),
        (
            "./nix/store/b-users/etc/passwd",
            Text("root:x:0:0::/root:/bin/sh\nnixos:x:1000:100::/:\n"),
        ),
        ("./old/", Directory),
        ("./old/file", Text("old")),
        ("./emptied/", Directory),
        ("./emptied/file", Text("old")),
    ])
}

/// The upper one, with these files as well.
pub(crate) fn upper(files: Vec<(&str, File)>) -> Vec<u8> {
    let mut all = vec![
        ("./", Directory),
        ("./bin/", Directory),
        ("./bin/sh", Symlink("/nix/store/a-busybox/bin/busybox")),
        ("./usr/", Directory),
        ("./usr/bin", Symlink("../bin")),
        ("./etc/", Directory),
        ("./etc/passwd", Symlink("/nix/store/b-users/etc/passwd")),
        ("./etc/group", Text("root:x:0:\nusers:x:100:\n")),
        ("./.wh.old", Text("")),
        ("./emptied/", Directory),
        ("./emptied/.wh..wh..opq", Text("")),
        ("./emptied/new", Text("new")),
    ];
    all.extend(files);
    layer(&all)
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An image. Twins edit it before it is packed, or what comes out.
pub(crate) struct Image {
    /// The layers, without compression.
    pub(crate) layers: Vec<Vec<u8>>,
    /// They are compressed in the archive.
    pub(crate) compressed: bool,
    /// The configuration, without the digests of the layers.
    pub(crate) config: Value,
    pub(crate) tags: Vec<&'static str>,
    /// With the index of OCI, and in its folders.
    pub(crate) oci: bool,
}

impl Image {
    pub(crate) fn good() -> Self {
        let step = json!({ "created": "1970-01-01T00:00:01+00:00", "comment": "store paths" });
        Self {
            layers: vec![store(), upper(Vec::new())],
            compressed: false,
            config: json!({
                "created": "1970-01-01T00:00:01+00:00",
                "architecture": "amd64",
                "os": "linux",
                "config": {
                    "Cmd": ["sh"],
                    "Env": ["PATH=/usr/bin", "HOME=/"],
                    "User": "nixos:users",
                    "WorkingDir": "/",
                },
                "history": [step, { "empty_layer": true }, step],
            }),
            tags: vec!["nixos:latest"],
            oci: false,
        }
    }

    /// The members of the archive: names and contents.
    pub(crate) fn parts(&self) -> Vec<(String, Vec<u8>)> {
        let mut config = self.config.clone();
        let ids: Vec<_> =
            self.layers.iter().map(|layer| format!("sha256:{}", digest(layer))).collect();
        config["rootfs"] = json!({ "type": "layers", "diff_ids": ids });
        let config = serde_json::to_vec_pretty(&config).unwrap();
        let stored = self.layers.iter().map(|layer| match self.compressed {
            true => gzip(layer),
            false => layer.clone(),
        });
        let stored: Vec<_> = stored.collect();
        let blob = |bytes: &[u8]| format!("blobs/sha256/{}", digest(bytes));
        let mut parts = Vec::new();
        let mut layers = Vec::new();
        for bytes in &stored {
            let name = match self.oci {
                true => blob(bytes),
                false => format!("{}/layer.tar", digest(bytes)),
            };
            layers.push(name.clone());
            if !parts.iter().any(|(known, _)| *known == name) {
                parts.push((name, bytes.clone()));
            }
        }
        let name = if self.oci { blob(&config) } else { format!("{}.json", digest(&config)) };
        let tags = (!self.tags.is_empty()).then_some(&self.tags);
        let list = json!([{ "Config": name, "RepoTags": tags, "Layers": layers }]);
        if self.oci {
            let descriptor = |bytes: &[u8], kind: &str| {
                json!({
                    "mediaType": format!("application/vnd.oci.image.{kind}"),
                    "digest": format!("sha256:{}", digest(bytes)),
                    "size": bytes.len(),
                })
            };
            let kind = if self.compressed { "layer.v1.tar+gzip" } else { "layer.v1.tar" };
            let of_layers: Vec<_> = stored.iter().map(|bytes| descriptor(bytes, kind)).collect();
            let manifest = json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": descriptor(&config, "config.v1+json"),
                "layers": of_layers,
            });
            let manifest = manifest.to_string().into_bytes();
            let mut entry = descriptor(&manifest, "manifest.v1+json");
            entry["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
            let index = json!({ "schemaVersion": 2, "manifests": [entry] }).to_string();
            parts.push((blob(&manifest), manifest));
            parts.push(("index.json".to_owned(), index.into_bytes()));
            let layout = br#"{"imageLayoutVersion":"1.0.0"}"#;
            parts.push(("oci-layout".to_owned(), layout.to_vec()));
        }
        parts.push((name, config));
        parts.push(("manifest.json".to_owned(), list.to_string().into_bytes()));
        parts
    }

    pub(crate) fn pack(&self) -> Vec<u8> {
        pack(&self.parts())
    }
}

/// The archive of these members.
pub(crate) fn pack(parts: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in parts {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o444);
        header.set_mtime(1);
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, &content[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

/// A folder with an OCI layout called `layout`, in which umoci made an image `nixos:latest` of two
/// layers.
pub(crate) fn layout() -> Folder {
    let folder = Folder::new();
    let umoci = |args: &[&str]| folder.succeed(&[&["umoci"], args].concat());
    umoci(&["init", "--layout", "layout"]);
    umoci(&["new", "--image", "layout:latest"]);
    let root = folder.path("bundle/rootfs");
    for step in 0..2 {
        umoci(&["unpack", "--image", "layout:latest", "bundle"]);
        let write =
            |name: &str, content: &[u8]| folder.write(&format!("bundle/rootfs/{name}"), content);
        if step == 0 {
            let path = write("bin/sh", &program(X86_64));
            folder.succeed(&["chmod", "0755", &path]);
            write("etc/passwd", b"root:x:0:0::/:/bin/sh\n");
            write("old/file", b"old");
        } else {
            fs::remove_dir_all(root.join("old")).unwrap();
            write("etc/passwd", b"nixos:x:1000:100::/:/bin/sh\n");
            std::os::unix::fs::symlink("bin", root.join("sbin")).unwrap();
        }
        umoci(&["repack", "--image", "layout:latest", "bundle"]);
        fs::remove_dir_all(folder.path("bundle")).unwrap();
    }
    let config =
        ["--config.cmd=/sbin/sh", "--config.user=nixos", "--architecture=amd64", "--os=linux"];
    umoci(&[&["config", "--image", "layout:latest"][..], &config].concat());
    folder
}
