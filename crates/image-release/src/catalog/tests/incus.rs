use std::{fs, io::Read as _};

use sha2::Digest as _;

use super::*;
use crate::catalog::{
    client::incus::Products,
    incus::{IMAGES, INDEX, INDEX_ALSO},
};

/// The only virtual machine of the sample.
fn machine(release: &mut Release) -> &mut Image {
    release.images.iter_mut().find(|image| image.manifest.kind == ImageKind::Vm).unwrap()
}

#[test]
fn the_metadata_are_what_is_hashed_before_the_disk() {
    let mut release = release();
    let catalogs = catalogs(&release);
    let file = "nixos-vm-26.05.1.qcow2.incus.tar.xz";
    let Release { version, spec, epoch, .. } = &release.clone();
    let manifest = &machine(&mut release).manifest;
    let prefix = prefix(version, spec, *epoch, manifest).unwrap();
    assert_eq!(document(&catalogs, file), prefix);
    // What somebody gets who has both files.
    let mut hash = sha2::Sha256::new();
    hash.update(&prefix);
    hash.update(b"disk");
    machine(&mut release).combined = Some(Sha256(hash.finalize().into()));
    let catalogs = super::catalogs(&release);
    let products: Products = serde_json::from_slice(document(&catalogs, IMAGES)).unwrap();
    let images = products.images();
    assert_eq!(images.len(), 1);
    assert_eq!(images[0].fingerprint, machine(&mut release).combined.unwrap().to_string());
    assert_eq!(images[0].architecture, "x86_64");
    assert_eq!(images[0].aliases, ["nixos/26.05.1/vm", "nixos/vm", "nixos/26.05.1", "nixos"]);
}

#[test]
fn the_metadata_are_one_file_of_yaml() {
    let mut release = release();
    release.spec.title = "Ni\"x\\OS \u{e9}\u{1f600}\u{7f}\u{2028}: #".to_owned();
    let catalogs = catalogs(&release);
    let bytes = document(&catalogs, "nixos-vm-26.05.1.qcow2.incus.tar.xz");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("incus.tar.xz");
    fs::write(&path, bytes).unwrap();
    let path = path.to_str().unwrap();
    let listed = run("tar", &["--numeric-owner", "--utc", "--full-time", "-tvf", path], &[]);
    assert_eq!(
        listed.1.split_whitespace().collect::<Vec<_>>(),
        ["-rw-r--r--", "0/0", "238", "2026-08-20", "05:42:21", "metadata.yaml"]
    );
    let script = "import json, sys, tarfile, yaml; \
                  file = tarfile.open(sys.argv[1]).extractfile('metadata.yaml'); \
                  print(json.dumps(yaml.safe_load(file), sort_keys=True))";
    let (code, text, errors) = run("python3", &["-c", script, path], &["s3/lib"]);
    assert_eq!(code, Some(0), "{errors}");
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        value,
        serde_json::json!({
            "architecture": "x86_64",
            "creation_date": 1_787_204_541,
            "properties": {
                "architecture": "amd64",
                "description": format!("{} 26.05.1 vm (amd64)", release.spec.title),
                "os": "nixos",
                "release": "26.05.1",
                "variant": "vm",
            },
            "templates": {},
        })
    );
    let mut tar = String::new();
    liblzma::read::XzDecoder::new(bytes).read_to_string(&mut tar).unwrap();
    assert_eq!(tar.len() % 512, 0);
}

