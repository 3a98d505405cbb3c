//! Batches of an engine's own Arrow types as the declared columns.
//!
//! Invariants:
//! - A value arrives as it is or is an error that names its column: nothing is rounded, cut or wrapped around.
//! - Text and bytes that come as plain arrays stay plain ones instead of views: who computes with them calls [`views`], who passes them on need not.
//! - A time zone is neither assumed nor dropped: a `timestamp` does not become a `timestamp with time zone`, nor the other way round.

use super::build::{Cell, Column, Unfit, schema, shown, unfit};
use super::nested::{is_nested, json};
use super::{BATCH_ROWS, Wanted, failed, json_column};
use arrow::array::*;
use arrow::compute::{CastOptions, cast_with_options, max, min};
use arrow::datatypes::*;
use arrow::error::ArrowError;
use std::sync::Arc;
use weir_plan::ir::RemoteColumn;
use weir_plan::protocol::Endpoint;
use weir_plan::types::{NumericForm, PgType, arrow_type, oid};
use weir_plan::{Error, Result};

const KIND: Unfit = "it is of another type";
const RANGE: Unfit = "it is out of range";

/// The days and microseconds since 1970-01-01 at which Postgres's dates and timestamps begin and end; what is beyond the end in Arrow is
/// infinity only at the very maximum. Source: `DATE_END_JULIAN` and `MIN_TIMESTAMP` in `datatype/timestamp.h`.
const DAYS: std::ops::Range<i32> = -2_440_588..2_145_042_906;
const FIRST_MICROSECOND: i64 = -210_866_803_200_000_000;

/// Makes the declared columns of a statement's result.
pub struct Conform {
    server: String,
    columns: Vec<RemoteColumn>,
    schema: SchemaRef,
}

impl Conform {
    /// # Errors
    /// Another number of columns than declared, or a type that is never read.
    pub fn new(endpoint: &Endpoint, columns: &[RemoteColumn], found: &Schema) -> Result<Conform> {
        if found.fields().len() != columns.len() {
            let message = format!("the result has {} columns, not the {} that were asked for", found.fields().len(), columns.len());
            return Err(failed(endpoint, "HV021", &message).with_hint("The remote table may have changed: import it again."));
        }
        Ok(Conform { server: endpoint.name.clone(), columns: columns.to_vec(), schema: schema(columns)? })
    }

    /// The declared types.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The batch in the declared types.
    ///
    /// # Errors
    /// A value that does not fit.
    pub fn batch(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        if batch.num_columns() != self.columns.len() {
            return Err(Error::internal("a batch has another number of columns than its schema"));
        }
        let mut arrays = Vec::with_capacity(self.schema.fields().len());
        for (column, array) in self.columns.iter().zip(batch.columns()) {
            arrays.extend(convert(array, &column.ty).map_err(|(value, why)| unfit(&self.server, &column.name, &value, why))?);
        }
        let fields = self.schema.fields().iter().zip(&arrays);
        let fields: Vec<_> = fields
            .map(|(field, array)| match (field.data_type(), array.data_type()) {
                (DataType::Utf8View, DataType::Utf8) | (DataType::BinaryView, DataType::Binary) => {
                    Arc::new(field.as_ref().clone().with_data_type(array.data_type().clone()))
                }
                _ => Arc::clone(field),
            })
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).map_err(|e| Error::internal(format!("could not build a batch: {e}")))
    }
}

/// The batch in the types of this schema: what stayed a plain array of text or bytes becomes one of views.
///
/// # Errors
/// A column of another type.
pub fn views(batch: RecordBatch, schema: &SchemaRef) -> std::result::Result<RecordBatch, ArrowError> {
    if batch.columns().iter().zip(schema.fields()).all(|(c, f)| c.data_type() == f.data_type()) {
        return Ok(batch);
    }
    let arrays = batch.columns().iter().zip(schema.fields()).map(|(c, f)| arrow::compute::cast(c, f.data_type())).collect::<std::result::Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)
}

