//! The database of Nix, `/nix/var/nix/db/db.sqlite`: what it registered. Nix,
//! `src/libstore/schema.sql` and `local-store.cc`.
//!
//! SQLite reads it, from a copy in memory. It is a language as well as a format, and the bytes are
//! an image's: so only plain tables are read, no function is called, and work and memory have
//! bounds that are not from the image.

use std::{collections::BTreeMap, fmt};

use rusqlite::{
    Connection, ErrorCode, MAIN_DB, OpenFlags, Row,
    config::DbConfig,
    hooks::{AuthAction, AuthContext, Authorization},
    limits::Limit,
    types::ValueRef,
};

use super::registration::{self, PathInfo};
use crate::sqlite::{self, journal, schema, wal};

/// What a database may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the database, with what its log adds.
    pub database: usize,
    /// Bytes of what is read from it. References count as whole paths.
    pub registered: usize,
}

impl Default for Limits {
    /// A closure of 5,000 paths has a database of 5 MiB.
    fn default() -> Self {
        Self { database: 64 << 20, registered: 128 << 20 }
    }
}

/// What Nix registered.
#[derive(Clone, Debug)]
pub struct Database {
    /// The paths, sorted.
    pub paths: Vec<PathInfo>,
    /// What was done before the database was read, in this order.
    pub notes: Vec<Note>,
    /// Rows that register nothing, at most [`MAX_BROKEN`](Self::MAX_BROKEN) of them.
    pub broken: Vec<Broken>,
    /// How many rows register nothing.
    pub broken_count: usize,
}

impl Database {
    /// How many rows that register nothing are told one by one.
    pub const MAX_BROKEN: usize = 64;
}

/// What was done before the database was read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// A transaction that did not end was undone, as SQLite does: so many pages.
    RolledBack {
        /// Pages that were written back.
        pages: u32,
    },
    /// The rollback journal does not count.
    JournalUnused(journal::Cold),
    /// What was committed and not written back yet was taken from the write-ahead log.
    WalApplied {
        /// Transactions that were committed.
        transactions: u32,
        /// Pages that they wrote.
        frames: u32,
        /// Pages that a transaction wrote that was not committed.
        uncommitted: u32,
    },
    /// The write-ahead log does not count.
    WalUnused(wal::Unused),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RolledBack { pages } => {
                write!(f, "a transaction that did not end was undone: {pages} pages")
            }
            Self::JournalUnused(cold) => write!(f, "the rollback journal does not count: {cold}"),
            Self::WalApplied { transactions, frames, uncommitted } => {
                write!(f, "{transactions} transactions, {frames} pages, are in the log only")?;
                if *uncommitted > 0 {
                    write!(f, "; {uncommitted} more pages were not committed")?;
                }
                Ok(())
            }
            Self::WalUnused(unused) => write!(f, "the write-ahead log does not count: {unused}"),
        }
    }
}

/// A row that registers nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The table.
    pub table: &'static str,
    /// The path, or the number of a row.
    pub of: Box<[u8]>,
    /// What is wrong.
    pub what: &'static str,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}: {}", self.table, self.of.escape_ascii(), self.what)
    }
}

