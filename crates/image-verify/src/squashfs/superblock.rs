//! The superblock, and what the compressor was told: `squashfs_fill_super` of Linux.

use std::mem::{offset_of, size_of};

use image_formats::{
    bytes::ReadError,
    squashfs::{
        Compressor, Decoder, MetadataReader,
        raw::{GzipOptions, Lz4Options, LzoOptions, SuperBlock, XzOptions, ZstdOptions},
    },
};
use zerocopy::FromBytes;

use super::{
    BLOCK_LOG, BLOCK_SIZE, CHECKSUMS, COMPRESSOR, FLAGS, Judge, LZMA, MAGIC, METADATA,
    OPTION_VALUES, OPTIONS, PADDING, Place, SIZE, SUPERBLOCK, VERSION, Whose,
};

/// What the superblock told.
pub(super) struct Basics {
    pub(super) superblock: SuperBlock,
    pub(super) block_size: u32,
    /// Where the first data block may be.
    pub(super) data_start: u64,
    pub(super) reader: MetadataReader,
}

const STRUCTURE: &str = "SquashFS superblock";

/// `SQUASHFS_FILE_MAX_SIZE`.
const MAX_BLOCK_SIZE: u32 = 1 << 20;

impl Judge<'_> {
    /// A place in the superblock.
    pub(super) fn field(&self, offset: usize, len: u64) -> Place {
        self.place(STRUCTURE, offset as u64, len)
    }

    /// `None` where nothing can be read by what it says.
    pub(super) fn superblock(&mut self) -> Result<Option<Basics>, ReadError> {
        let len = self.region.len();
        let place = self.place(STRUCTURE, 0, len.min(SuperBlock::SIZE as u64));
        if !self.expect(&SUPERBLOCK, len >= SuperBlock::SIZE as u64, place, || {
            format!("the file system has {len} bytes, and a superblock 96")
        }) {
            return Ok(None);
        }
        let superblock = SuperBlock::read(self.region)?;
        let magic = superblock.s_magic.get();
        let place = self.field(offset_of!(SuperBlock, s_magic), 4);
        if !self.expect(&MAGIC, magic == SuperBlock::MAGIC, place, || {
            format!("{magic:#010x}, not {:#010x}", SuperBlock::MAGIC)
        }) {
            return Ok(None);
        }
        let (major, minor) = (superblock.s_major.get(), superblock.s_minor.get());
        let place = self.field(offset_of!(SuperBlock, s_major), 4);
        if !self.expect(&VERSION, (major, minor) == (4, 0), place, || {
            format!("{major}.{minor}, not 4.0")
        }) {
            return Ok(None);
        }
        let number = superblock.compression.get();
        let compressor = Compressor::of(number);
        let place = self.field(offset_of!(SuperBlock, compression), 2);
        self.expect(&COMPRESSOR, compressor.is_some(), place, || {
            format!("number {number}, and there are those from 1 to 6")
        });
        let Some(compressor) = compressor else { return Ok(None) };
        self.expect(&LZMA, compressor != Compressor::Lzma, place, || {
            "lzma, which Linux does not read".to_owned()
        });
        let place = self.field(offset_of!(SuperBlock, flags), 2);
        self.expect(&CHECKSUMS, !superblock.has(SuperBlock::CHECK), place, || {
            "set, and there are no checksums".to_owned()
        });
        let sizes = self.block_size(&superblock) & self.size(&superblock);
        if !sizes {
            return Ok(None);
        }
        let block_size = superblock.block_size.get();
        let mut reader = MetadataReader::new(self.region.clone(), Decoder::new(compressor));
        let data_start = self.options(&superblock, compressor, &mut reader)?;
        Ok(Some(Basics { superblock, block_size, data_start, reader }))
    }

    fn block_size(&mut self, superblock: &SuperBlock) -> bool {
        let size = superblock.block_size.get();
        let place = self.field(offset_of!(SuperBlock, block_size), 4);
        let known = (4096..=MAX_BLOCK_SIZE).contains(&size) && size.is_power_of_two();
        let known = self.expect(&BLOCK_SIZE, known, place, || {
            format!("{size} bytes, not a power of two from 4096 to {MAX_BLOCK_SIZE}")
        });
        if !known {
            return false;
        }
        let log = superblock.block_log.get();
        let place = self.field(offset_of!(SuperBlock, block_log), 2);
        self.expect(&BLOCK_LOG, u32::from(log) == size.ilog2(), place, || {
            format!("{log}, not {}", size.ilog2())
        })
    }

    fn size(&mut self, superblock: &SuperBlock) -> bool {
        let (used, len) = (superblock.bytes_used.get(), self.region.len());
        let place = self.field(offset_of!(SuperBlock, bytes_used), 8);
        let fits =
            self.expect(&SIZE, used <= len, place, || format!("{used} bytes, and {len} are there"));
        if fits {
            let sectors = len - len % 512;
            self.expect(&PADDING, used <= sectors, place, || {
                format!("{used} bytes, and only {sectors} of {len} are in whole sectors")
            });
        }
        fits
    }

    /// What the compressor was told. Returns where data may start.
    fn options(
        &mut self,
        superblock: &SuperBlock,
        compressor: Compressor,
        reader: &mut MetadataReader,
    ) -> Result<u64, ReadError> {
        const STRUCTURE: &str = "SquashFS compressor options";
        let at = SuperBlock::SIZE as u64;
        let mut place = self.place(STRUCTURE, at, 0);
        let (mut bytes, mut data_start) = (None, at);
        if superblock.has(SuperBlock::COMPRESSOR_OPTIONS) {
            match reader.block(at, superblock.bytes_used.get()) {
                Ok(block) => {
                    place.len = block.next - at;
                    bytes = Some(block.data.clone());
                    data_start = block.next;
                }
                Err(error) => self.unreadable(&METADATA, STRUCTURE, Whose::Nobody, error)?,
            }
        }
        let bytes = bytes.as_deref();
        match compressor {
            Compressor::Lz4 => {
                let version = bytes.and_then(read::<Lz4Options>).map(|raw| raw.version.get());
                self.expect(
                    &OPTIONS,
                    version == Some(Lz4Options::LEGACY),
                    place,
                    || match version {
                        Some(version) => format!("version {version} of lz4, not 1"),
                        None => "no version of lz4, which must be 1".to_owned(),
                    },
                );
            }
            Compressor::Xz => {
                let size = bytes.map(|bytes| {
                    read::<XzOptions>(bytes).map_or(0, |raw| raw.dictionary_size.get())
                });
                let known = size.is_none_or(|size| {
                    let power = size & size.wrapping_neg();
                    size != 0 && (size == power || power.checked_mul(3) == Some(size))
                });
                self.expect(&OPTIONS, known, place, || {
                    let size = size.unwrap_or(0);
                    format!("a dictionary of {size} bytes, not 2^n or 2^n + 2^(n+1)")
                });
            }
            _ => self.evaluated(&[&OPTIONS]),
        }
        if let Some(bytes) = bytes {
            let fault = fault_of(compressor, bytes);
            self.expect(&OPTION_VALUES, fault.is_none(), place, || fault.unwrap_or_default());
        } else {
            self.evaluated(&[&OPTION_VALUES]);
        }
        Ok(data_start)
    }

    /// What the flags say, once everything was seen.
    pub(super) fn flags(&mut self, superblock: &SuperBlock) {
        let flags = superblock.flags.get();
        let place = self.field(offset_of!(SuperBlock, flags), 2);
        let unknown = flags & !SuperBlock::FLAGS;
        self.expect(&FLAGS, unknown == 0, place, || format!("{unknown:#06x}, which are not known"));
        let none = |table: u64| table == SuperBlock::NONE;
        let exportable = !none(superblock.lookup_table_start.get());
        let claims = [
            (
                superblock.has(SuperBlock::EXPORTABLE) == exportable,
                "the flag for an export table and the table are not together",
            ),
            (
                !superblock.has(SuperBlock::NO_FRAGMENTS) || superblock.fragments.get() == 0,
                "there are fragments, and the flags say that there are none",
            ),
            (
                !superblock.has(SuperBlock::NO_XATTRS)
                    || none(superblock.xattr_id_table_start.get()),
                "there are extended attributes, and the flags say that there are none",
            ),
        ];
        for (holds, message) in claims {
            self.expect(&FLAGS, holds, place, || message.to_owned());
        }
        for what in std::mem::take(&mut self.unlike) {
            self.expect(&FLAGS, false, place, || {
                format!("{what} are compressed, and the flags say that they are not")
            });
        }
    }

    /// Notes that something is compressed, which the flags may deny.
    pub(super) fn is_compressed(&mut self, superblock: &SuperBlock, flag: u16, what: &'static str) {
        if superblock.has(flag) && !self.unlike.contains(&what) {
            self.unlike.push(what);
        }
    }
}