/// Each row as one JSON object, in one column of text.
///
/// # Errors
/// A column of a type that has no form in JSON.
pub fn json_rows(endpoint: &Endpoint, batch: &RecordBatch) -> Result<RecordBatch> {
    let mut writer = arrow::json::WriterBuilder::new().with_explicit_nulls(true).build::<_, arrow::json::writer::LineDelimited>(Vec::new());
    writer.write(batch).and_then(|()| writer.finish()).map_err(|e| failed(endpoint, "HV004", &format!("a value has no form in JSON: {e}")))?;
    let text = String::from_utf8(writer.into_inner()).map_err(|_| Error::internal("JSON that is not text"))?;
    let rows = StringViewArray::from_iter_values(text.lines());
    RecordBatch::try_new(schema(&[json_column()])?, vec![Arc::new(rows)]).map_err(|e| Error::internal(format!("could not build a batch: {e}")))
}

/// A batch as batches of at most [`BATCH_ROWS`] of what is wanted.
///
/// # Errors
/// As for [`Conform`] and [`json_rows`].
pub fn conformed(endpoint: &Endpoint, wanted: &Wanted, batch: &RecordBatch) -> Result<Vec<RecordBatch>> {
    let conform = match wanted {
        Wanted::Columns(columns) if !columns.is_empty() => Some(Conform::new(endpoint, columns, &batch.schema())?),
        _ => None,
    };
    let pieces = (0..batch.num_rows()).step_by(BATCH_ROWS).map(|start| batch.slice(start, BATCH_ROWS.min(batch.num_rows() - start)));
    pieces
        .map(|rows| match (wanted, &conform) {
            (_, Some(conform)) => conform.batch(&rows),
            (Wanted::Json, None) => json_rows(endpoint, &rows),
            // Rows are only counted: the server was asked for a constant.
            (Wanted::Columns(_), None) => rows.project(&[]).map_err(|e| Error::internal(e.to_string())),
        })
        .collect()
}

/// The value at fault, and what is wrong with it.
type Fault = (String, Unfit);

fn fault(array: &dyn Array, row: usize, why: Unfit) -> Fault {
    let options = arrow::util::display::FormatOptions::default();
    let text = arrow::util::display::ArrayFormatter::try_new(array, &options).and_then(|f| f.value(row).try_to_string());
    let text = text.unwrap_or_else(|_| format!("of type {}", array.data_type()));
    (shown(Cell::Bytes(text.as_bytes())), why)
}

/// The physical columns of the declared type: one, or two for a numeric without declared scale.
fn convert(array: &ArrayRef, ty: &PgType) -> std::result::Result<Vec<ArrayRef>, Fault> {
    let wanted = arrow_type(ty).ok_or_else(|| (format!("of type {}", array.data_type()), KIND))?;
    match array.data_type() {
        DataType::Dictionary(_, values) => return convert(&cast(array, values)?, ty),
        DataType::RunEndEncoded(_, values) => return convert(&cast(array, values.data_type())?, ty),
        DataType::Null => {
            let mut nulls = vec![new_null_array(&wanted, array.len())];
            if is_dynamic(ty) {
                nulls.push(new_null_array(&DataType::Int16, array.len()));
            }
            return Ok(nulls);
        }
        _ => {}
    }
    if array.null_count() == array.len() && !wanted.is_nested() && !array.data_type().is_nested() {
        return convert(&new_null_array(&DataType::Null, array.len()), ty);
    }
    if is_dynamic(ty) {
        return dynamic(array, ty, &wanted);
    }
    let one = match (array.data_type(), &wanted) {
        (DataType::List(_) | DataType::LargeList(_), DataType::List(item)) => list(array, ty, item)?,
        (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, DataType::Utf8View) if matches!(ty.base, oid::TEXT | oid::VARCHAR | oid::ENUM) => {
            match array.as_string_opt::<i32>() {
                // Most text can be looked through all at once.
                Some(text) if has_no_zero(text) && is_no_longer(text, ty.char_length()) => Arc::clone(array),
                Some(text) => {
                    check_text(array, text.iter(), ty)?;
                    Arc::clone(array)
                }
                None => {
                    let views = cast(array, &wanted)?;
                    check_text(&views, views.as_string_view().iter(), ty)?;
                    views
                }
            }
        }
        (found, DataType::Boolean) if *found == wanted => Arc::clone(array),
        (found, DataType::FixedSizeBinary(_)) if *found == wanted => Arc::clone(array),
        (found, DataType::Int16 | DataType::Int32 | DataType::Int64) if found.is_integer() => cast(array, &wanted)?,
        (DataType::Decimal128(_, 0) | DataType::Decimal256(_, 0), DataType::Int16 | DataType::Int32 | DataType::Int64) => cast(array, &wanted)?,
        (DataType::Float32 | DataType::Float64, DataType::Float64) | (DataType::Float32, DataType::Float32) => cast(array, &wanted)?,
        (found, DataType::Decimal128(..) | DataType::Decimal256(..)) if found.is_integer() => cast(array, &wanted)?,
        (DataType::Decimal128(_, from) | DataType::Decimal256(_, from), DataType::Decimal128(_, to) | DataType::Decimal256(_, to)) if from <= to => {
            cast(array, &wanted)?
        }
        (DataType::Binary, DataType::BinaryView) => Arc::clone(array),
        (DataType::LargeBinary | DataType::BinaryView, DataType::BinaryView) => cast(array, &wanted)?,
        (DataType::Date32 | DataType::Date64, DataType::Date32) => {
            let array = cast(array, &wanted)?;
            check_dates(&array)?;
            array
        }
        (DataType::Timestamp(unit, from), DataType::Timestamp(_, to)) if *unit != TimeUnit::Nanosecond && from.is_some() == to.is_some() => {
            let array = cast(array, &wanted)?;
            check_timestamps(&array)?;
            array
        }
        _ => by_cells(array, ty)?.remove(0),
    };
    Ok(vec![one])
}

