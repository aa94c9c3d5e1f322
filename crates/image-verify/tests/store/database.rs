//! The database of a store, as SQLite makes it.

use std::fs;

use image_formats::nix::{base32, registration};
use rusqlite::{Connection, params};

/// As Nix makes it, but for what keeps it consistent when paths are deleted.
const SCHEMA: &str = "
    create table if not exists ValidPaths (
        id integer primary key autoincrement not null, path text unique not null,
        hash text not null, registrationTime integer not null, deriver text, narSize integer,
        ultimate integer, sigs text, ca text
    );
    create table if not exists Refs (
        referrer integer not null, reference integer not null, primary key (referrer, reference)
    );
    create index if not exists IndexReferrer on Refs(referrer);";

/// The files of a database that registers what a list does, after some changes: `db.sqlite`, and,
/// where these leave one behind, its log.
pub(crate) fn files(list: &str, changes: &str) -> Vec<(&'static str, Vec<u8>)> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db.sqlite");
    let mut database = Connection::open(&path).unwrap();
    database.execute_batch(SCHEMA).unwrap();
    let all = database.transaction().unwrap();
    let infos: Vec<_> = registration::read(list.as_bytes()).map(Result::unwrap).collect();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    for info in &infos {
        let hash = format!("sha256:{}", base32::encode(&info.nar_hash));
        let insert = "insert into ValidPaths (path, hash, registrationTime, narSize)
             values (?, ?, 1, ?)";
        let size = i64::try_from(info.nar_size).unwrap();
        all.execute(insert, params![text(&info.path), hash, size]).unwrap();
    }
    for info in &infos {
        for reference in &info.references {
            let insert = "insert into Refs select a.id, b.id from ValidPaths a, ValidPaths b
                 where a.path = ? and b.path = ?";
            all.execute(insert, [text(&info.path), text(reference)]).unwrap();
        }
    }
    all.commit().unwrap();
    database.execute_batch(changes).unwrap();
    let names = ["db.sqlite", "db.sqlite-wal"];
    // Before it is closed, which writes the log back.
    let files = names.into_iter().filter_map(|name| {
        Some((name, fs::read(dir.path().join(name)).ok()?)).filter(|(_, bytes)| !bytes.is_empty())
    });
    files.collect()
}
