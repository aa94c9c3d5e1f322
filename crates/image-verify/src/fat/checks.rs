//! The checks of FAT, in the order of `fsck.fat`: boot sector, FATs, directories, label, what is
//! left.

checks! {
    /// All checks of this format, in the order they are evaluated.
    CHECKS:

    /// The volume is too short for a boot sector.
    BOOT_SECTOR = "fat-boot-sector", Error;
    reads "the length of the volume";
    spec "FAT §3";

    /// The boot sector does not end with `55 AA`. U-Boot and BIOSes do not take it for one; Linux
    /// does not look.
    SIGNATURE = "fat-signature", Warning;
    reads "Signature_word";
    spec "FAT §3.1";

    /// The boot sector does not start with a jump. Windows does not take the volume for FAT; Linux
    /// does not look.
    JUMP = "fat-jump", Warning;
    reads "BS_jmpBoot";
    spec "FAT §3.1";

    /// Sectors have 512, 1024, 2048 or 4096 bytes. Everything else is counted in sectors.
    SECTOR_SIZE = "fat-sector-size", Error;
    reads "BPB_BytsPerSec";
    spec "FAT §3.1";

    /// The number of sectors in a cluster is a power of two. Nothing mounts another one.
    CLUSTER_SIZE = "fat-cluster-size", Error;
    reads "BPB_SecPerClus";
    spec "FAT §3.1";

    /// There is at least one reserved sector: the boot sector.
    RESERVED = "fat-reserved-sectors", Error;
    reads "BPB_RsvdSecCnt";
    spec "FAT §3.1";

    /// There are one or two FATs. Drivers read the first one and write both; fsck.fat refuses any
    /// other number.
    FAT_COUNT = "fat-count", Error;
    reads "BPB_NumFATs";
    spec "FAT §3.1; dosfstools 4.2";

    /// The media byte is F0, or F8 to FF. Linux does not mount a volume with another one.
    MEDIA = "fat-media", Error;
    reads "BPB_Media";
    spec "FAT §3.1";

    /// The number of sectors stands in one of its two fields, and the other one is 0. Where both are
    /// set, Linux, Windows and fsck.fat take the one of 16 bits.
    TOTAL_SECTORS = "fat-total-sectors", Warning;
    reads "BPB_TotSec16, BPB_TotSec32";
    spec "FAT §3.1";

    /// After reserved sectors, FATs and root directory there is room for a cluster.
    DATA = "fat-data", Error;
    reads "the numbers of the boot sector that say where the clusters start";
    spec "FAT §3.5";

    /// The file system is larger than what it is in: the image was cut, or the partition is too
    /// small. Files at its end are lost.
    SIZE = "fat-size", Error;
    reads "the number of sectors, the length of the volume";
    spec "FAT §3.1";

    /// The last sector is not in the volume. No cluster needs it, so Linux does not notice; Windows
    /// does not mount a volume that is larger than its partition.
    LAST_SECTOR = "fat-last-sector", Warning;
    reads "the number of sectors, the length of the volume";
    spec "FAT §3.1; dosfstools 4.2, boot.c: it looks at pairs of sectors";

    /// The root directory of FAT12 and FAT16 has entries, and fills whole sectors. Linux does not
    /// mount a volume where the last sector is not full.
    ROOT_ENTRIES = "fat-root-entries", Error;
    reads "BPB_RootEntCnt";
    spec "FAT §3.1";

    /// The root directory of FAT32 is a file, and the number of entries of one that is none is 0.
    /// Windows does not mount a volume where it is not; Linux leaves room for them.
    NO_ROOT_ENTRIES = "fat-no-root-entries", Warning;
    reads "BPB_RootEntCnt of FAT32";
    spec "FAT §3.1";

    /// There are more clusters than entries of this width can count.
    CLUSTER_COUNT = "fat-cluster-count", Error;
    reads "the number of clusters, BPB_FATSz16";
    spec "FAT §3.5";

    /// FAT32 with so few clusters that, by Microsoft's rule, it is FAT12 or FAT16. Linux, U-Boot
    /// and EDK II take it for FAT32; what follows the rule, as mtools does, cannot read it.
    SMALL_FAT32 = "fat-small-fat32", Warning;
    reads "the number of clusters, BPB_FATSz16";
    spec "FAT §3.5; measured: mtools 4.0.32";

    /// The FAT has an entry for each cluster. Where it is too short, entries are read from what
    /// follows it.
    TABLE_SIZE = "fat-table-size", Error;
    reads "BPB_FATSz16, BPB_FATSz32, the number of clusters";
    spec "FAT §3.5";

    /// The version of FAT32 is 0.0. Windows does not mount a version that it does not know; Linux
    /// does not look.
    VERSION = "fat-version", Warning;
    reads "BPB_FSVer";
    spec "FAT §3.3";

    /// All FATs of FAT32 are in use. Linux reads the first one whatever this says, Windows the one
    /// that is named: they may see different files.
    MIRRORING = "fat-mirroring", Warning;
    reads "BPB_ExtFlags";
    spec "FAT §3.3";

    /// The root directory of FAT32 starts at a cluster that there is.
    ROOT_CLUSTER = "fat-root-cluster", Error;
    reads "BPB_RootClus";
    spec "FAT §3.3";

    /// FAT32 has a copy of its boot sector, where there is room for one, and the copy is in the
    /// volume. Without it nothing tells where the files are once the boot sector is gone.
    BACKUP_BOOT_PLACE = "fat-backup-boot-place", Error;
    reads "BPB_BkBootSec, BPB_RsvdSecCnt";
    spec "FAT §3.3";

    /// The copy of the boot sector is in the reserved sectors and equal to it. It is used when the
    /// boot sector cannot be read, and then the volume has other properties.
    BACKUP_BOOT = "fat-backup-boot", Warning;
    reads "BPB_BkBootSec, the sector there";
    spec "FAT §3.3";

    /// The FSInfo sector that the boot sector names is one: its place and its three signatures.
    FSINFO = "fat-fsinfo", Error;
    reads "BPB_FSInfo, FSI_LeadSig, FSI_StrucSig, FSI_TrailSig";
    spec "FAT §5";

    /// The first entry of the FAT repeats the media byte, all other bits set. It is what tells a
    /// FAT from garbage: where only the last four bits are not set, it still is one.
    FIRST_ENTRY = "fat-first-entry", Error;
    reads "entry 0 of the first FAT";
    spec "FAT §4";

    /// The media byte in the first entry of the FAT is the one of the boot sector. Nothing current
    /// looks.
    MEDIA_ENTRY = "fat-media-entry", Warning;
    reads "entry 0 of the first FAT, BPB_Media";
    spec "FAT §4";

    /// The second entry of the FAT is an end mark, but for its flags.
    SECOND_ENTRY = "fat-second-entry", Warning;
    reads "entry 1 of the first FAT";
    spec "FAT §4";

    /// The FATs are equal. Where they are not, a driver that reads the other one sees other files.
    COPIES = "fat-copies", Error;
    reads "all entries of all FATs";
    spec "FAT §4";

    /// An entry of the FAT names a cluster that there is, or is one of the marks.
    LINK_RANGE = "fat-link-range", Error;
    reads "all entries of the first FAT";
    spec "FAT §4";

    /// A file or directory starts at a cluster that there is; an empty file has none, and a
    /// directory always has one.
    FIRST_CLUSTER = "fat-first-cluster", Error;
    reads "DIR_FstClusHI, DIR_FstClusLO of every entry";
    spec "FAT §6";

    /// The clusters of a file do not lead back to one of them.
    CYCLE = "fat-cycle", Error;
    reads "the chain of every file and directory";
    spec "FAT §4";

    /// A cluster belongs to one file. Where it belongs to two, at least one has wrong content, and
    /// writing to one destroys the other.
    CROSS_LINK = "fat-cross-link", Error;
    reads "the chain of every file and directory";
    spec "FAT §4";

    /// The clusters of a file are not free, nor marked as bad, and the last one has an end mark.
    CHAIN_END = "fat-chain-end", Error;
    reads "the chain of every file and directory";
    spec "FAT §4";

    /// A file has as many clusters as its size needs. Where it has fewer its end is missing, where
    /// it has more the size is wrong.
    FILE_SIZE = "fat-file-size", Error;
    reads "DIR_FileSize of every file, the length of its chain";
    spec "FAT §6";

    /// The size of a directory is 0: its chain tells how long it is.
    DIRECTORY_SIZE = "fat-directory-size", Error;
    reads "DIR_FileSize of every directory";
    spec "FAT §6";

    /// A directory has at most 65536 slots. Nobody adds to a longer one.
    DIRECTORY_LENGTH = "fat-directory-length", Warning;
    reads "the chain of every directory";
    spec "FAT §6";

    /// A directory starts with `.`, itself, and `..`, its parent, of which the root is written as
    /// 0.
    DOT = "fat-dot-entries", Error;
    reads "the first two entries of every directory but the root";
    spec "FAT §6";

    /// After the slot that ends a directory there is nothing. U-Boot and Windows stop there, Linux
    /// and fsck.fat do not: they see different files.
    END_MARK = "fat-end-mark", Warning;
    reads "the slots after the end of every directory";
    spec "FAT §6";

    /// The upper two bits of the attributes are 0. Linux takes a piece of a long name where they
    /// are not for something else.
    ATTRIBUTES = "fat-attributes", Warning;
    reads "DIR_Attr of every entry";
    spec "FAT §6";

    /// A label is in the root directory, only once, and has no content. What others have is judged
    /// as that of a file.
    LABEL_ENTRY = "fat-label-entry", Warning;
    reads "every entry with ATTR_VOLUME_ID";
    spec "FAT §6";

    /// An 8.3 name has only characters that it may have: no control characters, no dot, none of
    /// `" * / : < > ? \ |`, no space at the start. Only beside a long name a flag may say that it is
    /// none.
    SHORT_NAME = "fat-short-name", Error;
    reads "DIR_Name, DIR_NTRes of every file and directory";
    spec "FAT §6.1; dosfstools 4.2";

    /// An 8.3 name has no lower-case letters, and none of `+ , ; = [ ]`. Linux shows such a file;
    /// Windows and U-Boot do not find it under its name.
    SHORT_NAME_SET = "fat-short-name-set", Warning;
    reads "DIR_Name of every file and directory";
    spec "FAT §6.1";

    /// Windows does not open a file by the name of a device: `AUX`, `CON`, `NUL`, `PRN`, `COM1` to
    /// `COM9`, `LPT1` to `LPT9`, whatever follows a dot.
    DEVICE_NAME = "fat-device-name", Warning;
    reads "both names of every file and directory";
    spec "Win32, Naming Files, Paths, and Namespaces";

    /// An 8.3 name follows the pieces of a long name. Where none does, they are what a driver that
    /// does not know long names left of a file that it deleted.
    LONG_NAME_ORPHAN = "fat-long-name-orphan", Error;
    reads "what follows the last piece of every long name";
    spec "FAT §7";

    /// The pieces of a long name are complete and in their order. Where they are not, the file has
    /// only its 8.3 name.
    LONG_NAME_ORDER = "fat-long-name-order", Warning;
    reads "LDIR_Ord of every piece";
    spec "FAT §7";

    /// The checksum in the pieces of a long name is that of the 8.3 name. Where it is not, the file
    /// has only its 8.3 name.
    LONG_NAME_CHECKSUM = "fat-long-name-checksum", Warning;
    reads "LDIR_Chksum of every piece";
    spec "FAT §7.2";

    /// Fields of a piece of a long name that must be 0 are.
    LONG_NAME_FIELDS = "fat-long-name-fields", Error;
    reads "LDIR_Type, LDIR_FstClusLO of every piece";
    spec "FAT §7";

    /// What follows the end of a long name is all FFFF.
    LONG_NAME_PADDING = "fat-long-name-padding", Warning;
    reads "the last piece of every long name";
    spec "FAT §7";

    /// A long name has 1 to 255 characters, all of which it may have: no control characters, none
    /// of `" * / : < > ? \ |`, no half of a surrogate pair, no dot or space at its end. Windows
    /// does not open such a file by its name.
    LONG_NAME_TEXT = "fat-long-name-text", Warning;
    reads "every long name";
    spec "FAT §7";

    /// No two files in a directory have the same 8.3 name. Only the first of them can be opened.
    DUPLICATE = "fat-duplicate-name", Error;
    reads "DIR_Name of all files of every directory";
    spec "FAT §6";

    /// No two files in a directory have the same name, long or 8.3, without regard to case. Only
    /// the first of them can be opened.
    DUPLICATE_LONG = "fat-duplicate-long-name", Warning;
    reads "all names of every directory";
    spec "FAT §7";

    /// Directories are nested at most 128 deep: Windows can open no deeper path, and neither can we
    /// where files are read.
    DEPTH = "fat-depth", Warning;
    reads "the tree of directories";
    spec "Win32, MAX_PATH; the limit is ours as well";

    /// There are at most a million directories, a million slots in one, and two million files where
    /// files are read. What is beyond is not judged.
    LIMITS = "fat-limits", Error;
    reads "the tree of directories";
    spec "the limits are ours";

    /// Serial number, label and type are in the boot sector. What MS-DOS before 4.0 formatted lacks
    /// them, and fsck.fat takes a label that is not there for a bad one.
    EXTENDED_BOOT = "fat-extended-boot", Error;
    reads "BS_BootSig";
    spec "FAT §3.2; dosfstools 4.2";

    /// The label in the boot sector is the one in the root directory, or `NO NAME` where there is
    /// none there. Linux and U-Boot look at one of them.
    LABEL = "fat-label", Error;
    reads "BS_VolLab, the entry with ATTR_VOLUME_ID of the root directory";
    spec "FAT §3.2, §6";

    /// The label has only characters that it may have, and does not start with a space.
    LABEL_TEXT = "fat-label-text", Error;
    reads "the label of the root directory, or that of the boot sector";
    spec "FAT §6.1";

    /// Every cluster that is in use belongs to a file. The space of others is lost.
    LOST_CLUSTERS = "fat-lost-clusters", Error;
    reads "all entries of the first FAT, all chains";
    spec "FAT §4";

    /// The volume was unmounted. The flag says that it was in use when it was copied, or when the
    /// power went; Linux warns at each mount, and Windows starts a repair.
    DIRTY = "fat-dirty", Error;
    reads "BS_Reserved1, entry 1 of the first FAT";
    spec "FAT §4";

    /// No error of the disk was met while the volume was mounted.
    DISK_ERROR = "fat-disk-error", Warning;
    reads "BS_Reserved1, entry 1 of the first FAT";
    spec "FAT §4";

    /// The number of free clusters in FSInfo is the real one, or unknown. Windows believes it, and
    /// so does Linux where it is mounted with `usefree`: files do not fit, or too many seem to.
    FREE_COUNT = "fat-free-count", Error;
    reads "FSI_Free_Count, all entries of the first FAT";
    spec "FAT §5";

    /// The cluster in FSInfo from which the next free one is sought exists, or is unknown.
    NEXT_FREE = "fat-next-free", Info;
    reads "FSI_Nxt_Free";
    spec "FAT §5";
}