fn is_dynamic(ty: &PgType) -> bool {
    ty.base == oid::NUMERIC && NumericForm::of_column(ty).dynamic
}

/// A cast that keeps every value, or finds the first that it cannot keep. The caller has seen to it that nothing is rounded.
fn cast(array: &ArrayRef, to: &DataType) -> std::result::Result<ArrayRef, Fault> {
    let out =
        cast_with_options(array, to, &CastOptions { safe: true, ..CastOptions::default() }).map_err(|_| (format!("of type {}", array.data_type()), KIND))?;
    if out.logical_null_count() > array.logical_null_count() {
        let lost = (0..array.len()).find(|&i| out.is_null(i) && array.is_valid(i)).unwrap_or(0);
        return Err(fault(array, lost, RANGE));
    }
    Ok(out)
}

/// A decimal with a display scale for each value: that of the engine's type.
fn dynamic(array: &ArrayRef, ty: &PgType, wanted: &DataType) -> std::result::Result<Vec<ArrayRef>, Fault> {
    let scale = match array.data_type() {
        DataType::Decimal128(_, s) | DataType::Decimal256(_, s) if (0..=weir_plan::types::DYNAMIC_SCALE).contains(s) => i16::from(*s),
        found if found.is_integer() => 0,
        _ => return by_cells(array, ty),
    };
    let scales = Int16Array::new(vec![scale; array.len()].into(), array.logical_nulls());
    Ok(vec![cast(array, wanted)?, Arc::new(scales)])
}

/// No value has a zero byte.
fn has_no_zero(array: &StringArray) -> bool {
    let ends = array.value_offsets();
    let (Some(from), Some(to)) = (ends.first(), ends.last()) else { return false };
    let bytes = usize::try_from(*from).ok().zip(usize::try_from(*to).ok()).and_then(|(from, to)| array.value_data().get(from..to));
    bytes.is_some_and(|b| !b.contains(&0))
}

/// No value has more bytes than the type allows characters.
fn is_no_longer(array: &StringArray, limit: Option<usize>) -> bool {
    let Some(limit) = limit.map(|n| i32::try_from(n).unwrap_or(i32::MAX)) else { return true };
    array.offsets().windows(2).all(|w| matches!(w, [from, to] if to - from <= limit))
}

fn check_text<'a>(array: &ArrayRef, values: impl Iterator<Item = Option<&'a str>>, ty: &PgType) -> std::result::Result<(), Fault> {
    let limit = ty.char_length();
    for (i, text) in values.enumerate() {
        let Some(text) = text else { continue };
        if text.as_bytes().contains(&0) {
            return Err(fault(array, i, "it has a zero byte"));
        }
        if limit.is_some_and(|n| text.len() > n && text.chars().count() > n) {
            return Err(fault(array, i, "it is too long"));
        }
    }
    Ok(())
}

fn check_dates(array: &ArrayRef) -> std::result::Result<(), Fault> {
    let days = array.as_primitive::<Date32Type>();
    let inside = |d: i32| DAYS.contains(&d) || d == i32::MAX || d == i32::MIN;
    if min(days).is_none_or(|d| DAYS.contains(&d)) && max(days).is_none_or(|d| DAYS.contains(&d)) {
        return Ok(());
    }
    match days.iter().position(|d| d.is_some_and(|d| !inside(d))) {
        Some(row) => Err(fault(array, row, RANGE)),
        None => Ok(()),
    }
}

