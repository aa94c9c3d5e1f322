//! Bytes that were made to hurt.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    image::{File, layer, pack},
    limit::LIMIT,
    *,
};

#[test]
fn json_of_any_shape() {
    let good = Image::good().parts();
    let values = [
        json!(null),
        json!(1),
        json!("x"),
        json!([]),
        json!({}),
        json!([null]),
        json!([[[[]]]]),
        json!([{ "Config": null, "Layers": null, "RepoTags": null }]),
        json!([{ "Config": "../../etc/passwd", "Layers": ["/etc/passwd"] }]),
        json!([{ "Config": "manifest.json", "Layers": ["manifest.json"] }]),
    ];
    for value in values {
        for of_list in [true, false] {
            let mut parts = good.clone();
            let wanted =
                |name: &str| name.ends_with(".json") && (name == "manifest.json") == of_list;
            let part = parts.iter_mut().find(|(name, _)| wanted(name)).unwrap();
            part.1 = value.to_string().into_bytes();
            assert!(!verify(&pack(&parts)).passed(), "{value} {of_list}");
        }
    }
    for text in ["[".repeat(4 << 20), "[{\"x\":".repeat(100_000), " ".repeat(5 << 20)] {
        let mut parts = good.clone();
        parts.last_mut().unwrap().1 = text.into_bytes();
        assert!(failed(&verify(&pack(&parts)).findings).contains("docker-manifest"));
    }
}

#[test]
fn words_do_not_reach_the_terminal() {
    let mut parts = Image::good().parts();
    let list = &mut parts.last_mut().unwrap().1;
    let mut value: Value = serde_json::from_slice(list).unwrap();
    value[0]["RepoTags"] = json!(["\u{1b}[31mred:\u{7}"]);
    value[0]["Config"] = json!("\u{1b}[2J");
    *list = value.to_string().into_bytes();
    for finding in verify(&pack(&parts)).findings {
        assert!(!finding.message.contains(|c: char| c.is_control()), "{finding:?}");
    }
}

/// Links among members and files that lead to themselves, or out of the archive.
#[test]
fn links_without_an_end() {
    let mut image = Image::good();
    image.layers[1] = image::upper(vec![
        ("./a", File::Symlink("b")),
        ("./b", File::Symlink("a")),
        ("./a/x", File::Text("")),
        ("./c", File::Symlink("c/c")),
        ("./c/c/c", File::Directory),
        ("./d", File::Symlink("../../../..")),
        ("./d/d/d", File::Text("")),
        ("./e", File::HardLink("e")),
    ]);
    image.config["config"]["Cmd"] = json!(["/a/x"]);
    let found = failed(&verify(&image.pack()).findings);
    assert!(found.contains("docker-layer-link"), "{found:?}");

    let mut builder = tar::Builder::new(Vec::new());
    let names = ["manifest.json", "next", "manifest.json/x"];
    for (name, target) in names.iter().zip(["next", "manifest.json", "../../../etc/passwd"]) {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, name, target).unwrap();
    }
    let report = verify(&builder.into_inner().unwrap());
    assert!(failed(&report.findings).contains("docker-manifest"));
}

/// Words that are multiplied with each other, and paths that are followed again and again.
#[test]
fn words_and_links_that_cost_more_than_they_are() {
    let start = std::time::Instant::now();
    let mut image = Image::good();
    image.config["config"]["Env"] = json!([format!("PATH={}", "a:".repeat(1_000_000))]);
    image.config["config"]["Cmd"] = json!(["x".repeat(1_000_000)]);
    assert!(failed(&verify(&image.pack()).findings).contains("docker-program"));
    image.config["config"]["Cmd"] = json!(["sh"]);
    image.config["config"]["WorkingDir"] = json!("a/".repeat(500_000));
    assert!(failed(&verify(&image.pack()).findings).contains("docker-program"));

    let mut image = Image::good();
    let names: Vec<_> = (0..5000).map(|number| format!("./a/{number}")).collect();
    let links = [("./d/", File::Directory), ("./a", File::Symlink("d/../d/../d/../d"))];
    let files = names.iter().map(|name| (name.as_str(), File::Text("")));
    image.layers[1] = layer(&links.into_iter().chain(files).collect::<Vec<_>>());
    assert_eq!(failed(&verify(&image.pack()).findings), ["docker-limits".to_owned()].into());
    assert!(start.elapsed() < LIMIT);
}

