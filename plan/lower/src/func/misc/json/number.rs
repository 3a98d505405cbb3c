//! Numbers in jsonb: printed by `numeric_out`, so without exponent.

use super::scan::{Kind, kind};
use crate::error::refused;
use datafusion::common::Result;
use num_bigint::BigInt;

/// The document with its numbers in shortest form: equal documents are equal texts.
pub(super) fn normal(j: &str) -> String {
    let mut out = String::with_capacity(j.len());
    let mut rest = j;
    while let Some(c) = rest.chars().next() {
        let n = match c {
            '"' => {
                let n = string_length(rest);
                out.push_str(rest.get(..n).unwrap_or(rest));
                n
            }
            '-' | '0'..='9' => {
                let n = rest.bytes().take_while(|b| matches!(b, b'-' | b'.' | b'0'..=b'9')).count();
                out.push_str(shortest(rest.get(..n).unwrap_or_default()));
                n
            }
            c => {
                out.push(c);
                c.len_utf8()
            }
        };
        rest = rest.get(n..).unwrap_or_default();
    }
    out
}

/// Without zeros at the end of the fraction.
pub(super) fn shortest(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

fn string_length(s: &str) -> usize {
    let mut escaped = false;
    for (i, b) in s.bytes().enumerate().skip(1) {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return i + 1,
            _ => {}
        }
    }
    s.len()
}

fn number(j: &str) -> Result<&str> {
    if kind(j)? == Kind::Number { Ok(j) } else { Err(refused("a jsonb that is no number")) }
}

/// Rounded half away from zero.
pub(super) fn integer<T: TryFrom<BigInt>>(j: &str) -> Result<T> {
    let bad = || refused("a jsonb number that does not fit");
    let text = number(j)?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let negative = whole.starts_with('-');
    let mut value: BigInt = whole.parse().map_err(|_| bad())?;
    if fraction.bytes().next().is_some_and(|b| b >= b'5') {
        value += if negative { -1 } else { 1 };
    }
    T::try_from(value).map_err(|_| bad())
}

pub(super) fn float8(j: &str) -> Result<f64> {
    let value: f64 = number(j)?.parse().map_err(|_| refused("a jsonb that is no number"))?;
    // Overflow and underflow are errors.
    let zero = j.bytes().all(|b| !matches!(b, b'1'..=b'9'));
    if value.is_infinite() || (value == 0.0 && !zero) { Err(refused("a jsonb number out of range")) } else { Ok(value) }
}

pub(super) fn float4(j: &str) -> Result<f32> {
    let value: f32 = number(j)?.parse().map_err(|_| refused("a jsonb that is no number"))?;
    let zero = j.bytes().all(|b| !matches!(b, b'1'..=b'9'));
    if value.is_infinite() || (value == 0.0 && !zero) || value.is_subnormal() { Err(refused("a jsonb number out of range")) } else { Ok(value) }
}
