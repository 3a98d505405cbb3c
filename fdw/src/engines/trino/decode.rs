//! Values of the protocol's JSON. Source: "Trino client REST API", and the `fromResult` functions of its own clients.

use super::nested::Nested;
use super::statement::Column;
use crate::client::{Batches, Cell};
use crate::dialect::mysql::days;
use arrow::array::RecordBatch;
use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde_json::Value;
use std::fmt;
use weir_plan::types::{PgType, oid};
use weir_plan::{Error, Kind, Result};

const DAY_US: i64 = 86_400_000_000;

/// How a column's values are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    Bool,
    Int,
    Real,
    Double,
    /// Text, and numbers as text.
    Text,
    Bytes,
    Date,
    Time,
    Timestamp,
    Zoned,
    /// Of the type of NULL.
    Nothing,
}

/// How a column is read: its values, or those in its arrays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    One(Read),
    Array(Read),
    /// As JSON.
    Nested(Nested),
}

/// A type without its parameters.
fn plain(ty: &str) -> String {
    let (head, tail) = ty.split_once('(').unwrap_or((ty, ""));
    let tail = tail.split_once(')').map_or("", |(_, t)| t);
    format!("{head}{tail}").to_ascii_lowercase()
}

/// How each column is read.
///
/// # Errors
/// Another number of columns, or a remote column of a type that the declared one does not stand for.
pub fn reads(server: &str, columns: &[Column], batches: &Batches) -> Result<Vec<Shape>> {
    if columns.len() != batches.width().max(1) {
        let message = format!("server \"{server}\": the result has {} columns, not the {} that were asked for", columns.len(), batches.width());
        return Err(Error { sqlstate: "HV021".into(), ..Error::new(Kind::Remote, message) }.with_hint("The remote table may have changed: import it again."));
    }
    let mut out = Vec::new();
    for (i, c) in columns.iter().enumerate().take(batches.width()) {
        out.push(shape(&c.ty, batches.declared(i)).ok_or_else(|| {
            Error {
                sqlstate: "HV004".into(),
                ..Error::new(Kind::Remote, format!("server \"{server}\": column \"{}\" has type {}, which is not the declared one", c.name, c.ty))
            }
            .with_hint("Declare the column with the type of the remote column, or import the table again.")
        })?);
    }
    Ok(out)
}

fn shape(remote: &str, declared: Option<&PgType>) -> Option<Shape> {
    let remote = remote.to_ascii_lowercase();
    let element = remote.strip_prefix("array(").and_then(|t| t.strip_suffix(')'));
    match (element, declared.and_then(PgType::element)) {
        _ if declared.is_some_and(|t| matches!(t.base, oid::JSON | oid::JSONB)) && Nested::of(&remote).is_some() => Nested::of(&remote).map(Shape::Nested),
        (Some(element), Some(wanted)) => read(&plain(element), wanted.base).map(Shape::Array),
        _ => read(&plain(&remote), declared.map_or(0, |t| t.base)).map(Shape::One),
    }
}

fn read(remote: &str, declared: u32) -> Option<Read> {
    Some(match (remote, declared) {
        ("unknown", _) => Read::Nothing,
        ("boolean", oid::BOOL) => Read::Bool,
        ("tinyint" | "smallint" | "integer" | "bigint", oid::INT2 | oid::INT4 | oid::INT8 | oid::NUMERIC) => Read::Int,
        ("decimal", oid::NUMERIC | oid::INT2 | oid::INT4 | oid::INT8) => Read::Text,
        ("real", oid::FLOAT4 | oid::FLOAT8) => Read::Real,
        ("double", oid::FLOAT8) => Read::Double,
        ("varchar", oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::ENUM | oid::JSON | oid::JSONB) => Read::Text,
        ("char", oid::BPCHAR) => Read::Text,
        ("json", oid::JSON | oid::JSONB) => Read::Text,
        ("uuid", oid::UUID) => Read::Text,
        ("varbinary", oid::BYTEA) => Read::Bytes,
        ("date", oid::DATE) => Read::Date,
        ("time", oid::TIME) => Read::Time,
        ("timestamp", oid::TIMESTAMP) => Read::Timestamp,
        ("timestamp with time zone", oid::TIMESTAMPTZ) => Read::Zoned,
        _ => return None,
    })
}

/// Reads rows out of a page.
pub struct Rows<'a> {
    pub reads: &'a [Shape],
    pub batches: &'a mut Batches,
    pub full: Vec<RecordBatch>,
    pub failed: Option<Error>,
}

impl Rows<'_> {
    /// One row.
    ///
    /// # Errors
    /// A value that does not fit, or another number of values.
    pub fn row(&mut self, row: &[Value]) -> Result<()> {
        if row.len() != self.reads.len() && !self.reads.is_empty() {
            return Err(self.batches.refuse(0, "?", "the remote server sent a row with another number of values"));
        }
        for (i, (shape, value)) in self.reads.iter().zip(row).enumerate() {
            put(i, shape, value, self.batches)?;
        }
        self.full.extend(self.batches.end_row()?);
        Ok(())
    }
}

