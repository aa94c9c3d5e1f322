//! The checks of what a disc is to a machine that takes it for a disk, in the order they are
//! evaluated.

checks! {
    /// All checks of this format, in the order they are evaluated.
    CHECKS:

    /// There is boot code or a partition in the first block, and no 55 AA at its end. A BIOS does
    /// not start it, and nobody sees the partitions.
    SIGNATURE = "isohybrid-signature", Error;
    reads "Signature of the first block, boot code and partition records before it";
    spec "UEFI 2.10 §5.2.1";

    /// The first byte of a partition record is 0x80 or 0x00. Where one is not Linux sees no
    /// partition at all.
    BOOT_INDICATOR = "isohybrid-boot-indicator", Error;
    reads "BootIndicator of all partition records";
    spec "UEFI 2.10 §5.2.1; Linux block/partitions/msdos.c msdos_partition";

    /// The disc boots by BIOS, and there is no boot code for it on a stick.
    BOOT_CODE = "isohybrid-boot-code", Warning;
    reads "the first 440 bytes of a disc with a boot image for a PC's BIOS";
    spec "UEFI 2.10 §5.2.1; xorrisofs(1), -isohybrid-mbr";

    /// The boot code is that of a known build but for a few bytes. It is damaged, and what a
    /// machine does that starts it cannot be told.
    CODE_DAMAGED = "isohybrid-code-damaged", Error;
    reads "the first 432 bytes";
    spec "SYSLINUX 6.04 mbr/isohdpfx.S; GRUB 2.12 boot/i386/pc/boot.S";

    /// The boot code is none of the builds that are compared byte for byte: whether it is as its
    /// maker made it cannot be told.
    CODE_KNOWN = "isohybrid-code-known", Info;
    reads "the first 432 bytes";
    spec "SYSLINUX 6.04 mbr/isohdpfx.S; GRUB 2.12 boot/i386/pc/boot.S";

    /// The boot code goes on with a boot image for a PC's BIOS, where the catalog has one.
    /// Otherwise it starts whatever is there.
    BOOT_ADDRESS = "isohybrid-boot-address", Error;
    reads "bytes 432 to 439, and the boot catalog";
    spec "SYSLINUX utils/isohybrid.c; xorrisofs(1), --grub2-mbr";

    /// The boot code of SYSLINUX knows ISOLINUX by a number in it, and stops with "isolinux.bin
    /// missing or corrupt" where it does not find it.
    ISOLINUX = "isohybrid-isolinux", Error;
    reads "bytes 64 to 67 of the boot image";
    spec "SYSLINUX 6.04 mbr/isohdpfx.S";

    /// GRUB's image for discs says where the rest of it is on a disk. What is loaded is something
    /// else.
    GRUB_BLOCK = "isohybrid-grub-block", Error;
    reads "bytes 2548 to 2555 of the boot image";
    spec "xorrisofs(1), --grub2-boot-info";

    /// One partition record is marked as active. Some BIOSes start only a disk with one.
    ACTIVE = "isohybrid-active", Warning;
    reads "BootIndicator of all partition records, where there is boot code and no GPT is announced";
    spec "UEFI 2.10 §5.2.1";

    /// The record that announces a GPT is not active. EDK II does not mind; a BIOS may take it for
    /// a partition to start.
    PROTECTIVE = "isohybrid-protective", Warning;
    reads "BootIndicator of partition records of type 0xee";
    spec "UEFI 2.10 §5.2.3: 0x00; measured: EDK II 2022.11";

    /// A partition record without blocks is all zeros; and one without a type, which Linux takes
    /// for a partition, is that of the disc or of a boot image.
    UNUSED = "isohybrid-unused", Info;
    reads "the partition records without blocks or type";
    spec "UEFI 2.10 §5.2.1; Linux block/partitions/msdos.c msdos_partition";

    /// The partition with the disc has a type that other programs write for it.
    TYPE = "isohybrid-type", Info;
    reads "OSType of the partition record of the disc";
    spec "xorrisofs(1), -iso_mbr_part_type; SYSLINUX utils/isohybrid.c";

    /// The partitions cover the volume. Linux may find its label in the partition as well as in the
    /// disk, and then reads nothing behind the end of the partition.
    COVER = "isohybrid-cover", Error;
    reads "StartingLBA and SizeInLBA of all partition records, the size of the volume";
    spec "UEFI 2.10 §5.2.1; 300 KiB are padding, xorrisofs(1), -padding";

    /// The partition with the disc ends where the disc, its volume or the next partition does. The
    /// table was not made for this file, or the file was cut or grown.
    END = "isohybrid-end", Warning;
    reads "StartingLBA and SizeInLBA of all partition records, the length of the disc";
    spec "xorrisofs(1), -partition_cyl_align";

    /// A partition for UEFI lies in the disc and holds a FAT: UEFI firmware reads nothing else.
    EFI_PARTITION = "isohybrid-efi-partition", Error;
    reads "partition records of type 0xef, and what is there";
    spec "UEFI 2.10 §5.2.2, §13.3";

    /// The partition for UEFI that starts where a boot image does is as long.
    EFI_SIZE = "isohybrid-efi-size", Error;
    reads "SizeInLBA of partition records, and the boot catalog";
    spec "xorrisofs(1), -isohybrid-gpt-basdat";

    /// The partition for UEFI is another one than the boot image of the catalog: a stick and a disc
    /// may boot different programs.
    EFI_OTHER = "isohybrid-efi-other", Info;
    reads "StartingLBA of partition records of type 0xef, and the boot catalog";
    spec "xorrisofs(1), -append_partition";

    /// The partition that is a boot image for UEFI has the type 0xef, or none, where it is for a
    /// Mac. Much firmware looks at no other.
    EFI_TYPE = "isohybrid-efi-type", Warning;
    reads "OSType of partition records, and the boot catalog";
    spec "UEFI 2.10 §5.2.2; xorrisofs(1), -isohybrid-gpt-hfsplus";

    /// Partitions share blocks. EDK II then ignores the whole table, with the one for UEFI; records
    /// of type 0 do not count, which is why discs have one. What is left is the boot catalog, which
    /// only some firmware reads from a stick.
    OVERLAP = "isohybrid-overlap", Error;
    reads "the places of all partition records with a type, where one is 0xef";
    spec "EDK II PartitionDxe/Mbr.c PartitionValidMbr; measured: EDK II 2022.11";

    /// There is a copy of the GPT at the end. Firmware uses it where the first one is damaged, and
    /// some offers to write it.
    GPT_BACKUP = "isohybrid-gpt-backup", Warning;
    reads "AlternateLBA of the GPT, and what is there";
    spec "UEFI 2.10 §5.3.2";

    /// The partitions of the GPT lie in the disc.
    GPT_INSIDE = "isohybrid-gpt-inside", Error;
    reads "the entries of the GPT, the length of the disc";
    spec "UEFI 2.10 §5.3.3";

    /// Where a disc with a boot image for UEFI has a GPT, one of its partitions is that image, or
    /// another FAT.
    GPT_EFI = "isohybrid-gpt-efi", Error;
    reads "the entries of the GPT, and the boot catalog";
    spec "xorrisofs(1), -isohybrid-gpt-basdat, -efi-boot-part";

    /// Blocks of an Apple partition map have 512, 1024 or 2048 bytes.
    APM_BLOCK_SIZE = "isohybrid-apm-block-size", Error;
    reads "sbBlkSize";
    spec "Inside Macintosh: Devices, chapter 3";

    /// Each entry of an Apple partition map says that it is one, and how many there are. A Mac
    /// stops at the first that does not.
    APM_ENTRY = "isohybrid-apm-entry", Error;
    reads "pmSig and pmMapBlkCnt of all entries";
    spec "Inside Macintosh: Devices, chapter 3";

    /// The map is one of its partitions, and others are of a type that discs have: a Mac ignores
    /// them otherwise.
    APM_TYPE = "isohybrid-apm-type", Warning;
    reads "pmParType of all entries";
    spec "Inside Macintosh: Devices, chapter 3; xorriso 1.5.4";

    /// The partitions of an Apple partition map lie in the disc, and its own starts with it.
    APM_INSIDE = "isohybrid-apm-inside", Error;
    reads "pmPyPartStart, pmPartBlkCnt and pmParType of all entries";
    spec "Inside Macintosh: Devices, chapter 3";

    /// A partition of type `Apple_HFS` is a file system of a Mac, or the boot image for UEFI, and
    /// as long.
    APM_HFS = "isohybrid-apm-hfs", Error;
    reads "the entries of type Apple_HFS, the boot catalog, and what is there";
    spec "xorrisofs(1), -isohybrid-apm-hfsplus, -hfsplus";
}
