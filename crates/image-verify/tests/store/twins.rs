//! The broken twins: a good store with one edit, and the check that fails.

use crate::image::{Draft, elf, path};

type Twin = (&'static str, fn(&mut Draft), &'static [&'static str]);

/// Edits what Nix registered of the good store.
fn registered(draft: &mut Draft, from: &str, to: &str) {
    draft.register();
    let list = draft.list.as_mut().unwrap();
    assert!(list.contains(from), "{from}: {list}");
    *list = list.replacen(from, to, 1);
}

/// Damages the store after Nix registered it.
fn damaged(draft: &mut Draft, edit: impl FnOnce(&mut Draft)) {
    draft.register();
    edit(draft);
}

/// The check that must fail, the edit, and what must fail with it.
pub(crate) const TWINS: &[Twin] = &[
    ("store-registration", |d| registered(d, "sha256:", "sha1:"), &[]),
    (
        "store-database-closed",
        |d| {
            d.database = Some(
                "pragma journal_mode = wal; pragma wal_autocheckpoint = 0;
                 update ValidPaths set ultimate = 1;",
            );
        },
        &[],
    ),
    (
        "store-registrations-agree",
        |d| {
            let changes = "update ValidPaths set narSize = narSize + 8 where path like '%-data';
                 delete from Refs where referrer in
                 (select id from ValidPaths where path like '%-system');";
            d.database = Some(changes);
        },
        &["store-nar-size", "store-undeclared-reference"],
    ),
    (
        "store-complete",
        |d| {
            d.file(&path("more"), "");
            // It has the name of a lock, and is none.
            d.file(&(path("other") + "-flake.lock"), "{}");
        },
        &[],
    ),
    (
        "store-present",
        |d| {
            d.references.insert(path("more"), Vec::new());
        },
        &[],
    ),
    (
        "store-references",
        |d| {
            d.references.get_mut(&path("lib")).unwrap().push(path("more"));
            // A database has no such reference.
            d.database = None;
        },
        &[],
    ),
    ("store-readable", |d| d.fifo("data", "/share/pipe"), &["tar-device"]),
    ("store-name", |d| d.file(&(path("data") + "/share/x~nix~case~hack~1"), ""), &[]),
    ("store-content", |d| damaged(d, |d| d.content("data", "/share/text")[0] = b'T'), &[]),
    (
        "store-nar-size",
        |d| {
            let (_, size) = d.digest(&path("data"));
            registered(d, &format!("\n{size}\n"), &format!("\n{}\n", size + 8));
        },
        &[],
    ),
    (
        "store-undeclared-reference",
        |d| {
            let name = path("app");
            *d.content("data", "/share/text") = [&b" ".repeat(70_000), name.as_bytes()].concat();
        },
        &[],
    ),
    ("store-unknown-path", |d| *d.content("data", "/share/text") = path("gone").into_bytes(), &[]),
    (
        "store-symlink",
        |d| {
            d.member("system", "/sw").link = path("gone") + "/sw";
            // A store path that is a link.
            d.link(&path("link"), &path("gone"));
            d.references.insert(path("link"), Vec::new());
            // Others lead out of their path and into one that is there, and out of the store.
            let relative = |name: &str| path(name).replace("/nix/store", "../..");
            d.link(&(path("system") + "/lib/gone"), &relative("gone"));
            d.link(&(path("system") + "/lib/app"), &(relative("app") + "/bin/app"));
            d.link(&(path("system") + "/lib/run"), "../../../../run/nothing");
        },
        &[],
    ),
    (
        "store-interpreter",
        |d| *d.content("app", "/bin/app") = elf(&(path("lib") + "/lib/gone.so"), ""),
        &[],
    ),
    (
        "store-run-path",
        |d| *d.content("app", "/bin/app") = elf("", &(path("gone") + "/lib")),
        &["store-unknown-path"],
    ),
    ("store-entry", |d| d.link("/nix/var/nix/profiles/system-2-link", &path("gone")), &[]),
    ("store-owner", |d| d.member("app", "/bin/app").uid = 1000, &[]),
    ("store-writable", |d| d.member("app", "/bin/app").mode = 0o575, &[]),
    ("store-mode", |d| d.member("app", "/bin").mode = 0o755, &[]),
    ("store-mtime", |d| d.member("app", "/bin").mtime = 1_700_000_000, &[]),
    (
        "store-limits",
        |d| {
            d.register();
            let list = d.list.as_mut().unwrap();
            let more = (0..1 << 18)
                .map(|n| format!("/nix/store/{n:032}-x\nsha256:{}\n1\n\n0\n", "0".repeat(52)));
            more.for_each(|block| *list += &block);
            d.database = None;
        },
        &[],
    ),
];
