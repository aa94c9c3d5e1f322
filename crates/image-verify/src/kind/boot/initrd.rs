//! Archives for the initramfs, listed as Linux unpacks them: any number of archives in a row, each
//! as it is or compressed, with zeros between them. Linux, `init/initramfs.c` and
//! Documentation/driver-api/early-userspace/buffer-format.rst.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Read},
    rc::Rc,
};

use image_formats::{
    cpio::{Item, Member, Reader},
    units::ByteOffset,
};

use crate::tree::{Kind, Metadata, Node, NodeId, Tree};

/// The most bytes that come out of one file.
const MAX_OUTPUT: u64 = 1 << 30;

/// The most bytes that come out of all files together.
pub(crate) const MAX_TOTAL: u64 = 8 << 30;

/// The most files that are remembered. All are read.
const MAX_FILES: usize = 1 << 17;

/// How deep folders lie in each other at most.
const MAX_DEPTH: usize = 64;

/// How many archives one file may have: each takes a decoder.
const MAX_ARCHIVES: usize = 1024;

/// The most bytes of a file whose content is kept, and of a target of a symlink.
const MAX_KEPT: u64 = 64 << 10;

/// The most contents that are kept.
const MAX_KEPT_FILES: usize = 64;

/// `IH_MAGIC`, and the length of the header that it starts: U-Boot, `include/image.h`.
pub(crate) const LEGACY_MAGIC: [u8; 4] = [0x27, 0x05, 0x19, 0x56];
const LEGACY_LEN: u64 = 64;

/// Memory that an xz archive may ask for, and the window of zstd as a power of two: as for images.
const XZ_MEMORY: u64 = 128 << 20;
const ZSTD_WINDOW_LOG: u32 = 27;

/// What is in an initramfs.
#[derive(Debug)]
pub(crate) struct Initrd {
    /// Its files.
    pub(crate) tree: Tree,
    /// Content of the files that may say which file system is the root.
    pub(crate) kept: BTreeMap<NodeId, Vec<u8>>,
    /// A compression that is not looked into, from some archive on.
    pub(crate) unknown: Option<&'static str>,
    /// Why it cannot be listed to its end.
    pub(crate) broken: Option<String>,
    /// It has more files than are remembered.
    pub(crate) partial: bool,
}

/// What counts bytes as they are taken.
struct Counted<R> {
    source: R,
    at: u64,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.source.read(buf)?;
        self.at += len as u64;
        Ok(len)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.source.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount as u64;
        self.source.consume(amount);
    }
}

/// How one archive of several starts.
enum Start {
    Cpio,
    Gzip,
    Xz,
    Zstd,
    Other(&'static str),
    End,
    Junk,
}

/// Lists a whole file. Of the bytes that may come out of it, `total` is what is left for others.
pub(crate) fn list(file: impl Read, total: &mut u64) -> Initrd {
    let mut found = Initrd {
        tree: Tree::of_volume("initramfs".to_owned(), 0),
        kept: BTreeMap::new(),
        unknown: None,
        broken: None,
        partial: false,
    };
    let mut source = Counted { source: BufReader::with_capacity(64 << 10, file), at: 0 };
    let limit = MAX_OUTPUT.min(*total);
    let mut left = limit;
    let listed = skip_header(&mut source);
    if let Err(error) = listed.and_then(|()| archives(&mut source, &mut left, &mut found)) {
        let at = ByteOffset(source.at);
        found.broken.get_or_insert_with(|| format!("cannot be read further than {at}: {error}"));
    }
    *total = total.saturating_sub(limit - left);
    found
}

/// Skips the header that U-Boot's `mkimage` puts before an initramfs: U-Boot takes it away.
fn skip_header<R: BufRead>(source: &mut Counted<R>) -> io::Result<()> {
    if source.fill_buf()?.starts_with(&LEGACY_MAGIC) {
        io::copy(&mut source.by_ref().take(LEGACY_LEN), &mut io::sink())?;
    }
    Ok(())
}

fn archives<R: BufRead>(
    source: &mut Counted<R>,
    left: &mut u64,
    found: &mut Initrd,
) -> io::Result<()> {
    for _ in 0..MAX_ARCHIVES {
        let start = start(source)?;
        let at = ByteOffset(source.at);
        let end = match start {
            Start::End if at.0 == 0 => Some("empty".to_owned()),
            Start::End => return Ok(()),
            Start::Junk if at.0 == 0 => Some("of no known format".to_owned()),
            Start::Junk => Some(format!("junk at {at}")),
            Start::Other(what) => {
                found.unknown = Some(what);
                return Ok(());
            }
            Start::Cpio => archive(source.by_ref(), left, found)?,
            Start::Gzip => all(flate2::bufread::GzDecoder::new(source.by_ref()), left, found)?,
            Start::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, 0)?;
                let decoder = liblzma::bufread::XzDecoder::new_stream(source.by_ref(), stream);
                all(decoder, left, found)?
            }
            Start::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(source.by_ref())?.single_frame();
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                all(decoder, left, found)?
            }
        };
        if let Some(why) = end {
            let within = if matches!(start, Start::Cpio | Start::Junk | Start::End) {
                String::new()
            } else {
                format!("in the archive at {at}: ")
            };
            found.broken = Some(format!("{within}{why}"));
            return Ok(());
        }
    }
    found.broken = Some(format!("more than {MAX_ARCHIVES} archives in a row"));
    Ok(())
}

