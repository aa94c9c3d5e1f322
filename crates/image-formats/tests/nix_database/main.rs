//! What Nix registers, from databases that SQLite makes, and that somebody has tampered with.

mod hostile;

use std::{fs, path::Path};

use image_formats::nix::{
    base32,
    database::{Database, DatabaseError, Limits, Note, read},
};
use rusqlite::{Connection, params};
use tempfile::TempDir;

/// As Nix 2.34 makes it.
const SCHEMA: &str = "
    create table if not exists ValidPaths (
        id integer primary key autoincrement not null, path text unique not null,
        hash text not null, registrationTime integer not null, deriver text, narSize integer,
        ultimate integer, sigs text, ca text
    );
    create table if not exists Refs (
        referrer integer not null, reference integer not null, primary key (referrer, reference),
        foreign key (referrer) references ValidPaths(id) on delete cascade,
        foreign key (reference) references ValidPaths(id) on delete restrict
    );
    create index if not exists IndexReferrer on Refs(referrer);
    create index if not exists IndexReference on Refs(reference);
    create trigger if not exists DeleteSelfRefs before delete on ValidPaths begin
        delete from Refs where referrer = old.id and reference = old.id;
    end;
    create table if not exists DerivationOutputs (
        drv integer not null, id text not null, path text not null, primary key (drv, id),
        foreign key (drv) references ValidPaths(id) on delete cascade
    );
    create index if not exists IndexDerivationOutputs on DerivationOutputs(path);";

const HASH: &str = "sha256:1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s";

/// A folder with a database.
struct Store {
    dir: TempDir,
    connection: Connection,
}

impl Store {
    fn new() -> Self {
        Self::with(SCHEMA)
    }

    fn with(schema: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let connection = Connection::open(dir.path().join("db.sqlite")).unwrap();
        let store = Self { dir, connection };
        store.run(schema);
        store
    }

    fn run(&self, sql: &str) {
        self.connection.execute_batch(sql).unwrap();
    }

    fn add(&self, name: &str, deriver: Option<&str>, references: &[&str]) {
        let insert = "insert into ValidPaths (path, hash, registrationTime, deriver, narSize)
             values (?, ?, 1, ?, 120)";
        self.connection.execute(insert, params![name, HASH, deriver]).unwrap();
        for reference in references {
            let insert = "insert into Refs select a.id, b.id from ValidPaths a, ValidPaths b
                 where a.path = ? and b.path = ?";
            assert_eq!(self.connection.execute(insert, [name, reference]).unwrap(), 1);
        }
    }

    fn file(&self, suffix: &str) -> Option<Vec<u8>> {
        fs::read(self.dir.path().join(format!("db.sqlite{suffix}"))).ok()
    }

    /// The files as they are now.
    fn files(&self) -> Files {
        Files {
            database: self.file("").unwrap(),
            wal: self.file("-wal"),
            journal: self.file("-journal"),
        }
    }

    /// What we read of them.
    fn read(&self) -> Result<Database, DatabaseError> {
        self.files().read()
    }
}

/// A database, and what was beside it.
#[derive(Clone)]
struct Files {
    database: Vec<u8>,
    wal: Option<Vec<u8>>,
    journal: Option<Vec<u8>>,
}

impl Files {
    fn read(&self) -> Result<Database, DatabaseError> {
        let (wal, journal) = (self.wal.as_deref(), self.journal.as_deref());
        read(self.database.clone(), wal, journal, &Limits::default())
    }

    /// What SQLite reads of a copy: the paths, sorted.
    fn witness(&self) -> rusqlite::Result<Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        let beside = [("-wal", &self.wal), ("-journal", &self.journal)];
        for (suffix, bytes) in beside {
            if let Some(bytes) = bytes {
                fs::write(dir.path().join(format!("db.sqlite{suffix}")), bytes).unwrap();
            }
        }
        let file = dir.path().join("db.sqlite");
        fs::write(&file, &self.database).unwrap();
        paths_in(&file)
    }

    /// The notes, where what we read is what SQLite reads.
    #[track_caller]
    fn agree(&self) -> Vec<String> {
        let found = self.read().unwrap();
        assert_eq!(names(&found), self.witness().unwrap());
        found.notes.iter().map(Note::to_string).collect()
    }
}

fn paths_in(file: &Path) -> rusqlite::Result<Vec<String>> {
    let connection = Connection::open(file)?;
    let sql = "select path from ValidPaths not indexed order by path";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| row.get(0))?;
    rows.collect()
}

fn names(database: &Database) -> Vec<String> {
    let names = database.paths.iter();
    names.map(|info| String::from_utf8(info.path.to_vec()).unwrap()).collect()
}