/// The same layer in all places, and all images.
#[test]
fn the_same_again_and_again() {
    let mut parts = Image::good().parts();
    let list = &mut parts.last_mut().unwrap().1;
    let mut value: Value = serde_json::from_slice(list).unwrap();
    let first = value[0]["Layers"][0].clone();
    value[0]["Layers"] = json!(vec![first; 1000]);
    let item = value[0].clone();
    *list = json!(vec![item; 10]).to_string().into_bytes();
    let found = failed(&verify(&pack(&parts)).findings);
    assert!(found.contains("docker-layer-limit") && found.contains("docker-layers"), "{found:?}");
}

/// More files than are looked at: the rest is not judged, and that is told.
#[test]
fn too_many_files() {
    let mut image = Image::good();
    let names: Vec<_> = (0..2000).map(|number| format!("./{number}")).collect();
    let files = names.iter().map(|name| (name.as_str(), File::Text("")));
    image.layers[1] = layer(&files.collect::<Vec<_>>());
    let limits = Limits { members: 1000, ..Limits::default() };
    let report = judge(&image.pack(), Expected::Kind(ImageKind::Docker), limits);
    assert_eq!(failed(&report.findings), ["docker-limits".to_owned()].into());
    assert_eq!(report.outcomes["docker-program"], Outcome::NotReached);
}

/// Layers that each expand to what one may, and all together to more.
#[test]
fn many_layers_that_expand() {
    let mut image = Image { compressed: true, ..Image::good() };
    for number in 0..8_u8 {
        let mut zeros = layer(&[]);
        zeros.resize((1 << 20) + 512 * usize::from(number), 0);
        image.layers.push(zeros);
        image.config["history"].as_array_mut().unwrap().push(json!({}));
    }
    let file = image.pack();
    let of = |unchecked_raw_len| {
        let limits = Limits { unchecked_raw_len, ratio: 1, ..Limits::default() };
        failed(&judge(&file, Expected::Kind(ImageKind::Docker), limits).findings)
    };
    assert_eq!(of(8 << 20), BTreeSet::new());
    assert_eq!(of((5 << 20) / 4 + 512), ["docker-limits".to_owned()].into());
}

/// What is taken away is kept, and there is an end of it.
#[test]
fn the_same_is_taken_away_again_and_again() {
    let name = format!("./{}/.wh.x", "d/".repeat(40));
    let files: Vec<_> = (0..1 << 16).map(|_| (&*name, File::Text(""))).collect();
    let mut image = Image { compressed: true, ..Image::good() };
    let many = layer(&files);
    for number in 0..10 {
        let mut another = layer(&[(&*format!("./{number}"), File::Text(""))]);
        another.truncate(512);
        image.layers.push([&another[..], &many].concat());
        image.config["history"].as_array_mut().unwrap().push(json!({}));
    }
    let report = verify(&image.pack());
    let found = ["docker-limits", "docker-whiteout"].map(str::to_owned);
    assert_eq!(failed(&report.findings), found.into());
    assert_eq!(report.outcomes["docker-program"], Outcome::NotReached);
}

/// A cut is an error, wherever it is.
#[test]
fn cuts() {
    for image in [Image::good(), Image { oci: true, ..Image::good() }] {
        let archive = image.pack();
        for len in (512..archive.len() - 1024).step_by(archive.len() / 40) {
            assert!(!verify(&archive[..len]).passed(), "{len}");
        }
    }
}

/// A changed byte is an error: there are digests of all but of what is the first to be read.
#[test]
fn a_flipped_bit_is_an_error() {
    for image in [Image::good(), Image { oci: true, compressed: true, ..Image::good() }] {
        let archive = image.pack();
        let first = ["manifest.json", "index.json", "oci-layout"].map(|name| {
            let header = |block: &[u8]| block.starts_with(name.as_bytes());
            archive.chunks(512).position(header).unwrap_or(usize::MAX / 1024) * 512
        });
        for at in (0..archive.len() - 1024).step_by(97) {
            let mut broken = archive.clone();
            broken[at] ^= 4;
            let report = verify(&broken);
            let unguarded = first.iter().any(|start| (start + 512..start + 2048).contains(&at));
            // What fills the last block of a member is nobody's.
            let known = archive[at] == 0 || unguarded;
            assert!(!report.passed() || known, "{at:#x} {:#?}", told(&report.findings));
        }
    }
}

#[test]
fn the_same_bytes_give_the_same_report() {
    let mut archive = Image { oci: true, ..Image::good() }.pack();
    archive.iter_mut().step_by(3001).for_each(|byte| *byte ^= 0x55);
    let first = verify(&archive);
    assert!(!first.passed());
    assert_eq!(verify(&archive), first);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn any_edit_is_judged(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        oci in any::<bool>(),
    ) {
        let mut archive = Image { oci, ..Image::good() }.pack();
        for (index, value) in edits {
            let at = index.index(archive.len());
            archive[at] = value;
        }
        verify(&archive);
    }
}
