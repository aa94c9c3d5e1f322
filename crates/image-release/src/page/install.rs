//! How an image gets to where it runs: the commands, with the names and addresses of the release.

use image_model::{Compression, ImageKind};
use maud::{Markup, html};

use super::text::{Shown, powershell, sh};
use crate::{Image, Release};

/// A way to install an image.
struct Way {
    /// What it is, for whom.
    title: &'static str,
    /// What somebody should know before.
    note: &'static str,
    /// The commands, one after the other.
    lines: Vec<String>,
    /// Who reads them.
    shell: Shell,
}

/// Who reads a command.
#[derive(Clone, Copy)]
pub(super) enum Shell {
    /// Any shell of Unix.
    Posix,
    /// That of Windows.
    PowerShell,
}

/// The ways in which `image` is installed.
pub(super) fn ways(release: &Release, image: &Image, imager: Option<&str>) -> Markup {
    let ways = list(release, image, imager);
    html! {
        .two {
            @for way in &ways {
                div {
                    p { strong { (way.title) } }
                    @if !way.note.is_empty() { p.soft { (way.note) } }
                    (commands(way.shell, &way.lines))
                }
            }
        }
    }
}

/// Commands that one click selects.
pub(super) fn commands(shell: Shell, lines: &[String]) -> Markup {
    let is_powershell = matches!(shell, Shell::PowerShell);
    html! {
        @if !lines.is_empty() {
            pre {
                @for line in lines {
                    code.all.powershell[is_powershell] { (Shown(line).to_string()) }
                }
            }
        }
    }
}

fn list(release: &Release, image: &Image, imager: Option<&str>) -> Vec<Way> {
    let file = &image.payload().file;
    let mut ways = Vec::new();
    if let Some(url) = release.url(file) {
        // `curl` alone is another command in the PowerShell that comes with Windows.
        let (shell, curl, url) = match image.manifest.kind {
            ImageKind::Wsl => (Shell::PowerShell, "curl.exe", powershell(url.as_str())),
            _ => (Shell::Posix, "curl", sh(url.as_str())),
        };
        ways.push(Way {
            title: "Download in a terminal",
            shell,
            note: "An interrupted download goes on where it stopped.",
            lines: vec![format!("{curl} -fL -C - -O {url}")],
        });
    }
    match image.manifest.kind {
        ImageKind::Wsl => ways.extend(wsl(image)),
        ImageKind::Sd => ways.extend(card(release, image, imager)),
        ImageKind::Iso => ways.extend(disc(image)),
        ImageKind::Vm => ways.push(machine(image)),
        ImageKind::Docker => ways.extend([
            Way {
                title: "Docker",
                shell: Shell::Posix,
                note: "It prints the name that the image has from then on.",
                lines: vec![format!("docker load --input {}", sh(file))],
            },
            Way {
                title: "Podman",
                shell: Shell::Posix,
                note: "",
                lines: vec![format!("podman load --input {}", sh(file))],
            },
        ]),
        ImageKind::Virtualbox => ways.push(Way {
            title: "VirtualBox",
            shell: Shell::Posix,
            note: "Or File, Import Appliance in its window.",
            lines: unpacked(image, |file| format!("VBoxManage import {file}")),
        }),
        ImageKind::Amazon => ways.extend(amazon(image)),
    }
    ways
}

/// What WSL calls it.
fn distribution(image: &Image) -> &str {
    match image.manifest.distribution.as_str() {
        "nixos" => "NixOS",
        other => other,
    }
}

