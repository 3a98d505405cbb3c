//! Rows of the text protocol, by the declared types.

use crate::client::{Batches, Cell};
use crate::dialect::mysql::days;
use arrow::array::RecordBatch;
use mysql_async::consts::ColumnType;
use mysql_async::{Column, Row, Value};
use weir_plan::Result;
use weir_plan::types::oid;

/// Adds a row; a batch if it is full.
pub fn row(row: &Row, fields: &[Column], batches: &mut Batches) -> Result<Option<RecordBatch>> {
    for i in 0..batches.width() {
        let text = match row.as_ref(i) {
            None | Some(Value::NULL) => {
                batches.put(i, Cell::Null)?;
                continue;
            }
            Some(Value::Bytes(text)) => text,
            Some(other) => return Err(batches.refuse(i, &other.as_sql(true), "it is not text")),
        };
        let refused = |why: &str, batches: &Batches| Err(batches.refuse(i, &String::from_utf8_lossy(text), why));
        let floating = fields.get(i).is_some_and(|f| matches!(f.column_type(), ColumnType::MYSQL_TYPE_FLOAT | ColumnType::MYSQL_TYPE_DOUBLE));
        let cell = match batches.declared(i).map_or(0, |ty| ty.base) {
            oid::BOOL => match text.as_slice() {
                b"0" | b"false" => Cell::Int(0),
                b"1" | b"true" => Cell::Int(1),
                _ => return refused("it is not a boolean", batches),
            },
            oid::FLOAT4 if floating => match number::<f32>(text) {
                Some(v) => Cell::Float4(v),
                None => return refused("it is not a number", batches),
            },
            oid::FLOAT8 if floating => match number::<f64>(text) {
                Some(v) => Cell::Float8(v),
                None => return refused("it is not a number", batches),
            },
            oid::NUMERIC if floating => return refused("it is not an exact number", batches),
            oid::DATE | oid::TIMESTAMP => match moment(text) {
                Some(micros) => Cell::Timestamp(micros),
                None => return refused("it is not a date", batches),
            },
            _ => Cell::Bytes(text),
        };
        batches.put(i, cell)?;
    }
    batches.end_row()
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Microseconds since 1970-01-01 of `2024-02-29` or `2024-02-29 12:34:56.789012`.
fn moment(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "00:00:00"));
    let digits = |s: &str, n: usize| if s.len() == n && s.bytes().all(|b| b.is_ascii_digit()) { s.parse::<i64>().ok() } else { None };
    let mut parts = date.split('-');
    let (y, m, d) = (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = clock.split(':');
    let (h, min, s) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    if y == 0 || !(1..=12).contains(&m) || !(1..=31).contains(&d) || h > 23 || min > 59 || s > 59 || fraction.len() > 6 {
        return None;
    }
    let micros = digits(&format!("{fraction:0<6}"), 6)?;
    Some(((days(y, u32::try_from(m).ok()?, u32::try_from(d).ok()?) * 24 + h) * 60 + min) * 60_000_000 + s * 1_000_000 + micros)
}

#[cfg(test)]
mod tests {
    use super::moment;

    #[test]
    fn moments_are_read_to_the_microsecond() {
        assert_eq!(moment(b"1970-01-01"), Some(0));
        assert_eq!(moment(b"1970-01-02 00:00:01.5"), Some(86_401_500_000));
        assert_eq!(moment(b"9999-12-31 23:59:59.999999"), Some(253_402_300_799_999_999));
        for bad in [&b"0000-00-00"[..], b"2024-13-01", b"2024-01-01 25:00:00", b"soon", b"2024-01-01 00:00:00.1234567"] {
            assert_eq!(moment(bad), None);
        }
    }
}
