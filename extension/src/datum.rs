//! Arrow columns as Datums, a batch and a column at a time.
//!
//! Invariant: what a Datum points to lives in the given memory context, which the caller resets with the next batch.

use crate::translate::encoding::is_ascii_only;
use crate::translate::types::enum_of;
use arrow::array::{
    Array, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, FixedSizeBinaryArray, Float32Array, Float64Array, Int16Array, Int32Array,
    Int64Array, IntervalMonthDayNanoArray, ListArray, RecordBatch, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow::datatypes::i256;
use pgrx::pg_sys;
use std::collections::HashMap;
use std::ops::Range;
use weir_plan::types::{PgType, oid};
use weir_plan::{Error, Result};

/// Days from the Unix epoch to Postgres's, 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// One column of a batch as Postgres holds it.
pub struct Column {
    pub values: Vec<pg_sys::Datum>,
    /// Empty if no value is NULL.
    pub nulls: Vec<bool>,
}

/// How an output column is made: (index of the values, index of the display scales, Postgres type).
#[derive(Debug, Clone, Copy)]
pub struct Output {
    pub value: usize,
    pub dscale: Option<usize>,
    pub ty: PgType,
}

/// Converts one output column of a batch.
///
/// # Errors
/// An Arrow type that does not match the Postgres type, or a value out of the type's range: both are bugs of ours or the engine's.
pub fn column(batch: &RecordBatch, output: &Output, context: pg_sys::MemoryContext) -> Result<Column> {
    let array = batch.columns().get(output.value).ok_or_else(|| Error::internal("result column is missing"))?;
    let dscale = match output.dscale {
        None => None,
        Some(i) => Some(
            batch.columns().get(i).and_then(|a| a.as_any().downcast_ref::<Int16Array>()).ok_or_else(|| Error::internal("display scale column is missing"))?,
        ),
    };
    // SAFETY: the context outlives this call, and it is made current again afterwards, errors included, by the guard.
    let _guard = unsafe { Switched::to(context) };
    let values = convert(array.as_ref(), dscale, &output.ty)?;
    let nulls = if array.logical_null_count() == 0 { Vec::new() } else { (0..array.len()).map(|i| array.is_null(i)).collect() };
    Ok(Column { values, nulls })
}

struct Switched(pg_sys::MemoryContext);

impl Switched {
    unsafe fn to(context: pg_sys::MemoryContext) -> Switched {
        // SAFETY: the caller passes a live context.
        Switched(unsafe { pg_sys::MemoryContextSwitchTo(context) })
    }
}

impl Drop for Switched {
    fn drop(&mut self) {
        // SAFETY: the context that was current when the guard was made.
        unsafe { pg_sys::MemoryContextSwitchTo(self.0) };
    }
}

const NULL: pg_sys::Datum = pg_sys::Datum::null();

fn wrong(array: &dyn Array, ty: &PgType) -> Error {
    Error::internal(format!("the engine returned {} for type {}", array.data_type(), ty.oid))
}

macro_rules! fixed {
    ($array:expr, $ty:expr, $kind:ty, $f:expr) => {{
        let a = $array.as_any().downcast_ref::<$kind>().ok_or_else(|| wrong($array, $ty))?;
        #[allow(clippy::redundant_closure_call)]
        if a.null_count() == 0 {
            (0..a.len()).map(|i| $f(a.value(i))).collect()
        } else {
            (0..a.len()).map(|i| if a.is_null(i) { NULL } else { $f(a.value(i)) }).collect()
        }
    }};
}

fn convert(array: &dyn Array, dscale: Option<&Int16Array>, ty: &PgType) -> Result<Vec<pg_sys::Datum>> {
    use pg_sys::Datum;
    Ok(match ty.base {
        oid::BOOL => fixed!(array, ty, BooleanArray, Datum::from),
        oid::INT2 => fixed!(array, ty, Int16Array, Datum::from),
        oid::INT4 => fixed!(array, ty, Int32Array, Datum::from),
        oid::INT8 => fixed!(array, ty, Int64Array, Datum::from),
        oid::OID => fixed!(array, ty, Int64Array, |v: i64| Datum::from(pg_sys::Oid::from(u32::try_from(v).unwrap_or_default()))),
        oid::FLOAT4 => fixed!(array, ty, Float32Array, |v: f32| Datum::from(v.to_bits())),
        oid::FLOAT8 => fixed!(array, ty, Float64Array, |v: f64| Datum::from(v.to_bits())),
        oid::DATE => fixed!(array, ty, Date32Array, |v: i32| Datum::from(if v == i32::MAX || v == i32::MIN { v } else { v.wrapping_sub(EPOCH_DAYS) })),
        oid::TIME => fixed!(array, ty, Time64MicrosecondArray, |v: i64| Datum::from(v)),
        oid::TIMESTAMP | oid::TIMESTAMPTZ => {
            fixed!(array, ty, TimestampMicrosecondArray, |v: i64| Datum::from(if v == i64::MAX || v == i64::MIN { v } else { v.wrapping_sub(EPOCH_MICROS) }))
        }
        oid::TEXT | oid::VARCHAR | oid::JSON => texts(strings(array, ty)?),
        oid::BPCHAR => match ty.char_length() {
            Some(n) => strings(array, ty)?.iter().map(|v| v.map_or(NULL, |v| bpchar(v, n))).collect(),
            None => return Err(Error::refused("char without a length in the result")),
        },
        oid::BYTEA => fixed!(array, ty, BinaryArray, varlena),
        oid::UUID => fixed!(array, ty, FixedSizeBinaryArray, uuid),
        oid::INTERVAL => fixed!(array, ty, IntervalMonthDayNanoArray, interval),
        oid::NUMERIC => numerics(array, dscale, ty)?,
        oid::NAME | oid::JSONB => through_input(array, ty)?,
        oid::ENUM => Labels::of(strings(array, ty)?, ty).values(0..array.len())?,
        _ if ty.is_held_as_printed() => through_input(array, ty)?,
        _ => match ty.element() {
            Some(element) => lists(array, ty, &element)?,
            None => return Err(wrong(array, ty)),
        },
    })
}

/// A column of text in the database's encoding. No plan gives other characters than ASCII where only these are known.
fn strings<'a>(array: &'a dyn Array, ty: &PgType) -> Result<&'a StringArray> {
    let strings = array.as_any().downcast_ref::<StringArray>().ok_or_else(|| wrong(array, ty))?;
    if is_ascii_only() && !strings.is_ascii() { Err(Error::internal("the engine returned other characters than ASCII")) } else { Ok(strings) }
}

