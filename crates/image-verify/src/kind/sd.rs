//! SD cards: follows what a board does from its firmware to the first program of the system.
//!
//! The firmware of a Raspberry Pi reads `config.txt` and starts U-Boot or a kernel; U-Boot, there
//! or in a board of its own, reads `extlinux.conf`; UEFI starts a boot loader with a configuration
//! of its own. All of them end with a kernel, an initramfs and a command line, which names the root
//! file system and the first program in it. What one of them names has to be there.

mod checks;
mod command_line;
mod config_txt;
mod extlinux;
mod firmware;
mod first_boot;
mod leaks;
mod u_boot;
mod uefi;

pub use checks::*;

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use image_model::{Board, Check, Location};

use super::{
    Judged,
    boot::{
        Processor,
        initrd::{self, Initrd},
        kernel,
    },
};
use crate::{
    Recorder,
    container::raw_at,
    disk::{Disk, Partition},
    store::{Asked, Entry},
    tree::NodeId,
    volume::{MAX_TEXT, Volume},
};

/// What an image promises.
#[derive(Clone, Copy, Debug, Default)]
pub struct Promise<'a> {
    /// The boards that it boots on; none where nobody promised anything.
    pub boards: &'a [Board],
    /// What is asked of its Nix store, but for what is of this kind.
    pub store: Asked<'a>,
}

/// Judges a disk as an SD card. The ways in which it boots are the boards that find what they want.
pub fn verify(disk: &Disk, promise: Promise<'_>, out: &mut Recorder) -> Judged {
    out.announce(CHECKS);
    let mut judge = Judge {
        disk,
        promise,
        out,
        missing: BTreeMap::new(),
        programs: BTreeMap::new(),
        initrds: BTreeMap::new(),
        trees: BTreeMap::new(),
        initrd_budget: initrd::Budget::default(),
        efi: BTreeSet::new(),
        lines: BTreeSet::new(),
        entries: Vec::new(),
    };
    judge.u_boot();
    judge.uefi();
    judge.firmware();
    let boots = judge.boards();
    let stores = judge.first_boot();
    judge.leaks();
    Judged { boots, stores }
}

/// A file of one of the volumes.
type FileId = (u32, NodeId);

/// One image, and what was learned about it so far.
struct Judge<'a, 'o> {
    disk: &'a Disk,
    promise: Promise<'a>,
    out: &'o mut Recorder,
    /// What each board that was looked at lacks.
    missing: BTreeMap<Board, Vec<String>>,
    /// Kernels, initramfs, device trees and programs for UEFI that were judged.
    programs: BTreeMap<FileId, Option<kernel::Program>>,
    initrds: BTreeMap<FileId, Rc<Initrd>>,
    trees: BTreeMap<FileId, Vec<String>>,
    /// What the initramfs that are still to come may cost.
    initrd_budget: initrd::Budget,
    efi: BTreeSet<FileId>,
    /// Command lines that were judged, each with the partition it comes from.
    lines: BTreeSet<(u32, String)>,
    /// What these lines start, each with the partition it is on.
    entries: Vec<(u32, Entry)>,
}

/// A partition with a file system that can be read.
type Place<'a> = (&'a Partition, &'a Volume);