/// Rows as a JSON array of arrays, one after the other.
impl<'de> DeserializeSeed<'de> for &mut Rows<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for &mut Rows<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<(), A::Error> {
        while let Some(row) = seq.next_element::<Vec<Value>>()? {
            if let Err(e) = self.row(&row) {
                self.failed = Some(e);
                return Err(serde::de::Error::custom("a value"));
            }
        }
        Ok(())
    }
}

fn put(i: usize, shape: &Shape, value: &Value, batches: &mut Batches) -> Result<()> {
    let mut held = Vec::new();
    let wrong = |batches: &Batches, value: &Value, why| Err(batches.refuse(i, &crate::client::http::shown(&value.to_string()), why));
    match (shape, value) {
        (Shape::Array(read), Value::Array(items)) => {
            let mut held = vec![Vec::new(); items.len()];
            let cells = items.iter().zip(&mut held).map(|(item, held)| cell(*read, item, held)).collect::<Result<Vec<_>, _>>();
            match cells {
                Ok(cells) => batches.put(i, Cell::List(&cells)),
                Err(why) => wrong(batches, value, why),
            }
        }
        (Shape::Array(_) | Shape::Nested(_), Value::Null) => batches.put(i, Cell::Null),
        (Shape::Nested(nested), _) => {
            let mut text = String::new();
            match nested.json(value, &mut text) {
                Ok(()) => batches.put(i, Cell::Bytes(text.as_bytes())),
                Err(why) => wrong(batches, value, why),
            }
        }
        (Shape::Array(_), _) => wrong(batches, value, "it is of another type"),
        (Shape::One(read), _) => match cell(*read, value, &mut held) {
            Ok(cell) => batches.put(i, cell),
            Err(why) => wrong(batches, value, why),
        },
    }
}

/// One value; `held` keeps it where it does not come as it is.
fn cell<'a>(read: Read, value: &'a Value, held: &'a mut Vec<u8>) -> Result<Cell<'a>, &'static str> {
    match (read, value) {
        (_, Value::Null) => Ok(Cell::Null),
        (Read::Bool, Value::Bool(b)) => Ok(Cell::Int(i128::from(*b))),
        (Read::Int, Value::Number(n)) => n.to_string().parse().map(Cell::Int).map_err(|_| "it is not an integer"),
        (Read::Real, v) => float::<f32>(v).map(Cell::Float4),
        (Read::Double, v) => float::<f64>(v).map(Cell::Float8),
        (Read::Text, Value::String(s)) => Ok(Cell::Bytes(s.as_bytes())),
        (Read::Text, Value::Number(n)) => {
            *held = n.to_string().into_bytes();
            Ok(Cell::Bytes(held))
        }
        (Read::Bytes, Value::String(s)) => match base64(s) {
            Some(b) => {
                *held = b;
                Ok(Cell::Bytes(held))
            }
            None => Err("it is not base64"),
        },
        (Read::Date, Value::String(s)) => date(s).map(Cell::Date).ok_or("it is not a date"),
        (Read::Time, Value::String(s)) => time(s).map(Cell::Time),
        (Read::Timestamp, Value::String(s)) => timestamp(s).map(Cell::Timestamp),
        (Read::Zoned, Value::String(s)) => zoned(s).map(Cell::Timestamp),
        _ => Err("it is of another type"),
    }
}

fn float<T: std::str::FromStr>(value: &Value) -> Result<T, &'static str> {
    let text = match value {
        Value::Number(n) => n.to_string(),
        Value::String(s) if matches!(s.as_str(), "NaN" | "Infinity" | "-Infinity" | "+Infinity") => s.clone(),
        _ => return Err("it is not a number"),
    };
    text.parse().map_err(|_| "it is not a number")
}

/// Days since 1970-01-01; the years before 1 are counted from 0 downwards.
fn date(text: &str) -> Option<i64> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut parts = rest.splitn(3, '-');
    let year: i64 = number(parts.next()?)?;
    let (month, day) = (u32::try_from(number(parts.next()?)?).ok()?, u32::try_from(number(parts.next()?)?).ok()?);
    let year = if negative { -year } else { year };
    let found = days(year, month, day);
    ((1..=12).contains(&month) && year.abs() < 6_000_000 && crate::dialect::mysql::civil(found) == (year, month, day)).then_some(found)
}

fn number(digits: &str) -> Option<i64> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) { None } else { digits.parse().ok() }
}

/// Microseconds since midnight of `12:34:56.789012`, with as many digits as there are.
fn time(text: &str) -> Result<i64, &'static str> {
    let bad = "it is not a time";
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.splitn(3, ':');
    let mut next = |max: i64| parts.next().and_then(number).filter(|n| *n <= max).ok_or(bad);
    let (h, m) = (next(24)?, next(59)?);
    // To the minute only, which is how a time without precision may come.
    let s = next(59).or_else(|e| if clock.matches(':').count() == 1 { Ok(0) } else { Err(e) })?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad);
    }
    let (micros, finer) = fraction.split_at(fraction.len().min(6));
    if finer.bytes().any(|b| b != b'0') {
        return Err("it is finer than a microsecond");
    }
    let micros = format!("{micros:0<6}").parse::<i64>().map_err(|_| bad)?;
    Ok(((h * 60 + m) * 60 + s) * 1_000_000 + micros)
}

