//! The client: connections whose sessions are all alike, streamed results, KILL QUERY.

use super::session::MySqlSession;
use super::{ENGINE, catalog, decode};
use crate::client::identity::Identity;
use crate::client::{
    Batches, Client, Lease, Pool, Pooled, QUEUED_BATCHES, Receiver, Session, Wanted, connecting, failed, identity, json_column, late, refused_wrong_password,
};
use crate::descriptor::Options;
use crate::engines::starrocks;
use arrow::array::RecordBatch;
use async_trait::async_trait;
use mysql_async::prelude::{Protocol, Queryable};
use mysql_async::{ClientIdentity, Conn, Opts, OptsBuilder, QueryResult, SslOpts};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use weir_plan::protocol::{CatalogTable, Endpoint, Isolation};
use weir_plan::{Error, Kind, Result};

/// What the dialect relies on.
const SESSION: &[&str] = &[
    "SET NAMES utf8mb4",
    "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES,STRICT_TRANS_TABLES,STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO'",
    "SET SESSION time_zone = '+00:00'",
    // MariaDB remembers the answer of a correlated subquery for rows that are equal under the collation of their columns, which ignores case.
    "SET SESSION autocommit = 1 /*M! , SESSION optimizer_switch = 'subquery_cache=off' */",
    // Who reads slowly (a cursor) must not be cut off.
    "SET SESSION net_write_timeout = 604800",
];

/// Time to ask whether a connection lives, and to have a statement killed.
const SHORT: Duration = Duration::from_secs(5);

#[derive(Default)]
pub struct MySqlClient {
    pool: Pool<Connection>,
}

/// An open connection.
pub struct Connection(pub Conn);

/// The options of an endpoint, whichever engine of this protocol it is of.
pub fn options(endpoint: &Endpoint) -> Options<'_> {
    Options { engine: crate::registry::by_name(&endpoint.engine).unwrap_or(&ENGINE), given: &endpoint.options }
}

fn is_starrocks(endpoint: &Endpoint) -> bool {
    endpoint.engine == starrocks::ENGINE.name
}

/// The client's certificate as the driver takes it: with an RSA key in PKCS #1, and no other.
fn client_identity(endpoint: &Endpoint) -> Result<Option<ClientIdentity>> {
    let o = options(endpoint);
    if !is_starrocks(endpoint) && o.text("socket").is_some() {
        return Ok(None);
    }
    let Some(own) = Identity::of(endpoint, &o, !matches!(o.text("ssl_mode"), None | Some("disabled")))? else { return Ok(None) };
    let Some(key) = own.key_pkcs1() else {
        return Err(failed(endpoint, "0A000", "the key of the client certificate is not an RSA key")
            .with_hint("Only RSA keys can be used with this protocol. Check the option \"ssl_key\" of the user mapping."));
    };
    Ok(Some(ClientIdentity::new(own.certificates_pem().into_bytes().into(), key.to_vec().into())))
}

fn opts(endpoint: &Endpoint) -> Result<Opts> {
    let o = options(endpoint);
    let text = |name: &str| o.text(name).map(str::to_owned);
    let port = o.int("port").and_then(|p| u16::try_from(p).ok()).unwrap_or(3306);
    let ssl = match o.text("ssl_mode") {
        None | Some("disabled") => client_identity(endpoint)?.and(None),
        Some(mode) => {
            let ca: Vec<_> = text("ssl_ca").map(|p| std::path::PathBuf::from(p).into()).into_iter().collect();
            Some(
                SslOpts::default()
                    // Who names the certificates to trust trusts no others.
                    .with_disable_built_in_roots(!ca.is_empty())
                    .with_root_certs(ca)
                    .with_client_identity(client_identity(endpoint)?)
                    .with_danger_tls_hostname_override(text("ssl_name"))
                    .with_danger_accept_invalid_certs(mode == "required")
                    .with_danger_skip_domain_validation(mode != "verify_identity"),
            )
        }
    };
    // StarRocks would look for the database in its own catalog; its tables are called by their full names.
    let (session, database) = if is_starrocks(endpoint) { (starrocks::client::SESSION, None) } else { (SESSION, text("database")) };
    Ok(OptsBuilder::default()
        .ip_or_hostname(text("host").unwrap_or_default())
        .tcp_port(port)
        .user(text("user"))
        .pass(text("password"))
        .db_name(database)
        .prefer_socket(false)
        .socket(text("socket"))
        .stmt_cache_size(0)
        .tcp_nodelay(true)
        // As Postgres counts: a row that an UPDATE leaves as it was is an updated row.
        .client_found_rows(true)
        .ssl_opts(ssl)
        .init(session.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>())
        .into())
}

