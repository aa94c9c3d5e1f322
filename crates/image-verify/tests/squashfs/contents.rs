//! Contents of files as many threads read them at once, and what that costs.

use std::{
    fs, io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use image_formats::bytes::{ReadAt, Region};
use image_verify::tree::{Kind, NodeId, Tree};

use super::{folder::Folder, judge};

/// Bytes, and how many of them were read.
struct Counted {
    bytes: Vec<u8>,
    read: AtomicU64,
}

impl ReadAt for Counted {
    fn len(&self) -> io::Result<u64> {
        ReadAt::len(&self.bytes)
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.read.fetch_add(buf.len() as u64, Ordering::Relaxed);
        self.bytes.read_exact_at(offset, buf)
    }
}

/// Text that does not compress to nothing.
fn content(directory: u32, file: u32) -> Vec<u8> {
    let mut state = directory * 1000 + file;
    let len = if file.is_multiple_of(50) { 150_000 } else { 400 + file * 3 };
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| next() & 0x3f).collect()
}

/// In the order of the tree each block of files, and of tails, is read and decompressed once; and many
/// threads read the same as one.
#[test]
fn blocks_are_read_once_and_by_many_threads() {
    let folder = Folder::new();
    let source = folder.path("source");
    for directory in 0..20 {
        let path = source.join(directory.to_string());
        fs::create_dir_all(&path).unwrap();
        for file in 0..200 {
            fs::write(path.join(file.to_string()), content(directory, file)).unwrap();
        }
    }
    for options in [&["-comp", "zstd"][..], &["-comp", "gzip", "-b", "1M"], &["-comp", "xz"]] {
        let image = folder.make(&source, options);
        let len = image.len() as u64;
        let counted = Arc::new(Counted { bytes: image, read: AtomicU64::new(0) });
        let (_, volume) = judge(&Region::whole(counted.clone()).unwrap());
        let volume = volume.unwrap();
        let (tree, contents) = (&volume.tree, volume.files.contents());
        let is_file = |id: &NodeId| matches!(tree.node(*id).kind, Kind::File(_));
        let files: Vec<_> = tree.below(Tree::ROOT).filter(is_file).collect();
        assert_eq!(files.len(), 4000);

        counted.read.store(0, Ordering::Relaxed);
        let mut reader = contents.reader();
        for id in &files {
            let mut found: Vec<u8> = Vec::new();
            reader.read(tree, *id, &mut |piece| found.extend(piece)).unwrap();
            let path = String::from_utf8(tree.path(*id)).unwrap();
            let mut numbers = path.split('/').skip(1).map(|name| name.parse().unwrap());
            let [directory, file] = [(); 2].map(|()| numbers.next().unwrap());
            assert!(found == content(directory, file), "{path}");
        }
        let read = counted.read.load(Ordering::Relaxed);
        assert!(read < len + len / 10, "{options:?}: {read} of {len} bytes were read");

        let sums = |files: &[NodeId]| -> Vec<u32> {
            let mut reader = contents.reader();
            let sum = |id: &NodeId| {
                let mut hash = crc32fast::Hasher::new();
                reader.read(tree, *id, &mut |piece| hash.update(piece)).unwrap();
                hash.finalize()
            };
            files.iter().map(sum).collect()
        };
        let alone = sums(&files);
        let together: Vec<u32> = thread::scope(|scope| {
            let parts: Vec<_> =
                files.chunks(900).map(|part| scope.spawn(move || sums(part))).collect();
            parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
        });
        assert_eq!(alone, together);
    }
}
