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

use super::{
    Judged,
    boot::{
        Processor,
        initrd::{self, Initrd},
        paths::lexical,
    },
};
use crate::{
    Recorder,
    container::raw_at,
    disc::Disc,
    store::{Asked, Entry},
    tree::{Kind, NodeId, Tree, display},
    volume::{Family, MAX_TEXT, Volume},
};

/// What an image promises.
#[derive(Clone, Copy, Debug, Default)]
pub struct Promise<'a> {
    /// The ways in which it boots; none where nobody promised anything.
    pub boots: &'a [Boot],
    /// What is asked of its Nix store, but for what is of this kind.
    pub store: Asked<'a>,
}

/// Judges what a disc boots. The ways in which it does are those in which firmware and boot loaders
/// find what they want, such as `bios from disc`.
pub fn verify(disc: &Disc, promise: Promise<'_>, out: &mut Recorder) -> Judged {
    out.announce(CHECKS);
    let mut judge = Judge {
        disc,
        promise,
        out,
        volumes: volumes(disc).into(),
        missing: BTreeMap::new(),
        unknown: BTreeMap::new(),
        unsure: BTreeSet::new(),
        limit: None,
        kernels: BTreeMap::new(),
        initrds: BTreeMap::new(),
        initrd_budget: initrd::Budget::default(),
        efi: BTreeSet::new(),
        unified: BTreeMap::new(),
        texts: BTreeSet::new(),
        grubs: BTreeMap::new(),
        said: BTreeSet::new(),
        isolinux: BTreeMap::new(),
        modules: BTreeMap::new(),
        lines: BTreeSet::new(),
        entries: Vec::new(),
        lookups: grub::MAX_LOOKUPS,
        names: MAX_NAMES,
        text: grub::MAX_TOTAL,
    };
    judge.firmware();
    let stores = judge.stores();
    judge.labels();
    Judged { boots: judge.verdict(), stores }
}

/// A file of one of the volumes.
type FileId = (usize, NodeId);

/// A file system that can be read, by its number in [`Judge::volumes`].
type Place<'a> = (usize, &'a Volume);

/// How many findings are remembered, so that none comes twice.
const MAX_SAID: usize = 4096;

/// How many command lines are judged. Most have much in common.
const MAX_LINES: usize = 256;

/// How many names of files are looked at, and what it costs beside that to look for one.
const MAX_NAMES: u32 = 1 << 24;
const LOOKUP: u32 = 16;

