//! Drivers, databases and connections, all of them blocking: called on threads for that.
//!
//! Invariants:
//! - A driver's library stays loaded once it is; a database is shared by all connections with its options: DuckDB opens a file once
//!   (`weir_duckdb` does not know of files that are open here).
//! - A file that was replaced or removed is not read on: connections to what it was are closed, as soon as they are idle.
//! - No error shows a secret, also where the driver repeats the options it was given.

use super::{ENGINE, library};
use crate::client::{Pooled, failed};
use crate::descriptor::Options;
use adbc_core::error::Status;
use adbc_core::options::{AdbcVersion, OptionDatabase, OptionValue};
use adbc_core::{Connection as _, Database, Driver, Statement};
use adbc_driver_manager::{ManagedConnection, ManagedDatabase, ManagedDriver};
use async_trait::async_trait;
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::Duration;
use weir_plan::protocol::Endpoint;
use weir_plan::{Error, Kind, Result};

/// Time to ask whether a connection lives.
const SHORT: Duration = Duration::from_secs(5);
const FOREVER: Duration = Duration::from_secs(86_400);

type Drivers = HashMap<(String, Option<String>), ManagedDriver>;
static DRIVERS: LazyLock<Mutex<Drivers>> = LazyLock::new(Mutex::default);
/// A driver with the options of a database: whoever gives the same ones shares it, by whatever server.
type Key = (String, Option<String>, Vec<(String, String)>);
/// A database that is open, or being opened by whoever holds the lock, and its file: one that does not answer holds up nobody else.
type Slot = Arc<Mutex<(Weak<ManagedDatabase>, Option<FileId>)>>;
static DATABASES: LazyLock<Mutex<HashMap<Key, Slot>>> = LazyLock::new(Mutex::default);

/// Device and inode.
type FileId = (u64, u64);

pub struct Connection {
    pub adbc: ManagedConnection,
    /// Where its database is a file: which, and what it was when it was opened.
    file: Option<(PathBuf, FileId)>,
    /// Lives as long as its connections.
    _database: Arc<ManagedDatabase>,
}

pub fn options(endpoint: &Endpoint) -> Options<'_> {
    Options { engine: &ENGINE, given: &endpoint.options }
}

/// The text without the secrets of the user mapping.
fn masked(endpoint: &Endpoint, text: &str) -> String {
    let o = options(endpoint);
    let mut secrets: Vec<String> = ["password", "token"].iter().filter_map(|n| o.text(n)).map(str::to_owned).collect();
    // Those of user mappings have the names of drivers, as some of servers do; to hide too much does no harm.
    secrets.extend(o.starting("adbc.").into_iter().map(|(_, v)| v.to_owned()).filter(|v| v.len() > 5));
    let encoded: Vec<String> = secrets.iter().map(|s| encoded(s)).collect();
    secrets.into_iter().chain(encoded).filter(|s| !s.is_empty()).fold(text.to_owned(), |text, secret| text.replace(&secret, "****"))
}

