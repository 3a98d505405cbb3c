//! The client: statements that are followed page by page, and cancelled when nobody waits for them any more.

use super::decode::{self, Rows, Shape};
use super::prepared::{Prepared, prepared};
use super::spool::{self, Encoded};
use super::statement::{Column, Coordinator, Page, options};
use super::{catalog, decode::object};
use crate::client::{Batches, Cell, Client, Pool, Pooled, QUEUED_BATCHES, Receiver, Wanted, failed, http, json_column};
use arrow::array::RecordBatch;
use async_trait::async_trait;
use serde::de::DeserializeSeed;
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use weir_plan::protocol::{CatalogTable, Endpoint};
use weir_plan::{Error, Kind, Result};

/// A coordinator forgets a statement that nobody asks for during some minutes (`query.client.timeout`).
const HEARTBEAT: Duration = Duration::from_secs(30);
/// Tables whose number of rows is asked for when a schema is imported, one by one.
const COUNTED_TABLES: usize = 200;

#[derive(Default)]
pub struct TrinoClient {
    pool: Pool<Coordinator>,
}

#[async_trait]
impl Pooled for Coordinator {
    async fn connect(endpoint: &Endpoint) -> Result<Coordinator> {
        Coordinator::new(endpoint)
    }

    fn trusted() -> Duration {
        http::TRUSTED
    }

    async fn is_alive(&mut self) -> bool {
        self.answers().await
    }

    fn max_connections(endpoint: &Endpoint) -> usize {
        options(endpoint).int("max_connections").and_then(|n| usize::try_from(n).ok()).unwrap_or(16)
    }

    fn patience(endpoint: &Endpoint) -> Duration {
        options(endpoint).timeout("connect_timeout_ms").unwrap_or(Duration::from_secs(86_400))
    }
}

/// A statement that was submitted. Dropped before its end, it is cancelled.
struct Running {
    coordinator: Coordinator,
    next: Arc<Mutex<Option<String>>>,
}

impl Running {
    fn new(coordinator: &Coordinator, page: &Page) -> Running {
        Running { coordinator: coordinator.clone(), next: Arc::new(Mutex::new(page.next_uri.clone())) }
    }

    fn uri(&self) -> Option<String> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, next: Option<String>) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }

    /// The page after the last; `None` at the end.
    async fn advance(&self) -> Result<Option<Page>> {
        let Some(uri) = self.uri() else { return Ok(None) };
        let page = match self.coordinator.next(&uri).await {
            Ok(page) => page,
            Err(e) => {
                // What the statement itself ended with has ended it.
                if e.detail.as_deref().is_some_and(|d| d.starts_with("Remote error")) {
                    self.set(None);
                }
                return Err(e);
            }
        };
        self.set(page.next_uri.clone());
        Ok(Some(page))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let (Some(uri), Ok(runtime)) = (self.uri(), tokio::runtime::Handle::try_current()) {
            let coordinator = self.coordinator.clone();
            runtime.spawn(async move { coordinator.cancel(&uri).await });
        }
    }
}

/// All rows of a small query, with the names of its columns.
async fn collect(coordinator: &Coordinator, sql: &str) -> Result<(Vec<String>, Vec<Vec<Value>>)> {
    let mut page = coordinator.submit(&Prepared::plain(sql)).await?;
    let running = Running::new(coordinator, &page);
    let (mut names, mut rows) = (Vec::new(), Vec::new());
    loop {
        if let Some(columns) = page.columns.take() {
            names = columns.into_iter().map(|c| c.name).collect();
        }
        for data in parts(coordinator, page.data.take()).await? {
            rows.extend(serde_json::from_slice::<Vec<Vec<Value>>>(&data).map_err(|e| http::not_understood(&coordinator.endpoint, e.to_string()))?);
        }
        match running.advance().await? {
            Some(next) => page = next,
            None => return Ok((names, rows)),
        }
    }
}

/// The data of a page as JSON texts, each an array of rows; all at once, for small results.
async fn parts(coordinator: &Coordinator, data: Option<Value>) -> Result<Vec<Vec<u8>>> {
    match data {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(rows @ Value::Array(_)) => Ok(vec![rows.to_string().into_bytes()]),
        Some(other) => {
            let encoded: Encoded = serde_json::from_value(other).map_err(|e| http::not_understood(&coordinator.endpoint, e.to_string()))?;
            let mut out = Vec::new();
            for segment in &encoded.segments {
                out.push(spool::rows(coordinator, &encoded.encoding, segment).await?);
            }
            Ok(out)
        }
    }
}