/// Checks that something is found: nobody knows whether it is there once a limit was met.
const FOUND: [&Check; 11] = [
    &FILE_CASE,
    &ISOLINUX_MODULE,
    &ISOLINUX_INCLUDE,
    &ISOLINUX_FILE,
    &ISOLINUX_DEFAULT,
    &GRUB_SEARCH,
    &GRUB_FILE,
    &ENTRY_FILE,
    &ENTRY_DEFAULT,
    &REFIND_FILE,
    &INITRD_INIT,
];

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
    /// Ways of which nobody knows whether they boot, and why.
    unknown: BTreeMap<Way, String>,
    /// Ways that were not followed to their end: a limit was met.
    unsure: BTreeSet<Way>,
    /// The first limit that was met. What is not found from then on may be there.
    limit: Option<String>,
    /// Kernels, archives for the initramfs and programs for UEFI that were judged.
    kernels: BTreeMap<FileId, Option<linux::Kernel>>,
    initrds: BTreeMap<FileId, Option<Rc<Initrd>>>,
    /// What the initramfs that are still to come may cost.
    initrd_budget: initrd::Budget,
    efi: BTreeSet<FileId>,
    /// Unified kernel images that were judged, and whether they start.
    unified: BTreeMap<FileId, bool>,
    /// Configurations that were read, so that each is complained about once.
    texts: BTreeSet<FileId>,
    /// What configurations of GRUB offer.
    grubs: BTreeMap<FileId, grub::Offer>,
    /// What was said already: entries of a menu have much in common.
    said: BTreeSet<(&'static str, u64)>,
    /// What ISOLINUX lacks, by the number of its image.
    isolinux: BTreeMap<u32, Vec<String>>,
    /// Modules of ISOLINUX that were read, and the libraries they name.
    modules: BTreeMap<NodeId, Vec<&'static str>>,
    /// Command lines that were judged, at most [`MAX_LINES`].
    lines: BTreeSet<String>,
    /// What these lines start, each with the file system it is on.
    entries: Vec<(&'a Volume, Entry)>,
    /// How many files GRUB may still look for.
    lookups: u32,
    /// How many names of files may still be looked at.
    names: u32,
    /// How many bytes of GRUB's configurations may still be read, and made of their variables.
    text: u64,
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
        if self.limit.is_some() && FOUND.iter().any(|found| found.id == check.id) {
            return false;
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

    /// Notes that there is more than is followed.
    fn limit(&mut self, what: &str) {
        self.limit.get_or_insert_with(|| what.to_owned());
    }

    /// The verdict over all ways.
    fn verdict(&mut self) -> Vec<String> {
        let missing = std::mem::take(&mut self.missing);
        let unknown = std::mem::take(&mut self.unknown);
        let unsure = std::mem::take(&mut self.unsure);
        let limit = self.limit.clone();
        // Why nobody knows whether a way boots.
        let open = |way: &Way| {
            let met = limit.as_deref().filter(|_| unsure.contains(way));
            unknown.get(way).map(String::as_str).or(met)
        };
        let lacks = |way: &Way| missing.get(way).is_some_and(|list| !list.is_empty());
        let boots = |way: &Way| open(way).is_none() && !lacks(way);
        let at = || raw_at("disc", 0, 0);
        for way in &WAYS {
            let (firmware, medium) = way;
            let promised = self.promised(*way);
            let may = |why: &str| format!("{firmware} from {medium} may boot or not: {why}");
            if promised {
                self.expect(&UNPROVEN_BOOT, open(way).is_none(), at, || {
                    may(open(way).unwrap_or_default())
                });
            } else if let Some(why) = unknown.get(way) {
                self.expect(&BOOT, false, at, || may(why));
            }
            if open(way).is_some() {
                continue;
            }
            let check = if promised { &PROMISED_BOOT } else { &BOOT };
            self.expect(check, boots(way), at, || {
                let list = missing.get(way).map(|list| list.join("; ")).unwrap_or_default();
                format!("{firmware} from {medium} does not boot: {list}")
            });
        }
        self.expect(&LIMITS, limit.is_none(), at, || {
            let what = limit.as_deref().unwrap_or_default();
            format!("{what}: not all of it was judged, nor what else is found by it")
        });
        let ways = WAYS.iter().filter(|way| boots(way));
        let ways = ways.map(|(firmware, medium)| format!("{firmware} from {medium}")).collect();
        if !self.promise.boots.iter().any(|boot| *boot != Boot::Usb) {
            // A stick may be all that is promised.
            let stick = self.promise.boots.contains(&Boot::Usb);
            let all = || WAYS.iter().filter(|way| !stick || way.1 == Medium::Usb);
            let any = all().any(boots);
            let open = all().find_map(open).filter(|_| !any);
            if stick {
                self.expect(&UNPROVEN_BOOT, open.is_none(), at, || {
                    format!("a stick may boot or not: {}", open.unwrap_or_default())
                });
            }
            if open.is_none() {
                let check = if stick { &PROMISED_BOOT } else { &BOOTABLE };
                self.expect(check, any, at, || {
                    let count = self.disc.boot.len();
                    let from = if stick { " from a stick" } else { "" };
                    format!(
                        "nothing boots it{from}: {count} images in the boot catalog, and none \
                         starts"
                    )
                });
            }
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

    /// Takes the cost of looking at so many names from what is left.
    fn pay(&mut self, names: u32) -> Option<()> {
        match self.names.checked_sub(names) {
            Some(left) => {
                self.names = left;
                Some(())
            }
            None => {
                self.limit("more names of files than are looked at");
                None
            }
        }
    }

    /// What is at `path`, as it is spelled.
    fn exact(&mut self, volume: &Volume, path: &str) -> Option<NodeId> {
        if volume.family == Family::Fat {
            return self.other_case(volume, path);
        }
        let len = u32::try_from(path.len()).unwrap_or(u32::MAX);
        self.pay(len.saturating_add(LOOKUP))?;
        volume.find(path.as_bytes())
    }

    /// What is at `path` if the case of letters does not matter.
    fn other_case(&mut self, volume: &Volume, path: &str) -> Option<NodeId> {
        let mut folder = Tree::ROOT;
        for name in lexical(path).split('/').filter(|name| !name.is_empty()) {
            let mut children = volume.tree.children(folder);
            folder = loop {
                self.pay(1)?;
                let (other, id) = children.next()?;
                if other.eq_ignore_ascii_case(name.as_bytes()) {
                    break id;
                }
            };
        }
        Some(folder)
    }

    /// What is at `path`, as ISOLINUX looks for it.
    fn caseless(&mut self, volume: &Volume, path: &str) -> Option<NodeId> {
        self.exact(volume, path).or_else(|| self.other_case(volume, path))
    }

    /// What is at `path`, as GRUB and firmware look for it: the case of letters matters in names of
    /// Rock Ridge.
    fn find(&mut self, volume: &Volume, path: &str) -> Option<NodeId> {
        let found = self.exact(volume, path);
        match found.is_none() && volume.files.ignores_case() {
            true => self.other_case(volume, path),
            false => found,
        }
    }

    /// The same, if it is a file.
    fn find_file(&mut self, volume: &Volume, path: &str) -> Option<NodeId> {
        self.find(volume, path).filter(|id| is_file(volume, *id))
    }

    /// A file in other letters, where it is there: in words.
    fn misspelled(&mut self, volume: &Volume, path: &str) -> String {
        match self.other_case(volume, path).filter(|id| is_file(volume, *id)) {
            Some(id) => format!(", where it is {}", display(&volume.tree.path(id))),
            None => String::new(),
        }
    }
}

fn is_file(volume: &Volume, id: NodeId) -> bool {
    matches!(volume.tree.node(id).kind, Kind::File(_))
}

/// The processor of a firmware.
fn processor(firmware: Boot) -> Processor {
    match firmware {
        Boot::UefiAarch64 => Processor::Aarch64,
        Boot::Bios | Boot::UefiX86_64 | Boot::Usb => Processor::X86_64,
    }
}
