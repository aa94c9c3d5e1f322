//! Discs that boot: follows what firmware does from the boot catalog, or the first block of a
//! stick, to the first program of the system.
//!
//! A PC's BIOS starts ISOLINUX or GRUB; UEFI starts a program in a FAT file system that the boot
//! catalog, or a partition table, leads to, and that is GRUB, systemd-boot or another. All of them
//! end with a kernel, an initramfs and a command line, which name the disc by its label and the
//! first program in a SquashFS on it. What one of them names has to be there.

mod checks;
mod command_line;
mod entries;
mod firmware;
mod grub;
mod isolinux;
mod isolinux_cfg;
mod linux;
mod refind;
mod store;

pub use checks::*;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    rc::Rc,
};

use image_model::{Boot, Check, Location};

use super::boot::{
    Processor,
    initrd::{self, Initrd},
    paths::find,
};
use crate::{
    Recorder,
    container::raw_at,
    disc::Disc,
    tree::{Kind, NodeId, Tree, display},
    volume::{MAX_TEXT, Volume},
};

/// What an image promises.
#[derive(Clone, Copy, Debug)]
pub struct Promise<'a> {
    /// The ways in which it boots; none where nobody promised anything.
    pub boots: &'a [Boot],
}

/// Judges what a disc boots. Returns the ways in which firmware and boot loaders find what they
/// want, such as `bios from disc`.
pub fn verify(disc: &Disc, promise: Promise<'_>, out: &mut Recorder) -> Vec<String> {
    out.announce(CHECKS);
    let mut judge = Judge {
        disc,
        promise,
        out,
        volumes: volumes(disc).into(),
        missing: BTreeMap::new(),
        kernels: BTreeMap::new(),
        initrds: BTreeMap::new(),
        initrd_budget: initrd::Budget::default(),
        efi: BTreeSet::new(),
        texts: BTreeSet::new(),
        grubs: BTreeMap::new(),
        said: BTreeSet::new(),
        isolinux: BTreeMap::new(),
        lines: BTreeSet::new(),
        lookups: grub::MAX_LOOKUPS,
        names: MAX_NAMES,
    };
    judge.firmware();
    judge.stores();
    judge.labels();
    judge.verdict()
}

/// A file of one of the volumes.
type FileId = (usize, NodeId);

/// A file system that can be read, by its number in [`Judge::volumes`].
type Place<'a> = (usize, &'a Volume);

/// How many findings are remembered, so that none comes twice.
const MAX_SAID: usize = 4096;

/// How many command lines are judged. Most have much in common.
const MAX_LINES: usize = 256;

/// How many names of files are looked at for one in other letters.
const MAX_NAMES: u32 = 1 << 24;

/// The number of the disc's own file system. Those of FAT follow.
const DISC: usize = 0;

/// What the bytes are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Medium {
    /// A disc, or a virtual one.
    Disc,
    /// A stick or another disk that the image was copied to, byte for byte.
    Usb,
}

/// A way in which a machine starts: a firmware, and what it starts from.
type Way = (Boot, Medium);

/// All ways there are.
const WAYS: [Way; 6] = [
    (Boot::Bios, Medium::Disc),
    (Boot::Bios, Medium::Usb),
    (Boot::UefiX86_64, Medium::Disc),
    (Boot::UefiX86_64, Medium::Usb),
    (Boot::UefiAarch64, Medium::Disc),
    (Boot::UefiAarch64, Medium::Usb),
];

impl fmt::Display for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disc => "disc",
            Self::Usb => "usb",
        })
    }
}

/// One image, and what was learned about it so far.
struct Judge<'a, 'o> {
    disc: &'a Disc,
    promise: Promise<'a>,
    out: &'o mut Recorder,
    /// The disc's own file system, if it can be read, and all of FAT, each once.
    volumes: Rc<[Place<'a>]>,
    /// What each way that was looked at lacks.
    missing: BTreeMap<Way, Vec<String>>,
    /// Kernels, archives for the initramfs and programs for UEFI that were judged.
    kernels: BTreeMap<FileId, Option<linux::Kernel>>,
    initrds: BTreeMap<FileId, Option<Rc<Initrd>>>,
    /// What the initramfs that are still to come may cost.
    initrd_budget: initrd::Budget,
    efi: BTreeSet<FileId>,
    /// Configurations that were read, so that each is complained about once.
    texts: BTreeSet<FileId>,
    /// What configurations of GRUB offer.
    grubs: BTreeMap<FileId, grub::Offer>,
    /// What was said already: entries of a menu have much in common.
    said: BTreeSet<(&'static str, u64)>,
    /// What ISOLINUX lacks, by the number of its image.
    isolinux: BTreeMap<u32, Vec<String>>,
    /// Command lines that were judged, at most [`MAX_LINES`].
    lines: BTreeSet<String>,
    /// How many files GRUB may still look for.
    lookups: u32,
    /// How many names of files may still be looked at for one in other letters.
    names: u32,
}

/// The file systems that boot loaders read.
fn volumes(disc: &Disc) -> Vec<Place<'_>> {
    let mut volumes: Vec<Place<'_>> = disc.volume.iter().map(|volume| (DISC, volume)).collect();
    let images = disc.boot.iter().filter_map(|image| image.volume.as_deref());
    let mut next = DISC + 1;
    for fat in images.chain(disc.stick.efi.iter().map(Rc::as_ref)) {
        if !volumes.iter().any(|(_, known)| std::ptr::eq(*known, fat)) {
            volumes.push((next, fat));
            next += 1;
        }
    }
    volumes
}

impl<'a> Judge<'a, '_> {
    fn expect(
        &mut self,
        check: &'static Check,
        holds: bool,
        at: impl FnOnce() -> Location,
        message: impl FnOnce() -> String,
    ) -> bool {
        if holds {
            return self.out.expect(check, true, || (at(), String::new()));
        }
        let (at, message) = (at(), message());
        let mut hash = DefaultHasher::new();
        (at.offset, &message).hash(&mut hash);
        if self.said.len() < MAX_SAID && !self.said.insert((check.id, hash.finish())) {
            return false;
        }
        self.out.expect(check, false, || (at, message))
    }

