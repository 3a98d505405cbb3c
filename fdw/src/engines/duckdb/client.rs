//! The client: statements on threads that may block, one connection each, results as Arrow, interrupts.

use super::chunk::Chunks;
use super::error;
use super::instance::{IDLE, Instance, Instances};
use super::raw;
use super::session::DuckDbSession;
use crate::client::{BATCH_BYTES, BATCH_ROWS, Client, Conform, QUEUED_BATCHES, Receiver, Session, Wanted, failed, json_rows, views};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{concat_batches, min};
use arrow::datatypes::{DataType, Date32Type, Schema, TimeUnit, TimestampMicrosecondType};
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use weir_plan::ir::RemoteColumn;
use weir_plan::protocol::{CatalogTable, Endpoint, Isolation};
use weir_plan::{Error, Kind, Result};

/// An interrupt that comes before its statement begins is lost: it is said again and again until the statement has ended.
const AGAIN: Duration = Duration::from_millis(20);

/// A function that breaks a database of which everybody knows the name: it sets where all its statements are logged to.
const BREAKS: &str = "enable_logging";

#[derive(Default)]
pub struct DuckDbClient {
    instances: Arc<Instances>,
}

/// Stops a statement when dropped, unless that has ended before.
pub struct Stop {
    ended: Arc<AtomicBool>,
    interrupt: Arc<dyn Fn() + Send + Sync>,
}

impl Stop {
    pub fn new(ended: Arc<AtomicBool>, interrupt: impl Fn() + Send + Sync + 'static) -> Stop {
        Stop { ended, interrupt: Arc::new(interrupt) }
    }

    /// Says that the statement has ended.
    pub fn ended(ended: &AtomicBool) {
        ended.store(true, Ordering::Release);
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        let (ended, interrupt) = (Arc::clone(&self.ended), Arc::clone(&self.interrupt));
        if ended.load(Ordering::Acquire) {
            return;
        }
        interrupt();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                while !ended.load(Ordering::Acquire) {
                    interrupt();
                    tokio::time::sleep(AGAIN).await;
                }
            });
        }
    }
}

/// Set when a statement has ended, whatever its end.
struct Ended(Arc<AtomicBool>);

impl Drop for Ended {
    fn drop(&mut self) {
        Stop::ended(&self.0);
    }
}

/// Runs what may block.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) => Err(Error::internal(format!("a statement ended without an answer: {e}"))),
    }
}

impl DuckDbClient {
    /// The database of an endpoint, and a place in it.
    async fn place(&self, endpoint: &Endpoint) -> Result<(Arc<Instance>, tokio::sync::OwnedSemaphorePermit)> {
        let (instances, of) = (Arc::clone(&self.instances), endpoint.clone());
        let instance = blocking(move || instances.get(&of)).await?;
        let place = Arc::clone(&instance.places).acquire_owned().await.map_err(|_| failed(endpoint, "HV000", "the database is closed"))?;
        let instances = Arc::clone(&self.instances);
        tokio::spawn(async move {
            tokio::time::sleep(IDLE + Duration::from_secs(1)).await;
            // Closing writes what is in the log into the file.
            let _ = tokio::task::spawn_blocking(move || instances.close_idle()).await;
        });
        Ok((instance, place))
    }

    /// What an error is, and what it means for the database.
    pub fn judge(instances: &Instances, instance: &Arc<Instance>, endpoint: &Endpoint, message: &str) -> Error {
        if error::is_fatal(message) {
            instances.forget(instance);
        }
        error::statement(endpoint, message)
    }
}

/// SQL that somebody sent as it is must not reach beyond the database.
fn harmless(instance: &Instance, endpoint: &Endpoint, sql: &str) -> Result<()> {
    if !instance.has_external_access() && sql.to_ascii_lowercase().contains(BREAKS) {
        return instance.allows(endpoint, raw::Kind::Other);
    }
    Ok(())
}