fn wsl(image: &Image) -> [Way; 2] {
    let file = &image.payload().file;
    let name = powershell(distribution(image));
    [
        Way {
            title: "WSL 2.4.4 or later",
            shell: Shell::PowerShell,
            note: "In PowerShell. A double click on the file does the same.",
            lines: vec![
                format!("wsl --install --from-file {} --name {name}", powershell(file)),
                format!("wsl -d {name}"),
            ],
        },
        Way {
            title: "Earlier versions of WSL",
            shell: Shell::PowerShell,
            note: "The second path is the folder that the system is kept in; any will do.",
            lines: vec![
                format!(
                    "wsl --import {name} \"$env:LOCALAPPDATA\\{}\" {} --version 2",
                    // Within double quotes, where little is plain.
                    distribution(image).replace(|char: char| !char.is_ascii_alphanumeric(), "-"),
                    powershell(file)
                ),
                format!("wsl -d {name}"),
            ],
        },
    ]
}

fn card(release: &Release, image: &Image, imager: Option<&str>) -> Vec<Way> {
    let file = &image.payload().file;
    let mut ways = Vec::new();
    ways.push(match imager {
        Some(catalog) => Way {
            title: "Raspberry Pi Imager",
            shell: Shell::Posix,
            note: "It lists the cards of this release, writes one and checks what it wrote.",
            lines: vec![format!("rpi-imager --repo {}", sh(catalog))],
        },
        None => Way {
            title: "Raspberry Pi Imager",
            shell: Shell::Posix,
            note: "Choose OS, Use custom, and the file.",
            lines: Vec::new(),
        },
    });
    let map = image.manifest.artifacts.iter().skip(1).find(|part| part.file.ends_with(".bmap"));
    if let Some(map) = map {
        let fetch = release.url(&map.file).map(|url| format!("curl -fLO {}", sh(url.as_str())));
        let copy = format!("sudo bmaptool copy {} /dev/sdX", sh(file));
        ways.push(Way {
            title: "bmaptool, on Linux",
            shell: Shell::Posix,
            note: "With the block map beside the image it leaves out what is free and checks the \
                   rest. Everything that is on /dev/sdX is lost; lsblk tells which one the card is.",
            lines: fetch.into_iter().chain([copy]).collect(),
        });
    }
    ways.push(raw_copy(
        image,
        "dd, on Linux",
        "Everything that is on /dev/sdX is lost; lsblk tells which one the card is.",
    ));
    ways
}

/// Byte for byte onto a disk.
fn raw_copy(image: &Image, title: &'static str, note: &'static str) -> Way {
    let artifact = image.payload();
    let file = sh(&artifact.file);
    let line = match decompressor(artifact.compression) {
        None => format!("sudo dd if={file} of=/dev/sdX bs=4M conv=fsync status=progress"),
        Some(program) => format!(
            "{program} -dc {file} | sudo dd of=/dev/sdX bs=4M iflag=fullblock conv=fsync \
             status=progress"
        ),
    };
    Way { shell: Shell::Posix, title, note, lines: vec![line] }
}

fn disc(image: &Image) -> Vec<Way> {
    let stick = raw_copy(
        image,
        "USB stick, on Linux",
        "Byte for byte; a program that unpacks the image onto the stick instead gives it another \
         label, and the system does not find itself. Everything that is on /dev/sdX is lost; lsblk \
         tells which one the stick is. On Windows Rufus does the same if you choose DD mode, there \
         and on macOS balenaEtcher.",
    );
    let arm = image.manifest.system.starts_with("aarch64");
    let (qemu, note) = match arm {
        true => (
            "qemu-system-aarch64 -machine virt -cpu cortex-a72 -m 4G \
                 -bios /usr/share/qemu-efi-aarch64/QEMU_EFI.fd -device virtio-gpu-pci \
                 -device qemu-xhci -device usb-kbd -cdrom",
            "To look at it first, on Linux. The firmware is where Debian and Ubuntu have it, in the \
             package qemu-efi-aarch64.",
        ),
        false if image.report.boots.iter().any(|way| way.starts_with("bios")) => {
            ("qemu-system-x86_64 -enable-kvm -m 4G -cdrom", "To look at it first, on Linux.")
        }
        false => (
            "qemu-system-x86_64 -enable-kvm -m 4G -bios /usr/share/ovmf/OVMF.fd -cdrom",
            "To look at it first, on Linux. The firmware is where Debian and Ubuntu have it, in the \
             package ovmf.",
        ),
    };
    let machine = Way {
        title: "Virtual machine",
        shell: Shell::Posix,
        note,
        lines: unpacked(image, |file| format!("{qemu} {file}")),
    };
    vec![stick, machine]
}

