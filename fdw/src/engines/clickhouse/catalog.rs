//! What tables there are, and what Postgres types hold their columns.

use serde_json::Value;
use std::collections::BTreeMap;
use weir_plan::protocol::{CatalogColumn, CatalogTable};

/// Of system.tables: name, rows. Each row of the answer is a JSON array.
pub const TABLES: &str = "SELECT name, toString(total_rows) FROM system.tables WHERE database = {schema:String} AND NOT is_temporary ORDER BY name";
/// Of system.columns: table, name, type.
pub const COLUMNS: &str = "SELECT table, name, type FROM system.columns WHERE database = {schema:String} ORDER BY table, position";
pub const SCHEMA: &str = "SELECT name FROM system.databases WHERE name = {schema:String}";

/// Puts the rows of both queries together. Sorting keys are no keys: nothing makes them unique.
pub fn tables(tables: &[Vec<Value>], columns: &[Vec<Value>]) -> Vec<CatalogTable> {
    let text = |row: &[Value], i: usize| row.get(i).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut out: BTreeMap<String, CatalogTable> = BTreeMap::new();
    for row in tables {
        let name = text(row, 0);
        out.insert(name.clone(), CatalogTable { name, columns: Vec::new(), key: Vec::new(), indexed: Vec::new(), rows: text(row, 1).parse().ok() });
    }
    for row in columns {
        if let Some(table) = out.get_mut(&text(row, 0)) {
            let remote_type = text(row, 2);
            let (inner, nullable) = unwrapped(&remote_type);
            table.columns.push(CatalogColumn { name: text(row, 1), pg_type: pg_type(inner), not_null: !nullable, remote_type });
        }
    }
    out.into_values().collect()
}

/// The type without what does not change its values, and whether there may be NULLs.
fn unwrapped(mut ty: &str) -> (&str, bool) {
    let mut nullable = false;
    loop {
        let inside = |name: &str| ty.strip_prefix(name).and_then(|t| t.strip_prefix('(')).and_then(|t| t.strip_suffix(')'));
        if let Some(inner) = inside("Nullable") {
            nullable = true;
            ty = inner;
        } else if let Some(inner) = inside("LowCardinality") {
            ty = inner;
        } else {
            return (ty, nullable);
        }
    }
}

/// The type that holds every value of a column (but text that is not UTF-8 or has zero bytes).
fn pg_type(ty: &str) -> Option<String> {
    let (name, args) = match ty.split_once('(') {
        Some((name, args)) => (name, args.strip_suffix(')')?),
        None => (ty, ""),
    };
    if name == "Array" {
        let (element, _) = unwrapped(args);
        let plain = matches!(element, "Bool" | "Int8" | "UInt8" | "Int16" | "UInt16" | "Int32" | "UInt32" | "Int64" | "Float32" | "Float64" | "String");
        return if plain { pg_type(element).map(|t| format!("{t}[]")) } else { is_json(ty).then(|| "jsonb".into()) };
    }
    if name == "Map" {
        return is_json(ty).then(|| "jsonb".into());
    }
    let number = |s: &str| s.trim().parse::<u32>().ok();
    Some(match name {
        "Bool" => "boolean".into(),
        "Int8" | "UInt8" | "Int16" => "smallint".into(),
        "UInt16" | "Int32" => "integer".into(),
        "UInt32" | "Int64" => "bigint".into(),
        "UInt64" => "numeric(20,0)".into(),
        "Int128" | "UInt128" => "numeric(39,0)".into(),
        "Float32" => "real".into(),
        "Float64" => "double precision".into(),
        "Decimal" => {
            let (p, s) = args.split_once(',')?;
            format!("numeric({},{})", number(p)?, number(s)?)
        }
        "String" | "Enum8" | "Enum16" => "text".into(),
        "FixedString" => "bytea".into(),
        "UUID" => "uuid".into(),
        "Date" | "Date32" => "date".into(),
        // An instant, whatever zone it is shown in.
        "DateTime" => "timestamp with time zone".into(),
        // Values finer than a microsecond are errors when they are read.
        "DateTime64" => "timestamp with time zone".into(),
        _ => return None,
    })
}

/// Whether it is an array or a map of which every value has a form in JSON, but for NaN and the like.
fn is_json(ty: &str) -> bool {
    const PLAIN: &[&str] = &["Bool", "Int8", "UInt8", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64", "Float32", "Float64", "String"];
    let Some((name, args)) = ty.strip_suffix(')').and_then(|t| t.split_once('(')) else { return false };
    let part = |ty: &str| {
        let (inner, _) = unwrapped(ty);
        PLAIN.contains(&inner) || inner.starts_with("Decimal(") || is_json(inner)
    };
    match name {
        "Array" => part(args),
        // No key has a comma in it.
        "Map" => args.split_once(", ").is_some_and(|(key, value)| {
            let (key, nullable) = unwrapped(key);
            !nullable && !key.starts_with("Float") && PLAIN.contains(&key) && part(value)
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_mapped_or_left_out() {
        let map = |t: &str| {
            let (inner, nullable) = unwrapped(t);
            (pg_type(inner), nullable)
        };
        let to = |t: &str| Some(t.to_owned());
        assert_eq!(map("LowCardinality(Nullable(String))"), (to("text"), true));
        assert_eq!(map("Nullable(Decimal(38, 10))"), (to("numeric(38,10)"), true));
        assert_eq!(map("DateTime64(6, 'Europe/Berlin')"), (to("timestamp with time zone"), false));
        assert_eq!(map("DateTime64(9)").0, to("timestamp with time zone"));
        assert_eq!(map("Array(Int32)"), (to("integer[]"), false));
        assert_eq!(map("Array(LowCardinality(Nullable(String)))").0, to("text[]"));
        for none in ["Array(Enum8('a' = 1))", "Array(DateTime)", "Map(String, UUID)", "Map(Float64, String)", "Array(Tuple(a Int32))", "Map(String)"] {
            assert_eq!(map(none).0, None, "{none}");
        }
        let nested = [
            "Array(Array(Nullable(Int32)))",
            "Array(Decimal(9, 2))",
            "Map(String, UInt64)",
            "Map(LowCardinality(String), Map(Int32, Array(Nullable(String))))",
        ];
        for json in nested {
            assert_eq!(map(json).0, to("jsonb"), "{json}");
        }
        assert_eq!(map("Enum8('a' = 1, 'b)' = 2)").0, to("text"));
        assert_eq!(map("UInt256").0, None);
    }
}
