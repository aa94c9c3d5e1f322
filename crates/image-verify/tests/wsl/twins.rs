//! Every check of the kind has a broken twin here: one edit of a good image, and the report it
//! must give.

use std::collections::{BTreeMap, BTreeSet};

use crate::image::{AARCH64, Draft, elf, elf_loaded_by, nixos, plain, store};
use image_model::{Compression, Outcome};
use image_verify::kind::wsl;

type Twin = (&'static str, fn(&mut Draft), &'static [&'static str]);

const DISTRIBUTION_CONF: &str = "/etc/wsl-distribution.conf";
const WSL_CONF: &str = "/etc/wsl.conf";
const NIXOS_CONF: &str = store!("etc-wsl.conf");

/// The twins of a plain image: the check that must fail, the edit, and what must fail with it.
const PLAIN: &[Twin] = &[
    ("wsl-file-extension", |d| d.file_name = "test.tar.gz", &[]),
    ("wsl-compression", |d| d.compression = Compression::Zstd, &[]),
    (
        "wsl-root",
        |d| {
            let nested = |(path, entry): (&String, &_)| {
                (format!("/rootfs{path}"), crate::image::Entry::clone(entry))
            };
            d.entries = d.entries.iter().map(nested).collect();
        },
        &[],
    ),
    ("wsl-init", |d| _ = d.file("/init", 0o755, ""), &[]),
    ("wsl-mount-points", |d| _ = d.link("/tmp", "/var/tmp"), &[]),
    ("wsl-os-release", |d| d.edit("/usr/lib/os-release", "ID=test", "ID='test'"), &[]),
    ("wsl-resolv-conf", |d| _ = d.file("/etc/resolv.conf", 0o644, ""), &[]),
    ("wsl-kernel", |d| _ = d.file("/boot/vmlinuz-6.1", 0o644, ""), &[]),
    ("wsl-machine-id", |d| d.edit("/etc/machine-id", "uninitialized", "0123456789abcdef"), &[]),
    ("wsl-ssh-host-key", |d| _ = d.file("/etc/ssh/ssh_host_rsa_key", 0o600, ""), &[]),
    ("wsl-config-syntax", |d| d.edit(WSL_CONF, "# first", "; first"), &[]),
    ("wsl-config-ambiguous", |d| d.edit(DISTRIBUTION_CONF, "true", "true # yes"), &[]),
    ("wsl-distribution-conf", |d| d.remove(DISTRIBUTION_CONF), &[]),
    ("wsl-distribution-conf-mode", |d| d.entry(DISTRIBUTION_CONF).mode = 0o600, &[]),
    ("wsl-distribution-conf-keys", |d| d.edit(DISTRIBUTION_CONF, "enabled", "enable"), &[]),
    ("wsl-distribution-conf-values", |d| d.edit(DISTRIBUTION_CONF, "true", "yes"), &[]),
    ("wsl-default-name", |d| d.edit(DISTRIBUTION_CONF, "Test-1.0", "Test 1.0"), &[]),
    ("wsl-oobe-command", |d| d.edit(DISTRIBUTION_CONF, "oobe.sh", "oobe.sh --first"), &[]),
    ("wsl-oobe-command-mode", |d| d.entry("/usr/lib/wsl/oobe.sh").mode = 0o4755, &[]),
    (
        "wsl-oobe-command-location",
        |d| {
            d.file("/usr/bin/oobe", 0o755, "#!/bin/sh\n");
            d.edit(DISTRIBUTION_CONF, "/usr/lib/wsl/oobe.sh", "/usr/bin/oobe");
        },
        &[],
    ),
    ("wsl-oobe-default-uid", |d| d.edit(DISTRIBUTION_CONF, "1000", "1001"), &[]),
    ("wsl-icon", |d| d.edit(DISTRIBUTION_CONF, "icon = /usr/share/wsl/test.ico\n", ""), &[]),
    ("wsl-icon-file", |d| d.entry("/usr/share/wsl/test.ico").content.resize((1 << 20) + 1, 0), &[]),
    ("wsl-icon-format", |d| d.entry("/usr/share/wsl/test.ico").content.truncate(61), &[]),
    ("wsl-icon-mode", |d| d.entry("/usr/share/wsl/test.ico").gid = 100, &[]),
    (
        "wsl-icon-location",
        |d| {
            d.file("/etc/test.ico", 0o644, crate::image::icon());
            d.edit(DISTRIBUTION_CONF, "/usr/share/wsl/test.ico", "/etc/test.ico");
        },
        &[],
    ),
    ("wsl-terminal-profile", |d| d.remove("/usr/lib/wsl/profile.json"), &[]),
    ("wsl-terminal-profile-format", |d| d.edit("/usr/lib/wsl/profile.json", "[]", "{}"), &[]),
    ("wsl-terminal-profile-mode", |d| d.entry("/usr/lib/wsl/profile.json").mode = 0o644, &[]),
    (
        "wsl-terminal-profile-location",
        |d| {
            d.file("/usr/share/wsl/profile.json", 0o640, "{\"profiles\": []}");
            d.edit(DISTRIBUTION_CONF, "/usr/lib/wsl/profile", "/usr/share/wsl/profile");
        },
        &[],
    ),
    ("wsl-conf-mode", |d| d.entry(WSL_CONF).uid = 1000, &[]),
    (
        "wsl-conf-link",
        |d| {
            let conf = d.entry(WSL_CONF).clone();
            d.entries.insert("/usr/lib/wsl.conf".to_owned(), conf);
            d.link(WSL_CONF, "/usr/lib/wsl.conf");
        },
        &[],
    ),
    ("wsl-conf-keys", |d| d.edit(WSL_CONF, "true", "true\nsystemD2 = true"), &[]),
    ("wsl-conf-keys-disputed", |d| d.edit(WSL_CONF, "true", "true\ninitTimeout = 9000"), &[]),
    ("wsl-conf-values", |d| d.edit(WSL_CONF, "true", "true\nprotectBinfmt = off"), &[]),
    ("wsl-passwd", |d| d.edit("/etc/passwd", "daemon:x:1:1::/:/sbin/nologin\n", "+\n"), &[]),
    ("wsl-passwd-mode", |d| d.entry("/etc/passwd").mode = 0o666, &[]),
    ("wsl-passwd-uid", |d| d.edit("/etc/passwd", "daemon:x:1", "daemon:x:0"), &[]),
    ("wsl-passwd-root", |d| d.edit("/etc/passwd", "root:", "toor:"), &[]),
    ("wsl-default-uid-free", |d| d.edit("/etc/passwd", "daemon:x:1:", "daemon:x:1000:"), &[]),
    ("wsl-group", |d| d.edit("/etc/group", "root:x:0:", "root:x:7:"), &[]),
    ("wsl-shadow", |d| d.remove("/etc/shadow"), &[]),
    ("wsl-shadow-mode", |d| d.entry("/etc/shadow").mode = 0o644, &[]),
    ("wsl-password-hash", |d| d.edit("/etc/shadow", "root:*", "root:$6$salt$hash"), &[]),
    ("wsl-password-empty", |d| d.edit("/etc/shadow", "root:*", "root:"), &[]),
    (
        "wsl-user-default",
        |d| d.edit(WSL_CONF, "true", "true\n[user]\ndefault=nobody"),
        &["wsl-user-default-set"],
    ),
    ("wsl-user-default-set", |d| d.edit(WSL_CONF, "true", "true\n[user]\ndefault=root"), &[]),
    ("wsl-user-home", |d| d.entry("/root").uid = 1000, &[]),
    ("wsl-login-shell", |d| d.edit("/etc/passwd", "/bin/bash", "/bin/zsh"), &[]),
    ("wsl-service-shell", |d| d.remove("/usr/bin/nologin"), &[]),
    ("wsl-bin-sh", |d| _ = d.file("/usr/bin/sh", 0o755, "#!/bin/bash\n"), &[]),
    ("wsl-bin-sh-mode", |d| _ = d.program("/usr/bin/sh", 0o511), &[]),
    (
        "wsl-bin-bash",
        |d| {
            d.program("/usr/bin/sh", 0o755);
            d.file("/usr/bin/bash", 0o755, "bash");
        },
        &[],
    ),
    (
        "wsl-bin-bash-mode",
        |d| {
            d.program("/usr/bin/sh", 0o755);
            d.program("/usr/bin/bash", 0o700);
        },
        &[],
    ),
    ("wsl-sbin-init", |d| d.entry("/usr/bin/init").content = b"#!/bin/sh\n".to_vec(), &[]),
    ("wsl-sbin-init-mode", |d| d.entry("/usr/bin/init").mode = 0o700, &[]),
    (
        "wsl-sbin-init-unused",
        |d| {
            d.edit(WSL_CONF, "true", "false");
            d.remove("/usr/bin/init");
        },
        &[],
    ),
    ("wsl-architecture", |d| d.entry("/usr/bin/init").content = elf(AARCH64), &[]),
    ("wsl-login", |d| d.remove("/usr/bin/login"), &[]),
    ("wsl-mount", |d| d.remove("/usr/bin/mount"), &[]),
    ("wsl-systemctl", |d| d.remove("/usr/bin/grep"), &[]),
    (
        "wsl-discouraged-unit",
        |d| d.remove("/etc/systemd/system/systemd-tmpfiles-setup.service"),
        &[],
    ),
];

/// The twins of a NixOS image.
const NIXOS: &[Twin] = &[
    ("wsl-nixos-programs", |d| d.remove("/bin/wslpath"), &[]),
    ("wsl-nixos-system", |d| d.remove(concat!(store!("nixos-system"), "/activate")), &[]),
    ("wsl-nixos-marker", |d| d.remove("/etc/NIXOS"), &[]),
    ("wsl-nixos-database", |d| d.remove("/nix/var/nix/db/db.sqlite"), &[]),
    (
        "wsl-nixos-store-owner",
        |d| d.entry(store!("systemd-shim")).uid = 1000,
        &["wsl-sbin-init-mode"],
    ),
    ("wsl-nixos-store-mtime", |d| d.entry(store!("system-path")).mtime = 0, &[]),
    (
        "wsl-nixos-closure",
        |d| _ = d.link(concat!(store!("system-path"), "/lib"), concat!(store!("gone"), "/lib")),
        &[],
    ),
    (
        "wsl-nixos-interpreter",
        |d| {
            let program = elf_loaded_by(0x3e, concat!(store!("gone"), "/lib/ld.so"));
            d.file(store!("hello"), 0o555, program);
        },
        &[],
    ),
    ("wsl-nixos-automount", |d| d.edit(NIXOS_CONF, "ldconfig=false", "ldconfig=true"), &[]),
    ("wsl-nixos-hostname", |d| d.edit(NIXOS_CONF, "hostname=nixos", "hostname=other"), &[]),
    (
        "wsl-nixos-generated",
        |d| {
            d.link("/etc/hosts", store!("etc-hosts"));
            d.file(store!("etc-hosts"), 0o444, "127.0.0.1 localhost\n");
        },
        &[],
    ),
    ("wsl-nixos-user", |d| d.edit(NIXOS_CONF, "[user]\ndefault=nixos\n", ""), &[]),
];

/// What a good NixOS image has: its icon lies in `/etc`, and its `wsl.conf` in the store.
const NIXOS_EXPECTED: &[&str] = &["wsl-conf-link", "wsl-icon-location"];

fn failed(draft: &Draft) -> BTreeSet<String> {
    draft.verify().findings.into_iter().map(|finding| finding.check.into_owned()).collect()
}

fn set(ids: impl IntoIterator<Item = &'static str>) -> BTreeSet<String> {
    ids.into_iter().map(str::to_owned).collect()
}

#[test]
fn good_images_are_silent() {
    for draft in [plain(), Draft { system: Some("x86_64-linux"), ..plain() }] {
        assert_eq!(draft.verify().findings, []);
    }
    assert_eq!(failed(&nixos()), set(NIXOS_EXPECTED.iter().copied()));
}

/// A check that no good image reaches checks nothing.
#[test]
fn every_check_is_reached() {
    let mut reached = BTreeSet::new();
    let with_user = |d: &mut Draft| d.edit(WSL_CONF, "true", "true\n[user]\ndefault=root");
    let without_systemd = |d: &mut Draft| d.edit(WSL_CONF, "true", "false");
    for edit in [|_: &mut Draft| {}, with_user, without_systemd] {
        let mut draft = plain();
        edit(&mut draft);
        reached.extend(held(&draft));
    }
    reached.extend(held(&nixos()));
    let all: BTreeSet<_> =
        wsl::CHECKS.iter().chain(wsl::NIXOS_CHECKS).map(|check| check.id.to_owned()).collect();
    let never: Vec<_> = all.difference(&reached).collect();
    // The edit of a good NixOS image in its twin reaches it as well.
    assert!(never.is_empty(), "{never:?}");
}

fn held(draft: &Draft) -> Vec<String> {
    let outcomes = draft.verify().outcomes.into_iter();
    outcomes.filter(|(_, o)| *o == Outcome::Held).map(|(id, _)| id.into_owned()).collect()
}

#[test]
fn every_check_has_a_twin_that_only_it_reports() {
    let declared: Vec<_> = wsl::CHECKS.iter().map(|check| check.id).collect();
    assert_eq!(declared, PLAIN.iter().map(|(id, ..)| *id).collect::<Vec<_>>());
    let declared: Vec<_> = wsl::NIXOS_CHECKS.iter().map(|check| check.id).collect();
    assert_eq!(declared, NIXOS.iter().map(|(id, ..)| *id).collect::<Vec<_>>());
    let mut wrong = Vec::new();
    for (base, twins, always) in
        [(plain as fn() -> Draft, PLAIN, &[][..]), (nixos, NIXOS, NIXOS_EXPECTED)]
    {
        for (id, edit, also) in twins {
            let mut draft = base();
            edit(&mut draft);
            let expected = set([*id].iter().chain(*also).chain(always).copied());
            let found = failed(&draft);
            if found != expected {
                wrong.push(format!("{id}: {found:?}, not {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn golden_reports() {
    let mut reports = BTreeMap::new();
    for (base, twins) in [(plain as fn() -> Draft, PLAIN), (nixos, NIXOS)] {
        for (id, edit, _) in twins {
            let mut draft = base();
            edit(&mut draft);
            let own = draft.verify().findings.into_iter().filter(|finding| finding.check == *id);
            let lines: Vec<_> = own.map(|f| format!("{}: {}", f.at, f.message)).collect();
            reports.insert(*id, lines);
        }
    }
    insta::assert_json_snapshot!(reports);
}

/// Ids are public: kebab case, unique, and prefixed with the kind.
#[test]
fn ids_are_well_formed() {
    let mut seen = BTreeSet::new();
    for check in wsl::CHECKS.iter().chain(wsl::NIXOS_CHECKS) {
        assert!(seen.insert(check.id), "{}", check.id);
        assert!(check.id.starts_with("wsl-"), "{}", check.id);
        assert!(check.id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", check.id);
        assert!(!check.explain.trim().is_empty() && !check.spec.is_empty(), "{}", check.id);
    }
}

/// The definition decides for which system an image is; without it, its shell does.
#[test]
fn the_system_of_the_definition_counts() {
    let draft = Draft { system: Some("aarch64-linux"), ..plain() };
    assert_eq!(failed(&draft), set(["wsl-architecture"]));
    let mut draft = plain();
    for (_, entry) in draft.entries.iter_mut().filter(|(_, entry)| entry.content == elf(0x3e)) {
        entry.content = elf(AARCH64);
    }
    assert_eq!(failed(&draft), BTreeSet::new());
    for (_, entry) in draft.entries.iter_mut().filter(|(_, entry)| entry.content == elf(0xb7)) {
        entry.content = elf(0xf3);
    }
    assert_eq!(failed(&draft), set(["wsl-architecture"]));
}

/// An image without anything gives a report and no panic.
#[test]
fn nothing_at_all_is_judged() {
    let report = Draft::empty().verify();
    assert!(report.totals.errors > 0);
}

/// Any value where a path or a number is due.
#[test]
fn odd_values_are_judged() {
    let long = "x".repeat(5000);
    for value in ["/", "..", "../../..", "/etc/passwd/x", "relative", "\u{e9}", "\\\\", &long] {
        for key in ["/usr/lib/wsl/oobe.sh", "1000", "/usr/share/wsl/test.ico"] {
            let mut draft = plain();
            draft.edit(DISTRIBUTION_CONF, key, value);
            assert!(!failed(&draft).is_empty(), "{key} {value}");
        }
    }
}
