//! `image`, `verify` and `inspect` on appliances and container images that real tools make.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use image_model::{Compression, Digests, Manifest, VerificationReport};
use serde_json::{Value, json};

use crate::common::Project;

const DOCKER: &str = include_str!("../../../images/docker.toml");
const VIRTUALBOX: &str = include_str!("../../../images/virtualbox.toml");

/// A project with the definitions of this repository.
fn project() -> Project {
    let project = Project::new();
    fs::write(project.path("images/docker.toml"), DOCKER).unwrap();
    fs::write(project.path("images/virtualbox.toml"), VIRTUALBOX).unwrap();
    project
}

/// Runs a tool of the machine in a folder of the project.
#[track_caller]
fn tool(folder: &Path, argv: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command.args(["-k", "2", "60"]).args(argv).current_dir(folder);
    let output = command.output().unwrap_or_else(|e| panic!("timeout: {e}: install coreutils"));
    let missing = output.status.code() == Some(127);
    assert!(!missing, "{} is not there: run `tests/setup.sh`", argv[0]);
    assert!(output.status.success(), "{argv:?}: {output:?}");
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// `nixos.tar`: an image that umoci makes around busybox, as skopeo writes it for `docker load`.
fn container(project: &Project) {
    let dir = project.dir.path();
    let umoci = |args: &[&str]| tool(dir, &[&["umoci"], args].concat());
    umoci(&["init", "--layout", "layout"]);
    umoci(&["new", "--image", "layout:latest"]);
    umoci(&["unpack", "--image", "layout:latest", "bundle"]);
    let bin = project.path("bundle/rootfs/bin");
    fs::create_dir_all(&bin).unwrap();
    fs::copy(project.path("bin/busybox"), bin.join("busybox")).unwrap();
    std::os::unix::fs::symlink("busybox", bin.join("sh")).unwrap();
    umoci(&["repack", "--image", "layout:latest", "bundle"]);
    let config = ["--config.cmd=sh", "--architecture=amd64", "--os=linux"];
    umoci(&[&["config", "--image", "layout:latest"][..], &config].concat());
    let copy = ["skopeo", "--insecure-policy", "copy", "--quiet", "oci:layout:latest"];
    tool(dir, &[&copy[..], &["docker-archive:nixos.tar:nixos:latest"]].concat());
}

/// `nixos.ova`: an appliance as VirtualBox exports it.
fn appliance(project: &Project) {
    let dir = project.dir.path();
    let mut disk = vec![0; 3 << 20];
    disk[..8192].fill(b'x');
    fs::write(dir.join("raw"), &disk).unwrap();
    let options = ["-O", "vmdk", "-o", "subformat=streamOptimized", "raw", "nixos-disk001.vmdk"];
    tool(dir, &[&["qemu-img", "convert", "-f", "raw"][..], &options].concat());
    let descriptor = format!(
        r#"<?xml version="1.0"?>
<Envelope ovf:version="1.0" xmlns="http://schemas.dmtf.org/ovf/envelope/1"
    xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="urn:rasd" xmlns:vbox="urn:vbox">
  <References><File ovf:id="file1" ovf:href="nixos-disk001.vmdk"/></References>
  <DiskSection><Disk ovf:diskId="disk1" ovf:fileRef="file1" ovf:capacity="{}"
    ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
  <VirtualSystem ovf:id="nixos">
    <OperatingSystemSection ovf:id="101"><vbox:OSType>Linux26_64</vbox:OSType>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType>
        <rasd:VirtualQuantity>1536</rasd:VirtualQuantity></Item>
      <Item><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>20</rasd:ResourceType></Item>
      <Item><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceType>17</rasd:ResourceType>
        <rasd:Parent>2</rasd:Parent><rasd:HostResource>/disk/disk1</rasd:HostResource></Item>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
"#,
        disk.len()
    );
    fs::write(dir.join("nixos.ovf"), descriptor).unwrap();
    let names = ["nixos.ovf", "nixos-disk001.vmdk"];
    let sums = tool(dir, &[&["openssl", "dgst", "-sha256"][..], &names].concat());
    // The word before the parentheses differs between versions of it.
    fs::write(dir.join("nixos.mf"), text(&sums.stdout).replace("SHA2-256", "SHA256")).unwrap();
    let members = ["nixos.ovf", "nixos.mf", "nixos-disk001.vmdk"];
    tool(dir, &[&["tar", "--format=ustar", "-cf", "nixos.ova"][..], &members].concat());
}

/// What `image NAME --from FILE` makes: the finished file, and what is told of it.
#[track_caller]
fn make(project: &Project, name: &str, from: &str, file: &str) -> (Vec<u8>, Manifest) {
    project.run(&["image", name, "--from", from]).exits(0).says(file);
    let dist = project.path("dist").join(name);
    let sums = ["sha256sum", "-c", "--quiet", "SHA256SUMS"];
    tool(&dist, &sums);
    let manifest: Manifest =
        serde_json::from_slice(&fs::read(dist.join("manifest.json")).unwrap()).unwrap();
    let report: VerificationReport =
        serde_json::from_slice(&fs::read(dist.join("verification.json")).unwrap()).unwrap();
    assert!(report.passed() && !report.not_verified.is_empty(), "{report:#?}");
    (fs::read(dist.join(file)).unwrap(), manifest)
}

fn lines(project: &Project, file: &str) -> Vec<Value> {
    let ran = project.run(&["inspect", file, "--format", "json"]).exits(0);
    ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A field of all structures with this name.
fn get(lines: &[Value], structure: &str, key: &str) -> Vec<Value> {
    let found = lines.iter().filter(|line| line["structure"] == structure);
    found.map(|line| line[key].clone()).collect()
}

#[test]
fn a_container_image_is_finished_verified_and_inspected() {
    let project = project();
    container(&project);
    let raw = fs::read(project.path("nixos.tar")).unwrap();
    let verified = ["verify", "--kind", "docker", "--system", "x86_64-linux", "nixos.tar"];
    project.run(&verified).exits(0).says("docker-archive").says("not verified: whether");
    tool(project.dir.path(), &["gzip", "-k9", "nixos.tar"]);
    tool(project.dir.path(), &["zstd", "-q", "nixos.tar"]);

    // However it comes, the same comes out, and its raw bytes are what came in.
    let (first, manifest) = make(&project, "docker", "nixos.tar", "nixos-docker.tar.gz");
    for from in ["nixos.tar.gz", "nixos.tar.zst"] {
        let (again, other) = make(&project, "docker", from, "nixos-docker.tar.gz");
        assert!(first == again && other.artifacts == manifest.artifacts, "{from}");
    }
    let [artifact] = &manifest.artifacts[..] else { panic!("{manifest:?}") };
    assert_eq!((&*artifact.format, artifact.compression), ("docker-archive", Compression::Gzip));
    let unpacked = tool(project.dir.path(), &["gzip", "-dc", "dist/docker/nixos-docker.tar.gz"]);
    assert!(unpacked.stdout == raw);
    assert!(matches!(artifact.raw, Digests { size, .. } if size == raw.len() as u64));

    let found = lines(&project, "nixos.tar.gz");
    assert_eq!(get(&found, "gzip header", "method"), [8]);
    assert_eq!(get(&found, "image", "tags"), [json!(["docker.io/library/nixos:latest"])]);
    assert_eq!(get(&found, "configuration", "cmd"), [json!(["sh"])]);
    assert_eq!(get(&found, "layer", "number"), [0]);
    let paths = get(&found, "symlink", "target");
    assert!(paths.contains(&json!("busybox")), "{paths:?}");

    // A layer that was changed, and the files of a system.
    let mut broken = raw.clone();
    let at = broken.windows(4).rposition(|bytes| bytes == b"\x7fELF").unwrap();
    broken[at + 5000] ^= 1;
    fs::write(project.path("broken.tar"), broken).unwrap();
    project.run(&["verify", "broken.tar"]).exits(1).says("docker-diff-id");
    project.run(&["image", "docker", "--from", "broken.tar"]).exits(1).says("docker-diff-id");
    lines(&project, "broken.tar");
    tool(project.dir.path(), &["tar", "-C", "bundle/rootfs", "-cf", "root.tar", "."]);
    project.run(&["verify", "--kind", "docker", "root.tar"]).exits(1).says("`docker import`");
    project.run(&["image", "docker", "--from", "root.tar"]).exits(1).says("`docker import`");
    project.run(&["image", "wsl", "--from", "nixos.tar"]).exits(1).says("is a container image");
}

#[test]
fn an_appliance_is_finished_verified_and_inspected() {
    let project = project();
    appliance(&project);
    let raw = fs::read(project.path("nixos.ova")).unwrap();
    let verified = ["verify", "--kind", "virtualbox", "--system", "x86_64-linux", "nixos.ova"];
    let ran = project.run(&verified).exits(0).says("not verified: the partition table");
    assert!(ran.out.contains(": good\n"), "{ran:#?}");
    tool(project.dir.path(), &["xz", "-k", "nixos.ova"]);
    for from in ["nixos.ova", "nixos.ova.xz"] {
        let (made, manifest) = make(&project, "virtualbox", from, "nixos-virtualbox.ova");
        assert!(made == raw, "{from}");
        let [artifact] = &manifest.artifacts[..] else { panic!("{manifest:?}") };
        assert_eq!((&*artifact.format, artifact.compression), ("ova", Compression::None));
    }

    let found = lines(&project, "nixos.ova.xz");
    assert_eq!(get(&found, "ovf file", "href"), ["nixos-disk001.vmdk"]);
    assert_eq!(get(&found, "ovf disk", "capacity"), [(3 << 20).to_string()]);
    assert_eq!(get(&found, "ovf system", "osType"), ["Linux26_64"]);
    assert_eq!(get(&found, "ovf item", "type"), ["4", "20", "17"]);
    assert_eq!(get(&found, "manifest line", "algorithm"), ["SHA256", "SHA256"]);
    assert_eq!(get(&found, "vmdk header", "capacity"), [6144]);
    assert_eq!(get(&found, "vmdk table", "grains"), [1]);
    let entries = get(&found, "vmdk entry", "value");
    assert!(entries.contains(&json!("streamOptimized")), "{entries:?}");

    let mut broken = raw.clone();
    let at = broken.windows(4).rposition(|bytes| bytes == b"1536").unwrap();
    broken[at] = b'9';
    fs::write(project.path("broken.ova"), broken).unwrap();
    project.run(&["verify", "broken.ova"]).exits(1).says("ova-manifest-digest");
    project.run(&["image", "virtualbox", "--from", "broken.ova"]).exits(1);
    fs::write(project.path("cut.ova"), &raw[..raw.len() / 2]).unwrap();
    project.run(&["verify", "cut.ova"]).exits(1).says("ova-tar");
    lines(&project, "cut.ova");
    let disk = project.run(&["image", "virtualbox", "--from", "nixos-disk001.vmdk"]).exits(1);
    disk.says("VMDK");
    project.run(&["image", "docker", "--from", "nixos.ova"]).exits(1).says("is an appliance");
}
