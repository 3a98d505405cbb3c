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
            let table = tables.entry(name.clone()).or_insert_with(|| CatalogTable { name, columns: Vec::new(), key: Vec::new(), indexed: Vec::new(), rows });
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
        return if known.contains(&element) { pg_type(element).map(|t| format!("{t}[]")) } else { is_json(of).then(|| "jsonb".into()) };
    }
    if is_json(of) {
        return Some("jsonb".into());
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

/// Whether it is a list, a map or a structure of which every value has a form in JSON, but for NaN and the like.
fn is_json(of: &str) -> bool {
    const PLAIN: &[&str] = &[
        "BOOLEAN",
        "TINYINT",
        "SMALLINT",
        "INTEGER",
        "BIGINT",
        "UTINYINT",
        "USMALLINT",
        "UINTEGER",
        "UBIGINT",
        "FLOAT",
        "DOUBLE",
        "VARCHAR",
        "DATE",
        "TIMESTAMP",
    ];
    const KEYS: &[&str] = &["VARCHAR", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "BOOLEAN"];
    let part = |of: &str| PLAIN.contains(&of) || decimal(of).is_some() || is_json(of);
    if let Some((element, length)) = of.strip_suffix(']').and_then(|t| t.rsplit_once('[')) {
        return length.bytes().all(|b| b.is_ascii_digit()) && part(element);
    }
    let inside = |name: &str| of.strip_prefix(name).and_then(|t| t.strip_suffix(')')).map(parts);
    if let Some(parts) = inside("MAP(") {
        return matches!(parts.as_slice(), [key, value] if KEYS.contains(key) && part(value));
    }
    // A name, then its type.
    let of_field = |field: &str| {
        let end = match field.strip_prefix('"') {
            None => field.find(' '),
            Some(rest) => rest.replace("\"\"", "  ").find('"').map(|at| at + 2),
        };
        end.and_then(|at| field.get(at..)).is_some_and(|ty| part(ty.trim_start()))
    };
    inside("STRUCT(").is_some_and(|fields| !fields.is_empty() && fields.into_iter().all(of_field))
}

/// What stands between commas that are neither quoted nor in parentheses.
fn parts(list: &str) -> Vec<&str> {
    let (mut parts, mut from, mut depth, mut quote) = (Vec::new(), 0, 0usize, None);
    for (i, c) in list.char_indices() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                parts.extend(list.get(from..i).map(str::trim));
                from = i + 1;
            }
            _ => {}
        }
    }
    parts.extend(list.get(from..).map(str::trim));
    parts
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
        for none in [
            "INTERVAL",
            "ENUM('a')[]",
            "BIT",
            "UHUGEINT",
            "STRUCT(a INTERVAL)",
            "MAP(DOUBLE, INTEGER)",
            "BLOB[]",
            "HUGEINT[][]",
            "UNION(a INTEGER)",
            "STRUCT()",
        ] {
            assert_eq!(pg_type(none), None, "{none}");
        }
        let nested = ["INTEGER[][]", "INTEGER[3]", "DECIMAL(18,3)[]", "MAP(VARCHAR, INTEGER)", "MAP(INTEGER, DECIMAL(18,3)[])[]", "STRUCT(a INTEGER)"];
        for json in nested.into_iter().chain(["STRUCT(\"a, \"\"(b\" INTEGER, c STRUCT(d VARCHAR[], e DECIMAL(4,1)))[]"]) {
            assert_eq!(pg_type(json).as_deref(), Some("jsonb"), "{json}");
        }
    }
}