#[test]
fn what_was_registered_is_read() {
    let store = Store::new();
    store.add("/nix/store/b", Some("/nix/store/b.drv"), &["/nix/store/b"]);
    store.add("/nix/store/a", None, &["/nix/store/b", "/nix/store/a"]);
    store.run(
        "update ValidPaths set ultimate = 1, sigs = 'k:1 l:2', ca = 'text:x',
         path = cast(x'2f6e69782f73746f72652fff' as text) where path = '/nix/store/b'",
    );
    let found = store.read().unwrap();
    assert!(found.notes.is_empty() && found.broken.is_empty());
    let [a, b] = &found.paths[..] else { panic!("{found:?}") };
    assert_eq!(*a.path, *b"/nix/store/a");
    assert_eq!(*b.path, *b"/nix/store/\xff");
    assert_eq!(a.references, [a.path.clone(), b.path.clone()]);
    assert_eq!((a.nar_size, a.ultimate), (120, false));
    assert_eq!((&a.deriver, &a.content_address), (&None, &None));
    assert_eq!(base32::encode(&a.nar_hash), HASH.trim_start_matches("sha256:"));
    assert!(b.ultimate);
    assert_eq!(b.signatures, [b"k:1"[..].into(), b"l:2"[..].into()]);
    assert_eq!(b.content_address.as_deref(), Some(&b"text:x"[..]));
    assert_eq!(b.deriver.as_deref(), Some(&b"/nix/store/b.drv"[..]));
}

/// Before Nix 1.12 there were no signatures, and once no sizes.
#[test]
fn older_schemas_have_fewer_columns() {
    let store = Store::with(
        "create table ValidPaths (id integer primary key autoincrement not null,
            path text unique not null, hash text not null, registrationTime integer not null,
            deriver text);
         create table Refs (referrer integer not null, reference integer not null,
            primary key (referrer, reference));
         insert into ValidPaths values (1, '/nix/store/a',
            'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', 1, null);",
    );
    let found = store.read().unwrap();
    assert_eq!(names(&found), ["/nix/store/a"]);
    assert_eq!((found.paths[0].nar_size, found.paths[0].ultimate), (0, false));
    assert!(found.paths[0].signatures.is_empty());
}

#[test]
fn rows_that_register_nothing_are_told() {
    let store = Store::with(&SCHEMA.replace(" not null", ""));
    store.add("/nix/store/a", None, &[]);
    store.run(
        "pragma foreign_keys = off;
         insert into ValidPaths (path, hash) values ('/nix/store/b', 'md5:1');
         insert into ValidPaths (path, hash) values (null, 'md5:1');
         insert into ValidPaths (path, hash, narSize) select '/nix/store/c', hash, -1
            from ValidPaths where id = 1;
         insert into Refs values (1, 77), (78, 1), (null, 1);",
    );
    let found = store.read().unwrap();
    assert_eq!(names(&found), ["/nix/store/a"]);
    let told: Vec<_> = found.broken.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "ValidPaths, /nix/store/b: no SHA-256 digest",
            "ValidPaths, : no path",
            "ValidPaths, /nix/store/c: a size below zero",
            "Refs, 77: is referred to, and is no path",
            "Refs, 78: refers to others, and is no path",
            "Refs, : no numbers",
        ]
    );
    assert_eq!(found.broken_count, 6);
}

/// A log that Nix has not written back: Nix opens its database in this mode.
#[test]
fn a_write_ahead_log_counts() {
    for page_size in [512, 4096, 65536] {
        let store = Store::with(&format!("pragma page_size = {page_size};"));
        store.run("pragma journal_mode = wal; pragma wal_autocheckpoint = 0;");
        store.run("pragma synchronous = off;");
        store.run(&format!("begin; {SCHEMA} commit;"));
        for number in 0..200 {
            store.add(&format!("/nix/store/{number}"), None, &[]);
        }
        let files = store.files();
        assert_eq!(transactions(&files), 201);
        assert_eq!(files.read().unwrap().paths.len(), 200);
        // It ends in the middle of a transaction.
        let log = files.wal.clone().unwrap();
        let mut cut = files.clone();
        cut.wal = Some(log[..log.len() - 1].to_vec());
        assert_eq!(transactions(&cut), 200);
        assert_eq!(cut.read().unwrap().paths.len(), 199);
        // A byte in the middle is another.
        let mut bad = files.clone();
        bad.wal.as_mut().unwrap()[log.len() / 2] ^= 1;
        bad.agree();
        // Its header is another's.
        let mut other = files.clone();
        other.wal.as_mut().unwrap()[17] ^= 1;
        let (ours, witness) = (other.read().unwrap_err(), other.witness().unwrap_err());
        assert_eq!(ours.to_string(), "there is no table ValidPaths");
        assert!(witness.to_string().contains("no such table: ValidPaths"), "{witness}");
        // Written back, and begun anew: what is behind the new frames does not count.
        store.run("pragma wal_checkpoint(restart);");
        store.add("/nix/store/new", None, &[]);
        let again = store.files();
        assert_eq!(transactions(&again), 1);
        assert_eq!(again.read().unwrap().paths.len(), 201);
        // All of it is in the database.
        store.run("pragma wal_checkpoint(truncate);");
        let whole = store.files();
        assert_eq!(whole.agree(), ["the write-ahead log does not count: it is empty"]);
        assert_eq!(whole.read().unwrap().paths.len(), 201);
    }
}

