//! The file tree of an image, taken out of it, changed, and put into another one.

use std::{
    fs::{self, Permissions},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rusqlite::Connection;
use tempfile::TempDir;

use super::{Kind, nix, which};
use crate::{common::Ran, nix::tests_dir};

/// The tree of an image, as other people's tools take it out.
pub(super) struct Tree {
    kind: Kind,
    dir: TempDir,
}

impl Tree {
    pub(super) fn of(kind: Kind, image: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tree = Self { kind, dir };
        tree.tool("unpack", image, &[&tree.root()]);
        tree
    }

    fn tool(&self, action: &str, image: &Path, more: &[&Path]) {
        let mut command = Command::new(tests_dir().join("tools/store-tree.sh"));
        Ran::of(command.arg(action).arg(image).args(more)).exits(0);
    }

    /// An image with this tree, and everything else of the good one.
    pub(super) fn pack(&self, file: &Path) {
        self.tool("pack", &self.kind.image(), &[&self.root(), file]);
    }

    pub(super) fn root(&self) -> PathBuf {
        self.dir.path().join("tree")
    }

    /// The file in which the image says what is registered.
    pub(super) fn registration(&self) -> PathBuf {
        self.root().join(&self.kind.registration()[1..])
    }

    /// The names in the store that are paths, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names = crate::common::list(&self.root().join("nix/store"));
        names.retain(|name| name != ".links");
        names
    }

    /// The whole name of the path that is called so.
    #[track_caller]
    pub(super) fn path(&self, name: &str) -> String {
        let names = self.names();
        let found = names.iter().find(|other| other.get(33..) == Some(name));
        format!("/nix/store/{}", found.unwrap_or_else(|| panic!("no {name} in {names:?}")))
    }

    /// A file in the path that is called so: `busybox-1.0/bin/sh`.
    #[track_caller]
    pub(super) fn file(&self, name: &str) -> PathBuf {
        let (name, inner) = name.split_once('/').unwrap();
        self.root().join(&self.path(name)[1..]).join(inner)
    }

    /// Changes a folder that nobody may write.
    #[track_caller]
    pub(super) fn within(&self, dir: &Path, change: impl FnOnce()) {
        let before = fs::metadata(dir).unwrap().permissions();
        fs::set_permissions(dir, Permissions::from_mode(0o755)).unwrap();
        change();
        fs::set_permissions(dir, before).unwrap();
    }

    /// Changes the content of a file that nobody may write.
    #[track_caller]
    pub(super) fn rewrite(&self, file: &Path, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        let before = fs::metadata(file).unwrap().permissions();
        let content = change(fs::read(file).unwrap());
        fs::set_permissions(file, Permissions::from_mode(0o644)).unwrap();
        fs::write(file, content).unwrap();
        fs::set_permissions(file, before).unwrap();
    }

    /// Changes what is registered of a path: in the database by SQL, in which `?1` is the path, and
    /// in a list line by line of its block.
    #[track_caller]
    pub(super) fn register(&self, name: &str, sql: &str, lines: impl Fn(&mut Vec<String>)) {
        let path = self.path(name);
        if self.kind == Kind::Wsl {
            let database = self.database();
            database.execute(sql, [&path]).unwrap();
            return;
        }
        self.rewrite(&self.registration(), |list| {
            let list = String::from_utf8(list).unwrap();
            let mut rest = list.lines().map(str::to_owned);
            let mut all = String::new();
            let mut found = false;
            while let Some(first) = rest.next() {
                let mut block = vec![first];
                block.extend(rest.by_ref().take(4));
                let references = block[4].parse().unwrap();
                block.extend(rest.by_ref().take(references));
                if block[0] == path {
                    lines(&mut block);
                    found = true;
                }
                block.iter().for_each(|line| all.extend([line, "\n"]));
            }
            assert!(found, "{path} is not registered");
            all.into_bytes()
        });
    }

    /// The database; what is inconsistent is let in.
    pub(super) fn database(&self) -> Connection {
        let database = Connection::open(self.registration()).unwrap();
        database.pragma_update(None, "foreign_keys", false).unwrap();
        database
    }

    /// Lets real Nix load the list that is in the tree, if it is one.
    pub(super) fn load(&self) -> Ran {
        if self.kind == Kind::Wsl {
            return Ran { code: Some(0), out: String::new(), err: String::new() };
        }
        self.load_list(&fs::read(self.registration()).unwrap())
    }

    /// Lets real Nix load a list.
    pub(super) fn load_list(&self, list: &[u8]) -> Ran {
        let mut command = self.nix_store();
        command.arg("--load-db").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(list).unwrap();
        let output = child.wait_with_output().unwrap();
        Ran {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// What real Nix says of the tree: the paths that were modified, those that disappeared, and
    /// whether it is content.
    pub(super) fn nix_verify(&self) -> NixVerdict {
        let ran = Ran::of(self.nix_store().args(["--verify", "--check-contents"]));
        let paths = |text: &str| -> Vec<String> {
            let lines = ran.err.lines().filter(|line| line.contains(text));
            let mut paths: Vec<_> =
                lines.map(|line| line.split('\'').nth(1).unwrap().to_owned()).collect();
            paths.sort();
            paths
        };
        NixVerdict {
            modified: paths("was modified!"),
            disappeared: paths(" disappeared, "),
            content: ran.code == Some(0),
        }
    }

    fn nix_store(&self) -> Command {
        let mut command = nix(&which("nix-store", "nix-bin"));
        command.arg("--store").arg(self.root()).args(["--option", "build-users-group", ""]);
        command
    }

    /// `nix path-info --json` of all that the tree has registered.
    pub(super) fn path_infos(&self) -> serde_json::Value {
        let mut command = nix(&which("nix", "nix-bin"));
        command.args(["--extra-experimental-features", "nix-command"]);
        command.args(["path-info", "--json", "--all", "--option", "build-users-group", ""]);
        Ran::of(command.arg("--store").arg(self.root())).exits(0).json()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // What belongs to others is only theirs in a user namespace.
        if !image_host::user::is_root() {
            let mut command = Command::new("unshare");
            command.args(["--map-root-user", "--map-auto", "rm", "-rf"]).arg(self.root());
            let _ = command.status();
        }
    }
}

/// What `nix-store --verify --check-contents` says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NixVerdict {
    pub(super) modified: Vec<String>,
    pub(super) disappeared: Vec<String>,
    pub(super) content: bool,
}
