//! `to_date` and `to_timestamp` of text.
//!
//! Invariants: patterns of YYYY, MM, DD, HH24, MI, SS, MS and US with separators only; texts that fit the pattern digit for digit, else refused
//! at run time (Postgres reads many other texts by rules of its own).

use super::calendar::*;
use super::input::{Cursor, checked_day};
use super::kernel::constant_text;
use super::pattern::{Keyword, Node, parse};
use super::text::parsed;
use super::zone::Zone;
use crate::error::refused;
use crate::udf;
use crate::value::{Call, Value};
use arrow::datatypes::{Date32Type, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::lit;
use weir_plan::types::arrow_type;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    match (call.func, call.args.as_slice()) {
        (1778 | 1780, [text, pattern]) => Some(read(call, text, pattern)),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Literal(u8),
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Millis,
    Micros,
}

fn pieces(pattern: &str) -> Result<Vec<Piece>> {
    let mut out = Vec::new();
    for node in parse(pattern)? {
        let piece = match node {
            Node::Literal(c @ ('-' | '/' | '.' | ':' | ' ' | ',')) => Piece::Literal(c as u8),
            Node::Field(f) if !f.fill && f.ordinal.is_none() => match f.keyword {
                Keyword::Year(4) => Piece::Year,
                Keyword::Month => Piece::Month,
                Keyword::DayOfMonth => Piece::Day,
                Keyword::Hour24 => Piece::Hour,
                Keyword::Minute => Piece::Minute,
                Keyword::Second => Piece::Second,
                Keyword::Fraction(3) if pattern.to_ascii_uppercase().contains("MS") => Piece::Millis,
                Keyword::Fraction(6) if pattern.to_ascii_uppercase().contains("US") => Piece::Micros,
                _ => return Err(refused(format!("reading by pattern \"{pattern}\""))),
            },
            _ => return Err(refused(format!("reading by pattern \"{pattern}\""))),
        };
        if out.contains(&piece) && !matches!(piece, Piece::Literal(_)) {
            return Err(refused(format!("reading by pattern \"{pattern}\"")));
        }
        out.push(piece);
    }
    if !out.contains(&Piece::Year) || pattern.to_ascii_uppercase().contains("FF") {
        return Err(refused(format!("reading by pattern \"{pattern}\"")));
    }
    Ok(out)
}

/// Microseconds of the local time that a text names; `None` if it does not fit the pattern exactly.
fn local(pieces: &[Piece], text: &str) -> Option<i64> {
    let mut c = Cursor { rest: text.as_bytes() };
    let (mut year, mut month, mut day, mut time) = (0, 1, 1, 0);
    for piece in pieces {
        match piece {
            Piece::Literal(l) => c.eat(*l)?,
            Piece::Year => year = c.digits(4)?,
            Piece::Month => month = c.digits(2)?,
            Piece::Day => day = c.digits(2)?,
            Piece::Hour => time += c.digits(2).filter(|h| *h < 24)? * HOUR_US,
            Piece::Minute => time += c.digits(2).filter(|m| *m < 60)? * MINUTE_US,
            Piece::Second => time += c.digits(2).filter(|s| *s < 60)? * SECOND_US,
            Piece::Millis => time += c.digits(3)? * 1000,
            Piece::Micros => time += c.digits(6)?,
        }
    }
    (c.rest.is_empty()).then_some(())?;
    Some(checked_day(year, month, day)? * DAY_US + time)
}

fn read(call: &Call<'_>, text: &Value, pattern: &Value) -> Result<Value> {
    let out = arrow_type(&call.ty).ok_or_else(|| refused("a type without Arrow form"))?;
    let pattern = match constant_text(pattern) {
        None => return Err(refused("a pattern that is not constant")),
        Some(None) => return Ok(Value::new(lit(ScalarValue::try_new_null(&out)?), out, call.ty)),
        Some(Some(pattern)) => pattern.to_owned(),
    };
    let pieces = pieces(&pattern)?;
    let (name, key, kernel) = if call.func == 1780 {
        ("pg_to_date", pattern, parsed::<Date32Type>(out.clone(), move |s| Ok(local(&pieces, s).map(timestamp_to_date))))
    } else {
        let zone = Zone::named(&call.session.timezone)?;
        let key = format!("{} {pattern}", zone.name);
        let kernel = parsed::<TimestampMicrosecondType>(out.clone(), move |s| local(&pieces, s).map(|t| zone.from_timestamp(t)).transpose());
        ("pg_to_timestamp_text", key, kernel)
    };
    Ok(Value::new(udf::call(name, key, out.clone(), vec![text.expr.clone()], kernel), out, call.ty))
}
