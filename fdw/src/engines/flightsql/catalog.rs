//! What tables there are: GetTables with the schemas of the tables; where a server has no such thing, what its SQL says.

use super::client::{finish, read, start};
use super::connection::{Connection, in_time, options};
use crate::client::{catalog_queries, catalog_table, failed, text_column};
use crate::registry;
use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};
use arrow_flight::sql::{CommandGetDbSchemas, CommandGetPrimaryKeys, CommandGetTables};
use arrow_flight::{FlightInfo, IpcMessage};
use weir_plan::protocol::{CatalogTable, Endpoint};
use weir_plan::{Error, Kind, Result};

/// A schema has at most so many tables.
const MAX_TABLES: usize = 100_000;
/// Of so many tables the keys are asked for, one by one.
const MAX_KEYED: usize = 1000;

pub async fn tables(connection: &mut Connection, endpoint: &Endpoint, catalog: Option<&str>, schema: &str) -> Result<Vec<CatalogTable>> {
    let request = CommandGetTables {
        catalog: catalog.map(str::to_owned),
        db_schema_filter_pattern: Some(schema.to_owned()),
        table_name_filter_pattern: None,
        table_types: Vec::new(),
        include_schema: true,
    };
    let info = match in_time(endpoint, connection.sql.get_tables(request)).await {
        Ok(info) => info,
        Err(e) if e.sqlstate == "0A000" => return by_sql(connection, endpoint, schema).await,
        Err(e) => return Err(e),
    };
    let mut tables: Vec<(String, CatalogTable)> = Vec::new();
    for batch in collect(connection, endpoint, &info).await? {
        let text = |name: &str| text_column(endpoint, &batch, name);
        let (catalogs, schemas, names) = (text("catalog_name")?, text("db_schema_name")?, text("table_name")?);
        let described = batch.column_by_name("table_schema").and_then(|c| cast(c, &DataType::Binary).ok());
        for (i, ((of, own), name)) in catalogs.into_iter().zip(schemas).zip(names).enumerate() {
            // The pattern may have matched others.
            if own.as_deref().unwrap_or_default() != schema {
                continue;
            }
            let (Some(name), Some(described)) = (name, &described) else { continue };
            let ipc = described.as_binary::<i32>().value(i).to_vec();
            let columns = Schema::try_from(IpcMessage(ipc.into()))
                .map_err(|e| failed(endpoint, "HV000", "could not understand the answer").with_detail(format!("The schema of table \"{name}\": {e}.")))?;
            tables.push((of.unwrap_or_default(), catalog_table(name, &columns)));
        }
    }
    if let Some((one, other)) = tables.first().and_then(|one| Some((one, tables.iter().find(|t| t.0 != one.0)?))) {
        return Err(failed(endpoint, "HV00P", &format!("several catalogs have a schema \"{schema}\": \"{}\" and \"{}\"", one.0, other.0))
            .with_hint("Set the option \"catalog\" of the server."));
    }
    if tables.is_empty() && !has_schema(connection, endpoint, catalog, schema).await {
        return Err(no_schema(endpoint, schema));
    }
    let keyed = if tables.len() > MAX_KEYED { &mut [][..] } else { &mut tables[..] };
    for (of, table) in keyed {
        let named = |s: &str| Some(s.to_owned()).filter(|s| !s.is_empty());
        let request = CommandGetPrimaryKeys { catalog: named(of), db_schema: named(schema), table: table.name.clone() };
        // Most servers do not say.
        let Ok(info) = in_time(endpoint, connection.sql.get_primary_keys(request)).await else { break };
        let Ok(batches) = collect(connection, endpoint, &info).await else { break };
        for batch in batches {
            table.key.extend(text_column(endpoint, &batch, "column_name")?.into_iter().flatten());
        }
    }
    Ok(tables.into_iter().map(|t| t.1).collect())
}

fn no_schema(endpoint: &Endpoint, schema: &str) -> Error {
    Error { sqlstate: "HV00P".into(), ..Error::new(Kind::BadOption, format!("server \"{}\" has no schema \"{schema}\"", endpoint.name)) }
}

async fn has_schema(connection: &mut Connection, endpoint: &Endpoint, catalog: Option<&str>, schema: &str) -> bool {
    let request = CommandGetDbSchemas { catalog: catalog.map(str::to_owned), db_schema_filter_pattern: Some(schema.to_owned()) };
    let Ok(info) = in_time(endpoint, connection.sql.get_db_schemas(request)).await else { return false };
    let batches = collect(connection, endpoint, &info).await.unwrap_or_default();
    batches.iter().any(|b| text_column(endpoint, b, "db_schema_name").is_ok_and(|names| names.iter().flatten().any(|n| n == schema)))
}

async fn collect(connection: &mut Connection, endpoint: &Endpoint, info: &FlightInfo) -> Result<Vec<RecordBatch>> {
    let (mut batches, mut rows) = (Vec::new(), 0);
    read(connection, endpoint, info, |batch| {
        rows += batch.num_rows();
        batches.push(batch);
        let answer = if rows > MAX_TABLES { Err(failed(endpoint, "54000", "the schema has too many tables")) } else { Ok(()) };
        async move { answer }
    })
    .await?;
    Ok(batches)
}

/// Tables by the server's SQL, and their columns by what a query of each would return.
async fn by_sql(connection: &mut Connection, endpoint: &Endpoint, schema: &str) -> Result<Vec<CatalogTable>> {
    let engine = registry::by_name(&endpoint.engine).unwrap_or(&super::ENGINE);
    let dialect = engine.dialect_of(&endpoint.options);
    let cannot = |why: String| failed(endpoint, "0A000", &format!("the schema \"{schema}\" cannot be listed: {why}"));
    let mut refused = None;
    for (sql, column) in catalog_queries(dialect, schema).map_err(cannot)? {
        let names = match first_column(connection, endpoint, &sql, column).await {
            Ok(names) => names,
            Err(e) if e.kind == Kind::Query => {
                refused = Some(e);
                continue;
            }
            Err(e) => return Err(e),
        };
        let mut tables = Vec::new();
        for name in names {
            let named = [("schema_name".to_owned(), schema.to_owned()), ("table_name".to_owned(), name.clone())];
            let remote = dialect.table(&options(endpoint), &named, schema, &name).map_err(cannot)?;
            let started = start(connection, endpoint, &format!("SELECT * FROM {remote} LIMIT 0")).await?;
            let described = Schema::try_from(IpcMessage(started.info.schema.clone()));
            finish(connection, endpoint, started, true).await;
            let described = described.map_err(|e| failed(endpoint, "HV000", "could not understand the answer").with_detail(e.to_string()))?;
            tables.push(catalog_table(name, &described));
        }
        return Ok(tables);
    }
    let mut error = failed(endpoint, "0A000", "it does not list its tables")
        .with_hint("Declare them with CREATE FOREIGN TABLE, or set the option \"dialect\" of the server.");
    error.detail = refused.map(|e| e.message);
    Err(error)
}

async fn first_column(connection: &mut Connection, endpoint: &Endpoint, sql: &str, column: &str) -> Result<Vec<String>> {
    let started = start(connection, endpoint, sql).await?;
    let batches = collect(connection, endpoint, &started.info.clone()).await;
    finish(connection, endpoint, started, false).await;
    let mut names = Vec::new();
    for batch in batches? {
        names.extend(text_column(endpoint, &batch, column)?.into_iter().flatten());
    }
    Ok(names)
}
