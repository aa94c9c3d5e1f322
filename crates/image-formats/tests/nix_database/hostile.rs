//! Databases that somebody made to keep the reader busy, to fill memory, or to be believed.

use std::{error::Error as _, time::Instant};

use image_formats::{
    nix::database::{DatabaseError, Limits, read},
    sqlite::schema::SchemaError,
};
use proptest::prelude::*;
use rusqlite::{Connection, params};

use super::{HASH, SCHEMA, Store};

const PAGE: usize = 4096;

/// The error as a line, with its causes.
fn told(error: &DatabaseError) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}

/// What is said of a database with this schema.
#[track_caller]
fn refused(schema: &str) -> String {
    let store = Store::with(schema);
    let start = Instant::now();
    let error = store.read().unwrap_err();
    assert!(start.elapsed().as_secs() < 120);
    told(&error)
}

/// A view runs whatever it likes, and a virtual table code of its own.
#[test]
fn only_plain_tables_are_read() {
    let refs = "create table Refs (referrer, reference);";
    let endless = "create view ValidPaths as with recursive n(id) as
        (select 1 union all select id + 1 from n) select id, 'x' as path, 'y' as hash from n;";
    assert_eq!(refused(&format!("{endless} {refs}")), "ValidPaths is no plain table");
    let text = "create virtual table ValidPaths using fts5(id, path, hash);";
    assert_eq!(refused(&format!("{text} {refs}")), "ValidPaths is no plain table");
    let lie = "create view Refs as select 1 as referrer, 1 as reference;
        pragma writable_schema = on; update sqlite_schema set type = 'table' where name = 'Refs';";
    let plain = SCHEMA.split("create table if not exists Refs").next().unwrap();
    assert_eq!(refused(&format!("{plain} {lie}")), "Refs is no plain table");
    let lie = "pragma writable_schema = on; create view x as select 1 as referrer, 1 as reference;
        update sqlite_schema set type = 'table', name = 'Refs', tbl_name = 'Refs',
            sql = replace(sql, 'CREATE VIEW x', 'CREATE TABLE Refs') where name = 'x';";
    let told = refused(&format!("{plain} {lie}"));
    assert!(told.starts_with("SQLite cannot read ValidPaths: malformed database schema"), "{told}");
}

/// Columns that are computed when somebody reads them.
#[test]
fn nothing_is_computed() {
    for kind in ["virtual", "stored"] {
        let columns = format!("id, hash, path text as (length(hex(zeroblob(1000)))) {kind}");
        let told = refused(&format!(
            "create table ValidPaths ({columns}); create table Refs (referrer, reference);
             insert into ValidPaths (id) values (1);"
        ));
        assert_eq!(told, "ValidPaths is no plain table");
    }
}

#[test]
fn tables_and_columns_that_lack_are_told() {
    assert_eq!(refused(""), "no SQLite database");
    assert_eq!(refused("create table x (y);"), "there is no table ValidPaths");
    let valid = "create table ValidPaths (id, path, hash);";
    assert_eq!(refused(valid), "there is no table Refs");
    assert_eq!(
        refused("create table ValidPaths (id, path); create table Refs (referrer, reference);"),
        "the table ValidPaths has no column hash"
    );
    assert_eq!(
        refused(&format!("{valid} create table Refs (referrer, references_);")),
        "the table Refs has no column reference"
    );
}

/// SQLite compiles all of a schema, and reads what `ANALYZE` wrote.
#[test]
fn a_schema_has_bounds() {
    let tables = |count: u32| {
        (0..count).map(|number| format!("create table t{number} (x);")).collect::<String>()
    };
    Store::with(&format!("begin; {SCHEMA} {} commit;", tables(200))).read().unwrap();
    let many = format!("begin; {SCHEMA} {} commit;", tables(300));
    assert_eq!(refused(&many), "the schema cannot be read: it has more than 256 rows");
    let long = format!("{SCHEMA} create table long (x default '{}');", "x".repeat(300 << 10));
    assert_eq!(refused(&long), "the schema cannot be read: it has more than 256 KiB");
    // Rows that continue on other pages.
    let long = format!("{SCHEMA} create table long (x default '{}');", "x".repeat(100 << 10));
    Store::with(&long).read().unwrap();
    let utf_16 = format!("pragma encoding = 'UTF-16'; {SCHEMA}");
    assert_eq!(refused(&utf_16), "the schema cannot be read: its texts are UTF-16");
    assert_eq!(
        refused(&format!("{SCHEMA} insert into ValidPaths values (1,'','',1,1,1,1,1,1); analyze;")),
        "there is a table sqlite_stat1, which Nix does not make and SQLite would read"
    );
}