/// Why a database cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// It is larger than was allowed.
    #[error("{len} bytes, more than the limit of {limit}")]
    TooLarge {
        /// Its bytes.
        len: usize,
        /// What is allowed.
        limit: usize,
    },
    /// It is no database.
    #[error("no SQLite database")]
    NotOne,
    /// A transaction did not end, and cannot be undone.
    #[error("the rollback journal is hot, and cannot be used")]
    Journal(#[source] journal::JournalError),
    /// The log cannot be applied.
    #[error("the write-ahead log cannot be used")]
    Wal(#[source] wal::WalError),
    /// What tables there are cannot be read.
    #[error("the schema cannot be read")]
    Schema(#[source] schema::SchemaError),
    /// A table is not there.
    #[error("there is no table {0}")]
    NoTable(&'static str),
    /// What should be a table is a view or the like, which nobody has to believe.
    #[error("{0} is no plain table")]
    NotPlain(&'static str),
    /// A table has no such column.
    #[error("the table {table} has no column {column}")]
    NoColumn {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// Tables that SQLite reads whether it is asked or not.
    #[error("there is a table {0}, which Nix does not make and SQLite would read")]
    Unexpected(String),
    /// It contains more than it can hold: pages are used twice.
    #[error("the table {0} contains more than the database can hold")]
    Contradicts(&'static str),
    /// What is registered needs more memory than was allowed.
    #[error("what is registered has more than {limit} bytes")]
    TooMuch {
        /// What is allowed.
        limit: usize,
    },
    /// SQLite cannot read it.
    #[error("SQLite cannot read {0}")]
    Sqlite(&'static str, #[source] rusqlite::Error),
}

/// Reads a database with the files that were beside it: `db.sqlite-wal` and `db.sqlite-journal`.
pub fn read(
    mut database: Vec<u8>,
    wal: Option<&[u8]>,
    journal: Option<&[u8]>,
    limits: &Limits,
) -> Result<Database, DatabaseError> {
    if database.len() > limits.database {
        return Err(DatabaseError::TooLarge { len: database.len(), limit: limits.database });
    }
    let notes = recover(&mut database, wal, journal, limits)?;
    if sqlite::page_size(&database).is_none() {
        return Err(DatabaseError::NotOne);
    }
    sqlite::forget_wal(&mut database);
    check_schema(&database)?;
    let mut reader = Reader {
        held: database.len(),
        left: limits.registered,
        limits: *limits,
        broken: Vec::new(),
        broken_count: 0,
    };
    let connection = open(&database)?;
    drop(database);
    let mut found = reader.paths(&connection)?;
    reader.references(&connection, &mut found)?;
    let mut paths: Vec<_> = found.into_values().collect();
    for info in &mut paths {
        info.references.sort_unstable();
        info.references.dedup();
    }
    paths.sort_by(|a, b| a.path.cmp(&b.path));
    let Reader { broken, broken_count, .. } = reader;
    Ok(Database { paths, notes, broken, broken_count })
}

/// Brings the database into the state that SQLite would read.
fn recover(
    database: &mut Vec<u8>,
    wal: Option<&[u8]>,
    journal: Option<&[u8]>,
    limits: &Limits,
) -> Result<Vec<Note>, DatabaseError> {
    let mut notes = Vec::new();
    if let Some(journal) = journal {
        let rolled_back = journal::roll_back(database, journal, limits.database);
        notes.push(match rolled_back.map_err(DatabaseError::Journal)? {
            Ok(journal::RolledBack { pages }) => Note::RolledBack { pages },
            Err(cold) => Note::JournalUnused(cold),
        });
    }
    if let Some(log) = wal.filter(|_| !database.is_empty()) {
        notes.push(match wal::read(log).map_err(DatabaseError::Wal)? {
            Ok(wal) => {
                wal.apply(database, limits.database).map_err(DatabaseError::Wal)?;
                let wal::Wal { transactions, frames, uncommitted, .. } = wal;
                Note::WalApplied { transactions, frames, uncommitted }
            }
            Err(unused) => Note::WalUnused(unused),
        });
    }
    Ok(notes)
}

/// The table of paths.
const PATHS: &str = "ValidPaths";
/// The table of references.
const REFERENCES: &str = "Refs";

/// True if the two tables are there, and plain. SQLite refuses a schema in which a row is called
/// otherwise than its statement says.
fn check_schema(database: &[u8]) -> Result<(), DatabaseError> {
    let entries = schema::read(database).map_err(DatabaseError::Schema)?;
    let of =
        |name: &str| entries.iter().find(|entry| entry.name.eq_ignore_ascii_case(name.as_bytes()));
    for name in ["sqlite_stat1", "sqlite_stat3", "sqlite_stat4"] {
        if of(name).is_some() {
            return Err(DatabaseError::Unexpected(name.to_owned()));
        }
    }
    for name in [PATHS, REFERENCES] {
        let entry = of(name).ok_or(DatabaseError::NoTable(name))?;
        let plain = entry.kind == b"table" && entry.sql.starts_with(b"CREATE TABLE ");
        if !plain {
            return Err(DatabaseError::NotPlain(name));
        }
    }
    Ok(())
}

/// Linux's `PATH_MAX`.
const MAX_PATH: usize = 4096;
/// The longest value, and the longest row: thousands of signatures fit.
const MAX_ROW: i32 = 1 << 20;
/// A table of Nix has nine columns.
const MAX_COLUMNS: i32 = 64;
/// Bytes of a row that has no values.
const EMPTY_ROW: usize = 4;
/// After so many steps, SQLite asks whether it may go on.
const STEPS: i32 = 1000;

/// Opens a copy of the database for its two tables.
fn open(database: &[u8]) -> Result<Connection, DatabaseError> {
    let mut connection = connect(database).map_err(|e| DatabaseError::Sqlite("the database", e))?;
    for table in [PATHS, REFERENCES] {
        let computes = computes(&connection, table).map_err(|e| failed(table, e))?;
        if computes {
            return Err(DatabaseError::NotPlain(table));
        }
    }
    let authorizer = |context: AuthContext<'_>| authorize(&context);
    let set = connection.authorizer(Some(authorizer));
    set.map_err(|e| DatabaseError::Sqlite("the database", e))?;
    Ok(connection)
}

/// What SQLite says of a table. It goes on no longer where there is more than there can be.
fn failed(table: &'static str, error: rusqlite::Error) -> DatabaseError {
    match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => DatabaseError::Contradicts(table),
        _ => DatabaseError::Sqlite(table, error),
    }
}

/// True if a column is computed when it is read: functions run for it, as long as they like.
fn computes(connection: &Connection, table: &str) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare(&format!("PRAGMA main.table_xinfo({table})"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if row.get_ref("hidden")? != ValueRef::Integer(0) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Opens a copy of the database, in which as little as possible is allowed.
fn connect(database: &[u8]) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_in_memory_with_flags(flags)?;
    for (limit, value) in [
        (Limit::SQLITE_LIMIT_LENGTH, MAX_ROW),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, MAX_ROW),
        (Limit::SQLITE_LIMIT_COLUMN, MAX_COLUMNS),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, 64),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 4),
        (Limit::SQLITE_LIMIT_VDBE_OP, 10_000),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 1),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    ] {
        connection.set_limit(limit, value)?;
    }
    connection.deserialize_read_exact(MAIN_DB, database, database.len(), true)?;
    for (config, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
    ] {
        connection.set_db_config(config, on)?;
    }
    connection.execute_batch("PRAGMA query_only=ON; PRAGMA cell_size_check=ON;")?;
    // A row has four steps, and more bytes.
    let mut left = database.len().saturating_add(1 << 20) / 1000;
    let stop = move || {
        left = left.saturating_sub(1);
        left == 0
    };
    connection.progress_handler(STEPS, Some(stop))?;
    Ok(connection)
}

/// Only the two tables are read: no view, no function, nothing else.
fn authorize(context: &AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Select => Authorization::Allow,
        AuthAction::Read { table_name, .. }
            if [PATHS, REFERENCES].iter().any(|name| table_name.eq_ignore_ascii_case(name)) =>
        {
            Authorization::Allow
        }
        _ => Authorization::Deny,
    }
}

/// What is read, and what may still be.
struct Reader {
    /// Bytes that rows may still have: those of the database, of which none is used twice.
    held: usize,
    /// Bytes that may still be kept.
    left: usize,
    limits: Limits,
    broken: Vec<Broken>,
    broken_count: usize,
}

impl Reader {
    /// The paths, by the number of their row.
    fn paths(&mut self, from: &Connection) -> Result<BTreeMap<i64, PathInfo>, DatabaseError> {
        let mut paths = BTreeMap::new();
        let columns = ["id", "path", "hash"];
        self.each_row(from, PATHS, &columns, |reader, row| {
            let info = path_info(row);
            match (row.integer("id"), info) {
                (Some(id), Ok(info)) => {
                    reader.keep(size(&info))?;
                    if let Some(other) = paths.insert(id, info) {
                        reader.tell(PATHS, &other.path, "another path has its number");
                    }
                }
                (None, _) => reader.tell(PATHS, row.short("path"), "no number"),
                (_, Err(what)) => reader.tell(PATHS, row.short("path"), what),
            }
            Ok(())
        })?;
        Ok(paths)
    }

    /// Adds the references.
    fn references(
        &mut self,
        from: &Connection,
        paths: &mut BTreeMap<i64, PathInfo>,
    ) -> Result<(), DatabaseError> {
        let columns = ["referrer", "reference"];
        self.each_row(from, REFERENCES, &columns, |reader, row| {
            let numbers = (row.integer("referrer"), row.integer("reference"));
            let (Some(referrer), Some(reference)) = numbers else {
                reader.tell(REFERENCES, b"", "no numbers");
                return Ok(());
            };
            let target = paths.get(&reference).map(|info| info.path.clone());
            let known = paths.get_mut(&referrer);
            let (number, what) = match (known, target) {
                (Some(info), Some(target)) => {
                    reader.keep(target.len())?;
                    info.references.push(target);
                    return Ok(());
                }
                (None, _) => (referrer, "refers to others, and is no path"),
                (_, None) => (reference, "is referred to, and is no path"),
            };
            reader.tell(REFERENCES, number.to_string().as_bytes(), what);
            Ok(())
        })
    }

    /// Calls `each` with every row of a table, which has these columns and perhaps more.
    fn each_row(
        &mut self,
        connection: &Connection,
        table: &'static str,
        columns: &[&'static str],
        mut each: impl FnMut(&mut Self, &Values<'_>) -> Result<(), DatabaseError>,
    ) -> Result<(), DatabaseError> {
        let failed = |error| failed(table, error);
        // All columns: what lies between two that are asked for is read anyhow, and is counted.
        // No index: it might say something else than the table.
        let sql = format!("SELECT * FROM main.{table} NOT INDEXED");
        let mut statement = connection.prepare(&sql).map_err(failed)?;
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        for column in columns {
            if !names.iter().any(|name| name.eq_ignore_ascii_case(column)) {
                return Err(DatabaseError::NoColumn { table, column });
            }
        }
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let values = Values { names: &names, row };
            let len = values.len().map_err(failed)?;
            self.held = self.held.checked_sub(len).ok_or(DatabaseError::Contradicts(table))?;
            each(self, &values)?;
        }
        Ok(())
    }

    /// Counts what is kept.
    fn keep(&mut self, len: usize) -> Result<(), DatabaseError> {
        let len = len.saturating_add(size_of::<Box<[u8]>>());
        let left = self.left.checked_sub(len);
        self.left = left.ok_or(DatabaseError::TooMuch { limit: self.limits.registered })?;
        Ok(())
    }

    fn tell(&mut self, table: &'static str, of: &[u8], what: &'static str) {
        self.broken_count = self.broken_count.saturating_add(1);
        if self.broken.len() < Database::MAX_BROKEN {
            self.broken.push(Broken { table, of: of.into(), what });
        }
    }
}

/// The values of a row, by the names of columns.
struct Values<'r> {
    names: &'r [String],
    row: &'r Row<'r>,
}

impl<'r> Values<'r> {
    /// Bytes of all of them.
    fn len(&self) -> rusqlite::Result<usize> {
        (0..self.names.len()).try_fold(EMPTY_ROW, |sum, column| {
            Ok(match self.row.get_ref(column)? {
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => sum.saturating_add(bytes.len()),
                ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => sum,
            })
        })
    }

    /// `Null` also where the table has no such column, as those of older versions of Nix.
    fn get(&self, name: &str) -> ValueRef<'r> {
        let column = self.names.iter().position(|other| other.eq_ignore_ascii_case(name));
        column.and_then(|column| self.row.get_ref(column).ok()).unwrap_or(ValueRef::Null)
    }

    fn integer(&self, name: &str) -> Option<i64> {
        match self.get(name) {
            ValueRef::Integer(value) => Some(value),
            _ => None,
        }
    }

    /// Text, which may be any bytes; `None` where it is empty as well.
    fn text(&self, name: &str) -> Option<&'r [u8]> {
        match self.get(name) {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes).filter(|b| !b.is_empty()),
            _ => None,
        }
    }

    /// As much of it as is told.
    fn short(&self, name: &str) -> &'r [u8] {
        let text = self.text(name).unwrap_or_default();
        text.get(..MAX_PATH).unwrap_or(text)
    }
}