impl TrinoClient {
    /// Runs a statement; the number of rows it changed, if the connector tells.
    async fn run(&self, endpoint: &Endpoint, statement: Prepared) -> Result<Option<u64>> {
        let lease = self.pool.lease(endpoint).await?;
        let coordinator = lease.connection.clone();
        // As above: it goes on when this is dropped, and finds nobody waiting.
        let (sender, receiver) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let mut sender = sender;
            let done = async {
                let page = coordinator.submit(&statement).await?;
                let running = Running::new(&coordinator, &page);
                let finish = async {
                    let mut changed = page.update_count;
                    while let Some(page) = running.advance().await? {
                        changed = page.update_count.or(changed);
                    }
                    Ok::<Option<u64>, Error>(changed)
                };
                tokio::select! {
                    biased;
                    () = sender.closed() => Ok(None),
                    changed = finish => changed,
                }
            }
            .await;
            lease.give_back();
            let _ = sender.send(done);
        });
        receiver.await.map_err(|_| Error::internal("a statement was lost"))?
    }
}

#[async_trait]
impl Client for TrinoClient {
    async fn query(&self, endpoint: &Endpoint, sql: String, wanted: Wanted) -> Result<Receiver> {
        let lease = self.pool.lease(endpoint).await?;
        let (sender, receiver) = mpsc::channel(QUEUED_BATCHES);
        tokio::spawn(async move {
            let coordinator = lease.connection.clone();
            // The answer to the submission is waited for whatever happens: it names what is to be cancelled.
            let statement = if matches!(wanted, Wanted::Columns(_)) { prepared(&sql) } else { Prepared::plain(&sql) };
            let result = match coordinator.submit(&statement).await {
                Ok(page) => {
                    let running = Running::new(&coordinator, &page);
                    tokio::select! {
                        biased;
                        () = sender.closed() => Ok(()),
                        result = pump(&running, page, wanted, &sender) => result,
                    }
                }
                Err(e) => Err(e),
            };
            if let Err(e) = result {
                let _ = sender.send(Err(e)).await;
            }
            lease.give_back();
        });
        Ok(receiver)
    }

    async fn execute(&self, endpoint: &Endpoint, sql: &str) -> Result<u64> {
        Ok(self.run(endpoint, Prepared::plain(sql)).await?.unwrap_or(0))
    }

    async fn change(&self, endpoint: &Endpoint, count: &str, sql: &str) -> Result<u64> {
        let counted = self.count(endpoint, count).await?;
        Ok(self.run(endpoint, prepared(sql)).await?.unwrap_or(counted))
    }

    async fn forget(&self, server: Option<u32>) -> u64 {
        self.pool.forget(server)
    }

    async fn catalog(&self, endpoint: &Endpoint, schema: &str) -> Result<Vec<CatalogTable>> {
        let lease = self.pool.lease(endpoint).await?;
        let coordinator = &lease.connection;
        let name = options(endpoint).text("catalog").unwrap_or_default();
        if collect(coordinator, &catalog::schema_query(name, schema)).await?.1.is_empty() {
            return Err(Error {
                sqlstate: "HV00P".into(),
                ..Error::new(Kind::BadOption, format!("server \"{}\" has no schema \"{schema}\" in catalog \"{name}\"", endpoint.name))
            });
        }
        let mut tables = catalog::tables(&collect(coordinator, &catalog::columns_query(name, schema)).await?.1);
        for table in tables.iter_mut().take(COUNTED_TABLES) {
            // Not every connector knows.
            if let Ok((names, rows)) = collect(coordinator, &catalog::stats_query(name, schema, &table.name)).await {
                table.rows = catalog::row_count(&names, &rows);
            }
        }
        lease.give_back();
        Ok(tables)
    }
}