/// A varlena with a copy of the bytes.
fn varlena(bytes: &[u8]) -> pg_sys::Datum {
    let total = bytes.len() + pg_sys::VARHDRSZ;
    // SAFETY: `total` bytes are allocated; the header and the bytes fill exactly these.
    unsafe {
        let p = pg_sys::palloc(total).cast::<u8>();
        pgrx::set_varsize_4b(p.cast(), i32::try_from(total).unwrap_or(i32::MAX));
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), p.add(pg_sys::VARHDRSZ), bytes.len());
        pg_sys::Datum::from(p)
    }
}

/// A column of text in one allocation. Short values have the header of one byte that needs no alignment, as in a row on disk.
fn texts(a: &StringArray) -> Vec<pg_sys::Datum> {
    /// Of the longest value with a short header, which is counted. Source: `VARATT_SHORT_MAX` in `postgres.h`.
    const SHORT_MAX: usize = 0x7f;
    /// Header and alignment of a longer value.
    const LONG_MORE: usize = pg_sys::VARHDRSZ + 3;
    let ends = a.value_offsets();
    let bytes = ends.first().zip(ends.last()).and_then(|(from, to)| usize::try_from(to - from).ok()).unwrap_or(0);
    let most = bytes.saturating_add(a.len().saturating_mul(LONG_MORE));
    if most > MAX_ALLOC {
        return (0..a.len()).map(|i| if a.is_null(i) { NULL } else { varlena(a.value(i).as_bytes()) }).collect();
    }
    // SAFETY: the allocation has room for every value with the larger header and its alignment.
    let block = unsafe { pg_sys::palloc(most.max(1)).cast::<u8>() };
    let mut at = 0;
    (0..a.len())
        .map(|i| {
            if a.is_null(i) {
                return NULL;
            }
            let text = a.value(i).as_bytes();
            // SAFETY: as above; a header of four bytes is aligned as the block is.
            unsafe {
                let header = if text.len() < SHORT_MAX {
                    let total = u8::try_from(text.len() + 1).unwrap_or(0);
                    block.add(at).write(if cfg!(target_endian = "big") { total | 0x80 } else { total << 1 | 1 });
                    1
                } else {
                    at = at.next_multiple_of(4);
                    pgrx::set_varsize_4b(block.add(at).cast(), i32::try_from(text.len() + pg_sys::VARHDRSZ).unwrap_or(i32::MAX));
                    pg_sys::VARHDRSZ
                };
                let p = block.add(at);
                std::ptr::copy_nonoverlapping(text.as_ptr(), p.add(header), text.len());
                at += header + text.len();
                pg_sys::Datum::from(p)
            }
        })
        .collect()
}

