//! The client: each statement on a thread of its own, watched from outside. Who stops waiting has the driver cancel the statement.

use super::catalog;
use super::connection::{Connection, driver_error, options, stream_error};
use crate::client::{Client, Lease, Pool, QUEUED_BATCHES, Receiver, Wanted, conformed, failed, plain_rows};
use adbc_core::error::Status;
use adbc_core::options::{IngestMode, OptionStatement};
use adbc_core::{CancelHandle, Connection as _, Optionable, Statement};
use arrow::array::{RecordBatch, RecordBatchReader};
use async_trait::async_trait;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use weir_plan::protocol::{CatalogTable, Change, Endpoint, WriteTarget};
use weir_plan::{Error, Kind, Result};

/// How often a time limit is looked at.
const TICK: Duration = Duration::from_millis(100);

#[derive(Default)]
pub struct AdbcClient {
    pool: Pool<Connection>,
}

/// What the outside knows of a thread.
#[derive(Default)]
pub struct Watch {
    cancel: Mutex<Option<Box<dyn CancelHandle>>>,
    /// When the driver was called, while it is.
    called: Mutex<Option<Instant>>,
    /// A result broke off: who knows what has become of the connection.
    doubtful: AtomicBool,
}

impl Watch {
    /// A call of the driver.
    pub fn call<T>(&self, call: impl FnOnce() -> T) -> T {
        *self.called.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let out = call();
        *self.called.lock().unwrap_or_else(PoisonError::into_inner) = None;
        out
    }

    fn is_late(&self, limit: Duration) -> bool {
        self.called.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|since| since.elapsed() > limit)
    }

    fn may_cancel(&self, handle: Box<dyn CancelHandle>) {
        *self.cancel.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle);
    }
}

/// Cancels the statement unless the thread has come to its end.
struct CancelOnDrop {
    watch: Arc<Watch>,
    armed: bool,
    server: String,
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        let handle = self.watch.cancel.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (true, Some(handle), Ok(runtime)) = (self.armed, handle, tokio::runtime::Handle::try_current()) {
            let server = std::mem::take(&mut self.server);
            runtime.spawn_blocking(move || {
                if let Err(e) = handle.try_cancel() {
                    tracing::warn!("server \"{server}\": the driver could not cancel a statement ({:?})", e.status);
                }
            });
        }
    }
}

/// Whether a connection serves others afterwards.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    IfWell,
    Never,
}

