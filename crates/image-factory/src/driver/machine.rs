//! Reads what the decisions of the drivers are made from: files below `/etc` and `/proc`, and what
//! is in `PATH`. What cannot be read is as if it were not there.

use std::{env, fs, io, path::Path};

use image_host::{disk, tool::Tool, user};

use super::{
    binfmt,
    platform::Kvm,
    route::{self, Facts},
    temporary::Candidate,
};

/// Kernel settings that keep ordinary users from making namespaces: the file, the value that
/// forbids, the value that allows.
const SETTINGS: &[(&str, &str, &str, &str)] = &[
    ("user.max_user_namespaces", "/proc/sys/user/max_user_namespaces", "0", "15000"),
    ("kernel.unprivileged_userns_clone", "/proc/sys/kernel/unprivileged_userns_clone", "0", "1"),
    (
        "kernel.apparmor_restrict_unprivileged_userns",
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "0",
    ),
];

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn in_path(name: &str) -> bool {
    Tool::find(name).is_ok()
}

/// Who we are, and which ways to be root are there.
pub fn route_facts(sudo_allowed: bool) -> Facts {
    let id = user::id();
    let name = user_name(&read("/etc/passwd"), id).unwrap_or_else(|| id.to_string());
    let unshare = Tool::find("unshare")
        .ok()
        .and_then(|unshare| unshare.run(["--version"]).output().ok())
        .and_then(|text| route::util_linux_version(&String::from_utf8_lossy(&text)));
    let forbidden_by = SETTINGS
        .iter()
        .find(|(_, file, forbids, _)| read(file).trim() == *forbids)
        .map(|(setting, _, _, allows)| (*setting, *allows));
    Facts {
        is_root: user::is_root(),
        own_ids: route::mapped_ids(&read("/proc/self/uid_map")),
        unshare,
        absent_mappers: ["newuidmap", "newgidmap"].into_iter().filter(|n| !in_path(n)).collect(),
        subuids: route::subordinate_ids(&read("/etc/subuid"), &name, id),
        subgids: route::subordinate_ids(&read("/etc/subgid"), &name, id),
        forbidden_by,
        sudo_allowed,
        sudo_present: in_path("sudo"),
        user: name,
    }
}

/// The name of a user in `text`, which is `/etc/passwd`.
fn user_name(text: &str, id: u32) -> Option<String> {
    let id = id.to_string();
    text.lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.get(2) == Some(&id.as_str()))
        .map(|fields| fields[0].to_owned())
}

/// The folders in which a temporary one could be made: the work folder, and those that the
/// Filesystem Hierarchy Standard has for it.
pub fn temporary_candidates(work: &Path) -> Vec<Candidate> {
    [work, Path::new("/var/tmp"), Path::new("/tmp")].into_iter().map(candidate).collect()
}

fn candidate(path: &Path) -> Candidate {
    use std::os::unix::fs::PermissionsExt as _;
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let modes = path
        .ancestors()
        .filter_map(|dir| Some((dir.to_owned(), fs::metadata(dir).ok()?.permissions().mode())))
        .collect();
    Candidate {
        modes,
        available: disk::available(&path).unwrap_or(0),
        forbids_programs: disk::forbids_programs(&path).unwrap_or(true),
        path,
    }
}

/// Whether this machine runs programs of `system`.
pub fn runs(system: &str) -> Result<(), binfmt::CannotRun> {
    let registrations: Vec<_> = fs::read_dir("/proc/sys/fs/binfmt_misc")
        .into_iter()
        .flatten()
        .filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok())
        .filter_map(|text| binfmt::Registration::parse(&text))
        .collect();
    binfmt::runs(env::consts::ARCH, system, &registrations)
}

/// Whether `/dev/kvm` can be used: Nix asks the same, with access(2).
pub(crate) fn kvm() -> Kvm {
    match fs::OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        Ok(_) => Kvm::Usable,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Kvm::Forbidden,
        Err(_) => Kvm::Absent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_names() {
        let text = "root:x:0:0::/root:/bin/sh\nann:x:1000:100::/home/ann:/bin/sh\n";
        assert_eq!(user_name(text, 1000).as_deref(), Some("ann"));
        assert_eq!(user_name(text, 100), None);
    }
}
