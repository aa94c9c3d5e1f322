//! Good images, made by xorriso and genisoimage of the same files.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
    time::{Duration, UNIX_EPOCH},
};

/// Runs a tool of a Debian package, for a minute at most.
pub(crate) fn tool<T: AsRef<OsStr>>(package: &str, argv: &[T]) -> Output {
    let program = argv[0].as_ref();
    let found = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .iter()
        .any(|folder| Path::new(folder).join(program).exists());
    assert!(found, "{} is missing; run `apt-get install {package}`", program.display());
    let output = Command::new("timeout")
        .arg("60")
        .args(argv)
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .env("SOURCE_DATE_EPOCH", MODIFIED.to_string())
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output();
    output.unwrap_or_else(|e| panic!("{}: {e}", program.display()))
}

pub(crate) fn succeed<T: AsRef<OsStr>>(package: &str, argv: &[T]) -> Vec<u8> {
    let Output { status, stdout, stderr } = tool(package, argv);
    let argv: Vec<_> = argv.iter().map(|arg| arg.as_ref().to_string_lossy()).collect();
    assert!(status.success(), "{}: {}", argv.join(" "), String::from_utf8_lossy(&stderr));
    stdout
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// When all files were modified: 2000-01-01 12:34:56.
pub(crate) const MODIFIED: u64 = 946_730_096;

/// The target of the symlink `link`.
pub(crate) const TARGET: &str = "boot/nix/store/0123456789-kernel/bzImage";

/// The files of every good image, by path. `twin` is another name of `original`.
pub(crate) fn files() -> BTreeMap<String, Vec<u8>> {
    let long = format!("long/{}", "n".repeat(100));
    let longest = format!("long/{}.txt", "o".repeat(200));
    let mut files: BTreeMap<String, Vec<u8>> = [
        ("readme.txt", b"Hello, disc.\n".to_vec()),
        ("KERNEL8.IMG", pattern(70_000)),
        ("Makefile", pattern(2048)),
        ("empty", Vec::new()),
        ("also empty", Vec::new()),
        ("original", pattern(5000)),
        ("twin", pattern(5000)),
        ("öüé.txt", pattern(1)),
        ("Ordner/Größe der Datei 日本.txt", pattern(77)),
        ("Ordner/two.dots.tar.gz", pattern(78)),
        (".hidden", pattern(79)),
        (TARGET, pattern(9000)),
        ("EFI/BOOT/BOOTX64.EFI", pattern(9001)),
        ("1/2/3/4/5/6/7/8/9/10/deep", pattern(10)),
        ("1/2/3/4/5/6/7/8/9/10/11/deeper", pattern(11)),
        (&*long, pattern(5)),
        (&*longest, pattern(6)),
    ]
    .map(|(name, content)| (name.to_owned(), content))
    .into();
    // More than a sector of records, and the first in one that does not fill it.
    for index in 0..70 {
        files.insert(format!("many/file-number-{index}.conf"), pattern(index * 40));
    }
    files
}

fn source() -> &'static Path {
    static SOURCE: OnceLock<PathBuf> = OnceLock::new();
    SOURCE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap().keep();
        let modified = UNIX_EPOCH + Duration::from_secs(MODIFIED);
        for (name, content) in files() {
            let path = folder.join(&name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            if name == "twin" {
                fs::hard_link(folder.join("original"), path).unwrap();
                continue;
            }
            fs::write(&path, content).unwrap();
            fs::File::open(&path).unwrap().set_modified(modified).unwrap();
        }
        fs::create_dir(folder.join("leer")).unwrap();
        symlink(TARGET, folder.join("link")).unwrap();
        folder
    })
}

/// Who makes an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Maker {
    Xorriso,
    Genisoimage,
}

/// An image of [`files`], made with these options.
pub(crate) fn make(maker: Maker, options: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("disc.iso");
    let (package, argv): (_, &[&str]) = match maker {
        Maker::Xorriso => ("xorriso", &["xorriso", "-report_about", "SORRY", "-as", "mkisofs"]),
        Maker::Genisoimage => {
            ("genisoimage", &["genisoimage", "-quiet", "-input-charset", "utf-8"])
        }
    };
    let own = ["-V", "nixos-test-x86_64", "-o", image.to_str().unwrap()];
    let argv = argv.iter().chain(options).chain(&own).copied();
    succeed(package, &argv.chain([source().to_str().unwrap()]).collect::<Vec<_>>());
    fs::read(image).unwrap()
}

/// Who makes the good images, and with which options.
pub(crate) const MATRIX: &[(Maker, &[&str])] = &[
    (Maker::Xorriso, &["-iso-level", "1"]),
    (Maker::Xorriso, &["-iso-level", "2", "-R", "-disallow_dir_id_ext"]),
    (Maker::Xorriso, &["-iso-level", "3", "-r", "-J", "-full-iso9660-filenames"]),
    (Maker::Xorriso, &["-iso-level", "4"]),
    (Maker::Xorriso, &["-r", "-J", "-joliet-long", "-D"]),
    (Maker::Xorriso, &["-U", "-r"]),
    (Maker::Xorriso, &["-hide-rr-moved", "-r"]),
    (Maker::Genisoimage, &["-iso-level", "1", "-D"]),
    (Maker::Genisoimage, &["-iso-level", "3", "-R"]),
    (Maker::Genisoimage, &["-J", "-r", "-joliet-long", "-D"]),
    (Maker::Genisoimage, &["-J", "-r", "-hide-rr-moved"]),
    (Maker::Genisoimage, &["-U", "-r"]),
    (Maker::Genisoimage, &["-J", "-l", "-allow-lowercase", "-allow-multidot", "-D"]),
];
