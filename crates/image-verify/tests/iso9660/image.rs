//! Good images, made by xorriso and genisoimage of the same files.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    os::unix::fs::symlink,
    path::Path,
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
        ("Ordner/😀*?.txt", pattern(80)),
        ("Ordner/README", pattern(81)),
        ("Ordner/readme", pattern(82)),
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

/// Puts the files into a folder.
fn put_files(folder: &Path) {
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
}

/// An image that is changed.
pub(crate) struct Edit {
    pub(crate) bytes: Vec<u8>,
}

/// Fields of directory records: place, and bytes of each half.
pub(crate) const EXTENT: (usize, usize) = (2, 4);
pub(crate) const LEN: (usize, usize) = (10, 4);
pub(crate) const SEQUENCE: (usize, usize) = (28, 2);

/// Where the primary volume descriptor is.
pub(crate) const PVD: usize = 16 * 2048;

impl Edit {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec() }
    }

    pub(crate) fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Writes both halves of a number.
    pub(crate) fn both(&mut self, at: usize, len: usize, value: u32) {
        self.put(at, &value.to_le_bytes()[..len]);
        self.put(at + len, &value.to_be_bytes()[4 - len..]);
    }

    pub(crate) fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes[at..at + 4].try_into().unwrap())
    }

    /// The volume descriptor of a type.
    pub(crate) fn descriptor(&self, kind: u8) -> usize {
        (PVD..).step_by(2048).find(|at| self.bytes[*at] == kind).unwrap()
    }

    /// The record of what is at a path of identifiers, below a descriptor.
    pub(crate) fn record_below(&self, descriptor: usize, path: &[&[u8]]) -> usize {
        path.iter().fold(descriptor + 156, |at, name| {
            let records = self.records(at);
            let found = records.iter().find(|at| {
                let len = usize::from(self.bytes[**at + 32]);
                &self.bytes[**at + 33..**at + 33 + len] == *name
            });
            *found.unwrap_or_else(|| panic!("{}", name.escape_ascii()))
        })
    }

    /// The records of the directory whose record is at `at`.
    pub(crate) fn records(&self, at: usize) -> Vec<usize> {
        let (start, len) = (self.content(at), self.u32(at + LEN.0) as usize);
        let mut records = Vec::new();
        for sector in (start..start + len).step_by(2048) {
            let mut at = sector;
            while at < sector + 2048 && self.bytes[at] != 0 {
                records.push(at);
                at += usize::from(self.bytes[at]);
            }
        }
        records
    }

    /// Where the content is of what has its record at `at`.
    pub(crate) fn content(&self, at: usize) -> usize {
        self.u32(at + EXTENT.0) as usize * 2048
    }

    /// The record of what is at a path of identifiers of the primary tree.
    pub(crate) fn record(&self, path: &[&[u8]]) -> usize {
        self.record_below(PVD, path)
    }

    /// Writes a field of a record.
    pub(crate) fn field(&mut self, record: usize, (at, len): (usize, usize), value: u32) {
        self.both(record + at, len, value);
    }

    /// The first entry of that name in the little-endian and the big-endian path table.
    pub(crate) fn path_entries(&self, name: &[u8]) -> [usize; 2] {
        let size = self.u32(PVD + 132) as usize;
        let big = u32::from_be_bytes(self.bytes[PVD + 148..PVD + 152].try_into().unwrap());
        [self.u32(PVD + 140), big].map(|block| {
            let table = block as usize * 2048;
            let found = self.bytes[table..table + size].windows(name.len()).position(|w| w == name);
            table + found.unwrap() - 8
        })
    }
}

/// UTF-16 of Joliet.
pub(crate) fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// Who makes an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Maker {
    Xorriso,
    Genisoimage,
}

/// An image of [`files`], made with these options.
pub(crate) fn make(maker: Maker, options: &[&str]) -> Vec<u8> {
    make_labeled(maker, options, "nixos-test-x86_64")
}

/// An image of [`files`] with this label.
pub(crate) fn make_labeled(maker: Maker, options: &[&str], label: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("disc.iso");
    let (package, argv): (_, &[&str]) = match maker {
        Maker::Xorriso => ("xorriso", &["xorriso", "-report_about", "SORRY", "-as", "mkisofs"]),
        Maker::Genisoimage => {
            // It knows no letters that UTF-16 has two units for.
            ("genisoimage", &["genisoimage", "-quiet", "-input-charset", "utf-8", "-m", "😀*"])
        }
    };
    let own = ["-V", label, "-o", image.to_str().unwrap()];
    let argv = argv.iter().chain(options).chain(&own).copied();
    let source = folder.path().join("files");
    put_files(&source);
    succeed(package, &argv.chain([source.to_str().unwrap()]).collect::<Vec<_>>());
    fs::read(image).unwrap()
}

/// An image that is made once.
macro_rules! image {
    ($(#[doc = $doc:literal])* $name:ident, $maker:ident, $options:expr) => {
        $(#[doc = $doc])*
        pub(crate) fn $name() -> &'static [u8] {
            static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
            IMAGE.get_or_init(|| make(Maker::$maker, $options))
        }
    };
}

image!(
    /// As nixpkgs makes it, without the directories that are too deep.
    nixos, Xorriso, &["-iso-level", "3", "-full-iso9660-filenames", "-J", "-r", "-m", "1", "-m", "long"]
);
image!(
    /// Rock Ridge, and nothing else.
    rock, Xorriso, &["-r", "-m", "1"]
);
image!(
    /// The tree of ISO 9660, and nothing else.
    plain, Xorriso, &["--norock", "-m", "1"]
);
image!(
    /// All that is too deep for the standard.
    deep, Xorriso, &["-r"]
);
image!(
    /// Names with other letters than the standard has.
    lower, Xorriso, &["--norock", "-allow-lowercase", "-m", "1"]
);
image!(
    /// Names as they are.
    untranslated, Xorriso, &["--norock", "-U", "-m", "1"]
);
image!(
    /// Long names of Joliet.
    joliet_long, Xorriso, &["-r", "-J", "-joliet-long", "-m", "1"]
);
image!(
    /// An enhanced volume descriptor that leads to the primary tree.
    enhanced, Genisoimage, &["-iso-level", "4", "-input-charset", "iso8859-1", "-m", "1", "-m", "Ordner", "-m", "ö*"]
);

/// Who makes the good images, and with which options.
const MATRIX: &[(Maker, &[&str])] = &[
    (Maker::Xorriso, &["-iso-level", "1"]),
    (Maker::Xorriso, &["-iso-level", "2", "--norock", "-omit-version-number"]),
    (Maker::Xorriso, &["-iso-level", "3", "--norock", "-J"]),
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

/// A good image of the matrix.
pub(crate) struct Made {
    pub(crate) options: String,
    pub(crate) has_rock_ridge: bool,
    pub(crate) has_joliet: bool,
    pub(crate) bytes: Vec<u8>,
}

/// All good images.
pub(crate) fn matrix() -> &'static [Made] {
    static MADE: OnceLock<Vec<Made>> = OnceLock::new();
    MADE.get_or_init(|| {
        let made = |(maker, options): &(Maker, &[&str])| Made {
            options: format!("{maker:?} {}", options.join(" ")),
            has_rock_ridge: match maker {
                Maker::Xorriso => !options.contains(&"--norock"),
                Maker::Genisoimage => options.iter().any(|o| o.eq_ignore_ascii_case("-r")),
            },
            has_joliet: options.contains(&"-J"),
            bytes: make(*maker, options),
        };
        MATRIX.iter().map(made).collect()
    })
}
