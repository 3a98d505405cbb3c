//! A Flight SQL server for tests: who must say who he is, results in parts and in two places, tables that can be filled, and everything that can go
//! wrong with a result. It reads no SQL but the columns and the table of `SELECT "t1"."a", … FROM "table" …`, also with backticks.
//!
//! weir-flight --port P --second P [--user U --password W | --token T] [--prepared] [--certificate FILE --key FILE]

mod tables;

use arrow::array::{ArrayRef, BinaryArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::sql::server::{FlightSqlService, PeekableFlightDataStream};
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, CommandGetDbSchemas, CommandGetPrimaryKeys,
    CommandGetTables, CommandPreparedStatementQuery, CommandStatementIngest, CommandStatementQuery, CommandStatementUpdate, ProstMessageExt, SqlInfo,
    TicketStatementQuery,
};
use arrow_flight::{
    Action, CancelFlightInfoResult, CancelStatus, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest, HandshakeResponse, IpcMessage,
    SchemaAsIpc, Ticket,
};
use futures::{Stream, StreamExt, TryStreamExt};
use prost::Message;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tables::Table;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

type Answer<T> = Result<Response<T>, Status>;
type DoGet = <Service as FlightService>::DoGetStream;

#[derive(Default)]
struct State {
    /// Results that are being read.
    running: AtomicUsize,
    /// Results whose reader has said that he does not want them any more.
    cancelled: AtomicUsize,
    filled: Mutex<HashMap<String, Vec<RecordBatch>>>,
}

#[derive(Clone)]
struct Service {
    state: Arc<State>,
    second: String,
    /// What the header "authorization" must say.
    bearer: Option<String>,
    /// What a handshake must bring.
    basic: Option<String>,
    prepared_only: bool,
}

/// Counts a result for as long as it is read.
struct Running(Arc<State>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

fn header<T>(request: &Request<T>) -> &str {
    request.metadata().get("authorization").and_then(|v| v.to_str().ok()).unwrap_or_default()
}

fn internal(e: impl std::fmt::Display) -> Status {
    Status::internal(e.to_string())
}

impl Service {
    fn check<T>(&self, request: &Request<T>) -> Result<(), Status> {
        match &self.bearer {
            Some(wanted) if header(request) != wanted.as_str() => Err(Status::unauthenticated("who are you?")),
            _ => Ok(()),
        }
    }

    fn table(&self, name: &str) -> Result<Table, Status> {
        let filled = self.state.filled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(batches) = filled.get(name) {
            return Ok(Table::Rows(batches.clone()));
        }
        let counts = || (self.state.running.load(Ordering::SeqCst), self.state.cancelled.load(Ordering::SeqCst));
        tables::named(name, counts).ok_or_else(|| Status::not_found(format!("there is no table {name}")))
    }

    fn info(&self, sql: &str) -> Result<FlightInfo, Status> {
        let (table, columns) = tables::parse(sql).ok_or_else(|| Status::invalid_argument(format!("it cannot be read: {sql}")))?;
        if table == "forbidden" {
            return Err(Status::permission_denied("not for you"));
        }
        let schema = self.table(&table)?.schema(&columns).ok_or_else(|| Status::invalid_argument(format!("there is no such column: {columns:?}")))?;
        let parts = if table == "numbers" { tables::PARTS } else { 1 };
        let mut info = FlightInfo::new().try_with_schema(&schema).map_err(internal)?;
        for part in 0..parts {
            let handle = format!("{table}|{}|{part}", columns.join(",")).into_bytes().into();
            let ticket = TicketStatementQuery { statement_handle: handle }.as_any().encode_to_vec();
            let here = FlightEndpoint::new().with_ticket(Ticket::new(ticket));
            info = info.with_endpoint(match part {
                0 => here,
                1 => here.with_location("arrow-flight-reuse-connection://?"),
                _ => here.with_location(self.second.clone()),
            });
        }
        Ok(info)
    }

    fn rows(&self, handle: &[u8]) -> Result<DoGet, Status> {
        let text = String::from_utf8_lossy(handle).into_owned();
        let mut fields = text.split('|');
        let (table, columns, part) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        let columns: Vec<String> = columns.split(',').filter(|c| !c.is_empty()).map(str::to_owned).collect();
        let source = self.table(table)?;
        let schema = source.schema(&columns).ok_or_else(|| Status::invalid_argument("there is no such column"))?;
        self.state.running.fetch_add(1, Ordering::SeqCst);
        let running = Running(Arc::clone(&self.state));
        let batches = source.batches(&columns, part.parse().unwrap_or(0));
        let garbage = matches!(source, Table::Garbage);
        let data = FlightDataEncoderBuilder::new().with_schema(schema).build(batches).map_err(Status::from).map_ok(move |mut d: FlightData| {
            if garbage {
                d.data_header = vec![0xff; 64].into();
            }
            d
        });
        Ok(data
            .inspect(move |_| {
                let _ = &running;
            })
            .boxed())
    }

    /// A list as a table.
    fn listed(batch: RecordBatch) -> Answer<DoGet> {
        let data = FlightDataEncoderBuilder::new().with_schema(batch.schema()).build(futures::stream::iter([Ok::<_, FlightError>(batch)]));
        Ok(Response::new(data.map_err(Status::from).boxed()))
    }

    fn described(command: &impl ProstMessageExt, schema: &Schema) -> Answer<FlightInfo> {
        let ticket = Ticket::new(command.as_any().encode_to_vec());
        let info = FlightInfo::new().try_with_schema(schema).map_err(internal)?.with_endpoint(FlightEndpoint::new().with_ticket(ticket));
        Ok(Response::new(info))
    }

    fn fill(&self, table: &str, batches: Vec<RecordBatch>) -> i64 {
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        self.state.filled.lock().unwrap_or_else(PoisonError::into_inner).entry(table.to_owned()).or_default().extend(batches);
        i64::try_from(rows).unwrap_or(-1)
    }
}

fn tables_schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let fields =
        vec![text("catalog_name"), text("db_schema_name"), text("table_name"), text("table_type"), Field::new("table_schema", DataType::Binary, false)];
    Arc::new(Schema::new(fields))
}

