//! What was sent, as far as the storage cannot be asked for it: parts of objects that are not
//! complete yet, and what was read back already.
//!
//! A file of one JSON object a line beside the folder of the release. A line that a killed run did
//! not finish is no line. It makes the next run shorter, and nothing else: without it, everything
//! is sent and read that has to be.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use image_model::Sha256;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use crate::{Object, PublishError};

/// A file that is longer, in bytes, was not written by us.
const MAX_JOURNAL: u64 = 64 << 20;

/// A line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
enum Record {
    /// An object is sent in parts.
    #[serde(rename_all = "camelCase")]
    Begun { name: String, sha256: Sha256, part_size: u64, upload: String },
    /// A part is there.
    Part { name: String, number: usize, part: Part },
    /// The object is complete, or given up.
    Ended { name: String },
    /// The object was read back, and is what it should be.
    Read { name: String, sha256: Sha256, tag: String },
}

/// A part that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    /// What the storage calls it.
    pub(super) id: String,
    /// SHA-256 of the file from its beginning to the end of this part.
    pub(super) until: Sha256,
}

/// An object that is sent in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Begun {
    /// What the storage calls the upload.
    pub(super) upload: String,
    /// The parts that are there, by number; the first is 0.
    pub(super) parts: BTreeMap<usize, Part>,
    sha256: Sha256,
    part_size: u64,
}

impl Begun {
    /// Whether it is of this object, in parts of this size.
    pub(super) fn is_of(&self, object: &Object, part_size: u64) -> bool {
        self.sha256 == object.sha256 && self.part_size == part_size
    }
}

#[derive(Default)]
struct Known {
    begun: HashMap<String, Begun>,
    read: HashMap<String, (Sha256, String)>,
    file: Option<File>,
}

impl Known {
    fn learn(&mut self, record: Record) {
        match record {
            Record::Begun { name, sha256, part_size, upload } => {
                let parts = BTreeMap::new();
                self.begun.insert(name, Begun { upload, parts, sha256, part_size });
            }
            Record::Part { name, number, part } => {
                if let Some(begun) = self.begun.get_mut(&name) {
                    begun.parts.insert(number, part);
                }
            }
            Record::Ended { name } => {
                self.begun.remove(&name);
            }
            Record::Read { name, sha256, tag } => {
                self.read.insert(name, (sha256, tag));
            }
        }
    }
}

/// What was sent.
#[derive(Default)]
pub(super) struct Journal {
    known: Mutex<Known>,
}

impl Journal {
    /// Of the release in the folder `release`, and of `place`, which is the address of its version
    /// there. [`PublishError`] where another run publishes the same to the same place; the second
    /// value says why it is not kept.
    pub(super) fn open(
        release: &Path,
        place: &str,
    ) -> Result<(Self, Option<io::Error>), PublishError> {
        let whole = fs::canonicalize(release).unwrap_or_else(|_| release.to_owned());
        match Self::read(&path(&whole, place)) {
            Ok(Some(journal)) => Ok((journal, None)),
            Ok(None) => {
                let what = format!("cannot publish {}", release.display());
                let source = format!("another process publishes it to {place} at this time");
                Err(PublishError::place(what, source))
            }
            Err(error) => Ok((Self::default(), Some(error))),
        }
    }