/// char(n) with its padding, which mirrors do not hold.
fn bpchar(text: &str, length: usize) -> pg_sys::Datum {
    let missing = length.saturating_sub(text.chars().count());
    if missing == 0 {
        return varlena(text.as_bytes());
    }
    let mut padded = Vec::with_capacity(text.len() + missing);
    padded.extend_from_slice(text.as_bytes());
    padded.resize(text.len() + missing, b' ');
    varlena(&padded)
}

fn uuid(bytes: &[u8]) -> pg_sys::Datum {
    // SAFETY: a uuid is 16 bytes; at most these are copied.
    unsafe {
        let p = pg_sys::palloc0(16).cast::<u8>();
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), p, bytes.len().min(16));
        pg_sys::Datum::from(p)
    }
}

fn interval(v: arrow::datatypes::IntervalMonthDayNano) -> pg_sys::Datum {
    let value = pg_sys::Interval { time: v.nanoseconds / 1000, day: v.days, month: v.months };
    // SAFETY: the allocation has the size of what is written.
    unsafe {
        let p = pg_sys::palloc(size_of::<pg_sys::Interval>()).cast::<pg_sys::Interval>();
        p.write(value);
        pg_sys::Datum::from(p)
    }
}

/// What one allocation may have. Source: `MaxAllocSize` in `memutils.h`.
const MAX_ALLOC: usize = 0x3fff_ffff;

/// Room for the numerics of a column, in one allocation.
struct Block {
    at: *mut u8,
    left: usize,
}

impl Block {
    /// The header of a numeric at most: length, sign and scale, weight.
    const HEADER: usize = pg_sys::VARHDRSZ + 4;

    /// For values of so many digits, with that scale.
    fn of(values: usize, precision: u8, scale: i8) -> Block {
        // Groups of four digits on either side of the point.
        let groups =
            usize::from(precision).saturating_sub(usize::try_from(scale).unwrap_or(0)).div_ceil(4) + usize::try_from(scale).unwrap_or(0).div_ceil(4) + 1;
        let bytes = values.saturating_mul((Block::HEADER + 2 * groups).next_multiple_of(4));
        if bytes == 0 || bytes > MAX_ALLOC {
            return Block { at: std::ptr::null_mut(), left: 0 };
        }
        // SAFETY: allocates in the batch's context, which outlives the values.
        Block { at: unsafe { pg_sys::palloc(bytes).cast() }, left: bytes }
    }

