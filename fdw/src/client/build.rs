//! Values of a remote as Arrow columns of the declared types.

use super::{BATCH_BYTES, BATCH_ROWS};
use arrow::array::*;
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef, i256};
use std::sync::Arc;
use weir_plan::ir::RemoteColumn;
use weir_plan::types::{DYNAMIC_SCALE, NumericForm, PgType, arrow_type, oid};
use weir_plan::{Error, Kind, Result};

/// A value as a protocol gives it.
#[derive(Debug, Clone, Copy)]
pub enum Cell<'a> {
    Null,
    Int(i128),
    Float4(f32),
    Float8(f64),
    /// Text, a decimal number as text, or bytes.
    Bytes(&'a [u8]),
    /// A decimal number: its digits, and how many of them are after the point.
    Decimal(i128, i16),
    /// Days since 1970-01-01.
    Date(i64),
    /// Microseconds since 1970-01-01 00:00.
    Timestamp(i64),
    /// Microseconds since midnight.
    Time(i64),
    /// A one-dimensional array.
    List(&'a [Cell<'a>]),
}

/// The physical columns `r<i>` of a statement's result.
pub fn schema(columns: &[RemoteColumn]) -> Result<SchemaRef> {
    let mut fields = Vec::new();
    for (i, c) in columns.iter().enumerate() {
        let own = weir_plan::types::column_fields(&format!("r{i}"), &c.ty, true);
        fields.extend(own.ok_or_else(|| Error::refused(format!("column \"{}\" has an unsupported type", c.name)))?);
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// Collects rows into batches.
pub struct Batches {
    server: String,
    columns: Vec<(RemoteColumn, Column)>,
    schema: SchemaRef,
    rows: usize,
    bytes: usize,
}

pub(super) enum Column {
    Bool(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal128(Decimal128Builder, u8, i8),
    Decimal256(Decimal256Builder, u8, i8),
    Dynamic(Decimal256Builder, Int16Builder),
    Text(StringViewBuilder, TextKind),
    Binary(BinaryViewBuilder),
    Uuid(FixedSizeBinaryBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    /// Whether it has a time zone, too.
    Timestamp(TimestampMicrosecondBuilder, bool),
    List(Box<List>),
}

/// One-dimensional arrays.
pub(super) struct List {
    field: FieldRef,
    items: Column,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

#[derive(Clone, Copy)]
pub(super) enum TextKind {
    /// With at most so many characters.
    Varying(Option<usize>),
    /// Held without trailing blanks.
    Padded(Option<usize>),
    Json,
}

/// Why a value does not fit.
pub(super) type Unfit = &'static str;

impl Column {
    pub(super) fn new(ty: &PgType) -> Option<Column> {
        if let Some(element) = ty.element() {
            let DataType::List(field) = arrow_type(ty)? else { return None };
            // Each numeric has its own scale: held as text.
            let items = if element.base == oid::NUMERIC { Column::new(&PgType::TEXT)? } else { Column::new(&element)? };
            return Some(Column::List(Box::new(List { field, items, offsets: vec![0], nulls: NullBufferBuilder::new(0) })));
        }
        Some(match ty.base {
            oid::BOOL => Column::Bool(BooleanBuilder::new()),
            oid::INT2 => Column::Int16(Int16Builder::new()),
            oid::INT4 => Column::Int32(Int32Builder::new()),
            oid::INT8 => Column::Int64(Int64Builder::new()),
            oid::FLOAT4 => Column::Float32(Float32Builder::new()),
            oid::FLOAT8 => Column::Float64(Float64Builder::new()),
            oid::NUMERIC => match NumericForm::of_column(ty) {
                form if form.dynamic => Column::Dynamic(Decimal256Builder::new().with_data_type(form.data_type()), Int16Builder::new()),
                form if form.precision <= 38 => Column::Decimal128(Decimal128Builder::new().with_data_type(form.data_type()), form.precision, form.scale),
                form => Column::Decimal256(Decimal256Builder::new().with_data_type(form.data_type()), form.precision, form.scale),
            },
            oid::TEXT | oid::VARCHAR => Column::Text(StringViewBuilder::new(), TextKind::Varying(ty.char_length())),
            oid::ENUM => Column::Text(StringViewBuilder::new(), TextKind::Varying(None)),
            oid::BPCHAR => Column::Text(StringViewBuilder::new(), TextKind::Padded(ty.char_length())),
            oid::JSON | oid::JSONB => Column::Text(StringViewBuilder::new(), TextKind::Json),
            oid::BYTEA => Column::Binary(BinaryViewBuilder::new()),
            oid::UUID => Column::Uuid(FixedSizeBinaryBuilder::new(16)),
            oid::DATE => Column::Date(Date32Builder::new()),
            oid::TIME => Column::Time(Time64MicrosecondBuilder::new()),
            oid::TIMESTAMP => Column::Timestamp(TimestampMicrosecondBuilder::new(), false),
            oid::TIMESTAMPTZ => Column::Timestamp(TimestampMicrosecondBuilder::new().with_timezone("UTC"), true),
            _ => return None,
        })
    }

    pub(super) fn append(&mut self, cell: Cell) -> Result<(), Unfit> {
        const RANGE: Unfit = "it is out of range";
        const KIND: Unfit = "it is of another type";
        match (self, cell) {
            (column, Cell::Null) => column.append_null(),
            (Column::Bool(b), Cell::Int(v @ (0 | 1))) => b.append_value(v == 1),
            (Column::Bool(_), Cell::Int(_)) => return Err(RANGE),
            (Column::Int16(b), Cell::Int(v)) => b.append_value(i16::try_from(v).map_err(|_| RANGE)?),
            (Column::Int32(b), Cell::Int(v)) => b.append_value(i32::try_from(v).map_err(|_| RANGE)?),
            (Column::Int64(b), Cell::Int(v)) => b.append_value(i64::try_from(v).map_err(|_| RANGE)?),
            // A sum of integers is a decimal in some engines.
            (Column::Int64(b), Cell::Bytes(text)) => b.append_value(parse::<i64>(text).ok_or(KIND)?),
            (Column::Int32(b), Cell::Bytes(text)) => b.append_value(parse::<i32>(text).ok_or(KIND)?),
            (Column::Int16(b), Cell::Bytes(text)) => b.append_value(parse::<i16>(text).ok_or(KIND)?),
            (Column::Float32(b), Cell::Float4(v)) => b.append_value(v),
            (Column::Float64(b), Cell::Float4(v)) => b.append_value(f64::from(v)),
            (Column::Float64(b), Cell::Float8(v)) => b.append_value(v),
            // By far the most frequent, without wide arithmetic.
            (Column::Decimal128(b, p, s), Cell::Decimal(v, own)) if own == i16::from(*s) => {
                if v.unsigned_abs() >= 10u128.pow(u32::from(*p)) {
                    return Err(RANGE);
                }
                b.append_value(v);
            }
            (Column::Decimal128(b, p, s), cell) => {
                let v = scaled(cell, i32::from(*s))?;
                let v = v.to_i128().ok_or(RANGE)?;
                if v.unsigned_abs() >= 10u128.pow(u32::from(*p)) {
                    return Err(RANGE);
                }
                b.append_value(v);
            }
            (Column::Decimal256(b, p, s), cell) => {
                let v = scaled(cell, i32::from(*s))?;
                let limit = i256::from_i128(10).checked_pow(u32::from(*p)).ok_or(RANGE)?;
                if v.wrapping_abs() >= limit {
                    return Err(RANGE);
                }
                b.append_value(v);
            }
            (Column::Dynamic(values, scales), cell) => {
                let scale = display_scale(cell)?;
                let v = scaled(cell, i32::from(DYNAMIC_SCALE))?;
                if v.wrapping_abs() >= i256::from_i128(10).checked_pow(76).ok_or(RANGE)? {
                    return Err(RANGE);
                }
                values.append_value(v);
                scales.append_value(scale);
            }
            (Column::Text(b, kind), Cell::Bytes(bytes)) => {
                let text = std::str::from_utf8(bytes).map_err(|_| "it is not valid text")?;
                if text.contains('\0') {
                    return Err("it has a zero byte");
                }
                let too_long = |text: &str, n: &Option<usize>| n.is_some_and(|n| text.len() > n && text.chars().count() > n);
                match kind {
                    TextKind::Varying(n) if too_long(text, n) => return Err("it is too long"),
                    TextKind::Varying(_) => b.try_append_value(text).map_err(|_| "it is too long")?,
                    TextKind::Padded(n) => {
                        let text = text.trim_end_matches(' ');
                        if too_long(text, n) {
                            return Err("it is too long");
                        }
                        b.try_append_value(text).map_err(|_| "it is too long")?;
                    }
                    TextKind::Json => {
                        serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|_| "it is not valid JSON")?;
                        b.try_append_value(text).map_err(|_| "it is too long")?;
                    }
                }
            }
            (Column::Binary(b), Cell::Bytes(bytes)) => b.try_append_value(bytes).map_err(|_| "it is too long")?,
            (Column::Uuid(b), Cell::Bytes(text)) => b.append_value(uuid(text).ok_or(KIND)?).map_err(|_| KIND)?,
            (Column::Date(b), Cell::Date(d)) => b.append_value(i32::try_from(d).map_err(|_| RANGE)?),
            (Column::Date(b), Cell::Timestamp(us)) if us.rem_euclid(86_400_000_000) == 0 => {
                b.append_value(i32::try_from(us.div_euclid(86_400_000_000)).map_err(|_| RANGE)?);
            }
            (Column::Timestamp(b, _), Cell::Timestamp(us)) => b.append_value(us),
            (Column::Timestamp(b, _), Cell::Date(d)) => b.append_value(d.checked_mul(86_400_000_000).ok_or(RANGE)?),
            (Column::Time(b), Cell::Time(us)) if (0..=86_400_000_000).contains(&us) => b.append_value(us),
            (Column::Time(_), Cell::Time(_)) => return Err(RANGE),
            (Column::List(list), Cell::List(cells)) => {
                let end = list.offsets.last().copied().zip(i32::try_from(cells.len()).ok()).and_then(|(at, n)| at.checked_add(n)).ok_or(RANGE)?;
                cells.iter().try_for_each(|cell| list.items.append(*cell))?;
                list.offsets.push(end);
                list.nulls.append_non_null();
            }
            _ => return Err(KIND),
        }
        Ok(())
    }

    pub(super) fn append_null(&mut self) {
        match self {
            Column::Bool(b) => b.append_null(),
            Column::Int16(b) => b.append_null(),
            Column::Int32(b) => b.append_null(),
            Column::Int64(b) => b.append_null(),
            Column::Float32(b) => b.append_null(),
            Column::Float64(b) => b.append_null(),
            Column::Decimal128(b, ..) => b.append_null(),
            Column::Decimal256(b, ..) => b.append_null(),
            Column::Dynamic(values, scales) => {
                values.append_null();
                scales.append_null();
            }
            Column::Text(b, _) => b.append_null(),
            Column::Binary(b) => b.append_null(),
            Column::Uuid(b) => b.append_null(),
            Column::Date(b) => b.append_null(),
            Column::Time(b) => b.append_null(),
            Column::Timestamp(b, _) => b.append_null(),
            Column::List(list) => {
                list.offsets.extend_from_within(list.offsets.len().saturating_sub(1)..);
                list.nulls.append_null();
            }
        }
    }

    pub(super) fn is_json(&self) -> bool {
        matches!(self, Column::Text(_, TextKind::Json))
    }

    pub(super) fn is_date(&self) -> bool {
        matches!(self, Column::Date(_))
    }

    pub(super) fn has_time_zone(&self) -> bool {
        matches!(self, Column::Timestamp(_, true))
    }

    pub(super) fn finish(&mut self, out: &mut Vec<ArrayRef>) {
        let array: ArrayRef = match self {
            Column::Bool(b) => Arc::new(b.finish()),
            Column::Int16(b) => Arc::new(b.finish()),
            Column::Int32(b) => Arc::new(b.finish()),
            Column::Int64(b) => Arc::new(b.finish()),
            Column::Float32(b) => Arc::new(b.finish()),
            Column::Float64(b) => Arc::new(b.finish()),
            Column::Decimal128(b, ..) => Arc::new(b.finish()),
            Column::Decimal256(b, ..) => Arc::new(b.finish()),
            Column::Dynamic(values, scales) => {
                out.push(Arc::new(values.finish()));
                Arc::new(scales.finish())
            }
            Column::Text(b, _) => Arc::new(b.finish()),
            Column::Binary(b) => Arc::new(b.finish()),
            Column::Uuid(b) => Arc::new(b.finish()),
            Column::Date(b) => Arc::new(b.finish()),
            Column::Time(b) => Arc::new(b.finish()),
            Column::Timestamp(b, _) => Arc::new(b.finish()),
            Column::List(list) => {
                let mut items = Vec::with_capacity(1);
                list.items.finish(&mut items);
                let offsets = OffsetBuffer::new(std::mem::replace(&mut list.offsets, vec![0]).into());
                Arc::new(ListArray::new(Arc::clone(&list.field), offsets, items.remove(0), list.nulls.finish()))
            }
        };
        out.push(array);
    }
}

fn parse<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The digits after the point.
fn display_scale(cell: Cell) -> Result<i16, Unfit> {
    let scale = match cell {
        Cell::Bytes(text) => i16::try_from(text.iter().position(|b| *b == b'.').map_or(0, |p| text.len() - p - 1)).ok(),
        Cell::Decimal(_, scale) => Some(scale),
        _ => Some(0),
    };
    scale.filter(|s| *s <= i16::from(DYNAMIC_SCALE)).ok_or("it has too many digits")
}

/// A decimal number with `scale` digits after the point, exactly.
fn scaled(cell: Cell, scale: i32) -> Result<i256, Unfit> {
    const RANGE: Unfit = "it is out of range";
    const KIND: Unfit = "it is not a decimal number";
    let ten = i256::from_i128(10);
    match cell {
        Cell::Int(v) => i256::from_i128(v).checked_mul(ten.checked_pow(u32::try_from(scale).map_err(|_| RANGE)?).ok_or(RANGE)?).ok_or(RANGE),
        Cell::Decimal(v, own) => {
            let power = |n: i32| u32::try_from(n).ok().and_then(|n| ten.checked_pow(n)).ok_or(RANGE);
            let (v, own) = (i256::from_i128(v), i32::from(own));
            if own <= scale {
                return v.checked_mul(power(scale - own)?).ok_or(RANGE);
            }
            let unit = power(own - scale)?;
            if v.checked_rem(unit) == Some(i256::ZERO) { v.checked_div(unit).ok_or(RANGE) } else { Err("it has too many digits after the point") }
        }
        Cell::Bytes(text) => {
            let (negative, digits) = match text.strip_prefix(b"-") {
                Some(rest) => (true, rest),
                None => (false, text),
            };
            let (mut value, mut small, mut seen, mut after) = (i256::ZERO, 0i128, false, None::<i32>);
            // What has at most 37 digits in the end stays on 128 bits.
            let is_small = digits.len() + usize::try_from(scale).unwrap_or(0) <= 37;
            for b in digits {
                match b {
                    b'0'..=b'9' => {
                        if after.is_some_and(|n| n >= scale) {
                            if *b != b'0' {
                                return Err("it has too many digits after the point");
                            }
                            continue;
                        }
                        seen = true;
                        let d = i128::from(b - b'0');
                        if is_small {
                            small = small * 10 + d;
                        } else {
                            value = value.checked_mul(ten).and_then(|v| v.checked_add(i256::from_i128(d))).ok_or(RANGE)?;
                        }
                        after = after.map(|n| n + 1);
                    }
                    b'.' if after.is_none() => after = Some(0),
                    _ => return Err(KIND),
                }
            }
            if !seen {
                return Err(KIND);
            }
            let missing = u32::try_from(scale - after.unwrap_or(0)).map_err(|_| RANGE)?;
            if is_small {
                value = i256::from_i128(small * 10i128.pow(missing));
            } else {
                value = value.checked_mul(ten.checked_pow(missing).ok_or(RANGE)?).ok_or(RANGE)?;
            }
            Ok(if negative { value.wrapping_neg() } else { value })
        }
        _ => Err(KIND),
    }
}

fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    let hex: Vec<u8> = text.iter().copied().filter(|b| *b != b'-').collect();
    if hex.len() != 32 {
        return None;
    }
    let mut out = [0u8; 16];
    for (byte, pair) in out.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

/// Bytes that a value takes, roughly.
fn size(cell: Cell) -> usize {
    match cell {
        Cell::Bytes(b) => 16 + b.len(),
        Cell::List(cells) => 16 + cells.iter().map(|c| size(*c)).sum::<usize>(),
        _ => 16,
    }
}

pub(super) fn shown(cell: Cell) -> String {
    let text = match cell {
        Cell::Null => "NULL".into(),
        Cell::Int(v) => v.to_string(),
        Cell::Float4(v) => v.to_string(),
        Cell::Float8(v) => v.to_string(),
        Cell::Bytes(b) => String::from_utf8_lossy(b).into_owned(),
        Cell::Decimal(v, 0) => v.to_string(),
        Cell::Decimal(v, scale) => format!("{v}e-{scale}"),
        Cell::Date(d) => format!("day {d}"),
        Cell::Timestamp(us) | Cell::Time(us) => format!("{us} us"),
        Cell::List(cells) => format!("{{{}}}", cells.iter().take(40).map(|c| shown(*c)).collect::<Vec<_>>().join(",")),
    };
    if text.chars().count() > 80 { text.chars().take(80).chain("...".chars()).collect() } else { text }
}

impl Batches {
    /// # Errors
    /// A column of a type that no value can have here.
    pub fn new(server: &str, columns: Vec<RemoteColumn>) -> Result<Batches> {
        let schema = schema(&columns)?;
        let columns = columns
            .into_iter()
            .map(|c| match Column::new(&c.ty) {
                Some(builder) if arrow_type(&c.ty).is_some() => Ok((c, builder)),
                _ => Err(Error::refused(format!("column \"{}\" has a type that cannot be read from a remote server", c.name))),
            })
            .collect::<Result<_>>()?;
        Ok(Batches { server: server.to_owned(), columns, schema, rows: 0, bytes: 0 })
    }

    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// The type declared for a column.
    pub fn declared(&self, i: usize) -> Option<&PgType> {
        self.columns.get(i).map(|(c, _)| &c.ty)
    }

    /// Puts a value into the row being built.
    ///
    /// # Errors
    /// A value that does not fit, named with its column.
    pub fn put(&mut self, i: usize, cell: Cell) -> Result<()> {
        let Some((column, builder)) = self.columns.get_mut(i) else { return Ok(()) };
        self.bytes += size(cell);
        builder.append(cell).map_err(|why| unfit(&self.server, &column.name, &shown(cell), why))
    }

    /// The error of a value that cannot be represented at all.
    pub fn refuse(&self, i: usize, value: &str, why: &str) -> Error {
        unfit(&self.server, self.columns.get(i).map_or("?", |(c, _)| c.name.as_str()), value, why)
    }

    /// Ends a row; a batch if there are enough.
    pub fn end_row(&mut self) -> Result<Option<RecordBatch>> {
        self.rows += 1;
        if self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES { self.finish() } else { Ok(None) }
    }

    /// What there is; `None` if that is nothing.
    pub fn finish(&mut self) -> Result<Option<RecordBatch>> {
        if self.rows == 0 {
            return Ok(None);
        }
        let mut arrays = Vec::with_capacity(self.schema.fields().len());
        for (_, c) in &mut self.columns {
            c.finish(&mut arrays);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        (self.rows, self.bytes) = (0, 0);
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options);
        batch.map(Some).map_err(|e| Error::internal(format!("could not build a batch: {e}")))
    }
}

/// What a remote has computed, and cannot be held here, Postgres computes itself: NaN and numerics of very many digits.
pub(super) fn unfit(server: &str, column: &str, value: &str, why: &str) -> Error {
    if column == crate::COMPUTED {
        return Error::refused(format!("server \"{server}\": a value that was computed there cannot be held"))
            .with_detail(format!("The value is {value}: {why}."));
    }
    Error {
        sqlstate: "22000".into(),
        ..Error::new(Kind::Remote, format!("server \"{server}\": a value of column \"{column}\" does not fit its declared type"))
    }
    .with_detail(format!("The value is {value}: {why}."))
    .with_hint("Declare the column with a type that holds the values of the remote column.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_or_refused() {
        let v = |s: &str, scale| scaled(Cell::Bytes(s.as_bytes()), scale).map(|v| v.to_string());
        assert_eq!(v("-12.50", 2).as_deref(), Ok("-1250"));
        assert_eq!(v("12.5", 4).as_deref(), Ok("125000"));
        assert_eq!(v("12.500", 1).as_deref(), Ok("125"));
        assert!(v("12.501", 2).is_err());
        assert!(v("1e5", 2).is_err());
        let d = |n, own, scale| scaled(Cell::Decimal(n, own), scale).map(|v| v.to_string());
        assert_eq!(d(-1250, 2, 4).as_deref(), Ok("-125000"));
        assert_eq!(d(-1250, 2, 1).as_deref(), Ok("-125"));
        assert!(d(1250, 2, 0).is_err());
        assert_eq!(d(0, 5, 0).as_deref(), Ok("0"));
        assert_eq!(v("0.000000000000000000000000000001", 36).as_deref(), Ok("1000000"));
        assert_eq!(v("99999999999999999999999999999999999", 36).as_deref().map(str::len), Ok(71));
    }

    #[test]
    fn values_that_do_not_fit_are_named() {
        let column = |name: &str, ty| RemoteColumn { id: weir_plan::ir::ColId(1), ty, name: name.into() };
        let mut b = Batches::new("shop", vec![column("n", PgType::INT2), column("t", PgType::with_typmod(oid::VARCHAR, 7))]).expect("types are known");
        let e = b.put(0, Cell::Int(40_000)).expect_err("too large");
        assert!(e.message.contains("\"n\"") && e.detail.as_deref().unwrap_or("").contains("40000"), "{e:?}");
        assert!(b.put(1, Cell::Bytes("four".as_bytes())).is_err());
        assert!(b.put(1, Cell::Bytes(&[0xff])).is_err());
        assert_eq!(e.kind, Kind::Remote);
    }

    #[test]
    fn what_was_computed_and_cannot_be_held_is_left_to_postgres() {
        let column = RemoteColumn { id: weir_plan::ir::ColId(1), ty: PgType::NUMERIC, name: crate::COMPUTED.into() };
        let mut b = Batches::new("shop", vec![column]).expect("types are known");
        let e = b.put(0, Cell::Bytes(b"NaN")).expect_err("it has no digits");
        assert_eq!(e.kind, Kind::Refused);
    }
}
