//! Makes file systems with the real tools, and edits them byte by byte, with their checksums.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileExt as _, PermissionsExt as _, symlink},
        process::ExitStatusExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
};

use image_formats::{
    bytes::Region,
    ext4::{
        Block, BlockChecksum, Descriptor, DirectoryBlock, ExtentNode, Geometry, GroupIndex, Ino,
        Inode, Run, Superblock, checksum, raw, ro_compat,
    },
};
use image_model::{ImageSpace, Location};
use image_verify::{
    Recorded, Recorder, UNUSED_WAIVER, ext4,
    volume::{Trouble, Volume},
};
use zerocopy::{FromBytes as _, IntoBytes as _};

/// Runs a program with a time limit; it has to be there.
pub(crate) fn run(package: &str, argv: &[&str]) -> Output {
    let limited = ["timeout", "-k", "5", "60"];
    let output = Command::new(limited[0])
        .args(&limited[1..])
        .args(argv)
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .env("PATH", format!("/usr/sbin:/sbin:{}", std::env::var("PATH").unwrap_or_default()))
        .env("MKE2FS_SKIP_PROGRESS", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let code = output.status.code();
    let hint = format!("`{}`: run `apt-get install {package}`", argv[0]);
    assert_ne!(code, Some(127), "{hint}");
    assert!(code != Some(124) && output.status.signal().is_none(), "{argv:?} did not end");
    output
}

/// Runs a program that has to succeed.
pub(crate) fn ok(package: &str, argv: &[&str]) -> String {
    let output = run(package, argv);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{argv:?}: {text}{errors}");
    text
}

/// A folder with what a root file system has, and some of what it should not.
pub(crate) fn source() -> &'static Path {
    static SOURCE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let dir = SOURCE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path());
        dir
    });
    dir.path()
}

fn fill(root: &Path) {
    let write = |path: &str, content: &[u8]| fs::write(root.join(path), content).unwrap();
    fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
    for path in ["boot", "etc", "nix", "nix/store", "many", "deep", "empty"] {
        fs::create_dir(root.join(path)).unwrap();
    }
    write("etc/empty", b"");
    write("etc/hostname", b"nixos\n");
    write("boot/kernel", &pattern(300_000));
    fs::set_permissions(root.join("boot/kernel"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::hard_link(root.join("etc/hostname"), root.join("boot/again")).unwrap();
    for len in [1, 59, 60, 61, 200, 900] {
        symlink("t".repeat(len), root.join(format!("etc/link{len}"))).unwrap();
    }
    symlink("../etc/hostname", root.join("boot/hostname")).unwrap();
    for number in 0..400 {
        write(&format!("many/{number:03}-{}", "n".repeat(90)), format!("{number}").as_bytes());
    }
    write(&format!("nix/store/{}", "x".repeat(255)), b"long name");
    write("nix/store/\u{e4}\u{f6}\u{fc}", b"umlauts");
    let mut path = root.join("deep");
    for number in 0..40 {
        path.push(number.to_string());
        fs::create_dir(&path).unwrap();
    }
    // Holes, at the end too, and more extents than an inode has room for.
    let sparse = fs::File::create(root.join("boot/sparse")).unwrap();
    for piece in 0..300 {
        sparse.write_all_at(&pattern(100), 4096 + piece * 16384).unwrap();
    }
    sparse.set_len(6 << 20).unwrap();
}

/// Bytes that are not zero, and not the same in each block.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 7 + at / 1024) as u8 | 1).collect()
}

/// A file system in a file.
pub(crate) struct OnDisk {
    _dir: tempfile::TempDir,
    pub(crate) path: PathBuf,
}

impl OnDisk {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        fs::write(&path, bytes).unwrap();
        Self { _dir: dir, path }
    }

    pub(crate) fn name(&self) -> &str {
        self.path.to_str().unwrap()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap()
    }
}

/// A way to make a file system.
pub(crate) struct Recipe {
    pub(crate) name: &'static str,
    /// Of `mke2fs`, without the file.
    pub(crate) args: &'static [&'static str],
    pub(crate) mib: u64,
    /// Of `debugfs -w`, one after the other.
    pub(crate) debugfs: &'static [&'static str],
    /// Let e2fsck make indexes of the directories.
    pub(crate) index: bool,
}

