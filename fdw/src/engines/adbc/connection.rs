//! Drivers, databases and connections, all of them blocking: called on threads for that.
//!
//! Invariants:
//! - A driver's library stays loaded once it is; a database is shared by the connections of one endpoint (DuckDB opens a file once).
//! - No error shows a secret, also where the driver repeats the options it was given.

use super::ENGINE;
use crate::client::{Pooled, failed};
use crate::descriptor::Options;
use adbc_core::error::Status;
use adbc_core::options::{AdbcVersion, OptionDatabase, OptionValue};
use adbc_core::{Connection as _, Database, Driver, Statement};
use adbc_driver_manager::{ManagedConnection, ManagedDatabase, ManagedDriver};
use async_trait::async_trait;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::Duration;
use weir_plan::protocol::Endpoint;
use weir_plan::{Error, Kind, Result};

const FOREVER: Duration = Duration::from_secs(86_400);

type Drivers = HashMap<(String, Option<String>), ManagedDriver>;
static DRIVERS: LazyLock<Mutex<Drivers>> = LazyLock::new(Mutex::default);
static DATABASES: LazyLock<Mutex<HashMap<Endpoint, Weak<ManagedDatabase>>>> = LazyLock::new(Mutex::default);

pub struct Connection {
    pub adbc: ManagedConnection,
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
    let load = |version| {
        if name.starts_with('/') {
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
fn database_options(endpoint: &Endpoint) -> Vec<(OptionDatabase, OptionValue)> {
    let o = options(endpoint);
    let mut out = Vec::new();
    let mut set = |key: &str, value: &str| out.push((OptionDatabase::from(key), OptionValue::String(value.to_owned())));
    for (name, value) in o.starting("adbc.") {
        set(&format!("adbc.{name}"), value);
    }
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

fn database(endpoint: &Endpoint) -> Result<Arc<ManagedDatabase>> {
    let mut driver = driver(endpoint)?;
    let mut databases = DATABASES.lock().unwrap_or_else(PoisonError::into_inner);
    databases.retain(|_, d| d.strong_count() > 0);
    if let Some(known) = databases.get(endpoint).and_then(Weak::upgrade) {
        return Ok(known);
    }
    let opened = driver.new_database_with_opts(database_options(endpoint)).map_err(|e| connect_error(endpoint, &e))?;
    let opened = Arc::new(opened);
    databases.insert(endpoint.clone(), Arc::downgrade(&opened));
    Ok(opened)
}

fn open(endpoint: &Endpoint) -> Result<Connection> {
    let database = database(endpoint)?;
    let mut adbc = database.new_connection().map_err(|e| connect_error(endpoint, &e))?;
    if options(endpoint).text("dialect") == Some("postgres") {
        // What that dialect relies on.
        for statement in crate::engines::postgres::client::SESSION.split(';') {
            let set = || {
                let mut s = adbc.new_statement()?;
                s.set_sql_query(statement.trim())?;
                s.execute_update()
            };
            let mut set = set;
            set().map_err(|e| connect_error(endpoint, &e))?;
        }
    }
    Ok(Connection { adbc, _database: database })
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

    async fn is_alive(&mut self) -> bool {
        // No call of the interface asks for so little.
        true
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
        assert!(matches!(&filled[0].1, OptionValue::String(uri) if uri == "postgresql://u%40x:p%2Fw@h/db"));
        assert_eq!(of("grpc://h:1").len(), 3);
    }

    #[test]
    fn errors_hide_secrets() {
        let endpoint = endpoint(&[("driver", "/x"), ("password", "p w"), ("adbc.x.key", "long secret")]);
        let e = adbc_core::error::Error::with_message_and_status("unknown option password=p w, p%20w, long secret", Status::NotImplemented);
        assert_eq!(driver_error(&endpoint, &e).message, "server \"shop\": unknown option password=****, ****, ****");
        let missing = driver(&super::tests::endpoint(&[("driver", "/no/such/driver.so")])).err().expect("refused");
        assert_eq!(missing.sqlstate, "HV00D");
    }
}