fn read<T: FromBytes>(bytes: &[u8]) -> Option<T> {
    T::read_from_prefix(bytes).ok().map(|(value, _)| value)
}

/// What is none of the options that there are.
fn fault_of(compressor: Compressor, bytes: &[u8]) -> Option<String> {
    let short = |len: usize| {
        (bytes.len() < len).then(|| format!("{} bytes, and {len} are needed", bytes.len()))
    };
    let outside = |what: &str, value: i64, first: i64, last: i64| {
        let inside = (first..=last).contains(&value);
        (!inside).then(|| format!("{what} {value}, not {first} to {last}"))
    };
    match compressor {
        Compressor::Gzip => short(size_of::<GzipOptions>()).or_else(|| {
            let raw: GzipOptions = read(bytes)?;
            outside("level", raw.compression_level.get().into(), 1, 9)
                .or_else(|| outside("window", raw.window_size.get().into(), 8, 15))
                .or_else(|| outside("strategies", raw.strategy.get().into(), 0, 31))
        }),
        Compressor::Lzo => short(size_of::<LzoOptions>()).or_else(|| {
            let raw: LzoOptions = read(bytes)?;
            let last = if raw.algorithm.get() == 4 { 9 } else { 0 };
            let first = last.min(1);
            outside("algorithm", raw.algorithm.get().into(), 0, 4)
                .or_else(|| outside("level", raw.compression_level.get().into(), first, last))
        }),
        Compressor::Xz => short(size_of::<XzOptions>()).or_else(|| {
            let raw: XzOptions = read(bytes)?;
            outside("filters", raw.flags.get().into(), 0, 63)
        }),
        Compressor::Lz4 => short(size_of::<Lz4Options>()).or_else(|| {
            let raw: Lz4Options = read(bytes)?;
            outside("flags", raw.flags.get().into(), 0, 1)
        }),
        Compressor::Zstd => short(size_of::<ZstdOptions>()).or_else(|| {
            let raw: ZstdOptions = read(bytes)?;
            outside("level", raw.compression_level.get().into(), 1, 22)
        }),
        Compressor::Lzma => Some("lzma has none".to_owned()),
    }
}
