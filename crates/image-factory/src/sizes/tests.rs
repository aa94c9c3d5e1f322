use std::sync::Arc;

use image_formats::bytes::Region;
use image_verify::{tar, volume::Trouble};

use super::*;

/// An archive with these members: a path, and how many bytes; none for a directory.
fn archive(members: &[(&[u8], Option<u64>)], list: &str) -> (Opened, u64) {
    use std::os::unix::ffi::OsStrExt as _;
    let mut builder = ::tar::Builder::new(Vec::new());
    let mut add = |path: &[u8], content: &[u8], kind| {
        let mut header = ::tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(content.len() as u64);
        header.set_path(std::ffi::OsStr::from_bytes(path)).unwrap();
        header.set_cksum();
        builder.append(&header, content).unwrap();
    };
    for (path, size) in members {
        match size {
            Some(size) => add(path, &vec![7; *size as usize], ::tar::EntryType::Regular),
            None => add(path, &[], ::tar::EntryType::Directory),
        }
    }
    add(b"./nix-path-registration", list.as_bytes(), ::tar::EntryType::Regular);
    let bytes = builder.into_inner().unwrap();
    let len = bytes.len() as u64;
    let region = Region::whole(Arc::new(bytes)).unwrap();
    (Opened::Archive(tar::open(&region, &Trouble::default()).unwrap()), len)
}

const A: &str = "00000000000000000000000000000000-a-1.0";
const B: &str = "11111111111111111111111111111111-b";
const C: &str = "22222222222222222222222222222222-c";

fn registered(name: &str, references: &[&str]) -> String {
    let references: Vec<_> = references.iter().map(|name| format!("/nix/store/{name}")).collect();
    let lines: String = references.iter().map(|path| format!("{path}\n")).collect();
    let hash = "0".repeat(52);
    format!("/nix/store/{name}\nsha256:{hash}\n1\n\n{}\n{lines}", references.len())
}

fn small() -> Sizes {
    let path = |name: &str, rest: &str| format!("./nix/store/{name}{rest}").into_bytes();
    let (a, deep, b, c) =
        (path(A, "/bin/a"), path(A, "/share/doc/x/y"), path(B, ""), path(C, "/c"));
    let members: [(&[u8], Option<u64>); 9] = [
        (b"./", None),
        (&a, Some(40_000)),
        (&deep, Some(2_000)),
        (&b, Some(10_000)),
        (&c, Some(5_000)),
        (b"./nix/store/.links/x", Some(100)),
        (b"./nix/var/log", Some(50)),
        (b"./etc/\xff<b>\x1b", Some(3_000)),
        (b"./empty", Some(0)),
    ];
    // Two that need each other, and one that is not there.
    let list = [registered(A, &[A, B]), registered(B, &[A, "33333333333333333333333333333333-d"])];
    let (opened, raw) = archive(&members, &list.concat());
    Sizes::of(&opened, "a.tar", raw)
}

/// Every part below the root, with its path, and the sums of what is in each.
fn all(sizes: &Sizes) -> Vec<(String, EntryId)> {
    let mut all = Vec::new();
    let mut todo = vec![(String::new(), Sizes::ROOT)];
    while let Some((path, id)) = todo.pop() {
        let children = sizes.children(id);
        if !children.is_empty() {
            let sum: u64 = children.iter().map(|id| sizes.entry(*id).bytes).sum();
            assert_eq!(sum, sizes.entry(id).bytes, "{path}");
        }
        for child in children {
            todo.push((format!("{path}/{}", sizes.entry(*child).name), *child));
        }
        all.push((path, id));
    }
    all.sort();
    all
}

#[test]
fn parts_add_up() {
    let sizes = small();
    let all = all(&sizes);
    let bytes = |path: &str| {
        let (_, id) = all.iter().find(|(other, _)| other == path).unwrap_or_else(|| {
            panic!("no {path} in {:?}", all.iter().map(|(path, _)| path).collect::<Vec<_>>())
        });
        sizes.entry(*id).bytes
    };
    assert_eq!(bytes(""), bytes("/Nix store") + 3_000 + 50 + rest(&sizes));
    assert_eq!(bytes("/Nix store"), 57_100);
    assert_eq!(bytes(&format!("/Nix store/{A}")), 42_000);
    assert_eq!(bytes(&format!("/Nix store/{A}/share/doc/x")), 2_000);
    assert_eq!(bytes(&format!("/Nix store/{B}")), 10_000);
    assert_eq!(bytes("/Nix store/.links/x"), 100);
    assert_eq!(bytes("/nix/var/log"), 50);
    assert_eq!(bytes("/etc/\\xff<b>\\u{1b}"), 3_000);
    let names: Vec<_> =
        sizes.children(Sizes::ROOT).iter().map(|id| sizes.entry(*id).kind).collect();
    assert_eq!(names[0], Kind::Store);
}

