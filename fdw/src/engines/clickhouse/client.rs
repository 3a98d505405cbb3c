//! The client: one request for each statement, results decoded as they arrive, KILL QUERY.

use super::stream::{Decoder, Watch};
use super::{ENGINE, catalog, change, error, insert};
use crate::client::{BATCH_BYTES, Batches, Cell, Client, Conform, Lease, Pool, Pooled, QUEUED_BATCHES, Receiver, Wanted, failed, http, json_column, spelled};
use crate::descriptor::Options;
use crate::write::Writer;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, TimestampSecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimestampMicrosecondType, UInt32Type};
use async_trait::async_trait;
use bytes::Bytes;
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use weir_plan::ir::RemoteColumn;
use weir_plan::protocol::{CatalogTable, Change, Endpoint, WriteTarget};
use weir_plan::types::oid;
use weir_plan::{Error, Kind, Result};

/// What the dialect relies on, whatever the user's profile says: NULLs as in standard SQL, nothing cut off in silence, nothing out of a cache.
const SETTINGS: &[(&str, &str)] = &[
    ("allow_experimental_analyzer", "1"),
    ("join_use_nulls", "1"),
    ("transform_null_in", "0"),
    ("cast_keep_nullable", "1"),
    // Of GROUPING SETS: a key that a set does not have is NULL.
    ("group_by_use_nulls", "1"),
    ("force_grouping_standard_compatibility", "1"),
    ("empty_result_for_aggregation_by_empty_set", "0"),
    ("join_default_strictness", "ALL"),
    ("any_join_distinct_right_table_keys", "0"),
    ("count_distinct_implementation", "uniqExact"),
    ("decimal_check_overflow", "1"),
    ("enable_positional_arguments", "0"),
    // An OR of equalities stays one: the list that it would become takes its values in the column's type only.
    ("optimize_min_equality_disjunction_chain_length", "1000000"),
    ("optimize_min_inequality_conjunction_chain_length", "1000000"),
    // These take NULL for a value: of a condition that is NULL and is turned around, and of a group of NULL that is counted.
    ("optimize_rewrite_aggregate_function_with_if", "0"),
    ("optimize_rewrite_sum_if_to_count_if", "0"),
    ("optimize_uniq_to_count", "0"),
    // Decimals are made wide enough for what is written, not for what it would become; and a pattern is not one of regular expressions.
    ("optimize_arithmetic_operations_in_aggregate_functions", "0"),
    ("optimize_syntax_fuse_functions", "0"),
    ("optimize_or_like_chain", "0"),
    ("short_circuit_function_evaluation", "enable"),
    ("session_timezone", "UTC"),
    ("result_overflow_mode", "throw"),
    ("read_overflow_mode", "throw"),
    ("group_by_overflow_mode", "throw"),
    ("sort_overflow_mode", "throw"),
    ("distinct_overflow_mode", "throw"),
    ("join_overflow_mode", "throw"),
    ("set_overflow_mode", "throw"),
    ("transfer_overflow_mode", "throw"),
    ("timeout_overflow_mode", "throw"),
    ("limit", "0"),
    ("offset", "0"),
    ("extremes", "0"),
    ("use_query_cache", "0"),
    ("max_query_size", "16777216"),
    ("max_ast_elements", "10000000"),
    ("max_expanded_ast_elements", "10000000"),
    // Bytes are not text: text that is none must be named, not fail the whole batch.
    ("output_format_arrow_string_as_string", "0"),
    ("output_format_arrow_fixed_string_as_fixed_byte_array", "1"),
    ("output_format_arrow_low_cardinality_as_dictionary", "0"),
    ("output_format_json_quote_64bit_integers", "0"),
    ("output_format_json_quote_decimals", "0"),
    ("output_format_json_quote_denormals", "1"),
    ("http_write_exception_in_output_format", "0"),
    ("cancel_http_readonly_queries_on_client_close", "1"),
];

/// Of no rows at all, an aggregate is NULL. The dialect says so where it means it: statements of its own go without, so that a view has the rows that it
/// has for everybody there.
const NULL_OF_NOTHING: (&str, &str) = ("aggregate_functions_null_for_empty", "1");
const AS_SPELLED: (&str, &str) = ("aggregate_functions_null_for_empty", "0");

/// Time to have a statement killed.
const SHORT: Duration = Duration::from_secs(5);
/// A catalog, or what a statement prints.
const ANSWER_BYTES: usize = 256 << 20;

