//! A transaction in a database of the engine's own.
//!
//! Invariants:
//! - DuckDB has no savepoints: going back to one after something was written since makes the whole transaction fail, and it cannot be committed.
//! - After any error the transaction is of no use: nothing more happens in it.
//! - The connection is with whoever uses it; if that is given up in its midst, the connection is closed, which rolls back.

use super::client::{DuckDbClient, Pump, Stop, blocking};
use super::feed::{self, Feed, Opened, Reader};
use super::instance::{Instance, Instances};
use super::raw;
use crate::client::{Session, Wanted, failed, named, spelled};
use crate::write::{Rows, Writer};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use weir_plan::protocol::{Change, Endpoint, Point, WriteTarget};
use weir_plan::{Error, Kind, Result};

/// Fewer rows are written by one INSERT with literals.
const WORTH_IT: usize = 16;

pub struct DuckDbSession {
    endpoint: Endpoint,
    instances: Arc<Instances>,
    instance: Arc<Instance>,
    /// `None` while it is in use, and when it was lost.
    connection: Option<duckdb::Connection>,
    _place: OwnedSemaphorePermit,
    /// Statements so far that may have changed something.
    writes: u64,
    /// Savepoints by their level, with the number of writes before each.
    points: Vec<(u32, u64)>,
    failed: bool,
}

/// The rows of one batch, for a scan.
struct Batch(RecordBatch);

impl Feed for Batch {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn rows(&self) -> u64 {
        self.0.num_rows() as u64
    }

    fn open(&self, columns: &[usize]) -> Result<Box<dyn Opened>> {
        let batch = self.0.project(columns).map_err(|e| Error::internal(e.to_string()))?;
        Ok(Box::new(Pass(Mutex::new(Some(batch)))))
    }
}

struct Pass(Mutex<Option<RecordBatch>>);

impl Opened for Pass {
    fn readers(&self) -> usize {
        1
    }

    fn reader(&self, _: usize) -> Result<Reader> {
        Ok(Box::new(self.0.lock().unwrap_or_else(PoisonError::into_inner).take().map(Ok).into_iter()))
    }
}

/// A scan that is known until this is dropped.
struct Known(Arc<feed::Scans>, i64);

impl Drop for Known {
    fn drop(&mut self) {
        self.0.remove(self.1);
    }
}

impl DuckDbSession {
    pub async fn begin(endpoint: Endpoint, instances: Arc<Instances>, instance: Arc<Instance>, place: OwnedSemaphorePermit) -> Result<DuckDbSession> {
        instance.allows(&endpoint, raw::Kind::Change)?;
        let connection = instance.connect(&endpoint)?;
        let mut session =
            DuckDbSession { endpoint, instances, instance, connection: Some(connection), _place: place, writes: 0, points: Vec::new(), failed: false };
        session.run(|c| c.execute_batch("BEGIN TRANSACTION")).await?;
        Ok(session)
    }

    fn unusable(&self) -> Error {
        Error { sqlstate: "25P02".into(), ..failed(&self.endpoint, "25P02", "the transaction failed") }.with_hint("Roll back the whole transaction.")
    }

