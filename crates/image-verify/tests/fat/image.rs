//! Good images, made as nixpkgs makes them: `mkfs.vfat`, then `mmd` and `mcopy` in sorted order.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs,
    path::Path,
    process::{Command, Output},
    sync::OnceLock,
    time::{Duration, UNIX_EPOCH},
};

use image_formats::fat::{
    Cluster, Geometry, Width,
    raw::{BootSector, DirEntry},
};
use zerocopy::{FromBytes as _, FromZeros as _, IntoBytes as _};

/// Runs a tool of a Debian package.
pub(crate) fn tool<T: AsRef<OsStr>>(package: &str, argv: &[T]) -> Output {
    let program = argv[0].as_ref();
    let output = Command::new(program)
        .args(&argv[1..])
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .env("MTOOLSRC", "/dev/null")
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output();
    output.unwrap_or_else(|e| panic!("{}: {e}; run `apt-get install {package}`", program.display()))
}

fn succeed<T: AsRef<OsStr>>(package: &str, argv: &[T]) -> Vec<u8> {
    let Output { status, stdout, stderr } = tool(package, argv);
    let argv: Vec<_> = argv.iter().map(|arg| arg.as_ref().to_string_lossy()).collect();
    assert!(status.success(), "{}: {}", argv.join(" "), String::from_utf8_lossy(&stderr));
    stdout
}

/// An mtools command, which gets the image with `-i`.
pub(crate) fn mtools(image: &Path, command: &str, args: &[&str]) -> Vec<u8> {
    let image = image.to_str().unwrap();
    let argv: Vec<&str> = [command, "-i", image].iter().chain(args).copied().collect();
    succeed("mtools", &argv)
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// When the files of the good images were modified: 2000-01-01 12:34:56.
pub(crate) const MODIFIED: u64 = 946_730_096;

/// The files of every good image, by path.
pub(crate) fn files() -> BTreeMap<String, Vec<u8>> {
    let mut files: BTreeMap<String, Vec<u8>> = [
        ("config.txt", b"arm_64bit=1\n".to_vec()),
        ("KERNEL8.IMG", pattern(70_000)),
        ("Makefile", pattern(2048)),
        ("bcm2711-rpi-4-b.dtb", pattern(3000)),
        ("empty", Vec::new()),
        ("öüé.txt", pattern(1)),
        ("ein langer Name mit Leerzeichen und + und =.conf", pattern(2048 * 3)),
        ("thirteen chars", pattern(13)),
        ("EFI/BOOT/BOOTAA64.EFI", pattern(9000)),
        ("a/deep/er/path/with/Ordner/Größe der Datei 日本.txt", pattern(77)),
        (&*format!("a/{}", "n".repeat(255)), pattern(5)),
    ]
    .map(|(name, content)| (name.to_owned(), content))
    .into();
    for index in 0..70 {
        files.insert(format!("overlays/overlay-number-{index}.dtbo"), pattern(index * 40));
    }
    files
}

/// The directories of every good image, parents first.
pub(crate) fn directories() -> BTreeSet<String> {
    let names = files();
    let parents = names.keys().flat_map(|name| name.match_indices('/').map(|(at, _)| &name[..at]));
    parents.map(str::to_owned).chain(["leer".to_owned()]).collect()
}

/// Makes an empty file system of `len` bytes at `image`, as nixpkgs does.
fn format(image: &Path, len: u64, mkfs: &[&str]) {
    fs::File::create(image).unwrap().set_len(len).unwrap();
    let image = image.to_str().unwrap();
    let argv = ["mkfs.vfat", "--invariant", "-i", "0x2178694e", "-n", "FIRMWARE"];
    let argv: Vec<&str> = argv.iter().chain(mkfs).copied().chain([image]).collect();
    succeed("dosfstools", &argv);
}

/// Makes an image of `len` bytes at `image`, with files.
pub(crate) fn make(image: &Path, len: u64, mkfs: &[&str]) {
    format(image, len, mkfs);
    let source = tempfile::tempdir().unwrap();
    for directory in [String::new()].into_iter().chain(directories()) {
        if !directory.is_empty() {
            mtools(image, "mmd", &[&format!("::/{directory}")]);
        }
        let inside =
            |name: &String| name.rsplit_once('/').map_or("", |(parent, _)| parent) == directory;
        let copied: Vec<String> = files()
            .into_iter()
            .filter(|(name, _)| inside(name))
            .map(|(name, content)| {
                let path = source.path().join(name.rsplit('/').next().unwrap());
                fs::write(&path, content).unwrap();
                let modified = UNIX_EPOCH + Duration::from_secs(MODIFIED);
                fs::File::open(&path).unwrap().set_modified(modified).unwrap();
                path.to_str().unwrap().to_owned()
            })
            .collect();
        if !copied.is_empty() {
            let to = format!("::/{directory}");
            let args = ["-pm"].into_iter().chain(copied.iter().map(String::as_str)).chain([&*to]);
            mtools(image, "mcopy", &args.collect::<Vec<_>>());
        }
    }
}

fn made(len: u64, mkfs: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("fat.img");
    make(&image, len, mkfs);
    fs::read(image).unwrap()
}

/// A floppy.
pub(crate) fn fat12() -> &'static [u8] {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    IMAGE.get_or_init(|| made(1_474_560, &[]))
}

/// The firmware partition of nixpkgs.
pub(crate) fn fat16() -> &'static [u8] {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    IMAGE.get_or_init(|| made(30 << 20, &[]))
}

/// The smallest FAT32 that is one by Microsoft's rule too.
pub(crate) fn fat32() -> &'static [u8] {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    IMAGE.get_or_init(|| made(36 << 20, &["-F", "32", "-s", "1"]))
}

