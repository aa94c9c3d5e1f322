//! Good images, made by xorriso and genisoimage of the same files, and edits of them.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output},
    sync::OnceLock,
};

use image_formats::{
    bytes::Region,
    iso9660::{Record, Records},
    susp::{Budget, Entry, Name, SystemUse},
};

/// Runs a tool of a Debian package, for a minute at most.
pub(crate) fn run<T: AsRef<OsStr>>(package: &str, argv: &[T]) -> Output {
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
        .env("SOURCE_DATE_EPOCH", "946730096")
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output();
    output.unwrap_or_else(|e| panic!("{}: {e}", program.display()))
}

/// The same, and what it prints; it has to succeed.
pub(crate) fn succeed<T: AsRef<OsStr>>(package: &str, argv: &[T]) -> String {
    let Output { status, stdout, stderr } = run(package, argv);
    let argv: Vec<_> = argv.iter().map(|arg| arg.as_ref().to_string_lossy()).collect();
    assert!(status.success(), "{}: {}", argv.join(" "), String::from_utf8_lossy(&stderr));
    String::from_utf8_lossy(&stdout).into_owned()
}

/// A name that leaves no room in a directory record for all that Rock Ridge says.
pub(crate) fn long_name() -> String {
    format!("{}.txt", "n".repeat(246))
}

/// The target of the symlink `long`, which needs three entries.
pub(crate) fn long_target() -> String {
    format!("../{}/./{}/x", "l".repeat(250), "m".repeat(200))
}

/// The directories down to the file that is too deep for ISO 9660.
pub(crate) const DEEP: &str = "1/2/3/4/5/6/7/8/9/10";

/// Fills a folder with what Rock Ridge has words for, but devices.
fn fill(folder: &Path) {
    let write = |name: &str, len: usize| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let bytes: Vec<_> = (0..len).map(|at| (at * 7 + at / 251) as u8).collect();
        fs::write(path, bytes).unwrap();
    };
    write("file-a.txt", 100);
    write("file-b.txt", 200);
    // Twins write more entries here.
    write("room", 16384);
    write(&format!("names/{}", long_name()), 10);
    write("names/öüé", 11);
    write(&format!("{DEEP}/deep"), 12);
    symlink("../names/./öüé", folder.join("names/link")).unwrap();
    symlink("/names", folder.join("absolute")).unwrap();
    symlink(long_target(), folder.join("long")).unwrap();
    fs::hard_link(folder.join("file-a.txt"), folder.join("same")).unwrap();
}

/// An image of these files, made by a program with these options, which stand around the name of
/// the image.
fn make(before: &str, after: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    fill(&folder.path().join("files"));
    let image = folder.path().join("disc.iso");
    let script = format!(
        "cd {}; mknod files/null c 1 3; mknod files/disk b 8 1; mkfifo files/fifo; \
         {before} {} {after}",
        folder.path().display(),
        image.display(),
    );
    for package in ["xorriso", "genisoimage"] {
        succeed(package, &[package, "--version"]);
    }
    succeed("fakeroot", &["fakeroot", "sh", "-e", "-c", &script]);
    fs::read(image).unwrap()
}

/// By xorriso, which keeps what is too deep where it is.
pub(crate) fn xorriso() -> &'static [u8] {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    IMAGE.get_or_init(|| make("xorriso -report_about SORRY -as mkisofs -r -o", "files"))
}

/// By xorriso, with directories that are elsewhere.
pub(crate) fn relocated() -> &'static [u8] {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    IMAGE.get_or_init(|| {
        make("xorriso -report_about SORRY -as mkisofs -R -rr_reloc_dir /moved -o", "files")
    })
}

/// By xorriso, as the last version of Rock Ridge has it: with serial numbers.
pub(crate) fn newest() -> &'static [u8] {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let before = "xorriso -report_about SORRY -compliance new_rr -outdev";
        make(before, "-map files / -commit")
    })
}

/// By genisoimage, with Joliet.
pub(crate) fn genisoimage() -> &'static [u8] {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    IMAGE.get_or_init(|| {
        // It writes targets that need two areas wrong.
        make("rm files/long && genisoimage -quiet -R -J -input-charset utf-8 -o", "files")
    })
}

const SECTOR: usize = 2048;

/// An edit of a good image.
pub(crate) struct Edit {
    pub(crate) bytes: Vec<u8>,
}

/// A directory record: where it is, its length, where its system use area is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) at: usize,
    pub(crate) len: usize,
    extent: usize,
    size: usize,
    area: usize,
}

/// A number in both byte orders.
pub(crate) fn both(number: usize) -> Vec<u8> {
    let number = number as u32;
    [number.to_le_bytes(), number.to_be_bytes()].concat()
}

/// An entry.
pub(crate) fn entry(signature: &str, body: &[u8]) -> Vec<u8> {
    let len = u8::try_from(body.len() + 4).unwrap();
    [signature.as_bytes(), &[len, 1], body].concat()
}

