//! SquashFS: superblock, options of the compressor, tables and files, also where they are broken.

use std::{
    collections::{BTreeSet, VecDeque},
    io,
};

use image_formats::{
    bytes::{ReadError, Region},
    squashfs::{
        Body, Compressor, DataSize, Decoder, DirectoryItem, DirectoryList, FileType, Inode,
        LookupTable, MetadataError, MetadataReader, MetadataRef,
        raw::{
            FragmentEntry, GzipOptions, Lz4Options, LzoOptions, SuperBlock, XattrId, XattrIdTable,
            XzOptions, ZstdOptions,
        },
    },
};
use image_host::interrupt;
use serde_json::Value;
use zerocopy::FromBytes as _;

use super::{
    Printer, Structure,
    disk::{machine, present},
    hex, structure, text,
};

/// How many entries of each table are printed.
const MAX_ENTRIES: u32 = 64;

/// How many blocks of metadata of a table are counted.
const MAX_BLOCKS: u32 = 1 << 20;

/// The most bytes of paths of directories that wait to be read.
const MAX_WAITING: usize = 64 << 20;

/// The longest target that is printed.
const MAX_TARGET: u32 = 4096;

/// True if it starts as a SquashFS does.
pub(super) fn is_one(region: &Region) -> Result<bool, ReadError> {
    let first = present(SuperBlock::read(region))?;
    Ok(first.is_some_and(|first| first.s_magic.get() == SuperBlock::MAGIC))
}

/// Prints what there is, as far as it can be read.
pub(super) fn inspect(region: &Region, out: &mut Printer) -> io::Result<()> {
    let Some(first) = present(SuperBlock::read(region)).map_err(machine)? else { return Ok(()) };
    out.print(&superblock(region, &first))?;
    let Some(compressor) = Compressor::of(first.compression.get()) else { return Ok(()) };
    let reader = MetadataReader::new(region.clone(), Decoder::new(compressor));
    let end = first.bytes_used.get().min(region.len());
    let mut image = Image { region, first, compressor, reader, end };
    for found in image.tables().map_err(machine)? {
        out.print(&found)?;
    }
    image.files(out)
}

/// A number, or nothing where a table is not there.
fn place(at: u64) -> Value {
    if at == SuperBlock::NONE { Value::Null } else { at.into() }
}

fn superblock(region: &Region, first: &SuperBlock) -> Structure {
    const FLAGS: [(u16, &str); 12] = [
        (SuperBlock::UNCOMPRESSED_INODES, "uncompressedInodes"),
        (SuperBlock::UNCOMPRESSED_DATA, "uncompressedData"),
        (SuperBlock::CHECK, "check"),
        (SuperBlock::UNCOMPRESSED_FRAGMENTS, "uncompressedFragments"),
        (SuperBlock::NO_FRAGMENTS, "noFragments"),
        (SuperBlock::ALWAYS_FRAGMENTS, "alwaysFragments"),
        (SuperBlock::DUPLICATES, "duplicates"),
        (SuperBlock::EXPORTABLE, "exportable"),
        (SuperBlock::UNCOMPRESSED_XATTRS, "uncompressedXattrs"),
        (SuperBlock::NO_XATTRS, "noXattrs"),
        (SuperBlock::COMPRESSOR_OPTIONS, "compressorOptions"),
        (SuperBlock::UNCOMPRESSED_IDS, "uncompressedIds"),
    ];
    let set = FLAGS.iter().filter(|(flag, _)| first.has(*flag)).map(|(_, name)| (*name).into());
    let root = MetadataRef::of(first.root_inode.get());
    let number = first.compression.get();
    let compressor = Compressor::of(number).map_or(number.into(), |c| c.as_str().into());
    structure(
        "squashfs superblock",
        "raw",
        region.start().0,
        [
            ("magic", hex(first.s_magic.get())),
            ("version", format!("{}.{}", first.s_major.get(), first.s_minor.get()).into()),
            ("compressor", compressor),
            ("blockSize", first.block_size.get().into()),
            ("blockLog", first.block_log.get().into()),
            ("flags", set.collect::<Vec<Value>>().into()),
            ("inodes", first.inodes.get().into()),
            ("fragments", first.fragments.get().into()),
            ("ids", first.no_ids.get().into()),
            ("mkfsTime", first.mkfs_time.get().into()),
            ("rootInode", format!("{}:{}", root.block, root.offset).into()),
            ("bytesUsed", first.bytes_used.get().into()),
            ("idTable", place(first.id_table_start.get())),
            ("xattrTable", place(first.xattr_id_table_start.get())),
            ("inodeTable", place(first.inode_table_start.get())),
            ("directoryTable", place(first.directory_table_start.get())),
            ("fragmentTable", place(first.fragment_table_start.get())),
            ("exportTable", place(first.lookup_table_start.get())),
        ],
    )
}