/// How many are in the log, where what we read is what SQLite reads.
#[track_caller]
fn transactions(files: &Files) -> u32 {
    files.agree();
    match files.read().unwrap().notes[..] {
        [Note::WalApplied { transactions, .. }] => transactions,
        ref notes => panic!("{notes:?}"),
    }
}

/// A log with a transaction that did not end, and one after which the database is shorter.
#[test]
fn what_was_not_committed_does_not_count() {
    let store = Store::new();
    store.run("pragma journal_mode = wal; pragma wal_autocheckpoint = 0; begin;");
    for number in 0..2000 {
        store.add(&format!("/nix/store/{number}"), None, &[]);
    }
    store.run("commit;");
    store.run("pragma wal_checkpoint(truncate); delete from ValidPaths where id > 10; vacuum;");
    let shorter = store.files();
    assert_eq!(transactions(&shorter), 2);
    assert_eq!(shorter.read().unwrap().paths.len(), 10);
    store.run("pragma cache_size = 1; pragma cache_spill = 1; begin;");
    for number in 0..3000 {
        store.add(&format!("/nix/store/uncommitted-{number}"), None, &[]);
    }
    let open = store.files();
    let len = |files: &Files| files.wal.as_ref().unwrap().len();
    assert!(len(&open) > 2 * len(&shorter));
    assert_eq!(transactions(&open), 2);
    assert_eq!(open.read().unwrap().paths.len(), 10);
}

/// A machine stopped in the middle of a transaction.
#[test]
fn a_hot_journal_is_rolled_back() {
    for (page_size, synchronous) in [(512, "full"), (4096, "off"), (8192, "normal")] {
        let store = Store::with(&format!("pragma page_size = {page_size};"));
        store.run(&format!("pragma synchronous = {synchronous}; begin; {SCHEMA}"));
        for number in 0..500 {
            store.add(&format!("/nix/store/{number}"), None, &[]);
        }
        store.run("commit;");
        let before = store.read().unwrap();
        store.run("pragma cache_size = 1; pragma cache_spill = 1; begin;");
        store.run("update ValidPaths set path = path || '-changed' where id > 100;");
        for number in 0..500 {
            store.add(&format!("/nix/store/new-{number}"), None, &[]);
        }
        let files = store.files();
        assert_ne!(files.database.len(), 0);
        let notes = files.agree();
        assert!(notes[0].starts_with("a transaction that did not end was undone: "), "{notes:?}");
        assert!(notes[0] != "a transaction that did not end was undone: 0 pages");
        assert_eq!(names(&files.read().unwrap()), names(&before));
        // The journal ends early, or somewhere has another byte: SQLite stops there.
        let journal = files.journal.clone().unwrap();
        for len in [1, 27, 28, 511, 512, 600, journal.len() / 2, journal.len() - 1] {
            let mut cut = files.clone();
            cut.journal = Some(journal[..len].to_vec());
            same(&cut, &format!("{len} bytes"));
        }
        for at in [0, 7, 8, 11, 12, 19, 20, 22, 24, 26, 513, journal.len() / 3] {
            let mut bad = files.clone();
            bad.journal.as_mut().unwrap()[at] ^= 1;
            same(&bad, &format!("byte {at}"));
        }
        // Who ended the transaction has one of these ways to say so.
        store.run("rollback;");
        for (mode, note) in [
            ("truncate", Some("the rollback journal does not count: it is empty")),
            ("persist", Some("the rollback journal does not count: it starts with zero")),
            ("delete", None),
        ] {
            store.run(&format!("pragma journal_mode = {mode};"));
            store.add(&format!("/nix/store/{mode}"), None, &[]);
            assert_eq!(store.files().agree(), note.into_iter().collect::<Vec<_>>());
        }
    }
}

/// What SQLite reads is what we read, or neither of us can.
#[track_caller]
fn same(files: &Files, what: &str) {
    match (files.read(), files.witness()) {
        (Ok(found), Ok(witness)) => {
            // A database that was put together of two states may have numbers twice.
            let mut names = names(&found);
            let twice = found.broken.iter().filter(|row| row.table == "ValidPaths");
            names.extend(twice.map(|row| String::from_utf8(row.of.to_vec()).unwrap()));
            names.sort();
            assert!(names == witness, "{what}: {:?} {:?}", found.notes, found.broken);
        }
        (Err(_), Err(_)) => {}
        (Err(ours), Ok(witness)) => panic!("{what}: {ours:?}, and SQLite: {}", witness.len()),
        (Ok(ours), Err(witness)) => panic!("{what}: {:?}, and SQLite: {witness:?}", ours.notes),
    }
}
