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

use crate::tree::{Kind, Metadata, Node, Tree};

/// The most bytes that are read of one file, and that come out of it.
const MAX_OUTPUT: u64 = 1 << 30;

/// The most bytes that are read of all files together, and that come out of them.
const MAX_TOTAL: u64 = 8 << 30;

/// The most files that are remembered while one initramfs is listed. All are read.
const MAX_FILES: usize = 1 << 17;

/// The most bytes of their names, and of the targets of symlinks.
const MAX_TEXT: usize = 16 << 20;

/// How deep folders lie in each other at most.
const MAX_DEPTH: usize = 64;

/// How many archives one file may have: each takes a decoder.
const MAX_ARCHIVES: usize = 1024;

/// The longest table of file systems that is read, and how many of them.
const MAX_TABLE: u64 = 64 << 10;
const MAX_TABLES: usize = 64;

/// The longest target of a symlink: `PATH_MAX`.
const MAX_TARGET: u64 = 4096;

/// The most bytes that are remembered of the tables of all initramfs.
const MAX_MOUNTS: usize = 8 << 20;

/// `IH_MAGIC`, and the length of the header that it starts: U-Boot, `include/image.h`.
pub(crate) const LEGACY_MAGIC: [u8; 4] = [0x27, 0x05, 0x19, 0x56];
const LEGACY_LEN: u64 = 64;

/// Memory that an xz archive may ask for, and the window of zstd as a power of two: as for images.
const XZ_MEMORY: u64 = 128 << 20;
const ZSTD_WINDOW_LOG: u32 = 27;

/// What all initramfs of an image may cost together.
#[derive(Debug)]
pub(crate) struct Budget {
    /// Bytes that may still be read, or come out.
    bytes: u64,
    /// Bytes that may still be remembered.
    mounts: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { bytes: MAX_TOTAL, mounts: MAX_MOUNTS }
    }
}

impl Budget {
    /// Takes so many bytes of those that may still be read: false where they are not left.
    pub(crate) fn take(&mut self, bytes: u64) -> bool {
        let left = self.bytes.checked_sub(bytes);
        self.bytes = left.unwrap_or(0);
        left.is_some()
    }
}

/// What is in an initramfs, as far as somebody asks.
#[derive(Debug, Default)]
pub(crate) struct Initrd {
    /// True if `/init` is an executable file; nothing where it is not there.
    init: Option<bool>,
    /// systemd is its first program.
    pub(crate) systemd: bool,
    /// What its tables mount: what, and where.
    mounts: Vec<(String, String)>,
    /// A compression that is not looked into, from some archive on.
    pub(crate) unknown: Option<&'static str>,
    /// Why it cannot be listed to its end.
    pub(crate) broken: Option<String>,
    /// A limit of ours that it has more than, and from which on it is not known.
    pub(crate) limit: Option<String>,
}

/// An initramfs that is being listed.
struct Listing {
    tree: Tree,
    /// Bytes of names and targets in the tree.
    text: usize,
    /// Contents of the files that may say which file system is the root.
    tables: Vec<(Vec<u8>, Vec<u8>)>,
    found: Initrd,
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

/// Lists a whole file, at the cost of what is left for others.
pub(crate) fn list(file: impl Read, budget: &mut Budget) -> Initrd {
    let limit = MAX_OUTPUT.min(budget.bytes);
    let mut on = Listing {
        tree: Tree::of_volume("initramfs".to_owned(), 0),
        text: 0,
        tables: Vec::new(),
        found: Initrd::default(),
    };
    let mut source =
        Counted { source: BufReader::with_capacity(64 << 10, file.take(limit)), at: 0 };
    let mut left = limit;
    let listed = skip_header(&mut source);
    if let Err(error) = listed.and_then(|()| archives(&mut source, &mut left, &mut on)) {
        let at = ByteOffset(source.at);
        on.found.broken.get_or_insert_with(|| format!("cannot be read further than {at}: {error}"));
    }
    if source.at >= limit || left == 0 {
        // Whatever else is said of it comes from that.
        on.found.broken = None;
        on.found.limit.get_or_insert_with(|| format!("more than {limit} bytes"));
    }
    budget.bytes = budget.bytes.saturating_sub(source.at).saturating_sub(limit - left);
    on.finish(budget)
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
    on: &mut Listing,
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
                on.found.unknown = Some(what);
                return Ok(());
            }
            Start::Cpio => archive(source.by_ref(), on)?,
            Start::Gzip => all(flate2::bufread::GzDecoder::new(source.by_ref()), left, on)?,
            Start::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, 0)?;
                let decoder = liblzma::bufread::XzDecoder::new_stream(source.by_ref(), stream);
                all(decoder, left, on)?
            }
            Start::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(source.by_ref())?.single_frame();
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                all(decoder, left, on)?
            }
        };
        if let Some(why) = end {
            let within = if matches!(start, Start::Cpio | Start::Junk | Start::End) {
                String::new()
            } else {
                format!("in the archive at {at}: ")
            };
            on.found.broken = Some(format!("{within}{why}"));
            return Ok(());
        }
    }
    on.found.limit = Some(format!("more than {MAX_ARCHIVES} archives in a row"));
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
        let zeros = zeros(bytes);
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

