//! Speaking to remote engines: what a client does, the pool of connections, and values becoming Arrow.
//!
//! Invariants:
//! - A result is streamed: at most [`QUEUED_BATCHES`] batches wait for the reader. When the reader goes away, the statement is cancelled at the remote.
//! - A connection that did not end its work in order is closed, never used again.
//! - A value that does not fit the declared type is an error that names column and value, never a truncation.

mod arrow_catalog;
pub mod base64;
mod build;
mod conform;
pub mod http;
pub mod identity;
mod nested;
mod plain;
mod pool;
mod session;

pub use arrow_catalog::{catalog_queries, catalog_table, text_column, text_values};
pub use build::{Batches, Cell, schema};
pub use conform::{Conform, conformed, json_rows, views};
pub use plain::plain_rows;
pub use pool::{Lease, Pool, Pooled, connecting};
pub(crate) use session::spelled;
pub use session::{Direct, Session, named, write_as_sql};

use crate::write::Statement;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use async_trait::async_trait;
use std::sync::Arc;
use tokio::sync::mpsc;
use weir_plan::ir::{ColId, RemoteColumn};
use weir_plan::protocol::{CatalogTable, Endpoint, Isolation, WriteTarget};
use weir_plan::types::PgType;
use weir_plan::{Error, Kind, Result};

/// Batches that wait for their reader.
pub const QUEUED_BATCHES: usize = 2;
/// A batch is handed on when it has this many rows or bytes.
pub const BATCH_ROWS: usize = 8192;
pub const BATCH_BYTES: usize = 4 << 20;

/// A result as it arrives; dropping the receiver cancels the statement.
pub type Receiver = mpsc::Receiver<Result<RecordBatch>>;

/// What result is wanted.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// These columns. Text and bytes may be plain arrays where the declared form is one of views ([`views`]).
    Columns(Vec<RemoteColumn>),
    /// Each row as one JSON object in a column of text.
    Json,
}

#[async_trait]
pub trait Client: Send + Sync {
    /// Starts a query.
    async fn query(&self, endpoint: &Endpoint, sql: String, wanted: Wanted) -> Result<Receiver>;

    /// Runs a statement; the number of rows it changed.
    async fn execute(&self, endpoint: &Endpoint, sql: &str) -> Result<u64>;

    /// The tables of a schema.
    async fn catalog(&self, endpoint: &Endpoint, schema: &str) -> Result<Vec<CatalogTable>>;

    /// Writes rows at once: what `target` says becomes of them. For engines without transactions; the number of rows changed. An engine with a
    /// better way to take rows than SQL has its own for `Change::Insert`.
    async fn write(&self, endpoint: &Endpoint, target: &WriteTarget, rows: &RecordBatch) -> Result<u64> {
        self.write_as_sql(endpoint, target, rows).await
    }

    /// [`Client::write`] by statements with literals.
    async fn write_as_sql(&self, endpoint: &Endpoint, target: &WriteTarget, rows: &RecordBatch) -> Result<u64> {
        let (writer, rows) = spelled(endpoint, target, rows)?;
        let mut changed = 0;
        for Statement { sql, rows, count } in writer.statements(&rows)? {
            changed += match count {
                None => {
                    let n = self.execute(endpoint, &sql).await.map_err(|e| named(endpoint, e))?;
                    writer.check(rows, n)?;
                    n
                }
                // As only then can be known, this is checked before anything happens.
                Some(count) => {
                    let n = self.count(endpoint, &count).await.map_err(|e| named(endpoint, e))?;
                    writer.check(rows, n)?;
                    if n > 0 {
                        self.alter(endpoint, &sql).await.map_err(|e| named(endpoint, e))?;
                    }
                    n
                }
            };
        }
        Ok(changed)
    }

    /// Runs a statement that changes as many rows as a query says before it, and is not run if there are none.
    async fn change(&self, endpoint: &Endpoint, count: &str, sql: &str) -> Result<u64> {
        let n = self.count(endpoint, count).await?;
        if n > 0 {
            self.alter(endpoint, sql).await?;
        }
        Ok(n)
    }

    /// Runs an UPDATE or a DELETE of an engine that does not tell how many rows it changed, until that is done.
    async fn alter(&self, endpoint: &Endpoint, sql: &str) -> Result<()> {
        self.execute(endpoint, sql).await.map(drop)
    }

    /// The number that a query returns.
    async fn count(&self, endpoint: &Endpoint, sql: &str) -> Result<u64> {
        let column = RemoteColumn { id: ColId(0), ty: PgType::INT8, name: "count".into() };
        let mut batches = self.query(endpoint, sql.to_owned(), Wanted::Columns(vec![column])).await?;
        let mut count = None;
        while let Some(batch) = batches.recv().await {
            let batch = batch?;
            let values = batch.columns().first().and_then(|values| values.as_primitive_opt::<Int64Type>());
            count = values.filter(|v| !v.is_empty() && v.is_valid(0)).and_then(|v| u64::try_from(v.value(0)).ok()).or(count);
        }
        count.ok_or_else(|| failed(endpoint, "HV000", "it returned no number of rows"))
    }

