//! What tables there are, and the types of Postgres that hold their columns.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use duckdb::{Connection, Error, Params, params};
use std::collections::BTreeMap;
use weir_plan::protocol::{CatalogColumn, CatalogTable};

/// Columns: two of text, a truth, the type, the number of rows, a truth.
const COLUMNS: &str = "
    SELECT c.table_name, c.column_name, NOT c.is_nullable, c.data_type, t.estimated_size, coalesce(list_contains(k.keys, c.column_name), false)
      FROM duckdb_columns() c
      LEFT JOIN duckdb_tables() t USING (database_name, schema_name, table_name)
      LEFT JOIN (SELECT database_name, schema_name, table_name, any_value(constraint_column_names) AS keys
                   FROM duckdb_constraints() WHERE constraint_type = 'PRIMARY KEY' GROUP BY ALL) k USING (database_name, schema_name, table_name)
     WHERE c.database_name = current_database() AND c.schema_name = ? AND NOT c.internal
     ORDER BY c.table_name, c.column_index";

fn batches(connection: &Connection, sql: &str, params: impl Params) -> Result<Vec<RecordBatch>, Error> {
    let mut statement = connection.prepare(sql)?;
    drop(statement.stream_arrow(params)?);
    let mut batches = Vec::new();
    while let Some(chunk) = statement.step()? {
        batches.push(RecordBatch::from(chunk));
    }
    Ok(batches)
}

/// Tables and views of a schema; `None` if there is no such schema.
pub fn tables(connection: &Connection, schema: &str) -> Result<Option<Vec<CatalogTable>>, Error> {
    let found = "SELECT schema_name FROM duckdb_schemas() WHERE database_name = current_database() AND schema_name = ?";
    if batches(connection, found, params![schema])?.is_empty() {
        return Ok(None);
    }
    let mut tables: BTreeMap<String, CatalogTable> = BTreeMap::new();
    for batch in batches(connection, COLUMNS, params![schema])? {
        let [names, columns, not_null, types, rows, keys] = batch.columns() else { continue };
        let (names, columns, types) = (names.as_string::<i32>(), columns.as_string::<i32>(), types.as_string::<i32>());
        let (not_null, keys, rows) = (not_null.as_boolean(), keys.as_boolean(), rows.as_primitive::<Int64Type>());
        for i in 0..batch.num_rows() {
            let (name, column, remote_type) = (names.value(i).to_owned(), columns.value(i).to_owned(), types.value(i).to_owned());
            let rows = rows.is_valid(i).then(|| rows.value(i)).and_then(|n| u64::try_from(n).ok());
            let table = tables.entry(name.clone()).or_insert_with(|| CatalogTable { name, columns: Vec::new(), key: Vec::new(), rows });
            if keys.value(i) {
                table.key.push(column.clone());
            }
            table.columns.push(CatalogColumn { name: column, pg_type: pg_type(&remote_type), remote_type, not_null: not_null.value(i) });
        }
    }
    Ok(Some(tables.into_values().collect()))
}

/// The type that holds every value of one of DuckDB's, or says which it cannot hold.
fn pg_type(of: &str) -> Option<String> {
    if let Some(element) = of.strip_suffix("[]") {
        let known = [
            "BOOLEAN",
            "TINYINT",
            "SMALLINT",
            "UTINYINT",
            "INTEGER",
            "USMALLINT",
            "BIGINT",
            "UINTEGER",
            "FLOAT",
            "DOUBLE",
            "VARCHAR",
            "DATE",
            "TIMESTAMP",
            "UUID",
        ];
        return if known.contains(&element) { pg_type(element).map(|t| format!("{t}[]")) } else { None };
    }
    Some(
        match of {
            "BOOLEAN" => "boolean",
            "TINYINT" | "SMALLINT" | "UTINYINT" => "smallint",
            "INTEGER" | "USMALLINT" => "integer",
            "BIGINT" | "UINTEGER" => "bigint",
            "UBIGINT" => "numeric(20,0)",
            "HUGEINT" => "numeric(39,0)",
            "FLOAT" => "real",
            "DOUBLE" => "double precision",
            "VARCHAR" => "text",
            "BLOB" => "bytea",
            "DATE" => "date",
            "TIME" => "time",
            "TIMESTAMP" | "TIMESTAMP_S" | "TIMESTAMP_MS" | "TIMESTAMP_NS" => "timestamp",
            "TIMESTAMP WITH TIME ZONE" => "timestamptz",
            "UUID" => "uuid",
            "JSON" => "json",
            _ if of.starts_with("ENUM(") && of.ends_with(')') => "text",
            _ => return decimal(of),
        }
        .into(),
    )
}

/// `DECIMAL(p,s)`
fn decimal(of: &str) -> Option<String> {
    let (p, s) = of.strip_prefix("DECIMAL(")?.strip_suffix(')')?.split_once(',')?;
    let (p, s): (u8, u8) = (p.trim().parse().ok()?, s.trim().parse().ok()?);
    Some(format!("numeric({p},{s})"))
}

#[cfg(test)]
mod tests {
    use super::pg_type;

    #[test]
    fn types_that_hold_every_value() {
        assert_eq!(pg_type("DECIMAL(18,3)").as_deref(), Some("numeric(18,3)"));
        assert_eq!(pg_type("ENUM('a', 'b)')").as_deref(), Some("text"));
        assert_eq!(pg_type("INTEGER[]").as_deref(), Some("integer[]"));
        assert_eq!(pg_type("VARCHAR[]").as_deref(), Some("text[]"));
        for none in ["INTEGER[][]", "INTEGER[3]", "STRUCT(a INTEGER)", "INTERVAL", "ENUM('a')[]", "DECIMAL(18,3)[]", "BIT", "UHUGEINT"] {
            assert_eq!(pg_type(none), None, "{none}");
        }
    }
}