/// Percent-encoded, for a URI.
fn encoded(text: &str) -> String {
    text.bytes().map(|b| if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// What a driver's error means.
pub fn driver_error(endpoint: &Endpoint, e: &adbc_core::error::Error) -> Error {
    let state: String = e.sqlstate.iter().map(|c| char::from(c.cast_unsigned())).collect();
    let state = Some(state).filter(|s| s.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()) && s != "00000");
    let again = "Check the options \"schema_name\" and \"table_name\" of the foreign table, or import it again.";
    let (kind, sqlstate, hint) = match (e.status, state.as_deref()) {
        (Status::Unauthenticated, _) | (_, Some("28000" | "28P01")) => (Kind::Auth, "28000", Some("Check the user mapping of the server.")),
        (Status::Unauthorized, _) => (Kind::Query, "42501", Some("The remote user lacks a privilege.")),
        (Status::Timeout | Status::Cancelled, _) => (Kind::Remote, "57014", None),
        (_, Some("42P01")) => (Kind::Query, "HV00R", Some(again)),
        (_, Some("42703")) => (Kind::Query, "HV005", Some("The remote table has changed: import it again, or set the option \"column_name\".")),
        (_, Some(state @ ("57014" | "57P01" | "57P02" | "57P03"))) => (Kind::Remote, state, None),
        (_, Some(state)) if state.starts_with("08") => (Kind::Remote, state, None),
        (_, Some(state)) => (Kind::Query, state, None),
        (Status::NotFound, None) => (Kind::Query, "HV00R", Some(again)),
        (Status::NotImplemented, None) => (Kind::Query, "0A000", None),
        (Status::IO, None) => (Kind::Remote, "08006", None),
        (_, None) => (Kind::Query, "HV000", None),
    };
    let mut error =
        Error { kind, ..failed(endpoint, sqlstate, masked(endpoint, e.message.trim()).trim()) }.with_detail(format!("The driver's status is {:?}.", e.status));
    error.hint = hint.map(str::to_owned);
    error
}

/// A failure of the driver's stream, which carries a message only: of the query (a division by zero), or of the connection.
pub fn stream_error(endpoint: &Endpoint, e: &arrow::error::ArrowError) -> Error {
    Error { kind: Kind::Query, ..failed(endpoint, "HV000", "the result broke off") }.with_detail(masked(endpoint, &e.to_string()))
}

fn connect_error(endpoint: &Endpoint, e: &adbc_core::error::Error) -> Error {
    let error = driver_error(endpoint, e);
    if error.kind == Kind::Auth {
        return error;
    }
    let detail = error.message.strip_prefix(&format!("server \"{}\": ", endpoint.name)).unwrap_or(&error.message).to_owned();
    failed(endpoint, "08001", "could not connect")
        .with_detail(detail)
        .with_hint("Check the option \"uri\" and the driver's options of the server, and the user mapping.")
}

fn driver(endpoint: &Endpoint) -> Result<ManagedDriver> {
    let o = options(endpoint);
    let key = (o.text("driver").unwrap_or_default().to_owned(), o.text("entrypoint").map(str::to_owned));
    let mut drivers = DRIVERS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = drivers.get(&key) {
        return Ok(known.clone());
    }
    let (name, entrypoint) = (key.0.as_str(), key.1.as_deref().map(str::as_bytes));
    let bad =
        |message: &str, detail: String, hint: &str| Error { kind: Kind::BadOption, ..failed(endpoint, "HV00D", message) }.with_detail(detail).with_hint(hint);
    if name.contains('/') && !name.starts_with('/') {
        return Err(bad("the driver's path is not absolute", format!("The path is {name}."), "Check the option \"driver\" of the server."));
    }
    if name.starts_with('/') {
        library::check(name).map_err(|why| bad("could not load the driver", why, "Check the option \"driver\" of the server."))?;
    }
    let load = |version| {
        if name.starts_with('/') || name.contains(".so") {
            ManagedDriver::load_dynamic_from_filename(name, entrypoint, version)
        } else {
            ManagedDriver::load_dynamic_from_name(name, entrypoint, version)
        }
    };
    // Drivers of the first version know no cancel.
    let loaded = match load(AdbcVersion::V110) {
        Err(e) if e.status == Status::NotImplemented => load(AdbcVersion::V100),
        other => other,
    };
    let driver = loaded.map_err(|e| {
        bad(
            "could not load the driver",
            e.message,
            "Check the options \"driver\" and \"entrypoint\" of the server; the file is read by the server's operating system user.",
        )
    })?;
    drivers.insert(key, driver.clone());
    Ok(driver)
}

/// The options of the driver's database.
fn database_options(endpoint: &Endpoint) -> Vec<(String, String)> {
    let o = options(endpoint);
    let mut out: Vec<(String, String)> = o.starting("adbc.").into_iter().map(|(name, value)| (format!("adbc.{name}"), value.to_owned())).collect();
    let mut set = |key: &str, value: &str| out.push((key.to_owned(), value.to_owned()));
    for (name, value) in o.starting("option.") {
        set(name, value);
    }
    let (user, password) = (o.text("user").unwrap_or_default(), o.text("password").unwrap_or_default());
    let uri = o.text("uri").unwrap_or_default();
    let filled = uri.replace("{user}", &encoded(user)).replace("{password}", &encoded(password));
    if !uri.is_empty() {
        set("uri", &filled);
    }
    if filled == uri {
        for (key, value) in [("username", user), ("password", password)] {
            if !value.is_empty() {
                set(key, value);
            }
        }
    }
    if let Some((key, token)) = o.text("token_option").zip(o.text("token")) {
        set(key, token);
    }
    out
}

/// The file of a database that has one, as DuckDB calls it.
fn path(key: &Key) -> Option<&str> {
    key.2.iter().find(|(name, _)| name == "path").map(|(_, path)| path.as_str()).filter(|p| *p != ":memory:")
}

/// The file of a database, by the options of DuckDB and SQLite.
fn file(given: &[(String, String)]) -> Option<PathBuf> {
    let value = |name: &str| given.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let path = value("path").or_else(|| {
        let uri = value("uri")?;
        let path = uri.strip_prefix("file:").map_or(uri, |rest| rest.strip_prefix("//localhost").or_else(|| rest.strip_prefix("//")).unwrap_or(rest));
        path.split(['?', '#']).next()
    })?;
    path.starts_with('/').then(|| PathBuf::from(path))
}

fn file_id(path: &Path) -> Option<FileId> {
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|f| (f.dev(), f.ino()))
}

