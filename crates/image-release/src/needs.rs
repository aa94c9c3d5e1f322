//! What those who write, import or host an image need, checked before anything is published.
//!
//! The sentences are for the notes of `release`, for a refusal of `publish`, and for the page.

use std::fmt;

use image_model::{Artifact, Compression, ImageKind, ReleaseManifest, Severity};
use serde::Serialize;

use crate::Release;

/// Largest file of a release on GitHub: below 2 GiB.
/// <https://docs.github.com/repositories/releasing-projects-on-github/about-releases>
pub const GITHUB_FILE: u64 = 2 << 30;
/// Most files of a release on GitHub. Same page.
pub const GITHUB_FILES: usize = 1000;
/// What Raspberry Pi Imager writes is a whole number of these. rpi-imager, issues 364 and 407.
pub const SECTOR: u64 = 512;

/// Who needs something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Audience {
    /// Releases on GitHub.
    Github,
    /// Those who write a card or a stick with balenaEtcher.
    Etcher,
    /// Those who write a card with Raspberry Pi Imager.
    RaspberryPiImager,
    /// The Windows Subsystem for Linux.
    Wsl,
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Github => "GitHub",
            Self::Etcher => "balenaEtcher",
            Self::RaspberryPiImager => "Raspberry Pi Imager",
            Self::Wsl => "WSL",
        })
    }
}

/// Something that somebody needs, and does not get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Need {
    /// The file; absent where it is the release as a whole.
    pub file: Option<String>,
    /// Who needs it.
    pub audience: Audience,
    /// Error: the audience does not take the file, so it must not be offered or sent to it.
    /// Warning: people of this audience have to do something. Info: good to know.
    pub severity: Severity,
    /// A sentence about it, without its full stop.
    pub text: String,
}

/// Without the name of the audience, which the sentence has.
impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{file}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// The needs that a release does not meet, in the order of its images.
pub fn of(release: &Release) -> Vec<Need> {
    let images = release.images.iter().flat_map(|image| {
        let payload = image.payload();
        let others = image.manifest.artifacts.iter().skip(1);
        let hosts = others.flat_map(|other| of_file(&other.file, other.digests.size));
        of_image(image.manifest.kind, payload, image.content_size).into_iter().chain(hosts)
    });
    of_version(&release.version).into_iter().chain(images).collect()
}

/// The needs that a release which was made does not meet.
pub fn of_manifest(manifest: &ReleaseManifest) -> Vec<Need> {
    let mut needs = of_version(&manifest.version);
    // The manifest, the list of checksums and its signatures are files as well.
    let files = manifest.files.len() + 2 + manifest.signatures.len();
    if files > GITHUB_FILES {
        let text = format!("a release on GitHub has up to {GITHUB_FILES} files, and not {files}");
        needs.push(Need { file: None, ..error("", Audience::Github, text) });
    }
    for file in &manifest.files {
        let of_image = manifest.images.iter().find_map(|image| {
            let payload = image.artifacts.first().filter(|payload| payload.file == file.file)?;
            // A gate of the release saw the header of the file.
            Some(of_image(image.kind, payload, Some(payload.raw.size)))
        });
        needs.extend(of_image.unwrap_or_else(|| of_file(&file.file, file.size)));
    }
    needs
}

/// The needs that an image does not meet. `content_size` is the length of its raw bytes as the header
/// of the first frame of a zstd file has it.
pub fn of_image(kind: ImageKind, image: &Artifact, content_size: Option<u64>) -> Vec<Need> {
    let file = image.file.as_str();
    let mut needs = of_file(file, image.digests.size);
    let zstd = image.compression == Compression::Zstd;
    if matches!(kind, ImageKind::Sd | ImageKind::Iso) && zstd {
        let text = "balenaEtcher does not read zstd: who uses it has to unpack the file first";
        needs.push(warning(file, Audience::Etcher, text));
    }
    if kind == ImageKind::Sd {
        let imager = |text: String| error(file, Audience::RaspberryPiImager, text);
        let raw = image.raw.size;
        if !raw.is_multiple_of(SECTOR) {
            let text = format!(
                "Raspberry Pi Imager writes whole sectors of {SECTOR} bytes, which {raw} are not"
            );
            needs.push(imager(text));
        }
        if zstd && content_size != Some(raw) {
            let has = content_size.map_or("none".to_owned(), |size| size.to_string());
            let text = format!(
                "Raspberry Pi Imager takes the length of the card from the header of the zstd \
                 frame, which has {has}, and not {raw}"
            );
            needs.push(imager(text));
        }
    }
    if kind == ImageKind::Wsl {
        match image.compression {
            Compression::Gzip | Compression::Xz | Compression::None => {}
            Compression::Zstd => {
                let text = "WSL unpacks gzip and xz, and not zstd".to_owned();
                needs.push(error(file, Audience::Wsl, text));
            }
        }
        let text = "a double click and wsl --install --from-file need WSL 2.4.4 or later; \
                    wsl --import works with older ones";
        needs.push(Need { severity: Severity::Info, ..warning(file, Audience::Wsl, text) });
    }
    needs
}