/// What is no content of a file, the list aside.
fn rest(sizes: &Sizes) -> u64 {
    let of = |name: &str| {
        let found = |id: &&EntryId| &*sizes.entry(**id).name == name;
        sizes.entry(*sizes.children(Sizes::ROOT).iter().find(found).unwrap()).bytes
    };
    of("headers and padding") + of("nix-path-registration")
}

#[test]
fn references_bring_each_path_once() {
    let sizes = small();
    let with = |name: &str| {
        let mut entries = all(&sizes).into_iter().map(|(_, id)| sizes.entry(id).clone());
        entries.find(|entry| &*entry.name == name).unwrap().with_references
    };
    assert_eq!((with(A), with(B), with(C)), (Some(52_000), Some(52_000), None));
}

#[test]
fn what_is_smaller_is_told_together() {
    let sizes = small();
    let store = sizes.children(Sizes::ROOT)[0];
    let told = |top: usize| {
        let branches = sizes.branches(store, top);
        let other = |branch: &Branch| match branch {
            Branch::Others { count, bytes } => Some((*count, *bytes)),
            Branch::Entry(_) => None,
        };
        (branches.len(), branches.iter().find_map(other))
    };
    assert_eq!(sizes.children(store).len(), 4);
    assert_eq!(told(0), (1, Some((4, 57_100))));
    assert_eq!(told(2), (3, Some((2, 5_100))));
    assert_eq!(told(3), (4, None));
    assert_eq!(told(9), (4, None));
}

/// Rectangles of a drawing, with their titles.
fn rects(svg: &str) -> Vec<(String, Rect)> {
    let document = roxmltree::Document::parse(svg).unwrap();
    let groups = document.descendants().filter(|node| node.has_tag_name("g"));
    let rects = groups.map(|group| {
        let title = group.first_element_child().unwrap().text().unwrap().to_owned();
        let rect = group.children().find(|node| node.has_tag_name("rect")).unwrap();
        let number = |name| rect.attribute(name).unwrap().parse::<f64>().unwrap();
        let (x, y) = (number("x"), number("y"));
        (title, Rect { x, y, width: number("width"), height: number("height") })
    });
    rects.collect()
}

#[test]
fn a_drawing_is_xml_that_asks_for_nothing() {
    let sizes = small();
    let svg = svg(&sizes, "tar & more");
    let rects = rects(&svg);
    assert_eq!(svg, super::svg(&sizes, "tar & more"));
    assert!(rects.iter().any(|(title, _)| title.starts_with("etc/\\xff<b>\\u{1b}: 2.9 KiB")));
    for (title, rect) in &rects {
        let right = rect.x + rect.width;
        assert!(rect.x >= 8.0 && right <= 1192.01, "{title}: {rect:?}");
        assert!(rect.y >= 34.0 && rect.y + rect.height <= 752.01, "{title}: {rect:?}");
    }
    // Side by side in the same frame: as large as their contents.
    let area = |name: &str| {
        let named = |(title, _): &&(String, Rect)| title.starts_with(name);
        rects.iter().find(named).unwrap().1.area()
    };
    let ratio = area(A) / area(B);
    assert!((ratio - 4.2).abs() < 0.01, "{ratio}");
    let document = roxmltree::Document::parse(&svg).unwrap();
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        let known = ["svg", "title", "style", "rect", "g", "text"];
        assert!(known.contains(&node.tag_name().name()), "{node:?}");
        for attribute in node.attributes() {
            let name = attribute.name();
            assert!(!name.starts_with("on") && !name.contains("href") && name != "id", "{name}");
        }
    }
    assert!(!svg.contains("url(") && !svg.contains("@import"));
}

/// Directories as deep as an archive may have them, and very many files.
#[test]
fn neither_depth_nor_number_is_too_much() {
    let deep = format!("./{}x", "d/".repeat(120));
    let names: Vec<String> = (0..9000).map(|n| format!("./many/{n}")).collect();
    let mut members: Vec<(&[u8], Option<u64>)> = vec![(deep.as_bytes(), Some(900_000))];
    members.extend(names.iter().map(|name| (name.as_bytes(), Some(5_000))));
    let (opened, raw) = archive(&members, "");
    let sizes = Sizes::of(&opened, "deep.tar", raw);
    all(&sizes);
    let svg = svg(&sizes, "");
    let rects = rects(&svg);
    assert!(rects.len() > 5000 && rects.len() < 6100, "{}", rects.len());
    assert!(svg.len() < 2 << 20, "{}", svg.len());
}