/// Runs `work` on a thread, for as long as the server's options allow the driver to say nothing.
async fn run<T, F>(lease: Lease<Connection>, kept: Kept, work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce(&mut Connection, &Endpoint, &Watch) -> Result<T> + Send + 'static,
{
    let endpoint = lease.endpoint().clone();
    let limit = options(&endpoint).timeout("request_timeout_ms");
    let watch = Arc::new(Watch::default());
    let mut guard = CancelOnDrop { watch: Arc::clone(&watch), armed: true, server: endpoint.name.clone() };
    let mut lease = lease;
    let mut thread = tokio::task::spawn_blocking(move || {
        let endpoint = lease.endpoint().clone();
        let result = work(&mut lease.connection, &endpoint, &watch);
        if kept == Kept::IfWell && !matches!(&result, Err(e) if e.kind != Kind::Query || watch.doubtful.load(Ordering::Relaxed)) {
            lease.give_back();
        }
        result
    });
    loop {
        tokio::select! {
            ended = &mut thread => {
                guard.armed = false;
                return ended.unwrap_or_else(|_| Err(failed(&endpoint, "HV000", "the driver broke down")));
            }
            () = tokio::time::sleep(TICK), if limit.is_some() => {
                if limit.is_some_and(|l| guard.watch.is_late(l)) {
                    return Err(failed(&endpoint, "57014", "no answer within the time limit").with_hint("Raise the option \"request_timeout_ms\" of the server."));
                }
            }
        }
    }
}

/// Starts a query and hands on its batches.
pub fn each_batch(
    connection: &mut Connection,
    endpoint: &Endpoint,
    watch: &Watch,
    sql: &str,
    mut each: impl FnMut(&RecordBatch) -> Result<()>,
) -> Result<arrow::datatypes::SchemaRef> {
    let of_driver = |e: adbc_core::error::Error| driver_error(endpoint, &e);
    let mut statement = watch.call(|| connection.adbc.new_statement()).map_err(of_driver)?;
    watch.call(|| statement.set_sql_query(sql)).map_err(of_driver)?;
    watch.may_cancel(statement.get_cancel_handle());
    let mut batches = watch.call(|| statement.execute()).map_err(of_driver)?;
    let schema = batches.schema();
    while let Some(batch) = watch.call(|| batches.next()) {
        let batch = batch.map_err(|e| {
            watch.doubtful.store(true, Ordering::Relaxed);
            stream_error(endpoint, &e)
        })?;
        each(&batch)?;
    }
    Ok(schema)
}

#[async_trait]
impl Client for AdbcClient {
    async fn query(&self, endpoint: &Endpoint, sql: String, wanted: Wanted) -> Result<Receiver> {
        let lease = self.pool.lease(endpoint).await?;
        let (sender, receiver) = mpsc::channel::<Result<RecordBatch>>(QUEUED_BATCHES);
        let own = sender.clone();
        // Whatever SQL of somebody else's did to its session, nobody else sees it.
        let kept = if matches!(wanted, Wanted::Json) { Kept::Never } else { Kept::IfWell };
        let running = run(lease, kept, move |connection, endpoint, watch| {
            let gone = || failed(endpoint, "57014", "the reader is gone");
            each_batch(connection, endpoint, watch, &sql, |batch| {
                for batch in conformed(endpoint, &wanted, batch)? {
                    own.blocking_send(Ok(batch)).map_err(|_| gone())?;
                }
                Ok(())
            })?;
            Ok(())
        });
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = sender.closed() => {}
                result = running => if let Err(e) = result {
                    let _ = sender.send(Err(e)).await;
                },
            }
        });
        Ok(receiver)
    }

    async fn execute(&self, endpoint: &Endpoint, sql: &str) -> Result<u64> {
        let (lease, sql) = (self.pool.lease(endpoint).await?, sql.to_owned());
        let rows = run(lease, Kept::IfWell, move |connection, endpoint, watch| {
            let of_driver = |e: adbc_core::error::Error| driver_error(endpoint, &e);
            let mut statement = watch.call(|| connection.adbc.new_statement()).map_err(of_driver)?;
            watch.call(|| statement.set_sql_query(&sql)).map_err(of_driver)?;
            watch.may_cancel(statement.get_cancel_handle());
            match watch.call(|| statement.execute_update()) {
                // It was not begun: some know queries only.
                Err(e) if e.status == Status::NotImplemented => each_batch(connection, endpoint, watch, &sql, |_| Ok(())).map(|_| None),
                changed => changed.map_err(of_driver),
            }
        })
        .await?;
        // -1, or nothing: the driver does not know.
        Ok(rows.and_then(|n| u64::try_from(n).ok()).unwrap_or(0))
    }

    async fn forget(&self, server: Option<u32>) -> u64 {
        self.pool.forget(server)
    }

    async fn catalog(&self, endpoint: &Endpoint, schema: &str) -> Result<Vec<CatalogTable>> {
        let (lease, schema) = (self.pool.lease(endpoint).await?, schema.to_owned());
        let tables = run(lease, Kept::IfWell, move |connection, endpoint, watch| catalog::tables(connection, endpoint, watch, &schema)).await?;
        tables.ok_or_else(|| Error {
            sqlstate: "HV00P".into(),
            ..Error::new(Kind::BadOption, format!("server \"{}\" has no schema of this name, or no table in it", endpoint.name))
        })
    }

    async fn write(&self, endpoint: &Endpoint, target: &WriteTarget, rows: &RecordBatch) -> Result<u64> {
        let plain = match target.change {
            Change::Insert { skip_conflicts: false } => plain_rows(target, rows),
            _ => None,
        };
        if let Some(plain) = plain {
            let (lease, target, n) = (self.pool.lease(endpoint).await?, target.clone(), plain.num_rows() as u64);
            let taken = run(lease, Kept::IfWell, move |connection, endpoint, watch| ingest(connection, endpoint, watch, &target, plain)).await?;
            if taken {
                return Ok(n);
            }
        }
        self.write_as_sql(endpoint, target, rows).await
    }
}

/// Adds rows to a table that is there; false if the driver does not take these, of which nothing has become then.
fn ingest(connection: &mut Connection, endpoint: &Endpoint, watch: &Watch, target: &WriteTarget, rows: RecordBatch) -> Result<bool> {
    let own = |n: &str| target.options.iter().find(|(o, _)| o == n).map(|(_, v)| v.as_str());
    let catalog = own("catalog_name").or_else(|| options(endpoint).text("catalog"));
    let schema = own("schema_name");
    let mut statement = watch.call(|| connection.adbc.new_statement()).map_err(|e| driver_error(endpoint, &e))?;
    let prepared = watch.call(|| {
        statement.set_option(OptionStatement::TargetTable, own("table_name").unwrap_or(&target.name).into())?;
        statement.set_option(OptionStatement::IngestMode, IngestMode::Append.into())?;
        if let Some(schema) = schema {
            statement.set_option(OptionStatement::TargetDbSchema, schema.into())?;
        }
        if let Some(catalog) = catalog {
            statement.set_option(OptionStatement::TargetCatalog, catalog.into())?;
        }
        statement.bind(rows)
    });
    if prepared.is_err() {
        return Ok(false);
    }
    watch.may_cancel(statement.get_cancel_handle());
    match watch.call(|| statement.execute_update()) {
        Ok(_) => Ok(true),
        Err(e) if e.status == Status::NotImplemented => Ok(false),
        Err(e) => Err(driver_error(endpoint, &e)),
    }
}
