//! One column being built: a builder for each Arrow form of the type map.

use super::text::TextReader;
use super::varlena::{plain_varlena, varlena_bytes};
use super::{Unfit, numeric};
use crate::translate::encoding::is_ascii_only;
use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, IntervalMonthDayNano};
use pgrx::pg_sys;
use std::ffi::CStr;
use std::sync::Arc;
use weir_plan::types::{NumericForm, PgType, arrow_type, oid};

/// Days and microseconds from 1970-01-01 to 2000-01-01, the epoch of Postgres.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_US: i64 = 946_684_800_000_000;

pub enum Column {
    Bool(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    /// As wide as what holds it without a sign.
    Oid(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal128 {
        values: Decimal128Builder,
        precision: u8,
        scale: i32,
    },
    Decimal256 {
        values: Decimal256Builder,
        precision: u8,
        scale: i32,
    },
    Dynamic {
        values: Decimal256Builder,
        scales: Int16Builder,
    },
    Text {
        values: StringViewBuilder,
        kind: TextKind,
    },
    Binary(BinaryViewBuilder),
    Uuid(FixedSizeBinaryBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp {
        values: TimestampMicrosecondBuilder,
        utc: bool,
    },
    Interval(IntervalMonthDayNanoBuilder),
    List(Box<List>),
}

/// Where the text of a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextKind {
    /// text, varchar
    Plain,
    Json,
    /// char(n), held without its trailing blanks
    Padded,
    Name,
    Jsonb,
    /// The label.
    Enum,
    /// The canonical text of a numeric that is an element of an array.
    Numeric,
    /// Of a type that is held as it is printed, by this function.
    Printed(u32),
}

/// A one-dimensional array.
pub struct List {
    typlen: i16,
    typbyval: bool,
    typalign: std::ffi::c_char,
    field: Arc<Field>,
    items: Column,
    /// Elements in `items`, also those of lists that turned out not to fit: they lie below a NULL.
    items_len: i32,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Column {
    /// The builder for a column of this type. Needs a transaction.
    pub fn new(ty: &PgType, capacity: usize) -> Option<Self> {
        if let Some(element) = ty.element() {
            return Some(Self::List(Box::new(List::new(ty, &element, capacity)?)));
        }
        Some(match ty.base {
            oid::BOOL => Self::Bool(BooleanBuilder::with_capacity(capacity)),
            oid::INT2 => Self::Int16(Int16Builder::with_capacity(capacity)),
            oid::INT4 => Self::Int32(Int32Builder::with_capacity(capacity)),
            oid::INT8 => Self::Int64(Int64Builder::with_capacity(capacity)),
            oid::OID => Self::Oid(Int64Builder::with_capacity(capacity)),
            oid::FLOAT4 => Self::Float32(Float32Builder::with_capacity(capacity)),
            oid::FLOAT8 => Self::Float64(Float64Builder::with_capacity(capacity)),
            oid::NUMERIC => Self::numeric(ty, capacity),
            oid::BYTEA => Self::Binary(BinaryViewBuilder::with_capacity(capacity)),
            oid::UUID => Self::Uuid(FixedSizeBinaryBuilder::with_capacity(capacity, 16)),
            oid::DATE => Self::Date(Date32Builder::with_capacity(capacity)),
            oid::TIME => Self::Time(Time64MicrosecondBuilder::with_capacity(capacity)),
            oid::TIMESTAMP => Self::Timestamp { values: TimestampMicrosecondBuilder::with_capacity(capacity), utc: false },
            oid::TIMESTAMPTZ => Self::Timestamp { values: TimestampMicrosecondBuilder::with_capacity(capacity), utc: true },
            oid::INTERVAL => Self::Interval(IntervalMonthDayNanoBuilder::with_capacity(capacity)),
            base => {
                let kind = match base {
                    oid::TEXT if ty.is_numeric_as_printed() => TextKind::Numeric,
                    oid::TEXT | oid::VARCHAR => TextKind::Plain,
                    oid::JSON => TextKind::Json,
                    oid::BPCHAR => TextKind::Padded,
                    oid::NAME => TextKind::Name,
                    oid::JSONB => TextKind::Jsonb,
                    oid::ENUM => TextKind::Enum,
                    oid::INET => TextKind::Printed(pg_sys::F_INET_OUT),
                    oid::CIDR => TextKind::Printed(pg_sys::F_CIDR_OUT),
                    oid::MACADDR => TextKind::Printed(pg_sys::F_MACADDR_OUT),
                    _ => return None,
                };
                Self::text(kind, capacity)
            }
        })
    }

    fn text(kind: TextKind, capacity: usize) -> Self {
        Self::Text { values: StringViewBuilder::with_capacity(capacity), kind }
    }

    fn numeric(ty: &PgType, capacity: usize) -> Self {
        let NumericForm { precision, scale, dynamic } = NumericForm::of_column(ty);
        if dynamic {
            let values = Decimal256Builder::with_capacity(capacity).with_data_type(NumericForm::DYNAMIC.data_type());
            return Self::Dynamic { values, scales: Int16Builder::with_capacity(capacity) };
        }
        match DataType::Decimal128(precision, scale) {
            t if precision <= 38 => {
                Self::Decimal128 { values: Decimal128Builder::with_capacity(capacity).with_data_type(t), precision, scale: i32::from(scale) }
            }
            _ => Self::Decimal256 {
                values: Decimal256Builder::with_capacity(capacity).with_data_type(DataType::Decimal256(precision, scale)),
                precision,
                scale: i32::from(scale),
            },
        }
    }

    /// Appends a value; gives its approximate size. Nothing is appended on error.
    ///
    /// # Safety
    /// The datum is a value of this column's type and alive. Needs a transaction.
    #[allow(clippy::cast_possible_truncation, reason = "a datum by value holds the value in its low bits")]
    pub unsafe fn append(&mut self, datum: pg_sys::Datum, text: &mut TextReader) -> Result<usize, Unfit> {
        let word = datum.value();
        // SAFETY: the caller promises the type; pointers are aligned as the type demands, except varlenas, which are read by bytes.
        unsafe {
            match self {
                Self::Bool(b) => b.append_value(word & 0xff != 0),
                Self::Int16(b) => b.append_value(word as i16),
                Self::Int32(b) => b.append_value(word as i32),
                Self::Int64(b) => b.append_value(word as i64),
                Self::Oid(b) => b.append_value(i64::from(word as u32)),
                Self::Float32(b) => b.append_value(f32::from_bits(word as u32)),
                Self::Float64(b) => b.append_value(f64::from_bits(word as u64)),
                Self::Decimal128 { values, precision, scale } => {
                    let stored = numeric::Stored::read(varlena_bytes(datum))?;
                    if stored.dscale != *scale {
                        return Err(Unfit);
                    }
                    values.append_value(stored.to_i128(*precision, *scale)?);
                }
                Self::Decimal256 { values, precision, scale } => {
                    let stored = numeric::Stored::read(varlena_bytes(datum))?;
                    if stored.dscale != *scale {
                        return Err(Unfit);
                    }
                    values.append_value(stored.to_i256(*precision, *scale)?);
                }
                Self::Dynamic { values, scales } => {
                    let (value, dscale) = numeric::Stored::read(varlena_bytes(datum))?.to_dynamic()?;
                    values.append_value(value);
                    scales.append_value(dscale);
                }
                Self::Text { values, kind } => return append_text(values, *kind, datum, text),
                Self::Binary(b) => {
                    let bytes = varlena_bytes(datum);
                    b.try_append_value(bytes).map_err(|_| Unfit)?;
                    return Ok(16 + bytes.len());
                }
                Self::Uuid(b) => b.append_value(std::slice::from_raw_parts(datum.cast_mut_ptr::<u8>(), 16)).map_err(|_| Unfit)?,
                Self::Date(b) => b.append_value(date(word as i32)?),
                Self::Time(b) => b.append_value(word as i64),
                Self::Timestamp { values, .. } => values.append_value(timestamp(word as i64)?),
                Self::Interval(b) => b.append_value(interval(&*datum.cast_mut_ptr::<pg_sys::Interval>())?),
                Self::List(list) => return list.append(datum, text),
            }
        }
        Ok(16)
    }

    pub fn append_null(&mut self) {
        match self {
            Self::Bool(b) => b.append_null(),
            Self::Int16(b) => b.append_null(),
            Self::Int32(b) => b.append_null(),
            Self::Int64(b) | Self::Oid(b) => b.append_null(),
            Self::Float32(b) => b.append_null(),
            Self::Float64(b) => b.append_null(),
            Self::Decimal128 { values, .. } => values.append_null(),
            Self::Decimal256 { values, .. } => values.append_null(),
            Self::Dynamic { values, scales } => {
                values.append_null();
                scales.append_null();
            }
            Self::Text { values, .. } => values.append_null(),
            Self::Binary(b) => b.append_null(),
            Self::Uuid(b) => b.append_null(),
            Self::Date(b) => b.append_null(),
            Self::Time(b) => b.append_null(),
            Self::Timestamp { values, .. } => values.append_null(),
            Self::Interval(b) => b.append_null(),
            Self::List(list) => list.append_null(),
        }
    }

    /// Adds the array (two of them for a numeric without declared scale); the builder is empty afterwards.
    pub fn finish(&mut self, arrays: &mut Vec<ArrayRef>) {
        let array: ArrayRef = match self {
            Self::Bool(b) => Arc::new(b.finish()),
            Self::Int16(b) => Arc::new(b.finish()),
            Self::Int32(b) => Arc::new(b.finish()),
            Self::Int64(b) | Self::Oid(b) => Arc::new(b.finish()),
            Self::Float32(b) => Arc::new(b.finish()),
            Self::Float64(b) => Arc::new(b.finish()),
            Self::Decimal128 { values, .. } => Arc::new(values.finish()),
            Self::Decimal256 { values, .. } => Arc::new(values.finish()),
            Self::Dynamic { values, scales } => {
                arrays.push(Arc::new(values.finish()));
                Arc::new(scales.finish())
            }
            Self::Text { values, .. } => Arc::new(values.finish()),
            Self::Binary(b) => Arc::new(b.finish()),
            Self::Uuid(b) => Arc::new(b.finish()),
            Self::Date(b) => Arc::new(b.finish()),
            Self::Time(b) => Arc::new(b.finish()),
            Self::Timestamp { values, utc } => {
                let array = values.finish();
                Arc::new(if *utc { array.with_timezone("UTC") } else { array })
            }
            Self::Interval(b) => Arc::new(b.finish()),
            Self::List(list) => list.finish(),
        };
        arrays.push(array);
    }
}

impl List {
    fn new(ty: &PgType, element: &PgType, capacity: usize) -> Option<Self> {
        let DataType::List(field) = arrow_type(ty)? else { return None };
        let items = if element.base == oid::NUMERIC { Column::text(TextKind::Numeric, capacity) } else { Column::new(element, capacity)? };
        let element_type = pg_sys::Oid::from(element.oid);
        let (mut typlen, mut typbyval, mut typalign) = (0, false, 0);
        // SAFETY: the element types of the type map exist in every database. All enums are alike, and so is `anyenum`.
        unsafe { pg_sys::get_typlenbyvalalign(element_type, &raw mut typlen, &raw mut typbyval, &raw mut typalign) };
        Some(Self { typlen, typbyval, typalign, field, items, items_len: 0, offsets: vec![0], nulls: NullBufferBuilder::new(capacity) })
    }

    /// # Safety
    /// The datum is an array of this element type.
    unsafe fn append(&mut self, datum: pg_sys::Datum, text: &mut TextReader) -> Result<usize, Unfit> {
        // SAFETY: the caller promises the type. deconstruct_array allocates in the current memory context.
        let (values, nulls) = unsafe {
            let array = pg_sys::pg_detoast_datum(datum.cast_mut_ptr()).cast::<pg_sys::ArrayType>();
            match (*array).ndim {
                0 => (&[][..], &[][..]),
                1 => {
                    // The lower bounds follow the header and the dimensions.
                    let lower_bound = array.add(1).cast::<i32>().add(1).read();
                    if lower_bound != 1 {
                        return Err(Unfit);
                    }
                    let (mut values, mut nulls, mut n) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
                    let (typlen, typbyval, typalign) = (i32::from(self.typlen), self.typbyval, self.typalign);
                    pg_sys::deconstruct_array(array, (*array).elemtype, typlen, typbyval, typalign, &raw mut values, &raw mut nulls, &raw mut n);
                    let n = usize::try_from(n).map_err(|_| Unfit)?;
                    (std::slice::from_raw_parts(values.cast_const(), n), std::slice::from_raw_parts(nulls.cast_const(), n))
                }
                _ => return Err(Unfit),
            }
        };
        let mut size = 4;
        let mut unfit = false;
        for (value, null) in values.iter().zip(nulls) {
            if *null || unfit {
                self.items.append_null();
                continue;
            }
            // SAFETY: an element has the element type.
            match unsafe { self.items.append(*value, text) } {
                Ok(s) => size += s,
                Err(Unfit) => {
                    self.items.append_null();
                    unfit = true;
                }
            }
        }
        self.items_len = i32::try_from(values.len()).ok().and_then(|n| self.items_len.checked_add(n)).ok_or(Unfit)?;
        if unfit {
            return Err(Unfit);
        }
        self.offsets.push(self.items_len);
        self.nulls.append_non_null();
        Ok(size)
    }

    fn append_null(&mut self) {
        self.offsets.push(self.items_len);
        self.nulls.append_null();
    }

    fn finish(&mut self) -> ArrayRef {
        let mut items = Vec::with_capacity(1);
        self.items.finish(&mut items);
        self.items_len = 0;
        let offsets = OffsetBuffer::new(std::mem::replace(&mut self.offsets, vec![0]).into());
        let nulls: Option<NullBuffer> = self.nulls.finish();
        Arc::new(ListArray::new(Arc::clone(&self.field), offsets, items.remove(0), nulls))
    }
}

/// # Safety
/// The datum is a value of a type of this kind.
unsafe fn append_text(values: &mut StringViewBuilder, kind: TextKind, datum: pg_sys::Datum, text: &mut TextReader) -> Result<usize, Unfit> {
    // SAFETY: the caller promises the kind; the output functions return C strings.
    let bytes: &[u8] = unsafe {
        match kind {
            TextKind::Plain | TextKind::Json => varlena_bytes(datum),
            TextKind::Padded => varlena_bytes(datum).trim_ascii_end_blanks(),
            TextKind::Name => CStr::from_ptr(datum.cast_mut_ptr()).to_bytes(),
            TextKind::Jsonb => {
                let jsonb = pg_sys::pg_detoast_datum(datum.cast_mut_ptr()).cast::<pg_sys::Jsonb>();
                let size = i32::try_from(pgrx::varlena::varsize(jsonb.cast())).map_err(|_| Unfit)?;
                CStr::from_ptr(pg_sys::JsonbToCString(std::ptr::null_mut(), &raw mut (*jsonb).root, size)).to_bytes()
            }
            TextKind::Enum => CStr::from_ptr(pg_sys::OidOutputFunctionCall(pg_sys::F_ENUM_OUT.into(), datum)).to_bytes(),
            TextKind::Printed(function) => {
                // By reference, and of fixed length if it is no varlena.
                let plain = if function == pg_sys::F_MACADDR_OUT { datum } else { pg_sys::Datum::from(plain_varlena(datum)) };
                CStr::from_ptr(pg_sys::OidOutputFunctionCall(function.into(), plain)).to_bytes()
            }
            TextKind::Numeric => {
                let plain = pg_sys::Datum::from(plain_varlena(datum));
                CStr::from_ptr(pg_sys::OidOutputFunctionCall(pg_sys::F_NUMERIC_OUT.into(), plain)).to_bytes()
            }
        }
    };
    let utf8 = text.read(bytes)?;
    // An escape may stand for a character that is not ASCII.
    if kind == TextKind::Json && is_ascii_only() && utf8.contains(r"\u") {
        return Err(Unfit);
    }
    values.try_append_value(utf8).map_err(|_| Unfit)?;
    Ok(16 + utf8.len())
}

trait TrimBlanks {
    fn trim_ascii_end_blanks(&self) -> &[u8];
}

impl TrimBlanks for [u8] {
    /// Without trailing blanks, and only those: other white space counts in char(n).
    fn trim_ascii_end_blanks(&self) -> &[u8] {
        let end = self.iter().rposition(|b| *b != b' ').map_or(0, |i| i + 1);
        self.get(..end).unwrap_or(self)
    }
}

/// Infinities are the extremes in both forms.
fn date(days: i32) -> Result<i32, Unfit> {
    if days == i32::MIN || days == i32::MAX {
        return Ok(days);
    }
    days.checked_add(EPOCH_DAYS).filter(|d| *d != i32::MAX).ok_or(Unfit)
}

fn timestamp(us: i64) -> Result<i64, Unfit> {
    if us == i64::MIN || us == i64::MAX {
        return Ok(us);
    }
    us.checked_add(EPOCH_US).filter(|t| *t != i64::MAX).ok_or(Unfit)
}

fn interval(value: &pg_sys::Interval) -> Result<IntervalMonthDayNano, Unfit> {
    let nanoseconds = value.time.checked_mul(1000).ok_or(Unfit)?;
    Ok(IntervalMonthDayNano::new(value.month, value.day, nanoseconds))
}
