//! The checks of disks of VMware in appliances.

checks! {
    /// All checks of this format.
    CHECKS:

    /// The first sector is no header of a disk: nobody opens it.
    HEADER = "vmdk-header", Error;
    reads "magicNumber, version, capacity, grainSize and numGTEsPerGT of the header";
    spec "VMware Virtual Disk Format 5.0, Hosted Sparse Extents; QEMU block/vmdk.c";

    /// The header has ends of lines in it that show whether the file was copied as text. It was,
    /// and all of it is damaged.
    NEWLINES = "vmdk-newlines", Error;
    reads "singleEndLineChar to doubleEndLineChar2 of the header";
    spec "VMware Virtual Disk Format 5.0, Hosted Sparse Extents";

    /// The disk was not closed by who wrote it. Programs repair it, or refuse it.
    CLOSED = "vmdk-closed", Warning;
    reads "uncleanShutdown of the header";
    spec "VMware Virtual Disk Format 5.0, Hosted Sparse Extents";

    /// A disk in an appliance is read from front to back, as it comes out of the archive. Only one
    /// whose parts have markers can be read like that, and no program imports another one.
    STREAM = "vmdk-stream-optimized", Error;
    reads "flags and compressAlgorithm of the header";
    spec "VMware Virtual Disk Format 5.0, Stream-Optimized Compressed Sparse Extents";

    /// The words that say what the disk is are not there, or say something else than the header.
    DESCRIPTOR = "vmdk-descriptor", Error;
    reads "createType and the extents of the embedded descriptor, and capacity of the header";
    spec "VMware Virtual Disk Format 5.0, The Descriptor File";

    /// The disk has only what differs from another one, which nobody has.
    PARENT = "vmdk-parent", Error;
    reads "parentCID of the embedded descriptor";
    spec "VMware Virtual Disk Format 5.0, The Descriptor File";

    /// The header says that the directory of the disk is told at its end, and there is no such
    /// footer, or another disk's: the end was cut off, or something was added.
    FOOTER = "vmdk-footer", Error;
    reads "the last three sectors, where gdOffset is GD_AT_END";
    spec "VMware Virtual Disk Format 5.0, Stream-Optimized Compressed Sparse Extents";

    /// The directory, by which all is found, is not within the disk.
    DIRECTORY = "vmdk-directory", Error;
    reads "the grain directory";
    spec "VMware Virtual Disk Format 5.0, Hosted Sparse Extents";

    /// A table that grains are found by is not within the disk, or is in the directory twice.
    TABLE = "vmdk-table", Error;
    reads "all entries of the grain directory";
    spec "VMware Virtual Disk Format 5.0, Hosted Sparse Extents";

    /// A table leads to where no grain is, or the grain of another place.
    GRAIN_MARKER = "vmdk-grain-marker", Error;
    reads "all entries of all grain tables, and the marker of each grain";
    spec "VMware Virtual Disk Format 5.0, Stream-Optimized Compressed Sparse Extents";

    /// A grain cannot be decompressed, or is not as large as a grain: what is in it is lost, and the
    /// import ends there.
    GRAIN_DATA = "vmdk-grain-data", Error;
    reads "the data of each grain";
    spec "RFC 1950; VMware Virtual Disk Format 5.0";

    /// The disk is larger than what we judge: 8 TiB in usual grains, 64 GiB decompressed, and grains
    /// of 1 MiB; or nothing of it is where it should be. What is beyond was not looked at.
    LIMITS = "vmdk-limits", Warning;
    reads "the geometry in the header, and how many grains there are";
    spec "the limits are ours";
}