/// Over a socket the server may let the operating system's user in, which is the one that runs Postgres: nobody but a superuser is to act as that.
/// So the server has to ask for the password; whether it does shows when it is given a wrong one.
async fn asks_for_password(endpoint: &Endpoint, limit: Duration) -> Result<()> {
    if options(endpoint).text("password").is_none() {
        return Err(Error { kind: Kind::Auth, ..failed(endpoint, "28000", "a password is required") }
            .with_hint("Over a socket, roles that are not superusers must give the option \"password\" in their user mapping."));
    }
    let wrong = OptsBuilder::from_opts(opts(endpoint)?).pass(Some(format!("not the password {:?}", std::time::Instant::now())));
    let tried = match tokio::time::timeout(limit, Conn::new(wrong)).await {
        Ok(tried) => tried.map(drop).map_err(|e| connect_error(endpoint, &e)),
        Err(_) => Err(late(endpoint)),
    };
    refused_wrong_password(endpoint, tried, "Over a socket, roles that are not superusers may only use accounts with a password.")
}

#[async_trait]
impl Pooled for Connection {
    async fn connect(endpoint: &Endpoint) -> Result<Connection> {
        if !endpoint.trusted && options(endpoint).text("socket").is_some() {
            asks_for_password(endpoint, options(endpoint).timeout("connect_timeout_ms").unwrap_or(Duration::from_secs(86_400))).await?;
        }
        let opts = opts(endpoint)?;
        let connected = connecting(|| Conn::new(opts.clone()), io_error);
        let limit = options(endpoint).timeout("connect_timeout_ms").unwrap_or(Duration::from_secs(86_400));
        match tokio::time::timeout(limit, connected).await {
            Ok(Ok(mut conn)) => {
                if is_starrocks(endpoint) {
                    let _ = tokio::time::timeout(SHORT, conn.query_drop(starrocks::client::PATIENCE)).await;
                }
                Ok(Connection(conn))
            }
            Ok(Err(e)) => Err(connect_error(endpoint, &e)),
            Err(_) => Err(late(endpoint)),
        }
    }

    async fn is_alive(&mut self) -> bool {
        matches!(tokio::time::timeout(SHORT, self.0.ping()).await, Ok(Ok(())))
    }

    fn max_connections(endpoint: &Endpoint) -> usize {
        options(endpoint).int("max_connections").and_then(|n| usize::try_from(n).ok()).unwrap_or(16)
    }

    fn patience(endpoint: &Endpoint) -> Duration {
        options(endpoint).timeout("connect_timeout_ms").unwrap_or(Duration::from_secs(86_400))
    }
}

fn io_error(e: &mysql_async::Error) -> Option<std::io::ErrorKind> {
    match e {
        mysql_async::Error::Io(mysql_async::IoError::Io(e)) => Some(e.kind()),
        _ => None,
    }
}

/// What an error before any statement means.
fn connect_error(endpoint: &Endpoint, e: &mysql_async::Error) -> Error {
    if let Some(refused) = identity::refused(endpoint, &options(endpoint), e) {
        return refused;
    }
    match e {
        mysql_async::Error::Server(s) if matches!(s.code, 1044 | 1045 | 1698 | 1862 | 3118) => {
            Error { kind: Kind::Auth, ..failed(endpoint, "28000", &s.message) }.with_hint("Check the user mapping of the server.")
        }
        mysql_async::Error::Server(s) if s.code == 1049 => failed(endpoint, "3D000", &s.message).with_hint("Check the option \"database\" of the server."),
        mysql_async::Error::Server(s) => failed(endpoint, "08001", &s.message),
        mysql_async::Error::Io(io) => failed(endpoint, "08001", "could not connect")
            .with_detail(io.to_string())
            .with_hint("Check the options \"host\", \"port\" and \"ssl_mode\" of the server."),
        other => failed(endpoint, "08001", "could not connect").with_detail(other.to_string()),
    }
}

