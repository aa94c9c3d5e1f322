//! `os_list_imagingutility_v4.json`, the list of Raspberry Pi Imager. Schema:
//! raspberrypi/rpi-imager, `doc/json-schema/os-list-schema.json`.
//!
//! It is a top-level list, with the devices that its images boot on: without them the first page of
//! Imager has nothing to select, and no way on (`DeviceSelectionStep.qml`). Where another list names
//! it as `subitems_url`, Imager overlooks `imager` (`onOsListFetchComplete`), so that one file serves
//! both.

use std::collections::BTreeSet;

use image_host::epoch;
use image_model::{Board, FileRole, ImageKind};
use serde::Serialize;

use super::{Catalogs, NO_BASE_URL, json, of_kinds, processor, unmet};
use crate::{Document, Image, Release, needs::Audience};

/// Name of the file.
pub(super) const FILE: &str = "os_list_imagingutility_v4.json";

/// Boards that Imager knows under one name: the tag of a family is `pi4-64bit`.
const FAMILIES: [Family; 3] = [
    Family {
        tag: "pi3",
        name: "Raspberry Pi 3",
        boards: &[
            (Board::Pi3, "Model B"),
            (Board::Pi3Plus, "Model B+"),
            (Board::PiZero2, "Zero 2 W"),
            (Board::Cm3, "Compute Module 3"),
        ],
    },
    Family {
        tag: "pi4",
        name: "Raspberry Pi 4",
        boards: &[(Board::Pi4, "Model B"), (Board::Pi400, "400"), (Board::Cm4, "Compute Module 4")],
    },
    Family {
        tag: "pi5",
        name: "Raspberry Pi 5",
        boards: &[(Board::Pi5, "Raspberry Pi 5"), (Board::Cm5, "Compute Module 5")],
    },
];

/// Boards that Imager makes no difference between.
struct Family {
    tag: &'static str,
    name: &'static str,
    /// With the words that tell them apart.
    boards: &'static [(Board, &'static str)],
}

#[derive(Serialize)]
struct List {
    imager: Imager,
    os_list: Vec<Entry>,
}

#[derive(Serialize)]
struct Imager {
    devices: Vec<Device>,
}

#[derive(Serialize)]
struct Device {
    name: &'static str,
    description: String,
    tags: Vec<String>,
    matching_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    architecture: Option<&'static str>,
}

/// An image. The order of keys is that of the example beside the schema.
#[derive(Serialize)]
struct Entry {
    name: String,
    description: String,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    bmap_url: Option<String>,
    icon: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    website: Option<String>,
    release_date: String,
    extract_size: u64,
    extract_sha256: String,
    image_download_size: u64,
    image_download_sha256: String,
    devices: Vec<String>,
    init_format: &'static str,
    architecture: &'static str,
}

/// What all entries have in common.
struct Common<'a> {
    release: &'a Release,
    icon: &'a str,
    date: String,
}

/// Writes the list.
pub(super) fn write(release: &Release, out: &mut Catalogs) {
    let mut images = of_kinds(release, &[ImageKind::Sd]).peekable();
    if images.peek().is_none() {
        return;
    }
    let common = match common(release) {
        Ok(common) => common,
        Err(why) => return out.omit(FILE, why),
    };
    let (mut os_list, mut listed) = (Vec::new(), Vec::new());
    for image in images {
        match entry(&common, image) {
            Ok(entry) => {
                os_list.push(entry);
                listed.push(image);
            }
            Err(why) => out.leave_out(FILE, image, why),
        }
    }
    if os_list.is_empty() {
        return;
    }
    let mut devices: Vec<_> =
        FAMILIES.iter().filter_map(|family| device(family, &os_list, &listed)).collect();
    devices.push(Device {
        name: "No filtering",
        description: "Shows every image".to_owned(),
        tags: Vec::new(),
        matching_type: "inclusive",
        architecture: None,
    });
    out.documents.push(Document {
        file: FILE.to_owned(),
        also: None,
        role: FileRole::Catalog,
        media_type: "application/json",
        bytes: json::text(&List { imager: Imager { devices }, os_list }, "  "),
    });
}

