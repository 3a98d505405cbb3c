//! What tables there are, and what Postgres types hold their columns.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row};
use std::collections::BTreeMap;
use weir_plan::protocol::{CatalogColumn, CatalogTable};

/// The tables and views of a database; `None` if there is no such database.
pub async fn tables(conn: &mut Conn, schema: &str) -> Result<Option<Vec<CatalogTable>>, Error> {
    let there: Option<String> = conn.exec_first("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?", (schema,)).await?;
    if there.is_none() {
        return Ok(None);
    }
    let mut tables: BTreeMap<String, CatalogTable> = BTreeMap::new();
    let rows: Vec<(String, Option<u64>)> = conn.exec("SELECT TABLE_NAME, TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?", (schema,)).await?;
    for (name, rows) in rows {
        tables.insert(name.clone(), CatalogTable { name, columns: Vec::new(), key: Vec::new(), indexed: Vec::new(), rows });
    }
    let columns: Vec<Row> = conn
        .exec(
            "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, COLUMN_KEY,
                    CAST(CHARACTER_MAXIMUM_LENGTH AS SIGNED), CAST(NUMERIC_PRECISION AS SIGNED), CAST(NUMERIC_SCALE AS SIGNED)
               FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? ORDER BY TABLE_NAME, ORDINAL_POSITION",
            (schema,),
        )
        .await?;
    for row in columns {
        let text = |i: usize| row.get::<String, _>(i).unwrap_or_default();
        let number = |i: usize| row.get::<Option<i64>, _>(i).flatten();
        let (data_type, column_type) = (text(2).to_ascii_lowercase(), text(3).to_ascii_lowercase());
        let pg_type = pg_type(&data_type, &column_type, number(6), number(7), number(8));
        if let Some(table) = tables.get_mut(&text(0)) {
            if text(5) == "PRI" {
                table.key.push(text(1));
            }
            table.columns.push(CatalogColumn { name: text(1), pg_type, remote_type: text(3), not_null: text(4) == "NO" });
        }
    }
    // A part of a text's characters finds too many.
    let indexed: Vec<(String, String)> = conn
        .exec(
            "SELECT DISTINCT TABLE_NAME, COLUMN_NAME FROM information_schema.STATISTICS
              WHERE TABLE_SCHEMA = ? AND SEQ_IN_INDEX = 1 AND INDEX_TYPE IN ('BTREE', 'HASH') AND SUB_PART IS NULL AND COLUMN_NAME IS NOT NULL",
            (schema,),
        )
        .await?;
    for (name, column) in indexed {
        if let Some(table) = tables.get_mut(&name) {
            table.indexed.push(column);
        }
    }
    Ok(Some(tables.into_values().collect()))
}

/// The type that holds every value of a column (but dates that are none, and times beyond a day).
fn pg_type(data_type: &str, column_type: &str, length: Option<i64>, precision: Option<i64>, scale: Option<i64>) -> Option<String> {
    let unsigned = column_type.contains("unsigned");
    let of_length = |name: &str, max: i64| match length {
        Some(n) if (1..=max).contains(&n) => format!("{name}({n})"),
        _ => "text".into(),
    };
    Some(match data_type {
        "tinyint" | "year" => "smallint".into(),
        "smallint" => if unsigned { "integer" } else { "smallint" }.into(),
        "mediumint" => "integer".into(),
        "int" => if unsigned { "bigint" } else { "integer" }.into(),
        "bigint" => if unsigned { "numeric(20,0)" } else { "bigint" }.into(),
        "decimal" => format!("numeric({},{})", precision?, scale?),
        "float" => "real".into(),
        "double" => "double precision".into(),
        "char" => of_length("character", 255),
        "varchar" => of_length("character varying", 65_535),
        "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" => "text".into(),
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => "bytea".into(),
        "date" => "date".into(),
        "datetime" => "timestamp without time zone".into(),
        "timestamp" => "timestamp with time zone".into(),
        "time" => "time without time zone".into(),
        "json" => "json".into(),
        "uuid" => "uuid".into(),
        _ => return None,
    })
}