    /// Closes idle connections to a server by its OID, or to all; their number.
    async fn forget(&self, server: Option<u32>) -> u64;

    /// Begins a transaction, for engines whose descriptor says that they have them.
    async fn begin(&self, endpoint: &Endpoint, _isolation: Isolation) -> Result<Box<dyn Session>> {
        Err(Error::refused(format!("server \"{}\" has no transactions", endpoint.name)))
    }
}

/// The clients of all engines, with their connections. One for each process.
#[derive(Default)]
pub struct Clients {
    clickhouse: Arc<crate::engines::clickhouse::client::ClickHouseClient>,
    mysql: Arc<crate::engines::mysql::client::MySqlClient>,
    trino: Arc<crate::engines::trino::client::TrinoClient>,
    postgres: Arc<crate::engines::postgres::client::PostgresClient>,
    flightsql: Arc<crate::engines::flightsql::client::FlightSqlClient>,
    adbc: Arc<crate::engines::adbc::client::AdbcClient>,
    starrocks: Arc<crate::engines::starrocks::client::StarRocksClient>,
    #[cfg(feature = "duckdb")]
    duckdb: Arc<crate::engines::duckdb::client::DuckDbClient>,
}

impl Clients {
    /// The client of an endpoint's engine.
    ///
    /// # Errors
    /// An engine that this build does not have.
    pub fn of(&self, engine: &str) -> Result<Arc<dyn Client>> {
        match engine {
            "clickhouse" => Ok(Arc::clone(&self.clickhouse) as Arc<dyn Client>),
            "mysql" => Ok(Arc::clone(&self.mysql) as Arc<dyn Client>),
            "postgres" => Ok(Arc::clone(&self.postgres) as Arc<dyn Client>),
            "flightsql" => Ok(Arc::clone(&self.flightsql) as Arc<dyn Client>),
            "adbc" => Ok(Arc::clone(&self.adbc) as Arc<dyn Client>),
            "starrocks" => Ok(Arc::clone(&self.starrocks) as Arc<dyn Client>),
            #[cfg(feature = "duckdb")]
            "duckdb" => Ok(Arc::clone(&self.duckdb) as Arc<dyn Client>),
            #[cfg(not(feature = "duckdb"))]
            "duckdb" => Err(Error { sqlstate: "0A000".into(), ..Error::new(Kind::Remote, "this build of weir-engine has no DuckDB") }
                .with_hint("Build weir_engine with the feature \"duckdb\".")),
            "trino" => Ok(Arc::clone(&self.trino) as Arc<dyn Client>),
            other => Err(Error::new(Kind::BadOption, format!("there is no engine \"{other}\""))),
        }
    }

    /// Closes idle connections to a server by its OID, or to all, and has those in use closed when they become idle; how many were idle.
    pub async fn forget(&self, server: Option<u32>) -> u64 {
        let mut closed = 0;
        for engine in crate::registry::ENGINES {
            if let Ok(client) = self.of(engine.name) {
                closed += client.forget(server).await;
            }
        }
        closed
    }

    /// Where the statements of one local transaction go.
    ///
    /// # Errors
    /// An engine that cannot be written to, or a server that cannot be reached.
    pub async fn session(&self, endpoint: &Endpoint, isolation: Isolation) -> Result<Box<dyn Session>> {
        let client = self.of(&endpoint.engine)?;
        match crate::registry::by_name(&endpoint.engine) {
            Some(engine) if engine.can.transactions => client.begin(endpoint, isolation).await,
            Some(engine) if engine.can.write => Ok(Box::new(Direct::new(client, endpoint.clone()))),
            _ => Err(Error::refused(format!("server \"{}\" cannot be written to", endpoint.name))),
        }
    }
}

/// The column of rows as JSON.
pub fn json_column() -> RemoteColumn {
    RemoteColumn { id: ColId(0), ty: PgType::TEXT, name: "row".into() }
}

/// What follows from an attempt to connect with a wrong password: only that it was refused shows that the remote asks for one. Of another
/// failure, such as too many connections, nothing follows, and it stays an error. `hint`: what who is no superuser may use.
///
/// # Errors
/// The remote let it in, or failed otherwise.
pub fn refused_wrong_password(endpoint: &Endpoint, tried: Result<()>, hint: &str) -> Result<()> {
    match tried {
        Ok(()) => Err(Error { kind: Kind::Auth, ..failed(endpoint, "28000", "the remote server did not ask for the password") }.with_hint(hint)),
        Err(Error { kind: Kind::Auth, .. }) => Ok(()),
        Err(other) => Err(other),
    }
}

/// The remote server was not there in time.
pub fn late(endpoint: &Endpoint) -> Error {
    failed(endpoint, "08001", "could not connect within the time limit")
        .with_hint("Check the options \"host\" and \"port\" of the server, or raise \"connect_timeout_ms\".")
}

/// An error of a remote server, with its name in the message.
pub fn failed(endpoint: &Endpoint, sqlstate: &str, message: &str) -> Error {
    Error { sqlstate: sqlstate.into(), ..Error::new(Kind::Remote, format!("server \"{}\": {message}", endpoint.name)) }
}