/// Skips zeros, and looks at what follows. A file that is not compressed starts at a multiple of
/// four.
fn start<R: BufRead>(source: &mut Counted<R>) -> io::Result<Start> {
    const MAGICS: &[(&[u8], Start)] = &[
        (&[0x1f, 0x8b], Start::Gzip),
        (b"\xfd7zXZ\0", Start::Xz),
        (&[0x28, 0xb5, 0x2f, 0xfd], Start::Zstd),
        (b"BZh", Start::Other("bzip2")),
        (&[0x5d, 0, 0], Start::Other("lzma")),
        (&[0x89, b'L', b'Z', b'O'], Start::Other("lzo")),
        (&[0x02, 0x21, 0x4c, 0x18], Start::Other("lz4")),
    ];
    loop {
        let bytes = source.fill_buf()?;
        if bytes.is_empty() {
            return Ok(Start::End);
        }
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        if zeros > 0 {
            source.consume(zeros);
            continue;
        }
        if bytes.starts_with(b"0") {
            return Ok(if source.at.is_multiple_of(4) { Start::Cpio } else { Start::Junk });
        }
        // A buffer may end within a magic; its first two bytes, or one, then decide.
        let short = bytes.len().min(6);
        let same = |magic: &[u8]| {
            let len = magic.len().min(short);
            magic[..len] == bytes[..len]
        };
        let known = MAGICS.iter().find(|(magic, _)| same(magic));
        return Ok(match known {
            Some((_, Start::Gzip)) => Start::Gzip,
            Some((_, Start::Xz)) => Start::Xz,
            Some((_, Start::Zstd)) => Start::Zstd,
            Some((_, Start::Other(what))) => Start::Other(what),
            _ => Start::Junk,
        });
    }
}

/// Reads all archives that one decoder gives. Why it ended too early, if it did.
fn all(decoder: impl Read, left: &mut u64, found: &mut Initrd) -> io::Result<Option<String>> {
    let mut source = Counted { source: BufReader::with_capacity(64 << 10, decoder), at: 0 };
    for _ in 0..MAX_ARCHIVES {
        match start(&mut source)? {
            Start::End if source.at == 0 => return Ok(Some("nothing".to_owned())),
            Start::End => return Ok(None),
            Start::Cpio => {
                if let Some(why) = archive(source.by_ref(), left, found)? {
                    return Ok(Some(why));
                }
            }
            _ => return Ok(Some(format!("no cpio archive at {}", ByteOffset(source.at)))),
        }
    }
    Ok(Some(format!("more than {MAX_ARCHIVES} archives in a row")))
}

/// Reads one archive. Why it ended too early, if it did.
fn archive(source: impl Read, left: &mut u64, found: &mut Initrd) -> io::Result<Option<String>> {
    let mut reader = Reader::new(source.take(*left));
    let end = members(&mut reader, found);
    let (limit, read) = (*left, reader.position());
    *left = limit.saturating_sub(read);
    Ok(match end? {
        Some(_) if read >= limit => Some(format!("more than {limit} bytes")),
        Some((at, why)) => Some(format!("{why}, at {}", ByteOffset(at))),
        None => None,
    })
}

/// Where and why an archive ended too early, if it did.
fn members<R: Read>(
    reader: &mut Reader<R>,
    found: &mut Initrd,
) -> io::Result<Option<(u64, &'static str)>> {
    loop {
        match reader.next_item()? {
            Item::Member(member) => add(&member, reader, found)?,
            Item::Trailer => return Ok(None),
            Item::Broken(at, why) => return Ok(Some((at, why))),
        }
    }
}