    /// The disc's own file system.
    fn disc(&self) -> Option<Place<'a>> {
        self.disc.volume.as_ref().map(|volume| (DISC, volume))
    }

    /// The number of a file system.
    fn place(&self, volume: &'a Volume) -> Place<'a> {
        let same = |(_, known): &&Place<'a>| std::ptr::eq(*known, volume);
        self.volumes.iter().find(same).copied().unwrap_or((usize::MAX, volume))
    }

    /// True if the image has to boot in this way.
    fn promised(&self, (firmware, medium): Way) -> bool {
        let boots = self.promise.boots;
        boots.contains(&firmware) && (medium == Medium::Disc || boots.contains(&Boot::Usb))
    }

    /// Notes that a way lacks something.
    fn lacks(&mut self, way: Way, what: impl Into<String>) {
        let list = self.missing.entry(way).or_default();
        let what = what.into();
        if !list.contains(&what) {
            list.push(what);
        }
    }

    /// The verdict over all ways.
    fn verdict(&mut self) -> Vec<String> {
        let missing = std::mem::take(&mut self.missing);
        let boots = |way: &Way| missing.get(way).is_none_or(Vec::is_empty);
        for way in WAYS {
            let check = if self.promised(way) { &PROMISED_BOOT } else { &BOOT };
            let at = || raw_at("disc", 0, 0);
            self.expect(check, boots(&way), at, || {
                let list = missing.get(&way).map(|list| list.join("; ")).unwrap_or_default();
                let (firmware, medium) = way;
                format!("{firmware} from {medium} does not boot: {list}")
            });
        }
        let ways = WAYS.iter().filter(|way| boots(way));
        let ways = ways.map(|(firmware, medium)| format!("{firmware} from {medium}")).collect();
        if !self.promise.boots.iter().any(|boot| *boot != Boot::Usb) {
            // A stick may be all that is promised.
            let stick = self.promise.boots.contains(&Boot::Usb);
            let any = WAYS.iter().any(|way| boots(way) && (!stick || way.1 == Medium::Usb));
            let at = || raw_at("disc", 0, 0);
            self.expect(&BOOTABLE, any, at, || {
                let count = self.disc.boot.len();
                let from = if stick { " from a stick" } else { "" };
                format!(
                    "nothing boots it{from}: {count} images in the boot catalog, and none starts"
                )
            });
        }
        ways
    }

    /// Linux finds the disc by its label. Another file system of the same name is found as well.
    fn labels(&mut self) {
        let Some((_, disc)) = self.disc() else { return };
        for (_, volume) in Rc::clone(&self.volumes).iter().filter(|(number, _)| *number != DISC) {
            let same = !disc.label.is_empty() && volume.label == disc.label;
            self.expect(
                &LABEL,
                !same,
                || volume.at.clone(),
                || format!("{}: the label is {:?}, as that of the disc", volume.name, volume.label),
            );
        }
    }

    /// The text of a configuration file; a finding where it cannot be read.
    fn text(&mut self, (number, volume): Place<'a>, id: NodeId) -> Option<String> {
        let content = volume.content(id, MAX_TEXT);
        if self.texts.insert((number, id)) {
            self.expect(
                &CONFIG_READ,
                content.is_ok(),
                || volume.tree.location(id),
                || content.as_ref().err().map(ToString::to_string).unwrap_or_default(),
            );
        }
        content.ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What is at `path` if the case of letters does not matter, as ISOLINUX looks for it. Nothing
    /// where too much was looked for.
    fn caseless(&mut self, volume: &Volume, path: &str) -> Option<NodeId> {
        let mut folder = Tree::ROOT;
        for name in path.split('/').filter(|name| !matches!(*name, "" | ".")) {
            let mut children = volume.tree.children(folder);
            folder = loop {
                let (other, id) = children.next()?;
                self.names = self.names.checked_sub(1)?;
                if other.eq_ignore_ascii_case(name.as_bytes()) {
                    break id;
                }
            };
        }
        Some(folder)
    }

    /// A file as boot loaders name it. Where only the case of letters is another, that is told:
    /// some of them look for it as it is spelled.
    fn named(&mut self, (_, volume): Place<'a>, path: &str, at: &Location) -> Option<NodeId> {
        let exact = find(volume, path);
        let found = exact.or_else(|| self.caseless(volume, path))?;
        if !matches!(volume.tree.node(found).kind, Kind::File(_)) {
            return None;
        }
        self.expect(
            &FILE_CASE,
            exact.is_some(),
            || at.clone(),
            || format!("{path} is {} on {}", display(&volume.tree.path(found)), volume.name),
        );
        Some(found)
    }
}

/// The processor of a firmware.
fn processor(firmware: Boot) -> Processor {
    match firmware {
        Boot::UefiAarch64 => Processor::Aarch64,
        Boot::Bios | Boot::UefiX86_64 | Boot::Usb => Processor::X86_64,
    }
}