fn timestamp(text: &str) -> Result<i64, &'static str> {
    let bad = "it is not a timestamp";
    let (day, clock) = text.split_once([' ', 'T']).ok_or(bad)?;
    let micros = time(clock)?;
    if micros >= DAY_US {
        return Err(bad);
    }
    date(day).and_then(|d| d.checked_mul(DAY_US)).and_then(|d| d.checked_add(micros)).ok_or(bad)
}

/// A timestamp and a zone: UTC, for which the dialect asks, or an offset.
fn zoned(text: &str) -> Result<i64, &'static str> {
    let bad = "it is not a timestamp with a time zone";
    let (local, zone) = text.rsplit_once(' ').ok_or(bad)?;
    let micros = timestamp(local)?;
    let (sign, offset) = match zone {
        "UTC" | "Z" | "GMT" => return Ok(micros),
        z if z.starts_with('+') => (1, z.trim_start_matches('+')),
        z if z.starts_with('-') => (-1, z.trim_start_matches('-')),
        _ => return Err("its time zone is neither UTC nor an offset"),
    };
    let (h, m) = offset.split_once(':').unwrap_or((offset, "0"));
    let minutes = number(h).filter(|h| *h < 24).ok_or(bad)? * 60 + number(m).filter(|m| *m < 60).ok_or(bad)?;
    micros.checked_sub(sign * minutes * 60_000_000).ok_or(bad)
}

/// Bytes of base64 (RFC 4648, section 4), padded.
pub fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches(['\r', '\n']);
    let digits = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0u32, 0);
    for b in digits.bytes() {
        let value = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Some(out)
}

/// A row as a JSON object; decimals are numbers.
pub fn object(columns: &[Column], row: Vec<Value>) -> Value {
    let mut object = serde_json::Map::new();
    for (c, value) in columns.iter().zip(row) {
        let value = match value {
            Value::String(s) if plain(&c.ty) == "decimal" => s.parse::<serde_json::Number>().map_or(Value::String(s), Value::Number),
            Value::String(s) if plain(&c.ty) == "json" => serde_json::from_str(&s).unwrap_or(Value::String(s)),
            other => other,
        };
        object.insert(c.name.clone(), value);
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_exactly_or_refused() {
        assert_eq!(timestamp("2024-02-29 12:34:56.789012"), Ok(1_709_210_096_789_012));
        assert_eq!(timestamp("1969-12-31 23:59:59.999"), Ok(-1000));
        assert_eq!(timestamp("1970-01-01 00:00:00"), Ok(0));
        assert_eq!(timestamp("1970-01-01 00:00:00.000001000000"), Ok(1));
        assert_eq!(timestamp("1970-01-01 00:00:00.0000010001"), Err("it is finer than a microsecond"));
        assert!(timestamp("1970-13-01 00:00:00").is_err() && timestamp("1970-02-30 00:00:00").is_err() && timestamp("1970-01-01 24:00:00").is_err());
        assert_eq!(zoned("1970-01-01 02:00:00.000 +02:00"), Ok(0));
        assert_eq!(zoned("1969-12-31 18:30:00 -05:30"), Ok(0));
        assert_eq!(zoned("1970-01-01 00:00:00.5 UTC"), Ok(500_000));
        assert!(zoned("2024-10-27 02:30:00.000 Europe/Berlin").is_err());
    }

    #[test]
    fn dates_before_the_year_1_and_after_9999() {
        assert_eq!(date("1970-01-01"), Some(0));
        assert_eq!(date("0000-12-31"), Some(-719_163));
        assert_eq!(date("-0001-12-31"), Some(-719_529));
        assert_eq!(date("+10000-01-01"), Some(2_932_897));
        assert_eq!(date("2023-02-29"), None);
    }

    #[test]
    fn base64_is_read() {
        assert_eq!(base64("AP9cJw==").as_deref(), Some([0, 0xff, 0x5c, 0x27].as_slice()));
        assert_eq!(base64("").as_deref(), Some([].as_slice()));
        assert_eq!(base64("AP9"), None);
        assert_eq!(base64("A*==").as_deref(), None);
    }

    #[test]
    fn types_are_those_declared() {
        assert_eq!(plain("timestamp(6) with time zone"), "timestamp with time zone");
        assert_eq!(plain("decimal(12,2)"), "decimal");
        assert_eq!(read("double", oid::NUMERIC), None);
        assert_eq!(read("timestamp", oid::TIMESTAMPTZ), None);
        assert_eq!(read("bigint", oid::INT2), Some(Read::Int));
        assert_eq!(shape("array(varchar(3))", Some(&PgType::new(1009))), Some(Shape::Array(Read::Text)));
        assert_eq!(shape("array(varchar)", Some(&PgType::new(1007))), None);
        assert_eq!(shape("integer", Some(&PgType::new(1007))), None);
    }
}
