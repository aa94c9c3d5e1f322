//! Raspberry Pi Imager: `src/imagewriter.cpp`, `src/oslistmodel.cpp`, `src/hwlistmodel.cpp`, and
//! `doc/json-schema/os-list-schema.json`.

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;
use url::Url;

use super::{Entry, Facts, Refusal, Refusals, file_of, json, sha256};
use crate::needs::SECTOR;

/// How many lists may lie in one another (`MAX_SUBITEMS_DEPTH`).
const MAX_DEPTH: usize = 16;

/// Values of `init_format`; an entry with another one is pruned.
const INIT_FORMATS: [&str; 6] =
    ["", "systemd", "cloudinit", "cloudinit-rpi", "rpi-preseed", "none"];

/// A list.
#[derive(Clone, Debug, Deserialize)]
pub struct List {
    /// What only a top-level list has.
    #[serde(default)]
    pub imager: Option<Imager>,
    /// The entries.
    pub os_list: Vec<Item>,
}

/// What Imager is told of itself.
#[derive(Clone, Debug, Deserialize)]
pub struct Imager {
    /// What may be chosen on the first page.
    #[serde(default)]
    pub devices: Vec<Device>,
}

/// A device on the first page.
#[derive(Clone, Debug, Deserialize)]
pub struct Device {
    /// How it is called.
    pub name: String,
    /// Which ones that is.
    pub description: String,
    /// An entry with one of them is shown; with none of them here, all are.
    pub tags: Vec<String>,
    /// `inclusive` shows entries without tags as well.
    #[serde(default)]
    pub matching_type: String,
}

/// An image, or a folder.
#[derive(Clone, Debug)]
pub enum Item {
    /// A folder.
    Folder(Folder),
    /// An image.
    Image(Box<Image>),
}

/// A folder in a list.
#[derive(Clone, Debug, Deserialize)]
pub struct Folder {
    /// How it is called.
    pub name: String,
    /// What is in it.
    pub subitems: Vec<Item>,
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let item = if value.get("subitems").is_some() {
            Folder::deserialize(value).map(Self::Folder)
        } else {
            Image::deserialize(value).map(|image| Self::Image(Box::new(image)))
        };
        item.map_err(D::Error::custom)
    }
}

/// An image. What has no default is what the schema wants.
#[derive(Clone, Debug, Deserialize)]
pub struct Image {
    /// How it is called.
    pub name: String,
    /// A line below that.
    pub description: String,
    /// Address of a picture.
    pub icon: String,
    /// Address of the file.
    pub url: String,
    /// Length of the disk in bytes.
    pub extract_size: u64,
    /// Its digest, which Imager insists on.
    pub extract_sha256: String,
    /// Length of the file in bytes.
    pub image_download_size: u64,
    /// Its digest, by which Imager knows it again.
    #[serde(default)]
    pub image_download_sha256: Option<String>,
    /// Address of a block map.
    #[serde(default)]
    pub bmap_url: Option<String>,
    /// A day.
    pub release_date: String,
    /// What it is for.
    pub devices: Vec<String>,
    /// How it takes settings.
    #[serde(default)]
    pub init_format: String,
    /// What is sorted first on some devices.
    #[serde(default)]
    pub architecture: String,
}

impl List {
    /// Reads a list.
    pub fn read(bytes: &[u8]) -> Result<Self, Vec<Refusal>> {
        json(bytes)
    }

    /// All images, in the order in which they are shown.
    pub fn images(&self) -> Vec<&Image> {
        let mut out = Vec::new();
        let mut folders = vec![self.os_list.iter()];
        while let Some(items) = folders.last_mut() {
            match items.next() {
                Some(Item::Image(image)) => out.push(image.as_ref()),
                Some(Item::Folder(folder)) if folders.len() < MAX_DEPTH => {
                    folders.push(folder.subitems.iter());
                }
                // Nothing of a folder that lies too deep is shown.
                Some(Item::Folder(_)) => {}
                None => {
                    folders.pop();
                }
            }
        }
        out
    }

    /// The images that are shown once a device is chosen: those with one of its tags, and all where it
    /// has none (`filterOsListWithHWTags`).
    pub fn shown(&self, device: &Device) -> Vec<&Image> {
        let mut images = self.images();
        images.retain(|image| {
            device.tags.is_empty() || image.devices.iter().any(|tag| device.tags.contains(tag))
        });
        images
    }
}

/// All entries.
pub(super) fn entries(bytes: &[u8], facts: &Facts<'_>) -> Result<Vec<Entry>, Vec<Refusal>> {
    let list = List::read(bytes)?;
    let (mut out, mut refusals) = (Vec::new(), Refusals::default());
    let devices = list.imager.as_ref().map(|imager| imager.devices.as_slice()).unwrap_or_default();
    if devices.is_empty() {
        refusals.push("", "`imager` has no devices, so that nobody comes past the first page");
    }
    for image in list.images() {
        let mut wrong = |what: String| refusals.push(&image.name, what);
        for what in broken_rules(image, devices) {
            wrong(what);
        }
        match (file_of(&image.url, facts), sha256(&image.extract_sha256)) {
            (Ok(file), Ok(raw_sha256)) => out.push(Entry {
                name: image.name.clone(),
                file,
                size: Some(image.image_download_size),
                raw_size: Some(image.extract_size),
                raw_sha256: Some(raw_sha256),
                sha256: match image.image_download_sha256.as_deref().map(sha256).transpose() {
                    Ok(sha256) => sha256,
                    Err(what) => {
                        wrong(what);
                        None
                    }
                },
                combined: None,
            }),
            (file, digest) => file.err().into_iter().chain(digest.err()).for_each(&mut wrong),
        }
        match image.bmap_url.as_deref().map(|url| file_of(url, facts)).transpose() {
            Ok(None) => {}
            Ok(Some(file)) => {
                out.push(Entry { name: image.name.clone(), file, ..Entry::default() });
            }
            Err(what) => wrong(what),
        }
    }
    refusals.or(out)
}

/// What Imager, its schema, or its rules for lists do not take of an image.
fn broken_rules(image: &Image, devices: &[Device]) -> Vec<String> {
    let mut wrong = Vec::new();
    if !INIT_FORMATS.contains(&image.init_format.as_str()) {
        wrong.push(format!("pruned: {:?} is no `init_format`", image.init_format));
    }
    if image.extract_size == 0 || !image.extract_size.is_multiple_of(SECTOR) {
        wrong.push(format!("{} bytes are no whole sectors of 512 bytes", image.extract_size));
    }
    if image.devices.is_empty() {
        wrong.push("it is for no device".to_owned());
    }
    let choice = |tag: &String| devices.iter().any(|device| device.tags.contains(tag));
    if !image.devices.iter().any(choice) {
        wrong.push(format!("no device of the first page has one of {:?}", image.devices));
    }
    let day = image.release_date.as_bytes();
    let digits = |(at, byte): (usize, &u8)| match at {
        4 | 7 => *byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    if day.len() != "YYYY-MM-DD".len() || !day.iter().enumerate().all(digits) {
        wrong.push(format!("{:?} is no day as 2026-08-20", image.release_date));
    }
    // `sanitizeIconSource`: a web address has a host.
    let icon = Url::parse(&image.icon).ok();
    if !icon.is_some_and(|url| url.has_host() && matches!(url.scheme(), "https" | "http")) {
        wrong.push(format!("{:?} is no address of an icon", image.icon));
    }
    wrong
}