#[derive(Default)]
pub struct ClickHouseClient {
    pool: Pool<Session>,
}

/// A client with connections of its own.
pub struct Session {
    client: reqwest::Client,
    endpoint: Endpoint,
}

fn options(endpoint: &Endpoint) -> Options<'_> {
    Options { engine: &ENGINE, given: &endpoint.options }
}

#[async_trait]
impl Pooled for Session {
    async fn connect(endpoint: &Endpoint) -> Result<Session> {
        Ok(Session { client: http::client(endpoint, &options(endpoint), is_encrypted(&options(endpoint)))?, endpoint: endpoint.clone() })
    }

    fn trusted() -> Duration {
        http::TRUSTED
    }

    async fn is_alive(&mut self) -> bool {
        http::answers(&self.endpoint, self.client.get(format!("{}ping", address(&self.endpoint)))).await
    }

    fn max_connections(endpoint: &Endpoint) -> usize {
        options(endpoint).int("max_connections").and_then(|n| usize::try_from(n).ok()).unwrap_or(16)
    }

    fn patience(endpoint: &Endpoint) -> Duration {
        options(endpoint).timeout("connect_timeout_ms").unwrap_or(Duration::from_secs(86_400))
    }
}

/// A name for a statement, by which it can be killed; never used twice.
fn query_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    format!("pg_weir-{}-{now:x}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn is_encrypted(o: &Options) -> bool {
    !matches!(o.text("ssl_mode"), None | Some("disabled"))
}

/// Where the server is, with a slash at the end.
fn address(endpoint: &Endpoint) -> String {
    let o = options(endpoint);
    let encrypted = is_encrypted(&o);
    let port = o.int("port").unwrap_or(if encrypted { 8443 } else { 8123 });
    let host = o.text("host").unwrap_or_default();
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    format!("{}://{host}:{port}/", if encrypted { "https" } else { "http" })
}

/// A request with the credentials and the settings.
fn request(client: &reqwest::Client, endpoint: &Endpoint, query_id: &str, format: &str, more: &[(&str, &str)]) -> RequestBuilder {
    let o = options(endpoint);
    let host = o.text("host").unwrap_or_default();
    // Within the machine, compressing takes longer than to send.
    let near = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let compression = match o.text("compression") {
        Some("none") => "none",
        Some("lz4") => "lz4_frame",
        _ if near => "none",
        _ => "lz4_frame",
    };
    client
        .post(address(endpoint))
        .query(SETTINGS)
        .query(&[("output_format_arrow_compression_method", compression), ("default_format", format), ("query_id", query_id)])
        .query(more)
        .header("X-ClickHouse-User", o.text("user").unwrap_or("default"))
        .header("X-ClickHouse-Key", o.text("password").unwrap_or_default())
        .header("X-ClickHouse-Database", o.text("database").unwrap_or("default"))
}

/// Sends a statement; its answer, if that is a result in this format.
async fn send(endpoint: &Endpoint, request: RequestBuilder, body: impl Into<reqwest::Body>, format: &str) -> Result<Response> {
    let limit = options(endpoint).timeout("request_timeout_ms");
    let mut response = http::in_time(endpoint, limit, request.body(body).send()).await?;
    let header = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok());
    let (status, code, of) = (response.status(), header("X-ClickHouse-Exception-Code").is_some(), header("X-ClickHouse-Format").map(str::to_owned));
    if !status.is_success() || code {
        let page = http::body(endpoint, limit, &mut response, http::ERROR_BYTES).await?;
        let text = String::from_utf8_lossy(&page);
        return Err(error::of_text(endpoint, &text).unwrap_or_else(|| http::status_error(endpoint, status.as_u16(), &page)));
    }
    match of.as_deref() {
        Some(of) if of == format => Ok(response),
        // Nothing to return, as of a statement of DDL.
        None if header_is_clickhouse(&response) && format == "TabSeparated" => Ok(response),
        Some(of) if format != "TabSeparated" => {
            Err(failed(endpoint, "0A000", &format!("it answered in the format {of}, not {format}")).with_hint("Leave the clause FORMAT out of the query."))
        }
        Some(_) => Ok(response),
        None => Err(http::not_understood(endpoint, "The answer does not say that it is ClickHouse's.")),
    }
}

