//! First inputs for the checker of SquashFS.

use std::{fs, io};

use super::{Kitchen, in_folder};
use crate::failure::Failure;

/// What `mksquashfs` and `sqfstar` compress with.
const COMPRESSORS: [&str; 6] = ["gzip", "lzma", "lzo", "lz4", "xz", "zstd"];

/// Options beside the compressor. What is compressed keeps changes away from who reads it, so that
/// metadata is mostly not.
const OPTIONS: &[&str] = &[
    "-noI -noX",
    "-noI -noX -b 4096 -no-fragments",
    "-noI -noX -b 4096 -always-use-fragments -no-exports",
    "-noI -noX -noD -noF -no-duplicates -b 4096",
    "-noI -noX -no-xattrs -all-root -nopad",
];

/// What no ordinary file is.
const PSEUDO: &str = "\
disk b 600 0 5 8 1
null c 666 7 0 1 3
dir/pipe i 644 1000 100 f
dir/socket i 644 1000 100 s
";

impl Kitchen<'_> {
    pub(super) fn squashfs(&self) -> Result<(), Failure> {
        let mksquashfs = self.tool("mksquashfs", "squashfs-tools")?;
        // More entries than a header may have, in more than one block of metadata.
        let crowd = self.work.join("tree/crowd");
        let fill = || {
            fs::write(self.work.join("pseudo"), PSEUDO)?;
            fs::create_dir(&crowd)?;
            fs::write(crowd.join("0"), "")?;
            (1..280).try_for_each(|name| {
                fs::hard_link(crowd.join("0"), crowd.join(format!("{name:03}-{}", "z".repeat(40))))
            })
        };
        fill().map_err(in_folder(self.work))?;
        let common = ["-no-progress", "-quiet", "-noappend", "-processors", "1"];
        for (number, options) in OPTIONS.iter().enumerate() {
            let name = format!("squashfs-{number}");
            let mut args = vec!["tree", &name, "-pf", "pseudo"];
            args.extend(common);
            args.extend(options.split(' '));
            self.run(&mksquashfs, &args)?;
            self.pack(&self.work.join(&name), &name)?;
        }
        fs::remove_dir_all(&crowd).map_err(in_folder(&crowd))?;
        for compressor in COMPRESSORS {
            let name = format!("squashfs-{compressor}");
            let mut args = vec!["tree", &name, "-comp", compressor];
            args.extend(common);
            match compressor {
                "gzip" => args.extend(["-Xcompression-level", "3", "-Xstrategy", "fixed"]),
                "xz" => args.extend(["-Xbcj", "x86", "-Xdict-size", "50%"]),
                "lz4" => args.push("-Xhc"),
                "zstd" | "lzo" => args.extend(["-Xcompression-level", "3"]),
                _ => {}
            }
            self.run(&mksquashfs, &args)?;
            self.pack(&self.work.join(&name), &name)?;
        }
        self.attributes()
    }

    /// With extended attributes: from a tar, since not every file system has them.
    fn attributes(&self) -> Result<(), Failure> {
        let sqfstar = self.tool("sqfstar", "squashfs-tools")?;
        let shell = self.tool("sh", "dash")?;
        let tar = self.work.join("attributes.tar");
        fs::write(&tar, attributes().map_err(in_folder(&tar))?).map_err(in_folder(&tar))?;
        for (number, options) in ["-noI -noX", "-comp zstd"].iter().enumerate() {
            let name = format!("squashfs-attributes-{number}");
            // It reads a tar from its standard input only.
            let script = format!(
                "exec {} -no-progress -quiet -processors 1 {options} {name} < attributes.tar",
                sqfstar.program().display()
            );
            self.run(&shell, &["-c", &script])?;
            self.pack(&self.work.join(&name), &name)?;
        }
        Ok(())
    }
}

/// A tar of files with extended attributes, some of them the same, one that is long.
fn attributes() -> io::Result<Vec<u8>> {
    let long = "v".repeat(300);
    let files: [(&str, &[(&str, &str)]); 4] = [
        ("a", &[("user.one", "1"), ("user.two", "22")]),
        ("b", &[("user.one", "1"), ("user.two", "22")]),
        ("c", &[("user.long", &long), ("trusted.x", "y")]),
        ("d", &[("user.long", &long), ("security.capability", "z")]),
    ];
    let mut tar = Vec::new();
    for (name, attributes) in files {
        let records: String = attributes
            .iter()
            .map(|(key, value)| {
                let rest = format!(" SCHILY.xattr.{key}={value}\n");
                // The length counts its own digits.
                let len = rest.len() + if rest.len() + 2 < 100 { 2 } else { 3 };
                format!("{len}{rest}")
            })
            .collect();
        member(&mut tar, "pax", b'x', records.as_bytes());
        member(&mut tar, name, b'0', name.as_bytes());
    }
    tar.extend([0; 1024]);
    Ok(tar)
}

fn member(tar: &mut Vec<u8>, name: &str, kind: u8, content: &[u8]) {
    let mut header = [0; 512];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}", content.len()).as_bytes());
    put(136, b"14524545400");
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    tar.extend(header);
    tar.extend(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
}
