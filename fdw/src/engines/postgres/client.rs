//! The client: connections whose sessions are all alike, streamed results, cancel requests.

use super::json::{self, Way};
use super::session::PostgresSession;
use super::tls::{self, Tls};
use super::{ENGINE, catalog, decode};
use crate::client::{
    Batches, Client, Lease, Pool, Pooled, QUEUED_BATCHES, Receiver, Session, Wanted, connecting, failed, identity, json_column, late, refused_wrong_password,
};
use crate::descriptor::Options;
use arrow::array::RecordBatch;
use async_trait::async_trait;
use futures::{FutureExt, StreamExt};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_postgres::{CancelToken, Config};
use weir_plan::protocol::{CatalogTable, Endpoint, Isolation};
use weir_plan::{Error, Kind, Result};

/// What the dialect relies on.
pub const SESSION: &str = "SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET extra_float_digits = 1; \
                       SET standard_conforming_strings = on; SET search_path = pg_catalog; SET default_transaction_read_only = off";

/// Time to ask whether a connection lives, and to have a statement cancelled.
const SHORT: Duration = Duration::from_secs(5);
const FOREVER: Duration = Duration::from_secs(86_400);

#[derive(Default)]
pub struct PostgresClient {
    pool: Pool<Connection>,
}

type Connected = (tokio_postgres::Client, tokio_postgres::Connection<tokio_postgres::Socket, tls::Stream<tokio_postgres::Socket>>);

/// An open connection, and the task that drives it.
pub struct Connection {
    pub client: tokio_postgres::Client,
    /// For requests to cancel, which are connections of their own.
    pub tls: Tls,
    driver: tokio::task::JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

pub fn options(endpoint: &Endpoint) -> Options<'_> {
    Options { engine: &ENGINE, given: &endpoint.options }
}

fn config(endpoint: &Endpoint) -> Config {
    let o = options(endpoint);
    let mut config = Config::new();
    config.host(o.text("host").unwrap_or_default());
    config.port(o.int("port").and_then(|p| u16::try_from(p).ok()).unwrap_or(5432));
    config.dbname(o.text("dbname").unwrap_or_default());
    config.user(o.text("user").unwrap_or_default());
    if let Some(password) = o.text("password") {
        config.password(password);
    }
    config.application_name("pg_weir");
    config.ssl_mode(tls::mode(endpoint));
    if let Some(limit) = o.timeout("connect_timeout_ms") {
        config.connect_timeout(limit);
    }
    config
}

/// Someone who is no superuser must not get in through the rights of the server's operating system user or address: the remote has to ask for
/// the password. Whether it does shows when it is given a wrong one.
async fn asks_for_password(endpoint: &Endpoint, tls: &Tls, limit: Duration) -> Result<()> {
    if options(endpoint).text("password").is_none() {
        return Err(Error { kind: Kind::Auth, ..failed(endpoint, "28000", "a password is required") }
            .with_hint("Roles that are not superusers must give the option \"password\" in their user mapping."));
    }
    let mut wrong = config(endpoint);
    wrong.password(format!("not the password {:?}", std::time::Instant::now()));
    let tried = match tokio::time::timeout(limit, wrong.connect(tls.clone())).await {
        Ok(Ok(_)) => Ok(()),
        // Some poolers call a wrong password a violation of the protocol.
        Ok(Err(e)) if e.code().is_some_and(|code| code.code() == "08P01") => return Ok(()),
        Ok(Err(e)) => Err(connect_error(endpoint, &e)),
        Err(_) => Err(late(endpoint)),
    };
    refused_wrong_password(endpoint, tried, "Roles that are not superusers may only use servers that authenticate by password.")
}

#[async_trait]
impl Pooled for Connection {
    async fn connect(endpoint: &Endpoint) -> Result<Connection> {
        let limit = options(endpoint).timeout("connect_timeout_ms").unwrap_or(FOREVER);
        let tls = Tls::new(endpoint).await?;
        if !endpoint.trusted {
            asks_for_password(endpoint, &tls, limit).await?;
        }
        let connected = async {
            let (client, connection) = connecting(|| attempt(config(endpoint), tls.clone()), io_error).await?;
            let encoding = connection.parameter("server_encoding").map(str::to_owned);
            let driver = tokio::spawn(async move {
                if let Err(e) = connection.await {
                    tracing::debug!("connection ended: {e}");
                }
            });
            let connection = Connection { client, tls: tls.clone(), driver };
            connection.client.batch_execute(SESSION).await?;
            Ok((connection, encoding))
        };
        let (connection, encoding) =
            tokio::time::timeout(limit, connected).await.map_err(|_| late(endpoint))?.map_err(|e: tokio_postgres::Error| connect_error(endpoint, &e))?;
        // COLLATE "C" there is the order of its encoding's bytes.
        match encoding.as_deref() {
            Some("UTF8") => Ok(connection),
            other => Err(failed(endpoint, "0A000", &format!("the remote database has encoding {}", other.unwrap_or("unknown")))
                .with_hint("Only databases with encoding UTF8 can be reached.")),
        }
    }

