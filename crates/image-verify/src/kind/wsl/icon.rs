//! Windows icons: the directory at the start of an `.ico` file, as far as a check needs it.
//! "The format of icon resources", Microsoft, `ICONDIR` and `ICONDIRENTRY`.

use zerocopy::{
    FromBytes, Immutable, KnownLayout, Unaligned,
    little_endian::{U16, U32},
};

/// `ICONDIR`, without its entries.
#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct IconDir {
    /// +0 `idReserved`: 0.
    reserved: U16,
    /// +2 `idType`: 1 for icons.
    kind: U16,
    /// +4 `idCount`: how many entries follow.
    count: U16,
}
const _: () = assert!(size_of::<IconDir>() == 6);

/// `ICONDIRENTRY`.
#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct IconDirEntry {
    /// +0 `bWidth`, `bHeight`, `bColorCount`, `bReserved`, `wPlanes`, `wBitCount`.
    appearance: [u8; 8],
    /// +8 `dwBytesInRes`: length of the picture in bytes.
    bytes_in_res: U32,
    /// +12 `dwImageOffset`: the picture, from the start of the file.
    image_offset: U32,
}
const _: () = assert!(size_of::<IconDirEntry>() == 16);

/// What is wrong with an icon.
pub(super) fn defect(bytes: &[u8]) -> Option<String> {
    let Ok((directory, entries)) = IconDir::read_from_prefix(bytes) else {
        return Some(format!("{} bytes, fewer than an icon directory has", bytes.len()));
    };
    if (directory.reserved.get(), directory.kind.get()) != (0, 1) {
        let head = &bytes[..4];
        return Some(format!("starts with {head:02x?}, not with [00, 00, 01, 00]"));
    }
    let count = usize::from(directory.count.get());
    if count == 0 {
        return Some("has no picture".to_owned());
    }
    let mut rest = entries;
    for index in 0..count {
        let Ok((entry, after)) = IconDirEntry::read_from_prefix(rest) else {
            return Some(format!("ends inside its directory of {count} pictures"));
        };
        rest = after;
        let (start, len) = (u64::from(entry.image_offset.get()), entry.bytes_in_res.get());
        let end = start.saturating_add(len.into());
        let first = size_of::<IconDir>() + count * size_of::<IconDirEntry>();
        if len == 0 || start < first as u64 || end > bytes.len() as u64 {
            let size = bytes.len();
            return Some(format!(
                "picture {index} is said to be bytes {start}..{end}, and the file has {first}..{size}"
            ));
        }
    }
    None
}
