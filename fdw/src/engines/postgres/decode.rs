//! Rows of the binary protocol. Source of the formats: the `*_send` functions of Postgres.

use super::numeric::{self, Unstored};
use crate::client::{Batches, Cell};
use arrow::array::RecordBatch;
use std::error::Error as StdError;
use std::fmt::Write;
use tokio_postgres::types::{FromSql, Kind as TypeKind, Type};
use tokio_postgres::{Column, Row};
use weir_plan::types::{PgType, oid};
use weir_plan::{Error, Kind, Result};

const EPOCH_DAYS: i64 = 10_957;
const EPOCH_US: i64 = 946_684_800_000_000;

/// How a column's bytes are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    Bytes,
    Jsonb,
    Uuid,
    Date,
    Time,
    Timestamp,
}

/// How a column is read: its values, or those in its arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    One(Read),
    /// The OID of the elements, and how they are read.
    Array(u32, Read),
    /// A numeric, or an integer that is to be one, as it is stored in a column of this type.
    Stored(PgType, Read),
}

/// The bytes of a value, whatever its type.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Raw(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// How each column is read.
///
/// # Errors
/// A remote column of a type that the declared one does not stand for.
pub fn kinds(server: &str, columns: &[Column], batches: &Batches) -> Result<Vec<Shape>> {
    let mut kinds = Vec::new();
    for (i, c) in columns.iter().enumerate().take(batches.width()) {
        kinds.push(shape(c.type_(), batches.declared(i)).ok_or_else(|| {
            Error {
                sqlstate: "HV004".into(),
                ..Error::new(Kind::Remote, format!("server \"{server}\": column \"{}\" has type {}, which is not the declared one", c.name(), c.type_()))
            }
            .with_hint("Declare the column with the type of the remote column, or import the table again.")
        })?);
    }
    Ok(kinds)
}

fn shape(of: &Type, declared: Option<&PgType>) -> Option<Shape> {
    let base = declared.map_or(0, |t| t.base);
    if let Some(ty) = declared.filter(|t| t.is_numeric_as_stored()) {
        return kind(of, oid::NUMERIC).map(|read| Shape::Stored(*ty, read));
    }
    match (of.kind(), declared.and_then(PgType::element)) {
        (TypeKind::Array(element), Some(wanted)) => Some(Shape::Array(element.oid(), kind(element, wanted.base)?)),
        _ => kind(of, base).map(Shape::One),
    }
}

fn kind(of: &Type, declared: u32) -> Option<Read> {
    let is_enum = matches!(of.kind(), TypeKind::Enum(_));
    if let TypeKind::Domain(base) = of.kind() {
        return kind(base, declared);
    }
    Some(match (of.oid(), declared) {
        (oid::BOOL, oid::BOOL) => Read::Bool,
        (oid::INT2, oid::INT2 | oid::INT4 | oid::INT8 | oid::NUMERIC) => Read::Int2,
        (oid::INT4, oid::INT2 | oid::INT4 | oid::INT8 | oid::NUMERIC) => Read::Int4,
        (oid::INT8, oid::INT2 | oid::INT4 | oid::INT8 | oid::NUMERIC) => Read::Int8,
        (oid::FLOAT4, oid::FLOAT4 | oid::FLOAT8) => Read::Float4,
        (oid::FLOAT8, oid::FLOAT8) => Read::Float8,
        (oid::NUMERIC, oid::NUMERIC) => Read::Numeric,
        (oid::BYTEA, oid::BYTEA) => Read::Bytes,
        (oid::UUID, oid::UUID) => Read::Uuid,
        (oid::DATE, oid::DATE) => Read::Date,
        (oid::TIME, oid::TIME) => Read::Time,
        (oid::TIMESTAMP, oid::TIMESTAMP) | (oid::TIMESTAMPTZ, oid::TIMESTAMPTZ) => Read::Timestamp,
        (oid::JSONB, oid::JSON | oid::JSONB) => Read::Jsonb,
        (oid::JSON, oid::JSON | oid::JSONB) => Read::Bytes,
        (oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME, oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::ENUM) => Read::Bytes,
        (_, oid::TEXT | oid::VARCHAR | oid::ENUM) if is_enum => Read::Bytes,
        // citext and its like
        (_, oid::TEXT | oid::VARCHAR) if of.name() == "citext" => Read::Bytes,
        _ => return None,
    })
}