/// `None` where the image does not say more.
fn readable<T>(read: Result<T, MetadataError>) -> Result<Option<T>, ReadError> {
    read.map(Some).or_else(|error| error.machine().map(|_| None))
}

struct Image<'a> {
    region: &'a Region,
    first: SuperBlock,
    compressor: Compressor,
    reader: MetadataReader,
    /// Where the file system ends.
    end: u64,
}

impl Image<'_> {
    fn tables(&mut self) -> Result<Vec<Structure>, ReadError> {
        let first = self.first;
        let mut found = Vec::new();
        if first.has(SuperBlock::COMPRESSOR_OPTIONS) {
            found.extend(self.options()?);
        }
        let (inodes, directories) =
            (first.inode_table_start.get(), first.directory_table_start.get());
        found.extend(self.blocks("inodes", inodes, directories)?);
        // The first block of the next table is what ends this one, and nothing tells where it is
        // but the index of that table.
        let indexes = [
            (first.fragment_table_start.get(), first.fragments.get()),
            (first.lookup_table_start.get(), first.inodes.get()),
            (first.id_table_start.get(), first.no_ids.get().into()),
        ];
        let mut end = self.end;
        for (index, _) in
            indexes.iter().filter(|(index, count)| *index != SuperBlock::NONE && *count > 0)
        {
            let at = present(self.region.array("SquashFS table index", *index))?;
            let at = at.map_or(self.end, u64::from_le_bytes);
            end = end.min(if at > directories { at } else { end });
        }
        found.extend(self.blocks("directories", directories, end)?);
        let fragments = first.fragment_table_start.get();
        if fragments != SuperBlock::NONE {
            let table = LookupTable::new::<FragmentEntry>(fragments, first.fragments.get());
            found.push(self.table("fragments", &table));
            for number in 0..table.entries.min(MAX_ENTRIES) {
                let Some(entry) = readable(table.entry::<FragmentEntry>(&mut self.reader, number))?
                else {
                    break;
                };
                let size = DataSize(entry.size.get());
                found.push(structure(
                    "squashfs fragment",
                    "raw",
                    self.region.absolute(entry.start_block.get()).0,
                    [
                        ("number", number.into()),
                        ("stored", size.stored_len().into()),
                        ("compressed", size.is_compressed().into()),
                    ],
                ));
            }
        }
        let exports = first.lookup_table_start.get();
        if exports != SuperBlock::NONE {
            let table =
                LookupTable::new::<zerocopy::little_endian::U64>(exports, first.inodes.get());
            found.push(self.table("exports", &table));
        }
        let ids = first.id_table_start.get();
        if ids != SuperBlock::NONE {
            let table =
                LookupTable::new::<zerocopy::little_endian::U32>(ids, first.no_ids.get().into());
            let mut line = self.table("ids", &table);
            let mut values = Vec::new();
            for number in 0..table.entries.min(MAX_ENTRIES) {
                let id = table.entry::<zerocopy::little_endian::U32>(&mut self.reader, number);
                let Some(id) = readable(id)? else { break };
                values.push(Value::from(id.get()));
            }
            line.fields.push(("values", values.into()));
            found.push(line);
        }
        found.extend(self.attributes()?);
        Ok(found)
    }

    fn table(&self, name: &'static str, table: &LookupTable) -> Structure {
        structure(
            "squashfs table",
            "raw",
            self.region.absolute(table.at).0,
            [
                ("of", name.into()),
                ("entries", table.entries.into()),
                ("blocks", table.blocks().into()),
            ],
        )
    }

    /// The metadata blocks of a table that has no index.
    fn blocks(
        &mut self,
        name: &'static str,
        start: u64,
        end: u64,
    ) -> Result<Option<Structure>, ReadError> {
        let (mut at, mut count, mut compressed, mut len) = (start, 0_u32, 0_u32, 0_u64);
        while at < end && count < MAX_BLOCKS {
            let Some(block) = readable(self.reader.block(at, end))? else { break };
            count += 1;
            compressed += u32::from(block.compressed);
            len += block.data.len() as u64;
            at = block.next;
        }
        Ok(Some(structure(
            "squashfs table",
            "raw",
            self.region.absolute(start).0,
            [
                ("of", name.into()),
                ("blocks", count.into()),
                ("compressedBlocks", compressed.into()),
                ("stored", at.saturating_sub(start).into()),
                ("length", len.into()),
            ],
        )))
    }

    fn attributes(&mut self) -> Result<Option<Structure>, ReadError> {
        let at = self.first.xattr_id_table_start.get();
        if at == SuperBlock::NONE {
            return Ok(None);
        }
        let Some(bytes) = present(self.region.array::<16>("SquashFS xattr table", at))? else {
            return Ok(None);
        };
        let Ok(head) = XattrIdTable::read_from_bytes(&bytes) else { return Ok(None) };
        let table = LookupTable::new::<XattrId>(at.saturating_add(16), head.xattr_ids.get());
        let mut line = self.table("attributes", &table);
        line.fields.push(("namesAndValues", head.xattr_table_start.get().into()));
        Ok(Some(line))
    }

    /// What the compressor was told, in a metadata block that is not compressed.
    fn options(&mut self) -> Result<Option<Structure>, ReadError> {
        let at = SuperBlock::SIZE as u64;
        let Some(block) = readable(self.reader.block(at, self.end))? else { return Ok(None) };
        let fields = options_of(self.compressor, &block.data).unwrap_or_default();
        let at = self.region.absolute(at).0;
        Ok(Some(structure("squashfs options", "raw", at, fields)))
    }

    /// Each inode that a directory leads to, from the root on.
    fn files(&mut self, out: &mut Printer) -> io::Result<()> {
        let mut waiting = VecDeque::new();
        let (mut waiting_len, mut seen) = (0, BTreeSet::new());
        let root = MetadataRef::of(self.first.root_inode.get());
        if let Some(directory) = self.inode(root, b"/", out)? {
            seen.insert(root);
            waiting.push_back((directory, Vec::new()));
        }
        while let Some((directory, path)) = waiting.pop_front() {
            interrupt::check()?;
            waiting_len -= path.len();
            for (child, name) in self.list(&directory).map_err(machine)? {
                interrupt::check()?;
                let path = [&path, &b"/"[..], &name].concat();
                let Some(inner) = self.inode(child, &path, out)? else { continue };
                if seen.insert(child) && waiting_len + path.len() <= MAX_WAITING {
                    waiting_len += path.len();
                    waiting.push_back((inner, path));
                }
            }
        }
        Ok(())
    }

    /// The entries of a directory: where their inodes are, and their names.
    fn list(
        &mut self,
        directory: &image_formats::squashfs::Directory,
    ) -> Result<Vec<(MetadataRef, Vec<u8>)>, ReadError> {
        let at = MetadataRef { block: directory.start_block.into(), offset: directory.offset };
        let start = self.first.directory_table_start.get();
        let cursor = self.reader.cursor(start, self.end, at);
        let mut list = DirectoryList::new(cursor, directory.list_len());
        let (mut found, mut block) = (Vec::new(), 0);
        while let Some(Some(Ok(item))) = readable(list.next_item())? {
            match item {
                DirectoryItem::Header { header, .. } => block = header.start_block.get().into(),
                DirectoryItem::Entry { entry, name, .. } => {
                    found.push((MetadataRef { block, offset: entry.offset.get() }, name));
                }
            }
            // As much as is kept of paths.
            if found.len() > MAX_WAITING / 64 {
                break;
            }
        }
        Ok(found)
    }

    /// Prints an inode, and returns it if it is a directory.
    fn inode(
        &mut self,
        at: MetadataRef,
        path: &[u8],
        out: &mut Printer,
    ) -> io::Result<Option<image_formats::squashfs::Directory>> {
        let start = self.first.inode_table_start.get();
        let end = self.first.directory_table_start.get().min(self.end);
        let offset = self.region.absolute(start.saturating_add(at.block)).0;
        let block_size = self.first.block_size.get();
        let mut cursor = self.reader.cursor(start, end, at);
        let read = readable(Inode::read(&mut cursor)).map_err(machine)?;
        let Some((header, Some(inode))) = read else {
            let fields = [("byte", at.offset.into()), ("path", text(path))];
            out.print(&structure("no inode", "raw", offset, fields))?;
            return Ok(None);
        };
        let mut fields = vec![
            ("byte", at.offset.into()),
            ("inode", header.inode_number.get().into()),
            ("type", header.inode_type.get().into()),
            ("mode", format!("{:04o}", header.mode.get()).into()),
            ("owner", format!("{}:{}", header.uid.get(), header.guid.get()).into()),
            ("mtime", header.mtime.get().into()),
            ("links", inode.links.into()),
        ];
        fields.extend(inode.xattr.map(|index| ("attributes", index.into())));
        let mut directory = None;
        match inode.body {
            Body::Directory(found) => {
                fields.extend([
                    ("length", found.list_len().into()),
                    ("list", format!("{}:{}", found.start_block, found.offset).into()),
                    ("parent", found.parent.into()),
                    ("indexes", found.indexes.into()),
                ]);
                directory = Some(found);
            }
            Body::File(file) => {
                fields.extend([
                    ("size", file.size.into()),
                    ("start", file.start_block.into()),
                    ("blocks", file.blocks(block_size).into()),
                    ("sparse", file.sparse.into()),
                ]);
                fields.extend(
                    file.fragment
                        .map(|number| ("fragment", format!("{number}:{}", file.offset).into())),
                );
            }
            Body::Symlink { len, .. } => {
                let target = readable(cursor.bytes(len.min(MAX_TARGET) as usize));
                fields.extend(target.map_err(machine)?.map(|target| ("target", text(&target))));
            }
            Body::Device { rdev, .. } => fields.push(("device", hex(rdev))),
            Body::Ipc(_) => {}
        }
        fields.push(("path", text(path)));
        let name = match inode.file_type() {
            FileType::Directory => "directory",
            FileType::File => "file",
            FileType::Symlink => "symlink",
            _ => "special",
        };
        out.print(&structure(name, "raw", offset, fields))?;
        Ok(directory)
    }
}

