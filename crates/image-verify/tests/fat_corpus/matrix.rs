//! What mkfs.fat makes and mtools fills: widths, sizes of sectors and clusters, and its options.

use std::{
    fs::{self, File},
    path::Path,
};

use super::{
    image::{mtools, tool},
    rig::{on_two_threads, print},
    volume::{Volume, told},
};

/// A file system to be made.
struct Recipe {
    width: &'static str,
    /// Bytes of a sector, and sectors of a cluster.
    sector: u64,
    cluster: u64,
    clusters: u64,
    /// More for mkfs.fat.
    options: &'static [&'static str],
}

/// More for mkfs.fat: each goes with some of the widths and sizes.
const OPTIONS: &[&[&str]] = &[
    &["-f", "1"],
    &["-n", "MATRIX"],
    &["-R", "40", "-n", "A B-C_1"],
    &["-a"],
    &["--mbr=y", "-n", "DISK"],
    &["-f", "1", "-i", "00000000", "-M", "0xf0"],
    &["-g", "64/32", "-h", "2048", "-D", "0x80"],
];

/// Those that only FAT12 and FAT16 have.
const NARROW_OPTIONS: &[&[&str]] =
    &[&["-r", "1024"], &["-r", "128", "-R", "3"], &["-R", "1", "-a"]];

/// Those that only FAT32 has.
const FAT32_OPTIONS: &[&[&str]] =
    &[&["-R", "2"], &["-b", "12"], &["-R", "8", "-b", "3", "-f", "1"], &["--mbr=y", "-f", "1"]];

fn recipes() -> Vec<Recipe> {
    let mut recipes = Vec::new();
    for (width, clusters, own) in
        [("12", 4000, NARROW_OPTIONS), ("16", 5000, NARROW_OPTIONS), ("32", 66_000, FAT32_OPTIONS)]
    {
        let mut add = |sector, cluster, clusters, options| {
            recipes.push(Recipe { width, sector, cluster, clusters, options });
        };
        for (index, sector) in [512, 1024, 2048, 4096].into_iter().enumerate() {
            for (step, cluster) in [1, 2, 8, 32, 128].into_iter().enumerate() {
                // Larger ones than 64 KiB are of nobody.
                if sector * cluster <= 64 << 10 {
                    add(sector, cluster, clusters, OPTIONS[(index * 3 + step) % OPTIONS.len()]);
                }
            }
        }
        for (index, options) in OPTIONS.iter().chain(own).enumerate() {
            add(512, 1 << (index % 4), clusters, options);
        }
    }
    // Next to the limits between the widths, which mkfs.fat keeps away from by itself.
    for (width, clusters) in [("12", 4070), ("16", 4100), ("16", 65_500), ("32", 65_700)] {
        recipes.push(Recipe { width, sector: 512, cluster: 1, clusters, options: &[] });
    }
    recipes
}

/// Makes files of all sorts in `folder`: empty and large, exact multiples of clusters, long names and
/// such that are not ASCII, deep directories and a big one.
fn tree(folder: &Path, cluster: usize) {
    let file = |name: &str, len: usize| {
        let content: Vec<u8> = (0..len).map(|at| (at * 13 + at / 241) as u8).collect();
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    let sizes = [0, 1, cluster - 1, cluster, cluster + 1, cluster * 2, cluster * 5 - 1];
    for len in sizes {
        file(&format!("sizes/{len} bytes.bin"), len);
    }
    file("README.TXT", 100);
    file("Makefile", cluster * 3);
    file("Grüße aus Köln/日本語のファイル名.txt", 7);
    file("Grüße aus Köln/émoji 🦀 and + , ; = [ ].md", 8);
    file(&"x".repeat(255), 9);
    let deep = (0..30).map(|level| format!("level {level:02}/")).collect::<String>();
    file(&format!("{deep}bottom"), 10);
    for index in 0..400 {
        file(&format!("big/file number {index:04} of a big directory"), index % 3);
    }
}

impl Recipe {
    fn name(&self) -> String {
        let Self { width, sector, cluster, options, clusters } = self;
        let options = options.join(" ");
        format!("-F {width} -S {sector} -s {cluster} {options} ({clusters} clusters)")
    }

    fn make(&self) -> Volume {
        let volume = Volume::new();
        let entry_bits: u64 = self.width.parse().unwrap();
        let table = (self.clusters * entry_bits / 8).div_ceil(self.sector) + 1;
        // Of FAT32 the root directory is one of the clusters, and there are more reserved sectors.
        let len = (self.clusters * self.cluster + 2 * table + 34) * self.sector;
        File::create(&volume.path).unwrap().set_len(len).unwrap();
        let (sector, cluster) = (self.sector.to_string(), self.cluster.to_string());
        let mut argv = vec!["mkfs.fat", "-F", self.width, "-S", &sector, "-s", &cluster];
        argv.extend(self.options);
        argv.push(volume.path.to_str().unwrap());
        let made = tool("dosfstools", &argv);
        assert!(made.status.success(), "{}: {made:?}", self.name());
        let source = volume.folder().join("tree");
        tree(&source, (self.sector * self.cluster) as usize);
        let names = super::rig::names(&source);
        let paths: Vec<_> =
            names.iter().map(|name| source.join(name).to_str().unwrap().to_owned()).collect();
        let args = ["-s", "-p", "-m"].into_iter().chain(paths.iter().map(String::as_str));
        mtools(&volume.path, "mcopy", &args.chain(["::"]).collect::<Vec<_>>());
        // Some slots are free again.
        mtools(&volume.path, "mdel", &["::/big/file number 00*", "::/README.TXT"]);
        mtools(&volume.path, "mren", &["::/Makefile", "::/a longer name than before"]);
        mtools(&volume.path, "mmd", &["::/leer"]);
        volume
    }
}

#[test]
fn nothing_is_wrong_with_what_mkfs_makes() {
    let recipes = recipes();
    let wrong: Vec<String> = on_two_threads(&recipes, |recipe| {
        let volume = recipe.make();
        let (findings, theirs) = (volume.judge(), volume.fsck());
        let wrong = !findings.is_empty() || !theirs.clean();
        wrong.then(|| {
            format!("{}: {}; fsck.fat: {}", recipe.name(), told(&findings), theirs.words())
        })
    })
    .into_iter()
    .flatten()
    .collect();
    print(&format!("{} file systems by mkfs.fat, {} with findings", recipes.len(), wrong.len()));
    assert!(wrong.is_empty(), "{wrong:#?}");
}