impl Recipe {
    /// True if contents may be in inodes.
    pub(crate) fn is_inline(&self) -> bool {
        self.args.iter().any(|arg| arg.contains("inline_data"))
    }

    /// Makes it, with [`source`] inside.
    pub(crate) fn make(&self) -> OnDisk {
        let disk = OnDisk::new(b"");
        fs::File::create(&disk.path).unwrap().set_len(self.mib << 20).unwrap();
        let source = source().to_str().unwrap();
        let uuid = "44444444-4444-4444-8888-888888888888";
        let common = ["mke2fs", "-q", "-F", "-L", "NIXOS_SD", "-U", uuid, "-d", source];
        ok("e2fsprogs", &[&common[..], self.args, &[disk.name()]].concat());
        for command in self.debugfs {
            ok("e2fsprogs", &["debugfs", "-w", "-R", command, disk.name()]);
        }
        if self.index {
            let output = run("e2fsprogs", &["e2fsck", "-fyD", disk.name()]);
            assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
        }
        disk
    }
}

/// Judges a file system.
pub(crate) fn judge(bytes: &[u8]) -> (Recorded, Option<Volume>) {
    judge_region(&Region::from(bytes.to_vec()))
}

pub(crate) fn judge_region(region: &Region) -> (Recorded, Option<Volume>) {
    let mut out = Recorder::default();
    let trouble = Trouble::default();
    let volume = ext4::verify(region, "disk", &trouble, &mut out).unwrap();
    trouble.take().unwrap();
    let whole = Location {
        structure: "file".into(),
        space: ImageSpace::Raw,
        offset: 0,
        len: 0,
        path: None,
    };
    (out.finish(&[], &UNUSED_WAIVER, &whole), volume)
}

