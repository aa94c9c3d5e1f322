//! The checks of El Torito, in the order they are evaluated: boot record, catalog, entries, images.

checks! {
    /// All checks of this format, in the order they are evaluated.
    CHECKS:

    /// The boot record is the volume descriptor in sector 17, right after the primary one. SeaBIOS
    /// and other BIOSes look nowhere else; UEFI firmware looks through all descriptors.
    BOOT_RECORD_PLACE = "el-torito-boot-record-place", Error;
    reads "the volume descriptors";
    spec "El Torito 1.0, 2.0 \"Boot Record Volume Descriptor\"; SeaBIOS src/cdrom.c cdrom_boot";

    /// The boot record is a volume descriptor: type 0, `CD001`, version 1. Firmware ignores it
    /// where it is not, and the disc does not boot.
    BOOT_RECORD = "el-torito-boot-record", Error;
    reads "the first 7 bytes of the boot record";
    spec "El Torito 1.0, figure 7; ECMA-119 §8.2";

    /// The boot system is `EL TORITO SPECIFICATION` and a zero. Firmware knows no other; the disc
    /// does not boot.
    SYSTEM_ID = "el-torito-system-id", Error;
    reads "Boot System Identifier";
    spec "El Torito 1.0, figure 7; SeaBIOS src/cdrom.c cdrom_boot";

    /// What is unused in a boot record is zero.
    BOOT_RECORD_UNUSED = "el-torito-boot-record-unused", Info;
    reads "what follows Boot System Identifier and the pointer to the catalog";
    spec "El Torito 1.0, figure 7";

    /// The boot catalog is a sector of the disc, behind the volume descriptors.
    CATALOG_PLACE = "el-torito-catalog-place", Error;
    reads "the pointer to the catalog, the length of the disc";
    spec "El Torito 1.0, figure 7";

    /// The catalog starts with a validation entry. Firmware ignores one that does not.
    VALIDATION_HEADER = "el-torito-validation-header", Error;
    reads "Header ID of the validation entry";
    spec "El Torito 1.0, figure 2";

    /// The validation entry ends with 55 AA. Firmware ignores a catalog where it does not.
    KEY = "el-torito-key", Error;
    reads "the key bytes of the validation entry";
    spec "El Torito 1.0, figure 2";

    /// The words of the validation entry sum up to zero. Firmware ignores a catalog where they do
    /// not; some firmware does not compute it.
    CHECKSUM = "el-torito-checksum", Error;
    reads "all 16 words of the validation entry";
    spec "El Torito 1.0, figure 2; EDK II PartitionDxe/ElTorito.c";

    /// A platform is a PC's BIOS (0), a PowerPC (1), a Mac (2) or UEFI (0xef). Nothing looks at
    /// entries for another.
    PLATFORM = "el-torito-platform", Warning;
    reads "Platform ID of the validation entry and of all section headers";
    spec "El Torito 1.0, figures 2 and 4; UEFI 2.10 §13.3.2.1";

    /// What follows the entries of a section is the header of another one, or zeros. Here entries
    /// may be lost, or found, depending on who looks.
    SECTION_HEADER = "el-torito-section-header", Error;
    reads "the Header Indicator of all sections";
    spec "El Torito 1.0, figure 4";

    /// The last header says that it is the last one.
    SECTION_LAST = "el-torito-section-last", Warning;
    reads "the Header Indicator of all sections";
    spec "El Torito 1.0, figure 4";

    /// A section has as many entries as its header says. Others are empty, or found only by
    /// firmware that does not count: EDK II takes all records of the catalog that start with 0x88.
    SECTION_COUNT = "el-torito-section-count", Error;
    reads "the number of entries in all section headers";
    spec "El Torito 1.0, figure 4; EDK II PartitionDxe/ElTorito.c";

    /// An entry says that an extension follows where one does, and not where none does.
    EXTENSION = "el-torito-extension", Error;
    reads "bit 5 of the media type, and the extensions";
    spec "El Torito 1.0, figures 5 and 6";

    /// The catalog is a sector of 2048 bytes, with room for 62 entries. Firmware reads no more.
    CATALOG_SIZE = "el-torito-catalog-size", Warning;
    reads "all records of the catalog";
    spec "EDK II PartitionDxe/ElTorito.c; the limit of 16 KiB is ours";

    /// After its last record a catalog is zero.
    CATALOG_END = "el-torito-catalog-end", Info;
    reads "the rest of the sector of the catalog";
    spec "El Torito 1.0, 2.0";

    /// An entry starts with 0x88, or with 0 where it is not to be booted.
    BOOT_INDICATOR = "el-torito-boot-indicator", Error;
    reads "Boot Indicator of all entries";
    spec "El Torito 1.0, figures 3 and 5";

    /// An entry is marked as one that is not to be booted. Firmware skips it.
    BOOTABLE = "el-torito-bootable", Warning;
    reads "Boot Indicator of all entries";
    spec "El Torito 1.0, figures 3 and 5";

    /// Nothing, a floppy of 1.2, 1.44 or 2.88 MB or a hard disk is emulated. Other numbers stand
    /// for nothing; BIOSes take them for some disk.
    MEDIA_TYPE = "el-torito-media-type", Error;
    reads "Boot media type of all entries";
    spec "El Torito 1.0, figures 3 and 5";

    /// UEFI firmware emulates nothing. EDK II makes a disk of the size of the floppy, whatever the
    /// sector count is.
    EFI_EMULATION = "el-torito-efi-emulation", Warning;
    reads "Boot media type of entries for UEFI";
    spec "UEFI 2.10 §13.3.2.1; measured: EDK II 2022.11";

    /// What an entry does not use is zero. Here bytes differ from what any program writes.
    ENTRY_UNUSED = "el-torito-entry-unused", Info;
    reads "the unused bytes of the validation entry and of all entries";
    spec "El Torito 1.0, figures 2, 3 and 5";

    /// A boot image lies in the disc, behind the volume descriptors, and so does all that is loaded
    /// of it. Otherwise firmware stops with a read error, or the image was cut.
    IMAGE_PLACE = "el-torito-image-place", Error;
    reads "Load RBA and Sector Count of all entries, the length of the disc";
    spec "El Torito 1.0, figures 3 and 5";

    /// A boot image is not made of zeros. A BIOS starts them as instructions, and the machine
    /// hangs.
    IMAGE_ZERO = "el-torito-image-zero", Error;
    reads "the first 2048 bytes of all images";
    spec "El Torito 1.0, 1.3 \"Boot image\"";

    /// A boot image starts where a file does, or is no file at all: here it starts in the middle of
    /// one.
    IMAGE_FILE = "el-torito-image-file", Error;
    reads "Load RBA of all entries, the places of all files";
    spec "El Torito 1.0, 1.3 \"Boot image\"";

    /// A boot image is no file of the disc. That is right, as for what was appended as a partition,
    /// and nobody who lists the files of the disc sees it.
    IMAGE_HIDDEN = "el-torito-image-hidden", Info;
    reads "Load RBA of all entries, the places of all files";
    spec "xorrisofs(1), -append_partition";

    /// More sectors are announced than the file of the boot image has.
    IMAGE_LENGTH = "el-torito-image-length", Warning;
    reads "Sector Count of all entries, the lengths of their files";
    spec "El Torito 1.0, figures 3 and 5";

    /// A BIOS loads at least a sector. Where it loads none it starts what is in memory.
    SECTOR_COUNT = "el-torito-sector-count", Error;
    reads "Sector Count of entries for a PC's BIOS";
    spec "El Torito 1.0, figure 3; measured: SeaBIOS 1.16";

    /// GRUB and ISOLINUX need 4 sectors of 512 bytes to load the rest. A BIOS that reads whole
    /// sectors of the disc, as SeaBIOS does, loads as many.
    SECTOR_COUNT_FEW = "el-torito-sector-count-few", Warning;
    reads "Sector Count of entries for ISOLINUX and GRUB";
    spec "SYSLINUX core/isolinux.asm; GRUB 2.12 boot/i386/pc/cdboot.S";

    /// Some BIOSes load 4 sectors whatever the entry says, and fail with a count that is no
    /// multiple of 4; of a floppy or a disk 1 is loaded.
    SECTOR_COUNT_USUAL = "el-torito-sector-count-usual", Info;
    reads "Sector Count of entries for a PC's BIOS";
    spec "mkisofs(8), -boot-load-size";

    /// A BIOS loads the image to 0x7c00 or where the entry says. ISOLINUX and GRUB run nowhere
    /// else, and nothing can be loaded over the tables of the BIOS or to where there is no memory.
    LOAD_SEGMENT = "el-torito-load-segment", Error;
    reads "Load Segment and Sector Count of entries for a PC's BIOS";
    spec "El Torito 1.0, figure 3";

    /// The image of a floppy has as many bytes as the floppy. A BIOS refuses to read behind its
    /// end.
    FLOPPY = "el-torito-floppy", Error;
    reads "Boot media type, the length of the file";
    spec "El Torito 1.0, figure 3";

    /// The image of a hard disk has a master boot record with one partition, of the type that the
    /// entry says.
    HARD_DISK = "el-torito-hard-disk", Error;
    reads "System Type, and the first 512 bytes of the image";
    spec "El Torito 1.0, figure 3, and 1.3";

    /// ISOLINUX and GRUB start with a jump over their boot information table. No checksum covers
    /// it, and a machine that jumps elsewhere hangs.
    LOADER_START = "el-torito-loader-start", Error;
    reads "bytes 0 to 7 of images for a PC's BIOS, and what they lead to";
    spec "SYSLINUX core/isolinux.asm; GRUB 2.12 boot/i386/pc/cdboot.S";

    /// ISOLINUX and GRUB find the rest of themselves by a boot information table, which
    /// `-boot-info-table` writes when the disc is made. Without it GRUB stops with "no boot info",
    /// and ISOLINUX guesses on a disc, and stops with "Image checksum error" on a stick.
    INFO_TABLE = "el-torito-info-table", Error;
    reads "bytes 8 to 23 of images for a PC's BIOS";
    spec "mkisofs(8), \"EL TORITO BOOT INFORMATION TABLE\"; measured: ISOLINUX 6.04";

    /// The table says where the primary volume descriptor is. ISOLINUX reads directories from
    /// there.
    INFO_PVD = "el-torito-info-pvd", Error;
    reads "bytes 8 to 11 of images with the table";
    spec "mkisofs(8), \"EL TORITO BOOT INFORMATION TABLE\"";

    /// The table says where the image is, and is not of an image that lies somewhere else.
    INFO_FILE = "el-torito-info-file", Error;
    reads "bytes 12 to 15 of images with the table, Load RBA";
    spec "mkisofs(8), \"EL TORITO BOOT INFORMATION TABLE\"";

    /// The table says how long the image is. Less than all of it is loaded, or more.
    INFO_LENGTH = "el-torito-info-length", Error;
    reads "bytes 16 to 19 of images with the table, the length of the file";
    spec "mkisofs(8), \"EL TORITO BOOT INFORMATION TABLE\"";

    /// The checksum of the image is that of its table. It was changed after the disc was made, or
    /// is damaged. ISOLINUX stops with "Image checksum error, sorry...".
    INFO_CHECKSUM = "el-torito-info-checksum", Error;
    reads "images with the table, from byte 64 on";
    spec "mkisofs(8), \"EL TORITO BOOT INFORMATION TABLE\"";

    /// The rest of the table is reserved, and zero.
    INFO_RESERVED = "el-torito-info-reserved", Info;
    reads "bytes 24 to 63 of images with the table";
    spec "mkisofs(8), \"EL TORITO BOOT INFORMATION TABLE\"";

    /// UEFI firmware reads FAT in a boot image and nothing else.
    EFI_FAT = "el-torito-efi-fat", Error;
    reads "the first 68 KiB of images for UEFI";
    spec "UEFI 2.10 §13.3.2.1";

    /// UEFI firmware makes a disk of as many sectors as the entry says; 0 and 1 stand for all up to
    /// the end of the volume. The file system in it has more than that, so a part of it cannot be
    /// read.
    EFI_SIZE = "el-torito-efi-size", Error;
    reads "Sector Count of entries for UEFI, the boot sector of the FAT, the size of the volume";
    spec "UEFI 2.10 §13.3.2.1; EDK II PartitionDxe/ElTorito.c";
}