fn machine(image: &Image) -> Way {
    let arm = image.manifest.system.starts_with("aarch64");
    let qemu = match arm {
        true => {
            "qemu-system-aarch64 -machine virt -cpu cortex-a72 -smp 2 -m 4G \
                 -bios /usr/share/qemu-efi-aarch64/QEMU_EFI.fd"
        }
        false => "qemu-system-x86_64 -enable-kvm -smp 2 -m 4G -bios /usr/share/ovmf/OVMF.fd",
    };
    let mut lines = unpacked(image, |file| {
        format!("qemu-img create -f qcow2 -F qcow2 -b {file} machine.qcow2")
    });
    lines.push(format!("{qemu} -drive file=machine.qcow2,format=qcow2,if=virtio"));
    Way {
        title: "QEMU and KVM",
        shell: Shell::Posix,
        note: "On Linux, by UEFI: Debian and Ubuntu have the firmware there, in the packages ovmf and \
               qemu-efi-aarch64. The machine writes to a disk of its own on top of the image, which \
               stays what it is.",
        lines,
    }
}

fn amazon(image: &Image) -> [Way; 2] {
    let raw = unpacked(image, |file| format!("aws s3 cp {file} s3://BUCKET/"));
    let key = without_compression(image);
    // The shorthand of the command line has its own marks.
    let container = format!(
        "{{\"Format\":\"VHD\",\"UserBucket\":{{\"S3Bucket\":\"BUCKET\",\"S3Key\":{}}}}}",
        serde_json::to_string(key).unwrap_or_default()
    );
    let arch = if image.manifest.system.starts_with("aarch64") { "arm64" } else { "x86_64" };
    let mut lines = raw;
    lines.push(format!("aws ec2 import-snapshot --disk-container {}", sh(&container)));
    lines.push("aws ec2 describe-import-snapshot-tasks".to_owned());
    [
        Way {
            title: "Import into Amazon EC2",
            shell: Shell::Posix,
            note: "BUCKET is a bucket of yours that the role vmimport may read. The last command \
                   tells when the snapshot is there, and its name.",
            lines,
        },
        Way {
            title: "Make an AMI of the snapshot",
            shell: Shell::Posix,
            note: "",
            lines: vec![format!(
                "aws ec2 register-image --name {} --architecture {arch} --ena-support \
                 --virtualization-type hvm --root-device-name /dev/xvda --block-device-mappings \
                 DeviceName=/dev/xvda,Ebs={{SnapshotId=SNAPSHOT}}",
                sh(key)
            )],
        },
    ]
}

/// The program that gives back the raw bytes.
fn decompressor(compression: Compression) -> Option<&'static str> {
    match compression {
        Compression::None => None,
        Compression::Gzip => Some("gzip"),
        Compression::Xz => Some("xz"),
        Compression::Zstd => Some("zstd"),
    }
}

/// The name that the raw bytes have once they are unpacked.
pub(super) fn without_compression(image: &Image) -> &str {
    let artifact = image.payload();
    let suffix = match artifact.compression {
        Compression::None => "",
        Compression::Gzip => ".gz",
        Compression::Xz => ".xz",
        Compression::Zstd => ".zst",
    };
    artifact.file.strip_suffix(suffix).unwrap_or(&artifact.file)
}

