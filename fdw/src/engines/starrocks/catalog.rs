//! What tables there are, in the catalog that the server's options name. Source: StarRocks's documentation of `information_schema` and of its
//! types. LARGEINT is shown as an unsigned bigint there.

use crate::dialect::Dialect;
use crate::dialect::starrocks::StarRocks;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row, Value};
use std::collections::BTreeMap;
use weir_plan::ir::Scalar;
use weir_plan::protocol::{CatalogColumn, CatalogTable};
use weir_plan::types::PgType;

fn text(row: &Row, i: usize) -> String {
    match row.as_ref(i) {
        Some(Value::Bytes(b)) => String::from_utf8_lossy(b).into_owned(),
        Some(Value::NULL) | None => String::new(),
        Some(other) => other.as_sql(true),
    }
}

/// The tables and views of a database; `None` if there is no such database.
pub async fn tables(conn: &mut Conn, catalog: Option<&str>, schema: &str) -> Result<Option<Vec<CatalogTable>>, Error> {
    let strange = |why: String| Error::from(std::io::Error::other(why));
    if let Some(catalog) = catalog {
        conn.query_drop(format!("SET CATALOG {}", StarRocks.ident(catalog).map_err(strange)?)).await?;
    }
    let name = StarRocks.literal(&Scalar::Text(schema.to_owned()), &PgType::TEXT).map_err(strange)?;
    let there: Vec<Row> = conn.query(format!("SELECT SCHEMA_NAME FROM information_schema.schemata WHERE SCHEMA_NAME = {name}")).await?;
    // Some compare names without regard to case.
    if !there.iter().any(|row| text(row, 0) == schema) {
        return Ok(None);
    }
    let mut tables: BTreeMap<String, CatalogTable> = BTreeMap::new();
    let rows: Vec<Row> = conn.query(format!("SELECT TABLE_NAME, TABLE_ROWS FROM information_schema.tables WHERE TABLE_SCHEMA = {name}")).await?;
    for row in rows {
        let name = text(&row, 0);
        tables.insert(name.clone(), CatalogTable { name, columns: Vec::new(), key: Vec::new(), indexed: Vec::new(), rows: text(&row, 1).parse().ok() });
    }
    let columns: Vec<Row> = conn
        .query(format!(
            "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, COLUMN_KEY, NUMERIC_PRECISION, NUMERIC_SCALE
               FROM information_schema.columns WHERE TABLE_SCHEMA = {name} ORDER BY TABLE_NAME, ORDINAL_POSITION"
        ))
        .await?;
    for row in columns {
        let Some(table) = tables.get_mut(&text(&row, 0)) else { continue };
        let (name, remote_type) = (text(&row, 1), text(&row, 3));
        let pg_type = pg_type(&text(&row, 2).to_ascii_lowercase(), &remote_type.to_ascii_lowercase(), text(&row, 6).parse().ok(), text(&row, 7).parse().ok());
        // Those of other kinds of tables (DUP, AGG, UNI) do not identify a row.
        if text(&row, 5) == "PRI" {
            table.key.push(name.clone());
        }
        table.columns.push(CatalogColumn { name, pg_type, remote_type, not_null: text(&row, 4) == "NO" });
    }
    Ok(Some(tables.into_values().collect()))
}

/// The type that holds every value of a column.
fn pg_type(data_type: &str, column_type: &str, precision: Option<u32>, scale: Option<u32>) -> Option<String> {
    let arguments: Vec<u32> = column_type
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'))
        .map_or(Vec::new(), |(list, _)| list.split(',').filter_map(|n| n.trim().parse().ok()).collect());
    let unsigned = data_type.contains("unsigned") || column_type.contains("unsigned");
    let name = |of: &str| of.split(['(', ' ', '<']).next().unwrap_or_default().to_owned();
    let (short, long) = (name(data_type), name(column_type));
    Some(match (short.as_str(), long.as_str()) {
        (_, "boolean" | "bool") | ("boolean" | "bool", _) => "boolean".into(),
        ("tinyint", _) if arguments == [1] => "boolean".into(),
        ("tinyint" | "smallint", _) => "smallint".into(),
        ("int" | "integer", _) => "integer".into(),
        ("largeint", _) | (_, "largeint") => "numeric(39,0)".into(),
        ("bigint", _) if unsigned => "numeric(39,0)".into(),
        ("bigint", _) => "bigint".into(),
        ("decimal" | "decimal32" | "decimal64" | "decimal128" | "decimal256" | "decimalv2" | "decimalv3", _) => match arguments.as_slice() {
            [p, s] => format!("numeric({p},{s})"),
            [p] => format!("numeric({p},0)"),
            _ => format!("numeric({},{})", precision?, scale?),
        },
        ("float", _) => "real".into(),
        ("double", _) => "double precision".into(),
        // Its lengths are in bytes; a value is not padded.
        ("char" | "varchar", _) => match arguments.as_slice() {
            [n] if (1..=10_485_760).contains(n) => format!("character varying({n})"),
            _ => "text".into(),
        },
        ("string" | "text", _) => "text".into(),
        ("binary" | "varbinary", _) => "bytea".into(),
        ("date", _) => "date".into(),
        ("datetime", _) => "timestamp without time zone".into(),
        ("json", _) => "json".into(),
        // bitmap, hll, percentile; array, map, struct.
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::pg_type;

    #[test]
    fn types_of_the_documentation() {
        let ty = |data: &str, column: &str| pg_type(data, column, None, None);
        assert_eq!(ty("bigint unsigned", "bigint(20) unsigned").as_deref(), Some("numeric(39,0)"));
        assert_eq!(ty("decimal", "decimal(38, 10)").as_deref(), Some("numeric(38,10)"));
        assert_eq!(ty("tinyint", "tinyint(1)").as_deref(), Some("boolean"));
        assert_eq!(ty("tinyint", "tinyint(4)").as_deref(), Some("smallint"));
        assert_eq!(ty("varchar", "varchar(1073741824)").as_deref(), Some("text"));
        assert_eq!(ty("bitmap", "bitmap"), None);
        assert_eq!(ty("array", "array<int(11)>"), None);
    }
}