/// What hosts need of a file, whatever is in it.
fn of_file(file: &str, size: u64) -> Vec<Need> {
    let mut needs = Vec::new();
    if size >= GITHUB_FILE {
        let text = format!("GitHub takes files below 2 GiB, and this one has {size} bytes");
        needs.push(error(file, Audience::Github, text));
    }
    needs
}

fn of_version(version: &str) -> Vec<Need> {
    let mut needs = Vec::new();
    if version.contains('~') || version.ends_with(".lock") {
        let text = format!("a release on GitHub is a tag of git, and none is called {version}");
        needs.push(Need { file: None, ..error("", Audience::Github, text) });
    }
    needs
}

fn error(file: &str, audience: Audience, text: String) -> Need {
    Need { file: Some(file.to_owned()), audience, severity: Severity::Error, text }
}

fn warning(file: &str, audience: Audience, text: &str) -> Need {
    Need { severity: Severity::Warning, ..error(file, audience, text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use image_model::{Digests, Sha256};

    use super::*;
    use crate::testing;

    fn told(kind: ImageKind, compression: Compression, raw: u64, size: Option<u64>) -> String {
        let digests = Digests { size: 1 << 20, sha256: Sha256([1; 32]) };
        let image = Artifact {
            file: "x".to_owned(),
            format: "mbr".to_owned(),
            compression,
            digests,
            raw: Digests { size: raw, ..digests },
        };
        let needs = of_image(kind, &image, size);
        let shown = needs.iter().filter(|need| need.severity != Severity::Info);
        shown.map(|need| format!("{} {need}\n", need.severity.as_str())).collect()
    }

    #[test]
    fn each_audience_is_told_of() {
        use Compression::{Gzip, None as Plain, Xz, Zstd};
        for (kind, compression, raw, size, expected) in [
            (ImageKind::Sd, Xz, 4096, None, ""),
            (ImageKind::Sd, Plain, 4096, None, ""),
            (ImageKind::Sd, Zstd, 4096, Some(4096), "warning x: balenaEtcher does not read zstd"),
            (ImageKind::Sd, Zstd, 4096, None, "frame, which has none, and not 4096\n"),
            (ImageKind::Sd, Zstd, 4096, Some(7), "frame, which has 7, and not 4096\n"),
            (ImageKind::Sd, Gzip, 4097, None, "error x: Raspberry Pi Imager writes whole sectors"),
            (ImageKind::Iso, Zstd, 4097, None, "warning x: balenaEtcher"),
            (ImageKind::Wsl, Gzip, 10, None, ""),
            (ImageKind::Wsl, Zstd, 10, None, "error x: WSL unpacks gzip and xz"),
        ] {
            let told = told(kind, compression, raw, size);
            assert!(told.contains(expected), "{told}");
            assert_eq!(told.is_empty(), expected.is_empty(), "{told}");
        }
    }

    #[test]
    fn hosts_have_limits() {
        let mut release = testing::release();
        let shown = |release: &Release| {
            let loud = of(release).into_iter().filter(|need| need.severity == Severity::Error);
            loud.map(|need| need.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(shown(&release), [""; 0]);
        release.version = "26.05~rc1".to_owned();
        let iso = release.images.iter_mut().find(|image| image.manifest.kind == ImageKind::Iso);
        let iso = iso.unwrap();
        iso.manifest.artifacts[0].digests.size = GITHUB_FILE;
        assert_eq!(
            shown(&release),
            [
                "a release on GitHub is a tag of git, and none is called 26.05~rc1",
                "nixos-iso-26.05.1.iso: GitHub takes files below 2 GiB, and this one has \
                 2147483648 bytes"
            ]
        );
        release.images[2].manifest.artifacts[0].digests.size -= 1;
        assert_eq!(shown(&release).len(), 1);
    }
}
