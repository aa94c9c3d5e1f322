//! What is asked of a qcow2 disk.

checks! {
    /// The checks of qcow2.
    CHECKS:

    /// The file does not begin with `QFI\xfb`, or ends within its header.
    HEADER = "qcow2-header", Error;
    reads "the first 112 bytes";
    spec "QEMU docs/interop/qcow2, Header";

    /// Versions 2 and 3 are what everybody reads. Version 1 is an older format, *qcow*, which QEMU
    /// still converts; later ones do not exist.
    VERSION = "qcow2-version", Error;
    reads "the header";
    spec "QEMU docs/interop/qcow2, Header: version";

    /// The header of version 3 tells its length: 104 bytes at least, a multiple of 8, and no more
    /// than a cluster. What follows it is looked for behind it.
    HEADER_LENGTH = "qcow2-header-length", Error;
    reads "the header";
    spec "QEMU docs/interop/qcow2, Header: header_length";

    /// Clusters have 512 bytes to 2 MiB, and 16 KiB at least where they have subclusters. QEMU
    /// opens no others.
    CLUSTER_BITS = "qcow2-cluster-bits", Error;
    reads "the header";
    spec "QEMU docs/interop/qcow2, Header: cluster_bits; block/qcow2.h MAX_CLUSTER_BITS";

    /// The disk has no bytes, or ends within a sector: QEMU leaves out what is behind the last
    /// whole one.
    SIZE = "qcow2-size", Warning;
    reads "the size in the header";
    spec "QEMU docs/interop/qcow2, Header: size; block/qcow2.c qcow2_do_open";

    /// The image has only what is different from another file. Without that one it is no disk, and
    /// the file that QEMU then opens is whatever has its name on the machine of the user.
    BACKING_FILE = "qcow2-backing-file", Error;
    reads "the header, and the name that it leads to";
    spec "QEMU docs/interop/qcow2, Header: backing_file_offset";

    /// The data are encrypted. Nobody boots the image without the key, and what is in it cannot be
    /// judged. QEMU runs no machine from one that was encrypted with AES.
    ENCRYPTION = "qcow2-encryption", Error;
    reads "crypt_method in the header";
    spec "QEMU docs/interop/qcow2, Header: crypt_method, Data encryption";

    /// Whoever wrote the image did not close it: the program ended, or it was copied while a
    /// machine ran from it. Refcounts may be wrong, and the file systems in it were in use. QEMU
    /// repairs the refcounts when it opens the image for writing.
    DIRTY = "qcow2-dirty", Warning;
    reads "bit 0 of the incompatible features";
    spec "QEMU docs/interop/qcow2, Header: incompatible_features";

    /// QEMU found damage in the image and marked it. It refuses to write to it, so no machine
    /// starts from it.
    CORRUPT = "qcow2-corrupt", Error;
    reads "bit 1 of the incompatible features";
    spec "QEMU docs/interop/qcow2, Header: incompatible_features";

    /// The data are in another file, and this one has only the tables. Alone it is no disk.
    EXTERNAL_DATA = "qcow2-external-data", Error;
    reads "bit 2 of the incompatible features, bit 1 of the auto-clear features";
    spec "QEMU docs/interop/qcow2, Header: incompatible_features, autoclear_features";

    /// The image has a feature that is not known, and without which nobody may open it.
    FEATURES = "qcow2-incompatible-features", Error;
    reads "bits 5 to 63 of the incompatible features";
    spec "QEMU docs/interop/qcow2, Header: incompatible_features";

    /// Bitmaps are said to be up to date, and there are none; or features are set that are not
    /// known, which whoever writes to the image clears.
    AUTOCLEAR = "qcow2-autoclear", Warning;
    reads "the auto-clear features, and the list of header extensions";
    spec "QEMU docs/interop/qcow2, Header: autoclear_features";

    /// What compresses clusters is deflate or zstd, and a feature says so where it is not deflate.
    COMPRESSION_TYPE = "qcow2-compression-type", Error;
    reads "compression_type in the header, bit 3 of the incompatible features";
    spec "QEMU docs/interop/qcow2, Additional fields: compression_type";

    /// A refcount has 1 to 64 bits.
    REFCOUNT_ORDER = "qcow2-refcount-order", Error;
    reads "refcount_order in the header";
    spec "QEMU docs/interop/qcow2, Header: refcount_order";

    /// A header extension ends beyond the first cluster, is there twice, is not as long as its kind
    /// is, or does not belong to this image. QEMU refuses to open it.
    EXTENSIONS = "qcow2-extensions", Error;
    reads "what follows the header, to the end of the first cluster";
    spec "QEMU docs/interop/qcow2, Header extensions";

    /// The refcount table begins at a cluster, is within the file, and has 8 MiB at most.
    REFCOUNT_TABLE = "qcow2-refcount-table", Error;
    reads "the header, and the length of the file";
    spec "QEMU docs/interop/qcow2, Host cluster management; block/qcow2.h QCOW_MAX_REFTABLE_SIZE";

    /// An entry of the refcount table has reserved bits, or leads to no cluster of the file.
    REFCOUNT_BLOCK = "qcow2-refcount-block", Error;
    reads "all entries of the refcount table";
    spec "QEMU docs/interop/qcow2, Refcount table entry";

    /// The active L1 table begins at a cluster, is within the file, has 32 MiB at most, and an
    /// entry for all of the disk.
    L1_TABLE = "qcow2-l1-table", Error;
    reads "the header, and the length of the file";
    spec "QEMU docs/interop/qcow2, Cluster mapping; block/qcow2.h QCOW_MAX_L1_SIZE";

    /// An entry of an L1 table has reserved bits, or the L2 table that it leads to is no cluster of
    /// the file: the image was cut short, or is damaged.
    L1_ENTRY = "qcow2-l1-entry", Error;
    reads "all entries of all L1 tables, those of snapshots too";
    spec "QEMU docs/interop/qcow2, L1 table entry";

    /// An entry of an L2 table has reserved bits or contradicts itself, or the cluster that it
    /// leads to is none of the file: the image was cut short, or is damaged.
    L2_ENTRY = "qcow2-l2-entry", Error;
    reads "all entries of all L2 tables, those of snapshots too";
    spec "QEMU docs/interop/qcow2, L2 table entry, Extended L2 entries";

    /// The file ends within a cluster of the disk, before what the disk has of it: the end was cut
    /// off. QEMU reads zeros there, and `qemu-img check` is content.
    CUT = "qcow2-cut", Error;
    reads "the active L2 tables, and the length of the file";
    spec "QEMU docs/interop/qcow2, Cluster mapping";

    /// Compressed data begin beyond the end of the file, or reach further beyond it than to the end
    /// of a sector: the image was cut short, or is damaged.
    COMPRESSED = "qcow2-compressed", Error;
    reads "all entries of L2 tables that lead to compressed clusters";
    spec "QEMU docs/interop/qcow2, Compressed clusters descriptor";

    /// What is compressed gives no cluster: this part of the disk cannot be read. Neither
    /// `qemu-img check` nor a program that copies the file looks.
    COMPRESSED_DATA = "qcow2-compressed-data", Error;
    reads "all compressed clusters, each of which is decompressed";
    spec "RFC 1951; RFC 8878; QEMU block/qcow2-threads.c";

    /// An entry says that the refcount of its cluster is one where it is not: whoever writes to the
    /// disk overwrites what a snapshot still needs. Or it does not say so where it is one, and the
    /// cluster is copied before each first write.
    COPIED = "qcow2-copied", Error;
    reads "bit 63 of all entries of the active L1 table and its L2 tables";
    spec "QEMU docs/interop/qcow2, L1 table entry, L2 table entry; block/qcow2-refcount.c \
          check_oflag_copied";

    /// A cluster belongs to two things of which one is metadata: whoever writes to one destroys the
    /// other.
    OVERLAP = "qcow2-overlap", Error;
    reads "the places of all tables and of all clusters";
    spec "QEMU docs/interop/qcow2, Host cluster management";

    /// More entries lead to a cluster than its refcount says. QEMU takes it for free before it is,
    /// and overwrites it.
    REFCOUNT = "qcow2-refcount", Error;
    reads "all refcounts, and all entries of all tables";
    spec "QEMU docs/interop/qcow2, Host cluster management";

    /// A cluster has a larger refcount than there are entries that lead to it. It is never used
    /// again, and takes room in the file.
    LEAK = "qcow2-leak", Warning;
    reads "all refcounts, and all entries of all tables";
    spec "QEMU docs/interop/qcow2, Host cluster management; qemu-img check, exit status 3";

    /// The table of snapshots begins at a cluster, is within the file, and so are the L1 tables of
    /// the snapshots in it, each with an entry for all of its disk.
    SNAPSHOTS = "qcow2-snapshots", Error;
    reads "the snapshot table, and the length of the file";
    spec "QEMU docs/interop/qcow2, Snapshots";

    /// The bitmap directory, its entries, and the tables of the bitmaps are in the file and make
    /// sense. QEMU opens no image with broken bitmaps.
    BITMAPS = "qcow2-bitmaps", Error;
    reads "the bitmaps extension, the bitmap directory, and all bitmap tables";
    spec "QEMU docs/interop/qcow2, Bitmaps extension, Bitmaps";

    /// The file goes on behind the last cluster that has a refcount or is led to. Nobody reads
    /// that; it is what a deleted snapshot leaves, or was appended by mistake.
    UNUSED_END = "qcow2-unused-end", Info;
    reads "all refcounts, all entries of all tables, and the length of the file";
    spec "QEMU docs/interop/qcow2, Host cluster management; qemu-img check, image-end-offset";

    /// What is larger than this is not judged: refcounts of a file of more than 2^26 clusters,
    /// which is 4 TiB of 64 KiB each; compressed clusters that together have more than 64 GiB, or
    /// 200 times as much as the file, beyond 4 GiB.
    LIMITS = "qcow2-limits", Warning;
    reads "the length of the file, and the number of compressed clusters";
    spec "the limit is ours";
}