/// What an error of a statement means.
pub fn statement_error(endpoint: &Endpoint, e: &mysql_async::Error) -> Error {
    match e {
        mysql_async::Error::Server(s) => {
            let (sqlstate, hint) = match s.code {
                1146 | 5502 => ("HV00R", Some("Check the options \"database\" and \"table_name\" of the foreign table, or import it again.")),
                1054 => ("HV005", Some("The remote table has changed: import it again, or set the option \"column_name\".")),
                1142 | 1143 | 1227 | 1044 => ("42501", Some("The remote user lacks a privilege.")),
                1062 | 1586 => ("23505", None),
                1048 | 1364 => ("23502", None),
                1451 | 1452 | 1216 | 1217 => ("23503", None),
                3819 | 4025 => ("23514", None),
                1406 => ("22001", None),
                1064 => ("42601", None),
                1264 | 1690 => ("22003", None),
                1292 => ("22007", None),
                1265 | 1366 => ("22000", None),
                1290 | 1792 => ("25006", Some("The remote server takes no changes.")),
                1317 | 1969 | 3024 => ("57014", None),
                1205 => ("55P03", None),
                1213 => ("40P01", None),
                1242 => ("21000", None),
                _ => ("HV000", None),
            };
            let kind = if matches!(s.code, 1317 | 1969 | 3024) { Kind::Remote } else { Kind::Query };
            let mut error = Error { kind, ..failed(endpoint, sqlstate, &s.message) }.with_detail(format!("Remote error {} ({}).", s.code, s.state));
            error.hint = hint.map(str::to_owned);
            error
        }
        mysql_async::Error::Io(io) => failed(endpoint, "08006", "lost the connection").with_detail(io.to_string()),
        other => failed(endpoint, "HV000", "could not understand the answer").with_detail(other.to_string()),
    }
}

fn too_late(endpoint: &Endpoint) -> Error {
    failed(endpoint, "57014", "no answer within the time limit").with_hint("Raise the option \"request_timeout_ms\" of the server.")
}

/// Waits for an answer as long as the server's options say.
pub async fn in_time<T>(endpoint: &Endpoint, limit: Option<Duration>, answer: impl Future<Output = Result<T, mysql_async::Error>>) -> Result<T> {
    let answer = match limit {
        None => answer.await,
        Some(limit) => tokio::time::timeout(limit, answer).await.map_err(|_| too_late(endpoint))?,
    };
    answer.map_err(|e| statement_error(endpoint, &e))
}

#[async_trait]
impl Client for MySqlClient {
    async fn query(&self, endpoint: &Endpoint, sql: String, wanted: Wanted) -> Result<Receiver> {
        let lease = self.pool.lease(endpoint).await?;
        let (sender, receiver) = mpsc::channel(QUEUED_BATCHES);
        tokio::spawn(produce(lease, sql, wanted, sender));
        Ok(receiver)
    }

    async fn execute(&self, endpoint: &Endpoint, sql: &str) -> Result<u64> {
        // Whatever the statement does to its session, nobody else sees it: the connection is not given back.
        let mut lease = self.pool.lease(endpoint).await?;
        let guard = KillOnDrop::new(&lease);
        let limit = options(endpoint).timeout("request_timeout_ms");
        let result = in_time(endpoint, limit, async {
            let result = lease.connection.0.query_iter(sql).await?;
            let rows = result.affected_rows();
            result.drop_result().await?;
            Ok(rows)
        })
        .await;
        if !matches!(&result, Err(e) if e.sqlstate == "57014") {
            guard.disarm();
        }
        let _ = lease.connection.0.disconnect().await;
        result
    }

    async fn forget(&self, server: Option<u32>) -> u64 {
        self.pool.forget(server)
    }

    async fn catalog(&self, endpoint: &Endpoint, schema: &str) -> Result<Vec<CatalogTable>> {
        let mut lease = self.pool.lease(endpoint).await?;
        let limit = options(endpoint).timeout("request_timeout_ms");
        let tables = in_time(endpoint, limit, async {
            let conn = &mut lease.connection.0;
            if is_starrocks(endpoint) {
                starrocks::catalog::tables(conn, options(endpoint).text("catalog"), schema).await
            } else {
                catalog::tables(conn, schema).await
            }
        })
        .await?;
        lease.give_back();
        tables.ok_or_else(|| Error {
            sqlstate: "HV00P".into(),
            ..Error::new(Kind::BadOption, format!("server \"{}\" has no database \"{schema}\"", endpoint.name))
        })
    }

    async fn begin(&self, endpoint: &Endpoint, isolation: Isolation) -> Result<Box<dyn Session>> {
        let lease = self.pool.lease(endpoint).await?;
        Ok(Box::new(MySqlSession::begin(lease, isolation).await?))
    }
}

/// Kills the statement of a connection unless told otherwise.
struct KillOnDrop {
    target: Option<(Endpoint, u32)>,
}

impl KillOnDrop {
    fn new(lease: &Lease<Connection>) -> KillOnDrop {
        KillOnDrop { target: Some((lease.endpoint().clone(), lease.connection.0.id())) }
    }

