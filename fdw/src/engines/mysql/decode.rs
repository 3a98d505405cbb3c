//! Rows of the binary protocol.

use crate::client::{Batches, Cell};
use crate::dialect::mysql::days;
use arrow::array::RecordBatch;
use mysql_async::consts::ColumnType;
use mysql_async::{Column, Row, Value};
use serde_json::json;
use weir_plan::Result;

/// Adds a row; a batch if it is full.
pub fn row(row: &Row, batches: &mut Batches) -> Result<Option<RecordBatch>> {
    for i in 0..batches.width() {
        match row.as_ref(i) {
            None | Some(Value::NULL) => batches.put(i, Cell::Null)?,
            Some(Value::Bytes(b)) => batches.put(i, Cell::Bytes(b))?,
            Some(Value::Int(v)) => batches.put(i, Cell::Int(i128::from(*v)))?,
            Some(Value::UInt(v)) => batches.put(i, Cell::Int(i128::from(*v)))?,
            Some(Value::Float(v)) => batches.put(i, Cell::Float4(*v))?,
            Some(Value::Double(v)) => batches.put(i, Cell::Float8(*v))?,
            Some(Value::Date(y, m, d, h, min, s, us)) => {
                // 0000-00-00 and its like, and the year 0, are no dates.
                if *y == 0 || *m == 0 || *d == 0 {
                    return Err(batches.refuse(i, &format!("{y:04}-{m:02}-{d:02}"), "it is not a date"));
                }
                let day = days(i64::from(*y), u32::from(*m), u32::from(*d));
                let time = ((i64::from(*h) * 60 + i64::from(*min)) * 60 + i64::from(*s)) * 1_000_000 + i64::from(*us);
                batches.put(i, Cell::Timestamp(day * 86_400_000_000 + time))?;
            }
            Some(Value::Time(negative, d, h, min, s, us)) => {
                let time = (((i64::from(*d) * 24 + i64::from(*h)) * 60 + i64::from(*min)) * 60 + i64::from(*s)) * 1_000_000 + i64::from(*us);
                batches.put(i, Cell::Time(if *negative { -time } else { time }))?;
            }
        }
    }
    batches.end_row()
}

/// Adds a row as a JSON object.
pub fn json(row: &Row, fields: &[Column], batches: &mut Batches) -> Result<Option<RecordBatch>> {
    let mut object = serde_json::Map::new();
    for (i, field) in fields.iter().enumerate() {
        let value = row.as_ref(i).map_or(serde_json::Value::Null, |v| json_value(v, field));
        object.insert(field.name_str().into_owned(), value);
    }
    let text = serde_json::Value::Object(object).to_string();
    batches.put(0, Cell::Bytes(text.as_bytes()))?;
    batches.end_row()
}

fn json_value(value: &Value, field: &Column) -> serde_json::Value {
    match value {
        Value::NULL => serde_json::Value::Null,
        Value::Int(v) => json!(v),
        Value::UInt(v) => json!(v),
        Value::Float(v) => json!(v),
        Value::Double(v) => json!(v),
        Value::Bytes(b) => match std::str::from_utf8(b) {
            // The text protocol has all numbers as text.
            Ok(text) if field.column_type().is_numeric_type() => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
            Ok(text) if !text.contains('\0') => json!(text),
            _ => json!(format!("\\x{}", b.iter().map(|b| format!("{b:02x}")).collect::<String>())),
        },
        Value::Date(y, m, d, 0, 0, 0, 0) if field.column_type() == ColumnType::MYSQL_TYPE_DATE => json!(format!("{y:04}-{m:02}-{d:02}")),
        Value::Date(y, m, d, h, min, s, us) => json!(format!("{y:04}-{m:02}-{d:02} {h:02}:{min:02}:{s:02}.{us:06}")),
        Value::Time(negative, d, h, min, s, us) => {
            json!(format!("{}{:02}:{min:02}:{s:02}.{us:06}", if *negative { "-" } else { "" }, u64::from(*d) * 24 + u64::from(*h)))
        }
    }
}
