//! The part of DuckDB's C API that its crate has no safe form of: opening a database with settings, and running statements one by one after
//! looking at what kind each is.
//!
//! Invariants:
//! - Every handle is owned by one value here and destroyed once, on drop.
//! - A `Database` outlives nothing: what is connected to it keeps what it needs alive inside DuckDB.
#![allow(unsafe_code)]

use duckdb::ffi;
use std::ffi::{CStr, CString};
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

/// What DuckDB says of an error.
pub type Message = String;

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Reads only.
    Select,
    /// Changes rows or definitions.
    Change,
    /// COPY, ATTACH, SET, PRAGMA, CALL and whatever else reaches beyond the tables.
    Other,
}

impl Kind {
    fn of(kind: ffi::duckdb_statement_type) -> Kind {
        match kind {
            ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_SELECT => Kind::Select,
            ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_INSERT
            | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_UPDATE
            | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_DELETE
            | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_MERGE_INTO
            | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_CREATE
            | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_CREATE_FUNC
            | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_ALTER
            | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_DROP
            | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_ANALYZE
            | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_VACUUM
            | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_TRANSACTION => Kind::Change,
            _ => Kind::Other,
        }
    }
}

/// Text that DuckDB owns.
pub(super) fn text(s: *const std::ffi::c_char) -> Message {
    if s.is_null() {
        return "an error without a message".into();
    }
    // SAFETY: not null; DuckDB's messages end with a zero byte and live until their owner is destroyed, after this copy.
    unsafe { CStr::from_ptr(s) }.to_string_lossy().into_owned()
}

fn c_string(s: &str) -> Result<CString, Message> {
    CString::new(s).map_err(|_| "Parser Error: text with a zero byte".into())
}

/// An open database.
pub struct Database(ffi::duckdb_database);

// SAFETY: a database handle is a shared pointer to an instance that locks itself; DuckDB allows connecting from any thread.
unsafe impl Send for Database {}
// SAFETY: as above; nothing here changes the handle but drop.
unsafe impl Sync for Database {}

impl Database {
    /// # Errors
    /// What DuckDB says of path or settings.
    pub fn open(path: &str, settings: &[(&str, String)]) -> Result<Database, Message> {
        let path = c_string(path)?;
        let settings = settings.iter().map(|(name, value)| Ok((c_string(name)?, c_string(value)?, *name))).collect::<Result<Vec<_>, Message>>()?;
        let mut config: ffi::duckdb_config = ptr::null_mut();
        // SAFETY: writes a new handle, which is destroyed below on every way.
        if unsafe { ffi::duckdb_create_config(&raw mut config) } != ffi::DuckDBSuccess {
            return Err("could not make a configuration".into());
        }
        let mut opened: Result<ffi::duckdb_database, Message> = Ok(ptr::null_mut());
        for (n, v, name) in &settings {
            // SAFETY: a live configuration and two C strings, which it copies.
            if unsafe { ffi::duckdb_set_config(config, n.as_ptr(), v.as_ptr()) } != ffi::DuckDBSuccess {
                opened = Err(format!("Invalid Input Error: setting {name} cannot have this value"));
                break;
            }
        }
        if let Ok(db) = &mut opened {
            let mut message = ptr::null_mut();
            // SAFETY: a C string, a live configuration, and places for a handle and a message.
            let state = unsafe { ffi::duckdb_open_ext(path.as_ptr(), db, config, &raw mut message) };
            if state != ffi::DuckDBSuccess {
                opened = Err(text(message));
            }
            if !message.is_null() {
                // SAFETY: allocated by DuckDB for us, and copied above.
                unsafe { ffi::duckdb_free(message.cast()) };
            }
        }
        // SAFETY: made above, destroyed once.
        unsafe { ffi::duckdb_destroy_config(&raw mut config) };
        opened.map(Database)
    }

    /// A connection as the crate has it.
    ///
    /// # Errors
    /// What DuckDB says.
    pub fn connect(&self) -> Result<duckdb::Connection, Message> {
        // SAFETY: the handle is open; the connection keeps the instance, not the handle, and does not close it.
        unsafe { duckdb::Connection::open_from_raw(self.0) }.map_err(|e| e.to_string())
    }

    /// A connection that runs statements one by one.
    ///
    /// # Errors
    /// What DuckDB says.
    pub fn session(&self) -> Result<Session, Message> {
        let mut connection: ffi::duckdb_connection = ptr::null_mut();
        // SAFETY: an open handle and a place for another.
        if unsafe { ffi::duckdb_connect(self.0, &raw mut connection) } != ffi::DuckDBSuccess {
            return Err("could not connect".into());
        }
        Ok(Session(Arc::new(Mutex::new(Handle(connection)))))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // SAFETY: opened here, closed once.
        unsafe { ffi::duckdb_close(&raw mut self.0) };
    }
}

/// Null once it is closed.
struct Handle(ffi::duckdb_connection);