fn database(endpoint: &Endpoint) -> Result<Arc<ManagedDatabase>> {
    let mut driver = driver(endpoint)?;
    let o = options(endpoint);
    let given = database_options(endpoint);
    let key: Key = (o.text("driver").unwrap_or_default().to_owned(), o.text("entrypoint").map(str::to_owned), given.clone());
    let slot = {
        let mut databases = DATABASES.lock().unwrap_or_else(PoisonError::into_inner);
        databases.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.lock().is_ok_and(|d| d.0.strong_count() > 0));
        // Two databases in one process over one file would not know of each other's writes.
        if path(&key).is_some() && databases.keys().any(|other| *other != key && path(other) == path(&key)) {
            return Err(failed(endpoint, "55006", "the file is open with other options")
                .with_hint("Let one server with one set of options name the file, or wait until its connections are closed."));
        }
        Arc::clone(databases.entry(key).or_default())
    };
    let mut database = slot.lock().unwrap_or_else(PoisonError::into_inner);
    let file = file(&given);
    let before = file.as_deref().and_then(file_id);
    if let Some(known) = database.0.upgrade().filter(|_| database.1.is_none() || database.1 == before) {
        return Ok(known);
    }
    let given = given.into_iter().map(|(name, value)| (OptionDatabase::from(name.as_str()), OptionValue::String(value)));
    let opened = driver.new_database_with_opts(given).map_err(|e| connect_error(endpoint, &e))?;
    let opened = Arc::new(opened);
    // A file that was made just now.
    *database = (Arc::downgrade(&opened), before.or_else(|| file.as_deref().and_then(file_id)));
    Ok(opened)
}

/// What that dialect relies on: the settings, and an encoding in whose bytes COLLATE "C" orders as here.
fn postgres_session(adbc: &mut ManagedConnection) -> adbc_core::error::Result<()> {
    for sql in crate::engines::postgres::client::SESSION.split(';') {
        let mut statement = adbc.new_statement()?;
        statement.set_sql_query(sql.trim())?;
        statement.execute_update()?;
    }
    let mut statement = adbc.new_statement()?;
    statement.set_sql_query("SELECT 1 FROM pg_catalog.pg_settings WHERE name = 'server_encoding' AND setting = 'UTF8'")?;
    let mut rows = 0;
    for batch in statement.execute()? {
        rows += batch?.num_rows();
    }
    if rows == 1 {
        return Ok(());
    }
    Err(adbc_core::error::Error::with_message_and_status(
        "the remote database has another encoding than UTF8, which dialect postgres needs",
        Status::InvalidState,
    ))
}