    fn seems_open(&self) -> bool {
        !self.client.is_closed()
    }

    async fn is_alive(&mut self) -> bool {
        !self.client.is_closed() && matches!(tokio::time::timeout(SHORT, self.client.batch_execute("")).await, Ok(Ok(())))
    }

    fn max_connections(endpoint: &Endpoint) -> usize {
        options(endpoint).int("max_connections").and_then(|n| usize::try_from(n).ok()).unwrap_or(16)
    }

    fn patience(endpoint: &Endpoint) -> Duration {
        options(endpoint).timeout("connect_timeout_ms").unwrap_or(FOREVER)
    }
}

fn source(e: &tokio_postgres::Error) -> String {
    std::error::Error::source(e).map_or_else(|| e.to_string(), ToString::to_string)
}

async fn attempt(config: Config, tls: Tls) -> Result<Connected, tokio_postgres::Error> {
    config.connect(tls).await
}

fn io_error(e: &tokio_postgres::Error) -> Option<std::io::ErrorKind> {
    std::error::Error::source(e)?.downcast_ref::<std::io::Error>().map(std::io::Error::kind)
}

/// What an error before any statement means.
fn connect_error(endpoint: &Endpoint, e: &tokio_postgres::Error) -> Error {
    if let Some(refused) = identity::refused(endpoint, &options(endpoint), e) {
        return refused;
    }
    let Some(db) = e.as_db_error() else {
        return failed(endpoint, "08001", "could not connect")
            .with_detail(source(e))
            .with_hint("Check the options \"host\", \"port\" and \"sslmode\" of the server.");
    };
    match db.code().code() {
        "28000" | "28P01" => Error { kind: Kind::Auth, ..failed(endpoint, "28000", db.message()) }.with_hint("Check the user mapping of the server."),
        "3D000" => failed(endpoint, "3D000", db.message()).with_hint("Check the option \"dbname\" of the server."),
        _ => failed(endpoint, "08001", db.message()),
    }
}

/// What an error of a statement means.
fn statement_error(endpoint: &Endpoint, e: &tokio_postgres::Error) -> Error {
    let Some(db) = e.as_db_error() else {
        return failed(endpoint, "08006", "lost the connection").with_detail(source(e));
    };
    let code = db.code().code();
    // What is wrong with the values would be so here, too.
    if code.starts_with("22") || code == "21000" {
        let mut error = Error::query(code, db.message());
        (error.detail, error.hint) = (db.detail().map(str::to_owned), db.hint().map(str::to_owned));
        return error;
    }
    let (sqlstate, hint) = match code {
        "42P01" => ("HV00R", Some("Check the options \"schema_name\" and \"table_name\" of the foreign table, or import it again.")),
        "42703" => ("HV005", Some("The remote table has changed: import it again, or set the option \"column_name\".")),
        "42501" => ("42501", Some("The remote role lacks a privilege.")),
        other => (other, None),
    };
    let broken = matches!(code, "57014" | "57P01" | "57P02" | "57P03");
    let kind = if broken { Kind::Remote } else { Kind::Query };
    let mut error = Error { kind, ..failed(endpoint, sqlstate, db.message()) };
    error.detail = db.detail().map(str::to_owned);
    error.hint = hint.or(db.hint()).map(str::to_owned);
    error
}

/// Waits for an answer as long as the server's options say.
pub async fn in_time<T>(endpoint: &Endpoint, limit: Option<Duration>, answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T> {
    let answer = match limit {
        None => answer.await,
        Some(limit) => tokio::time::timeout(limit, answer)
            .await
            .map_err(|_| failed(endpoint, "57014", "no answer within the time limit").with_hint("Raise the option \"request_timeout_ms\" of the server."))?,
    };
    answer.map_err(|e| statement_error(endpoint, &e))
}

/// Cancels the statement of a connection unless told otherwise.
struct CancelOnDrop(Option<(CancelToken, Tls, Endpoint)>);

impl CancelOnDrop {
    fn new(lease: &Lease<Connection>) -> CancelOnDrop {
        CancelOnDrop(Some((lease.connection.client.cancel_token(), lease.connection.tls.clone(), lease.endpoint().clone())))
    }

    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let (Some((token, tls, endpoint)), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { cancel(&token, tls, &endpoint).await });
        }
    }
}

pub async fn cancel(token: &CancelToken, tls: Tls, endpoint: &Endpoint) {
    let server = &endpoint.name;
    match tokio::time::timeout(SHORT, token.cancel_query(tls)).await {
        Ok(Ok(())) => {}
        Ok(Err(e)) => tracing::warn!("server \"{server}\": could not cancel a query: {e}"),
        Err(_) => tracing::warn!("server \"{server}\": could not cancel a query in time"),
    }
}

#[async_trait]
impl Client for PostgresClient {
    async fn query(&self, endpoint: &Endpoint, sql: String, wanted: Wanted) -> Result<Receiver> {
        let lease = self.pool.lease(endpoint).await?;
        let (sender, receiver) = mpsc::channel(QUEUED_BATCHES);
        tokio::spawn(produce(lease, sql, wanted, sender));
        Ok(receiver)
    }

