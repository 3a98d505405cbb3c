//! numeric as a scaled integer, straight from its base-10000 digits on disk. Source: `numeric.c`.

use super::Unfit;
use arrow::datatypes::i256;
use weir_plan::types::{DYNAMIC_PRECISION, DYNAMIC_SCALE};

const SIGN_MASK: u16 = 0xC000;
const SHORT: u16 = 0x8000;
const SPECIAL: u16 = 0xC000;
const NEGATIVE: u16 = 0x4000;
const SHORT_NEGATIVE: u16 = 0x2000;
const SHORT_DSCALE_MASK: u16 = 0x1F80;
const SHORT_DSCALE_SHIFT: u16 = 7;
const SHORT_WEIGHT_SIGN: u16 = 0x0040;
const SHORT_WEIGHT_MASK: u16 = 0x003F;
const DSCALE_MASK: u16 = 0x3FFF;

/// A numeric as it is stored: sign, display scale, and digits of base 10000, the first of which has the weight 10000^weight.
pub struct Stored<'a> {
    negative: bool,
    pub dscale: i32,
    weight: i32,
    digits: &'a [u8],
}

impl<'a> Stored<'a> {
    /// Reads the bytes of the value without the varlena header.
    ///
    /// # Errors
    /// NaN, infinity, or bytes that are no numeric.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Unfit> {
        let word = |at: usize| bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map(u16::from_ne_bytes).ok_or(Unfit);
        let header = word(0)?;
        match header & SIGN_MASK {
            SPECIAL => Err(Unfit),
            SHORT => {
                let magnitude = header & SHORT_WEIGHT_MASK;
                let weight = if header & SHORT_WEIGHT_SIGN == 0 { i32::from(magnitude) } else { i32::from(magnitude) - i32::from(SHORT_WEIGHT_SIGN) };
                Ok(Self {
                    negative: header & SHORT_NEGATIVE != 0,
                    dscale: i32::from((header & SHORT_DSCALE_MASK) >> SHORT_DSCALE_SHIFT),
                    weight,
                    digits: bytes.get(2..).ok_or(Unfit)?,
                })
            }
            sign => Ok(Self {
                negative: sign == NEGATIVE,
                dscale: i32::from(header & DSCALE_MASK),
                weight: i32::from(word(2)?.cast_signed()),
                digits: bytes.get(4..).ok_or(Unfit)?,
            }),
        }
    }

    fn digits(&self) -> impl Iterator<Item = u16> + '_ {
        self.digits.chunks_exact(2).map(|b| u16::from_ne_bytes([b[0], b[1]]))
    }

    fn len(&self) -> i32 {
        i32::try_from(self.digits.len() / 2).unwrap_or(i32::MAX)
    }

    /// value * 10^scale as an integer of at most `precision` (<= 38) decimal digits.
    pub fn to_i128(&self, precision: u8, scale: i32) -> Result<i128, Unfit> {
        let n = self.len();
        if n == 0 {
            return Ok(0);
        }
        // The last digit counts 10^last.
        let last = (self.weight - n + 1) * 4 + scale;
        let mut value: u128 = 0;
        let mut left = n;
        for digit in self.digits() {
            left -= 1;
            value = if left > 0 || last >= 0 {
                value.checked_mul(10_000).and_then(|v| v.checked_add(u128::from(digit))).ok_or(Unfit)?
            } else {
                let (keep, digit) = cut(digit, last)?;
                value.checked_mul(keep).and_then(|v| v.checked_add(digit)).ok_or(Unfit)?
            };
        }
        if last > 0 {
            let factor = 10u128.checked_pow(last.unsigned_abs()).ok_or(Unfit)?;
            value = value.checked_mul(factor).ok_or(Unfit)?;
        }
        if value >= 10u128.checked_pow(u32::from(precision)).ok_or(Unfit)? {
            return Err(Unfit);
        }
        let value = i128::try_from(value).map_err(|_| Unfit)?;
        Ok(if self.negative { -value } else { value })
    }

    /// value * 10^scale as an integer of at most `precision` (<= 76) decimal digits.
    pub fn to_i256(&self, precision: u8, scale: i32) -> Result<i256, Unfit> {
        let n = self.len();
        if n == 0 {
            return Ok(i256::ZERO);
        }
        let last = (self.weight - n + 1) * 4 + scale;
        // Nine digits fit an i128, which is much faster than i256.
        let mut value = if n <= 9 && last >= 0 {
            let small = self.digits().fold(0i128, |v, d| v * 10_000 + i128::from(d));
            i256::from_i128(small)
        } else {
            let mut value = i256::ZERO;
            let mut left = n;
            for digit in self.digits() {
                left -= 1;
                let (keep, digit) = if left > 0 || last >= 0 { (10_000, u128::from(digit)) } else { cut(digit, last)? };
                let keep = i256::from_i128(i128::try_from(keep).map_err(|_| Unfit)?);
                let digit = i256::from_i128(i128::try_from(digit).map_err(|_| Unfit)?);
                value = value.checked_mul(keep).and_then(|v| v.checked_add(digit)).ok_or(Unfit)?;
            }
            value
        };
        if last > 0 {
            value = value.checked_mul(power_of_ten(last.unsigned_abs())?).ok_or(Unfit)?;
        }
        if value >= power_of_ten(u32::from(precision))? {
            return Err(Unfit);
        }
        Ok(if self.negative { value.wrapping_neg() } else { value })
    }

    /// The value in the form of columns without declared scale, and its display scale.
    pub fn to_dynamic(&self) -> Result<(i256, i16), Unfit> {
        if self.dscale > i32::from(DYNAMIC_SCALE) {
            return Err(Unfit);
        }
        let dscale = i16::try_from(self.dscale).map_err(|_| Unfit)?;
        Ok((self.to_i256(DYNAMIC_PRECISION, i32::from(DYNAMIC_SCALE))?, dscale))
    }
}

/// Cuts the decimal digits of the last base-10000 digit that lie below the wanted scale; they must be zero.
/// Returns the factor for what came before and the digit that is left.
fn cut(digit: u16, last: i32) -> Result<(u128, u128), Unfit> {
    let drop = last.unsigned_abs();
    if drop >= 4 {
        return Err(Unfit);
    }
    let divisor = 10u16.pow(drop);
    if !digit.is_multiple_of(divisor) {
        return Err(Unfit);
    }
    Ok((10u128.pow(4 - drop), u128::from(digit / divisor)))
}

fn power_of_ten(exponent: u32) -> Result<i256, Unfit> {
    i256::from_i128(10).checked_pow(exponent).ok_or(Unfit)
}