/// Sends the rows of all pages.
async fn pump(running: &Running, first: Page, wanted: Wanted, sender: &mpsc::Sender<Result<RecordBatch>>) -> Result<()> {
    let endpoint = &running.coordinator.endpoint;
    let is_json = matches!(wanted, Wanted::Json);
    let columns = match wanted {
        Wanted::Columns(columns) => columns,
        Wanted::Json => vec![json_column()],
    };
    let mut batches = Batches::new(&endpoint.name, columns)?;
    let mut known: Option<(Vec<Column>, Vec<Shape>)> = None;
    let mut page = first;
    loop {
        if known.is_none()
            && let Some(columns) = page.columns.take()
        {
            let reads = if is_json { Vec::new() } else { decode::reads(&endpoint.name, &columns, &batches)? };
            known = Some((columns, reads));
        }
        let data = page.data.take().filter(|d| !d.is_null());
        if let Some(data) = data {
            let (columns, reads) = known.as_ref().ok_or_else(|| http::not_understood(endpoint, "Rows came before their columns."))?;
            let mut take = Take { endpoint, columns, reads, is_json, batches: &mut batches };
            match data {
                Value::Array(rows) => {
                    for batch in take.rows(rows)? {
                        hand(running, sender, batch).await?;
                    }
                }
                other => {
                    let encoded: Encoded = serde_json::from_value(other).map_err(|e| http::not_understood(endpoint, e.to_string()))?;
                    for segment in &encoded.segments {
                        let text = spool::rows(&running.coordinator, &encoded.encoding, segment).await?;
                        for batch in take.text(&text)? {
                            hand(running, sender, batch).await?;
                        }
                    }
                }
            }
        }
        match running.advance().await? {
            Some(next) => page = next,
            None => break,
        }
    }
    if known.is_none() && !is_json {
        return Err(http::not_understood(endpoint, "The statement returned no columns."));
    }
    if let Some(batch) = batches.finish()? {
        hand(running, sender, batch).await?;
    }
    Ok(())
}

/// Hands a batch on. While the reader takes its time, the coordinator hears that it is still waited for.
async fn hand(running: &Running, sender: &mpsc::Sender<Result<RecordBatch>>, batch: RecordBatch) -> Result<()> {
    let mut place = std::pin::pin!(sender.reserve());
    loop {
        tokio::select! {
            biased;
            // An error means that the reader is gone, which the caller sees as well.
            place = &mut place => match place {
                Ok(place) => {
                    place.send(Ok(batch));
                    return Ok(());
                }
                Err(_) => return Err(failed(&running.coordinator.endpoint, "57014", "the reader is gone")),
            },
            () = tokio::time::sleep(HEARTBEAT) => {
                if let Some(uri) = running.uri() {
                    running.coordinator.heartbeat(&uri).await;
                }
            }
        }
    }
}

/// Rows becoming batches.
struct Take<'a> {
    endpoint: &'a Endpoint,
    columns: &'a [Column],
    reads: &'a [Shape],
    is_json: bool,
    batches: &'a mut Batches,
}

impl Take<'_> {
    fn rows(&mut self, rows: Vec<Value>) -> Result<Vec<RecordBatch>> {
        let mut out = Vec::new();
        for row in rows {
            let Value::Array(row) = row else { return Err(http::not_understood(self.endpoint, "A row is no array.")) };
            if self.is_json {
                let text = object(self.columns, row).to_string();
                self.batches.put(0, Cell::Bytes(text.as_bytes()))?;
                out.extend(self.batches.end_row()?);
            } else {
                let mut rows = Rows { reads: self.reads, batches: self.batches, full: Vec::new(), failed: None };
                rows.row(&row)?;
                out.append(&mut rows.full);
            }
        }
        Ok(out)
    }

    /// The rows of a segment, which are not held all at once.
    fn text(&mut self, text: &[u8]) -> Result<Vec<RecordBatch>> {
        let broken = |e: serde_json::Error| http::not_understood(self.endpoint, format!("A segment is not as the protocol says: {e}"));
        if self.is_json {
            let rows = serde_json::from_slice::<Vec<Value>>(text).map_err(broken)?;
            return self.rows(rows);
        }
        let mut rows = Rows { reads: self.reads, batches: self.batches, full: Vec::new(), failed: None };
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        match (&mut rows).deserialize(&mut deserializer).and_then(|()| deserializer.end()) {
            Ok(()) => Ok(rows.full),
            Err(e) => Err(rows.failed.unwrap_or_else(|| http::not_understood(self.endpoint, format!("A segment is not as the protocol says: {e}")))),
        }
    }
}