/// Adds a row; a batch if it is full.
pub fn row(row: &Row, shapes: &[Shape], batches: &mut Batches) -> Result<Option<RecordBatch>> {
    let mut stored = Vec::new();
    for (i, shape) in shapes.iter().enumerate() {
        let value: Option<Raw> = row.try_get(i).map_err(|e| batches.refuse(i, "?", &e.to_string()).with_hint("The remote server sent what is no value."))?;
        let Some(Raw(bytes)) = value else {
            batches.put(i, Cell::Null)?;
            continue;
        };
        let mut text = String::new();
        match *shape {
            Shape::One(read) => {
                let put = cell(read, bytes, &mut text).map_err(|e| refused(batches, i, e)).and_then(|cell| batches.put(i, cell));
                put.map_err(|e| if read == Read::Numeric { of_postgres_only(e) } else { e })?;
            }
            Shape::Stored(ty, read) => {
                store(ty, read, bytes, &mut stored).map_err(|e| refused(batches, i, e))?;
                batches.put(i, Cell::Bytes(&stored))?;
            }
            Shape::Array(element, read) => {
                let elements = elements(bytes, element).map_err(|e| refused(batches, i, e))?;
                let mut texts = vec![String::new(); elements.len()];
                let mut cells = Vec::with_capacity(elements.len());
                for (element, text) in elements.into_iter().zip(&mut texts) {
                    let value = match element {
                        None => Ok(Cell::Null),
                        // As text, with its own scale.
                        Some(bytes) if read == Read::Numeric => wide_numeric(bytes, text),
                        Some(bytes) => cell(read, bytes, text),
                    };
                    cells.push(value.map_err(|e| refused(batches, i, e))?);
                }
                batches.put(i, Cell::List(&cells))?;
            }
        }
    }
    batches.end_row()
}

/// What cannot be read.
enum Unread {
    /// The bytes have the wrong length.
    Bytes,
    /// A value, and what is wrong with it.
    Value(String, &'static str),
}

fn refused(batches: &Batches, i: usize, why: Unread) -> Error {
    match why {
        Unread::Bytes => batches.refuse(i, "?", "the remote server sent what is no value"),
        Unread::Value(value, why) => batches.refuse(i, &value, why),
    }
}

/// A numeric that no engine here computes with, but Postgres does: a plan that leaves it to Postgres can read it ([`Shape::Stored`]).
fn of_postgres_only(e: Error) -> Error {
    Error { kind: Kind::Refused, ..e }.with_hint("Postgres itself can read it: SET weir.route = off.")
}

/// A value as it is stored in a numeric column.
fn store(ty: PgType, read: Read, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Unread> {
    let mut text = String::new();
    let done = match read {
        Read::Numeric => numeric::sent(bytes, &ty, out),
        _ => match cell(read, bytes, &mut String::new())? {
            Cell::Int(v) => {
                text = v.to_string();
                i64::try_from(v).map_err(|_| Unstored::Bytes).and_then(|v| numeric::integer(v, &ty, out))
            }
            _ => Err(Unstored::Bytes),
        },
    };
    done.map_err(|e| match (e, read) {
        (Unstored::Bytes, _) => Unread::Bytes,
        (Unstored::Value(why), Read::Numeric) => {
            let value = numeric::special(bytes).map_or_else(|| printed(bytes).and_then(Result::ok).unwrap_or_default(), str::to_owned);
            Unread::Value(value, why)
        }
        (Unstored::Value(why), _) => Unread::Value(text, why),
    })
}

/// The elements of an array of one dimension that begins at 1, or of none. Source: `array_send`.
fn elements(bytes: &[u8], element: u32) -> Result<Vec<Option<&[u8]>>, Unread> {
    fn word(bytes: &mut &[u8]) -> Result<i32, Unread> {
        let (word, rest) = bytes.split_first_chunk::<4>().ok_or(Unread::Bytes)?;
        *bytes = rest;
        Ok(i32::from_be_bytes(*word))
    }
    let mut rest = bytes;
    let (dimensions, _has_nulls, of) = (word(&mut rest)?, word(&mut rest)?, word(&mut rest)?);
    if of.cast_unsigned() != element {
        return Err(Unread::Bytes);
    }
    match dimensions {
        0 if rest.is_empty() => return Ok(Vec::new()),
        1 => {}
        _ => return Err(Unread::Value(format!("an array of {dimensions} dimensions"), "only arrays of one dimension are read")),
    }
    let (count, first) = (word(&mut rest)?, word(&mut rest)?);
    if first != 1 {
        return Err(Unread::Value(format!("an array that begins at {first}"), "only arrays that begin at 1 are read"));
    }
    let mut out = Vec::new();
    for _ in 0..count {
        let length = word(&mut rest)?;
        let Ok(length) = usize::try_from(length) else {
            out.push(None);
            continue;
        };
        let (value, after) = rest.split_at_checked(length).ok_or(Unread::Bytes)?;
        out.push(Some(value));
        rest = after;
    }
    if rest.is_empty() { Ok(out) } else { Err(Unread::Bytes) }
}

/// One value; `text` holds it where it has to be spelled out.
fn cell<'a>(kind: Read, bytes: &'a [u8], text: &'a mut String) -> Result<Cell<'a>, Unread> {
    let four = || bytes.try_into().ok().map(i32::from_be_bytes);
    let eight = || bytes.try_into().ok().map(i64::from_be_bytes);
    let cell = match kind {
        Read::Bool => bytes.first().map(|b| Cell::Int(i128::from(*b != 0))),
        Read::Int2 => bytes.try_into().ok().map(|b| Cell::Int(i128::from(i16::from_be_bytes(b)))),
        Read::Int4 => four().map(|v| Cell::Int(i128::from(v))),
        Read::Int8 => eight().map(|v| Cell::Int(i128::from(v))),
        Read::Float4 => bytes.try_into().ok().map(|b| Cell::Float4(f32::from_be_bytes(b))),
        Read::Float8 => bytes.try_into().ok().map(|b| Cell::Float8(f64::from_be_bytes(b))),
        Read::Bytes => Some(Cell::Bytes(bytes)),
        Read::Jsonb => match bytes.split_first() {
            Some((1, rest)) => Some(Cell::Bytes(rest)),
            _ => None,
        },
        Read::Uuid if bytes.len() == 16 => {
            *text = bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
            Some(Cell::Bytes(text.as_bytes()))
        }
        Read::Uuid => None,
        Read::Date => four().map(|d| Cell::Date(if d == i32::MAX || d == i32::MIN { i64::from(d) } else { i64::from(d) + EPOCH_DAYS })),
        Read::Time => eight().map(Cell::Time),
        Read::Timestamp => match eight() {
            Some(us @ (i64::MAX | i64::MIN)) => Some(Cell::Timestamp(us)),
            Some(us) => us.checked_add(EPOCH_US).filter(|us| *us != i64::MAX).map(Cell::Timestamp),
            None => None,
        },
        Read::Numeric => match short_numeric(bytes) {
            Some((digits, scale)) => Some(Cell::Decimal(digits, scale)),
            None => return wide_numeric(bytes, text),
        },
    };
    cell.ok_or(Unread::Bytes)
}

/// A numeric of any length, spelled out.
fn wide_numeric<'a>(bytes: &[u8], text: &'a mut String) -> Result<Cell<'a>, Unread> {
    match printed(bytes) {
        Some(Ok(number)) => {
            *text = number;
            Ok(Cell::Bytes(text.as_bytes()))
        }
        Some(Err(special)) => Err(Unread::Value(special.into(), "it has no digits")),
        None => Err(Unread::Bytes),
    }
}

