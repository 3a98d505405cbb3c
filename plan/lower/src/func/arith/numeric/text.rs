//! Numerics from and to text.

use super::wide::{digits, pow10};
use arrow::datatypes::i256;

/// The unscaled value and display scale of what `numeric_out` writes: digits with an optional sign and point.
/// `None` for anything else, and for more than 76 digits.
pub(crate) fn parse_plain(text: &str) -> Option<(i256, i32)> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut v = i256::ZERO;
    for c in whole.bytes().chain(fraction.bytes()) {
        if !c.is_ascii_digit() || digits(v) >= 76 {
            return None;
        }
        v = v.wrapping_mul(i256::from_i128(10)).wrapping_add(i256::from_i128(i128::from(c - b'0')));
    }
    let scale = i32::try_from(fraction.len()).ok().filter(|s| *s <= 76)?;
    if v >= pow10(76) {
        return None;
    }
    Some((if negative { v.wrapping_neg() } else { v }, scale))
}