fn keys_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("table_name", DataType::Utf8, false), Field::new("column_name", DataType::Utf8, false)]))
}

#[tonic::async_trait]
impl FlightSqlService for Service {
    type FlightService = Service;

    async fn do_handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Answer<Pin<Box<dyn Stream<Item = Result<HandshakeResponse, Status>> + Send>>> {
        match &self.basic {
            None => return Err(Status::unimplemented("no handshake")),
            Some(wanted) if header(&request) != wanted.as_str() => return Err(Status::unauthenticated("wrong user or password")),
            Some(_) => {}
        }
        let mut answer: Response<Pin<Box<dyn Stream<Item = _> + Send>>> = Response::new(Box::pin(futures::stream::iter([Ok(HandshakeResponse::default())])));
        let token = self.bearer.clone().unwrap_or_default().parse().map_err(internal)?;
        answer.metadata_mut().insert("authorization", token);
        Ok(answer)
    }

    async fn get_flight_info_statement(&self, query: CommandStatementQuery, request: Request<FlightDescriptor>) -> Answer<FlightInfo> {
        self.check(&request)?;
        if self.prepared_only {
            return Err(Status::unimplemented("prepared statements only"));
        }
        self.info(&query.query).map(Response::new)
    }

    async fn get_flight_info_prepared_statement(&self, query: CommandPreparedStatementQuery, request: Request<FlightDescriptor>) -> Answer<FlightInfo> {
        self.check(&request)?;
        self.info(&String::from_utf8_lossy(&query.prepared_statement_handle)).map(Response::new)
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        self.check(&request)?;
        Ok(ActionCreatePreparedStatementResult { prepared_statement_handle: query.query.into_bytes().into(), ..Default::default() })
    }

    async fn do_action_close_prepared_statement(&self, _: ActionClosePreparedStatementRequest, request: Request<Action>) -> Result<(), Status> {
        self.check(&request)
    }

    async fn do_get_statement(&self, ticket: TicketStatementQuery, request: Request<Ticket>) -> Answer<DoGet> {
        self.check(&request)?;
        self.rows(&ticket.statement_handle).map(Response::new)
    }

    async fn get_flight_info_tables(&self, query: CommandGetTables, request: Request<FlightDescriptor>) -> Answer<FlightInfo> {
        self.check(&request)?;
        Self::described(&query, &tables_schema())
    }

    async fn do_get_tables(&self, query: CommandGetTables, request: Request<Ticket>) -> Answer<DoGet> {
        self.check(&request)?;
        let mut names: Vec<&str> = if query.db_schema_filter_pattern.as_deref() == Some("shop") { tables::NAMES.to_vec() } else { Vec::new() };
        names.sort_unstable();
        let ipc = |name: &str| -> Result<Vec<u8>, Status> {
            let schema = self.table(name)?.schema(&[]).ok_or_else(|| internal("no schema"))?;
            let message = IpcMessage::try_from(SchemaAsIpc::new(&schema, &Default::default())).map_err(internal)?;
            Ok(message.0.to_vec())
        };
        let schemas = names.iter().map(|n| ipc(n)).collect::<Result<Vec<_>, _>>()?;
        let text = |value: &str| Arc::new(StringArray::from(vec![value; names.len()])) as ArrayRef;
        let columns: Vec<ArrayRef> =
            vec![text("test"), text("shop"), Arc::new(StringArray::from(names.clone())), text("TABLE"), Arc::new(BinaryArray::from_iter_values(schemas))];
        Self::listed(RecordBatch::try_new(tables_schema(), columns).map_err(internal)?)
    }