fn check_timestamps(array: &ArrayRef) -> std::result::Result<(), Fault> {
    let times = array.as_primitive::<TimestampMicrosecondType>();
    if min(times).is_none_or(|t| t >= FIRST_MICROSECOND) {
        return Ok(());
    }
    match times.iter().position(|t| t.is_some_and(|t| t < FIRST_MICROSECOND && t != i64::MIN)) {
        Some(row) => Err(fault(array, row, RANGE)),
        None => Ok(()),
    }
}

fn list(array: &ArrayRef, ty: &PgType, item: &FieldRef) -> std::result::Result<ArrayRef, Fault> {
    let unknown = || (format!("of type {}", array.data_type()), KIND);
    let element = ty.element().filter(|e| e.base != oid::NUMERIC).ok_or_else(unknown)?;
    let array = match array.data_type() {
        DataType::LargeList(inner) => cast(array, &DataType::List(Arc::clone(inner)))?,
        _ => Arc::clone(array),
    };
    let lists = array.as_list_opt::<i32>().ok_or_else(unknown)?;
    let values = cast(&convert(lists.values(), &element)?.remove(0), item.data_type())?;
    let out = ListArray::try_new(Arc::clone(item), lists.offsets().clone(), values, lists.nulls().cloned()).map_err(|_| unknown())?;
    Ok(Arc::new(out))
}

/// Value by value, with all the checks of rows.
fn by_cells(array: &ArrayRef, ty: &PgType) -> std::result::Result<Vec<ArrayRef>, Fault> {
    let unknown = || (format!("of type {}", array.data_type()), KIND);
    let mut column = Column::new(ty).ok_or_else(unknown)?;
    for row in 0..array.len() {
        if array.is_null(row) {
            column.append_null();
            continue;
        }
        append(&mut column, array, row).map_err(|why| fault(array, row, why))?;
    }
    let mut out = Vec::new();
    column.finish(&mut out);
    Ok(out)
}

