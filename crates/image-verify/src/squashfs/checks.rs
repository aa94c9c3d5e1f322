//! The checks of SquashFS, in the order in which they are evaluated.

checks! {
    /// All checks of this format, in the order they are evaluated.
    CHECKS:

    /// The file system is too short for a superblock.
    SUPERBLOCK = "squashfs-superblock", Error;
    reads "the length of the file system";
    spec "Linux, fs/squashfs/squashfs_fs.h";

    /// The superblock starts with `hsqs`. Linux mounts nothing else.
    MAGIC = "squashfs-magic", Error;
    reads "s_magic";
    spec "Linux, fs/squashfs/super.c";

    /// The version is 4.0. Linux and unsquashfs read no other one; there has been no newer one
    /// since 2009.
    VERSION = "squashfs-version", Error;
    reads "s_major, s_minor";
    spec "Linux, fs/squashfs/super.c";

    /// The compressor is gzip, lzma, lzo, xz, lz4 or zstd. Nobody can read what another one wrote.
    COMPRESSOR = "squashfs-compressor", Error;
    reads "compression";
    spec "Linux, fs/squashfs/squashfs_fs.h";

    /// The compressor is not lzma. unsquashfs reads it, and Linux does not mount it.
    LZMA = "squashfs-lzma", Warning;
    reads "compression";
    spec "Linux, fs/squashfs/decompressor.c";

    /// A data block has 4 KiB to 1 MiB, a power of two. Linux mounts no other one.
    BLOCK_SIZE = "squashfs-block-size", Error;
    reads "block_size";
    spec "Linux, fs/squashfs/super.c";

    /// The logarithm of the block size is that. Linux does not mount the file system where they
    /// differ.
    BLOCK_LOG = "squashfs-block-log", Error;
    reads "block_log, block_size";
    spec "Linux, fs/squashfs/super.c";

    /// The file system is larger than what it is in: the image was cut. Linux does not mount it.
    SIZE = "squashfs-size", Error;
    reads "bytes_used, the length of the file system";
    spec "Linux, fs/squashfs/super.c";

    /// The last bytes are in a whole sector. A loop device leaves out what follows the last one of
    /// 512 bytes, and Linux then does not mount the file system. `mksquashfs` pads to 4 KiB, unless
    /// it is told not to.
    PADDING = "squashfs-padding", Warning;
    reads "bytes_used, the length of the file system";
    spec "Linux, drivers/block/loop.c";

    /// xz has a dictionary of a size that Linux knows, and lz4 says that its version is 1. Linux
    /// does not mount the file system otherwise.
    OPTIONS = "squashfs-compressor-options", Error;
    reads "what follows the superblock, where the flags say so";
    spec "Linux, fs/squashfs/xz_wrapper.c, lz4_wrapper.c";

    /// The flag for checksums of metadata is not set. They were given up before 4.0: Linux does not
    /// look, and unsquashfs takes the first byte of each block for one.
    CHECKSUMS = "squashfs-checksums", Warning;
    reads "flags";
    spec "squashfs-tools 4.5.1, unsquashfs.c: SQUASHFS_CHECK_DATA";

    /// What the compressor was told is what it can be told. `mksquashfs` does not append to the
    /// file system otherwise; nobody else looks.
    OPTION_VALUES = "squashfs-option-values", Warning;
    reads "level, window and strategies of gzip; algorithm and level of lzo; level of zstd";
    spec "squashfs-tools 4.5.1, *_extract_options";

    /// Inodes, directories, fragments, the export table, owners and extended attributes follow each
    /// other, each table as long as its number of entries needs, and do not overlap. Linux does not
    /// mount the file system otherwise.
    TABLES = "squashfs-tables", Error;
    reads "where the tables start, and their indexes";
    spec "Linux, fs/squashfs/super.c, id.c, export.c, fragment.c, xattr_id.c";

    /// Inodes, names, data blocks, fragments and tables are at most as many as are judged: a
    /// million inodes, a million names, four million blocks, 65,536 attributes of an inode, 512 MiB
    /// of a table; and 64 file systems of a disc. The trees of files of all file systems of an
    /// image take 224 MiB of memory: room for a million files whose names, and targets of symlinks,
    /// have 32 bytes each, or half as many with 256; each file system after the first one takes 2
    /// MiB of it as well. References do not jump so much that metadata blocks are read more than 8
    /// times, after the first 100,000. What is beyond may be good or not: not all of the file
    /// system was judged, and what is in its files was not.
    LIMITS = "squashfs-limits", Warning;
    reads "inodes, fragments, the directories, the tables of metadata";
    spec "the limits are ours";

    /// Every metadata block decompresses, to 8 KiB or, as the last one of its table, less. Linux
    /// fails with an input/output error on what is in one that does not.
    METADATA = "squashfs-metadata", Error;
    reads "the metadata blocks of all tables";
    spec "Linux, fs/squashfs/block.c, cache.c; squashfs-tools 4.5.1, unsquashfs.c";

    /// No block of a table with an index is longer on the disk than uncompressed. unsquashfs does
    /// not read the file system otherwise; Linux does, and squashfs-tools-ng writes it.
    EXPANDED = "squashfs-expanded-table", Warning;
    reads "the metadata blocks of ids, fragments, export table and extended attributes";
    spec "squashfs-tools 4.5.1, unsquashfs.c: read_block";

    /// The flags say what is true: whether tables are there, and what is not compressed. Linux
    /// looks at the tables and not at the flags; `mksquashfs -info` and what appends look at both.
    FLAGS = "squashfs-flags", Info;
    reads "flags, the tables, all blocks";
    spec "Linux, fs/squashfs/squashfs_fs.h";

    /// A fragment block is between the superblock and the inodes, and has 1 byte to a block.
    FRAGMENT_ENTRY = "squashfs-fragment-entry", Error;
    reads "the table of fragments";
    spec "Linux, fs/squashfs/fragment.c, block.c";

    /// An inode is one of the fourteen types. What follows another one cannot be read.
    INODE_TYPE = "squashfs-inode-type", Error;
    reads "inode_type";
    spec "Linux, fs/squashfs/inode.c";

    /// An inode ends in its table.
    INODE = "squashfs-inode", Error;
    reads "the table of inodes";
    spec "Linux, fs/squashfs/inode.c";

    /// The mode has permission, set-id and sticky bits, and no type but that of the inode. Linux
    /// puts the two together, and a directory may become a socket.
    MODE = "squashfs-mode", Error;
    reads "mode, inode_type";
    spec "Linux, fs/squashfs/inode.c";

    /// Owner and group are in the table of ids. Linux does not open the file otherwise.
    OWNER = "squashfs-owner", Error;
    reads "uid, guid, no_ids";
    spec "Linux, fs/squashfs/id.c";

    /// Every inode has a number of its own, from 1 to the number of inodes. Linux and programs take
    /// two files with the same number for one file with two names.
    INODE_NUMBER = "squashfs-inode-number", Error;
    reads "inode_number, inodes";
    spec "squashfs-tools 4.5.1, unsquash-4.c: an inode number that is too large";

    /// There are as many inodes as the superblock says.
    INODE_COUNT = "squashfs-inode-count", Error;
    reads "inodes, the table of inodes";
    spec "Linux, fs/squashfs/export.c, super.c (statfs)";

    /// The size of a file is one that Linux can have.
    FILE_SIZE = "squashfs-file-size", Error;
    reads "file_size";
    spec "Linux, fs/squashfs/inode.c; loff_t";

    /// A file does not spare more bytes than it has. `du` tells nonsense otherwise.
    SPARSE = "squashfs-sparse", Warning;
    reads "sparse, file_size";
    spec "Linux, fs/squashfs/inode.c";

    /// A data block has at most as many bytes on the disk as uncompressed. Linux does not read it
    /// otherwise.
    BLOCK_LEN = "squashfs-block-length", Error;
    reads "the block sizes of files, block_size";
    spec "Linux, fs/squashfs/block.c, squashfs_fs_sb.h";

    /// A data block is between the superblock and the inodes.
    BLOCK_RANGE = "squashfs-block-range", Error;
    reads "start_block and the block sizes of files";
    spec "Linux, fs/squashfs/block.c";

    /// The fragment of a file is in the table of fragments. Linux does not open the file otherwise.
    FRAGMENT = "squashfs-fragment", Error;
    reads "fragment, fragments";
    spec "Linux, fs/squashfs/fragment.c";

    /// The tail of a file is inside of its fragment block, and there is one where a fragment is
    /// named. What is missing would be read as zeros.
    TAIL = "squashfs-tail", Error;
    reads "offset, file_size, the length of the uncompressed fragment block";
    spec "Linux, fs/squashfs/file.c, inode.c";

    /// A symlink has a target of 1 to 4095 bytes, without a NUL. Linux cannot follow another one.
    SYMLINK = "squashfs-symlink", Error;
    reads "symlink_size, the target";
    spec "Linux, fs/squashfs/inode.c, symlink.c; PATH_MAX";

    /// The extended attributes of an inode are in the table. Linux does not open the file
    /// otherwise.
    XATTR_INDEX = "squashfs-xattr-index", Error;
    reads "xattr, xattr_ids";
    spec "Linux, fs/squashfs/xattr_id.c";

    /// The root is a directory.
    ROOT = "squashfs-root", Error;
    reads "root_inode";
    spec "Linux, fs/squashfs/super.c";

    /// The list of a directory is in the table of directories, and ends where its inode says. All
    /// lists together are not longer than the table, as no two directories share one.
    LIST = "squashfs-directory-list", Error;
    reads "start_block, offset and file_size of directories, the headers in lists";
    spec "Linux, fs/squashfs/dir.c, namei.c";

    /// A directory entry leads to the start of an inode. The file is lost otherwise.
    ENTRY_INODE = "squashfs-entry-inode", Error;
    reads "start_block of headers, offset of entries, the table of inodes";
    spec "Linux, fs/squashfs/namei.c";

    /// The number in a directory entry is that of the inode. Linux tells the one to programs that
    /// list a directory, and the other to those that ask for the file.
    ENTRY_NUMBER = "squashfs-entry-number", Error;
    reads "inode_number of headers, entries and inodes";
    spec "Linux, fs/squashfs/dir.c";

    /// The type in a directory entry is that of the inode.
    ENTRY_TYPE = "squashfs-entry-type", Error;
    reads "the type of entries and of inodes";
    spec "Linux, fs/squashfs/dir.c";

    /// A name has 1 to 255 bytes, no slash and no NUL, and is neither `.` nor `..`. Nobody can open
    /// another one, and unsquashfs ends there.
    NAME = "squashfs-name", Error;
    reads "the names in directories";
    spec "squashfs-tools 4.5.1, unsquash-1.c: check_name; NAME_MAX";

    /// Names are sorted, and each is there once. Linux stops to look for a name at the first one
    /// that is behind it: files that are not in their place cannot be opened.
    NAME_ORDER = "squashfs-name-order", Error;
    reads "the names in directories";
    spec "Linux, fs/squashfs/namei.c";

    /// The index of a directory leads to headers, each with the name that is there. Linux looks for
    /// names from there on, and does not find them otherwise.
    DIRECTORY_INDEX = "squashfs-directory-index", Error;
    reads "the index after inodes of directories, the lists";
    spec "Linux, fs/squashfs/namei.c, dir.c";

    /// A directory has one name. With another one its parent is not the one that it names, and
    /// programs that walk through the tree may not come to an end.
    DIRECTORY_LINK = "squashfs-directory-link", Error;
    reads "the directories";
    spec "Linux, fs/dcache.c: a directory has one alias";

    /// A directory names its parent. Linux tells the number to programs that list `..`, and NFS
    /// finds the parent by it.
    PARENT = "squashfs-parent", Warning;
    reads "parent_inode";
    spec "Linux, fs/squashfs/dir.c, export.c";

    /// The links of a directory are 2, and 1 for each directory in it, or more. Where they are
    /// fewer,
    /// `find` may not look at what cannot be a directory. squashfs-tools-ng counts files as well.
    DIRECTORY_LINKS = "squashfs-directory-links", Warning;
    reads "nlink of directories";
    spec "squashfs-tools 4.5.1, mksquashfs.c; squashfs-tools-ng 1.1.3";

    /// A file has as many names as it says.
    LINKS = "squashfs-links", Warning;
    reads "nlink, the directories";
    spec "squashfs-tools 4.5.1, mksquashfs.c";

    /// Every inode has a name. A file without one is lost.
    UNREACHABLE = "squashfs-unreachable", Error;
    reads "the table of inodes, the directories";
    spec "squashfs-tools 4.5.1, mksquashfs.c";

    /// The export table leads to the inode of each number. NFS opens another file otherwise.
    EXPORT = "squashfs-export", Error;
    reads "the export table, the table of inodes";
    spec "Linux, fs/squashfs/export.c";

    /// Names and values of extended attributes are in their table, and as long as Linux allows.
    XATTR = "squashfs-xattr", Error;
    reads "the table of extended attributes";
    spec "Linux, fs/squashfs/xattr.c; XATTR_NAME_MAX, XATTR_SIZE_MAX";

    /// An extended attribute is one of `user`, `trusted` or `security`. Linux leaves out others.
    XATTR_PREFIX = "squashfs-xattr-prefix", Warning;
    reads "the types of extended attributes";
    spec "Linux, fs/squashfs/xattr.c";

    /// The names of an inode, with prefixes and a NUL each, and the values add up to what its entry
    /// in the table says. Linux does not look.
    XATTR_SIZE = "squashfs-xattr-size", Warning;
    reads "the size in the table of extended attributes, names and values";
    spec "squashfs-tools 4.5.1, xattr.c";

    /// Blocks do not overlap. Files with the same content share whole blocks; one that starts
    /// inside another one is not what was written. Where they have more than twice the bytes that
    /// are there, none of them is read.
    OVERLAP = "squashfs-block-overlap", Error;
    reads "data blocks and fragment blocks";
    spec "squashfs-tools 4.5.1, mksquashfs.c";

    /// The blocks expand to at most 200 times their size, or to 4 GiB. No root file system is like
    /// that; a file made to fill a memory is. The blocks are not read.
    EXPANSION_LIMIT = "squashfs-expansion-limit", Error;
    reads "the sizes of files against those of their blocks";
    spec "the limit is ours";

    /// Every data block decompresses, to as many bytes as its file has there. Linux fails with an
    /// input/output error otherwise.
    DATA = "squashfs-data", Error;
    reads "all data blocks";
    spec "Linux, fs/squashfs/file.c, block.c";

    /// Every fragment block decompresses, to at most a block. The ends of many files are in one.
    FRAGMENT_BLOCK = "squashfs-fragment-block", Error;
    reads "all fragment blocks";
    spec "Linux, fs/squashfs/block.c, cache.c";
}