/// The regular files of a file system, as debugfs reads them.
pub(crate) fn dumped(image: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let command = format!("rdump / {}", dir.path().display());
    ok("e2fsprogs", &["debugfs", "-R", &command, image.to_str().unwrap()]);
    let mut files = BTreeMap::new();
    let mut waiting = vec![dir.path().to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                waiting.push(path);
            } else if metadata.is_file() {
                let name = path.strip_prefix(dir.path()).unwrap().as_os_str().as_bytes();
                files.insert([b"/", name].concat(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// True if that is what debugfs makes of a content: of one in the inode it writes all that has room
/// there.
pub(crate) fn is_dump(dump: &[u8], content: &[u8]) -> bool {
    let rest = dump.strip_prefix(content);
    rest.is_some_and(|rest| rest.is_empty() || dump.len() == 60 && rest.iter().all(|b| *b == 0))
}

/// True if `e2fsck -fn` has nothing to say.
pub(crate) fn e2fsck(bytes: &[u8]) -> (bool, String) {
    let disk = OnDisk::new(bytes);
    let output = run("e2fsprogs", &["e2fsck", "-fn", disk.name()]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code() == Some(0), text)
}

/// The bytes of a file system, to be edited.
pub(crate) struct Image {
    pub(crate) bytes: Vec<u8>,
}

impl Image {
    pub(crate) fn superblock(&self) -> Superblock {
        Superblock::read(&Region::from(self.bytes[..2048].to_vec())).unwrap()
    }

    pub(crate) fn geometry(&self) -> Geometry {
        Geometry::new(&self.superblock()).unwrap()
    }

    fn has_sums(&self) -> bool {
        self.superblock().ro_compat(ro_compat::METADATA_CSUM)
    }

    /// Edits the superblock, and its checksum.
    pub(crate) fn edit_superblock(&mut self, edit: impl FnOnce(&mut raw::Superblock)) {
        let mut superblock = self.superblock();
        edit(&mut superblock.raw);
        if self.has_sums() {
            let sum = superblock.checksum();
            superblock.raw.s_checksum.set(sum);
        }
        self.bytes[1024..2048].copy_from_slice(superblock.raw.as_bytes());
    }

    fn descriptor_at(&self, group: GroupIndex) -> std::ops::Range<usize> {
        let geometry = self.geometry();
        let size = usize::from(geometry.desc_size);
        let in_block = geometry.block_size as usize / size;
        let block = geometry.descriptor_block((group.0 as usize / in_block) as u32);
        let at = geometry.offset(block) as usize + group.0 as usize % in_block * size;
        at..at + size
    }

    pub(crate) fn descriptor(&self, group: GroupIndex) -> Descriptor {
        Descriptor::new(&self.bytes[self.descriptor_at(group)])
    }

    /// Edits a descriptor, and its checksum.
    pub(crate) fn edit_descriptor(
        &mut self,
        group: GroupIndex,
        edit: impl FnOnce(&mut raw::GroupDescriptor),
    ) {
        let at = self.descriptor_at(group);
        let mut descriptor = self.descriptor(group);
        edit(&mut descriptor.raw);
        let len = at.len();
        self.bytes[at.clone()].copy_from_slice(&descriptor.raw.as_bytes()[..len]);
        let sum = Descriptor::checksum(&self.superblock(), group, &self.bytes[at.clone()]);
        if let Some(sum) = sum {
            self.bytes[at][0x1e..0x20].copy_from_slice(&sum.to_le_bytes());
        }
    }

    /// Edits a bitmap, and its checksum.
    pub(crate) fn edit_bitmap(
        &mut self,
        group: GroupIndex,
        blocks: bool,
        edit: impl FnOnce(&mut [u8]),
    ) {
        let geometry = self.geometry();
        let descriptor = self.descriptor(group);
        let block = if blocks { descriptor.block_bitmap() } else { descriptor.inode_bitmap() };
        edit(self.block_mut(block));
        if !self.has_sums() {
            return;
        }
        let bits = if blocks { geometry.clusters_per_group() } else { geometry.inodes_per_group };
        let seed = self.superblock().checksum_seed();
        let sum = checksum::crc32c(seed, &self.block_mut(block)[..bits as usize / 8]);
        self.edit_descriptor(group, |raw| {
            let (low, high) = (sum as u16, (sum >> 16) as u16);
            if blocks {
                raw.bg_block_bitmap_csum_lo.set(low);
                raw.bg_block_bitmap_csum_hi.set(high);
            } else {
                raw.bg_inode_bitmap_csum_lo.set(low);
                raw.bg_inode_bitmap_csum_hi.set(high);
            }
        });
    }

    pub(crate) fn block_mut(&mut self, block: Block) -> &mut [u8] {
        let geometry = self.geometry();
        let at = geometry.offset(block) as usize;
        &mut self.bytes[at..at + geometry.block_size as usize]
    }

    fn inode_at(&self, ino: Ino) -> std::ops::Range<usize> {
        let geometry = self.geometry();
        let (group, index) = geometry.place(ino);
        let table = geometry.offset(self.descriptor(group).inode_table()) as usize;
        let size = usize::from(geometry.inode_size);
        table + index as usize * size..table + (index as usize + 1) * size
    }

    pub(crate) fn inode(&self, ino: Ino) -> Inode<'_> {
        Inode::new(&self.bytes[self.inode_at(ino)])
    }

    /// The inode at a path, as debugfs knows it.
    pub(crate) fn ino(&self, path: &str) -> Ino {
        let disk = OnDisk::new(&self.bytes);
        let text = ok("e2fsprogs", &["debugfs", "-R", &format!("stat {path}"), disk.name()]);
        let number = text.split_whitespace().nth(1).and_then(|number| number.parse().ok());
        Ino(number.unwrap_or_else(|| panic!("{path}: {text}")))
    }

    /// Edits the bytes of an inode, and its checksum.
    pub(crate) fn edit_inode_bytes(&mut self, ino: Ino, edit: impl FnOnce(&mut [u8])) {
        let at = self.inode_at(ino);
        edit(&mut self.bytes[at]);
        if self.has_sums() {
            let (_, sum) = self.inode(ino).checksum(&self.superblock(), ino);
            self.set_inode_checksum(ino, sum);
        }
    }

    /// Sets the checksum of an inode.
    pub(crate) fn set_inode_checksum(&mut self, ino: Ino, sum: u32) {
        let at = self.inode_at(ino);
        let bytes = &mut self.bytes[at];
        bytes[0x7c..0x7e].copy_from_slice(&sum.to_le_bytes()[..2]);
        if bytes.len() > 128 {
            bytes[0x82..0x84].copy_from_slice(&sum.to_le_bytes()[2..]);
        }
    }

    /// Edits an inode, and its checksum.
    pub(crate) fn edit_inode(&mut self, ino: Ino, edit: impl FnOnce(&mut raw::Inode)) {
        self.edit_inode_bytes(ino, |bytes| {
            let (mut raw, _) = raw::Inode::read_from_prefix(bytes).unwrap();
            edit(&mut raw);
            bytes[..128].copy_from_slice(raw.as_bytes());
        });
    }

    /// The first block of a file that has extents.
    pub(crate) fn first_block(&self, ino: Ino) -> Block {
        self.runs(ino)[0].block
    }

    /// The extents of a file, which are in one node.
    fn runs(&self, ino: Ino) -> Vec<Run> {
        let inode = self.inode(ino);
        let root = ExtentNode::new(inode.block_area()).unwrap();
        if root.header.eh_depth.get() == 0 {
            return root.runs().collect();
        }
        let at = self.geometry().offset(self.extent_block(ino)) as usize;
        ExtentNode::new(&self.bytes[at..at + 1024]).unwrap().runs().collect()
    }

    /// The first block of its extent tree, where it has one.
    pub(crate) fn extent_block(&self, ino: Ino) -> Block {
        let inode = self.inode(ino);
        let node = ExtentNode::new(inode.block_area()).unwrap();
        assert_eq!(node.header.eh_depth.get(), 1);
        node.slots().next().unwrap().child
    }

    /// Edits a node of an extent tree, and its checksum.
    pub(crate) fn edit_extent_block(&mut self, ino: Ino, edit: impl FnOnce(&mut [u8])) {
        let block = self.extent_block(ino);
        let seed = self.inode(ino).checksum_seed(&self.superblock(), ino);
        let bytes = self.block_mut(block);
        edit(bytes);
        let sum = ExtentNode::new(bytes).unwrap().checksum(seed);
        let at = 12 + 12 * usize::from(u16::from_le_bytes([bytes[4], bytes[5]]));
        if let Some((_, sum)) = sum {
            bytes[at..at + 4].copy_from_slice(&sum.to_le_bytes());
        }
    }

    /// Edits the first block of a directory, and its checksum.
    pub(crate) fn edit_directory(&mut self, ino: Ino, edit: impl FnOnce(&mut [u8])) {
        self.edit_directory_block(ino, 0, edit);
    }

    /// Edits a block of a directory, and its checksum.
    pub(crate) fn edit_directory_block(
        &mut self,
        ino: Ino,
        logical: u64,
        edit: impl FnOnce(&mut [u8]),
    ) {
        let holds = |run: &&Run| (run.logical..run.logical + u64::from(run.len)).contains(&logical);
        let runs = self.runs(ino);
        let run = runs.iter().find(holds).unwrap();
        let block = Block(run.block.0 + logical - run.logical);
        let sums = self.has_sums();
        let seed = self.inode(ino).checksum_seed(&self.superblock(), ino);
        let size = self.geometry().block_size;
        let bytes = self.block_mut(block);
        let before = DirectoryBlock::new(bytes, size).checksums(seed);
        edit(bytes);
        let part = DirectoryBlock::new(bytes, size);
        let end = bytes.len();
        match before {
            _ if !sums => {}
            BlockChecksum::Tail(..) => {
                let sum = part.checksum(seed);
                bytes[end - 4..].copy_from_slice(&sum.to_le_bytes());
            }
            _ => {
                let (at, entries) = match logical {
                    0 => (32, part.dx_root().unwrap().1),
                    _ => (8, part.dx_node().unwrap().1),
                };
                let at = at + 8 * usize::from(entries.first.limit.get());
                if let Some((_, sum)) = entries.checksum(seed) {
                    bytes[at + 4..at + 8].copy_from_slice(&sum.to_le_bytes());
                }
            }
        }
    }
}

/// Where the entry with this name is in a directory block.
pub(crate) fn entry_at(block: &[u8], name: &str) -> usize {
    let entries = DirectoryBlock::new(block, block.len() as u32);
    let found = entries.entries().find(|entry| entry.name == name.as_bytes());
    found.unwrap_or_else(|| panic!("no {name}")).at
}
