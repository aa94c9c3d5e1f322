//! What we say of a disc.

use std::{fs::File, path::Path, sync::Arc};

use image_model::{Finding, ImageSpace, Location, Outcome, Severity};
use image_verify::{Recorded, Recorder, UNUSED_WAIVER, disc, hybrid::Bios, kind};

use super::{
    boot::Image,
    listing::{Listing, ours},
};

/// A disc that was judged.
pub(crate) struct Judged {
    pub(crate) recorded: Recorded,
    /// Its files, where it was opened.
    pub(crate) listing: Option<Listing>,
    /// Label and UUID.
    pub(crate) label: Option<(String, String)>,
    pub(crate) boot: Vec<Image>,
    /// The ways in which it boots, where that was asked.
    pub(crate) ways: Vec<String>,
    /// What a PC's BIOS does with a stick.
    pub(crate) bios: Bios,
    /// Where the file systems for UEFI are on a stick.
    pub(crate) efi: Vec<u64>,
}

impl Judged {
    /// With what the disc boots, or without.
    pub(crate) fn of(path: &Path, boots: bool) -> Self {
        let mut out = Recorder::default();
        let disc = disc::verify(&(Arc::new(File::open(path).unwrap()) as _), &mut out).unwrap();
        let ways = match boots && !disc.boot.is_empty() {
            true => kind::iso::verify(&disc, kind::iso::Promise::default(), &mut out).boots,
            false => Vec::new(),
        };
        let whole = Location {
            structure: "disc".into(),
            space: ImageSpace::Raw,
            offset: 0,
            len: 0,
            path: None,
        };
        let recorded = out.finish(&[], &UNUSED_WAIVER, &whole);
        let rock_ridge = recorded.outcomes.get("rock-ridge-er") == Some(&Outcome::Held);
        let boot = disc.boot.iter().map(|image| Image {
            platform: image.platform,
            bootable: image.bootable,
            emulation: image.emulation,
            sectors: image.sector_count,
            block: image.region.start().0 / 2048,
        });
        Self {
            listing: disc.volume.as_ref().map(|volume| ours(volume, rock_ridge)),
            label: disc.volume.as_ref().map(|volume| (volume.label.clone(), volume.uuid.clone())),
            boot: boot.collect(),
            ways,
            bios: disc.stick.bios.clone(),
            efi: disc.stick.efi.iter().map(|volume| volume.at.offset).collect(),
            recorded,
        }
    }

    pub(crate) fn held(&self, check: &str) -> bool {
        self.recorded.outcomes.get(check) == Some(&Outcome::Held)
    }

    pub(crate) fn has_rock_ridge(&self) -> bool {
        self.held("rock-ridge-er")
    }

    /// What we find of this severity.
    pub(crate) fn findings(&self, severity: Severity) -> impl Iterator<Item = &Finding> {
        self.recorded.findings.iter().filter(move |finding| finding.severity == severity)
    }

    /// The same, for people.
    pub(crate) fn told(&self, severity: Severity) -> Vec<String> {
        let show = |f: &Finding| format!("{} at {}: {}", f.check, f.at, f.message);
        self.findings(severity).map(show).collect()
    }
}