    async fn execute(&self, endpoint: &Endpoint, sql: &str) -> Result<u64> {
        // Whatever the statement does to its session, nobody else sees it: the connection is not given back.
        let lease = self.pool.lease(endpoint).await?;
        let guard = CancelOnDrop::new(&lease);
        let limit = options(endpoint).timeout("request_timeout_ms");
        let result = in_time(endpoint, limit, async {
            let answers = lease.connection.client.simple_query(sql).await?;
            let changed = answers.iter().filter_map(|m| if let tokio_postgres::SimpleQueryMessage::CommandComplete(n) = m { Some(*n) } else { None });
            Ok(changed.sum())
        })
        .await;
        if !matches!(&result, Err(e) if e.sqlstate == "57014") {
            guard.disarm();
        }
        result
    }

    async fn forget(&self, server: Option<u32>) -> u64 {
        self.pool.forget(server)
    }

    async fn catalog(&self, endpoint: &Endpoint, schema: &str) -> Result<Vec<CatalogTable>> {
        let lease = self.pool.lease(endpoint).await?;
        let limit = options(endpoint).timeout("request_timeout_ms");
        let tables = in_time(endpoint, limit, catalog::tables(&lease.connection.client, schema)).await?;
        lease.give_back();
        tables.ok_or_else(|| Error {
            sqlstate: "HV00P".into(),
            ..Error::new(Kind::BadOption, format!("server \"{}\" has no schema \"{schema}\"", endpoint.name))
        })
    }

    async fn begin(&self, endpoint: &Endpoint, isolation: Isolation) -> Result<Box<dyn Session>> {
        let lease = self.pool.lease(endpoint).await?;
        Ok(Box::new(PostgresSession::begin(lease, isolation).await?))
    }
}

/// Runs a query and sends what it returns until nobody listens any more.
async fn produce(lease: Lease<Connection>, sql: String, wanted: Wanted, sender: mpsc::Sender<Result<RecordBatch>>) {
    let endpoint = lease.endpoint().clone();
    let (token, tls) = (lease.connection.client.cancel_token(), lease.connection.tls.clone());
    // Whatever SQL of somebody else's did to its session (set_config() suffices), nobody else sees it: that connection is not given back.
    let is_ours = !matches!(wanted, Wanted::Json);
    let pumped = tokio::select! {
        biased;
        () = sender.closed() => None,
        result = pump(&lease.connection.client, &endpoint, &sql, wanted, &sender) => Some(result),
    };
    match pumped {
        Some(Ok(())) if is_ours => lease.give_back(),
        Some(Ok(())) => {}
        Some(Err(e)) => {
            let ended = e.kind == Kind::Query;
            let _ = sender.send(Err(e)).await;
            match ended {
                true if is_ours => lease.give_back(),
                true => {}
                false => cancel(&token, tls, &endpoint).await,
            }
        }
        None => cancel(&token, tls, &endpoint).await,
    }
}

pub async fn pump(client: &tokio_postgres::Client, endpoint: &Endpoint, sql: &str, wanted: Wanted, sender: &mpsc::Sender<Result<RecordBatch>>) -> Result<()> {
    let limit = options(endpoint).timeout("request_timeout_ms");
    let (columns, statement) = match wanted {
        Wanted::Columns(columns) => (columns, in_time(endpoint, limit, client.prepare(sql)).await?),
        Wanted::Json => match json::way(client, endpoint, sql).await? {
            Way::Within(statement) => (vec![json_column()], statement),
            Way::Alone(columns) => return json::alone(client, endpoint, sql, &columns, sender).await,
        },
    };
    let mut batches = Batches::new(&endpoint.name, columns)?;
    if statement.columns().len() != batches.width().max(1) {
        return Err(failed(endpoint, "HV000", &format!("it returned {} columns where {} were asked for", statement.columns().len(), batches.width())));
    }
    let kinds = decode::kinds(&endpoint.name, statement.columns(), &batches)?;
    let no_params: [&(dyn tokio_postgres::types::ToSql + Sync); 0] = [];
    let rows = in_time(endpoint, limit, client.query_raw(&statement, no_params)).await?;
    let mut rows = std::pin::pin!(rows);
    loop {
        // Most rows are there already; a timer for each would cost more than the row.
        let row = match rows.next().now_or_never() {
            Some(row) => row.transpose().map_err(|e| statement_error(endpoint, &e))?,
            None => in_time(endpoint, limit, async { rows.next().await.transpose() }).await?,
        };
        let Some(row) = row else { break };
        if let Some(batch) = decode::row(&row, &kinds, &mut batches)?
            && sender.send(Ok(batch)).await.is_err()
        {
            return Err(failed(endpoint, "57014", "the reader is gone"));
        }
    }
    if let Some(batch) = batches.finish()? {
        let _ = sender.send(Ok(batch)).await;
    }
    Ok(())
}