    /// So many bytes, aligned as a numeric is.
    fn take(&mut self, bytes: usize) -> *mut u8 {
        let whole = bytes.next_multiple_of(4);
        if whole > self.left {
            // SAFETY: as above.
            return unsafe { pg_sys::palloc(bytes).cast() };
        }
        let at = self.at;
        // SAFETY: within the allocation, or at its end.
        self.at = unsafe { at.add(whole) };
        self.left -= whole;
        at
    }
}

fn numerics(array: &dyn Array, dscale: Option<&Int16Array>, ty: &PgType) -> Result<Vec<pg_sys::Datum>> {
    let rows = array.len() - array.null_count();
    let (scale, mut block, value): (i8, Block, Box<dyn Fn(usize) -> i256>) = if let Some(a) = array.as_any().downcast_ref::<Decimal128Array>() {
        // The common case stays on 128 bits.
        let (scale, mut block) = (a.scale(), Block::of(rows, a.precision(), a.scale()));
        return (0..a.len())
            .map(|i| {
                if a.is_null(i) {
                    return Ok(NULL);
                }
                let v = a.value(i);
                numeric(v < 0, Magnitude::Small(v.unsigned_abs()), scale, display(dscale, i, scale), &mut block)
            })
            .collect();
    } else if let Some(a) = array.as_any().downcast_ref::<Decimal256Array>() {
        // Of the digits it can have, few are there.
        (a.scale(), Block::of(0, a.precision(), a.scale()), Box::new(|i| a.value(i)))
    } else {
        return Err(wrong(array, ty));
    };
    (0..array.len())
        .map(|i| {
            if array.is_null(i) {
                return Ok(NULL);
            }
            let v = value(i);
            let magnitude = v.wrapping_abs();
            let magnitude = magnitude.to_i128().map_or(Magnitude::Large(magnitude), |m| Magnitude::Small(m.unsigned_abs()));
            numeric(v.is_negative(), magnitude, scale, display(dscale, i, scale), &mut block)
        })
        .collect()
}

fn display(dscale: Option<&Int16Array>, i: usize, scale: i8) -> i16 {
    dscale.filter(|d| d.is_valid(i)).map_or(i16::from(scale), |d| d.value(i))
}

enum Magnitude {
    Small(u128),
    Large(i256),
}