/// How many zeros bytes start with: there may be gigabytes of them.
fn zeros(bytes: &[u8]) -> usize {
    const BLOCK: usize = 4096;

    let blocks = bytes.chunks_exact(BLOCK).take_while(|block| **block == [0; BLOCK]).count();
    let rest = &bytes[blocks * BLOCK..];
    blocks * BLOCK + rest.iter().take_while(|byte| **byte == 0).count()
}

/// Reads all archives that one decoder gives: zeros between them count as well. Why it ended too
/// early, if it did.
fn all(decoder: impl Read, left: &mut u64, on: &mut Listing) -> io::Result<Option<String>> {
    let decoder = decoder.take(*left);
    let mut source = Counted { source: BufReader::with_capacity(64 << 10, decoder), at: 0 };
    let end = inner(&mut source, on);
    *left = left.saturating_sub(source.at);
    end
}

fn inner<R: BufRead>(source: &mut Counted<R>, on: &mut Listing) -> io::Result<Option<String>> {
    for _ in 0..MAX_ARCHIVES {
        match start(source)? {
            Start::End if source.at == 0 => return Ok(Some("nothing".to_owned())),
            Start::End => return Ok(None),
            Start::Cpio => {
                if let Some(why) = archive(source.by_ref(), on)? {
                    return Ok(Some(why));
                }
            }
            _ => return Ok(Some(format!("no cpio archive at {}", ByteOffset(source.at)))),
        }
    }
    on.found.limit = Some(format!("more than {MAX_ARCHIVES} archives in a row"));
    Ok(None)
}

/// Reads one archive. Why it ended too early, if it did.
fn archive(source: impl Read, on: &mut Listing) -> io::Result<Option<String>> {
    let mut reader = Reader::new(source);
    let end = members(&mut reader, on)?;
    Ok(end.map(|(at, why)| format!("{why}, at {}", ByteOffset(at))))
}

/// Where and why an archive ended too early, if it did.
fn members<R: Read>(
    reader: &mut Reader<R>,
    on: &mut Listing,
) -> io::Result<Option<(u64, &'static str)>> {
    loop {
        match reader.next_item()? {
            Item::Member(member) => on.add(&member, reader)?,
            Item::Trailer => return Ok(None),
            Item::Broken(at, why) => return Ok(Some((at, why))),
        }
    }
}

impl Listing {
    fn add(&mut self, member: &Member, content: &mut impl Read) -> io::Result<()> {
        self.text = self.text.saturating_add(member.name.len());
        if self.tree.len() >= MAX_FILES || self.text > MAX_TEXT {
            self.partial("more files than are remembered");
            return Ok(());
        }
        let kind = match member.mode & 0o170_000 {
            0o040_000 => Kind::Directory(BTreeMap::new()),
            0o100_000 => Kind::File(None),
            0o120_000 => {
                let mut target = Vec::new();
                if u64::from(member.size) <= MAX_TARGET {
                    content.read_to_end(&mut target)?;
                }
                self.text = self.text.saturating_add(target.len());
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
            self.partial("folders that lie deep in each other");
            return Ok(());
        }
        let mut at = self.tree.at(&parents.join(&b'/'));
        if at.is_none() {
            for end in 1..=parents.len() {
                let path = parents[..end].join(&b'/');
                let directory = metadata(Kind::Directory(BTreeMap::new()), 0o755, 0);
                let parent = at.unwrap_or(Tree::ROOT);
                at = self.tree.at(&path);
                at = at.or_else(|| self.tree.add_child(parent, parents[end - 1], directory));
            }
        }
        let Some(at) = at else { return Ok(()) };
        if self.tree.add_child(at, name, metadata(kind, mode, size)).is_none() {
            return Ok(());
        }
        if is_file && says_root(name) && size <= MAX_TABLE && self.tables.len() < MAX_TABLES {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            self.tables.push((name.to_vec(), bytes));
        }
        Ok(())
    }

    fn partial(&mut self, why: &str) {
        self.found.limit.get_or_insert_with(|| why.to_owned());
    }

    /// Keeps what somebody asks for, and lets go of the rest.
    fn finish(mut self, budget: &mut Budget) -> Initrd {
        for (name, content) in std::mem::take(&mut self.tables) {
            for mount in mounts(&name, &String::from_utf8_lossy(&content)) {
                let len = mount.0.len() + mount.1.len() + size_of_val(&mount);
                let Some(left) = budget.mounts.checked_sub(len) else {
                    self.partial("longer tables than are remembered");
                    break;
                };
                budget.mounts = left;
                self.found.mounts.push(mount);
            }
        }
        let tree = &self.tree;
        let runs = |node: &Node| matches!(node.kind, Kind::File(_)) && node.mode & 0o111 != 0;
        self.found.init = tree.resolve(b"/init").ok().map(|found| runs(tree.node(found.node)));
        let configs: [&[u8]; 2] = [b"/etc/systemd/system", b"/etc/systemd/system.conf"];
        let named = configs.iter().any(|path| tree.lookup(path).is_ok());
        let init = tree.lookup(b"/init").ok().map(|found| tree.node(found.node));
        let to_systemd = init.is_some_and(|node| match &node.kind {
            Kind::Symlink(target) => target.windows(7).any(|part| part == b"systemd"),
            _ => false,
        });
        self.found.systemd = named || to_systemd;
        self.found
    }
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
        let is_here = |path: &str| places.contains(&path.trim_end_matches('/'));
        self.mounts.iter().find(|(_, path)| is_here(path)).map(|(device, _)| device.clone())
    }
}

