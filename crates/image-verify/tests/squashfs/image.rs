//! File systems that mksquashfs makes, and what unsquashfs reads of them.

use std::{collections::BTreeMap, fs, os::unix::ffi::OsStrExt as _, path::Path};

use super::folder::Folder;

impl Folder {
    /// Makes a file system of what is in `source`.
    pub(crate) fn make(&self, source: &Path, options: &[&str]) -> Vec<u8> {
        let image = self.path("image.sqfs");
        let _ = fs::remove_file(&image);
        let (source, image_arg) = (source.to_str().unwrap(), image.to_str().unwrap());
        let fixed = ["-noappend", "-no-progress", "-quiet", "-mkfs-time", "1000000000"];
        let argv: Vec<&str> = ["mksquashfs", source, image_arg]
            .into_iter()
            .chain(fixed)
            .chain(options.iter().copied())
            .collect();
        self.succeed(&argv);
        fs::read(image).unwrap()
    }
}

/// A file as unsquashfs describes it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    pub(crate) mtime: i64,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File(Vec<u8>),
    Symlink(Vec<u8>),
    Special,
}

/// All that unsquashfs reads, by path: it writes a list of definitions, and the contents after it.
pub(crate) fn read_back(folder: &Folder, image: &[u8]) -> Result<BTreeMap<Vec<u8>, Entry>, String> {
    let (file, list) = (folder.write("read.sqfs", image), folder.path("read.list"));
    let _ = fs::remove_file(&list);
    let list_arg = list.to_str().unwrap();
    let output = folder.tool(&["unsquashfs", "-no-progress", "-pf", list_arg, &file]);
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let bytes = fs::read(&list).unwrap();
    const MARK: &[u8] = b"#\n# START OF DATA - DO NOT MODIFY\n#\n";
    let mark = bytes.windows(MARK.len()).position(|window| window == MARK);
    let (lines, data) = match mark {
        Some(at) => (&bytes[..at], &bytes[at + MARK.len()..]),
        None => (&bytes[..], &[][..]),
    };
    let mut entries = BTreeMap::new();
    let mut links = Vec::new();
    // A name may look like lines, which it does not escape: these are left out.
    for line in lines.split(|byte| *byte == b'\n') {
        let Some((path, rest)) = name(line) else { continue };
        match rest.strip_prefix(b"L ") {
            Some(target) => links.push((path, absolute(target))),
            None => entries.extend(definition(rest, data).map(|entry| (path, entry))),
        }
    }
    for (path, target) in links {
        let Some(Entry { kind, mode, uid, gid, mtime }) = entries.get(&target) else { continue };
        let kind = match kind {
            Kind::File(content) => Kind::File(content.clone()),
            Kind::Symlink(target) => Kind::Symlink(target.clone()),
            Kind::Directory | Kind::Special => Kind::Special,
        };
        let link = Entry { kind, mode: *mode, uid: *uid, gid: *gid, mtime: *mtime };
        entries.insert(path, link);
    }
    Ok(entries)
}

/// A file, as what follows its name tells.
fn definition(words: &[u8], data: &[u8]) -> Option<Entry> {
    let fields: Vec<&[u8]> = words.splitn(7, |byte| *byte == b' ').collect();
    let text = |at: usize| std::str::from_utf8(fields.get(at)?).ok();
    let number = |at: usize| text(at)?.parse::<usize>().ok();
    let kind = match *fields.first()? {
        b"D" => Kind::Directory,
        b"R" => {
            let (size, offset) = (number(5)?, number(6)?);
            // It is short where unsquashfs did not notice that a block is.
            let end = offset.checked_add(size)?.min(data.len());
            Kind::File(data.get(offset..end).unwrap_or_default().to_vec())
        }
        b"S" => Kind::Symlink(words.splitn(6, |byte| *byte == b' ').nth(5)?.to_vec()),
        _ => Kind::Special,
    };
    let mode = u32::from_str_radix(text(2)?, 8).ok()?;
    let mtime = text(1)?.parse().ok()?;
    Some(Entry { kind, mode, uid: number(3)? as u64, gid: number(4)? as u64, mtime })
}

fn absolute(name: &[u8]) -> Vec<u8> {
    [b"/", name.strip_prefix(b"/").unwrap_or(name)].concat()
}

/// The name at the start of a definition, in which a backslash is before what is special.
fn name(line: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut name = Vec::new();
    let mut at = 0;
    while *line.get(at)? != b' ' {
        if line[at] == b'\\' {
            at += 1;
        }
        name.push(*line.get(at)?);
        at += 1;
    }
    Some((absolute(&name), &line[at + 1..]))
}

/// Bytes that compress, and differ from place to place.
pub(crate) fn text(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|at| ((at / 7 * 31 + seed * 97) % 251 % 64 + 32) as u8).collect()
}

/// Bytes that do not.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let bytes = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    bytes.flatten().take(len).collect()
}

/// Files of all sorts: empty, small, of a block and around it, duplicates, holes, noise, links,
/// long names, and a directory with an index.
pub(crate) fn tree(folder: &Path, block: usize) {
    let file = |name: &str, content: &[u8]| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    for len in [0, 1, 100, block - 1, block, block + 1, 2 * block, 5 * block + 17] {
        file(&format!("sizes/{len}"), &text(len, len));
    }
    file("noise", &noise(2 * block + 333, 5));
    file("same/one", &text(3 * block + 50, 1));
    file("same/two", &text(3 * block + 50, 1));
    file("same/tail only", &text(50, 7));
    file("same/tail again", &text(50, 7));
    let holes = [&vec![0; 2 * block][..], b"middle", &vec![0; 3 * block]].concat();
    file("sparse/holes", &holes);
    file("sparse/nothing", &vec![0; 4 * block]);
    file("sparse/end", &[&text(block, 3)[..], &vec![0; block + 5]].concat());
    file("links/file", b"linked\n");
    fs::hard_link(folder.join("links/file"), folder.join("links/same")).unwrap();
    fs::hard_link(folder.join("links/file"), folder.join("other name")).unwrap();
    for (name, target) in [("short", "file"), ("long", &*"x/".repeat(400))] {
        std::os::unix::fs::symlink(target, folder.join("links").join(name)).unwrap();
    }
    fs::create_dir_all(folder.join("empty")).unwrap();
    file(&"n".repeat(255), b"a long name");
    file("Grüße/日本語 🦀", b"names that are not ASCII");
    let raw = std::ffi::OsStr::from_bytes(b"not \xff UTF-8 \x01");
    fs::write(folder.join(raw), b"").unwrap();
    let deep = "deep/".repeat(40);
    file(&format!("{deep}bottom"), b"far down");
    for index in 0..700 {
        let content = text(index % 3, index);
        file(&format!("big/file number {index:04} of a big directory, and more"), &content);
    }
}
