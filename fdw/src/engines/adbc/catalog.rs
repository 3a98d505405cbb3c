//! What tables there are: GetObjects and the schema of each table; where a driver has no such thing, what the SQL behind it says.

use super::client::{Watch, each_batch};
use super::connection::{Connection, driver_error, options, stream_error};
use crate::client::{catalog_table, failed, text_column, text_values};
use crate::engines::adbc::ENGINE;
use adbc_core::Connection as _;
use adbc_core::error::Status;
use adbc_core::options::ObjectDepth;
use arrow::array::{Array, AsArray, RecordBatch, StructArray};
use weir_plan::protocol::{CatalogTable, Endpoint};
use weir_plan::{Kind, Result};

/// Where a table is: catalog, schema, name.
type Place = (Option<String>, Option<String>, String);

/// The tables of a schema; of a catalog where there are no schemas in it (SQLite). `None` if there is nothing of that name.
pub fn tables(connection: &mut Connection, endpoint: &Endpoint, watch: &Watch, schema: &str) -> Result<Option<Vec<CatalogTable>>> {
    let catalog = options(endpoint).text("catalog");
    let objects = watch.call(|| connection.adbc.get_objects(ObjectDepth::Tables, catalog, None, None, None, None));
    let objects = match objects {
        Ok(objects) => objects,
        // Also what another server answers to what it has not.
        Err(e) if matches!(e.status, Status::NotImplemented | Status::Internal | Status::Unknown) => return by_sql(connection, endpoint, watch, schema),
        Err(e) => return Err(driver_error(endpoint, &e)),
    };
    let mut places = Vec::new();
    let mut batches = objects;
    while let Some(batch) = watch.call(|| batches.next()) {
        places.extend(listed(endpoint, &batch.map_err(|e| stream_error(endpoint, &e))?, schema)?);
    }
    drop(batches);
    if places.is_empty() {
        return Ok(None);
    }
    if let Some((one, other)) = places.first().and_then(|first| Some((first, places.iter().find(|p| p.0 != first.0)?))) {
        let name = |p: &Place| p.0.clone().unwrap_or_default();
        return Err(failed(endpoint, "HV00P", &format!("several catalogs have a schema \"{schema}\": \"{}\" and \"{}\"", name(one), name(other)))
            .with_hint("Set the option \"catalog\" of the server."));
    }
    let keys = places.first().map_or_else(Vec::new, |(catalog, own, _)| keys(connection, watch, catalog.as_deref(), own.as_deref()));
    let mut tables = Vec::new();
    for (catalog, own, name) in places {
        let of = |s: &Option<String>| s.clone().filter(|s| !s.is_empty());
        let (catalog, own) = (of(&catalog), of(&own));
        let described = watch.call(|| connection.adbc.get_table_schema(catalog.as_deref(), own.as_deref(), &name)).map_err(|e| driver_error(endpoint, &e))?;
        let key = keys.iter().find(|(of, _)| *of == name).map_or_else(Vec::new, |(_, key)| key.clone());
        tables.push(CatalogTable { key, ..catalog_table(name, &described) });
    }
    Ok(Some(tables))
}

/// The primary keys of the tables of a schema, as far as the driver says.
fn keys(connection: &Connection, watch: &Watch, catalog: Option<&str>, schema: Option<&str>) -> Vec<(String, Vec<String>)> {
    let named = |s: Option<&str>| s.filter(|s| !s.is_empty()).map(str::to_owned);
    let (catalog, schema) = (named(catalog), named(schema));
    let objects = watch.call(|| connection.adbc.get_objects(ObjectDepth::All, catalog.as_deref(), schema.as_deref(), None, None, None));
    let (Ok(mut batches), mut out) = (objects, Vec::new()) else { return Vec::new() };
    while let Some(Ok(batch)) = watch.call(|| batches.next()) {
        let catalogs = StructArray::from(batch);
        for i in 0..catalogs.len() {
            let Some(schemas) = entries(&catalogs, "catalog_db_schemas", i) else { continue };
            for j in 0..schemas.len() {
                let Some(tables) = entries(&schemas, "db_schema_tables", j) else { continue };
                out.extend((0..tables.len()).filter_map(|k| key(&tables, k)));
            }
        }
    }
    out
}