// SAFETY: a connection may move between threads; it is used by one at a time, but for interrupts, which DuckDB allows at any time.
unsafe impl Send for Handle {}

/// A connection. The mutex guards its life, not its use: interrupting is allowed while a statement runs.
pub struct Session(Arc<Mutex<Handle>>);

/// Stops what a session runs.
pub struct Interrupt(Arc<Mutex<Handle>>);

impl Interrupt {
    pub fn interrupt(&self) {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !connection.0.is_null() {
            // SAFETY: the connection is open, since its owner closes it and clears it under this lock.
            unsafe { ffi::duckdb_interrupt(connection.0) };
        }
    }
}

impl Session {
    pub fn interrupt(&self) -> Interrupt {
        Interrupt(Arc::clone(&self.0))
    }

    fn raw(&self) -> ffi::duckdb_connection {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// Makes the function known that reads tables of this process.
    ///
    /// # Errors
    /// DuckDB does not take it.
    pub fn register(&self, scans: &Arc<super::feed::Scans>) -> Result<(), Message> {
        // SAFETY: open as long as the session lives.
        unsafe { super::feed::register(self.raw(), scans) }
    }

    /// Reads the statements of a text.
    ///
    /// # Errors
    /// What is wrong with its syntax.
    pub fn statements(&self, sql: &str) -> Result<Statements<'_>, Message> {
        let sql = c_string(sql)?;
        let mut statements = Statements { session: self, list: ptr::null_mut(), count: 0 };
        // SAFETY: an open connection, a C string, and a place for a handle that is destroyed with `statements`.
        statements.count = unsafe { ffi::duckdb_extract_statements(self.raw(), sql.as_ptr(), &raw mut statements.list) };
        if statements.count == 0 {
            // SAFETY: the list is there even when it is an error.
            let message = unsafe { ffi::duckdb_extract_statements_error(statements.list) };
            return Err(if message.is_null() { "Parser Error: no statement".into() } else { text(message) });
        }
        Ok(statements)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: connected here, disconnected once; null afterwards, which `Interrupt` looks at under the same lock.
        unsafe { ffi::duckdb_disconnect(&raw mut connection.0) };
        connection.0 = ptr::null_mut();
    }
}

/// Statements that were read, not yet prepared.
pub struct Statements<'a> {
    session: &'a Session,
    list: ffi::duckdb_extracted_statements,
    count: ffi::idx_t,
}

impl Drop for Statements<'_> {
    fn drop(&mut self) {
        // SAFETY: made by `Session::statements`, destroyed once.
        unsafe { ffi::duckdb_destroy_extracted(&raw mut self.list) };
    }
}

impl Statements<'_> {
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Prepares the i-th.
    ///
    /// # Errors
    /// What DuckDB says of it.
    pub fn prepare(&self, i: u64) -> Result<Prepared, Message> {
        let mut prepared = Prepared(ptr::null_mut());
        // SAFETY: live handles; the index is checked by DuckDB; what is prepared, or failed to be, is destroyed with `prepared`.
        let state = unsafe { ffi::duckdb_prepare_extracted_statement(self.session.raw(), self.list, i, &raw mut prepared.0) };
        if state == ffi::DuckDBSuccess {
            return Ok(prepared);
        }
        // SAFETY: the handle holds the message.
        Err(text(unsafe { ffi::duckdb_prepare_error(prepared.0) }))
    }
}

/// A statement ready to run.
pub struct Prepared(ffi::duckdb_prepared_statement);

impl Drop for Prepared {
    fn drop(&mut self) {
        // SAFETY: prepared here, destroyed once; null is allowed.
        unsafe { ffi::duckdb_destroy_prepare(&raw mut self.0) };
    }
}

impl Prepared {
    pub(super) fn raw(&self) -> ffi::duckdb_prepared_statement {
        self.0
    }

    pub fn kind(&self) -> Kind {
        // SAFETY: a prepared statement.
        Kind::of(unsafe { ffi::duckdb_prepared_statement_type(self.0) })
    }

    /// Runs it; the number of rows it changed.
    ///
    /// # Errors
    /// What DuckDB says.
    pub fn execute(&self) -> Result<u64, Message> {
        // SAFETY: a result is plain data that DuckDB fills; all zero is how its users begin.
        let mut result: ffi::duckdb_result = unsafe { std::mem::zeroed() };
        // SAFETY: a prepared statement and a place for its result, which is destroyed below.
        let state = unsafe { ffi::duckdb_execute_prepared(self.0, &raw mut result) };
        let out = if state == ffi::DuckDBSuccess {
            // SAFETY: a result that is there.
            Ok(unsafe { ffi::duckdb_rows_changed(&raw mut result) })
        } else {
            // SAFETY: a failed result holds its message.
            Err(text(unsafe { ffi::duckdb_result_error(&raw mut result) }))
        };
        // SAFETY: filled above, destroyed once.
        unsafe { ffi::duckdb_destroy_result(&raw mut result) };
        out
    }
}