/// Decimal digits that certainly fit into an `i128`.
const SHORT_DIGITS: u32 = 36;

/// A numeric of few digits: them, and how many are after the point. Source: `numeric_send`.
fn short_numeric(bytes: &[u8]) -> Option<(i128, i16)> {
    let (head, groups) = bytes.split_first_chunk::<8>()?;
    let [n0, n1, w0, w1, s0, s1, d0, d1] = *head;
    let (count, weight) = (u16::from_be_bytes([n0, n1]), i32::from(i16::from_be_bytes([w0, w1])));
    let (sign, scale) = (u16::from_be_bytes([s0, s1]), i16::from_be_bytes([d0, d1]));
    if groups.len() != usize::from(count) * 2 || !matches!(sign, 0 | 0x4000) || scale < 0 {
        return None;
    }
    // Digits after the point that are stored: whole groups, which may be more or fewer than are shown.
    let stored = 4 * (i32::from(count) - 1 - weight);
    let missing = i32::from(scale) - stored;
    if u32::from(count) * 4 + missing.max(0).unsigned_abs() > SHORT_DIGITS || missing < -3 {
        return None;
    }
    let mut digits = 0i128;
    for group in groups.chunks_exact(2) {
        digits = digits * 10_000 + i128::from(u16::from_be_bytes(group.try_into().ok()?));
    }
    let power = 10i128.pow(missing.unsigned_abs());
    if missing >= 0 {
        digits *= power;
    } else if digits % power == 0 {
        digits /= power;
    } else {
        return None;
    }
    Some((if sign == 0 { digits } else { -digits }, scale))
}