#[test]
fn what_incus_does_not_take_is_left_out() {
    let reason = |change: &dyn Fn(&mut Release)| {
        let mut release = release();
        change(&mut release);
        why(&release, INDEX).concat()
    };
    let image = |change: &dyn Fn(&mut Image)| reason(&|release| change(machine(release)));
    let reasons = [
        reason(&|release| release.epoch = None),
        reason(&|release| release.epoch = Some(0)),
        image(&|image| image.combined = None),
        image(&|image| image.manifest.artifacts[0].format = "gpt".to_owned()),
        image(&|image| image.manifest.artifacts[0].compression = Compression::Zstd),
        image(&|image| image.manifest.system = "riscv64-linux".to_owned()),
    ];
    insta::assert_snapshot!(reasons.join("\n"), @r"
    SOURCE_DATE_EPOCH is not set, and a version begins with its day
    SOURCE_DATE_EPOCH is not set, and a version begins with its day
    nobody took the digest of its metadata and its disk
    Incus takes bare qcow2, not gpt with compression none
    Incus takes bare qcow2, not qcow2 with compression zstd
    nothing is known of Incus on riscv64
    ");
}

#[test]
fn lists_that_incus_would_show_nothing_of_are_refused() {
    let release = release();
    let catalogs = catalogs(&release);
    let refused = |file: &str, from: &str, to: &str| {
        let text = str::from_utf8(document(&catalogs, file)).unwrap();
        assert!(text.contains(from), "{from}");
        wrong(&release, &catalogs, file, text.replace(from, to).as_bytes()).join(" & ")
    };
    let all = [
        refused(IMAGES, "\"202608200542\"", "\"26.05.1\""),
        refused(IMAGES, "\"202608200542\"", "\"20260229\""),
        refused(IMAGES, "\"amd64\"", "\"pdp11\""),
        refused(IMAGES, "combined_disk-kvm-img_sha256", "combined_sha256"),
        refused(IMAGES, "\"incus.tar.xz\"", "\"lxd.tar.xz\""),
        refused(IMAGES, "\"nixos-vm-26.05.1.qcow2\"", "\"images/disk.qcow2\""),
        refused(INDEX, "streams/v1/images.json", "images.json"),
        refused(INDEX, "image-downloads", "image-ids"),
    ];
    insta::assert_snapshot!(all.join("\n"), @r"
    Incus would list 0 of 1 disks, and say nothing
    Incus would list 0 of 1 disks, and say nothing
    Incus would list 0 of 1 disks, and say nothing
    Incus would list 0 of 1 disks, and say nothing
    Incus would list 0 of 1 disks, and say nothing
    nixos/26.05.1/vm: images/disk.qcow2 is no file of the release
    nothing is published as images.json
    it names no list of images
    ");
}

/// Canonical's own reader of the format finds both files, with their digests.
#[test]
fn sstream_query_reads_the_streams() {
    let mut release = release();
    let mut arm =
        testing::image(ImageKind::Vm, "vm-arm", "aarch64-linux", "nixos-vm-arm-26.05.1.qcow2");
    arm.manifest.title = "for ARM".to_owned();
    release.images.push(arm);
    let catalogs = catalogs(&release);
    let folder = tempfile::tempdir().unwrap();
    for document in &catalogs.documents {
        let Some(also) = &document.also else { continue };
        let path = folder.path().join(also);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &document.bytes).unwrap();
    }
    let query = parts("python/bin/sstream-query");
    let arguments = [
        query.to_str().unwrap(),
        "--no-verify",
        "--json",
        "--path",
        INDEX_ALSO,
        folder.path().to_str().unwrap(),
    ];
    let (code, text, errors) = run("python3", &arguments, &["python", "s3/lib"]);
    assert_eq!(code, Some(0), "{errors}");
    let items: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let mut found: Vec<_> = items
        .iter()
        .map(|item| {
            let value = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
            let keys = ["product_name", "version_name", "ftype", "path", "size", "sha256"];
            keys.map(|key| match item[key].as_u64() {
                Some(number) => number.to_string(),
                None => value(key),
            })
            .join(" ")
        })
        .collect();
    found.sort();
    insta::assert_snapshot!(found.join("\n"), @r"
    nixos:26.05.1:vm-arm:arm64 202608200542 disk-kvm.img nixos-vm-arm-26.05.1.qcow2 41943040 0606060606060606060606060606060606060606060606060606060606060606
    nixos:26.05.1:vm-arm:arm64 202608200542 incus.tar.xz nixos-vm-arm-26.05.1.qcow2.incus.tar.xz 272 91f4c9ede1bb0eadd079b05112542110918bc0430db71c770b3c9215942c0489
    nixos:26.05.1:vm:amd64 202608200542 disk-kvm.img nixos-vm-26.05.1.qcow2 41943040 0202020202020202020202020202020202020202020202020202020202020202
    nixos:26.05.1:vm:amd64 202608200542 incus.tar.xz nixos-vm-26.05.1.qcow2.incus.tar.xz 272 c3af363fa44d6709a3cc1f528b2a8fb0f4fb30c2d9e371d9e155dd54285267cd
    ");
}

/// The client itself finds the image by its short name, fetches both files, and takes no others.
#[test]
fn the_client_of_incus_lists_and_fetches_a_machine() {
    let disk = vec![0x5a; 100_000];
    let digest = |bytes: &[u8]| Sha256(sha2::Sha256::digest(bytes).into());
    let mut release = release();
    let Release { version, spec, epoch, .. } = release.clone();
    let image = machine(&mut release);
    let metadata = prefix(&version, &spec, epoch, &image.manifest).unwrap();
    let digests = Digests { size: disk.len() as u64, sha256: digest(&disk) };
    (image.manifest.artifacts[0].digests, image.manifest.artifacts[0].raw) = (digests, digests);
    let fingerprint = digest(&[metadata.as_slice(), &disk].concat());
    image.combined = Some(fingerprint);
    let payload = image.payload().file.clone();

    let folder = tempfile::tempdir().unwrap();
    let (served, home) = (folder.path().join("served"), folder.path().join("home"));
    fs::create_dir_all(served.join("streams/v1")).unwrap();
    fs::create_dir_all(home.join("out")).unwrap();
    fs::write(served.join(&payload), &disk).unwrap();
    for document in catalogs(&release).documents {
        let name = document.also.as_ref().unwrap_or(&document.file);
        fs::write(served.join(name), &document.bytes).unwrap();
    }
    let server = Server::start(&served);
    let address = &server.address;
    // The command that would write this insists on https.
    let remotes =
        format!("remotes:\n  here: {{addr: {address:?}, protocol: simplestreams, public: true}}\n");
    fs::write(home.join("config.yml"), remotes).unwrap();
    let incus = |arguments: &[&str]| {
        let output = tool(parts("incus/incus"))
            .args(arguments)
            .arg("--quiet")
            .current_dir(&home)
            .env("HOME", &home)
            .env("INCUS_CONF", &home)
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    };

    let (listed, text, errors) = incus(&["image", "list", "here:", "--format", "json"]);
    assert!(listed, "{errors}");
    let images: serde_json::Value = serde_json::from_str(&text).unwrap();
    let [image] = images.as_array().unwrap().as_slice() else { panic!("{text}") };
    assert_eq!(image["fingerprint"], fingerprint.to_string());
    assert_eq!(
        (&image["type"], &image["architecture"]),
        (&"virtual-machine".into(), &"x86_64".into())
    );
    assert_eq!(image["properties"]["requirements.secureboot"], "false");
    let aliases: Vec<_> = image["aliases"].as_array().unwrap().iter().collect();
    assert!(aliases.iter().any(|alias| alias["name"] == "nixos/26.05.1/vm/amd64"), "{aliases:?}");

    let export = ["image", "export", "here:nixos/vm/amd64", "out/x"];
    let (fetched, _, errors) = incus(&export);
    assert!(fetched, "{errors}");
    assert_eq!(fs::read(home.join("out/x")).unwrap(), metadata);
    assert_eq!(fs::read(home.join("out/x.root")).unwrap(), disk);

    let mut other = disk.clone();
    other[500] ^= 1;
    fs::write(served.join(&payload), other).unwrap();
    let (fetched, _, errors) = incus(&export);
    assert!(!fetched && errors.contains("Hash mismatch"), "{errors}");
}