    /// Does something with the connection, on a thread that may block. Given up, it is interrupted.
    async fn use_connection<T: Send + 'static>(&mut self, work: impl FnOnce(&duckdb::Connection) -> Result<T> + Send + 'static) -> Result<T> {
        let connection = self.connection.take().filter(|_| !self.failed).ok_or_else(|| self.unusable())?;
        let interrupt = connection.interrupt_handle();
        let ended = Arc::new(AtomicBool::new(false));
        let _stop = Stop::new(Arc::clone(&ended), move || interrupt.interrupt());
        let done = blocking(move || {
            let result = work(&connection);
            Stop::ended(&ended);
            Ok((result, connection))
        })
        .await;
        let (result, connection) = done?;
        self.connection = Some(connection);
        if result.is_err() {
            self.failed = true;
        }
        result.map_err(|e| named(&self.endpoint, e))
    }

    async fn run<T: Send + 'static>(&mut self, work: impl FnOnce(&duckdb::Connection) -> duckdb::Result<T> + Send + 'static) -> Result<T> {
        let (instances, instance, endpoint) = (Arc::clone(&self.instances), Arc::clone(&self.instance), self.endpoint.clone());
        self.use_connection(move |c| work(c).map_err(|e| DuckDbClient::judge(&instances, &instance, &endpoint, &e.to_string()))).await
    }

    /// Inserts a batch as it is; `None` if it has a type that has to be spelled.
    async fn insert(&mut self, writer: &Writer<'_>, target: &WriteTarget, rows: &RecordBatch) -> Result<Option<u64>> {
        if !target.columns.iter().all(|c| feed::holds(&c.ty) || c.ty.is_text_like()) || rows.num_columns() != target.columns.len() {
            return Ok(None);
        }
        let scans = Arc::clone(self.instance.scans());
        let number = feed::secret_number();
        scans.insert(number, Arc::new(Batch(rows.clone())));
        let known = Known(scans, number);
        let sql = format!("INSERT INTO {} ({}) SELECT * FROM weir_scan('rows', {number})", writer.table(), writer.column_list());
        let changed = self.run(move |c| c.execute(&sql, [])).await;
        drop(known);
        changed.map(|n| Some(n as u64))
    }
}

#[async_trait]
impl Session for DuckDbSession {
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    async fn execute(&mut self, sql: &str) -> Result<u64> {
        self.writes += 1;
        let sql = sql.to_owned();
        self.run(move |c| c.execute(&sql, [])).await.map(|n| n as u64)
    }

    async fn query(&mut self, sql: &str, wanted: Wanted, sender: mpsc::Sender<Result<RecordBatch>>) -> Result<()> {
        if !sql.starts_with("SELECT") && !sql.starts_with("WITH") {
            self.writes += 1;
        }
        let (instances, instance, endpoint, sql) = (Arc::clone(&self.instances), Arc::clone(&self.instance), self.endpoint.clone(), sql.to_owned());
        self.use_connection(move |connection| {
            let wrong = |message: &str| DuckDbClient::judge(&instances, &instance, &endpoint, message);
            Pump { wrong: &wrong, endpoint: &endpoint, connection, session: None, to: &sender }.run(&sql, wanted)
        })
        .await
    }

    async fn write(&mut self, target: &WriteTarget, rows: &RecordBatch) -> Result<u64> {
        self.writes += 1;
        let endpoint = self.endpoint.clone();
        let (writer, scalars): (Writer, Rows) = spelled(&endpoint, target, rows)?;
        if target.change == (Change::Insert { skip_conflicts: false })
            && rows.num_rows() >= WORTH_IT
            && let Some(changed) = self.insert(&writer, target, rows).await?
        {
            return Ok(changed);
        }
        let mut changed = 0;
        for crate::write::Statement { sql, rows: meant, .. } in writer.statements(&scalars)? {
            let n = self.run(move |c| c.execute(&sql, [])).await? as u64;
            // More rows than were named are not to stay.
            writer.check(meant, n).inspect_err(|_| self.failed = true)?;
            changed += n;
        }
        Ok(changed)
    }

    async fn point(&mut self, point: Point) -> Result<()> {
        match point {
            Point::Set(n) => self.points.push((n, self.writes)),
            Point::Release(n) => self.points.retain(|(level, _)| *level < n),
            Point::RollBack(n) => {
                let before = self.points.iter().find(|(level, _)| *level == n).map_or(0, |(_, writes)| *writes);
                self.points.retain(|(level, _)| *level < n);
                if before != self.writes {
                    self.failed = true;
                }
            }
        }
        if self.failed {
            return Err(Error::refused(format!("server \"{}\": cannot go back to a savepoint", self.endpoint.name))
                .with_detail("DuckDB has no savepoints: what was done since cannot be undone alone.")
                .with_hint("Roll back the whole transaction."));
        }
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<()> {
        if self.failed || self.connection.is_none() {
            return Err(self.unusable());
        }
        self.run(|c| c.execute_batch("COMMIT")).await.map_err(|e| Error { kind: Kind::Remote, ..e })
    }

    async fn rollback(self: Box<Self>) {
        // Closing a connection rolls back; it may have to wait for a lock.
        let _ = blocking(move || {
            drop(self);
            Ok(())
        })
        .await;
    }
}
