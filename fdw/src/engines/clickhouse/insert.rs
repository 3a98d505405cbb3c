//! Rows that are written: one Arrow stream for each batch, read by `input` and cast to the types of the table.
//!
//! Invariants:
//! - A value is stored as it is or the whole batch is refused: ClickHouse wraps integers around, cuts decimals and saturates dates when it
//!   casts, so that every cast is compared with what was sent (`throwIf`), before anything is stored.
//! - A NULL never becomes a default, and a batch that was sent twice on purpose is stored twice.

use crate::dialect::clickhouse::{hyphenated, quoted};
use arrow::array::*;
use arrow::compute::{cast, max, min};
use arrow::datatypes::{DataType, Date32Type, Field, Schema, TimestampMicrosecondType};
use arrow::ipc::writer::StreamWriter;
use std::sync::Arc;
use weir_plan::protocol::WriteColumn;
use weir_plan::types::{NumericForm, PgType, column_fields, oid};
use weir_plan::{Error, Kind, Result};

/// What makes sure that nothing is lost on the way.
pub const SETTINGS: &[(&str, &str)] =
    &[("async_insert", "0"), ("insert_deduplicate", "0"), ("insert_null_as_default", "0"), ("input_format_null_as_default", "0"), ("wait_end_of_query", "1")];

/// 1900-01-01 and 2300-01-01 in days, the bounds of Date32 and DateTime64.
const DAYS: std::ops::Range<i64> = -25_567..120_530;
const DAY_US: i64 = 86_400_000_000;

/// A column to be written: its name there (quoted), and the remote type.
pub struct Target {
    pub ident: String,
    pub remote_type: String,
}

fn unfit(server: &str, column: &str, why: &str) -> Error {
    Error { sqlstate: "22000".into(), ..Error::new(Kind::Query, format!("server \"{server}\": a value of column \"{column}\" cannot be written")) }
        .with_detail(format!("The engine cannot hold {why}."))
}

/// The type in which a column is sent.
pub fn sent_type(ty: &PgType) -> Option<String> {
    if let Some(element) = ty.element() {
        // Elements of other types are not in arrays that are imported.
        let plain = matches!(element.base, oid::BOOL | oid::INT2 | oid::INT4 | oid::INT8 | oid::FLOAT4 | oid::FLOAT8 | oid::TEXT | oid::VARCHAR);
        return if plain { sent_type(&element).map(|t| format!("Array(Nullable({t}))")) } else { None };
    }
    Some(match ty.base {
        oid::BOOL => "Bool".into(),
        oid::INT2 => "Int16".into(),
        oid::INT4 => "Int32".into(),
        oid::INT8 => "Int64".into(),
        oid::FLOAT4 => "Float32".into(),
        oid::FLOAT8 => "Float64".into(),
        oid::NUMERIC => {
            let form = NumericForm::of_column(ty);
            format!("Decimal({}, {})", form.precision, form.scale)
        }
        oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::ENUM | oid::JSON | oid::JSONB | oid::UUID | oid::BYTEA => "String".into(),
        oid::DATE => "Date32".into(),
        oid::TIMESTAMP | oid::TIMESTAMPTZ => "DateTime64(6, 'UTC')".into(),
        _ => return None,
    })
}

/// The condition that a value is stored as it was sent; `None` where the cast itself sees to that.
pub fn guard(name: &str, ty: &PgType, remote: &str) -> Option<String> {
    if let (Some(element), Some(inner)) = (ty.element(), remote.strip_prefix("Array(").and_then(|t| t.strip_suffix(')'))) {
        let holds = guard("x", &element, inner)?;
        return Some(format!("arrayAll(x -> {holds}, {name})"));
    }
    let plain = remote.replace("LowCardinality(", "").replace("Nullable(", "");
    let is = |prefix: &str| plain.starts_with(prefix);
    let stored = format!("CAST({name}, {})", quoted(remote));
    if is("FixedString") {
        // Which fills up with zero bytes.
        return Some(format!("(length({stored}) IS NOT DISTINCT FROM length({name}))"));
    }
    if sent_type(ty).as_deref() == Some("String") && (is("String") || is("Enum") || is("UUID")) {
        return None;
    }
    let same = format!("({stored} IS NOT DISTINCT FROM {name})");
    Some(if matches!(ty.base, oid::FLOAT4 | oid::FLOAT8) { format!("({same} OR isNaN({name}))") } else { same })
}

/// The statement that takes the rows as its data.
///
/// # Errors
/// A column of a type that cannot be sent.
pub fn statement(server: &str, table: &str, columns: &[WriteColumn], targets: &[Target]) -> Result<String> {
    let (mut idents, mut casts, mut structure, mut guards) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (i, (c, target)) in columns.iter().zip(targets).enumerate() {
        let sent = sent_type(&c.ty).ok_or_else(|| unfit(server, &c.name, "values of its type"))?;
        // There are no arrays that are NULL.
        structure.push(if c.ty.element().is_some() { format!("c{i} {sent}") } else { format!("c{i} Nullable({sent})") });
        idents.push(target.ident.clone());
        casts.push(format!("CAST(c{i}, {})", quoted(&target.remote_type)));
        if let Some(holds) = guard(&format!("c{i}"), &c.ty, &target.remote_type) {
            let message = format!("a value of column \"{}\" does not fit its remote type {}", c.name, target.remote_type);
            guards.push(format!("NOT throwIf(NOT {holds}, {})", quoted(&message)));
        }
    }
    let filter = if guards.is_empty() { String::new() } else { format!(" WHERE {}", guards.join(" AND ")) };
    Ok(format!(
        "INSERT INTO {table} ({}) SELECT {} FROM input({}){filter} FORMAT ArrowStream",
        idents.join(", "),
        casts.join(", "),
        quoted(&structure.join(", "))
    ))
}

