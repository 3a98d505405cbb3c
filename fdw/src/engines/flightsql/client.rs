//! The client: results of all endpoints one after the other, as Arrow; a query that nobody waits for any more is cancelled.
//!
//! StarRocks's Flight SQL port is spoken to from here, too.

use super::catalog;
use super::connection::{Connection, in_time, of_flight, options};
use crate::client::{Client, Lease, Pool, QUEUED_BATCHES, Receiver, Wanted, conformed, failed, plain_rows};
use arrow::array::RecordBatch;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any, CommandPreparedStatementQuery,
    CommandStatementIngest, CommandStatementUpdate, DoPutUpdateResult, ProstMessageExt, TableDefinitionOptions, TableExistsOption, TableNotExistOption,
};
use arrow_flight::{Action, CancelFlightInfoRequest, FlightData, FlightDescriptor, FlightInfo, Ticket};
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use prost::Message;
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::Code;
use weir_plan::protocol::{CatalogTable, Change, Endpoint, WriteTarget};
use weir_plan::{Kind, Result};

/// Time to have a query cancelled.
const SHORT: Duration = Duration::from_secs(5);

#[derive(Default)]
pub struct FlightSqlClient {
    pool: Pool<Connection>,
}

/// What a command was answered with: the parts of its result, and what has to be closed afterwards.
pub struct Started {
    pub info: FlightInfo,
    prepared: Option<bytes::Bytes>,
}

fn is_unimplemented(e: &FlightError) -> bool {
    matches!(e, FlightError::Tonic(status) if status.code() == Code::Unimplemented)
}

/// Starts a query; as a prepared statement where the server has no other.
pub async fn start(connection: &mut Connection, endpoint: &Endpoint, sql: &str) -> Result<Started> {
    let limited = |e: FlightError| of_flight(endpoint, &e);
    let direct = in_time(endpoint, async { Ok(connection.sql.execute(sql.to_owned(), None).await) }).await?;
    match direct {
        Ok(info) => return Ok(Started { info, prepared: None }),
        Err(e) if !is_unimplemented(&e) => return Err(limited(e)),
        Err(_) => {}
    }
    in_time(endpoint, async {
        let mut flight = connection.flight()?;
        let request = ActionCreatePreparedStatementRequest { query: sql.to_owned(), transaction_id: None };
        let mut answers = flight.do_action(Action::new("CreatePreparedStatement", request.as_any().encode_to_vec())).await?;
        let answer = answers.try_next().await?.ok_or_else(|| FlightError::protocol("no answer to a statement that was to be prepared"))?;
        let prepared: ActionCreatePreparedStatementResult =
            Any::decode(answer)?.unpack()?.ok_or_else(|| FlightError::protocol("another answer than a prepared statement"))?;
        let handle = prepared.prepared_statement_handle;
        let command = CommandPreparedStatementQuery { prepared_statement_handle: handle.clone() };
        let info = flight.get_flight_info(FlightDescriptor::new_cmd(command.as_any().encode_to_vec())).await?;
        Ok(Started { info, prepared: Some(handle) })
    })
    .await
}

/// Ends what the server still holds.
pub async fn finish(connection: &Connection, endpoint: &Endpoint, started: Started, cancel: bool) {
    let ending = async {
        let mut flight = connection.flight()?;
        if cancel {
            match flight.cancel_flight_info(CancelFlightInfoRequest::new(started.info)).await {
                Err(e) if !is_unimplemented(&e) => tracing::debug!("server \"{}\": could not cancel a query: {e}", endpoint.name),
                _ => {}
            }
        }
        if let Some(handle) = started.prepared {
            let request = ActionClosePreparedStatementRequest { prepared_statement_handle: handle };
            let answers = flight.do_action(Action::new("ClosePreparedStatement", request.as_any().encode_to_vec())).await?;
            let _ = answers.try_collect::<Vec<_>>().await?;
        }
        Ok::<_, FlightError>(())
    };
    if !matches!(tokio::time::timeout(SHORT, ending).await, Ok(Ok(()))) {
        tracing::debug!("server \"{}\": a query was not closed in order", endpoint.name);
    }
}

