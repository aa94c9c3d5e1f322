//! `inspect` on discs that real tools make, whole and broken.

use std::{fs, os::unix::fs::symlink, process::Command};

use serde_json::{Value, json};

use crate::common::{Project, which};

/// The lines that `inspect` prints of a file.
struct Lines(Vec<Value>);

impl Lines {
    fn of(project: &Project, file: &str) -> Self {
        let ran = project.run(&["inspect", file, "--format", "json"]).exits(0);
        Self(ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }

    /// A field of all structures with this name.
    fn get(&self, structure: &str, key: &str) -> Vec<Value> {
        let of = |line: &&Value| line["structure"] == structure;
        self.0.iter().filter(of).map(|line| line[key].clone()).collect()
    }

    fn with_path(&self, path: &str) -> &Value {
        self.0.iter().find(|line| line["path"] == path).unwrap_or(&Value::Null)
    }
}

fn run(project: &Project, program: &str, package: &str, args: &[&str]) {
    let mut command = Command::new(which(program, package));
    let output = command.args(args).current_dir(project.dir.path()).output().unwrap();
    assert!(output.status.success(), "{program}: {output:?}");
}

/// A disc with a boot image for a PC, an EFI image that is none, and a SquashFS.
fn disc(project: &Project) -> Vec<u8> {
    let tree = project.path("tree");
    fs::create_dir_all(tree.join("deep/er")).unwrap();
    fs::write(tree.join("boot.img"), [7; 4096]).unwrap();
    fs::write(tree.join("efi.img"), [0; 2048]).unwrap();
    fs::write(tree.join("deep/er/a file"), "content\n").unwrap();
    symlink("../boot.img", tree.join("deep/link")).unwrap();
    let squashfs = ["tree", "store.squashfs", "-comp", "gzip", "-Xcompression-level", "3"];
    run(project, "mksquashfs", "squashfs-tools", &[&squashfs[..], &["-no-progress"]].concat());
    fs::rename(project.path("store.squashfs"), tree.join("store.squashfs")).unwrap();
    let mut args = "-as mkisofs -quiet -o disc.iso -iso-level 3 -volid Inspected -joliet -r \
        -b boot.img -c boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table \
        -eltorito-alt-boot -e efi.img -no-emul-boot -isohybrid-gpt-basdat tree"
        .split_whitespace()
        .collect::<Vec<_>>();
    args.extend(["-isohybrid-mbr", "/usr/lib/ISOLINUX/isohdpfx.bin"]);
    run(project, "xorriso", "xorriso isolinux", &args);
    fs::read(project.path("disc.iso")).unwrap()
}

/// The first byte of what `inspect` found.
fn offset(lines: &Lines, structure: &str) -> usize {
    lines.get(structure, "offset")[0].as_u64().unwrap() as usize
}

#[test]
fn a_disc_is_inspected_also_where_it_is_broken() {
    let project = Project::new();
    let good = disc(&project);
    let whole = Lines::of(&project, "disc.iso");
    assert_eq!(whole.get("primary volume", "volumeId"), ["Inspected"]);
    assert_eq!(whole.get("supplementary volume", "volumeId"), ["Inspected"]);
    assert_eq!(whole.get("supplementary volume", "escape"), ["%/E"]);
    assert_eq!(whole.get("path table", "entries"), [3; 4]);
    assert_eq!(whole.get("path entry", "name")[..3], ["/", "DEEP", "ER"]);
    assert_eq!(whole.get("boot record", "system"), ["EL TORITO SPECIFICATION"]);
    assert_eq!(whole.get("boot catalog", "sum"), ["0x0"]);
    assert_eq!(whole.get("boot section", "platform"), ["0xef"]);
    assert_eq!(whole.get("boot entry", "platform"), ["0x0", "0xef"]);
    assert_eq!(whole.get("boot entry", "sectors"), [4, 4]);
    assert_eq!(whole.get("boot info table", "length"), [4096]);
    let sums = ["checksum", "computed"].map(|key| whole.get("boot info table", key));
    assert_eq!(sums[0], sums[1]);
    assert_eq!(whole.get("boot code", "kind"), ["Syslinux"]);
    assert_eq!(whole.get("gpt header", "myLba").len(), 2);
    assert_eq!(whole.get("susp extension", "id"), ["RRIP_1991A"]);
    let link = whole.with_path("/deep/link");
    assert_eq!((&link["structure"], &link["target"]), (&json!("symlink"), &json!("../boot.img")));
    assert_eq!(link["identifier"], "LINK.;1");
    assert_eq!(whole.with_path("/deep/er/a file")["mode"], "100444");
    let file = |tree| {
        let of = |line: &&Value| line["path"] == "/deep/er/a file" && line["tree"] == tree;
        whole.0.iter().filter(of).count()
    };
    // By Rock Ridge, by Joliet, and in the SquashFS.
    assert_eq!((file(Value::Null), file(json!("joliet"))), (2, 1));
    assert_eq!(whole.get("squashfs superblock", "compressor"), ["gzip"]);
    assert_eq!(whole.get("squashfs options", "level"), [3]);
    let human = project.run(&["inspect", "disc.iso"]).exits(0);
    human.says("volumeId=Inspected").says("target=../boot.img");

    let broken = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        edit(&mut bytes);
        fs::write(project.path("broken.iso"), bytes).unwrap();
        Lines::of(&project, "broken.iso")
    };
    // The halves of a number that is written twice.
    let halves = broken(&|bytes| bytes[16 * 2048 + 87] ^= 1);
    let blocks = whole.get("primary volume", "blocks")[0].as_u64().unwrap();
    assert_eq!(halves.get("primary volume", "blocks"), [format!("{blocks}|{}", blocks ^ 1)]);
    // No catalog, and a catalog with a wrong sum.
    let lost = broken(&|bytes| bytes[17 * 2048 + 71..17 * 2048 + 75].fill(0xff));
    assert_eq!(lost.get("boot record", "bootCatalog"), [u32::MAX]);
    assert_eq!(lost.get("boot catalog", "sum").len(), 0);
    let catalog = offset(&whole, "boot catalog");
    let wrong = broken(&|bytes| bytes[catalog + 4] = b'x');
    assert_eq!(wrong.get("boot catalog", "sum"), ["0x78"]);
    // A directory that is no list of records, another one is there by Joliet.
    let root = whole.get("primary volume", "rootExtent")[0].as_u64().unwrap() as usize * 2048;
    let rootless = broken(&|bytes| bytes[root..root + 34].fill(9));
    assert_eq!(rootless.get("no record", "what"), ["Short(9)"]);
    assert_eq!(rootless.with_path("/deep/er/a file")["tree"], "joliet");
    // The SquashFS without its inodes.
    let inodes = offset(&whole, "squashfs table");
    let hollow = broken(&|bytes| bytes[inodes..inodes + 100].fill(0));
    assert_eq!(hollow.get("no inode", "path"), ["/"]);
    assert_eq!(hollow.get("squashfs superblock", "compressor"), ["gzip"]);
    // Cut short.
    let cut = broken(&|bytes| bytes.truncate(17 * 2048 + 100));
    assert_eq!(cut.get("primary volume", "volumeId"), ["Inspected"]);
    assert_eq!(cut.get("terminator", "type").len(), 0);
}
