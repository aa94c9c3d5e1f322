//! The file that is shipped, and the shape of the tree.

use image_model::Compression;

use super::{
    COMPRESSION, FILE_EXTENSION, INIT, Judge, KERNEL, MACHINE_ID, MOUNT_POINTS, OS_RELEASE,
    RESOLV_CONF, ROOT, SSH_HOST_KEY,
};
use crate::{
    container::file_at,
    tree::{Tree, display},
};

const MOUNTED: [&str; 7] = ["/bin", "/sbin", "/tmp", "/run", "/proc", "/sys", "/dev"];

/// How files of a kernel start in `/boot` and `/`.
const KERNEL_FILES: [&[u8]; 6] =
    [b"vmlinuz", b"vmlinux", b"initrd", b"initramfs", b"bzImage", b"System.map"];

impl Judge<'_, '_> {
    pub(super) fn file(&mut self) {
        let whole = || file_at("file", 0, 0);
        if let Some(name) = self.image.file_name {
            self.out.expect(&FILE_EXTENSION, name.ends_with(".wsl"), || {
                (whole(), format!("the file is called {name}, and its name does not end in .wsl"))
            });
        }
        let compression = self.image.compression;
        self.out.expect(&COMPRESSION, compression == Compression::Gzip, || {
            (whole(), format!("{}, not gzip", compression.as_str()))
        });
    }

    /// Whether this is the root of a system at all.
    pub(super) fn root(&mut self) -> bool {
        let is_root = self.find("/etc").is_some() || self.find("/bin/sh").is_some();
        let names: Vec<_> = self.tree.children(Tree::ROOT).take(5).collect();
        self.expect(&ROOT, is_root, "/", || {
            let names: Vec<_> = names.iter().map(|(name, _)| display(name)).collect();
            format!(
                "neither /etc nor /bin/sh; the root has {}",
                match names.as_slice() {
                    [] => "nothing".to_owned(),
                    names => names.join(", "),
                }
            )
        })
    }

    pub(super) fn layout(&mut self) {
        let init = self.tree.lookup(b"/init").ok();
        let kind = init.map(|found| self.tree.node(found.node).kind.as_str());
        self.expect(&INIT, kind.is_none(), "/init", || {
            format!("a {}, not nothing", kind.unwrap_or_default())
        });
        for path in MOUNTED {
            let problem = match self.tree.resolve(path.as_bytes()) {
                Ok(found) if self.is_directory(found.node) => None,
                Ok(found) => Some(format!("a {}", self.tree.node(found.node).kind.as_str())),
                Err(_) if self.tree.lookup(path.as_bytes()).is_err() => None,
                Err(error) => Some(self.why_not(&error)),
            };
            self.expect(&MOUNT_POINTS, problem.is_none(), path, || {
                format!("not a directory: {}", problem.unwrap_or_default())
            });
        }

        let os_release = self.content("/etc/os-release");
        for key in ["ID", "VERSION_ID"] {
            let found = os_release.is_some_and(|content| os_release_value(content, key).is_some());
            self.expect(&OS_RELEASE, found, "/etc/os-release", || match os_release {
                None => "cannot be read: not there, or no regular file below 1 MiB".to_owned(),
                Some(_) => format!("no line {key}=… that WSL can read"),
            });
        }
        let resolv_conf = self.tree.lookup(b"/etc/resolv.conf").is_ok();
        self.expect(&RESOLV_CONF, !resolv_conf, "/etc/resolv.conf", || {
            "in the image; WSL makes it".to_owned()
        });
        let mut kernels = Vec::new();
        for folder in ["/boot", "/"] {
            let Some(id) = self.find(folder) else { continue };
            let is_kernel = |name: &[u8]| KERNEL_FILES.iter().any(|start| name.starts_with(start));
            let files = self.tree.children(id).filter(|(name, _)| is_kernel(name));
            kernels.extend(files.map(|(_, id)| id));
        }
        self.out.expect(&KERNEL, kernels.is_empty(), || {
            let message =
                format!("one of {} files of a kernel that WSL does not start", kernels.len());
            (self.tree.location(kernels[0]), message)
        });
        let machine_id = self.content("/etc/machine-id").unwrap_or_default().trim_ascii();
        let fresh = machine_id.is_empty() || machine_id == b"uninitialized";
        self.expect(&MACHINE_ID, fresh, "/etc/machine-id", || {
            format!("{}, not empty", display(machine_id))
        });
        let ssh = self.find("/etc/ssh").map(|id| self.tree.children(id).collect::<Vec<_>>());
        let keys = ssh
            .unwrap_or_default()
            .into_iter()
            .filter(|(name, _)| name.starts_with(b"ssh_host_") && name.ends_with(b"_key"));
        let keys: Vec<_> = keys.map(|(_, id)| id).collect();
        self.out.expect(&SSH_HOST_KEY, keys.is_empty(), || {
            (self.tree.location(keys[0]), "a host key in the image".to_owned())
        });
    }
}

/// The value that WSL finds for `key`: `^KEY="?([a-zA-Z0-9\-_\.,]*)"?$`.
pub(super) fn os_release_value<'a>(content: &'a [u8], key: &str) -> Option<&'a [u8]> {
    content.split(|byte| *byte == b'\n').find_map(|line| {
        let value = line.strip_prefix(key.as_bytes())?.strip_prefix(b"=")?;
        let value = value.strip_prefix(b"\"").unwrap_or(value);
        let value = value.strip_suffix(b"\"").unwrap_or(value);
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.,".contains(byte);
        value.iter().all(allowed).then_some(value)
    })
}
