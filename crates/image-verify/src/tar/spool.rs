//! Contents of an archive that are asked for again when it has passed: those of a Nix store, and of
//! what says what is in it.
//!
//! Raw bytes that are the file itself are read there. Those of a compressed archive go by, so these
//! contents, and nothing else, are written to where there is room. An archive without a store
//! writes nothing.

use std::io::{self, BufRead, Write as _};

use image_formats::{
    bytes::Region,
    tar::{Kind, Member},
};

use super::volume::{Lies, TarFiles};
use crate::{
    Scratch,
    names::plain,
    tree::{MAX_NODES, MAX_PATH},
};

/// Directories whose files are kept.
const KEPT: [&[u8]; 2] = [b"nix/store/", b"nix/var/nix/db/"];

/// A file that is kept.
const REGISTRATION: &[u8] = b"nix-path-registration";

/// How much is written at once: most files of a store are small.
const BUFFER: usize = 256 << 10;

/// Where contents go while an archive passes.
pub(crate) enum Spool<'a> {
    /// Nowhere: there is no place for them, or nobody asks.
    Nowhere,
    /// They stay where they lie: all raw bytes can be read again. Members that are stored without
    /// their holes are noted.
    InPlace(Region, Vec<u64>),
    /// Into a file.
    File(SpoolFile<'a>),
}

/// Where contents of a compressed archive are written.
pub(crate) struct SpoolFile<'a> {
    scratch: io::BufWriter<&'a mut dyn Scratch>,
    /// For each content, the header of its member and where it starts; both rise.
    starts: Vec<(u64, u64)>,
    len: u64,
}

impl<'a> Spool<'a> {
    /// Into `scratch`, where something is to be kept.
    pub(crate) fn into_scratch(scratch: &'a mut dyn Scratch) -> Self {
        let scratch = io::BufWriter::with_capacity(BUFFER, scratch);
        Self::File(SpoolFile { scratch, starts: Vec::new(), len: 0 })
    }

    /// Starts a member. True if its content is kept: all of it is to be [given](Self::write).
    pub(super) fn member(&mut self, member: &Member) -> bool {
        let offset = member.header_offset.0;
        match self {
            Self::Nowhere => false,
            Self::InPlace(_, sparse) => {
                if member.sparse.is_some() && sparse.len() < MAX_NODES {
                    sparse.push(offset);
                }
                false
            }
            Self::File(file) => {
                let kept = is_kept(member) && file.starts.len() < MAX_NODES;
                if kept {
                    file.starts.push((offset, file.len));
                }
                kept
            }
        }
    }

    /// Takes a piece of a content. An error is that of the scratch.
    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        if let Self::File(file) = self {
            file.scratch.write_all(piece)?;
            file.len += piece.len() as u64;
        }
        Ok(())
    }

    /// What has the contents now; `None` where nobody does.
    pub(crate) fn finish(self) -> io::Result<Option<TarFiles>> {
        Ok(match self {
            Self::Nowhere => None,
            Self::InPlace(region, sparse) => Some(TarFiles::new(region, Lies::Behind { sparse })),
            Self::File(SpoolFile { mut scratch, starts, len }) => {
                let region = if len == 0 {
                    Region::from(Vec::new())
                } else {
                    scratch.flush()?;
                    Region::whole(scratch.get_mut().finish()?)?
                };
                Some(TarFiles::new(region, Lies::Spooled(starts)))
            }
        })
    }
}

/// Reads the first `wanted` bytes of a content, or all of a shorter one, into `content`; and all of
/// it into `spool` where that keeps it.
pub(super) fn read_content(
    reader: &mut impl BufRead,
    wanted: u64,
    content: &mut Vec<u8>,
    mut spool: Option<&mut Spool<'_>>,
) -> io::Result<()> {
    content.clear();
    loop {
        let missing = wanted - content.len() as u64;
        if missing == 0 && spool.is_none() {
            return Ok(());
        }
        let piece = reader.fill_buf()?;
        if piece.is_empty() {
            return Ok(());
        }
        let len = match &mut spool {
            Some(spool) => {
                spool.write(piece)?;
                piece.len()
            }
            None => missing.min(piece.len() as u64) as usize,
        };
        content.extend(piece.iter().take(missing as usize));
        reader.consume(len);
    }
}

/// True if the content of a member is asked for when the archive has passed.
fn is_kept(member: &Member) -> bool {
    let is_file = matches!(member.kind, Kind::File | Kind::Other(_));
    if !is_file || member.sparse.is_some() || member.size == 0 || member.path.len() > MAX_PATH {
        return false;
    }
    let path = plain(&member.path);
    path == REGISTRATION || KEPT.iter().any(|directory| path.starts_with(directory))
}

#[cfg(test)]
mod tests {
    use image_formats::tar::{Item, Reader};

    use super::*;
    use crate::{
        tree::Tree,
        volume::{ContentError, Trouble, Volume},
    };

    /// A place that tells whether anybody wrote to it, and that may be full.
    #[derive(Default)]
    struct Place {
        bytes: Vec<u8>,
        room: usize,
        asked: bool,
    }