fn append(column: &mut Column, array: &ArrayRef, row: usize) -> std::result::Result<(), Unfit> {
    let micros = |v: i64, per: i64| if v % per == 0 { Ok(v / per) } else { Err("it is finer than a microsecond") };
    let decimal = |text: String, column: &mut Column| column.append(Cell::Bytes(text.as_bytes()));
    let any = array.as_any();
    match array.data_type() {
        DataType::Boolean => column.append(Cell::Int(array.as_boolean().value(row).into())),
        DataType::Int8 => column.append(Cell::Int(array.as_primitive::<Int8Type>().value(row).into())),
        DataType::Int16 => column.append(Cell::Int(array.as_primitive::<Int16Type>().value(row).into())),
        DataType::Int32 => column.append(Cell::Int(array.as_primitive::<Int32Type>().value(row).into())),
        DataType::Int64 => column.append(Cell::Int(array.as_primitive::<Int64Type>().value(row).into())),
        DataType::UInt8 => column.append(Cell::Int(array.as_primitive::<UInt8Type>().value(row).into())),
        DataType::UInt16 => column.append(Cell::Int(array.as_primitive::<UInt16Type>().value(row).into())),
        DataType::UInt32 => column.append(Cell::Int(array.as_primitive::<UInt32Type>().value(row).into())),
        DataType::UInt64 => column.append(Cell::Int(array.as_primitive::<UInt64Type>().value(row).into())),
        DataType::Float32 => column.append(Cell::Float4(array.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => column.append(Cell::Float8(array.as_primitive::<Float64Type>().value(row))),
        DataType::Decimal32(..) => decimal(array.as_primitive::<Decimal32Type>().value_as_string(row), column),
        DataType::Decimal64(..) => decimal(array.as_primitive::<Decimal64Type>().value_as_string(row), column),
        DataType::Decimal128(..) => decimal(array.as_primitive::<Decimal128Type>().value_as_string(row), column),
        DataType::Decimal256(..) => decimal(array.as_primitive::<Decimal256Type>().value_as_string(row), column),
        DataType::Utf8 => column.append(Cell::Bytes(array.as_string::<i32>().value(row).as_bytes())),
        DataType::LargeUtf8 => column.append(Cell::Bytes(array.as_string::<i64>().value(row).as_bytes())),
        DataType::Utf8View => column.append(Cell::Bytes(array.as_string_view().value(row).as_bytes())),
        DataType::Binary => column.append(Cell::Bytes(array.as_binary::<i32>().value(row))),
        DataType::LargeBinary => column.append(Cell::Bytes(array.as_binary::<i64>().value(row))),
        DataType::BinaryView => column.append(Cell::Bytes(array.as_binary_view().value(row))),
        DataType::FixedSizeBinary(_) => column.append(Cell::Bytes(array.as_fixed_size_binary().value(row))),
        DataType::Date32 => column.append(Cell::Date(array.as_primitive::<Date32Type>().value(row).into())),
        DataType::Date64 => column.append(Cell::Timestamp(array.as_primitive::<Date64Type>().value(row).checked_mul(1000).ok_or(RANGE)?)),
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            let us = micros(array.as_primitive::<TimestampNanosecondType>().value(row), 1000)?;
            if column.has_time_zone() != zone.is_some() {
                return Err(KIND);
            }
            column.append(Cell::Timestamp(us))
        }
        // A date is a timestamp at midnight, where no zone is asked for.
        DataType::Timestamp(_, None) if column.is_date() => {
            let v = cast_with_options(&array.slice(row, 1), &DataType::Timestamp(TimeUnit::Microsecond, None), &CastOptions::default()).map_err(|_| KIND)?;
            let v = v.as_primitive_opt::<TimestampMicrosecondType>().filter(|v| v.is_valid(0)).map(|v| v.value(0)).ok_or(RANGE)?;
            column.append(Cell::Timestamp(v))
        }
        nested if column.is_json() && is_nested(nested) => {
            let mut text = String::new();
            json(array.as_ref(), row, &mut text)?;
            column.append(Cell::Bytes(text.as_bytes()))
        }
        DataType::Time32(TimeUnit::Second) => column.append(Cell::Time(i64::from(array.as_primitive::<Time32SecondType>().value(row)) * 1_000_000)),
        DataType::Time32(TimeUnit::Millisecond) => column.append(Cell::Time(i64::from(array.as_primitive::<Time32MillisecondType>().value(row)) * 1000)),
        DataType::Time64(TimeUnit::Microsecond) => column.append(Cell::Time(array.as_primitive::<Time64MicrosecondType>().value(row))),
        DataType::Time64(TimeUnit::Nanosecond) => column.append(Cell::Time(micros(any.downcast_ref::<Time64NanosecondArray>().ok_or(KIND)?.value(row), 1000)?)),
        _ => Err(KIND),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_plan::ir::{ColId, ServerRef};

    fn one(array: ArrayRef, ty: PgType) -> std::result::Result<Vec<ArrayRef>, Fault> {
        convert(&array, &ty)
    }

    fn shop() -> Endpoint {
        Endpoint { server: ServerRef { server: 1, user: 1 }, name: "shop".into(), engine: "duckdb".into(), options: Vec::new(), trusted: false }
    }

    fn numeric(p: i32, s: i32) -> PgType {
        PgType::with_typmod(oid::NUMERIC, ((p << 16) | s) + 4)
    }

    #[test]
    fn integers_fit_or_are_named() {
        let out = one(Arc::new(UInt64Array::from(vec![Some(7), None])), PgType::INT8).expect("fits");
        assert_eq!(out[0].as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [Some(7), None]);
        let e = one(Arc::new(Int64Array::from(vec![1, 40_000])), PgType::INT2).expect_err("too large");
        assert_eq!(e.0, "40000");
        assert!(one(Arc::new(Float64Array::from(vec![1.0])), PgType::INT4).is_err());
        assert!(one(Arc::new(UInt64Array::from(vec![u64::MAX])), PgType::INT8).is_err());
    }

    #[test]
    fn decimals_are_never_rounded() {
        let d = |v: i128, p, s| Arc::new(Decimal128Array::from(vec![v]).with_precision_and_scale(p, s).expect("valid")) as ArrayRef;
        let out = one(d(125, 5, 2), numeric(10, 4)).expect("fits");
        assert_eq!(out[0].as_primitive::<Decimal128Type>().value(0), 12_500);
        assert!(one(d(125, 5, 2), numeric(10, 1)).is_err());
        let out = one(d(120, 5, 2), numeric(10, 1)).expect("no digit is lost");
        assert_eq!(out[0].as_primitive::<Decimal128Type>().value(0), 12);
        assert!(one(d(12_345, 5, 2), numeric(3, 2)).is_err());
        let out = one(d(125, 5, 2), PgType::NUMERIC).expect("fits");
        assert_eq!(out[1].as_primitive::<Int16Type>().value(0), 2);
        assert!(one(d(125, 5, 2), PgType::INT4).is_err());
        assert!(one(Arc::new(Float64Array::from(vec![1.5])), numeric(5, 2)).is_err());
    }

    #[test]
    fn times_keep_their_zone_and_their_microseconds() {
        let ns = |v: i64| Arc::new(TimestampNanosecondArray::from(vec![v])) as ArrayRef;
        assert_eq!(one(ns(5000), PgType::TIMESTAMP).expect("fits")[0].as_primitive::<TimestampMicrosecondType>().value(0), 5);
        assert!(one(ns(5001), PgType::TIMESTAMP).is_err());
        assert!(one(ns(5000), PgType::TIMESTAMPTZ).is_err());
        let ms = Arc::new(TimestampMillisecondArray::from(vec![5]).with_timezone("America/New_York")) as ArrayRef;
        assert_eq!(one(Arc::clone(&ms), PgType::TIMESTAMPTZ).expect("fits")[0].as_primitive::<TimestampMicrosecondType>().value(0), 5000);
        assert!(one(ms, PgType::TIMESTAMP).is_err());
        assert!(one(Arc::new(TimestampSecondArray::from(vec![i64::MAX / 1000])), PgType::TIMESTAMP).is_err());
        assert!(one(Arc::new(TimestampMicrosecondArray::from(vec![-i64::MAX])), PgType::TIMESTAMP).is_err());
    }

    #[test]
    fn text_keeps_to_its_type() {
        let t = |s: &str| Arc::new(StringArray::from(vec![s])) as ArrayRef;
        assert!(one(t("four"), PgType::with_typmod(oid::VARCHAR, 7)).is_err());
        assert!(one(t("éé"), PgType::with_typmod(oid::VARCHAR, 7)).is_ok());
        assert!(one(t("ab\0"), PgType::with_typmod(oid::VARCHAR, 7)).is_err());
        assert!(one(t("a\0b"), PgType::TEXT).is_err());
        let padded = one(t("ab   "), PgType::with_typmod(oid::BPCHAR, 7)).expect("fits");
        assert_eq!(padded[0].as_string_view().value(0), "ab");
        assert!(one(t("{"), PgType::new(oid::JSON)).is_err());
    }

    #[test]
    fn dictionaries_and_lists_are_opened() {
        let words: DictionaryArray<Int32Type> = vec![Some("a"), None, Some("a")].into_iter().collect();
        let out = one(Arc::new(words), PgType::TEXT).expect("fits");
        assert_eq!(out[0].as_string::<i32>().iter().collect::<Vec<_>>(), [Some("a"), None, Some("a")]);
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None]), None]);
        let out = one(Arc::new(list), PgType::new(1016)).expect("fits");
        assert_eq!(out[0].as_list::<i32>().value(0).as_primitive::<Int64Type>().value(0), 1);
    }

    #[test]
    fn another_number_of_columns_is_an_error() {
        let endpoint = shop();
        let column = RemoteColumn { id: ColId(1), ty: PgType::INT4, name: "n".into() };
        let Err(e) = Conform::new(&endpoint, &[column], &Schema::empty()) else { panic!("two numbers of columns") };
        assert!(e.message.contains("\"shop\""), "{e:?}");
    }

    #[test]
    fn rows_as_json() {
        let endpoint = shop();
        let fields = vec![Field::new("a", DataType::Decimal128(5, 2), true), Field::new("b", DataType::Utf8, true)];
        let a = Decimal128Array::from(vec![Some(150), None]).with_precision_and_scale(5, 2).expect("valid");
        let batch =
            RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![Arc::new(a), Arc::new(StringArray::from(vec![Some("x\ny"), None]))]).expect("valid");
        let rows = json_rows(&endpoint, &batch).expect("has a form");
        let rows: Vec<_> = rows.column(0).as_string_view().iter().flatten().collect();
        assert_eq!(rows, [r#"{"a":1.50,"b":"x\ny"}"#, r#"{"a":null,"b":null}"#]);
    }
}
