//! The checks of tar as WSL extracts it: `bsdtar -x -p --xattrs --numeric-owner`, as root.

checks! {
    /// All checks of this format.
    CHECKS:

    /// The checksum of a header is wrong. **WSL imports such an archive without an error**: bsdtar
    /// says "Damaged tar archive", goes on at the next header, and the file is simply missing.
    HEADER_CHECKSUM = "tar-header-checksum", Error;
    reads "chksum of every header, signed and unsigned sums accepted";
    spec "POSIX.1-2017 pax, ustar; measured: bsdtar 3.6.2 exits with 0";

    /// The archive ends within a member. WSL fails to import it.
    TRUNCATED = "tar-truncated", Error;
    reads "the end of the raw bytes";
    spec "POSIX.1-2017 pax, ustar";

    /// An archive ends with two blocks of zeros. Where they are missing the archive may have been
    /// cut between two members, and **WSL imports what is left without an error**.
    END_OF_ARCHIVE = "tar-end-of-archive", Error;
    reads "the blocks after the last member";
    spec "POSIX.1-2017 pax, ustar; measured: bsdtar 3.6.2 exits with 0";

    /// Something follows the end of the archive, such as a second archive: no reader sees it.
    AFTER_END = "tar-after-end", Error;
    reads "the bytes after the zero blocks";
    spec "POSIX.1-2017 pax, ustar";

    /// The archive has no members. WSL imports it, and then finds that it is no distribution.
    NOT_EMPTY = "tar-not-empty", Error;
    reads "the number of members";
    spec "lima-vm/lima #3597";

    /// More members, or longer names in all, than any root file system has: 2²¹ and 256 MiB.
    /// Reading stops there.
    MEMBER_LIMIT = "tar-member-limit", Error;
    reads "the number of members and the length of their names";
    spec "the limit is ours";

    /// The size of a member is no number, so nobody knows where the next one starts.
    SIZE = "tar-size", Error;
    reads "size of every header";
    spec "POSIX.1-2017 pax, ustar";

    /// A link, directory or node has a size. Some readers expect content after it and some do not,
    /// so they see different archives.
    NO_CONTENT = "tar-no-content", Error;
    reads "size of every member that has no content";
    spec "POSIX.1-2017 pax, ustar: size of a link is zero";

    /// A numeric field holds no number. Readers take it for zero, which may make root the owner.
    NUMBER = "tar-number", Error;
    reads "mode, uid, gid, mtime, devmajor and devminor of every header";
    spec "POSIX.1-2017 pax, ustar";

    /// The extended headers of a member hold more than 1 MiB. They are passed over.
    EXTENDED_LIMIT = "tar-extended-limit", Error;
    reads "size of every extended header";
    spec "the limit is ours";

    /// An extended header is not followed by its member, or comes twice. Readers differ in what
    /// they do.
    EXTENDED_ORDER = "tar-extended-order", Error;
    reads "the headers before every member";
    spec "POSIX.1-2017 pax, pax Header Block";

    /// A record of an extended header cannot be read, so the member has a wrong name, size or
    /// attribute.
    PAX_RECORD = "tar-pax-record", Error;
    reads "the records of every pax extended header";
    spec "POSIX.1-2017 pax, pax Extended Header";

    /// The bytes that fill up the last block of a file are not zero: old content, maybe a secret,
    /// of the machine that made the archive.
    PADDING = "tar-padding", Info;
    reads "the bytes between a content and the next block";
    spec "POSIX.1-2017 pax, ustar";

    /// The type of a member is unknown. Readers take it for a file, or pass over it.
    TYPEFLAG = "tar-typeflag", Error;
    reads "typeflag of every header";
    spec "POSIX.1-2017 pax, ustar";

    /// A member has no name.
    NAME_EMPTY = "tar-name-empty", Error;
    reads "the path of every member";
    spec "POSIX.1-2017 pax, ustar";

    /// A name with `..` leaves the folder it is extracted to. bsdtar refuses it, and the import
    /// fails.
    NAME_DOT_DOT = "tar-name-dot-dot", Error;
    reads "the path of every member";
    spec "measured: bsdtar 3.6.2 exits with 1, SECURE_NODOTDOT";

    /// A name or hard-link target starts with a slash. bsdtar takes the slash away; other readers
    /// write to the machine itself.
    NAME_ABSOLUTE = "tar-name-absolute", Error;
    reads "the path of every member, the target of every hard link";
    spec "measured: bsdtar 3.6.2 strips it";

    /// Some names start with `./` and some do not. Programs that look for one path by its name,
    /// Microsoft's validator for one, find only one of the forms.
    NAME_PREFIX = "tar-name-prefix", Error;
    reads "the path of every member";
    spec "distributions/validate-modern.py, get_tar_file";

    /// A part of a name is longer than Linux allows. The import fails.
    NAME_COMPONENT = "tar-name-component", Error;
    reads "the path of every member";
    spec "NAME_MAX 255; measured: bsdtar 3.6.2 exits with 1";

    /// A path has 4096 bytes or more, which Linux does not open in one go, or lies below more
    /// than 256 directories. No root file system has such paths; archives made to harm readers do.
    NAME_LENGTH = "tar-name-length", Error;
    reads "the path of every member";
    spec "PATH_MAX 4096; the depth is our own limit";

    /// A name is not UTF-8. Linux does not care; Windows shows and reaches such a file with
    /// another name, if at all.
    NAME_UTF8 = "tar-name-utf8", Warning;
    reads "the path of every member, the target of every link";
    spec "POSIX.1-2017 pax: path is UTF-8; WSL extracts with LANG=en_US.UTF-8";

    /// Two members have the same path. The last one wins, and what the first one held is lost.
    DUPLICATE = "tar-duplicate", Error;
    reads "the paths of all members";
    spec "measured: bsdtar 3.6.2 exits with 0";

    /// A member lies below a path that an earlier member made a symbolic link. bsdtar refuses to
    /// go through it, and the import fails.
    THROUGH_SYMLINK = "tar-through-symlink", Error;
    reads "the paths of all members, in order";
    spec "measured: bsdtar 3.6.2 exits with 1, SECURE_SYMLINKS";

    /// A directory has the path of an earlier symbolic link. **WSL imports this without an
    /// error**: the link is gone, and what it made reachable as well.
    SYMLINK_REPLACED = "tar-symlink-replaced", Error;
    reads "the paths of all members, in order";
    spec "measured: bsdtar 3.6.2 exits with 0";

    /// A member lies below a path that an earlier member made a file.
    BELOW_FILE = "tar-below-file", Error;
    reads "the paths of all members, in order";
    spec "measured: bsdtar 3.6.2";

    /// A directory that is not empty is to become something else. The import fails.
    DIRECTORY_REPLACED = "tar-directory-replaced", Error;
    reads "the paths of all members, in order";
    spec "measured: bsdtar 3.6.2 exits with 1";

    /// A directory has no member of its own. bsdtar makes it, with a mode and an owner that the
    /// image does not say, and Microsoft's validator cannot follow links through it.
    PARENT_MEMBER = "tar-parent-member", Warning;
    reads "the paths of all members, in order";
    spec "archive_write_disk_posix.c; distributions/validate-modern.py, get_tar_file";

    /// The target of a hard link must be an earlier member that is no directory. Where it comes
    /// later or never the import fails.
    HARD_LINK_TARGET = "tar-hard-link-target", Error;
    reads "the target of every hard link";
    spec "microsoft/WSL #4457, #4976; measured: bsdtar 3.6.2 exits with 1";

    /// Hard links broke the import of past versions of WSL. A file costs little more.
    HARD_LINK = "tar-hard-link", Warning;
    reads "the type of every member";
    spec "nix-community/NixOS-WSL PR #143";

    /// A symbolic link has no target.
    LINK_EMPTY = "tar-link-empty", Error;
    reads "linkname of every symbolic link";
    spec "symlink(2): ENOENT";

    /// A file is stored without its holes. bsdtar restores it; many other readers do not.
    SPARSE = "tar-sparse", Warning;
    reads "the type and pax records of every member";
    spec "measured: bsdtar 3.6.2; GNU tar, Storing Sparse Files";

    /// A device node or fifo. WSL hides `/dev`, so it serves nobody.
    DEVICE = "tar-device", Info;
    reads "the type of every member";
    spec "src/linux/init mounts devtmpfs on /dev";

    /// Security attributes belong to the machine that made the archive. WSL 1 cannot set them, and
    /// then the import fails.
    XATTR = "tar-xattr", Warning;
    reads "the pax records SCHILY.xattr.security.{selinux,ima,evm}";
    spec "microsoft/WSL #3592; distributions/validate-modern.py";

    /// The first directory becomes `/` with the mode and owner that its member has. If others may
    /// not enter it, only root can use the distribution.
    ROOT_USABLE = "tar-root-usable", Error;
    reads "mode, uid and gid of the member ./";
    spec "measured: bsdtar 3.6.2 applies them";

    /// `/` is a directory of root with mode 0755 everywhere.
    ROOT_MODE = "tar-root-mode", Warning;
    reads "mode, uid and gid of the member ./";
    spec "Filesystem Hierarchy Standard 3.0 §3";

    /// The root file system lies in a folder of the archive and not at its root, so WSL finds
    /// neither `/etc` nor `/bin/sh`.
    NESTED_ROOT = "tar-nested-root", Error;
    reads "the paths of all members";
    spec "microsoft/WSL #9187";

    /// The archive is a container image, as `docker save` or `skopeo` write it: its layers hold the
    /// root file system. `docker export` writes one that WSL can import.
    OCI_LAYOUT = "tar-oci-layout", Error;
    reads "manifest.json, index.json and oci-layout at the root";
    spec "microsoft/WSL #8197; OCI Image Layout Specification";
}
