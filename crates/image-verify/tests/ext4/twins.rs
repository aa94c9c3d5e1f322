//! The broken twins: a good file system with one edit, and the check that fails.

mod directories;
mod groups;
mod inodes;
mod journal;
mod metafiles;
mod superblock;

use std::{
    io,
    sync::{Arc, OnceLock},
};

use image_formats::{
    bytes::{ReadAt, Region},
    ext4::{GroupIndex, Inode},
};

use super::{good::RECIPES, image::*};

/// What e2fsck says of a twin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum E2fsck {
    /// It complains as well.
    Complains,
    /// It does not, and this is why we do.
    Silent(&'static str),
    /// It cannot be asked, and this is why.
    NotAsked(&'static str),
}

/// One broken file system, the check that it is made for, and those that cannot but fail with it.
pub(crate) struct Twin {
    pub(crate) check: &'static str,
    pub(crate) base: Base,
    pub(crate) also: &'static [&'static str],
    pub(crate) e2fsck: E2fsck,
    pub(crate) edit: fn(&mut Image),
}

impl Twin {
    /// Made from another file system than the usual one.
    const fn of(self, base: Base) -> Self {
        Self { base, ..self }
    }

    /// Other checks cannot but fail with it.
    const fn also(self, also: &'static [&'static str]) -> Self {
        Self { also, ..self }
    }

    const fn silent(self, why: &'static str) -> Self {
        Self { e2fsck: E2fsck::Silent(why), ..self }
    }

    const fn not_asked(self, why: &'static str) -> Self {
        Self { e2fsck: E2fsck::NotAsked(why), ..self }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut image = Image { bytes: self.base.bytes().to_vec() };
        (self.edit)(&mut image);
        image.bytes
    }

    /// What it is judged from: the one with too many groups claims to be larger than it is.
    pub(crate) fn region(&self) -> Region {
        let bytes = self.bytes();
        let len = if self.check == "ext4-limit" { 16 << 40 } else { bytes.len() as u64 };
        Region::whole(Arc::new(Padded { bytes, len })).unwrap()
    }
}

/// A good file system that twins are made from. Each is made once; all of them together have
/// everything that a check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// 1 KiB blocks, three groups, all checksums, indexes.
    Usual,
    /// Clusters of four blocks.
    Bigalloc,
    /// Files in inodes, values of attributes in inodes, an encrypted file, a device.
    Inline,
    /// Names without case, in a strict encoding, and an encrypted directory.
    Names,
    /// A log that is to be replayed, and a fast commit.
    Log,
    /// An orphan file, quotas, and the multi-mount protection.
    Metafiles,
    /// Descriptors in their own groups.
    MetaBg,
}

impl Base {
    pub(crate) const ALL: &[Self] = &[
        Self::Usual,
        Self::Bigalloc,
        Self::Inline,
        Self::Names,
        Self::Log,
        Self::Metafiles,
        Self::MetaBg,
    ];

    /// What is said of it, good as it is.
    pub(crate) fn findings(self) -> &'static [&'static str] {
        match self {
            Self::Log => &["ext4-journal-replay"],
            Self::Inline | Self::Names => &["ext4-unreadable"],
            Self::Usual | Self::Bigalloc | Self::Metafiles | Self::MetaBg => &[],
        }
    }

    pub(crate) fn bytes(self) -> &'static [u8] {
        static MADE: [OnceLock<Vec<u8>>; Base::ALL.len()] =
            [const { OnceLock::new() }; Base::ALL.len()];
        MADE[self as usize].get_or_init(|| match self {
            Self::Usual => usual(),
            Self::Bigalloc => RECIPES.iter().find(|r| r.name == "bigalloc").unwrap().make().bytes(),
            Self::Inline => inline(),
            Self::Names => directories::names(),
            Self::Log => journal::log(),
            Self::Metafiles => metafiles::metafiles(),
            Self::MetaBg => made("meta_bg"),
        })
    }
}

/// Bytes, and zeros up to a length.
pub(crate) struct Padded {
    pub(crate) bytes: Vec<u8>,
    pub(crate) len: u64,
}

impl ReadAt for Padded {
    fn len(&self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        buf.fill(0);
        let start = usize::try_from(offset).unwrap().min(self.bytes.len());
        let here = &self.bytes[start..];
        let len = here.len().min(buf.len());
        buf[..len].copy_from_slice(&here[..len]);
        Ok(())
    }
}

fn usual() -> Vec<u8> {
    let indexed = &RECIPES[2];
    let value = format!("ea_set /etc/hostname user.note {}", "v".repeat(400));
    let recipe = Recipe { debugfs: &[], ..*indexed };
    let disk = recipe.make();
    for command in directories::long().iter().chain([&value]) {
        ok("e2fsprogs", &["debugfs", "-w", "-R", command, disk.name()]);
    }
    disk.bytes()
}

/// The context of a file that is encrypted by version 2, 40 bytes.
const ENCRYPTION: [u8; 40] = [
    2, 1, 4, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 1, 2, 3, 4, 5,
    6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
];

fn inline() -> Vec<u8> {
    let args = &["-t", "ext4", "-b", "1024", "-O", "inline_data,ea_inode,encrypt"];
    let recipe =
        Recipe { name: "inline", args, mib: 24, debugfs: &["mknod null c 1 3"], index: false };
    let disk = recipe.make();
    // Larger than a block: an inode of its own.
    let (large, context) = (OnDisk::new(&[b'v'; 5000]), OnDisk::new(&ENCRYPTION));
    for (file, name, value) in
        [("/boot/kernel", "user.large", &large), ("/boot/sparse", "user.c", &context)]
    {
        let command = format!("ea_set -f {} {file} {name}", value.name());
        ok("e2fsprogs", &["debugfs", "-w", "-R", &command, disk.name()]);
    }
    // debugfs does not count the blocks of a value.
    let output = run("e2fsprogs", &["e2fsck", "-fy", disk.name()]);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    let mut image = Image { bytes: disk.bytes() };
    let ino = image.ino("/boot/sparse");
    image.edit_inode_bytes(ino, |bytes| {
        let magic = [0, 0, 2, 0xea];
        let at = bytes.windows(4).position(|window| window == magic).unwrap() + 4;
        // `EXT4_XATTR_INDEX_ENCRYPTION` is for nobody to set.
        bytes[at + 1] = 9;
    });
    image.edit_inode(ino, |raw| raw.i_flags.set(raw.i_flags.get() | Inode::ENCRYPT));
    image.bytes
}

fn made(name: &str) -> Vec<u8> {
    let recipe = RECIPES.iter().find(|recipe| recipe.name == name).unwrap();
    recipe.make().bytes()
}

const fn twin(check: &'static str, edit: fn(&mut Image)) -> Twin {
    Twin { check, base: Base::Usual, also: &[], e2fsck: E2fsck::Complains, edit }
}

/// The entry of a directory with this name: 8 bytes, then the name.
fn edit_entry(image: &mut Image, directory: &str, name: &str, edit: impl FnOnce(&mut [u8])) {
    let ino = image.ino(directory);
    image.edit_directory(ino, |block| {
        let at = entry_at(block, name);
        edit(&mut block[at..]);
    });
}

const GROUP_0: GroupIndex = GroupIndex(0);

/// All of them.
pub(crate) fn twins() -> impl Iterator<Item = &'static Twin> {
    let topics = [
        superblock::TWINS,
        groups::TWINS,
        inodes::TWINS,
        journal::TWINS,
        metafiles::TWINS,
        directories::TWINS,
    ];
    topics.into_iter().flatten()
}
