//! What tables there are, and what Postgres types hold their columns.

use serde_json::Value;
use std::collections::BTreeMap;
use weir_plan::protocol::{CatalogColumn, CatalogTable};

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub fn schema_query(catalog: &str, schema: &str) -> String {
    format!("SELECT schema_name FROM {}.information_schema.schemata WHERE schema_name = {}", ident(catalog), literal(schema))
}

/// Table, column, type, whether it may be NULL.
pub fn columns_query(catalog: &str, schema: &str) -> String {
    format!(
        "SELECT table_name, column_name, data_type, is_nullable FROM {}.information_schema.columns WHERE table_schema = {} ORDER BY table_name, ordinal_position",
        ident(catalog),
        literal(schema)
    )
}

/// Its last row, that of no column, has the number of rows.
pub fn stats_query(catalog: &str, schema: &str, table: &str) -> String {
    format!("SHOW STATS FOR {}.{}.{}", ident(catalog), ident(schema), ident(table))
}

/// The tables of the rows of [`columns_query`].
pub fn tables(rows: &[Vec<Value>]) -> Vec<CatalogTable> {
    let text = |row: &[Value], i: usize| row.get(i).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut out: BTreeMap<String, CatalogTable> = BTreeMap::new();
    for row in rows {
        let name = text(row, 0);
        let table = out.entry(name.clone()).or_insert_with(|| CatalogTable { name, columns: Vec::new(), key: Vec::new(), indexed: Vec::new(), rows: None });
        let remote_type = text(row, 2);
        let not_null = text(row, 3).eq_ignore_ascii_case("no");
        table.columns.push(CatalogColumn { name: text(row, 1), pg_type: pg_type(&remote_type.to_ascii_lowercase()), remote_type, not_null });
    }
    out.into_values().collect()
}

/// The number of rows in an answer to [`stats_query`], if it is known.
pub fn row_count(names: &[String], rows: &[Vec<Value>]) -> Option<u64> {
    let at = |name: &str| names.iter().position(|n| n == name);
    let (column, count) = (at("column_name")?, at("row_count")?);
    let row = rows.iter().find(|r| r.get(column).is_some_and(Value::is_null))?;
    let count: f64 = row.get(count)?.to_string().parse().ok()?;
    // What is negative or absurd is not known.
    (0.0..9e18).contains(&count).then_some(count as u64)
}

/// The type that holds every value of a column.
fn pg_type(ty: &str) -> Option<String> {
    let (name, args) = match ty.split_once('(') {
        Some((name, rest)) => (name, rest.split_once(')')?),
        None => (ty, ("", "")),
    };
    let json = || super::nested::Nested::of(ty).map(|_| "jsonb".to_owned());
    if name == "map" {
        return json();
    }
    if name == "array" && ty.ends_with(')') {
        let element = ty.strip_prefix("array(")?.strip_suffix(')')?;
        let plain = element.split_once('(').map_or(element, |(name, _)| name);
        let known = ["boolean", "tinyint", "smallint", "integer", "int", "bigint", "real", "double", "varchar", "date", "timestamp", "uuid"];
        // Without the length: it holds no more values.
        if !known.contains(&plain) {
            return json();
        }
        let name = match pg_type(element)? {
            text if text.starts_with("character varying") => "text".into(),
            zoned if zoned.ends_with("with time zone") && plain == "timestamp" && element.contains("with") => return None,
            other => other,
        };
        return Some(format!("{name}[]"));
    }
    let number = || args.0.trim().parse::<u32>().ok();
    Some(match (name.trim_end(), args.1.trim()) {
        ("boolean", "") => "boolean".into(),
        ("tinyint" | "smallint", "") => "smallint".into(),
        ("integer" | "int", "") => "integer".into(),
        ("bigint", "") => "bigint".into(),
        ("real", "") => "real".into(),
        ("double", "") => "double precision".into(),
        ("decimal", "") => {
            let (p, s) = args.0.split_once(',')?;
            format!("numeric({},{})", p.trim().parse::<u32>().ok()?, s.trim().parse::<u32>().ok()?)
        }
        ("varchar", "") => match number() {
            Some(n) if (1..=10_485_760).contains(&n) => format!("character varying({n})"),
            _ => "text".into(),
        },
        ("char", "") => format!("character({})", number().filter(|n| *n >= 1)?),
        ("varbinary", "") => "bytea".into(),
        ("json", "") => "json".into(),
        ("uuid", "") => "uuid".into(),
        ("date", "") => "date".into(),
        // Values finer than a microsecond are errors when they are read.
        ("time", "") => "time without time zone".into(),
        ("timestamp", "") => "timestamp without time zone".into(),
        ("timestamp", "with time zone") | ("timestamp with time zone", "") => "timestamp with time zone".into(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types_are_mapped_or_left_out() {
        let map = |t: &str| pg_type(t);
        let to = |t: &str| Some(t.to_owned());
        assert_eq!(map("decimal(12,2)"), to("numeric(12,2)"));
        assert_eq!(map("varchar"), to("text"));
        assert_eq!(map("varchar(40)"), to("character varying(40)"));
        assert_eq!(map("timestamp(3) with time zone"), to("timestamp with time zone"));
        assert_eq!(map("timestamp(9)"), to("timestamp without time zone"));
        assert_eq!(map("array(integer)"), to("integer[]"));
        assert_eq!(map("array(varchar(3))"), to("text[]"));
        assert_eq!(map("array(timestamp(3))"), to("timestamp without time zone[]"));
        for none in ["array(timestamp(3) with time zone)", "array(char(3))", "map(double, integer)", "array(array(uuid))"] {
            assert_eq!(map(none), None, "{none}");
        }
        for json in ["array(array(integer))", "array(decimal(3,1))", "map(integer, array(integer))", "map(varchar(3), decimal(5,2))"] {
            assert_eq!(map(json), to("jsonb"), "{json}");
        }
        assert_eq!(map("interval day to second"), None);
        assert_eq!(map("time(3) with time zone"), None);
        assert_eq!(map("row(a integer, b varchar(3))"), None);
    }

    #[test]
    fn rows_are_counted_by_the_row_of_no_column() {
        let names: Vec<String> = ["column_name", "data_size", "row_count"].map(str::to_owned).to_vec();
        let row: Vec<serde_json::Value> = vec![json!(null), json!(null), json!(15000.0)];
        assert_eq!(row_count(&names, &[vec![json!("a"), json!(1.0), json!(null)], row]), Some(15_000));
        assert_eq!(row_count(&names, &[vec![json!(null), json!(null), json!(null)]]), None);
    }
}
