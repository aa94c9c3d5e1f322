//! Kernels, and the archives for their initramfs.

use std::rc::Rc;

use image_model::Location;

use super::{COMMAND_LINE_LENGTH, INITRD, INITRD_COMPRESSION, INITRD_INIT, Judge, KERNEL, Place};
use crate::{
    kind::boot::{
        Processor,
        initrd::{self, Initrd},
        kernel,
    },
    tree::NodeId,
};

/// How much of a kernel tells what it is.
const HEAD: u64 = 64 << 10;

/// How a script for iPXE starts, which takes it as an initramfs.
const SCRIPT: &[u8] = b"#!ipxe";

/// A kernel that can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kernel {
    pub(super) processor: Processor,
    /// It runs programs of 64 bits.
    pub(super) wide: bool,
    /// The longest command line that it takes, where it says so.
    pub(super) cmdline_size: Option<u32>,
}

/// What a boot loader starts.
pub(super) struct Start<'a, 's> {
    pub(super) kernel: (Place<'a>, NodeId),
    pub(super) initrds: Vec<(Place<'a>, NodeId)>,
    pub(super) line: String,
    /// For one of these it has to be.
    pub(super) processors: &'s [Processor],
    /// Who says so.
    pub(super) at: Location,
    /// All of the command line and of the initramfs is known.
    pub(super) complete: bool,
    /// It is started as a BIOS does it.
    pub(super) bios: bool,
}

impl<'a> Judge<'a, '_> {
    /// Judges what is started. The processor of the kernel, if it is one.
    pub(super) fn start(&mut self, start: &Start<'a, '_>) -> Option<Processor> {
        let (place, id) = start.kernel;
        if start.bios {
            let head = place.1.head(id, HEAD).unwrap_or_default();
            if kernel::is_boot_sector(&head, place.1.tree.node(id).size) {
                // No Linux: what it is given is its own affair.
                return Some(Processor::X86_64);
            }
        }
        let kernel = self.kernel(place, id, start.processors);
        let initrds = self.initramfs(&start.initrds);
        let kernel = kernel?;
        if let Some(size) = kernel.cmdline_size {
            let len = start.line.len();
            self.expect(
                &COMMAND_LINE_LENGTH,
                len as u64 <= u64::from(size),
                || start.at.clone(),
                || format!("{len} bytes; the kernel takes {size} and ignores the rest"),
            );
        }
        let known = initrds.len() == start.initrds.len() && start.complete;
        self.command_line(&start.at, &start.line, kernel, &initrds, known);
        Some(kernel.processor)
    }

    /// Judges a kernel, once. It has to be for one of these processors.
    pub(super) fn kernel(
        &mut self,
        (number, volume): Place<'a>,
        id: NodeId,
        processors: &[Processor],
    ) -> Option<Kernel> {
        if let Some(known) = self.kernels.get(&(number, id)) {
            return *known;
        }
        let mut found = Err(String::new());
        for processor in processors {
            let is = kernel::program(*processor, volume, id).map(|_| *processor);
            found = match (found, is) {
                (Err(why), Err(_)) if !why.is_empty() => Err(why),
                (_, is) => is,
            };
            if found.is_ok() {
                break;
            }
        }
        self.expect(
            &KERNEL,
            found.is_ok(),
            || volume.tree.location(id),
            || {
                let names: Vec<_> = processors.iter().map(ToString::to_string).collect();
                let what = found.clone().err().unwrap_or_default();
                format!("{what}; it has to be a kernel for {}", names.join(" or "))
            },
        );
        let found = found.ok().map(|processor| {
            let head = volume.head(id, HEAD).unwrap_or_default();
            let header = kernel::x86_kernel(&head, volume.tree.node(id).size);
            let header = header.ok().filter(|_| processor == Processor::X86_64);
            Kernel {
                processor,
                wide: header.as_ref().is_none_or(|header| header.is_64_bit() != Some(false)),
                cmdline_size: header.map(|header| header.cmdline_size()),
            }
        });
        self.kernels.insert((number, id), found);
        found
    }

    /// Judges what is unpacked into one initramfs: Linux takes several files for a single one.
    pub(super) fn initramfs(&mut self, files: &[(Place<'a>, NodeId)]) -> Vec<Rc<Initrd>> {
        let listed: Vec<_> =
            files.iter().filter_map(|(place, id)| self.initrd(*place, *id)).collect();
        if let Some(((_, volume), id)) = files.last().filter(|_| listed.len() == files.len()) {
            self.initrd_init(&listed, || volume.tree.location(*id));
        }
        listed
    }

    /// Judges a file for an initramfs, once. What is something else is not.
    fn initrd(&mut self, (number, volume): Place<'a>, id: NodeId) -> Option<Rc<Initrd>> {
        if let Some(known) = self.initrds.get(&(number, id)) {
            return known.clone();
        }
        let at = || volume.tree.location(id);
        if volume.head(id, SCRIPT.len() as u64).is_ok_and(|head| head == SCRIPT) {
            self.initrds.insert((number, id), None);
            return None;
        }
        let opened = volume.open(id);
        let error = opened.as_ref().err().map(ToString::to_string);
        self.expect(&INITRD, error.is_none(), at, || error.clone().unwrap_or_default());
        let listed = opened.ok().map(|file| Rc::new(initrd::list(file, &mut self.initrd_budget)));
        if let Some(listed) = &listed {
            self.judge_initrd(listed, at);
        }
        self.initrds.insert((number, id), listed.clone());
        listed
    }

    pub(super) fn judge_initrd(&mut self, listed: &Initrd, at: impl Fn() -> Location) {
        let broken = listed.broken.clone();
        self.expect(&INITRD, broken.is_none(), &at, || broken.unwrap_or_default());
        if let Some(limit) = &listed.limit {
            self.limit(&format!("an initramfs has {limit}"));
        }
        let unknown = listed.unknown;
        self.expect(&INITRD_COMPRESSION, unknown.is_none(), &at, || {
            format!("{}, which is not looked into", unknown.unwrap_or_default())
        });
    }

    pub(super) fn initrd_init(&mut self, initrds: &[Rc<Initrd>], at: impl FnOnce() -> Location) {
        let Some(problem) = initrd::init(initrds) else { return };
        self.expect(&INITRD_INIT, problem.is_ok(), at, || {
            problem.err().unwrap_or_default().to_owned()
        });
    }
}
