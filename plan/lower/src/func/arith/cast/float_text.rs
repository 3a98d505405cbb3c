//! Floats as Postgres prints them with `extra_float_digits` of 1 or more.
//!
//! The digits are the fewest that lie strictly between the midpoints to the neighbouring floats, and of those the nearest to the
//! value, the even one of two equally near. Rust's own shortest form may lie on a midpoint, and takes the odd one.
//! Source: `d2s.c` and `f2s.c` of release 15.

use num_bigint::BigInt;
use std::cmp::Ordering;

/// What `float8out` prints.
pub(crate) fn float8(v: f64) -> String {
    let bits = v.abs().to_bits();
    let (fraction, exponent) = (bits & ((1 << 52) - 1), (bits >> 52) as i32);
    let (mantissa, power) = if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << 52, exponent - 1075) };
    let interval = Interval { mantissa, power, narrow: fraction == 0 && exponent > 1 };
    special(v).unwrap_or_else(|| layout(v.is_sign_negative(), &shortest(&interval, v.abs(), |n| format!("{:.*e}", n, v.abs())), 15))
}

/// What `float4out` prints.
pub(crate) fn float4(v: f32) -> String {
    let bits = v.abs().to_bits();
    let (fraction, exponent) = (bits & ((1 << 23) - 1), (bits >> 23) as i32);
    let (mantissa, power) = if exponent == 0 { (fraction, -149) } else { (fraction | 1 << 23, exponent - 150) };
    let interval = Interval { mantissa: u64::from(mantissa), power, narrow: fraction == 0 && exponent > 1 };
    special(f64::from(v)).unwrap_or_else(|| layout(v.is_sign_negative(), &shortest(&interval, v.abs(), |n| format!("{:.*e}", n, v.abs())), 6))
}

fn special(v: f64) -> Option<String> {
    if v.is_nan() {
        return Some("NaN".into());
    }
    if v.is_infinite() {
        return Some(if v > 0.0 { "Infinity" } else { "-Infinity" }.into());
    }
    None
}

/// The float `mantissa * 2^power`; `narrow` if the one below it is only half as far away as the one above.
struct Interval {
    mantissa: u64,
    power: i32,
    narrow: bool,
}

impl Interval {
    /// `digits * 10^exponent` compared to `n * 2^(power - 2)`.
    fn compare(&self, digits: u64, exponent: i32, n: u128) -> Ordering {
        let (mut l, mut r) = (BigInt::from(digits), BigInt::from(n));
        let ten = |e: i32| BigInt::from(10).pow(e.unsigned_abs());
        if exponent >= 0 {
            l *= ten(exponent);
        } else {
            r *= ten(exponent);
        }
        let shift = self.power - 2;
        if shift >= 0 {
            r <<= shift;
        } else {
            l <<= -shift;
        }
        l.cmp(&r)
    }

    fn below_upper(&self, digits: u64, exponent: i32) -> bool {
        self.compare(digits, exponent, 4 * u128::from(self.mantissa) + 2) == Ordering::Less
    }

    fn above_lower(&self, digits: u64, exponent: i32) -> bool {
        self.compare(digits, exponent, 4 * u128::from(self.mantissa) - if self.narrow { 1 } else { 2 }) == Ordering::Greater
    }
}

/// The digits without trailing zeros, and the decimal exponent of the first. `rounded` gives the value with so many digits after
/// the first, half to even.
fn shortest(interval: &Interval, v: impl std::fmt::LowerExp, rounded: impl Fn(usize) -> String) -> (String, i32) {
    if interval.mantissa == 0 {
        return ("0".into(), 0);
    }
    let least = format!("{v:e}").bytes().take_while(|b| *b != b'e').filter(u8::is_ascii_digit).count();
    for n in least.max(1)..=17 {
        let (digits, first) = split(&rounded(n - 1));
        let value: u64 = digits.parse().unwrap_or(0);
        let exponent = first + 1 - n as i32;
        let (value, inside) = match (interval.above_lower(value, exponent), interval.below_upper(value, exponent)) {
            (true, true) => (value, true),
            // The nearest is too low, but the next above may still be inside.
            (false, _) => (value + 1, interval.below_upper(value + 1, exponent)),
            (true, false) => (value, false),
        };
        if inside {
            let text = value.to_string();
            let first = exponent + text.len() as i32 - 1;
            let trimmed = text.trim_end_matches('0');
            return (trimmed.to_owned(), first);
        }
    }
    let (digits, first) = split(&rounded(16));
    (digits, first)
}

/// Digits and exponent of `d.ddde[-]x`.
fn split(scientific: &str) -> (String, i32) {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    (mantissa.chars().filter(char::is_ascii_digit).collect(), exponent.parse().unwrap_or(0))
}

/// Without exponent from 10^-4 to below 10^`fixed`.
fn layout(negative: bool, (digits, exponent): &(String, i32), fixed: i32) -> String {
    let sign = if negative { "-" } else { "" };
    if (0..fixed).contains(exponent) {
        let whole = *exponent as usize + 1;
        if digits.len() <= whole {
            return format!("{sign}{digits}{}", "0".repeat(whole - digits.len()));
        }
        let (a, b) = digits.split_at(whole);
        return format!("{sign}{a}.{b}");
    }
    if (-4..0).contains(exponent) {
        return format!("{sign}0.{}{digits}", "0".repeat((-exponent - 1) as usize));
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let exponent_sign = if *exponent < 0 { '-' } else { '+' };
    format!("{sign}{first}{point}{rest}e{exponent_sign}{:02}", exponent.abs())
}
