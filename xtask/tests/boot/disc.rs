//! An ISO image of the fixture, and what other tools say of it.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{store, tool};

/// What `xorriso` is in, and `isoinfo`.
const XORRISO: &str = "xorriso";
const GENISOIMAGE: &str = "genisoimage";
const SQUASHFS: &str = "squashfs-tools";

/// An ISO image that others read as well: it is not to be changed.
pub(crate) struct Disc(PathBuf);

/// One that is changed.
pub(crate) struct Broken {
    _dir: TempDir,
    image: PathBuf,
}

impl Disc {
    /// The image of a host of the fixture. It is built if nobody did.
    pub(crate) fn of(host: &str) -> Self {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("tests/tools");
        tool::path("nix", "nix-bin");
        let output = Command::new(tools.join("build-iso.sh")).arg(host).output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "no disc {host}: {}\n{log}", output.status);
        Self(String::from_utf8(output.stdout).unwrap().trim_end().into())
    }

    pub(crate) fn image(&self) -> &Path {
        &self.0
    }

    /// The image, to be judged.
    pub(crate) fn unchanged(&self) -> Broken {
        self.with(b"", 0)
    }

    /// A copy with other bytes at an offset.
    pub(crate) fn with(&self, bytes: &[u8], at: u64) -> Broken {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("broken.iso");
        fs::copy(&self.0, &image).unwrap();
        File::options().write(true).open(&image).unwrap().write_all_at(bytes, at).unwrap();
        Broken { _dir: dir, image }
    }

    fn xorriso(&self, args: &[&str]) -> String {
        let image = self.0.to_str().unwrap();
        tool::run("xorriso", XORRISO, ["-indev", image].iter().chain(args))
    }

    /// What is in a file of the disc.
    fn extract(&self, path: &str, to: &Path) {
        self.xorriso(&["-osirrox", "on", "-extract", path, to.to_str().unwrap()]);
    }

    /// Asks those who read the same bytes: for the catalog, the first block, and files by each of
    /// the three ways to name them.
    #[track_caller]
    pub(crate) fn is_clean(&self, boots: &[&str], system_area: &str, volume: &str) {
        let image = self.0.to_str().unwrap();
        let said = self.xorriso(&["-report_el_torito", "plain", "-report_system_area", "plain"]);
        let entries: Vec<_> = said
            .lines()
            .filter_map(|line| line.strip_prefix("El Torito boot img :"))
            .map(|entry| entry.split_whitespace().nth(1).unwrap())
            .collect();
        assert_eq!(entries, boots, "{said}");
        let area = said.lines().find_map(|line| line.strip_prefix("System area summary:"));
        assert_eq!(area.map_or("", str::trim), system_area, "{said}");

        let said = tool::run("isoinfo", GENISOIMAGE, ["-d", "-i", image]);
        for line in [
            &*format!("Volume id: {volume}\n"),
            "El Torito VD version 1 found",
            "Joliet with UCS level 3 found",
            "Rock Ridge signatures version 1 found",
        ] {
            assert!(said.contains(line), "{line}: {said}");
        }
        let said = tool::run("7z", "p7zip-full", ["t", image]);
        assert!(said.contains("Everything is Ok"), "{said}");

        let rock_ridge = self.paths(&["-find", "/"]);
        let listed = tool::run("bsdtar", "libarchive-tools", ["-t", "-f", image]);
        let path = |line: &str| match line {
            "." => "/".to_owned(),
            line => format!("/{line}"),
        };
        let bsdtar: BTreeSet<_> = listed.lines().map(path).collect();
        assert_eq!(bsdtar, rock_ridge);
        let listed = tool::run("isoinfo", GENISOIMAGE, ["-J", "-f", "-i", image]);
        let joliet: BTreeSet<_> =
            listed.lines().map(str::to_owned).chain(["/".to_owned()]).collect();
        assert_eq!(joliet, rock_ridge);
    }

    fn paths(&self, find: &[&str]) -> BTreeSet<String> {
        let said = self.xorriso(find);
        let paths = said.lines().filter_map(|line| line.strip_prefix('\'')?.strip_suffix('\''));
        paths.map(str::to_owned).collect()
    }

    /// Asks those who read the file systems that are files of the disc.
    #[track_caller]
    pub(crate) fn holds_clean_file_systems(&self) {
        let dir = tempfile::tempdir().unwrap();
        let (efi, squashfs) = (dir.path().join("efi.img"), dir.path().join("nix-store.squashfs"));
        self.extract("/boot/efi.img", &efi);
        let said = tool::run("fsck.fat", "dosfstools", ["-nv".as_ref(), efi.as_os_str()]);
        assert!(said.contains("12 bit entries") && said.contains(" files, "), "{said}");

        self.extract("/nix-store.squashfs", &squashfs);
        let said = tool::run("unsquashfs", SQUASHFS, ["-s".as_ref(), squashfs.as_os_str()]);
        for line in ["Found a valid SQUASHFS 4:0 superblock", "Compression zstd\n"] {
            assert!(said.contains(line), "{line}: {said}");
        }
        let said = tool::run("unsquashfs", SQUASHFS, ["-lls".as_ref(), squashfs.as_os_str()]);
        assert!(said.contains(" squashfs-root/nix-path-registration\n"), "{said}");
        // All of it, decompressed; it becomes /nix/store.
        let store = dir.path().join("store");
        let args =
            ["-no-progress".as_ref(), "-d".as_ref(), store.as_os_str(), squashfs.as_os_str()];
        tool::run("unsquashfs", SQUASHFS, args);
        let registration = store.join("nix-path-registration");
        let text = fs::read_to_string(&registration).unwrap();
        fs::remove_file(&registration).unwrap();
        store::is_registered(&store, &text);
        // Which a temporary folder has to be rid of.
        tool::run("chmod", "coreutils", ["-R".as_ref(), "u+w".as_ref(), store.as_os_str()]);
    }
}

impl Broken {
    pub(crate) fn image(&self) -> &Path {
        &self.image
    }

    /// What `verify` says of it: it is defective, and for this reason.
    #[track_caller]
    pub(crate) fn is_told(&self, boots: &[&str], reasons: &[&str]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(["--format", "json", "verify", "--kind", "iso"]).arg(&self.image);
        for boot in boots {
            command.args(["--boots", boot]);
        }
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{text}");
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let findings = json["report"]["findings"].as_array().unwrap();
        let errors: Vec<_> = findings
            .iter()
            .filter(|finding| finding["severity"] == "error")
            .map(|finding| format!("{}: {}", finding["check"], finding["message"]).replace('"', ""))
            .collect();
        for reason in reasons {
            assert!(errors.iter().any(|error| error.starts_with(reason)), "{reason}: {errors:#?}");
        }
    }
}
