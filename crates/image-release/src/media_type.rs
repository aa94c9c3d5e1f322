//! Media types of what is released. RFC 6838.
//!
//! Those that IANA registered where there is one; else those of shared-mime-info and of file(1),
//! which agree: clients of an image look at its name, and servers and people at these.

use image_model::{Artifact, Compression};

/// RFC 8259.
pub const JSON: &str = "application/json";
/// RFC 2046, with the character set that RFC 6657 asks for.
pub const TEXT: &str = "text/plain; charset=utf-8";
/// The HTML standard.
pub const HTML: &str = "text/html; charset=utf-8";
/// Registered by OWASP.
pub const CYCLONEDX: &str = "application/vnd.cyclonedx+json";
/// Registered by the Linux Foundation.
pub const SPDX: &str = "application/spdx+json";

/// That of an image, or of a part of one: of what is around its bytes, where something is.
pub fn of_artifact(artifact: &Artifact) -> &'static str {
    match artifact.compression {
        // RFC 6713.
        Compression::Gzip => return "application/gzip",
        // RFC 8878.
        Compression::Zstd => return "application/zstd",
        Compression::Xz => return "application/x-xz",
        Compression::None => {}
    }
    match artifact.format.as_str() {
        // RFC 7303: a block map is XML.
        "bmap" => "application/xml",
        "mbr" | "gpt" => "application/x-raw-disk-image",
        "iso9660" => "application/x-iso9660-image",
        "qcow2" => "application/x-qemu-disk",
        "vhd" => "application/x-vhd-disk",
        "vmdk" => "application/x-vmdk-disk",
        "ova" => "application/x-virtualbox-ova",
        "tar" | "docker-archive" => "application/x-tar",
        // RFC 2046: nothing more is known of it.
        _ => "application/octet-stream",
    }
}
