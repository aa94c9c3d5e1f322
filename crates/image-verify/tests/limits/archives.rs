//! Appliances and container images that say more than there is to say.

use image_model::{ImageSpace, Location};
use image_verify::{Limits, Recorder, UNUSED_WAIVER, docker, ova};
use sha2::Digest as _;

use super::*;

/// What the members of an archive, their names and all that they say may take, in bytes.
const MEMORY_OF_WORDS: usize = 128 << 20;

fn archive(members: &[(&str, &[u8])]) -> Region {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    Region::from(builder.into_inner().unwrap())
}

fn judge(region: &Region, judge: impl FnOnce(&Region, &mut Recorder)) -> Recorded {
    judge_in(MEMORY_OF_WORDS, region, judge)
}

fn judge_in(
    memory: usize,
    region: &Region,
    judge: impl FnOnce(&Region, &mut Recorder),
) -> Recorded {
    limited(memory, || {
        let mut out = Recorder::default();
        judge(region, &mut out);
        let structure = "archive".into();
        let whole = Location { structure, space: ImageSpace::Raw, offset: 0, len: 0, path: None };
        out.finish(&[], &UNUSED_WAIVER, &whole)
    })
}

fn appliance(region: &Region) -> Recorded {
    judge(region, |region, out| drop(ova::verify(region, out).unwrap()))
}

fn container(region: &Region) -> Recorded {
    judge(region, |region, out| {
        docker::verify(region, &Limits::default(), out, &mut |_, _| {}).unwrap();
    })
}

/// The files of one image are in memory, and not those of all.
#[test]
fn many_images_of_many_files() {
    let _alone = alone();
    let names: Vec<_> = (0..20_000).map(|number| format!("{number:0>90}")).collect();
    let mut builder = tar::Builder::new(Vec::new());
    for name in &names {
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        builder.append_data(&mut header, name, &b""[..]).unwrap();
    }
    let layer = builder.into_inner().unwrap();
    let digest = sha2::Sha256::digest(&layer);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let config = format!(r#"{{"rootfs":{{"type":"layers","diff_ids":["sha256:{hex}"]}}}}"#);
    let item = r#"{"Config":"c.json","Layers":["l.tar"]}"#;
    let list = format!("[{}]", [item; 16].join(","));
    let members =
        [("l.tar", &layer[..]), ("c.json", config.as_bytes()), ("manifest.json", list.as_bytes())];
    let region = archive(&members);
    let mut images = 0;
    let report = judge_in(24 << 20, &region, |region, out| {
        docker::verify(region, &Limits::default(), out, &mut |image, _| {
            images += usize::from(image.tree.is_some());
        })
        .unwrap();
    });
    assert_eq!((images, report.totals.errors), (16, 0));
}

#[test]
fn lists_of_nothing() {
    let _alone = alone();
    let list =
        |item: &str, len: usize| format!("[{}]", vec![item; len / (item.len() + 1)].join(","));
    for item in ["{}", "null", "{\"Layers\":[]}", "{\"RepoTags\":[\"\",\"\",\"\",\"\"]}"] {
        let text = list(item, 1 << 20);
        let report = container(&archive(&[("manifest.json", text.as_bytes())]));
        assert!(report.totals.errors > 0);
    }
    for (key, item) in [("history", "{}"), ("config", "0"), ("rootfs", "[]")] {
        let text = format!("{{\"{key}\":{}}}", list(item, 4_000_000));
        let manifest = br#"[{"Config":"c.json","Layers":[]}]"#;
        let members = [("manifest.json", &manifest[..]), ("c.json", text.as_bytes())];
        assert!(container(&archive(&members)).totals.errors > 0, "{key}");
    }
    let diff_ids = format!("{{\"rootfs\":{{\"diff_ids\":{}}}}}", list("\"\"", 4_000_000));
    let manifest = format!("[{{\"Config\":\"c.json\",\"Layers\":{}}}]", list("\"\"", 1_000_000));
    let members = [("manifest.json", manifest.as_bytes()), ("c.json", diff_ids.as_bytes())];
    finds(&container(&archive(&members)), "docker-layer-limit");
    let index = format!("{{\"manifests\":{}}}", list("{}", 1_000_000));
    let layout = br#"{"imageLayoutVersion":"1.0.0"}"#;
    let members =
        [("manifest.json", &b"[{}]"[..]), ("oci-layout", layout), ("index.json", index.as_bytes())];
    finds(&container(&archive(&members)), "docker-index");
}

#[test]
fn descriptors_of_nothing() {
    let _alone = alone();
    let envelope = |body: String| {
        let start = "<Envelope xmlns=\"http://schemas.dmtf.org/ovf/envelope/1\">";
        format!("{start}{body}</Envelope>")
    };
    let attributes = |count| (0..count).map(|number| format!("a{number}='' ")).collect::<String>();
    let (most, too_many) = (attributes(1000), attributes(1025));
    let namespaces: String = (0..250).map(|number| format!("<x xmlns:n{number}='n'>")).collect();
    for (text, check) in [
        (envelope("<VirtualSystem/>".repeat(60_000)), "ova-manifest"),
        (envelope(format!("<x {most}/>").repeat(100)), "ova-manifest"),
        (envelope(format!("<x {too_many}/>")), "ova-envelope"),
        (envelope(format!("{namespaces}{}", "</x>".repeat(250))), "ova-manifest"),
        (envelope("<References><File/></References>".repeat(30_000)), "ova-identifier"),
        (envelope("<DiskSection><Disk fileRef=''/></DiskSection>".repeat(20_000)), "ova-disk-file"),
        (envelope("<x>".repeat(60_000)), "ova-envelope"),
        (envelope("x".repeat(1_000_000)), "ova-manifest"),
    ] {
        finds(&appliance(&archive(&[("a.ovf", text.as_bytes())])), check);
    }
}

#[test]
fn archives_of_nothing() {
    let _alone = alone();
    let names: Vec<_> = (0..70_000).map(|number| format!("{number:0>90}")).collect();
    let members: Vec<_> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    let region = archive(&[&[("a.ovf", &b"<x/>"[..])][..], &members].concat());
    finds(&appliance(&region), "ova-limits");
    finds(&container(&region), "docker-limits");
    let long = "n".repeat(1 << 16);
    let members: Vec<_> = (0..400).map(|_| (long.as_str(), &b""[..])).collect();
    let region = archive(&members);
    finds(&appliance(&region), "ova-limits");
}