fn header_is_clickhouse(response: &Response) -> bool {
    response.headers().keys().any(|k| k.as_str().starts_with("x-clickhouse-"))
}

/// Rows of a small query, each a JSON array.
async fn rows(session: &Session, endpoint: &Endpoint, sql: &str, schema: &str) -> Result<Vec<Vec<Value>>> {
    let format = "JSONCompactEachRow";
    let request = request(&session.client, endpoint, &query_id(), format, &[("wait_end_of_query", "1"), ("param_schema", schema)]);
    let mut response = send(endpoint, request, sql.to_owned(), format).await?;
    let limit = options(endpoint).timeout("request_timeout_ms");
    let bytes = http::body(endpoint, limit, &mut response, ANSWER_BYTES).await?;
    let rows = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(serde_json::from_slice).collect::<Result<_, _>>();
    rows.map_err(|e| http::not_understood(endpoint, format!("A row of the catalog is no JSON: {e}")))
}

/// The types of the columns that are written.
async fn remote_types(session: &Session, endpoint: &Endpoint, table: &str, target: &WriteTarget) -> Result<Vec<String>> {
    let described = rows(session, endpoint, &format!("DESCRIBE TABLE {table}"), "").await?;
    let text = |row: &[Value], i: usize| row.get(i).and_then(Value::as_str).unwrap_or_default().to_owned();
    let of = |name: &str| {
        described.iter().find(|row| text(row, 0) == name).map(|row| text(row, 1)).ok_or_else(|| {
            failed(endpoint, "HV005", &format!("table {table} has no column \"{name}\""))
                .with_hint("The remote table has changed: import it again, or set the option \"column_name\".")
        })
    };
    target.columns.iter().map(|c| of(&c.name)).collect()
}

impl ClickHouseClient {
    /// Gives rows other values; how many there were.
    async fn update(&self, endpoint: &Endpoint, target: &WriteTarget, batch: &RecordBatch) -> Result<u64> {
        let (writer, scalars) = spelled(endpoint, target, batch)?;
        let made = {
            let lease = self.pool.lease(endpoint).await?;
            let types = remote_types(&lease.connection, endpoint, writer.table(), target).await?;
            let made = change::update(&endpoint.name, &writer, &types, &scalars)?;
            for check in &made.checks {
                rows(&lease.connection, endpoint, check, "").await?;
            }
            lease.give_back();
            made
        };
        let mut changed = 0;
        for statement in made.statements {
            let n = self.count(endpoint, statement.count.as_deref().unwrap_or_default()).await?;
            writer.check(statement.rows, n)?;
            if n > 0 && !statement.sql.is_empty() {
                self.alter(endpoint, &statement.sql).await?;
            }
            changed += n;
        }
        Ok(changed)
    }
}

#[async_trait]
impl Client for ClickHouseClient {
    async fn query(&self, endpoint: &Endpoint, sql: String, wanted: Wanted) -> Result<Receiver> {
        let lease = self.pool.lease(endpoint).await?;
        let (sender, receiver) = mpsc::channel(QUEUED_BATCHES);
        tokio::spawn(produce(lease, sql, wanted, sender));
        Ok(receiver)
    }

    async fn execute(&self, endpoint: &Endpoint, sql: &str) -> Result<u64> {
        let lease = self.pool.lease(endpoint).await?;
        let id = query_id();
        let guard = KillOnDrop { target: Some((lease.connection.client.clone(), endpoint.clone(), id.clone())), changes: false };
        let limit = options(endpoint).timeout("request_timeout_ms");
        let request = request(&lease.connection.client, endpoint, &id, "TabSeparated", &[("wait_end_of_query", "1"), NULL_OF_NOTHING]);
        let result: Result<u64> = async {
            let mut response = send(endpoint, request, sql.to_owned(), "TabSeparated").await?;
            let written = response.headers().get("X-ClickHouse-Summary").and_then(|v| serde_json::from_slice::<Value>(v.as_bytes()).ok());
            while http::in_time(endpoint, limit, response.chunk()).await?.is_some() {}
            Ok(written.and_then(|s| s.get("written_rows")?.as_str()?.parse().ok()).unwrap_or(0))
        }
        .await;
        if !matches!(&result, Err(e) if e.sqlstate == "57014") {
            guard.disarm();
        }
        lease.give_back();
        result
    }

