//! The first inputs: small file systems that real tools make, and those that other people test
//! their checkers with.

mod discs;
mod squashfs;

use std::{
    fs::{self, File},
    io::{self, BufReader},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use image_host::tool::Tool;

use super::{MAX_INPUT, in_folder, input::Image};
use crate::{args::FuzzTarget, failure::Failure};

/// Options of `mke2fs`, more of its extended ones, and the size of the image in KiB. Checksums are
/// made right by the fuzzer; without them it is faster.
const EXT4: &[(&str, &str, u32)] = &[
    ("-t ext2 -b 1024 -N 48 -r 0", "", 512),
    ("-t ext2 -b 1024 -N 48 -O ^resize_inode", "", 512),
    ("-t ext3 -b 1024 -N 48", "", 2048),
    ("-t ext4 -b 1024 -N 48", "", 2048),
    ("-t ext4 -b 1024 -N 48 -O ^has_journal,^metadata_csum,uninit_bg", "", 512),
    ("-t ext4 -b 1024 -N 48 -O ^has_journal,^metadata_csum,^resize_inode,^64bit", "", 512),
    ("-t ext4 -b 1024 -N 48 -O ^has_journal,^resize_inode,metadata_csum_seed", "", 512),
    ("-t ext4 -b 1024 -N 48 -O ^has_journal,^metadata_csum,inline_data", "", 512),
    ("-t ext4 -b 1024 -N 48 -O ^has_journal,inline_data -I 512", "", 512),
    (
        "-t ext4 -b 1024 -N 48 -O ^has_journal,^metadata_csum,bigalloc,^resize_inode -C 4096",
        "",
        1024,
    ),
    ("-t ext4 -b 1024 -N 48 -O ^has_journal,meta_bg,^resize_inode -g 256", "", 1024),
    ("-t ext4 -b 1024 -N 48 -O ^has_journal,sparse_super2,^flex_bg -g 256", "", 1024),
    ("-t ext4 -b 1024 -N 48 -O quota,project", ",quotatype=usrquota:grpquota:prjquota", 2048),
    ("-t ext4 -b 1024 -N 48 -O orphan_file,^metadata_csum", "", 2048),
    ("-t ext4 -b 1024 -N 48 -O ^has_journal,^metadata_csum,encrypt,verity", "", 512),
    ("-t ext4 -b 1024 -N 48 -O ^has_journal,^metadata_csum,casefold", ",encoding=utf8", 512),
    ("-t ext4 -b 1024 -N 48 -O ^has_journal,mmp,stable_inodes", "", 512),
    ("-t ext4 -b 1024 -N 48 -O ^has_journal,^metadata_csum,ea_inode,large_dir", "", 512),
    ("-t ext4 -b 1024 -N 48 -O fast_commit", "", 4096),
    ("-t ext4 -b 2048 -N 48 -O ^has_journal,^metadata_csum -I 128", "", 1024),
    ("-t ext4 -b 4096 -N 48 -O ^has_journal", "", 1024),
    ("-t ext4 -b 65536 -N 48 -O ^has_journal,^metadata_csum,^resize_inode", "", 8192),
];

/// What is put into all of them by `debugfs`: what `mke2fs -d` makes of no ordinary file.
const DEBUGFS: &[&str] = &[
    "ea_set /file user.short value",
    "ea_set /dir user.a 1",
    "ea_set /large -f ../large user.large",
    "mknod /dir/pipe p",
    "mknod /dir/disk b 8 1",
    "fallocate /holes 30 40",
    "sif /orphan links_count 0",
];

/// Options of `mkfs.fat`, each with the size of the image in KiB.
const FAT: &[(&str, u32)] = &[
    ("-F 12 -s 1 -n FLOPPY", 128),
    ("-F 12 -s 2 -f 1 -R 3", 256),
    ("-F 12 -S 4096", 4096),
    ("-F 16 -s 1 -n DISK", 2200),
    ("-F 16 -s 4 -r 64 -f 2", 9000),
    ("-F 32 -s 1 -n LARGE", 33_500),
    ("-F 32 -s 1 -b 3 -f 1", 33_500),
];

/// Fills `work/seeds`, anew each time: it takes a few seconds.
pub(super) fn make(target: FuzzTarget, root: &Path, work: &Path) -> Result<(), Failure> {
    let made = work.join("work");
    let seeds = work.join("seeds");
    for dir in [&made, &seeds] {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(in_folder(dir)(error));
            }
            _ => fs::create_dir_all(dir).map_err(in_folder(dir))?,
        }
    }
    let kitchen = Kitchen { work: &made, seeds: &seeds };
    kitchen.tree().map_err(in_folder(&made))?;
    match target {
        FuzzTarget::Ext4 => kitchen.ext4()?,
        FuzzTarget::Fat => kitchen.fat()?,
        FuzzTarget::Iso9660 => kitchen.discs()?,
        FuzzTarget::Squashfs => kitchen.squashfs()?,
    }
    kitchen.others(root, target)?;
    fs::remove_dir_all(&made).map_err(in_folder(&made))
}