/// A `CE`.
pub(crate) fn ce(block: usize, offset: usize, len: usize) -> Vec<u8> {
    entry("CE", &[both(block), both(offset), both(len)].concat())
}

impl Edit {
    pub(crate) fn new(image: &[u8]) -> Self {
        Self { bytes: image.to_vec() }
    }

    pub(crate) fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..][..bytes.len()].copy_from_slice(bytes);
    }

    fn number(&self, at: usize) -> usize {
        u32::from_le_bytes(self.bytes[at..][..4].try_into().unwrap()) as usize
    }

    /// The records of a directory.
    fn records(&self, extent: usize, size: usize) -> Vec<Place> {
        let place = |record: Record<'_>| Place {
            at: record.offset as usize,
            len: record.raw.len.into(),
            extent: record.raw.extent.get() as usize,
            size: record.raw.data_len.get() as usize,
            area: record.system_use_offset as usize,
        };
        let sectors = self.bytes[extent * SECTOR..][..size].chunks(SECTOR).enumerate();
        let records = sectors.flat_map(|(number, sector)| {
            Records::new(sector, ((extent + number) * SECTOR) as u64).map(Result::unwrap).map(place)
        });
        records.collect()
    }

    fn system_use(&self, place: Place) -> SystemUse {
        let volume = Region::from(self.bytes.clone());
        let area = &self.bytes[place.area..place.at + place.len];
        SystemUse::read(&volume, 2048, area, place.area as u64, &mut Budget::new(&volume)).unwrap()
    }

    /// The record of a file. A last name of `.` or `..` is that of the record in the directory.
    pub(crate) fn record(&self, path: &str) -> Place {
        let root = self.number(16 * SECTOR + 156 + 2);
        let (mut extent, mut size) = (root, self.number(16 * SECTOR + 156 + 10));
        let mut found = None;
        for name in path.split('/') {
            let records = self.records(extent, size);
            let place = match name {
                "." => records[0],
                ".." => records[1],
                name => *records[2..]
                    .iter()
                    .find(|place| {
                        let mut text = Name::default();
                        self.system_use(**place).entries().for_each(|e| text.piece(&e, |_| ()));
                        text.text == name.as_bytes()
                    })
                    .unwrap_or_else(|| panic!("no {name} of {path}")),
            };
            (extent, size) = (place.extent, place.size);
            found = Some(place);
        }
        found.unwrap()
    }

    /// The entries of a record: where they are, and all their bytes.
    pub(crate) fn entries(&self, path: &str) -> Vec<(usize, Vec<u8>)> {
        let read = self.system_use(self.record(path));
        let of =
            |e: Entry<'_>| (e.at.0 as usize, self.bytes[e.at.0 as usize..][..e.len()].to_vec());
        read.entries().map(of).collect()
    }

    /// Where the first entry of a record is that has this signature.
    pub(crate) fn find(&self, path: &str, signature: &str) -> usize {
        let entries = self.entries(path);
        let found = entries.iter().find(|(_, bytes)| bytes.starts_with(signature.as_bytes()));
        found.unwrap_or_else(|| panic!("no {signature} in {path}")).0
    }

    /// Puts bytes into an entry.
    pub(crate) fn put_in(&mut self, path: &str, signature: &str, offset: usize, bytes: &[u8]) {
        let at = self.find(path, signature);
        self.put(at + offset, bytes);
    }

    /// The block of a file.
    pub(crate) fn extent(&self, path: &str) -> usize {
        self.record(path).extent
    }

    /// Makes an entry one that nobody knows.
    pub(crate) fn forget(&mut self, path: &str, signature: &str) {
        self.put_in(path, signature, 0, b"__");
    }

    /// Replaces an entry by others, and fills what is left of it.
    pub(crate) fn replace(&mut self, path: &str, signature: &str, others: &[u8]) {
        let at = self.find(path, signature);
        let left = usize::from(self.bytes[at + 2]).checked_sub(others.len()).unwrap();
        self.put(at, others);
        if left > 0 {
            self.put(at + others.len(), &entry("PD", &vec![0; left - 4]));
        }
    }

    /// Lets a record of a file go on in the content of `room`, at this byte of it, where these
    /// entries are. That what is replaced, its `PX`, is not lost: it follows them.
    pub(crate) fn go_on(&mut self, path: &str, at: usize, entries: &[u8]) {
        let (_, px) =
            self.entries(path).into_iter().find(|(_, bytes)| bytes.starts_with(b"PX")).unwrap();
        let block = self.extent("room") + at / SECTOR;
        let area = [entries, &px].concat();
        self.replace(path, "PX", &ce(block, at % SECTOR, area.len()));
        self.put(block * SECTOR + at % SECTOR, &area);
    }
}
