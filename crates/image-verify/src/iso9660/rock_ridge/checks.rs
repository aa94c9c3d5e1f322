//! The checks of SUSP and Rock Ridge: the protocol, its areas and entries, attributes, names,
//! targets, relocated directories.

checks! {
    /// All checks of the entries of directory records.
    CHECKS:

    /// The first record of the root directory starts with the entry that says where the others of
    /// the disc have their entries. Without it readers take none of them for entries; Linux does,
    /// unless the disc has Joliet.
    SP = "rock-ridge-sp", Error;
    reads "the system use area of the root directory's own record";
    spec "SUSP §5.3";

    /// The first record of the root directory names Rock Ridge as what the entries belong to.
    /// Without it Linux takes the names of Joliet, and GRUB and bsdtar those of ISO 9660.
    ER = "rock-ridge-er", Error;
    reads "all ER of the root directory's own record";
    spec "SUSP §5.5; RRIP §4.3";

    /// An entry has the four bytes that all have, and ends before its area does. Linux ignores all
    /// of a record where one has not: the file has its name of ISO 9660.
    ENTRY_LENGTH = "rock-ridge-entry-length", Error;
    reads "LEN of every entry";
    spec "SUSP §4.1; Linux, fs/isofs/rock.c";

    /// An entry has at least as many bytes as its kind needs. Who does not look takes what follows
    /// it for the rest.
    ENTRY_SIZE = "rock-ridge-entry-size", Error;
    reads "LEN of every entry that SUSP, Rock Ridge and zisofs have";
    spec "SUSP §5; RRIP §4.1";

    /// An entry has no more bytes than its kind has. Nobody reads them.
    ENTRY_REST = "rock-ridge-entry-rest", Info;
    reads "LEN of every entry that SUSP, Rock Ridge and zisofs have";
    spec "SUSP §5; RRIP §4.1";

    /// An entry has the version that its kind has. bsdtar ignores others; Linux does not look.
    ENTRY_VERSION = "rock-ridge-entry-version", Warning;
    reads "the version of every entry that SUSP, Rock Ridge and zisofs have";
    spec "SUSP §5; RRIP §4.1";

    /// A number is the same in both byte orders. Nearly all readers take the first one.
    BOTH_ENDIAN = "rock-ridge-both-endian", Warning;
    reads "all numbers of CE, PX, PN, CL, PL and ZF";
    spec "ECMA-119 §7.3.3";

    /// A record has PX, PN, CL, PL, RE and RR once at most. The last one counts in Linux, the first
    /// one elsewhere.
    REPEATED = "rock-ridge-repeated", Warning;
    reads "the kinds of all entries of a record";
    spec "RRIP §4.1";

    /// What a record says of the kinds of its entries, as Rock Ridge 1.09 did, is true: where it
    /// says that there is no name or no target, Linux does not look for it.
    KINDS = "rock-ridge-kinds", Error;
    reads "RR, the kinds of all entries of a record";
    spec "RRIP 1.09 §4.1; Linux, fs/isofs/rock.c";

    /// A continuation area is in the volume. Linux does not show a file whose entries go on where
    /// nothing is.
    CONTINUATION = "rock-ridge-continuation", Error;
    reads "CE of every record";
    spec "SUSP §5.1";

    /// A continuation area does not leave its block. Linux reads no other one, and does not show
    /// the file.
    CONTINUATION_BLOCK = "rock-ridge-continuation-block", Error;
    reads "CE of every record";
    spec "Linux, fs/isofs/rock.c: rock_continue";

    /// The entries of a record go on fewer than 32 times. Linux gives up there, and what goes on
    /// forever is more.
    CONTINUATION_LOOP = "rock-ridge-continuation-loop", Error;
    reads "CE of every record";
    spec "SUSP §5.1; Linux, fs/isofs/rock.c: RR_MAX_CE_ENTRIES";

    /// Continuation areas do not overlap so much that together they are longer than the volume.
    CONTINUATION_OVERLAP = "rock-ridge-continuation-overlap", Error;
    reads "CE of all records";
    spec "SUSP §5.1";

    /// An area says once where it goes on. The last one counts in Linux, the first one elsewhere.
    CONTINUATION_ONCE = "rock-ridge-continuation-once", Error;
    reads "CE of every record";
    spec "SUSP §5.1";

    /// A file has attributes: without them nobody knows whose it is, or what others may do with it.
    PX = "rock-ridge-px", Warning;
    reads "PX of every record but those of a parent";
    spec "RRIP §4.1.1";

    /// The mode of a file has one of seven types, and is a directory's where the record is one's.
    /// Linux believes the mode.
    FILE_TYPE = "rock-ridge-file-type", Error;
    reads "st_mode of PX, the file flags";
    spec "RRIP §4.1.1";

    /// The mode of a file has no more than 16 bits. Linux leaves out the others.
    MODE = "rock-ridge-mode", Warning;
    reads "st_mode of PX";
    spec "RRIP §4.1.1";

    /// A file has at least one link: the record.
    LINKS = "rock-ridge-links", Warning;
    reads "st_nlink of PX";
    spec "RRIP §4.1.1";

    /// Files with the same serial number are the same. bsdtar takes them for links.
    SERIAL = "rock-ridge-serial", Error;
    reads "st_ino of PX and the extent of every file that is not empty";
    spec "RRIP §4.1.1";

    /// The own record of a directory tells the same mode and owner as the record in its parent:
    /// Linux reads the one, most others the other.
    OWN_RECORD = "rock-ridge-own-record", Warning;
    reads "PX of both records of every directory";
    spec "RRIP §4.1.1; Linux, fs/isofs/inode.c";

    /// A device has a number.
    DEVICE = "rock-ridge-device", Error;
    reads "PN of every device";
    spec "RRIP §4.1.2";

    /// A symlink has a target, and nothing else has one. Linux cannot read a symlink without.
    SYMLINK = "rock-ridge-symlink", Error;
    reads "SL of every record, st_mode of PX";
    spec "RRIP §4.1.3";

    /// The target of a symlink has all its pieces: components end in the entry, the flags are
    /// known, the last piece says that it is the last one.
    TARGET = "rock-ridge-target", Error;
    reads "all SL of a record";
    spec "RRIP §4.1.3";

    /// The target of a symlink is a path that Linux can follow: not empty, without a NUL, at most
    /// 4095 bytes.
    TARGET_TEXT = "rock-ridge-target-text", Error;
    reads "all SL of a record";
    spec "RRIP §4.1.3; Linux, fs/isofs/rock.c";

    /// A name has all its pieces: the flags are known, the last piece says that it is the last one.
    NAME_PIECES = "rock-ridge-name-pieces", Error;
    reads "all NM of a record";
    spec "RRIP §4.1.4";

    /// A name is one: neither empty nor `.` nor `..`, without a slash or a NUL.
    NAME = "rock-ridge-name", Error;
    reads "all NM of a record";
    spec "RRIP §4.1.4";

    /// A name has at most 255 bytes: no system opens a file with a longer one.
    NAME_LENGTH = "rock-ridge-name-length", Error;
    reads "all NM of a record";
    spec "RRIP §4.1.4; Linux, NAME_MAX";

    /// A name has at most 253 bytes. Of a longer one Linux leaves out the last piece.
    LONG_NAME = "rock-ridge-long-name", Warning;
    reads "all NM of a record";
    spec "Linux, fs/isofs/rock.c: get_rock_ridge_filename";

    /// The names of a directory differ. Of two that do not, one file cannot be opened.
    DUPLICATE = "rock-ridge-duplicate", Error;
    reads "the names of all files of a directory";
    spec "RRIP §4.1.4";

    /// What tells where a directory went leads to a directory, and is the only one that does.
    CHILD_LINK = "rock-ridge-child-link", Error;
    reads "CL of every record, the extents of all directories";
    spec "RRIP §4.1.5.1";

    /// A directory that went elsewhere tells where it came from: its parent record leads to the
    /// directory that tells where it went. bsdtar and Linux do not look.
    PARENT_LINK = "rock-ridge-parent-link", Warning;
    reads "PL of every parent record";
    spec "RRIP §4.1.5.2";

    /// A directory is marked as relocated exactly where something tells that it went there. Linux
    /// hides it where it is marked, and has it twice where it is not.
    RELOCATED = "rock-ridge-relocated", Error;
    reads "RE and CL of every record";
    spec "RRIP §4.1.5.3";

    /// The times of a file are dates.
    TIME = "rock-ridge-time", Warning;
    reads "all TF of a record";
    spec "RRIP §4.1.6";

    /// A file that is compressed is so in a way that Linux can undo: by the algorithm of zisofs 1,
    /// a header of 16 bytes, blocks of 32 to 128 KiB.
    ZISOFS = "rock-ridge-zisofs", Warning;
    reads "ZF of every file";
    spec "Linux, fs/isofs/rock.c, compress.c";
}