struct Kitchen<'a> {
    work: &'a Path,
    seeds: &'a Path,
}

impl Kitchen<'_> {
    /// What lies in the file systems: something of everything, and little of it.
    fn tree(&self) -> io::Result<()> {
        let tree = self.work.join("tree");
        fs::create_dir_all(tree.join("dir/deep/deeper"))?;
        fs::write(tree.join("file"), "content\n")?;
        fs::write(tree.join("orphan"), "")?;
        fs::write(tree.join("large"), [b'x'; 5000])?;
        fs::hard_link(tree.join("file"), tree.join("dir/again"))?;
        symlink("dir/deep", tree.join("short"))?;
        symlink("a/".repeat(60), tree.join("long"))?;
        // Blocks with holes between them: more runs than an inode has room for.
        let mut holes = vec![0; 24 << 10];
        holes.iter_mut().step_by(2048).for_each(|byte| *byte = 1);
        fs::write(tree.join("holes"), holes)?;
        let many = tree.join("many");
        fs::create_dir(&many)?;
        fs::write(many.join("0"), "")?;
        for name in 1..12 {
            fs::hard_link(many.join("0"), many.join(format!("{name}{}", "y".repeat(100))))?;
        }
        // Longer than an inode has room for.
        fs::write(self.work.join("large"), [b'v'; 700])
    }

    fn tool(&self, name: &str, package: &str) -> Result<Tool, Failure> {
        // Administrators' programs are not in everybody's path.
        let found = ["/usr/sbin", "/sbin"].iter().map(|dir| Path::new(dir).join(name));
        let found = found.into_iter().find(|path| path.exists()).map(Tool::at);
        let tool = Tool::find(name).ok().or(found).ok_or_else(|| {
            let text =
                format!("fuzz needs {name}, which is not in PATH: apt-get install {package}");
            Failure::new(crate::Verdict::Failed, text)
        })?;
        // Inodes and superblocks carry the time.
        Ok(tool.env("E2FSPROGS_FAKE_TIME", "1700000000").env("SOURCE_DATE_EPOCH", "1700000000"))
    }

    fn run(&self, tool: &Tool, args: &[&str]) -> Result<(), Failure> {
        let run = tool.run(args.iter().copied()).dir(self.work).stdout_is_log();
        run.output().map(drop).map_err(|e| Failure::host("cannot make the first inputs", e))
    }

    fn ext4(&self) -> Result<(), Failure> {
        let mke2fs = self.tool("mke2fs", "e2fsprogs")?;
        let debugfs = self.tool("debugfs", "e2fsprogs")?;
        let e2fsck = self.tool("e2fsck", "e2fsprogs")?;
        let script = self.work.join("script");
        fs::write(&script, DEBUGFS.join("\n") + "\n").map_err(in_folder(&script))?;
        let uuid = "01234567-89ab-4cde-8f01-23456789abcd";
        for (number, (options, extended, kib)) in EXT4.iter().enumerate() {
            let (name, size) = (format!("ext4-{number}"), format!("{kib}k"));
            let mut args: Vec<&str> = options.split(' ').collect();
            let extended = format!("hash_seed={uuid}{extended}");
            args.extend(["-q", "-F", "-U", uuid, "-E", &extended, "-d", "tree"]);
            args.extend([&*name, &*size]);
            self.run(&mke2fs, &args)?;
            self.run(&debugfs, &["-w", "-f", "script", &name])?;
            self.pack(&self.work.join(&name), &format!("{name}-broken"))?;
            // Builds the indexes of directories; 1 is that it did.
            let run = e2fsck.run(["-fyD", &name]).dir(self.work).stdout_is_log();
            drop(run.output());
            self.pack(&self.work.join(&name), &name)?;
        }
        Ok(())
    }

    fn fat(&self) -> Result<(), Failure> {
        let mkfs = self.tool("mkfs.fat", "dosfstools")?;
        let mcopy = self.tool("mcopy", "mtools")?;
        for (number, (options, kib)) in FAT.iter().enumerate() {
            let (name, size) = (format!("fat-{number}"), kib.to_string());
            let mut args: Vec<&str> = options.split(' ').collect();
            args.extend(["--invariant", "-C", &name, &size]);
            self.run(&mkfs, &args)?;
            let from = ["tree/dir", "tree/file", "tree/large", "tree/many"];
            self.run(&mcopy, &[&["-s", "-i", &*name], &from[..], &["::/"]].concat())?;
            self.pack(&self.work.join(&name), &name)?;
        }
        Ok(())
    }

    /// File systems and discs that `tests/setup.sh` fetched.
    fn others(&self, root: &Path, target: FuzzTarget) -> Result<(), Failure> {
        let (dir, is_wanted): (_, fn(&str) -> bool) = match target {
            FuzzTarget::Ext4 => ("file-systems", |name| !is_fat(name)),
            FuzzTarget::Fat => ("file-systems", is_fat),
            FuzzTarget::Iso9660 => ("discs", |name| name.ends_with(".iso")),
            FuzzTarget::Squashfs => ("discs", |name| name.ends_with(".sqfs")),
        };
        let dir = &root.join("target").join(dir);
        if !dir.exists() {
            eprintln!("fuzz: {} is not there, which tests/setup.sh fetches", dir.display());
            return Ok(());
        }
        let files = files(dir).map_err(in_folder(dir))?;
        for (number, path) in files.iter().enumerate() {
            let name = path.strip_prefix(dir).unwrap_or(path).to_string_lossy();
            if !is_wanted(&name) {
                continue;
            }
            let unpack = match path.extension().and_then(|extension| extension.to_str()) {
                Some("gz") => "gzip",
                Some("xz") => "xz",
                Some("bz2") => "bzip2",
                Some("xxd" | "bin" | "iso" | "sqfs") => {
                    self.pack(path, &format!("other-{number}"))?;
                    continue;
                }
                _ => continue,
            };
            let tool = self.tool(unpack, "gzip bzip2 xz-utils")?;
            let args = ["-dc".into(), path.clone().into_os_string()];
            let bytes = tool.run(args).output();
            let bytes = bytes.map_err(|e| Failure::host("cannot unpack a file system", e))?;
            let image = self.work.join("image");
            fs::write(&image, bytes).map_err(in_folder(&image))?;
            self.pack(&image, &format!("other-{number}"))?;
        }
        Ok(())
    }

    /// Keeps an image if it is small enough.
    fn pack(&self, image: &Path, name: &str) -> Result<(), Failure> {
        let read = || {
            if image.extension().is_some_and(|extension| extension == "xxd") {
                let dump = fs::read_to_string(image)?;
                return Image::from_xxd(&dump).ok_or(io::ErrorKind::InvalidData.into());
            }
            let file = File::open(image)?;
            Image::read(file.metadata()?.len(), &mut BufReader::new(file))
        };
        let input = read().map_err(in_folder(image))?.to_input();
        if input.len() as u64 > MAX_INPUT {
            return Ok(());
        }
        let seed = self.seeds.join(name);
        fs::write(&seed, input).map_err(in_folder(&seed))
    }
}

fn is_fat(name: &str) -> bool {
    ["dosfstools/", "fat", "vfat"].iter().any(|part| name.contains(part))
}

/// All files below `dir`, in the order of their names.
fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                todo.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}