/// A family, where an image of the list boots on a board of it.
fn device(family: &Family, os_list: &[Entry], listed: &[&Image]) -> Option<Device> {
    let of_family = |tag: &&String| tag.split('-').next() == Some(family.tag);
    let tags = os_list.iter().flat_map(|entry| &entry.devices).filter(of_family);
    let tags: Vec<_> = tags.cloned().collect::<BTreeSet<_>>().into_iter().collect();
    let boots = |board: Board| listed.iter().any(|image| boots(image, board));
    let boards = family.boards.iter().filter(|(board, _)| boots(*board));
    let boards: Vec<_> = boards.map(|(_, name)| *name).collect();
    (!tags.is_empty()).then(|| Device {
        name: family.name,
        description: boards.join(", "),
        architecture: tags.iter().any(|tag| tag.ends_with("64bit")).then_some("armv8"),
        tags,
        matching_type: "exclusive",
    })
}

/// Whether the verification says that an image boots on a board.
fn boots(image: &Image, board: Board) -> bool {
    image.report.boots.iter().any(|way| way == board.as_str())
}

/// What the schema wants of every entry, or why there is no list.
fn common(release: &Release) -> Result<Common<'_>, &'static str> {
    if release.base_url.is_none() {
        return Err(NO_BASE_URL);
    }
    let icon = release.spec.icon.as_deref();
    let icon = icon.ok_or("`icon` is not set, and the schema wants one in every entry")?;
    let epoch = release.epoch.ok_or(
        "SOURCE_DATE_EPOCH is not set, and the schema wants the day of the release in every entry",
    )?;
    Ok(Common { release, icon, date: epoch::date(epoch) })
}

/// The entry of an image, or why it is not in the list.
fn entry(common: &Common<'_>, image: &Image) -> Result<Entry, String> {
    let Common { release, icon, date } = common;
    let url = |file: &str| {
        let url = release.url(file).ok_or_else(|| format!("{file} has no address"))?;
        Ok::<_, String>(url.to_string())
    };
    let (architecture, bits) = match processor(&image.manifest) {
        "aarch64" => ("armv8", "64bit"),
        "armv7l" => ("armhf", "32bit"),
        "armv6l" => ("armel", "32bit"),
        other => return Err(format!("no Raspberry Pi has {other} as its processor")),
    };
    let payload = image.payload();
    let raw = payload.raw;
    unmet(image, Audience::RaspberryPiImager)?;
    let families: Vec<_> = FAMILIES
        .iter()
        .filter(|family| family.boards.iter().any(|(board, _)| boots(image, *board)))
        .collect();
    if families.is_empty() {
        let why = if image.report.boots.is_empty() {
            "the verification names no board that it boots on".to_owned()
        } else {
            format!("it boots on no Raspberry Pi, but on {}", image.report.boots.join(", "))
        };
        return Err(why);
    }
    let names: Vec<_> = families.iter().map(|family| family.name).collect();
    let bmap = image.manifest.artifacts.iter().find(|artifact| artifact.format == "bmap");
    Ok(Entry {
        name: super::title(&image.manifest, &release.version),
        description: format!("{} {} for {}", release.spec.title, release.version, names.join(", ")),
        url: url(&payload.file)?,
        bmap_url: bmap.map(|bmap| url(&bmap.file)).transpose()?,
        icon: (*icon).to_owned(),
        website: release.spec.website.clone(),
        release_date: date.clone(),
        extract_size: raw.size,
        extract_sha256: raw.sha256.to_string(),
        image_download_size: payload.digests.size,
        image_download_sha256: payload.digests.sha256.to_string(),
        devices: families.iter().map(|family| format!("{}-{bits}", family.tag)).collect(),
        // Nothing in the image reads what Imager would write onto the card.
        init_format: "none",
        architecture,
    })
}
