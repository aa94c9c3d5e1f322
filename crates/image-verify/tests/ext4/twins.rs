//! The broken twins: a good file system with one edit, and the check that fails.

mod directories;
mod groups;
mod inodes;
mod superblock;

use std::{
    io,
    sync::{Arc, OnceLock},
};

use image_formats::{
    bytes::{ReadAt, Region},
    ext4::GroupIndex,
};

use super::{good::READABLE, image::*};

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
    #[expect(dead_code, reason = "for the features that the usual one cannot have")]
    const fn of(self, base: Base) -> Self {
        Self { base, ..self }
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
}

impl Base {
    pub(crate) const ALL: &[Self] = &[Self::Usual];

    pub(crate) fn bytes(self) -> &'static [u8] {
        static MADE: [OnceLock<Vec<u8>>; Base::ALL.len()] =
            [const { OnceLock::new() }; Base::ALL.len()];
        MADE[self as usize].get_or_init(|| match self {
            Self::Usual => usual(),
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
    let indexed = &READABLE[2];
    let value = format!("ea_set /etc/hostname user.note {}", "v".repeat(400));
    let recipe = Recipe { debugfs: &[], ..*indexed };
    let disk = recipe.make();
    ok("e2fsprogs", &["debugfs", "-w", "-R", &value, disk.name()]);
    disk.bytes()
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
    [superblock::TWINS, groups::TWINS, inodes::TWINS, directories::TWINS].into_iter().flatten()
}