    impl io::Write for Place {
        fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
            self.asked = true;
            if self.bytes.len() + piece.len() > self.room {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.bytes.write(piece)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Scratch for Place {
        fn finish(&mut self) -> io::Result<std::sync::Arc<dyn image_formats::bytes::ReadAt>> {
            self.asked = true;
            Scratch::finish(&mut self.bytes)
        }
    }

    fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, content) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o444);
            if let Some(target) = content.strip_prefix(b"->") {
                header.set_size(0);
                header.set_entry_type(tar::EntryType::Link);
                let target = std::str::from_utf8(target).unwrap();
                archive.append_link(&mut header, path, target).unwrap();
            } else {
                archive.append_data(&mut header, path, *content).unwrap();
            }
        }
        archive.into_inner().unwrap()
    }

    /// Lets an archive pass, as who judges it does.
    fn pass(archive: &[u8], mut spool: Spool<'_>) -> io::Result<Option<Volume>> {
        let mut tree = Tree::default();
        let mut reader = Reader::new(archive);
        let mut content = Vec::new();
        while let Some(item) = reader.next_item()? {
            if let Item::Member(member) = item {
                let wanted = tree.add(&member);
                let kept = spool.member(&member).then_some(&mut spool);
                read_content(&mut reader, wanted, &mut content, kept)?;
                assert!(content.len() as u64 == wanted);
            }
        }
        let files = spool.finish()?;
        Ok(files.map(|files| files.volume(tree, Trouble::default())))
    }

    fn read(volume: &Volume, path: &str) -> Result<Vec<u8>, ContentError> {
        let id = volume.find_file(path.as_bytes()).unwrap();
        let mut content = Vec::new();
        let mut reader = volume.files.contents().reader();
        reader.read(&volume.tree, id, &mut |piece| content.extend(piece))?;
        Ok(content)
    }

    #[test]
    fn what_a_store_has_is_read_after_it_has_passed() {
        let large: Vec<u8> = (0..1_000_000_u32).map(|at| (at / 5) as u8).collect();
        let bytes = archive(&[
            ("etc/hostname", b"nixos"),
            ("./nix/store/a/large", &large),
            ("nix/store/a/twice", b"old"),
            ("nix/store/a/empty", b""),
            ("nix/var/nix/db/db.sqlite", b"SQLite"),
            ("nix/store/a/twice", b"newer"),
            ("nix/store/a/link", b"->nix/store/a/large"),
            ("nix/storeless", b"no"),
            ("nix-path-registration", b"paths"),
        ]);
        let mut place = Place { room: usize::MAX, ..Place::default() };
        let volume = pass(&bytes, Spool::into_scratch(&mut place)).unwrap().unwrap();
        let in_place = Spool::InPlace(Region::from(bytes.clone()), Vec::new());
        let lying = pass(&bytes, in_place).unwrap().unwrap();
        for (path, content) in [
            ("/nix/store/a/large", &large[..]),
            ("/nix/store/a/link", &large),
            ("/nix/store/a/twice", b"newer"),
            ("/nix/store/a/empty", b""),
            ("/nix/var/nix/db/db.sqlite", b"SQLite"),
            ("/nix-path-registration", b"paths"),
        ] {
            assert!(read(&volume, path).unwrap() == content, "{path}");
            assert!(read(&lying, path).unwrap() == content, "{path}");
        }
        assert_eq!(read(&lying, "/etc/hostname").unwrap(), b"nixos");
        for path in ["/etc/hostname", "/nix/storeless"] {
            let error = read(&volume, path).unwrap_err();
            assert!(matches!(error, ContentError::Broken(cause) if
                cause.to_string() == "not kept while the archive passed"));
        }
        assert!(pass(&bytes, Spool::Nowhere).unwrap().is_none());
    }

    #[test]
    fn an_archive_without_a_store_writes_nothing() {
        let bytes = archive(&[("etc/hostname", b"nixos"), ("nix/store/empty", b"")]);
        let mut place = Place::default();
        let volume = pass(&bytes, Spool::into_scratch(&mut place)).unwrap().unwrap();
        assert_eq!(read(&volume, "/nix/store/empty").unwrap(), b"");
        assert!(!place.asked);
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let bytes = archive(&[("nix/store/a", &[1; 3 * BUFFER])]);
        let mut place = Place { room: BUFFER, ..Place::default() };
        let error = pass(&bytes, Spool::into_scratch(&mut place)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        // What was small enough to wait is written at the end.
        let bytes = archive(&[("nix/store/a", b"a")]);
        let error = pass(&bytes, Spool::into_scratch(&mut Place::default())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    /// The reader does not know what they hold.
    #[test]
    fn a_file_without_its_holes_is_refused() {
        let mut bytes = archive(&[("nix/store/sparse", &[7; 512])]);
        bytes[156] = b'S';
        bytes[483..495].copy_from_slice(b"00000010000\0");
        let sum: u32 = bytes[..148].iter().chain(&bytes[156..512]).map(|b| u32::from(*b)).sum();
        bytes[148..156].copy_from_slice(format!("{:06o}\0 ", sum + 8 * 32).as_bytes());
        let mut place = Place::default();
        let volume = pass(&bytes, Spool::into_scratch(&mut place)).unwrap().unwrap();
        assert!(read(&volume, "/nix/store/sparse").is_err());
        let in_place = Spool::InPlace(Region::from(bytes.clone()), Vec::new());
        assert!(read(&pass(&bytes, in_place).unwrap().unwrap(), "/nix/store/sparse").is_err());
        let opened = crate::tar::open(&Region::from(bytes), &Trouble::default()).unwrap();
        assert!(read(&opened, "/nix/store/sparse").is_err());
    }
}