impl<'a> Judge<'a, '_> {
    fn expect(
        &mut self,
        check: &'static Check,
        holds: bool,
        at: impl FnOnce() -> Location,
        message: impl FnOnce() -> String,
    ) -> bool {
        self.out.expect(check, holds, || (at(), message()))
    }

    /// True if the image has to boot on this board.
    fn promised(&self, board: Board) -> bool {
        self.promise.boards.contains(&board)
    }

    /// Notes that a board lacks something.
    fn lacks(&mut self, board: Board, what: impl Into<String>) {
        self.missing.entry(board).or_default().push(what.into());
    }

    /// The verdict over all boards.
    fn boards(&mut self) -> Vec<String> {
        let at = || raw_at("disk", 0, 0);
        let missing = std::mem::take(&mut self.missing);
        let all = || Board::ALL.iter().map(|board| (*board, missing.get(board)));
        for (board, missing) in all() {
            let check = if self.promised(board) { &PROMISED_BOARD } else { &BOARD };
            let holds = missing.is_none_or(Vec::is_empty);
            self.expect(check, holds, at, || {
                let list = missing.map(|list| list.join("; ")).unwrap_or_default();
                format!("{board} does not boot: {list}")
            });
        }
        if self.promise.boards.is_empty() {
            let any = all().any(|(_, missing)| missing.is_none_or(Vec::is_empty));
            let count = self.disk.volumes().count();
            // Who promised nothing is not asked for proof.
            self.expect(&BOOTABLE, any || self.disk.has_unread(), at, || {
                format!("no board boots: nothing to start in the {count} file systems")
            });
        }
        let boots = all().filter(|(_, missing)| missing.is_none_or(Vec::is_empty));
        boots.map(|(board, _)| board.to_string()).collect()
    }

    /// Judges what is to be started, once.
    fn program(
        &mut self,
        check: &'static Check,
        (partition, volume): Place<'a>,
        id: NodeId,
    ) -> Option<kernel::Program> {
        let file = (partition.number, id);
        if let Some(known) = self.programs.get(&file) {
            return *known;
        }
        let found = kernel::program(Processor::Aarch64, volume, id);
        self.expect(
            check,
            found.is_ok(),
            || volume.tree.location(id),
            || {
                let what = found.as_ref().err().cloned().unwrap_or_default();
                format!("{what}, not an AArch64 kernel or boot loader")
            },
        );
        let found = found.ok();
        self.programs.insert(file, found);
        found
    }

    /// Judges what is unpacked into one initramfs: Linux takes several files for a single one.
    fn initramfs(&mut self, files: &[(Place<'a>, NodeId)]) -> Vec<Rc<Initrd>> {
        let listed: Vec<_> =
            files.iter().filter_map(|(place, id)| self.initrd(*place, *id)).collect();
        if let Some(((_, volume), id)) = files.last().filter(|_| listed.len() == files.len()) {
            self.initrd_init(&listed, || volume.tree.location(*id));
        }
        listed
    }

    /// Judges a file for an initramfs, once.
    fn initrd(&mut self, (partition, volume): Place<'a>, id: NodeId) -> Option<Rc<Initrd>> {
        let file = (partition.number, id);
        if let Some(known) = self.initrds.get(&file) {
            return Some(Rc::clone(known));
        }
        let at = || volume.tree.location(id);
        let opened = volume.open(id);
        let error = opened.as_ref().err().map(ToString::to_string);
        if !self.expect(&INITRD, error.is_none(), at, || error.clone().unwrap_or_default()) {
            return None;
        }
        let listed = Rc::new(initrd::list(opened.ok()?, &mut self.initrd_budget));
        self.judge_initrd(&listed, at);
        self.initrds.insert(file, Rc::clone(&listed));
        Some(listed)
    }

    fn judge_initrd(&mut self, listed: &Initrd, at: impl Fn() -> Location) {
        let broken = listed.broken.clone();
        self.expect(&INITRD, broken.is_none(), &at, || broken.unwrap_or_default());
        let unknown = listed.unknown.map(str::to_owned).or_else(|| listed.limit.clone());
        self.expect(&INITRD_COMPRESSION, unknown.is_none(), &at, || {
            format!("{}, which is not looked into", unknown.unwrap_or_default())
        });
    }

    fn initrd_init(&mut self, initrds: &[Rc<Initrd>], at: impl FnOnce() -> Location) {
        let Some(problem) = initrd::init(initrds) else { return };
        self.expect(&INITRD_INIT, problem.is_ok(), at, || {
            problem.err().unwrap_or_default().to_owned()
        });
    }

    /// Judges a device tree, once, and gives its root's `compatible`.
    fn device_tree(&mut self, (partition, volume): Place<'a>, id: NodeId) -> Vec<String> {
        let file = (partition.number, id);
        if let Some(known) = self.trees.get(&file) {
            return known.clone();
        }
        let found = kernel::device_tree(volume, id);
        self.expect(
            &DEVICE_TREE,
            found.is_ok(),
            || volume.tree.location(id),
            || found.as_ref().err().cloned().unwrap_or_default(),
        );
        let compatible = found.unwrap_or_default();
        self.trees.insert(file, compatible.clone());
        compatible
    }

    /// The text of a configuration file; a finding of `check` where it cannot be read.
    fn text(
        &mut self,
        check: &'static Check,
        (_, volume): Place<'a>,
        id: NodeId,
    ) -> Option<String> {
        let content = volume.content(id, MAX_TEXT);
        self.expect(
            check,
            content.is_ok(),
            || volume.tree.location(id),
            || content.as_ref().err().map(ToString::to_string).unwrap_or_default(),
        );
        content.ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}
