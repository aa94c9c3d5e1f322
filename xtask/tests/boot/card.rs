//! A card of the fixture, decompressed, and what other tools say of it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{store, tool};

const SECTOR: u64 = 512;

/// What `e2fsck` and `debugfs` are in.
const E2FSPROGS: &str = "e2fsprogs";

/// A partition, in bytes.
#[derive(Clone, Copy, Debug)]
struct Extent {
    offset: u64,
    len: u64,
}

/// A card as a file of its own.
pub(crate) struct Card {
    dir: TempDir,
    image: PathBuf,
}

impl Card {
    /// The card of a host of the fixture. It is built if nobody did.
    pub(crate) fn of(host: &str) -> Self {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("tests/tools");
        tool::path("nix", "nix-bin");
        let output = Command::new(tools.join("build-sd-card.sh")).arg(host).output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "no card {host}: {}\n{log}", output.status);
        let compressed = String::from_utf8(output.stdout).unwrap();

        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("card.img");
        let file = Path::new(compressed.trim_end());
        let args = ["-dq".as_ref(), file.as_os_str(), "-o".as_ref(), image.as_os_str()];
        tool::run("zstd", "zstd", args);
        Self { dir, image }
    }

    pub(crate) fn image(&self) -> &Path {
        &self.image
    }

    pub(crate) fn grow_to_power_of_two(&self) {
        let file = File::options().write(true).open(&self.image).unwrap();
        file.set_len(file.metadata().unwrap().len().next_power_of_two()).unwrap();
    }

    /// The partition with FAT, and behind it the one with ext4, whatever their numbers are.
    fn partitions(&self) -> (Extent, Extent) {
        let json = tool::run("sfdisk", "fdisk", ["--json".as_ref(), self.image.as_os_str()]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let mut partitions = json["partitiontable"]["partitions"].as_array().unwrap().clone();
        assert_eq!(partitions.len(), 2);
        partitions.sort_by_key(|partition| partition["start"].as_u64());
        let extent = |index: usize| {
            let sectors = |field: &str| partitions[index][field].as_u64().unwrap();
            Extent { offset: sectors("start") * SECTOR, len: sectors("size") * SECTOR }
        };
        (extent(0), extent(1))
    }

    /// The root as e2fsprogs take it.
    fn root(&self) -> String {
        format!("{}?offset={}", self.image.display(), self.partitions().1.offset)
    }

    fn debugfs(&self, request: &str) -> String {
        let said = tool::run("debugfs", E2FSPROGS, ["-R", request, &self.root()]);
        said.lines().filter(|line| !line.starts_with("debugfs ")).collect::<Vec<_>>().join("\n")
    }

    /// Asks those who read the same bytes. Most of them exit with 0 whatever they found.
    #[track_caller]
    pub(crate) fn is_clean(&self) {
        let image = self.image.as_os_str();
        let (fat, root) = self.partitions();

        let said = tool::run("sfdisk", "fdisk", ["--verify".as_ref(), image]);
        assert!(said.contains("No errors detected."), "{said}");
        if tool::run("sfdisk", "fdisk", ["--dump".as_ref(), image]).contains("label: gpt") {
            let said = tool::run("sgdisk", "gdisk", ["--verify".as_ref(), image]);
            assert!(said.contains("No problems found."), "{said}");
        } else {
            assert_eq!(root.offset + root.len, fs::metadata(&self.image).unwrap().len());
        }

        let firmware = self.dir.path().join("fat.img");
        let cut = [
            format!("if={}", self.image.display()),
            format!("of={}", firmware.display()),
            "bs=1M".to_owned(),
            "iflag=skip_bytes,count_bytes".to_owned(),
            format!("skip={}", fat.offset),
            format!("count={}", fat.len),
        ];
        tool::run("dd", "coreutils", cut);
        let said = tool::run("fsck.fat", "dosfstools", ["-nv".as_ref(), firmware.as_os_str()]);
        let last = said.lines().last().unwrap_or_default();
        assert!(last.ends_with(" clusters") && last.contains(" files, "), "{said}");
        let at = format!("{}@@{}", self.image.display(), fat.offset);
        tool::run("mdir", "mtools", ["-/", "-b", "-i", &at, "::"]);

        let said = tool::run("e2fsck", E2FSPROGS, ["-fn", &self.root()]);
        assert!(said.contains("NIXOS_SD: ") && !said.contains("FIXED"), "{said}");
        let said = self.debugfs("cat /boot/extlinux/extlinux.conf");
        assert!(said.contains("DEFAULT nixos-default"), "{said}");
    }

    /// Compares `/nix-path-registration` with `/nix/store`.
    #[track_caller]
    pub(crate) fn is_registered(&self) {
        self.debugfs(&format!("rdump /nix/store {}", self.dir.path().display()));
        let registration = self.debugfs("cat /nix-path-registration");
        store::is_registered(&self.dir.path().join("store"), &registration);
    }
}