    async fn write(&self, endpoint: &Endpoint, target: &WriteTarget, batch: &RecordBatch) -> Result<u64> {
        let server = endpoint.name.as_str();
        match target.change {
            Change::Delete => return self.write_as_sql(endpoint, target, batch).await,
            Change::Update => return self.update(endpoint, target, batch).await,
            Change::Insert { skip_conflicts: false } if !target.columns.is_empty() => {}
            Change::Insert { .. } => return Err(Error::refused(format!("server \"{server}\" takes plain rows only"))),
        }
        let writer = Writer::new(&ENGINE, server, &endpoint.options, target)?;
        let lease = self.pool.lease(endpoint).await?;
        let types = remote_types(&lease.connection, endpoint, writer.table(), target).await?;
        let targets: Vec<_> = writer.columns().0.iter().cloned().zip(types).map(|(ident, remote_type)| insert::Target { ident, remote_type }).collect();
        let sql = insert::statement(server, writer.table(), &target.columns, &targets)?;
        let body = insert::stream(server, &target.columns, batch)?;
        let id = query_id();
        let guard = KillOnDrop { target: Some((lease.connection.client.clone(), endpoint.clone(), id.clone())), changes: false };
        let request = request(&lease.connection.client, endpoint, &id, "TabSeparated", insert::SETTINGS).query(&[("query", sql)]);
        let limit = options(endpoint).timeout("request_timeout_ms");
        let result = async {
            let mut response = send(endpoint, request, body, "TabSeparated").await?;
            while http::in_time(endpoint, limit, response.chunk()).await?.is_some() {}
            Ok(batch.num_rows() as u64)
        }
        .await;
        if !matches!(&result, Err(Error { sqlstate, .. }) if sqlstate == "57014") {
            guard.disarm();
        }
        lease.give_back();
        result
    }

    /// With a condition that names this change, so that it can be killed.
    async fn alter(&self, endpoint: &Endpoint, sql: &str) -> Result<()> {
        let lease = self.pool.lease(endpoint).await?;
        let id = query_id();
        let guard = KillOnDrop { target: Some((lease.connection.client.clone(), endpoint.clone(), id.clone())), changes: true };
        let settings: &[(&str, &str)] = &[("wait_end_of_query", "1"), ("mutations_sync", "2"), ("lightweight_deletes_sync", "2")];
        let request = request(&lease.connection.client, endpoint, &id, "TabSeparated", settings);
        let limit = options(endpoint).timeout("request_timeout_ms");
        async {
            let mut response = send(endpoint, request, format!("{sql} AND ('{id}' <> '')"), "TabSeparated").await?;
            while http::in_time(endpoint, limit, response.chunk()).await?.is_some() {}
            Ok::<(), Error>(())
        }
        .await?;
        // What has failed may be tried again.
        guard.disarm();
        lease.give_back();
        Ok(())
    }

    async fn forget(&self, server: Option<u32>) -> u64 {
        self.pool.forget(server)
    }

    async fn catalog(&self, endpoint: &Endpoint, schema: &str) -> Result<Vec<CatalogTable>> {
        let lease = self.pool.lease(endpoint).await?;
        if rows(&lease.connection, endpoint, catalog::SCHEMA, schema).await?.is_empty() {
            return Err(Error {
                sqlstate: "HV00P".into(),
                ..Error::new(Kind::BadOption, format!("server \"{}\" has no database \"{schema}\"", endpoint.name))
            });
        }
        let tables = rows(&lease.connection, endpoint, catalog::TABLES, schema).await?;
        let columns = rows(&lease.connection, endpoint, catalog::COLUMNS, schema).await?;
        lease.give_back();
        Ok(catalog::tables(&tables, &columns))
    }
}

/// Kills a statement unless told otherwise.
struct KillOnDrop {
    target: Option<(reqwest::Client, Endpoint, String)>,
    /// What it changes is changed in the background.
    changes: bool,
}

impl KillOnDrop {
    fn disarm(mut self) {
        self.target = None;
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if let (Some((client, endpoint, id)), Ok(runtime)) = (self.target.take(), tokio::runtime::Handle::try_current()) {
            let changes = self.changes;
            runtime.spawn(async move { if changes { kill_change(&client, &endpoint, &id).await } else { kill(&client, &endpoint, &id).await } });
        }
    }
}