/// A `numeric` in its on-disk form. Source: `make_result` and the header layout in `numeric.c`.
fn numeric(negative: bool, magnitude: Magnitude, scale: i8, dscale: i16, block: &mut Block) -> Result<pg_sys::Datum> {
    // Decimal digits before the first base-10000 digit boundary left of the point: shift so that the scale is a multiple of four.
    let scale = u32::try_from(scale).map_err(|_| Error::internal("negative physical scale"))?;
    let shift = (4 - scale % 4) % 4;
    let fraction_digits = i32::try_from((scale + shift) / 4).unwrap_or(0);
    // Least significant first.
    let mut digits = [0u16; 24];
    let mut count = 0usize;
    let mut push = |d: u16| -> Result<()> {
        *digits.get_mut(count).ok_or_else(|| Error::internal("numeric of the engine has too many digits"))? = d;
        count += 1;
        Ok(())
    };
    match magnitude {
        Magnitude::Small(mut v) => {
            let mut below = if shift > 0 { Some(10u64.pow(4 - shift)) } else { None };
            while v > u128::from(u64::MAX) {
                let divisor = u128::from(below.unwrap_or(10_000));
                let factor = if below.take().is_some() { 10u16.pow(shift) } else { 1 };
                push(u16::try_from(v % divisor).unwrap_or(0) * factor)?;
                v /= divisor;
            }
            // Nearly all are of 64 bits, which divide many times as fast.
            let mut v = u64::try_from(v).unwrap_or(0);
            if let Some(divisor) = below {
                push(u16::try_from(v % divisor).unwrap_or(0) * 10u16.pow(shift))?;
                v /= divisor;
            }
            while v > 0 {
                push(u16::try_from(v % 10_000).unwrap_or(0))?;
                v /= 10_000;
            }
        }
        Magnitude::Large(mut v) => {
            let mut take = |divisor: i128, factor: u16| -> Result<()> {
                let divisor = i256::from_i128(divisor);
                let digit =
                    v.wrapping_rem(divisor).to_i128().and_then(|d| u16::try_from(d).ok()).ok_or_else(|| Error::internal("decimal digit out of range"))?;
                v = v.wrapping_div(divisor);
                push(digit * factor)
            };
            if shift > 0 {
                take(10i128.pow(4 - shift), 10u16.pow(shift))?;
            }
            while v != i256::ZERO {
                let divisor = i256::from_i128(10_000);
                let digit =
                    v.wrapping_rem(divisor).to_i128().and_then(|d| u16::try_from(d).ok()).ok_or_else(|| Error::internal("decimal digit out of range"))?;
                v = v.wrapping_div(divisor);
                push(digit)?;
            }
        }
    }
    let digits = digits.get(..count).unwrap_or_default();
    // Strip zeros on both ends; a zero has no digits and weight 0.
    let end = digits.iter().rposition(|d| *d != 0).map_or(0, |p| p + 1);
    let start = digits.iter().position(|d| *d != 0).unwrap_or(0);
    let significant = digits.get(start..end).unwrap_or_default();
    let weight = if significant.is_empty() { 0 } else { i32::try_from(end).unwrap_or(0) - 1 - fraction_digits };
    let negative = negative && !significant.is_empty();
    let dscale = u16::try_from(dscale).map_err(|_| Error::internal("negative display scale"))?;
    let short = dscale <= 0x3f && (-64..=63).contains(&weight);
    let header: usize = if short { 2 } else { 4 };
    let total = pg_sys::VARHDRSZ + header + significant.len() * 2;
    // SAFETY: `total` bytes are allocated and all writes stay within them; they are aligned for u16.
    unsafe {
        let p = block.take(total);
        pgrx::set_varsize_4b(p.cast(), i32::try_from(total).unwrap_or(i32::MAX));
        let body = p.add(pg_sys::VARHDRSZ).cast::<u16>();
        if short {
            let weight_bits = u16::try_from(weight & 0x3f).unwrap_or(0) | if weight < 0 { 0x40 } else { 0 };
            body.write(0x8000 | if negative { 0x2000 } else { 0 } | (dscale << 7) | weight_bits);
        } else {
            body.write(if negative { 0x4000 } else { 0 } | (dscale & 0x3fff));
            body.add(1).cast::<i16>().write(i16::try_from(weight).unwrap_or(0));
        }
        let out = body.add(header / 2);
        for (i, d) in significant.iter().rev().enumerate() {
            out.add(i).write(*d);
        }
        Ok(pg_sys::Datum::from(p))
    }
}

/// Types that are made by their input function from text.
fn through_input(array: &dyn Array, ty: &PgType) -> Result<Vec<pg_sys::Datum>> {
    let a = strings(array, ty)?;
    let mut function = pg_sys::Oid::INVALID;
    let mut ioparam = pg_sys::Oid::INVALID;
    // SAFETY: looks the type up in the catalog; the type existed when the query was planned and is locked by its use.
    unsafe { pg_sys::getTypeInputInfo(pg_sys::Oid::from(ty.oid), &raw mut function, &raw mut ioparam) };
    (0..a.len())
        .map(|i| {
            if a.is_null(i) {
                return Ok(NULL);
            }
            let text = std::ffi::CString::new(a.value(i)).map_err(|_| Error::internal("zero byte in text"))?;
            // SAFETY: the input function takes a C string; typmod -1 as stored values already obey theirs.
            Ok(unsafe { pg_sys::OidInputFunctionCall(function, text.as_ptr().cast_mut(), ioparam, -1) })
        })
        .collect()
}

/// The values of an enum that a column's labels stand for, each of which is looked up once.
struct Labels<'a> {
    labels: &'a StringArray,
    enum_oid: pg_sys::Oid,
    known: HashMap<&'a str, pg_sys::Datum>,
}

