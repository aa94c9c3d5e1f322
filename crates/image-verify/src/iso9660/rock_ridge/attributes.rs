//! What the entries of a record say of a file.

use image_formats::{
    iso9660::Moment,
    susp::{
        Entry, MAX_TARGET, Name, NameFault, Target, TargetFault,
        raw::{Header, Px, Rr, Tf},
    },
};

/// What Rock Ridge says of a file.
#[derive(Debug, Default)]
pub(in super::super) struct Attributes {
    /// Its name, where there is one that a file can have.
    pub(in super::super) name: Option<Vec<u8>>,
    /// Mode and owner.
    pub(in super::super) posix: Option<Posix>,
    /// Where a symlink leads to.
    pub(in super::super) target: Option<Vec<u8>>,
    /// When its content was changed, in seconds since 1970.
    pub(in super::super) modified: Option<i64>,
    /// It is a directory that is elsewhere: at this block.
    pub(in super::super) child_link: Option<u32>,
    /// It is a directory that belongs elsewhere.
    pub(in super::super) relocated: bool,
    /// Its bytes once they are not compressed.
    pub(in super::super) uncompressed: Option<u32>,
    pub(super) parent_link: Option<u32>,
    pub(super) device: bool,
}

/// Mode and owner of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Posix {
    /// Type and permissions.
    pub(in super::super) mode: u32,
    pub(super) links: u32,
    pub(in super::super) uid: u32,
    pub(in super::super) gid: u32,
    /// Files with the same number are the same. Old writers do not have it.
    pub(super) serial: Option<u32>,
}

impl Posix {
    /// The bits of the mode that say what a file is.
    const TYPE: u32 = 0o170_000;
    pub(in super::super) const FIFO: u32 = 0o010_000;
    pub(in super::super) const CHARACTER: u32 = 0o020_000;
    pub(in super::super) const DIRECTORY: u32 = 0o040_000;
    pub(in super::super) const BLOCK: u32 = 0o060_000;
    pub(in super::super) const REGULAR: u32 = 0o100_000;
    pub(in super::super) const SYMLINK: u32 = 0o120_000;
    pub(in super::super) const SOCKET: u32 = 0o140_000;

    /// What the file is.
    pub(in super::super) fn file_type(&self) -> u32 {
        self.mode & Self::TYPE
    }
}

/// What the entries that were read so far say.
#[derive(Default)]
pub(super) struct Found {
    pub(super) attributes: Attributes,
    pub(super) name: Name,
    pub(super) target: Target,
    /// Bits of [`Rr::KINDS`] that there are.
    pub(super) kinds: u8,
    /// Bits that `RR` has.
    pub(super) rr: Option<u8>,
    /// Some entries could not be read, which was told: what is not there may be in them.
    pub(super) cut: bool,
}

/// What is wrong with something that is in several entries.
pub(super) enum PieceFault {
    Name(NameFault),
    Target(TargetFault),
}

impl Found {
    /// Notes what an entry says; the last one counts, as in Linux.
    pub(super) fn note(&mut self, entry: &Entry<'_>, mut fault: impl FnMut(PieceFault)) {
        let attributes = &mut self.attributes;
        if let Some((Px { mode, links, uid, gid }, serial)) = entry.px() {
            attributes.posix = Some(Posix {
                mode: mode.get(),
                links: links.get(),
                uid: uid.get(),
                gid: gid.get(),
                serial: serial.map(|serial| serial.serial.get()),
            });
        }
        attributes.device |= entry.pn().is_some();
        attributes.child_link = entry.cl().map(|link| link.block.get()).or(attributes.child_link);
        attributes.parent_link = entry.pl().map(|link| link.block.get()).or(attributes.parent_link);
        attributes.relocated |= entry.header.signature == Header::RE;
        let times = entry.tf();
        let modified = times.and_then(|times| times.get(Tf::MODIFY)).and_then(Moment::seconds);
        attributes.modified = modified.or(attributes.modified);
        attributes.uncompressed = entry.zf().map(|zf| zf.size.get()).or(attributes.uncompressed);
        self.rr = entry.rr().map(|rr| rr.flags).or(self.rr);
        let kind = Rr::KINDS.iter().position(|kind| *kind == entry.header.signature);
        self.kinds |= kind.map_or(0, |bit| 1 << bit);
        self.name.piece(entry, |found| fault(PieceFault::Name(found)));
        self.target.piece(entry, |found| fault(PieceFault::Target(found)));
    }

    pub(super) fn is_symlink(&self) -> bool {
        self.attributes.posix.is_some_and(|posix| posix.file_type() == Posix::SYMLINK)
    }

    /// What all of it says: of a name or a target that is none, nothing.
    pub(super) fn finish(mut self) -> Attributes {
        let is_symlink = self.is_symlink();
        let Self { name, target, .. } = self;
        let named = name.pieces > 0 && is_name(&name.text);
        self.attributes.name = named.then_some(name.text);
        let leads = is_symlink && is_target(&target);
        self.attributes.target = leads.then_some(target.text);
        self.attributes
    }
}

/// True for the name of a file.
pub(super) fn is_name(text: &[u8]) -> bool {
    !matches!(text, b"" | b"." | b"..") && !text.iter().any(|byte| matches!(byte, b'/' | 0))
}

/// True for a path that Linux can follow.
pub(super) fn is_target(target: &Target) -> bool {
    (1..=MAX_TARGET).contains(&target.len) && !target.text.contains(&0)
}
