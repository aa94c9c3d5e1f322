//! The checks of archives for `docker load` and `podman load`.

checks! {
    /// All checks of this format.
    CHECKS:

    /// The archive is damaged or cut short. What is after that is not loaded.
    TAR = "docker-tar", Error;
    reads "all headers of the archive, and its end";
    spec "POSIX.1-2017 pax, ustar";

    /// A member whose name leaves the folder that the archive is unpacked to, that overwrites
    /// another one with something else, or that is neither file, folder nor link.
    NAME = "docker-name", Error;
    reads "the names and types of all members";
    spec "Docker Image Specification v1.2, Combined Image JSON + Filesystem Changeset Format";

    /// More than what we look at: 65536 members with names of 16 MiB, 16 images, 2²¹ files of a
    /// layer with names of 256 MiB, 64 MiB of what layers take away, and 256 GiB of layers that are
    /// read, or 200 times the archive beyond 4 GiB. What is beyond was not judged.
    LIMITS = "docker-limits", Warning;
    reads "how much there is";
    spec "the limits are ours";

    /// There is no list of the images in the archive, or it is none. `docker load` and `podman load`
    /// read it first.
    MANIFEST = "docker-manifest", Error;
    reads "manifest.json";
    spec "Docker Image Specification v1.2; moby daemon/internal/image/tarexport/load.go";

    /// A name that an image is to get is no name with a tag. Loading ends there.
    REPO_TAGS = "docker-repo-tags", Error;
    reads "RepoTags in manifest.json";
    spec "distribution/reference; moby image/tarexport/load.go";

    /// The configuration of an image is not in the archive, or cannot be read.
    CONFIG = "docker-config", Error;
    reads "Config in manifest.json, and the configuration";
    spec "Docker Image Specification v1.2, Image JSON Description; OCI Image Configuration";

    /// The configuration has another digest than its name says, and that is the identity of the
    /// image: it was changed afterwards.
    CONFIG_NAME = "docker-config-name", Error;
    reads "Config in manifest.json, and all bytes of the configuration";
    spec "Docker Image Specification v1.2, Image ID";

    /// The list of images has as many layers as the configuration has digests. Otherwise nothing is
    /// loaded.
    LAYERS = "docker-layers", Error;
    reads "Layers in manifest.json, rootfs in the configuration";
    spec "moby image/tarexport/load.go, layers length mismatch";

    /// Docker mounts no image of more than 125 layers.
    LAYER_LIMIT = "docker-layer-limit", Error;
    reads "Layers in manifest.json";
    spec "moby layer/layer_store.go maxLayerDepth";

    /// A layer is not in the archive.
    LAYER_FILE = "docker-layer-file", Error;
    reads "Layers in manifest.json, and the names of all members";
    spec "Docker Image Specification v1.2";

    /// A layer has another digest than the configuration says: it is damaged, or that of another
    /// image. Loading fails.
    DIFF_ID = "docker-diff-id", Error;
    reads "rootfs.diff_ids in the configuration, and all bytes of every layer, uncompressed";
    spec "OCI Image Configuration, Layer DiffID";

    /// A layer is no tar archive, or a damaged one.
    LAYER_TAR = "docker-layer-tar", Error;
    reads "all headers of every layer, and what is around it";
    spec "OCI Image Layer Filesystem Changeset; POSIX.1-2017 pax, ustar";

    /// A layer does not end with two blocks of zeros, or goes on after them. Go reads it; other
    /// programs call it cut short.
    LAYER_END = "docker-layer-end", Warning;
    reads "the end of every layer";
    spec "POSIX.1-2017 pax, ustar";

    /// A compressed layer expands to more than 200 times its size beyond 1 GiB. It was made to fill
    /// a disk.
    LAYER_EXPANSION = "docker-layer-expansion", Error;
    reads "the length of every compressed layer, and of what is in it";
    spec "the limit is ours";

    /// A file in a layer has no name, one with `..`, or one that Linux does not take.
    LAYER_NAME = "docker-layer-name", Error;
    reads "the paths in every layer";
    spec "moby pkg/archive/diff.go UnpackLayer; PATH_MAX, NAME_MAX";

    /// Names in a layer start with a slash, as nixpkgs writes them. Docker and Podman take it away;
    /// a program that unpacks the layer by itself may write to its machine.
    LAYER_ABSOLUTE = "docker-layer-absolute", Info;
    reads "the paths in every layer";
    spec "OCI Image Layer Filesystem Changeset; nixpkgs stream_layered_image.py";

    /// A file in a layer is of a type that nobody knows. Loading fails.
    LAYER_TYPE = "docker-layer-type", Error;
    reads "the type of every file in every layer";
    spec "moby pkg/archive/archive.go createTarFile";

    /// A path is in a layer twice. The last one counts.
    LAYER_DUPLICATE = "docker-layer-duplicate", Warning;
    reads "the paths in every layer";
    spec "OCI Image Layer Filesystem Changeset";

    /// A file lies below a path that the same layer made a file.
    LAYER_BELOW_FILE = "docker-layer-below-file", Error;
    reads "the paths in every layer, in order";
    spec "mkdir(2): ENOTDIR";

    /// A hard link leads to what is not in the same layer before it, or is a directory. Loading
    /// fails.
    LAYER_LINK = "docker-layer-link", Error;
    reads "the target of every hard link in every layer";
    spec "moby pkg/archive/archive.go createTarFile; link(2)";

    /// A layer takes away what is not in the layers below, so it was made for others; or what takes
    /// it away is no empty file, or has no name.
    WHITEOUT = "docker-whiteout", Warning;
    reads "names that start with .wh. in every layer, and the layers below";
    spec "OCI Image Layer Filesystem Changeset, Whiteouts";

    /// A layer has a directory where the layers below have a symbolic link. The link is gone, and so
    /// is what was reached through it, such as all programs in `/bin`.
    SYMLINK_REPLACED = "docker-symlink-replaced", Warning;
    reads "the paths in every layer, and the layers below";
    spec "Linux Documentation/filesystems/overlayfs.rst";

    /// A date is none. Loading fails.
    CREATED = "docker-created", Error;
    reads "created in the configuration, and in its history";
    spec "RFC 3339 §5.6; OCI Image Configuration";

    /// The history has as many steps with a layer as there are layers. Some registries refuse an
    /// image where it has not, and nobody can tell which step made which layer.
    HISTORY = "docker-history", Warning;
    reads "history and rootfs in the configuration";
    spec "OCI Image Configuration, history";

    /// The index that Docker 25 and later write, and programs for OCI images read, cannot be read, or
    /// leads to what is not there.
    INDEX = "docker-index", Error;
    reads "oci-layout, index.json, and what they lead to";
    spec "OCI Image Layout 1.0, Image Index, Image Manifest";

    /// The index and the list of images have different images: what is loaded depends on who loads
    /// it.
    INDEX_IMAGE = "docker-index-image", Error;
    reads "Config and Layers in manifest.json, and the manifests that index.json leads to";
    spec "moby image/tarexport/save.go";

    /// What is in `blobs/sha256` has another digest than its name says.
    BLOB = "docker-blob", Error;
    reads "all bytes of all members in blobs/sha256";
    spec "OCI Image Layout 1.0, Blobs";
}