/// Hands on the batches of all parts of a result, as long as the receiver of `each` wants them.
///
/// # Errors
/// Of the server, or of `each`.
pub async fn read<F, G>(connection: &mut Connection, endpoint: &Endpoint, info: &FlightInfo, mut each: F) -> Result<()>
where
    F: FnMut(RecordBatch) -> G + Send,
    G: Future<Output = Result<()>> + Send,
{
    for part in &info.endpoint {
        let ticket = part.ticket.clone().unwrap_or_else(|| Ticket::new(Vec::new()));
        let mut elsewhere = None;
        if let Some(location) = part.location.first() {
            // Any location has the same rows.
            let mut failure = None;
            for location in std::iter::once(location).chain(part.location.iter().skip(1)) {
                match connection.at(endpoint, &location.uri).await {
                    Ok(found) => {
                        (elsewhere, failure) = (found, None);
                        break;
                    }
                    Err(e) => failure = Some(e),
                }
            }
            if let Some(e) = failure {
                return Err(e);
            }
        }
        let client = elsewhere.as_mut().unwrap_or(&mut connection.sql);
        let mut batches = in_time(endpoint, client.do_get(ticket)).await?;
        while let Some(batch) = in_time(endpoint, async { batches.next().await.transpose() }).await? {
            each(batch).await?;
        }
    }
    Ok(())
}

/// Runs a query and sends what it returns until nobody listens any more.
async fn produce(mut lease: Lease<Connection>, sql: String, wanted: Wanted, sender: mpsc::Sender<Result<RecordBatch>>) {
    let endpoint = lease.endpoint().clone();
    let mut started = None;
    let pumped = tokio::select! {
        biased;
        () = sender.closed() => None,
        result = pump(&mut lease.connection, &endpoint, &sql, &wanted, &sender, &mut started) => Some(result),
    };
    let whole = matches!(pumped, Some(Ok(())));
    let mut broken = false;
    if let Some(Err(e)) = pumped {
        broken = e.kind != Kind::Query;
        let _ = sender.send(Err(e)).await;
    }
    if let Some(started) = started {
        finish(&lease.connection, &endpoint, started, !whole).await;
    }
    if !broken {
        lease.give_back();
    }
}

async fn pump(
    connection: &mut Connection,
    endpoint: &Endpoint,
    sql: &str,
    wanted: &Wanted,
    sender: &mpsc::Sender<Result<RecordBatch>>,
    started: &mut Option<Started>,
) -> Result<()> {
    let info = started.insert(start(connection, endpoint, sql).await?).info.clone();
    read(connection, endpoint, &info, |batch| async move {
        for batch in conformed(endpoint, wanted, &batch)? {
            if sender.send(Ok(batch)).await.is_err() {
                return Err(failed(endpoint, "57014", "the reader is gone"));
            }
        }
        Ok(())
    })
    .await
}

impl FlightSqlClient {
    pub async fn lease(&self, endpoint: &Endpoint) -> Result<Lease<Connection>> {
        self.pool.lease(endpoint).await
    }
}

/// Runs a statement for its effect.
async fn update(connection: &mut Connection, endpoint: &Endpoint, sql: &str) -> Result<u64> {
    let command = CommandStatementUpdate { query: sql.to_owned(), transaction_id: None };
    let data = FlightData::new().with_descriptor(FlightDescriptor::new_cmd(command.as_any().encode_to_vec()));
    let answered = in_time(endpoint, async {
        let mut flight = connection.flight()?;
        let first = async { flight.do_put(futures::stream::iter([Ok(data)])).await?.try_next().await }.await;
        match first {
            Err(e) if is_unimplemented(&e) => Ok(None),
            Err(e) => Err(e),
            Ok(None) => Ok(Some(-1)),
            Ok(Some(answer)) => Ok(Some(DoPutUpdateResult::decode(answer.app_metadata)?.record_count)),
        }
    })
    .await?;
    if let Some(rows) = answered {
        // -1: the server does not know.
        return Ok(u64::try_from(rows).unwrap_or(0));
    }
    let started = start(connection, endpoint, sql).await?;
    let info = started.info.clone();
    let read = read(connection, endpoint, &info, |_| async { Ok(()) }).await;
    finish(connection, endpoint, started, read.is_err()).await;
    read.map(|()| 0)
}

