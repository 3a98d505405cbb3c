//! 256-bit integers as the unscaled values of decimals.

use arrow::datatypes::{ArrowPrimitiveType, Decimal128Type, Decimal256Type, i256};
use num_bigint::BigInt;
use std::sync::LazyLock;

/// A decimal type whose values fit in 256 bits.
pub(crate) trait Wide: ArrowPrimitiveType {
    fn widen(v: Self::Native) -> i256;
    fn narrow(v: i256) -> Option<Self::Native>;
}

impl Wide for Decimal128Type {
    #[inline]
    fn widen(v: i128) -> i256 {
        i256::from_i128(v)
    }
    #[inline]
    fn narrow(v: i256) -> Option<i128> {
        v.to_i128()
    }
}

impl Wide for Decimal256Type {
    #[inline]
    fn widen(v: i256) -> i256 {
        v
    }
    #[inline]
    fn narrow(v: i256) -> Option<i256> {
        Some(v)
    }
}

static POWERS: LazyLock<[i256; 77]> = LazyLock::new(|| {
    let mut powers = [i256::ONE; 77];
    for i in 1..powers.len() {
        powers[i] = powers[i - 1].wrapping_mul(i256::from_i128(10));
    }
    powers
});

/// 10 to the `n`; the largest is 10^76.
#[inline]
pub(crate) fn pow10(n: u32) -> i256 {
    POWERS[(n as usize).min(76)]
}

/// 10 to the `n`; the largest is 10^38.
#[inline]
pub(crate) const fn pow10_128(n: u32) -> i128 {
    let mut v = 1_i128;
    let mut i = 0;
    while i < n && i < 38 {
        v *= 10;
        i += 1;
    }
    v
}

/// The number of decimal digits of the absolute value; 0 for 0.
pub(crate) fn digits(v: i256) -> i32 {
    let v = v.wrapping_abs();
    POWERS.partition_point(|p| *p <= v) as i32
}

pub(crate) fn to_big(v: i256) -> BigInt {
    BigInt::from_signed_bytes_le(&v.to_le_bytes())
}

/// `None` if it has more than 76 digits.
pub(crate) fn from_big(v: &BigInt) -> Option<i256> {
    let bytes = v.to_signed_bytes_le();
    let mut le = [if v.sign() == num_bigint::Sign::Minus { 0xff } else { 0 }; 32];
    le.get_mut(..bytes.len())?.copy_from_slice(&bytes);
    let v = i256::from_le_bytes(le);
    (digits(v) <= 76).then_some(v)
}
