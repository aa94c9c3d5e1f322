//! The checks of appliances: packages of the Open Virtualization Format in one file.

checks! {
    /// All checks of this format.
    CHECKS:

    /// The archive is damaged or cut short. VirtualBox stops in the middle of the import.
    TAR = "ova-tar", Error;
    reads "all headers of the archive, and its end";
    spec "POSIX.1-2017 pax, ustar; DSP0243 1.1 §5.3";

    /// A package is a ustar archive by its specification. Some programs read no other dialect.
    USTAR = "ova-ustar", Warning;
    reads "the magic numbers of all headers, and whether there are extended ones";
    spec "DSP0243 1.1 §5.3";

    /// A package is a handful of files with names of their own. What leaves the folder that it is
    /// unpacked to, or overwrites another member, is none of them.
    NAME = "ova-name", Error;
    reads "the names and types of all members";
    spec "DSP0243 1.1 §5.1, §7.1";

    /// The archive has more members than are looked at: 65536, with names of 16 MiB. No package has
    /// that many.
    LIMITS = "ova-limits", Error;
    reads "the number of members and the length of their names";
    spec "the limit is ours";

    /// Who imports a package reads its descriptor first, and knows what to do with the rest as it
    /// comes. Another member in its place, or a second descriptor, is refused.
    DESCRIPTOR = "ova-descriptor", Error;
    reads "the names of all members";
    spec "DSP0243 1.1 §5.1, §5.3";

    /// The manifest and the certificate come after the descriptor, or both at the end, and the files
    /// in the order of the references. Programs that read the package as it is downloaded need that.
    ORDER = "ova-order", Warning;
    reads "the names of all members, and the references";
    spec "DSP0243 1.1 §5.3";

    /// The descriptor is no XML, or no envelope of this format. A definition of a document type is
    /// not read: it can make a reader take all memory, or read files of its machine.
    ENVELOPE = "ova-envelope", Error;
    reads "the descriptor";
    spec "DSP0243 1.1 §6, §7";

    /// A file that the descriptor refers to is not in the package.
    REFERENCE = "ova-reference", Error;
    reads "ovf:href of every File, and the names of all members";
    spec "DSP0243 1.1 §7.1";

    /// A file is longer or shorter than the descriptor says.
    REFERENCE_SIZE = "ova-reference-size", Error;
    reads "ovf:size of every File, and the size of the member";
    spec "DSP0243 1.1 §7.1";

    /// A file is compressed once more, or in pieces. Few programs read that, and we do not.
    REFERENCE_ENCODING = "ova-reference-encoding", Warning;
    reads "ovf:compression and ovf:chunkSize of every File";
    spec "DSP0243 1.1 §7.1";

    /// Two files, or two disks, have the same identifier: nobody knows which one is meant.
    IDENTIFIER = "ova-identifier", Error;
    reads "ovf:id of every File, ovf:diskId of every Disk";
    spec "DSP0243 1.1 §7.1, §9.1";

    /// A member that nothing refers to: it is downloaded, and not used.
    UNREFERENCED = "ova-unreferenced", Info;
    reads "the names of all members, and the references";
    spec "DSP0243 1.1 §7.1";

    /// There is no manifest, so nobody notices what happened to the package on its way.
    MANIFEST = "ova-manifest", Warning;
    reads "the names of all members";
    spec "DSP0243 1.1 §5.1";

    /// A line of the manifest is no digest that is known. Programs refuse the package.
    MANIFEST_LINE = "ova-manifest-line", Error;
    reads "every line of the manifest";
    spec "DSP0243 1.1 §5.1: SHA1(name)= hex; DSP0243 2.1 §5.1: SHA256";

    /// The manifest has a digest of what is not in the package, or none of the descriptor or of a
    /// file.
    MANIFEST_FILES = "ova-manifest-files", Error;
    reads "the names in the manifest, the descriptor and the references";
    spec "DSP0243 1.1 §5.1";

    /// A file has another digest than the manifest says: one of the two was changed. VirtualBox
    /// refuses the package.
    MANIFEST_DIGEST = "ova-manifest-digest", Error;
    reads "all bytes of every file in the manifest";
    spec "DSP0243 1.1 §5.1; FIPS 180-4";

    /// A disk refers to a file that the descriptor does not have, or to another disk that it has the
    /// changes of.
    DISK_FILE = "ova-disk-file", Error;
    reads "ovf:fileRef and ovf:parentRef of every Disk";
    spec "DSP0243 1.1 §9.1";

    /// The format of a disk is not the one that its file has, or none that is known.
    DISK_FORMAT = "ova-disk-format", Error;
    reads "ovf:format of every Disk, and the first bytes of its file";
    spec "DSP0243 1.1 §9.1, §5.2";

    /// The descriptor gives a disk another size than the disk has itself: one of the two lies.
    DISK_CAPACITY = "ova-disk-capacity", Error;
    reads "ovf:capacity of every Disk, and the header of its file";
    spec "DSP0243 1.1 §9.1";
}