#[async_trait]
impl Client for FlightSqlClient {
    async fn query(&self, endpoint: &Endpoint, sql: String, wanted: Wanted) -> Result<Receiver> {
        let lease = self.pool.lease(endpoint).await?;
        let (sender, receiver) = mpsc::channel(QUEUED_BATCHES);
        tokio::spawn(produce(lease, sql, wanted, sender));
        Ok(receiver)
    }

    async fn execute(&self, endpoint: &Endpoint, sql: &str) -> Result<u64> {
        // Dropped before its end, the call is reset, which is all that the protocol has for a statement without a result.
        let mut lease = self.pool.lease(endpoint).await?;
        update(&mut lease.connection, endpoint, sql).await
    }

    async fn forget(&self, server: Option<u32>) -> u64 {
        self.pool.forget(server)
    }

    async fn catalog(&self, endpoint: &Endpoint, schema: &str) -> Result<Vec<CatalogTable>> {
        let mut lease = self.pool.lease(endpoint).await?;
        let tables = catalog::tables(&mut lease.connection, endpoint, options(endpoint).text("catalog"), schema).await?;
        lease.give_back();
        Ok(tables)
    }

    async fn write(&self, endpoint: &Endpoint, target: &WriteTarget, rows: &RecordBatch) -> Result<u64> {
        let plain = match target.change {
            Change::Insert { skip_conflicts: false } => plain_rows(target, rows),
            _ => None,
        };
        if let Some(plain) = plain {
            let mut lease = self.pool.lease(endpoint).await?;
            let written = ingest(&mut lease.connection, endpoint, target, plain).await;
            // Of a server that does not take rows as Arrow, nothing has become of them yet.
            if !matches!(&written, Err(e) if e.sqlstate == "0A000") {
                if written.is_ok() {
                    lease.give_back();
                }
                return written;
            }
        }
        self.write_as_sql(endpoint, target, rows).await
    }
}

/// Adds rows to a table that is there.
async fn ingest(connection: &mut Connection, endpoint: &Endpoint, target: &WriteTarget, rows: RecordBatch) -> Result<u64> {
    let own = |n: &str| target.options.iter().find(|(o, _)| o == n).map(|(_, v)| v.clone());
    let command = CommandStatementIngest {
        table_definition_options: Some(TableDefinitionOptions { if_not_exist: TableNotExistOption::Fail.into(), if_exists: TableExistsOption::Append.into() }),
        table: own("table_name").unwrap_or_else(|| target.name.clone()),
        schema: own("schema_name"),
        catalog: own("catalog_name").or_else(|| options(endpoint).text("catalog").map(str::to_owned)),
        ..CommandStatementIngest::default()
    };
    let n = rows.num_rows();
    let data = FlightDataEncoderBuilder::new()
        .with_flight_descriptor(Some(FlightDescriptor::new_cmd(command.as_any().encode_to_vec())))
        .build(futures::stream::iter([Ok(rows)]));
    let added = in_time(endpoint, async {
        let answer = connection.flight()?.do_put(data).await?.try_next().await?;
        let answer = answer.ok_or_else(|| FlightError::protocol("no answer to rows that were sent"))?;
        Ok(DoPutUpdateResult::decode(answer.app_metadata)?.record_count)
    })
    .await?;
    // -1: the server does not know.
    match u64::try_from(added) {
        Ok(added) if usize::try_from(added) != Ok(n) => Err(failed(endpoint, "HV000", &format!("it took {added} rows of {n}"))),
        _ => Ok(n as u64),
    }
}