/// FAT32 that is FAT16 by Microsoft's rule, and by that of mtools: it has no files.
pub(crate) fn small_fat32() -> &'static [u8] {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("fat.img");
        format(&image, 16 << 20, &["-F", "32", "-s", "4"]);
        fs::read(image).unwrap()
    })
}

/// A copy of an image that is to be broken.
pub(crate) struct Edit {
    pub(crate) bytes: Vec<u8>,
    geometry: Geometry,
}

impl Edit {
    pub(crate) fn new(image: &[u8]) -> Self {
        let (boot, _) = BootSector::read_from_prefix(image).unwrap();
        Self { bytes: image.to_vec(), geometry: Geometry::of(&boot).unwrap() }
    }

    pub(crate) fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Writes into the boot sector and, in FAT32, into its copy.
    pub(crate) fn boot(&mut self, at: usize, bytes: &[u8]) {
        self.put(at, bytes);
        if self.geometry.width == Width::Fat32 {
            self.put(6 * 512 + at, bytes);
        }
    }

    /// Where the entry of an 8.3 name is.
    pub(crate) fn entry(&self, name: &[u8; 11]) -> usize {
        let chunks = self.bytes.chunks_exact(DirEntry::SIZE);
        chunks.enumerate().find(|(_, chunk)| chunk.starts_with(name)).unwrap().0 * DirEntry::SIZE
    }

    /// Changes the entry of an 8.3 name.
    pub(crate) fn change(&mut self, name: &[u8; 11], change: impl FnOnce(&mut DirEntry)) {
        let at = self.entry(name);
        let (entry, _) = DirEntry::mut_from_prefix(&mut self.bytes[at..]).unwrap();
        change(entry);
    }

    /// First cluster of the file with that 8.3 name.
    pub(crate) fn first(&self, name: &[u8; 11]) -> u32 {
        let (entry, _) = DirEntry::read_from_prefix(&self.bytes[self.entry(name)..]).unwrap();
        entry.first_cluster(self.geometry.width).0
    }

    /// Clusters of a file.
    pub(crate) fn chain(&self, name: &[u8; 11]) -> Vec<u32> {
        let mut chain = vec![self.first(name)];
        loop {
            let next = self.fat(*chain.last().unwrap());
            if next >= self.geometry.width.mask() & !7 {
                return chain;
            }
            chain.push(next);
        }
    }

    /// The byte at which a cluster starts.
    pub(crate) fn cluster(&self, cluster: u32) -> usize {
        self.geometry.offset(Cluster(cluster)).unwrap() as usize
    }

    /// The entry of a cluster in the first FAT.
    pub(crate) fn fat(&self, cluster: u32) -> u32 {
        let at = self.table(0);
        let get = |at: usize| u32::from_le_bytes(self.bytes[at..at + 4].try_into().unwrap());
        match self.geometry.width {
            Width::Fat12 => {
                let both = get(at + cluster as usize * 3 / 2);
                (both >> (4 * (cluster & 1))) & 0xfff
            }
            Width::Fat16 => get(at + cluster as usize * 2) & 0xffff,
            Width::Fat32 => get(at + cluster as usize * 4) & 0x0fff_ffff,
        }
    }

    /// Sets the entry of a cluster in all FATs.
    pub(crate) fn set(&mut self, cluster: u32, value: u32) {
        self.set_in(0, cluster, value);
        self.set_in(1, cluster, value);
    }

    /// Sets the entry of a cluster in one FAT.
    pub(crate) fn set_in(&mut self, copy: u8, cluster: u32, value: u32) {
        let at = self.table(copy);
        match self.geometry.width {
            Width::Fat12 => {
                let at = at + cluster as usize * 3 / 2;
                let old = u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]]);
                let new = match cluster & 1 {
                    0 => old & 0xf000 | value as u16,
                    _ => old & 0x000f | (value as u16) << 4,
                };
                self.put(at, &new.to_le_bytes());
            }
            Width::Fat16 => self.put(at + cluster as usize * 2, &(value as u16).to_le_bytes()),
            Width::Fat32 => self.put(at + cluster as usize * 4, &value.to_le_bytes()),
        }
    }

    /// The byte at which a FAT starts.
    pub(crate) fn table(&self, copy: u8) -> usize {
        self.geometry.fat(copy).unwrap() as usize
    }

    /// The mark of the end of a chain.
    pub(crate) fn end(&self) -> u32 {
        self.geometry.width.mask()
    }

    /// Free clusters, from the last one on.
    pub(crate) fn free(&self) -> impl Iterator<Item = u32> + use<> {
        let last = self.geometry.last().0;
        let free: Vec<u32> = (2..=last).rev().filter(|cluster| self.fat(*cluster) == 0).collect();
        free.into_iter()
    }

    /// The first slot of the root directory that is free; two more follow it.
    pub(crate) fn root_end(&self) -> usize {
        let start = self.entry(b"FIRMWARE   ");
        let chunks = self.bytes[start..].chunks_exact(DirEntry::SIZE);
        start + chunks.enumerate().find(|(_, chunk)| chunk[0] == 0).unwrap().0 * DirEntry::SIZE
    }
}

/// An entry of an 8.3 name.
pub(crate) fn entry(name: &[u8; 11], attr: u8, first: u32) -> Vec<u8> {
    let mut entry = DirEntry { name: *name, attr, ..DirEntry::new_zeroed() };
    entry.fst_clus_lo.set(first as u16);
    entry.fst_clus_hi.set((first >> 16) as u16);
    entry.as_bytes().to_vec()
}
