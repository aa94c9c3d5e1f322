//! What is asked of a VHD.

checks! {
    /// The checks of VHD.
    CHECKS:

    /// The last 512 bytes are the footer, by which a VHD is recognized. An image without one was
    /// cut short, or something was appended to it. Hyper-V refuses it; QEMU makes do with the copy
    /// at the beginning, which a fixed disk has not.
    FOOTER = "vhd-footer", Error;
    reads "the last 512 bytes";
    spec "VHD 1.0, Hard Disk Footer Format: Cookie";

    /// The footer is damaged: its checksum is not that of its bytes.
    FOOTER_CHECKSUM = "vhd-footer-checksum", Error;
    reads "the last 512 bytes, but for the checksum";
    spec "VHD 1.0, Hard Disk Footer Format: Checksum";

    /// A dynamic disk has a copy of its footer in front, which has to say the same. QEMU reads the
    /// copy, Hyper-V the footer: where they differ, each sees another disk.
    FOOTER_COPY = "vhd-footer-copy", Error;
    reads "the first and the last 512 bytes of a dynamic disk";
    spec "VHD 1.0, Overview: copy of hard disk footer; QEMU block/vpc.c vpc_open";

    /// There are versions 1.0 only. Another major version is another format.
    VERSION = "vhd-version", Error;
    reads "the versions of the footer and of the dynamic disk header";
    spec "VHD 1.0, File Format Version, Header Version";

    /// A bit of the features is always set, and the others mean nothing but for one: that the disk
    /// is temporary, and may be deleted when the machine is shut down.
    FEATURES = "vhd-features", Warning;
    reads "the features in the footer";
    spec "VHD 1.0, Hard Disk Footer Format: Features";

    /// The disk is that of a machine which was saved while it ran: its file systems were in use,
    /// and what was in memory is missing.
    SAVED_STATE = "vhd-saved-state", Warning;
    reads "the saved state in the footer";
    spec "VHD 1.0, Hard Disk Footer Format: Saved State";

    /// The disk is fixed, dynamic or differencing. Others are reserved or no longer used, and
    /// nobody opens them.
    DISK_TYPE = "vhd-disk-type", Error;
    reads "the disk type in the footer";
    spec "VHD 1.0, Hard Disk Footer Format: Disk Type";

    /// A differencing disk has only what was changed since another file, its parent. Alone it is no
    /// disk, and Amazon EC2 refuses it.
    PARENT = "vhd-parent", Error;
    reads "the disk type in the footer";
    spec "VHD 1.0, Differencing Hard Disk; AWS, VM Import/Export: fixed and dynamic VHD";

    /// A disk has whole sectors, and 2040 GiB of them at most: QEMU, Hyper-V and Azure open no
    /// larger one.
    SIZE = "vhd-size", Error;
    reads "the current size in the footer";
    spec "VHD 1.0, Current Size; QEMU block/vpc.c VHD_MAX_SECTORS";

    /// The geometry is not that which everybody computes from the size, nor one of exactly that
    /// size, nor the largest one, which stands for any. Virtual PC takes it for the size of the disk.
    GEOMETRY = "vhd-geometry", Warning;
    reads "the disk geometry and the current size in the footer";
    spec "VHD 1.0, Appendix: CHS Calculation";

    /// The size by the geometry is not the current size, and the file was made by Virtual PC or
    /// QEMU. QEMU goes by the geometry then, and others by the size: what is at the end of the
    /// disk, such as the copy of a GPT, is there for some and missing for others.
    TWO_SIZES = "vhd-two-sizes", Warning;
    reads "the disk geometry, the current size and the creator in the footer";
    spec "QEMU block/vpc.c vpc_ignore_current_size";

    /// A fixed disk is as many bytes as it says, and the footer. Where bytes are missing before the
    /// footer the end of the disk cannot be read; Azure refuses any other length.
    FIXED_LENGTH = "vhd-fixed-length", Error;
    reads "the current size in the footer, and the length of the file";
    spec "VHD 1.0, Overview: Fixed hard disk image";

    /// The header of a dynamic disk is not where the footer says, or leaves the file.
    DYNAMIC_HEADER = "vhd-dynamic-header", Error;
    reads "the 1024 bytes that the footer names";
    spec "VHD 1.0, Dynamic Disk Header Format: Cookie";

    /// The header of a dynamic disk is damaged. QEMU does not look, Hyper-V refuses it.
    DYNAMIC_CHECKSUM = "vhd-dynamic-checksum", Error;
    reads "the dynamic disk header, but for its checksum";
    spec "VHD 1.0, Dynamic Disk Header Format: Checksum";

    /// A block is a power of two, and a sector at least.
    BLOCK_SIZE = "vhd-block-size", Error;
    reads "the block size in the dynamic disk header";
    spec "VHD 1.0, Dynamic Disk Header Format: Block Size";

    /// The block allocation table begins at a sector, is within the file, and has an entry for each
    /// block of the disk.
    TABLE = "vhd-table", Error;
    reads "the dynamic disk header, and the length of the file";
    spec "VHD 1.0, Dynamic Disk Header Format: Table Offset, Max Table Entries";

    /// A block lies beyond the end of the file: it was cut short. QEMU refuses to open it.
    BLOCK_INSIDE = "vhd-block-inside", Error;
    reads "the block allocation table, and the length of the file";
    spec "VHD 1.0, Block Allocation Table and Data Blocks";

    /// Two blocks, or a block and a header or the table, share bytes: who writes to one destroys
    /// the other.
    BLOCK_OVERLAP = "vhd-block-overlap", Error;
    reads "the places of all blocks, the headers, the table and the footer";
    spec "VHD 1.0, Block Allocation Table and Data Blocks";

    /// The bitmap in front of a block says that a sector was never written, and the sector is not
    /// zero. Who goes by the bitmap reads zeros; QEMU reads what is there.
    SECTOR_BITMAP = "vhd-sector-bitmap", Warning;
    reads "all sector bitmaps, and the sectors whose bits are not set";
    spec "VHD 1.0, Data Blocks: sector bitmap";

    /// Between the last block and the footer are more bytes than any alignment needs, and nobody
    /// reads them: blocks that are no longer in the table, or what was written by mistake.
    UNUSED_END = "vhd-unused-end", Warning;
    reads "the places of all blocks, and of the footer";
    spec "VHD 1.0, Overview: the footer follows the last block";

    /// What is larger than this is not judged: 2^24 entries in the block allocation table, which is
    /// 32 TiB in blocks of 2 MiB.
    LIMITS = "vhd-limits", Warning;
    reads "the number of entries in the block allocation table";
    spec "the limit is ours";
}
