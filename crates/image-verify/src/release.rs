//! The checks of releases. They are declared here, with all others, so that everybody can explain
//! them; `image-release`, which is compiled only by those who release, evaluates them.

checks! {
    /// The checks of a release, in the order in which they are made.
    CHECKS:

    /// The list of checksums is what everything else hangs on: it is signed, and it names all files.
    /// Without it nothing can be said of a release.
    SUMS = "release-sums", Error;
    reads "SHA256SUMS";
    spec "sha256sum(1); sysupdate.d(5)";

    /// `sha256sum -c` and systemd-sysupdate have to read the list, and to read the same: a line of 64
    /// lower-case hexadecimal digits, two characters and a name for each file, the last one ended as
    /// the others. systemd-sysupdate refuses the whole list for one bad line.
    ///
    /// Names are plain: no folders, no control characters, no backslash, which coreutils takes for an
    /// escape.
    SUMS_FORM = "release-sums-form", Error;
    reads "each line of SHA256SUMS";
    spec "sha256sum(1); systemd, src/sysupdate/sysupdate-resource.c";

    /// A file that is listed twice has two digests, and programs differ in which one they take.
    SUMS_UNIQUE = "release-sums-unique", Error;
    reads "the names in SHA256SUMS";
    spec "sha256sum(1)";

    /// Nobody signed the release: whoever can change the files where they are published can change the
    /// checksums with them.
    UNSIGNED = "release-unsigned", Warning;
    reads "the signatures beside SHA256SUMS";
    spec "docs/architecture.md";

    /// A signature that does not match means that the list of checksums was changed after it was
    /// signed, or belongs to another release.
    SIGNATURE = "release-signature", Error;
    reads "SHA256SUMS, its signatures, and the keys";
    spec "minisign(1); OpenSSH, PROTOCOL.sshsig; RFC 9580 §5.2";

    /// Whoever gives a key wants to know that its owner made the release. A signature by another key,
    /// or none, does not say so.
    WANTED_KEY = "release-wanted-key", Error;
    reads "the keys that were given, and the signatures beside SHA256SUMS";
    spec "docs/architecture.md";

    /// The signatures match the public keys that came with the release. Whoever makes another release
    /// can put other keys there: compare them with what you know of its makers, or give the key.
    UNKNOWN_SIGNER = "release-unknown-signer", Info;
    reads "the keys that were given";
    spec "docs/architecture.md";

    /// A public key that comes along has to be one that tools read, and the one that the manifest
    /// names.
    PUBLIC_KEY = "release-public-key", Error;
    reads "minisign.pub, ssh.pub, openpgp.asc";
    spec "minisign(1); sshd(8); RFC 9580 §10.1";

    /// The manifest says who signed, and is signed itself. A signature that it does not name was put
    /// there later, and one that is missing was taken away, so that nobody looks for it.
    SIGNATURES_DECLARED = "release-signatures-declared", Error;
    reads "`signatures` of manifest.json, and the signatures beside SHA256SUMS";
    spec "schemas/release.schema.json";

    /// A release is files: a symbolic link leads out of it, a pipe keeps its reader waiting, and
    /// neither can be published.
    FILE_KIND = "release-file-kind", Error;
    reads "the kinds of files in the folder";
    spec "docs/architecture.md";

    /// A file that is listed is there.
    FILE_MISSING = "release-file-missing", Error;
    reads "the names in SHA256SUMS, and the files";
    spec "sha256sum(1)";

    /// What nobody lists nobody signed: it may be the rest of another version, or be put there for
    /// those who take whatever is in the folder.
    FILE_EXTRA = "release-file-extra", Error;
    reads "the names in SHA256SUMS, and the files";
    spec "docs/architecture.md";

    /// A file has other bytes than those that were signed: it was damaged on its way, or replaced.
    FILE_DIGEST = "release-file-digest", Error;
    reads "every byte of every file";
    spec "FIPS 180-4";

    /// A file has another length than the manifest says. What is longer is not read to its end.
    FILE_SIZE = "release-file-size", Error;
    reads "the lengths of the files, and manifest.json";
    spec "schemas/release.schema.json";

    /// Documents of a release are read into memory, by this check and by clients. None has a reason
    /// to be larger than 64 MiB, a catalog none to be larger than 1 MiB, and no release has thousands
    /// of images.
    LIMITS = "release-limits", Error;
    reads "the lengths of documents, and the number of files";
    spec "docs/architecture.md";

    /// The manifest of the release says which files it has, what they are for, and which images they
    /// belong to.
    MANIFEST = "release-manifest", Error;
    reads "manifest.json";
    spec "schemas/release.schema.json";

    /// The list of checksums and the manifest of the release name the same files with the same digests.
    /// If they differ, one of them is of another release.
    MANIFEST_FILES = "release-manifest-files", Error;
    reads "SHA256SUMS, and `files` of manifest.json";
    spec "schemas/release.schema.json";

    /// The files of an image are payloads of the release, with the digests that the image has, and
    /// beside it are its checksum, manifest, report, attestations and page.
    IMAGE_FILES = "release-image-files", Error;
    reads "`images` and `files` of manifest.json";
    spec "schemas/release.schema.json";

    /// Names of images have the version in them: it is what people see of a download, and how
    /// systemd-sysupdate finds the newest. A name with another version is of another release.
    VERSION = "release-version", Error;
    reads "`version` of manifest.json, and the names of images";
    spec "sysupdate.d(5)";

    /// A place that is called by a version has that version. If an older release is served in the place
    /// of a newer one, all of its signatures are good, and this is all that tells.
    PLACE = "release-place", Error;
    reads "`version` of manifest.json, and the last name of the address";
    spec "docs/architecture.md";

    /// Some clients look for a file under a second name, such as `streams/v1/index.json`. Both have the
    /// same bytes.
    SECOND_NAME = "release-second-name", Error;
    reads "files that are there under the names in `also` of manifest.json";
    spec "schemas/release.schema.json";

    /// The checksum beside a file is the line that `sha256sum -c` reads, with the name that the file is
    /// downloaded under.
    CHECKSUM_FILE = "release-checksum-file", Error;
    reads "FILE.sha256";
    spec "sha256sum(1)";

    /// The manifest of an image says what it was made from. It is one that the factory knows, and says
    /// the same of the image as that of the release.
    IMAGE_MANIFEST = "release-image-manifest", Error;
    reads "FILE.manifest.json, and `images` of manifest.json";
    spec "schemas/manifest.schema.json";

    /// The report is of these very bytes: its subject has their length and digest, and that of what is
    /// inside the compression.
    REPORT_SUBJECT = "release-report-subject", Error;
    reads "FILE.verification.json, and `images` of manifest.json";
    spec "schemas/verification.schema.json";

    /// The manifest of the release repeats what the report says, and names its digest. If they differ,
    /// the report was replaced.
    REPORT_SUMMARY = "release-report-summary", Error;
    reads "FILE.verification.json, and `verification` in manifest.json";
    spec "schemas/verification.schema.json";

    /// An image whose report has an error does not work, or lies. It is in a release only if that says
    /// so; and so is one that another version of the factory judged than made the release, or as
    /// something else than it is.
    REPORT_PASSED = "release-report-passed", Error;
    reads "`verifier`, `kind`, `totals` and `findings` of FILE.verification.json";
    spec "schemas/verification.schema.json";

    /// Somebody released an image that no passing report of their version of the factory speaks of. The
    /// release says so, and why.
    UNVERIFIED = "release-unverified", Warning;
    reads "`unverified` in manifest.json";
    spec "schemas/release.schema.json";

    /// The image is not NixOS, but what the driver `mini` makes where there is no Nix: a system to try
    /// things with.
    NOT_NIXOS = "release-not-nixos", Warning;
    reads "`distribution` in manifest.json";
    spec "docs/architecture.md";

    /// A bill of materials names the digest of the image that it is of. One of another image lists
    /// what is not there.
    SBOM_SUBJECT = "release-sbom-subject", Error;
    reads "`metadata.component` of FILE.cdx.json, and the described package of FILE.spdx.json";
    spec "CycloneDX 1.6; SPDX 2.3 §7.10";

    /// Attestations are in-toto statements in DSSE envelopes, one a line.
    ATTESTATION = "release-attestation", Error;
    reads "FILE.intoto.jsonl";
    spec "in-toto attestation 1.0, envelope and statement; DSSE 1.0.2";

    /// The subject of an attestation is the image beside it, and nothing else.
    ATTESTATION_SUBJECT = "release-attestation-subject", Error;
    reads "`subject` of each statement in FILE.intoto.jsonl";
    spec "in-toto attestation 1.0, statement";

    /// Whoever signed the release with a key of minisign signed each attestation with the same key. With
    /// an Ed25519 key of OpenSSH one can, unless an agent has it. Nobody else signed them.
    ATTESTATION_SIGNATURE = "release-attestation-signature", Error;
    reads "the signatures in FILE.intoto.jsonl, and the keys";
    spec "DSSE 1.0.2; RFC 8032";

    /// The attested result is that of the report beside it, and the attested provenance names files of
    /// the release with their digests. There is one of each, and no result where no report speaks of
    /// the image.
    ATTESTATION_CONTENT = "release-attestation-content", Error;
    reads "`predicate` of each statement in FILE.intoto.jsonl";
    spec "SLSA 1.1, provenance; in-toto attestation, test-result 0.1";

    /// A client of the catalog would not take it, or not all of it.
    CATALOG = "release-catalog", Error;
    reads "each catalog, as its client does";
    spec "docs/architecture.md";

    /// A catalog says something else of a file than the release: its client would refuse the download,
    /// or fetch another one.
    CATALOG_ENTRY = "release-catalog-entry", Error;
    reads "each catalog, and manifest.json";
    spec "docs/architecture.md";

    /// The page shows the name and the checksum of each image, and no other one: people copy it from
    /// there.
    PAGE = "release-page", Error;
    reads "index.html and FILE.report.html";
    spec "docs/architecture.md";
}
