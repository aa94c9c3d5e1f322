//! What xorriso, genisoimage and bsdtar make, with options that change what they write: no error,
//! and no warning.

use std::{
    fs::{self, File, FileTimes},
    os::unix::{
        fs::{PermissionsExt as _, symlink},
        net::UnixListener,
    },
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use image_model::Severity;

use super::{judged::Judged, listing::run, rig::print};

/// Programs and options; `IMAGE` is what they make, and `FILES` what of.
const COMMANDS: &[&str] = &[
    "xorriso -as mkisofs -R -J -o IMAGE FILES",
    "xorriso -as mkisofs -r -iso-level 3 -J -joliet-long --acl --xattr -o IMAGE FILES",
    "xorriso -as mkisofs -iso-level 4 -o IMAGE FILES",
    "xorriso -as mkisofs -R -rr_reloc_dir /rr_moved -o IMAGE FILES",
    "xorriso -as mkisofs -hide-rr-moved -R -U -o IMAGE FILES",
    "xorriso -as mkisofs -R -hfsplus -o IMAGE FILES",
    "xorriso -as mkisofs -R -partition_offset 16 -o IMAGE FILES",
    "xorriso -compliance new_rr -hardlinks on -outdev IMAGE -map FILES / -commit",
    "xorriso -outdev IMAGE -zisofs default -map FILES / -set_filter_r --zisofs / -- -commit",
    "xorriso -padding 0 -outdev IMAGE -map FILES / -commit -map FILES /again -commit",
    "genisoimage -R -J -joliet-long -o IMAGE FILES",
    "genisoimage -r -l -allow-leading-dots -o IMAGE FILES",
    "genisoimage -R -D -U -o IMAGE FILES",
    "genisoimage -R -hide-rr-moved -o IMAGE FILES",
    "genisoimage -R -hfs -o IMAGE FILES",
    "genisoimage -D -l -o IMAGE FILES",
    "bsdtar --format=iso9660 -c -f IMAGE -C FILES .",
    "bsdtar --format=iso9660 --options iso9660:zisofs=direct -c -f IMAGE -C FILES .",
];

/// What they find hard.
fn files(folder: &Path) {
    let text: Vec<u8> = (0..300_000).map(|at: u32| (at / 7) as u8).collect();
    let deep = folder.join("1/2/3/4/5/6/7/8/9/10/11/12");
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("deep"), "deep").unwrap();
    fs::create_dir(folder.join("many")).unwrap();
    for number in 0..300 {
        fs::write(folder.join(format!("many/{number} of many with a name.txt")), "x").unwrap();
    }
    fs::write(folder.join("large"), text).unwrap();
    fs::set_permissions(folder.join("large"), fs::Permissions::from_mode(0o6755)).unwrap();
    fs::hard_link(folder.join("large"), folder.join("same")).unwrap();
    fs::write(folder.join("empty"), "").unwrap();
    for len in [200, 250, 253] {
        fs::write(folder.join(format!("{len}{}", "n".repeat(len - 3))), "x").unwrap();
    }
    for (name, target) in [("root", "/"), ("dot", "."), ("slashes", "a//b/"), ("up", "../../x")] {
        symlink(target, folder.join(name)).unwrap();
    }
    symlink("t".repeat(240), folder.join("long")).unwrap();
    UnixListener::bind(folder.join("socket")).unwrap();
    let old = File::create(folder.join("old")).unwrap();
    let time = UNIX_EPOCH + Duration::from_secs(86_400);
    old.set_times(FileTimes::new().set_modified(time).set_accessed(time)).unwrap();
}

#[test]
fn what_others_make_is_silent() {
    let folder = tempfile::tempdir().unwrap();
    let (root, image) = (folder.path().join("files"), folder.path().join("disc.iso"));
    fs::create_dir(&root).unwrap();
    files(&root);
    let mut wrong = Vec::new();
    for command in COMMANDS {
        let _ = fs::remove_file(&image);
        let argv = command.split(' ').map(|word| match word {
            "IMAGE" => image.to_str().unwrap(),
            "FILES" => root.to_str().unwrap(),
            word => word,
        });
        let argv: Vec<_> = argv.collect();
        let output = run("xorriso genisoimage libarchive-tools", 60, &argv);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {said}");
        let judged = Judged::of(&image, true);
        let found = [Severity::Error, Severity::Warning].map(|severity| judged.told(severity));
        print(&format!("{command}: {} findings", found.concat().len()));
        if found.concat() != [""; 0] || judged.listing.is_none() {
            wrong.push(format!("{command}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