/// A command that wants the raw bytes as a file, after the one that unpacks them.
fn unpacked(image: &Image, command: impl FnOnce(&str) -> String) -> Vec<String> {
    let raw = without_compression(image);
    let file = &image.payload().file;
    let unpack = decompressor(image.payload().compression).map(|program| match raw == file {
        // No name of its own: it says nothing of its compression.
        true => format!("{program} -dc {} > {}", sh(file), sh(&format!("{file}.raw"))),
        false => format!("{program} -dk {}", sh(file)),
    });
    let named = match unpack.is_some() && raw == file {
        true => sh(&format!("{file}.raw")),
        false => sh(raw),
    };
    unpack.into_iter().chain([command(&named)]).collect()
}

#[cfg(test)]
mod tests {
    use image_model::Artifact;

    use super::*;
    use crate::testing;

    fn lines(kind: ImageKind, file: &str, imager: Option<&str>) -> Vec<String> {
        let release = Release { base_url: None, ..testing::release() };
        let image = testing::image(kind, "x", "x86_64-linux", file);
        list(&release, &image, imager).into_iter().flat_map(|way| way.lines).collect()
    }

    #[test]
    fn commands_have_the_names_of_the_release() {
        assert_eq!(
            lines(ImageKind::Wsl, "nixos-1.wsl", None)[..2],
            ["wsl --install --from-file nixos-1.wsl --name NixOS", "wsl -d NixOS"]
        );
        assert_eq!(
            lines(ImageKind::Sd, "sd-1.img.zst", Some("https://example.org/l.json")),
            [
                "rpi-imager --repo https://example.org/l.json",
                "zstd -dc sd-1.img.zst | sudo dd of=/dev/sdX bs=4M iflag=fullblock conv=fsync \
                 status=progress"
            ]
        );
        assert_eq!(
            lines(ImageKind::Docker, "it's.tar.gz", None)[0],
            r"docker load --input 'it'\''s.tar.gz'"
        );
        let curl = |kind, file: &str| {
            let (release, image) = (testing::release(), testing::image(kind, "x", "x", file));
            list(&release, &image, None).swap_remove(0).lines.remove(0)
        };
        let url = "https://images.example.org/nixos/26.05.1/x-1";
        assert_eq!(curl(ImageKind::Wsl, "x-1.wsl"), format!("curl.exe -fL -C - -O {url}.wsl"));
        assert_eq!(curl(ImageKind::Iso, "x-1.iso"), format!("curl -fL -C - -O {url}.iso"));
        let amazon = lines(ImageKind::Amazon, "a.vhd", None);
        assert!(amazon[1].contains(r#""S3Key":"a.vhd"}}'"#), "{amazon:?}");
    }

    /// Nobody but root writes disks, and a program that wants a file beside the image has it.
    #[test]
    fn a_card_is_written_by_commands_that_may() {
        let release = testing::release();
        let mut image = testing::image(ImageKind::Sd, "x", "aarch64-linux", "sd-1.img.zst");
        let map = Artifact { file: "sd-1.img.bmap".to_owned(), ..image.payload().clone() };
        image.manifest.artifacts.push(map);
        let lines: Vec<_> =
            list(&release, &image, None).into_iter().flat_map(|way| way.lines).collect();
        let at = lines.iter().position(|line| line == "sudo bmaptool copy sd-1.img.zst /dev/sdX");
        let fetch = "curl -fLO https://images.example.org/nixos/26.05.1/sd-1.img.bmap";
        assert_eq!(lines[at.unwrap() - 1], fetch);
        for kind in [ImageKind::Sd, ImageKind::Iso] {
            for compression in [Compression::None, Compression::Xz] {
                image.manifest.kind = kind;
                image.manifest.artifacts[0].compression = compression;
                let lines = list(&release, &image, None).into_iter().flat_map(|way| way.lines);
                let writes: Vec<_> = lines.filter(|line| line.contains("/dev/sdX")).collect();
                let may = |line: &String| {
                    line.rsplit(" | ").next().is_some_and(|last| last.starts_with("sudo "))
                };
                assert!(!writes.is_empty() && writes.iter().all(may), "{writes:?}");
            }
        }
    }
}