/// Name and primary key of a table in a list of objects.
fn key(tables: &StructArray, i: usize) -> Option<(String, Vec<String>)> {
    let text = |of: &StructArray, column: &str, i: usize| {
        let values = of.column_by_name(column)?.as_string_opt::<i32>()?.clone();
        values.is_valid(i).then(|| values.value(i).to_owned())
    };
    let constraints = entries(tables, "table_constraints", i)?;
    let primary = (0..constraints.len()).find(|c| text(&constraints, "constraint_type", *c).as_deref() == Some("PRIMARY KEY"))?;
    let columns = constraints.column_by_name("constraint_column_names")?.as_list_opt::<i32>()?.value(primary);
    let columns = columns.as_string_opt::<i32>()?;
    Some((text(tables, "table_name", i)?, columns.iter().flatten().map(str::to_owned).collect()))
}

/// A list in a list of objects.
fn entries(of: &StructArray, column: &str, i: usize) -> Option<StructArray> {
    let lists = of.column_by_name(column)?.as_list_opt::<i32>()?;
    if lists.is_null(i) { None } else { lists.value(i).as_struct_opt().cloned() }
}

/// The tables in a batch of GetObjects.
fn listed(endpoint: &Endpoint, batch: &RecordBatch, wanted: &str) -> Result<Vec<Place>> {
    let mut out = Vec::new();
    let catalogs = StructArray::from(batch.clone());
    for (i, catalog) in text_values(endpoint, catalogs.column_by_name("catalog_name"), "catalog_name")?.into_iter().enumerate() {
        let Some(schemas) = entries(&catalogs, "catalog_db_schemas", i) else { continue };
        for (j, schema) in text_values(endpoint, schemas.column_by_name("db_schema_name"), "db_schema_name")?.into_iter().enumerate() {
            let named = schema.as_deref().filter(|s| !s.is_empty()).or(catalog.as_deref());
            if named != Some(wanted) {
                continue;
            }
            let Some(tables) = entries(&schemas, "db_schema_tables", j) else { continue };
            let names = text_values(endpoint, tables.column_by_name("table_name"), "table_name")?;
            out.extend(names.into_iter().flatten().map(|name| (catalog.clone(), schema.clone(), name)));
        }
    }
    Ok(out)
}

fn by_sql(connection: &mut Connection, endpoint: &Endpoint, watch: &Watch, schema: &str) -> Result<Option<Vec<CatalogTable>>> {
    let dialect = ENGINE.dialect_of(&endpoint.options);
    let cannot = |why: String| failed(endpoint, "0A000", &format!("the schema \"{schema}\" cannot be listed: {why}"));
    let mut refused = None;
    for (sql, column) in crate::client::catalog_queries(dialect, schema).map_err(cannot)? {
        let mut names = Vec::new();
        let read = each_batch(connection, endpoint, watch, &sql, |batch| {
            names.extend(text_column(endpoint, batch, column)?.into_iter().flatten());
            Ok(())
        });
        match read {
            Ok(_) => {}
            Err(e) if e.kind == Kind::Query => {
                refused = Some(e);
                continue;
            }
            Err(e) => return Err(e),
        }
        let mut tables = Vec::new();
        for name in names {
            let named = [("schema_name".to_owned(), schema.to_owned()), ("table_name".to_owned(), name.clone())];
            let remote = dialect.table(&options(endpoint), &named, schema, &name).map_err(cannot)?;
            let described = each_batch(connection, endpoint, watch, &format!("SELECT * FROM {remote} LIMIT 0"), |_| Ok(()))?;
            tables.push(catalog_table(name, &described));
        }
        return Ok(Some(tables).filter(|t| !t.is_empty()));
    }
    let mut error = failed(endpoint, "0A000", "it does not list its tables")
        .with_hint("Declare them with CREATE FOREIGN TABLE, or set the option \"dialect\" of the server.");
    error.detail = refused.map(|e| e.message);
    Err(error)
}
