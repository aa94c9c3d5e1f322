//! Discs: the file system, what firmware is told to boot from it, and what a machine sees that
//! takes the same bytes for a disk.

use std::{collections::BTreeMap, sync::Arc};

use image_formats::{
    bytes::{ReadAt, ReadError, Region},
    units::ByteOffset,
};

use crate::{
    Recorder, el_torito,
    el_torito::{BootImage, Fats},
    hybrid::{self, Stick},
    iso9660, squashfs,
    tree::{Kind, NodeId, Tree},
    volume::{Trouble, Volume},
};

/// How many SquashFS of a disc are judged: installers of others have about twenty. Each is open
/// until all is judged, in the memory that there is for all of them.
const MAX_SQUASHFS: usize = 64;

/// A disc, as far as it could be read.
#[derive(Debug)]
pub struct Disc {
    /// All of its bytes.
    pub bytes: Region,
    /// Its files, where its structure was found safe to follow.
    pub volume: Option<Volume>,
    /// What firmware is told to boot from a disc, in the order of the boot catalog.
    pub boot: Vec<BootImage>,
    /// What firmware sees that takes the disc for a disk, because it was copied to one.
    pub stick: Stick,
    /// The file systems in files of it, each with the file.
    pub squashfs: Vec<(NodeId, Volume)>,
    trouble: Trouble,
}

impl Disc {
    /// A disc of parts that somebody else opened.
    pub fn new(bytes: Region, volume: Option<Volume>, boot: Vec<BootImage>, stick: Stick) -> Self {
        let (squashfs, trouble) = (Vec::new(), Trouble::default());
        Self { bytes, volume, boot, stick, squashfs, trouble }
    }

    /// The failure of the machine that a reader of files met, if it met one.
    pub(crate) fn trouble(&self) -> Result<(), ReadError> {
        self.trouble.take()
    }
}

/// Judges a disc, but for the file systems in its files. An error is the machine's.
pub fn verify_outside(bytes: &Arc<dyn ReadAt>, out: &mut Recorder) -> Result<Disc, ReadError> {
    let bytes = Region::whole(Arc::clone(bytes)).map_err(|cause| ReadError {
        what: "disc",
        at: ByteOffset(0),
        len: 0,
        cause: cause.into(),
    })?;
    let trouble = Trouble::default();
    let volume = iso9660::verify(&bytes, "disc", &trouble, out)?;
    let mut fats = Fats::new(&trouble);
    let boot = el_torito::verify(&bytes, volume.as_ref(), &mut fats, out)?;
    let stick = hybrid::verify(&bytes, volume.as_ref(), &boot, &mut fats, out)?;
    Ok(Disc { bytes, volume, boot, stick, squashfs: Vec::new(), trouble })
}

/// Judges a disc. An error is the machine's.
pub fn verify(bytes: &Arc<dyn ReadAt>, out: &mut Recorder) -> Result<Disc, ReadError> {
    let mut disc = verify_outside(bytes, out)?;
    if let Some(volume) = &disc.volume {
        // Where those lie that were judged, by their ends: one that has several names, or shares
        // bytes with another one, which is a finding of its own, is judged once.
        let mut judged = BTreeMap::new();
        let mut memory = squashfs::Memory::default();
        for id in volume.tree.below(Tree::ROOT) {
            let Some(region) = nested(volume, id)? else { continue };
            let (start, end) = (region.start().0, region.absolute(region.len()).0);
            let next = judged.range(start.saturating_add(1)..).next();
            if next.is_some_and(|(_, other)| *other < end) {
                continue;
            }
            let name = crate::tree::display(&volume.tree.path(id));
            let place = || (volume.tree.location(id), format!("more than {MAX_SQUASHFS} of them"));
            if !out.expect(&squashfs::LIMITS, judged.len() < MAX_SQUASHFS, place) {
                break;
            }
            judged.insert(end, start);
            let inner = squashfs::verify_within(&region, &name, &mut memory, &disc.trouble, out)?;
            disc.squashfs.extend(inner.map(|inner| (id, inner)));
        }
    }
    Ok(disc)
}

/// The bytes of a file that is a file system: SquashFS names itself in its first bytes.
fn nested(volume: &Volume, id: NodeId) -> Result<Option<Region>, ReadError> {
    let is_file = matches!(volume.tree.node(id).kind, Kind::File(_));
    let Some(region) = volume.region(id).filter(|_| is_file) else { return Ok(None) };
    match region.array::<4>("first bytes", 0) {
        Ok(magic) => Ok((magic == *b"hsqs").then_some(region)),
        Err(error) if error.is_defect() => Ok(None),
        Err(error) => Err(error),
    }
}
