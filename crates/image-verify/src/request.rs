//! What is asked, and what it may cost.

use std::{collections::BTreeMap, io, sync::Arc};

use image_formats::{
    bytes::{ReadAt, ReadError},
    nix::PublicKey,
};
use image_model::{Board, Boot, ImageKind, Manifest, NarHash, Waiver};

use crate::opened::Tell;

/// What an image may cost. What exceeds a limit is a finding, and reading stops.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most raw bytes.
    pub raw_len: u64,
    /// Up to so many raw bytes of an archive the ratio does not matter.
    pub unchecked_raw_len: u64,
    /// Up to so many raw bytes of a disk the ratio does not matter: a new card is mostly zeros.
    pub unchecked_disk_len: u64,
    /// The most raw bytes for each byte of the file.
    pub ratio: u64,
    /// The most members.
    pub members: u64,
    /// The most bytes in all paths together.
    pub names_len: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            raw_len: 64 << 30,
            unchecked_raw_len: 1 << 30,
            unchecked_disk_len: 4 << 30,
            ratio: 200,
            members: 1 << 21,
            names_len: 256 << 20,
        }
    }
}

/// How far the judging is. No number gets less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the file that were read.
    pub read: u64,
    /// All bytes of the file.
    pub total: u64,
    /// Raw bytes that came out of them.
    pub raw: u64,
    /// Bytes of files in Nix stores that were hashed: of a disk or a disc that is not compressed,
    /// while it is read; else after that.
    pub proven: u64,
    /// All of them, in the stores that were found so far.
    pub to_prove: u64,
}

impl Progress {
    /// What is under way, as bytes done and bytes in all: the reading, and when all was read, the
    /// proof of what is in stores.
    pub fn under_way(&self) -> (UnderWay, u64, u64) {
        if self.read == self.total && self.to_prove > 0 {
            (UnderWay::Proof, self.proven, self.to_prove)
        } else {
            (UnderWay::Reading, self.read, self.total)
        }
    }
}

/// What takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnderWay {
    /// The file is read.
    Reading,
    /// All of it was read, and the contents of its Nix stores are hashed.
    Proof,
}

/// What an image is expected to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expected {
    /// An archive is for WSL, a disk with a partition table for a board, a disc to boot from where
    /// there is something to boot, qcow2 for a virtual machine, VHD for Amazon.
    #[default]
    Guess,
    /// An image for this.
    Kind(ImageKind),
    /// Whatever it is for: only its format is judged.
    AnyKind,
    /// Whatever it is: only what is around the raw bytes is judged.
    AnyImage,
}

/// Where the raw bytes of a compressed disk go: its structures refer to each other in all
/// directions, so they cannot be judged as they pass by. Of a compressed archive, the files of its
/// Nix store go there: they are read in the order of their names, and by all processors.
pub trait Scratch: io::Write {
    /// All that was written.
    fn finish(&mut self) -> io::Result<Arc<dyn ReadAt>>;
}

/// In memory: for small images.
impl Scratch for Vec<u8> {
    fn finish(&mut self) -> io::Result<Arc<dyn ReadAt>> {
        Ok(Arc::new(std::mem::take(self)))
    }
}

/// What is known of a store path beside what the image says: by the Nix that built it, or by its
/// manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathSignatures {
    /// The NAR that it is known of. If that is another one than the image registers, nothing is
    /// known.
    pub nar_hash: NarHash,
    /// Signatures, as Nix writes them: the name of a key, `:`, and base64.
    pub signatures: Vec<String>,
    /// Who is asked built it, and did not fetch it.
    pub built_here: bool,
}

/// Tells what it knows of those store paths of which it knows anything. It is asked once for each
/// store.
pub type AskSignatures<'a> = dyn Fn(&[&str]) -> BTreeMap<String, PathSignatures> + Sync + 'a;

/// What to judge, and how.
pub struct Request<'a> {
    /// What the image is expected to be.
    pub expected: Expected,
    /// Name of the file, for the rules about names.
    pub file_name: Option<&'a str>,
    /// The system that the image is for, in Nix's words, where somebody said so.
    pub system: Option<&'a str>,
    /// The boards that the image promises to boot on; none where nobody promised anything.
    pub boards: &'a [Board],
    /// The ways in which a disc promises to boot; none where nobody promised anything.
    pub boots: &'a [Boot],
    /// Checks that may fail.
    pub waivers: &'a [Waiver],
    /// Whose signatures of store paths count.
    pub trusted_keys: &'a [PublicKey],
    /// Knows of signatures that are not in the image.
    pub signatures: &'a AskSignatures<'a>,
    /// The manifest that the image has to be as.
    pub manifest: Option<&'a Manifest>,
    /// What the image may cost.
    pub limits: Limits,
    /// Gets every raw byte.
    pub raw_sink: Option<&'a mut dyn io::Write>,
    /// Gets every raw byte of a disk that is compressed, and of everything where
    /// [`Expected::AnyImage`] is asked for; of a compressed archive, the files of its Nix store.
    pub scratch: Option<&'a mut dyn Scratch>,
    /// Is shown what was opened of a disk, a disc, or an archive whose contents are kept, after all
    /// of it was judged and while its raw bytes are there: for who would have to open it again. It
    /// is not called where nothing could be opened.
    pub opened: Option<&'a Tell<'a>>,
    /// Is told how far the reading is, and the proof of stores, some thousand times a gigabyte.
    pub progress: &'a (dyn Fn(Progress) + Sync),
}

impl Default for Request<'_> {
    fn default() -> Self {
        Self {
            expected: Expected::default(),
            file_name: None,
            system: None,
            boards: &[],
            boots: &[],
            waivers: &[],
            trusted_keys: &[],
            signatures: &|_| BTreeMap::new(),
            manifest: None,
            limits: Limits::default(),
            raw_sink: None,
            scratch: None,
            opened: None,
            progress: &|_| {},
        }
    }
}

/// The machine failed. The image is not at fault.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The file cannot be read.
    #[error("image: cannot read {len} bytes at {offset:#x}")]
    Read {
        /// Where.
        offset: u64,
        /// How many.
        len: u64,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The raw bytes cannot be written.
    #[error("cannot write the raw bytes of the image")]
    Sink(#[source] io::Error),
    /// The raw bytes cannot be read where they were written.
    #[error("cannot read the raw bytes of the image")]
    Raw(#[source] ReadError),
    /// A compressed disk, and no place for its raw bytes.
    #[error("a compressed disk cannot be judged without a place for its raw bytes")]
    NoScratch,
}
