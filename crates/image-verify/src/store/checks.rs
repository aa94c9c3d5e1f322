//! What is asked of a Nix store, in the order it is asked.

checks! {
    /// The checks of a store, in the order they are evaluated. Where the kind of an image has a
    /// check of its own for the same defect, that one is recorded.
    CHECKS:

    /// Nix registered what is in the store: in a list that the first boot loads into the database,
    /// or in the database itself. Without either, or if it cannot be read, Nix knows of no path,
    /// and the first garbage collection deletes the running system.
    REGISTRATION = "store-registration", Error;
    reads "nix-path-registration, /nix/var/nix/db/db.sqlite";
    spec "Nix decodeValidPathInfo, src/libstore/schema.sql";

    /// The database was not closed before the image was made: part of what Nix knows is in a file
    /// beside it, or a transaction did not end. SQLite mends it when the database is opened for the
    /// first time, unless somebody copied it without that file.
    DATABASE_CLOSED = "store-database-closed", Warning;
    reads "db.sqlite-wal and db.sqlite-journal beside /nix/var/nix/db/db.sqlite";
    spec "SQLite, File Format, sections 3 and 4";

    /// The list and the database say different things of the same store. The first boot loads the
    /// list over the database, and what holds depends on who reads.
    AGREE = "store-registrations-agree", Error;
    reads "nix-path-registration, /nix/var/nix/db/db.sqlite";
    spec "Nix LocalStore::registerValidPaths";

    /// A path is in the store and Nix does not know it: nobody vouches for it, and the first
    /// garbage collection deletes it.
    COMPLETE = "store-complete", Error;
    reads "the names in the store, and what is registered";
    spec "Nix LocalStore::collectGarbage";

    /// A path is registered and not in the store: Nix takes for granted what is not there.
    PRESENT = "store-present", Error;
    reads "the names in the store, and what is registered";
    spec "Nix LocalStore::verifyPath";

    /// A path refers to one that is not registered, so the closure has a gap.
    REFERENCES = "store-references", Error;
    reads "the references that are registered";
    spec "Nix LocalStore::registerValidPaths";

    /// A file of the store cannot be read, or is a device, a fifo or a socket: Nix has none of
    /// these in its store, and cannot tell what the path is.
    READABLE = "store-readable", Error;
    reads "every file of every path";
    spec "Nix src/libutil/archive.cc dump";

    /// Nix makes no archive with a file of such a name: it is reserved for systems that do not
    /// tell cases apart.
    NAME = "store-name", Error;
    reads "the name of every file of every path";
    spec "Nix src/libutil/archive.cc, caseHackSuffix";

    /// A path is not what it was when Nix registered it: a file was changed, lost or added, or has
    /// become executable, or a symlink leads elsewhere. `nix-store --verify --check-contents` says
    /// the same.
    CONTENT = "store-content", Error;
    reads "every file of every path, as a NAR, and the hash that is registered";
    spec "Nix LocalStore::verifyStore";

    /// The content is what Nix registered, and its size is not. The size is part of what is signed,
    /// so no signature over it holds.
    NAR_SIZE = "store-nar-size", Error;
    reads "the length of every path as a NAR, and the size that is registered";
    spec "Nix ValidPathInfo::fingerprint";

    /// The content of a path names another one that is here, and the registration does not say so:
    /// the garbage collector may delete it, and a copy of the system leaves it out. Nix finds
    /// references in the same way when a path is built, so the content was changed later.
    UNDECLARED_REFERENCE = "store-undeclared-reference", Warning;
    reads "every content, name and symlink, for the hashes of all store paths";
    spec "Nix src/libstore/path-references.cc, RefScanSink";

    /// The content of a path has text that looks like a store path, and nobody has that path: an
    /// example in a manual, or what is left of a path that did not come along.
    UNKNOWN_PATH = "store-unknown-path", Info;
    reads "every content and name, for `/nix/store/` with a hash behind it";
    spec "Nix src/libstore/path-references.cc";

    /// A symlink in the store leads to a store path that is not here: part of the system was not
    /// copied, and some program fails later, when nobody thinks of the image.
    SYMLINK = "store-symlink", Error;
    reads "the target of every symlink in the store";
    spec "Nix manual, closure";

    /// A program is loaded by an interpreter in the store, and that is not there. Linux says `No
    /// such file or directory` of the program itself.
    INTERPRETER = "store-interpreter", Error;
    reads "PT_INTERP of every 64-bit ELF file in the store";
    spec "System V ABI, program interpreter";

    /// A program or library looks for others in a store path that is not here.
    RUN_PATH = "store-run-path", Error;
    reads "DT_RUNPATH and DT_RPATH of every 64-bit ELF file in the store";
    spec "System V ABI, dynamic section; ld.so(8)";

    /// What starts the system, or keeps a path from the garbage collector, leads to a store path
    /// that is not here, or that Nix does not know.
    ENTRY = "store-entry", Error;
    reads "init= of boot loaders, /nix/var/nix/profiles, /nix/var/nix/gcroots";
    spec "Nix manual, profiles and garbage collector roots";

    /// Files of the store belong to root: their owner can change what everybody runs.
    OWNER = "store-owner", Error;
    reads "owner and group of everything in the store";
    spec "Nix src/libstore/posix-fs-canonicalise.cc";

    /// Others than root may write a file of the store: any user can replace a program that root
    /// runs.
    WRITABLE = "store-writable", Error;
    reads "the mode of everything in the store";
    spec "Nix src/libstore/posix-fs-canonicalise.cc";

    /// Nix gives files of the store the mode 0444 or 0555. Another mode shows that something else
    /// touched them.
    MODE = "store-mode", Warning;
    reads "the mode of everything in the store";
    spec "Nix src/libstore/posix-fs-canonicalise.cc";

    /// Nix gives all files of the store the time 1, and what nixpkgs makes a SquashFS with makes it
    /// 0. Another time shows that something else touched them, and makes two images of one system
    /// differ.
    MTIME = "store-mtime", Warning;
    reads "mtime of everything in the store";
    spec "Nix src/libstore/posix-fs-canonicalise.cc, mtimeStore";

    /// There is more than is judged: hundreds of thousands of paths, a million references, or
    /// more bytes in all files together than are hashed. What comes after it is not known.
    LIMITS = "store-limits", Warning;
    reads "what is registered; the sizes of all files";
    spec "the limits are ours";
}