/// The rows as an Arrow stream with the columns `c0`, `c1`, …
///
/// # Errors
/// A date or a time that is out of range there.
pub fn stream(server: &str, columns: &[WriteColumn], rows: &RecordBatch) -> Result<Vec<u8>> {
    let broken = |what: &str| Error::internal(format!("rows to be written: {what}"));
    let (mut fields, mut out) = (Vec::new(), Vec::new());
    let mut arrays = rows.columns().iter();
    for (i, c) in columns.iter().enumerate() {
        let physical = column_fields("c", &c.ty, true).ok_or_else(|| broken("an unknown type"))?;
        let values = arrays.next().ok_or_else(|| broken("a column is missing"))?;
        if physical.len() > 1 {
            // The display scale of a number is not stored.
            arrays.next();
        }
        if c.ty.element().is_some() && values.null_count() > 0 {
            return Err(Error { sqlstate: "23502".into(), ..unfit(server, &c.name, "an array that is NULL") });
        }
        let array = sent(values, &c.ty).ok_or_else(|| broken("a column has another type"))?.map_err(|why| unfit(server, &c.name, why))?;
        fields.push(Field::new(format!("c{i}"), array.data_type().clone(), true));
        out.push(array);
    }
    let arrow = |e: arrow::error::ArrowError| Error::internal(format!("rows to be written: {e}"));
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), out).map_err(arrow)?;
    let mut writer = StreamWriter::try_new(Vec::new(), batch.schema_ref()).map_err(arrow)?;
    writer.write(&batch).map_err(arrow)?;
    writer.into_inner().map_err(arrow)
}

/// The values in a type that is understood; `None` if they are not of the declared one.
fn sent(values: &ArrayRef, ty: &PgType) -> Option<Result<ArrayRef, &'static str>> {
    const RANGE: &str = "a date outside of the years 1900 to 2299";
    let checked = |ok: bool| if ok { Ok(Arc::clone(values)) } else { Err(RANGE) };
    Some(match ty.base {
        oid::DATE => {
            let days = values.as_primitive_opt::<Date32Type>()?;
            checked([min(days), max(days)].into_iter().flatten().all(|d| DAYS.contains(&i64::from(d))))
        }
        oid::TIMESTAMP | oid::TIMESTAMPTZ => {
            let micros = values.as_primitive_opt::<TimestampMicrosecondType>()?;
            checked([min(micros), max(micros)].into_iter().flatten().all(|us| DAYS.contains(&us.div_euclid(DAY_US))))
        }
        oid::UUID => {
            let uuids = values.as_fixed_size_binary_opt()?;
            let text = uuids.iter().map(|u| u.and_then(|u| <&[u8; 16]>::try_from(u).ok()).map(hyphenated));
            Ok(Arc::new(text.collect::<StringArray>()))
        }
        oid::BYTEA => Ok(cast(values, &DataType::Binary).ok()?),
        _ if ty.element().is_some_and(|e| e.is_text_like()) => Ok(cast(values, &DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))).ok()?),
        _ if ty.is_text_like() => Ok(cast(values, &DataType::Utf8).ok()?),
        _ => Ok(Arc::clone(values)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, ty: PgType) -> WriteColumn {
        WriteColumn { name: name.into(), ty }
    }

    #[test]
    fn every_cast_is_compared() {
        let targets = |types: &[&str]| types.iter().map(|t| Target { ident: "`a`".into(), remote_type: (*t).into() }).collect::<Vec<_>>();
        let of = |ty, remote: &str| statement("ch", "`s`.`t`", &[column("a", ty)], &targets(&[remote])).expect("spelled");
        assert_eq!(
            of(PgType::INT8, "Int32"),
            "INSERT INTO `s`.`t` (`a`) SELECT CAST(c0, 'Int32') FROM input('c0 Nullable(Int64)') WHERE NOT throwIf(NOT (CAST(c0, 'Int32') IS NOT DISTINCT FROM c0), \
             'a value of column \"a\" does not fit its remote type Int32') FORMAT ArrowStream"
        );
        assert!(!of(PgType::TEXT, "LowCardinality(Nullable(String))").contains("throwIf"));
        assert!(of(PgType::new(oid::BYTEA), "FixedString(4)").contains("length("));
        assert!(of(PgType::FLOAT8, "Float32").contains("isNaN(c0)"));
        assert!(of(PgType::TEXT, "Int32").contains("throwIf"));
        assert!(statement("ch", "t", &[column("a", PgType::new(oid::TIME))], &targets(&["Time"])).is_err());
        let list = of(PgType::new(1007), "Array(Int8)");
        assert!(list.contains("'c0 Array(Nullable(Int32))'") && list.contains("arrayAll(x -> (CAST(x, 'Int8') IS NOT DISTINCT FROM x), c0)"), "{list}");
        assert!(!of(PgType::new(1009), "Array(LowCardinality(Nullable(String)))").contains("throwIf"));
    }

    #[test]
    fn what_no_date_there_can_be_is_refused() {
        let batch = |d: i32| {
            let array = Date32Array::from(vec![Some(d), None]);
            RecordBatch::try_new(Arc::new(Schema::new(vec![Field::new("c", DataType::Date32, true)])), vec![Arc::new(array)]).expect("valid")
        };
        assert!(stream("ch", &[column("d", PgType::DATE)], &batch(120_529)).is_ok());
        for d in [120_530, -25_568, i32::MAX] {
            assert_eq!(stream("ch", &[column("d", PgType::DATE)], &batch(d)).expect_err("refused").sqlstate, "22000");
        }
    }
}