    fn read(path: &Path) -> io::Result<Option<Self>> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut file = File::options().create(true).append(true).read(true).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let mut known = Known::default();
        let len = file.metadata()?.len();
        if len > MAX_JOURNAL {
            file.set_len(0)?;
        } else {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            let text = String::from_utf8_lossy(&bytes);
            text.lines().filter_map(|l| serde_json::from_str(l).ok()).for_each(|r| known.learn(r));
            if !text.is_empty() && !text.ends_with('\n') {
                file.write_all(b"\n")?;
            }
        }
        known.file = Some(file);
        Ok(Some(Self { known: Mutex::new(known) }))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, record: Record) {
        let mut known = self.known();
        if let Some(file) = &mut known.file {
            let mut line = serde_json::to_string(&record).expect("plain data has no odd keys");
            line.push('\n');
            // What cannot be noted is sent again: no reason to stop.
            if file.write_all(line.as_bytes()).is_err() {
                known.file = None;
            }
        }
        known.learn(record);
    }

    /// What was begun under the name of an object.
    pub(super) fn begun(&self, object: &Object) -> Option<Begun> {
        self.known().begun.get(&object.name).cloned()
    }

    /// An object is sent in parts from now on.
    pub(super) fn begin(&self, object: &Object, part_size: u64, upload: &str) -> Begun {
        let (name, sha256, upload) = (object.name.clone(), object.sha256, upload.to_owned());
        let begun = Begun { upload: upload.clone(), parts: BTreeMap::new(), sha256, part_size };
        self.write(Record::Begun { name, sha256, part_size, upload });
        begun
    }

    /// A part is there.
    pub(super) fn sent(&self, object: &Object, number: usize, part: Part) {
        self.write(Record::Part { name: object.name.clone(), number, part });
    }

    /// The object is complete, or given up.
    pub(super) fn end(&self, object: &Object) {
        self.write(Record::Ended { name: object.name.clone() });
    }

    /// The object was read back, and is what it should be; `tag` changes when it does.
    pub(super) fn was_read(&self, object: &Object, tag: &str) {
        let (name, sha256) = (object.name.clone(), object.sha256);
        self.write(Record::Read { name, sha256, tag: tag.to_owned() });
    }

    /// Whether it was, and did not change since. Where there are no tags, nobody can say so.
    pub(super) fn knows(&self, object: &Object, tag: &str) -> bool {
        let known = self.known();
        let read = known.read.get(&object.name);
        let is_same = |(sha256, known): &(Sha256, String)| {
            *sha256 == object.sha256 && known == tag && !tag.is_empty()
        };
        read.is_some_and(is_same)
    }
}

fn path(release: &Path, place: &str) -> PathBuf {
    let digest = Sha256(sha2::Sha256::digest(place).into()).to_string();
    let beside = release.parent().unwrap_or(Path::new("."));
    beside.join(".publish").join(format!("{}.jsonl", &digest[..16]))
}

#[cfg(test)]
mod tests {
    use image_model::FileRole;

    use super::*;

    fn object(name: &str, byte: u8) -> Object {
        Object {
            name: name.to_owned(),
            path: PathBuf::new(),
            role: FileRole::Payload,
            media_type: String::new(),
            size: 0,
            sha256: Sha256([byte; 32]),
            of: None,
        }
    }

    fn open(dir: &Path) -> Journal {
        let (journal, why) = Journal::open(&dir.join("26.05"), "s3://b/26.05").unwrap();
        assert!(why.is_none(), "{why:?}");
        journal
    }

    #[test]
    fn what_was_noted_is_known_to_the_next_run() {
        let dir = tempfile::tempdir().unwrap();
        let (image, other) = (object("image", 1), object("image", 2));
        let part = |id: &str| Part { id: id.to_owned(), until: Sha256([9; 32]) };
        let journal = open(dir.path());
        journal.begin(&image, 8, "upload");
        journal.sent(&image, 0, part("zero"));
        journal.sent(&image, 2, part("two"));
        journal.was_read(&image, "tag");
        drop(journal);
        // Killed in the middle of a line; and a block of the disk that was not written.
        let file = path(&dir.path().join("26.05"), "s3://b/26.05");
        let mut text = fs::read(&file).unwrap();
        text.extend(b"\xff\0\0\n");
        text.extend(br#"{"what":"part","name":"image","num"#);
        fs::write(&file, text).unwrap();

        let journal = open(dir.path());
        let begun = journal.begun(&image).unwrap();
        assert_eq!(begun.upload, "upload");
        assert_eq!(begun.parts, BTreeMap::from([(0, part("zero")), (2, part("two"))]));
        assert!(begun.is_of(&image, 8) && !begun.is_of(&image, 16) && !begun.is_of(&other, 8));
        assert!(journal.knows(&image, "tag") && !journal.knows(&image, "another"));
        assert!(!journal.knows(&other, "tag"));
        journal.was_read(&other, "");
        assert!(!journal.knows(&other, ""), "a storage without tags");
        journal.end(&image);
        drop(journal);
        assert!(open(dir.path()).begun(&image).is_none());
    }

    #[test]
    fn two_runs_do_not_meet() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path());
        let second = Journal::open(&dir.path().join("26.05"), "s3://b/26.05");
        assert!(matches!(second, Err(PublishError::Place { .. })));
        Journal::open(&dir.path().join("26.05"), "s3://another/26.05").unwrap();
        drop(first);
        open(dir.path());
    }
}