/// Interior pages that lead to themselves: read without a bound, they have no end.
#[test]
fn trees_without_an_end_are_left() {
    let store = Store::new();
    store.run("begin;");
    for number in 0..4000 {
        store.add(&format!("/nix/store/{number}-{}", "x".repeat(60)), None, &[]);
    }
    store.run("commit;");
    let good = store.file("").unwrap();
    let root = |table: &str| {
        let sql = "select rootpage from sqlite_schema where name = ?";
        store.connection.query_row(sql, [table], |row| row.get::<_, u32>(0)).unwrap() as usize
    };
    let root = root("ValidPaths");
    let page = &good[(root - 1) * PAGE..root * PAGE];
    assert_eq!(page[0], 5, "an interior page");
    let cells = usize::from(u16::from_be_bytes([page[3], page[4]]));
    assert!(cells > 2);
    let cell = |cell: usize| {
        let at = 12 + 2 * cell;
        usize::from(u16::from_be_bytes([page[at], page[at + 1]]))
    };
    let child = |cell_at: usize| u32::from_be_bytes(page[cell_at..cell_at + 4].try_into().unwrap());
    for (what, target) in [("itself", u32::try_from(root).unwrap()), ("one leaf", child(cell(0)))] {
        let mut bad = good.clone();
        for place in (1..cells).map(cell).chain([8]) {
            let place = (root - 1) * PAGE + place;
            bad[place..place + 4].copy_from_slice(&target.to_be_bytes());
        }
        let start = Instant::now();
        let found = read(bad, None, None, &Limits::default());
        assert!(start.elapsed().as_secs() < 120, "{what}");
        match found {
            Err(error) => {
                let told = told(&error);
                assert!(
                    told == "the table ValidPaths contains more than the database can hold"
                        || told.starts_with("SQLite cannot read ValidPaths: "),
                    "{what}: {told}"
                );
            }
            Ok(found) => assert!(found.broken_count > 0, "{what}"),
        }
    }
    // The schema itself: nobody reads it before its pages are known.
    let mut bad = good;
    bad[100] = 5;
    bad[103..105].copy_from_slice(&0_u16.to_be_bytes());
    bad[108..112].copy_from_slice(&1_u32.to_be_bytes());
    let error = read(bad, None, None, &Limits::default()).unwrap_err();
    let page = SchemaError::Page { page: 1, what: "it is there twice" };
    assert!(matches!(error, DatabaseError::Schema(cause) if cause == page), "{error}");
}

/// Rows that lie about their length continue on pages that others use.
#[test]
fn what_is_kept_has_a_bound() {
    let store = Store::new();
    let long = format!("/nix/store/{}", "x".repeat(4000));
    store.run("begin;");
    let insert = "insert into ValidPaths (id, path, hash, registrationTime) values (?, ?, ?, 1)";
    for id in 1..300 {
        let path = format!("{long}{id}");
        store.connection.execute(insert, params![id, path, HASH]).unwrap();
    }
    store.run("insert into Refs select a.id, b.id from ValidPaths a, ValidPaths b; commit;");
    let database = store.file("").unwrap();
    // A file of some MiB names 90,000 paths of 4,000 bytes: 360 MB.
    assert!(database.len() < 8 << 20);
    let error = read(database.clone(), None, None, &Limits::default()).unwrap_err();
    assert_eq!(error.to_string(), "what is registered has more than 134217728 bytes");
    let limits = Limits { database: 1 << 20, ..Limits::default() };
    let len = database.len();
    let error = read(database, None, None, &limits).unwrap_err();
    assert_eq!(error.to_string(), format!("{len} bytes, more than the limit of 1048576"));
}

/// A small database with a log and a journal, to be edited.
fn parts() -> [Vec<u8>; 3] {
    let store = Store::with("pragma page_size = 512; pragma journal_mode = wal;");
    store.run(SCHEMA);
    for number in 0..40 {
        store.add(&format!("/nix/store/{number}"), None, &[]);
    }
    let (database, wal) = (store.file("").unwrap(), store.file("-wal").unwrap());
    let hot = Store::with("pragma page_size = 512; pragma cache_size = 1;");
    hot.run(SCHEMA);
    hot.add("/nix/store/a", None, &[]);
    hot.run("begin;");
    for number in 0..200 {
        hot.add(&format!("/nix/store/{number}"), None, &[]);
    }
    [database, wal, hot.file("-journal").unwrap()]
}

/// All of what was committed is in the database itself.
fn written_back() -> Vec<u8> {
    let store = Store::with(&format!("pragma page_size = 512; {SCHEMA}"));
    for number in 0..200 {
        let path = format!("/nix/store/{number}");
        store.add(&path, None, &[&path, "/nix/store/0"][..if number == 0 { 1 } else { 2 }]);
    }
    store.file("").unwrap()
}

#[test]
fn edits_are_survived() {
    let (parts, whole) = (parts(), written_back());
    let limits = Limits { database: 8 << 20, ..Limits::default() };
    let edits = || proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12);
    let edited = |bytes: &[u8], edits: &[(prop::sample::Index, u8)]| {
        let mut bytes = bytes.to_vec();
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        bytes
    };
    let strategy = (edits(), edits(), edits(), any::<bool>());
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&strategy, |(one, two, three, journal)| {
            let [database, wal, hot] = &parts;
            let wal = edited(wal, &two);
            let hot = edited(hot, &three);
            let start = Instant::now();
            let _ = read(edited(&whole, &one), None, None, &limits);
            let hot = journal.then_some(&hot[..]);
            let _ = read(edited(database, &one), Some(&wal), hot, &limits);
            prop_assert!(start.elapsed().as_secs() < 120);
            Ok(())
        })
        .unwrap();
}

/// Who was there first is not harmed: other databases of this process still have views.
#[test]
fn other_databases_are_left_alone() {
    Store::new().read().unwrap();
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch("create view v as select hex('a') as x; select x from v;").unwrap();
}
