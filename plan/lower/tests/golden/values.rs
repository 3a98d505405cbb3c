//! Types and values from their text forms.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int16Type, Int32Type, Int64Type};
use datafusion::common::ScalarValue;
use serde_json::Value as Json;
use weir_plan::ir::{Fidelity, Session};
use weir_plan::types::{PgType, arrow_type, oid};

pub fn session() -> Session {
    Session {
        timezone: "UTC".into(),
        date_style: "ISO, MDY".into(),
        interval_style: "postgres".into(),
        extra_float_digits: 1,
        fidelity: Fidelity::Exact,
        engine: weir_plan::ir::Embedded::DataFusion,
        ctypes: Vec::new(),
        collate_is_bytes: true,
        quote_all_identifiers: false,
        server_version_num: 150_000,
    }
}

pub fn pg_type(name: &str) -> PgType {
    let (base, typmod) = match name.split_once('(') {
        Some((base, n)) => (base, n.trim_end_matches(')').parse::<i32>().unwrap() + 4),
        None => (name, -1),
    };
    let oid = match base {
        "text" => oid::TEXT,
        "varchar" | "character varying" => oid::VARCHAR,
        "character" => oid::BPCHAR,
        "name" => oid::NAME,
        "integer" => oid::INT4,
        "smallint" => oid::INT2,
        "bigint" => oid::INT8,
        "boolean" => oid::BOOL,
        "bytea" => oid::BYTEA,
        "uuid" => oid::UUID,
        "json" => oid::JSON,
        "jsonb" => oid::JSONB,
        "real" => oid::FLOAT4,
        "double precision" => oid::FLOAT8,
        "date" => oid::DATE,
        "text[]" => 1009,
        "integer[]" => 1007,
        "double precision[]" => 1022,
        "date[]" => 1182,
        "boolean[]" => 1000,
        other => panic!("type {other}"),
    };
    PgType::with_typmod(oid, typmod)
}

fn hex(s: &str) -> Vec<u8> {
    (0..s.len()).step_by(2).map(|i| u8::from_str_radix(&s[i..i + 2], 16).unwrap()).collect()
}

/// A value in its physical form from Postgres's text form.
pub fn scalar(ty: &PgType, text: Option<&str>) -> ScalarValue {
    let arrow = arrow_type(ty).unwrap();
    let Some(text) = text else { return ScalarValue::try_from(&arrow).unwrap() };
    match ty.base {
        oid::BPCHAR => ScalarValue::Utf8View(Some(text.trim_end_matches(' ').into())),
        oid::BOOL => ScalarValue::Boolean(Some(text.starts_with('t'))),
        oid::BYTEA => ScalarValue::BinaryView(Some(hex(text.trim_start_matches("\\x")))),
        oid::UUID => ScalarValue::FixedSizeBinary(16, Some(hex(&text.replace('-', "")))),
        oid::DATE if text == "infinity" => ScalarValue::Date32(Some(i32::MAX)),
        oid::FLOAT4 | oid::FLOAT8 | oid::DATE | oid::INT2 | oid::INT4 | oid::INT8 => ScalarValue::try_from_string(text.into(), &arrow).unwrap(),
        _ => match ty.element() {
            None => ScalarValue::Utf8View(Some(text.into())),
            Some(element) => {
                let items: Vec<_> = array_items(text).iter().map(|i| scalar(&element, i.as_deref())).collect();
                ScalarValue::List(ScalarValue::new_list(&items, &arrow_type(&element).unwrap(), true))
            }
        },
    }
}

/// A one-dimensional array literal.
pub fn array_items(text: &str) -> Vec<Option<String>> {
    let inner = text.strip_prefix('{').unwrap().strip_suffix('}').unwrap();
    let mut items = Vec::new();
    let mut chars = inner.chars().peekable();
    while chars.peek().is_some() {
        let mut item = String::new();
        let mut quoted = false;
        loop {
            match chars.next() {
                None => break,
                Some(',') => break,
                Some('"') => {
                    quoted = true;
                    while let Some(c) = chars.next() {
                        match c {
                            '"' => break,
                            '\\' => item.extend(chars.next()),
                            c => item.push(c),
                        }
                    }
                }
                Some(c) => item.push(c),
            }
        }
        items.push(if !quoted && item == "NULL" { None } else { Some(item) });
    }
    items
}

/// The answer in the form of the golden files.
pub fn print(array: &ArrayRef, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    Some(match array.data_type() {
        DataType::Utf8View => array.as_string_view().value(row).to_owned(),
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float32 => array.as_primitive::<arrow::datatypes::Float32Type>().value(row).to_string(),
        DataType::Float64 => array.as_primitive::<arrow::datatypes::Float64Type>().value(row).to_string(),
        DataType::BinaryView => array.as_binary_view().value(row).iter().map(|b| format!("{b:02x}")).collect(),
        DataType::FixedSizeBinary(16) => {
            let h: String = array.as_fixed_size_binary().value(row).iter().map(|b| format!("{b:02x}")).collect();
            format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..])
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            let json = (0..items.len())
                .map(|i| match print(&items, i) {
                    None => Json::Null,
                    Some(s) if items.data_type() == &DataType::Utf8View => Json::String(s),
                    Some(s) => serde_json::from_str(&s).unwrap(),
                })
                .collect();
            Json::Array(json).to_string()
        }
        other => panic!("answer of type {other}"),
    })
}
