//! The checks of ISO 9660, in the order they are evaluated: volume descriptors, directories, names,
//! path tables, extents, Joliet.

checks! {
    /// All checks of this format, in the order they are evaluated.
    CHECKS:

    /// The first volume descriptor is in sector 16, and named `CD001`. Without it nothing takes the
    /// bytes for a disc.
    SIGNATURE = "iso9660-signature", Error;
    reads "Standard Identifier of the first volume descriptor";
    spec "ECMA-119 §7.1.1, §8.1.2";

    /// The list of volume descriptors ends with a terminator. What follows a list without one may
    /// be taken for a descriptor; Linux does not look.
    TERMINATOR = "iso9660-terminator", Warning;
    reads "Volume Descriptor Type, Standard Identifier";
    spec "ECMA-119 §8.3";

    /// The type of a volume descriptor is one that the standard has. Everybody skips others.
    DESCRIPTOR_TYPE = "iso9660-descriptor-type", Info;
    reads "Volume Descriptor Type";
    spec "ECMA-119 §8.1.1";

    /// The version of a volume descriptor is 1, or 2 where it is an enhanced one. libarchive does
    /// not take it for one else; Linux does not look.
    DESCRIPTOR_VERSION = "iso9660-descriptor-version", Warning;
    reads "Volume Descriptor Version";
    spec "ECMA-119 §8.1.3";

    /// There is a primary volume descriptor. It leads to the files.
    PRIMARY = "iso9660-primary", Error;
    reads "all volume descriptors";
    spec "ECMA-119 §7.1.1";

    /// Where there are several primary volume descriptors, they are equal. It is not told which one
    /// of them is read.
    PRIMARY_COPY = "iso9660-primary-copy", Warning;
    reads "all primary volume descriptors";
    spec "ECMA-119 §7.1.1";

    /// A logical block has 512, 1024 or 2048 bytes. Linux mounts nothing else, and all places are
    /// counted in blocks.
    BLOCK_SIZE = "iso9660-block-size", Error;
    reads "Logical Block Size";
    spec "ECMA-119 §6.2.2";

    /// Numbers that are written in both byte orders are the same in both. Linux and most others
    /// read the little-endian one; firmware of big-endian machines reads the other.
    BOTH_ENDIAN = "iso9660-both-endian", Warning;
    reads "all numbers of volume descriptors and directory records that are there twice";
    spec "ECMA-119 §7.2.3, §7.3.3";

    /// The disc is the only one of its set. Linux reads each disc as if it were.
    VOLUME_SET = "iso9660-volume-set", Warning;
    reads "Volume Set Size, Volume Sequence Number";
    spec "ECMA-119 §8.4.11, §8.4.12";

    /// The version of directories and path tables is 1, or 2 where an enhanced descriptor leads to
    /// them. libarchive does not read others; Linux does not look.
    STRUCTURE_VERSION = "iso9660-structure-version", Warning;
    reads "File Structure Version";
    spec "ECMA-119 §8.4.31, §8.5.19";

    /// The bytes of a volume descriptor that have no use are 0. libarchive takes it for none else,
    /// and the image for no disc; Linux does not look.
    UNUSED = "iso9660-unused", Warning;
    reads "the unused and the reserved bytes of volume descriptors";
    spec "ECMA-119 §8.4, §8.5";

    /// The dates of the volume are dates, or unset. `blkid` makes the UUID of them as they are.
    DATES = "iso9660-dates", Warning;
    reads "Volume Creation, Modification, Expiration and Effective Date and Time";
    spec "ECMA-119 §8.4.26";

    /// The record of the root directory in a volume descriptor is one of a directory. Everybody
    /// starts there.
    ROOT = "iso9660-root", Error;
    reads "Directory Record for Root Directory";
    spec "ECMA-119 §8.4.18";

    /// The volume is not larger than what it is in: an image that was cut, or did not arrive whole.
    /// Files at its end are lost. More bytes than it needs do no harm.
    VOLUME_SIZE = "iso9660-volume-size", Error;
    reads "Volume Space Size, Logical Block Size, the length of the image";
    spec "ECMA-119 §8.4.8";

    /// The characters of a supplementary volume descriptor are those of Joliet. Nobody reads the
    /// files that another one leads to.
    ESCAPE = "iso9660-escape-sequences", Info;
    reads "Escape Sequences";
    spec "ECMA-119 §8.5.6; Joliet";

    /// A supplementary volume descriptor has the same volume as the primary one. Linux takes the
    /// numbers of the one whose files it shows.
    SUPPLEMENTARY = "iso9660-supplementary", Warning;
    reads "Volume Space Size, Logical Block Size of all volume descriptors";
    spec "ECMA-119 §8.5.1";

    /// The label of Joliet is the primary one, as far as its 16 letters go. Where they differ,
    /// `blkid` and `/dev/disk/by-label` take that of Joliet, and who reads the primary volume
    /// descriptor the other.
    JOLIET_LABEL = "joliet-label", Warning;
    reads "Volume Identifier of the primary volume descriptor and that of Joliet";
    spec "ECMA-119 §8.4.7, §8.5.4; util-linux 2.38, iso9660.c";

    /// A partition of the volume is in it.
    PARTITION = "iso9660-partition", Warning;
    reads "Volume Partition Location, Volume Partition Size";
    spec "ECMA-119 §8.6";

    /// The length of a directory is one of whole sectors. Linux reads as far as it says.
    DIRECTORY_LENGTH = "iso9660-directory-length", Warning;
    reads "Data Length of all directories";
    spec "ECMA-119 §6.8.1.3";

    /// The content of a directory is that of no other one, least of all of one that it is in: then
    /// it has no end.
    DIRECTORY_SHARED = "iso9660-directory-shared", Error;
    reads "the extents of all directories";
    spec "ECMA-119 §6.8.2";

    /// A directory record is whole, and ends in the sector that it starts in. Linux reports an
    /// input/output error at a broken one, and other readers stop: files behind it are lost.
    RECORD = "iso9660-record", Error;
    reads "Length of Directory Record, Length of File Identifier";
    spec "ECMA-119 §6.8.1.1, §9.1.1";

    /// After the last record of a sector there are only zeros. Everybody skips to the next sector.
    PADDING = "iso9660-padding", Info;
    reads "the rest of all sectors of directories";
    spec "ECMA-119 §6.8.1.1";

    /// The first record of a directory is of itself, with the place and the length that its parent
    /// knows. Linux and Windows read the directory where it says; most others where the parent
    /// does.
    SELF = "iso9660-self", Error;
    reads "the first record of all directories";
    spec "ECMA-119 §6.8.2.2; Linux, fs/isofs/isofs.h";

    /// The second record of a directory is of its parent, with the right place and length. Linux
    /// asks it when the disc is exported by NFS. In the trees of Joliet and of enhanced descriptors
    /// it may be of the directory itself, as xorriso writes it: nobody asks it there.
    PARENT = "iso9660-parent", Warning;
    reads "the second record of all directories";
    spec "ECMA-119 §6.8.2.2";

    /// The dates of files are dates, or unset.
    RECORDING = "iso9660-recording-date", Warning;
    reads "Recording Date and Time of all directory records";
    spec "ECMA-119 §9.1.5";

    /// File flags that the standard reserves are not set.
    FLAGS = "iso9660-flags", Info;
    reads "File Flags of all directory records";
    spec "ECMA-119 §9.1.6";

    /// No file is interleaved with another one. Linux shows such a file without any content.
    INTERLEAVE = "iso9660-interleave", Error;
    reads "Interleave Gap Size of all directory records";
    spec "ECMA-119 §6.4.3, §9.1.8";

    /// All files are on this disc of the set. Linux reads those of others from this one.
    VOLUME_SEQUENCE = "iso9660-volume-sequence", Warning;
    reads "Volume Sequence Number of all directory records";
    spec "ECMA-119 §9.1.9";

    /// The content of a file or directory is in the image. What is not there cannot be read.
    EXTENT = "iso9660-extent", Error;
    reads "Location of Extent, Data Length of all directory records";
    spec "ECMA-119 §9.1.3, §9.1.4";

    /// The content of a file is in the volume space. Linux reads what is behind it, as long as the
    /// image has it; who copies the volume by its size loses it.
    VOLUME_SPACE = "iso9660-volume-space", Warning;
    reads "Location of Extent, Data Length of all directory records, Volume Space Size";
    spec "ECMA-119 §6.2, §8.4.8";

    /// The extents of a file of several follow each other in its directory, under the same name,
    /// and there are at most 100, as many as Linux reads.
    MULTI_EXTENT = "iso9660-multi-extent", Error;
    reads "File Flags, File Identifier of all directory records";
    spec "ECMA-119 §6.5.1, §9.1.6";

    /// An extent that others of the same file follow has whole blocks. Linux reads the file as if
    /// it had.
    SECTION_SIZE = "iso9660-section-size", Error;
    reads "Data Length of records of files of several extents";
    spec "ECMA-119 §6.4.2";

    /// Names can be opened: they are not empty, `.` or `..`, and have no slash and no zero byte.
    FILE_NAME = "iso9660-name", Warning;
    reads "File Identifier of all directory records";
    spec "ECMA-119 §7.5, §7.6";

    /// A name is in a directory only once. Of two files with the same name one is lost.
    DUPLICATE = "iso9660-duplicate-name", Error;
    reads "File Identifier of all directory records";
    spec "ECMA-119 §7.5, §10.3";

    /// Names are in order. Linux does not rely on it; a reader may stop at the first name that
    /// comes later than the one it looks for.
    ORDER = "iso9660-order", Info;
    reads "File Identifier of all directory records";
    spec "ECMA-119 §10.3; Joliet";

    /// Directories are nested 8 deep at most, the root included. Only very old systems mind.
    DEPTH = "iso9660-depth", Info;
    reads "all directories of the primary tree";
    spec "ECMA-119 §6.8.2.1";

    /// Names have 31 letters at most. Only very old systems mind. Not asked where there are names
    /// of Rock Ridge or Joliet, which hide these.
    NAME_LENGTH = "iso9660-name-length", Info;
    reads "File Identifier of all directory records of the primary tree";
    spec "ECMA-119 §7.5.1, §7.6.3";

    /// Names are written with the letters of the standard, A to Z, 0 to 9 and _. Only very old
    /// systems mind others. Not asked where there are names of Rock Ridge or Joliet.
    NAME_CHARACTERS = "iso9660-name-characters", Info;
    reads "File Identifier of all directory records of the primary tree";
    spec "ECMA-119 §7.4.1, §7.5.1";

    /// The path table is in the image, and can be read to its end. Windows looks for directories in
    /// it; Linux does not.
    PATH_TABLE = "iso9660-path-table", Error;
    reads "Location of Occurrence of Type L Path Table, Path Table Size, the table";
    spec "ECMA-119 §6.9, §8.4.14";

    /// The big-endian path table lists the same as the little-endian one, which is the one that is
    /// read.
    PATH_TABLE_BIG = "iso9660-path-table-big", Warning;
    reads "Location of Occurrence of Type M Path Table, both tables";
    spec "ECMA-119 §6.9.2, §8.4.16";

    /// A copy of a path table, where there is one, is equal to it.
    PATH_TABLE_COPY = "iso9660-path-table-copy", Warning;
    reads "Location of Optional Occurrence of Type L and Type M Path Table, the tables";
    spec "ECMA-119 §8.4.15, §8.4.17";

    /// The entries of a path table are in the order of their parents, and then of their names.
    PATH_TABLE_ORDER = "iso9660-path-table-order", Warning;
    reads "all entries of the little-endian path table";
    spec "ECMA-119 §6.9.1";

    /// Every directory is in the path table, once, with its name, its place and its parent. Windows
    /// does not find what is in others.
    PATH_TABLE_TREE = "iso9660-path-table-tree", Error;
    reads "all entries of the little-endian path table, all directories";
    spec "ECMA-119 §6.9";

    /// Files do not overlap each other, or what leads to them. The same content under several
    /// names, which is a hard link, is no overlap.
    OVERLAP = "iso9660-overlap", Error;
    reads "all extents of all trees, path tables, volume descriptors";
    spec "ECMA-119 §6.4";

    /// The files of Joliet are those of the primary tree: Linux and firmware show the one, Windows
    /// shows the other. A tool that makes an image hides files in one of them only if it is told
    /// to.
    JOLIET_FILES = "joliet-files", Warning;
    reads "the extents of all files of both trees";
    spec "Joliet; ECMA-119 §8.5";

    /// A file has the same name, in the same directory, in the trees of Joliet and Rock Ridge, as
    /// far as Joliet can write it: Linux shows the one, Windows the other. What is compared are
    /// names of up to 60 letters of ASCII, since each writer shortens others in its own way.
    JOLIET_NAMES = "joliet-names", Warning;
    reads "File Identifier of all directory records of the tree of Joliet, all NM";
    spec "Joliet; RRIP §4.1.4";

    /// A name of Joliet has no letter that it may not have: `* / : ; ? \` and control characters.
    /// Windows cannot open such a file.
    JOLIET_CHARACTERS = "joliet-name-characters", Warning;
    reads "File Identifier of all directory records of the tree of Joliet";
    spec "Joliet, Allowed Characters";

    /// A name of Joliet has 64 letters at most. Windows and Linux read longer ones, which xorriso
    /// and genisoimage write with `-joliet-long`.
    JOLIET_LONG = "joliet-long-names", Info;
    reads "File Identifier of all directory records of the tree of Joliet";
    spec "Joliet, Relaxation of Restrictions on File Name Length";

    /// All of it was read. What is larger than this tool reads may be good or not: not all of the
    /// file system was judged, and what is in its files was not.
    LIMITS = "iso9660-limits", Warning;
    reads "the sizes of directories and tables, and how many there are";
    spec "this tool: 1048576 records of a tree, 2097152 of all, 256 levels, 256 MiB of a directory";
}