async fn kill(client: &reqwest::Client, endpoint: &Endpoint, id: &str) {
    let request = request(client, endpoint, &query_id(), "TabSeparated", &[]);
    // The name is ours: letters, digits and dashes.
    let killing = send(endpoint, request, format!("KILL QUERY WHERE query_id = '{id}' ASYNC"), "TabSeparated");
    killed(endpoint, killing).await;
}

/// Kills a statement, and the change that it has begun.
async fn kill_change(client: &reqwest::Client, endpoint: &Endpoint, id: &str) {
    let request = request(client, endpoint, &query_id(), "TabSeparated", &[]);
    killed(endpoint, send(endpoint, request, format!("KILL MUTATION WHERE NOT is_done AND position(command, '{id}') > 0 ASYNC"), "TabSeparated")).await;
    kill(client, endpoint, id).await;
}

async fn killed(endpoint: &Endpoint, killing: impl Future<Output = Result<Response>>) {
    match tokio::time::timeout(SHORT, killing).await {
        Ok(Ok(_)) => {}
        Ok(Err(e)) => tracing::warn!("could not cancel a query: {e}"),
        Err(_) => tracing::warn!("server \"{}\": could not cancel a query in time", endpoint.name),
    }
}

/// Runs a query and sends what it returns until nobody listens any more.
async fn produce(lease: Lease<Session>, sql: String, wanted: Wanted, sender: mpsc::Sender<Result<RecordBatch>>) {
    let endpoint = lease.endpoint().clone();
    let client = lease.connection.client.clone();
    let id = query_id();
    let pumped = tokio::select! {
        biased;
        () = sender.closed() => None,
        result = pump(&client, &endpoint, &id, sql, wanted, &sender) => Some(result),
    };
    match pumped {
        Some(Ok(())) => lease.give_back(),
        Some(Err(e)) => {
            // What the server refused, or could not be sent, does not run there.
            let may_run = e.kind == Kind::Remote && !e.sqlstate.starts_with("0800");
            let _ = sender.send(Err(e)).await;
            if may_run { kill(&client, &endpoint, &id).await } else { lease.give_back() }
        }
        None => kill(&client, &endpoint, &id).await,
    }
}

/// What a body's bytes become.
enum Sink {
    Arrow {
        decoder: Decoder,
        columns: Vec<RemoteColumn>,
        conform: Option<Conform>,
    },
    /// Lines, each one JSON object.
    Lines {
        rest: Vec<u8>,
        batches: Batches,
    },
}

impl Sink {
    fn push(&mut self, endpoint: &Endpoint, bytes: Bytes) -> Result<Vec<RecordBatch>> {
        match self {
            Sink::Arrow { decoder, columns, conform } => {
                let mut out = Vec::new();
                for batch in decoder.push(endpoint, bytes)? {
                    let batch = ours(endpoint, &batch, columns)?;
                    if conform.is_none() {
                        *conform = Some(Conform::new(endpoint, columns, batch.schema_ref())?);
                    }
                    if let Some(conform) = conform {
                        out.push(conform.batch(&batch)?);
                    }
                }
                Ok(out)
            }
            Sink::Lines { rest, batches } => {
                rest.extend(bytes);
                let Some(end) = rest.iter().rposition(|b| *b == b'\n') else {
                    return if rest.len() > BATCH_BYTES * 16 { Err(http::not_understood(endpoint, "A single row is too long.")) } else { Ok(Vec::new()) };
                };
                let after = rest.split_off(end + 1);
                let lines = std::mem::replace(rest, after);
                let mut out = Vec::new();
                for line in lines.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
                    batches.put(0, Cell::Bytes(line))?;
                    out.extend(batches.end_row()?);
                }
                Ok(out)
            }
        }
    }

    fn finish(&mut self, endpoint: &Endpoint) -> Result<Option<RecordBatch>> {
        match self {
            Sink::Arrow { decoder, .. } => decoder.finish(endpoint).map(|()| None),
            Sink::Lines { rest, batches } if rest.is_empty() => batches.finish(),
            Sink::Lines { .. } => Err(http::not_understood(endpoint, "The result ended too early.")),
        }
    }
}

