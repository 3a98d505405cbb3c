//! Catalogs that describe tables in Arrow.

use super::failed;
use crate::dialect::Dialect;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use weir_plan::Result;
use weir_plan::ir::Scalar;
use weir_plan::protocol::{CatalogColumn, CatalogTable, Endpoint};
use weir_plan::types::PgType;

/// The type that holds every value of a column (but timestamps finer than a microsecond); `None` if there is none.
pub fn pg_type(field: &Field) -> Option<String> {
    match field.metadata().get("ARROW:extension:name").map(String::as_str) {
        Some("arrow.uuid") => return Some("uuid".into()),
        Some("arrow.json") => return Some("json".into()),
        _ => {}
    }
    of_type(field.data_type())
}

fn of_type(ty: &DataType) -> Option<String> {
    Some(match ty {
        DataType::Boolean => "boolean".into(),
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => "smallint".into(),
        DataType::UInt16 | DataType::Int32 => "integer".into(),
        DataType::UInt32 | DataType::Int64 => "bigint".into(),
        DataType::UInt64 => "numeric(20,0)".into(),
        DataType::Float32 => "real".into(),
        DataType::Float64 => "double precision".into(),
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => {
            // Digits that are all before the point, or all after it.
            let (digits, scale) = (i16::from(*p), i16::from(*s));
            if scale < 0 { format!("numeric({},0)", digits - scale) } else { format!("numeric({},{scale})", digits.max(scale)) }
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "bytea".into(),
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Time32(_) | DataType::Time64(_) => "time without time zone".into(),
        DataType::Timestamp(_, None) => "timestamp without time zone".into(),
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone".into(),
        DataType::Dictionary(_, values) => return of_type(values),
        _ => return None,
    })
}

/// A table with the columns of this schema. What may be NULL is not taken from it: many say "never" and do not mean it.
pub fn catalog_table(name: String, schema: &Schema) -> CatalogTable {
    let columns = schema
        .fields()
        .iter()
        .map(|f| CatalogColumn { name: f.name().clone(), pg_type: pg_type(f), remote_type: f.data_type().to_string(), not_null: false })
        .collect();
    CatalogTable { name, columns, key: Vec::new(), indexed: Vec::new(), rows: None }
}

/// A column of text, of whatever type of text.
///
/// # Errors
/// There is no such column.
pub fn text_column(endpoint: &Endpoint, batch: &RecordBatch, name: &str) -> Result<Vec<Option<String>>> {
    text_values(endpoint, batch.column_by_name(name), name)
}

/// As [`text_column`], of a column that was looked up.
pub fn text_values(endpoint: &Endpoint, column: Option<&ArrayRef>, name: &str) -> Result<Vec<Option<String>>> {
    let strange = || failed(endpoint, "HV000", "could not understand the answer").with_detail(format!("A list of tables has no column \"{name}\"."));
    let text = cast(column.ok_or_else(strange)?, &DataType::Utf8).map_err(|_| strange())?;
    let text = text.as_string_opt::<i32>().ok_or_else(strange)?;
    Ok((0..text.len()).map(|i| text.is_valid(i).then(|| text.value(i).to_owned())).collect())
}

/// Statements that list the tables of a schema, each with the name of the column to read, for servers whose protocol has no such list.
///
/// # Errors
/// A name that the dialect cannot say.
pub fn catalog_queries(dialect: &dyn Dialect, schema: &str) -> Result<Vec<(String, &'static str)>, String> {
    let text = dialect.literal(&Scalar::Text(schema.to_owned()), &PgType::TEXT)?;
    Ok(vec![
        (format!("SELECT table_name FROM information_schema.tables WHERE table_schema = {text}"), "table_name"),
        (format!("SHOW TABLES IN {}", dialect.ident(schema)?), "tableName"),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_a_place() {
        let ty = |t| pg_type(&Field::new("c", t, true));
        assert_eq!(ty(DataType::UInt64).as_deref(), Some("numeric(20,0)"));
        assert_eq!(ty(DataType::Decimal128(5, -2)).as_deref(), Some("numeric(7,0)"));
        assert_eq!(ty(DataType::Decimal128(2, 5)).as_deref(), Some("numeric(5,5)"));
        assert_eq!(ty(DataType::Duration(arrow::datatypes::TimeUnit::Second)), None);
    }
}
