//! DuckDB over tables of this process: an instance in memory that has nothing but the function `weir_scan`.
//!
//! Invariants:
//! - What it answers is exact or an error of kind `Refused` or `Query`: the caller has another way to answer.
//! - Its memory is what its user says ([`Embedded::set_memory`]), its files are in one directory and bounded.

use super::client::{Pump, Stop};
use super::feed::{self, Feed, Scans};
use super::{error, raw};
use crate::client::{QUEUED_BATCHES, Receiver, Wanted};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::mpsc;
use weir_plan::ir::{RemoteColumn, ServerRef};
use weir_plan::protocol::Endpoint;
use weir_plan::{Error, Kind, Result};

/// What the instance may take.
#[derive(Debug, Clone)]
pub struct Limits {
    pub memory_bytes: u64,
    pub threads: usize,
    pub temp_directory: String,
    pub temp_bytes: u64,
}

pub struct Embedded {
    database: raw::Database,
    scans: Arc<Scans>,
    endpoint: Endpoint,
}

/// A number for a scan, unique in this process.
pub fn next_scan() -> i64 {
    feed::next_number()
}

/// Scans that are registered until this is dropped.
struct Registered {
    scans: Arc<Scans>,
    numbers: Vec<i64>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.numbers.iter().for_each(|n| self.scans.remove(*n));
    }
}

fn refused(message: &str) -> Error {
    Error::refused(format!("DuckDB: {message}"))
}

impl Embedded {
    /// # Errors
    /// An instance that cannot be made.
    pub fn open(limits: &Limits) -> Result<Embedded> {
        let settings = [
            ("memory_limit", format!("{}B", limits.memory_bytes)),
            ("threads", limits.threads.max(1).to_string()),
            ("temp_directory", limits.temp_directory.clone()),
            ("max_temp_directory_size", format!("{}B", limits.temp_bytes)),
            ("enable_external_access", "false".into()),
            ("autoinstall_known_extensions", "false".into()),
            ("autoload_known_extensions", "false".into()),
            ("allow_community_extensions", "false".into()),
            ("allow_persistent_secrets", "false".into()),
            ("arrow_output_version", "1.4".into()),
            // Most rows are only passed on, which plain text is cheaper for.
            ("produce_arrow_string_view", "false".into()),
            // See `instance`.
            ("disabled_optimizers", "deliminator".into()),
            // Nothing promises an order but ORDER BY.
            ("preserve_insertion_order", "false".into()),
        ];
        let database = raw::Database::open(":memory:", &settings).map_err(|e| refused(&e))?;
        let scans = Arc::new(Scans::default());
        database.session().and_then(|session| session.register(&scans)).map_err(|e| refused(&e))?;
        let connection = database.connect().map_err(|e| refused(&e))?;
        connection.execute_batch("SET GLOBAL TimeZone = 'UTC'").map_err(|e| refused(&e.to_string()))?;
        let endpoint =
            Endpoint { server: ServerRef { server: 0, user: 0 }, name: "duckdb".into(), engine: "duckdb".into(), options: Vec::new(), trusted: true };
        Ok(Embedded { database, scans, endpoint })
    }

    /// Sets how much memory all its queries may take together.
    ///
    /// # Errors
    /// Less than it cannot let go of.
    pub fn set_memory(&self, bytes: u64, temp_bytes: u64) -> Result<()> {
        let connection = self.database.connect().map_err(|e| refused(&e))?;
        let sql = format!("SET GLOBAL memory_limit = '{bytes}B'; SET GLOBAL max_temp_directory_size = '{temp_bytes}B'");
        connection
            .execute_batch(&sql)
            .map_err(|e| Error::new(Kind::OutOfMemory, format!("DuckDB cannot do with {} MB", bytes >> 20)).with_detail(e.to_string()))
    }

    /// Runs a query over scans, by their numbers. `held` is kept until it has ended, whoever has gone meanwhile. Runs within a runtime.
    ///
    /// # Errors
    /// No connection.
    pub fn query(
        self: &Arc<Self>,
        sql: String,
        columns: Vec<RemoteColumn>,
        feeds: Vec<(i64, Arc<dyn Feed>)>,
        held: Box<dyn std::any::Any + Send>,
    ) -> Result<Receiver> {
        let (sender, receiver) = mpsc::channel(QUEUED_BATCHES);
        let connection = self.database.connect().map_err(|e| refused(&e))?;
        let interrupt = connection.interrupt_handle();
        let ended = Arc::new(AtomicBool::new(false));
        let stop = Stop::new(Arc::clone(&ended), move || interrupt.interrupt());
        let registered = Registered { scans: Arc::clone(&self.scans), numbers: feeds.iter().map(|f| f.0).collect() };
        feeds.into_iter().for_each(|(number, feed)| self.scans.insert(number, feed));
        let (own, to) = (Arc::clone(self), sender.clone());
        let work = tokio::task::spawn_blocking(move || {
            let result = {
                let wrong = |message: &str| own.judge(message);
                let pump = Pump { wrong: &wrong, endpoint: &own.endpoint, connection: &connection, session: None, to: &to };
                // A value that does not fit is Postgres's to report.
                pump.run(&sql, Wanted::Columns(columns)).map_err(|e| if e.kind == Kind::Remote { refused(&e.message) } else { e })
            };
            // Nothing of the query is left when its memory is given back.
            drop(connection);
            Stop::ended(&ended);
            drop((registered, held));
            if let Err(e) = result {
                let _ = to.blocking_send(Err(e));
            }
        });
        tokio::spawn(async move {
            tokio::select! {
                () = sender.closed() => drop(stop),
                ended = work => {
                    if let Err(e) = ended {
                        let _ = sender.send(Err(Error::internal(format!("a query ended without an answer: {e}")))).await;
                    }
                }
            }
        });
        Ok(receiver)
    }

    /// What an error means for a query that Postgres can run as well.
    fn judge(&self, message: &str) -> Error {
        let e = error::statement(&self.endpoint, message);
        let text = e.message.strip_prefix("server \"duckdb\": ").map(str::to_owned);
        match (e.kind, text) {
            (Kind::OutOfMemory, text) => Error::new(Kind::OutOfMemory, text.unwrap_or_default()).with_hint("Raise weir.memory_limit or weir.temp_limit."),
            // In Postgres's own words.
            (Kind::Query, None) => e,
            (_, text) => {
                let refused = refused(&text.unwrap_or(e.message));
                Error { detail: e.detail, ..refused }
            }
        }
    }
}