    fn disarm(mut self) {
        self.target = None;
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if let (Some((endpoint, id)), Ok(runtime)) = (self.target.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { kill(&endpoint, id).await });
        }
    }
}

pub async fn kill(endpoint: &Endpoint, id: u32) {
    let opts = match opts(endpoint) {
        Ok(opts) => opts,
        Err(e) => {
            tracing::warn!("server \"{}\": could not cancel a query: {e}", endpoint.name);
            return;
        }
    };
    let killing = async {
        let mut conn = Conn::new(opts).await?;
        conn.query_drop(format!("KILL QUERY {id}")).await?;
        conn.disconnect().await
    };
    match tokio::time::timeout(SHORT, killing).await {
        Ok(Ok(())) => {}
        Ok(Err(e)) => tracing::warn!("server \"{}\": could not cancel a query: {e}", endpoint.name),
        Err(_) => tracing::warn!("server \"{}\": could not cancel a query in time", endpoint.name),
    }
}

/// Runs a query and sends what it returns until nobody listens any more.
async fn produce(mut lease: Lease<Connection>, sql: String, wanted: Wanted, sender: mpsc::Sender<Result<RecordBatch>>) {
    let endpoint = lease.endpoint().clone();
    let id = lease.connection.0.id();
    // Whatever SQL of somebody else's did to its session (SET suffices), nobody else sees it: that connection is not given back.
    let is_ours = !matches!(wanted, Wanted::Json);
    let pumped = tokio::select! {
        biased;
        () = sender.closed() => None,
        result = pump(&mut lease.connection.0, &endpoint, &sql, wanted, &sender) => Some(result),
    };
    match pumped {
        Some(Ok(())) if is_ours => lease.give_back(),
        Some(Ok(())) => {}
        Some(Err(e)) => {
            // A statement that was refused has ended; one that failed in its midst, or is late, may not have.
            let ended = e.kind == Kind::Query;
            let _ = sender.send(Err(e)).await;
            match ended {
                true if is_ours => lease.give_back(),
                true => {}
                false => kill(&endpoint, id).await,
            }
        }
        None => kill(&endpoint, id).await,
    }
}

pub async fn pump(conn: &mut Conn, endpoint: &Endpoint, sql: &str, wanted: Wanted, sender: &mpsc::Sender<Result<RecordBatch>>) -> Result<()> {
    let limit = options(endpoint).timeout("request_timeout_ms");
    let mut batches = match &wanted {
        Wanted::Columns(columns) => Batches::new(&endpoint.name, columns.clone())?,
        Wanted::Json => Batches::new(&endpoint.name, vec![json_column()])?,
    };
    if is_starrocks(endpoint) {
        let result = in_time(endpoint, limit, conn.query_iter(sql)).await?;
        rows(result, endpoint, &wanted, &mut batches, sender).await?;
    } else {
        let result = in_time(endpoint, limit, conn.exec_iter(sql, ())).await?;
        rows(result, endpoint, &wanted, &mut batches, sender).await?;
    }
    if let Some(batch) = batches.finish()? {
        let _ = sender.send(Ok(batch)).await;
    }
    Ok(())
}

/// The rows of a result, but for the last batch.
async fn rows<P: Protocol>(
    mut result: QueryResult<'_, '_, P>,
    endpoint: &Endpoint,
    wanted: &Wanted,
    batches: &mut Batches,
    sender: &mpsc::Sender<Result<RecordBatch>>,
) -> Result<()> {
    let limit = options(endpoint).timeout("request_timeout_ms");
    let fields = result.columns().unwrap_or_else(|| Arc::from([]));
    if fields.len() != batches.width().max(1) && matches!(wanted, Wanted::Columns(_)) {
        return Err(failed(endpoint, "HV000", &format!("it returned {} columns where {} were asked for", fields.len(), batches.width())));
    }
    while let Some(row) = in_time(endpoint, limit, result.next()).await? {
        let full = match wanted {
            Wanted::Columns(_) if is_starrocks(endpoint) => starrocks::decode::row(&row, &fields, batches)?,
            Wanted::Columns(_) => decode::row(&row, batches)?,
            Wanted::Json => decode::json(&row, &fields, batches)?,
        };
        if let Some(batch) = full {
            // An error means that the reader is gone, which the caller sees as well.
            if sender.send(Ok(batch)).await.is_err() {
                return Err(failed(endpoint, "57014", "the reader is gone"));
            }
        }
    }
    Ok(())
}