fn open(endpoint: &Endpoint) -> Result<Connection> {
    let o = options(endpoint);
    // Who is no superuser must not get in as whom he names, by the rights of this machine or by a password file here.
    if !endpoint.trusted && o.text("user").is_some() && o.text("password").or(o.text("token")).is_none() {
        return Err(Error { kind: Kind::Auth, ..failed(endpoint, "28000", "a password is required") }
            .with_hint("Roles that are not superusers must give the option \"password\" or \"token\" in their user mapping."));
    }
    let file = file(&database_options(endpoint));
    let before = file.as_deref().and_then(file_id);
    let database = database(endpoint)?;
    let mut adbc = database.new_connection().map_err(|e| connect_error(endpoint, &e))?;
    if o.text("dialect") == Some("postgres") {
        postgres_session(&mut adbc).map_err(|e| connect_error(endpoint, &e))?;
    }
    let id = before.or_else(|| file.as_deref().and_then(file_id));
    Ok(Connection { adbc, file: file.zip(id), _database: database })
}

#[async_trait]
impl Pooled for Connection {
    async fn connect(endpoint: &Endpoint) -> Result<Connection> {
        let own = endpoint.clone();
        let opening = tokio::task::spawn_blocking(move || open(&own));
        match tokio::time::timeout(options(endpoint).timeout("connect_timeout_ms").unwrap_or(FOREVER), opening).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(_)) => Err(failed(endpoint, "08001", "the driver broke down when it was to connect")),
            Err(_) => Err(failed(endpoint, "08001", "could not connect within the time limit")
                .with_hint("Check the option \"uri\" of the server, or raise \"connect_timeout_ms\".")),
        }
    }

    fn seems_open(&self) -> bool {
        self.file.as_ref().is_none_or(|(path, id)| file_id(path) == Some(*id))
    }

    async fn is_alive(&mut self) -> bool {
        let mut adbc = self.adbc.clone();
        let asking = tokio::task::spawn_blocking(move || {
            let mut statement = adbc.new_statement()?;
            statement.set_sql_query("SELECT 1")?;
            statement.execute().map(|rows| rows.count())
        });
        matches!(tokio::time::timeout(SHORT, asking).await, Ok(Ok(Ok(_))))
    }

    fn max_connections(endpoint: &Endpoint) -> usize {
        options(endpoint).int("max_connections").and_then(|n| usize::try_from(n).ok()).unwrap_or(8)
    }

    fn patience(endpoint: &Endpoint) -> Duration {
        options(endpoint).timeout("connect_timeout_ms").unwrap_or(FOREVER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_plan::ir::ServerRef;

    fn endpoint(of: &[(&str, &str)]) -> Endpoint {
        let options = of.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Endpoint { server: ServerRef { server: 1, user: 1 }, name: "shop".into(), engine: "adbc".into(), options, trusted: true }
    }

    #[test]
    fn a_uri_is_filled_and_nothing_given_twice() {
        let of = |uri: &str| database_options(&endpoint(&[("uri", uri), ("user", "u@x"), ("password", "p/w")]));
        let filled = of("postgresql://{user}:{password}@h/db");
        assert_eq!(filled.len(), 1);
        assert_eq!(filled[0].1, "postgresql://u%40x:p%2Fw@h/db");
        assert_eq!(of("grpc://h:1").len(), 3);
    }

    #[test]
    fn errors_hide_secrets() {
        let endpoint = endpoint(&[("driver", "/x"), ("password", "p w"), ("adbc.x.key", "long secret")]);
        let e = adbc_core::error::Error::with_message_and_status("unknown option password=p w, p%20w, long secret", Status::NotImplemented);
        assert_eq!(driver_error(&endpoint, &e).message, "server \"shop\": unknown option password=****, ****, ****");
        let Err(missing) = driver(&super::tests::endpoint(&[("driver", "/no/such/driver.so")])) else { panic!("there is no such driver") };
        assert_eq!(missing.sqlstate, "HV00D");
    }
}