fn add(member: &Member, content: &mut impl Read, found: &mut Initrd) -> io::Result<()> {
    if found.tree.len() >= MAX_FILES {
        found.partial = true;
        return Ok(());
    }
    let small = u64::from(member.size) <= MAX_KEPT;
    let kind = match member.mode & 0o170_000 {
        0o040_000 => Kind::Directory(BTreeMap::new()),
        0o100_000 => Kind::File(None),
        0o120_000 => {
            let mut target = Vec::new();
            if small {
                content.read_to_end(&mut target)?;
            }
            Kind::Symlink(target.into())
        }
        _ => Kind::Special,
    };
    let is_file = matches!(kind, Kind::File(_));
    let (mode, size) = (member.mode & 0o7777, u64::from(member.size));
    let metadata = |kind, mode, size| Metadata {
        kind,
        mode,
        uid: 0,
        gid: 0,
        mtime: 0,
        size,
        offset: ByteOffset(member.offset),
    };
    let names: Vec<&[u8]> =
        member.name.split(|b| *b == b'/').filter(|name| !matches!(*name, b"" | b".")).collect();
    let Some((name, parents)) = names.split_last() else { return Ok(()) };
    if parents.len() > MAX_DEPTH {
        found.partial = true;
        return Ok(());
    }
    let mut at = found.tree.at(&parents.join(&b'/'));
    if at.is_none() {
        for end in 1..=parents.len() {
            let path = parents[..end].join(&b'/');
            let directory = metadata(Kind::Directory(BTreeMap::new()), 0o755, 0);
            let parent = at.unwrap_or(Tree::ROOT);
            at = found.tree.at(&path);
            at = at.or_else(|| found.tree.add_child(parent, parents[end - 1], directory));
        }
    }
    let Some(at) = at else { return Ok(()) };
    let Some(id) = found.tree.add_child(at, name, metadata(kind, mode, size)) else {
        return Ok(());
    };
    if is_file && small && says_root(name) && found.kept.len() < MAX_KEPT_FILES {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        found.kept.insert(id, bytes);
    }
    Ok(())
}

/// True for the names of files that may say which file system is the root.
fn says_root(name: &[u8]) -> bool {
    name == b"fstab" || name.ends_with(b"-initrd-fstab") || name.ends_with(b"-initrd-fsinfo")
}

impl Initrd {
    /// What the root is mounted from, where a table says so: `/dev/disk/by-label/NIXOS_SD`.
    pub(crate) fn root_device(&self) -> Option<String> {
        self.mounted(&["", "/sysroot"])
    }

    /// True if a table says that the store is in a file system of its own.
    pub(crate) fn mounts_store(&self) -> bool {
        let places = ["/nix", "/nix/store", "/sysroot/nix", "/sysroot/nix/store"];
        self.mounted(&places).is_some()
    }

    /// What is mounted at one of these places.
    pub(crate) fn mounted(&self, places: &[&str]) -> Option<String> {
        self.kept.iter().find_map(|(id, content)| {
            let text = String::from_utf8_lossy(content);
            let is_here = |path: &str| places.contains(&path.trim_end_matches('/'));
            if self.tree.path(*id).ends_with(b"-initrd-fsinfo") {
                // Four lines each: mount point, device, type, options.
                let lines: Vec<&str> = text.lines().collect();
                let root = lines.chunks_exact(4).find(|fs| is_here(fs[0]) && !fs[0].is_empty());
                return root.map(|fs| fs[1].to_owned());
            }
            text.lines().find_map(|line| {
                let mut fields = line.split_ascii_whitespace();
                let (device, path) = (fields.next()?, fields.next()?);
                (!device.starts_with('#') && is_here(path)).then(|| device.to_owned())
            })
        })
    }
}

/// Whether Linux finds a program to start in what these files make together; or, in words, why not.
/// `None` where not all of it is known.
pub(crate) fn init(initrds: &[Rc<Initrd>]) -> Option<Result<(), &'static str>> {
    if initrds.iter().any(|i| i.broken.is_some() || i.unknown.is_some() || i.partial) {
        return None;
    }
    let inits = initrds.iter().filter_map(|listed| {
        let found = listed.tree.resolve(b"/init").ok()?;
        Some(listed.tree.node(found.node))
    });
    let inits: Vec<_> = inits.collect();
    let runs = |node: &&Node| matches!(node.kind, Kind::File(_)) && node.mode & 0o111 != 0;
    Some(match inits[..] {
        [] => Err("no /init in it"),
        _ if !inits.iter().any(runs) => Err("/init in it is no executable file"),
        _ => Ok(()),
    })
}