/// What a table mounts: what, and where.
fn mounts(name: &[u8], text: &str) -> Vec<(String, String)> {
    let owned = |(device, path): (&str, &str)| (device.to_owned(), path.to_owned());
    if name.ends_with(b"-initrd-fsinfo") {
        // Four lines each: mount point, device, type, options.
        let lines: Vec<&str> = text.lines().collect();
        let all = lines.chunks_exact(4).filter(|fs| !fs[0].is_empty());
        return all.map(|fs| owned((fs[1], fs[0]))).collect();
    }
    let lines = text.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let pair = (fields.next()?, fields.next()?);
        (!pair.0.starts_with('#')).then(|| owned(pair))
    });
    lines.collect()
}

/// Whether Linux finds a program to start in what these files make together; or, in words, why not.
/// `None` where not all of it is known.
pub(crate) fn init(initrds: &[Rc<Initrd>]) -> Option<Result<(), &'static str>> {
    if initrds.iter().any(|i| i.broken.is_some() || i.unknown.is_some() || i.limit.is_some()) {
        return None;
    }
    let inits: Vec<bool> = initrds.iter().filter_map(|listed| listed.init).collect();
    Some(match inits[..] {
        [] => Err("no /init in it"),
        _ if !inits.contains(&true) => Err("/init in it is no executable file"),
        _ => Ok(()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Zeros cost as much as what is in archives, whether they are compressed or not.
    #[test]
    fn zeros_are_counted() {
        let zeros = zstd::bulk::compress(&vec![0; 4 << 20], 1).unwrap();
        let mut budget = Budget { bytes: 1 << 20, ..Budget::default() };
        let found = list(&zeros[..], &mut budget);
        assert_eq!((found.limit.is_some(), found.broken), (true, None));
        assert_eq!(budget.bytes, 0);
        let mut budget = Budget { bytes: 8 << 20, ..Budget::default() };
        let found = list(io::repeat(0).take(4 << 20), &mut budget);
        assert_eq!((found.limit, found.broken), (None, None));
        assert_eq!(budget.bytes, 4 << 20);
        assert!(budget.take(1 << 20));
        let found = list(io::repeat(0), &mut budget);
        assert_eq!((found.limit.is_some(), found.broken), (true, None));
        assert!(budget.take(0) && !budget.take(1));
    }

    /// What is remembered of all of them has an end.
    #[test]
    fn tables_are_counted() {
        let table = "/dev/a /b
"
        .repeat(1000);
        let mut name = b"etc/fstab\0".to_vec();
        let fields = [1, 0o100_644, 0, 0, 1, 0, table.len(), 0, 0, 0, 0, name.len(), 0];
        let mut bytes: Vec<u8> =
            fields.iter().fold("070701".to_owned(), |s, n| s + &format!("{n:08x}")).into();
        name.resize(10, 0);
        bytes.extend(&name);
        bytes.extend(table.bytes());
        let mut budget = Budget { mounts: 100 << 10, ..Budget::default() };
        let found = list(&bytes[..], &mut budget);
        assert_eq!((found.mounts.len(), found.limit), (1000, None));
        let found = list(&bytes[..], &mut budget);
        assert!(found.mounts.len() < 1000 && found.limit.is_some());
    }
}