async fn pump(client: &reqwest::Client, endpoint: &Endpoint, id: &str, sql: String, wanted: Wanted, sender: &mpsc::Sender<Result<RecordBatch>>) -> Result<()> {
    // A query that only reads ends at the server when the connection does, whatever becomes of this process.
    let (format, more, mut sink): (_, &[_], _) = match wanted {
        Wanted::Columns(columns) => ("ArrowStream", &[("readonly", "2"), AS_SPELLED], Sink::Arrow { decoder: Decoder::new(), columns, conform: None }),
        Wanted::Json => ("JSONEachRow", &[NULL_OF_NOTHING], Sink::Lines { rest: Vec::new(), batches: Batches::new(&endpoint.name, vec![json_column()])? }),
    };
    let mut response = send(endpoint, request(client, endpoint, id, format, more), sql, format).await?;
    let tag = response.headers().get("X-ClickHouse-Exception-Tag").and_then(|v| v.to_str().ok());
    let mut watch = Watch::new(tag);
    let limit = options(endpoint).timeout("request_timeout_ms");
    loop {
        let chunk = match http::in_time(endpoint, limit, response.chunk()).await {
            Ok(chunk) => chunk,
            // The server breaks off after an exception.
            Err(e) => return Err(watch.exception(endpoint).unwrap_or(e)),
        };
        let ended = chunk.is_none();
        let parts = match chunk {
            Some(chunk) => watch.push(chunk),
            None => [watch.rest(), Bytes::new()],
        };
        if watch.has_exception() {
            if ended {
                return Err(watch.exception(endpoint).unwrap_or_else(|| http::not_understood(endpoint, "The result broke off.")));
            }
            continue;
        }
        for bytes in parts.into_iter().filter(|part| !part.is_empty()) {
            for batch in sink.push(endpoint, bytes).map_err(|e| watch.exception(endpoint).unwrap_or(e))? {
                // An error means that the reader is gone, which the caller sees as well.
                if sender.send(Ok(batch)).await.is_err() {
                    return Err(failed(endpoint, "57014", "the reader is gone"));
                }
            }
        }
        if ended {
            let last = sink.finish(endpoint).map_err(|e| watch.exception(endpoint).unwrap_or(e))?;
            if let Some(batch) = last {
                let _ = sender.send(Ok(batch)).await;
            }
            return Ok(());
        }
    }
}

/// ClickHouse's Arrow types as the dialect means them: text arrives as bytes, a DateTime as seconds in an unsigned integer, and a timestamp
/// without time zone is what the instant is in UTC.
///
/// # Errors
/// A batch that cannot be rebuilt, which its own schema rules out.
fn ours(endpoint: &Endpoint, batch: &RecordBatch, columns: &[RemoteColumn]) -> Result<RecordBatch> {
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    // Where no column was asked for, the one that counts the rows is dropped.
    for (i, array) in batch.columns().iter().enumerate().take(if columns.is_empty() { 0 } else { usize::MAX }) {
        let declared = columns.get(i).map(|c| c.ty);
        let is_text = declared.is_some_and(|t| t.is_text_like());
        let base = declared.map_or(0, |t| t.base);
        let array = match (array.data_type(), base) {
            // What is no text is left for the conversion that names it.
            (DataType::Binary, _) if is_text || base == oid::UUID => {
                StringArray::try_from_binary(array.as_binary::<i32>().clone()).map_or_else(|_| Arc::clone(array), |text| Arc::new(text) as ArrayRef)
            }
            (DataType::UInt32, oid::TIMESTAMP | oid::TIMESTAMPTZ) => {
                let seconds: TimestampSecondArray = array.as_primitive::<UInt32Type>().unary(i64::from);
                if base == oid::TIMESTAMPTZ { Arc::new(seconds.with_timezone("UTC")) } else { Arc::new(seconds) as ArrayRef }
            }
            (DataType::Timestamp(..), oid::TIMESTAMP) => match array.as_primitive_opt::<TimestampMicrosecondType>() {
                Some(micros) => Arc::new(micros.clone().with_timezone_opt(None::<&str>)) as ArrayRef,
                None => without_zone(array),
            },
            _ => Arc::clone(array),
        };
        fields.push(Field::new(format!("r{i}"), array.data_type().clone(), true));
        arrays.push(array);
    }
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).map_err(|e| http::not_understood(endpoint, e.to_string()))
}

/// A timestamp of whatever unit without its time zone.
fn without_zone(array: &ArrayRef) -> ArrayRef {
    let DataType::Timestamp(unit, _) = array.data_type() else { return Arc::clone(array) };
    let data = array.to_data().into_builder().data_type(DataType::Timestamp(*unit, None));
    data.build().map_or_else(|_| Arc::clone(array), arrow::array::make_array)
}