impl<'a> Labels<'a> {
    fn of(labels: &'a StringArray, ty: &PgType) -> Labels<'a> {
        Labels { labels, enum_oid: pg_sys::Oid::from(ty.oid), known: HashMap::new() }
    }

    /// Those of some places; no other is looked at.
    fn values(&mut self, places: Range<usize>) -> Result<Vec<pg_sys::Datum>> {
        places.map(|i| if self.labels.is_null(i) { Ok(NULL) } else { self.value(self.labels.value(i)) }).collect()
    }

    fn value(&mut self, label: &'a str) -> Result<pg_sys::Datum> {
        if let Some(value) = self.known.get(label) {
            return Ok(*value);
        }
        let text = std::ffi::CString::new(label).map_err(|_| Error::internal("zero byte in text"))?;
        let (mut function, mut ioparam) = (pg_sys::Oid::INVALID, pg_sys::Oid::INVALID);
        // SAFETY: the type (an enum, or a domain over one) existed when the query was planned and is locked by its use; its input function takes
        // a C string. The value is passed by value.
        let value = unsafe {
            pg_sys::getTypeInputInfo(self.enum_oid, &raw mut function, &raw mut ioparam);
            pg_sys::OidInputFunctionCall(function, text.as_ptr().cast_mut(), ioparam, -1)
        };
        self.known.insert(label, value);
        Ok(value)
    }
}

/// One-dimensional arrays with lower bound 1.
fn lists(array: &dyn Array, ty: &PgType, element: &PgType) -> Result<Vec<pg_sys::Datum>> {
    let a = array.as_any().downcast_ref::<ListArray>().ok_or_else(|| wrong(array, ty))?;
    // SAFETY: the type existed when the query was planned and is locked by its use.
    let element = &unsafe { enum_of(ty) }.map_or(*element, |own| PgType { oid: own.to_u32(), ..*element });
    let (mut len, mut by_val, mut align) = (0i16, false, 0);
    // Below a NULL there may be other texts than labels.
    let mut labels = match element.base {
        oid::ENUM => Some(Labels::of(a.values().as_any().downcast_ref::<StringArray>().ok_or_else(|| wrong(array, ty))?, element)),
        _ => None,
    };
    let place = |i: usize| a.value_offsets().get(i).and_then(|at| usize::try_from(*at).ok()).unwrap_or_default();
    // SAFETY: the element type is built in, or the user's enum.
    unsafe { pg_sys::get_typlenbyvalalign(pg_sys::Oid::from(element.oid), &raw mut len, &raw mut by_val, &raw mut align) };
    (0..a.len())
        .map(|i| {
            if a.is_null(i) {
                return Ok(NULL);
            }
            let items = a.value(i);
            let mut values = match (&mut labels, element.base) {
                (Some(labels), _) => labels.values(place(i)..place(i + 1))?,
                (None, oid::NUMERIC) => through_input(items.as_ref(), element)?,
                _ => convert(items.as_ref(), None, element)?,
            };
            let mut nulls: Vec<bool> = (0..items.len()).map(|j| items.is_null(j)).collect();
            let element_oid = pg_sys::Oid::from(element.oid);
            if values.is_empty() {
                // SAFETY: allocates an array.
                return Ok(pg_sys::Datum::from(unsafe { pg_sys::construct_empty_array(element_oid) }));
            }
            let mut dims = [i32::try_from(values.len()).unwrap_or(i32::MAX)];
            let mut lower = [1];
            // SAFETY: values and nulls have `dims[0]` entries of the element type.
            let made = unsafe {
                pg_sys::construct_md_array(
                    values.as_mut_ptr(),
                    nulls.as_mut_ptr(),
                    1,
                    dims.as_mut_ptr(),
                    lower.as_mut_ptr(),
                    element_oid,
                    i32::from(len),
                    by_val,
                    align,
                )
            };
            Ok(pg_sys::Datum::from(made))
        })
        .collect()
}
