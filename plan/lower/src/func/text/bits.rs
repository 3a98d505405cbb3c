//! `text::bit(n)::bigint` and `::integer`: how digests become numbers (`('x' || md5(…))::bit(64)::bigint`). Bit strings themselves are not held;
//! the number comes with the text and with n.

use super::lower_call::make;
use super::rows::kernel;
use crate::error::refused;
use crate::value::{Call, Value};
use arrow::array::{Int32Builder, Int64Builder};
use datafusion::common::Result;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    Some(match call.func {
        2076 => make(call, "int8_of_bits", "", kernel!(Int64Builder::new(), |s: text, n: int4| Some(leading_bits(s, n)?.cast_signed()))),
        1684 => make(call, "int4_of_bits", "", kernel!(Int32Builder::new(), |s: text, n: int4| Some((leading_bits(s, n)? as u32).cast_signed()))),
        _ => return None,
    })
}

/// The first `n` bits, with zeros behind them if there are fewer, as a number. Source: `bit_in`, `bit` and `bittoint8` in `varbit.c`.
fn leading_bits(text: &str, n: i32) -> Result<u64> {
    let (digits, width) = match text.as_bytes() {
        [b'x' | b'X', digits @ ..] => (digits, 4),
        [b'b' | b'B', digits @ ..] => (digits, 1),
        digits => (digits, 1),
    };
    let mut number = 0u64;
    let mut missing = u32::try_from(n).ok().filter(|n| *n <= 64).ok_or_else(|| refused("more than 64 bits"))?;
    for digit in digits {
        let value = char::from(*digit).to_digit(1 << width).ok_or_else(|| refused("no binary or hexadecimal digit"))?;
        let taken = missing.min(width);
        number = number << taken | u64::from(value >> (width - taken));
        missing -= taken;
    }
    Ok(number.checked_shl(missing).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_taken_from_the_left_and_filled_with_zeros() {
        let bits = |s, n| leading_bits(s, n).expect("is a bit string");
        assert_eq!(
            [bits("xff", 8), bits("XfF", 4), bits("x1", 64), bits("101", 3), bits("b101", 2), bits("", 64), bits("x", 0)],
            [255, 15, 1 << 60, 5, 2, 0, 0]
        );
        assert_eq!(bits("xfedcba98765432100", 64), 0xfedc_ba98_7654_3210);
        assert_eq!(bits("xfedcba9876543210ff", 62), 0xfedc_ba98_7654_3210 >> 2);
        assert!(leading_bits("12", 8).is_err() && leading_bits("xfg", 4).is_err() && leading_bits("bf", 4).is_err() && leading_bits("1", 65).is_err());
    }
}