/// What a row registers.
fn path_info(row: &Values<'_>) -> Result<PathInfo, &'static str> {
    let path = row.text("path").ok_or("no path")?;
    let deriver = row.text("deriver");
    if path.len() > MAX_PATH || deriver.is_some_and(|path| path.len() > MAX_PATH) {
        return Err("a path of more than 4096 bytes");
    }
    let hash = row.text("hash").and_then(registration::digest).ok_or("no SHA-256 digest")?;
    let nar_size = match row.get("narSize") {
        ValueRef::Null => 0,
        ValueRef::Integer(size) => u64::try_from(size).map_err(|_| "a size below zero")?,
        _ => return Err("no size"),
    };
    let signatures = row.text("sigs").unwrap_or_default().split(|byte| *byte == b' ');
    Ok(PathInfo {
        path: path.into(),
        nar_hash: hash,
        nar_size,
        deriver: deriver.map(Into::into),
        references: Vec::new(),
        ultimate: row.integer("ultimate").is_some_and(|value| value != 0),
        signatures: signatures.filter(|text| !text.is_empty()).map(Into::into).collect(),
        content_address: row.text("ca").map(Into::into),
    })
}

/// Bytes that a path needs in memory.
fn size(info: &PathInfo) -> usize {
    let boxed = |bytes: &[u8]| bytes.len().saturating_add(size_of::<Box<[u8]>>());
    let optional = [&info.deriver, &info.content_address].into_iter().flatten();
    let texts = optional.chain(&info.signatures).chain([&info.path]);
    // As often as it may be there while it is sorted.
    let fixed = size_of::<PathInfo>().saturating_mul(2);
    texts.fold(fixed, |sum, text| sum.saturating_add(boxed(text)))
}