    async fn get_flight_info_schemas(&self, query: CommandGetDbSchemas, request: Request<FlightDescriptor>) -> Answer<FlightInfo> {
        self.check(&request)?;
        let schema = query.into_builder().schema();
        Self::described(&CommandGetDbSchemas::default(), &schema)
    }

    async fn do_get_schemas(&self, query: CommandGetDbSchemas, request: Request<Ticket>) -> Answer<DoGet> {
        self.check(&request)?;
        let mut schemas = query.into_builder();
        schemas.append("test", "shop");
        Self::listed(schemas.build().map_err(internal)?)
    }

    async fn get_flight_info_primary_keys(&self, query: CommandGetPrimaryKeys, request: Request<FlightDescriptor>) -> Answer<FlightInfo> {
        self.check(&request)?;
        Self::described(&query, &keys_schema())
    }

    async fn do_get_primary_keys(&self, query: CommandGetPrimaryKeys, request: Request<Ticket>) -> Answer<DoGet> {
        self.check(&request)?;
        let keys = if query.table == "numbers" { vec!["id"] } else { Vec::new() };
        let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(vec![query.table.as_str(); keys.len()])), Arc::new(StringArray::from(keys))];
        Self::listed(RecordBatch::try_new(keys_schema(), columns).map_err(internal)?)
    }

    async fn do_put_statement_update(&self, query: CommandStatementUpdate, request: Request<PeekableFlightDataStream>) -> Result<i64, Status> {
        self.check(&request)?;
        if query.query.starts_with("DELETE") {
            self.state.filled.lock().unwrap_or_else(PoisonError::into_inner).clear();
            return Ok(7);
        }
        Err(Status::invalid_argument("only DELETE"))
    }

    async fn do_put_statement_ingest(&self, command: CommandStatementIngest, request: Request<PeekableFlightDataStream>) -> Result<i64, Status> {
        self.check(&request)?;
        let data = request.into_inner().map_err(|e| FlightError::Tonic(Box::new(e)));
        let batches: Vec<RecordBatch> = arrow_flight::decode::FlightRecordBatchStream::new_from_flight_data(data).try_collect().await?;
        Ok(self.fill(&command.table, batches))
    }

    async fn do_action_fallback(&self, request: Request<Action>) -> Answer<<Self as FlightService>::DoActionStream> {
        self.check(&request)?;
        if request.get_ref().r#type != "CancelFlightInfo" {
            return Err(Status::unimplemented("no such action"));
        }
        self.state.cancelled.fetch_add(1, Ordering::SeqCst);
        let result = CancelFlightInfoResult::new(CancelStatus::Cancelled).encode_to_vec();
        Ok(Response::new(Box::pin(futures::stream::iter([Ok(arrow_flight::Result { body: result.into() })]))))
    }

    async fn register_sql_info(&self, _: i32, _: &SqlInfo) {}
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let option = |name: &str| args.iter().position(|a| *a == format!("--{name}")).and_then(|i| args.get(i + 1)).cloned();
    let port: u16 = option("port").ok_or("--port is missing")?.parse()?;
    let second: u16 = option("second").ok_or("--second is missing")?.parse()?;
    let basic = option("user").map(|user| format!("Basic {}", tables::base64(&format!("{user}:{}", option("password").unwrap_or_default()))));
    let bearer = option("token").or_else(|| basic.as_ref().map(|_| "given by the handshake".into())).map(|t| format!("Bearer {t}"));
    let tls = option("certificate").zip(option("key"));
    let scheme = if tls.is_some() { "grpc+tls" } else { "grpc" };
    let service = Service {
        state: Arc::default(),
        second: format!("{scheme}://127.0.0.1:{second}"),
        bearer,
        basic,
        prepared_only: args.iter().any(|a| a == "--prepared"),
    };
    let serve = |port: u16| {
        let mut server = Server::builder();
        if let Some((certificate, key)) = &tls {
            let identity = Identity::from_pem(std::fs::read(certificate)?, std::fs::read(key)?);
            let mut config = ServerTlsConfig::new().identity(identity);
            if let Some(authority) = option("client-ca") {
                config = config.client_ca_root(Certificate::from_pem(std::fs::read(authority)?));
            }
            server = server.tls_config(config)?;
        }
        Ok::<_, Box<dyn std::error::Error>>(server.add_service(FlightServiceServer::new(service.clone())).serve(([127, 0, 0, 1], port).into()))
    };
    let (one, other) = (serve(port)?, serve(second)?);
    tokio::runtime::Runtime::new()?.block_on(async { futures::future::try_join(one, other).await })?;
    Ok(())
}