/// A numeric as text, with its display scale; `Err` for those that are no numbers. Source: `numeric_send`.
fn printed(bytes: &[u8]) -> Option<Result<String, &'static str>> {
    let word = |i: usize| Some(u16::from_be_bytes([*bytes.get(i * 2)?, *bytes.get(i * 2 + 1)?]));
    let (ndigits, weight, sign, dscale) = (usize::from(word(0)?), i32::from(word(1)?.cast_signed()), word(2)?, usize::from(word(3)?));
    let negative = match sign {
        0 => false,
        0x4000 => true,
        0xC000 => return Some(Err("NaN")),
        0xD000 => return Some(Err("Infinity")),
        0xF000 => return Some(Err("-Infinity")),
        _ => return None,
    };
    if bytes.len() != 8 + ndigits * 2 {
        return None;
    }
    let digit = |at: i32| usize::try_from(at).ok().filter(|at| *at < ndigits).and_then(|at| word(4 + at)).unwrap_or(0);
    let mut text = String::with_capacity(ndigits * 4 + dscale + 2);
    if negative && ndigits > 0 {
        text.push('-');
    }
    if weight < 0 {
        text.push('0');
    } else {
        for at in 0..=weight {
            let _ = if at == 0 { write!(text, "{}", digit(at)) } else { write!(text, "{:04}", digit(at)) };
        }
    }
    if dscale > 0 {
        text.push('.');
        let start = text.len();
        let mut at = weight + 1;
        // Leading groups of zeros that are not stored.
        if weight < -1 {
            at = 0;
            for _ in 0..(-1 - weight) {
                text.push_str("0000");
            }
        }
        while text.len() - start < dscale {
            let _ = write!(text, "{:04}", digit(at));
            at += 1;
        }
        text.truncate(start + dscale);
    }
    Some(Ok(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(digits: &[u16], weight: i16, negative: bool, dscale: u16) -> String {
        let mut bytes = Vec::new();
        for word in [digits.len() as u16, weight.cast_unsigned(), if negative { 0x4000 } else { 0 }, dscale].iter().chain(digits) {
            bytes.extend(word.to_be_bytes());
        }
        let text = printed(&bytes).expect("whole").expect("a number");
        if let Some((digits, scale)) = short_numeric(&bytes) {
            let shown = format!("{:0width$}", digits.unsigned_abs(), width = scale as usize + 1);
            let (whole, after) = shown.split_at(shown.len() - scale as usize);
            let point = if scale > 0 { "." } else { "" };
            assert_eq!(format!("{}{whole}{point}{after}", if digits < 0 { "-" } else { "" }), text);
        }
        text
    }

    #[test]
    fn numerics_are_read_as_they_are_printed() {
        assert_eq!(sent(&[], 0, false, 0), "0");
        assert_eq!(sent(&[], 0, false, 2), "0.00");
        assert_eq!(sent(&[12, 3456, 7800], 1, true, 2), "-123456.78");
        assert_eq!(sent(&[1], -3, false, 12), "0.000000000001");
        assert_eq!(sent(&[5000], -1, false, 1), "0.5");
        assert_eq!(sent(&[1], 2, false, 3), "100000000.000");
        assert!(printed(&[0, 0, 0, 0, 0xC0, 0, 0, 0]).expect("whole").is_err());
    }

    #[test]
    fn arrays_of_one_dimension_are_read_and_no_others() {
        let sent = |words: &[i32]| words.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<u8>>();
        let int4 = oid::INT4.cast_signed();
        let read = |words: &[i32]| elements(&sent(words), oid::INT4).ok().map(|e| e.into_iter().map(|v| v.map(<[u8]>::to_vec)).collect::<Vec<_>>());
        assert_eq!(read(&[0, 0, int4]), Some(vec![]));
        assert_eq!(read(&[1, 1, int4, 2, 1, 4, 7, -1]), Some(vec![Some(vec![0, 0, 0, 7]), None]));
        assert_eq!(read(&[1, 0, int4, 1, 0, 4, 7]), None, "another lower bound");
        assert_eq!(read(&[2, 0, int4, 1, 1, 1, 1, 4, 7]), None, "two dimensions");
        assert_eq!(read(&[1, 0, 20, 1, 1, 4, 7]), None, "another type");
        assert_eq!(read(&[1, 0, int4, 2, 1, 4, 7]), None, "too short");
        assert_eq!(read(&[1, 0, int4, 1, 1, 4, 7, 7]), None, "too long");
        assert_eq!(read(&[1, 0, int4, i32::MAX, 1]), None, "no elements");
    }
}