#[async_trait]
impl Client for DuckDbClient {
    async fn query(&self, endpoint: &Endpoint, sql: String, wanted: Wanted) -> Result<Receiver> {
        let (instance, place) = self.place(endpoint).await?;
        let (sender, receiver) = mpsc::channel(QUEUED_BATCHES);
        let connection = instance.connect(endpoint)?;
        let session = instance.reader(endpoint)?;
        let interrupts = (connection.interrupt_handle(), session.interrupt());
        let ended = Arc::new(AtomicBool::new(false));
        let stop = Stop::new(Arc::clone(&ended), move || {
            interrupts.0.interrupt();
            interrupts.1.interrupt();
        });
        let (instances, endpoint, to) = (Arc::clone(&self.instances), endpoint.clone(), sender.clone());
        let work = tokio::task::spawn_blocking(move || {
            let _held = (place, Ended(ended));
            let wrong = |message: &str| DuckDbClient::judge(&instances, &instance, &endpoint, message);
            let pump = Pump { wrong: &wrong, endpoint: &endpoint, connection: &connection, session: Some(&session), to: &to };
            let allowed = if matches!(wanted, Wanted::Json) { is_query(&instance, &endpoint, &wrong, &sql) } else { Ok(()) };
            if let Err(e) = allowed.and_then(|()| pump.run(&sql, wanted)) {
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

    async fn execute(&self, endpoint: &Endpoint, sql: &str) -> Result<u64> {
        let (instance, place) = self.place(endpoint).await?;
        harmless(&instance, endpoint, sql)?;
        let session = instance.session(endpoint)?;
        let interrupt = session.interrupt();
        let ended = Arc::new(AtomicBool::new(false));
        let _stop = Stop::new(Arc::clone(&ended), move || interrupt.interrupt());
        let (instances, endpoint, sql) = (Arc::clone(&self.instances), endpoint.clone(), sql.to_owned());
        blocking(move || {
            let _held = (place, Ended(ended));
            let wrong = |message: raw::Message| DuckDbClient::judge(&instances, &instance, &endpoint, &message);
            let statements = session.statements(&sql).map_err(wrong)?;
            let mut changed = 0;
            for i in 0..statements.count() {
                let statement = statements.prepare(i).map_err(wrong)?;
                instance.allows(&endpoint, statement.kind())?;
                changed += statement.execute().map_err(wrong)?;
            }
            Ok(changed)
        })
        .await
    }

    async fn forget(&self, _: Option<u32>) -> u64 {
        let instances = Arc::clone(&self.instances);
        tokio::task::spawn_blocking(move || instances.close_unused()).await.unwrap_or(0)
    }

    async fn catalog(&self, endpoint: &Endpoint, schema: &str) -> Result<Vec<CatalogTable>> {
        let (instance, place) = self.place(endpoint).await?;
        let (instances, endpoint, schema) = (Arc::clone(&self.instances), endpoint.clone(), schema.to_owned());
        blocking(move || {
            let _held = place;
            let connection = instance.connect(&endpoint)?;
            let tables = super::catalog::tables(&connection, &schema).map_err(|e| DuckDbClient::judge(&instances, &instance, &endpoint, &e.to_string()))?;
            tables.ok_or_else(|| Error {
                sqlstate: "HV00P".into(),
                ..Error::new(Kind::BadOption, format!("server \"{}\" has no schema \"{schema}\"", endpoint.name))
            })
        })
        .await
    }

    /// What it sees is what was there when it first looked, whatever is asked for; who changes rows that another has changed since fails.
    async fn begin(&self, endpoint: &Endpoint, _: Isolation) -> Result<Box<dyn Session>> {
        let (instance, place) = self.place(endpoint).await?;
        Ok(Box::new(DuckDbSession::begin(endpoint.clone(), Arc::clone(&self.instances), instance, place).await?))
    }
}

/// Whether the text is one statement that only reads.
fn is_query(instance: &Instance, endpoint: &Endpoint, wrong: &dyn Fn(&str) -> Error, sql: &str) -> Result<()> {
    const HINT: &str = "Use weir.execute for statements that return nothing.";
    harmless(instance, endpoint, sql)?;
    let session = instance.session(endpoint)?;
    let statements = session.statements(sql).map_err(|e| wrong(&e))?;
    if statements.count() != 1 {
        return Err(failed(endpoint, "42601", "cannot run more than one statement as a query").with_hint(HINT));
    }
    match statements.prepare(0).map_err(|e| wrong(&e))?.kind() {
        raw::Kind::Change => Err(failed(endpoint, "42601", "the statement is not a query").with_hint(HINT)),
        kind => instance.allows(endpoint, kind),
    }
}

/// One query.
pub struct Pump<'a> {
    /// What an error means.
    pub wrong: &'a dyn Fn(&str) -> Error,
    pub endpoint: &'a Endpoint,
    pub connection: &'a duckdb::Connection,
    /// Where a result can be read faster, unless it has to be read through the connection.
    pub session: Option<&'a raw::Session>,
    pub to: &'a mpsc::Sender<Result<RecordBatch>>,
}

impl Pump<'_> {
    fn wrong(&self, e: &duckdb::Error) -> Error {
        (self.wrong)(&e.to_string())
    }

    /// Sends all that the query returns, or as much as is listened to.
    ///
    /// # Errors
    /// What DuckDB says, and values that do not fit.
    pub fn run(&self, sql: &str, wanted: Wanted) -> Result<()> {
        if let (Some(session), Wanted::Columns(columns)) = (self.session, &wanted)
            && !columns.is_empty()
            && self.chunks(session, sql, columns)?
        {
            return Ok(());
        }
        let columns = match wanted {
            Wanted::Columns(columns) => Some(columns),
            Wanted::Json => None,
        };
        let mut statement = self.connection.prepare(sql).map_err(|e| self.wrong(&e))?;
        drop(statement.stream_arrow([]).map_err(|e| self.wrong(&e))?);
        let schema = statement.schema();
        let conform = match &columns {
            Some(columns) if !columns.is_empty() => Some(Conform::new(self.endpoint, columns, &schema)?),
            _ => None,
        };
        let mut queue = Vec::new();
        let (mut rows, mut bytes) = (0, 0);
        while let Some(chunk) = statement.step().map_err(|e| self.wrong(&e))? {
            let chunk = RecordBatch::from(chunk);
            let batch = match (&columns, &conform) {
                (Some(_), Some(conform)) => conform.batch(&infinities(chunk)?)?,
                (Some(_), None) => without_columns(chunk.num_rows())?,
                (None, _) => json_rows(self.endpoint, &chunk)?,
            };
            rows += batch.num_rows();
            bytes += batch.get_array_memory_size();
            queue.push(batch);
            if rows >= BATCH_ROWS || bytes >= BATCH_BYTES {
                (rows, bytes) = (0, 0);
                if !self.send(&mut queue, conform.as_ref())? {
                    return Ok(());
                }
            }
        }
        self.send(&mut queue, conform.as_ref())?;
        Ok(())
    }

    /// Reads the result out of DuckDB's own vectors; `false`: that cannot be, and nothing was begun.
    fn chunks(&self, session: &raw::Session, sql: &str, columns: &[RemoteColumn]) -> Result<bool> {
        let wrong = |message: raw::Message| (self.wrong)(&message);
        let statements = session.statements(sql).map_err(wrong)?;
        if statements.count() != 1 {
            return Ok(false);
        }
        let statement = statements.prepare(0).map_err(wrong)?;
        let Some(mut chunks) = Chunks::start(&statement).map_err(wrong)? else { return Ok(false) };
        let conform = Conform::new(self.endpoint, columns, chunks.schema())?;
        while let Some(batch) = chunks.next().map_err(wrong)? {
            if self.to.blocking_send(Ok(conform.batch(&infinities(batch)?)?)).is_err() {
                break;
            }
        }
        Ok(true)
    }

    /// `false`: nobody listens any more.
    fn send(&self, queue: &mut Vec<RecordBatch>, conform: Option<&Conform>) -> Result<bool> {
        let Some(mut schema) = queue.first().map(RecordBatch::schema) else { return Ok(true) };
        let not_joined = |e| Error::internal(format!("could not join batches: {e}"));
        // A column of text may be a plain array in some of them only.
        if let Some(conform) = conform
            && queue.iter().any(|batch| batch.schema() != schema)
        {
            schema = Arc::clone(conform.schema());
            *queue = queue.drain(..).map(|batch| views(batch, &schema)).collect::<std::result::Result<_, _>>().map_err(not_joined)?;
        }
        let batch = if schema.fields().is_empty() {
            without_columns(queue.iter().map(RecordBatch::num_rows).sum())?
        } else {
            concat_batches(&schema, queue.iter()).map_err(not_joined)?
        };
        queue.clear();
        Ok(self.to.blocking_send(Ok(batch)).is_ok())
    }
}

fn without_columns(rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).map_err(|e| Error::internal(e.to_string()))
}

/// Minus infinity is the least value but one in DuckDB, the least here.
fn infinities(batch: RecordBatch) -> Result<RecordBatch> {
    let fixed = |column: &ArrayRef| -> Option<ArrayRef> {
        match column.data_type() {
            DataType::Date32 => {
                let days = column.as_primitive::<Date32Type>();
                (min(days)? == -i32::MAX).then(|| Arc::new(days.unary::<_, Date32Type>(|d| if d == -i32::MAX { i32::MIN } else { d })) as ArrayRef)
            }
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                let times = column.as_primitive::<TimestampMicrosecondType>();
                let lower = || times.unary::<_, TimestampMicrosecondType>(|t| if t == -i64::MAX { i64::MIN } else { t });
                (min(times)? == -i64::MAX).then(|| Arc::new(lower().with_timezone_opt(zone.clone())) as ArrayRef)
            }
            _ => None,
        }
    };
    if batch.columns().iter().all(|c| fixed(c).is_none()) {
        return Ok(batch);
    }
    let columns = batch.columns().iter().map(|c| fixed(c).unwrap_or_else(|| Arc::clone(c))).collect();
    RecordBatch::try_new(batch.schema(), columns).map_err(|e| Error::internal(e.to_string()))
}
