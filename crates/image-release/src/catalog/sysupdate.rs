//! Transfer files of systemd-sysupdate, which keeps a machine's copies of images at the newest version.
//! systemd, `man/sysupdate.d.xml` and `src/sysupdate/`.
//!
//! They name no version: sysupdate finds all there are in the `SHA256SUMS` at `latest-url`, and takes
//! the newest. It undoes gzip and xz, and zstd from systemd 258 on, by the first bytes of a file.

use std::fmt::Write as _;

use image_model::{Compression, FileRole, ImageKind, ReleaseSignature, SignatureScheme};
use url::Url;

use super::{Catalogs, around_version, client::sysupdate as client, of_kinds};
use crate::{Document, Image, Release};

/// Kinds that are of use as files or folders of a machine that is kept up to date.
const KINDS: [ImageKind; 4] = [ImageKind::Wsl, ImageKind::Sd, ImageKind::Iso, ImageKind::Vm];

/// What is put behind the name of an image for what is said of it.
const BESIDE: [&str; 10] = [
    "bmap",
    "bmap.sha256",
    "cdx.json",
    super::incus::METADATA_SUFFIX,
    "intoto.jsonl",
    "manifest.json",
    "report.html",
    "sha256",
    "spdx.json",
    "verification.json",
];

/// What the names of the files end with.
pub(super) const SUFFIX: &str = ".transfer";

/// Where an image goes.
struct Target {
    source: &'static str,
    kind: &'static str,
    folder: &'static str,
    suffix: String,
    /// What somebody does with it there.
    purpose: &'static str,
}

/// Writes a transfer file for each image that is of use that way.
pub(super) fn write(release: &Release, signatures: &[ReleaseSignature], out: &mut Catalogs) {
    let is_signed = signatures.iter().any(|one| one.scheme == SignatureScheme::Openpgp);
    for image in of_kinds(release, &KINDS) {
        let name = format!("{}-{}", release.spec.name, image.manifest.image);
        let file = format!("{name}{SUFFIX}");
        let Some(latest) = &release.latest_url else {
            out.leave_out(&file, image, "`latest-url` is not set: updates are looked for there");
            continue;
        };
        if !is_signed {
            out.leave_out(&file, image, "no key is of OpenPGP, and sysupdate knows no other");
            continue;
        }
        match transfer(release, latest, image, &name) {
            Ok(text) => out.documents.push(Document {
                file,
                also: None,
                role: FileRole::Catalog,
                media_type: "text/plain; charset=utf-8",
                bytes: text.into_bytes(),
            }),
            Err(why) => out.leave_out(&file, image, why),
        }
    }
}

/// The text of a transfer file, or why there is none.
fn transfer(release: &Release, latest: &Url, image: &Image, name: &str) -> Result<String, String> {
    let version = &release.version;
    if !client::is_version(version) {
        return Err(format!("sysupdate takes no version like {version:?}"));
    }
    let payload = image.payload();
    let (before, after) =
        around_version(&payload.file, version).ok_or("its name has no version in it")?;
    let pattern = format!("{}@v{}", literal(before), literal(after));
    // Systemd 255 to 260 take whatever begins like a pattern; what lies beside an image does. A pattern
    // with a slash after it fits nothing but folders, and no other is asked then.
    let beside = BESIDE.map(|suffix| format!("{pattern}.{suffix}/ ")).concat();
    let patterns = format!("{beside}{pattern}");
    // They are read as sysupdate reads them: another image may look like another version of this one.
    let wildcards = client::Patterns::parse(&patterns)?;
    let artifacts = release.images.iter().flat_map(|other| &other.manifest.artifacts);
    let files = || artifacts.clone().map(|artifact| artifact.file.as_str());
    let newest = wildcards.newest(files());
    let other = match newest {
        Some((_, file)) if file != payload.file => Some(file),
        Some(newest) => wildcards.mistaken(files(), newest),
        None => Some("nothing"),
    };
    if let Some(other) = other {
        return Err(format!("{pattern} matches {other} as well, and sysupdate would take that"));
    }
    let target = target(image, after);
    let path = latest.as_str();
    let title = one_line(&super::title(&image.manifest, version));
    let stem = literal(name);
    let mut text = String::new();
    let mut line = |line: &str| writeln!(text, "{line}").expect("memory takes it");
    line(&format!("# {title}, {}.", target.purpose));
    line("#");
    line(&format!(
        "# A component of its own: put this file into /etc/sysupdate.{name}.d/, and run"
    ));
    line(&format!("# systemd-sysupdate --component={name} update"));
    line("#");
    line(
        "# What is downloaded is what SHA256SUMS says, and SHA256SUMS.gpg says that it is ours. The",
    );
    line(
        "# public key, openpgp.asc of the release, belongs into /etc/systemd/import-pubring.pgp (up to",
    );
    line("# systemd 257 /etc/systemd/import-pubring.gpg) in binary form: gpg --dearmor.");
    if payload.compression == Compression::Zstd {
        line("# It is compressed with zstd, which systemd knows from 258 on.");
    }
    line("");
    line("[Transfer]");
    line("Verify=yes");
    line("");
    line("[Source]");
    line(&format!("Type={}", target.source));
    line(&format!("Path={}", path.replace('%', "%%")));
    line("# What lies beside the image is none: systemd 255 to 260 do not ask how a name ends.");
    line(&format!("MatchPattern={patterns}"));
    line("");
    line("[Target]");
    line(&format!("Type={}", target.kind));
    line(&format!("Path={}", target.folder));
    line(&format!("MatchPattern={stem}_@v{}", literal(&target.suffix)));
    // The newest under a name that stays, and the one before it, to go back to.
    line(&format!("CurrentSymlink={}{}", spec_escape(name), spec_escape(&target.suffix)));
    line("InstancesMax=2");
    Ok(text)
}

/// Where an image goes whose name ends with `after` the version.
fn target(image: &Image, after: &str) -> Target {
    let compressions = [".gz", ".xz", ".zst"];
    let suffix = compressions.iter().find_map(|end| after.strip_suffix(end)).unwrap_or(after);
    let file = |folder, suffix: &str, purpose| Target {
        source: "url-file",
        kind: "regular-file",
        folder,
        suffix: suffix.to_owned(),
        purpose,
    };
    match image.manifest.kind {
        ImageKind::Wsl => Target {
            source: "url-tar",
            kind: "directory",
            folder: "/var/lib/machines",
            suffix: String::new(),
            purpose: "unpacked beside other root file systems; WSL itself does not look there",
        },
        // A raw disk is what systemd-nspawn and systemd-vmspawn find there, by this suffix.
        ImageKind::Vm if suffix == ".img" || suffix == ".raw" => {
            file("/var/lib/machines", ".raw", "as a disk of a virtual machine")
        }
        ImageKind::Vm => file("/var/lib/images", suffix, "as a disk of a virtual machine"),
        ImageKind::Sd => file("/var/lib/images", suffix, "for a machine that writes cards"),
        _ => file("/var/lib/images", suffix, "for a machine that serves or writes it"),
    }
}

/// Text that stands for itself in a pattern.
fn literal(text: &str) -> String {
    spec_escape(text).replace('@', "@@")
}

/// Text that stands for itself where systemd expands `%`.
fn spec_escape(text: &str) -> String {
    text.replace('%', "%%")
}

/// Text that does not end the line it is in.
fn one_line(text: &str) -> String {
    let blank = |character: char| if character.is_control() { ' ' } else { character };
    text.chars().map(blank).collect()
}