fn options_of(compressor: Compressor, data: &[u8]) -> Option<Vec<(&'static str, Value)>> {
    Some(match compressor {
        Compressor::Gzip => {
            let (raw, _) = GzipOptions::read_from_prefix(data).ok()?;
            vec![
                ("level", raw.compression_level.get().into()),
                ("window", raw.window_size.get().into()),
                ("strategies", raw.strategy.get().into()),
            ]
        }
        Compressor::Lzo => {
            let (raw, _) = LzoOptions::read_from_prefix(data).ok()?;
            vec![
                ("algorithm", raw.algorithm.get().into()),
                ("level", raw.compression_level.get().into()),
            ]
        }
        Compressor::Xz => {
            let (raw, _) = XzOptions::read_from_prefix(data).ok()?;
            vec![
                ("dictionary", raw.dictionary_size.get().into()),
                ("filters", raw.flags.get().into()),
            ]
        }
        Compressor::Lz4 => {
            let (raw, _) = Lz4Options::read_from_prefix(data).ok()?;
            vec![("version", raw.version.get().into()), ("flags", raw.flags.get().into())]
        }
        Compressor::Zstd => {
            let (raw, _) = ZstdOptions::read_from_prefix(data).ok()?;
            vec![("level", raw.compression_level.get().into())]
        }
        Compressor::Lzma => Vec::new(),
    })
}
