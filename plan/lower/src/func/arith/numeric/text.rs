//! Numerics from and to text (`numeric_in` and `numeric_out` of release 15).

use super::wide::{digits, pow10};
use arrow::datatypes::i256;

/// What a text is, as `numeric_in` reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// Unscaled value and display scale.
    Number(i256, i32),
    /// A number that has too many digits for us, NaN or an infinity, or a notation of later releases.
    NotHeld,
    /// Not a numeric at all.
    Syntax,
}

/// Digits with an optional sign, point and exponent, among white space.
pub(crate) fn parse(text: &str) -> Parsed {
    let text = text.trim_matches(is_space);
    let (negative, rest) = match text.as_bytes() {
        [b'-', ..] => (true, text.get(1..).unwrap_or_default()),
        [b'+', ..] => (false, text.get(1..).unwrap_or_default()),
        _ => (false, text),
    };
    if !rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        let special =
            ["nan", "infinity", "inf"].iter().any(|s| rest.eq_ignore_ascii_case(s)) && !(text.len() != rest.len() && rest.eq_ignore_ascii_case("nan"));
        return if special { Parsed::NotHeld } else { Parsed::Syntax };
    }
    // Release 16 reads hexadecimal, octal, binary and underscores.
    if rest.bytes().any(|b| matches!(b, b'x' | b'X' | b'o' | b'O' | b'b' | b'B' | b'_')) {
        return Parsed::NotHeld;
    }
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((m, e)) => (m, Some(e)),
        None => (rest, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if (whole.is_empty() && fraction.is_empty()) || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return Parsed::Syntax;
    }
    let exponent = match exponent {
        None => 0,
        Some(e) => {
            let digits = e.strip_prefix(['-', '+']).unwrap_or(e);
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return Parsed::Syntax;
            }
            match e.parse::<i32>() {
                Ok(e) if e.abs() <= 200 => e,
                _ => return Parsed::NotHeld,
            }
        }
    };
    let Ok(scale) = i32::try_from(fraction.len()) else { return Parsed::NotHeld };
    let mut v = i256::ZERO;
    for c in whole.bytes().chain(fraction.bytes()) {
        if digits(v) >= 76 {
            return Parsed::NotHeld;
        }
        v = v.wrapping_mul(i256::from_i128(10)).wrapping_add(i256::from_i128(i128::from(c - b'0')));
    }
    let mut scale = scale - exponent;
    if scale < 0 {
        if v != i256::ZERO {
            if digits(v) - scale > 76 {
                return Parsed::NotHeld;
            }
            v = v.wrapping_mul(pow10(scale.unsigned_abs()));
        }
        scale = 0;
    }
    if scale > 76 {
        return Parsed::NotHeld;
    }
    Parsed::Number(if negative { v.wrapping_neg() } else { v }, scale)
}

/// White space as `isspace` knows it in the C locale.
pub(crate) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r')
}

/// Appends what `numeric_out` prints: `unscaled` has `scale` digits after the point, of which `dscale` are shown.
pub(crate) fn append(out: &mut String, unscaled: i256, scale: i32, dscale: i32) {
    let hidden = (scale - dscale).max(0) as usize;
    let magnitude = unscaled.wrapping_abs();
    let all = match magnitude.to_i128() {
        Some(v) => v.to_string(),
        None => magnitude.to_string(),
    };
    if unscaled.is_negative() {
        out.push('-');
    }
    // At least one digit before the point.
    let scale = scale.max(0) as usize;
    let padded = if all.len() <= scale { format!("{}{all}", "0".repeat(scale + 1 - all.len())) } else { all };
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    out.push_str(whole);
    let shown = fraction.len().saturating_sub(hidden);
    if let Some(shown) = fraction.get(..shown).filter(|s| !s.is_empty()) {
        out.push('.');
        out.push_str(shown);
    }
}
